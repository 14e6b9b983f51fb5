//! Where our own page and resolver are inside the closed network (decision D14).

use crate::decide::Ruling;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use types::{Direction, Reason};

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

    /// What holds for a flow to it; `None` for every other flow. It stands above the rules, and above quarantine and panic:
    /// whoever is shut out is told why. A ban stands above it.
    pub fn ruling(
        &self,
        direction: Direction,
        peer: IpAddr,
        protocol: u8,
        port: u16,
    ) -> Option<(Ruling, Reason)> {
        (direction == Direction::Out && self.is(peer)).then(|| match self.answers(protocol, port) {
            true => (Ruling::Allow, Reason::Service),
            false => (Ruling::Reject, Reason::OwnAddress),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_open_at_its_ports_and_nothing_else_of_it() {
        let page = Service { v4: Some([10, 255, 255, 1].into()), tcp: vec![80, 443], ..Service::default() };
        let ask = |direction, last, protocol, port| {
            page.ruling(direction, [10, 255, 255, last].into(), protocol, port)
        };
        let (open, shut) =
            (Some((Ruling::Allow, Reason::Service)), Some((Ruling::Reject, Reason::OwnAddress)));
        for (protocol, port, expected) in
            [(6, 443, open), (6, 80, open), (1, 0, open), (6, 22, shut), (17, 53, shut), (132, 1, shut)]
        {
            assert_eq!(ask(Direction::Out, 1, protocol, port), expected, "{protocol} {port}");
        }
        assert_eq!(ask(Direction::Out, 2, 6, 443), None);
        assert_eq!(ask(Direction::In, 1, 6, 443), None);
    }
}
