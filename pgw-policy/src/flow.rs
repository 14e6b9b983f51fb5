//! The flow table of a shard: what was allowed, and is remembered until it ends.
//!
//! Flows lie in one array that does not move; a map finds them by key, and each session has a list of its
//! own through the array, so that ending a session costs what it has, not what there is.

use crate::compile::{AppIdx, RuleIdx};
use crate::decide::Decision;
use crate::hash::{Keyed, Map};
use crate::inner::{ACK, FIN, ICMP, ICMP6, RST, SYN, TCP, UDP};
use crate::shard::rate::UNMETERED;
use std::hash::{Hash, Hasher};
use std::net::Ipv4Addr;
use types::{Direction, Mark, Mono, Reason, Utc};

/// No flow.
pub(crate) const NONE: u32 = u32::MAX;

/// A flow from the UE's point of view. For ICMP echo the identifier stands in `ue_port`, and `peer_port`
/// is 8 where the UE sends the requests and 0 where the peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlowKey {
    pub(crate) ue: Ipv4Addr,
    pub(crate) peer: Ipv4Addr,
    pub(crate) ue_port: u16,
    pub(crate) peer_port: u16,
    pub(crate) protocol: u8,
    /// True for IPv6: then both addresses are numbers ([`crate::sixes`]).
    pub(crate) six: bool,
}

impl Hash for FlowKey {
    /// In two words: this is done for every packet.
    fn hash<H: Hasher>(&self, h: &mut H) {
        h.write_u64(u64::from(u32::from(self.ue)) << 32 | u64::from(u32::from(self.peer)));
        let ports = u64::from(self.ue_port) << 16 | u64::from(self.peer_port);
        h.write_u64(ports << 16 | u64::from(self.six) << 8 | u64::from(self.protocol));
    }
}

/// How far a TCP connection is.
const FIN_UP: u8 = 1;
const FIN_DOWN: u8 = 2;
const RESET: u8 = 4;

/// What is asked of what a flow says, and how far the reading of its beginning is where its app has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Nobody asks what it says.
    No,
    /// Nothing of what it says goes on.
    Reading,
    /// It was read and may pass; the server has not confirmed what was read.
    Judged,
    /// The server has confirmed what was read.
    Done,
    /// It goes to an address that was looked up for one of the app's names.
    Named,
    /// It goes to a resolver: what is looked up is learned.
    Asking,
}

/// An allowed flow, or one that may become one.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) key: FlowKey,
    pub(crate) session: u32,
    pub(crate) opened: Direction,
    ends: u8,
    pub(crate) watch: Watch,
    pub(crate) app: Option<AppIdx>,
    pub(crate) rule: Option<RuleIdx>,
    /// A rule that is only watched, and that would have refused it; [`NONE`] where there is none.
    would: u32,
    /// It is written down in any case.
    pub(crate) logged: bool,
    /// A grant allowed it.
    pub(crate) granted: bool,
    pub(crate) generation: u64,
    /// Of the rule's rate.
    pub(crate) meter: u32,
    /// Of the app.
    pub(crate) mark: Mark,
    pub(crate) start: Utc,
    pub(crate) last: Utc,
    seen: Mono,
    pub(crate) packets_up: u64,
    pub(crate) bytes_up: u64,
    pub(crate) packets_down: u64,
    pub(crate) bytes_down: u64,
    next: u32,
    prev: u32,
}

/// How long a flow may be silent, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleTimes {
    /// TCP that was heard from both sides.
    pub tcp: u64,
    /// TCP that was heard from one side only.
    pub tcp_opening: u64,
    /// TCP after FIN from both sides or a reset.
    pub tcp_closed: u64,
    /// UDP that was heard from both sides.
    pub udp: u64,
    /// UDP that was heard from one side only.
    pub udp_opening: u64,
    /// ICMP echo.
    pub icmp: u64,
}

impl Default for IdleTimes {
    fn default() -> Self {
        // RFC 5382 §5 and RFC 4787 §4.3 ask for at least two hours and four minutes, and two minutes.
        Self {
            tcp: 7_440_000,
            tcp_opening: 60_000,
            tcp_closed: 10_000,
            udp: 180_000,
            udp_opening: 60_000,
            icmp: 30_000,
        }
    }
}

impl Flow {
    pub(crate) fn new(key: FlowKey, session: u32, opened: Direction) -> Self {
        Self {
            key,
            session,
            opened,
            ends: 0,
            watch: Watch::No,
            app: None,
            rule: None,
            would: NONE,
            logged: false,
            granted: false,
            generation: 0,
            meter: UNMETERED,
            mark: Mark::default(),
            start: Utc(0),
            last: Utc(0),
            seen: Mono(0),
            packets_up: 0,
            bytes_up: 0,
            packets_down: 0,
            bytes_down: 0,
            next: NONE,
            prev: NONE,
        }
    }

    /// Takes down what allowed it, beside its rule.
    pub(crate) fn judged(&mut self, by: &Decision) {
        self.would = by.would.map_or(NONE, |rule| rule.0);
        (self.logged, self.granted) = (by.logged, by.reason == Reason::Granted);
    }

    /// A rule that is only watched, and that would have refused it.
    pub(crate) fn would(&self) -> Option<RuleIdx> {
        (self.would != NONE).then_some(RuleIdx(self.would))
    }

    /// Counts a packet that passes.
    pub(crate) fn count(&mut self, direction: Direction, bytes: usize, tcp_flags: u8, mono: Mono, utc: Utc) {
        (self.seen, self.last) = (mono, utc);
        match direction {
            Direction::Out => {
                self.packets_up += 1;
                self.bytes_up += bytes as u64;
                self.ends |= if tcp_flags & FIN != 0 { FIN_UP } else { 0 };
            }
            Direction::In => {
                self.packets_down += 1;
                self.bytes_down += bytes as u64;
                self.ends |= if tcp_flags & FIN != 0 { FIN_DOWN } else { 0 };
            }
        }
        if tcp_flags & RST != 0 {
            self.ends |= RESET;
        }
    }

    /// True after FIN from both sides, or a reset.
    pub(crate) fn is_closed(&self) -> bool {
        self.ends & RESET != 0 || self.ends & (FIN_UP | FIN_DOWN) == FIN_UP | FIN_DOWN
    }

    /// True for a packet that opens a new connection where this one was.
    pub(crate) fn is_reopened_by(&self, tcp_flags: u8) -> bool {
        self.is_closed() && tcp_flags & (SYN | ACK) == SYN
    }

    /// True for a packet that is to be looked at before it passes.
    pub(crate) fn is_watched(&self, tcp_flags: u8) -> bool {
        match self.watch {
            Watch::No | Watch::Named => false,
            Watch::Reading | Watch::Judged | Watch::Asking => true,
            Watch::Done => tcp_flags & SYN != 0,
        }
    }

    /// True if it was silent for too long.
    pub(crate) fn is_idle(&self, now: Mono, times: &IdleTimes) -> bool {
        let both = self.packets_up > 0 && self.packets_down > 0;
        let limit = match self.key.protocol {
            TCP if self.is_closed() => times.tcp_closed,
            TCP if both => times.tcp,
            TCP => times.tcp_opening,
            UDP if both => times.udp,
            ICMP | ICMP6 => times.icmp,
            _ => times.udp_opening,
        };
        now.ms_since(self.seen) >= limit
    }

    /// The destination port of its first packet: what a rule is asked about.
    pub(crate) fn service_port(&self) -> u16 {
        match self.opened {
            Direction::Out => self.key.peer_port,
            Direction::In => self.key.ue_port,
        }
    }
}

/// See the module.
pub(crate) struct FlowTable {
    flows: Vec<Option<Flow>>,
    free: Vec<u32>,
    map: Map<FlowKey, u32>,
    /// By session: the first flow of its list.
    heads: Vec<u32>,
    hand: usize,
    limit: usize,
}

impl FlowTable {
    pub(crate) fn new(limit: usize, keyed: Keyed) -> Self {
        Self {
            flows: Vec::with_capacity(limit.min(1 << 16)),
            free: Vec::new(),
            map: Map::with_capacity_and_hasher(limit.min(1 << 16), keyed),
            heads: Vec::new(),
            hand: 0,
            limit,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn find(&self, key: &FlowKey) -> Option<u32> {
        self.map.get(key).copied()
    }

    pub(crate) fn get(&self, at: u32) -> Option<&Flow> {
        self.flows.get(at as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut Flow> {
        self.flows.get_mut(at as usize)?.as_mut()
    }

    /// Puts a flow in; `None` if the table is full or has one with this key.
    pub(crate) fn insert(&mut self, mut flow: Flow) -> Option<u32> {
        if self.map.len() >= self.limit || self.map.contains_key(&flow.key) {
            return None;
        }
        let session = flow.session as usize;
        if self.heads.len() <= session {
            self.heads.resize(session + 1, NONE);
        }
        let head = self.heads.get_mut(session)?;
        let at = self.free.pop().unwrap_or(self.flows.len() as u32);
        (flow.prev, flow.next) = (NONE, *head);
        let old = std::mem::replace(head, at);
        self.map.insert(flow.key, at);
        match self.flows.get_mut(at as usize) {
            Some(slot) => *slot = Some(flow),
            None => self.flows.push(Some(flow)),
        }
        if let Some(f) = self.get_mut(old) {
            f.prev = at;
        }
        Some(at)
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, at: u32) -> Option<Flow> {
        let flow = self.flows.get_mut(at as usize)?.take()?;
        self.free.push(at);
        self.map.remove(&flow.key);
        if let Some(next) = self.get_mut(flow.next) {
            next.prev = flow.prev;
        }
        match self.get_mut(flow.prev) {
            Some(prev) => prev.next = flow.next,
            None => {
                if let Some(head) = self.heads.get_mut(flow.session as usize) {
                    *head = flow.next;
                }
            }
        }
        Some(flow)
    }

    /// Any flow of a session.
    pub(crate) fn first_of(&self, session: u32) -> Option<u32> {
        self.heads.get(session as usize).copied().filter(|at| *at != NONE)
    }

    /// All flows of a session.
    pub(crate) fn of(&self, session: u32) -> Vec<u32> {
        let next = |at: &u32| self.get(*at).map(|f| f.next).filter(|at| *at != NONE);
        std::iter::successors(self.first_of(session), next).collect()
    }

    /// One past the highest place that was ever used.
    pub(crate) fn places(&self) -> u32 {
        self.flows.len() as u32
    }

    /// The next `n` places that the clock hand passes.
    pub(crate) fn sweep(&mut self, n: usize) -> std::ops::Range<u32> {
        if self.hand >= self.flows.len() {
            self.hand = 0;
        }
        let begin = self.hand;
        self.hand = (begin + n).min(self.flows.len());
        begin as u32..self.hand as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key(n: u16) -> FlowKey {
        FlowKey {
            ue: [10, 0, 0, 1].into(),
            peer: [10, 9, 0, 1].into(),
            ue_port: n,
            peer_port: 443,
            protocol: TCP,
            six: false,
        }
    }

    proptest! {
        /// Against a plain map: what is in, and what each session has.
        #[test]
        fn the_table_is_a_map_with_a_list_per_session(steps in prop::collection::vec((0u16..40, 0u32..4, any::<bool>()), 0..200)) {
            let mut table = FlowTable::new(30, Keyed::new(3, 5));
            let mut model: BTreeMap<FlowKey, u32> = BTreeMap::new();
            for (n, session, add) in steps {
                if add {
                    let fits = model.len() < 30 && !model.contains_key(&key(n));
                    prop_assert_eq!(table.insert(Flow::new(key(n), session, Direction::Out)).is_some(), fits);
                    if fits { model.insert(key(n), session); }
                } else {
                    let got = table.find(&key(n)).and_then(|at| table.remove(at)).map(|f| f.session);
                    prop_assert_eq!(got, model.remove(&key(n)));
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for session in 0..4 {
                let mut n = 0;
                while let Some(at) = table.first_of(session) {
                    prop_assert_eq!(table.remove(at).unwrap().session, session);
                    n += 1;
                }
                prop_assert_eq!(n, model.values().filter(|s| **s == session).count());
            }
            prop_assert_eq!(table.len(), 0);
        }
    }

    #[test]
    fn silence_ends_a_flow_by_its_protocol_and_state() {
        let t = IdleTimes::default();
        let mut f = Flow::new(key(1), 0, Direction::Out);
        let at = |ms| Mono(0).plus_ms(ms);
        f.count(Direction::Out, 40, SYN, at(0), Utc(0));
        assert!(!f.is_idle(at(59_999), &t) && f.is_idle(at(60_000), &t));
        f.count(Direction::In, 40, SYN | ACK, at(0), Utc(0));
        assert!(!f.is_idle(at(3_600_000), &t) && f.is_idle(at(7_440_000), &t));
        f.count(Direction::Out, 40, FIN | ACK, at(0), Utc(0));
        assert!(!f.is_closed());
        f.count(Direction::In, 40, FIN | ACK, at(0), Utc(0));
        assert!(f.is_closed() && f.is_idle(at(10_000), &t));
        assert!(f.is_reopened_by(SYN) && !f.is_reopened_by(ACK));
    }

    #[test]
    fn a_flow_is_small() {
        assert!(size_of::<Option<Flow>>() <= 128, "{}", size_of::<Option<Flow>>());
    }
}
