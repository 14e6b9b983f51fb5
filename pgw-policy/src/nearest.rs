//! Of what is refused: the rule that is nearest to letting it through, and what stands between.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    explain::{Explanation, Question},
    policy::{Policy, speaks_of},
    reading::{Reading, Truth, read},
    restrict::Standing,
    risk::{Assessment, RiskOutcome},
};
use serde::{Deserialize, Serialize};
use types::{Name, Reason, Rule, Subject, Verdict};

/// A rule that would let a flow through, were it not for these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nearest {
    /// The rule.
    pub rule: Name,
    /// What stands between.
    pub failed: Vec<Failed>,
}

/// One thing that stands between a flow and the rule that would let it through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failed {
    /// It speaks of others.
    Subject(Subject),
    /// It is in force at other hours, or no longer.
    Time,
    /// A condition does not hold, or is not known to.
    Condition(Reading),
    /// The person has not proved themselves.
    Proof,
    /// The risk is too high.
    Risk(Assessment),
    /// It is only watched so far.
    Monitored,
    /// This rule is read before it, and refuses.
    Behind(Name),
}

/// The rule with the fewest such; of two the one that is read first. `fits` says of which rules direction, app and
/// service are those of the flow.
pub(crate) fn nearest(
    policy: &Policy,
    question: &Question,
    standing: &Standing,
    story: &Explanation,
    fits: impl Fn(&Rule) -> bool,
) -> Option<Nearest> {
    if matches!(story.reason, Reason::NamesNeedTls) {
        return None;
    }
    let in_order = policy.rules_in_order();
    let decided = story.rule.as_ref().and_then(|name| in_order.iter().position(|r| r.name == *name));
    let opening = in_order.iter().enumerate().filter(|(_, r)| r.verdict.may_open() && fits(r));
    let all = opening.map(|(at, rule)| {
        let mut failed = failures(policy, question, standing, rule);
        if let Some(name) = story.rule.as_ref().filter(|_| decided.is_some_and(|d| d < at)) {
            failed.push(Failed::Behind(name.clone()));
        }
        Nearest { rule: rule.name.clone(), failed }
    });
    all.min_by_key(|n| n.failed.len())
}

fn failures(policy: &Policy, question: &Question, standing: &Standing, rule: &Rule) -> Vec<Failed> {
    let mut failed = Vec::new();
    if !speaks_of(&rule.subject, question.imsi, policy.ue(question.imsi)) {
        failed.push(Failed::Subject(rule.subject.clone()));
    }
    if standing.off.contains(&rule.name) {
        failed.push(Failed::Time);
    }
    if rule.is_monitored() {
        failed.push(Failed::Monitored);
    }
    let conditions = read(&rule.conditions, &standing.facts, standing.at, &policy.risk);
    failed.extend(conditions.into_iter().filter(|r| r.holds != Truth::Yes).map(Failed::Condition));
    let proved = standing.facts.assurance.as_ref().is_some_and(|a| standing.at < a.until);
    match rule.verdict {
        Verdict::StepUp if !proved => failed.push(Failed::Proof),
        Verdict::Risk => {
            let risk = policy.risk.assess(&standing.facts, standing.at);
            let app = policy.apps.iter().find(|a| a.name == rule.app);
            match app.map(|a| policy.risk.outcome(risk.level, a.sensitivity)) {
                Some(RiskOutcome::Allow | RiskOutcome::AllowLogged) => {}
                Some(RiskOutcome::StepUp) if proved => {}
                Some(RiskOutcome::StepUp) => failed.push(Failed::Proof),
                Some(RiskOutcome::Deny) | None => failed.push(Failed::Risk(risk)),
            }
        }
        _ => {}
    }
    failed
}
