//! Changes of state that are to happen later: planned ones, and end dates of contracts.

use crate::{
    api::{List, sims::no_such_sim},
    check::{Check, Kind, Time, rfc3339},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, Paging, Params, PathOf, number_cursor, page_limit},
    rights::{Capability, Limited, OnSim, ProvisionCapability, Reach, ReadCapability, outside},
    state::{AppState, now},
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use store::{Change, ScheduleFilter, ScheduleKind, ScheduleRow, ScheduleState, StoreError};
use types::{Imsi, SimState, Utc};
use utoipa::{IntoParams, ToSchema};

/// A change of state that is to happen later, or did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Schedule {
    id: u64,
    imsi: String,
    /// planned or end-date.
    kind: String,
    /// When it is due.
    at: String,
    /// suspend, resume or retire.
    action: &'static str,
    /// Who planned it.
    actor: String,
    reason: String,
    ticket: String,
    created: String,
    /// waiting, done, dropped or cancelled.
    state: String,
    ended: Option<String>,
    /// Why it was dropped: banned (an unban is never scheduled), retired, not-suspended, already or not-allowed.
    outcome: Option<String>,
}

impl From<ScheduleRow> for Schedule {
    fn from(s: ScheduleRow) -> Self {
        Self {
            id: s.id,
            imsi: s.imsi.to_string(),
            kind: s.kind.to_string(),
            at: rfc3339(s.at),
            action: match s.to {
                SimState::Active => "resume",
                SimState::Retired => "retire",
                _ => "suspend",
            },
            actor: s.actor,
            reason: s.reason,
            ticket: s.ticket,
            created: rfc3339(s.created),
            state: s.state.to_string(),
            ended: s.ended.map(rfc3339),
            outcome: s.outcome,
        }
    }
}

/// A change of state to be planned.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSchedule {
    /// When; in the future.
    #[schema(example = "2027-01-31T09:00:00Z")]
    at: String,
    /// suspend, resume or retire.
    action: String,
    /// Why.
    reason: String,
    /// Number of the ticket that asked for it.
    ticket: Option<String>,
}

/// The end of a contract.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndDate {
    /// From when on the SIM is suspended; null takes the end date away.
    at: Option<String>,
    /// Why.
    reason: String,
    /// Number of the ticket that asked for it.
    ticket: Option<String>,
}

/// The end date that waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndDateView {
    /// null where the SIM has none.
    ends_at: Option<String>,
    /// Number of its schedule.
    schedule: Option<u64>,
}

/// Which schedules.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScheduleQuery {
    /// Only those in this state: waiting, done, dropped or cancelled.
    state: Option<String>,
    /// Only planned ones, or only those of kind end-date.
    kind: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Lists schedules of all SIMs.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "schedules", params(ScheduleQuery),
    security(("token" = ["read"])), responses((status = 200, body = List<Schedule>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(q): Params<ScheduleQuery>,
) -> Result<Json<List<Schedule>>, Problem> {
    let mut check = Check::default();
    let state: Option<Option<ScheduleState>> = check.maybe("?state", q.state.as_deref(), Kind::ScheduleState);
    let kind: Option<Option<ScheduleKind>> = check.maybe("?kind", q.kind.as_deref(), Kind::Schedule);
    check.done()?;
    let filter = ScheduleFilter { imsi: None, state: state.flatten(), kind: kind.flatten() };
    let after = number_cursor(q.cursor.as_deref())?;
    Ok(List::of(s.store.schedules(&filter, after, page_limit(q.limit)?).await?, Schedule::from))
}

/// Reads a schedule.
#[utoipa::path(get, path = "/api/v1/schedules/{id}", tag = "schedules", params(("id" = u64, Path)),
    security(("token" = ["read"])), responses((status = 200, body = Schedule)))]
pub(crate) async fn get(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    PathOf(id): PathOf<u64>,
) -> Result<Json<Schedule>, Problem> {
    let (_, row) = of_known_sim(right, &s, id).await?;
    Ok(Json(row.into()))
}

/// Takes a schedule that waits back.
#[utoipa::path(delete, path = "/api/v1/schedules/{id}", tag = "schedules",
    params(("id" = u64, Path), IdempotencyKey), security(("token" = ["provision"])),
    responses((status = 200, body = Schedule)))]
pub(crate) async fn cancel(
    right: Limited<ProvisionCapability>,
    State(s): State<AppState>,
    PathOf(id): PathOf<u64>,
) -> Result<Json<Schedule>, Problem> {
    let (right, _) = of_known_sim(right, &s, id).await?;
    let change = right.caller().change("", now());
    let row = s.store.cancel_schedule(id, &change).await.map_err(|e| no_schedule(id, e))?;
    s.control.schedules_changed().await;
    Ok(Json(row.into()))
}

/// Lists what is planned for a SIM, and what was.
#[utoipa::path(get, path = "/api/v1/sims/{imsi}/schedule", tag = "schedules",
    params(("imsi" = String, Path), Paging), security(("token" = ["read"])),
    responses((status = 200, body = List<Schedule>)))]
pub(crate) async fn of_sim(
    _: OnSim<ReadCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Params(p): Params<Paging>,
) -> Result<Json<List<Schedule>>, Problem> {
    let (after, limit) = (number_cursor(p.cursor.as_deref())?, page_limit(p.limit)?);
    s.store.sim(imsi).await.map_err(|e| no_sim(imsi, e))?;
    let filter = ScheduleFilter { imsi: Some(imsi), ..ScheduleFilter::default() };
    Ok(List::of(s.store.schedules(&filter, after, limit).await?, Schedule::from))
}

/// Plans a suspension, a resumption or a retirement. A ban is never taken back by a schedule.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/schedule", tag = "schedules",
    params(("imsi" = String, Path), IdempotencyKey), request_body = NewSchedule,
    security(("token" = ["provision"])), responses((status = 201, body = Schedule)))]
pub(crate) async fn create(
    OnSim(right): OnSim<ProvisionCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<NewSchedule>,
) -> Result<(StatusCode, Json<Schedule>), Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.ticket(body.ticket.as_deref());
    let at = future(&mut check, Some(&body.at)).flatten();
    let to = match body.action.as_str() {
        "suspend" => Some(SimState::Suspended),
        "resume" => Some(SimState::Active),
        "retire" => Some(SimState::Retired),
        _ => {
            check.add(
                "/action",
                say!("this cannot be planned", "この操作は予約できません"),
                Some(say!(
                    "give suspend, resume or retire; bans and unbans are never scheduled",
                    "suspend、resume、retire のいずれかを指定してください (停止とその解除は予約できません)"
                )),
            );
            None
        }
    };
    let (at, to) = check.finish(at.zip(to))?;
    let ticket = body.ticket.unwrap_or_default();
    let change = Change { ticket, ..right.caller().change(&body.reason, now()) };
    let row = s.store.add_schedule(imsi, at, to, &change).await.map_err(|e| no_sim(imsi, e))?;
    s.control.schedules_changed().await;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// Sets the end date of a SIM (a contractor's, say): it is suspended from then on.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/end-date", tag = "schedules",
    params(("imsi" = String, Path), IdempotencyKey), request_body = EndDate,
    security(("token" = ["provision"])), responses((status = 200, body = EndDateView)))]
pub(crate) async fn end_date(
    OnSim(right): OnSim<ProvisionCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<EndDate>,
) -> Result<Json<EndDateView>, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.ticket(body.ticket.as_deref());
    let at = future(&mut check, body.at.as_deref());
    let at = check.finish(at)?;
    let ticket = body.ticket.unwrap_or_default();
    let change = Change { ticket, ..right.caller().change(&body.reason, now()) };
    let row = s.store.set_end_date(imsi, at, &change).await.map_err(|e| no_sim(imsi, e))?;
    s.control.schedules_changed().await;
    let (ends_at, schedule) = (row.as_ref().map(|r| rfc3339(r.at)), row.map(|r| r.id));
    Ok(Json(EndDateView { ends_at, schedule }))
}

/// A time that may be absent, and that is not past.
#[allow(clippy::option_option, reason = "wrong, absent, there: as the other parsers of a body")]
fn future(check: &mut Check, text: Option<&str>) -> Option<Option<Utc>> {
    let at: Option<Time> = check.maybe("/at", text, Kind::Time)?;
    if at.is_some_and(|t| t.0 <= now()) {
        check.add(
            "/at",
            say!("this time is past", "過去の時刻です"),
            Some(say!(
                "give a time in the future; what is to happen now is POST /api/v1/sims/{{imsi}}/state",
                "未来の時刻を指定してください。今すぐ行う場合は POST /api/v1/sims/{{imsi}}/state を使ってください"
            )),
        );
        return None;
    }
    Some(at.map(|t| t.0))
}

/// A schedule, and the right to the SIM that it is for.
async fn of_known_sim<C: Capability>(
    right: Limited<C>,
    s: &AppState,
    id: u64,
) -> Result<(C, ScheduleRow), Problem> {
    // Who is limited learns of no schedule outside, not even that there is none.
    let row = match s.store.schedule(id).await {
        Err(StoreError::NotFound) if *right.reach() != Reach::Everywhere => return Err(outside()),
        row => row.map_err(|e| no_schedule(id, e))?,
    };
    Ok((right.on_sim(s, row.imsi).await?, row))
}

fn no_sim(imsi: Imsi, e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => no_such_sim(imsi),
        e => e.into(),
    }
}

fn no_schedule(id: u64, e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => {
            Problem::not_found(say!("there is no schedule {id} that waits", "待機中の予約 {id} はありません"))
        }
        e => e.into(),
    }
}
