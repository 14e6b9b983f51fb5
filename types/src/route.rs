//! Framed routes: networks behind a SIM (TS 23.501 §5.6.14, RFC 2865 §5.22).

use crate::{Dnn, Imsi, digits::serde_as_text};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};
use thiserror::Error;

/// A prefix that may lie behind a SIM: no bits behind its length, no special addresses, and not half of the world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutePrefix(IpNet);

/// Why a prefix may not lie behind a SIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RouteError {
    /// It is no prefix.
    #[error("a route is an address, a slash and a length, for example 192.168.10.0/24")]
    Syntax,
    /// Bits right of the prefix length are set.
    #[error("{0} has bits set behind its prefix length; write {fixed}", fixed = .0.trunc())]
    HostBits(IpNet),
    /// It is too wide.
    #[error("{0} is too wide for what lies behind one SIM; use /8 to /32, or /16 to /128 of IPv6")]
    Wide(IpNet),
    /// It holds addresses that belong to no network.
    #[error(
        "{0} holds loopback, link-local, multicast or reserved addresses; name the network behind the SIM"
    )]
    Special(IpNet),
}

/// What no route may touch: this network, loopback, link-local, multicast and reserved (decision D14).
const SPECIAL: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];
/// Where an IPv6 route must lie: global unicast and unique local addresses.
const USUAL: [(Ipv6Addr, u8); 2] =
    [(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3), (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)];

/// An address as a number in which IPv4 and IPv6 do not meet.
fn number(a: IpAddr) -> u128 {
    match a {
        IpAddr::V4(a) => a.to_ipv6_mapped().to_bits(),
        IpAddr::V6(a) => a.to_bits(),
    }
}

impl RoutePrefix {
    /// The prefix.
    pub fn net(self) -> IpNet {
        self.0
    }

    /// Its first and last address as numbers, IPv4 as IPv4-mapped IPv6.
    pub fn span(self) -> (u128, u128) {
        Self::span_of(self.0)
    }

    /// The same of any prefix.
    pub fn span_of(net: IpNet) -> (u128, u128) {
        (number(net.network()), number(net.broadcast()))
    }

    /// The same number for one address.
    pub fn number_of(a: IpAddr) -> u128 {
        number(a)
    }

    /// True if it has an address that `net` has, too.
    pub fn meets(self, net: IpNet) -> bool {
        self.0.contains(&net.network()) || net.contains(&self.0.network())
    }
}

impl TryFrom<IpNet> for RoutePrefix {
    type Error = RouteError;
    fn try_from(net: IpNet) -> Result<Self, RouteError> {
        if net != net.trunc() {
            return Err(RouteError::HostBits(net));
        }
        let (widest, special) = match net {
            IpNet::V4(n) => {
                let meets = |(a, len): &(Ipv4Addr, u8)| {
                    Ipv4Net::new(*a, *len).is_ok_and(|s| s.contains(&n.network()) || n.contains(&s.network()))
                };
                (8, SPECIAL.iter().any(meets))
            }
            IpNet::V6(n) => {
                let holds = |(a, len): &(Ipv6Addr, u8)| Ipv6Net::new(*a, *len).is_ok_and(|u| u.contains(&n));
                (16, !USUAL.iter().any(holds))
            }
        };
        if net.prefix_len() < widest {
            return Err(RouteError::Wide(net));
        }
        if special { Err(RouteError::Special(net)) } else { Ok(Self(net)) }
    }
}

impl FromStr for RoutePrefix {
    type Err = RouteError;
    fn from_str(s: &str) -> Result<Self, RouteError> {
        s.parse::<IpNet>().map_err(|_| RouteError::Syntax)?.try_into()
    }
}

impl fmt::Display for RoutePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
serde_as_text!(RoutePrefix);

/// A route of a SIM: what lies behind it in one data network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FramedRoute {
    /// The SIM.
    pub imsi: Imsi,
    /// The data network whose session carries it.
    pub dnn: Dnn,
    /// The network behind it.
    pub prefix: RoutePrefix,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_a_network_that_may_lie_behind_a_sim() {
        for good in ["192.168.10.0/24", "10.0.0.0/8", "10.1.2.3/32", "fd00:10::/32", "2001:db8:1::/48"] {
            assert_eq!(good.parse::<RoutePrefix>().unwrap().to_string(), good);
        }
        let why = |s: &str| s.parse::<RoutePrefix>().unwrap_err();
        let net = |s: &str| s.parse::<IpNet>().unwrap();
        assert_eq!(why("192.168.10.0"), RouteError::Syntax);
        assert_eq!(why("192.168.10.1/24"), RouteError::HostBits(net("192.168.10.1/24")));
        assert!(why("192.168.10.1/24").to_string().ends_with("write 192.168.10.0/24"));
        for wide in ["8.0.0.0/5", "fc00::/7"] {
            assert_eq!(why(wide), RouteError::Wide(net(wide)));
        }
        for special in
            ["127.1.0.0/16", "169.254.0.0/17", "224.0.0.0/24", "0.0.0.0/8", "fe80::/64", "::/96", "ff02::/16"]
        {
            assert_eq!(why(special), RouteError::Special(net(special)), "{special}");
        }
    }

    #[test]
    fn families_do_not_meet_and_spans_touch_where_prefixes_do() {
        let p = |s: &str| s.parse::<RoutePrefix>().unwrap();
        let (a, b) = (p("10.1.0.0/16"), p("10.1.2.0/24"));
        assert!(a.meets(b.net()) && b.meets(a.net()) && !b.meets("10.1.3.0/24".parse().unwrap()));
        assert!(!p("2001:db8::/32").meets(a.net()));
        assert!(a.span().0 <= b.span().0 && b.span().1 <= a.span().1);
        assert_eq!(p("10.1.2.3/32").span().0, RoutePrefix::number_of("10.1.2.3".parse().unwrap()));
    }
}
