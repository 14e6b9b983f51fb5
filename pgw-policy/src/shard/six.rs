//! What is IPv6's own on the way of a packet: whose its ends are, Router Advertisements (RFC 4861; TS 23.501 §5.8.2.2.3),
//! and what the sender of a packet that does not pass is told (RFC 4443).

use super::Shard;
use super::answer::{ack_of, put};
use super::judge::Tell;
use crate::batch::{Batch, ShardId};
use crate::inner::{ICMP6, Inner, TCP, checksum};
use crate::inner6::{HEADER, Six, is_special};
use crate::session::Downlink;
use std::net::{IpAddr, Ipv6Addr};
use types::{Reason, Seid};

/// Least MTU of IPv6: an error is no longer.
const LEAST_MTU: usize = 1280;
/// Most resolvers that are advertised.
const RESOLVERS: usize = 4;
/// Ours, on the link to a UE.
const US: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

impl Shard {
    /// May a packet of this session leave? The shard of the other end, where that is a UE's.
    pub(super) fn may_leave_six(&self, session: u32, six: &Six) -> Result<Option<ShardId>, Reason> {
        if !self.is_six_of(session, six.src) {
            return Err(Reason::SpoofedSource);
        }
        if is_special(six.dst) {
            return Err(Reason::SpecialAddress);
        }
        if self.ours6.contains_key(&six.dst) {
            return Err(Reason::OwnAddress);
        }
        if self.is_six_of(session, six.dst) {
            return Err(Reason::UeToUe);
        }
        Ok(self.route_owners.find(six.dst.into()))
    }

    /// May a packet with this source go to a UE?
    pub(super) fn may_come_six(&self, six: &Six, between_ues: bool) -> Result<(), Reason> {
        if !between_ues && self.route_owners.find(six.src.into()).is_some() {
            return Err(Reason::SpoofedSource);
        }
        if is_special(six.src) { Err(Reason::SpecialAddress) } else { Ok(()) }
    }

    /// A UE is told its prefix with the next batch: it asks, it speaks for the first time, or its path is there anew.
    pub(super) fn advertise_to(&mut self, session: u32) {
        let Some(s) = self.session_mut(session).filter(|s| s.prefix.is_some() && !s.advertises) else {
            return;
        };
        (s.advertises, s.untold) = (true, false);
        let seid = s.seid;
        self.advertised.push_back(seid);
    }

    /// Sends the Router Advertisements that are due.
    pub(super) fn send_advertisements(&mut self, batch: &mut Batch) {
        while let Some(seid) = self.advertised.pop_front() {
            self.advertise(batch, seid);
        }
    }

    fn advertise(&mut self, batch: &mut Batch, seid: Seid) -> Option<()> {
        let at = *self.by_seid.get(&seid)?;
        let s = self.session_mut(at)?;
        s.advertises = false;
        // A UE without a downlink tunnel hears it when it has one.
        (!s.dropped && matches!(s.downlink, Downlink::Forward { .. })).then_some(())?;
        let (prefix, mtu, ue) = (s.prefix?.network(), s.mtu, s.ue);
        let dns = self.policy.as_ref().map_or(&[][..], |p| p.resolvers_of(ue.into()));
        let of_six = |r: &IpAddr| match r {
            IpAddr::V6(r) => Some(*r),
            IpAddr::V4(_) => None,
        };
        let dns: Vec<Ipv6Addr> = dns.iter().filter_map(of_six).take(RESOLVERS).collect();
        let packet = advertisement(prefix, mtu, &dns);
        let piece = batch.make_from(&packet)?;
        self.send_own_to_ue(batch, piece, at).ok()?;
        self.counters.advertisements += 1;
        Some(())
    }
}

/// A Router Advertisement (RFC 4861 §4.2): we are the router, addresses are made from the prefix (which is not on the link,
/// TS 23.501 §5.8.2.2.3), the link's MTU, and resolvers (RFC 8106 §5.1).
fn advertisement(prefix: Ipv6Addr, mtu: u16, dns: &[Ipv6Addr]) -> Vec<u8> {
    let mut p = vec![0; 96];
    let lifetime = u16::MAX.to_be_bytes();
    let parts: [(usize, &[u8]); 5] = [
        // Type 134, code, checksum, hop limit, flags, router lifetime, reachable time, retransmission time.
        (HEADER, &[134, 0, 0, 0, 64, 0, lifetime[0], lifetime[1]]),
        // Prefix information: 64 bits, autonomous, valid and preferred for ever.
        (HEADER + 16, &[3, 4, 64, 0x40, 255, 255, 255, 255, 255, 255, 255, 255]),
        (HEADER + 32, &prefix.octets()),
        (HEADER + 48, &[5, 1, 0, 0, 0, 0]),
        (HEADER + 54, &mtu.to_be_bytes()),
    ];
    for (at, octets) in parts {
        _ = put(&mut p, at, octets);
    }
    if !dns.is_empty() {
        // Type 25, its length in units of 8 octets, reserved, and for ever.
        p.extend([25, 1 + 2 * dns.len() as u8, 0, 0, 255, 255, 255, 255]);
        p.extend(dns.iter().flat_map(Ipv6Addr::octets));
    }
    _ = finish(&mut p, ICMP6, 255, US, ALL_NODES, HEADER + 2);
    p
}

/// Puts the fixed header in front of what is there, and the checksum at `sum`.
pub(super) fn finish(
    out: &mut [u8],
    protocol: u8,
    hops: u8,
    from: Ipv6Addr,
    to: Ipv6Addr,
    sum: usize,
) -> Option<()> {
    let len = out.len().checked_sub(HEADER)? as u32;
    let [_, _, l1, l2] = len.to_be_bytes();
    put(out, 0, &[0x60, 0, 0, 0, l1, l2, protocol, hops])?;
    put(out, 8, &from.octets())?;
    put(out, 24, &to.octets())?;
    put(out, sum, &[0, 0])?;
    let check =
        checksum(&[out.get(8..HEADER)?, &len.to_be_bytes(), &[0, 0, 0, protocol], out.get(HEADER..)?]);
    put(out, sum, &check.to_be_bytes())
}

/// What the sender of an IPv6 packet is told.
pub(super) fn answer(original: &[u8], packet: &Inner, tell: Tell) -> Option<Vec<u8>> {
    let (src, dst) = (original.get(8..24)?.first_chunk::<16>()?, original.get(24..40)?.first_chunk::<16>()?);
    let (src, dst) = (Ipv6Addr::from(*src), Ipv6Addr::from(*dst));
    let mut out = vec![0; HEADER];
    let (protocol, sum) = match tell {
        Tell::Nothing | Tell::Page(_) => return None,
        Tell::Rejected if packet.protocol == TCP => {
            out.extend_from_slice(&ack_of(original.get(packet.header..packet.len)?)?);
            (TCP, HEADER + 16)
        }
        _ => {
            // Packet too big with its MTU (§3.2), or administratively prohibited (§3.1).
            let (kind, code, word) =
                if let Tell::TooBig(mtu) = tell { (2, 0, u32::from(mtu)) } else { (1, 1, 0) };
            out.extend_from_slice(&[kind, code, 0, 0]);
            out.extend_from_slice(&word.to_be_bytes());
            // As much of the packet as the least MTU has room for.
            out.extend_from_slice(original.get(..packet.len.min(LEAST_MTU - HEADER - 8))?);
            (ICMP6, HEADER + 2)
        }
    };
    finish(&mut out, protocol, 64, dst, src, sum)?;
    Some(out)
}
