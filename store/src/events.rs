//! The timeline: what happened, numbered, so that a stream that broke off can go on where it was.

use crate::{
    Page, Store,
    alerts::NewAlert,
    db::{Rec, args, json_text},
    error::StoreError,
};
use types::{Event, Imsi, Utc};

/// An event with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its number; rises by one.
    pub seq: u64,
    /// What happened.
    pub event: Event,
}

impl EventRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self { seq: r.uint("seq")?, event: r.json("body")? })
    }
}

impl Store {
    /// Appends events and returns them with their numbers, in the same order.
    pub async fn append_events(&self, events: Vec<Event>) -> Result<Vec<EventRow>, StoreError> {
        self.append_events_and_alerts(events, Vec::new()).await
    }

    /// Appends events, and raises the alerts that they are in the same transaction.
    pub async fn append_events_and_alerts(
        &self,
        events: Vec<Event>,
        alerts: Vec<NewAlert>,
    ) -> Result<Vec<EventRow>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let n = events.len() as u64;
                if n == 0 && alerts.is_empty() {
                    return Ok(Vec::new());
                }
                tx.note_sightings(&events).await?;
                let first = tx.count_up("events", n).await? - n + 1;
                let mut rows = Vec::with_capacity(events.len());
                for (seq, event) in (first..).zip(events) {
                    let imsi = event.imsi.map(|i| i.to_string());
                    let sql =
                        "INSERT INTO events (seq, at, imsi, body, security) VALUES ($1, $2, $3, $4, $5)";
                    let security = u32::from(event.what.is_security());
                    tx.exec(sql, args![seq, event.at, imsi, json_text(&event), security]).await?;
                    rows.push(EventRow { seq, event });
                }
                for a in alerts {
                    tx.raise(a).await?;
                }
                Ok(rows)
            })
        })
        .await
    }

    /// Events after number `seq`, oldest first, at most `limit`.
    pub async fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let sql = "SELECT seq, body FROM events WHERE seq > $1 ORDER BY seq LIMIT $2";
        self.db.rows(sql, args![seq, limit]).await?.iter().map(EventRow::read).collect()
    }

    /// The number of the newest event, 0 if there was none.
    pub async fn last_event(&self) -> Result<u64, StoreError> {
        let r = self.db.maybe("SELECT value FROM counters WHERE name = 'events'", vec![]).await?;
        r.map(|r| r.uint("value")).transpose().map(Option::unwrap_or_default)
    }

    /// The timeline of one SIM, newest first. The cursor is the number of the last event seen.
    pub async fn timeline(
        &self,
        imsi: Imsi,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<EventRow>, StoreError> {
        let sql = "SELECT seq, body FROM events WHERE imsi = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3";
        let rows = self.db.rows(sql, args![imsi, before.unwrap_or(i64::MAX as u64), limit + 1]).await?;
        let items = rows.iter().map(EventRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |r| r.seq.to_string()))
    }

    /// What the security desk wants to see ([`types::Happening::is_security`]), newest first. The cursor is the number
    /// of the last event seen.
    pub async fn security_events(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<EventRow>, StoreError> {
        let sql = "SELECT seq, body FROM events WHERE security = 1 AND seq < $1 ORDER BY seq DESC LIMIT $2";
        let rows = self.db.rows(sql, args![before.unwrap_or(i64::MAX as u64), limit + 1]).await?;
        let items = rows.iter().map(EventRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |r| r.seq.to_string()))
    }

    /// Deletes events older than `before`; how many.
    pub async fn forget_events(&self, before: Utc) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move { tx.exec("DELETE FROM events WHERE at < $1", args![before]).await })
        })
        .await
    }
}
