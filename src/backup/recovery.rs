//! The recovery key: an X25519 pair whose secret exists on paper alone.
//!
//! It is made once (`sekisho init`, or `sekisho backup key` on a node that has none). The secret is shown as text and
//! written nowhere; the public key stands in `recovery.pub` of the data directory as hexadecimal text.

use super::Refusal;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};
use types::{hex, unhex};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

/// RFC 4648 base32.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Octets of checksum behind the secret.
const CHECK: usize = 4;

/// The public half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryPublic(pub(super) [u8; 32]);

impl RecoveryPublic {
    /// What tells it from others: the first eight octets of its SHA-256.
    pub fn id(&self) -> [u8; 8] {
        let mut id = [0; 8];
        id.copy_from_slice(Sha256::digest(self.0).get(..8).unwrap_or(&[0; 8]));
        id
    }
}

/// The secret half. No `Debug`; wiped when dropped.
pub struct RecoverySecret(pub(super) StaticSecret);

impl RecoverySecret {
    /// From 32 octets of the operating system's randomness.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(StaticSecret::from(seed))
    }

    /// The public half.
    pub fn public(&self) -> RecoveryPublic {
        RecoveryPublic(PublicKey::from(&self.0).to_bytes())
    }

    /// As people write it down: groups of four, checksum included.
    pub fn text(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(self.0.to_bytes());
        let mut octets = Zeroizing::new(secret.to_vec());
        octets.extend_from_slice(check(&secret).as_slice());
        let letters = Zeroizing::new(base32(&octets));
        let groups: Vec<&str> = (0..letters.len())
            .step_by(4)
            .filter_map(|i| letters.get(i..(i + 4).min(letters.len())))
            .collect();
        Zeroizing::new(groups.join("-"))
    }

    /// Reads what a person typed; spaces, hyphens and small letters do not matter.
    ///
    /// # Errors
    /// [`Refusal::KeyText`] where a letter is wrong, missing or too much.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let octets = Zeroizing::new(unbase32(text).ok_or(Refusal::KeyText)?);
        let (secret, sum) = octets.split_at_checked(32).ok_or(Refusal::KeyText)?;
        let mut bytes: [u8; 32] = secret.try_into().map_err(|_| Refusal::KeyText)?;
        let right = check(&bytes) == sum;
        let key = Self(StaticSecret::from(bytes));
        bytes.zeroize();
        if right { Ok(key) } else { Err(Refusal::KeyText) }
    }
}

fn check(secret: &[u8; 32]) -> [u8; CHECK] {
    let digest = Sha256::new().chain_update(b"sekisho recovery key").chain_update(secret).finalize();
    let mut sum = [0; CHECK];
    sum.copy_from_slice(digest.get(..CHECK).unwrap_or(&[0; CHECK]));
    sum
}

fn base32(octets: &[u8]) -> String {
    let (mut held, mut bits, mut text) = (0u32, 0u32, String::new());
    let letter = |v: u32| char::from(LETTERS.get((v & 31) as usize).copied().unwrap_or(b'A'));
    for o in octets {
        held = held << 8 | u32::from(*o);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    let (mut held, mut bits, mut octets) = (0u32, 0u32, Vec::new());
    for c in text.bytes().filter(|c| !c.is_ascii_whitespace() && *c != b'-') {
        let value = LETTERS.iter().position(|l| *l == c.to_ascii_uppercase())?;
        held = held << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            octets.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    // What is left over is the padding of the last letter.
    (bits < 5 && held == 0 && octets.len() == 32 + CHECK).then_some(octets)
}

/// Makes a pair for a node that has none: the text of the secret, to be shown once.
///
/// # Errors
/// Where there is a recovery key already: a second one would not open the backups made so far.
pub fn make_key(data: &Path) -> Result<Zeroizing<String>> {
    let file = data.join("recovery.pub");
    let secret = RecoverySecret::new(gateway::sys::random()?);
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    let mut f = match made {
        Ok(f) => f,
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("this node has a recovery key already ({}); backups are sealed to it", file.display())
        }
        Err(e) => return Err(e).with_context(|| format!("writing {}", file.display())),
    };
    writeln!(f, "{}", hex(&secret.public().0))?;
    f.sync_all()?;
    fs::File::open(data)?.sync_all()?;
    Ok(secret.text())
}

/// The public key of a node; `None` where it has none yet.
///
/// # Errors
/// Where the file cannot be read or is no key.
pub fn public_key(data: &Path) -> Result<Option<RecoveryPublic>> {
    let file = data.join("recovery.pub");
    match fs::read_to_string(&file) {
        Ok(text) => {
            let octets = unhex(text.trim()).and_then(|b| <[u8; 32]>::try_from(b.as_slice()).ok());
            Ok(Some(RecoveryPublic(octets.with_context(|| format!("{} is no key", file.display()))?)))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("reading {}", file.display())),
    }
}
