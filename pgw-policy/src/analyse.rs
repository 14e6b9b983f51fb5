//! What a policy says in vain: rules that never decide, that change nothing, that stand against one another, that speak
//! of nobody. Each finding comes with a flow that shows it.
//!
//! A rule is looked at beside the others of its app and direction. That one rule covers another is said only where it
//! does so for every SIM that can be, not only for those that there are; several rules that cover it together are seen
//! where they name different ports of the UE.

use crate::{
    compile::compile,
    explain::Question,
    policy::Policy,
    reach::{Reach, Sample, bare, counts_with, nobody, opens, speaks_of},
    validate::PolicyError,
};
use std::collections::BTreeSet;
use types::{App, Direction, Imsi, Name, Rule, RuleDirection, Service, Subject, UeGroups, Utc, Verdict};

/// What is wrong with a rule, an app or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It never decides: an earlier rule speaks of the same flows and says something else.
    Shadowed,
    /// Without it every verdict would be the same.
    Redundant,
    /// Another one of the same order says the contrary of the same flows: the name alone tells which is read first.
    Contradictory,
    /// There is nobody, or nothing, that it speaks of.
    Unused,
}

/// Why something is unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unused {
    /// No SIM is in the group of the rule, or the group of that name.
    NobodyThere,
    /// Its end has come.
    Over,
    /// Narrower prefixes of other apps, or a data network's pool, take all its addresses.
    Hidden,
    /// No rule names the app.
    NoRule,
}

/// A flow with the SIM that opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The SIM, which may be one that there is not.
    pub ue: UeGroups,
    /// False where there is no such SIM.
    pub exists: bool,
    /// The flow.
    pub flow: Sample,
    /// The rule that decides it.
    pub decides: Option<Name>,
}

impl Shown {
    /// The question that it is the answer to.
    pub fn question(&self) -> Question {
        let f = &self.flow;
        Question {
            imsi: self.ue.imsi,
            direction: f.direction,
            peer: f.peer,
            protocol: f.protocol,
            port: f.port,
        }
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A rule.
    Rule(Name),
    /// An app.
    App(Name),
    /// A group.
    Group(Name),
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// What it is about.
    pub of: Of,
    /// The other rule.
    pub by: Option<Name>,
    /// Why it is unused.
    pub unused: Option<Unused>,
    /// A flow that shows it.
    pub shown: Option<Shown>,
}

/// Looks at a sound policy with the SIMs that are in groups; `at` is this moment.
pub fn analyse(policy: &Policy, at: Utc) -> Result<Vec<Finding>, Vec<PolicyError>> {
    let compiled = compile(policy)?;
    let all = Analysis { policy, at, reach: Reach::new(policy, &compiled) };
    let mut found = Vec::new();
    for app in &policy.apps {
        let rules = all.reach.rules_of(&app.name);
        for (n, rule) in rules.iter().enumerate() {
            let before = rules.get(..n).unwrap_or_default();
            let behind = rules.get(n + 1..).unwrap_or_default();
            found.extend(all.rule(app, rule, before, behind));
        }
        if rules.is_empty() && !all.is_refuge(&app.name) {
            found.push(unused(Of::App(app.name.clone()), Unused::NoRule));
        }
    }
    found.extend(all.groups());
    found.sort_by(|a, b| (a.kind, &a.of).cmp(&(b.kind, &b.of)));
    Ok(found)
}

fn unused(of: Of, why: Unused) -> Finding {
    Finding { kind: Kind::Unused, of, by: None, unused: Some(why), shown: None }
}

struct Analysis<'a> {
    policy: &'a Policy,
    at: Utc,
    reach: Reach<'a>,
}

impl<'a> Analysis<'a> {
    /// The first thing that is wrong with a rule, between those before and behind it.
    fn rule(&self, app: &App, rule: &Rule, before: &[&'a Rule], behind: &[&'a Rule]) -> Option<Finding> {
        let of = Of::Rule(rule.name.clone());
        if self.nobody_there(&rule.subject) {
            return Some(unused(of, Unused::NobodyThere));
        }
        if rule.when.until.is_some_and(|end| end <= self.at) {
            return Some(unused(of, Unused::Over));
        }
        let Some(flow) = self.flow(app, rule) else { return Some(unused(of, Unused::Hidden)) };
        let finding = |kind, by: &Rule, shown| {
            let by = Some(by.name.clone());
            Some(Finding { kind, of: of.clone(), by, unused: None, shown: Some(shown) })
        };
        if let Some(by) = self.covered(app, rule, before) {
            let shown = self.shown(&[&rule.subject], &flow)?;
            let kind = if by.verdict == rule.verdict { Kind::Redundant } else { Kind::Shadowed };
            return finding(kind, by, shown);
        }
        if let Some(by) = self.needless(app, rule, behind) {
            return finding(Kind::Redundant, by, self.shown(&[&rule.subject], &flow)?);
        }
        let against = |r: &&&'a Rule| r.order == rule.order && opens(r.verdict) != opens(rule.verdict);
        before.iter().filter(against).find_map(|other| {
            let shown = self.shown(&[&rule.subject, &other.subject], &self.both(app, other, rule)?)?;
            // Where something else decides before both, their names do not matter.
            let matters = shown.decides.as_ref() == Some(&other.name);
            matters.then(|| finding(Kind::Contradictory, other, shown)).flatten()
        })
    }

    /// The earlier rule that decides whatever this one could; of several together the last.
    fn covered(&self, app: &App, rule: &Rule, before: &[&'a Rule]) -> Option<&'a Rule> {
        // Where apps share a prefix, a rule about another one of them may decide what comes in: say nothing.
        let covers = |r: &&&Rule| {
            covers_subject(&r.subject, &rule.subject)
                && counts_with(r, rule)
                && direction(r) == direction(rule)
        };
        let mut left = ports(app, rule);
        for other in before.iter().filter(covers) {
            left = without(left, &ports(app, other));
            if left.is_empty() {
                return Some(other);
            }
        }
        None
    }

    /// A later rule that says the same of everything that this one says, with nothing between them.
    fn needless(&self, app: &App, rule: &Rule, behind: &[&'a Rule]) -> Option<&'a Rule> {
        if self.shares_prefix(app, rule) {
            return None;
        }
        for other in behind.iter().filter(|r| direction(r) == direction(rule)) {
            // Where nobody knows whether its conditions hold, a rule that may ask for more than a yes denies by itself.
            let clear = rule.conditions.is_empty()
                || other.conditions == rule.conditions
                || !matches!(rule.verdict, Verdict::StepUp | Verdict::Risk);
            let same = other.verdict == rule.verdict
                && clear
                && (other.rate, other.record) == (rule.rate, rule.record)
                && covers_subject(&other.subject, &rule.subject)
                && counts_with(other, rule)
                && without(ports(app, rule), &ports(app, other)).is_empty();
            if same {
                return Some(other);
            }
            // What stands between may say something of the same flow.
            let apart = match (&other.subject, &rule.subject) {
                (Subject::Sim(a), Subject::Sim(b)) => a != b,
                _ => false,
            };
            if !apart {
                return None;
            }
        }
        None
    }

    /// Apps that share a prefix cannot be told apart by who opens.
    fn shares_prefix(&self, app: &App, rule: &Rule) -> bool {
        let shared = |p| self.policy.apps.iter().any(|a| a.name != app.name && a.prefixes.contains(p));
        rule.direction != RuleDirection::Out && app.prefixes.iter().any(shared)
    }

    fn nobody_there(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Group(_) | Subject::Device(_) | Subject::Person(_) => {
                !self.policy.ues.iter().any(|ue| speaks_of(subject, ue))
            }
            _ => false,
        }
    }

    fn is_refuge(&self, app: &Name) -> bool {
        self.policy.groups.iter().any(|g| g.emergency_apps.contains(app) || g.remediation_apps.contains(app))
    }

    fn groups(&self) -> Vec<Finding> {
        let named: BTreeSet<&Name> = self
            .policy
            .rules
            .iter()
            .filter_map(|r| match &r.subject {
                Subject::Group(g) => Some(g),
                _ => None,
            })
            .collect();
        let members: BTreeSet<&Name> = self.policy.ues.iter().flat_map(|u| &u.groups).collect();
        let idle = |g: &&types::Group| {
            !named.contains(&g.name) && !members.contains(&g.name) && g.emergency_apps.is_empty()
        };
        let unused = |g: &types::Group| unused(Of::Group(g.name.clone()), Unused::NobodyThere);
        self.policy.groups.iter().filter(idle).map(unused).collect()
    }

    /// A flow that the rule speaks of.
    fn flow(&self, app: &App, rule: &Rule) -> Option<Sample> {
        self.flow_of(app, rule, &ports(app, rule))
    }

    /// A flow that both speak of.
    fn both(&self, app: &App, a: &Rule, b: &Rule) -> Option<Sample> {
        if direction(a) != direction(b) {
            return None;
        }
        let (mine, theirs) = (ports(app, a), ports(app, b));
        let common: Vec<Span> = mine.iter().flat_map(|m| theirs.iter().filter_map(|t| m.and(t))).collect();
        self.flow_of(app, a, &common)
    }

    fn flow_of(&self, app: &App, rule: &Rule, spans: &[Span]) -> Option<Sample> {
        let way = direction(rule);
        let flows = app.prefixes.iter().flat_map(|p| spans.iter().map(move |s| (p.network(), s)));
        flows
            .map(|(peer, s)| Sample::of(way, peer, &s.service()))
            .find(|f| self.reach.apps_at(f).iter().any(|a| a.name == app.name))
    }

    /// The flow with a SIM of whom all subjects speak: one that there is, else one that could be.
    fn shown(&self, subjects: &[&Subject], flow: &Sample) -> Option<Shown> {
        let all = |ue: &UeGroups| subjects.iter().all(|s| speaks_of(s, ue));
        let there = self.policy.ues.iter().find(|ue| all(ue)).cloned();
        let exists = there.is_some();
        let ue = match there {
            Some(ue) => ue,
            None => self.invented(subjects)?,
        };
        if !all(&ue) {
            return None;
        }
        let decides = self.reach.deciding(&ue, flow).first().map(|r| r.name.clone());
        Some(Shown { ue, exists, flow: flow.clone(), decides })
    }

    fn invented(&self, subjects: &[&Subject]) -> Option<UeGroups> {
        let sim = subjects.iter().find_map(|s| match s {
            Subject::Sim(i) => Some(*i),
            _ => None,
        });
        let imsi: Imsi = sim.or_else(nobody)?;
        // A SIM that there is has what it has.
        if let Some(own) = self.policy.ues.iter().find(|u| u.imsi == imsi) {
            return Some(own.clone());
        }
        let mut ue = bare(imsi);
        for subject in subjects {
            match subject {
                Subject::Group(g) => drop(ue.groups.insert(g.clone())),
                Subject::Device(d) => ue.device = Some(d.clone()),
                Subject::Person(p) => ue.person = Some(p.clone()),
                Subject::Any | Subject::Sim(_) => {}
            }
        }
        Some(ue)
    }
}

/// True where every SIM of whom `b` speaks is one of whom `a` speaks.
fn covers_subject(a: &Subject, b: &Subject) -> bool {
    *a == Subject::Any || a == b
}

/// Ports of one protocol, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    protocol: types::Protocol,
    first: u16,
    last: u16,
}

impl Span {
    fn of(s: &Service) -> Self {
        Self { protocol: s.protocol, first: s.ports.first(), last: s.ports.last() }
    }

    fn and(&self, other: &Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (self.protocol == other.protocol && first <= last).then_some(Self { first, last, ..*self })
    }

    fn service(&self) -> Service {
        let ports = types::Ports::try_from((self.first, self.last)).unwrap_or(types::Ports::ANY);
        Service { protocol: self.protocol, ports }
    }
}

/// What a rule is about: services of the app, or of the UE.
fn ports(app: &App, rule: &Rule) -> Vec<Span> {
    match &rule.direction {
        RuleDirection::Out => app.services.iter().map(Span::of).collect(),
        RuleDirection::In { to } => to.iter().map(Span::of).collect(),
    }
}

/// What is left of `all` without `taken`.
fn without(all: Vec<Span>, taken: &[Span]) -> Vec<Span> {
    taken.iter().fold(all, |all, t| all.into_iter().flat_map(|s| cut(s, t)).collect())
}

fn cut(s: Span, t: &Span) -> Vec<Span> {
    let Some(common) = s.and(t) else { return vec![s] };
    let below = common.first.checked_sub(1).filter(|last| *last >= s.first && common.first > s.first);
    let above = common.last.checked_add(1).filter(|first| *first <= s.last);
    let below = below.map(|last| Span { last, ..s });
    below.into_iter().chain(above.map(|first| Span { first, ..s })).collect()
}

fn direction(rule: &Rule) -> Direction {
    match rule.direction {
        RuleDirection::Out => Direction::Out,
        RuleDirection::In { .. } => Direction::In,
    }
}

#[cfg(test)]
mod tests;
