//! Session management (TS 23.502 §4.3; TS 24.501 §6): PDU sessions of registered UEs, made and ended towards
//! the UE (N1), its gNB (N2) and the gateway (N4).
//!
//! The gateway comes first at each end: a session that ends is deleted there before the UE is told.

mod establish;
mod modify;
mod n4;
mod release;
mod restart;
mod rules;

pub(in crate::nr) use establish::QFI;
use modify::Changing;
pub(super) use n4::Smf;
pub use rules::Establishment;

use super::view::{SessionPhase, SessionView};
use super::{Amf, TxnId};
use ipnet::Ipv6Net;
use std::net::IpAddr;
use types::{Dnn, FgmmCause, FgsmCause, PduSessionId, Seid, SessionAddress, Snssai, Supi, Teid};
use wire::nas::fgs::{
    ContainerType, DlNasTransport, EstablishmentReject, FgmmMessage, FgsmBody, FgsmMessage, NasError,
    PduSessionType, RegistrationRequest, RegistrationType, SessionSet, UlNasTransport,
};
use wire::ngap::transfer::Tunnel;

/// One PDU session.
pub(super) struct Session {
    /// Which of the UE's sessions.
    pub(super) id: PduSessionId,
    /// Procedure transaction of the UE that made it.
    pub(super) pti: u8,
    /// Data network.
    pub(super) dnn: Dnn,
    /// Slice.
    pub(super) slice: Snssai,
    /// The type that the UE asked for: IPv4, IPv6 or IPv4v6.
    pub(super) wanted: PduSessionType,
    /// What it asked in its protocol configuration options.
    pub(super) epco: Option<wire::nas::fgs::Epco>,
    /// Its address, once given.
    pub(super) address: Option<SessionAddress>,
    /// Our end of its N4 session.
    pub(super) seid: Seid,
    /// The gateway's end, once there.
    pub(super) up: Option<UpEnd>,
    /// The gNB's end, while there.
    pub(super) radio: Option<Tunnel>,
    /// It has been up: the operator was told.
    pub(super) announced: bool,
    /// The rates that the UE knows, uplink and downlink, bits per second; none where nobody remembers.
    pub(super) told: Option<(u64, u64)>,
    /// A change of it that the UE has not confirmed (T3591), beside its state.
    pub(super) changing: Option<Box<Changing>>,
    /// Where it stands.
    pub(super) state: State,
}

impl Session {
    /// The type that it has, and the cause where that is less than was asked for (TS 24.501 §6.4.1.3); `None` where the data
    /// network has nothing of what was asked for.
    pub(super) fn given(&self) -> Option<(PduSessionType, Option<FgsmCause>)> {
        let six = self.address.as_ref().is_some_and(|a| a.prefix.is_some());
        match self.wanted {
            PduSessionType::IPV6 | PduSessionType::IPV4V6 if six => Some((self.wanted, None)),
            PduSessionType::IPV6 => None,
            PduSessionType::IPV4V6 => {
                Some((PduSessionType::IPV4, Some(FgsmCause::PduSessionTypeIpv4OnlyAllowed)))
            }
            _ => Some((PduSessionType::IPV4, None)),
        }
    }

    /// Its IPv6 prefix, where its type has one.
    pub(super) fn prefix(&self) -> Option<Ipv6Net> {
        let six = self.given().is_some_and(|(t, _)| t != PduSessionType::IPV4);
        self.address.as_ref().and_then(|a| a.prefix).filter(|_| six)
    }
}

/// The gateway's end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UpEnd {
    /// SEID of the user plane.
    pub(super) seid: Seid,
    /// Uplink tunnel endpoint.
    pub(super) teid: Teid,
    /// Its N3 address.
    pub(super) n3: IpAddr,
}

/// What a session waits for.
pub(super) enum State {
    /// The address.
    ExpectAddress {
        /// The question.
        txn: TxnId,
    },
    /// Session Establishment Response.
    ExpectN4Established,
    /// Initial Context Setup Response; then the resources are asked for.
    ExpectRadio,
    /// The gNB's resources.
    ExpectResources,
    /// Session Modification Response: the downlink is being opened.
    ExpectN4Forwarding,
    /// Nothing: traffic may pass.
    Active,
    /// Nothing: the UE has no radio.
    Idle,
    /// PDU Session Release Complete (T3592). The session is gone in the gateway.
    ExpectReleaseComplete {
        /// The transaction of the UE that asked for it; 0: the network did.
        pti: u8,
        /// The command, for retransmission.
        command: Vec<u8>,
        /// Retransmissions left.
        left: u8,
    },
}

impl Session {
    /// True where the UE may count on it.
    pub(super) fn is_up(&self) -> bool {
        match self.state {
            State::ExpectN4Forwarding | State::Active | State::Idle => true,
            State::ExpectResources => self.announced,
            State::ExpectAddress { .. }
            | State::ExpectN4Established
            | State::ExpectRadio
            | State::ExpectReleaseComplete { .. } => false,
        }
    }

    /// True where it can go to another gNB.
    pub(super) fn has_radio(&self) -> bool {
        matches!(self.state, State::Active)
            || matches!(self.state, State::ExpectN4Forwarding) && self.announced
    }

    /// True where it is kept without radio.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// What others may see.
    pub(super) fn view(&self) -> SessionView {
        let phase = match self.state {
            State::Active => SessionPhase::Active,
            State::Idle => SessionPhase::Idle,
            State::ExpectReleaseComplete { .. } => SessionPhase::Releasing,
            State::ExpectResources | State::ExpectN4Forwarding if self.announced => SessionPhase::Idle,
            _ => SessionPhase::Establishing,
        };
        SessionView {
            id: self.id,
            dnn: self.dnn.clone(),
            snssai: Some(self.slice),
            ip: self.address.as_ref().map(|a| a.ip),
            teid: self.up.map(|u| u.teid),
            phase,
        }
    }
}

/// What a 5GSM message is answered with whose mandatory part is wrong (§7.5.1): a request by its reject, anything else by a
/// status. `None` where its header is wrong, too, or is about another session.
fn answer_to(payload: &[u8], id: PduSessionId, cause: FgsmCause) -> Option<(u8, FgsmBody)> {
    let [_, session, pti, message_type, ..] = payload else { return None };
    if *session != u8::from(id) {
        return None;
    }
    let body = match message_type {
        0xc1 => FgsmBody::EstablishmentReject(EstablishmentReject { cause, backoff: None }),
        0xc9 => FgsmBody::ModificationReject(cause),
        0xd1 => FgsmBody::ReleaseReject(cause),
        _ => FgsmBody::Status(cause),
    };
    Some((*pti, body))
}

impl Amf {
    /// UL NAS TRANSPORT of a registered UE (TS 24.501 §5.4.5.2).
    pub(super) fn on_ul_nas_transport(&mut self, supi: Supi, m: UlNasTransport) {
        let Some(id) = m.session.filter(|_| m.kind == ContainerType::N1_SM) else {
            return self.refused("payload-of-no-session");
        };
        let message = match FgsmMessage::decode(&m.payload) {
            Ok(message) if message.session == id => message,
            Ok(_) => return self.refused("session-identities-differ"),
            Err(e) => return self.on_bad_session_message(supi, id, m, &e),
        };
        let pti = message.pti;
        if pti == 0 && message.body.is_request() {
            // §7.3.1: a request has a transaction.
            self.refused("no-transaction");
            return self.send_session(supi, id, pti, FgsmBody::Status(FgsmCause::InvalidPtiValue));
        }
        match message.body {
            FgsmBody::EstablishmentRequest(request) => {
                self.on_establishment_request(supi, id, pti, m, request)
            }
            FgsmBody::ReleaseRequest { .. } => self.on_session_release_request(supi, id, pti),
            FgsmBody::ReleaseComplete { .. } => self.on_session_release_complete(supi, id, pti),
            FgsmBody::ModificationRequest(request) => self.on_modification_request(supi, id, pti, request),
            FgsmBody::ModificationComplete => self.on_modification_answer(supi, id, pti, None),
            FgsmBody::ModificationCommandReject(why) => self.on_modification_answer(supi, id, pti, Some(why)),
            FgsmBody::Status(cause) => self.on_session_status(supi, id, pti, cause),
            // What only the network sends.
            _ => self.refused("nas-out-of-place"),
        }
    }

    /// A 5GSM message that cannot be read. The registration does not suffer.
    fn on_bad_session_message(&mut self, supi: Supi, id: PduSessionId, m: UlNasTransport, e: &NasError) {
        self.refused("malformed-5gsm");
        match (e, e.fgsm_cause()) {
            (NasError::UnknownSessionMessageType { session, pti, .. }, Some(cause))
                if *session == u8::from(id) =>
            {
                self.send_session(supi, id, *pti, FgsmBody::Status(cause));
            }
            (_, Some(cause)) => match answer_to(&m.payload, id, cause) {
                Some((pti, body)) => self.send_session(supi, id, pti, body),
                None => self.bounce(supi, id, m.payload, FgmmCause::PayloadNotForwarded),
            },
            (_, None) => {}
        }
    }

    /// 5GSM STATUS (§6.5.3): a session that the UE does not have is over, and so is a procedure whose transaction it does
    /// not know.
    fn on_session_status(&mut self, supi: Supi, id: PduSessionId, pti: u8, cause: FgsmCause) {
        self.refused("5gsm-status");
        let ends = match self.session(supi, id).map(|s| &s.state) {
            None => false,
            Some(State::ExpectReleaseComplete { pti: asked, .. }) if *asked == pti => matches!(
                cause,
                FgsmCause::InvalidPduSessionIdentity
                    | FgsmCause::PtiMismatch
                    | FgsmCause::InvalidPtiValue
                    | FgsmCause::MessageTypeNonExistent
                    | FgsmCause::MessageTypeNotCompatible
            ),
            Some(_) => cause == FgsmCause::InvalidPduSessionIdentity,
        };
        if ends {
            return self.drop_session(supi, id);
        }
        // A command that is not understood changes nothing.
        if self.session(supi, id).and_then(|s| s.changing.as_ref()).is_some_and(|c| c.is_of(pti)) {
            self.modification_over(supi, id, true);
        }
    }

    /// Gives a payload back to the UE, with the reason why nobody took it (§5.4.5.3.1 h, i).
    pub(super) fn bounce(&mut self, supi: Supi, id: PduSessionId, payload: Vec<u8>, cause: FgmmCause) {
        let message = FgmmMessage::DlNasTransport(DlNasTransport {
            kind: ContainerType::N1_SM,
            payload,
            session: Some(id),
            cause: Some(cause),
            backoff: None,
        });
        self.send_to_ue(supi, &message);
    }

    /// A 5GSM message inside a DL NAS TRANSPORT, unprotected.
    fn session_transport(&mut self, id: PduSessionId, pti: u8, body: FgsmBody) -> Option<Vec<u8>> {
        let payload = match (FgsmMessage { session: id, pti, body }).encode() {
            Ok(payload) => payload,
            Err(_) => {
                self.refused("unencodable");
                return None;
            }
        };
        self.encode(&FgmmMessage::DlNasTransport(DlNasTransport {
            kind: ContainerType::N1_SM,
            payload,
            session: Some(id),
            cause: None,
            backoff: None,
        }))
    }

    /// Sends a 5GSM message to a UE.
    fn send_session(&mut self, supi: Supi, id: PduSessionId, pti: u8, body: FgsmBody) {
        if let Some(plain) = self.session_transport(id, pti, body) {
            self.send_protected(supi, &plain);
        }
    }

    /// A session.
    pub(super) fn session(&self, supi: Supi, id: PduSessionId) -> Option<&Session> {
        self.registry.ue(supi)?.sessions.get(&id).map(|s| &**s)
    }

    /// A session, to change.
    pub(super) fn session_mut(&mut self, supi: Supi, id: PduSessionId) -> Option<&mut Session> {
        self.registry.ue_mut(supi)?.sessions.get_mut(&id).map(|s| &mut **s)
    }

    /// All sessions of a UE.
    pub(super) fn session_ids(&self, supi: Supi) -> Vec<PduSessionId> {
        self.registry.ue(supi).map(|ue| ue.sessions.keys().copied().collect()).unwrap_or_default()
    }

    /// What becomes of a UE's sessions at its registration: an initial one has none, another one says which
    /// it still holds (TS 24.501 §5.5.1.2.4, §5.5.1.3.4).
    pub(super) fn settle_sessions(&mut self, supi: Supi, request: &RegistrationRequest) {
        let keeps =
            matches!(request.kind, RegistrationType::MobilityUpdating | RegistrationType::PeriodicUpdating);
        if !keeps {
            for id in self.session_ids(supi) {
                self.drop_session(supi, id);
            }
            return self.end_adopted(supi);
        }
        self.drop_sessions_that_ue_lost(supi, request.pdu_session_status);
        for id in request.pdu_session_status.into_iter().flat_map(SessionSet::iter) {
            self.take_over(supi, id);
        }
        self.end_adopted(supi);
    }

    /// Ends the sessions that the UE does not hold any more.
    pub(super) fn drop_sessions_that_ue_lost(&mut self, supi: Supi, status: Option<SessionSet>) {
        let Some(status) = status else { return };
        for id in self.session_ids(supi) {
            let settled =
                self.session(supi, id).is_some_and(|s| matches!(s.state, State::Active | State::Idle));
            if settled && !status.contains(id) {
                self.drop_session(supi, id);
            }
        }
    }
}
