//! The chain of the audit: what a row's hash covers, and reading rows against it.
//!
//! Form 1 covers number, time, texts and the hash before. Form 2, which every new row has, covers besides: from where,
//! when the row was written by this machine's clock, and by how much that clock stood behind the row before.

use crate::{db::Rec, error::StoreError};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use types::{Utc, hex, unhex};

/// The form of new rows.
pub(crate) const FORM: u64 = 2;
/// How far a clock may step back unmarked, milliseconds: what a time service does in daily work.
pub const CLOCK_TOLERANCE_MS: i64 = 1_000;

/// One row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, without gaps.
    pub seq: u64,
    /// When it happened.
    pub at: Utc,
    /// When the row was written, by this machine's clock. Later than `at` where the audit could not be written at once.
    pub written: Utc,
    /// By how many milliseconds the clock stood behind the row before, where that was more than a little.
    pub clock_back: Option<i64>,
    /// Who.
    pub actor: String,
    /// From where: the address of the one who asked; empty for what this machine did by itself.
    pub origin: String,
    /// What was done, for example `sim.create`.
    pub action: String,
    /// To what, for example `sim:001010000000001`.
    pub object: String,
    /// The thing before, as JSON text.
    pub before: Option<String>,
    /// The thing after, as JSON text.
    pub after: Option<String>,
    /// Why.
    pub reason: String,
    /// In which request.
    pub request_id: String,
    /// What its hash covers.
    pub form: u64,
    /// SHA-256 over this row and the hash of the row before.
    pub hash: Vec<u8>,
}

/// What is wrong with a row, or with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditFault {
    /// The row is not as it was written.
    Changed,
    /// The row is not there, but later ones are.
    Missing,
    /// Another row stands in its place; the right one stands at this number.
    Moved {
        /// Where the row that belongs here is.
        to: u64,
    },
    /// A row stands here that nobody wrote; the one that belongs here is the next.
    Foreign,
    /// The rows end before this number, though more were written.
    Cut {
        /// The newest number that is known to have been written.
        written: u64,
    },
    /// The clock stands behind the row before, and the row does not say so.
    ClockUnmarked {
        /// By how many milliseconds.
        back_ms: i64,
    },
    /// The row fits the chain, but a checkpoint signed another hash: the rows up to it were written anew.
    NotAsSigned {
        /// When the checkpoint was signed.
        signed: Utc,
    },
    /// The row is of a form that this version does not know.
    UnknownForm,
    /// The database itself cannot read it, or one behind it.
    Unreadable {
        /// In the database's words.
        why: String,
    },
}

/// A step back of the clock that a row tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockMark {
    /// Which row.
    pub seq: u64,
    /// By how many milliseconds.
    pub back_ms: i64,
}

/// A hash that was signed at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheckpoint {
    /// Number of the row.
    pub seq: u64,
    /// That row's hash.
    pub hash: Vec<u8>,
    /// When it was signed.
    pub at: Utc,
    /// The signer's public key, hexadecimal.
    pub public_key: String,
    /// The signature, hexadecimal.
    pub signature: String,
}

impl AuditCheckpoint {
    /// What is signed.
    pub fn text(seq: u64, hash: &[u8], at: Utc) -> Vec<u8> {
        format!("{seq} {} {}", hex(hash), at.0).into_bytes()
    }

    /// As one JSON object, for files and deliveries.
    pub fn to_json(&self) -> Value {
        json!({ "checkpoint": self.seq, "hash": hex(&self.hash), "at": self.at.0,
                "public_key": self.public_key, "signature": self.signature })
    }

    /// From [`Self::to_json`]; `None` where it is none.
    pub fn from_json(v: &Value) -> Option<Self> {
        let text = |k: &str| v.get(k)?.as_str().map(ToOwned::to_owned);
        Some(Self {
            seq: v.get("checkpoint")?.as_u64()?,
            hash: unhex(&text("hash")?)?,
            at: Utc(v.get("at")?.as_i64()?),
            public_key: text("public_key")?,
            signature: text("signature")?,
        })
    }
}

impl AuditRow {
    pub(crate) fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            seq: r.uint("seq")?,
            at: r.utc("at")?,
            written: r.utc("written")?,
            clock_back: r.maybe_int("clock_back")?,
            actor: r.text("actor")?,
            origin: r.text("origin")?,
            action: r.text("action")?,
            object: r.text("object")?,
            before: r.maybe_text("before")?,
            after: r.maybe_text("after")?,
            reason: r.text("reason")?,
            request_id: r.text("request_id")?,
            form: r.uint("form")?,
            hash: r.blob("hash")?,
        })
    }

    /// As one JSON object that [`Self::from_json`] reads back to the octet. `before` and `after` are JSON where their
    /// text is what we would write for it, else `before_text` and `after_text` hold them as they stand.
    pub fn to_json(&self) -> Value {
        let mut v = json!({
            "seq": self.seq, "at": self.at.0, "written": self.written.0, "clock_back": self.clock_back,
            "actor": self.actor, "origin": self.origin, "action": self.action, "object": self.object,
            "reason": self.reason, "request_id": self.request_id, "form": self.form, "hash": hex(&self.hash),
        });
        if let Some(o) = v.as_object_mut() {
            for (name, text) in [("before", &self.before), ("after", &self.after)] {
                let Some(text) = text else { continue };
                let parsed = serde_json::from_str::<Value>(text).ok();
                // Only what is written again to the very same text may leave as JSON: the hash covers the text.
                match parsed.map(|v| (v.to_string(), v)) {
                    Some((again, v)) if again == *text => o.insert(name.to_owned(), v),
                    _ => o.insert(format!("{name}_text"), json!(text)),
                };
            }
        }
        v
    }

    /// From [`Self::to_json`]; `None` where it is none.
    pub fn from_json(v: &Value) -> Option<Self> {
        let text = |k: &str| v.get(k)?.as_str().map(ToOwned::to_owned);
        let side = |k: &str| v.get(k).map(Value::to_string).or_else(|| text(&format!("{k}_text")));
        Some(Self {
            seq: v.get("seq")?.as_u64()?,
            at: Utc(v.get("at")?.as_i64()?),
            written: Utc(v.get("written")?.as_i64()?),
            clock_back: v.get("clock_back").and_then(Value::as_i64),
            actor: text("actor")?,
            origin: text("origin")?,
            action: text("action")?,
            object: text("object")?,
            before: side("before"),
            after: side("after"),
            reason: text("reason")?,
            request_id: text("request_id")?,
            form: v.get("form")?.as_u64()?,
            hash: unhex(&text("hash")?)?,
        })
    }

    /// The hash that this row should have behind `previous`; `None` where its form is not known.
    pub(crate) fn chained(&self, previous: &[u8]) -> Option<Vec<u8>> {
        let mut h = Sha256::new();
        if self.form == FORM {
            h.update(b"sekisho audit row 2\0");
        }
        h.update(previous);
        h.update(self.seq.to_be_bytes());
        h.update(self.at.0.to_be_bytes());
        let mut texts = vec![
            Some(&self.actor),
            Some(&self.action),
            Some(&self.object),
            self.before.as_ref(),
            self.after.as_ref(),
            Some(&self.reason),
            Some(&self.request_id),
        ];
        match self.form {
            // What form 1 does not cover must be empty, or it could be written in unseen.
            1 if self.origin.is_empty() && self.written == Utc(0) && self.clock_back.is_none() => {}
            FORM => {
                h.update(self.written.0.to_be_bytes());
                h.update([u8::from(self.clock_back.is_some())]);
                h.update(self.clock_back.unwrap_or(0).to_be_bytes());
                texts.push(Some(&self.origin));
            }
            _ => return None,
        }
        for t in texts {
            // Length first, and absent told from empty: no two rows share one string of octets.
            match t {
                Some(t) => {
                    h.update([1]);
                    h.update((t.len() as u64).to_be_bytes());
                    h.update(t.as_bytes());
                }
                None => h.update([0]),
            }
        }
        Some(h.finalize().to_vec())
    }

    /// The time that says when it was written: form 1 has only one.
    fn written(&self) -> Utc {
        if self.form == 1 { self.at } else { self.written }
    }

    /// By how much the clock stood behind `previous`, where that must be said.
    pub(crate) fn step_back(written: Utc, previous: Utc) -> Option<i64> {
        let back = previous.0.saturating_sub(written.0);
        (back > CLOCK_TOLERANCE_MS).then_some(back)
    }
}

/// Reads rows one by one against the chain and against what was signed.
#[derive(Debug, Clone, Default)]
pub struct AuditChain {
    seq: u64,
    hash: Vec<u8>,
    written: Option<Utc>,
    signed: BTreeMap<u64, Vec<AuditCheckpoint>>,
    marks: Vec<ClockMark>,
}

impl AuditChain {
    /// A chain from its first row on, that must agree with these checkpoints. Their signatures are the caller's to
    /// check.
    pub fn new(checkpoints: impl IntoIterator<Item = AuditCheckpoint>) -> Self {
        let mut signed: BTreeMap<u64, Vec<AuditCheckpoint>> = BTreeMap::new();
        for c in checkpoints {
            signed.entry(c.seq).or_default().push(c);
        }
        Self { signed, ..Self::default() }
    }

    /// A chain that goes on behind a row that is known to be right.
    pub fn behind(row: &AuditRow) -> Self {
        Self { seq: row.seq, hash: row.hash.clone(), written: Some(row.written()), ..Self::default() }
    }

    /// The same chain, going on behind row `seq` with this hash, which is taken on trust.
    #[must_use]
    pub fn at(self, seq: u64, hash: Vec<u8>) -> Self {
        Self { seq, hash, ..self }
    }

    /// The number of the last row that was right.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Its hash; empty before the first row.
    pub fn hash(&self) -> &[u8] {
        &self.hash
    }

    /// Steps back of the clock that rows told of themselves.
    pub fn marks(&self) -> &[ClockMark] {
        &self.marks
    }

    /// Takes the next row. The fault is about row number [`Self::seq`] + 1.
    pub fn take(&mut self, row: &AuditRow) -> Result<(), AuditFault> {
        if row.seq > self.seq + 1 {
            return Err(AuditFault::Missing);
        }
        if row.seq < self.seq + 1 {
            return Err(AuditFault::Foreign);
        }
        let right = row.chained(&self.hash).ok_or(AuditFault::UnknownForm)?;
        if right != row.hash {
            return Err(AuditFault::Changed);
        }
        let back = self.written.and_then(|w| AuditRow::step_back(row.written(), w));
        // Rows of form 1 had no place to say it; theirs is told as a mark all the same.
        if row.form != 1 && back != row.clock_back {
            return Err(AuditFault::ClockUnmarked { back_ms: back.unwrap_or(0) });
        }
        if let Some(other) = self.signed.get(&row.seq).and_then(|c| c.iter().find(|c| c.hash != row.hash)) {
            return Err(AuditFault::NotAsSigned { signed: other.at });
        }
        self.marks.extend(back.map(|back_ms| ClockMark { seq: row.seq, back_ms }));
        (self.seq, self.written) = (row.seq, Some(row.written()));
        self.hash.clone_from(&row.hash);
        Ok(())
    }

    /// Says more of a row that is [`AuditFault::Changed`], by what stands behind it: `rest` begins with that row.
    pub fn diagnose(&self, rest: &[AuditRow]) -> AuditFault {
        let here = self.seq + 1;
        let belongs = |r: &AuditRow, seq: u64, previous: &[u8]| {
            AuditRow { seq, ..r.clone() }.chained(previous).is_some_and(|h| h == r.hash)
        };
        let Some((at, right)) = rest.iter().enumerate().skip(1).find(|(_, r)| belongs(r, here, &self.hash))
        else {
            return AuditFault::Changed;
        };
        // Put in between: the row behind the right one, too, stands one place too far.
        let shifted = rest.get(at + 1).is_none_or(|next| belongs(next, here + 1, &right.hash));
        if at == 1 && shifted { AuditFault::Foreign } else { AuditFault::Moved { to: right.seq } }
    }

    /// Says whether rows are missing at the end: `counted` is the number of the last row that the database counted.
    pub fn finish(&self, counted: Option<u64>) -> Result<(), AuditFault> {
        let signed = self.signed.keys().next_back().copied().unwrap_or(0);
        let written = counted.unwrap_or(0).max(signed);
        if written > self.seq {
            return Err(AuditFault::Cut { written });
        }
        match counted {
            // More rows than were ever counted: somebody else wrote them.
            Some(c) if c < self.seq => Err(AuditFault::Foreign),
            _ => Ok(()),
        }
    }
}
