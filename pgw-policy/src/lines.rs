//! The rules as the rows cite them: by number, in the order in which they are read, and by whom they speak of.
//!
//! A rule keeps its number for as long as it has its name, whatever else of it changes and whatever comes before it in
//! the order: so a rule's edit leaves the rows of everybody else as they are. A number is given once; what flow records
//! cite keeps its name after the rule is gone.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    act::Act,
    compile::{GroupIdx, RuleIdx},
    paged::Paged,
    row::{Row, RuleLine, When, Who},
    shared::Shared,
};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, collections::BTreeMap};
use types::{Imsi, Name};

/// The place of a rule that is gone.
const GONE: u32 = u32::MAX;

/// A rule that decides nothing, and is only found.
const WATCHED: u32 = 1 << 31;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Lines {
    /// By [`RuleIdx`]; also those that are gone.
    all: Paged<Shared<RuleLine>>,
    /// By [`RuleIdx`]: its place in the order, or [`GONE`].
    places: Vec<u32>,
    /// By [`RuleIdx`]: which of `acts` it does; [`WATCHED`] where it is only watched.
    does: Vec<u32>,
    /// What rules do, each list once: few, because most rules have the conditions of others.
    acts: Shared<Vec<Vec<(When, Act)>>>,
    in_order: Vec<RuleIdx>,
    by_name: Vec<RuleIdx>,
    of_everyone: Vec<RuleIdx>,
    /// By group.
    of_groups: Vec<Shared<Vec<RuleIdx>>>,
    of_sims: Shared<BTreeMap<Imsi, Vec<RuleIdx>>>,
}

impl Lines {
    /// Of these, in any order.
    pub(crate) fn new(lines: Vec<RuleLine>, groups: usize) -> Self {
        let mut new = Self { of_groups: vec![Shared::default(); groups], ..Self::default() };
        let mut of_groups = vec![Vec::new(); groups];
        for (line, rule) in lines.iter().zip((0..).map(RuleIdx)) {
            match line.who {
                Who::Everyone => new.of_everyone.push(rule),
                Who::Sim(imsi) => new.of_sims.make_mut().entry(imsi).or_default().push(rule),
                Who::Group(g) => {
                    if let Some(list) = of_groups.get_mut(g.0 as usize) {
                        list.push(rule);
                    }
                }
            }
        }
        new.of_groups = of_groups.into_iter().map(Shared::new).collect();
        let mut numbers = BTreeMap::new();
        let mut acts = Vec::new();
        for line in &lines {
            let at = *numbers.entry(line.acts.as_slice()).or_insert_with(|| {
                acts.push(line.acts.clone());
                acts.len() as u32 - 1
            });
            new.does.push(marked(at, line));
        }
        new.acts = Shared::new(acts);
        new.in_order = (0..lines.len() as u32).map(RuleIdx).collect();
        new.by_name = new.in_order.clone();
        new.all = lines.into_iter().map(Shared::new).collect();
        let all = &new.all;
        let line = |r: &RuleIdx| all.get(r.0).map(|l| &**l);
        new.in_order.sort_by(|a, b| order(line(a), line(b)));
        new.by_name.sort_by(|a, b| line(a).map(|l| &l.name).cmp(&line(b).map(|l| &l.name)));
        new.number();
        new
    }

    /// The rule of this number, though it be gone.
    pub(crate) fn get(&self, rule: RuleIdx) -> Option<&RuleLine> {
        self.all.get(rule.0).map(|l| &**l)
    }

    /// What a rule does, and under which conditions; true where it is only watched.
    #[inline]
    pub(crate) fn does(&self, rule: RuleIdx) -> (&[(When, Act)], bool) {
        let at = self.does.get(rule.0 as usize).copied().unwrap_or(GONE);
        let acts = self.acts.get((at & !WATCHED) as usize);
        (acts.map_or(&[], Vec::as_slice), at & WATCHED != 0)
    }

    /// Writes down what the rule of this number does.
    fn set_does(&mut self, rule: RuleIdx, line: &RuleLine) {
        let at = self.acts.iter().position(|a| *a == line.acts).unwrap_or_else(|| {
            let acts = self.acts.make_mut();
            acts.push(line.acts.clone());
            acts.len() - 1
        });
        let does = marked(at as u32, line);
        match self.does.get_mut(rule.0 as usize) {
            Some(place) => *place = does,
            None => self.does.push(does),
        }
    }

    /// The rules that are not gone.
    pub(crate) fn live(&self) -> impl Iterator<Item = &RuleLine> {
        self.in_order.iter().filter_map(|r| self.get(*r))
    }

    /// True where `a` is read before `b`.
    pub(crate) fn is_before(&self, a: RuleIdx, b: RuleIdx) -> bool {
        self.place(a) < self.place(b)
    }

    fn place(&self, rule: RuleIdx) -> u32 {
        self.places.get(rule.0 as usize).copied().unwrap_or(GONE)
    }

    /// True where a rule speaks of this SIM by its IMSI.
    pub(crate) fn name_sim(&self, imsi: Imsi) -> bool {
        self.of_sims.contains_key(&imsi)
    }

    /// The SIMs that rules name.
    pub(crate) fn named_sims(&self) -> impl Iterator<Item = Imsi> {
        self.of_sims.keys().copied()
    }

    /// The row of every SIM.
    pub(crate) fn row_of_everyone(&self) -> Row {
        self.row(self.of_everyone.clone())
    }

    /// The row of a set of groups, or of a SIM in these groups.
    pub(crate) fn row_of(&self, groups: &[GroupIdx], sim: Option<Imsi>) -> Row {
        let of_groups = groups.iter().filter_map(|g| self.of_groups.get(g.0 as usize)).map(|l| &**l);
        let of_sim = sim.and_then(|i| self.of_sims.get(&i));
        self.row(of_groups.chain(of_sim).flatten().copied().collect())
    }

    fn row(&self, mut rules: Vec<RuleIdx>) -> Row {
        rules.sort_unstable_by_key(|r| self.place(*r));
        Row::build(rules.into_iter().filter_map(|r| Some((r, self.get(r)?))))
    }

    /// Puts a rule in, or in place of the one of its name. Whom that one spoke of.
    pub(crate) fn put(&mut self, line: RuleLine) -> Option<Who> {
        let (who, found) = (line.who, self.find(&line.name));
        let (rule, before) = match found {
            Ok((_, rule)) => {
                let before = self.unlink(rule);
                self.set_does(rule, &line);
                self.all.set(rule.0, Shared::new(line));
                (rule, before)
            }
            Err(at) => {
                let rule = RuleIdx(self.all.len());
                self.by_name.insert(at, rule);
                self.set_does(rule, &line);
                self.all.push(Shared::new(line));
                self.places.push(GONE);
                (rule, None)
            }
        };
        let at = self.in_order.partition_point(|r| order(self.get(*r), self.get(rule)).is_lt());
        self.in_order.insert(at, rule);
        if let Some(list) = self.list_of(who) {
            list.push(rule);
        }
        self.number();
        before
    }

    /// Takes a rule out. Whom it spoke of; none where there is no such rule.
    pub(crate) fn take(&mut self, name: &Name) -> Option<Who> {
        let (at, rule) = self.find(name).ok()?;
        self.by_name.remove(at);
        let who = self.unlink(rule);
        self.number();
        who
    }

    /// The rule of this name.
    pub(crate) fn named(&self, name: &Name) -> Option<RuleIdx> {
        self.find(name).ok().map(|(_, rule)| rule)
    }

    /// Its place by name, and its number; or where it would be.
    fn find(&self, name: &Name) -> Result<(usize, RuleIdx), usize> {
        let name_of = |r: &RuleIdx| self.get(*r).map(|l| &l.name);
        let at = self.by_name.binary_search_by(|r| name_of(r).cmp(&Some(name)))?;
        self.by_name.get(at).map(|r| (at, *r)).ok_or(at)
    }

    /// Takes a rule out of the order and out of the list of whom it speaks of. Its line stays.
    fn unlink(&mut self, rule: RuleIdx) -> Option<Who> {
        let who = self.get(rule)?.who;
        let at = self.place(rule) as usize;
        if self.in_order.get(at) == Some(&rule) {
            self.in_order.remove(at);
        }
        if let Some(list) = self.list_of(who) {
            list.retain(|r| *r != rule);
        }
        if let Who::Sim(imsi) = who
            && self.of_sims.get(&imsi).is_some_and(Vec::is_empty)
        {
            self.of_sims.make_mut().remove(&imsi);
        }
        Some(who)
    }

    fn list_of(&mut self, who: Who) -> Option<&mut Vec<RuleIdx>> {
        match who {
            Who::Everyone => Some(&mut self.of_everyone),
            Who::Group(g) => self.of_groups.get_mut(g.0 as usize).map(Shared::make_mut),
            Who::Sim(imsi) => Some(self.of_sims.make_mut().entry(imsi).or_default()),
        }
    }

    /// Writes the places down anew.
    fn number(&mut self) {
        self.places.clear();
        self.places.resize(self.all.len() as usize, GONE);
        for (rule, place) in self.in_order.iter().zip(0..) {
            if let Some(p) = self.places.get_mut(rule.0 as usize) {
                *p = place;
            }
        }
    }

    /// How many lists of what rules do there are, those that no rule does any longer with them.
    pub(crate) fn acts(&self) -> usize {
        self.acts.len()
    }

    /// How many rules are gone but still have their line.
    pub(crate) fn gone(&self) -> usize {
        (self.all.len() as usize).saturating_sub(self.in_order.len())
    }

    /// How many rules there are.
    pub(crate) fn len(&self) -> usize {
        self.in_order.len()
    }
}

fn marked(at: u32, line: &RuleLine) -> u32 {
    at | if line.watched { WATCHED } else { 0 }
}

/// Rules are read by their order, then by name.
fn order(a: Option<&RuleLine>, b: Option<&RuleLine>) -> Ordering {
    let key = |l: &RuleLine| l.order;
    a.map(key).cmp(&b.map(key)).then_with(|| a.map(|l| &l.name).cmp(&b.map(|l| &l.name)))
}
