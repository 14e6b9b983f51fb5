//! The thread that owns the socket and the clock of the userspace stack, and hands both to [`Driver`].
//!
//! It is a thread with a runtime of its own because a dcsctp socket cannot move between threads. It ends, after
//! ABORT to every peer, when the handle and all clones of its command sender are gone; a client's
//! also when its association is.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;
use types::Mono;

use super::driver::{Driver, SctpCounters, Transmit};
use super::raw::{self, RawSocket};
use super::{SctpCommand, SctpConfig, SctpEvent, SctpMode};
use super::{kernel, udp};

/// Events in the channel to the owner. Few, so that what waits is counted per association, in the driver.
pub(super) const EVENTS: usize = 64;

/// Commands that may wait in the channel.
pub(super) const COMMANDS: usize = 1024;

/// How often dropped packets may make a log line.
const COMPLAIN: Duration = Duration::from_secs(10);

/// Starts the transport.
#[derive(Debug)]
pub struct Sctp;

/// The owner's end of a running transport.
#[derive(Debug)]
pub struct SctpHandle {
    /// What happens. Ends when the transport has ended.
    pub events: mpsc::Receiver<SctpEvent>,
    /// What shall happen. A command to an association that is gone is ignored.
    pub commands: mpsc::Sender<SctpCommand>,
    /// What was counted so far.
    pub counters: watch::Receiver<SctpCounters>,
    /// The address that is bound; in UDP mode with the UDP port.
    pub local: SocketAddr,
    /// What carries the packets.
    pub mode: SctpMode,
}

impl Sctp {
    /// Accepts associations on `config.port`. `seed` must come from the operating system.
    ///
    /// The socket is opened in the caller's network namespace.
    ///
    /// # Errors
    /// The socket cannot be opened or bound.
    pub fn listen(config: SctpConfig, seed: [u8; 32]) -> io::Result<SctpHandle> {
        let udp_port = match config.mode {
            SctpMode::Kernel => return kernel::listen(config),
            SctpMode::Udp { port } => port,
            SctpMode::Raw => 0,
        };
        start(config, udp_port, seed, |config, seed, _| Driver::server(config, seed))
    }

    /// Connects to `peer` (address and SCTP port). The first event is `Up` or `Down`; the number of
    /// the association is returned too. `seed` must come from the operating system.
    ///
    /// # Errors
    /// The socket cannot be opened or bound.
    pub fn connect(config: SctpConfig, peer: SocketAddr, seed: [u8; 32]) -> io::Result<(SctpHandle, u64)> {
        let udp_port = match config.mode {
            SctpMode::Kernel => return kernel::connect(config, peer),
            SctpMode::Udp { port } => port,
            SctpMode::Raw => 0,
        };
        let to = SocketAddr::new(peer.ip(), udp_port);
        let handle = start(config, 0, seed, move |config, seed, now| {
            let mut driver = Driver::client(config, seed);
            driver.connect(to, peer.port(), now);
            driver
        })?;
        // A driver counts from 1.
        Ok((handle, 1))
    }
}

/// A bound socket that is not yet in a runtime.
enum Bound {
    Udp(std::net::UdpSocket),
    Raw(socket2::Socket),
}

enum Wire {
    Udp(tokio::net::UdpSocket),
    Raw(RawSocket),
}

impl Wire {
    fn new(bound: Bound) -> io::Result<Self> {
        Ok(match bound {
            Bound::Udp(socket) => Self::Udp(tokio::net::UdpSocket::from_std(socket)?),
            Bound::Raw(socket) => Self::Raw(RawSocket::new(socket)?),
        })
    }

    async fn recv(&self, buffer: &mut [u8]) -> io::Result<(SocketAddr, std::ops::Range<usize>)> {
        match self {
            Self::Udp(socket) => socket.recv_from(buffer).await.map(|(length, from)| (from, 0..length)),
            Self::Raw(socket) => socket.recv(buffer).await,
        }
    }

    async fn send(&self, datagram: &Transmit) {
        let result = match self {
            Self::Udp(socket) => socket.send_to(&datagram.bytes, datagram.to).await.map(drop),
            Self::Raw(socket) => socket.send(&datagram.bytes, datagram.to).await,
        };
        if let Err(error) = result {
            // As good as lost on the way: SCTP sends it again.
            tracing::debug!(to = %datagram.to, "SCTP packet to {} not sent: {error}", datagram.to);
        }
    }
}

fn start(
    config: SctpConfig,
    udp_port: u16,
    seed: [u8; 32],
    driver: impl FnOnce(SctpConfig, [u8; 32], Mono) -> Driver + Send + 'static,
) -> io::Result<SctpHandle> {
    let mode = config.mode;
    let (bound, local) = match mode {
        SctpMode::Udp { .. } => {
            let socket = udp::bind(SocketAddr::new(config.local, udp_port))?;
            let local = socket.local_addr()?;
            (Bound::Udp(socket), local)
        }
        SctpMode::Kernel => return Err(io::Error::from(io::ErrorKind::Unsupported)),
        SctpMode::Raw => (Bound::Raw(raw::bind(config.local)?), SocketAddr::new(config.local, 0)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (event_tx, events) = mpsc::channel(EVENTS);
    let (commands, command_rx) = mpsc::channel(COMMANDS);
    let (counter_tx, counters) = watch::channel(SctpCounters::default());
    std::thread::Builder::new().name("sctp".into()).spawn(move || {
        let clock = Clock(Instant::now());
        let driver = driver(config, seed, clock.now());
        let ended = runtime.block_on(async move {
            let task = Task {
                wire: Wire::new(bound)?,
                driver,
                clock,
                events: event_tx,
                commands: command_rx,
                counters: counter_tx,
                told: (SctpCounters::default(), None),
            };
            task.run().await;
            io::Result::Ok(())
        });
        if let Err(error) = ended {
            tracing::error!("SCTP does not start: {error}");
        }
    })?;
    Ok(SctpHandle { events, commands, counters, local, mode })
}

struct Clock(Instant);

impl Clock {
    fn now(&self) -> Mono {
        Mono(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn at(&self, time: Option<Mono>) -> tokio::time::Instant {
        // Nothing due: look again in an hour.
        let after = time.map_or(Duration::from_secs(3600), |at| Duration::from_nanos(at.0));
        let base = if time.is_some() { self.0 } else { Instant::now() };
        (base + after).into()
    }
}

struct Task {
    wire: Wire,
    driver: Driver,
    clock: Clock,
    events: mpsc::Sender<SctpEvent>,
    commands: mpsc::Receiver<SctpCommand>,
    counters: watch::Sender<SctpCounters>,
    /// The counters when the last complaint was logged, and when.
    told: (SctpCounters, Option<Instant>),
}

impl Task {
    async fn run(mut self) {
        let client = !self.driver.is_empty();
        let mut buffer = vec![0; 65536];
        let events = self.events.clone();
        while self.deliver() {
            self.flush().await;
            self.publish();
            if client && self.driver.is_empty() && !self.driver.has_event() {
                return;
            }
            let due = self.clock.at(self.driver.poll_timeout());
            tokio::select! {
                room = events.reserve(), if self.driver.has_event() => match room {
                    Ok(permit) => {
                        if let Some(event) = self.driver.poll_event(self.clock.now()) {
                            log(&event);
                            permit.send(event);
                        }
                    }
                    Err(_) => break,
                },
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                received = self.wire.recv(&mut buffer) => match received {
                    Ok((from, at)) => {
                        let bytes = buffer.get(at).unwrap_or_default();
                        self.driver.on_packet(from, bytes, self.clock.now());
                    }
                    Err(error) => {
                        tracing::warn!("SCTP socket: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                () = tokio::time::sleep_until(due) => self.driver.handle_timeout(self.clock.now()),
            }
        }
        self.driver.abort_all(self.clock.now());
        self.flush().await;
    }

    /// Hands over events while the channel takes them; false when the owner is gone.
    fn deliver(&mut self) -> bool {
        while self.driver.has_event() {
            match self.events.try_reserve() {
                Ok(permit) => {
                    if let Some(event) = self.driver.poll_event(self.clock.now()) {
                        log(&event);
                        permit.send(event);
                    }
                }
                Err(TrySendError::Full(())) => return true,
                Err(TrySendError::Closed(())) => return false,
            }
        }
        !self.events.is_closed()
    }

    async fn flush(&mut self) {
        while let Some(datagram) = self.driver.poll_transmit() {
            self.wire.send(&datagram).await;
        }
    }

    fn obey(&mut self, command: SctpCommand) {
        let now = self.clock.now();
        match command {
            SctpCommand::Send { assoc, stream, ppid, bytes } => {
                if let Err(why) = self.driver.send_message(assoc, stream, ppid, bytes, now) {
                    tracing::warn!(assoc, "message to SCTP association {assoc} not sent: {why}");
                }
            }
            SctpCommand::Close { assoc } => self.driver.close(assoc, now),
            SctpCommand::Abort { assoc } => self.driver.abort(assoc, now),
        }
    }

    /// Shows the counters, and now and then complains about what was dropped.
    fn publish(&mut self) {
        let now = self.driver.counters();
        self.counters.send_if_modified(|shown| std::mem::replace(shown, now) != now);
        let (then, at) = self.told;
        let dropped = |c: &SctpCounters| {
            [c.not_allowed, c.malformed, c.bad_checksum, c.wrong_tag, c.stray, c.bad_cookie, c.over_limit]
        };
        if dropped(&now) == dropped(&then) || at.is_some_and(|at| at.elapsed() < COMPLAIN) {
            return;
        }
        let [not_allowed, malformed, checksum, tag, stray, cookie, limit] = dropped(&now);
        tracing::warn!(
            not_allowed,
            malformed,
            checksum,
            tag,
            stray,
            cookie,
            limit,
            "SCTP packets dropped so far: {not_allowed} from addresses not allowed, {malformed} malformed, \
             {checksum} with a bad checksum, {tag} with a wrong tag, {stray} of no association, \
             {cookie} with a bad cookie, {limit} over a limit"
        );
        self.told = (now, Some(Instant::now()));
    }
}

pub(super) fn log(event: &SctpEvent) {
    match event {
        SctpEvent::Up { assoc, peer, streams } => {
            tracing::info!(assoc, %peer, streams, "SCTP association {assoc} with {peer} is up, {streams} streams");
        }
        SctpEvent::Down { assoc, reason } => {
            tracing::info!(assoc, %reason, "SCTP association {assoc} is down: {reason}");
        }
        SctpEvent::Data { assoc, stream, ppid, bytes } => {
            tracing::trace!(assoc, stream, ppid, octets = bytes.len(), "SCTP message");
        }
    }
}
