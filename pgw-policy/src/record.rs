//! Flow records on their way out, and the table in which denials are gathered.
//!
//! The first packet of a denial makes a record at once; what follows within the interval is counted and
//! makes one more. Both the queue and the table are bounded; what finds no room is counted as a gap.

use crate::compile::{AppIdx, Compiled, RuleIdx};
use crate::flow::Flow;
use crate::hash::{Keyed, Map};
use crate::inner::is_icmp;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;
use types::{Direction, FlowRecord, Imsi, Mono, Reason, Recording, ServerName, Utc, Verdict};

/// Both ends of a flow, as a record names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ends {
    pub(crate) ue: IpAddr,
    pub(crate) peer: IpAddr,
    pub(crate) ue_port: u16,
    pub(crate) peer_port: u16,
    pub(crate) protocol: u8,
}

/// Which denials are one: the same SIM, ends, service and reason; the opener's own port does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct DeniedKey {
    imsi: Imsi,
    direction: Direction,
    /// With the opener's port 0.
    key: Ends,
    reason: Reason,
}

struct Denied {
    opener_port: u16,
    app: Option<AppIdx>,
    rule: Option<RuleIdx>,
    would: Option<RuleIdx>,
    verdict: Verdict,
    since: Mono,
    start: Utc,
    end: Utc,
    packets: u64,
    bytes: u64,
}

/// One denied packet.
pub(crate) struct Denial {
    pub(crate) imsi: Imsi,
    pub(crate) direction: Direction,
    pub(crate) key: Ends,
    pub(crate) app: Option<AppIdx>,
    pub(crate) rule: Option<RuleIdx>,
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    /// A rule that is only watched, and that would have let it through.
    pub(crate) would: Option<RuleIdx>,
    pub(crate) bytes: usize,
}

/// What came of a flow, and the server that it named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) name: Option<ServerName>,
}

/// See the module.
pub(crate) struct Records {
    queue: VecDeque<FlowRecord>,
    denied: Map<DeniedKey, Denied>,
    per_sim: Map<Imsi, u32>,
    limits: RecordLimits,
    next_flush: Mono,
    lost: u64,
    left_out: u64,
    keyed: Keyed,
}

/// Bounds of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimits {
    /// Records that may wait to be taken.
    pub queue: usize,
    /// Different denials that are gathered at a time.
    pub denied: usize,
    /// The same for one SIM, so that one SIM cannot hide what another one does.
    pub denied_per_sim: u32,
    /// How long denials are gathered, milliseconds.
    pub interval_ms: u64,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self { queue: 65_536, denied: 8_192, denied_per_sim: 256, interval_ms: 10_000 }
    }
}

impl Records {
    pub(crate) fn new(limits: RecordLimits, keyed: Keyed) -> Self {
        Self {
            queue: VecDeque::new(),
            denied: Map::with_hasher(keyed),
            per_sim: Map::with_hasher(keyed),
            limits,
            next_flush: Mono(0),
            lost: 0,
            left_out: 0,
            keyed,
        }
    }

    pub(crate) fn pop(&mut self) -> Option<FlowRecord> {
        self.queue.pop_front()
    }

    /// Records and denials that found no room, since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    fn push(&mut self, record: FlowRecord) {
        if self.queue.len() >= self.limits.queue {
            self.lost += 1;
        } else {
            self.queue.push_back(record);
        }
    }

    /// Allowed flows that ended and were not written down, because their rule says so.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether its rule wants this end written down. One that somebody or something cut short always is.
    fn is_wanted(&self, flow: &Flow, reason: Reason, policy: Option<&Compiled>) -> bool {
        if flow.logged || flow.would().is_some() {
            return true;
        }
        let by_itself = matches!(reason, Reason::Closed | Reason::Idle | Reason::SessionEnded);
        match policy.map(|p| p.recording_of(flow.rule)) {
            Some(Recording::OneIn(n)) if by_itself => {
                // No sender knows the key, so none can keep out of the sample.
                let drawn = self.keyed.hash_one((flow.key, flow.start.0));
                drawn.is_multiple_of(u64::from(n.get()))
            }
            Some(Recording::Counters) => !by_itself,
            Some(Recording::All | Recording::OneIn(_)) | None => true,
        }
    }

    /// A flow of the table that ended: an allowed one, or one whose beginning was read and refused, or never was there.
    pub(crate) fn ended(
        &mut self,
        imsi: Imsi,
        flow: &Flow,
        ends: &Ends,
        reason: Reason,
        outcome: Outcome,
        policy: Option<&Compiled>,
    ) {
        if outcome.verdict == Verdict::Allow && !self.is_wanted(flow, reason, policy) {
            self.left_out += 1;
            return;
        }
        let mut record = blank(imsi, flow.opened, ends, flow.app, flow.rule, policy);
        (record.verdict, record.name) = (outcome.verdict, outcome.name);
        record.would = flow.would().and_then(|r| policy?.rule_name(r).cloned());
        record.reason = reason;
        record.generation = flow.generation;
        (record.start, record.end) = (flow.start, flow.last);
        (record.packets_up, record.bytes_up) = (flow.packets_up, flow.bytes_up);
        (record.packets_down, record.bytes_down) = (flow.packets_down, flow.bytes_down);
        self.push(record);
    }

    /// A denied packet.
    pub(crate) fn denied(&mut self, d: Denial, policy: Option<&Compiled>, mono: Mono, utc: Utc) {
        let mut key = d.key;
        let opener_port = match d.direction {
            Direction::Out => std::mem::take(&mut key.ue_port),
            Direction::In => std::mem::take(&mut key.peer_port),
        };
        if is_icmp(key.protocol) {
            (key.ue_port, key.peer_port) = (0, 0);
        }
        let id = DeniedKey { imsi: d.imsi, direction: d.direction, key, reason: d.reason };
        if let Some(seen) = self.denied.get_mut(&id) {
            if seen.packets == 0 {
                seen.start = utc;
            }
            seen.packets += 1;
            seen.bytes += d.bytes as u64;
            seen.end = utc;
            return;
        }
        let mine = self.per_sim.get(&d.imsi).copied().unwrap_or(0);
        if self.denied.len() >= self.limits.denied || mine >= self.limits.denied_per_sim {
            self.lost += 1;
            return;
        }
        self.per_sim.insert(d.imsi, mine + 1);
        let mut entry = Denied {
            opener_port,
            app: d.app,
            rule: d.rule,
            would: d.would,
            verdict: d.verdict,
            since: mono,
            start: utc,
            end: utc,
            packets: 1,
            bytes: d.bytes as u64,
        };
        self.push(denied_record(&id, &entry, policy));
        (entry.packets, entry.bytes) = (0, 0);
        self.denied.insert(id, entry);
    }

    /// Closes intervals that are over; with `all`, every one (before the names of a policy go).
    pub(crate) fn flush(&mut self, policy: Option<&Compiled>, now: Mono, all: bool) {
        if !all && now < self.next_flush {
            return;
        }
        self.next_flush = now.plus_ms(500);
        let interval = self.limits.interval_ms;
        let over = |d: &Denied| all || now.ms_since(d.since) >= interval;
        let mut done: Vec<DeniedKey> = self.denied.iter().filter(|(_, d)| over(d)).map(|(k, _)| *k).collect();
        done.sort_unstable();
        for id in done {
            let Some(d) = self.denied.remove(&id) else { continue };
            if let Some(n) = self.per_sim.get_mut(&id.imsi) {
                *n -= 1;
                if *n == 0 {
                    self.per_sim.remove(&id.imsi);
                }
            }
            if d.packets > 0 {
                self.push(denied_record(&id, &d, policy));
            }
        }
    }
}

fn denied_record(id: &DeniedKey, d: &Denied, policy: Option<&Compiled>) -> FlowRecord {
    let mut key = id.key;
    match id.direction {
        Direction::Out => key.ue_port = d.opener_port,
        Direction::In => key.peer_port = d.opener_port,
    }
    let mut record = blank(id.imsi, id.direction, &key, d.app, d.rule, policy);
    (record.verdict, record.reason) = (d.verdict, id.reason);
    record.would = d.would.and_then(|r| policy?.rule_name(r).cloned());
    (record.start, record.end) = (d.start, d.end);
    match id.direction {
        Direction::Out => (record.packets_up, record.bytes_up) = (d.packets, d.bytes),
        Direction::In => (record.packets_down, record.bytes_down) = (d.packets, d.bytes),
    }
    record
}

fn blank(
    imsi: Imsi,
    direction: Direction,
    key: &Ends,
    app: Option<AppIdx>,
    rule: Option<RuleIdx>,
    policy: Option<&Compiled>,
) -> FlowRecord {
    let has_ports = !is_icmp(key.protocol);
    FlowRecord {
        start: Utc(0),
        end: Utc(0),
        imsi,
        direction,
        ue: key.ue,
        ue_port: if has_ports { key.ue_port } else { 0 },
        peer: key.peer,
        peer_port: if has_ports { key.peer_port } else { 0 },
        protocol: key.protocol,
        app: app.and_then(|a| policy?.app_name(a).cloned()),
        rule: rule.and_then(|r| policy?.rule_name(r).cloned()),
        verdict: Verdict::Deny,
        reason: Reason::NoRule,
        generation: policy.map_or(0, Compiled::generation),
        packets_up: 0,
        bytes_up: 0,
        packets_down: 0,
        bytes_down: 0,
        name: None,
        would: None,
    }
}
