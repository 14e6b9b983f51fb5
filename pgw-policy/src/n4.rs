//! The PFCP node of the gateway: associations, sessions, and what the shards are told (decision D4).
//!
//! A request is read, checked whole and looked up by (peer, SEID); only then something changes. What it
//! changes goes to the shards as commands, and the answer leaves when all of them have confirmed, so that
//! an answered request holds for every later packet. A session without an identified SIM is refused; nothing
//! in a PFCP message can clear a SIM's drop bit, which the shards keep.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answers;
mod bar;
mod change;
mod establish;
mod filters;
mod foreign;
mod news;
mod peers;
mod report;
mod requests;
mod routes;
mod rules;
mod teids;
#[cfg(test)]
mod tests;
mod usage;

pub use peers::PeerStatus;
pub use requests::Timing;

use crate::batch::ShardId;
use crate::command::ShardCommand;
use crate::session::{Downlink, Identity, Rules, SessionSpec, Tunnel};
use crate::shard::{MAX_SHARDS, shard_of};
use answers::Answers;
use change::{Change, Done, Measured};
use ipnet::{IpNet, Ipv6Net};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rules::{Draft, Refusal, Speaker, Wanted, ie};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use teids::Teids;
use types::{
    ForeignAsk, ForeignGrant, ForeignSession, GatewaySession, Imsi, Mono, Now, Seid, SmfState, Supi, Teid,
    UeIp, Utc,
};
use wire::pfcp::{self, Cause, FSeid, Message, Pdu};

/// Most sessions of one SIM: PDU session identities are 1 to 15 (TS 24.007 §11.2.3.1b).
const SESSIONS_PER_SIM: usize = 15;

/// Seconds from 1900 to 1970.
const NTP_EPOCH: i64 = 2_208_988_800;

/// Who speaks PFCP to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Our own control plane, over the UNIX socket.
    Local,
    /// A foreign one, from this address.
    Udp(IpAddr),
}

/// What the node is told at its start.
#[derive(Debug, Clone)]
pub struct N4Config {
    /// Our Node ID and the address in our F-SEIDs.
    pub node: IpAddr,
    /// Our N3 address: what our F-TEIDs name.
    pub n3: IpAddr,
    /// Foreign peers that may associate. Others are not answered.
    pub peers: Vec<IpAddr>,
    /// Where the radios and user planes are to which a foreign peer may have packets sent.
    pub radios: Vec<IpNet>,
    /// Shards, 1 to 16.
    pub shards: u8,
    /// Sessions in all.
    pub max_sessions: usize,
}

/// A change under way: what its commands and their answers carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What the node wants done.
#[derive(Debug, Clone)]
pub enum N4Output {
    /// Send these octets to a peer.
    Send {
        /// To whom.
        peer: Peer,
        /// To which port of a foreign one: an answer goes where the request came from.
        port: u16,
        /// PFCP.
        bytes: Vec<u8>,
    },
    /// Give this command to a shard, and its answer to [`N4::confirmed`].
    Command {
        /// What the answer is given back with. One token may have several commands under way.
        token: Token,
        /// Which shard.
        shard: ShardId,
        /// What.
        command: ShardCommand,
    },
    /// May this SIM have this session? The answer goes to [`N4::answered`].
    Ask(ForeignAsk),
    /// A foreign session is there, is otherwise than it was, or is gone.
    Foreign {
        /// Which.
        session: ForeignSession,
        /// False: gone.
        up: bool,
    },
    /// What became of a foreign SMF's association.
    Smf {
        /// Which.
        smf: IpAddr,
        /// What.
        state: SmfState,
    },
}

/// What we can, as octets 5 to 8 of UP Function Features (§8.2.25): FTUP (F-TEIDs are chosen here), EMPU (End Markers are
/// made here), UEIP (UE addresses can be, too).
const UP_FEATURES: [u8; 4] = [0x10, 0x01, 0x04, 0x00];

/// A session.
struct Entry {
    peer: Peer,
    cp: FSeid,
    identity: Identity,
    shard: ShardId,
    rules: Rules,
    /// The networks behind its UE that it carries.
    routes: Vec<IpNet>,
    /// False until the shards have confirmed it.
    ready: bool,
    since: Utc,
    /// Its address was left to us.
    chose_address: bool,
    /// Where its URRs stand.
    meters: BTreeMap<u32, usage::Meter>,
    /// Its control plane wants to hear nothing of packets that wait.
    quiet: bar::Quiet,
}

impl Entry {
    fn spec(&self, seid: Seid) -> Box<SessionSpec> {
        let (imsi, ue) = (self.identity.supi.imsi(), self.identity.ue);
        Box::new(SessionSpec {
            seid,
            imsi,
            ue,
            routes: self.routes.clone(),
            prefix: self.identity.prefix,
            paths: self.rules.paths(ue),
            facts: std::sync::Arc::default(),
        })
    }

    /// What leads to it beside its address.
    fn nets(&self) -> Vec<IpNet> {
        self.routes.iter().copied().chain(self.identity.prefix.map(IpNet::from)).collect()
    }

    fn teids(&self) -> BTreeSet<Teid> {
        self.rules.pdrs.values().filter_map(|p| p.teid).collect()
    }
}

/// A request that was read: whose it is, and what its answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    peer: Peer,
    /// Where the answer goes.
    port: u16,
    sequence: u32,
    kind: u8,
}

/// See the module.
pub struct N4 {
    config: N4Config,
    recovery: u32,
    chance: ChaCha12Rng,
    timing: Timing,
    associations: BTreeMap<Peer, peers::Association>,
    /// Of SMFs of the list alone.
    restorations: BTreeMap<IpAddr, types::Restoration>,
    /// What is told of them, and when.
    news: BTreeMap<IpAddr, news::News>,
    /// Requests of ours that wait for their answers.
    requests: BTreeMap<Peer, requests::Waiting>,
    next_request: u32,
    /// Foreign sessions that wait for a word about their SIM.
    pending: BTreeMap<u64, foreign::Pending>,
    next_ask: u64,
    /// Packets that wait and are to be reported later, one for a session.
    later: BTreeMap<Seid, bar::Later>,
    /// Sessions whose usage is looked at.
    watched: BTreeSet<Seid>,
    looked_at: Seid,
    next_look: Mono,
    sessions: BTreeMap<Seid, Entry>,
    by_ue: BTreeMap<UeIp, Seid>,
    by_prefix: BTreeMap<Ipv6Net, Seid>,
    by_supi: BTreeMap<Supi, BTreeSet<Seid>>,
    by_tunnel: BTreeMap<(IpAddr, Teid), Seid>,
    teids: Teids,
    revoked: BTreeSet<Imsi>,
    routes: routes::Routes,
    changes: BTreeMap<Token, Change>,
    next_token: u64,
    answers: Answers,
    out: VecDeque<N4Output>,
}

impl N4 {
    /// A node without associations or sessions. `now.utc` becomes its Recovery Time Stamp.
    pub fn new(config: N4Config, now: Now, seed: [u8; 32]) -> Self {
        let mut chance = ChaCha12Rng::from_seed(seed);
        // Whoever cannot see our requests cannot answer them.
        let next_request = chance.next_u32() & 0x00ff_ffff;
        Self {
            config: N4Config { shards: config.shards.clamp(1, MAX_SHARDS), ..config },
            recovery: (now.utc.0.div_euclid(1000).wrapping_add(NTP_EPOCH)) as u32,
            chance,
            timing: Timing::default(),
            requests: BTreeMap::new(),
            next_request,
            pending: BTreeMap::new(),
            next_ask: 0,
            later: BTreeMap::new(),
            watched: BTreeSet::new(),
            looked_at: Seid(0),
            next_look: now.mono,
            associations: BTreeMap::new(),
            restorations: BTreeMap::new(),
            news: BTreeMap::new(),
            sessions: BTreeMap::new(),
            by_ue: BTreeMap::new(),
            by_prefix: BTreeMap::new(),
            by_supi: BTreeMap::new(),
            by_tunnel: BTreeMap::new(),
            teids: Teids::new(),
            revoked: BTreeSet::new(),
            routes: routes::Routes::new(),
            changes: BTreeMap::new(),
            next_token: 0,
            answers: Answers::default(),
            out: VecDeque::new(),
        }
    }

    /// Our Recovery Time Stamp, NTP seconds.
    pub fn recovery(&self) -> u32 {
        self.recovery
    }

    /// Says that a SIM is banned (or not any more): new sessions of it are refused. That it carries nothing is
    /// the shards' doing ([`ShardCommand::Cut`]).
    pub fn revoke(&mut self, imsi: Imsi, banned: bool) {
        if banned {
            self.revoked.insert(imsi);
        } else {
            self.revoked.remove(&imsi);
        }
    }

    /// The shards that have sessions of this SIM.
    pub fn shards_of(&self, imsi: Imsi) -> BTreeSet<ShardId> {
        let mine = self.by_supi.get(&Supi(imsi)).into_iter().flatten();
        mine.filter_map(|seid| self.sessions.get(seid)).map(|e| e.shard).collect()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<N4Output> {
        self.out.pop_front()
    }

    /// The sessions of our own control plane. Those that the shards have not confirmed are among them: a control
    /// plane that was restarted meanwhile gets no other chance to hear of them.
    pub fn sessions(&self) -> Vec<GatewaySession> {
        let view = |(seid, e): (&Seid, &Entry)| {
            (e.peer == Peer::Local).then_some(())?;
            Some(GatewaySession {
                cp_seid: Seid(e.cp.seid),
                up_seid: *seid,
                supi: e.identity.supi,
                pdu_session_id: e.identity.pdu_session_id?,
                dnn: e.identity.dnn.clone()?,
                ip: e.identity.ue,
                prefix: e.identity.prefix,
                teid: e.teids().first().copied()?,
                radio: match e.rules.paths(e.identity.ue).downlink {
                    Downlink::Forward { tunnel: Tunnel { peer, teid }, .. } => Some((peer, teid)),
                    _ => None,
                },
            })
        };
        self.sessions.iter().filter_map(view).collect()
    }

    /// Sessions of all peers.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The same with other times than usual.
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// Takes one PFCP datagram, from a foreign peer's usual port.
    pub fn handle(&mut self, peer: Peer, bytes: &[u8], now: Now) {
        self.handle_from(peer, pfcp::PORT, bytes, now);
    }

    /// The same from another port.
    pub fn handle_from(&mut self, peer: Peer, port: u16, bytes: &[u8], now: Now) {
        let listed = match peer {
            Peer::Local => true,
            Peer::Udp(address) => self.config.peers.contains(&address),
        };
        if !listed {
            return;
        }
        let pdu = match Pdu::parse(bytes) {
            Ok(pdu) => pdu,
            Err(e) => return self.refuse_unread(peer, port, bytes, e),
        };
        if matches!(pdu.message, Message::HeartbeatResponse(_) | Message::SessionReportResponse(_)) {
            return self.on_answer(peer, pdu.sequence, &pdu.message, now);
        }
        let asked = Asked { peer, port, sequence: pdu.sequence, kind: pdu.message.kind() };
        // It may be answered as often as it comes, and takes no other request's place.
        if let Message::HeartbeatRequest(m) = &pdu.message {
            return self.on_heartbeat(asked, m.recovery.0, now);
        }
        match self.answers.known(asked, bytes, now.mono) {
            answers::Known::New => {}
            answers::Known::UnderWay => return,
            answers::Known::Answered(bytes) => {
                return self.out.push_back(N4Output::Send { peer, port, bytes });
            }
        }
        let seid = Seid(pdu.seid.unwrap_or(0));
        match pdu.message {
            Message::AssociationSetupRequest(m) => self.on_association(asked, &m, now),
            Message::AssociationReleaseRequest(m) => self.on_release(asked, &m, now),
            Message::SessionEstablishmentRequest(m) => {
                if let Err(r) = self.establish(asked, &m, None, now) {
                    self.refuse_establishment(asked, m.cp_f_seid.seid, r);
                }
            }
            Message::SessionModificationRequest(m) => {
                if let Err(r) = self.modify(asked, seid, &m, now) {
                    self.refuse_modification(asked, seid, r);
                }
            }
            Message::SessionDeletionRequest(_) => {
                if let Err(r) = self.delete(asked, seid) {
                    self.refuse_deletion(asked, seid, r);
                }
            }
            // Answers to requests that we never send, and messages that we do not know, are left alone (§7.6.1).
            _ => self.answers.forget(asked),
        }
    }

    /// When [`N4::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let all = [
            self.next_heartbeat(),
            self.next_repetition(),
            self.next_patience(),
            self.next_look(),
            self.next_later(),
            self.next_news(),
        ];
        all.into_iter().flatten().min()
    }

    /// Heartbeats, requests that come again, questions that nobody answers, usage.
    pub fn handle_timeout(&mut self, now: Now) {
        self.repeat_requests(now);
        self.heartbeats(now);
        self.give_up_asking(now);
        self.look_at_usage(now);
        self.report_later(now);
        self.tell_news(now);
    }

    fn sessions_of(&self, peer: Peer) -> Vec<Seid> {
        self.sessions.iter().filter(|(_, e)| e.peer == peer).map(|(s, _)| *s).collect()
    }

    fn speaker(&self, peer: Peer) -> Speaker {
        Speaker { n3: self.config.n3, may_name_teids: peer == Peer::Local, may_leave_address: false }
    }

    fn modify(
        &mut self,
        asked: Asked,
        seid: Seid,
        m: &pfcp::SessionModificationRequest,
        now: Now,
    ) -> Result<(), Refusal> {
        let who = self.speaker(asked.peer);
        let not_found = Refusal::of(Cause::SessionContextNotFound);
        let e = self.sessions.get(&seid).filter(|e| e.peer == asked.peer).ok_or(not_found)?;
        // The drop bit holds whatever is said here; a foreign control plane is told, so that it gives the UE up.
        if asked.peer != Peer::Local && self.revoked.contains(&e.identity.supi.imsi()) {
            return Err(Refusal::element(Cause::Rejected, ie::USER_ID));
        }
        let (shard, before) = (e.shard, e.teids());
        let (mut draft, end_marker) = Draft::modify(e.rules.clone(), m, who)?;
        if asked.peer != Peer::Local {
            draft.settle(ForeignGrant { ip: e.identity.ue, prefix: e.identity.prefix });
        }
        if draft.ue()? != e.identity.ue || draft.prefix()? != e.identity.prefix {
            return Err(Refusal::element(Cause::RuleFailure, ie::UE_IP_ADDRESS));
        }
        if self.shard_for_named(&draft).is_some_and(|s| s != shard) {
            return Err(Refusal::element(Cause::InvalidFteidAllocation, ie::F_TEID));
        }
        let asks = m.query_urrs.iter().all(|q| e.rules.urrs.contains_key(&q.urr_id.0));
        if !asks {
            return Err(Refusal::element(Cause::RuleFailure, ie::URR_ID));
        }
        let cp = m.cp_f_seid.map(establish::named_by).transpose()?;
        self.check_named(&draft, None)?;
        self.check_tunnels(&draft, asked.peer)?;
        let created = self.give_teids(&mut draft, shard, now.mono).ok_or(Refusal::of(Cause::NoResources))?;
        let e = self.sessions.get_mut(&seid).ok_or(not_found)?;
        let old = std::mem::replace(&mut e.rules, draft.rules);
        // What it says of its UE now takes the place of how long it was to stay away.
        e.quiet = bar::Quiet::No;
        if let Some(cp) = cp {
            e.cp = cp;
        }
        let after = e.teids();
        let rest = before.difference(&after).copied().collect();
        let update = ShardCommand::Update { spec: e.spec(seid), end_marker };
        let mut commands = vec![(shard, update)];
        if !old.urrs.is_empty() || !e.rules.urrs.is_empty() {
            commands.push((shard, ShardCommand::Usage { seid }));
        }
        let measured =
            Measured { old: old.clone(), asked: m.query_urrs.iter().map(|q| q.urr_id.0).collect() };
        self.unindex(seid, &old);
        self.index_tunnels(seid);
        self.start(commands, Done::Modified { asked, seid, created, rest, measured: Box::new(measured) });
        Ok(())
    }

    fn shard_for_named(&self, draft: &Draft) -> Option<ShardId> {
        draft.wanted.iter().find_map(|(_, w)| match w {
            Wanted::Given(t) => Some(shard_of(*t, self.config.shards)),
            Wanted::Choose(_) => None,
        })
    }

    fn delete(&mut self, asked: Asked, seid: Seid) -> Result<(), Refusal> {
        let mine = self.sessions.get(&seid).is_some_and(|e| e.peer == asked.peer);
        let gone = if mine { self.forget(seid) } else { None };
        let gone = gone.ok_or(Refusal::of(Cause::SessionContextNotFound))?;
        let commands = self.removal(seid, &gone);
        self.start(commands, Done::Deleted { asked, gone: Box::new(gone) });
        Ok(())
    }

    /// The commands that take a session out of the shards.
    fn removal(&self, seid: Seid, gone: &Entry) -> Vec<(ShardId, ShardCommand)> {
        let ue = gone.identity.ue;
        let mut commands = vec![(gone.shard, ShardCommand::Remove { seid })];
        commands.extend(self.all_shards().map(|s| (s, ShardCommand::UeOwner { ue, shard: None })));
        commands.extend(self.routes_off(&gone.nets(), gone.shard));
        commands
    }

    fn drop_sessions(&mut self, gone: &[Seid], done: Done, now: Now) {
        let mut commands = Vec::new();
        for &seid in gone {
            if let Some(e) = self.forget(seid) {
                commands.extend(self.removal(seid, &e));
                for t in e.teids() {
                    self.teids.release(t, now.mono);
                }
            }
        }
        self.start(commands, done);
    }

    fn all_shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.config.shards).map(ShardId)
    }

    fn new_seid(&mut self) -> Seid {
        loop {
            let seid = Seid(self.chance.next_u64());
            if seid.0 != 0 && !self.sessions.contains_key(&seid) {
                return seid;
            }
        }
    }

    fn remember(&mut self, seid: Seid, entry: Entry) {
        self.by_ue.insert(entry.identity.ue, seid);
        self.by_prefix.extend(entry.identity.prefix.map(|p| (p, seid)));
        self.by_supi.entry(entry.identity.supi).or_default().insert(seid);
        self.sessions.insert(seid, entry);
        self.index_tunnels(seid);
    }

    fn forget(&mut self, seid: Seid) -> Option<Entry> {
        let e = self.sessions.remove(&seid)?;
        self.watched.remove(&seid);
        self.later.remove(&seid);
        self.tell_foreign(e.foreign(seid), false);
        if self.by_ue.get(&e.identity.ue) == Some(&seid) {
            self.by_ue.remove(&e.identity.ue);
        }
        if let Some(prefix) = e.identity.prefix.filter(|p| self.by_prefix.get(p) == Some(&seid)) {
            self.by_prefix.remove(&prefix);
        }
        if let Some(mine) = self.by_supi.get_mut(&e.identity.supi) {
            mine.remove(&seid);
            if mine.is_empty() {
                self.by_supi.remove(&e.identity.supi);
            }
        }
        self.unindex(seid, &e.rules);
        Some(e)
    }

    fn unindex(&mut self, seid: Seid, rules: &Rules) {
        for t in rules.radio_tunnels() {
            if self.by_tunnel.get(&(t.peer, t.teid)) == Some(&seid) {
                self.by_tunnel.remove(&(t.peer, t.teid));
            }
        }
    }

    /// An endpoint that a session of another control plane has cannot be taken from it: that one would lose its path. And
    /// what nobody is heard from, nothing is sent to: a foreign one cannot lead a UE's packets out of the network.
    fn check_tunnels(&self, draft: &Draft, peer: Peer) -> Result<(), Refusal> {
        let others = |t: &Tunnel| {
            let has = self.by_tunnel.get(&(t.peer, t.teid)).and_then(|s| self.sessions.get(s));
            has.is_some_and(|e| e.peer != peer)
        };
        let is_elsewhere = |t: &Tunnel| !self.config.radios.iter().any(|net| net.contains(&t.peer));
        let bad = |t: Tunnel| others(&t) || (peer != Peer::Local && is_elsewhere(&t));
        match draft.rules.radio_tunnels().any(bad) {
            true => Err(Refusal::element(Cause::RuleFailure, ie::OUTER_HEADER_CREATION)),
            false => Ok(()),
        }
    }

    fn index_tunnels(&mut self, seid: Seid) {
        let Some(e) = self.sessions.get(&seid) else { return };
        let tunnels: Vec<_> = e.rules.radio_tunnels().collect();
        for t in tunnels {
            // The radio has given this endpoint anew: whoever had it before has none there any more, though nobody
            // said so (the control plane was away, say). Its packets must not reach another UE.
            match self.by_tunnel.insert((t.peer, t.teid), seid) {
                Some(before) if before != seid => self.lose_tunnel(before, t.peer, t.teid),
                Some(_) | None => {}
            }
        }
    }

    /// Nothing more is sent into this tunnel for this session.
    fn lose_tunnel(&mut self, seid: Seid, peer: IpAddr, teid: Teid) {
        let Some(e) = self.sessions.get_mut(&seid) else { return };
        for far in e.rules.fars.values_mut() {
            if far.tunnel.is_some_and(|t| t.peer == peer && t.teid == teid) {
                (far.tunnel, far.forwards) = (None, false);
            }
        }
        let command = ShardCommand::Update { spec: e.spec(seid), end_marker: false };
        let shard = e.shard;
        self.start(vec![(shard, command)], Done::Nothing { rest: Vec::new() });
    }
}
