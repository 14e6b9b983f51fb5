//! NGAP from the gNB: one function per message (TS 38.413 §8). A message is read whole by `wire`, its UE is
//! looked up by (association, identifier), and only then somebody acts on it.

use super::timers::TimerKey;
use super::ue::{Conn, Phase, Radio};
use super::{Amf, AssocId};
use wire::ngap::{
    self, AmfUeNgapId, Cause, ErrorIndication, InitialContextSetupFailure, InitialContextSetupResponse,
    InitialUeMessage, LocationEvent, LocationReport, LocationReportingControl, Message,
    NasNonDeliveryIndication, NgSetupFailure, NgapError, PduSessionResourceModifyResponse,
    PduSessionResourceReleaseResponse, PduSessionResourceSetupResponse, ProtocolCause, RadioCause,
    RanConfigurationUpdateFailure, RanUeNgapId, UeContextReleaseComplete, UeContextReleaseRequest,
    UeRadioCapabilityInfoIndication, UplinkNasTransport, UserLocation, procedure,
};

/// Octets of a UE's radio capability that are kept; those of a UE with many bands are a few thousand.
const MAX_RADIO_CAPABILITY: usize = 8_192;

impl Amf {
    /// One message from a gNB.
    pub(super) fn on_ngap(&mut self, assoc: AssocId, stream: u16, bytes: &[u8]) {
        let Some(gnb) = self.gnbs.get(&assoc) else {
            return self.refused("unknown-association");
        };
        let set_up = gnb.setup.is_some();
        let message = match ngap::decode(bytes) {
            Ok(message) => message,
            Err(e) => return self.on_malformed(assoc, stream, &e),
        };
        match message {
            Message::NgSetupRequest(m) => self.on_ng_setup(assoc, m),
            Message::ErrorIndication(m) => self.on_error_indication(assoc, &m),
            other if !set_up => {
                // §8.7.1.1: NG Setup shall be the first procedure.
                self.refused("before-ng-setup");
                let (amf, ran) = other.ue_ids();
                self.indicate(assoc, stream, amf, ran, state_mismatch());
            }
            Message::RanConfigurationUpdate(m) => self.on_ran_configuration_update(assoc, m),
            Message::NgReset(m) => self.on_ng_reset(assoc, stream, m),
            Message::InitialUeMessage(m) => self.on_initial_ue(assoc, stream, m),
            Message::UplinkNasTransport(m) => self.on_uplink_nas(assoc, stream, m),
            Message::InitialContextSetupResponse(m) => self.on_context_set_up(assoc, stream, m),
            Message::InitialContextSetupFailure(m) => self.on_context_not_set_up(assoc, stream, m),
            Message::PduSessionResourceSetupResponse(m) => self.on_resources(assoc, stream, m),
            Message::PduSessionResourceReleaseResponse(m) => self.on_resources_released(assoc, stream, &m),
            Message::PduSessionResourceModifyResponse(m) => self.on_resources_modified(assoc, stream, &m),
            Message::UeRadioCapabilityInfoIndication(m) => self.on_radio_capability(assoc, stream, m),
            Message::PathSwitchRequest(m) => self.on_path_switch(assoc, stream, &m),
            Message::HandoverRequired(m) => self.on_handover_required(assoc, stream, m),
            Message::HandoverRequestAcknowledge(m) => self.on_handover_acknowledged(assoc, stream, m),
            Message::HandoverFailure(m) => self.on_handover_failure(assoc, stream, &m),
            Message::UplinkRanStatusTransfer(m) => self.on_ran_status(assoc, stream, m),
            Message::UplinkRanConfigurationTransfer(m) => self.on_ran_configuration_transfer(assoc, m),
            Message::HandoverNotify(m) => self.on_handover_notify(assoc, stream, &m),
            Message::HandoverCancel(m) => self.on_handover_cancel(assoc, stream, &m),
            Message::UeContextModificationResponse(m) => self.on_context_modified(assoc, stream, &m),
            Message::UeContextModificationFailure(m) => self.on_context_not_modified(assoc, stream, &m),
            Message::LocationReport(m) => self.on_location_report(assoc, stream, &m),
            Message::LocationReportingFailureIndication(m) => {
                if self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).is_some() {
                    self.refused("location-not-reported");
                }
            }
            Message::NasNonDeliveryIndication(m) => self.on_nas_not_delivered(assoc, stream, &m),
            Message::UeContextReleaseRequest(m) => self.on_release_request(assoc, stream, &m),
            Message::UeContextReleaseComplete(m) => self.on_release_complete(assoc, stream, &m),
            Message::NgResetAcknowledge(_) => self.on_reset_acknowledged(assoc),
            Message::AmfConfigurationUpdateAcknowledge => self.on_serving_acknowledged(assoc),
            Message::AmfConfigurationUpdateFailure(m) => self.on_serving_refused(assoc, m),
            Message::Unknown(p) => {
                self.refused("unknown-procedure");
                if let Some(indication) = p.indication(None, None) {
                    self.send(assoc, stream, &Message::ErrorIndication(indication));
                }
            }
            // What only an AMF sends.
            Message::NgSetupResponse(_)
            | Message::NgSetupFailure(_)
            | Message::DownlinkNasTransport(_)
            | Message::InitialContextSetupRequest(_)
            | Message::UeContextReleaseCommand(_)
            | Message::PduSessionResourceSetupRequest(_)
            | Message::PduSessionResourceReleaseCommand(_)
            | Message::PduSessionResourceModifyRequest(_)
            | Message::UeContextModificationRequest(_)
            | Message::RanConfigurationUpdateAcknowledge
            | Message::RanConfigurationUpdateFailure(_)
            | Message::AmfConfigurationUpdate(_)
            | Message::OverloadStart(_)
            | Message::OverloadStop
            | Message::HandoverCommand(_)
            | Message::HandoverPreparationFailure(_)
            | Message::HandoverRequest(_)
            | Message::DownlinkRanStatusTransfer(_)
            | Message::DownlinkRanConfigurationTransfer(_)
            | Message::HandoverCancelAcknowledge(_)
            | Message::LocationReportingControl(_)
            | Message::Paging(_)
            | Message::PathSwitchRequestAcknowledge(_)
            | Message::PathSwitchRequestFailure(_) => {
                self.refused("wrong-direction");
                self.indicate(assoc, stream, None, None, state_mismatch());
            }
        }
    }

    /// A message that could not be read or lacks what it must have. Nothing changes but the counter.
    fn on_malformed(&mut self, assoc: AssocId, stream: u16, e: &NgapError) {
        self.refused("malformed-ngap");
        if e.fault == ngap::Fault::TooLong {
            self.close(assoc, "a message above the size limit");
            return self.on_assoc_down(assoc);
        }
        // §10.3.5: a procedure with an unsuccessful outcome is answered by it, as far as its identifiers can be read.
        let begins = e.procedure.filter(|p| p.direction == ngap::Direction::Initiating).map(|p| p.code);
        let known = e
            .amf_ue_id
            .zip(e.ran_ue_id)
            .filter(|(amf, ran)| self.registry.conn_of(assoc, *amf).is_some_and(|c| c.ran == *ran));
        let set_up = self.gnbs.get(&assoc).is_some_and(|g| g.setup.is_some());
        match (begins, known) {
            (Some(procedure::NG_SETUP), _) => {
                let diagnostics = e.diagnostics();
                let failure = NgSetupFailure { cause: e.cause(), time_to_wait: None, diagnostics };
                return self.send(assoc, 0, &Message::NgSetupFailure(failure));
            }
            (Some(procedure::RAN_CONFIGURATION_UPDATE), _) if set_up => {
                let failure = RanConfigurationUpdateFailure { cause: e.cause(), time_to_wait: None };
                return self.send(assoc, 0, &Message::RanConfigurationUpdateFailure(failure));
            }
            (Some(procedure::HANDOVER_PREPARATION), Some((source, _))) => {
                return self.refuse_handover(source, e.cause());
            }
            _ => {}
        }
        if e.wants_answer() {
            self.send(assoc, stream, &Message::ErrorIndication(e.indication()));
        }
    }

    /// The connection that both identifiers name on this association, or an Error Indication (§10.6).
    pub(super) fn lookup(
        &mut self,
        assoc: AssocId,
        stream: u16,
        amf: AmfUeNgapId,
        ran: RanUeNgapId,
    ) -> Option<&mut Conn> {
        let cause = match self.registry.conn_of(assoc, amf) {
            Some(c) if c.ran == ran => return self.registry.conn_mut(amf),
            Some(_) => RadioCause::INCONSISTENT_REMOTE_UE_NGAP_ID,
            None => RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID,
        };
        self.refused("unknown-ue-id");
        self.indicate(assoc, stream, Some(amf), Some(ran), Cause::RadioNetwork(cause));
        None
    }

    /// Sends an Error Indication (§8.7.5).
    pub(super) fn indicate(
        &mut self,
        assoc: AssocId,
        stream: u16,
        amf_ue_id: Option<AmfUeNgapId>,
        ran_ue_id: Option<RanUeNgapId>,
        cause: Cause,
    ) {
        let indication = ErrorIndication { amf_ue_id, ran_ue_id, cause: Some(cause), diagnostics: None };
        self.send(assoc, stream, &Message::ErrorIndication(indication));
    }

    /// INITIAL UE MESSAGE (§8.6.1): a new connection, with somebody unknown on it.
    fn on_initial_ue(&mut self, assoc: AssocId, stream: u16, m: InitialUeMessage) {
        self.name_given_anew(assoc, m.ran_ue_id, None);
        if self.registry.count_of(assoc) >= self.config.limits.ues_per_gnb {
            self.refused("too-many-ues");
            let overload = Cause::Misc(ngap::MiscCause::CONTROL_PROCESSING_OVERLOAD);
            return self.indicate(assoc, stream, None, Some(m.ran_ue_id), overload);
        }
        let conn = Conn {
            id: self.registry.next_id(),
            assoc,
            ran: m.ran_ue_id,
            stream,
            tai: m.location.tai,
            cell: m.location.cell.cell,
            radio: Radio::Bare,
            ul_count: 0,
            chain: None,
            switching: None,
            new_chain: None,
            rates_asked: false,
            phase: Phase::Leaving,
        };
        let id = conn.id;
        self.registry.insert_conn(conn);
        self.on_initial_nas(id, &m.nas);
    }

    /// A gNB has given this name to a connection: whoever else had it is not there any more.
    pub(super) fn name_given_anew(&mut self, assoc: AssocId, ran: RanUeNgapId, to: Option<AmfUeNgapId>) {
        if let Some(before) = self.registry.conn_by_ran(assoc, ran).filter(|c| Some(*c) != to) {
            self.drop_conn(before);
        }
    }

    /// UPLINK NAS TRANSPORT (§8.6.3).
    fn on_uplink_nas(&mut self, assoc: AssocId, stream: u16, m: UplinkNasTransport) {
        if self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).is_none() {
            return;
        }
        if let Some(location) = m.location {
            self.seen_at(m.amf_ue_id, location);
        }
        self.on_nas(m.amf_ue_id, &m.nas);
    }

    /// A gNB says where a UE of its own is. Of a UE of ours that counts where it is an area that the gNB serves.
    fn seen_at(&mut self, id: AmfUeNgapId, location: UserLocation) {
        let (tai, cell) = (location.tai, location.cell.cell);
        let Some(conn) = self.registry.conn_mut(id) else { return };
        (conn.tai, conn.cell) = (tai, cell);
        let assoc = conn.assoc;
        let Phase::Ue(supi) = conn.phase else { return };
        if !self.serves(assoc, tai) {
            return self.refused("location-not-served");
        }
        if let Some(ue) = self.registry.ue_mut(supi) {
            (ue.tai, ue.cell) = (tai, cell);
        }
    }

    /// LOCATION REPORTING CONTROL (§8.12.1): the gNB is to say whenever the UE's cell is another, so that where it is stays
    /// known while it says nothing. A gNB that does not know the procedure leaves it be.
    pub(super) fn follow(&mut self, id: AmfUeNgapId) {
        self.send_on(id, |c| {
            Message::LocationReportingControl(LocationReportingControl {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                event: Some(LocationEvent::CellChange),
            })
        });
    }

    /// LOCATION REPORT (§8.12.3).
    fn on_location_report(&mut self, assoc: AssocId, stream: u16, m: &LocationReport) {
        match self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).map(|c| (c.radio, &c.phase)) {
            Some((Radio::Up, Phase::Ue(_))) => match m.location {
                Some(location) => self.seen_at(m.amf_ue_id, location),
                None => self.refused("no-location"),
            },
            Some(_) => self.refused("out-of-place"),
            None => {}
        }
    }

    /// INITIAL CONTEXT SETUP RESPONSE (§8.3.1.2).
    fn on_context_set_up(&mut self, assoc: AssocId, stream: u16, m: InitialContextSetupResponse) {
        let Some(conn) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) else { return };
        if conn.radio != Radio::ExpectSetup {
            return self.refused("unasked-answer");
        }
        conn.radio = Radio::Up;
        self.on_radio_up(m.amf_ue_id, &m.setup, &m.failed);
    }

    /// INITIAL CONTEXT SETUP FAILURE (§8.3.1.3).
    fn on_context_not_set_up(&mut self, assoc: AssocId, stream: u16, m: InitialContextSetupFailure) {
        let Some(conn) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) else { return };
        if conn.radio != Radio::ExpectSetup {
            return self.refused("unasked-answer");
        }
        conn.radio = Radio::Bare;
        self.on_radio_failed(m.amf_ue_id);
    }

    /// UE RADIO CAPABILITY INFO INDICATION (§8.14.1): kept for the next gNB, which need not ask the UE again.
    fn on_radio_capability(&mut self, assoc: AssocId, stream: u16, m: UeRadioCapabilityInfoIndication) {
        let Some(conn) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) else { return };
        let (Phase::Ue(supi), Radio::Up) = (&conn.phase, conn.radio) else {
            return self.refused("out-of-place");
        };
        let supi = *supi;
        match m.radio_capability {
            Some(c) if c.len() <= MAX_RADIO_CAPABILITY => {
                if let Some(ue) = self.registry.ue_mut(supi) {
                    ue.radio_capability = Some(c.into());
                }
            }
            Some(_) | None => self.refused("radio-capability"),
        }
    }

    /// NAS NON DELIVERY INDICATION (§8.6.4). Whoever sent the message has its timer; what the UE lost with its radio is
    /// told by the gNB in another way. It is counted, because it says how well a cell does.
    fn on_nas_not_delivered(&mut self, assoc: AssocId, stream: u16, m: &NasNonDeliveryIndication) {
        if self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).is_some() {
            self.refused("nas-not-delivered");
        }
    }

    /// PDU SESSION RESOURCE SETUP RESPONSE (§8.2.1.2): only the gNB that serves the UE may say where its
    /// downlink goes.
    fn on_resources(&mut self, assoc: AssocId, stream: u16, m: PduSessionResourceSetupResponse) {
        match self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).map(|c| &c.phase) {
            Some(Phase::Ue(supi)) => {
                let supi = *supi;
                self.on_session_resources(supi, &m.setup, &m.failed);
            }
            Some(_) => self.refused("out-of-place"),
            None => {}
        }
    }

    /// PDU SESSION RESOURCE RELEASE RESPONSE (§8.2.2.2). The session is gone in the gateway already, and the
    /// UE's own answer ends the procedure; nothing waits for this one.
    fn on_resources_released(&mut self, assoc: AssocId, stream: u16, m: &PduSessionResourceReleaseResponse) {
        self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id);
    }

    /// PDU SESSION RESOURCE MODIFY RESPONSE (§8.2.3.2). A gNB that keeps to the old rates has not told the UE either: T3591
    /// does, and nothing waits for this answer.
    fn on_resources_modified(&mut self, assoc: AssocId, stream: u16, m: &PduSessionResourceModifyResponse) {
        let known = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).is_some();
        if known && !m.failed.is_empty() {
            self.refused("resources-not-modified");
        }
    }

    /// UE CONTEXT RELEASE REQUEST (§8.3.2): the gNB wants to be rid of the UE, usually for inactivity.
    fn on_release_request(&mut self, assoc: AssocId, stream: u16, m: &UeContextReleaseRequest) {
        if self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).is_some() {
            self.release_conn(m.amf_ue_id, m.cause);
        }
    }

    /// UE CONTEXT RELEASE COMPLETE (§8.3.3.2).
    fn on_release_complete(&mut self, assoc: AssocId, stream: u16, m: &UeContextReleaseComplete) {
        if self.registry.was_given_up(m.amf_ue_id, assoc) {
            self.registry.arrived(m.amf_ue_id);
            return self.timers.stop(TimerKey::ContextRelease(m.amf_ue_id));
        }
        let leaving = match self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) {
            Some(conn) => matches!(conn.phase, Phase::Leaving),
            None => return,
        };
        if leaving {
            self.drop_conn(m.amf_ue_id);
        } else {
            self.refused("unasked-answer");
        }
    }

    /// ERROR INDICATION (§8.7.5). One that says that the gNB does not know the UE ends the connection here
    /// (§10.6); any other is counted. It is never answered by another.
    fn on_error_indication(&mut self, assoc: AssocId, m: &ErrorIndication) {
        self.refused("error-indication");
        let unknown = matches!(
            m.cause,
            Some(Cause::RadioNetwork(
                RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID | RadioCause::INCONSISTENT_REMOTE_UE_NGAP_ID
            ))
        );
        let conn = m.amf_ue_id.and_then(|id| self.registry.conn_of(assoc, id)).map(|c| c.id);
        if let (true, Some(id)) = (unknown, conn) {
            self.drop_conn(id);
        }
    }
}

fn state_mismatch() -> Cause {
    Cause::Protocol(ProtocolCause::MESSAGE_NOT_COMPATIBLE_WITH_RECEIVER_STATE)
}
