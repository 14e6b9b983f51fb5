//! The end of a connection: UE Context Release (TS 38.413 §8.3.3), and what a UE keeps when its radio is
//! gone (TS 23.502 §4.2.6).

use super::Amf;
use super::timers::{NGAP_GUARD_MS, TimerKey};
use super::ue::{Mm, Phase};
use types::Supi;
use wire::ngap::{
    AmfUeNgapId, Cause, Message, NasCause, RadioCause, UeConnection, UeContextReleaseCommand, UeIds,
};

/// The ordinary end.
pub(super) const NORMAL: Cause = Cause::Nas(NasCause::NORMAL_RELEASE);
/// The UE is deregistered.
pub(super) const DEREGISTER: Cause = Cause::Nas(NasCause::DEREGISTER);
/// It could not prove who it is.
pub(super) const AUTHENTICATION_FAILURE: Cause = Cause::Nas(NasCause::AUTHENTICATION_FAILURE);

impl Amf {
    /// Tells the gNB to release the UE. Whoever was on the connection has lost it at once; the connection
    /// itself stays, owned by nobody, until the gNB confirms or a timer ends the wait.
    pub(super) fn release_conn(&mut self, id: AmfUeNgapId, cause: Cause) {
        if self.timers.is_running(TimerKey::ContextRelease(id)) || self.registry.conn(id).is_none() {
            return;
        }
        let before = self.registry.set_phase(id, Phase::Leaving);
        self.start(TimerKey::ContextRelease(id), NGAP_GUARD_MS);
        self.send_on(id, |c| {
            let ue = UeIds::Pair(c.id, c.ran);
            Message::UeContextReleaseCommand(UeContextReleaseCommand { ue, cause })
        });
        self.leave(id, before);
    }

    /// Forgets a connection without a word to the gNB, which has forgotten it or is gone.
    pub(super) fn drop_conn(&mut self, id: AmfUeNgapId) {
        let before = self.registry.remove_conn(id).map(|c| c.phase);
        self.timers.stop(TimerKey::ContextRelease(id));
        self.leave(id, before);
    }

    /// Whoever was on a connection has lost it.
    fn leave(&mut self, id: AmfUeNgapId, before: Option<Phase>) {
        self.timers.stop(TimerKey::Attempt(id));
        self.timers.stop(TimerKey::AttemptGuard(id));
        self.timers.stop(TimerKey::ContextSetup(id));
        self.timers.stop(TimerKey::PathSwitch(id));
        self.timers.stop(TimerKey::ContextModification(id));
        if let Some(conn) = self.registry.conn_mut(id) {
            conn.switching = None;
            conn.new_chain = None;
            conn.rates_asked = false;
        }
        match before {
            Some(Phase::Attempt(attempt)) => self.forget_attempt(*attempt),
            Some(Phase::Ue(supi)) => self.radio_lost(supi),
            Some(Phase::Arriving(supi)) => self.abort_handover(supi, Cause::UNSPECIFIED),
            Some(Phase::Leaving) | None => {}
        }
    }

    /// The gNB did not confirm.
    pub(super) fn on_context_release_timeout(&mut self, id: AmfUeNgapId) {
        self.refused("no-release-complete");
        let known = self.registry.conn(id).map(|c| (c.assoc, Some(c.ran)));
        let given_up = self.registry.given_up_at(id).map(|assoc| (assoc, None));
        self.registry.arrived(id);
        self.drop_conn(id);
        if let Some((assoc, ran_ue_id)) = known.or(given_up) {
            self.reset_connection(assoc, UeConnection { amf_ue_id: Some(id), ran_ue_id });
        }
    }

    /// The gNB did not answer Initial Context Setup.
    pub(super) fn on_context_setup_timeout(&mut self, id: AmfUeNgapId) {
        self.refused("no-context-setup-response");
        self.release_conn(id, Cause::RadioNetwork(RadioCause::UNSPECIFIED));
    }

    /// The gNB could not make a context.
    pub(super) fn on_radio_failed(&mut self, id: AmfUeNgapId) {
        self.refused("no-context");
        self.release_conn(id, Cause::RadioNetwork(RadioCause::FAILURE_IN_RADIO_INTERFACE_PROCEDURE));
    }

    /// A UE has no connection any more. What it was doing ends here; what it is stays.
    pub(super) fn radio_lost(&mut self, supi: Supi) {
        self.stop_rekey(supi);
        self.stop_configuration(supi);
        self.end_handover(supi, NORMAL);
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        ue.conn = None;
        match &ue.mm {
            // Nobody has said that it may live.
            Mm::ExpectLocated { txn, registered: false, .. } => {
                let txn = *txn;
                self.forget_question(txn);
                return self.remove_ue(supi);
            }
            Mm::ExpectLocated { txn, registered: true, .. } => {
                let txn = *txn;
                ue.mm = Mm::Registered;
                self.forget_question(txn);
                self.timers.stop(TimerKey::Mm(supi));
            }
            // TS 24.501 §5.5.1.2.8 b: registered, both temporary identities stay valid.
            Mm::ExpectRegistrationComplete { .. } => self.registration_done(supi),
            Mm::Registered => {}
            Mm::ExpectDeregistrationAccept { .. } => return self.deregistration_done(supi, false),
        }
        self.sessions_lost_radio(supi);
        self.now_idle(supi);
    }

    /// Forgets a UE with all that it had. Its connection, if it has one, is released as `deregister`.
    pub(super) fn remove_ue(&mut self, supi: Supi) {
        self.end_all_sessions(supi);
        self.stop_rekey(supi);
        self.stop_configuration(supi);
        self.end_handover(supi, DEREGISTER);
        self.timers.stop(TimerKey::Mm(supi));
        self.stop_idle_timers(supi);
        let Some(ue) = self.registry.remove_ue(supi) else { return };
        if let Mm::ExpectLocated { txn, .. } = ue.mm {
            self.forget_question(txn);
        }
        if let Some(conn) = ue.conn {
            self.release_conn(conn, DEREGISTER);
        }
    }
}
