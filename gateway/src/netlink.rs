//! The little of netlink (rtnetlink(7)) that the gateway needs: addresses of this machine, and routes to the
//! TUN. Asked and answered in place; no thread, no command.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use std::ffi::CString;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const REQUEST: u16 = 0x001;
const ACK: u16 = 0x004;
const DUMP: u16 = 0x300;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;
const EXCL: u16 = 0x200;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
const IFF_UP: u32 = 1;
/// Octets of one answer, at most; the kernel cuts dumps at 32 KiB.
const BUFFER: usize = 64 << 10;

/// A socket to the kernel's routing tables.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// For questions and orders.
    ///
    /// # Errors
    /// Where the kernel has no netlink.
    pub fn open() -> Result<Self> {
        let domain = Domain::from(libc::AF_NETLINK);
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::NETLINK_ROUTE)))
            .context("netlink cannot be opened")?;
        Ok(Self { socket, sequence: 0 })
    }

    /// For word of changed addresses, from here on; see [`Netlink::changed`].
    ///
    /// # Errors
    /// Where the kernel has no netlink.
    pub fn follow_addresses() -> Result<Self> {
        let mut this = Self::open()?;
        // A socket that has never asked has no number yet, and the kernel leaves out sockets without one.
        this.addresses()?;
        for group in [libc::RTNLGRP_IPV4_IFADDR, libc::RTNLGRP_IPV6_IFADDR] {
            this.join(group).context("netlink does not tell of changed addresses")?;
        }
        this.socket.set_nonblocking(true)?;
        Ok(this)
    }

    /// True if word came since the last call.
    pub fn changed(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let mut any = false;
        loop {
            match self.socket.read(&mut buffer) {
                Ok(_) => any = true,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return any,
                // Word was lost because there was too much of it: that is word, too.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => any = true,
                Err(_) => return true,
            }
        }
    }

    /// All addresses of this machine (of this namespace).
    ///
    /// # Errors
    /// Where the kernel does not answer.
    pub fn addresses(&mut self) -> Result<Vec<IpAddr>> {
        let mut found = Vec::new();
        self.ask(RTM_GETADDR, REQUEST | DUMP, &[0; 8], |kind, body| {
            if kind == RTM_NEWADDR {
                found.extend(address_of(body));
            }
        })
        .context("the kernel does not tell its addresses")?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Routes `prefix` to interface `index`, whatever was there before.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn add_route(&mut self, prefix: IpNet, index: u32) -> Result<()> {
        self.ask(RTM_NEWROUTE, REQUEST | ACK | CREATE | REPLACE, &route(prefix, index), |_, _| {})
            .with_context(|| format!("{prefix} cannot be routed"))
    }

    /// Takes the route of `prefix` to interface `index` away.
    ///
    /// # Errors
    /// Where the kernel refuses, for example because there is none.
    pub fn delete_route(&mut self, prefix: IpNet, index: u32) -> Result<()> {
        self.ask(RTM_DELROUTE, REQUEST | ACK, &route(prefix, index), |_, _| {})
            .with_context(|| format!("the route of {prefix} cannot be taken away"))
    }

    /// Gives interface `index` an address.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn add_address(&mut self, address: IpNet, index: u32) -> Result<()> {
        let family = family(address.addr());
        let mut body = vec![family, address.prefix_len(), 0, 0];
        body.extend_from_slice(&index.to_ne_bytes());
        for kind in [IFA_LOCAL, IFA_ADDRESS] {
            attribute(&mut body, kind, &octets(address.addr()));
        }
        self.ask(RTM_NEWADDR, REQUEST | ACK | CREATE | REPLACE, &body, |_, _| {})
            .with_context(|| format!("the address {address} cannot be set"))
    }

    /// A cable (veth) from the new interface `near` here to the new interface `far` in another namespace.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn cable(&mut self, near: &str, far: &str, namespace: &OwnedFd) -> Result<()> {
        let named =
            |b: &mut Vec<u8>, name: &str| attribute(b, IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
        let mut peer = vec![0; 16];
        named(&mut peer, far);
        attribute(&mut peer, IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
        let (mut data, mut info, mut body) = (Vec::new(), Vec::new(), vec![0; 16]);
        attribute(&mut data, VETH_INFO_PEER, &peer);
        attribute(&mut info, IFLA_INFO_KIND, b"veth\0");
        attribute(&mut info, IFLA_INFO_DATA, &data);
        named(&mut body, near);
        attribute(&mut body, IFLA_LINKINFO, &info);
        self.ask(RTM_NEWLINK, REQUEST | ACK | CREATE | EXCL, &body, |_, _| {})
            .with_context(|| format!("{near} cannot be made"))
    }

    /// Takes interface `index` up.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn set_up(&mut self, index: u32) -> Result<()> {
        let mut body = vec![0; 4];
        body.extend_from_slice(&index.to_ne_bytes());
        body.extend_from_slice(&IFF_UP.to_ne_bytes());
        body.extend_from_slice(&IFF_UP.to_ne_bytes());
        self.ask(RTM_NEWLINK, REQUEST | ACK, &body, |_, _| {})
            .with_context(|| format!("interface {index} cannot be taken up"))
    }

    /// Answers on this interface for a neighbour that is elsewhere (NTF_PROXY), which IPv6 does address by address.
    #[cfg(test)]
    pub(crate) fn stand_for(&mut self, neighbour: IpAddr, index: u32) -> Result<()> {
        const RTM_NEWNEIGH: u16 = 28;
        const NDA_DST: u16 = 1;
        const NTF_PROXY: u8 = 8;
        let mut body = vec![family(neighbour), 0, 0, 0];
        body.extend_from_slice(&index.to_ne_bytes());
        body.extend_from_slice(&[0, 0, NTF_PROXY, 0]);
        attribute(&mut body, NDA_DST, &octets(neighbour));
        self.ask(RTM_NEWNEIGH, REQUEST | ACK | CREATE | REPLACE, &body, |_, _| {})
    }

    /// Sends one request and reads to the end of its answer.
    fn ask(&mut self, kind: u16, flags: u16, body: &[u8], mut take: impl FnMut(u16, &[u8])) -> Result<()> {
        self.sequence += 1;
        let mut message = Vec::with_capacity(16 + body.len());
        message.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&flags.to_ne_bytes());
        message.extend_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(body);
        self.socket.send(&message)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let n = self.socket.read(&mut buffer)?;
            let mut rest = buffer.get(..n).unwrap_or_default();
            while let Some((kind, body, after)) = split_message(rest) {
                rest = after;
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        return match body.first_chunk::<4>().map(|e| i32::from_ne_bytes(*e)) {
                            Some(0) => Ok(()),
                            Some(e) => Err(io::Error::from_raw_os_error(-e).into()),
                            None => bail!("netlink's answer is too short"),
                        };
                    }
                    kind => take(kind, body),
                }
            }
        }
    }

    #[allow(unsafe_code)]
    fn join(&self, group: libc::c_uint) -> io::Result<()> {
        // SAFETY: pointer and length are of one integer, as the option takes it; the socket is open.
        let rc = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_ADD_MEMBERSHIP,
                (&raw const group).cast(),
                size_of::<libc::c_uint>() as libc::socklen_t,
            )
        };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The number of an interface.
///
/// # Errors
/// Where there is none of this name.
#[allow(unsafe_code)]
pub fn index_of(name: &str) -> Result<u32> {
    let name_for_c = CString::new(name)?;
    // SAFETY: a valid C string, which lives until the call is over.
    match unsafe { libc::if_nametoindex(name_for_c.as_ptr()) } {
        0 => Err(io::Error::last_os_error()).with_context(|| format!("there is no interface {name}")),
        index => Ok(index),
    }
}

fn route(prefix: IpNet, index: u32) -> Vec<u8> {
    let (family, len) = (family(prefix.addr()), prefix.prefix_len());
    let mut body =
        vec![family, len, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_LINK, RTN_UNICAST, 0, 0, 0, 0];
    attribute(&mut body, RTA_DST, &octets(prefix.network()));
    attribute(&mut body, RTA_OIF, &index.to_ne_bytes());
    body
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Kind and body of the first message, and what is behind it.
fn split_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(16..len)?;
    Some((kind, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// The address of an `ifaddrmsg`: the local end where the link has two.
fn address_of(body: &[u8]) -> Option<IpAddr> {
    let mut rest = body.get(8..)?;
    let mut found = None;
    while let Some((head, _)) = rest.split_first_chunk::<4>() {
        let [a, b, c, d] = *head;
        let (len, kind) = (usize::from(u16::from_ne_bytes([a, b])), u16::from_ne_bytes([c, d]));
        let value = rest.get(4..len)?;
        if kind == IFA_LOCAL || (kind == IFA_ADDRESS && found.is_none()) {
            found = address_from(value).or(found);
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn address_from(value: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(value) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_its_addresses() {
        let found = Netlink::open().unwrap().addresses().unwrap();
        // A namespace whose loopback is down has none.
        assert!(found.is_empty() || found.contains(&"127.0.0.1".parse().unwrap()), "{found:?}");
    }

    #[test]
    fn what_is_not_allowed_is_an_error_with_words() {
        let e = Netlink::open().unwrap().delete_route("198.51.100.0/24".parse().unwrap(), 1).unwrap_err();
        assert!(format!("{e:#}").contains("198.51.100.0/24"), "{e:#}");
    }

    #[test]
    fn cut_answers_are_no_panic() {
        let mut message = vec![0; 16];
        message[0] = 40;
        assert!(split_message(&message).is_none());
        for len in 0..16 {
            assert_eq!(address_of(&vec![7; len]), None);
        }
    }
}
