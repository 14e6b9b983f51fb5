//! What a SIM's device must be: its own binding, what it learnt, and the defaults of groups.

use crate::{
    api::{List, equipment::put_in_force, page_of_few},
    check::{Check, rfc3339},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Paging, Params, PathOf, etag},
    rights::{EquipmentCapability, Limited, OnSim, ReadCapability},
    state::{AppState, now},
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use store::{BindingRow, GroupBinding, StoreError};
use types::{Binding, BindingMode, DevicePattern, Imsi, Name, OnClone, WhenMissing};
use utoipa::ToSchema;

/// Most devices or models of one binding.
const ALLOWED: usize = 64;

/// What a device must be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Binding)]
pub(crate) struct BindingBody {
    /// none, observe (any, a change is told), learn (the first device used), model (these models), listed (any that is
    /// white on the company's list) or exact (these devices).
    #[schema(example = "learn", value_type = String)]
    mode: BindingMode,
    /// Devices by 14 digits (`exact`) or models by TAC (`model`); empty for the other modes.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    allowed: Vec<DevicePattern>,
    /// Where the device does not name itself: allow, quarantine or refuse.
    #[serde(default = "refuse")]
    #[schema(value_type = String)]
    when_missing: WhenMissing,
    /// Where a clone of the SIM is proved: alert, or quarantine (and alert). Suspicion alone is an alert.
    #[serde(default = "alert")]
    #[schema(value_type = String)]
    on_clone: OnClone,
}

fn refuse() -> WhenMissing {
    WhenMissing::Refuse
}

fn alert() -> OnClone {
    OnClone::Alert
}

/// A SIM's binding and where it comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimBinding {
    /// Whose.
    #[schema(value_type = String)]
    imsi: Imsi,
    /// What holds.
    binding: BindingBody,
    /// Where it comes from: `sim`, `group:NAME` or `default`.
    source: String,
    /// The device that the SIM was used in, by its 14 digits.
    #[schema(value_type = Option<String>)]
    learned: Option<DevicePattern>,
    /// Since when.
    learned_at: Option<String>,
    /// The SIM's version: the ETag is this number in quotes.
    version: u64,
}

/// A group's default.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GroupBinding)]
pub(crate) struct GroupBindingView {
    /// Whose.
    #[schema(value_type = String)]
    group: Name,
    /// What its SIMs have that have none of their own. Of several groups the strictest counts.
    binding: BindingBody,
    /// Its version: the ETag is this number in quotes.
    version: u64,
    /// When it was last changed.
    changed: String,
}

/// A device that a SIM was in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimDevice {
    /// 14 digits of its IMEI, as it named itself.
    device: String,
    /// When the SIM first came in it.
    first: String,
    /// When it last did.
    last: String,
    /// How often.
    times: u64,
    /// When the SIM was last turned away because of this device; null where it never was.
    refused: Option<String>,
    /// Its id in the directory.
    device_id: Option<String>,
    /// white, grey or black on the company's list, by itself or by its model; null where the list does not name it.
    colour: Option<String>,
}

/// Why what was learnt is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetBody {
    /// Goes into the audit.
    reason: String,
}

impl From<Binding> for BindingBody {
    fn from(b: Binding) -> Self {
        let Binding { mode, allowed, when_missing, on_clone } = b;
        Self { mode, allowed, when_missing, on_clone }
    }
}

impl From<BindingRow> for SimBinding {
    fn from(r: BindingRow) -> Self {
        let source = match (&r.own, &r.inherited) {
            (Some(_), _) => "sim".to_owned(),
            (None, Some((group, _))) => format!("group:{group}"),
            (None, None) => "default".to_owned(),
        };
        Self {
            imsi: r.imsi,
            binding: r.binding().into(),
            source,
            learned: r.learned.map(|l| l.device),
            learned_at: r.learned.map(|l| rfc3339(l.at)),
            version: r.version,
        }
    }
}

impl BindingBody {
    /// The binding, where its list fits its mode.
    fn read(self) -> Result<Binding, Problem> {
        let Self { mode, allowed, when_missing, on_clone } = self;
        let mut check = Check::default();
        fits(&mut check, mode, &allowed);
        check.done()?;
        Ok(Binding { mode, allowed, when_missing, on_clone })
    }
}

/// The list of a binding is of the kind that its mode wants.
fn fits(check: &mut Check, mode: BindingMode, allowed: &[DevicePattern]) {
    let fix = match mode {
        BindingMode::Exact => say!("name devices by 14 digits", "端末を 14 桁で指定してください"),
        BindingMode::Model => {
            say!("name models by their 8-digit TAC", "機種を 8 桁の TAC で指定してください")
        }
        _ => say!(
            "leave it empty, or choose exact or model",
            "空にするか、exact または model を指定してください"
        ),
    };
    let wanted = |p: &DevicePattern| match mode {
        BindingMode::Exact => !p.is_model(),
        BindingMode::Model => p.is_model(),
        _ => false,
    };
    let empty_is_wrong = matches!(mode, BindingMode::Exact | BindingMode::Model) && allowed.is_empty();
    if empty_is_wrong || allowed.len() > ALLOWED {
        check.add(
            "/allowed",
            say!("{mode} names 1 to {ALLOWED}", "{mode} には 1〜{ALLOWED} 件が必要です"),
            Some(fix.clone()),
        );
    }
    for (n, p) in allowed.iter().enumerate().filter(|(_, p)| !wanted(p)) {
        check.add(
            format!("/allowed/{n}"),
            say!("{p} does not fit {mode}", "{p} は {mode} には使えません"),
            Some(fix.clone()),
        );
    }
}

/// Reads what a SIM's device must be, and what it was.
#[utoipa::path(get, path = "/api/v1/sims/{imsi}/binding", tag = "equipment",
    params(("imsi" = String, Path)), security(("token" = ["read"])),
    responses((status = 200, body = SimBinding)))]
pub(crate) async fn get(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
) -> Result<Response, Problem> {
    right.on_sim(&s, imsi).await?;
    let row = s.store.binding(imsi).await.map_err(|e| no_such_sim(imsi, e))?;
    Ok(answer(row))
}

/// Says what a SIM's device must be. If the SIM is in another one, it is sent away at once.
#[utoipa::path(put, path = "/api/v1/sims/{imsi}/binding", tag = "equipment",
    params(("imsi" = String, Path), IfMatchHeader), request_body = BindingBody,
    security(("token" = ["equipment"])), responses((status = 200, body = SimBinding)))]
pub(crate) async fn put(
    OnSim(right): OnSim<EquipmentCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    expect: IfMatch,
    Body(body): Body<BindingBody>,
) -> Result<Response, Problem> {
    let binding = body.read()?;
    bind(&s, &right, imsi, Some(binding), expect).await.map(answer)
}

/// Takes a SIM's own binding away: that of its groups holds, or the default.
#[utoipa::path(delete, path = "/api/v1/sims/{imsi}/binding", tag = "equipment",
    params(("imsi" = String, Path), IfMatchHeader), security(("token" = ["equipment"])),
    responses((status = 204, description = "Taken away")))]
pub(crate) async fn delete(
    OnSim(right): OnSim<EquipmentCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    expect: IfMatch,
) -> Result<StatusCode, Problem> {
    bind(&s, &right, imsi, None, expect).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn bind(
    s: &AppState,
    right: &EquipmentCapability,
    imsi: Imsi,
    binding: Option<Binding>,
    expect: IfMatch,
) -> Result<BindingRow, Problem> {
    let change = right.caller().change("", now());
    let row = s.store.bind_sim(imsi, binding, expect.0, &change).await.map_err(|e| no_such_sim(imsi, e))?;
    if let Err(e) = s.control.sim_changed(imsi).await {
        tracing::error!(%imsi, "the binding of SIM {imsi} is stored but not in force yet: {e}");
    }
    Ok(row)
}

/// The devices that a SIM was in, the last one first: at most 100, as they named themselves.
#[utoipa::path(get, path = "/api/v1/sims/{imsi}/devices", tag = "equipment",
    params(("imsi" = String, Path), Paging), security(("token" = ["read"])),
    responses((status = 200, body = List<SimDevice>)))]
pub(crate) async fn devices(
    _: OnSim<ReadCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Params(p): Params<Paging>,
) -> Result<Json<List<SimDevice>>, Problem> {
    s.store.sim(imsi).await?;
    let page = page_of_few(s.store.sightings(imsi).await?, &p, |d| d.device.to_string())?;
    Ok(List::of(page, |d| SimDevice {
        device: d.device.to_string(),
        first: rfc3339(d.first),
        last: rfc3339(d.last),
        times: d.times,
        refused: d.refused.map(rfc3339),
        device_id: d.known.map(|n| n.to_string()),
        colour: d.colour.map(|c| c.to_string()),
    }))
}

/// Forgets the device that a SIM was used in: the next one is learnt.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/binding/reset", tag = "equipment",
    params(("imsi" = String, Path), IdempotencyKey), request_body = ResetBody,
    security(("token" = ["equipment"])), responses((status = 200, body = SimBinding)))]
pub(crate) async fn reset(
    OnSim(right): OnSim<EquipmentCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<ResetBody>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.done()?;
    let change = right.caller().change(&body.reason, now());
    let row = s.store.forget_device(imsi, &change).await.map_err(|e| no_such_sim(imsi, e))?;
    if let Err(e) = s.control.device_forgotten(imsi).await {
        tracing::error!(%imsi, "the device of SIM {imsi} is forgotten in the store but not in force yet: {e}");
    }
    Ok(answer(row))
}

/// Reads a group's default.
#[utoipa::path(get, path = "/api/v1/groups/{name}/binding", tag = "equipment",
    params(("name" = String, Path)), security(("token" = ["read"])),
    responses((status = 200, body = GroupBindingView)))]
pub(crate) async fn get_group(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(group): PathOf<Name>,
) -> Result<Response, Problem> {
    let row = s.store.group_binding(&group).await.map_err(|e| no_such_group(&group, e))?;
    Ok(answer_group(row))
}

/// Gives a group a default, or replaces it. If-Match is "0" where it has none.
#[utoipa::path(put, path = "/api/v1/groups/{name}/binding", tag = "equipment",
    params(("name" = String, Path), IfMatchHeader), request_body = BindingBody,
    security(("token" = ["equipment"])), responses((status = 200, body = GroupBindingView)))]
pub(crate) async fn put_group(
    right: EquipmentCapability,
    State(s): State<AppState>,
    PathOf(group): PathOf<Name>,
    expect: IfMatch,
    Body(body): Body<BindingBody>,
) -> Result<Response, Problem> {
    let binding = body.read()?;
    let change = right.caller().change("", now());
    let made = s.store.bind_group(group.clone(), Some(binding), expect.0, &change).await;
    let row = made.map_err(|e| no_such_group(&group, e))?.ok_or_else(Problem::internal)?;
    put_in_force(&s).await;
    Ok(answer_group(row))
}

/// Takes a group's default away.
#[utoipa::path(delete, path = "/api/v1/groups/{name}/binding", tag = "equipment",
    params(("name" = String, Path), IfMatchHeader), security(("token" = ["equipment"])),
    responses((status = 204, description = "Taken away")))]
pub(crate) async fn delete_group(
    right: EquipmentCapability,
    State(s): State<AppState>,
    PathOf(group): PathOf<Name>,
    expect: IfMatch,
) -> Result<StatusCode, Problem> {
    let change = right.caller().change("", now());
    let done = s.store.bind_group(group.clone(), None, expect.0, &change).await;
    done.map_err(|e| no_such_group(&group, e))?;
    put_in_force(&s).await;
    Ok(StatusCode::NO_CONTENT)
}

fn no_such_sim(imsi: Imsi, e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => {
            Problem::not_found(say!("there is no SIM with IMSI {imsi}", "IMSI {imsi} の SIM はありません"))
        }
        e => e.into(),
    }
}

fn no_such_group(group: &Name, e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => Problem::not_found(say!(
            "there is no group {group}, or it has no default",
            "グループ {group} がないか、既定の端末固定が設定されていません"
        )),
        e => e.into(),
    }
}

fn answer(row: BindingRow) -> Response {
    let tag = etag(row.version);
    (StatusCode::OK, [(header::ETAG, tag)], Json(SimBinding::from(row))).into_response()
}

fn answer_group(g: GroupBinding) -> Response {
    let tag = etag(g.version);
    let view = GroupBindingView {
        group: g.group,
        binding: g.binding.into(),
        version: g.version,
        changed: rfc3339(g.changed),
    };
    (StatusCode::OK, [(header::ETAG, tag)], Json(view)).into_response()
}
