//! The cut: first in every shard, then in the journal, then the receipt. The main thread does one after the
//! other, so bans and unbans of one SIM have one order, in the shards as on the disk.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use super::journal::{Disk, Entry, FileDisk, Journal, JournalError, Replay, State, What};
use super::ring::Kit;
use super::shards::Shards;
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

/// Who is restricted, and the journal of it.
#[derive(Debug)]
pub struct Revocations<D = FileDisk> {
    journal: Journal<D>,
    state: State,
    /// In force, but not on the disk: tried again until they are.
    unstored: Vec<Entry>,
    /// Cuts stored by a later try; to be told.
    late: Vec<(Imsi, Stored)>,
    /// Why nothing new is allowed until `control` has sent the bans of the database.
    waits: Option<String>,
    /// Why nothing new is allowed until somebody has looked: a copy that knows more than we do.
    distrusts: Option<String>,
    /// Why the journal cannot grow.
    low: Option<String>,
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
    /// With a journal that was read. Nothing new is allowed until `control` was heard about its bans.
    pub fn new(journal: Journal<D>, replay: Replay) -> Self {
        if let Some(torn) = replay.torn {
            error!("{torn}");
        }
        let (records, sims) = (journal.head().records, replay.state.revoked.len());
        info!(records, sims, "the revocation journal is whole: {records} records, {sims} SIMs are cut");
        Self {
            journal,
            state: replay.state,
            unstored: Vec::new(),
            late: Vec::new(),
            waits: Some("control has not yet said which bans it knows".to_owned()),
            distrusts: None,
            low: None,
        }
    }

    /// The revoked set.
    pub fn set(&self) -> &BTreeMap<Imsi, Revoked> {
        &self.state.revoked
    }

    /// Everybody who is restricted.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The journal's head.
    pub fn head(&self) -> JournalHead {
        self.journal.head()
    }

    /// Records that fit without more disk space.
    pub fn room(&self) -> u64 {
        self.journal.room()
    }

    /// Why the journal is short of room, if it is.
    pub fn low(&self) -> Option<&str> {
        self.low.as_deref()
    }

    /// How many restrictions are not on the disk.
    pub fn unstored(&self) -> usize {
        self.unstored.len()
    }

    /// The journal.
    pub fn journal(&mut self) -> &mut Journal<D> {
        &mut self.journal
    }

    /// Why nothing new is allowed, if so.
    pub fn denied(&self) -> Option<&str> {
        self.distrusts.as_deref().or(self.waits.as_deref())
    }

    /// A copy knows more than the journal, or something else: closed until somebody has looked and started anew.
    pub fn distrust(&mut self, why: String) {
        self.distrusts.get_or_insert(why);
    }

    /// `control` says which head it knows. Where the journal does not have it, bans may be missing here, and nothing
    /// new is allowed until [`Revocations::unite`]. Returns why, in words.
    pub fn compare(&mut self, known: &JournalHead) -> Option<String> {
        let has = self.journal.has(known);
        let (theirs, ours) = (known.records, self.head().records);
        self.waits = match has {
            Ok(true) => None,
            Ok(false) if theirs > ours => Some(format!(
                "the revocation journal is older than control knows it: {ours} records, not {theirs}"
            )),
            Ok(false) => {
                Some(format!("record {theirs} of the revocation journal is not the one that control knows"))
            }
            Err(e) => Some(format!("the revocation journal cannot be compared with what control knows: {e}")),
        };
        self.waits.clone()
    }

    /// All bans of the database: what the journal does not have is cut and recorded, what only it has stays.
    ///
    /// # Errors
    /// In words, where a ban could not be recorded: it is in force, and what was closed stays closed.
    pub fn unite<K: Kit>(&mut self, all: &[Revoked], shards: &mut Shards<K>) -> Result<JournalHead, String> {
        let missing: Vec<CutRequest> = all
            .iter()
            .filter(|r| !self.set().contains_key(&r.imsi))
            .map(|r| {
                let (actor, reason) = (r.actor.clone(), r.reason.clone());
                CutRequest { imsi: r.imsi, state: r.state, actor, reason, at: r.at }
            })
            .collect();
        if !missing.is_empty() {
            let n = missing.len();
            info!(n, "{n} bans of the database were not in the revocation journal");
        }
        let receipts = self.cut(&missing, time::mono(), shards);
        match receipts.into_iter().find_map(|r| r.journal.err()) {
            Some(why) => Err(why),
            None => {
                self.waits = None;
                Ok(self.head())
            }
        }
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
            let journal = match self.state.revoked.get(&request.imsi).and_then(|r| r.stored) {
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
        let entry = Entry { what: What::Uncut(imsi), at, actor, reason };
        let actor = entry.actor.clone();
        let stored = self.lift(entry)?;
        shards.ask_all_now(&[ShardCommand::Uncut { imsi }], PATIENCE);
        info!(%imsi, actor, record = stored.record, "{imsi} is no longer cut");
        Ok(stored)
    }

    /// Quarantine, panic, the cut of a device, or the end of one of them. What restricts is in force first and then
    /// recorded; what lifts a restriction is recorded first, and is none without its record. The number is that of
    /// the shards that confirmed.
    ///
    /// # Errors
    /// In words, where the journal cannot be written.
    pub fn restrict<K: Kit>(
        &mut self,
        entry: Entry,
        shards: &mut Shards<K>,
    ) -> (Result<Stored, String>, u32) {
        let (what, actor) = (entry.what.clone(), entry.actor.clone());
        if !what.restricts() {
            let result = self.lift(entry);
            let confirmed = if result.is_ok() { enforce(&what, shards) } else { 0 };
            info!(actor, ok = result.is_ok(), "{what}");
            return (result, confirmed);
        }
        let confirmed = enforce(&what, shards);
        let new = self.state.holds(&what).is_none();
        if new {
            self.state.apply(&entry, None);
        }
        let done = self.store(if new { vec![entry] } else { Vec::new() });
        let result = match (self.state.holds(&what).flatten(), done) {
            (Some(stored), _) => Ok(stored),
            (None, Err(e)) => Err(format!("in force, but NOT STORED, until a restart only: {e}")),
            (None, Ok(_)) => Err("in force, but not stored".to_owned()),
        };
        match &result {
            Ok(s) => info!(actor, record = s.record, "{what}"),
            Err(e) => warn!(actor, "{what}: {e}"),
        }
        (result, confirmed)
    }

    /// Records the end of a restriction; what is not recorded stays.
    fn lift(&mut self, entry: Entry) -> Result<Stored, String> {
        match self.store(vec![entry.clone()]) {
            Ok(stored) => {
                self.state.apply(&entry, None);
                stored.last().copied().ok_or_else(|| "the journal gave no record".to_owned())
            }
            Err(e) => {
                error!("not done, because it cannot be recorded: {}: {e}", entry.what);
                // Its record may have reached the disk all the same: the restriction is written over it.
                self.unstored.extend(self.state.opposite(&entry));
                Err(format!("the revocation journal cannot be written: {e}"))
            }
        }
    }

    /// What the path did with a SIM's packets since its cut. A repeated cut changes nothing and answers.
    pub fn trace<K: Kit>(&self, imsi: Imsi, shards: &mut Shards<K>) -> SimTrace {
        if !self.set().contains_key(&imsi) {
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

    /// What has to be done now and then: restrictions that are not on the disk are tried again, the journal's file
    /// grows. Returns in words what does not work.
    pub fn tend(&mut self) -> Option<String> {
        if !self.unstored.is_empty()
            && let Err(e) = self.store(Vec::new())
        {
            return Some(format!(
                "{} restrictions are in force but cannot be stored: {e}",
                self.unstored.len()
            ));
        }
        let room = self.journal.room();
        self.low = self
            .journal
            .grow_if_low()
            .map(|e| format!("the revocation journal cannot grow, it has room for {room} more records: {e}"));
        self.low.clone()
    }

    /// Cuts whose receipt said *not stored* and that are stored since.
    pub fn take_late(&mut self) -> Vec<(Imsi, Stored)> {
        std::mem::take(&mut self.late)
    }

    fn record(&mut self, requests: &[CutRequest]) -> io::Result<()> {
        let mut entries: Vec<Entry> = Vec::new();
        for r in requests {
            let (at, actor, reason) = (r.at, r.actor.clone(), r.reason.clone());
            let entry = Entry { what: What::Cut(r.imsi, r.state), at, actor, reason };
            // A second ban of the same kind adds nothing to the first, which is stored or will be.
            if self.state.holds(&entry.what).is_none() {
                self.state.apply(&entry, None);
                entries.push(entry);
            }
        }
        if entries.is_empty() && self.unstored.is_empty() {
            return Ok(());
        }
        self.store(entries).map(drop)
    }

    /// Appends what could not be stored earlier, then `entries`: all of it with one flush, or, on a full disk, as
    /// much as there is room for. What restricts and is not stored is tried again later.
    fn store(&mut self, entries: Vec<Entry>) -> io::Result<Vec<Stored>> {
        let late = self.unstored.len();
        let mut all = std::mem::take(&mut self.unstored);
        all.extend(entries);
        match self.journal.append(&all) {
            Ok(stored) => {
                self.note(&all, &stored, late);
                Ok(stored)
            }
            Err(e) => {
                let room = self.journal.room() as usize;
                if e.kind() == io::ErrorKind::StorageFull
                    && let Some((first, _)) =
                        all.split_at_checked(room).filter(|(first, _)| !first.is_empty())
                    && let Ok(stored) = self.journal.append(first)
                {
                    let first = first.to_vec();
                    self.note(&first, &stored, late);
                    all.drain(..room);
                }
                all.retain(|e| e.what.restricts());
                self.unstored = all;
                Err(e)
            }
        }
    }

    fn note(&mut self, entries: &[Entry], stored: &[Stored], late: usize) {
        for (n, (entry, &stored)) in entries.iter().zip(stored).enumerate() {
            self.state.note(&entry.what, stored);
            if let (What::Cut(imsi, _), true) = (&entry.what, n < late) {
                self.late.push((*imsi, stored));
            }
        }
    }
}

/// Tells the shards; how many confirmed. The path knows no devices: `control` ends the sessions of who lives in one
/// by PFCP ahead of its cut, and a shard confirms when it has carried that out.
fn enforce<K: Kit>(what: &What, shards: &mut Shards<K>) -> u32 {
    let command = match what {
        What::Quarantine(imsi, on) => ShardCommand::Quarantine { imsi: *imsi, on: *on },
        What::Panic(group, on) => ShardCommand::Panic { group: group.clone(), on: *on },
        What::CutDevice(_) => return shards.settle(PATIENCE),
        What::Cut(..) | What::Uncut(_) | What::UncutDevice(_) => return shards.count() as u32,
    };
    shards.ask_all_now(&[command], PATIENCE).first().map_or(0, |answers| answers.len() as u32)
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
        assert!(r.tend().unwrap().contains("1 restrictions"));
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
        // Its record may have reached the disk all the same, so the ban is written over it first.
        assert_eq!(uncut(&mut r, 1).unwrap().record, 3);
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
