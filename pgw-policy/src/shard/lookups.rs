//! What SIMs have asked their resolvers for, and the addresses that they were given: by these a flow is seen to be to one of
//! the names of an app whose names come from look-ups ([`types::NamesFrom::Dns`]).
//!
//! Listened to is a flow over UDP that the UE has opened to a resolver of its data network, where the policy has such an
//! app for its SIM; never another one, so that it costs nothing where there are none. A question for one of the names is
//! noted by its flow, which is to say by SIM, address, resolver and ports, with id, type and the very spelling (0x20). Only
//! an answer that repeats all of it is heard, once, within ten seconds. The packets themselves go on as their flow may,
//! read or not.
//!
//! What was learned narrows: prefix, service and rule have allowed the flow before anybody asks what was looked up. It is
//! kept by SIM, ends with the time that the answer gave it ([`SHORTEST`] to [`LONGEST`]), and goes with the SIM's last session.

use super::{Limits, Session, Shard};
use crate::command::LearnedName;
use crate::compile::{AppIdx, Compiled};
use crate::flow::{Flow, Watch};
use crate::hash::{Keyed, Map};
use crate::inner::{Inner, Transport, UDP};
use std::collections::VecDeque;
use std::net::IpAddr;
use types::{Direction, Imsi, Mono, Now, ServerName, Utc};
use wire::dns::{self, Answer, Question};

/// An answer comes within so many milliseconds.
const PATIENCE: u64 = 10_000;
/// Questions of one flow that wait for their answers; the oldest is forgotten for a newer one.
const ASKED_AT_ONCE: usize = 16;
/// A name holds so long at least, seconds: clients keep what they have looked up for longer than they are told.
pub(super) const SHORTEST: u32 = 60;
/// And at most: no client is known to keep it longer.
pub(super) const LONGEST: u32 = 86_400;
/// Octets in front of what UDP carries.
const UDP_HEADER: usize = 8;
/// Where there is no room, what is too old is looked for so often, milliseconds.
const SWEEP: u64 = 10_000;

/// An address that is one of a name.
#[derive(Debug, Clone)]
struct Learned {
    address: IpAddr,
    name: ServerName,
    resolver: IpAddr,
    since: Utc,
    until: Mono,
}

/// Questions of one flow.
struct Asked {
    sim: u32,
    questions: VecDeque<(Question, Mono)>,
}

/// See the module.
pub(super) struct Lookups {
    /// By flow.
    asked: Map<u32, Asked>,
    /// Flows with questions, by SIM.
    asking: Map<u32, usize>,
    /// By SIM.
    learned: Map<u32, Vec<Learned>>,
    /// Of all SIMs.
    names: usize,
    swept: Mono,
}

impl Lookups {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            asked: Map::with_hasher(keyed),
            asking: Map::with_hasher(keyed),
            learned: Map::with_hasher(keyed),
            names: 0,
            swept: Mono(0),
        }
    }

    /// A question was sent; false where there is no room to wait for its answer.
    fn ask(&mut self, flow: u32, sim: u32, question: Question, now: Mono, limits: &Limits) -> bool {
        if !self.asked.contains_key(&flow) {
            let mine = self.asking.get(&sim).copied().unwrap_or(0);
            if self.asked.len() >= limits.lookups || mine >= limits.lookups_per_sim {
                return false;
            }
            self.asking.insert(sim, mine + 1);
        }
        let asked = self.asked.entry(flow).or_insert_with(|| Asked { sim, questions: VecDeque::new() });
        // Sent again for want of an answer it is the same question.
        asked.questions.retain(|(q, _)| *q != question);
        if asked.questions.len() >= ASKED_AT_ONCE {
            asked.questions.pop_front();
        }
        asked.questions.push_back((question, now));
        true
    }

    /// The SIM that has sent this question through this flow and waits for its answer; it waits no longer.
    fn answered(&mut self, flow: u32, question: &Question, now: Mono) -> Option<u32> {
        let asked = self.asked.get_mut(&flow)?;
        let at = asked.questions.iter().position(|(q, _)| q == question)?;
        let (_, since) = asked.questions.remove(at)?;
        let (sim, empty) = (asked.sim, asked.questions.is_empty());
        if empty {
            self.leave(flow);
        }
        (now.ms_since(since) < PATIENCE).then_some(sim)
    }

    /// A flow is gone, or nobody listens to it any more.
    pub(super) fn leave(&mut self, flow: u32) {
        let Some(gone) = self.asked.remove(&flow) else { return };
        if let Some(n) = self.asking.get_mut(&gone.sim) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.asking.remove(&gone.sim);
            }
        }
    }

    /// An address is one of this name for a SIM from here on; false where there is no room for it.
    fn learn(&mut self, sim: u32, new: Learned, now: Mono, limits: &Limits) -> bool {
        if self.names >= limits.names && now.ms_since(self.swept) >= SWEEP {
            self.sweep(now);
        }
        let is_full = self.names >= limits.names;
        let mine = self.learned.entry(sim).or_default();
        if let Some(known) = mine.iter_mut().find(|l| (l.address, &l.name) == (new.address, &new.name)) {
            *known = Learned { until: known.until.max(new.until), ..new };
            return true;
        }
        if mine.len() >= limits.names_per_sim {
            // What would end first makes room.
            if let Some(first) = mine.iter_mut().min_by_key(|l| l.until) {
                *first = new;
            }
            return true;
        }
        if !is_full {
            mine.push(new);
            self.names += 1;
        }
        !is_full
    }

    /// Forgets what has ended.
    fn sweep(&mut self, now: Mono) {
        self.swept = now;
        self.learned.retain(|_, all| {
            all.retain(|l| now < l.until);
            !all.is_empty()
        });
        self.names = self.learned.values().map(Vec::len).sum();
    }

    /// A SIM is gone.
    pub(super) fn forget(&mut self, sim: u32) {
        self.names -= self.learned.remove(&sim).map_or(0, |all| all.len());
    }

    /// What holds for a SIM at this moment.
    fn of(&self, sim: u32, now: Mono) -> impl Iterator<Item = &Learned> {
        self.learned.get(&sim).into_iter().flatten().filter(move |l| now < l.until)
    }
}

impl Shard {
    /// Is this flow, which is about to open, one that look-ups are learned from?
    pub(super) fn asks_resolver(&self, policy: &Compiled, session: &Session, flow: &Flow) -> bool {
        let to_port =
            flow.opened == Direction::Out && (flow.key.protocol, flow.key.peer_port) == (UDP, dns::PORT);
        to_port
            && policy.has_lookups()
            && policy.resolvers_of(session.ue.into()).contains(&self.peer_of(&flow.key))
            && self.sim(session.sim).is_some_and(|sim| policy.opens_lookups(session.class, &sim.known))
    }

    /// A packet of a flow to a resolver: whatever it says, it goes on.
    #[cold]
    pub(super) fn listen(&mut self, at: u32, packet: &Inner, octets: &[u8], direction: Direction, now: Now) {
        let is_whole = packet.fragment.is_none() && matches!(packet.transport, Transport::Udp { .. });
        let said = octets.get(packet.header + UDP_HEADER..packet.len).filter(|_| is_whole);
        let Some(said) = said else { return };
        match direction {
            Direction::Out => self.hear_question(at, said, now),
            Direction::In => self.hear_answer(at, said, now),
        }
    }

    fn hear_question(&mut self, at: u32, said: &[u8], now: Now) {
        let (Ok(question), Some(policy)) = (dns::question(said), &self.policy) else { return };
        let sim = self.flows.get(at).and_then(|f| self.session(f.session)).map(|s| s.sim);
        let (Some(sim), Some(name)) = (sim, question.name()) else { return };
        if policy.looks_up(&name) && !self.lookups.ask(at, sim, question, now.mono, &self.limits) {
            self.counters.lookups_left_out += 1;
        }
    }

    fn hear_answer(&mut self, at: u32, said: &[u8], now: Now) {
        let Ok(Answer { question, addresses, ttl }) = dns::answer(said) else { return };
        let Some(resolver) = self.flows.get(at).map(|f| self.peer_of(&f.key)) else { return };
        let Some(sim) = self.lookups.answered(at, &question, now.mono) else { return };
        let Some(name) = question.name() else { return };
        let until = now.mono.plus_ms(u64::from(ttl.clamp(SHORTEST, LONGEST)) * 1000);
        for address in addresses {
            let new = Learned { address, name: name.clone(), resolver, since: now.utc, until };
            if self.lookups.learn(sim, new, now.mono, &self.limits) {
                self.counters.names_learned += 1;
            } else {
                self.counters.lookups_left_out += 1;
            }
        }
    }

    /// One of the app's names that this address was looked up for by the SIM.
    pub(super) fn looked_up(
        &self,
        policy: &Compiled,
        app: Option<AppIdx>,
        sim: u32,
        peer: IpAddr,
        now: Mono,
    ) -> Option<ServerName> {
        let mut all = self.lookups.of(sim, now).filter(|l| l.address == peer);
        all.find(|l| policy.lists(app, &l.name)).map(|l| l.name.clone())
    }

    /// What a SIM has looked up, as it holds at this moment.
    pub(super) fn names_of(&self, imsi: Imsi, now: Mono) -> Vec<LearnedName> {
        let Some(&sim) = self.by_imsi.get(&imsi) else { return Vec::new() };
        let told = |l: &Learned| LearnedName {
            name: l.name.clone(),
            address: l.address,
            resolver: l.resolver,
            since: l.since,
            left_ms: l.until.ms_since(now),
        };
        self.lookups.of(sim, now).map(told).collect()
    }

    /// Flows with questions that wait, and names that are kept.
    #[cfg(test)]
    pub(super) fn lookups_held(&self) -> (usize, usize) {
        (self.lookups.asked.len(), self.lookups.names)
    }

    /// Nobody listens to this flow any more, or somebody does.
    pub(super) fn listen_or_not(&mut self, at: u32, policy: &Compiled) {
        let Some(flow) = self.flows.get(at).filter(|f| matches!(f.watch, Watch::No | Watch::Asking)) else {
            return;
        };
        let listens = self.session(flow.session).is_some_and(|s| self.asks_resolver(policy, s, flow));
        if !listens {
            self.lookups.leave(at);
        }
        if let Some(flow) = self.flows.get_mut(at) {
            flow.watch = if listens { Watch::Asking } else { Watch::No };
        }
    }
}
