//! The rings, the wake-up and the confirmation, run under many orders of events that threads allow (the very
//! same code over shuttle's primitives): after the answer to a cut no packet of that SIM is written.

use super::super::ring::{Bell, Flag, Kit, Queue, Waker};
use super::super::shards::Shards;
use super::*;
use pgw_policy::Policy;
use pgw_policy::session::{Downlink, Paths, SessionSpec, Tunnel, Uplink};
use pgw_policy::shard::{Limits, ShardConfig};
use shuttle::sync::atomic::AtomicBool;
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use types::{Imsi, Seid, Teid, UeIp, Utc};

/// Primitives whose every step shuttle orders.
struct Model;

impl Kit for Model {
    type Queue<T: Send + 'static> = ModelQueue<T>;
    type Flag = AtomicBool;
    type Bell = ModelBell;
}

struct ModelQueue<T> {
    items: Mutex<VecDeque<T>>,
    capacity: usize,
}

impl<T> Queue<T> for ModelQueue<T> {
    fn new(capacity: usize) -> Self {
        Self { items: Mutex::new(VecDeque::new()), capacity }
    }
    fn push(&self, value: T) -> Result<(), T> {
        let mut items = self.items.lock().unwrap();
        if items.len() == self.capacity {
            return Err(value);
        }
        items.push_back(value);
        Ok(())
    }
    fn pop(&self) -> Option<T> {
        self.items.lock().unwrap().pop_front()
    }
    fn is_empty(&self) -> bool {
        self.items.lock().unwrap().is_empty()
    }
}

impl Flag for AtomicBool {
    fn new() -> Self {
        Self::new(false)
    }
    fn swap(&self, value: bool) -> bool {
        self.swap(value, Ordering::SeqCst)
    }
}

/// Waits without a timeout: a lost wake-up is a deadlock, and shuttle tells of it.
struct ModelBell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell for ModelBell {
    fn new() -> std::io::Result<Self> {
        Ok(Self { rung: Mutex::new(false), changed: Condvar::new() })
    }
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_all();
    }
    fn hush(&self) {
        *self.rung.lock().unwrap() = false;
    }
    fn wait(&self, _timeout: Duration) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
    }
}

/// A socket: datagrams wait in it, and who puts one in wakes the poll.
type Socket = Ring<Vec<u8>, Model>;

/// What happened, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    Written(ShardId),
    Confirmed,
    Restored,
}

struct ModelPorts {
    id: ShardId,
    socket: Socket,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Ports<Model> for ModelPorts {
    fn now(&mut self) -> Now {
        Now { mono: Mono(1), utc: Utc(1) }
    }
    fn receive(&mut self, batch: &mut Batch) {
        while let Some(datagram) = self.socket.pop() {
            assert!(batch.push(Origin::N3 { from: SocketAddr::from((GNB, 2152)) }, &datagram));
        }
    }
    fn send(&mut self, batch: &Batch) {
        for _ in batch.outputs().iter().filter(|o| o.to == To::N6) {
            self.seen.lock().unwrap().push(Seen::Written(self.id));
        }
    }
    fn wait(&mut self, bell: &ModelBell, timeout: Duration) {
        if self.socket.is_empty() {
            bell.wait(timeout);
        }
    }
}

const GNB: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 5);
const APP: Ipv4Addr = Ipv4Addr::new(10, 50, 0, 1);

fn imsi() -> Imsi {
    "001010000000001".parse().unwrap()
}

/// A TEID of shard 0.
fn teid() -> Teid {
    Teid::new(0x0000_0c01).unwrap()
}

fn session() -> ShardCommand {
    let tunnel = Tunnel { peer: IpAddr::V4(GNB), teid: Teid::new(7).unwrap() };
    ShardCommand::Insert(Box::new(SessionSpec {
        seid: Seid(1),
        imsi: imsi(),
        ue: UeIp(UE),
        routes: Vec::new(),
        prefix: None,
        paths: Paths {
            rates: Vec::new(),
            qfis: 0,
            waiting: None,
            measures: Vec::new(),
            steps: None,
            uplink: vec![(teid(), Uplink::FORWARD)],
            downlink: Downlink::Forward { tunnel, qfi: None },
        },
    }))
}

fn policy() -> ShardCommand {
    let policy: Policy = serde_json::from_value(serde_json::json!({
        "generation": 1,
        "data_networks": [{ "dnn": "office", "pool": "10.45.0.0/16" }],
        "apps": [{ "name": "app", "prefixes": ["10.50.0.1/32"], "services": ["udp/5000"] }],
        "rules": [{ "name": "r", "order": 1, "subject": "any", "app": "app", "direction": "out", "verdict": "allow" }],
    }))
    .unwrap();
    ShardCommand::Policy(Arc::new(pgw_policy::compile(&policy).unwrap()))
}

/// A UDP packet of the UE inside GTP-U.
fn uplink() -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    ip.extend(UE.octets());
    ip.extend(APP.octets());
    ip.extend([0x9c, 0x40, 0x13, 0x88, 0, 8, 0, 0]);
    let sum = ip.chunks(2).take(10).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum::<u32>();
    let sum = !((sum & 0xffff) as u16 + (sum >> 16) as u16);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    wire::gtpu::encode_uplink(teid().value(), 1, &ip).unwrap()
}

struct World {
    shards: Shards<Model>,
    sockets: Vec<Socket>,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    wakers: Vec<Arc<Waker<Model>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl World {
    /// `count` shards run; the radios and the policy are in force.
    fn new(count: u8) -> Self {
        let main = Waker::new().unwrap();
        let up = Upward::new(usize::from(count), &main);
        let wakers: Vec<_> = (0..count).map(|_| Waker::<Model>::new().unwrap()).collect();
        let inboxes: Vec<_> = wakers.iter().map(Inbox::new).collect();
        let sockets: Vec<Socket> = wakers.iter().map(|w| Ring::new(64, w)).collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let others: Vec<_> = inboxes.iter().map(|i| i.parcels.clone()).collect();
        let mut threads = Vec::new();
        let mut posts = Vec::new();
        for (n, inbox) in inboxes.into_iter().enumerate() {
            let id = ShardId(n as u8);
            let n3 = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
            let mut shard =
                Shard::new(ShardConfig { id, shards: count, n3, limits: Limits::default() }, [n as u8; 32]);
            shard.command(ShardCommand::Radios(vec!["10.0.0.2/32".parse().unwrap()]), Now::default());
            shard.command(policy(), Now::default());
            let io = Arc::new(Io::default());
            let mut worker = Worker::new(Parts {
                id,
                shard,
                ports: ModelPorts { id, socket: sockets[n].clone(), seen: Arc::clone(&seen) },
                waker: Arc::clone(&wakers[n]),
                inbox: inbox.clone(),
                others: others.clone(),
                up: up.clone(),
                io: Arc::clone(&io),
                batch: BatchSize { received: 16 << 10, made: 4 << 10, packets: 64 },
            });
            posts.push((inbox, io));
            let stop = Arc::clone(&stop);
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    if !worker.turn() {
                        let (inbox, ports) = (&worker.inbox, &mut worker.ports);
                        let work = || stop.load(Ordering::SeqCst) || !inbox.is_empty();
                        worker.waker.sleep(work, |bell| ports.wait(bell, Duration::ZERO));
                    }
                }
            }));
        }
        Self { shards: Shards::new(posts, up, main), sockets, seen, stop, wakers, threads }
    }

    fn insert(&mut self) {
        let ticket = Ticket::Main(self.shards.ticket());
        self.shards.order(ShardId(0), Order { ticket, command: session() });
    }

    fn wait_for_answer(&mut self) -> ShardReply {
        loop {
            if let Some(answer) = self.shards.next_answer() {
                return answer.reply;
            }
            self.shards.sleep(|| false, |bell| bell.wait(Duration::ZERO));
        }
    }

    fn ask(&mut self, command: ShardCommand, mark: Seen) {
        let answers = self.shards.ask_all_now(&[command], Duration::from_secs(600));
        self.seen.lock().unwrap().push(mark);
        assert_eq!(answers[0].len(), self.shards.count(), "every shard confirmed");
    }

    fn cut(&mut self) {
        self.ask(ShardCommand::Cut { imsi: imsi() }, Seen::Confirmed);
    }

    /// A radio that sends `n` packets into the sockets in turn.
    fn radio(&self, n: usize) -> thread::JoinHandle<()> {
        let sockets = self.sockets.clone();
        thread::spawn(move || {
            for i in 0..n {
                let _ = sockets[i % sockets.len()].push(uplink());
            }
        })
    }

    fn end(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::SeqCst);
        self.wakers.iter().for_each(|w| w.wake());
        self.threads.into_iter().for_each(|t| t.join().unwrap());
        self.seen.lock().unwrap().clone()
    }
}

/// Nothing is written between a confirmation and the next restoration.
fn check(seen: &[Seen]) {
    let mut cut = false;
    for s in seen {
        match s {
            Seen::Confirmed => cut = true,
            Seen::Restored => cut = false,
            Seen::Written(_) => assert!(!cut, "written after the confirmation: {seen:?}"),
        }
    }
}

const TRIES: usize = 300;

#[test]
fn without_a_cut_packets_of_both_sockets_come_through() {
    shuttle::check_random(
        || {
            let mut w = World::new(2);
            w.insert();
            assert_eq!(w.wait_for_answer(), ShardReply::Inserted { born_dropped: false });
            let radio = w.radio(4);
            radio.join().unwrap();
            // The sleepers must have been woken: without a stop in between, all four arrive.
            loop {
                if w.seen.lock().unwrap().len() == 4 {
                    break;
                }
                thread::yield_now();
            }
            assert_eq!(w.end(), [Seen::Written(ShardId(0)); 4]);
        },
        TRIES,
    );
}

#[test]
fn after_a_cut_is_confirmed_nothing_of_that_sim_is_written() {
    shuttle::check_random(
        || {
            let mut w = World::new(2);
            w.insert();
            let radio = w.radio(6);
            w.cut();
            radio.join().unwrap();
            check(&w.end());
        },
        TRIES,
    );
    shuttle::check_pct(
        || {
            let mut w = World::new(2);
            w.insert();
            let radio = w.radio(4);
            w.cut();
            radio.join().unwrap();
            check(&w.end());
        },
        TRIES,
        3,
    );
}

#[test]
fn a_session_made_during_or_after_the_cut_is_born_dropped() {
    shuttle::check_random(
        || {
            let mut w = World::new(1);
            let radio = w.radio(3);
            w.cut();
            w.insert();
            assert_eq!(w.wait_for_answer(), ShardReply::Inserted { born_dropped: true });
            radio.join().unwrap();
            assert_eq!(w.end(), [Seen::Confirmed]);
        },
        TRIES,
    );
}

#[test]
fn after_a_quarantine_is_confirmed_nothing_but_its_remediation_app_is_reached() {
    shuttle::check_random(
        || {
            let mut w = World::new(2);
            w.insert();
            let radio = w.radio(6);
            // The only app is no remediation app: the flow that is open ends, and none opens.
            w.ask(ShardCommand::Quarantine { imsi: imsi(), on: true }, Seen::Confirmed);
            radio.join().unwrap();
            check(&w.end());
        },
        TRIES,
    );
    shuttle::check_random(
        || {
            let mut w = World::new(1);
            let radio = w.radio(3);
            w.ask(ShardCommand::Quarantine { imsi: imsi(), on: true }, Seen::Confirmed);
            w.insert();
            assert_eq!(w.wait_for_answer(), ShardReply::Inserted { born_dropped: false });
            radio.join().unwrap();
            assert_eq!(w.end(), [Seen::Confirmed], "a session made later is born in quarantine");
        },
        TRIES,
    );
}

#[test]
fn bans_and_unbans_take_effect_in_the_order_in_which_they_were_given() {
    shuttle::check_random(
        || {
            let mut w = World::new(2);
            w.insert();
            let radio = w.radio(6);
            w.cut();
            // The unban's effect may begin before its answer.
            w.seen.lock().unwrap().push(Seen::Restored);
            w.ask(ShardCommand::Uncut { imsi: imsi() }, Seen::Restored);
            w.cut();
            radio.join().unwrap();
            check(&w.end());
        },
        TRIES,
    );
}

#[test]
fn what_was_ordered_before_is_done_when_the_shards_have_settled() {
    shuttle::check_random(
        || {
            let mut w = World::new(2);
            w.insert();
            let radio = w.radio(6);
            let ticket = Ticket::Main(w.shards.ticket());
            let command = ShardCommand::Remove { seid: Seid(1) };
            w.shards.order(ShardId(0), Order { ticket, command });
            assert_eq!(w.shards.settle(Duration::from_secs(600)), 2);
            w.seen.lock().unwrap().push(Seen::Confirmed);
            // The answers to those orders were set aside, and are there.
            assert_eq!(w.wait_for_answer(), ShardReply::Inserted { born_dropped: false });
            assert!(matches!(w.wait_for_answer(), ShardReply::Usage(_)));
            radio.join().unwrap();
            check(&w.end());
        },
        TRIES,
    );
}
