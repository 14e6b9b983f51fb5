//! To a UE: inner packets in, GTP-U out.

use super::{Shard, mark, mss};
use crate::batch::{Batch, Origin, Piece, To};
use crate::command::ShardEvent;
use crate::inner::{Inner, SYN, Transport, is_special};
use crate::session::Downlink;
use crate::shard::rate::Way;
use std::net::SocketAddr;
use types::{Direction, Imsi, Now, Qfi, Reason};
use wire::gtpu;

impl Shard {
    /// A packet from the data network.
    pub(super) fn on_n6(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        headroom: u32,
        handed: bool,
        now: Now,
    ) -> Result<(), Reason> {
        self.deliver(batch, piece, headroom, Origin::N6 { handed }, now)
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
        self.deliver(batch, piece, headroom, Origin::Hairpin { from }, now)?;
        self.counters.ue_to_ue_packets += 1;
        Ok(())
    }

    fn deliver(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        headroom: u32,
        origin: Origin,
        now: Now,
    ) -> Result<(), Reason> {
        let packet = Inner::parse(batch.bytes(piece))?;
        let Some(&at) = self.by_ue.get(&packet.dst) else {
            return self.hand_to_owner(batch, piece, &packet, origin);
        };
        let s = self.session(at).ok_or(Reason::UnknownUe)?;
        if s.dropped {
            return Err(self.drop_banned(at, batch.bytes(piece), Direction::In, now));
        }
        let down = Direction::In;
        let between_ues = matches!(origin, Origin::Hairpin { .. });
        // UEs' packets turn round inside; one that comes from N6 with a UE's address is not from that UE.
        if !between_ues && self.owner_of(packet.src).is_some() {
            return Err(self.deny(at, &packet, down, Reason::SpoofedSource, now).reason);
        }
        if is_special(packet.src) {
            return Err(self.deny(at, &packet, down, Reason::SpecialAddress, now).reason);
        }
        let piece = piece.part(0, packet.len).ok_or(Reason::MalformedInner)?;
        let mark = match self.judge(at, &packet, Way::Down, between_ues, now) {
            Ok(mark) => mark,
            Err(refused) => {
                self.tell_sender(batch, piece, &packet, origin, refused.tell, now);
                return Err(refused.reason);
            }
        };
        self.lower_offer(batch, piece, &packet, at);
        if let Some(dscp) = mark.dscp {
            mark::set_dscp(batch.bytes_mut(piece), dscp);
        }
        self.send_to_ue(batch, piece, headroom, at, mark.qfi)?;
        self.counters.downlink_packets += 1;
        self.counters.downlink_bytes += packet.len as u64;
        if let Some(s) = self.session_mut(at) {
            s.last_packet = Some(now.utc);
        }
        Ok(())
    }

    fn hand_to_owner(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        packet: &Inner,
        origin: Origin,
    ) -> Result<(), Reason> {
        let owner = self.owner_of(packet.dst).filter(|o| *o != self.id).ok_or(Reason::UnknownUe)?;
        match origin {
            Origin::N6 { handed: false } => {
                self.hand_over(batch, piece, owner, Origin::N6 { handed: true });
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
        let Some(mtu) = self.session(session).map(|s| s.mtu) else { return };
        self.counters.mss_lowered += u64::from(mss::clamp(batch.bytes_mut(piece), packet.header, mtu));
    }

    /// Puts the outer header in front, as the session's downlink says; in the QoS flow that is wanted, where the session
    /// has it.
    pub(super) fn send_to_ue(
        &mut self,
        batch: &mut Batch,
        piece: Piece,
        headroom: u32,
        session: u32,
        wanted: Option<Qfi>,
    ) -> Result<(), Reason> {
        let s = self.session_mut(session).ok_or(Reason::UnknownUe)?;
        let wanted = wanted.map(Qfi::value).filter(|q| s.qfis >> q & 1 != 0);
        let (tunnel, qfi) = match s.downlink {
            Downlink::Forward { tunnel, qfi } => (tunnel, qfi.map(|usual| wanted.unwrap_or(usual))),
            Downlink::Drop => return Err(Reason::NotForwarded),
            Downlink::NoTunnel => {
                let seid = s.seid;
                if !std::mem::replace(&mut s.paged, true) {
                    self.say(ShardEvent::DownlinkData { seid });
                }
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
