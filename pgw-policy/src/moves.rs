//! Whom another way of weighing risk moves: SIMs whose risk comes to another level at this moment, and what opens, asks
//! for a proof or closes for how many of them.
//!
//! SIMs that the rules cannot tell apart are looked at together: what a decision needs of a SIM is its class, its word of
//! predicates and its grants. So a hundred thousand SIMs cost about what they cost to read.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{
    clock,
    compile::{AppIdx, ClassId, Compiled, compile},
    decide::{Decision, Ruling, from_app, to_app},
    policy::Policy,
    predicate::Known,
    risk::RiskProfile,
    validate::PolicyError,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use types::{
    Direction, Imsi, Name, Protocol, Reason, RiskLevel, Rule, RuleDirection, SimFacts, Utc, Verdict,
};

/// SIMs that are named of those that move in one way.
const EXAMPLES: usize = 5;
/// How often an app is asked about at most; a decision takes some tens of nanoseconds.
const LOOKS: usize = 40_000_000;

/// What an app comes to for a SIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// It is refused.
    Closed,
    /// Its person proves themselves first.
    Proof,
    /// It is let through.
    Open,
}

impl From<Decision> for Door {
    fn from(d: Decision) -> Self {
        match (d.verdict, d.reason) {
            (Ruling::Allow | Ruling::Inspect, _) => Self::Open,
            (_, Reason::StepUpNeeded) => Self::Proof,
            _ => Self::Closed,
        }
    }
}

/// Some SIMs: how many, and a few of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Crowd {
    /// How many.
    pub sims: u64,
    /// The first of them.
    pub examples: Vec<Imsi>,
}

impl Crowd {
    fn add(&mut self, imsi: Imsi) {
        self.sims += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(imsi);
        }
    }

    fn join(&mut self, other: &Self) {
        self.sims += other.sims;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room));
    }
}

/// Whom it moves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moves {
    /// How many SIMs were looked at.
    pub looked_at: u64,
    /// From which level to which other one.
    pub levels: BTreeMap<(RiskLevel, RiskLevel), Crowd>,
    /// What an app comes to for whom: before, and after.
    pub apps: BTreeMap<(Name, Direction, Door, Door), Crowd>,
    /// Apps that were not looked at, because there are too many for so many kinds of SIMs.
    pub left: usize,
}

/// True where a rule asks about the risk, or its verdict goes by it.
pub fn is_by_risk(rule: &Rule) -> bool {
    let asks = rule.conditions.risk_at_most.is_some() || rule.conditions.risk_at_least.is_some();
    asks || rule.verdict == Verdict::Risk
}

/// All that tells a SIM from another one, by the policy as it is and with the other profile.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    classes: [ClassId; 2],
    words: [u64; 2],
    grants: Box<[AppIdx]>,
    proofs: Box<[AppIdx]>,
}

/// What an app is asked: the way out, or the way in to these services of the UE.
type Way = Option<(Protocol, u16)>;

/// What `profile` in place of the policy's own would come to for these SIMs at this moment.
///
/// # Errors
/// Where the policy does not compile.
pub fn moves(
    policy: &Policy,
    profile: &RiskProfile,
    sims: &[(Imsi, Arc<SimFacts>)],
    at: Utc,
) -> Result<Moves, Vec<PolicyError>> {
    let draft = Policy { risk: profile.clone(), ..policy.clone() };
    let then = at_moment(&compile(policy)?, at);
    let now = at_moment(&compile(&draft)?, at);
    let mut found = Moves { looked_at: sims.len() as u64, ..Moves::default() };
    let mut kinds: BTreeMap<Kind, (Crowd, [Known; 2])> = BTreeMap::new();
    for (imsi, facts) in sims {
        let risks = [policy.risk.assess(facts, at), profile.assess(facts, at)];
        let [was, is] = [&then, &now].map(|c| c.class_of(*imsi));
        let [known_then, known_now] =
            [(&then, &risks[0]), (&now, &risks[1])].map(|(c, risk)| c.known_by(facts, Some(risk), at));
        let levels = (risks[0].level, risks[1].level);
        if levels.0 != levels.1 {
            found.levels.entry(levels).or_default().add(*imsi);
        }
        let kind = Kind {
            classes: [was, is],
            words: [known_then.word(), known_now.word()],
            grants: known_now.grants.clone(),
            proofs: known_now.proofs.clone(),
        };
        kinds.entry(kind).or_insert_with(|| (Crowd::default(), [known_then, known_now])).0.add(*imsi);
    }
    let apps = by_risk(policy);
    let most = LOOKS / kinds.len().max(1);
    found.left = apps.len().saturating_sub(most);
    for ((app, direction), ways) in apps.iter().take(most) {
        let (Some(a), Some(b)) = (then.app_named(app), now.app_named(app)) else { continue };
        for (kind, (crowd, [known_then, known_now])) in &kinds {
            let mut ends = BTreeSet::new();
            for way in ways {
                let was = door(&then, kind.classes[0], known_then, a, *way);
                let is = door(&now, kind.classes[1], known_now, b, *way);
                if was != is && ends.insert((was, is)) {
                    found.apps.entry((app.clone(), *direction, was, is)).or_default().join(crowd);
                }
            }
        }
    }
    Ok(found)
}

/// With the schedules as they are at this moment.
fn at_moment(compiled: &Compiled, at: Utc) -> Compiled {
    compiled.with_clocks(clock::word(compiled.clocks(), at)).0
}

fn door(policy: &Compiled, class: ClassId, known: &Known, app: AppIdx, way: Way) -> Door {
    match way {
        None => to_app(policy, class, known, app).into(),
        Some(service) => from_app(policy, class, known, app, service).into(),
    }
}

/// The apps of which a rule goes by risk, each with the ways in which rules ask: the others come out as they did.
fn by_risk(policy: &Policy) -> BTreeMap<(Name, Direction), BTreeSet<Way>> {
    let mut found: BTreeMap<(Name, Direction), BTreeSet<Way>> = BTreeMap::new();
    for rule in policy.rules.iter().filter(|r| is_by_risk(r)) {
        match &rule.direction {
            RuleDirection::Out => {
                found.entry((rule.app.clone(), Direction::Out)).or_default().insert(None);
            }
            RuleDirection::In { to } => {
                let ways = to.iter().map(|s| Some((s.protocol, s.ports.first())));
                found.entry((rule.app.clone(), Direction::In)).or_default().extend(ways);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
