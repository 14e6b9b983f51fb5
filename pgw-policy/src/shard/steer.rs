//! What the PFCP rules of a session ask of each packet, beyond its tunnel endpoint: which PDR it belongs to, where PDRs
//! have filters (TS 29.244 §5.2.1A), which URRs count it (§5.2.2), and how many may wait (§5.2.4).
//!
//! Most sessions have none of it; they have one word for it here, and their packets are not asked.

use super::rate::Way;
use super::{Session, Shard};
use crate::inner::{Inner, Transport};
use crate::inner6::{Six, is_six};
use crate::session::{Counted, Downlink, Measure, Paths, RateOf, Seen, Steps, Usage};
use std::net::IpAddr;
use std::sync::Arc;
use types::{Direction, Reason};

/// See the module.
#[derive(Default)]
pub(super) struct Steer {
    steps: Option<Arc<Steps>>,
    counts: Box<[Count]>,
    /// Most packets that may wait.
    waiting: Option<u16>,
}

/// What one URR has seen.
struct Count {
    urr: u32,
    of: Box<[RateOf]>,
    used: Usage,
}

impl Steer {
    /// What `paths` ask, after what was asked before. What a URR has counted stays until it is told, also where the URR is
    /// gone: its last report is still to be made.
    pub(super) fn anew(before: Option<Box<Self>>, paths: &Paths) -> Option<Box<Self>> {
        let mut old = before.map(|b| Vec::from(b.counts)).unwrap_or_default();
        let mut count = |m: &Measure| {
            let at = old.iter().position(|c| c.urr == m.urr);
            let used = at.map_or(Usage::default(), |at| old.swap_remove(at).used);
            Count { urr: m.urr, of: m.of.clone(), used }
        };
        let mut counts: Vec<Count> = paths.measures.iter().map(&mut count).collect();
        let untold = |c: Count| (c.used != Usage::default()).then_some(Count { of: Box::default(), ..c });
        counts.extend(old.into_iter().filter_map(untold));
        let (steps, waiting) = (paths.steps.clone(), paths.waiting);
        let asks = steps.is_some() || waiting.is_some() || !counts.is_empty();
        asks.then(|| Box::new(Self { steps, counts: counts.into(), waiting }))
    }

    /// What the URRs have seen. Of those that are gone it is said once.
    pub(super) fn tell(&mut self) -> Counted {
        let told = Counted(self.counts.iter().map(|c| (c.urr, c.used)).collect());
        if self.counts.iter().any(|c| c.of.is_empty()) {
            let all = std::mem::take(&mut self.counts);
            self.counts = all.into_iter().filter(|c| !c.of.is_empty()).collect();
        }
        told
    }
}

/// Where a packet for a UE goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Towards {
    pub(super) way: Way,
    pub(super) downlink: Downlink,
}

impl Session {
    /// A packet of so many octets has passed this way.
    pub(super) fn count(&mut self, way: Way, octets: usize) {
        let Some(steer) = &mut self.steer else { return };
        for count in &mut steer.counts {
            if count.of.iter().any(|of| of.speaks_of(way)) {
                match way.direction() {
                    Direction::Out => count.used.uplink += octets as u64,
                    Direction::In => count.used.downlink += octets as u64,
                }
            }
        }
    }

    /// How many packets may wait for its UE: as many as its BAR says, and never more than there is room for.
    pub(super) fn room_to_wait(&self, ours: usize) -> usize {
        let bar = self.steer.as_ref().and_then(|s| s.waiting);
        bar.map_or(ours, |bar| ours.min(usize::from(bar)))
    }

    fn steps(&self) -> Option<&Arc<Steps>> {
        self.steer.as_ref()?.steps.as_ref()
    }

    /// All the ways to its UE.
    pub(super) fn downlinks(&self) -> impl Iterator<Item = Downlink> {
        let of_steps = self.steps().into_iter().flat_map(|s| s.down.iter()).map(|step| step.downlink);
        std::iter::once(self.downlink).chain(of_steps)
    }

    /// True if there is a way to its UE.
    pub(super) fn is_reachable(&self) -> bool {
        self.downlinks().any(|d| matches!(d, Downlink::Forward { .. }))
    }

    /// True if packets wait for it, at least those of one PDR.
    pub(super) fn is_idle(&self) -> bool {
        self.downlinks().any(|d| d == Downlink::Wait)
    }

    /// The way that goes by itself: of packets of ours, and of all where no PDR has filters.
    pub(super) fn usual(&self) -> Towards {
        Towards { way: Way::Down, downlink: self.downlink }
    }
}

impl Shard {
    /// Which PDR a packet from the UE belongs to; refused if it is none that forwards.
    pub(super) fn steer_up(
        &self,
        session: u32,
        (endpoint, qfi): (u8, Option<u8>),
        packet: &Inner,
        octets: &[u8],
    ) -> Result<Way, Reason> {
        let steps = self.session(session).and_then(Session::steps);
        let Some(steps) = steps else { return Ok(Way::Up { endpoint, qfi }) };
        let seen = self.seen(packet, octets, Direction::Out);
        match steps.up(endpoint, qfi, &seen) {
            Some(step) if step.forwards => Ok(Way::UpBy(step.pdr)),
            Some(_) | None => Err(Reason::NotForwarded),
        }
    }

    /// Which PDR a packet for the UE belongs to; refused if it is none.
    pub(super) fn steer_down(&self, session: u32, packet: &Inner, octets: &[u8]) -> Result<Towards, Reason> {
        let s = self.session(session).ok_or(Reason::UnknownUe)?;
        let Some(steps) = s.steps() else { return Ok(s.usual()) };
        let seen = self.seen(packet, octets, Direction::In);
        let step = steps.down(&seen).ok_or(Reason::NotForwarded)?;
        Ok(Towards { way: Way::DownBy(step.pdr), downlink: step.downlink })
    }

    /// A packet as filters see it. A later fragment has the ports of its first, and no payload that could be read.
    fn seen<'a>(&self, packet: &Inner, octets: &'a [u8], direction: Direction) -> Seen<'a> {
        let (src, dst): (IpAddr, IpAddr) = if is_six(octets) {
            let ends = Six::ends(octets);
            (ends.0.into(), ends.1.into())
        } else {
            (packet.src.into(), packet.dst.into())
        };
        let mut protocol = packet.protocol;
        let (src_port, dst_port) = match packet.transport {
            Transport::Tcp { src, dst, .. } | Transport::Udp { src, dst } => (Some(src), Some(dst)),
            Transport::Later => {
                let first = packet.fragment.and_then(|f| self.fragments.first_of(packet, &f));
                protocol = first.map_or(protocol, |key| key.protocol);
                let ports = first.filter(|key| matches!(key.protocol, crate::inner::TCP | crate::inner::UDP));
                match (ports, direction) {
                    (Some(key), Direction::Out) => (Some(key.ue_port), Some(key.peer_port)),
                    (Some(key), Direction::In) => (Some(key.peer_port), Some(key.ue_port)),
                    (None, _) => (None, None),
                }
            }
            Transport::Echo { .. } | Transport::Error(_) | Transport::Other => (None, None),
        };
        let (remote, ue) = match direction {
            Direction::Out => ((dst, dst_port), (src, src_port)),
            Direction::In => ((src, src_port), (dst, dst_port)),
        };
        let payload = (packet.transport != Transport::Later).then_some(packet.header);
        Seen { protocol, remote, ue, octets, payload }
    }
}
