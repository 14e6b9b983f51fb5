//! After a restart of either side: sessions that the gateway has lost are made anew with the tunnels that
//! they had, sessions that we have forgotten are adopted (TS 23.527 §4.2, §4.3 for the thought).

use super::super::{Amf, Output};
use super::n4::Purpose;
use super::{Session, State, UpEnd};
use std::collections::BTreeSet;
use types::{GatewaySession, Happening, PduSessionId, Seid, SessionAddress, Supi};
use wire::nas::fgs::PduSessionType;

/// What becomes of a session that the gateway holds.
enum Fate {
    /// We hold it too.
    Ours,
    /// We ended it while the gateway was away.
    Ended,
    /// Its UE has begun anew with us, without it.
    Stale,
    /// It was we who forgot it.
    Forgotten,
}

impl Amf {
    /// Compares what the gateway holds with what we hold.
    pub(super) fn reconcile(&mut self, held: Vec<GatewaySession>) {
        let mut seen = BTreeSet::new();
        let before = std::mem::take(&mut self.smf.adopted);
        for g in held {
            match self.fate(&g, before.contains_key(&(g.supi, g.pdu_session_id))) {
                Fate::Ours => {
                    seen.insert(g.cp_seid);
                    self.told_again(&g);
                }
                Fate::Ended => self.n4_delete(g.cp_seid, g.up_seid),
                Fate::Stale => {
                    self.n4_delete(g.cp_seid, g.up_seid);
                    if !self
                        .registry
                        .ue(g.supi)
                        .is_some_and(|ue| ue.sessions.values().any(|s| s.dnn == g.dnn))
                    {
                        self.adopted_is_over(&g);
                    }
                }
                Fate::Forgotten => self.adopt(g),
            }
        }
        for (key, g) in before {
            if !self.smf.adopted.contains_key(&key) {
                self.readopt(g);
            }
        }
        self.smf.keep_buried_that_are_being_deleted();
        self.restore_all_but(&seen);
    }

    fn fate(&self, g: &GatewaySession, was_adopted: bool) -> Fate {
        let mine = self.session(g.supi, g.pdu_session_id);
        if mine.is_some_and(|s| s.seid == g.cp_seid && s.up.is_some()) {
            Fate::Ours
        } else if self.smf.is_buried(g.cp_seid) {
            Fate::Ended
        } else if self.registry.ue(g.supi).is_some() && !was_adopted {
            Fate::Stale
        } else {
            Fate::Forgotten
        }
    }

    /// Its UE has as long to come back as an idle one.
    fn adopt(&mut self, g: GatewaySession) {
        if self.registry.ue(g.supi).is_none() {
            self.now_idle(g.supi);
        }
        self.smf.adopted.insert((g.supi, g.pdu_session_id), g);
    }

    /// What we had only adopted and the gateway has lost is made anew as the gateway had told us: both ends of its
    /// tunnels, so that its UE, which has not spoken since, notices nothing.
    fn readopt(&mut self, g: GatewaySession) {
        let (supi, id, seid) = (g.supi, g.pdu_session_id, g.cp_seid);
        match self.reestablishment(&g) {
            Some(request) if self.session(supi, id).is_none() && !self.smf.is_buried(seid) => {
                self.smf.adopted.insert((supi, id), g);
                self.n4_request(Some(Seid(0)), request.into(), Purpose::Restore { supi, id, seid });
            }
            _ => self.adopted_is_over(&g),
        }
    }

    /// The gateway made an adopted session anew, or could not. False where it is not one of these.
    pub(super) fn on_readopted(&mut self, key: (Supi, PduSessionId), seid: Seid, up: Option<Seid>) -> bool {
        match (self.smf.adopted.get_mut(&key).filter(|g| g.cp_seid == seid), up) {
            (None, _) => return false,
            (Some(g), Some(up)) => g.up_seid = up,
            (Some(_), None) => {
                self.refused("n4-establishment");
                if let Some(g) = self.smf.adopted.remove(&key) {
                    self.adopted_is_over(&g);
                }
            }
        }
        true
    }

    /// Makes our sessions anew that the gateway has lost, each with the tunnel endpoint that its gNB knows.
    fn restore_all_but(&mut self, seen: &BTreeSet<Seid>) {
        let lost: Vec<(Supi, PduSessionId, Seid)> = self
            .registry
            .ues()
            .flat_map(|ue| ue.sessions.values().map(move |s| (ue.supi, s)))
            .filter(|(_, s)| s.up.is_some() && !seen.contains(&s.seid))
            .map(|(supi, s)| (supi, s.id, s.seid))
            .collect();
        for (supi, id, seid) in lost {
            match self.establishment(supi, id) {
                Some(request) => {
                    self.n4_request(Some(Seid(0)), request.into(), Purpose::Restore { supi, id, seid });
                }
                None => self.lose_session(supi, id),
            }
        }
    }

    /// A session that both sides have: its downlink is set once more, because a change may have been lost.
    fn told_again(&mut self, g: &GatewaySession) {
        let (supi, id) = (g.supi, g.pdu_session_id);
        let Some(s) = self.session_mut(supi, id) else { return };
        if let Some(up) = &mut s.up {
            up.seid = g.up_seid;
        }
        match s.state {
            State::Active | State::ExpectN4Forwarding => self.n4_forward(supi, id),
            State::Idle => self.n4_idle(supi, id),
            _ => {}
        }
        self.n4_rates(supi, id);
    }

    /// The gateway made a session anew, or could not.
    pub(super) fn on_restored(&mut self, supi: Supi, id: PduSessionId, seid: Seid, up: Option<Seid>) {
        if self.on_readopted((supi, id), seid, up) {
            return;
        }
        match (self.is_current(supi, id, seid), up) {
            (true, Some(up)) => {
                if let Some(end) = self.session_mut(supi, id).and_then(|s| s.up.as_mut()) {
                    end.seid = up;
                }
                // The radio may have come or gone meanwhile.
                match self.session(supi, id).map(|s| &s.state) {
                    Some(State::Idle) => self.n4_idle(supi, id),
                    Some(State::Active | State::ExpectN4Forwarding) => self.n4_forward(supi, id),
                    _ => {}
                }
            }
            (true, None) => {
                self.refused("n4-establishment");
                self.lose_session(supi, id);
            }
            (false, Some(up)) => self.n4_delete(seid, up),
            (false, None) => {}
        }
    }

    /// A UE that still holds a session which we had forgotten: it is its own again, without radio for now.
    pub(super) fn take_over(&mut self, supi: Supi, id: PduSessionId) {
        let Some(n3) = self.config.n3_address else { return };
        let Some(ue) = self.registry.ue_mut(supi).filter(|ue| !ue.sessions.contains_key(&id)) else { return };
        let Some(slice) = ue.allowed.first().copied() else { return };
        let Some(g) = self.smf.adopted.remove(&(supi, id)) else { return };
        let session = Session {
            id,
            pti: 0,
            dnn: g.dnn,
            slice,
            wanted: if g.prefix.is_some() { PduSessionType::IPV4V6 } else { PduSessionType::IPV4 },
            epco: None,
            address: Some(SessionAddress { ip: g.ip, prefix: g.prefix, dns: Vec::new(), mtu: 0 }),
            seid: g.cp_seid,
            up: Some(UpEnd { seid: g.up_seid, teid: g.teid, n3 }),
            radio: None,
            announced: true,
            told: None,
            changing: None,
            state: State::Idle,
        };
        ue.sessions.insert(id, Box::new(session));
        self.n4_idle(supi, id);
    }

    /// Ends all adopted sessions of a SIM.
    pub(in crate::nr) fn end_adopted(&mut self, supi: Supi) {
        self.end_adopted_where(supi, |_| true);
    }

    /// Ends some adopted sessions of a SIM.
    pub(in crate::nr) fn end_adopted_where(&mut self, supi: Supi, is: impl Fn(&GatewaySession) -> bool) {
        let ids: Vec<PduSessionId> =
            self.smf.adopted_of(supi).filter(|g| is(g)).map(|g| g.pdu_session_id).collect();
        for id in ids {
            if let Some(g) = self.smf.adopted.remove(&(supi, id)) {
                self.n4_delete(g.cp_seid, g.up_seid);
                self.adopted_is_over(&g);
            }
        }
    }

    fn adopted_is_over(&mut self, g: &GatewaySession) {
        let (supi, dnn, id) = (g.supi, g.dnn.clone(), g.pdu_session_id);
        let what = Happening::SessionDown { id, dnn: dnn.clone(), ip: g.ip };
        self.event(Some(supi.imsi()), what);
        self.out.push_back(Output::ReleaseAddress { supi, dnn, id });
    }
}
