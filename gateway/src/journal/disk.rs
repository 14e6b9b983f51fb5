//! What the journal needs of a disk. A trait, so that tests can tear, fill and break it at every call.

use super::JournalError;
use super::record::{RECORD, Raw};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A file that is read at start and then written in place and grown.
pub trait Disk {
    /// Octets of the file.
    ///
    /// # Errors
    /// Of the file system.
    fn octets(&mut self) -> io::Result<u64>;
    /// One record's octets.
    ///
    /// # Errors
    /// Of the file system, or where the file ends before.
    fn read_at(&mut self, offset: u64) -> io::Result<[u8; 256]>;
    /// Overwrites preallocated octets.
    ///
    /// # Errors
    /// Of the file system.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything written is on the disk.
    ///
    /// # Errors
    /// Of the file system.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes the file longer by `octets` zeros that are really on the disk.
    ///
    /// # Errors
    /// Of the file system; the length is then as before.
    fn grow(&mut self, octets: u64) -> io::Result<()>;
}

/// A file of the file system, locked against a second process.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    len: u64,
}

impl FileDisk {
    /// Opens the file; makes it, whole or not at all, with `header` as its first octets and `step` octets
    /// long, where there is none.
    pub(super) fn open(path: &Path, header: &[u8], step: u64) -> Result<Self, JournalError> {
        if !fs::exists(path)? {
            write_whole(path, header, step)?;
        }
        Self::open_old(path)
    }

    /// Opens a file that is there.
    pub(super) fn open_old(path: &Path) -> Result<Self, JournalError> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Held),
            Err(TryLockError::Error(e)) => return Err(e.into()),
        }
        let meta = file.metadata()?;
        if meta.permissions().mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        if meta.len() < RECORD as u64 {
            return Err(JournalError::Foreign("it is empty"));
        }
        Ok(Self { file, len: meta.len() })
    }
}

impl FileDisk {
    /// The file once more, for another thread to read.
    pub(super) fn reader(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Opens the file to look at it only, also while a gateway holds it.
    pub(super) fn look(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }
}

/// Makes the file whole or not at all, with `bytes` at its begin and zeros up to `size`.
pub(super) fn write_whole(path: &Path, bytes: &[u8], size: u64) -> io::Result<()> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    write_zeros(&file, bytes.len() as u64, size)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(dir)?.sync_all()
}

/// Zeros that are written, not only promised: an overwrite then needs no new block and no change of the
/// file's own records, so a full disk cannot stop it and its flush is one write.
fn write_zeros(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = [0; 64 * 1024];
    let mut at = from;
    while at < to {
        let n = (to - at).min(zeros.len() as u64);
        file.write_all_at(zeros.get(..n as usize).unwrap_or_default(), at)?;
        at += n;
    }
    Ok(())
}

impl Disk for FileDisk {
    fn octets(&mut self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_at(&mut self, offset: u64) -> io::Result<Raw> {
        let mut raw = [0; RECORD];
        self.file.read_exact_at(&mut raw, offset)?;
        Ok(raw)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn grow(&mut self, octets: u64) -> io::Result<()> {
        let grown = self.len + octets;
        let done = write_zeros(&self.file, self.len, grown).and_then(|()| self.file.sync_all());
        if done.is_err() {
            // A half-grown file would look like a cut one at the next start.
            self.file.set_len(self.len)?;
            return done;
        }
        self.len = grown;
        Ok(())
    }
}
