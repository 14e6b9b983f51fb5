//! Packets that wait for an idle UE (TS 29.244 §5.2.3, Apply Action BUFF; TS 23.501 §5.8.3).
//!
//! What comes for a UE that is idle is judged, kept, and its UE asked for once. When the downlink is back the packets
//! walk through the shard anew, the oldest first and before anything newer, so that what was denied, banned or restricted
//! meanwhile does not pass. Bounded per session, per shard and in time. A banned SIM's packets are not kept; its cut is
//! not confirmed before those that waited are gone. Fragments do not wait: one alone is of no use.

use super::{Session, Shard};
use crate::batch::{Batch, HEADROOM, Input, Origin};
use crate::command::ShardEvent;
use crate::inner::Inner;
use crate::session::Downlink;
use crate::shard::rate::Way;
use std::collections::VecDeque;
use types::{Mono, Now, Reason};

/// One packet that waits.
pub(super) struct Held {
    since: Mono,
    origin: Origin,
    octets: Box<[u8]>,
}

/// The packets that wait for one UE; most sessions have none, so it is one word.
#[derive(Default)]
#[expect(clippy::box_collection, reason = "a session has one word for what it seldom has")]
pub(super) struct Waiting(Option<Box<VecDeque<Held>>>);

impl Waiting {
    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |q| q.len())
    }

    fn front(&self) -> Option<&Held> {
        self.0.as_ref()?.front()
    }

    fn append(&mut self, other: Self) {
        if let Some(mut other) = other.0 {
            self.0.get_or_insert_default().append(&mut other);
        }
    }

    fn push(&mut self, held: Held) {
        self.0.get_or_insert_default().push_back(held);
    }

    fn pop(&mut self) -> Option<Held> {
        let queue = self.0.as_mut()?;
        let held = queue.pop_front();
        if queue.is_empty() {
            self.0 = None;
        }
        held
    }
}

impl Session {
    /// True if a packet that is to go there cannot go, or not before others have gone.
    pub(super) fn waits(&self, there: Downlink) -> bool {
        there == Downlink::Wait || (self.waiting.len() > 0 && !self.is_idle())
    }
}

impl Shard {
    /// Keeps an admitted packet.
    pub(super) fn let_wait(
        &mut self,
        octets: &[u8],
        packet: &Inner,
        (session, way): (u32, Way),
        origin: Origin,
        now: Now,
    ) -> Result<(), Reason> {
        self.ask_for(session, way);
        let (most, room) = (self.limits.waiting_packets, self.limits.waiting_octets);
        let octets = octets.get(..packet.len).ok_or(Reason::MalformedInner)?;
        let s = self.session(session).ok_or(Reason::UnknownUe)?;
        if packet.fragment.is_some() {
            return Err(Reason::NoTunnel);
        }
        if s.waiting.len() >= s.room_to_wait(most) || self.waiting_octets + octets.len() > room {
            return Err(Reason::Overload);
        }
        let seid = s.seid;
        self.waiting_octets += octets.len();
        self.ages.push_back((now.mono, seid));
        self.counters.waited += 1;
        if let Some(s) = self.session_mut(session) {
            s.waiting.push(Held { since: now.mono, origin, octets: octets.into() });
        }
        Ok(())
    }

    /// Says once that a packet is there for a UE without a tunnel.
    pub(super) fn ask_for(&mut self, session: u32, way: Way) {
        let Some(s) = self.session_mut(session) else { return };
        let seid = s.seid;
        let pdr = if let Way::DownBy(pdr) = way { Some(pdr) } else { None };
        if !std::mem::replace(&mut s.paged, true) {
            self.say(ShardEvent::DownlinkData { seid, pdr });
        }
    }

    /// The session's downlink has changed: what waits for it goes, goes on waiting, or is given up.
    pub(super) fn downlink_changed(&mut self, session: u32) {
        let Some(s) = self.session_mut(session).filter(|s| s.waiting.len() > 0) else { return };
        let seid = s.seid;
        match s.downlink {
            _ if s.dropped => _ = self.forget_waiting(session, Reason::Banned),
            _ if s.is_reachable() => self.back.push_back(seid),
            // Whoever said this may not know that something waits (it was restarted).
            _ if s.is_idle() => {
                s.paged = false;
                self.ask_for(session, Way::Down);
            }
            Downlink::Forward { .. } | Downlink::Wait => {}
            Downlink::Drop => _ = self.forget_waiting(session, Reason::NotForwarded),
            Downlink::NoTunnel => _ = self.forget_waiting(session, Reason::NoTunnel),
        }
    }

    /// Sends what waited for UEs that are back, as far as the batch has room; the rest goes with the next one.
    pub(super) fn send_waiting(&mut self, batch: &mut Batch, now: Now) {
        while let Some(seid) = self.back.front().copied() {
            let at = self.by_seid.get(&seid).copied();
            let goes = Session::is_reachable;
            let queue = at.and_then(|at| self.session_mut(at)).filter(|s| goes(s)).map(|s| &mut s.waiting);
            // Taken out whole: what is sent here waits for nothing.
            let Some(mut queue) = queue.map(std::mem::take) else {
                self.back.pop_front();
                continue;
            };
            while let Some(held) = queue.front() {
                let made = batch.make(HEADROOM + held.octets.len(), |room| {
                    if let Some(space) = room.get_mut(HEADROOM..) {
                        space.copy_from_slice(&held.octets);
                    }
                    room.len()
                });
                let Some(piece) = made.and_then(|p| p.part(HEADROOM, held.octets.len())) else { break };
                let origin = held.origin;
                self.waiting_octets -= piece.len();
                queue.pop();
                self.on_packet(batch, Input { origin, piece, headroom: HEADROOM as u32 }, now);
            }
            if queue.len() > 0 {
                if let Some(s) = at.and_then(|at| self.session_mut(at)) {
                    // What still waits, because only another way to the UE is open, stays behind the rest.
                    let again = std::mem::replace(&mut s.waiting, queue);
                    s.waiting.append(again);
                }
                return;
            }
            self.back.pop_front();
        }
    }

    /// Drops everything that waits for a session; how many packets it was.
    pub(super) fn forget_waiting(&mut self, session: u32, reason: Reason) -> usize {
        let mut dropped = 0;
        while let Some(held) = self.session_mut(session).and_then(|s| s.waiting.pop()) {
            self.waiting_octets -= held.octets.len();
            self.counters.drop_one(reason);
            dropped += 1;
        }
        dropped
    }

    /// Drops what has waited too long. The next packet asks for its UE anew.
    pub(super) fn forget_waiting_too_long(&mut self, now: Mono) {
        while let Some((_, seid)) =
            self.ages.pop_front_if(|(since, _)| now.ms_since(*since) >= self.limits.waiting_ms)
        {
            let Some(&at) = self.by_seid.get(&seid) else { continue };
            let ms = self.limits.waiting_ms;
            let Some(s) = self.session_mut(at) else { continue };
            // One that has gone already leaves its age behind.
            if s.waiting.front().is_some_and(|h| now.ms_since(h.since) >= ms)
                && let Some(held) = s.waiting.pop()
            {
                s.paged = false;
                self.waiting_octets -= held.octets.len();
                self.counters.drop_one(Reason::NoTunnel);
            }
        }
    }
}
