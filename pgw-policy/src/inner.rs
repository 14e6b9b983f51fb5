//! The inner packet: IPv4 with TCP, UDP or ICMP, as far as a decision needs it.
//!
//! What is judged is what leaves: octets behind the packet's own total length are not forwarded, and a
//! header that lies about its length is refused. Options that steer the route (loose and strict source
//! route, RFC 791) are refused, because they move the destination away from the one that is judged.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::net::Ipv4Addr;
use types::Reason;

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP6: u8 = 58;

/// True for the messages of either family about its network.
pub(crate) fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMP6)
}

/// TCP flags.
pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const URG: u8 = 0x20;

/// A packet that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inner {
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// True for IPv6: then both addresses are numbers of the shard's.
    pub six: bool,
    /// IP protocol number.
    pub protocol: u8,
    /// Octets of the packet, by its own header.
    pub len: usize,
    /// Octets in front of what it carries.
    pub header: usize,
    /// True if it must not be cut into fragments.
    pub whole: bool,
    /// Where it stands in a fragmented packet, if it is one.
    pub fragment: Option<Fragment>,
    /// What it carries.
    pub transport: Transport,
}

/// One fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// IP identification.
    pub id: u32,
    /// First octet of payload.
    pub begin: u32,
    /// Octet behind the last one of payload.
    pub end: u32,
    /// True if more follow.
    pub more: bool,
}

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
        /// Flags.
        flags: u8,
    },
    /// UDP.
    Udp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// ICMP echo.
    Echo {
        /// True for a request.
        request: bool,
        /// Identifier.
        id: u16,
    },
    /// An ICMP error about another packet.
    Error(About),
    /// A fragment that is not the first one: it has no ports.
    Later,
    /// Another protocol, or another ICMP message.
    Other,
}

/// The packet that an ICMP error is about: as much of it as must be there (RFC 792).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its source.
    pub src: Ipv4Addr,
    /// Its destination.
    pub dst: Ipv4Addr,
    /// IP protocol number.
    pub protocol: u8,
    /// Source port; for ICMP the type (8 or 0).
    pub src_port: u16,
    /// Destination port; for ICMP the echo identifier.
    pub dst_port: u16,
}

pub(crate) fn be(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    bytes.get(at..at + 4)?.try_into().ok().map(|a: [u8; 4]| a.into())
}

impl Inner {
    /// Reads a packet.
    pub fn parse(packet: &[u8]) -> Result<Self, Reason> {
        let malformed = Reason::MalformedInner;
        match packet.first().map(|b| b >> 4) {
            Some(4) => {}
            Some(6) => return Err(Reason::WrongIpVersion),
            _ => return Err(malformed),
        }
        let fixed = packet.first_chunk::<20>().ok_or(malformed)?;
        let &[v, _tos, l1, l2, i1, i2, f1, f2, _ttl, protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = fixed;
        let header = usize::from(v & 0x0f) * 4;
        let len = usize::from(u16::from_be_bytes([l1, l2]));
        if header < 20 || len < header {
            return Err(malformed);
        }
        let packet = packet.get(..len).ok_or(malformed)?;
        let (options, payload) =
            (packet.get(20..header).ok_or(malformed)?, packet.get(header..).ok_or(malformed)?);
        if !options.is_empty() && steers(options) {
            return Err(malformed);
        }
        let flags = u16::from_be_bytes([f1, f2]);
        let begin = u32::from(flags & 0x1fff) * 8;
        let more = flags & 0x2000 != 0;
        let end = begin + payload.len() as u32;
        let fragment = (begin != 0 || more).then_some(Fragment {
            id: u16::from_be_bytes([i1, i2]).into(),
            begin,
            end,
            more,
        });
        if end + 20 > 65_535 || (more && payload.len() % 8 != 0) || (fragment.is_some() && payload.is_empty())
        {
            return Err(malformed);
        }
        let transport = if begin != 0 {
            Transport::Later
        } else {
            // A first fragment too short for its ports cannot be judged (RFC 1858).
            let short = if more { Reason::Fragment } else { malformed };
            transport(protocol, payload, more).ok_or(short)?
        };
        if fragment.is_some() && matches!(transport, Transport::Error(_)) {
            return Err(Reason::Fragment);
        }
        Ok(Self {
            src: [s1, s2, s3, s4].into(),
            dst: [d1, d2, d3, d4].into(),
            six: false,
            protocol,
            len,
            header,
            whole: flags & 0x4000 != 0,
            fragment,
            transport,
        })
    }
}

/// True for options that steer the route, and for options that cannot be walked.
fn steers(mut options: &[u8]) -> bool {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const LOOSE: u8 = 131;
    const STRICT: u8 = 137;
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            END => return false,
            NOTHING => options = rest,
            LOOSE | STRICT => return true,
            _ => {
                let next = rest.first().filter(|l| **l >= 2).and_then(|l| options.get(usize::from(*l)..));
                match next {
                    Some(next) => options = next,
                    None => return true,
                }
            }
        }
    }
    false
}

/// `None` if the payload is too short for its protocol or lies about its length.
pub(crate) fn transport(protocol: u8, payload: &[u8], more: bool) -> Option<Transport> {
    match protocol {
        TCP => {
            let fixed = payload.first_chunk::<20>()?;
            let header = usize::from(fixed.get(12)? >> 4) * 4;
            if header < 20 || (header > payload.len() && !more) {
                return None;
            }
            Some(Transport::Tcp { src: be(payload, 0)?, dst: be(payload, 2)?, flags: *payload.get(13)? })
        }
        UDP => {
            let len = usize::from(be(payload, 4)?);
            payload.get(..8)?;
            if len < 8 || (len > payload.len() && !more) {
                return None;
            }
            Some(Transport::Udp { src: be(payload, 0)?, dst: be(payload, 2)? })
        }
        ICMP => {
            let head = payload.first_chunk::<8>()?;
            let id = u16::from_be_bytes([head[4], head[5]]);
            match head[0] {
                0 => Some(Transport::Echo { request: false, id }),
                8 => Some(Transport::Echo { request: true, id }),
                // Unreachable, time exceeded, parameter problem. Redirect (5) and source quench (4)
                // steer or slow others and are in no use.
                3 | 11 | 12 => about(payload.get(8..)?).map(Transport::Error),
                _ => Some(Transport::Other),
            }
        }
        _ => Some(Transport::Other),
    }
}

fn about(packet: &[u8]) -> Option<About> {
    let first = *packet.first()?;
    let header = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header < 20 {
        return None;
    }
    // A later fragment has no ports to be known by.
    if be(packet, 6)? & 0x1fff != 0 {
        return None;
    }
    let protocol = *packet.get(9)?;
    let payload = packet.get(header..header + 8)?;
    let (src_port, dst_port) = match protocol {
        ICMP => (u16::from(*payload.first()?), be(payload, 4)?),
        _ => (be(payload, 0)?, be(payload, 2)?),
    };
    Some(About { src: address(packet, 12)?, dst: address(packet, 16)?, protocol, src_port, dst_port })
}

/// The Internet checksum (RFC 1071) of `parts` laid behind one another; each but the last has an even length.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            let [a, b] = match *pair {
                [a, b] => [a, b],
                [a] => [a, 0],
                _ => [0, 0],
            };
            sum += u64::from(u16::from_be_bytes([a, b]));
        }
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Destinations that no UE may send to, whoever owns them (decision D14).
pub(crate) fn is_special(a: Ipv4Addr) -> bool {
    let [first, ..] = a.octets();
    // 0/8 and 240/4 take in the unspecified address and the limited broadcast.
    a.is_loopback() || a.is_link_local() || a.is_multicast() || first == 0 || first >= 240
}

#[cfg(test)]
pub(crate) mod make {
    //! Packets for tests.
    use super::*;

    pub(crate) fn ip(src: &str, dst: &str, protocol: u8, flags: u16, id: u16, payload: &[u8]) -> Vec<u8> {
        let mut p = vec![0x45, 0];
        p.extend_from_slice(&((20 + payload.len()) as u16).to_be_bytes());
        p.extend_from_slice(&id.to_be_bytes());
        p.extend_from_slice(&flags.to_be_bytes());
        p.extend_from_slice(&[64, protocol, 0, 0]);
        p.extend_from_slice(&src.parse::<Ipv4Addr>().unwrap().octets());
        p.extend_from_slice(&dst.parse::<Ipv4Addr>().unwrap().octets());
        let sum = checksum(&[&p]);
        p[10..12].copy_from_slice(&sum.to_be_bytes());
        p.extend_from_slice(payload);
        p
    }

    pub(crate) fn tcp_payload(src: u16, dst: u16, flags: u8, data: &[u8]) -> Vec<u8> {
        let mut t = [src.to_be_bytes(), dst.to_be_bytes()].concat();
        t.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        t.extend_from_slice(data);
        t
    }

    pub(crate) fn udp_payload(src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
        let len = (8 + data.len()) as u16;
        [&src.to_be_bytes()[..], &dst.to_be_bytes(), &len.to_be_bytes(), &[0, 0], data].concat()
    }

    pub(crate) fn tcp(src: &str, sp: u16, dst: &str, dp: u16, flags: u8) -> Vec<u8> {
        ip(src, dst, TCP, 0x4000, 1, &tcp_payload(sp, dp, flags, b""))
    }

    pub(crate) fn udp(src: &str, sp: u16, dst: &str, dp: u16, data: &[u8]) -> Vec<u8> {
        ip(src, dst, UDP, 0, 1, &udp_payload(sp, dp, data))
    }

    pub(crate) fn ping(src: &str, dst: &str, request: bool, id: u16) -> Vec<u8> {
        let [a, b] = id.to_be_bytes();
        ip(src, dst, ICMP, 0, 1, &[if request { 8 } else { 0 }, 0, 0, 0, a, b, 0, 1, 1, 2, 3, 4])
    }

    pub(crate) fn icmp_error(src: &str, dst: &str, about: &[u8]) -> Vec<u8> {
        let payload = [&[3, 1, 0, 0, 0, 0, 0, 0], about.get(..28).unwrap_or(about)].concat();
        ip(src, dst, ICMP, 0, 1, &payload)
    }
}

#[cfg(test)]
mod tests {
    use super::make::*;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_flags_and_identifiers_are_read() {
        let p = tcp("10.0.0.1", 1000, "10.9.9.9", 443, SYN);
        let i = Inner::parse(&p).unwrap();
        assert_eq!(i.transport, Transport::Tcp { src: 1000, dst: 443, flags: SYN });
        assert_eq!((i.len, i.header, i.fragment), (40, 20, None));
        let i = Inner::parse(&ping("10.0.0.1", "10.9.9.9", true, 77)).unwrap();
        assert_eq!(i.transport, Transport::Echo { request: true, id: 77 });
        let e = icmp_error("10.9.9.9", "10.0.0.1", &p);
        let Transport::Error(a) = Inner::parse(&e).unwrap().transport else { panic!() };
        assert_eq!((a.protocol, a.src_port, a.dst_port), (TCP, 1000, 443));
        // Padding behind the packet is not part of it.
        assert_eq!(Inner::parse(&[&p[..], &[0; 9]].concat()).unwrap().len, 40);
    }

    /// R83: versions that are none, an empty packet, one octet.
    #[test]
    fn other_versions_and_stumps_are_refused() {
        let p = udp("10.0.0.1", 1, "10.9.9.9", 53, b"");
        for v in [0, 5, 15] {
            let mut p = p.clone();
            p[0] = v << 4 | 5;
            assert_eq!(Inner::parse(&p), Err(Reason::MalformedInner));
        }
        assert_eq!(Inner::parse(&[]), Err(Reason::MalformedInner));
        for b in [0x45, 0x00, 0xff] {
            assert_eq!(Inner::parse(&[b]), Err(Reason::MalformedInner));
        }
        for cut in 0..p.len() {
            assert!(Inner::parse(&p[..cut]).is_err());
        }
        // R81: IPv6 with payload length 0 and any next header: not carried, whatever it says.
        for next in [0, 59, 6] {
            let mut six = [0; 40];
            (six[0], six[6]) = (0x60, next);
            assert_eq!(Inner::parse(&six), Err(Reason::WrongIpVersion));
        }
    }

    #[test]
    fn headers_that_lie_are_refused() {
        let base = tcp("10.0.0.1", 1, "10.9.9.9", 443, SYN);
        for (at, value) in [(0, 0x44), (0, 0x4f), (2, 0xff), (3, 19), (32, 0x40), (32, 0xf0)] {
            let mut p = base.clone();
            p[at] = value;
            assert_eq!(Inner::parse(&p), Err(Reason::MalformedInner), "octet {at}");
        }
        for len in [0u16, 7, 9000] {
            let mut p = udp("10.0.0.1", 1, "10.9.9.9", 53, b"xx");
            p[24..26].copy_from_slice(&len.to_be_bytes());
            assert_eq!(Inner::parse(&p), Err(Reason::MalformedInner));
        }
    }

    #[test]
    fn source_routes_are_refused() {
        for option in
            [&[131, 7, 4, 1, 1, 1, 1, 0][..], &[1, 137, 7, 4, 1, 1, 1, 1], &[7, 0, 0, 0], &[68, 40, 0, 0]]
        {
            let plain = udp("10.0.0.1", 1, "10.9.9.9", 53, b"");
            let mut p = [&plain[..20], option, &plain[20..]].concat();
            p[0] = 0x45 + (option.len() / 4) as u8;
            let len = (p.len() as u16).to_be_bytes();
            p[2..4].copy_from_slice(&len);
            assert_eq!(Inner::parse(&p), Err(Reason::MalformedInner), "{option:?}");
        }
    }

    #[test]
    fn first_fragments_without_ports_are_refused() {
        let t = tcp_payload(1, 443, SYN, b"");
        for n in [8, 16] {
            assert_eq!(
                Inner::parse(&ip("10.0.0.1", "10.9.9.9", TCP, 0x2000, 7, &t[..n])),
                Err(Reason::Fragment)
            );
        }
        let long = [&t[..], &[0; 4]].concat();
        let i = Inner::parse(&ip("10.0.0.1", "10.9.9.9", TCP, 0x2000, 7, &long)).unwrap();
        assert_eq!(i.fragment, Some(Fragment { id: 7, begin: 0, end: 24, more: true }));
        // Past the end of any packet ("ping of death").
        assert!(Inner::parse(&ip("10.0.0.1", "10.9.9.9", TCP, 0x1fff, 7, &[0; 64])).is_err());
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(mut p in prop::collection::vec(any::<u8>(), 0..120), fix: bool, proto in prop::sample::select(vec![1u8, 6, 17, 50])) {
            if fix && p.len() > 20 {
                p[0] = 0x45;
                p[9] = proto;
                let n = (p.len() as u16).to_be_bytes();
                p[2..4].copy_from_slice(&n);
            }
            if let Ok(i) = Inner::parse(&p) {
                prop_assert!(i.len <= p.len() && i.header <= i.len);
            }
        }
    }
}
