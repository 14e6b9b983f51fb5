//! The revocation journal: what makes a ban outlive the process, the database and an old backup.
//!
//! One file, mode 0600, of fixed records of 256 octets, preallocated in steps and written in place, so that
//! a full disk does not stop a ban. Record 0 is the header with the journal's own id; each later record
//! carries the hash of the one before (SHA-256), so that a changed, removed or reordered record is found.
//! A record is acknowledged when `fdatasync` came back.
//!
//! ```text
//!   0  "SKRJ"   4 version   5 kind   6 state   7 zero
//!   8  sequence (u64)               16 time (i64, ms since 1970)
//!  24  subject, ASCII, zero padded  40 hash of the record before
//!  72  actor (length, 31 octets)   104 reason (length, 87 octets)
//! 192  subject once more           208 first record of its batch (u64), 216 how far the batch reaches (u32)
//! 220  zeros                       224 SHA-256 of octets 0..224    (all numbers big endian)
//! ```
//!
//! The subject is an IMSI, or the first 14 digits of an IMEI. A record about a group has `GROUP` there, the name at
//! 104 (length, 63 octets), the reason at 168 (length, 23 octets) and a check of the name at 220. Records keep their
//! order by number; no clock orders them.
//!
//! At start the whole chain is checked. Only the last batch may be unfinished: it was not acknowledged, and counts
//! as a ban of everybody whom it names (deny wins). Anything else refuses the start and names the record: the packet
//! path does not open on a revoked set that may be too small. An end that is missing without a trace is found by a
//! witness: a copy, or the head that `control` knows.

pub mod copies;
mod disk;
pub mod offline;
mod record;
mod state;

pub use disk::{Disk, FileDisk};
pub use record::{Device, Entry, What};
pub use state::State;

use crate::link::{JournalHead, Stored};
use record::{Batch, RECORD, Raw};
use std::fs::File;
use std::io;
use std::path::Path;
use thiserror::Error;

/// Octets that the file grows by; 8 192 records.
const STEP: u64 = 2 << 20;

/// The file grows once less than this many records are free: a ban of 5 000 SIMs finds room on a full disk.
const LOW_WATER: u64 = 6144;

/// Why the journal cannot be used. Each names what to do, and none of the ways forward un-bans a SIM.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("the revocation journal cannot be used: {0}")]
    Io(#[from] io::Error),
    /// Another process holds it.
    #[error("the revocation journal is held by another gateway; end that one first")]
    Held,
    /// It is no journal.
    #[error(
        "the file is no revocation journal of this release ({0}); bring the newest copy back with `sekisho journal \
         restore --from DIR`. Without a copy move the file away: the path then stays closed until control has sent \
         the bans of the database"
    )]
    Foreign(&'static str),
    /// Its end is missing.
    #[error(
        "the revocation journal is cut short after record {records}: bans may be missing; bring the newest copy back \
         with `sekisho journal restore --from DIR`. Without a copy move the file away: the path then stays closed \
         until control has sent the bans of the database"
    )]
    Truncated {
        /// Records that can be read.
        records: u64,
    },
    /// A record in the middle is damaged.
    #[error(
        "record {record} of the revocation journal is damaged ({what}): the packet path stays closed; bring the \
         newest copy back with `sekisho journal restore --from DIR`. Without a copy move the file away: the path then \
         stays closed until control has sent the bans of the database"
    )]
    Damaged {
        /// Its number, from 1.
        record: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A copy knows more than the journal, or something else.
    #[error(
        "the copy {place} of the revocation journal {how}: bans may be missing here, so the packet path stays closed; \
         look at both with `sekisho journal show`, then bring the copy back with `sekisho journal restore --from DIR`, \
         or take it out of gateway.journal_copies if it is not of this gateway"
    )]
    Copy {
        /// Which copy.
        place: String,
        /// How it differs.
        how: String,
    },
}

impl JournalError {
    /// True where the file itself is at fault: whoever starts again finds the same, so a person has to act.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Foreign(_) | Self::Truncated { .. } | Self::Damaged { .. } | Self::Copy { .. })
    }
}

/// What the journal said at start.
#[derive(Debug)]
pub struct Replay {
    /// Who is restricted how.
    pub state: State,
    /// What to tell the operator about an unfinished last batch.
    pub torn: Option<String>,
}

/// The journal, open for writing. One process at a time.
#[derive(Debug)]
pub struct Journal<D = FileDisk> {
    disk: D,
    head: JournalHead,
    room: u64,
    /// The last record that a write which failed may have left behind the head.
    dirty: u64,
}

impl Journal<FileDisk> {
    /// Opens the journal, or makes one where there is none (`id` names a new one).
    ///
    /// # Errors
    /// See [`JournalError`]: on any of them the gateway must not open its path.
    pub fn open(path: &Path, id: [u8; 16]) -> Result<(Self, Replay), JournalError> {
        Self::start(FileDisk::open(path, &record::header(id), STEP)?)
    }

    /// Its file once more, to read records that are acknowledged.
    ///
    /// # Errors
    /// Of the system.
    pub fn reader(&self) -> io::Result<File> {
        self.disk.reader()
    }
}

impl<D: Disk> Journal<D> {
    /// Checks the chain of what is on the disk, and mends an unfinished end.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn start(mut disk: D) -> Result<(Self, Replay), JournalError> {
        let found = read(&mut disk, |_, _| {})?;
        let mut state = found.state;
        let room = found.slots - found.head.records;
        let mut journal = Self { disk, head: found.head, room, dirty: found.last };
        let torn = match found.tail {
            Some(what) => Some(journal.mend(what, &mut state)?),
            None => None,
        };
        journal.grow_if_low();
        Ok((journal, Replay { state, torn }))
    }

    /// The header, which names the journal.
    ///
    /// # Errors
    /// Of the disk.
    pub fn header(&mut self) -> io::Result<Raw> {
        self.disk.read_at(0)
    }

    /// The last record.
    pub fn head(&self) -> JournalHead {
        self.head
    }

    /// How many records still fit without more disk space.
    pub fn room(&self) -> u64 {
        self.room.saturating_sub(1)
    }

    /// True if the journal has this record with this hash: whoever knows it knows nothing that is missing here.
    ///
    /// # Errors
    /// Of the disk.
    pub fn has(&mut self, known: &JournalHead) -> io::Result<bool> {
        if known.records == 0 {
            return Ok(true);
        }
        Ok(known.records <= self.head.records
            && record::hash_of(&self.disk.read_at(known.records * RECORD as u64)?) == known.hash)
    }

    /// Appends `entries` with one write and one flush; they are on the disk when this returns.
    ///
    /// # Errors
    /// Where the disk failed or no room is left. Nothing counts as appended then; a later append writes the
    /// same places again.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<Vec<Stored>> {
        let needed = entries.len() as u64;
        if self.room <= needed {
            self.grow(needed - self.room + 1)?;
        }
        let first = self.head.records + 1;
        let end = (self.head.records + needed).max(self.dirty);
        let batch = Batch { first, count: u32::try_from(end + 1 - first).unwrap_or(u32::MAX) };
        let mut head = self.head;
        let mut bytes = Vec::with_capacity(entries.len() * RECORD);
        let mut stored = Vec::with_capacity(entries.len());
        for entry in entries {
            let raw = record::encode(entry, head.records + 1, &head.hash, batch);
            head = JournalHead { records: head.records + 1, hash: record::hash_of(&raw) };
            bytes.extend_from_slice(&raw);
            stored.push(Stored { record: head.records, hash: head.hash });
        }
        // What an earlier write left behind these is no record of anything.
        bytes.resize((end + 1 - first) as usize * RECORD, 0);
        self.dirty = end;
        crash::point("journal.before-write");
        if !crash::sabotaged("ban-stored") {
            self.disk.write_at(first * RECORD as u64, &bytes)?;
        }
        crash::point("journal.written");
        if !crash::sabotaged("journal-flushed") {
            self.disk.sync()?;
        }
        crash::point("journal.synced");
        self.head = head;
        self.dirty = head.records;
        self.room -= needed;
        Ok(stored)
    }

    /// Makes the file longer where it has become short of room. To be called when nobody waits.
    pub fn grow_if_low(&mut self) -> Option<io::Error> {
        if self.room < LOW_WATER { self.grow(1).err() } else { None }
    }

    /// By at least so many records, in whole steps.
    fn grow(&mut self, records: u64) -> io::Result<()> {
        self.disk.grow((records * RECORD as u64).div_ceil(STEP) * STEP)?;
        self.room = slots(&mut self.disk)?.saturating_sub(self.head.records);
        Ok(())
    }

    /// Puts whole records in the place of an unfinished batch: bans of everybody whom it may have meant.
    fn mend(&mut self, what: &'static str, state: &mut State) -> Result<String, JournalError> {
        let (first, last) = (self.head.records + 1, self.dirty);
        let mut entries: Vec<Entry> = Vec::new();
        for slot in first..=last {
            let raw = self.disk.read_at(slot * RECORD as u64)?;
            if record::is_empty(&raw) {
                continue;
            }
            match record::alone(&raw) {
                Some((entry, _)) if entry.what.restricts() => entries.push(entry),
                // It was not acknowledged, and what it takes away stays.
                Some(_) => {}
                None => entries.extend(self.worst(slot, &raw)?),
            }
        }
        let stored = self.append(&entries)?;
        for (entry, stored) in entries.iter().zip(stored) {
            state.apply(entry, Some(stored));
        }
        let which = if first == last {
            format!("the last record ({first}) of the revocation journal was")
        } else {
            format!("the last records ({first} to {last}) of the revocation journal were")
        };
        if entries.is_empty() {
            return Ok(format!(
                "{which} not written to the end ({what}); it restricts nobody and was never acknowledged"
            ));
        }
        let names: Vec<String> = entries.iter().take(20).map(|e| e.what.to_string()).collect();
        let n = entries.len();
        Ok(format!(
            "{which} not written to the end ({what}); {n} count, because deny wins: {}",
            names.join(", ")
        ))
    }

    fn worst(&self, slot: u64, raw: &Raw) -> Result<Vec<Entry>, JournalError> {
        let meant = record::meant(raw).map_err(|what| JournalError::Damaged { record: slot, what })?;
        let entry = |what| Entry {
            what,
            at: record::time(raw),
            actor: "journal".to_owned(),
            reason: format!("record {slot} was torn; deny wins"),
        };
        Ok(meant.into_iter().map(entry).collect())
    }
}

/// What a journal's file holds.
struct Found {
    head: JournalHead,
    state: State,
    /// Places for records, behind the header.
    slots: u64,
    /// The last place that is written.
    last: u64,
    /// What is wrong with the first record of an unfinished last batch.
    tail: Option<&'static str>,
}

/// Reads a journal from its header to its end; `each` sees every whole record.
fn read(disk: &mut impl Disk, mut each: impl FnMut(&Entry, Stored)) -> Result<Found, JournalError> {
    let header = disk.read_at(0)?;
    record::check_header(&header).map_err(JournalError::Foreign)?;
    let mut head = JournalHead { records: 0, hash: record::hash_of(&header) };
    let mut state = State::default();
    let slots = slots(disk)?;
    let mut broken = "";
    while head.records < slots {
        let raw = disk.read_at((head.records + 1) * RECORD as u64)?;
        if record::is_empty(&raw) {
            broken = "it is empty";
            break;
        }
        match record::decode(&raw, head.records + 1, &head.hash) {
            Ok((entry, stored)) => {
                head = JournalHead { records: stored.record, hash: stored.hash };
                state.apply(&entry, Some(stored));
                each(&entry, stored);
            }
            Err(what) => {
                broken = what;
                break;
            }
        }
    }
    // What stands behind the first place that is no record.
    let first = head.records + 1;
    let (mut last, mut batches) = (head.records, Vec::new());
    for slot in first..=slots {
        let raw = disk.read_at(slot * RECORD as u64)?;
        if !record::is_empty(&raw) {
            last = slot;
            batches.extend(record::alone(&raw).map(|(_, batch)| batch));
        }
    }
    // One place always stays empty: a file without it has lost its end.
    if last >= slots {
        return Err(JournalError::Truncated { records: head.records });
    }
    // Of several writes that failed, the last one covers what those before it have left.
    let one_batch = |b: &Batch| b.covers(first) && b.covers(last);
    if last > first && !batches.iter().any(one_batch) {
        return Err(JournalError::Damaged { record: first, what: broken });
    }
    // A single place that is empty is no tail.
    let tail = (last >= first).then_some(broken);
    Ok(Found { head, state, slots, last, tail })
}

/// How many records the file has room for, behind its header.
fn slots(disk: &mut impl Disk) -> io::Result<u64> {
    Ok((disk.octets()? / RECORD as u64).saturating_sub(1))
}

#[cfg(test)]
mod sim;
#[cfg(test)]
pub(super) mod tests;
