//! The node that is asked: our own binary's control process, with its store, one listed MME and no gateway.

use super::cards::Cards;
use crate::{
    config::Config,
    control::{boot, health::snapshot_file},
    supervisor,
};
use anyhow::{Context, Result, ensure};
use gateway::time;
use hss::SqnState;
use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use store::{Change, SimRow};
use tempfile::TempDir;
use types::{DataNetwork, Iccid};

/// SIMs that are written in one transaction.
const BATCH: usize = 10_000;
/// How long a start may take, and how much longer for each SIM that is read.
const STARTED: Duration = Duration::from_secs(30);
const STARTED_A_SIM: Duration = Duration::from_micros(500);
/// How long a process may take to end that was asked to.
const ENDED: Duration = Duration::from_secs(15);

/// The node, running or not.
pub(super) struct Node {
    dir: TempDir,
    s6a: SocketAddr,
    child: Option<Child>,
    env: Vec<(String, String)>,
    patience: Duration,
}

impl Node {
    /// Writes its configuration and its SIMs. It is not started.
    pub async fn with_sims(cards: &Cards, env: Vec<(String, String)>) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("sekisho-air-").tempdir()?;
        let s6a = free_tcp()?;
        fs::write(dir.path().join("sekisho.toml"), configuration(&dir, s6a)?)?;
        let patience = STARTED + STARTED_A_SIM * cards.len();
        let node = Self { dir, s6a, child: None, env, patience };
        node.seed(cards).await?;
        Ok(node)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("sekisho.toml")
    }

    async fn seed(&self, cards: &Cards) -> Result<()> {
        let config = Config::load(&self.file(), std::iter::empty())?;
        let (store, mut vault) = boot::open(&config).await?;
        let network: DataNetwork = serde_json::from_value(serde_json::json!({
            "dnn": "corp", "pool": "10.0.0.0/8", "pool6": null, "dns": [], "mtu": 1400,
        }))?;
        store.create(network, None, &Change::by_system("bench", time::utc())).await?;
        let mut batch = Vec::with_capacity(BATCH);
        for n in 0..cards.len() {
            batch.push(row(n, cards, &mut vault)?);
            if batch.len() == BATCH || n + 1 == cards.len() {
                store.bare_inserts(std::mem::take(&mut batch), time::utc()).await?;
            }
        }
        store.close().await;
        Ok(())
    }

    /// Starts it and waits until its S6a is open: then every SIM is in memory. How long that took.
    pub fn start(&mut self) -> Result<Duration> {
        let log = File::options().create(true).append(true).open(self.dir.path().join("log"))?;
        let mut c = Command::new(std::env::current_exe()?);
        c.args(["run", "--part", "control", "--config"]).arg(self.file());
        c.envs(self.env.iter().map(|(k, v)| (k, v)));
        c.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        supervisor::die_with_parent(&mut c);
        let began = Instant::now();
        self.child = Some(c.spawn().context("starting control")?);
        let s6a = self.s6a;
        self.wait_until("S6a is open", || TcpStream::connect(s6a).is_ok())?;
        Ok(began.elapsed())
    }

    fn wait_until(&mut self, what: &str, is: impl Fn() -> bool) -> Result<()> {
        let began = Instant::now();
        while !is() {
            if let Some(status) = self.ended()? {
                anyhow::bail!("control has ended by itself: {status}");
            }
            ensure!(began.elapsed() < self.patience, "not within {:?}: {what}", self.patience);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits for the last of what a start brings: the sealed list of who may be banned without a database, of all SIMs.
    pub fn settled(&mut self) -> Result<()> {
        let list = snapshot_file(&Config::load(&self.file(), std::iter::empty())?);
        self.wait_until("the list is written", || list.exists())
    }

    /// Where it listens.
    pub fn s6a(&self) -> SocketAddr {
        self.s6a
    }

    /// The running process.
    pub fn pid(&self) -> Result<libc::pid_t> {
        Ok(self.child.as_ref().context("control does not run")?.id().cast_signed())
    }

    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        Ok(self.child.as_mut().context("control does not run")?.try_wait()?)
    }

    /// Waits until it is dead of a kill -9, whoever has sent that.
    pub fn buried(&mut self) -> Result<()> {
        let mut child = self.child.take().context("control does not run")?;
        let status = child.wait()?;
        ensure!(
            status.signal() == Some(libc::SIGKILL),
            "control ended with {status} in place of being killed"
        );
        Ok(())
    }

    /// Asks it to end, and waits for that.
    pub fn stop(&mut self) -> Result<()> {
        supervisor::signal(self.pid()?, libc::SIGTERM);
        let began = Instant::now();
        while self.ended()?.is_none() {
            ensure!(began.elapsed() < ENDED, "control does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child = None;
        Ok(())
    }

    /// The last lines of what it said.
    pub fn print_log(&self) {
        let said = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(40)) {
            eprintln!("  {line}");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn free_tcp() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// N2 goes over UDP, which needs no rights; no radio is there.
fn configuration(dir: &TempDir, s6a: SocketAddr) -> Result<String> {
    let n2 = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let (data, api) = (dir.path().join("data"), free_tcp()?);
    Ok(format!(
        "[network]\nplmn = \"001-01\"\ntacs = [1]\nslices = [\"1\"]\n\
         [n2]\naddress = \"127.0.0.1\"\ntransport = \"udp\"\nudp_port = {n2}\n[n3]\naddress = \"127.0.0.1\"\n\
         [s6a]\nhost = \"{}\"\nrealm = \"{}\"\nlisten = \"{s6a}\"\n\
         [[s6a.mme]]\nhost = \"{}\"\naddresses = [\"127.0.0.1\"]\n\
         [paths]\ndata = \"{}\"\n[api]\nlisten = \"{api}\"\n",
        super::HSS,
        super::REALM,
        super::MME,
        data.display()
    ))
}

/// A SIM that is new: its first SEQ is 1.
fn row(n: u32, cards: &Cards, vault: &mut hss::Vault) -> Result<SimRow> {
    let (imsi, card) = (Cards::imsi(n)?, cards.card(n)?);
    let iccid: Iccid = format!("8981{n:014}").parse()?;
    let mut row = store::lab::sim(imsi);
    row.sealed = Some(vault.seal(imsi, &card.k, &card.opc).as_bytes().to_vec());
    row.fingerprint = Some(vault.fingerprint(&card.k).0.to_vec());
    row.iccid = Some(iccid);
    row.dnns = vec!["corp".parse()?];
    row.sqn.offset = SqnState::fresh(time::utc()).offset;
    row.sqn.mode = if cards.counts(n) { "counter" } else { "time" }.to_owned();
    Ok(row)
}
