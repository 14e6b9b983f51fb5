//! [`Message`] → octets.

use super::convert as c;
use super::*;
use oxirush_ngap::ngap as ox;
use oxirush_ngap::{BitString, Message as _, build_ngap_ie};
use types::PduSessionId;

/// The PDU of the message `$msg`: the IEs whose value is `Some`, in the order given.
macro_rules! pdu {
    ($name:literal, $msg:ident; $($ie:ident = $value:expr),* $(,)?) => {{
        let mut ies = Vec::new();
        $(if let Some(value) = $value {
            ies.push(build_ngap_ie!($msg, $ie(value)).map_err(c::wrong(concat!($name, ": ", stringify!($ie))))?);
        })*
        let message = ox::$msg::new(ox::ProtocolIEContainer(ies));
        ox::NGAPPDU::of_message(&message, ox::$msg::CRITICALITY).map_err(c::wrong($name))?
    }};
}

/// `SessionTransfer`s as the list `$list` of items `$item`; an empty list is left out.
macro_rules! transfers {
    ($list:ident of $item:ident, $from:expr) => {{
        let item =
            |s: &SessionTransfer| ox::$item::new(c::session_id_ox(s.id), s.transfer.clone().into(), None);
        list($from.iter().map(item).collect()).map(ox::$list)
    }};
}

pub(super) fn message(m: &Message) -> Result<Vec<u8>, EncodeError> {
    let octets = pdu(m)?.encode().map_err(c::wrong("NGAP message"))?;
    if octets.len() > MAX_MESSAGE {
        return Err(c::unfit("NGAP message", "longer than a message may be"));
    }
    Ok(octets)
}

fn pdu(m: &Message) -> Result<ox::NGAPPDU<'static>, EncodeError> {
    Ok(match m {
        Message::NgSetupRequest(m) => pdu!("NG Setup Request", NGSetupRequest;
            GlobalRANNodeID = Some(c::ran_node_ox(&m.node)?),
            RANNodeName = m.name.clone(),
            SupportedTAList = Some(c::supported_tas_ox(&m.tas)),
            DefaultPagingDRX = m.paging_drx.map(paging_drx),
        ),
        Message::NgSetupResponse(m) => pdu!("NG Setup Response", NGSetupResponse;
            AMFName = Some(m.name.clone()),
            ServedGUAMIList = Some(c::guamis_ox(&m.guamis)?),
            RelativeAMFCapacity = m.relative_capacity.map(ox::RelativeAMFCapacity),
            PLMNSupportList = Some(c::plmn_support_ox(&m.plmns)),
        ),
        Message::NgSetupFailure(m) => pdu!("NG Setup Failure", NGSetupFailure;
            Cause = Some(c::cause_ox(m.cause)?),
            TimeToWait = m.time_to_wait.map(time_to_wait),
            CriticalityDiagnostics = m.diagnostics.as_ref().map(c::diagnostics_ox),
        ),
        Message::RanConfigurationUpdate(m) => pdu!("RAN Configuration Update", RANConfigurationUpdate;
            RANNodeName = m.name.clone(),
            SupportedTAList = (!m.tas.is_empty()).then(|| c::supported_tas_ox(&m.tas)),
            DefaultPagingDRX = m.paging_drx.map(paging_drx),
        ),
        Message::RanConfigurationUpdateAcknowledge => {
            pdu!("RAN Configuration Update Acknowledge", RANConfigurationUpdateAcknowledge;
                CriticalityDiagnostics = None::<ox::CriticalityDiagnostics>,
            )
        }
        Message::RanConfigurationUpdateFailure(m) => {
            pdu!("RAN Configuration Update Failure", RANConfigurationUpdateFailure;
                Cause = Some(c::cause_ox(m.cause)?),
                TimeToWait = m.time_to_wait.map(time_to_wait),
            )
        }
        Message::AmfConfigurationUpdate(m) => pdu!("AMF Configuration Update", AMFConfigurationUpdate;
            AMFName = m.name.clone(),
            RelativeAMFCapacity = m.relative_capacity.map(ox::RelativeAMFCapacity),
            PLMNSupportList = (!m.plmns.is_empty()).then(|| c::plmn_support_ox(&m.plmns)),
        ),
        Message::AmfConfigurationUpdateAcknowledge => {
            pdu!("AMF Configuration Update Acknowledge", AMFConfigurationUpdateAcknowledge;
                CriticalityDiagnostics = None::<ox::CriticalityDiagnostics>,
            )
        }
        Message::AmfConfigurationUpdateFailure(m) => {
            pdu!("AMF Configuration Update Failure", AMFConfigurationUpdateFailure;
                Cause = Some(c::cause_ox(m.cause)?),
                TimeToWait = m.time_to_wait.map(time_to_wait),
            )
        }
        Message::OverloadStart(m) => {
            let action = ox::OverloadResponse::overloadAction(ox::OverloadAction::reject_rrc_cr_signalling);
            pdu!("Overload Start", OverloadStart;
                AMFOverloadResponse = Some(action),
                AMFTrafficLoadReductionIndication =
                    m.reduction.map(|r| ox::TrafficLoadReductionIndication(r.clamp(1, 99))),
            )
        }
        Message::OverloadStop => pdu!("Overload Stop", OverloadStop;
            AMF_TNLAssociationToRemoveList = None::<ox::AMFTNLAssociationToRemoveList<'static>>,
        ),
        Message::InitialUeMessage(m) => pdu!("Initial UE Message", InitialUEMessage;
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            NAS_PDU = Some(nas(&m.nas)?),
            UserLocationInformation = Some(c::location_ox(&m.location)?),
            RRCEstablishmentCause = m.rrc_cause.map(|r| match r {
                RrcEstablishmentCause::Emergency => ox::RRCEstablishmentCause::emergency,
                RrcEstablishmentCause::HighPriorityAccess => ox::RRCEstablishmentCause::highPriorityAccess,
                RrcEstablishmentCause::MtAccess => ox::RRCEstablishmentCause::mt_Access,
                RrcEstablishmentCause::MoSignalling => ox::RRCEstablishmentCause::mo_Signalling,
                RrcEstablishmentCause::MoData => ox::RRCEstablishmentCause::mo_Data,
                RrcEstablishmentCause::Other => ox::RRCEstablishmentCause::notAvailable,
            }),
            FiveG_S_TMSI = m.s_tmsi.as_ref().map(c::s_tmsi_ox).transpose()?,
            UEContextRequest = m.context_requested.then_some(ox::UEContextRequest::requested),
        ),
        Message::DownlinkNasTransport(m) => pdu!("Downlink NAS Transport", DownlinkNASTransport;
            AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            NAS_PDU = Some(nas(&m.nas)?),
        ),
        Message::UplinkNasTransport(m) => pdu!("Uplink NAS Transport", UplinkNASTransport;
            AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            NAS_PDU = Some(nas(&m.nas)?),
            UserLocationInformation = m.location.as_ref().map(c::location_ox).transpose()?,
        ),
        Message::InitialContextSetupRequest(m) => {
            let item = |s: &SessionSetup| {
                Ok(ox::PDUSessionResourceSetupItemCxtReq::new(
                    c::session_id_ox(s.id),
                    s.nas.as_deref().map(nas).transpose()?.map(ox::NASPDU::from),
                    c::snssai_ox(&s.slice),
                    s.transfer.clone().into(),
                    None,
                ))
            };
            let sessions = m.sessions.iter().map(item).collect::<Result<Vec<_>, EncodeError>>()?;
            pdu!("Initial Context Setup Request", InitialContextSetupRequest;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                UEAggregateMaximumBitRate = m.ue_ambr.as_ref().map(ambr),
                GUAMI = Some(c::guami_ox(&m.guami)?),
                PDUSessionResourceSetupListCxtReq =
                    list(sessions).map(ox::PDUSessionResourceSetupListCxtReq),
                AllowedNSSAI = Some(allowed_nssai(&m.allowed_nssai)),
                UESecurityCapabilities = Some(c::security_capabilities_ox(&m.security_capabilities)),
                SecurityKey = Some(ox::SecurityKey(BitString::from(*m.key.0.expose()))),
                UERadioCapability = m.radio_capability.clone(),
                NAS_PDU = m.nas.as_deref().map(nas).transpose()?,
            )
        }
        Message::InitialContextSetupResponse(m) => {
            pdu!("Initial Context Setup Response", InitialContextSetupResponse;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                PDUSessionResourceSetupListCxtRes =
                    transfers!(PDUSessionResourceSetupListCxtRes of PDUSessionResourceSetupItemCxtRes, m.setup),
                PDUSessionResourceFailedToSetupListCxtRes = transfers!(
                    PDUSessionResourceFailedToSetupListCxtRes of PDUSessionResourceFailedToSetupItemCxtRes,
                    m.failed
                ),
            )
        }
        Message::InitialContextSetupFailure(m) => {
            pdu!("Initial Context Setup Failure", InitialContextSetupFailure;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                PDUSessionResourceFailedToSetupListCxtFail = transfers!(
                    PDUSessionResourceFailedToSetupListCxtFail of PDUSessionResourceFailedToSetupItemCxtFail,
                    m.failed
                ),
                Cause = Some(c::cause_ox(m.cause)?),
            )
        }
        Message::UeRadioCapabilityInfoIndication(m) => {
            pdu!("UE Radio Capability Info Indication", UERadioCapabilityInfoIndication;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                UERadioCapability = m.radio_capability.clone(),
            )
        }
        Message::UeContextModificationRequest(m) => {
            let key = m.key.as_ref().map(|k| ox::SecurityKey(BitString::from(*k.0.expose())));
            pdu!("UE Context Modification Request", UEContextModificationRequest;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                SecurityKey = key,
                UEAggregateMaximumBitRate = m.ue_ambr.as_ref().map(ambr),
            )
        }
        Message::UeContextModificationResponse(m) => {
            pdu!("UE Context Modification Response", UEContextModificationResponse;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            )
        }
        Message::UeContextModificationFailure(m) => {
            pdu!("UE Context Modification Failure", UEContextModificationFailure;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                Cause = Some(c::cause_ox(m.cause)?),
            )
        }
        Message::NasNonDeliveryIndication(m) => {
            pdu!("NAS Non Delivery Indication", NASNonDeliveryIndication;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                NAS_PDU = m.nas.as_deref().map(nas).transpose()?,
                Cause = Some(c::cause_ox(m.cause)?),
            )
        }
        Message::UeContextReleaseRequest(m) => {
            let item =
                |id: &PduSessionId| ox::PDUSessionResourceItemCxtRelReq::new(c::session_id_ox(*id), None);
            pdu!("UE Context Release Request", UEContextReleaseRequest;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                PDUSessionResourceListCxtRelReq =
                    list(m.sessions.iter().map(item).collect()).map(ox::PDUSessionResourceListCxtRelReq),
                Cause = Some(c::cause_ox(m.cause)?),
            )
        }
        Message::UeContextReleaseCommand(m) => {
            let ue = match m.ue {
                UeIds::Pair(a, r) => ox::UENGAPIDs::uE_NGAP_ID_pair(ox::UENGAPIDPair::new(
                    ox::AMFUENGAPID(a.value()),
                    ox::RANUENGAPID(r.0),
                    None,
                )),
                UeIds::Amf(a) => ox::UENGAPIDs::aMF_UE_NGAP_ID(ox::AMFUENGAPID(a.value())),
            };
            pdu!("UE Context Release Command", UEContextReleaseCommand;
                UE_NGAP_IDs = Some(ue),
                Cause = Some(c::cause_ox(m.cause)?),
            )
        }
        Message::UeContextReleaseComplete(m) => {
            let item =
                |id: &PduSessionId| ox::PDUSessionResourceItemCxtRelCpl::new(c::session_id_ox(*id), None);
            pdu!("UE Context Release Complete", UEContextReleaseComplete;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                UserLocationInformation = m.location.as_ref().map(c::location_ox).transpose()?,
                PDUSessionResourceListCxtRelCpl =
                    list(m.sessions.iter().map(item).collect()).map(ox::PDUSessionResourceListCxtRelCpl),
            )
        }
        Message::PduSessionResourceSetupRequest(m) => {
            let item = |s: &SessionSetup| {
                Ok(ox::PDUSessionResourceSetupItemSUReq::new(
                    c::session_id_ox(s.id),
                    s.nas.as_deref().map(nas).transpose()?.map(ox::NASPDU::from),
                    c::snssai_ox(&s.slice),
                    s.transfer.clone().into(),
                    None,
                ))
            };
            let sessions = m.sessions.iter().map(item).collect::<Result<Vec<_>, EncodeError>>()?;
            pdu!("PDU Session Resource Setup Request", PDUSessionResourceSetupRequest;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                NAS_PDU = m.nas.as_deref().map(nas).transpose()?,
                PDUSessionResourceSetupListSUReq = Some(ox::PDUSessionResourceSetupListSUReq(sessions)),
                UEAggregateMaximumBitRate = m.ue_ambr.as_ref().map(ambr),
            )
        }
        Message::PduSessionResourceSetupResponse(m) => {
            pdu!("PDU Session Resource Setup Response", PDUSessionResourceSetupResponse;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                PDUSessionResourceSetupListSURes =
                    transfers!(PDUSessionResourceSetupListSURes of PDUSessionResourceSetupItemSURes, m.setup),
                PDUSessionResourceFailedToSetupListSURes = transfers!(
                    PDUSessionResourceFailedToSetupListSURes of PDUSessionResourceFailedToSetupItemSURes,
                    m.failed
                ),
            )
        }
        Message::PduSessionResourceReleaseCommand(m) => {
            pdu!("PDU Session Resource Release Command", PDUSessionResourceReleaseCommand;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                NAS_PDU = m.nas.as_deref().map(nas).transpose()?,
                PDUSessionResourceToReleaseListRelCmd = transfers!(
                    PDUSessionResourceToReleaseListRelCmd of PDUSessionResourceToReleaseItemRelCmd,
                    m.sessions
                ),
            )
        }
        Message::PduSessionResourceReleaseResponse(m) => {
            pdu!("PDU Session Resource Release Response", PDUSessionResourceReleaseResponse;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                PDUSessionResourceReleasedListRelRes = transfers!(
                    PDUSessionResourceReleasedListRelRes of PDUSessionResourceReleasedItemRelRes,
                    m.released
                ),
                UserLocationInformation = m.location.as_ref().map(c::location_ox).transpose()?,
            )
        }
        Message::PduSessionResourceModifyRequest(m) => {
            let item = |s: &SessionModify| {
                Ok(ox::PDUSessionResourceModifyItemModReq::new(
                    c::session_id_ox(s.id),
                    s.nas.as_deref().map(nas).transpose()?.map(ox::NASPDU::from),
                    s.transfer.clone().into(),
                    None,
                ))
            };
            let sessions = m.sessions.iter().map(item).collect::<Result<Vec<_>, EncodeError>>()?;
            pdu!("PDU Session Resource Modify Request", PDUSessionResourceModifyRequest;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                PDUSessionResourceModifyListModReq = Some(ox::PDUSessionResourceModifyListModReq(sessions)),
            )
        }
        Message::PduSessionResourceModifyResponse(m) => {
            pdu!("PDU Session Resource Modify Response", PDUSessionResourceModifyResponse;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                PDUSessionResourceModifyListModRes =
                    transfers!(PDUSessionResourceModifyListModRes of PDUSessionResourceModifyItemModRes, m.modified),
                PDUSessionResourceFailedToModifyListModRes = transfers!(
                    PDUSessionResourceFailedToModifyListModRes of PDUSessionResourceFailedToModifyItemModRes,
                    m.failed
                ),
            )
        }
        Message::PathSwitchRequest(m) => pdu!("Path Switch Request", PathSwitchRequest;
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            SourceAMF_UE_NGAP_ID = Some(m.source_amf_ue_id.value()),
            UserLocationInformation = m.location.as_ref().map(c::location_ox).transpose()?,
            UESecurityCapabilities = m.security_capabilities.as_ref().map(c::security_capabilities_ox),
            PDUSessionResourceToBeSwitchedDLList = transfers!(
                PDUSessionResourceToBeSwitchedDLList of PDUSessionResourceToBeSwitchedDLItem,
                m.sessions
            ),
            PDUSessionResourceFailedToSetupListPSReq = transfers!(
                PDUSessionResourceFailedToSetupListPSReq of PDUSessionResourceFailedToSetupItemPSReq,
                m.failed
            ),
        ),
        Message::PathSwitchRequestAcknowledge(m) => {
            pdu!("Path Switch Request Acknowledge", PathSwitchRequestAcknowledge;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                UESecurityCapabilities = m.security_capabilities.as_ref().map(c::security_capabilities_ox),
                SecurityContext = Some(next_hop(&m.next_hop)),
                PDUSessionResourceSwitchedList =
                    transfers!(PDUSessionResourceSwitchedList of PDUSessionResourceSwitchedItem, m.switched),
                PDUSessionResourceReleasedListPSAck = transfers!(
                    PDUSessionResourceReleasedListPSAck of PDUSessionResourceReleasedItemPSAck,
                    m.released
                ),
                AllowedNSSAI = Some(allowed_nssai(&m.allowed_nssai)),
            )
        }
        Message::PathSwitchRequestFailure(m) => pdu!("Path Switch Request Failure", PathSwitchRequestFailure;
            AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            PDUSessionResourceReleasedListPSFail = transfers!(
                PDUSessionResourceReleasedListPSFail of PDUSessionResourceReleasedItemPSFail,
                m.released
            ),
        ),
        Message::HandoverRequired(m) => {
            let node = c::ran_node_ox(&m.target)?;
            let target = ox::TargetRANNodeID::new(node, c::tai_ox(m.tai), None);
            pdu!("Handover Required", HandoverRequired;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                HandoverType = Some(ox::HandoverType::intra5gs),
                Cause = Some(c::cause_ox(m.cause)?),
                TargetID = Some(ox::TargetID::targetRANNodeID(target)),
                PDUSessionResourceListHORqd =
                    transfers!(PDUSessionResourceListHORqd of PDUSessionResourceItemHORqd, m.sessions),
                SourceToTarget_TransparentContainer = Some(m.container.clone()),
            )
        }
        Message::HandoverCommand(m) => pdu!("Handover Command", HandoverCommand;
            AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            HandoverType = Some(ox::HandoverType::intra5gs),
            PDUSessionResourceHandoverList =
                transfers!(PDUSessionResourceHandoverList of PDUSessionResourceHandoverItem, m.sessions),
            PDUSessionResourceToReleaseListHOCmd = transfers!(
                PDUSessionResourceToReleaseListHOCmd of PDUSessionResourceToReleaseItemHOCmd,
                m.released
            ),
            TargetToSource_TransparentContainer = Some(m.container.clone()),
        ),
        Message::HandoverPreparationFailure(m) => {
            pdu!("Handover Preparation Failure", HandoverPreparationFailure;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                Cause = Some(c::cause_ox(m.cause)?),
            )
        }
        Message::HandoverRequest(m) => {
            let item = |s: &HandoverSession| {
                ox::PDUSessionResourceSetupItemHOReq::new(
                    c::session_id_ox(s.id),
                    c::snssai_ox(&s.slice),
                    s.transfer.clone().into(),
                    None,
                )
            };
            pdu!("Handover Request", HandoverRequest;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                HandoverType = Some(ox::HandoverType::intra5gs),
                Cause = Some(c::cause_ox(m.cause)?),
                UEAggregateMaximumBitRate = Some(ambr(&m.ue_ambr)),
                UESecurityCapabilities = Some(c::security_capabilities_ox(&m.security_capabilities)),
                SecurityContext = Some(next_hop(&m.next_hop)),
                PDUSessionResourceSetupListHOReq =
                    Some(ox::PDUSessionResourceSetupListHOReq(m.sessions.iter().map(item).collect())),
                AllowedNSSAI = Some(allowed_nssai(&m.allowed_nssai)),
                SourceToTarget_TransparentContainer = Some(m.container.clone()),
                GUAMI = Some(c::guami_ox(&m.guami)?),
            )
        }
        Message::HandoverRequestAcknowledge(m) => {
            pdu!("Handover Request Acknowledge", HandoverRequestAcknowledge;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                PDUSessionResourceAdmittedList =
                    transfers!(PDUSessionResourceAdmittedList of PDUSessionResourceAdmittedItem, m.admitted),
                PDUSessionResourceFailedToSetupListHOAck = transfers!(
                    PDUSessionResourceFailedToSetupListHOAck of PDUSessionResourceFailedToSetupItemHOAck,
                    m.failed
                ),
                TargetToSource_TransparentContainer = Some(m.container.clone()),
            )
        }
        Message::HandoverFailure(m) => pdu!("Handover Failure", HandoverFailure;
            AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
            Cause = Some(c::cause_ox(m.cause)?),
        ),
        Message::UplinkRanStatusTransfer(m) => pdu!("Uplink RAN Status Transfer", UplinkRANStatusTransfer;
            AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            RANStatusTransfer_TransparentContainer = Some(m.status.0.clone()),
        ),
        Message::DownlinkRanStatusTransfer(m) => {
            pdu!("Downlink RAN Status Transfer", DownlinkRANStatusTransfer;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                RANStatusTransfer_TransparentContainer = Some(m.status.0.clone()),
            )
        }
        Message::UplinkRanConfigurationTransfer(m) => {
            pdu!("Uplink RAN Configuration Transfer", UplinkRANConfigurationTransfer;
                SONConfigurationTransferUL = m.son.as_ref().map(|s| s.whole.clone()),
            )
        }
        Message::DownlinkRanConfigurationTransfer(m) => {
            pdu!("Downlink RAN Configuration Transfer", DownlinkRANConfigurationTransfer;
                SONConfigurationTransferDL = m.son.as_ref().map(|s| s.whole.clone()),
            )
        }
        Message::HandoverNotify(m) => pdu!("Handover Notify", HandoverNotify;
            AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            UserLocationInformation = m.location.as_ref().map(c::location_ox).transpose()?,
        ),
        Message::HandoverCancel(m) => pdu!("Handover Cancel", HandoverCancel;
            AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            Cause = Some(c::cause_ox(m.cause)?),
        ),
        Message::HandoverCancelAcknowledge(m) => {
            pdu!("Handover Cancel Acknowledge", HandoverCancelAcknowledge;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            )
        }
        Message::LocationReportingControl(m) => {
            pdu!("Location Reporting Control", LocationReportingControl;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                LocationReportingRequestType = m.event.map(location_event),
            )
        }
        Message::LocationReportingFailureIndication(m) => {
            pdu!("Location Reporting Failure Indication", LocationReportingFailureIndication;
                AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
                RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
                Cause = Some(c::cause_ox(m.cause)?),
            )
        }
        Message::LocationReport(m) => pdu!("Location Report", LocationReport;
            AMF_UE_NGAP_ID = Some(m.amf_ue_id.value()),
            RAN_UE_NGAP_ID = Some(m.ran_ue_id.0),
            UserLocationInformation = m.location.as_ref().map(c::location_ox).transpose()?,
            LocationReportingRequestType = m.event.map(location_event),
        ),
        Message::Paging(m) => {
            let item = |t: &types::Tai| ox::TAIListForPagingItem::new(c::tai_ox(*t), None);
            pdu!("Paging", Paging;
                UEPagingIdentity = Some(ox::UEPagingIdentity::fiveG_S_TMSI(c::s_tmsi_ox(&m.s_tmsi)?)),
                TAIListForPaging = Some(ox::TAIListForPaging(m.tais.iter().map(item).collect())),
            )
        }
        Message::NgReset(m) => pdu!("NG Reset", NGReset;
            Cause = Some(c::cause_ox(m.cause)?),
            ResetType = Some(match &m.reset {
                ResetType::All => ox::ResetType::nG_Interface(ox::ResetAll::reset_all),
                ResetType::Part(l) => ox::ResetType::partOfNG_Interface(c::connections_ox(l)),
            }),
        ),
        Message::NgResetAcknowledge(m) => pdu!("NG Reset Acknowledge", NGResetAcknowledge;
            UE_associatedLogicalNG_connectionList =
                (!m.connections.is_empty()).then(|| c::connections_ox(&m.connections)),
        ),
        Message::ErrorIndication(m) => pdu!("Error Indication", ErrorIndication;
            AMF_UE_NGAP_ID = m.amf_ue_id.map(AmfUeNgapId::value),
            RAN_UE_NGAP_ID = m.ran_ue_id.map(|id| id.0),
            Cause = m.cause.map(c::cause_ox).transpose()?,
            CriticalityDiagnostics = m.diagnostics.as_ref().map(c::diagnostics_ox),
        ),
        Message::Unknown(_) => return Err(c::unfit("unknown procedure", "there is nothing to write")),
    })
}

/// An empty list is left out: no list of NGAP has zero items.
fn list<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

fn nas(octets: &[u8]) -> Result<Vec<u8>, EncodeError> {
    if octets.len() > MAX_NAS_PDU {
        return Err(c::unfit("NAS-PDU", "longer than the radio carries"));
    }
    Ok(octets.to_vec())
}

fn allowed_nssai(slices: &[types::Snssai]) -> ox::AllowedNSSAI {
    ox::AllowedNSSAI(slices.iter().map(|s| ox::AllowedNSSAIItem::new(c::snssai_ox(s), None)).collect())
}

fn location_event(e: LocationEvent) -> ox::LocationReportingRequestType {
    let event = match e {
        LocationEvent::Direct => ox::EventType::direct,
        LocationEvent::CellChange => ox::EventType::change_of_serve_cell,
        LocationEvent::StopCellChange => ox::EventType::stop_change_of_serve_cell,
    };
    ox::LocationReportingRequestType::new(event, ox::ReportArea::cell, None, None, None)
}

fn paging_drx(d: PagingDrx) -> ox::PagingDRX {
    match d {
        PagingDrx::V32 => ox::PagingDRX::v32,
        PagingDrx::V64 => ox::PagingDRX::v64,
        PagingDrx::V128 => ox::PagingDRX::v128,
        PagingDrx::V256 => ox::PagingDRX::v256,
    }
}

fn time_to_wait(t: TimeToWait) -> ox::TimeToWait {
    match t {
        TimeToWait::S1 => ox::TimeToWait::v1s,
        TimeToWait::S2 => ox::TimeToWait::v2s,
        TimeToWait::S5 => ox::TimeToWait::v5s,
        TimeToWait::S10 => ox::TimeToWait::v10s,
        TimeToWait::S20 => ox::TimeToWait::v20s,
        TimeToWait::S60 => ox::TimeToWait::v60s,
    }
}

fn next_hop(n: &NextHop) -> ox::SecurityContext<'static> {
    let nh = ox::SecurityKey(BitString::from(*n.nh.0.expose()));
    ox::SecurityContext::new(ox::NextHopChainingCount(n.ncc & 7), nh, None)
}

fn ambr(a: &Ambr) -> ox::UEAggregateMaximumBitRate {
    ox::UEAggregateMaximumBitRate::new(ox::BitRate(a.dl_bps), ox::BitRate(a.ul_bps), None)
}
