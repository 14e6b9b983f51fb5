//! The rule language as data: what `store` keeps, the API carries and `pgw-policy` compiles.

use crate::{Dnn, Imsi, Name, NamePattern, NamesFrom, PostureRequirement, Probe, Sensitivity, Utc};
use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    str::FromStr,
};

/// Transport protocol of an app's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP (6).
    Tcp,
    /// UDP (17).
    Udp,
    /// ICMP (1) for IPv4, ICMPv6 (58) for IPv6: echo and errors; has no ports.
    Icmp,
}

/// An inclusive range of ports; `first ≤ last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// Every port.
    pub const ANY: Self = Self { first: 0, last: u16::MAX };

    /// One port.
    pub fn one(p: u16) -> Self {
        Self { first: p, last: p }
    }

    /// Lowest port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// Highest port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// True where `p` lies inside.
    pub fn contains(self, p: u16) -> bool {
        (self.first..=self.last).contains(&p)
    }
}

impl TryFrom<(u16, u16)> for Ports {
    type Error = &'static str;
    fn try_from((first, last): (u16, u16)) -> Result<Self, &'static str> {
        if first <= last { Ok(Self { first, last }) } else { Err("a port range begins with its lower port") }
    }
}

impl From<Ports> for (u16, u16) {
    fn from(p: Ports) -> Self {
        (p.first, p.last)
    }
}

/// A protocol with its ports. Text form `tcp/443`, `udp/5000-5010`, `tcp` (every port), `icmp`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Ports; [`Ports::ANY`] for ICMP.
    pub ports: Ports,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Icmp => "icmp",
        };
        match (self.protocol, self.ports) {
            (Protocol::Icmp, _) | (_, Ports::ANY) => f.write_str(p),
            (_, r) if r.first() == r.last() => write!(f, "{p}/{}", r.first()),
            (_, r) => write!(f, "{p}/{}-{}", r.first(), r.last()),
        }
    }
}

impl FromStr for Service {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        const WHAT: &str = "a service is tcp, udp or icmp, with /port or /first-last behind tcp and udp";
        let (p, r) = s.split_once('/').map_or((s, None), |(a, b)| (a, Some(b)));
        let protocol = match p {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "icmp" => Protocol::Icmp,
            _ => return Err(WHAT),
        };
        let ports = match r {
            None => Ports::ANY,
            Some(_) if protocol == Protocol::Icmp => return Err("icmp has no ports"),
            Some(r) => {
                let (a, b) = r.split_once('-').unwrap_or((r, r));
                Ports::try_from((a.parse().map_err(|_| WHAT)?, b.parse().map_err(|_| WHAT)?))?
            }
        };
        Ok(Self { protocol, ports })
    }
}
crate::digits::serde_as_text!(Service);

/// A data network: where sessions of one DNN live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataNetwork {
    /// Its name, as the UE asks for it.
    pub dnn: Dnn,
    /// Prefix that UE addresses come from (IPv4).
    pub pool: IpNet,
    /// Prefix that UEs' IPv6 prefixes come from: the n-th address of the pool has the n-th 64-bit prefix of it. Without one
    /// the data network is IPv4 alone.
    #[serde(default)]
    pub pool6: Option<Ipv6Net>,
    /// Resolvers told to the UE: in (e)PCO, those of IPv6 by router advertisement too.
    #[serde(default)]
    pub dns: Vec<IpAddr>,
    /// IPv4 link MTU told to the UE, octets.
    #[serde(default = "DataNetwork::default_mtu")]
    pub mtu: u16,
}

impl DataNetwork {
    /// The IPv6 prefix of the UE that has this address: whose lease the address is, his is the prefix.
    pub fn prefix_of(&self, ip: Ipv4Addr) -> Option<Ipv6Net> {
        let (IpNet::V4(pool), Some(all)) = (self.pool, self.pool6) else { return None };
        let nth = ip.to_bits().checked_sub(pool.network().to_bits())?;
        let prefix = Ipv6Net::new((all.network().to_bits() | u128::from(nth) << 64).into(), 64).ok()?;
        (pool.contains(&ip) && all.contains(&prefix)).then_some(prefix)
    }

    /// The address of the UE in whose IPv6 prefix this one lies.
    pub fn address_beside(&self, ip: Ipv6Addr) -> Option<Ipv4Addr> {
        let (IpNet::V4(pool), Some(all)) = (self.pool, self.pool6.filter(|all| all.contains(&ip))) else {
            return None;
        };
        let nth = u32::try_from((ip.to_bits() - all.network().to_bits()) >> 64).ok()?;
        let address = pool.network().to_bits().checked_add(nth).map(Ipv4Addr::from_bits)?;
        pool.contains(&address).then_some(address)
    }

    /// Its resolvers with an IPv6 address.
    pub fn dns6(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.dns.iter().filter_map(|r| match r {
            IpAddr::V6(r) => Some(*r),
            IpAddr::V4(_) => None,
        })
    }

    /// Everything that its UEs have addresses of.
    pub fn pools(&self) -> impl Iterator<Item = IpNet> + use<> {
        std::iter::once(self.pool).chain(self.pool6.map(IpNet::V6))
    }

    /// 1 400 octets: what an N3 path of 1 500 carries with room for GTP-U, its extension and IPv6 outside.
    pub fn default_mtu() -> u16 {
        1400
    }
}

macro_rules! small_number {
    ($(#[$d:meta])* $t:ident, $range:expr, $what:literal) => {
        $(#[$d])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u8", into = "u8")]
        pub struct $t(u8);

        impl $t {
            /// The number.
            pub fn value(self) -> u8 {
                self.0
            }
        }

        impl TryFrom<u8> for $t {
            type Error = &'static str;
            fn try_from(n: u8) -> Result<Self, &'static str> {
                if $range.contains(&n) { Ok(Self(n)) } else { Err($what) }
            }
        }

        impl From<$t> for u8 {
            fn from(n: $t) -> Self {
                n.0
            }
        }
    };
}
small_number!(
    /// A differentiated services code point (RFC 2474).
    Dscp, 0..=63, "a DSCP is a number from 0 to 63"
);
small_number!(
    /// The identifier of a QoS flow (TS 23.501 §5.7.1.1).
    Qfi, 1..=63, "a QFI is a number from 1 to 63"
);

/// How an app's packets are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// Put into the inner header, both ways.
    pub dscp: Option<Dscp>,
    /// QoS flow that packets to the UE go in, where the session has it.
    pub qfi: Option<Qfi>,
}

/// Most bits a second for each SIM; all its flows by one rule share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleRate {
    /// From the UE.
    pub ul_bps: Option<u64>,
    /// To the UE.
    pub dl_bps: Option<u64>,
}

impl RuleRate {
    /// True where nothing is limited.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Which of the flows that a rule allows are written down. Denied ones always are, and so are allowed ones that a ban, a
/// restriction or a new policy ends. Text form `all`, `counters`, `1/N`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Recording {
    /// Every one.
    #[default]
    All,
    /// One in so many, at random.
    OneIn(NonZeroU32),
    /// None; they are only counted.
    Counters,
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::OneIn(n) => write!(f, "1/{n}"),
            Self::Counters => f.write_str("counters"),
        }
    }
}

impl FromStr for Recording {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        let one_in = |s: &str| s.strip_prefix("1/").and_then(|n| n.parse().ok()).map(Self::OneIn);
        match s {
            "all" => Ok(Self::All),
            "counters" => Ok(Self::Counters),
            s => one_in(s).ok_or("flows are recorded all, counters, or 1/N with N from 1 to 4294967295"),
        }
    }
}
crate::digits::serde_as_text!(Recording);

/// A company application: where it is (longest prefix wins) and which services it offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its name.
    pub name: Name,
    /// Words for people.
    #[serde(default)]
    pub label: String,
    /// Where it is; no host bits set.
    pub prefixes: Vec<IpNet>,
    /// What it offers to UEs. Empty for an app that only opens towards UEs (a SCADA host, say).
    #[serde(default)]
    pub services: Vec<Service>,
    /// What its servers are called; empty: whatever they are called. With any, only flows to one of these pass, and
    /// [`App::names_from`] says how that is seen.
    #[serde(default)]
    pub names: Vec<NamePattern>,
    /// How it is seen that a flow is to one of its names.
    #[serde(default)]
    pub names_from: NamesFrom,
    /// DSCP of the packets of its flows; as they come if not given.
    #[serde(default)]
    pub dscp: Option<Dscp>,
    /// QoS flow for its packets to the UE, where the session has it.
    #[serde(default)]
    pub qfi: Option<Qfi>,
    /// How much its contents matter: what a rule of verdict `risk` weighs the risk against.
    #[serde(default)]
    pub sensitivity: Sensitivity,
    /// How it is found out that it works. No verdict hears of it.
    #[serde(default)]
    pub health: Option<Probe>,
}

impl App {
    /// How its packets are marked.
    pub fn mark(&self) -> Mark {
        Mark { dscp: self.dscp, qfi: self.qfi }
    }

    /// True where it has names and they are read from TLS, which is over TCP alone.
    pub fn needs_tls(&self) -> bool {
        !self.names.is_empty() && self.names_from == NamesFrom::Tls
    }
}

/// A named set of SIMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// Words for people.
    #[serde(default)]
    pub label: String,
    /// What its SIMs still reach while it is in panic; nothing if empty.
    #[serde(default)]
    pub emergency_apps: Vec<Name>,
    /// What its SIMs still reach while they are in quarantine; nothing if empty. A SIM in several groups reaches those
    /// of all of them.
    #[serde(default)]
    pub remediation_apps: Vec<Name>,
    /// Department that its SIMs are of; for people.
    #[serde(default)]
    pub department: Option<String>,
    /// Role that its SIMs have; for people.
    #[serde(default)]
    pub role: Option<String>,
    /// True where its SIMs are of somebody who is not employed here.
    #[serde(default)]
    pub contractor: bool,
    /// When its contract ends: from then on its SIMs are suspended.
    #[serde(default)]
    pub ends_at: Option<Utc>,
    /// What is asked of its SIMs' devices.
    #[serde(default)]
    pub posture: Option<PostureRequirement>,
}

impl Group {
    /// A group without emergency and remediation apps.
    pub fn new(name: Name, label: impl Into<String>) -> Self {
        Self {
            name,
            label: label.into(),
            emergency_apps: Vec::new(),
            remediation_apps: Vec::new(),
            department: None,
            role: None,
            contractor: false,
            ends_at: None,
            posture: None,
        }
    }
}

/// What the policy knows of one SIM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UeGroups {
    /// The SIM.
    pub imsi: Imsi,
    /// Its groups.
    pub groups: BTreeSet<Name>,
    /// The device that it is in, where a rule names that.
    #[serde(default)]
    pub device: Option<Name>,
    /// Whose it is, where a rule names them.
    #[serde(default)]
    pub person: Option<Name>,
}
