//! The policy as one text: shown, planned, applied, looked at, and had back.
//!
//! What is applied is checked whole (its form, its soundness, its tests) against one generation and stored against the
//! same, in one transaction. Where anything is wrong nothing changes, and what was enforced goes on.

use crate::{
    api::{
        List,
        apps::AppBody,
        documents::{self, Resource},
        groups::GroupBody,
        policy_tests::{TestsView, hold, tried},
        rules::{DirectionWord, RuleBody},
    },
    check::rfc3339,
    policy_words,
    problem::{Lang, Problem, say},
    request::{Body, IdempotencyKey, Language, Paging, Params, number_cursor, page_limit},
    rights::{PolicyCapability, ReadCapability},
    state::{AppState, now},
};
use axum::{Json, extract::State};
use pgw_policy::{
    Policy, analyse as analysis,
    plan::{self as plans, AccessChange, Difference},
    text::{self as texts, Node, Parsed, PolicyText},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use store::{PolicySet, PolicySource, PolicyStep, StoreError};
use types::{Imsi, Name};
use utoipa::ToSchema;

/// Most lines of an answer that say who may reach what.
const LINES: usize = 500;

/// The policy as a model: what its file says, field by field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyModel {
    groups: Vec<GroupBody>,
    apps: Vec<AppBody>,
    /// But for those that templates make.
    rules: Vec<RuleBody>,
    /// Rules with parameters.
    #[schema(value_type = Vec<Object>)]
    templates: Value,
    /// Where templates are used.
    #[schema(value_type = Vec<Object>)]
    uses: Value,
    /// Cases that must come out as they say.
    #[schema(value_type = Vec<Object>)]
    tests: Value,
}

impl PolicyModel {
    fn of(text: PolicyText) -> Self {
        let json = |v: serde_json::Result<Value>| v.unwrap_or_else(|_| Value::Array(Vec::new()));
        let mut tests = json(serde_json::to_value(&text.extras.tests));
        for test in tests.as_array_mut().into_iter().flatten() {
            if let Some(at) = test["at"].as_i64() {
                test["at"] = Value::String(rfc3339(types::Utc(at)));
            }
        }
        Self {
            groups: text.groups.into_iter().map(Resource::body).collect(),
            apps: text.apps.into_iter().map(Resource::body).collect(),
            rules: text.rules.into_iter().map(Resource::body).collect(),
            templates: json(serde_json::to_value(&text.extras.templates)),
            uses: json(serde_json::to_value(&text.extras.uses)),
            tests,
        }
    }
}

/// The stored policy in both forms.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyTextAnswer)]
pub(crate) struct TextView {
    /// Generation that is stored.
    generation: u64,
    /// As a file (TOML).
    text: String,
    /// The same as a model.
    policy: PolicyModel,
}

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

/// What is stored after a change of the whole policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppliedPolicy)]
pub(crate) struct AppliedView {
    /// Generation that is stored.
    generation: u64,
    /// Groups, apps and rules that are new.
    new: u64,
    /// Those that are different.
    changed: u64,
    /// Those that are gone.
    deleted: u64,
    /// True where everything was there already: nothing was written.
    unchanged: bool,
}

impl From<store::Applied> for AppliedView {
    fn from(a: store::Applied) -> Self {
        Self {
            generation: a.generation,
            new: a.created,
            changed: a.changed,
            deleted: a.deleted,
            unchanged: a.is_nothing(),
        }
    }
}

/// Names of what is different.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyDifference)]
pub(crate) struct DifferenceView {
    #[schema(value_type = Vec<String>)]
    new: Vec<Name>,
    #[schema(value_type = Vec<String>)]
    changed: Vec<Name>,
    #[schema(value_type = Vec<String>)]
    deleted: Vec<Name>,
}

impl From<Difference> for DifferenceView {
    fn from(d: Difference) -> Self {
        Self { new: d.created, changed: d.changed, deleted: d.deleted }
    }
}

/// Whether it may pass, whatever the moment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Access)]
pub(crate) enum AccessWord {
    /// Not at all.
    Never,
    /// In some hours or under some conditions.
    Sometimes,
    /// At all times.
    Always,
}

impl From<pgw_policy::Access> for AccessWord {
    fn from(a: pgw_policy::Access) -> Self {
        match a {
            pgw_policy::Access::Never => Self::Never,
            pgw_policy::Access::Sometimes => Self::Sometimes,
            pgw_policy::Access::Always => Self::Always,
        }
    }
}

/// Some SIMs that may reach something else than before.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessChange)]
pub(crate) struct AccessView {
    /// In words.
    words: String,
    app: String,
    direction: DirectionWord,
    /// Of the side that is opened towards.
    service: String,
    was: AccessWord,
    is: AccessWord,
    /// How many.
    sims: u64,
    /// One of them, where any is known by its IMSI.
    example: Option<String>,
    /// The sets of groups that they are in, with how many are in each.
    groups: Vec<InGroups>,
    /// The rule that decides after the change.
    rule: Option<String>,
}

/// SIMs by their groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InGroups {
    #[schema(value_type = Vec<String>)]
    groups: BTreeSet<Name>,
    sims: u64,
}

impl AccessView {
    fn of(c: AccessChange, lang: Lang) -> Self {
        Self {
            words: policy_words::change(&c).text(lang).to_owned(),
            app: c.app.to_string(),
            direction: c.direction.into(),
            service: c.service.to_string(),
            was: c.was.into(),
            is: c.is.into(),
            sims: c.count(),
            example: c.example.map(|i| i.to_string()),
            rule: c.rule.map(|r| r.to_string()),
            groups: c.sims.into_iter().map(|(groups, sims)| InGroups { groups, sims }).collect(),
        }
    }
}

/// What the policy says in vain, or against itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyFinding)]
pub(crate) struct FindingView {
    /// In words, with a flow that shows it.
    words: String,
    /// shadowed, redundant, contradictory or unused.
    kind: &'static str,
    /// What it is about: rule:NAME, app:NAME or group:NAME.
    of: String,
    /// The other rule.
    by: Option<String>,
    /// A SIM that shows it, where there is one.
    imsi: Option<String>,
    /// The other end of the flow that shows it.
    address: Option<String>,
    /// Its protocol and port.
    service: Option<String>,
    /// The rule that decides it.
    decides: Option<String>,
}

impl FindingView {
    fn of(f: &analysis::Finding, lang: Lang) -> Self {
        use analysis::{Kind, Of};
        let service = |s: &analysis::Shown| match s.flow.protocol {
            6 => format!("tcp/{}", s.flow.port),
            17 => format!("udp/{}", s.flow.port),
            _ => "icmp".to_owned(),
        };
        let shown = f.shown.as_ref();
        Self {
            words: policy_words::analysis(f).text(lang).to_owned(),
            kind: match f.kind {
                Kind::Shadowed => "shadowed",
                Kind::Redundant => "redundant",
                Kind::Contradictory => "contradictory",
                Kind::Unused => "unused",
            },
            of: match &f.of {
                Of::Rule(n) => format!("rule:{n}"),
                Of::App(n) => format!("app:{n}"),
                Of::Group(n) => format!("group:{n}"),
            },
            by: f.by.as_ref().map(ToString::to_string),
            imsi: shown.filter(|s| s.exists).map(|s| s.ue.imsi.to_string()),
            address: shown.map(|s| s.flow.peer.to_string()),
            service: shown.map(service),
            decides: shown.and_then(|s| s.decides.as_ref()).map(ToString::to_string),
        }
    }
}

/// What a policy would change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyPlan)]
pub(crate) struct PlanView {
    /// The generation that it is compared with.
    generation: u64,
    /// True where it says what is stored.
    unchanged: bool,
    groups: DifferenceView,
    apps: DifferenceView,
    rules: DifferenceView,
    /// Who may reach what that they could not, and the other way round; at most 500.
    access: Vec<AccessView>,
    /// How many there are of these.
    access_total: u64,
    /// SIMs that may reach something no longer.
    losing_sims: u64,
    /// Those of them that have a session now: their flows that are no longer allowed end when it is applied.
    losing_sessions: u64,
    tests: TestsView,
    /// What it says in vain, or against itself.
    findings: Vec<FindingView>,
}

/// A generation of the policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyGeneration)]
pub(crate) struct StepView {
    generation: u64,
    /// When it was made.
    at: String,
    /// By whom.
    actor: String,
    /// How: policy.apply, policy.rollback, rule.create, ….
    action: String,
    /// Of what.
    object: String,
    /// Why.
    reason: String,
}

impl From<PolicyStep> for StepView {
    fn from(s: PolicyStep) -> Self {
        let at = rfc3339(s.at);
        Self {
            generation: s.generation,
            at,
            actor: s.actor,
            action: s.action,
            object: s.object,
            reason: s.reason,
        }
    }
}

/// The stored policy as a file and as a model.
#[utoipa::path(get, path = "/api/v1/policies/text", tag = "policies", security(("token" = ["read"])),
    responses((status = 200, body = TextView)))]
pub(crate) async fn text(_: ReadCapability, State(s): State<AppState>) -> Result<Json<TextView>, Problem> {
    let source = s.store.policy_source().await?;
    let generation = source.generation;
    let text = stored(source);
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
        (text, policy) => set_of(read(text, policy)?),
    };
    let draft = sound(&s, &source, &set).await?;
    let all: u64 = s.store.count_sims().await?.iter().map(|(_, n)| n).sum();
    let others = all.saturating_sub(draft.ues.len() as u64);
    let unchanged = is_same(&source, &set);
    let generation = source.generation;
    let (old, tests) = (documents::policy(source), set.extras.tests);
    let looked = tokio::task::spawn_blocking(move || {
        let plan = plans::plan(&old, &draft, others)?;
        Ok::<_, Vec<pgw_policy::PolicyError>>((
            plan,
            analysis::analyse(&draft, now())?,
            tried(&draft, &tests)?,
        ))
    });
    let (plan, findings, tests) = looked.await.map_err(|_| Problem::internal())?.map_err(unsound)?;
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
    let found = looked.await.map_err(|_| Problem::internal())?.map_err(unsound)?;
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
    let set = set_of(read(body.text, body.policy)?);
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

/// Puts what a generation said in force again, as a generation of its own.
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
            StoreError::NotFound => no_generation(to),
            e => e.into(),
        })?;
        publishable(&s, &source, &set).await?;
        match s.store.roll_policy_back(to, set, Some(source.generation), &change).await {
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

fn no_generation(to: u64) -> Problem {
    Problem::field(
        "/to",
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

/// Reads a policy that came in one of its two forms.
pub(crate) fn read(text: Option<String>, policy: Option<Value>) -> Result<Parsed, Problem> {
    let one = || {
        Problem::field(
            "/text",
            say!("a policy comes as text or as policy", "ポリシーは text か policy のどちらかで送ります"),
            Some(say!("give one of them", "どちらか一方を指定してください")),
        )
    };
    let refused =
        |found: Vec<texts::Finding>| Problem::invalid(found.iter().map(policy_words::field_error).collect());
    match (text, policy) {
        (Some(text), None) => texts::parse(&text).map_err(refused),
        (None, Some(model)) => {
            let node: Node = serde_json::from_value(model).map_err(|_| one())?;
            texts::read(&node).map_err(refused)
        }
        _ => Err(one()),
    }
}

/// What is stored of it.
pub(crate) fn set_of(parsed: Parsed) -> PolicySet {
    let rules = parsed.rules();
    let text = parsed.text;
    PolicySet { apps: text.apps, groups: text.groups, rules, extras: text.extras }
}

fn stored(source: PolicySource) -> PolicyText {
    PolicyText::of(source.apps, source.groups, source.rules, source.extras)
}

fn is_same(source: &PolicySource, set: &PolicySet) -> bool {
    fn sorted<T: Resource + PartialEq>(all: &[T]) -> Vec<&T> {
        let mut all: Vec<&T> = all.iter().collect();
        all.sort_by_key(|v| v.key());
        all
    }
    sorted(&source.apps) == sorted(&set.apps)
        && sorted(&source.groups) == sorted(&set.groups)
        && sorted(&source.rules) == sorted(&set.rules)
        && source.extras == set.extras
}

/// The whole policy as it would be; refused where it is not sound, or where SIMs are in a group that it has no more.
pub(crate) async fn sound(s: &AppState, source: &PolicySource, set: &PolicySet) -> Result<Policy, Problem> {
    let draft = Policy {
        generation: source.generation,
        data_networks: source.data_networks.clone(),
        apps: set.apps.clone(),
        groups: set.groups.clone(),
        rules: set.rules.clone(),
        ues: source.ues.clone(),
    };
    let kept: BTreeSet<&Name> = set.groups.iter().map(|g| &g.name).collect();
    let dropped: BTreeSet<&Name> =
        source.ues.iter().flat_map(|u| &u.groups).filter(|g| !kept.contains(g)).collect();
    let mut fields: Vec<_> = dropped
        .into_iter()
        .map(|group| crate::problem::FieldError {
            pointer: String::new(),
            detail: say!(
                "group {group} is not in this policy, and SIMs are in it",
                "グループ {group} がこのポリシーにありませんが、所属する SIM があります"
            ),
            fix: Some(say!("keep it, or move its SIMs first", "残すか、先に SIM を移してください")),
        })
        .collect();
    let listed: BTreeSet<Imsi> = source.ues.iter().map(|u| u.imsi).collect();
    for rule in &set.rules {
        let types::Subject::Sim(imsi) = &rule.subject else { continue };
        if listed.contains(imsi) {
            continue;
        }
        match s.store.sim(*imsi).await {
            Err(StoreError::NotFound) => fields.push(crate::problem::FieldError {
                pointer: String::new(),
                detail: {
                    let name = &rule.name;
                    say!("rule {name}: there is no SIM {imsi}", "ルール {name}: SIM {imsi} はありません")
                },
                fix: Some(say!(
                    "add the SIM first, or remove the rule",
                    "先に SIM を追加するか、ルールを削除してください"
                )),
            }),
            other => drop(other?),
        }
    }
    if !fields.is_empty() {
        return Err(Problem::invalid(fields));
    }
    pgw_policy::validate(&draft).map_err(unsound)?;
    Ok(draft)
}

fn unsound(found: Vec<pgw_policy::PolicyError>) -> Problem {
    Problem::invalid(found.iter().take(20).map(|e| documents::field_error(e, false)).collect())
}

/// Refuses a policy that is not sound, or whose own tests fail.
async fn publishable(s: &AppState, source: &PolicySource, set: &PolicySet) -> Result<(), Problem> {
    let draft = sound(s, source, set).await?;
    hold(draft, set.extras.tests.clone()).await
}

async fn with_session(s: &AppState, sims: &BTreeSet<Imsi>) -> u64 {
    if sims.is_empty() {
        return 0;
    }
    let own = s.control.sessions().await.unwrap_or_default();
    let foreign = s.control.foreign_sessions().await.unwrap_or_default();
    let all: BTreeSet<Imsi> = own.iter().map(|v| v.imsi).chain(foreign.iter().map(|f| f.imsi)).collect();
    all.intersection(sims).count() as u64
}
