//! How our TEIDs are made, and which session one means.
//!
//! ```text
//! | 31..28 shard | 27..10 index | 9..0 tag |
//! ```
//! The index is a random free one and the tag is random, so a guessed TEID hits a live tunnel as rarely as
//! if all 32 bits were random; and a lookup is one step into an array.

use crate::batch::ShardId;
use types::Teid;

/// Most shards there can be.
pub const MAX_SHARDS: u8 = 16;

pub(crate) const INDEX_BITS: u32 = 18;
pub(crate) const TAG_BITS: u32 = 10;

/// The shard that owns a TEID of ours.
pub fn shard_of(teid: Teid, shards: u8) -> ShardId {
    shard_of_value(teid.value(), shards)
}

pub(crate) fn shard_of_value(teid: u32, shards: u8) -> ShardId {
    ShardId(((teid >> (INDEX_BITS + TAG_BITS)) as u8) % shards.max(1))
}

pub(crate) fn index_of(teid: u32) -> u32 {
    (teid >> TAG_BITS) & ((1 << INDEX_BITS) - 1)
}

/// The bits of a TEID that are not its index: shard and tag.
fn rest_of(teid: u32) -> u16 {
    let shard = teid >> (INDEX_BITS + TAG_BITS);
    (shard << TAG_BITS | (teid & ((1 << TAG_BITS) - 1))) as u16
}

/// Which tunnel endpoint of which session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) session: u32,
    /// Which of the session's uplinks.
    pub(crate) uplink: u8,
}

/// From TEID to session. Each place is one word: used (1), session (32), uplink (8), shard and tag (14).
pub(crate) struct Endpoints {
    places: Vec<u64>,
}

const USED: u64 = 1 << 63;

impl Endpoints {
    pub(crate) fn new() -> Self {
        Self { places: vec![0; 1 << INDEX_BITS] }
    }

    pub(crate) fn find(&self, teid: u32) -> Option<Endpoint> {
        let word = *self.places.get(index_of(teid) as usize)?;
        (word & USED != 0 && word as u16 == rest_of(teid))
            .then_some(Endpoint { session: (word >> 16) as u32, uplink: (word >> 48) as u8 & 0x7f })
    }

    pub(crate) fn is_free(&self, teid: u32) -> bool {
        self.places.get(index_of(teid) as usize).is_some_and(|w| w & USED == 0)
    }

    pub(crate) fn set(&mut self, teid: u32, to: Endpoint) {
        if let Some(word) = self.places.get_mut(index_of(teid) as usize) {
            *word = USED
                | u64::from(to.uplink & 0x7f) << 48
                | u64::from(to.session) << 16
                | u64::from(rest_of(teid));
        }
    }

    pub(crate) fn clear(&mut self, teid: u32) {
        if let Some(word) = self.places.get_mut(index_of(teid) as usize) {
            *word = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_teid_is_found() {
        let mut e = Endpoints::new();
        let to = Endpoint { session: 0xdead_beef, uplink: 3 };
        e.set(0xa123_4567, to);
        assert_eq!(e.find(0xa123_4567), Some(to));
        // Another tag, another shard: the same place, but not the same tunnel.
        for other in [0xa123_4566, 0xb123_4567, 0x0123_4567, 0xa123_4667, 0] {
            assert_eq!(e.find(other), None);
        }
        e.clear(0xa123_4567);
        assert_eq!(e.find(0xa123_4567), None);
    }
}
