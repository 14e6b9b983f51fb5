//! Sockets with our timers, limits and streams.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use oxirush_sctp::{
    AssociationParams, ConnectedSocket, Event, InitParams, Listener, PeerAddressParams, RtoInfo, SackInfo,
    Socket, SocketToAssociation, SubscribeEventAssocId,
};
use socket2::SockRef;

use super::super::assoc::{SACK_DELAY, WINDOW};
use super::super::{MAX_MESSAGE, SctpConfig, probe};
use super::{FILTERED, filter};

/// Associations that the kernel may hold for us between COOKIE ECHO and accept.
const BACKLOG: i32 = 128;

/// What to do where the kernel has no SCTP.
const NO_SCTP: &str = "this kernel has no SCTP: `modprobe sctp` (some distributions keep the module in a package of \
                       extra kernel modules, or on a list of modules not to load), or set n2.transport = \"raw\"";

/// A server's or a client's socket.
pub(super) enum Opened {
    Listener(Listener),
    Socket(Socket),
}

/// A bound socket with everything set, and its address.
///
/// # Errors
/// No SCTP in the kernel, or a call that the kernel refuses; the text says which.
pub(super) fn open(config: &SctpConfig, server: bool) -> io::Result<(Opened, SocketAddr)> {
    if !probe().kernel {
        return Err(io::Error::new(io::ErrorKind::Unsupported, NO_SCTP));
    }
    let socket = match config.local {
        IpAddr::V4(_) => Socket::new_v4(SocketToAssociation::OneToOne),
        IpAddr::V6(_) => Socket::new_v6(SocketToAssociation::OneToOne),
    }?;
    set_up(&socket, config).map_err(|e| named("setting up the socket", &e))?;
    if server && config.local.is_ipv4() && config.allowed.len() <= FILTERED {
        SockRef::from(&socket)
            .attach_filter(&filter::program(&config.allowed))
            .map_err(|e| named("attaching the packet filter", &e))?;
    }
    // One address, so that the peer is offered no other of this host's.
    socket.bind(SocketAddr::new(config.local, config.port))?;
    let local = socket.local_addr()?;
    if !server {
        return Ok((Opened::Socket(socket), local));
    }
    let listener = socket.listen(BACKLOG).map_err(|e| match e.raw_os_error() {
        // The kernel signs its cookies by HMAC and refuses to listen where it cannot.
        Some(libc::ENOSYS) => named("listening (modprobe -a hmac sha1_generic)", &e),
        _ => e,
    })?;
    Ok((Opened::Listener(listener), local))
}

fn set_up(socket: &Socket, config: &SctpConfig) -> io::Result<()> {
    let (options, timers) = (socket.options(), &config.timers);
    let ms = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX);
    let short = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    options.set_nodelay(true)?;
    options.set_reuseaddr(true)?;
    // A window of four messages, and room to send the longest whole. The kernel clips what it does not want to give.
    options.set_recv_buffer_size(WINDOW)?;
    options.set_send_buffer_size(WINDOW)?;
    options.set_max_message_size(MAX_MESSAGE);
    options.set_rto_info(RtoInfo::new(ms(timers.rto_initial), ms(timers.rto_max), ms(timers.rto_min)))?;
    options.set_init_params(InitParams {
        outbound_streams: config.streams,
        inbound_streams: config.streams,
        max_attempts: short(timers.max_init_retransmissions + 1),
        max_init_timeout: short(ms(timers.rto_max)),
    })?;
    options.set_association_params(AssociationParams {
        max_retransmissions: short(timers.max_retransmissions),
        cookie_life: ms(config.limits.cookie_life),
        ..AssociationParams::default()
    })?;
    let any = match config.local {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let mut path = PeerAddressParams::new(0, SocketAddr::new(any, 0));
    path.heartbeat_interval = timers.heartbeat;
    path.path_max_retrans = short(timers.max_retransmissions);
    options.set_peer_address_params(path)?;
    options.set_sack_info(SackInfo { assoc_id: 0, delay: ms(SACK_DELAY), frequency: 2 })?;
    // For the restart of a peer; the ends of associations come by `recv` itself.
    options.subscribe_events(&[Event::Association], SubscribeEventAssocId::All)
}

fn named(doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{doing}: {error}"))
}

/// Ends an association with ABORT.
pub(super) fn abort(socket: ConnectedSocket) {
    if let Err(error) = socket.abort(&[]) {
        // An association that has ended already.
        tracing::debug!("SCTP ABORT: {error}");
    }
}
