//! Predicates: what rules ask about a SIM, numbered, so that all answers fit one word (decision D3).
//!
//! A bit is set where something is *known to be so*. A rule that lets through needs the bits of its conditions; a rule
//! that refuses is passed by only where a bit says that a condition is known not to hold. So a word of zeros, which a
//! SIM has of which nothing is known, opens nothing, and knowing less never opens more.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{
    compile::{AppIdx, Compiled},
    risk::{Assessment, RiskProfile, posture},
    row::When,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use types::{Compliance, Conditions, DeviceModel, Name, Radio, RiskLevel, SimFacts, Utc};

/// Bits of a word.
pub(crate) const MOST: usize = 64;

/// Something that can be known to be so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Predicate {
    Posture(Compliance),
    At(BTreeSet<Name>),
    NotAt(BTreeSet<Name>),
    Radio(Radio),
    Assured,
    NotAssured,
    RiskBelow(RiskLevel),
    RiskAtLeast(RiskLevel),
    Model(BTreeSet<DeviceModel>),
    NotModel(BTreeSet<DeviceModel>),
}

impl Predicate {
    /// What is so exactly where this is not, where both are known.
    fn opposite(&self) -> Self {
        match self.clone() {
            Self::Posture(Compliance::Compliant) => Self::Posture(Compliance::NotCompliant),
            Self::Posture(Compliance::NotCompliant) => Self::Posture(Compliance::Compliant),
            Self::At(s) => Self::NotAt(s),
            Self::NotAt(s) => Self::At(s),
            Self::Radio(Radio::Nr) => Self::Radio(Radio::Eutra),
            Self::Radio(Radio::Eutra) => Self::Radio(Radio::Nr),
            Self::Assured => Self::NotAssured,
            Self::NotAssured => Self::Assured,
            Self::RiskBelow(l) => Self::RiskAtLeast(l),
            Self::RiskAtLeast(l) => Self::RiskBelow(l),
            Self::Model(m) => Self::NotModel(m),
            Self::NotModel(m) => Self::Model(m),
        }
    }

    fn is_of_risk(&self) -> bool {
        matches!(self, Self::RiskBelow(_) | Self::RiskAtLeast(_))
    }

    /// True where it is known to be so.
    fn is_known(&self, facts: &SimFacts, risk: Option<&Assessment>, at: Utc) -> bool {
        let site = || facts.place.as_ref().map(|p| p.site.as_ref());
        match self {
            Self::Posture(wanted) => posture(facts, at) == Some(*wanted),
            Self::At(all) => site().is_some_and(|s| s.is_some_and(|s| all.contains(s))),
            Self::NotAt(all) => site().is_some_and(|s| s.is_none_or(|s| !all.contains(s))),
            Self::Radio(wanted) => facts.radio.as_ref().is_some_and(|r| r.value == *wanted),
            Self::Assured => facts.assurance.as_ref().is_some_and(|a| at < a.until),
            Self::NotAssured => facts.assurance.as_ref().is_some_and(|a| a.until <= at),
            Self::RiskBelow(level) => risk.is_some_and(|r| r.level < *level),
            Self::RiskAtLeast(level) => risk.is_some_and(|r| r.least >= *level),
            Self::Model(all) => facts.model.as_ref().is_some_and(|m| all.contains(&m.value)),
            Self::NotModel(all) => facts.model.as_ref().is_some_and(|m| !all.contains(&m.value)),
        }
    }
}

/// The conditions as predicates; all have to be so. A condition that always holds is none.
fn wanted(c: &Conditions) -> Vec<Predicate> {
    let above = |level: RiskLevel| RiskLevel::ALL.get(level as usize + 1).copied();
    let mut all = Vec::new();
    all.extend(c.posture.map(Predicate::Posture));
    all.extend((!c.sites.is_empty()).then(|| Predicate::At(c.sites.clone())));
    all.extend((!c.not_sites.is_empty()).then(|| Predicate::NotAt(c.not_sites.clone())));
    all.extend(c.radio.map(Predicate::Radio));
    all.extend(c.assured.map(|yes| if yes { Predicate::Assured } else { Predicate::NotAssured }));
    all.extend(c.risk_at_most.and_then(above).map(Predicate::RiskBelow));
    all.extend(c.risk_at_least.filter(|l| *l > RiskLevel::Low).map(Predicate::RiskAtLeast));
    all.extend((!c.models.is_empty()).then(|| Predicate::Model(c.models.clone())));
    all
}

/// More predicates than a word has bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The number of a predicate, which gets one if it has none.
fn number(all: &mut Vec<Predicate>, p: Predicate) -> Result<u64, TooMany> {
    let at = match all.iter().position(|have| *have == p) {
        Some(at) => at,
        None if all.len() < MOST => {
            all.push(p);
            all.len() - 1
        }
        None => return Err(TooMany),
    };
    Ok(1 << at)
}

/// Where the conditions are known to hold.
pub(crate) fn surely(all: &mut Vec<Predicate>, c: &Conditions) -> Result<When, TooMany> {
    let mut when = When::ALWAYS;
    for p in wanted(c) {
        when = when.with(number(all, p)?);
    }
    Ok(when)
}

/// Where none of the conditions is known not to hold.
pub(crate) fn perhaps(all: &mut Vec<Predicate>, c: &Conditions) -> Result<When, TooMany> {
    let mut when = When::ALWAYS;
    for p in wanted(c) {
        when = when.without(number(all, p.opposite())?);
    }
    Ok(when)
}

/// The bit of one predicate.
pub(crate) fn bit(all: &mut Vec<Predicate>, p: Predicate) -> Result<u64, TooMany> {
    number(all, p)
}

/// What is known of a SIM at a moment, as one policy numbers it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Known {
    /// One bit for each predicate.
    pub(crate) word: u64,
    /// Apps that it was granted, rising.
    pub(crate) grants: Box<[AppIdx]>,
    /// Apps that its person proved themselves for, rising.
    pub(crate) proofs: Box<[AppIdx]>,
}

impl Known {
    /// Everything that may open is known to be so: no SIM's facts open more, whether there can be such a SIM or not.
    pub(crate) fn most_open() -> Self {
        Self { word: u64::MAX, ..Self::default() }
    }

    /// The word of predicates.
    pub fn word(&self) -> u64 {
        self.word
    }
}

impl Compiled {
    /// The SIM's word: which predicates of this policy are known to be so.
    pub fn word_of(&self, facts: &SimFacts, at: Utc) -> u64 {
        let risk = self.asks_for_risk().then(|| self.risk().assess(facts, at));
        self.word_by(facts, risk.as_ref(), at)
    }

    fn word_by(&self, facts: &SimFacts, risk: Option<&Assessment>, at: Utc) -> u64 {
        let bits = self.predicates().iter().zip(0..);
        bits.fold(0, |word, (p, n)| word | u64::from(p.is_known(facts, risk, at)) << n)
    }

    /// What is known of the SIM at this moment.
    pub fn known(&self, facts: &SimFacts, at: Utc) -> Known {
        let risk = self.asks_for_risk().then(|| self.risk().assess(facts, at));
        self.known_by(facts, risk.as_ref(), at)
    }

    /// The same where its risk has been weighed.
    pub(crate) fn known_by(&self, facts: &SimFacts, risk: Option<&Assessment>, at: Utc) -> Known {
        let apps = |proof: bool| {
            let counts = facts.grants.iter().filter(|g| g.proof == proof && g.counts(at));
            let mut apps: Vec<AppIdx> = counts.filter_map(|g| self.app_named(&g.app)).collect();
            apps.sort_unstable();
            apps.dedup();
            apps.into()
        };
        Known { word: self.word_by(facts, risk, at), grants: apps(false), proofs: apps(true) }
    }

    /// The next moment at which [`Compiled::known`] may say something else of the same facts.
    pub fn next_change(&self, facts: &SimFacts, at: Utc) -> Option<Utc> {
        let ends = [
            facts.posture.as_ref().and_then(|p| p.until),
            facts.assurance.as_ref().map(|a| a.until),
            facts.risk.as_ref().and_then(|r| r.until),
        ];
        let of_grants = facts.grants.iter().flat_map(|g| [g.from, g.until]);
        let night = if self.asks_for_risk() { self.risk().next_border(facts, at) } else { None };
        ends.into_iter().flatten().chain(of_grants).filter(|t| *t > at).chain(night).min()
    }

    /// True where a rule asks for the risk.
    pub fn asks_for_risk(&self) -> bool {
        self.predicates().iter().any(Predicate::is_of_risk)
    }

    /// True where this policy and one that changes made of it ask about the same things.
    pub(crate) fn asks_as(&self, next: &Self) -> bool {
        self.predicates().len() == next.predicates().len()
    }

    /// How risk is weighed.
    pub fn risk(&self) -> &RiskProfile {
        &self.risk
    }
}
