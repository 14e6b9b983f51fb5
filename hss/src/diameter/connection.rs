//! One connection: its state, and the requests of ours that it has not answered.

use super::entry::Transport;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use types::Mono;
use wire::diameter::{CapabilitiesExchangeRequest, Identity, Message, Pdu};

/// A transport connection.
pub(super) struct Connection {
    pub from: Transport,
    pub state: State,
    /// When the state's time is up.
    pub timer: Mono,
    pub waiting: Requests,
}

/// What comes next.
pub(super) enum State {
    /// The first message must be a CER.
    ExpectCer,
    /// The CER was good, and its peer is connected already: who stays is being found out.
    Contender { pdu: Box<Pdu>, cer: Box<CapabilitiesExchangeRequest>, old: u64 },
    /// A peer.
    Open(Open),
    /// All is said.
    ExpectEnd,
}

pub(super) struct Open {
    pub peer: Identity,
    pub applications: BTreeSet<u32>,
    pub unanswered_watchdogs: u32,
    /// A newer connection of the same peer, which gets the place unless this one shows that it lives.
    pub contender: Option<u64>,
}

/// A request of ours.
pub(super) struct Waiting {
    pub txn: u64,
    pub deadline: Mono,
    pub application: u32,
    pub command: u32,
    pub session: Option<String>,
}

/// Requests of ours that one connection bears: more than these wait, and no connection is given more than its writer takes.
const WINDOW: usize = 256;
/// How many wait at most.
const QUEUE: usize = 16_384;

/// Requests of ours: sent and not answered, by their hop-by-hop identifiers; and those whose turn comes.
#[derive(Default)]
pub(super) struct Requests {
    sent: BTreeMap<u32, Waiting>,
    queue: VecDeque<(u64, Message)>,
}

impl Connection {
    pub fn new(from: Transport, timer: Mono) -> Self {
        Self { from, state: State::ExpectCer, timer, waiting: Requests::default() }
    }

    /// When something of it is due.
    pub fn due(&self) -> Mono {
        self.waiting.sent.values().map(|w| w.deadline).fold(self.timer, Mono::min)
    }
}

impl Requests {
    /// Puts a request into the queue; false where that is full.
    pub fn queue(&mut self, txn: u64, message: Message) -> bool {
        let room = self.queue.len() < QUEUE;
        if room {
            self.queue.push_back((txn, message));
        }
        room
    }

    /// The next that may be sent.
    pub fn next(&mut self) -> Option<(u64, Message)> {
        if self.sent.len() < WINDOW { self.queue.pop_front() } else { None }
    }

    /// It is sent.
    pub fn push(&mut self, hop_by_hop: u32, w: Waiting) {
        self.sent.insert(hop_by_hop, w);
    }

    /// The request of this identifier, if the answer is one to it.
    pub fn take(&mut self, hop_by_hop: u32, fits: impl FnOnce(&Waiting) -> bool) -> Option<Waiting> {
        self.sent.get(&hop_by_hop).is_some_and(fits).then(|| self.sent.remove(&hop_by_hop)).flatten()
    }

    /// Takes out what has waited for an answer for too long.
    pub fn late(&mut self, now: Mono) -> Vec<u64> {
        let late: Vec<u32> = self.sent.iter().filter(|(_, w)| w.deadline <= now).map(|(h, _)| *h).collect();
        late.iter().filter_map(|h| self.sent.remove(h)).map(|w| w.txn).collect()
    }

    /// Takes out all.
    pub fn all(&mut self) -> impl Iterator<Item = u64> + use<> {
        let sent = std::mem::take(&mut self.sent).into_values().map(|w| w.txn);
        sent.chain(std::mem::take(&mut self.queue).into_iter().map(|(txn, _)| txn))
    }
}
