//! NGAP from the gNB: one function per message (TS 38.413 §8). A message is read whole by `wire`, its UE is
//! looked up by (association, identifier), and only then somebody acts on it.

use super::ue::{Conn, Phase, Radio};
use super::{Amf, AssocId};
use wire::ngap::{
    self, AmfUeNgapId, Cause, ErrorIndication, InitialContextSetupFailure, InitialContextSetupResponse,
    InitialUeMessage, Message, NgSetupFailure, NgapError, PduSessionResourceReleaseResponse,
    PduSessionResourceSetupResponse, ProtocolCause, RadioCause, RanUeNgapId, UeContextReleaseComplete,
    UeContextReleaseRequest, UplinkNasTransport, procedure,
};

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
            Message::NgReset(m) => self.on_ng_reset(assoc, stream, m),
            Message::InitialUeMessage(m) => self.on_initial_ue(assoc, stream, m),
            Message::UplinkNasTransport(m) => self.on_uplink_nas(assoc, stream, m),
            Message::InitialContextSetupResponse(m) => self.on_context_set_up(assoc, stream, m),
            Message::InitialContextSetupFailure(m) => self.on_context_not_set_up(assoc, stream, m),
            Message::PduSessionResourceSetupResponse(m) => self.on_resources(assoc, stream, m),
            Message::PduSessionResourceReleaseResponse(m) => self.on_resources_released(assoc, stream, &m),
            Message::PathSwitchRequest(m) => self.on_path_switch(assoc, stream, &m),
            Message::UeContextReleaseRequest(m) => self.on_release_request(assoc, stream, &m),
            Message::UeContextReleaseComplete(m) => self.on_release_complete(assoc, stream, &m),
            Message::NgResetAcknowledge(_) => self.refused("unasked-answer"),
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
        let is_setup = e
            .procedure
            .is_some_and(|p| p.code == procedure::NG_SETUP && p.direction == ngap::Direction::Initiating);
        if is_setup {
            // §10.3.5: a procedure with an unsuccessful outcome is answered by it.
            let failure =
                NgSetupFailure { cause: e.cause(), time_to_wait: None, diagnostics: e.diagnostics() };
            return self.send(assoc, 0, &Message::NgSetupFailure(failure));
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
        if let Some(before) = self.registry.conn_by_ran(assoc, m.ran_ue_id) {
            // The gNB gave this name to somebody else: whoever had it is not there any more.
            self.drop_conn(before);
        }
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
            phase: Phase::Leaving,
        };
        let id = conn.id;
        self.registry.insert_conn(conn);
        self.on_initial_nas(id, &m.nas);
    }

    /// UPLINK NAS TRANSPORT (§8.6.3).
    fn on_uplink_nas(&mut self, assoc: AssocId, stream: u16, m: UplinkNasTransport) {
        let Some(conn) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) else { return };
        if let Some(location) = m.location {
            conn.tai = location.tai;
            conn.cell = location.cell.cell;
        }
        self.on_nas(m.amf_ue_id, &m.nas);
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

    /// PDU SESSION RESOURCE SETUP RESPONSE (§8.2.1.2): only the gNB that serves the UE may say where its
    /// downlink goes.
    fn on_resources(&mut self, assoc: AssocId, stream: u16, m: PduSessionResourceSetupResponse) {
        if let Some(Phase::Ue(supi)) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).map(|c| &c.phase)
        {
            let supi = *supi;
            self.on_session_resources(supi, &m.setup, &m.failed);
        }
    }

    /// PDU SESSION RESOURCE RELEASE RESPONSE (§8.2.2.2). The session is gone in the gateway already, and the
    /// UE's own answer ends the procedure; nothing waits for this one.
    fn on_resources_released(&mut self, assoc: AssocId, stream: u16, m: &PduSessionResourceReleaseResponse) {
        self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id);
    }

    /// UE CONTEXT RELEASE REQUEST (§8.3.2): the gNB wants to be rid of the UE, usually for inactivity.
    fn on_release_request(&mut self, assoc: AssocId, stream: u16, m: &UeContextReleaseRequest) {
        if self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id).is_some() {
            self.release_conn(m.amf_ue_id, m.cause);
        }
    }

    /// UE CONTEXT RELEASE COMPLETE (§8.3.3.2).
    fn on_release_complete(&mut self, assoc: AssocId, stream: u16, m: &UeContextReleaseComplete) {
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
