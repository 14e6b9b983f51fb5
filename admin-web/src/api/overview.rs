//! The first screen: what is there, what runs, what is open. And what this machine lacks.

use crate::{
    check::rfc3339,
    control::MachineFinding,
    problem::{Lang, Problem},
    request::Language,
    rights::{Limited, ReadCapability},
    state::{AppState, now},
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// Counts of what is there and what runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// When it was counted.
    at: String,
    sims: SimCounts,
    /// Sessions that are live.
    sessions: u64,
    /// UEs that are registered.
    ues: u64,
    /// Radios that are connected.
    gnbs: u64,
    /// SIMs in the gateway's revoked set.
    revoked: u64,
    /// Alerts by state and severity; what is not there is none.
    alerts: Vec<AlertCount>,
    /// True where every part works.
    ready: bool,
    /// Parts that do not.
    parts_down: Vec<String>,
}

/// SIMs by state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimCounts {
    total: u64,
    states: Vec<StateCount>,
}

/// SIMs in one state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StateCount {
    state: String,
    count: u64,
}

/// Alerts of one state and severity.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertCount {
    state: String,
    severity: String,
    count: u64,
}

/// Live counts: SIMs by state, sessions, radios, alerts, parts that are down.
#[utoipa::path(get, path = "/api/v1/overview", tag = "system", security(("token" = ["read"])),
    responses((status = 200, body = Overview)))]
pub(crate) async fn overview(
    _: ReadCapability,
    State(s): State<AppState>,
) -> Result<Json<Overview>, Problem> {
    let status = s.control.status().await;
    let states = s.store.count_sims().await?;
    let alerts = s.store.count_alerts().await?;
    Ok(Json(Overview {
        at: rfc3339(now()),
        sims: SimCounts {
            total: states.iter().map(|(_, n)| n).sum(),
            states: states.into_iter().map(|(s, count)| StateCount { state: s.to_string(), count }).collect(),
        },
        sessions: status.sessions,
        ues: status.ues,
        gnbs: status.gnbs.len() as u64,
        revoked: status.revoked,
        alerts: alerts
            .into_iter()
            .map(|(state, severity, count)| AlertCount {
                state: state.to_string(),
                severity: severity.to_string(),
                count,
            })
            .collect(),
        ready: status.ready(),
        parts_down: status.parts.iter().filter(|p| !p.up).map(|p| p.name.to_owned()).collect(),
    }))
}

/// What was looked at on this machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Findings {
    /// When it was looked at.
    at: String,
    items: Vec<FindingView>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub(crate) struct FindingView {
    /// A stable word for it.
    code: &'static str,
    /// What was looked at.
    what: String,
    /// good, note or bad.
    state: &'static str,
    /// What was seen.
    seen: String,
    /// The command that mends it, as it is typed on the machine; null where there is none.
    command: Option<String>,
    /// What to do, in words; null where nothing is to be done.
    fix: Option<String>,
}

impl FindingView {
    fn of(f: MachineFinding, lang: Lang) -> Self {
        Self {
            code: f.code,
            what: f.what.text(lang).to_owned(),
            state: f.state.as_str(),
            seen: f.seen.text(lang).to_owned(),
            command: f.command,
            fix: f.fix.map(|t| t.text(lang).to_owned()),
        }
    }
}

/// What `sekisho doctor` says of the machine that answers: set-up faults, each with what mends it.
#[utoipa::path(get, path = "/api/v1/system/findings", tag = "system", security(("token" = ["read"])),
    responses((status = 200, body = Findings)))]
pub(crate) async fn findings(
    _: Limited<ReadCapability>,
    State(s): State<AppState>,
    Language(lang): Language,
) -> Json<Findings> {
    let items = s.control.findings().await.into_iter().map(|f| FindingView::of(f, lang)).collect();
    Json(Findings { at: rfc3339(now()), items })
}
