//! SIMs: made, changed, suspended, banned, and what happened to them.

use crate::{
    api::{
        List,
        bulk::BulkFilter,
        directory, documents,
        events::EventView,
        page_of_few,
        revocations::{asker, receipt_answer},
        sim_bodies::{BanBody, NewSim, Sim, SimChange, StateRequest, UnbanBody, check_names},
    },
    check::{Check, Kind, rfc3339},
    control::{BanError, BanRequest, UnbanRequest},
    idempotency::HeldClaim,
    problem::{Problem, say},
    receipt::Receipt,
    request::{
        Body, IdempotencyKey, IfMatch, IfMatchHeader, Language, Paging, Params, PathOf, bad_cursor, etag,
        number_cursor, page_limit,
    },
    rights::{BanCapability, Limited, OnSim, ProvisionCapability, Reach, ReadCapability, UnbanCapability},
    state::{AppState, now},
};
use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{SimFilter, SimOrder, SimRow, StateChange};
use types::{Imsi, Name, SimState};
use utoipa::{IntoParams, ToSchema};

/// Which SIMs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SimQuery {
    /// Only SIMs in this state.
    state: Option<String>,
    /// Only members of this group.
    group: Option<String>,
    /// Only SIMs whose IMSI, ICCID or label contains this.
    q: Option<String>,
    /// Only SIMs linked to this device.
    device: Option<String>,
    /// Only SIMs linked to this person, or in a device that the person owns.
    person: Option<String>,
    /// Only SIMs linked to this site.
    site: Option<String>,
    /// imsi (if not given), label, iccid, state, changed or last_seen; with - before it the greatest first. What is equal
    /// stands by IMSI.
    sort: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Lists SIMs, by IMSI or as `sort` says.
#[utoipa::path(get, path = "/api/v1/sims", tag = "sims", params(SimQuery), security(("token" = ["read"])),
    responses((status = 200, body = List<Sim>)))]
pub(crate) async fn list(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    Params(q): Params<SimQuery>,
) -> Result<Json<List<Sim>>, Problem> {
    let mut check = Check::default();
    let SimQuery { state, group, q: text, device, person, site, sort, cursor, limit } = q;
    let which = BulkFilter { state, group, q: text, device, person, site };
    let filter = read_filter(&mut check, "?", &which);
    let order: Option<Option<SimOrder>> = check.maybe("?sort", sort.as_deref(), Kind::SimOrder);
    let mut filter = check.finish(filter)?;
    filter.order = order.flatten().unwrap_or_default();
    let order = filter.order;
    if cursor.as_deref().is_some_and(|c| !order.knows(c)) {
        return Err(bad_cursor());
    }
    let limit = page_limit(limit)?;
    let Reach::Within(limits) = right.reach() else {
        let page = s.store.sims(&filter, cursor.as_deref(), limit).await?;
        return Ok(List::of(page, Sim::from));
    };
    // The most common limit is one group or one site: the store finds its SIMs at once.
    if let [one] = limits.as_slice() {
        let only = |names: &BTreeSet<Name>| names.first().filter(|_| names.len() == 1).cloned();
        filter.group = filter.group.or_else(|| only(&one.groups));
        filter.site = filter.site.or_else(|| only(&one.sites));
    }
    let page = directory::filtered!(
        limit,
        cursor,
        |after| s.store.sims(&filter, after, directory::CHUNK),
        |r: &SimRow| right.reach().contains(&r.place()),
        |r: &SimRow| order.cursor(r)
    );
    Ok(List::of(page, Sim::from))
}

/// Which SIMs, with what is wrong of it at `at` and the field's name.
pub(crate) fn read_filter(check: &mut Check, at: &str, f: &BulkFilter) -> Option<SimFilter> {
    let state = check.maybe(&format!("{at}state"), f.state.as_deref(), Kind::State);
    let mut name = |field: &str, text: &Option<String>| {
        check.maybe(&format!("{at}{field}"), text.as_deref(), Kind::Name)
    };
    let (group, device) = (name("group", &f.group), name("device", &f.device));
    let (person, site) = (name("person", &f.person), name("site", &f.site));
    Some(SimFilter {
        state: state?,
        group: group?,
        text: f.q.clone().filter(|t| !t.is_empty()),
        device: device?,
        person: person?,
        site: site?,
        order: SimOrder::default(),
    })
}

/// Makes a SIM. Its keys are sealed at once and come out nowhere.
#[utoipa::path(post, path = "/api/v1/sims", tag = "sims", params(IdempotencyKey), request_body = NewSim,
    security(("token" = ["provision"])), responses((status = 201, body = Sim)))]
pub(crate) async fn create(
    right: Limited<ProvisionCapability>,
    State(s): State<AppState>,
    Body(body): Body<NewSim>,
) -> Result<Response, Problem> {
    let (mut row, keys) = body.read(now())?;
    let right = right.change(None, &row.place())?;
    check_names(&s, &row.dnns, &row.groups, &row.static_ips).await?;
    directory::check_links(&s, &row.links).await?;
    let sealed = s.control.seal(row.imsi, keys).await?;
    row.sealed = Some(sealed.keys);
    row.fingerprint = Some(sealed.fingerprint);
    let made = s.store.create_sim(row, &right.caller().change("", now())).await?;
    tell(&s, &made, !made.groups.is_empty()).await;
    let location = format!("/api/v1/sims/{}", made.imsi);
    let mut r = answer(StatusCode::CREATED, made);
    if let Ok(v) = location.parse() {
        r.headers_mut().insert(header::LOCATION, v);
    }
    Ok(r)
}

/// Reads a SIM.
#[utoipa::path(get, path = "/api/v1/sims/{imsi}", tag = "sims", params(("imsi" = String, Path)),
    security(("token" = ["read"])), responses((status = 200, body = Sim)))]
pub(crate) async fn get(
    _: OnSim<ReadCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, sim(&s, imsi).await?))
}

/// Changes a SIM's label, card, data networks, addresses, groups, rates or device. State and keys are not changed
/// here.
#[utoipa::path(patch, path = "/api/v1/sims/{imsi}", tag = "sims",
    params(("imsi" = String, Path), IfMatchHeader), request_body = SimChange,
    security(("token" = ["provision"])), responses((status = 200, body = Sim)))]
pub(crate) async fn change(
    _: OnSim<ProvisionCapability>,
    right: Limited<ProvisionCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    expect: IfMatch,
    Body(body): Body<SimChange>,
) -> Result<Response, Problem> {
    let edit = body.read()?;
    let old = sim(&s, imsi).await?;
    let mut links = old.links.clone();
    for (to, from) in [
        (&mut links.device, &edit.linked_device),
        (&mut links.person, &edit.person),
        (&mut links.site, &edit.site),
    ] {
        if let Some(v) = from {
            *to = v.clone();
        }
    }
    let dnns = edit.dnns.as_ref().unwrap_or(&old.dnns);
    let groups = edit.groups.as_ref().unwrap_or(&old.groups);
    let ips = edit.static_ips.as_ref().unwrap_or(&old.static_ips);
    let after = store::Place { groups: groups.clone(), site: links.site.clone() };
    // Who is limited changes the very version that was looked at.
    let expect = match right.reach() {
        Reach::Everywhere => expect.0,
        Reach::Within(_) => expect.0.or(Some(old.version)),
    };
    let right = right.change(Some(&old.place()), &after)?;
    check_names(&s, dnns, groups, ips).await?;
    if links != old.links {
        directory::check_links(&s, &links).await?;
    }
    let change = right.caller().change("", now());
    let made = s.store.change_sim(imsi, expect, None, edit, &change).await?;
    tell(&s, &made, made.groups != old.groups).await;
    Ok(answer(StatusCode::OK, made))
}

/// Changes a SIM's state: suspend, resume, retire, back to stock. A suspended or retired SIM's sessions end.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/state", tag = "sims",
    params(("imsi" = String, Path), IdempotencyKey), request_body = StateRequest,
    security(("token" = ["provision"])), responses((status = 200, body = Sim)))]
pub(crate) async fn change_state(
    OnSim(right): OnSim<ProvisionCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<StateRequest>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.ticket(body.ticket.as_deref());
    let state: Option<SimState> = check.parse("/state", &body.state, Kind::State);
    if state.is_some_and(SimState::is_banned) {
        check.add(
            "/state",
            say!("a ban has a route of its own", "停止 (ban) には専用のルートがあります"),
            Some(say!("POST /api/v1/sims/{imsi}/ban", "POST /api/v1/sims/{imsi}/ban を使ってください")),
        );
    }
    let state = check.finish(state)?;
    let ticket = body.ticket.unwrap_or_default();
    let change = store::Change { ticket, ..right.caller().change(&body.reason, now()) };
    let made =
        s.store.change_sim_state(imsi, state, StateChange::Ordinary, &change).await.map_err(|e| match e {
            store::StoreError::NotFound => no_such_sim(imsi),
            store::StoreError::Transition(ref t) if t.from.is_banned() => Problem::from(e).fix(say!(
                "an unban has a right and a route of its own: POST /api/v1/sims/{imsi}/unban",
                "停止の解除には専用の権限とルートがあります: POST /api/v1/sims/{imsi}/unban"
            )),
            e => e.into(),
        })?;
    tell(&s, &made, false).await;
    Ok(answer(StatusCode::OK, made))
}

/// Bans a SIM as lost or stolen: cut first, then recorded, then answered with a receipt.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/ban", tag = "sims",
    params(("imsi" = String, Path), IdempotencyKey), request_body = BanBody,
    security(("token" = ["ban"])), responses((status = 200, body = Receipt)))]
pub(crate) async fn ban(
    OnSim(right): OnSim<BanCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    claim: Option<Extension<HeldClaim>>,
    Body(body): Body<BanBody>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.ticket(body.ticket.as_deref());
    let state = one_of(&mut check, &body.state, &[SimState::Lost, SimState::Stolen]);
    let state = check.finish(state)?;
    let asker = asker(right.caller(), body.reason, body.ticket.unwrap_or_default(), claim);
    receipt_answer(imsi, s.control.ban(&right, BanRequest { imsi, state, asker }).await)
}

/// Takes a ban back. A right of its own, with a reason; where a second person is needed (202), it waits for them.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/unban", tag = "sims",
    params(("imsi" = String, Path), IdempotencyKey), request_body = UnbanBody,
    security(("token" = ["unban"])),
    responses((status = 200, body = Receipt), (status = 202, body = super::unbans::UnbanRequestView)))]
pub(crate) async fn unban(
    OnSim(right): OnSim<UnbanCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<UnbanBody>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.ticket(body.ticket.as_deref());
    let ends = [SimState::Active, SimState::Suspended, SimState::Stock];
    let state = one_of(&mut check, body.state.as_deref().unwrap_or("active"), &ends);
    let state = check.finish(state)?;
    let asker = asker(right.caller(), body.reason, body.ticket.unwrap_or_default(), None);
    let request = UnbanRequest { imsi, state, asker, approves: None };
    if s.control.second_person() {
        return super::unbans::ask(&s, &right, request).await;
    }
    receipt_answer(imsi, s.control.unban(&right, request).await)
}

/// What happened to a SIM, newest first.
#[utoipa::path(get, path = "/api/v1/sims/{imsi}/timeline", tag = "sims",
    params(("imsi" = String, Path), Paging), security(("token" = ["read"])),
    responses((status = 200, body = List<EventView>)))]
pub(crate) async fn timeline(
    _: OnSim<ReadCapability>,
    State(s): State<AppState>,
    Language(lang): Language,
    PathOf(imsi): PathOf<Imsi>,
    Params(p): Params<Paging>,
) -> Result<Json<List<EventView>>, Problem> {
    let before = number_cursor(p.cursor.as_deref())?;
    let limit = page_limit(p.limit)?;
    sim(&s, imsi).await?;
    let page = s.store.timeline(imsi, before, limit).await?;
    Ok(List::of(page, |r| EventView::of(r, lang)))
}

/// A change of a SIM's state that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StateChanged {
    at: String,
    /// State before.
    from: String,
    /// State after.
    to: String,
    /// Who.
    actor: String,
    /// Why, in their words.
    reason: String,
    /// Number of the ticket that asked for it; may be empty.
    ticket: String,
}

/// Most changes of one SIM's state that are shown.
const HISTORY: u32 = 10_000;

/// Every change of a SIM's state, newest first. It is kept as long as the SIM is, longer than the timeline.
#[utoipa::path(get, path = "/api/v1/sims/{imsi}/history", tag = "sims",
    params(("imsi" = String, Path), Paging), security(("token" = ["read"])),
    responses((status = 200, body = List<StateChanged>)))]
pub(crate) async fn history(
    _: OnSim<ReadCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Params(p): Params<Paging>,
) -> Result<Json<List<StateChanged>>, Problem> {
    sim(&s, imsi).await?;
    let page = page_of_few(s.store.sim_history(imsi, HISTORY).await?, &p, |h| h.seq.to_string())?;
    Ok(List::of(page, |h| StateChanged {
        at: rfc3339(h.at),
        from: h.from.to_string(),
        to: h.to.to_string(),
        actor: h.actor,
        reason: h.reason,
        ticket: h.ticket,
    }))
}

async fn sim(s: &AppState, imsi: Imsi) -> Result<SimRow, Problem> {
    s.store.sim(imsi).await.map_err(|e| match e {
        store::StoreError::NotFound => no_such_sim(imsi),
        e => e.into(),
    })
}

pub(crate) fn no_such_sim(imsi: Imsi) -> Problem {
    Problem::not_found(say!("there is no SIM with IMSI {imsi}", "IMSI {imsi} の SIM はありません"))
}

/// The running system reads the SIM again. Should it not answer, the change is stored all the same and its reconciler
/// finds it.
async fn tell(s: &AppState, sim: &SimRow, groups_changed: bool) {
    tell_of(s, sim.imsi).await;
    if groups_changed {
        documents::put_in_force(s).await;
    }
}

/// As [`tell`], of the SIM alone.
pub(crate) async fn tell_of(s: &AppState, imsi: Imsi) {
    if let Err(e) = s.control.sim_changed(imsi).await {
        tracing::error!(%imsi, "the change of SIM {imsi} is stored but not in force yet: {e}");
    }
}

pub(crate) fn one_of(check: &mut Check, text: &str, allowed: &[SimState]) -> Option<SimState> {
    let state: SimState = check.parse("/state", text, Kind::State)?;
    if allowed.contains(&state) {
        return Some(state);
    }
    let words: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let words = words.join(", ");
    check.add(
        "/state",
        say!("{state} is not possible here", "ここでは {state} を指定できません"),
        Some(say!("give one of {words}", "次のいずれかを指定してください: {words}")),
    );
    None
}

/// Why a ban was not answered with a receipt.
pub(crate) fn ban_problem(imsi: Imsi, e: BanError) -> Problem {
    match e {
        BanError::NotFound => no_such_sim(imsi),
        BanError::NotAllowed(t) => store::StoreError::Transition(t).into(),
        BanError::Control(e) => e.into(),
        BanError::CutNotStored(r) => {
            let view = serde_json::to_value(*r).unwrap_or_default();
            Problem::new(503, "cut-not-stored", say!("Cut, not stored", "遮断済み・未保存"))
                .detail(say!(
                    "no packet of this SIM passes, but the ban could be stored nowhere and holds only until the gateway restarts",
                    "この SIM の通信は遮断されていますが、停止をどこにも保存できておらず、ゲートウェイの再起動までしか有効ではありません"
                ))
                .fix(say!(
                    "repair the journal's disk or the database, then send the ban again",
                    "ジャーナルのディスクまたはデータベースを復旧し、停止をもう一度送信してください"
                ))
                .with("receipt", view)
        }
    }
}

fn answer(status: StatusCode, s: SimRow) -> Response {
    let tag = etag(s.version);
    (status, [(header::ETAG, tag)], Json(Sim::from(s))).into_response()
}
