//! The key derivation function: HMAC-SHA-256(key, FC ‖ P0 ‖ L0 ‖ P1 ‖ L1 …) (TS 33.220 Annex B.2).
//!
//! Buffers are of fixed size and nothing is allocated. A [`KdfKey`] holds the hash states of a key
//! that is used more than once, so that a second derivation costs half.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use types::Key256;
use zeroize::Zeroize;

/// A key made ready for derivations. Zeroed on drop.
pub struct KdfKey(Hmac<Sha256>);

impl KdfKey {
    /// From a key of 256 bits, or CK ‖ IK.
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC fills a short key with zeros to the block of the hash (RFC 2104 §2), so a key that is
        // already that long is the same key, and making it cannot fail.
        let mut block = [0u8; 64];
        let (head, _) = block.split_at_mut(key.len());
        head.copy_from_slice(key);
        let mac = Hmac::new((&block).into());
        block.zeroize();
        Self(mac)
    }

    /// From CK ‖ IK.
    pub fn from_ck_ik(ck: &[u8; 16], ik: &[u8; 16]) -> Self {
        let mut key = [0u8; 32];
        let (a, b) = key.split_at_mut(16);
        a.copy_from_slice(ck);
        b.copy_from_slice(ik);
        let made = Self::new(&key);
        key.zeroize();
        made
    }

    /// The 256 bits that function code `fc` gives over `params`. A parameter has at most 65535 octets
    /// (its length field has two); what is beyond is left out.
    pub fn derive(&self, fc: u8, params: &[&[u8]]) -> [u8; 32] {
        let mut s = Gather::new(self.0.clone());
        s.push(&[fc]);
        for p in params {
            let len = u16::try_from(p.len()).unwrap_or(u16::MAX);
            s.push(p.get(..usize::from(len)).unwrap_or_default());
            s.push(&len.to_be_bytes());
        }
        s.finish()
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
        let mut m = self.0.clone();
        for p in parts {
            m.update(p);
        }
        m.finalize().into_bytes().into()
    }
}

/// SHA-256(RAND ‖ RES\*) and its like.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut h = Sha256::new();
    for p in parts {
        h.update(p);
    }
    h.finalize().into()
}

/// The low 128 bits of a derivation.
pub(crate) fn low_128(b: &[u8; 32]) -> [u8; 16] {
    let (_, low) = b.split_at(16);
    let mut out = [0u8; 16];
    out.copy_from_slice(low);
    out
}

/// Collects the short pieces of S, so that the hash sees whole runs of octets.
struct Gather {
    mac: Hmac<Sha256>,
    buf: [u8; 96],
    len: usize,
}

impl Gather {
    fn new(mac: Hmac<Sha256>) -> Self {
        Self { mac, buf: [0; 96], len: 0 }
    }

    fn push(&mut self, piece: &[u8]) {
        match self.buf.get_mut(self.len..self.len + piece.len()) {
            Some(room) => {
                room.copy_from_slice(piece);
                self.len += piece.len();
            }
            None => {
                self.flush();
                self.mac.update(piece);
            }
        }
    }

    fn flush(&mut self) {
        self.mac.update(self.buf.get(..self.len).unwrap_or_default());
        self.len = 0;
    }

    fn finish(mut self) -> [u8; 32] {
        self.flush();
        // NH and RES* take secrets as parameters.
        self.buf.zeroize();
        self.mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 §4.3, test case 2, and §4.2, test case 1: keys shorter than the 32 octets filled up.
    #[test]
    fn hmac_gives_the_published_values() {
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
    fn a_long_parameter_gives_what_its_octets_in_one_piece_give() {
        let key = KdfKey::new(&[7; 32]);
        for len in [0, 1, 60, 92, 93, 94, 95, 96, 97, 200, 1000] {
            let p = vec![0x5a; len];
            let mut s = vec![0x6a];
            s.extend_from_slice(b"abc\x00\x03");
            s.extend_from_slice(&p);
            s.extend_from_slice(&(len as u16).to_be_bytes());
            assert_eq!(key.derive(0x6a, &[b"abc", &p]), key.mac(&[&s]), "{len}");
        }
    }
}
