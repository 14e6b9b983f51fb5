//! One shard's thread: it owns a `pgw_policy::Shard`, its sockets and the rings into it.
//!
//! A turn is: orders first, then one batch received, judged and written. So when an order is carried out
//! nothing of an earlier batch is left to be written, and its answer may go out at once: a write to N3 or
//! N6 that begins after the answer is of a batch that was judged after the order.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use super::ring::{Kit, Os, Ring, Waker};
use crate::link::IoCounters;
use pgw_policy::batch::{Batch, BatchSize, Origin, ShardId, To};
use pgw_policy::command::{ShardCommand, ShardEvent, ShardReply};
use pgw_policy::n4::Token;
use pgw_policy::shard::Shard;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use types::{FlowRecord, Mono, Now};

/// Room of the ring for cuts, uncuts and questions about them.
pub(super) const URGENT: usize = 1024;
/// Room of the ring for all other orders.
pub(super) const ORDERS: usize = 1024;
/// Room of the ring for parcels of other shards.
const PARCELS: usize = 128;
/// Room of the ring for records and events.
pub(super) const NEWS: usize = 1024;
/// Packets in one parcel, at most.
const PARCEL_PACKETS: usize = 64;
/// Octets in one parcel, about.
const PARCEL_OCTETS: usize = 96 << 10;
/// Parcels taken in one turn.
const PARCELS_A_TURN: usize = 16;
/// Orders (but urgent ones) carried out in one turn.
const ORDERS_A_TURN: usize = 64;
/// Records in one piece of news.
const RECORDS: usize = 256;
/// Milliseconds between two ticks.
const TICK_MS: u64 = 50;

/// Who gets the answer to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticket {
    /// The PFCP node.
    N4(Token),
    /// The gateway's main thread.
    Main(u64),
}

/// A command with its ticket.
#[derive(Debug, Clone)]
pub struct Order {
    /// For the answer.
    pub ticket: Ticket,
    /// What.
    pub command: ShardCommand,
}

/// The answer to an order.
#[derive(Debug)]
pub struct Answer {
    /// Whose answer.
    pub shard: ShardId,
    /// Of the order.
    pub ticket: Ticket,
    /// What.
    pub reply: ShardReply,
}

/// What a shard tells unasked.
#[derive(Debug)]
pub enum News {
    /// Flow records.
    Records(Vec<FlowRecord>),
    /// For the control plane.
    Event(ShardEvent),
    /// For a person.
    Alarm(String),
}

/// Packets that one shard received and another one owns.
#[derive(Debug, Default)]
pub struct Parcel {
    bytes: Vec<u8>,
    packets: Vec<(Origin, usize)>,
}

/// The rings into one shard.
pub struct Inbox<K: Kit = Os> {
    /// Cuts and uncuts.
    pub urgent: Ring<Order, K>,
    /// All other orders.
    pub orders: Ring<Order, K>,
    /// Packets that other shards received.
    pub parcels: Ring<Parcel, K>,
}

impl<K: Kit> Inbox<K> {
    /// Empty, into the thread of `waker`.
    pub fn new(waker: &Arc<Waker<K>>) -> Self {
        Self {
            urgent: Ring::new(URGENT, waker),
            orders: Ring::new(ORDERS, waker),
            parcels: Ring::new(PARCELS, waker),
        }
    }

    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.orders.is_empty() && self.parcels.is_empty()
    }
}

impl<K: Kit> Clone for Inbox<K> {
    fn clone(&self) -> Self {
        Self { urgent: self.urgent.clone(), orders: self.orders.clone(), parcels: self.parcels.clone() }
    }
}

/// The rings from all shards into the main thread.
pub struct Upward<K: Kit = Os> {
    /// Answers to orders; has room for one to every order that may be under way.
    pub answers: Ring<Answer, K>,
    /// The rest; what finds no room is counted.
    pub news: Ring<News, K>,
}

impl<K: Kit> Upward<K> {
    /// Empty, into the thread of `waker`.
    pub fn new(shards: usize, waker: &Arc<Waker<K>>) -> Self {
        Self { answers: Ring::new(shards * (URGENT + ORDERS), waker), news: Ring::new(NEWS, waker) }
    }
}

impl<K: Kit> Clone for Upward<K> {
    fn clone(&self) -> Self {
        Self { answers: self.answers.clone(), news: self.news.clone() }
    }
}

/// What a shard's thread touches besides rings: sockets and the clock.
pub trait Ports<K: Kit> {
    /// Both clocks.
    fn now(&mut self) -> Now;
    /// Puts into `batch` what can be received without waiting.
    fn receive(&mut self, batch: &mut Batch);
    /// Writes the outputs of `batch` that are for N3 and N6; returns when the kernel has them or refused them.
    fn send(&mut self, batch: &Batch);
    /// Waits until there is something to receive or `bell` rings, not longer than `timeout`.
    fn wait(&mut self, bell: &K::Bell, timeout: Duration);
}

/// Counters that another thread may read.
#[derive(Debug, Default)]
pub struct Io {
    /// See [`IoCounters`].
    pub n3_received: AtomicU64,
    /// See [`IoCounters`].
    pub n6_received: AtomicU64,
    /// See [`IoCounters`].
    pub n3_sent: AtomicU64,
    /// See [`IoCounters`].
    pub n6_sent: AtomicU64,
    /// See [`IoCounters`].
    pub send_failed: AtomicU64,
    /// See [`IoCounters`].
    pub overload: AtomicU64,
    /// See [`IoCounters`].
    pub records_lost: AtomicU64,
    /// See [`IoCounters`].
    pub panics: AtomicU64,
}

impl Io {
    /// Adds `n` to one of them. Each has one writer.
    pub fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// All of them.
    pub fn read(&self) -> IoCounters {
        let of = |c: &AtomicU64| c.load(Ordering::Relaxed);
        IoCounters {
            n3_received: of(&self.n3_received),
            n6_received: of(&self.n6_received),
            n3_sent: of(&self.n3_sent),
            n6_sent: of(&self.n6_sent),
            send_failed: of(&self.send_failed),
            overload: of(&self.overload),
            records_lost: of(&self.records_lost),
            panics: of(&self.panics),
        }
    }
}

/// A shard's thread.
pub struct Worker<P, K: Kit = Os> {
    id: ShardId,
    shard: Shard,
    ports: P,
    waker: Arc<Waker<K>>,
    inbox: Inbox<K>,
    others: Vec<Ring<Parcel, K>>,
    up: Upward<K>,
    io: Arc<Io>,
    batch: Batch,
    unsent: VecDeque<Answer>,
    next_tick: Mono,
}

/// What a worker is made of.
pub struct Parts<P, K: Kit = Os> {
    /// Which shard.
    pub id: ShardId,
    /// Its state.
    pub shard: Shard,
    /// Its sockets and clock.
    pub ports: P,
    /// Of its own thread.
    pub waker: Arc<Waker<K>>,
    /// Into it.
    pub inbox: Inbox<K>,
    /// Into every shard, by number.
    pub others: Vec<Ring<Parcel, K>>,
    /// Into the main thread.
    pub up: Upward<K>,
    /// Its counters.
    pub io: Arc<Io>,
    /// Size of its batches.
    pub batch: BatchSize,
}

impl<P: Ports<K>, K: Kit> Worker<P, K> {
    /// Ready to run.
    pub fn new(parts: Parts<P, K>) -> Self {
        Self {
            id: parts.id,
            shard: parts.shard,
            ports: parts.ports,
            waker: parts.waker,
            inbox: parts.inbox,
            others: parts.others,
            up: parts.up,
            io: parts.io,
            batch: Batch::new(parts.batch),
            unsent: VecDeque::new(),
            next_tick: Mono(0),
        }
    }

    /// Runs for ever.
    pub fn run(mut self) -> ! {
        loop {
            if !self.turn() {
                self.sleep();
            }
        }
    }

    /// One turn. False if there was nothing to do.
    pub fn turn(&mut self) -> bool {
        let obeyed = self.obey();
        self.batch.clear();
        self.take_parcels();
        self.ports.receive(&mut self.batch);
        let worked = !self.batch.is_empty();
        if worked {
            self.judge_and_write(Shard::on_batch);
        }
        self.tick_if_due();
        let told = self.tell();
        obeyed || worked || told
    }

    /// Waits for work.
    pub fn sleep(&mut self) {
        let (inbox, ports) = (&self.inbox, &mut self.ports);
        let until = Duration::from_millis(TICK_MS);
        self.waker.sleep(|| !inbox.is_empty(), |bell| ports.wait(bell, until));
    }

    /// Carries out orders, urgent ones first. The batch before is written, so each answer goes out at once.
    fn obey(&mut self) -> bool {
        let mut ordinary = 0;
        let mut any = false;
        loop {
            let order = match self.inbox.urgent.pop() {
                Some(order) => order,
                None if ordinary == ORDERS_A_TURN => return true,
                None => match self.inbox.orders.pop() {
                    Some(order) => {
                        ordinary += 1;
                        order
                    }
                    None => return any,
                },
            };
            any = true;
            let reply = self.shard.command(order.command, self.ports.now());
            self.answer(Answer { shard: self.id, ticket: order.ticket, reply });
        }
    }

    fn answer(&mut self, answer: Answer) {
        self.unsent.push_back(answer);
        while let Some(answer) = self.unsent.pop_front() {
            if let Err(answer) = self.up.answers.push(answer) {
                // The main thread never has more orders under way than there is room; should it, nothing is lost.
                self.unsent.push_front(answer);
                return;
            }
        }
    }

    fn take_parcels(&mut self) {
        for _ in 0..PARCELS_A_TURN {
            let Some(parcel) = self.inbox.parcels.pop() else { return };
            let mut rest = parcel.bytes.as_slice();
            for (origin, len) in parcel.packets {
                let (packet, after) = rest.split_at_checked(len).unwrap_or_default();
                rest = after;
                if !self.batch.push(origin, packet) {
                    Io::add(&self.io.overload, 1);
                }
            }
        }
    }

    /// A panic ends this batch, and nothing else.
    fn judge_and_write(&mut self, judge: fn(&mut Shard, &mut Batch, Now)) {
        let now = self.ports.now();
        let done = catch_unwind(AssertUnwindSafe(|| {
            judge(&mut self.shard, &mut self.batch, now);
            self.ports.send(&self.batch);
            hand_over(&self.batch, &self.others, &self.io);
        }));
        if done.is_err() {
            Io::add(&self.io.panics, 1);
            let nth = self.io.panics.load(Ordering::Relaxed);
            if super::worth_telling(nth) {
                let id = self.id.0;
                let text = format!(
                    "the code of shard {id} failed in a batch ({nth} so far); its packets are dropped"
                );
                let _ = self.up.news.push(News::Alarm(text));
            }
        }
        self.batch.clear();
    }

    fn tick_if_due(&mut self) {
        let now = self.ports.now();
        if now.mono < self.next_tick {
            return;
        }
        self.next_tick = now.mono.plus_ms(TICK_MS);
        self.batch.clear();
        self.judge_and_write(Shard::on_tick);
    }

    /// Gives events and records up. False if there were none.
    fn tell(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.shard.poll_event() {
            any = true;
            let _ = self.up.news.push(News::Event(event));
        }
        loop {
            let records: Vec<_> = std::iter::from_fn(|| self.shard.poll_record()).take(RECORDS).collect();
            let n = records.len();
            if n == 0 {
                return any;
            }
            any = true;
            if self.up.news.push(News::Records(records)).is_err() {
                Io::add(&self.io.records_lost, n);
            }
        }
    }
}

/// Gives the packets that belong to other shards to them. What finds no room is dropped and counted.
fn hand_over<K: Kit>(batch: &Batch, others: &[Ring<Parcel, K>], io: &Io) {
    let mut open: Vec<Parcel> = Vec::new();
    for output in batch.outputs() {
        let To::Shard { shard, origin } = output.to else { continue };
        let to = usize::from(shard.0);
        if open.len() <= to {
            open.resize_with(to + 1, Parcel::default);
        }
        let (Some(parcel), bytes) = (open.get_mut(to), batch.bytes(output.piece)) else { continue };
        parcel.bytes.extend_from_slice(bytes);
        parcel.packets.push((origin, bytes.len()));
        if parcel.packets.len() >= PARCEL_PACKETS || parcel.bytes.len() >= PARCEL_OCTETS {
            post(std::mem::take(parcel), others.get(to), io);
        }
    }
    for (to, parcel) in open.into_iter().enumerate() {
        post(parcel, others.get(to), io);
    }
}

fn post<K: Kit>(parcel: Parcel, ring: Option<&Ring<Parcel, K>>, io: &Io) {
    if parcel.packets.is_empty() {
        return;
    }
    let refused = match ring {
        Some(ring) => ring.push(parcel).err(),
        None => Some(parcel),
    };
    Io::add(&io.overload, refused.map_or(0, |p| p.packets.len()));
}

#[cfg(test)]
mod tests;
