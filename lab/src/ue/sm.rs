//! 5GSM of the UE: PDU sessions (TS 24.501 §6).

use super::timers::Timer;
use super::{Input, Session, State, Ue, UeEvent};
use types::{Dnn, FgsmCause, Now, PduSessionId, Snssai};
use wire::nas::fgs::{
    ContainerType, DlNasTransport, Epco, EstablishmentAccept, EstablishmentRequest, FgmmMessage, FgsmBody,
    FgsmMessage, PduSessionType, RequestType, RequestedDnn, UlNasTransport,
};

/// A 5GSM request that awaits its answer.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    id: PduSessionId,
    request: UlNasTransport,
    name: &'static str,
    sent: u8,
}

/// A request is sent this often before it is given up (§6.4.1.6).
const TRIES: u8 = 5;

impl Ue {
    pub(super) fn establish(
        &mut self,
        id: PduSessionId,
        dnn: Option<Dnn>,
        slice: Option<Snssai>,
        session_type: PduSessionType,
        now: Now,
    ) {
        if self.wait_for_connection(&Input::Establish { id, dnn: dnn.clone(), slice, session_type }, now) {
            return;
        }
        let body = FgsmBody::EstablishmentRequest(EstablishmentRequest {
            max_integrity_rate: [0xff, 0xff],
            session_type: Some(session_type),
            ssc_mode: Some(1),
            epco: Some(Epco::ordinary_request()),
        });
        let request = Some(RequestType::INITIAL);
        self.ask(id, body, request, slice, dnn.map(RequestedDnn::Name), now);
    }

    pub(super) fn release(&mut self, id: PduSessionId, now: Now) {
        if self.wait_for_connection(&Input::Release { id }, now) {
            return;
        }
        let body = FgsmBody::ReleaseRequest { cause: Some(FgsmCause::RegularDeactivation) };
        self.ask(id, body, None, None, None, now);
    }

    /// An idle UE comes back first and does it then; one that is not registered does not do it.
    fn wait_for_connection(&mut self, input: &Input, now: Now) -> bool {
        match (self.state, self.connected) {
            (State::Registered, true) => return false,
            (State::Registered, false) => {
                self.waiting.push(input.clone());
                self.service(None, now);
            }
            (State::Requesting, _) => self.waiting.push(input.clone()),
            _ => self.event(UeEvent::Dropped("not registered")),
        }
        true
    }

    fn ask(
        &mut self,
        id: PduSessionId,
        body: FgsmBody,
        request: Option<RequestType>,
        slice: Option<Snssai>,
        dnn: Option<RequestedDnn>,
        now: Now,
    ) {
        let Some(pti) = self.free_pti() else { return };
        let name = body.name();
        let Ok(payload) = (FgsmMessage { session: id, pti, body }).encode() else { return };
        let kind = ContainerType::N1_SM;
        let request = UlNasTransport { kind, payload, session: Some(id), request, slice, dnn };
        self.transactions.insert(pti, Transaction { id, request: request.clone(), name, sent: 1 });
        self.timers.start(Timer::Session(pti), now.mono);
        self.send(&FgmmMessage::UlNasTransport(request));
    }

    fn free_pti(&mut self) -> Option<u8> {
        let pti = (0..254).map(|n| ((u16::from(self.next_pti) - 1 + n) % 254 + 1) as u8);
        let free = pti.into_iter().find(|p| !self.transactions.contains_key(p))?;
        self.next_pti = free % 254 + 1;
        Some(free)
    }

    pub(super) fn session_timed_out(&mut self, pti: u8, now: Now) {
        let Some(mut t) = self.transactions.remove(&pti) else { return };
        if t.sent >= TRIES || self.state != State::Registered || !self.connected {
            self.event(UeEvent::TimedOut(t.name));
            return;
        }
        t.sent += 1;
        let request = t.request.clone();
        self.transactions.insert(pti, t);
        self.timers.start(Timer::Session(pti), now.mono);
        self.send(&FgmmMessage::UlNasTransport(request));
    }

    pub(super) fn session_message(&mut self, m: DlNasTransport, now: Now) {
        if m.kind != ContainerType::N1_SM {
            return self.event(UeEvent::Dropped("a payload that is not session management"));
        }
        let Ok(message) = FgsmMessage::decode(&m.payload) else {
            return self.event(UeEvent::Dropped("a session message that is not understood"));
        };
        // §5.4.5.3.2 case a: the AMF gives our own message back.
        if let Some(cause) = m.cause {
            let id = message.session;
            self.finish(message.pti, id);
            return self.event(UeEvent::SessionRejected { id, cause: None, not_forwarded: Some(cause) });
        }
        if self.config.lies.hears(message.body.name()) {
            self.session_body(message, now);
        }
    }

    fn session_body(&mut self, m: FgsmMessage, now: Now) {
        let (id, pti) = (m.session, m.pti);
        match m.body {
            FgsmBody::EstablishmentAccept(a) if self.finish(pti, id) => self.session_up(id, a),
            FgsmBody::EstablishmentReject(r) if self.finish(pti, id) => {
                self.event(UeEvent::SessionRejected { id, cause: Some(r.cause), not_forwarded: None });
            }
            FgsmBody::ReleaseReject(cause) | FgsmBody::ModificationReject(cause) if self.finish(pti, id) => {
                self.event(UeEvent::SessionRejected { id, cause: Some(cause), not_forwarded: None });
            }
            FgsmBody::ModificationCommand(c) if self.sessions.contains_key(&id) => {
                self.finish(pti, id);
                if let (Some(s), Some(ambr)) = (self.sessions.get_mut(&id), c.ambr) {
                    s.ambr_bps = (ambr.dl_bps, ambr.ul_bps);
                }
                self.tell(id, pti, FgsmBody::ModificationComplete);
            }
            FgsmBody::ModificationCommand(_) => {
                let cause = FgsmCause::InvalidPduSessionIdentity;
                self.tell(id, pti, FgsmBody::ModificationCommandReject(cause));
            }
            FgsmBody::ReleaseCommand { cause, .. } => {
                self.finish(pti, id);
                self.tell(id, pti, FgsmBody::ReleaseComplete { cause: None });
                if self.sessions.remove(&id).is_some() {
                    self.event(UeEvent::SessionDown { id, cause: Some(cause) });
                }
                // §6.3.3.3: "reactivation requested" asks for the session again.
                if cause == FgsmCause::ReactivationRequested {
                    self.establish(id, None, None, PduSessionType::IPV4, now);
                }
            }
            FgsmBody::Status(_) => {
                self.finish(pti, id);
                self.event(UeEvent::Dropped("5GSM status"));
            }
            FgsmBody::EstablishmentAccept(_) | FgsmBody::EstablishmentReject(_) => {
                self.tell(id, pti, FgsmBody::Status(FgsmCause::InvalidPtiValue));
            }
            _ => self.tell(id, pti, FgsmBody::Status(FgsmCause::MessageTypeNotCompatible)),
        }
    }

    /// Ends the transaction; true if there was one for this session.
    fn finish(&mut self, pti: u8, id: PduSessionId) -> bool {
        if self.transactions.get(&pti).is_none_or(|t| t.id != id) {
            return false;
        }
        self.timers.stop(Timer::Session(pti));
        self.transactions.remove(&pti).is_some()
    }

    fn session_up(&mut self, id: PduSessionId, a: EstablishmentAccept) {
        if a.address.is_none() && a.interface.is_none() {
            return self.event(UeEvent::Dropped("a session without an address"));
        }
        let address = a.address.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED);
        let session = Session {
            id,
            dnn: a.dnn,
            address,
            interface: a.interface,
            dns: a.epco.as_ref().map(Epco::dns).unwrap_or_default(),
            mtu: a.epco.as_ref().and_then(Epco::mtu),
            ambr_bps: (a.ambr.dl_bps, a.ambr.ul_bps),
            cause: a.cause,
        };
        self.sessions.insert(id, session.clone());
        self.event(UeEvent::SessionUp(session));
    }

    fn tell(&mut self, id: PduSessionId, pti: u8, body: FgsmBody) {
        let Ok(payload) = (FgsmMessage { session: id, pti, body }).encode() else { return };
        let kind = ContainerType::N1_SM;
        let m = UlNasTransport { kind, payload, session: Some(id), request: None, slice: None, dnn: None };
        self.send(&FgmmMessage::UlNasTransport(m));
    }
}
