//! The rules read one by one, without a story: what the rows are measured beside, and their second judge.
//!
//! It is what one would write first: apps and rules in lists, the first rule that speaks decides. Nothing is compiled but the
//! order of the rules and an index of SIMs. What stands above the rules (quarantine, panic) it does not read. No packet is
//! ever judged by it.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    decide::{Ruling, service},
    explain::{Outcome, Question, longest_prefix, offers, outcome},
    policy::{Policy, speaks_of},
    restrict::Standing,
    risk::RiskOutcome,
};
use std::collections::BTreeMap;
use types::{
    ActiveGrant, App, Conditions, Direction, Imsi, Name, NamesFrom, Reason, Rule, UeGroups, Verdict,
};

/// The rules of a policy, in the order in which they are read.
pub struct Plain<'a> {
    policy: &'a Policy,
    rules: Vec<&'a Rule>,
    ues: BTreeMap<Imsi, &'a UeGroups>,
}

/// What they say of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// What was decided.
    pub verdict: Ruling,
    /// Why.
    pub reason: Reason,
    /// The rule that decided.
    pub rule: Option<&'a Name>,
}

impl<'a> Plain<'a> {
    /// The rules of this policy.
    pub fn new(policy: &'a Policy) -> Self {
        let ues = policy.ues.iter().map(|u| (u.imsi, u)).collect();
        Self { policy, rules: policy.rules_in_order(), ues }
    }

    /// Reads the rules until one speaks of the flow.
    pub fn ask(&self, q: &Question, standing: &Standing) -> Said<'a> {
        let denied = |reason| Said { verdict: Ruling::Deny, reason, rule: None };
        let prefix = longest_prefix(self.policy, q.peer);
        let is_here = |a: &&'a App| prefix.is_some_and(|p| a.prefixes.contains(&p));
        let here: Vec<&'a App> = self.policy.apps.iter().filter(is_here).collect();
        if prefix.is_some() && here.is_empty() {
            return denied(Reason::UeToUe);
        }
        let service = service(q.peer, q.protocol, q.port);
        let apps: Vec<&'a App> = match q.direction {
            Direction::In => here,
            Direction::Out => here.into_iter().filter(|a| offers(a, service)).collect(),
        };
        if apps.is_empty() {
            return denied(Reason::UnknownApp);
        }
        let ue = self.ues.get(&q.imsi).copied();
        let speaks = |rule: &&&'a Rule| {
            outcome(rule, q, &apps, service) == Outcome::Matched
                && speaks_of(&rule.subject, q.imsi, ue)
                && !rule.is_monitored()
                && !standing.off.contains(&rule.name)
        };
        let by_rule = self.rules.iter().filter(speaks).find_map(|rule| self.word(rule, &apps, standing));
        let by_rule = by_rule.map_or(denied(Reason::NoRule), |(verdict, reason, rule)| Said {
            verdict,
            reason,
            rule: Some(&rule.name),
        });
        match q.direction {
            Direction::In => by_rule,
            Direction::Out => self.outward(by_rule, &apps, q, standing),
        }
    }

    /// What a rule comes to whose flow this is; `None` where its conditions leave it silent.
    fn word(&self, rule: &'a Rule, apps: &[&App], standing: &Standing) -> Option<(Ruling, Reason, &'a Rule)> {
        let refuses = matches!(rule.verdict, Verdict::Deny | Verdict::Reject | Verdict::Quarantine);
        match self.hold(&rule.conditions, standing) {
            Some(false) => return None,
            None if rule.verdict == Verdict::Allow => return None,
            None if !refuses => return Some((Ruling::Deny, Reason::FactUnknown, rule)),
            _ => {}
        }
        let proved = standing.facts.assurance.as_ref().is_some_and(|a| standing.at < a.until);
        let step_up = match proved {
            true => (Ruling::Allow, Reason::Rule),
            false => (Ruling::Reject, Reason::StepUpNeeded),
        };
        let (ruling, reason) = match rule.verdict {
            Verdict::Allow => (Ruling::Allow, Reason::Rule),
            Verdict::Deny => (Ruling::Deny, Reason::RuleDeny),
            Verdict::Reject => (Ruling::Reject, Reason::RuleReject),
            Verdict::Quarantine => (Ruling::Reject, Reason::RuleQuarantine),
            Verdict::StepUp => step_up,
            Verdict::Risk => {
                let app = apps.iter().find(|a| a.name == rule.app)?;
                let level = self.policy.risk.assess(&standing.facts, standing.at).level;
                match self.policy.risk.outcome(level, app.sensitivity) {
                    RiskOutcome::Allow | RiskOutcome::AllowLogged => (Ruling::Allow, Reason::Rule),
                    RiskOutcome::StepUp => step_up,
                    RiskOutcome::Deny => (Ruling::Deny, Reason::RiskTooHigh),
                }
            }
        };
        Some((ruling, reason, rule))
    }

    /// Whether all conditions hold; `None` where one is not known and none is known not to.
    fn hold(&self, c: &Conditions, standing: &Standing) -> Option<bool> {
        let (facts, at) = (&standing.facts, standing.at);
        let mut all = Some(true);
        let mut and = |holds: Option<bool>| {
            all = match (all, holds) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            }
        };
        if let Some(wanted) = c.posture {
            let fresh = facts.posture.as_ref().filter(|p| p.until.is_none_or(|end| at < end));
            and(fresh.map(|p| p.value == wanted));
        }
        let is_in = |all: &std::collections::BTreeSet<Name>| {
            facts.place.as_ref().map(|p| p.site.as_ref().is_some_and(|s| all.contains(s)))
        };
        if !c.sites.is_empty() {
            and(is_in(&c.sites));
        }
        if !c.not_sites.is_empty() {
            and(is_in(&c.not_sites).map(|is| !is));
        }
        if let Some(wanted) = c.radio {
            and(facts.radio.as_ref().map(|r| r.value == wanted));
        }
        if let Some(wanted) = c.assured {
            and(facts.assurance.as_ref().map(|a| (at < a.until) == wanted));
        }
        if !c.models.is_empty() {
            and(facts.model.as_ref().map(|m| c.models.contains(&m.value)));
        }
        if c.risk_at_most.is_some() || c.risk_at_least.is_some() {
            let risk = self.policy.risk.assess(facts, at);
            // It lies somewhere between what is known to be bad and what may be.
            let between = |worst: bool, best: bool| (worst == best).then_some(best);
            if let Some(most) = c.risk_at_most {
                and(between(risk.level <= most, risk.least <= most));
            }
            if let Some(least) = c.risk_at_least {
                and(between(risk.level >= least, risk.least >= least));
            }
        }
        all
    }

    /// What grants open, and what the app's names ask for.
    fn outward(&self, mut said: Said<'a>, apps: &[&App], q: &Question, standing: &Standing) -> Said<'a> {
        let by_proof = said.reason == Reason::StepUpNeeded;
        if let ([app], true) = (apps, by_proof || said.reason == Reason::NoRule) {
            let opens =
                |g: &ActiveGrant| g.app == app.name && g.counts(standing.at) && (by_proof || !g.proof);
            if standing.facts.grants.iter().any(opens) {
                said = Said { verdict: Ruling::Allow, reason: Reason::Granted, rule: None };
            }
        }
        // Where apps share an address, the one that offers this service is alone.
        let named = apps.iter().find(|a| !a.names.is_empty()).map(|a| a.names_from);
        match named {
            _ if said.verdict != Ruling::Allow => said,
            None => said,
            Some(NamesFrom::Tls) if q.protocol != crate::inner::TCP => {
                Said { verdict: Ruling::Deny, reason: Reason::NamesNeedTls, ..said }
            }
            Some(NamesFrom::Tls | NamesFrom::Dns) => Said { verdict: Ruling::Inspect, ..said },
        }
    }
}
