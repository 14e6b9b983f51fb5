//! `sekisho bench air`: vectors for an MME by S6a (Authentication-Information, TS 29.272 §5.2.3.1), one connection over
//! loopback TCP, beside an echo of as many octets with the same cryptography; and the node killed in the middle of it.
//!
//! The node is our own binary's control process, with peers, directory, SQNs written ahead and database as they are, when it
//! has done what a start brings: *first* asks about SIMs that were never asked about; *again* asks about the same ones once
//! more. Each answer is opened with the keys of its SIM, and no (SIM, SEQ, IND) may come twice. The same
//! client asks both. Ratios are told; what fails is a wrong answer.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | what is measured, and the table |
//! | `node` | the control process |
//! | `asker`, `template` | the MME's side |
//! | `echo` | what is measured beside |
//! | `cards` | the SIMs' keys, and what their vectors say |
//! | `kills` | kill -9 under this load |

mod asker;
mod cards;
mod echo;
mod kills;
mod node;
mod template;

use super::Spread;
use anyhow::{Context, Result, ensure};
use asker::Asker;
use cards::{Cards, Seen};
use node::Node;
use serde_json::json;
use std::{process::ExitCode, sync::Arc, time::Instant};

/// Who we are, and who asks.
const HSS: &str = "hss.bench";
const REALM: &str = "bench";
const MME: &str = "mme.bench";
const PLMN: &str = "001-01";
/// Requests under way.
const WINDOW: usize = 64;
/// Of the echo's rate, and of the rate with the fewest SIMs, what ours should be. That is told, and fails nobody.
const OF_THE_ECHO: f64 = 0.3;
const OF_THE_FEWEST: f64 = 0.7;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Turns of each side.
    pub turns: u32,
    /// Requests in a turn; so many that no SIM is asked about twice in *first*, where there are too few of them.
    pub requests: u32,
    /// How often the node is killed.
    pub kills: u32,
    /// What chance begins with.
    pub seed: Option<u64>,
}

/// Rates with so many SIMs.
#[derive(serde::Serialize)]
struct Measured {
    sims: u32,
    requests: u32,
    started_s: f64,
    first: Spread,
    again: Spread,
    echo: Spread,
    first_of_echo: Spread,
    again_of_echo: Spread,
}

/// Measures with each of these numbers of SIMs, then kills; prints a table, and with `json` one object as the last line.
pub fn run(sims: &[u32], o: Options, sabotage: Option<&str>, json: bool) -> Result<ExitCode> {
    let seed = match o.seed {
        Some(s) => s,
        None => u64::from(u32::from_be_bytes(gateway::sys::random()?)),
    };
    eprintln!("seed {seed}: the same choices again by --seed {seed}");
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(async {
        let mut all = Vec::new();
        let fewest = sims.iter().copied().min().unwrap_or_default();
        let requests = o.requests.min(fewest / (o.turns + 1));
        for sims in sims {
            ensure!(requests > 0, "{sims} SIMs are too few for {} turns", o.turns);
            let m = measure(*sims, o.turns, requests, seed).await.with_context(|| format!("{sims} SIMs"))?;
            show(&m);
            all.push(m);
        }
        let held = told(&all);
        let found = if o.kills > 0 { Some(kills::story(o.kills, seed, sabotage).await?) } else { None };
        if let Some(f) = &found {
            let (all, random, points) = (f.kills, f.at_random, f.at_a_point);
            println!(
                "{all} kills ({random} at random, {points} beside a ceiling's write), {} vectors",
                f.vectors
            );
            println!("  {:<40} {:>8}", "(SIM, SEQ, IND) twice", f.reused);
            f.found.iter().for_each(|words| println!("  FOUND: {words}"));
        }
        let right = found.as_ref().is_none_or(|f| f.reused == 0);
        if json {
            println!(
                "{}",
                json!({ "seed": seed, "rates": all, "within": held, "kills": found, "held": right })
            );
        }
        Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

async fn measure(sims: u32, turns: u32, requests: u32, seed: u64) -> Result<Measured> {
    let cards = Arc::new(Cards::draw(sims, false, seed));
    let mut node = Node::with_sims(&cards, Vec::new()).await?;
    let done = tokio::task::block_in_place(|| turn_by_turn(&mut node, &cards, turns, requests));
    if done.is_err() {
        node.print_log();
    }
    done
}

fn turn_by_turn(node: &mut Node, cards: &Arc<Cards>, turns: u32, requests: u32) -> Result<Measured> {
    let started_s = node.start()?.as_secs_f64();
    node.settled()?;
    let (mut ours, mut other) = (Asker::connect(node.s6a())?, Asker::connect(echo::start(cards.clone())?)?);
    let (mut seen, mut echoed) = (Seen::default(), Seen::default());
    let mut rates: [Vec<f64>; 5] = Default::default();
    for turn in 0..=turns {
        let these = || (turn * requests..(turn + 1) * requests).map(|n| scattered(n, cards.len()));
        let rate = |asker: &mut Asker, seen: &mut Seen| -> Result<f64> {
            let begun = Instant::now();
            let asked = asker.ask(these(), WINDOW, cards, seen)?;
            let s = begun.elapsed().as_secs_f64();
            ensure!(!asked.cut && asked.answered == u64::from(requests), "not all was answered: {asked:?}");
            Ok(f64::from(requests) / s)
        };
        let first = rate(&mut ours, &mut seen)?;
        let again = rate(&mut ours, &mut seen)?;
        let echo = rate(&mut other, &mut echoed)?;
        // The first turn warms all up and is not counted.
        if turn > 0 {
            let row = [first, again, echo, first / echo, again / echo];
            rates.iter_mut().zip(row).for_each(|(all, one)| all.push(one));
        }
    }
    ensure!(seen.twice.is_empty(), "an SQN came twice: {:?}", seen.twice);
    node.stop()?;
    let [first, again, echo, first_of_echo, again_of_echo] = rates.map(Spread::of);
    let sims = cards.len();
    Ok(Measured { sims, requests, started_s, first, again, echo, first_of_echo, again_of_echo })
}

/// The n-th of so many SIMs that is asked about: each once, and neighbours far from each other.
fn scattered(n: u32, sims: u32) -> u32 {
    /// A prime above any number of SIMs that is asked for, so that it has no factor in common with one.
    const STEP: u64 = 2_654_435_761;
    u32::try_from(u64::from(n) * STEP % u64::from(sims.max(1))).unwrap_or_default()
}

fn show(m: &Measured) {
    println!(
        "{} SIMs, in memory {:.1} s after the start; {} requests a turn",
        m.sims, m.started_s, m.requests
    );
    println!("  {:<40} {:>10} {:>10} {:>10}", "answers a second, one connection", "median", "min", "max");
    let row = |name: &str, s: &Spread, d: usize| {
        println!("  {name:<40} {:>10.d$} {:>10.d$} {:>10.d$}", s.median, s.min, s.max);
    };
    row("first: of SIMs never asked about", &m.first, 0);
    row("again", &m.again, 0);
    row("echo with the same cryptography", &m.echo, 0);
    row("first / echo, turn by turn", &m.first_of_echo, 2);
    row("again / echo, turn by turn", &m.again_of_echo, 2);
}

/// Says which floors are held. True where all are.
fn told(all: &[Measured]) -> bool {
    let mut held = true;
    let mut say = |what: String, ratio: f64, floor: f64| {
        held &= ratio >= floor;
        println!("{} {what}: {ratio:.2} (floor {floor})", if ratio >= floor { "held:  " } else { "missed:" });
    };
    for m in all {
        say(format!("{} SIMs, first, of the echo", m.sims), m.first_of_echo.median, OF_THE_ECHO);
        say(format!("{} SIMs, again, of the echo", m.sims), m.again_of_echo.median, OF_THE_ECHO);
    }
    let by_sims = |m: &&Measured| m.sims;
    if let (Some(few), Some(many)) = (all.iter().min_by_key(by_sims), all.iter().max_by_key(by_sims))
        && few.sims < many.sims
    {
        let of = |what: &str| format!("{} SIMs of {}, {what}", many.sims, few.sims);
        say(of("first"), many.first.median / few.first.median, OF_THE_FEWEST);
        say(of("again"), many.again.median / few.again.median, OF_THE_FEWEST);
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_sim_is_asked_about_once() {
        for sims in [1, 2, 300, 3_000, 100_000] {
            let all: BTreeSet<u32> = (0..sims).map(|n| scattered(n, sims)).collect();
            assert_eq!(all.len(), sims as usize);
            assert!(all.iter().all(|n| *n < sims));
        }
    }

    #[test]
    fn what_is_wrong_in_a_vector_is_seen_and_an_sqn_that_comes_again_is_named() {
        use sim_auth::{aka, eps_vector_of};
        use types::{Rand, Sqn};
        use wire::diameter::EutranVector;
        let (cards, plmn) = (Cards::draw(2, false, 7), PLMN.parse().expect("a PLMN"));
        let vector = |seq: u64| {
            let card = cards.card(1).expect("a card").milenage();
            let sqn = Sqn::new(seq << 5 | 3).expect("an SQN");
            let v = eps_vector_of(&card, Rand([seq as u8; 16]), sqn, aka::AMF, plmn);
            EutranVector {
                item: None,
                rand: v.rand.0,
                xres: v.xres.expose().to_vec(),
                autn: v.autn.0,
                kasme: *v.kasme.expose(),
            }
        };
        let mut seen = Seen::default();
        seen.note(&cards, 1, &vector(1), plmn).expect("right");
        seen.note(&cards, 1, &vector(2), plmn).expect("right");
        assert_eq!((seen.len(), seen.twice.len()), (2, 0));
        seen.note(&cards, 1, &vector(2), plmn).expect("right in itself");
        assert_eq!(seen.twice, ["001010000000001 SEQ 2 IND 3 came twice"]);
        seen.note(&cards, 0, &vector(3), plmn).expect_err("another SIM's");
        for spoil in [
            |v: &mut EutranVector| v.rand[0] ^= 1,
            |v: &mut EutranVector| v.xres[0] ^= 1,
            |v: &mut EutranVector| v.autn[0] ^= 1,
            |v: &mut EutranVector| v.kasme[0] ^= 1,
        ] {
            let mut v = vector(4);
            spoil(&mut v);
            seen.note(&cards, 1, &v, plmn).expect_err("spoilt");
        }
    }
}
