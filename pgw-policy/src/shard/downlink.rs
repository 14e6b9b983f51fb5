//! To a UE: inner packets in, GTP-U out.

use super::{Shard, mark, mss};
use crate::batch::{Batch, Origin, Piece, ShardId, To};
use crate::inner::{Inner, SYN, Transport, is_special};
use crate::session::Downlink;
use crate::shard::steer::Towards;
use std::net::SocketAddr;
use types::{Direction, Imsi, Now, Qfi, Reason};
use wire::gtpu;

impl Shard {
    /// A packet from the data network, or from our own page.
    pub(super) fn on_n6(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        headroom: u32,
        origin: Origin,
        now: Now,
    ) -> Result<(), Reason> {
        self.deliver(batch, piece, headroom, origin, now).map(drop)
    }

    /// A packet from another UE, allowed on that UE's side.
    pub(super) fn on_hairpin(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        headroom: u32,
        from: Imsi,
        now: Now,
    ) -> Result<(), Reason> {
        // It may have been on its way between two shards when its SIM was cut.
        if let Some(&sim) = self.by_imsi.get(&from)
            && self.sim_mut(sim).is_some_and(|s| s.revoked)
        {
            return Err(self.count_banned(sim));
        }
        let sent = self.deliver(batch, piece, headroom, Origin::Hairpin { from }, now)?;
        self.counters.ue_to_ue_packets += u64::from(sent);
        Ok(())
    }

    /// True if it went to the UE; else it waits, or another shard has it.
    fn deliver(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        headroom: u32,
        origin: Origin,
        now: Now,
    ) -> Result<bool, Reason> {
        let (packet, six) = self.read(batch.bytes(piece), now)?;
        let session = match &six {
            None => self.session_of(packet.dst),
            Some(six) => self.by_route.find(six.dst.into()),
        };
        let Some(at) = session else {
            let owner = match &six {
                None => self.owner_of(packet.dst),
                Some(six) => self.route_owners.find(six.dst.into()),
            };
            return self.hand_to_owner(batch, piece, owner, origin).map(|()| false);
        };
        let s = self.session(at).ok_or(Reason::UnknownUe)?;
        if s.dropped {
            return Err(self.drop_banned(at, batch.bytes(piece), Direction::In, now));
        }
        let down = Direction::In;
        let between_ues = matches!(origin, Origin::Hairpin { .. });
        // UEs' packets turn round inside; one that comes from N6 with a UE's address is not from that UE.
        let may_come = match &six {
            // Nobody else sends in the name of our own page, and it in nobody else's.
            _ if self.leads_to_service(&packet, six.as_ref(), down)
                != matches!(origin, Origin::Service { .. }) =>
            {
                Err(Reason::SpoofedSource)
            }
            None if !between_ues && self.owner_of(packet.src).is_some() => Err(Reason::SpoofedSource),
            None if is_special(packet.src) => Err(Reason::SpecialAddress),
            None => Ok(()),
            Some(six) => self.may_come_six(six, between_ues),
        };
        if let Err(reason) = may_come {
            return Err(self.deny(at, &packet, down, reason, now).reason);
        }
        let piece = piece.part(0, packet.len).ok_or(Reason::MalformedInner)?;
        let towards = match self.steer_down(at, &packet, batch.bytes(piece)) {
            Ok(towards) => towards,
            Err(reason) => return Err(self.deny(at, &packet, down, reason, now).reason),
        };
        let way = towards.way;
        if self.session(at).is_some_and(|s| s.waits(towards.downlink)) {
            return match self.admit(at, &packet, way, between_ues, now) {
                Ok(()) => self.let_wait(batch.bytes(piece), &packet, (at, way), origin, now).map(|()| false),
                Err(refused) => {
                    self.tell_sender(batch, piece, &packet, origin, refused.tell, now);
                    Err(refused.reason)
                }
            };
        }
        let mark = match self.judge(at, &packet, batch.bytes(piece), way, between_ues, now) {
            Ok(passed) => passed.mark,
            Err(refused) => {
                self.tell_sender(batch, piece, &packet, origin, refused.tell, now);
                return Err(refused.reason);
            }
        };
        self.lower_offer(batch, piece, &packet, at);
        if let Some(dscp) = mark.dscp {
            mark::set_dscp(batch.bytes_mut(piece), dscp);
        }
        self.send_to_ue(batch, piece, headroom, (at, towards), mark.qfi)?;
        self.counters.downlink_packets += 1;
        self.counters.downlink_bytes += packet.len as u64;
        if let Some(s) = self.session_mut(at) {
            s.last_packet = Some(now.utc);
            s.count(way, packet.len);
        }
        Ok(true)
    }

    fn hand_to_owner(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        owner: Option<ShardId>,
        origin: Origin,
    ) -> Result<(), Reason> {
        let owner = owner.filter(|o| *o != self.id).ok_or(Reason::UnknownUe)?;
        match origin {
            Origin::N6 { handed: false } => {
                self.hand_over(batch, piece, owner, Origin::N6 { handed: true });
                Ok(())
            }
            Origin::Service { handed: false } => {
                self.hand_over(batch, piece, owner, Origin::Service { handed: true });
                Ok(())
            }
            // Handed over already: the tables of two shards differ for a moment.
            _ => Err(Reason::UnknownUe),
        }
    }

    /// A SYN offers no larger segments than the session has room for, whichever way it goes.
    pub(super) fn lower_offer(&mut self, batch: &mut Batch, piece: Piece, packet: &Inner, session: u32) {
        if !matches!(packet.transport, Transport::Tcp { flags, .. } if flags & SYN != 0) {
            return;
        }
        // IPv6's header has 20 octets more.
        let more = if packet.six { 20 } else { 0 };
        let Some(mtu) = self.session(session).map(|s| s.mtu.saturating_sub(more)) else { return };
        self.counters.mss_lowered += u64::from(mss::clamp(batch.bytes_mut(piece), packet.header, mtu));
    }

    /// Sends a packet of ours to a UE.
    pub(super) fn send_own_to_ue(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        session: u32,
    ) -> Result<(), Reason> {
        let usual = self.session(session).ok_or(Reason::UnknownUe)?.usual();
        self.send_to_ue(batch, piece, 0, (session, usual), None)
    }

    /// Puts the outer header in front that leads there; in the QoS flow that is wanted, where the session has it.
    pub(super) fn send_to_ue(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        headroom: u32,
        (session, towards): (u32, Towards),
        wanted: Option<Qfi>,
    ) -> Result<(), Reason> {
        let s = self.session_mut(session).ok_or(Reason::UnknownUe)?;
        let wanted = wanted.map(Qfi::value).filter(|q| s.qfis >> q & 1 != 0);
        let (tunnel, qfi) = match towards.downlink {
            Downlink::Forward { tunnel, qfi } => (tunnel, qfi.map(|usual| wanted.unwrap_or(usual))),
            Downlink::Drop => return Err(Reason::NotForwarded),
            Downlink::Wait | Downlink::NoTunnel => {
                self.ask_for(session, towards.way);
                return Err(Reason::NoTunnel);
            }
        };
        let container = qfi.map(|qfi| gtpu::PduSession { pdu_type: 0, qfi });
        let header = gtpu::g_pdu_header(tunnel.teid.value(), container, piece.len()).ok_or(Reason::TooBig)?;
        let whole = batch.prepend(piece, headroom, header.as_bytes()).ok_or(Reason::Overload)?;
        batch.send(To::N3 { peer: SocketAddr::new(tunnel.peer, gtpu::PORT) }, whole);
        Ok(())
    }
}
