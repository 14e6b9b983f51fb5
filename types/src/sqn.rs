//! Sequence number of authentication: 48 bits, SEQ ‖ IND (TS 33.102 §6.3, Annex C.1.1).

use serde::{Deserialize, Serialize};

/// A 48-bit SQN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sqn(u64);

impl Sqn {
    /// The largest SQN, 2^48 − 1.
    pub const MAX: u64 = (1 << 48) - 1;

    /// From a number; `None` above 48 bits.
    pub fn new(v: u64) -> Option<Self> {
        (v <= Self::MAX).then_some(Self(v))
    }

    /// From SEQ and IND with `ind_bits` bits of IND; `None` where either does not fit.
    pub fn from_seq_ind(seq: u64, ind: u64, ind_bits: u8) -> Option<Self> {
        if ind_bits > 16 || ind >> ind_bits != 0 || seq > Self::MAX >> ind_bits {
            return None;
        }
        Self::new(seq << ind_bits | ind)
    }

    /// SEQ, with `ind_bits` bits of IND below it.
    pub fn seq(self, ind_bits: u8) -> u64 {
        self.0 >> ind_bits
    }

    /// IND, the lowest `ind_bits` bits.
    pub fn ind(self, ind_bits: u8) -> u64 {
        self.0 & ((1 << ind_bits) - 1)
    }

    /// As a number.
    pub fn value(self) -> u64 {
        self.0
    }

    /// Six octets, most significant first.
    pub fn to_octets(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// From six octets, most significant first.
    pub fn from_octets([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}
