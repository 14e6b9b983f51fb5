//! Which of our TEIDs are given out. A released one rests before its place is used again.

use crate::batch::ShardId;
use crate::shard::teid::{INDEX_BITS, TAG_BITS};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::Rng;
use std::collections::{BTreeMap, VecDeque};
use types::{Mono, Teid};

/// How long a place rests: longer than any radio keeps a context that the core gave up.
const REST_MS: u64 = 60_000;

/// Tries to hit a free place; with half of all places taken, one in 2^64 fails.
const TRIES: usize = 64;

struct Place {
    teid: Teid,
    resting_until: Option<Mono>,
}

/// See the module.
pub(super) struct Teids {
    places: BTreeMap<u32, Place>,
    resting: VecDeque<(Mono, Teid)>,
}

fn place_of(teid: Teid) -> u32 {
    teid.value() >> TAG_BITS
}

impl Teids {
    pub(super) fn new() -> Self {
        Self { places: BTreeMap::new(), resting: VecDeque::new() }
    }

    /// A random free one of this shard.
    pub(super) fn choose(&mut self, shard: ShardId, chance: &mut ChaCha12Rng, now: Mono) -> Option<Teid> {
        self.wake(now);
        (0..TRIES).find_map(|_| {
            let low = chance.next_u32() & ((1 << (INDEX_BITS + TAG_BITS)) - 1);
            let teid = Teid::new(u32::from(shard.0) << (INDEX_BITS + TAG_BITS) | low)?;
            self.claim(teid, now).then_some(teid)
        })
    }

    /// Takes this very one, if its place is free or rests from it.
    pub(super) fn claim(&mut self, teid: Teid, now: Mono) -> bool {
        self.wake(now);
        let free = match self.places.get(&place_of(teid)) {
            None => true,
            Some(p) => p.teid == teid && p.resting_until.is_some(),
        };
        if free {
            self.places.insert(place_of(teid), Place { teid, resting_until: None });
        }
        free
    }

    /// True if [`Teids::claim`] would take it.
    pub(super) fn is_claimable(&self, teid: Teid) -> bool {
        self.places.get(&place_of(teid)).is_none_or(|p| p.teid == teid && p.resting_until.is_some())
    }

    /// Gives one back.
    pub(super) fn release(&mut self, teid: Teid, now: Mono) {
        if let Some(p) = self.places.get_mut(&place_of(teid)).filter(|p| p.teid == teid) {
            let until = now.plus_ms(REST_MS);
            p.resting_until = Some(until);
            self.resting.push_back((until, teid));
        }
    }

    fn wake(&mut self, now: Mono) {
        while let Some(&(until, teid)) = self.resting.front() {
            if now < until {
                break;
            }
            self.resting.pop_front();
            let over = |p: &Place| p.teid == teid && p.resting_until == Some(until);
            if self.places.get(&place_of(teid)).is_some_and(over) {
                self.places.remove(&place_of(teid));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn a_released_teid_rests_and_only_its_owner_may_have_it_back() {
        let mut teids = Teids::new();
        let mut chance = ChaCha12Rng::from_seed([1; 32]);
        let at = |ms| Mono(0).plus_ms(ms);
        let t = teids.choose(ShardId(3), &mut chance, at(0)).unwrap();
        assert_eq!(crate::shard::shard_of(t, 4), ShardId(3));
        assert!(!teids.claim(t, at(1)));
        teids.release(t, at(1000));
        let neighbour = Teid::new(t.value() ^ 1).unwrap();
        assert!(!teids.claim(neighbour, at(2000)));
        assert!(teids.claim(t, at(2000)));
        teids.release(t, at(3000));
        assert!(!teids.claim(neighbour, at(62_999)));
        assert!(teids.claim(neighbour, at(63_000)));
    }

    #[test]
    fn teids_are_all_different_and_look_random() {
        let mut teids = Teids::new();
        let mut chance = ChaCha12Rng::from_seed([2; 32]);
        let all: std::collections::BTreeSet<u32> =
            (0..20_000).map(|_| teids.choose(ShardId(0), &mut chance, Mono(0)).unwrap().value()).collect();
        assert_eq!(all.len(), 20_000);
        let mean = all.iter().map(|t| f64::from(*t)).sum::<f64>() / 20_000.0;
        assert!((mean / f64::from(1u32 << 28) - 0.5).abs() < 0.02);
    }
}
