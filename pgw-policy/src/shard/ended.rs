//! Tunnels that have ended, remembered for a while: who still sends into one?
//!
//! A radio that was told to release a tunnel has nothing more to send; what was on its way arrives within seconds. One
//! that goes on has a UE behind it that goes on. Here only that is seen and told; what it means, `access` judges.

use crate::hash::{Keyed, Map};
use std::collections::VecDeque;
use std::net::IpAddr;
use types::{Imsi, Mono, Teid};

/// How many are remembered.
const KEPT: usize = 8_192;
/// And how long: as long as `access` keeps what was replaced.
const KEPT_MS: u64 = 6 * 3_600_000;
/// Packets may have been on their way for so long.
const GRACE_MS: u64 = 60_000;
/// One tunnel is told of at most so often.
const AGAIN_MS: u64 = 10_000;

struct Ended {
    imsi: Imsi,
    radio: IpAddr,
    at: Mono,
    told: Option<Mono>,
}

/// See the module.
pub(super) struct EndedTunnels {
    by_teid: Map<u32, Ended>,
    /// In the order in which they ended.
    order: VecDeque<(Mono, u32)>,
}

impl EndedTunnels {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { by_teid: Map::with_hasher(keyed), order: VecDeque::new() }
    }

    /// A tunnel from `radio` has ended.
    pub(super) fn note(&mut self, teid: Teid, imsi: Imsi, radio: IpAddr, at: Mono) {
        while self.order.len() >= KEPT || self.order.front().is_some_and(|(t, _)| at.ms_since(*t) > KEPT_MS) {
            let Some((t, old)) = self.order.pop_front() else { break };
            if self.by_teid.get(&old).is_some_and(|e| e.at == t) {
                self.by_teid.remove(&old);
            }
        }
        self.order.push_back((at, teid.value()));
        self.by_teid.insert(teid.value(), Ended { imsi, radio, at, told: None });
    }

    /// A packet came for an endpoint that nobody has. Whose it was, where its own radio sent it, long after the end,
    /// and that was not told a moment ago.
    pub(super) fn used(&mut self, teid: u32, radio: IpAddr, now: Mono) -> Option<Imsi> {
        let e = self.by_teid.get_mut(&teid).filter(|e| e.radio == radio)?;
        let age = now.ms_since(e.at);
        if !(GRACE_MS..=KEPT_MS).contains(&age) || e.told.is_some_and(|t| now.ms_since(t) < AGAIN_MS) {
            return None;
        }
        e.told = Some(now);
        Some(e.imsi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended() -> EndedTunnels {
        EndedTunnels::new(Keyed::new(1, 2))
    }

    fn at(ms: u64) -> Mono {
        Mono(1_000_000_000).plus_ms(ms)
    }

    #[test]
    fn only_its_own_radio_long_after_the_end_is_told_and_not_with_every_packet() {
        let mut e = ended();
        let (teid, imsi) = (Teid::new(0x1234).unwrap(), "001010000000001".parse().unwrap());
        let (radio, other) = ("172.16.0.2".parse().unwrap(), "172.16.0.3".parse().unwrap());
        e.note(teid, imsi, radio, at(0));
        assert_eq!(e.used(0x1234, radio, at(59_999)), None, "it may have been on its way");
        assert_eq!(e.used(0x1234, other, at(60_000)), None, "a radio that never had it");
        assert_eq!(e.used(0x1235, radio, at(60_000)), None, "a guess");
        assert_eq!(e.used(0x1234, radio, at(60_000)), Some(imsi));
        assert_eq!(e.used(0x1234, radio, at(69_999)), None, "told a moment ago");
        assert_eq!(e.used(0x1234, radio, at(70_000)), Some(imsi));
        assert_eq!(e.used(0x1234, radio, at(KEPT_MS + 1)), None, "too long ago");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_name_that_ended_twice_counts_from_its_last_end() {
        let mut e = ended();
        let (imsi, radio) = ("001010000000001".parse().unwrap(), "172.16.0.2".parse().unwrap());
        for n in 1..=3 * KEPT as u32 {
            e.note(Teid::new(n).unwrap(), imsi, radio, at(u64::from(n)));
        }
        assert_eq!((e.order.len(), e.by_teid.len()), (KEPT, KEPT));
        let last = 3 * KEPT as u32;
        e.note(Teid::new(last).unwrap(), imsi, radio, at(100_000));
        assert_eq!(e.used(last, radio, at(100_000 + GRACE_MS - 1)), None);
        assert_eq!(e.used(last, radio, at(100_000 + GRACE_MS)), Some(imsi));
    }
}
