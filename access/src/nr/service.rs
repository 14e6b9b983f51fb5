//! Service Request (TS 24.501 §5.6.1): a UE comes back from idle, or wants the user plane of its sessions.

use super::Amf;
use types::{FgmmCause, Supi};
use wire::nas::fgs::{FgmmMessage, ServiceAccept, ServiceReject, ServiceRequest, ServiceType, SessionSet};
use wire::ngap::AmfUeNgapId;

impl Amf {
    /// A Service Request that verified under the UE's own context.
    pub(super) fn on_service_request(
        &mut self,
        id: AmfUeNgapId,
        supi: Supi,
        outer: ServiceRequest,
        ul_count: u32,
    ) {
        let request = self.inner_service_request(supi, outer, ul_count);
        let new_connection = self.registry.ue(supi).is_some_and(|ue| ue.conn != Some(id));
        if new_connection {
            self.bind(id, supi, ul_count);
        }
        if self.registry.ue(supi).is_some_and(|ue| ue.guti.tmsi == request.s_tmsi.tmsi) {
            // It uses the newer of two that it may have: it has it.
            self.registry.confirm_guti(supi);
        }
        let registered = self.registry.ue(supi).is_some_and(|ue| ue.is_registered());
        let served = self.registry.conn(id).is_some_and(|c| self.serves(c.assoc, c.tai));
        let refusal = match () {
            // It was in the middle of a registration that its radio lost.
            () if !registered => Some(FgmmCause::MessageTypeNotCompatible),
            () if !served => Some(FgmmCause::TrackingAreaNotAllowed),
            () if request.service_type.is_emergency() => Some(FgmmCause::FgsServicesNotAllowed),
            () => None,
        };
        if let Some(cause) = refusal {
            self.refused("service-request");
            self.send_to_ue(supi, &FgmmMessage::ServiceReject(ServiceReject::new(cause)));
            if new_connection {
                self.release_conn(id, super::release::NORMAL);
            }
            return;
        }
        self.drop_sessions_that_ue_lost(supi, request.pdu_session_status);
        let held = self.held_sessions(supi);
        let asked = request.uplink_data_status;
        let failed: SessionSet =
            asked.into_iter().flat_map(|s| s.iter()).filter(|id| !held.contains(*id)).collect();
        let accept = FgmmMessage::ServiceAccept(ServiceAccept {
            pdu_session_status: request.pdu_session_status.map(|_| held),
            reactivation_result: asked.map(|_| failed),
        });
        let Some(accept) = self.encode(&accept) else { return };
        // §5.6.1.4.1: also those for which packets wait, whatever the UE came for.
        let setups = self.reactivate(supi, asked.unwrap_or_default().or(self.data_waits(supi)));
        self.send_with_context(supi, &accept, setups);
        if request.service_type == ServiceType::MOBILE_TERMINATED {
            self.reallocate_guti(supi);
        }
    }

    /// The request that stands protected inside, where there is one and it is from the same UE.
    fn inner_service_request(&self, supi: Supi, outer: ServiceRequest, count: u32) -> ServiceRequest {
        let Some(container) = &outer.nas_container else { return outer };
        let Some(ue) = self.registry.ue(supi) else { return outer };
        match FgmmMessage::decode(&ue.security.open_container(count, container)) {
            Ok(FgmmMessage::ServiceRequest(inner)) if inner.s_tmsi == outer.s_tmsi => inner,
            _ => outer,
        }
    }

    /// The sessions that we hold for a UE and that it may use.
    pub(super) fn held_sessions(&self, supi: Supi) -> SessionSet {
        let sessions = self.registry.ue(supi).into_iter().flat_map(|ue| ue.sessions.values());
        sessions.filter(|s| s.is_up()).map(|s| s.id).collect()
    }
}
