//! What a change of the policy comes to: who may reach what that they could not, and the other way round.
//!
//! Counted over the classes of the SIMs that there are. An app stands for all its services by the first address of each
//! prefix and the first port of each range; where a narrower prefix cuts something out of the middle, that shows at the
//! app of the narrower one.

use crate::{
    compile::compile,
    policy::Policy,
    reach::{Access, Kin, Reach, Sample, kin, named_sims},
    validate::PolicyError,
};
use std::collections::{BTreeMap, BTreeSet};
use types::{App, Direction, Imsi, Name, Rule, RuleDirection, Service};

/// Names of what is different.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// New.
    pub created: Vec<Name>,
    /// There before, and different.
    pub changed: Vec<Name>,
    /// Gone.
    pub deleted: Vec<Name>,
}

impl Difference {
    fn of<T: PartialEq>(old: &[T], new: &[T], name: impl Fn(&T) -> &Name) -> Self {
        let mut was: BTreeMap<&Name, &T> = old.iter().map(|v| (name(v), v)).collect();
        let mut found = Self::default();
        for v in new {
            match was.remove(name(v)) {
                None => found.created.push(name(v).clone()),
                Some(o) if o != v => found.changed.push(name(v).clone()),
                Some(_) => {}
            }
        }
        found.deleted = was.into_keys().cloned().collect();
        found.created.sort();
        found.changed.sort();
        found
    }

    /// True where nothing is different.
    pub fn is_empty(&self) -> bool {
        self.created.is_empty() && self.changed.is_empty() && self.deleted.is_empty()
    }
}

/// Some SIMs, and what they may after the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessChange {
    /// The app at the other end.
    pub app: Name,
    /// Who opens.
    pub direction: Direction,
    /// Protocol and ports of the side that is opened towards.
    pub service: Service,
    /// Before.
    pub was: Access,
    /// After.
    pub is: Access,
    /// How many SIMs, by the groups that they are in.
    pub sims: BTreeMap<BTreeSet<Name>, u64>,
    /// One of them; `None` where they are only known by their number.
    pub example: Option<Imsi>,
    /// A flow that shows it.
    pub flow: Sample,
    /// The rule that decides after the change, where one may.
    pub rule: Option<Name>,
}

impl AccessChange {
    /// How many SIMs.
    pub fn count(&self) -> u64 {
        self.sims.values().sum()
    }
}

/// What a change comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Groups.
    pub groups: Difference,
    /// Apps.
    pub apps: Difference,
    /// Rules.
    pub rules: Difference,
    /// Who may reach what.
    pub access: Vec<AccessChange>,
    /// The SIMs that lose something.
    pub losing: BTreeSet<Imsi>,
}

/// Compares two policies; both have the SIMs that are in groups. Beside them there are `others`.
pub fn plan(old: &Policy, new: &Policy, others: u64) -> Result<Plan, Vec<PolicyError>> {
    let (then, now) = (compile(old)?, compile(new)?);
    let (before, after) = (Reach::new(old, &then), Reach::new(new, &now));
    let named: BTreeSet<Imsi> = named_sims(&old.rules).chain(named_sims(&new.rules)).collect();
    let all = kin(&new.ues, others, &named, &[&then, &now]);
    // The groups that a SIM had: a draft may have dropped one.
    let groups_then: BTreeMap<Imsi, &types::UeGroups> = old.ues.iter().map(|u| (u.imsi, u)).collect();
    let mut found = Plan {
        groups: Difference::of(&old.groups, &new.groups, |g| &g.name),
        apps: Difference::of(&old.apps, &new.apps, |a| &a.name),
        rules: Difference::of(&old.rules, &new.rules, |r| &r.name),
        ..Plan::default()
    };
    let mut changes: BTreeMap<Key, AccessChange> = BTreeMap::new();
    // Each SIM once, however many prefixes its app has.
    let mut counted = BTreeSet::new();
    for (app, service, flow) in samples(old, new, &before, &after) {
        for (nth, kin) in all.iter().enumerate() {
            let was_ue = groups_then.get(&kin.ue.imsi).copied().unwrap_or(&kin.ue);
            let (was, is) = (before.deciding(was_ue, &flow), after.deciding(&kin.ue, &flow));
            let (was_access, is_access) = (before.access(&was, &flow), after.access(&is, &flow));
            let other_terms = was_access == Access::Sometimes && !alike(&was, &is);
            if was_access == is_access && !other_terms {
                continue;
            }
            let key = (app.clone(), flow.direction, service, was_access, is_access);
            let first = counted.insert((key.clone(), nth));
            let change = changes.entry(key).or_insert_with(|| AccessChange {
                app: app.clone(),
                direction: flow.direction,
                service,
                was: was_access,
                is: is_access,
                sims: BTreeMap::new(),
                example: kin.sims.first().copied(),
                flow: flow.clone(),
                rule: is.last().map(|r| r.name.clone()),
            });
            if first {
                count(change, kin, was_ue);
            }
            if is_access < was_access {
                found.losing.extend(&kin.sims);
            }
        }
    }
    found.access = changes.into_values().collect();
    Ok(found)
}

type Key = (Name, Direction, Service, Access, Access);

fn count(change: &mut AccessChange, kin: &Kin, was: &types::UeGroups) {
    let groups = if kin.ue.groups.is_empty() { &was.groups } else { &kin.ue.groups };
    *change.sims.entry(groups.clone()).or_default() += kin.sims.len() as u64 + kin.others;
}

/// True where rules say the same under the same conditions, whatever they are called.
fn alike(a: &[&Rule], b: &[&Rule]) -> bool {
    let terms = |r: &Rule| (r.when.clone(), r.conditions.clone(), r.verdict);
    let same = |a: &&Rule, b: &&Rule| terms(a) == terms(b);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Flows by which a difference can show: of apps that are different themselves or in their rules.
fn samples(
    old: &Policy,
    new: &Policy,
    before: &Reach<'_>,
    after: &Reach<'_>,
) -> Vec<(Name, Service, Sample)> {
    let place = |a: &App| (a.prefixes.clone(), a.services.clone(), a.names.clone(), a.names_from);
    let places =
        |p: &Policy| -> BTreeMap<Name, _> { p.apps.iter().map(|a| (a.name.clone(), place(a))).collect() };
    let moved = places(old) != places(new) || old.data_networks != new.data_networks;
    let regrouped = old.ues != new.ues;
    let mut found = BTreeMap::new();
    for (policy, reach) in [(new, after), (old, before)] {
        for app in &policy.apps {
            let rules =
                |r: &Reach<'_>| r.rules_of(&app.name).iter().map(|r| (*r).clone()).collect::<Vec<_>>();
            if !moved && !regrouped && rules(before) == rules(after) {
                continue;
            }
            let mut services: Vec<(Direction, Service)> =
                app.services.iter().map(|s| (Direction::Out, *s)).collect();
            for rule in reach.rules_of(&app.name) {
                if let RuleDirection::In { to } = &rule.direction {
                    services.extend(to.iter().map(|s| (Direction::In, *s)));
                }
            }
            for prefix in &app.prefixes {
                for (direction, service) in &services {
                    let flow = Sample::of(*direction, prefix.network(), service);
                    found.entry((app.name.clone(), *service, flow)).or_insert(());
                }
            }
        }
    }
    found.into_keys().collect()
}

#[cfg(test)]
mod tests;
