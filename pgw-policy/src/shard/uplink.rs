//! From a radio: GTP-U in, inner packets out.

use super::{Shard, mark};
use crate::batch::{Batch, Origin, Piece, To};
use crate::command::ShardEvent;
use crate::inner::{Inner, is_special};
use crate::shard::rate::Way;
use crate::shard::teid::shard_of_value;
use std::net::{IpAddr, SocketAddr};
use types::{Direction, Now, Reason, Teid};
use wire::gtpu::{self, GtpuError, MessageType, Packet};

/// What the walk needs of a G-PDU, without the octets.
struct GPdu {
    teid: u32,
    /// From its PDU Session Container.
    qfi: Option<u8>,
    /// Where the inner packet begins in the datagram.
    at: usize,
}

impl Shard {
    pub(super) fn on_n3(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        headroom: u32,
        from: SocketAddr,
        now: Now,
    ) -> Result<(), Reason> {
        let datagram = batch.bytes(piece);
        if self.shards > 1
            && datagram.get(1) == Some(&MessageType::GPdu.0)
            && let Some(teid) = gtpu::peek_teid(datagram)
        {
            let owner = shard_of_value(teid, self.shards);
            if owner != self.id {
                self.hand_over(batch, piece, owner, Origin::N3 { from });
                return Ok(());
            }
        }
        let p = match Packet::parse(datagram) {
            Ok(p) => p,
            Err(GtpuError::MustUnderstand(_)) => {
                if self.is_admitted(from.ip()) {
                    self.answer_extensions(batch, from, now);
                }
                return Err(Reason::MalformedGtpu);
            }
            Err(_) => return Err(Reason::MalformedGtpu),
        };
        if p.kind == MessageType::GPdu {
            // A downlink container on an uplink packet: its sender is confused, or plays the core.
            if p.pdu_session.is_some_and(|s| s.pdu_type != 1) {
                return Err(Reason::MalformedGtpu);
            }
            let g = GPdu { teid: p.teid, qfi: p.pdu_session.map(|s| s.qfi), at: p.payload_at };
            return self.g_pdu(batch, piece, headroom, g, from, now);
        }
        self.path_message(batch, piece, from, now)
    }

    /// Messages about the path: from admitted radios only.
    fn path_message(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        from: SocketAddr,
        now: Now,
    ) -> Result<(), Reason> {
        if !self.is_admitted(from.ip()) {
            return Err(Reason::UnknownPeer);
        }
        let p = Packet::parse(batch.bytes(piece)).map_err(|_| Reason::MalformedGtpu)?;
        match p.kind {
            MessageType::EchoRequest => {
                let sequence = p.sequence.unwrap_or(0);
                self.answer_echo(batch, from, sequence, now);
                Ok(())
            }
            MessageType::ErrorIndication => {
                let (teid, _address) = p.error_indication().map_err(|_| Reason::MalformedGtpu)?;
                let teid = Teid::new(teid).ok_or(Reason::MalformedGtpu)?;
                // Whose tunnel it is, counts by the outer source, not by the address that it names.
                if self.indications.take(now.mono) {
                    self.counters.error_indications_received += 1;
                    self.say(ShardEvent::ErrorIndication { peer: from.ip(), teid });
                }
                Ok(())
            }
            // An End Marker from a radio concerns forwarding between radios; the others answer nothing of ours.
            MessageType::EndMarker | MessageType::EchoResponse | MessageType::SupportedExtensionHeaders => {
                Ok(())
            }
            _ => Err(Reason::MalformedGtpu),
        }
    }

    /// Somebody sends into a tunnel that has ended.
    fn note_ended(&mut self, teid: u32, radio: IpAddr, now: Now) {
        let whose = Teid::new(teid).zip(self.ended.used(teid, radio, now.mono));
        if let Some((teid, imsi)) = whose {
            self.say(ShardEvent::EndedTunnelUsed { imsi, teid, radio });
        }
    }

    fn g_pdu(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        headroom: u32,
        g: GPdu,
        from: SocketAddr,
        now: Now,
    ) -> Result<(), Reason> {
        let Some(endpoint) = self.endpoints.find(g.teid) else {
            if self.is_admitted(from.ip()) {
                self.answer_error(batch, from, g.teid, now);
                self.note_ended(g.teid, from.ip(), now);
            }
            return Err(Reason::UnknownTeid);
        };
        let at = endpoint.session;
        let s = self.session(at).ok_or(Reason::UnknownTeid)?;
        let (ue, imsi) = (s.ue, s.imsi);
        if s.dropped {
            let inner = batch.bytes(piece).get(g.at..).unwrap_or_default();
            return Err(self.drop_banned(at, inner, Direction::Out, now));
        }
        let served = self.limits.peer_grace_ms.is_none() || s.is_served_by(from.ip(), now.mono);
        let forwards = s.uplink(endpoint.uplink).takes(g.qfi);
        if !self.is_admitted(from.ip()) {
            return Err(Reason::UnknownPeer);
        }
        if !served {
            return Err(Reason::WrongPeer);
        }
        if !forwards {
            return Err(Reason::NotForwarded);
        }
        let packet = Inner::parse(batch.bytes(piece).get(g.at..).unwrap_or_default())?;
        let inner = piece.part(g.at, packet.len).ok_or(Reason::MalformedInner)?;
        let out = Direction::Out;
        if packet.src != ue {
            return Err(self.deny(at, &packet, out, Reason::SpoofedSource, now).reason);
        }
        if is_special(packet.dst) {
            return Err(self.deny(at, &packet, out, Reason::SpecialAddress, now).reason);
        }
        if self.ours.contains_key(&packet.dst) {
            return Err(self.deny(at, &packet, out, Reason::OwnAddress, now).reason);
        }
        let other_ue = self.owner_of(packet.dst);
        if packet.dst == ue {
            return Err(self.deny(at, &packet, out, Reason::UeToUe, now).reason);
        }
        let way = Way::Up { endpoint: endpoint.uplink, qfi: g.qfi };
        let mark = match self.judge(at, &packet, way, other_ue.is_some(), now) {
            Ok(mark) => mark,
            Err(refused) => {
                self.tell_ue(batch, inner, &packet, at, refused.tell, now);
                return Err(refused.reason);
            }
        };
        if let Some(dscp) = mark.dscp {
            mark::set_dscp(batch.bytes_mut(inner), dscp);
        }
        self.lower_offer(batch, inner, &packet, at);
        if let Some(s) = self.session_mut(at) {
            s.last_packet = Some(now.utc);
        }
        match other_ue {
            None => {
                self.counters.uplink_packets += 1;
                self.counters.uplink_bytes += packet.len as u64;
                batch.send(To::N6, inner);
                Ok(())
            }
            // The octets of the outer header are free for the next one.
            Some(shard) if shard == self.id => {
                self.on_hairpin(batch, inner, headroom + g.at as u32, imsi, now)
            }
            Some(shard) => {
                self.hand_over(batch, inner, shard, Origin::Hairpin { from: imsi });
                Ok(())
            }
        }
    }
}
