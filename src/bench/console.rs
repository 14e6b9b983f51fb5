//! `sekisho bench console`: what the console asks for first (a page of SIMs, a filter, a search by anything), over the API of a
//! real instance with many SIMs, and beside it the same questions as bare SQL on the same database in the same run.

use super::at;
use crate::{
    client::encoded,
    control::boot,
    demo::{Options, namespace, site::SiteAsk, story::Demo, words::Teller},
    lang::Lang,
};
use anyhow::{Context, Result, ensure};
use gateway::time;
use serde_json::{Value, json};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use store::{
    SimRow,
    lab::{Bare, Question},
};
use types::{Iccid, Imsi, K, Opc};

/// How often each question is asked of both, in turns.
const TIMES: usize = 11;
/// How much longer than bare SQL the API should take, each at its quietest. That is told and fails nobody: the API's way goes
/// through three processes, so what a busy machine measures says more of the others than of it. What fails is an answer
/// with other SIMs in it.
const MOST: f64 = 5.0;
/// People, each with a device; every so many SIMs one is theirs.
const PEOPLE: u32 = 200;
/// How long Sekisho may take to read all of them in.
const LOADED: Duration = Duration::from_secs(90);
/// SIMs that are written in one transaction.
const BATCH: usize = 10_000;

/// A question, as people say it, and as API and SQL are asked it.
struct Asked {
    name: &'static str,
    path: String,
    bare: Question<'static>,
}

/// Measures, prints a table, and with `json` one object as the last line.
pub fn run(sims: u32, json: bool, lang: Lang) -> Result<ExitCode> {
    namespace::check()?;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(async {
        let demo = Demo::set_up(&Options::of_a_bench(lang), Teller::new(lang, true)).await?;
        let done = measure(&demo, sims, json).await;
        if done.is_err() {
            demo.print_log();
        }
        done
    })
}

async fn measure(demo: &Demo, sims: u32, json: bool) -> Result<ExitCode> {
    let began = Instant::now();
    seed(demo, sims).await?;
    let seeded_s = began.elapsed().as_secs_f64();
    println!("{sims} SIMs seeded and in memory after {seeded_s:.1} s");
    println!("{:<44} {:>10} {:>10} {:>7} {:>9}", "", "API, ms", "SQL, ms", "ratio", "quietest");
    let mut bare = Bare::open(&demo.config()?.paths.data.join("sekisho.db")).await?;
    let (mut all, mut within) = (Vec::new(), true);
    for q in questions() {
        let (mut of_api, mut of_sql) = (Vec::new(), Vec::new());
        for n in 0..TIMES {
            let path = q.path.clone();
            // The clock is read where the call is made: a thread's start is not part of the answer.
            let answer = demo.call(move |api| {
                let start = Instant::now();
                let body = api.get(&path)?.body;
                let ms = start.elapsed().as_secs_f64() * 1000.0;
                Ok(json!({ "ms": ms, "items": body["items"] }).into())
            });
            let answer = answer.await.with_context(|| q.path.clone())?;
            of_api.push(answer["ms"].as_f64().context("a time")?);
            let start = Instant::now();
            let found = bare.ask(q.bare).await?;
            of_sql.push(start.elapsed().as_secs_f64() * 1000.0);
            if n == 0 {
                same(q.name, &answer["items"], &found)?;
            }
        }
        of_api.sort_by(f64::total_cmp);
        of_sql.sort_by(f64::total_cmp);
        let (api, sql) = (at(&of_api, 0.5), at(&of_sql, 0.5));
        let (ratio, least) = (api / sql.max(1e-6), at(&of_api, 0.0) / at(&of_sql, 0.0).max(1e-6));
        within &= least <= MOST;
        println!("{:<44} {api:>10.2} {sql:>10.2} {ratio:>7.2} {least:>9.2}", q.name);
        all.push(json!({
            "question": q.name, "api_ms": api, "api_p95_ms": at(&of_api, 0.95), "sql_ms": sql, "ratio": ratio,
            "least_ratio": least,
        }));
    }
    if json {
        println!(
            "{}",
            json!({ "sims": sims, "seeded_s": seeded_s, "questions": all, "most": MOST, "within": within, "held": true })
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn questions() -> Vec<Asked> {
    let text = |t: &'static str| (format!("sims?limit=100&q={}", encoded(t)), Question::Text(t, 101));
    let search = |t: &'static str| (format!("search?limit=20&q={}", encoded(t)), Question::Anything(t, 20));
    let asked = |name, (path, bare)| Asked { name, path, bare };
    vec![
        asked("first page of SIMs", ("sims?limit=100".to_owned(), Question::First(101))),
        asked(
            "first page by label, backwards",
            ("sims?limit=100&sort=-label".to_owned(), Question::ByLabel(101)),
        ),
        asked(
            "first page by the newest change",
            ("sims?limit=100&sort=-changed".to_owned(), Question::ByChange(101)),
        ),
        asked("first page of those whose label says so", text("floor 7")),
        asked("a page of those with a rare label", text("Laptop 4242,")),
        asked("search by a label", search("Laptop 4242,")),
        asked("search by a person's name", search("Tanaka 42,")),
        asked("search by a part of an IMSI", search("0000004242")),
        asked("search for what is not there", search("no such thing")),
    ]
}

/// Both have found the same SIMs, or the figures mean nothing. SQL was asked for one more where the API says "more".
fn same(name: &str, items: &Value, found: &[String]) -> Result<()> {
    let items: Vec<&str> =
        items.as_array().into_iter().flatten().filter_map(|i| i["imsi"].as_str()).collect();
    let found: Vec<&str> = found.iter().take(items.len()).map(String::as_str).collect();
    ensure!(items == found, "{name}: the API found {items:?}, SQL {found:?}");
    Ok(())
}

/// People and devices by the API; SIMs by the store, while nobody else has it.
async fn seed(demo: &Demo, sims: u32) -> Result<()> {
    demo.put_policy().await?;
    demo.call(|api| {
        for n in 0..PEOPLE {
            let name = format!("Tanaka {n}, Hanako");
            api.post(
                "people",
                &json!({ "id": format!("p{n}"), "name": name, "employee": format!("E-{n}") }),
            )?;
            let device =
                json!({ "id": format!("pc-{n}"), "kind": "laptop", "label": name, "owner": format!("p{n}") });
            api.post("devices", &device)?;
        }
        Ok(Value::Null.into())
    })
    .await?;
    demo.done(SiteAsk::Stop).await?;
    let (store, mut vault) = boot::open(&demo.config()?).await?;
    let rows = (0..sims).map(|n| row(n, &mut vault)).collect::<Result<Vec<SimRow>>>()?;
    for batch in rows.chunks(BATCH) {
        store.bare_inserts(batch.to_vec(), time::utc()).await?;
    }
    store.close().await;
    demo.start().await?;
    demo.wait_until_ready_within(LOADED).await
}

fn row(n: u32, vault: &mut hss::Vault) -> Result<SimRow> {
    let imsi: Imsi = format!("00101{n:010}").parse()?;
    let iccid: Iccid = format!("8981{n:014}").parse()?;
    let mut row = store::lab::sim(imsi);
    let (k, opc) = (K::new(gateway::sys::random()?), Opc::new(gateway::sys::random()?));
    row.sealed = Some(vault.seal(imsi, &k, &opc).as_bytes().to_vec());
    row.fingerprint = Some(vault.fingerprint(&k).0.to_vec());
    row.iccid = Some(iccid);
    row.label = format!("Laptop {n}, floor {}", n % 9);
    row.groups = [if n.is_multiple_of(4) { "factory" } else { "office" }.parse()?].into();
    row.dnns = vec!["corp".parse()?];
    if n.is_multiple_of(100) {
        let whose = n / 100 % PEOPLE;
        row.links.person = Some(format!("p{whose}").parse()?);
        row.links.device = Some(format!("pc-{whose}").parse()?);
    }
    Ok(row)
}
