//! Long runs: how far they are and what came of them.

use crate::{
    api::List,
    check::{Check, Kind, rfc3339},
    problem::{Problem, say},
    request::{Params, PathOf, number_cursor, page_limit},
    rights::ReadCapability,
    state::AppState,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use store::{JobRow, JobState, StoreError};
use utoipa::{IntoParams, ToSchema};

/// A long run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    /// Its number.
    id: u64,
    /// What it does, for example sim-import.
    kind: String,
    /// What it is about now; the words belong to its kind.
    phase: String,
    /// queued, running, done, failed or undone.
    state: String,
    /// Who began it.
    actor: String,
    reason: String,
    ticket: String,
    /// Steps done.
    done: u64,
    /// Steps in all; null while that is not known.
    total: Option<u64>,
    created: String,
    started: Option<String>,
    ended: Option<String>,
    /// What came of it; null until it ends.
    #[schema(value_type = Option<Object>)]
    result: Option<serde_json::Value>,
}

impl From<JobRow> for Job {
    fn from(j: JobRow) -> Self {
        Self {
            id: j.id,
            kind: j.kind,
            phase: j.phase,
            state: j.state.to_string(),
            actor: j.actor,
            reason: j.reason,
            ticket: j.ticket,
            done: j.done,
            total: j.total,
            created: rfc3339(j.created),
            started: j.started.map(rfc3339),
            ended: j.ended.map(rfc3339),
            result: j.result,
        }
    }
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobQuery {
    /// Only those in this state: queued, running, done, failed or undone.
    state: Option<String>,
    /// Only those of this kind, for example sim-import.
    kind: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Lists jobs, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobQuery), security(("token" = ["read"])),
    responses((status = 200, body = List<Job>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(q): Params<JobQuery>,
) -> Result<Json<List<Job>>, Problem> {
    let mut check = Check::default();
    let state: Option<Option<JobState>> = check.maybe("?state", q.state.as_deref(), Kind::JobState);
    check.done()?;
    let before = number_cursor(q.cursor.as_deref())?;
    let page = s.store.jobs(state.flatten(), q.kind, before, page_limit(q.limit)?).await?;
    Ok(List::of(page, Job::from))
}

/// Reads a job: its progress while it runs, its result when it has ended.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = u64, Path)),
    security(("token" = ["read"])), responses((status = 200, body = Job)))]
pub(crate) async fn get(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<u64>,
) -> Result<Json<Job>, Problem> {
    Ok(Json(job(&s, id).await?.into()))
}

/// A job, or that there is none.
pub(crate) async fn job(s: &AppState, id: u64) -> Result<JobRow, Problem> {
    s.store.job(id).await.map_err(|e| match e {
        StoreError::NotFound => Problem::not_found(say!("there is no job {id}", "ジョブ {id} はありません")),
        e => e.into(),
    })
}
