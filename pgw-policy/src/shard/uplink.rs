//! From a radio: GTP-U in, inner packets out.

use super::judge::{Fate, Passed};
use super::{Shard, mark, mss};
use crate::batch::{Batch, Origin, Piece, ShardId, To};
use crate::command::ShardEvent;
use crate::inner::{Inner, is_special};
use crate::inner6::is_six;
use crate::shard::rate::Way;
use crate::shard::teid::shard_of_value;
use crate::stream::segment;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use types::{Direction, Imsi, Mark, Now, Reason, Teid};
use wire::gtpu::{self, GtpuError, MessageType, Packet};

/// What the walk needs of a G-PDU, without the octets.
struct GPdu {
    teid: u32,
    /// From its PDU Session Container.
    qfi: Option<u8>,
    /// Where the inner packet begins in the datagram.
    at: usize,
}

/// Where an uplink packet goes once it may.
#[derive(Clone, Copy)]
struct Path {
    session: u32,
    imsi: Imsi,
    way: Way,
    mark: Mark,
    other_ue: Option<ShardId>,
    /// It goes to our own page.
    to_service: bool,
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

    /// May a packet of this session, whose UE has the address `ue`, leave? The shard of the other end, where that is a UE's.
    #[inline]
    fn may_leave(&self, session: u32, ue: Ipv4Addr, packet: &Inner) -> Result<Option<ShardId>, Reason> {
        if packet.src != ue && !self.is_behind(session, packet.src) {
            return Err(Reason::SpoofedSource);
        }
        if is_special(packet.dst) {
            return Err(Reason::SpecialAddress);
        }
        if self.ours.contains_key(&packet.dst) {
            return Err(Reason::OwnAddress);
        }
        let other_ue = self.owner_of(packet.dst);
        if packet.dst == ue || (other_ue.is_some() && self.is_behind(session, packet.dst)) {
            return Err(Reason::UeToUe);
        }
        Ok(other_ue)
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
        let (ue, imsi, carries_six, untold) = (s.ue, s.imsi, s.prefix.is_some(), s.untold);
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
        let octets = batch.bytes(piece).get(g.at..).unwrap_or_default();
        if !carries_six && is_six(octets) {
            return Err(Reason::WrongIpVersion);
        }
        let (packet, six) = self.read(octets, now)?;
        let inner = piece.part(g.at, packet.len).ok_or(Reason::MalformedInner)?;
        if untold {
            self.advertise_to(at);
        }
        let may_leave = match &six {
            None => self.may_leave(at, ue, &packet),
            Some(six) if six.solicits => {
                self.advertise_to(at);
                return Ok(());
            }
            Some(six) => self.may_leave_six(at, six),
        };
        let to_service = self.leads_to_service(&packet, six.as_ref(), Direction::Out);
        let other_ue = match may_leave {
            Ok(other_ue) => other_ue.filter(|_| !to_service),
            Err(reason) => return Err(self.deny(at, &packet, Direction::Out, reason, now).reason),
        };
        let octets = batch.bytes(inner);
        let way = match self.steer_up(at, (endpoint.uplink, g.qfi), &packet, octets) {
            Ok(way) => way,
            Err(reason) => return Err(self.deny(at, &packet, Direction::Out, reason, now).reason),
        };
        let Passed { mark, fate } = match self.judge(at, &packet, octets, way, other_ue.is_some(), now) {
            Ok(passed) => passed,
            Err(refused) => {
                self.tell_ue(batch, inner, &packet, at, refused.tell, now);
                return Err(refused.reason);
            }
        };
        let path = Path { session: at, imsi, way, mark, other_ue, to_service };
        match fate {
            Fate::Pass => {}
            Fate::Open => mss::single_path(batch.bytes_mut(inner), packet.header),
            Fate::Held => return Ok(()),
            Fate::Release => return self.release(batch, path, now),
        }
        self.lower_offer(batch, inner, &packet, at);
        // The octets of the outer header are free for the next one.
        self.send_on(batch, inner, headroom + g.at as u32, path, now)
    }

    /// An inner packet that passes, on its way.
    fn send_on(
        &mut self,
        batch: &mut Batch,
        inner: Piece,
        headroom: u32,
        path: Path,
        now: Now,
    ) -> Result<(), Reason> {
        if let Some(dscp) = path.mark.dscp {
            mark::set_dscp(batch.bytes_mut(inner), dscp);
        }
        if let Some(s) = self.session_mut(path.session) {
            s.last_packet = Some(now.utc);
            s.count(path.way, inner.len());
        }
        match path.other_ue {
            None => {
                self.counters.uplink_packets += 1;
                self.counters.uplink_bytes += inner.len() as u64;
                batch.send(if path.to_service { To::Service } else { To::N6 }, inner);
                Ok(())
            }
            Some(shard) if shard == self.id => self.on_hairpin(batch, inner, headroom, path.imsi, now),
            Some(shard) => {
                self.hand_over(batch, inner, shard, Origin::Hairpin { from: path.imsi });
                Ok(())
            }
        }
    }

    /// What was held of a stream, as packets of ours with the headers of the client's last one. What finds no room is
    /// lost here, and sent again by the client.
    #[cold]
    fn release(&mut self, batch: &mut Batch, path: Path, now: Now) -> Result<(), Reason> {
        let Some(held) = self.inspections.released() else { return Ok(()) };
        let room = self.session(path.session).map_or(0, |s| usize::from(s.mtu));
        for (seq, part) in held.parts(room) {
            let mut fits = false;
            let piece = batch.make(held.head.len() + part.len(), |out| {
                let written = segment::write(&held.head, held.ip, seq, segment::DATA, part, out);
                fits = written.is_some();
                written.unwrap_or(0)
            });
            let piece = piece.filter(|_| fits).ok_or(Reason::Overload)?;
            self.send_on(batch, piece, 0, path, now)?;
        }
        Ok(())
    }
}
