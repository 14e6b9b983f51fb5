//! What a rule does, as the rows say it, and the list of what one rule does under which conditions.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    decide::Ruling,
    predicate::{Predicate, TooMany, bit, perhaps, surely},
    risk::{RiskOutcome, RiskProfile},
    row::When,
};
use serde::{Deserialize, Serialize};
use types::{Reason, RiskLevel, Rule, Sensitivity, Verdict};

/// What is done with a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Act {
    Allow,
    /// And it is written down, whatever the rule says of records.
    AllowLogged,
    Deny,
    Reject,
    StepUp,
    Quarantine,
    DenyRisk,
    /// What the rule asks about is not known, and it cannot be said which of its words counts.
    DenyUnknown,
}

impl Act {
    pub(crate) fn ruling(self) -> (Ruling, Reason) {
        match self {
            Self::Allow | Self::AllowLogged => (Ruling::Allow, Reason::Rule),
            Self::Deny => (Ruling::Deny, Reason::RuleDeny),
            Self::Reject => (Ruling::Reject, Reason::RuleReject),
            Self::StepUp => (Ruling::Reject, Reason::StepUpNeeded),
            Self::Quarantine => (Ruling::Reject, Reason::RuleQuarantine),
            Self::DenyRisk => (Ruling::Deny, Reason::RiskTooHigh),
            Self::DenyUnknown => (Ruling::Deny, Reason::FactUnknown),
        }
    }

    pub(crate) fn allows(self) -> bool {
        matches!(self, Self::Allow | Self::AllowLogged)
    }
}

/// What `rule` does towards an app of this sensitivity, and where; the first that holds counts.
pub(crate) fn acts(
    rule: &Rule,
    sensitivity: Sensitivity,
    risk: &RiskProfile,
    all: &mut Vec<Predicate>,
) -> Result<Vec<(When, Act)>, TooMany> {
    let c = &rule.conditions;
    let mut acts = Vec::new();
    match rule.verdict {
        Verdict::Allow => acts.push((surely(all, c)?, Act::Allow)),
        Verdict::Deny => acts.push((perhaps(all, c)?, Act::Deny)),
        Verdict::Reject => acts.push((perhaps(all, c)?, Act::Reject)),
        Verdict::Quarantine => acts.push((perhaps(all, c)?, Act::Quarantine)),
        Verdict::StepUp => step_up(surely(all, c)?, &mut acts, all)?,
        Verdict::Risk => by_risk(surely(all, c)?, sensitivity, risk, &mut acts, all)?,
    }
    // Both may open and may close: where it cannot be said whether the rule speaks at all, the worse is done.
    if matches!(rule.verdict, Verdict::StepUp | Verdict::Risk) && !c.is_empty() {
        acts.push((perhaps(all, c)?, Act::DenyUnknown));
    }
    Ok(acts)
}

fn step_up(when: When, acts: &mut Vec<(When, Act)>, all: &mut Vec<Predicate>) -> Result<(), TooMany> {
    acts.push((when.with(bit(all, Predicate::Assured)?), Act::Allow));
    acts.push((when, Act::StepUp));
    Ok(())
}

/// From the lowest level on: what is not known to be below the next one is that.
fn by_risk(
    when: When,
    sensitivity: Sensitivity,
    risk: &RiskProfile,
    acts: &mut Vec<(When, Act)>,
    all: &mut Vec<Predicate>,
) -> Result<(), TooMany> {
    for (level, next) in RiskLevel::ALL.iter().zip(RiskLevel::ALL.iter().skip(1).map(Some).chain([None])) {
        let when = match next {
            Some(next) => when.with(bit(all, Predicate::RiskBelow(*next))?),
            None => when,
        };
        match risk.outcome(*level, sensitivity) {
            RiskOutcome::Allow => acts.push((when, Act::Allow)),
            RiskOutcome::AllowLogged => acts.push((when, Act::AllowLogged)),
            RiskOutcome::StepUp => step_up(when, acts, all)?,
            RiskOutcome::Deny => acts.push((when, Act::DenyRisk)),
        }
    }
    Ok(())
}
