//! N3: GTP-U over UDP (TS 29.281), in batches: several datagrams per call, each maybe many segments (GRO);
//! equal neighbours to one radio go out as one call (GSO).

use super::GTPU_PORT;
use super::shard_thread::Io;
use anyhow::{Context, Result};
use ipnet::IpNet;
use pgw_policy::batch::{Batch, Origin, To};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Datagrams received in one call.
const MESSAGES: usize = 32;
/// Octets of one, with all its segments.
const LONGEST: usize = 65_535;
/// Octets that one call with segments may carry.
const SEGMENTED: usize = 64_000;
/// Octets that the kernel may hold for us while we write a batch.
const KERNEL_BUFFER: usize = 8 << 20;

/// Option of UDP sockets (udp(7), linux/udp.h), which `libc` does not name.
const UDP_NO_CHECK6_RX: libc::c_int = 102;

/// The N3 socket of one shard.
pub struct N3 {
    socket: UdpSocket,
    state: UdpSocketState,
    segments: Segments,
}

impl N3 {
    /// Opens one of several sockets on the same address: the kernel deals the radios out among them.
    ///
    /// # Errors
    /// Where the address is not ours or is taken by another program.
    pub fn open(address: SocketAddr) -> Result<Self> {
        Self::open_inner(address).with_context(|| format!("N3 cannot be opened at {address}"))
    }

    fn open_inner(address: SocketAddr) -> Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
            // A tunnel may leave the checksum out over IPv6, too (RFC 6935 §5); the kernel drops it unless it is told.
            set_option(&socket, libc::SOL_UDP, UDP_NO_CHECK6_RX, 1)?;
        }
        // More than the system's limit takes a right that we may not have; then there is less room for bursts.
        if set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, KERNEL_BUFFER as libc::c_int).is_err()
        {
            let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        }
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        // Without it each datagram comes by itself.
        let _ = set_option(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
        // What is too big for the way to a radio was answered already, and goes into no pieces.
        let (level, option, probe) = match address {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
        };
        set_option(&socket, level, option, probe)?;
        let socket = UdpSocket::from(socket);
        let state = state_of_calls(address)?;
        let segments =
            Segments { bytes: Vec::with_capacity(LONGEST), to: address, size: 0, count: 0, closed: false };
        Ok(Self { socket, state, segments })
    }

    /// Puts into `batch` what is there. True if nothing is left.
    pub fn receive(&mut self, batch: &mut Batch, io: &Io) -> bool {
        let mut metas = [RecvMeta::default(); MESSAGES];
        let (received, room) = {
            let mut spaces: Vec<_> = batch.spaces(LONGEST).take(MESSAGES).map(IoSliceMut::new).collect();
            let Some(metas) = metas.get_mut(..spaces.len()).filter(|m| !m.is_empty()) else { return false };
            // An error is "nothing there", or an ICMP error about an earlier datagram: nothing to take either way.
            let room = spaces.len();
            (self.state.recv(UdpSockRef::from(&self.socket), &mut spaces, metas).unwrap_or(0), room)
        };
        let before = batch.len();
        for (index, meta) in metas.iter().take(received).enumerate() {
            batch.received(index, LONGEST, Origin::N3 { from: meta.addr }, meta.len, meta.stride);
        }
        batch.seal(received, LONGEST);
        Io::add(&io.n3_received, batch.len() - before);
        received < room
    }

    /// Writes what is for N3.
    pub fn send(&mut self, batch: &Batch, io: &Io) {
        for output in batch.outputs() {
            let To::N3 { peer } = output.to else { continue };
            self.put(peer, batch.bytes(output.piece), io);
        }
        self.flush(io);
    }

    /// Takes a datagram; it is written when one comes that cannot go with it, or at the latest by [`N3::flush`].
    pub fn put(&mut self, peer: SocketAddr, datagram: &[u8], io: &Io) {
        if !self.segments.takes(peer, datagram.len(), self.state.max_gso_segments()) {
            self.flush(io);
        }
        self.segments.add(peer, datagram);
    }

    /// Writes what was taken.
    pub fn flush(&mut self, io: &Io) {
        let s = &mut self.segments;
        if s.count == 0 {
            return;
        }
        let transmit = Transmit {
            destination: s.to,
            ecn: None,
            contents: &s.bytes,
            segment_size: (s.count > 1).then_some(s.size),
            src_ip: None,
        };
        match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
            Ok(()) => Io::add(&io.n3_sent, s.count),
            Err(_) => Io::add(&io.send_failed, s.count),
        }
        s.clear();
    }
}

/// What the library has found out about this kernel. It finds it out by a socket on which it asks for all that QUIC wants;
/// of that, time stamps would be taken of every packet of the machine for as long as that socket lives, so it is not ours.
fn state_of_calls(address: SocketAddr) -> std::io::Result<UdpSocketState> {
    let another = UdpSocket::bind(SocketAddr::new(address.ip(), 0))?;
    UdpSocketState::new(UdpSockRef::from(&another))
}

/// The largest IP packet that goes whole from `us` to every one of the radios, as the routes say it now; `None` where
/// there is no route to any.
pub fn mtu_towards(radios: &[IpNet], us: IpAddr) -> Option<u16> {
    let towards = |radio: IpAddr| {
        let socket = UdpSocket::bind((us, 0)).ok()?;
        socket.connect((radio, GTPU_PORT)).ok()?;
        Some(u16::try_from(mtu_of(&socket, us)?).unwrap_or(u16::MAX))
    };
    radios.iter().filter_map(|net| net.hosts().next()).filter_map(towards).min()
}

/// The MTU of the way to the peer that the socket is connected to.
#[allow(unsafe_code)]
fn mtu_of(socket: &UdpSocket, us: IpAddr) -> Option<libc::c_int> {
    let (level, option) = match us {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
    };
    let mut mtu: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: pointer and length are of one integer, as the option gives it; the socket is open.
    let rc =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut mtu).cast(), &raw mut len) };
    (rc == 0).then_some(mtu)
}

#[allow(unsafe_code)]
fn set_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> std::io::Result<()> {
    // SAFETY: pointer and length are of one integer, as the option takes it; the socket is open.
    let rc = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

impl AsFd for N3 {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Datagrams to one peer, all of one size but the last, which may be shorter.
struct Segments {
    bytes: Vec<u8>,
    to: SocketAddr,
    size: usize,
    count: usize,
    /// True once the shorter last one is in.
    closed: bool,
}

impl Segments {
    fn takes(&self, to: SocketAddr, len: usize, most: usize) -> bool {
        self.count == 0
            || (to == self.to
                && !self.closed
                && len <= self.size
                && len > 0
                && self.count < most
                && self.bytes.len() + len <= SEGMENTED)
    }

    fn add(&mut self, to: SocketAddr, bytes: &[u8]) {
        if self.count == 0 {
            (self.to, self.size) = (to, bytes.len());
        }
        self.closed = bytes.len() < self.size;
        self.count += 1;
        self.bytes.extend_from_slice(bytes);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.closed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_go_together_and_a_shorter_one_ends_the_row() {
        let (a, b) = ("10.0.0.1:2152".parse().unwrap(), "10.0.0.2:2152".parse().unwrap());
        let mut s = Segments { bytes: Vec::new(), to: a, size: 0, count: 0, closed: false };
        assert!(s.takes(a, 100, 64));
        s.add(a, &[0; 100]);
        assert!(s.takes(a, 100, 64) && s.takes(a, 40, 64));
        assert!(!s.takes(b, 100, 64) && !s.takes(a, 101, 64) && !s.takes(a, 100, 1));
        s.add(a, &[0; 40]);
        assert!(!s.takes(a, 40, 64));
        s.clear();
        assert!(s.takes(b, 101, 64));
    }
}
