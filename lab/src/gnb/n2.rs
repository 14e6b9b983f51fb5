//! Handover by way of the AMF (N2): one gNB asks, the other takes, the UE goes (TS 38.413 §8.4.1–§8.4.3, §8.4.5).

use super::{Gnb, Output, SessionTunnel, UeContext, UeKey};
use types::Tai;
use wire::ngap::transfer::{Admitted, NotAdmitted, SetupRequest};
use wire::ngap::{
    Cause, GlobalGnbId, HandoverCancel, HandoverCommand, HandoverFailure, HandoverNotify, HandoverRequest,
    HandoverRequestAcknowledge, HandoverRequired, Message, RadioCause, RanNodeId, SessionTransfer,
};

impl Gnb {
    /// Asks for the UE to go to another gNB. What the radios tell each other is its name alone.
    pub(super) fn want_away(&mut self, ue: UeKey, target: GlobalGnbId, tai: Tai) {
        let Some(UeContext { ran, amf: Some(amf), sessions, .. }) = self.ues.get(&ue) else { return };
        let m = HandoverRequired {
            amf_ue_id: *amf,
            ran_ue_id: *ran,
            cause: Cause::RadioNetwork(RadioCause::HANDOVER_DESIRABLE_FOR_RADIO_REASON),
            target: RanNodeId::Gnb(target),
            tai,
            sessions: sessions.keys().map(|id| SessionTransfer { id: *id, transfer: vec![0] }).collect(),
            container: ue.0.to_be_bytes().to_vec(),
        };
        self.send(1, &Message::HandoverRequired(m));
    }

    /// It shall stay after all.
    pub(super) fn cancel_handover(&mut self, ue: UeKey) {
        let Some(UeContext { ran, amf: Some(amf), .. }) = self.ues.get(&ue) else { return };
        let cause = Cause::RadioNetwork(RadioCause::HANDOVER_CANCELLED);
        let m = HandoverCancel { amf_ue_id: *amf, ran_ue_id: *ran, cause };
        self.send(1, &Message::HandoverCancel(m));
    }

    /// The AMF asks us to take a UE.
    pub(super) fn handover_request(&mut self, m: HandoverRequest) {
        if self.config.lies.silent {
            return;
        }
        let amf_ue_id = m.amf_ue_id;
        let name = <[u8; 4]>::try_from(m.container.as_slice()).map(|n| UeKey(u32::from_be_bytes(n)));
        let (ue, refused) = match (name, self.config.lies.refuse_contexts) {
            (Ok(ue), None) => (ue, None),
            (_, refused) => (UeKey(0), Some(refused.unwrap_or(Cause::UNSPECIFIED))),
        };
        if let Some(cause) = refused {
            return self.send(1, &Message::HandoverFailure(HandoverFailure { amf_ue_id, cause }));
        }
        let mut context = UeContext::new(self.new_ran());
        context.amf = Some(amf_ue_id);
        context.key = Some(m.next_hop.nh);
        context.capabilities = Some(m.security_capabilities);
        let (mut admitted, mut failed) = (Vec::new(), Vec::new());
        for s in m.sessions {
            let asked = SetupRequest::decode(&s.transfer).ok();
            let own = self.new_tunnel().filter(|_| self.config.lies.refuse_sessions.is_none());
            let Some((asked, downlink)) = asked.zip(own) else {
                let cause = self.config.lies.refuse_sessions.unwrap_or(Cause::UNSPECIFIED);
                let transfer = NotAdmitted { cause }.encode().unwrap_or_default();
                failed.push(SessionTransfer { id: s.id, transfer });
                continue;
            };
            let flows: Vec<u8> = asked.flows.iter().map(|f| f.qfi).collect();
            let qfi = flows.first().copied().unwrap_or_default();
            let tunnel = SessionTunnel { ue, session: s.id, downlink, uplink: asked.uplink, qfi };
            context.sessions.insert(s.id, tunnel);
            let told = self.config.lies.false_tunnel.unwrap_or(downlink);
            let transfer = Admitted { downlink: told, flows }.encode().unwrap_or_default();
            admitted.push(SessionTransfer { id: s.id, transfer });
        }
        let ran_ue_id = context.ran;
        self.ues.insert(ue, context);
        let container = m.container;
        let answer = HandoverRequestAcknowledge { amf_ue_id, ran_ue_id, admitted, failed, container };
        self.send(1, &Message::HandoverRequestAcknowledge(answer));
    }

    /// The UE may go.
    pub(super) fn handover_command(&mut self, m: &HandoverCommand) {
        if let Some(ue) = self.known(m.amf_ue_id, m.ran_ue_id) {
            self.outputs.push_back(Output::SendAway { ue });
        }
    }

    /// A UE that was awaited is here.
    pub(super) fn arrived(&mut self, ue: UeKey) {
        let location = Some(self.location());
        let Some(UeContext { ran, amf: Some(amf), sessions, .. }) = self.ues.get(&ue) else { return };
        let m = HandoverNotify { amf_ue_id: *amf, ran_ue_id: *ran, location };
        self.outputs.extend(sessions.values().map(|s| Output::TunnelUp(*s)));
        self.send(1, &Message::HandoverNotify(m));
    }
}
