//! The world around the core: gNBs, UEs, `hss`, the address ledger and the gateway, all scripted, one step
//! at a time, with a hand-moved clock.

use crate::ue::{Ue, plmn};
use access::nr::*;
use sim_auth::{Aka as _, FgVector, Milenage, Usim, eap_vector_of, fg_vector_of};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use types::*;
use wire::ngap::{self, *};
use wire::pfcp;

pub const A: AssocId = AssocId(1);
pub const B: AssocId = AssocId(2);

/// One SIM as `hss` knows it.
pub struct Sim {
    k: K,
    opc: Opc,
    seq: u64,
    pub verdict: Result<Subscription, Refusal>,
    /// No vector is given.
    pub unknown: bool,
    /// Vectors are made with another key.
    pub wrong_key: bool,
    /// Vectors are for EAP-AKA'.
    pub eap: bool,
}

/// A session as the gateway holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub cp_seid: u64,
    pub supi: Supi,
    pub id: PduSessionId,
    pub dnn: Dnn,
    pub ip: Ipv4Addr,
    pub prefix: Option<std::net::Ipv6Addr>,
    pub teid: u32,
    pub chosen: bool,
    pub downlink: Option<(u32, Ipv4Addr)>,
    /// Downlink packets wait for the UE and are reported.
    pub waits: bool,
    /// Maximum rates, uplink and downlink, kbit/s.
    pub rates: Option<(u64, u64)>,
}

#[derive(Default)]
pub struct Gateway {
    pub sessions: BTreeMap<u64, Held>,
    next: u64,
    pub refuses: bool,
    /// It refuses changes alone.
    pub refuses_changes: bool,
    pub silent: bool,
    pub requests: u64,
    /// Changes of a downlink that asked for End Markers.
    pub end_markers: u64,
}

/// A UE on a gNB.
pub struct Place {
    pub assoc: AssocId,
    pub ran: RanUeNgapId,
    pub amf: Option<AmfUeNgapId>,
    pub context: bool,
}

pub struct World {
    pub amf: Amf,
    pub now: Now,
    pub ues: Vec<Ue>,
    pub places: Vec<Option<Place>>,
    pub sims: BTreeMap<Supi, Sim>,
    pub gateway: Gateway,
    pub leases: BTreeMap<(Supi, Dnn), (PduSessionId, Ipv4Addr)>,
    pub refuse_address: Option<AddressRefusal>,
    /// The IPv6 prefix that comes with an address.
    pub prefix: Option<ipnet::Ipv6Net>,
    pub events: Vec<Event>,
    /// All NGAP messages of the AMF.
    pub sent: Vec<(AssocId, Message)>,
    pub closed: Vec<AssocId>,
    pub inbox: VecDeque<Input>,
    /// After this many outputs, this input comes first.
    pub interrupt: Option<(usize, Input)>,
    pub outputs: usize,
    pub gnb_fails_resources: bool,
    pub gnb_silent: bool,
    pub hss_silent: bool,
    /// Devices that `hss` was told of.
    pub located: Vec<Option<Pei>>,
    pub pool_silent: bool,
    /// What the gateway was asked last: number, our end of the session, whether it is a new one.
    pub asked_of_gateway: Option<(u32, u64, bool)>,
    next_ran: u32,
    next_teid: u32,
}

pub fn snssai() -> Snssai {
    Snssai { sst: 1, sd: None }
}

pub fn tac() -> Tac {
    Tac::try_from(7).unwrap()
}

pub fn location() -> UserLocation {
    UserLocation {
        cell: NrCgi { plmn: plmn(), cell: 0x10 },
        tai: Tai { plmn: plmn(), tac: tac() },
        time_stamp: None,
    }
}

pub fn supi(n: usize) -> Supi {
    format!("imsi-00101{n:010}").parse().unwrap()
}

pub fn subscription(supi: Supi) -> Subscription {
    Subscription {
        supi,
        slices: vec![snssai()],
        dnns: vec!["corp".parse().unwrap(), "factory".parse().unwrap()],
        ambr_ul_bps: 100_000_000,
        ambr_dl_bps: 200_000_000,
    }
}

pub fn config() -> AmfConfig {
    AmfConfig::new(plmn(), tac(), snssai())
}

pub fn refusal(cause: FgmmCause, reason: RefusalReason, backoff_s: Option<u32>) -> Refusal {
    Refusal { cause, backoff_s, reason }
}

impl World {
    /// One gNB (A) that is set up, a gateway that is associated, and `n` UEs that know nobody yet.
    pub fn new(n: usize) -> Self {
        Self::with_config(n, config())
    }

    pub fn with_config(n: usize, config: AmfConfig) -> Self {
        let now = Now { mono: Mono(1_000_000_000), utc: Utc(1_800_000_000_000) };
        let mut w = Self {
            amf: Amf::new(config, now, [7; 32]),
            now,
            ues: vec![],
            places: vec![],
            sims: BTreeMap::new(),
            gateway: Gateway::default(),
            leases: BTreeMap::new(),
            refuse_address: None,
            prefix: None,
            events: vec![],
            sent: vec![],
            closed: vec![],
            inbox: VecDeque::new(),
            interrupt: None,
            outputs: 0,
            gnb_fails_resources: false,
            gnb_silent: false,
            hss_silent: false,
            located: vec![],
            pool_silent: false,
            asked_of_gateway: None,
            next_ran: 0,
            next_teid: 0x5000,
        };
        for i in 0..n {
            w.add_ue(i);
        }
        w.gnb_up(A, 1);
        w.gateway_up();
        w.run();
        w
    }

    fn add_ue(&mut self, i: usize) {
        let mut key = [0x46; 16];
        key[..8].copy_from_slice(&(i as u64).to_be_bytes());
        let (k, opc) = (K::new(key), sim_auth::milenage::opc(&K::new(key), &[0xcd; 16]));
        let usim = Usim::new(&k, &opc);
        let who = supi(i);
        self.sims.insert(
            who,
            Sim {
                k,
                opc,
                seq: 1,
                verdict: Ok(subscription(who)),
                unknown: false,
                wrong_key: false,
                eap: false,
            },
        );
        self.ues.push(Ue::new(who, usim));
        self.places.push(None);
    }

    /// Another holder of the secret of UE `u`: same SIM, own card, own phone.
    pub fn clone_of(&mut self, u: usize) -> usize {
        let who = self.ues[u].supi;
        let sim = &self.sims[&who];
        let mut ue = Ue::new(who, Usim::new(&sim.k, &sim.opc));
        ue.imeisv = "imeisv-8601234500000101".parse().unwrap();
        self.ues.push(ue);
        self.places.push(None);
        self.ues.len() - 1
    }

    /// The SIM of UE `u` gets new keys.
    pub fn rekey(&mut self, u: usize) {
        let sim = self.sims.get_mut(&self.ues[u].supi).unwrap();
        sim.k = K::new([0x77; 16]);
        sim.seq = 1;
    }

    /// A fresh card with the keys of UE `u`.
    pub fn card(&self, u: usize) -> Usim {
        let sim = &self.sims[&self.ues[u].supi];
        Usim::new(&sim.k, &sim.opc)
    }

    /// SEQ of the vectors of UE `u` goes on from here.
    pub fn set_seq(&mut self, u: usize, seq: u64) {
        self.sims.get_mut(&self.ues[u].supi).unwrap().seq = seq;
    }

    pub fn gnb_up(&mut self, assoc: AssocId, id: u32) {
        let peer: IpAddr = format!("10.0.0.{id}").parse().unwrap();
        self.inbox.push_back(Input::AssocUp { assoc, peer });
        self.gnb_says(assoc, Message::NgSetupRequest(setup_request(id)));
    }

    pub fn gateway_up(&mut self) {
        let sessions = self.gateway_sessions();
        self.inbox.push_back(Input::N4Up { recovery: 1, sessions });
    }

    pub fn gateway_sessions(&self) -> Vec<GatewaySession> {
        let view = |(up, h): (&u64, &Held)| GatewaySession {
            cp_seid: Seid(h.cp_seid),
            up_seid: Seid(*up),
            supi: h.supi,
            pdu_session_id: h.id,
            dnn: h.dnn.clone(),
            ip: UeIp(h.ip),
            prefix: h.prefix.and_then(|p| ipnet::Ipv6Net::new(p, 64).ok()),
            teid: Teid::new(h.teid).unwrap(),
            radio: h.downlink.map(|(teid, address)| (address.into(), Teid::new(teid).unwrap())),
        };
        self.gateway.sessions.iter().map(view).collect()
    }

    // ---- moving on

    /// Until nobody has anything to say.
    pub fn run(&mut self) {
        loop {
            while let Some(out) = self.amf.poll_output() {
                self.outputs += 1;
                self.take(out);
                if self.interrupt.as_ref().is_some_and(|(at, _)| self.outputs == *at) {
                    let (_, input) = self.interrupt.take().unwrap();
                    self.amf.handle(input, self.now);
                }
            }
            match self.inbox.pop_front() {
                Some(input) => self.amf.handle(input, self.now),
                None => return,
            }
        }
    }

    /// Until this is so. What somebody would have said next is what waits in the inbox.
    pub fn run_until(&mut self, is: impl Fn(&Self) -> bool) {
        loop {
            self.run_outputs();
            if is(self) {
                return;
            }
            let input = self.inbox.pop_front().expect("it comes to that");
            self.amf.handle(input, self.now);
        }
    }

    /// Works off what the core wants, and lets nobody answer yet.
    pub fn run_outputs(&mut self) {
        while let Some(out) = self.amf.poll_output() {
            self.take(out);
        }
    }

    /// Moves the clock on, timer by timer.
    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(at) = self.amf.poll_timeout().filter(|at| *at <= end.mono) {
            let step = at.0.saturating_sub(self.now.mono.0).div_ceil(1_000_000);
            self.now = self.now.plus_ms(step);
            self.amf.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    pub fn input(&mut self, input: Input) {
        self.inbox.push_back(input);
        self.run();
    }

    // ---- gNBs and UEs

    pub fn gnb_says(&mut self, assoc: AssocId, message: Message) {
        let bytes = ngap::encode(&message).expect("the gNB's message encodes");
        self.raw(assoc, bytes);
    }

    pub fn raw(&mut self, assoc: AssocId, bytes: Vec<u8>) {
        self.inbox.push_back(Input::Ngap { assoc, stream: 1, bytes });
    }

    /// UE `u` comes to a gNB with its first message.
    pub fn arrive(&mut self, u: usize, assoc: AssocId, nas: Vec<u8>) {
        self.next_ran += 1;
        let ran = RanUeNgapId(self.next_ran);
        self.places[u] = Some(Place { assoc, ran, amf: None, context: false });
        self.initial(assoc, ran, nas);
    }

    /// An Initial UE Message of whomever.
    pub fn initial(&mut self, assoc: AssocId, ran: RanUeNgapId, nas: Vec<u8>) {
        self.gnb_says(
            assoc,
            Message::InitialUeMessage(InitialUeMessage {
                ran_ue_id: ran,
                nas,
                location: location(),
                rrc_cause: Some(RrcEstablishmentCause::MoSignalling),
                s_tmsi: None,
                context_requested: true,
            }),
        );
    }

    /// UE `u` says something on its connection.
    pub fn say(&mut self, u: usize, nas: Vec<u8>) {
        let Some(p) = &self.places[u] else { return };
        let (Some(amf_ue_id), ran_ue_id, assoc) = (p.amf, p.ran, p.assoc) else { return };
        self.gnb_says(
            assoc,
            Message::UplinkNasTransport(UplinkNasTransport {
                amf_ue_id,
                ran_ue_id,
                nas,
                location: Some(location()),
            }),
        );
    }

    /// Registration from nothing to its end.
    pub fn attach(&mut self, u: usize, assoc: AssocId) {
        let nas = self.ues[u].register(wire::nas::fgs::RegistrationType::Initial);
        self.arrive(u, assoc, nas);
        self.run();
    }

    /// A session into `dnn`.
    pub fn connect(&mut self, u: usize, id: u8, dnn: &str) {
        let nas = self.ues[u].establish(id, id, Some(dnn), wire::nas::fgs::PduSessionType::IPV4);
        self.say(u, nas);
        self.run();
    }

    /// The gNB lets UE `u` go for inactivity.
    pub fn go_idle(&mut self, u: usize) {
        let p = self.places[u].as_ref().unwrap();
        let m = UeContextReleaseRequest {
            amf_ue_id: p.amf.unwrap(),
            ran_ue_id: p.ran,
            sessions: vec![],
            cause: Cause::RadioNetwork(RadioCause::USER_INACTIVITY),
        };
        let assoc = p.assoc;
        self.gnb_says(assoc, Message::UeContextReleaseRequest(m));
        self.run();
    }

    pub fn view(&self, u: usize) -> Option<UeView> {
        self.amf.ue(self.ues[u].supi)
    }

    pub fn state(&self, u: usize) -> Option<UeState> {
        self.view(u).map(|v| v.state)
    }

    pub fn phases(&self, u: usize) -> Vec<SessionPhase> {
        self.view(u).map(|v| v.sessions.iter().map(|s| s.phase).collect()).unwrap_or_default()
    }

    pub fn happened(&self, is: impl Fn(&Happening) -> bool) -> usize {
        self.events.iter().filter(|e| is(&e.what)).count()
    }

    pub fn refused(&self, reason: &str) -> u64 {
        self.amf.counters().refused.get(reason).copied().unwrap_or(0)
    }

    /// What a gNB was sent last.
    pub fn last(&self, assoc: AssocId) -> &Message {
        &self.sent.iter().rev().find(|(a, _)| *a == assoc).expect("something was sent").1
    }

    /// Everything that could leak is what it should be: contexts of the UEs only, no question, no request.
    pub fn assert_tidy(&self, connections: usize) {
        let [conns, _, questions, requests] = self.amf.held();
        assert_eq!([conns, questions, requests], [connections, 0, 0], "connections, questions, requests");
        let leased: BTreeSet<Ipv4Addr> = self.leases.values().map(|(_, ip)| *ip).collect();
        let held: BTreeSet<Ipv4Addr> = self.gateway.sessions.values().map(|h| h.ip).collect();
        assert_eq!(leased, held, "addresses leased and sessions held");
    }

    // ---- what the core wants

    fn take(&mut self, out: Output) {
        match out {
            Output::Send { assoc, bytes, .. } => {
                let message = ngap::decode(&bytes).expect("the AMF's message decodes");
                self.sent.push((assoc, message.clone()));
                self.gnb(assoc, message);
            }
            Output::Close { assoc, .. } => self.closed.push(assoc),
            Output::NeedVector { txn, identity, serving, resync } => {
                assert_eq!(serving, plmn());
                if !self.hss_silent {
                    let result = self.vector(&identity, resync);
                    self.inbox.push_back(Input::Vector { txn, result });
                }
            }
            Output::JudgeAuts { txn, supi, accepted: (accepted, autn), rand, auts } => {
                let sim = &self.sims[&supi];
                let card = Milenage::new(&sim.k, &sim.opc);
                let said = card.open_autn(&accepted, &autn).ok().zip(card.open_auts(&rand, &auts).ok());
                let result = said.map(|(o, sqn_ms)| AutsJudgement {
                    accepted: o.sqn,
                    sqn_ms,
                    behind: sqn_ms.seq(5) < o.sqn.seq(5),
                });
                self.inbox.push_back(Input::AutsJudged { txn, result });
            }
            Output::Locate { txn, supi, pei, .. } => {
                self.located.push(pei);
                if !self.hss_silent {
                    let result = self.sims[&supi].verdict.clone();
                    self.inbox.push_back(Input::Located { txn, result });
                }
            }
            Output::NeedAddress { txn, supi, dnn, id } => {
                if self.pool_silent {
                    return;
                }
                let result = match self.refuse_address {
                    Some(r) => Err(r),
                    None => Ok(self.lease(supi, dnn, id)),
                };
                self.inbox.push_back(Input::Address { txn, result });
            }
            Output::ReleaseAddress { supi, dnn, id } => {
                let lease = self.leases.remove(&(supi, dnn.clone()));
                assert_eq!(
                    lease.map(|l| l.0),
                    Some(id),
                    "{supi} {dnn}: a lease is released once, by its session"
                );
            }
            Output::N4(bytes) => self.n4(&bytes),
            Output::Event(event) => self.events.push(event),
        }
    }

    fn vector(
        &mut self,
        identity: &Identity,
        resync: Option<(Rand, Auts)>,
    ) -> Result<(Supi, FgVector), Refusal> {
        let who = match identity {
            Identity::Supi(s) => *s,
            Identity::Suci(s) => s.null_scheme_supi().expect("null scheme"),
        };
        let unknown = refusal(FgmmCause::IllegalUe, RefusalReason::UnknownSim, None);
        let sim = self.sims.get_mut(&who).filter(|s| !s.unknown).ok_or(unknown)?;
        let milenage = Milenage::new(&sim.k, &sim.opc);
        if let Some((rand, auts)) = resync {
            match milenage.open_auts(&rand, &auts) {
                Ok(sqn) => sim.seq = sqn.seq(5) + 1,
                Err(_) => return Err(refusal(FgmmCause::SynchFailure, RefusalReason::Resync, None)),
            }
        }
        sim.seq += 1;
        let sqn = Sqn::from_seq_ind(sim.seq, 1, 5).unwrap();
        let mut rand = [0x23; 16];
        rand[..8].copy_from_slice(&sim.seq.to_be_bytes());
        let other = K::new([9; 16]);
        let k = if sim.wrong_key { &other } else { &sim.k };
        let (card, snn) = (Milenage::new(k, &sim.opc), crate::ue::SNN);
        Ok((
            who,
            match sim.eap {
                true => eap_vector_of(&card, Rand(rand), sqn, [0x80, 0], snn, who),
                false => fg_vector_of(&card, Rand(rand), sqn, [0x80, 0], snn),
            },
        ))
    }

    fn lease(&mut self, supi: Supi, dnn: Dnn, id: PduSessionId) -> SessionAddress {
        let n: u32 = supi.imsi().to_string().chars().skip(8).collect::<String>().parse().unwrap();
        let second = u8::from(dnn.as_str() != "corp");
        let ip = Ipv4Addr::from(0x0a14_0000 + u32::from(second) * 0x1_0000 + 2 + n);
        let before = self.leases.insert((supi, dnn), (id, ip));
        assert_eq!(before, None, "an address is not leased twice");
        SessionAddress {
            ip: UeIp(ip),
            prefix: self.prefix,
            dns: vec!["10.0.0.53".parse().unwrap()],
            mtu: 1358,
        }
    }

    // ---- the gNB

    fn gnb(&mut self, assoc: AssocId, message: Message) {
        let (amf, ran) = message.ue_ids();
        let u = self
            .places
            .iter()
            .position(|p| p.as_ref().is_some_and(|p| p.assoc == assoc && Some(p.ran) == ran));
        let (Some(amf_ue_id), Some(ran_ue_id)) = (amf, ran) else { return };
        if let Message::UeContextReleaseCommand(_) = message {
            if let Some(u) = u {
                self.places[u] = None;
            }
            if !self.gnb_silent {
                self.gnb_says(
                    assoc,
                    Message::UeContextReleaseComplete(UeContextReleaseComplete {
                        amf_ue_id,
                        ran_ue_id,
                        location: None,
                        sessions: vec![],
                    }),
                );
            }
            return;
        }
        let Some(u) = u.filter(|_| !matches!(message, Message::ErrorIndication(_))) else { return };
        if let Some(p) = &mut self.places[u] {
            p.amf = Some(amf_ue_id);
        }
        match message {
            Message::DownlinkNasTransport(m) => self.deliver(u, &m.nas),
            Message::InitialContextSetupRequest(m) if !self.gnb_silent => {
                let (setup, failed) = self.resources(&m.sessions);
                if let Some(p) = &mut self.places[u] {
                    p.context = true;
                }
                self.gnb_says(
                    assoc,
                    Message::InitialContextSetupResponse(InitialContextSetupResponse {
                        amf_ue_id,
                        ran_ue_id,
                        setup,
                        failed: failed.clone(),
                    }),
                );
                if let Some(nas) = &m.nas {
                    self.deliver(u, nas);
                }
                self.deliver_session_nas(u, &m.sessions, !failed.is_empty());
            }
            Message::PduSessionResourceSetupRequest(m) if !self.gnb_silent => {
                let (setup, failed) = self.resources(&m.sessions);
                self.gnb_says(
                    assoc,
                    Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
                        amf_ue_id,
                        ran_ue_id,
                        setup,
                        failed: failed.clone(),
                    }),
                );
                if let Some(nas) = &m.nas {
                    self.deliver(u, nas);
                }
                self.deliver_session_nas(u, &m.sessions, !failed.is_empty());
            }
            Message::PduSessionResourceModifyRequest(m) if !self.gnb_silent => {
                let transfer = transfer::ModifyResponse.encode().unwrap();
                let modified =
                    m.sessions.iter().map(|s| SessionTransfer { id: s.id, transfer: transfer.clone() });
                self.gnb_says(
                    assoc,
                    Message::PduSessionResourceModifyResponse(PduSessionResourceModifyResponse {
                        amf_ue_id,
                        ran_ue_id,
                        modified: modified.collect(),
                        failed: vec![],
                    }),
                );
                for nas in m.sessions.iter().filter_map(|s| s.nas.as_ref()) {
                    self.deliver(u, nas);
                }
            }
            // New rates it takes at once; whoever tells it keys says himself what it answers.
            Message::UeContextModificationRequest(m) if !self.gnb_silent && m.key.is_none() => {
                let done = UeContextModificationResponse { amf_ue_id, ran_ue_id };
                self.gnb_says(assoc, Message::UeContextModificationResponse(done));
            }
            Message::PduSessionResourceReleaseCommand(m) if !self.gnb_silent => {
                let released = m
                    .sessions
                    .iter()
                    .map(|s| SessionTransfer {
                        id: s.id,
                        transfer: transfer::ReleaseResponse.encode().unwrap(),
                    })
                    .collect();
                self.gnb_says(
                    assoc,
                    Message::PduSessionResourceReleaseResponse(PduSessionResourceReleaseResponse {
                        amf_ue_id,
                        ran_ue_id,
                        released,
                        location: None,
                    }),
                );
                if let Some(nas) = &m.nas {
                    self.deliver(u, nas);
                }
            }
            _ => {}
        }
    }

    fn resources(&mut self, sessions: &[SessionSetup]) -> (Vec<SessionTransfer>, Vec<SessionTransfer>) {
        let (mut setup, mut failed) = (vec![], vec![]);
        for s in sessions {
            let asked = transfer::SetupRequest::decode(&s.transfer).expect("the SMF's transfer decodes");
            assert!(self.gateway.sessions.values().any(|h| h.teid == asked.uplink.teid.value()));
            if self.gnb_fails_resources {
                let cause = Cause::RadioNetwork(RadioCause::RADIO_RESOURCES_NOT_AVAILABLE);
                let transfer = transfer::SetupUnsuccessful { cause }.encode().unwrap();
                failed.push(SessionTransfer { id: s.id, transfer });
            } else {
                self.next_teid += 1;
                setup.push(SessionTransfer { id: s.id, transfer: tunnel(self.next_teid, [10, 0, 0, 1]) });
            }
        }
        (setup, failed)
    }

    fn deliver_session_nas(&mut self, u: usize, sessions: &[SessionSetup], failed: bool) {
        for nas in sessions.iter().filter(|_| !failed).filter_map(|s| s.nas.as_ref()) {
            self.deliver(u, nas);
        }
    }

    pub fn deliver(&mut self, u: usize, nas: &[u8]) {
        for answer in self.ues[u].on_nas(nas) {
            self.say(u, answer);
        }
    }

    // ---- the gateway

    fn n4(&mut self, bytes: &[u8]) {
        use wire::pfcp::{Message as M, Pdu};
        let pdu = Pdu::parse(bytes).expect("the SMF's message decodes");
        self.gateway.requests += 1;
        if self.gateway.silent {
            return;
        }
        let node_id = pfcp::NodeId::V4(Ipv4Addr::new(10, 0, 0, 100));
        let cause = if self.gateway.refuses { pfcp::Cause::NoResources } else { pfcp::Cause::Accepted };
        let up = pdu.seid.unwrap_or(0);
        let cp = self.gateway.sessions.get(&up).map_or(0, |h| h.cp_seid);
        self.asked_of_gateway = match &pdu.message {
            M::SessionEstablishmentRequest(m) => Some((pdu.sequence, m.cp_f_seid.seid, true)),
            _ => Some((pdu.sequence, cp, false)),
        };
        let (seid, answer): (Option<u64>, M) = match pdu.message {
            M::AssociationSetupRequest(_) => (
                None,
                pfcp::AssociationSetupResponse {
                    node_id,
                    cause: pfcp::Cause::Accepted,
                    recovery: pfcp::RecoveryTimeStamp(1),
                    up_features: None,
                    cp_features: None,
                    others: vec![],
                }
                .into(),
            ),
            M::SessionEstablishmentRequest(m) => {
                let (seid, answer) = self.establish(m, node_id, cause);
                (Some(seid), answer)
            }
            M::SessionModificationRequest(m) => {
                let found = self.gateway.sessions.get_mut(&up);
                let cause = match found {
                    None => pfcp::Cause::SessionContextNotFound,
                    Some(_) if self.gateway.refuses_changes => pfcp::Cause::NoResources,
                    Some(h) if cause.is_accepted() => {
                        if let Some(mbr) = m.update_qers.iter().find_map(|q| q.mbr) {
                            h.rates = Some((mbr.uplink, mbr.downlink));
                        }
                        for far in &m.update_fars {
                            let forwards =
                                far.apply_action.is_some_and(|a| a.first & pfcp::ApplyAction::FORW != 0);
                            let waits = pfcp::ApplyAction::BUFF | pfcp::ApplyAction::NOCP;
                            h.waits = far.apply_action.is_some_and(|a| a.first == waits);
                            let parameters = far.forwarding_parameters.as_ref();
                            let marked = parameters.and_then(|p| p.flags).is_some_and(|f| f.0 & 2 != 0);
                            self.gateway.end_markers += u64::from(marked);
                            let tunnel = parameters.and_then(|p| p.outer_header_creation);
                            h.downlink =
                                tunnel.filter(|_| forwards).map(|t| (t.teid.unwrap(), t.v4.unwrap()));
                        }
                        cause
                    }
                    Some(_) => cause,
                };
                let m = pfcp::SessionModificationResponse { cause, ..Default::default() };
                (Some(cp), m.into())
            }
            M::SessionDeletionRequest(_) => {
                let cause = match self.gateway.sessions.remove(&up) {
                    Some(_) => pfcp::Cause::Accepted,
                    None => pfcp::Cause::SessionContextNotFound,
                };
                (Some(cp), pfcp::SessionDeletionResponse { cause, ..Default::default() }.into())
            }
            _ => return,
        };
        let bytes = Pdu { seid, sequence: pdu.sequence, message: answer }.encode();
        self.inbox.push_back(Input::N4(bytes));
    }

    fn establish(
        &mut self,
        m: pfcp::SessionEstablishmentRequest,
        node_id: pfcp::NodeId,
        cause: pfcp::Cause,
    ) -> (u64, pfcp::Message) {
        self.gateway.next += 1;
        let up = self.gateway.next;
        let teid = match m.create_pdrs.iter().find_map(|p| p.pdi.local_f_teid) {
            Some(pfcp::FTeid::Given { teid, .. }) => (teid, false),
            _ => (0x100 + up as u32, true),
        };
        let n3 = Ipv4Addr::new(10, 0, 0, 100);
        let created = pfcp::CreatedPdr {
            pdr_id: m.create_pdrs[0].pdr_id,
            local_f_teid: Some(pfcp::FTeid::Given { teid: teid.0, v4: Some(n3), v6: None }),
            ..Default::default()
        };
        if cause.is_accepted() {
            let downlink = m
                .create_fars
                .iter()
                .find_map(|f| f.forwarding_parameters.as_ref()?.outer_header_creation)
                .map(|t| (t.teid.unwrap(), t.v4.unwrap()));
            let ip = m.create_pdrs[0].pdi.ue_ip_addresses[0].v4.unwrap();
            assert!(self.gateway.sessions.values().all(|h| h.ip != ip), "one session per address");
            self.gateway.sessions.insert(
                up,
                Held {
                    cp_seid: m.cp_f_seid.seid,
                    supi: Supi(m.user_id.unwrap().imsi.unwrap()),
                    id: m.pdu_session.unwrap().0,
                    dnn: m.apn_dnn.unwrap().0,
                    ip,
                    prefix: m.create_pdrs[0].pdi.ue_ip_addresses[0].v6,
                    teid: teid.0,
                    chosen: teid.1,
                    downlink,
                    waits: false,
                    rates: m.create_qers.iter().find_map(|q| q.mbr).map(|m| (m.uplink, m.downlink)),
                },
            );
        }
        let answer = pfcp::SessionEstablishmentResponse {
            node_id,
            cause,
            offending_ie: None,
            up_f_seid: cause.is_accepted().then_some(pfcp::FSeid { seid: up, v4: Some(n3), v6: None }),
            created_pdrs: if cause.is_accepted() { vec![created] } else { vec![] },
            failed_rule_id: None,
            others: vec![],
        };
        (m.cp_f_seid.seid, answer.into())
    }
}

pub fn tunnel(teid: u32, address: [u8; 4]) -> Vec<u8> {
    transfer::SetupResponse {
        downlink: transfer::Tunnel::new(address, Teid::new(teid).unwrap()),
        flows: vec![1],
        failed: vec![],
    }
    .encode()
    .unwrap()
}

pub fn setup_request(id: u32) -> NgSetupRequest {
    NgSetupRequest {
        node: RanNodeId::Gnb(GlobalGnbId { plmn: plmn(), id, bits: 22 }),
        name: Some(format!("gnb-{id}")),
        tas: vec![SupportedTa {
            tac: tac(),
            plmns: vec![SupportedPlmn { plmn: plmn(), slices: vec![snssai()] }],
        }],
        paging_drx: Some(PagingDrx::V128),
    }
}
