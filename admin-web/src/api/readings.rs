//! What is known of a SIM as an explanation shows it: conditions with value and source, risk with its factors, and what
//! stands between a flow and the nearest rule.

use crate::check::rfc3339;
use pgw_policy::{Assessment, Failed, Nearest, Reading, Truth};
use serde::Serialize;
use utoipa::ToSchema;

/// One condition of a rule, and what is known about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reading)]
pub(crate) struct ReadingView {
    /// What it is about: the rule's field.
    condition: String,
    /// What the rule wants.
    wanted: String,
    /// What is known; null: nothing.
    value: Option<String>,
    /// yes, no or unknown.
    holds: String,
    /// Who says so.
    source: Option<String>,
    /// Since when.
    since: Option<String>,
    /// Until when it counts.
    until: Option<String>,
}

impl From<Reading> for ReadingView {
    fn from(r: Reading) -> Self {
        let holds = match r.holds {
            Truth::Yes => "yes",
            Truth::No => "no",
            Truth::Unknown => "unknown",
        };
        Self {
            condition: r.asked.as_str().to_owned(),
            wanted: r.wanted,
            value: r.value,
            holds: holds.to_owned(),
            source: r.source.map(|s| s.to_string()),
            since: r.since.map(rfc3339),
            until: r.until.map(rfc3339),
        }
    }
}

/// The risk of a SIM.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Risk)]
pub(crate) struct RiskView {
    /// The sum, where what is not known counts as bad.
    score: u16,
    /// low, medium, high or critical.
    level: String,
    /// What it is the sum of.
    factors: Vec<FactorView>,
}

/// One factor of a risk.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RiskFactor)]
pub(crate) struct FactorView {
    /// not-compliant, not-assured, unusual-place or night.
    factor: String,
    /// What it adds.
    weight: u16,
    /// False where nothing is known, and it counts for that.
    known: bool,
}

impl From<Assessment> for RiskView {
    fn from(a: Assessment) -> Self {
        let factor = |w: &pgw_policy::risk::Weighed| FactorView {
            factor: w.factor.as_str().to_owned(),
            weight: w.weight,
            known: w.known,
        };
        Self { score: a.score, level: a.level.to_string(), factors: a.factors.iter().map(factor).collect() }
    }
}

/// A rule that would let a flow through, and what stands between.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Nearest)]
pub(crate) struct NearestView {
    rule: String,
    /// One or more; the fewer, the nearer.
    failed: Vec<FailedView>,
}

/// One thing that stands between.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failed)]
pub(crate) struct FailedView {
    /// subject, time, condition, proof, risk, monitored or behind.
    what: String,
    /// The subject that it speaks of, or the rule that is read before it and refuses.
    of: Option<String>,
    condition: Option<ReadingView>,
    risk: Option<RiskView>,
}

impl From<Nearest> for NearestView {
    fn from(n: Nearest) -> Self {
        Self { rule: n.rule.to_string(), failed: n.failed.into_iter().map(Into::into).collect() }
    }
}

impl From<Failed> for FailedView {
    fn from(f: Failed) -> Self {
        let view = |what: &str| Self { what: what.to_owned(), of: None, condition: None, risk: None };
        match f {
            Failed::Subject(s) => Self { of: Some(s.to_string()), ..view("subject") },
            Failed::Time => view("time"),
            Failed::Condition(r) => Self { condition: Some(r.into()), ..view("condition") },
            Failed::Proof => view("proof"),
            Failed::Risk(risk) => Self { risk: Some(risk.into()), ..view("risk") },
            Failed::Monitored => view("monitored"),
            Failed::Behind(rule) => Self { of: Some(rule.to_string()), ..view("behind") },
        }
    }
}
