//! A Diameter face's line to its peers: their core, and what writes to each connection.

use super::Control;
use crate::{
    config::diameter::Face,
    doctor::SilentPeer,
    io::{
        diameter::{DiameterEvent, Door, TOGETHER, Tls, Writer},
        sctp::{SctpConfig, probe},
    },
};
use anyhow::{Context as _, Result};
use gateway::time::now;
use hss::diameter::{Gone, Impostor, Input, Output, Peers, PeersConfig};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;
use tracing::{info, warn};
use types::Now;
use wire::diameter::Identity;

/// Silence after which a peer is asked whether it lives (RFC 3539 §3.4.1).
const WATCHDOG_MS: u64 = 30_000;
/// How long a peer has for an answer.
const ANSWER_MS: u64 = 10_000;

/// Peers and their connections.
pub(super) struct Line {
    pub peers: Peers,
    writers: BTreeMap<u64, Writer>,
    /// What is to be sent when all cores are quiet.
    outbox: Vec<(u64, Vec<u8>)>,
}

impl Line {
    /// Nobody is connected. With who we are to its peers: Origin-Host and Origin-Realm.
    ///
    /// # Errors
    /// Names that are none.
    pub fn new(c: &Face<'_>, now: Now) -> Result<(Self, Identity, Identity)> {
        let name = |n: &str| Identity::new(n).with_context(|| format!("{n} is not a Diameter name"));
        let (host, realm) = (name(c.host)?, name(c.realm)?);
        let config = PeersConfig {
            host: host.clone(),
            realm: realm.clone(),
            addresses: c.addresses(),
            origin_state: u32::try_from(now.utc.0 / 1000).unwrap_or(u32::MAX),
            peers: c.entries(),
            watchdog_ms: WATCHDOG_MS,
            answer_ms: ANSWER_MS,
        };
        let peers = Peers::new(config, now, gateway::sys::random()?);
        Ok((Self { peers, writers: BTreeMap::new(), outbox: Vec::new() }, host, realm))
    }

    /// What the transport says.
    pub fn event(&mut self, e: DiameterEvent) {
        let input = match e {
            DiameterEvent::Connected { connection, from, writer } => {
                self.writers.insert(connection, writer);
                Input::Connected { connection, from }
            }
            DiameterEvent::Received { connection, messages } => {
                for octets in messages {
                    self.peers.handle(Input::Received { connection, octets }, now());
                }
                return;
            }
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
                Output::Send { connection, octets } => self.outbox.push((connection, octets)),
                Output::Close { connection } => {
                    self.flush();
                    self.writers.remove(&connection);
                }
                o => return Some(o),
            }
        }
    }

    /// Sends what was to be sent.
    pub fn flush(&mut self) {
        for (connection, octets) in std::mem::take(&mut self.outbox) {
            self.send(connection, octets);
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

/// Opens every way in that is configured, for what is called `name`.
pub(super) async fn listen(name: &str, c: &Face<'_>, events: mpsc::Sender<DiameterEvent>) -> Result<()> {
    let (door, peers, section) = (Door::new(events), c.peers.len(), c.section);
    if let Some(at) = c.listen {
        info!(peers, "{name} at {}, TCP", door.tcp(at).await?);
    }
    if let Some(t) = c.tls {
        let tls = Tls::new(&t.certificate, &t.private_key, &t.ca);
        let tls = tls.with_context(|| format!("[{section}.tls]"))?;
        info!(peers, "{name} at {}, TLS", door.tls(t.listen, tls).await?);
    }
    if let Some(s) = c.sctp {
        let mode = s.transport.mode(probe().kernel, s.udp_port);
        let admitted = c.peers.iter().flat_map(|p| p.addresses).map(|a| IpNet::from(*a)).collect();
        door.sctp(SctpConfig::new(mode, s.listen.ip(), s.listen.port(), admitted))?;
        info!(peers, transport = mode.word(), "{name} at {}, {mode}", s.listen);
    }
    Ok(())
}

/// Hears what has come, until answers should go out: a ban waits for so much at most.
pub(super) async fn hear(events: &mut mpsc::Receiver<DiameterEvent>) -> Vec<DiameterEvent> {
    let weight = |e: &DiameterEvent| match e {
        DiameterEvent::Received { messages, .. } => messages.len(),
        _ => 1,
    };
    let Some(first) = events.recv().await else { return Vec::new() };
    let mut heard = weight(&first);
    let mut all = vec![first];
    while heard < TOGETHER
        && let Ok(e) = events.try_recv()
    {
        heard += weight(&e);
        all.push(e);
    }
    all
}

/// How long a peer may be away before that is a finding: a restart of it takes less.
const AWAY_MS: i64 = 60_000;

impl Control {
    /// MMEs and SMFs that are configured and have not been connected for a while.
    pub(super) fn silent_peers(&self) -> Vec<SilentPeer> {
        let mmes = self.config.s6a.iter().flat_map(|c| &c.mme).map(|m| ("S6a", &m.host));
        let smfs = self.config.gx.iter().flat_map(|c| &c.smf).map(|s| ("Gx", &s.host));
        let s6a = self.s6a.iter().flat_map(|w| w.mmes());
        let gx = self.gx.iter().flat_map(|w| w.smfs());
        let here: BTreeSet<&str> = s6a.chain(gx).map(Identity::as_str).collect();
        let until = now().utc.0 - AWAY_MS;
        mmes.chain(smfs)
            .filter(|(_, host)| !here.contains(host.as_str()))
            .map(|(face, host)| SilentPeer { face, name: host.clone(), since: self.since.gone(host) })
            .filter(|p| p.since.0 <= until)
            .collect()
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
