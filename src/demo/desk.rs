//! The process that holds a simulated site and obeys the verbs of `sekisho lab`: one question a connection, one JSON line
//! each way, at a socket in the data directory, which is its owner's alone.

use super::{
    cards, namespace,
    ran::{AmfAt, RanAsk},
    site::{self, CORE, GNB, HR_DB, INTRANET, SiteAnswer, SiteAsk},
};
use crate::{
    client::Client,
    config::{Config, Transport},
    first_run,
};
use anyhow::{Context, Result, bail};
use lab::site::{Ask, Asked, Outcome};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _},
    net::UnixListener,
    signal::unix::{SignalKind, signal},
};
use zeroize::Zeroizing;

/// Where datagrams are counted.
pub const COUNTER: (Ipv4Addr, u16) = (INTRANET, 9000);
/// Size of the apps' pages, octets.
const PAGE: u64 = 4096;
/// How long Sekisho may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the desk is asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum DeskAsk {
    /// Something of the site.
    Site(SiteAsk),
    /// End everything.
    Down,
}

/// The socket at which the desk of this configuration listens.
fn socket(config: &Config) -> PathBuf {
    config.paths.run.as_ref().unwrap_or(&config.paths.data).join("lab.sock")
}

/// Where what the site and Sekisho say goes.
pub fn log(config: &Config) -> PathBuf {
    config.paths.data.join("lab.log")
}

/// Asks the desk of this configuration.
///
/// # Errors
/// Where there is none, and with what the site itself says.
pub fn ask(config: &Config, ask: &DeskAsk) -> Result<SiteAnswer> {
    let mut stream = UnixStream::connect(socket(config))
        .context("no simulated site is up: `sekisho lab up` starts one")?;
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut said = String::new();
    BufReader::new(stream).read_line(&mut said)?;
    let answer: Result<SiteAnswer, String> =
        serde_json::from_str(&said).context("the simulated site has ended")?;
    match answer.map_err(|why| anyhow::anyhow!(why))? {
        SiteAnswer::Host(Outcome::Failed { why }) => bail!(why),
        answer => Ok(answer),
    }
}

/// Starts the desk as a process of its own and waits until Sekisho and the radio are there. Returns the console's address.
///
/// # Errors
/// Where something is missing; what was said of it is in [`log()`].
pub fn open(file: &Path, config: &Config, cards: &Path) -> Result<String> {
    namespace::check()?;
    if UnixStream::connect(socket(config)).is_ok() {
        bail!("a simulated site of this configuration is up already; `sekisho lab down` ends it");
    }
    if !config.key_file().exists() {
        bail!("{} holds no key file: `sekisho init` makes it", config.paths.data.display());
    }
    if config.api_is_public() || config.api.certificate.is_some() {
        bail!(
            "a simulated site serves the API on loopback without TLS: set SEKISHO_API_LISTEN=127.0.0.1:8443"
        );
    }
    if config.n2.address != CORE || config.n3.address != CORE {
        bail!("the simulated site has Sekisho at {CORE}: set n2.address and n3.address to it");
    }
    let told = log(config);
    let into = fs::OpenOptions::new().create(true).append(true).open(&told);
    let into = into.with_context(|| format!("writing {}", told.display()))?;
    let mut c = Command::new(std::env::current_exe()?);
    c.args(["lab", "desk", "--config"]).arg(fs::canonicalize(file)?).arg("--cards").arg(cards);
    let mut child = c.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(into).spawn()?;
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut said)?;
    }
    if said.trim().is_empty() {
        let ended = child.wait()?;
        let text = fs::read_to_string(&told).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n  ");
        bail!("the simulated site did not come up ({ended}); the end of {}:\n  {last}", told.display());
    }
    Ok(said.trim().to_owned())
}

/// Is the desk, until it is told to end or by a signal.
pub fn run(file: &Path, config: &Config, cards: &Path) -> Result<()> {
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    rt.block_on(async {
        let text = fs::read_to_string(cards).with_context(|| cards.display().to_string())?;
        let cards = cards::read(&Zeroizing::new(text))?;
        let site = up(file, config, cards).await?;
        let at = socket(config);
        // One whose process died is in the way; that nobody answers there was looked at before.
        drop(fs::remove_file(&at));
        let listener = UnixListener::bind(&at).with_context(|| format!("listening at {}", at.display()))?;
        println!("{}", first_run::address(config));
        let ended = serve(&listener, &site).await;
        drop(fs::remove_file(&at));
        ended
    })
}

/// The site, with Sekisho in its midst, a radio on air, and apps that answer.
async fn up(file: &Path, config: &Config, cards: Vec<cards::Card>) -> Result<Asked<SiteAsk, SiteAnswer>> {
    let listener = TcpListener::bind(config.api.listen)
        .with_context(|| format!("the address {} for the API is not free", config.api.listen))?;
    let site = site::start(&listener)?;
    drop(listener);
    must(&site, SiteAsk::Lay { capture: None }).await.context("laying the cables")?;
    let kernel_sctp = config.n2.transport == Transport::Kernel;
    let mut env: Vec<(String, String)> =
        std::env::vars().filter(|(name, _)| name.starts_with("SEKISHO_")).collect();
    // The simulated radio speaks SCTP by the kernel or inside UDP.
    if !kernel_sctp {
        env.push(("SEKISHO_N2_TRANSPORT".to_owned(), "udp".to_owned()));
    }
    must(&site, SiteAsk::Start { config: file.to_owned(), log: log(config), env }).await?;
    until_ready(config, &site).await?;
    for card in cards {
        let ue = RanAsk::Ue {
            name: card.imsi.to_string(),
            imsi: card.imsi,
            k: card.k.to_string(),
            opc: card.opc.to_string(),
            dnn: card.dnn,
        };
        must(&site, SiteAsk::Ran(ue)).await?;
    }
    let gnb = RanAsk::Gnb {
        name: "gnb-1".to_owned(),
        plmn: config.network.plmn,
        tac: *config.network.tacs.first().context("no tracking area is configured")?,
        slice: *config.network.slices.first().context("no slice is configured")?,
        address: GNB,
        amf: AmfAt { address: CORE, kernel_sctp },
    };
    must(&site, SiteAsk::Ran(gnb)).await.context("the radio does not get on air")?;
    for ask in [
        Ask::ServeHttp { at: (INTRANET, 80).into(), bytes: PAGE },
        Ask::ServeHttp { at: (HR_DB, 80).into(), bytes: PAGE },
        Ask::CountUdp { at: SocketAddr::from(COUNTER) },
    ] {
        must(&site, SiteAsk::Host { name: "corp".to_owned(), ask }).await?;
    }
    Ok(site)
}

async fn must(site: &Asked<SiteAsk, SiteAnswer>, ask: SiteAsk) -> Result<()> {
    match site.ask(ask).await? {
        SiteAnswer::Host(Outcome::Failed { why }) => bail!(why),
        _ => Ok(()),
    }
}

async fn until_ready(config: &Config, site: &Asked<SiteAsk, SiteAnswer>) -> Result<()> {
    let api = Client::new(&first_run::address(config), "", "en", None)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = api.clone();
        let said = tokio::task::spawn_blocking(move || asked.readiness()).await?;
        if matches!(said, Ok((200, _))) {
            return Ok(());
        }
        if let SiteAnswer::Runs(Err(how)) = site.ask(SiteAsk::Runs).await? {
            bail!("`sekisho run` has ended: {how}");
        }
        if Instant::now() > deadline {
            bail!("Sekisho is not ready after {} s: {said:?}", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn serve(listener: &UnixListener, site: &Asked<SiteAsk, SiteAnswer>) -> Result<()> {
    let mut ends = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [term, int, hup] = &mut ends;
    let (Ok(term), Ok(int), Ok(hup)) = (term, int, hup) else { bail!("no signal can be waited for") };
    loop {
        let (stream, _) = tokio::select! {
            s = listener.accept() => s?,
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => break,
        };
        let (from, mut to) = stream.into_split();
        let Ok(Some(line)) = tokio::io::BufReader::new(from).lines().next_line().await else { continue };
        let (answer, down) = match serde_json::from_str(&line) {
            Ok(DeskAsk::Site(ask)) => (site.ask(ask).await, false),
            Ok(DeskAsk::Down) => (site.ask(SiteAsk::Stop).await, true),
            Err(e) => (Err(e.into()), false),
        };
        let mut line = serde_json::to_vec(&answer.map_err(|e| format!("{e:#}")))?;
        line.push(b'\n');
        // Whoever asked and went away wants no answer.
        drop(to.write_all(&line).await);
        if down {
            return Ok(());
        }
    }
    site.ask(SiteAsk::Stop).await.map(drop)
}
