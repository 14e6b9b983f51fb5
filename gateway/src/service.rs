//! Our own page inside the closed network (decision D14): a network namespace whose one interface leads to the packet
//! path, and the process that serves the page in it.
//!
//! The interface is a TUN of our own, with a queue for each shard beside those of N6: what the shards let through to the
//! service address is written there, and what comes from there passes as part of a UE's flow or not at all. The namespace
//! has no other way out, so whoever takes the process over reaches UEs that have asked it something, and nobody else. It is
//! started again when it ends; it speaks to us by one pair of sockets, whole messages of a bounded length.

use crate::link::page::{Answered, Asked, LONGEST, PageAnswer, PageAsk};
use crate::n6::N6;
use crate::netlink::{Netlink, index_of};
use crate::netns;
use crate::sys::Wait;
use anyhow::{Context, Result};
use ipnet::IpNet;
use pgw_policy::Service;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use tracing::{info, warn};
use types::Mono;

/// Its interface, in the page's namespace.
const NAME: &str = "service";
/// Questions taken in one turn.
const A_TURN: usize = 64;
/// Milliseconds before the process is started again: at first, and at most.
const PAUSE_MS: (u64, u64) = (100, 10_000);
/// A process that lived this long is healthy, milliseconds.
const HEALTHY_MS: u64 = 10_000;

/// What the gateway is told of the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceConfig {
    /// What UEs reach.
    pub service: Service,
    /// The process that serves there, with its arguments.
    pub command: Vec<String>,
}

/// The namespace, and the packet path's end of it.
pub(crate) struct Room {
    namespace: OwnedFd,
    queues: Vec<N6>,
}

impl Room {
    /// Makes it: on a thread of its own, because a namespace belongs to a thread.
    ///
    /// # Errors
    /// Without the right to make namespaces and interfaces.
    pub(crate) fn open(config: &ServiceConfig, mtu: u16, queues: usize) -> Result<Self> {
        let addresses: Vec<IpAddr> = [config.service.v4.map(IpAddr::V4), config.service.v6.map(IpAddr::V6)]
            .into_iter()
            .flatten()
            .collect();
        let thread = std::thread::spawn(move || Self::make(&addresses, mtu, queues));
        let made = thread.join().map_err(|_| anyhow::anyhow!("the thread that makes it failed"))?;
        made.context("the namespace of the page inside the closed network")
    }

    fn make(addresses: &[IpAddr], mtu: u16, queues: usize) -> Result<Self> {
        netns::leave_alone()?;
        let queues = N6::open(NAME, mtu, queues)?;
        let index = queues.first().context("a gateway has at least one shard")?.index()?;
        let mut netlink = Netlink::open()?;
        netlink.set_up(index_of("lo")?)?;
        netlink.set_up(index)?;
        for &address in addresses {
            let everywhere = match address {
                IpAddr::V4(_) => IpNet::new(Ipv4Addr::UNSPECIFIED.into(), 0),
                IpAddr::V6(_) => IpNet::new(Ipv6Addr::UNSPECIFIED.into(), 0),
            };
            netlink.add_address(address.into(), index)?;
            netlink.add_route(everywhere?, index)?;
        }
        Ok(Self { namespace: netns::current()?, queues })
    }

    /// The queues of its interface, one for each shard.
    pub(crate) fn take_queues(&mut self) -> Vec<N6> {
        std::mem::take(&mut self.queues)
    }
}

/// The process that serves the page.
pub(crate) struct Page {
    command: Vec<String>,
    namespace: OwnedFd,
    running: Option<Running>,
    /// How many there have been: an answer to a former one is nobody's.
    nth: u32,
    due: Mono,
    pause_ms: u64,
    buffer: Vec<u8>,
    /// Answers that it did not take.
    pub(crate) lost: u64,
}

struct Running {
    child: Child,
    socket: UnixDatagram,
    since: Mono,
}

impl Page {
    /// Not started yet.
    pub(crate) fn new(config: &ServiceConfig, room: Room) -> Self {
        Self {
            command: config.command.clone(),
            namespace: room.namespace,
            running: None,
            nth: 0,
            due: Mono(0),
            pause_ms: PAUSE_MS.0,
            buffer: vec![0; LONGEST],
            lost: 0,
        }
    }

    /// Starts it where it does not run, and takes note where it has ended.
    pub(crate) fn tend(&mut self, now: Mono) {
        if let Some(r) = &mut self.running
            && let Ok(Some(status)) = r.child.try_wait()
        {
            if now.ms_since(r.since) >= HEALTHY_MS {
                self.pause_ms = PAUSE_MS.0;
            }
            warn!(%status, "the page inside the closed network ended ({status}); it is started again");
            self.due = now.plus_ms(self.pause_ms);
            self.pause_ms = (self.pause_ms * 2).min(PAUSE_MS.1);
            self.running = None;
        }
        if self.running.is_none() && now >= self.due {
            match self.start(now) {
                Ok(running) => {
                    info!(pid = running.child.id(), "the page inside the closed network started");
                    self.nth = self.nth.wrapping_add(1);
                    self.running = Some(running);
                }
                Err(e) => {
                    warn!("the page inside the closed network cannot be started: {e:#}");
                    self.due = now.plus_ms(PAUSE_MS.1);
                }
            }
        }
    }

    #[allow(unsafe_code)]
    fn start(&self, now: Mono) -> Result<Running> {
        let (program, args) = self.command.split_first().context("no command")?;
        let (ours, theirs) = UnixDatagram::pair()?;
        ours.set_nonblocking(true)?;
        let namespace = self.namespace.as_raw_fd();
        let mut c = Command::new(program);
        c.args(args).env_clear().stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        // SAFETY: between fork and exec only setns(2) and prctl(2) are called, with integers; the descriptor is open as long
        // as `self`.
        unsafe {
            c.pre_exec(move || {
                let entered = libc::setns(namespace, libc::CLONE_NEWNET) == 0;
                if entered && libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            });
        }
        let child = c.spawn().with_context(|| program.clone())?;
        Ok(Running { child, socket: ours, since: now })
    }

    /// What was asked, each with the number by which it is answered.
    pub(crate) fn hear(&mut self) -> Vec<(u64, PageAsk)> {
        let Some(r) = &self.running else { return Vec::new() };
        let mut all = Vec::new();
        for _ in 0..A_TURN {
            let Ok(n) = r.socket.recv(&mut self.buffer) else { break };
            let asked = self.buffer.get(..n).and_then(|b| postcard::from_bytes::<Asked>(b).ok());
            all.extend(asked.map(|a| (u64::from(self.nth) << 32 | u64::from(a.id), a.ask)));
        }
        all
    }

    /// Gives it an answer. What it does not take is lost, and its asker is told after a while to try again.
    pub(crate) fn answer(&mut self, id: u64, answer: PageAnswer) {
        let Some(r) = self.running.as_ref().filter(|_| (id >> 32) as u32 == self.nth) else { return };
        let told = postcard::to_stdvec(&Answered { id: id as u32, answer });
        let told = told.ok().filter(|t| t.len() <= LONGEST);
        if told.is_none_or(|t| r.socket.send(&t).is_err()) {
            self.lost += 1;
        }
    }

    /// What to wait for.
    pub(crate) fn wait(&self) -> Option<Wait<'_>> {
        self.running.as_ref().map(|r| Wait::read(&r.socket))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Some(r) = &mut self.running {
            drop(r.child.kill());
            drop(r.child.wait());
        }
    }
}
