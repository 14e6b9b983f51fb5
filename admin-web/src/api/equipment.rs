//! The company's own list of devices: white, grey, black.

use crate::{
    api::{List, revocations::asker, unbans},
    check::{Check, Kind, rfc3339},
    control::{DeviceUnban, RestrictOutcome},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Params, PathOf, etag, page_limit},
    rights::{EquipmentCapability, ReadCapability, UnbanCapability},
    state::{AppState, now},
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use store::{EquipmentEntry, EquipmentFilter, EquipmentRow, StoreError};
use types::{Colour, DevicePattern, EquipmentPattern};
use utoipa::{IntoParams, ToSchema};

/// Most entries of one import.
const IMPORT: usize = 5_000;

/// What is said of a device, a model or a range of models.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EquipmentBody {
    /// white, grey (allowed and told) or black (refused).
    #[schema(example = "black")]
    colour: String,
    /// Words for people.
    #[serde(default)]
    label: String,
    /// Why it has this colour.
    reason: String,
}

/// An entry of an import.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EquipmentLine {
    /// 14 digits of a device (its IMEI of 15 or IMEISV of 16 does too), the 8-digit TAC of a model, or two of them for a range
    /// (35693800-35693899); with :SV behind it, only in that software version.
    #[schema(example = "35693803564380")]
    pattern: String,
    /// white, grey (allowed and told) or black (refused).
    colour: String,
    /// Words for people.
    #[serde(default)]
    label: String,
}

/// Many entries, all or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EquipmentImport {
    /// The entries; at most 5 000.
    entries: Vec<EquipmentLine>,
    /// Why they have their colours.
    reason: String,
}

/// Why the ban of a device is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceUnbanBody {
    /// Why.
    reason: String,
    /// Number of the ticket that asked for it.
    #[serde(default)]
    ticket: String,
}

/// What an import did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EquipmentImported {
    /// Entries that are new.
    new: u64,
    /// Entries that are other than before.
    changed: u64,
    /// Entries that were so already.
    same: u64,
}

/// An entry of the list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Equipment {
    /// 14 digits of a device, the 8-digit TAC of a model, or a range of them; perhaps with :SV, a software version.
    pattern: String,
    /// white, grey or black.
    colour: String,
    /// Words for people.
    label: String,
    /// Why it has this colour.
    reason: String,
    /// Its version: the ETag is this number in quotes.
    version: u64,
    /// When it was made.
    created: String,
    /// When it was last changed.
    changed: String,
}

impl From<EquipmentRow> for Equipment {
    fn from(r: EquipmentRow) -> Self {
        Self {
            pattern: r.pattern.to_string(),
            colour: r.colour.to_string(),
            label: r.label,
            reason: r.reason,
            version: r.version,
            created: rfc3339(r.created),
            changed: rfc3339(r.changed),
        }
    }
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EquipmentQuery {
    /// Only entries of this colour.
    colour: Option<String>,
    /// Only entries whose digits or label contain this.
    q: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Lists the company's devices and models by their digits.
#[utoipa::path(get, path = "/api/v1/equipment", tag = "equipment", params(EquipmentQuery),
    security(("token" = ["read"])), responses((status = 200, body = List<Equipment>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(q): Params<EquipmentQuery>,
) -> Result<Json<List<Equipment>>, Problem> {
    let mut check = Check::default();
    let colour = check.maybe("?colour", q.colour.as_deref(), Kind::Word);
    check.done()?;
    let filter = EquipmentFilter { colour: colour.flatten(), text: q.q.filter(|t| !t.is_empty()) };
    let page = s.store.equipment(&filter, q.cursor.as_deref(), page_limit(q.limit)?).await?;
    Ok(List::of(page, Equipment::from))
}

/// Reads an entry.
#[utoipa::path(get, path = "/api/v1/equipment/{pattern}", tag = "equipment",
    params(("pattern" = String, Path)), security(("token" = ["read"])),
    responses((status = 200, body = Equipment)))]
pub(crate) async fn get(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(pattern): PathOf<EquipmentPattern>,
) -> Result<Response, Problem> {
    let row = s.store.equipment_entry(pattern).await.map_err(|e| no_such(pattern, e))?;
    Ok(answer(row))
}

/// Makes or replaces an entry. A device that becomes black is sent away at once. If-Match is "0" for a new one.
#[utoipa::path(put, path = "/api/v1/equipment/{pattern}", tag = "equipment",
    params(("pattern" = String, Path), IfMatchHeader), request_body = EquipmentBody,
    security(("token" = ["equipment"])), responses((status = 200, body = Equipment)))]
pub(crate) async fn put(
    right: EquipmentCapability,
    State(s): State<AppState>,
    PathOf(pattern): PathOf<EquipmentPattern>,
    expect: IfMatch,
    Body(body): Body<EquipmentBody>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.label("/label", &body.label, 200);
    let colour: Option<Colour> = check.parse("/colour", &body.colour, Kind::Word);
    let colour = check.finish(colour)?;
    let change = right.caller().change(&body.reason, now());
    let entry = EquipmentEntry { pattern, colour, label: body.label, reason: body.reason };
    let row = s.store.put_equipment(entry, expect.0, &change).await?;
    put_in_force(&s).await;
    Ok(answer(row))
}

/// Takes an entry off the list.
#[utoipa::path(delete, path = "/api/v1/equipment/{pattern}", tag = "equipment",
    params(("pattern" = String, Path), IfMatchHeader), security(("token" = ["equipment"])),
    responses((status = 204, description = "Taken off")))]
pub(crate) async fn delete(
    right: EquipmentCapability,
    State(s): State<AppState>,
    PathOf(pattern): PathOf<EquipmentPattern>,
    expect: IfMatch,
) -> Result<StatusCode, Problem> {
    let change = right.caller().change("", now());
    s.store.delete_equipment(pattern, expect.0, &change).await.map_err(|e| no_such(pattern, e))?;
    put_in_force(&s).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts many entries, all or none; each that is wrong is named by its place.
#[utoipa::path(post, path = "/api/v1/equipment/import", tag = "equipment", params(IdempotencyKey),
    request_body = EquipmentImport, security(("token" = ["equipment"])),
    responses((status = 200, body = EquipmentImported)))]
pub(crate) async fn import(
    right: EquipmentCapability,
    State(s): State<AppState>,
    Body(body): Body<EquipmentImport>,
) -> Result<Json<EquipmentImported>, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    if body.entries.len() > IMPORT {
        check.add(
            "/entries",
            say!("there are more than {IMPORT}", "{IMPORT} 件を超えています"),
            Some(say!("send them in several requests", "複数回に分けて送信してください")),
        );
    }
    check.done()?;
    let mut check = Check::default();
    let mut entries = Vec::with_capacity(body.entries.len());
    for (n, line) in body.entries.into_iter().enumerate() {
        check.label(&format!("/entries/{n}/label"), &line.label, 200);
        let pattern = check.parse(&format!("/entries/{n}/pattern"), &line.pattern, Kind::Word);
        let colour = check.parse(&format!("/entries/{n}/colour"), &line.colour, Kind::Word);
        if let (Some(pattern), Some(colour)) = (pattern, colour) {
            let reason = body.reason.clone();
            entries.push(EquipmentEntry { pattern, colour, label: line.label, reason });
        }
    }
    check.done()?;
    let change = right.caller().change(&body.reason, now());
    let done = s.store.import_equipment(entries, &change).await?;
    put_in_force(&s).await;
    Ok(Json(EquipmentImported { new: done.new, changed: done.changed, same: done.same }))
}

/// What is stored is judged by from now on. Should the running system not answer, the change is stored all the same.
pub(crate) async fn put_in_force(s: &AppState) {
    if let Err(e) = s.control.equipment_changed().await {
        tracing::error!("the equipment list is stored but not in force yet: {e}");
    }
}

fn no_such(pattern: EquipmentPattern, e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => Problem::not_found(say!(
            "{pattern} is not on the equipment list",
            "{pattern} は端末リストにありません"
        )),
        e => e.into(),
    }
}

fn answer(row: EquipmentRow) -> Response {
    let tag = etag(row.version);
    (StatusCode::OK, [(header::ETAG, tag)], Json(Equipment::from(row))).into_response()
}

/// Takes the ban of a device by its IMEI back (its SIMs have an unban of their own). A right of its own, with a reason;
/// where a second person is needed (202), it waits for them.
#[utoipa::path(post, path = "/api/v1/equipment/{pattern}/unban", tag = "equipment",
    params(("pattern" = String, Path), IdempotencyKey), request_body = DeviceUnbanBody,
    security(("token" = ["unban"])),
    responses((status = 200, body = RestrictOutcome), (status = 202, body = unbans::UnbanRequestView)))]
pub(crate) async fn unban(
    right: UnbanCapability,
    State(s): State<AppState>,
    PathOf(device): PathOf<DevicePattern>,
    Body(body): Body<DeviceUnbanBody>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.ticket(Some(body.ticket.as_str()));
    check.done()?;
    let asker = asker(right.caller(), body.reason, body.ticket, None);
    let request = DeviceUnban { device, asker, approves: None };
    if s.control.second_person() {
        return unbans::ask_device(&s, &right, request).await;
    }
    Ok(Json(unbans::carry_out(&s, &right, request).await?).into_response())
}
