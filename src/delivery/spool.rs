//! Events that the database could not take: kept on disk until it can, within bounds.
//!
//! A file of frames: length (u32, big endian), the first 8 octets of the SHA-256 of what follows, then one JSON object.
//! A frame that a crash tore, and whatever stands behind it, does not count. When the file is full the older half goes,
//! and a count of what went stands at its beginning: nothing is lost silently.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use types::{Event, Utc};

/// Its name in the data directory.
pub const NAME: &str = "events.spool";
/// How much it holds, octets.
pub const MOST: u64 = 8 << 20;

/// Events that were lost because the spool was full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many.
    pub count: u64,
    /// When the first of them happened.
    pub since: Utc,
    /// When the last of them happened.
    pub until: Utc,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Frame {
    Event(Event),
    Lost(Lost),
}

/// The spool.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    most: u64,
    size: u64,
    events: VecDeque<Event>,
    lost: Option<Lost>,
}

impl Spool {
    /// Reads what is there.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn open(path: &Path, most: u64) -> io::Result<Self> {
        let mut spool = Self { path: path.to_owned(), most, size: 0, events: VecDeque::new(), lost: None };
        let bytes = match fs::read(path) {
            Ok(b) => b,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(spool),
            Err(e) => return Err(e),
        };
        let mut rest = bytes.as_slice();
        while let Some((frame, behind)) = read(rest) {
            match frame {
                Frame::Event(e) => spool.events.push_back(e),
                Frame::Lost(l) => spool.lost = Some(sum(spool.lost.take(), l)),
            }
            spool.size += (rest.len() - behind.len()) as u64;
            rest = behind;
        }
        if !rest.is_empty() {
            // What was torn is cut off, so that new frames are found behind the whole ones.
            OpenOptions::new().write(true).open(path)?.set_len(spool.size)?;
        }
        Ok(spool)
    }

    /// True where nothing waits.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.lost.is_none()
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// What was lost, and the oldest events, at most `n`. They stay until [`Self::taken`].
    pub fn oldest(&self, n: usize) -> (Option<Lost>, Vec<Event>) {
        (self.lost.clone(), self.events.iter().take(n).cloned().collect())
    }

    /// The database has these many of the oldest, and knows what was lost. The file is emptied with the last of them;
    /// a crash before that writes some a second time.
    ///
    /// # Errors
    /// Where the file cannot be emptied.
    pub fn taken(&mut self, n: usize) -> io::Result<()> {
        self.events.drain(..n.min(self.events.len()));
        self.lost = None;
        if self.events.is_empty() {
            OpenOptions::new().write(true).open(&self.path)?.set_len(0)?;
            self.size = 0;
        }
        Ok(())
    }

    /// Keeps events; they are on the disk when this returns.
    ///
    /// # Errors
    /// Where the disk does not take them. They are kept in memory all the same, within the same bounds.
    pub fn push(&mut self, events: Vec<Event>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for e in events {
            bytes.extend(written(&Frame::Event(e.clone())));
            self.events.push_back(e);
        }
        if self.size + bytes.len() as u64 > self.most {
            return self.rewrite();
        }
        // Counted first: what the disk refuses now still stands in memory and counts against the bound.
        self.size += bytes.len() as u64;
        let mut f = self.file(false)?;
        f.write_all(&bytes)?;
        f.sync_data()
    }

    /// Drops the oldest until half is free, and writes the rest anew beside the old file.
    fn rewrite(&mut self) -> io::Result<()> {
        let sizes: Vec<u64> =
            self.events.iter().map(|e| written(&Frame::Event(e.clone())).len() as u64).collect();
        let mut size: u64 = sizes.iter().sum();
        for s in sizes {
            if size <= self.most / 2 {
                break;
            }
            let Some(e) = self.events.pop_front() else { break };
            size -= s;
            let one = Lost { count: 1, since: e.at, until: e.at };
            self.lost = Some(sum(self.lost.take(), one));
        }
        self.size = size;
        let mut bytes = Vec::new();
        if let Some(l) = &self.lost {
            bytes.extend(written(&Frame::Lost(l.clone())));
        }
        for e in &self.events {
            bytes.extend(written(&Frame::Event(e.clone())));
        }
        self.size = bytes.len() as u64;
        let mut f = self.file(true)?;
        f.write_all(&bytes)?;
        f.sync_data()?;
        fs::rename(self.beside(), &self.path)?;
        self.path.parent().map_or(Ok(()), |d| File::open(d)?.sync_all())
    }

    fn beside(&self) -> PathBuf {
        self.path.with_extension("new")
    }

    fn file(&self, new: bool) -> io::Result<File> {
        let mut o = OpenOptions::new();
        o.create(true).mode(0o600);
        if new { o.write(true).truncate(true).open(self.beside()) } else { o.append(true).open(&self.path) }
    }
}

/// Both losses as one.
fn sum(a: Option<Lost>, b: Lost) -> Lost {
    match a {
        None => b,
        Some(a) => {
            Lost { count: a.count + b.count, since: a.since.min(b.since), until: a.until.max(b.until) }
        }
    }
}

fn digest(body: &[u8]) -> Vec<u8> {
    Sha256::digest(body).iter().copied().take(8).collect()
}

fn written(f: &Frame) -> Vec<u8> {
    let body = serde_json::to_vec(f).unwrap_or_default();
    let mut out = (body.len() as u32).to_be_bytes().to_vec();
    out.extend(digest(&body));
    out.extend(body);
    out
}

/// The first frame of `bytes` and what stands behind it; `None` where it is torn or damaged.
fn read(bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let (body, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    if digest(body) != sum {
        return None;
    }
    Some((serde_json::from_slice(body).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Happening;

    fn event(n: i64) -> Event {
        Event { at: Utc(n), imsi: None, what: Happening::Alarm { text: format!("no. {n}") } }
    }

    #[test]
    fn what_was_kept_is_there_after_a_crash_and_a_torn_frame_costs_itself_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(NAME);
        let mut s = Spool::open(&path, MOST).expect("opened");
        assert!(s.is_empty());
        s.push((1..=3).map(event).collect()).expect("kept");
        s.push(vec![event(4)]).expect("kept");
        let whole = fs::read(&path).expect("there");
        for cut in 1..30 {
            fs::write(&path, &whole[..whole.len() - cut]).expect("torn");
            let mut s = Spool::open(&path, MOST).expect("opened");
            assert_eq!(s.oldest(9), (None, (1..=3).map(event).collect()));
            s.push(vec![event(5)]).expect("kept");
            let s = Spool::open(&path, MOST).expect("opened");
            assert_eq!(s.len(), 4, "what is kept behind a torn frame is found");
        }
        let mut flipped = whole.clone();
        flipped[40] ^= 1;
        fs::write(&path, &flipped).expect("flipped");
        assert!(Spool::open(&path, MOST).expect("opened").is_empty(), "a flipped bit ends the reading");
    }

    #[test]
    fn a_full_spool_drops_the_oldest_and_counts_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(NAME);
        let mut s = Spool::open(&path, 4_000).expect("opened");
        for n in 1..=200 {
            s.push(vec![event(n)]).expect("kept");
            assert!(fs::metadata(&path).expect("there").len() <= 4_000);
        }
        let s2 = Spool::open(&path, 4_000).expect("opened");
        let (lost, kept) = s2.oldest(1000);
        let lost = lost.expect("some were lost");
        assert_eq!((lost.since, lost.until), (Utc(1), Utc(lost.count as i64)));
        assert_eq!(lost.count as usize + kept.len(), 200, "each is kept or counted");
        assert_eq!(kept.last(), Some(&event(200)), "the newest is kept");
        assert_eq!(s2.oldest(1000), s.oldest(1000));
    }

    #[test]
    fn what_the_database_took_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(NAME);
        let mut s = Spool::open(&path, MOST).expect("opened");
        s.push((1..=3).map(event).collect()).expect("kept");
        s.taken(2).expect("taken");
        assert_eq!(s.oldest(9).1, [event(3)]);
        s.taken(1).expect("taken");
        assert!(s.is_empty() && Spool::open(&path, MOST).expect("opened").is_empty());
        s.push(vec![event(4)]).expect("kept");
        assert_eq!(Spool::open(&path, MOST).expect("opened").oldest(9).1, [event(4)]);
    }
}
