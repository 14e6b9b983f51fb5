//! The policy as a whole: what is stored and what is in force, tests of it, and why it says what it says.

use crate::{
    api::{
        apps::AppBody,
        data_networks::DataNetworkBody,
        documents::{self, Resource},
        groups::GroupBody,
        readings::{NearestView, ReadingView, RiskView},
        rules::{DirectionWord, RuleBody, VerdictWord},
    },
    check::{Check, Kind, rfc3339},
    problem::{Problem, say},
    request::Body,
    rights::ReadCapability,
    state::{AppState, now},
};
use axum::{Json, extract::State};
use pgw_policy::{Explanation, Outcome, Policy, Question, Ruling, command::LearnedName};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use types::{App, DataNetwork, Group, Imsi, Name, NamePattern, NamesFrom, Rule, Service};
use utoipa::ToSchema;

/// The stored policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
pub(crate) struct PolicyView {
    /// Generation that is stored.
    generation: u64,
    /// Generation that the gateway enforces; null while it is not known.
    enforced_generation: Option<u64>,
    data_networks: Vec<DataNetworkBody>,
    apps: Vec<AppBody>,
    groups: Vec<GroupBody>,
    /// In the order in which they are read.
    rules: Vec<RuleBody>,
}

/// A policy that is not stored: each list that is given stands in place of the stored one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    data_networks: Option<Vec<DataNetworkBody>>,
    apps: Option<Vec<AppBody>>,
    groups: Option<Vec<GroupBody>>,
    rules: Option<Vec<RuleBody>>,
}

/// A flow that is asked about. The other end is given by address, or by app, whose first address is taken.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlowQuestion {
    /// The SIM.
    #[schema(value_type = String)]
    pub(crate) imsi: Imsi,
    /// Who opens; out if not given.
    pub(crate) direction: Option<DirectionWord>,
    /// Address of the other end.
    #[schema(value_type = Option<String>)]
    pub(crate) address: Option<IpAddr>,
    /// App at the other end.
    #[schema(value_type = Option<String>)]
    pub(crate) app: Option<Name>,
    /// Protocol and port of the side that is opened towards: tcp/443, udp/53, icmp.
    #[schema(example = "tcp/443")]
    pub(crate) service: String,
}

/// A question, about the stored policy or a draft.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainRequest {
    question: FlowQuestion,
    draft: Option<Draft>,
}

/// Cases to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestRequest {
    /// At most 1000.
    #[schema(max_items = 1000)]
    cases: Vec<TestCase>,
    draft: Option<Draft>,
}

/// What rules and app come to for a flow.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Ruling)]
pub(crate) enum RulingWord {
    /// Forward.
    Allow,
    /// Forward where the flow is to one of `names`, as `names_from` says how that is seen; else reset.
    Inspect,
    /// Drop in silence.
    Deny,
    /// Drop and tell the sender.
    Reject,
}

impl From<Ruling> for RulingWord {
    fn from(r: Ruling) -> Self {
        match r {
            Ruling::Allow => Self::Allow,
            Ruling::Inspect => Self::Inspect,
            Ruling::Deny => Self::Deny,
            Ruling::Reject => Self::Reject,
        }
    }
}

impl From<RulingWord> for Ruling {
    fn from(r: RulingWord) -> Self {
        match r {
            RulingWord::Allow => Self::Allow,
            RulingWord::Inspect => Self::Inspect,
            RulingWord::Deny => Self::Deny,
            RulingWord::Reject => Self::Reject,
        }
    }
}

/// A question with the verdict that is expected.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestCase {
    question: FlowQuestion,
    expect: RulingWord,
}

/// How the cases went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestReport {
    /// Cases that came out as expected.
    passed: u64,
    /// Cases that did not.
    failed: u64,
    /// Each case, in order.
    results: Vec<TestResult>,
}

/// How one case went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestResult {
    passed: bool,
    explanation: ExplanationView,
}

/// A verdict with its whole story.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(crate) struct ExplanationView {
    /// Generation of the policy; null for a moment of the past.
    pub(crate) generation: Option<u64>,
    verdict: RulingWord,
    /// Stable word of the reason, for example rule or no-rule.
    reason: String,
    /// The rule that decided.
    rule: Option<String>,
    app: Option<String>,
    /// The longest prefix over the other end's address.
    prefix: Option<String>,
    /// The SIM's groups.
    groups: Vec<String>,
    /// Where it is allowed: most bits a second from the UE, if the rule says so.
    rate_ul_bps: Option<u64>,
    /// The same to the UE.
    rate_dl_bps: Option<u64>,
    /// Where it is allowed: which of such flows are written down: all, counters or 1/N.
    record: Option<String>,
    /// Where it is allowed: DSCP of its packets, if the app says so.
    dscp: Option<u8>,
    /// Where it is allowed: QoS flow of its packets to the UE, if the app says so and the session has it.
    qfi: Option<u8>,
    /// Where it is inspected: the servers to one of which it must be.
    names: Vec<String>,
    /// Where it is inspected: how that is seen, tls (its ClientHello names it) or dns (the SIM has looked it up).
    names_from: Option<String>,
    /// Where it is seen by what the SIM has looked up, and now was asked about: what it has, of these names. Null where
    /// the gateway does not answer.
    looked_up: Option<Vec<LookedUp>>,
    /// The rules in the order in which they were read, up to the one that decided.
    considered: Vec<ConsideredView>,
    /// The SIM's state at that moment, where a SIM of that IMSI is there. Nothing passes for one that is not ready or
    /// active, whatever the rules say.
    sim_state: Option<String>,
    /// The moment that was asked about; null for now.
    at: Option<String>,
    /// Id of the grant that allowed it.
    grant: Option<String>,
    /// The SIM's risk, where the rule that decided goes by it.
    risk: Option<RiskView>,
    /// A rule that is only watched, and that would have said the other thing.
    would: Option<String>,
    /// Where it is refused: the rule that is nearest to letting it through.
    nearest: Option<NearestView>,
}

impl ExplanationView {
    fn terms(&mut self, t: Option<pgw_policy::Terms>) {
        let (rate, mark) = t.as_ref().map_or_else(Default::default, |t| (t.rate, t.mark));
        (self.rate_ul_bps, self.rate_dl_bps) = (rate.ul_bps, rate.dl_bps);
        (self.dscp, self.qfi) = (mark.dscp.map(Into::into), mark.qfi.map(Into::into));
        self.record = t.as_ref().map(|t| t.record.to_string());
        self.names_from = t.as_ref().and_then(|t| t.names_from).map(|f| f.to_string());
        self.names = t.iter().flat_map(|t| t.names.iter().map(ToString::to_string)).collect();
    }

    /// True where it hangs on what the SIM has looked up.
    pub(crate) fn asks_for_lookups(&self) -> bool {
        self.names_from.as_deref() == Some(NamesFrom::Dns.as_str())
    }

    /// Adds what the SIM has looked up, as far as it is of the app's names.
    pub(crate) fn with_lookups(&mut self, all: Vec<LearnedName>) {
        let patterns: Vec<NamePattern> = self.names.iter().filter_map(|n| n.parse().ok()).collect();
        let of_app = |l: &LearnedName| patterns.iter().any(|p| p.covers(&l.name));
        self.looked_up = Some(all.into_iter().filter(of_app).map(Into::into).collect());
    }

    /// Adds the SIM's state: who is banned reaches nothing, and no rule is read for it.
    pub(crate) fn of_state(&mut self, state: types::SimState, at: Option<types::Utc>) {
        self.sim_state = Some(state.to_string());
        self.at = at.map(rfc3339);
        if state.is_banned() {
            self.verdict = RulingWord::Deny;
            self.reason = types::Reason::Banned.to_string();
            self.rule = None;
            self.terms(None);
            self.considered.clear();
            (self.grant, self.risk, self.would, self.nearest) = (None, None, None, None);
        }
    }
}

/// An address that a resolver has given the SIM for a name that it asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LookedUp {
    name: String,
    address: String,
    /// The resolver that said so.
    resolver: String,
    /// When.
    since: String,
    /// How long it still holds, seconds.
    left_s: u64,
}

impl From<LearnedName> for LookedUp {
    fn from(l: LearnedName) -> Self {
        Self {
            name: l.name.to_string(),
            address: l.address.to_string(),
            resolver: l.resolver.to_string(),
            since: rfc3339(l.since),
            left_s: l.left_ms / 1000,
        }
    }
}

/// A rule that was read on the way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Considered)]
pub(crate) struct ConsideredView {
    rule: String,
    verdict: VerdictWord,
    /// matched, other-subject, other-direction, other-app, other-service, other-time, other-facts or watched.
    outcome: String,
    /// Its conditions, where everything else fits.
    conditions: Vec<ReadingView>,
}

impl From<Explanation> for ExplanationView {
    fn from(e: Explanation) -> Self {
        let outcome = |o: Outcome| match o {
            Outcome::Matched => "matched",
            Outcome::OtherSubject => "other-subject",
            Outcome::OtherDirection => "other-direction",
            Outcome::OtherApp => "other-app",
            Outcome::OtherService => "other-service",
            Outcome::OtherTime => "other-time",
            Outcome::OtherFacts => "other-facts",
            Outcome::Watched => "watched",
        };
        let terms = e.terms;
        let mut view = Self {
            generation: Some(e.generation),
            verdict: e.verdict.into(),
            reason: e.reason.to_string(),
            rule: e.rule.map(|r| r.to_string()),
            app: e.app.map(|a| a.to_string()),
            prefix: e.prefix.map(|p| p.to_string()),
            groups: e.groups.iter().map(ToString::to_string).collect(),
            considered: e
                .considered
                .into_iter()
                .map(|c| ConsideredView {
                    rule: c.rule.to_string(),
                    verdict: c.verdict.into(),
                    outcome: outcome(c.outcome).to_owned(),
                    conditions: c.conditions.into_iter().map(Into::into).collect(),
                })
                .collect(),
            rate_ul_bps: None,
            rate_dl_bps: None,
            record: None,
            dscp: None,
            qfi: None,
            names: Vec::new(),
            names_from: None,
            looked_up: None,
            sim_state: None,
            at: None,
            grant: e.grant,
            risk: e.risk.map(Into::into),
            would: e.would.map(|r| r.to_string()),
            nearest: e.nearest.map(Into::into),
        };
        view.terms(terms);
        view
    }
}

/// The stored policy and its generation, and the generation that the gateway enforces.
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies", security(("token" = ["read"])),
    responses((status = 200, body = PolicyView)))]
pub(crate) async fn current(
    _: ReadCapability,
    State(s): State<AppState>,
) -> Result<Json<PolicyView>, Problem> {
    let stored = s.store.policy_source().await?;
    let status = s.control.status().await;
    Ok(Json(PolicyView {
        generation: stored.generation,
        enforced_generation: status.enforced_generation,
        data_networks: stored.data_networks.into_iter().map(Resource::body).collect(),
        apps: stored.apps.into_iter().map(Resource::body).collect(),
        groups: stored.groups.into_iter().map(Resource::body).collect(),
        rules: stored.rules.into_iter().map(Resource::body).collect(),
    }))
}

/// Tries cases against the stored policy or a draft. Changes nothing.
#[utoipa::path(post, path = "/api/v1/policies/test", tag = "policies", request_body = TestRequest,
    security(("token" = ["read"])), responses((status = 200, body = TestReport)))]
pub(crate) async fn test(
    _: ReadCapability,
    State(s): State<AppState>,
    Body(body): Body<TestRequest>,
) -> Result<Json<TestReport>, Problem> {
    if body.cases.len() > 1000 {
        return Err(Problem::field(
            "/cases",
            say!("there are more than 1000 cases", "ケースが 1000 件を超えています"),
            Some(say!("send them in several requests", "複数のリクエストに分けてください")),
        ));
    }
    let policy = policy_of(&s, body.draft).await?;
    let mut check = Check::default();
    let questions: Vec<Option<Question>> = body
        .cases
        .iter()
        .enumerate()
        .map(|(i, c)| question(&mut check, &format!("/cases/{i}/question/"), &c.question, &policy))
        .collect();
    let questions: Vec<Question> = check.finish(questions.into_iter().collect())?;
    let standing = at_this_moment(&policy);
    let results: Vec<TestResult> = questions
        .iter()
        .zip(&body.cases)
        .map(|(q, case)| {
            let explanation = pgw_policy::explain_for(&policy, q, &standing);
            TestResult {
                passed: explanation.verdict == Ruling::from(case.expect),
                explanation: explanation.into(),
            }
        })
        .collect();
    let passed = results.iter().filter(|r| r.passed).count() as u64;
    Ok(Json(TestReport { passed, failed: results.len() as u64 - passed, results }))
}

/// Explains a verdict by the stored policy or a draft. What is in force is explained by /decisions.
#[utoipa::path(post, path = "/api/v1/policies/explain", tag = "policies", request_body = ExplainRequest,
    security(("token" = ["read"])), responses((status = 200, body = ExplanationView)))]
pub(crate) async fn explain(
    _: ReadCapability,
    State(s): State<AppState>,
    Body(body): Body<ExplainRequest>,
) -> Result<Json<ExplanationView>, Problem> {
    let policy = policy_of(&s, body.draft).await?;
    let mut check = Check::default();
    let q = question(&mut check, "/question/", &body.question, &policy);
    let q = check.finish(q)?;
    Ok(Json(pgw_policy::explain_for(&policy, &q, &at_this_moment(&policy)).into()))
}

/// The rules that are not in force now; nobody is restricted.
fn at_this_moment(policy: &Policy) -> pgw_policy::Standing {
    pgw_policy::Standing {
        off: pgw_policy::clock::off(&policy.rules, now()),
        at: now(),
        ..pgw_policy::Standing::default()
    }
}

/// The stored policy, or a draft of it, as it judges where it is in force.
async fn policy_of(s: &AppState, draft: Option<Draft>) -> Result<Policy, Problem> {
    let stored = documents::policy(s.store.policy_source().await?);
    let policy = match draft {
        None => stored,
        Some(draft) => laid_over(stored, draft)?,
    };
    Ok(documents::with_built_in(s, policy).await)
}

/// A policy with the lists of a draft in place of its own, where it is sound.
fn laid_over(mut policy: Policy, draft: Draft) -> Result<Policy, Problem> {
    let mut check = Check::default();
    replaced::<DataNetwork>(&mut check, &mut policy.data_networks, draft.data_networks);
    replaced::<App>(&mut check, &mut policy.apps, draft.apps);
    replaced::<Group>(&mut check, &mut policy.groups, draft.groups);
    replaced::<Rule>(&mut check, &mut policy.rules, draft.rules);
    check.done()?;
    // Groups that the draft drops fall away from the SIMs: a draft need not repeat every SIM.
    let groups: std::collections::BTreeSet<Name> = policy.groups.iter().map(|g| g.name.clone()).collect();
    for ue in &mut policy.ues {
        ue.groups.retain(|g| groups.contains(g));
    }
    pgw_policy::validate(&policy).map_err(documents::unsound)?;
    Ok(policy)
}

fn replaced<T: Resource>(check: &mut Check, list: &mut Vec<T>, given: Option<Vec<T::Body>>) {
    if let Some(bodies) = given {
        *list = bodies.into_iter().filter_map(|b| T::read(b, check)).collect();
    }
}

/// Reads a question; an app is replaced by its first address.
pub(crate) fn question(check: &mut Check, at: &str, q: &FlowQuestion, policy: &Policy) -> Option<Question> {
    let service: Option<Service> = check.parse(&format!("{at}service"), &q.service, Kind::Service);
    let peer = peer(check, at, q, policy);
    let service = service?;
    if service.ports.first() != service.ports.last() && service.protocol != types::Protocol::Icmp {
        check.add(
            format!("{at}service"),
            say!("a flow has one port", "フローのポートは 1 つです"),
            Some(say!("give one port, for example tcp/443", "ポートを 1 つ指定してください (例: tcp/443)")),
        );
        return None;
    }
    let peer = peer?;
    let protocol = match (service.protocol, peer) {
        (types::Protocol::Tcp, _) => 6,
        (types::Protocol::Udp, _) => 17,
        (types::Protocol::Icmp, IpAddr::V4(_)) => 1,
        (types::Protocol::Icmp, IpAddr::V6(_)) => 58,
    };
    let port = if service.protocol == types::Protocol::Icmp { 0 } else { service.ports.first() };
    let direction = q.direction.unwrap_or(DirectionWord::Out).into();
    Some(Question { imsi: q.imsi, direction, peer, protocol, port })
}

fn peer(check: &mut Check, at: &str, q: &FlowQuestion, policy: &Policy) -> Option<IpAddr> {
    match (&q.address, &q.app) {
        (Some(address), None) => Some(*address),
        (None, Some(name)) => {
            let found = policy.apps.iter().find(|a| a.name == *name).and_then(|a| a.prefixes.first());
            if found.is_none() {
                check.add(
                    format!("{at}app"),
                    say!("there is no app {name}", "アプリ {name} はありません"),
                    Some(say!(
                        "name one that exists, or give an address",
                        "既存のアプリかアドレスを指定してください"
                    )),
                );
            }
            found.map(|p| p.addr())
        }
        _ => {
            check.add(
                format!("{at}address"),
                say!(
                    "the other end is given by address or by app",
                    "相手は address か app のどちらか一方で指定します"
                ),
                Some(say!("give one of the two", "どちらか一方を指定してください")),
            );
            None
        }
    }
}
