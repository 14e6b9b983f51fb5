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
//!  24  IMSI, ASCII, zero padded     40 hash of the record before
//!  72  actor (length, 31 octets)   104 reason (length, 87 octets)
//! 192  IMSI once more              208 zeros
//! 224  SHA-256 of octets 0..224    (all numbers big endian)
//! ```
//!
//! At start the whole chain is checked. Only the last record may be torn: it was not acknowledged, and
//! counts as a ban wherever its IMSI can be read (deny wins). Anything else refuses the start and names the
//! record: the packet path does not open on a revoked set that may be too small.

mod disk;
mod record;

pub use disk::{Disk, FileDisk};
pub use record::{Entry, Kind};

use crate::crash;
use crate::link::{JournalHead, Revoked, Stored};
use record::{RECORD, Raw};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use thiserror::Error;
use types::{Imsi, SimState};

/// Octets that the file grows by; 4 096 records.
const STEP: u64 = 1 << 20;

/// The file grows once less than this many records are free.
const LOW_WATER: u64 = 1024;

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
        "the file is no revocation journal of this release ({0}); put the newest copy back in its place, or name \
         another file in the configuration"
    )]
    Foreign(&'static str),
    /// Its end is missing.
    #[error(
        "the revocation journal is cut short after record {records}: bans may be missing; put the newest copy back \
         in its place. Without a copy move the file away: control then sends the bans of the database before any \
         session"
    )]
    Truncated {
        /// Records that can be read.
        records: u64,
    },
    /// A record in the middle is damaged.
    #[error(
        "record {record} of the revocation journal is damaged ({what}): the packet path stays closed; put the newest \
         copy back in its place. Without a copy move the file away: control then sends the bans of the database \
         before any session"
    )]
    Damaged {
        /// Its number, from 1.
        record: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What the journal said at start.
#[derive(Debug)]
pub struct Replay {
    /// The SIMs that are cut.
    pub revoked: BTreeMap<Imsi, Revoked>,
    /// What to tell the operator about a torn last record.
    pub torn: Option<String>,
}

/// The journal, open for writing. One process at a time.
#[derive(Debug)]
pub struct Journal<D = FileDisk> {
    disk: D,
    head: JournalHead,
    room: u64,
}

impl Journal<FileDisk> {
    /// Opens the journal, or makes one where there is none (`id` names a new one).
    ///
    /// # Errors
    /// See [`JournalError`]: on any of them the gateway must not open its path.
    pub fn open(path: &Path, id: [u8; 16]) -> Result<(Self, Replay), JournalError> {
        Self::start(FileDisk::open(path, &record::header(id), STEP)?)
    }
}

impl<D: Disk> Journal<D> {
    /// Checks the chain of what is on the disk.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn start(mut disk: D) -> Result<(Self, Replay), JournalError> {
        let mut chain = Chain::begin(disk.read_at(0)?)?;
        let slots = slots(&mut disk)?;
        let mut torn = None;
        while chain.head.records < slots {
            let slot = chain.head.records + 1;
            let raw = disk.read_at(slot * RECORD as u64)?;
            if record::is_empty(&raw) {
                break;
            }
            if let Err(what) = chain.take(&raw) {
                torn = Some((slot, raw, what));
                break;
            }
        }
        // One place always stays empty: a file without it has lost its end.
        let last = torn.as_ref().map_or(chain.head.records, |t| t.0);
        if last >= slots {
            return Err(JournalError::Truncated { records: chain.head.records });
        }
        if let Some(later) = written_after(&mut disk, last, slots)? {
            return Err(match torn {
                Some((record, _, what)) => JournalError::Damaged { record, what },
                None => JournalError::Damaged { record: later, what: "the one before it is empty" },
            });
        }
        let mut journal = Self { disk, head: chain.head, room: slots - chain.head.records };
        let torn = match torn {
            Some((slot, raw, what)) => Some(journal.mend(slot, &raw, what, &mut chain.revoked)?),
            None => None,
        };
        journal.grow_if_low();
        Ok((journal, Replay { revoked: chain.revoked, torn }))
    }

    /// The last record.
    pub fn head(&self) -> JournalHead {
        self.head
    }

    /// How many records still fit without more disk space.
    pub fn room(&self) -> u64 {
        self.room
    }

    /// Appends `entries` with one write and one flush; they are on the disk when this returns.
    ///
    /// # Errors
    /// Where the disk failed or no room is left. Nothing counts as appended then; a later append writes the
    /// same places again.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<Vec<Stored>> {
        let needed = entries.len() as u64;
        while self.room <= needed {
            self.grow()?;
        }
        let mut head = self.head;
        let mut bytes = Vec::with_capacity(entries.len() * RECORD);
        let mut stored = Vec::with_capacity(entries.len());
        for entry in entries {
            let raw = record::encode(entry, head.records + 1, &head.hash);
            head = JournalHead { records: head.records + 1, hash: record::hash_of(&raw) };
            bytes.extend_from_slice(&raw);
            stored.push(Stored { record: head.records, hash: head.hash });
        }
        crash::point("journal.before-write");
        self.disk.write_at((self.head.records + 1) * RECORD as u64, &bytes)?;
        crash::point("journal.written");
        self.disk.sync()?;
        crash::point("journal.synced");
        self.head = head;
        self.room -= needed;
        Ok(stored)
    }

    /// Makes the file longer where it has become short of room. To be called when nobody waits.
    pub fn grow_if_low(&mut self) -> Option<io::Error> {
        if self.room < LOW_WATER { self.grow().err() } else { None }
    }

    fn grow(&mut self) -> io::Result<()> {
        self.disk.grow(STEP)?;
        self.room = slots(&mut self.disk)?.saturating_sub(self.head.records);
        Ok(())
    }

    /// Puts a whole record in the place of a torn one: a ban of every SIM that it may have meant.
    fn mend(
        &mut self,
        slot: u64,
        raw: &Raw,
        what: &'static str,
        revoked: &mut BTreeMap<Imsi, Revoked>,
    ) -> Result<String, JournalError> {
        let meant = record::imsis(raw).map_err(|what| JournalError::Damaged { record: slot, what })?;
        if meant.is_empty() {
            self.disk.write_at(slot * RECORD as u64, &[0; RECORD])?;
            self.disk.sync()?;
            return Ok(format!(
                "the last record ({slot}) of the revocation journal was not written to its end ({what}) and names \
                 no SIM; it was never acknowledged"
            ));
        }
        let entries: Vec<Entry> = meant
            .iter()
            .map(|&imsi| Entry {
                kind: Kind::Cut(SimState::Lost),
                imsi,
                at: record::time(raw),
                actor: "journal".to_owned(),
                reason: format!("record {slot} was torn; deny wins"),
            })
            .collect();
        let stored = self.append(&entries)?;
        for (entry, stored) in entries.iter().zip(stored) {
            revoked.entry(entry.imsi).or_insert_with(|| entry.revoked(Some(stored)));
        }
        let names: Vec<String> = meant.iter().map(Imsi::to_string).collect();
        Ok(format!(
            "the last record ({slot}) of the revocation journal was not written to its end ({what}); it counts as a \
             ban of {}",
            names.join(", ")
        ))
    }
}

/// The chain as far as it has been read.
struct Chain {
    head: JournalHead,
    revoked: BTreeMap<Imsi, Revoked>,
}

impl Chain {
    fn begin(header: Raw) -> Result<Self, JournalError> {
        record::check_header(&header).map_err(JournalError::Foreign)?;
        let head = JournalHead { records: 0, hash: record::hash_of(&header) };
        Ok(Self { head, revoked: BTreeMap::new() })
    }

    fn take(&mut self, raw: &Raw) -> Result<(), &'static str> {
        let (entry, stored) = record::decode(raw, self.head.records + 1, &self.head.hash)?;
        self.head = JournalHead { records: stored.record, hash: stored.hash };
        match entry.kind {
            Kind::Cut(_) => {
                self.revoked.insert(entry.imsi, entry.revoked(Some(stored)));
            }
            Kind::Uncut => {
                self.revoked.remove(&entry.imsi);
            }
        }
        Ok(())
    }
}

/// How many records the file has room for, behind its header.
fn slots(disk: &mut impl Disk) -> io::Result<u64> {
    Ok((disk.octets()? / RECORD as u64).saturating_sub(1))
}

/// The first written record behind `slot`, if there is one: then `slot` is no torn end.
fn written_after(disk: &mut impl Disk, slot: u64, slots: u64) -> io::Result<Option<u64>> {
    for later in slot + 1..=slots {
        if !record::is_empty(&disk.read_at(later * RECORD as u64)?) {
            return Ok(Some(later));
        }
    }
    Ok(None)
}

#[cfg(test)]
pub(super) mod tests;
