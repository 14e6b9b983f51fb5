//! Copies of the journal off this machine: a directory on another disk or mount, or an HTTPS sink.
//!
//! One thread for each copy. It reads the journal's own file up to the last acknowledged record, gives the records
//! on and waits for more; nothing on a cut's way waits for it. A copy that cannot be reached is tried again; a copy
//! that knows more than the journal, or something else, closes the path: bans may be missing here. The sink's protocol
//! is in `docs/journal-copies.md`.

mod directory;
mod sink;

use super::record::{RECORD, Raw, hash_of};
use super::{Journal, JournalError};
use crate::link::{CopyStatus, JournalHead};
use directory::Directory;
pub use directory::FILE;
use serde::{Deserialize, Serialize};
use sink::Sink;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Records given on at once.
const AT_ONCE: u64 = 1024;
/// How long a copy in a directory may take to be looked at before the path opens: a mount that hangs must not keep a
/// restart from coming up. Its thread goes on looking.
const LOOK: Duration = Duration::from_secs(5);
/// Pause after a failure, doubled up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Where a copy is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyConfig {
    /// A directory that is there already, on another disk or mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// An HTTPS sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// File with the sink's bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Certificate (PEM) that the sink is trusted by; without it the usual authorities are not asked, either: none is
    /// built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl CopyConfig {
    /// Its name in receipts, status and logs.
    pub fn place(&self) -> String {
        match (&self.directory, &self.url) {
            (Some(d), _) => d.display().to_string(),
            (None, url) => url.clone().unwrap_or_default(),
        }
    }

    /// What is wrong with it, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        match (&self.directory, &self.url) {
            (Some(_), None) if self.token_file.is_some() || self.ca_file.is_some() => {
                Some("token_file and ca_file belong to url")
            }
            (Some(d), None) if !d.is_absolute() => Some("write the directory as an absolute path"),
            (Some(_), None) => None,
            (None, Some(url)) => sink::fault(url, self.ca_file.is_some()),
            _ => Some("a copy has either directory or url"),
        }
    }

    fn open(&self, header: Raw) -> Result<Box<dyn Target>, Trouble> {
        match (&self.directory, &self.url) {
            (Some(d), _) => Ok(Box::new(Directory::open(d, header)?)),
            (None, Some(url)) => {
                Ok(Box::new(Sink::open(url, self.token_file.as_deref(), self.ca_file.as_deref(), header)?))
            }
            (None, None) => Err(Trouble::Behind("it has neither directory nor url".to_owned())),
        }
    }
}

/// Why a copy did not take or tell something.
#[derive(Debug)]
enum Trouble {
    /// For now; it is tried again.
    Behind(String),
    /// It is of another journal, or knows more than ours.
    Differs(String),
}

impl From<io::Error> for Trouble {
    fn from(e: io::Error) -> Self {
        Self::Behind(e.to_string())
    }
}

/// A place that keeps records.
trait Target: Send {
    /// The last record that it has.
    fn head(&mut self) -> Result<JournalHead, Trouble>;
    /// Puts whole records behind those that it has, the first with this number; they are safe there when this returns.
    fn append(&mut self, first: u64, records: &[u8]) -> Result<JournalHead, Trouble>;
}

/// The journal's file, for reading beside its writer.
#[derive(Debug)]
struct Source(File);

impl Source {
    fn record(&self, n: u64) -> io::Result<Raw> {
        let mut raw = [0; RECORD];
        self.0.read_exact_at(&mut raw, n * RECORD as u64)?;
        Ok(raw)
    }

    fn records(&self, first: u64, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count as usize * RECORD];
        self.0.read_exact_at(&mut bytes, first * RECORD as u64)?;
        Ok(bytes)
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// The last acknowledged record; whoever waits is woken when it moves.
    head: Mutex<JournalHead>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    head: Option<JournalHead>,
    error: Option<String>,
    differs: Option<String>,
    /// Something of it has not been told yet.
    news: bool,
}

/// What became of a copy since it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyNews {
    /// It has everything.
    Done {
        /// Which.
        place: String,
        /// Its head.
        head: JournalHead,
    },
    /// It fails, or works again.
    Changed(CopyStatus),
    /// It knows more than the journal, or something else.
    Differs {
        /// Which.
        place: String,
        /// How.
        how: String,
    },
}

#[derive(Debug)]
struct Copy {
    place: String,
    progress: Arc<Mutex<Progress>>,
    told_error: Option<String>,
    told_head: Option<JournalHead>,
}

/// All copies.
#[derive(Debug, Default)]
pub struct Copies {
    shared: Arc<Shared>,
    copies: Vec<Copy>,
}

/// A poisoned lock means that a thread of a copy panicked; what it guards is whole all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks at the copies in directories before the path opens.
///
/// # Errors
/// [`JournalError::Copy`] where one of them knows more than the journal, or something else. One that cannot be read is
/// no error: its thread tells of it.
pub fn check(journal: &mut Journal, configs: &[CopyConfig]) -> Result<(), JournalError> {
    let header = journal.header()?;
    for config in configs.iter().filter(|c| c.directory.is_some()) {
        let (tx, rx) = mpsc::channel();
        let looked = config.clone();
        thread::spawn(move || drop(tx.send(looked.open(header).and_then(|mut target| target.head()))));
        let place = config.place();
        match rx.recv_timeout(LOOK) {
            Ok(Ok(head)) if journal.has(&head)? => {}
            Ok(Ok(head)) => return Err(JournalError::Copy { place, how: not_ours(&head, &journal.head()) }),
            Ok(Err(Trouble::Differs(how))) => return Err(JournalError::Copy { place, how }),
            Ok(Err(Trouble::Behind(_))) | Err(_) => {}
        }
    }
    Ok(())
}

fn not_ours(copy: &JournalHead, ours: &JournalHead) -> String {
    let (theirs, own) = (copy.records, ours.records);
    if theirs > own {
        format!("has {theirs} records, the journal has {own}")
    } else {
        format!("has another record {theirs} than the journal")
    }
}

impl Copies {
    /// Starts a thread for each; `wake` is called when one of them has news.
    ///
    /// # Errors
    /// Where the journal's file or a thread cannot be had.
    pub fn start(
        journal: &Journal,
        configs: &[CopyConfig],
        wake: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { head: Mutex::new(journal.head()), moved: Condvar::new() });
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let mut copies = Vec::with_capacity(configs.len());
        for (n, config) in configs.iter().enumerate() {
            let progress = Arc::new(Mutex::new(Progress::default()));
            let follower = Follower {
                source: Source(journal.reader()?),
                config: config.clone(),
                shared: Arc::clone(&shared),
                progress: Arc::clone(&progress),
                wake: Arc::clone(&wake),
            };
            thread::Builder::new().name(format!("copy-{n}")).spawn(move || follower.run())?;
            copies.push(Copy { place: config.place(), progress, told_error: None, told_head: None });
        }
        Ok(Self { shared, copies })
    }

    /// The journal's head has moved.
    pub fn moved(&self, head: JournalHead) {
        let mut known = lock(&self.shared.head);
        if *known != head {
            *known = head;
            self.shared.moved.notify_all();
        }
    }

    /// How they stand.
    pub fn status(&self) -> Vec<CopyStatus> {
        self.copies
            .iter()
            .map(|c| {
                let p = lock(&c.progress);
                let error = p.differs.clone().or(p.error.clone());
                CopyStatus { place: c.place.clone(), head: p.head, error }
            })
            .collect()
    }

    /// True if all of them have this record, or if there is none.
    pub fn all_have(&self, record: u64) -> bool {
        self.copies.iter().all(|c| lock(&c.progress).head.is_some_and(|h| h.records >= record))
    }

    /// True if there is news.
    pub fn have_news(&self) -> bool {
        self.copies.iter().any(|c| lock(&c.progress).news)
    }

    /// What became of them since this was last asked.
    pub fn news(&mut self) -> Vec<CopyNews> {
        let ours = *lock(&self.shared.head);
        let mut news = Vec::new();
        for c in &mut self.copies {
            let mut p = lock(&c.progress);
            if !std::mem::take(&mut p.news) {
                continue;
            }
            let place = c.place.clone();
            if let Some(how) = &p.differs {
                news.push(CopyNews::Differs { place: place.clone(), how: how.clone() });
            }
            if p.error != c.told_error {
                c.told_error.clone_from(&p.error);
                let error = p.error.clone();
                news.push(CopyNews::Changed(CopyStatus { place: place.clone(), head: p.head, error }));
            }
            if let Some(head) = p.head.filter(|h| *h == ours && c.told_head != Some(*h)) {
                c.told_head = Some(head);
                news.push(CopyNews::Done { place, head });
            }
        }
        news
    }
}

/// A copy's thread.
struct Follower {
    source: Source,
    config: CopyConfig,
    shared: Arc<Shared>,
    progress: Arc<Mutex<Progress>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Follower {
    fn run(self) {
        let mut pause = PAUSE;
        loop {
            match self.follow(&mut pause) {
                Trouble::Behind(why) => {
                    self.tell(|p| p.error = Some(why));
                    thread::sleep(pause);
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                Trouble::Differs(how) => return self.tell(|p| p.differs = Some(how)),
            }
        }
    }

    /// Gives records on until something is wrong.
    fn follow(&self, pause: &mut Duration) -> Trouble {
        match self.try_follow(pause) {
            Ok(never) => match never {},
            Err(trouble) => trouble,
        }
    }

    fn try_follow(&self, pause: &mut Duration) -> Result<std::convert::Infallible, Trouble> {
        let mut target = self.config.open(self.source.record(0)?)?;
        let mut have = target.head()?;
        let ours = *lock(&self.shared.head);
        let chains = have.records == 0
            || have.records <= ours.records && hash_of(&self.source.record(have.records)?) == have.hash;
        if !chains {
            return Err(Trouble::Differs(not_ours(&have, &ours)));
        }
        loop {
            self.tell(|p| (p.head, p.error) = (Some(have), None));
            *pause = PAUSE;
            let ours = self.wait_for_more(&have);
            let count = (ours.records - have.records).min(AT_ONCE);
            let records = self.source.records(have.records + 1, count)?;
            crash::point("copy.before-append");
            let head = target.append(have.records + 1, &records)?;
            crash::point("copy.appended");
            let last = have.records + count;
            if head.records != last || head.hash != hash_of(&self.source.record(last)?) {
                return Err(Trouble::Behind(format!(
                    "it says that it has record {}, and that is not ours",
                    head.records
                )));
            }
            have = head;
        }
    }

    fn wait_for_more(&self, have: &JournalHead) -> JournalHead {
        let mut head = lock(&self.shared.head);
        while head.records <= have.records {
            head = self.shared.moved.wait(head).unwrap_or_else(PoisonError::into_inner);
        }
        *head
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        let mut p = lock(&self.progress);
        change(&mut p);
        p.news = true;
        drop(p);
        (self.wake)();
    }
}

#[cfg(test)]
mod tests;
