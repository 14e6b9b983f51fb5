//! The process in the middle: it enters the site's namespace, lays the cables, and starts `sekisho run` there.

use super::ran::{RanAnswer, RanAsk};
use anyhow::{Context, Result, bail};
use gateway::netns::{self, Netns};
use lab::site::{Ask, Asked, Host, Launch, Outcome, World, net, pipe};
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::HashMap,
    net::{Ipv4Addr, TcpListener},
    os::fd::{AsRawFd, RawFd},
    path::{Path, PathBuf},
    rc::Rc,
};
use tokio::process::{Child, Command};

/// N2 and N3 of Sekisho.
pub const CORE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The gNB.
pub const GNB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The intranet app.
pub const INTRANET: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 10);
/// The personnel database.
pub const HR_DB: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 20);
/// The SCADA host.
pub const SCADA: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
/// Where UE addresses come from, both data networks.
pub const UE_POOLS: &str = "10.60.0.0/15";

/// What the storyteller asks of the site.
#[derive(Debug, Serialize, Deserialize)]
pub enum SiteAsk {
    /// Lay the cables, and write what passes between radio and core to a file.
    Lay {
        /// The file (pcap).
        capture: Option<PathBuf>,
    },
    /// Start `sekisho run` with this configuration.
    Start {
        /// Configuration file.
        config: PathBuf,
        /// Where its log goes.
        log: PathBuf,
        /// Environment variables beside ours.
        env: Vec<(String, String)>,
    },
    /// Have a host do something.
    Host {
        /// Which.
        name: String,
        /// What.
        ask: Ask,
    },
    /// Have the radio do something.
    Ran(RanAsk),
    /// A host of this name, freshly switched on; a UE of this name has vanished without a word and is off.
    Boot {
        /// Which UE; its host has the same name.
        ue: String,
    },
    /// Attach a UE, and give the interface of its session to its host.
    Attach {
        /// Which UE; its host has the same name.
        ue: String,
    },
    /// Kill a part of Sekisho with SIGKILL.
    Kill {
        /// `gateway`, `control`, `both`, or `all`: both with their supervisor, which stays dead.
        part: String,
    },
    /// Send a part a signal.
    Signal {
        /// `gateway` or `control`.
        part: String,
        /// Its number.
        signal: i32,
    },
    /// Whether `sekisho run` runs.
    Runs,
    /// What `sekisho doctor` says here, as JSON.
    Doctor {
        /// Configuration file.
        config: PathBuf,
    },
    /// Have `sekisho run` end in order, and wait until it has.
    Stop,
}

/// What the site answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum SiteAnswer {
    /// Done.
    Done,
    /// A host's outcome.
    Host(Outcome),
    /// The radio's answer.
    Ran(RanAnswer),
    /// Whether it runs, and if not, how it ended.
    Runs(Result<(), String>),
    /// Standard output of a command.
    Said(String),
}

/// The site.
struct Site {
    world: World,
    hosts: RefCell<HashMap<String, Rc<Host>>>,
    ran: Asked<RanAsk, RanAnswer>,
    api_fd: RawFd,
    core: RefCell<Option<Child>>,
}

/// Starts the site as a child process, and hands it the API's listener for Sekisho. No setting of the caller's
/// environment reaches Sekisho but through `env` of [`SiteAsk::Start`].
pub(crate) fn start(api: &TcpListener) -> Result<Asked<SiteAsk, SiteAnswer>> {
    let mut c = Command::new(std::env::current_exe()?);
    c.arg("lab-site").arg("--api-fd").arg("3");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEKISHO_")) {
        c.env_remove(name);
    }
    crate::supervisor::hand_over(c.as_std_mut(), api.as_raw_fd());
    Asked::start("the site", c)
}

/// Runs the site until its standard input ends. Must be called before any second thread exists.
pub fn run(api_fd: RawFd) -> Result<()> {
    netns::new_user()?;
    Netns::New.enter()?;
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&rt, async move {
        let site = Rc::new(Site::new(api_fd)?);
        pipe::answer(move |ask| {
            let site = site.clone();
            async move { site.obey(ask).await }
        })
        .await
    })
}

fn launch(what: &str) -> Result<Launch> {
    Ok(Launch { program: std::env::current_exe()?, args: vec![what.into()] })
}

impl Site {
    fn new(api_fd: RawFd) -> Result<Self> {
        let world = World::new(launch("lab-host")?)?;
        let mut hosts = HashMap::new();
        for name in ["corp", "scada", "laptop", "plc"] {
            hosts.insert(name.to_owned(), Rc::new(world.host(name)?));
        }
        let hosts = RefCell::new(hosts);
        let ran = Asked::start("the radio", launch("lab-ran")?.in_fresh_namespace())?;
        Ok(Self { world, hosts, ran, api_fd, core: RefCell::new(None) })
    }

    fn host(&self, name: &str) -> Result<Rc<Host>> {
        self.hosts.borrow().get(name).cloned().with_context(|| format!("there is no host {name}"))
    }

    async fn obey(&self, ask: SiteAsk) -> Result<SiteAnswer> {
        Ok(match ask {
            SiteAsk::Lay { capture } => {
                self.lay().await?;
                if let Some(file) = capture {
                    super::capture::start("n3", &file)?;
                }
                SiteAnswer::Done
            }
            SiteAsk::Start { config, log, env } => {
                self.start(&config, &log, env)?;
                SiteAnswer::Done
            }
            SiteAsk::Host { name, ask } => SiteAnswer::Host(self.host(&name)?.ask(ask).await?),
            SiteAsk::Ran(ask) => SiteAnswer::Ran(self.ran.ask(ask).await?),
            SiteAsk::Boot { ue } => {
                let fresh = Rc::new(self.world.host(&ue)?);
                self.hosts.borrow_mut().insert(ue.clone(), fresh);
                SiteAnswer::Ran(self.ran.ask(RanAsk::PowerCycle { ue }).await?)
            }
            SiteAsk::Attach { ue } => SiteAnswer::Ran(self.attach(&ue).await?),
            SiteAsk::Kill { part } => {
                self.kill(&part).await?;
                SiteAnswer::Done
            }
            SiteAsk::Signal { part, signal } => {
                self.signal(&part, signal)?;
                SiteAnswer::Done
            }
            SiteAsk::Runs => SiteAnswer::Runs(self.runs()?),
            SiteAsk::Doctor { config } => {
                let mut c = Command::new(std::env::current_exe()?);
                c.args(["doctor", "--output", "json", "--lang", "en", "--config"]).arg(config);
                SiteAnswer::Said(String::from_utf8(c.output().await?.stdout)?)
            }
            SiteAsk::Stop => {
                self.stop().await?;
                SiteAnswer::Done
            }
        })
    }

    /// The cables: core–radio (N2 and N3), core–corp and core–scada (N6).
    async fn lay(&self) -> Result<()> {
        let core = self.world.net();
        core.up("lo").await?;
        net::forward_ipv4()?;
        self.world.cable("n3", self.ran.pid()?, "eth0").await?;
        core.address("n3", format!("{CORE}/24").parse()?).await?;
        core.up("n3").await?;
        self.ran.ask(RanAsk::Up { address: format!("{GNB}/24").parse()? }).await?;
        for (name, here, ours, theirs) in [
            ("corp", "n6corp", "10.10.0.1/24", vec![INTRANET, HR_DB]),
            ("scada", "n6scada", "10.20.0.1/24", vec![SCADA]),
        ] {
            let host = self.host(name)?;
            self.world.cable(here, host.pid()?, "eth0").await?;
            core.address(here, ours.parse()?).await?;
            core.up(here).await?;
            host.must(Ask::Up { dev: "eth0".to_owned(), address: None, mtu: None }).await?;
            for a in theirs {
                host.must(Ask::Address { dev: "eth0".to_owned(), address: format!("{a}/24").parse()? })
                    .await?;
            }
            let via: ipnet::Ipv4Net = ours.parse()?;
            host.must(Ask::Route { to: UE_POOLS.parse()?, via: Some(via.addr()), dev: None }).await?;
        }
        Ok(())
    }

    /// Starts Sekisho with the API's listener handed over as LISTEN_FDS. The shell is there because LISTEN_PID must
    /// name the process that exec makes of it.
    fn start(&self, config: &Path, log: &Path, env: Vec<(String, String)>) -> Result<()> {
        let exe = std::env::current_exe()?;
        let mut c = Command::new("/bin/sh");
        // The shell asks for core files, so that it is Sekisho itself that forbids them.
        c.arg("-c").arg("ulimit -c unlimited; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"").arg(exe);
        c.arg("run").arg("--config").arg(config).envs(env);
        // A core file would go into the working directory.
        c.current_dir(config.parent().unwrap_or(Path::new("/")));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        c.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        crate::supervisor::hand_over(c.as_std_mut(), self.api_fd);
        crate::supervisor::die_with_parent(c.as_std_mut());
        *self.core.borrow_mut() = Some(c.spawn().context("starting sekisho run")?);
        Ok(())
    }

    async fn attach(&self, ue: &str) -> Result<RanAnswer> {
        let host = self.host(ue)?;
        let answer = self.ran.ask(RanAsk::Attach { ue: ue.to_owned(), host: host.pid()? }).await?;
        if let RanAnswer::Attached { ip, mtu, dev, .. } = &answer {
            let address = Some(format!("{ip}/32").parse()?);
            host.must(Ask::Up { dev: dev.clone(), address, mtu: Some(u32::from(*mtu)) }).await?;
            host.must(Ask::Route { to: "0.0.0.0/0".parse()?, via: None, dev: Some(dev.clone()) }).await?;
        }
        Ok(answer)
    }

    async fn kill(&self, part: &str) -> Result<()> {
        let mut core = self.core.borrow_mut().take().context("Sekisho does not run")?;
        let supervisor = core.id().context("Sekisho does not run")?;
        let mut found = 0;
        for (pid, is) in parts(supervisor)? {
            if is == part || matches!(part, "both" | "all") {
                crate::supervisor::kill(pid.parse()?);
                found += 1;
            }
        }
        if part == "all" {
            core.kill().await?;
            return Ok(());
        }
        *self.core.borrow_mut() = Some(core);
        if found == 0 {
            bail!("no process of Sekisho is its {part}");
        }
        Ok(())
    }

    fn signal(&self, part: &str, signal: i32) -> Result<()> {
        let supervisor = self.core.borrow().as_ref().and_then(Child::id).context("Sekisho does not run")?;
        let found = parts(supervisor)?.into_iter().find(|(_, is)| *is == part);
        let (pid, _) = found.with_context(|| format!("no process of Sekisho is its {part}"))?;
        crate::supervisor::signal(pid.parse()?, signal);
        Ok(())
    }

    async fn stop(&self) -> Result<()> {
        let mut core = self.core.borrow_mut().take().context("Sekisho does not run")?;
        let supervisor = core.id().context("Sekisho does not run")?;
        crate::supervisor::signal(supervisor.try_into()?, libc::SIGTERM);
        core.wait().await?;
        Ok(())
    }

    fn runs(&self) -> Result<Result<(), String>> {
        Ok(match self.core.borrow_mut().as_mut().map(Child::try_wait).transpose()? {
            Some(None) => Ok(()),
            Some(Some(status)) => Err(status.to_string()),
            None => Err("it was not started".to_owned()),
        })
    }
}

/// The parts that a supervisor has started: process ids and which part each is.
fn parts(supervisor: u32) -> Result<Vec<(String, &'static str)>> {
    let children = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"))?;
    let part = |pid: &str| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let is = |name: &&str| line.split(|b| *b == 0).any(|a| a == name.as_bytes());
        Some((pid.to_owned(), ["gateway", "control"].into_iter().find(|n| is(n))?))
    };
    Ok(children.split_whitespace().filter_map(part).collect())
}
