//! Who changed what.

use crate::{
    api::List,
    check::rfc3339,
    problem::Problem,
    request::{Params, number_cursor, page_limit},
    rights::AuditCapability,
    state::AppState,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use store::AuditRow;
use utoipa::{IntoParams, ToSchema};

/// One line of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// Its number, without gaps.
    seq: u64,
    at: String,
    actor: String,
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
            actor: r.actor,
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
    let page = s.store.audit(q.object, before, page_limit(q.limit)?).await?;
    Ok(List::of(page, AuditEntry::from))
}
