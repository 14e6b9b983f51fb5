//! Maximum bit rates of a session (session-AMBR, MBR of its QERs, TS 23.501 §5.7.1.8) and of rules: a token bucket each.
//!
//! What does not fit is dropped, not kept back. Octets of inner IP count, only those of packets that everything else
//! lets through. A bucket holds what its rate gives in a tenth of a second, and never less than 65 536 octets, so
//! that a large segment that was cut up in front of us is not lost for its own sake. So in any stretch of time
//! no more passes than rate × time + bucket, and a sender that keeps to that loses nothing.

use crate::compile::RuleIdx;
use crate::hash::{Keyed, Map};
use crate::session::{Rate, RateOf};
use std::collections::VecDeque;
use types::{Direction, Imsi, Mono, RuleRate};

/// A bucket holds what its rate gives in this time, nanoseconds.
const BURST_NS: u64 = 100_000_000;
/// And not less than this, octets.
const BURST_OCTETS: u64 = 65_536;
/// Credit is counted in millionths of a bit, because 1 kbit/s earns just one in a nanosecond: nothing is rounded.
const CREDIT_OF_AN_OCTET: u64 = 8_000_000;

/// See the module.
#[derive(Debug, Clone)]
struct Bucket {
    kbps: u64,
    credit: u64,
    last: Mono,
}

impl Bucket {
    /// Full.
    fn new(kbps: u64, now: Mono) -> Self {
        Self { kbps, credit: size(kbps), last: now }
    }

    fn has(&mut self, octets: usize, now: Mono) -> bool {
        let earned = now.0.saturating_sub(self.last.0).saturating_mul(self.kbps);
        self.credit = self.credit.saturating_add(earned).min(size(self.kbps));
        self.last = self.last.max(now);
        price(octets) <= self.credit
    }

    fn take(&mut self, octets: usize) {
        self.credit = self.credit.saturating_sub(price(octets));
    }

    /// Another rate from here on; what was earned stays, as far as the new bucket has room for it.
    fn change(&mut self, kbps: u64, now: Mono) {
        self.has(0, now);
        self.kbps = kbps;
        self.credit = self.credit.min(size(kbps));
    }
}

/// Nothing passes at a rate of nothing, not even once.
fn size(kbps: u64) -> u64 {
    match kbps {
        0 => 0,
        _ => kbps.saturating_mul(BURST_NS).max(BURST_OCTETS * CREDIT_OF_AN_OCTET),
    }
}

fn price(octets: usize) -> u64 {
    (octets as u64).saturating_mul(CREDIT_OF_AN_OCTET)
}

/// Which way a packet goes, with what the rates that speak of it are found by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// From the UE.
    Up {
        /// Which of the session's tunnel endpoints it came through.
        endpoint: u8,
        /// From its PDU Session Container.
        qfi: Option<u8>,
    },
    /// To the UE.
    Down,
    /// From the UE, as one of the session's PDRs says that has its steps.
    UpBy(u16),
    /// The same to the UE.
    DownBy(u16),
}

impl Way {
    pub(super) fn direction(self) -> Direction {
        match self {
            Self::Up { .. } | Self::UpBy(_) => Direction::Out,
            Self::Down | Self::DownBy(_) => Direction::In,
        }
    }
}

impl RateOf {
    /// True for a packet that goes this way.
    pub(super) fn speaks_of(&self, way: Way) -> bool {
        match (self, way) {
            (Self::Down, Way::Down) | (Self::AllUp, Way::Up { .. }) => true,
            (Self::Up(of), Way::Up { endpoint, qfi }) => {
                of.get(usize::from(endpoint)).is_some_and(|u| u.takes(qfi))
            }
            (Self::UpSteps(of), Way::UpBy(pdr)) | (Self::DownSteps(of), Way::DownBy(pdr)) => {
                of.contains(&pdr)
            }
            _ => false,
        }
    }
}

/// One rate of a session with its bucket.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    bucket: Bucket,
    qer: u32,
    of: RateOf,
}

impl Meter {
    fn speaks_of(&self, way: Way) -> bool {
        self.of.speaks_of(way)
    }

    fn is_of(&self, rate: &Rate) -> bool {
        self.qer == rate.qer && self.of.is_down() == rate.of.is_down()
    }
}

/// The meters of `rates`. Those that were there before go on with what they had: a change of the path is no new burst.
pub(super) fn meters(before: &[Meter], rates: &[Rate], now: Mono) -> Box<[Meter]> {
    let one = |rate: &Rate| {
        let bucket = match before.iter().find(|m| m.is_of(rate)) {
            Some(old) => {
                let mut bucket = old.bucket.clone();
                bucket.change(rate.kbps, now);
                bucket
            }
            None => Bucket::new(rate.kbps, now),
        };
        Meter { bucket, qer: rate.qer, of: rate.of.clone() }
    };
    rates.iter().map(one).collect()
}

/// True if every rate that speaks of this packet has room for it; then it is charged to all of them, else to none.
pub(super) fn charge(meters: &mut [Meter], way: Way, octets: usize, now: Mono) -> bool {
    if !meters.iter_mut().filter(|m| m.speaks_of(way)).all(|m| m.bucket.has(octets, now)) {
        return false;
    }
    meters.iter_mut().filter(|m| m.speaks_of(way)).for_each(|m| m.bucket.take(octets));
    true
}

/// No meter.
pub(crate) const UNMETERED: u32 = u32::MAX;
/// Meters without flows that are looked at in one tick.
const A_TICK: usize = 256;

/// The buckets of rules that have a rate: one pair for each SIM with flows by such a rule, shared by all of them. They
/// outlive the last flow until they are full again, so that a new flow is no new burst.
pub(super) struct RuleMeters {
    all: Vec<Option<RuleMeter>>,
    free: Vec<u32>,
    by_rule: Map<(Imsi, RuleIdx), u32>,
    /// Without flows.
    idle: VecDeque<u32>,
}

struct RuleMeter {
    imsi: Imsi,
    rule: RuleIdx,
    up: Option<Bucket>,
    down: Option<Bucket>,
    flows: u32,
    /// It stands among the idle ones.
    idle: bool,
}

impl RuleMeter {
    fn bucket(&mut self, direction: Direction) -> Option<&mut Bucket> {
        match direction {
            Direction::Out => self.up.as_mut(),
            Direction::In => self.down.as_mut(),
        }
    }

    fn is_full(&mut self, now: Mono) -> bool {
        let full = |b: &mut Bucket| {
            b.has(0, now);
            b.credit == size(b.kbps)
        };
        [&mut self.up, &mut self.down].into_iter().flatten().all(full)
    }
}

impl RuleMeters {
    pub(super) fn new(keyed: Keyed) -> Self {
        let by_rule = Map::with_hasher(keyed);
        Self { all: Vec::new(), free: Vec::new(), by_rule, idle: VecDeque::new() }
    }

    /// A flow of this SIM by this rule; what it is to be charged to.
    pub(super) fn join(&mut self, imsi: Imsi, rule: Option<RuleIdx>, rate: RuleRate) -> u32 {
        let Some(rule) = rule.filter(|_| !rate.is_none()) else { return UNMETERED };
        let at = *self.by_rule.entry((imsi, rule)).or_insert_with(|| {
            let new = RuleMeter { imsi, rule, up: None, down: None, flows: 0, idle: false };
            let at = self.free.pop().unwrap_or(self.all.len() as u32);
            match self.all.get_mut(at as usize) {
                Some(place) => *place = Some(new),
                None => self.all.push(Some(new)),
            }
            at
        });
        if let Some(m) = self.all.get_mut(at as usize).and_then(Option::as_mut) {
            m.flows += 1;
            for (bucket, bps) in [(&mut m.up, rate.ul_bps), (&mut m.down, rate.dl_bps)] {
                let kbps = bps.map(|bps| bps.div_ceil(1_000));
                match (bucket.as_mut(), kbps) {
                    (Some(b), Some(kbps)) if b.kbps == kbps => {}
                    (Some(b), Some(kbps)) => b.change(kbps, b.last),
                    (_, kbps) => *bucket = kbps.map(|kbps| Bucket::new(kbps, Mono(0))),
                }
            }
        }
        at
    }

    /// The flow is over, or goes by another rule.
    pub(super) fn leave(&mut self, at: u32) {
        let Some(m) = self.all.get_mut(at as usize).and_then(Option::as_mut) else { return };
        m.flows = m.flows.saturating_sub(1);
        if m.flows == 0 && !std::mem::replace(&mut m.idle, true) {
            self.idle.push_back(at);
        }
    }

    /// True if there is room for this packet.
    pub(super) fn has(&mut self, at: u32, direction: Direction, octets: usize, now: Mono) -> bool {
        let m = self.all.get_mut(at as usize).and_then(Option::as_mut);
        m.and_then(|m| m.bucket(direction)).is_none_or(|b| b.has(octets, now))
    }

    /// Charges a packet that [`RuleMeters::has`] had room for.
    pub(super) fn take(&mut self, at: u32, direction: Direction, octets: usize) {
        let m = self.all.get_mut(at as usize).and_then(Option::as_mut);
        if let Some(b) = m.and_then(|m| m.bucket(direction)) {
            b.take(octets);
        }
    }

    /// Forgets those without flows that are full again: what they would allow, a new one does, too.
    pub(super) fn tend(&mut self, now: Mono) {
        for _ in 0..self.idle.len().min(A_TICK) {
            let Some(at) = self.idle.pop_front() else { return };
            let Some(place) = self.all.get_mut(at as usize) else { continue };
            let Some(m) = place.as_mut() else { continue };
            if m.flows > 0 {
                m.idle = false;
            } else if m.is_full(now) {
                if self.by_rule.get(&(m.imsi, m.rule)) == Some(&at) {
                    self.by_rule.remove(&(m.imsi, m.rule));
                }
                *place = None;
                self.free.push(at);
            } else {
                self.idle.push_back(at);
            }
        }
    }

    /// Another policy numbers the rules like this; a rule that is gone has no number.
    pub(super) fn renumber(&mut self, number: impl Fn(RuleIdx) -> Option<RuleIdx>) {
        self.by_rule.clear();
        for (place, at) in self.all.iter_mut().zip(0..) {
            let Some(m) = place else { continue };
            match number(m.rule) {
                Some(rule) => {
                    m.rule = rule;
                    self.by_rule.insert((m.imsi, rule), at);
                }
                // Its flows leave it a moment later; then it goes by itself.
                None => m.rule = RuleIdx(u32::MAX),
            }
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Uplink;
    use proptest::prelude::*;

    fn down(qer: u32, kbps: u64) -> Rate {
        Rate { qer, kbps, of: RateOf::Down }
    }

    /// The largest burst, in octets, as the module says it; rounded down.
    fn burst(kbps: u64) -> u128 {
        (u128::from(kbps) * 1000 / 8 / 10).max(65_536)
    }

    /// What the rate gives in this time, octets, as a fraction of 8 000 000.
    fn given(kbps: u64, ns: u64) -> u128 {
        u128::from(kbps) * u128::from(ns)
    }

    proptest! {
        /// Between any two packets that passed: no more than rate × time + burst.
        #[test]
        fn no_stretch_of_time_lets_more_through(
            kbps in prop_oneof![1u64..100, 1_000u64..2_000_000, Just(1u64 << 39)],
            start in prop_oneof![Just(0u64), any::<u32>().prop_map(u64::from), Just(1u64 << 62)],
            sends in prop::collection::vec((0u64..40_000_000, 20usize..9_000), 1..300),
        ) {
            let mut meters = meters(&[], &[down(1, kbps)], Mono(start));
            let mut now = start;
            let mut passed: Vec<(u64, usize)> = Vec::new();
            for (gap, octets) in sends {
                now += gap;
                if charge(&mut meters, Way::Down, octets, Mono(now)) {
                    passed.push((now, octets));
                }
            }
            for (i, (from, _)) in passed.iter().enumerate() {
                let mut sum = 0u128;
                for (to, octets) in &passed[i..] {
                    sum += *octets as u128;
                    let may = given(kbps, to - from) + (burst(kbps) + 1) * 8_000_000;
                    prop_assert!(sum * 8_000_000 <= may, "{sum} octets in {} ns at {kbps} kbit/s", to - from);
                }
            }
        }

        /// A sender that keeps to rate and burst, by a reckoning of its own, loses nothing.
        #[test]
        fn who_keeps_to_the_rate_loses_nothing(
            kbps in prop_oneof![1u64..100, 1_000u64..2_000_000, Just(1u64 << 39)],
            sends in prop::collection::vec((0u64..40_000_000, 20usize..9_000), 1..300),
        ) {
            let mut meters = meters(&[], &[down(1, kbps)], Mono(5));
            let (mut now, mut sent) = (5, Vec::<(u64, u128)>::new());
            for (gap, octets) in sends {
                now += gap;
                // It looks at every stretch of time that ends now, and waits until none would be too full.
                let mut sum = octets as u128;
                let mut until = now;
                for (at, before) in sent.iter().rev() {
                    sum += before;
                    let over = (sum * 8_000_000).saturating_sub(burst(kbps) * 8_000_000);
                    until = until.max(at + over.div_ceil(u128::from(kbps)) as u64);
                }
                now = until;
                sent.push((now, octets as u128));
                prop_assert!(charge(&mut meters, Way::Down, octets, Mono(now)));
            }
        }
    }

    #[test]
    fn the_largest_rate_and_the_longest_time_do_not_overflow() {
        let mut m = meters(&[], &[down(1, u64::MAX)], Mono(0));
        assert!(charge(&mut m, Way::Down, 65_535, Mono(u64::MAX)));
        assert!(charge(&mut m, Way::Down, 65_535, Mono(0)), "a clock that went back takes nothing away");
        let mut m = meters(&[], &[down(1, 0)], Mono(0));
        assert!(!charge(&mut m, Way::Down, 20, Mono(u64::MAX)));
    }

    #[test]
    fn every_rate_that_speaks_of_a_packet_counts_and_a_refusal_costs_none_of_them() {
        let only = |qfi: u8| Uplink { qfis: 1 << qfi, without_qfi: false };
        let rates = [
            Rate { qer: 1, kbps: 1_000_000, of: RateOf::AllUp },
            Rate { qer: 2, kbps: 8, of: RateOf::Up(Box::new([Uplink::DROP, only(5)])) },
            down(1, 8),
        ];
        let mut m = meters(&[], &rates, Mono(0));
        let slow = Way::Up { endpoint: 1, qfi: Some(5) };
        assert!(charge(&mut m, slow, 65_536, Mono(0)) && !charge(&mut m, slow, 1_000, Mono(0)));
        let before = m[0].bucket.credit;
        assert!(!charge(&mut m, slow, 1_000, Mono(0)));
        assert_eq!(m[0].bucket.credit, before);
        // Neither another flow, nor another endpoint, nor the other direction is slow for it.
        for way in [Way::Up { endpoint: 1, qfi: Some(6) }, Way::Up { endpoint: 0, qfi: Some(5) }, Way::Down] {
            assert!(charge(&mut m, way, 1_000, Mono(0)), "{way:?}");
        }
    }

    #[test]
    fn a_change_of_the_path_is_no_new_burst() {
        let mut m = meters(&[], &[down(1, 8)], Mono(0));
        assert!(charge(&mut m, Way::Down, 65_536, Mono(0)));
        let mut same = meters(&m, &[down(1, 8)], Mono(0));
        assert!(!charge(&mut same, Way::Down, 1, Mono(0)));
        // A second has earned 1 000 octets at the old rate.
        let mut faster = meters(&m, &[down(1, 8_000)], Mono(1_000_000_000));
        assert!(!charge(&mut faster, Way::Down, 1_001, Mono(1_000_000_000)));
        assert!(charge(&mut faster, Way::Down, 1_000, Mono(1_000_000_000)));
        assert!(charge(&mut faster, Way::Down, 1_000, Mono(1_001_000_000)));
        let mut another = meters(&m, &[down(2, 8)], Mono(0));
        assert!(charge(&mut another, Way::Down, 65_536, Mono(0)));
    }

    #[test]
    fn a_rules_meter_is_shared_by_a_sims_flows_and_outlives_them_until_it_is_full() {
        let mut m = RuleMeters::new(Keyed::new(1, 2));
        let (one, other): (Imsi, Imsi) =
            ("001010000000001".parse().unwrap(), "001010000000002".parse().unwrap());
        let (rule, out) = (Some(RuleIdx(3)), Direction::Out);
        // 65 536 octets at once, and 1 000 a second.
        let rate = RuleRate { ul_bps: Some(8_000), dl_bps: None };
        assert_eq!(m.join(one, rule, RuleRate::default()), UNMETERED);
        assert!(m.has(UNMETERED, out, 1 << 30, Mono(0)));
        let (first, second, third) =
            (m.join(one, rule, rate), m.join(one, rule, rate), m.join(other, rule, rate));
        assert_eq!((first == second, first == third, m.len()), (true, false, 2));
        m.take(first, out, 65_536);
        assert!(!m.has(second, out, 1, Mono(0)));
        assert!(m.has(second, Direction::In, 1 << 30, Mono(0)), "downlink has no rate");
        assert!(m.has(third, out, 65_536, Mono(0)), "another SIM's");
        for flow in [first, second, third] {
            m.leave(flow);
        }
        m.tend(Mono(1_000_000_000));
        assert_eq!(m.len(), 1, "the full one is forgotten");
        let again = m.join(one, rule, rate);
        assert!(
            !m.has(again, out, 1_001, Mono(1_000_000_000)) && m.has(again, out, 1_000, Mono(1_000_000_000))
        );
        m.tend(Mono(2_000_000_000));
        m.leave(again);
        // A policy that numbers it otherwise: the same meter.
        m.renumber(|r| (r == RuleIdx(3)).then_some(RuleIdx(9)));
        let again = m.join(one, Some(RuleIdx(9)), rate);
        assert!(!m.has(again, out, 60_000, Mono(2_000_000_000)));
        m.leave(again);
        m.tend(Mono(100_000_000_000));
        assert_eq!((m.len(), m.by_rule.len(), m.idle.len()), (0, 0, 0));
    }
}
