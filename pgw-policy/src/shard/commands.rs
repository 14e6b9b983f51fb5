//! What changes a shard: sessions, cuts, policies. Always between two batches.

use super::steer::Steer;
use super::teid::{Endpoint, shard_of};
use super::waiting::Waiting;
use super::{Session, Shard, Sim, rate};
use crate::batch::ShardId;
use crate::change::Touched;
use crate::command::{CutReport, ShardCommand, ShardRefusal, ShardReply, ShardStatus};
use crate::compile::{ClassId, Compiled};
use crate::flow::Flow;
use crate::predicate::Known;
use crate::session::{Downlink, SessionSpec, Tunnel, Uplink};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use types::{Imsi, Name, Now, Reason, Seid, Teid, UeIp};

/// Most tunnel endpoints of one session.
const MAX_ENDPOINTS: usize = 64;
/// Octets of a tunnel without its IP header: UDP, and GTP-U with its PDU Session Container.
const TUNNEL: u16 = 8 + 16;

fn tunnels(downlinks: impl Iterator<Item = Downlink>) -> Vec<Tunnel> {
    let tunnel = |d| if let Downlink::Forward { tunnel, .. } = d { Some(tunnel) } else { None };
    let mut all: Vec<Tunnel> = downlinks.filter_map(tunnel).collect();
    all.dedup();
    all
}

impl Shard {
    /// Carries out a command. What it says holds for every later batch.
    pub fn command(&mut self, command: ShardCommand, now: Now) -> ShardReply {
        let reply = self.carry_out(command, now);
        self.sixes.settle(now.mono);
        reply
    }

    fn carry_out(&mut self, command: ShardCommand, now: Now) -> ShardReply {
        match command {
            ShardCommand::Insert(spec) => self.insert(&spec, now),
            ShardCommand::Update { spec, end_marker } => self.update(&spec, end_marker, now),
            ShardCommand::Remove { seid } => self.remove(seid, now),
            ShardCommand::Cut { imsi } => ShardReply::Cut(self.cut(imsi)),
            ShardCommand::Uncut { imsi } => self.uncut(imsi),
            ShardCommand::Quarantine { imsi, on } => self.quarantine(imsi, on),
            ShardCommand::Panic { group, on } => self.panic(group, on),
            ShardCommand::Policy(policy) => self.adopt(policy, now),
            ShardCommand::PolicyChange { policy, touched, reason } => {
                self.adopt_change(policy, &touched, reason, now)
            }
            ShardCommand::Facts { imsi, facts } => self.learn(imsi, facts, now),
            ShardCommand::Close { on } => self.close(on),
            ShardCommand::OwnAddresses(all) => self.own_addresses(&all),
            ShardCommand::Service(service) => {
                self.service = service;
                ShardReply::Done
            }
            ShardCommand::Radios(prefixes) => {
                (self.radios, self.last_radio) = (prefixes, None);
                ShardReply::Done
            }
            ShardCommand::UeOwner { ue, shard } => self.ue_owner(ue, shard),
            ShardCommand::RouteOwner { prefix, shard, on } => {
                match on {
                    true => self.route_owners.insert(prefix, shard),
                    false => self.route_owners.remove(prefix, shard),
                }
                ShardReply::Done
            }
            ShardCommand::Usage { seid } => {
                let at = self.by_seid.get(&seid).copied();
                let session = at.and_then(|at| self.session_mut(at));
                let counted = session.map(|s| s.steer.as_mut().map(|steer| steer.tell()).unwrap_or_default());
                counted.map_or(ShardReply::Refused(ShardRefusal::Unknown), ShardReply::Usage)
            }
            ShardCommand::Names { imsi } => ShardReply::Names(self.names_of(imsi, now.mono)),
            ShardCommand::Status => ShardReply::Status(Box::new(self.status())),
        }
    }

    fn insert(&mut self, spec: &SessionSpec, now: Now) -> ShardReply {
        let count = self.sessions.len() - self.free.len();
        if count >= self.limits.sessions || spec.paths.uplink.len() > MAX_ENDPOINTS {
            return ShardReply::Refused(ShardRefusal::Full);
        }
        let free = |t: &Teid| shard_of(*t, self.shards) == self.id && self.endpoints.is_free(t.value());
        let taken = self.by_seid.contains_key(&spec.seid) || self.by_ue.contains_key(&spec.ue.0);
        if taken || !spec.paths.uplink.iter().all(|(t, _)| free(t)) {
            return ShardReply::Refused(ShardRefusal::InUse);
        }
        let at = self.free.pop().unwrap_or(self.sessions.len() as u32);
        let sim = self.sim_of(spec.imsi);
        let session = Session {
            seid: spec.seid,
            imsi: spec.imsi,
            ue: spec.ue.0,
            routes: Box::default(),
            prefix: spec.prefix,
            advertises: false,
            untold: spec.prefix.is_some(),
            sim,
            class: self.policy.as_ref().map_or(ClassId::NO_GROUPS, |p| p.class_of(spec.imsi)),
            dropped: false,
            restricted: false,
            paged: false,
            waiting: Waiting::default(),
            first: Uplink::DROP,
            more: Vec::new(),
            teids: Vec::new(),
            downlink: spec.paths.downlink,
            radio: radio_of(spec.paths.downlink),
            former: None,
            mtu: self.mtu_of(spec.ue.0),
            meters: rate::meters(&[], &spec.paths.rates, now.mono),
            qfis: spec.paths.qfis,
            last_packet: None,
            steer: Steer::anew(None, &spec.paths),
        };
        match self.sessions.get_mut(at as usize) {
            Some(place) => *place = Some(session),
            None => self.sessions.push(Some(session)),
        }
        self.set_uplinks(at, &spec.paths.uplink);
        self.set_routes(at, &spec.routes);
        if let Some(prefix) = spec.prefix {
            self.by_route.insert(prefix.into(), at);
        }
        self.by_seid.insert(spec.seid, at);
        self.by_ue.insert(spec.ue.0, at);
        if let Some(s) = self.sim_mut(sim) {
            s.sessions.push(at);
        }
        self.learn(spec.imsi, Arc::clone(&spec.facts), now);
        // The revoked set is read after the session is visible, so that no cut can slip between.
        self.restrict(at);
        ShardReply::Inserted { born_dropped: self.mark(at) }
    }

    fn update(&mut self, spec: &SessionSpec, end_marker: bool, now: Now) -> ShardReply {
        let Some(&at) = self.by_seid.get(&spec.seid) else {
            return ShardReply::Refused(ShardRefusal::Unknown);
        };
        let Some(s) = self.session(at) else { return ShardReply::Refused(ShardRefusal::Unknown) };
        let mine = |t: &Teid| s.teids.contains(t);
        let free = |t: &Teid| shard_of(*t, self.shards) == self.id && self.endpoints.is_free(t.value());
        let fits = spec.paths.uplink.len() <= MAX_ENDPOINTS;
        if !fits || !spec.paths.uplink.iter().all(|(t, _)| mine(t) || free(t)) {
            return ShardReply::Refused(ShardRefusal::InUse);
        }
        self.set_uplinks(at, &spec.paths.uplink);
        self.set_routes(at, &spec.routes);
        let grace = self.limits.peer_grace_ms.unwrap_or(0);
        let Some(s) = self.session_mut(at) else { return ShardReply::Refused(ShardRefusal::Unknown) };
        let before = if end_marker { tunnels(s.downlinks()) } else { Vec::new() };
        let old = std::mem::replace(&mut s.downlink, spec.paths.downlink);
        if let Some(radio) = radio_of(s.downlink).filter(|r| s.radio != Some(*r)) {
            s.former = s.radio.map(|former| Box::new((former, now.mono.plus_ms(grace))));
            s.radio = Some(radio);
        }
        s.paged &= s.downlink == Downlink::NoTunnel;
        s.meters = rate::meters(&s.meters, &spec.paths.rates, now.mono);
        s.qfis = spec.paths.qfis;
        s.steer = Steer::anew(s.steer.take(), &spec.paths);
        if end_marker && !s.dropped {
            let now = tunnels(s.downlinks());
            let ended = before.into_iter().filter(|t| !now.contains(t)).map(|t| (t.peer, t.teid));
            self.end_markers.extend(ended);
        }
        if spec.paths.downlink != old && radio_of(spec.paths.downlink).is_some() {
            self.advertise_to(at);
        }
        self.mark(at);
        self.downlink_changed(at);
        ShardReply::Done
    }

    /// Makes `uplinks` the session's tunnel endpoints.
    fn set_uplinks(&mut self, at: u32, uplinks: &[(Teid, Uplink)]) {
        let Some(s) = self.session_mut(at) else { return };
        let old = std::mem::replace(&mut s.teids, uplinks.iter().map(|(t, _)| *t).collect());
        s.first = uplinks.first().map_or(Uplink::DROP, |(_, u)| *u);
        s.more = uplinks.iter().skip(1).map(|(_, u)| *u).collect();
        for t in old {
            self.endpoints.clear(t.value());
        }
        for ((t, _), uplink) in uplinks.iter().zip(0..) {
            self.endpoints.set(t.value(), Endpoint { session: at, uplink });
        }
    }

    /// Makes `routes` the networks behind the session; flows of those that are no longer there end.
    fn set_routes(&mut self, at: u32, routes: &[IpNet]) {
        let Some(s) = self.session_mut(at).filter(|s| *s.routes != *routes) else { return };
        let old = std::mem::replace(&mut s.routes, routes.into());
        let ue = s.ue;
        for net in old {
            self.by_route.remove(net, at);
        }
        for net in routes {
            self.by_route.insert(*net, at);
        }
        for flow in self.flows.of(at) {
            let gone = |f: &Flow| match f.key.six {
                false => f.key.ue != ue && !self.is_behind(at, f.key.ue),
                true => !self.is_six_of(at, self.sixes.address(f.key.ue)),
            };
            if self.flows.get(flow).is_some_and(gone) {
                self.end_flow(flow, Reason::SessionEnded);
            }
        }
    }

    fn remove(&mut self, seid: Seid, now: Now) -> ShardReply {
        let Some(at) = self.by_seid.remove(&seid) else {
            return ShardReply::Refused(ShardRefusal::Unknown);
        };
        while let Some(flow) = self.flows.first_of(at) {
            self.end_flow(flow, Reason::SessionEnded);
        }
        self.forget_waiting(at, Reason::SessionEnded);
        let Some(s) = self.sessions.get_mut(at as usize).and_then(Option::take) else {
            return ShardReply::Refused(ShardRefusal::Unknown);
        };
        self.free.push(at);
        self.by_ue.remove(&s.ue);
        for net in s.routes.iter().copied().chain(s.prefix.map(IpNet::from)) {
            self.by_route.remove(net, at);
        }
        for t in &s.teids {
            self.endpoints.clear(t.value());
            if let Some(radio) = s.radio {
                self.ended.note(*t, s.imsi, radio, now.mono);
            }
        }
        if let Some(sim) = self.sim_mut(s.sim) {
            sim.sessions.retain(|x| *x != at);
            sim.last_packet = sim.last_packet.max(s.last_packet);
        }
        self.forget_sim(s.sim);
        ShardReply::Usage(s.steer.map(|mut steer| steer.tell()).unwrap_or_default())
    }

    /// Sets the drop bit if the SIM is revoked; true if it is.
    fn mark(&mut self, at: u32) -> bool {
        let Some(sim) = self.session(at).map(|s| s.sim) else { return false };
        let revoked = self.sim_mut(sim).is_some_and(|s| s.revoked);
        if let Some(s) = self.session_mut(at) {
            s.dropped |= revoked;
        }
        revoked
    }

    fn sim_of(&mut self, imsi: Imsi) -> u32 {
        if let Some(&at) = self.by_imsi.get(&imsi) {
            return at;
        }
        let sim = Sim {
            imsi,
            revoked: false,
            quarantined: false,
            facts: Arc::default(),
            known: Known::default(),
            flows: 0,
            sessions: Vec::new(),
            last_packet: None,
            dropped: 0,
        };
        let at = self.free_sims.pop().unwrap_or(self.sims.len() as u32);
        match self.sims.get_mut(at as usize) {
            Some(place) => *place = Some(sim),
            None => self.sims.push(Some(sim)),
        }
        self.by_imsi.insert(imsi, at);
        at
    }

    /// Forgets a SIM that has no session here and is not restricted.
    fn forget_sim(&mut self, at: u32) {
        let idle = |s: &&Sim| s.sessions.is_empty() && !s.revoked && !s.quarantined;
        let gone = self.sim(at).filter(idle).map(|s| s.imsi);
        if let Some(imsi) = gone {
            self.by_imsi.remove(&imsi);
            self.lookups.forget(at);
            if let Some(place) = self.sims.get_mut(at as usize) {
                *place = None;
            }
            self.free_sims.push(at);
        }
    }

    /// First the set, then the sessions: a session made in between reads the set.
    fn cut(&mut self, imsi: Imsi) -> CutReport {
        let at = self.sim_of(imsi);
        let Some(sim) = self.sim_mut(at) else { return CutReport::default() };
        sim.revoked = true;
        let (sessions, mut last) = (sim.sessions.clone(), sim.last_packet);
        for &session in &sessions {
            for _ in 0..self.forget_waiting(session, Reason::Banned) {
                self.count_banned(at);
            }
            if let Some(s) = self.session_mut(session) {
                s.dropped = true;
                last = last.max(s.last_packet);
                let seid = s.seid;
                self.cut_sessions.push_back(seid);
                // Of what is held back nothing may be left when the cut is answered.
                self.inspections.forget(session);
            }
        }
        let dropped = self.sim(at).map_or(0, |s| s.dropped);
        CutReport { sessions: sessions.len() as u32, last_packet: last, dropped }
    }

    fn uncut(&mut self, imsi: Imsi) -> ShardReply {
        let Some(&at) = self.by_imsi.get(&imsi) else { return ShardReply::Done };
        // What was still to be ended, ends before anything of it can go on.
        self.end_cut_flows();
        let Some(sim) = self.sim_mut(at) else { return ShardReply::Done };
        sim.revoked = false;
        sim.dropped = 0;
        for session in sim.sessions.clone() {
            if let Some(s) = self.session_mut(session) {
                s.dropped = false;
            }
        }
        self.forget_sim(at);
        ShardReply::Done
    }

    /// First the SIM, then its sessions: a session made in between reads the SIM.
    fn quarantine(&mut self, imsi: Imsi, on: bool) -> ShardReply {
        let at = self.sim_of(imsi);
        let Some(sim) = self.sim_mut(at) else { return ShardReply::Done };
        sim.quarantined = on;
        for session in sim.sessions.clone() {
            self.restrict(session);
            self.rejudge_session(session, Reason::PolicyChanged);
        }
        self.forget_sim(at);
        ShardReply::Done
    }

    fn panic(&mut self, group: Name, on: bool) -> ShardReply {
        if on {
            self.panicked.insert(group);
        } else {
            self.panicked.remove(&group);
        }
        self.restrict_all();
        self.rejudge(None);
        ShardReply::Done
    }

    /// Notes whether quarantine or panic stand above the rules for this session.
    fn restrict(&mut self, at: u32) {
        let Some((sim, class)) = self.session(at).map(|s| (s.sim, s.class)) else { return };
        let quarantined = self.sim(sim).is_some_and(|s| s.quarantined);
        let restricted = match &self.policy {
            Some(policy) => policy.is_restricted(class, quarantined, &self.in_panic),
            None => quarantined,
        };
        if let Some(s) = self.session_mut(at) {
            s.restricted = restricted;
        }
    }

    fn restrict_all(&mut self) {
        self.in_panic = self.policy.as_ref().map(|p| p.panicked(&self.panicked)).unwrap_or_default();
        for at in 0..self.sessions.len() as u32 {
            self.restrict(at);
        }
    }

    fn adopt(&mut self, policy: Arc<Compiled>, now: Now) -> ShardReply {
        // Denials so far are named by the policy that made them.
        self.records.flush(self.policy.as_deref(), now.mono, true);
        let old = self.policy.replace(Arc::clone(&policy));
        let name = |rule| old.as_ref().and_then(|old| old.rule_name(rule));
        self.rule_meters.renumber(|rule| name(rule).and_then(|n| policy.rule_named(n)));
        let room = self.tunnel_room();
        for s in self.sessions.iter_mut().flatten() {
            s.class = policy.class_of(s.imsi);
            s.mtu = room.min(policy.mtu_of(s.ue.into()).unwrap_or(u16::MAX));
        }
        self.know_all(now);
        self.restrict_all();
        self.rejudge(old.as_deref());
        ShardReply::Done
    }

    /// What was gathered of denials stays: the rules that it cites keep their names.
    fn adopt_change(
        &mut self,
        policy: Arc<Compiled>,
        touched: &Touched,
        reason: Reason,
        now: Now,
    ) -> ShardReply {
        let old = self.policy.replace(Arc::clone(&policy));
        // What rules asked about before has kept its bits: flows that are not touched need not be asked again.
        if old.is_none_or(|old| !old.asks_as(&policy)) {
            self.know_all(now);
        }
        for imsi in touched.sims() {
            let sim = self.by_imsi.get(&imsi).and_then(|at| self.sim(*at));
            for at in sim.map(|s| s.sessions.clone()).unwrap_or_default() {
                if let Some(s) = self.session_mut(at) {
                    s.class = policy.class_of(imsi);
                }
                self.restrict(at);
                self.rejudge_session(at, reason);
            }
        }
        for at in 0..if touched.touches_classes() { self.sessions.len() as u32 } else { 0 } {
            if self.session(at).is_some_and(|s| touched.touches(s.class)) {
                self.rejudge_session(at, reason);
            }
        }
        ShardReply::Done
    }

    pub(super) fn rejudge_session(&mut self, at: u32, reason: Reason) {
        for flow in self.flows.of(at) {
            self.rejudge_flow(flow, None, reason);
        }
    }

    /// Largest inner packet that N3 has room for.
    fn tunnel_room(&self) -> u16 {
        let ip = if self.n3.is_ipv4() { 20 } else { 40 };
        self.limits.n3_mtu.saturating_sub(TUNNEL + ip)
    }

    /// The data network's MTU, as far as N3 has room for it.
    fn mtu_of(&self, ue: Ipv4Addr) -> u16 {
        let told = self.policy.as_ref().and_then(|p| p.mtu_of(ue.into()));
        self.tunnel_room().min(told.unwrap_or(u16::MAX))
    }

    fn close(&mut self, on: bool) -> ShardReply {
        self.closed = on;
        if on {
            self.end_flows_to(|_, _| true, Reason::StalePolicy);
        }
        ShardReply::Done
    }

    fn own_addresses(&mut self, all: &[IpAddr]) -> ShardReply {
        self.ours.clear();
        self.ours6.clear();
        for a in all {
            match a {
                IpAddr::V4(a) => _ = self.ours.insert(*a, ()),
                IpAddr::V6(a) => _ = self.ours6.insert(*a, ()),
            }
        }
        let is_ours = |shard: &Self, peer| match peer {
            IpAddr::V4(a) => shard.ours.contains_key(&a),
            IpAddr::V6(a) => shard.ours6.contains_key(&a),
        };
        self.end_flows_to(is_ours, Reason::OwnAddress);
        ShardReply::Done
    }

    fn ue_owner(&mut self, ue: UeIp, shard: Option<ShardId>) -> ShardReply {
        match shard {
            None => {
                self.owners.remove(&ue.0);
            }
            Some(shard) => {
                self.owners.insert(ue.0, shard);
                let (low, high): (Ipv4Addr, Ipv4Addr) = self.ue_span;
                self.ue_span = (low.min(ue.0), high.max(ue.0));
            }
        }
        ShardReply::Done
    }

    fn status(&self) -> ShardStatus {
        ShardStatus {
            counters: self.counters.clone(),
            sessions: self.by_seid.len(),
            flows: self.flows.len(),
            revoked: self.sims.iter().flatten().filter(|s| s.revoked).count(),
            policy: self.policy.as_ref().map(|p| p.generation()),
        }
    }
}

fn radio_of(downlink: Downlink) -> Option<IpAddr> {
    match downlink {
        Downlink::Forward { tunnel, .. } => Some(tunnel.peer),
        Downlink::Wait | Downlink::NoTunnel | Downlink::Drop => None,
    }
}
