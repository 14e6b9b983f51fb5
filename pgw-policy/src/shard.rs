//! One shard of the user plane: sessions, flows, and the walk of a packet (DESIGN §3).
//!
//! A shard is owned by one thread. The thread puts what it received into a [`Batch`], calls
//! [`Shard::on_batch`], sends the batch's outputs, and between batches carries out commands. Nothing is
//! allocated on the way of a packet of an established flow.
//!
//! The walk, in this order, for a packet from N3: GTP-U header → session of the TEID (another shard's
//! TEID: handed over) → drop bit of the SIM → outer source is an admitted radio's (the one that serves the UE,
//! where that is asked for) → the session's own
//! rules (PDR, FAR, gate) → inner header → inner source is the session's address or of a network behind it → inner
//! destination is not ours and not special (but for our own page, `service`) → flow, or the policy's decision → MTU → rates → the beginning of its stream,
//! where the app has names (`inspect`) → N6, or round to another UE. From N6:
//! inner header → session of the destination → drop bit → flow, or an `in` rule → MTU → rates → downlink tunnel → N3.
//! For an idle UE a packet waits behind the flow's or the rule's yes, and walks anew when the UE is back.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod commands;
mod downlink;
mod ended;
mod fragment;
mod inspect;
mod judge;
mod known;
mod limiter;
mod lookups;
mod mark;
mod mss;
mod prefixes;
pub(crate) mod rate;
mod service;
mod six;
mod steer;
pub(crate) mod teid;
#[cfg(test)]
pub(crate) mod tests;
mod uplink;
mod waiting;

pub use crate::flow::IdleTimes;
pub use crate::record::RecordLimits;
pub use teid::{MAX_SHARDS, shard_of};

use crate::batch::{Batch, Input, Origin, Piece, ShardId, To};
use crate::command::ShardEvent;
use crate::compile::{ClassId, Compiled};
use crate::counters::Counters;
use crate::flow::FlowKey;
use crate::flow::{Flow, FlowTable, Watch};
use crate::hash::{Keyed, Map};
use crate::inner::{Inner, Transport};
use crate::inner6::{Six, is_six};
use crate::predicate::Known;
use crate::record::{Ends, Outcome, Records};
use crate::restrict::Panicked;
use crate::service::Service;
use crate::session::{Downlink, Uplink};
use crate::sixes::Sixes;
use ended::EndedTunnels;
use fragment::Fragments;
use inspect::Inspections;
use ipnet::{IpNet, Ipv6Net};
use limiter::Limiter;
use lookups::Lookups;
use prefixes::Prefixes;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rate::{Meter, RuleMeters};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use steer::Steer;
use teid::Endpoints;
use types::{Direction, FlowRecord, Imsi, Mono, Name, Now, Reason, Seid, SimFacts, Teid, Utc};
use waiting::Waiting;

/// How long a packet may wait for an idle UE as a rule, milliseconds.
pub(crate) const WAITING_MS: u64 = 20_000;

/// Bounds and timers of a shard.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sessions in a shard.
    pub sessions: usize,
    /// Flows in a shard.
    pub flows: usize,
    /// Flows of one SIM.
    pub flows_per_sim: u32,
    /// Fragmented packets under way at a time.
    pub fragments: usize,
    /// Answers of ours of each kind (echo, error indication, reset, "fragmentation needed") per second.
    pub answers_per_second: u32,
    /// Largest IP packet that N3 carries, octets.
    pub n3_mtu: u16,
    /// With a value, packets of a UE that has a downlink tunnel are taken only from the radio that it leads to, and
    /// for so many milliseconds after a handover from the former one, too. Without, from every admitted radio.
    pub peer_grace_ms: Option<u64>,
    /// Streams whose beginnings are read at a time.
    pub streams: usize,
    /// The same of one SIM.
    pub streams_per_sim: u32,
    /// Octets of all of them together that are kept meanwhile.
    pub stream_octets: usize,
    /// How long a stream may take until its beginning is read, and confirmed by the server, milliseconds.
    pub stream_ms: u64,
    /// Flows to resolvers with questions that wait for their answers, where answers are learned from.
    pub lookups: usize,
    /// The same of one SIM.
    pub lookups_per_sim: usize,
    /// Addresses of names that were looked up.
    pub names: usize,
    /// The same of one SIM.
    pub names_per_sim: usize,
    /// Packets of one session that may wait for its idle UE.
    pub waiting_packets: usize,
    /// Octets that may wait for idle UEs in a shard.
    pub waiting_octets: usize,
    /// How long a packet may wait for an idle UE, milliseconds: longer than its paging takes.
    pub waiting_ms: u64,
    /// Events that may wait to be taken.
    pub events: usize,
    /// How long a flow may be silent.
    pub idle: IdleTimes,
    /// Records.
    pub records: RecordLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 131_072,
            flows: 524_288,
            flows_per_sim: 4096,
            fragments: 4096,
            answers_per_second: 1000,
            n3_mtu: 1500,
            peer_grace_ms: None,
            streams: 4096,
            streams_per_sim: 128,
            stream_octets: 16 << 20,
            stream_ms: 30_000,
            lookups: 16_384,
            lookups_per_sim: 64,
            names: 65_536,
            names_per_sim: 256,
            waiting_packets: 64,
            waiting_octets: 8 << 20,
            waiting_ms: WAITING_MS,
            events: 1024,
            idle: IdleTimes::default(),
            records: RecordLimits::default(),
        }
    }
}

/// What a shard is told at its start.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// Which one it is.
    pub id: ShardId,
    /// How many there are, 1 to [`MAX_SHARDS`].
    pub shards: u8,
    /// Our N3 address: what Error Indications name.
    pub n3: IpAddr,
    /// Bounds and timers.
    pub limits: Limits,
}

/// A session, as the walk reads it.
struct Session {
    seid: Seid,
    imsi: Imsi,
    ue: Ipv4Addr,
    /// The networks behind it.
    routes: Box<[IpNet]>,
    /// Its own IPv6 prefix, where it has one.
    prefix: Option<Ipv6Net>,
    /// It is about to be told its prefix.
    advertises: bool,
    /// It has not been told its prefix, and is when it speaks first: before that the way to it may not be there. Between us
    /// and the radio of an EPC stands an SGW-U, which would have the UE paged for it.
    untold: bool,
    /// Place of the SIM.
    sim: u32,
    class: ClassId,
    /// The drop bit.
    dropped: bool,
    /// In quarantine or of a group in panic: asked about when a flow opens, and for nothing else.
    restricted: bool,
    /// True after [`ShardEvent::DownlinkData`] was said, until there is a tunnel or what waited is gone.
    paged: bool,
    /// Downlink packets that wait for the UE, the oldest first; none where nothing waits.
    waiting: Waiting,
    first: Uplink,
    /// Uplinks of further tunnel endpoints.
    more: Vec<Uplink>,
    teids: Vec<Teid>,
    downlink: Downlink,
    /// The radio that it last had a tunnel to.
    radio: Option<IpAddr>,
    /// The one before, and until when it may still send.
    former: Option<Box<(IpAddr, Mono)>>,
    /// Largest inner packet.
    mtu: u16,
    meters: Box<[Meter]>,
    /// The QoS flows that it has, one bit each.
    qfis: u64,
    last_packet: Option<Utc>,
    /// What its PFCP rules ask of each packet, where they ask for more than its endpoint.
    steer: Option<Box<Steer>>,
}

impl Session {
    /// True if this radio may send for it: the one that it has its tunnel to, and the one before for a while. As long
    /// as it has no tunnel it may come back through any.
    fn is_served_by(&self, radio: IpAddr, now: Mono) -> bool {
        match self.downlink {
            Downlink::Forward { tunnel, .. } if tunnel.peer != radio => {
                self.former.as_deref().is_some_and(|&(r, until)| r == radio && now < until)
            }
            _ => true,
        }
    }

    fn uplink(&self, which: u8) -> Uplink {
        match which {
            0 => self.first,
            n => self.more.get(usize::from(n) - 1).copied().unwrap_or(Uplink::DROP),
        }
    }
}

/// Octets of a session and of a flow in a shard's tables.
pub fn octets() -> (usize, usize) {
    (size_of::<Option<Session>>(), size_of::<Option<Flow>>())
}

/// A SIM, as long as it has sessions here, is banned or in quarantine.
struct Sim {
    imsi: Imsi,
    revoked: bool,
    quarantined: bool,
    facts: Arc<SimFacts>,
    /// What they come to by the policy in force.
    known: Known,
    flows: u32,
    sessions: Vec<u32>,
    /// Of sessions that are gone.
    last_packet: Option<Utc>,
    /// Since it was first cut.
    dropped: u64,
}

/// See the module.
pub struct Shard {
    id: ShardId,
    shards: u8,
    n3: IpAddr,
    limits: Limits,
    endpoints: Endpoints,
    ended: EndedTunnels,
    sessions: Vec<Option<Session>>,
    free: Vec<u32>,
    by_seid: Map<Seid, u32>,
    by_ue: Map<Ipv4Addr, u32>,
    /// Sessions of the networks behind UEs.
    by_route: Prefixes<u32>,
    sims: Vec<Option<Sim>>,
    free_sims: Vec<u32>,
    by_imsi: Map<Imsi, u32>,
    /// All UE addresses of all shards.
    owners: Map<Ipv4Addr, ShardId>,
    /// The same for the networks behind them.
    route_owners: Prefixes<ShardId>,
    /// Lowest and highest UE address ever, so that most destinations need no look-up.
    ue_span: (Ipv4Addr, Ipv4Addr),
    policy: Option<Arc<Compiled>>,
    closed: bool,
    /// Groups in panic, whether the policy has them or not.
    panicked: BTreeSet<Name>,
    /// The same, as the policy numbers them.
    in_panic: Panicked,
    ours: Map<Ipv4Addr, ()>,
    ours6: Map<Ipv6Addr, ()>,
    /// Where our own page is inside the closed network.
    service: Option<Arc<Service>>,
    /// Where the answers of [`service`] to a connection begin.
    beginnings: Keyed,
    radios: Vec<IpNet>,
    last_radio: Option<IpAddr>,
    flows: FlowTable,
    sixes: Sixes,
    rule_meters: RuleMeters,
    inspections: Inspections,
    lookups: Lookups,
    fragments: Fragments,
    records: Records,
    events: VecDeque<ShardEvent>,
    /// Sessions of banned SIMs whose flows are still to be written down as ended.
    cut_sessions: VecDeque<Seid>,
    /// Sessions whose UE is back and for whom packets wait: they go before anything newer.
    back: VecDeque<Seid>,
    /// When packets began to wait and for which session, the oldest first. Some have gone already.
    ages: VecDeque<(Mono, Seid)>,
    /// Octets that wait.
    waiting_octets: usize,
    /// Sessions that get a Router Advertisement with the next batch.
    advertised: VecDeque<Seid>,
    /// End Markers that go out with the next batch.
    end_markers: VecDeque<(IpAddr, Teid)>,
    counters: Counters,
    echoes: Limiter,
    errors: Limiter,
    rejects: Limiter,
    too_bigs: Limiter,
    indications: Limiter,
}

impl Shard {
    /// An empty shard: no session, no policy, no radio admitted, no address of ours known.
    pub fn new(config: ShardConfig, seed: [u8; 32]) -> Self {
        let mut chance = ChaCha12Rng::from_seed(seed);
        let keyed = Keyed::new(chance.next_u64(), chance.next_u64());
        let limits = config.limits;
        let limiter = || Limiter::new(limits.answers_per_second);
        Self {
            id: config.id,
            shards: config.shards.clamp(1, MAX_SHARDS),
            n3: config.n3,
            endpoints: Endpoints::new(),
            ended: EndedTunnels::new(keyed),
            sessions: Vec::new(),
            free: Vec::new(),
            by_seid: Map::with_hasher(keyed),
            by_ue: Map::with_hasher(keyed),
            by_route: Prefixes::new(keyed),
            sims: Vec::new(),
            free_sims: Vec::new(),
            by_imsi: Map::with_hasher(keyed),
            owners: Map::with_hasher(keyed),
            route_owners: Prefixes::new(keyed),
            ue_span: (Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED),
            policy: None,
            closed: false,
            panicked: BTreeSet::new(),
            in_panic: Panicked::default(),
            ours: Map::with_hasher(keyed),
            ours6: Map::with_hasher(keyed),
            service: None,
            beginnings: Keyed::new(chance.next_u64(), chance.next_u64()),
            radios: Vec::new(),
            last_radio: None,
            flows: FlowTable::new(limits.flows, keyed),
            sixes: Sixes::new(limits.flows, keyed),
            rule_meters: RuleMeters::new(keyed),
            inspections: Inspections::new(keyed),
            lookups: Lookups::new(keyed),
            fragments: Fragments::new(limits.fragments, keyed),
            records: Records::new(limits.records, keyed),
            events: VecDeque::new(),
            cut_sessions: VecDeque::new(),
            back: VecDeque::new(),
            ages: VecDeque::new(),
            waiting_octets: 0,
            advertised: VecDeque::new(),
            end_markers: VecDeque::new(),
            counters: Counters::new(),
            echoes: limiter(),
            errors: limiter(),
            rejects: limiter(),
            too_bigs: limiter(),
            indications: limiter(),
            limits,
        }
    }

    /// Judges everything in the batch and names what is to be sent.
    pub fn on_batch(&mut self, batch: &mut Batch, now: Now) {
        self.send_what_is_due(batch, now);
        for i in 0..batch.inputs.len() {
            let Some(input) = batch.inputs.get(i).copied() else { break };
            self.on_packet(batch, input, now);
        }
        self.send_farewells(batch);
    }

    /// TS 23.501 §5.8.2.9: the End Marker goes out as soon as the path is another one, so before all that takes the new one.
    fn send_what_is_due(&mut self, batch: &mut Batch, now: Now) {
        self.send_end_markers(batch);
        self.send_advertisements(batch);
        self.send_waiting(batch, now);
    }

    fn on_packet(&mut self, batch: &mut Batch, input: Input, now: Now) {
        let (piece, room) = (input.piece, input.headroom);
        let result = match input.origin {
            Origin::N3 { from } => self.on_n3(batch, piece, room, from, now),
            Origin::N6 { .. } | Origin::Service { .. } => self.on_n6(batch, piece, room, input.origin, now),
            Origin::Hairpin { from } => self.on_hairpin(batch, piece, room, from, now),
        };
        if let Err(reason) = result {
            self.counters.drop_one(reason);
        }
        self.sixes.settle(now.mono);
    }

    /// Idle flows, records of intervals, End Markers, packets that waited: a bounded piece of work, to be asked for at
    /// least every 100 ms. What is to be sent stands in `batch`, which is empty before.
    pub fn on_tick(&mut self, batch: &mut Batch, now: Now) {
        self.send_what_is_due(batch, now);
        self.forget_waiting_too_long(now.mono);
        self.end_cut_flows();
        // A sixteenth of the table at a time: all of it is seen in two seconds.
        let part = (self.flows.places() as usize / 16).max(1024);
        for at in self.flows.sweep(part) {
            if self.flows.get(at).is_some_and(|f| f.is_idle(now.mono, &self.limits.idle)) {
                let closed = self.flows.get(at).is_some_and(|f| f.is_closed());
                self.end_flow(at, if closed { Reason::Closed } else { Reason::Idle });
            }
        }
        self.end_late_streams(now);
        self.send_farewells(batch);
        self.fragments.expire(now.mono);
        self.records.flush(self.policy.as_deref(), now.mono, false);
        self.rule_meters.tend(now.mono);
        self.counters.records_lost = self.records.lost();
        self.counters.records_left_out = self.records.left_out();
        self.sixes.settle(now.mono);
    }

    /// The next flow record.
    pub fn poll_record(&mut self) -> Option<FlowRecord> {
        self.records.pop()
    }

    /// The next thing that the control plane should know.
    pub fn poll_event(&mut self) -> Option<ShardEvent> {
        self.events.pop_front()
    }

    /// Its counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn session(&self, at: u32) -> Option<&Session> {
        self.sessions.get(at as usize)?.as_ref()
    }

    fn session_mut(&mut self, at: u32) -> Option<&mut Session> {
        self.sessions.get_mut(at as usize)?.as_mut()
    }

    fn sim(&self, at: u32) -> Option<&Sim> {
        self.sims.get(at as usize)?.as_ref()
    }

    fn sim_mut(&mut self, at: u32) -> Option<&mut Sim> {
        self.sims.get_mut(at as usize)?.as_mut()
    }

    /// Counts a packet of a banned SIM.
    fn count_banned(&mut self, sim: u32) -> Reason {
        if let Some(s) = self.sim_mut(sim) {
            s.dropped += 1;
        }
        Reason::Banned
    }

    /// A packet of or for a session whose SIM is banned: counted, and written down if it can be read.
    fn drop_banned(&mut self, session: u32, packet: &[u8], direction: Direction, now: Now) -> Reason {
        if let Some(sim) = self.session(session).map(|s| s.sim) {
            self.count_banned(sim);
        }
        if let Ok((packet, _)) = self.read(packet, now) {
            self.deny(session, &packet, direction, Reason::Banned, now);
        }
        Reason::Banned
    }

    /// A cut does not wait for this: the flows of a banned SIM end in the records a moment later.
    fn end_cut_flows(&mut self) {
        while let Some(seid) = self.cut_sessions.pop_front() {
            let Some(&at) = self.by_seid.get(&seid) else { continue };
            while let Some(flow) = self.flows.first_of(at) {
                self.end_flow(flow, Reason::Banned);
            }
        }
    }

    /// True if the outer source is an admitted radio's.
    fn is_admitted(&mut self, radio: IpAddr) -> bool {
        if self.last_radio == Some(radio) {
            return true;
        }
        let known = self.radios.iter().any(|net| net.contains(&radio));
        if known {
            self.last_radio = Some(radio);
        }
        known
    }

    /// Reads a packet of either family; of IPv6 with its addresses, which are numbered here.
    fn read(&mut self, octets: &[u8], now: Now) -> Result<(Inner, Option<Six>), Reason> {
        if !is_six(octets) {
            return Inner::parse(octets).map(|packet| (packet, None));
        }
        let six = Six::parse(octets)?;
        let mut packet = six.inner;
        let full = Reason::FlowTableFull;
        packet.src = self.sixes.number(six.src, now.mono).ok_or(full)?;
        packet.dst = self.sixes.number(six.dst, now.mono).ok_or(full)?;
        if let (Transport::Error(about), Some((src, dst))) = (&mut packet.transport, six.about) {
            (about.src, about.dst) = (self.sixes.find(src), self.sixes.find(dst));
        }
        Ok((packet, Some(six)))
    }

    /// The other end of a flow.
    fn peer_of(&self, key: &FlowKey) -> IpAddr {
        if key.six { self.sixes.address(key.peer).into() } else { key.peer.into() }
    }

    /// Both ends of a flow.
    fn ends(&self, key: &FlowKey) -> Ends {
        let ue = if key.six { self.sixes.address(key.ue).into() } else { key.ue.into() };
        let &FlowKey { ue_port, peer_port, protocol, .. } = key;
        Ends { ue, peer: self.peer_of(key), ue_port, peer_port, protocol }
    }

    /// True if an IPv6 address is of a session: in its own prefix, or in a network behind it.
    fn is_six_of(&self, session: u32, address: Ipv6Addr) -> bool {
        self.by_route.find(address.into()) == Some(session)
    }

    /// The shard of an address, if a UE has it or it lies behind one.
    fn owner_of(&self, address: Ipv4Addr) -> Option<ShardId> {
        let (low, high) = self.ue_span;
        let ue = if address < low || address > high { None } else { self.owners.get(&address).copied() };
        if ue.is_some() || self.route_owners.is_empty() { ue } else { self.route_owners.find(address.into()) }
    }

    /// The session of an address here: its own, or that of the network that it lies in.
    fn session_of(&self, address: Ipv4Addr) -> Option<u32> {
        let ue = self.by_ue.get(&address).copied();
        if ue.is_some() || self.by_route.is_empty() { ue } else { self.by_route.find(address.into()) }
    }

    /// True if an address lies behind the UE of this session, and is not another UE's own.
    fn is_behind(&self, session: u32, address: Ipv4Addr) -> bool {
        !self.by_route.is_empty()
            && self.by_route.find(address.into()) == Some(session)
            && !self.owners.contains_key(&address)
    }

    /// The policy, if it may open a flow.
    fn open_policy(&self) -> Option<&Arc<Compiled>> {
        self.policy.as_ref().filter(|_| !self.closed)
    }

    /// Takes a flow out of the table, with what came of it so far.
    fn take_flow(&mut self, at: u32) -> Option<(Flow, Outcome)> {
        let flow = self.flows.remove(at)?;
        if flow.key.six {
            self.sixes.let_go(flow.key.ue);
            self.sixes.let_go(flow.key.peer);
        }
        self.rule_meters.leave(flow.meter);
        if flow.watch == Watch::Asking {
            self.lookups.leave(at);
        }
        let outcome = self.inspections.leave(at, flow.watch);
        Some((flow, outcome))
    }

    /// Forgets a flow that no packet of passed.
    fn forget_flow(&mut self, at: u32) {
        let sim = self.take_flow(at).and_then(|(f, _)| self.session(f.session)).map(|s| s.sim);
        if let Some(s) = sim.and_then(|sim| self.sim_mut(sim)) {
            s.flows = s.flows.saturating_sub(1);
        }
    }

    /// Ends a flow and writes its record.
    fn end_flow(&mut self, at: u32, reason: Reason) {
        self.close_flow(at, reason, |outcome| outcome);
    }

    /// The same, with another word about what came of it.
    fn close_flow(&mut self, at: u32, reason: Reason, judge: impl FnOnce(Outcome) -> Outcome) {
        let Some((flow, outcome)) = self.take_flow(at) else { return };
        let Some(session) = self.session(flow.session) else { return };
        let (imsi, sim) = (session.imsi, session.sim);
        if let Some(s) = self.sim_mut(sim) {
            s.flows = s.flows.saturating_sub(1);
        }
        let ends = self.ends(&flow.key);
        self.records.ended(imsi, &flow, &ends, reason, judge(outcome), self.policy.as_deref());
    }

    fn say(&mut self, event: ShardEvent) {
        if self.events.len() < self.limits.events {
            self.events.push_back(event);
        }
    }

    fn hand_over(&mut self, batch: &mut Batch, piece: Piece, shard: ShardId, origin: Origin) {
        self.counters.handed += 1;
        batch.send(To::Shard { shard, origin }, piece);
    }
}
