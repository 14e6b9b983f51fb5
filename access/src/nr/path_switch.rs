//! Handover that two gNBs have settled between themselves (Xn; TS 23.502 §4.9.1.2.2, TS 38.413 §8.4.4): the UE is at the
//! new gNB already, and its downlink is to follow.
//!
//! The request is judged whole first. Then the connection moves to the new association under the name that it has, the
//! gateway switches each session's downlink and ends the old path with End Markers, and the new gNB is answered when the
//! gateway has. The gNB that the UE left is told nothing here: the other one releases it.

use super::session::State;
use super::timers::{NGAP_GUARD_MS, TimerKey};
use super::ue::{Phase, Radio};
use super::{Amf, AssocId};
use std::collections::BTreeSet;
use types::{Happening, PduSessionId, Supi};
use wire::ngap::transfer::{PathNotSwitched, PathSwitch, PathSwitched, Tunnel};
use wire::ngap::{
    AmfUeNgapId, Cause, Message, MiscCause, NextHop, PathSwitchRequest, PathSwitchRequestAcknowledge,
    PathSwitchRequestFailure, ProtocolCause, RadioCause, SecurityCapabilities, SecurityKey, SessionTransfer,
    UserLocation,
};

/// A switch whose gNB has not been answered yet.
pub(super) struct Switching {
    /// Sessions that the gateway has not switched yet.
    waiting: BTreeSet<PduSessionId>,
    /// Sessions that it has.
    switched: Vec<PduSessionId>,
    /// Sessions that stay without radio.
    released: Vec<PduSessionId>,
    /// The UE's algorithms, where the gNB was told others (TS 33.501 §6.7.3.1).
    capabilities: Option<SecurityCapabilities>,
}

/// A request that is in order.
struct Judged {
    supi: Supi,
    location: UserLocation,
    to_switch: Vec<(PduSessionId, Tunnel)>,
    released: Vec<PduSessionId>,
    capabilities: Option<SecurityCapabilities>,
}

impl Amf {
    /// PATH SWITCH REQUEST.
    pub(super) fn on_path_switch(&mut self, assoc: AssocId, stream: u16, m: &PathSwitchRequest) {
        let judged = match self.judge_switch(assoc, m) {
            Ok(judged) => judged,
            Err(cause) => return self.refuse_switch(assoc, stream, m, cause),
        };
        let (supi, conn) = (judged.supi, m.source_amf_ue_id);
        self.name_given_anew(assoc, m.ran_ue_id, Some(conn));
        let from = self.registry.conn(conn).map(|c| self.gnb_name(c.assoc)).unwrap_or_default();
        self.registry.move_conn(conn, assoc, m.ran_ue_id);
        if let Some(c) = self.registry.conn_mut(conn) {
            (c.stream, c.tai, c.cell) = (stream, judged.location.tai, judged.location.cell.cell);
            c.switching = Some(Switching {
                waiting: judged.to_switch.iter().map(|(id, _)| *id).collect(),
                switched: Vec::new(),
                released: judged.released,
                capabilities: judged.capabilities,
            });
        }
        if let Some(ue) = self.registry.ue_mut(supi) {
            (ue.tai, ue.cell) = (judged.location.tai, judged.location.cell.cell);
        }
        self.start(TimerKey::PathSwitch(conn), NGAP_GUARD_MS);
        // New keys for the radio that it left are told to this one, once it has been answered.
        self.timers.stop(TimerKey::ContextModification(conn));
        if let Some(c) = self.registry.conn_mut(conn) {
            c.rates_asked = false;
        }
        self.sessions_left_behind(supi, &judged.to_switch);
        for (id, tunnel) in judged.to_switch {
            if let Some(s) = self.session_mut(supi, id) {
                (s.radio, s.state) = (Some(tunnel), State::ExpectN4Forwarding);
            }
            self.n4_switch(supi, id);
        }
        let what = Happening::Moved {
            from,
            to: self.gnb_name(assoc),
            tai: judged.location.tai,
            cell: judged.location.cell.cell,
        };
        self.event(Some(supi.imsi()), what);
    }

    /// Nothing changes here.
    fn judge_switch(&mut self, assoc: AssocId, m: &PathSwitchRequest) -> Result<Judged, Cause> {
        let unknown = Cause::RadioNetwork(RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID);
        let conn = self.registry.conn(m.source_amf_ue_id).ok_or(unknown)?;
        let Phase::Ue(supi) = conn.phase else { return Err(unknown) };
        let ue = self.registry.ue(supi).ok_or(unknown)?;
        if conn.radio != Radio::Up || !ue.is_registered() || ue.handover.is_some() {
            return Err(Cause::Protocol(ProtocolCause::MESSAGE_NOT_COMPATIBLE_WITH_RECEIVER_STATE));
        }
        let moves = conn.assoc != assoc;
        if moves && self.registry.count_of(assoc) >= self.config.limits.ues_per_gnb {
            return Err(Cause::Misc(MiscCause::CONTROL_PROCESSING_OVERLOAD));
        }
        let location = m.location.filter(|l| self.serves(assoc, l.tai));
        let location = location.ok_or(Cause::RadioNetwork(RadioCause::HO_TARGET_NOT_ALLOWED))?;
        let named: Vec<PduSessionId> = m.sessions.iter().chain(&m.failed).map(|s| s.id).collect();
        if named.iter().collect::<BTreeSet<_>>().len() != named.len() {
            return Err(Cause::RadioNetwork(RadioCause::MULTIPLE_PDU_SESSION_ID_INSTANCES));
        }
        let ours = ue.capability.for_ngap();
        let capabilities = (m.security_capabilities != Some(ours)).then_some(ours);
        let (mut to_switch, mut released) = (Vec::new(), Vec::new());
        for s in &m.sessions {
            let has_radio = ue.sessions.get(&s.id).is_some_and(|s| s.has_radio());
            match PathSwitch::decode(&s.transfer) {
                Ok(p) if has_radio && p.flows.contains(&super::session::QFI) => {
                    to_switch.push((s.id, p.downlink));
                }
                Ok(_) | Err(_) => released.push(s.id),
            }
        }
        if to_switch.is_empty() || !self.smf.is_up() {
            return Err(Cause::UNSPECIFIED);
        }
        if capabilities.is_some() {
            self.refused("security-capabilities-differ");
        }
        Ok(Judged { supi, location, to_switch, released, capabilities })
    }

    /// PATH SWITCH REQUEST FAILURE: the UE stays where it was, as far as we are concerned.
    fn refuse_switch(&mut self, assoc: AssocId, stream: u16, m: &PathSwitchRequest, cause: Cause) {
        self.refused("path-switch");
        let sessions: Vec<PduSessionId> = m.sessions.iter().map(|s| s.id).collect();
        let failure = PathSwitchRequestFailure {
            amf_ue_id: m.source_amf_ue_id,
            ran_ue_id: m.ran_ue_id,
            released: not_switched(&sessions, cause),
        };
        self.send(assoc, stream, &Message::PathSwitchRequestFailure(failure));
    }

    /// The gateway has switched a session of a UE that moves, or never will.
    pub(super) fn session_switched(&mut self, supi: Supi, id: PduSessionId, done: bool) {
        let Some(conn) = self.registry.ue(supi).and_then(|ue| ue.conn) else { return };
        let Some(s) = self.registry.conn_mut(conn).and_then(|c| c.switching.as_mut()) else { return };
        if s.waiting.remove(&id) {
            if done { s.switched.push(id) } else { s.released.push(id) }
        }
        if s.waiting.is_empty() {
            self.acknowledge_switch(conn);
        }
    }

    /// The gateway is gone in the middle of it: what waits is where the UE is, and the gateway is told so when it is back.
    pub(super) fn on_path_switch_timeout(&mut self, conn: AmfUeNgapId) {
        if let Some(s) = self.registry.conn_mut(conn).and_then(|c| c.switching.as_mut()) {
            s.switched.extend(std::mem::take(&mut s.waiting));
            self.acknowledge_switch(conn);
        }
    }

    /// PATH SWITCH REQUEST ACKNOWLEDGE, with the key behind the next handover.
    fn acknowledge_switch(&mut self, id: AmfUeNgapId) {
        self.timers.stop(TimerKey::PathSwitch(id));
        let Some(conn) = self.registry.conn_mut(id) else { return };
        let Some(s) = conn.switching.take() else { return };
        let (Phase::Ue(supi), Some(chain)) = (&conn.phase, &mut conn.chain) else { return };
        let (supi, (ncc, nh)) = (*supi, chain.next());
        let allowed_nssai = self.registry.ue(supi).map(|ue| ue.allowed.clone()).unwrap_or_default();
        let Ok(unchanged) = (PathSwitched { uplink: None }).encode() else { return };
        let switched = |id: &PduSessionId| SessionTransfer { id: *id, transfer: unchanged.clone() };
        let (switched, released) =
            (s.switched.iter().map(switched).collect(), not_switched(&s.released, Cause::UNSPECIFIED));
        self.send_on(id, |c| {
            Message::PathSwitchRequestAcknowledge(PathSwitchRequestAcknowledge {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                security_capabilities: s.capabilities,
                next_hop: NextHop { ncc, nh: SecurityKey(nh) },
                switched,
                released,
                allowed_nssai,
            })
        });
        // TS 33.501 §6.9.5: the answer has the chain of the old keys; the new ones follow it.
        if let Some(ul_count) =
            self.registry.conn(id).and_then(|c| c.new_chain.is_some().then_some(c.ul_count))
        {
            self.rekey_radio(id, supi, ul_count);
        }
    }
}

fn not_switched(sessions: &[PduSessionId], cause: Cause) -> Vec<SessionTransfer> {
    let Ok(transfer) = (PathNotSwitched { cause }).encode() else { return Vec::new() };
    sessions.iter().map(|id| SessionTransfer { id: *id, transfer: transfer.clone() }).collect()
}
