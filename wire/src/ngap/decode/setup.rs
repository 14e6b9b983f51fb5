//! Messages that begin something: of a radio, of a UE, of its context.

use super::*;

impl Reader<'_> {
    pub(super) fn ng_setup_request(&mut self) -> Option<Message> {
        let node = self.get::<ie::GlobalRANNodeID, _>(|v| c::ran_node(&v));
        let name = self.ran_name();
        let tas = self.get::<ie::SupportedTAList, _>(|v| c::supported_tas(&v));
        let paging_drx = self.paging_drx();
        Some(Message::NgSetupRequest(NgSetupRequest { node: node?, name, tas: tas?, paging_drx }))
    }

    pub(super) fn ng_setup_response(&mut self) -> Option<Message> {
        let name = self.get::<ie::AMFName, _>(|v| Some(v.0.into_owned()));
        let guamis = self.get::<ie::ServedGUAMIList, _>(|v| c::guamis(&v));
        let relative_capacity = self.get::<ie::RelativeAMFCapacity, _>(|v| Some(v.0));
        let plmns = self.get::<ie::PLMNSupportList, _>(|v| c::plmn_support(&v));
        Some(Message::NgSetupResponse(NgSetupResponse {
            name: name?,
            guamis: guamis?,
            relative_capacity,
            plmns: plmns?,
        }))
    }

    pub(super) fn ng_setup_failure(&mut self) -> Message {
        let cause = self.cause();
        let time_to_wait = self.time_to_wait();
        let diagnostics = self.diagnostics();
        Message::NgSetupFailure(NgSetupFailure { cause, time_to_wait, diagnostics })
    }

    pub(super) fn initial_ue_message(&mut self) -> Option<Message> {
        let ran = self.get::<ie::RAN_UE_NGAP_ID, _>(|v| Some(RanUeNgapId(v.0)));
        let nas = self.nas();
        let location = self.location();
        let rrc_cause = self.get::<ie::RRCEstablishmentCause, _>(|v| {
            Some(match v {
                ox::RRCEstablishmentCause::emergency => RrcEstablishmentCause::Emergency,
                ox::RRCEstablishmentCause::highPriorityAccess => RrcEstablishmentCause::HighPriorityAccess,
                ox::RRCEstablishmentCause::mt_Access => RrcEstablishmentCause::MtAccess,
                ox::RRCEstablishmentCause::mo_Signalling => RrcEstablishmentCause::MoSignalling,
                ox::RRCEstablishmentCause::mo_Data => RrcEstablishmentCause::MoData,
                _ => RrcEstablishmentCause::Other,
            })
        });
        let s_tmsi = self.get::<ie::FiveG_S_TMSI, _>(|v| c::s_tmsi(&v));
        let context_requested = self.get::<ie::UEContextRequest, _>(|_| Some(())).is_some();
        Some(Message::InitialUeMessage(InitialUeMessage {
            ran_ue_id: ran?,
            nas: nas?,
            location: location?,
            rrc_cause,
            s_tmsi,
            context_requested,
        }))
    }

    pub(super) fn initial_context_setup_request(&mut self) -> Option<Message> {
        let ((amf, ran), ue_ambr, nas) = (self.ue(), self.ambr(), self.nas());
        let guami = self.get::<ie::GUAMI, _>(|v| c::guami(&v));
        let sessions = self.get::<ie::PDUSessionResourceSetupListCxtReq, _>(|l| {
            let item = |i: &ox::PDUSessionResourceSetupItemCxtReq<'_>| {
                setup(
                    &i.pdu_session_id,
                    i.nas_pdu.as_ref(),
                    &i.s_nssai,
                    &i.pdu_session_resource_setup_request_transfer,
                )
            };
            l.0.iter().map(item).collect()
        });
        let (allowed, capabilities) = (self.allowed_nssai(), self.security_capabilities());
        let radio_capability = self.radio_capability();
        let key = self.get::<ie::SecurityKey, _>(|v| c::security_key(&v));
        Some(Message::InitialContextSetupRequest(InitialContextSetupRequest {
            amf_ue_id: amf?,
            ran_ue_id: ran?,
            ue_ambr,
            guami: guami?,
            sessions: sessions.unwrap_or_default(),
            allowed_nssai: allowed?,
            security_capabilities: capabilities?,
            key: key?,
            radio_capability,
            nas,
        }))
    }
}
