//! Diameter over TCP: whole messages in, octets out. Who may speak is not judged here.
//!
//! One task for each connection. It reads only as fast as its messages are taken, and what it cannot write within
//! `PATIENCE` ends it. The other half of a connection is its [`Writer`], which goes with the event of its beginning;
//! dropping it sends what waits, and closes.

use anyhow::{Context as _, Result};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, warn};
use wire::diameter;

/// How long the rest of a message may take, and how long a peer may not read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages that may wait to be sent by one connection.
const WAITING: usize = 1_024;
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
        /// From where.
        from: IpAddr,
        /// How it is written to.
        writer: Writer,
    },
    /// A message has come, whole.
    Received {
        /// By which connection.
        connection: u64,
        /// Header and AVPs.
        octets: Vec<u8>,
    },
    /// A connection has ended.
    Lost {
        /// Which.
        connection: u64,
    },
}

/// Takes the messages of one connection.
pub type Writer = mpsc::Sender<Vec<u8>>;

/// How many connections there are from where.
type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A place in the count, given back when dropped.
struct Place(Counts, IpAddr);

impl Place {
    fn take(counts: &Counts, from: IpAddr) -> Option<Self> {
        let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let free = all.values().sum::<usize>() < MOST && all.get(&from).is_none_or(|n| *n < MOST_OF_ONE);
        free.then(|| {
            *all.entry(from).or_default() += 1;
            Self(Arc::clone(counts), from)
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = all.get_mut(&self.1) {
            *n -= 1;
            if *n == 0 {
                all.remove(&self.1);
            }
        }
    }
}

/// Listens; events come by `events`.
///
/// # Errors
/// The address cannot be used.
pub async fn listen(at: SocketAddr, events: mpsc::Sender<DiameterEvent>) -> Result<SocketAddr> {
    let listener = TcpListener::bind(at).await.with_context(|| format!("opening S6a at {at}"))?;
    let local = listener.local_addr()?;
    tokio::spawn(accept(listener, events));
    Ok(local)
}

async fn accept(listener: TcpListener, events: mpsc::Sender<DiameterEvent>) {
    let counts = Counts::default();
    let mut last = 0;
    loop {
        let (stream, from) = match listener.accept().await {
            Ok((stream, from)) => (stream, from.ip().to_canonical()),
            Err(e) => {
                // No descriptors left, for one: those who are there go on, and the next one may have luck.
                warn!("S6a: a connection could not be taken: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = Place::take(&counts, from) else {
            debug!(%from, "S6a: too many connections, this one is closed");
            continue;
        };
        last += 1;
        let (writer, messages) = mpsc::channel(WAITING);
        if events.send(DiameterEvent::Connected { connection: last, from, writer }).await.is_err() {
            return;
        }
        tokio::spawn(serve(stream, last, messages, events.clone(), place));
    }
}

async fn serve(
    stream: TcpStream,
    connection: u64,
    mut messages: mpsc::Receiver<Vec<u8>>,
    events: mpsc::Sender<DiameterEvent>,
    _place: Place,
) {
    if let Err(e) = carry(stream, connection, &mut messages, &events).await {
        debug!(connection, "S6a: a connection has ended: {e}");
    }
    drop(events.send(DiameterEvent::Lost { connection }).await);
}

async fn carry(
    mut stream: TcpStream,
    connection: u64,
    messages: &mut mpsc::Receiver<Vec<u8>>,
    events: &mpsc::Sender<DiameterEvent>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let mut buffer = Vec::with_capacity(4096);
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
            }
            n = reader.read_buf(&mut buffer) => {
                let n = n?;
                if n == 0 {
                    return Ok(());
                }
                // A message's time runs from its first octet on.
                let mut anew = buffer.len() == n;
                while let Some(octets) = first(&mut buffer)? {
                    if events.send(DiameterEvent::Received { connection, octets }).await.is_err() {
                        return Ok(());
                    }
                    anew = true;
                }
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

/// Takes the first message out, if it is whole.
fn first(buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>> {
    let Some(head) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = diameter::length(*head)?;
    if buffer.len() < length {
        return Ok(None);
    }
    let rest = buffer.split_off(length);
    Ok(Some(std::mem::replace(buffer, rest)))
}
