//! `sekisho bench ban`: SIMs are banned one by one while all of them send, and go on sending.
//!
//! What counts is packets after the answer: 0, as the receiver saw it (it is asked well after, so that what the
//! kernel still held has arrived), and as the gateway's own receipt says it. How long cut and answer take is shown
//! beside two things that this machine does at best: waking an idle thread, and syncing a small write to the disk. The
//! idle thread waits as a shard's does and runs where a shard's may. Both are done before each ban, under the same traffic. Between
//! two bans is a pause in which the UE of the first is told; with `--pause-ms 0` they come one upon the other.

use super::at as quantile;
use crate::{
    demo::{
        Options, namespace,
        ran::{RanAnswer, RanAsk},
        site::{INTRANET, SiteAsk},
        story::{Demo, at},
        words::Teller,
    },
    lang::Lang,
};
use anyhow::{Context, Result, bail, ensure};
use gateway::{
    ring::{Bell as _, Os, Ring, Waker},
    time,
};
use indicatif::{ProgressBar, ProgressStyle};
use lab::site::{Ask, Outcome, Source};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write,
    net::{Ipv4Addr, SocketAddrV4},
    path::Path,
    process::ExitCode,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// Packets a second, all sessions together.
const RATE: u32 = 20_000;
/// Where the datagrams go.
const PORT: u16 = 9000;

/// Times in microseconds.
#[derive(serde::Serialize)]
struct Times {
    p50_us: f64,
    p99_us: f64,
}

impl Times {
    fn of(mut us: Vec<f64>) -> Self {
        us.sort_by(f64::total_cmp);
        Self { p50_us: quantile(&us, 0.5), p99_us: quantile(&us, 0.99) }
    }
}

/// What is the matter while the bans come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum While {
    /// Nothing.
    Quiet,
    /// The UE hears nothing: no release, no deregistration.
    Deaf,
    /// Each SIM has two sessions.
    Several,
    /// The database can be neither read nor written.
    StoreDown,
    /// No file can grow.
    DiskFull,
    /// All of these, one after the other.
    All,
}

impl While {
    fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Deaf => "deaf",
            Self::Several => "several",
            Self::StoreDown => "store-down",
            Self::DiskFull => "disk-full",
            Self::All => "all",
        }
    }

    /// What the disk does, in the words of `faulty-disk`.
    fn fault(self) -> Option<&'static str> {
        match self {
            Self::StoreDown => Some("gone@0+ sekisho.db"),
            Self::DiskFull => Some("enospc@0+"),
            Self::Quiet | Self::Deaf | Self::Several | Self::All => None,
        }
    }

    /// These, without repetition, the harmless ones first.
    fn each(list: &[Self]) -> Vec<Self> {
        let five = [Self::Quiet, Self::Deaf, Self::Several, Self::StoreDown, Self::DiskFull];
        five.into_iter().filter(|w| list.contains(w) || list.contains(&Self::All)).collect()
    }
}

/// A SIM with its addresses.
struct Victim {
    imsi: String,
    ips: Vec<Ipv4Addr>,
    state: &'static str,
}

/// What was seen in one circumstance.
#[derive(serde::Serialize)]
struct Seen {
    #[serde(rename = "while")]
    circumstance: &'static str,
    bans: usize,
    /// Bans that were not answered with a receipt.
    refused: u64,
    /// SIMs of which a packet arrived that was sent after the answer.
    packets_after_answer: u64,
    /// SIMs whose last packet came to the receiver after the answer.
    arrived_after_answer: u64,
    /// Receipts that name a packet that passed after the cut.
    late_by_receipt: u64,
    cut: Times,
    /// An idle thread, woken before each ban.
    wake: Times,
    /// Cut beside wake-up, at the medians; 3 is the floor, said and left to the reader, because machines are noisy.
    cut_to_wake: f64,
    answer: Times,
    /// 256 octets until they are on the disk, before each ban.
    sync: Times,
    /// Answer of at most 3 flushes and 5 ms at the median: said, and left to the reader, because machines are noisy.
    within_bound: bool,
    /// The first refusal, in the API's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

impl Seen {
    fn held(&self) -> bool {
        self.refused + self.packets_after_answer + self.arrived_after_answer + self.late_by_receipt == 0
    }
}

/// Bans `bans` SIMs under traffic in each circumstance, among `sessions` live sessions; prints a table, and with
/// `json` one object as the last line.
pub fn run(
    bans: u32,
    sessions: Option<u32>,
    list: &[While],
    pause: Duration,
    json: bool,
    lang: Lang,
) -> Result<ExitCode> {
    ensure!((1..=20_000).contains(&bans), "between 1 and 20000 bans");
    namespace::check()?;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(measure(bans, sessions, &While::each(list), pause, json, lang))
}

async fn measure(
    bans: u32,
    sessions: Option<u32>,
    list: &[While],
    pause: Duration,
    json: bool,
    lang: Lang,
) -> Result<ExitCode> {
    let own = tempfile::Builder::new().prefix("sekisho-bench-").tempdir()?;
    let fault = own.path().join("fault");
    let mut options = Options::of_a_bench(lang);
    if list.iter().any(|w| w.fault().is_some()) {
        options.env = super::disk::environment(&fault)?;
    }
    let demo = Arc::new(Demo::set_up(&options, Teller::new(lang, true)).await?);
    demo.put_policy().await?;
    demo.connect_gnb().await?;
    demo.done(SiteAsk::Host { name: "corp".to_owned(), ask: Ask::CountUdp { at: at(INTRANET, PORT) } })
        .await?;
    let all = sessions.unwrap_or(0).max(bans * list.len() as u32);
    let began = Instant::now();
    let mut victims = attach_all(&demo, all, bans, list, lang).await?;
    let attached_s = began.elapsed().as_secs_f64();
    let live: usize = victims.iter().map(|v| v.ips.len()).sum();
    demo.ran(RanAsk::Flood { to: SocketAddrV4::new(INTRANET, PORT), per_second: RATE }).await?;
    wait_for_traffic(&demo, &victims).await?;
    let mut seen = Vec::new();
    for w in list {
        let rest = victims.split_off(bans as usize);
        if *w == While::Deaf {
            for v in &victims {
                demo.ran(RanAsk::Deaf { ue: v.imsi.clone() }).await?;
            }
        }
        if let Some(words) = w.fault() {
            std::fs::write(&fault, words)?;
        }
        seen.push(ban_all(&demo, *w, &victims, pause, lang).await?);
        drop(std::fs::remove_file(&fault));
        victims = rest;
    }
    println!("{live} live sessions (attached in {attached_s:.0} s), {RATE} packets/s, {} bans each", bans);
    println!(
        "{:<12} {:>9} {:>9} {:>9} {:>9} {:>8} {:>9} {:>10} {:>10} {:>10} {:>7} {:>8} {:>5} {:>8}",
        "while",
        "cut p50",
        "cut p99",
        "wake p50",
        "wake p99",
        "cut/wake",
        "sync p50",
        "answer p50",
        "3 sync+5ms",
        "answer p99",
        "after",
        "arrived",
        "late",
        "refused"
    );
    for s in &seen {
        println!(
            "{:<12} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>8.1} {:>9.0} {:>10.0} {:>10.0} {:>10.0} {:>7} {:>8} {:>5} {:>8}",
            s.circumstance,
            s.cut.p50_us,
            s.cut.p99_us,
            s.wake.p50_us,
            s.wake.p99_us,
            s.cut_to_wake,
            s.sync.p50_us,
            s.answer.p50_us,
            bound_us(&s.sync),
            s.answer.p99_us,
            s.packets_after_answer,
            s.arrived_after_answer,
            s.late_by_receipt,
            s.refused
        );
        s.words.iter().for_each(|w| println!("    {w}"));
    }
    println!(
        "times in µs; before each ban an idle thread is woken (wake), and 256 octets go to the disk (sync)"
    );
    let held = seen.iter().all(Seen::held);
    if json {
        let after: u64 = seen.iter().map(|s| s.packets_after_answer + s.arrived_after_answer).sum();
        let o = json!({
            "sessions": live, "bans": bans, "packets_after_answer": after, "circumstances": seen,
            "pause_ms": pause.as_millis() as u64, "held": held,
        });
        println!("{o}");
    }
    if !held {
        demo.print_log();
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Provisions and attaches all SIMs, several at a time. The first of them are those who are banned.
async fn attach_all(
    demo: &Arc<Demo>,
    all: u32,
    bans: u32,
    list: &[While],
    lang: Lang,
) -> Result<Vec<Victim>> {
    const AT_A_TIME: u32 = 8;
    let bar = progress(all, lang.of("attaching", "接続中"))?;
    let mut tasks = Vec::new();
    for first in 0..AT_A_TIME {
        let (demo, bar, list) = (demo.clone(), bar.clone(), list.to_vec());
        tasks.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            for n in (first..all).step_by(AT_A_TIME as usize) {
                let several = list.get((n / bans) as usize) == Some(&While::Several);
                mine.push((n, attach(&demo, n, several).await?));
                bar.inc(1);
            }
            anyhow::Ok(mine)
        }));
    }
    let mut victims = Vec::new();
    for t in tasks {
        victims.extend(t.await??);
    }
    bar.finish_and_clear();
    victims.sort_by_key(|v| v.0);
    Ok(victims.into_iter().map(|v| v.1).collect())
}

async fn wait_for_traffic(demo: &Demo, victims: &[Victim]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let sources = sources(demo).await?;
        let silent = victims.iter().flat_map(|v| &v.ips).find(|ip| !sources.contains_key(ip));
        let Some(silent) = silent else { return Ok(()) };
        ensure!(Instant::now() < deadline, "no packet of {silent} arrives");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn ban_all(demo: &Demo, w: While, victims: &[Victim], pause: Duration, lang: Lang) -> Result<Seen> {
    let (mut answer, mut cut, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    let (mut late_by_receipt, mut refused, mut words) = (0u64, 0u64, None);
    let bar = progress(victims.len() as u32, lang.of("banning", "停止中"))?;
    let (idle, mut wake) = (Idle::start()?, Vec::new());
    let (mut disk, mut sync) = (Disk::open(demo.dir())?, Vec::new());
    for v in victims {
        tokio::time::sleep(pause).await;
        wake.push(idle.wake().await?);
        sync.push(disk.sync()?);
        let (path, body) = (format!("sims/{}/ban", v.imsi), json!({ "state": v.state, "reason": "bench" }));
        match timed(demo, path, body).await {
            Ok((receipt, us, ns)) => {
                answer.push(us);
                answered.push((v, ns));
                let us = receipt.pointer("/cut/us").and_then(Value::as_f64);
                cut.push(us.context("a receipt without the time of its cut")?);
                late_by_receipt += u64::from(is_late(&receipt));
            }
            Err(e) => {
                refused += 1;
                words.get_or_insert_with(|| format!("{e:#}"));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    // The radio goes on sending for all of them: whatever could still arrive does so in this second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sources = sources(demo).await?;
    let (mut packets_after_answer, mut arrived_after_answer) = (0, 0);
    for (v, ns) in &answered {
        let of = || v.ips.iter().filter_map(|ip| sources.get(ip));
        packets_after_answer += u64::from(of().any(|s| s.sent_ns > *ns));
        arrived_after_answer += u64::from(of().any(|s| s.last_ns > *ns));
    }
    let (answer, cut, wake, sync) = (Times::of(answer), Times::of(cut), Times::of(wake), Times::of(sync));
    let within_bound = answer.p50_us <= bound_us(&sync);
    Ok(Seen {
        circumstance: w.name(),
        bans: victims.len(),
        refused,
        packets_after_answer,
        arrived_after_answer,
        late_by_receipt,
        cut_to_wake: cut.p50_us / wake.p50_us.max(1e-3),
        cut,
        wake,
        answer,
        sync,
        within_bound,
        words,
    })
}

/// What an answer may take at the median.
fn bound_us(sync: &Times) -> f64 {
    3.0 * sync.p50_us + 5_000.0
}

/// Provisions and attaches SIM number `n`; with a second session in another data network if asked.
async fn attach(demo: &Demo, n: u32, several: bool) -> Result<Victim> {
    let imsi = format!("00101{:010}", u64::from(n) + 1000);
    let (k, opc) = (types::hex(&gateway::sys::random::<16>()?), types::hex(&gateway::sys::random::<16>()?));
    let dnns = if several { vec!["corp", "factory"] } else { vec!["corp"] };
    let body =
        json!({ "imsi": imsi, "k": k, "opc": opc, "dnns": dnns, "groups": ["office"], "state": "ready" });
    demo.call(move |api| api.post("sims", &body).map(Into::into)).await?;
    demo.ran(RanAsk::Ue { name: imsi.clone(), imsi: imsi.parse()?, k, opc, dnn: "corp".parse()? }).await?;
    let mut asks = vec![RanAsk::AttachBare { ue: imsi.clone() }];
    if several {
        asks.push(RanAsk::MoreBare { ue: imsi.clone(), id: 2, dnn: "factory".parse()? });
    }
    let mut ips = Vec::new();
    for ask in asks {
        match demo.radio(ask).await? {
            RanAnswer::Attached { ip, .. } => ips.push(ip),
            other => bail!("{imsi} did not attach: {other:?}"),
        }
    }
    let state = if n.is_multiple_of(2) { "lost" } else { "stolen" };
    Ok(Victim { imsi, ips, state })
}

/// POSTs, and takes the time where it is spent: in the thread that makes the call.
async fn timed(demo: &Demo, path: String, body: Value) -> Result<(Value, f64, u64)> {
    let (tx, rx) = mpsc::channel();
    let receipt = demo
        .call(move |api| {
            let start = Instant::now();
            let good = api.post(&path, &body)?;
            _ = tx.send((start.elapsed().as_secs_f64() * 1e6, time::mono().0));
            Ok(good.into())
        })
        .await?;
    let (us, ns) = rx.recv()?;
    Ok((receipt, us, ns))
}

/// What the receiver counted, by source.
async fn sources(demo: &Demo) -> Result<HashMap<Ipv4Addr, Source>> {
    match demo.host("corp", Ask::Sources).await? {
        Outcome::Sources(list) => Ok(list
            .into_iter()
            .filter_map(|s| match s.source {
                std::net::IpAddr::V4(ip) => Some((ip, s)),
                std::net::IpAddr::V6(_) => None,
            })
            .collect()),
        other => bail!("unexpected outcome {other:?}"),
    }
}

/// True where the gateway's own receipt names a packet that passed after the cut.
fn is_late(receipt: &Value) -> bool {
    let time =
        |k: &str| receipt.pointer(k).and_then(Value::as_str).and_then(|t| t.parse::<jiff::Timestamp>().ok());
    matches!((time("/last_packet"), time("/cut/at")), (Some(last), Some(cut)) if last > cut)
}

/// A thread that waits for its bell as a shard does, and nothing else.
struct Idle {
    ring: Ring<Instant>,
    woken: mpsc::Receiver<f64>,
}

impl Idle {
    fn start() -> Result<Self> {
        let waker = Waker::<Os>::new()?;
        let ring = Ring::new(1, &waker);
        let (inbox, (back, woken)) = (ring.clone(), mpsc::channel());
        std::thread::Builder::new().name("idle".to_owned()).spawn(move || {
            loop {
                while let Some(sent) = inbox.pop() {
                    let sent: Instant = sent;
                    if back.send(sent.elapsed().as_secs_f64() * 1e6).is_err() {
                        return;
                    }
                }
                waker.sleep(|| !inbox.is_empty(), |bell| bell.wait(Duration::from_millis(50)));
            }
        })?;
        Ok(Self { ring, woken })
    }

    /// How long it takes to run, microseconds.
    async fn wake(&self) -> Result<f64> {
        // Long enough for it to have gone to sleep.
        tokio::time::sleep(Duration::from_millis(1)).await;
        ensure!(self.ring.push(Instant::now()).is_ok(), "the idle thread does not answer");
        Ok(self.woken.recv_timeout(Duration::from_secs(5))?)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        // It finds nobody who would hear it, and ends.
        self.woken = mpsc::channel().1;
        let _ = self.ring.push(Instant::now());
    }
}

/// A file on the disk that the bans go to.
struct Disk(File);

impl Disk {
    fn open(dir: &Path) -> Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(dir.join("fsync.bench"))?))
    }

    /// How long a small appended write takes to be durable, microseconds.
    fn sync(&mut self) -> Result<f64> {
        let start = Instant::now();
        self.0.write_all(&[0; 256])?;
        self.0.sync_data()?;
        Ok(start.elapsed().as_secs_f64() * 1e6)
    }
}

fn progress(n: u32, what: &'static str) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")?;
    Ok(ProgressBar::new(u64::from(n)).with_style(style).with_message(what))
}
