//! A disk that lies, forgets and fills up, from seeds: whatever it does, an acknowledged restriction is replayed or
//! the start is refused. Never an un-ban.

use super::tests::{cut, imsi, uncut};
use super::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use types::Imsi;

/// Octets that the device writes whole.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
struct Inner {
    /// What survives the loss of power.
    platter: Vec<u8>,
    /// Writes since the last flush that did what it said.
    cache: Vec<(usize, Vec<u8>)>,
    calls: u32,
    /// The call that fails, once.
    fail_at: Option<u32>,
    /// A flush that says yes and does nothing.
    lie_at: Option<u32>,
    full: bool,
}

#[derive(Debug, Clone, Default)]
struct SimDisk(Rc<RefCell<Inner>>);

impl SimDisk {
    fn new() -> Self {
        let disk = Self::default();
        {
            let mut d = disk.0.borrow_mut();
            d.platter.resize(STEP as usize, 0);
            d.platter[..RECORD].copy_from_slice(&record::header([7; 16]));
        }
        disk
    }

    /// True if this call is to fail.
    fn call(&self) -> io::Result<u32> {
        let mut d = self.0.borrow_mut();
        d.calls += 1;
        if d.fail_at == Some(d.calls) {
            return Err(io::Error::other("EIO"));
        }
        Ok(d.calls)
    }

    /// Power is lost: of each write in the cache some sectors arrived, in no order; or, with `octets`, a part that
    /// ends anywhere.
    fn lose_power(&self, dice: &mut ChaCha8Rng, octets: bool) {
        let mut d = self.0.borrow_mut();
        for (at, bytes) in std::mem::take(&mut d.cache) {
            if octets {
                let n = dice.next_u32() as usize % (bytes.len() + 1);
                d.platter[at..at + n].copy_from_slice(&bytes[..n]);
                continue;
            }
            let mut from = at;
            while from < at + bytes.len() {
                let to = (from / SECTOR + 1) * SECTOR;
                let to = to.min(at + bytes.len());
                if dice.next_u32().is_multiple_of(2) {
                    d.platter[from..to].copy_from_slice(&bytes[from - at..to - at]);
                }
                from = to;
            }
        }
        (d.fail_at, d.lie_at, d.full) = (None, None, false);
    }

    /// The process dies, the machine does not: everything that was written is there.
    fn kill(&self) {
        let mut d = self.0.borrow_mut();
        for (at, bytes) in std::mem::take(&mut d.cache) {
            d.platter[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        (d.fail_at, d.lie_at, d.full) = (None, None, false);
    }
}

impl Disk for SimDisk {
    fn octets(&mut self) -> io::Result<u64> {
        Ok(self.0.borrow().platter.len() as u64)
    }
    fn read_at(&mut self, offset: u64) -> io::Result<Raw> {
        let d = self.0.borrow();
        let at = offset as usize;
        let mut raw: Raw = d.platter[at..at + RECORD].try_into().unwrap();
        for (from, bytes) in &d.cache {
            for (n, b) in bytes.iter().enumerate() {
                if (at..at + RECORD).contains(&(from + n)) {
                    raw[from + n - at] = *b;
                }
            }
        }
        Ok(raw)
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let failed = self.call();
        let mut d = self.0.borrow_mut();
        // Also a write that fails may have written something.
        let half = ((offset as usize + bytes.len() / 2) / SECTOR * SECTOR).saturating_sub(offset as usize);
        let n = if failed.is_err() { half } else { bytes.len() };
        d.cache.push((offset as usize, bytes[..n].to_vec()));
        failed.map(drop)
    }
    fn sync(&mut self) -> io::Result<()> {
        let call = self.call()?;
        let mut d = self.0.borrow_mut();
        if d.lie_at != Some(call) {
            for (at, bytes) in std::mem::take(&mut d.cache) {
                d.platter[at..at + bytes.len()].copy_from_slice(&bytes);
            }
        }
        Ok(())
    }
    fn grow(&mut self, octets: u64) -> io::Result<()> {
        self.call()?;
        let mut d = self.0.borrow_mut();
        if d.full {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let len = d.platter.len() + octets as usize;
        d.platter.resize(len, 0);
        Ok(())
    }
}

/// What must hold: who was acknowledged as cut and not asked to be un-cut since.
#[derive(Debug, Default, Clone)]
struct Promise {
    cut: BTreeSet<Imsi>,
    /// Un-cuts that were asked for and not acknowledged: either is right.
    maybe: BTreeSet<Imsi>,
}

impl Promise {
    fn kept_by(&self, state: &State) -> Result<(), String> {
        match self.cut.difference(&self.maybe).find(|i| !state.revoked.contains_key(i)) {
            Some(lost) => Err(format!("the ban of {lost} was acknowledged and is lost")),
            None => Ok(()),
        }
    }

    /// Appends and notes what was acknowledged.
    fn append(&mut self, journal: &mut Journal<SimDisk>, entries: &[Entry]) -> bool {
        let done = journal.append(entries).is_ok();
        for e in entries {
            match &e.what {
                What::Cut(i, _) if done => {
                    self.cut.insert(*i);
                    self.maybe.remove(i);
                }
                What::Uncut(i) if done => {
                    self.cut.remove(i);
                }
                What::Uncut(i) => {
                    self.maybe.insert(*i);
                }
                _ => {}
            }
        }
        done
    }
}

fn some_entries(dice: &mut ChaCha8Rng) -> Vec<Entry> {
    let n = match dice.next_u32() % 4 {
        0 => 1 + dice.next_u32() % 12,
        _ => 1,
    };
    let one = |dice: &mut ChaCha8Rng| {
        let sim = dice.next_u32() % 12;
        if dice.next_u32().is_multiple_of(3) { uncut(sim) } else { cut(sim) }
    };
    (0..n).map(|_| one(dice)).collect()
}

/// What a run met, so that a test can say that it reached something.
#[derive(Debug, Default)]
struct Seen(BTreeMap<&'static str, u32>);

impl Seen {
    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

#[test]
fn power_loss_kills_and_failing_calls_lose_no_acknowledged_ban_and_never_close_the_path() {
    let mut seen = Seen::default();
    for seed in 0..400 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let disk = SimDisk::new();
        let mut promise = Promise::default();
        for life in 0..6 {
            let (mut journal, replay) = match Journal::start(disk.clone()) {
                Ok(v) => v,
                // No call of a start may fail here; sectors are written whole.
                Err(e) => panic!("seed {seed}, life {life}: {e}"),
            };
            if replay.torn.is_some() {
                seen.count("mended");
            }
            promise.kept_by(&replay.state).unwrap_or_else(|e| panic!("seed {seed}, life {life}: {e}"));
            // What is there after a start is what is promised from here on.
            promise = Promise { cut: replay.state.revoked.into_keys().collect(), ..Promise::default() };
            for _ in 0..dice.next_u32() % 12 {
                if dice.next_u32() % 4 == 0 {
                    let calls = disk.0.borrow().calls;
                    disk.0.borrow_mut().fail_at = Some(calls + 1 + dice.next_u32() % 2);
                }
                let entries = some_entries(&mut dice);
                seen.count(if promise.append(&mut journal, &entries) { "stored" } else { "failed" });
            }
            if dice.next_u32().is_multiple_of(3) {
                disk.kill();
            } else {
                // A write on its way when the power goes.
                let entries = some_entries(&mut dice);
                let calls = disk.0.borrow().calls;
                disk.0.borrow_mut().fail_at = Some(calls + 2);
                promise.append(&mut journal, &entries);
                disk.lose_power(&mut dice, false);
                seen.count("power lost");
            }
        }
    }
    for what in ["mended", "stored", "failed", "power lost"] {
        assert!(seen.0.get(what).is_some_and(|n| *n > 50), "{what}: {seen:?}");
    }
}

#[test]
fn a_write_torn_at_any_octet_loses_no_acknowledged_ban() {
    let (mut refused, mut opened) = (0, 0);
    for seed in 0..600 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let disk = SimDisk::new();
        let mut promise = Promise::default();
        let (mut journal, _) = Journal::start(disk.clone()).unwrap();
        for _ in 0..4 {
            assert!(promise.append(&mut journal, &some_entries(&mut dice)));
        }
        let calls = disk.0.borrow().calls;
        disk.0.borrow_mut().fail_at = Some(calls + 2);
        promise.append(&mut journal, &some_entries(&mut dice));
        disk.lose_power(&mut dice, true);
        match Journal::start(disk.clone()) {
            Ok((_, replay)) => {
                opened += 1;
                promise.kept_by(&replay.state).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            }
            Err(JournalError::Damaged { .. }) => refused += 1,
            Err(e) => panic!("seed {seed}: {e}"),
        }
    }
    assert!(opened > 10 * refused, "{opened} opened, {refused} refused");
}

#[test]
fn a_bit_flipped_anywhere_is_a_refusal_or_loses_no_acknowledged_ban() {
    let (mut refused, mut opened) = (0, 0);
    for seed in 0..600 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let disk = SimDisk::new();
        let mut promise = Promise::default();
        let (mut journal, _) = Journal::start(disk.clone()).unwrap();
        for _ in 0..5 {
            assert!(promise.append(&mut journal, &some_entries(&mut dice)));
        }
        let written = (journal.head().records as usize + 1) * RECORD;
        let at = dice.next_u32() as usize % written;
        disk.0.borrow_mut().platter[at] ^= 1 << (dice.next_u32() % 8);
        match Journal::start(disk.clone()) {
            Ok((_, replay)) => {
                opened += 1;
                promise.kept_by(&replay.state).unwrap_or_else(|e| panic!("seed {seed}, octet {at}: {e}"));
            }
            Err(JournalError::Damaged { .. } | JournalError::Foreign(_)) => refused += 1,
            Err(e) => panic!("seed {seed}: {e}"),
        }
    }
    assert!(opened > 50 && refused > 50, "{opened} opened, {refused} refused");
}

#[test]
fn a_flush_that_lied_is_found_by_whoever_knows_the_head() {
    let (mut found, mut harmless) = (0, 0);
    for seed in 0..400 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let disk = SimDisk::new();
        let mut promise = Promise::default();
        let (mut journal, _) = Journal::start(disk.clone()).unwrap();
        for _ in 0..3 {
            promise.append(&mut journal, &some_entries(&mut dice));
        }
        let calls = disk.0.borrow().calls;
        disk.0.borrow_mut().lie_at = Some(calls + 2);
        promise.append(&mut journal, &some_entries(&mut dice));
        let witness = journal.head();
        disk.lose_power(&mut dice, false);
        match Journal::start(disk.clone()) {
            Ok((mut journal, replay)) => {
                if journal.has(&witness).unwrap() {
                    harmless += 1;
                    promise.kept_by(&replay.state).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
                } else {
                    found += 1;
                }
            }
            Err(e) => panic!("seed {seed}: {e}"),
        }
    }
    assert!(found > 50 && harmless > 20, "{found} found, {harmless} harmless");
}

#[test]
fn every_call_of_a_start_that_mends_may_fail_or_be_the_last() {
    for call in 1..=3 {
        for power in [false, true] {
            let mut dice = ChaCha8Rng::seed_from_u64(u64::from(call));
            let disk = SimDisk::new();
            let (mut journal, _) = Journal::start(disk.clone()).unwrap();
            journal.append(&[cut(1)]).unwrap();
            journal.append(&[cut(2), cut(3), cut(4)]).unwrap();
            // Record 3 is torn: a hole in the last batch.
            disk.0.borrow_mut().platter[3 * RECORD + 100..4 * RECORD].fill(0);
            let calls = disk.0.borrow().calls;
            disk.0.borrow_mut().fail_at = Some(calls + call);
            let first = Journal::start(disk.clone());
            assert_eq!(first.is_err(), call <= 2, "call {call}");
            drop(first);
            if power {
                disk.lose_power(&mut dice, false)
            } else {
                disk.kill()
            }
            let (_, replay) = Journal::start(disk.clone()).unwrap_or_else(|e| panic!("call {call}: {e}"));
            for n in 1..=4 {
                assert!(replay.state.revoked.contains_key(&imsi(n)), "call {call}: {n}");
            }
        }
    }
}
