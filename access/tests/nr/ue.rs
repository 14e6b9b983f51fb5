//! A simulated UE: a USIM, NAS of the phone's side, and habits that can be bad.

use sim_auth::{EapAnswer, FgAnswer, Usim};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use types::*;
use wire::eap::{self, AkaPrime, Eap, EapBody, Subtype};
use wire::nas::fgs::*;
use wire::nas::security::{self, HeaderType, NasContext, Nea, Nia, Pdu, Verified};

pub const SNN: &str = "5G:mnc001.mcc001.3gppnetwork.org";

/// Authentication Response with an EAP packet.
pub fn eap_answer(packet: Vec<u8>) -> FgmmMessage {
    let m = AuthenticationResponse { res_star: None, eap: Some(EapMessage(packet)) };
    FgmmMessage::AuthenticationResponse(m)
}

/// How this UE behaves where it should not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Habits {
    /// Answers challenges with a wrong RES*.
    pub wrong_res: bool,
    /// Says that each challenge has a wrong MAC, so many times.
    pub mac_failures: u8,
    /// Says that the ngKSI is in use, so many times.
    pub ksi_in_use: u8,
    /// Answers Deregistration Request with silence.
    pub ignores_deregistration: bool,
    /// Answers nothing at all.
    pub silent: bool,
    /// Puts a Service Request into the container of Security Mode Complete.
    pub wrong_container: bool,
    /// Puts other algorithms into the container than in clear.
    pub bids_down: bool,
    /// Does not confirm the end of a session.
    pub keeps_sessions: bool,
    /// Does not confirm a change of a session.
    pub keeps_rates: bool,
    /// Does not tell its device in Security Mode Complete.
    pub hides_device: bool,
    /// Nor when it is asked.
    pub has_no_device: bool,
    /// Does not send Registration Complete.
    pub no_complete: bool,
    /// Does not answer the downlink message of this name.
    pub deaf_to: Option<&'static str>,
}

pub struct Ue {
    pub supi: Supi,
    pub usim: Usim,
    pub habits: Habits,
    pub capability: UeSecurityCapability,
    pub guti: Option<FgGuti>,
    pub context: Option<NasContext>,
    /// The one before it, since the last Security Mode Command.
    pub before: Option<NasContext>,
    /// KAMF of that context.
    pub kamf: Option<Key256>,
    pub ksi: NgKsi,
    pub kseaf: Option<Key256>,
    pub offered_ksi: NgKsi,
    pub request: Option<RegistrationRequest>,
    /// Everything it was told, in order.
    pub heard: Vec<FgmmMessage>,
    /// How each was protected.
    pub protected: Vec<bool>,
    pub sessions: BTreeMap<u8, Ipv4Addr>,
    pub session_messages: Vec<FgsmMessage>,
    pub registered: bool,
    pub imeisv: Pei,
}

impl Ue {
    pub fn new(supi: Supi, usim: Usim) -> Self {
        Self {
            supi,
            usim,
            habits: Habits::default(),
            capability: UeSecurityCapability::of(
                &[Nea::Nea0, Nea::Nea1, Nea::Nea2],
                &[Nia::Nia0, Nia::Nia1, Nia::Nia2],
            ),
            guti: None,
            context: None,
            before: None,
            kamf: None,
            ksi: NgKsi::NoKey,
            kseaf: None,
            offered_ksi: NgKsi::NoKey,
            request: None,
            heard: Vec::new(),
            protected: Vec::new(),
            sessions: BTreeMap::new(),
            session_messages: Vec::new(),
            registered: false,
            imeisv: "imeisv-3554641100000101".parse().unwrap(),
        }
    }

    pub fn suci(&self) -> MobileIdentity {
        MobileIdentity::Suci(Suci {
            home: plmn(),
            routing_indicator: "0".into(),
            scheme: SuciScheme::Null,
            key_id: 0,
            output: self.supi.imsi().msin(2).into_bytes(),
        })
    }

    /// The Registration Request that it would send now.
    pub fn registration(&self, kind: RegistrationType) -> RegistrationRequest {
        RegistrationRequest {
            kind,
            follow_on: true,
            ngksi: self.ksi,
            identity: self.guti.map_or_else(|| self.suci(), MobileIdentity::Guti),
            capability: None,
            security_capability: Some(self.capability.clone()),
            requested_nssai: vec![],
            last_tai: None,
            uplink_data_status: None,
            pdu_session_status: None,
            nas_container: None,
        }
    }

    /// An initial message: under the context where there is one, in clear else.
    pub fn initial(&mut self, message: &FgmmMessage) -> Vec<u8> {
        let plain = message.encode().unwrap();
        match &mut self.context {
            Some(c) => c.protect(&plain, HeaderType::Integrity, security::Direction::Uplink).unwrap(),
            None => plain,
        }
    }

    /// A later message.
    pub fn protect(&mut self, message: &FgmmMessage) -> Vec<u8> {
        let plain = message.encode().unwrap();
        match &mut self.context {
            Some(c) => c.protect(&plain, HeaderType::Ciphered, security::Direction::Uplink).unwrap(),
            None => plain,
        }
    }

    pub fn register(&mut self, kind: RegistrationType) -> Vec<u8> {
        let request = self.registration(kind);
        self.request = Some(request.clone());
        self.initial(&FgmmMessage::RegistrationRequest(request))
    }

    /// The UE goes, and waits to be let go.
    pub fn deregister(&mut self) -> Vec<u8> {
        let RegistrationRequest { ngksi, identity, .. } = self.registration(RegistrationType::Initial);
        let leave = DeregistrationRequestUeOriginating { switch_off: false, access: 1, ngksi, identity };
        self.protect(&FgmmMessage::DeregistrationRequestUeOriginating(leave))
    }

    pub fn establish(&mut self, id: u8, pti: u8, dnn: Option<&str>, kind: PduSessionType) -> Vec<u8> {
        self.establish_as(id, pti, dnn, kind, Some(RequestType::INITIAL))
    }

    pub fn establish_as(
        &mut self,
        id: u8,
        pti: u8,
        dnn: Option<&str>,
        kind: PduSessionType,
        request: Option<RequestType>,
    ) -> Vec<u8> {
        let session = id.try_into().unwrap();
        let payload = FgsmMessage {
            session,
            pti,
            body: FgsmBody::EstablishmentRequest(EstablishmentRequest {
                max_integrity_rate: [0xff, 0xff],
                session_type: Some(kind),
                ssc_mode: Some(1),
                epco: Some(Epco::ordinary_request()),
            }),
        };
        self.protect(&FgmmMessage::UlNasTransport(UlNasTransport {
            kind: ContainerType::N1_SM,
            payload: payload.encode().unwrap(),
            session: Some(session),
            request,
            slice: None,
            dnn: dnn.map(|d| RequestedDnn::Name(d.parse().unwrap())),
        }))
    }

    pub fn session_message(&mut self, id: u8, pti: u8, body: FgsmBody) -> Vec<u8> {
        let session = id.try_into().unwrap();
        let payload = FgsmMessage { session, pti, body }.encode().unwrap();
        self.protect(&FgmmMessage::UlNasTransport(UlNasTransport {
            kind: ContainerType::N1_SM,
            payload,
            session: Some(session),
            request: None,
            slice: None,
            dnn: None,
        }))
    }

    /// A message from the network; the answers.
    pub fn on_nas(&mut self, nas: &[u8]) -> Vec<Vec<u8>> {
        let (plain, protected) = match security::open(nas).expect("NAS of the AMF") {
            Pdu::Plain(p) => (p.to_vec(), false),
            Pdu::Protected { header: HeaderType::IntegrityNewContext, payload, .. } => {
                self.new_context(payload);
                let v = self.unprotect(nas);
                (v.plain, true)
            }
            Pdu::Protected { .. } => (self.unprotect(nas).plain, true),
        };
        let message = FgmmMessage::decode(&plain).expect("NAS of the AMF decodes");
        self.heard.push(message.clone());
        self.protected.push(protected);
        if self.habits.silent || self.habits.deaf_to == Some(message.name()) {
            return vec![];
        }
        self.answer(message)
    }

    fn unprotect(&mut self, nas: &[u8]) -> Verified {
        let context = self.context.as_mut().expect("protected NAS needs a context");
        context.unprotect(nas, security::Direction::Downlink).expect("MAC of the AMF")
    }

    fn new_context(&mut self, payload: &[u8]) {
        let Ok(FgmmMessage::SecurityModeCommand(m)) = FgmmMessage::decode(payload) else {
            panic!("not a Security Mode Command")
        };
        let kamf = sim_auth::fgs::kamf(self.kseaf.as_ref().unwrap(), self.supi, &sim_auth::fgs::ABBA);
        let int = sim_auth::fgs::knas_int(&kamf, m.integrity.code());
        let enc = sim_auth::fgs::knas_enc(&kamf, m.ciphering.code());
        assert_eq!(m.ngksi, self.offered_ksi);
        // Made once per authentication: a retransmitted command meets the context that is there.
        if self.ksi != m.ngksi || self.context.is_none() {
            self.before = self.context.replace(NasContext::new(int, enc, m.integrity, m.ciphering));
            self.kamf = Some(kamf);
            self.ksi = m.ngksi;
        }
    }

    fn answer(&mut self, message: FgmmMessage) -> Vec<Vec<u8>> {
        match message {
            FgmmMessage::IdentityRequest(IdentityType::Suci) => {
                vec![FgmmMessage::IdentityResponse(self.suci()).encode().unwrap()]
            }
            FgmmMessage::IdentityRequest(IdentityType::Imeisv) if self.context.is_some() => {
                let identity = match self.imeisv {
                    _ if self.habits.has_no_device => MobileIdentity::None,
                    Pei::Imei(i) => MobileIdentity::Imei(i),
                    Pei::Imeisv(i) => MobileIdentity::Imeisv(i),
                };
                vec![self.protect(&FgmmMessage::IdentityResponse(identity))]
            }
            // Under the keys in use it is answered under them.
            FgmmMessage::AuthenticationRequest(m) if self.protected.last() == Some(&true) => {
                let answer = self.challenge(&m);
                vec![self.protect(&answer)]
            }
            FgmmMessage::AuthenticationRequest(m) => vec![self.challenge(&m).encode().unwrap()],
            FgmmMessage::SecurityModeCommand(m) => self.security_mode(&m),
            FgmmMessage::RegistrationAccept(m) => {
                self.guti = m.guti.or(self.guti);
                self.registered = true;
                if self.habits.no_complete {
                    return vec![];
                }
                vec![self.protect(&FgmmMessage::RegistrationComplete)]
            }
            FgmmMessage::RegistrationReject(_) => {
                self.registered = false;
                vec![]
            }
            FgmmMessage::DeregistrationRequestUeTerminated(_) if self.habits.ignores_deregistration => vec![],
            FgmmMessage::DeregistrationRequestUeTerminated(_) => {
                let accept = self.protect(&FgmmMessage::DeregistrationAcceptUeTerminated);
                self.forget();
                vec![accept]
            }
            FgmmMessage::DeregistrationAcceptUeOriginating => {
                self.registered = false;
                self.sessions.clear();
                vec![]
            }
            FgmmMessage::DlNasTransport(m) if m.cause.is_none() => self.session(&m.payload),
            _ => vec![],
        }
    }

    /// Deregistered: no session stays, and with #3 and its like no temporary identity.
    pub fn forget(&mut self) {
        self.registered = false;
        self.sessions.clear();
        self.guti = None;
        self.context = None;
        self.ksi = NgKsi::NoKey;
    }

    fn challenge(&mut self, m: &AuthenticationRequest) -> FgmmMessage {
        let fail = |cause, auts| FgmmMessage::AuthenticationFailure(AuthenticationFailure { cause, auts });
        if self.habits.ksi_in_use > 0 {
            self.habits.ksi_in_use -= 1;
            return fail(FgmmCause::NgKsiAlreadyInUse, None);
        }
        if self.habits.mac_failures > 0 {
            self.habits.mac_failures -= 1;
            return fail(FgmmCause::MacFailure, None);
        }
        self.offered_ksi = m.ngksi;
        let (rand, autn) = match &m.challenge {
            AuthenticationChallenge::FgAka { rand, autn } => (rand, autn),
            AuthenticationChallenge::Eap(EapMessage(packet)) => return self.eap_challenge(packet),
        };
        match self.usim.authenticate_5g(rand, autn, SNN) {
            FgAnswer::Success { res_star, kseaf } => {
                self.kseaf = Some(kseaf);
                self.ksi = NgKsi::NoKey;
                let mut res = res_star.expose().to_vec();
                if self.habits.wrong_res {
                    res[0] ^= 1;
                }
                FgmmMessage::AuthenticationResponse(AuthenticationResponse::of(Some(Res(res))))
            }
            FgAnswer::MacFailure => fail(FgmmCause::MacFailure, None),
            FgAnswer::SynchFailure(auts) => fail(FgmmCause::SynchFailure, Some(auts)),
            FgAnswer::Non5gAuthenticationUnacceptable => {
                fail(FgmmCause::Non5gAuthenticationUnacceptable, None)
            }
        }
    }

    /// EAP-AKA' as RFC 9048 §3 tells a peer to do it.
    fn eap_challenge(&mut self, packet: &[u8]) -> FgmmMessage {
        let Ok(Eap { identifier, body: EapBody::Request(asked) }) = Eap::decode(packet) else {
            panic!("no EAP-Request")
        };
        assert_eq!((asked.kdf, asked.kdf_input.as_deref()), (vec![1], Some(SNN.as_bytes())));
        let answer = self.usim.authenticate_eap(&asked.rand.unwrap(), &asked.autn.unwrap(), SNN, self.supi);
        let (mut m, mut k_aut) = (AkaPrime::of(Subtype::CHALLENGE), None);
        match answer {
            EapAnswer::Success { res, keys } => {
                let covered = eap::covered(packet).unwrap();
                assert_eq!(asked.mac, Some(sim_auth::eap::at_mac(&keys.k_aut(), &covered)), "AT_MAC");
                self.kseaf = Some(sim_auth::fgs::kseaf(&keys.kausf(), SNN));
                (self.ksi, k_aut) = (NgKsi::NoKey, Some(keys.k_aut()));
                let mut res = res.expose().to_vec();
                res[0] ^= u8::from(self.habits.wrong_res);
                m.res = Some(Res(res));
            }
            EapAnswer::AuthenticationReject => m.subtype = Subtype::AUTHENTICATION_REJECT,
            EapAnswer::SynchFailure(auts) => {
                (m.subtype, m.auts) = (Subtype::SYNCHRONIZATION_FAILURE, Some(auts));
            }
            EapAnswer::Non5gAuthenticationUnacceptable => {
                (m.subtype, m.client_error) = (Subtype::CLIENT_ERROR, Some(0));
            }
        }
        let response = Eap { identifier, body: EapBody::Response(m) };
        let packet = match k_aut {
            Some(k) => response.encode_signed(|covered| sim_auth::eap::at_mac(&k, covered)),
            None => response.encode(),
        };
        eap_answer(packet.unwrap())
    }

    fn security_mode(&mut self, m: &SecurityModeCommand) -> Vec<Vec<u8>> {
        if m.replayed_capability != self.capability {
            self.context = None;
            return vec![
                FgmmMessage::SecurityModeReject(FgmmCause::UeSecurityCapabilitiesMismatch).encode().unwrap(),
            ];
        }
        let mut inner = self.request.clone().expect("a request was sent");
        if self.habits.bids_down {
            inner.security_capability = Some(UeSecurityCapability::of(&[Nea::Nea2], &[Nia::Nia2, Nia::Nia3]));
        }
        let container = if self.habits.wrong_container {
            FgmmMessage::ServiceRequest(ServiceRequest {
                ngksi: self.ksi,
                service_type: ServiceType::DATA,
                s_tmsi: wire::nas::fgs::STmsi { set: 1, pointer: 0, tmsi: FgTmsi(1) },
                uplink_data_status: None,
                pdu_session_status: None,
                nas_container: None,
            })
        } else {
            FgmmMessage::RegistrationRequest(inner)
        };
        let complete = FgmmMessage::SecurityModeComplete(SecurityModeComplete {
            pei: Some(self.imeisv).filter(|_| !self.habits.hides_device),
            nas_container: Some(container.encode().unwrap()),
        });
        let plain = complete.encode().unwrap();
        let context = self.context.as_mut().unwrap();
        vec![context.protect(&plain, HeaderType::CipheredNewContext, security::Direction::Uplink).unwrap()]
    }

    fn session(&mut self, payload: &[u8]) -> Vec<Vec<u8>> {
        let m = FgsmMessage::decode(payload).expect("5GSM of the SMF decodes");
        let id = u8::from(m.session);
        self.session_messages.push(m.clone());
        match m.body {
            FgsmBody::EstablishmentAccept(a) => {
                self.sessions.insert(id, a.address.unwrap_or(Ipv4Addr::UNSPECIFIED));
                vec![]
            }
            FgsmBody::ModificationCommand(_) if self.habits.keeps_rates => vec![],
            FgsmBody::ModificationCommand(_) => {
                vec![self.session_message(id, m.pti, FgsmBody::ModificationComplete)]
            }
            FgsmBody::ReleaseCommand { .. } if self.habits.keeps_sessions => vec![],
            FgsmBody::ReleaseCommand { .. } => {
                self.sessions.remove(&id);
                vec![self.session_message(id, m.pti, FgsmBody::ReleaseComplete { cause: None })]
            }
            _ => vec![],
        }
    }
}

pub fn plmn() -> Plmn {
    Plmn::new("001", "01").unwrap()
}
