//! Where our own page and resolver are inside the closed network (decision D14).

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The service address: what UEs reach of ours, whatever the rules say, and nothing else of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// TCP ports that are open there.
    pub tcp: Vec<u16>,
    /// UDP ports that are.
    pub udp: Vec<u16>,
    /// How a browser finds the page: scheme, host and port, without a path.
    pub url: String,
}

impl Service {
    /// True for its address.
    pub fn is(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) => self.v4 == Some(a),
            IpAddr::V6(a) => self.v6 == Some(a),
        }
    }

    /// True where somebody answers there: a listed port, or an echo.
    pub(crate) fn answers(&self, protocol: u8, port: u16) -> bool {
        match protocol {
            6 => self.tcp.contains(&port),
            17 => self.udp.contains(&port),
            1 => self.v4.is_some(),
            58 => self.v6.is_some(),
            _ => false,
        }
    }
}
