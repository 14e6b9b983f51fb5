//! The 5GSM messages that we speak (TS 24.501 §8.3).

use super::{Epco, PduSessionType, QosFlow, QosRule, SessionAmbr, Timer};
use std::net::Ipv4Addr;
use types::{Dnn, FgsmCause, PduSessionId, Snssai};

/// One 5GSM message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FgsmMessage {
    /// Which session.
    pub session: PduSessionId,
    /// Procedure transaction identity: 1–254 chosen by the UE, 0 where the network began (§9.6).
    pub pti: u8,
    /// What it says.
    pub body: FgsmBody,
}

/// The message behind the 5GSM header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FgsmBody {
    /// UE → network.
    EstablishmentRequest(EstablishmentRequest),
    /// Network → UE.
    EstablishmentAccept(EstablishmentAccept),
    /// Network → UE.
    EstablishmentReject(EstablishmentReject),
    /// UE → network.
    ModificationRequest(ModificationRequest),
    /// Network → UE.
    ModificationReject(FgsmCause),
    /// Network → UE.
    ModificationCommand(ModificationCommand),
    /// UE → network.
    ModificationComplete,
    /// UE → network.
    ModificationCommandReject(FgsmCause),
    /// UE → network.
    ReleaseRequest {
        /// Why.
        cause: Option<FgsmCause>,
    },
    /// Network → UE.
    ReleaseReject(FgsmCause),
    /// Network → UE.
    ReleaseCommand {
        /// Why.
        cause: FgsmCause,
        /// Back-off timer.
        backoff: Option<Timer>,
    },
    /// UE → network.
    ReleaseComplete {
        /// Why.
        cause: Option<FgsmCause>,
    },
    /// Either way.
    Status(FgsmCause),
}

impl FgsmBody {
    /// True for what a UE begins a procedure with.
    pub fn is_request(&self) -> bool {
        matches!(
            self,
            Self::EstablishmentRequest(_) | Self::ModificationRequest(_) | Self::ReleaseRequest { .. }
        )
    }

    /// The spec's name of the message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EstablishmentRequest(_) => "PDUSessionEstablishmentRequest",
            Self::EstablishmentAccept(_) => "PDUSessionEstablishmentAccept",
            Self::EstablishmentReject(_) => "PDUSessionEstablishmentReject",
            Self::ModificationRequest(_) => "PDUSessionModificationRequest",
            Self::ModificationReject(_) => "PDUSessionModificationReject",
            Self::ModificationCommand(_) => "PDUSessionModificationCommand",
            Self::ModificationComplete => "PDUSessionModificationComplete",
            Self::ModificationCommandReject(_) => "PDUSessionModificationCommandReject",
            Self::ReleaseRequest { .. } => "PDUSessionReleaseRequest",
            Self::ReleaseReject(_) => "PDUSessionReleaseReject",
            Self::ReleaseCommand { .. } => "PDUSessionReleaseCommand",
            Self::ReleaseComplete { .. } => "PDUSessionReleaseComplete",
            Self::Status(_) => "5GSMStatus",
        }
    }
}

/// PDU SESSION ESTABLISHMENT REQUEST (§8.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstablishmentRequest {
    /// Integrity protection maximum data rate, uplink and downlink codes (§9.11.4.7); ff ff is full rate.
    pub max_integrity_rate: [u8; 2],
    /// Asked type.
    pub session_type: Option<PduSessionType>,
    /// Asked SSC mode, 1–3.
    pub ssc_mode: Option<u8>,
    /// Protocol configuration options.
    pub epco: Option<Epco>,
}

/// PDU SESSION ESTABLISHMENT ACCEPT (§8.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstablishmentAccept {
    /// Chosen type.
    pub session_type: PduSessionType,
    /// Chosen SSC mode, 1–3.
    pub ssc_mode: u8,
    /// Authorised QoS rules; at least one.
    pub rules: Vec<QosRule>,
    /// Bit rates of the session.
    pub ambr: SessionAmbr,
    /// Why less than asked was given.
    pub cause: Option<FgsmCause>,
    /// The UE's IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// The interface identifier of the UE's link-local IPv6 address (TS 24.501 §9.11.4.10).
    pub interface: Option<[u8; 8]>,
    /// Its slice.
    pub slice: Option<Snssai>,
    /// Authorised QoS flow descriptions.
    pub flows: Vec<QosFlow>,
    /// Protocol configuration options.
    pub epco: Option<Epco>,
    /// Its data network.
    pub dnn: Option<Dnn>,
}

/// PDU SESSION ESTABLISHMENT REJECT (§8.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstablishmentReject {
    /// Why.
    pub cause: FgsmCause,
    /// Back-off timer.
    pub backoff: Option<Timer>,
}

/// PDU SESSION MODIFICATION REQUEST (§8.3.7). What a UE tells of its own abilities is read over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModificationRequest {
    /// Why.
    pub cause: Option<FgsmCause>,
    /// Rules that it asks for.
    pub rules: Vec<QosRule>,
    /// Flows that it asks for.
    pub flows: Vec<QosFlow>,
    /// Protocol configuration options.
    pub epco: Option<Epco>,
}

/// PDU SESSION MODIFICATION COMMAND (§8.3.9), as far as we change anything of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModificationCommand {
    /// Bit rates of the session, where they are others.
    pub ambr: Option<SessionAmbr>,
    /// Protocol configuration options.
    pub epco: Option<Epco>,
}
