//! Why: the source rules read line by line, with a reason for each.
//!
//! This walk shares no table with the compiled rows. It is what a person is shown, and the judge of the
//! rows: [`checked_explain`] asks both, and where they differ the answer is a denial.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{
    compile::Compiled,
    decide::{Asker, Ruling, decide_for, service},
    nearest::{Nearest, nearest},
    policy::{Policy, speaks_of},
    reading::{Reading, Says, read, says},
    restrict::{self, Standing},
    risk::{Assessment, RiskOutcome},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr};
use thiserror::Error;
use types::{
    ActiveGrant, App, Direction, Imsi, Mark, Name, NamePattern, NamesFrom, Protocol, Reason, Recording, Rule,
    RuleDirection, RuleRate, Verdict,
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
    /// What it asks to be known of the SIM is not so, or not known.
    OtherFacts,
    /// It is only watched: it would have decided.
    Watched,
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
    /// Its conditions, where everything else fits.
    pub conditions: Vec<Reading>,
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
    /// The grant that allowed it.
    pub grant: Option<String>,
    /// The SIM's risk, where the rule that decided goes by it.
    pub risk: Option<Assessment>,
    /// A rule that is only watched, and that would have said the other thing.
    pub would: Option<Name>,
    /// Where it is refused: the rule that is nearest to letting it through.
    pub nearest: Option<Nearest>,
}

/// What rule and app ask for beside letting a flow through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How much passes.
    pub rate: RuleRate,
    /// What is written down.
    pub record: Recording,
    /// The risk asks for it to be written down in any case.
    pub logged: bool,
    /// How packets are marked.
    pub mark: Mark,
    /// The condition, where it is inspected: it is to one of these servers. Sorted.
    pub names: Vec<NamePattern>,
    /// And how that is seen: by the ClientHello, or by what the SIM has looked up.
    pub names_from: Option<NamesFrom>,
}

/// Explains the verdict by walking the rules of the source, as if all of them were in force.
pub fn explain(policy: &Policy, question: &Question) -> Explanation {
    walk(policy, question, &Standing::default())
}

fn walk(policy: &Policy, question: &Question, standing: &Standing) -> Explanation {
    let ue = policy.ue(question.imsi);
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
        groups: ue.map(|u| u.groups.clone()).unwrap_or_default(),
        terms: None,
        considered: Vec::new(),
        grant: None,
        risk: None,
        would: None,
        nearest: None,
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
    let mut watched = None;
    for rule in policy.rules_in_order() {
        let mut outcome = match speaks_of(&rule.subject, question.imsi, ue) {
            true => outcome(rule, question, &apps, service),
            false => Outcome::OtherSubject,
        };
        if outcome == Outcome::Matched && standing.off.contains(&rule.name) {
            outcome = Outcome::OtherTime;
        }
        let mut conditions = Vec::new();
        let mut word = Word::nothing();
        if outcome == Outcome::Matched {
            conditions = read(&rule.conditions, &standing.facts, standing.at, &policy.risk);
            word = word_of(rule, &apps, says(rule, &conditions), policy, standing);
            if word.said == Says::Nothing {
                outcome = Outcome::OtherFacts;
            } else if rule.is_monitored() {
                outcome = Outcome::Watched;
                watched.get_or_insert((rule.name.clone(), word.ruling == Ruling::Allow));
            }
        }
        story.considered.push(Considered {
            rule: rule.name.clone(),
            verdict: rule.verdict,
            outcome,
            conditions,
        });
        if outcome == Outcome::Matched {
            (story.verdict, story.reason) = (word.ruling, word.reason);
            story.risk = word.risk;
            story.rule = Some(rule.name.clone());
            story.app = Some(rule.app.clone());
            if let (Ruling::Allow, Some(app)) = (story.verdict, apps.iter().find(|a| a.name == rule.app)) {
                allow(&mut story, Some(rule), word.logged, app, question);
            }
            break;
        }
    }
    if question.direction == Direction::Out {
        grant(&mut story, &apps, question, standing);
    }
    if story.reason != Reason::NamesNeedTls {
        let allows = matches!(story.verdict, Ruling::Allow | Ruling::Inspect);
        story.would = watched.filter(|(_, would)| *would != allows).map(|(name, _)| name);
    }
    if matches!(story.verdict, Ruling::Deny | Ruling::Reject) {
        story.nearest = nearest(policy, question, standing, &story, |rule| {
            outcome(rule, question, &apps, service) == Outcome::Matched
        });
    }
    story
}

/// What a rule comes to for a flow of which everything but what is known of the SIM fits.
struct Word {
    said: Says,
    ruling: Ruling,
    reason: Reason,
    logged: bool,
    risk: Option<Assessment>,
}

impl Word {
    fn nothing() -> Self {
        Self::of(Says::Nothing, Ruling::Deny, Reason::NoRule)
    }

    fn of(said: Says, ruling: Ruling, reason: Reason) -> Self {
        Self { said, ruling, reason, logged: false, risk: None }
    }
}

fn word_of(rule: &Rule, apps: &[&App], said: Says, policy: &Policy, standing: &Standing) -> Word {
    let word = |ruling, reason| Word::of(said, ruling, reason);
    if said == Says::Unclear {
        return word(Ruling::Deny, Reason::FactUnknown);
    }
    let step_up = || {
        let proof = standing.facts.assurance.as_ref().is_some_and(|a| standing.at < a.until);
        if proof { word(Ruling::Allow, Reason::Rule) } else { word(Ruling::Reject, Reason::StepUpNeeded) }
    };
    match rule.verdict {
        Verdict::Allow => word(Ruling::Allow, Reason::Rule),
        Verdict::Deny => word(Ruling::Deny, Reason::RuleDeny),
        Verdict::Reject => word(Ruling::Reject, Reason::RuleReject),
        Verdict::Quarantine => word(Ruling::Reject, Reason::RuleQuarantine),
        Verdict::StepUp => step_up(),
        Verdict::Risk => {
            let risk = policy.risk.assess(&standing.facts, standing.at);
            let app = apps.iter().find(|a| a.name == rule.app);
            let by_risk = match app.map(|a| policy.risk.outcome(risk.level, a.sensitivity)) {
                Some(RiskOutcome::Allow) => word(Ruling::Allow, Reason::Rule),
                Some(RiskOutcome::AllowLogged) => Word { logged: true, ..word(Ruling::Allow, Reason::Rule) },
                Some(RiskOutcome::StepUp) => step_up(),
                Some(RiskOutcome::Deny) | None => word(Ruling::Deny, Reason::RiskTooHigh),
            };
            Word { risk: Some(risk), ..by_risk }
        }
    }
}

/// A grant stands where the rules say nothing, and in place of the proof that a rule asks for; a proof only there.
fn grant(story: &mut Explanation, apps: &[&App], question: &Question, standing: &Standing) {
    let asks_for_proof = story.reason == Reason::StepUpNeeded;
    if !asks_for_proof && story.reason != Reason::NoRule {
        return;
    }
    let [app] = apps else { return };
    let stands = |g: &&ActiveGrant| g.counts(standing.at) && (asks_for_proof || !g.proof);
    let mut counts = standing.facts.grants.iter().filter(stands);
    let Some(grant) = counts.find(|g| g.app == app.name) else { return };
    (story.verdict, story.reason, story.rule) = (Ruling::Allow, Reason::Granted, None);
    allow(story, None, false, app, question);
    if story.reason == Reason::Granted {
        story.grant = Some(grant.id.clone());
    }
}

/// A rule or a grant allows this app: on these terms, if it is by TCP where the app's names are read from TLS.
fn allow(story: &mut Explanation, rule: Option<&Rule>, logged: bool, app: &App, question: &Question) {
    let mut names = match question.direction {
        Direction::Out => app.names.clone(),
        Direction::In => Vec::new(),
    };
    names.sort_unstable();
    let names_from = (!names.is_empty()).then_some(app.names_from);
    if names_from == Some(NamesFrom::Tls) && question.protocol != 6 {
        (story.verdict, story.reason) = (Ruling::Deny, Reason::NamesNeedTls);
        return;
    }
    if names_from.is_some() {
        story.verdict = Ruling::Inspect;
    }
    let (rate, record) = rule.map(|r| (r.rate, r.record)).unwrap_or_default();
    story.terms = Some(Terms { rate, record, logged, mark: app.mark(), names, names_from });
}

/// [`explain`] for a SIM that is in quarantine, while groups are in panic, or while rules are not in force.
pub fn explain_for(policy: &Policy, question: &Question, standing: &Standing) -> Explanation {
    let mut story = walk(policy, question, standing);
    restrict::bar(&mut story, policy, question, standing);
    story
}

pub(crate) fn longest_prefix(policy: &Policy, peer: IpAddr) -> Option<IpNet> {
    let pools = policy.data_networks.iter().flat_map(|d| d.pools());
    let apps = policy.apps.iter().flat_map(|a| a.prefixes.iter().copied());
    pools.chain(apps).filter(|p| p.contains(&peer)).max_by_key(IpNet::prefix_len)
}

pub(crate) fn offers(app: &App, service: Option<(Protocol, u16)>) -> bool {
    let Some((protocol, port)) = service else { return false };
    app.services.iter().any(|s| s.protocol == protocol && s.ports.contains(port))
}

/// How a rule stands to the flow, whoever the SIM is.
pub(crate) fn outcome(
    rule: &Rule,
    question: &Question,
    apps: &[&App],
    service: Option<(Protocol, u16)>,
) -> Outcome {
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
    let known = compiled.known(&standing.facts, standing.at);
    let quarantined = standing.quarantined;
    let asker = Asker { class, known: &known, quarantined, panicked: Some(&panicked) };
    let row = decide_for(compiled, &asker, q.direction, q.peer, q.protocol, q.port);
    let rule = row.rule.and_then(|r| compiled.rule_name(r));
    let app = row.app.and_then(|a| compiled.app_name(a));
    let terms = matches!(row.verdict, Ruling::Allow | Ruling::Inspect).then(|| Terms {
        rate: compiled.rate_of(row.rule),
        record: compiled.recording_of(row.rule),
        logged: row.logged,
        mark: compiled.mark_of(row.app),
        names: match row.verdict {
            Ruling::Inspect => compiled.names_of(row.app).to_vec(),
            _ => Vec::new(),
        },
        names_from: compiled.names_from(row.app).filter(|_| row.verdict == Ruling::Inspect),
    });
    let agree = (row.verdict, row.reason, &terms) == (story.verdict, story.reason, &story.terms)
        && (rule, app) == (story.rule.as_ref(), story.app.as_ref())
        && (row.reason == Reason::Granted) == story.grant.is_some()
        && row.would.and_then(|r| compiled.rule_name(r)) == story.would.as_ref();
    if !agree {
        story.verdict = Ruling::Deny;
        story.reason = Reason::Disagreement;
        story.terms = None;
    }
    Ok(story)
}
