//! Starts hosts and lays the cables between them.

use super::{
    agent::{Ask, Outcome},
    net::Net,
    pipe::Asked,
};
use anyhow::{Result, bail};
use std::{ffi::OsString, path::PathBuf};
use tokio::process::Command;

/// How a child of the site is started: our own binary with the words that say what it shall be.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Launch {
    /// The command, which enters a network namespace of its own before it has a second thread.
    pub fn in_fresh_namespace(&self) -> Command {
        let mut c = Command::new(&self.program);
        c.args(&self.args);
        fresh_namespace(&mut c);
        c
    }
}

/// The site as its orchestrator sees it. It lives in the namespace in the middle, where Sekisho runs.
pub struct World {
    net: Net,
    launch: Launch,
}

/// A host in a namespace of its own. Dropping it ends it.
pub struct Host(Asked<Ask, Outcome>);

impl World {
    /// Opens the middle namespace's netlink. Call inside a tokio runtime.
    pub fn new(launch: Launch) -> Result<Self> {
        Ok(Self { net: Net::open()?, launch })
    }

    /// The middle namespace's interfaces.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Starts a host called `name` in a fresh network namespace.
    pub fn host(&self, name: &str) -> Result<Host> {
        Asked::start(name, self.launch.in_fresh_namespace()).map(Host)
    }

    /// Lays a cable from interface `here` of the middle namespace to interface `there` of process `pid`'s.
    pub async fn cable(&self, here: &str, pid: u32, there: &str) -> Result<()> {
        self.net.cable(here, there, pid).await
    }
}

impl Host {
    /// Its process id: its namespace's name.
    pub fn pid(&self) -> Result<u32> {
        self.0.pid()
    }

    /// Has it do something and waits for the outcome.
    pub async fn ask(&self, ask: Ask) -> Result<Outcome> {
        self.0.ask(ask).await
    }

    /// Has it do something that must succeed.
    pub async fn must(&self, ask: Ask) -> Result<Outcome> {
        let words = format!("{ask:?}");
        match self.ask(ask).await? {
            Outcome::Failed { why } => bail!("{words}: {why}"),
            o => Ok(o),
        }
    }
}

/// Makes the child enter a network namespace of its own between fork and exec, when it has one thread only.
#[allow(unsafe_code)]
fn fresh_namespace(c: &mut Command) {
    // SAFETY: between fork and exec only unshare(2) and prctl(2) are called, which are async-signal-safe.
    unsafe {
        c.pre_exec(|| {
            // A host must not outlive the site, however the site ends.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            match libc::unshare(libc::CLONE_NEWNET) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}
