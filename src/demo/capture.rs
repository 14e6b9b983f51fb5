//! What passes on one interface, written as pcap: so that independent decoders can judge the bytes.

use anyhow::{Context, Result};
use std::{
    ffi::CString,
    fs::File,
    io::{self, BufWriter, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
};

/// ETH_P_ALL in network order, as packet(7) wants it.
const EVERYTHING: u16 = (libc::ETH_P_ALL as u16).to_be();
/// Linktype of Ethernet.
const ETHERNET: u32 = 1;
/// Longest packet that is kept whole, octets.
const SNAP: usize = 65_536;

/// Starts a thread that writes every packet of interface `dev` to `file`, until the process ends. When this returns
/// the socket is open, so nothing that follows is missed.
pub fn start(dev: &str, file: &Path) -> Result<()> {
    let socket = open(dev).with_context(|| format!("capturing on {dev}"))?;
    let mut out = BufWriter::new(File::create(file).with_context(|| format!("writing {}", file.display()))?);
    // pcap header: magic of microseconds, version 2.4, zone 0, accuracy 0, snap length, link type.
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, SNAP as u32, ETHERNET] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.flush()?;
    std::thread::spawn(move || {
        let mut buf = vec![0u8; SNAP];
        while let Ok(n) = receive(&socket, &mut buf) {
            let us = gateway::time::utc().0 as u64 * 1000;
            let words = [(us / 1_000_000) as u32, (us % 1_000_000) as u32, n as u32, n as u32];
            let head: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            let body = buf.get(..n).unwrap_or_default();
            if out.write_all(&head).and_then(|()| out.write_all(body)).and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    });
    Ok(())
}

#[allow(unsafe_code)]
fn open(dev: &str) -> io::Result<OwnedFd> {
    let name = CString::new(dev)?;
    // SAFETY: the calls take integers, a C string that lives through the call, and a sockaddr_ll of the size named;
    // the descriptor is owned at once, so it is closed on every path.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(EVERYTHING));
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = OwnedFd::from_raw_fd(fd);
        let index = libc::if_nametoindex(name.as_ptr());
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        let mut at: libc::sockaddr_ll = std::mem::zeroed();
        at.sll_family = libc::AF_PACKET as u16;
        at.sll_protocol = EVERYTHING;
        at.sll_ifindex = index as i32;
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        if libc::bind(fd.as_raw_fd(), (&raw const at).cast(), size) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(fd)
    }
}

#[allow(unsafe_code)]
fn receive(fd: &OwnedFd, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the buffer is valid for its length.
        let n = unsafe { libc::recv(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), 0) };
        match usize::try_from(n) {
            Ok(n) => return Ok(n),
            Err(_) => {
                let e = io::Error::last_os_error();
                if e.kind() != io::ErrorKind::Interrupted {
                    return Err(e);
                }
            }
        }
    }
}
