//! `sekisho bench damage`: a relay between the radio and its AMF damages messages, for minutes, on a site with both real
//! processes; every message is right again behind SCTP's checksum, so nothing but the codecs and states stands before it.
//!
//! UEs register, set sessions up, go idle, come back and are switched off without a word, in turn, by chance of the seed;
//! among them one whose SIM was banned. Most of it comes off. At the end the link is whole, the radio connects anew, and
//! every UE but that one attaches, no process has been replaced, and the log has no word of a defect.

use crate::{
    demo::{
        Options, namespace,
        ran::{RanAnswer, RanAsk},
        story::Demo,
        words::Teller,
    },
    lang::Lang,
};
use anyhow::{Context, Result, bail, ensure};
use lab::relay::Tally;
use serde_json::json;
use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

/// UEs that take turns.
const UES: usize = 20;
/// The one with the banned SIM.
const BANNED: usize = 0;
/// How long an attach may take while the link is bad: one whose message was lost is told to try again by nobody.
const WHILE_DAMAGED_MS: u64 = 1_500;
/// How long it may take on a whole link.
const WHOLE_MS: u64 = 10_000;
/// What the log says of a defect.
const DEFECTS: [&str; 3] = ["panicked", "failed in a batch", " ERROR "];

/// Runs it; with `json` one object is the last line.
pub fn run(minutes: f64, per_mille: u16, seed: Option<u64>, json: bool, lang: Lang) -> Result<ExitCode> {
    namespace::check()?;
    ensure!(per_mille <= 1_000, "so many of a thousand");
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(async {
        let demo = Demo::set_up(&Options::of_a_bench(lang), Teller::new(lang, true)).await?;
        let time = Duration::try_from_secs_f64(minutes * 60.0).context("minutes")?;
        let seen = damage(&demo, time, per_mille, seed).await;
        if seen.as_ref().map_or(true, |s| !s.broken.is_empty()) {
            demo.print_log();
        }
        let Seen { broken, tally, turns, attached, grown_kib } = seen?;
        broken.iter().for_each(|b| println!("FOUND: {b}"));
        println!(
            "{} of {} messages damaged in {minutes} minutes; {attached} of {turns} attaches came off; both processes have \
             grown by {grown_kib} KiB",
            tally.damaged(),
            tally.damaged() + tally.whole
        );
        let held = broken.is_empty();
        if json {
            println!(
                "{}",
                json!({ "minutes": minutes, "per_mille": per_mille, "seed": seed, "messages": tally, "turns": turns,
                    "attached": attached, "grown_kib": grown_kib, "broken": broken, "held": held })
            );
        }
        Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

struct Seen {
    /// What did not hold.
    broken: Vec<String>,
    tally: Tally,
    turns: u64,
    attached: u64,
    /// Memory of both processes at the end beside the beginning.
    grown_kib: i64,
}

fn name(n: usize) -> String {
    format!("ue-{n}")
}

async fn damage(demo: &Demo, time: Duration, per_mille: u16, seed: u64) -> Result<Seen> {
    demo.put_policy().await?;
    demo.connect_gnb().await?;
    for n in 0..UES {
        demo.sim(&name(n), &format!("00101{:010}", 7_000 + n), &["office"]).await?;
        let answer = attach(demo, n, WHOLE_MS).await?;
        ensure!(answer == Attach::Up, "{} does not attach before there is any damage: {answer:?}", name(n));
    }
    let ban = format!("sims/00101{:010}/ban", 7_000 + BANNED);
    let body = json!({ "state": "stolen", "reason": "bench" });
    demo.call(move |api| api.post(&ban, &body).map(Into::into)).await?;
    let parts = super::secrets::processes(demo.dir())?;
    let before = memory_kib(demo)?;
    let mut broken = Vec::new();

    demo.ran(RanAsk::Damage { per_mille, seed }).await?;
    let mut chance = fastrand::Rng::with_seed(seed);
    let (began, mut turns, mut attached) = (Instant::now(), 0u64, 0u64);
    while began.elapsed() < time {
        let n = chance.usize(..UES);
        match chance.u8(..4) {
            0 => demo.ran(RanAsk::PowerCycle { ue: name(n) }).await?,
            1 => demo.ran(RanAsk::LetGo { ue: name(n) }).await?,
            _ => {}
        }
        turns += 1;
        match attach(demo, n, WHILE_DAMAGED_MS).await? {
            Attach::Up if n == BANNED => broken.push(format!("turn {turns}: the banned SIM attached")),
            Attach::Up => attached += 1,
            // NG Setup itself was hurt, or the association ended.
            Attach::NoCell => demo.ran(RanAsk::Reconnect).await?,
            Attach::Refused | Attach::Silence => demo.ran(RanAsk::PowerCycle { ue: name(n) }).await?,
        }
        if turns.is_multiple_of(256)
            && let Some(why) = demo.ended().await?
        {
            bail!("Sekisho has ended: {why}");
        }
    }
    let RanAnswer::Damaged(tally) = demo.radio(RanAsk::Damaged).await? else {
        bail!("the radio does not say what was damaged");
    };
    if attached * 2 < turns {
        broken.push(format!("only {attached} of {turns} attaches came off"));
    }

    demo.ran(RanAsk::Damage { per_mille: 0, seed }).await?;
    demo.ran(RanAsk::Reconnect).await?;
    for n in 0..UES {
        demo.ran(RanAsk::PowerCycle { ue: name(n) }).await?;
        let (answer, wanted) = (attach(demo, n, WHOLE_MS).await?, n != BANNED);
        if (answer == Attach::Up) != wanted {
            broken.push(format!("on the whole link, {}: {answer:?}", name(n)));
        }
    }
    let held = demo.call(|api| Ok(api.list("sessions")?.len().into())).await?;
    if held != UES - 1 {
        broken.push(format!("{held} sessions are there, not {}", UES - 1));
    }
    if super::secrets::processes(demo.dir())? != parts {
        broken.push("a process was replaced".to_owned());
    }
    let log = fs::read_to_string(demo.log()).context("Sekisho's log")?;
    let defects = log.lines().filter(|l| DEFECTS.iter().any(|d| l.contains(d)));
    broken.extend(defects.take(20).map(|l| format!("log: {l}")));
    Ok(Seen { broken, tally, turns, attached, grown_kib: memory_kib(demo)? - before })
}

/// How an attach ended.
#[derive(Debug, PartialEq, Eq)]
enum Attach {
    Up,
    Refused,
    Silence,
    NoCell,
}

async fn attach(demo: &Demo, n: usize, within_ms: u64) -> Result<Attach> {
    match demo.radio(RanAsk::TryBare { ue: name(n), within_ms }).await {
        Ok(RanAnswer::Attached { .. }) => Ok(Attach::Up),
        Ok(RanAnswer::Refused { .. } | RanAnswer::NoSession { .. }) => Ok(Attach::Refused),
        Ok(RanAnswer::Silence) => Ok(Attach::Silence),
        Ok(other) => bail!("the radio answers {other:?}"),
        Err(e) if format!("{e:#}").contains("no cell") => Ok(Attach::NoCell),
        Err(_) => Ok(Attach::Silence),
    }
}

/// Resident memory of the two processes.
fn memory_kib(demo: &Demo) -> Result<i64> {
    let mut all = 0;
    for part in super::secrets::processes(demo.dir())? {
        let status = fs::read_to_string(part.join("status"))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
        all += line.trim().trim_end_matches("kB").trim().parse::<i64>()?;
    }
    Ok(all)
}
