//! Making a backup while everything runs.

use super::{
    JournalPart, Manifest,
    archive::{self, DATABASE, FilePart, JOURNAL, KEK, SIGNING},
    public_key,
    restore::{Scanned, scan_journal},
    seal::Sealer,
};
use crate::{config::Config, keys, signing::Signer};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};
use store::Store;
use types::{Utc, hex};
use zeroize::Zeroizing;

/// A backup that is on the disk.
#[derive(Debug, Clone)]
pub struct Made {
    /// Where.
    pub file: PathBuf,
    /// Octets.
    pub octets: u64,
    /// What it says about itself.
    pub manifest: Manifest,
}

/// A file on its way into a backup.
pub(super) enum Part {
    /// Its octets; of keys and of the journal.
    Octets { name: &'static str, octets: Zeroizing<Vec<u8>> },
    /// It lies on the disk.
    File { name: &'static str, path: PathBuf },
}

impl Part {
    fn told(&self) -> Result<FilePart> {
        let (name, size, hash) = match self {
            Self::Octets { name, octets } => (name, octets.len() as u64, Sha256::digest(octets.as_slice())),
            Self::File { name, path } => {
                let mut hash = Sha256::new();
                let size = std::io::copy(&mut File::open(path)?, &mut Hash(&mut hash))?;
                (name, size, hash.finalize())
            }
        };
        Ok(FilePart { name: (*name).to_owned(), size, sha256: hex(&hash) })
    }
}

struct Hash<'a>(&'a mut Sha256);

impl Write for Hash<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where backups lie on this machine.
pub(super) fn directory(config: &Config) -> PathBuf {
    config.paths.data.join("backups")
}

/// Takes away what backups left that were being made when the process died: a snapshot of the database, unsealed.
/// To be called while none is being made.
///
/// # Errors
/// Of the disk. No directory is none.
pub fn sweep(config: &Config) -> std::io::Result<()> {
    let entries = match fs::read_dir(directory(config)) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for e in entries {
        let e = e?;
        // A backup's name never begins with a dot.
        if e.file_name().as_encoded_bytes().starts_with(b".") && e.file_type()?.is_dir() {
            drop(Draft(e.path()));
        }
    }
    Ok(())
}

/// The backups that lie in the data directory, newest first: name, octets and when each was written.
///
/// # Errors
/// The directory cannot be read. One that is not there yet holds none.
pub fn list(config: &Config) -> Result<Vec<(String, u64, Utc)>> {
    let dir = directory(config);
    let entries = match fs::read_dir(&dir) {
        Ok(e) => e,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("the directory {}", dir.display())),
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (meta, Ok(name)) = (entry.metadata()?, entry.file_name().into_string()) else { continue };
        // What is being made is a directory.
        if !meta.is_file() {
            continue;
        }
        let at = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        all.push((name, meta.len(), Utc(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))));
    }
    all.sort_by(|a, b| (b.2, &b.0).cmp(&(a.2, &a.0)));
    Ok(all)
}

/// Whether there is a backup of that name.
pub fn is_there(config: &Config, name: &str) -> bool {
    directory(config).join(name).exists()
}

/// Makes a backup called `name` in the directory `backups` of the data directory; it is on the disk when this
/// returns. An existing file is never replaced.
///
/// # Errors
/// No recovery key yet, the name is taken, or a disk or database fault. What was begun is taken away.
pub async fn make(config: &Config, store: &Store, name: &str, at: Utc) -> Result<Made> {
    let recovery = public_key(&config.paths.data)?.context(
        "this node has no recovery key yet; make one with `sekisho backup key` and put its text away",
    )?;
    let dir = directory(config);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    let file = dir.join(name);
    if file.exists() {
        bail!("there is a backup of that name: {}", file.display());
    }
    let draft = Draft(dir.join(format!(".{name}.{}", hex(&gateway::sys::random::<4>()?))));
    fs::DirBuilder::new().mode(0o700).create(&draft.0)?;
    let (mut sims, mut banned, mut parts) = (0, 0, Vec::new());
    if store.kind() == "sqlite" {
        let path = draft.0.join(DATABASE);
        store.snapshot_into(&path).await.context("taking the database's snapshot")?;
        (sims, banned) = counts(&path).await?;
        parts.push(Part::File { name: DATABASE, path });
    }
    // The journal is read after the database: it is at least as new, so no ban of the database is missing in it.
    let config = config.clone();
    let kind = store.kind();
    tokio::task::spawn_blocking(move || {
        let data = &config.paths.data;
        let Scanned { octets, head, .. } = scan_journal(&config.journal())?;
        let signer = Signer::open(data, true)?;
        parts.push(Part::Octets { name: JOURNAL, octets: Zeroizing::new(octets) });
        for (name, path) in [(KEK, config.key_file()), (SIGNING, data.join(SIGNING))] {
            let octets = *keys::key_file(&path, false)?.expose();
            parts.push(Part::Octets { name, octets: Zeroizing::new(octets.to_vec()) });
        }
        let journal = JournalPart { records: head.records, hash: hex(&head.hash) };
        let mut manifest = Manifest::new(at, kind, &signer, journal);
        (manifest.sims, manifest.banned) = (sims, banned);
        manifest.files = parts.iter().map(Part::told).collect::<Result<_>>()?;
        let sealed = draft.0.join("sealed");
        let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&sealed)?;
        let mut sealer = Sealer::begin(BufWriter::new(out), &recovery, gateway::sys::random()?)?;
        archive::write(&mut sealer, &manifest, &signer, &parts)?;
        let out = sealer.finish()?.into_inner().context("writing the backup")?;
        out.sync_all()?;
        let octets = out.metadata()?.len();
        crash::point("backup.sealed");
        // A second backup of that name that came first is not replaced.
        fs::hard_link(&sealed, &file).with_context(|| format!("putting {} in place", file.display()))?;
        sync_directory(&dir)?;
        Ok(Made { file, octets, manifest })
    })
    .await
    .context("the task of the backup has ended")?
}

/// SIMs, and how many of them are banned.
async fn counts(database: &Path) -> Result<(u64, u64)> {
    let store = Store::open(&format!("sqlite:{}", database.display())).await?;
    let sims = store.count_sims().await?.into_iter().map(|(_, n)| n).sum();
    let banned = store.count_banned().await?;
    store.close().await;
    Ok((sims, banned))
}

pub(super) fn sync_directory(dir: &Path) -> Result<()> {
    File::open(dir)?.sync_all()?;
    Ok(())
}

/// A directory that goes with whoever holds it.
pub(super) struct Draft(pub(super) PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.0)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tracing::error!("{} holds keys and could not be taken away: {e}", self.0.display());
        }
    }
}
