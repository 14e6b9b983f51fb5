//! The inner packet of IPv6, as far as a decision needs it (RFC 8200).
//!
//! Extension headers are walked up to a bound; routing headers that have somewhere left to go are refused, because they
//! move the destination away from the one that is judged (RFC 5095). A first fragment without its transport header cannot
//! be judged (RFC 7112); a fragment that is the whole packet is a packet (RFC 6946). Jumbograms are not carried.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use crate::inner::{About, Fragment, ICMP6, Inner, Transport, be, transport};
use std::net::{Ipv4Addr, Ipv6Addr};
use types::Reason;

/// Octets of the fixed header.
pub(crate) const HEADER: usize = 40;
/// Extension headers that are walked; real packets have one or two.
const MOST_HEADERS: usize = 8;

/// A packet that was read. The shard's tables know IPv6 addresses by numbers ([`crate::sixes`]), which are put into
/// `inner` and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Six {
    pub(crate) inner: Inner,
    pub(crate) src: Ipv6Addr,
    pub(crate) dst: Ipv6Addr,
    /// Source and destination of the packet that an ICMPv6 error is about.
    pub(crate) about: Option<(Ipv6Addr, Ipv6Addr)>,
    /// A Router Solicitation (RFC 4861 §4.1) that may be answered (§6.1.1).
    pub(crate) solicits: bool,
}

impl Six {
    /// Source and destination of a packet that was read.
    pub(crate) fn ends(packet: &[u8]) -> (Ipv6Addr, Ipv6Addr) {
        let of = |at| address(packet, at).unwrap_or(Ipv6Addr::UNSPECIFIED);
        (of(8), of(24))
    }
}

/// True for octets that call themselves IPv6.
pub(crate) fn is_six(packet: &[u8]) -> bool {
    packet.first().is_some_and(|b| b >> 4 == 6)
}

/// Addresses that are not of the Internet and not of a company: nobody's to send to, whoever owns them (decision D14).
/// What is left is global unicast without the forms that hide an IPv4 address (6to4, Teredo), and unique local addresses.
pub(crate) fn is_special(a: Ipv6Addr) -> bool {
    let [first, second, ..] = a.segments();
    let global = first & 0xe000 == 0x2000 && first != 0x2002 && (first, second) != (0x2001, 0);
    !(global || first & 0xfe00 == 0xfc00)
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    bytes.get(at..at + 16)?.first_chunk::<16>().map(|a| Ipv6Addr::from(*a))
}

/// Where the extension headers lead.
struct Chain {
    protocol: u8,
    /// Where the transport begins, or the piece of a later fragment.
    at: usize,
    /// Identification, first octet, more follow, and where the piece begins.
    fragment: Option<(u32, u32, bool, usize)>,
}

fn chain(packet: &[u8]) -> Option<Chain> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const DESTINATION: u8 = 60;
    let (mut next, mut at, mut fragment) = (*packet.get(6)?, HEADER, None);
    for _ in 0..=MOST_HEADERS {
        let len = match next {
            HOP_BY_HOP if at != HEADER => return None,
            HOP_BY_HOP | DESTINATION => (usize::from(*packet.get(at + 1)?) + 1) * 8,
            ROUTING if *packet.get(at + 3)? != 0 => return None,
            ROUTING => (usize::from(*packet.get(at + 1)?) + 1) * 8,
            FRAGMENT if fragment.is_some() => return None,
            FRAGMENT => {
                let [_, _, o1, o2, i1, i2, i3, i4] = *packet.get(at..at + 8)?.first_chunk::<8>()?;
                let offset = u16::from_be_bytes([o1, o2]);
                let begin = u32::from(offset & 0xfff8);
                fragment = Some((u32::from_be_bytes([i1, i2, i3, i4]), begin, offset & 1 != 0, at + 8));
                if begin != 0 {
                    return Some(Chain { protocol: *packet.get(at)?, at: at + 8, fragment });
                }
                8
            }
            protocol => return Some(Chain { protocol, at, fragment }),
        };
        next = *packet.get(at)?;
        at += len;
    }
    None
}

impl Six {
    /// Reads a packet.
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, Reason> {
        let malformed = Reason::MalformedInner;
        if !is_six(packet) {
            return Err(malformed);
        }
        let payload = usize::from(be(packet, 4).ok_or(malformed)?);
        let packet = packet.get(..HEADER + payload).ok_or(malformed)?;
        let len = packet.len();
        let (src, dst) = (address(packet, 8).ok_or(malformed)?, address(packet, 24).ok_or(malformed)?);
        let Chain { protocol, at, fragment } = chain(packet).ok_or(malformed)?;
        let octets = packet.get(at..).ok_or(malformed)?;
        let mut piece = None;
        if let Some((id, begin, more, from)) = fragment {
            let size = len.checked_sub(from).ok_or(malformed)?;
            let end = begin + size as u32;
            if end > 65_535 || size == 0 || (more && size % 8 != 0) {
                return Err(malformed);
            }
            piece = (begin != 0 || more).then_some(Fragment { id, begin, end, more });
        }
        let (later, more) = (piece.is_some_and(|f| f.begin != 0), piece.is_some_and(|f| f.more));
        let short = if more { Reason::Fragment } else { malformed };
        let (carries, about) = match protocol {
            _ if later => (Transport::Later, None),
            ICMP6 => icmp(octets).ok_or(short)?,
            _ => (transport(protocol, octets, more).ok_or(short)?, None),
        };
        if piece.is_some() && about.is_some() {
            return Err(Reason::Fragment);
        }
        let solicits = protocol == ICMP6
            && piece.is_none()
            && octets.first_chunk() == Some(&[133, 0])
            && packet.get(7) == Some(&255)
            && dst == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2)
            && (src.is_unicast_link_local() || src.is_unspecified());
        let unnumbered = Ipv4Addr::UNSPECIFIED;
        let inner = Inner {
            src: unnumbered,
            dst: unnumbered,
            six: true,
            protocol,
            len,
            header: at,
            // No router cuts it.
            whole: true,
            fragment: piece,
            transport: carries,
        };
        Ok(Self { inner, src, dst, about, solicits })
    }
}

/// What an ICMPv6 message is, and whose packet it is about.
fn icmp(octets: &[u8]) -> Option<(Transport, Option<(Ipv6Addr, Ipv6Addr)>)> {
    let &[kind, _, _, _, i1, i2, _, _] = octets.first_chunk::<8>()?;
    let id = u16::from_be_bytes([i1, i2]);
    Some(match kind {
        128 | 129 => (Transport::Echo { request: kind == 128, id }, None),
        // Unreachable, too big, time exceeded, parameter problem (RFC 4443).
        1..=4 => {
            let (about, ends) = about(octets.get(8..)?)?;
            (Transport::Error(about), Some(ends))
        }
        _ => (Transport::Other, None),
    })
}

fn about(packet: &[u8]) -> Option<(About, (Ipv6Addr, Ipv6Addr))> {
    if !is_six(packet) {
        return None;
    }
    let Chain { protocol, at, fragment } = chain(packet)?;
    // A later fragment has no ports to be known by.
    if fragment.is_some_and(|(_, begin, ..)| begin != 0) {
        return None;
    }
    let octets = packet.get(at..at + 8)?;
    let (src_port, dst_port) = match protocol {
        // As IPv4's: 8 asks, 0 answers.
        ICMP6 => (if *octets.first()? == 128 { 8 } else { 0 }, be(octets, 4)?),
        _ => (be(octets, 0)?, be(octets, 2)?),
    };
    let unnumbered = Ipv4Addr::UNSPECIFIED;
    let about = About { src: unnumbered, dst: unnumbered, protocol, src_port, dst_port };
    Some((about, (address(packet, 8)?, address(packet, 24)?)))
}

#[cfg(test)]
pub(crate) mod make {
    //! Packets for tests.
    use super::*;
    use crate::inner::checksum;
    use crate::inner::make::{tcp_payload, udp_payload};
    use crate::inner::{TCP, UDP};

    pub(crate) fn ip6(src: &str, dst: &str, next: u8, payload: &[u8]) -> Vec<u8> {
        let mut p = vec![0x60, 0, 0, 0];
        p.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        p.extend_from_slice(&[next, 64]);
        p.extend_from_slice(&src.parse::<Ipv6Addr>().unwrap().octets());
        p.extend_from_slice(&dst.parse::<Ipv6Addr>().unwrap().octets());
        p.extend_from_slice(payload);
        p
    }

    /// The checksum over the pseudo header and the payload: 0 where it is right.
    pub(crate) fn sum6(packet: &[u8], protocol: u8) -> u16 {
        let len = (packet.len() - HEADER) as u32;
        checksum(&[&packet[8..40], &len.to_be_bytes(), &[0, 0, 0, protocol], &packet[40..]])
    }

    pub(crate) fn tcp6(src: &str, sp: u16, dst: &str, dp: u16, flags: u8) -> Vec<u8> {
        ip6(src, dst, TCP, &tcp_payload(sp, dp, flags, b""))
    }

    pub(crate) fn udp6(src: &str, sp: u16, dst: &str, dp: u16, data: &[u8]) -> Vec<u8> {
        ip6(src, dst, UDP, &udp_payload(sp, dp, data))
    }

    pub(crate) fn ping6(src: &str, dst: &str, request: bool, id: u16) -> Vec<u8> {
        let [a, b] = id.to_be_bytes();
        ip6(src, dst, ICMP6, &[if request { 128 } else { 129 }, 0, 0, 0, a, b, 0, 1, 1, 2, 3, 4])
    }

    pub(crate) fn error6(src: &str, dst: &str, kind: u8, about: &[u8]) -> Vec<u8> {
        let payload = [&[kind, 0, 0, 0, 0, 0, 5, 0], about.get(..96).unwrap_or(about)].concat();
        ip6(src, dst, ICMP6, &payload)
    }

    /// A piece of a packet: from `begin` on, with `more` behind it.
    pub(crate) fn piece6(src: &str, dst: &str, next: u8, begin: u16, more: bool, octets: &[u8]) -> Vec<u8> {
        let [a, b] = (begin | u16::from(more)).to_be_bytes();
        ip6(src, dst, 44, &[&[next, 0, a, b, 0, 0, 0, 7], octets].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::make::*;
    use super::*;
    use crate::inner::make::{tcp_payload, udp_payload};
    use crate::inner::{SYN, TCP, UDP};
    use proptest::prelude::*;

    const UE: &str = "fd00:20:0:5::9";
    const HOST: &str = "2001:db8::1";

    #[test]
    fn ports_flags_and_identifiers_are_read_behind_extension_headers() {
        let s = Six::parse(&tcp6(UE, 1000, HOST, 443, SYN)).unwrap();
        assert_eq!(s.inner.transport, Transport::Tcp { src: 1000, dst: 443, flags: SYN });
        assert_eq!((s.src, s.dst), (UE.parse().unwrap(), HOST.parse().unwrap()));
        assert_eq!((s.inner.len, s.inner.header, s.inner.fragment), (60, 40, None));
        // Hop-by-hop, destination options of 16 octets, a routing header that has arrived.
        let options =
            [&[60, 0, 1, 4, 0, 0, 0, 0][..], &[43, 1], &[0; 14], &[UDP, 0, 4, 0, 0, 0, 0, 0]].concat();
        let p = ip6(UE, HOST, 0, &[&options[..], &udp_payload(7, 53, b"x")].concat());
        let s = Six::parse(&p).unwrap();
        assert_eq!((s.inner.transport, s.inner.protocol), (Transport::Udp { src: 7, dst: 53 }, UDP));
        assert_eq!(s.inner.header, 40 + options.len());
        let s = Six::parse(&ping6(UE, HOST, true, 77)).unwrap();
        assert_eq!(s.inner.transport, Transport::Echo { request: true, id: 77 });
        let Transport::Error(a) = Six::parse(&error6(HOST, UE, 1, &p)).unwrap().inner.transport else {
            panic!()
        };
        assert_eq!((a.protocol, a.src_port, a.dst_port), (UDP, 7, 53));
        // Padding behind the packet is not part of it.
        assert_eq!(Six::parse(&[&p[..], &[0; 9]].concat()).unwrap().inner.len, p.len());
    }

    /// R81: payload length 0 and any next header, and headers that lie or steer.
    #[test]
    fn what_cannot_be_judged_is_refused() {
        for next in [0, 6, 17, 43, 44, 58, 60] {
            assert_eq!(Six::parse(&ip6(UE, HOST, next, b"")), Err(Reason::MalformedInner), "{next}");
        }
        let nothing = Six::parse(&ip6(UE, HOST, 59, b"")).unwrap();
        assert_eq!((nothing.inner.transport, nothing.inner.protocol), (Transport::Other, 59));
        let tail = udp_payload(7, 53, b"");
        let steered = ip6(UE, HOST, 43, &[&[UDP, 0, 0, 1, 0, 0, 0, 0], &tail[..]].concat());
        let misplaced =
            ip6(UE, HOST, 60, &[&[0, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 1, 4, 0, 0, 0, 0], &tail[..]].concat());
        let endless = ip6(UE, HOST, 60, &[&[60, 0, 1, 4, 0, 0, 0, 0].repeat(40), &tail[..]].concat());
        let long = ip6(UE, HOST, 60, &[&[UDP, 255, 1, 4, 0, 0, 0, 0], &tail[..]].concat());
        for p in [steered, misplaced, endless, long] {
            assert_eq!(Six::parse(&p), Err(Reason::MalformedInner));
        }
        let whole = udp6(UE, 7, HOST, 53, b"x");
        for cut in 0..whole.len() {
            assert!(Six::parse(&whole[..cut]).is_err());
        }
    }

    #[test]
    fn pieces_are_known_by_their_first_and_a_piece_that_is_all_is_a_packet() {
        let t = tcp_payload(1, 443, SYN, b"1234");
        let s = Six::parse(&piece6(UE, HOST, TCP, 0, true, &t)).unwrap();
        assert_eq!(s.inner.fragment, Some(Fragment { id: 7, begin: 0, end: 24, more: true }));
        assert_eq!(s.inner.transport, Transport::Tcp { src: 1, dst: 443, flags: SYN });
        let s = Six::parse(&piece6(UE, HOST, TCP, 24, false, b"rest")).unwrap();
        assert_eq!(s.inner.fragment, Some(Fragment { id: 7, begin: 24, end: 28, more: false }));
        assert_eq!(s.inner.transport, Transport::Later);
        assert_eq!(Six::parse(&piece6(UE, HOST, TCP, 0, false, &t)).unwrap().inner.fragment, None);
        assert_eq!(Six::parse(&piece6(UE, HOST, TCP, 0, true, &t[..16])), Err(Reason::Fragment));
        assert_eq!(Six::parse(&piece6(UE, HOST, TCP, 0, true, &t[..21])), Err(Reason::MalformedInner));
        assert!(Six::parse(&piece6(UE, HOST, TCP, 0xfff8, false, &[0; 64])).is_err());
        let nested =
            ip6(UE, HOST, 44, &[&[44, 0, 0, 1, 0, 0, 0, 7, TCP, 0, 0, 0, 0, 0, 0, 8], &t[..]].concat());
        assert_eq!(Six::parse(&nested), Err(Reason::MalformedInner));
    }

    #[test]
    fn special_addresses_are_those_that_no_network_has() {
        for special in [
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2002:a00:1::1",
            "2001::1",
            "4000::1",
        ] {
            assert!(is_special(special.parse().unwrap()), "{special}");
        }
        for usual in [UE, HOST, "2001:db8::", "2400::1", "fc00::1"] {
            assert!(!is_special(usual.parse().unwrap()), "{usual}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(mut p in prop::collection::vec(any::<u8>(), 0..200), fix: bool,
                                            next in prop::sample::select(vec![0u8, 6, 17, 43, 44, 58, 60])) {
            if fix && p.len() >= HEADER {
                p[0] = 0x60;
                let len = (p.len() - HEADER) as u16;
                p[4..6].copy_from_slice(&len.to_be_bytes());
                p[6] = next;
            }
            if let Ok(s) = Six::parse(&p) {
                prop_assert!(s.inner.len <= p.len() && s.inner.header <= s.inner.len);
                prop_assert!(s.inner.fragment.is_none_or(|f| f.begin < f.end && f.end <= 65_535));
            }
        }
    }
}
