//! What is known of a SIM beside its rules, and where it is at home.

use crate::{
    api::{directory::tell_facts, sims::no_such_sim},
    check::{Check, Kind, rfc3339},
    control::FactView,
    problem::{Problem, Said, say},
    request::{Body, IfMatch, IfMatchHeader, Language, PathOf, etag},
    rights::{DirectoryCapability, OnSim, ReadCapability},
    state::{AppState, now},
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Clash, FactsOf, StoreError};
use types::{Imsi, Name};
use utoipa::ToSchema;

/// One thing that is known of a SIM, or that is not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fact {
    /// device, posture, place, radio, model, person, assurance, risk (what others say), or risk-score (what it all comes to).
    fact: String,
    /// Its stable word; null where it is not known.
    value: Option<String>,
    /// The same for people, in the language of the request.
    words: String,
    /// Who says so: network, directory, api, or the name of a source.
    source: Option<String>,
    /// Since when.
    since: Option<String>,
    /// How long ago that is, seconds.
    age_s: Option<i64>,
    /// From when on it counts no longer.
    until: Option<String>,
}

/// What is known of a SIM.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimFacts {
    /// Which.
    imsi: String,
    /// Fact by fact.
    facts: Vec<Fact>,
}

/// Where a SIM is at home beside its own site.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsualSites {
    /// Ids of sites.
    #[schema(example = json!(["osaka-plant"]))]
    sites: Vec<String>,
}

/// Reads what is known of a SIM at this moment: each fact with its source and its age. Rules with conditions judge by it.
#[utoipa::path(get, path = "/api/v1/sims/{imsi}/facts", tag = "sims", params(("imsi" = String, Path)),
    security(("token" = ["read"])), responses((status = 200, body = SimFacts)))]
pub(crate) async fn of_sim(
    _: OnSim<ReadCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Language(lang): Language,
) -> Result<Json<SimFacts>, Problem> {
    let now = now();
    let one = |f: FactView| Fact {
        fact: f.fact.to_owned(),
        value: f.value,
        words: Said::text(&f.words, lang).to_owned(),
        source: f.source.map(|s| s.to_string()),
        age_s: f.since.map(|at| (now.0 - at.0).max(0) / 1000),
        since: f.since.map(rfc3339),
        until: f.until.map(rfc3339),
    };
    let facts = s.control.facts(imsi).await.map_err(|e| match e {
        crate::ControlError::NotFound => no_such_sim(imsi),
        e => e.into(),
    })?;
    Ok(Json(SimFacts { imsi: imsi.to_string(), facts: facts.into_iter().map(one).collect() }))
}

/// Reads where a SIM is at home beside its own site.
#[utoipa::path(get, path = "/api/v1/sims/{imsi}/usual-sites", tag = "sims", params(("imsi" = String, Path)),
    security(("token" = ["read"])), responses((status = 200, body = UsualSites)))]
pub(crate) async fn usual_sites(
    _: OnSim<ReadCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
) -> Result<Response, Problem> {
    let (sites, version) = s.store.usual_sites(imsi).await.map_err(|e| missing(imsi, e))?;
    Ok(answer(&sites, version))
}

/// Says where a SIM is at home beside its own site. At any other place it is not usual; where neither is named, no place is
/// unusual.
#[utoipa::path(put, path = "/api/v1/sims/{imsi}/usual-sites", tag = "sims",
    params(("imsi" = String, Path), IfMatchHeader), request_body = UsualSites,
    security(("token" = ["directory"])), responses((status = 200, body = UsualSites)))]
pub(crate) async fn put_usual_sites(
    right: OnSim<DirectoryCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    expect: IfMatch,
    Body(body): Body<UsualSites>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    let sites: Option<BTreeSet<Name>> = check.each("/sites", &body.sites, Kind::Name);
    let sites = check.finish(sites)?;
    let change = right.0.caller().change("", now());
    let version = s
        .store
        .set_usual_sites(imsi, sites.clone(), expect.0, &change)
        .await
        .map_err(|e| missing(imsi, e))?;
    tell_facts(&s, FactsOf::Sims(vec![imsi])).await;
    Ok(answer(&sites, version))
}

fn missing(imsi: Imsi, e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => no_such_sim(imsi),
        StoreError::Conflict { what: Clash::Reference } => Problem::field(
            "/sites",
            say!("one of these sites is not there", "登録されていない拠点が含まれています"),
            Some(say!("make it first", "先に拠点を登録してください")),
        ),
        e => e.into(),
    }
}

fn answer(sites: &BTreeSet<Name>, version: u64) -> Response {
    let sites = sites.iter().map(ToString::to_string).collect();
    ([(header::ETAG, etag(version))], Json(UsualSites { sites })).into_response()
}
