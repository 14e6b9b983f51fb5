//! What lies inside the seal: a manifest, its signature, and the files that it names.
//!
//! Each part is name length (1) ‖ name ‖ length (8, big endian) ‖ octets. The manifest comes first and names the
//! others in their order with size and SHA-256, so that everything is judged while it is read once.

use super::{Refusal, make::Part};
use crate::signing::{Purpose, Signer, verify};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Write},
};
use types::{Utc, hex};

/// The form of the content.
const FORMAT: u32 = 1;
/// A manifest is a page of text.
const MANIFEST_MAX: u64 = 64 * 1024;
const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";

/// The database.
pub(super) const DATABASE: &str = "sekisho.db";
/// The revocation journal.
pub(super) const JOURNAL: &str = "revocations.journal";
/// The key-encryption key.
pub(super) const KEK: &str = "kek.key";
/// The key that signs receipts.
pub(super) const SIGNING: &str = "signing.key";

/// What a backup says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of the content.
    pub format: u32,
    /// Which version of Sekisho made it.
    pub version: String,
    /// When the database was as it is in here.
    pub at: Utc,
    /// `sqlite`, or `postgres` where the database is not in here.
    pub store: String,
    /// SIMs in the database; 0 where it is not in here.
    pub sims: u64,
    /// How many of them are banned.
    pub banned: u64,
    /// The revocation journal.
    pub journal: JournalPart,
    /// Whoever made it: public key, hexadecimal.
    pub signer: String,
    /// The files, in their order.
    pub files: Vec<FilePart>,
}

/// The journal's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalPart {
    /// Records in it.
    pub records: u64,
    /// Hash of the last one, hexadecimal.
    pub hash: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePart {
    /// Its name in the data directory.
    pub name: String,
    /// Octets.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Of this version's form.
    pub(super) fn new(at: Utc, store: &str, signer: &Signer, journal: JournalPart) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at,
            store: store.to_owned(),
            sims: 0,
            banned: 0,
            journal,
            signer: signer.public(),
            files: Vec::new(),
        }
    }
}

/// Writes manifest, signature and files.
pub(super) fn write(
    out: &mut impl Write,
    manifest: &Manifest,
    signer: &Signer,
    parts: &[Part],
) -> Result<()> {
    let text = serde_json::to_vec(manifest)?;
    let signature = signer.sign(Purpose::Backup, &text);
    head(out, MANIFEST, text.len() as u64)?;
    out.write_all(&text)?;
    head(out, SIGNATURE, signature.len() as u64)?;
    out.write_all(signature.as_bytes())?;
    for (part, told) in parts.iter().zip(&manifest.files) {
        head(out, &told.name, told.size)?;
        let copied = match part {
            Part::Octets { octets, .. } => io::copy(&mut octets.as_slice(), out)?,
            Part::File { path, .. } => {
                let mut file = File::open(path).with_context(|| format!("{}", path.display()))?;
                io::copy(&mut file, out)?
            }
        };
        anyhow::ensure!(copied == told.size, "{} changed while it was read", told.name);
    }
    Ok(())
}

fn head(out: &mut impl Write, name: &str, size: u64) -> io::Result<()> {
    out.write_all(&[u8::try_from(name.len()).map_err(io::Error::other)?])?;
    out.write_all(name.as_bytes())?;
    out.write_all(&size.to_be_bytes())
}

/// Reads everything and judges it; `place` says where the octets of a file go.
///
/// # Errors
/// A [`Refusal`] for content that does not fit, or what the disk says.
pub(super) fn read(
    from: &mut impl Read,
    mut place: impl FnMut(&FilePart) -> io::Result<Box<dyn Write>>,
) -> Result<Manifest> {
    let text = small(from, MANIFEST)?;
    let signature = small(from, SIGNATURE)?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|_| inconsistent("the manifest cannot be read"))?;
    if manifest.format != FORMAT {
        return Err(Refusal::Version.into());
    }
    if !verify(&manifest.signer, Purpose::Backup, &text, &String::from_utf8_lossy(&signature)) {
        return Err(inconsistent("the manifest's signature is wrong"));
    }
    let known = [DATABASE, JOURNAL, KEK, SIGNING];
    for file in &manifest.files {
        // A name is one of ours: it can lead nowhere else.
        if !known.contains(&file.name.as_str()) {
            return Err(inconsistent(&format!("there is a file {}", file.name)));
        }
        let size = start(from, &file.name)?;
        let mut out = Hashed { out: place(file)?, hash: Sha256::new() };
        let copied = io::copy(&mut from.take(size), &mut out)?;
        out.flush()?;
        if size != file.size || copied != size || hex(&out.hash.finalize()) != file.sha256 {
            return Err(inconsistent(&format!("{} is not what the manifest says", file.name)));
        }
    }
    if from.read(&mut [0; 1])? != 0 {
        return Err(inconsistent("there is more than the manifest names"));
    }
    Ok(manifest)
}

fn small(from: &mut impl Read, name: &str) -> Result<Vec<u8>> {
    let size = start(from, name)?;
    if size > MANIFEST_MAX {
        return Err(inconsistent(&format!("{name} is too long")));
    }
    let mut octets = Vec::new();
    from.take(size).read_to_end(&mut octets)?;
    Ok(octets)
}

/// The head of the part that must be called `name`; its length.
fn start(from: &mut impl Read, name: &str) -> Result<u64> {
    let mut length = [0; 1];
    from.read_exact(&mut length)?;
    let mut found = vec![0; usize::from(length[0])];
    from.read_exact(&mut found)?;
    let mut size = [0; 8];
    from.read_exact(&mut size)?;
    if found != name.as_bytes() {
        return Err(inconsistent(&format!("{name} is not where it should be")));
    }
    Ok(u64::from_be_bytes(size))
}

fn inconsistent(what: &str) -> anyhow::Error {
    Refusal::Inconsistent(what.to_owned()).into()
}

struct Hashed {
    out: Box<dyn Write>,
    hash: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hash.update(bytes.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
