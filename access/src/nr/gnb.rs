//! gNBs: associations, NG Setup (TS 38.413 §8.7.1) and NG Reset (§8.7.4).

use super::serving::Telling;
use super::timers::{NG_SETUP_GUARD_MS, NGAP_GUARD_MS, TimerKey};
use super::{Amf, AssocId, Output};
use std::net::IpAddr;
use types::{Happening, Tac, Tai};
use wire::ngap::{
    Cause, GlobalGnbId, Guami, Message, MiscCause, NgReset, NgResetAcknowledge, NgSetupFailure,
    NgSetupRequest, NgSetupResponse, ProtocolCause, RadioCause, RanConfigurationTransfer,
    RanConfigurationUpdate, RanConfigurationUpdateFailure, RanNodeId, ResetType, SupportedPlmn, TimeToWait,
    UeConnection,
};

/// Longest name of a gNB that we keep, in characters (TS 38.413 §9.3.1.4 allows 150).
const NAME_CHARS: usize = 150;

/// One association.
pub(super) struct Gnb {
    /// N2 address.
    pub(super) peer: IpAddr,
    /// What NG Setup said; none before.
    pub(super) setup: Option<Setup>,
    /// NG Resets of ours that it has not acknowledged.
    pub(super) resets: u32,
    /// How far it is with what we serve.
    pub(super) telling: Telling,
}

/// What a gNB said of itself and we accepted.
pub(super) struct Setup {
    /// Its global identity.
    pub(super) id: GlobalGnbId,
    /// Its name.
    pub(super) name: String,
    /// Tracking areas of it that are ours.
    pub(super) tacs: Vec<Tac>,
}

impl Amf {
    /// A new association: NG Setup is expected within a minute.
    pub(super) fn on_assoc_up(&mut self, assoc: AssocId, peer: IpAddr) {
        if self.gnbs.contains_key(&assoc) {
            return self.on_assoc_again(assoc, peer);
        }
        if self.gnbs.len() >= self.config.limits.gnbs {
            self.refused("too-many-associations");
            return self.close(assoc, "too many associations");
        }
        self.gnbs.insert(assoc, Gnb { peer, setup: None, resets: 0, telling: Telling::Done });
        self.start(TimerKey::GnbSetup(assoc), NG_SETUP_GUARD_MS);
    }

    /// The transport restarted the association under the same number: whatever was on it is gone.
    fn on_assoc_again(&mut self, assoc: AssocId, peer: IpAddr) {
        self.on_assoc_down(assoc);
        self.on_assoc_up(assoc, peer);
    }

    /// An association is gone, and with it every connection that it carried.
    pub(super) fn on_assoc_down(&mut self, assoc: AssocId) {
        self.timers.stop(TimerKey::GnbSetup(assoc));
        self.timers.stop(TimerKey::GnbReset(assoc));
        self.timers.stop(TimerKey::GnbUpdate(assoc));
        self.drop_connections(assoc);
        if let Some(setup) = self.gnbs.remove(&assoc).and_then(|g| g.setup) {
            self.event(None, Happening::GnbDown { name: setup.name });
        }
    }

    /// NG Setup did not come.
    pub(super) fn on_ng_setup_timeout(&mut self, assoc: AssocId) {
        self.refused("no-ng-setup");
        self.close(assoc, "no NG Setup");
        self.on_assoc_down(assoc);
    }

    /// All connections of a gNB are lost without a word to it.
    fn drop_connections(&mut self, assoc: AssocId) {
        for id in self.registry.conns_of(assoc) {
            self.drop_conn(id);
        }
    }

    /// The gNB's name for events.
    pub(super) fn gnb_name(&self, assoc: AssocId) -> String {
        match self.gnbs.get(&assoc) {
            Some(Gnb { setup: Some(setup), .. }) => setup.name.clone(),
            Some(gnb) => gnb.peer.to_string(),
            None => String::new(),
        }
    }

    /// True where `tai` is one that this gNB announced and that is ours.
    pub(super) fn serves(&self, assoc: AssocId, tai: Tai) -> bool {
        tai.plmn == self.config.plmn
            && self.gnbs.get(&assoc).and_then(|g| g.setup.as_ref()).is_some_and(|s| s.tacs.contains(&tai.tac))
    }

    /// NG SETUP REQUEST: judged whole first. An accepted one that comes again drops what was on the
    /// association (§8.7.1.1: "erase all existing application level configuration data").
    pub(super) fn on_ng_setup(&mut self, assoc: AssocId, request: NgSetupRequest) {
        let Some(peer) = self.gnbs.get(&assoc).map(|g| g.peer) else { return };
        let setup = match self.judge_setup(assoc, peer, request) {
            Ok(setup) => setup,
            Err((cause, why)) => return self.refuse_setup(assoc, peer, cause, why),
        };
        self.drop_connections(assoc);
        if let Some(older) = self.assoc_of(setup.id).filter(|a| *a != assoc) {
            self.close(older, "its gNB has come back on a new association");
            self.on_assoc_down(older);
        }
        self.timers.stop(TimerKey::GnbSetup(assoc));
        let name = setup.name.clone();
        let again = match self.gnbs.get_mut(&assoc) {
            Some(gnb) => gnb.setup.replace(setup).is_some(),
            None => return,
        };
        let slices = self.config.slices.clone();
        let response = NgSetupResponse {
            name: self.config.name.clone(),
            guamis: vec![self.guami()],
            relative_capacity: Some(self.config.relative_capacity),
            plmns: vec![SupportedPlmn { plmn: self.config.plmn, slices }],
        };
        self.stop_telling(assoc);
        self.send(assoc, 0, &Message::NgSetupResponse(response));
        self.tell_load(assoc);
        if !again {
            self.event(None, Happening::GnbUp { name, address: peer.to_string() });
        }
    }

    /// RAN CONFIGURATION UPDATE (§8.7.2): judged as a setup, whole; one that is refused changes nothing. UEs of an area
    /// that is not served any more stay until they come again.
    pub(super) fn on_ran_configuration_update(&mut self, assoc: AssocId, m: RanConfigurationUpdate) {
        let Some(Gnb { peer, setup: Some(setup), .. }) = self.gnbs.get(&assoc) else { return };
        let (peer, before) = (*peer, (setup.name.clone(), setup.tacs.clone()));
        let node = RanNodeId::Gnb(setup.id);
        let request = NgSetupRequest {
            node,
            name: Some(m.name.unwrap_or_else(|| before.0.clone())),
            tas: m.tas,
            paging_drx: m.paging_drx,
        };
        let judged = match request.tas.is_empty() {
            true => Ok(Setup { id: setup.id, name: name_of(&request, setup.id), tacs: before.1 }),
            false => self.judge_setup(assoc, peer, request),
        };
        match judged {
            Ok(setup) => {
                if let Some(gnb) = self.gnbs.get_mut(&assoc) {
                    gnb.setup = Some(setup);
                }
                self.send(assoc, 0, &Message::RanConfigurationUpdateAcknowledge);
            }
            Err((cause, why)) => {
                self.refused("ran-configuration");
                let failure = RanConfigurationUpdateFailure { cause, time_to_wait: Some(TimeToWait::S10) };
                self.send(assoc, 0, &Message::RanConfigurationUpdateFailure(failure));
                self.event_limited(None, Happening::GnbRefused { address: peer.to_string(), why });
            }
        }
    }

    /// UPLINK RAN CONFIGURATION TRANSFER (§8.16.1): what a gNB tells another of ours goes there as it is (§8.16.2), in the
    /// name of the gNB that says it and of no other.
    pub(super) fn on_ran_configuration_transfer(&mut self, assoc: AssocId, m: RanConfigurationTransfer) {
        let from = self.gnbs.get(&assoc).and_then(|g| g.setup.as_ref()).map(|s| RanNodeId::Gnb(s.id));
        let Some(son) = &m.son else { return self.refused("transfer-for-nobody") };
        if from != Some(son.source) {
            return self.refused("transfer-of-another");
        }
        let RanNodeId::Gnb(target) = son.target else { return self.refused("transfer-for-nobody") };
        match self.assoc_of(target).filter(|target| *target != assoc) {
            Some(target) => self.send(target, 0, &Message::DownlinkRanConfigurationTransfer(m)),
            None => self.refused("transfer-for-nobody"),
        }
    }

    /// Our own identity.
    pub(super) fn guami(&self) -> Guami {
        Guami { plmn: self.config.plmn, amf: self.config.amf }
    }

    /// The association on which this gNB is set up.
    pub(super) fn assoc_of(&self, id: GlobalGnbId) -> Option<AssocId> {
        self.gnbs.iter().find(|(_, g)| g.setup.as_ref().is_some_and(|s| s.id == id)).map(|(a, _)| *a)
    }

    fn judge_setup(
        &self,
        assoc: AssocId,
        peer: IpAddr,
        request: NgSetupRequest,
    ) -> Result<Setup, (Cause, String)> {
        let RanNodeId::Gnb(id) = request.node else {
            return Err((Cause::Misc(MiscCause::UNSPECIFIED), "not a gNB".to_owned()));
        };
        let ours = self.config.plmn;
        let plmns = || request.tas.iter().flat_map(|ta| ta.plmns.iter().map(move |p| (ta.tac, p)));
        if !plmns().any(|(_, p)| p.plmn == ours) {
            let why = format!("it broadcasts no tracking area of PLMN {ours}");
            return Err((Cause::Misc(MiscCause::UNKNOWN_PLMN_OR_SNPN), why));
        }
        let here = |tac: Tac| self.config.tacs.contains(&tac);
        if !plmns().any(|(tac, p)| p.plmn == ours && here(tac)) {
            let theirs: Vec<String> =
                request.tas.iter().take(8).map(|t| u32::from(t.tac).to_string()).collect();
            let why = format!("none of its tracking areas ({}) is ours", theirs.join(", "));
            return Err((Cause::Misc(MiscCause::UNSPECIFIED), why));
        }
        let common = |p: &SupportedPlmn| p.slices.iter().any(|s| self.config.slices.contains(s));
        let mut tacs: Vec<Tac> = plmns()
            .filter(|(tac, p)| p.plmn == ours && here(*tac) && common(p))
            .map(|(tac, _)| tac)
            .collect();
        tacs.sort_unstable();
        tacs.dedup();
        if tacs.is_empty() {
            let why = "no slice in common".to_owned();
            return Err((Cause::RadioNetwork(RadioCause::SLICE_NOT_SUPPORTED), why));
        }
        // The name of a gNB that is connected is not taken over from another address.
        let elsewhere = self.assoc_of(id).filter(|a| *a != assoc).and_then(|a| self.gnbs.get(&a));
        if let Some(other) = elsewhere.filter(|g| g.peer != peer) {
            let why = format!("gNB {} is connected from {}", id.id, other.peer);
            return Err((Cause::Protocol(ProtocolCause::SEMANTIC_ERROR), why));
        }
        Ok(Setup { id, name: name_of(&request, id), tacs })
    }

    fn refuse_setup(&mut self, assoc: AssocId, peer: IpAddr, cause: Cause, why: String) {
        self.refused("ng-setup");
        // What was accepted before is void as well: the gNB has begun anew.
        self.stop_telling(assoc);
        self.drop_connections(assoc);
        if let Some(old) = self.gnbs.get_mut(&assoc).and_then(|g| g.setup.take()) {
            self.event(None, Happening::GnbDown { name: old.name });
        }
        self.start(TimerKey::GnbSetup(assoc), NG_SETUP_GUARD_MS);
        let failure = NgSetupFailure { cause, time_to_wait: Some(TimeToWait::S10), diagnostics: None };
        self.send(assoc, 0, &Message::NgSetupFailure(failure));
        self.event_limited(None, Happening::GnbRefused { address: peer.to_string(), why });
    }

    /// NG RESET from a gNB (§8.7.4.2.2): its connections, or the named ones, are forgotten.
    pub(super) fn on_ng_reset(&mut self, assoc: AssocId, stream: u16, reset: NgReset) {
        let connections = match reset.reset {
            ResetType::All => {
                self.drop_connections(assoc);
                Vec::new()
            }
            ResetType::Part(list) => {
                for c in &list {
                    let by_amf = c.amf_ue_id.and_then(|id| self.registry.conn_of(assoc, id)).map(|c| c.id);
                    let by_ran = || c.ran_ue_id.and_then(|ran| self.registry.conn_by_ran(assoc, ran));
                    // Where the AMF's name is given it alone decides; §8.7.4.2.2.
                    let found = if c.amf_ue_id.is_some() { by_amf } else { by_ran() };
                    if let Some(id) = found {
                        self.drop_conn(id);
                    }
                }
                list
            }
        };
        self.send(assoc, stream, &Message::NgResetAcknowledge(NgResetAcknowledge { connections }));
    }

    /// NG RESET from us (§8.7.4.2.1): the gNB did not confirm that it has forgotten this connection, so it is told to.
    pub(super) fn reset_connection(&mut self, assoc: AssocId, connection: UeConnection) {
        let Some(gnb) = self.gnbs.get_mut(&assoc).filter(|g| g.setup.is_some()) else { return };
        gnb.resets += 1;
        self.start(TimerKey::GnbReset(assoc), NGAP_GUARD_MS);
        let cause = Cause::RadioNetwork(RadioCause::RELEASE_DUE_TO_5GC_GENERATED_REASON);
        let reset = NgReset { cause, reset: ResetType::Part(vec![connection]) };
        self.send(assoc, 0, &Message::NgReset(reset));
    }

    /// NG RESET ACKNOWLEDGE.
    pub(super) fn on_reset_acknowledged(&mut self, assoc: AssocId) {
        let Some(gnb) = self.gnbs.get_mut(&assoc).filter(|g| g.resets > 0) else {
            return self.refused("unasked-answer");
        };
        gnb.resets -= 1;
        if gnb.resets == 0 {
            self.timers.stop(TimerKey::GnbReset(assoc));
        }
    }

    /// It did not acknowledge either. Nothing of the connection is left here; its other UEs are served on.
    pub(super) fn on_reset_timeout(&mut self, assoc: AssocId) {
        self.refused("no-reset-acknowledge");
        if let Some(gnb) = self.gnbs.get_mut(&assoc) {
            gnb.resets = 0;
        }
    }

    /// Closes an association.
    pub(super) fn close(&mut self, assoc: AssocId, why: &str) {
        self.out.push_back(Output::Close { assoc, why: why.to_owned() });
    }
}

/// A name for people.
fn name_of(request: &NgSetupRequest, id: GlobalGnbId) -> String {
    match &request.name {
        Some(name) => name.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect(),
        None => format!("gnb-{:x}", id.id),
    }
}
