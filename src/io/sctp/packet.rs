//! The outside of an SCTP packet: common header, chunk chain, checksum, and the few chunks we write ourselves.
//!
//! RFC 9260 §3. Everything inside an association is dcsctp's; what stands here is what must be decided
//! before an association is known (demultiplexing, INIT, out-of-the-blue packets) or beside it.
//!
//! ```text
//!  0                   1                   2                   3
//! |      source port (16)         |    destination port (16)      |
//! |                     verification tag (32)                     |
//! |                       CRC32c (32, little endian)              |
//! | chunk type(8) | flags (8)     | length, header included (16)  |  value, padded to 4 ...
//! ```
//!
//! Safety: no indexing, no panic on any input. Ownership: a `Packet` borrows the datagram.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

/// Length of the common header in octets.
pub(super) const HEADER: usize = 12;

/// Chunk types of RFC 9260 §3.2.
pub(super) mod kind {
    #[cfg(test)]
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    pub const SACK: u8 = 3;
    pub const ABORT: u8 = 6;
    pub const SHUTDOWN: u8 = 7;
    pub const SHUTDOWN_ACK: u8 = 8;
    pub const ERROR: u8 = 9;
    pub const COOKIE_ECHO: u8 = 10;
    pub const COOKIE_ACK: u8 = 11;
    pub const SHUTDOWN_COMPLETE: u8 = 14;
}

/// Error causes of RFC 9260 §3.3.10 that we send.
pub(super) mod cause {
    pub const STALE_COOKIE: u16 = 3;
    pub const OUT_OF_RESOURCE: u16 = 4;
    pub const UNRESOLVABLE_ADDRESS: u16 = 5;
    pub const INVALID_MANDATORY_PARAMETER: u16 = 7;
}

/// The T bit of ABORT and SHUTDOWN COMPLETE: the verification tag is the receiver's own, reflected.
pub(super) const T_BIT: u8 = 1;

/// One packet whose chunk chain was walked once and is whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub src_port: u16,
    pub dst_port: u16,
    pub tag: u32,
    bytes: &'a [u8],
}

/// One chunk: type, flags, and the value without header and padding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub kind: u8,
    pub flags: u8,
    pub value: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the header and checks that the chunk chain is whole and holds at least one chunk.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let packet =
            Self { src_port: be16(bytes, 0)?, dst_port: be16(bytes, 2)?, tag: be32(bytes, 4)?, bytes };
        let mut rest = bytes.get(HEADER..)?;
        if rest.is_empty() || packet.src_port == 0 || packet.dst_port == 0 {
            return None;
        }
        while !rest.is_empty() {
            (_, rest) = split_chunk(rest)?;
        }
        Some(packet)
    }

    /// The chunks in order; never empty.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let mut rest = self.bytes.get(HEADER..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (chunk, next) = split_chunk(rest)?;
            rest = next;
            Some(chunk)
        })
    }

    /// The first chunk, which decides how the packet is treated.
    pub fn first(&self) -> Option<Chunk<'a>> {
        self.chunks().next()
    }

    /// Whether some chunk is of this type.
    pub fn has(&self, kind: u8) -> bool {
        self.chunks().any(|c| c.kind == kind)
    }

    /// The whole datagram, header included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The octets after the first chunk and its padding.
    pub fn after_first(&self) -> &'a [u8] {
        let chunks = self.bytes.get(HEADER..).unwrap_or_default();
        split_chunk(chunks).map_or(&[], |(_, rest)| rest)
    }

    /// RFC 9260 §6.8: CRC32c over the packet with the checksum field zero.
    pub fn checksum_ok(&self) -> bool {
        let Some(carried) = self.bytes.get(8..12) else { return false };
        carried == checksum(self.bytes).to_le_bytes()
    }

    /// RFC 9260 §6.10: INIT, INIT ACK and SHUTDOWN COMPLETE travel alone, COOKIE ECHO travels first.
    pub fn bundling_ok(&self) -> bool {
        let lonely = [kind::INIT, kind::INIT_ACK, kind::SHUTDOWN_COMPLETE];
        let count = self.chunks().count();
        self.chunks().enumerate().all(|(at, c)| {
            (count == 1 || !lonely.contains(&c.kind)) && (at == 0 || c.kind != kind::COOKIE_ECHO)
        })
    }
}

fn split_chunk(bytes: &[u8]) -> Option<(Chunk<'_>, &[u8])> {
    let length = usize::from(be16(bytes, 2)?);
    let value = bytes.get(4..length)?;
    let chunk = Chunk { kind: *bytes.first()?, flags: *bytes.get(1)?, value };
    // The padding of the last chunk may be cut off by a careless sender.
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((chunk, next))
}

/// Big-endian 16 bits at `at`.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

/// Big-endian 32 bits at `at`.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

/// What an INIT says, RFC 9260 §3.3.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Init {
    pub tag: u32,
    pub a_rwnd: u32,
    pub outbound: u16,
    pub inbound: u16,
    pub tsn: u32,
    /// Whole parameters that must be reported back as unrecognised (§3.2.1).
    pub unrecognized: Vec<u8>,
}

/// Why an INIT is not answered with INIT ACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InitFault {
    /// RFC 9260 §3.3.2 and §8.4: say nothing.
    Silent,
    /// ABORT with this cause toward the initiate tag.
    Abort { tag: u32, cause: u16 },
}

impl Init {
    /// Reads the value of an INIT chunk.
    ///
    /// # Errors
    /// [`InitFault`] says whether the sender hears of it.
    pub fn parse(value: &[u8]) -> Result<Self, InitFault> {
        let fixed = || {
            Some(Self {
                tag: be32(value, 0)?,
                a_rwnd: be32(value, 4)?,
                outbound: be16(value, 8)?,
                inbound: be16(value, 10)?,
                tsn: be32(value, 12)?,
                unrecognized: Vec::new(),
            })
        };
        let mut init = fixed().ok_or(InitFault::Silent)?;
        if init.tag == 0 {
            return Err(InitFault::Silent);
        }
        // §3.3.2: no streams, or a window below 1500, cannot carry an association.
        if init.outbound == 0 || init.inbound == 0 || init.a_rwnd < 1500 {
            return Err(InitFault::Abort { tag: init.tag, cause: cause::INVALID_MANDATORY_PARAMETER });
        }
        let mut rest = value.get(16..).unwrap_or_default();
        while !rest.is_empty() {
            let (typ, whole, next) = split_parameter(rest).ok_or(InitFault::Silent)?;
            rest = next;
            match typ {
                // IPv4, IPv6, Cookie Preservative, Supported Address Types, and the extensions of other RFCs
                // that are offers: ECN, authentication, adaptation, padding, partial reliability, supported chunks.
                5 | 6 | 9 | 12 | 0x8000 | 0x8002..=0x8005 | 0x8008 | 0xC000 | 0xC001 | 0xC006 => {}
                // §3.3.2.1.4: Host Name Address is refused.
                11 => {
                    return Err(InitFault::Abort { tag: init.tag, cause: cause::UNRESOLVABLE_ADDRESS });
                }
                // §3.2.1: the two highest bits say skip or stop, report or not.
                _ => {
                    if typ & 0x4000 != 0 && init.unrecognized.len() + whole.len() <= 512 {
                        init.unrecognized.extend_from_slice(whole);
                        init.unrecognized.resize(init.unrecognized.len().next_multiple_of(4), 0);
                    }
                    if typ & 0x8000 == 0 {
                        break;
                    }
                }
            }
        }
        Ok(init)
    }
}

fn split_parameter(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let typ = be16(bytes, 0)?;
    let length = usize::from(be16(bytes, 2)?);
    if length < 4 {
        return None;
    }
    let whole = bytes.get(..length)?;
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((typ, whole, next))
}

/// One chunk, or one parameter's worth of octets after a 4-octet header, padded to 4.
pub(super) fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, flags];
    out.extend_from_slice(&length16(value.len()));
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// A parameter or an error cause: both are type, length, value.
pub(super) fn tlv(typ: u16, value: &[u8]) -> Vec<u8> {
    let mut out = typ.to_be_bytes().to_vec();
    out.extend_from_slice(&length16(value.len()));
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn length16(value: usize) -> [u8; 2] {
    u16::try_from(value.saturating_add(4)).unwrap_or(u16::MAX).to_be_bytes()
}

/// A whole packet with its checksum.
pub(super) fn packet(src_port: u16, dst_port: u16, tag: u32, chunks: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + chunks.len());
    out.extend_from_slice(&src_port.to_be_bytes());
    out.extend_from_slice(&dst_port.to_be_bytes());
    out.extend_from_slice(&tag.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(chunks);
    let sum = checksum(&out).to_le_bytes();
    if let Some(field) = out.get_mut(8..12) {
        field.copy_from_slice(&sum);
    }
    out
}

/// CRC32c of a packet as if its checksum field were zero.
fn checksum(bytes: &[u8]) -> u32 {
    let head = bytes.get(..8).unwrap_or(bytes);
    let tail = bytes.get(HEADER..).unwrap_or_default();
    !crc32c(crc32c(crc32c(!0, head), &[0; 4]), tail)
}

const CRC_TABLE: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut at = 0usize;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            // Castagnoli's polynomial, reflected.
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
            bit += 1;
        }
        #[allow(clippy::indexing_slicing)] // `at` is below 256; evaluated by the compiler
        {
            table[at] = crc;
        }
        at += 1;
    }
    table
}

fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |crc, byte| {
        let at = (crc ^ u32::from(*byte)) & 0xff;
        // A table of 256 looked up by one octet always has an answer.
        (crc >> 8) ^ CRC_TABLE.get(at as usize).copied().unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_castagnoli() {
        // RFC 3720 B.4: 32 octets of zero, and the ASCII check value of CRC-32C.
        assert_eq!(!crc32c(!0, &[0; 32]), 0x8A91_36AA);
        assert_eq!(!crc32c(!0, b"123456789"), 0xE306_9283);
    }

    #[test]
    fn a_written_packet_reads_back() {
        let bytes = packet(1, 2, 3, &chunk(kind::ABORT, T_BIT, b"abc"));
        let read = Packet::parse(&bytes).unwrap();
        assert!(read.checksum_ok());
        assert_eq!((read.src_port, read.dst_port, read.tag), (1, 2, 3));
        assert_eq!(read.first().unwrap().value, b"abc");
        assert_eq!(read.chunks().count(), 1);
    }

    #[test]
    fn an_init_with_four_addresses_and_an_unknown_parameter_is_understood() {
        let mut value = vec![0, 0, 0, 9, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 7];
        for host in 1..=4 {
            value.extend(tlv(5, &[10, 0, 0, host]));
        }
        value.extend(tlv(0xC0FE, b"tell"));
        value.extend(tlv(0x80FE, b"skip"));
        let init = Init::parse(&value).unwrap();
        assert_eq!((init.tag, init.outbound, init.inbound, init.tsn), (9, 10, 10, 7));
        assert_eq!(init.unrecognized, tlv(0xC0FE, b"tell"));
    }

    #[test]
    fn an_init_that_cannot_work_is_refused_or_ignored() {
        let with = |tag: u8, rwnd: u8, out: u8| vec![0, 0, 0, tag, 0, rwnd, 0, 0, 0, out, 0, 10, 0, 0, 0, 7];
        assert_eq!(Init::parse(&with(0, 1, 1)), Err(InitFault::Silent));
        let abort = Err(InitFault::Abort { tag: 5, cause: cause::INVALID_MANDATORY_PARAMETER });
        assert_eq!(Init::parse(&with(5, 0, 1)), abort);
        assert_eq!(Init::parse(&with(5, 1, 0)), abort);
        assert_eq!(Init::parse(&[1, 2, 3]), Err(InitFault::Silent));
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_fall(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.chunks().count() >= 1);
                let _ = (packet.checksum_ok(), packet.bundling_ok(), packet.after_first().len());
            }
            let _ = Init::parse(&bytes);
        }
    }
}
