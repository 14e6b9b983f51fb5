//! Who is at the other end of a UNIX socket (`SO_PEERCRED`).

use super::LinkError;
use std::os::fd::{AsFd, AsRawFd};

/// Refuses a peer that runs neither as our own user nor as root.
///
/// # Errors
/// [`LinkError::Stranger`], [`LinkError::Io`].
pub fn check_peer(socket: &impl AsFd) -> Result<(), LinkError> {
    let (theirs, ours) = (peer_uid(socket)?, own_uid());
    if theirs == ours || theirs == 0 { Ok(()) } else { Err(LinkError::Stranger { uid: theirs }) }
}

#[allow(unsafe_code)]
fn peer_uid(socket: &impl AsFd) -> std::io::Result<u32> {
    let mut cred = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `cred` and `len` are valid for the call to fill, `len` says how long `cred` is, and the
    // borrowed descriptor stays open during the call.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut cred).cast(),
            &raw mut len,
        )
    };
    if rc == 0 { Ok(cred.uid) } else { Err(std::io::Error::last_os_error()) }
}

#[allow(unsafe_code)]
fn own_uid() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}
