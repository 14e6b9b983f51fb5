//! Requests of our own: heartbeats and session reports. A foreign peer gets one again after T1, N1 times (TS 29.244
//! §6.4); our own control plane is reached by a way that loses nothing.

use super::change::Done;
use super::{N4, N4Output, Peer};
use std::collections::BTreeMap;
use types::{Mono, Now, Seid};
use wire::pfcp::{self, Cause, Message, Pdu};

/// Most requests of which a peer owes the answer; what is reported to it beyond that is lost, and the packets wait or are
/// dropped all the same. Whether it lives it is asked in any case.
pub(super) const MOST: usize = 8_192;

/// T1 and N1 of TS 29.244 §6.4, and how often a peer is asked whether it lives.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two heartbeats, milliseconds.
    pub heartbeat_ms: u64,
    /// T1: a request is repeated after so many milliseconds.
    pub t1_ms: u64,
    /// N1: so often.
    pub n1: u8,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat_ms: 10_000, t1_ms: 3_000, n1: 3 }
    }
}

/// What a request of ours is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Heartbeat,
    Report(Seid),
}

/// Those of one peer, by their numbers.
pub(super) type Waiting = BTreeMap<u32, Sent>;

/// A request that waits for its answer.
pub(super) struct Sent {
    bytes: Vec<u8>,
    about: About,
    left: u8,
    again: Mono,
}

impl N4 {
    pub(super) fn request(
        &mut self,
        peer: Peer,
        seid: Option<u64>,
        message: Message,
        about: About,
        now: Now,
    ) {
        let sequence = self.next_request;
        self.next_request = (sequence + 1) & 0x00ff_ffff;
        let bytes = Pdu { seid, sequence, message }.encode();
        if peer != Peer::Local {
            let waiting = self.requests.entry(peer).or_default();
            if waiting.len() >= MOST && about != About::Heartbeat {
                return;
            }
            let again = now.mono.plus_ms(self.timing.t1_ms);
            waiting.insert(sequence, Sent { bytes: bytes.clone(), about, left: self.timing.n1, again });
        }
        self.out.push_back(N4Output::Send { peer, port: pfcp::PORT, bytes });
    }

    pub(super) fn next_repetition(&self) -> Option<Mono> {
        self.requests.values().flat_map(BTreeMap::values).map(|s| s.again).min()
    }

    pub(super) fn repeat_requests(&mut self, now: Now) {
        let due = |(peer, all): (&Peer, &Waiting)| {
            let late = all.iter().filter(|(_, s)| s.again <= now.mono);
            late.map(|(sequence, _)| (*peer, *sequence)).collect::<Vec<_>>()
        };
        let due: Vec<(Peer, u32)> = self.requests.iter().flat_map(due).collect();
        for (peer, sequence) in due {
            let Some(sent) = self.requests.get_mut(&peer).and_then(|all| all.get_mut(&sequence)) else {
                continue;
            };
            if sent.left > 0 {
                sent.left -= 1;
                sent.again = now.mono.plus_ms(self.timing.t1_ms);
                let bytes = sent.bytes.clone();
                self.out.push_back(N4Output::Send { peer, port: pfcp::PORT, bytes });
            } else if self.answered_for(peer, sequence) == Some(About::Heartbeat) {
                self.fell_silent(peer, now);
            }
        }
    }

    /// Nobody waits for its answer any more; what it was about.
    fn answered_for(&mut self, peer: Peer, sequence: u32) -> Option<About> {
        let waiting = self.requests.get_mut(&peer)?;
        let about = waiting.remove(&sequence).map(|s| s.about);
        if waiting.is_empty() {
            self.requests.remove(&peer);
        }
        about
    }

    /// An answer. One that nobody waits for changes nothing.
    pub(super) fn on_answer(&mut self, peer: Peer, sequence: u32, message: &Message, now: Now) {
        let sent = self.requests.get(&peer).and_then(|all| all.get(&sequence));
        let Some(about) = sent.map(|s| s.about) else { return };
        match (about, message) {
            (About::Heartbeat, Message::HeartbeatResponse(m)) => {
                let counts = self.seen(peer, m.recovery.0, now);
                if counts {
                    self.answered_for(peer, sequence);
                }
            }
            (About::Report(seid), Message::SessionReportResponse(m)) => {
                self.answered_for(peer, sequence);
                // §7.5.9: whoever made the session does not know it; nobody else may steer it.
                let mine = self.sessions.get(&seid).is_some_and(|e| e.peer == peer);
                if m.cause == Cause::SessionContextNotFound && mine {
                    self.drop_sessions(&[seid], Done::Nothing { rest: Vec::new() }, now);
                } else if let Some(bar) = m.update_bar.as_ref().filter(|_| mine && m.cause.is_accepted()) {
                    self.on_bar_in_report(seid, bar, now);
                }
            }
            _ => {}
        }
    }
}
