//! `sekisho bench path`: processor time of the packet path, beside a loop that moves one packet with each system call
//! and beside plain kernel forwarding, in turns.
//!
//! Three namespaces of this process, joined by virtual cables: a radio with UEs, the gate, and an app. Our side is a
//! shard's thread as it stands in the gateway, with sessions, rates, a policy and flows; the loop decapsulates and
//! judges nothing. With `--upf`, another user plane that the operator has built stands there in its turns too, told the
//! same PFCP script. What counts is the processor time of the gate's own threads for each packet. What the kernel does
//! in other contexts for any of them, and all that plain forwarding costs, stands in the time of the whole process
//! (senders and receivers included, and the other user plane's own), which is shown for all. The machine may be
//! shared: ratios are taken turn by turn.

pub mod flood;
mod gate;
mod load;
mod place;
mod script;
mod upf;

use super::Spread;
use crate::demo::namespace;
use anyhow::{Context, Result, ensure};
use gate::{Running, Size};
use gateway::{netlink::Netlink, netns, time};
use load::{Manner, Small};
use place::{Place, attach, switch_on};
use serde::Serialize;
use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
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
    /// The program of `--upf`, with as many sessions as [`FEW`].
    Other,
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
    /// The floor beside the program of `--upf`, where that takes part.
    other: Option<f64>,
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

/// Who stands there with `--upf`.
const OTHER: (&str, Who) = ("Open5GS UPF", Who::Other);

const WORKS: &[Work] = &[
    Work {
        name: "TCP bulk, uplink",
        load: Load::BulkUp,
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 2.5,
        aim: 3.0,
        other: Some(2.0),
    },
    Work {
        name: "TCP bulk, downlink",
        load: Load::BulkDown,
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 2.5,
        aim: 3.0,
        other: Some(2.0),
    },
    Work {
        name: "64 octets, checksum set",
        load: SMALL,
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 1.2,
        aim: 1.6,
        other: Some(1.2),
    },
    Work {
        name: "64 octets, checksum zero",
        load: Load::Small(Manner::NoChecksum, 1_000, 1),
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 1.0,
        aim: 1.6,
        other: Some(1.2),
    },
    Work {
        name: "64 octets, zero, 8 in a row",
        load: Load::Small(Manner::NoChecksum, 1_000, 8),
        who: ALL_THREE,
        ratio: Ratio::Faster,
        floor: 1.0,
        aim: 1.6,
        other: Some(1.2),
    },
    Work {
        name: "rules",
        load: SMALL,
        who: &[("10 000", Who::Ours(Size { rules: 10_000, ..FEW })), ("10", Who::Ours(FEW))],
        ratio: Ratio::Slower,
        floor: 1.1,
        aim: 1.0,
        other: None,
    },
    Work {
        name: "sessions, 60 000 of them active",
        load: Load::Small(Manner::Segments, 60_000, 1),
        who: &[("100 000", Who::Ours(Size { sessions: 100_000, ..FEW })), ("1 000", Who::Ours(FEW))],
        ratio: Ratio::Slower,
        floor: 1.3,
        aim: 1.1,
        other: None,
    },
];

/// What one turn took, nanoseconds a packet.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// The gate's threads; nothing where there are none.
    gate: Option<f64>,
    /// The whole process, and the gate's own where that is another one.
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
    aim: Option<f64>,
    reached: &'static str,
}

/// Measures each work (those whose name has `only` in it) `turns` times, prints tables, and with `json` one object as
/// the last line. With `upf`, this program (an Open5GS UPF) takes part in what is measured beside the loop.
pub fn run(turns: u32, only: &str, upf: Option<&Path>, json: bool) -> Result<ExitCode> {
    ensure!((1..=1_000).contains(&turns), "between 1 and 1000 turns");
    let works: Vec<&Work> = WORKS.iter().filter(|w| w.name.contains(only)).collect();
    ensure!(!works.is_empty(), "no work has \"{only}\" in its name");
    namespace::check()?;
    netns::new_user()?;
    let world = World::build(upf)?;
    let (mut lines, mut judged, mut beside_other) = (Vec::new(), Vec::new(), Vec::new());
    for work in works {
        let other = work.other.filter(|_| upf.is_some());
        let all: Vec<_> = work.who.iter().copied().chain(other.map(|_| OTHER)).collect();
        let mut seen: Vec<Vec<Turn>> = vec![Vec::new(); all.len()];
        for turn in 0..=turns as usize {
            for n in 0..all.len() {
                // Each begins a turn as often as the others.
                let n = (n + turn) % all.len();
                let Some((_, who)) = all.get(n) else { continue };
                let took = world.turn(work.load, *who).with_context(|| format!("{}: {who:?}", work.name))?;
                // The first turn warms up and is not counted.
                if let Some(seen) = seen.get_mut(n).filter(|_| turn > 0) {
                    seen.push(took);
                }
            }
        }
        for ((name, _), seen) in all.iter().zip(&seen) {
            let gate: Vec<f64> = seen.iter().filter_map(|t| t.gate).collect();
            lines.push(Line {
                work: work.name,
                who: name,
                gate_ns: (!gate.is_empty()).then(|| Spread::of(gate)),
                all_ns: Spread::of(seen.iter().map(|t| t.all).collect()),
            });
        }
        let [ours, beside] = [0, 1].map(|n| seen.get(n).map_or(&[][..], Vec::as_slice));
        judged.push(judge(work, [ours, beside], work.floor, Some(work.aim)));
        let last = seen.last().map_or(&[][..], Vec::as_slice);
        beside_other.extend(other.map(|floor| judge(work, [ours, last], floor, None)));
    }
    print_lines(&lines);
    print_ratios("ratio of the first two, by turn", &judged);
    if !beside_other.is_empty() {
        print_ratios(&format!("ours beside {}, by turn", OTHER.0), &beside_other);
        println!("{} has {} sessions.", OTHER.0, FEW.sessions);
    }
    if json {
        let all = serde_json::json!({
            "turns": turns, "lines": lines, "ratios": judged, "beside_other": beside_other,
        });
        println!("{all}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Of two, by turn; judged by how the work's ratio is meant.
fn judge(work: &Work, [ours, beside]: [&[Turn]; 2], floor: f64, aim: Option<f64>) -> Judged {
    let of = |seen: &[Turn]| seen.iter().filter_map(|t| t.gate).collect::<Vec<_>>();
    let ratios = of(ours).into_iter().zip(of(beside)).map(|(ours, other)| match work.ratio {
        Ratio::Faster => other / ours,
        Ratio::Slower => ours / other,
    });
    let ratio = Spread::of(ratios.collect());
    let meets = |bound: f64| match work.ratio {
        Ratio::Faster => ratio.median >= bound,
        Ratio::Slower => ratio.median <= bound,
    };
    let reached = match (meets(floor), aim.is_some_and(meets)) {
        (_, true) => "aim",
        (true, false) => "floor",
        (false, false) => "neither",
    };
    Judged { work: work.name, ratio, floor, aim, reached }
}

fn print_lines(lines: &[Line]) {
    let spread = |s: &Spread| format!("{:.0} ({:.0}–{:.0})", s.median, s.min, s.max);
    println!(
        "{:<34} {:<20} {:>22} {:>22}",
        "ns a packet: median (min–max)", "", "gate's threads", "whole process"
    );
    for l in lines {
        let gate = l.gate_ns.as_ref().map_or_else(|| "–".to_owned(), spread);
        println!("{:<34} {:<20} {:>22} {:>22}", l.work, l.who, gate, spread(&l.all_ns));
    }
}

fn print_ratios(title: &str, judged: &[Judged]) {
    println!("\n{title:<34} {:>22} {:>8} {:>8}  reached", "", "floor", "aim");
    for j in judged {
        let s = format!("{:.2} ({:.2}–{:.2})", j.ratio.median, j.ratio.min, j.ratio.max);
        let aim = j.aim.map_or_else(|| "–".to_owned(), |aim| format!("{aim:.1}"));
        println!("{:<34} {s:>22} {:>8.1} {aim:>8}  {}", j.work, j.floor, j.reached);
    }
}

/// The three places.
struct World {
    gate: Place,
    radio: Place,
    /// Lives as long as this.
    _app: Place,
    /// The program of [`Who::Other`].
    upf: Option<PathBuf>,
}

impl World {
    fn build(upf: Option<&Path>) -> Result<Self> {
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
        Ok(Self { gate, radio, _app: app, upf: upf.map(Path::to_owned) })
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
            Who::Other => {
                let program = self.upf.clone().context("there is no other user plane")?;
                Some(self.gate.begin(move || upf::other(&program, FEW.sessions, &ready))?)
            }
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
                    Who::Other => sessions.min(FEW.sessions),
                    Who::OnePacket | Who::Kernel => sessions,
                };
                let small = Arc::new(Small::new(sessions, in_a_row, manner)?);
                // What opens the flows does not count.
                self.flood(&small, WINDOW / 4)?;
                Some(small)
            }
        };
        let gate = || running.map(Running::time);
        let all = || time::processor_time_of_all() + running.map_or(0, Running::time_apart);
        let passed = || running.map(|r| (r.uplink)());
        let (gate_before, all_before, passed_before) = (gate(), all(), passed());
        let sent = match &small {
            Some(small) => self.flood(small, WINDOW)?,
            None => {
                let up = load == Load::BulkUp;
                self.radio.run(move || load::bulk(up, plain))?;
                (load::AMOUNT / load::PAYLOAD) as u64
            }
        };
        let all = all() - all_before;
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
