//! Long runs: who began them, how far they are, how they ended, and what they found line by line.
//!
//! A job's row is written by whoever runs it and read by everybody. What it found is kept in pieces of [`ITEMS`]
//! lines, so that a hundred thousand findings cost some hundred rows.

use crate::{
    Page, Store,
    audit::Change,
    db::{Rec, Tx, args, json_text},
    error::StoreError,
};
use serde_json::Value;
use std::{fmt, str::FromStr};
use types::Utc;

/// Lines of findings in one row of the table.
pub(crate) const ITEMS: usize = 500;

/// How a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It has not begun.
    Queued,
    /// It is under way.
    Running,
    /// It did what it should.
    Done,
    /// It did not, and its result says why.
    Failed,
    /// It was done and taken back.
    Undone,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Undone];
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Undone => "undone",
        })
    }
}

impl FromStr for JobState {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        Self::ALL
            .into_iter()
            .find(|v| v.to_string() == s)
            .ok_or("a job's state is one of queued, running, done, failed, undone")
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// Its number.
    pub id: u64,
    /// What it does, for example `sim-import`.
    pub kind: String,
    /// What it is about now, for example `applying`; the words belong to its kind.
    pub phase: String,
    /// Who began it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Number of the ticket that asked for it; may be empty.
    pub ticket: String,
    /// How it is.
    pub state: JobState,
    /// Steps done.
    pub done: u64,
    /// Steps in all, where that is known.
    pub total: Option<u64>,
    /// When it was asked for.
    pub created: Utc,
    /// When it began.
    pub started: Option<Utc>,
    /// When it ended.
    pub ended: Option<Utc>,
    /// What came of it; its members belong to its kind.
    pub result: Option<Value>,
}

impl JobRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: r.uint("id")?,
            kind: r.text("kind")?,
            phase: r.text("phase")?,
            actor: r.text("actor")?,
            reason: r.text("reason")?,
            ticket: r.text("ticket")?,
            state: r.parse("state")?,
            done: r.uint("done")?,
            total: r.maybe_int("total")?.and_then(|n| u64::try_from(n).ok()),
            created: r.utc("created")?,
            started: r.maybe_int("started")?.map(Utc),
            ended: r.maybe_int("ended")?.map(Utc),
            result: r.maybe_text("result")?.map(|_| r.json("result")).transpose()?,
        })
    }
}

impl Tx {
    pub(crate) async fn job(&mut self, id: u64) -> Result<JobRow, StoreError> {
        JobRow::read(&self.one("SELECT * FROM jobs WHERE id = $1", args![id]).await?)
    }

    /// Appends lines to one part of what a job found. `first` is how many the part has.
    pub(crate) async fn add_items(
        &mut self,
        job: u64,
        part: &'static str,
        first: u64,
        items: &[Value],
    ) -> Result<(), StoreError> {
        for (n, piece) in (0u64..).zip(items.chunks(ITEMS)) {
            let sql = "INSERT INTO job_items (job, part, first, n, body) VALUES ($1, $2, $3, $4, $5)";
            let at = first + n * ITEMS as u64;
            self.exec(sql, args![job, part, at, piece.len() as u64, json_text(&piece)]).await?;
        }
        Ok(())
    }

    pub(crate) async fn end_job(
        &mut self,
        id: u64,
        state: JobState,
        result: &Value,
        at: Utc,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE jobs SET state = $2, phase = 'ended', result = $3, ended = $4 WHERE id = $1";
        self.exec(sql, args![id, state.to_string(), json_text(result), at]).await.map(|_| ())
    }
}

impl Store {
    /// Notes a job that is asked for. It is running from `change.at` on.
    pub async fn begin_job(
        &self,
        kind: &'static str,
        phase: &'static str,
        total: Option<u64>,
        change: &Change,
    ) -> Result<JobRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let id = tx.count_up("jobs", 1).await?;
                let sql = "INSERT INTO jobs (id, kind, phase, actor, reason, ticket, state, done, total, created, started)
                           VALUES ($1, $2, $3, $4, $5, $6, 'running', 0, $7, $8, $8)";
                let total = total.and_then(|t| i64::try_from(t).ok());
                let a = args![id, kind, phase, &change.actor, &change.reason, &change.ticket, total, change.at];
                tx.exec(sql, a).await?;
                tx.job(id).await
            })
        })
        .await
    }

    /// Says how far a job is.
    pub async fn job_progress(
        &self,
        id: u64,
        phase: &'static str,
        done: u64,
        total: Option<u64>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql =
                    "UPDATE jobs SET phase = $2, done = $3, total = $4 WHERE id = $1 AND state = 'running'";
                let total = total.and_then(|t| i64::try_from(t).ok());
                tx.exec(sql, args![id, phase, done, total]).await.map(|_| ())
            })
        })
        .await
    }

    /// Ends a job.
    pub async fn end_job(
        &self,
        id: u64,
        state: JobState,
        result: Value,
        at: Utc,
    ) -> Result<JobRow, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.end_job(id, state, &result, at).await?;
                tx.job(id).await
            })
        })
        .await
    }

    /// Appends lines to one part of what a job found; `first` is how many the part has.
    pub async fn add_job_items(
        &self,
        id: u64,
        part: &'static str,
        first: u64,
        items: Vec<Value>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.add_items(id, part, first, &items).await })).await
    }

    /// One job.
    pub async fn job(&self, id: u64) -> Result<JobRow, StoreError> {
        let r = self.db.maybe("SELECT * FROM jobs WHERE id = $1", args![id]).await?;
        JobRow::read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Jobs, newest first. The cursor is the number of the last job seen.
    pub async fn jobs(
        &self,
        state: Option<JobState>,
        kind: Option<String>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<JobRow>, StoreError> {
        let sql = "SELECT * FROM jobs WHERE id < $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2)
                   AND (CAST($3 AS TEXT) IS NULL OR kind = $3) ORDER BY id DESC LIMIT $4";
        let state = state.map(|s| s.to_string());
        let rows =
            self.db.rows(sql, args![before.unwrap_or(i64::MAX as u64), state, kind, limit + 1]).await?;
        let items = rows.iter().map(JobRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |j| j.id.to_string()))
    }

    /// What a job found, in its order, behind the first `skip` lines of this part.
    pub async fn job_items(
        &self,
        id: u64,
        part: &str,
        skip: u64,
        limit: u32,
    ) -> Result<Page<Value>, StoreError> {
        let end = skip.saturating_add(u64::from(limit));
        let sql = "SELECT first, body FROM job_items
                   WHERE job = $1 AND part = $2 AND first + n > $3 AND first <= $4 ORDER BY first";
        let mut items = Vec::new();
        for r in self.db.rows(sql, args![id, part, skip, end]).await? {
            let first = r.uint("first")?;
            let body: Vec<Value> = r.json("body")?;
            items.extend((first..).zip(body).filter(|(n, _)| (skip..=end).contains(n)).map(|(_, v)| v));
        }
        Ok(Page::cut(items, limit, |_| end.to_string()))
    }

    /// Ends every job that a process that is gone has left behind, as failed; how many. Asked once at start, after
    /// what can be carried on was carried on.
    pub async fn fail_interrupted_jobs(&self, at: Utc) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE jobs SET state = 'failed', ended = $1, result = $2
                           WHERE state IN ('queued', 'running')";
                let why = serde_json::json!({ "error": "interrupted" });
                tx.exec(sql, args![at, json_text(&why)]).await
            })
        })
        .await
    }

    /// Forgets jobs that ended before `before`, with all that they found; how many. An import that is forgotten can no
    /// longer be undone.
    pub async fn forget_jobs(&self, before: Utc) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move { tx.exec("DELETE FROM jobs WHERE ended < $1", args![before]).await })
        })
        .await
    }
}
