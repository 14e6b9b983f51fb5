//! Security mode control (TS 24.501 §5.4.2): the algorithms are agreed under the new keys, the device tells
//! its IMEISV, and the initial message comes once more, protected.

use super::Amf;
use super::authentication::{Expect, Story};
use super::challenge::{Authenticated, eap_result};
use super::release::NORMAL;
use super::security::{self, SecurityContext};
use super::timers::{NAS_RETRANSMISSIONS, NAS_RETRANSMIT_MS, TimerKey};
use types::{FgmmCause, Pei, RefusalReason};
use wire::nas::fgs::{
    FgmmMessage, IdentityType, NgKsi, RegistrationRequest, RegistrationType, SecurityModeCommand,
    SecurityModeComplete,
};
use wire::ngap::AmfUeNgapId;

impl Amf {
    /// Security Mode Command, under the keys of the challenge that was just answered.
    pub(super) fn begin_security_mode(&mut self, id: AmfUeNgapId, mut story: Story, proof: Authenticated) {
        story.since = self.now.mono;
        let Some((integrity, ciphering)) = security::choose(&self.config, &story.capability) else {
            let cause = FgmmCause::UeSecurityCapabilitiesMismatch;
            return self.refuse_attempt(id, &story, cause, None, RefusalReason::NothingInCommon);
        };
        let mut security = Box::new(SecurityContext::new(proof, integrity, ciphering));
        let command = FgmmMessage::SecurityModeCommand(SecurityModeCommand {
            integrity,
            ciphering,
            ngksi: NgKsi::Native(security.ksi()),
            replayed_capability: story.capability.clone(),
            imeisv_requested: true,
            retransmit_initial: true,
            abba: Some(sim_auth::fgs::ABBA.to_vec()),
            eap: eap_result(story.eap, true),
        });
        let Some(command) = self.encode(&command) else { return self.release_conn(id, NORMAL) };
        let pdu = security.protect_new(&command);
        self.send_nas(id, pdu);
        self.start(TimerKey::Attempt(id), NAS_RETRANSMIT_MS);
        self.expect(id, story, Expect::SecurityModeComplete { security, command, left: NAS_RETRANSMISSIONS });
    }

    /// Security Mode Complete, integrity checked under the new keys: the UE is who it says it is.
    pub(super) fn on_security_mode_complete(
        &mut self,
        id: AmfUeNgapId,
        story: Story,
        security: SecurityContext,
        m: SecurityModeComplete,
    ) {
        let supi = security.supi();
        let request = match confirmed_request(&story, m.nas_container.as_deref()) {
            Ok(request) => request,
            Err(cause) => {
                let (mut security, reason) = (security, RefusalReason::NothingInCommon);
                let reject = wire::nas::fgs::RegistrationReject::new(cause);
                if let Some(plain) = self.encode(&FgmmMessage::RegistrationReject(reject)) {
                    let pdu = security.protect(&plain);
                    self.send_nas(id, pdu);
                }
                self.tell_refused(id, Some(supi), true, cause, reason);
                return self.release_conn(id, NORMAL);
            }
        };
        match m.pei {
            Some(_) => self.on_device_identity(id, story, security, m.pei, request),
            None => {
                let left = NAS_RETRANSMISSIONS;
                self.ask_device(id, story, Box::new(security), Box::new(request), left);
            }
        }
    }

    /// It was asked for its IMEISV in the Security Mode Command and did not tell it: it is asked once more by name.
    pub(super) fn ask_device(
        &mut self,
        id: AmfUeNgapId,
        story: Story,
        mut security: Box<SecurityContext>,
        request: Box<RegistrationRequest>,
        left: u8,
    ) {
        let ask = FgmmMessage::IdentityRequest(IdentityType::Imeisv);
        let Some(plain) = self.encode(&ask) else { return self.release_conn(id, NORMAL) };
        let pdu = security.protect(&plain);
        self.send_nas(id, pdu);
        self.start(TimerKey::Attempt(id), NAS_RETRANSMIT_MS);
        self.expect(id, story, Expect::Device { security, request, left });
    }

    /// The device is known, as far as it will be: the UE is one of ours.
    pub(super) fn on_device_identity(
        &mut self,
        id: AmfUeNgapId,
        story: Story,
        security: SecurityContext,
        pei: Option<Pei>,
        request: RegistrationRequest,
    ) {
        self.timers.stop(TimerKey::Attempt(id));
        self.timers.stop(TimerKey::AttemptGuard(id));
        self.enrol(id, story, security, pei, request);
    }
}

/// The initial message as it came under protection. It must be a Registration Request (not, say, a Service
/// Request), of a kind that we serve, and must name the algorithms that were agreed upon: a difference means
/// that somebody on the way bid them down (TS 33.501 §6.7.2).
fn confirmed_request(story: &Story, container: Option<&[u8]>) -> Result<RegistrationRequest, FgmmCause> {
    let Some(container) = container else { return Ok(story.request.clone()) };
    let request = match FgmmMessage::decode(container) {
        Ok(FgmmMessage::RegistrationRequest(request)) => request,
        Ok(_) => return Err(FgmmCause::MessageTypeNotCompatible),
        Err(_) => return Err(FgmmCause::InvalidMandatoryInformation),
    };
    if request.kind == RegistrationType::Emergency {
        return Err(FgmmCause::PeiNotAccepted);
    }
    match &request.security_capability {
        Some(c) if *c != story.capability => Err(FgmmCause::UeSecurityCapabilitiesMismatch),
        _ => Ok(request),
    }
}
