//! Octets → [`Message`].
//!
//! The structure of the message is judged first (§10.3.5, §10.3.6), then every IE is read, and only then
//! is the message put together: an error names all IEs that are wrong, not the first one.

use super::convert as c;
use super::*;
use elements::{modify, setup, son_transfer, transfer};
use oxirush_ngap::aper::protocol::Ie;
use oxirush_ngap::ngap as ox;
use oxirush_ngap::{Deviation, Ngap, NgapPduKind as Kind, ie};

/// Most IEs that an error names (§9.3.1.3).
const MAX_DIAGNOSTICS: usize = 256;

/// The list `$list` of items `$item` as `SessionTransfer`s; `None` where there is none.
macro_rules! transfers {
    ($reader:ident, $list:ident of $item:ident, $transfer:ident) => {
        $reader.get::<ie::$list, _>(|l| {
            l.0.iter().map(|i: &ox::$item<'_>| transfer(&i.pdu_session_id, &i.$transfer)).collect()
        })
    };
}

// Behind the macro, so that it is known there.
mod elements;
mod handover;
mod setup;

pub(super) fn message(octets: &[u8]) -> Result<Message, NgapError> {
    let failed = |fault| NgapError {
        fault,
        procedure: None,
        amf_ue_id: None,
        ran_ue_id: None,
        ies: Vec::new(),
        octets: octets.len(),
    };
    if octets.len() > MAX_MESSAGE {
        return Err(failed(Fault::TooLong));
    }
    let pdu = ox::NGAPPDU::decode_borrowed(octets).map_err(|_| failed(Fault::TransferSyntax))?;
    let procedure = envelope(&pdu).ok_or(failed(Fault::TransferSyntax))?;
    let kind = pdu.kind();
    if !ours(&kind) {
        return Ok(Message::Unknown(procedure));
    }
    let mut reader = Reader { pdu: &pdu, ies: Vec::new(), repeated: false };
    let fault = match reader.structure() {
        Err(()) => Fault::TransferSyntax,
        Ok(()) => match reader.read(&kind) {
            Some(m) if !reader.repeated && !reader.rejects() => return Ok(m),
            _ if reader.repeated => Fault::FalselyConstructed,
            _ if reader.rejects() => Fault::AbstractSyntaxReject,
            // An IE of criticality "ignore" without which nothing can be done: the identifiers of a response.
            _ => Fault::Unusable,
        },
    };
    Err(NgapError {
        procedure: Some(procedure),
        amf_ue_id: reader.peek::<ie::AMF_UE_NGAP_ID, _>(|v| AmfUeNgapId::new(v.0)),
        ran_ue_id: reader.peek::<ie::RAN_UE_NGAP_ID, _>(|v| Some(RanUeNgapId(v.0))),
        ies: reader.ies,
        ..failed(fault)
    })
}

fn envelope(pdu: &ox::NGAPPDU<'_>) -> Option<Procedure> {
    let direction = match pdu {
        ox::NGAPPDU::initiatingMessage(_) => Direction::Initiating,
        ox::NGAPPDU::successfulOutcome(_) => Direction::Successful,
        ox::NGAPPDU::unsuccessfulOutcome(_) => Direction::Unsuccessful,
        _ => return None,
    };
    let criticality = c::criticality(pdu.criticality());
    Some(Procedure { code: pdu.procedure_code(), direction, criticality })
}

fn ours(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Initiating_NGSetup
            | Kind::Successful_NGSetup
            | Kind::Unsuccessful_NGSetup
            | Kind::Initiating_RANConfigurationUpdate
            | Kind::Successful_RANConfigurationUpdate
            | Kind::Unsuccessful_RANConfigurationUpdate
            | Kind::Initiating_AMFConfigurationUpdate
            | Kind::Successful_AMFConfigurationUpdate
            | Kind::Unsuccessful_AMFConfigurationUpdate
            | Kind::Initiating_OverloadStart
            | Kind::Initiating_OverloadStop
            | Kind::Initiating_InitialUEMessage
            | Kind::Initiating_DownlinkNASTransport
            | Kind::Initiating_UplinkNASTransport
            | Kind::Initiating_InitialContextSetup
            | Kind::Successful_InitialContextSetup
            | Kind::Unsuccessful_InitialContextSetup
            | Kind::Initiating_UERadioCapabilityInfoIndication
            | Kind::Initiating_UEContextModification
            | Kind::Successful_UEContextModification
            | Kind::Unsuccessful_UEContextModification
            | Kind::Initiating_NASNonDeliveryIndication
            | Kind::Initiating_UEContextReleaseRequest
            | Kind::Initiating_UEContextRelease
            | Kind::Successful_UEContextRelease
            | Kind::Initiating_PDUSessionResourceSetup
            | Kind::Successful_PDUSessionResourceSetup
            | Kind::Initiating_PDUSessionResourceRelease
            | Kind::Successful_PDUSessionResourceRelease
            | Kind::Initiating_PDUSessionResourceModify
            | Kind::Successful_PDUSessionResourceModify
            | Kind::Initiating_PathSwitchRequest
            | Kind::Successful_PathSwitchRequest
            | Kind::Unsuccessful_PathSwitchRequest
            | Kind::Initiating_HandoverPreparation
            | Kind::Successful_HandoverPreparation
            | Kind::Unsuccessful_HandoverPreparation
            | Kind::Initiating_HandoverResourceAllocation
            | Kind::Successful_HandoverResourceAllocation
            | Kind::Unsuccessful_HandoverResourceAllocation
            | Kind::Initiating_UplinkRANStatusTransfer
            | Kind::Initiating_DownlinkRANStatusTransfer
            | Kind::Initiating_UplinkRANConfigurationTransfer
            | Kind::Initiating_DownlinkRANConfigurationTransfer
            | Kind::Initiating_HandoverNotification
            | Kind::Initiating_HandoverCancel
            | Kind::Successful_HandoverCancel
            | Kind::Initiating_LocationReportingControl
            | Kind::Initiating_LocationReportingFailureIndication
            | Kind::Initiating_LocationReport
            | Kind::Initiating_Paging
            | Kind::Initiating_NGReset
            | Kind::Successful_NGReset
            | Kind::Initiating_ErrorIndication
    )
}

/// Reads the IEs of one message and remembers those that are wrong.
struct Reader<'p> {
    pdu: &'p ox::NGAPPDU<'p>,
    ies: Vec<IeDiagnostic>,
    repeated: bool,
}

impl Reader<'_> {
    /// `None` where an IE without which the message means nothing is missing or wrong.
    fn read(&mut self, kind: &Kind) -> Option<Message> {
        match kind {
            Kind::Initiating_NGSetup => self.ng_setup_request(),
            Kind::Successful_NGSetup => self.ng_setup_response(),
            Kind::Unsuccessful_NGSetup => Some(self.ng_setup_failure()),
            Kind::Initiating_RANConfigurationUpdate => {
                let (name, paging_drx) = (self.ran_name(), self.paging_drx());
                let tas = self.get::<ie::SupportedTAList, _>(|v| c::supported_tas(&v)).unwrap_or_default();
                Some(Message::RanConfigurationUpdate(RanConfigurationUpdate { name, tas, paging_drx }))
            }
            Kind::Successful_RANConfigurationUpdate => Some(Message::RanConfigurationUpdateAcknowledge),
            Kind::Unsuccessful_RANConfigurationUpdate => {
                let (cause, time_to_wait) = (self.cause(), self.time_to_wait());
                let failure = RanConfigurationUpdateFailure { cause, time_to_wait };
                Some(Message::RanConfigurationUpdateFailure(failure))
            }
            Kind::Initiating_AMFConfigurationUpdate => {
                let name = self.get::<ie::AMFName, _>(|v| Some(v.0.into_owned()));
                let relative_capacity = self.get::<ie::RelativeAMFCapacity, _>(|v| Some(v.0));
                let plmns = self.get::<ie::PLMNSupportList, _>(|v| c::plmn_support(&v)).unwrap_or_default();
                let update = AmfConfigurationUpdate { name, relative_capacity, plmns };
                Some(Message::AmfConfigurationUpdate(update))
            }
            Kind::Successful_AMFConfigurationUpdate => Some(Message::AmfConfigurationUpdateAcknowledge),
            Kind::Unsuccessful_AMFConfigurationUpdate => {
                let (cause, time_to_wait) = (self.cause(), self.time_to_wait());
                let failure = AmfConfigurationUpdateFailure { cause, time_to_wait };
                Some(Message::AmfConfigurationUpdateFailure(failure))
            }
            Kind::Initiating_OverloadStart => {
                let reduction = self.get::<ie::AMFTrafficLoadReductionIndication, _>(|v| Some(v.0));
                Some(Message::OverloadStart(OverloadStart { reduction }))
            }
            Kind::Initiating_OverloadStop => Some(Message::OverloadStop),
            Kind::Initiating_InitialUEMessage => self.initial_ue_message(),
            Kind::Initiating_DownlinkNASTransport => {
                let ((amf, ran), nas) = (self.ue(), self.nas());
                Some(Message::DownlinkNasTransport(DownlinkNasTransport {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    nas: nas?,
                }))
            }
            Kind::Initiating_UplinkNASTransport => {
                let ((amf, ran), nas, location) = (self.ue(), self.nas(), self.location());
                Some(Message::UplinkNasTransport(UplinkNasTransport {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    nas: nas?,
                    location,
                }))
            }
            Kind::Initiating_InitialContextSetup => self.initial_context_setup_request(),
            Kind::Successful_InitialContextSetup => {
                let (amf, ran) = self.ue();
                let setup = transfers!(self, PDUSessionResourceSetupListCxtRes of PDUSessionResourceSetupItemCxtRes, pdu_session_resource_setup_response_transfer);
                let failed = transfers!(self, PDUSessionResourceFailedToSetupListCxtRes of PDUSessionResourceFailedToSetupItemCxtRes, pdu_session_resource_setup_unsuccessful_transfer);
                Some(Message::InitialContextSetupResponse(InitialContextSetupResponse {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    setup: setup.unwrap_or_default(),
                    failed: failed.unwrap_or_default(),
                }))
            }
            Kind::Unsuccessful_InitialContextSetup => {
                let ((amf, ran), cause) = (self.ue(), self.cause());
                let failed = transfers!(self, PDUSessionResourceFailedToSetupListCxtFail of PDUSessionResourceFailedToSetupItemCxtFail, pdu_session_resource_setup_unsuccessful_transfer);
                Some(Message::InitialContextSetupFailure(InitialContextSetupFailure {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    failed: failed.unwrap_or_default(),
                    cause,
                }))
            }
            Kind::Initiating_UERadioCapabilityInfoIndication => {
                let ((amf, ran), radio_capability) = (self.ue(), self.radio_capability());
                Some(Message::UeRadioCapabilityInfoIndication(UeRadioCapabilityInfoIndication {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    radio_capability,
                }))
            }
            Kind::Initiating_UEContextModification => {
                let ((amf, ran), ue_ambr) = (self.ue(), self.ambr());
                let key = self.get::<ie::SecurityKey, _>(|v| c::security_key(&v));
                Some(Message::UeContextModificationRequest(UeContextModificationRequest {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    key,
                    ue_ambr,
                }))
            }
            Kind::Successful_UEContextModification => {
                let (amf, ran) = self.ue();
                Some(Message::UeContextModificationResponse(UeContextModificationResponse {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                }))
            }
            Kind::Unsuccessful_UEContextModification => {
                let ((amf, ran), cause) = (self.ue(), self.cause());
                Some(Message::UeContextModificationFailure(UeContextModificationFailure {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    cause,
                }))
            }
            Kind::Initiating_NASNonDeliveryIndication => {
                let ((amf, ran), nas, cause) = (self.ue(), self.nas(), self.cause());
                Some(Message::NasNonDeliveryIndication(NasNonDeliveryIndication {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    nas,
                    cause,
                }))
            }
            Kind::Initiating_UEContextReleaseRequest => {
                let ((amf, ran), cause) = (self.ue(), self.cause());
                let sessions = self.get::<ie::PDUSessionResourceListCxtRelReq, _>(|l| {
                    l.0.iter().map(|i| c::session_id(&i.pdu_session_id)).collect()
                });
                Some(Message::UeContextReleaseRequest(UeContextReleaseRequest {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    sessions: sessions.unwrap_or_default(),
                    cause,
                }))
            }
            Kind::Initiating_UEContextRelease => {
                let cause = self.cause();
                let ue = self.get::<ie::UE_NGAP_IDs, _>(|v| match v {
                    ox::UENGAPIDs::uE_NGAP_ID_pair(p) => Some(UeIds::Pair(
                        AmfUeNgapId::new(p.amf_ue_ngap_id.0)?,
                        RanUeNgapId(p.ran_ue_ngap_id.0),
                    )),
                    ox::UENGAPIDs::aMF_UE_NGAP_ID(a) => AmfUeNgapId::new(a.0).map(UeIds::Amf),
                    _ => None,
                });
                Some(Message::UeContextReleaseCommand(UeContextReleaseCommand { ue: ue?, cause }))
            }
            Kind::Successful_UEContextRelease => {
                let ((amf, ran), location) = (self.ue(), self.location());
                let sessions = self.get::<ie::PDUSessionResourceListCxtRelCpl, _>(|l| {
                    l.0.iter().map(|i| c::session_id(&i.pdu_session_id)).collect()
                });
                Some(Message::UeContextReleaseComplete(UeContextReleaseComplete {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    location,
                    sessions: sessions.unwrap_or_default(),
                }))
            }
            Kind::Initiating_PDUSessionResourceSetup => {
                let ((amf, ran), nas, ue_ambr) = (self.ue(), self.nas(), self.ambr());
                let sessions = self.get::<ie::PDUSessionResourceSetupListSUReq, _>(|l| {
                    let item = |i: &ox::PDUSessionResourceSetupItemSUReq<'_>| {
                        setup(
                            &i.pdu_session_id,
                            i.pdu_session_nas_pdu.as_ref(),
                            &i.s_nssai,
                            &i.pdu_session_resource_setup_request_transfer,
                        )
                    };
                    l.0.iter().map(item).collect()
                });
                Some(Message::PduSessionResourceSetupRequest(PduSessionResourceSetupRequest {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    nas,
                    sessions: sessions?,
                    ue_ambr,
                }))
            }
            Kind::Successful_PDUSessionResourceSetup => {
                let (amf, ran) = self.ue();
                let setup = transfers!(self, PDUSessionResourceSetupListSURes of PDUSessionResourceSetupItemSURes, pdu_session_resource_setup_response_transfer);
                let failed = transfers!(self, PDUSessionResourceFailedToSetupListSURes of PDUSessionResourceFailedToSetupItemSURes, pdu_session_resource_setup_unsuccessful_transfer);
                Some(Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    setup: setup.unwrap_or_default(),
                    failed: failed.unwrap_or_default(),
                }))
            }
            Kind::Initiating_PDUSessionResourceRelease => {
                let ((amf, ran), nas) = (self.ue(), self.nas());
                let sessions = transfers!(self, PDUSessionResourceToReleaseListRelCmd of PDUSessionResourceToReleaseItemRelCmd, pdu_session_resource_release_command_transfer);
                Some(Message::PduSessionResourceReleaseCommand(PduSessionResourceReleaseCommand {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    nas,
                    sessions: sessions?,
                }))
            }
            Kind::Successful_PDUSessionResourceRelease => {
                let ((amf, ran), location) = (self.ue(), self.location());
                let released = transfers!(self, PDUSessionResourceReleasedListRelRes of PDUSessionResourceReleasedItemRelRes, pdu_session_resource_release_response_transfer);
                Some(Message::PduSessionResourceReleaseResponse(PduSessionResourceReleaseResponse {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    released: released.unwrap_or_default(),
                    location,
                }))
            }
            Kind::Initiating_PDUSessionResourceModify => {
                let (amf, ran) = self.ue();
                let sessions = self
                    .get::<ie::PDUSessionResourceModifyListModReq, _>(|l| l.0.iter().map(modify).collect());
                Some(Message::PduSessionResourceModifyRequest(PduSessionResourceModifyRequest {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    sessions: sessions?,
                }))
            }
            Kind::Successful_PDUSessionResourceModify => {
                let (amf, ran) = self.ue();
                let modified = transfers!(self, PDUSessionResourceModifyListModRes of PDUSessionResourceModifyItemModRes, pdu_session_resource_modify_response_transfer);
                let failed = transfers!(self, PDUSessionResourceFailedToModifyListModRes of PDUSessionResourceFailedToModifyItemModRes, pdu_session_resource_modify_unsuccessful_transfer);
                Some(Message::PduSessionResourceModifyResponse(PduSessionResourceModifyResponse {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    modified: modified.unwrap_or_default(),
                    failed: failed.unwrap_or_default(),
                }))
            }
            Kind::Initiating_PathSwitchRequest => self.path_switch_request(),
            Kind::Successful_PathSwitchRequest => self.path_switch_request_acknowledge(),
            Kind::Unsuccessful_PathSwitchRequest => {
                let (amf, ran) = self.ue();
                let released = transfers!(
                    self,
                    PDUSessionResourceReleasedListPSFail of PDUSessionResourceReleasedItemPSFail,
                    path_switch_request_unsuccessful_transfer
                );
                Some(Message::PathSwitchRequestFailure(PathSwitchRequestFailure {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    released: released.unwrap_or_default(),
                }))
            }
            Kind::Initiating_HandoverPreparation => self.handover_required(),
            Kind::Successful_HandoverPreparation => self.handover_command(),
            Kind::Unsuccessful_HandoverPreparation => {
                let ((amf, ran), cause) = (self.ue(), self.cause());
                Some(Message::HandoverPreparationFailure(HandoverPreparationFailure {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    cause,
                }))
            }
            Kind::Initiating_HandoverResourceAllocation => self.handover_request(),
            Kind::Successful_HandoverResourceAllocation => self.handover_request_acknowledge(),
            Kind::Unsuccessful_HandoverResourceAllocation => {
                let amf = self.get::<ie::AMF_UE_NGAP_ID, _>(|v| AmfUeNgapId::new(v.0));
                let cause = self.cause();
                Some(Message::HandoverFailure(HandoverFailure { amf_ue_id: amf?, cause }))
            }
            Kind::Initiating_UplinkRANStatusTransfer => {
                self.ran_status().map(Message::UplinkRanStatusTransfer)
            }
            Kind::Initiating_DownlinkRANStatusTransfer => {
                self.ran_status().map(Message::DownlinkRanStatusTransfer)
            }
            Kind::Initiating_UplinkRANConfigurationTransfer => {
                let son = self.get::<ie::SONConfigurationTransferUL, _>(son_transfer);
                Some(Message::UplinkRanConfigurationTransfer(RanConfigurationTransfer { son }))
            }
            Kind::Initiating_DownlinkRANConfigurationTransfer => {
                let son = self.get::<ie::SONConfigurationTransferDL, _>(son_transfer);
                Some(Message::DownlinkRanConfigurationTransfer(RanConfigurationTransfer { son }))
            }
            Kind::Initiating_HandoverNotification => {
                let ((amf, ran), location) = (self.ue(), self.location());
                Some(Message::HandoverNotify(HandoverNotify { amf_ue_id: amf?, ran_ue_id: ran?, location }))
            }
            Kind::Initiating_HandoverCancel => {
                let ((amf, ran), cause) = (self.ue(), self.cause());
                Some(Message::HandoverCancel(HandoverCancel { amf_ue_id: amf?, ran_ue_id: ran?, cause }))
            }
            Kind::Successful_HandoverCancel => {
                let (amf, ran) = self.ue();
                Some(Message::HandoverCancelAcknowledge(HandoverCancelAcknowledge {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                }))
            }
            Kind::Initiating_LocationReportingControl => {
                let ((amf, ran), event) = (self.ue(), self.location_event());
                Some(Message::LocationReportingControl(LocationReportingControl {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    event,
                }))
            }
            Kind::Initiating_LocationReportingFailureIndication => {
                let ((amf, ran), cause) = (self.ue(), self.cause());
                let m = LocationReportingFailureIndication { amf_ue_id: amf?, ran_ue_id: ran?, cause };
                Some(Message::LocationReportingFailureIndication(m))
            }
            Kind::Initiating_LocationReport => {
                let ((amf, ran), location, event) = (self.ue(), self.location(), self.location_event());
                Some(Message::LocationReport(LocationReport {
                    amf_ue_id: amf?,
                    ran_ue_id: ran?,
                    location,
                    event,
                }))
            }
            Kind::Initiating_Paging => {
                let s_tmsi = self.get::<ie::UEPagingIdentity, _>(|v| match v {
                    ox::UEPagingIdentity::fiveG_S_TMSI(t) => c::s_tmsi(&t),
                    _ => None,
                });
                let tais =
                    self.get::<ie::TAIListForPaging, _>(|l| l.0.iter().map(|i| c::tai(&i.tai)).collect());
                Some(Message::Paging(Paging { s_tmsi: s_tmsi?, tais: tais? }))
            }
            Kind::Initiating_NGReset => {
                let cause = self.cause();
                let reset = self.get::<ie::ResetType, _>(|v| match v {
                    ox::ResetType::nG_Interface(_) => Some(ResetType::All),
                    ox::ResetType::partOfNG_Interface(l) => c::connections(&l).map(ResetType::Part),
                    _ => None,
                });
                Some(Message::NgReset(NgReset { cause, reset: reset? }))
            }
            Kind::Successful_NGReset => {
                let list = self.get::<ie::UE_associatedLogicalNG_connectionList, _>(|l| c::connections(&l));
                Some(Message::NgResetAcknowledge(NgResetAcknowledge {
                    connections: list.unwrap_or_default(),
                }))
            }
            Kind::Initiating_ErrorIndication => {
                let (amf_ue_id, ran_ue_id) = self.ue();
                let cause = self.get::<ie::Cause, _>(|v| c::cause(&v));
                let diagnostics = self.diagnostics();
                Some(Message::ErrorIndication(ErrorIndication { amf_ue_id, ran_ue_id, cause, diagnostics }))
            }
            _ => None,
        }
    }
}
