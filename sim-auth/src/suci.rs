//! Concealed identities: ECIES with profile A (X25519) and profile B (secp256r1) (TS 33.501 §6.12.2, Annex C.3).
//!
//! ```text
//! scheme output   ephemeral public key (A: 32 octets, B: 33, compressed) ‖ ciphertext ‖ MAC tag (8)
//! 64 octets of ANSI X9.63-KDF(shared secret, ephemeral public key)
//!                 = AES key (16) ‖ initial counter block (16) ‖ MAC key (32)
//! ciphertext      MSIN in BCD ⊕ AES-128-CTR         MAC tag   HMAC-SHA-256 of the ciphertext, its first 8 octets
//! ```
//!
//! The plaintext is the MSIN of an IMSI, five octets at most, so that one counter block ciphers it. The ephemeral
//! private key comes in as an argument, as all chance does.

use crate::kdf::{KdfKey, sha256};
use aes::{
    Aes128Enc, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use p256::elliptic_curve::{ecdh, sec1::ToSec1Point};
use subtle::ConstantTimeEq;
use thiserror::Error;
use types::{Key256, SuciProfile, msin_from_bcd, msin_to_bcd};
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, Zeroizing};

/// Octets of the MAC tag.
const TAG: usize = 8;

/// These octets are no key of the profile: a secp256r1 number that is zero or too large, octets that are no point of
/// the curve, or an X25519 point of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("these octets are no key of this profile")]
pub struct NotAKey;

/// A scheme output that does not open. What was wrong with it is not said: it would tell a forger how far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the concealed identity does not open")]
pub struct Unopened;

/// A private key of the home network. Zeroed on drop.
pub struct HomeNetworkKey(Private);

enum Private {
    A(StaticSecret),
    B(p256::SecretKey),
}

impl HomeNetworkKey {
    /// From its 32 octets: of profile A as RFC 7748 §5 has them, of profile B as a number, the high octet first.
    ///
    /// # Errors
    /// [`NotAKey`] for zero and for numbers that are not below the order of secp256r1.
    pub fn new(profile: SuciProfile, octets: &Key256) -> Result<Self, NotAKey> {
        Ok(Self(match profile {
            SuciProfile::A => Private::A(StaticSecret::from(*octets.expose())),
            SuciProfile::B => {
                Private::B(p256::SecretKey::from_bytes(octets.expose().into()).map_err(|_| NotAKey)?)
            }
        }))
    }

    /// Its profile.
    pub fn profile(&self) -> SuciProfile {
        match self.0 {
            Private::A(_) => SuciProfile::A,
            Private::B(_) => SuciProfile::B,
        }
    }

    /// The public key that goes onto the SIMs: 32 octets, or the 33 of a compressed point.
    pub fn public(&self) -> Vec<u8> {
        match &self.0 {
            Private::A(secret) => x25519_dalek::PublicKey::from(secret).as_bytes().to_vec(),
            Private::B(secret) => secret.public_key().to_sec1_point(true).as_bytes().to_vec(),
        }
    }

    /// The digits of the MSIN in a scheme output (Annex C.3.3). The tag is compared in constant time, and nothing is
    /// deciphered that it does not vouch for.
    ///
    /// # Errors
    /// [`Unopened`] where it is too short or too long, its point is none, its tag is wrong, or what it hides is no MSIN.
    pub fn deconceal(&self, output: &[u8]) -> Result<String, Unopened> {
        let point = match self.0 {
            Private::A(_) => 32,
            Private::B(_) => 33,
        };
        let (ephemeral, rest) = output.split_at_checked(point).ok_or(Unopened)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(Unopened)?;
        let keys = Keys::agreed(self.shared(ephemeral).ok_or(Unopened)?, ephemeral);
        if !bool::from(keys.tag(ciphertext).ct_eq(tag)) {
            return Err(Unopened);
        }
        let digits = msin_from_bcd(&keys.cipher(ciphertext)).ok_or(Unopened)?;
        String::from_utf8(digits).map_err(|_| Unopened)
    }

    fn shared(&self, ephemeral: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        match &self.0 {
            Private::A(secret) => agree_a(secret, ephemeral),
            Private::B(secret) => agree_b(secret, ephemeral),
        }
    }
}

/// Conceals an MSIN for the home network's public key `home` (Annex C.3.2). `ephemeral` is 32 octets of the OS's
/// randomness, fresh for each.
///
/// # Errors
/// [`NotAKey`] where `home` or `ephemeral` is no key of the profile, or `msin` is not made of 1–10 digits.
pub fn conceal(
    profile: SuciProfile,
    home: &[u8],
    ephemeral: &Key256,
    msin: &str,
) -> Result<Vec<u8>, NotAKey> {
    let plain = msin_to_bcd(msin.as_bytes()).filter(|b| msin_from_bcd(b).is_some()).ok_or(NotAKey)?;
    let own = HomeNetworkKey::new(profile, ephemeral)?;
    let public = own.public();
    let keys = Keys::agreed(own.shared(home).ok_or(NotAKey)?, &public);
    let ciphertext = keys.cipher(&plain);
    let tag = keys.tag(&ciphertext);
    Ok([public.as_slice(), &ciphertext, &tag].concat())
}

/// A point of small order gives everybody the same secret and is refused.
fn agree_a(secret: &StaticSecret, public: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let public: [u8; 32] = public.try_into().ok()?;
    let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(public));
    shared.was_contributory().then(|| Zeroizing::new(*shared.as_bytes()))
}

/// Profile B knows compressed points alone (Annex C.3.4.2).
fn agree_b(secret: &p256::SecretKey, public: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if !matches!((public.first(), public.len()), (Some(2 | 3), 33)) {
        return None;
    }
    let public = p256::PublicKey::from_sec1_bytes(public).ok()?;
    let shared = ecdh::diffie_hellman(secret.to_nonzero_scalar(), public.as_affine());
    let octets: [u8; 32] = shared.raw_secret_bytes().as_slice().try_into().ok()?;
    Some(Zeroizing::new(octets))
}

/// What both sides derive from the shared secret.
struct Keys {
    cipher: Aes128Enc,
    counter: Block,
    mac: KdfKey,
}

impl Keys {
    fn agreed(shared: Zeroizing<[u8; 32]>, ephemeral: &[u8]) -> Self {
        let derive = |n: u32| Zeroizing::new(sha256(&[shared.as_slice(), &n.to_be_bytes(), ephemeral]));
        let (first, mac) = (derive(1), derive(2));
        let (mut key, mut counter) = (Block::default(), Block::default());
        let (k, c) = first.split_at(16);
        key.copy_from_slice(k);
        counter.copy_from_slice(c);
        let cipher = Aes128Enc::new(&key);
        key.zeroize();
        Self { cipher, counter, mac: KdfKey::new(&mac) }
    }

    /// Ciphers or deciphers (the same operation) up to 16 octets; what is beyond is left out.
    fn cipher(&self, octets: &[u8]) -> Vec<u8> {
        let mut stream = self.counter;
        self.cipher.encrypt_block(&mut stream);
        octets.iter().zip(stream.iter()).map(|(o, s)| o ^ s).collect()
    }

    fn tag(&self, ciphertext: &[u8]) -> [u8; TAG] {
        let [a, b, c, d, e, f, g, h, ..] = self.mac.mac(&[ciphertext]);
        [a, b, c, d, e, f, g, h]
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.counter.zeroize();
    }
}
