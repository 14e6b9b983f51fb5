//! Octets sealed for a file beside the journal: AES-256-GCM under a key of its own, derived from the key-encryption key.
//! A stolen disk does not say who works here.

use crate::keys;
use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{AeadInOut, KeyInit},
};
use anyhow::{Result, anyhow};
use types::Key256;

const NONCE: usize = 12;
const TAG: usize = 16;

/// Seals for one purpose.
pub(super) struct Sealer {
    cipher: Aes256Gcm,
    /// Covered by each tag: what is sealed, and in which version.
    magic: &'static [u8; 8],
}

impl Sealer {
    /// With a key for `purpose`, for what begins with `magic`.
    pub(super) fn new(kek: &Key256, purpose: &str, magic: &'static [u8; 8]) -> Self {
        Self { cipher: Aes256Gcm::new(keys::derived(kek, purpose).expose().into()), magic }
    }

    /// Nonce, tag and what is sealed.
    ///
    /// # Errors
    /// Where the system gives no randomness, or the text is longer than AES-GCM takes (64 GiB).
    pub(super) fn seal(&self, mut body: Vec<u8>) -> Result<Vec<u8>> {
        let nonce = gateway::sys::random::<NONCE>()?;
        let tag = self
            .cipher
            .encrypt_inout_detached(&Nonce::from(nonce), self.magic, body.as_mut_slice().into())
            .map_err(|_| anyhow!("it is too long to be sealed"))?;
        Ok([nonce.as_slice(), tag.as_slice(), &body].concat())
    }

    /// What was sealed; `None` where the octets are others, or the key is.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        let (tag, body) = rest.split_first_chunk::<TAG>()?;
        let mut body = body.to_vec();
        self.cipher
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                self.magic,
                body.as_mut_slice().into(),
                &(*tag).into(),
            )
            .ok()?;
        Some(body)
    }
}
