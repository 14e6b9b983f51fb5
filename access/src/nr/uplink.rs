//! NAS from the UE: what may be believed, and who gets it (TS 24.501 §4.4.4.3, §7).
//!
//! On the connection of a registered UE nothing counts that does not verify under its own context. On
//! the connection of an attempt the few messages of §4.4.4.3 are read in clear and concern that attempt alone.

use super::Amf;
use super::authentication::{Attempt, Expect};
use super::release::{DEREGISTER, NORMAL};
use super::ue::{Mm, Phase};
use types::{FgmmCause, RefusalReason, Supi};
use wire::nas::fgs::{
    FgmmMessage, MobileIdentity, NasError, RegistrationReject, RegistrationRequest, RegistrationType,
    ServiceReject,
};
use wire::nas::security::{self, Pdu, Verified};
use wire::ngap::AmfUeNgapId;

/// Message types of the requests that are answered by a reject of their own where they cannot be read.
const REGISTRATION_REQUEST: u8 = 0x41;
const SERVICE_REQUEST: u8 = 0x4c;

/// What can be read of a NAS PDU without keys.
enum Glimpse<'a> {
    /// A plain 5GMM message; true if a protection stands around it that was not verified.
    Readable(&'a [u8], bool),
    /// Ciphered.
    Ciphered,
    /// Not a NAS PDU of 5GMM.
    Nothing,
}

fn glimpse(nas: &[u8]) -> Glimpse<'_> {
    match security::open(nas) {
        Ok(Pdu::Plain(plain)) => Glimpse::Readable(plain, false),
        Ok(Pdu::Protected { header, payload, .. }) if !header.ciphers() => Glimpse::Readable(payload, true),
        Ok(Pdu::Protected { .. }) => Glimpse::Ciphered,
        Err(_) => Glimpse::Nothing,
    }
}

impl Amf {
    /// The first NAS message of a new connection.
    pub(super) fn on_initial_nas(&mut self, id: AmfUeNgapId, nas: &[u8]) {
        let (plain, protected) = match glimpse(nas) {
            Glimpse::Readable(plain, protected) => (plain, protected),
            Glimpse::Ciphered | Glimpse::Nothing => {
                self.refused("unreadable-nas");
                return self.release_conn(id, NORMAL);
            }
        };
        match FgmmMessage::decode(plain) {
            Ok(FgmmMessage::RegistrationRequest(m)) => match self.prove(&m.identity, nas, protected) {
                Some((supi, v)) => self.on_proved_registration(id, supi, m, v.count),
                None => {
                    self.note_old_context(id, &m.identity, nas);
                    self.begin_attempt(id, m);
                }
            },
            Ok(FgmmMessage::ServiceRequest(m)) => {
                let identity = MobileIdentity::STmsi(m.s_tmsi);
                match self.prove(&identity, nas, protected) {
                    Some((supi, v)) => self.on_service_request(id, supi, m, v.count),
                    // §4.4.4.3: rejected, and the context of whoever has this identity is left alone.
                    None => {
                        self.refused("unproved-service-request");
                        self.note_old_context(id, &identity, nas);
                        let reject = ServiceReject::new(FgmmCause::UeIdentityCannotBeDerived);
                        self.send_plain(id, &FgmmMessage::ServiceReject(reject));
                        self.release_conn(id, NORMAL);
                    }
                }
            }
            Ok(FgmmMessage::DeregistrationRequestUeOriginating(m)) => {
                match self.prove(&m.identity, nas, protected) {
                    Some((supi, v)) => {
                        self.bind(id, supi, v.count);
                        self.on_ue_deregistration(supi, m.switch_off);
                    }
                    // Nobody can be deregistered by somebody else.
                    None => {
                        self.refused("unproved-deregistration");
                        self.release_conn(id, NORMAL);
                    }
                }
            }
            Ok(_) => {
                self.refused("nas-out-of-place");
                self.release_conn(id, NORMAL);
            }
            Err(e) => {
                self.answer_nas_error(id, &e);
                self.release_conn(id, NORMAL);
            }
        }
    }

    /// Verifies an initial message under the context of the UE that it names. Only a registered UE has one
    /// that can prove anything.
    fn prove(&mut self, identity: &MobileIdentity, nas: &[u8], protected: bool) -> Option<(Supi, Verified)> {
        if !protected {
            return None;
        }
        let supi = self.known(identity)?;
        let ue = self.registry.ue_mut(supi)?;
        if !ue.is_registered() && !matches!(ue.mm, Mm::ExpectLocated { registered: true, .. }) {
            return None;
        }
        match ue.security.unprotect(nas) {
            Ok(verified) => Some((supi, verified)),
            Err(_) => {
                self.refused("wrong-mac");
                None
            }
        }
    }

    /// Puts a UE that has proved itself on a connection. The one that it had is released.
    pub(super) fn bind(&mut self, id: AmfUeNgapId, supi: Supi, ul_count: u32) {
        let before = self.registry.ue(supi).and_then(|ue| ue.conn).filter(|c| *c != id);
        if let Some(before) = before {
            self.release_conn(before, NORMAL);
        }
        self.stop_idle_timers(supi);
        self.stop_rekey(supi);
        self.stop_configuration(supi);
        self.abort_handover(supi, NORMAL);
        self.registry.set_phase(id, Phase::Ue(supi));
        let place = self.registry.conn_mut(id).map(|c| {
            c.ul_count = ul_count;
            (c.tai, c.cell)
        });
        if let (Some(ue), Some((tai, cell))) = (self.registry.ue_mut(supi), place) {
            ue.conn = Some(id);
            (ue.tai, ue.cell) = (tai, cell);
        }
    }

    /// A later NAS message on a connection that is there.
    pub(super) fn on_nas(&mut self, id: AmfUeNgapId, nas: &[u8]) {
        match self.registry.conn(id).map(|c| &c.phase) {
            Some(Phase::Ue(supi)) => {
                let supi = *supi;
                self.on_ue_nas(id, supi, nas);
            }
            Some(Phase::Attempt(_)) => {
                if let Some(attempt) = self.take_attempt(id) {
                    self.on_attempt_nas(id, attempt, nas);
                }
            }
            Some(Phase::Arriving(_)) => self.refused("nas-before-arrival"),
            Some(Phase::Leaving) | None => self.refused("nas-after-release"),
        }
    }

    /// From somebody unproved.
    fn on_attempt_nas(&mut self, id: AmfUeNgapId, attempt: Attempt, nas: &[u8]) {
        let Attempt { story, mut expect } = attempt;
        if let Expect::SecurityModeComplete { security, .. } | Expect::Device { security, .. } = &mut expect
            && let Ok(verified) = security.unprotect(nas)
        {
            return self.on_secured_attempt(id, Attempt { story, expect }, &verified);
        }
        if matches!(expect, Expect::Device { .. }) {
            // It has proved itself: what does not verify is not from it.
            self.refused("wrong-mac");
            return self.expect(id, story, expect);
        }
        let message = match glimpse(nas) {
            Glimpse::Readable(plain, _) => FgmmMessage::decode(plain),
            // It still uses keys that we do not have (we were restarted): only without them it can go on.
            Glimpse::Ciphered if matches!(expect, Expect::Identity { .. } | Expect::AuthResponse { .. }) => {
                let (cause, claimed) = (FgmmCause::UeIdentityCannotBeDerived, story.supi);
                return self.refuse_claim(id, claimed, cause, None, RefusalReason::WrongResponse);
            }
            Glimpse::Ciphered | Glimpse::Nothing => {
                self.refused("unreadable-nas");
                return self.expect(id, story, expect);
            }
        };
        match message {
            Ok(m) if m.allowed_unprotected_uplink() => {
                self.on_attempt_message(id, Attempt { story, expect }, m);
            }
            Ok(_) => {
                self.refused("unprotected-nas");
                self.expect(id, story, expect);
            }
            Err(e) => {
                self.answer_nas_error(id, &e);
                self.expect(id, story, expect);
            }
        }
    }

    /// One of the messages that count without protection, on the connection of an attempt.
    fn on_attempt_message(&mut self, id: AmfUeNgapId, attempt: Attempt, message: FgmmMessage) {
        let Attempt { story, expect } = attempt;
        match (expect, message) {
            (Expect::Identity { .. }, FgmmMessage::IdentityResponse(identity)) => {
                self.on_identity(id, story, identity);
            }
            (Expect::AuthResponse { challenge, left }, FgmmMessage::AuthenticationResponse(m)) => {
                self.on_auth_response(id, story, challenge, left, &m);
            }
            (Expect::AuthResponse { challenge, .. }, FgmmMessage::AuthenticationFailure(m)) => {
                self.on_auth_failure(id, story, challenge, m);
            }
            (Expect::SecurityModeComplete { .. }, FgmmMessage::SecurityModeReject(cause)) => {
                self.tell_refused(id, story.supi, false, cause, RefusalReason::NothingInCommon);
                self.release_conn(id, NORMAL);
            }
            // §5.5.1.2.8 e: the same request again is ignored, another one begins anew.
            (expect, FgmmMessage::RegistrationRequest(m)) => {
                if m == story.request {
                    self.refused("repeated-request");
                    self.expect(id, story, expect);
                } else {
                    self.forget_attempt(Attempt { story, expect });
                    self.timers.stop(super::timers::TimerKey::Attempt(id));
                    self.begin_attempt(id, m);
                }
            }
            // It ends its own attempt; whom it claims to be does not matter.
            (expect, FgmmMessage::DeregistrationRequestUeOriginating(_)) => {
                self.refused("attempt-given-up");
                self.forget_attempt(Attempt { story, expect });
                self.release_conn(id, DEREGISTER);
            }
            (expect, _) => {
                self.refused("nas-out-of-place");
                self.expect(id, story, expect);
            }
        }
    }

    /// A message that verified under the new context of an attempt.
    fn on_secured_attempt(&mut self, id: AmfUeNgapId, attempt: Attempt, verified: &Verified) {
        let Attempt { story, expect } = attempt;
        match (expect, FgmmMessage::decode(&verified.plain)) {
            (Expect::SecurityModeComplete { security, .. }, Ok(FgmmMessage::SecurityModeComplete(m))) => {
                self.on_security_mode_complete(id, story, *security, m);
            }
            (Expect::Device { security, request, .. }, Ok(FgmmMessage::IdentityResponse(identity)))
                if identity.pei().is_some() || identity == MobileIdentity::None =>
            {
                self.on_device_identity(id, story, *security, identity.pei(), *request);
            }
            (expect, Ok(_)) => {
                self.refused("nas-out-of-place");
                self.expect(id, story, expect);
            }
            (expect, Err(_)) => {
                self.refused("malformed-nas");
                self.expect(id, story, expect);
            }
        }
    }

    /// From a UE with a context: it verifies, or it is not from the UE.
    fn on_ue_nas(&mut self, id: AmfUeNgapId, supi: Supi, nas: &[u8]) {
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        let verified = match ue.security.unprotect(nas) {
            Ok(verified) => verified,
            Err(_) if self.complete_rekey(id, supi, nas) => return,
            Err(e) => {
                return self.refused(match e {
                    security::SecurityError::WrongMac => "wrong-mac",
                    security::SecurityError::Plain => "unprotected-nas",
                    _ => "unreadable-nas",
                });
            }
        };
        match FgmmMessage::decode(&verified.plain) {
            Ok(message) => {
                self.on_ue_message(id, supi, message, verified.count);
                self.renew_keys_if_due(supi);
            }
            Err(e) => {
                self.refused("malformed-nas");
                if let Some(answer) = answer_to(&e) {
                    self.send_to_ue(supi, &answer);
                }
            }
        }
    }

    /// A verified message of a UE.
    fn on_ue_message(&mut self, id: AmfUeNgapId, supi: Supi, message: FgmmMessage, count: u32) {
        let Some(ue) = self.registry.ue(supi) else { return };
        match (&ue.mm, message) {
            // A UE that must go can only go.
            (Mm::ExpectDeregistrationAccept { .. }, FgmmMessage::DeregistrationAcceptUeTerminated) => {
                self.deregistration_done(supi, true);
            }
            (_, FgmmMessage::DeregistrationRequestUeOriginating(m)) => {
                self.on_ue_deregistration(supi, m.switch_off);
            }
            // §5.5.2.3.5: who begins anew holds nothing any more, and is judged anew.
            (Mm::ExpectDeregistrationAccept { .. }, FgmmMessage::RegistrationRequest(m))
                if m.kind == RegistrationType::Initial =>
            {
                self.on_proved_registration(id, supi, m, count);
                self.gone_by_coming(supi);
            }
            (Mm::ExpectDeregistrationAccept { .. }, _) => self.refused("nas-while-deregistering"),
            (Mm::ExpectRegistrationComplete { .. }, FgmmMessage::RegistrationComplete) => {
                self.on_registration_complete(supi);
            }
            (_, FgmmMessage::RegistrationRequest(m)) => self.on_proved_registration(id, supi, m, count),
            (_, FgmmMessage::IdentityResponse(_)) => self.on_identity_of_ue(supi),
            (Mm::ExpectLocated { .. }, _) => self.refused("nas-while-admitting"),
            (_, FgmmMessage::ServiceRequest(m)) => self.on_service_request(id, supi, m, count),
            (_, FgmmMessage::AuthenticationResponse(m)) => self.on_rekey_response(supi, &m),
            (_, FgmmMessage::AuthenticationFailure(m)) => self.on_rekey_failure(supi, m),
            (_, FgmmMessage::SecurityModeReject(_)) => self.on_rekey_rejected(supi),
            (_, FgmmMessage::ConfigurationUpdateComplete) => self.on_configuration_complete(supi),
            (_, FgmmMessage::UlNasTransport(m)) => self.on_ul_nas_transport(supi, m),
            (_, FgmmMessage::FgmmStatus(_)) => self.refused("5gmm-status"),
            (_, _) => self.refused("nas-out-of-place"),
        }
    }

    /// The request that stands protected inside an initial message, where there is one and it is of the same
    /// kind and from the same UE; the clear one else.
    pub(super) fn inner_request(
        &self,
        supi: Supi,
        outer: RegistrationRequest,
        count: u32,
    ) -> RegistrationRequest {
        let Some(container) = &outer.nas_container else { return outer };
        let Some(ue) = self.registry.ue(supi) else { return outer };
        match FgmmMessage::decode(&ue.security.open_container(count, container)) {
            Ok(FgmmMessage::RegistrationRequest(inner)) if inner.identity == outer.identity => inner,
            _ => outer,
        }
    }

    /// A NAS message that cannot be read, from somebody unproved: answered in clear or not at all.
    fn answer_nas_error(&mut self, id: AmfUeNgapId, e: &NasError) {
        self.refused("malformed-nas");
        if let Some(answer) = answer_to(e) {
            self.send_plain(id, &answer);
        }
    }
}

/// What a message that cannot be read is answered with; `None`: with silence. A protocol error in a request is answered by
/// its reject (§5.5.1.2.8 c, §5.6.1.8), in anything else by a status (§7.4, §7.5).
fn answer_to(e: &NasError) -> Option<FgmmMessage> {
    let cause = e.fgmm_cause()?;
    let of = match e {
        NasError::InvalidMandatory { message_type, .. } | NasError::Conditional { message_type, .. } => {
            Some(*message_type)
        }
        _ => None,
    };
    Some(match of {
        Some(REGISTRATION_REQUEST) => FgmmMessage::RegistrationReject(RegistrationReject::new(cause)),
        Some(SERVICE_REQUEST) => FgmmMessage::ServiceReject(ServiceReject::new(cause)),
        _ => FgmmMessage::FgmmStatus(cause),
    })
}
