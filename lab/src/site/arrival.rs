//! When a datagram arrived, as the kernel saw it.
//!
//! A program that counts is scheduled like any other: on one slow core it takes a datagram out of its socket tens of
//! milliseconds after that came. "After the answer" is a statement about arrival, not about scheduling; so the stamp
//! is the kernel's (`SO_TIMESTAMPNS`, socket(7)), which it writes when the packet enters this host's network.

use super::apps::{clock_ns, monotonic_ns};
use std::{
    io,
    mem::{size_of, zeroed},
    net::SocketAddr,
    os::fd::{AsRawFd, RawFd},
    ptr,
};
use tokio::{io::Interest, net::UdpSocket};

/// A datagram: its length, who sent it, and its arrival in nanoseconds of CLOCK_MONOTONIC.
pub(super) struct Arrival {
    pub(super) bytes: usize,
    pub(super) from: SocketAddr,
    pub(super) at_ns: u64,
}

/// A UDP socket whose datagrams carry the kernel's stamp.
pub(super) struct Stamped(UdpSocket);

impl Stamped {
    /// Listens at `at`.
    pub(super) async fn bind(at: SocketAddr) -> io::Result<Self> {
        let s = UdpSocket::bind(at).await?;
        let on: libc::c_int = 1;
        // SAFETY: setsockopt(2) reads the integer that it is given, for this call only.
        #[allow(unsafe_code)]
        let done = unsafe {
            libc::setsockopt(
                s.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if done == 0 { Ok(Self(s)) } else { Err(io::Error::last_os_error()) }
    }

    /// The next datagram.
    pub(super) async fn next(&self, b: &mut [u8]) -> io::Result<Arrival> {
        self.0.async_io(Interest::READABLE, || receive(self.0.as_raw_fd(), b)).await
    }
}

/// Room for the one control message that was asked for, aligned as its header wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

#[allow(unsafe_code)]
fn receive(fd: RawFd, b: &mut [u8]) -> io::Result<Arrival> {
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: b.as_mut_ptr().cast(), iov_len: b.len() };
    // SAFETY: recvmsg(2) writes at most the lengths that it is given into storage that lives until the end of this
    // function; the walk over the control messages is the one of cmsg(3), over what the kernel has just written.
    // `SockAddr::try_init` hands out room for any address.
    let (bytes, from, stamp) = unsafe {
        let mut head: libc::msghdr = zeroed();
        let (bytes, from) = socket2::SockAddr::try_init(|name, len| {
            head.msg_name = name.cast();
            head.msg_namelen = *len;
            head.msg_iov = &raw mut part;
            head.msg_iovlen = 1;
            head.msg_control = (&raw mut control).cast();
            head.msg_controllen = size_of::<Control>() as _;
            let n = libc::recvmsg(fd, &raw mut head, 0);
            *len = head.msg_namelen;
            usize::try_from(n).map_err(|_| io::Error::last_os_error())
        })?;
        let mut stamp = None;
        let mut at = libc::CMSG_FIRSTHDR(&raw const head);
        while let Some(c) = at.as_ref() {
            if (c.cmsg_level, c.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
                stamp = Some(ptr::read_unaligned(libc::CMSG_DATA(c).cast::<libc::timespec>()));
            }
            at = libc::CMSG_NXTHDR(&raw const head, c);
        }
        (bytes, from, stamp)
    };
    let from = from.as_socket().ok_or_else(|| io::Error::other("a datagram from no IP address"))?;
    let at_ns = stamp.map_or_else(monotonic_ns, |t| {
        let (wall, mono) = both_clocks();
        mono.saturating_sub(wall.saturating_sub(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64))
    });
    Ok(Arrival { bytes, from, at_ns })
}

/// The wall clock, whose time the stamp is, and CLOCK_MONOTONIC at the same moment: of a few tries the one with the
/// least between its readings, as we may be made to wait between any two of them.
fn both_clocks() -> (u64, u64) {
    let read = || {
        let wall = clock_ns(libc::CLOCK_REALTIME);
        let mono = monotonic_ns();
        (clock_ns(libc::CLOCK_REALTIME).saturating_sub(wall), (wall, mono))
    };
    let tries = [read(), read(), read()];
    tries.into_iter().min_by_key(|(between, _)| *between).map_or((0, 0), |(_, clocks)| clocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_datagram_that_waited_is_stamped_when_it_came() {
        let to = Stamped::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let from = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut b = [0; 16];
        // The kernel begins to stamp a moment after the first socket asked for it; until then it stamps what is read.
        for turn in 0..50 {
            let before = monotonic_ns();
            from.send_to(b"here", to.0.local_addr().unwrap()).await.unwrap();
            let sent = monotonic_ns();
            // The reader is late; the datagram was not.
            std::thread::sleep(Duration::from_millis(60));
            let got = to.next(&mut b).await.unwrap();
            assert_eq!((got.bytes, got.from, &b[..4]), (4, from.local_addr().unwrap(), &b"here"[..]));
            assert!(got.at_ns + 1_000_000 >= before, "not before it was sent");
            if got.at_ns < sent + 50_000_000 {
                return;
            }
            eprintln!("turn {turn}: {} ns late", got.at_ns - sent);
        }
        panic!("each was stamped when it was read, not when it came");
    }
}
