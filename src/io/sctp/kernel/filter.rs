//! The packet filter that leaves strangers without an answer.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use socket2::SockFilter;

// Instructions of the classic BPF, linux/filter.h.
const LOAD_WORD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// `SKF_NET_OFF` + 12: the source address in the IPv4 header, wherever the packet's data begins.
const SOURCE: u32 = (-0x10_0000_i32 + 12) as u32;

/// Keeps packets whose IPv4 source lies in one of `allowed`, whole, and drops all others.
pub(super) fn program(allowed: &[IpNet]) -> Vec<SockFilter> {
    let mut program = Vec::new();
    for net in allowed.iter().filter_map(as_v4) {
        program.extend([
            SockFilter::new(LOAD_WORD, 0, 0, SOURCE),
            SockFilter::new(AND, 0, 0, bits(net.netmask())),
            SockFilter::new(JUMP_EQUAL, 0, 1, bits(net.network())),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
        ]);
    }
    program.push(SockFilter::new(RETURN, 0, 0, 0));
    program
}

fn as_v4(net: &IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(*net),
        IpNet::V6(_) => None,
    }
}

fn bits(address: Ipv4Addr) -> u32 {
    u32::from(address)
}
