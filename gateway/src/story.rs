//! The gateway as a process of its own, in a network namespace: real sockets, a real TUN, a real kill −9.
//!
//! The namespace holds all roles. The radio is a UDP socket on an address of the loopback; the company's
//! network is a second TUN whose far end is the test, so that the kernel really forwards between the two.

mod bulk;
mod capacity;
mod control;
mod durable;
mod garbage;
mod lookups;
mod names;
mod routes;
mod site;
mod six;
mod smf;

use super::netlink::Netlink;
use super::{GTPU_PORT, GatewayConfig, TunConfig};
use crate::link::{
    self, CutReceipt, FromGateway, GatewayHello, GatewayStatus, LinkReceiver, LinkSender, Role, SimTrace,
    ToGateway,
};
use crate::{netns, time};
use control::Control;
use pgw_policy::Policy;
use serde_json::json;
use site::Site;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tun_rs::{DeviceBuilder, SyncDevice};
use types::{Direction, FlowRecord, Imsi, PduSessionId, SimState, Utc, Verdict};
use wire::pfcp::*;

const INSIDE: &str = "SEKISHO_STORY_INSIDE";
const CONFIG: &str = "SEKISHO_STORY_GATEWAY";
const US: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 1);
const GNB: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 2);
const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 5);
const APP: Ipv4Addr = Ipv4Addr::new(10, 50, 0, 1);
const GNB_TEID: u32 = 0x77;
/// How long something that must come may take.
const SOON: Duration = Duration::from_secs(10);
/// How long we look for something that must not come.
const NEVER: Duration = Duration::from_millis(300);

/// Runs `story` inside a fresh network namespace: this same test once more, as a child.
fn in_a_namespace(name: &str, story: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return story();
    }
    if let Some(why) = netns::why_not() {
        assert!(std::env::var_os("CI").is_none(), "{name}: {why}");
        eprintln!("{name}: skipped, {why}");
        return;
    }
    let flags = if we_are_root() { "-n" } else { "-Urn" };
    let status = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed inside its namespace");
}

/// The GTP-U port at this address.
fn bound(address: IpAddr) -> UdpSocket {
    once_ours(|| UdpSocket::bind((address, GTPU_PORT)))
}

/// What `bind` opens, as soon as its address is ours: the kernel looks at a new IPv6 one first, and waits for the cable.
fn once_ours<T>(bind: impl Fn() -> io::Result<T>) -> T {
    let begin = Instant::now();
    loop {
        match bind() {
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable && begin.elapsed() < SOON => {
                thread::sleep(Duration::from_millis(1));
            }
            bound => return bound.unwrap(),
        }
    }
}

fn we_are_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// Not a test: the gateway's process, started by the stories below.
#[test]
fn gateway_process() {
    let Ok(config) = std::env::var(CONFIG) else { return };
    let failed = super::run(serde_json::from_str::<GatewayConfig>(&config).unwrap()).unwrap_err();
    eprintln!("{failed:#}");
    std::process::exit(9);
}

fn imsi() -> Imsi {
    imsi_of(1)
}

fn imsi_of(n: u8) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

/// Address of UE number `n`; number 1 is `UE`.
fn ue(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 45, 0, 4 + n)
}

/// A UDP packet with a word in it; its UDP checksum is left out, as IPv4 allows.
fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), word: &[u8]) -> Vec<u8> {
    let len = (28 + word.len()) as u16;
    let mut p = vec![0x45, 0];
    p.extend(len.to_be_bytes());
    p.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    p.extend(from.0.octets());
    p.extend(to.0.octets());
    let sum = p.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum::<u32>();
    let sum = !((sum & 0xffff) as u16).wrapping_add((sum >> 16) as u16);
    p[10..12].copy_from_slice(&sum.to_be_bytes());
    p.extend(from.1.to_be_bytes());
    p.extend(to.1.to_be_bytes());
    p.extend((len - 20).to_be_bytes());
    p.extend([0, 0]);
    p.extend(word);
    p
}

fn question(word: &[u8]) -> Vec<u8> {
    udp((UE, 40_000), (APP, 5000), word)
}

fn answer(word: &[u8]) -> Vec<u8> {
    udp((APP, 5000), (UE, 40_000), word)
}

/// Source and destination, ports and word: what forwarding leaves as it was.
fn core(packet: &[u8]) -> (&[u8], &[u8]) {
    (&packet[12..20], &packet[20..])
}

#[test]
fn a_cut_stops_a_live_session_and_outlives_the_gateway() {
    in_a_namespace("story::a_cut_stops_a_live_session_and_outlives_the_gateway", || {
        let mut site = Site::build(2);
        let (config, recovery) = {
            let mut control = site.start();
            assert_eq!((control.hello.revoked.len(), control.hello.policy_generation), (0, 0));
            control.associate();
            let teid = control.establish().unwrap();
            let site = control.site;

            // Without a policy nothing is allowed.
            site.send_up(teid, &question(b"early"));
            assert_eq!(site.at_company(NEVER), None);
            control.publish_policy(1);

            // The question goes out, the answer comes back, by the kernel's own forwarding.
            site.send_up(teid, &question(b"ping"));
            let out = site.at_company(SOON).expect("the packet did not come through");
            assert_eq!(core(&out), core(&question(b"ping")));
            site.send_down(&answer(b"pong"));
            let (to, inner) = site.at_radio(SOON).expect("the answer did not come back");
            assert_eq!((to, core(&inner)), (GNB_TEID, core(&answer(b"pong"))));

            // Another port is denied; our own addresses are nobody's.
            site.send_up(teid, &udp((UE, 40_000), (APP, 5001), b"no"));
            site.send_up(teid, &udp((UE, 40_000), (US, 5000), b"no"));
            site.send_up(teid, &udp((Ipv4Addr::new(10, 45, 0, 6), 40_000), (APP, 5000), b"spoofed"));
            assert_eq!(site.at_company(NEVER), None);

            // The cut: both ways at once, and written down.
            let receipt = control.cut();
            assert_eq!((receipt.shards_confirmed, receipt.shards, receipt.sessions), (2, 2, 1));
            assert_eq!(receipt.journal.as_ref().unwrap().record, 1);
            assert!(receipt.last_packet.is_some_and(|t| t <= receipt.cut_at));
            for _ in 0..10 {
                site.send_up(teid, &question(b"after"));
                site.send_down(&answer(b"after"));
            }
            assert_eq!(site.at_company(NEVER), None);
            assert_eq!(site.at_radio(NEVER), None);
            let trace = control.trace();
            assert!(trace.revoked && trace.dropped >= 10, "{trace:?}");
            assert!(trace.last_packet <= Some(receipt.cut_at));

            let status = control.status();
            assert_eq!((status.revoked, status.unstored, status.shards.len()), (1, 0, 2));
            assert!(status.own_addresses.contains(&US.into()));
            let uplink: u64 = status.shards.iter().map(|s| s.counters.uplink_packets).sum();
            assert_eq!(uplink, 1);

            // Control dies and comes back: the session and the ban are still there.
            drop(control);
            let control = site.connect();
            assert_eq!(control.hello.sessions.len(), 1);
            assert_eq!(control.hello.revoked[0].reason, "laptop left in a taxi");
            (site.config.clone(), control.hello.recovery)
        };
        site.kill();

        std::thread::sleep(Duration::from_millis(1100));
        let mut control = site.start();
        assert_eq!(control.hello.revoked.iter().map(|r| r.imsi).collect::<Vec<_>>(), [imsi()]);
        assert!(control.hello.sessions.is_empty());
        assert_ne!(control.hello.recovery, recovery);
        control.associate();
        control.publish_policy(1);
        if let Ok(teid) = control.establish() {
            control.site.send_up(teid, &question(b"back"));
            assert_eq!(control.site.at_company(NEVER), None);
        }

        // Unban: a session made afterwards carries again.
        control.uncut();
        assert!(!control.trace().revoked);
        let teid = control.establish().unwrap();
        control.site.send_up(teid, &question(b"free"));
        assert!(control.site.at_company(SOON).is_some());
        assert!(config.journal.exists());
    });
}

#[test]
fn packets_reach_the_shard_that_owns_them_whoever_received_them() {
    in_a_namespace("story::packets_reach_the_shard_that_owns_them_whoever_received_them", || {
        const UES: u8 = 12;
        let mut site = Site::build(4);
        let mut control = site.start();
        control.associate();
        control.publish_policy(1);
        let teids: Vec<u32> = (1..=UES).map(|n| control.establish_for(n).unwrap()).collect();
        let site = control.site;
        // One radio is one 5-tuple, so one shard receives them all.
        for (n, &teid) in (1..=UES).zip(&teids) {
            site.send_up(teid, &udp((ue(n), 40_000), (APP, 5000), &[n]));
        }
        let mut got: Vec<u8> =
            (0..UES).map(|_| site.at_company(SOON).expect("one is missing")[15] - 4).collect();
        got.sort_unstable();
        assert_eq!(got, (1..=UES).collect::<Vec<_>>());
        for n in 1..=UES {
            site.send_down(&udp((APP, 5000), (ue(n), 40_000), &[n]));
        }
        let mut got: Vec<u32> = (0..UES).map(|_| site.at_radio(SOON).expect("one is missing").0).collect();
        got.sort_unstable();
        assert_eq!(got, (0..UES).map(|n| GNB_TEID + u32::from(n)).collect::<Vec<_>>());

        let status = control.status();
        let used = status.shards.iter().filter(|s| s.counters.uplink_packets > 0).count();
        assert!(used > 1, "all sessions are in one shard");
        assert!(status.shards.iter().any(|s| s.counters.handed > 0));
        assert_eq!(status.shards.iter().map(|s| s.counters.downlink_packets).sum::<u64>(), u64::from(UES));

        // One of them is cut; the others do not notice.
        control.cut();
        for (n, &teid) in (1..=UES).zip(&teids) {
            control.site.send_up(teid, &udp((ue(n), 40_000), (APP, 5000), &[n]));
        }
        let mut got: Vec<u8> =
            std::iter::from_fn(|| control.site.at_company(NEVER)).map(|p| p[15] - 4).collect();
        got.sort_unstable();
        assert_eq!(got, (2..=UES).collect::<Vec<_>>());
    });
}

#[test]
fn an_address_that_becomes_ours_is_out_of_reach_at_once() {
    in_a_namespace("story::an_address_that_becomes_ours_is_out_of_reach_at_once", || {
        let mut site = Site::build(1);
        let mut control = site.start();
        control.associate();
        control.publish_policy(1);
        let teid = control.establish().unwrap();
        control.site.send_up(teid, &question(b"theirs"));
        assert!(control.site.at_company(SOON).is_some());
        // Somebody gives this very machine the app's address: the rule still allows it, we do not.
        Netlink::open().unwrap().add_address(format!("{APP}/32").parse().unwrap(), 1).unwrap();
        let begin = Instant::now();
        while !control.status().own_addresses.contains(&APP.into()) {
            assert!(begin.elapsed() < SOON, "the new address is not noticed");
        }
        let own = UdpSocket::bind((APP, 5000)).unwrap();
        own.set_read_timeout(Some(NEVER)).unwrap();
        control.site.send_up(teid, &question(b"ours"));
        own.recv(&mut [0; 64]).unwrap_err();
        let dropped = &control.status().shards[0].counters;
        assert_eq!(dropped.dropped(types::Reason::OwnAddress), 1);
    });
}

#[test]
fn no_acknowledged_ban_is_lost_however_the_gateway_is_killed() {
    in_a_namespace("story::no_acknowledged_ban_is_lost_however_the_gateway_is_killed", || {
        const KILLS: u32 = 12;
        let mut site = Site::build(2);
        let mut acknowledged = std::collections::BTreeSet::new();
        let mut next = 0u32;
        for kill in 0..KILLS {
            let mut control = site.start();
            let held: std::collections::BTreeSet<Imsi> =
                control.hello.revoked.iter().map(|r| r.imsi).collect();
            assert!(held.is_superset(&acknowledged), "a ban was lost at kill {kill}");
            let pid = control.site.gateway.as_ref().unwrap().id();
            let killer = thread::spawn(move || {
                thread::sleep(Duration::from_micros(u64::from(kill) * 700));
                Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
            });
            let mut told = BTreeMap::new();
            // Bans as fast as they go, until the gateway is gone.
            loop {
                next += 1;
                let imsi: Imsi = format!("00101{next:010}").parse().unwrap();
                told.insert(u64::from(next), imsi);
                let (actor, reason, at) = ("soc".into(), "kill".into(), time::utc());
                let cut = ToGateway::Cut { id: next.into(), imsi, state: SimState::Lost, actor, reason, at };
                let runtime = &control.site.runtime;
                if runtime.block_on(control.sender.send(&cut)).is_err() {
                    break;
                }
                match runtime.block_on(control.receiver.recv()) {
                    Ok(FromGateway::CutDone { id, receipt }) if receipt.journal.is_ok() => {
                        acknowledged.insert(told[&id]);
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
            killer.join().unwrap();
            drop(control);
            site.kill();
        }
        let held = site.start().hello.revoked.len();
        assert!(held >= acknowledged.len());
        println!("{KILLS} kills, {} bans acknowledged, none lost", acknowledged.len());
        assert!(!acknowledged.is_empty());
    });
}

#[test]
fn a_live_session_goes_on_while_control_is_away_and_its_flows_are_told_later() {
    in_a_namespace(
        "story::a_live_session_goes_on_while_control_is_away_and_its_flows_are_told_later",
        || {
            let mut site = Site::build(1);
            let mut control = site.start();
            control.associate();
            control.publish_policy(3);
            let teid = control.establish().unwrap();
            // A change of a policy that is not there is not taken; one of the policy in force is, in every shard.
            assert_eq!(control.change_policy(2, 4, "nobody"), Err(3));
            assert_eq!(control.change_policy(3, 4, "all-wiki"), Ok(()));
            control.site.send_up(teid, &question(b"denied"));
            assert_eq!(control.site.at_company(NEVER), None);
            assert_eq!(control.change_policy(4, 5, "no-rule"), Ok(()));
            control.publish_policy(6);
            let site = control.site;
            drop(control);
            for n in 0..20u8 {
                site.send_up(teid, &question(&[n]));
                assert_eq!(core(&site.at_company(SOON).unwrap()), core(&question(&[n])));
            }
            site.send_up(teid, &udp((UE, 40_000), (APP, 5001), b"denied"));
            assert_eq!(site.at_company(NEVER), None);

            let mut control = site.connect();
            assert_eq!(control.hello.policy_generation, 6);
            let begin = Instant::now();
            let denied = |f: &FlowRecord| {
                f.verdict != Verdict::Allow && f.direction == Direction::Out && f.peer_port == 5001
            };
            while !control.flows.iter().any(denied) {
                assert!(begin.elapsed() < SOON, "no record of the denied flow: {:?}", control.flows);
                control.status();
                std::thread::sleep(Duration::from_millis(50));
            }
        },
    );
}

#[test]
fn a_rule_ends_at_its_moment_while_control_is_away() {
    in_a_namespace("story::a_rule_ends_at_its_moment_while_control_is_away", || {
        let mut site = Site::build(1);
        let mut control = site.start();
        control.associate();
        let end = Utc(time::utc().0 + 4_000);
        control.publish_policy_until(1, json!({ "dnn": "office", "pool": "10.45.0.0/16" }), Some(end));
        let teid = control.establish().unwrap();
        let site = control.site;
        drop(control);
        // One live flow, which goes on until then and not a packet longer.
        site.send_up(teid, &question(b"first"));
        assert!(site.at_company(SOON).is_some());
        let begin = Instant::now();
        loop {
            site.send_up(teid, &question(b"more"));
            if site.at_company(NEVER).is_none() {
                break;
            }
            assert!(begin.elapsed() < SOON, "the rule is in force for ever");
        }
        assert!(time::utc() >= end, "it ended too early");
        let mut control = site.connect();
        let begin = Instant::now();
        while !control.flows.iter().any(|f| f.reason == types::Reason::OutOfHours) {
            assert!(begin.elapsed() < SOON, "no record of the flow's end: {:?}", control.flows);
            control.status();
            std::thread::sleep(Duration::from_millis(50));
        }
    });
}

#[test]
fn a_journal_that_cannot_be_trusted_keeps_the_path_closed() {
    in_a_namespace("story::a_journal_that_cannot_be_trusted_keeps_the_path_closed", || {
        let mut site = Site::build(1);
        let mut control = site.start();
        control.cut();
        control.uncut();
        control.cut();
        drop(control);
        site.kill();
        flip(&site.config.journal, 256 + 30);
        let told = site.refused();
        assert!(told.contains("record 1 of the revocation journal is damaged"), "{told}");
        assert!(site.dir.path().exists());
    });
}

fn flip(path: &Path, octet: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut b = [0];
    file.read_exact_at(&mut b, octet).unwrap();
    file.write_all_at(&[b[0] ^ 1], octet).unwrap();
}

#[test]
fn n3_may_be_ipv6() {
    in_a_namespace("story::n3_may_be_ipv6", || {
        let (us, gnb) = ("fd00:10::1".parse().unwrap(), "fd00:10::2".parse().unwrap());
        let mut site = Site::between(us, gnb, 2);
        let mut control = site.start();
        control.associate();
        control.publish_policy(1);
        let teid = control.establish().unwrap();
        let site = control.site;
        let exchange = |word: &[u8]| {
            site.send_up(teid, &question(word));
            assert_eq!(core(&site.at_company(SOON).expect("the question")), core(&question(word)));
            let answer = udp((APP, 5000), (UE, 40_000), word);
            site.send_down(&answer);
            let (to, inner) = site.at_radio(SOON).expect("the answer");
            assert_eq!((to, core(&inner)), (GNB_TEID, core(&answer)));
        };
        exchange(b"by IPv6");
        // A radio may leave the outer checksum out, as over IPv4 (RFC 6935).
        without_checksum(&site.gnb);
        exchange(b"without a checksum");
        assert_eq!(control.cut().shards_confirmed, 2);
        site.send_up(teid, &question(b"banned"));
        assert!(site.at_company(NEVER).is_none());
    });
}

#[allow(unsafe_code)]
fn without_checksum(socket: &UdpSocket) {
    use std::os::fd::AsRawFd;
    /// `UDP_NO_CHECK6_TX` (linux/udp.h).
    const NO_CHECK6_TX: libc::c_int = 101;
    let (fd, on) = (socket.as_raw_fd(), 1 as libc::c_int);
    let (at, len) = ((&raw const on).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: pointer and length are of one integer, as the option takes it; the socket is open.
    assert_eq!(unsafe { libc::setsockopt(fd, libc::SOL_UDP, NO_CHECK6_TX, at, len) }, 0);
}
