//! Networks behind SIMs: which prefixes are taken, and whose they are.
//!
//! What is here does not meet: a prefix has one owner, and no address of it is in a pool or ours. It does not rest when
//! its SIM gives it up: a network that moves to another router's SIM is the same network.

use crate::error::RouteRefused;
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};
use types::{Dnn, FramedRoute, Imsi, RoutePrefix};

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    /// By first address.
    all: BTreeMap<u128, FramedRoute>,
    own: Vec<IpAddr>,
}

impl Routes {
    /// Addresses of ours, which lie behind nobody.
    pub(crate) fn set_own(&mut self, own: Vec<IpAddr>) {
        self.own = own;
    }

    /// A route that has an address of `net`.
    pub(crate) fn meeting(&self, net: IpNet) -> Option<&FramedRoute> {
        let (first, last) = RoutePrefix::span_of(net);
        // None of them meet, so of those that begin up to the end of `net` only the last one can reach into it.
        let (_, near) = self.all.range(..=last).next_back()?;
        (near.prefix.span().1 >= first).then_some(near)
    }

    /// Makes these the routes of a SIM; true if they were others. All or none.
    pub(crate) fn set<'p>(
        &mut self,
        imsi: Imsi,
        wanted: &[(Dnn, RoutePrefix)],
        pools: impl Iterator<Item = (&'p Dnn, IpNet)> + Clone,
    ) -> Result<bool, RouteRefused> {
        let mut new = Self { all: self.all.clone(), own: Vec::new() };
        new.all.retain(|_, r| r.imsi != imsi);
        for (dnn, prefix) in wanted {
            let net = prefix.net();
            if let Some(address) = self.own.iter().find(|a| net.contains(*a)) {
                return Err(RouteRefused::Own { prefix: *prefix, address: *address });
            }
            if let Some((dnn, pool)) = pools.clone().find(|(_, pool)| prefix.meets(*pool)) {
                return Err(RouteRefused::Pool { prefix: *prefix, pool, dnn: dnn.clone() });
            }
            if let Some(other) = new.meeting(net) {
                return Err(RouteRefused::Taken { prefix: *prefix, other: other.prefix, imsi: other.imsi });
            }
            new.all.insert(prefix.span().0, FramedRoute { imsi, dnn: dnn.clone(), prefix: *prefix });
        }
        let differ = new.all != self.all;
        self.all = new.all;
        Ok(differ)
    }

    /// The route over an address.
    pub(crate) fn over(&self, address: IpAddr) -> Option<&FramedRoute> {
        self.meeting(address.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &FramedRoute> {
        self.all.values()
    }
}
