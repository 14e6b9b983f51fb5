//! Session management (TS 23.502 §4.3; TS 24.501 §6): PDU sessions of registered UEs, made and ended towards
//! the UE (N1), its gNB (N2) and the gateway (N4).
//!
//! The gateway comes first at each end: a session that ends is deleted there before the UE is told.

mod establish;
mod n4;
mod release;
mod restart;
mod rules;

pub(in crate::nr) use establish::QFI;
pub(super) use n4::Smf;

use super::view::{SessionPhase, SessionView};
use super::{Amf, TxnId};
use std::net::IpAddr;
use types::{Dnn, FgmmCause, FgsmCause, PduSessionId, Seid, SessionAddress, Snssai, Supi, Teid};
use wire::nas::fgs::{
    ContainerType, DlNasTransport, FgmmMessage, FgsmBody, FgsmMessage, NasError, RegistrationRequest,
    RegistrationType, SessionSet, UlNasTransport,
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
    /// The UE asked for IPv4v6 and is told that it gets IPv4.
    pub(super) narrowed: bool,
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
    /// Where it stands.
    pub(super) state: State,
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
        match message.body {
            FgsmBody::EstablishmentRequest(request) => {
                self.on_establishment_request(supi, id, pti, m, request)
            }
            FgsmBody::ReleaseRequest { .. } => self.on_session_release_request(supi, id, pti),
            FgsmBody::ReleaseComplete { .. } => self.on_session_release_complete(supi, id),
            FgsmBody::ModificationRequest { .. } => {
                let known = self.session(supi, id).is_some();
                let cause = if known {
                    FgsmCause::RequestRejectedUnspecified
                } else {
                    FgsmCause::InvalidPduSessionIdentity
                };
                self.send_session(supi, id, pti, FgsmBody::ModificationReject(cause));
            }
            FgsmBody::Status(_) => self.refused("5gsm-status"),
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
            (_, Some(_)) => self.bounce(supi, id, m.payload, FgmmCause::PayloadNotForwarded),
            (_, None) => {}
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
        self.registry.ue(supi)?.sessions.get(&id)
    }

    /// A session, to change.
    pub(super) fn session_mut(&mut self, supi: Supi, id: PduSessionId) -> Option<&mut Session> {
        self.registry.ue_mut(supi)?.sessions.get_mut(&id)
    }

    /// All sessions of a UE.
    fn session_ids(&self, supi: Supi) -> Vec<PduSessionId> {
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
