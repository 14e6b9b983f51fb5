//! Who changed what, when and why; and what others must hear of it.
//!
//! The audit table is a chain: each row's hash covers the row and the hash before it, so that a row that is
//! flipped, deleted or moved is found by reading. The outbox row of the same change is written beside it.

use crate::{
    Page, Store,
    db::{Rec, Tx, args, json_text},
    error::StoreError,
};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use types::Utc;

/// Who makes a change, when, why, and in which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Who: a token's label, `network`, `init`, ….
    pub actor: String,
    /// When.
    pub at: Utc,
    /// Why, in their words; may be empty.
    pub reason: String,
    /// Request id, so that a log line and an audit row find each other; may be empty.
    pub request_id: String,
    /// From where: the address of the one who asked; empty for a change that this machine makes by itself.
    pub origin: String,
    /// Number of the ticket that asked for it, in the company's own system; may be empty.
    pub ticket: String,
}

impl Change {
    /// A change that the system makes by itself, such as the first attach of a SIM.
    pub fn by_system(what: &str, at: Utc) -> Self {
        Self {
            actor: what.to_owned(),
            at,
            reason: String::new(),
            request_id: String::new(),
            origin: String::new(),
            ticket: String::new(),
        }
    }
}

/// One row of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Its number, without gaps.
    pub seq: u64,
    /// When.
    pub at: Utc,
    /// Who.
    pub actor: String,
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
    /// SHA-256 over this row and the hash of the row before.
    pub hash: Vec<u8>,
}

/// What reading the whole chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditVerdict {
    /// Every row is there and as it was written.
    Whole {
        /// Rows read.
        rows: u64,
    },
    /// The first row that is not what the chain says, or is missing.
    Broken {
        /// Its number.
        seq: u64,
    },
}

/// Something that others must hear of: delivered at least once, then taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number.
    pub seq: u64,
    /// When it happened.
    pub at: Utc,
    /// What it is, as [`AuditRow::action`].
    pub kind: String,
    /// JSON text.
    pub payload: String,
}

impl AuditRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            seq: r.uint("seq")?,
            at: r.utc("at")?,
            actor: r.text("actor")?,
            action: r.text("action")?,
            object: r.text("object")?,
            before: r.maybe_text("before")?,
            after: r.maybe_text("after")?,
            reason: r.text("reason")?,
            request_id: r.text("request_id")?,
            hash: r.blob("hash")?,
        })
    }

    /// The hash that this row should have behind `previous`.
    fn chained(&self, previous: &[u8]) -> Vec<u8> {
        let mut h = Sha256::new();
        h.update(previous);
        h.update(self.seq.to_be_bytes());
        h.update(self.at.0.to_be_bytes());
        let texts = [
            Some(&self.actor),
            Some(&self.action),
            Some(&self.object),
            self.before.as_ref(),
            self.after.as_ref(),
            Some(&self.reason),
            Some(&self.request_id),
        ];
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
        h.finalize().to_vec()
    }
}

impl Tx {
    /// Writes the audit row and the outbox row of a change. `action` is like `sim.create`.
    pub(crate) async fn record(
        &mut self,
        change: &Change,
        action: &'static str,
        object: String,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), StoreError> {
        let seq = self.count_up("audit", 1).await?;
        let last = self.maybe("SELECT hash FROM audit WHERE seq = $1", args![seq - 1]).await?;
        let previous = last.map(|r| r.blob("hash")).transpose()?.unwrap_or_default();
        let payload = serde_json::json!({
            "action": action, "object": object, "actor": change.actor, "reason": change.reason,
            "request_id": change.request_id, "before": before, "after": after,
        });
        let mut row = AuditRow {
            seq,
            at: change.at,
            actor: change.actor.clone(),
            action: action.to_owned(),
            object,
            before: before.map(|v| v.to_string()),
            after: after.map(|v| v.to_string()),
            reason: change.reason.clone(),
            request_id: change.request_id.clone(),
            hash: Vec::new(),
        };
        row.hash = row.chained(&previous);
        let sql =
            "INSERT INTO audit (seq, at, actor, action, object, before, after, reason, request_id, hash)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        self.exec(
            sql,
            args![
                row.seq,
                row.at,
                row.actor,
                row.action,
                row.object,
                row.before,
                row.after,
                row.reason,
                row.request_id,
                row.hash
            ],
        )
        .await?;
        let out = self.count_up("outbox", 1).await?;
        let sql = "INSERT INTO outbox (seq, at, kind, payload) VALUES ($1, $2, $3, $4)";
        self.exec(sql, args![out, change.at, action, json_text(&payload)]).await?;
        Ok(())
    }
}

impl Store {
    /// Writes an audit row of its own: an operator's decision or a secret that was read, where no row changes.
    pub async fn audit_note(
        &self,
        change: &Change,
        action: &'static str,
        object: String,
        detail: Option<Value>,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| Box::pin(async move { tx.record(&change, action, object, None, detail).await }))
            .await
    }

    /// The audit, newest first; `object` narrows it to one thing. The cursor is the number of the last row seen.
    pub async fn audit(
        &self,
        object: Option<String>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<AuditRow>, StoreError> {
        let sql = "SELECT * FROM audit WHERE seq < $1 AND (CAST($2 AS TEXT) IS NULL OR object = $2)
                   ORDER BY seq DESC LIMIT $3";
        let rows = self.db.rows(sql, args![before.unwrap_or(i64::MAX as u64), object, limit + 1]).await?;
        let items = rows.iter().map(AuditRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |r| r.seq.to_string()))
    }

    /// Reads the whole chain and says whether it holds. A tail that was cut off is found by the counter that
    /// is written in the same transaction.
    pub async fn audit_verify(&self) -> Result<AuditVerdict, StoreError> {
        const STEP: u32 = 1000;
        let mut tx = self.db.snapshot().await?;
        let (mut seq, mut hash) = (0u64, Vec::new());
        loop {
            let sql = "SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
            let rows = tx.rows(sql, args![seq, STEP]).await?;
            for r in &rows {
                let row = AuditRow::read(r)?;
                if row.seq != seq + 1 || row.hash != row.chained(&hash) {
                    return Ok(AuditVerdict::Broken { seq: seq + 1 });
                }
                (seq, hash) = (row.seq, row.hash);
            }
            if rows.len() < STEP as usize {
                break;
            }
        }
        let counted = tx.maybe("SELECT value FROM counters WHERE name = 'audit'", vec![]).await?;
        let counted = counted.map(|r| r.uint("value")).transpose()?.unwrap_or(0);
        Ok(if counted == seq {
            AuditVerdict::Whole { rows: seq }
        } else {
            AuditVerdict::Broken { seq: seq + 1 }
        })
    }

    /// What has not been delivered, oldest first.
    pub async fn outbox(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM outbox ORDER BY seq LIMIT $1", args![limit]).await?;
        rows.iter()
            .map(|r| {
                Ok(OutboxRow {
                    seq: r.uint("seq")?,
                    at: r.utc("at")?,
                    kind: r.text("kind")?,
                    payload: r.text("payload")?,
                })
            })
            .collect()
    }

    /// Takes out what was delivered, up to and with `seq`.
    pub async fn outbox_delivered(&self, seq: u64) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(
                async move { tx.exec("DELETE FROM outbox WHERE seq <= $1", args![seq]).await.map(|_| ()) },
            )
        })
        .await
    }
}
