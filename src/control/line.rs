//! A Diameter face's line to its peers: their core, and what writes to each connection.

use crate::io::diameter::{DiameterEvent, Writer};
use gateway::time::now;
use hss::diameter::{Gone, Impostor, Input, Output, Peers, Transport};
use std::collections::BTreeMap;
use tracing::warn;

/// Silence after which a peer is asked whether it lives (RFC 3539 §3.4.1).
pub(super) const WATCHDOG_MS: u64 = 30_000;
/// How long a peer has for an answer.
pub(super) const ANSWER_MS: u64 = 10_000;

/// Peers and their connections.
pub(super) struct Line {
    pub peers: Peers,
    writers: BTreeMap<u64, Writer>,
}

impl Line {
    /// Nobody is connected.
    pub fn new(peers: Peers) -> Self {
        Self { peers, writers: BTreeMap::new() }
    }

    /// What the transport says.
    pub fn event(&mut self, e: DiameterEvent) {
        let input = match e {
            DiameterEvent::Connected { connection, from, writer } => {
                self.writers.insert(connection, writer);
                Input::Connected { connection, from: Transport { address: from, certified: None } }
            }
            DiameterEvent::Received { connection, octets } => Input::Received { connection, octets },
            DiameterEvent::Lost { connection } => {
                self.writers.remove(&connection);
                Input::Lost { connection }
            }
        };
        self.peers.handle(input, now());
    }

    /// The next wish that is not about a connection.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            match self.peers.poll_output()? {
                Output::Send { connection, octets } => self.send(connection, octets),
                Output::Close { connection } => drop(self.writers.remove(&connection)),
                o => return Some(o),
            }
        }
    }

    /// Sends, if there is room: a peer that does not read is closed.
    fn send(&mut self, connection: u64, octets: Vec<u8>) {
        let full = self.writers.get(&connection).is_some_and(|w| w.try_send(octets).is_err());
        if full {
            warn!(connection, "a Diameter peer does not read: its connection is closed");
            self.writers.remove(&connection);
        }
    }
}

/// Why a peer is gone, in plain words.
pub(super) fn gone(why: Gone) -> String {
    match why {
        Gone::Lost => "its connection ended",
        Gone::Disconnected(_) => "it said so",
        Gone::Silent => "it did not answer two watchdogs",
        Gone::Replaced => "it connected anew",
        Gone::Faulty => "it spoke against the protocol",
    }
    .to_owned()
}

/// Why somebody was refused, in plain words.
pub(super) fn refused(why: Impostor) -> String {
    match why {
        Impostor::Unknown => "it is not in the list",
        Impostor::NotThatOne => "its realm or address is not that of the list",
        Impostor::InAnothersName => "it spoke in another's name",
    }
    .to_owned()
}
