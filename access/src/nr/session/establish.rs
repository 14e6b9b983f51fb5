//! PDU session establishment (TS 23.502 §4.3.2.2; TS 24.501 §6.4.1) and the return of a user plane (§4.2.3.2).
//!
//! `Address → N4Established → (Radio) → Resources → N4Forwarding → Active`.

use super::super::amf::Asked;
use super::super::timers::{INNER_GUARD_MS, NGAP_GUARD_MS, TimerKey};
use super::super::ue::{Phase, Radio};
use super::super::{Amf, Output, TxnId};
use super::{Session, State, UpEnd};
use types::{
    AddressRefusal, Dnn, FgmmCause, FgsmCause, Happening, PduSessionId, SessionAddress, Snssai, Supi,
};
use wire::nas::fgs::{
    Epco, EpcoContainer, EstablishmentAccept, EstablishmentReject, EstablishmentRequest, FgsmBody,
    PduSessionType, QosFlow, QosRule, RequestType, RequestedDnn, SessionAmbr, SessionSet, Timer,
    UlNasTransport,
};
use wire::ngap::transfer::{Arp, QosFlowSetup, SessionType, SetupRequest, SetupResponse, Tunnel};
use wire::ngap::{AmfUeNgapId, SessionSetup, SessionTransfer};

/// The one QoS flow of a session.
pub(in crate::nr) const QFI: u8 = 1;
/// Its 5QI: non-GBR, the ordinary one of the Internet (TS 23.501 Table 5.7.4-1).
const FIVE_QI: u8 = 9;
/// 5GMM cause #65: maximum number of PDU sessions reached.
const MAX_SESSIONS_REACHED: FgmmCause = FgmmCause(65);
/// Back-off told where the gateway or the pool cannot serve at the moment, seconds.
const BACKOFF_S: u32 = 10;

impl Amf {
    /// PDU Session Establishment Request: the part of the AMF first (is it to be forwarded, to which data
    /// network), then that of the SMF.
    pub(super) fn on_establishment_request(
        &mut self,
        supi: Supi,
        id: PduSessionId,
        pti: u8,
        m: UlNasTransport,
        request: EstablishmentRequest,
    ) {
        let (dnn, slice) = match self.route(supi, id, &m) {
            Ok(route) => route,
            Err((cause, dnn)) => {
                let what = Happening::SessionRefused { id, dnn, cause: in_words_of_5gsm(cause) };
                self.event_limited(Some(supi.imsi()), what);
                return self.bounce(supi, id, m.payload, cause);
            }
        };
        let here = self.session(supi, id);
        let repeated = here.is_some_and(|s| {
            s.pti == pti && !s.announced && !matches!(s.state, State::ExpectReleaseComplete { .. })
        });
        if repeated {
            return self.refused("repeated-request");
        }
        let exists = here.is_some() || self.smf.adopted_of(supi).any(|g| g.pdu_session_id == id);
        let refusal = match (request.session_type.unwrap_or(PduSessionType::IPV4), request.ssc_mode) {
            (t, _) if !IP.contains(&t) => Some(FgsmCause::UnknownPduSessionType),
            (_, Some(mode)) if mode != 1 => Some(FgsmCause::SscModeNotSupported),
            _ if m.request == Some(RequestType::EXISTING) && !exists => {
                Some(FgsmCause::PduSessionDoesNotExist)
            }
            _ if !self.smf.is_up() => Some(FgsmCause::InsufficientResources),
            _ => None,
        };
        if let Some(cause) = refusal {
            return self.reject_session(supi, id, pti, Some(dnn), cause);
        }
        self.make_room(supi, id, &dnn);
        let txn = self.ask(Asked::Address(supi, id, dnn.clone()));
        let seid = self.smf.next_seid();
        let Some(ue) = self.registry.ue_mut(supi) else { return self.forget_question(txn) };
        let session = Session {
            id,
            pti,
            dnn: dnn.clone(),
            slice,
            wanted: request.session_type.unwrap_or(PduSessionType::IPV4),
            epco: request.epco,
            address: None,
            seid,
            up: None,
            radio: None,
            announced: false,
            told: None,
            changing: None,
            state: State::ExpectAddress { txn },
        };
        ue.sessions.insert(id, Box::new(session));
        self.smf.own(seid, supi, id);
        self.start(TimerKey::Session(supi, id), INNER_GUARD_MS);
        self.out.push_back(Output::NeedAddress { txn, supi, dnn, id });
    }

    /// The data network and slice of a request, or the 5GMM cause with which it goes back to the UE.
    fn route(
        &self,
        supi: Supi,
        id: PduSessionId,
        m: &UlNasTransport,
    ) -> Result<(Dnn, Snssai), (FgmmCause, Option<Dnn>)> {
        let not_forwarded = (FgmmCause::PayloadNotForwarded, None);
        let Some(ue) = self.registry.ue(supi) else { return Err(not_forwarded) };
        let Some(subscription) = &ue.subscription else { return Err(not_forwarded) };
        let ordinary = [None, Some(RequestType::INITIAL), Some(RequestType::EXISTING)];
        if !ordinary.contains(&m.request) {
            return Err(not_forwarded);
        }
        let slice = match m.slice {
            Some(slice) if !ue.allowed.contains(&slice) => return Err(not_forwarded),
            Some(slice) => slice,
            None => *ue.allowed.first().ok_or(not_forwarded)?,
        };
        let dnn = match &m.dnn {
            Some(RequestedDnn::Name(name)) if subscription.dnns.contains(name) => name.clone(),
            Some(RequestedDnn::Name(name)) => {
                return Err((FgmmCause::DnnNotSupportedInSlice, Some(name.clone())));
            }
            Some(RequestedDnn::Unknown(_)) => return Err((FgmmCause::DnnNotSupportedInSlice, None)),
            None => {
                let default = subscription.dnns.first();
                default.cloned().ok_or((FgmmCause::DnnNotSupportedInSlice, None))?
            }
        };
        let others = ue.sessions.keys().filter(|other| **other != id).count();
        if others >= self.config.limits.sessions_per_ue {
            return Err((MAX_SESSIONS_REACHED, Some(dnn)));
        }
        Ok((dnn, slice))
    }

    /// A new session replaces the one of the same identity, which the UE has given up by asking, and the one
    /// into the same data network, because a SIM has one address there (decision D8).
    fn make_room(&mut self, supi: Supi, id: PduSessionId, dnn: &Dnn) {
        self.drop_session(supi, id);
        let same_network: Vec<PduSessionId> = self
            .registry
            .ue(supi)
            .into_iter()
            .flat_map(|ue| ue.sessions.values())
            .filter(|s| s.dnn == *dnn && !matches!(s.state, State::ExpectReleaseComplete { .. }))
            .map(|s| s.id)
            .collect();
        for other in same_network {
            self.release_session(supi, other, 0, FgsmCause::RegularDeactivation);
        }
        self.end_adopted_where(supi, |g| g.pdu_session_id == id || g.dnn == *dnn);
    }

    /// PDU Session Establishment Reject.
    pub(super) fn reject_session(
        &mut self,
        supi: Supi,
        id: PduSessionId,
        pti: u8,
        dnn: Option<Dnn>,
        cause: FgsmCause,
    ) {
        self.refused("session");
        let reject = FgsmBody::EstablishmentReject(EstablishmentReject { cause, backoff: backoff(cause) });
        self.send_session(supi, id, pti, reject);
        self.event_limited(Some(supi.imsi()), Happening::SessionRefused { id, dnn, cause });
    }

    /// A session that was being made cannot be: the UE is told, and nothing of it stays.
    pub(super) fn fail_session(&mut self, supi: Supi, id: PduSessionId, cause: FgsmCause) {
        let Some((pti, dnn)) = self.session(supi, id).map(|s| (s.pti, s.dnn.clone())) else { return };
        self.drop_session(supi, id);
        self.reject_session(supi, id, pti, Some(dnn), cause);
    }

    /// The address, or why there is none.
    pub(in crate::nr) fn on_address(
        &mut self,
        (supi, id, dnn): (Supi, PduSessionId, Dnn),
        txn: TxnId,
        result: Result<SessionAddress, AddressRefusal>,
    ) {
        let waits = self
            .session(supi, id)
            .is_some_and(|s| matches!(s.state, State::ExpectAddress { txn: t } if t == txn));
        if !waits {
            return self.give_back(supi, id, dnn, result.is_ok());
        }
        self.timers.stop(TimerKey::Session(supi, id));
        match result {
            Ok(address) => {
                let Some(s) = self.session_mut(supi, id) else { return };
                s.address = Some(address);
                if s.given().is_none() {
                    return self.fail_session(supi, id, FgsmCause::PduSessionTypeIpv4OnlyAllowed);
                }
                s.state = State::ExpectN4Established;
                self.n4_establish(supi, id);
            }
            Err(AddressRefusal::UnknownDnn) => self.fail_session(supi, id, FgsmCause::MissingOrUnknownDnn),
            Err(AddressRefusal::PoolExhausted | AddressRefusal::Unavailable) => {
                self.fail_session(supi, id, FgsmCause::InsufficientResources);
            }
        }
    }

    /// An address came for a session that does not want it any more: it rests, unless another session of the
    /// same SIM in the same data network has taken its place, and with it the address.
    fn give_back(&mut self, supi: Supi, id: PduSessionId, dnn: Dnn, given: bool) {
        let taken = self.registry.ue(supi).is_some_and(|ue| {
            let holds = |s: &Session| !matches!(s.state, State::ExpectReleaseComplete { .. });
            ue.sessions.values().any(|s| s.dnn == dnn && holds(s))
        });
        if given && !taken {
            self.out.push_back(Output::ReleaseAddress { supi, dnn, id });
        }
    }

    /// The gateway has made the session.
    pub(super) fn on_n4_established(&mut self, supi: Supi, id: PduSessionId, up: UpEnd) {
        if let Some(s) = self.session_mut(supi, id) {
            s.up = Some(up);
            s.state = State::ExpectRadio;
        }
        self.ask_resources(supi, id);
    }

    /// Asks the gNB for a session's resources as soon as it has a context for the UE. The accept goes to the UE
    /// with it.
    fn ask_resources(&mut self, supi: Supi, id: PduSessionId) {
        let Some(conn) = self.registry.ue(supi).and_then(|ue| ue.conn) else {
            return self.drop_session(supi, id);
        };
        match self.registry.conn(conn).map(|c| c.radio) {
            Some(Radio::Up) => {
                let Some(setup) = self.resources_with_accept(supi, id) else {
                    return self.fail_session(supi, id, FgsmCause::NetworkFailure);
                };
                self.ask_for_resources(supi, None, vec![setup]);
            }
            Some(Radio::Bare) => {
                if let Some(setup) = self.resources_with_accept(supi, id) {
                    self.set_up_context(supi, conn, None, vec![setup]);
                }
            }
            Some(Radio::ExpectSetup) | None => {}
        }
    }

    fn resources_with_accept(&mut self, supi: Supi, id: PduSessionId) -> Option<SessionSetup> {
        let accept = self.accept_message(supi, id)?;
        let rates = self.rates(supi);
        if let Some(s) = self.session_mut(supi, id) {
            s.told = rates;
        }
        let pti = self.session(supi, id)?.pti;
        let plain = self.session_transport(id, pti, FgsmBody::EstablishmentAccept(accept))?;
        let mut setup = self.resources(supi, id)?;
        setup.nas = Some(self.protect_for(supi, &plain)).filter(|n| !n.is_empty());
        Some(setup)
    }

    /// What the gNB is asked for one session. The session waits for the answer.
    fn resources(&mut self, supi: Supi, id: PduSessionId) -> Option<SessionSetup> {
        let (slice, transfer) = self.setup_transfer(supi, id)?;
        self.session_mut(supi, id)?.state = State::ExpectResources;
        self.start(TimerKey::Session(supi, id), NGAP_GUARD_MS);
        Some(SessionSetup { id, nas: None, slice, transfer })
    }

    /// A session's slice, and what a gNB is to make for it.
    pub(in crate::nr) fn setup_transfer(&self, supi: Supi, id: PduSessionId) -> Option<(Snssai, Vec<u8>)> {
        let ambr = self.ue_ambr(supi);
        let session = self.session(supi, id)?;
        let up = session.up?;
        let session_type = match session.given()?.0 {
            PduSessionType::IPV6 => SessionType::Ipv6,
            PduSessionType::IPV4V6 => SessionType::Ipv4v6,
            _ => SessionType::Ipv4,
        };
        let transfer = SetupRequest {
            ambr,
            uplink: Tunnel::new(up.n3, up.teid),
            session_type,
            flows: vec![QosFlowSetup {
                qfi: QFI,
                five_qi: FIVE_QI,
                arp: Arp { priority: 8, may_preempt: false, preemptable: false },
            }],
        };
        Some((session.slice, transfer.encode().ok()?))
    }

    fn accept_message(&self, supi: Supi, id: PduSessionId) -> Option<EstablishmentAccept> {
        let ue = self.registry.ue(supi)?;
        let (session, subscription) = (ue.sessions.get(&id)?, ue.subscription.as_ref()?);
        let address = session.address.as_ref()?;
        let (session_type, cause) = session.given()?;
        Some(EstablishmentAccept {
            session_type,
            ssc_mode: 1,
            rules: vec![QosRule::match_all(1, 255, QFI)],
            ambr: SessionAmbr { dl_bps: subscription.ambr_dl_bps, ul_bps: subscription.ambr_ul_bps },
            cause,
            address: (session_type != PduSessionType::IPV6).then_some(address.ip.0),
            interface: session.prefix().map(|_| INTERFACE),
            slice: Some(session.slice),
            flows: vec![QosFlow::create(QFI, FIVE_QI)],
            epco: Some(options(session.epco.as_ref(), address)),
            dnn: Some(session.dnn.clone()),
        })
    }

    /// The gNB has a context for the UE: what waited for it goes on.
    pub(in crate::nr) fn on_radio_up(
        &mut self,
        conn: AmfUeNgapId,
        setup: &[SessionTransfer],
        failed: &[SessionTransfer],
    ) {
        self.timers.stop(TimerKey::ContextSetup(conn));
        let Some(Phase::Ue(supi)) = self.registry.conn(conn).map(|c| &c.phase) else { return };
        let supi = *supi;
        self.follow(conn);
        self.on_session_resources(supi, setup, failed);
        for id in self.session_ids(supi) {
            if self.session(supi, id).is_some_and(|s| matches!(s.state, State::ExpectRadio)) {
                self.ask_resources(supi, id);
            }
        }
        self.serve_waiting(supi);
        self.renew_keys_if_due(supi);
    }

    /// What the gNB made and what it could not make.
    pub(in crate::nr) fn on_session_resources(
        &mut self,
        supi: Supi,
        setup: &[SessionTransfer],
        failed: &[SessionTransfer],
    ) {
        for t in setup {
            let waits = self.session(supi, t.id).is_some_and(|s| matches!(s.state, State::ExpectResources));
            if !waits {
                self.refused("unasked-answer");
                continue;
            }
            self.timers.stop(TimerKey::Session(supi, t.id));
            match SetupResponse::decode(&t.transfer) {
                Ok(response) if response.flows.contains(&QFI) => {
                    if let Some(s) = self.session_mut(supi, t.id) {
                        s.radio = Some(response.downlink);
                        s.state = State::ExpectN4Forwarding;
                    }
                    self.n4_forward(supi, t.id);
                }
                Ok(_) | Err(_) => {
                    self.refused("malformed-transfer");
                    self.resources_unknown(supi, t.id);
                }
            }
        }
        for t in failed {
            match self.session_mut(supi, t.id).filter(|s| matches!(s.state, State::ExpectResources)) {
                Some(s) => {
                    // It has nothing of it, so nothing is to be released there.
                    s.state = State::ExpectRadio;
                    self.on_resources_failed(supi, t.id);
                }
                None => self.refused("unasked-answer"),
            }
        }
    }

    /// The gNB has no resources for a session: one that was up stays, without radio; a new one is refused.
    pub(super) fn on_resources_failed(&mut self, supi: Supi, id: PduSessionId) {
        self.timers.stop(TimerKey::Session(supi, id));
        self.refused("no-resources");
        match self.session_mut(supi, id) {
            Some(s) if s.announced => s.state = State::Idle,
            Some(_) => self.fail_session(supi, id, FgsmCause::InsufficientResources),
            None => {}
        }
    }

    /// Whether the gNB has resources for a session cannot be known: what it may have is released.
    pub(super) fn resources_unknown(&mut self, supi: Supi, id: PduSessionId) {
        if self.session(supi, id).is_some_and(|s| s.announced) {
            self.release_resources(supi, id, None);
        }
        self.on_resources_failed(supi, id);
    }

    /// The gateway forwards to the gNB: the session is up.
    pub(super) fn on_n4_forwarding(&mut self, supi: Supi, id: PduSessionId) {
        let Some(s) = self.session_mut(supi, id) else { return };
        s.state = State::Active;
        if let (false, Some(address)) = (std::mem::replace(&mut s.announced, true), &s.address) {
            let what = Happening::SessionUp { id, dnn: s.dnn.clone(), ip: address.ip };
            self.counters.sessions += 1;
            self.event(Some(supi.imsi()), what);
        }
        self.data_waits_no_more(supi, id);
        self.tell_rates(supi, id);
    }

    /// The resources could not be asked for after all: the UE asks again.
    pub(in crate::nr) fn not_reactivated(&mut self, supi: Supi, sessions: &[SessionSetup]) {
        for s in sessions {
            self.on_resources_failed(supi, s.id);
        }
    }

    /// Asks the gNB anew for sessions that lost their radio; those that are not idle are left alone.
    pub(in crate::nr) fn reactivate(&mut self, supi: Supi, wanted: SessionSet) -> Vec<SessionSetup> {
        let idle: Vec<PduSessionId> = wanted
            .iter()
            .filter(|id| self.session(supi, *id).is_some_and(|s| matches!(s.state, State::Idle)))
            .collect();
        idle.into_iter().filter_map(|id| self.resources(supi, id)).collect()
    }
}

/// The session types that we have.
const IP: [PduSessionType; 3] = [PduSessionType::IPV4, PduSessionType::IPV6, PduSessionType::IPV4V6];
/// T3396 (§6.4.1.4.2, §6.3.3.3) where the cause is with us, or a back-off of its own (§6.4.1.4.3): without one a UE asks again
/// at once, and without end.
pub(super) fn backoff(cause: FgsmCause) -> Option<Timer> {
    let ours = matches!(cause, FgsmCause::InsufficientResources | FgsmCause::NetworkFailure);
    ours.then_some(Timer::Seconds(BACKOFF_S))
}

/// The UE's interface identifier: the gateway's end of the link is ::1, and nobody else is on it.
const INTERFACE: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 2];

/// The 5GSM cause that says what a 5GMM cause said to the UE, for the timeline.
fn in_words_of_5gsm(cause: FgmmCause) -> FgsmCause {
    match cause {
        FgmmCause::DnnNotSupportedInSlice => FgsmCause::MissingOrUnknownDnnInSlice,
        MAX_SESSIONS_REACHED => FgsmCause::InsufficientResources,
        _ => FgsmCause::RequestRejectedUnspecified,
    }
}

/// DNS servers and MTU: as asked, and also unasked, because a UE skips what it does not know and a wrong
/// MTU inside a tunnel is hard to find.
pub(super) fn options(asked: Option<&Epco>, address: &SessionAddress) -> Epco {
    let asked = asked.and_then(|asked| Epco::answer(asked, &address.dns, address.mtu));
    let mut options = asked.unwrap_or_default();
    if options.dns().is_empty() {
        let of_no_use = |c: &EpcoContainer| c.id == Epco::DNS_IPV6 && address.prefix.is_none();
        options.containers.extend(Epco::servers(&address.dns).into_iter().filter(|c| !of_no_use(c)));
    }
    if options.mtu().is_none() {
        let content = address.mtu.to_be_bytes().to_vec();
        options.containers.push(EpcoContainer { id: Epco::IPV4_LINK_MTU, content });
    }
    options
}
