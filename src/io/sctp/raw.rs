//! SCTP packets directly in IPv4, protocol 132, from a raw socket.
//!
//! The kernel puts the IP header on and hands it over on receipt; it also reassembles fragments. Every raw
//! socket of the host hears every SCTP packet to its address, so whoever reads must ignore what is not its own.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::probe::{IPPROTO_SCTP, probe};

/// A bound, non-blocking raw socket.
///
/// # Errors
/// No CAP_NET_RAW, an IPv6 address, an address that is not ours, or a kernel that speaks SCTP itself.
pub(super) fn bind(local: IpAddr) -> io::Result<Socket> {
    let IpAddr::V4(local) = local else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "SCTP over raw IP is IPv4 only; use UDP"));
    };
    if probe().kernel {
        // The kernel answers ABORT to every SCTP packet that none of its own sockets owns.
        let why = "this kernel speaks SCTP and would abort our associations; use its own";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    }
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IPPROTO_SCTP)))?;
    let _ = socket.set_recv_buffer_size(4 << 20);
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((local, 0)).into())?;
    Ok(socket)
}

/// A raw socket in the runtime.
pub(super) struct RawSocket(AsyncFd<Socket>);

impl RawSocket {
    /// Registers `socket` with the current runtime.
    #[allow(unsafe_code)]
    pub fn new(socket: Socket) -> io::Result<Self> {
        // SAFETY: `Socket` owns its descriptor, and nothing closes or replaces it while it is in here.
        Ok(Self(unsafe { AsyncFd::register(socket) }?))
    }

    /// One SCTP packet: its source and where it lies in `buffer`.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<(SocketAddr, std::ops::Range<usize>)> {
        loop {
            let length = self.0.async_io(tokio::io::Interest::READABLE, |mut s| s.read(buffer)).await?;
            if let Some(found) = payload(buffer.get(..length).unwrap_or_default()) {
                return Ok(found);
            }
        }
    }

    /// Sends one SCTP packet.
    pub async fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let to = SockAddr::from(SocketAddr::new(to.ip(), 0));
        self.0.async_io(tokio::io::Interest::WRITABLE, |s| s.send_to(bytes, &to)).await.map(drop)
    }
}

/// Source and payload of an IPv4 packet of protocol 132.
fn payload(packet: &[u8]) -> Option<(SocketAddr, std::ops::Range<usize>)> {
    let first = *packet.first()?;
    let header = usize::from(first & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let protocol = *packet.get(9)?;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let good = first >> 4 == 4 && header >= 20 && header < total && total <= packet.len();
    (good && i32::from(protocol) == IPPROTO_SCTP)
        .then(|| (SocketAddr::from((Ipv4Addr::from(source), 0)), header..total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ip_header_is_taken_off() {
        let mut packet =
            vec![0x46, 0, 0, 28, 0, 0, 0, 0, 64, 132, 0, 0, 10, 0, 0, 7, 10, 0, 0, 1, 1, 1, 1, 1];
        packet.extend([9, 9, 9, 9]);
        assert_eq!(payload(&packet), Some(("10.0.0.7:0".parse().unwrap(), 24..28)));
        packet[9] = 17;
        assert_eq!(payload(&packet), None, "not SCTP");
        assert_eq!(payload(&packet[..10]), None);
        assert_eq!(payload(&[]), None);
    }
}
