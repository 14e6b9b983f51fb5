//! The policy as one text: shown, planned, applied, looked at, and had back.
//!
//! What is applied is checked whole (its form, its soundness, its tests) against one generation and stored against the
//! same, in one transaction. Where anything is wrong nothing changes, and what was enforced goes on.

use crate::{
    api::{
        List, documents,
        policy_drafts::{is_same, publishable, read, set_of, sound, stored},
        policy_tests::{TestsView, tried},
        policy_views::{AccessView, AppliedView, FindingView, PlanView, PolicyModel, StepView, TextView},
    },
    problem::{Problem, say},
    request::{Body, IdempotencyKey, Language, Paging, Params, number_cursor, page_limit},
    rights::{PolicyCapability, ReadCapability},
    state::{AppState, now},
};
use axum::{Json, extract::State};
use pgw_policy::{
    analyse as analysis, plan as plans,
    text::{self as texts, PolicyText},
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use store::{PolicySet, PolicySource, StoreError};
use types::Imsi;
use utoipa::{IntoParams, ToSchema};

/// Most lines of an answer that say who may reach what.
const LINES: usize = 500;

/// A policy: as a file or as a model. With neither the stored one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyDraft {
    /// As a file (TOML).
    text: Option<String>,
    /// As a model.
    #[schema(value_type = Option<Object>)]
    policy: Option<Value>,
}

/// A policy that is to be in force.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyRequest {
    /// As a file (TOML); this or policy.
    text: Option<String>,
    /// As a model; this or text.
    #[schema(value_type = Option<Object>)]
    policy: Option<Value>,
    /// Only if this generation is stored; 409 if another one is.
    if_generation: Option<u64>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// A generation that is to be had back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackRequest {
    /// Which; the one before the last change if not given.
    to: Option<u64>,
    /// Only if this generation is stored; 409 if another one is.
    if_generation: Option<u64>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Which generation.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TextQuery {
    /// One of the history; the stored one if not given.
    generation: Option<u64>,
}

/// The policy as a file and as a model: what is stored, or what an earlier generation said.
#[utoipa::path(get, path = "/api/v1/policies/text", tag = "policies", params(TextQuery),
    security(("token" = ["read"])), responses((status = 200, body = TextView)))]
pub(crate) async fn text(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(q): Params<TextQuery>,
) -> Result<Json<TextView>, Problem> {
    let (generation, text) = match q.generation {
        None => {
            let source = s.store.policy_source().await?;
            (source.generation, stored(source))
        }
        Some(generation) => {
            let set = s.store.policy_at(generation).await.map_err(|e| match e {
                StoreError::NotFound => no_generation("?generation", generation),
                e => e.into(),
            })?;
            (generation, PolicyText::of(set.apps, set.groups, set.rules, set.extras))
        }
    };
    Ok(Json(TextView { generation, text: texts::write(&text), policy: PolicyModel::of(text) }))
}

/// Says in words what a policy would change, and tries its tests. Changes nothing.
#[utoipa::path(post, path = "/api/v1/policies/plan", tag = "policies", request_body = PolicyDraft,
    security(("token" = ["read"])), responses((status = 200, body = PlanView)))]
pub(crate) async fn plan(
    _: ReadCapability,
    State(s): State<AppState>,
    Language(lang): Language,
    Body(body): Body<PolicyDraft>,
) -> Result<Json<PlanView>, Problem> {
    let source = s.store.policy_source().await?;
    let set = match (body.text, body.policy) {
        (None, None) => PolicySet::from(source.clone()),
        (text, policy) => set_of(read(text, policy).await?),
    };
    let draft = sound(&s, &source, &set).await?;
    let all: u64 = s.store.count_sims().await?.iter().map(|(_, n)| n).sum();
    let others = all.saturating_sub(draft.ues.len() as u64);
    let unchanged = is_same(&source, &set);
    let generation = source.generation;
    let old = documents::with_built_in(&s, documents::policy(source)).await;
    let tests = set.extras.tests;
    let looked = tokio::task::spawn_blocking(move || {
        let plan = plans::plan(&old, &draft, others)?;
        Ok::<_, Vec<pgw_policy::PolicyError>>((
            plan,
            analysis::analyse(&draft, now())?,
            tried(&draft, &tests)?,
        ))
    });
    let (plan, findings, tests) =
        looked.await.map_err(|_| Problem::internal())?.map_err(documents::unsound)?;
    let losing_sessions = with_session(&s, &plan.losing).await;
    let access_total = plan.access.len() as u64;
    Ok(Json(PlanView {
        generation,
        unchanged,
        groups: plan.groups.into(),
        apps: plan.apps.into(),
        rules: plan.rules.into(),
        access: plan.access.into_iter().take(LINES).map(|c| AccessView::of(c, lang)).collect(),
        access_total,
        losing_sims: plan.losing.len() as u64,
        losing_sessions,
        tests: TestsView::of(&tests, lang),
        findings: findings.iter().map(|f| FindingView::of(f, lang)).collect(),
    }))
}

/// What the stored policy says in vain, or against itself.
#[utoipa::path(get, path = "/api/v1/policies/analysis", tag = "policies", security(("token" = ["read"])),
    responses((status = 200, body = Vec<FindingView>)))]
pub(crate) async fn analyse(
    _: ReadCapability,
    State(s): State<AppState>,
    Language(lang): Language,
) -> Result<Json<Vec<FindingView>>, Problem> {
    let policy = documents::policy(s.store.policy_source().await?);
    let looked = tokio::task::spawn_blocking(move || analysis::analyse(&policy, now()));
    let found = looked.await.map_err(|_| Problem::internal())?.map_err(documents::unsound)?;
    Ok(Json(found.iter().map(|f| FindingView::of(f, lang)).collect()))
}

/// Puts a whole policy in the place of the stored one: one transaction, one generation. A policy with an error, or
/// with a test that fails, is refused whole. One that says what is stored changes nothing.
#[utoipa::path(post, path = "/api/v1/policies/apply", tag = "policies", params(IdempotencyKey),
    request_body = ApplyRequest, security(("token" = ["policy"])), responses((status = 200, body = AppliedView)))]
pub(crate) async fn apply(
    right: PolicyCapability,
    State(s): State<AppState>,
    Body(body): Body<ApplyRequest>,
) -> Result<Json<AppliedView>, Problem> {
    let set = set_of(read(body.text, body.policy).await?);
    let change = right.caller().change(&body.reason, now());
    for _ in 0..5 {
        let source = at_generation(&s, body.if_generation).await?;
        let generation = Some(source.generation);
        publishable(&s, &source, &set).await?;
        match s.store.apply_policy(set.clone(), generation, &change).await {
            Err(StoreError::PolicyMoved { .. }) => continue,
            done => return in_force(&s, done?).await,
        }
    }
    Err(StoreError::PolicyMoved { current: 0 }.into())
}

/// Generations of the policy, newest first.
#[utoipa::path(get, path = "/api/v1/policies/history", tag = "policies", params(Paging),
    security(("token" = ["read"])), responses((status = 200, body = List<StepView>)))]
pub(crate) async fn history(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(p): Params<Paging>,
) -> Result<Json<List<StepView>>, Problem> {
    let before = number_cursor(p.cursor.as_deref())?;
    let page = s.store.policy_history(before, page_limit(p.limit)?).await?;
    Ok(List::of(page, StepView::from))
}

/// Puts what a generation said in force again, as a generation of its own; how risk was weighed then comes back with it.
#[utoipa::path(post, path = "/api/v1/policies/rollback", tag = "policies", params(IdempotencyKey),
    request_body = RollbackRequest, security(("token" = ["policy"])), responses((status = 200, body = AppliedView)))]
pub(crate) async fn rollback(
    right: PolicyCapability,
    State(s): State<AppState>,
    Body(body): Body<RollbackRequest>,
) -> Result<Json<AppliedView>, Problem> {
    let change = right.caller().change(&body.reason, now());
    for _ in 0..5 {
        let source = at_generation(&s, body.if_generation).await?;
        let to = match body.to {
            Some(to) => to,
            None => before_last(&s).await?,
        };
        let set = s.store.policy_at(to).await.map_err(|e| match e {
            StoreError::NotFound => no_generation("/to", to),
            e => e.into(),
        })?;
        // As risk was weighed then: by that the policy's tests are held, and that comes back with it.
        let risk = s.store.risk_at(to).await?;
        let source = PolicySource { risk: risk.clone(), ..source };
        publishable(&s, &source, &set).await?;
        match s.store.roll_policy_back(to, (set, risk), Some(source.generation), &change).await {
            Err(StoreError::PolicyMoved { .. }) => continue,
            done => return in_force(&s, done?).await,
        }
    }
    Err(StoreError::PolicyMoved { current: 0 }.into())
}

/// The generation before the last change.
async fn before_last(s: &AppState) -> Result<u64, Problem> {
    let last = s.store.policy_history(None, 1).await?.items.into_iter().next();
    match last.filter(|l| l.action != "begin").and_then(|l| l.generation.checked_sub(1)) {
        Some(generation) => Ok(generation),
        None => {
            Err(Problem::new(409, "no-history", say!("There is nothing to go back to", "戻る先がありません"))
                .fix(say!("see the history of the policy", "ポリシーの履歴を確認してください")))
        }
    }
}

fn no_generation(at: &str, to: u64) -> Problem {
    Problem::field(
        at,
        say!("generation {to} is not known", "世代 {to} はありません"),
        Some(say!("name one of the history", "履歴にある世代を指定してください")),
    )
}

/// The stored policy, where its generation is the one that the caller saw.
async fn at_generation(s: &AppState, expected: Option<u64>) -> Result<PolicySource, Problem> {
    let source = s.store.policy_source().await?;
    let current = source.generation;
    if expected.is_some_and(|g| g != current) {
        return Err(Problem::new(
            409,
            "moved",
            say!("The policy was changed meanwhile", "ポリシーが変更されています"),
        )
        .detail(say!("generation {current} is stored", "現在の世代は {current} です"))
        .fix(say!(
            "look at the plan against it, and apply again",
            "現在の世代との差分 (plan) を確認して、もう一度適用してください"
        )));
    }
    Ok(source)
}

async fn in_force(s: &AppState, done: store::Applied) -> Result<Json<AppliedView>, Problem> {
    if !done.is_nothing() {
        documents::put_in_force(s).await;
    }
    Ok(Json(done.into()))
}

async fn with_session(s: &AppState, sims: &BTreeSet<Imsi>) -> u64 {
    if sims.is_empty() {
        return 0;
    }
    let live = s.control.sessions().await.unwrap_or_default();
    let all: BTreeSet<Imsi> = live.iter().map(|v| v.imsi).collect();
    all.intersection(sims).count() as u64
}
