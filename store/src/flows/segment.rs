//! One segment: frames on disk, and the index that finds them.
//!
//! ```text
//! frame:  u32 length (little endian) | u32 check | `length` octets of postcard(FlowRecord)
//! ```

use super::{FlowQuery, io};
use crate::StoreError;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use types::{FlowRecord, Utc};

/// Octets before a record.
const HEAD: usize = 8;
/// A record is far smaller; a length above this is not one.
const MAX_RECORD: usize = 4096;

/// What is known of a segment's records.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Index {
    /// Earliest start of a record.
    pub(super) first: i64,
    /// Latest end of a record.
    pub(super) last: i64,
    /// Where each record begins, in the order of writing.
    all: Vec<u32>,
    /// The same by digest of SIM, address and app.
    by: BTreeMap<u64, Vec<u32>>,
}

/// A segment and its file.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) opened: Utc,
    pub(super) path: PathBuf,
    file: File,
    pub(super) bytes: u64,
    pub(super) index: Index,
}

impl Index {
    pub(super) fn count(&self) -> u64 {
        self.all.len() as u64
    }

    fn add(&mut self, at: u32, r: &FlowRecord) {
        if self.all.is_empty() {
            (self.first, self.last) = (r.start.0, r.end.0);
        }
        self.first = self.first.min(r.start.0);
        self.last = self.last.max(r.end.0);
        self.all.push(at);
        let app = r.app.as_ref().map(|a| key('p', a));
        for k in [Some(key('i', &r.imsi)), Some(key('a', &r.ue)), Some(key('a', &r.peer)), app]
            .into_iter()
            .flatten()
        {
            let places = self.by.entry(k).or_default();
            if places.last() != Some(&at) {
                places.push(at);
            }
        }
    }

    /// Places that may match, oldest first: the shortest list that a condition gives.
    pub(super) fn candidates(&self, q: &FlowQuery) -> &[u32] {
        if self.all.is_empty()
            || q.from.is_some_and(|t| self.last < t.0)
            || q.to.is_some_and(|t| self.first >= t.0)
        {
            return &[];
        }
        let keys = [
            q.imsi.as_ref().map(|v| key('i', v)),
            q.address.as_ref().map(|v| key('a', v)),
            q.app.as_ref().map(|v| key('p', v)),
        ];
        let lists = keys.into_iter().flatten().map(|k| self.by.get(&k).map_or(&[][..], Vec::as_slice));
        lists.min_by_key(|l| l.len()).unwrap_or(&self.all)
    }
}

/// FNV-1a of a value's canonical text. A collision costs one record read in vain.
fn key(kind: char, v: &impl ToString) -> u64 {
    fnv(format!("{kind}{}", v.to_string()).as_bytes())
}

fn fnv(b: &[u8]) -> u64 {
    b.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Told from chance by 32 bits: it guards against torn writes, not against people.
fn check(body: &[u8]) -> u32 {
    let h = fnv(body);
    (h ^ (h >> 32)) as u32
}

/// True where a record answers a question.
pub(super) fn matches(r: &FlowRecord, q: &FlowQuery) -> bool {
    q.imsi.is_none_or(|v| r.imsi == v)
        && q.address.is_none_or(|v| r.ue == v || r.peer == v)
        && q.app.as_ref().is_none_or(|v| r.app.as_ref() == Some(v))
        && q.sims.as_ref().is_none_or(|s| s.contains(&r.imsi))
        && q.verdict.is_none_or(|v| r.verdict == v)
        && q.from.is_none_or(|t| r.end >= t)
        && q.to.is_none_or(|t| r.start < t)
}

impl Segment {
    /// A new segment.
    pub(super) fn create(dir: &Path, number: u64, now: Utc) -> Result<Self, StoreError> {
        let path = dir.join(format!("{number:012}-{}.flows", now.0));
        let file = options().create_new(true).open(&path).map_err(io(&path))?;
        Ok(Self { number, opened: now, path, file, bytes: 0, index: Index::default() })
    }

    /// A segment that is there. Its index is read where it is whole, else made by reading the records; a torn
    /// end is cut off.
    pub(super) fn open(path: PathBuf, number: u64, opened: Utc) -> Result<Self, StoreError> {
        let file = options().open(&path).map_err(io(&path))?;
        let length = file.metadata().map_err(io(&path))?.len();
        let mut s = Self { number, opened, path, file, bytes: length, index: Index::default() };
        if let Some(index) = s.read_index() {
            s.index = index;
            return Ok(s);
        }
        s.bytes = s.scan()?;
        if s.bytes < length {
            tracing::warn!(
                octets = length - s.bytes,
                "{}: {} octets of a torn record were cut off",
                s.path.display(),
                length - s.bytes
            );
            s.file.set_len(s.bytes).map_err(io(&s.path))?;
        }
        Ok(s)
    }

    fn index_path(&self) -> PathBuf {
        self.path.with_extension("index")
    }

    fn read_index(&self) -> Option<Index> {
        let b = std::fs::read(self.index_path()).ok()?;
        let (length, index): (u64, Index) = postcard::from_bytes(&b).ok()?;
        (length == self.bytes).then_some(index)
    }

    fn scan(&mut self) -> Result<u64, StoreError> {
        let mut all = Vec::new();
        (&self.file).read_to_end(&mut all).map_err(io(&self.path))?;
        let mut rest = all.as_slice();
        let mut at = 0u32;
        while let Some((r, used)) = frame(rest) {
            self.index.add(at, &r);
            rest = rest.get(used..).unwrap_or_default();
            at += used as u32;
        }
        Ok(u64::from(at))
    }

    /// Appends records in one write.
    pub(super) fn append(&mut self, records: &[FlowRecord]) -> Result<(), StoreError> {
        let mut out = Vec::with_capacity(records.len() * 96);
        let mut places = Vec::with_capacity(records.len());
        for r in records {
            places.push((self.bytes + out.len() as u64) as u32);
            let body = postcard::to_stdvec(r).map_err(|_| StoreError::Damaged { what: "flow record" })?;
            out.extend_from_slice(&(body.len() as u32).to_le_bytes());
            out.extend_from_slice(&check(&body).to_le_bytes());
            out.extend_from_slice(&body);
        }
        if let Err(e) = (&self.file).write_all(&out) {
            // What was written of it must not stand before the next record.
            let _ = self.file.set_len(self.bytes);
            return Err(io(&self.path)(e));
        }
        self.bytes += out.len() as u64;
        for (at, r) in places.into_iter().zip(records) {
            self.index.add(at, r);
        }
        Ok(())
    }

    /// The record at a place of the index.
    pub(super) fn read(&self, at: u32) -> Option<FlowRecord> {
        let mut b = [0u8; 512];
        let n = self.file.read_at(&mut b, u64::from(at)).ok()?;
        if let Some((r, _)) = frame(b.get(..n)?) {
            return Some(r);
        }
        let mut b = vec![0u8; HEAD + MAX_RECORD];
        let n = self.file.read_at(&mut b, u64::from(at)).ok()?;
        frame(b.get(..n)?).map(|(r, _)| r)
    }

    /// Ends the segment: records synced, index written beside them.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(io(&self.path))?;
        let path = self.index_path();
        let b = postcard::to_stdvec(&(self.bytes, &self.index))
            .map_err(|_| StoreError::Damaged { what: "index" })?;
        std::fs::write(&path, b).map_err(io(&path))
    }

    pub(super) fn delete(self) -> Result<(), StoreError> {
        let _ = std::fs::remove_file(self.index_path());
        std::fs::remove_file(&self.path).map_err(io(&self.path))
    }
}

fn options() -> OpenOptions {
    let mut o = OpenOptions::new();
    o.read(true).append(true).mode(0o600);
    o
}

/// The whole frames that stand one behind the other in a file from `octet` on, and how many octets they are.
pub(super) fn frames(path: &Path, octet: u64, most: usize) -> Result<(Vec<FlowRecord>, u64), StoreError> {
    let file = File::open(path).map_err(io(path))?;
    let mut octets = vec![0; most];
    let mut there = 0;
    while let Some(rest) = octets.get_mut(there..).filter(|r| !r.is_empty()) {
        match file.read_at(rest, octet + there as u64).map_err(io(path))? {
            0 => break,
            n => there += n,
        }
    }
    let mut rest = octets.get(..there).unwrap_or_default();
    let (mut all, mut used) = (Vec::new(), 0);
    while let Some((record, length)) = frame(rest) {
        all.push(record);
        used += length as u64;
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok((all, used))
}

/// The first whole frame of `b` and its length.
fn frame(b: &[u8]) -> Option<(FlowRecord, usize)> {
    let (length, rest) = b.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > MAX_RECORD {
        return None;
    }
    let body = rest.get(..length)?;
    if check(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    Some((record(body)?, HEAD + length))
}

/// Records that were written before flows had names end where the name stands: with none.
fn record(body: &[u8]) -> Option<FlowRecord> {
    postcard::from_bytes(body).or_else(|_| postcard::from_bytes(&[body, &[0]].concat())).ok()
}
