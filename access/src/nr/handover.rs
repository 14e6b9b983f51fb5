//! Handover between two of our gNBs by way of the AMF (N2; TS 23.502 §4.9.1.3, TS 38.413 §8.4.1–§8.4.3, §8.4.5).
//!
//! ```text
//!  source            AMF             target
//!    │  Required ──>  │ ── Request ──>  │      Preparing: the UE and its sessions are where they were
//!    │                │ <── Acknowledge │      a second connection, on which the UE is awaited
//!    │ <── Command ── │                 │      Executing
//!    │ ── Status ───> │ ── Status ───>  │      how far the source has come with each radio bearer, if it says so
//!    │                │ <── Notify ──── │      the connection there is the UE's, its downlinks follow, the old one ends
//! ```
//!
//! Until Notify nothing of the UE changes, and whatever goes wrong (failure, cancel, silence, a ban, a lost gNB) ends the
//! second connection alone. Each message is believed only from the gNB that it was asked of.

use super::session::State;
use super::timers::{NGAP_GUARD_MS, TimerKey};
use super::ue::{Conn, Phase, Radio};
use super::{Amf, AssocId};
use std::collections::BTreeSet;
use types::{Happening, PduSessionId, Supi, Tai};
use wire::ngap::transfer::{Admitted, HandoverCommandTransfer, NotPrepared, Tunnel};
use wire::ngap::{
    AmfUeNgapId, Cause, HandoverCancel, HandoverCancelAcknowledge, HandoverCommand, HandoverFailure,
    HandoverNotify, HandoverPreparationFailure, HandoverRequest, HandoverRequestAcknowledge,
    HandoverRequired, HandoverSession, Message, MiscCause, NextHop, ProtocolCause, RadioCause, RanNodeId,
    RanStatusTransfer, SecurityKey, SessionTransfer, UeContextReleaseCommand, UeIds,
};

/// A UE that is to go to another gNB.
pub(super) struct Handover {
    /// Its connection.
    source: AmfUeNgapId,
    /// Our name of it at the gNB where it is to go.
    target: AmfUeNgapId,
    /// That gNB.
    assoc: AssocId,
    /// Where it will be, as the source said.
    tai: Tai,
    /// Sessions that were asked for there.
    asked: Vec<PduSessionId>,
    /// Sessions that it takes, with its ends of them; none before it has answered.
    admitted: Option<Vec<(PduSessionId, Tunnel)>>,
}

impl Handover {
    /// True once the other gNB has said that it takes the UE.
    pub(super) fn was_answered(&self) -> bool {
        self.admitted.is_some()
    }
}

/// A request that is in order.
struct Judged {
    supi: Supi,
    assoc: AssocId,
    sessions: Vec<HandoverSession>,
}

impl Amf {
    /// HANDOVER REQUIRED.
    pub(super) fn on_handover_required(&mut self, assoc: AssocId, stream: u16, m: HandoverRequired) {
        if self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).is_none() {
            return;
        }
        match self.judge_handover(assoc, &m) {
            Ok(judged) => self.request_handover(m, judged),
            Err(cause) => self.refuse_handover(m.amf_ue_id, cause),
        }
    }

    /// Nothing changes here.
    fn judge_handover(&self, from: AssocId, m: &HandoverRequired) -> Result<Judged, Cause> {
        let radio = |cause| Err(Cause::RadioNetwork(cause));
        let conn = self.registry.conn(m.amf_ue_id);
        let unfit = Cause::Protocol(ProtocolCause::MESSAGE_NOT_COMPATIBLE_WITH_RECEIVER_STATE);
        let Some(Conn { phase: Phase::Ue(supi), radio: Radio::Up, switching, new_chain, .. }) = conn else {
            return Err(unfit);
        };
        let ue = self.registry.ue(*supi).filter(|ue| ue.is_registered()).ok_or(unfit)?;
        if switching.is_some() || new_chain.is_some() || ue.rekey.is_some() || ue.handover.is_some() {
            return radio(RadioCause::INTERACTION_WITH_OTHER_PROCEDURE);
        }
        let RanNodeId::Gnb(gnb) = m.target else { return radio(RadioCause::UNKNOWN_TARGET_ID) };
        let Some(assoc) = self.assoc_of(gnb) else { return radio(RadioCause::UNKNOWN_TARGET_ID) };
        if assoc == from || !self.serves(assoc, m.tai) {
            return radio(RadioCause::HO_TARGET_NOT_ALLOWED);
        }
        if self.registry.count_of(assoc) >= self.config.limits.ues_per_gnb {
            return Err(Cause::Misc(MiscCause::CONTROL_PROCESSING_OVERLOAD));
        }
        let named: BTreeSet<PduSessionId> = m.sessions.iter().map(|s| s.id).collect();
        if named.len() != m.sessions.len() {
            return radio(RadioCause::MULTIPLE_PDU_SESSION_ID_INSTANCES);
        }
        let has_radio = |id: &PduSessionId| ue.sessions.get(id).is_some_and(|s| s.has_radio());
        let sessions: Vec<HandoverSession> = named
            .into_iter()
            .filter(has_radio)
            .filter_map(|id| {
                let (slice, transfer) = self.setup_transfer(*supi, id)?;
                Some(HandoverSession { id, slice, transfer })
            })
            .collect();
        if sessions.is_empty() {
            // One that is just being set up can go a moment later.
            let coming = m.sessions.iter().any(|s| ue.sessions.get(&s.id).is_some_and(|s| !s.is_idle()));
            return radio(if coming {
                RadioCause::INTERACTION_WITH_OTHER_PROCEDURE
            } else {
                RadioCause::UNKNOWN_PDU_SESSION_ID
            });
        }
        Ok(Judged { supi: *supi, assoc, sessions })
    }

    /// HANDOVER PREPARATION FAILURE: the UE stays where it is.
    pub(super) fn refuse_handover(&mut self, source: AmfUeNgapId, cause: Cause) {
        self.refused("handover");
        self.send_on(source, |c| {
            Message::HandoverPreparationFailure(HandoverPreparationFailure {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                cause,
            })
        });
    }

    /// HANDOVER REQUEST.
    fn request_handover(&mut self, m: HandoverRequired, judged: Judged) {
        let Judged { supi, assoc, sessions } = judged;
        let (target, guami) = (self.registry.next_id(), self.guami());
        let next_hop = self.registry.conn_mut(m.amf_ue_id).and_then(|c| c.chain.as_mut()).map(|c| c.next());
        let (Some((ncc, nh)), Some(ue_ambr)) = (next_hop, self.ue_ambr(supi)) else {
            return self.refuse_handover(m.amf_ue_id, Cause::UNSPECIFIED);
        };
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        ue.handover = Some(Handover {
            source: m.amf_ue_id,
            target,
            assoc,
            tai: m.tai,
            asked: sessions.iter().map(|s| s.id).collect(),
            admitted: None,
        });
        let request = HandoverRequest {
            amf_ue_id: target,
            cause: m.cause,
            ue_ambr,
            security_capabilities: ue.capability.for_ngap(),
            next_hop: NextHop { ncc, nh: SecurityKey(nh) },
            sessions,
            allowed_nssai: ue.allowed.clone(),
            container: m.container,
            guami,
        };
        self.registry.expect_arrival(target, supi);
        self.start(TimerKey::Handover(supi), NGAP_GUARD_MS);
        self.send(assoc, 1, &Message::HandoverRequest(request));
    }

    /// Whom a gNB was asked to take under this name and has not answered about; an Error Indication where it was not.
    fn expected(&mut self, assoc: AssocId, stream: u16, target: AmfUeNgapId) -> Option<Supi> {
        let supi = self.registry.arrival(target);
        let asked = supi.and_then(|s| self.registry.ue(s)?.handover.as_ref());
        if asked.is_some_and(|h| h.assoc == assoc && h.target == target && h.admitted.is_none()) {
            return supi;
        }
        self.refused("unknown-ue-id");
        let cause = Cause::RadioNetwork(RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID);
        self.indicate(assoc, stream, Some(target), None, cause);
        None
    }

    /// HANDOVER REQUEST ACKNOWLEDGE: the UE is awaited there, and sent.
    pub(super) fn on_handover_acknowledged(
        &mut self,
        assoc: AssocId,
        stream: u16,
        m: HandoverRequestAcknowledge,
    ) {
        let Some(supi) = self.expected(assoc, stream, m.amf_ue_id) else { return };
        let Some(h) = self.registry.ue_mut(supi).and_then(|ue| ue.handover.as_mut()) else { return };
        let (source, tai, asked) = (h.source, h.tai, h.asked.clone());
        let mut admitted: Vec<(PduSessionId, Tunnel)> = Vec::new();
        for s in m.admitted.iter().filter(|s| asked.contains(&s.id)) {
            let twice = admitted.iter().any(|(id, _)| *id == s.id);
            if let (Ok(a), false) = (Admitted::decode(&s.transfer), twice)
                && a.flows.contains(&super::session::QFI)
            {
                admitted.push((s.id, a.downlink));
            }
        }
        let has = |id: &PduSessionId| admitted.iter().any(|(a, _)| a == id);
        let (going, staying): (Vec<_>, Vec<_>) = asked.into_iter().partition(has);
        h.admitted = Some(admitted);
        self.registry.arrived(m.amf_ue_id);
        self.name_given_anew(assoc, m.ran_ue_id, None);
        self.registry.insert_conn(Conn {
            id: m.amf_ue_id,
            assoc,
            ran: m.ran_ue_id,
            stream,
            tai,
            cell: 0,
            radio: Radio::Up,
            ul_count: 0,
            chain: None,
            switching: None,
            new_chain: None,
            rates_asked: false,
            phase: Phase::Arriving(supi),
        });
        if going.is_empty() {
            return self.abort_handover(supi, Cause::RadioNetwork(RadioCause::RADIO_RESOURCES_NOT_AVAILABLE));
        }
        let cause = Cause::RadioNetwork(RadioCause::HO_FAILURE_IN_TARGET_5GC_NGRAN_NODE_OR_TARGET_SYSTEM);
        let (Ok(empty), Ok(not)) = (HandoverCommandTransfer.encode(), NotPrepared { cause }.encode()) else {
            return;
        };
        let each = |ids: Vec<PduSessionId>, transfer: &[u8]| {
            ids.into_iter().map(|id| SessionTransfer { id, transfer: transfer.to_vec() }).collect()
        };
        let (sessions, released) = (each(going, &empty), each(staying, &not));
        self.start(TimerKey::Handover(supi), NGAP_GUARD_MS);
        self.send_on(source, |c| {
            Message::HandoverCommand(HandoverCommand {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                sessions,
                released,
                container: m.container,
            })
        });
    }

    /// HANDOVER FAILURE: the gNB does not take it.
    pub(super) fn on_handover_failure(&mut self, assoc: AssocId, stream: u16, m: &HandoverFailure) {
        if let Some(supi) = self.expected(assoc, stream, m.amf_ue_id) {
            self.abort_handover(supi, m.cause);
        }
    }

    /// UPLINK RAN STATUS TRANSFER (§8.4.6): the source says how far it has come with a UE that was sent away, and the target
    /// is told (§8.4.7), so that nothing is lost or comes twice on the air.
    pub(super) fn on_ran_status(&mut self, assoc: AssocId, stream: u16, m: RanStatusTransfer) {
        let Some(conn) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) else { return };
        let Phase::Ue(supi) = conn.phase else { return self.refused("out-of-place") };
        let sent_to =
            self.registry.ue(supi).and_then(|ue| ue.handover.as_ref()).filter(|h| h.admitted.is_some());
        let Some(target) = sent_to.map(|h| h.target) else { return self.refused("out-of-place") };
        let status = m.status;
        self.send_on(target, |c| {
            Message::DownlinkRanStatusTransfer(RanStatusTransfer {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                status,
            })
        });
    }

    /// HANDOVER NOTIFY: the UE is there. Its downlinks follow, and the gNB that it left is told.
    pub(super) fn on_handover_notify(&mut self, assoc: AssocId, stream: u16, m: &HandoverNotify) {
        let Some(conn) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) else { return };
        let Phase::Arriving(supi) = conn.phase else { return self.refused("unasked-answer") };
        let Some(h) = self.registry.ue_mut(supi).and_then(|ue| ue.handover.take()) else { return };
        self.timers.stop(TimerKey::Handover(supi));
        let (source, target) = (h.source, h.target);
        let (tai, cell) = match m.location.filter(|l| self.serves(assoc, l.tai)) {
            Some(l) => (l.tai, l.cell.cell),
            None => (h.tai, 0),
        };
        let left = self.registry.conn_mut(source).map(|c| (c.chain.take(), c.ul_count, c.assoc));
        let (chain, ul_count, from) = left.unwrap_or((None, 0, assoc));
        self.registry.set_phase(source, Phase::Leaving);
        self.registry.set_phase(target, Phase::Ue(supi));
        if let Some(c) = self.registry.conn_mut(target) {
            (c.chain, c.ul_count, c.tai, c.cell) = (chain, ul_count, tai, cell);
        }
        if let Some(ue) = self.registry.ue_mut(supi) {
            (ue.conn, ue.tai, ue.cell) = (Some(target), tai, cell);
        }
        self.release_conn(source, Cause::RadioNetwork(RadioCause::SUCCESSFUL_HANDOVER));
        self.follow(target);
        self.sessions_follow(supi, h.admitted.unwrap_or_default());
        let (from, to) = (self.gnb_name(from), self.gnb_name(assoc));
        self.event(Some(supi.imsi()), Happening::Moved { from, to, tai, cell });
        self.serve_waiting(supi);
    }

    /// Sessions that the new gNB has go there, the others stay without radio. One that ended meanwhile ends there, too.
    fn sessions_follow(&mut self, supi: Supi, admitted: Vec<(PduSessionId, Tunnel)>) {
        self.sessions_left_behind(supi, &admitted);
        for (id, tunnel) in admitted {
            match self.session_mut(supi, id) {
                Some(s) if s.has_radio() => {
                    (s.radio, s.state) = (Some(tunnel), State::ExpectN4Forwarding);
                    self.n4_switch(supi, id);
                }
                _ => self.release_resources(supi, id, None),
            }
        }
    }

    /// HANDOVER CANCEL from the gNB where the UE is.
    pub(super) fn on_handover_cancel(&mut self, assoc: AssocId, stream: u16, m: &HandoverCancel) {
        let Some(conn) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) else { return };
        if let Phase::Ue(supi) = conn.phase {
            // It asked for the end itself: no failure is told.
            self.end_handover(supi, Cause::RadioNetwork(RadioCause::HANDOVER_CANCELLED));
        }
        self.send_on(m.amf_ue_id, |c| {
            Message::HandoverCancelAcknowledge(HandoverCancelAcknowledge {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
            })
        });
    }

    /// The gNB where it is to go was silent, or it did not come.
    pub(super) fn on_handover_timeout(&mut self, supi: Supi) {
        self.refused("silent-handover");
        let cause = RadioCause::HO_FAILURE_IN_TARGET_5GC_NGRAN_NODE_OR_TARGET_SYSTEM;
        self.abort_handover(supi, Cause::RadioNetwork(cause));
    }

    /// It does not come off: the gNB where the UE is hears of it, unless it has sent the UE away already.
    pub(super) fn abort_handover(&mut self, supi: Supi, cause: Cause) {
        if let Some((source, false)) = self.end_handover(supi, cause) {
            self.refuse_handover(source, cause);
        }
    }

    /// Ends what was prepared. The connection where the UE is, and true if it was sent already.
    pub(super) fn end_handover(&mut self, supi: Supi, cause: Cause) -> Option<(AmfUeNgapId, bool)> {
        let h = self.registry.ue_mut(supi)?.handover.take()?;
        self.timers.stop(TimerKey::Handover(supi));
        self.registry.arrived(h.target);
        let sent = h.admitted.as_ref().is_some_and(|a| !a.is_empty());
        if h.admitted.is_none() && self.gnbs.contains_key(&h.assoc) {
            // It has not answered, so we know it by our own name alone; its answers meet nobody.
            let ue = UeIds::Amf(h.target);
            let command = UeContextReleaseCommand { ue, cause };
            self.send(h.assoc, 1, &Message::UeContextReleaseCommand(command));
            self.registry.give_up_arrival(h.target, h.assoc);
            self.start(TimerKey::ContextRelease(h.target), NGAP_GUARD_MS);
        }
        if self.registry.conn(h.target).is_some() {
            self.registry.set_phase(h.target, Phase::Leaving);
            self.release_conn(h.target, cause);
        }
        Some((h.source, sent))
    }
}
