//! The gateway's main thread: N4, the link, revocations, policy and flow records on their way up.
//! It never waits for a peer; it waits for the shards during a cut, and for nobody else.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod facts;
mod foreign;
mod restrict;

use super::Tun;
use super::control_face::{ConnectionId, Face, Heard};
use super::journal::copies::Copies;
use super::n4_socket::N4Socket;
use super::own_addresses::OwnAddresses;
use super::revocation::{CutRequest, Revocations};
use super::ring::Os;
use super::service::Page;
use super::shard_thread::{Answer, News, Order, Ticket};
use super::shards::Shards;
use super::sys::{self, Wait};
use crate::link::page::PageAnswer;
use crate::link::{FromGateway, GatewayHello, GatewayStatus, Role, ShardStatus, ToGateway};
use crate::time;
use anyhow::{Result, bail};
use pgw_policy::batch::ShardId;
use pgw_policy::book::Book;
use pgw_policy::clock;
use pgw_policy::command::{self, LearnedName, ShardCommand, ShardEvent, ShardReply};
use pgw_policy::n4::{N4, N4Output, Peer};
use pgw_policy::{Change, Compiled, Touched};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::{error, info, warn};
use types::{FlowRecord, Mono, Reason};

/// Flow records kept while `control` is away or slow.
const RECORDS_KEPT: usize = 65_536;
/// Flow records in one message.
const RECORDS_TOLD: usize = 1024;
/// Milliseconds between two rounds of small duties.
const ROUND_MS: u64 = 1000;
/// Answers and news taken in one turn.
const A_TURN: usize = 4096;

pub(super) struct MainThread {
    gateway_id: u64,
    face: Face,
    n4: N4,
    /// Foreign SMFs, where there are any.
    socket: Option<N4Socket>,
    shards: Shards<Os>,
    revocations: Revocations,
    own: OwnAddresses,
    tun: Tun,
    threads: Vec<JoinHandle<()>>,
    copies: Copies,
    /// The page inside the closed network, where there is one.
    page: Option<Page>,
    /// How long a receipt waits for the copies, milliseconds.
    copy_wait: u64,
    /// Receipts that wait for the copies.
    waiting: VecDeque<Waiting>,
    policy: Arc<Compiled>,
    /// What is known of the SIMs.
    book: Book,
    asked: BTreeMap<u64, Asked>,
    records: VecDeque<FlowRecord>,
    records_lost: u64,
    records_lost_in_all: u64,
    next_round: Mono,
    alarm: Option<String>,
    /// The shards were told to open nothing.
    closed: bool,
}

/// A receipt that waits for the journal's copies.
struct Waiting {
    until: Mono,
    /// The copies have to have this record.
    record: u64,
    to: ConnectionId,
    /// Told to `control` as well, if a local command asked.
    local: bool,
    message: FromGateway,
}

/// A policy as its hours have it now, and whom that touches.
fn by_the_hours(policy: &Compiled) -> (Compiled, Touched) {
    policy.with_clocks(clock::word(policy.clocks(), time::utc()))
}

/// When hours of this policy may begin or be over next. The wall clock may step before; that is found in the next round.
fn next_border(policy: &Compiled) -> Mono {
    let now = time::now();
    let next = policy.clocks().iter().filter_map(|when| clock::next(when, now.utc)).min();
    next.map_or(Mono(u64::MAX), |at| now.mono.plus_ms(u64::try_from(at.0 - now.utc.0).unwrap_or(0)))
}

/// What the answers of all shards are collected for.
enum Asked {
    Policy { generation: u64, missing: usize, from: ConnectionId },
    Status { id: u64, missing: usize, from: ConnectionId, shards: Vec<ShardStatus> },
    Names { id: u64, missing: usize, from: ConnectionId, names: Vec<LearnedName> },
}

impl MainThread {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        gateway_id: u64,
        face: Face,
        (mut n4, socket): (N4, Option<N4Socket>),
        shards: Shards<Os>,
        revocations: Revocations,
        own: OwnAddresses,
        tun: Tun,
        threads: Vec<JoinHandle<()>>,
        (copies, copy_wait): (Copies, u64),
        page: Option<Page>,
    ) -> Self {
        for &imsi in revocations.set().keys() {
            n4.revoke(imsi, true);
        }
        Self {
            gateway_id,
            face,
            n4,
            socket,
            shards,
            revocations,
            own,
            tun,
            threads,
            copies,
            page,
            copy_wait,
            waiting: VecDeque::new(),
            policy: Arc::new(Compiled::empty()),
            book: Book::default(),
            asked: BTreeMap::new(),
            records: VecDeque::new(),
            records_lost: 0,
            records_lost_in_all: 0,
            next_round: Mono(0),
            alarm: None,
            // As `new_shard` has told them.
            closed: true,
        }
    }

    pub(super) fn run(mut self) -> Result<ExitCode> {
        loop {
            self.turn()?;
            self.sleep();
        }
    }

    fn turn(&mut self) -> Result<()> {
        self.hear();
        self.hear_smfs();
        self.hear_page();
        for _ in 0..A_TURN {
            let Some(answer) = self.shards.next_answer() else { break };
            self.take_answer(answer);
        }
        for _ in 0..A_TURN {
            let Some(news) = self.shards.next_news() else { break };
            self.take_news(news);
        }
        if let Some(own) = self.own.changed() {
            info!(count = own.len(), "our own addresses changed; there are {}", own.len());
            let command = ShardCommand::OwnAddresses(own.to_vec());
            self.shards.order_all(&command);
        }
        self.tend_copies();
        if time::mono() >= self.next_round {
            self.round()?;
        }
        self.tell_records();
        self.face.flush();
        Ok(())
    }

    fn sleep(&mut self) {
        let until = self.waiting.iter().map(|w| w.until).chain(self.n4.poll_timeout());
        let until = until.fold(self.next_round, Mono::min);
        let left = until.0.saturating_sub(time::mono().0);
        let (face, own, copies, smfs, page) = (&self.face, &self.own, &self.copies, &self.socket, &self.page);
        self.shards.sleep(
            || copies.have_news(),
            |bell| {
                let mut waits = vec![Wait::read(bell), Wait::read(own)];
                waits.extend(face.waits());
                waits.extend(smfs.as_ref().map(N4Socket::wait));
                waits.extend(page.as_ref().and_then(Page::wait));
                if let Err(e) = sys::poll(&waits, Duration::from_nanos(left)) {
                    error!("the gateway cannot wait for its sockets: {e}");
                    std::thread::sleep(Duration::from_millis(10));
                }
            },
        );
    }

    /// Small duties, once a second.
    fn round(&mut self) -> Result<()> {
        self.turn_clocks();
        self.turn_facts();
        if let Some(page) = &mut self.page {
            page.tend(time::mono());
        }
        self.next_round = time::mono().plus_ms(ROUND_MS).min(next_border(&self.policy));
        self.wake_for_facts();
        if let Some(thread) = self.threads.iter().find(|t| t.is_finished()) {
            let name = thread.thread().name().unwrap_or("a shard").to_owned();
            bail!("{name} ended; the gateway starts again, its bans are in the journal");
        }
        let alarm = self.revocations.tend();
        self.copies.moved(self.revocations.head());
        if alarm != self.alarm {
            if let Some(text) = &alarm {
                self.raise(text.clone());
            }
            self.alarm = alarm;
        }
        for (imsi, stored) in self.revocations.take_late() {
            info!(%imsi, record = stored.record, "the cut of {imsi} is stored after all");
            self.face.say_to_control(&FromGateway::Recorded { imsi, stored });
        }
        Ok(())
    }

    fn raise(&mut self, text: String) {
        error!("{text}");
        self.face.say_to_control(&FromGateway::Alarm(text));
    }

    fn hear(&mut self) {
        let mut heard = self.face.hear();
        // Cuts go ahead of everything, except that a ban and an unban keep their order.
        if !heard.iter().any(|h| matches!(h.message, ToGateway::Uncut { .. })) {
            let first = |m: &ToGateway| {
                matches!(m, ToGateway::Cut { .. } | ToGateway::CutAll { .. } | ToGateway::Hello { .. })
            };
            heard.sort_by_key(|h| !first(&h.message));
        }
        let mut cuts = Vec::new();
        for said in heard {
            match said.message {
                ToGateway::Cut { id, imsi, state, actor, reason, at } => {
                    cuts.push((
                        said.from,
                        said.role,
                        said.at,
                        id,
                        CutRequest { imsi, state, actor, reason, at },
                    ));
                }
                ToGateway::Hello { role } => self.welcome(said.from, role),
                _ => {
                    self.cut(std::mem::take(&mut cuts));
                    self.take_message(said);
                }
            }
        }
        self.cut(cuts);
    }

    fn take_message(&mut self, said: Heard) {
        let from = said.from;
        match said.message {
            // Taken together in `hear`.
            ToGateway::Hello { .. } | ToGateway::Cut { .. } => {}
            ToGateway::N4(bytes) => {
                self.n4.handle(Peer::Local, &bytes, time::now());
                self.run_n4();
            }
            ToGateway::Policy { generation, compiled } => self.take_policy(from, generation, &compiled),
            ToGateway::PolicyChange { base, generation, changes } => {
                self.change_policy(from, base, generation, &changes);
            }
            ToGateway::Facts(all) => self.take_facts(all),
            ToGateway::Uncut { id, imsi, actor, reason, at } => {
                let result = self.revocations.uncut(imsi, actor, reason, at, &mut self.shards);
                self.copies.moved(self.revocations.head());
                if result.is_ok() {
                    crash::point("unban.recorded");
                    self.n4.revoke(imsi, false);
                    self.run_n4();
                }
                self.face.say(from, &FromGateway::UncutDone { id, result });
            }
            ToGateway::Status { id } => {
                let ticket = self.shards.order_all(&ShardCommand::Status);
                let missing = self.shards.count();
                self.asked.insert(ticket, Asked::Status { id, missing, from, shards: Vec::new() });
            }
            ToGateway::Names { id, imsi } => {
                let ticket = self.shards.order_all(&ShardCommand::Names { imsi });
                let missing = self.shards.count();
                self.asked.insert(ticket, Asked::Names { id, missing, from, names: Vec::new() });
            }
            ToGateway::CutAll { id, imsis, state, actor, reason, at } => {
                let request =
                    |imsi| CutRequest { imsi, state, actor: actor.clone(), reason: reason.clone(), at };
                let receipts = self.cut_now(imsis.into_iter().map(request).collect(), said.at);
                let message = FromGateway::CutAllDone { id, receipts };
                self.answer(from, said.role == Role::Local, message);
                self.face.flush();
                self.run_n4();
            }
            ToGateway::CutImei { .. } | ToGateway::Quarantine { .. } | ToGateway::Panic { .. } => {
                self.restrict(said);
            }
            ToGateway::KnownHead { head } => self.compare(&head),
            ToGateway::Union { id, revoked } => self.unite(from, id, &revoked),
            ToGateway::Routes(all) => {
                self.n4.set_routes(all);
                self.run_n4();
            }
            ToGateway::ForeignAnswer { id, answer } => {
                self.n4.answered(id, answer, time::now());
                self.run_n4();
            }
            ToGateway::EndForeign { seids } => {
                self.n4.end_foreign(&seids, time::now());
                self.run_n4();
            }
            ToGateway::PageAnswer { id, answer } => {
                if let Some(page) = &mut self.page {
                    page.answer(id, answer);
                }
            }
            ToGateway::UePrefixes(prefixes) => {
                if let Err(e) = self.tun.route(prefixes) {
                    self.raise(format!("the UEs' prefixes cannot be routed to the TUN: {e:#}"));
                }
            }
            ToGateway::Trace { id, imsi } => {
                let trace = self.revocations.trace(imsi, &mut self.shards);
                self.face.say(from, &FromGateway::Trace { id, trace });
            }
        }
    }

    /// What UEs ask of the page goes to `control`; without it they are told so at once.
    fn hear_page(&mut self) {
        let Some(page) = &mut self.page else { return };
        for (id, ask) in page.hear() {
            if !self.face.control_reads() || !self.face.say_to_control(&FromGateway::Page { id, ask }) {
                let answer = PageAnswer { status: 503, headers: Vec::new(), body: Vec::new() };
                page.answer(id, answer);
            }
        }
    }

    fn welcome(&mut self, to: ConnectionId, role: Role) {
        if let Role::Control { control_id } = role {
            info!(control_id, "control is there");
        }
        let state = self.revocations.state();
        let hello = GatewayHello {
            gateway_id: self.gateway_id,
            recovery: self.n4.recovery(),
            sessions: self.n4.sessions(),
            revoked: self.revocations.set().values().cloned().collect(),
            journal: self.revocations.head(),
            policy_generation: self.policy.generation(),
            shards: self.shards.count() as u32,
            quarantined: state.quarantined.keys().copied().collect(),
            panicked: state.panicked.keys().cloned().collect(),
            cut_devices: state.devices.keys().map(ToString::to_string).collect(),
            copies: self.copies.status(),
            foreign: self.n4.foreign_sessions(),
            smfs: self.smfs(),
        };
        self.face.say(to, &FromGateway::Hello(Box::new(hello)));
        // What was asked while nobody was there to answer.
        if matches!(role, Role::Control { .. }) {
            for ask in self.n4.asked_about() {
                self.face.say(to, &FromGateway::ForeignAsk(ask));
            }
        }
    }

    fn take_policy(&mut self, from: ConnectionId, generation: u64, compiled: &[u8]) {
        let in_force = self.policy.generation();
        let result = match Compiled::from_bytes(compiled) {
            Err(e) => Err(format!("the compiled policy cannot be read: {e}")),
            Ok(_) if generation < in_force => Err(format!("generation {in_force} is in force and newer")),
            Ok(policy) if policy.generation() != generation => {
                Err(format!("the compiled policy is of generation {}", policy.generation()))
            }
            Ok(policy) => Ok(policy),
        };
        match result {
            Ok(policy) => {
                self.policy = Arc::new(by_the_hours(&policy).0);
                self.read_facts_anew();
                self.next_round = self.next_round.min(next_border(&self.policy));
                self.order_policy(from, &ShardCommand::Policy(Arc::clone(&self.policy)));
            }
            Err(why) => self.refuse_policy(from, generation, why),
        }
    }

    fn change_policy(&mut self, from: ConnectionId, base: u64, generation: u64, changes: &[Change]) {
        let has = self.policy.generation();
        if base != has {
            info!(
                base,
                has, "a change of policy {base} came while {has} is in force: the whole is asked for"
            );
            return self.face.say(from, &FromGateway::PolicyWanted { has });
        }
        match self.policy.with(changes, generation) {
            Ok((policy, touched)) => {
                let (policy, of_clocks) = by_the_hours(&policy);
                self.next_round = self.next_round.min(next_border(&policy));
                let asked_for_risk = self.policy.asks_for_risk();
                let change = self.changed(policy, touched.and(of_clocks), Reason::PolicyChanged);
                if self.policy.asks_for_risk() != asked_for_risk {
                    self.read_facts_anew();
                }
                self.order_policy(from, &change);
            }
            Err(e) => self.refuse_policy(from, generation, e.to_string()),
        }
    }

    /// Reads the hours of the rules in force. Flows that have lost their rule end; `control` need not be there for that.
    fn turn_clocks(&mut self) {
        let (policy, touched) = by_the_hours(&self.policy);
        if touched != Touched::default() {
            let generation = policy.generation();
            let change = self.changed(policy, touched, Reason::OutOfHours);
            self.shards.order_all(&change);
            info!(generation, "the hours of rules of policy {generation} have changed");
        }
    }

    /// Takes a policy that was made of the one in force.
    fn changed(&mut self, policy: Compiled, touched: Touched, reason: Reason) -> ShardCommand {
        self.policy = Arc::new(policy);
        let policy = Arc::clone(&self.policy);
        ShardCommand::PolicyChange { policy, touched: Arc::new(touched), reason }
    }

    /// Puts the policy in force in every shard.
    fn order_policy(&mut self, from: ConnectionId, command: &ShardCommand) {
        let ticket = self.shards.order_all(command);
        let (generation, missing) = (self.policy.generation(), self.shards.count());
        self.asked.insert(ticket, Asked::Policy { generation, missing, from });
    }

    fn refuse_policy(&mut self, to: ConnectionId, generation: u64, why: String) {
        warn!(generation, "policy {generation} is refused, the old one stays: {why}");
        self.face.say(to, &FromGateway::PolicyDone { generation, result: Err(why) });
    }

    /// Does what the PFCP node wants done.
    fn run_n4(&mut self) {
        while let Some(output) = self.n4.poll_output() {
            match output {
                N4Output::Send { peer: Peer::Local, bytes, .. } => {
                    self.face.say_to_control(&FromGateway::N4(bytes));
                }
                N4Output::Send { peer: Peer::Udp(smf), port, bytes } => {
                    if let Some(socket) = &self.socket {
                        socket.send(SocketAddr::new(smf, port), &bytes);
                    }
                }
                N4Output::Ask(ask) => {
                    self.face.say_to_control(&FromGateway::ForeignAsk(ask));
                }
                N4Output::Foreign { session, up } => {
                    self.face.say_to_control(&FromGateway::Foreign { session, up });
                }
                N4Output::Smf { smf, state } => {
                    info!(%smf, ?state, "the SMF at {smf}: {state:?}");
                    self.face.say_to_control(&FromGateway::Smf { smf, state });
                }
                N4Output::Command { token, shard, mut command } => {
                    if let ShardCommand::Insert(spec) = &mut command {
                        spec.facts = self.book.of(spec.imsi);
                    }
                    self.shards.order(shard, Order { ticket: Ticket::N4(token), command });
                }
            }
        }
    }

    fn take_answer(&mut self, answer: Answer) {
        match answer.ticket {
            Ticket::N4(token) => {
                self.n4.confirmed(token, answer.reply, time::now());
                self.run_n4();
            }
            Ticket::Main(ticket) => self.collect(ticket, answer.shard, answer.reply),
        }
    }

    fn collect(&mut self, ticket: u64, shard: ShardId, reply: ShardReply) {
        let missing = match self.asked.get_mut(&ticket) {
            Some(Asked::Policy { missing, .. }) => missing,
            Some(Asked::Status { missing, shards, .. }) => {
                if let ShardReply::Status(status) = reply {
                    let io = self.shards.io(shard).map(|io| io.read()).unwrap_or_default();
                    shards.push(shard_status(shard, *status, io));
                }
                missing
            }
            Some(Asked::Names { missing, names, .. }) => {
                if let ShardReply::Names(more) = reply {
                    names.extend(more);
                }
                missing
            }
            None => return,
        };
        *missing -= 1;
        if *missing > 0 {
            return;
        }
        match self.asked.remove(&ticket) {
            Some(Asked::Policy { generation, from, .. }) => {
                info!(generation, "policy {generation} is in force in every shard");
                self.face.say(from, &FromGateway::PolicyDone { generation, result: Ok(()) });
            }
            Some(Asked::Status { id, from, shards, .. }) => {
                let status = Box::new(self.status(shards));
                self.face.say(from, &FromGateway::Status { id, status });
            }
            Some(Asked::Names { id, from, names, .. }) => {
                self.face.say(from, &FromGateway::Names { id, names });
            }
            None => {}
        }
    }

    fn status(&self, shards: Vec<ShardStatus>) -> GatewayStatus {
        let state = self.revocations.state();
        GatewayStatus {
            revoked: self.revocations.set().len() as u64,
            unstored: self.revocations.unstored() as u64,
            policy_generation: self.policy.generation(),
            journal: self.revocations.head(),
            journal_room: self.revocations.room(),
            journal_low: self.revocations.low().map(str::to_owned),
            copies: self.copies.status(),
            quarantined: state.quarantined.len() as u64,
            panicked: state.panicked.keys().cloned().collect(),
            cut_devices: state.devices.len() as u64,
            denied: self.revocations.denied().map(str::to_owned),
            flow_records_lost: self.records_lost_in_all,
            own_addresses: self.own.current().to_vec(),
            smfs: self.smfs(),
            pfcp_received: self.socket.as_ref().map_or(0, |s| s.received),
            pfcp_refused: self.socket.as_ref().map_or(0, |s| s.refused),
            shards,
        }
    }

    fn take_news(&mut self, news: News) {
        match news {
            News::Records(records) => self.records.extend(records),
            News::Event(ShardEvent::EndedTunnelUsed { imsi, teid, radio }) => {
                self.face.say_to_control(&FromGateway::EndedTunnelUsed { imsi, teid, radio });
            }
            News::Event(event) => {
                self.n4.event(event, time::now());
                self.run_n4();
            }
            News::Alarm(text) => self.raise(text),
        }
        let over = self.records.len().saturating_sub(RECORDS_KEPT);
        self.records.drain(..over);
        self.records_lost += over as u64;
        self.records_lost_in_all += over as u64;
    }

    /// Gives flow records to `control` as fast as it reads them; meanwhile they wait here, the oldest go first.
    fn tell_records(&mut self) {
        while !self.records.is_empty() && self.face.control_reads() {
            let n = self.records.len().min(RECORDS_TOLD);
            let records = self.records.drain(..n).collect();
            let lost = std::mem::take(&mut self.records_lost);
            self.face.say_to_control(&FromGateway::Flows { records, lost });
        }
    }
}

fn shard_status(shard: ShardId, s: command::ShardStatus, io: crate::link::IoCounters) -> ShardStatus {
    ShardStatus {
        shard: shard.0,
        sessions: s.sessions as u64,
        flows: s.flows as u64,
        revoked: s.revoked as u64,
        policy_generation: s.policy.unwrap_or(0),
        counters: s.counters,
        io,
    }
}
