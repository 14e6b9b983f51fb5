//! The hunt: one thread per target, a watch over all of them.

use crate::{
    alloc,
    mutate::Mutator,
    targets::{Answer, Target},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Octets that a refused message may cost, beside what it holds itself.
const REFUSED_MAY_COST: usize = 64 * 1024;

/// Octets that a message that is read may cost, per octet of it and in all.
const READ_MAY_COST: (usize, usize) = (256, 1024 * 1024);

/// An input that takes longer is a finding, if it does so each of three times.
const SLOW: Duration = Duration::from_millis(250);

/// An input that takes longer hangs: it is named, and the whole run ends.
const HANGS: Duration = Duration::from_secs(30);

/// Answers that are kept per target.
const MOST_ANSWERS: usize = 2_000;

thread_local! {
    /// Where the last panic of this thread was.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What one input did.
pub enum Seen {
    /// An answer of this kind, for so many octets at most.
    Answer {
        /// The kind of answer.
        class: String,
        /// Octets held at once.
        peak: usize,
    },
    /// Something that must not be.
    Finding(String),
}

/// An input that did what must not be.
pub struct Finding {
    /// The input, made smaller.
    pub input: Vec<u8>,
    /// What it did.
    pub what: String,
}

/// What came of one target.
#[derive(Default)]
pub struct Report {
    /// Inputs tried.
    pub inputs: u64,
    /// One input per kind of answer.
    pub kept: BTreeMap<String, Vec<u8>>,
    /// The most octets that a refused input cost.
    pub peak: usize,
    /// The first finding; the hunt on that target ends with it.
    pub finding: Option<Finding>,
}

/// Runs one input.
pub fn once(target: &Target, input: &[u8]) -> Seen {
    let began = Instant::now();
    alloc::start();
    let result = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (peak, took) = (alloc::peak(), began.elapsed());
    let (class, limit) = match result {
        Err(_) => return Seen::Finding(format!("panic {}", PANIC.with_borrow(String::clone))),
        Ok(Answer::Broken(what)) => return Seen::Finding(what),
        Ok(Answer::Refused(class)) => (class, REFUSED_MAY_COST + 2 * input.len()),
        Ok(Answer::Read(class)) => (class, READ_MAY_COST.0 * input.len() + READ_MAY_COST.1),
        Ok(Answer::Lived(class)) => (class, usize::MAX),
    };
    if peak > limit {
        return Seen::Finding(format!("{} octets of input cost {peak} octets", input.len()));
    }
    if took > SLOW {
        return Seen::Finding(format!("{} octets of input took {} ms", input.len(), took.as_millis()));
    }
    Seen::Answer { class, peak }
}

/// [`once`], and where it only took long, again, because the machine may have been busy.
fn surely(target: &Target, input: &[u8]) -> Seen {
    let mut seen = once(target, input);
    for _ in 0..2 {
        match &seen {
            Seen::Finding(what) if what.ends_with(" ms") => seen = once(target, input),
            Seen::Finding(_) | Seen::Answer { .. } => break,
        }
    }
    seen
}

/// What a thread is at.
#[derive(Default)]
struct Hand {
    /// Milliseconds since the start at which the input began; 0 while there is none.
    since: AtomicU64,
    at: Mutex<(&'static str, Vec<u8>)>,
}

/// Hunts on every target for `each`, `hands` at a time.
pub fn all(
    targets: &[&'static Target],
    hands: usize,
    each: Duration,
    seed: u64,
) -> Vec<(&'static Target, Report)> {
    let silent = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or(String::new(), |l| format!("at {}:{}: ", l.file(), l.line()));
        let what = info.payload_as_str().unwrap_or("?").lines().next().unwrap_or_default().to_owned();
        PANIC.set(place + &what);
    }));
    let start = Instant::now();
    let queue = Mutex::new(targets.iter().copied().collect::<VecDeque<_>>());
    let reports = Mutex::new(Vec::new());
    let crew: Vec<Arc<Hand>> = (0..hands).map(|_| Arc::default()).collect();
    std::thread::scope(|scope| {
        let workers: Vec<_> = crew
            .iter()
            .map(|hand| {
                scope.spawn(|| {
                    while let Some(target) = lock(&queue).pop_front() {
                        let report = hunt(target, each, seed, hand, start);
                        lock(&reports).push((target, report));
                    }
                })
            })
            .collect();
        while workers.iter().any(|w| !w.is_finished()) {
            crew.iter().for_each(|hand| watch(hand, start));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    panic::set_hook(silent);
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|(t, _)| t.name);
    reports
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the run where an input hangs: there is no way to stop the thread.
fn watch(hand: &Hand, start: Instant) {
    let since = hand.since.load(Ordering::Relaxed);
    if since == 0 || start.elapsed() < Duration::from_millis(since) + HANGS {
        return;
    }
    let (target, input) = lock(&hand.at).clone();
    let file = crate::corpus::crash(target, &input).unwrap_or_else(|e| e.to_string());
    println!("{target:14} FOUND: hangs\n{:14} input: {file}", "");
    std::process::exit(1);
}

fn hunt(target: &'static Target, each: Duration, seed: u64, hand: &Hand, start: Instant) -> Report {
    let mut corpus = (target.seeds)();
    let mut mutator = Mutator::new(seed);
    let mut report = Report::default();
    let mut first: VecDeque<Vec<u8>> = corpus.iter().cloned().collect();
    let end = Instant::now() + each;
    while Instant::now() < end || !first.is_empty() {
        let input = first.pop_front().unwrap_or_else(|| mutator.next(&corpus));
        *lock(&hand.at) = (target.name, input.clone());
        hand.since.store(start.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
        let seen = surely(target, &input);
        hand.since.store(0, Ordering::Relaxed);
        report.inputs += 1;
        match seen {
            Seen::Finding(what) => {
                report.finding = Some(Finding { input: smaller(target, input), what });
                break;
            }
            Seen::Answer { class, peak } => {
                if class.starts_with("refused") {
                    report.peak = report.peak.max(peak);
                }
                if report.kept.len() < MOST_ANSWERS && !report.kept.contains_key(&class) {
                    corpus.push(input.clone());
                    report.kept.insert(class, input);
                }
            }
        }
    }
    report
}

/// Cuts pieces out as long as the input is still a finding.
fn smaller(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let is_finding = |i: &[u8]| matches!(once(target, i), Seen::Finding(_));
    let end = Instant::now() + Duration::from_secs(5);
    let mut piece = input.len() / 2;
    while piece > 0 && Instant::now() < end {
        let mut at = 0;
        while at + piece <= input.len() && Instant::now() < end {
            let mut less = input.clone();
            less.drain(at..at + piece);
            if is_finding(&less) {
                input = less;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picky(input: &[u8]) -> Answer {
        assert!(!input.windows(2).any(|w| w == [0xff, 0xff]), "two of them");
        if input.first() == Some(&7) {
            return Answer::Refused(format!("refused: {}", vec![1u8; 100_000].len()));
        }
        Answer::Read("read".to_owned())
    }

    fn target() -> Target {
        Target { name: "picky", what: "", seeds: || vec![vec![0; 64]], run: picky }
    }

    #[test]
    fn a_panic_is_found_and_made_small() {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let mut input = vec![3; 200];
        input.extend([0xff, 0xff]);
        input.extend([4; 100]);
        let small = smaller(&target(), input);
        panic::set_hook(hook);
        assert_eq!(small, [0xff, 0xff]);
    }

    #[test]
    fn a_refusal_that_costs_much_is_found() {
        assert!(matches!(once(&target(), &[7]), Seen::Finding(what) if what.contains("cost 100")));
        assert!(matches!(once(&target(), &[8]), Seen::Answer { .. }));
    }
}
