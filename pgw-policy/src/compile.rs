//! From the source model to rows (decision D3): SIM → class → row of cells over apps and directions.
//!
//! A class is an interned set of groups; a SIM that a rule names by its IMSI has a class of its own. Rules
//! that speak of every SIM stand in one row of their own, so that they are not repeated per class. A rule's
//! index is its place in the order: of two rules that match, the smaller index decides.
//!
//! [`Compiled`] does not change. A SIM's move makes a new one that shares all rows with the old.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{
    locate::Atlas,
    policy::Policy,
    restrict::{GroupApps, Refuge},
    row::{Row, RuleLine},
    shared::Shared,
    validate::{Item, PolicyError, Problem, validate},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};
use types::{Imsi, Name, Protocol, Subject, UeGroups};

/// An app of one [`Compiled`]; its name is [`Compiled::app_name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppIdx(pub u32);

/// A rule of one [`Compiled`], numbered in the order in which rules are read; its name is
/// [`Compiled::rule_name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleIdx(pub u32);

/// A class of SIMs for which every decision is the same. It belongs to the [`Compiled`] that gave it and to
/// those made of it by [`Compiled::with_ue`]; ask [`Compiled::class_of`] again after any other change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClassId(pub u32);

impl ClassId {
    /// The class of SIMs without groups and without rules of their own.
    pub const NO_GROUPS: Self = Self(0);
}

/// A group's place in the sorted list of group names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct GroupIdx(pub(crate) u32);

/// Which rules speak of whom; rising.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct RulesBySubject {
    groups: Vec<Vec<RuleIdx>>,
    sims: BTreeMap<Imsi, Vec<RuleIdx>>,
}

/// The policy of one generation as the packet path reads it. Immutable; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    generation: u64,
    apps: Shared<Vec<Name>>,
    groups: Shared<Vec<Name>>,
    rules: Shared<Vec<RuleLine>>,
    subjects: Shared<RulesBySubject>,
    atlas: Shared<Atlas>,
    /// Pools of the data networks, with their MTUs.
    mtus: Shared<Vec<(IpNet, u16)>>,
    /// Rules for every SIM.
    everyone: Shared<Row>,
    /// By [`ClassId`].
    rows: Vec<Shared<Row>>,
    /// By [`ClassId`]: what is left to it in quarantine and panic.
    refuges: Vec<Shared<Refuge>>,
    /// By group.
    group_apps: Shared<Vec<GroupApps>>,
    /// Classes that are sets of groups.
    classes: Shared<BTreeMap<Vec<GroupIdx>, ClassId>>,
    /// By IMSI.
    ues: Vec<(Imsi, ClassId)>,
}

/// Compiles a policy, or refuses it whole with everything that is wrong with it.
pub fn compile(policy: &Policy) -> Result<Compiled, Vec<PolicyError>> {
    validate(policy)?;
    let mut compiled = Compiled::without_ues(policy).map_err(|e| vec![e])?;
    let mut classes = BTreeMap::from([(Vec::new(), ClassId::NO_GROUPS)]);
    let mut ues = Vec::with_capacity(policy.ues.len());
    let mut problems = Vec::new();
    for ue in &policy.ues {
        match compiled.class_for(ue, &mut classes) {
            Ok(class) => ues.push((ue.imsi, class)),
            Err(e) => problems.push(e),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // A SIM that a rule names has its own class even where it is in no group.
    let listed: std::collections::BTreeSet<Imsi> = policy.ues.iter().map(|u| u.imsi).collect();
    let named = compiled.subjects.clone();
    for &imsi in named.sims.keys().filter(|i| !listed.contains(i)) {
        ues.push((imsi, compiled.push_row(&[], Some(imsi))));
    }
    ues.sort_unstable_by_key(|&(imsi, _)| imsi);
    compiled.ues = ues;
    compiled.classes = Shared::new(classes);
    Ok(compiled)
}

impl Compiled {
    /// A policy that allows nothing: what a gateway has before it is told.
    pub fn empty() -> Self {
        Self {
            generation: 0,
            apps: Shared::new(Vec::new()),
            groups: Shared::new(Vec::new()),
            rules: Shared::new(Vec::new()),
            subjects: Shared::new(RulesBySubject::default()),
            atlas: Shared::new(Atlas::build(std::iter::empty(), std::iter::empty())),
            mtus: Shared::new(Vec::new()),
            everyone: Shared::new(Row::default()),
            rows: vec![Shared::new(Row::default())],
            refuges: vec![Shared::new(Refuge::default())],
            group_apps: Shared::new(Vec::new()),
            classes: Shared::new(BTreeMap::from([(Vec::new(), ClassId::NO_GROUPS)])),
            ues: Vec::new(),
        }
    }

    /// Everything but the SIMs.
    fn without_ues(policy: &Policy) -> Result<Self, PolicyError> {
        let mut groups: Vec<Name> = policy.groups.iter().map(|g| g.name.clone()).collect();
        groups.sort();
        let app_of: BTreeMap<&Name, AppIdx> =
            policy.apps.iter().zip(0..).map(|(a, i)| (&a.name, AppIdx(i))).collect();
        let mut subjects = RulesBySubject { groups: vec![Vec::new(); groups.len()], sims: BTreeMap::new() };
        let (mut rules, mut for_all) = (Vec::new(), Vec::new());
        for (rule, idx) in policy.rules_in_order().into_iter().zip((0..).map(RuleIdx)) {
            let missing =
                |field, problem| PolicyError { item: Item::Rule(rule.name.clone()), field, problem };
            let app = *app_of
                .get(&rule.app)
                .ok_or_else(|| missing("app", Problem::UnknownApp(rule.app.clone())))?;
            rules.push(RuleLine::new(rule, app));
            match &rule.subject {
                Subject::Any => for_all.push(idx),
                Subject::Sim(imsi) => subjects.sims.entry(*imsi).or_default().push(idx),
                Subject::Group(name) => groups
                    .binary_search(name)
                    .ok()
                    .and_then(|at| subjects.groups.get_mut(at))
                    .ok_or_else(|| missing("subject", Problem::UnknownGroup(name.clone())))?
                    .push(idx),
            }
        }
        let everyone = Row::build(&rules, &for_all);
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
            groups: Shared::new(groups),
            rules: Shared::new(rules),
            subjects: Shared::new(subjects),
            atlas: Shared::new(Atlas::build(
                policy.data_networks.iter().map(|d| d.pool),
                policy.apps.iter().zip(0..).map(|(a, i)| (AppIdx(i), a)),
            )),
            mtus: Shared::new(policy.data_networks.iter().map(|d| (d.pool, d.mtu)).collect()),
            everyone: Shared::new(everyone),
            group_apps: Shared::new(group_apps),
            ..Self::empty()
        })
    }

    /// The class of `ue`: a known set of groups, or a new row.
    fn class_for(
        &mut self,
        ue: &UeGroups,
        classes: &mut BTreeMap<Vec<GroupIdx>, ClassId>,
    ) -> Result<ClassId, PolicyError> {
        let groups = self.group_set(ue)?;
        if self.subjects.sims.contains_key(&ue.imsi) {
            return Ok(self.push_row(&groups, Some(ue.imsi)));
        }
        if let Some(&class) = classes.get(&groups) {
            return Ok(class);
        }
        let class = self.push_row(&groups, None);
        classes.insert(groups, class);
        Ok(class)
    }

    /// Rising, because the names come sorted and the index is by name.
    fn group_set(&self, ue: &UeGroups) -> Result<Vec<GroupIdx>, PolicyError> {
        let find = |name: &Name| match self.groups.binary_search(name) {
            Ok(at) => Ok(GroupIdx(at as u32)),
            Err(_) => Err(PolicyError {
                item: Item::Ue(ue.imsi),
                field: "groups",
                problem: Problem::UnknownGroup(name.clone()),
            }),
        };
        ue.groups.iter().map(find).collect()
    }

    fn row_of(&self, groups: &[GroupIdx], sim: Option<Imsi>) -> Shared<Row> {
        let of_groups = groups.iter().filter_map(|g| self.subjects.groups.get(g.0 as usize));
        let of_sim = sim.and_then(|i| self.subjects.sims.get(&i));
        let mut mine: Vec<RuleIdx> = of_groups.chain(of_sim).flatten().copied().collect();
        mine.sort_unstable();
        Shared::new(Row::build(&self.rules, &mine))
    }

    fn push_row(&mut self, groups: &[GroupIdx], sim: Option<Imsi>) -> ClassId {
        let class = ClassId(self.rows.len() as u32);
        self.rows.push(self.row_of(groups, sim));
        self.refuges.push(Shared::new(Refuge::build(groups, &self.group_apps)));
        class
    }

    /// The same policy with one SIM in other groups. Nothing but this SIM's class changes; classes given
    /// before stay valid for every other SIM. The generation becomes `generation`.
    pub fn with_ue(&self, ue: &UeGroups, generation: u64) -> Result<Self, PolicyError> {
        let mut next = Self { generation, ..self.clone() };
        let groups = self.group_set(ue)?;
        let class = if self.subjects.sims.contains_key(&ue.imsi) {
            next.push_row(&groups, Some(ue.imsi))
        } else if let Some(&class) = self.classes.get(&groups) {
            class
        } else {
            let class = next.push_row(&groups, None);
            let mut classes = (*self.classes).clone();
            classes.insert(groups, class);
            next.classes = Shared::new(classes);
            class
        };
        match next.ues.binary_search_by_key(&ue.imsi, |u| u.0) {
            Ok(at) => {
                if let Some(entry) = next.ues.get_mut(at) {
                    entry.1 = class;
                }
            }
            Err(at) => next.ues.insert(at, (ue.imsi, class)),
        }
        Ok(next)
    }

    /// The generation of the source.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The class of a SIM; a SIM that the policy does not list is in no group.
    pub fn class_of(&self, imsi: Imsi) -> ClassId {
        match self.ues.binary_search_by_key(&imsi, |u| u.0) {
            Ok(at) => self.ues.get(at).map_or(ClassId::NO_GROUPS, |u| u.1),
            Err(_) => ClassId::NO_GROUPS,
        }
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

    /// A rule's name.
    pub fn rule_name(&self, rule: RuleIdx) -> Option<&Name> {
        self.rules.get(rule.0 as usize).map(|r| &r.name)
    }

    /// How many classes there are, those left behind by moves included.
    pub fn classes(&self) -> usize {
        self.rows.len()
    }

    /// Octets of rows and of the SIM table on the heap: what grows with SIMs and rules.
    pub fn heap(&self) -> usize {
        let rows: usize = self.rows.iter().map(|r| r.heap() + size_of::<Row>()).sum();
        rows + self.everyone.heap() + self.ues.len() * size_of::<(Imsi, ClassId)>()
    }

    pub(crate) fn place(&self, address: IpAddr) -> Option<&crate::locate::Place> {
        self.atlas.place(address)
    }

    /// A group's number.
    pub(crate) fn group(&self, name: &Name) -> Option<GroupIdx> {
        self.groups.binary_search(name).ok().map(|at| GroupIdx(at as u32))
    }

    pub(crate) fn refuge(&self, class: ClassId) -> Option<&Refuge> {
        self.refuges.get(class.0 as usize).map(|r| &**r)
    }

    pub(crate) fn group_apps(&self, group: GroupIdx) -> Option<&GroupApps> {
        self.group_apps.get(group.0 as usize)
    }

    /// The app of a rule.
    pub(crate) fn rule_app(&self, rule: RuleIdx) -> Option<AppIdx> {
        self.rules.get(rule.0 as usize).map(|r| r.app)
    }

    /// What the rows of `class` say when its SIM opens towards `app`.
    pub(crate) fn outward(
        &self,
        class: ClassId,
        app: AppIdx,
        facts: crate::row::Facts,
    ) -> Option<crate::row::Hit> {
        let own = self.rows.get(class.0 as usize)?.outward(app, facts);
        crate::row::Hit::earlier(own, self.everyone.outward(app, facts))
    }

    /// What the rows of `class` say when `app` opens towards a service of its SIM.
    pub(crate) fn inward(
        &self,
        class: ClassId,
        app: AppIdx,
        protocol: Protocol,
        port: u16,
        facts: crate::row::Facts,
    ) -> Option<crate::row::Hit> {
        let own = self.rows.get(class.0 as usize)?.inward(app, protocol, port, facts);
        crate::row::Hit::earlier(own, self.everyone.inward(app, protocol, port, facts))
    }
}
