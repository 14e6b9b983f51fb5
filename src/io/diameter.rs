//! Diameter over TCP, TLS and SCTP: whole messages in, octets out. Who may speak is not judged here.
//!
//! One task for each connection. It reads only as fast as its messages are taken, and what it cannot write within
//! `PATIENCE` ends it. The other half of a connection is its [`Writer`], which goes with the event of its beginning;
//! dropping it sends what waits, and closes. The numbers of connections are the same for all three ways in, and so
//! are the limits.

mod sctp;
mod tls;

use anyhow::{Context as _, Result};
use hss::diameter::Transport;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, warn};
use wire::diameter;

pub use tls::Tls;

/// How long the rest of a message may take, a handshake, and how long a peer may not read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages that may wait to be sent by one connection: more than its peer's core has under way, both ways.
const WAITING: usize = 2_048;
/// Messages of one connection that are told of together: each telling wakes who hears it.
pub const TOGETHER: usize = 32;
/// How much is read at once.
const READ: usize = 16 * 1024;
/// Connections at a time, in all and from one address.
const MOST: usize = 256;
const MOST_OF_ONE: usize = 16;

/// What happens on connections.
#[derive(Debug)]
pub enum DiameterEvent {
    /// Somebody has connected.
    Connected {
        /// The connection's number; it rises.
        connection: u64,
        /// From where, and who a certificate says that it is.
        from: Transport,
        /// How it is written to.
        writer: Writer,
    },
    /// Messages have come, whole.
    Received {
        /// By which connection.
        connection: u64,
        /// Header and AVPs of each, in their order; at most [`TOGETHER`].
        messages: Vec<Vec<u8>>,
    },
    /// A connection has ended.
    Lost {
        /// Which.
        connection: u64,
    },
}

/// Takes the messages of one connection.
pub type Writer = mpsc::Sender<Vec<u8>>;

/// What all ways in have in common: where events go, the last connection's number, how many there are from where.
#[derive(Debug, Clone)]
pub struct Door {
    events: mpsc::Sender<DiameterEvent>,
    last: Arc<AtomicU64>,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place in the count, given back when dropped.
struct Place(Door, IpAddr);

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = all.get_mut(&self.1) {
            *n -= 1;
            if *n == 0 {
                all.remove(&self.1);
            }
        }
    }
}

/// A connection whose beginning was told.
struct Line {
    connection: u64,
    messages: mpsc::Receiver<Vec<u8>>,
    _place: Place,
}

impl Door {
    /// Events of all connections come by `events`.
    pub fn new(events: mpsc::Sender<DiameterEvent>) -> Self {
        Self { events, last: Arc::default(), counts: Arc::default() }
    }

    /// How many connections were told of.
    #[cfg(test)]
    pub fn begun(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// Listens by TCP.
    ///
    /// # Errors
    /// The address cannot be used.
    pub async fn tcp(&self, at: SocketAddr) -> Result<SocketAddr> {
        self.listen(at, None).await
    }

    /// Listens by TLS over TCP, begun before the first message (RFC 6733 §13.1). Who shows no good certificate is
    /// not told of.
    ///
    /// # Errors
    /// The address cannot be used.
    pub async fn tls(&self, at: SocketAddr, tls: Tls) -> Result<SocketAddr> {
        self.listen(at, Some(tls)).await
    }

    async fn listen(&self, at: SocketAddr, tls: Option<Tls>) -> Result<SocketAddr> {
        let listener = TcpListener::bind(at).await.with_context(|| format!("opening Diameter at {at}"))?;
        let local = listener.local_addr()?;
        tokio::spawn(accept(listener, tls, self.clone()));
        Ok(local)
    }

    fn place(&self, from: IpAddr) -> Option<Place> {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let free = all.values().sum::<usize>() < MOST && all.get(&from).is_none_or(|n| *n < MOST_OF_ONE);
        free.then(|| {
            *all.entry(from).or_default() += 1;
            Place(self.clone(), from)
        })
    }

    /// Tells of a new connection; `None` where nobody listens any more.
    async fn begin(&self, place: Place, from: Transport) -> Option<Line> {
        let connection = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (writer, messages) = mpsc::channel(WAITING);
        self.events.send(DiameterEvent::Connected { connection, from, writer }).await.ok()?;
        Some(Line { connection, messages, _place: place })
    }

    async fn lost(&self, connection: u64) {
        drop(self.events.send(DiameterEvent::Lost { connection }).await);
    }
}

async fn accept(listener: TcpListener, tls: Option<Tls>, door: Door) {
    while !door.events.is_closed() {
        let (stream, from) = match listener.accept().await {
            Ok((stream, from)) => (stream, from.ip().to_canonical()),
            Err(e) => {
                // No descriptors left, for one: those who are there go on, and the next one may have luck.
                warn!("Diameter: a connection could not be taken: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = door.place(from) else {
            debug!(%from, "Diameter: too many connections, this one is closed");
            continue;
        };
        tokio::spawn(serve(stream, place, tls.clone(), door.clone()));
    }
}

async fn serve(stream: TcpStream, place: Place, tls: Option<Tls>, door: Door) {
    let from = place.1;
    if let Err(e) = stream.set_nodelay(true) {
        return debug!(%from, "Diameter: a connection has ended: {e}");
    }
    let Some(tls) = tls else {
        return serve_line(stream, place, Transport { address: from, certified: None }, door).await;
    };
    match tls.shake_hands(stream).await {
        Ok((stream, names)) => {
            serve_line(stream, place, Transport { address: from, certified: Some(names) }, door).await;
        }
        Err(e) => tls.complain(from, &e),
    }
}

async fn serve_line<S: AsyncRead + AsyncWrite>(stream: S, place: Place, from: Transport, door: Door) {
    let Some(mut line) = door.begin(place, from).await else { return };
    let connection = line.connection;
    if let Err(e) = carry(stream, connection, &mut line.messages, &door.events).await {
        debug!(connection, "Diameter: a connection has ended: {e}");
    }
    door.lost(connection).await;
}

async fn carry<S: AsyncRead + AsyncWrite>(
    stream: S,
    connection: u64,
    messages: &mut mpsc::Receiver<Vec<u8>>,
    events: &mpsc::Sender<DiameterEvent>,
) -> Result<()> {
    let (mut reader, mut writer) = split(stream);
    let mut buffer = Vec::with_capacity(READ);
    let mut batch = Vec::new();
    let mut begun = Instant::now();
    loop {
        tokio::select! {
            n = messages.recv_many(&mut batch, WAITING) => {
                if n == 0 {
                    return Ok(writer.shutdown().await?);
                }
                let together = std::mem::take(&mut batch).concat();
                timeout(PATIENCE, writer.write_all(&together)).await.context("the peer does not read")??;
                writer.flush().await?;
            }
            n = reader.read_buf(&mut buffer) => {
                let n = n?;
                if n == 0 {
                    return Ok(());
                }
                // A message's time runs from its first octet on.
                let (mut anew, mut read) = (buffer.len() == n, 0);
                loop {
                    let (messages, whole) = some(&buffer, &mut read);
                    let n = messages.len();
                    if n > 0 {
                        anew = true;
                        if events.send(DiameterEvent::Received { connection, messages }).await.is_err() {
                            return Ok(());
                        }
                    }
                    whole?;
                    if n < TOGETHER {
                        break;
                    }
                }
                buffer.drain(..read);
                if anew {
                    begun = Instant::now();
                }
            }
            () = sleep_until(begun + PATIENCE), if !buffer.is_empty() => {
                anyhow::bail!("a message was not finished in time");
            }
        }
    }
}

/// The whole messages behind `read`, which moves behind them, and what is wrong with the one that follows.
fn some(buffer: &[u8], read: &mut usize) -> (Vec<Vec<u8>>, Result<()>) {
    let mut messages = Vec::new();
    while messages.len() < TOGETHER {
        match next(buffer, read) {
            Ok(Some(octets)) => messages.push(octets),
            Ok(None) => break,
            Err(e) => return (messages, Err(e)),
        }
    }
    (messages, Ok(()))
}

/// The message behind `read`, which moves behind it, if it is whole.
fn next(buffer: &[u8], read: &mut usize) -> Result<Option<Vec<u8>>> {
    let rest = buffer.get(*read..).unwrap_or_default();
    let Some(head) = rest.first_chunk::<4>() else { return Ok(None) };
    let length = diameter::length(*head)?;
    let message = rest.get(..length).map(<[u8]>::to_vec);
    *read += message.as_ref().map_or(0, Vec::len);
    Ok(message)
}
