//! A stream that only the recovery key opens, and in which nothing can be cut, moved or changed unseen.
//!
//! ```text
//! "SKBACKUP"  version 1  zeros (7)  id of the recovery key (8)  ephemeral X25519 public key (32)
//! then chunks: last (1 bit) ‖ length (31 bits) ‖ ciphertext ‖ tag (16)
//! ```
//!
//! Key = HKDF-SHA-256 (RFC 5869) of the X25519 secret, salted with both public keys; a fresh ephemeral key for each
//! backup, so the nonce is the chunk's number. AES-256-GCM; associated data of a chunk: SHA-256 of the head, its
//! number, and whether it is the last. A file without its last chunk is cut short, octets behind it are refused.

use super::{RecoveryPublic, RecoverySecret, Refusal};
use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{AeadInOut, KeyInit},
};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"SKBACKUP";
const VERSION: u8 = 1;
const HEAD: usize = 56;
const TAG: usize = 16;
/// Octets of a chunk before it is sealed.
const CHUNK: usize = 64 * 1024;
const LAST: u32 = 1 << 31;

/// The head of a file.
type Head = [u8; HEAD];

fn head(recovery: &RecoveryPublic, ephemeral: &PublicKey) -> Head {
    let mut head = [0; HEAD];
    let parts: [&[u8]; 5] = [MAGIC, &[VERSION], &[0; 7], &recovery.id(), ephemeral.as_bytes()];
    for (to, from) in head.iter_mut().zip(parts.concat()) {
        *to = from;
    }
    head
}

fn key(shared: &[u8; 32], ephemeral: &[u8; 32], recovery: &[u8; 32]) -> Aes256Gcm {
    let mac = |key: &[u8], parts: &[&[u8]]| {
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        parts.iter().for_each(|p| mac.update(p));
        Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()))
    };
    let pseudo_random = mac(&[ephemeral.as_slice(), recovery.as_slice()].concat(), &[shared]);
    let key = mac(&*pseudo_random, &[b"sekisho backup v1", &[1]]);
    Aes256Gcm::new((&*key).into())
}

/// What seals and opens chunks.
struct Chunks {
    cipher: Aes256Gcm,
    head: [u8; 32],
    next: u64,
}

impl Chunks {
    fn new(cipher: Aes256Gcm, head: &Head) -> Self {
        Self { cipher, head: Sha256::digest(head).into(), next: 0 }
    }

    /// Nonce and associated data of the next chunk.
    fn step(&mut self, last: bool) -> ([u8; 12], Vec<u8>) {
        let number = self.next.to_be_bytes();
        self.next += 1;
        let mut nonce = [0; 12];
        nonce.iter_mut().skip(4).zip(number).for_each(|(to, from)| *to = from);
        (nonce, [self.head.as_slice(), &number, &[u8::from(last)]].concat())
    }
}

/// Seals what is written to it. Without [`Sealer::finish`] the file is cut short.
pub(super) struct Sealer<W: Write> {
    out: W,
    chunks: Chunks,
    held: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    /// Writes the head. `seed` comes from the operating system, fresh for each file.
    pub fn begin(mut out: W, recovery: &RecoveryPublic, seed: [u8; 32]) -> io::Result<Self> {
        let secret = StaticSecret::from(seed);
        let ephemeral = PublicKey::from(&secret);
        let shared = secret.diffie_hellman(&PublicKey::from(recovery.0));
        let head = head(recovery, &ephemeral);
        out.write_all(&head)?;
        let cipher = key(shared.as_bytes(), ephemeral.as_bytes(), &recovery.0);
        Ok(Self { out, chunks: Chunks::new(cipher, &head), held: Zeroizing::new(Vec::with_capacity(CHUNK)) })
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        let (nonce, aad) = self.chunks.step(last);
        let tag = self
            .chunks
            .cipher
            .encrypt_inout_detached(&Nonce::from(nonce), &aad, self.held.as_mut_slice().into())
            .map_err(|_| io::Error::other("a chunk could not be sealed"))?;
        let length = u32::try_from(self.held.len()).map_err(io::Error::other)?;
        self.out.write_all(&(length | if last { LAST } else { 0 }).to_be_bytes())?;
        self.out.write_all(&self.held)?;
        self.out.write_all(&tag)?;
        self.held.clear();
        Ok(())
    }

    /// Writes the last chunk.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.held.len() == CHUNK {
            self.put(false)?;
        }
        let room = bytes.len().min(CHUNK - self.held.len());
        self.held.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what a [`Sealer`] wrote. Its errors carry a [`Refusal`].
pub(super) struct Opener<R: Read> {
    from: R,
    chunks: Chunks,
    held: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

fn refused(why: Refusal) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A read that must not end early.
fn whole(from: &mut impl Read, into: &mut [u8], why: Refusal) -> io::Result<()> {
    from.read_exact(into).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => refused(why),
        _ => e,
    })
}

impl<R: Read> Opener<R> {
    /// Reads the head.
    pub fn begin(mut from: R, secret: &RecoverySecret) -> io::Result<Self> {
        let mut start = [0; 16];
        whole(&mut from, &mut start, Refusal::Foreign)?;
        if !start.starts_with(MAGIC) {
            return Err(refused(Refusal::Foreign));
        }
        if start.get(8..) != Some(&[VERSION, 0, 0, 0, 0, 0, 0, 0]) {
            return Err(refused(Refusal::Version));
        }
        let (mut id, mut ephemeral) = ([0; 8], [0; 32]);
        whole(&mut from, &mut id, Refusal::CutShort)?;
        whole(&mut from, &mut ephemeral, Refusal::CutShort)?;
        let recovery = secret.public();
        if id != recovery.id() {
            return Err(refused(Refusal::OtherKey));
        }
        let ephemeral = PublicKey::from(ephemeral);
        let shared = secret.0.diffie_hellman(&ephemeral);
        let cipher = key(shared.as_bytes(), ephemeral.as_bytes(), &recovery.0);
        let chunks = Chunks::new(cipher, &head(&recovery, &ephemeral));
        Ok(Self { from, chunks, held: Zeroizing::default(), at: 0, ended: false })
    }

    /// The next chunk; false at the end.
    fn next(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let mut prefix = [0; 4];
        whole(&mut self.from, &mut prefix, Refusal::CutShort)?;
        let prefix = u32::from_be_bytes(prefix);
        let (last, length) = (prefix & LAST != 0, (prefix & !LAST) as usize);
        if length > CHUNK {
            return Err(refused(Refusal::Altered));
        }
        self.held.resize(length, 0);
        self.at = 0;
        whole(&mut self.from, &mut self.held, Refusal::CutShort)?;
        let mut tag = [0; TAG];
        whole(&mut self.from, &mut tag, Refusal::CutShort)?;
        let (nonce, aad) = self.chunks.step(last);
        let opened = self.chunks.cipher.decrypt_inout_detached(
            &Nonce::from(nonce),
            &aad,
            self.held.as_mut_slice().into(),
            &tag.into(),
        );
        if opened.is_err() {
            // Not an octet of it is handed out, now or at a later read.
            self.held.clear();
            self.ended = true;
            return Err(refused(Refusal::Altered));
        }
        if last {
            self.ended = true;
            if self.from.read(&mut [0; 1])? != 0 {
                return Err(refused(Refusal::Altered));
            }
        }
        Ok(true)
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.held.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let rest = self.held.get(self.at..).unwrap_or_default();
        let n = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.at += n;
        Ok(n)
    }
}
