//! Whatever arrives on N3, in a tunnel or not: the process lives, no batch is given up, and a neighbour's
//! packet still comes through.

use super::*;
use std::io::Write;
use std::os::unix::net::UnixStream;

/// A small generator of chance that gives the same every time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn octets(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }

    /// Changes up to four octets, and sometimes the length.
    fn spoil(&mut self, bytes: &mut Vec<u8>, from: usize) {
        for _ in 0..=self.below(4) {
            if bytes.len() > from {
                let at = from + self.below(bytes.len() - from);
                bytes[at] = self.next() as u8;
            }
        }
        if self.below(4) == 0 {
            bytes.truncate(from + self.below(bytes.len().saturating_sub(from).max(1)));
        }
    }
}

/// A TCP segment of the UE to the app, with a right header sum.
fn tcp(sequence: u32, data: &[u8]) -> Vec<u8> {
    let mut p = udp((UE, 40_001), (APP, 5201), &[]);
    p.truncate(20);
    p[9] = 6;
    p.extend(40_001u16.to_be_bytes());
    p.extend(5201u16.to_be_bytes());
    p.extend(sequence.to_be_bytes());
    p.extend(1u32.to_be_bytes());
    p.extend([0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    p.extend(data);
    repair(&mut p);
    p
}

/// Makes length and sum of the IP header right again, so that what is behind it is looked at.
fn repair(p: &mut [u8]) {
    if p.len() < 20 {
        return;
    }
    let len = p.len() as u16;
    p[2..4].copy_from_slice(&len.to_be_bytes());
    p[10..12].fill(0);
    let header = usize::from(p[0] & 15).clamp(5, 15) * 4;
    let words = p[..header.min(p.len())].chunks(2);
    let mut sum = words.map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0))).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    p[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

#[test]
fn garbage_on_n3_and_on_the_link_hurts_nobody() {
    in_a_namespace("story::garbage::garbage_on_n3_and_on_the_link_hurts_nobody", || {
        let mut site = Site::build(2);
        let mut control = site.start();
        control.associate();
        control.publish_policy(1);
        let (teid, neighbour) = (control.establish().unwrap(), control.establish_for(2).unwrap());
        let site = control.site;
        let to = (US, GTPU_PORT);
        let mut chance = Chance(7);
        // An open connection, so that its broken packets pass the judgement and reach the TUN.
        let mut syn = tcp(0, &[]);
        syn[33] = 2;
        site.send_up(teid, &syn);
        for n in 0..30_000u32 {
            let datagram = match n % 6 {
                0 => {
                    let len = chance.below(200);
                    chance.octets(len)
                }
                1 => {
                    let mut d = wire::gtpu::encode_uplink(teid, 1, &question(b"whole")).unwrap();
                    chance.spoil(&mut d, 0);
                    d
                }
                2 => {
                    let mut inner = question(b"whole");
                    chance.spoil(&mut inner, 20);
                    repair(&mut inner);
                    wire::gtpu::encode_uplink(teid, 1, &inner).unwrap()
                }
                _ => {
                    let mut inner = tcp(n * 100, &[n as u8; 100]);
                    chance.spoil(&mut inner, 20);
                    repair(&mut inner);
                    wire::gtpu::encode_uplink(teid, 1, &inner).unwrap()
                }
            };
            let _ = site.gnb.send_to(&datagram, to);
        }
        let _ = site.gnb.send_to(&[], to);
        let _ = site.gnb.send_to(&vec![0x30; 60_000], to);
        // From the company: octets at random, which the kernel takes for no IP, and packets of a live flow that are broken
        // behind their IP header.
        for n in 0..6_000 {
            let mut packet = if n % 2 == 0 { answer(b"whole") } else { chance.octets(60) };
            chance.spoil(&mut packet, if n % 2 == 0 { 20 } else { 0 });
            if n % 3 > 0 {
                repair(&mut packet);
            }
            let _ = site.n6.send(&packet);
        }
        // And on the link: strangers to its language.
        for n in 1..20 {
            let mut stream = UnixStream::connect(&site.config.socket).unwrap();
            let _ = stream.write_all(&chance.octets(n * 13));
        }
        // What the company sees of the flood is left aside until the neighbour's packet is there.
        let theirs = udp((ue(2), 40_000), (APP, 5000), b"neighbour");
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < SOON, "the neighbour's packet does not come through");
            site.send_up(neighbour, &theirs);
            if std::iter::from_fn(|| site.at_company(NEVER)).any(|p| core(&p) == core(&theirs)) {
                break;
            }
        }
        let status = control.status();
        for s in &status.shards {
            assert_eq!(s.io.panics, 0, "{s:?}");
        }
        let dropped: u64 = status.shards.iter().map(|s| s.counters.dropped_in_all()).sum();
        let passed: u64 = status.shards.iter().map(|s| s.counters.uplink_packets).sum();
        println!("{dropped} dropped, {passed} passed");
        assert!(dropped > 5_000 && passed > 1_000, "the flood did not reach what it is meant for");
        assert_eq!(control.cut().shards_confirmed, 2);
    });
}
