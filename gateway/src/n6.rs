//! N6, and the way to our own page: a TUN interface with one queue per shard. TCP and UDP packets of one flow pass the kernel's border as one large
//! one (virtio header, TSO/USO) and are cut and joined in here.

use super::{shard_thread::Io, sys};
use anyhow::{Context, Result};
use pgw_policy::batch::{Batch, Origin, To};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use tun_rs::{DeviceBuilder, GROTable, SyncDevice, VIRTIO_NET_HDR_LEN};

/// Octets of one packet, at most; above any MTU that is set.
const SPACE: usize = 2048;
/// The largest MTU that one receive buffer has room for.
pub const MAX_MTU: u16 = 2000;
/// Packets that one large one may become.
const PIECES: usize = 128;
/// Packets received in one turn, about.
const A_TURN: usize = 256;
/// Packets written together.
const TOGETHER: usize = 128;
/// Among packets all so short, only neighbours are joined: to look for more costs more than it saves.
const SHORT: usize = 256;
/// Octets of one large packet with its header.
const LARGE: usize = 65_535 + 2 * VIRTIO_NET_HDR_LEN;

/// One queue of the TUN interface.
pub struct N6 {
    device: SyncDevice,
    large: Vec<u8>,
    table: GROTable,
    out: Vec<Vec<u8>>,
    used: usize,
    longest: usize,
}

impl N6 {
    /// Makes the interface `name`, up, with `queues` queues; it lives as long as one of them.
    ///
    /// # Errors
    /// Without the right to make interfaces, or where the name is taken.
    pub fn open(name: &str, mtu: u16, queues: usize) -> Result<Vec<Self>> {
        let first = DeviceBuilder::new()
            .name(name)
            .mtu(mtu.min(MAX_MTU))
            .multi_queue(true)
            .offload(true)
            .packet_information(false)
            .build_sync()
            .with_context(|| format!("the TUN interface {name} cannot be made"))?;
        let mut devices = Vec::with_capacity(queues);
        for _ in 1..queues {
            devices.push(first.try_clone().with_context(|| format!("{name} takes no further queue"))?);
        }
        devices.insert(0, first);
        devices.into_iter().map(Self::on).collect()
    }

    fn on(device: SyncDevice) -> Result<Self> {
        device.set_nonblocking(true)?;
        Ok(Self {
            device,
            large: vec![0; LARGE],
            table: GROTable::new(),
            out: (0..TOGETHER).map(|_| Vec::with_capacity(LARGE)).collect(),
            used: 0,
            longest: 0,
        })
    }

    /// The interface's number.
    ///
    /// # Errors
    /// Where the interface is gone.
    pub fn index(&self) -> Result<u32> {
        Ok(self.device.if_index()?)
    }

    /// Puts into `batch` what is there, as from `origin`. True if nothing is left.
    pub fn receive(&mut self, batch: &mut Batch, origin: Origin, io: &Io) -> bool {
        let before = batch.len();
        let mut drained = false;
        while batch.len() - before < A_TURN {
            let mut sizes = [0; PIECES];
            let got = {
                let mut spaces: Vec<&mut [u8]> = batch.spaces(SPACE).take(PIECES).collect();
                if spaces.len() < PIECES {
                    break;
                }
                self.device.recv_multiple(&mut self.large, &mut spaces, &mut sizes, 0)
            };
            let got = match got {
                Ok(got) => got,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    drained = true;
                    break;
                }
                // A packet that cannot be cut up is dropped; the next read is of the next one.
                Err(_) => {
                    Io::add(&io.send_failed, 1);
                    break;
                }
            };
            for (index, &len) in sizes.iter().take(got).enumerate() {
                batch.received(index, SPACE, origin, len, 0);
            }
            batch.seal(got, SPACE);
        }
        Io::add(&io.n6_received, batch.len() - before);
        drained
    }

    /// Writes what is for this interface.
    pub fn send(&mut self, batch: &Batch, to: To, io: &Io) {
        for output in batch.outputs() {
            if output.to == to {
                self.put(batch.bytes(output.piece), io);
            }
        }
        self.flush(io);
    }

    /// Takes a packet; it is written at the latest by [`N6::flush`].
    pub fn put(&mut self, packet: &[u8], io: &Io) {
        if self.used == self.out.len() {
            self.flush(io);
        }
        if let Some(room) = self.out.get_mut(self.used) {
            room.clear();
            room.resize(VIRTIO_NET_HDR_LEN, 0);
            room.extend_from_slice(packet);
            self.used += 1;
            self.longest = self.longest.max(packet.len());
        }
    }

    /// Writes what was taken.
    pub fn flush(&mut self, io: &Io) {
        let Some(packets) = self.out.get_mut(..self.used).filter(|p| !p.is_empty()) else { return };
        let n = packets.len();
        let device = &self.device;
        // An error says that one of them was refused (the interface is down, its queue is full); the others were written.
        let mut join = |packets: &mut [Vec<u8>]| {
            usize::from(device.send_multiple(&mut self.table, packets, VIRTIO_NET_HDR_LEN).is_err())
        };
        let refused = if self.longest > SHORT {
            join(packets)
        } else {
            let follows = |a: &Vec<u8>, b: &Vec<u8>| device.udp_gso() && continues(bare(a), bare(b));
            let write = |run: &mut [Vec<u8>]| match run {
                // With a virtio header of zeros it goes as it is.
                [alone] => usize::from(sys::write(descriptor(device), alone).is_err()),
                run => join(run),
            };
            packets.chunk_by_mut(follows).map(write).sum()
        };
        Io::add(&io.send_failed, refused);
        Io::add(&io.n6_sent, n - refused);
        (self.used, self.longest) = (0, 0);
    }
}

impl AsFd for N6 {
    fn as_fd(&self) -> BorrowedFd<'_> {
        descriptor(&self.device)
    }
}

#[allow(unsafe_code)]
fn descriptor(device: &SyncDevice) -> BorrowedFd<'_> {
    // SAFETY: the device owns the descriptor and is borrowed for as long as the result.
    unsafe { BorrowedFd::borrow_raw(device.as_raw_fd()) }
}

/// A packet that was taken, without the room for its virtio header.
fn bare(taken: &[u8]) -> &[u8] {
    taken.get(VIRTIO_NET_HDR_LEN..).unwrap_or_default()
}

/// True if `b` may be joined to `a` before it, so that who receives the pieces sees what was sent: UDP over IPv4 without
/// options, or over IPv6 without extension headers; of one flow, class and TTL, no fragments; of equal size, the last may be
/// shorter; over IPv4 whole packets, or identifications in a row; each with a checksum (that it holds is looked at when
/// they are joined).
fn continues(a: &[u8], b: &[u8]) -> bool {
    // Addresses and ports of IPv4, the greater part of the source of IPv6.
    let some = |p: &[u8]| p.get(12..24).and_then(|f| f.first_chunk::<12>()).copied();
    // First of all, as most neighbours are of other flows.
    if some(a) != some(b) {
        return false;
    }
    let (Some(a_is), Some(b_is)) = (joinable(a), joinable(b)) else { return false };
    let next = a_is.id.map(|id| id.wrapping_add(1));
    a_is.alike == b_is.alike && a_is.flow == b_is.flow && b.len() <= a.len() && next == b_is.id
}

const DONT_FRAGMENT: u8 = 0x40;

/// A UDP packet that may be joined to others.
struct Joinable<'a> {
    /// What all of them have alike besides.
    alike: [u8; 5],
    /// Addresses and ports.
    flow: &'a [u8],
    /// Its identification, where somebody reads it.
    id: Option<u16>,
}

fn joinable(p: &[u8]) -> Option<Joinable<'_>> {
    const HEADER: u16 = 40;
    let word = |high, low| u16::from_be_bytes([high, low]);
    let whole = |header: u16, len: Option<u16>, udp: &[u8; 4]| {
        let &[u1, u2, c1, c2] = udp;
        let of_udp = word(u1, u2);
        of_udp > 8
            && [c1, c2] != [0, 0]
            && of_udp.checked_add(header) == len
            && len.map(usize::from) == Some(p.len())
    };
    match *p.first_chunk::<12>()? {
        [0x45, class, l1, l2, i1, i2, flags, 0, ttl, 17, _, _] => {
            let may =
                flags & !DONT_FRAGMENT == 0 && whole(20, Some(word(l1, l2)), p.get(24..)?.first_chunk()?);
            let id = (flags != DONT_FRAGMENT).then_some(word(i1, i2));
            may.then_some(Joinable { alike: [4, class, flags, ttl, 0], flow: p.get(12..24)?, id })
        }
        [class @ 0x60..=0x6f, label1, label2, label3, l1, l2, 17, hops, ..] => {
            let may = whole(HEADER, word(l1, l2).checked_add(HEADER), p.get(44..)?.first_chunk()?);
            let alike = [class, label1, label2, label3, hops];
            may.then_some(Joinable { alike, flow: p.get(8..44)?, id: None })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    //! The merging and cutting is a library's, what may be merged among short packets is ours; that nothing is lost and
    //! changed by either, we see for ourselves.
    use super::*;
    use proptest::prelude::*;
    use tun_rs::{VirtioNetHdr, gso_split};

    /// One segment of one of several connections.
    #[derive(Debug, Clone)]
    struct Segment {
        connection: u8,
        octets: usize,
        /// Sequence numbers that are left out before it.
        gap: u32,
        push: bool,
        broken: bool,
    }

    fn segment() -> impl Strategy<Value = Segment> {
        let octets = prop_oneof![5 => Just(1_200usize), 2 => 1usize..1_200, 1 => Just(0usize)];
        let gap = prop_oneof![8 => Just(0u32), 1 => 1u32..5_000];
        (0u8..3, octets, gap, prop::bool::weighted(0.1), prop::bool::weighted(0.05)).prop_map(
            |(connection, octets, gap, push, broken)| Segment { connection, octets, gap, push, broken },
        )
    }

    /// The sum that a checksum makes whole, octet by octet.
    fn whole(octets: &[u8]) -> bool {
        let weigh = |(n, o): (usize, &u8)| u32::from(*o) * if n % 2 == 0 { 256 } else { 1 };
        octets.iter().enumerate().map(weigh).sum::<u32>().is_multiple_of(0xffff)
    }

    fn missing(octets: &[u8]) -> [u8; 2] {
        let weigh = |(n, o): (usize, &u8)| u32::from(*o) * if n % 2 == 0 { 256 } else { 1 };
        (0xffff - (octets.iter().enumerate().map(weigh).sum::<u32>() % 0xffff) as u16).to_be_bytes()
    }

    fn with_pseudo_header(p: &[u8]) -> Vec<u8> {
        [&p[12..20], &[0, 6][..], &(p.len() as u16 - 20).to_be_bytes(), &p[20..]].concat()
    }

    fn packet(s: &Segment, sequence: u32, id: u16) -> Vec<u8> {
        let mut p = vec![0x45, 0];
        p.extend((40 + s.octets as u16).to_be_bytes());
        p.extend(id.to_be_bytes());
        p.extend([0x40, 0, 64, 6, 0, 0, 10, 45, 0, 5, 10, 50, 0, s.connection]);
        let sum = missing(&p);
        p[10..12].copy_from_slice(&sum);
        p.extend([0x9c, 0x40, 0, 80]);
        p.extend(sequence.to_be_bytes());
        p.extend([0, 0, 0, 9, 0x50, if s.push { 0x18 } else { 0x10 }, 1, 0, 0, 0, 0, 0]);
        p.extend((0..s.octets).map(|n| (n as u32).wrapping_add(sequence) as u8));
        let sum = missing(&with_pseudo_header(&p));
        p[36..38].copy_from_slice(&sum);
        if s.broken {
            p[37] ^= 1;
        }
        p
    }

    fn sequence_of(p: &[u8]) -> u32 {
        u32::from_be_bytes([p[24], p[25], p[26], p[27]])
    }

    /// What a connection's far end reads: where each octet is, and whether its packet's checksum holds.
    fn read(packets: &[Vec<u8>]) -> Vec<(u8, u32, Vec<u8>, bool)> {
        let mut all = Vec::new();
        for p in packets {
            assert!(whole(&p[..20]), "an IP header's checksum is wrong");
            assert_eq!(usize::from(u16::from_be_bytes([p[2], p[3]])), p.len());
            all.push((p[19], sequence_of(p), p[40..].to_vec(), whole(&with_pseudo_header(p))));
        }
        all.sort();
        all
    }

    proptest! {
        #[test]
        fn what_is_merged_and_cut_again_is_what_it_was(segments in prop::collection::vec(segment(), 1..TOGETHER)) {
            let mut next = [1_000u32; 3];
            let mut packets = Vec::new();
            for (id, s) in segments.iter().enumerate() {
                let at = &mut next[usize::from(s.connection)];
                *at += s.gap;
                packets.push(packet(s, *at, id as u16));
                *at += s.octets as u32;
            }
            let mut out: Vec<Vec<u8>> =
                packets.iter().map(|p| [&[0; VIRTIO_NET_HDR_LEN][..], p].concat()).collect();
            GROTable::new().apply_gro(&mut out, VIRTIO_NET_HDR_LEN, true).unwrap();
            let (mut back, mut taken) = (Vec::new(), Vec::new());
            for joined in &mut out {
                let header = VirtioNetHdr::decode(joined).unwrap();
                if header.gso_type == 0 {
                    continue;
                }
                let large = &mut joined[VIRTIO_NET_HDR_LEN..];
                let begin = sequence_of(large);
                taken.push((large[19], begin..begin + (large.len() - 40) as u32));
                let (mut pieces, mut sizes) = (vec![vec![0; SPACE]; PIECES], vec![0; PIECES]);
                let header = VirtioNetHdr { hdr_len: 40, ..header };
                let n = gso_split(large, header, &mut pieces, &mut sizes, 0, false).unwrap();
                back.extend(pieces.iter().zip(sizes).take(n).map(|(p, n)| p[..n].to_vec()));
                large[19] = 255;
            }
            // What went into a joined one is not written by itself.
            let is_taken = |p: &[u8]| {
                taken.iter().any(|(to, range)| *to == p[19] && p.len() > 40 && range.contains(&sequence_of(p)))
            };
            let alone = out.iter().map(|p| &p[VIRTIO_NET_HDR_LEN..]).filter(|p| p[19] != 255 && !is_taken(p));
            back.extend(alone.map(<[u8]>::to_vec));
            prop_assert_eq!(read(&back), read(&packets));
        }
    }

    /// One short UDP packet of one of two flows.
    #[derive(Debug, Clone)]
    struct Short {
        flow: u8,
        octets: usize,
        class: u8,
        six: bool,
        whole: bool,
        /// How far its identification is behind the one before.
        step: u16,
        checksum: Checksum,
        /// The UDP header says one octet less than there is.
        lies: bool,
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Checksum {
        Right,
        Wrong,
        Missing,
    }

    fn short() -> impl Strategy<Value = Short> {
        let octets = prop_oneof![6 => Just(36usize), 2 => 0usize..60];
        let checksum = prop_oneof![12 => Just(Checksum::Right), 1 => Just(Checksum::Wrong), 1 => Just(Checksum::Missing)];
        let rarely = prop::bool::weighted;
        let kind = (rarely(0.1), prop_oneof![7 => Just(false), 3 => Just(true)]);
        (rarely(0.2), octets, kind, rarely(0.5), rarely(0.1), checksum, rarely(0.05)).prop_map(
            |(flow, octets, (class, six), whole, jumps, checksum, lies)| Short {
                flow: flow.into(),
                octets,
                class: class.into(),
                six,
                whole,
                step: if jumps { 77 } else { 1 },
                checksum,
                lies,
            },
        )
    }

    fn udp(s: &Short, id: u16, mark: u8) -> Vec<u8> {
        let len = 8 + s.octets as u16;
        let mut p = if s.six {
            let mut p = vec![0x60, s.class << 4, 0, 0];
            p.extend(len.to_be_bytes());
            p.extend([17, 64]);
            for (net, host) in [(45, 5), (50, s.flow)] {
                p.extend([0xfd, 0, 0, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
            }
            p
        } else {
            let mut p = vec![0x45, s.class];
            p.extend((20 + len).to_be_bytes());
            p.extend(id.to_be_bytes());
            p.extend([if s.whole { 0x40 } else { 0 }, 0, 64, 17, 0, 0, 10, 45, 0, 5, 10, 50, 0, s.flow]);
            let sum = missing(&p);
            p[10..12].copy_from_slice(&sum);
            p
        };
        let (at, addresses) = (p.len(), p[if s.six { 8 } else { 12 }..].to_vec());
        p.extend([0x9c, 0x40, 0x13, 0x88]);
        p.extend((len - u16::from(s.lies && s.octets > 0)).to_be_bytes());
        p.extend([0, 0]);
        p.extend((0..s.octets).map(|n| mark.wrapping_add(n as u8)));
        let udp = &p[at..];
        if s.checksum != Checksum::Missing {
            let said = &udp[..usize::from(u16::from_be_bytes([udp[4], udp[5]]))];
            let sum = missing(&[&addresses[..], &[0, 17], &udp[4..6], said].concat());
            let sum = if sum == [0, 0] { [0xff, 0xff] } else { sum };
            p[at + 6..at + 8].copy_from_slice(&sum);
        }
        if s.checksum == Checksum::Wrong {
            p[at + 7] ^= 0x10;
        }
        p
    }

    proptest! {
        /// Octet by octet, in order; only a whole packet's identification, which nobody reads (RFC 6864 §4.1), may differ.
        #[test]
        fn short_neighbours_that_are_joined_and_cut_again_are_what_they_were(all in prop::collection::vec(short(), 1..TOGETHER)) {
            let (mut id, mut packets) = (0u16, Vec::new());
            for (n, s) in all.iter().enumerate() {
                id = id.wrapping_add(s.step);
                packets.push(udp(s, id, n as u8));
            }
            let mut out: Vec<Vec<u8>> =
                packets.iter().map(|p| [&[0; VIRTIO_NET_HDR_LEN][..], p].concat()).collect();
            let mut back: Vec<Vec<u8>> = Vec::new();
            let mut joined = 0;
            for run in out.chunk_by_mut(|a, b| continues(bare(a), bare(b))) {
                if run.len() > 1 {
                    run.iter_mut().for_each(|p| p.reserve(LARGE));
                    GROTable::new().apply_gro(run, VIRTIO_NET_HDR_LEN, true).unwrap();
                }
                let mut at = 0;
                while let Some(one) = run.get_mut(at) {
                    let header = VirtioNetHdr::decode(one).unwrap();
                    at += 1;
                    if header.gso_type == 0 {
                        back.push(bare(one).to_vec());
                        continue;
                    }
                    let (mut pieces, mut sizes) = (vec![vec![0; SPACE]; PIECES], vec![0; PIECES]);
                    let large = &mut one[VIRTIO_NET_HDR_LEN..];
                    let six = large[0] >> 4 == 6;
                    let n = gso_split(large, header, &mut pieces, &mut sizes, 0, six).unwrap();
                    back.extend(pieces.iter().zip(sizes).take(n).map(|(p, n)| p[..n].to_vec()));
                    (at, joined) = (at + n - 1, joined + n);
                }
            }
            prop_assert_eq!(back.len(), packets.len());
            for (is, was) in back.iter_mut().zip(&mut packets) {
                if was[0] == 0x45 && was[6] == 0x40 {
                    is[4..6].fill(0);
                    was[4..6].fill(0);
                    is[10..12].fill(0);
                    was[10..12].fill(0);
                }
                prop_assert_eq!(&*is, &*was);
            }
            let same = |a: &Short, b: &Short| {
                (a.flow, a.class, a.six) == (b.flow, b.class, b.six)
                    && (a.six || a.whole == b.whole)
                    && a.octets == b.octets
                    && a.octets > 0
                    && [a, b].iter().all(|s| s.checksum == Checksum::Right && !s.lies)
                    && (a.six || a.whole || b.step == 1)
            };
            prop_assert!(joined > 0 || !all.windows(2).any(|w| same(&w[0], &w[1])), "nothing was joined");
        }
    }
}
