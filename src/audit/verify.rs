//! The whole audit, from a database or an export, against everything that was signed.

use super::file;
use crate::signing::{self, Purpose};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
};
use store::{AuditChain, AuditCheckpoint, AuditFault, AuditReport, AuditRow, AuditVerdict, Store};

/// Everything that is known to have been signed.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Checkpoints with a right signature of a key that is trusted.
    pub right: Vec<AuditCheckpoint>,
    /// Numbers of checkpoints whose signature is wrong.
    pub wrong: Vec<u64>,
    /// How many are signed by a key that is not trusted.
    pub strange: u64,
    /// Lines of the file that are no checkpoints.
    pub unreadable: u64,
}

impl Known {
    /// From the table and from a file.
    pub async fn gather(store: &Store, file: &Path, keys: &[String]) -> Result<Self> {
        let mut known = Self::default();
        known.add_all(store.audit_checkpoints().await?, keys);
        known.add_file(file, keys)?;
        Ok(known)
    }

    /// Adds what a file of checkpoints holds.
    pub fn add_file(&mut self, file: &Path, keys: &[String]) -> Result<()> {
        let lines = file::read(file)?;
        self.unreadable += lines.unreadable;
        self.add_all(lines.checkpoints, keys);
        Ok(())
    }

    /// Adds checkpoints after a look at their signatures.
    pub fn add_all(&mut self, all: Vec<AuditCheckpoint>, keys: &[String]) {
        for c in all {
            if self.right.contains(&c) {
                continue;
            }
            let text = AuditCheckpoint::text(c.seq, &c.hash, c.at);
            if !keys.contains(&c.public_key) {
                self.strange += 1;
            } else if signing::verify(&c.public_key, Purpose::Audit, &text, &c.signature) {
                self.right.push(c);
            } else {
                self.wrong.push(c.seq);
            }
        }
    }

    /// Number of the newest row that is signed.
    pub fn newest(&self) -> u64 {
        self.right.iter().map(|c| c.seq).max().unwrap_or(0)
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Findings {
    /// What reading the rows says.
    pub report: AuditReport,
    /// What was signed.
    pub known: Known,
    /// An export began behind this row, whose hash was taken on trust or as signed.
    pub behind: u64,
    /// True where an export says itself that it is whole.
    pub complete: bool,
}

impl Findings {
    /// True where nothing is wrong.
    pub fn whole(&self) -> bool {
        matches!(self.report.verdict, AuditVerdict::Whole { .. })
            && self.known.wrong.is_empty()
            && self.known.strange == 0
            && self.complete
    }
}

/// Reads a database.
pub async fn database(
    store: &Store,
    known: Known,
    progress: impl FnMut(u64, u64) + Send,
) -> Result<Findings> {
    let report = store.audit_examine(AuditChain::new(known.right.clone()), progress).await?;
    Ok(Findings { report, known, behind: 0, complete: true })
}

/// Reads an export: lines of JSON, of rows and checkpoints, between a `begin` and an `end`.
pub fn export(
    input: impl std::io::Read,
    keys: &[String],
    mut known: Known,
    mut progress: impl FnMut(u64),
) -> Result<Findings> {
    // Checkpoints may stand behind the rows that they sign, so everything is read once for them alone.
    let mut rows = Vec::new();
    let (mut begin, mut end, mut found) = (None, None, Vec::new());
    for (n, line) in BufReader::new(input).lines().enumerate() {
        let line = line.context("reading the export")?;
        if line.is_empty() {
            continue;
        }
        let v: Value = match serde_json::from_str(&line) {
            Ok(v) => v,
            Err(_) if end.is_none() => {
                // A download that broke off ends in the middle of a line.
                break;
            }
            Err(e) => bail!("line {} of the export is no JSON: {e}", n + 1),
        };
        if let Some(b) = v.get("begin") {
            begin = Some(b.clone());
        } else if v.get("end").is_some() {
            end = Some(v);
        } else if let Some(c) = AuditCheckpoint::from_json(&v) {
            found.push(c);
        } else if let Some(r) = AuditRow::from_json(&v) {
            rows.push(r);
        } else {
            bail!("line {} of the export is neither a row nor a checkpoint", n + 1);
        }
    }
    known.add_all(found, keys);
    let begin = begin.context("this is no export of the audit: it does not begin as one")?;
    let behind = begin.get("behind").and_then(Value::as_u64).unwrap_or(0);
    let hash = begin.get("hash").and_then(Value::as_str).and_then(types::unhex).unwrap_or_default();
    let mut chain = AuditChain::new(known.right.clone()).at(behind, hash.clone());
    let (mut fault, mut read) = (None, 0u64);
    if let Some(c) = known.right.iter().find(|c| c.seq == behind && c.hash != hash) {
        fault = Some(AuditFault::NotAsSigned { signed: c.at });
    }
    for (i, row) in rows.iter().enumerate() {
        if fault.is_some() {
            break;
        }
        match chain.take(row) {
            Ok(()) => read += 1,
            Err(AuditFault::Changed) => {
                fault = Some(chain.diagnose(rows.get(i..).unwrap_or_default()));
            }
            Err(f) => fault = Some(f),
        }
        if read % 10_000 == 0 {
            progress(read);
        }
    }
    let counted = end.as_ref().and_then(|e| e.get("end")).and_then(Value::as_u64);
    let fault = fault.or_else(|| chain.finish(counted).err());
    let verdict = match fault {
        None => AuditVerdict::Whole { rows: read },
        Some(fault) => AuditVerdict::Broken { seq: chain.seq() + 1, fault },
    };
    let report = AuditReport { verdict, clock_back: chain.marks().to_vec(), owed: 0 };
    Ok(Findings { report, known, behind, complete: end.is_some() })
}

/// The public keys that are trusted: hexadecimal texts, or files that hold one a line.
pub fn keys(given: &[String], data: Option<&Path>) -> Result<Vec<String>> {
    let mut all = BTreeSet::new();
    let files = given.is_empty().then(|| data.map(|d| d.join("signing.pub").display().to_string()));
    for g in given.iter().cloned().chain(files.flatten()) {
        if types::unhex(&g).is_some_and(|k| k.len() == 32) {
            all.insert(g);
            continue;
        }
        let text = std::fs::read_to_string(&g).with_context(|| format!("the public key {g}"))?;
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            if types::unhex(line).is_none_or(|k| k.len() != 32) {
                bail!("{g} holds a line that is no public key of 64 hexadecimal digits");
            }
            all.insert(line.to_owned());
        }
    }
    Ok(all.into_iter().collect())
}
