//! `[n4]`: foreign SMFs that steer our user plane by PFCP (N4, Sxb).

use super::{Fault, gx::overlap, line_of};
use ::gateway::n4_socket::N4SocketConfig;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// T1 of TS 29.244 §6.4, milliseconds.
const T1_MS: u64 = 3_000;

/// `[n4]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N4 {
    /// Where SMFs send PFCP to; port 8805 by TS 29.244 §6.3.
    pub listen: SocketAddr,
    /// Seconds between two heartbeats.
    #[serde(default = "ten")]
    pub heartbeat_s: u64,
    /// The SMFs that are admitted.
    #[serde(default)]
    pub smf: Vec<Smf>,
}

/// `[[n4.smf]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smf {
    /// A name for people.
    pub name: String,
    /// Where its PFCP comes from.
    pub address: IpAddr,
    /// Where the GTP-U of its sessions comes from: gNBs, or the SGW-U.
    #[serde(default)]
    pub user_plane: Vec<IpNet>,
    /// UE addresses that it gives by itself, where it does; none of them is ours.
    #[serde(default)]
    pub own_range: Vec<IpNet>,
}

fn ten() -> u64 {
    10
}

impl N4 {
    /// What parses and cannot be right. `n3` is our address there.
    pub(super) fn faults(&self, text: &str, n3: IpAddr) -> Vec<Fault> {
        let mut found = Vec::new();
        let mut check = |ok: bool, key: &str, what: &str| {
            if !ok {
                found.push(Fault { line: line_of(text, key), key: key.to_owned(), what: what.to_owned() });
            }
        };
        let at = self.listen;
        let usable = at.port() != 0 && !at.ip().is_unspecified() && !at.ip().is_multicast();
        check(
            usable,
            "n4.listen",
            "write ADDRESS:PORT, our address towards the SMFs; 8805 is the usual port",
        );
        check((2..=3600).contains(&self.heartbeat_s), "n4.heartbeat_s", "2 to 3600 seconds");
        check(!self.smf.is_empty(), "n4.smf", "add an [[n4.smf]]: without one nobody may associate");
        for (i, s) in self.smf.iter().enumerate() {
            let before = || self.smf.iter().take(i);
            check(
                !before().any(|o| o.address == s.address),
                "n4.smf.address",
                "two SMFs have this address; an address is one SMF",
            );
            check(!before().any(|o| o.name == s.name), "n4.smf.name", "two SMFs have this name");
            check((1..=60).contains(&s.name.len()), "n4.smf.name", "1 to 60 characters");
            let unicast = !s.address.is_unspecified() && !s.address.is_multicast();
            check(unicast, "n4.smf.address", "write where its PFCP comes from");
            check(
                s.address.is_ipv4() == at.is_ipv4(),
                "n4.smf.address",
                "n4.listen is of the other family: it can send there nothing",
            );
            let family = |p: &IpNet| p.addr().is_ipv4() == n3.is_ipv4();
            check(
                s.user_plane.iter().all(family),
                "n4.smf.user_plane",
                "n3.address is of the other family: nothing can come from there",
            );
            check(
                s.own_range.iter().all(|p| p.addr().is_ipv4()),
                "n4.smf.own_range",
                "IPv4 prefixes; a session gets its IPv6 prefix from its data network's pool",
            );
        }
        found
    }

    /// What the gateway is told.
    pub(crate) fn socket(&self) -> N4SocketConfig {
        N4SocketConfig {
            listen: self.listen,
            smfs: self.smf.iter().map(|s| s.address).collect(),
            heartbeat_ms: self.heartbeat_s.saturating_mul(1_000),
            t1_ms: T1_MS,
        }
    }

    /// Own ranges of SMFs that overlap with one of these pools, with the SMF and the pool.
    pub fn overlaps<'a>(&'a self, pools: &'a [IpNet]) -> impl Iterator<Item = (&'a Smf, IpNet, IpNet)> {
        let all = self.smf.iter().flat_map(|s| s.own_range.iter().map(move |r| (s, *r)));
        all.flat_map(|(s, r)| pools.iter().filter(move |p| overlap(p, &r)).map(move |p| (s, r, *p)))
    }

    /// UE addresses that SMFs give by themselves.
    pub(crate) fn own_ranges(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.smf.iter().flat_map(|s| s.own_range.iter().copied())
    }
}
