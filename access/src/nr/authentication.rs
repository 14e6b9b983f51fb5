//! Attempts: who somebody claims to be, and the proof (TS 24.501 §5.4.1.2, §5.4.1.3, §5.4.3; TS 33.501 §6.1.3).
//!
//! An attempt lives on its connection and touches nobody else. Its states follow each other as
//! `Identity → Vector → AuthResponse → SecurityModeComplete`; the step behind [`Expect::AuthResponse`] can
//! be taken only with an [`Authenticated`](super::challenge::Authenticated), and only a right answer makes one.

use super::Amf;
use super::amf::Asked;
use super::challenge::{
    Authenticated, Challenge, Verdict, authentication_request, eap_identifier, eap_result,
};
use super::release::{AUTHENTICATION_FAILURE, NORMAL};
use super::security::{self, SecurityContext};
use super::timers::{ATTEMPT_GUARD_MS, INNER_GUARD_MS, NAS_RETRANSMISSIONS, NAS_RETRANSMIT_MS, TimerKey};
use super::ue::Phase;
use super::{Output, TxnId};
use sim_auth::FgVector;
use types::{Auts, FgmmCause, Happening, Identity, Mono, Rand, Refusal, RefusalReason, Supi};
use wire::nas::fgs::{
    AuthenticationFailure, AuthenticationResponse, FgmmMessage, IdentityType, MobileIdentity, NgKsi,
    RegistrationReject, RegistrationRequest, RegistrationType, Timer, UeSecurityCapability,
};
use wire::ngap::AmfUeNgapId;

/// Somebody who has not proved who it is.
pub(super) struct Attempt {
    /// What is known of it.
    pub(super) story: Story,
    /// What must come next.
    pub(super) expect: Expect,
}

/// What is known of an attempt, whatever it waits for.
pub(super) struct Story {
    /// What it asked for, in clear. The protected copy replaces it later.
    pub(super) request: RegistrationRequest,
    /// Its algorithms, as claimed.
    pub(super) capability: UeSecurityCapability,
    /// Whom it claims to be, as far as that is known.
    pub(super) supi: Option<Supi>,
    /// The claim is a 5G-GUTI: a failure asks for the SUCI before it refuses.
    pub(super) by_guti: bool,
    /// A ban of this SIM came meanwhile: to be told once the UE has proved itself.
    pub(super) barred: Option<FgmmCause>,
    /// When it took its last step.
    pub(super) since: Mono,
    /// Number of the key set that was offered last.
    pub(super) ksi: Option<u8>,
    /// The identifier of the EAP-Request that was sent last, where the challenge was one.
    pub(super) eap: Option<u8>,
    probed: bool,
    mac_failures: u8,
    resyncs: u8,
    ksi_clashes: u8,
}

/// What an attempt waits for.
pub(super) enum Expect {
    /// Identity Response (T3570).
    Identity {
        /// Retransmissions left.
        left: u8,
    },
    /// The vector from `hss`.
    Vector {
        /// The question.
        txn: TxnId,
    },
    /// Authentication Response (T3560).
    AuthResponse {
        /// What was asked and what must be answered.
        challenge: Challenge,
        /// Retransmissions left.
        left: u8,
    },
    /// Security Mode Complete (T3560).
    SecurityModeComplete {
        /// The new context. It is nobody's until the UE has used it.
        security: Box<SecurityContext>,
        /// The command, unprotected, for retransmission.
        command: Vec<u8>,
        /// Retransmissions left.
        left: u8,
    },
    /// Identity Response with the device, under the new context (T3570).
    Device {
        /// The new context.
        security: Box<SecurityContext>,
        /// What the UE asked for, as it came under protection.
        request: Box<RegistrationRequest>,
        /// Retransmissions left.
        left: u8,
    },
}

impl Amf {
    /// A Registration Request from somebody unproved: everything that can refuse it in clear is judged here.
    pub(super) fn begin_attempt(&mut self, id: AmfUeNgapId, request: RegistrationRequest) {
        let Some((assoc, tai)) = self.registry.conn(id).map(|c| (c.assoc, c.tai)) else { return };
        let known = self.known(&request.identity);
        let claimed = known.or(match &request.identity {
            MobileIdentity::Suci(suci) => suci.null_scheme_supi(),
            _ => None,
        });
        let refuse = |amf: &mut Self, cause, reason| amf.refuse_claim(id, claimed, cause, None, reason);
        if !self.serves(assoc, tai) {
            return refuse(self, FgmmCause::TrackingAreaNotAllowed, RefusalReason::NotServedHere);
        }
        if request.kind == RegistrationType::Emergency {
            // §5.5.1.2.5: emergency service is not supported.
            return refuse(self, FgmmCause::PeiNotAccepted, RefusalReason::NotServedHere);
        }
        if self.registry.ue_count() >= self.config.limits.ues {
            return self.refuse_claim(id, claimed, FgmmCause::Congestion, Some(60), RefusalReason::Overload);
        }
        // A periodic update does not carry the capability; then the one confirmed earlier is good enough to
        // ask, because the UE compares it in the Security Mode Command.
        let remembered = || known.and_then(|s| self.registry.ue(s)).map(|ue| ue.capability.clone());
        let Some(capability) = request.security_capability.clone().or_else(remembered) else {
            return refuse(self, FgmmCause::InvalidMandatoryInformation, RefusalReason::NothingInCommon);
        };
        if security::choose(&self.config, &capability).is_none() {
            return refuse(self, FgmmCause::UeSecurityCapabilitiesMismatch, RefusalReason::NothingInCommon);
        }
        if let Err(backoff_s) = self.make_room_for_attempt() {
            let (cause, reason) = (FgmmCause::Congestion, RefusalReason::Overload);
            return self.refuse_claim(id, claimed, cause, Some(backoff_s), reason);
        }
        let story = Story {
            since: self.now.mono,
            capability,
            supi: claimed,
            by_guti: known.is_some(),
            barred: None,
            ksi: None,
            eap: None,
            probed: false,
            mac_failures: 0,
            resyncs: 0,
            ksi_clashes: 0,
            request,
        };
        self.start(TimerKey::AttemptGuard(id), ATTEMPT_GUARD_MS);
        match (&story.request.identity, known) {
            (MobileIdentity::Suci(suci), _) => {
                let identity = Identity::Suci(suci.clone());
                self.ask_vector(id, story, identity, None);
            }
            (_, Some(supi)) => self.ask_vector(id, story, Identity::Supi(supi), None),
            _ => self.ask_identity(id, story),
        }
    }

    /// Whose temporary identity this is, if we gave it.
    pub(super) fn known(&self, identity: &MobileIdentity) -> Option<Supi> {
        match identity {
            MobileIdentity::Guti(g) if g.plmn == self.config.plmn && g.amf == self.config.amf => {
                self.registry.by_tmsi(g.tmsi)
            }
            MobileIdentity::STmsi(t)
                if t.set == self.config.amf.set && t.pointer == self.config.amf.pointer =>
            {
                self.registry.by_tmsi(t.tmsi)
            }
            _ => None,
        }
    }

    /// Puts an attempt (back) on its connection.
    pub(super) fn expect(&mut self, id: AmfUeNgapId, story: Story, expect: Expect) {
        self.registry.set_phase(id, Phase::Attempt(Box::new(Attempt { story, expect })));
    }

    /// The attempt will get no answer: its open question is forgotten.
    pub(super) fn forget_attempt(&mut self, attempt: Attempt) {
        if let Expect::Vector { txn } = attempt.expect {
            self.forget_question(txn);
        }
    }

    // ---- identity

    /// §5.4.3: the SUCI is asked for, and nothing else would help.
    pub(super) fn ask_identity(&mut self, id: AmfUeNgapId, mut story: Story) {
        story.by_guti = false;
        story.supi = None;
        self.send_plain(id, &FgmmMessage::IdentityRequest(IdentityType::Suci));
        self.start(TimerKey::Attempt(id), NAS_RETRANSMIT_MS);
        self.expect(id, story, Expect::Identity { left: NAS_RETRANSMISSIONS });
    }

    /// Identity Response.
    pub(super) fn on_identity(&mut self, id: AmfUeNgapId, mut story: Story, identity: MobileIdentity) {
        let MobileIdentity::Suci(suci) = identity else {
            let (cause, reason) = (FgmmCause::UeIdentityCannotBeDerived, RefusalReason::SuciUnreadable);
            return self.refuse_claim(id, None, cause, None, reason);
        };
        story.supi = suci.null_scheme_supi();
        self.ask_vector(id, story, Identity::Suci(suci), None);
    }

    // ---- the challenge

    fn ask_vector(
        &mut self,
        id: AmfUeNgapId,
        story: Story,
        identity: Identity,
        resync: Option<(Rand, Auts)>,
    ) {
        let txn = self.ask(Asked::Vector(id));
        self.start(TimerKey::Attempt(id), INNER_GUARD_MS);
        self.expect(id, story, Expect::Vector { txn });
        self.out.push_back(Output::NeedVector { txn, identity, serving: self.config.plmn, resync });
    }

    /// The vector, or why there is none.
    pub(super) fn on_vector(
        &mut self,
        id: AmfUeNgapId,
        txn: TxnId,
        result: Result<(Supi, FgVector), Refusal>,
    ) {
        let Some(attempt) = self.take_attempt(id) else { return };
        let Attempt { mut story, expect } = attempt;
        if !matches!(expect, Expect::Vector { txn: t } if t == txn) {
            return self.expect(id, story, expect);
        }
        let (supi, vector) = match result {
            Ok(found) => found,
            Err(r) => return self.refuse_attempt(id, &story, r.cause, r.backoff_s, r.reason),
        };
        (story.supi, story.since) = (Some(supi), self.now.mono);
        match self.clones.probe(supi, self.now.mono).filter(|_| !story.probed) {
            Some(probe) => {
                story.probed = true;
                self.challenge(id, story, supi, probe, Some(Box::new(vector)));
            }
            None => self.challenge(id, story, supi, vector, None),
        }
    }

    /// Authentication Request.
    fn challenge(
        &mut self,
        id: AmfUeNgapId,
        mut story: Story,
        supi: Supi,
        vector: FgVector,
        after: Option<Box<FgVector>>,
    ) {
        let ksi = self.free_ksi(&story);
        (story.ksi, story.eap) = (Some(ksi), eap_identifier(&vector, ksi));
        let request = authentication_request(&vector, ksi, self.config.plmn);
        let Some(request) = request.and_then(|m| self.encode(&m)) else {
            return self.release_conn(id, NORMAL);
        };
        self.send_nas(id, request.clone());
        self.start(TimerKey::Attempt(id), NAS_RETRANSMIT_MS);
        let mut challenge = Challenge::new(vector, supi, ksi, request);
        challenge.after = after;
        self.expect(id, story, Expect::AuthResponse { challenge, left: NAS_RETRANSMISSIONS });
    }

    /// A key set number that neither the UE nor our own context of it uses (§5.4.1.3.2).
    fn free_ksi(&self, story: &Story) -> u8 {
        let theirs = match story.request.ngksi {
            NgKsi::Native(n) => Some(n),
            NgKsi::Mapped(_) | NgKsi::NoKey => None,
        };
        let ours = story.supi.and_then(|s| self.registry.ue(s)).map(|ue| ue.security.ksi());
        let start = story.ksi.map_or(0, |k| k + 1);
        (start..start + 7)
            .map(|k| k % 7)
            .find(|k| Some(*k) != theirs && Some(*k) != ours && Some(*k) != story.ksi)
            .unwrap_or(0)
    }

    /// Authentication Response (§5.4.1.2.2, §5.4.1.3.4, §5.4.1.3.5).
    pub(super) fn on_auth_response(
        &mut self,
        id: AmfUeNgapId,
        story: Story,
        challenge: Challenge,
        left: u8,
        m: &AuthenticationResponse,
    ) {
        match challenge.judge(m) {
            Verdict::Proved(proof) => self.on_right_answer(id, story, challenge, proof),
            // What 5G AKA says by Authentication Failure.
            Verdict::Synch(auts) => {
                let m = AuthenticationFailure { cause: FgmmCause::SynchFailure, auts: Some(auts) };
                self.on_auth_failure(id, story, challenge, m);
            }
            Verdict::Refused => {
                let m = AuthenticationFailure { cause: FgmmCause::MacFailure, auts: None };
                self.on_auth_failure(id, story, challenge, m);
            }
            // The claim may have been somebody else's temporary identity: ask who it is before refusing.
            Verdict::Wrong if story.by_guti => {
                self.refused("wrong-res");
                self.ask_identity(id, story);
            }
            Verdict::Wrong => self.reject_authentication(id, &story, RefusalReason::WrongResponse),
            Verdict::Aside => {
                self.refused("eap-out-of-place");
                self.expect(id, story, Expect::AuthResponse { challenge, left });
            }
        }
    }

    fn on_right_answer(&mut self, id: AmfUeNgapId, story: Story, mut c: Challenge, proof: Authenticated) {
        match c.after.take() {
            // Another card had accepted this challenge. The rest goes on as ever: what becomes of it is policy.
            Some(after) => {
                self.on_probe_accepted(id, c.supi());
                self.challenge(id, story, c.supi(), *after, None);
            }
            None => {
                let most = self.config.limits.ues;
                self.clones.accepted(c.supi(), c.into_vector(), most);
                self.begin_security_mode(id, story, proof);
            }
        }
    }

    /// Authentication Failure (§5.4.1.3.7 c–f).
    pub(super) fn on_auth_failure(
        &mut self,
        id: AmfUeNgapId,
        mut story: Story,
        mut challenge: Challenge,
        m: AuthenticationFailure,
    ) {
        if let Some(after) = challenge.after.take() {
            match (m.cause, m.auts) {
                (FgmmCause::SynchFailure, Some(auts)) => {
                    self.judge_auts(id, challenge.supi(), challenge.rand(), auts, true);
                }
                // It was made with keys that the card does not have: the SIM has a new card.
                (FgmmCause::MacFailure, _) => self.clones.forget_accepted(challenge.supi()),
                _ => {}
            }
            return self.challenge(id, story, challenge.supi(), *after, None);
        }
        match (m.cause, m.auts) {
            (FgmmCause::SynchFailure, Some(auts)) if story.resyncs == 0 => {
                story.resyncs += 1;
                self.judge_auts(id, challenge.supi(), challenge.rand(), auts, false);
                let identity = self.identity_of(&story, challenge.supi());
                self.ask_vector(id, story, identity, Some((challenge.rand(), auts)));
            }
            (FgmmCause::NgKsiAlreadyInUse, _) if story.ksi_clashes < 2 => {
                story.ksi_clashes += 1;
                let identity = self.identity_of(&story, challenge.supi());
                self.ask_vector(id, story, identity, None);
            }
            // The challenge may have been made for somebody else: once more, from the SUCI.
            (FgmmCause::MacFailure | FgmmCause::Non5gAuthenticationUnacceptable, _)
                if story.mac_failures == 0 =>
            {
                story.mac_failures += 1;
                self.ask_identity(id, story);
            }
            (FgmmCause::SynchFailure, _) => self.reject_authentication(id, &story, RefusalReason::Resync),
            _ => self.reject_authentication(id, &story, RefusalReason::WrongResponse),
        }
    }

    fn identity_of(&self, story: &Story, supi: Supi) -> Identity {
        match &story.request.identity {
            MobileIdentity::Suci(suci) if story.supi == Some(supi) => Identity::Suci(suci.clone()),
            _ => Identity::Supi(supi),
        }
    }

    /// §5.4.1.3.5: Authentication Reject. Nothing of the claimed subscriber changes.
    fn reject_authentication(&mut self, id: AmfUeNgapId, story: &Story, reason: RefusalReason) {
        self.send_plain(id, &FgmmMessage::AuthenticationReject(eap_result(story.eap, false)));
        self.tell_refused(id, story.supi, false, FgmmCause::IllegalUe, reason);
        self.release_conn(id, AUTHENTICATION_FAILURE);
    }

    // ---- the end of an attempt

    /// Refuses somebody unproved, in clear. `claimed` is only a claim.
    pub(super) fn refuse_claim(
        &mut self,
        id: AmfUeNgapId,
        claimed: Option<Supi>,
        cause: FgmmCause,
        backoff_s: Option<u32>,
        reason: RefusalReason,
    ) {
        let t3346 = backoff_s.map(Timer::Seconds);
        let reject = RegistrationReject { t3346, ..RegistrationReject::new(cause) };
        self.refuse_with(id, claimed, reject, reason);
    }

    /// The same in the middle of an attempt: an EAP method that is under way ends with it.
    pub(super) fn refuse_attempt(
        &mut self,
        id: AmfUeNgapId,
        story: &Story,
        cause: FgmmCause,
        backoff_s: Option<u32>,
        reason: RefusalReason,
    ) {
        let (t3346, eap) = (backoff_s.map(Timer::Seconds), eap_result(story.eap, false));
        let reject = RegistrationReject { t3346, eap, ..RegistrationReject::new(cause) };
        self.refuse_with(id, story.supi, reject, reason);
    }

    fn refuse_with(
        &mut self,
        id: AmfUeNgapId,
        claimed: Option<Supi>,
        reject: RegistrationReject,
        reason: RefusalReason,
    ) {
        let cause = reject.cause;
        self.send_plain(id, &FgmmMessage::RegistrationReject(reject));
        self.tell_refused(id, claimed, false, cause, reason);
        self.release_conn(id, NORMAL);
    }

    /// Records a refusal in the SIM's timeline.
    pub(super) fn tell_refused(
        &mut self,
        id: AmfUeNgapId,
        supi: Option<Supi>,
        authenticated: bool,
        cause: FgmmCause,
        reason: RefusalReason,
    ) {
        self.refused(if authenticated { "registration" } else { "claim" });
        let conn = self.registry.conn(id);
        let (tai, cell) = (conn.map(|c| c.tai), conn.map(|c| c.cell));
        let gnb = conn.map(|c| c.assoc).map(|a| self.gnb_name(a)).unwrap_or_default();
        let what = Happening::RegistrationRefused { authenticated, cause, reason, tai, cell, gnb };
        if authenticated {
            self.event(supi.map(Supi::imsi), what);
        } else {
            self.event_limited(supi.map(Supi::imsi), what);
        }
    }

    /// Takes the attempt off its connection, to be put back or replaced.
    pub(super) fn take_attempt(&mut self, id: AmfUeNgapId) -> Option<Attempt> {
        if !matches!(self.registry.conn(id)?.phase, Phase::Attempt(_)) {
            return None;
        }
        match self.registry.set_phase(id, Phase::Leaving) {
            Some(Phase::Attempt(attempt)) => Some(*attempt),
            _ => None,
        }
    }

    /// T3570 or T3560 ran out, or `hss` was silent.
    pub(super) fn on_attempt_timeout(&mut self, id: AmfUeNgapId) {
        let Some(Attempt { story, expect }) = self.take_attempt(id) else { return };
        match expect {
            // It does not say which device it is: what that means is policy.
            Expect::Device { security, request, left: 0 } => {
                self.on_device_identity(id, story, *security, None, *request);
            }
            Expect::Identity { left: 0 }
            | Expect::AuthResponse { left: 0, .. }
            | Expect::SecurityModeComplete { left: 0, .. } => {
                self.refused("silent-ue");
                self.release_conn(id, NORMAL);
            }
            Expect::Vector { txn } => {
                self.forget_question(txn);
                let (cause, reason) = (FgmmCause::Congestion, RefusalReason::Unavailable);
                self.refuse_attempt(id, &story, cause, Some(30), reason);
            }
            Expect::Identity { left } => {
                self.send_plain(id, &FgmmMessage::IdentityRequest(IdentityType::Suci));
                self.start(TimerKey::Attempt(id), NAS_RETRANSMIT_MS);
                self.expect(id, story, Expect::Identity { left: left - 1 });
            }
            Expect::AuthResponse { challenge, left } => {
                self.send_nas(id, challenge.request().to_vec());
                self.start(TimerKey::Attempt(id), NAS_RETRANSMIT_MS);
                self.expect(id, story, Expect::AuthResponse { challenge, left: left - 1 });
            }
            Expect::Device { security, request, left } => {
                self.ask_device(id, story, security, request, left - 1);
            }
            Expect::SecurityModeComplete { mut security, command, left } => {
                let pdu = security.protect_new(&command);
                self.send_nas(id, pdu);
                self.start(TimerKey::Attempt(id), NAS_RETRANSMIT_MS);
                self.expect(id, story, Expect::SecurityModeComplete { security, command, left: left - 1 });
            }
        }
    }

    /// The attempt as a whole took too long.
    pub(super) fn on_attempt_guard(&mut self, id: AmfUeNgapId) {
        if matches!(self.registry.conn(id).map(|c| &c.phase), Some(Phase::Attempt(_))) {
            self.refused("slow-attempt");
            self.release_conn(id, NORMAL);
        }
    }
}
