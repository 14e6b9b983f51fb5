//! The SQN scheme, told as stories and then as a property over everything that can go wrong.

use proptest::prelude::*;
use sim_auth::{
    Aka as _, Milenage, Next, Resync, SqnClock, SqnGenerator, SqnHorizon, SqnMode, SqnProfile, SqnState,
    Usim, UsimAnswer, aka, fg_vector,
};
use std::collections::HashSet;
use types::{K, Mono, Now, Opc, Rand, Sqn, Utc};

const SNN: &str = "5G:mnc001.mcc001.3gppnetwork.org";
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// Without a horizon.
const NONE: i64 = i64::MIN;

fn keys() -> (K, Opc) {
    (K::new([0x46; 16]), Opc::new([0xcd; 16]))
}

fn at(ms: u64) -> Now {
    Now { mono: Mono(ms * 1_000_000), utc: Utc(1_790_000_000_000 + ms as i64) }
}

fn tick(ms: u64) -> i64 {
    SqnClock::new(at(0)).ticks(at(ms))
}

/// Asks until an SQN comes, every write succeeding.
fn take(g: &mut SqnGenerator, ind: u64, clock: i64) -> Sqn {
    loop {
        match g.next(ind, clock, NONE) {
            Next::Ready(sqn) => return sqn,
            Next::Persist(state) => g.persisted(state),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_new_sim_starts_at_1_and_an_imported_one_1024_above_its_export() {
    let profile = SqnProfile::default();
    let mut g = SqnGenerator::load(profile, SqnState::fresh(at(0).utc), tick(0), NONE);
    assert_eq!(take(&mut g, 0, tick(0)).seq(5), 1);
    assert_eq!(take(&mut g, 0, tick(0)).seq(5), 2, "two in one tick");
    assert_eq!(take(&mut g, 3, tick(60_000)).seq(5), 601, "then the clock, and the same SEQ for every IND");
    let mut g = SqnGenerator::load(profile, SqnState::imported(5_000, at(0).utc), tick(0), NONE);
    assert_eq!(take(&mut g, 0, tick(0)).seq(5), 6_024);
}

#[test]
fn no_sqn_leaves_above_what_is_durable() {
    let mut g = SqnGenerator::load(SqnProfile::default(), SqnState::fresh(at(0).utc), tick(0), NONE);
    let Next::Persist(state) = g.next(0, tick(0), NONE) else { panic!("a ceiling must be written first") };
    assert_eq!(g.next(0, tick(0), NONE), Next::Persist(state), "asking again does not help");
    g.persisted(state);
    let hour = tick(HOUR - 1_000);
    assert!(
        matches!(g.next(0, hour, NONE), Next::Ready(s) if s.seq(5) <= state.ceiling),
        "an hour needs no write"
    );
    assert!(matches!(g.next(0, tick(2 * HOUR), NONE), Next::Persist(s) if s.ceiling > state.ceiling));
}

#[test]
fn a_sim_in_use_renews_its_ceiling_before_anybody_waits() {
    let mut g = SqnGenerator::load(SqnProfile::default(), SqnState::fresh(at(0).utc), tick(0), NONE);
    let mut waits = 0;
    for minute in 0..24 * 60 {
        let clock = tick(minute * 60_000);
        loop {
            match g.next(0, clock, NONE) {
                Next::Ready(_) => break,
                Next::Persist(s) => {
                    waits += 1;
                    g.persisted(s);
                }
                other => panic!("{other:?}"),
            }
        }
        if let Some(s) = g.renewal(clock, NONE) {
            g.persisted(s);
        }
        let g_at = |m: u64| g.clone().next(0, tick((minute + m) * 60_000), NONE);
        assert!(matches!(g_at(10), Next::Ready(_)), "ten minutes without a store");
    }
    assert_eq!(waits, 1, "only the very first vector of the day waited");
}

#[test]
fn a_sim_that_is_silent_uses_its_ceiling_up_and_is_renewed_all_the_same() {
    let mut g = SqnGenerator::load(SqnProfile::default(), SqnState::fresh(at(0).utc), tick(0), NONE);
    take(&mut g, 0, tick(0));
    for minute in 0..24 * 60 {
        let clock = tick(minute * 60_000);
        if let Some(s) = g.renewal(clock, NONE) {
            g.persisted(s);
        }
        let in_ten = g.clone().next(0, tick((minute + 10) * 60_000), NONE);
        assert!(matches!(in_ten, Next::Ready(_)), "minute {minute}: {in_ten:?}");
    }
}

#[test]
fn a_crash_goes_on_above_the_ceiling_even_if_the_clock_stepped_back() {
    let mut g = SqnGenerator::load(SqnProfile::default(), SqnState::fresh(at(0).utc), tick(0), NONE);
    let used = take(&mut g, 0, tick(30 * DAY));
    let durable = g.state();
    let mut g = SqnGenerator::load(SqnProfile::default(), durable, tick(DAY), NONE);
    let next = take(&mut g, 0, tick(DAY));
    assert!(next > used);
    assert!(next.seq(5) <= used.seq(5) + 36_100, "and not far above it");
}

#[test]
fn below_the_horizon_no_sim_that_follows_the_clock_needs_a_write_of_its_own() {
    let mut horizon = SqnHorizon::load(None);
    let wanted = horizon.renewal(tick(0)).unwrap();
    let mut fresh = SqnGenerator::load(SqnProfile::default(), SqnState::fresh(at(0).utc), tick(0), NONE);
    let early = fresh.clone().next(0, tick(0), horizon.durable());
    assert!(matches!(early, Next::Persist(_)), "it is asked for and not durable: {early:?}");
    horizon.persisted(wanted);
    horizon.persisted(5);
    assert_eq!((horizon.durable(), horizon.renewal(tick(0))), (wanted, None));
    assert_eq!(fresh.renewal(tick(0), wanted), None);
    assert!(matches!(fresh.next(0, tick(0), wanted), Next::Ready(s) if s.seq(5) == 1));
    assert!(matches!(fresh.next(0, tick(HOUR), wanted), Next::Ready(_)));
    assert!(matches!(fresh.next(0, tick(HOUR + 100), wanted), Next::Persist(_)));
    assert_eq!(horizon.renewal(tick(HOUR / 3)), Some(tick(HOUR / 3 + HOUR)), "renewed long before that");
    // One that counts knows nothing of it.
    let counter = SqnProfile { mode: SqnMode::Counter, ..SqnProfile::default() };
    let mut counts = SqnGenerator::load(counter, SqnState::fresh(at(0).utc), tick(0), wanted);
    assert!(matches!(counts.next(0, tick(0), wanted), Next::Persist(_)));
}

#[test]
fn a_start_goes_on_above_the_horizon_and_start_after_start_does_not_run_away() {
    let mut horizon = SqnHorizon::load(None);
    let row = SqnState::fresh(at(0).utc);
    let mut used = None;
    for start in 0..1_000 {
        let clock = tick(start * 100);
        horizon.persisted(horizon.renewal(clock).unwrap());
        let mut g = SqnGenerator::load(SqnProfile::default(), row, clock, horizon.at_start());
        for _ in 0..64 {
            let Next::Ready(sqn) = g.next(0, clock, horizon.durable()) else { panic!("start {start}") };
            assert!(used.replace(sqn).is_none_or(|u| u < sqn));
        }
        horizon = SqnHorizon::load(Some(horizon.durable()));
    }
    assert!(used.unwrap().seq(5) < 36_000 + 1_001 * 64);
}

#[test]
fn a_clock_that_had_been_years_ahead_costs_each_card_one_auts_and_not_one_at_each_start() {
    let years = 4 * 365 * DAY;
    let row = SqnState::fresh(at(0).utc);
    let stored = SqnHorizon::load(None).renewal(tick(years)).unwrap();
    assert!(SqnHorizon::is_astray(stored, tick(0)) && !SqnHorizon::is_astray(stored, tick(years)));
    assert!(!SqnHorizon::is_astray(tick(HOUR), tick(0)), "an hour ahead is what it is meant to be");
    // The clock is right again, and the card never saw the years.
    let row = row.folded(SqnMode::Time, stored);
    let mut g = SqnGenerator::load(SqnProfile::default(), row, tick(0), NONE);
    assert!(take(&mut g, 0, tick(0)).seq(5) > (1 << 28));
    let Resync::Moved(moved) = g.resync(Sqn::from_seq_ind(9, 0, 5).unwrap(), tick(0)) else {
        panic!("it must")
    };
    let horizon = SqnHorizon::load(None).renewal(tick(0)).unwrap();
    let mut g = SqnGenerator::load(SqnProfile::default(), moved, tick(DAY), horizon);
    assert!(take(&mut g, 0, tick(DAY)).seq(5) <= 864_000 + 64);
    let counted = SqnState::fresh(at(0).utc);
    assert_eq!(counted.folded(SqnMode::Counter, stored), counted);
}

#[test]
fn the_clock_of_a_process_does_not_see_steps() {
    let clock = SqnClock::new(at(0));
    let stepped = Now { utc: Utc(0), ..at(5_000) };
    assert_eq!(clock.ticks(stepped) - clock.ticks(at(0)), 50);
}

#[test]
fn whoever_asks_without_end_meets_a_back_off_that_ends() {
    let profile = SqnProfile { max_ahead: 100, ..SqnProfile::default() };
    let mut g = SqnGenerator::load(profile, SqnState::fresh(at(0).utc), tick(0), NONE);
    let mut given = 0;
    let ticks = loop {
        match g.next(0, tick(0), NONE) {
            Next::Ready(_) => given += 1,
            Next::Persist(s) => g.persisted(s),
            Next::Backoff { ticks } => break ticks,
            Next::Exhausted => panic!("far from it"),
        }
    };
    assert_eq!((given, ticks), (101, 1));
    assert!(matches!(g.next(0, tick(100), NONE), Next::Ready(_)), "a tick later there is one more");
}

#[test]
fn after_a_crash_a_sim_that_ran_ahead_is_served_at_once() {
    let profile = SqnProfile { max_ahead: 100, ..SqnProfile::default() };
    let state = SqnState { ceiling: 1_000_000, ..SqnState::fresh(at(0).utc) };
    let mut g = SqnGenerator::load(profile, state, tick(0), NONE);
    assert_eq!(take(&mut g, 0, tick(0)).seq(5), 1_000_001);
}

#[test]
fn at_the_end_of_seq_nothing_is_given_rather_than_begun_again() {
    let state = SqnState::imported((1 << 43) - 1_025, at(0).utc);
    let mut g = SqnGenerator::load(SqnProfile::default(), state, tick(0), NONE);
    assert_eq!(take(&mut g, 31, tick(0)).value(), Sqn::MAX);
    assert_eq!(g.next(31, tick(0), NONE), Next::Exhausted);
}

#[test]
fn a_card_that_rested_for_years_is_back_after_one_auts() {
    let mut w = World::new(SqnMode::Time);
    for rest in [0, 300 * DAY, 400 * DAY, 2_000 * DAY, 1_000] {
        w.ms += rest;
        let sqn = w.next(0, std::iter::empty()).unwrap();
        let auts = w.present(sqn);
        assert_eq!(auts.is_some(), rest > 310 * DAY, "2^28 ticks are 310 days");
        if let Some(sqn_ms) = auts {
            w.resync(0, sqn_ms);
            let sqn = w.next(0, std::iter::empty()).unwrap();
            assert_eq!(sqn.seq(5), sqn_ms.seq(5) + 1, "it goes on where the card stands");
            assert_eq!(w.present(sqn), None);
        }
    }
}

#[test]
fn a_replayed_auts_of_a_card_that_is_not_behind_moves_nothing() {
    let mut g = SqnGenerator::load(SqnProfile::default(), SqnState::fresh(at(0).utc), tick(0), NONE);
    let sqn = take(&mut g, 0, tick(DAY));
    assert_eq!(g.resync(sqn, tick(DAY)), Resync::Unchanged);
    assert_eq!(g.resync(Sqn::new(0).unwrap(), tick(DAY)), Resync::Unchanged);
}

#[test]
fn a_card_that_is_ahead_is_followed_only_once_that_is_durable() {
    let mut g = SqnGenerator::load(SqnProfile::default(), SqnState::fresh(at(0).utc), tick(0), NONE);
    take(&mut g, 0, tick(0));
    // A background renewal is on its way when the card speaks.
    let stale = SqnState { ceiling: 99_999, ..g.state() };
    let sqn_ms = Sqn::from_seq_ind(70_000_000, 4, 5).unwrap();
    let Resync::Moved(moved) = g.resync(sqn_ms, tick(0)) else { panic!("it must move") };
    g.persisted(stale);
    assert_eq!(g.next(0, tick(0), NONE), Next::Persist(moved), "the late end of the renewal opens nothing");
    g.persisted(moved);
    assert_eq!(take(&mut g, 0, tick(0)).seq(5), 70_000_001);
    g.persisted(stale);
    assert_eq!(g.state(), moved, "and cannot come back");
}

#[test]
fn a_profile_without_room_for_the_nodes_is_refused() {
    let p = SqnProfile::default();
    assert!(p.check(4).is_ok());
    assert!(p.check(5).is_err());
    assert!(SqnProfile { node_bits: 6, ..p }.check(1).is_err());
    assert!(SqnProfile { ind_bits: 17, node_bits: 0, ..p }.check(1).is_err());
    let inds: HashSet<u64> = (0..4).flat_map(|n| (0..8).map(move |s| p.ind(n, s))).collect();
    assert_eq!(inds.len(), 32);
    assert!(inds.iter().all(|i| *i < 32));
}

/// What happens to a SIM.
#[derive(Debug, Clone)]
enum Act {
    Wait(u64),
    /// A challenge by a node; its AUTN may be lost on the way, and its writes may go wrong.
    Challenge {
        node: usize,
        delivered: bool,
        writes: Vec<WriteEnd>,
    },
    Flood {
        node: usize,
        n: usize,
    },
    /// The horizon is looked at, and written where that is worth it.
    Ahead {
        node: usize,
        write: WriteEnd,
    },
    Crash {
        node: usize,
    },
    /// Both nodes' wall clocks jump; a node sees it at its next start.
    ClockStep(i64),
    Backup,
    Restore,
}

#[derive(Debug, Clone, Copy)]
enum WriteEnd {
    Ok,
    Fails,
    CrashBefore,
    CrashAfter,
}

fn act() -> impl Strategy<Value = Act> {
    let write = || {
        prop_oneof![
            6 => Just(WriteEnd::Ok), 1 => Just(WriteEnd::Fails),
            1 => Just(WriteEnd::CrashBefore), 1 => Just(WriteEnd::CrashAfter),
        ]
    };
    let wait = prop_oneof![0u64..1_000, 0..HOUR, 0..30 * DAY, 0..500 * DAY];
    let step = prop_oneof![-600_000i64..600_000, -400 * DAY as i64..400 * DAY as i64];
    prop_oneof![
        4 => wait.prop_map(Act::Wait),
        8 => (0usize..2, any::<bool>(), prop::collection::vec(write(), 4))
            .prop_map(|(node, delivered, writes)| Act::Challenge { node, delivered, writes }),
        1 => (0usize..2, 1usize..200).prop_map(|(node, n)| Act::Flood { node, n }),
        4 => (0usize..2, write()).prop_map(|(node, write)| Act::Ahead { node, write }),
        2 => (0usize..2).prop_map(|node| Act::Crash { node }),
        1 => step.prop_map(Act::ClockStep),
        1 => Just(Act::Backup),
        1 => Just(Act::Restore),
    ]
}

struct Node {
    /// What its database has of the SIM, and its horizon.
    row: SqnState,
    stored: Option<i64>,
    horizon: SqnHorizon,
    clock: SqnClock,
    sqn: SqnGenerator,
}

struct World {
    profile: SqnProfile,
    ms: u64,
    skew: i64,
    nodes: [Node; 2],
    backup: [(SqnState, Option<i64>); 2],
    card: Usim,
    network: Milenage,
    given: HashSet<(u64, u64)>,
    rands: u64,
}

impl World {
    fn new(mode: SqnMode) -> Self {
        let profile = SqnProfile { mode, ..SqnProfile::default() };
        let (k, opc) = keys();
        let row = SqnState::fresh(at(0).utc);
        let node = || {
            let clock = SqnClock::new(at(0));
            let sqn = SqnGenerator::load(profile, row, clock.ticks(at(0)), NONE);
            Node { row, stored: None, horizon: SqnHorizon::load(None), clock, sqn }
        };
        Self {
            profile,
            ms: 0,
            skew: 0,
            nodes: [node(), node()],
            backup: [(row, None); 2],
            card: Usim::new(&k, &opc),
            network: Milenage::new(&k, &opc),
            given: HashSet::new(),
            rands: 0,
        }
    }

    fn now(&self) -> Now {
        let n = at(self.ms);
        Now { utc: Utc(n.utc.0 + self.skew), ..n }
    }

    fn start(&mut self, node: usize) {
        let now = self.now();
        let n = &mut self.nodes[node];
        n.clock = SqnClock::new(now);
        let clock = n.clock.ticks(now);
        if let Some(astray) = n.stored.filter(|s| SqnHorizon::is_astray(*s, clock)) {
            n.row = n.row.folded(self.profile.mode, astray);
            n.stored = None;
        }
        n.horizon = SqnHorizon::load(n.stored);
        n.sqn = SqnGenerator::load(self.profile, n.row, clock, n.horizon.at_start());
    }

    /// The next SQN of a node, whose writes end as told (and well, after that).
    fn next(&mut self, node: usize, mut writes: impl Iterator<Item = WriteEnd>) -> Option<Sqn> {
        loop {
            let clock = self.nodes[node].clock.ticks(self.now());
            let ind = self.profile.ind(node as u8, 0);
            let horizon = self.nodes[node].horizon.durable();
            match self.nodes[node].sqn.next(ind, clock, horizon) {
                Next::Ready(sqn) => {
                    let n = &self.nodes[node];
                    let durable = n.row.folded(self.profile.mode, n.stored.unwrap_or(NONE));
                    assert!(sqn.seq(5) <= durable.ceiling, "above what is durable");
                    assert!(self.given.insert((sqn.seq(5), sqn.ind(5))), "given twice: {sqn:?}");
                    return Some(sqn);
                }
                Next::Persist(state) => match writes.next().unwrap_or(WriteEnd::Ok) {
                    WriteEnd::Ok => {
                        self.nodes[node].row = state;
                        self.nodes[node].sqn.persisted(state);
                    }
                    WriteEnd::Fails => return None,
                    WriteEnd::CrashBefore => self.start(node),
                    WriteEnd::CrashAfter => {
                        self.nodes[node].row = state;
                        self.start(node);
                    }
                },
                Next::Backoff { ticks } => self.ms += ticks * 100,
                Next::Exhausted => panic!("2^43 is far away"),
            }
        }
    }

    /// The control process has time.
    fn ahead(&mut self, node: usize, write: WriteEnd) {
        let n = &mut self.nodes[node];
        let Some(horizon) = n.horizon.renewal(n.clock.ticks(at(self.ms))) else { return };
        match write {
            WriteEnd::Ok => {
                n.stored = Some(horizon);
                n.horizon.persisted(horizon);
            }
            WriteEnd::Fails => {}
            WriteEnd::CrashBefore => self.start(node),
            WriteEnd::CrashAfter => {
                n.stored = Some(horizon);
                self.start(node);
            }
        }
    }

    /// The card's answer: `None` if it accepted, else the SQN that its AUTS proves.
    fn present(&mut self, sqn: Sqn) -> Option<Sqn> {
        let (k, opc) = keys();
        self.rands += 1;
        let v = fg_vector(&k, &opc, Rand(u128::from(self.rands).to_be_bytes()), sqn, aka::AMF, SNN);
        match self.card.authenticate(&v.rand, &v.autn) {
            UsimAnswer::Success { .. } => None,
            UsimAnswer::MacFailure => panic!("the MAC is ours"),
            UsimAnswer::SynchFailure(auts) => Some(self.network.open_auts(&v.rand, &auts).unwrap()),
        }
    }

    fn resync(&mut self, node: usize, sqn_ms: Sqn) {
        let clock = self.nodes[node].clock.ticks(self.now());
        if let Resync::Moved(_) = self.nodes[node].sqn.resync(sqn_ms, clock) {
            // What this node gave above it, the card has proved not to have taken.
            let ind = self.profile.ind(node as u8, 0);
            self.given.retain(|(seq, i)| *i != ind || *seq <= sqn_ms.seq(5));
        }
    }

    /// A whole authentication: a challenge, and at most one re-synchronisation.
    fn authenticate(&mut self, node: usize, writes: Vec<WriteEnd>) {
        let Some(sqn) = self.next(node, writes.into_iter()) else { return };
        let Some(sqn_ms) = self.present(sqn) else { return };
        self.resync(node, sqn_ms);
        let sqn = self.next(node, std::iter::empty()).expect("all writes succeed");
        assert_eq!(self.present(sqn), None, "accepted after one re-synchronisation");
    }

    fn play(&mut self, act: Act) {
        match act {
            Act::Wait(ms) => self.ms += ms,
            Act::Challenge { node, delivered: true, writes } => self.authenticate(node, writes),
            Act::Challenge { node, delivered: false, writes } => {
                self.next(node, writes.into_iter());
            }
            Act::Flood { node, n } => (0..n).for_each(|_| {
                self.next(node, std::iter::empty());
            }),
            Act::Crash { node } => self.start(node),
            Act::ClockStep(ms) => self.skew += ms,
            Act::Ahead { node, write } => self.ahead(node, write),
            Act::Backup => self.backup = [0, 1].map(|n| (self.nodes[n].row, self.nodes[n].stored)),
            Act::Restore => {
                // The machine was lost; this is another one, a day later.
                self.ms += DAY;
                let now = self.now();
                for node in 0..2 {
                    let (row, stored) = self.backup[node];
                    self.nodes[node].row = row.after_restore(now.utc);
                    self.nodes[node].stored = stored;
                    self.start(node);
                }
            }
        }
    }
}

/// No (SEQ, IND) twice unless the card proved a lower one, nothing above what is durable, and every
/// vector that reaches the card is accepted or re-synchronised at once.
fn hold(mode: SqnMode, acts: impl Iterator<Item = Act>) {
    let mut w = World::new(mode);
    for act in acts {
        w.play(act);
    }
    for node in [0, 1] {
        w.authenticate(node, vec![]);
    }
}

fn is_step(a: &Act) -> bool {
    matches!(a, Act::ClockStep(_))
}

fn is_restore(a: &Act) -> bool {
    matches!(a, Act::Restore)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn crashes_and_clock_steps_with_two_nodes(acts in prop::collection::vec(act(), 1..60), count: bool) {
        let mode = if count { SqnMode::Counter } else { SqnMode::Time };
        hold(mode, acts.into_iter().filter(|a| !is_restore(a)));
    }

    /// A restore on a new machine has only its clock to go by, so here the clocks are right.
    #[test]
    fn crashes_and_restores_of_old_backups_with_two_nodes(acts in prop::collection::vec(act(), 1..60)) {
        hold(SqnMode::Time, acts.into_iter().filter(|a| !is_step(a)));
    }

    /// An old file copied back behind our back, so that nobody told the SQN scheme: the clock alone keeps
    /// SQNs apart as long as it was right and the SIM has not just been flooded, and the card is never
    /// lost.
    #[test]
    fn an_old_backup_copied_back_in_silence_leaves_no_card_behind(
        before in prop::collection::vec(act(), 1..30), after in prop::collection::vec(act(), 1..10),
    ) {
        let mut w = World::new(SqnMode::Time);
        let old = [0, 1].map(|n| (w.nodes[n].row, w.nodes[n].stored));
        let sane = |a: &Act| !matches!(a, Act::ClockStep(_) | Act::Restore | Act::Flood { .. } | Act::Crash { .. });
        let calm = |a: Act| match a {
            Act::Challenge { node, delivered, .. } => Act::Challenge { node, delivered, writes: vec![] },
            Act::Ahead { node, .. } => Act::Ahead { node, write: WriteEnd::Ok },
            other => other,
        };
        for act in before.into_iter().filter(sane).map(calm) {
            w.play(act);
            // More than one challenge in a tick would run ahead of the clock.
            w.play(Act::Wait(1_000));
        }
        for (node, (row, stored)) in old.into_iter().enumerate() {
            (w.nodes[node].row, w.nodes[node].stored) = (row, stored);
            w.start(node);
        }
        for act in after.into_iter().filter(sane) {
            w.play(act);
        }
        for node in [0, 1] {
            w.authenticate(node, vec![]);
        }
    }
}
