//! A rule in numbers: its app, whom it speaks of, its hours, and what it does under which predicates.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    act::acts,
    compile::{AppIdx, Compiled, GroupIdx},
    policy::Policy,
    predicate::Predicate,
    risk::RiskProfile,
    row::{RuleLine, Who},
    validate::{Item, PolicyError, Problem},
};
use types::{Name, Rule, Sensitivity, Subject, When};

/// The groups of a policy, and behind them the devices and people that its rules name; sorted.
pub(crate) fn parties(policy: &Policy) -> Vec<Subject> {
    let mut all: Vec<Subject> = policy.groups.iter().map(|g| Subject::Group(g.name.clone())).collect();
    let named = policy.rules.iter().map(|r| &r.subject);
    all.extend(named.filter(|s| matches!(s, Subject::Device(_) | Subject::Person(_))).cloned());
    all.sort();
    all.dedup();
    all
}

/// What the lines of one policy are made with.
pub(crate) struct Terms<'a> {
    /// Sorted.
    pub(crate) groups: &'a [Subject],
    /// By app.
    pub(crate) sensitivities: &'a [Sensitivity],
    pub(crate) risk: &'a RiskProfile,
}

/// The line of a rule. What it asks about a SIM gets a number, if it has none.
pub(crate) fn line_of(
    rule: &Rule,
    terms: &Terms<'_>,
    find_app: impl Fn(&Name) -> Option<AppIdx>,
    clock: Option<u32>,
    predicates: &mut Vec<Predicate>,
) -> Result<RuleLine, PolicyError> {
    let missing = |field, problem| PolicyError { item: Item::Rule(rule.name.clone()), field, problem };
    let app = find_app(&rule.app).ok_or_else(|| missing("app", Problem::UnknownApp(rule.app.clone())))?;
    let who = match &rule.subject {
        Subject::Any => Who::Everyone,
        Subject::Sim(imsi) => Who::Sim(*imsi),
        party => match (terms.groups.binary_search(party), party) {
            (Ok(at), _) => Who::Group(GroupIdx(at as u32)),
            (Err(_), Subject::Group(name)) => {
                return Err(missing("subject", Problem::UnknownGroup(name.clone())));
            }
            (Err(_), _) => return Err(missing("subject", Problem::NotNumbered)),
        },
    };
    let sensitivity = terms.sensitivities.get(app.0 as usize).copied().unwrap_or(Sensitivity::Confidential);
    let acts = acts(rule, sensitivity, terms.risk, predicates)
        .map_err(|_| missing("conditions", Problem::TooManyPredicates))?;
    Ok(RuleLine::new(rule, app, who, clock, acts))
}

impl Compiled {
    /// The line of a rule of this policy.
    pub(crate) fn line(&mut self, rule: &Rule) -> Result<RuleLine, PolicyError> {
        let mut predicates = self.predicates().to_vec();
        let clock = (!rule.when.is_always()).then(|| self.clock_of(&rule.when));
        let (groups, sensitivities) = (self.parties(), &self.sensitivities);
        let terms = Terms { groups, sensitivities, risk: &self.risk };
        let line = line_of(rule, &terms, |name| self.app_named(name), clock, &mut predicates)?;
        if predicates.len() != self.predicates.len() {
            *self.predicates.make_mut() = predicates;
        }
        Ok(line)
    }

    fn clock_of(&mut self, when: &When) -> u32 {
        let at = self.clocks.iter().position(|w| w == when).unwrap_or_else(|| {
            self.clocks.make_mut().push(when.clone());
            self.clocks.len() - 1
        });
        at as u32
    }
}
