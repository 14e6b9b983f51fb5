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
    /// Downlink RAN Status Transfer.
    pub const DOWNLINK_RAN_STATUS_TRANSFER: u8 = 7;
    /// Error Indication.
    pub const ERROR_INDICATION: u8 = 9;
    /// Handover Cancel.
    pub const HANDOVER_CANCEL: u8 = 10;
    /// Handover Notification.
    pub const HANDOVER_NOTIFICATION: u8 = 11;
    /// Handover Preparation.
    pub const HANDOVER_PREPARATION: u8 = 12;
    /// Handover Resource Allocation.
    pub const HANDOVER_RESOURCE_ALLOCATION: u8 = 13;
    /// Initial Context Setup.
    pub const INITIAL_CONTEXT_SETUP: u8 = 14;
    /// Initial UE Message.
    pub const INITIAL_UE_MESSAGE: u8 = 15;
    /// NG Reset.
    pub const NG_RESET: u8 = 20;
    /// NG Setup.
    pub const NG_SETUP: u8 = 21;
    /// Overload Start.
    pub const OVERLOAD_START: u8 = 22;
    /// Overload Stop.
    pub const OVERLOAD_STOP: u8 = 23;
    /// RAN Configuration Update.
    pub const RAN_CONFIGURATION_UPDATE: u8 = 35;
    /// PDU Session Resource Release.
    pub const PDU_SESSION_RESOURCE_RELEASE: u8 = 28;
    /// PDU Session Resource Setup.
    pub const PDU_SESSION_RESOURCE_SETUP: u8 = 29;
    /// Paging.
    pub const PAGING: u8 = 24;
    /// Path Switch Request.
    pub const PATH_SWITCH_REQUEST: u8 = 25;
    /// NAS Non Delivery Indication.
    pub const NAS_NON_DELIVERY_INDICATION: u8 = 19;
    /// UE Context Modification.
    pub const UE_CONTEXT_MODIFICATION: u8 = 40;
    /// UE Context Release.
    pub const UE_CONTEXT_RELEASE: u8 = 41;
    /// UE Context Release Request.
    pub const UE_CONTEXT_RELEASE_REQUEST: u8 = 42;
    /// UE Radio Capability Info Indication.
    pub const UE_RADIO_CAPABILITY_INFO_INDICATION: u8 = 44;
    /// Uplink NAS Transport.
    pub const UPLINK_NAS_TRANSPORT: u8 = 46;
    /// Uplink RAN Status Transfer.
    pub const UPLINK_RAN_STATUS_TRANSFER: u8 = 49;
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
    /// gNB → AMF: what it serves has changed.
    RanConfigurationUpdate(RanConfigurationUpdate),
    /// AMF → gNB: accepted.
    RanConfigurationUpdateAcknowledge,
    /// AMF → gNB: refused.
    RanConfigurationUpdateFailure(RanConfigurationUpdateFailure),
    /// AMF → gNB: what we serve has changed.
    AmfConfigurationUpdate(AmfConfigurationUpdate),
    /// gNB → AMF: accepted.
    AmfConfigurationUpdateAcknowledge,
    /// gNB → AMF: refused.
    AmfConfigurationUpdateFailure(AmfConfigurationUpdateFailure),
    /// AMF → gNB: let fewer UEs signal.
    OverloadStart(OverloadStart),
    /// AMF → gNB: all of them again.
    OverloadStop,
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
    /// gNB → AMF: what the UE's radio can do.
    UeRadioCapabilityInfoIndication(UeRadioCapabilityInfoIndication),
    /// AMF → gNB: this of a UE's context is new.
    UeContextModificationRequest(UeContextModificationRequest),
    /// gNB → AMF: it is.
    UeContextModificationResponse(UeContextModificationResponse),
    /// gNB → AMF: it cannot be.
    UeContextModificationFailure(UeContextModificationFailure),
    /// gNB → AMF: your NAS message did not arrive.
    NasNonDeliveryIndication(NasNonDeliveryIndication),
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
    /// AMF → gNB: change PDU sessions.
    PduSessionResourceModifyRequest(PduSessionResourceModifyRequest),
    /// gNB → AMF: which were changed.
    PduSessionResourceModifyResponse(PduSessionResourceModifyResponse),
    /// gNB → AMF: this UE has come over to me.
    PathSwitchRequest(PathSwitchRequest),
    /// AMF → gNB: its packets come to you.
    PathSwitchRequestAcknowledge(PathSwitchRequestAcknowledge),
    /// AMF → gNB: they do not.
    PathSwitchRequestFailure(PathSwitchRequestFailure),
    /// gNB → AMF: this UE shall go to another gNB.
    HandoverRequired(HandoverRequired),
    /// AMF → gNB: send it there.
    HandoverCommand(HandoverCommand),
    /// AMF → gNB: it cannot go there.
    HandoverPreparationFailure(HandoverPreparationFailure),
    /// AMF → gNB: take this UE.
    HandoverRequest(HandoverRequest),
    /// gNB → AMF: I take it.
    HandoverRequestAcknowledge(HandoverRequestAcknowledge),
    /// gNB → AMF: I do not.
    HandoverFailure(HandoverFailure),
    /// gNB → AMF: how far it has come with a UE that goes elsewhere.
    UplinkRanStatusTransfer(RanStatusTransfer),
    /// AMF → gNB: how far the gNB that the UE comes from has come.
    DownlinkRanStatusTransfer(RanStatusTransfer),
    /// gNB → AMF: for another gNB.
    UplinkRanConfigurationTransfer(RanConfigurationTransfer),
    /// AMF → gNB: from another gNB.
    DownlinkRanConfigurationTransfer(RanConfigurationTransfer),
    /// gNB → AMF: it is here.
    HandoverNotify(HandoverNotify),
    /// gNB → AMF: it shall not go after all.
    HandoverCancel(HandoverCancel),
    /// AMF → gNB: it does not.
    HandoverCancelAcknowledge(HandoverCancelAcknowledge),
    /// AMF → gNB: say where this UE is.
    LocationReportingControl(LocationReportingControl),
    /// gNB → AMF: I do not.
    LocationReportingFailureIndication(LocationReportingFailureIndication),
    /// gNB → AMF: it is here.
    LocationReport(LocationReport),
    /// AMF → gNB: call this UE.
    Paging(Paging),
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
            Self::UeRadioCapabilityInfoIndication(m) => both!(m),
            Self::UeContextModificationRequest(m) => both!(m),
            Self::UeContextModificationResponse(m) => both!(m),
            Self::UeContextModificationFailure(m) => both!(m),
            Self::NasNonDeliveryIndication(m) => both!(m),
            Self::UeContextReleaseRequest(m) => both!(m),
            Self::UeContextReleaseComplete(m) => both!(m),
            Self::PduSessionResourceSetupRequest(m) => both!(m),
            Self::PduSessionResourceSetupResponse(m) => both!(m),
            Self::PduSessionResourceReleaseCommand(m) => both!(m),
            Self::PduSessionResourceReleaseResponse(m) => both!(m),
            Self::PduSessionResourceModifyRequest(m) => both!(m),
            Self::PduSessionResourceModifyResponse(m) => both!(m),
            Self::PathSwitchRequest(m) => (Some(m.source_amf_ue_id), Some(m.ran_ue_id)),
            Self::PathSwitchRequestAcknowledge(m) => both!(m),
            Self::PathSwitchRequestFailure(m) => both!(m),
            Self::HandoverRequired(m) => both!(m),
            Self::HandoverCommand(m) => both!(m),
            Self::HandoverPreparationFailure(m) => both!(m),
            Self::HandoverRequestAcknowledge(m) => both!(m),
            Self::UplinkRanStatusTransfer(m) => both!(m),
            Self::DownlinkRanStatusTransfer(m) => both!(m),
            Self::HandoverNotify(m) => both!(m),
            Self::HandoverCancel(m) => both!(m),
            Self::HandoverCancelAcknowledge(m) => both!(m),
            Self::LocationReportingControl(m) => both!(m),
            Self::LocationReportingFailureIndication(m) => both!(m),
            Self::LocationReport(m) => both!(m),
            Self::HandoverRequest(m) => (Some(m.amf_ue_id), None),
            Self::HandoverFailure(m) => (Some(m.amf_ue_id), None),
            Self::UeContextReleaseCommand(m) => match m.ue {
                UeIds::Pair(a, r) => (Some(a), Some(r)),
                UeIds::Amf(a) => (Some(a), None),
            },
            Self::ErrorIndication(m) => (m.amf_ue_id, m.ran_ue_id),
            Self::NgSetupRequest(_)
            | Self::NgSetupResponse(_)
            | Self::NgSetupFailure(_)
            | Self::RanConfigurationUpdate(_)
            | Self::RanConfigurationUpdateAcknowledge
            | Self::RanConfigurationUpdateFailure(_)
            | Self::AmfConfigurationUpdate(_)
            | Self::AmfConfigurationUpdateAcknowledge
            | Self::AmfConfigurationUpdateFailure(_)
            | Self::OverloadStart(_)
            | Self::UplinkRanConfigurationTransfer(_)
            | Self::DownlinkRanConfigurationTransfer(_)
            | Self::OverloadStop
            | Self::Paging(_)
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
            Self::RanConfigurationUpdate(_) => "RANConfigurationUpdate",
            Self::RanConfigurationUpdateAcknowledge => "RANConfigurationUpdateAcknowledge",
            Self::RanConfigurationUpdateFailure(_) => "RANConfigurationUpdateFailure",
            Self::AmfConfigurationUpdate(_) => "AMFConfigurationUpdate",
            Self::AmfConfigurationUpdateAcknowledge => "AMFConfigurationUpdateAcknowledge",
            Self::AmfConfigurationUpdateFailure(_) => "AMFConfigurationUpdateFailure",
            Self::OverloadStart(_) => "OverloadStart",
            Self::OverloadStop => "OverloadStop",
            Self::InitialUeMessage(_) => "InitialUEMessage",
            Self::DownlinkNasTransport(_) => "DownlinkNASTransport",
            Self::UplinkNasTransport(_) => "UplinkNASTransport",
            Self::InitialContextSetupRequest(_) => "InitialContextSetupRequest",
            Self::InitialContextSetupResponse(_) => "InitialContextSetupResponse",
            Self::InitialContextSetupFailure(_) => "InitialContextSetupFailure",
            Self::UeRadioCapabilityInfoIndication(_) => "UERadioCapabilityInfoIndication",
            Self::UeContextModificationRequest(_) => "UEContextModificationRequest",
            Self::UeContextModificationResponse(_) => "UEContextModificationResponse",
            Self::UeContextModificationFailure(_) => "UEContextModificationFailure",
            Self::NasNonDeliveryIndication(_) => "NASNonDeliveryIndication",
            Self::UeContextReleaseRequest(_) => "UEContextReleaseRequest",
            Self::UeContextReleaseCommand(_) => "UEContextReleaseCommand",
            Self::UeContextReleaseComplete(_) => "UEContextReleaseComplete",
            Self::PduSessionResourceSetupRequest(_) => "PDUSessionResourceSetupRequest",
            Self::PduSessionResourceSetupResponse(_) => "PDUSessionResourceSetupResponse",
            Self::PduSessionResourceReleaseCommand(_) => "PDUSessionResourceReleaseCommand",
            Self::PduSessionResourceReleaseResponse(_) => "PDUSessionResourceReleaseResponse",
            Self::PduSessionResourceModifyRequest(_) => "PDUSessionResourceModifyRequest",
            Self::PduSessionResourceModifyResponse(_) => "PDUSessionResourceModifyResponse",
            Self::PathSwitchRequest(_) => "PathSwitchRequest",
            Self::PathSwitchRequestAcknowledge(_) => "PathSwitchRequestAcknowledge",
            Self::PathSwitchRequestFailure(_) => "PathSwitchRequestFailure",
            Self::HandoverRequired(_) => "HandoverRequired",
            Self::HandoverCommand(_) => "HandoverCommand",
            Self::HandoverPreparationFailure(_) => "HandoverPreparationFailure",
            Self::HandoverRequest(_) => "HandoverRequest",
            Self::HandoverRequestAcknowledge(_) => "HandoverRequestAcknowledge",
            Self::HandoverFailure(_) => "HandoverFailure",
            Self::UplinkRanStatusTransfer(_) => "UplinkRANStatusTransfer",
            Self::DownlinkRanStatusTransfer(_) => "DownlinkRANStatusTransfer",
            Self::UplinkRanConfigurationTransfer(_) => "UplinkRANConfigurationTransfer",
            Self::DownlinkRanConfigurationTransfer(_) => "DownlinkRANConfigurationTransfer",
            Self::HandoverNotify(_) => "HandoverNotify",
            Self::HandoverCancel(_) => "HandoverCancel",
            Self::HandoverCancelAcknowledge(_) => "HandoverCancelAcknowledge",
            Self::LocationReportingControl(_) => "LocationReportingControl",
            Self::LocationReportingFailureIndication(_) => "LocationReportingFailureIndication",
            Self::LocationReport(_) => "LocationReport",
            Self::Paging(_) => "Paging",
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
