//! NGAP: what a gNB and the AMF say to each other (TS 38.413), as our own structs.
//!
//! [`decode`] turns one SCTP user message into a [`Message`], [`encode`] the other way round; both ends of
//! the interface use the same types. The transfers that the AMF carries for the SMF stay octets in the
//! message and have codecs of their own in [`transfer`], so that a broken one harms one session only.
//! Nothing here knows an association, a UE or a state.
//!
//! # Safety
//! A message is refused above [`MAX_MESSAGE`] octets before anything is parsed; a NAS PDU above
//! [`MAX_NAS_PDU`]; every list is bounded by its own limit of TS 38.413 §9.3.2 and by the message. Nothing
//! indexes, unwraps or panics.
//!
//! # Ownership
//! Messages own their octets. The library below is `oxirush-ngap`; its types do not leave this module.
//!
//! # Round trip
//! `decode(&encode(m)?)? == m` for every message that encodes. Extensions and IEs that these structs do not
//! have are read over and are not written back.
//!
//! # Order of elements
//! Written in the order of the tables of TS 38.413 §9.2. Read in any order; an IE that comes twice makes
//! the message falsely constructed (§10.3.6).
//!
//! # Errors
//! [`NgapError`] says whose fault it is, names each IE that is missing or not understood with its
//! criticality, and gives the cause and the diagnostics for the answer (§10.3.4, §10.3.5). What has
//! criticality *ignore* never fails a message.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cause;
mod convert;
mod decode;
mod encode;
mod error;
mod ids;
mod messages;
pub mod transfer;

pub use cause::{Cause, MiscCause, NasCause, ProtocolCause, RadioCause, TransportCause};
pub use error::{
    Criticality, CriticalityDiagnostics, Direction, Fault, IeDiagnostic, NgapError, Procedure, TypeOfError,
};
pub use ids::{
    Ambr, AmfUeNgapId, GlobalGnbId, Guami, NrCgi, RanNodeId, RanUeNgapId, STmsi, SecurityCapabilities,
    SecurityKey, SupportedPlmn, SupportedTa, UeIds, UserLocation,
};
pub use messages::*;

/// Largest NGAP message that is read or written, in octets.
pub const MAX_MESSAGE: usize = 65_535;

/// Largest NAS PDU inside a message, in octets: what one PDCP SDU of NR carries (TS 38.323 §4.3.1).
pub const MAX_NAS_PDU: usize = 9_000;

/// The SCTP payload protocol identifier of NGAP (TS 38.412 §7).
pub const PPID: u32 = 60;

/// The SCTP port of NGAP (TS 38.412 §7).
pub const PORT: u16 = 38_412;

/// Elementary procedure codes (TS 38.413 §9.4.7).
pub mod procedure {
    /// Downlink NAS Transport.
    pub const DOWNLINK_NAS_TRANSPORT: u8 = 4;
    /// Error Indication.
    pub const ERROR_INDICATION: u8 = 9;
    /// Initial Context Setup.
    pub const INITIAL_CONTEXT_SETUP: u8 = 14;
    /// Initial UE Message.
    pub const INITIAL_UE_MESSAGE: u8 = 15;
    /// NG Reset.
    pub const NG_RESET: u8 = 20;
    /// NG Setup.
    pub const NG_SETUP: u8 = 21;
    /// PDU Session Resource Release.
    pub const PDU_SESSION_RESOURCE_RELEASE: u8 = 28;
    /// PDU Session Resource Setup.
    pub const PDU_SESSION_RESOURCE_SETUP: u8 = 29;
    /// Path Switch Request.
    pub const PATH_SWITCH_REQUEST: u8 = 25;
    /// UE Context Release.
    pub const UE_CONTEXT_RELEASE: u8 = 41;
    /// UE Context Release Request.
    pub const UE_CONTEXT_RELEASE_REQUEST: u8 = 42;
    /// Uplink NAS Transport.
    pub const UPLINK_NAS_TRANSPORT: u8 = 46;
}

/// One NGAP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// gNB → AMF: who it is and what it serves.
    NgSetupRequest(NgSetupRequest),
    /// AMF → gNB: accepted.
    NgSetupResponse(NgSetupResponse),
    /// AMF → gNB: refused.
    NgSetupFailure(NgSetupFailure),
    /// gNB → AMF: the first NAS message of a UE.
    InitialUeMessage(InitialUeMessage),
    /// AMF → gNB: a NAS message for a UE.
    DownlinkNasTransport(DownlinkNasTransport),
    /// gNB → AMF: a NAS message of a known UE.
    UplinkNasTransport(UplinkNasTransport),
    /// AMF → gNB: context, keys and sessions of a UE.
    InitialContextSetupRequest(InitialContextSetupRequest),
    /// gNB → AMF: context made.
    InitialContextSetupResponse(InitialContextSetupResponse),
    /// gNB → AMF: context not made.
    InitialContextSetupFailure(InitialContextSetupFailure),
    /// gNB → AMF: please release this UE.
    UeContextReleaseRequest(UeContextReleaseRequest),
    /// AMF → gNB: release this UE.
    UeContextReleaseCommand(UeContextReleaseCommand),
    /// gNB → AMF: released.
    UeContextReleaseComplete(UeContextReleaseComplete),
    /// AMF → gNB: make radio resources for PDU sessions.
    PduSessionResourceSetupRequest(PduSessionResourceSetupRequest),
    /// gNB → AMF: which were made.
    PduSessionResourceSetupResponse(PduSessionResourceSetupResponse),
    /// AMF → gNB: release PDU sessions.
    PduSessionResourceReleaseCommand(PduSessionResourceReleaseCommand),
    /// gNB → AMF: released.
    PduSessionResourceReleaseResponse(PduSessionResourceReleaseResponse),
    /// gNB → AMF: this UE has come over to me.
    PathSwitchRequest(PathSwitchRequest),
    /// AMF → gNB: its packets come to you.
    PathSwitchRequestAcknowledge(PathSwitchRequestAcknowledge),
    /// AMF → gNB: they do not.
    PathSwitchRequestFailure(PathSwitchRequestFailure),
    /// Either way: forget all UEs, or these.
    NgReset(NgReset),
    /// Either way: forgotten.
    NgResetAcknowledge(NgResetAcknowledge),
    /// Either way: your message was wrong.
    ErrorIndication(ErrorIndication),
    /// A procedure that is not ours. Nothing of it was parsed; answer by its criticality (§10.3.4.1).
    Unknown(Procedure),
}

impl Message {
    /// The identifiers of the UE that the message is about, as far as it has them.
    pub fn ue_ids(&self) -> (Option<AmfUeNgapId>, Option<RanUeNgapId>) {
        macro_rules! both {
            ($m:expr) => {
                (Some($m.amf_ue_id), Some($m.ran_ue_id))
            };
        }
        match self {
            Self::InitialUeMessage(m) => (None, Some(m.ran_ue_id)),
            Self::DownlinkNasTransport(m) => both!(m),
            Self::UplinkNasTransport(m) => both!(m),
            Self::InitialContextSetupRequest(m) => both!(m),
            Self::InitialContextSetupResponse(m) => both!(m),
            Self::InitialContextSetupFailure(m) => both!(m),
            Self::UeContextReleaseRequest(m) => both!(m),
            Self::UeContextReleaseComplete(m) => both!(m),
            Self::PduSessionResourceSetupRequest(m) => both!(m),
            Self::PduSessionResourceSetupResponse(m) => both!(m),
            Self::PduSessionResourceReleaseCommand(m) => both!(m),
            Self::PduSessionResourceReleaseResponse(m) => both!(m),
            Self::PathSwitchRequest(m) => (Some(m.source_amf_ue_id), Some(m.ran_ue_id)),
            Self::PathSwitchRequestAcknowledge(m) => both!(m),
            Self::PathSwitchRequestFailure(m) => both!(m),
            Self::UeContextReleaseCommand(m) => match m.ue {
                UeIds::Pair(a, r) => (Some(a), Some(r)),
                UeIds::Amf(a) => (Some(a), None),
            },
            Self::ErrorIndication(m) => (m.amf_ue_id, m.ran_ue_id),
            Self::NgSetupRequest(_)
            | Self::NgSetupResponse(_)
            | Self::NgSetupFailure(_)
            | Self::NgReset(_)
            | Self::NgResetAcknowledge(_)
            | Self::Unknown(_) => (None, None),
        }
    }

    /// The spec's name of the message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NgSetupRequest(_) => "NGSetupRequest",
            Self::NgSetupResponse(_) => "NGSetupResponse",
            Self::NgSetupFailure(_) => "NGSetupFailure",
            Self::InitialUeMessage(_) => "InitialUEMessage",
            Self::DownlinkNasTransport(_) => "DownlinkNASTransport",
            Self::UplinkNasTransport(_) => "UplinkNASTransport",
            Self::InitialContextSetupRequest(_) => "InitialContextSetupRequest",
            Self::InitialContextSetupResponse(_) => "InitialContextSetupResponse",
            Self::InitialContextSetupFailure(_) => "InitialContextSetupFailure",
            Self::UeContextReleaseRequest(_) => "UEContextReleaseRequest",
            Self::UeContextReleaseCommand(_) => "UEContextReleaseCommand",
            Self::UeContextReleaseComplete(_) => "UEContextReleaseComplete",
            Self::PduSessionResourceSetupRequest(_) => "PDUSessionResourceSetupRequest",
            Self::PduSessionResourceSetupResponse(_) => "PDUSessionResourceSetupResponse",
            Self::PduSessionResourceReleaseCommand(_) => "PDUSessionResourceReleaseCommand",
            Self::PduSessionResourceReleaseResponse(_) => "PDUSessionResourceReleaseResponse",
            Self::PathSwitchRequest(_) => "PathSwitchRequest",
            Self::PathSwitchRequestAcknowledge(_) => "PathSwitchRequestAcknowledge",
            Self::PathSwitchRequestFailure(_) => "PathSwitchRequestFailure",
            Self::NgReset(_) => "NGReset",
            Self::NgResetAcknowledge(_) => "NGResetAcknowledge",
            Self::ErrorIndication(_) => "ErrorIndication",
            Self::Unknown(_) => "unknown procedure",
        }
    }
}

/// Reads one NGAP message. A procedure that is not ours is `Ok(Message::Unknown(..))`.
pub fn decode(octets: &[u8]) -> Result<Message, NgapError> {
    decode::message(octets)
}

/// Writes one NGAP message. Fails only where a value of ours has no place in the protocol: an oversized
/// NAS PDU or name, an empty list that the spec wants filled, [`Message::Unknown`].
pub fn encode(message: &Message) -> Result<Vec<u8>, EncodeError> {
    encode::message(message)
}

/// A message of ours that the protocol has no form for. It names the part, never its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be encoded: {why}")]
pub struct EncodeError {
    /// Message or IE, as the spec names it.
    pub what: &'static str,
    /// Which rule it breaks.
    pub why: String,
}

#[cfg(test)]
mod tests;
