//! 5GMM of the UE: registration, authentication, security mode, service, deregistration (TS 24.501 §5).

use super::timers::Timer;
use super::{State, Ue, UeEvent};
use rand_chacha::rand_core::Rng;
use sim_auth::{FgAnswer, fgs};
use types::{Autn, Auts, FgmmCause, Key256, Now, Pei, Rand, Res, Suci, SuciScheme};
use wire::nas::fgs::{
    AuthenticationChallenge, AuthenticationFailure, AuthenticationRequest, AuthenticationResponse,
    ConfigurationUpdateCommand, DeregistrationRequestUeOriginating, DeregistrationRequestUeTerminated,
    EapMessage, FgmmMessage, IdentityType, MobileIdentity, NgKsi, RegistrationAccept, RegistrationReject,
    RegistrationRequest, RegistrationType, STmsi, SecurityModeCommand, SecurityModeComplete, ServiceAccept,
    ServiceReject, ServiceRequest, ServiceType, SessionSet, Timer as Seconds,
};
use wire::nas::security::{HeaderType, Pdu, open};

/// 3GPP access (TS 24.501 §9.11.3.11).
const ACCESS: u8 = 1;

impl Ue {
    pub(super) fn register(&mut self, now: Now) {
        let backs_off = self.backoff_until.is_some_and(|t| now.mono < t);
        if (self.barred || backs_off) && !self.config.lies.ignore_bars {
            self.event(UeEvent::Barred);
            return;
        }
        self.request_registration(RegistrationType::Initial, now);
    }

    pub(super) fn update(&mut self, now: Now) {
        if self.state == State::Registered {
            self.request_registration(RegistrationType::PeriodicUpdating, now);
        }
    }

    /// §5.5.1.2.2. Without keys the request has its cleartext IEs alone, and the whole of it follows in the
    /// Security Mode Complete; with keys it carries the whole of it, ciphered (§4.4.6).
    fn request_registration(&mut self, kind: RegistrationType, now: Now) {
        // Keys without a temporary identity are of no use: the network finds them by it.
        if self.guti.is_none() {
            self.security.forget();
        }
        let identity = self.config.lies.claim_identity.clone().unwrap_or_else(|| self.identity());
        let clear = RegistrationRequest {
            kind,
            follow_on: true,
            ngksi: self.security.ngksi(),
            identity,
            capability: None,
            security_capability: Some(self.config.capability.clone()),
            requested_nssai: Vec::new(),
            last_tai: None,
            uplink_data_status: None,
            pdu_session_status: None,
            nas_container: None,
        };
        let sessions: SessionSet = self.sessions.keys().copied().collect();
        let whole = RegistrationRequest {
            capability: Some(vec![0]),
            requested_nssai: self.config.slices.iter().take(8).copied().collect(),
            pdu_session_status: (!sessions.is_empty()).then_some(sessions),
            ..clear.clone()
        };
        self.initial = encode(&FgmmMessage::RegistrationRequest(whole));
        self.state = State::Registering;
        self.timers.start(Timer::T3510, now.mono);
        let outer = |nas_container| {
            FgmmMessage::RegistrationRequest(RegistrationRequest { nas_container, ..clear.clone() })
        };
        if self.security.is_up() {
            let mut container = self.initial.clone();
            self.security.cipher_container(&mut container);
            self.send_as(&outer(Some(container)), HeaderType::Integrity);
        } else {
            self.transmit(encode(&outer(None)));
        }
    }

    /// Its temporary identity, else the permanent one, concealed as it is configured.
    fn identity(&mut self) -> MobileIdentity {
        match self.guti {
            Some(guti) => MobileIdentity::Guti(guti),
            None => self.suci(),
        }
    }

    fn suci(&mut self) -> MobileIdentity {
        let plmn = self.config.plmn;
        let msin = self.config.supi.imsi().msin(plmn.mnc_len());
        let mut suci = Suci {
            home: plmn,
            routing_indicator: "0".into(),
            scheme: SuciScheme::Null,
            key_id: 0,
            output: Vec::new(),
        };
        let Some(how) = &self.config.conceal else {
            suci.output = msin.into_bytes();
            return MobileIdentity::Suci(suci);
        };
        let mut ephemeral = [0; 32];
        self.chance.fill_bytes(&mut ephemeral);
        match sim_auth::suci::conceal(how.profile, &how.key, &Key256::new(ephemeral), &msin) {
            Ok(output) => {
                (suci.scheme, suci.key_id, suci.output) = (how.profile.into(), how.key_id, output);
                MobileIdentity::Suci(suci)
            }
            // With a key that is none it says nothing rather than its identity in clear.
            Err(e) => {
                tracing::error!("{}: identity not concealed: {e}", self.config.supi);
                MobileIdentity::None
            }
        }
    }

    /// §5.6.2.2.1. A call for somebody else, or for a UE that is not idle, is nothing.
    pub(super) fn paged(&mut self, whom: STmsi, now: Now) {
        if self.s_tmsi() == Some(whom) && !self.config.lies.deaf {
            self.service(Some(ServiceType::MOBILE_TERMINATED), now);
        }
    }

    /// Back from idle with all sessions, for this reason or the one that there is.
    pub(super) fn service(&mut self, why: Option<ServiceType>, now: Now) {
        let (Some(s_tmsi), State::Registered, false) = (self.s_tmsi(), self.state, self.connected) else {
            return;
        };
        let sessions: SessionSet = self.sessions.keys().copied().collect();
        let own = if sessions.is_empty() { ServiceType::SIGNALLING } else { ServiceType::DATA };
        let clear = ServiceRequest {
            ngksi: self.security.ngksi(),
            service_type: why.unwrap_or(own),
            s_tmsi,
            uplink_data_status: None,
            pdu_session_status: None,
            nas_container: None,
        };
        let whole = ServiceRequest {
            // Who is called has nothing to send.
            uplink_data_status: (!sessions.is_empty() && why.is_none()).then_some(sessions),
            pdu_session_status: Some(sessions),
            ..clear.clone()
        };
        let mut container = encode(&FgmmMessage::ServiceRequest(whole));
        self.security.cipher_container(&mut container);
        let outer = ServiceRequest { nas_container: Some(container), ..clear };
        self.state = State::Requesting;
        self.timers.start(Timer::T3517, now.mono);
        self.send_as(&FgmmMessage::ServiceRequest(outer), HeaderType::Integrity);
    }

    pub(super) fn deregister(&mut self, switch_off: bool, now: Now) {
        if self.state == State::Deregistered {
            return;
        }
        let request = FgmmMessage::DeregistrationRequestUeOriginating(DeregistrationRequestUeOriginating {
            switch_off,
            access: ACCESS,
            ngksi: self.security.ngksi(),
            identity: self.identity(),
        });
        // §4.4.6: as an initial message it goes out readable, with its code.
        let header = if self.connected { HeaderType::Ciphered } else { HeaderType::Integrity };
        self.send_as(&request, header);
        if switch_off {
            self.leave(None, false);
        } else {
            self.state = State::Leaving;
            self.timers.start(Timer::T3521, now.mono);
        }
    }

    /// No longer registered: sessions and timers end, keys and temporary identity stay for the next time.
    pub(super) fn leave(&mut self, cause: Option<FgmmCause>, by_network: bool) {
        self.state = State::Deregistered;
        self.timers = super::Timers::default();
        self.transactions.clear();
        self.waiting.clear();
        let ids: Vec<_> = std::mem::take(&mut self.sessions).into_keys().collect();
        for id in ids {
            self.event(UeEvent::SessionDown { id, cause: None });
        }
        self.event(UeEvent::Deregistered { cause, by_network });
    }

    /// What a cause means for the next attempt (§5.5.1.2.5, §5.5.2.3.2, §5.6.1.5). Only a protected message is
    /// believed with those that bar the card.
    fn heed(&mut self, cause: FgmmCause, protected: bool, backoff: Option<Seconds>, now: Now) -> Option<u32> {
        match cause {
            FgmmCause::IllegalUe | FgmmCause::IllegalMe | FgmmCause::FgsServicesNotAllowed if protected => {
                self.barred = true;
                self.forget_identity();
            }
            FgmmCause::UeIdentityCannotBeDerived | FgmmCause::ImplicitlyDeregistered => {
                self.forget_identity()
            }
            _ => {}
        }
        match backoff {
            Some(Seconds::Seconds(s)) if protected && cause == FgmmCause::Congestion => {
                self.backoff_until = Some(now.mono.plus_ms(u64::from(s) * 1_000));
                Some(s)
            }
            _ => None,
        }
    }

    fn forget_identity(&mut self) {
        self.guti = None;
        self.security.forget();
    }

    pub(super) fn registration_timed_out(&mut self) {
        self.state = State::Deregistered;
        self.event(UeEvent::TimedOut("T3510"));
    }

    pub(super) fn service_timed_out(&mut self) {
        self.state = State::Registered;
        self.waiting.clear();
        self.event(UeEvent::TimedOut("T3517"));
    }

    /// An answer: unprotected to an unprotected request, because a network that asks so has no keys of ours and
    /// could not read anything else (§4.4.4.3).
    pub(super) fn reply(&mut self, m: &FgmmMessage, protected: bool) {
        if protected { self.send(m) } else { self.transmit(encode(m)) }
    }

    /// A message to the network, ciphered where there are keys.
    pub(super) fn send(&mut self, m: &FgmmMessage) {
        self.send_as(m, HeaderType::Ciphered);
    }

    fn send_as(&mut self, m: &FgmmMessage, header: HeaderType) {
        let plain = encode(m);
        let Some(mut octets) = self.security.protect(&plain, header) else {
            self.transmit(plain);
            return;
        };
        if self.config.lies.wrong_mac
            && let Some(code) = octets.get_mut(2)
        {
            *code ^= 0x55;
        }
        if self.config.lies.replay {
            self.transmit(octets.clone());
        }
        self.transmit(octets);
    }

    pub(super) fn downlink(&mut self, octets: &[u8], now: Now) {
        if self.config.lies.deaf {
            return;
        }
        let (plain, protected) = match open(octets) {
            Err(_) => return self.event(UeEvent::Dropped("no NAS message")),
            Ok(Pdu::Plain(p)) => (p.to_vec(), false),
            Ok(Pdu::Protected { header: HeaderType::IntegrityNewContext, payload, .. }) => {
                return self.security_mode(octets, payload);
            }
            Ok(Pdu::Protected { .. }) => match self.security.unprotect(octets) {
                Ok(v) => (v.plain, true),
                Err(_) => return self.event(UeEvent::Dropped("wrong message authentication code")),
            },
        };
        let Ok(message) = FgmmMessage::decode(&plain) else {
            return self.event(UeEvent::Dropped("not understood"));
        };
        if !self.config.lies.hears(message.name()) {
            return;
        }
        if !protected && (self.security.is_secured() || !allowed_unprotected(&message)) {
            return self.event(UeEvent::Dropped("unprotected"));
        }
        self.dispatch(message, protected, now);
    }

    fn dispatch(&mut self, message: FgmmMessage, protected: bool, now: Now) {
        match message {
            FgmmMessage::IdentityRequest(kind) => self.identify(kind, protected),
            FgmmMessage::AuthenticationRequest(m) => self.authenticate(m, protected),
            FgmmMessage::AuthenticationReject(_) => {
                self.barred |= protected;
                self.forget_identity();
                self.state = State::Deregistered;
                self.timers.stop(Timer::T3510);
                self.event(UeEvent::AuthenticationRejected);
            }
            FgmmMessage::RegistrationAccept(m) => self.accepted(m),
            FgmmMessage::RegistrationReject(m) => self.rejected(&m, protected, now),
            FgmmMessage::ServiceAccept(m) => self.service_accepted(&m, now),
            FgmmMessage::ServiceReject(m) => self.service_rejected(&m, protected, now),
            FgmmMessage::DeregistrationRequestUeTerminated(m) => self.ordered_to_leave(&m, now),
            FgmmMessage::DeregistrationAcceptUeOriginating if self.state == State::Leaving => {
                self.leave(None, false);
            }
            FgmmMessage::ConfigurationUpdateCommand(m) => self.configured(&m),
            FgmmMessage::DlNasTransport(m) => self.session_message(m, now),
            FgmmMessage::FgmmStatus(_) => self.event(UeEvent::Dropped("5GMM status")),
            _ => self.send(&FgmmMessage::FgmmStatus(FgmmCause::MessageTypeNotCompatible)),
        }
    }

    /// §5.4.3: before security only the SUCI is told.
    fn identify(&mut self, kind: IdentityType, protected: bool) {
        let identity = match kind {
            IdentityType::Suci => self.suci(),
            IdentityType::Imeisv if protected => {
                self.config.imeisv.map_or(MobileIdentity::None, MobileIdentity::Imeisv)
            }
            IdentityType::Guti if protected => self.identity(),
            _ if protected => MobileIdentity::None,
            _ => return self.event(UeEvent::Dropped("asked for an identity without protection")),
        };
        self.reply(&FgmmMessage::IdentityResponse(identity), protected);
    }

    fn authenticate(&mut self, m: AuthenticationRequest, protected: bool) {
        if m.ngksi == NgKsi::NoKey {
            return self.event(UeEvent::Dropped("a challenge without a key set"));
        }
        match &m.challenge {
            AuthenticationChallenge::FgAka { rand, autn } => self.answer_5g_aka(&m, rand, autn, protected),
            AuthenticationChallenge::Eap(EapMessage(packet)) => self.answer_eap(&m, packet, protected),
        }
    }

    /// §5.4.1.3.
    fn answer_5g_aka(&mut self, m: &AuthenticationRequest, rand: &Rand, autn: &Autn, protected: bool) {
        self.eap = None;
        let answer = if self.config.lies.claim_mac_failure {
            FgAnswer::MacFailure
        } else {
            self.card.authenticate_5g(rand, autn, &self.config.plmn.serving_network_name())
        };
        match answer {
            FgAnswer::Success { res_star, kseaf } => {
                let kamf = fgs::kamf(&kseaf, self.config.supi, &m.abba);
                self.security.authenticated(m.ngksi, kamf);
                let mut res = res_star.expose().to_vec();
                if self.config.lies.wrong_res
                    && let Some(first) = res.first_mut()
                {
                    *first ^= 0xff;
                }
                let response = AuthenticationResponse::of(Some(Res(res)));
                self.reply(&FgmmMessage::AuthenticationResponse(response), protected);
            }
            FgAnswer::MacFailure => self.refuse_challenge(FgmmCause::MacFailure, None, protected),
            FgAnswer::SynchFailure(auts) => {
                self.refuse_challenge(FgmmCause::SynchFailure, Some(auts), protected)
            }
            FgAnswer::Non5gAuthenticationUnacceptable => {
                self.refuse_challenge(FgmmCause::Non5gAuthenticationUnacceptable, None, protected);
            }
        }
    }

    pub(super) fn refuse_challenge(&mut self, cause: FgmmCause, auts: Option<Auts>, protected: bool) {
        let failure = AuthenticationFailure { cause, auts };
        self.reply(&FgmmMessage::AuthenticationFailure(failure), protected);
        self.event(UeEvent::ChallengeRefused(cause));
    }

    /// §5.4.2.3: the command is verified with the keys that it takes into use.
    fn security_mode(&mut self, octets: &[u8], payload: &[u8]) {
        let Ok(FgmmMessage::SecurityModeCommand(m)) = FgmmMessage::decode(payload) else {
            return self.event(UeEvent::Dropped("no security mode command"));
        };
        if !self.config.lies.hears("SecurityModeCommand") {
            return;
        }
        let lies = &self.config.lies;
        let bid_down = m.replayed_capability != self.config.capability && !lies.overlook_bidding_down;
        if bid_down || lies.refuse_security_mode {
            return self.refuse_security_mode(FgmmCause::UeSecurityCapabilitiesMismatch);
        }
        if self.security.take_into_use(m.ngksi, m.integrity, m.ciphering, octets).is_err() {
            return self.refuse_security_mode(FgmmCause::SecurityModeRejected);
        }
        if self.lacks_eap_success(m.eap.as_ref()) {
            return self.refuse_security_mode(FgmmCause::SecurityModeRejected);
        }
        self.complete_security_mode(&m);
    }

    fn complete_security_mode(&mut self, m: &SecurityModeCommand) {
        let complete = SecurityModeComplete {
            pei: self.config.imeisv.filter(|_| m.imeisv_requested).map(Pei::Imeisv),
            nas_container: (!self.initial.is_empty()).then(|| self.initial.clone()),
        };
        self.send_as(&FgmmMessage::SecurityModeComplete(complete), HeaderType::CipheredNewContext);
    }

    fn refuse_security_mode(&mut self, cause: FgmmCause) {
        let secured = self.security.is_secured();
        self.reply(&FgmmMessage::SecurityModeReject(cause), secured);
        self.event(UeEvent::SecurityModeRefused(cause));
    }

    /// §5.5.1.2.4.
    fn accepted(&mut self, m: RegistrationAccept) {
        if self.state != State::Registering {
            return self.event(UeEvent::Dropped("an accept that was not asked for"));
        }
        self.timers.stop(Timer::T3510);
        self.state = State::Registered;
        self.backoff_until = None;
        if let Some(held) = m.pdu_session_status {
            self.drop_sessions_not_in(held);
        }
        if m.guti.is_some() {
            self.guti = m.guti;
            self.send(&FgmmMessage::RegistrationComplete);
        }
        self.event(UeEvent::Registered { guti: self.guti, slices: m.allowed_nssai, areas: m.tai_list });
    }

    fn rejected(&mut self, m: &RegistrationReject, protected: bool, now: Now) {
        if self.state != State::Registering {
            return self.event(UeEvent::Dropped("a reject that was not asked for"));
        }
        self.timers.stop(Timer::T3510);
        self.state = State::Deregistered;
        let backoff_s = self.heed(m.cause, protected, m.t3346, now);
        self.drop_sessions_not_in(SessionSet::default());
        self.event(UeEvent::Rejected { cause: m.cause, protected, backoff_s });
    }

    fn service_accepted(&mut self, m: &ServiceAccept, now: Now) {
        if self.state != State::Requesting {
            return self.event(UeEvent::Dropped("an accept that was not asked for"));
        }
        self.timers.stop(Timer::T3517);
        self.state = State::Registered;
        if let Some(held) = m.pdu_session_status {
            self.drop_sessions_not_in(held);
        }
        self.event(UeEvent::ServiceAccepted);
        for input in std::mem::take(&mut self.waiting) {
            self.handle(input, now);
        }
    }

    fn service_rejected(&mut self, m: &ServiceReject, protected: bool, now: Now) {
        if self.state != State::Requesting {
            return self.event(UeEvent::Dropped("a reject that was not asked for"));
        }
        self.timers.stop(Timer::T3517);
        self.state = State::Registered;
        self.waiting.clear();
        self.heed(m.cause, protected, m.t3346, now);
        self.event(UeEvent::ServiceRejected(m.cause));
        if self.barred || self.guti.is_none() {
            self.leave(Some(m.cause), true);
        }
    }

    /// §5.5.2.3.2.
    fn ordered_to_leave(&mut self, m: &DeregistrationRequestUeTerminated, now: Now) {
        self.send(&FgmmMessage::DeregistrationAcceptUeTerminated);
        if let Some(cause) = m.cause {
            self.heed(cause, true, m.t3346, now);
        }
        self.leave(m.cause, true);
        self.again = m.reregister;
    }

    /// §5.4.4.3.
    fn configured(&mut self, m: &ConfigurationUpdateCommand) {
        if m.guti.is_some() {
            self.guti = m.guti;
        }
        if m.acknowledge {
            self.send(&FgmmMessage::ConfigurationUpdateComplete);
        }
        self.again |= m.registration_requested;
    }

    fn drop_sessions_not_in(&mut self, held: SessionSet) {
        let gone: Vec<_> = self.sessions.keys().copied().filter(|id| !held.contains(*id)).collect();
        for id in gone {
            self.sessions.remove(&id);
            self.event(UeEvent::SessionDown { id, cause: None });
        }
    }
}

/// §4.4.4.2: what a UE takes without protection before security is up in the connection.
fn allowed_unprotected(m: &FgmmMessage) -> bool {
    matches!(
        m,
        FgmmMessage::IdentityRequest(IdentityType::Suci)
            | FgmmMessage::AuthenticationRequest(_)
            | FgmmMessage::AuthenticationReject(_)
            | FgmmMessage::RegistrationReject(_)
            | FgmmMessage::DeregistrationAcceptUeOriginating
            | FgmmMessage::ServiceReject(_)
    )
}

/// A message of this UE always has a form: what it puts in comes from its configuration, whose types are
/// checked, and from the network, whose messages were read by the same codec.
fn encode(m: &FgmmMessage) -> Vec<u8> {
    m.encode().unwrap_or_else(|e| {
        tracing::error!("{} not encoded: {e}", m.name());
        Vec::new()
    })
}
