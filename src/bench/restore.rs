//! `sekisho bench restore`: a node is backed up, bans one SIM more, is lost, and comes back; by the command line's own
//! verbs, with real processes and a radio.
//!
//! Without the journal of the lost machine every SIM waits (#22), until an owner has confirmed how many are banned. With that journal nobody waits, and the ban that the backup does not know is there.

use crate::{
    demo::{
        Options, namespace,
        ran::{RanAnswer, RanAsk},
        site::SiteAsk,
        story::Demo,
        words::Teller,
    },
    lang::Lang,
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, ExitCode, Output},
    time::{Duration, Instant},
};

/// Never banned.
const FREE: &str = "001010000000701";
/// Banned before the backup.
const BEFORE: &str = "001010000000702";
/// Banned behind it.
const BEHIND: &str = "001010000000703";

/// Tells it, and with `json` prints one object as the last line.
pub fn run(json: bool, lang: Lang) -> Result<ExitCode> {
    namespace::check()?;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(async {
        let began = Instant::now();
        let demo = Demo::set_up(&Options::of_a_bench(lang), Teller::new(lang, true)).await?;
        let told = tell(&demo).await;
        let found = told.as_ref().err().map(|e| format!("{e:#}"));
        if let Some(found) = &found {
            demo.print_log();
            println!("FOUND: {found}");
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("backed up, lost and restored twice in {seconds:.0} s");
        if json {
            println!("{}", json!({ "seconds": seconds, "found": found, "held": found.is_none() }));
        }
        Ok(if found.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

async fn tell(demo: &Demo) -> Result<()> {
    demo.put_policy().await?;
    demo.connect_gnb().await?;
    for imsi in [FREE, BEFORE, BEHIND] {
        provision(demo, imsi).await?;
    }
    let address = served(demo, FREE).await?;
    served(demo, BEHIND).await?;
    ban(demo, BEFORE)?;

    let data = demo.config()?.paths.data;
    let (key, file) = (demo.dir().join("recovery.key"), data.join("backups/first"));
    let said = good(demo, &["--config", &path(&demo.config_file()), "backup", "key"])?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    let text = text.lines().map(str::trim).find(|l| l.matches('-').count() == 14);
    fs::write(&key, text.context("no recovery key was shown")?)?;
    good(demo, &["backup", "make", "first"])?;
    ban(demo, BEHIND)?;
    demo.done(SiteAsk::Kill { part: "all".to_owned() }).await?;

    let (key, file) = (path(&key), path(&file));
    let (alone, whole) = (demo.dir().join("alone"), demo.dir().join("whole"));
    good(demo, &["backup", "drill", &file, "--recovery-key", &key])?;
    let into = path(&alone);
    let restore = ["restore", "run", &file, "--recovery-key", &key, "--into"];
    good(demo, &[restore.as_slice(), &[&into]].concat())?;
    let again = cli(demo, &[restore.as_slice(), &[&into]].concat())?;
    ensure!(again.status.code() == Some(1), "a directory that is in use was restored into: {again:?}");
    let (into, journal) = (path(&whole), path(&data.join("revocations.journal")));
    good(demo, &[restore.as_slice(), &[&into, "--journal", &journal]].concat())?;

    without_the_journal(demo, &data, &alone, address).await.context("without the journal")?;
    demo.done(SiteAsk::Kill { part: "all".to_owned() }).await?;
    with_the_journal(demo, &alone, &whole, address).await.context("with the journal")
}

async fn without_the_journal(demo: &Demo, from: &Path, data: &Path, address: Ipv4Addr) -> Result<()> {
    start_in(demo, from, data).await?;
    let hold = until_answered(demo).await?;
    ensure!(hold["held"] == true && hold["banned"] == 1, "not held: {hold}");
    for (imsi, cause) in [(FREE, 22), (BEFORE, 3), (BEHIND, 22)] {
        let answer = attach(demo, imsi).await?;
        let as_expected = matches!(answer, RanAnswer::Refused { cause: c, .. } if c == cause);
        ensure!(as_expected, "{imsi} was to be refused with #{cause}: {answer:?}");
    }
    let confirm =
        |n: &'static str| ["restore", "confirm", "--banned", n, "--reason", "compared with the list"];
    let wrong = cli(demo, &confirm("2"))?;
    ensure!(wrong.status.code() == Some(3), "a list that is not this one was confirmed: {wrong:?}");
    ensure!(matches!(attach(demo, FREE).await?, RanAnswer::Refused { cause: 22, .. }), "it no longer waits");
    // What the backup does not know is banned again by the list, and then the list is right.
    ban(demo, BEHIND)?;
    good(demo, &confirm("2"))?;
    demo.wait_until_ready().await?;
    as_it_should_be(demo, address).await
}

async fn with_the_journal(demo: &Demo, from: &Path, data: &Path, address: Ipv4Addr) -> Result<()> {
    start_in(demo, from, data).await?;
    let hold = until_answered(demo).await?;
    ensure!(hold["held"] == false && hold["banned"] == 2, "held, or a ban is missing: {hold}");
    demo.wait_until_ready().await?;
    as_it_should_be(demo, address).await
}

async fn as_it_should_be(demo: &Demo, address: Ipv4Addr) -> Result<()> {
    let now = served(demo, FREE).await?;
    ensure!(now == address, "{FREE} had {address} and got {now}");
    for imsi in [BEFORE, BEHIND] {
        let answer = attach(demo, imsi).await?;
        ensure!(matches!(answer, RanAnswer::Refused { cause: 3, .. }), "{imsi} is banned: {answer:?}");
    }
    Ok(())
}

/// Starts Sekisho with another data directory than before.
async fn start_in(demo: &Demo, from: &Path, data: &Path) -> Result<()> {
    let file = demo.config_file();
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace(&format!("\"{}\"", path(from)), &format!("\"{}\"", path(data))))?;
    ensure!(demo.config()?.paths.data == data, "the configuration names another data directory");
    demo.start().await
}

/// Whether every SIM is held, once the API answers; then the radio connects again.
async fn until_answered(demo: &Demo) -> Result<Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match demo.call(|api| api.get("system/hold").map(Into::into)).await {
            Ok(hold) => {
                demo.ran(RanAsk::Reconnect).await?;
                return Ok(hold);
            }
            Err(e) if Instant::now() > deadline => return Err(e.context("no answer after 20 s")),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn provision(demo: &Demo, imsi: &str) -> Result<()> {
    let (k, opc) = (types::hex(&gateway::sys::random::<16>()?), types::hex(&gateway::sys::random::<16>()?));
    let body = json!({
        "imsi": imsi, "k": k, "opc": opc, "dnns": ["corp"], "groups": ["office"], "state": "ready",
    });
    demo.call(move |api| api.post("sims", &body).map(Into::into)).await?;
    demo.ran(RanAsk::Ue { name: imsi.to_owned(), imsi: imsi.parse()?, k, opc, dnn: "corp".parse()? }).await
}

async fn attach(demo: &Demo, imsi: &str) -> Result<RanAnswer> {
    demo.ran(RanAsk::PowerCycle { ue: imsi.to_owned() }).await?;
    demo.radio(RanAsk::TryBare { ue: imsi.to_owned(), within_ms: 5_000 }).await
}

async fn served(demo: &Demo, imsi: &str) -> Result<Ipv4Addr> {
    match attach(demo, imsi).await? {
        RanAnswer::Attached { ip, .. } => Ok(ip),
        other => bail!("{imsi} is not served: {other:?}"),
    }
}

fn ban(demo: &Demo, imsi: &str) -> Result<()> {
    good(demo, &["ban", imsi, "--reason", "restore"]).map(drop)
}

/// The command line, as somebody at the machine uses it.
fn cli(demo: &Demo, words: &[&str]) -> Result<Output> {
    let mut c = Command::new(std::env::current_exe()?);
    Ok(c.args(words).args(["--lang", "en"]).envs(demo.remote()).output()?)
}

fn good(demo: &Demo, words: &[&str]) -> Result<Output> {
    let said = cli(demo, words)?;
    if said.status.success() {
        return Ok(said);
    }
    bail!("sekisho {}: {} {}", words.join(" "), said.status, String::from_utf8_lossy(&said.stderr))
}

fn path(p: &Path) -> String {
    p.display().to_string()
}
