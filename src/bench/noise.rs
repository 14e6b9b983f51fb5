//! `sekisho bench noise`: octets at random at every socket of a running Sekisho, on a site with both real processes.
//!
//! N3 and N2 get them from the address of the admitted radio, N2 also as messages of its association; the gateway's own socket,
//! the API and the metrics from this machine. After each socket a UE that attached before reads a page of its app by a new connection. At the end a new UE attaches, no process
//! has been replaced, the log has no word of a defect, and it has grown by a few lines.

use crate::{
    client::Client,
    demo::{
        Options, namespace,
        ran::{RanAnswer, RanAsk},
        site::{CORE, INTRANET, SiteAsk},
        story::{Demo, at},
        words::Teller,
    },
    io::sctp::UDP_ENCAPSULATION_PORT,
    lang::Lang,
};
use anyhow::{Context, Result, ensure};
use gateway::GTPU_PORT;
use lab::site::{Ask, Outcome};
use serde_json::json;
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddrV4, TcpStream},
    os::unix::net::UnixStream,
    process::ExitCode,
    time::Duration,
};

/// Datagrams to each of N3 and N2.
const DATAGRAMS: u32 = 20_000;
/// Messages by the radio's association.
const MESSAGES: u32 = 2_000;
/// Connections to each of the others.
const CONNECTIONS: u32 = 200;
/// Lines by which the log may grow.
const LINES: usize = 100;
/// How long a connection waits for an answer before it goes on.
const ANSWER: Duration = Duration::from_millis(20);
/// What the log says of a defect.
const DEFECTS: [&str; 3] = ["panicked", "failed in a batch", " ERROR "];
const LAPTOP: &str = "laptop";

/// Runs it; with `json` one object is the last line.
pub fn run(json: bool, lang: Lang) -> Result<ExitCode> {
    namespace::check()?;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(story(json, lang))
}

async fn story(json: bool, lang: Lang) -> Result<ExitCode> {
    let demo = Demo::set_up(&Options::of_a_bench(lang), Teller::new(lang, true)).await?;
    let seen = noise(&demo).await;
    if seen.as_ref().map_or(true, |s| !s.broken.is_empty()) {
        demo.print_log();
    }
    let Seen { broken, log_lines, refused } = seen?;
    broken.iter().for_each(|b| println!("FOUND: {b}"));
    println!(
        "{DATAGRAMS} datagrams to N3 and N2 each, {MESSAGES} messages by N2, {CONNECTIONS} connections to the API and to the gateway's socket each: \
         {refused} datagrams counted as broken, {log_lines} lines of log"
    );
    let held = broken.is_empty();
    if json {
        println!(
            "{}",
            json!({ "datagrams": DATAGRAMS, "messages": MESSAGES, "connections": CONNECTIONS, "refused": refused, "log_lines": log_lines,
                "broken": broken, "held": held })
        );
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Seen {
    /// What did not hold.
    broken: Vec<String>,
    log_lines: usize,
    /// Datagrams that the gateway counted as no GTP-U.
    refused: u64,
}

async fn noise(demo: &Demo) -> Result<Seen> {
    demo.put_policy().await?;
    demo.connect_gnb().await?;
    let serve = Ask::ServeHttp { at: at(INTRANET, 80), bytes: 100 };
    demo.done(SiteAsk::Host { name: "corp".to_owned(), ask: serve }).await?;
    for (n, name) in [LAPTOP, "late"].into_iter().enumerate() {
        demo.sim(name, &format!("00101{:010}", 7000 + n), &["office"]).await?;
    }
    demo.done(SiteAsk::Attach { ue: LAPTOP.to_owned() }).await?;
    ensure!(reads(demo).await?, "the site does not work before there is any noise");
    let parts = super::secrets::processes(demo.dir())?;
    let (before, counted) = (log(demo)?.lines().count(), refused(demo).await?);
    let mut broken = Vec::new();
    for socket in ["N3", "N2", "N2's association", "the API", "the gateway's socket"] {
        match socket {
            "N3" => datagrams(demo, GTPU_PORT, vec![0x30, 0xff]).await?,
            // The ports of N2 inside the UDP that carries SCTP.
            "N2" => datagrams(demo, UDP_ENCAPSULATION_PORT, vec![0x96, 0x0c, 0x96, 0x0c]).await?,
            "N2's association" => demo.ran(RanAsk::NgapNoise { messages: MESSAGES }).await?,
            "the API" => by_http(demo).await?,
            _ => by_unix(demo).await?,
        }
        if !reads(demo).await? {
            broken.push(format!("after noise at {socket} a UE does not reach its app"));
        }
    }
    demo.wait_until_ready().await?;
    let late = demo.radio(RanAsk::TryBare { ue: "late".to_owned(), within_ms: 5_000 }).await?;
    if !matches!(late, RanAnswer::Attached { .. }) {
        broken.push(format!("after the noise a new UE does not attach: {late:?}"));
    }
    if let Some(why) = demo.ended().await? {
        broken.push(format!("Sekisho has ended: {why}"));
    }
    if super::secrets::processes(demo.dir())? != parts {
        broken.push("a process was replaced".to_owned());
    }
    let refused = refused(demo).await? - counted;
    if refused < u64::from(DATAGRAMS) / 4 {
        broken.push(format!("only {refused} datagrams came to where they are counted"));
    }
    let log = log(demo)?;
    let new: Vec<&str> = log.lines().skip(before).collect();
    broken.extend(new.iter().filter(|l| DEFECTS.iter().any(|d| l.contains(d))).map(|l| format!("log: {l}")));
    if new.len() > LINES {
        broken.push(format!("the log has grown by {} lines", new.len()));
    }
    Ok(Seen { broken, log_lines: new.len(), refused })
}

fn log(demo: &Demo) -> Result<String> {
    fs::read_to_string(demo.log()).context("Sekisho's log")
}

/// True if the laptop opens a connection and reads a page.
async fn reads(demo: &Demo) -> Result<bool> {
    let ask = Ask::Fetch { from: at(INTRANET, 80), within_ms: 3_000 };
    Ok(matches!(demo.host(LAPTOP, ask).await?, Outcome::Fetched { status: 200, .. }))
}

async fn refused(demo: &Demo) -> Result<u64> {
    let all = demo.call(|api: &Client| {
        Ok(api.metric("sekisho_gateway_dropped_total", "reason=\"malformed-gtpu\"")?.into())
    });
    Ok(all.await?.as_f64().unwrap_or_default() as u64)
}

async fn datagrams(demo: &Demo, port: u16, beginning: Vec<u8>) -> Result<()> {
    demo.ran(RanAsk::Noise { to: SocketAddrV4::new(CORE, port), datagrams: DATAGRAMS, beginning }).await
}

fn some(chance: &mut fastrand::Rng) -> Vec<u8> {
    (0..chance.usize(..2_000)).map(|_| chance.u8(..)).collect()
}

/// Says it, listens for a moment, goes away.
fn speak(stream: &mut (impl Read + Write), words: &[u8]) {
    // Whoever is hung up on in the middle has been answered.
    let _ = stream.write_all(words);
    let _ = stream.read(&mut [0; 512]);
}

async fn by_http(demo: &Demo) -> Result<()> {
    let [(_, base), (_, token)] = demo.remote();
    let at = base.trim_start_matches("http://").to_owned();
    let token = token.to_owned();
    let all = move || -> Result<()> {
        let mut chance = fastrand::Rng::with_seed(11);
        for n in 0..CONNECTIONS {
            let octets = some(&mut chance);
            let begin = match n % 8 {
                0 => String::new(),
                1 => "GET / HTTP/1.1\r\n".to_owned(),
                2 => format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a/".repeat(4_000)),
                3 => "POST /api/v1/sims HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"
                    .to_owned(),
                4 => format!(
                    "POST /api/v1/sims HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    octets.len()
                ),
                5 => "GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ".to_owned(),
                6 => {
                    format!("GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
                }
                _ => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            };
            let mut stream = TcpStream::connect(&at).context("the API")?;
            stream.set_read_timeout(Some(ANSWER))?;
            speak(&mut stream, &[begin.as_bytes(), &octets].concat());
        }
        Ok(())
    };
    tokio::task::spawn_blocking(all).await?
}

async fn by_unix(demo: &Demo) -> Result<()> {
    let socket = demo.config()?.gateway_socket();
    let all = move || -> Result<()> {
        let mut chance = fastrand::Rng::with_seed(12);
        for n in 0..CONNECTIONS {
            let mut octets = some(&mut chance);
            // A third of them promises a long message, a third a short one.
            if let Some(len) = octets.first_chunk_mut::<4>().filter(|_| n % 3 > 0) {
                *len = if n % 3 == 1 { [0xff; 4] } else { [0, 0, 0, 9] };
            }
            let mut stream = UnixStream::connect(&socket).context("the gateway's socket")?;
            stream.set_read_timeout(Some(ANSWER))?;
            speak(&mut stream, &octets);
        }
        Ok(())
    };
    tokio::task::spawn_blocking(all).await?
}
