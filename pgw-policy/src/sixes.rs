//! Numbers for IPv6 addresses: the flow table and what stands behind it keep four octets of an address, whichever family
//! it is of. An IPv4 address is its own number; an IPv6 address has one as long as a flow, or the packet in hand, has it.
//!
//! A number that flows had rests for longer than a fragment lives before another address gets it, so that nothing that was
//! noted by number ever means two addresses.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::hash::{Keyed, Map};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr};
use types::Mono;

/// How long a number rests.
const REST_MS: u64 = 10_000;

struct Slot {
    address: Ipv6Addr,
    /// Ends of flows that have it.
    refs: u32,
    /// A flow had it.
    used: bool,
}

/// See the module.
pub(crate) struct Sixes {
    numbers: Map<Ipv6Addr, u32>,
    /// By number; none has 0.
    slots: Vec<Slot>,
    free: VecDeque<(Mono, u32)>,
    /// Numbers that may be nobody's any more.
    loose: Vec<u32>,
    limit: usize,
}

impl Sixes {
    /// For `flows` flows.
    pub(crate) fn new(flows: usize, keyed: Keyed) -> Self {
        Self {
            numbers: Map::with_hasher(keyed),
            slots: vec![Slot { address: Ipv6Addr::UNSPECIFIED, refs: 0, used: false }],
            free: VecDeque::new(),
            loose: Vec::new(),
            limit: flows.saturating_mul(2).saturating_add(1024),
        }
    }

    /// The number of an address, for the packet in hand; `None` where all are in use.
    pub(crate) fn number(&mut self, address: Ipv6Addr, now: Mono) -> Option<Ipv4Addr> {
        if let Some(n) = self.numbers.get(&address) {
            return Some(Ipv4Addr::from_bits(*n));
        }
        let slot = Slot { address, refs: 0, used: false };
        let n = match self.free.pop_front_if(|(rested, _)| *rested <= now) {
            Some((_, n)) => {
                *self.slots.get_mut(n as usize)? = slot;
                n
            }
            None if self.slots.len() >= self.limit => return None,
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        self.numbers.insert(address, n);
        self.loose.push(n);
        Some(Ipv4Addr::from_bits(n))
    }

    /// The number of an address, if it has one; else one that is no address's.
    pub(crate) fn find(&self, address: Ipv6Addr) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.numbers.get(&address).copied().unwrap_or(0))
    }

    /// The address with this number.
    pub(crate) fn address(&self, number: Ipv4Addr) -> Ipv6Addr {
        self.slots.get(number.to_bits() as usize).map_or(Ipv6Addr::UNSPECIFIED, |s| s.address)
    }

    /// A flow has it.
    pub(crate) fn hold(&mut self, number: Ipv4Addr) {
        if let Some(s) = self.slots.get_mut(number.to_bits() as usize) {
            (s.refs, s.used) = (s.refs + 1, true);
        }
    }

    /// A flow has it no longer.
    pub(crate) fn let_go(&mut self, number: Ipv4Addr) {
        let n = number.to_bits();
        if let Some(s) = self.slots.get_mut(n as usize) {
            s.refs = s.refs.saturating_sub(1);
            if s.refs == 0 {
                self.loose.push(n);
            }
        }
    }

    /// The packet in hand is done: what nobody has is free again.
    pub(crate) fn settle(&mut self, now: Mono) {
        while let Some(n) = self.loose.pop() {
            let Some(s) = self.slots.get(n as usize).filter(|s| s.refs == 0) else { continue };
            // It may stand there twice.
            if self.numbers.get(&s.address) != Some(&n) {
                continue;
            }
            self.numbers.remove(&s.address);
            if s.used {
                self.free.push_back((now.plus_ms(REST_MS), n));
            } else {
                self.free.push_front((Mono(0), n));
            }
        }
    }

    /// Numbers in use.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn address(n: u8) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n.into())
    }

    proptest! {
        /// Flows that come and go over few addresses: a number means the address that it was given for as long as somebody
        /// has it, and for a while after.
        #[test]
        fn a_number_means_one_address(steps in prop::collection::vec((0u8..12, any::<bool>(), 0u64..4_000), 0..200)) {
            let mut sixes = Sixes::new(8, Keyed::new(1, 2));
            let (mut flows, mut now) = (Vec::<(u8, Ipv4Addr)>::new(), Mono(0));
            let mut ended: BTreeMap<Ipv4Addr, (u8, Mono)> = BTreeMap::new();
            for (n, keeps, later) in steps {
                now = now.plus_ms(later);
                let number = sixes.number(address(n), now).unwrap();
                prop_assert!(number.to_bits() != 0);
                if let Some((before, at)) = ended.get(&number) {
                    prop_assert!(*before == n || now.ms_since(*at) >= REST_MS, "{} was {}", n, before);
                }
                if keeps {
                    sixes.hold(number);
                    flows.push((n, number));
                } else if let Some((old, gone)) = flows.pop() {
                    sixes.let_go(gone);
                    if flows.iter().all(|(_, x)| *x != gone) {
                        ended.insert(gone, (old, now));
                    }
                }
                sixes.settle(now);
                for (n, number) in &flows {
                    prop_assert_eq!(sixes.address(*number), address(*n));
                    prop_assert_eq!(sixes.find(address(*n)), *number);
                }
                let mut held: Vec<u8> = flows.iter().map(|(n, _)| *n).collect();
                held.sort_unstable();
                held.dedup();
                prop_assert_eq!(sixes.len(), held.len());
            }
        }
    }

    #[test]
    fn strangers_take_no_number_away_and_the_table_is_bounded() {
        let mut sixes = Sixes::new(0, Keyed::new(1, 2));
        for n in 0..100_000u32 {
            let a = Ipv6Addr::from_bits(u128::from(n) + 1);
            assert!(sixes.number(a, Mono(0)).is_some());
            sixes.settle(Mono(0));
        }
        assert_eq!((sixes.len(), sixes.slots.len()), (0, 2));
        let held =
            (0..2_000u32).filter_map(|n| sixes.number(Ipv6Addr::from_bits(u128::from(n) + 1), Mono(0)));
        assert_eq!(held.count(), 1023);
    }
}
