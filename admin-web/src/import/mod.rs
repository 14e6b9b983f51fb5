//! Imports of SIMs from a file: read as it comes in, checked line by line, staged, switched.
//!
//! | file | what |
//! | --- | --- |
//! | `text` | octets to UTF-8, whichever encoding they are in |
//! | `csv`, `json` | octets to lines, whatever pieces the octets come in |
//! | `open5gs` | a subscriber of that database to a line |
//! | `columns` | the names of the columns |
//! | `line` | one line checked by itself, and against what the store has |
//! | `finding` | what is wrong with a line, in both languages |
//!
//! Keys are sealed as their line is read; the text that held them is wiped. They are in no finding, no diff and no
//! answer. The rows themselves wait in the store, which switches them on (see `store`'s imports).

mod columns;
mod csv;
pub(crate) mod finding;
mod json;
mod line;
mod open5gs;
mod text;

#[cfg(test)]
mod tests;

use columns::Column;
pub use finding::Finding;
use futures_util::{Stream, StreamExt as _};
use hss::Vault;
use line::{Facts, Seen, Verdict};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Display;
use store::{Change, ImportRow, JobRow, JobState, Store, StoreError};
use types::{Plmn, Utc};
use zeroize::Zeroizing;

/// Most lines of one file.
pub(crate) const LINES_MOST: u64 = 1_000_000;
/// Most octets of one line.
pub(crate) const LINE_MOST: usize = 64 * 1024;
/// Lines that are looked up in the store together.
const BATCH: usize = 500;
/// Lines between two words about the progress.
const SAY_EVERY: u64 = 5_000;
/// Weight of one piece, in new SIMs: what one transaction of the switch takes.
const PIECE: usize = 200;
/// Pieces staged in one transaction.
const STAGE: usize = 4;

/// What is to be done with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: say what would be.
    DryRun,
    /// All of it, or nothing where one line is wrong.
    AllOrNothing,
    /// The lines that are right.
    ValidRows,
}

impl Mode {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "dry-run",
            Self::AllOrNothing => "all-or-nothing",
            Self::ValidRows => "valid-rows",
        }
    }
}

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// An array of objects, or one object after the other.
    Json,
}

/// What the import is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to do.
    pub mode: Mode,
    /// How the file is written.
    pub format: Format,
    /// A K or OPc that differs from the one of a SIM that is there replaces it; else it is an error.
    pub replace_keys: bool,
    /// The network's own PLMN, where it is known: IMSIs of others are pointed out.
    pub plmn: Option<Plmn>,
}

/// One line of a file as it was read: which columns it has, and what stands there.
pub(crate) struct Raw {
    /// Number of its first line in the file, from 1.
    pub(crate) line: u64,
    pub(crate) cells: Vec<(Column, Zeroizing<String>)>,
}

/// What a reader makes of octets.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) rows: Vec<Raw>,
    pub(crate) findings: Vec<Finding>,
    /// The rest of the file cannot be understood.
    pub(crate) broken: bool,
}

enum Reader {
    Csv(csv::Csv),
    Json(json::Json),
}

/// Reads a file and does what `options` say, up to and with the switch. The job that is returned has ended, or is
/// committed: then [`Store::carry_on_import`] puts it in force.
///
/// # Errors
/// The store's own; what is wrong with the file is in the job.
pub async fn run<B: AsRef<[u8]>, E: Display>(
    store: &Store,
    vault: Vault,
    options: &Options,
    change: &Change,
    body: impl Stream<Item = Result<B, E>> + Unpin,
) -> Result<JobRow, StoreError> {
    let job = store.begin_import(change).await?;
    let facts = Facts::load(store, options.plmn).await?;
    let mut import = Import {
        store,
        vault,
        options,
        facts,
        job: job.id,
        at: change.at,
        seen: Seen::default(),
        rows: Vec::new(),
        piece: (Vec::new(), 0),
        pieces: Vec::new(),
        staged: 0,
        counts: Counts::default(),
        said: 0,
        errors: Vec::new(),
        diff: Vec::new(),
    };
    match import.read(body).await {
        Ok(digest) => import.end(digest, change).await,
        Err(e) => {
            // What was staged belongs to no job any more.
            let why = json!({ "error": "store", "mode": options.mode.as_str() });
            if store.end_job(job.id, JobState::Failed, why, change.at).await.is_ok() {
                drop(store.drop_staged(job.id).await);
            }
            Err(e)
        }
    }
}

#[derive(Default)]
struct Counts {
    rows: u64,
    new: u64,
    changed: u64,
    same: u64,
    errors: u64,
    /// What is right, but somebody should look at.
    warnings: u64,
    /// Lines that are in the part `rows`.
    diff: u64,
    /// Lines with at least one error.
    wrong: u64,
    /// The upload broke off.
    broken_off: bool,
    broken: bool,
}

struct Import<'a> {
    store: &'a Store,
    vault: Vault,
    options: &'a Options,
    facts: Facts,
    job: u64,
    at: Utc,
    seen: Seen,
    rows: Vec<Raw>,
    piece: (Vec<ImportRow>, usize),
    pieces: Vec<Vec<ImportRow>>,
    /// Pieces in the store.
    staged: u64,
    counts: Counts,
    /// Lines at the last word about the progress.
    said: u64,
    errors: Vec<Value>,
    diff: Vec<Value>,
}

impl Import<'_> {
    async fn read<B: AsRef<[u8]>, E: Display>(
        &mut self,
        mut body: impl Stream<Item = Result<B, E>> + Unpin,
    ) -> Result<String, StoreError> {
        let mut digest = Sha256::new();
        let mut reader = match self.options.format {
            Format::Csv => Reader::Csv(csv::Csv::default()),
            Format::Json => Reader::Json(json::Json::default()),
        };
        while let Some(octets) = body.next().await {
            let Ok(octets) = octets else {
                self.counts.broken_off = true;
                self.find(vec![Finding::new(self.counts.rows, "", "broken-off")]);
                return Ok(types::hex(&digest.finalize()));
            };
            digest.update(octets.as_ref());
            if self.counts.broken {
                continue;
            }
            let lines = match &mut reader {
                Reader::Csv(r) => r.push(octets.as_ref()),
                Reader::Json(r) => r.push(octets.as_ref()),
            };
            self.take(lines).await?;
        }
        if !self.counts.broken {
            let lines = match reader {
                Reader::Csv(r) => r.end(),
                Reader::Json(r) => r.end(),
            };
            self.take(lines).await?;
        }
        self.batch().await?;
        Ok(types::hex(&digest.finalize()))
    }

    async fn take(&mut self, lines: Lines) -> Result<(), StoreError> {
        self.counts.broken |= lines.broken;
        let wrong = lines.findings.iter().filter(|f| !f.is_warning()).count() as u64;
        self.counts.wrong += wrong;
        self.counts.rows += wrong;
        self.find(lines.findings);
        for row in lines.rows {
            self.counts.rows += 1;
            if self.counts.rows > LINES_MOST {
                if !self.counts.broken {
                    self.find(vec![Finding::new(row.line, "", "too-many-lines")]);
                }
                self.counts.broken = true;
                return Ok(());
            }
            self.rows.push(row);
            if self.rows.len() == BATCH {
                self.batch().await?;
            }
        }
        Ok(())
    }

    fn find(&mut self, findings: Vec<Finding>) {
        let warnings = findings.iter().filter(|f| f.is_warning()).count() as u64;
        self.counts.warnings += warnings;
        self.counts.errors += findings.len() as u64 - warnings;
        self.errors.extend(findings.iter().map(Finding::to_json));
    }

    /// True while what is right is staged: a dry run writes nothing, and all-or-nothing has nothing to write once a
    /// line is wrong.
    fn stages(&self) -> bool {
        match self.options.mode {
            Mode::DryRun => false,
            Mode::AllOrNothing => self.counts.errors == 0,
            Mode::ValidRows => true,
        }
    }

    /// Judges the lines that were read.
    async fn batch(&mut self) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.rows);
        let mut parsed = Vec::with_capacity(rows.len());
        for raw in rows {
            let read = line::parse(&raw, &self.facts, &mut self.seen);
            let warnings = std::mem::take(&mut self.seen.warnings);
            self.find(warnings);
            match read {
                Ok(l) => parsed.push(l),
                Err(found) => {
                    self.counts.wrong += 1;
                    self.find(found);
                }
            }
        }
        let there = line::look_up(self.store, &self.vault, &parsed).await?;
        for l in parsed {
            let (n, imsi) = (l.line, l.imsi);
            let stages = self.stages();
            match l.judge(&there, &self.facts, &mut self.vault, self.options.replace_keys, stages, self.at) {
                Verdict::Wrong(found) => {
                    self.counts.wrong += 1;
                    self.find(found);
                }
                Verdict::Same => self.counts.same += 1,
                Verdict::New(row) => {
                    self.counts.new += 1;
                    self.diff.push(json!({ "line": n, "imsi": imsi, "diff": "new" }));
                    self.stage(row.map(ImportRow::New)).await?;
                }
                Verdict::Changed(edit, fields) => {
                    self.counts.changed += 1;
                    self.diff.push(json!({ "line": n, "imsi": imsi, "diff": "changed", "fields": fields }));
                    self.stage(Some(ImportRow::Changed(edit))).await?;
                }
            }
        }
        if self.counts.rows - self.said >= SAY_EVERY {
            self.say().await?;
        }
        Ok(())
    }

    async fn stage(&mut self, row: Option<ImportRow>) -> Result<(), StoreError> {
        let (Some(row), true) = (row, self.stages()) else { return Ok(()) };
        self.piece.1 += row.weight();
        self.piece.0.push(row);
        if self.piece.1 >= PIECE {
            self.pieces.push(std::mem::take(&mut self.piece).0);
        }
        if self.pieces.len() >= STAGE {
            self.write_pieces().await?;
        }
        Ok(())
    }

    async fn write_pieces(&mut self) -> Result<(), StoreError> {
        let pieces = std::mem::take(&mut self.pieces);
        let n = pieces.len() as u64;
        self.store.stage_import(self.job, self.staged, pieces).await?;
        self.staged += n;
        Ok(())
    }

    /// Writes the progress, and what was found since the last time.
    async fn say(&mut self) -> Result<(), StoreError> {
        self.said = self.counts.rows;
        let (errors, diff) = (std::mem::take(&mut self.errors), std::mem::take(&mut self.diff));
        let first = self.counts.errors + self.counts.warnings - errors.len() as u64;
        let at = self.counts.diff;
        self.counts.diff += diff.len() as u64;
        let (found, differs) = (!errors.is_empty(), !diff.is_empty());
        if found {
            self.store.add_job_items(self.job, "errors", first, errors).await?;
        }
        if differs {
            self.store.add_job_items(self.job, "rows", at, diff).await?;
        }
        self.store.job_progress(self.job, "reading", self.counts.rows, None).await
    }

    async fn end(mut self, sha256: String, change: &Change) -> Result<JobRow, StoreError> {
        self.say().await?;
        let c = &self.counts;
        let mut result = json!({
            "mode": self.options.mode.as_str(), "rows": c.rows, "new": c.new, "changed": c.changed,
            "same": c.same, "wrong": c.wrong, "errors": c.errors, "warnings": c.warnings,
            "sha256": sha256,
        });
        let unreadable = c.broken || c.broken_off;
        let writes = self.stages() && !unreadable && c.new + c.changed > 0;
        if writes {
            if !self.piece.0.is_empty() {
                self.pieces.push(std::mem::take(&mut self.piece).0);
            }
            if !self.pieces.is_empty() {
                self.write_pieces().await?;
            }
            let total = self.counts.new + self.counts.changed;
            while !self.store.commit_import(self.job, total, result.clone(), change).await? {
                // Another import is between its commit and its end; there is no event for that, it takes seconds.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            return self.store.job(self.job).await;
        }
        let refused = self.options.mode == Mode::AllOrNothing && self.counts.errors > 0;
        let state = if refused || unreadable { JobState::Failed } else { JobState::Done };
        if state == JobState::Failed {
            result["error"] = json!("lines");
        }
        let row = self.store.end_job(self.job, state, result, self.at).await?;
        self.store.drop_staged(self.job).await?;
        Ok(row)
    }
}
