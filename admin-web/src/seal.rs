//! Octets sealed with this node's key for one purpose: AES-256-GCM, the nonce in front. What was sealed for one purpose
//! does not open for another.

use aes_gcm::{
    Aes256Gcm, Key, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use types::Key256;
use zeroize::Zeroizing;

/// Octets of a nonce; each is used once.
pub(crate) const NONCE: usize = 12;

/// Sealed for a purpose.
pub(crate) fn seal(key: &Key256, purpose: &str, nonce: [u8; NONCE], octets: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload { msg: octets, aad: purpose.as_bytes() };
    let sealed = cipher(key).encrypt(&Nonce::from(nonce), payload).ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

/// Opened; `None` where it was sealed for another purpose or with another key, or was altered.
pub(crate) fn open(key: &Key256, purpose: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: sealed, aad: purpose.as_bytes() };
    cipher(key).decrypt(&Nonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

fn cipher(key: &Key256) -> Aes256Gcm {
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key.expose()))
}
