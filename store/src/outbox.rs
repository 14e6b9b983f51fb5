//! What must leave this machine: audit rows, checkpoints, alerts, and counts of what was lost.
//!
//! A row is written in the transaction of what it tells of and numbered with it, so that a reader that goes by number
//! misses nothing. An audit row is only named here; its text is read where it is kept.

use crate::{
    Store,
    audit::AuditRow,
    db::{Rec, Tx, args},
    error::StoreError,
};
use types::Utc;

/// What a row of the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutboxKind {
    /// A row of the audit.
    Audit,
    /// A signed checkpoint of the audit.
    Checkpoint,
    /// News of an alert.
    Alert,
    /// A count of what was lost before it could leave.
    Gap,
}

impl OutboxKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Checkpoint => "checkpoint",
            Self::Alert => "alert",
            Self::Gap => "gap",
        }
    }
}

impl std::str::FromStr for OutboxKind {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        let all = [Self::Audit, Self::Checkpoint, Self::Alert, Self::Gap];
        all.into_iter().find(|k| k.as_str() == s).ok_or(())
    }
}

/// Something that others must hear of: delivered at least once, then taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number; rises by one.
    pub seq: u64,
    /// When it happened.
    pub at: Utc,
    /// What it is.
    pub kind: OutboxKind,
    /// JSON text.
    pub payload: String,
}

impl OutboxRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            seq: r.uint("seq")?,
            at: r.utc("at")?,
            kind: r.parse("kind")?,
            payload: r.text("payload")?,
        })
    }
}

impl Tx {
    /// Puts something into the outbox.
    pub(crate) async fn send_out(
        &mut self,
        at: Utc,
        kind: OutboxKind,
        payload: String,
    ) -> Result<(), StoreError> {
        let seq = self.count_up("outbox", 1).await?;
        let sql = "INSERT INTO outbox (seq, at, kind, payload) VALUES ($1, $2, $3, $4)";
        self.exec(sql, args![seq, at, kind.as_str(), payload]).await.map(|_| ())
    }
}

impl Store {
    /// What stands in the outbox behind number `seq`, oldest first, at most `limit`.
    pub async fn outbox(&self, seq: u64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let sql = "SELECT * FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2";
        let rows = self.db.rows(sql, args![seq, limit]).await?;
        let mut rows = rows.iter().map(OutboxRow::read).collect::<Result<Vec<_>, _>>()?;
        for row in rows.iter_mut().filter(|r| r.kind == OutboxKind::Audit) {
            let n: u64 = row.payload.parse().map_err(|_| StoreError::Damaged { what: "payload" })?;
            row.payload = match self.db.maybe("SELECT * FROM audit WHERE seq = $1", args![n]).await? {
                Some(r) => AuditRow::read(&r)?.to_json().to_string(),
                // Somebody deleted it: that is for `audit verify` to say, and here to pass on.
                None => serde_json::json!({ "seq": n, "missing": true }).to_string(),
            };
        }
        Ok(rows)
    }

    /// The number of the newest row that ever stood in the outbox, 0 if there was none.
    pub async fn last_outbox(&self) -> Result<u64, StoreError> {
        let r = self.db.maybe("SELECT value FROM counters WHERE name = 'outbox'", vec![]).await?;
        r.map(|r| r.uint("value")).transpose().map(Option::unwrap_or_default)
    }

    /// Takes out what everybody has, up to and with `seq`; how many rows.
    pub async fn outbox_delivered(&self, seq: u64) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move { tx.exec("DELETE FROM outbox WHERE seq <= $1", args![seq]).await })
        })
        .await
    }
}
