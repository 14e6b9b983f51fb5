//! A copy in a directory: the same file, with the same octets, so that it can be put in the journal's place as it is.

use super::{Target, Trouble};
use crate::journal::disk::{Disk, FileDisk};
use crate::journal::record::{RECORD, Raw, hash_of};
use crate::journal::{JournalError, STEP, read};
use crate::link::JournalHead;
use std::path::Path;

/// The copy's name in its directory.
pub const FILE: &str = "revocations.journal";

pub(super) struct Directory {
    disk: FileDisk,
    head: JournalHead,
    /// The last place that is written; behind the head stands what a write that failed has left.
    dirty: u64,
}

impl Directory {
    /// The directory has to be there: an empty mount point is no place for a copy, and to make one would hide that
    /// the mount is missing.
    pub(super) fn open(directory: &Path, header: Raw) -> Result<Self, Trouble> {
        if !directory.is_dir() {
            return Err(Trouble::Behind("the directory is not there".to_owned()));
        }
        let mut disk = match FileDisk::open(&directory.join(FILE), &header, STEP) {
            Ok(disk) => disk,
            Err(JournalError::Io(e)) => return Err(e.into()),
            Err(e) => return Err(Trouble::Behind(e.to_string())),
        };
        if disk.read_at(0)? != header {
            return Err(Trouble::Differs("is of another journal".to_owned()));
        }
        let found = match read(&mut disk, |_, _| {}) {
            Ok(found) => found,
            Err(e) => return Err(Trouble::Behind(damaged(&e))),
        };
        Ok(Self { disk, head: found.head, dirty: found.last })
    }
}

fn damaged(e: &JournalError) -> String {
    let what = match e {
        JournalError::Damaged { record, what } => format!("its record {record} is damaged ({what})"),
        JournalError::Truncated { records } => format!("it is cut short after record {records}"),
        e => e.to_string(),
    };
    format!("{what}; move it away, and it is written anew")
}

impl Target for Directory {
    fn head(&mut self) -> Result<JournalHead, Trouble> {
        Ok(self.head)
    }

    fn append(&mut self, first: u64, records: &[u8]) -> Result<JournalHead, Trouble> {
        let count = (records.len() / RECORD) as u64;
        let last = (first + count - 1).max(self.dirty);
        let missing = ((last + 2) * RECORD as u64).saturating_sub(self.disk.octets()?);
        if missing > 0 {
            self.disk.grow(missing.div_ceil(STEP) * STEP)?;
        }
        let mut bytes = records.to_vec();
        bytes.resize((last + 1 - first) as usize * RECORD, 0);
        self.dirty = last;
        self.disk.write_at(first * RECORD as u64, &bytes)?;
        self.disk.sync()?;
        let raw = self.disk.read_at((first + count - 1) * RECORD as u64)?;
        self.head = JournalHead { records: first + count - 1, hash: hash_of(&raw) };
        self.dirty = self.head.records;
        Ok(self.head)
    }
}
