//! Who changed what.

use crate::{
    api::List,
    check::{Check, Kind, Time, rfc3339},
    problem::{Problem, say},
    request::{Params, number_cursor, page_limit},
    rights::AuditCapability,
    state::{AppState, now},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use store::{AuditCheckpoint, AuditFilter, AuditRow, StoreError};
use utoipa::{IntoParams, ToSchema};

/// One line of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// Its number, without gaps.
    seq: u64,
    at: String,
    /// When the line was written: later than `at` where the audit could not be written at once. Null in old lines.
    written: Option<String>,
    /// By how many milliseconds the clock stood behind the line before, where that was more than a little.
    clock_back_ms: Option<i64>,
    actor: String,
    /// From where: the address of the one who asked. Null where this machine did it by itself.
    origin: Option<String>,
    /// What was done, for example sim.create.
    action: String,
    /// To what, for example sim:001010000000001.
    object: String,
    /// The thing before.
    #[schema(value_type = Option<Object>)]
    before: Option<serde_json::Value>,
    /// The thing after.
    #[schema(value_type = Option<Object>)]
    after: Option<serde_json::Value>,
    reason: String,
    request_id: String,
    /// SHA-256 over this line and the one before it.
    hash: String,
}

impl From<AuditRow> for AuditEntry {
    fn from(r: AuditRow) -> Self {
        let json = |t: Option<String>| t.and_then(|t| serde_json::from_str(&t).ok());
        Self {
            seq: r.seq,
            at: rfc3339(r.at),
            written: (r.form > 1).then(|| rfc3339(r.written)),
            clock_back_ms: r.clock_back,
            actor: r.actor,
            origin: (!r.origin.is_empty()).then_some(r.origin),
            action: r.action,
            object: r.object,
            before: json(r.before),
            after: json(r.after),
            reason: r.reason,
            request_id: r.request_id,
            hash: types::hex(&r.hash),
        }
    }
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only of this thing, for example sim:001010000000001 or rule:staff-wiki.
    object: Option<String>,
    /// Only by this actor, as it stands in the lines.
    actor: Option<String>,
    /// Only this action, for example sim.create; with a dot at its end all that begin so: `sim.`.
    action: Option<String>,
    /// Only of this request.
    request_id: Option<String>,
    /// Only from this time on (RFC 3339).
    from: Option<String>,
    /// Only before this time (RFC 3339).
    until: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Lists the audit, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery), security(("token" = ["audit"])),
    responses((status = 200, body = List<AuditEntry>)))]
pub(crate) async fn list(
    _: AuditCapability,
    State(s): State<AppState>,
    Params(q): Params<AuditQuery>,
) -> Result<Json<List<AuditEntry>>, Problem> {
    let before = number_cursor(q.cursor.as_deref())?;
    let mut check = Check::default();
    let from: Option<Option<Time>> = check.maybe("?from", q.from.as_deref(), Kind::Time);
    let until: Option<Option<Time>> = check.maybe("?until", q.until.as_deref(), Kind::Time);
    let (from, until) = check.finish(from.zip(until))?;
    let filter = AuditFilter {
        actor: q.actor,
        action: q.action,
        object: q.object,
        request_id: q.request_id,
        from: from.map(|t| t.0),
        until: until.map(|t| t.0),
    };
    let page = s.store.audit_list(&filter, before, page_limit(q.limit)?).await?;
    Ok(List::of(page, AuditEntry::from))
}

/// Where an export begins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// Only what stands behind this line's number; 0 if not given.
    after: Option<u64>,
}

/// The whole audit as JSON lines, oldest first, with its signed checkpoints; `sekisho audit verify --export` reads it
/// with the public key alone. It begins with `{"begin": …}` and ends with `{"end": NUMBER}`: without that line it was
/// cut off on its way. The export itself is the last line.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(ExportQuery),
    security(("token" = ["audit"])),
    responses((status = 200, body = String, content_type = "application/x-ndjson")))]
pub(crate) async fn export(
    right: AuditCapability,
    State(s): State<AppState>,
    Params(q): Params<ExportQuery>,
) -> Result<Response, Problem> {
    let after = q.after.unwrap_or(0);
    let behind = match after {
        0 => None,
        n => {
            Some(s.store.audit_after(n - 1, 1).await?.into_iter().find(|r| r.seq == n).ok_or_else(|| {
                Problem::field(
                    "?after",
                    say!("there is no line {n}", "{n} 行目はありません"),
                    Some(say!("give the number of a line", "存在する行番号を指定してください")),
                )
            })?)
        }
    };
    // Whoever takes the whole audit away is in it.
    let change = right.caller().change("", now());
    let detail = serde_json::json!({ "after": after });
    s.store.audit_note(&change, "audit.export", "audit".to_owned(), Some(detail)).await?;
    if !s.control.sign_audit().await {
        tracing::warn!("an export of the audit goes out without a checkpoint of its newest line");
    }
    let until = s.store.audit_counted().await?;
    let mut signed: VecDeque<AuditCheckpoint> = s.store.audit_checkpoints().await?.into();
    signed.retain(|c| c.seq >= after && c.seq <= until);
    let head = serde_json::json!({
        "begin": "sekisho audit 1", "behind": after, "hash": behind.map(|r| types::hex(&r.hash)),
    });
    let feed = Export { store: s.store.clone(), signed, last: after, until, first: Some(head), done: false };
    let lines = stream::unfold(feed, |mut f| async move { f.next().await.map(|chunk| (chunk, f)) });
    let mut r = Response::new(axum::body::Body::from_stream(lines));
    r.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(r)
}

/// Where an export is.
struct Export {
    store: store::Store,
    signed: VecDeque<AuditCheckpoint>,
    last: u64,
    until: u64,
    first: Option<serde_json::Value>,
    done: bool,
}

impl Export {
    /// The next lines; an error breaks the download off, so that it does not look whole.
    async fn next(&mut self) -> Option<Result<String, StoreError>> {
        if self.done {
            return None;
        }
        let mut out = String::new();
        let mut line = |v: serde_json::Value| {
            out.push_str(&v.to_string());
            out.push('\n');
        };
        if let Some(head) = self.first.take() {
            line(head);
        }
        let mut rows = match self.store.audit_after(self.last, 500).await {
            Ok(rows) => rows,
            Err(e) => {
                self.done = true;
                return Some(Err(e));
            }
        };
        rows.retain(|r| r.seq <= self.until);
        for row in &rows {
            while let Some(c) = self.signed.pop_front_if(|c| c.seq < row.seq) {
                line(c.to_json());
            }
            line(row.to_json());
            self.last = row.seq;
        }
        if rows.is_empty() {
            self.signed.drain(..).for_each(|c| line(c.to_json()));
            line(serde_json::json!({ "end": self.until }));
            self.done = true;
        }
        Some(Ok(out))
    }
}
