//! Many associations on one socket, without the socket: packets and time come in, packets and events go out.
//!
//! Order of use: [`Driver::on_packet`], [`Driver::handle_timeout`] or a command, then [`Driver::poll_transmit`]
//! and [`Driver::poll_event`] until they are empty, then [`Driver::poll_timeout`].
//!
//! An association is found by its path (peer address with UDP port, both SCTP ports); if the verification tag
//! is not the one of that path, by the tag. A peer with two addresses, or one behind a NAT whose UDP
//! port changed, is answered where it last spoke from (RFC 6951 §5.4), provided it knows the tag.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod handshake;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use dcsctp::api::SendError;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use types::Mono;

use super::assoc::{Assoc, Step};
use super::cookie::CookieKey;
use super::packet::{self, Packet, T_BIT, kind};
use super::{DownReason, SctpConfig, SctpEvent, SctpMode};

/// Octets of messages that wait for the owner, for one association; beyond it the peer's window closes.
const INBOX: usize = 256 * 1024;

/// Events that may wait; beyond it no new association is accepted.
const EVENTS: usize = 4096;

/// Answers to packets of no association, per second.
const STRAY_ANSWERS: u32 = 100;

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to; the port is the UDP port, or 0 in raw mode.
    pub to: SocketAddr,
    /// The SCTP packet.
    pub bytes: Vec<u8>,
}

/// What was dropped or refused so far, and what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SctpCounters {
    /// Packets received.
    pub packets: u64,
    /// From an address that may not speak to us.
    pub not_allowed: u64,
    /// Header, chunk chain, or bundling wrong.
    pub malformed: u64,
    /// Wrong CRC32c.
    pub bad_checksum: u64,
    /// In raw mode: for another stack of this host.
    pub not_ours: u64,
    /// Of an association's path but with a wrong verification tag.
    pub wrong_tag: u64,
    /// Of no association.
    pub stray: u64,
    /// Cookies that were forged, stale, or did not fit.
    pub bad_cookie: u64,
    /// INITs refused because of a limit.
    pub over_limit: u64,
    /// Associations ended because the peer broke the protocol.
    pub misbehaved: u64,
    /// Associations that came to stand.
    pub up: u64,
    /// Associations that ended.
    pub down: u64,
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// No such association, or it is closing.
    #[error("no such association")]
    Gone,
    /// Empty or longer than [`super::MAX_MESSAGE`].
    #[error("message of {0} octets cannot be sent")]
    Size(usize),
    /// The peer does not read; the association is aborted, because NGAP cannot bear a lost message.
    #[error("send queue full, association aborted")]
    Overrun,
}

/// Where a packet comes from, as an association knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Path {
    ip: IpAddr,
    udp: u16,
    peer_port: u16,
    local_port: u16,
}

impl Path {
    fn of(src: SocketAddr, packet: &Packet<'_>) -> Self {
        Self { ip: src.ip(), udp: src.port(), peer_port: packet.src_port, local_port: packet.dst_port }
    }

    fn to(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.udp)
    }

    fn peer(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.peer_port)
    }
}

struct Entry {
    assoc: Assoc,
    path: Path,
    /// Our verification tag as it stands in `tags`.
    tag: u32,
    /// The peer's verification tag; 0 on the client side, where dcsctp keeps it.
    peer_tag: u32,
    deadline: Option<Mono>,
    /// Octets of messages in `events`.
    waiting: usize,
}

/// Where a packet belongs.
enum Match {
    /// To this association, on its path.
    Here(u64),
    /// To this association, from another address.
    Moved(u64),
    /// On the path of this association, but the tag is not its own.
    WrongTag(u64),
    None,
}

/// All associations of one socket.
pub struct Driver {
    config: SctpConfig,
    /// The port that accepts; `None` on the client side.
    listen: Option<u16>,
    rng: ChaCha20Rng,
    key: CookieKey,
    assocs: BTreeMap<u64, Entry>,
    paths: BTreeMap<Path, u64>,
    tags: BTreeMap<u32, u64>,
    deadlines: BTreeSet<(Mono, u64)>,
    /// Associations whose messages wait in the socket for the owner.
    held: BTreeSet<u64>,
    next: u64,
    out: VecDeque<Transmit>,
    events: VecDeque<SctpEvent>,
    stray_second: u64,
    stray_answers: u32,
    counters: SctpCounters,
}

impl Driver {
    /// A driver that accepts associations on `config.port`. `seed` must come from the operating system.
    pub fn server(config: SctpConfig, seed: [u8; 32]) -> Self {
        let port = config.port;
        Self::new(config, Some(port), seed)
    }

    /// A driver that only connects. `seed` must come from the operating system.
    pub fn client(config: SctpConfig, seed: [u8; 32]) -> Self {
        Self::new(config, None, seed)
    }

    fn new(config: SctpConfig, listen: Option<u16>, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self {
            config,
            listen,
            key: CookieKey::new(&key),
            rng,
            assocs: BTreeMap::new(),
            paths: BTreeMap::new(),
            tags: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            held: BTreeSet::new(),
            next: 1,
            out: VecDeque::new(),
            events: VecDeque::new(),
            stray_second: 0,
            stray_answers: 0,
            counters: SctpCounters::default(),
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> SctpCounters {
        self.counters
    }

    /// Associations that exist, standing or not.
    pub fn len(&self) -> usize {
        self.assocs.len()
    }

    /// Whether there is no association.
    pub fn is_empty(&self) -> bool {
        self.assocs.is_empty()
    }

    /// Starts an association with `peer_port` at `to` (in UDP mode with the UDP port of the peer). The answer is
    /// an `Up` or a `Down` with the number returned here.
    pub fn connect(&mut self, to: SocketAddr, peer_port: u16, now: Mono) -> u64 {
        let to = canonical(to);
        let mut path = Path { ip: to.ip(), udp: to.port(), peer_port, local_port: self.config.port };
        while path.local_port == 0 || self.paths.contains_key(&path) {
            // The dynamic ports of RFC 6335 §6.
            path.local_port = 49152 + (self.rng.next_u32() % 16384) as u16;
        }
        // dcsctp draws the initiate tag and the TSN from this thread's `fastrand`.
        fastrand::seed(self.rng.next_u64());
        let mut assoc = Assoc::new(&self.config, path.local_port, peer_port, now);
        assoc.connect(now);
        let id = self.insert(assoc, path, 0);
        self.settle(id, now);
        id
    }

    /// A datagram from the socket; `src` carries the UDP port, or 0 in raw mode.
    pub fn on_packet(&mut self, src: SocketAddr, bytes: &[u8], now: Mono) {
        self.counters.packets += 1;
        let src = canonical(src);
        if !self.is_allowed(src.ip()) {
            self.counters.not_allowed += 1;
            return;
        }
        let Some(packet) = Packet::parse(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        if self.config.mode == SctpMode::Raw && !self.owns(packet.dst_port) {
            self.counters.not_ours += 1;
            return;
        }
        if !packet.checksum_ok() {
            self.counters.bad_checksum += 1;
            return;
        }
        if !packet.bundling_ok() {
            self.counters.malformed += 1;
            return;
        }
        match packet.first().map(|c| c.kind) {
            Some(kind::INIT) => self.on_init(src, &packet, now),
            Some(kind::COOKIE_ECHO) => self.on_cookie_echo(src, &packet, now),
            _ => self.on_other(src, &packet, now),
        }
    }

    fn on_other(&mut self, src: SocketAddr, packet: &Packet<'_>, now: Mono) {
        let path = Path::of(src, packet);
        match self.find(path, packet.tag) {
            Match::Here(id) => self.input(id, packet, now),
            Match::Moved(id) => {
                self.relocate(id, path);
                self.input(id, packet, now);
            }
            // RFC 9260 §8.5.1 B and C: with the T bit the tag is the peer's own, which dcsctp knows.
            Match::WrongTag(id)
                if packet.chunks().any(|c| {
                    c.flags & T_BIT != 0 && matches!(c.kind, kind::ABORT | kind::SHUTDOWN_COMPLETE)
                }) =>
            {
                self.input(id, packet, now);
            }
            Match::WrongTag(_) => self.counters.wrong_tag += 1,
            Match::None => self.on_stray(src, packet, now),
        }
    }

    fn find(&self, path: Path, tag: u32) -> Match {
        let here = self.paths.get(&path).copied();
        let by_tag = self.tags.get(&tag).copied().filter(|_| tag != 0);
        match (here, by_tag) {
            (Some(id), Some(owner)) if id == owner => Match::Here(id),
            (_, Some(owner)) => {
                let ports = self.assocs.get(&owner).map(|e| e.assoc.ports());
                if ports == Some((path.local_port, path.peer_port)) {
                    Match::Moved(owner)
                } else {
                    here.map_or(Match::None, Match::WrongTag)
                }
            }
            (Some(id), None) => Match::WrongTag(id),
            (None, None) => Match::None,
        }
    }

    /// RFC 9260 §8.4, for allowed peers only.
    fn on_stray(&mut self, src: SocketAddr, packet: &Packet<'_>, now: Mono) {
        self.counters.stray += 1;
        let silent = [kind::ABORT, kind::SHUTDOWN_COMPLETE, kind::INIT_ACK, kind::COOKIE_ACK, kind::ERROR];
        if silent.iter().any(|k| packet.has(*k)) {
            return;
        }
        let answer = if packet.has(kind::SHUTDOWN_ACK) { kind::SHUTDOWN_COMPLETE } else { kind::ABORT };
        self.answer_stray(src, packet, packet.tag, answer, T_BIT, now);
    }

    fn answer_stray(
        &mut self,
        src: SocketAddr,
        packet: &Packet<'_>,
        tag: u32,
        kind: u8,
        flags: u8,
        now: Mono,
    ) {
        let second = now.0 / 1_000_000_000;
        if second != self.stray_second {
            (self.stray_second, self.stray_answers) = (second, 0);
        }
        if self.stray_answers >= STRAY_ANSWERS {
            return;
        }
        self.stray_answers += 1;
        let chunk = packet::chunk(kind, flags, &[]);
        self.send(src, packet.dst_port, packet.src_port, tag, &chunk);
    }

    fn send(&mut self, to: SocketAddr, src_port: u16, dst_port: u16, tag: u32, chunks: &[u8]) {
        let bytes = packet::packet(src_port, dst_port, tag, chunks);
        self.out.push_back(Transmit { to, bytes });
    }

    fn is_allowed(&self, ip: IpAddr) -> bool {
        !ip.is_multicast()
            && !ip.is_unspecified()
            && (self.config.allowed.iter().any(|net| net.contains(&ip))
                || self.listen.is_none() && self.assocs.values().any(|e| e.path.ip == ip))
    }

    fn owns(&self, port: u16) -> bool {
        self.listen == Some(port)
            || self.listen.is_none() && self.assocs.values().any(|e| e.path.local_port == port)
    }

    fn has_room(&self, ip: IpAddr) -> bool {
        let first = Path { ip, udp: 0, peer_port: 0, local_port: 0 };
        let last = Path { ip, udp: u16::MAX, peer_port: u16::MAX, local_port: u16::MAX };
        self.assocs.len() < self.config.limits.associations
            && self.paths.range(first..=last).count() < self.config.limits.per_peer
            && self.events.len() < EVENTS
    }

    fn insert(&mut self, assoc: Assoc, path: Path, peer_tag: u32) -> u64 {
        let id = self.next;
        self.next += 1;
        let tag = assoc.local_tag();
        self.paths.insert(path, id);
        self.tags.insert(tag, id);
        self.assocs.insert(id, Entry { assoc, path, tag, peer_tag, deadline: None, waiting: 0 });
        id
    }

    /// Answers go where the peer, who knows the tag, last spoke from.
    fn relocate(&mut self, id: u64, path: Path) {
        if self.paths.contains_key(&path) {
            return;
        }
        if let Some(entry) = self.assocs.get_mut(&id) {
            self.paths.remove(&entry.path);
            self.paths.insert(path, id);
            entry.path = path;
        }
    }

    fn input(&mut self, id: u64, packet: &Packet<'_>, now: Mono) {
        if let Some(entry) = self.assocs.get_mut(&id) {
            entry.assoc.input(packet, now);
            self.settle(id, now);
        }
    }

    /// Takes what the association has to say after anything was done to it.
    fn settle(&mut self, id: u64, now: Mono) {
        let mut steps = Vec::new();
        let Some(entry) = self.assocs.get_mut(&id) else { return };
        entry.assoc.drain(entry.waiting < INBOX, &mut steps);
        let (to, peer) = (entry.path.to(), entry.path.peer());
        let mut end = None;
        for step in steps {
            match step {
                Step::Transmit(bytes) => self.out.push_back(Transmit { to, bytes }),
                Step::Up { streams } => {
                    self.counters.up += 1;
                    self.events.push_back(SctpEvent::Up { assoc: id, peer, streams });
                }
                Step::Data(message) => {
                    entry.waiting += cost(message.payload.len());
                    self.events.push_back(SctpEvent::Data {
                        assoc: id,
                        stream: message.stream_id.0,
                        ppid: message.ppid.0,
                        bytes: message.payload,
                    });
                }
                Step::Down(reason) => end = Some(reason),
            }
        }
        if entry.assoc.is_held() {
            self.held.insert(id);
        } else {
            self.held.remove(&id);
        }
        let deadline = entry.assoc.next_timeout().map(|at| at.max(now));
        if deadline != entry.deadline {
            entry.deadline.map(|at| self.deadlines.remove(&(at, id)));
            deadline.map(|at| self.deadlines.insert((at, id)));
            entry.deadline = deadline;
        }
        if let Some(reason) = end {
            self.remove(id, reason);
        }
    }

    fn remove(&mut self, id: u64, reason: DownReason) {
        let Some(entry) = self.assocs.remove(&id) else { return };
        self.paths.remove(&entry.path);
        self.tags.remove(&entry.tag);
        self.held.remove(&id);
        entry.deadline.map(|at| self.deadlines.remove(&(at, id)));
        if entry.assoc.is_up() {
            self.counters.down += 1;
        }
        if matches!(reason, DownReason::Misbehaved(_) | DownReason::Internal) {
            self.counters.misbehaved += 1;
        }
        // A server never told of an association that did not come to stand.
        if entry.assoc.is_up() || self.listen.is_none() {
            self.events.push_back(SctpEvent::Down { assoc: id, reason });
        }
    }

    /// Queues a message on an association.
    ///
    /// # Errors
    /// [`SendRefused`]; after `Overrun` a `Down` follows.
    pub fn send_message(
        &mut self,
        id: u64,
        stream: u16,
        ppid: u32,
        bytes: Vec<u8>,
        now: Mono,
    ) -> Result<(), SendRefused> {
        let entry = self.assocs.get_mut(&id).ok_or(SendRefused::Gone)?;
        let size = bytes.len();
        let result = entry.assoc.send(stream, ppid, bytes, now).map_err(|error| match error {
            SendError::EmptyPayload | SendError::MessageTooLarge { .. } => SendRefused::Size(size),
            SendError::ResourceExhaustion => SendRefused::Overrun,
            SendError::ShuttingDown => SendRefused::Gone,
        });
        if result == Err(SendRefused::Overrun) {
            entry.assoc.abort(DownReason::Overrun, now);
        }
        self.settle(id, now);
        result
    }

    /// Ends an association gracefully; a `Down` follows.
    pub fn close(&mut self, id: u64, now: Mono) {
        if let Some(entry) = self.assocs.get_mut(&id) {
            entry.assoc.close(now);
            self.settle(id, now);
        }
    }

    /// Ends an association with ABORT; a `Down` follows.
    pub fn abort(&mut self, id: u64, now: Mono) {
        if let Some(entry) = self.assocs.get_mut(&id) {
            entry.assoc.abort(DownReason::Ended, now);
            self.settle(id, now);
        }
    }

    /// Ends all associations with ABORT, so that peers know at once that this process goes.
    pub fn abort_all(&mut self, now: Mono) {
        let all: Vec<u64> = self.assocs.keys().copied().collect();
        for id in all {
            self.abort(id, now);
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// Whether an event waits.
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next event. Taking events makes room for messages that were held back.
    pub fn poll_event(&mut self, now: Mono) -> Option<SctpEvent> {
        let event = self.events.pop_front()?;
        if let SctpEvent::Data { assoc, bytes, .. } = &event
            && let Some(entry) = self.assocs.get_mut(assoc)
        {
            entry.waiting = entry.waiting.saturating_sub(cost(bytes.len()));
            if entry.waiting < INBOX / 2 && self.held.contains(assoc) {
                self.settle(*assoc, now);
            }
        }
        Some(event)
    }

    /// When [`Self::handle_timeout`] is next due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Lets all timers that are due fire.
    pub fn handle_timeout(&mut self, now: Mono) {
        let due: Vec<u64> =
            self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        for id in due {
            if let Some(entry) = self.assocs.get_mut(&id) {
                entry.assoc.timeout(now);
                self.settle(id, now);
            }
        }
    }
}

/// What a waiting message costs, its own overhead included.
fn cost(octets: usize) -> usize {
    octets + 64
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
