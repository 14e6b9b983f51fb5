//! The kernel's SCTP behind the same face: one socket for each association, in one thread.
//!
//! The sockets are those of `oxirush-sctp` (RFC 6458, one-to-one style): whole messages, PPID in network order,
//! notifications. What is added here:
//!
//! - **Who may speak.** A packet filter on the listening socket drops INITs from addresses outside
//!   [`SctpConfig::allowed`] before the kernel answers, so strangers hear nothing here either. Such packets are not
//!   counted: the kernel does not tell of them. Past [`FILTERED`] prefixes, and for IPv6, there is no filter; the
//!   association is then aborted as soon as it is accepted.
//! - **Limits.** The kernel keeps nothing before the COOKIE ECHO. An association over a limit is aborted when it is
//!   accepted, before the owner hears of it.
//! - **A slow owner** stops the reading of an association, and the kernel closes the peer's window. A peer that does
//!   not read is cut off at [`SEND_QUEUE`] octets.
//! - **Restart.** A peer that restarts on the same ports gets a new number: `Down` with
//!   [`DownReason::Restarted`], then `Up`. What was queued for its former life is not sent.
//!
//! A message over [`MAX_MESSAGE`] ends the association when its last octet has come; what is beyond the limit is
//! thrown away as it comes, so a message without an end costs its sender's association and no memory here.
//!
//! When the transport ends, every peer gets ABORT, as from the userspace stack.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod association;
mod filter;
mod sockets;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use oxirush_sctp::{ConnectedSocket, Listener};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use super::driver::SctpCounters;
use super::task::{COMMANDS, EVENTS};
use super::{DownReason, MAX_MESSAGE, SctpCommand, SctpConfig, SctpEvent, SctpHandle, SctpMode};
use association::Association;

/// Prefixes that fit into the packet filter.
const FILTERED: usize = 1000;

/// Octets that may wait to be sent on one association; more means that the peer does not read.
const SEND_QUEUE: usize = 1 << 20;

/// Accepts associations on `config.port`.
///
/// # Errors
/// The kernel has no SCTP (the text says what to do), or the socket cannot be opened, bound or set up.
pub(super) fn listen(config: SctpConfig) -> io::Result<SctpHandle> {
    start(config, None)
}

/// Connects to `peer`; the association's number is 1.
///
/// # Errors
/// As [`listen`].
pub(super) fn connect(config: SctpConfig, peer: SocketAddr) -> io::Result<(SctpHandle, u64)> {
    Ok((start(config, Some(peer))?, 1))
}

fn start(config: SctpConfig, peer: Option<SocketAddr>) -> io::Result<SctpHandle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (event_tx, events) = mpsc::channel(EVENTS);
    let (commands, command_rx) = mpsc::channel(COMMANDS);
    let (counter_tx, counters) = watch::channel(SctpCounters::default());
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    // A new thread is in the network namespace of the one that made it.
    std::thread::Builder::new().name("sctp".into()).spawn(move || {
        LocalSet::new().block_on(&runtime, async move {
            let opened = sockets::open(&config, peer.is_none());
            let (socket, local) = match opened {
                Ok(opened) => opened,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let transport = Transport {
                config,
                events: event_tx,
                table: Rc::new(RefCell::new(Table::new(counter_tx))),
                tasks: JoinSet::new(),
            };
            match (peer, socket) {
                (None, sockets::Opened::Listener(listener)) => {
                    drop(tell.send(Ok(local)));
                    transport.serve(listener, command_rx).await;
                }
                (Some(peer), sockets::Opened::Socket(socket)) => {
                    drop(tell.send(Ok(local)));
                    transport.connect(socket, peer, command_rx).await;
                }
                _ => drop(tell.send(Err(io::Error::from(io::ErrorKind::Unsupported)))),
            }
        });
    })?;
    let local = told.recv().map_err(|_| io::Error::other("the SCTP thread has ended"))??;
    Ok(SctpHandle { events, commands, counters, local, mode: SctpMode::Kernel })
}

/// What an association's task is told.
enum Order {
    Send(Outgoing),
    Close,
    Abort,
    /// More waits to be sent than may.
    Overrun,
}

/// A message to send.
struct Outgoing {
    stream: u16,
    ppid: u32,
    bytes: Vec<u8>,
}

/// An association as the thread knows it.
struct Peer {
    ip: IpAddr,
    orders: UnboundedSender<Order>,
    /// Octets that wait to be sent.
    queued: Rc<Cell<usize>>,
}

/// All associations of the thread. Borrowed between two awaits only.
struct Table {
    next: u64,
    peers: BTreeMap<u64, Peer>,
    counters: SctpCounters,
    shown: watch::Sender<SctpCounters>,
}

/// The task's end of a [`Peer`].
struct Entry {
    id: u64,
    orders: UnboundedReceiver<Order>,
    queued: Rc<Cell<usize>>,
}

impl Table {
    fn new(shown: watch::Sender<SctpCounters>) -> Self {
        Self { next: 1, peers: BTreeMap::new(), counters: SctpCounters::default(), shown }
    }

    fn insert(&mut self, ip: IpAddr) -> Entry {
        let (id, queued) = (self.next, Rc::new(Cell::new(0)));
        self.next += 1;
        let (tx, orders) = mpsc::unbounded_channel();
        self.peers.insert(id, Peer { ip, orders: tx, queued: queued.clone() });
        Entry { id, orders, queued }
    }

    fn count(&mut self, change: impl FnOnce(&mut SctpCounters)) {
        change(&mut self.counters);
        self.shown.send_replace(self.counters);
    }

    /// A command of the owner; one to an association that is gone is ignored.
    fn obey(&mut self, command: SctpCommand) {
        let (assoc, order) = match command {
            SctpCommand::Send { assoc, stream, ppid, bytes } => {
                (assoc, Order::Send(Outgoing { stream, ppid, bytes }))
            }
            SctpCommand::Close { assoc } => (assoc, Order::Close),
            SctpCommand::Abort { assoc } => (assoc, Order::Abort),
        };
        let Some(peer) = self.peers.get(&assoc) else {
            return tracing::debug!(assoc, "command to SCTP association {assoc}, which is gone");
        };
        let order = match order {
            Order::Send(message) => {
                let size = message.bytes.len();
                if size == 0 || size > MAX_MESSAGE {
                    return tracing::warn!(assoc, "a message of {size} octets cannot be sent");
                }
                let queued = peer.queued.get() + size;
                peer.queued.set(queued);
                if queued > SEND_QUEUE { Order::Overrun } else { Order::Send(message) }
            }
            other => other,
        };
        // Where this fails the association has just ended.
        drop(peer.orders.send(order));
    }
}

struct Transport {
    config: SctpConfig,
    events: mpsc::Sender<SctpEvent>,
    table: Rc<RefCell<Table>>,
    tasks: JoinSet<()>,
}

impl Transport {
    /// Until the owner is gone.
    async fn serve(mut self, listener: Listener, mut commands: mpsc::Receiver<SctpCommand>) {
        let events = self.events.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, from)) => self.admit(socket, from),
                    Err(error) => {
                        tracing::warn!("SCTP listener: {error}");
                        // Out of descriptors or memory: the listener stays readable, so give it time.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                command = commands.recv() => match command {
                    Some(command) => self.table.borrow_mut().obey(command),
                    None => break,
                },
                () = events.closed() => break,
                Some(ended) = self.tasks.join_next() => complain(ended),
            }
        }
        // The port is free before the owner sees the end of the events.
        drop(listener);
        self.end().await;
    }

    /// Until the association has ended or the owner is gone.
    async fn connect(
        mut self,
        socket: oxirush_sctp::Socket,
        peer: SocketAddr,
        mut commands: mpsc::Receiver<SctpCommand>,
    ) {
        let entry = self.table.borrow_mut().insert(peer.ip());
        let (events, table) = (self.events.clone(), self.table.clone());
        self.tasks.spawn_local(association::connect(socket, peer, entry, events.clone(), table));
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.table.borrow_mut().obey(command),
                    None => break,
                },
                () = events.closed() => break,
                ended = self.tasks.join_next() => {
                    ended.into_iter().for_each(complain);
                    break;
                }
            }
        }
        self.end().await;
    }

    /// A new association: the limits and the list of who may speak are looked at again.
    fn admit(&mut self, socket: ConnectedSocket, from: SocketAddr) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let mut table = self.table.borrow_mut();
        let limits = &self.config.limits;
        let same = table.peers.values().filter(|p| p.ip == from.ip()).count();
        if !self.config.allowed.iter().any(|net| net.contains(&from.ip())) {
            table.count(|c| c.not_allowed += 1);
            return sockets::abort(socket);
        }
        if table.peers.len() >= limits.associations || same >= limits.per_peer {
            table.count(|c| c.over_limit += 1);
            tracing::warn!(%from, "SCTP association with {from} refused: too many");
            return sockets::abort(socket);
        }
        let entry = table.insert(from.ip());
        drop(table);
        let task = Association::new(socket, from, entry, self.events.clone(), self.table.clone());
        self.tasks.spawn_local(task.run());
    }

    /// ABORT to everybody: without a sender of orders a task aborts.
    async fn end(mut self) {
        self.table.borrow_mut().peers.clear();
        while let Some(ended) = self.tasks.join_next().await {
            complain(ended);
        }
    }
}

fn complain(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("task of an SCTP association: {error}");
    }
}
