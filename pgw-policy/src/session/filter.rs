//! Flow filters of PDRs (TS 29.244 §8.2.5), as the packet path asks them.
//!
//! A filter speaks of a packet's far end and of its UE's end, so the same one serves both directions (§5.2.1A.2A). It only
//! says which PDR a packet belongs to: what may pass, the PDR's FAR and QERs say, and above them the company's own rules.

use ipnet::IpNet;
use std::net::IpAddr;
use wire::pfcp::{FlowEnd, SdfFilter};

/// What one SDF filter asks of a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Its number within the session, where it has one.
    pub id: Option<u32>,
    protocol: Option<u8>,
    remote: End,
    ue: End,
    traffic_class: Option<(u8, u8)>,
    spi: Option<u32>,
    flow_label: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct End {
    net: Option<IpNet>,
    ports: Box<[(u16, u16)]>,
}

/// A packet as filters see it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// IP protocol number.
    pub protocol: u8,
    /// The far end, and its port where the protocol has ports.
    pub remote: (IpAddr, Option<u16>),
    /// The same of the UE.
    pub ue: (IpAddr, Option<u16>),
    /// The packet's octets.
    pub octets: &'a [u8],
    /// Where what it carries begins in them; nothing for a fragment that is not the first.
    pub payload: Option<usize>,
}

impl From<&SdfFilter> for Filter {
    fn from(f: &SdfFilter) -> Self {
        let flow = f.flow.as_ref();
        Self {
            id: f.id,
            protocol: flow.and_then(|d| d.protocol()),
            remote: flow.map(|d| End::from(d.remote())).unwrap_or_default(),
            ue: flow.map(|d| End::from(d.ue())).unwrap_or_default(),
            traffic_class: f.traffic_class,
            spi: f.spi,
            flow_label: f.flow_label,
        }
    }
}

impl From<&FlowEnd> for End {
    fn from(end: &FlowEnd) -> Self {
        // The reader of the message has checked the length.
        let net = end.net.and_then(|(a, length)| IpNet::new(a, length).ok()).map(|n| n.trunc());
        Self { net, ports: end.ports.as_slice().into() }
    }
}

impl End {
    fn is(&self, (address, port): (IpAddr, Option<u16>)) -> bool {
        let within = |port: u16| self.ports.iter().any(|(low, high)| (*low..=*high).contains(&port));
        self.net.is_none_or(|n| n.contains(&address)) && (self.ports.is_empty() || port.is_some_and(within))
    }
}

impl Filter {
    /// True if it speaks only of an address that no packet passes to or from (decision D14), such as that of all routers:
    /// other cores have Router Solicitations sent to themselves in this way, which are answered here.
    pub(crate) fn meets_nothing(&self) -> bool {
        let host = self.remote.net.filter(|n| n.prefix_len() == n.max_prefix_len());
        host.is_some_and(|n| match n.addr() {
            IpAddr::V4(a) => crate::inner::is_special(a),
            IpAddr::V6(a) => crate::inner6::is_special(a),
        })
    }

    /// True if it speaks of this packet.
    pub fn meets(&self, p: &Seen<'_>) -> bool {
        self.protocol.is_none_or(|n| n == p.protocol)
            && self.remote.is(p.remote)
            && self.ue.is(p.ue)
            && self
                .traffic_class
                .is_none_or(|(tos, mask)| p.traffic_class().is_some_and(|t| t & mask == tos & mask))
            && self.spi.is_none_or(|spi| p.spi() == Some(spi))
            && self.flow_label.is_none_or(|label| p.flow_label() == Some(label))
    }
}

impl Seen<'_> {
    /// ToS octet of IPv4 (RFC 2474 §3), traffic class of IPv6 (RFC 8200 §7).
    fn traffic_class(&self) -> Option<u8> {
        match *self.octets {
            [first, second, ..] if first >> 4 == 6 => Some(first << 4 | second >> 4),
            [_, tos, ..] => Some(tos),
            _ => None,
        }
    }

    fn flow_label(&self) -> Option<u32> {
        match *self.octets {
            [first, a, b, c, ..] if first >> 4 == 6 => Some(u32::from_be_bytes([0, a & 0x0f, b, c])),
            _ => None,
        }
    }

    /// Security Parameter Index of ESP (RFC 4303 §2) or AH (RFC 4302 §2).
    fn spi(&self) -> Option<u32> {
        let at = match self.protocol {
            50 => self.payload?,
            51 => self.payload? + 4,
            _ => return None,
        };
        self.octets.get(at..)?.first_chunk::<4>().map(|spi| u32::from_be_bytes(*spi))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inner::make::{tcp, udp};

    fn filter(description: &str) -> Filter {
        Filter::from(&SdfFilter::of(description.parse().unwrap()))
    }

    fn seen<'a>(protocol: u8, remote: (&str, u16), ue: (&str, u16), octets: &'a [u8]) -> Seen<'a> {
        let end = |(a, port): (&str, u16)| (a.parse().unwrap(), (port > 0).then_some(port));
        Seen { protocol, remote: end(remote), ue: end(ue), octets, payload: Some(20) }
    }

    #[test]
    fn each_part_of_a_description_counts() {
        let packet = tcp("10.20.0.5", 5000, "10.1.0.9", 443, 2);
        let p = seen(6, ("10.1.0.9", 443), ("10.20.0.5", 5000), &packet);
        for (description, meets) in [
            ("permit out ip from any to assigned", true),
            ("permit out 6 from 10.1.0.9 443 to 10.20.0.5 5000", true),
            ("permit out 6 from 10.1.0.77/24 440-450 to any", true),
            ("permit out tcp from 10.1.0.0/16 80,443 to assigned 1-65535", true),
            ("permit out 17 from any to assigned", false),
            ("permit out 6 from 10.1.0.8 to assigned", false),
            ("permit out 6 from 10.1.0.9 444 to assigned", false),
            // Source and destination as of an uplink packet: written from the wrong side.
            ("permit out 6 from 10.20.0.5 to 10.1.0.9", false),
            ("permit out 6 from any to assigned 443", false),
            ("permit out ip from ::/1 to assigned", false),
        ] {
            assert_eq!(filter(description).meets(&p), meets, "{description}");
        }
        // What has no ports meets no filter that asks for some.
        let icmp = Seen { remote: (p.remote.0, None), ue: (p.ue.0, None), protocol: 1, ..p };
        assert!(filter("permit out icmp from any to any").meets(&icmp));
        assert!(!filter("permit out ip from any 0-65535 to any").meets(&icmp));
    }

    #[test]
    fn marks_labels_and_security_indexes_count() {
        let mut packet = udp("10.20.0.5", 7, "10.1.0.9", 9, b"word");
        packet[1] = 0xb8;
        let p = seen(17, ("10.1.0.9", 9), ("10.20.0.5", 7), &packet);
        let class = |tos, mask| Filter { traffic_class: Some((tos, mask)), ..Filter::default() };
        assert!(class(0xb8, 0xfc).meets(&p) && class(0xbb, 0xfc).meets(&p) && !class(0x28, 0xfc).meets(&p));
        let six = [0x6b, 0x8a, 0xbc, 0xde, 0, 0];
        let p6 = Seen { octets: &six, ..p };
        let label = |l| Filter { flow_label: Some(l), ..Filter::default() };
        assert!(class(0xb8, 0xff).meets(&p6) && label(0xabcde).meets(&p6) && !label(0xabcdf).meets(&p6));
        assert!(!label(0).meets(&p), "IPv4 has none");
        let spi = Filter { spi: Some(0x0102_0304), ..Filter::default() };
        let mut esp = vec![0x45; 20];
        esp.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(spi.meets(&Seen { protocol: 50, octets: &esp, ..p }));
        assert!(!spi.meets(&Seen { protocol: 51, octets: &esp, ..p }));
        assert!(!spi.meets(&Seen { protocol: 50, octets: &esp, payload: None, ..p }));
        assert!(!spi.meets(&Seen { protocol: 50, octets: &esp[..22], ..p }) && !spi.meets(&p));
    }
}
