//! The journal on a machine that does not run: `sekisho journal show`, `verify` and `restore`. No secrets in it.

use super::disk::{Disk, FileDisk, write_whole};
use super::record::{self, RECORD, Raw};
use super::{Batch, Entry, Found, JournalError, STEP, State, read};
use crate::link::{JournalHead, Stored};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use types::Utc;

/// The name of a copy in its directory.
pub use super::copies::FILE;

/// What a journal's file holds, as far as it can be trusted.
#[derive(Debug)]
pub struct Inspection {
    /// Its whole records, in order.
    pub records: Vec<(Stored, Entry)>,
    /// Its last whole record.
    pub head: JournalHead,
    /// Who is restricted by them.
    pub state: State,
    /// What is wrong with an unfinished last batch, which a start would mend.
    pub unfinished: Option<&'static str>,
}

/// Reads a journal without changing it, also one that a gateway holds.
///
/// # Errors
/// What a start would refuse, and why.
pub fn inspect(path: &Path) -> Result<Inspection, JournalError> {
    let mut disk = FileDisk::look(path)?;
    let mut records = Vec::new();
    let Found { head, state, tail, .. } =
        read(&mut disk, |entry, stored| records.push((stored, entry.clone())))?;
    Ok(Inspection { records, head, state, unfinished: tail })
}

/// What a restoration did.
#[derive(Debug, PartialEq, Eq)]
pub struct Restored {
    /// Records of the copy.
    pub copied: u64,
    /// Records that were only in the journal before, and that follow the copy's.
    pub kept: u64,
    /// Restrictions that could still be read behind the damage; they count anew, because deny wins.
    pub saved: u64,
    /// The head afterwards.
    pub head: JournalHead,
    /// Where the journal before is.
    pub before: Option<PathBuf>,
}

/// Brings a copy back in the place of `journal`, whose gateway does not run. Nothing that the journal before says of a
/// restriction is lost: what follows the copy is kept, what can be read behind a damaged record counts anew.
///
/// # Errors
/// Where the copy is none, the journal is held by a gateway, or the disk fails; the journal is then as before.
pub fn restore(copy: &Path, journal: &Path, now: Utc) -> Result<Restored, JournalError> {
    let mut from = FileDisk::look(copy)?;
    let found = read(&mut from, |_, _| {})?;
    let header = from.read_at(0)?;
    let mut raws = vec![header];
    for n in 1..=found.head.records {
        raws.push(from.read_at(n * RECORD as u64)?);
    }
    let (mut head, mut state) = (found.head, found.state);
    let (mut kept, mut saved) = (0, Vec::new());
    let old = fs::exists(journal)?;
    if old {
        // Held by a gateway that runs: refused.
        let mut disk = FileDisk::open_old(journal)?;
        for raw in behind(&mut disk, &header, found.head.records)? {
            match record::decode(&raw, head.records + 1, &head.hash) {
                Ok((entry, stored)) => {
                    head = JournalHead { records: stored.record, hash: stored.hash };
                    state.apply(&entry, Some(stored));
                    raws.push(raw);
                    kept += 1;
                }
                Err(_) => saved.extend(restriction(&raw)),
            }
        }
        saved.retain(|e| state.holds(&e.what).is_none());
    }
    let batch = Batch { first: head.records + 1, count: u32::try_from(saved.len()).unwrap_or(u32::MAX) };
    for entry in &saved {
        let raw = record::encode(entry, head.records + 1, &head.hash, batch);
        head = JournalHead { records: head.records + 1, hash: record::hash_of(&raw) };
        raws.push(raw);
    }
    let before = old.then(|| journal.with_extension(format!("before-{}", now.0)));
    if let Some(before) = &before {
        fs::copy(journal, before)?;
    }
    let bytes = raws.concat();
    let size = (bytes.len() as u64 + STEP).div_ceil(STEP) * STEP;
    write_whole(journal, &bytes, size)?;
    Ok(Restored { copied: found.head.records, kept, saved: saved.len() as u64, head, before })
}

/// What stands in the journal before behind the place that the copy reaches; all of it, where the journal is another
/// one.
fn behind(disk: &mut impl Disk, header: &Raw, records: u64) -> io::Result<Vec<Raw>> {
    let places = disk.octets()? / RECORD as u64;
    let same = disk.read_at(0)? == *header;
    let first = if same { records + 1 } else { 1 };
    let mut raws = Vec::new();
    for n in first..places {
        let raw = disk.read_at(n * RECORD as u64)?;
        if !record::is_empty(&raw) {
            raws.push(raw);
        }
    }
    Ok(raws)
}

/// What a record restricts that does not follow the chain.
fn restriction(raw: &Raw) -> Vec<Entry> {
    if let Some((entry, _)) = record::alone(raw) {
        return if entry.what.restricts() { vec![entry] } else { Vec::new() };
    }
    let entry = |what| Entry {
        what,
        at: record::time(raw),
        actor: "journal".to_owned(),
        reason: "saved from a damaged record; deny wins".to_owned(),
    };
    record::meant(raw).unwrap_or_default().into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cut, imsi, uncut};
    use super::super::{Journal, What};
    use super::*;

    fn journal(path: &Path, entries: &[Entry]) -> JournalHead {
        let (mut j, _) = Journal::open(path, [9; 16]).unwrap();
        entries.iter().for_each(|e| drop(j.append(std::slice::from_ref(e)).unwrap()));
        j.head()
    }

    fn flip(path: &Path, at: usize) {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_journal_is_shown_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let head = journal(&path, &[cut(1), uncut(1), cut(2)]);
        let before = fs::read(&path).unwrap();
        // Also while a gateway holds it.
        let held = Journal::open(&path, [0; 16]).unwrap();
        let seen = inspect(&path).unwrap();
        assert_eq!((seen.records.len(), seen.head, seen.unfinished), (3, head, None));
        assert_eq!(seen.records[1].1.what.to_string(), format!("uncut {}", imsi(1)));
        drop(held);
        assert_eq!(fs::read(&path).unwrap(), before);
        flip(&path, 2 * RECORD + 30);
        assert!(matches!(inspect(&path), Err(JournalError::Damaged { record: 2, .. })));
    }

    #[test]
    fn a_copy_is_brought_back_and_nothing_that_the_damaged_journal_still_says_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let (copy, path) = (dir.path().join("copy"), dir.path().join(FILE));
        journal(&path, &[cut(1), cut(2)]);
        fs::copy(&path, &copy).unwrap();
        // The copy is behind: an unban (3) and three bans (4 to 6) came later; then record 5 is damaged.
        journal(&path, &[uncut(1), cut(3), cut(4), cut(5), uncut(2)]);
        flip(&path, 5 * RECORD + 110);
        assert!(Journal::open(&path, [0; 16]).is_err());
        let done = restore(&copy, &path, Utc(7)).unwrap();
        assert_eq!((done.copied, done.kept, done.saved), (2, 2, 2), "{done:?}");
        assert!(done.before.as_ref().is_some_and(|b| b.exists()));
        let (j, replay) = Journal::open(&path, [0; 16]).unwrap();
        assert_eq!((j.head(), replay.torn), (done.head, None));
        // Whose unban stands behind the damage stays banned.
        let held: Vec<_> = replay.state.revoked.into_keys().collect();
        assert_eq!(held, [imsi(2), imsi(3), imsi(4), imsi(5)]);
        assert!(j.room() > 5000);
    }

    #[test]
    fn a_journal_that_is_held_and_a_copy_that_is_none_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (copy, path) = (dir.path().join("copy"), dir.path().join(FILE));
        journal(&path, &[cut(1)]);
        fs::write(&copy, vec![b'x'; 4096]).unwrap();
        assert!(matches!(restore(&copy, &path, Utc(7)), Err(JournalError::Foreign(_))));
        fs::copy(&path, &copy).unwrap();
        let held = Journal::open(&path, [0; 16]).unwrap();
        assert!(matches!(restore(&copy, &path, Utc(7)), Err(JournalError::Held)));
        drop(held);
        fs::remove_file(&path).unwrap();
        let done = restore(&copy, &path, Utc(7)).unwrap();
        assert_eq!((done.copied, done.kept, done.saved, done.before), (1, 0, 0, None));
        let (_, replay) = Journal::open(&path, [0; 16]).unwrap();
        assert!(replay.state.holds(&What::Cut(imsi(1), types::SimState::Stolen)).is_some());
    }
}
