//! Why: the source rules read line by line, with a reason for each.
//!
//! This walk shares no table with the compiled rows. It is what a person is shown, and the judge of the
//! rows: [`checked_explain`] asks both, and where they differ the answer is a denial.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{
    compile::Compiled,
    decide::{Ruling, decide_restricted, reason_of, service},
    policy::Policy,
    restrict::{self, Standing},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr};
use thiserror::Error;
use types::{
    App, Direction, Imsi, Mark, Name, NamePattern, Protocol, Reason, Recording, Rule, RuleDirection,
    RuleRate, Subject, Verdict,
};

/// A question: may this SIM and this peer open a flow? See [`crate::decide()`] for the meaning of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The SIM.
    pub imsi: Imsi,
    /// Who opens.
    pub direction: Direction,
    /// The other end.
    pub peer: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Destination port of the first packet.
    pub port: u16,
}

/// How a rule stood to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It speaks of this flow: it decided.
    Matched,
    /// The SIM is not its subject.
    OtherSubject,
    /// It is about flows opened from the other side.
    OtherDirection,
    /// Its app is not the one at the peer's address.
    OtherApp,
    /// It does not name this service of the UE.
    OtherService,
    /// It is in force at other hours, or no longer.
    OtherTime,
}

/// A rule that was read on the way to the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The rule.
    pub rule: Name,
    /// What it says.
    pub verdict: Verdict,
    /// Whether it matched, and if not, why.
    pub outcome: Outcome,
}

/// The verdict with its whole story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Generation of the policy.
    pub generation: u64,
    /// What was decided.
    pub verdict: Ruling,
    /// Why.
    pub reason: Reason,
    /// The rule that decided.
    pub rule: Option<Name>,
    /// The app of that rule, else the one at the peer's address where there is exactly one.
    pub app: Option<Name>,
    /// The longest prefix over the peer's address, of an app or a pool.
    pub prefix: Option<IpNet>,
    /// The groups of the SIM.
    pub groups: BTreeSet<Name>,
    /// What holds for the flow, where it is allowed or inspected.
    pub terms: Option<Terms>,
    /// The rules in the order in which they were read, up to the one that decided.
    pub considered: Vec<Considered>,
}

/// What rule and app ask for beside letting a flow through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How much passes.
    pub rate: RuleRate,
    /// What is written down.
    pub record: Recording,
    /// How packets are marked.
    pub mark: Mark,
    /// The condition, where it is inspected: the ClientHello names one of these servers. Sorted.
    pub names: Vec<NamePattern>,
}

/// Explains the verdict by walking the rules of the source, as if all of them were in force.
pub fn explain(policy: &Policy, question: &Question) -> Explanation {
    walk(policy, question, &BTreeSet::new())
}

fn walk(policy: &Policy, question: &Question, off: &BTreeSet<Name>) -> Explanation {
    let groups =
        policy.ues.iter().find(|u| u.imsi == question.imsi).map(|u| u.groups.clone()).unwrap_or_default();
    let prefix = longest_prefix(policy, question.peer);
    let here: Vec<&App> =
        policy.apps.iter().filter(|a| prefix.is_some_and(|p| a.prefixes.contains(&p))).collect();
    let service = service(question.peer, question.protocol, question.port);
    let apps: Vec<&App> = match question.direction {
        Direction::In => here.clone(),
        Direction::Out => here.iter().copied().filter(|a| offers(a, service)).collect(),
    };
    let mut story = Explanation {
        generation: policy.generation,
        verdict: Ruling::Deny,
        reason: Reason::UnknownApp,
        rule: None,
        app: None,
        prefix,
        groups,
        terms: None,
        considered: Vec::new(),
    };
    if apps.is_empty() {
        if prefix.is_some() && here.is_empty() {
            story.reason = Reason::UeToUe;
        }
        return story;
    }
    story.reason = Reason::NoRule;
    if let [app] = apps.as_slice() {
        story.app = Some(app.name.clone());
    }
    for rule in policy.rules_in_order() {
        let mut outcome = outcome(rule, question, &story.groups, &apps, service);
        if outcome == Outcome::Matched && off.contains(&rule.name) {
            outcome = Outcome::OtherTime;
        }
        story.considered.push(Considered { rule: rule.name.clone(), verdict: rule.verdict, outcome });
        if outcome == Outcome::Matched {
            story.verdict = rule.verdict.into();
            story.reason = reason_of(rule.verdict);
            story.rule = Some(rule.name.clone());
            story.app = Some(rule.app.clone());
            if let (Verdict::Allow, Some(app)) = (rule.verdict, apps.iter().find(|a| a.name == rule.app)) {
                allow(&mut story, rule, app, question);
            }
            break;
        }
    }
    story
}

/// A rule allows this app: on these terms, if it is by TLS where the app asks for names.
fn allow(story: &mut Explanation, rule: &Rule, app: &App, question: &Question) {
    let mut names = match question.direction {
        Direction::Out => app.names.clone(),
        Direction::In => Vec::new(),
    };
    names.sort_unstable();
    if !names.is_empty() && question.protocol != 6 {
        (story.verdict, story.reason) = (Ruling::Deny, Reason::NamesNeedTls);
        return;
    }
    if !names.is_empty() {
        story.verdict = Ruling::Inspect;
    }
    story.terms = Some(Terms { rate: rule.rate, record: rule.record, mark: app.mark(), names });
}

/// [`explain`] for a SIM that is in quarantine, while groups are in panic, or while rules are not in force.
pub fn explain_for(policy: &Policy, question: &Question, standing: &Standing) -> Explanation {
    let mut story = walk(policy, question, &standing.off);
    restrict::bar(&mut story, policy, question, standing);
    story
}

fn longest_prefix(policy: &Policy, peer: IpAddr) -> Option<IpNet> {
    let pools = policy.data_networks.iter().flat_map(|d| d.pools());
    let apps = policy.apps.iter().flat_map(|a| a.prefixes.iter().copied());
    pools.chain(apps).filter(|p| p.contains(&peer)).max_by_key(IpNet::prefix_len)
}

fn offers(app: &App, service: Option<(Protocol, u16)>) -> bool {
    let Some((protocol, port)) = service else { return false };
    app.services.iter().any(|s| s.protocol == protocol && s.ports.contains(port))
}

fn outcome(
    rule: &Rule,
    question: &Question,
    groups: &BTreeSet<Name>,
    apps: &[&App],
    service: Option<(Protocol, u16)>,
) -> Outcome {
    let is_subject = match &rule.subject {
        Subject::Any => true,
        Subject::Group(g) => groups.contains(g),
        Subject::Sim(i) => *i == question.imsi,
        Subject::Device(_) | Subject::Person(_) => false,
    };
    if !is_subject {
        return Outcome::OtherSubject;
    }
    let to = match (&rule.direction, question.direction) {
        (RuleDirection::Out, Direction::Out) => None,
        (RuleDirection::In { to }, Direction::In) => Some(to),
        (RuleDirection::Out, Direction::In) | (RuleDirection::In { .. }, Direction::Out) => {
            return Outcome::OtherDirection;
        }
    };
    if !apps.iter().any(|a| a.name == rule.app) {
        return Outcome::OtherApp;
    }
    let names_service = to.is_none_or(|to| {
        service.is_some_and(|(protocol, port)| {
            to.iter().any(|s| s.protocol == protocol && s.ports.contains(port))
        })
    });
    if names_service { Outcome::Matched } else { Outcome::OtherService }
}

/// The rules and the rows are of different generations, so that they cannot be held against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the rules are of generation {source_generation}, the rows of generation {compiled}")]
pub struct OtherGeneration {
    /// Generation of the source.
    pub source_generation: u64,
    /// Generation of the rows.
    pub compiled: u64,
}

/// [`explain`], held against the rows that judge packets. Where they disagree, the verdict is `Deny` with
/// [`Reason::Disagreement`]; the caller raises the alarm.
pub fn checked_explain(
    policy: &Policy,
    compiled: &Compiled,
    question: &Question,
) -> Result<Explanation, OtherGeneration> {
    checked_explain_for(policy, compiled, question, &Standing::default())
}

/// [`checked_explain`] for a SIM that is in quarantine, while groups are in panic, or while rules are not in force.
pub fn checked_explain_for(
    policy: &Policy,
    compiled: &Compiled,
    question: &Question,
    standing: &Standing,
) -> Result<Explanation, OtherGeneration> {
    if policy.generation != compiled.generation() {
        return Err(OtherGeneration {
            source_generation: policy.generation,
            compiled: compiled.generation(),
        });
    }
    let mut story = explain_for(policy, question, standing);
    let q = question;
    let (class, panicked) = (compiled.class_of(q.imsi), compiled.panicked(&standing.panicked));
    let quarantined = standing.quarantined;
    let row =
        decide_restricted(compiled, class, quarantined, &panicked, q.direction, q.peer, q.protocol, q.port);
    let rule = row.rule.and_then(|r| compiled.rule_name(r));
    let app = row.app.and_then(|a| compiled.app_name(a));
    let terms = matches!(row.verdict, Ruling::Allow | Ruling::Inspect).then(|| Terms {
        rate: compiled.rate_of(row.rule),
        record: compiled.recording_of(row.rule),
        mark: compiled.mark_of(row.app),
        names: match row.verdict {
            Ruling::Inspect => compiled.names_of(row.app).to_vec(),
            _ => Vec::new(),
        },
    });
    let agree = (row.verdict, row.reason, &terms) == (story.verdict, story.reason, &story.terms)
        && (rule, app) == (story.rule.as_ref(), story.app.as_ref());
    if !agree {
        story.verdict = Ruling::Deny;
        story.reason = Reason::Disagreement;
        story.terms = None;
    }
    Ok(story)
}
