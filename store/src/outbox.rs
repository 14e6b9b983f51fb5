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

/// How far a destination is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its name.
    pub name: String,
    /// Number of the last row of the outbox that it has, or that does not concern it.
    pub seq: u64,
    /// How many items it took.
    pub items: u64,
    /// How many rows were gone before it could take them.
    pub lost: u64,
    /// When that was.
    pub at: Utc,
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
        self.insert_outbox(seq, at, kind, payload).await
    }

    /// The same, with a number that was taken before.
    pub(crate) async fn insert_outbox(
        &mut self,
        seq: u64,
        at: Utc,
        kind: OutboxKind,
        payload: String,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO outbox (seq, at, kind, payload) VALUES ($1, $2, $3, $4)";
        self.later(sql, args![seq, at, kind.as_str(), payload]).await
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

    /// The number of the oldest row that stands in the outbox.
    pub async fn oldest_outbox(&self) -> Result<Option<u64>, StoreError> {
        let rows = self.db.rows("SELECT seq FROM outbox ORDER BY seq LIMIT 1", vec![]).await?;
        rows.first().map(|r| r.uint("seq")).transpose()
    }

    /// Sends out a count of what was lost.
    pub async fn send_gap(&self, at: Utc, what: serde_json::Value) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move { tx.send_out(at, OutboxKind::Gap, what.to_string()).await })
        })
        .await
    }

    /// How far a destination is; `None` where it is new.
    pub async fn delivery(&self, name: &str) -> Result<Option<DeliveryRow>, StoreError> {
        let r = self.db.maybe("SELECT * FROM deliveries WHERE name = $1", args![name]).await?;
        r.map(|r| {
            Ok(DeliveryRow {
                name: r.text("name")?,
                seq: r.uint("seq")?,
                items: r.uint("items")?,
                lost: r.uint("lost")?,
                at: r.utc("at")?,
            })
        })
        .transpose()
    }

    /// Says how far a destination is. It never goes back.
    pub async fn delivered(&self, d: DeliveryRow) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO deliveries (name, seq, items, lost, at) VALUES ($1, $2, $3, $4, $5)
                           ON CONFLICT (name) DO UPDATE SET seq = $2, items = $3, lost = $4, at = $5
                           WHERE deliveries.seq <= $2";
                tx.exec(sql, args![d.name, d.seq, d.items, d.lost, d.at]).await.map(|_| ())
            })
        })
        .await
    }

    /// Takes out what everybody has, up to and with `seq`; how many rows.
    pub async fn outbox_delivered(&self, seq: u64) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move { tx.exec("DELETE FROM outbox WHERE seq <= $1", args![seq]).await })
        })
        .await
    }
}
