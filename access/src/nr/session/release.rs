//! The end of PDU sessions (TS 23.502 §4.3.4; TS 24.501 §6.3.3, §6.4.3), and what stays of them in idle.

use super::super::timers::{NAS_RETRANSMISSIONS, T3592_MS, TimerKey};
use super::super::ue::Radio;
use super::super::{Amf, Output};
use super::establish::backoff;
use super::{Session, State};
use types::{FgsmCause, Happening, PduSessionId, Supi};
use wire::nas::fgs::FgsmBody;
use wire::ngap::transfer::{ReleaseCommand, Tunnel};
use wire::ngap::{Message, PduSessionResourceReleaseCommand, SessionTransfer};

impl Amf {
    /// The operator ends a session.
    pub(in crate::nr) fn end_session(&mut self, supi: Supi, id: PduSessionId) {
        self.end_adopted_where(supi, |g| g.pdu_session_id == id);
        self.release_session(supi, id, 0, FgsmCause::RegularDeactivation);
    }

    /// PDU Session Release Request.
    pub(super) fn on_session_release_request(&mut self, supi: Supi, id: PduSessionId, pti: u8) {
        match self.session(supi, id).map(|s| &s.state) {
            None => {
                let reject = FgsmBody::ReleaseReject(FgsmCause::InvalidPduSessionIdentity);
                self.send_session(supi, id, pti, reject);
            }
            // It asks again (T3582): it has not heard the answer.
            Some(State::ExpectReleaseComplete { pti: asked, command, .. }) if *asked == pti => {
                let command = command.clone();
                self.send_protected(supi, &command);
            }
            // §6.3.3.5: both sides at once; the network's procedure goes on.
            Some(State::ExpectReleaseComplete { .. }) => self.refused("session-is-ending"),
            Some(_) => self.release_session(supi, id, pti, FgsmCause::RegularDeactivation),
        }
    }

    /// Ends a session: in the gateway at once, then towards the gNB and the UE. A UE without radio learns it
    /// from the session status at its next sign of life.
    pub(super) fn release_session(&mut self, supi: Supi, id: PduSessionId, pti: u8, cause: FgsmCause) {
        let Some(session) = self.session(supi, id) else { return };
        match session.state {
            State::ExpectReleaseComplete { .. } => return,
            // The UE has heard nothing of it yet: it is answered what it asked.
            State::ExpectAddress { .. } | State::ExpectN4Established | State::ExpectRadio if pti == 0 => {
                return self.fail_session(supi, id, FgsmCause::RequestRejectedUnspecified);
            }
            _ => {}
        }
        let has_radio = session.radio.is_some() || matches!(session.state, State::ExpectResources);
        self.cut_session(supi, id);
        let conn = self.registry.ue(supi).filter(|ue| ue.is_registered()).and_then(|ue| ue.conn);
        let command = FgsmBody::ReleaseCommand { cause, backoff: backoff(cause) };
        let command = conn.and_then(|_| self.session_transport(id, pti, command));
        let (Some(conn), Some(command)) = (conn, command) else {
            self.remove_session(supi, id);
            return;
        };
        if has_radio && self.registry.conn(conn).is_some_and(|c| c.radio == Radio::Up) {
            let nas = self.protect_for(supi, &command);
            self.release_resources(supi, id, Some(nas).filter(|n| !n.is_empty()));
        } else {
            self.send_protected(supi, &command);
        }
        if let Some(s) = self.session_mut(supi, id) {
            s.state = State::ExpectReleaseComplete { pti, command, left: NAS_RETRANSMISSIONS };
        }
        self.start(TimerKey::Session(supi, id), T3592_MS);
    }

    /// PDU SESSION RESOURCE RELEASE COMMAND (TS 38.413 §8.2.2).
    pub(in crate::nr) fn release_resources(&mut self, supi: Supi, id: PduSessionId, nas: Option<Vec<u8>>) {
        let Some(conn) = self.registry.ue(supi).and_then(|ue| ue.conn) else { return };
        let Ok(transfer) = (ReleaseCommand { cause: super::super::release::NORMAL }).encode() else { return };
        self.send_on(conn, |c| {
            Message::PduSessionResourceReleaseCommand(PduSessionResourceReleaseCommand {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                nas,
                sessions: vec![SessionTransfer { id, transfer }],
            })
        });
    }

    /// PDU Session Release Complete, of the transaction of the command (§7.3.1).
    pub(super) fn on_session_release_complete(&mut self, supi: Supi, id: PduSessionId, pti: u8) {
        match self.session(supi, id).map(|s| &s.state) {
            Some(State::ExpectReleaseComplete { pti: asked, .. }) if *asked == pti => {
                self.remove_session(supi, id);
            }
            Some(State::ExpectReleaseComplete { .. }) => {
                self.refused("another-transaction");
                self.send_session(supi, id, pti, FgsmBody::Status(FgsmCause::PtiMismatch));
            }
            // It was heard before.
            Some(_) | None => self.refused("nas-out-of-place"),
        }
    }

    /// Ends a session without a word to the UE, which has given it up or is gone. The gNB's resources go too,
    /// where it may still have some.
    pub(super) fn drop_session(&mut self, supi: Supi, id: PduSessionId) {
        let Some(session) = self.session(supi, id) else { return };
        let has_radio = session.radio.is_some() || matches!(session.state, State::ExpectResources);
        let conn = self.registry.ue(supi).and_then(|ue| ue.conn).and_then(|c| self.registry.conn(c));
        let radio_up = conn.is_some_and(|c| c.radio == Radio::Up);
        self.cut_session(supi, id);
        if has_radio && radio_up {
            self.release_resources(supi, id, None);
        }
        self.remove_session(supi, id);
    }

    /// Ends all sessions of a UE that is being released or sent away.
    pub(in crate::nr) fn end_all_sessions(&mut self, supi: Supi) {
        for id in self.session_ids(supi) {
            self.cut_session(supi, id);
            self.remove_session(supi, id);
        }
    }

    /// The session ends in the gateway, its address rests, the operator is told. Done twice it does nothing.
    fn cut_session(&mut self, supi: Supi, id: PduSessionId) {
        self.timers.stop(TimerKey::Session(supi, id));
        self.modification_over(supi, id, false);
        let Some(s) = self.session_mut(supi, id) else { return };
        let was_up = std::mem::replace(&mut s.announced, false);
        s.radio = None;
        let (address, up, seid, dnn) = (s.address.take(), s.up.take(), s.seid, s.dnn.clone());
        let pending = matches!(s.state, State::ExpectN4Established);
        self.smf.disown(seid);
        if let Some(up) = up {
            self.n4_delete(seid, up.seid);
        } else if pending {
            // The gateway is making it: it is deleted when the answer says under which name.
            self.smf.bury(seid);
        }
        if let Some(address) = address {
            if was_up {
                let what = Happening::SessionDown { id, dnn: dnn.clone(), ip: address.ip };
                self.event(Some(supi.imsi()), what);
            }
            self.out.push_back(Output::ReleaseAddress { supi, dnn, id });
        }
    }

    fn remove_session(&mut self, supi: Supi, id: PduSessionId) -> Option<Box<Session>> {
        self.timers.stop(TimerKey::Session(supi, id));
        self.data_waits_no_more(supi, id);
        self.registry.ue_mut(supi)?.sessions.remove(&id)
    }

    /// The UE has no radio any more: sessions that are up are kept without it, those in the making or in
    /// their end are over.
    pub(in crate::nr) fn sessions_lost_radio(&mut self, supi: Supi) {
        for id in self.session_ids(supi) {
            let Some(s) = self.session_mut(supi, id) else { continue };
            let keep = s.announced || matches!(s.state, State::ExpectN4Forwarding);
            if !keep || matches!(s.state, State::ExpectReleaseComplete { .. }) {
                self.cut_session(supi, id);
                self.remove_session(supi, id);
                continue;
            }
            let was_idle = matches!(s.state, State::Idle);
            self.timers.stop(TimerKey::Session(supi, id));
            // §6.3.2.5: what the UE has not confirmed it is told again when it is back.
            self.modification_over(supi, id, false);
            if !was_idle {
                self.session_idle(supi, id);
            }
        }
    }

    /// A session that is up loses its radio: packets for it wait in the gateway.
    pub(super) fn session_idle(&mut self, supi: Supi, id: PduSessionId) {
        let Some(s) = self.session_mut(supi, id) else { return };
        (s.radio, s.state) = (None, State::Idle);
        self.n4_idle(supi, id);
    }

    /// What becomes of the sessions of a UE that has gone over to another gNB and are not among those `taken` along: what
    /// was up stays, without radio; what was being made is refused.
    pub(in crate::nr) fn sessions_left_behind(&mut self, supi: Supi, taken: &[(PduSessionId, Tunnel)]) {
        for id in self.session_ids(supi) {
            if taken.iter().any(|(t, _)| *t == id) {
                continue;
            }
            match self.session_mut(supi, id) {
                Some(s) if matches!(s.state, State::Active | State::ExpectN4Forwarding) => {
                    self.session_idle(supi, id);
                }
                Some(s) if matches!(s.state, State::ExpectResources) => self.on_resources_failed(supi, id),
                _ => {}
            }
        }
    }

    /// A session's own timer ran out.
    pub(in crate::nr) fn on_session_timeout(&mut self, supi: Supi, id: PduSessionId) {
        let Some(s) = self.session_mut(supi, id) else { return };
        match &mut s.state {
            // The question stays open: a late address is given back.
            State::ExpectAddress { .. } => self.fail_session(supi, id, FgsmCause::InsufficientResources),
            State::ExpectResources => self.resources_unknown(supi, id),
            State::ExpectReleaseComplete { left: 0, .. } => {
                self.remove_session(supi, id);
            }
            State::ExpectReleaseComplete { command, left, .. } => {
                *left -= 1;
                let command = command.clone();
                self.start(TimerKey::Session(supi, id), T3592_MS);
                self.send_protected(supi, &command);
            }
            State::ExpectN4Established
            | State::ExpectRadio
            | State::ExpectN4Forwarding
            | State::Active
            | State::Idle => {}
        }
    }

    /// The gateway lost or refused a session that the UE has: the UE is told. One that was up is asked for again at once; one
    /// that never was would be refused again, so its UE waits.
    pub(super) fn lose_session(&mut self, supi: Supi, id: PduSessionId) {
        let was_up = self.session(supi, id).is_some_and(|s| s.announced);
        let cause = if was_up { FgsmCause::ReactivationRequested } else { FgsmCause::InsufficientResources };
        self.release_session(supi, id, 0, cause);
    }
}
