//! A quick keyed hash for the tables of the packet path: order and collisions come from the shard's seed,
//! not from what a UE sends.

use std::hash::{BuildHasher, Hasher};

/// A multiplication of 64 × 64 bits folded to 64.
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// Makes hashers with two secret words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keyed {
    a: u64,
    b: u64,
}

impl Keyed {
    pub(crate) fn new(a: u64, b: u64) -> Self {
        // Odd, so that no word is folded to nothing by it.
        Self { a, b: (b ^ 0x9e37_79b9_7f4a_7c15) | 1 }
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folding;
    fn build_hasher(&self) -> Folding {
        Folding { state: self.a, key: self.b }
    }
}

pub(crate) struct Folding {
    state: u64,
    key: u64,
}

impl Hasher for Folding {
    fn write_u64(&mut self, x: u64) {
        self.state = fold(self.state ^ x, self.key);
    }
    fn write_u32(&mut self, x: u32) {
        self.write_u64(u64::from(x));
    }
    fn write_u16(&mut self, x: u16) {
        self.write_u64(u64::from(x));
    }
    fn write_u8(&mut self, x: u8) {
        self.write_u64(u64::from(x));
    }
    fn write_usize(&mut self, x: usize) {
        self.write_u64(x as u64);
    }
    fn write(&mut self, bytes: &[u8]) {
        // An IPv4 address, the most frequent key.
        if let Ok(four) = <[u8; 4]>::try_from(bytes) {
            return self.write_u32(u32::from_le_bytes(four));
        }
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(w, b)| *w = *b);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }
    fn finish(&self) -> u64 {
        fold(self.state, self.key.rotate_left(32) | 1)
    }
}

/// A map with a keyed hash.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, Keyed>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_spread_and_depend_on_the_key() {
        let hash = |key: Keyed, x: std::net::Ipv4Addr| key.hash_one(x);
        let (a, b) = (Keyed::new(1, 2), Keyed::new(1, 0x7300));
        let low = |key| {
            let all = (0..4096u32).map(|n| hash(key, n.into()) & 0xfff);
            all.collect::<std::collections::BTreeSet<_>>().len()
        };
        // 4096 balls in 4096 bins fill about 63 % of them.
        assert!(low(a) > 2400 && low(b) > 2400, "{} {}", low(a), low(b));
        assert_ne!(hash(a, [10, 0, 0, 1].into()), hash(b, [10, 0, 0, 1].into()));
    }
}
