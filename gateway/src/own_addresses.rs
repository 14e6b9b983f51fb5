//! This machine's own addresses, followed live (decision D14): UE traffic never reaches them.

use super::netlink::Netlink;
use anyhow::Result;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use tracing::error;

/// The addresses and who tells of their change.
#[derive(Debug)]
pub struct OwnAddresses {
    follow: Netlink,
    ask: Netlink,
    current: Vec<IpAddr>,
}

impl OwnAddresses {
    /// Begins to follow, then asks: a change in between is not missed.
    ///
    /// # Errors
    /// Where the kernel does not answer: then the packet path must not open.
    pub fn follow() -> Result<Self> {
        let follow = Netlink::follow_addresses()?;
        let mut ask = Netlink::open()?;
        let current = ask.addresses()?;
        Ok(Self { follow, ask, current })
    }

    /// The addresses, sorted.
    pub fn current(&self) -> &[IpAddr] {
        &self.current
    }

    /// The addresses, if they changed since the last call.
    pub fn changed(&mut self) -> Option<&[IpAddr]> {
        if !self.follow.changed() {
            return None;
        }
        match self.ask.addresses() {
            Ok(now) if now == self.current => None,
            Ok(now) => {
                self.current = now;
                Some(&self.current)
            }
            Err(e) => {
                error!("our own addresses changed and cannot be read; the old ones stay in force: {e:#}");
                None
            }
        }
    }
}

impl AsFd for OwnAddresses {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.follow.as_fd()
    }
}
