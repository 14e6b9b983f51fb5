//! The gateway process: the user plane, the compiled policy, the revoked set, and the only writer of the
//! revocation journal. Plain threads: one per shard, and the main one for everything else.
//!
//! Order of the start: namespace, journal, own addresses, sockets, threads, the link. The revoked set and
//! our own addresses are in each shard before it sees its first packet; what comes later (sessions, policy)
//! comes from `control` over the link, and until it comes nothing is allowed.

pub mod control_face;
pub mod journal;
pub mod link;
pub mod n3;
pub mod n4_socket;
pub mod n6;
pub mod netlink;
pub mod netns;
#[cfg(feature = "lab")]
pub mod one_packet;
pub mod own_addresses;
pub mod revocation;
pub mod ring;
pub mod service;
pub mod shard_thread;
pub mod shards;
pub mod sys;
pub mod time;

mod main_thread;

use anyhow::{Context, Result};
use control_face::Face;
use ipnet::IpNet;
use journal::copies::{self, Copies, CopyConfig};
use main_thread::MainThread;
use n3::N3;
use n4_socket::{N4Socket, N4SocketConfig};
use n6::N6;
use netlink::Netlink;
use netns::Netns;
use own_addresses::OwnAddresses;
use pgw_policy::batch::{Batch, BatchSize, Origin, ShardId, To};
use pgw_policy::command::ShardCommand;
use pgw_policy::n4::{N4, N4Config, Timing};
use pgw_policy::shard::{Limits, Shard, ShardConfig};
use revocation::Revocations;
use ring::{Os, Waker};
use serde::{Deserialize, Serialize};
use service::{Page, Room, ServiceConfig};
use shard_thread::{Inbox, Io, Parts, Ports, Upward, Worker};
use shards::Shards;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use sys::{EventFd, Wait, random};
use tracing::info;
use types::Now;

/// UDP port of GTP-U (TS 29.281 §4.4.2.3).
pub const GTPU_PORT: u16 = 2152;

/// What the gateway process is told at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayConfig {
    /// Namespace to enter first; `None`: stay.
    pub netns: Option<Netns>,
    /// Switch forwarding on in that namespace: the TUN is a router's interface.
    pub forward: bool,
    /// Our N3 address; also our PFCP Node ID.
    pub n3: IpAddr,
    /// Our N3 port, [`GTPU_PORT`] but in tests.
    pub n3_port: u16,
    /// With a value, a UE is heard only through the radio that serves it, and for so many milliseconds after a handover
    /// through the former one.
    pub peer_grace_ms: Option<u64>,
    /// The TUN interface towards N6.
    pub tun: TunConfig,
    /// How many shards, 1 to 16.
    pub shards: u8,
    /// Prefixes of the admitted radios' N3 addresses.
    pub radios: Vec<IpNet>,
    /// Foreign SMFs that steer us, where there are any.
    pub n4: Option<N4SocketConfig>,
    /// Our own page inside the closed network, where there is one.
    pub service: Option<ServiceConfig>,
    /// Where `control` finds us.
    pub socket: PathBuf,
    /// The revocation journal.
    pub journal: PathBuf,
    /// Where copies of it are kept.
    pub journal_copies: Vec<CopyConfig>,
    /// How long a receipt waits for the copies, milliseconds.
    pub journal_copy_wait_ms: u64,
}

/// The TUN interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunConfig {
    /// Its name, at most 15 characters.
    pub name: String,
    /// Its MTU: what fits into a GTP-U tunnel on an N3 of 1 500 octets is 1 400.
    pub mtu: u16,
    /// Its own addresses, where it needs any (ours, so UEs cannot reach them).
    pub addresses: Vec<IpNet>,
    /// UE prefixes routed to it from the start; `control` sends those of the data networks.
    pub ue_prefixes: Vec<IpNet>,
}

/// Runs the gateway; comes back only if it cannot go on.
///
/// # Errors
/// In words for the operator: a journal that cannot be trusted, a socket that cannot be opened, a namespace
/// that cannot be entered. Nothing is forwarded then.
pub fn run(config: GatewayConfig) -> Result<ExitCode> {
    limit_words_of_panics();
    if let Some(netns) = &config.netns {
        netns.enter()?;
    }
    let mut revocations = Revocations::open(&config.journal, random()?)
        .with_context(|| format!("revocation journal {}", config.journal.display()))?;
    copies::check(revocations.journal(), &config.journal_copies)?;
    if config.forward {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("IPv4 forwarding cannot be switched on")?;
        // A kernel without IPv6 has no such switch, and forwards none.
        let six = std::path::Path::new("/proc/sys/net/ipv6/conf/all/forwarding");
        if six.exists() {
            fs::write(six, "1").context("IPv6 forwarding cannot be switched on")?;
        }
    }
    let queues = N6::open(&config.tun.name, config.tun.mtu, usize::from(config.shards))?;
    let tun = set_up_tun(&config.tun, &queues)?;
    let mut room =
        config.service.as_ref().map(|s| Room::open(s, config.tun.mtu, queues.len())).transpose()?;
    let own = OwnAddresses::follow()?;
    let socket = config.n4.as_ref().map(N4Socket::open).transpose()?;
    let face = Face::open(&config.socket)?;

    let waker = Waker::new()?;
    let bell = Arc::clone(&waker);
    let copies = Copies::start(revocations.journal(), &config.journal_copies, move || bell.wake())
        .context("the journal's copies cannot be started")?;
    let up = Upward::new(queues.len(), &waker);
    let to_page = room.as_mut().map(Room::take_queues).unwrap_or_default();
    let (shards, threads) = start_shards(&config, (queues, to_page), &revocations, own.current(), &up)?;
    let page = config.service.as_ref().zip(room).map(|(s, room)| Page::new(s, room));
    let shards = Shards::new(shards, up, waker);
    let now = time::now();
    let timing =
        |c: &N4SocketConfig| Timing { heartbeat_ms: c.heartbeat_ms, t1_ms: c.t1_ms, ..Timing::default() };
    let n4 = N4::new(n4_config(&config), now, random()?);
    let n4 = n4.with_timing(config.n4.as_ref().map(timing).unwrap_or_default());
    let (n3, count, recovery) = (config.n3, config.shards, n4.recovery());
    info!(%n3, shards = count, recovery, "the gateway is open: N3 at {n3}, {count} shards");
    let gateway_id = u64::from_ne_bytes(random()?);
    MainThread::new(
        gateway_id,
        face,
        (n4, socket),
        shards,
        revocations,
        own,
        tun,
        threads,
        (copies, config.journal_copy_wait_ms),
        page,
    )
    .run()
}

/// Where the UEs' prefixes are routed to.
struct Tun {
    netlink: Netlink,
    index: u32,
    prefixes: Vec<IpNet>,
}

fn set_up_tun(config: &TunConfig, queues: &[N6]) -> Result<Tun> {
    let index = queues.first().context("a gateway has at least one shard")?.index()?;
    let mut netlink = Netlink::open()?;
    netlink.set_up(index)?;
    for &address in &config.addresses {
        netlink.add_address(address, index)?;
    }
    let mut tun = Tun { netlink, index, prefixes: Vec::new() };
    tun.route(config.ue_prefixes.clone())?;
    Ok(tun)
}

impl Tun {
    /// Routes `prefixes` here, and those of before no longer.
    fn route(&mut self, prefixes: Vec<IpNet>) -> Result<()> {
        for &prefix in prefixes.iter().filter(|p| !self.prefixes.contains(p)) {
            self.netlink.add_route(prefix, self.index)?;
        }
        for &prefix in self.prefixes.iter().filter(|p| !prefixes.contains(p)) {
            self.netlink.delete_route(prefix, self.index)?;
        }
        self.prefixes = prefixes;
        Ok(())
    }
}

type Post = (Inbox<Os>, Arc<Io>);

fn start_shards(
    config: &GatewayConfig,
    (queues, to_page): (Vec<N6>, Vec<N6>),
    revocations: &Revocations,
    own: &[IpAddr],
    up: &Upward<Os>,
) -> Result<(Vec<Post>, Vec<JoinHandle<()>>)> {
    let mut wakers = Vec::with_capacity(queues.len());
    for _ in &queues {
        wakers.push(Waker::<Os>::new()?);
    }
    let inboxes: Vec<_> = wakers.iter().map(Inbox::new).collect();
    let others: Vec<_> = inboxes.iter().map(|i| i.parcels.clone()).collect();
    let mut posts = Vec::with_capacity(queues.len());
    let mut threads = Vec::with_capacity(queues.len());
    let mut to_page = to_page.into_iter();
    for (n, ((n6, waker), inbox)) in queues.into_iter().zip(wakers).zip(inboxes).enumerate() {
        let id = ShardId(n as u8);
        let io = Arc::new(Io::default());
        let n3 = N3::open(SocketAddr::from((config.n3, config.n3_port)))?;
        let worker = Worker::new(Parts {
            id,
            shard: new_shard(config, id, revocations, own)?,
            ports: Sockets { n3, n6, page: to_page.next(), io: Arc::clone(&io), ready: None },
            waker,
            inbox: inbox.clone(),
            others: others.clone(),
            up: up.clone(),
            io: Arc::clone(&io),
            batch: BatchSize::default(),
        });
        let thread = std::thread::Builder::new().name(format!("shard-{n}"));
        threads.push(thread.spawn(move || worker.run()).context("a shard's thread cannot be started")?);
        posts.push((inbox, io));
    }
    Ok((posts, threads))
}

/// A shard that knows who is banned, who we are and who the radios are.
fn new_shard(
    config: &GatewayConfig,
    id: ShardId,
    revocations: &Revocations,
    own: &[IpAddr],
) -> Result<Shard> {
    let n3 = config.n3;
    let mut limits = Limits { peer_grace_ms: config.peer_grace_ms, ..Limits::default() };
    limits.n3_mtu = n3::mtu_towards(&config.radios, config.n3).unwrap_or(limits.n3_mtu);
    let mut shard = Shard::new(ShardConfig { id, shards: config.shards, n3, limits }, random()?);
    let now = time::now();
    for &imsi in revocations.set().keys() {
        shard.command(ShardCommand::Cut { imsi }, now);
    }
    let state = revocations.state();
    for &imsi in state.quarantined.keys() {
        shard.command(ShardCommand::Quarantine { imsi, on: true }, now);
    }
    for group in state.panicked.keys() {
        shard.command(ShardCommand::Panic { group: group.clone(), on: true }, now);
    }
    // Until `control` was heard about the bans that it knows (`MainThread::open_or_close`).
    shard.command(ShardCommand::Close { on: true }, now);
    shard.command(ShardCommand::OwnAddresses(own.to_vec()), now);
    shard.command(ShardCommand::Radios(config.radios.clone()), now);
    let service = config.service.as_ref().map(|s| Arc::new(s.service.clone()));
    shard.command(ShardCommand::Service(service), now);
    Ok(shard)
}

fn n4_config(config: &GatewayConfig) -> N4Config {
    N4Config {
        node: config.n4.as_ref().map_or(config.n3, |c| c.listen.ip()),
        n3: config.n3,
        peers: config.n4.as_ref().map(|c| c.smfs.clone()).unwrap_or_default(),
        radios: config.radios.clone(),
        shards: config.shards,
        max_sessions: Limits::default().sessions.saturating_mul(usize::from(config.shards)),
    }
}

/// The real sockets of a shard.
pub struct Sockets {
    /// Towards the radios.
    pub n3: N3,
    /// Towards the company.
    pub n6: N6,
    /// Towards our own page, where there is one.
    pub page: Option<N6>,
    /// The shard's counters.
    pub io: Arc<Io>,
    /// Whether N3, N6 and the page have something, as far as it is known.
    pub ready: Option<[bool; 3]>,
}

impl Ports<Os> for Sockets {
    fn now(&mut self) -> Now {
        time::now()
    }
    fn receive(&mut self, batch: &mut Batch) {
        let [n3, n6, page] = match self.ready.take() {
            Some(ready) => ready,
            None => self.look(None, Duration::ZERO),
        };
        let n3_has_more = n3 && !self.n3.receive(batch, &self.io);
        let n6_has_more = n6 && !self.n6.receive(batch, Origin::N6 { handed: false }, &self.io);
        let from_page = |p: &mut N6| p.receive(batch, Origin::Service { handed: false }, &self.io);
        let page_has_more = page && !self.page.as_mut().is_none_or(from_page);
        // Where all were read to the end, whoever waits asks the kernel, and the next turn need not. Where one has more
        // than a turn takes, the others must not wait for its end: the next turn asks.
        if (n3 || n6 || page) && !n3_has_more && !n6_has_more && !page_has_more {
            self.ready = Some([false; 3]);
        }
    }
    fn send(&mut self, batch: &Batch) {
        self.n6.send(batch, To::N6, &self.io);
        self.n3.send(batch, &self.io);
        if let Some(page) = &mut self.page {
            page.send(batch, To::Service, &self.io);
        }
    }
    fn wait(&mut self, bell: &EventFd, timeout: Duration) {
        self.ready = Some(self.look(Some(bell), timeout));
    }
}

impl Sockets {
    /// Asks which socket has something; with a bell, waits for it as well.
    fn look(&self, bell: Option<&EventFd>, timeout: Duration) -> [bool; 3] {
        let (n3, n6) = (Wait::read(&self.n3), Wait::read(&self.n6));
        // The one error means a closed descriptor, and these are ours.
        let seen = match (bell, self.page.as_ref().map(Wait::read)) {
            (Some(bell), None) => {
                sys::poll_each([Wait::read(bell), n3, n6], timeout).map(|[_, n3, n6]| [n3, n6, false])
            }
            (Some(bell), Some(page)) => {
                let all = [Wait::read(bell), n3, n6, page];
                sys::poll_each(all, timeout).map(|[_, n3, n6, page]| [n3, n6, page])
            }
            (None, None) => sys::poll_each([n3, n6], timeout).map(|[n3, n6]| [n3, n6, false]),
            (None, Some(page)) => sys::poll_each([n3, n6, page], timeout),
        };
        seen.unwrap_or([true, true, self.page.is_some()])
    }
}

/// A batch that panics is given up and counted (see `shard_thread`). Whoever can send such a batch can send
/// many: their words must not fill the log.
fn limit_words_of_panics() {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if worth_telling(SEEN.fetch_add(1, Ordering::Relaxed) + 1) {
            usual(panic);
        }
    }));
}

/// True for the first few, and then ever more rarely.
fn worth_telling(nth: u64) -> bool {
    nth <= 4 || nth.is_power_of_two()
}

#[cfg(test)]
mod story;
