//! Fragments: judged by their first, tracked, late and overlapping ones refused (RFC 1858, RFC 3128).

use crate::flow::FlowKey;
use crate::hash::{Keyed, Map};
use crate::inner::{Fragment, Inner};
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use types::Mono;

/// Within this time all fragments of a packet have come, or never will.
const LIFETIME_MS: u64 = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    six: bool,
    protocol: u8,
    id: u32,
}

struct Tracked {
    flow: FlowKey,
    end: u32,
    until: Mono,
}

/// Packets whose first fragment passed.
pub(super) struct Fragments {
    tracked: Map<Key, Tracked>,
    order: VecDeque<(Mono, Key)>,
    limit: usize,
}

fn key(packet: &Inner, fragment: &Fragment) -> Key {
    // Of IPv6, the pieces of a packet need not agree about it (RFC 8200 §4.5).
    let protocol = if packet.six { 0 } else { packet.protocol };
    Key { src: packet.src, dst: packet.dst, six: packet.six, protocol, id: fragment.id }
}

impl Fragments {
    pub(super) fn new(limit: usize, keyed: Keyed) -> Self {
        Self { tracked: Map::with_hasher(keyed), order: VecDeque::new(), limit }
    }

    /// Takes note of a first fragment that belongs to an allowed flow. False if it must not pass: there is
    /// no room, or a packet with this identification is under way already.
    pub(super) fn first(&mut self, packet: &Inner, f: &Fragment, flow: FlowKey, now: Mono) -> bool {
        self.expire(now);
        let k = key(packet, f);
        if self.order.len() >= self.limit || self.tracked.contains_key(&k) {
            return false;
        }
        let until = now.plus_ms(LIFETIME_MS);
        self.order.push_back((until, k));
        self.tracked.insert(k, Tracked { flow, end: f.end, until });
        true
    }

    /// The flow of a later fragment; `None` if its first did not pass, or if it does not lie wholly behind
    /// all that passed before it.
    pub(super) fn later(&mut self, packet: &Inner, f: &Fragment, now: Mono) -> Option<FlowKey> {
        let k = key(packet, f);
        let t = self.tracked.get_mut(&k).filter(|t| now < t.until && f.begin >= t.end)?;
        t.end = f.end;
        let flow = t.flow;
        if !f.more {
            self.tracked.remove(&k);
        }
        Some(flow)
    }

    /// The flow of a fragment's first, if that has passed; nothing is noted.
    pub(super) fn first_of(&self, packet: &Inner, f: &Fragment) -> Option<FlowKey> {
        self.tracked.get(&key(packet, f)).map(|t| t.flow)
    }

    /// Forgets what is over.
    pub(super) fn expire(&mut self, now: Mono) {
        while let Some(&(until, k)) = self.order.front() {
            if now < until {
                break;
            }
            self.order.pop_front();
            // The same identification may have been used again since.
            if self.tracked.get(&k).is_some_and(|t| t.until <= until) {
                self.tracked.remove(&k);
            }
        }
    }
}
