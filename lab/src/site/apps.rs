//! The programs of the site: a web page, a PLC, a counter, and those who use them.

use super::{
    agent::{Outcome, Source},
    arrival::{Arrival, Stamped},
};
use anyhow::{Context, Result, bail};
use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::spawn_local,
};

/// What a host's counters and senders share.
#[derive(Default)]
pub struct Desk {
    /// Arrival of each counted datagram, nanoseconds of CLOCK_MONOTONIC; bounded to the newest million.
    arrivals: Mutex<Vec<u64>>,
    /// Datagrams counted since the start.
    all: AtomicU64,
    /// For each source: how many, when the last one came, and when the latest of them was sent.
    sources: Mutex<HashMap<IpAddr, (u64, u64, u64)>>,
    /// Datagrams sent.
    sent: AtomicU64,
    /// Raised by [`Desk::quiet`]; senders of an older number end.
    turn: AtomicU64,
}

/// How many arrivals are kept.
const ARRIVALS: usize = 1_000_000;

impl Desk {
    /// What was counted, and how much of it came after `since_ns`.
    pub fn counted(&self, since_ns: u64) -> Outcome {
        let a = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let after = a.iter().rev().take_while(|t| **t > since_ns).count() as u64;
        Outcome::Datagrams {
            all: self.all.load(Ordering::Relaxed),
            after,
            last_ns: a.last().copied().unwrap_or_default(),
        }
    }

    /// What was counted from one source; `after` is 1 where its last one came after `since_ns`.
    pub fn counted_from(&self, source: IpAddr, since_ns: u64) -> Outcome {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, last_ns, _) = sources.get(&source).copied().unwrap_or_default();
        Outcome::Datagrams { all, after: u64::from(last_ns > since_ns), last_ns }
    }

    /// What was counted, source by source.
    pub fn sources(&self) -> Outcome {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let source = |(source, (all, last_ns, sent_ns)): (&IpAddr, &(u64, u64, u64))| Source {
            source: *source,
            all: *all,
            last_ns: *last_ns,
            sent_ns: *sent_ns,
        };
        Outcome::Sources(sources.iter().map(source).collect())
    }

    /// Ends all senders.
    pub fn quiet(&self) -> Outcome {
        self.turn.fetch_add(1, Ordering::Relaxed);
        Outcome::Datagrams { all: self.sent.load(Ordering::Relaxed), after: 0, last_ns: 0 }
    }
}

/// Nanoseconds of CLOCK_MONOTONIC: the same clock in every process of this machine.
pub fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of a clock of this machine.
#[allow(unsafe_code)]
pub(super) fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes the timespec that it is given.
    unsafe { libc::clock_gettime(clock, &raw mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// Runs `what` for at most `ms` milliseconds, and puts its failure in the words of an [`Outcome`].
pub async fn within(ms: u64, what: impl Future<Output = Result<Outcome>>) -> Outcome {
    match tokio::time::timeout(Duration::from_millis(ms), what).await {
        Err(_) => Outcome::Silence,
        Ok(Ok(o)) => o,
        Ok(Err(e)) => match e.downcast_ref::<io::Error>() {
            Some(i) if is_refusal(i) => Outcome::Refused { how: i.to_string() },
            _ => Outcome::Failed { why: format!("{e:#}") },
        },
    }
}

/// True for what a reset or an ICMP "unreachable" turns into.
fn is_refusal(e: &io::Error) -> bool {
    matches!(
        e.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::ECONNRESET
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EACCES
                | libc::EPIPE
        )
    )
}

/// Serves HTTP/1.1: every request is answered with `bytes` octets.
pub async fn serve_http(at: SocketAddr, bytes: u64) -> Result<()> {
    let listener = TcpListener::bind(at).await.with_context(|| format!("listening at {at}"))?;
    spawn_local(async move {
        while let Ok((s, _)) = listener.accept().await {
            spawn_local(async move { page(s, bytes).await });
        }
    });
    Ok(())
}

async fn page(mut s: TcpStream, bytes: u64) -> Result<()> {
    let mut head = Vec::new();
    let mut b = [0u8; 1024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let n = s.read(&mut b).await?;
        if n == 0 || head.len() > 16 * 1024 {
            bail!("no request");
        }
        head.extend_from_slice(b.get(..n).unwrap_or_default());
    }
    s.write_all(
        format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n").as_bytes(),
    )
    .await?;
    let block = vec![b'.'; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(block.len() as u64) as usize;
        s.write_all(block.get(..n).unwrap_or_default()).await?;
        left -= n as u64;
    }
    s.shutdown().await?;
    Ok(())
}

/// Fetches `/` from `from` and reads the whole body.
pub async fn fetch(from: SocketAddr) -> Result<Outcome> {
    let start = Instant::now();
    let mut s = TcpStream::connect(from).await?;
    s.write_all(format!("GET / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", from.ip()).as_bytes())
        .await?;
    let mut head = Vec::new();
    let mut b = vec![0u8; 256 * 1024];
    let (status, mut body) = loop {
        let n = s.read(&mut b).await?;
        if n == 0 {
            bail!("the page ended within its head");
        }
        head.extend_from_slice(b.get(..n).unwrap_or_default());
        if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(head.get(..end).unwrap_or_default()).into_owned();
            let status = text.split(' ').nth(1).and_then(|c| c.parse().ok()).context("no HTTP status")?;
            break (status, (head.len() - end - 4) as u64);
        }
    };
    loop {
        match s.read(&mut b).await? {
            0 => break,
            n => body += n as u64,
        }
    }
    Ok(Outcome::Fetched { status, bytes: body, us: start.elapsed().as_micros() as u64 })
}

/// Opens a TCP connection.
pub async fn connect(to: SocketAddr) -> Result<Outcome> {
    let start = Instant::now();
    TcpStream::connect(to).await?;
    Ok(Outcome::Connected { us: start.elapsed().as_micros() as u64 })
}

/// Serves Modbus/TCP function 3 (read holding registers): register n holds n + a count of requests.
pub async fn serve_modbus(at: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(at).await.with_context(|| format!("listening at {at}"))?;
    let served = Rc::new(RefCell::new(0u16));
    spawn_local(async move {
        while let Ok((s, _)) = listener.accept().await {
            let served = served.clone();
            spawn_local(async move { plc(s, served).await });
        }
    });
    Ok(())
}

async fn plc(mut s: TcpStream, served: Rc<RefCell<u16>>) -> Result<()> {
    loop {
        // MBAP: transaction, protocol (0), length, unit; then function and data.
        let mut mbap = [0u8; 7];
        s.read_exact(&mut mbap).await?;
        let [t1, t2, 0, 0, l1, l2, unit] = mbap else { bail!("not Modbus/TCP") };
        let len = usize::from(u16::from_be_bytes([l1, l2]));
        let mut pdu = vec![0u8; len.saturating_sub(1).min(260)];
        s.read_exact(&mut pdu).await?;
        let answer = match pdu.as_slice() {
            [3, a1, a2, c1, c2] => {
                let (first, count) = (u16::from_be_bytes([*a1, *a2]), u16::from_be_bytes([*c1, *c2]));
                if (1..=125).contains(&count) {
                    let base = *served.borrow();
                    *served.borrow_mut() = base.wrapping_add(1);
                    let mut out = vec![3, (count * 2) as u8];
                    out.extend(
                        (0..count).flat_map(|i| first.wrapping_add(i).wrapping_add(base).to_be_bytes()),
                    );
                    out
                } else {
                    vec![0x83, 3]
                }
            }
            [f, ..] => vec![f | 0x80, 1],
            [] => bail!("empty request"),
        };
        let [n1, n2] = (answer.len() as u16 + 1).to_be_bytes();
        let mut frame = vec![t1, t2, 0, 0, n1, n2, unit];
        frame.extend_from_slice(&answer);
        s.write_all(&frame).await?;
    }
}

/// Reads `count` holding registers from `first` on.
pub async fn read_modbus(from: SocketAddr, first: u16, count: u16) -> Result<Outcome> {
    let mut s = TcpStream::connect(from).await?;
    let ([a1, a2], [c1, c2]) = (first.to_be_bytes(), count.to_be_bytes());
    s.write_all(&[0, 1, 0, 0, 0, 6, 1, 3, a1, a2, c1, c2]).await?;
    let mut mbap = [0u8; 9];
    s.read_exact(&mut mbap).await?;
    let [0, 1, 0, 0, _, _, 1, 3, bytes] = mbap else { bail!("the PLC answered with an exception") };
    let mut data = vec![0u8; usize::from(bytes)];
    s.read_exact(&mut data).await?;
    let values =
        data.chunks_exact(2).filter_map(|p| <[u8; 2]>::try_from(p).ok()).map(u16::from_be_bytes).collect();
    Ok(Outcome::Registers { values })
}

/// Counts the datagrams that come to `at`.
pub async fn count_udp(desk: &Arc<Desk>, at: SocketAddr) -> Result<()> {
    let s = Stamped::bind(at).await.with_context(|| format!("listening at {at}"))?;
    let desk = desk.clone();
    spawn_local(async move {
        let mut b = [0u8; 2048];
        while let Ok(Arrival { bytes, from, at_ns }) = s.next(&mut b).await {
            let stamp = b.get(..bytes).and_then(|p| p.first_chunk().copied()).map_or(0, u64::from_be_bytes);
            desk.all.fetch_add(1, Ordering::Relaxed);
            let mut sources = desk.sources.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = sources.entry(from.ip()).or_default();
            *seen = (seen.0 + 1, at_ns, seen.2.max(stamp));
            drop(sources);
            let mut a = desk.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            if a.len() == ARRIVALS {
                a.drain(..ARRIVALS / 2);
            }
            a.push(at_ns);
        }
    });
    Ok(())
}

/// Sends datagrams to `to` until the desk is told to be quiet.
pub async fn send_udp(desk: &Arc<Desk>, to: SocketAddr, per_second: u32, bytes: usize) -> Result<()> {
    if per_second == 0 || bytes > 9000 {
        bail!("a rate above 0 and at most 9000 octets");
    }
    let s = UdpSocket::bind("0.0.0.0:0").await?;
    s.connect(to).await?;
    let (desk, turn) = (desk.clone(), desk.turn.load(Ordering::Relaxed));
    spawn_local(async move {
        let payload = vec![0u8; bytes];
        let start = Instant::now();
        let mut sent = 0u64;
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while desk.turn.load(Ordering::Relaxed) == turn {
            tick.tick().await;
            let due = (start.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
            // What is sent after the answer to `Quiet` would not be in its count.
            while sent < due && desk.turn.load(Ordering::Relaxed) == turn {
                // An ICMP error of an earlier datagram is reported here; the stream goes on regardless.
                drop(s.send(&payload).await);
                sent += 1;
                desk.sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Ok(())
}

/// Sends one UDP datagram with a forged source address.
pub fn spoof(from: Ipv4Addr, to: SocketAddr) -> Result<()> {
    let SocketAddr::V4(to) = to else { bail!("IPv4 only") };
    let s = socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::from(libc::SOCK_RAW),
        Some(socket2::Protocol::from(libc::IPPROTO_RAW)),
    )?;
    let payload = b"forged";
    let total = (20 + 8 + payload.len()) as u16;
    let mut p = Vec::with_capacity(usize::from(total));
    // IPv4 header: version 4, IHL 5; the kernel fills in checksum and identification.
    p.extend([0x45, 0]);
    p.extend(total.to_be_bytes());
    p.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    p.extend(from.octets());
    p.extend(to.ip().octets());
    p.extend(40_000u16.to_be_bytes());
    p.extend(to.port().to_be_bytes());
    p.extend((total - 20).to_be_bytes());
    // A zero UDP checksum means that there is none (RFC 768).
    p.extend([0, 0]);
    p.extend(payload);
    s.send_to(&p, &SocketAddr::V4(to).into())?;
    Ok(())
}

/// Sends one ICMP echo request and waits for its answer.
pub async fn ping(to: Ipv4Addr) -> Result<Outcome> {
    let s = socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::from(libc::SOCK_RAW),
        Some(socket2::Protocol::ICMPV4),
    )?;
    s.set_nonblocking(true)?;
    let id = (std::process::id() & 0xffff) as u16;
    let mut p = vec![8, 0, 0, 0];
    p.extend(id.to_be_bytes());
    p.extend([0, 1]);
    p.extend(*b"sekisho-ping");
    let sum = p.chunks(2).fold(0u32, |a, c| {
        a + u32::from(u16::from_be_bytes([c.first().copied().unwrap_or(0), c.get(1).copied().unwrap_or(0)]))
    });
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    if let Some(field) = p.get_mut(2..4) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    let start = Instant::now();
    // A raw socket answers to the calls of a UDP one: sendto, recvfrom and poll.
    let s = UdpSocket::from_std(s.into())?;
    s.send_to(&p, (to, 0)).await?;
    let mut b = [0u8; 1500];
    loop {
        let (n, from) = s.recv_from(&mut b).await?;
        // The kernel hands over the IPv4 header (20 octets without options), then the ICMP message.
        let answer = b.get(20..n).unwrap_or_default();
        let ours = answer.first() == Some(&0) && answer.get(4..6) == Some(&id.to_be_bytes()[..]);
        if ours && from.ip() == to {
            return Ok(Outcome::Echo { us: start.elapsed().as_micros() as u64 });
        }
    }
}
