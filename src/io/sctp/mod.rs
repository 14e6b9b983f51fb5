//! One SCTP transport for N2, server and client side.
//!
//! There are two stacks behind this one face. Where the kernel speaks SCTP, its own is used ([`SctpMode::Kernel`]).
//! Elsewhere SCTP runs in this process on the `dcsctp` stack: over raw IP (protocol 132, needs CAP_NET_RAW) or over
//! UDP (RFC 6951, needs nothing). [`Sctp::listen`] and [`Sctp::connect`] start a thread that owns the socket; the
//! owner of the [`SctpHandle`] gets [`SctpEvent`]s and gives [`SctpCommand`]s. All decisions of the userspace stack
//! are in [`Driver`], which has neither socket nor clock; what follows is about it. What differs with the kernel's
//! stack stands in `kernel.rs`.
//!
//! # Who may speak
//!
//! Packets from an address outside [`SctpConfig::allowed`] are dropped without a word. An INIT is answered
//! without keeping anything (RFC 9260 §5.1.3): tags and TSN are drawn from a generator that the operating
//! system seeded, and travel with the rest in a cookie under HMAC-SHA-256, bound to the address and ports and
//! valid for [`SctpLimits::cookie_life`]. There are thus no half-open associations to cap or to expire. An
//! association comes to be when its COOKIE ECHO returns, up to [`SctpLimits::per_peer`] for one address and
//! [`SctpLimits::associations`] in all; beyond that an INIT gets ABORT *Out of Resource*.
//!
//! The client side (the simulated gNB) draws its tag in dcsctp from `fastrand`, which is re-seeded with 64 fresh
//! bits of the same generator before each INIT. It never accepts an INIT or a COOKIE ECHO.
//!
//! # What is answered to packets of no association
//!
//! RFC 9260 §8.4: ABORT with the T bit, so that a gNB learns at once that we restarted; SHUTDOWN COMPLETE to a
//! SHUTDOWN ACK; nothing to ABORT, SHUTDOWN COMPLETE, COOKIE ACK, INIT ACK, and ERROR. These answers are limited
//! in rate. On raw IP every stack of the host hears every SCTP packet: there, ports that are not ours are left in silence.
//!
//! # What is not here
//!
//! Path failover to a peer's second address (packets from there are understood, and answered there), IPv6 over
//! raw IP, simultaneous INIT from both sides. [`probe()`] reports whether the machine's kernel speaks SCTP.

mod assoc;
mod cookie;
mod driver;
mod kernel;
mod packet;
mod probe;
mod raw;
mod task;
mod udp;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

pub use driver::{Driver, SctpCounters, SendRefused, Transmit};
pub use probe::{Probe, probe};
pub use task::{Sctp, SctpHandle};

/// The longest message, octets. NGAP needs far less; more is treated as an attack (HOSTILE R01).
pub const MAX_MESSAGE: usize = 64 * 1024;

/// UDP port of SCTP over UDP, RFC 6951 §5.1.
pub const UDP_ENCAPSULATION_PORT: u16 = 9899;

/// SCTP port of NGAP, TS 38.412 §7.
pub const NGAP_PORT: u16 = 38412;

/// Payload protocol identifier of NGAP, TS 38.412 §7.
pub const NGAP_PPID: u32 = 60;

/// What carries SCTP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SctpMode {
    /// The kernel's own SCTP. Refused where the kernel has none.
    Kernel,
    /// Over UDP, RFC 6951. A server listens on `port`; a client sends to `port` from any port.
    Udp {
        /// The encapsulation port, usually [`UDP_ENCAPSULATION_PORT`].
        port: u16,
    },
    /// Directly over IPv4, protocol 132. Needs CAP_NET_RAW and a kernel without SCTP of its own.
    Raw,
}

impl SctpMode {
    /// Its word in the configuration and in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Udp { .. } => "udp",
            Self::Raw => "raw",
        }
    }
}

impl std::fmt::Display for SctpMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kernel => f.write_str("the kernel's SCTP"),
            Self::Udp { port } => write!(f, "userspace SCTP over UDP port {port}"),
            Self::Raw => f.write_str("userspace SCTP over raw IP"),
        }
    }
}

/// One SCTP endpoint.
#[derive(Debug, Clone)]
pub struct SctpConfig {
    /// What carries the packets.
    pub mode: SctpMode,
    /// Our address. In raw mode it should be one address of the host, not the unspecified one.
    pub local: IpAddr,
    /// Server: the SCTP port to listen on. Client: the local SCTP port, 0 for one of chance.
    pub port: u16,
    /// Who may speak to us. A server with an empty list hears nobody. The address a client
    /// connects to needs no entry.
    pub allowed: Vec<IpNet>,
    /// Streams we offer in each direction (UERANSIM asks for 10).
    pub streams: u16,
    /// MTU of the path in octets, IP header included.
    pub mtu: u16,
    /// How much is held for peers.
    pub limits: SctpLimits,
    /// How long is waited for them.
    pub timers: SctpTimers,
}

impl SctpConfig {
    /// A configuration with the usual limits and timers.
    pub fn new(mode: SctpMode, local: IpAddr, port: u16, allowed: Vec<IpNet>) -> Self {
        let (limits, timers) = (SctpLimits::default(), SctpTimers::default());
        Self { mode, local, port, allowed, streams: 32, mtu: 1400, limits, timers }
    }

    /// The largest SCTP packet on this path, octets.
    fn packet_size(&self) -> usize {
        let ip = if self.local.is_ipv4() { 20 } else { 40 };
        let udp = if matches!(self.mode, SctpMode::Udp { .. }) { 8 } else { 0 };
        usize::from(self.mtu.max(576)) - ip - udp
    }
}

/// Bounds on what peers can make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SctpLimits {
    /// Associations in all.
    pub associations: usize,
    /// Associations of one address.
    pub per_peer: usize,
    /// How long the answer to an INIT stays valid.
    pub cookie_life: Duration,
}

impl Default for SctpLimits {
    fn default() -> Self {
        Self { associations: 1024, per_peer: 64, cookie_life: Duration::from_secs(60) }
    }
}

/// Protocol timers, RFC 9260 §16. A silent peer is given up after about
/// `heartbeat × (max_retransmissions + 1)`: 30 s by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SctpTimers {
    /// First retransmission time-out, also of INIT and COOKIE ECHO.
    pub rto_initial: Duration,
    /// Smallest retransmission time-out; above the peers' delayed SACK (200 ms).
    pub rto_min: Duration,
    /// Largest retransmission time-out.
    pub rto_max: Duration,
    /// Time between HEARTBEATs on an idle association.
    pub heartbeat: Duration,
    /// Unanswered transmissions in a row after which the peer is lost.
    pub max_retransmissions: u32,
    /// Repeated INITs before a connection attempt fails.
    pub max_init_retransmissions: u32,
}

impl Default for SctpTimers {
    fn default() -> Self {
        Self {
            rto_initial: Duration::from_millis(500),
            rto_min: Duration::from_millis(250),
            rto_max: Duration::from_secs(5),
            heartbeat: Duration::from_secs(5),
            max_retransmissions: 5,
            max_init_retransmissions: 4,
        }
    }
}

/// What the transport tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SctpEvent {
    /// An association stands.
    Up {
        /// Its number, never used again in this process.
        assoc: u64,
        /// Address and SCTP port of the peer.
        peer: SocketAddr,
        /// Streams we may send on: 0 to `streams − 1`.
        streams: u16,
    },
    /// A whole message.
    Data {
        /// The association.
        assoc: u64,
        /// The stream it came on.
        stream: u16,
        /// Its payload protocol identifier.
        ppid: u32,
        /// Its octets, at most [`MAX_MESSAGE`], never empty.
        bytes: Vec<u8>,
    },
    /// The association is gone. Comes once per association; for a client also when it never stood.
    Down {
        /// The association.
        assoc: u64,
        /// Why.
        reason: DownReason,
    },
}

/// What the owner tells the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SctpCommand {
    /// Send one message, ordered within its stream. If the association has no such stream, stream 0 is used.
    Send {
        /// The association.
        assoc: u64,
        /// The stream.
        stream: u16,
        /// The payload protocol identifier, [`NGAP_PPID`] for N2.
        ppid: u32,
        /// 1 to [`MAX_MESSAGE`] octets.
        bytes: Vec<u8>,
    },
    /// Graceful end: what is queued is delivered first.
    Close {
        /// The association.
        assoc: u64,
    },
    /// End at once, what is queued is lost.
    Abort {
        /// The association.
        assoc: u64,
    },
}

/// Why an association ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownReason {
    /// SHUTDOWN by either side, completed.
    #[error("closed")]
    Closed,
    /// The peer sent ABORT, with these causes.
    #[error("aborted by the peer: {0}")]
    Aborted(String),
    /// We sent ABORT because the owner asked for it.
    #[error("aborted")]
    Ended,
    /// The peer does not answer.
    #[error("lost: the peer does not answer")]
    Lost,
    /// The peer restarted on the same address and ports (RFC 9260 §5.2.4); an `Up` follows.
    #[error("the peer restarted")]
    Restarted,
    /// The peer broke the protocol; it was sent ABORT.
    #[error("the peer misbehaved: {0}")]
    Misbehaved(&'static str),
    /// The peer does not take what it is sent and the queue is full; it was sent ABORT.
    #[error("the peer does not read: send queue full")]
    Overrun,
    /// The protocol machine failed on this association's input.
    #[error("internal error")]
    Internal,
}
