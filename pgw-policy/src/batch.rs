//! The buffers of one turn of a shard: what was received, and what is to be sent.
//!
//! One arena holds every packet of the turn. The thread that owns the sockets receives straight into
//! it, [`crate::shard::Shard::on_batch`] judges the inputs and names pieces of the same arena as
//! outputs, and the thread sends them from where they lie. A downlink header is written into the
//! room in front of its packet. Only what is made here (an echo response, a reset) and what turns
//! round inside (UE to UE) is copied, into an area of its own at the arena's end.
//!
//! Nothing is allocated after construction, as long as no more packets are put in than
//! [`BatchSize::packets`] says.

use std::net::SocketAddr;
use types::Imsi;

/// Room kept in front of each received datagram, octets: a downlink GTP-U header and more.
pub const HEADROOM: usize = 32;

/// Number of a shard, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u8);

/// Where a packet came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A GTP-U datagram from N3.
    N3 {
        /// Its outer source.
        from: SocketAddr,
    },
    /// An inner packet from N6 (TUN).
    N6 {
        /// True if another shard received it and handed it over.
        handed: bool,
    },
    /// An inner packet from our own page or resolver (its TUN).
    Service {
        /// True if another shard received it and handed it over.
        handed: bool,
    },
    /// An inner packet from another UE of ours, already judged on that UE's side.
    Hairpin {
        /// Whose it is: its ban counts here, too.
        from: Imsi,
    },
}

/// Where a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// The piece is an inner packet for N6 (TUN).
    N6,
    /// The piece is an inner packet for our own page or resolver (its TUN).
    Service,
    /// The piece is a GTP-U datagram.
    N3 {
        /// Its destination.
        peer: SocketAddr,
    },
    /// The piece belongs to another shard: give it to that shard's ring; there it is put in by
    /// [`Batch::push`] with this origin.
    Shard {
        /// Whose it is.
        shard: ShardId,
        /// The origin to push it with.
        origin: Origin,
    },
}

/// A stretch of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    start: u32,
    len: u32,
}

impl Piece {
    /// Octets.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// True if it has none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The part from `skip` on, `len` octets long; `None` if it is not inside.
    pub(crate) fn part(self, skip: usize, len: usize) -> Option<Self> {
        let end = skip.checked_add(len)?;
        (end <= self.len()).then_some(())?;
        Some(Self {
            start: self.start.checked_add(u32::try_from(skip).ok()?)?,
            len: u32::try_from(len).ok()?,
        })
    }
}

/// A received packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    pub(crate) origin: Origin,
    pub(crate) piece: Piece,
    /// Octets in front of the piece that nobody else needs.
    pub(crate) headroom: u32,
}

/// A packet to send.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Where to.
    pub to: To,
    /// Which octets; see [`Batch::bytes`].
    pub piece: Piece,
}

/// How large a batch is.
#[derive(Debug, Clone, Copy)]
pub struct BatchSize {
    /// Octets for received packets, with their headroom.
    pub received: usize,
    /// Octets for packets that are made or copied here.
    pub made: usize,
    /// Packets for which room is set aside.
    pub packets: usize,
}

impl Default for BatchSize {
    fn default() -> Self {
        Self { received: 4 << 20, made: 512 << 10, packets: 4096 }
    }
}

/// See the module.
pub struct Batch {
    arena: Vec<u8>,
    received_end: usize,
    cursor: usize,
    made: usize,
    pub(crate) inputs: Vec<Input>,
    outputs: Vec<Output>,
}

impl Batch {
    /// An empty batch.
    pub fn new(size: BatchSize) -> Self {
        Self {
            arena: vec![0; size.received.saturating_add(size.made)],
            received_end: size.received,
            cursor: 0,
            made: size.received,
            inputs: Vec::with_capacity(size.packets),
            outputs: Vec::with_capacity(size.packets.saturating_mul(2)),
        }
    }

    /// Forgets everything in it; the memory stays.
    pub fn clear(&mut self) {
        self.cursor = 0;
        self.made = self.received_end;
        self.inputs.clear();
        self.outputs.clear();
    }

    /// True if nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Packets put in since the last [`Batch::clear`].
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// The packets that were put in, in order.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.inputs.iter().map(|i| self.bytes(i.piece))
    }

    /// Buffers to receive into, each `max` octets, in their order. After receiving, call
    /// [`Batch::received`] for each that was filled, then [`Batch::seal`] once with the number of
    /// buffers used.
    pub fn spaces(&mut self, max: usize) -> impl Iterator<Item = &mut [u8]> {
        self.arena
            .get_mut(self.cursor..self.received_end)
            .unwrap_or_default()
            .chunks_exact_mut(HEADROOM.saturating_add(max))
            .filter_map(|c| c.get_mut(HEADROOM..))
    }

    /// Says that buffer `index` of [`Batch::spaces`]`(max)` holds `len` octets from `origin`.
    /// `stride` is the segment size that UDP GRO reported (0: one datagram); each segment becomes
    /// a packet of its own. Packets from N6 are given one by one (`stride` 0).
    pub fn received(&mut self, index: usize, max: usize, origin: Origin, len: usize, stride: usize) {
        let start = self.cursor + index * (HEADROOM + max) + HEADROOM;
        let len = len.min(max);
        if start + len > self.received_end {
            return;
        }
        let stride = if stride == 0 { len.max(1) } else { stride };
        let mut at = 0;
        loop {
            let take = stride.min(len - at);
            let piece = Piece { start: (start + at) as u32, len: take as u32 };
            let headroom = if at == 0 { HEADROOM as u32 } else { 0 };
            self.inputs.push(Input { origin, piece, headroom });
            at += take;
            if at >= len {
                return;
            }
        }
    }

    /// Keeps the first `used` buffers of [`Batch::spaces`]`(max)`; the next ones begin behind them.
    pub fn seal(&mut self, used: usize, max: usize) {
        self.cursor = (self.cursor + used * (HEADROOM + max)).min(self.received_end);
    }

    /// Copies one packet in. False if it does not fit; then run the batch first.
    #[must_use]
    pub fn push(&mut self, origin: Origin, bytes: &[u8]) -> bool {
        let start = self.cursor + HEADROOM;
        let Some(room) = self.arena.get_mut(start..start + bytes.len()) else { return false };
        if start + bytes.len() > self.received_end {
            return false;
        }
        room.copy_from_slice(bytes);
        let piece = Piece { start: start as u32, len: bytes.len() as u32 };
        self.inputs.push(Input { origin, piece, headroom: HEADROOM as u32 });
        self.cursor = (start + bytes.len()).next_multiple_of(16);
        true
    }

    /// What is to be sent, in order.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The octets of a piece.
    pub fn bytes(&self, piece: Piece) -> &[u8] {
        let start = piece.start as usize;
        self.arena.get(start..start + piece.len()).unwrap_or_default()
    }

    /// The octets of a piece, to be changed.
    pub(crate) fn bytes_mut(&mut self, piece: Piece) -> &mut [u8] {
        let start = piece.start as usize;
        self.arena.get_mut(start..start + piece.len()).unwrap_or_default()
    }

    pub(crate) fn send(&mut self, to: To, piece: Piece) {
        self.outputs.push(Output { to, piece });
    }

    /// Puts `header` in front of `piece`, in place if `headroom` octets in front of it are free,
    /// else by a copy. `None` if there is no room left for the copy.
    pub(crate) fn prepend(&mut self, piece: Piece, headroom: u32, header: &[u8]) -> Option<Piece> {
        let len = piece.len() + header.len();
        if headroom as usize >= header.len() {
            let start = (piece.start as usize).checked_sub(header.len())?;
            self.arena.get_mut(start..piece.start as usize)?.copy_from_slice(header);
            return Some(Piece { start: start as u32, len: len as u32 });
        }
        let start = self.made;
        if start + len > self.arena.len() {
            return None;
        }
        let from = piece.start as usize;
        self.arena.copy_within(from..from + piece.len(), start + header.len());
        self.arena.get_mut(start..start + header.len())?.copy_from_slice(header);
        self.made = start + len;
        Some(Piece { start: start as u32, len: len as u32 })
    }

    /// Lets `write` make a packet of at most `max` octets; it returns the length.
    pub(crate) fn make(&mut self, max: usize, write: impl FnOnce(&mut [u8]) -> usize) -> Option<Piece> {
        let start = self.made;
        let len = write(self.arena.get_mut(start..start + max)?).min(max);
        self.made = start + len;
        Some(Piece { start: start as u32, len: len as u32 })
    }

    /// Copies `bytes` (from outside the arena) to the made area.
    pub(crate) fn make_from(&mut self, bytes: &[u8]) -> Option<Piece> {
        self.make(bytes.len(), |room| {
            room.copy_from_slice(bytes);
            bytes.len()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Batch {
        Batch::new(BatchSize { received: 4096, made: 256, packets: 16 })
    }

    #[test]
    fn one_received_buffer_with_three_segments_is_three_packets() {
        let mut b = small();
        for (i, s) in b.spaces(1000).enumerate() {
            s.fill(i as u8);
        }
        let from = "10.0.0.1:2152".parse().unwrap();
        b.received(1, 1000, Origin::N3 { from }, 250, 100);
        b.seal(2, 1000);
        let lens: Vec<_> = b.inputs.iter().map(|i| (i.piece.len(), i.headroom)).collect();
        assert_eq!(lens, [(100, 32), (100, 0), (50, 0)]);
        assert!(b.inputs.iter().all(|i| b.bytes(i.piece).iter().all(|&x| x == 1)));
        assert!(b.push(Origin::N6 { handed: false }, &[9; 40]));
        assert_eq!(b.bytes(b.inputs[3].piece), [9; 40]);
        assert!(!b.push(Origin::N6 { handed: false }, &[9; 4000]));
    }

    #[test]
    fn a_header_goes_in_front_in_place_or_by_copy() {
        let mut b = small();
        assert!(b.push(Origin::N6 { handed: false }, b"packet"));
        let i = b.inputs[0];
        let p = b.prepend(i.piece, i.headroom, b"head:").unwrap();
        assert_eq!(b.bytes(p), b"head:packet");
        let q = b.prepend(i.piece, 4, b"HEAD:").unwrap();
        assert_eq!(b.bytes(q), b"HEAD:packet");
        assert_eq!(b.bytes(p), b"head:packet");
        assert!(b.prepend(i.piece, 0, &[0; 300]).is_none());
    }
}
