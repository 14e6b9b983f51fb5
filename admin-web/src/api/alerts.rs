//! Alerts: what somebody has to look at, and who has.

use crate::{
    api::List,
    check::{Check, rfc3339},
    problem::{Lang, Problem, say},
    request::{Body, IdempotencyKey, Language, Params, PathOf, number_cursor, page_limit},
    rights::{AlertCapability, ReadCapability},
    state::{AppState, now},
    words,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use store::{AlertFilter, AlertRow, Clash, StoreError};
use types::{AlertKind, AlertState, Happening, Imsi, Severity};
use utoipa::{IntoParams, ToSchema};

/// An alert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    id: u64,
    /// banned-reuse, device-mismatch, clone-found, clone-suspected, equipment-black, policy-disagreement,
    /// journal-behind, database-behind, copy-behind, disk-full, audit-broken, reconciler-removed, records-lost,
    /// delivery-failing, unusual-place, not-compliant, much-data, privilege-escalation, night-access, alarm.
    #[schema(value_type = String)]
    kind: AlertKind,
    /// info, warning or critical.
    #[schema(value_type = String)]
    severity: Severity,
    /// open, acknowledged or closed.
    #[schema(value_type = String)]
    state: AlertState,
    /// The kind in words, in the language of the request.
    title: String,
    /// What happened last, in words.
    text: String,
    /// What to do.
    advice: String,
    /// Whose, where it is about a SIM.
    #[schema(value_type = Option<String>)]
    imsi: Option<Imsi>,
    /// What it is about; the same again is counted here.
    subject: String,
    /// When it happened first.
    at: String,
    /// When it happened last.
    last: String,
    /// How often.
    count: u64,
    /// What happened last, field by field.
    #[schema(value_type = Object)]
    what: serde_json::Value,
    /// Who acknowledged or closed it.
    by: Option<String>,
    /// Why, in their words.
    reason: Option<String>,
    /// When the state last changed.
    changed: String,
}

impl Alert {
    fn of(r: AlertRow, lang: Lang) -> Self {
        let text = match serde_json::from_value::<Happening>(r.what.clone()) {
            Ok(h) => words::happening(&h).text(lang).to_owned(),
            // Of an older version, or of a kind that has no words of its own.
            Err(_) => r.what.to_string(),
        };
        let some = |t: String| (!t.is_empty()).then_some(t);
        Self {
            id: r.id,
            kind: r.kind,
            severity: r.severity,
            state: r.state,
            title: words::alert(r.kind).text(lang).to_owned(),
            text,
            advice: words::advice(r.kind).text(lang).to_owned(),
            imsi: r.imsi,
            subject: r.subject,
            at: rfc3339(r.at),
            last: rfc3339(r.last),
            count: r.count,
            what: r.what,
            by: some(r.by),
            reason: some(r.reason),
            changed: rfc3339(r.changed),
        }
    }
}

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertQuery {
    /// Only in this state: open, acknowledged or closed.
    #[param(value_type = Option<String>)]
    state: Option<AlertState>,
    /// Only of this kind.
    #[param(value_type = Option<String>)]
    kind: Option<AlertKind>,
    /// Only this severe: info, warning or critical.
    #[param(value_type = Option<String>)]
    severity: Option<Severity>,
    /// Only about this SIM.
    #[param(value_type = Option<String>)]
    imsi: Option<Imsi>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Why an alert is acknowledged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledgement {
    /// Why, or who looks at it; may be left out.
    #[serde(default)]
    reason: String,
}

/// Why an alert is closed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Closing {
    /// What came of it; it goes into the audit.
    #[schema(example = "SIM found in the taxi, card destroyed")]
    reason: String,
}

/// Lists alerts, newest first.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertQuery), security(("token" = ["read"])),
    responses((status = 200, body = List<Alert>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Language(lang): Language,
    Params(q): Params<AlertQuery>,
) -> Result<Json<List<Alert>>, Problem> {
    let filter = AlertFilter { state: q.state, kind: q.kind, severity: q.severity, imsi: q.imsi };
    let before = number_cursor(q.cursor.as_deref())?;
    let page = s.store.alerts(&filter, before, page_limit(q.limit)?).await?;
    Ok(List::of(page, |r| Alert::of(r, lang)))
}

/// Reads an alert.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", tag = "alerts", params(("id" = u64, Path)),
    security(("token" = ["read"])), responses((status = 200, body = Alert)))]
pub(crate) async fn get(
    _: ReadCapability,
    State(s): State<AppState>,
    Language(lang): Language,
    PathOf(id): PathOf<u64>,
) -> Result<Json<Alert>, Problem> {
    let row = s.store.alert(id).await.map_err(|e| of_store(e, id))?;
    Ok(Json(Alert::of(row, lang)))
}

/// Says that somebody looks at an alert. Its repeats are counted and wake nobody, unless it gets worse.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/acknowledge", tag = "alerts",
    params(("id" = u64, Path), IdempotencyKey), request_body = Acknowledgement,
    security(("token" = ["alerts"])), responses((status = 200, body = Alert)))]
pub(crate) async fn acknowledge(
    right: AlertCapability,
    State(s): State<AppState>,
    Language(lang): Language,
    PathOf(id): PathOf<u64>,
    Body(body): Body<Acknowledgement>,
) -> Result<Json<Alert>, Problem> {
    let mut check = Check::default();
    check.label("/reason", &body.reason, 500);
    check.done()?;
    answer(&right, &s, lang, id, AlertState::Acknowledged, &body.reason).await
}

/// Closes an alert with what came of it. The next one of its kind is a new alert.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/close", tag = "alerts",
    params(("id" = u64, Path), IdempotencyKey), request_body = Closing,
    security(("token" = ["alerts"])), responses((status = 200, body = Alert)))]
pub(crate) async fn close(
    right: AlertCapability,
    State(s): State<AppState>,
    Language(lang): Language,
    PathOf(id): PathOf<u64>,
    Body(body): Body<Closing>,
) -> Result<Json<Alert>, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.done()?;
    answer(&right, &s, lang, id, AlertState::Closed, &body.reason).await
}

async fn answer(
    right: &AlertCapability,
    s: &AppState,
    lang: Lang,
    id: u64,
    to: AlertState,
    reason: &str,
) -> Result<Json<Alert>, Problem> {
    let change = right.caller().change(reason, now());
    let row = s.store.answer_alert(id, to, &change).await.map_err(|e| of_store(e, id))?;
    Ok(Json(Alert::of(row, lang)))
}

fn of_store(e: StoreError, id: u64) -> Problem {
    match e {
        StoreError::NotFound => {
            Problem::not_found(say!("there is no alert {id}", "アラート {id} はありません"))
        }
        StoreError::Conflict { what: Clash::Other } => {
            Problem::new(409, "alert-state", say!("It is in that state already", "既にその状態です"))
                .detail(say!(
                    "alert {id} is acknowledged or closed already",
                    "アラート {id} は既に確認済みまたは完了しています"
                ))
                .fix(say!("read it: it says who did that", "アラートを取得すると対応者がわかります"))
        }
        e => e.into(),
    }
}
