//! The cut: first in every shard, then in the journal, then the receipt. The main thread does one after the
//! other, so bans and unbans of one SIM have one order, in the shards as on the disk.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use super::journal::{Disk, Entry, FileDisk, Journal, JournalError, Kind, Replay};
use super::ring::Kit;
use super::shards::Shards;
use crate::crash;
use crate::link::{CutReceipt, JournalHead, Revoked, SimTrace, Stored};
use crate::time;
use pgw_policy::batch::ShardId;
use pgw_policy::command::{CutReport, ShardCommand, ShardReply};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;
use tracing::{error, info, warn};
use types::{Imsi, Mono, SimState, Utc};

/// How long a shard may be silent before a receipt is written without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whom to cut.
#[derive(Debug, Clone)]
pub struct CutRequest {
    /// Whom.
    pub imsi: Imsi,
    /// For what.
    pub state: SimState,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When they asked.
    pub at: Utc,
}

/// The revoked set and its journal.
#[derive(Debug)]
pub struct Revocations<D = FileDisk> {
    journal: Journal<D>,
    set: BTreeMap<Imsi, Revoked>,
    /// Cut, but not on the disk: tried again until they are.
    unstored: Vec<Entry>,
    /// Stored by a later try; to be told.
    late: Vec<(Imsi, Stored)>,
}

impl Revocations<FileDisk> {
    /// Reads the journal. To be done before any socket opens.
    ///
    /// # Errors
    /// Where it cannot be trusted; the packet path must not open.
    pub fn open(path: &Path, id: [u8; 16]) -> Result<Self, JournalError> {
        let (journal, replay) = Journal::open(path, id)?;
        Ok(Self::new(journal, replay))
    }
}

impl<D: Disk> Revocations<D> {
    /// With a journal that was read.
    pub fn new(journal: Journal<D>, replay: Replay) -> Self {
        if let Some(torn) = replay.torn {
            error!("{torn}");
        }
        let (records, sims) = (journal.head().records, replay.revoked.len());
        info!(records, sims, "the revocation journal is whole: {records} records, {sims} SIMs are cut");
        Self { journal, set: replay.revoked, unstored: Vec::new(), late: Vec::new() }
    }

    /// The revoked set.
    pub fn set(&self) -> &BTreeMap<Imsi, Revoked> {
        &self.set
    }

    /// The journal's head.
    pub fn head(&self) -> JournalHead {
        self.journal.head()
    }

    /// Records that fit without more disk space.
    pub fn room(&self) -> u64 {
        self.journal.room()
    }

    /// How many cuts are not on the disk.
    pub fn unstored(&self) -> usize {
        self.unstored.len()
    }

    /// Cuts: when this returns, no write of a packet of these SIMs begins any more, and each receipt says
    /// whether it is on the disk. `arrived` is when the requests were read from the link.
    pub fn cut<K: Kit>(
        &mut self,
        requests: &[CutRequest],
        arrived: Mono,
        shards: &mut Shards<K>,
    ) -> Vec<CutReceipt> {
        let commands: Vec<_> = requests.iter().map(|r| ShardCommand::Cut { imsi: r.imsi }).collect();
        let answers = shards.ask_all_now(&commands, PATIENCE);
        let cut = time::now();
        crash::point("ban.cut");
        let stored = self.record(requests);
        let store_us = time::mono().0.saturating_sub(cut.mono.0) / 1000;
        let shards = shards.count() as u32;
        let receipt = |(request, answers): (&CutRequest, Vec<(ShardId, ShardReply)>)| {
            let (shards_confirmed, report) = add_up(&answers);
            let journal = match self.set.get(&request.imsi).and_then(|r| r.stored) {
                Some(stored) => Ok(stored),
                None => Err(stored.as_ref().err().map_or("not stored".to_owned(), io::Error::to_string)),
            };
            CutReceipt {
                imsi: request.imsi,
                state: request.state,
                cut_at: cut.utc,
                cut_mono: cut.mono,
                cut_us: cut.mono.0.saturating_sub(arrived.0) / 1000,
                store_us,
                shards_confirmed,
                shards,
                sessions: report.sessions,
                last_packet: report.last_packet,
                dropped: report.dropped,
                journal,
                copies: Vec::new(),
            }
        };
        let receipts: Vec<_> = requests.iter().zip(answers).map(receipt).collect();
        receipts.iter().for_each(log);
        receipts
    }

    /// Takes a SIM out of the set. Recorded first: what is not recorded stays cut.
    ///
    /// # Errors
    /// In words, where the journal cannot be written; the SIM stays cut.
    pub fn uncut<K: Kit>(
        &mut self,
        imsi: Imsi,
        actor: String,
        reason: String,
        at: Utc,
        shards: &mut Shards<K>,
    ) -> Result<Stored, String> {
        let entry = Entry { kind: Kind::Uncut, imsi, at, actor, reason };
        let stored = match self.store(std::slice::from_ref(&entry)) {
            Ok(stored) => *stored.last().ok_or("the journal gave no record")?,
            Err(e) => {
                error!(%imsi, "{imsi} stays cut: its unban cannot be recorded: {e}");
                return Err(format!("the revocation journal cannot be written: {e}"));
            }
        };
        self.set.remove(&imsi);
        shards.ask_all_now(&[ShardCommand::Uncut { imsi }], PATIENCE);
        info!(%imsi, actor = entry.actor, record = stored.record, "{imsi} is no longer cut");
        Ok(stored)
    }

    /// What the path did with a SIM's packets since its cut. A repeated cut changes nothing and answers.
    pub fn trace<K: Kit>(&self, imsi: Imsi, shards: &mut Shards<K>) -> SimTrace {
        if !self.set.contains_key(&imsi) {
            return SimTrace::default();
        }
        let answers = shards.ask_all_now(&[ShardCommand::Cut { imsi }], PATIENCE);
        let (_, report) = add_up(answers.first().map(Vec::as_slice).unwrap_or_default());
        SimTrace {
            revoked: true,
            sessions: report.sessions,
            dropped: report.dropped,
            last_packet: report.last_packet,
        }
    }

    /// What has to be done now and then: cuts that are not on the disk are tried again, the journal's file
    /// grows. Returns in words what does not work.
    pub fn tend(&mut self) -> Option<String> {
        if !self.unstored.is_empty()
            && let Err(e) = self.store(&[])
        {
            return Some(format!("{} cuts are in force but cannot be stored: {e}", self.unstored.len()));
        }
        let e = self.journal.grow_if_low()?;
        let room = self.journal.room();
        Some(format!("the revocation journal cannot grow, it has room for {room} more records: {e}"))
    }

    /// Cuts whose receipt said *not stored* and that are stored since.
    pub fn take_late(&mut self) -> Vec<(Imsi, Stored)> {
        std::mem::take(&mut self.late)
    }

    fn record(&mut self, requests: &[CutRequest]) -> io::Result<()> {
        let mut entries: Vec<Entry> = Vec::new();
        for r in requests {
            let known = self.set.get(&r.imsi).is_some_and(|k| k.state == r.state);
            let entry = Entry {
                kind: Kind::Cut(r.state),
                imsi: r.imsi,
                at: r.at,
                actor: r.actor.clone(),
                reason: r.reason.clone(),
            };
            // A second ban of the same kind adds nothing to the first, which is stored or will be.
            if !known {
                self.set.insert(r.imsi, entry.revoked(None));
                entries.push(entry);
            }
        }
        if entries.is_empty() && self.unstored.is_empty() {
            return Ok(());
        }
        let stored = self.store(&entries);
        if stored.is_err() {
            self.unstored.extend(entries);
        }
        stored.map(drop)
    }

    /// Appends what could not be stored earlier, then `entries`.
    fn store(&mut self, entries: &[Entry]) -> io::Result<Vec<Stored>> {
        let late = self.unstored.len();
        let all: Vec<Entry> = self.unstored.iter().chain(entries).cloned().collect();
        let stored = self.journal.append(&all)?;
        self.unstored.clear();
        for (n, (entry, &stored)) in all.iter().zip(&stored).enumerate() {
            if let (Kind::Cut(_), Some(revoked)) = (entry.kind, self.set.get_mut(&entry.imsi)) {
                revoked.stored = Some(stored);
            }
            if n < late {
                self.late.push((entry.imsi, stored));
            }
        }
        Ok(stored)
    }
}

fn add_up(answers: &[(ShardId, ShardReply)]) -> (u32, CutReport) {
    let mut sum = CutReport::default();
    let mut confirmed = 0;
    for (_, reply) in answers {
        let ShardReply::Cut(r) = reply else { continue };
        confirmed += 1;
        sum.sessions += r.sessions;
        sum.last_packet = sum.last_packet.max(r.last_packet);
        sum.dropped += r.dropped;
    }
    (confirmed, sum)
}

fn log(r: &CutReceipt) {
    let (imsi, us) = (r.imsi, r.cut_us);
    if r.shards_confirmed < r.shards {
        let (some, all) = (r.shards_confirmed, r.shards);
        error!(%imsi, "{imsi} is cut in {some} of {all} shards only: a shard does not answer");
    }
    match &r.journal {
        Ok(s) => info!(%imsi, us, record = s.record, "{imsi} is cut in {us} µs, journal record {}", s.record),
        Err(e) => warn!(%imsi, us, "{imsi} is cut in {us} µs but NOT STORED, until a restart only: {e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::tests::FakeDisk;
    use super::super::ring::Os;
    use super::super::ring::Waker;
    use super::super::shard_thread::Upward;
    use super::*;

    /// No shard at all: what is looked at here is the set and the journal.
    fn no_shards() -> Shards<Os> {
        let waker = Waker::new().unwrap();
        Shards::new(Vec::new(), Upward::new(1, &waker), waker)
    }

    fn open(disk: &FakeDisk) -> Revocations<FakeDisk> {
        let (journal, replay) = Journal::start(disk.clone()).unwrap();
        Revocations::new(journal, replay)
    }

    fn imsi(n: u32) -> Imsi {
        format!("00101{n:010}").parse().unwrap()
    }

    fn request(n: u32, state: SimState) -> CutRequest {
        CutRequest { imsi: imsi(n), state, actor: "soc".into(), reason: "lost".into(), at: Utc(5) }
    }

    fn cut(r: &mut Revocations<FakeDisk>, requests: &[CutRequest]) -> Vec<CutReceipt> {
        r.cut(requests, time::mono(), &mut no_shards())
    }

    fn uncut(r: &mut Revocations<FakeDisk>, n: u32) -> Result<Stored, String> {
        r.uncut(imsi(n), "owner".into(), "found".into(), Utc(6), &mut no_shards())
    }

    #[test]
    fn the_same_ban_twice_is_one_record_and_two_receipts() {
        let disk = FakeDisk::new();
        let mut r = open(&disk);
        let both = cut(&mut r, &[request(1, SimState::Lost), request(1, SimState::Lost)]);
        assert_eq!(both[0].journal, both[1].journal);
        assert_eq!(both[0].journal.as_ref().unwrap().record, 1);
        assert_eq!(cut(&mut r, &[request(1, SimState::Lost)])[0].journal, both[0].journal);
        // Lost, then found out to be stolen: that is news.
        assert_eq!(cut(&mut r, &[request(1, SimState::Stolen)])[0].journal.as_ref().unwrap().record, 2);
        assert_eq!(open(&disk).set()[&imsi(1)].state, SimState::Stolen);
    }

    #[test]
    fn a_cut_that_cannot_be_stored_stays_in_force_says_so_and_is_tried_again() {
        let disk = FakeDisk::new();
        let mut r = open(&disk);
        disk.fail_next();
        let receipt = cut(&mut r, &[request(1, SimState::Lost)]).remove(0);
        assert!(receipt.journal.unwrap_err().contains("EIO"));
        assert_eq!((r.unstored(), r.set()[&imsi(1)].stored), (1, None));
        disk.fail_next();
        assert!(r.tend().unwrap().contains("1 cuts"));
        assert_eq!(r.tend(), None);
        assert_eq!(r.take_late(), [(imsi(1), Stored { record: 1, hash: r.head().hash })]);
        assert_eq!(open(&disk).set().len(), 1);
    }

    #[test]
    fn the_next_ban_carries_one_that_could_not_be_stored_with_it() {
        let disk = FakeDisk::new();
        let mut r = open(&disk);
        disk.fail_next();
        cut(&mut r, &[request(1, SimState::Lost)]);
        // The same ban again: its receipt is now good.
        assert!(cut(&mut r, &[request(1, SimState::Lost)])[0].journal.is_ok());
        disk.fail_next();
        cut(&mut r, &[request(2, SimState::Lost)]);
        assert_eq!(cut(&mut r, &[request(3, SimState::Lost)])[0].journal.as_ref().unwrap().record, 3);
        assert_eq!(r.unstored(), 0);
        assert_eq!(open(&disk).set().len(), 3);
    }

    #[test]
    fn an_unban_that_cannot_be_recorded_is_none() {
        let disk = FakeDisk::new();
        let mut r = open(&disk);
        cut(&mut r, &[request(1, SimState::Lost)]);
        disk.fail_next();
        assert!(uncut(&mut r, 1).unwrap_err().contains("EIO"));
        assert!(r.set().contains_key(&imsi(1)));
        assert_eq!(uncut(&mut r, 1).unwrap().record, 2);
        assert!(open(&disk).set().is_empty());
    }

    #[test]
    fn an_unban_of_a_cut_that_was_never_stored_writes_both_in_order() {
        let disk = FakeDisk::new();
        let mut r = open(&disk);
        disk.fail_next();
        cut(&mut r, &[request(1, SimState::Lost)]);
        assert_eq!(uncut(&mut r, 1).unwrap().record, 2);
        assert!(r.set().is_empty() && open(&disk).set().is_empty());
    }
}
