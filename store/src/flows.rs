//! Flow records in append-only segment files (decision D16): who reached what, when, by which rule.
//!
//! A segment holds a slice of time. Records are framed (length, check, postcard) and only ever appended; a frame
//! that was torn by a crash ends its segment. Beside a finished segment stands an index: for each SIM, address
//! and app the places of its records, so that a question about one SIM reads only that SIM's records. Retention
//! deletes whole files, oldest first.
//!
//! Records are written when they come and are not synced one by one: a power cut may lose the last seconds, and
//! what could not be written is counted in [`FlowStats::lost`].

mod log;
mod segment;

use crate::StoreError;
use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use types::{FlowRecord, Imsi, Name, Utc, Verdict};

/// Where and how long flow records are kept.
#[derive(Debug, Clone)]
pub struct FlowLogConfig {
    /// Directory of the segments; made if it is not there.
    pub dir: PathBuf,
    /// A segment ends after this many milliseconds.
    pub slice_ms: i64,
    /// A segment ends at this many octets.
    pub max_segment: u64,
    /// Segments whose last record is older than this many milliseconds are deleted; `None` keeps them.
    pub keep_ms: Option<i64>,
    /// The oldest segments are deleted while all together are larger than this many octets; `None` keeps them.
    pub keep_bytes: Option<u64>,
}

impl FlowLogConfig {
    /// Ten minutes or 64 MiB a segment, 90 days, 20 GiB.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            slice_ms: 600_000,
            max_segment: 64 << 20,
            keep_ms: Some(90 * 86_400_000),
            keep_bytes: Some(20 << 30),
        }
    }
}

/// Which flow records; all conditions hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowQuery {
    /// Of this SIM.
    pub imsi: Option<Imsi>,
    /// Of one of these SIMs.
    pub sims: Option<Arc<std::collections::BTreeSet<Imsi>>>,
    /// With this address at either end.
    pub address: Option<IpAddr>,
    /// With this app.
    pub app: Option<Name>,
    /// With this verdict.
    pub verdict: Option<Verdict>,
    /// Ended at or after this time.
    pub from: Option<Utc>,
    /// Began before this time.
    pub to: Option<Utc>,
}

/// Counters of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowStats {
    /// Records that are kept.
    pub records: u64,
    /// Octets on disk.
    pub bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Records that could not be written since the start.
    pub lost: u64,
}

/// A place in the log, behind records that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowPlace {
    /// Number of the segment.
    pub segment: u64,
    /// Octet in it.
    pub octet: u64,
}

/// Records that stand one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowPiece {
    /// Oldest first, as they were written.
    pub records: Vec<FlowRecord>,
    /// Where to go on; `None` at the end.
    pub next: Option<FlowPlace>,
    /// Octets of the log that lie behind.
    pub done: u64,
    /// Octets of the log that there are to be read.
    pub total: u64,
}

/// Where a piece stands.
struct Piece {
    path: PathBuf,
    place: FlowPlace,
    /// End of the segment.
    end: u64,
    /// Octets of all segments before it.
    before: u64,
    total: u64,
}

/// Octets of one piece.
const PIECE: usize = 4 << 20;

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct FlowLog(Arc<Mutex<log::Log>>);

impl FlowLog {
    /// Opens the directory; a torn end of the last segment is cut off.
    pub async fn open(config: FlowLogConfig) -> Result<Self, StoreError> {
        let log = blocking(move || log::Log::open(config)).await?;
        Ok(Self(Arc::new(Mutex::new(log))))
    }

    /// Appends records. On an error they are counted as lost.
    pub async fn append(&self, records: Vec<FlowRecord>, now: Utc) -> Result<(), StoreError> {
        self.with(move |log| log.append(&records, now)).await
    }

    /// Records that match, newest first, at most `limit`; `cursor` is [`crate::Page::next`] of the page before.
    pub async fn query(
        &self,
        query: FlowQuery,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<crate::Page<FlowRecord>, StoreError> {
        self.with(move |log| log.query(&query, cursor.as_deref(), limit)).await
    }

    /// The next records that began before `to` and ended at or after `from`, behind `after`: all of them one after the
    /// other, for who reads the whole. Writers wait only while the place is found.
    pub async fn read_on(&self, after: FlowPlace, from: Utc, to: Utc) -> Result<FlowPiece, StoreError> {
        let Some(piece) = self.with(move |log| Ok(log.piece(after, from, to))).await? else {
            return Ok(FlowPiece::default());
        };
        blocking(move || {
            let Piece { path, place, end, before, total } = piece;
            let (mut records, used) = segment::frames(&path, place.octet, PIECE)?;
            records.retain(|r| r.start < to && r.end >= from);
            // What cannot be read on is damaged: the next segment follows.
            let octet = if used == 0 { end } else { place.octet + used };
            let next = Some(FlowPlace { segment: place.segment, octet });
            Ok(FlowPiece { records, next, done: before + (octet - place.octet), total })
        })
        .await
    }

    /// Deletes what is older or more than what is to be kept; how many segments.
    pub async fn expire(&self, now: Utc) -> Result<u64, StoreError> {
        self.with(move |log| log.expire(now)).await
    }

    /// Counters.
    pub async fn stats(&self) -> Result<FlowStats, StoreError> {
        self.with(|log| Ok(log.stats())).await
    }

    async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut log::Log) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let log = Arc::clone(&self.0);
        // A thread that panicked inside has left at most an unindexed record behind, so its lock is taken over.
        blocking(move || work(&mut log.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

impl std::fmt::Debug for FlowLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlowLog")
    }
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, StoreError> + Send + 'static,
) -> Result<R, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(r) => r,
        Err(_) => Err(StoreError::Unavailable("the flow log's thread ended".to_owned())),
    }
}

/// An error of a file, with its name.
fn io(what: &std::path::Path) -> impl Fn(std::io::Error) -> StoreError + '_ {
    move |e| match e.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full,
        kind => StoreError::Unavailable(format!("{}: {kind}", what.display())),
    }
}
