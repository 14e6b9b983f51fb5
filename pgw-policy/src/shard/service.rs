//! Our own page inside the closed network (decision D14): what reaches it whatever the rules say, and how a plain web
//! request that waits for a proof is sent there.
//!
//! The redirect keeps nothing: where the answers to a connection begin follows from its ends and a key of the shard's,
//! so each segment is answered for itself, and a flood of them finds no table to fill. What is not such a segment's
//! place in the conversation is reset. No octet of the request is read.

use super::Shard;
use super::answer::{header, put};
use super::judge::Tell;
use super::six::finish;
use crate::compile::AppIdx;
use crate::decide::Decision;
use crate::flow::{Flow, FlowKey};
use crate::inner::{ACK, FIN, Inner, PSH, RST, SYN, TCP, Transport, checksum};
use crate::inner6::{HEADER, Six};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use types::{Direction, Reason};

/// Plain web pages.
const HTTP: u16 = 80;
/// Octets of an IPv4 header without options, and of a TCP header.
const SHORT: usize = 20;

impl Shard {
    /// True if the end of this packet that is not the UE's is our own page.
    #[inline]
    pub(super) fn leads_to_service(&self, packet: &Inner, six: Option<&Six>, direction: Direction) -> bool {
        let Some(service) = &self.service else { return false };
        let peer = match (six, direction) {
            (None, Direction::Out) => IpAddr::V4(packet.dst),
            (None, Direction::In) => IpAddr::V4(packet.src),
            (Some(six), Direction::Out) => IpAddr::V6(six.dst),
            (Some(six), Direction::In) => IpAddr::V6(six.src),
        };
        service.is(peer)
    }

    /// What holds for a flow that a UE opens to our own page; `None` for every other flow.
    pub(super) fn judge_service(&self, flow: &Flow) -> Option<Decision> {
        let service = self.service.as_ref()?;
        let (peer, port) = (self.peer_of(&flow.key), flow.service_port());
        let (verdict, reason) = service.ruling(flow.opened, peer, flow.key.protocol, port)?;
        Some(Decision { verdict, reason, app: None, rule: None, logged: false, would: None })
    }

    /// A plain web request that waits for a proof is sent to the page.
    pub(super) fn page_for(&self, key: &FlowKey, direction: Direction, decision: &Decision) -> Option<Tell> {
        let waits = decision.reason == Reason::StepUpNeeded
            && direction == Direction::Out
            && (key.protocol, key.peer_port) == (TCP, HTTP);
        self.service.as_ref().filter(|_| waits)?;
        decision.app.map(Tell::Page)
    }

    /// The segment that answers this one on its way to the page.
    pub(super) fn page_answer(&self, original: &[u8], packet: &Inner, app: AppIdx) -> Option<Vec<u8>> {
        let Transport::Tcp { src, dst, .. } = packet.transport else { return None };
        let service = self.service.as_ref()?;
        let app = self.policy.as_ref()?.app_name(app)?;
        let there = format!(
            "HTTP/1.1 303 See Other\r\nLocation: {}/?app={app}\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n",
            service.url
        );
        let ends = original.get(if packet.six { 8..HEADER } else { 12..SHORT })?;
        let begin = self.beginnings.hash_one((ends, src, dst)) as u32;
        let segment = answer(original.get(packet.header..packet.len)?, begin, there.as_bytes())?;
        packet_of(original, packet, &segment)
    }
}

/// What a server that sends everybody elsewhere answers to this segment, without its checksum.
fn answer(segment: &[u8], begin: u32, page: &[u8]) -> Option<Vec<u8>> {
    let &[s1, s2, d1, d2, q1, q2, q3, q4, a1, a2, a3, a4, offset, flags, ..] = segment.first_chunk::<20>()?;
    let said = segment.len().checked_sub(usize::from(offset >> 4) * 4)? as u32;
    let (theirs, acked) = (u32::from_be_bytes([q1, q2, q3, q4]), u32::from_be_bytes([a1, a2, a3, a4]));
    let next = theirs.wrapping_add(said).wrapping_add(u32::from(flags & FIN != 0));
    let (first, end) = (begin.wrapping_add(1), begin.wrapping_add(2).wrapping_add(page.len() as u32));
    let (seq, ack, flags, body) = match flags & (SYN | ACK) {
        _ if flags & RST != 0 => return None,
        SYN => (begin, theirs.wrapping_add(1), SYN | ACK, &[][..]),
        ACK if acked == first && said > 0 => (first, next, PSH | FIN | ACK, page),
        // It goes without having asked.
        ACK if acked == first && flags & FIN != 0 => (first, next, FIN | ACK, &[][..]),
        ACK if flags & FIN != 0 || (acked == end && said > 0) => (acked, next, ACK, &[][..]),
        // It has heard what there was to hear, or has not asked yet.
        ACK if acked == end || acked == first => return None,
        ACK => (acked, 0, RST, &[][..]),
        _ => return None,
    };
    let mut out = vec![0; SHORT];
    put(&mut out, 0, &[d1, d2, s1, s2])?;
    put(&mut out, 4, &seq.to_be_bytes())?;
    put(&mut out, 8, &ack.to_be_bytes())?;
    put(&mut out, 12, &[0x50, flags, 0x10, 0])?;
    out.extend_from_slice(body);
    Some(out)
}

/// The segment as a packet back to where the original came from.
fn packet_of(original: &[u8], packet: &Inner, segment: &[u8]) -> Option<Vec<u8>> {
    if packet.six {
        let end = |at: usize| original.get(at..at + 16)?.first_chunk::<16>().map(|a| Ipv6Addr::from(*a));
        let mut out = vec![0; HEADER];
        out.extend_from_slice(segment);
        finish(&mut out, TCP, 64, end(24)?, end(8)?, HEADER + 16)?;
        return Some(out);
    }
    let mut out = vec![0; SHORT];
    out.extend_from_slice(segment);
    let len = out.len();
    header(&mut out, TCP, len, packet.dst, packet.src)?;
    let octets = (segment.len() as u16).to_be_bytes();
    let (from, to) = (packet.dst.octets(), packet.src.octets());
    let sum = checksum(&[&from, &to, &[0, TCP], &octets, out.get(SHORT..)?]);
    put(&mut out, SHORT + 16, &sum.to_be_bytes())?;
    Some(out)
}
