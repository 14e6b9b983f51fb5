//! A TCP segment (RFC 9293 §3.1), whatever version of IP carries it: read, and written anew.

use crate::inner::{FIN, PSH, SYN, TCP, checksum};

/// A segment that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, where the flag says so.
    pub ack: u32,
    /// Flags.
    pub flags: u8,
    /// Octets of its header.
    pub header: usize,
    /// What it carries.
    pub payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Reads what lies behind an IP header.
    pub fn parse(octets: &'a [u8]) -> Option<Self> {
        let &[_, _, _, _, s1, s2, s3, s4, a1, a2, a3, a4, offset, flags, ..] = octets.first_chunk::<20>()?;
        let header = usize::from(offset >> 4) * 4;
        Some(Self {
            seq: u32::from_be_bytes([s1, s2, s3, s4]),
            ack: u32::from_be_bytes([a1, a2, a3, a4]),
            flags,
            header,
            payload: octets.get(header..).filter(|_| header >= 20)?,
        })
    }

    /// True for the first segment of a connection.
    pub fn opens(&self) -> bool {
        self.flags & (SYN | crate::inner::ACK) == SYN
    }

    /// True where the sender's stream ends behind it.
    pub fn ends(&self) -> bool {
        self.flags & FIN != 0
    }
}

/// Writes a packet with the headers of another one (IP of `ip` octets, and TCP), as the segment at `seq` with `payload`.
/// Lengths and checksums are made anew. `None` where it does not fit `out` or IP.
pub fn write(head: &[u8], ip: usize, seq: u32, flags: u8, payload: &[u8], out: &mut [u8]) -> Option<usize> {
    let len = head.len() + payload.len();
    let out = out.get_mut(..len)?;
    out.get_mut(..head.len())?.copy_from_slice(head);
    out.get_mut(head.len()..)?.copy_from_slice(payload);
    let (before, tcp) = out.split_at_mut_checked(ip)?;
    let tcp_len = u16::try_from(tcp.len()).ok()?.to_be_bytes();
    put(tcp, 4, &seq.to_be_bytes())?;
    put(tcp, 12, &[u8::try_from((head.len() - ip) / 4).ok()? << 4, flags])?;
    // Checksum and urgent pointer.
    put(tcp, 16, &[0; 4])?;
    let addresses = match before.first()? >> 4 {
        4 => {
            put(before, 2, &u16::try_from(len).ok()?.to_be_bytes())?;
            put(before, 10, &[0, 0])?;
            let sum = checksum(&[before]);
            put(before, 10, &sum.to_be_bytes())?;
            before.get(12..20)?
        }
        6 => {
            put(before, 4, &u16::try_from(len.checked_sub(40)?).ok()?.to_be_bytes())?;
            before.get(8..40)?
        }
        _ => return None,
    };
    let sum = checksum(&[addresses, &[0, TCP], &tcp_len, tcp]);
    put(tcp, 16, &sum.to_be_bytes())?;
    Some(len)
}

/// Flags of a segment with the octets of a stream.
pub const DATA: u8 = PSH | crate::inner::ACK;

fn put(out: &mut [u8], at: usize, octets: &[u8]) -> Option<()> {
    out.get_mut(at..at + octets.len())?.copy_from_slice(octets);
    Some(())
}
