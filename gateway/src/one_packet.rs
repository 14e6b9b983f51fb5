//! What `sekisho bench path` holds our shard against: a loop that moves one packet with each system call, and judges
//! nothing. It stands here, and not with the bench, so that both are compiled alike.

use crate::sys::{self, Wait};
use anyhow::{Context, Result};
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsRawFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tun_rs::SyncDevice;

/// How often a loop without work looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// One of the two loops, to be run on a thread of its own; both are clones of one.
#[derive(Clone)]
pub struct OnePacket {
    /// Towards N6; does not block.
    pub tun: Arc<SyncDevice>,
    /// Our end of N3; does not block.
    pub socket: Arc<UdpSocket>,
    /// Ends both loops.
    pub stop: Arc<AtomicBool>,
    /// Packets written to N6.
    pub passed: Arc<AtomicU64>,
}

impl OnePacket {
    /// N3 to N6, until it is stopped.
    ///
    /// # Errors
    /// Where poll(2) fails.
    pub fn up(&self) -> Result<()> {
        let mut buffer = [0; 2048];
        while !self.stop.load(Ordering::Relaxed) {
            match self.socket.recv(&mut buffer) {
                Ok(n) => {
                    let datagram = buffer.get(..n).unwrap_or_default();
                    if let Ok(packet) = wire::gtpu::Packet::parse(datagram)
                        && self.tun.send(packet.payload).is_ok()
                    {
                        self.passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    sys::poll(&[Wait::read(&*self.socket)], LOOK)?;
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// N6 to the tunnel `teid` of `radio`, until it is stopped.
    ///
    /// # Errors
    /// Where poll(2) fails, or a packet is too long for its header.
    pub fn down(&self, radio: SocketAddr, teid: u32) -> Result<()> {
        const HEAD: usize = 16;
        let container = Some(wire::gtpu::PduSession { pdu_type: 0, qfi: 1 });
        let mut buffer = [0; 2048];
        while !self.stop.load(Ordering::Relaxed) {
            let (head, room) = buffer.split_at_mut(HEAD);
            match self.tun.recv(room) {
                Ok(n) => {
                    let made = wire::gtpu::g_pdu_header(teid, container, n).context("too long")?;
                    head.copy_from_slice(made.as_bytes());
                    let datagram = buffer.get(..HEAD + n).unwrap_or_default();
                    let _ = self.socket.send_to(datagram, radio);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    sys::poll(&[readable(&self.tun)], LOOK)?;
                }
                Err(_) => {}
            }
        }
        Ok(())
    }
}

#[allow(unsafe_code)]
fn readable(tun: &SyncDevice) -> Wait<'_> {
    // SAFETY: the device owns the descriptor and is borrowed for as long as the result.
    Wait { fd: unsafe { BorrowedFd::borrow_raw(tun.as_raw_fd()) }, write: false }
}
