//! Imports of SIMs: a file comes in, a job goes out.

use crate::{
    api::{
        List,
        jobs::{Job, job},
    },
    check::Check,
    import::{self, Finding, Format, Mode, Options},
    problem::{Lang, Problem, say},
    request::{IdempotencyKey, Paging, Params, PathOf, number_cursor, page_limit},
    rights::{ProvisionCapability, ReadCapability},
    state::{AppState, now},
};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{Change, JobRow, JobState, StoreError};
use types::{Event, Happening};
use utoipa::{IntoParams, ToSchema};

/// How the file is to be taken.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportQuery {
    /// dry-run, all-or-nothing (if not given) or valid-rows.
    mode: Option<String>,
    /// true: a K or OPc that differs from the one of a SIM that is there replaces it. Without it such a line is wrong.
    replace_keys: Option<bool>,
    /// Why; it goes into the audit.
    reason: Option<String>,
    /// Number of the ticket that asked for it.
    ticket: Option<String>,
}

/// A line that is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RowError {
    /// Line of the file, from 1; the header is the first.
    line: u64,
    /// Name of the column; empty where it is about the whole line.
    column: String,
    /// Its kind: a stable word.
    code: String,
    /// `error`, or `warning` where the line counts all the same.
    severity: &'static str,
    /// What is wrong.
    what: String,
    /// What to do.
    fix: String,
}

/// What becomes of a line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RowDiff {
    line: u64,
    imsi: String,
    /// new or changed; lines that change nothing are only counted.
    diff: String,
    /// Which columns differ; k stands for the keys.
    fields: Vec<String>,
}

/// A SIM that an undo left as it is, as a whole or in these fields.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeptSim {
    imsi: String,
    /// used, changed, banned, referred-to, taken or key-replaced.
    code: String,
    /// Why it was left.
    why: String,
    fields: Vec<String>,
}

/// Imports SIMs from a file. The body is read as it comes in: text/csv with a header, or application/json (an array of
/// objects, or one object per line). Columns, in any order: imsi, k, opc or op, iccid, label, state, groups, dnns,
/// static_ips, slices, ambr_ul_bps, ambr_dl_bps, device, asset, person, site, sqn_mode, sqn_ind_bits, sqn_delta,
/// exported_seq; of TUAK algorithm, topc or top, iterations. An empty cell leaves what is there, `-` takes it away; lists are separated by `;`.
#[utoipa::path(post, path = "/api/v1/imports", tag = "imports", params(ImportQuery, IdempotencyKey),
    request_body(content = String, content_type = "text/csv"),
    security(("token" = ["provision"])), responses((status = 202, body = Job)))]
pub(crate) async fn create(
    right: ProvisionCapability,
    State(s): State<AppState>,
    Params(q): Params<ImportQuery>,
    req: Request,
) -> Result<(StatusCode, Json<Job>), Problem> {
    let format = format_of(req.headers())?;
    let mut check = Check::default();
    check.label("?reason", q.reason.as_deref().unwrap_or_default(), 500);
    check.label("?ticket", q.ticket.as_deref().unwrap_or_default(), 100);
    let mode = match q.mode.as_deref() {
        None | Some("all-or-nothing") => Some(Mode::AllOrNothing),
        Some("dry-run") => Some(Mode::DryRun),
        Some("valid-rows") => Some(Mode::ValidRows),
        Some(_) => {
            check.add(
                "?mode",
                say!("there is no such mode", "その mode はありません"),
                Some(say!(
                    "give dry-run, all-or-nothing or valid-rows",
                    "dry-run、all-or-nothing、valid-rows のいずれかを指定してください"
                )),
            );
            None
        }
    };
    let mode = check.finish(mode)?;
    let options = Options { mode, format, replace_keys: q.replace_keys.unwrap_or(false), plmn: s.plmn };
    let ticket = q.ticket.unwrap_or_default();
    let reason = q.reason.unwrap_or_default();
    let change = Change { ticket, ..right.caller().change(&reason, now()) };
    let vault = s.control.vault().await?;
    let body = req.into_body().into_data_stream();
    let row = import::run(&s.store, vault, &options, &change, body).await?;
    if row.state == JobState::Running {
        // Committed: it happens from here on, whether anybody waits or not.
        tokio::spawn(carry_on(s, row.id));
    }
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}

/// Takes an import back: new SIMs that nobody used go, fields that nobody changed since are as they were. What stays is
/// listed by GET /api/v1/jobs/{id}/kept.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/undo", tag = "jobs", params(("id" = u64, Path), IdempotencyKey),
    security(("token" = ["provision"])), responses((status = 202, body = Job)))]
pub(crate) async fn undo(
    right: ProvisionCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<u64>,
) -> Result<(StatusCode, Json<Job>), Problem> {
    job(&s, id).await?;
    let change = right.caller().change("", now());
    let begun = s.store.begin_undo(id, &change).await.map_err(|e| match e {
        StoreError::NotFound => {
            Problem::new(409, "not-undoable", say!("This job cannot be undone", "このジョブは取り消せません"))
                .detail(say!(
                    "only an import that was put in force and not undone yet can be",
                    "取り消せるのは、反映済みでまだ取り消していない取り込みだけです"
                ))
        }
        e => e.into(),
    })?;
    if !begun {
        return Err(Problem::new(
            409,
            "busy",
            say!("Another import is under way", "別の取り込みが進行中です"),
        )
        .fix(say!("wait until it has ended", "完了までお待ちください")));
    }
    let row = job(&s, id).await?;
    tokio::spawn(carry_on(s, id));
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}

/// Lists every line that is wrong, in the order of the file, in the language of the request.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/errors", tag = "jobs", params(("id" = u64, Path), Paging),
    security(("token" = ["read"])), responses((status = 200, body = List<RowError>)))]
pub(crate) async fn errors(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<u64>,
    Params(p): Params<Paging>,
    headers: HeaderMap,
) -> Result<Json<List<RowError>>, Problem> {
    let lang = lang_of(&headers);
    let page = items(&s, id, "errors", &p).await?;
    Ok(List::of(page, |v| {
        let f = Finding::of_json(&v).unwrap_or_else(|| Finding::new(0, "", "unknown"));
        let (what, fix) = f.words();
        let (what, fix) = (what.text(lang).to_owned(), fix.text(lang).to_owned());
        let severity = if f.is_warning() { "warning" } else { "error" };
        RowError { line: f.line, column: f.column, severity, code: f.code, what, fix }
    }))
}

/// Lists every line that makes or changes a SIM, in the order of the file.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/rows", tag = "jobs", params(("id" = u64, Path), Paging),
    security(("token" = ["read"])), responses((status = 200, body = List<RowDiff>)))]
pub(crate) async fn rows(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<u64>,
    Params(p): Params<Paging>,
) -> Result<Json<List<RowDiff>>, Problem> {
    let page = items(&s, id, "rows", &p).await?;
    Ok(List::of(page, |v| RowDiff {
        line: v["line"].as_u64().unwrap_or_default(),
        imsi: text(&v, "imsi"),
        diff: text(&v, "diff"),
        fields: texts(&v),
    }))
}

/// Lists what an undo left as it is, and why.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/kept", tag = "jobs", params(("id" = u64, Path), Paging),
    security(("token" = ["read"])), responses((status = 200, body = List<KeptSim>)))]
pub(crate) async fn kept(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<u64>,
    Params(p): Params<Paging>,
    headers: HeaderMap,
) -> Result<Json<List<KeptSim>>, Problem> {
    let lang = lang_of(&headers);
    let page = items(&s, id, "kept", &p).await?;
    Ok(List::of(page, |v| {
        let code = text(&v, "code");
        let why = match code.as_str() {
            "banned" => say!("it is banned, and a ban is not lost", "停止中のため残しました"),
            "used" => say!("it was used since", "取り込み後に使用されています"),
            "changed" => say!("somebody changed it since", "取り込み後に変更されています"),
            "referred-to" => say!("a rule or another thing names it", "ルールなどから参照されています"),
            "taken" => say!(
                "somebody else has its former card number or address",
                "元のカード番号またはアドレスが他で使用中です"
            ),
            _ => say!("the former key is destroyed", "以前の鍵は破棄済みです"),
        };
        KeptSim { imsi: text(&v, "imsi"), code, why: why.text(lang).to_owned(), fields: texts(&v) }
    }))
}

/// Carries an import on to its end, however long the store takes, and tells the running system.
async fn carry_on(s: AppState, id: u64) {
    let mut tries = 0u32;
    let row = loop {
        match s.store.carry_on_import(id, now()).await {
            Ok(row) => break row,
            Err(e) => {
                tracing::error!(job = id, "job {id} could not go on and is tried again: {e}");
                tries = tries.saturating_add(1);
                tokio::time::sleep(Duration::from_secs(u64::from(tries.min(30)))).await;
            }
        }
    };
    if let Err(e) = s.control.sims_imported(id, happened(&row)).await {
        tracing::error!(job = id, "what job {id} did is stored but not in force yet: {e}");
    }
    crate::api::documents::put_in_force(&s).await;
}

/// The one event of a hundred thousand SIMs.
fn happened(row: &JobRow) -> Option<Event> {
    let result = row.result.as_ref()?;
    let n = |v: &serde_json::Value, k: &str| v[k].as_u64().unwrap_or(0);
    let (job, actor) = (row.id, row.actor.clone());
    let what = match row.state {
        JobState::Done => {
            Happening::SimsImported { job, actor, new: n(result, "new"), changed: n(result, "changed") }
        }
        JobState::Undone | JobState::Failed => {
            let u = &result["undo"];
            let (removed, restored, kept) = (n(u, "removed"), n(u, "restored"), n(u, "kept"));
            Happening::SimsImportUndone { job, actor, removed, restored, kept }
        }
        JobState::Queued | JobState::Running => return None,
    };
    Some(Event { at: now(), imsi: None, what })
}

async fn items(
    s: &AppState,
    id: u64,
    part: &str,
    p: &Paging,
) -> Result<store::Page<serde_json::Value>, Problem> {
    let (skip, limit) = (number_cursor(p.cursor.as_deref())?.unwrap_or(0), page_limit(p.limit)?);
    job(s, id).await?;
    Ok(s.store.job_items(id, part, skip, limit).await?)
}

fn text(v: &serde_json::Value, k: &str) -> String {
    v[k].as_str().unwrap_or_default().to_owned()
}

fn texts(v: &serde_json::Value) -> Vec<String> {
    let all = v["fields"].as_array().into_iter().flatten();
    all.filter_map(|f| f.as_str().map(ToOwned::to_owned)).collect()
}

fn lang_of(headers: &HeaderMap) -> Lang {
    Lang::asked(headers)
}

fn format_of(headers: &HeaderMap) -> Result<Format, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/csv" => Ok(Format::Csv),
        "application/json" | "application/x-ndjson" | "application/jsonl" => Ok(Format::Json),
        _ => Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).fix(say!(
            "send Content-Type: text/csv or application/json",
            "Content-Type: text/csv または application/json を指定してください"
        ))),
    }
}
