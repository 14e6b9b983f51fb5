//! Quarantine of a SIM and panic of a group: what is left is little, and it comes back whole.

use crate::{
    api::revocations::{DryRun, OrDryRun, asker},
    check::Check,
    control::{AffectedSim, ControlError, RestrictOutcome, RestrictRequest, Restricted, ScopeKind},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, PathOf},
    rights::{Limited, OnSim, QuarantineCapability},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use types::{Imsi, Name};
use utoipa::ToSchema;

/// Why, and whether for real.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestrictBody {
    /// Why.
    reason: String,
    /// Ticket it belongs to.
    #[serde(default)]
    ticket: String,
    /// True: nothing is done; the answer names the SIMs and sessions that it would touch.
    #[serde(default)]
    dry_run: bool,
}

/// Puts a SIM in quarantine: it reaches the remediation apps of its groups and nothing else.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/quarantine", tag = "revocations",
    params(("imsi" = String, Path), IdempotencyKey), request_body = RestrictBody,
    security(("token" = ["quarantine"])), responses((status = 200, body = OrDryRun<RestrictOutcome>)))]
pub(crate) async fn quarantine(
    OnSim(right): OnSim<QuarantineCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<RestrictBody>,
) -> Result<Response, Problem> {
    restrict(&s, &right, Restricted::Quarantine(imsi), true, body).await
}

/// Takes a SIM out of quarantine.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/quarantine/release", tag = "revocations",
    params(("imsi" = String, Path), IdempotencyKey), request_body = RestrictBody,
    security(("token" = ["quarantine"])), responses((status = 200, body = OrDryRun<RestrictOutcome>)))]
pub(crate) async fn release(
    OnSim(right): OnSim<QuarantineCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<RestrictBody>,
) -> Result<Response, Problem> {
    restrict(&s, &right, Restricted::Quarantine(imsi), false, body).await
}

/// Puts a group in panic: its SIMs reach its emergency apps and nothing else.
#[utoipa::path(post, path = "/api/v1/groups/{name}/panic", tag = "revocations",
    params(("name" = String, Path), IdempotencyKey), request_body = RestrictBody,
    security(("token" = ["quarantine"])), responses((status = 200, body = OrDryRun<RestrictOutcome>)))]
pub(crate) async fn panic(
    right: Limited<QuarantineCapability>,
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
    Body(body): Body<RestrictBody>,
) -> Result<Response, Problem> {
    let right = right.at(&group_place(&name))?;
    restrict(&s, &right, Restricted::Panic(name), true, body).await
}

/// Ends the panic of a group.
#[utoipa::path(post, path = "/api/v1/groups/{name}/calm", tag = "revocations",
    params(("name" = String, Path), IdempotencyKey), request_body = RestrictBody,
    security(("token" = ["quarantine"])), responses((status = 200, body = OrDryRun<RestrictOutcome>)))]
pub(crate) async fn calm(
    right: Limited<QuarantineCapability>,
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
    Body(body): Body<RestrictBody>,
) -> Result<Response, Problem> {
    let right = right.at(&group_place(&name))?;
    restrict(&s, &right, Restricted::Panic(name), false, body).await
}

/// Where a group belongs: to itself.
pub(crate) fn group_place(name: &Name) -> store::Place {
    store::Place { groups: [name.clone()].into(), ..Default::default() }
}

async fn restrict(
    s: &AppState,
    right: &QuarantineCapability,
    what: Restricted,
    on: bool,
    body: RestrictBody,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.ticket(Some(body.ticket.as_str()));
    check.done()?;
    let (scope, value) = match &what {
        Restricted::Quarantine(imsi) => (ScopeKind::Sim, imsi.to_string()),
        Restricted::Panic(name) => (ScopeKind::Group, name.to_string()),
    };
    let none = |e: ControlError| match e {
        ControlError::NotFound => {
            Problem::not_found(say!("there is no {scope} {value}", "{scope} {value} は存在しません"))
        }
        e => e.into(),
    };
    if body.dry_run {
        let all: Vec<AffectedSim> = s.control.affected(scope, value.clone()).await.map_err(none)?;
        let would = DryRun::of(scope.to_string(), value.clone(), all);
        return Ok(Json(OrDryRun::<RestrictOutcome>::Would(would)).into_response());
    }
    let asker = asker(right.caller(), body.reason, body.ticket, None);
    let done = s.control.restrict(right, RestrictRequest { what, on, asker }).await.map_err(none)?;
    Ok(Json(OrDryRun::Done(done)).into_response())
}
