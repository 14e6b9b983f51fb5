//! What runs through the gate: bulk TCP between two kernels, and small packets as fast as they go.

use super::{APP, GATE, MTU, PLAIN_APP, PLAIN_UE, RADIO, TCP_UE, teid_of, ue_of};
use anyhow::{Context, Result};
use gateway::{
    GTPU_PORT,
    n3::N3,
    n6::N6,
    shard_thread::Io,
    sys::{self, Wait},
};
use pgw_policy::batch::{Batch, BatchSize, Origin};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
    thread,
    time::{Duration, Instant},
};

/// Octets of one bulk transfer.
pub(super) const AMOUNT: usize = 64 << 20;
/// Octets of TCP payload in a packet of [`MTU`] octets (with time stamps).
pub(super) const PAYLOAD: usize = MTU as usize - 52;
const PORT: u16 = 5201;
/// Where the app sends back what it gets (RFC 862).
pub(super) const ECHO: u16 = 7;
/// Where the small packets go; nobody reads them there.
const DISCARD: u16 = 9;
/// Octets of a small packet, and of its datagram.
const SMALL: usize = 64;
const DATAGRAM: usize = SMALL + 16;
/// Datagrams given to the kernel at once.
const TOGETHER: usize = 64;

/// The radio with one UE whose kernel speaks TCP: joins the UE's TUN to N3, in batches as large as they come.
pub(super) fn radio() -> Result<()> {
    let mut n6 = N6::open("ue0", MTU, 1)?.pop().context("no queue")?;
    super::place::attach("ue0", &[&format!("{}/32", ue_of(TCP_UE))], &[&format!("{APP}/32")])?;
    let mut n3 = N3::open(SocketAddr::from((RADIO, GTPU_PORT)))?;
    thread::spawn(move || {
        let (io, mut batch) = (Io::default(), Batch::new(BatchSize::default()));
        let gate = SocketAddr::from((GATE, GTPU_PORT));
        let container = Some(wire::gtpu::PduSession { pdu_type: 1, qfi: 1 });
        loop {
            batch.clear();
            n3.receive(&mut batch, &io);
            for datagram in batch.packets() {
                if let Ok(packet) = wire::gtpu::Packet::parse(datagram) {
                    n6.put(packet.payload, &io);
                }
            }
            n6.flush(&io);
            let mut idle = batch.is_empty();
            batch.clear();
            n6.receive(&mut batch, Origin::N6 { handed: false }, &io);
            for packet in batch.packets() {
                if let Some(head) = wire::gtpu::g_pdu_header(teid_of(TCP_UE), container, packet.len()) {
                    n3.put(gate, &[head.as_bytes(), packet].concat(), &io);
                }
            }
            n3.flush(&io);
            idle &= batch.is_empty();
            if idle {
                let _ = sys::poll(&[Wait::read(&n3), Wait::read(&n6)], Duration::from_millis(50));
            }
        }
    });
    Ok(())
}

/// The app: takes a bulk transfer or gives one, as the first octet says; an echo; and a place where small packets end.
pub(super) fn app() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    let discard = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, DISCARD))?;
    let echo = UdpSocket::bind((APP, ECHO))?;
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((n, from)) = echo.recv_from(&mut buffer) {
            let _ = echo.send_to(buffer.get(..n).unwrap_or_default(), from);
        }
    });
    thread::spawn(move || {
        let _discard = discard;
        for stream in listener.incoming().flatten() {
            thread::spawn(move || _ = serve(stream));
        }
    });
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut way = [0];
    stream.read_exact(&mut way)?;
    if way == *b"d" {
        return write_all(&mut stream);
    }
    read_all(&mut stream)?;
    stream.write_all(b"!")
}

fn write_all(stream: &mut TcpStream) -> io::Result<()> {
    let block = vec![7; 256 << 10];
    for _ in 0..AMOUNT / block.len() {
        stream.write_all(&block)?;
    }
    Ok(())
}

fn read_all(stream: &mut TcpStream) -> io::Result<()> {
    let mut block = vec![0; 256 << 10];
    for _ in 0..AMOUNT / block.len() {
        stream.read_exact(&mut block)?;
    }
    Ok(())
}

/// One bulk transfer, up or down; through the gate's tunnel, or plainly through the kernel.
pub(super) fn bulk(up: bool, plain: bool) -> Result<()> {
    let (from, to) = if plain { (PLAIN_UE, PLAIN_APP) } else { (ue_of(TCP_UE), APP) };
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    // The same segments on every way.
    socket.set_tcp_mss(u32::from(MTU) - 40)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    let app = SocketAddr::from((to, PORT));
    socket.connect_timeout(&app.into(), Duration::from_secs(10)).context("the app does not answer")?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    if !up {
        stream.write_all(b"d")?;
        return Ok(read_all(&mut stream)?);
    }
    stream.write_all(b"u")?;
    write_all(&mut stream)?;
    Ok(stream.read_exact(&mut [0])?)
}

/// How small packets are given to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// By GTP-U with an outer checksum, many as one large datagram, as a network card hands them up.
    Segments,
    /// By GTP-U without an outer checksum, one by one.
    NoChecksum,
    /// Without a tunnel, one by one.
    Plain,
}

/// Small packets of `sessions` sessions.
pub(super) struct Small {
    octets: Vec<u8>,
    size: usize,
    manner: Manner,
}

impl Small {
    /// Each session's packets come so many in a row.
    pub(super) fn new(sessions: u32, in_a_row: u32, manner: Manner) -> Result<Self> {
        if manner == Manner::Plain {
            // The kernel writes the headers.
            let size = SMALL - 28;
            return Ok(Self { octets: vec![7; size * TOGETHER], size, manner });
        }
        let mut octets = Vec::with_capacity((sessions * in_a_row) as usize * DATAGRAM);
        for n in 0..sessions {
            let datagram =
                wire::gtpu::encode_uplink(teid_of(n), 1, &packet(ue_of(n))).context("a datagram")?;
            octets.extend(datagram.repeat(in_a_row as usize));
        }
        Ok(Self { octets, size: DATAGRAM, manner })
    }

    /// All of them over and over, for so long; how many were sent.
    pub(super) fn flood(&self, length: Duration) -> Result<u64> {
        let (from, to) = match self.manner {
            Manner::Plain => (PLAIN_UE, SocketAddr::from((PLAIN_APP, DISCARD))),
            Manner::Segments | Manner::NoChecksum => (RADIO, SocketAddr::from((GATE, GTPU_PORT))),
        };
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(to)?;
        if self.manner == Manner::NoChecksum {
            without_checksum(&socket)?;
        }
        let segmented = match self.manner {
            Manner::Segments => Some(UdpSocketState::new(UdpSockRef::from(&socket))?),
            Manner::NoChecksum | Manner::Plain => None,
        };
        let (begin, mut sent) = (Instant::now(), 0);
        for part in self.octets.chunks(self.size * TOGETHER).cycle() {
            if begin.elapsed() >= length {
                break;
            }
            sent += match &segmented {
                Some(state) => {
                    let transmit = Transmit {
                        destination: to,
                        ecn: None,
                        contents: part,
                        segment_size: Some(self.size),
                        src_ip: None,
                    };
                    let done = state.try_send(UdpSockRef::from(&socket), &transmit);
                    if done.is_ok() { part.len() / self.size } else { 0 }
                }
                None => send_all(&socket, part, self.size),
            } as u64;
        }
        Ok(sent)
    }
}

/// A UDP packet from this UE to the app.
fn packet(ue: Ipv4Addr) -> [u8; SMALL] {
    let mut p = [0; SMALL];
    let head = [0x45, 0, 0, SMALL as u8, 0, 1, 0x40, 0, 64, 17, 0, 0];
    let ends = [ue.octets(), APP.octets()].concat();
    let udp = [0x9c, 0x40, 0, DISCARD as u8, 0, (SMALL - 20) as u8, 0, 0];
    for (at, octet) in head.iter().chain(&ends).chain(&udp).enumerate() {
        if let Some(p) = p.get_mut(at) {
            *p = *octet;
        }
    }
    // The pseudo header of UDP is the addresses, the protocol and the length.
    let of_udp = 17 + (SMALL as u32 - 20) + p.get(12..).map_or(0, sum);
    for (at, sum) in [(10, p.get(..20).map_or(0, sum)), (26, of_udp)] {
        let folded = (sum & 0xffff) + (sum >> 16);
        if let Some(at) = p.get_mut(at..at + 2) {
            at.copy_from_slice(&(!(folded as u16)).to_be_bytes());
        }
    }
    p
}

/// The sum of the octets by pairs.
fn sum(octets: &[u8]) -> u32 {
    octets.chunks(2).map(|w| w.iter().fold(0, |s, b| s << 8 | u32::from(*b))).sum()
}

#[allow(unsafe_code)]
fn without_checksum(socket: &UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: pointer and length are of one integer, as the option takes it; the socket is open.
    let rc = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NO_CHECK,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends each `size` octets as a datagram of its own; how many the kernel took.
#[allow(unsafe_code)]
pub(super) fn send_all(socket: &UdpSocket, octets: &[u8], size: usize) -> usize {
    let part = |d: &[u8]| libc::iovec { iov_base: d.as_ptr().cast_mut().cast(), iov_len: d.len() };
    let mut parts: Vec<libc::iovec> = octets.chunks_exact(size).map(part).collect();
    let message = |p: &mut libc::iovec| {
        // SAFETY: a message header of zeros has neither address nor control octets, which is what is meant.
        let mut m: libc::mmsghdr = unsafe { std::mem::zeroed() };
        (m.msg_hdr.msg_iov, m.msg_hdr.msg_iovlen) = (p, 1);
        m
    };
    let mut messages: Vec<libc::mmsghdr> = parts.iter_mut().map(message).collect();
    // SAFETY: pointer and length are of one vector, whose headers point into `parts`, whose parts point into `octets`:
    // all three live until the call is over, and the kernel only reads what is sent.
    let n = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), messages.len() as libc::c_uint, 0)
    };
    usize::try_from(n).unwrap_or(0)
}
