//! From the source model to rows (decision D3): SIM → class → row of cells over apps and directions.
//!
//! A class is an interned set of groups; a SIM that a rule names by its IMSI has a class of its own. Rules
//! that speak of every SIM stand in one row of their own, so that they are not repeated per class. Of two rules that
//! match, the one that is read first decides.
//!
//! [`Compiled`] does not change. A change makes a new one that shares with the old whatever it does not touch:
//! [`Compiled::with`].

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{
    change::Touched,
    hash::{Keyed, Map},
    lines::Lines,
    locate::Atlas,
    names::AppNames,
    number,
    policy::Policy,
    predicate::{Known, Predicate},
    restrict::{GroupApps, Refuge},
    risk::RiskProfile,
    row::{Facts, Found, Hit, Row, RuleLine, Who},
    shared::Shared,
    ues::Ues,
    validate::{Item, PolicyError, Problem, validate},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};
use types::{
    App, DataNetwork, Imsi, Mark, Name, Protocol, Recording, Rule, RuleRate, Sensitivity, Subject, UeGroups,
    When,
};

/// An app of one [`Compiled`]; its name is [`Compiled::app_name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppIdx(pub u32);

/// A rule of one [`Compiled`] and those made of it by [`Compiled::with`]; its name is [`Compiled::rule_name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleIdx(pub u32);

/// A class of SIMs for which every decision is the same. It belongs to the [`Compiled`] that gave it and to
/// those made of it by [`Compiled::with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClassId(pub u32);

impl ClassId {
    /// The class of SIMs without groups and without rules of their own.
    pub const NO_GROUPS: Self = Self(0);
}

/// The place of a group, and of a device or person that rules name, in the sorted list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct GroupIdx(pub(crate) u32);

/// What holds for all SIMs of a class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Class {
    /// The SIM that it is the class of, where rules name that.
    pub(crate) sim: Option<Imsi>,
    pub(crate) row: Row,
    /// What is left to it in quarantine and panic.
    pub(crate) refuge: Refuge,
}

/// What the UEs of a data network are told of their link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    pool: IpNet,
    mtu: u16,
    dns: Vec<IpAddr>,
}

impl Link {
    fn of(d: &DataNetwork) -> Self {
        Self { pool: d.pool, mtu: d.mtu, dns: d.dns.clone() }
    }
}

/// The policy of one generation as the packet path reads it. Immutable; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    pub(crate) generation: u64,
    apps: Shared<Vec<Name>>,
    /// By app.
    marks: Shared<Vec<Mark>>,
    pub(crate) names: Shared<AppNames>,
    /// By app.
    pub(crate) sensitivities: Shared<Vec<Sensitivity>>,
    /// Groups, and behind them the devices and people that rules name.
    groups: Shared<Vec<Subject>>,
    /// What rules ask about a SIM, each once.
    pub(crate) predicates: Shared<Vec<Predicate>>,
    pub(crate) risk: Shared<RiskProfile>,
    pub(crate) lines: Shared<Lines>,
    /// When rules are in force, each once.
    pub(crate) clocks: Shared<Vec<When>>,
    /// Which of them are on: one bit each.
    word: Shared<Vec<u64>>,
    atlas: Shared<Atlas>,
    /// What UEs of each data network are told of their link.
    links: Shared<Vec<Link>>,
    /// Rules for every SIM.
    pub(crate) everyone: Shared<Row>,
    /// By [`ClassId`].
    pub(crate) classes: Vec<Shared<Class>>,
    /// By group.
    group_apps: Shared<Vec<GroupApps>>,
    /// Classes that are sets of groups.
    sets: Shared<BTreeMap<Vec<GroupIdx>, ClassId>>,
    pub(crate) ues: Ues,
    /// How many classes there were when the whole was compiled.
    pub(crate) fresh: usize,
}

/// Compiles a policy, or refuses it whole with everything that is wrong with it.
pub fn compile(policy: &Policy) -> Result<Compiled, Vec<PolicyError>> {
    validate(policy)?;
    let mut compiled = Compiled::without_ues(policy).map_err(|e| vec![e])?;
    // Names are those of people, not of strangers: the table's key need not be secret.
    let mut numbers: Map<&Name, GroupIdx> =
        Map::with_capacity_and_hasher(policy.groups.len(), Keyed::new(1, 2));
    numbers.extend(compiled.groups.iter().zip((0..).map(GroupIdx)).filter_map(|(s, at)| match s {
        Subject::Group(name) => Some((name, at)),
        _ => None,
    }));
    let mut sets: Map<Vec<GroupIdx>, ClassId> = Map::with_hasher(Keyed::new(3, 4));
    let mut ues = Vec::with_capacity(policy.ues.len());
    let mut problems = Vec::new();
    let (lines, group_apps) = (compiled.lines.clone(), compiled.group_apps.clone());
    let mut classes = vec![Shared::new(Class::default())];
    sets.insert(Vec::new(), ClassId::NO_GROUPS);
    let mut push = |groups: &[GroupIdx], sim| {
        classes.push(Shared::new(Class::build(groups, sim, &lines, &group_apps)));
        ClassId((classes.len() - 1) as u32)
    };
    let mut groups = Vec::new();
    for ue in &policy.ues {
        groups.clear();
        // Rising, because names come sorted and are numbered by name, and devices and people behind them.
        for name in &ue.groups {
            match numbers.get(name) {
                Some(g) => groups.push(*g),
                None => problems.push(unknown_group(ue.imsi, name)),
            }
        }
        groups.extend(compiled.links_of(ue));
        let class = match sets.get(&groups) {
            _ if lines.name_sim(ue.imsi) => push(&groups, Some(ue.imsi)),
            Some(class) => *class,
            None => {
                let class = push(&groups, None);
                sets.insert(groups.clone(), class);
                class
            }
        };
        ues.push((ue.imsi, class));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // A SIM that a rule names has its own class even where it is in no group.
    let listed: std::collections::BTreeSet<Imsi> =
        policy.ues.iter().map(|u| u.imsi).filter(|i| lines.name_sim(*i)).collect();
    for imsi in lines.named_sims().filter(|i| !listed.contains(i)) {
        ues.push((imsi, push(&[], Some(imsi))));
    }
    drop(numbers);
    compiled.ues = Ues::new(ues.into_iter());
    compiled.fresh = classes.len();
    compiled.classes = classes;
    compiled.sets = Shared::new(sets.into_iter().collect());
    Ok(compiled)
}

fn unknown_group(imsi: Imsi, name: &Name) -> PolicyError {
    PolicyError { item: Item::Ue(imsi), field: "groups", problem: Problem::UnknownGroup(name.clone()) }
}

impl Class {
    pub(crate) fn build(groups: &[GroupIdx], sim: Option<Imsi>, lines: &Lines, apps: &[GroupApps]) -> Self {
        Self { sim, row: lines.row_of(groups, sim), refuge: Refuge::build(groups, apps) }
    }
}

impl Compiled {
    /// A policy that allows nothing: what a gateway has before it is told.
    pub fn empty() -> Self {
        Self {
            generation: 0,
            apps: Shared::default(),
            marks: Shared::default(),
            names: Shared::default(),
            sensitivities: Shared::default(),
            groups: Shared::default(),
            predicates: Shared::default(),
            risk: Shared::default(),
            lines: Shared::default(),
            clocks: Shared::default(),
            word: Shared::default(),
            atlas: Shared::new(Atlas::build(std::iter::empty(), std::iter::empty())),
            links: Shared::default(),
            everyone: Shared::default(),
            classes: vec![Shared::default()],
            group_apps: Shared::default(),
            sets: Shared::new(BTreeMap::from([(Vec::new(), ClassId::NO_GROUPS)])),
            ues: Ues::default(),
            fresh: 1,
        }
    }

    /// Everything but the SIMs.
    fn without_ues(policy: &Policy) -> Result<Self, PolicyError> {
        let groups = number::parties(policy);
        let app_of: BTreeMap<&Name, AppIdx> =
            policy.apps.iter().zip(0..).map(|(a, i)| (&a.name, AppIdx(i))).collect();
        let sensitivities: Vec<Sensitivity> = policy.apps.iter().map(|a| a.sensitivity).collect();
        let find_app = |name: &Name| app_of.get(name).copied();
        let mut whens: Vec<&When> = policy.rules.iter().map(|r| &r.when).filter(|w| !w.is_always()).collect();
        whens.sort_unstable();
        whens.dedup();
        let clock = |rule: &Rule| whens.binary_search(&&rule.when).ok().map(|at| at as u32);
        let mut predicates = Vec::new();
        let terms = number::Terms { groups: &groups, sensitivities: &sensitivities, risk: &policy.risk };
        let line = |rule| number::line_of(rule, &terms, find_app, clock(rule), &mut predicates);
        let lines = policy.rules.iter().map(line).collect::<Result<Vec<_>, _>>()?;
        let lines = Lines::new(lines, groups.len());
        let mut group_apps = vec![GroupApps::default(); groups.len()];
        for group in &policy.groups {
            let find = |field, names: &[Name]| -> Result<Vec<AppIdx>, PolicyError> {
                let missing = |name: &Name| PolicyError {
                    item: Item::Group(group.name.clone()),
                    field,
                    problem: Problem::UnknownApp(name.clone()),
                };
                let mut found = names
                    .iter()
                    .map(|name| app_of.get(name).copied().ok_or_else(|| missing(name)))
                    .collect::<Result<Vec<_>, _>>()?;
                found.sort_unstable();
                Ok(found)
            };
            let at = groups.binary_search(&Subject::Group(group.name.clone())).ok();
            if let Some(apps) = at.and_then(|at| group_apps.get_mut(at)) {
                apps.emergency = find("emergency_apps", &group.emergency_apps)?;
                apps.remediation = find("remediation_apps", &group.remediation_apps)?;
            }
        }
        Ok(Self {
            generation: policy.generation,
            apps: Shared::new(policy.apps.iter().map(|a| a.name.clone()).collect()),
            marks: Shared::new(policy.apps.iter().map(App::mark).collect()),
            names: Shared::new(AppNames::build(&policy.apps)),
            sensitivities: Shared::new(sensitivities),
            predicates: Shared::new(predicates),
            risk: Shared::new(policy.risk.clone()),
            groups: Shared::new(groups),
            everyone: Shared::new(lines.row_of_everyone()),
            lines: Shared::new(lines),
            clocks: Shared::new(whens.into_iter().cloned().collect()),
            atlas: Shared::new(Atlas::build(
                policy.data_networks.iter().flat_map(|d| d.pools()),
                policy.apps.iter().zip(0..).map(|(a, i)| (AppIdx(i), a)),
            )),
            links: Shared::new(policy.data_networks.iter().map(Link::of).collect()),
            group_apps: Shared::new(group_apps),
            ..Self::empty()
        })
    }

    /// When rules are in force: what the word of [`Compiled::with_clocks`] has a bit for, in this order.
    pub fn clocks(&self) -> &[When] {
        &self.clocks
    }

    /// The same policy at another moment: `word` says by one bit (the lowest first) which of [`Compiled::clocks`] are on.
    /// A policy that was just compiled has none of them on. And whom it touches.
    pub fn with_clocks(&self, word: Vec<u64>) -> (Self, Touched) {
        // Mostly nothing has flipped, and this is asked every second.
        if *self.word == word {
            return (self.clone(), Touched::default());
        }
        let was = Facts { sim: 0, clocks: &self.word };
        let is = Facts { sim: 0, clocks: &word };
        let flipped = |line: &RuleLine| line.clock.is_some_and(|c| was.is_on(c) != is.is_on(c));
        let mut of_whom: Vec<Who> = self.lines.live().filter(|l| flipped(l)).map(|l| l.who).collect();
        of_whom.sort_unstable();
        of_whom.dedup();
        let touched = self.touched(&of_whom);
        (Self { word: Shared::new(word), ..self.clone() }, touched)
    }

    pub(crate) fn facts(&self, known: &Known) -> Facts<'_> {
        Facts { sim: known.word, clocks: &self.word }
    }

    /// What rules ask about a SIM, in the order of its word's bits.
    pub(crate) fn predicates(&self) -> &[Predicate] {
        &self.predicates
    }

    /// Rising, because the names come sorted and the index is by name.
    pub(crate) fn group_set(&self, ue: &UeGroups) -> Result<Vec<GroupIdx>, PolicyError> {
        let groups = ue.groups.iter().map(|n| self.group(n).ok_or_else(|| unknown_group(ue.imsi, n)));
        groups.chain(self.links_of(ue).into_iter().map(Ok)).collect()
    }

    /// Its device and its person, where rules name them.
    fn links_of(&self, ue: &UeGroups) -> Vec<GroupIdx> {
        let device = ue.device.clone().map(Subject::Device);
        let links = device.into_iter().chain(ue.person.clone().map(Subject::Person));
        links.filter_map(|s| self.party(&s)).collect()
    }

    /// A class as the rules are at this moment.
    pub(crate) fn build_class(&self, groups: &[GroupIdx], sim: Option<Imsi>) -> Shared<Class> {
        Shared::new(Class::build(groups, sim, &self.lines, &self.group_apps))
    }

    /// The class of a set of groups.
    pub(crate) fn class_of_set(&mut self, groups: Vec<GroupIdx>) -> ClassId {
        if let Some(&class) = self.sets.get(&groups) {
            return class;
        }
        let class = self.push_class(self.build_class(&groups, None));
        self.sets.make_mut().insert(groups, class);
        class
    }

    pub(crate) fn push_class(&mut self, class: Shared<Class>) -> ClassId {
        self.classes.push(class);
        ClassId((self.classes.len() - 1) as u32)
    }

    pub(crate) fn class(&self, class: ClassId) -> Option<&Class> {
        self.classes.get(class.0 as usize).map(|c| &**c)
    }

    /// The generation of the source.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The class of a SIM; a SIM that the policy does not list is in no group.
    pub fn class_of(&self, imsi: Imsi) -> ClassId {
        self.ues.get(imsi).unwrap_or(ClassId::NO_GROUPS)
    }

    /// The app that offers `protocol` (an IP protocol number) and `port` at `address`.
    pub fn app_of(&self, address: IpAddr, protocol: u8, port: u16) -> Option<AppIdx> {
        let (protocol, port) = crate::decide::service(address, protocol, port)?;
        self.place(address)?.offering(protocol, port)
    }

    /// The MTU of the data network that `ue` is an address of, octets.
    pub fn mtu_of(&self, ue: IpAddr) -> Option<u16> {
        self.link_of(ue).map(|l| l.mtu)
    }

    /// The resolvers of the data network that `ue` is an address of.
    pub fn resolvers_of(&self, ue: IpAddr) -> &[IpAddr] {
        self.link_of(ue).map_or(&[], |l| &l.dns)
    }

    fn link_of(&self, ue: IpAddr) -> Option<&Link> {
        self.links.iter().find(|l| l.pool.contains(&ue))
    }

    /// An app's name.
    pub fn app_name(&self, app: AppIdx) -> Option<&Name> {
        self.apps.get(app.0 as usize)
    }

    /// How many apps there are.
    pub(crate) fn apps(&self) -> usize {
        self.apps.len()
    }

    /// How an app's packets are marked.
    pub fn mark_of(&self, app: Option<AppIdx>) -> Mark {
        app.and_then(|a| self.marks.get(a.0 as usize)).copied().unwrap_or_default()
    }

    /// How much a rule allows.
    pub fn rate_of(&self, rule: Option<RuleIdx>) -> RuleRate {
        rule.and_then(|r| self.lines.get(r)).map(|l| l.rate).unwrap_or_default()
    }

    /// What is written down of what a rule allows.
    pub fn recording_of(&self, rule: Option<RuleIdx>) -> Recording {
        rule.and_then(|r| self.lines.get(r)).map(|l| l.record).unwrap_or_default()
    }

    /// The rule of this name.
    pub(crate) fn rule_named(&self, name: &Name) -> Option<RuleIdx> {
        self.lines.named(name)
    }

    /// A rule's name.
    pub fn rule_name(&self, rule: RuleIdx) -> Option<&Name> {
        self.lines.get(rule).map(|r| &r.name)
    }

    /// How many classes there are, those left behind by changes included.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Octets of the table of SIMs on the heap: what grows with their number, wherever they are.
    pub fn heap_of_sims(&self) -> usize {
        self.ues.heap()
    }

    /// Octets of the classes' rows on the heap: what grows with rules and with the sets of groups that SIMs are in.
    pub fn heap_of_rows(&self) -> usize {
        let classes: usize = self.classes.iter().map(|c| c.row.heap() + size_of::<Class>()).sum();
        classes + self.everyone.heap()
    }

    pub(crate) fn place(&self, address: IpAddr) -> Option<&crate::locate::Place> {
        self.atlas.place(address)
    }

    /// A group's number.
    pub(crate) fn group(&self, name: &Name) -> Option<GroupIdx> {
        self.party(&Subject::Group(name.clone()))
    }

    fn party(&self, subject: &Subject) -> Option<GroupIdx> {
        self.groups.binary_search(subject).ok().map(|at| GroupIdx(at as u32))
    }

    /// An app's number.
    pub(crate) fn app_named(&self, name: &Name) -> Option<AppIdx> {
        self.apps.iter().zip(0..).find(|(a, _)| *a == name).map(|(_, i)| AppIdx(i))
    }

    /// Groups, devices and people, as they are numbered.
    pub(crate) fn parties(&self) -> &[Subject] {
        &self.groups
    }

    pub(crate) fn refuge(&self, class: ClassId) -> Option<&Refuge> {
        self.class(class).map(|c| &c.refuge)
    }

    pub(crate) fn group_apps(&self, group: GroupIdx) -> Option<&GroupApps> {
        self.group_apps.get(group.0 as usize)
    }

    /// The app of a rule.
    pub(crate) fn rule_app(&self, rule: RuleIdx) -> Option<AppIdx> {
        self.lines.get(rule).map(|r| r.app)
    }

    /// What the rows of `class` say when its SIM opens towards `app`.
    pub(crate) fn outward(&self, class: ClassId, known: &Known, app: AppIdx) -> Found {
        let facts = self.facts(known);
        let Some(own) = self.class(class) else { return Found::default() };
        self.first(own.row.outward(app, facts, &self.lines), self.everyone.outward(app, facts, &self.lines))
    }

    /// What the rows of `class` say when `app` opens towards a service of its SIM.
    pub(crate) fn inward(
        &self,
        class: ClassId,
        known: &Known,
        app: AppIdx,
        service: (Protocol, u16),
    ) -> Found {
        let facts = self.facts(known);
        let Some(own) = self.class(class) else { return Found::default() };
        let everyones = self.everyone.inward(app, service, facts, &self.lines);
        self.first(own.row.inward(app, service, facts, &self.lines), everyones)
    }

    /// What two rows say together.
    pub(crate) fn first(&self, a: Found, b: Found) -> Found {
        let hit = self.earlier(a.hit, b.hit);
        if a.watched.is_none() && b.watched.is_none() {
            return Found { hit, watched: None };
        }
        // Of one row it was read before what that row decides, but the other row may have decided earlier.
        let in_time = |w: &Hit| hit.is_none_or(|h| self.lines.is_before(w.rule, h.rule));
        Found { hit, watched: self.earlier(a.watched, b.watched).filter(in_time) }
    }

    /// Of two findings the one whose rule is read first.
    fn earlier(&self, a: Option<Hit>, b: Option<Hit>) -> Option<Hit> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if self.lines.is_before(b.rule, a.rule) { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}
