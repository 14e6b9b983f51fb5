//! SCTP packets in UDP datagrams, RFC 6951.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Octets asked of the kernel for each direction, so that a burst of fifty attaches is not lost.
const BUFFER: usize = 4 << 20;

/// A bound, non-blocking UDP socket.
///
/// # Errors
/// The address is not ours or the port is taken.
pub(super) fn bind(local: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    // The kernel clips what it does not want to give.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    Ok(socket.into())
}
