//! Starts hosts and lays the cables between them.

use super::{
    agent::{Answer, Ask, Outcome, Request},
    net::Net,
};
use anyhow::{Context, Result, bail};
use std::{
    collections::HashMap,
    ffi::OsString,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::oneshot,
};

/// How a host process is started: our own binary with the words that make it run [`super::agent::run`].
#[derive(Debug, Clone)]
pub struct Launch {
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// The site as its orchestrator sees it. It lives in the namespace in the middle, where Sekisho runs.
pub struct World {
    net: Net,
    launch: Launch,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Outcome>>>>;

/// A host in a namespace of its own. Dropping it ends it.
pub struct Host {
    name: String,
    child: Child,
    stdin: tokio::sync::Mutex<(ChildStdin, u64)>,
    waiting: Waiting,
}

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
        let mut c = Command::new(&self.launch.program);
        c.args(&self.launch.args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        fresh_namespace(&mut c);
        let mut child = c.spawn().with_context(|| format!("starting host {name}"))?;
        let stdin = child.stdin.take().context("stdin of the host")?;
        let stdout = child.stdout.take().context("stdout of the host")?;
        let waiting = Waiting::default();
        let theirs = waiting.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(a) = serde_json::from_str::<Answer>(&line) else { continue };
                let asked = theirs.lock().unwrap_or_else(PoisonError::into_inner).remove(&a.id);
                if let Some(tx) = asked {
                    drop(tx.send(a.outcome));
                }
            }
            // Whoever still waits learns that the host is gone by the closed channel.
            theirs.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Ok(Host { name: name.to_owned(), child, stdin: tokio::sync::Mutex::new((stdin, 0)), waiting })
    }

    /// Lays a cable from interface `here` of the middle namespace to interface `there` of `host`.
    pub async fn cable(&self, here: &str, host: &Host, there: &str) -> Result<()> {
        self.net.cable(here, there, host.pid()?).await
    }
}

impl Host {
    /// Its process id: its namespace's name.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().with_context(|| format!("host {} has ended", self.name))
    }

    /// Has it do something and waits for the outcome.
    pub async fn ask(&self, ask: Ask) -> Result<Outcome> {
        let (tx, rx) = oneshot::channel();
        {
            let mut pipe = self.stdin.lock().await;
            pipe.1 += 1;
            let id = pipe.1;
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, tx);
            let mut line = serde_json::to_vec(&Request { id, ask })?;
            line.push(b'\n');
            pipe.0.write_all(&line).await.with_context(|| format!("host {}", self.name))?;
            pipe.0.flush().await?;
        }
        rx.await.with_context(|| format!("host {} ended before it answered", self.name))
    }

    /// Has it do something that must succeed.
    pub async fn must(&self, ask: Ask) -> Result<Outcome> {
        let words = format!("{ask:?}");
        match self.ask(ask).await? {
            Outcome::Failed { why } => bail!("host {}: {words}: {why}", self.name),
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
