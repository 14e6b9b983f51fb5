//! Network namespaces: to be entered before the process has a second thread, because a namespace belongs to
//! a thread and sockets to the namespace they were opened in.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where a process does its networking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Netns {
    /// A named one (as under `/run/netns`) or one of a process (`/proc/PID/ns/net`).
    Path(PathBuf),
    /// A new one, which lives as long as the process; its loopback is down.
    New,
}

impl Netns {
    /// Moves this process there.
    ///
    /// # Errors
    /// Where the process already has more than one thread, or the kernel refuses (then a user namespace of
    /// our own may help: [`new_user`]).
    pub fn enter(&self) -> Result<()> {
        alone()?;
        match self {
            Self::Path(path) => {
                let file = File::open(path)
                    .with_context(|| format!("the network namespace {} cannot be opened", path.display()))?;
                setns(&file).with_context(|| format!("cannot enter the network namespace {}", path.display()))
            }
            Self::New => unshare(libc::CLONE_NEWNET).context("cannot make a network namespace"),
        }
    }
}

/// The network namespace this thread is in, to come back to or to hand on.
///
/// # Errors
/// Where `/proc` is not mounted.
pub fn current() -> Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net").context("cannot open our own network namespace")?.into())
}

/// Enters the network namespace behind a descriptor. For the calling thread alone: a thread that makes one
/// socket elsewhere and comes back may use it, everybody else wants [`Netns::enter`].
///
/// # Errors
/// Where the kernel refuses.
#[allow(unsafe_code)]
pub fn setns(fd: &impl AsFd) -> Result<()> {
    // SAFETY: the borrowed descriptor stays open during the call; the kernel checks what it is.
    let rc = unsafe { libc::setns(fd.as_fd().as_raw_fd(), libc::CLONE_NEWNET) };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
}

/// Moves the calling thread, and it alone, into a new network namespace; threads that it starts begin there.
///
/// # Errors
/// Where the kernel refuses.
pub fn leave_alone() -> Result<()> {
    unshare(libc::CLONE_NEWNET).context("cannot make a network namespace")
}

/// Makes a user namespace in which this process is root, so that an ordinary user may make network
/// namespaces. Does nothing for root.
///
/// # Errors
/// Where the process has more than one thread, or user namespaces are not allowed here.
pub fn new_user() -> Result<()> {
    let (uid, gid) = ids();
    if uid == 0 {
        return Ok(());
    }
    alone()?;
    unshare(libc::CLONE_NEWUSER).context("user namespaces are not allowed here; run as root")?;
    fs::write("/proc/self/setgroups", "deny").context("cannot write setgroups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("cannot write uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("cannot write gid_map")
}

/// True where this process could make a namespace with a TUN in it; see [`why_not`].
pub fn allowed() -> bool {
    why_not().is_none()
}

/// What keeps this process from making a (user and) network namespace with a TUN in it, in words that say
/// what to do; `None` if nothing does. Tried in a child, so this process stays as it is.
pub fn why_not() -> Option<String> {
    let flags = if ids().0 == 0 { "-n" } else { "-Urn" };
    let tried = std::process::Command::new("unshare").args([flags, "true"]).output();
    match tried {
        Err(e) => return Some(format!("`unshare` (util-linux) cannot be run: {e}")),
        Ok(o) if !o.status.success() => {
            let said = String::from_utf8_lossy(&o.stderr);
            return Some(format!("namespaces are not allowed here ({}); run as root", said.trim()));
        }
        Ok(_) => {}
    }
    let tun = fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    tun.err().map(|e| {
        format!("/dev/net/tun cannot be opened ({e}); it is meant to have mode 0666, or run as root")
    })
}

fn alone() -> Result<()> {
    let threads = fs::read_dir(Path::new("/proc/self/task")).context("cannot list our threads")?.count();
    if threads != 1 {
        bail!("a namespace is entered before the process has a second thread; it has {threads}");
    }
    Ok(())
}

#[allow(unsafe_code)]
fn unshare(flags: libc::c_int) -> std::io::Result<()> {
    // SAFETY: the call takes flags only. A network namespace belongs to the calling thread; for a user namespace the
    // kernel refuses a process with several threads.
    let rc = unsafe { libc::unshare(flags) };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[allow(unsafe_code)]
fn ids() -> (u32, u32) {
    // SAFETY: both calls take nothing and cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}
