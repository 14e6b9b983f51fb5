//! What is answered about the policy as one text.

use crate::{
    api::{
        apps::AppBody,
        documents::Resource,
        groups::GroupBody,
        policy_tests::TestsView,
        rules::{DirectionWord, RuleBody},
    },
    check::rfc3339,
    policy_words,
    problem::Lang,
};
use pgw_policy::{
    analyse as analysis,
    plan::{AccessChange, Difference},
    text::PolicyText,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use store::PolicyStep;
use types::Name;
use utoipa::ToSchema;

/// The policy as a model: what its file says, field by field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyModel {
    pub(super) groups: Vec<GroupBody>,
    pub(super) apps: Vec<AppBody>,
    /// But for those that templates make.
    pub(super) rules: Vec<RuleBody>,
    /// Rules with parameters.
    #[schema(value_type = Vec<Object>)]
    pub(super) templates: Value,
    /// Where templates are used.
    #[schema(value_type = Vec<Object>)]
    pub(super) uses: Value,
    /// Cases that must come out as they say.
    #[schema(value_type = Vec<Object>)]
    pub(super) tests: Value,
}

impl PolicyModel {
    pub(super) fn of(text: PolicyText) -> Self {
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
    pub(super) generation: u64,
    /// As a file (TOML).
    pub(super) text: String,
    /// The same as a model.
    pub(super) policy: PolicyModel,
}

/// What is stored after a change of the whole policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppliedPolicy)]
pub(crate) struct AppliedView {
    /// Generation that is stored.
    pub(super) generation: u64,
    /// Groups, apps and rules that are new.
    pub(super) new: u64,
    /// Those that are different.
    pub(super) changed: u64,
    /// Those that are gone.
    pub(super) deleted: u64,
    /// True where how risk is weighed is different, too.
    pub(super) risk_profile: bool,
    /// True where everything was there already: nothing was written.
    pub(super) unchanged: bool,
}

impl From<store::Applied> for AppliedView {
    fn from(a: store::Applied) -> Self {
        Self {
            generation: a.generation,
            new: a.created,
            changed: a.changed,
            deleted: a.deleted,
            risk_profile: a.risk,
            unchanged: a.is_nothing(),
        }
    }
}

/// Names of what is different.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyDifference)]
pub(crate) struct DifferenceView {
    #[schema(value_type = Vec<String>)]
    pub(super) new: Vec<Name>,
    #[schema(value_type = Vec<String>)]
    pub(super) changed: Vec<Name>,
    #[schema(value_type = Vec<String>)]
    pub(super) deleted: Vec<Name>,
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
    pub(super) words: String,
    pub(super) app: String,
    pub(super) direction: DirectionWord,
    /// Of the side that is opened towards.
    pub(super) service: String,
    pub(super) was: AccessWord,
    pub(super) is: AccessWord,
    /// How many.
    pub(super) sims: u64,
    /// One of them, where any is known by its IMSI.
    pub(super) example: Option<String>,
    /// The sets of groups that they are in, with how many are in each.
    pub(super) groups: Vec<InGroups>,
    /// The rule that decides after the change.
    pub(super) rule: Option<String>,
}

/// SIMs by their groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InGroups {
    #[schema(value_type = Vec<String>)]
    pub(super) groups: BTreeSet<Name>,
    pub(super) sims: u64,
}

impl AccessView {
    pub(super) fn of(c: AccessChange, lang: Lang) -> Self {
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
    pub(super) words: String,
    /// shadowed, redundant, contradictory or unused.
    pub(super) kind: &'static str,
    /// What it is about: rule:NAME, app:NAME or group:NAME.
    pub(super) of: String,
    /// The other rule.
    pub(super) by: Option<String>,
    /// A SIM that shows it, where there is one.
    pub(super) imsi: Option<String>,
    /// The other end of the flow that shows it.
    pub(super) address: Option<String>,
    /// Its protocol and port.
    pub(super) service: Option<String>,
    /// The rule that decides it.
    pub(super) decides: Option<String>,
}

impl FindingView {
    pub(super) fn of(f: &analysis::Finding, lang: Lang) -> Self {
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
    pub(super) generation: u64,
    /// True where it says what is stored.
    pub(super) unchanged: bool,
    pub(super) groups: DifferenceView,
    pub(super) apps: DifferenceView,
    pub(super) rules: DifferenceView,
    /// Who may reach what that they could not, and the other way round; at most 500.
    pub(super) access: Vec<AccessView>,
    /// How many there are of these.
    pub(super) access_total: u64,
    /// SIMs that may reach something no longer.
    pub(super) losing_sims: u64,
    /// Those of them that have a session now: their flows that are no longer allowed end when it is applied.
    pub(super) losing_sessions: u64,
    pub(super) tests: TestsView,
    /// What it says in vain, or against itself.
    pub(super) findings: Vec<FindingView>,
}

/// A generation of the policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyGeneration)]
pub(crate) struct StepView {
    pub(super) generation: u64,
    /// When it was made.
    pub(super) at: String,
    /// By whom.
    pub(super) actor: String,
    /// How: policy.apply, policy.rollback, rule.create, ….
    pub(super) action: String,
    /// Of what.
    pub(super) object: String,
    /// Why.
    pub(super) reason: String,
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
