//! The messages of NGAP that we speak, as the tables of TS 38.413 §9.2 have them.
//!
//! An IE of criticality *reject* is a plain field. A mandatory IE of criticality *ignore* is an `Option`
//! (or, for a cause, `misc: unspecified`), because its absence must not fail the message (§10.3.5).

use super::{
    Ambr, AmfUeNgapId, Cause, CriticalityDiagnostics, Guami, RanNodeId, RanUeNgapId, STmsi,
    SecurityCapabilities, SecurityKey, SupportedPlmn, SupportedTa, UeIds, UserLocation,
};
use types::{PduSessionId, Snssai, Tai};

/// Default paging DRX in radio frames (§9.3.1.90): 32, 64, 128 or 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagingDrx {
    /// 32 radio frames.
    V32,
    /// 64 radio frames.
    V64,
    /// 128 radio frames.
    V128,
    /// 256 radio frames.
    V256,
}

/// Time To Wait (§9.3.1.56): how long to hold back the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeToWait {
    /// 1 s.
    S1,
    /// 2 s.
    S2,
    /// 5 s.
    S5,
    /// 10 s.
    S10,
    /// 20 s.
    S20,
    /// 60 s.
    S60,
}

/// RRC Establishment Cause (§9.3.1.111).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RrcEstablishmentCause {
    /// Emergency.
    Emergency,
    /// High-priority access.
    HighPriorityAccess,
    /// Answer to paging.
    MtAccess,
    /// Signalling of the UE.
    MoSignalling,
    /// Data of the UE.
    MoData,
    /// Any other cause of the list.
    Other,
}

/// NG SETUP REQUEST (§9.2.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NgSetupRequest {
    /// Who.
    pub node: RanNodeId,
    /// Name for people, up to 150 characters.
    pub name: Option<String>,
    /// Tracking areas served; 1–256.
    pub tas: Vec<SupportedTa>,
    /// Default paging DRX.
    pub paging_drx: Option<PagingDrx>,
}

/// NG SETUP RESPONSE (§9.2.6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NgSetupResponse {
    /// Name of the AMF.
    pub name: String,
    /// GUAMIs served; 1–256.
    pub guamis: Vec<Guami>,
    /// Relative capacity, 0–255.
    pub relative_capacity: Option<u8>,
    /// PLMNs and slices supported; 1–12.
    pub plmns: Vec<SupportedPlmn>,
}

/// NG SETUP FAILURE (§9.2.6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NgSetupFailure {
    /// Why.
    pub cause: Cause,
    /// When to try again.
    pub time_to_wait: Option<TimeToWait>,
    /// What was wrong with the request.
    pub diagnostics: Option<CriticalityDiagnostics>,
}

/// RAN CONFIGURATION UPDATE (§9.2.6.4): what is not named stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanConfigurationUpdate {
    /// Name for people, up to 150 characters.
    pub name: Option<String>,
    /// Tracking areas served, all of them; empty where they stay.
    pub tas: Vec<SupportedTa>,
    /// Default paging DRX.
    pub paging_drx: Option<PagingDrx>,
}

/// RAN CONFIGURATION UPDATE FAILURE (§9.2.6.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanConfigurationUpdateFailure {
    /// Why.
    pub cause: Cause,
    /// When to try again.
    pub time_to_wait: Option<TimeToWait>,
}

/// AMF CONFIGURATION UPDATE (§9.2.6.7): what is not named stays as it was. Served identities and transport addresses of ours
/// do not change while we run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmfConfigurationUpdate {
    /// AMF name.
    pub name: Option<String>,
    /// Weight for the choice between AMFs of a set, 0–255.
    pub relative_capacity: Option<u8>,
    /// PLMNs with their slices, all of them; empty where they stay.
    pub plmns: Vec<SupportedPlmn>,
}

/// AMF CONFIGURATION UPDATE FAILURE (§9.2.6.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmfConfigurationUpdateFailure {
    /// Why.
    pub cause: Cause,
    /// When to try again.
    pub time_to_wait: Option<TimeToWait>,
}

/// OVERLOAD START (§9.2.6.13): a gNB shall let fewer UEs signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverloadStart {
    /// By how much, per cent, 1–99.
    pub reduction: Option<u8>,
}

/// INITIAL UE MESSAGE (§9.2.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialUeMessage {
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// The NAS message.
    pub nas: Vec<u8>,
    /// Where.
    pub location: UserLocation,
    /// Why the UE came.
    pub rrc_cause: Option<RrcEstablishmentCause>,
    /// The temporary identity that the UE gave to the radio.
    pub s_tmsi: Option<STmsi>,
    /// The gNB asks for a UE context.
    pub context_requested: bool,
}

/// DOWNLINK NAS TRANSPORT (§9.2.5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkNasTransport {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// The NAS message.
    pub nas: Vec<u8>,
}

/// UPLINK NAS TRANSPORT (§9.2.5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UplinkNasTransport {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// The NAS message.
    pub nas: Vec<u8>,
    /// Where.
    pub location: Option<UserLocation>,
}

/// One PDU session to set up, in INITIAL CONTEXT SETUP REQUEST and PDU SESSION RESOURCE SETUP REQUEST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSetup {
    /// Which session.
    pub id: PduSessionId,
    /// NAS message for the UE that goes with it.
    pub nas: Option<Vec<u8>>,
    /// Its slice.
    pub slice: Snssai,
    /// PDU Session Resource Setup Request Transfer, encoded: see [`super::transfer::SetupRequest`].
    pub transfer: Vec<u8>,
}

/// One PDU session with the SMF's or the gNB's encoded transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTransfer {
    /// Which session.
    pub id: PduSessionId,
    /// The transfer that belongs at this place: see [`super::transfer`].
    pub transfer: Vec<u8>,
}

/// INITIAL CONTEXT SETUP REQUEST (§9.2.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialContextSetupRequest {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Needed where sessions are set up.
    pub ue_ambr: Option<Ambr>,
    /// The serving AMF.
    pub guami: Guami,
    /// Sessions to set up at once; up to 256.
    pub sessions: Vec<SessionSetup>,
    /// Slices allowed; 1–8.
    pub allowed_nssai: Vec<Snssai>,
    /// Algorithms of the UE.
    pub security_capabilities: SecurityCapabilities,
    /// KgNB.
    pub key: SecurityKey,
    /// What the radio of the UE can do, as a gNB told it: octets of RRC.
    pub radio_capability: Option<Vec<u8>>,
    /// NAS message for the UE.
    pub nas: Option<Vec<u8>>,
}

/// INITIAL CONTEXT SETUP RESPONSE (§9.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialContextSetupResponse {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Sessions set up: [`super::transfer::SetupResponse`].
    pub setup: Vec<SessionTransfer>,
    /// Sessions that failed: [`super::transfer::SetupUnsuccessful`].
    pub failed: Vec<SessionTransfer>,
}

/// INITIAL CONTEXT SETUP FAILURE (§9.2.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialContextSetupFailure {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Sessions that failed: [`super::transfer::SetupUnsuccessful`].
    pub failed: Vec<SessionTransfer>,
    /// Why.
    pub cause: Cause,
}

/// UE CONTEXT RELEASE REQUEST (§9.2.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UeContextReleaseRequest {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Sessions with active user plane.
    pub sessions: Vec<PduSessionId>,
    /// Why.
    pub cause: Cause,
}

/// UE CONTEXT RELEASE COMMAND (§9.2.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UeContextReleaseCommand {
    /// Which UE.
    pub ue: UeIds,
    /// Why.
    pub cause: Cause,
}

/// UE CONTEXT RELEASE COMPLETE (§9.2.2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UeContextReleaseComplete {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Where the UE was last.
    pub location: Option<UserLocation>,
    /// Sessions that were released with it.
    pub sessions: Vec<PduSessionId>,
}

/// UE CONTEXT MODIFICATION REQUEST (§9.2.2.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UeContextModificationRequest {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// A new KgNB.
    pub key: Option<SecurityKey>,
    /// A new aggregate maximum bit rate of the UE.
    pub ue_ambr: Option<Ambr>,
}

/// UE CONTEXT MODIFICATION RESPONSE (§9.2.2.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UeContextModificationResponse {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
}

/// UE CONTEXT MODIFICATION FAILURE (§9.2.2.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UeContextModificationFailure {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Why.
    pub cause: Cause,
}

/// NAS NON DELIVERY INDICATION (§9.2.5.4): a NAS message did not reach its UE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NasNonDeliveryIndication {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// The message.
    pub nas: Option<Vec<u8>>,
    /// Why.
    pub cause: Cause,
}

/// UE RADIO CAPABILITY INFO INDICATION (§9.2.13.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UeRadioCapabilityInfoIndication {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// What the radio of the UE can do: octets of RRC.
    pub radio_capability: Option<Vec<u8>>,
}

/// PDU SESSION RESOURCE SETUP REQUEST (§9.2.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PduSessionResourceSetupRequest {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// NAS message for the UE that goes with none of the sessions.
    pub nas: Option<Vec<u8>>,
    /// Sessions to set up; 1–256.
    pub sessions: Vec<SessionSetup>,
    /// Aggregate maximum bit rate of the UE.
    pub ue_ambr: Option<Ambr>,
}

/// PDU SESSION RESOURCE SETUP RESPONSE (§9.2.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PduSessionResourceSetupResponse {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Sessions set up: [`super::transfer::SetupResponse`].
    pub setup: Vec<SessionTransfer>,
    /// Sessions that failed: [`super::transfer::SetupUnsuccessful`].
    pub failed: Vec<SessionTransfer>,
}

/// PDU SESSION RESOURCE RELEASE COMMAND (§9.2.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PduSessionResourceReleaseCommand {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// NAS message for the UE.
    pub nas: Option<Vec<u8>>,
    /// Sessions to release: [`super::transfer::ReleaseCommand`]; 1–256.
    pub sessions: Vec<SessionTransfer>,
}

/// PDU SESSION RESOURCE RELEASE RESPONSE (§9.2.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PduSessionResourceReleaseResponse {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Sessions released: [`super::transfer::ReleaseResponse`].
    pub released: Vec<SessionTransfer>,
    /// Where.
    pub location: Option<UserLocation>,
}

/// One PDU session to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionModify {
    /// Which session.
    pub id: PduSessionId,
    /// NAS message for the UE that goes with it.
    pub nas: Option<Vec<u8>>,
    /// PDU Session Resource Modify Request Transfer, encoded: see [`super::transfer::ModifyRequest`].
    pub transfer: Vec<u8>,
}

/// PDU SESSION RESOURCE MODIFY REQUEST (§9.2.1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PduSessionResourceModifyRequest {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Sessions to change; 1–256.
    pub sessions: Vec<SessionModify>,
}

/// PDU SESSION RESOURCE MODIFY RESPONSE (§9.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PduSessionResourceModifyResponse {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Sessions that are changed: [`super::transfer::ModifyResponse`].
    pub modified: Vec<SessionTransfer>,
    /// Sessions that are as they were, with a transfer that says why.
    pub failed: Vec<SessionTransfer>,
}

/// PATH SWITCH REQUEST (§9.2.3.8): a UE has come over from another gNB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSwitchRequest {
    /// The new gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// The AMF's name of the UE, as the gNB that it left told it.
    pub source_amf_ue_id: AmfUeNgapId,
    /// Where it is now.
    pub location: Option<UserLocation>,
    /// Algorithms of the UE, as the gNB that it left told them.
    pub security_capabilities: Option<SecurityCapabilities>,
    /// Sessions whose downlink is to come here: [`super::transfer::PathSwitch`]; 1–256.
    pub sessions: Vec<SessionTransfer>,
    /// Sessions for which there are no resources here, with a transfer that says why.
    pub failed: Vec<SessionTransfer>,
}

/// Security Context (§9.3.1.88): the next hop of the key chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    /// Next Hop Chaining Count, 0–7.
    pub ncc: u8,
    /// NH.
    pub nh: SecurityKey,
}

/// PATH SWITCH REQUEST ACKNOWLEDGE (§9.2.3.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSwitchRequestAcknowledge {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Algorithms of the UE, where the gNB was told others.
    pub security_capabilities: Option<SecurityCapabilities>,
    /// Key for the radio behind the next handover.
    pub next_hop: NextHop,
    /// Sessions that were switched: [`super::transfer::PathSwitched`].
    pub switched: Vec<SessionTransfer>,
    /// Sessions that were not: [`super::transfer::PathNotSwitched`].
    pub released: Vec<SessionTransfer>,
    /// Slices allowed; 1–8.
    pub allowed_nssai: Vec<Snssai>,
}

/// PATH SWITCH REQUEST FAILURE (§9.2.3.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSwitchRequestFailure {
    /// The AMF's name of the UE, as it was asked about.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Every session of the request: [`super::transfer::PathNotSwitched`].
    pub released: Vec<SessionTransfer>,
}

/// HANDOVER REQUIRED (§9.2.3.1): a gNB wants to give a UE to another one by way of the AMF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverRequired {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Why.
    pub cause: Cause,
    /// To whom.
    pub target: RanNodeId,
    /// Tracking area of the cell there.
    pub tai: Tai,
    /// Sessions to take along, each with a transfer of which nothing is used; 1–256.
    pub sessions: Vec<SessionTransfer>,
    /// From radio to radio.
    pub container: Vec<u8>,
}

/// HANDOVER COMMAND (§9.2.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverCommand {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Sessions that go along: [`super::transfer::HandoverCommandTransfer`].
    pub sessions: Vec<SessionTransfer>,
    /// Sessions that do not: [`super::transfer::NotPrepared`].
    pub released: Vec<SessionTransfer>,
    /// From radio to radio.
    pub container: Vec<u8>,
}

/// HANDOVER PREPARATION FAILURE (§9.2.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverPreparationFailure {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Why.
    pub cause: Cause,
}

/// One session of a HANDOVER REQUEST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverSession {
    /// Which session.
    pub id: PduSessionId,
    /// Its slice.
    pub slice: Snssai,
    /// PDU Session Resource Setup Request Transfer: [`super::transfer::SetupRequest`].
    pub transfer: Vec<u8>,
}

/// HANDOVER REQUEST (§9.2.3.4): the AMF asks a gNB to take a UE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverRequest {
    /// The AMF's name of the UE there.
    pub amf_ue_id: AmfUeNgapId,
    /// Why.
    pub cause: Cause,
    /// Aggregate maximum bit rate of the UE.
    pub ue_ambr: Ambr,
    /// Algorithms of the UE.
    pub security_capabilities: SecurityCapabilities,
    /// The key behind this handover.
    pub next_hop: NextHop,
    /// Sessions to take; 1–256.
    pub sessions: Vec<HandoverSession>,
    /// Slices allowed; 1–8.
    pub allowed_nssai: Vec<Snssai>,
    /// From radio to radio.
    pub container: Vec<u8>,
    /// The serving AMF.
    pub guami: Guami,
}

/// HANDOVER REQUEST ACKNOWLEDGE (§9.2.3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverRequestAcknowledge {
    /// The AMF's name of the UE there.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Sessions that it takes: [`super::transfer::Admitted`].
    pub admitted: Vec<SessionTransfer>,
    /// Sessions that it does not, with a transfer that says why.
    pub failed: Vec<SessionTransfer>,
    /// From radio to radio.
    pub container: Vec<u8>,
}

/// HANDOVER FAILURE (§9.2.3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverFailure {
    /// The AMF's name of the UE there.
    pub amf_ue_id: AmfUeNgapId,
    /// Why.
    pub cause: Cause,
}

/// UPLINK and DOWNLINK RAN STATUS TRANSFER (§9.2.3.13, §9.2.3.14): what one gNB tells the other by way of the AMF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanStatusTransfer {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// What is told.
    pub status: RanStatus,
}

/// Sequence numbers of the UE's radio bearers (§9.3.1.108): the radios' own affair, read and written as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanStatus(pub(super) oxirush_ngap::ngap::RANStatusTransferTransparentContainer<'static>);

/// UPLINK and DOWNLINK RAN CONFIGURATION TRANSFER (§9.2.6.10, §9.2.6.11): what one gNB tells another, or asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanConfigurationTransfer {
    /// For whom and what; a transfer about E-UTRA alone has none.
    pub son: Option<SonTransfer>,
}

/// SON Configuration Transfer (§9.3.3.6): but for who is meant by it the radios' own affair, read and written as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SonTransfer {
    /// The gNB that it is for.
    pub target: RanNodeId,
    /// The gNB that it is from.
    pub source: RanNodeId,
    pub(super) whole: oxirush_ngap::ngap::SONConfigurationTransfer<'static>,
}

/// HANDOVER NOTIFY (§9.2.3.7): the UE is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverNotify {
    /// The AMF's name of the UE here.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Where.
    pub location: Option<UserLocation>,
}

/// HANDOVER CANCEL (§9.2.3.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverCancel {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Why.
    pub cause: Cause,
}

/// HANDOVER CANCEL ACKNOWLEDGE (§9.2.3.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverCancelAcknowledge {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
}

/// When a gNB is to say where a UE is (§9.3.1.65); areas of interest are not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocationEvent {
    /// Once, at once.
    Direct,
    /// Whenever its cell is another.
    CellChange,
    /// Not any more.
    StopCellChange,
}

/// LOCATION REPORTING CONTROL (§9.2.11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocationReportingControl {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// When; `None` where it is an event that is not ours.
    pub event: Option<LocationEvent>,
}

/// LOCATION REPORTING FAILURE INDICATION (§9.2.11.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocationReportingFailureIndication {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Why.
    pub cause: Cause,
}

/// LOCATION REPORT (§9.2.11.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationReport {
    /// The AMF's name of the UE.
    pub amf_ue_id: AmfUeNgapId,
    /// The gNB's name of the UE.
    pub ran_ue_id: RanUeNgapId,
    /// Where.
    pub location: Option<UserLocation>,
    /// What it was asked for.
    pub event: Option<LocationEvent>,
}

/// PAGING (§9.2.4.1): an idle UE is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// The temporary identity that it listens for.
    pub s_tmsi: STmsi,
    /// Where it may be; 1–16.
    pub tais: Vec<Tai>,
}

/// One UE in a partial reset; either identifier may be missing (§9.3.3.25).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UeConnection {
    /// The AMF's name of the UE.
    pub amf_ue_id: Option<AmfUeNgapId>,
    /// The gNB's name of the UE.
    pub ran_ue_id: Option<RanUeNgapId>,
}

/// What an NG RESET is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResetType {
    /// The whole interface.
    All,
    /// These UEs; 1–65 536.
    Part(Vec<UeConnection>),
}

/// NG RESET (§9.2.6.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NgReset {
    /// Why.
    pub cause: Cause,
    /// What is reset.
    pub reset: ResetType,
}

/// NG RESET ACKNOWLEDGE (§9.2.6.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NgResetAcknowledge {
    /// The UEs of a partial reset, in the order of the request; empty for a whole one.
    pub connections: Vec<UeConnection>,
}

/// ERROR INDICATION (§9.2.7.1). At least one of cause and diagnostics shall be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorIndication {
    /// The AMF's name of the UE, where one is concerned.
    pub amf_ue_id: Option<AmfUeNgapId>,
    /// The gNB's name of the UE, where one is concerned.
    pub ran_ue_id: Option<RanUeNgapId>,
    /// What went wrong.
    pub cause: Option<Cause>,
    /// Which message and which IEs.
    pub diagnostics: Option<CriticalityDiagnostics>,
}
