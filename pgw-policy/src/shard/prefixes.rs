//! Which session, or which shard, a prefix leads to: the longest one over an address. A hash look-up for each length that
//! occurs; there are few.

use crate::hash::{Keyed, Map};
use ipnet::IpNet;
use std::net::IpAddr;

/// See the module.
pub(super) struct Prefixes<T> {
    map: Map<IpNet, T>,
    /// The lengths that occur, the longest first, and how often: IPv4, IPv6.
    lengths: [Vec<(u8, u32)>; 2],
}

impl<T: Copy + PartialEq> Prefixes<T> {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { map: Map::with_hasher(keyed), lengths: [Vec::new(), Vec::new()] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    fn lengths(&mut self, of: IpAddr) -> &mut Vec<(u8, u32)> {
        let [v4, v6] = &mut self.lengths;
        if of.is_ipv4() { v4 } else { v6 }
    }

    /// Makes a prefix lead to `to`.
    pub(super) fn insert(&mut self, net: IpNet, to: T) {
        if self.map.insert(net, to).is_some() {
            return;
        }
        let (len, lengths) = (net.prefix_len(), self.lengths(net.addr()));
        match lengths.binary_search_by(|(l, _)| len.cmp(l)) {
            Ok(at) => {
                if let Some((_, n)) = lengths.get_mut(at) {
                    *n += 1;
                }
            }
            Err(at) => lengths.insert(at, (len, 1)),
        }
    }

    /// It leads there no longer; one that leads elsewhere by now stays.
    pub(super) fn remove(&mut self, net: IpNet, to: T) {
        if self.map.get(&net) != Some(&to) {
            return;
        }
        self.map.remove(&net);
        let lengths = self.lengths(net.addr());
        if let Some((_, n)) = lengths.iter_mut().find(|(l, _)| *l == net.prefix_len()) {
            *n -= 1;
        }
        lengths.retain(|(_, n)| *n != 0);
    }

    /// Where the longest prefix over an address leads.
    pub(super) fn find(&self, address: IpAddr) -> Option<T> {
        let [v4, v6] = &self.lengths;
        let lengths = if address.is_ipv4() { v4 } else { v6 };
        lengths.iter().find_map(|(len, _)| self.map.get(&IpNet::new(address, *len).ok()?.trunc()).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net() -> impl Strategy<Value = IpNet> {
        let v4 = (0..8u8, 24..=32u8).prop_map(|(a, len)| IpNet::new([10, 0, 0, a << 5].into(), len).unwrap());
        let v6 = (0..8u16, 48..=64u8)
            .prop_map(|(a, len)| IpNet::new([0xfd00, 0, 0, a, 0, 0, 0, 1].into(), len).unwrap());
        prop_oneof![v4, v6].prop_map(|n| n.trunc())
    }

    proptest! {
        /// Against a walk over all of them.
        #[test]
        fn the_longest_prefix_is_found(steps in prop::collection::vec((net(), 0..3u32, any::<bool>()), 0..60), ask: [u8; 4]) {
            let mut table = Prefixes::new(Keyed::new(1, 2));
            let mut model = std::collections::BTreeMap::new();
            for (net, to, add) in steps {
                if add {
                    table.insert(net, to);
                    model.insert(net, to);
                } else {
                    table.remove(net, to);
                    if model.get(&net) == Some(&to) {
                        model.remove(&net);
                    }
                }
            }
            prop_assert_eq!(table.is_empty(), model.is_empty());
            let [a, b, c, d] = ask;
            for address in [IpAddr::from([10, 0, 0, a]), [0xfd00, 0, 0, u16::from(b & 7), c.into(), d.into(), 0, 1].into()] {
                let longest = model.iter().filter(|(n, _)| n.contains(&address)).max_by_key(|(n, _)| n.prefix_len());
                prop_assert_eq!(table.find(address), longest.map(|(_, to)| *to));
            }
        }
    }
}
