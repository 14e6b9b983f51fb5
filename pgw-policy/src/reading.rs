//! The conditions of a rule as a person is shown them: what is asked, what is known, from whom and since when.
//!
//! This shares nothing with [`crate::predicate`]: it is the other reading that the rows are held against.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::risk::{Assessment, RiskProfile};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt::Display};
use types::{Conditions, Name, Rule, SimFacts, Utc, Verdict};

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Nobody knows.
    Unknown,
}

impl Truth {
    fn of(known: Option<bool>) -> Self {
        known.map_or(Self::Unknown, |yes| if yes { Self::Yes } else { Self::No })
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The device's posture.
    Posture,
    /// The site.
    Sites,
    /// The site, that it is not to be.
    NotSites,
    /// The radio.
    Radio,
    /// The person's proof.
    Assured,
    /// The risk, that it is not above.
    RiskAtMost,
    /// The risk, that it is not below.
    RiskAtLeast,
    /// The device's model.
    Models,
}

impl Asked {
    /// As the rule's field is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Posture => "posture",
            Self::Sites => "sites",
            Self::NotSites => "not_sites",
            Self::Radio => "radio",
            Self::Assured => "assured",
            Self::RiskAtMost => "risk_at_most",
            Self::RiskAtLeast => "risk_at_least",
            Self::Models => "models",
        }
    }
}

/// One condition, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What it is about.
    pub asked: Asked,
    /// What the rule wants.
    pub wanted: String,
    /// What is known; `None`: nothing.
    pub value: Option<String>,
    /// Whether it holds.
    pub holds: Truth,
    /// Who says what is known.
    pub source: Option<Name>,
    /// Since when it is known.
    pub since: Option<Utc>,
    /// Until when it counts.
    pub until: Option<Utc>,
}

/// A fact of a SIM as it counts at a moment.
struct Fact<T> {
    value: T,
    source: Name,
    since: Utc,
    until: Option<Utc>,
}

fn reading<T: Display>(
    asked: Asked,
    wanted: String,
    fact: Option<Fact<T>>,
    holds: impl FnOnce(&T) -> bool,
) -> Reading {
    Reading {
        asked,
        wanted,
        holds: Truth::of(fact.as_ref().map(|f| holds(&f.value))),
        value: fact.as_ref().map(|f| f.value.to_string()),
        since: fact.as_ref().map(|f| f.since),
        until: fact.as_ref().and_then(|f| f.until),
        source: fact.map(|f| f.source),
    }
}

fn list<T: Display>(all: &BTreeSet<T>) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A site, or none.
#[derive(PartialEq)]
struct At(Option<Name>);

impl Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_ref().map_or("-", Name::as_str))
    }
}

impl At {
    fn is_in(&self, all: &BTreeSet<Name>) -> bool {
        self.0.as_ref().is_some_and(|s| all.contains(s))
    }
}

/// Reads the conditions of a rule, in the order of their fields.
pub(crate) fn read(c: &Conditions, facts: &SimFacts, at: Utc, profile: &RiskProfile) -> Vec<Reading> {
    let mut all = Vec::new();
    if let Some(wanted) = c.posture {
        let fresh = facts.posture.as_ref().filter(|p| p.until.is_none_or(|end| at < end));
        let fact =
            fresh.map(|p| Fact { value: p.value, source: p.source.clone(), since: p.since, until: p.until });
        all.push(reading(Asked::Posture, wanted.to_string(), fact, |p| *p == wanted));
    }
    let site = || {
        facts.place.as_ref().map(|p| Fact {
            value: At(p.site.clone()),
            source: p.source.clone(),
            since: p.since,
            until: None,
        })
    };
    if !c.sites.is_empty() {
        all.push(reading(Asked::Sites, list(&c.sites), site(), |s| s.is_in(&c.sites)));
    }
    if !c.not_sites.is_empty() {
        all.push(reading(Asked::NotSites, list(&c.not_sites), site(), |s| !s.is_in(&c.not_sites)));
    }
    if let Some(wanted) = c.radio {
        let fact = facts.radio.as_ref().map(|r| Fact {
            value: r.value,
            source: r.source.clone(),
            since: r.since,
            until: None,
        });
        all.push(reading(Asked::Radio, wanted.to_string(), fact, |r| *r == wanted));
    }
    if let Some(wanted) = c.assured {
        let fact = facts.assurance.as_ref().map(|a| Fact {
            value: at < a.until,
            source: a.source.clone(),
            since: a.since,
            until: Some(a.until),
        });
        all.push(reading(Asked::Assured, wanted.to_string(), fact, |a| *a == wanted));
    }
    if c.risk_at_most.is_some() || c.risk_at_least.is_some() {
        let risk = profile.assess(facts, at);
        if let Some(most) = c.risk_at_most {
            let holds = (risk.level <= most, risk.least <= most);
            all.push(of_risk(Asked::RiskAtMost, most.to_string(), &risk, holds));
        }
        if let Some(least) = c.risk_at_least {
            let holds = (risk.level >= least, risk.least >= least);
            all.push(of_risk(Asked::RiskAtLeast, least.to_string(), &risk, holds));
        }
    }
    if !c.models.is_empty() {
        let fact = facts.model.as_ref().map(|m| Fact {
            value: m.value,
            source: m.source.clone(),
            since: m.since,
            until: None,
        });
        all.push(reading(Asked::Models, list(&c.models), fact, |m| c.models.contains(m)));
    }
    all
}

/// The risk is somewhere from what is known to be bad up to what may be; it holds where it does at both ends.
fn of_risk(asked: Asked, wanted: String, risk: &Assessment, holds: (bool, bool)) -> Reading {
    let holds = match holds {
        (true, true) => Truth::Yes,
        (false, false) => Truth::No,
        _ => Truth::Unknown,
    };
    let value = match risk.level == risk.least {
        true => risk.level.to_string(),
        false => format!("{} - {}", risk.least, risk.level),
    };
    Reading { asked, wanted, value: Some(value), holds, source: None, since: None, until: None }
}

/// What the conditions of a rule come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// The rule speaks of the flow.
    Its,
    /// It does not.
    Nothing,
    /// Nobody knows whether it does, and it might open: what it comes to is a denial.
    Unclear,
}

/// Whether a rule speaks, by its conditions: what is not known never opens.
pub(crate) fn says(rule: &Rule, readings: &[Reading]) -> Says {
    let all = readings.iter().fold(Truth::Yes, |all, r| all.and(r.holds));
    match (all, rule.verdict) {
        (Truth::Yes, _) => Says::Its,
        (Truth::No, _) => Says::Nothing,
        (Truth::Unknown, Verdict::Allow) => Says::Nothing,
        (Truth::Unknown, Verdict::Deny | Verdict::Reject | Verdict::Quarantine) => Says::Its,
        (Truth::Unknown, Verdict::StepUp | Verdict::Risk) => Says::Unclear,
    }
}
