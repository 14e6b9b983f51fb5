//! `sekisho bench flood`: what a legitimate UE notices of 200 000 broken packets a second, beside the same flood sent to a
//! socket that reads and discards.
//!
//! The places are those of `bench path`. The UE's own kernel asks an echo of the app, through the tunnel and back, all the
//! time; the flood comes from the address of an admitted radio, so that all that is answered to radios is answered. Turns of
//! both kinds alternate; an echo that does not come within 200 ms counts as having taken so long.

use super::load::{ECHO, send_all};
use super::{APP, FEW, GATE, RADIO, TCP_UE, Who, World, teid_of, ue_of};
use crate::{bench::Spread, bench::at, demo::namespace};
use anyhow::{Context, Result, ensure};
use gateway::{GTPU_PORT, netns};
use serde::Serialize;
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Broken packets a second.
const PER_SECOND: u64 = 200_000;
/// Datagrams given to the kernel at once.
const TOGETHER: usize = 64;
/// Where the socket reads that discards.
const DISCARDED: u16 = 2153;
/// How long one turn is.
const TURN: Duration = Duration::from_secs(4);
/// Time from one question to the next.
const EVERY: Duration = Duration::from_millis(2);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(200);

/// What one turn saw.
#[derive(Debug, Clone, Copy, Serialize)]
struct Seen {
    p50_us: f64,
    p99_us: f64,
    /// Questions without an answer.
    lost: usize,
    /// Broken packets sent, a second.
    sent: f64,
    /// Those that came to where they were sent, a second.
    came: f64,
}

/// Runs `turns` turns of each kind, prints a table, and with `json` one object as the last line.
pub fn run(turns: u32, json: bool) -> Result<ExitCode> {
    ensure!((1..=1_000).contains(&turns), "between 1 and 1000 turns");
    namespace::check()?;
    netns::new_user()?;
    let world = World::build(None)?;
    let discarded = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&discarded);
    world.gate.run(move || discard(count))?;
    let garbage = Arc::new(garbage());
    let [mut beside, mut ours] = [Vec::new(), Vec::new()];
    world.while_open(Who::Ours(FEW), |running| {
        let running = running.context("there is no gate")?;
        for turn in 0..=turns {
            for kind in [turn % 2, (turn + 1) % 2] {
                let port = if kind == 0 { DISCARDED } else { GTPU_PORT };
                let heard = || if kind == 0 { discarded.load(Ordering::Relaxed) } else { (running.heard)() };
                let before = heard();
                let mut seen = flooded(&world, port, &garbage)?;
                seen.came = (heard() - before) as f64 / TURN.as_secs_f64();
                // The first turn warms up and is not counted.
                if turn > 0 {
                    if kind == 0 { &mut beside } else { &mut ours }.push(seen);
                }
            }
        }
        Ok(())
    })?;
    report(&beside, &ours, json);
    Ok(ExitCode::SUCCESS)
}

fn report(beside: &[Seen], ours: &[Seen], json: bool) {
    let of = |seen: &[Seen], what: fn(&Seen) -> f64| Spread::of(seen.iter().map(what).collect());
    let spread = |s: Spread| format!("{:.0} ({:.0}–{:.0})", s.median, s.min, s.max);
    println!(
        "{:<34} {:>22} {:>22} {:>6} {:>10} {:>10}",
        "flood to", "p50 µs", "p99 µs", "lost", "sent /s", "came /s"
    );
    for (name, seen) in [("a socket that discards", beside), ("us", ours)] {
        println!(
            "{name:<34} {:>22} {:>22} {:>6} {:>10.0} {:>10.0}",
            spread(of(seen, |s| s.p50_us)),
            spread(of(seen, |s| s.p99_us)),
            seen.iter().map(|s| s.lost).sum::<usize>(),
            of(seen, |s| s.sent).median,
            of(seen, |s| s.came).median,
        );
    }
    let ratio = Spread::of(ours.iter().zip(beside).map(|(o, b)| o.p99_us / b.p99_us).collect());
    let reached = if ratio.median <= 2.0 { "floor" } else { "not reached" };
    println!(
        "\np99 beside the flood to us / to the other, by turn: {:.2} ({:.2}–{:.2}), judged at 2.0: {reached}",
        ratio.median, ratio.min, ratio.max
    );
    if json {
        println!("{}", serde_json::json!({ "discarded": beside, "ours": ours, "ratio": ratio }));
    }
}

/// Reads and discards, for ever.
fn discard(count: Arc<AtomicU64>) -> Result<()> {
    let socket = UdpSocket::bind((GATE, DISCARDED))?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20)?;
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while socket.recv(&mut buffer).is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(())
}

/// One turn: the flood goes to this port of the gate, and a UE asks meanwhile.
fn flooded(world: &World, port: u16, garbage: &Arc<Vec<Block>>) -> Result<Seen> {
    let garbage = Arc::clone(garbage);
    world.radio.run(move || {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let flood = thread::spawn(move || flood(port, &garbage, &until));
        let asked = ask();
        stop.store(true, Ordering::Relaxed);
        let sent = flood.join().map_err(|_| anyhow::anyhow!("the flood failed"))??;
        let (mut times, lost) = asked?;
        times.sort_by(f64::total_cmp);
        let sent = sent as f64 / TURN.as_secs_f64();
        Ok(Seen { p50_us: at(&times, 0.5), p99_us: at(&times, 0.99), lost, sent, came: 0.0 })
    })
}

/// Asks the app over and over; microseconds until each answer, and how many did not come.
fn ask() -> Result<(Vec<f64>, usize)> {
    let socket = UdpSocket::bind((ue_of(TCP_UE), 0))?;
    socket.connect((APP, ECHO))?;
    let (begin, mut times, mut lost) = (Instant::now(), Vec::new(), 0);
    let mut answer = [0; 64];
    for n in 0u64.. {
        let due = EVERY * u32::try_from(n)?;
        if due >= TURN {
            break;
        }
        thread::sleep(due.saturating_sub(begin.elapsed()));
        let asked = Instant::now();
        socket.send(&n.to_be_bytes())?;
        let came = loop {
            let left = PATIENCE.saturating_sub(asked.elapsed());
            if left.is_zero() {
                break false;
            }
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut answer) {
                Ok(len) if answer.get(..len) == Some(&n.to_be_bytes()[..]) => break true,
                // The answer to an earlier question.
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        lost += usize::from(!came);
        times.push(if came { asked.elapsed() } else { PATIENCE }.as_secs_f64() * 1e6);
    }
    Ok((times, lost))
}

/// Sends until it is stopped; how many.
fn flood(port: u16, garbage: &[Block], stop: &AtomicBool) -> Result<u64> {
    let socket = UdpSocket::bind((RADIO, 0))?;
    socket.connect(SocketAddr::from((GATE, port)))?;
    let (begin, mut sent) = (Instant::now(), 0u64);
    for block in garbage.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        while sent as f64 > begin.elapsed().as_secs_f64() * PER_SECOND as f64 {
            thread::sleep(Duration::from_micros(100));
        }
        // What is refused (an ICMP error of before) was an attempt all the same.
        send_all(&socket, &block.octets, block.size);
        sent += TOGETHER as u64;
    }
    Ok(sent)
}

/// [`TOGETHER`] broken datagrams of one size.
struct Block {
    octets: Vec<u8>,
    size: usize,
}

/// Many blocks of each kind and several sizes.
fn garbage() -> Vec<Block> {
    let mut chance = fastrand::Rng::with_seed(7);
    let mut block = |size: usize, make: fn(&mut fastrand::Rng, usize) -> Vec<u8>| {
        let mut octets = Vec::with_capacity(size * TOGETHER);
        for _ in 0..TOGETHER {
            let mut one = make(&mut chance, size);
            one.resize(size, 0);
            octets.extend(one);
        }
        Block { octets, size }
    };
    let kinds: [fn(&mut fastrand::Rng, usize) -> Vec<u8>; 6] =
        [noise, unknown, broken_inside, spoofed, endless, path_message];
    let sizes = [9, 24, 48, 80, 300, 1_200];
    (0..32)
        .flat_map(|_| kinds)
        .zip(sizes.iter().cycle().skip(1))
        .map(|(kind, size)| block(*size, kind))
        .collect()
}

fn octets(chance: &mut fastrand::Rng, n: usize) -> Vec<u8> {
    (0..n).map(|_| chance.u8(..)).collect()
}

/// Any octets.
fn noise(chance: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    octets(chance, size)
}

fn g_pdu(flags: u8, teid: u32, body: &[u8]) -> Vec<u8> {
    let len = body.len() as u16;
    [&[flags, 0xff][..], &len.to_be_bytes(), &teid.to_be_bytes(), body].concat()
}

/// A packet in a tunnel that nobody has.
fn unknown(chance: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let body = octets(chance, size.saturating_sub(8));
    g_pdu(0x30, chance.u32(..), &body)
}

fn live(chance: &mut fastrand::Rng) -> u32 {
    teid_of(chance.u32(..FEW.sessions))
}

/// Octets in a live tunnel that are no IP packet, or a cut one.
fn broken_inside(chance: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let mut body = octets(chance, size.saturating_sub(8));
    if let Some(first) = body.first_mut().filter(|_| chance.bool()) {
        *first = 0x45;
    }
    g_pdu(0x30, live(chance), &body)
}

/// A whole UDP packet in a live tunnel with somebody else's address, each time another one: all of them are written down.
fn spoofed(chance: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let len = size.saturating_sub(8).max(28) as u16;
    let mut p = vec![0x45, 0];
    p.extend(len.to_be_bytes());
    p.extend([0, 1, 0x40, 0, 64, 17, 0, 0]);
    p.extend(Ipv4Addr::from(chance.u32(..)).octets());
    p.extend(APP.octets());
    p.extend(chance.u32(..).to_be_bytes());
    p.extend((len - 20).to_be_bytes());
    p.resize(usize::from(len), 0);
    g_pdu(0x30, live(chance), &p)
}

/// Extension headers one after the other until the datagram ends.
fn endless(chance: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0x85];
    while body.len() + 8 <= size {
        body.extend([1, 0x10, 1, 0x85]);
    }
    g_pdu(0x34, live(chance), &body)
}

/// Echo Requests, Error Indications and End Markers about tunnels of others.
fn path_message(chance: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let kind = [1, 26, 254, 31].get(chance.usize(..4)).copied().unwrap_or(1);
    let body = octets(chance, size.saturating_sub(8));
    let mut message = g_pdu(0x32, live(chance), &body);
    if let Some(at) = message.get_mut(1) {
        *at = kind;
    }
    message
}
