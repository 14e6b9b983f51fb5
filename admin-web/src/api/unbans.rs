//! Unbans that wait for a second person.

use crate::{
    api::{List, revocations::receipt_answer},
    check::{Check, rfc3339},
    control::{Asker, ControlError, DeviceUnban, RestrictOutcome, UnbanRequest},
    problem::{Problem, say},
    receipt::Receipt,
    request::{Body, IdempotencyKey, Params, PathOf, one_of, page_limit},
    rights::{ApproveCapability, ReadCapability, UnbanCapability, same_person},
    state::{AppState, now},
};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse, response::Response};
use serde::{Deserialize, Serialize};
use store::{StoreError, UnbanOf, UnbanRequestRow};
use types::{DevicePattern, Utc};
use utoipa::{IntoParams, ToSchema};

/// How long somebody may agree, milliseconds: a day.
const OPEN_MS: i64 = 86_400_000;

/// An unban that waits for a second person, or did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnbanRequest)]
pub(crate) struct UnbanRequestView {
    id: String,
    at: String,
    /// Until when somebody may agree.
    expires: String,
    /// The SIM; none where it is of a device.
    imsi: Option<String>,
    /// The device, by its 14 digits.
    device: Option<String>,
    /// State that the SIM is to get.
    to: Option<String>,
    asked_by: String,
    reason: String,
    ticket: String,
    /// open, approved, refused or expired.
    state: String,
    decided_by: Option<String>,
    decided: Option<String>,
    /// What they said.
    words: Option<String>,
}

impl From<UnbanRequestRow> for UnbanRequestView {
    fn from(r: UnbanRequestRow) -> Self {
        let (imsi, device, to) = match r.of {
            UnbanOf::Sim { imsi, to } => (Some(imsi.to_string()), None, Some(to.to_string())),
            UnbanOf::Device(device) => (None, Some(device.to_string()), None),
        };
        let late = r.state == "open" && r.expires <= now();
        Self {
            id: r.id,
            at: rfc3339(r.at),
            expires: rfc3339(r.expires),
            imsi,
            device,
            to,
            asked_by: r.asked_by,
            reason: r.reason,
            ticket: r.ticket,
            state: if late { "expired".to_owned() } else { r.state },
            decided_by: r.decided_by,
            decided: r.decided.map(rfc3339),
            words: r.words,
        }
    }
}

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UnbanQuery {
    /// Only in this state: open, approved, refused, expired.
    state: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// The second person's words.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// Why.
    reason: String,
}

/// Writes an unban down as a request that a second person has to agree to.
pub(crate) async fn ask(
    s: &AppState,
    right: &UnbanCapability,
    request: UnbanRequest,
) -> Result<Response, Problem> {
    let sim = s.store.sim(request.imsi).await.map_err(|e| match e {
        StoreError::NotFound => super::sims::no_such_sim(request.imsi),
        e => e.into(),
    })?;
    if !sim.state.is_banned() || sim.state.change_to(request.state).is_err() {
        let t = types::TransitionError { from: sim.state, to: request.state };
        return Err(StoreError::Transition(t).into());
    }
    ask_for(s, right, UnbanOf::Sim { imsi: request.imsi, to: request.state }, request.asker).await
}

/// The same for a device.
pub(crate) async fn ask_device(
    s: &AppState,
    right: &UnbanCapability,
    request: DeviceUnban,
) -> Result<Response, Problem> {
    let banned = s.store.restrictions().await?;
    let device = request.device.to_string();
    if !banned.iter().any(|r| r.kind == "device" && r.value == device) {
        return Err(not_banned(request.device));
    }
    ask_for(s, right, UnbanOf::Device(request.device), request.asker).await
}

async fn ask_for(
    s: &AppState,
    right: &UnbanCapability,
    of: UnbanOf,
    asker: Asker,
) -> Result<Response, Problem> {
    let at = now();
    let row = UnbanRequestRow {
        id: new_id(at),
        at,
        expires: Utc(at.0.saturating_add(OPEN_MS)),
        of,
        asked_by: asker.actor,
        reason: asker.reason.clone(),
        ticket: asker.ticket,
        state: "open".to_owned(),
        decided_by: None,
        decided: None,
        words: None,
    };
    s.store.ask_unban(row.clone(), &right.caller().change(&row.reason, at)).await.map_err(|e| match e {
        StoreError::Conflict { .. } => Problem::new(
            409,
            "unban-asked",
            say!("An unban of it is asked for already", "停止解除は申請済みです"),
        )
        .fix(say!(
            "let somebody with the right approve decide it: GET /api/v1/unban-requests?state=open",
            "approve 権限を持つ人の判断を待ってください (GET /api/v1/unban-requests?state=open)"
        )),
        e => e.into(),
    })?;
    Ok((StatusCode::ACCEPTED, Json(UnbanRequestView::from(row))).into_response())
}

/// Lists unbans that wait, or waited, for a second person, newest first.
#[utoipa::path(get, path = "/api/v1/unban-requests", tag = "revocations", params(UnbanQuery),
    security(("token" = ["read"])), responses((status = 200, body = List<UnbanRequestView>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(q): Params<UnbanQuery>,
) -> Result<Json<List<UnbanRequestView>>, Problem> {
    one_of("?state", q.state.as_deref(), &["open", "approved", "refused", "expired"])?;
    let page = s.store.unban_requests(q.state, q.cursor.as_deref(), page_limit(q.limit)?).await?;
    Ok(List::of(page, UnbanRequestView::from))
}

/// Agrees to an unban that somebody else asked for, and carries it out.
#[utoipa::path(post, path = "/api/v1/unban-requests/{id}/approve", tag = "revocations",
    params(("id" = String, Path), IdempotencyKey), request_body = Decision,
    security(("token" = ["approve"])),
    responses((status = 200, body = Receipt, description = "The unban's receipt; of a device: Restricted")))]
pub(crate) async fn approve(
    right: ApproveCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
    Body(body): Body<Decision>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.done()?;
    let row = open(&s, &id).await?;
    let by = right.caller().actor();
    if same_person(&row.asked_by, &by) {
        return Err(same_person_problem());
    }
    // The right to unban was shown by whoever asked, when they asked.
    let unban = UnbanCapability::asserted_by_this_machine(&row.asked_by);
    let words = body.reason;
    let asker = Asker {
        actor: format!("{}, agreed to by {by}", row.asked_by),
        reason: format!("{}; {words}", row.reason),
        ticket: row.ticket,
        request_id: right.caller().request_id.clone(),
        origin: right.caller().change("", now()).origin,
        claim: None,
    };
    let approves = Some((row.id, by));
    match row.of {
        UnbanOf::Sim { imsi, to } => {
            let request = UnbanRequest { imsi, state: to, asker, approves };
            receipt_answer(imsi, s.control.unban(&unban, request).await)
        }
        UnbanOf::Device(device) => {
            let done = carry_out(&s, &unban, DeviceUnban { device, asker, approves }).await?;
            Ok(Json(done).into_response())
        }
    }
}

/// Takes the ban of a device back.
pub(crate) async fn carry_out(
    s: &AppState,
    right: &UnbanCapability,
    request: DeviceUnban,
) -> Result<RestrictOutcome, Problem> {
    let device = request.device;
    s.control.unban_device(right, request).await.map_err(|e| match e {
        ControlError::NotFound => not_banned(device),
        e => e.into(),
    })
}

fn not_banned(device: DevicePattern) -> Problem {
    Problem::not_found(say!(
        "device {device} is not banned by its IMEI",
        "端末 {device} は IMEI による停止の対象ではありません"
    ))
    .fix(say!(
        "a black entry of the list is changed by PUT /api/v1/equipment/{device}",
        "ブラックリストの登録は PUT /api/v1/equipment/{device} で変更します"
    ))
}

/// Refuses an unban that somebody asked for; the SIM stays banned.
#[utoipa::path(post, path = "/api/v1/unban-requests/{id}/refuse", tag = "revocations",
    params(("id" = String, Path), IdempotencyKey), request_body = Decision,
    security(("token" = ["approve"])), responses((status = 200, body = UnbanRequestView)))]
pub(crate) async fn refuse(
    right: ApproveCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
    Body(body): Body<Decision>,
) -> Result<Json<UnbanRequestView>, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.done()?;
    open(&s, &id).await?;
    let by = right.caller().actor();
    let change = right.caller().change(&body.reason, now());
    let row = s.store.refuse_unban(id, by, &change).await.map_err(|e| match e {
        StoreError::Conflict { .. } => decided(),
        e => e.into(),
    })?;
    Ok(Json(row.into()))
}

async fn open(s: &AppState, id: &str) -> Result<UnbanRequestRow, Problem> {
    let row = s.store.unban_request(id).await.map_err(|e| match e {
        StoreError::NotFound => {
            Problem::not_found(say!("there is no such request", "該当する申請がありません"))
        }
        e => e.into(),
    })?;
    if row.state != "open" || row.expires <= now() {
        return Err(decided());
    }
    Ok(row)
}

fn decided() -> Problem {
    Problem::new(409, "decided", say!("It is decided already", "既に判断済みか期限切れです"))
        .fix(say!("ask for the unban anew", "必要なら停止解除を再申請してください"))
}

/// Nobody agrees to what they asked for themselves.
pub(crate) fn same_person_problem() -> Problem {
    Problem::new(
        403,
        "same-person",
        say!("The second person is another one", "承認は申請者以外が行う必要があります"),
    )
    .fix(say!(
        "let somebody else with the right approve decide",
        "approve 権限を持つ別の人に依頼してください"
    ))
}

/// A name that sorts by time.
pub(crate) fn new_id(at: Utc) -> String {
    let mut b = [0u8; 4];
    // Should the OS refuse randomness, the time alone names it; the table refuses a second one.
    _ = getrandom::fill(&mut b);
    format!("{:012x}{}", at.0.max(0), types::hex(&b))
}
