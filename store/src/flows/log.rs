//! The row of segments: the newest takes records, the others only answer.

use super::{
    FlowLogConfig, FlowPlace, FlowQuery, FlowStats, Piece, io,
    segment::{Segment, matches},
};
use crate::{Page, StoreError};
use types::{FlowRecord, Utc};

/// Records looked at for one page; a question that finds too little in this many goes on by its cursor.
const LOOKS: usize = 2_000_000;

pub(super) struct Log {
    config: FlowLogConfig,
    /// Oldest first; the last one takes records while `open`.
    segments: Vec<Segment>,
    open: bool,
    lost: u64,
}

impl Log {
    pub(super) fn open(config: FlowLogConfig) -> Result<Self, StoreError> {
        std::fs::create_dir_all(&config.dir).map_err(io(&config.dir))?;
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(&config.dir).map_err(io(&config.dir))? {
            let path = entry.map_err(io(&config.dir))?.path();
            let Some((number, opened)) = named(&path) else { continue };
            segments.push(Segment::open(path, number, opened)?);
        }
        segments.sort_by_key(|s| s.number);
        Ok(Self { config, segments, open: false, lost: 0 })
    }

    pub(super) fn append(&mut self, records: &[FlowRecord], now: Utc) -> Result<(), StoreError> {
        let done = self.current(now).and_then(|s| s.append(records));
        if done.is_err() {
            self.lost += records.len() as u64;
        }
        done
    }

    /// The segment that takes records now.
    fn current(&mut self, now: Utc) -> Result<&mut Segment, StoreError> {
        let full = match self.segments.last() {
            Some(s) if self.open => {
                // A clock that stepped back ends a segment too.
                s.bytes >= self.config.max_segment
                    || now.0 >= s.opened.0 + self.config.slice_ms
                    || now.0 + self.config.slice_ms < s.opened.0
            }
            _ => true,
        };
        if full {
            if let (Some(s), true) = (self.segments.last_mut(), self.open) {
                s.finish()?;
                self.open = false;
            }
            let number = self.segments.last().map_or(1, |s| s.number + 1);
            self.segments.push(Segment::create(&self.config.dir, number, now)?);
            self.open = true;
        }
        self.segments.last_mut().ok_or(StoreError::Damaged { what: "flow log" })
    }

    pub(super) fn query(
        &self,
        q: &FlowQuery,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<FlowRecord>, StoreError> {
        let start = match cursor {
            Some(c) => Some(place(c).ok_or(StoreError::NotFound)?),
            None => None,
        };
        let mut items = Vec::new();
        let mut looks = 0;
        for s in self.segments.iter().rev() {
            if start.is_some_and(|(number, _)| s.number > number) {
                continue;
            }
            for at in s.index.candidates(q).iter().rev() {
                if start.is_some_and(|(number, before)| s.number == number && *at >= before) {
                    continue;
                }
                looks += 1;
                let Some(r) = s.read(*at).filter(|r| matches(r, q)) else {
                    if looks >= LOOKS {
                        return Ok(Page { items, next: Some(format!("{}-{at}", s.number)) });
                    }
                    continue;
                };
                items.push(r);
                if items.len() >= limit as usize {
                    // There may be no more; then the next page is empty and has no cursor.
                    return Ok(Page { items, next: Some(format!("{}-{at}", s.number)) });
                }
            }
        }
        Ok(Page { items, next: None })
    }

    /// Where the next piece of what began before `to` and ended at or after `from` stands: behind `after`, oldest first.
    pub(super) fn piece(&self, after: FlowPlace, from: Utc, to: Utc) -> Option<Piece> {
        let within = |s: &&Segment| s.index.count() > 0 && s.index.last >= from.0 && s.index.first < to.0;
        let all: Vec<&Segment> = self.segments.iter().filter(within).collect();
        let begin = |s: &Segment| if s.number == after.segment { after.octet.min(s.bytes) } else { 0 };
        let behind = |s: &&&Segment| s.number >= after.segment && begin(s) < s.bytes;
        let here = all.iter().find(behind)?;
        let total = all.iter().map(|s| s.bytes).sum();
        let before: u64 = all.iter().filter(|s| s.number < here.number).map(|s| s.bytes).sum();
        let octet = begin(here);
        Some(Piece {
            path: here.path.clone(),
            place: FlowPlace { segment: here.number, octet },
            end: here.bytes,
            before: before + octet,
            total,
        })
    }

    pub(super) fn expire(&mut self, now: Utc) -> Result<u64, StoreError> {
        let mut gone = 0;
        while let Some(oldest) = self.segments.first() {
            let only = self.segments.len() == 1 && self.open;
            let old = self.config.keep_ms.is_some_and(|keep| oldest.index.last < now.0 - keep);
            let total: u64 = self.segments.iter().map(|s| s.bytes).sum();
            let much = self.config.keep_bytes.is_some_and(|keep| total > keep);
            if only || !(old || much) {
                break;
            }
            self.segments.remove(0).delete()?;
            gone += 1;
        }
        Ok(gone)
    }

    pub(super) fn stats(&self) -> FlowStats {
        FlowStats {
            records: self.segments.iter().map(|s| s.index.count()).sum(),
            bytes: self.segments.iter().map(|s| s.bytes).sum(),
            segments: self.segments.len() as u64,
            lost: self.lost,
        }
    }
}

/// Number and opening time from a segment's file name.
fn named(path: &std::path::Path) -> Option<(u64, Utc)> {
    if path.extension()? != "flows" {
        return None;
    }
    let (number, opened) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((number.parse().ok()?, Utc(opened.parse().ok()?)))
}

fn place(cursor: &str) -> Option<(u64, u32)> {
    let (number, at) = cursor.split_once('-')?;
    Some((number.parse().ok()?, at.parse().ok()?))
}
