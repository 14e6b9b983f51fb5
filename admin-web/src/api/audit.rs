//! Who changed what.

use crate::{
    api::List,
    check::{Check, Kind, Time, rfc3339},
    problem::Problem,
    request::{Params, number_cursor, page_limit},
    rights::AuditCapability,
    state::AppState,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use store::{AuditFilter, AuditRow};
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
