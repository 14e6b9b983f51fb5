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
    policy::Policy,
    restrict::{GroupApps, Refuge},
    row::{Facts, Hit, Row, RuleLine, Who},
    shared::Shared,
    ues::Ues,
    validate::{Item, PolicyError, Problem, validate},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};
use types::{
    App, Imsi, Mark, Name, NamePattern, Protocol, Recording, Rule, RuleRate, ServerName, Subject, UeGroups,
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

/// A group's place in the sorted list of group names.
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

/// The policy of one generation as the packet path reads it. Immutable; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    pub(crate) generation: u64,
    apps: Shared<Vec<Name>>,
    /// By app.
    marks: Shared<Vec<Mark>>,
    names: Shared<AppNames>,
    groups: Shared<Vec<Name>>,
    pub(crate) lines: Shared<Lines>,
    /// When rules are in force, each once.
    clocks: Shared<Vec<When>>,
    /// Which of them are on: one bit each.
    word: Shared<Vec<u64>>,
    atlas: Shared<Atlas>,
    /// Pools of the data networks, with their MTUs.
    mtus: Shared<Vec<(IpNet, u16)>>,
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
    numbers.extend(compiled.groups.iter().zip((0..).map(GroupIdx)));
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
        // Rising, because names come sorted and are numbered by name.
        for name in &ue.groups {
            match numbers.get(name) {
                Some(g) => groups.push(*g),
                None => problems.push(unknown_group(ue.imsi, name)),
            }
        }
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
            groups: Shared::default(),
            lines: Shared::default(),
            clocks: Shared::default(),
            word: Shared::default(),
            atlas: Shared::new(Atlas::build(std::iter::empty(), std::iter::empty())),
            mtus: Shared::default(),
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
        let mut groups: Vec<Name> = policy.groups.iter().map(|g| g.name.clone()).collect();
        groups.sort();
        let app_of: BTreeMap<&Name, AppIdx> =
            policy.apps.iter().zip(0..).map(|(a, i)| (&a.name, AppIdx(i))).collect();
        let find_app = |name: &Name| app_of.get(name).copied();
        let mut whens: Vec<&When> = policy.rules.iter().map(|r| &r.when).filter(|w| !w.is_always()).collect();
        whens.sort_unstable();
        whens.dedup();
        let clock = |rule: &Rule| whens.binary_search(&&rule.when).ok().map(|at| at as u32);
        let line = |rule| line_of(rule, &groups, find_app, clock(rule));
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
            let at = groups.binary_search(&group.name).ok();
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
            groups: Shared::new(groups),
            everyone: Shared::new(lines.row_of_everyone()),
            lines: Shared::new(lines),
            clocks: Shared::new(whens.into_iter().cloned().collect()),
            atlas: Shared::new(Atlas::build(
                policy.data_networks.iter().flat_map(|d| d.pools()),
                policy.apps.iter().zip(0..).map(|(a, i)| (AppIdx(i), a)),
            )),
            mtus: Shared::new(policy.data_networks.iter().map(|d| (d.pool, d.mtu)).collect()),
            group_apps: Shared::new(group_apps),
            ..Self::empty()
        })
    }

    /// The line of a rule of this policy.
    pub(crate) fn line(&mut self, rule: &Rule) -> Result<RuleLine, PolicyError> {
        let find_app =
            |name: &Name| self.apps.iter().zip(0..).find(|(a, _)| *a == name).map(|(_, i)| AppIdx(i));
        let line = line_of(rule, &self.groups, find_app, None)?;
        let clock = (!rule.when.is_always()).then(|| self.clock_of(&rule.when));
        Ok(RuleLine { when: crate::row::When { clock, ..line.when }, ..line })
    }

    fn clock_of(&mut self, when: &When) -> u32 {
        let at = self.clocks.iter().position(|w| w == when).unwrap_or_else(|| {
            self.clocks.make_mut().push(when.clone());
            self.clocks.len() - 1
        });
        at as u32
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
        let flipped = |line: &RuleLine| line.when.clock.is_some_and(|c| was.is_on(c) != is.is_on(c));
        let mut of_whom: Vec<Who> = self.lines.live().filter(|l| flipped(l)).map(|l| l.who).collect();
        of_whom.sort_unstable();
        of_whom.dedup();
        let touched = self.touched(&of_whom);
        (Self { word: Shared::new(word), ..self.clone() }, touched)
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts { sim: 0, clocks: &self.word }
    }

    /// Rising, because the names come sorted and the index is by name.
    pub(crate) fn group_set(&self, ue: &UeGroups) -> Result<Vec<GroupIdx>, PolicyError> {
        ue.groups.iter().map(|n| self.group(n).ok_or_else(|| unknown_group(ue.imsi, n))).collect()
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
        self.mtus.iter().find(|(pool, _)| pool.contains(&ue)).map(|(_, mtu)| *mtu)
    }

    /// An app's name.
    pub fn app_name(&self, app: AppIdx) -> Option<&Name> {
        self.apps.get(app.0 as usize)
    }

    /// How an app's packets are marked.
    pub fn mark_of(&self, app: Option<AppIdx>) -> Mark {
        app.and_then(|a| self.marks.get(a.0 as usize)).copied().unwrap_or_default()
    }

    /// The names that narrow an app, sorted; none where it takes whatever is spoken.
    pub fn names_of(&self, app: Option<AppIdx>) -> &[NamePattern] {
        app.map_or(&[], |a| self.names.of(a))
    }

    /// True where a client of this app may name this server.
    pub(crate) fn lists(&self, app: Option<AppIdx>, name: &ServerName) -> bool {
        app.is_some_and(|a| self.names.lists(a, name))
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
        self.groups.binary_search(name).ok().map(|at| GroupIdx(at as u32))
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
    pub(crate) fn outward(&self, class: ClassId, app: AppIdx) -> Option<crate::row::Hit> {
        let facts = self.facts();
        let own = self.class(class)?.row.outward(app, facts);
        self.earlier(own, self.everyone.outward(app, facts))
    }

    /// What the rows of `class` say when `app` opens towards a service of its SIM.
    pub(crate) fn inward(
        &self,
        class: ClassId,
        app: AppIdx,
        protocol: Protocol,
        port: u16,
    ) -> Option<crate::row::Hit> {
        let facts = self.facts();
        let own = self.class(class)?.row.inward(app, protocol, port, facts);
        self.earlier(own, self.everyone.inward(app, protocol, port, facts))
    }

    /// Of two findings the one whose rule is read first.
    pub(crate) fn earlier(&self, a: Option<Hit>, b: Option<Hit>) -> Option<Hit> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if self.lines.is_before(b.rule, a.rule) { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

/// The line of a rule, where apps and groups (sorted by name) are numbered like this.
fn line_of(
    rule: &Rule,
    groups: &[Name],
    find_app: impl Fn(&Name) -> Option<AppIdx>,
    clock: Option<u32>,
) -> Result<RuleLine, PolicyError> {
    let missing = |field, problem| PolicyError { item: Item::Rule(rule.name.clone()), field, problem };
    let app = find_app(&rule.app).ok_or_else(|| missing("app", Problem::UnknownApp(rule.app.clone())))?;
    let who = match &rule.subject {
        Subject::Any => Who::Everyone,
        Subject::Sim(imsi) => Who::Sim(*imsi),
        Subject::Group(name) => match groups.binary_search(name) {
            Ok(at) => Who::Group(GroupIdx(at as u32)),
            Err(_) => return Err(missing("subject", Problem::UnknownGroup(name.clone()))),
        },
        Subject::Device(name) | Subject::Person(name) => {
            return Err(missing("subject", Problem::UnknownGroup(name.clone())));
        }
    };
    Ok(RuleLine::new(rule, app, who, clock))
}
