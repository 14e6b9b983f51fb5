//! `sekisho bench ban`: SIMs are banned one by one while all of them send, and go on sending.
//!
//! What counts is packets after the answer: 0, as the receiver saw it (it is asked well after, so that what the
//! kernel still held has arrived), and as the gateway's own receipt says it. How long cut and answer take is shown
//! beside two things that this machine does at best: waking an idle thread, and syncing a small write to the disk.

use super::at as quantile;
use crate::{
    demo::{
        Options, namespace,
        ran::{RanAnswer, RanAsk},
        site::{INTRANET, SiteAsk},
        story::{Demo, at},
        words::Teller,
    },
    keys,
    lang::Lang,
    time,
};
use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use lab::site::{Ask, Outcome};
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::Write,
    net::{Ipv4Addr, SocketAddrV4},
    path::Path,
    process::ExitCode,
    sync::mpsc,
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

/// Bans `bans` SIMs under traffic, prints a table, and with `json` one object as the last line.
pub fn run(bans: u32, json: bool, lang: Lang) -> Result<ExitCode> {
    ensure!((1..=20_000).contains(&bans), "between 1 and 20000 bans");
    namespace::check()?;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(measure(bans, json, lang))
}

async fn measure(bans: u32, json: bool, lang: Lang) -> Result<ExitCode> {
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let options = Options {
        once: true,
        json: true,
        listen,
        lang,
        kills: false,
        clear_nas: false,
        kernel_sctp: false,
        capture: None,
    };
    let demo = Demo::set_up(&options, Teller::new(lang, true)).await?;
    demo.put_policy().await?;
    demo.connect_gnb().await?;
    demo.done(SiteAsk::Host { name: "corp".to_owned(), ask: Ask::CountUdp { at: at(INTRANET, PORT) } })
        .await?;
    let bar = progress(bans, lang.of("attaching", "接続中"))?;
    let mut ues = Vec::new();
    for n in 0..bans {
        ues.push(attach(&demo, n).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    demo.ran(RanAsk::Flood { to: SocketAddrV4::new(INTRANET, PORT), per_second: RATE }).await?;
    for (imsi, ip) in &ues {
        let deadline = Instant::now() + Duration::from_secs(20);
        while seen(&demo, *ip, 0).await?.0 == 0 {
            ensure!(Instant::now() < deadline, "no packet of {imsi} arrives");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let (mut answer, mut cut, mut answered_at) = (Vec::new(), Vec::new(), Vec::new());
    let mut late_by_receipt = 0u64;
    let bar = progress(bans, lang.of("banning", "停止中"))?;
    for (imsi, _) in &ues {
        let (path, body) = (format!("sims/{imsi}/ban"), json!({ "state": "lost", "reason": "bench" }));
        let (receipt, us, ns) = timed(&demo, path, body).await?;
        answer.push(us);
        answered_at.push(ns);
        cut.push(
            receipt
                .pointer("/cut/us")
                .and_then(Value::as_f64)
                .context("a receipt without the time of its cut")?,
        );
        late_by_receipt += u64::from(is_late(&receipt));
        bar.inc(1);
    }
    bar.finish_and_clear();
    // The radio goes on sending for all of them: whatever could still arrive does so in this second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut after = 0;
    for ((_, ip), ns) in ues.iter().zip(&answered_at) {
        after += seen(&demo, *ip, *ns).await?.1;
    }
    let wake = Times::of(wake_ups(500));
    let sync = Times::of(syncs(demo.dir(), 200)?);
    let (answer, cut) = (Times::of(answer), Times::of(cut));
    println!("{:<44} {:>12} {:>12}", format!("{bans} bans under {RATE} packets/s"), "p50 µs", "p99 µs");
    for (name, t) in [
        ("cut confirmed by every shard", &cut),
        ("answer (cut, journal, database, HTTP)", &answer),
        ("waking an idle thread, this machine", &wake),
        ("syncing 256 octets to the disk, this machine", &sync),
    ] {
        println!("{name:<44} {:>12.0} {:>12.0}", t.p50_us, t.p99_us);
    }
    println!("{:<44} {:>12}", "SIMs with a packet after the answer (receiver)", after);
    println!("{:<44} {:>12}", "receipts whose last packet is after the cut", late_by_receipt);
    let held = after == 0 && late_by_receipt == 0;
    if json {
        let o = json!({
            "bans": bans, "packets_after_answer": after, "late_by_receipt": late_by_receipt,
            "cut": cut, "answer": answer, "wake_up": wake, "fsync": sync, "held": held,
        });
        println!("{o}");
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Provisions and attaches SIM number `n`.
async fn attach(demo: &Demo, n: u32) -> Result<(String, Ipv4Addr)> {
    let imsi = format!("00101{:010}", u64::from(n) + 1000);
    let name = format!("ue-{n}");
    let (k, opc) = (types::hex(&keys::random::<16>()?), types::hex(&keys::random::<16>()?));
    let body =
        json!({ "imsi": imsi, "k": k, "opc": opc, "dnns": ["corp"], "groups": ["office"], "state": "ready" });
    demo.call(move |api| api.post("sims", &body).map(Into::into)).await?;
    demo.ran(RanAsk::Ue { name: name.clone(), imsi: imsi.parse()?, k, opc, dnn: "corp".parse()? }).await?;
    match demo.radio(RanAsk::AttachBare { ue: name }).await? {
        RanAnswer::Attached { ip, .. } => Ok((imsi, ip)),
        other => bail!("{imsi} did not attach: {other:?}"),
    }
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

/// What the receiver counted from an address: all, and 1 where the last one came after `since_ns`.
async fn seen(demo: &Demo, ip: Ipv4Addr, since_ns: u64) -> Result<(u64, u64)> {
    match demo.host("corp", Ask::CountedFrom { source: ip.into(), since_ns }).await? {
        Outcome::Datagrams { all, after, .. } => Ok((all, after)),
        other => bail!("unexpected outcome {other:?}"),
    }
}

/// True where the gateway's own receipt names a packet that passed after the cut.
fn is_late(receipt: &Value) -> bool {
    let time =
        |k: &str| receipt.pointer(k).and_then(Value::as_str).and_then(|t| t.parse::<jiff::Timestamp>().ok());
    matches!((time("/last_packet"), time("/cut/at")), (Some(last), Some(cut)) if last > cut)
}

/// How long a thread that waits on a channel takes to run again.
fn wake_ups(times: usize) -> Vec<f64> {
    let (to, from) = mpsc::channel::<Instant>();
    let (back, woken) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        for sent in from {
            if back.send(sent.elapsed().as_secs_f64() * 1e6).is_err() {
                return;
            }
        }
    });
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        // Long enough for the waiter to have gone to sleep.
        std::thread::sleep(Duration::from_micros(500));
        if to.send(Instant::now()).is_err() {
            break;
        }
        all.extend(woken.recv());
    }
    drop(to);
    drop(waiter.join());
    all
}

/// How long a small appended write takes to be durable in `dir`.
fn syncs(dir: &Path, times: usize) -> Result<Vec<f64>> {
    let mut f = OpenOptions::new().create_new(true).append(true).open(dir.join("fsync.bench"))?;
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        f.write_all(&[0; 256])?;
        f.sync_data()?;
        all.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(all)
}

fn progress(n: u32, what: &'static str) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")?;
    Ok(ProgressBar::new(u64::from(n)).with_style(style).with_message(what))
}
