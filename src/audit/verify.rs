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
        if v.get("begin").is_some() {
            begin = Some(v);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::checkpoints::Checkpoints, signing::Signer};
    use store::Change;
    use types::Utc;

    /// A database with `n` rows, a checkpoint at 10 and one at the end, and its file of checkpoints.
    async fn written(dir: &Path, n: u32) -> (String, std::path::PathBuf, Vec<String>) {
        let url = format!("sqlite:{}", dir.join("s.db").display());
        let file = dir.join(file::NAME);
        let signer = Signer::from_seed([7; 32]);
        let keys = vec![signer.public()];
        let store = Store::open(&url).await.expect("opened");
        let (handle, task) = Checkpoints::start(store.clone(), signer, file.clone(), |_| {});
        for i in 1..=n {
            let detail = serde_json::json!({ "text": format!("detail of row {i}") });
            let change =
                Change { reason: format!("reason {i}"), ..Change::by_system("alice", Utc(i64::from(i))) };
            store
                .audit_note(&change, "token.use", format!("object:{i}"), Some(detail))
                .await
                .expect("written");
            if i == 10 {
                assert!(handle.now().await);
            }
        }
        drop(handle);
        task.await.expect("ended");
        store.close().await;
        (url, file, keys)
    }

    async fn look(url: &str, file: &Path, keys: &[String]) -> Result<Findings> {
        let store = Store::open_to_read(url).await?;
        let known = Known::gather(&store, file, keys).await?;
        let found = database(&store, known, |_, _| {}).await;
        store.close().await;
        found
    }

    #[tokio::test]
    async fn one_flipped_bit_anywhere_in_a_row_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let (url, file, keys) = written(dir.path(), 25).await;
        let whole = look(&url, &file, &keys).await.expect("read");
        assert!(whole.whole(), "{whole:?}");
        assert_eq!((whole.known.right.len(), whole.known.newest()), (2, 25));
        let path = dir.path().join("s.db");
        let bytes = std::fs::read(&path).expect("there");
        let mut flips = 0;
        for row in [3, 10, 25] {
            for text in [format!("object:{row}{{"), format!("reason {row}"), format!("detail of row {row}\"")]
            {
                let at = bytes.windows(text.len()).position(|w| w == text.as_bytes());
                let Some(at) = at else { continue };
                for (octet, bit) in (0..text.len() - 1).flat_map(|o| (0..8).map(move |b| (o, b))).step_by(3) {
                    let mut flipped = bytes.clone();
                    flipped[at + octet] ^= 1 << bit;
                    std::fs::write(&path, &flipped).expect("flipped");
                    let found = look(&url, &file, &keys).await.expect("read");
                    assert!(!found.whole(), "bit {bit} of octet {octet} of {text}");
                    let AuditVerdict::Broken { seq, .. } = found.report.verdict else { panic!("{found:?}") };
                    assert_eq!(seq, row, "{text}");
                    flips += 1;
                }
            }
        }
        assert!(flips > 100, "{flips} flips were tried");
    }

    #[tokio::test]
    async fn an_old_copy_of_the_database_is_found_by_the_file_and_a_forged_file_by_its_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let (url, file, keys) = written(dir.path(), 12).await;
        std::fs::copy(dir.path().join("s.db"), dir.path().join("old.db")).expect("copied");
        let store = Store::open(&url).await.expect("opened");
        let (handle, task) =
            Checkpoints::start(store.clone(), Signer::from_seed([7; 32]), file.clone(), |_| {});
        let change = Change::by_system("mallory", Utc(0));
        store.audit_note(&change, "token.use", "object:13".to_owned(), None).await.expect("written");
        drop(handle);
        task.await.expect("ended");
        store.close().await;
        let old = format!("sqlite:{}", dir.path().join("old.db").display());
        let found = look(&old, &file, &keys).await.expect("read");
        assert_eq!(
            found.report.verdict,
            AuditVerdict::Broken { seq: 13, fault: AuditFault::Cut { written: 13 } }
        );
        let words = crate::audit::words::lines(&found, crate::lang::Lang::En).join(" ");
        assert!(words.contains("row 13 was written") && words.contains("older copy"), "{words}");
        let ja = crate::audit::words::lines(&found, crate::lang::Lang::Ja).join(" ");
        assert!(ja.contains("13 行目"), "{ja}");

        // Signed by somebody else, and signed and then changed.
        let other = Signer::from_seed([8; 32]).public();
        let found = look(&url, &file, &[other]).await.expect("read");
        assert!(!found.whole() && found.known.strange > 0 && found.known.right.is_empty());
        let text = std::fs::read_to_string(&file).expect("there");
        std::fs::write(&file, text.replace("\"checkpoint\":10", "\"checkpoint\":11")).expect("changed");
        let found = look(&url, &file, &keys).await.expect("read");
        assert_eq!((found.whole(), found.known.wrong.clone()), (false, vec![11]));
        assert!(look("sqlite:/nonexistent/x.db", &file, &keys).await.is_err());
    }

    #[tokio::test]
    async fn an_export_is_proved_with_the_public_key_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let (url, _, keys) = written(dir.path(), 12).await;
        let store = Store::open_to_read(&url).await.expect("opened");
        let mut lines = vec![r#"{"begin":"sekisho audit 1","behind":0,"hash":null}"#.to_owned()];
        lines.extend(store.audit_after(0, 100).await.expect("read").iter().map(|r| r.to_json().to_string()));
        lines.extend(store.audit_checkpoints().await.expect("read").iter().map(|c| c.to_json().to_string()));
        lines.push(r#"{"end":12}"#.to_owned());
        let read = |lines: &[String]| export(lines.join("\n").as_bytes(), &keys, Known::default(), |_| {});
        let found = read(&lines).expect("read");
        assert!(found.whole() && found.known.newest() == 12, "{found:?}");

        for n in 1..=12 {
            let mut flipped = lines.clone();
            flipped[n] = flipped[n].replace("alice", "alicf");
            let verdict = read(&flipped).expect("read").report.verdict;
            assert_eq!(verdict, AuditVerdict::Broken { seq: n as u64, fault: AuditFault::Changed });
        }
        let mut swapped = lines.clone();
        swapped.swap(4, 5);
        assert!(!read(&swapped).expect("read").whole());
        let cut: Vec<String> = lines.iter().filter(|l| !l.contains("object:12")).cloned().collect();
        let verdict = read(&cut).expect("read").report.verdict;
        assert_eq!(verdict, AuditVerdict::Broken { seq: 12, fault: AuditFault::Cut { written: 12 } });
        let broken_off = read(&lines[..9]).expect("read");
        assert!(!broken_off.complete && !broken_off.whole(), "a download that broke off is not whole");
        assert!(read(&lines[1..]).is_err(), "no export");
        // From the middle on: the hash before is taken on trust, or as it was signed.
        let head = store.audit_after(9, 1).await.expect("read").remove(0);
        let mut part = vec![
            serde_json::json!({ "begin": "sekisho audit 1", "behind": 10, "hash": types::hex(&head.hash) })
                .to_string(),
        ];
        part.extend(lines.iter().filter(|l| l.contains("object:11") || l.contains("object:12")).cloned());
        part.extend(lines.iter().filter(|l| l.contains("\"checkpoint\"")).cloned());
        part.push(r#"{"end":12}"#.to_owned());
        let found = read(&part).expect("read");
        assert!(found.whole() && found.behind == 10, "{found:?}");
        part[0] = part[0].replace(&types::hex(&head.hash), &"00".repeat(32));
        assert!(!read(&part).expect("read").whole());
    }
}
