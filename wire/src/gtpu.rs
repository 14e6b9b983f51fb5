//! GTP-U: the tunnel header of N3 and S1-U (TS 29.281, TS 38.415).
//!
//! # Safety
//! No indexing, no panic, no recursion. A chain of extension headers is read in a loop, at most
//! [`MAX_EXTENSIONS`] long. The length field must say exactly how long the datagram is.
//! # Ownership
//! [`Packet`] borrows the datagram; the payload is a slice of it.
//! # Round trip
//! What the functions here write, [`Packet::parse`] reads. Sequence numbers are read and ignored.
//! # Order of elements
//! Extension headers may come in any order; the first PDU Session Container counts.
//! # Errors
//! [`Malformed`] with the offset; an extension header that must be understood and is not is
//! [`GtpuError::MustUnderstand`], which is answered by a Supported Extension Headers Notification.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::net::IpAddr;
use thiserror::Error;

/// UDP port of GTP-U.
pub const PORT: u16 = 2152;

/// Longest chain of extension headers that is read. The spec defines a handful, each once.
pub const MAX_EXTENSIONS: usize = 8;

/// Octets of a downlink header with PDU Session Container.
pub const HEADER_WITH_CONTAINER: usize = 16;

/// Octets of the longest message that [`encode_error_indication`] and its like write.
pub const SMALL_MESSAGE: usize = 48;

/// Message type (TS 29.281 §6.1). Unknown values survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageType(pub u8);

#[allow(non_upper_case_globals)]
impl MessageType {
    /// Echo Request.
    pub const EchoRequest: Self = Self(1);
    /// Echo Response.
    pub const EchoResponse: Self = Self(2);
    /// Error Indication.
    pub const ErrorIndication: Self = Self(26);
    /// Supported Extension Headers Notification.
    pub const SupportedExtensionHeaders: Self = Self(31);
    /// End Marker.
    pub const EndMarker: Self = Self(254);
    /// G-PDU: a user's packet.
    pub const GPdu: Self = Self(255);
}

/// Extension header types (TS 29.281 §5.2.1).
const PDU_SESSION_CONTAINER: u8 = 0x85;
const UDP_PORT: u8 = 0x40;

/// IE types (TS 29.281 §8.1).
const IE_RECOVERY: u8 = 14;
const IE_TEID_DATA_I: u8 = 16;
const IE_PEER_ADDRESS: u8 = 133;
const IE_EXTENSION_HEADER_TYPES: u8 = 141;

/// What a PDU Session Container says (TS 38.415 §5.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduSession {
    /// PDU type: 0 downlink, 1 uplink.
    pub pdu_type: u8,
    /// QoS flow, 6 bits.
    pub qfi: u8,
}

/// Where and how a datagram breaks the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{what} at octet {offset}")]
pub struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// Where, from the start of the datagram.
    pub offset: usize,
}

/// Why a datagram was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GtpuError {
    /// Not well-formed.
    #[error("malformed GTP-U: {0}")]
    Malformed(#[from] Malformed),
    /// Another version or GTP' (TS 29.281 §5.1: PT is 0).
    #[error("not GTP version 1")]
    Version,
    /// An extension header of this type must be understood by the endpoint, and is not.
    #[error("extension header {0:#04x} is not supported")]
    MustUnderstand(u8),
}

/// A datagram, read without copying.
///
/// ```text
///      8     7     6     5     4     3     2     1
/// 1 | version (1)     | PT  |  0  |  E  |  S  | PN  |
/// 2 | message type                                  |
/// 3 | length of what follows octet 8                |  2 octets
/// 5 | TEID                                          |  4 octets
/// 9 | sequence number (2), N-PDU number, next extension header type: only if E, S or PN |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: MessageType,
    /// Tunnel; 0 for Echo and Supported Extension Headers.
    pub teid: u32,
    /// Sequence number, if the S flag is set.
    pub sequence: Option<u16>,
    /// PDU Session Container, if there is one.
    pub pdu_session: Option<PduSession>,
    /// T-PDU, or the message's information elements.
    pub payload: &'a [u8],
    /// Where the payload begins in the datagram.
    pub payload_at: usize,
}

/// The TEID of a datagram, read before anything else is: to which shard it belongs.
pub fn peek_teid(datagram: &[u8]) -> Option<u32> {
    datagram.get(4..8)?.try_into().ok().map(u32::from_be_bytes)
}

fn bad(what: &'static str, offset: usize) -> GtpuError {
    Malformed { what, offset }.into()
}

impl<'a> Packet<'a> {
    /// Reads the header and its extensions.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, GtpuError> {
        let Some((&[flags, kind, l1, l2, t1, t2, t3, t4], rest)) = datagram.split_first_chunk::<8>() else {
            return Err(bad("header cut short", datagram.len()));
        };
        if flags >> 5 != 1 || flags & 0x10 == 0 {
            return Err(GtpuError::Version);
        }
        if usize::from(u16::from_be_bytes([l1, l2])) != rest.len() {
            return Err(bad("length is not that of the datagram", 2));
        }
        let mut p = Self {
            kind: MessageType(kind),
            teid: u32::from_be_bytes([t1, t2, t3, t4]),
            sequence: None,
            pdu_session: None,
            payload: rest,
            payload_at: 8,
        };
        if flags & 0x07 == 0 {
            return Ok(p);
        }
        let Some((&[s1, s2, _npdu, next], rest)) = rest.split_first_chunk::<4>() else {
            return Err(bad("optional fields cut short", 8));
        };
        p.sequence = (flags & 0x02 != 0).then(|| u16::from_be_bytes([s1, s2]));
        p.payload = rest;
        p.payload_at = 12;
        if flags & 0x04 != 0 {
            p.extensions(next)?;
        }
        Ok(p)
    }

    /// TS 29.281 §5.2.1: length in units of 4 octets, contents, type of the next one.
    fn extensions(&mut self, first: u8) -> Result<(), GtpuError> {
        let mut kind = first;
        for _ in 0..MAX_EXTENSIONS {
            if kind == 0 {
                return Ok(());
            }
            let at = self.payload_at;
            let Some(&units) = self.payload.first() else {
                return Err(bad("extension header cut short", at));
            };
            if units == 0 {
                return Err(bad("extension header of length 0", at));
            }
            let Some((header, rest)) = self.payload.split_at_checked(usize::from(units) * 4) else {
                return Err(bad("extension header longer than the datagram", at));
            };
            let [_, contents @ .., next] = header else { return Err(bad("extension header cut short", at)) };
            match kind {
                PDU_SESSION_CONTAINER => {
                    let [a, b, ..] = contents else { return Err(bad("PDU Session Container cut short", at)) };
                    let (pdu_type, qfi) = (a >> 4, b & 0x3f);
                    if pdu_type > 1 {
                        return Err(bad("PDU type of the PDU Session Container", at + 1));
                    }
                    self.pdu_session.get_or_insert(PduSession { pdu_type, qfi });
                }
                UDP_PORT => {}
                // Bits 8 and 7: 1x means that the endpoint must comprehend it (§5.2.1).
                other if other & 0x80 != 0 => return Err(GtpuError::MustUnderstand(other)),
                _ => {}
            }
            self.payload = rest;
            self.payload_at += header.len();
            kind = *next;
        }
        if kind == 0 { Ok(()) } else { Err(bad("too many extension headers", self.payload_at)) }
    }

    /// For an Error Indication: the TEID and the address that its sender does not know (TS 29.281 §7.3.1).
    pub fn error_indication(&self) -> Result<(u32, IpAddr), GtpuError> {
        let (mut teid, mut address) = (None, None);
        let mut rest = self.payload;
        let at = |rest: &[u8]| self.payload_at + self.payload.len() - rest.len();
        while let Some((&kind, tail)) = rest.split_first() {
            let len = match (kind, tail) {
                (IE_TEID_DATA_I, _) => 4,
                (IE_RECOVERY, _) => 1,
                // Above 127: type, length, value.
                (128.., [a, b, ..]) => usize::from(u16::from_be_bytes([*a, *b])),
                _ => return Err(bad("unknown information element", at(rest))),
            };
            let body = if kind >= 128 { tail.get(2..).unwrap_or_default() } else { tail };
            let Some((value, next)) = body.split_at_checked(len) else {
                return Err(bad("information element longer than the message", at(rest)));
            };
            match kind {
                IE_TEID_DATA_I => {
                    teid = teid.or(value.try_into().ok().map(u32::from_be_bytes));
                }
                IE_PEER_ADDRESS => {
                    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
                    let any = v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from));
                    let any = any.map_err(|_| bad("length of the peer address", at(rest)))?;
                    address = address.or(Some(any));
                }
                _ => {}
            }
            rest = next;
        }
        match (teid, address) {
            (Some(t), Some(a)) => Ok((t, a)),
            _ => Err(bad("TEID or peer address is missing", self.payload_at)),
        }
    }
}

/// A header that stands in front of a packet: 8 octets, or 16 with a PDU Session Container.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    bytes: [u8; HEADER_WITH_CONTAINER],
    len: usize,
}

impl Header {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The header of a G-PDU with `payload` octets. With `container`, a PDU Session Container is added.
/// `None` if the payload is longer than the length field can say.
pub fn g_pdu_header(teid: u32, container: Option<PduSession>, payload: usize) -> Option<Header> {
    let [t1, t2, t3, t4] = teid.to_be_bytes();
    let extra = if container.is_some() { 8 } else { 0 };
    let [l1, l2] = u16::try_from(payload.checked_add(extra)?).ok()?.to_be_bytes();
    let mut bytes = [0x30, 0xff, l1, l2, t1, t2, t3, t4, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut len = 8;
    if let Some(c) = container {
        bytes = [
            0x34,
            0xff,
            l1,
            l2,
            t1,
            t2,
            t3,
            t4,
            0,
            0,
            0,
            PDU_SESSION_CONTAINER,
            1,
            c.pdu_type << 4,
            c.qfi & 0x3f,
            0,
        ];
        len = HEADER_WITH_CONTAINER;
    }
    Some(Header { bytes, len })
}

/// Writes into a buffer of at least [`SMALL_MESSAGE`] octets; longer contents are cut (never needed).
fn write(out: &mut [u8], kind: MessageType, teid: u32, sequence: Option<u16>, body: &[&[u8]]) -> usize {
    let [s1, s2] = sequence.unwrap_or(0).to_be_bytes();
    let optional = [s1, s2, 0, 0];
    let optional: &[u8] = if sequence.is_some() { &optional } else { &[] };
    let length = optional.len() + body.iter().map(|b| b.len()).sum::<usize>();
    let [l1, l2] = (length as u16).to_be_bytes();
    let flags = if sequence.is_some() { 0x32 } else { 0x30 };
    let fixed = [flags, kind.0, l1, l2];
    let teid = teid.to_be_bytes();
    let mut at = 0;
    for part in [&fixed, &teid, optional].iter().chain(body) {
        let Some(room) = out.get_mut(at..at + part.len()) else { return 0 };
        room.copy_from_slice(part);
        at += part.len();
    }
    at
}

/// An Echo Request; returns its length.
pub fn encode_echo_request(out: &mut [u8], sequence: u16) -> usize {
    write(out, MessageType::EchoRequest, 0, Some(sequence), &[])
}

/// The answer to an Echo Request. The restart counter is always 0 (TS 29.281 §7.2.2).
pub fn encode_echo_response(out: &mut [u8], sequence: u16) -> usize {
    write(out, MessageType::EchoResponse, 0, Some(sequence), &[&[IE_RECOVERY, 0]])
}

/// Says that `teid` at our address `ours` is not known.
pub fn encode_error_indication(out: &mut [u8], teid: u32, ours: IpAddr) -> usize {
    let t = teid.to_be_bytes();
    let (v4, v6);
    let (len, address): ([u8; 3], &[u8]) = match ours {
        IpAddr::V4(a) => {
            v4 = a.octets();
            ([IE_PEER_ADDRESS, 0, 4], &v4)
        }
        IpAddr::V6(a) => {
            v6 = a.octets();
            ([IE_PEER_ADDRESS, 0, 16], &v6)
        }
    };
    write(out, MessageType::ErrorIndication, 0, Some(0), &[&[IE_TEID_DATA_I], &t, &len, address])
}

/// The last packet on a path (TS 29.281 §7.3.2).
pub fn encode_end_marker(out: &mut [u8], teid: u32) -> usize {
    write(out, MessageType::EndMarker, teid, None, &[])
}

/// Which extension headers are understood here (TS 29.281 §7.2.3).
pub fn encode_supported_extension_headers(out: &mut [u8], sequence: u16) -> usize {
    let ie = [IE_EXTENSION_HEADER_TYPES, 2, PDU_SESSION_CONTAINER, UDP_PORT];
    write(out, MessageType::SupportedExtensionHeaders, 0, Some(sequence), &[&ie])
}

/// An uplink G-PDU as a gNB sends it, for tests and for the simulated radio.
pub fn encode_uplink(teid: u32, qfi: u8, inner: &[u8]) -> Option<Vec<u8>> {
    let h = g_pdu_header(teid, Some(PduSession { pdu_type: 1, qfi }), inner.len())?;
    Some([h.as_bytes(), inner].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixture() -> Vec<Vec<u8>> {
        include_str!("../../fixtures/gtpu/n3.hex")
            .lines()
            .filter(|l| !l.starts_with('#') && !l.is_empty())
            .map(crate::pfcp::tests::unhex)
            .collect()
    }

    #[test]
    fn captured_pings_are_read_and_written_the_same() {
        let all = fixture();
        assert_eq!(all.len(), 10);
        for (i, d) in all.iter().enumerate() {
            let p = Packet::parse(d).unwrap();
            let uplink = i % 2 == 0;
            assert_eq!(p.kind, MessageType::GPdu);
            assert_eq!(p.teid, if uplink { 0x514b } else { 1 });
            assert_eq!(p.payload.len(), 84);
            // The core behind this capture (QFI 1) and the radio both put the PDU Session Container.
            assert_eq!(p.pdu_session, Some(PduSession { pdu_type: u8::from(uplink), qfi: 1 }));
            let h = g_pdu_header(p.teid, p.pdu_session, p.payload.len()).unwrap();
            assert_eq!([h.as_bytes(), p.payload].concat(), *d);
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let good = encode_uplink(7, 1, b"inner packet").unwrap();
        for delta in [-13i32, -4, -1, 1, 4, 1000] {
            let mut d = good.clone();
            let len = (i32::from(u16::from_be_bytes([d[2], d[3]])) + delta) as u16;
            d[2..4].copy_from_slice(&len.to_be_bytes());
            assert!(Packet::parse(&d).is_err(), "{delta}");
        }
        for cut in 0..good.len() {
            assert!(Packet::parse(&good[..cut]).is_err());
        }
    }

    fn chain(links: &[(u8, &[u8])]) -> Vec<u8> {
        // `links`: type and whole header but its last octet, which is the next type.
        let mut body = vec![0, 0, 0, links.first().map_or(0, |l| l.0)];
        for (i, (_, header)) in links.iter().enumerate() {
            body.extend_from_slice(header);
            body.push(links.get(i + 1).map_or(0, |l| l.0));
        }
        let mut d = vec![0x34, 0xff];
        d.extend_from_slice(&(body.len() as u16).to_be_bytes());
        d.extend_from_slice(&[0, 0, 0, 7]);
        d.extend_from_slice(&body);
        d
    }

    /// R79: length 0, loop, cut, 255 deep.
    #[test]
    fn extension_chains_that_lie_are_refused() {
        let container: (u8, &[u8]) = (0x85, &[1, 0x10, 9]);
        assert_eq!(Packet::parse(&chain(&[container])).unwrap().pdu_session.unwrap().qfi, 9);
        assert_eq!(
            Packet::parse(&chain(&[(0x40, &[1, 8, 9]), container])).unwrap().pdu_session.unwrap().qfi,
            9
        );
        // Length 0, first and later.
        assert!(Packet::parse(&chain(&[(0x85, &[0, 0x10, 9])])).is_err());
        assert!(Packet::parse(&chain(&[container, (0x40, &[0, 0, 0])])).is_err());
        // A header that would reach behind the end.
        for units in [2, 4, 255] {
            assert!(Packet::parse(&chain(&[(0x85, &[units, 0x10, 9])])).is_err());
        }
        // As deep as it gets, and deeper.
        let deep = |n| chain(&vec![(0x40u8, &[1u8, 0, 0][..]); n]);
        assert!(Packet::parse(&deep(MAX_EXTENSIONS)).is_ok());
        for n in [MAX_EXTENSIONS + 1, 64, 255] {
            assert!(Packet::parse(&deep(n)).is_err());
        }
        // The last header names a next one that is not there.
        let mut d = chain(&[container]);
        *d.last_mut().unwrap() = 0x85;
        assert!(Packet::parse(&d).is_err());
        // Unknown ones: may be skipped, or must be understood.
        assert!(Packet::parse(&chain(&[(0x32, &[1, 0, 0])])).is_ok());
        assert_eq!(Packet::parse(&chain(&[(0xc3, &[1, 0, 0])])), Err(GtpuError::MustUnderstand(0xc3)));
        assert_eq!(Packet::parse(&chain(&[(0x87, &[1, 0, 0])])), Err(GtpuError::MustUnderstand(0x87)));
    }

    #[test]
    fn small_messages_are_what_they_say() {
        let mut b = [0; SMALL_MESSAGE];
        let n = encode_echo_response(&mut b, 0x1234);
        assert_eq!(b[..n], [0x32, 2, 0, 6, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 14, 0]);
        let n = encode_echo_request(&mut b, 1);
        assert_eq!(Packet::parse(&b[..n]).unwrap().kind, MessageType::EchoRequest);
        for ours in ["10.0.0.1", "2001:db8::1"] {
            let ours: IpAddr = ours.parse().unwrap();
            let n = encode_error_indication(&mut b, 0xdead_beef, ours);
            let p = Packet::parse(&b[..n]).unwrap();
            assert_eq!(p.error_indication(), Ok((0xdead_beef, ours)));
            for cut in 0..p.payload.len() {
                let cut = Packet { payload: &p.payload[..cut], ..p };
                assert!(cut.error_indication().is_err());
            }
        }
        let n = encode_end_marker(&mut b, 9);
        assert_eq!(b[..n], [0x30, 254, 0, 0, 0, 0, 0, 9]);
        let n = encode_supported_extension_headers(&mut b, 3);
        assert_eq!(b[..n], [0x32, 31, 0, 8, 0, 0, 0, 0, 0, 3, 0, 0, 141, 2, 0x85, 0x40]);
    }

    #[test]
    fn other_versions_are_not_ours() {
        for flags in [0x00, 0x10, 0x20, 0x50, 0x74, 0xf0] {
            let d = [flags, 255, 0, 0, 0, 0, 0, 1];
            assert_eq!(Packet::parse(&d), Err(GtpuError::Version));
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(mut d in prop::collection::vec(any::<u8>(), 0..200), fix in any::<bool>()) {
            if fix && d.len() >= 8 {
                d[0] = 0x30 | (d[0] & 7);
                let n = (d.len() - 8) as u16;
                d[2..4].copy_from_slice(&n.to_be_bytes());
            }
            if let Ok(p) = Packet::parse(&d) {
                prop_assert_eq!(p.payload, &d[p.payload_at..]);
                let _ = p.error_indication();
            }
        }

        #[test]
        fn what_is_written_is_read(teid: u32, qfi in 0u8..64, inner in prop::collection::vec(any::<u8>(), 0..100)) {
            let d = encode_uplink(teid, qfi, &inner).unwrap();
            let p = Packet::parse(&d).unwrap();
            prop_assert_eq!((p.teid, p.payload, p.pdu_session), (teid, &inner[..], Some(PduSession { pdu_type: 1, qfi })));
            let h = g_pdu_header(teid, None, inner.len()).unwrap();
            let d = [h.as_bytes(), &inner].concat();
            prop_assert_eq!(Packet::parse(&d).unwrap().payload, &inner[..]);
        }
    }
}
