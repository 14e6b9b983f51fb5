//! May this packet of this session pass? By its flow if it has one, else by the policy; then by its size and the
//! session's rates.

use super::rate::{self, UNMETERED, Way};
use super::{Session, Shard};
use crate::compile::{AppIdx, Compiled, RuleIdx};
use crate::decide::{Asker, Decision, Ruling, decide_for};
use crate::flow::{Flow, FlowKey, Watch};
use crate::inner::{ACK, About, Inner, RST, SYN, Transport, is_icmp};
use crate::predicate::Known;
use crate::record::Denial;
use std::net::IpAddr;
use types::{Direction, Mark, NamesFrom, Now, Reason, Verdict};

/// A packet that was judged and not refused. Small: each packet has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    pub(super) mark: Mark,
    pub(super) fate: Fate,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Pass,
    /// It goes on, and opens a stream that is read: of one path only.
    Open,
    /// It was read and is not sent on.
    Held,
    /// It was the last that was missing: what was held (`Inspections::released`) goes on in its place.
    Release,
}

/// A packet that does not pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    /// What its sender is told.
    pub(super) tell: Tell,
}

/// What the sender of a packet that does not pass is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    /// Nothing.
    Nothing,
    /// That it may not.
    Rejected,
    /// That packets may not be larger than this, octets.
    TooBig(u16),
    /// Where our own page says what is missing for this app.
    Page(AppIdx),
}

/// ICMP echo in [`FlowKey::peer_port`]: who sends the requests.
const UE_ASKS: u16 = 8;
const PEER_ASKS: u16 = 0;

/// The key of a packet that goes in `direction`.
pub(super) fn key_of(packet: &Inner, direction: Direction) -> FlowKey {
    let (src_port, dst_port) = match packet.transport {
        Transport::Tcp { src, dst, .. } | Transport::Udp { src, dst } => (src, dst),
        _ => (0, 0),
    };
    let (ue, peer, ue_port, peer_port) = match direction {
        Direction::Out => (packet.src, packet.dst, src_port, dst_port),
        Direction::In => (packet.dst, packet.src, dst_port, src_port),
    };
    let mut key = FlowKey { ue, peer, ue_port, peer_port, protocol: packet.protocol, six: packet.six };
    if let Transport::Echo { request, id } = packet.transport {
        key.ue_port = id;
        key.peer_port = if request == (direction == Direction::Out) { UE_ASKS } else { PEER_ASKS };
    }
    key
}

/// The key of the flow that an ICMP error is about: a packet that went the other way.
///
/// `routes`: networks lie behind the UE. Whether the flow is of its session is asked where it is found.
fn key_about(packet: &Inner, about: &About, direction: Direction, routes: bool) -> Option<FlowKey> {
    let (ue, peer, ue_port, peer_port) = match direction {
        // The UE complains to whoever sent it a packet, or a router there on behalf of one behind it.
        Direction::Out => {
            (about.src == packet.dst && (routes || about.dst == packet.src)).then_some(())?;
            (about.dst, about.src, about.dst_port, about.src_port)
        }
        // Any router on the way may complain to the UE.
        Direction::In => {
            (about.src == packet.dst).then_some(())?;
            (about.src, about.dst, about.src_port, about.dst_port)
        }
    };
    let mut key = FlowKey { ue, peer, ue_port, peer_port, protocol: about.protocol, six: packet.six };
    if is_icmp(about.protocol) {
        let was_request = about.src_port == 8;
        key.ue_port = about.dst_port;
        key.peer_port = if was_request == (direction == Direction::In) { UE_ASKS } else { PEER_ASKS };
    }
    Some(key)
}

/// True for a packet that may be the first of a flow.
fn may_open(packet: &Inner) -> bool {
    match packet.transport {
        Transport::Tcp { flags, .. } => flags & RST == 0,
        Transport::Echo { request, .. } => request,
        Transport::Other => !is_icmp(packet.protocol),
        Transport::Udp { .. } => true,
        Transport::Error(_) | Transport::Later => false,
    }
}

fn flags_of(packet: &Inner) -> u8 {
    match packet.transport {
        Transport::Tcp { flags, .. } => flags,
        _ => 0,
    }
}

impl Shard {
    /// Judges a packet of `session` that goes this `way`; `between_ues` if the other end is a UE, too. `octets` are the
    /// packet's.
    pub(super) fn judge(
        &mut self,
        session: u32,
        packet: &Inner,
        octets: &[u8],
        way: Way,
        between_ues: bool,
        now: Now,
    ) -> Result<Passed, Refused> {
        let direction = way.direction();
        let flags = flags_of(packet);
        let (at, opened, key) = self.flow_for(session, packet, direction, between_ues, now)?;
        let mut judged = self.afford(session, packet, at, way, now).map(|()| Fate::Pass);
        if judged.is_ok() {
            let watched = self.flows.get(at).filter(|f| f.is_watched(flags)).map(|f| f.watch);
            match watched {
                None => {}
                Some(Watch::Asking) => self.listen(at, packet, octets, direction, now),
                Some(_) => judged = self.watch(at, packet, octets, direction, now),
            }
        }
        let fate = match judged {
            Ok(fate) => fate,
            Err(refused) => {
                if opened {
                    self.forget_flow(at);
                }
                return Err(refused);
            }
        };
        if let Some(f) = packet.fragment.filter(|f| f.begin == 0)
            && !self.fragments.first(packet, &f, key, now.mono)
        {
            return Err(self.deny(session, packet, direction, Reason::Fragment, now));
        }
        let Some(flow) = self.flows.get_mut(at) else { return Ok(Passed { mark: Mark::default(), fate }) };
        flow.count(direction, packet.len, flags, now.mono, now.utc);
        Ok(Passed { mark: flow.mark, fate })
    }

    /// May this packet wait? As [`Shard::judge`], but nothing is charged, counted or opened: that is done when it goes.
    pub(super) fn admit(
        &mut self,
        session: u32,
        packet: &Inner,
        way: Way,
        between_ues: bool,
        now: Now,
    ) -> Result<(), Refused> {
        let (at, opened, _) = self.flow_for(session, packet, way.direction(), between_ues, now)?;
        if opened {
            self.forget_flow(at);
        }
        Ok(())
    }

    /// The flow of a packet that may pass, true if it was opened for it, and its key.
    fn flow_for(
        &mut self,
        session: u32,
        packet: &Inner,
        direction: Direction,
        between_ues: bool,
        now: Now,
    ) -> Result<(u32, bool, FlowKey), Refused> {
        let deny = |shard: &mut Self, reason| Err(shard.deny(session, packet, direction, reason, now));
        let (key, flags) = match packet.transport {
            Transport::Later => {
                let later = packet.fragment.and_then(|f| self.fragments.later(packet, &f, now.mono));
                let Some(key) = later else { return deny(self, Reason::Fragment) };
                (key, 0)
            }
            Transport::Error(about) => match key_about(packet, &about, direction, self.has_routes(session)) {
                Some(key) => (key, 0),
                None => return deny(self, Reason::NoFlow),
            },
            _ => (key_of(packet, direction), flags_of(packet)),
        };
        match self.live_flow(&key, session, flags, direction, now) {
            Some(at) => Ok((at, false, key)),
            None if !may_open(packet) => deny(self, Reason::NoFlow),
            None => Ok((self.open(session, packet, key, direction, between_ues, now)?, true, key)),
        }
    }

    fn has_routes(&self, session: u32) -> bool {
        self.session(session).is_some_and(|s| !s.routes.is_empty())
    }

    /// Have the session and the rule room for this packet of an allowed flow?
    fn afford(&mut self, session: u32, packet: &Inner, flow: u32, way: Way, now: Now) -> Result<(), Refused> {
        let (direction, meter) = (way.direction(), self.flows.get(flow).map_or(UNMETERED, |f| f.meter));
        let fits_rule = meter == UNMETERED || self.rule_meters.has(meter, direction, packet.len, now.mono);
        let Some(s) = self.session_mut(session) else {
            return Err(Refused { reason: Reason::SessionEnded, tell: Tell::Nothing });
        };
        let mtu = s.mtu;
        // Uplink the network behind us says what is too big. What may be cut into pieces goes on whole.
        let too_big = direction == Direction::In && packet.whole && packet.len > usize::from(mtu);
        if !too_big && fits_rule && rate::charge(&mut s.meters, way, packet.len, now.mono) {
            if meter != UNMETERED {
                self.rule_meters.take(meter, direction, packet.len);
            }
            return Ok(());
        }
        let (reason, tell) =
            if too_big { (Reason::TooBig, Tell::TooBig(mtu)) } else { (Reason::RateExceeded, Tell::Nothing) };
        let (app, rule) = self.flows.get(flow).map_or((None, None), |f| (f.app, f.rule));
        let why = (Verdict::Deny, reason, app, rule);
        Err(Refused { tell, ..self.deny_by(session, packet, way.direction(), why, now) })
    }

    /// The flow with this key, unless it is over.
    fn live_flow(
        &mut self,
        key: &FlowKey,
        session: u32,
        flags: u8,
        direction: Direction,
        now: Now,
    ) -> Option<u32> {
        let at = self.flows.find(key)?;
        let flow = self.flows.get(at)?;
        if flow.session != session {
            return None;
        }
        if flow.is_idle(now.mono, &self.limits.idle) {
            self.end_flow(at, Reason::Idle);
            return None;
        }
        // What was read of one connection says nothing about the next.
        let is_read_anew = matches!(flow.watch, Watch::Judged | Watch::Done)
            && direction == Direction::Out
            && flags & (SYN | ACK) == SYN;
        if is_read_anew || flow.is_reopened_by(flags) {
            self.end_flow(at, Reason::Closed);
            return None;
        }
        Some(at)
    }

    /// Asks the policy, and remembers a yes.
    fn open(
        &mut self,
        session: u32,
        packet: &Inner,
        key: FlowKey,
        direction: Direction,
        between_ues: bool,
        now: Now,
    ) -> Result<u32, Refused> {
        let Some(policy) = self.open_policy() else {
            return Err(self.deny(session, packet, direction, Reason::StalePolicy, now));
        };
        let generation = policy.generation();
        let Some(s) = self.session(session) else {
            return Err(Refused { reason: Reason::SessionEnded, tell: Tell::Nothing });
        };
        let mut flow = Flow::new(key, session, direction);
        let verdict = self.decide(policy, s, &flow);
        let refuse = match verdict.verdict {
            Ruling::Allow | Ruling::Inspect => None,
            Ruling::Deny => Some(Verdict::Deny),
            Ruling::Reject => Some(Verdict::Reject),
        };
        if let Some(word) = refuse {
            let by_default = matches!(verdict.reason, Reason::NoRule | Reason::UnknownApp);
            let reason = match direction {
                _ if by_default && between_ues => Reason::UeToUe,
                Direction::In if by_default => Reason::NoFlow,
                _ => verdict.reason,
            };
            let why = (word, reason, verdict.app, verdict.rule);
            let page = self.page_for(&key, direction, &verdict);
            let refused = self.deny_watched(session, packet, direction, why, verdict.would, now);
            return Err(Refused { tell: page.unwrap_or(refused.tell), ..refused });
        }
        let (imsi, sim, limit) = (s.imsi, s.sim, self.limits.flows_per_sim);
        let mut named = None;
        if verdict.verdict == Ruling::Allow && self.asks_resolver(policy, s, &flow) {
            flow.watch = Watch::Asking;
        } else if policy.names_from(verdict.app) == Some(NamesFrom::Dns) && verdict.verdict == Ruling::Inspect
        {
            named = self.looked_up(policy, verdict.app, sim, self.peer_of(&key), now.mono);
            if named.is_none() {
                let why = (Verdict::Reject, Reason::NotLookedUp, verdict.app, verdict.rule);
                return Err(self.deny_by(session, packet, direction, why, now));
            }
            flow.watch = Watch::Named;
        } else if verdict.verdict == Ruling::Inspect {
            // Only the first packet of a connection leads to its first octets. Who sends another learns it at once, and
            // connects anew: after a restart of ours, say.
            let problem = match () {
                () if flags_of(packet) & (SYN | ACK) != SYN || packet.fragment.is_some() => {
                    Some(Reason::NotInspected)
                }
                () if !self.inspections.has_room(sim, &self.limits) => Some(Reason::InspectFull),
                () => None,
            };
            if let Some(reason) = problem {
                let why = (Verdict::Reject, reason, verdict.app, verdict.rule);
                return Err(self.deny_by(session, packet, direction, why, now));
            }
            flow.watch = Watch::Reading;
        }
        let rate = policy.rate_of(verdict.rule);
        flow.mark = policy.mark_of(verdict.app);
        let has_room = self.sim_mut(sim).is_some_and(|s| s.flows < limit);
        (flow.app, flow.rule, flow.generation) = (verdict.app, verdict.rule, generation);
        flow.judged(&verdict);
        flow.start = now.utc;
        let at = if has_room { self.flows.insert(flow) } else { None };
        let Some(at) = at else {
            let why = (Verdict::Deny, Reason::FlowTableFull, verdict.app, verdict.rule);
            return Err(self.deny_by(session, packet, direction, why, now));
        };
        if let Some(s) = self.sim_mut(sim) {
            s.flows += 1;
        }
        if key.six {
            self.sixes.hold(key.ue);
            self.sixes.hold(key.peer);
        }
        let meter = self.rule_meters.join(imsi, verdict.rule, rate);
        if let Some(flow) = self.flows.get_mut(at) {
            flow.meter = meter;
        }
        match named {
            Some(name) => self.inspections.named(at, name),
            None if verdict.verdict == Ruling::Inspect => self.inspections.enter(at, session, sim, now.mono),
            None => {}
        }
        Ok(at)
    }

    /// Writes a denial down that no rule made.
    pub(super) fn deny(
        &mut self,
        session: u32,
        packet: &Inner,
        direction: Direction,
        reason: Reason,
        now: Now,
    ) -> Refused {
        self.deny_by(session, packet, direction, (Verdict::Deny, reason, None, None), now)
    }

    pub(super) fn deny_by(
        &mut self,
        session: u32,
        packet: &Inner,
        direction: Direction,
        why: (Verdict, Reason, Option<AppIdx>, Option<RuleIdx>),
        now: Now,
    ) -> Refused {
        self.deny_watched(session, packet, direction, why, None, now)
    }

    fn deny_watched(
        &mut self,
        session: u32,
        packet: &Inner,
        direction: Direction,
        (verdict, reason, app, rule): (Verdict, Reason, Option<AppIdx>, Option<RuleIdx>),
        would: Option<RuleIdx>,
        now: Now,
    ) -> Refused {
        let tell = if verdict == Verdict::Reject { Tell::Rejected } else { Tell::Nothing };
        let refused = Refused { reason, tell };
        let Some(s) = self.session(session) else { return refused };
        let (imsi, key) = (s.imsi, key_of(packet, direction));
        // The record speaks of the UE by an address that it has, also where a packet claims another.
        let behind = match key.six {
            false => self.is_behind(session, key.ue),
            true => self.is_six_of(session, self.sixes.address(key.ue)),
        };
        let mut key = self.ends(&key);
        if !behind {
            key.ue = s.ue.into();
        }
        let bytes = packet.len;
        let denial = Denial { imsi, direction, key, app, rule, verdict, reason, would, bytes };
        self.records.denied(denial, self.policy.as_deref(), now.mono, now.utc);
        refused
    }

    /// A new policy: every live flow is asked again; those that it denies end.
    pub(super) fn rejudge(&mut self, old: Option<&crate::compile::Compiled>) {
        let Some(policy) = self.policy.clone() else { return };
        let old = old.or(Some(&*policy));
        for at in 0..self.flows.places() {
            self.rejudge_flow(at, old, Reason::PolicyChanged);
        }
    }

    /// Asks about one live flow again; its end is written down in the words of `old`, or of the policy in force, and
    /// because of `why`, if nothing stands above the rules.
    pub(super) fn rejudge_flow(&mut self, at: u32, old: Option<&Compiled>, why: Reason) {
        let Some(policy) = self.policy.clone() else { return };
        let Some(flow) = self.flows.get(at) else { return };
        let Some(s) = self.session(flow.session) else { return };
        let (imsi, sim, watch) = (s.imsi, s.sim, flow.watch);
        let verdict = self.decide(&policy, s, flow);
        let goes_on = match (verdict.verdict, flow.watch) {
            (Ruling::Allow, _) => true,
            // What has begun unread cannot be read any more.
            (Ruling::Inspect, Watch::No | Watch::Asking) => false,
            (Ruling::Inspect, watch) => {
                let by_lookup = policy.names_from(verdict.app) == Some(NamesFrom::Dns);
                let lists = |name| policy.lists(verdict.app, name);
                // What was seen in one way was not seen in the other.
                by_lookup == (watch == Watch::Named)
                    && (watch == Watch::Reading || self.inspections.name(at).is_some_and(lists))
            }
            (Ruling::Deny | Ruling::Reject, _) => false,
        };
        if goes_on {
            let rate = policy.rate_of(verdict.rule);
            if let Some(f) = self.flows.get_mut(at) {
                (f.app, f.rule, f.generation) = (verdict.app, verdict.rule, policy.generation());
                f.judged(&verdict);
                f.mark = policy.mark_of(verdict.app);
                // It joins before it leaves: what it had used up stays so where the rule is the same.
                let before = std::mem::replace(&mut f.meter, self.rule_meters.join(imsi, verdict.rule, rate));
                self.rule_meters.leave(before);
            }
            if (verdict.verdict, watch) == (Ruling::Allow, Watch::Reading) {
                // What was held comes again, as anything that a network lost.
                self.inspections.leave(at, watch);
                if let Some(f) = self.flows.get_mut(at) {
                    f.watch = Watch::No;
                }
            }
            self.listen_or_not(at, &policy);
        } else if let Some((flow, outcome)) = self.take_flow(at) {
            if let Some(s) = self.sim_mut(sim) {
                s.flows = s.flows.saturating_sub(1);
            }
            let reason = match verdict.reason {
                Reason::Quarantined | Reason::GroupInPanic => verdict.reason,
                _ if why != Reason::FactsChanged => why,
                Reason::StepUpNeeded | Reason::RuleQuarantine | Reason::RiskTooHigh => verdict.reason,
                _ if flow.granted => Reason::GrantEnded,
                _ => why,
            };
            let ends = self.ends(&flow.key);
            self.records.ended(imsi, &flow, &ends, reason, outcome, old.or(Some(&*policy)));
        }
    }

    /// Quarantine and panic are read first, where there is anything of them to read.
    fn decide(&self, policy: &Compiled, s: &Session, flow: &Flow) -> Decision {
        let (key, port) = (flow.key, flow.service_port());
        if let Some(decision) = self.judge_service(flow) {
            return decision;
        }
        let (sim, nothing) = (self.sim(s.sim), Known::default());
        let mut asker = Asker::new(s.class, sim.map_or(&nothing, |sim| &sim.known));
        if s.restricted {
            asker.quarantined = sim.is_none_or(|s| s.quarantined);
            asker.panicked = Some(&self.in_panic);
        }
        decide_for(policy, &asker, flow.opened, self.peer_of(&key), key.protocol, port)
    }

    /// Ends the flows to peers that `is_over` names.
    pub(super) fn end_flows_to(&mut self, is_over: impl Fn(&Self, IpAddr) -> bool, reason: Reason) {
        for at in 0..self.flows.places() {
            if self.flows.get(at).is_some_and(|f| is_over(self, self.peer_of(&f.key))) {
                self.end_flow(at, reason);
            }
        }
    }
}
