//! Handover between two gNBs (Xn), as far as the AMF sees of it: one gives a UE away, the other takes it and asks for its
//! downlink (TS 38.413 §8.4.4).

use super::{Gnb, Link, Output, SessionTunnel, UeContext, UeKey};
use wire::ngap::transfer::PathSwitch;
use wire::ngap::{
    AmfUeNgapId, Cause, Message, PathSwitchRequest, PathSwitchRequestAcknowledge, PathSwitchRequestFailure,
    SecurityCapabilities, SessionTransfer,
};

/// What one gNB tells the other of a UE.
#[derive(Debug, Clone)]
pub struct HandOver {
    amf: AmfUeNgapId,
    capabilities: Option<SecurityCapabilities>,
    sessions: Vec<SessionTunnel>,
}

impl Gnb {
    /// Gives a UE away: it is gone from here, and nobody is told. `None` for one without user plane, whom no gNB can take.
    pub fn hand_over(&mut self, ue: UeKey) -> Option<HandOver> {
        let context = self.ues.get(&ue).filter(|c| c.key.is_some() && !c.sessions.is_empty())?;
        let (amf, capabilities) = (context.amf?, context.capabilities);
        let sessions = self.ues.remove(&ue)?.sessions.into_values().collect::<Vec<_>>();
        for s in &sessions {
            self.outputs.push_back(Output::TunnelDown { ue, session: s.session });
        }
        Some(HandOver { amf, capabilities, sessions })
    }

    /// Takes a UE that is here already. Its tunnels are there when the AMF says so.
    pub(super) fn take_over(&mut self, ue: UeKey, h: HandOver) {
        if self.link != Link::Ready {
            return self.outputs.push_back(Output::Released { ue, cause: Cause::UNSPECIFIED });
        }
        let mut context =
            UeContext { amf: Some(h.amf), capabilities: h.capabilities, ..UeContext::new(self.new_ran()) };
        let mut sessions = Vec::new();
        for s in h.sessions {
            let Some(downlink) = self.new_tunnel() else { continue };
            context.sessions.insert(s.session, SessionTunnel { ue, downlink, ..s });
            let told = self.config.lies.false_tunnel.unwrap_or(downlink);
            let transfer = PathSwitch { downlink: told, flows: vec![s.qfi] }.encode().unwrap_or_default();
            sessions.push(SessionTransfer { id: s.session, transfer });
        }
        let request = PathSwitchRequest {
            ran_ue_id: context.ran,
            source_amf_ue_id: h.amf,
            location: Some(self.location()),
            security_capabilities: h.capabilities,
            sessions,
            failed: Vec::new(),
        };
        self.ues.insert(ue, context);
        self.send(1, &Message::PathSwitchRequest(request));
    }

    pub(super) fn path_switched(&mut self, m: PathSwitchRequestAcknowledge) {
        let Some(ue) = self.known(m.amf_ue_id, m.ran_ue_id) else { return };
        let Some(context) = self.ues.get_mut(&ue) else { return };
        context.key = Some(m.next_hop.nh);
        context.capabilities = m.security_capabilities.or(context.capabilities);
        context.sessions.retain(|id, _| m.switched.iter().any(|s| s.id == *id));
        self.outputs.extend(context.sessions.values().map(|s| Output::TunnelUp(*s)));
    }

    /// The UE has no way to go on here.
    pub(super) fn path_not_switched(&mut self, m: &PathSwitchRequestFailure) {
        if let Some(ue) = self.known(m.amf_ue_id, m.ran_ue_id) {
            self.forget(ue, Cause::UNSPECIFIED);
        }
    }
}
