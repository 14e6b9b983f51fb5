//! What this node signs: receipts and the audit's checkpoints (decision D17).
//!
//! Ed25519. The secret key is 32 octets in `signing.key` of the data directory, mode 0600, made at the first start;
//! the public key stands beside it in `signing.pub` as hexadecimal text, for whoever checks offline. What is signed
//! is the context, an octet 0 and the message, so that a signature of one kind of text says nothing about another.

use crate::keys;
use anyhow::{Context, Result};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{fmt, fs, path::Path};
use types::{hex, unhex};
use zeroize::Zeroize as _;

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The receipt of a ban or unban.
    Receipt,
    /// A checkpoint of the audit.
    Audit,
    /// An alert or audit line on its way out.
    Delivery,
    /// The head of a backup.
    Backup,
}

impl Purpose {
    fn context(self) -> &'static [u8] {
        match self {
            Self::Receipt => b"sekisho receipt v1\0",
            Self::Audit => b"sekisho audit checkpoint v1\0",
            Self::Delivery => b"sekisho delivery v1\0",
            Self::Backup => b"sekisho backup v1\0",
        }
    }

    fn text(self, message: &[u8]) -> Vec<u8> {
        [self.context(), message].concat()
    }
}

/// The node's signing key.
#[derive(Clone)]
pub struct Signer(SigningKey);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

impl Signer {
    /// Reads the key from the data directory, or makes it there where `may_make` says so.
    ///
    /// # Errors
    /// Where the file is missing, readable by others, of another length, or cannot be written.
    pub fn open(data: &Path, may_make: bool) -> Result<Self> {
        let signer = Self::from_seed(*keys::key_file(&data.join("signing.key"), may_make)?.expose());
        let public = data.join("signing.pub");
        if !public.exists() {
            fs::write(&public, format!("{}\n", signer.public()))
                .with_context(|| format!("writing {}", public.display()))?;
        }
        Ok(signer)
    }

    /// From the secret's 32 octets.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The public key, 64 hexadecimal digits.
    pub fn public(&self) -> String {
        hex(self.0.verifying_key().as_bytes())
    }

    /// A secret of this node for another use, that nobody can compute without the signing key.
    pub fn derived(&self, what: &[u8]) -> [u8; 32] {
        keyed(&self.0.to_bytes()).chain_update(what).finalize().into_bytes().into()
    }

    /// Signs; 128 hexadecimal digits.
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> String {
        hex(&self.0.sign(&purpose.text(message)).to_bytes())
    }
}

/// HMAC-SHA256 under a key of 32 octets.
pub fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    // RFC 2104: a key shorter than the block is padded with zeros.
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    for (b, k) in block.iter_mut().zip(key) {
        *b = *k;
    }
    let mac = <Hmac<Sha256> as KeyInit>::new(&block);
    block.as_mut_slice().zeroize();
    mac
}

/// Whether `signature` is that of the owner of `public` over `message`. Both are hexadecimal text.
pub fn verify(public: &str, purpose: Purpose, message: &[u8], signature: &str) -> bool {
    let key = unhex(public).and_then(|k| VerifyingKey::from_bytes(k.as_slice().try_into().ok()?).ok());
    let signature = unhex(signature).and_then(|s| Signature::from_slice(&s).ok());
    match (key, signature) {
        (Some(k), Some(s)) => k.verify_strict(&purpose.text(message), &s).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_for_its_text_its_purpose_and_its_key_only() {
        let signer = Signer::from_seed([7; 32]);
        let signature = signer.sign(Purpose::Receipt, b"cut");
        let public = signer.public();
        assert!(verify(&public, Purpose::Receipt, b"cut", &signature));
        assert!(!verify(&public, Purpose::Receipt, b"cut!", &signature));
        assert!(!verify(&public, Purpose::Audit, b"cut", &signature));
        assert!(!verify(&Signer::from_seed([8; 32]).public(), Purpose::Receipt, b"cut", &signature));
        assert!(!verify("zz", Purpose::Receipt, b"cut", &signature));
        assert!(!verify(&public, Purpose::Receipt, b"cut", "00"));
    }

    #[test]
    fn the_key_is_made_once_and_never_printed() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(Signer::open(dir.path(), false).is_err());
        let made = Signer::open(dir.path(), true).expect("made");
        assert_eq!(Signer::open(dir.path(), false).expect("read").public(), made.public());
        let secret = fs::read(dir.path().join("signing.key")).expect("there");
        assert!(!format!("{made:?}").contains(&hex(&secret)));
        let public = fs::read_to_string(dir.path().join("signing.pub")).expect("there");
        assert_eq!(public.trim(), made.public());
    }
}
