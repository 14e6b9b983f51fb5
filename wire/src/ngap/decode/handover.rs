//! Messages of a UE that moves: handover by N2, path switch.

use super::*;

impl Reader<'_> {
    /// Only between gNBs of this system.
    pub(super) fn handover_type(&mut self) -> Option<()> {
        self.get::<ie::HandoverType, _>(|v| (v == ox::HandoverType::intra5gs).then_some(()))
    }

    pub(super) fn ran_status(&mut self) -> Option<RanStatusTransfer> {
        let (amf, ran) = self.ue();
        let status =
            self.get::<ie::RANStatusTransfer_TransparentContainer, _>(|v| Some(RanStatus(v.into_owned())));
        Some(RanStatusTransfer { amf_ue_id: amf?, ran_ue_id: ran?, status: status? })
    }

    pub(super) fn handover_required(&mut self) -> Option<Message> {
        let ((amf, ran), kind, cause) = (self.ue(), self.handover_type(), self.cause());
        let target = self.get::<ie::TargetID, _>(|v| match v {
            ox::TargetID::targetRANNodeID(t) => {
                Some((c::ran_node(&t.global_ran_node_id)?, c::tai(&t.selected_tai)?))
            }
            _ => None,
        });
        let sessions = transfers!(
            self,
            PDUSessionResourceListHORqd of PDUSessionResourceItemHORqd,
            handover_required_transfer
        );
        let container =
            self.get::<ie::SourceToTarget_TransparentContainer, _>(|v| Some(v.0.as_slice().to_vec()));
        let (target, tai) = target?;
        kind?;
        Some(Message::HandoverRequired(HandoverRequired {
            amf_ue_id: amf?,
            ran_ue_id: ran?,
            cause,
            target,
            tai,
            sessions: sessions?,
            container: container?,
        }))
    }

    pub(super) fn handover_command(&mut self) -> Option<Message> {
        let ((amf, ran), kind) = (self.ue(), self.handover_type());
        let sessions = transfers!(
            self,
            PDUSessionResourceHandoverList of PDUSessionResourceHandoverItem,
            handover_command_transfer
        );
        let released = transfers!(
            self,
            PDUSessionResourceToReleaseListHOCmd of PDUSessionResourceToReleaseItemHOCmd,
            handover_preparation_unsuccessful_transfer
        );
        let container =
            self.get::<ie::TargetToSource_TransparentContainer, _>(|v| Some(v.0.as_slice().to_vec()));
        kind?;
        Some(Message::HandoverCommand(HandoverCommand {
            amf_ue_id: amf?,
            ran_ue_id: ran?,
            sessions: sessions.unwrap_or_default(),
            released: released.unwrap_or_default(),
            container: container?,
        }))
    }

    pub(super) fn handover_request(&mut self) -> Option<Message> {
        let amf = self.get::<ie::AMF_UE_NGAP_ID, _>(|v| AmfUeNgapId::new(v.0));
        let (kind, cause, ue_ambr) = (self.handover_type(), self.cause(), self.ambr());
        let (capabilities, next_hop) = (self.security_capabilities(), self.next_hop());
        let sessions = self.get::<ie::PDUSessionResourceSetupListHOReq, _>(|l| {
            let item = |i: &ox::PDUSessionResourceSetupItemHOReq<'_>| {
                Some(HandoverSession {
                    id: c::session_id(&i.pdu_session_id)?,
                    slice: c::snssai(&i.s_nssai),
                    transfer: i.handover_request_transfer.to_vec(),
                })
            };
            l.0.iter().map(item).collect()
        });
        let allowed = self.allowed_nssai();
        let container =
            self.get::<ie::SourceToTarget_TransparentContainer, _>(|v| Some(v.0.as_slice().to_vec()));
        let guami = self.get::<ie::GUAMI, _>(|v| c::guami(&v));
        kind?;
        Some(Message::HandoverRequest(HandoverRequest {
            amf_ue_id: amf?,
            cause,
            ue_ambr: ue_ambr?,
            security_capabilities: capabilities?,
            next_hop: next_hop?,
            sessions: sessions?,
            allowed_nssai: allowed?,
            container: container?,
            guami: guami?,
        }))
    }

    pub(super) fn handover_request_acknowledge(&mut self) -> Option<Message> {
        let (amf, ran) = self.ue();
        let admitted = transfers!(
            self,
            PDUSessionResourceAdmittedList of PDUSessionResourceAdmittedItem,
            handover_request_acknowledge_transfer
        );
        let failed = transfers!(
            self,
            PDUSessionResourceFailedToSetupListHOAck of PDUSessionResourceFailedToSetupItemHOAck,
            handover_resource_allocation_unsuccessful_transfer
        );
        let container =
            self.get::<ie::TargetToSource_TransparentContainer, _>(|v| Some(v.0.as_slice().to_vec()));
        Some(Message::HandoverRequestAcknowledge(HandoverRequestAcknowledge {
            amf_ue_id: amf?,
            ran_ue_id: ran?,
            admitted: admitted.unwrap_or_default(),
            failed: failed.unwrap_or_default(),
            container: container?,
        }))
    }

    pub(super) fn path_switch_request(&mut self) -> Option<Message> {
        let ran = self.get::<ie::RAN_UE_NGAP_ID, _>(|v| Some(RanUeNgapId(v.0)));
        let source = self.get::<ie::SourceAMF_UE_NGAP_ID, _>(|v| AmfUeNgapId::new(v.0));
        let (location, security_capabilities) = (self.location(), self.security_capabilities());
        let sessions = transfers!(
            self,
            PDUSessionResourceToBeSwitchedDLList of PDUSessionResourceToBeSwitchedDLItem,
            path_switch_request_transfer
        );
        let failed = transfers!(
            self,
            PDUSessionResourceFailedToSetupListPSReq of PDUSessionResourceFailedToSetupItemPSReq,
            path_switch_request_setup_failed_transfer
        );
        Some(Message::PathSwitchRequest(PathSwitchRequest {
            ran_ue_id: ran?,
            source_amf_ue_id: source?,
            location,
            security_capabilities,
            sessions: sessions?,
            failed: failed.unwrap_or_default(),
        }))
    }

    pub(super) fn path_switch_request_acknowledge(&mut self) -> Option<Message> {
        let ((amf, ran), security_capabilities) = (self.ue(), self.security_capabilities());
        let next_hop = self.next_hop();
        let switched = transfers!(
            self,
            PDUSessionResourceSwitchedList of PDUSessionResourceSwitchedItem,
            path_switch_request_acknowledge_transfer
        );
        let released = transfers!(
            self,
            PDUSessionResourceReleasedListPSAck of PDUSessionResourceReleasedItemPSAck,
            path_switch_request_unsuccessful_transfer
        );
        let allowed = self.allowed_nssai();
        Some(Message::PathSwitchRequestAcknowledge(PathSwitchRequestAcknowledge {
            amf_ue_id: amf?,
            ran_ue_id: ran?,
            security_capabilities,
            next_hop: next_hop?,
            switched: switched.unwrap_or_default(),
            released: released.unwrap_or_default(),
            allowed_nssai: allowed?,
        }))
    }
}
