//! Deregistration from both sides, and the ban (TS 24.501 §5.5.2; TS 23.502 §4.2.2.3).

use super::Amf;
use super::registration::{T3346_S, banned};
use super::timers::{BAN_GRACE_MS, NAS_RETRANSMISSIONS, NAS_RETRANSMIT_MS, TimerKey};
use super::ue::{Mm, Phase};
use types::{FgmmCause, Happening, Supi};
use wire::nas::fgs::{DeregistrationRequestUeTerminated, FgmmMessage, Timer};

/// Access type: 3GPP.
const ACCESS_3GPP: u8 = 1;

impl Amf {
    /// A verified Deregistration Request of the UE.
    pub(super) fn on_ue_deregistration(&mut self, supi: Supi, switch_off: bool) {
        if !switch_off {
            self.send_to_ue(supi, &FgmmMessage::DeregistrationAcceptUeOriginating);
        }
        self.end_adopted(supi);
        self.remove_ue(supi);
        let what = Happening::Deregistered { by_network: false, confirmed: true };
        self.event(Some(supi.imsi()), what);
    }

    /// The SIM is banned. Whatever it has ends now; the UE is told, and is not waited for.
    pub(super) fn on_ban(&mut self, supi: Supi, cause: FgmmCause) {
        self.end_adopted(supi);
        self.bar_attempts(supi, cause);
        match self.registry.ue(supi).map(|ue| &ue.mm) {
            None => {}
            Some(Mm::ExpectLocated { .. }) => self.refuse_ue(supi, banned(cause)),
            Some(Mm::ExpectDeregistrationAccept { .. }) => self.start(TimerKey::Mm(supi), BAN_GRACE_MS),
            Some(_) => self.order_to_leave(supi, Some(cause), false, 0, BAN_GRACE_MS),
        }
    }

    /// Attempts in the name of this SIM go on to their proof and are then refused, whatever `hss` says.
    fn bar_attempts(&mut self, supi: Supi, cause: FgmmCause) {
        let attempts: Vec<_> = self.registry.attempts().collect();
        for id in attempts {
            if let Some(Phase::Attempt(attempt)) = self.registry.conn_mut(id).map(|c| &mut c.phase)
                && attempt.story.supi == Some(supi)
            {
                attempt.story.barred = Some(cause);
            }
        }
    }

    /// Deregistration by the network for another reason than a ban.
    pub(super) fn deregister_ue(&mut self, supi: Supi, cause: Option<FgmmCause>, reregister: bool) {
        self.end_adopted(supi);
        match self.registry.ue(supi).map(|ue| &ue.mm) {
            None | Some(Mm::ExpectDeregistrationAccept { .. }) => {}
            Some(Mm::ExpectLocated { .. }) => {
                self.refuse_ue(supi, banned(cause.unwrap_or(FgmmCause::Congestion)))
            }
            Some(_) => self.order_to_leave(supi, cause, reregister, NAS_RETRANSMISSIONS, NAS_RETRANSMIT_MS),
        }
    }

    /// Ends all that a registered UE has and sends it away (§5.5.2.3.1). One that is not connected is
    /// deregistered implicitly: it is not paged for that, and learns it when it comes.
    fn order_to_leave(
        &mut self,
        supi: Supi,
        cause: Option<FgmmCause>,
        reregister: bool,
        left: u8,
        first_ms: u64,
    ) {
        self.end_all_sessions(supi);
        self.stop_rekey(supi);
        self.stop_configuration(supi);
        self.end_handover(supi, super::release::DEREGISTER);
        self.timers.stop(TimerKey::Mm(supi));
        let request = FgmmMessage::DeregistrationRequestUeTerminated(DeregistrationRequestUeTerminated {
            reregister,
            access: ACCESS_3GPP,
            cause,
            t3346: (cause == Some(FgmmCause::Congestion)).then_some(Timer::Seconds(T3346_S)),
        });
        let connected = self.registry.ue(supi).is_some_and(|ue| ue.conn.is_some());
        let request = if connected { self.encode(&request) } else { None };
        let Some(request) = request else { return self.deregistration_done(supi, false) };
        self.send_protected(supi, &request);
        if let Some(ue) = self.registry.ue_mut(supi) {
            ue.mm = Mm::ExpectDeregistrationAccept { request, left };
        }
        self.start(TimerKey::Mm(supi), first_ms);
    }

    /// A UE that was sent away has begun anew without having said that it goes: it has gone. Not where its request was not
    /// taken.
    pub(super) fn gone_by_coming(&mut self, supi: Supi) {
        let mm = self.registry.ue(supi).map(|ue| &ue.mm);
        if !matches!(mm, Some(Mm::ExpectDeregistrationAccept { .. })) {
            let what = Happening::Deregistered { by_network: true, confirmed: true };
            self.event(Some(supi.imsi()), what);
        }
    }

    /// The UE is gone: it said so, or it was not waited for any longer.
    pub(super) fn deregistration_done(&mut self, supi: Supi, confirmed: bool) {
        self.remove_ue(supi);
        self.event(Some(supi.imsi()), Happening::Deregistered { by_network: true, confirmed });
    }
}
