//! The UDP socket at which foreign SMFs steer us (PFCP: N4, Sxb).
//!
//! It is open only where SMFs are configured. A datagram of anybody else is not even read, but counted.

use crate::sys::Wait;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use tracing::warn;

/// Datagrams taken in one turn: bans and the shards' answers come between.
const A_TURN: usize = 256;
/// The longest datagram.
const LONGEST: usize = 65_535;

/// Where foreign SMFs find us, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct N4SocketConfig {
    /// Our address and port.
    pub listen: SocketAddr,
    /// The SMFs that may associate.
    pub smfs: Vec<IpAddr>,
    /// Milliseconds between two heartbeats of ours.
    pub heartbeat_ms: u64,
    /// T1: milliseconds after which a request of ours is repeated.
    pub t1_ms: u64,
}

/// See the module.
pub struct N4Socket {
    socket: UdpSocket,
    smfs: Vec<IpAddr>,
    buffer: Vec<u8>,
    /// Datagrams of SMFs.
    pub received: u64,
    /// Datagrams of others.
    pub refused: u64,
}

impl N4Socket {
    /// Opens it.
    ///
    /// # Errors
    /// Where the address is not ours, or the port is taken.
    pub fn open(config: &N4SocketConfig) -> Result<Self> {
        let at = config.listen;
        let socket = UdpSocket::bind(at).with_context(|| format!("opening N4 (PFCP) at {at}"))?;
        socket.set_nonblocking(true).context("N4")?;
        let smfs = config.smfs.clone();
        Ok(Self { socket, smfs, buffer: vec![0; LONGEST], received: 0, refused: 0 })
    }

    /// Gives each datagram of an SMF to `take`, as many as a turn has room for.
    pub fn receive(&mut self, mut take: impl FnMut(IpAddr, u16, &[u8])) {
        for _ in 0..A_TURN {
            let (n, from) = match self.socket.recv_from(&mut self.buffer) {
                Ok(got) => got,
                // ICMP about what was sent before: the next call reads on.
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            if !self.smfs.contains(&from.ip()) {
                self.refused += 1;
                if self.refused.is_power_of_two() {
                    let n = self.refused;
                    warn!(%from, n, "PFCP from {from}, which is not in the list of SMFs, is left alone ({n} so far)");
                }
                continue;
            }
            self.received += 1;
            take(from.ip(), from.port(), self.buffer.get(..n).unwrap_or_default());
        }
    }

    /// Sends one message; what the kernel does not take is repeated by the protocol.
    pub fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if let Err(e) = self.socket.send_to(bytes, to) {
            tracing::debug!(%to, "PFCP to {to} was not sent: {e}");
        }
    }

    /// For the main thread's sleep.
    pub fn wait(&self) -> Wait<'_> {
        Wait::read(self)
    }
}

impl AsFd for N4Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
