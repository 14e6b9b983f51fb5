//! Diameter peers (RFC 6733 §5, watchdog of RFC 3539): who may connect, that a connection lives, and which answer belongs
//! to which request.
//!
//! A pure core. Who owns the sockets gives whole messages in and takes octets out; connections have numbers of its choice.
//! What an application's request asks is for the faces ([`Output::Request`]); here it is only known from whom it may come.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the five verbs, and what becomes of a message |
//! | `entry` | the list of peers, and whether a connection is the one that it claims to be |
//! | `door` | a CER, and which of two connections of a peer stays |
//! | `requests` | requests of peers and of ours, and their answers |
//! | `connection` | the state of one connection, its watchdog, its requests under way |
//! | `again` | answers kept for requests that come twice |
//! | `heard` | which refusals an operator hears of |
//!
//! A peer that connects anew while it is connected has either restarted or is somebody else. A greater Origin-State-Id
//! says that it has restarted; else the old connection is asked, and while it answers the new one is refused. After a lost
//! connection a peer is in use again at once: RFC 3539's three watchdogs beforehand are for who may choose another server.

mod again;
mod connection;
mod door;
mod entry;
mod heard;
mod requests;
#[cfg(test)]
mod tests;

pub use entry::{Entry, Transport};
pub(crate) use requests::refusal;

use again::Again;
use connection::{Connection, State};
use heard::Heard;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use types::{Mono, Now};
use wire::diameter::{
    DeviceWatchdogAnswer, DeviceWatchdogRequest, DiameterError, Disconnect, DisconnectPeerAnswer,
    DisconnectPeerRequest, Identity, Message, Pdu, result,
};

/// How long a connection may be silent before its CER.
const CER_MS: u64 = 10_000;
/// How long the old connection of a peer has to prove that it lives, when the peer connects anew.
const CONTEST_MS: u64 = 2_000;
/// How long a peer has to close after a disconnect.
const FAREWELL_MS: u64 = 5_000;
/// Connections without a CER that are borne at a time.
const STRANGERS: usize = 64;
/// Requests of one connection that may be under way; more are refused as too many.
const UNDER_WAY: usize = 1_024;
/// ELECTION_LOST (RFC 6733 §7.1.4): another connection of this peer stays.
const ELECTION_LOST: u32 = 4003;
/// Realm not served (RFC 6733 §7.1.3).
const REALM_NOT_SERVED: u32 = 3003;

/// What belongs to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeersConfig {
    /// Our Origin-Host.
    pub host: Identity,
    /// Our Origin-Realm.
    pub realm: Identity,
    /// Our addresses, for Host-IP-Address.
    pub addresses: Vec<IpAddr>,
    /// Our Origin-State-Id: greater at each start.
    pub origin_state: u32,
    /// Who may connect.
    pub peers: Vec<Entry>,
    /// Silence after which a peer is asked whether it lives, milliseconds (Tw, RFC 3539 §3.4.1: 30 s, at least 6).
    pub watchdog_ms: u64,
    /// How long we wait for an answer, milliseconds.
    pub answer_ms: u64,
}

/// Facts for the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Somebody has connected.
    Connected {
        /// The connection's number.
        connection: u64,
        /// From where, and as whom by certificate.
        from: Transport,
    },
    /// A whole message has come.
    Received {
        /// By which connection.
        connection: u64,
        /// Header and AVPs.
        octets: Vec<u8>,
    },
    /// A connection has ended, whoever has ended it.
    Lost {
        /// Which.
        connection: u64,
    },
    /// The answer to an [`Output::Request`].
    Answer {
        /// The request's number.
        id: u64,
        /// What is answered.
        message: Message,
    },
    /// We want to know something of a peer.
    Ask {
        /// Our number for it.
        txn: u64,
        /// Whom.
        peer: Identity,
        /// What.
        message: Message,
    },
    /// We go away for a while: every peer is told.
    Farewell,
}

/// Wishes of the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Send {
        /// By which connection.
        connection: u64,
        /// A whole message.
        octets: Vec<u8>,
    },
    /// Close, once what was sent is out.
    Close {
        /// Which.
        connection: u64,
    },
    /// A peer is there.
    Up {
        /// Who.
        peer: Identity,
        /// Which of its applications are served.
        applications: BTreeSet<u32>,
        /// True if its Origin-State-Id says that it has lost what it knew.
        restarted: bool,
        /// Its Origin-State-Id, where it has one.
        state: Option<u32>,
        /// Its Product-Name and Firmware-Revision.
        product: String,
    },
    /// A peer is gone.
    Down {
        /// Who.
        peer: Identity,
        /// Why.
        why: Gone,
    },
    /// A peer asks. Answered by [`Input::Answer`].
    Request {
        /// Our number for it.
        id: u64,
        /// Who asks.
        peer: Identity,
        /// What.
        message: Message,
    },
    /// The answer to an [`Input::Ask`].
    Answered {
        /// The asker's number.
        txn: u64,
        /// What it says.
        message: Message,
    },
    /// There is no answer to an [`Input::Ask`], and there will be none.
    Unanswered {
        /// The asker's number.
        txn: u64,
    },
    /// Somebody was refused who an operator should know of.
    Refused {
        /// Who they said they are.
        claimed: Identity,
        /// From where.
        from: IpAddr,
        /// Why.
        why: Impostor,
    },
}

/// Why a peer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The connection ended.
    Lost,
    /// It said so.
    Disconnected(Disconnect),
    /// It did not answer two watchdogs.
    Silent,
    /// It has connected anew.
    Replaced,
    /// It spoke against the protocol.
    Faulty,
}

/// What was wrong with who wanted to be a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impostor {
    /// Nobody of that name is in the list.
    Unknown,
    /// The name is in the list, with another realm, address or certificate.
    NotThatOne,
    /// A request in another peer's name.
    InAnothersName,
}

/// All peers.
pub struct Peers {
    config: PeersConfig,
    rng: ChaCha20Rng,
    connections: BTreeMap<u64, Connection>,
    /// Who is there, by which connection.
    up: BTreeMap<Identity, u64>,
    /// Of each peer that has been there: its last Origin-State-Id, and how often it was a greater one.
    states: BTreeMap<Identity, (Option<u32>, u64)>,
    /// Requests that the faces have not answered yet: by which connection, and with which header.
    asked: BTreeMap<u64, (u64, Pdu)>,
    again: BTreeMap<Identity, Again>,
    heard: Heard,
    last_id: u64,
    hop_by_hop: u32,
    end_to_end: u32,
    messages: u64,
    outputs: VecDeque<Output>,
}

impl Peers {
    /// Nobody is there yet. `seed` is 32 octets of the OS's randomness.
    pub fn new(config: PeersConfig, now: Now, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        // RFC 6733 §3: the upper 12 bits are time, so that no identifier comes again after a restart.
        let seconds = u32::try_from(now.utc.0.rem_euclid(4_096_000) / 1000).unwrap_or(0);
        let end_to_end = (seconds << 20) | (rng.next_u32() >> 12);
        let again = config.peers.iter().map(|p| (p.host.clone(), Again::default())).collect();
        Self {
            hop_by_hop: rng.next_u32(),
            end_to_end,
            rng,
            config,
            connections: BTreeMap::new(),
            up: BTreeMap::new(),
            states: BTreeMap::new(),
            asked: BTreeMap::new(),
            again,
            heard: Heard::default(),
            last_id: 0,
            messages: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Who is there.
    pub fn up(&self) -> impl Iterator<Item = &Identity> {
        self.up.keys()
    }

    /// Everybody of the list; of those who have been there, the last Origin-State-Id and how often it was a greater one.
    pub fn listed(&self) -> impl Iterator<Item = (&Identity, Option<(Option<u32>, u64)>)> {
        self.config.peers.iter().map(|p| (&p.host, self.states.get(&p.host).copied()))
    }

    /// True while this peer is there.
    pub fn is_up(&self, peer: &Identity) -> bool {
        self.up.contains_key(peer)
    }

    /// How many messages have come.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The next wish, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Peers::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.connections.values().map(Connection::due).min()
    }

    /// Takes a fact in.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Connected { connection, from } => self.connected(connection, from, now),
            Input::Received { connection, octets } => self.received(connection, &octets, now),
            Input::Lost { connection } => self.gone(connection, Gone::Lost, now),
            Input::Answer { id, message } => self.answer(id, message),
            Input::Ask { txn, peer, message } => self.ask(txn, &peer, message, now),
            Input::Farewell => self.farewell(now),
        }
    }

    /// Watchdogs, and what has waited for too long.
    pub fn handle_timeout(&mut self, now: Now) {
        let due: Vec<u64> =
            self.connections.iter().filter(|(_, c)| c.due() <= now.mono).map(|(id, _)| *id).collect();
        for id in due {
            self.timeout(id, now);
        }
    }

    fn connected(&mut self, id: u64, from: Transport, now: Now) {
        let strangers = self.connections.values().filter(|c| matches!(c.state, State::ExpectCer)).count();
        if strangers >= STRANGERS {
            return self.outputs.push_back(Output::Close { connection: id });
        }
        self.connections.insert(id, Connection::new(from, now.mono.plus_ms(CER_MS)));
    }

    fn timeout(&mut self, id: u64, now: Now) {
        let Some(c) = self.connections.get_mut(&id) else { return };
        for txn in c.waiting.late(now.mono) {
            self.outputs.push_back(Output::Unanswered { txn });
        }
        if c.timer > now.mono {
            return self.ask_next(id, now);
        }
        match &mut c.state {
            State::ExpectCer | State::Contender { .. } | State::ExpectEnd => {
                self.close(id, Gone::Silent, now)
            }
            State::Open(open) => match open.contender.take() {
                // The old connection did not answer in time.
                Some(newcomer) => {
                    self.close(id, Gone::Replaced, now);
                    self.contest_won(newcomer, now);
                }
                None if open.unanswered_watchdogs >= 2 => self.close(id, Gone::Silent, now),
                None => {
                    self.watchdog(id, now);
                    self.ask_next(id, now);
                }
            },
        }
    }

    /// Asks whether the peer lives. With the second question unanswered nothing else is asked of it (RFC 3539's suspect).
    fn watchdog(&mut self, id: u64, now: Now) {
        let timer = now.mono.plus_ms(self.jittered());
        let message = DeviceWatchdogRequest {
            origin_host: self.config.host.clone(),
            origin_realm: self.config.realm.clone(),
            origin_state: Some(self.config.origin_state),
        };
        let Some(Connection { state: State::Open(open), .. }) = self.connections.get_mut(&id) else { return };
        open.unanswered_watchdogs += 1;
        let suspect = open.unanswered_watchdogs > 1;
        if let Some(c) = self.connections.get_mut(&id) {
            c.timer = timer;
            if suspect {
                self.outputs.extend(c.waiting.all().map(|txn| Output::Unanswered { txn }));
            }
        }
        self.request(id, message.into());
    }

    /// Tw with its jitter of two seconds (RFC 3539 §3.4.1), milliseconds.
    fn jittered(&mut self) -> u64 {
        let jitter = u64::from(self.rng.next_u32() % 4_000);
        (self.config.watchdog_ms + jitter).saturating_sub(2_000)
    }

    fn received(&mut self, id: u64, octets: &[u8], now: Now) {
        let timer = now.mono.plus_ms(self.jittered());
        let Some(c) = self.connections.get_mut(&id) else { return };
        self.messages += 1;
        let newcomer = match &mut c.state {
            State::Open(open) => {
                c.timer = timer;
                open.unanswered_watchdogs = 0;
                open.contender.take()
            }
            _ => None,
        };
        if let Some(newcomer) = newcomer {
            self.contest_lost(newcomer, now);
        }
        match Pdu::parse(octets) {
            Ok(pdu) => self.message(id, pdu, now),
            Err(e) => self.unreadable(id, &e, now),
        }
    }

    fn unreadable(&mut self, id: u64, e: &DiameterError, now: Now) {
        let open = matches!(self.connections.get(&id), Some(Connection { state: State::Open(_), .. }));
        if let Some(octets) = e.answer(&self.config.host, &self.config.realm) {
            self.outputs.push_back(Output::Send { connection: id, octets });
        }
        // Without a header nobody knows where the next message begins; before the CER nothing may be wrong.
        if e.header.is_none() || !open {
            self.close(id, Gone::Faulty, now);
        }
    }

    fn message(&mut self, id: u64, pdu: Pdu, now: Now) {
        let Some(c) = self.connections.get(&id) else { return };
        match (&c.state, &pdu.message) {
            (State::ExpectCer, Message::CapabilitiesExchangeRequest(cer)) => {
                let cer = cer.clone();
                self.introduced(id, &pdu, &cer, now);
            }
            (State::ExpectCer, _) => self.close(id, Gone::Faulty, now),
            // Nobody speaks before it is decided who stays; after a farewell nothing is heard but its answer.
            (State::Contender { .. }, _) => {}
            (State::ExpectEnd, Message::DisconnectPeerAnswer(_)) => self.close(id, Gone::Faulty, now),
            (State::ExpectEnd, _) => {}
            (State::Open(_), Message::DeviceWatchdogRequest(_)) => {
                let message = DeviceWatchdogAnswer {
                    result_code: result::SUCCESS,
                    origin_host: self.config.host.clone(),
                    origin_realm: self.config.realm.clone(),
                    error_message: None,
                    failed_avp: None,
                    origin_state: Some(self.config.origin_state),
                };
                self.send(id, &pdu.answer(message));
            }
            (State::Open(_), Message::DisconnectPeerRequest(dpr)) => {
                let message = DisconnectPeerAnswer {
                    result_code: result::SUCCESS,
                    origin_host: self.config.host.clone(),
                    origin_realm: self.config.realm.clone(),
                    error_message: None,
                    failed_avp: None,
                };
                let cause = dpr.cause;
                self.send(id, &pdu.answer(message));
                // It closes; should it not, we do.
                self.leave(id, Gone::Disconnected(cause), now);
            }
            (State::Open(open), Message::CapabilitiesExchangeRequest(cer)) => {
                // Once is enough (RFC 6733 §5.3); a second one in another name is an attempt.
                if cer.origin_host == open.peer {
                    return self.send_cea(id, &pdu, result::SUCCESS, None);
                }
                let claimed = cer.origin_host.clone();
                self.refused(id, &claimed, Impostor::InAnothersName, now);
                self.close(id, Gone::Faulty, now);
            }
            (State::Open(_), m) if m.route().is_some() => self.asked_by_peer(id, pdu, now),
            (State::Open(_), _) => self.answered(id, pdu, now),
        }
    }

    fn refused(&mut self, id: u64, claimed: &Identity, why: Impostor, now: Now) {
        if let Some(c) = self.connections.get(&id)
            && self.heard.may(c.from.address, now.mono)
        {
            self.outputs.push_back(Output::Refused { claimed: claimed.clone(), from: c.from.address, why });
        }
    }

    fn send(&mut self, id: u64, pdu: &Pdu) {
        self.outputs.push_back(Output::Send { connection: id, octets: pdu.encode() });
    }

    fn close(&mut self, id: u64, why: Gone, now: Now) {
        self.outputs.push_back(Output::Close { connection: id });
        self.gone(id, why, now);
    }

    /// Forgets a connection, and the peer with it if it was the peer's.
    fn gone(&mut self, id: u64, why: Gone, now: Now) {
        self.leave(id, why, now);
        self.connections.remove(&id);
    }

    /// What is asked of this connection has no answer, and its peer is not there any more; only its end is awaited. What
    /// the peer has asked goes on: its answer is kept for when it asks again.
    fn leave(&mut self, id: u64, why: Gone, now: Now) {
        let Some(c) = self.connections.get_mut(&id) else { return };
        self.outputs.extend(c.waiting.all().map(|txn| Output::Unanswered { txn }));
        c.timer = now.mono.plus_ms(FAREWELL_MS);
        match std::mem::replace(&mut c.state, State::ExpectEnd) {
            State::Open(open) => {
                self.up.remove(&open.peer);
                self.outputs.push_back(Output::Down { peer: open.peer, why });
                if let Some(newcomer) = open.contender {
                    self.contest_won(newcomer, now);
                }
            }
            // Its place in the contest is free again.
            State::Contender { old, .. } => {
                if let Some(Connection { state: State::Open(open), .. }) = self.connections.get_mut(&old) {
                    open.contender = None;
                }
            }
            State::ExpectCer | State::ExpectEnd => {}
        }
    }

    fn farewell(&mut self, now: Now) {
        for id in self.up.values().copied().collect::<Vec<_>>() {
            let message = DisconnectPeerRequest {
                origin_host: self.config.host.clone(),
                origin_realm: self.config.realm.clone(),
                cause: Disconnect::Rebooting,
            };
            self.request(id, message.into());
            self.leave(id, Gone::Disconnected(Disconnect::Rebooting), now);
        }
    }
}
