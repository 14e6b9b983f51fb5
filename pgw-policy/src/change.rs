//! A change of the policy that touches only its rows: one rule made, edited or deleted, one SIM in other groups.
//!
//! The source is changed by [`Policy::apply`], the rows by [`Compiled::with`], in `control` and in the gateway alike, by
//! the same small message. What comes out decides as a compilation of the changed source would, and shares all the rest
//! with what was before.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    compile::{Class, ClassId, Compiled, GroupIdx},
    policy::Policy,
    row::Who,
    shared::Shared,
    validate::PolicyError,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use types::{Imsi, Name, Rule, UeGroups};

/// What may change without a compilation of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// This rule is there, in place of the one of its name, if there was one.
    Rule(Rule),
    /// There is no rule of this name.
    NoRule(Name),
    /// The SIM is in these groups and in no others.
    Ue(UeGroups),
}

/// Whom a change touches: for everybody else each decision is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    /// Every SIM.
    everyone: bool,
    /// All SIMs of these classes.
    classes: BTreeSet<ClassId>,
    /// These SIMs, whose class may be another one.
    sims: BTreeSet<Imsi>,
}

impl Touched {
    /// True where decisions for this class may be others.
    pub fn touches(&self, class: ClassId) -> bool {
        self.everyone || self.classes.contains(&class)
    }

    /// False where only [`Touched::sims`] are touched.
    pub fn touches_classes(&self) -> bool {
        self.everyone || !self.classes.is_empty()
    }

    /// Whom the one or the other touches.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.everyone |= other.everyone;
        self.classes.extend(other.classes);
        self.sims.extend(other.sims);
        self
    }

    /// SIMs whose class is to be asked for again.
    pub fn sims(&self) -> impl Iterator<Item = Imsi> {
        self.sims.iter().copied()
    }
}

impl Policy {
    /// Makes the source what it is after these changes.
    pub fn apply(&mut self, changes: &[Change], generation: u64) {
        for change in changes {
            match change {
                Change::Rule(rule) => match self.rules.iter_mut().find(|r| r.name == rule.name) {
                    Some(old) => old.clone_from(rule),
                    None => self.rules.push(rule.clone()),
                },
                Change::NoRule(name) => self.rules.retain(|r| r.name != *name),
                Change::Ue(ue) => match self.ues.iter_mut().find(|u| u.imsi == ue.imsi) {
                    Some(old) => old.clone_from(ue),
                    None => self.ues.push(ue.clone()),
                },
            }
        }
        self.generation = generation;
    }
}

impl Compiled {
    /// The policy after these changes, as generation `generation`, and whom they touch. Classes and rules keep their
    /// numbers. An error leaves nothing behind.
    pub fn with(&self, changes: &[Change], generation: u64) -> Result<(Self, Touched), PolicyError> {
        let mut next = self.clone();
        next.generation = generation;
        let (mut of_whom, mut moved) = (BTreeSet::new(), Vec::new());
        for change in changes {
            match change {
                Change::Rule(rule) => {
                    let line = next.line(rule)?;
                    of_whom.insert(line.who);
                    of_whom.extend(next.lines.make_mut().put(line));
                }
                Change::NoRule(name) => of_whom.extend(next.lines.make_mut().take(name)),
                Change::Ue(ue) => moved.push((ue.imsi, next.group_set(ue)?)),
            }
        }
        let mut touched = Touched::default();
        next.rebuild(&of_whom, &mut touched);
        for (imsi, groups) in moved {
            next.settle(imsi, groups, &mut touched);
        }
        Ok((next, touched))
    }

    /// Those of whom rules speak.
    pub(crate) fn touched(&self, of_whom: &[Who]) -> Touched {
        let mut touched = Touched::default();
        for who in of_whom {
            match who {
                Who::Everyone => touched.everyone = true,
                Who::Sim(imsi) => drop(touched.sims.insert(*imsi)),
                Who::Group(g) => {
                    let has = |c: &Shared<Class>| c.refuge.groups.binary_search(g).is_ok();
                    let mine = self.classes.iter().zip((0..).map(ClassId)).filter(|(c, _)| has(c));
                    touched.classes.extend(mine.map(|(_, id)| id));
                }
            }
        }
        touched
    }

    /// The rows of those of whom rules have changed.
    fn rebuild(&mut self, of_whom: &BTreeSet<Who>, touched: &mut Touched) {
        let mut groups: Vec<GroupIdx> = Vec::new();
        let mut sims: Vec<Imsi> = Vec::new();
        for who in of_whom {
            match who {
                Who::Everyone => touched.everyone = true,
                Who::Group(g) => groups.push(*g),
                Who::Sim(imsi) => sims.push(*imsi),
            }
        }
        if touched.everyone {
            self.everyone = Shared::new(self.lines.row_of_everyone());
        }
        for nth in 0..if groups.is_empty() { 0 } else { self.classes.len() } {
            let Some(class) = self.classes.get(nth) else { break };
            let mine = &class.refuge.groups;
            if groups.iter().any(|g| mine.binary_search(g).is_ok()) {
                let new = self.build_class(mine, class.sim);
                if let Some(place) = self.classes.get_mut(nth) {
                    *place = new;
                }
                touched.classes.insert(ClassId(nth as u32));
            }
        }
        for imsi in sims {
            let groups = self.class(self.class_of(imsi)).map(|c| c.refuge.groups.clone());
            self.settle(imsi, groups.unwrap_or_default(), touched);
        }
    }

    /// Puts a SIM into the class of these groups: of its own, where rules name it.
    fn settle(&mut self, imsi: Imsi, groups: Vec<GroupIdx>, touched: &mut Touched) {
        let old = self.class_of(imsi);
        let has_own = self.class(old).is_some_and(|c| c.sim == Some(imsi));
        let class = if !self.lines.name_sim(imsi) {
            self.class_of_set(groups)
        } else {
            let own = self.build_class(&groups, Some(imsi));
            match self.classes.get_mut(old.0 as usize) {
                Some(place) if has_own => {
                    *place = own;
                    old
                }
                _ => self.push_class(own),
            }
        };
        self.ues.set(imsi, class);
        touched.sims.insert(imsi);
    }

    /// True where changes have left so much behind that it is time to compile the whole again.
    pub fn is_worn(&self) -> bool {
        let (rules, acts) = (self.lines.len(), self.lines.acts());
        self.lines.gone() > 1024 + rules || acts > 1024 + rules || self.classes.len() > 1024 + 2 * self.fresh
    }
}
