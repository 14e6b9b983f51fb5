//! `sekisho bench policy`: a company of 100 000 SIMs and 10 000 rules. How long the whole takes to compile, how soon one
//! rule's edit and one SIM's move are in force in every shard of a running instance, what a decision costs beside a walk
//! of the rules, and how many octets a session, a flow and a SIM have.
//!
//! The edits go the way that people's do: an HTTP call to the API, which answers when every shard has the change. Beside
//! each stands a change of a SIM's label, which goes the same way but for the policy. What is judged is the policy's own
//! part, as the product counts it itself (`sekisho_policy_enforcement_seconds`): from the order behind the commit, over
//! reading what changed, both processes' rows and every shard, to the last shard's answer. The walk is [`pgw_policy::plain`],
//! which reads the rules one by one: rows, walk and `explain` answer the same questions here, and have to agree. Seven of
//! eight rules have conditions, and each SIM has facts of its own; one that changes is followed to the end of a live flow.

mod live;
mod rows;

use super::{
    Spread,
    company::{APPS, GROUPS, IN_SET, SETS, app, group, imsi, rule, set},
};
use crate::{
    control::boot,
    demo::{Options, namespace, site::SiteAsk, story::Demo, words::Teller},
    lang::Lang,
};
use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use gateway::time;
use pgw_policy::Policy;
use rows::Rows;
use serde_json::{Value, json};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use store::{Change, SimRow, Store};
use types::{K, Opc};

/// SIMs and rules that are written together.
const TOGETHER: usize = 10_000;
/// Writes under way at a time: they share a flush of the disk.
const AT_ONCE: usize = 64;
/// How long Sekisho may take to read all of them in.
const LOADED: Duration = Duration::from_secs(120);

/// What is promised of each figure.
const COMPILE_MS: f64 = 1_000.0;
const ENFORCED_MS: f64 = 10.0;
/// The most changes after which the whole is compiled.
const WHOLES: usize = 5;
const FASTER: f64 = 50.0;
/// An edit of a rule and a fact of a SIM take at most this part of what the whole takes.
const PART: f64 = 1.0 / 20.0;
const OCTETS: [(&str, usize); 3] = [("session", 256), ("flow", 128), ("SIM", 64)];

/// The size of the company.
#[derive(Debug, Clone, Copy)]
struct Size {
    sims: u32,
    rules: u32,
}

/// Measures, prints a table, and with `json` one object as the last line.
pub fn run(sims: u32, rules: u32, times: usize, json: bool, lang: Lang) -> Result<ExitCode> {
    ensure!(sims >= 1_000 && rules >= 1_000 && times >= 1, "at least 1000 SIMs, 1000 rules and one edit");
    namespace::check()?;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(async {
        let demo = Demo::set_up(&Options::of_a_bench(lang), Teller::new(lang, true)).await?;
        let done = measure(&demo, Size { sims, rules }, times, json).await;
        if done.is_err() {
            demo.print_log();
        }
        done
    })
}

async fn measure(demo: &Demo, size: Size, times: usize, json: bool) -> Result<ExitCode> {
    let began = Instant::now();
    let source = seed(demo, size).await?;
    println!(
        "{} SIMs in {SETS} sets of {IN_SET} of {GROUPS} groups, {} rules, {APPS} apps: in force after {:.0} s",
        size.sims,
        size.rules,
        began.elapsed().as_secs_f64()
    );
    let edits = edits(demo, size, times).await?;
    demo.done(SiteAsk::Stop).await?;
    let rows = rows::measure(&source, size)?;
    let held = print(&edits, &rows);
    if json {
        println!(
            "{}",
            json!({ "sims": size.sims, "rules": size.rules, "edits": edits, "rows": rows, "held": held })
        );
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(edits: &Edits, rows: &Rows) -> bool {
    let mut held = true;
    println!("{:<58} {:>10} {:>10} {:>10} {:>9}", "", "median", "least", "most", "floor");
    let mut line = |what: &str, s: &Spread, floor: Option<f64>| {
        let good = floor.is_none_or(|f| s.median <= f);
        held &= good;
        let floor = floor.map(|f| format!("≤ {f:.0}{}", if good { "" } else { " !" })).unwrap_or_default();
        println!("{what:<58} {:>10.2} {:>10.2} {:>10.2} {floor:>9}", s.median, s.min, s.max);
    };
    line("an app's edit: the whole, stored → in every shard, ms", &edits.whole.enforced, None);
    let whole = edits.whole.enforced.median * PART;
    line("a rule's edit, stored → in every shard, ms", &edits.rule.enforced, Some(ENFORCED_MS.min(whole)));
    line("a SIM's move, stored → in every shard, ms", &edits.sim.enforced, Some(ENFORCED_MS));
    line("a rule's edit, the whole call, ms", &edits.rule.call, None);
    line("a SIM's move, the whole call, ms", &edits.sim.call, None);
    line("a SIM's label, the whole call: no policy; ms", &edits.label, None);
    let part = rows.compile_ms.median * PART;
    line(&format!("compile the whole ({} classes), ms", rows.classes), &rows.compile_ms, Some(COMPILE_MS));
    line("a rule's edit in the rows alone, ms", &rows.edit_ms, Some(part));
    line("a SIM's move in the rows alone, ms", &rows.move_ms, Some(part));
    line("what is known of a SIM → its word, µs", &rows.fact_us, None);
    line("a fact, said → its flow ended in its shard, µs", &rows.fact_enforced_us, Some(part * 1e3));
    line("a decision, ns", &rows.decide_ns, None);
    line("a walk of the rules, ns", &rows.walk_ns, None);
    let good = rows.faster >= FASTER;
    held &= good;
    println!(
        "{:<58} {:>10.0} {:>31} ≥ {FASTER}{}",
        "walk / decision",
        rows.faster,
        "",
        if good { "" } else { " !" }
    );
    for ((what, most), octets) in OCTETS.iter().zip(rows.octets) {
        let good = octets <= *most;
        held &= good;
        println!("octets of a {what:<46} {octets:>10} {:>31} ≤ {most}{}", "", if good { "" } else { " !" });
    }
    println!(
        "rules have {} different hours; of the walks {} let the flow through",
        rows.clocks, rows.allowed
    );
    println!("a SIM's octets: {} of the table of SIMs, and its share of all rows", rows.sim_entry);
    held
}

// ---- edits of a running instance

/// Milliseconds.
#[derive(serde::Serialize)]
struct Edits {
    /// What is read, compiled and published as a whole.
    whole: Edit,
    rule: Edit,
    sim: Edit,
    label: Spread,
}

#[derive(serde::Serialize)]
struct Edit {
    call: Spread,
    enforced: Spread,
}

impl Edit {
    fn of(times: Vec<(f64, f64)>) -> Self {
        let (call, enforced) = times.into_iter().unzip();
        Self { call: Spread::of(call), enforced: Spread::of(enforced) }
    }
}

async fn edits(demo: &Demo, size: Size, times: usize) -> Result<Edits> {
    let (mut of_rules, mut of_sims, mut of_labels) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_whole = Vec::new();
    for n in 0..times as u32 {
        // Rules all over the order, from one verdict to the other.
        let nth = n.wrapping_mul(7_919) % size.rules;
        let mut edited = serde_json::to_value(rule(nth)?)?;
        if let Some(r) = edited.as_object_mut() {
            r.insert("verdict".to_owned(), json!("deny"));
        }
        let call = timed(demo, "PUT", format!("rules/r{nth}"), edited).await?;
        of_rules.push((call, enforced(demo).await?));
        let imsi = imsi(n.wrapping_mul(104_729) % size.sims)?;
        let groups = json!({ "groups": set(n + 1)? });
        let call = timed(demo, "PATCH", format!("sims/{imsi}"), groups).await?;
        of_sims.push((call, enforced(demo).await?));
        of_labels.push(
            timed(demo, "PATCH", format!("sims/{imsi}"), json!({ "label": format!("moved {n}") })).await?,
        );
    }
    for n in 0..times.min(WHOLES) as u32 {
        let mut edited = serde_json::to_value(app(n)?)?;
        edited["label"] = json!(format!("edited {n}"));
        let call = timed(
            demo,
            "PUT",
            format!("apps/{}", edited["name"].as_str().unwrap_or_default()),
            edited.clone(),
        )
        .await?;
        of_whole.push((call, enforced(demo).await?));
    }
    let policy = demo.call(|api| api.get("policies").map(Into::into)).await?;
    ensure!(policy["generation"] == policy["enforced_generation"], "what is stored is not what is in force");
    Ok(Edits {
        whole: Edit::of(of_whole),
        rule: Edit::of(of_rules),
        sim: Edit::of(of_sims),
        label: Spread::of(of_labels),
    })
}

/// How long the last change of the policy took until every shard had it, milliseconds.
async fn enforced(demo: &Demo) -> Result<f64> {
    let text = demo.call(|api| Ok(Value::from(api.words("metrics", None)?.1).into())).await?;
    let line = text.as_str().into_iter().flat_map(str::lines);
    let mut seconds = line.filter_map(|l| l.strip_prefix("sekisho_policy_enforcement_seconds "));
    Ok(seconds.next().context("no word of how long it took")?.trim().parse::<f64>()? * 1000.0)
}

/// How long a call takes, milliseconds; the clock is read where the call is made.
async fn timed(demo: &Demo, method: &'static str, path: String, body: Value) -> Result<f64> {
    let answer = demo.call(move |api| {
        let start = Instant::now();
        match method {
            "PUT" => api.put(&path, &body, "*")?,
            _ => api.patch(&path, &body, "*")?,
        };
        Ok(json!(start.elapsed().as_secs_f64() * 1000.0).into())
    });
    answer.await?.as_f64().context("a time")
}

fn ms(what: impl FnOnce()) -> f64 {
    let start = Instant::now();
    what();
    start.elapsed().as_secs_f64() * 1e3
}

// ---- the company

/// By the store, while nobody else has it; the source is what is in force then.
async fn seed(demo: &Demo, size: Size) -> Result<Policy> {
    demo.put_policy().await?;
    demo.done(SiteAsk::Stop).await?;
    let (store, mut vault) = boot::open(&demo.config()?).await?;
    let by = Change::by_system("bench", time::utc());
    let (store, by) = (&store, &by);
    at_once(
        (0..GROUPS)
            .map(|n| async move { store.create(group(n)?, None, by).await.map(drop).map_err(Into::into) }),
    )
    .await?;
    at_once(
        (0..APPS).map(|n| async move { store.create(app(n)?, None, by).await.map(drop).map_err(Into::into) }),
    )
    .await?;
    at_once(
        (0..size.rules)
            .map(|n| async move { store.create(rule(n)?, None, by).await.map(drop).map_err(Into::into) }),
    )
    .await?;
    write_sims(store, &mut vault, size).await?;
    let source = crate::control::policy_of(store.policy_source().await?);
    store.close().await;
    demo.start().await?;
    demo.wait_until_ready_within(LOADED).await?;
    Ok(source)
}

async fn at_once<F: Future<Output = Result<()>>>(all: impl Iterator<Item = F>) -> Result<()> {
    stream::iter(all).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

async fn write_sims(store: &Store, vault: &mut hss::Vault, size: Size) -> Result<()> {
    let row = |n| {
        let imsi = imsi(n)?;
        let mut row: SimRow = store::lab::sim(imsi);
        let (k, opc) = (K::new(gateway::sys::random()?), Opc::new(gateway::sys::random()?));
        row.sealed = Some(vault.seal(imsi, &k, &opc).as_bytes().to_vec());
        row.groups = set(n)?.into_iter().collect();
        row.dnns = vec!["corp".parse()?];
        anyhow::Ok(row)
    };
    let all = (0..size.sims).map(row).collect::<Result<Vec<_>>>()?;
    for some in all.chunks(TOGETHER) {
        store.bare_inserts(some.to_vec(), time::utc()).await?;
    }
    Ok(())
}
