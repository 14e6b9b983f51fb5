use super::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use types::{Imsi, SimState, Utc};

/// A disk in memory whose content outlives the journal that writes it, and that fails at a chosen call.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeDisk {
    bytes: Rc<RefCell<Vec<u8>>>,
    calls: Rc<Cell<u32>>,
    fail_at: Rc<Cell<Option<u32>>>,
    full: Rc<Cell<bool>>,
}

impl FakeDisk {
    pub(crate) fn new() -> Self {
        let disk = Self::default();
        disk.bytes.borrow_mut().resize(STEP as usize, 0);
        disk.bytes.borrow_mut()[..RECORD].copy_from_slice(&record::header([7; 16]));
        disk
    }

    /// The next write or flush fails.
    pub(crate) fn fail_next(&self) {
        self.fail_at.set(Some(self.calls.get() + 1));
    }

    fn call(&self) -> io::Result<()> {
        self.calls.set(self.calls.get() + 1);
        if self.fail_at.get() == Some(self.calls.get()) { Err(io::Error::other("EIO")) } else { Ok(()) }
    }

    fn record(&self, n: u64) -> std::ops::Range<usize> {
        n as usize * RECORD..(n as usize + 1) * RECORD
    }
}

impl Disk for FakeDisk {
    fn octets(&mut self) -> io::Result<u64> {
        Ok(self.bytes.borrow().len() as u64)
    }
    fn read_at(&mut self, offset: u64) -> io::Result<Raw> {
        let bytes = self.bytes.borrow();
        let at = bytes.get(offset as usize..).and_then(|b| b.first_chunk()).copied();
        at.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }
    fn write_at(&mut self, offset: u64, new: &[u8]) -> io::Result<()> {
        self.call()?;
        self.bytes.borrow_mut()[offset as usize..offset as usize + new.len()].copy_from_slice(new);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.call()
    }
    fn grow(&mut self, octets: u64) -> io::Result<()> {
        if self.full.get() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let len = self.bytes.borrow().len() + octets as usize;
        self.bytes.borrow_mut().resize(len, 0);
        Ok(())
    }
}

pub(super) fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

pub(super) fn cut(n: u32) -> Entry {
    Entry {
        what: What::Cut(imsi(n), SimState::Stolen),
        at: Utc(1_700_000_000_000 + i64::from(n)),
        actor: "soc:山田太郎".to_owned(),
        reason: "ノートPCの盗難。".repeat(8),
    }
}

pub(super) fn uncut(n: u32) -> Entry {
    Entry { what: What::Uncut(imsi(n)), ..cut(n) }
}

fn write(disk: &FakeDisk, entries: &[Entry]) {
    let (mut j, _) = Journal::start(disk.clone()).unwrap();
    for e in entries {
        j.append(std::slice::from_ref(e)).unwrap();
    }
}

fn revoked(disk: &FakeDisk) -> Vec<Imsi> {
    let (_, replay) = Journal::start(disk.clone()).unwrap();
    assert_eq!(replay.torn, None);
    replay.state.revoked.into_keys().collect()
}

#[test]
fn a_restart_finds_what_was_cut_and_not_what_was_taken_back() {
    let disk = FakeDisk::new();
    write(&disk, &[cut(1), cut(2), cut(3), uncut(2), cut(1)]);
    assert_eq!(revoked(&disk), [imsi(1), imsi(3)]);
    let (j, replay) = Journal::start(disk).unwrap();
    assert_eq!(j.head().records, 5);
    let one = &replay.state.revoked[&imsi(1)];
    assert_eq!(one.stored, Some(Stored { record: 5, hash: j.head().hash }));
    assert_eq!((one.state, one.at, one.actor.as_str()), (SimState::Stolen, cut(1).at, "soc:山田太郎"));
    // Cut short at a character, not in the middle of one.
    assert!(cut(1).reason.starts_with(&one.reason) && one.reason.len() > 80);
}

#[test]
fn devices_quarantine_and_panic_are_found_again() {
    let disk = FakeDisk::new();
    let device: Device = "35693803564380".parse().unwrap();
    let long = "g".repeat(63);
    let entry = |what| Entry { what, ..cut(1) };
    let panic = |g: &str, on| entry(What::Panic(g.parse().unwrap(), on));
    write(
        &disk,
        &[
            entry(What::CutDevice(device)),
            entry(What::CutDevice("11111111111111".parse().unwrap())),
            entry(What::UncutDevice("11111111111111".parse().unwrap())),
            entry(What::Quarantine(imsi(4), true)),
            entry(What::Quarantine(imsi(5), true)),
            entry(What::Quarantine(imsi(5), false)),
            panic(&long, true),
            panic("plc", true),
            panic("plc", false),
        ],
    );
    let (j, replay) = Journal::start(disk.clone()).unwrap();
    let state = replay.state;
    assert_eq!(state.devices.keys().map(ToString::to_string).collect::<Vec<_>>(), ["35693803564380"]);
    assert_eq!(state.quarantined.keys().copied().collect::<Vec<_>>(), [imsi(4)]);
    assert_eq!(state.panicked.keys().map(|n| n.as_str()).collect::<Vec<_>>(), [long.as_str()]);
    assert_eq!(state.panicked.values().next().unwrap().unwrap().record, 7);
    assert_eq!(j.head().records, 9);
    assert!(state.revoked.is_empty());
    assert!("3569380356438".parse::<Device>().is_err() && "3569380356438x".parse::<Device>().is_err());
}

#[test]
fn a_bit_flipped_in_the_last_record_never_loses_a_device_a_quarantine_or_a_panic() {
    let group = "press-shop".parse::<types::Name>().unwrap();
    let device: Device = "35693803564380".parse().unwrap();
    for what in [What::CutDevice(device), What::Quarantine(imsi(2), true), What::Panic(group.clone(), true)] {
        for octet in 0..RECORD {
            let disk = FakeDisk::new();
            write(&disk, &[cut(1), Entry { what: what.clone(), ..cut(2) }]);
            let place = disk.record(2).start + octet;
            disk.bytes.borrow_mut()[place] ^= 0x10 >> (octet % 5);
            match Journal::start(disk.clone()) {
                // A group's name cannot be guessed: the start is refused.
                Err(JournalError::Damaged { record: 2, .. }) => {
                    assert!(matches!(what, What::Panic(..)) && octet >= 104, "{octet}: {what}");
                }
                Err(e) => panic!("{octet}: {e}"),
                Ok((_, replay)) => {
                    let s = replay.state;
                    let held = match &what {
                        What::CutDevice(d) => s.devices.contains_key(d),
                        // A ban is more than a quarantine.
                        What::Quarantine(i, _) => s.quarantined.contains_key(i) || s.revoked.contains_key(i),
                        _ => s.panicked.contains_key(&group),
                    };
                    assert!(held, "{octet}: {what}: {:?}", replay.torn);
                }
            }
        }
    }
}

#[test]
fn a_batch_that_was_not_written_whole_counts_as_far_as_it_can_be_read() {
    for gone in [vec![2], vec![3], vec![2, 4], vec![6], vec![2, 3, 4, 5]] {
        let disk = FakeDisk::new();
        write(&disk, &[cut(1)]);
        let (mut j, _) = Journal::start(disk.clone()).unwrap();
        j.append(&[cut(2), cut(3), cut(4), uncut(1), cut(6)]).unwrap();
        drop(j);
        for n in &gone {
            disk.bytes.borrow_mut()[disk.record(*n)].fill(0);
        }
        let (j, replay) = Journal::start(disk.clone()).unwrap();
        assert_eq!(replay.torn.is_some(), gone != [6], "{gone:?}");
        for n in [2, 3, 4, 6] {
            let held = replay.state.revoked.contains_key(&imsi(n));
            assert_eq!(held, !gone.contains(&u64::from(n)), "{gone:?}: {n}");
        }
        // The unban was not acknowledged: unless all before it is there it does not count.
        assert_eq!(replay.state.revoked.contains_key(&imsi(1)), gone != [6], "{gone:?}");
        // And the next start finds the same, without a word.
        let (again, replay) = Journal::start(disk.clone()).unwrap();
        assert_eq!((again.head(), replay.torn), (j.head(), None), "{gone:?}");
    }
    // The same holes in records that were acknowledged one by one are damage.
    let disk = FakeDisk::new();
    write(&disk, &[cut(1), cut(2), cut(3)]);
    disk.bytes.borrow_mut()[disk.record(2)].fill(0);
    assert!(matches!(Journal::start(disk), Err(JournalError::Damaged { record: 2, .. })));
}

#[test]
fn what_a_failed_batch_left_behind_is_no_record() {
    let disk = FakeDisk::new();
    write(&disk, &[cut(1)]);
    let (mut j, _) = Journal::start(disk.clone()).unwrap();
    // Written, but the flush fails; then something shorter takes its place.
    disk.fail_at.set(Some(disk.calls.get() + 2));
    j.append(&[cut(2), cut(3), cut(4)]).unwrap_err();
    j.append(&[cut(5)]).unwrap();
    assert_eq!(revoked(&disk), [imsi(1), imsi(5)]);
}

#[test]
fn a_clock_that_is_wrong_changes_no_order() {
    let disk = FakeDisk::new();
    let at = |e: Entry, at| Entry { at: Utc(at), ..e };
    // 1970, then backwards: the last word is the one that was said last.
    write(
        &disk,
        &[
            at(cut(1), 1_800_000_000_000),
            at(uncut(1), 0),
            at(cut(1), -5),
            at(cut(2), 1_700_000_000_000),
            at(uncut(2), 1_600_000_000_000),
        ],
    );
    assert_eq!(revoked(&disk), [imsi(1)]);
}

#[test]
fn a_head_that_is_known_elsewhere_tells_an_older_journal_and_another_one() {
    let disk = FakeDisk::new();
    write(&disk, &[cut(1), cut(2)]);
    let old = disk.bytes.borrow().clone();
    write(&disk, &[cut(3)]);
    let (mut j, _) = Journal::start(disk.clone()).unwrap();
    let known = j.head();
    assert!(j.has(&known).unwrap() && j.has(&JournalHead::default()).unwrap());
    write(&disk, &[cut(4)]);
    assert!(Journal::start(disk.clone()).unwrap().0.has(&known).unwrap());
    *disk.bytes.borrow_mut() = old;
    let (mut j, _) = Journal::start(disk.clone()).unwrap();
    assert!(!j.has(&known).unwrap(), "older");
    j.append(&[cut(9)]).unwrap();
    assert!(!j.has(&known).unwrap(), "as long, and another one");
}

#[test]
fn many_at_once_are_one_write_and_one_flush() {
    let disk = FakeDisk::new();
    let (mut j, _) = Journal::start(disk.clone()).unwrap();
    let entries: Vec<Entry> = (0..5000).map(cut).collect();
    let stored = j.append(&entries).unwrap();
    assert_eq!(stored.len(), 5000);
    assert_eq!(disk.calls.get(), 2);
    assert_eq!(revoked(&disk).len(), 5000);
}

#[test]
fn a_last_record_torn_at_any_octet_bans_whom_it_names() {
    for written in [1, 8, 24, 39, 40, 100, 191, 192, 200, 207, 224, 255] {
        let disk = FakeDisk::new();
        write(&disk, &[cut(1), uncut(1), cut(2)]);
        disk.bytes.borrow_mut()[disk.record(3)][written..].fill(0);
        let (mut j, replay) = match Journal::start(disk.clone()) {
            Ok(v) => v,
            Err(JournalError::Damaged { record: 3, .. }) => continue,
            Err(e) => panic!("{written}: {e}"),
        };
        let torn = replay.torn.expect("told");
        assert!(torn.contains("(3)"), "{torn}");
        // 40 octets hold the IMSI; before that nothing can be known, and nothing was acknowledged.
        assert_eq!(replay.state.revoked.contains_key(&imsi(2)), written >= 39, "{written}: {torn}");
        assert!(!replay.state.revoked.contains_key(&imsi(1)));
        j.append(&[cut(9)]).unwrap();
        // The chain is whole again.
        assert!(revoked(&disk).contains(&imsi(9)));
    }
}

#[test]
fn a_torn_unban_leaves_the_ban() {
    let disk = FakeDisk::new();
    write(&disk, &[cut(1), uncut(1)]);
    disk.bytes.borrow_mut()[disk.record(2)][150..].fill(0);
    let (_, replay) = Journal::start(disk.clone()).unwrap();
    assert!(replay.torn.is_some());
    assert_eq!(revoked(&disk), [imsi(1)]);
}

#[test]
fn one_flipped_bit_anywhere_before_the_end_closes_the_path() {
    let disk = FakeDisk::new();
    write(&disk, &[cut(1), cut(2), cut(3)]);
    for octet in 0..RECORD {
        for record in [1, 2] {
            let place = disk.record(record).start + octet;
            disk.bytes.borrow_mut()[place] ^= 1 << (octet % 8);
            let got = Journal::start(disk.clone());
            assert!(
                matches!(got, Err(JournalError::Damaged { record: r, .. }) if r == record),
                "{octet}: {got:?}"
            );
            disk.bytes.borrow_mut()[place] ^= 1 << (octet % 8);
        }
    }
    assert_eq!(revoked(&disk).len(), 3);
}

#[test]
fn a_bit_flipped_in_the_last_record_never_loses_its_ban() {
    for octet in 0..RECORD {
        let disk = FakeDisk::new();
        write(&disk, &[cut(1), cut(2)]);
        let place = disk.record(2).start + octet;
        disk.bytes.borrow_mut()[place] ^= 0x10 >> (octet % 5);
        let (_, replay) = Journal::start(disk.clone()).unwrap();
        assert!(replay.state.revoked.contains_key(&imsi(1)), "{octet}");
        assert!(replay.state.revoked.contains_key(&imsi(2)), "{octet}: {:?}", replay.torn);
    }
}

#[test]
fn a_missing_end_is_found() {
    let disk = FakeDisk::new();
    write(&disk, &[cut(1), cut(2), cut(3)]);
    let whole = disk.bytes.borrow().clone();
    for keep in [RECORD, 2 * RECORD, 2 * RECORD + 17, 3 * RECORD + 255, 4 * RECORD] {
        disk.bytes.borrow_mut().truncate(keep);
        let got = Journal::start(disk.clone());
        assert!(matches!(got, Err(JournalError::Truncated { .. })), "{keep}: {got:?}");
        disk.bytes.borrow_mut().clone_from(&whole);
    }
    // A kill while the file was growing leaves an odd length and loses nothing.
    disk.bytes.borrow_mut().truncate(6 * RECORD + 100);
    assert_eq!(revoked(&disk).len(), 3);
}

#[test]
fn records_that_were_moved_removed_or_brought_from_elsewhere_are_found() {
    let (disk, other) = (FakeDisk::new(), FakeDisk::new());
    write(&disk, &[cut(1), cut(2), cut(3), cut(4)]);
    other.bytes.borrow_mut()[..RECORD].copy_from_slice(&record::header([8; 16]));
    write(&other, &[cut(1), cut(2), cut(3), cut(4)]);
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = disk.bytes.borrow().clone();
        change(&mut bytes);
        let d = FakeDisk::default();
        *d.bytes.borrow_mut() = bytes;
        matches!(Journal::start(d), Err(JournalError::Damaged { .. }))
    };
    let r = |n| disk.record(n);
    assert!(damaged(&|b| b.copy_within(r(3), r(2).start)), "one copied over another");
    assert!(damaged(&|b| b[r(2)].fill(0)), "one taken out");
    assert!(damaged(&|b| b.copy_within(r(3).start..r(5).start, r(2).start)), "the rest moved up");
    assert!(damaged(&|b| b[r(2)].copy_from_slice(&other.bytes.borrow()[r(2)])), "one of another journal");
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let disk = FakeDisk::new();
    disk.bytes.borrow_mut()[..RECORD].fill(b'x');
    assert!(matches!(Journal::start(disk.clone()), Err(JournalError::Foreign(_))));
    disk.bytes.borrow_mut()[..RECORD].fill(0);
    assert!(matches!(Journal::start(disk), Err(JournalError::Foreign(_))));
}

#[test]
fn a_failed_write_or_flush_is_no_record_and_the_next_one_takes_its_place() {
    for call in 1..=2 {
        let disk = FakeDisk::new();
        write(&disk, &[cut(1)]);
        let (mut j, _) = Journal::start(disk.clone()).unwrap();
        let before = j.head();
        disk.fail_at.set(Some(disk.calls.get() + call));
        j.append(&[cut(2)]).unwrap_err();
        assert_eq!(j.head(), before);
        assert_eq!(j.append(&[cut(3)]).unwrap()[0].record, 2);
        assert_eq!(revoked(&disk), [imsi(1), imsi(3)]);
    }
}

#[test]
fn a_full_disk_stops_no_ban_for_thousands_of_records() {
    let disk = FakeDisk::new();
    let (mut j, _) = Journal::start(disk.clone()).unwrap();
    // The space runs low unnoticed, then the disk fills up.
    while j.room() > LOW_WATER {
        j.append(&[cut(1)]).unwrap();
    }
    disk.full.set(true);
    assert!(j.room() >= 5000, "a ban of 5 000 SIMs has room");
    for n in 0..j.room() as u32 {
        j.append(&[cut(n)]).unwrap();
    }
    assert!(j.grow_if_low().is_some());
    assert_eq!(j.append(&[cut(0)]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(Journal::start(disk.clone()).unwrap().0.head(), j.head());
    disk.full.set(false);
    j.append(&[cut(0)]).unwrap();
}

#[test]
fn the_file_is_private_held_by_one_and_read_again() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("revocations.journal");
    let (mut j, replay) = Journal::open(&path, [1; 16]).unwrap();
    assert!(replay.state.revoked.is_empty());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Journal::open(&path, [2; 16]), Err(JournalError::Held)));
    j.append(&[cut(1)]).unwrap();
    for _ in 0..2 {
        j.grow(1).unwrap();
    }
    drop(j);
    let (j, replay) = Journal::open(&path, [3; 16]).unwrap();
    assert_eq!((j.head().records, replay.state.revoked.len()), (1, 1));
    assert_eq!(j.room(), 3 * STEP / RECORD as u64 - 3);
}
