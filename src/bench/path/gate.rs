//! What stands between N3 and N6 while a load runs: one shard of ours with its thread, or a loop that moves one packet
//! with each system call and judges nothing.

use super::{APP, GATE, MTU, UES, teid_of, ue_of};
use crate::{
    gateway::{
        GTPU_PORT, Sockets,
        n3::N3,
        n6::N6,
        netlink::Netlink,
        ring::Waker,
        shard_thread::{Inbox, Io, Parts, Upward, Worker},
        sys::{self, Wait},
    },
    time,
};
use anyhow::{Context, Result, ensure};
use pgw_policy::{
    Policy,
    batch::{BatchSize, ShardId},
    command::{ShardCommand, ShardReply},
    session::{Downlink, Paths, Rate, RateOf, SessionSpec, Tunnel, Uplink},
    shard::{Limits, Shard, ShardConfig},
};
use serde_json::json;
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsRawFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tun_rs::{DeviceBuilder, SyncDevice};
use types::{Imsi, Seid, Teid, UeIp};

/// How often a loop without work looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);
const TUN: &str = "path0";
/// A rate that no run reaches: it is asked for with every packet.
const KBPS: u64 = 100_000_000;

/// How many rules and sessions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rules: u32,
    pub(super) sessions: u32,
}

/// A gate that is open.
pub(super) struct Running {
    /// Its threads.
    pub(super) threads: Vec<i32>,
    /// Packets that it wrote to N6.
    pub(super) uplink: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Datagrams that it read from N3; of the loop beside ours, those that it wrote on.
    pub(super) heard: Arc<dyn Fn() -> u64 + Send + Sync>,
    pub(super) stop: Arc<AtomicBool>,
}

/// Opens the TUN's way for the UEs.
fn route(index: u32) -> Result<()> {
    let mut netlink = Netlink::open()?;
    netlink.set_up(index)?;
    netlink.add_route(UES.parse()?, index)
}

/// One shard, until it is stopped; says when it is ready.
pub(super) fn ours(size: Size, ready: &mpsc::Sender<Running>) -> Result<()> {
    let n6 = N6::open(TUN, MTU, 1)?.pop().context("no queue")?;
    route(n6.index()?)?;
    let n3 = N3::open(SocketAddr::from((GATE, GTPU_PORT)))?;
    let (waker, main) = (Waker::new()?, Waker::new()?);
    let inbox = Inbox::new(&waker);
    let io = Arc::new(Io::default());
    let (written, read) = (Arc::clone(&io), Arc::clone(&io));
    let mut worker = Worker::new(Parts {
        id: ShardId(0),
        shard: shard(size)?,
        ports: Sockets { n3, n6, io: Arc::clone(&io), ready: None },
        waker,
        others: vec![inbox.parcels.clone()],
        inbox,
        up: Upward::new(1, &main),
        io,
        batch: BatchSize::default(),
    });
    let stop = Arc::new(AtomicBool::new(false));
    let uplink = Arc::new(move || written.n6_sent.load(Ordering::Relaxed));
    let heard = Arc::new(move || read.n3_received.load(Ordering::Relaxed));
    let running = Running { threads: vec![time::this_thread()?], uplink, heard, stop: Arc::clone(&stop) };
    ready.send(running).ok().context("nobody waits")?;
    while !stop.load(Ordering::Relaxed) {
        if !worker.turn() {
            worker.sleep();
        }
    }
    Ok(())
}

/// A shard with everything switched on.
fn shard(size: Size) -> Result<Shard> {
    let config = ShardConfig { id: ShardId(0), shards: 1, n3: GATE.into(), limits: Limits::default() };
    let mut shard = Shard::new(config, crate::keys::random()?);
    let now = time::now();
    shard.command(ShardCommand::Policy(Arc::new(policy(size.rules)?)), now);
    shard.command(ShardCommand::Radios(vec!["10.10.0.0/24".parse()?]), now);
    shard.command(ShardCommand::OwnAddresses(vec![GATE.into()]), now);
    for n in 0..size.sessions {
        let teid = Teid::new(teid_of(n)).context("a TEID")?;
        let imsi: Imsi = format!("99970{n:010}").parse()?;
        let tunnel = Tunnel { peer: super::RADIO.into(), teid };
        let ue = UeIp(ue_of(n));
        let rates = [RateOf::AllUp, RateOf::Down].map(|of| Rate { qer: 1, kbps: KBPS, of });
        let downlink = Downlink::Forward { tunnel, qfi: Some(1) };
        let paths =
            Paths { uplink: vec![(teid, Uplink::FORWARD)], downlink, rates: rates.to_vec(), qfis: 1 << 1 };
        let spec = Box::new(SessionSpec { seid: Seid(u64::from(n) + 1), imsi, ue, paths });
        let made = shard.command(ShardCommand::Insert(spec), now);
        ensure!(matches!(made, ShardReply::Inserted { .. }), "session {n} was not taken");
        shard.command(ShardCommand::UeOwner { ue, shard: Some(ShardId(0)) }, now);
    }
    Ok(shard)
}

/// The last of `rules` rules allows the app of the loads; the others speak of other apps.
fn policy(rules: u32) -> Result<pgw_policy::Compiled> {
    let others = (1..rules).map(|n| (format!("other-{n}"), std::net::Ipv4Addr::from(0x0a3c_0000 + n), n));
    let all: Vec<_> = others.chain([("app".to_owned(), APP, rules)]).collect();
    let apps = all.iter().map(|(name, at, _)| {
        json!({ "name": name, "prefixes": [format!("{at}/32")], "services": ["tcp/5201", "udp/9", "udp/7"] })
    });
    let lines = all.iter().map(|(name, _, n)| {
        json!({ "name": name, "order": n, "subject": "any", "app": name, "direction": "out", "verdict": "allow" })
    });
    let policy: Policy = serde_json::from_value(json!({
        "generation": 1,
        "data_networks": [{ "dnn": "corp", "pool": UES, "mtu": MTU }],
        "apps": apps.collect::<Vec<_>>(),
        "rules": lines.collect::<Vec<_>>(),
    }))?;
    pgw_policy::compile(&policy).map_err(|e| anyhow::anyhow!("the policy does not compile: {e:?}"))
}

/// One packet with each system call, one thread for each direction; until it is stopped.
pub(super) fn one_packet(ready: &mpsc::Sender<Running>) -> Result<()> {
    let tun = Arc::new(DeviceBuilder::new().name(TUN).mtu(MTU).build_sync()?);
    tun.set_nonblocking(true)?;
    route(tun.if_index()?)?;
    let socket = UdpSocket::bind((GATE, GTPU_PORT))?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20)?;
    socket.set_nonblocking(true)?;
    let stop = Arc::new(AtomicBool::new(false));
    let passed = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&passed);
    let (tell, told) = mpsc::channel();
    let down = {
        let (tun, socket, stop) = (Arc::clone(&tun), socket.try_clone()?, Arc::clone(&stop));
        thread::spawn(move || {
            let _ = tell.send(time::this_thread());
            down(&tun, &socket, &stop)
        })
    };
    let threads = vec![time::this_thread()?, told.recv()??];
    let uplink: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(move || counted.load(Ordering::Relaxed));
    let heard = Arc::clone(&uplink);
    ready.send(Running { threads, uplink, heard, stop: Arc::clone(&stop) }).ok().context("nobody waits")?;
    up(&tun, &socket, &stop, &passed)?;
    down.join().map_err(|_| anyhow::anyhow!("the downlink's thread failed"))?
}

fn up(tun: &SyncDevice, socket: &UdpSocket, stop: &AtomicBool, passed: &AtomicU64) -> Result<()> {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv(&mut buffer) {
            Ok(n) => {
                let datagram = buffer.get(..n).unwrap_or_default();
                if let Ok(packet) = wire::gtpu::Packet::parse(datagram)
                    && tun.send(packet.payload).is_ok()
                {
                    passed.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => sys::poll(&[Wait::read(socket)], LOOK)?,
            Err(_) => {}
        }
    }
    Ok(())
}

fn down(tun: &SyncDevice, socket: &UdpSocket, stop: &AtomicBool) -> Result<()> {
    const HEAD: usize = 16;
    let container = Some(wire::gtpu::PduSession { pdu_type: 0, qfi: 1 });
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let (head, room) = buffer.split_at_mut(HEAD);
        match tun.recv(room) {
            Ok(n) => {
                let made = wire::gtpu::g_pdu_header(teid_of(super::TCP_UE), container, n);
                head.copy_from_slice(made.context("too long")?.as_bytes());
                let datagram = buffer.get(..HEAD + n).unwrap_or_default();
                let _ = socket.send_to(datagram, (super::RADIO, GTPU_PORT));
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => sys::poll(&[readable(tun)], LOOK)?,
            Err(_) => {}
        }
    }
    Ok(())
}

#[allow(unsafe_code)]
fn readable(tun: &SyncDevice) -> Wait<'_> {
    // SAFETY: the device owns the descriptor and is borrowed for as long as the result.
    Wait { fd: unsafe { BorrowedFd::borrow_raw(tun.as_raw_fd()) }, write: false }
}
