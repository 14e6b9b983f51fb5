//! A risk profile before it is in force: which rules hang on it, how the policy's tests come out with it, whom it moves,
//! and what a SIM's risk comes to. Nothing is changed.

use crate::{
    api::{
        documents::{policy, unsound},
        policy_tests::{TestsView, tried},
        readings::RiskView,
        risk::{OutcomeWord, ProfileBody, of},
        risk_moves::MovesView,
        sims::no_such_sim,
    },
    problem::Problem,
    request::{Body, Language, PathOf},
    rights::{OnSim, ReadCapability},
    state::{AppState, now},
};
use axum::{Json, extract::State};
use pgw_policy::{
    Policy, RiskProfile,
    moves::{is_by_risk, moves},
};
use serde::Serialize;
use types::{Imsi, Sensitivity, SimFacts, Utc};
use utoipa::ToSchema;

/// What a risk profile would change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RiskPlan)]
pub(crate) struct PlanView {
    /// The generation of the policy that it was tried with.
    generation: u64,
    /// True where it is the one that is in force.
    unchanged: bool,
    /// Rules that ask about risk, or whose verdict goes by it: nobody else's flows come out another way.
    rules: Vec<String>,
    /// How the policy's tests would come out: it is not stored while one of them fails.
    tests: TestsView,
    /// Whom it moves at this moment; nothing while what is known of SIMs is not at hand.
    moves: Option<MovesView>,
}

/// What a SIM's risk comes to, by the profile that is in force and by a draft.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TriedRisk)]
pub(crate) struct TriedView {
    imsi: String,
    /// By the one that is in force.
    stored: ComesTo,
    /// By the draft.
    draft: ComesTo,
}

/// A risk, and what a verdict by risk would be for each sensitivity of an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RiskComesTo)]
pub(crate) struct ComesTo {
    risk: RiskView,
    public: OutcomeWord,
    internal: OutcomeWord,
    confidential: OutcomeWord,
}

impl ComesTo {
    fn of(profile: &RiskProfile, facts: &SimFacts, at: Utc) -> Self {
        let risk = profile.assess(facts, at);
        let outcome = |s| profile.outcome(risk.level, s).into();
        let (public, internal) = (outcome(Sensitivity::Public), outcome(Sensitivity::Internal));
        let confidential = outcome(Sensitivity::Confidential);
        Self { risk: risk.into(), public, internal, confidential }
    }
}

/// Says what a risk profile would change and for whom, and tries the policy's tests with it. Changes nothing.
#[utoipa::path(post, path = "/api/v1/risk-profile/plan", tag = "policies", request_body = ProfileBody,
    security(("token" = ["read"])), responses((status = 200, body = PlanView)))]
pub(crate) async fn plan(
    // For every SIM: whoever is limited to some is refused, and so sees no example of others.
    _: ReadCapability,
    State(s): State<AppState>,
    Language(lang): Language,
    Body(body): Body<ProfileBody>,
) -> Result<Json<PlanView>, Problem> {
    let profile = body.read()?;
    let (known, at) = (s.control.known_of_all().await.ok(), now());
    let source = s.store.policy_source().await?;
    let (generation, tests) = (source.generation, source.extras.tests.clone());
    let stored = policy(source);
    let unchanged = stored.risk == profile;
    let rules = stored.rules.iter().filter(|r| is_by_risk(r)).map(|r| r.name.to_string()).collect();
    let looked = tokio::task::spawn_blocking(move || {
        let found = known
            .map(|mut sims| {
                // The same ones are named each time.
                sims.sort_unstable_by_key(|(imsi, _)| *imsi);
                moves(&stored, &profile, &sims, at)
            })
            .transpose()?;
        Ok((found, tried(&Policy { risk: profile, ..stored }, &tests)?))
    });
    let (found, results) = looked.await.map_err(|_| Problem::internal())?.map_err(unsound)?;
    let moves = found.map(|m| MovesView::of(&m, at, lang));
    Ok(Json(PlanView { generation, unchanged, rules, tests: TestsView::of(&results, lang), moves }))
}

/// Says what a SIM's risk comes to at this moment, by the profile that is in force and by the one that is sent. Changes
/// nothing.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/risk", tag = "sims", params(("imsi" = String, Path)),
    request_body = ProfileBody, security(("token" = ["read"])), responses((status = 200, body = TriedView)))]
pub(crate) async fn of_sim(
    _: OnSim<ReadCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<ProfileBody>,
) -> Result<Json<TriedView>, Problem> {
    let draft = body.read()?;
    s.store.sim(imsi).await.map_err(|e| match e {
        store::StoreError::NotFound => no_such_sim(imsi),
        e => e.into(),
    })?;
    let stored = of(s.store.risk_profile().await?.body.as_deref());
    let (facts, at) = (s.control.known(imsi).await?, now());
    let by = |profile| ComesTo::of(profile, &facts, at);
    Ok(Json(TriedView { imsi: imsi.to_string(), stored: by(&stored), draft: by(&draft) }))
}
