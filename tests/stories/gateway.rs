//! The gateway process: PFCP node, shards, the revoked set with its journal; wired as the product does, with the
//! rings between its threads as channels.

use crate::control::ToControl;
use crate::site;
use crate::world::{Channel, Flight, World};
use pgw_policy::Compiled;
use pgw_policy::batch::{Batch, BatchSize, Origin, ShardId, To};
use pgw_policy::book::Book;
use pgw_policy::command::{CutReport, ShardCommand, ShardEvent, ShardReply};
use pgw_policy::counters::Counters;
use pgw_policy::n4::{N4, N4Config, N4Output, Peer, Token};
use pgw_policy::shard::{Limits, Shard, ShardConfig};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use types::*;
use wire::gtpu::MessageType;

/// Shards of the gateway.
pub const SHARDS: u8 = 2;

/// What control says to the gateway.
pub enum ToGateway {
    N4(Vec<u8>),
    Policy(Arc<Compiled>),
    Facts(Imsi, Box<SimFacts>),
    Cut { imsi: Imsi, state: SimState },
    Uncut { imsi: Imsi },
    Routes(Vec<FramedRoute>),
    Restrict(Restriction),
    Lift(Restriction),
}

/// What is left of a SIM's or a group's rights.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restriction {
    /// The remediation apps of its groups.
    Quarantine(Imsi),
    /// Its emergency apps.
    Panic(Name),
}

impl Restriction {
    fn command(&self, on: bool) -> ShardCommand {
        match self {
            Self::Quarantine(imsi) => ShardCommand::Quarantine { imsi: *imsi, on },
            Self::Panic(group) => ShardCommand::Panic { group: group.clone(), on },
        }
    }
}

/// What a shard's answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticket {
    N4(Token),
    Policy(u64),
    /// Nobody waits for it.
    Nobody,
}

/// See the module.
pub struct Gateway {
    pub n4: N4,
    pub shards: Vec<Shard>,
    batch: Batch,
    /// Policies under way, each with its generation and the answers that are missing.
    missing: BTreeMap<u64, (u64, usize)>,
    next_ticket: u64,
    /// Generation of the newest policy that came.
    generation: u64,
    policy: Arc<Compiled>,
    /// What is known of the SIMs.
    pub book: Book,
}

/// What the gateway wrote to a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    N6(Vec<u8>),
    N3(IpAddr, Vec<u8>),
}

impl Gateway {
    fn new(now: Now, n3: IpAddr, seeds: [[u8; 32]; 3]) -> Self {
        let config = N4Config {
            node: n3,
            n3,
            peers: vec![site::SMF.into()],
            radios: vec!["172.16.1.0/24".parse().unwrap()],
            shards: SHARDS,
            max_sessions: 1_000,
        };
        let limits = Limits { sessions: 1_000, flows: 8_192, flows_per_sim: 512, ..Limits::default() };
        let shard = |id: u8| {
            let config = ShardConfig { id: ShardId(id), shards: SHARDS, n3, limits: limits.clone() };
            let mut s = Shard::new(config, seeds[usize::from(id) + 1]);
            s.command(
                ShardCommand::Radios(vec![
                    "172.16.1.0/24".parse().unwrap(),
                    "fd00:16:1::/48".parse().unwrap(),
                ]),
                now,
            );
            let own = [site::own_addresses(), vec![n3]].concat();
            s.command(ShardCommand::OwnAddresses(own), now);
            s
        };
        let size = BatchSize { received: 1 << 16, made: 1 << 14, packets: 64 };
        Self {
            n4: N4::new(config, now, seeds[0]),
            shards: (0..SHARDS).map(shard).collect(),
            batch: Batch::new(size),
            missing: BTreeMap::new(),
            next_ticket: 0,
            generation: 0,
            policy: Arc::new(Compiled::empty()),
            book: Book::default(),
        }
    }

    /// Counters of all shards.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::new();
        self.shards.iter().for_each(|s| sum.add(s.counters()));
        sum
    }

    /// Sessions and flows in all shards.
    pub fn held(&mut self, now: Now) -> (usize, usize) {
        let mut sum = (0, 0);
        for s in &mut self.shards {
            let ShardReply::Status(status) = s.command(ShardCommand::Status, now) else { panic!() };
            sum = (sum.0 + status.sessions, sum.1 + status.flows);
        }
        sum
    }

    /// One packet through the shards, from the one whose socket got it to its end.
    fn packet(&mut self, first: u8, origin: Origin, octets: &[u8], now: Now) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut todo = VecDeque::from([(first, origin, octets.to_vec())]);
        while let Some((shard, origin, octets)) = todo.pop_front() {
            self.batch.clear();
            assert!(self.batch.push(origin, &octets));
            self.shards[usize::from(shard)].on_batch(&mut self.batch, now);
            for o in self.batch.outputs() {
                let octets = self.batch.bytes(o.piece).to_vec();
                match o.to {
                    To::Service => panic!("there is no page: {octets:?}"),
                    To::N6 => sent.push(Sent::N6(octets)),
                    To::N3 { peer } => sent.push(Sent::N3(peer.ip(), octets)),
                    To::Shard { shard, origin } => todo.push_back((shard.0, origin, octets)),
                }
            }
        }
        sent
    }
}

impl World {
    /// The gateway process starts: the journal is read before anything else.
    pub fn gateway_starts(&mut self) {
        let seeds = [self.seed(), self.seed(), self.seed()];
        let mut g = Gateway::new(self.now, self.n3, seeds);
        for &imsi in self.journal.keys() {
            g.n4.revoke(imsi, true);
            for s in &mut g.shards {
                s.command(ShardCommand::Cut { imsi }, self.now);
            }
        }
        for r in &self.restrictions {
            for s in &mut g.shards {
                s.command(r.command(true), self.now);
            }
        }
        self.gateway = Some(g);
        self.link_up();
    }

    /// The gateway process dies; with it all sessions, flows and what was on its way to it or from it.
    pub fn gateway_dies(&mut self) {
        self.gateway = None;
        let is = |c| {
            matches!(
                c,
                Channel::LinkUrgent
                    | Channel::LinkDown
                    | Channel::LinkUp
                    | Channel::Ring(_)
                    | Channel::Answers
            )
        };
        self.lose(is);
        self.link_down();
    }

    /// The gateway, which is there.
    pub fn gw(&mut self) -> &mut Gateway {
        self.gateway.as_mut().expect("the gateway runs")
    }

    pub(crate) fn poll_n4(&mut self) -> bool {
        let Some(o) = self.gateway.as_mut().and_then(|g| g.n4.poll_output()) else { return false };
        match o {
            N4Output::Send { peer: Peer::Local, bytes, .. } => self.tell_control(ToControl::N4(bytes)),
            N4Output::Send { peer: Peer::Udp(_), bytes, .. } => self.lte.told.push(bytes),
            N4Output::Ask(ask) => self.foreign_asked(&ask),
            N4Output::Foreign { .. } | N4Output::Smf { .. } => {}
            N4Output::Command { token, shard, mut command } => {
                if let (ShardCommand::Insert(spec), Some(g)) = (&mut command, &self.gateway) {
                    spec.facts = g.book.of(spec.imsi);
                }
                self.post(Channel::Ring(shard.0), Flight::Order { ticket: Ticket::N4(token), command });
            }
        }
        true
    }

    pub(crate) fn gateway_hears(&mut self, m: ToGateway) {
        let now = self.now;
        let Some(g) = &mut self.gateway else { return };
        match m {
            ToGateway::N4(bytes) => g.n4.handle(Peer::Local, &bytes, now),
            // An older one than is in force is refused.
            ToGateway::Policy(p) if p.generation() < g.generation => {}
            ToGateway::Policy(p) => {
                g.generation = p.generation();
                g.policy = Arc::clone(&p);
                g.book.judge_by(&p, now.utc);
                g.next_ticket += 1;
                g.missing.insert(g.next_ticket, (p.generation(), g.shards.len()));
                let ticket = Ticket::Policy(g.next_ticket);
                for s in 0..SHARDS {
                    let command = ShardCommand::Policy(Arc::clone(&p));
                    self.post(Channel::Ring(s), Flight::Order { ticket, command });
                }
            }
            ToGateway::Facts(imsi, facts) => {
                if g.book.learn(imsi, *facts, &g.policy, now.utc) {
                    self.tell_shards(imsi);
                }
            }
            ToGateway::Cut { imsi, state } => self.cut(imsi, state),
            ToGateway::Routes(all) => g.n4.set_routes(all),
            ToGateway::Restrict(r) => {
                g.shards.iter_mut().for_each(|s| drop(s.command(r.command(true), now)));
                self.restrictions.insert(r);
            }
            ToGateway::Lift(r) => {
                self.restrictions.remove(&r);
                g.shards.iter_mut().for_each(|s| drop(s.command(r.command(false), now)));
            }
            ToGateway::Uncut { imsi } => {
                self.journal.remove(&imsi);
                self.cut.remove(&imsi);
                g.n4.revoke(imsi, false);
                for s in &mut g.shards {
                    s.command(ShardCommand::Uncut { imsi }, now);
                }
                self.tell_control(ToControl::UncutDone { imsi });
            }
        }
    }

    /// A session that Gx knows is granted, with the address that it has there.
    fn foreign_asked(&mut self, ask: &ForeignAsk) {
        let now = self.now;
        let is_its = |s: &hss::gx::Session| s.addresses.ipv4.map(UeIp) == ask.ip && ask.ip.is_some();
        let known = self.control.as_ref().is_some_and(|c| c.gx.sessions_of(ask.imsi).any(is_its));
        let grant = ask.ip.filter(|_| known).map(|ip| ForeignGrant { ip, prefix: None });
        self.gw().n4.answered(ask.id, grant.ok_or(ForeignRefusal::NotAttached), now);
    }

    fn tell_shards(&mut self, imsi: Imsi) {
        let Some(g) = &self.gateway else { return };
        let facts = g.book.of(imsi);
        for shard in g.n4.shards_of(imsi) {
            let command = ShardCommand::Facts { imsi, facts: Arc::clone(&facts) };
            self.post(Channel::Ring(shard.0), Flight::Order { ticket: Ticket::Nobody, command });
        }
    }

    /// What is known of SIMs and has run out, or begun.
    pub(crate) fn turn_facts(&mut self) {
        let now = self.now.utc;
        let Some(g) = &mut self.gateway else { return };
        let due = g.book.due(&g.policy, now);
        due.into_iter().for_each(|imsi| self.tell_shards(imsi));
    }

    /// First every shard, ahead of the orders that wait in its ring; then the journal; then the answer.
    fn cut(&mut self, imsi: Imsi, state: SimState) {
        let now = self.now;
        let Some(g) = &mut self.gateway else { return };
        g.n4.revoke(imsi, true);
        for s in &mut g.shards {
            assert!(matches!(s.command(ShardCommand::Cut { imsi }, now), ShardReply::Cut(_)));
        }
        self.journal.insert(imsi, state);
        self.cut.insert(imsi);
        self.tell_control(ToControl::CutDone { imsi, state });
    }

    /// What the shards did with a SIM's packets since its cut.
    pub fn trace(&mut self, imsi: Imsi) -> CutReport {
        let now = self.now;
        let mut sum = CutReport::default();
        for s in &mut self.gw().shards {
            let ShardReply::Cut(r) = s.command(ShardCommand::Cut { imsi }, now) else { panic!() };
            sum.sessions += r.sessions;
            sum.dropped += r.dropped;
            sum.last_packet = sum.last_packet.max(r.last_packet);
        }
        sum
    }

    pub(crate) fn order(&mut self, shard: ShardId, ticket: Ticket, command: ShardCommand) {
        let now = self.now;
        let Some(g) = &mut self.gateway else { return };
        let reply = g.shards[usize::from(shard.0)].command(command, now);
        self.post(Channel::Answers, Flight::Answer { ticket, reply });
        self.turn(shard);
    }

    /// A turn of a shard without anything received: End Markers and packets that waited go out.
    fn turn(&mut self, shard: ShardId) {
        let now = self.now;
        let Some(g) = &mut self.gateway else { return };
        g.batch.clear();
        g.shards[usize::from(shard.0)].on_batch(&mut g.batch, now);
        let of = |o: &pgw_policy::batch::Output| match o.to {
            To::N3 { peer } => (peer.ip(), g.batch.bytes(o.piece).to_vec()),
            other => panic!("nothing of this waits: {other:?}"),
        };
        let sent: Vec<_> = g.batch.outputs().iter().map(of).collect();
        for (peer, octets) in sent {
            self.comes_late(peer, &octets);
        }
        self.news();
    }

    pub(crate) fn answered(&mut self, ticket: Ticket, reply: ShardReply) {
        let now = self.now;
        let Some(g) = &mut self.gateway else { return };
        match ticket {
            Ticket::N4(token) => g.n4.confirmed(token, reply, now),
            Ticket::Nobody => {}
            Ticket::Policy(n) => {
                let (generation, missing) = g.missing.get_mut(&n).expect("a policy that was given");
                *missing -= 1;
                if *missing == 0 {
                    let generation = *generation;
                    self.tell_control(ToControl::PolicyDone { generation });
                }
            }
        }
    }

    fn tell_control(&mut self, m: ToControl) {
        self.post(Channel::LinkUp, Flight::ToControl(m));
    }

    /// A datagram from a radio, got by shard 0's socket.
    pub(crate) fn at_n3(&mut self, from: impl Into<IpAddr>, octets: &[u8]) -> Vec<Sent> {
        self.traffic(0, Origin::N3 { from: (from.into(), wire::gtpu::PORT).into() }, octets)
    }

    /// A packet from the company, got by the last shard's queue.
    pub(crate) fn at_n6(&mut self, octets: &[u8]) -> Vec<Sent> {
        self.traffic(SHARDS - 1, Origin::N6 { handed: false }, octets)
    }

    fn traffic(&mut self, first: u8, origin: Origin, octets: &[u8]) -> Vec<Sent> {
        let now = self.now;
        let Some(g) = &mut self.gateway else { return Vec::new() };
        let mut sent = g.packet(first, origin, octets, now);
        // End Markers of an earlier change go out with whatever comes next.
        sent.retain(|s| !matches!(s, Sent::N3(_, d) if d.get(1) == Some(&MessageType::EndMarker.0)));
        self.news();
        sent
    }

    pub(crate) fn tick_shards(&mut self) {
        let now = self.now;
        let Some(g) = &mut self.gateway else { return };
        for _ in 0..20 {
            for s in &mut g.shards {
                g.batch.clear();
                s.on_tick(&mut g.batch, now);
                assert!(g.batch.outputs().iter().all(|o| matches!(o.to, To::N3 { .. })), "End Markers only");
            }
        }
        self.news();
    }

    /// What the shards tell unasked.
    fn news(&mut self) {
        let now = self.now;
        let mut used = Vec::new();
        let Some(g) = &mut self.gateway else { return };
        for s in &mut g.shards {
            while let Some(e) = s.poll_event() {
                if let ShardEvent::EndedTunnelUsed { imsi, teid, radio } = e {
                    used.push(ToControl::EndedTunnelUsed { imsi, teid, radio });
                }
                g.n4.event(e, now);
            }
            self.records.extend(std::iter::from_fn(|| s.poll_record()));
        }
        used.into_iter().for_each(|m| self.tell_control(m));
    }
}
