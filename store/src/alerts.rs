//! Alerts: what somebody has to look at, until somebody has.
//!
//! There is one live alert about one thing (its kind and its subject). The same again raises its count instead of
//! waking people twice; a worse one opens it again. Each news of an alert leaves by the outbox; of repeats only the
//! 2nd, 4th, 8th, …, so that a flood inside is none outside.

use crate::{
    Page, Store,
    audit::Change,
    db::{Rec, Tx, args, json_text},
    error::{Clash, StoreError},
    outbox::OutboxKind,
};
use serde::Serialize;
use serde_json::Value;
use types::{AlertKind, AlertState, Imsi, Severity, Utc};

/// Something that somebody has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlert {
    /// When it happened.
    pub at: Utc,
    /// Its kind.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// Whose, where it is about a SIM.
    pub imsi: Option<Imsi>,
    /// What it is about: the same kind about the same subject is a repeat.
    pub subject: String,
    /// What happened, as JSON.
    pub what: Value,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertRow {
    /// Its number.
    pub id: u64,
    /// When it happened first.
    pub at: Utc,
    /// When it happened last.
    pub last: Utc,
    /// How often.
    pub count: u64,
    /// Its kind.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// Whose, where it is about a SIM.
    pub imsi: Option<Imsi>,
    /// What it is about.
    pub subject: String,
    /// What happened last, as JSON.
    pub what: Value,
    /// What was done about it.
    pub state: AlertState,
    /// Who did that; empty while it is open.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// When that was done.
    pub changed: Utc,
}

/// Which alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Only in this state.
    pub state: Option<AlertState>,
    /// Only of this kind.
    pub kind: Option<AlertKind>,
    /// Only this severe.
    pub severity: Option<Severity>,
    /// Only about this SIM.
    pub imsi: Option<Imsi>,
}

impl AlertRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        let imsi = r.maybe_text("imsi")?;
        Ok(Self {
            id: r.uint("id")?,
            at: r.utc("at")?,
            last: r.utc("last")?,
            count: r.uint("times")?,
            kind: r.parse("kind")?,
            severity: r.parse("severity")?,
            imsi: imsi.map(|i| i.parse().map_err(|_| StoreError::Damaged { what: "imsi" })).transpose()?,
            subject: r.text("subject")?,
            what: r.json("what")?,
            state: r.parse("state")?,
            by: r.text("actor")?,
            reason: r.text("reason")?,
            changed: r.utc("changed")?,
        })
    }

    fn state_for_audit(&self) -> Value {
        serde_json::json!({ "state": self.state, "kind": self.kind, "subject": self.subject })
    }
}

impl Tx {
    /// Raises an alert, or counts it where one about the same thing lives.
    pub(crate) async fn raise(&mut self, a: NewAlert) -> Result<AlertRow, StoreError> {
        let sql = "SELECT * FROM alerts WHERE kind = $1 AND subject = $2 AND state <> 'closed'";
        let Some(r) = self.maybe(sql, args![a.kind.as_str(), &a.subject]).await? else {
            return self.raise_new(a).await;
        };
        let mut row = AlertRow::read(&r)?;
        let worse = a.severity > row.severity;
        (row.count, row.last, row.what) = (row.count + 1, row.last.max(a.at), a.what);
        row.severity = row.severity.max(a.severity);
        if worse && row.state == AlertState::Acknowledged {
            (row.state, row.by, row.reason, row.changed) =
                (AlertState::Open, String::new(), String::new(), a.at);
        }
        let sql = "UPDATE alerts SET times = $2, last = $3, what = $4, severity = $5, state = $6, actor = $7,
                   reason = $8, changed = $9 WHERE id = $1";
        let set = args![
            row.id,
            row.count,
            row.last,
            json_text(&row.what),
            row.severity.as_str(),
            row.state.as_str(),
            &row.by,
            &row.reason,
            row.changed
        ];
        self.exec(sql, set).await?;
        if worse || row.count.is_power_of_two() {
            self.send_out(a.at, OutboxKind::Alert, json_text(&row)).await?;
        }
        Ok(row)
    }

    async fn raise_new(&mut self, a: NewAlert) -> Result<AlertRow, StoreError> {
        let row = AlertRow {
            id: self.count_up("alerts", 1).await?,
            at: a.at,
            last: a.at,
            count: 1,
            kind: a.kind,
            severity: a.severity,
            imsi: a.imsi,
            subject: a.subject,
            what: a.what,
            state: AlertState::Open,
            by: String::new(),
            reason: String::new(),
            changed: a.at,
        };
        let sql = "INSERT INTO alerts (id, at, last, times, kind, severity, imsi, subject, what, state, actor, reason,
                   changed) VALUES ($1, $2, $2, 1, $3, $4, $5, $6, $7, $8, '', '', $2)";
        let values = args![
            row.id,
            row.at,
            row.kind.as_str(),
            row.severity.as_str(),
            row.imsi.map(|i| i.to_string()),
            &row.subject,
            json_text(&row.what),
            row.state.as_str()
        ];
        self.exec(sql, values).await?;
        self.send_out(a.at, OutboxKind::Alert, json_text(&row)).await?;
        Ok(row)
    }
}

impl Store {
    /// Says that somebody has an alert, or that it is done with. One that is closed, or is in that state already, is
    /// a conflict. [`AlertState::Open`] opens it again.
    pub async fn answer_alert(
        &self,
        id: u64,
        to: AlertState,
        change: &Change,
    ) -> Result<AlertRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let mut row =
                    AlertRow::read(&tx.one("SELECT * FROM alerts WHERE id = $1", args![id]).await?)?;
                if row.state == to || row.state == AlertState::Closed {
                    return Err(StoreError::Conflict { what: Clash::Other });
                }
                let before = row.state_for_audit();
                (row.state, row.by, row.reason, row.changed) =
                    (to, change.actor.clone(), change.reason.clone(), change.at);
                let sql = "UPDATE alerts SET state = $2, actor = $3, reason = $4, changed = $5 WHERE id = $1";
                tx.exec(sql, args![id, to.as_str(), &row.by, &row.reason, row.changed]).await?;
                let action = match to {
                    AlertState::Open => "alert.open",
                    AlertState::Acknowledged => "alert.acknowledge",
                    AlertState::Closed => "alert.close",
                };
                let after = row.state_for_audit();
                tx.record(&change, action, format!("alert:{id}"), Some(before), Some(after)).await?;
                tx.send_out(change.at, OutboxKind::Alert, json_text(&row)).await?;
                Ok(row)
            })
        })
        .await
    }

    /// One alert.
    pub async fn alert(&self, id: u64) -> Result<AlertRow, StoreError> {
        let r = self.db.maybe("SELECT * FROM alerts WHERE id = $1", args![id]).await?;
        AlertRow::read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Alerts, newest first. The cursor is the number of the last one seen.
    pub async fn alerts(
        &self,
        filter: &AlertFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<AlertRow>, StoreError> {
        let sql = "SELECT * FROM alerts WHERE id < $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2)
                   AND (CAST($3 AS TEXT) IS NULL OR kind = $3) AND (CAST($4 AS TEXT) IS NULL OR severity = $4)
                   AND (CAST($5 AS TEXT) IS NULL OR imsi = $5) ORDER BY id DESC LIMIT $6";
        let word = |w: Option<&'static str>| w.map(ToOwned::to_owned);
        let a = args![
            before.unwrap_or(i64::MAX as u64),
            word(filter.state.map(AlertState::as_str)),
            word(filter.kind.map(AlertKind::as_str)),
            word(filter.severity.map(Severity::as_str)),
            filter.imsi.map(|i| i.to_string()),
            limit + 1
        ];
        let items = self.db.rows(sql, a).await?.iter().map(AlertRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |r| r.id.to_string()))
    }

    /// How many alerts live, by state and severity.
    pub async fn count_alerts(&self) -> Result<Vec<(AlertState, Severity, u64)>, StoreError> {
        let sql = "SELECT state, severity, COUNT(*) AS n FROM alerts WHERE state <> 'closed'
                   GROUP BY state, severity ORDER BY state, severity";
        let rows = self.db.rows(sql, vec![]).await?;
        rows.iter().map(|r| Ok((r.parse("state")?, r.parse("severity")?, r.uint("n")?))).collect()
    }
}
