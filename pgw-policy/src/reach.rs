//! Which rules speak of a flow whatever the moment: the ground of [`crate::plan`] and [`crate::analyse`].

use crate::{compile::Compiled, decide::service, policy::Policy};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use types::{App, Direction, Imsi, Name, Protocol, Rule, RuleDirection, Service, Subject, UeGroups, Verdict};

/// A flow that nobody has opened: what a finding is shown by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    /// Who opens.
    pub direction: Direction,
    /// The other end.
    pub peer: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Destination port of the first packet.
    pub port: u16,
}

impl Sample {
    /// The first flow of a service; `None` where no rule could name it.
    pub fn of(direction: Direction, peer: IpAddr, service: &Service) -> Self {
        let protocol = match (service.protocol, peer) {
            (Protocol::Tcp, _) => 6,
            (Protocol::Udp, _) => 17,
            (Protocol::Icmp, IpAddr::V4(_)) => 1,
            (Protocol::Icmp, IpAddr::V6(_)) => 58,
        };
        let port = if service.protocol == Protocol::Icmp { 0 } else { service.ports.first() };
        Self { direction, peer, protocol, port }
    }
}

/// True where a rule does not count at every moment and for whatever is known of the SIM.
pub(crate) fn is_conditional(rule: &Rule) -> bool {
    !rule.when.is_always() || !rule.conditions.is_empty()
}

/// True where `before` counts whenever `rule` does. What is not known fails the condition of a rule that allows and not
/// of one that refuses, or may ask for more, so that the same words are not the same condition for both.
pub(crate) fn counts_with(before: &Rule, rule: &Rule) -> bool {
    let same = before.when == rule.when && before.conditions == rule.conditions;
    let speaks = |r: &Rule| r.conditions.is_empty() || r.verdict != Verdict::Allow;
    !is_conditional(before) || (same && (speaks(before) || !speaks(rule)))
}

/// True where a verdict may let something through.
pub(crate) fn opens(verdict: Verdict) -> bool {
    verdict.may_open()
}

/// True where the rule speaks of this SIM.
pub(crate) fn speaks_of(subject: &Subject, ue: &UeGroups) -> bool {
    match subject {
        Subject::Any => true,
        Subject::Group(g) => ue.groups.contains(g),
        Subject::Sim(i) => *i == ue.imsi,
        Subject::Device(d) => ue.device.as_ref() == Some(d),
        Subject::Person(p) => ue.person.as_ref() == Some(p),
    }
}

/// A SIM of which nothing is said.
pub(crate) fn bare(imsi: Imsi) -> UeGroups {
    UeGroups { imsi, groups: BTreeSet::new(), device: None, person: None }
}

/// Whatever the moment: may it pass?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Never.
    Never,
    /// In some hours, or under some conditions.
    Sometimes,
    /// Always.
    Always,
}

/// The rules of a policy by app, in the order in which they are read.
pub(crate) struct Reach<'a> {
    pub(crate) compiled: &'a Compiled,
    by_app: BTreeMap<&'a Name, Vec<&'a Rule>>,
    pub(crate) apps: BTreeMap<&'a Name, &'a App>,
}

impl<'a> Reach<'a> {
    pub(crate) fn new(policy: &'a Policy, compiled: &'a Compiled) -> Self {
        let mut by_app: BTreeMap<&Name, Vec<&Rule>> = BTreeMap::new();
        for rule in policy.rules_in_order().into_iter().filter(|r| !r.is_monitored()) {
            by_app.entry(&rule.app).or_default().push(rule);
        }
        Self { compiled, by_app, apps: policy.apps.iter().map(|a| (&a.name, a)).collect() }
    }

    pub(crate) fn rules_of(&self, app: &Name) -> &[&'a Rule] {
        self.by_app.get(app).map(Vec::as_slice).unwrap_or_default()
    }

    /// The apps that a flow may be about.
    pub(crate) fn apps_at(&self, flow: &Sample) -> Vec<&'a App> {
        let name = |idx| self.compiled.app_name(idx).and_then(|n| self.apps.get(n)).copied();
        match flow.direction {
            Direction::Out => {
                self.compiled.app_of(flow.peer, flow.protocol, flow.port).and_then(name).into_iter().collect()
            }
            Direction::In => {
                let place = self.compiled.place(flow.peer);
                place.map(|p| p.apps()).unwrap_or_default().iter().filter_map(|a| name(*a)).collect()
            }
        }
    }

    /// The rules that may decide a flow of this SIM, up to and with the first that always counts.
    pub(crate) fn deciding(&self, ue: &UeGroups, flow: &Sample) -> Vec<&'a Rule> {
        let asked = service(flow.peer, flow.protocol, flow.port);
        let apps = self.apps_at(flow);
        let mut found: Vec<&Rule> = Vec::new();
        for app in &apps {
            let mine = self.rules_of(&app.name).iter().filter(|r| speaks_of(&r.subject, ue));
            for rule in mine.filter(|r| names(r, flow.direction, asked)) {
                found.push(rule);
                if !is_conditional(rule) {
                    break;
                }
            }
        }
        found.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        let end = found.iter().position(|r| !is_conditional(r)).map_or(found.len(), |at| at + 1);
        found.truncate(end);
        found
    }

    /// Whether it may pass, whatever the moment.
    pub(crate) fn access(&self, deciding: &[&Rule], flow: &Sample) -> Access {
        let through = |r: &Rule| {
            let needs_tls = self.apps.get(&r.app).is_some_and(|a| a.needs_tls());
            opens(r.verdict) && !(flow.direction == Direction::Out && needs_tls && flow.protocol != 6)
        };
        let (mut may, mut may_not) = (false, deciding.last().is_none_or(|r| is_conditional(r)));
        for rule in deciding {
            if through(rule) {
                may = true;
                may_not |= rule.verdict != Verdict::Allow;
            } else {
                may_not = true;
            }
        }
        match (may, may_not) {
            (true, false) => Access::Always,
            (true, true) => Access::Sometimes,
            (false, _) => Access::Never,
        }
    }
}

/// True where the rule is about flows of this direction towards this service.
fn names(rule: &Rule, direction: Direction, asked: Option<(Protocol, u16)>) -> bool {
    match (&rule.direction, direction) {
        (RuleDirection::Out, Direction::Out) => true,
        (RuleDirection::In { to }, Direction::In) => asked.is_some_and(|(protocol, port)| {
            to.iter().any(|s| s.protocol == protocol && s.ports.contains(port))
        }),
        _ => false,
    }
}

/// SIMs that are one to two policies alike.
pub(crate) struct Kin {
    /// One of them.
    pub(crate) ue: UeGroups,
    /// All that are known by their IMSI.
    pub(crate) sims: Vec<Imsi>,
    /// How many there are beside these.
    pub(crate) others: u64,
}

/// The SIMs of a policy by what tells them apart for all rules of all these compiled policies; `others` are in no group
/// and no rule names them.
pub(crate) fn kin(ues: &[UeGroups], others: u64, named: &BTreeSet<Imsi>, compiled: &[&Compiled]) -> Vec<Kin> {
    let mut found: BTreeMap<Vec<u32>, Kin> = BTreeMap::new();
    let listed: BTreeSet<Imsi> = ues.iter().map(|u| u.imsi).collect();
    let unlisted: Vec<UeGroups> = named.difference(&listed).map(|i| bare(*i)).collect();
    for ue in ues.iter().chain(&unlisted) {
        let key = compiled.iter().map(|c| c.class_of(ue.imsi).0).collect();
        let kin = found.entry(key).or_insert_with(|| Kin { ue: ue.clone(), sims: Vec::new(), others: 0 });
        kin.sims.push(ue.imsi);
    }
    if let Some(nobody) = nobody().filter(|_| others > 0) {
        let key = vec![crate::ClassId::NO_GROUPS.0; compiled.len()];
        let kin = found.entry(key).or_insert_with(|| Kin { ue: bare(nobody), sims: Vec::new(), others: 0 });
        kin.others = others;
    }
    found.into_values().collect()
}

/// An IMSI that no SIM has: no country has the MCC 000.
pub(crate) fn nobody() -> Option<Imsi> {
    "000000000000000".parse().ok()
}

/// The SIMs that rules name by their IMSI.
pub(crate) fn named_sims(rules: &[Rule]) -> impl Iterator<Item = Imsi> {
    rules.iter().filter_map(|r| match &r.subject {
        Subject::Sim(imsi) => Some(*imsi),
        _ => None,
    })
}
