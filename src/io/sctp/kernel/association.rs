//! The task of one association: what the kernel says becomes events, orders become messages.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use oxirush_sctp::{
    AssocChangeState, AssociationChange, ConnectedSocket, Notification, NotificationOrData, ReceivedData,
    SendOptions, Socket,
};
use tokio::sync::mpsc;

use super::super::task::log;
use super::{DownReason, Entry, Order, Outgoing, SctpEvent, Table, sockets};

/// Connects, then is the association's task.
pub(super) async fn connect(
    socket: Socket,
    peer: SocketAddr,
    mut entry: Entry,
    events: mpsc::Sender<SctpEvent>,
    table: Rc<RefCell<Table>>,
) {
    let connecting = socket.connect(peer);
    tokio::pin!(connecting);
    let reason = loop {
        tokio::select! {
            connected = &mut connecting => match connected {
                Ok((socket, _)) => return Association::new(socket, peer, entry, events, table).run().await,
                Err(error) => break not_connected(&error),
            },
            order = entry.orders.recv() => match order {
                Some(Order::Close | Order::Abort) | None => break DownReason::Ended,
                // Nobody is there yet; the owner was not told `Up`.
                Some(Order::Send(_) | Order::Overrun) => {}
            },
        }
    };
    table.borrow_mut().peers.remove(&entry.id);
    deliver(&events, SctpEvent::Down { assoc: entry.id, reason }).await;
}

fn not_connected(error: &io::Error) -> DownReason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DownReason::Aborted("refused".to_owned()),
        io::ErrorKind::ConnectionReset => DownReason::Aborted("reset".to_owned()),
        _ => DownReason::Lost,
    }
}

/// Hands over an event; false when the owner is gone.
async fn deliver(events: &mpsc::Sender<SctpEvent>, event: SctpEvent) -> bool {
    log(&event);
    events.send(event).await.is_ok()
}

/// How the talk ended.
enum End {
    /// The association is gone, or has to go with ABORT.
    Down(DownReason),
    /// The owner is gone.
    Deserted,
}

/// One association.
pub(super) struct Association {
    socket: ConnectedSocket,
    peer: SocketAddr,
    entry: Entry,
    events: mpsc::Sender<SctpEvent>,
    table: Rc<RefCell<Table>>,
    /// Streams we may send on.
    streams: u16,
    /// Waits for the owner. While anything is here nothing is read.
    pending: VecDeque<SctpEvent>,
    /// Waits for the peer.
    queue: VecDeque<Outgoing>,
    /// A close was asked for.
    closing: bool,
    /// SHUTDOWN was asked of the kernel.
    shut: bool,
    /// Why the peer aborted, if it said so.
    cause: u16,
}

impl Association {
    /// An association that stands.
    pub fn new(
        socket: ConnectedSocket,
        peer: SocketAddr,
        entry: Entry,
        events: mpsc::Sender<SctpEvent>,
        table: Rc<RefCell<Table>>,
    ) -> Self {
        let mut new = Self {
            socket,
            peer,
            entry,
            events,
            table,
            streams: 1,
            pending: VecDeque::new(),
            queue: VecDeque::new(),
            closing: false,
            shut: false,
            cause: 0,
        };
        new.up();
        new
    }

    fn up(&mut self) {
        // An association that has ended meanwhile says so when it is read.
        self.streams = self.socket.status().map_or(1, |s| s.outstreams);
        self.table.borrow_mut().count(|c| c.up += 1);
        let (assoc, peer, streams) = (self.entry.id, self.peer, self.streams);
        self.pending.push_back(SctpEvent::Up { assoc, peer, streams });
    }

    /// Until it ends.
    pub async fn run(mut self) {
        let end = self.talk().await;
        let id = self.entry.id;
        {
            let mut table = self.table.borrow_mut();
            table.peers.remove(&id);
            table.count(|c| {
                c.down += 1;
                c.misbehaved += u64::from(matches!(end, End::Down(DownReason::Misbehaved(_))));
            });
        }
        // Does nothing to an association that has ended.
        sockets::abort(self.socket);
        let End::Down(reason) = end else { return };
        for event in self.pending.into_iter().chain([SctpEvent::Down { assoc: id, reason }]) {
            if !deliver(&self.events, event).await {
                return;
            }
        }
    }

    async fn talk(&mut self) -> End {
        let events = self.events.clone();
        loop {
            self.say_goodbye();
            let next = self.queue.front();
            let (socket, streams) = (&self.socket, self.streams);
            tokio::select! {
                order = self.entry.orders.recv() => match order {
                    Some(Order::Send(message)) => self.queue.push_back(message),
                    Some(Order::Close) => self.closing = true,
                    Some(Order::Abort) => return End::Down(DownReason::Ended),
                    Some(Order::Overrun) => return End::Down(DownReason::Overrun),
                    None => return End::Deserted,
                },
                room = events.reserve(), if !self.pending.is_empty() => match room {
                    Ok(permit) => {
                        if let Some(event) = self.pending.pop_front() {
                            log(&event);
                            permit.send(event);
                        }
                    }
                    Err(_) => return End::Deserted,
                },
                received = socket.recv(), if self.pending.is_empty() => {
                    if let Some(reason) = self.hear(received) {
                        return End::Down(reason);
                    }
                }
                sent = send(socket, next, streams) => {
                    if let Some(reason) = self.sent(sent) {
                        return End::Down(reason);
                    }
                }
            }
        }
    }

    /// SHUTDOWN, once all that was queued is with the kernel, which sends it first.
    fn say_goodbye(&mut self) {
        if self.closing && !self.shut && self.queue.is_empty() {
            self.shut = true;
            if let Err(error) = self.socket.shutdown(std::net::Shutdown::Write) {
                tracing::debug!("SCTP SHUTDOWN: {error}");
            }
        }
    }

    /// What the kernel gave; the reason where the association has ended or has to end.
    fn hear(&mut self, received: io::Result<Option<NotificationOrData>>) -> Option<DownReason> {
        match received {
            Ok(Some(NotificationOrData::Data(message))) => self.message(message),
            Ok(Some(NotificationOrData::Notification(Notification::AssociationChange(change)))) => {
                self.changed(&change);
            }
            Ok(Some(other)) => tracing::debug!("SCTP: {other:?}"),
            Ok(None) => return Some(DownReason::Closed),
            Err(error) => return Some(self.ended(&error)),
        }
        None
    }

    fn message(&mut self, message: ReceivedData) {
        let (stream, ppid) = (message.stream_id().unwrap_or(0), message.ppid().unwrap_or(0));
        let event = SctpEvent::Data { assoc: self.entry.id, stream, ppid, bytes: message.payload };
        self.pending.push_back(event);
    }

    fn changed(&mut self, change: &AssociationChange) {
        match change.state {
            AssocChangeState::Restart => self.restart(),
            AssocChangeState::CommLost => self.cause = change.cause,
            _ => {}
        }
    }

    /// RFC 9260 §5.2.4 A: the same socket, another life of the peer.
    fn restart(&mut self) {
        let former = self.entry.id;
        {
            let mut table = self.table.borrow_mut();
            table.peers.remove(&former);
            table.count(|c| c.down += 1);
            self.entry = table.insert(self.peer.ip());
        }
        self.queue.clear();
        self.pending.push_back(SctpEvent::Down { assoc: former, reason: DownReason::Restarted });
        self.up();
    }

    fn ended(&self, error: &io::Error) -> DownReason {
        match error.kind() {
            io::ErrorKind::InvalidData => DownReason::Misbehaved("message longer than 64 KiB"),
            io::ErrorKind::ConnectionReset => DownReason::Aborted(match self.cause {
                0 => "no cause given".to_owned(),
                cause => format!("cause {cause}"),
            }),
            // The kernel sent ABORT because of what the peer sent.
            io::ErrorKind::ConnectionAborted => DownReason::Misbehaved("protocol violation"),
            io::ErrorKind::BrokenPipe => DownReason::Closed,
            _ => {
                tracing::debug!("SCTP association lost: {error}");
                DownReason::Lost
            }
        }
    }

    /// What became of the first message of the queue.
    fn sent(&mut self, result: io::Result<()>) -> Option<DownReason> {
        let size = self.queue.pop_front().map_or(0, |m| m.bytes.len());
        self.entry.queued.set(self.entry.queued.get().saturating_sub(size));
        let error = result.err()?;
        match error.kind() {
            // The association has ended; `recv` says how.
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::TimedOut => None,
            // NGAP cannot bear a lost message.
            _ => {
                tracing::error!("SCTP message of {size} octets not sent: {error}");
                Some(DownReason::Internal)
            }
        }
    }
}

/// Sends `message`, or waits for ever where there is none.
async fn send(socket: &ConnectedSocket, message: Option<&Outgoing>, streams: u16) -> io::Result<()> {
    let Some(message) = message else { return std::future::pending().await };
    // A stream that was not negotiated becomes stream 0, which always exists.
    let stream = if message.stream < streams { message.stream } else { 0 };
    socket.send(&message.bytes, SendOptions::new().stream(stream).ppid(message.ppid)).await
}
