//! `sekisho bench path`: processor time of the packet path, beside a loop that moves one packet with each system call
//! and beside plain kernel forwarding, in turns.
//!
//! Three namespaces of this process, joined by virtual cables: a radio with UEs, the gate, and an app. Our side is a
//! shard's thread as it stands in the gateway, with sessions, rates, a policy and flows; the loop decapsulates and
//! judges nothing. What counts is the processor time of the gate's own threads for each packet. What the kernel does
//! in other contexts for either, and all that plain forwarding costs, stands in the time of the whole process (senders
//! and receivers included), which is shown for all three. The machine may be shared: ratios are taken turn by turn.

pub mod flood;
mod gate;
mod load;
mod place;

use super::Spread;
use crate::{demo::namespace, gateway::netlink::Netlink, netns, time};
use anyhow::{Context, Result, ensure};
use gate::{Running, Size};
use load::{Manner, Small};
use place::{Place, attach, switch_on};
use serde::Serialize;
use std::{
    net::Ipv4Addr,
    process::ExitCode,
    sync::{Arc, atomic::Ordering, mpsc},
    time::Duration,
};

const GATE: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 1);
const RADIO: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 2);
const APP: Ipv4Addr = Ipv4Addr::new(10, 50, 0, 1);
/// The ends of what goes plainly through the kernel.
const PLAIN_UE: Ipv4Addr = Ipv4Addr::new(10, 46, 0, 5);
const PLAIN_APP: Ipv4Addr = Ipv4Addr::new(10, 50, 0, 2);
/// Addresses of the UEs.
const UES: &str = "10.128.0.0/9";
/// MTU of the UEs, octets.
const MTU: u16 = 1400;
/// The session whose UE speaks TCP.
const TCP_UE: u32 = 5;
/// How long small packets are sent in one turn.
const WINDOW: Duration = Duration::from_millis(400);

fn ue_of(session: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a80_0000 + session)
}

/// Of shard 0, with an index of its own and some tag.
fn teid_of(session: u32) -> u32 {
    session << 10 | 0x155
}

/// Who stands at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Ours(Size),
    OnePacket,
    Kernel,
}

/// What runs through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    BulkUp,
    BulkDown,
    /// From so many sessions, so many in a row of each.
    Small(Manner, u32, u32),
}

/// One work: who is measured with which load, and what the first is held against.
struct Work {
    name: &'static str,
    load: Load,
    who: &'static [(&'static str, Who)],
    /// How the ratio is meant.
    ratio: Ratio,
    floor: f64,
    aim: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ratio {
    /// Time of the second over time of the first: larger is better.
    Faster,
    /// The same the other way round: smaller is better.
    Slower,
}

const FEW: Size = Size { rules: 10, sessions: 1_000 };
const SMALL: Load = Load::Small(Manner::Segments, 1_000, 1);
const ALL_THREE: &[(&str, Who)] =
    &[("ours", Who::Ours(FEW)), ("one packet a call", Who::OnePacket), ("kernel", Who::Kernel)];

const WORKS: &[Work] = &[
    Work {
        name: "TCP bulk, uplink",
        load: Load::BulkUp,
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 2.5,
        aim: 3.0,
    },
    Work {
        name: "TCP bulk, downlink",
        load: Load::BulkDown,
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 2.5,
        aim: 3.0,
    },
    Work {
        name: "64 octets, checksum set",
        load: SMALL,
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 1.2,
        aim: 1.6,
    },
    Work {
        name: "64 octets, checksum zero",
        load: Load::Small(Manner::NoChecksum, 1_000, 1),
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 1.0,
        aim: 1.6,
    },
    Work {
        name: "64 octets, zero, 8 in a row",
        load: Load::Small(Manner::NoChecksum, 1_000, 8),
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 1.0,
        aim: 1.6,
    },
    Work {
        name: "rules",
        load: SMALL,
        who: &[("10 000", Who::Ours(Size { rules: 10_000, ..FEW })), ("10", Who::Ours(FEW))],
        ratio: Ratio::Slower,
        floor: 1.1,
        aim: 1.0,
    },
    Work {
        name: "sessions, 60 000 of them active",
        load: Load::Small(Manner::Segments, 60_000, 1),
        who: &[("100 000", Who::Ours(Size { sessions: 100_000, ..FEW })), ("1 000", Who::Ours(FEW))],
        ratio: Ratio::Slower,
        floor: 1.3,
        aim: 1.1,
    },
];

/// What one turn took, nanoseconds a packet.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// The gate's threads; nothing where there are none.
    gate: Option<f64>,
    /// The whole process.
    all: f64,
}

/// One line of the result.
#[derive(Serialize)]
struct Line {
    work: &'static str,
    who: &'static str,
    gate_ns: Option<Spread>,
    all_ns: Spread,
}

#[derive(Serialize)]
struct Judged {
    work: &'static str,
    ratio: Spread,
    floor: f64,
    aim: f64,
    reached: &'static str,
}

/// Measures each work (those whose name has `only` in it) `turns` times, prints tables, and with `json` one object as
/// the last line.
pub fn run(turns: u32, only: &str, json: bool) -> Result<ExitCode> {
    ensure!((1..=1_000).contains(&turns), "between 1 and 1000 turns");
    let works: Vec<&Work> = WORKS.iter().filter(|w| w.name.contains(only)).collect();
    ensure!(!works.is_empty(), "no work has \"{only}\" in its name");
    namespace::check()?;
    netns::new_user()?;
    let world = World::build()?;
    let (mut lines, mut judged) = (Vec::new(), Vec::new());
    for work in works {
        let mut seen: Vec<Vec<Turn>> = vec![Vec::new(); work.who.len()];
        for turn in 0..=turns as usize {
            for n in 0..work.who.len() {
                // Each begins a turn as often as the others.
                let n = (n + turn) % work.who.len();
                let Some((_, who)) = work.who.get(n) else { continue };
                let took = world.turn(work.load, *who).with_context(|| format!("{}: {who:?}", work.name))?;
                // The first turn warms up and is not counted.
                if let Some(seen) = seen.get_mut(n).filter(|_| turn > 0) {
                    seen.push(took);
                }
            }
        }
        for ((name, _), seen) in work.who.iter().zip(&seen) {
            let gate: Vec<f64> = seen.iter().filter_map(|t| t.gate).collect();
            lines.push(Line {
                work: work.name,
                who: name,
                gate_ns: (!gate.is_empty()).then(|| Spread::of(gate)),
                all_ns: Spread::of(seen.iter().map(|t| t.all).collect()),
            });
        }
        judged.push(judge(work, &seen));
    }
    print(&lines, &judged);
    if json {
        println!("{}", serde_json::json!({ "turns": turns, "lines": lines, "ratios": judged }));
    }
    Ok(ExitCode::SUCCESS)
}

fn judge(work: &Work, seen: &[Vec<Turn>]) -> Judged {
    let of = |n: usize| seen.get(n).into_iter().flatten().filter_map(|t| t.gate);
    let ratios = of(0).zip(of(1)).map(|(ours, other)| match work.ratio {
        Ratio::Faster => other / ours,
        Ratio::Slower => ours / other,
    });
    let ratio = Spread::of(ratios.collect());
    let meets = |bound: f64| match work.ratio {
        Ratio::Faster => ratio.median >= bound,
        Ratio::Slower => ratio.median <= bound,
    };
    let reached = match (meets(work.floor), meets(work.aim)) {
        (_, true) => "aim",
        (true, false) => "floor",
        (false, false) => "neither",
    };
    Judged { work: work.name, ratio, floor: work.floor, aim: work.aim, reached }
}

fn print(lines: &[Line], judged: &[Judged]) {
    let spread = |s: &Spread| format!("{:.0} ({:.0}–{:.0})", s.median, s.min, s.max);
    println!(
        "{:<34} {:<20} {:>22} {:>22}",
        "ns a packet: median (min–max)", "", "gate's threads", "whole process"
    );
    for l in lines {
        let gate = l.gate_ns.as_ref().map_or_else(|| "–".to_owned(), spread);
        println!("{:<34} {:<20} {:>22} {:>22}", l.work, l.who, gate, spread(&l.all_ns));
    }
    println!();
    println!("{:<34} {:>22} {:>8} {:>8}  reached", "ratio of the first two, by turn", "", "floor", "aim");
    for j in judged {
        let s = format!("{:.2} ({:.2}–{:.2})", j.ratio.median, j.ratio.min, j.ratio.max);
        println!("{:<34} {:>22} {:>8.1} {:>8.1}  {}", j.work, s, j.floor, j.aim, j.reached);
    }
}

/// The three places.
struct World {
    gate: Place,
    radio: Place,
    /// Lives as long as this.
    _app: Place,
}

impl World {
    fn build() -> Result<Self> {
        let (gate, radio, app) = (Place::new("gate")?, Place::new("radio")?, Place::new("app")?);
        let (to_radio, to_app) = (radio.namespace.try_clone()?, app.namespace.try_clone()?);
        gate.run(move || {
            let mut netlink = Netlink::open()?;
            netlink.set_up(1)?;
            netlink.cable("n3", "n3", &to_radio)?;
            netlink.cable("n6", "n6", &to_app)?;
            attach("n3", &["10.10.0.1/24"], &["10.46.0.0/16"])?;
            attach("n6", &["10.50.0.254/24"], &[])?;
            switch_on("ip_forward")?;
            switch_on("conf/n3/proxy_arp")?;
            switch_on("conf/n6/proxy_arp")
        })?;
        app.run(|| {
            attach("lo", &[], &[])?;
            attach("n6", &["10.50.0.1/24", "10.50.0.2/24"], &[UES, "10.46.0.0/16"])?;
            load::app()
        })?;
        radio.run(|| {
            attach("lo", &["10.46.0.5/32"], &[])?;
            attach("n3", &["10.10.0.2/24"], &["10.50.0.2/32"])?;
            load::radio()
        })?;
        Ok(Self { gate, radio, _app: app })
    }

    /// Puts `who` at the gate, runs the load once, and takes it away.
    fn turn(&self, load: Load, who: Who) -> Result<Turn> {
        self.while_open(who, |running| self.measure(load, who, running))
    }

    /// Puts `who` at the gate for as long as `act` takes.
    fn while_open<T>(&self, who: Who, act: impl FnOnce(Option<&Running>) -> Result<T>) -> Result<T> {
        let (ready, is_ready) = mpsc::channel();
        let ended = match who {
            Who::Ours(size) => Some(self.gate.begin(move || gate::ours(size, &ready))?),
            Who::OnePacket => Some(self.gate.begin(move || gate::one_packet(&ready))?),
            Who::Kernel => None,
        };
        let running = match &ended {
            None => None,
            Some(ended) => match is_ready.recv() {
                Ok(running) => Some(running),
                Err(_) => return Err(ended.recv()?.err().context("the gate closed by itself")?),
            },
        };
        let took = act(running.as_ref());
        if let Some(r) = &running {
            r.stop.store(true, Ordering::Relaxed);
        }
        if let Some(ended) = ended {
            ended.recv()??;
        }
        took
    }

    fn measure(&self, load: Load, who: Who, running: Option<&Running>) -> Result<Turn> {
        let plain = who == Who::Kernel;
        let small = match load {
            Load::BulkUp | Load::BulkDown => None,
            Load::Small(manner, sessions, in_a_row) => {
                let manner = if plain { Manner::Plain } else { manner };
                let sessions = match who {
                    Who::Ours(size) => sessions.min(size.sessions),
                    Who::OnePacket | Who::Kernel => sessions,
                };
                let small = Arc::new(Small::new(sessions, in_a_row, manner)?);
                // What opens the flows does not count.
                self.flood(&small, WINDOW / 4)?;
                Some(small)
            }
        };
        let gate = || running.map(|r| r.threads.iter().map(|t| time::processor_time(*t)).sum::<u64>());
        let passed = || running.map(|r| (r.uplink)());
        let (gate_before, all_before, passed_before) = (gate(), time::processor_time_of_all(), passed());
        let sent = match &small {
            Some(small) => self.flood(small, WINDOW)?,
            None => {
                let up = load == Load::BulkUp;
                self.radio.run(move || load::bulk(up, plain))?;
                (load::AMOUNT / load::PAYLOAD) as u64
            }
        };
        let all = time::processor_time_of_all() - all_before;
        let gate = gate().zip(gate_before).map(|(after, before)| after - before);
        let packets = match (&small, passed().zip(passed_before)) {
            (Some(_), Some((after, before))) => after - before,
            _ => sent,
        };
        ensure!(packets > 1_000, "only {packets} of {sent} packets came through");
        let each = |ns: u64| ns as f64 / packets as f64;
        Ok(Turn { gate: gate.map(each), all: each(all) })
    }

    fn flood(&self, small: &Arc<Small>, length: Duration) -> Result<u64> {
        let small = Arc::clone(small);
        self.radio.run(move || small.flood(length))
    }
}
