//! What a shard says by itself: echo responses, Error Indications, End Markers, resets or ICMP messages for
//! `reject`, and "fragmentation needed". All of it is limited, and none of it answers an answer.

use super::Shard;
use super::judge::Tell;
use super::six;
use crate::batch::{Batch, Origin, Piece, To};
use crate::inner::{ACK, FIN, ICMP, Inner, RST, SYN, TCP, Transport, checksum};
use std::net::{Ipv4Addr, SocketAddr};
use types::{Now, Reason};
use wire::gtpu;

impl Shard {
    pub(super) fn answer_echo(&mut self, batch: &mut Batch, to: SocketAddr, sequence: u16, now: Now) {
        if !self.echoes.take(now.mono) {
            self.counters.answers_limited += 1;
            return;
        }
        if let Some(p) = batch.make(gtpu::SMALL_MESSAGE, |b| gtpu::encode_echo_response(b, sequence)) {
            self.counters.echoes += 1;
            batch.send(To::N3 { peer: to }, p);
        }
    }

    pub(super) fn answer_error(&mut self, batch: &mut Batch, to: SocketAddr, teid: u32, now: Now) {
        if !self.errors.take(now.mono) {
            self.counters.answers_limited += 1;
            return;
        }
        let ours = self.n3;
        if let Some(p) = batch.make(gtpu::SMALL_MESSAGE, |b| gtpu::encode_error_indication(b, teid, ours)) {
            self.counters.error_indications += 1;
            batch.send(To::N3 { peer: SocketAddr::new(to.ip(), gtpu::PORT) }, p);
        }
    }

    pub(super) fn answer_extensions(&mut self, batch: &mut Batch, to: SocketAddr, now: Now) {
        if !self.errors.take(now.mono) {
            self.counters.answers_limited += 1;
            return;
        }
        let write = |b: &mut [u8]| gtpu::encode_supported_extension_headers(b, 0);
        if let Some(p) = batch.make(gtpu::SMALL_MESSAGE, write) {
            batch.send(To::N3 { peer: to }, p);
        }
    }

    pub(super) fn send_end_markers(&mut self, batch: &mut Batch) {
        while let Some((peer, teid)) = self.end_markers.pop_front() {
            let write = |b: &mut [u8]| gtpu::encode_end_marker(b, teid.value());
            if let Some(p) = batch.make(gtpu::SMALL_MESSAGE, write) {
                self.counters.end_markers += 1;
                batch.send(To::N3 { peer: SocketAddr::new(peer, gtpu::PORT) }, p);
            }
        }
    }

    /// What the packet's sender is told, as an inner packet: a reset (TCP) or "administratively prohibited" (others),
    /// or "fragmentation needed".
    fn answer_to(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        packet: &Inner,
        tell: Tell,
        now: Now,
    ) -> Option<Piece> {
        let answerable = packet.fragment.is_none_or(|f| f.begin == 0)
            && !matches!(packet.transport, Transport::Error(_) | Transport::Later)
            && !matches!(packet.transport, Transport::Tcp { flags, .. } if flags & RST != 0);
        let limiter = match tell {
            Tell::Rejected | Tell::Page(_) if answerable => &mut self.rejects,
            Tell::TooBig(_) if answerable => &mut self.too_bigs,
            _ => return None,
        };
        if !limiter.take(now.mono) {
            self.counters.answers_limited += 1;
            return None;
        }
        let original = batch.bytes(piece).get(..packet.len)?;
        if let Tell::Page(app) = tell {
            let told = self.page_answer(original, packet, app)?;
            self.count_told(tell);
            return batch.make_from(&told);
        }
        if packet.six {
            let told = six::answer(original, packet, tell)?;
            self.count_told(tell);
            return batch.make_from(&told);
        }
        let mut answer = [0; 56];
        let n = {
            match (tell, packet.transport) {
                (Tell::TooBig(mtu), _) => {
                    unreachable(original, packet, FRAGMENTATION_NEEDED, mtu, &mut answer)
                }
                (_, Transport::Tcp { .. }) => reset(original, packet, &mut answer),
                _ => unreachable(original, packet, PROHIBITED, 0, &mut answer),
            }?
        };
        let p = batch.make_from(answer.get(..n)?)?;
        self.count_told(tell);
        Some(p)
    }

    fn count_told(&mut self, tell: Tell) {
        match tell {
            Tell::TooBig(_) => self.counters.too_big_told += 1,
            Tell::Rejected | Tell::Page(_) | Tell::Nothing => self.counters.rejects += 1,
        }
    }

    /// The same, on its way to the UE.
    pub(super) fn tell_ue(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        packet: &Inner,
        session: u32,
        tell: Tell,
        now: Now,
    ) {
        let Some(p) = self.answer_to(batch, piece, packet, tell, now) else { return };
        // A UE without a downlink tunnel gets none; that is no error.
        let _: Result<(), Reason> = self.send_own_to_ue(batch, p, session);
    }

    /// The same, to whoever sent the packet towards a UE.
    pub(super) fn tell_sender(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        packet: &Inner,
        origin: Origin,
        tell: Tell,
        now: Now,
    ) {
        // Another UE is told nothing: its own side had allowed it, and an answer would have to walk back.
        if !matches!(origin, Origin::N6 { .. }) {
            return;
        }
        if let Some(p) = self.answer_to(batch, piece, packet, tell, now) {
            batch.send(To::N6, p);
        }
    }
}

pub(super) fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    out.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// An IPv4 header of 20 octets, from the packet's destination to its source.
pub(super) fn header(out: &mut [u8], protocol: u8, len: usize, from: Ipv4Addr, to: Ipv4Addr) -> Option<()> {
    put(out, 0, &[0x45, 0])?;
    put(out, 2, &(len as u16).to_be_bytes())?;
    put(out, 4, &[0, 0, 0x40, 0, 64, protocol, 0, 0])?;
    put(out, 12, &from.octets())?;
    put(out, 16, &to.octets())?;
    let sum = checksum(&[out.get(..20)?]);
    put(out, 10, &sum.to_be_bytes())
}

/// RFC 9293 §3.10.7.1: how a closed port answers a segment, without the checksum.
pub(super) fn ack_of(segment: &[u8]) -> Option<[u8; 20]> {
    let fixed = segment.first_chunk::<20>()?;
    let &[s1, s2, d1, d2, q1, q2, q3, q4, a1, a2, a3, a4, offset, flags, ..] = fixed;
    let data = segment.len().checked_sub(usize::from(offset >> 4) * 4)?;
    let syn_fin = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    let theirs = u32::from_be_bytes([q1, q2, q3, q4]);
    let (seq, ack, answer) = if flags & ACK != 0 {
        ([a1, a2, a3, a4], [0; 4], RST)
    } else {
        ([0; 4], theirs.wrapping_add(data as u32).wrapping_add(syn_fin).to_be_bytes(), RST | ACK)
    };
    let mut out = [0; 20];
    put(&mut out, 0, &[d1, d2, s1, s2])?;
    put(&mut out, 4, &seq)?;
    put(&mut out, 8, &ack)?;
    put(&mut out, 12, &[0x50, answer])?;
    Some(out)
}

/// The same as a packet.
pub(super) fn reset(original: &[u8], packet: &Inner, out: &mut [u8]) -> Option<usize> {
    let segment = ack_of(original.get(packet.header..)?)?;
    header(out, TCP, 40, packet.dst, packet.src)?;
    put(out, 20, &segment)?;
    let pseudo = [0, TCP, 0, 20];
    let sum = checksum(&[&packet.dst.octets(), &packet.src.octets(), &pseudo, out.get(20..40)?]);
    put(out, 36, &sum.to_be_bytes())?;
    Some(40)
}

/// Code of ICMP type 3: administratively prohibited (RFC 1812 §5.2.7.1).
const PROHIBITED: u8 = 13;
/// Code of ICMP type 3: fragmentation needed and DF set (RFC 1191 §4), with the MTU.
const FRAGMENTATION_NEEDED: u8 = 4;

/// ICMP type 3 with the packet's header and 8 octets.
fn unreachable(original: &[u8], packet: &Inner, code: u8, mtu: u16, out: &mut [u8]) -> Option<usize> {
    // Options are left out of the quotation only if there are none: a header with options is not quoted.
    if packet.header != 20 {
        return None;
    }
    let quoted = original.get(..28)?;
    header(out, ICMP, 56, packet.dst, packet.src)?;
    let [m1, m2] = mtu.to_be_bytes();
    put(out, 20, &[3, code, 0, 0, 0, 0, m1, m2])?;
    put(out, 28, quoted)?;
    let sum = checksum(&[out.get(20..56)?]);
    put(out, 22, &sum.to_be_bytes())?;
    Some(56)
}
