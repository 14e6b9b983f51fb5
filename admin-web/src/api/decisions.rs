//! Why: one verdict of what is in force, explained.

use crate::{
    api::{
        documents,
        policies::{ExplanationView, FlowQuestion, question},
        rules::DirectionWord,
    },
    check::Check,
    problem::Problem,
    request::Params,
    rights::{Limited, ReadCapability},
    state::AppState,
};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::net::IpAddr;
use types::{Imsi, Name};
use utoipa::IntoParams;

/// A flow that is asked about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionQuery {
    /// The SIM.
    #[param(value_type = String)]
    imsi: Imsi,
    /// Who opens; out if not given.
    #[param(inline)]
    direction: Option<DirectionWord>,
    /// Address of the other end; this or app.
    #[param(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// App at the other end; this or address.
    #[param(value_type = Option<String>)]
    app: Option<Name>,
    /// Protocol and port of the side that is opened towards: tcp/443, udp/53, icmp.
    service: String,
}

/// Explains what the gateway would decide now about one flow.
#[utoipa::path(get, path = "/api/v1/decisions", tag = "decisions", params(DecisionQuery),
    security(("token" = ["read"])), responses((status = 200, body = ExplanationView)))]
pub(crate) async fn decide(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    Params(q): Params<DecisionQuery>,
) -> Result<Json<ExplanationView>, Problem> {
    // Only the names of apps come from the store; the verdict is that of the rows in force.
    let policy = match &q.app {
        Some(_) => documents::policy(s.store.policy_source().await?),
        None => pgw_policy::Policy::default(),
    };
    let asked = FlowQuestion {
        imsi: q.imsi,
        direction: q.direction,
        address: q.address,
        app: q.app,
        service: q.service,
    };
    let mut check = Check::default();
    let question = question(&mut check, "?", &asked, &policy);
    let question = check.finish(question)?;
    right.on_sim(&s, question.imsi).await?;
    Ok(Json(s.control.explain(question).await?.into()))
}
