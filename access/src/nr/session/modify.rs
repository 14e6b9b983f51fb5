//! PDU sessions that change while they live (TS 24.501 §6.3.2, §6.4.2; TS 23.502 §4.3.3).
//!
//! What changes is a session's rates, when the subscription does: the gateway enforces the new ones at once, the gNB and the
//! UE are told (T3591) as soon as the UE is connected. What a UE asks for is answered: its options are, other rules and flows
//! than the one that a session has are refused.

use super::super::Amf;
use super::super::timers::{NAS_RETRANSMISSIONS, NGAP_GUARD_MS, T3591_MS, TimerKey};
use super::super::ue::{Conn, Radio};
use super::State;
use super::establish::options;
use types::{FgsmCause, PduSessionId, Subscription, Supi};
use wire::nas::fgs::{FgsmBody, ModificationCommand, ModificationRequest, SessionAmbr};
use wire::ngap::transfer::ModifyRequest;
use wire::ngap::{
    Ambr, Message, PduSessionResourceModifyRequest, SessionModify, UeContextModificationRequest,
};

/// A command that the UE has not confirmed.
pub(in crate::nr) struct Changing {
    /// The transaction of the UE that asked for it; 0: the network did.
    pti: u8,
    /// The command, unprotected, for retransmission.
    command: Vec<u8>,
    /// Retransmissions left.
    left: u8,
    /// The rates that it tells.
    rates: Option<(u64, u64)>,
}

impl Changing {
    /// True for the procedure of this transaction.
    pub(in crate::nr) fn is_of(&self, pti: u8) -> bool {
        self.pti == pti
    }
}

impl Amf {
    /// The session AMBR of a UE's sessions, uplink and downlink, bits per second.
    pub(super) fn rates(&self, supi: Supi) -> Option<(u64, u64)> {
        let s = self.registry.ue(supi)?.subscription.as_ref()?;
        Some((s.ambr_ul_bps, s.ambr_dl_bps))
    }

    /// What a SIM may have has changed: sessions into networks that it may not use any more end, the others get its rates.
    /// Slices are judged at its next registration.
    pub(in crate::nr) fn on_subscribed(&mut self, new: Subscription) {
        let supi = new.supi;
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        let Some(now) = ue.subscription.as_mut().filter(|now| **now != new) else { return };
        let before = std::mem::replace(now, new);
        let before = (before.ambr_ul_bps, before.ambr_dl_bps);
        let changed = self.rates(supi) != Some(before);
        for id in self.session_ids(supi) {
            let allowed = |amf: &Self| {
                let ue = amf.registry.ue(supi)?;
                Some(ue.subscription.as_ref()?.dnns.contains(&ue.sessions.get(&id)?.dnn))
            };
            if allowed(self) == Some(false) {
                self.release_session(supi, id, 0, FgsmCause::RegularDeactivation);
            } else if changed {
                if let Some(s) = self.session_mut(supi, id).filter(|s| s.is_up()) {
                    s.told.get_or_insert(before);
                }
                self.n4_rates(supi, id);
                self.tell_rates(supi, id);
            }
        }
        if changed {
            self.tell_radio_rates(supi);
        }
    }

    /// Tells a connected UE the rates of a session, where it knows others.
    pub(super) fn tell_rates(&mut self, supi: Supi, id: PduSessionId) {
        let Some(rates) = self.rates(supi) else { return };
        let registered = self.registry.ue(supi).is_some_and(|ue| ue.is_registered() && ue.conn.is_some());
        let stale = self.session(supi, id).is_some_and(|s| {
            let knows = s.told.is_none_or(|told| told == rates);
            matches!(s.state, State::Active | State::Idle) && s.changing.is_none() && !knows
        });
        if registered && stale {
            let ambr = SessionAmbr { ul_bps: rates.0, dl_bps: rates.1 };
            let command = ModificationCommand { ambr: Some(ambr), epco: None };
            self.command(supi, id, 0, command, Some(rates));
        }
    }

    /// PDU Session Modification Command: with the gNB's part of it where it has the session, alone else.
    fn command(
        &mut self,
        supi: Supi,
        id: PduSessionId,
        pti: u8,
        command: ModificationCommand,
        rates: Option<(u64, u64)>,
    ) {
        let body = FgsmBody::ModificationCommand(command);
        let Some(command) = self.session_transport(id, pti, body) else { return };
        let Some(conn) = self.registry.ue(supi).and_then(|ue| ue.conn) else { return };
        let has_radio = self.session(supi, id).is_some_and(|s| matches!(s.state, State::Active));
        let ambr = rates.map(|(ul_bps, dl_bps)| Ambr { dl_bps, ul_bps });
        match (ModifyRequest { ambr }).encode() {
            Ok(transfer) if has_radio && rates.is_some() => {
                let nas = Some(self.protect_for(supi, &command)).filter(|n| !n.is_empty());
                self.send_on(conn, |c| {
                    Message::PduSessionResourceModifyRequest(PduSessionResourceModifyRequest {
                        amf_ue_id: c.id,
                        ran_ue_id: c.ran,
                        sessions: vec![SessionModify { id, nas, transfer }],
                    })
                });
            }
            _ => self.send_protected(supi, &command),
        }
        if let Some(s) = self.session_mut(supi, id) {
            let left = NAS_RETRANSMISSIONS;
            s.changing = Some(Box::new(Changing { pti, command, left, rates }));
        }
        self.start(TimerKey::Modification(supi, id), T3591_MS);
    }

    /// UE CONTEXT MODIFICATION REQUEST with the UE-AMBR. A radio that is just being told keys, or being asked for a context,
    /// learns it with its next context.
    fn tell_radio_rates(&mut self, supi: Supi) {
        let ue_ambr = self.ue_ambr(supi);
        // Nor one that its UE is about to leave, or about to get keys for.
        let settled = self.registry.ue(supi).filter(|ue| ue.handover.is_none() && ue.rekey.is_none());
        let Some(conn) = settled.and_then(|ue| ue.conn) else { return };
        let calm = |c: &&mut Conn| c.radio == Radio::Up && c.new_chain.is_none() && c.switching.is_none();
        let Some(c) = self.registry.conn_mut(conn).filter(calm) else { return };
        c.rates_asked = true;
        self.start(TimerKey::ContextModification(conn), NGAP_GUARD_MS);
        self.send_on(conn, |c| {
            Message::UeContextModificationRequest(UeContextModificationRequest {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                key: None,
                ue_ambr,
            })
        });
    }

    /// PDU Session Modification Request.
    pub(super) fn on_modification_request(
        &mut self,
        supi: Supi,
        id: PduSessionId,
        pti: u8,
        request: ModificationRequest,
    ) {
        let Some(s) = self.session(supi, id) else {
            let reject = FgsmBody::ModificationReject(FgsmCause::InvalidPduSessionIdentity);
            return self.send_session(supi, id, pti, reject);
        };
        let refusal = match (&s.state, &s.changing) {
            // §6.3.3.5: the session's end goes on.
            (State::ExpectReleaseComplete { .. }, _) => return self.refused("session-is-ending"),
            // It asks again (T3581): it has not heard the answer.
            (_, Some(c)) if c.is_of(pti) => {
                let command = c.command.clone();
                return self.send_protected(supi, &command);
            }
            // §6.3.2.5: both sides at once; the network's procedure goes on.
            (_, Some(_)) => return self.refused("session-is-changing"),
            (State::Active | State::Idle, None) => {
                let more = !request.rules.is_empty() || !request.flows.is_empty();
                more.then_some(FgsmCause::ServiceOptionNotSupported)
            }
            (_, None) => Some(FgsmCause::RequestRejectedUnspecified),
        };
        if let Some(cause) = refusal {
            self.refused("session-modification");
            return self.send_session(supi, id, pti, FgsmBody::ModificationReject(cause));
        }
        let address = s.address.as_ref();
        let epco = request.epco.as_ref().zip(address).map(|(asked, a)| options(Some(asked), a));
        self.command(supi, id, pti, ModificationCommand { ambr: None, epco }, None);
    }

    /// PDU Session Modification Complete, or Command Reject with its cause (§6.3.2.3, §6.3.2.4).
    pub(super) fn on_modification_answer(
        &mut self,
        supi: Supi,
        id: PduSessionId,
        pti: u8,
        rejected: Option<FgsmCause>,
    ) {
        let mine = self.session(supi, id).map(|s| s.changing.as_ref().is_some_and(|c| c.is_of(pti)));
        match (mine, rejected) {
            (Some(true), None) => {
                self.modification_over(supi, id, true);
                // It may have changed once more meanwhile.
                self.tell_rates(supi, id);
            }
            // It has no such session.
            (Some(true), Some(FgsmCause::InvalidPduSessionIdentity)) => self.drop_session(supi, id),
            // The gateway enforces the rates, whatever the UE thinks of them.
            (Some(true), Some(_)) => {
                self.refused("modification-rejected");
                self.modification_over(supi, id, true);
            }
            // §7.3.1, §7.3.2.
            (Some(false), _) => {
                self.refused("another-transaction");
                self.send_session(supi, id, pti, FgsmBody::Status(FgsmCause::PtiMismatch));
            }
            (None, _) => {
                self.refused("no-such-session");
                self.send_session(supi, id, pti, FgsmBody::Status(FgsmCause::InvalidPduSessionIdentity));
            }
        }
    }

    /// The change is over. Where it is `told`, what it told need not be told again.
    pub(super) fn modification_over(&mut self, supi: Supi, id: PduSessionId, told: bool) {
        self.timers.stop(TimerKey::Modification(supi, id));
        let Some(s) = self.session_mut(supi, id) else { return };
        if let Some(c) = s.changing.take().filter(|_| told) {
            s.told = c.rates.or(s.told);
        }
    }

    /// T3591. On its fifth expiry the procedure ends (§6.3.2.5 a).
    pub(in crate::nr) fn on_modification_timeout(&mut self, supi: Supi, id: PduSessionId) {
        let Some(c) = self.session_mut(supi, id).and_then(|s| s.changing.as_mut()) else { return };
        if c.left == 0 {
            self.refused("no-modification-complete");
            return self.modification_over(supi, id, true);
        }
        c.left -= 1;
        let command = c.command.clone();
        self.start(TimerKey::Modification(supi, id), T3591_MS);
        self.send_protected(supi, &command);
    }
}
