//! Datagrams from many UEs at once, and datagrams at random.

use super::{Bare, Inner};
use anyhow::{Context, Result};
use gateway::time::now;
use lab::gnb::SessionTunnel;
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::PoisonError,
    time::{Duration, Instant},
};
use wire::gtpu;

impl Inner {
    /// Starts the thread that sends from all bare sessions.
    pub(super) fn flood(&self, to: std::net::SocketAddrV4, per_second: u32) -> Result<()> {
        let cell = self.cell.as_ref().context("there is no gNB")?;
        let (n3, bare) = (cell.n3.clone(), self.bare.clone());
        std::thread::spawn(move || {
            let start = Instant::now();
            let (mut packets, mut next, mut sent) = (Vec::new(), 0usize, 0u64);
            loop {
                while sent >= (start.elapsed().as_secs_f64() * f64::from(per_second)) as u64 {
                    std::thread::sleep(Duration::from_micros(200));
                }
                sent += 1;
                if next >= packets.len() {
                    packets = flood_packets(&bare, to);
                    next = 0;
                }
                let Some((packet, stamp, at)) = packets.get_mut(next) else { continue };
                next += 1;
                if let Some(field) = packet.get_mut(stamp.clone()) {
                    field.copy_from_slice(&now().mono.0.to_be_bytes());
                }
                drop(n3.send_to(packet, *at));
            }
        });
        Ok(())
    }
}

/// Sends datagrams of 0 to 1 400 octets, no faster than a socket is read.
pub(super) fn noise(n3: &UdpSocket, to: std::net::SocketAddrV4, datagrams: u32, beginning: &[u8]) {
    let mut chance = fastrand::Rng::with_seed(10);
    for n in 0..datagrams {
        let mut octets: Vec<u8> = (0..chance.usize(..=1_400)).map(|_| chance.u8(..)).collect();
        if n % 3 == 0 {
            octets.splice(..beginning.len().min(octets.len()), beginning.iter().copied());
        }
        // An ICMP error about an earlier one says nothing of this one.
        drop(n3.send_to(&octets, to));
        if n % 64 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A GTP-U packet for each session of the flood, where in it the instant of its sending stands, and where to.
fn flood_packets(
    bare: &Bare,
    to: std::net::SocketAddrV4,
) -> Vec<(Vec<u8>, std::ops::Range<usize>, SocketAddr)> {
    let bare = bare.read().unwrap_or_else(PoisonError::into_inner);
    let packet = |(ip, t): &(Ipv4Addr, SessionTunnel)| {
        let inner = udp_packet(*ip, to);
        let p = gtpu::encode_uplink(t.uplink.teid.value(), t.qfi, &inner)?;
        let stamp = p.len() - inner.len() + 28..p.len() - inner.len() + 36;
        Some((p, stamp, SocketAddr::from((t.uplink.address, gtpu::PORT))))
    };
    bare.iter().filter_map(packet).collect()
}

/// An IPv4 packet with a UDP datagram of 64 octets; UDP without a checksum (RFC 768).
fn udp_packet(from: Ipv4Addr, to: std::net::SocketAddrV4) -> Vec<u8> {
    const PAYLOAD: usize = 64;
    let total = (20 + 8 + PAYLOAD) as u16;
    let mut p = vec![0x45, 0];
    p.extend(total.to_be_bytes());
    p.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    p.extend(from.octets());
    p.extend(to.ip().octets());
    let sum = p.chunks_exact(2).filter_map(|c| <[u8; 2]>::try_from(c).ok()).map(u16::from_be_bytes);
    let sum = sum.fold(0u32, |a, w| a + u32::from(w));
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    if let Some(field) = p.get_mut(10..12) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    p.extend(5_000u16.to_be_bytes());
    p.extend(to.port().to_be_bytes());
    p.extend((total - 20).to_be_bytes());
    p.extend([0, 0]);
    p.extend([0u8; PAYLOAD]);
    p
}
