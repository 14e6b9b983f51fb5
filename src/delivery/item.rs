//! What is sent.

use super::redact::Hide;
use crate::config::What;
use serde_json::{Value, json};
use store::{OutboxKind, OutboxRow};
use types::Utc;

/// Most octets of a body that a batch takes beside others.
pub const BATCH_OCTETS: usize = 256 * 1024;
/// Most items of a batch.
pub const BATCH: usize = 100;

/// One item on its way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its number in the outbox: whoever gets it twice knows it by this. 0 for what is no row of the outbox.
    pub seq: u64,
    /// `audit`, `checkpoint`, `alert`, `gap` or `test`.
    pub kind: &'static str,
    /// When it happened.
    pub at: Utc,
    /// What it is.
    pub body: Value,
}

impl Item {
    /// A row of the outbox.
    pub fn of(row: &OutboxRow) -> Self {
        let body = serde_json::from_str(&row.payload).unwrap_or(Value::Null);
        Self { seq: row.seq, kind: row.kind.as_str(), at: row.at, body }
    }

    /// Items between these two numbers could not be kept until this destination took them.
    pub fn gap(first: u64, last: u64, at: Utc) -> Self {
        let count = last - first + 1;
        let body = json!({ "what": "items", "count": count, "first": first, "last": last });
        Self { seq: last, kind: OutboxKind::Gap.as_str(), at, body }
    }

    /// Something to try a destination out with.
    pub fn test(at: Utc) -> Self {
        Self { seq: 0, kind: "test", at, body: json!({ "text": "sekisho tries this destination out" }) }
    }

    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        json!({ "seq": self.seq, "kind": self.kind, "at": time(self.at), "body": self.body })
    }

    /// The same without identities.
    pub(super) fn hidden(&self, hide: &Hide) -> Self {
        let mut body = self.body.clone();
        hide.all(&mut body);
        Self { body, ..self.clone() }
    }
}

/// True where a destination that wants `what` gets rows of this kind. Gaps concern everybody.
pub fn wanted(what: &[What], kind: OutboxKind) -> bool {
    match kind {
        OutboxKind::Audit | OutboxKind::Checkpoint => what.contains(&What::Audit),
        OutboxKind::Alert => what.contains(&What::Alerts),
        OutboxKind::Gap => true,
    }
}

/// RFC 3339 in UTC, milliseconds.
pub fn time(t: Utc) -> String {
    jiff::Timestamp::from_millisecond(t.0)
        .map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |t| format!("{t:.3}"))
}
