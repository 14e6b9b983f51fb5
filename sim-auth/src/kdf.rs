//! The key derivation function: HMAC-SHA-256(key, FC ‖ P0 ‖ L0 ‖ P1 ‖ L1 …) (TS 33.220 Annex B.2).
//!
//! A vector is little else than a dozen calls of SHA-256's block function, so HMAC (RFC 2104) stands here
//! directly on that function of `sha2`: a [`KdfKey`] is the two hash states that a key begins with, made
//! once for all derivations under it, and nothing is allocated. The tests hold it against `hmac`.

use sha2::block_api::compress256;
use types::Key256;
use zeroize::{Zeroize, ZeroizeOnDrop, optimization_barrier};

/// The initial state of SHA-256 (FIPS 180-4 §5.3.3).
const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A key made ready for derivations. Zeroed on drop.
#[derive(Clone)]
pub struct KdfKey {
    /// SHA-256 after the block of key ⊕ ipad.
    inner: [u32; 8],
    /// SHA-256 after the block of key ⊕ opad.
    outer: [u32; 8],
}

impl ZeroizeOnDrop for KdfKey {}
impl Drop for KdfKey {
    fn drop(&mut self) {
        self.inner = [0; 8];
        self.outer = [0; 8];
        optimization_barrier(self);
    }
}

impl KdfKey {
    /// From a key of 256 bits.
    pub fn new(key: &[u8; 32]) -> Self {
        let mut block = [0u8; 64];
        let (head, _) = block.split_at_mut(32);
        head.copy_from_slice(key);
        Self::from_block(block)
    }

    /// From CK ‖ IK.
    pub fn from_ck_ik(ck: &[u8; 16], ik: &[u8; 16]) -> Self {
        let mut block = [0u8; 64];
        let (head, rest) = block.split_at_mut(16);
        head.copy_from_slice(ck);
        let (next, _) = rest.split_at_mut(16);
        next.copy_from_slice(ik);
        Self::from_block(block)
    }

    fn from_block(mut block: [u8; 64]) -> Self {
        let (mut inner, mut outer) = (IV, IV);
        let mut pad = |byte: u8, state: &mut [u32; 8]| {
            block.iter_mut().for_each(|b| *b ^= byte);
            compress256(state, &[block]);
        };
        pad(0x36, &mut inner);
        // Takes ipad back out as it puts opad in.
        pad(0x36 ^ 0x5c, &mut outer);
        block = [0; 64];
        optimization_barrier(&block);
        Self { inner, outer }
    }

    /// The 256 bits that function code `fc` gives over `params`. A parameter has at most 65535 octets
    /// (its length field has two); what is beyond is left out.
    pub fn derive(&self, fc: u8, params: &[&[u8]]) -> [u8; 32] {
        let mut s = Hash::after_block(self.inner);
        s.push(&[fc]);
        for p in params {
            let len = u16::try_from(p.len()).unwrap_or(u16::MAX);
            s.push(p.get(..usize::from(len)).unwrap_or_default());
            s.push(&len.to_be_bytes());
        }
        self.finish(s)
    }

    /// As [`KdfKey::derive`], as a key.
    pub fn derive_key(&self, fc: u8, params: &[&[u8]]) -> Key256 {
        let mut b = self.derive(fc, params);
        let key = Key256::new(b);
        b.zeroize();
        key
    }

    /// Plain HMAC-SHA-256 over `parts` in their order, for what is not a 3GPP derivation.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut s = Hash::after_block(self.inner);
        parts.iter().for_each(|p| s.push(p));
        self.finish(s)
    }

    fn finish(&self, inner: Hash) -> [u8; 32] {
        let mut outer = Hash::after_block(self.outer);
        let mut digest = inner.finish();
        outer.push(&digest);
        digest.zeroize();
        outer.finish()
    }
}

/// SHA-256 of `parts` in their order.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut s = Hash { state: IV, block: [0; 64], fill: 0, blocks: 0 };
    parts.iter().for_each(|p| s.push(p));
    s.finish()
}

/// The low 128 bits of a derivation.
pub(crate) fn low_128(b: &[u8; 32]) -> [u8; 16] {
    let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, low @ ..] = *b;
    low
}

/// The high 128 bits of a derivation.
pub(crate) fn high_128(b: &[u8; 32]) -> [u8; 16] {
    let [high @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *b;
    high
}

/// SHA-256 on its way. Zeroed on drop: NH and RES\* take secrets as parameters.
struct Hash {
    state: [u32; 8],
    block: [u8; 64],
    /// Octets waiting in `block`, fewer than 64.
    fill: usize,
    /// Blocks already taken in.
    blocks: u64,
}

impl Drop for Hash {
    // Whole words at once: octet by octet, as `zeroize` does it, costs as much as the hash itself.
    fn drop(&mut self) {
        self.state = [0; 8];
        self.block = [0; 64];
        optimization_barrier(self);
    }
}

impl Hash {
    fn after_block(state: [u32; 8]) -> Self {
        Self { state, block: [0; 64], fill: 0, blocks: 1 }
    }

    fn push(&mut self, mut piece: &[u8]) {
        while let Some(free) = self.block.get_mut(self.fill..)
            && !piece.is_empty()
        {
            let n = free.len().min(piece.len());
            let (head, rest) = piece.split_at(n);
            free.split_at_mut(n).0.copy_from_slice(head);
            self.fill += n;
            piece = rest;
            if self.fill == self.block.len() {
                self.compress();
            }
        }
    }

    fn compress(&mut self) {
        compress256(&mut self.state, &[self.block]);
        self.blocks += 1;
        self.fill = 0;
    }

    /// Padding (FIPS 180-4 §5.1.1) and the digest.
    fn finish(mut self) -> [u8; 32] {
        const LENGTH_AT: usize = 56;
        let bits = (self.blocks * 64 + self.fill as u64) * 8;
        self.push(&[0x80]);
        if self.fill > LENGTH_AT {
            self.block.get_mut(self.fill..).unwrap_or_default().fill(0);
            self.compress();
        }
        let (data, length) = self.block.split_at_mut(LENGTH_AT);
        data.get_mut(self.fill..).unwrap_or_default().fill(0);
        length.copy_from_slice(&bits.to_be_bytes());
        compress256(&mut self.state, &[self.block]);
        let mut out = [0u8; 32];
        for (o, word) in out.chunks_exact_mut(4).zip(self.state) {
            o.copy_from_slice(&word.to_be_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};

    #[test]
    fn hmac_gives_the_values_of_rfc_4231() {
        // §4.3 and §4.2: keys shorter than the 32 octets are the same keys filled up with zeros.
        let mut key = [0u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let mac = KdfKey::new(&key).mac(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(mac[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
        let mut key = [0u8; 32];
        key[..20].fill(0x0b);
        let mac = KdfKey::new(&key).mac(&[b"Hi There"]);
        assert_eq!(mac[..8], [0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53]);
    }

    #[test]
    fn every_length_gives_what_the_judge_gives() {
        let key = [7u8; 32];
        let ours = KdfKey::new(&key);
        for len in (0..300).chain([1_000, 65_535]) {
            let p = vec![0x5a; len];
            let mut s = vec![0x6a];
            s.extend_from_slice(b"abc\x00\x03");
            s.extend_from_slice(&p);
            s.extend_from_slice(&(len as u16).to_be_bytes());
            let mut judge = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            judge.update(&s);
            let judged: [u8; 32] = judge.finalize().into_bytes().into();
            assert_eq!(ours.derive(0x6a, &[b"abc", &p]), judged, "{len}");
            assert_eq!(ours.mac(&[&s[..1], &s[1..]]), judged, "{len}");
            let digest: [u8; 32] = Sha256::digest(&s).into();
            assert_eq!(sha256(&[&s[..1], &s[1..]]), digest, "{len}");
        }
    }
}
