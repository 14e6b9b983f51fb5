//! EAP-AKA' of the UE (TS 24.501 §5.4.1.2.2, TS 33.501 §6.1.3.1, RFC 9048 §3).

use super::{Ue, UeEvent};
use sim_auth::{EapAnswer, eap::KDF, eap::at_mac, fgs};
use types::{FgmmCause, Key256, Res};
use wire::eap::{self, AkaPrime, Eap, EapBody, Subtype};
use wire::nas::fgs::{AuthenticationRequest, AuthenticationResponse, EapMessage, FgmmMessage};

impl Ue {
    /// An EAP-Request. What is no challenge of a method and network that it knows gets an EAP-Response that says so.
    pub(super) fn answer_eap(&mut self, m: &AuthenticationRequest, packet: &[u8], protected: bool) {
        let (identifier, request) = match Eap::decode(packet) {
            Ok(Eap { identifier, body: EapBody::Request(request) }) => (identifier, request),
            _ => return self.event(UeEvent::Dropped("no EAP-Request")),
        };
        let snn = self.config.plmn.serving_network_name();
        let as_it_knows =
            request.kdf.first() == Some(&KDF) && request.kdf_input.as_deref() == Some(snn.as_bytes());
        let (Subtype::CHALLENGE, Some(rand), Some(autn), true) =
            (request.subtype, request.rand, request.autn, as_it_knows)
        else {
            return self.refuse_eap(identifier, FgmmCause::SemanticallyIncorrect, protected);
        };
        if self.config.lies.claim_mac_failure {
            return self.refuse_eap(identifier, FgmmCause::MacFailure, protected);
        }
        match self.card.authenticate_eap(&rand, &autn, &snn, self.config.supi) {
            EapAnswer::Success { res, keys } => {
                let of_us = eap::covered(packet).map(|covered| at_mac(&keys.k_aut(), &covered));
                if of_us.is_none() || of_us != request.mac {
                    return self.refuse_eap(identifier, FgmmCause::SemanticallyIncorrect, protected);
                }
                let kseaf = fgs::kseaf(&keys.kausf(), &snn);
                self.security.authenticated(m.ngksi, fgs::kamf(&kseaf, self.config.supi, &m.abba));
                let mut res = res.expose().to_vec();
                if self.config.lies.wrong_res
                    && let Some(first) = res.first_mut()
                {
                    *first ^= 0xff;
                }
                let answer = AkaPrime { res: Some(Res(res)), ..AkaPrime::of(Subtype::CHALLENGE) };
                self.eap = Some(identifier);
                self.respond(identifier, answer, Some(&keys.k_aut()), protected);
            }
            EapAnswer::AuthenticationReject => {
                self.refuse_eap(identifier, FgmmCause::MacFailure, protected);
            }
            EapAnswer::SynchFailure(auts) => {
                let answer = AkaPrime { auts: Some(auts), ..AkaPrime::of(Subtype::SYNCHRONIZATION_FAILURE) };
                self.respond(identifier, answer, None, protected);
                self.event(UeEvent::ChallengeRefused(FgmmCause::SynchFailure));
            }
            EapAnswer::Non5gAuthenticationUnacceptable => {
                self.refuse_challenge(FgmmCause::Non5gAuthenticationUnacceptable, None, protected);
            }
        }
    }

    /// What makes the keys of an EAP method good is EAP-Success to its last request (TS 24.501 §5.4.2.3).
    pub(super) fn lacks_eap_success(&mut self, told: Option<&EapMessage>) -> bool {
        let Some(identifier) = self.eap.take() else { return false };
        told.and_then(|EapMessage(packet)| Eap::decode(packet).ok()) != Some(Eap::result(identifier, true))
    }

    /// AKA'-Authentication-Reject for a wrong MAC-A, AKA'-Client-Error (unable to process) for the rest.
    fn refuse_eap(&mut self, identifier: u8, cause: FgmmCause, protected: bool) {
        let answer = match cause {
            FgmmCause::MacFailure => AkaPrime::of(Subtype::AUTHENTICATION_REJECT),
            _ => AkaPrime { client_error: Some(0), ..AkaPrime::of(Subtype::CLIENT_ERROR) },
        };
        self.respond(identifier, answer, None, protected);
        self.event(UeEvent::ChallengeRefused(cause));
    }

    fn respond(&mut self, identifier: u8, answer: AkaPrime, k_aut: Option<&Key256>, protected: bool) {
        let response = Eap { identifier, body: EapBody::Response(answer) };
        let packet = match k_aut {
            Some(k_aut) => response.encode_signed(|covered| at_mac(k_aut, covered)),
            None => response.encode(),
        };
        let Ok(packet) = packet else { return };
        let m = AuthenticationResponse { res_star: None, eap: Some(EapMessage(packet)) };
        self.reply(&FgmmMessage::AuthenticationResponse(m), protected);
    }
}
