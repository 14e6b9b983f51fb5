//! One shard of the user plane: sessions, flows, and the walk of a packet (DESIGN §3).
//!
//! A shard is owned by one thread. The thread puts what it received into a [`Batch`], calls
//! [`Shard::on_batch`], sends the batch's outputs, and between batches carries out commands. Nothing is
//! allocated on the way of a packet of an established flow.
//!
//! The walk, in this order, for a packet from N3: GTP-U header → session of the TEID (another shard's
//! TEID: handed over) → drop bit of the SIM → outer source is an admitted radio's (the one that serves the UE,
//! where that is asked for) → the session's own
//! rules (PDR, FAR, gate) → inner header → inner source is the session's address → inner destination is
//! not ours and not special → flow, or the policy's decision → MTU → rates → N6, or round to another UE. From N6:
//! inner header → session of the destination → drop bit → flow, or an `in` rule → MTU → rates → downlink tunnel → N3.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod commands;
mod downlink;
mod ended;
mod fragment;
mod judge;
mod limiter;
mod mark;
mod mss;
pub(crate) mod rate;
pub(crate) mod teid;
#[cfg(test)]
pub(crate) mod tests;
mod uplink;

pub use crate::flow::IdleTimes;
pub use crate::record::RecordLimits;
pub use teid::{MAX_SHARDS, shard_of};

use crate::batch::{Batch, Origin, Piece, ShardId, To};
use crate::command::ShardEvent;
use crate::compile::{ClassId, Compiled};
use crate::counters::Counters;
use crate::flow::{Flow, FlowTable};
use crate::hash::{Keyed, Map};
use crate::inner::Inner;
use crate::record::Records;
use crate::restrict::Panicked;
use crate::session::{Downlink, Uplink};
use ended::EndedTunnels;
use fragment::Fragments;
use ipnet::IpNet;
use limiter::Limiter;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rate::{Meter, RuleMeters};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use teid::Endpoints;
use types::{Direction, FlowRecord, Imsi, Mono, Name, Now, Reason, Seid, Teid, Utc};

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
    /// Place of the SIM.
    sim: u32,
    class: ClassId,
    /// The drop bit.
    dropped: bool,
    /// In quarantine or of a group in panic: asked about when a flow opens, and for nothing else.
    restricted: bool,
    /// True after [`ShardEvent::DownlinkData`] was said, until there is a tunnel.
    paged: bool,
    first: Uplink,
    /// Uplinks of further tunnel endpoints.
    more: Vec<Uplink>,
    teids: Vec<Teid>,
    downlink: Downlink,
    /// The radio that it last had a tunnel to.
    radio: Option<IpAddr>,
    /// The one before, and until when it may still send.
    former: Option<(IpAddr, Mono)>,
    /// Largest inner packet.
    mtu: u16,
    meters: Box<[Meter]>,
    /// The QoS flows that it has, one bit each.
    qfis: u64,
    last_packet: Option<Utc>,
}

impl Session {
    /// True if this radio may send for it: the one that it has its tunnel to, and the one before for a while. As long
    /// as it has no tunnel it may come back through any.
    fn is_served_by(&self, radio: IpAddr, now: Mono) -> bool {
        match self.downlink {
            Downlink::Forward { tunnel, .. } if tunnel.peer != radio => {
                self.former.is_some_and(|(r, until)| r == radio && now < until)
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
    sims: Vec<Option<Sim>>,
    free_sims: Vec<u32>,
    by_imsi: Map<Imsi, u32>,
    /// All UE addresses of all shards.
    owners: Map<Ipv4Addr, ShardId>,
    /// Lowest and highest UE address ever, so that most destinations need no look-up.
    ue_span: (Ipv4Addr, Ipv4Addr),
    policy: Option<Arc<Compiled>>,
    closed: bool,
    /// Groups in panic, whether the policy has them or not.
    panicked: BTreeSet<Name>,
    /// The same, as the policy numbers them.
    in_panic: Panicked,
    ours: Map<Ipv4Addr, ()>,
    radios: Vec<IpNet>,
    last_radio: Option<IpAddr>,
    flows: FlowTable,
    rule_meters: RuleMeters,
    fragments: Fragments,
    records: Records,
    events: VecDeque<ShardEvent>,
    /// Sessions of banned SIMs whose flows are still to be written down as ended.
    cut_sessions: VecDeque<Seid>,
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
            sims: Vec::new(),
            free_sims: Vec::new(),
            by_imsi: Map::with_hasher(keyed),
            owners: Map::with_hasher(keyed),
            ue_span: (Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED),
            policy: None,
            closed: false,
            panicked: BTreeSet::new(),
            in_panic: Panicked::default(),
            ours: Map::with_hasher(keyed),
            radios: Vec::new(),
            last_radio: None,
            flows: FlowTable::new(limits.flows, keyed),
            rule_meters: RuleMeters::new(keyed),
            fragments: Fragments::new(limits.fragments, keyed),
            records: Records::new(limits.records, keyed),
            events: VecDeque::new(),
            cut_sessions: VecDeque::new(),
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
        self.send_end_markers(batch);
        for i in 0..batch.inputs.len() {
            let Some(input) = batch.inputs.get(i).copied() else { break };
            let (piece, room) = (input.piece, input.headroom);
            let result = match input.origin {
                Origin::N3 { from } => self.on_n3(batch, piece, room, from, now),
                Origin::N6 { handed } => self.on_n6(batch, piece, room, handed, now),
                Origin::Hairpin { from } => self.on_hairpin(batch, piece, room, from, now),
            };
            if let Err(reason) = result {
                self.counters.drop_one(reason);
            }
        }
    }

    /// Idle flows, records of intervals, End Markers: a bounded piece of work, to be asked for at least
    /// every 100 ms. What is to be sent stands in `batch`, which is empty before.
    pub fn on_tick(&mut self, batch: &mut Batch, now: Now) {
        self.send_end_markers(batch);
        self.end_cut_flows();
        // A sixteenth of the table at a time: all of it is seen in two seconds.
        let part = (self.flows.places() as usize / 16).max(1024);
        for at in self.flows.sweep(part) {
            if self.flows.get(at).is_some_and(|f| f.is_idle(now.mono, &self.limits.idle)) {
                let closed = self.flows.get(at).is_some_and(|f| f.is_closed());
                self.end_flow(at, if closed { Reason::Closed } else { Reason::Idle });
            }
        }
        self.fragments.expire(now.mono);
        self.records.flush(self.policy.as_deref(), now.mono, false);
        self.rule_meters.tend(now.mono);
        self.counters.records_lost = self.records.lost();
        self.counters.records_left_out = self.records.left_out();
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
        let packet = Inner::parse(packet);
        if let Some(sim) = self.session(session).map(|s| s.sim) {
            self.count_banned(sim);
        }
        if let Ok(packet) = packet {
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

    /// The shard of a UE address, if a UE has it.
    fn owner_of(&self, ue: Ipv4Addr) -> Option<ShardId> {
        let (low, high) = self.ue_span;
        if ue < low || ue > high { None } else { self.owners.get(&ue).copied() }
    }

    /// The policy, if it may open a flow.
    fn open_policy(&self) -> Option<&Arc<Compiled>> {
        self.policy.as_ref().filter(|_| !self.closed)
    }

    /// Takes a flow out of the table.
    fn take_flow(&mut self, at: u32) -> Option<Flow> {
        let flow = self.flows.remove(at)?;
        self.rule_meters.leave(flow.meter);
        Some(flow)
    }

    /// Forgets a flow that no packet of passed.
    fn forget_flow(&mut self, at: u32) {
        let sim = self.take_flow(at).and_then(|f| self.session(f.session)).map(|s| s.sim);
        if let Some(s) = sim.and_then(|sim| self.sim_mut(sim)) {
            s.flows = s.flows.saturating_sub(1);
        }
    }

    /// Ends a flow and writes its record.
    fn end_flow(&mut self, at: u32, reason: Reason) {
        let Some(flow) = self.take_flow(at) else { return };
        let Some(session) = self.session(flow.session) else { return };
        let (imsi, sim) = (session.imsi, session.sim);
        if let Some(s) = self.sim_mut(sim) {
            s.flows = s.flows.saturating_sub(1);
        }
        self.records.ended(imsi, &flow, reason, self.policy.as_deref());
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
