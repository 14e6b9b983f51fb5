//! PDU session resources at the gNB: tunnels made and taken down (TS 38.413 §8.2).

use super::{Gnb, Output, SessionTunnel, UeKey};
use types::{PduSessionId, Teid};
use wire::ngap::transfer::{
    ModifyResponse, ReleaseResponse, SetupRequest, SetupResponse, SetupUnsuccessful, Tunnel,
};
use wire::ngap::{
    Cause, Message, PduSessionResourceModifyRequest, PduSessionResourceModifyResponse,
    PduSessionResourceReleaseCommand, PduSessionResourceReleaseResponse, PduSessionResourceSetupRequest,
    PduSessionResourceSetupResponse, ProtocolCause, RadioCause, SessionSetup, SessionTransfer,
};

impl Gnb {
    pub(super) fn session_setup(&mut self, m: PduSessionResourceSetupRequest) {
        let (amf_ue_id, ran_ue_id) = (m.amf_ue_id, m.ran_ue_id);
        let Some(ue) = self.known(amf_ue_id, ran_ue_id) else { return };
        if self.config.lies.silent {
            return;
        }
        if let Some(octets) = m.nas {
            self.outputs.push_back(Output::Nas { ue, octets });
        }
        let (setup, failed) = self.set_up_sessions(ue, m.sessions);
        let answer = PduSessionResourceSetupResponse { amf_ue_id, ran_ue_id, setup, failed };
        self.send(1, &Message::PduSessionResourceSetupResponse(answer));
    }

    /// Sets up what it can: the tunnels made and those refused, each with its transfer. The NAS message of
    /// a session goes to its UE only if the session is there (§8.2.1.2).
    pub(super) fn set_up_sessions(
        &mut self,
        ue: UeKey,
        wanted: Vec<SessionSetup>,
    ) -> (Vec<SessionTransfer>, Vec<SessionTransfer>) {
        let (mut setup, mut failed) = (Vec::new(), Vec::new());
        for s in wanted {
            let made = self.one_session(ue, s.id, &s.transfer);
            let transfer = match &made {
                Ok(answer) => answer.encode(),
                Err(cause) => SetupUnsuccessful { cause: *cause }.encode(),
            };
            let item = SessionTransfer { id: s.id, transfer: transfer.unwrap_or_default() };
            if made.is_err() {
                failed.push(item);
                continue;
            }
            setup.push(item);
            if let Some(octets) = s.nas {
                self.outputs.push_back(Output::Nas { ue, octets });
            }
        }
        (setup, failed)
    }

    /// A tunnel endpoint of its own.
    pub(super) fn new_tunnel(&mut self) -> Option<Tunnel> {
        let teid = Teid::new(self.next_teid)?;
        self.next_teid = self.next_teid.checked_add(1).unwrap_or(1);
        Some(Tunnel::new(self.config.n3, teid))
    }

    fn one_session(&mut self, ue: UeKey, id: PduSessionId, transfer: &[u8]) -> Result<SetupResponse, Cause> {
        if let Some(cause) = self.config.lies.refuse_sessions {
            return Err(cause);
        }
        let abstract_syntax = Cause::Protocol(ProtocolCause::ABSTRACT_SYNTAX_ERROR_REJECT);
        let request = SetupRequest::decode(transfer).map_err(|_| abstract_syntax)?;
        let first = request.flows.first().ok_or(abstract_syntax)?;
        let own = self.new_tunnel().ok_or(Cause::UNSPECIFIED)?;
        let tunnel = SessionTunnel { ue, session: id, downlink: own, uplink: request.uplink, qfi: first.qfi };
        let context = self.ues.get_mut(&ue).ok_or(Cause::UNSPECIFIED)?;
        if context.sessions.contains_key(&id) {
            return Err(Cause::RadioNetwork(RadioCause::MULTIPLE_PDU_SESSION_ID_INSTANCES));
        }
        context.sessions.insert(id, tunnel);
        self.outputs.push_back(Output::TunnelUp(tunnel));
        Ok(SetupResponse {
            downlink: self.config.lies.false_tunnel.unwrap_or(own),
            flows: request.flows.iter().map(|f| f.qfi).collect(),
            failed: Vec::new(),
        })
    }

    /// Rates are the scheduler's business, and there is none: whatever they are, they are taken.
    pub(super) fn session_modify(&mut self, m: PduSessionResourceModifyRequest) {
        let (amf_ue_id, ran_ue_id) = (m.amf_ue_id, m.ran_ue_id);
        let Some(ue) = self.known(amf_ue_id, ran_ue_id) else { return };
        if self.config.lies.silent {
            return;
        }
        let (mut modified, mut failed) = (Vec::new(), Vec::new());
        for s in m.sessions {
            let known = self.ues.get(&ue).is_some_and(|c| c.sessions.contains_key(&s.id));
            if known {
                let transfer = ModifyResponse.encode().unwrap_or_default();
                modified.push(SessionTransfer { id: s.id, transfer });
                self.outputs.extend(s.nas.map(|octets| Output::Nas { ue, octets }));
            } else {
                let cause = Cause::RadioNetwork(RadioCause::UNKNOWN_PDU_SESSION_ID);
                let transfer = SetupUnsuccessful { cause }.encode().unwrap_or_default();
                failed.push(SessionTransfer { id: s.id, transfer });
            }
        }
        let answer = PduSessionResourceModifyResponse { amf_ue_id, ran_ue_id, modified, failed };
        self.send(1, &Message::PduSessionResourceModifyResponse(answer));
    }

    pub(super) fn session_release(&mut self, m: PduSessionResourceReleaseCommand) {
        let (amf_ue_id, ran_ue_id) = (m.amf_ue_id, m.ran_ue_id);
        let Some(ue) = self.known(amf_ue_id, ran_ue_id) else { return };
        if self.config.lies.silent {
            return;
        }
        if let Some(octets) = m.nas {
            self.outputs.push_back(Output::Nas { ue, octets });
        }
        let mut released = Vec::new();
        for s in m.sessions {
            let gone = self.ues.get_mut(&ue).and_then(|c| c.sessions.remove(&s.id));
            if gone.is_some() {
                self.outputs.push_back(Output::TunnelDown { ue, session: s.id });
            }
            // §8.2.2.2: a session that is not known counts as released.
            let transfer = ReleaseResponse.encode().unwrap_or_default();
            released.push(SessionTransfer { id: s.id, transfer });
        }
        let location = Some(self.location());
        let answer = PduSessionResourceReleaseResponse { amf_ue_id, ran_ue_id, released, location };
        self.send(1, &Message::PduSessionResourceReleaseResponse(answer));
    }
}
