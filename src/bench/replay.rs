//! `sekisho bench replay`: recorded flows of a company against a draft of its policy, as `sekisho policy replay` tries them:
//! read from segments on the disk, judged by the compiled rows. Beside it, in the same run, a walk of the rules for some of
//! the same flows, which have to come out the same.

use super::company::{APPS, NOW, address, imsi, policy};
use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use pgw_policy::{Policy, Question, Ruling, Standing, clock, compile, plain::Plain, replay::Replay};
use serde_json::{Value, json};
use std::{process::ExitCode, time::Instant};
use store::{FlowLog, FlowLogConfig, FlowPlace};
use types::{Direction, FlowRecord, Reason, Utc, Verdict};

/// Flows that the walk is asked about.
const WALKED: usize = 2_000;
/// Records that are written together.
const TOGETHER: u64 = 10_000;
/// When the first flow began.
const BEGAN: i64 = NOW.0;

/// Writes, replays, walks; prints a table, and with `json` one object as the last line.
pub fn run(flows: u64, sims: u32, rules: u32, json: bool) -> Result<ExitCode> {
    ensure!(flows >= 1_000 && sims >= 1_000 && rules >= 1_000, "at least 1000 flows, SIMs and rules");
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(measure(flows, sims, rules, json))
}

async fn measure(flows: u64, sims: u32, rules: u32, json: bool) -> Result<ExitCode> {
    let policy = policy(sims, rules)?;
    let mut draft = policy.clone();
    // One rule in twenty falls away.
    draft.rules.retain(|r| r.order % 20 != 0);
    let dir = tempfile::tempdir()?;
    let log = FlowLog::open(FlowLogConfig::new(dir.path())).await?;
    let written = write(&log, &policy, flows, sims).await?;
    let octets = log.stats().await?.bytes;

    let bar = bar(octets)?;
    let begun = Instant::now();
    let mut replay = Replay::new(compile(&draft).map_err(|e| anyhow::anyhow!("{e:?}"))?);
    let compiled = begun.elapsed();
    let read = |at| log.read_on(at, Utc(0), Utc(i64::MAX));
    let (mut piece, mut some) = (read(FlowPlace::default()).await?, Vec::new());
    while let Some(next) = piece.next {
        let (done, records) = (piece.done, piece.records);
        some.extend(records.iter().take(WALKED.saturating_sub(some.len())).cloned());
        let judged = tokio::task::spawn_blocking(move || {
            records.iter().for_each(|r| replay.feed(r));
            replay
        });
        // As the API does it: the next piece is read while this one is judged.
        let (ahead, judged) = tokio::join!(read(next), judged);
        (piece, replay) = (ahead?, judged?);
        bar.set_position(done);
    }
    bar.finish_and_clear();
    let replayed = begun.elapsed();
    let (counts, found) = replay.found();
    ensure!(counts.records == flows, "{} of {flows} flows were read", counts.records);

    let walked = walk(&draft, &some)?;
    let one = |d: std::time::Duration, n: f64| d.as_secs_f64() * 1e9 / n;
    let (each, walk_each) = (one(replayed, flows as f64), one(walked, some.len() as f64));
    let faster = walk_each / each;
    println!(
        "{flows} flows in {:.0} MB, written in {written:.0} s; {sims} SIMs, {rules} rules",
        octets as f64 / 1e6
    );
    println!(
        "replay, compiled in {:.0} ms: {:.1} s, {each:.0} ns a flow",
        compiled.as_secs_f64() * 1e3,
        replayed.as_secs_f64()
    );
    println!("a walk of the rules: {walk_each:.0} ns a flow");
    println!("walk / replay: {faster:.0} (told: 20 is asked for)");
    println!(
        "newly denied: {}, newly allowed: {}, hanging on what was known of the SIM: {}, kinds: {}",
        counts.newly_denied,
        counts.newly_allowed,
        counts.unsure,
        found.len()
    );
    if json {
        let v: Value = json!({
            "flows": flows, "sims": sims, "rules": rules, "seconds": replayed.as_secs_f64(), "replay_ns": each,
            "walk_ns": walk_each, "faster": faster, "newly_denied": counts.newly_denied,
            "newly_allowed": counts.newly_allowed, "unsure": counts.unsure,
        });
        println!("{v}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Flows of random SIMs to random apps, as the policy judged SIMs of which nothing was known; how many seconds that took.
async fn write(log: &FlowLog, policy: &Policy, flows: u64, sims: u32) -> Result<f64> {
    let compiled = compile(policy).map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let compiled = compiled.with_clocks(clock::word(compiled.clocks(), NOW)).0;
    let bar = bar(flows)?;
    let mut chance = fastrand::Rng::with_seed(9);
    let begun = Instant::now();
    let template = first()?;
    let mut n = 0;
    while n < flows {
        let many = TOGETHER.min(flows - n);
        let mut some = Vec::with_capacity(many as usize);
        for at in n..n + many {
            let (sim, app) = (chance.u32(..sims), chance.u32(..APPS));
            let start = Utc(BEGAN + at as i64);
            let imsi = imsi(sim)?;
            let peer = address(app).into();
            let d = pgw_policy::decide(&compiled, compiled.class_of(imsi), Direction::Out, peer, 6, 443);
            some.push(FlowRecord {
                start,
                end: start,
                imsi,
                peer,
                app: d.app.and_then(|a| compiled.app_name(a)).cloned(),
                rule: d.rule.and_then(|r| compiled.rule_name(r)).cloned(),
                verdict: if d.allows() { Verdict::Allow } else { Verdict::Deny },
                reason: d.reason,
                ..template.clone()
            });
        }
        log.append(some, Utc(BEGAN + n as i64)).await?;
        n += many;
        bar.set_position(n);
    }
    bar.finish_and_clear();
    Ok(begun.elapsed().as_secs_f64())
}

/// What all of them have in common.
fn first() -> Result<FlowRecord> {
    Ok(serde_json::from_value(json!({
        "start": BEGAN, "end": BEGAN, "imsi": imsi(0)?, "direction": "out", "ue": "10.20.0.9", "ue_port": 40_000,
        "peer": "10.200.0.1", "peer_port": 443, "protocol": 6, "app": null, "rule": null, "verdict": "allow",
        "reason": Reason::Rule, "generation": 1, "packets_up": 12, "bytes_up": 3_000, "packets_down": 10,
        "bytes_down": 12_000, "name": null, "would": null,
    }))?)
}

/// Reads the rules one by one, and asks the rows with them. What hangs on what was known of a SIM cannot be compared.
fn walk(draft: &Policy, some: &[FlowRecord]) -> Result<std::time::Duration> {
    let mut replay = Replay::new(compile(draft).map_err(|e| anyhow::anyhow!("{e:?}"))?);
    let plain = Plain::new(draft);
    let (mut minute, mut standing) = (None, Standing::default());
    let mut took = std::time::Duration::ZERO;
    let mut compared = 0;
    for r in some {
        // Hours begin and end with a minute.
        if minute.replace(r.start.0 / 60_000) != Some(r.start.0 / 60_000) {
            standing =
                Standing { at: r.start, off: clock::off(&draft.rules, r.start), ..Standing::default() };
        }
        let (imsi, direction, peer) = (r.imsi, r.direction, r.peer);
        let q = Question { imsi, direction, peer, protocol: r.protocol, port: r.peer_port };
        let before = replay.counts();
        let begun = Instant::now();
        let said = plain.ask(&q, &standing);
        took += begun.elapsed();
        replay.feed(r);
        let after = replay.counts();
        if after.unsure > before.unsure {
            continue;
        }
        compared += 1;
        let (was, is) = (r.verdict == Verdict::Allow, said.verdict == Ruling::Allow);
        let denied = after.newly_denied > before.newly_denied;
        let allowed = after.newly_allowed > before.newly_allowed;
        ensure!((denied, allowed) == (was && !is, !was && is), "rows and rules disagree about {q:?}");
    }
    ensure!(compared * 4 > some.len(), "only {compared} of {} flows could be compared", some.len());
    Ok(took)
}

fn bar(length: u64) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {percent}%").context("the bar")?;
    Ok(ProgressBar::new(length).with_style(style))
}
