//! System calls that std does not have: eventfd and poll.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A counter of the kernel that can be waited for together with sockets.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
    /// Set after each signal, so that who was not signalled need not ask the kernel.
    signalled: AtomicBool,
}

impl EventFd {
    /// At zero.
    ///
    /// # Errors
    /// Where the process has no descriptor left.
    #[allow(unsafe_code)]
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer; a descriptor that it returns is ours alone.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just made and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, signalled: AtomicBool::new(false) })
    }

    /// Makes it readable. It cannot fail but by an overflow, and then it is readable already.
    #[allow(unsafe_code)]
    pub fn signal(&self) {
        let one = 1u64;
        // SAFETY: eight readable octets, as an eventfd takes them; the descriptor is open as long as `self`.
        unsafe { libc::write(self.fd.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
        // Only now: a descriptor that can be read is drained by the next call of `drain` or by the one after this.
        self.signalled.store(true, Ordering::SeqCst);
    }

    /// Makes it not readable again.
    #[allow(unsafe_code)]
    pub fn drain(&self) {
        if !self.signalled.swap(false, Ordering::SeqCst) {
            return;
        }
        let mut count = 0u64;
        // SAFETY: eight writable octets, as an eventfd gives them; the descriptor is open as long as `self`.
        unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Writes `bytes` by one call. The C library's own `write` looks for a cancellation of the thread before and after, which
/// costs a packet about as much as its judgement.
///
/// # Errors
/// What the kernel says.
#[allow(unsafe_code)]
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are of one slice that lives until the call is over; the descriptor is borrowed, so open.
    let n = unsafe { libc::syscall(libc::SYS_write, fd.as_raw_fd(), bytes.as_ptr(), bytes.len()) };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A descriptor to wait for.
#[derive(Debug, Clone, Copy)]
pub struct Wait<'a> {
    /// Which.
    pub fd: BorrowedFd<'a>,
    /// True to wait until it can be written, too.
    pub write: bool,
}

impl<'a> Wait<'a> {
    /// Until it can be read.
    pub fn read(fd: &'a impl AsFd) -> Self {
        Self { fd: fd.as_fd(), write: false }
    }
}

/// Waits until one of `waits` is ready or `timeout` is over; an interruption counts as ready.
///
/// # Errors
/// Where the kernel refuses, which means a descriptor that is not open.
pub fn poll(waits: &[Wait<'_>], timeout: Duration) -> io::Result<()> {
    poll_these(&mut waits.iter().map(entry).collect::<Vec<_>>(), timeout).map(|_| ())
}

/// The same for a fixed number of descriptors: which of them are ready. After an interruption all count as ready.
///
/// # Errors
/// As [`poll`].
pub fn poll_each<const N: usize>(waits: [Wait<'_>; N], timeout: Duration) -> io::Result<[bool; N]> {
    let mut fds = waits.each_ref().map(entry);
    let interrupted = poll_these(&mut fds, timeout)?;
    Ok(fds.map(|fd| interrupted || fd.revents != 0))
}

fn entry(w: &Wait<'_>) -> libc::pollfd {
    let events = libc::POLLIN | if w.write { libc::POLLOUT } else { 0 };
    libc::pollfd { fd: w.fd.as_raw_fd(), events, revents: 0 }
}

/// True if it was interrupted.
#[allow(unsafe_code)]
fn poll_these(fds: &mut [libc::pollfd], timeout: Duration) -> io::Result<bool> {
    let time = libc::timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    // SAFETY: pointer and length are of one slice, `time` is valid, no signal mask is given; the borrowed
    // descriptors stay open during the call.
    let rc = unsafe {
        libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, &raw const time, std::ptr::null())
    };
    if rc >= 0 {
        return Ok(false);
    }
    match io::Error::last_os_error() {
        e if e.kind() == io::ErrorKind::Interrupted => Ok(true),
        e => Err(e),
    }
}

/// Fresh octets of the operating system's randomness.
///
/// # Errors
/// Where the system gives none.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut b = [0; N];
    getrandom::fill(&mut b).map_err(|e| anyhow::anyhow!("the operating system gives no randomness: {e}"))?;
    Ok(b)
}
