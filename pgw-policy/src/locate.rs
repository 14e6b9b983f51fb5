//! Which app is at an address: longest prefix, then protocol and port.
//!
//! The prefixes of all apps and pools are flattened into intervals that do not overlap, so that a lookup is
//! one binary search whatever the number of prefixes. A narrow prefix takes its addresses out of a wider
//! one altogether: a service that the narrow one does not offer is not looked for in the wider one.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::compile::AppIdx;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};
use types::{Protocol, Service};

/// One service of one app at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Offer {
    protocol: Protocol,
    first: u16,
    last: u16,
    app: AppIdx,
}

/// What is at one prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The apps that have this very prefix, rising.
    apps: Vec<AppIdx>,
    /// Their services, by protocol and port; no two overlap but those of one app.
    offers: Vec<Offer>,
}

impl Place {
    /// True for a pool without an app: UEs live here and nobody has said that they may be reached.
    pub(crate) fn is_bare_pool(&self) -> bool {
        self.apps.is_empty()
    }

    /// The apps here.
    pub(crate) fn apps(&self) -> &[AppIdx] {
        &self.apps
    }

    /// The app that offers `protocol` at `port` here.
    pub(crate) fn offering(&self, protocol: Protocol, port: u16) -> Option<AppIdx> {
        let after = self.offers.partition_point(|o| (o.protocol, o.first) <= (protocol, port));
        let o = self.offers.get(after.checked_sub(1)?)?;
        (o.protocol == protocol && port <= o.last).then_some(o.app)
    }

    fn add(&mut self, app: AppIdx, services: &[Service]) {
        self.apps.push(app);
        self.offers.extend(services.iter().map(|s| Offer {
            protocol: s.protocol,
            first: s.ports.first(),
            last: s.ports.last(),
            app,
        }));
    }

    /// Sorts, and joins ranges of one app that overlap or touch: afterwards no two overlap.
    fn settle(&mut self) {
        self.apps.sort_unstable();
        self.apps.dedup();
        self.offers.sort_unstable();
        self.offers.dedup_by(|new, old| {
            let joins = (old.protocol, old.app) == (new.protocol, new.app)
                && u32::from(new.first) <= u32::from(old.last) + 1;
            if joins {
                old.last = old.last.max(new.last);
            }
            joins
        });
    }
}

/// No app and no pool.
const NOWHERE: u32 = u32::MAX;

/// Intervals of one address family: the place at `starts[i]` reaches to before `starts[i + 1]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Intervals<A> {
    starts: Vec<A>,
    places: Vec<u32>,
}

impl<A: Copy + Ord> Intervals<A> {
    fn at(&self, address: A) -> Option<u32> {
        let after = self.starts.partition_point(|s| *s <= address);
        self.places.get(after.checked_sub(1)?).copied()
    }

    /// From `(first address, last address, place)` of nested or separate prefixes, sorted by first address,
    /// wider before narrower. `next` is the address behind, if there is one.
    fn flatten(prefixes: impl Iterator<Item = (A, A, u32)>, next: impl Fn(A) -> Option<A>) -> Self {
        let mut all = Self { starts: Vec::new(), places: Vec::new() };
        let mut open: Vec<(A, u32)> = Vec::new();
        for (first, last, place) in prefixes {
            all.close(&mut open, Some(first), &next);
            all.push(first, place);
            open.push((last, place));
        }
        all.close(&mut open, None, &next);
        all
    }

    /// Ends the open prefixes that lie wholly before `until` (all of them for `None`).
    fn close(&mut self, open: &mut Vec<(A, u32)>, until: Option<A>, next: &impl Fn(A) -> Option<A>) {
        while let Some(&(last, _)) = open.last() {
            if until.is_some_and(|u| u <= last) {
                return;
            }
            open.pop();
            if let Some(behind) = next(last) {
                self.push(behind, open.last().map_or(NOWHERE, |o| o.1));
            }
        }
    }

    fn push(&mut self, start: A, place: u32) {
        match (self.starts.last(), self.places.last_mut()) {
            (Some(s), Some(p)) if *s == start => *p = place,
            (_, Some(p)) if *p == place => {}
            _ => {
                self.starts.push(start);
                self.places.push(place);
            }
        }
    }
}

/// From address to place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Atlas {
    v4: Intervals<u32>,
    v6: Intervals<u128>,
    places: Vec<Place>,
}

impl Atlas {
    /// From the pools, and the prefixes and services of each app.
    pub(crate) fn build<'a>(
        pools: impl Iterator<Item = IpNet>,
        apps: impl Iterator<Item = (AppIdx, &'a types::App)>,
    ) -> Self {
        let mut by_prefix: BTreeMap<IpNet, Place> = pools.map(|p| (p.trunc(), Place::default())).collect();
        for (idx, app) in apps {
            for prefix in &app.prefixes {
                by_prefix.entry(prefix.trunc()).or_default().add(idx, &app.services);
            }
        }
        let (mut v4, mut v6, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (prefix, mut place) in by_prefix {
            // More places than 2^32 - 1 cannot be reached: the lists above do not fit memory before.
            let at = u32::try_from(places.len()).unwrap_or(NOWHERE);
            match prefix {
                IpNet::V4(p) => v4.push((p.network().to_bits(), p.broadcast().to_bits(), at)),
                IpNet::V6(p) => v6.push((p.network().to_bits(), p.broadcast().to_bits(), at)),
            }
            place.settle();
            places.push(place);
        }
        v4.sort_unstable_by_key(|&(first, last, _)| (first, std::cmp::Reverse(last)));
        v6.sort_unstable_by_key(|&(first, last, _)| (first, std::cmp::Reverse(last)));
        Self {
            v4: Intervals::flatten(v4.into_iter(), |a| a.checked_add(1)),
            v6: Intervals::flatten(v6.into_iter(), |a| a.checked_add(1)),
            places,
        }
    }

    /// The place of the longest prefix over `address`.
    pub(crate) fn place(&self, address: IpAddr) -> Option<&Place> {
        let at = match address {
            IpAddr::V4(a) => self.v4.at(a.to_bits()),
            IpAddr::V6(a) => self.v6.at(a.to_bits()),
        }?;
        self.places.get(at as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::App;

    fn app(name: &str, prefixes: &[&str], services: &[&str]) -> App {
        App {
            name: name.parse().unwrap(),
            label: String::new(),
            prefixes: prefixes.iter().map(|p| p.parse().unwrap()).collect(),
            services: services.iter().map(|s| s.parse().unwrap()).collect(),
            names: Vec::new(),
            names_from: Default::default(),
            dscp: None,
            qfi: None,
            sensitivity: Default::default(),
            health: None,
        }
    }

    fn atlas(pools: &[&str], apps: &[App]) -> Atlas {
        Atlas::build(
            pools.iter().map(|p| p.parse().unwrap()),
            apps.iter().enumerate().map(|(i, a)| (AppIdx(i as u32), a)),
        )
    }

    fn tcp(a: &Atlas, address: &str, port: u16) -> Option<u32> {
        a.place(address.parse().unwrap())?.offering(Protocol::Tcp, port).map(|i| i.0)
    }

    #[test]
    fn the_longest_prefix_wins_and_hides_the_wider_one() {
        let apps = [
            app("all", &["0.0.0.0/0", "::/0"], &["tcp"]),
            app("site", &["10.0.0.0/8"], &["tcp/80"]),
            app("host", &["10.255.255.255/32", "10.1.1.1/32"], &["tcp/443"]),
        ];
        let a = atlas(&[], &apps);
        assert_eq!(tcp(&a, "9.255.255.255", 80), Some(0));
        assert_eq!(tcp(&a, "10.0.0.0", 80), Some(1));
        assert_eq!(tcp(&a, "10.1.1.0", 80), Some(1));
        assert_eq!(tcp(&a, "10.1.1.1", 443), Some(2));
        assert_eq!(tcp(&a, "10.1.1.1", 80), None);
        assert_eq!(tcp(&a, "10.1.1.2", 80), Some(1));
        assert_eq!(tcp(&a, "10.255.255.254", 80), Some(1));
        assert_eq!(tcp(&a, "10.255.255.255", 443), Some(2));
        assert_eq!(tcp(&a, "11.0.0.0", 80), Some(0));
        assert_eq!(tcp(&a, "255.255.255.255", 80), Some(0));
        assert_eq!(tcp(&a, "2001:db8::1", 80), Some(0));
    }

    #[test]
    fn ue_addresses_belong_to_no_wider_app() {
        let apps = [app("all", &["10.0.0.0/8"], &["tcp"]), app("plcs", &["10.20.9.0/24"], &["tcp/502"])];
        let a = atlas(&["10.20.0.0/16"], &apps);
        assert_eq!(tcp(&a, "10.19.255.255", 502), Some(0));
        assert!(a.place("10.20.0.7".parse().unwrap()).unwrap().is_bare_pool());
        assert_eq!(tcp(&a, "10.20.9.7", 502), Some(1));
        assert!(a.place("10.20.10.7".parse().unwrap()).unwrap().is_bare_pool());
        assert_eq!(tcp(&a, "10.21.0.0", 502), Some(0));
        assert!(a.place("192.0.2.1".parse().unwrap()).is_none());
    }

    #[test]
    fn apps_of_one_prefix_are_told_apart_by_service() {
        let apps = [
            app("web", &["10.0.0.1/32"], &["tcp/443", "tcp/80", "tcp/81-90", "tcp/85"]),
            app("db", &["10.0.0.1/32"], &["tcp/5432"]),
            app("scada", &["10.0.0.1/32"], &[]),
        ];
        let a = atlas(&[], &apps);
        let place = a.place("10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(place.apps(), [AppIdx(0), AppIdx(1), AppIdx(2)]);
        assert_eq!(place.offering(Protocol::Tcp, 5432), Some(AppIdx(1)));
        assert_eq!(place.offering(Protocol::Tcp, 85), Some(AppIdx(0)));
        assert_eq!(place.offering(Protocol::Tcp, 91), None);
        assert_eq!(place.offering(Protocol::Udp, 443), None);
        assert_eq!(place.offers.len(), 3);
    }

    #[test]
    fn without_prefixes_nothing_is_anywhere() {
        let a = atlas(&[], &[]);
        assert!(a.place("10.0.0.1".parse().unwrap()).is_none());
        assert!(a.place("::1".parse().unwrap()).is_none());
    }
}
