//! What stands between N3 and N6 while a load runs: one shard of ours with its thread, or a loop that moves one packet
//! with each system call and judges nothing.

use super::{
    APP, GATE, MTU, UES,
    script::{accepted, script},
    teid_of,
};
use anyhow::{Context, Result};
use gateway::{
    GTPU_PORT, Sockets,
    n3::N3,
    n6::N6,
    netlink::Netlink,
    one_packet::OnePacket,
    ring::Waker,
    shard_thread::{Inbox, Io, Parts, Upward, Worker},
    time,
};
use pgw_policy::{
    Policy,
    batch::{BatchSize, ShardId},
    command::ShardCommand,
    n4::{N4, N4Config, N4Output, Peer},
    shard::{Limits, Shard, ShardConfig},
};
use serde_json::json;
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};
use tun_rs::DeviceBuilder;
use types::Now;
use wire::pfcp::Pdu;

pub(super) const TUN: &str = "path0";

/// How many rules and sessions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rules: u32,
    pub(super) sessions: u32,
}

/// A gate that is open.
pub(super) struct Running {
    /// Its threads in this process.
    pub(super) threads: Vec<i32>,
    /// The process that it is where it is another one.
    pub(super) process: Option<i32>,
    /// Packets that it wrote to N6.
    pub(super) uplink: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Datagrams that it read from N3; of the loop beside ours, those that it wrote on.
    pub(super) heard: Arc<dyn Fn() -> u64 + Send + Sync>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Running {
    /// Processor time of it, nanoseconds.
    pub(super) fn time(&self) -> u64 {
        self.threads.iter().map(|t| time::processor_time(*t)).sum::<u64>() + self.time_apart()
    }

    /// That of it which does not stand in this process, nanoseconds.
    pub(super) fn time_apart(&self) -> u64 {
        self.process.map_or(0, time::processor_time_of)
    }
}

/// Opens the TUN's way for the UEs.
pub(super) fn route(index: u32) -> Result<()> {
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
        ports: Sockets { n3, n6, page: None, io: Arc::clone(&io), ready: None },
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
    let running = Running {
        threads: vec![time::this_thread()?],
        process: None,
        uplink,
        heard,
        stop: Arc::clone(&stop),
    };
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
    let mut shard = Shard::new(config, gateway::sys::random()?);
    let now = time::now();
    shard.command(ShardCommand::Policy(Arc::new(policy(size.rules)?)), now);
    shard.command(ShardCommand::Radios(vec!["10.10.0.0/24".parse()?]), now);
    shard.command(ShardCommand::OwnAddresses(vec![GATE.into()]), now);
    by_script(&mut shard, size.sessions, now)?;
    Ok(shard)
}

/// The sessions of the script, through the gateway's own end of N4.
fn by_script(shard: &mut Shard, sessions: u32, now: Now) -> Result<N4> {
    let config = N4Config {
        node: GATE.into(),
        n3: GATE.into(),
        peers: vec![],
        radios: vec![],
        shards: 1,
        max_sessions: sessions as usize,
    };
    let mut n4 = N4::new(config, now, gateway::sys::random()?);
    for request in script(sessions) {
        let request = request?;
        n4.handle(Peer::Local, &request.encode(), now);
        let mut answer = None;
        while let Some(output) = n4.poll_output() {
            match output {
                N4Output::Command { token, command, .. } => {
                    let reply = shard.command(command, now);
                    n4.confirmed(token, reply, now);
                }
                N4Output::Send { bytes, .. } => answer = Pdu::parse(&bytes).ok(),
                // No foreign SMF is in the list.
                N4Output::Ask(_) | N4Output::Foreign { .. } | N4Output::Smf { .. } => {}
            }
        }
        accepted(&request, &answer.context("N4 does not answer")?)?;
    }
    Ok(n4)
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
    let socket = Arc::new(UdpSocket::bind((GATE, GTPU_PORT))?);
    socket2::SockRef::from(&*socket).set_recv_buffer_size(8 << 20)?;
    socket.set_nonblocking(true)?;
    let both = OnePacket { tun, socket, stop: Arc::default(), passed: Arc::default() };
    let (tell, told) = mpsc::channel();
    let down = {
        let both = both.clone();
        thread::spawn(move || {
            let _ = tell.send(time::this_thread());
            both.down((super::RADIO, GTPU_PORT).into(), teid_of(super::TCP_UE))
        })
    };
    let threads = vec![time::this_thread()?, told.recv()??];
    let counted = Arc::clone(&both.passed);
    let uplink: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(move || counted.load(Ordering::Relaxed));
    let heard = Arc::clone(&uplink);
    ready
        .send(Running { threads, process: None, uplink, heard, stop: Arc::clone(&both.stop) })
        .ok()
        .context("nobody waits")?;
    both.up()?;
    down.join().map_err(|_| anyhow::anyhow!("the downlink's thread failed"))?
}

#[cfg(test)]
mod tests {
    use super::super::{RADIO, teid_of, ue_of};
    use super::*;
    use pgw_policy::command::ShardReply;

    #[test]
    fn the_script_makes_the_sessions_that_the_loads_speak_of() {
        let mut shard = shard(Size { rules: 2, sessions: 0 }).unwrap();
        let now = time::now();
        let n4 = by_script(&mut shard, 3, now).unwrap();
        let seen: Vec<_> = n4.sessions().iter().map(|s| (s.ip.0, s.teid.value(), s.radio.unwrap())).collect();
        let radio = |n| (RADIO.into(), types::Teid::new(teid_of(n)).unwrap());
        let meant: Vec<_> = (0..3).map(|n| (ue_of(n), teid_of(n), radio(n))).collect();
        let sorted = |mut v: Vec<_>| {
            v.sort_unstable();
            v
        };
        assert_eq!(sorted(seen), sorted(meant));
        let ShardReply::Status(status) = shard.command(ShardCommand::Status, now) else { panic!() };
        assert_eq!(status.sessions, 3);
    }
}
