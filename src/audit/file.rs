//! `audit.checkpoints`: one JSON object a line, appended and synced, never changed.

use anyhow::{Context, Result};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use store::AuditCheckpoint;

/// Its name in the data directory.
pub const NAME: &str = "audit.checkpoints";

/// What a file of checkpoints holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// Its checkpoints, in their order. Nobody has looked at their signatures.
    pub checkpoints: Vec<AuditCheckpoint>,
    /// Lines that are none.
    pub unreadable: u64,
}

/// Appends a checkpoint; it is on the disk when this returns.
///
/// # Errors
/// Where the file cannot be opened, written or synced.
pub fn append(file: &Path, c: &AuditCheckpoint) -> Result<()> {
    let mut f = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("opening {}", file.display()))?;
    // A line that a crash tore must not swallow this one.
    let mut line = String::new();
    if f.seek(SeekFrom::End(-1)).is_ok() {
        let mut last = [0u8];
        if f.read(&mut last)? == 1 && last != *b"\n" {
            line.push('\n');
        }
    }
    line.push_str(&c.to_json().to_string());
    line.push('\n');
    f.write_all(line.as_bytes()).with_context(|| format!("writing {}", file.display()))?;
    f.sync_data().with_context(|| format!("syncing {}", file.display()))
}

/// Reads a file of checkpoints; one that is not there holds none.
///
/// # Errors
/// Where it is there and cannot be read.
pub fn read(file: &Path) -> Result<Lines> {
    let text = match fs::read(file) {
        Ok(t) => t,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Lines::default()),
        Err(e) => return Err(e).with_context(|| format!("reading {}", file.display())),
    };
    let mut found = Lines::default();
    for line in text.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let c = serde_json::from_slice(line).ok().and_then(|v| AuditCheckpoint::from_json(&v));
        match c {
            Some(c) => found.checkpoints.push(c),
            None => found.unreadable += 1,
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Utc;

    fn checkpoint(seq: u64) -> AuditCheckpoint {
        let (public_key, signature) = ("aa".to_owned(), "bb".to_owned());
        AuditCheckpoint { seq, hash: vec![seq as u8; 32], at: Utc(seq as i64), public_key, signature }
    }

    #[test]
    fn lines_are_appended_and_a_torn_one_costs_itself_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit.checkpoints");
        assert_eq!(read(&path).expect("no file, no checkpoints"), Lines::default());
        append(&path, &checkpoint(1)).expect("written");
        append(&path, &checkpoint(2)).expect("written");
        let whole = fs::read(&path).expect("there");
        fs::write(&path, &whole[..whole.len() - 9]).expect("torn");
        append(&path, &checkpoint(3)).expect("written");
        let found = read(&path).expect("read");
        assert_eq!(found.checkpoints, [checkpoint(1), checkpoint(3)]);
        assert_eq!(found.unreadable, 1);
    }
}
