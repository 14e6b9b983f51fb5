//! The key-encryption key: 32 octets in a file of mode 0600, made at the first start (decision D7).

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};
use types::Key256;
use zeroize::{Zeroize, Zeroizing};

/// Makes the data directory with mode 0700 where it is not there yet.
pub fn data_directory(dir: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("making the data directory {}", dir.display()))
}

/// Reads the key, or makes it where the file does not exist and `may_make` says so.
///
/// A file that others can read is refused: whoever copied it can open every SIM.
pub fn key_file(file: &Path, may_make: bool) -> Result<Key256> {
    match fs::File::open(file) {
        Ok(mut f) => {
            let meta = f.metadata()?;
            if meta.mode() & 0o077 != 0 {
                bail!(
                    "{} can be read by others (mode {:o}); run: chmod 600 {}",
                    file.display(),
                    meta.mode() & 0o777,
                    file.display()
                );
            }
            let mut b = [0u8; 32];
            f.read_exact(&mut b).with_context(|| format!("{} is not a key of 32 octets", file.display()))?;
            if f.read(&mut [0u8; 1])? != 0 {
                bail!("{} is not a key of 32 octets", file.display());
            }
            let key = Key256::new(b);
            b.zeroize();
            Ok(key)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && may_make => make(file),
        Err(e) => Err(e).with_context(|| format!("key file {}", file.display())),
    }
}

/// A secret that somebody put into a file which nobody else reads: at least so many octets; a line break at its end does
/// not count.
pub fn secret_file(file: &Path, least: usize) -> Result<Zeroizing<Vec<u8>>> {
    let meta = fs::metadata(file).with_context(|| format!("{}", file.display()))?;
    if meta.mode() & 0o077 != 0 {
        bail!("{} can be read by others; run: chmod 600 {}", file.display(), file.display());
    }
    let mut text = Zeroizing::new(fs::read(file).with_context(|| format!("{}", file.display()))?);
    while text.last().is_some_and(u8::is_ascii_whitespace) {
        text.pop();
    }
    if text.len() < least {
        bail!("{} holds fewer than {least} octets: make one with `openssl rand -hex 32`", file.display());
    }
    Ok(text)
}

/// A key for one purpose, from which neither the key-encryption key nor another purpose's key follows
/// (HMAC-SHA-256 as a pseudorandom function, NIST SP 800-108 with one block).
pub fn derived(kek: &Key256, purpose: &str) -> Key256 {
    use hmac::{Hmac, KeyInit, Mac};
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(kek.expose()) else {
        unreachable!("HMAC takes keys of every length")
    };
    mac.update(b"sekisho ");
    mac.update(purpose.as_bytes());
    Key256::new(mac.finalize().into_bytes().into())
}

fn make(file: &Path) -> Result<Key256> {
    let mut b = gateway::sys::random::<32>()?;
    let mut f = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("making the key file {}", file.display()))?;
    f.write_all(&b)?;
    f.sync_all()?;
    if let Some(dir) = file.parent() {
        fs::File::open(dir)?.sync_all()?;
    }
    let key = Key256::new(b);
    b.zeroize();
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("kek.key");
        assert!(key_file(&file, false).is_err(), "a missing key is not made where it must be there");
        let made = key_file(&file, true).expect("made");
        assert!(key_file(&file, true).expect("read") == made);
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
        let e = key_file(&file, true).err().expect("refused").to_string();
        assert!(e.contains("chmod 600"), "{e}");
    }

    #[test]
    fn a_file_of_another_length_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        for n in [0, 31, 33] {
            let file = dir.path().join(format!("{n}"));
            fs::write(&file, vec![1; n]).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
            assert!(key_file(&file, true).is_err(), "{n} octets");
        }
    }
}
