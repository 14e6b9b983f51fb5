//! A UE on a gNB against a hand-made network: the walk of a day, and the liar.

use super::*;
use crate::gnb::{self, Gnb, GnbConfig, GnbLies, UeKey};
use sim_auth::{Aka as _, fgs};
use types::{AmfId, FgTmsi, K, Opc, Rand, Sqn, Tac, Teid, Utc};
use wire::nas::fgs::{
    AuthenticationChallenge, AuthenticationRequest, ConfigurationUpdateCommand, ContainerType,
    DeregistrationRequestUeTerminated, DlNasTransport, Epco, EstablishmentAccept, EstablishmentReject,
    FgmmMessage, FgsmBody, FgsmMessage, IdentityType, MobileIdentity, NgKsi, QosFlow, QosRule,
    RegistrationAccept, RegistrationReject, RegistrationRequest, RequestedDnn, SecurityModeCommand,
    ServiceAccept, ServiceReject, SessionAmbr, SessionSet, Timer as Seconds,
};
use wire::nas::security::{Direction, HeaderType, NasContext, Nea, Nia, Pdu, open};
use wire::ngap::transfer::{Arp, QosFlowSetup, SessionType, SetupRequest, SetupResponse, Tunnel};
use wire::ngap::{
    Ambr, AmfUeNgapId, Cause, DownlinkNasTransport, GlobalGnbId, Guami, InitialContextSetupRequest, Message,
    NasCause, NgSetupResponse, PduSessionResourceReleaseCommand, PduSessionResourceSetupRequest, RadioCause,
    RanUeNgapId, SecurityKey, SessionSetup, SessionTransfer, SupportedPlmn, UeContextReleaseCommand, UeIds,
};

const K_HEX: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
const OPC_HEX: &str = "cd63cb71954a9f4e48a5994e37a02baf";

fn plmn() -> Plmn {
    Plmn::new("001", "01").unwrap()
}

fn slice() -> Snssai {
    Snssai { sst: 1, sd: None }
}

fn id(v: u8) -> PduSessionId {
    PduSessionId::try_from(v).unwrap()
}

fn tai() -> Tai {
    Tai { plmn: plmn(), tac: Tac::try_from(1).unwrap() }
}

fn guti(n: u32) -> FgGuti {
    FgGuti { plmn: plmn(), amf: AmfId { region: 1, set: 1, pointer: 1 }, tmsi: FgTmsi(n) }
}

/// A network of one cell and one subscriber, as simple as can be: it answers what it is asked and remembers what
/// it heard. What it refuses is set by the test.
struct Net {
    now: Now,
    ue: Ue,
    gnb: Gnb,
    seq: u64,
    context: Option<NasContext>,
    kamf: Option<types::Key256>,
    xres: Option<types::Key128>,
    amf_id: AmfUeNgapId,
    ran_id: RanUeNgapId,
    kgnb_count: u32,
    tmsi: u32,
    heard: Vec<FgmmMessage>,
    sessions_heard: Vec<FgsmMessage>,
    wrong_macs: usize,
    events: Vec<UeEvent>,
    tunnels: Vec<gnb::SessionTunnel>,
    errors: usize,
    tunnels_down: usize,
    reject: Option<(FgmmCause, Option<Seconds>)>,
    reject_service: Option<FgmmCause>,
    reject_session: Option<FgsmCause>,
    spoil_challenge: bool,
    clear_separation_bit: bool,
    context_setups: usize,
}

const KEY: UeKey = UeKey(7);

impl Net {
    fn new(lies: Lies) -> Self {
        let card = Usim::new(&K::from_hex(K_HEX).unwrap(), &Opc::from_hex(OPC_HEX).unwrap());
        let config = UeConfig {
            supi: "imsi-001010000000001".parse().unwrap(),
            plmn: plmn(),
            imeisv: Some("4370816125816151".parse().unwrap()),
            capability: UeSecurityCapability::of(&[Nea::Nea0, Nea::Nea2], &[Nia::Nia2]),
            conceal: None,
            slices: vec![slice()],
            lies,
        };
        let now = Now { mono: Mono(5_000_000_000), utc: Utc(1_800_000_000_000) };
        let gnb_config = GnbConfig {
            id: GlobalGnbId { plmn: plmn(), id: 1, bits: 24 },
            name: "lab-gnb-1".into(),
            plmn: plmn(),
            tac: Tac::try_from(1).unwrap(),
            slices: vec![slice()],
            n3: Ipv4Addr::new(192, 0, 2, 1).into(),
            lies: GnbLies::default(),
        };
        let mut net = Self {
            now,
            ue: Ue::new(config, card, now, [3; 32]),
            gnb: Gnb::new(gnb_config, now, [4; 32]),
            seq: 0,
            context: None,
            kamf: None,
            xres: None,
            amf_id: AmfUeNgapId::new(1).unwrap(),
            ran_id: RanUeNgapId(0),
            kgnb_count: 0,
            tmsi: 0x1000,
            heard: Vec::new(),
            sessions_heard: Vec::new(),
            wrong_macs: 0,
            events: Vec::new(),
            tunnels: Vec::new(),
            errors: 0,
            tunnels_down: 0,
            reject: None,
            reject_service: None,
            reject_session: None,
            spoil_challenge: false,
            clear_separation_bit: false,
            context_setups: 0,
        };
        net.gnb.handle(gnb::Input::Up, now);
        net.settle();
        assert!(net.gnb.is_ready());
        net
    }

    fn tell(&mut self, input: Input) {
        self.ue.handle(input, self.now);
        self.settle();
    }

    /// Moves everything until nobody has anything to say.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            if let Some(o) = self.ue.poll_output() {
                match o {
                    Output::Nas { octets, s_tmsi } => {
                        self.gnb.handle(gnb::Input::Nas { ue: KEY, octets, s_tmsi }, self.now);
                    }
                    Output::Event(e) => self.events.push(e),
                }
            } else if let Some(o) = self.gnb.poll_output() {
                self.radio(o);
            } else {
                return;
            }
        }
        panic!("they never stop talking");
    }

    fn radio(&mut self, o: gnb::Output) {
        match o {
            gnb::Output::Ngap { octets, .. } => self.ngap(wire::ngap::decode(&octets).unwrap()),
            gnb::Output::Nas { octets, .. } => self.ue.handle(Input::Nas(octets), self.now),
            gnb::Output::Released { .. } => self.ue.handle(Input::Released, self.now),
            gnb::Output::TunnelUp(t) => self.tunnels.push(t),
            gnb::Output::TunnelDown { session, .. } => {
                self.tunnels_down += 1;
                self.tunnels.retain(|t| t.session != session);
            }
            gnb::Output::SendAway { .. } => panic!("there is no other gNB"),
            gnb::Output::Updated { .. } => panic!("nothing changes"),
            gnb::Output::Paged { s_tmsi } => self.ue.handle(Input::Paged(s_tmsi), self.now),
            gnb::Output::Error(_) => self.errors += 1,
            gnb::Output::Ready { amf } => assert_eq!(amf, "lab-amf"),
            gnb::Output::Refused { .. } => panic!(),
        }
    }

    fn send(&mut self, m: &Message) {
        let octets = wire::ngap::encode(m).unwrap();
        self.gnb.handle(gnb::Input::Ngap(octets), self.now);
    }

    fn ngap(&mut self, m: Message) {
        match m {
            Message::NgSetupRequest(r) => {
                let plmns = r.tas[0].plmns.clone();
                let guami = Guami { plmn: plmn(), amf: guti(0).amf };
                self.send(&Message::NgSetupResponse(NgSetupResponse {
                    name: "lab-amf".into(),
                    guamis: vec![guami],
                    relative_capacity: Some(1),
                    plmns: plmns.into_iter().map(|p| SupportedPlmn { ..p }).collect(),
                }));
            }
            Message::InitialUeMessage(m) => {
                self.ran_id = m.ran_ue_id;
                self.amf_id = AmfUeNgapId::new(self.amf_id.value() + 1).unwrap();
                self.nas(&m.nas);
            }
            Message::UplinkNasTransport(m) => self.nas(&m.nas),
            Message::UeContextReleaseRequest(m) => self.release_context(m.cause),
            Message::ErrorIndication(_) => self.errors += 1,
            _ => {}
        }
    }

    fn down(&mut self, plain: &FgmmMessage, header: HeaderType) -> Vec<u8> {
        let octets = plain.encode().unwrap();
        match self.context.as_mut() {
            Some(c) => c.protect(&octets, header, Direction::Downlink).unwrap(),
            None => octets,
        }
    }

    fn carry(&mut self, nas: Vec<u8>) {
        let (amf_ue_id, ran_ue_id) = (self.amf_id, self.ran_id);
        self.send(&Message::DownlinkNasTransport(DownlinkNasTransport { amf_ue_id, ran_ue_id, nas }));
    }

    fn say(&mut self, m: &FgmmMessage) {
        let nas = self.down(m, HeaderType::Ciphered);
        self.carry(nas);
    }

    fn nas(&mut self, octets: &[u8]) {
        let mut message = match open(octets).unwrap() {
            Pdu::Plain(p) => FgmmMessage::decode(p).unwrap(),
            Pdu::Protected { .. } => {
                let Some(v) = self.context.as_mut().and_then(|c| c.unprotect(octets, Direction::Uplink).ok())
                else {
                    self.wrong_macs += 1;
                    return;
                };
                if v.header == HeaderType::CipheredNewContext || v.header == HeaderType::Integrity {
                    self.kgnb_count = v.count;
                }
                let m = FgmmMessage::decode(&v.plain).unwrap();
                self.whole(m, v.count)
            }
        };
        self.heard.push(message.clone());
        if let FgmmMessage::RegistrationRequest(r) = &mut message {
            r.nas_container = None;
        }
        self.answer(message);
    }

    /// The whole message out of its ciphered container.
    fn whole(&self, m: FgmmMessage, count: u32) -> FgmmMessage {
        let container = match &m {
            FgmmMessage::RegistrationRequest(r) => r.nas_container.clone(),
            FgmmMessage::ServiceRequest(r) => r.nas_container.clone(),
            _ => None,
        };
        let Some(mut value) = container else { return m };
        self.context.as_ref().unwrap().cipher_container(count, Direction::Uplink, &mut value);
        FgmmMessage::decode(&value).unwrap()
    }

    fn challenge(&mut self) {
        self.seq += 1;
        let (k, opc) = (K::from_hex(K_HEX).unwrap(), Opc::from_hex(OPC_HEX).unwrap());
        let sqn = Sqn::from_seq_ind(self.seq, 0, 5).unwrap();
        let rand = Rand([self.seq as u8; 16]);
        let snn = plmn().serving_network_name();
        let v = sim_auth::fg_vector(&k, &opc, rand, sqn, [0x80, 0], &snn);
        let mut autn = v.autn;
        if self.spoil_challenge {
            autn.0[15] ^= 1;
        }
        if self.clear_separation_bit {
            let (mac, f) = sim_auth::Milenage::new(&k, &opc).f12345(&rand, sqn, [0, 0]);
            let concealed: Vec<u8> = sqn.to_octets().iter().zip(f.ak).map(|(s, a)| s ^ a).collect();
            autn.0 = [concealed, vec![0, 0], mac.to_vec()].concat().try_into().unwrap();
        }
        self.kamf = Some(fgs::kamf(&v.kseaf, self.ue.supi(), &[0, 0]));
        self.xres = v.xres_star().cloned();
        let challenge = AuthenticationChallenge::FgAka { rand, autn };
        let m = AuthenticationRequest { ngksi: NgKsi::Native(0), abba: vec![0, 0], challenge };
        self.say(&FgmmMessage::AuthenticationRequest(m));
    }

    fn answer(&mut self, m: FgmmMessage) {
        match m {
            FgmmMessage::RegistrationRequest(r) => match &r.identity {
                MobileIdentity::Guti(_) if self.context.is_some() => self.accept(),
                MobileIdentity::Guti(_) => self.say(&FgmmMessage::IdentityRequest(IdentityType::Suci)),
                _ => {
                    self.context = None;
                    self.challenge();
                }
            },
            FgmmMessage::IdentityResponse(_) => self.challenge(),
            FgmmMessage::AuthenticationFailure(f) if f.cause == FgmmCause::SynchFailure => {
                let m =
                    sim_auth::Milenage::new(&K::from_hex(K_HEX).unwrap(), &Opc::from_hex(OPC_HEX).unwrap());
                let ms = m.open_auts(&Rand([self.seq as u8; 16]), &f.auts.unwrap()).unwrap();
                self.seq = ms.seq(5);
                self.challenge();
            }
            FgmmMessage::AuthenticationResponse(r) => {
                if r.res_star.is_none_or(|r| !r.matches(self.xres.as_ref().unwrap().expose())) {
                    self.say(&FgmmMessage::AuthenticationReject(None));
                    return;
                }
                let kamf = self.kamf.clone().unwrap();
                let (nia, nea) = (Nia::Nia2, Nea::Nea2);
                let keys = (fgs::knas_int(&kamf, nia.code()), fgs::knas_enc(&kamf, nea.code()));
                self.context = Some(NasContext::new(keys.0, keys.1, nia, nea));
                let command = SecurityModeCommand {
                    integrity: nia,
                    ciphering: nea,
                    ngksi: NgKsi::Native(0),
                    replayed_capability: UeSecurityCapability::of(&[Nea::Nea0, Nea::Nea2], &[Nia::Nia2]),
                    imeisv_requested: true,
                    retransmit_initial: true,
                    abba: None,
                    eap: None,
                };
                let m = FgmmMessage::SecurityModeCommand(command);
                let nas = self.down(&m, HeaderType::IntegrityNewContext);
                self.carry(nas);
            }
            FgmmMessage::SecurityModeComplete(_) => self.accept(),
            FgmmMessage::ServiceRequest(r) => match self.reject_service {
                Some(cause) => self.say(&FgmmMessage::ServiceReject(ServiceReject::new(cause))),
                None => {
                    let held = r.pdu_session_status;
                    let accept = ServiceAccept { pdu_session_status: held, reactivation_result: None };
                    self.set_up_context(&FgmmMessage::ServiceAccept(accept));
                    for id in r.uplink_data_status.into_iter().flat_map(SessionSet::iter) {
                        self.set_up_session(id, None);
                    }
                }
            },
            FgmmMessage::DeregistrationRequestUeOriginating(r) if !r.switch_off => {
                self.say(&FgmmMessage::DeregistrationAcceptUeOriginating);
                self.release_context(Cause::Nas(NasCause::DEREGISTER));
            }
            FgmmMessage::UlNasTransport(t) => {
                let m = FgsmMessage::decode(&t.payload).unwrap();
                self.sessions_heard.push(m.clone());
                match m.body {
                    FgsmBody::EstablishmentRequest(_)
                        if t.dnn == Some(RequestedDnn::Name("nowhere".parse().unwrap())) =>
                    {
                        let back = DlNasTransport {
                            kind: ContainerType::N1_SM,
                            payload: t.payload,
                            session: t.session,
                            cause: Some(FgmmCause::DnnNotSupportedInSlice),
                            backoff: None,
                        };
                        self.say(&FgmmMessage::DlNasTransport(back));
                    }
                    FgsmBody::EstablishmentRequest(r) => {
                        let body = self.session_answer(r.epco);
                        let accepted = matches!(body, FgsmBody::EstablishmentAccept(_));
                        let nas = self.session_nas(m.session, m.pti, body);
                        if accepted { self.set_up_session(m.session, Some(nas)) } else { self.carry(nas) }
                    }
                    FgsmBody::ReleaseRequest { .. } => self.release_session(m.session, m.pti),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn session_answer(&self, epco: Option<Epco>) -> FgsmBody {
        if let Some(cause) = self.reject_session {
            return FgsmBody::EstablishmentReject(EstablishmentReject { cause, backoff: None });
        }
        FgsmBody::EstablishmentAccept(EstablishmentAccept {
            session_type: PduSessionType::IPV4,
            ssc_mode: 1,
            rules: vec![QosRule::match_all(1, 255, 1)],
            ambr: SessionAmbr { dl_bps: 2_000_000, ul_bps: 1_000_000 },
            cause: Some(FgsmCause::PduSessionTypeIpv4OnlyAllowed),
            address: Some(Ipv4Addr::new(10, 20, 0, 9)),
            interface: None,
            slice: Some(slice()),
            flows: vec![QosFlow::create(1, 9)],
            epco: epco.and_then(|e| Epco::answer(&e, &[std::net::IpAddr::from([10, 20, 0, 1])], 1_400)),
            dnn: Some("corp".parse().unwrap()),
        })
    }

    fn session_nas(&mut self, session: PduSessionId, pti: u8, body: FgsmBody) -> Vec<u8> {
        let payload = FgsmMessage { session, pti, body }.encode().unwrap();
        let m = DlNasTransport {
            kind: ContainerType::N1_SM,
            payload,
            session: Some(session),
            cause: None,
            backoff: None,
        };
        self.down(&FgmmMessage::DlNasTransport(m), HeaderType::Ciphered)
    }

    fn set_up_session(&mut self, id: PduSessionId, nas: Option<Vec<u8>>) {
        let arp = Arp { priority: 8, may_preempt: false, preemptable: false };
        let transfer = SetupRequest {
            ambr: Some(Ambr { dl_bps: 2_000_000, ul_bps: 1_000_000 }),
            uplink: Tunnel::new(Ipv4Addr::new(198, 51, 100, 1), Teid::new(0x77).unwrap()),
            session_type: SessionType::Ipv4,
            flows: vec![QosFlowSetup { qfi: 1, five_qi: 9, arp }],
        };
        let (amf_ue_id, ran_ue_id) = (self.amf_id, self.ran_id);
        let session = SessionSetup { id, nas, slice: slice(), transfer: transfer.encode().unwrap() };
        self.send(&Message::PduSessionResourceSetupRequest(PduSessionResourceSetupRequest {
            amf_ue_id,
            ran_ue_id,
            nas: None,
            sessions: vec![session],
            ue_ambr: None,
        }));
    }

    fn release_session(&mut self, id: PduSessionId, pti: u8) {
        let cause = FgsmCause::RegularDeactivation;
        let nas = self.session_nas(id, pti, FgsmBody::ReleaseCommand { cause, backoff: None });
        let cause = Cause::Nas(NasCause::NORMAL_RELEASE);
        let transfer = wire::ngap::transfer::ReleaseCommand { cause }.encode().unwrap();
        let (amf_ue_id, ran_ue_id) = (self.amf_id, self.ran_id);
        self.send(&Message::PduSessionResourceReleaseCommand(PduSessionResourceReleaseCommand {
            amf_ue_id,
            ran_ue_id,
            nas: Some(nas),
            sessions: vec![SessionTransfer { id, transfer }],
        }));
    }

    fn accept(&mut self) {
        if let Some((cause, t3346)) = self.reject {
            let m = RegistrationReject { cause, t3346, t3502: None, eap: None };
            self.say(&FgmmMessage::RegistrationReject(m));
            self.release_context(Cause::Nas(NasCause::NORMAL_RELEASE));
            return;
        }
        self.tmsi += 1;
        let held = self.ue.sessions().map(|s| s.id).collect();
        let accept = RegistrationAccept {
            guti: Some(guti(self.tmsi)),
            tai_list: vec![tai()],
            allowed_nssai: vec![slice()],
            pdu_session_status: Some(held),
            ..RegistrationAccept::default()
        };
        self.set_up_context(&FgmmMessage::RegistrationAccept(accept));
    }

    fn set_up_context(&mut self, m: &FgmmMessage) {
        self.context_setups += 1;
        let nas = self.down(m, HeaderType::Ciphered);
        let key = SecurityKey(fgs::kgnb(self.kamf.as_ref().unwrap(), self.kgnb_count));
        let (amf_ue_id, ran_ue_id) = (self.amf_id, self.ran_id);
        self.send(&Message::InitialContextSetupRequest(InitialContextSetupRequest {
            amf_ue_id,
            ran_ue_id,
            ue_ambr: None,
            guami: Guami { plmn: plmn(), amf: guti(0).amf },
            sessions: Vec::new(),
            allowed_nssai: vec![slice()],
            security_capabilities: UeSecurityCapability::of(&[Nea::Nea2], &[Nia::Nia2]).for_ngap(),
            key,
            radio_capability: None,
            nas: Some(nas),
        }));
    }

    fn release_context(&mut self, cause: Cause) {
        let ue = UeIds::Pair(self.amf_id, self.ran_id);
        self.send(&Message::UeContextReleaseCommand(UeContextReleaseCommand { ue, cause }));
    }

    fn establish(&mut self, n: u8, dnn: Option<&str>) {
        let dnn = dnn.map(|d| d.parse().unwrap());
        let session_type = PduSessionType::IPV4V6;
        self.tell(Input::Establish { id: id(n), dnn, slice: None, session_type });
    }

    fn order_out(&mut self, cause: Option<FgmmCause>, reregister: bool) {
        let m = DeregistrationRequestUeTerminated { reregister, access: 1, cause, t3346: None };
        self.say(&FgmmMessage::DeregistrationRequestUeTerminated(m));
        self.settle();
        self.release_context(Cause::Nas(NasCause::DEREGISTER));
        self.settle();
    }

    fn idle(&mut self) {
        let cause = Cause::RadioNetwork(RadioCause::USER_INACTIVITY);
        self.gnb.handle(gnb::Input::AskRelease { ue: KEY, cause }, self.now);
        self.settle();
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.ue.handle_timeout(self.now);
        self.settle();
    }

    fn names(&self) -> Vec<&'static str> {
        self.heard.iter().map(FgmmMessage::name).collect()
    }

    fn last_event(&self) -> &UeEvent {
        self.events.last().unwrap()
    }
}

#[test]
fn a_day_of_an_honest_ue() {
    let mut net = Net::new(Lies::default());
    net.tell(Input::Register);
    assert_eq!(
        net.names(),
        ["RegistrationRequest", "AuthenticationResponse", "SecurityModeComplete", "RegistrationComplete"]
    );
    assert_eq!(net.ue.state(), State::Registered);
    // In clear only what may be read by everyone; the whole request followed under protection.
    let FgmmMessage::RegistrationRequest(first) = &net.heard[0] else { panic!() };
    assert!(first.requested_nssai.is_empty() && first.capability.is_none());
    let FgmmMessage::SecurityModeComplete(c) = &net.heard[2] else { panic!() };
    let FgmmMessage::RegistrationRequest(RegistrationRequest { requested_nssai, .. }) =
        FgmmMessage::decode(c.nas_container.as_ref().unwrap()).unwrap()
    else {
        panic!()
    };
    assert_eq!(requested_nssai, [slice()]);
    assert_eq!(c.pei.unwrap().to_string(), "imeisv-4370816125816151");
    assert!(net.gnb.key(KEY).unwrap().0 == net.ue.kgnb().unwrap(), "KgNB of UE and gNB differ");

    // A session, with all that comes with it.
    net.establish(5, Some("corp"));
    let UeEvent::SessionUp(s) = net.last_event().clone() else { panic!("{:?}", net.last_event()) };
    assert_eq!(
        (s.address, s.mtu, s.ambr_bps),
        (Ipv4Addr::new(10, 20, 0, 9), Some(1_400), (2_000_000, 1_000_000))
    );
    assert_eq!(
        (s.dns, s.cause),
        (vec!["10.20.0.1".parse().unwrap()], Some(FgsmCause::PduSessionTypeIpv4OnlyAllowed))
    );
    let t = net.tunnels[0];
    assert_eq!((t.session, t.uplink.teid, t.qfi), (id(5), Teid::new(0x77).unwrap(), 1));
    assert_eq!(t.downlink.address, Ipv4Addr::new(192, 0, 2, 1));

    // A data network that does not exist hurts nothing.
    net.establish(6, Some("nowhere"));
    assert_eq!(
        *net.last_event(),
        UeEvent::SessionRejected {
            id: id(6),
            cause: None,
            not_forwarded: Some(FgmmCause::DnnNotSupportedInSlice)
        }
    );
    net.reject_session = Some(FgsmCause::InsufficientResources);
    net.establish(6, None);
    assert_eq!(
        *net.last_event(),
        UeEvent::SessionRejected {
            id: id(6),
            cause: Some(FgsmCause::InsufficientResources),
            not_forwarded: None
        }
    );
    assert_eq!(net.ue.sessions().count(), 1);

    // Idle and back: the tunnel goes and comes, the session stays.
    net.idle();
    assert!(!net.ue.is_connected() && net.tunnels.is_empty());
    assert_eq!(net.ue.sessions().count(), 1);
    net.tell(Input::Service);
    assert_eq!(*net.last_event(), UeEvent::ServiceAccepted);
    assert_eq!(net.tunnels.len(), 1);
    assert!(net.gnb.key(KEY).unwrap().0 == net.ue.kgnb().unwrap());

    // Work that waits for the connection.
    net.idle();
    net.reject_session = None;
    net.tell(Input::Release { id: id(5) });
    assert_eq!(
        *net.last_event(),
        UeEvent::SessionDown { id: id(5), cause: Some(FgsmCause::RegularDeactivation) }
    );
    assert!(matches!(net.sessions_heard.last().unwrap().body, FgsmBody::ReleaseComplete { .. }));
    assert!(net.tunnels.is_empty());

    // Periodic registration from idle, with keys: no new challenge.
    net.idle();
    let challenges = net.seq;
    net.tell(Input::Update);
    assert!(matches!(net.last_event(), UeEvent::Registered { .. }));
    assert_eq!(net.seq, challenges);

    net.tell(Input::Deregister { switch_off: false });
    assert_eq!(*net.last_event(), UeEvent::Deregistered { cause: None, by_network: false });
    assert!(!net.ue.is_connected());

    // And the next morning, with the temporary identity and the keys of yesterday.
    net.tell(Input::Register);
    assert_eq!((net.ue.state(), net.seq), (State::Registered, challenges));
    net.tell(Input::PowerCycle);
    net.tell(Input::Register);
    assert_eq!(net.seq, challenges + 1, "a card that lost its keys is challenged");
    assert_eq!(net.wrong_macs + net.errors, 0);
}

#[test]
fn a_network_that_lost_the_context_asks_who_it_is() {
    let mut net = Net::new(Lies::default());
    net.tell(Input::Register);
    net.tell(Input::Deregister { switch_off: true });
    net.idle();
    net.context = None;
    // Its message cannot be verified any more; the test's network drops it, and the UE gives up in time.
    net.tell(Input::Register);
    assert_eq!(net.wrong_macs, 1);
    net.wait(15_000);
    assert_eq!(*net.last_event(), UeEvent::TimedOut("T3510"));
    assert_eq!(net.ue.state(), State::Deregistered);
}

#[test]
fn the_card_refuses_a_false_challenge() {
    let mut net = Net::new(Lies::default());
    net.spoil_challenge = true;
    net.tell(Input::Register);
    assert!(net.events.contains(&UeEvent::ChallengeRefused(FgmmCause::MacFailure)));
    let mut net = Net::new(Lies::default());
    net.clear_separation_bit = true;
    net.tell(Input::Register);
    assert!(net.events.contains(&UeEvent::ChallengeRefused(FgmmCause::Non5gAuthenticationUnacceptable)));
}

#[test]
fn a_card_that_is_ahead_resynchronises() {
    let mut net = Net::new(Lies::default());
    for _ in 0..3 {
        net.tell(Input::PowerCycle);
        net.tell(Input::Register);
    }
    net.seq = 0;
    net.tell(Input::PowerCycle);
    net.tell(Input::Register);
    assert!(net.events.contains(&UeEvent::ChallengeRefused(FgmmCause::SynchFailure)));
    assert_eq!((net.ue.state(), net.seq), (State::Registered, 4));
}

#[test]
fn a_banned_card_stays_out_until_it_is_switched_off_and_is_refused_again() {
    let mut net = Net::new(Lies::default());
    net.tell(Input::Register);
    net.establish(1, None);
    net.reject = Some((FgmmCause::IllegalUe, None));
    net.order_out(Some(FgmmCause::IllegalUe), false);
    assert!(
        net.events.contains(&UeEvent::Deregistered { cause: Some(FgmmCause::IllegalUe), by_network: true })
    );
    assert_eq!((net.ue.sessions().count(), net.tunnels.len(), net.ue.guti()), (0, 0, None));
    assert_eq!(net.names().last(), Some(&"DeregistrationAccept (UE terminated)"));
    net.tell(Input::Register);
    assert_eq!(*net.last_event(), UeEvent::Barred);
    net.tell(Input::PowerCycle);
    net.tell(Input::Register);
    let refused = UeEvent::Rejected { cause: FgmmCause::IllegalUe, protected: true, backoff_s: None };
    assert_eq!(*net.last_event(), refused);
    assert_eq!(net.ue.state(), State::Deregistered);
}

#[test]
fn congestion_is_waited_out() {
    let mut net = Net::new(Lies::default());
    net.reject = Some((FgmmCause::Congestion, Some(Seconds::Seconds(60))));
    net.tell(Input::Register);
    let refused = UeEvent::Rejected { cause: FgmmCause::Congestion, protected: true, backoff_s: Some(60) };
    assert_eq!(*net.last_event(), refused);
    net.reject = None;
    net.tell(Input::Register);
    assert_eq!(*net.last_event(), UeEvent::Barred);
    net.wait(60_000);
    net.tell(Input::Register);
    assert_eq!(net.ue.state(), State::Registered);
}

#[test]
fn an_unprotected_reject_bars_nobody() {
    let mut net = Net::new(Lies::default());
    net.tell(Input::Register);
    // Behind the network's back, in a connection that is secured: dropped.
    let reject =
        FgmmMessage::RegistrationReject(RegistrationReject::new(FgmmCause::IllegalUe)).encode().unwrap();
    net.tell(Input::Nas(reject.clone()));
    assert_eq!(*net.last_event(), UeEvent::Dropped("unprotected"));
    // Before security: the registration ends, the card is not barred.
    let mut net = Net::new(Lies::default());
    net.ue.handle(Input::Register, net.now);
    net.ue.handle(Input::Nas(reject), net.now);
    while let Some(o) = net.ue.poll_output() {
        if let Output::Event(e) = o {
            assert_eq!(
                e,
                UeEvent::Rejected { cause: FgmmCause::IllegalUe, protected: false, backoff_s: None }
            );
        }
    }
    net.tell(Input::Register);
    assert_eq!(net.ue.state(), State::Registered);
    for kind in [IdentityType::Imeisv, IdentityType::Imei, IdentityType::Guti] {
        let ask = FgmmMessage::IdentityRequest(kind).encode().unwrap();
        net.tell(Input::Nas(ask));
        assert_eq!(*net.last_event(), UeEvent::Dropped("unprotected"));
    }
}

#[test]
fn ordered_to_register_again_it_does_so_once_released() {
    let mut net = Net::new(Lies::default());
    net.tell(Input::Register);
    net.order_out(None, true);
    assert_eq!(net.ue.state(), State::Registered);
    assert_eq!(net.context_setups, 2);
}

#[test]
fn a_new_temporary_identity_is_taken_and_told() {
    let mut net = Net::new(Lies::default());
    net.tell(Input::Register);
    let m = ConfigurationUpdateCommand {
        acknowledge: true,
        guti: Some(guti(0xabcd)),
        ..ConfigurationUpdateCommand::default()
    };
    net.say(&FgmmMessage::ConfigurationUpdateCommand(m));
    net.settle();
    assert_eq!(net.ue.guti(), Some(guti(0xabcd)));
    assert_eq!(net.names().last(), Some(&"ConfigurationUpdateComplete"));
}

#[test]
fn a_refused_service_request_ends_the_registration_if_it_says_so() {
    let mut net = Net::new(Lies::default());
    net.tell(Input::Register);
    net.establish(1, None);
    net.idle();
    net.reject_service = Some(FgmmCause::ImplicitlyDeregistered);
    net.tell(Input::Service);
    assert!(net.events.contains(&UeEvent::ServiceRejected(FgmmCause::ImplicitlyDeregistered)));
    assert_eq!((net.ue.state(), net.ue.guti(), net.ue.sessions().count()), (State::Deregistered, None, 0));
}

#[test]
fn silence_is_not_waited_for_without_end() {
    let mut net = Net::new(Lies::default());
    net.tell(Input::Register);
    // The network forgets the context: it hears nothing more.
    net.context =
        Some(NasContext::new(types::Key128::new([1; 16]), types::Key128::new([1; 16]), Nia::Nia2, Nea::Nea2));
    net.establish(1, None);
    for _ in 0..5 {
        net.wait(16_000);
    }
    assert_eq!(net.wrong_macs, 5);
    assert_eq!(*net.last_event(), UeEvent::TimedOut("PDUSessionEstablishmentRequest"));
    net.tell(Input::Deregister { switch_off: false });
    net.wait(15_000);
    assert_eq!(net.ue.state(), State::Deregistered);
    assert_eq!(net.ue.poll_timeout(), None);
}

#[test]
fn the_liar() {
    // A wrong answer to the challenge.
    let mut net = Net::new(Lies { wrong_res: true, ..Lies::default() });
    net.tell(Input::Register);
    assert_eq!(*net.last_event(), UeEvent::AuthenticationRejected);
    // A claim that the network lied.
    let mut net = Net::new(Lies { claim_mac_failure: true, ..Lies::default() });
    net.tell(Input::Register);
    assert!(net.names().contains(&"AuthenticationFailure"));
    let mut net = Net::new(Lies { refuse_security_mode: true, ..Lies::default() });
    net.tell(Input::Register);
    assert!(net.events.contains(&UeEvent::SecurityModeRefused(FgmmCause::UeSecurityCapabilitiesMismatch)));
    // Each message twice, or with a wrong code: the network hears none of it.
    let mut net = Net::new(Lies { replay: true, ..Lies::default() });
    net.tell(Input::Register);
    assert_eq!(net.ue.state(), State::Registered);
    assert!(net.wrong_macs >= 2);
    net.ue.lies().replay = false;
    net.ue.lies().wrong_mac = true;
    let heard = net.heard.len();
    net.establish(1, None);
    assert_eq!(net.heard.len(), heard);
    // Someone else's name.
    let other = MobileIdentity::Guti(guti(0x9999));
    let mut net = Net::new(Lies { claim_identity: Some(other.clone()), ..Lies::default() });
    net.tell(Input::Register);
    let FgmmMessage::RegistrationRequest(r) = &net.heard[0] else { panic!() };
    assert_eq!(r.identity, other);
    assert!(net.names().contains(&"IdentityResponse"));
}

#[test]
fn the_stubborn_ue_does_not_go() {
    let mut net = Net::new(Lies::stubborn());
    net.tell(Input::Register);
    net.establish(1, None);
    let m = DeregistrationRequestUeTerminated {
        reregister: false,
        access: 1,
        cause: Some(FgmmCause::IllegalUe),
        t3346: None,
    };
    net.say(&FgmmMessage::DeregistrationRequestUeTerminated(m));
    net.settle();
    assert_eq!((net.ue.state(), net.ue.sessions().count()), (State::Registered, 1));
    assert_ne!(net.names().last(), Some(&"DeregistrationAccept (UE terminated)"));
    // The radio is not its own: when the gNB lets it go, its tunnel is gone.
    net.release_context(Cause::Nas(NasCause::DEREGISTER));
    net.settle();
    assert!(net.tunnels.is_empty() && !net.ue.is_connected());
    net.ue.lies().deaf = true;
    net.tell(Input::Nas(vec![0x7e, 0, 0x44, 3]));
    assert_eq!(net.ue.state(), State::Registered);
}

#[test]
fn rubbish_from_the_network_ends_nothing() {
    let mut net = Net::new(Lies::default());
    net.tell(Input::Register);
    for octets in
        [vec![], vec![0x7e], vec![0x7e, 2, 0, 0, 0, 0, 0, 0], vec![0x7e, 3, 1, 2, 3, 4, 5, 6], vec![0xff; 40]]
    {
        net.tell(Input::Nas(octets));
        assert!(matches!(net.last_event(), UeEvent::Dropped(_)));
    }
    assert_eq!(net.ue.state(), State::Registered);
    let response = SetupResponse::decode(&[0; 3]);
    assert!(response.is_err());
}
