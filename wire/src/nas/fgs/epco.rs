//! Extended protocol configuration options (TS 24.008 §10.5.6.3, §10.5.6.3A): what a UE asks about its
//! data network and what it is told.
//!
//! ```text
//! 0     1|0000|000           configuration protocol: PPP for IP
//! 1     container: identifier (2) | length (1) | content
//! ...
//! ```

use super::NasError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One container (or protocol) of the options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Identifier: see the constants of [`Epco`].
    pub id: u16,
    /// Content, up to 255 octets.
    pub content: Vec<u8>,
}

/// The options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Epco {
    /// In the order received.
    pub containers: Vec<Container>,
}

/// Most containers that are read.
const MAX_CONTAINERS: usize = 64;

impl Epco {
    /// DNS server IPv6 address (request).
    pub const DNS_IPV6: u16 = 0x0003;
    /// DNS server IPv4 address (request).
    pub const DNS_IPV4: u16 = 0x000d;
    /// IPv4 link MTU (request).
    pub const IPV4_LINK_MTU: u16 = 0x0010;
    /// IPCP, the PPP way to ask for a DNS server.
    pub const IPCP: u16 = 0x8021;

    /// What an ordinary UE asks: DNS servers and MTU.
    pub fn ordinary_request() -> Self {
        let ask = |id| Container { id, content: Vec::new() };
        Self { containers: [Self::DNS_IPV6, Self::DNS_IPV4, Self::IPV4_LINK_MTU].map(ask).into() }
    }

    /// The answer to `request`: exactly what it asked for and we know. `None` where nothing is asked.
    pub fn answer(request: &Self, dns: &[IpAddr], mtu: u16) -> Option<Self> {
        let mut containers: Vec<_> =
            Self::servers(dns).into_iter().filter(|server| request.asks(server.id)).collect();
        if let Some(c) = request.containers.iter().find(|c| c.id == Self::IPCP) {
            let v4: Vec<Ipv4Addr> = dns.iter().filter_map(v4).collect();
            containers.extend(ipcp_answer(&c.content, &v4));
        }
        if request.asks(Self::IPV4_LINK_MTU) {
            containers.push(Container { id: Self::IPV4_LINK_MTU, content: mtu.to_be_bytes().to_vec() });
        }
        (!containers.is_empty()).then_some(Self { containers })
    }

    /// True if a container with this identifier is there.
    pub fn asks(&self, id: u16) -> bool {
        self.containers.iter().any(|c| c.id == id)
    }

    /// The containers that name these DNS servers: at most four of each family.
    pub fn servers(dns: &[IpAddr]) -> Vec<Container> {
        let v4 = dns.iter().filter_map(v4).map(|a| (Self::DNS_IPV4, a.octets().to_vec()));
        let v6 = dns.iter().filter_map(v6).map(|a| (Self::DNS_IPV6, a.octets().to_vec()));
        v4.take(4).chain(v6.take(4)).map(|(id, content)| Container { id, content }).collect()
    }

    /// The DNS servers told (by containers 0003 and 000D).
    pub fn dns(&self) -> Vec<IpAddr> {
        let of = |c: &Container| match c.id {
            Self::DNS_IPV4 => <[u8; 4]>::try_from(c.content.as_slice()).ok().map(IpAddr::from),
            Self::DNS_IPV6 => <[u8; 16]>::try_from(c.content.as_slice()).ok().map(IpAddr::from),
            _ => None,
        };
        self.containers.iter().filter_map(of).collect()
    }

    /// The MTU told.
    pub fn mtu(&self) -> Option<u16> {
        let c = self.containers.iter().find(|c| c.id == Self::IPV4_LINK_MTU)?;
        <[u8; 2]>::try_from(c.content.as_slice()).ok().map(u16::from_be_bytes)
    }

    /// Reads the content of the IE; `None` on a syntax error, such as a container that is longer than the
    /// IE or half a header.
    pub(super) fn from_octets(o: &[u8]) -> Option<Self> {
        let (first, mut rest) = o.split_first()?;
        if first & 0x87 != 0x80 {
            return None;
        }
        let mut containers = Vec::new();
        while !rest.is_empty() {
            let ([a, b, n], body) = rest.split_first_chunk::<3>()?;
            let (content, after) = body.split_at_checked(usize::from(*n))?;
            if containers.len() == MAX_CONTAINERS {
                return None;
            }
            containers.push(Container { id: u16::from_be_bytes([*a, *b]), content: content.to_vec() });
            rest = after;
        }
        Some(Self { containers })
    }

    pub(super) fn to_octets(&self) -> Result<Vec<u8>, NasError> {
        const WRONG: NasError = NasError::Encode { ie: "extended protocol configuration options" };
        if self.containers.len() > MAX_CONTAINERS {
            return Err(WRONG);
        }
        let mut o = vec![0x80];
        for c in &self.containers {
            o.extend(c.id.to_be_bytes());
            o.push(u8::try_from(c.content.len()).map_err(|_| WRONG)?);
            o.extend(&c.content);
        }
        Ok(o)
    }
}

fn v4(a: &IpAddr) -> Option<Ipv4Addr> {
    if let IpAddr::V4(a) = a { Some(*a) } else { None }
}

fn v6(a: &IpAddr) -> Option<Ipv6Addr> {
    if let IpAddr::V6(a) = a { Some(*a) } else { None }
}

/// RFC 1332 §3 and RFC 1877 §1: a Configure-Request that asks for DNS servers is answered by a
/// Configure-Nak that names them. Options: 129 primary, 131 secondary, each six octets.
fn ipcp_answer(packet: &[u8], dns: &[Ipv4Addr]) -> Option<Container> {
    let ([1, id, l1, l2], rest) = packet.split_first_chunk::<4>()? else { return None };
    let options_len = usize::from(u16::from_be_bytes([*l1, *l2])).checked_sub(4)?;
    let (mut options, _) = rest.split_at_checked(options_len)?;
    let mut nak = Vec::new();
    while let Some(([kind, len], body)) = options.split_first_chunk::<2>() {
        let (_, after) = body.split_at_checked(usize::from(*len).checked_sub(2)?)?;
        let server = match kind {
            129 => dns.first(),
            131 => dns.get(1),
            _ => None,
        };
        if let Some(a) = server {
            nak.extend([*kind, 6]);
            nak.extend(a.octets());
        }
        options = after;
    }
    if nak.is_empty() {
        return None;
    }
    let mut content = vec![3, *id];
    content.extend(u16::try_from(nak.len() + 4).ok()?.to_be_bytes());
    content.extend(nak);
    u8::try_from(content.len()).ok()?;
    Some(Container { id: Epco::IPCP, content })
}
