//! Rows and cells: what a class may do, per app and direction (decision D3).
//!
//! A cell is a verdict with its rule, or a short ordered list of terms whose conditions are bits of one
//! word. Rules of today have no conditions, so every cell is a plain verdict; the list is the place where
//! posture, site, assurance and schedules go.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use serde::{Deserialize, Serialize};
use types::{Protocol, Rule, RuleDirection, Verdict};

use crate::compile::{AppIdx, RuleIdx};

/// What is known at this moment, as numbered predicates: a word of the SIM and a word of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Posture, site, assurance, risk level of this SIM.
    pub sim: u64,
    /// Schedules: the same for every SIM.
    pub global: u64,
}

impl Facts {
    /// No predicate holds.
    pub const NONE: Self = Self { sim: 0, global: 0 };

    fn word(self) -> u128 {
        u128::from(self.global) << 64 | u128::from(self.sim)
    }
}

/// The conditions of a rule over the word of [`Facts`]: they hold where `word & mask == wanted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct When {
    pub(crate) mask: u128,
    pub(crate) wanted: u128,
}

impl When {
    /// Holds whatever the facts are.
    const ALWAYS: Self = Self { mask: 0, wanted: 0 };
}

/// A rule as the rows cite it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuleLine {
    pub(crate) name: types::Name,
    pub(crate) app: AppIdx,
    /// `None`: direction `out`. `Some`: direction `in`, towards these services of the UE.
    pub(crate) to: Option<Vec<types::Service>>,
    pub(crate) verdict: Verdict,
    pub(crate) when: When,
}

impl RuleLine {
    /// The line of `rule`, which names the app at `app`.
    pub(crate) fn new(rule: &Rule, app: AppIdx) -> Self {
        let to = match &rule.direction {
            RuleDirection::Out => None,
            RuleDirection::In { to } => Some(to.clone()),
        };
        Self { name: rule.name.clone(), app, to, verdict: rule.verdict, when: When::ALWAYS }
    }
}

/// What a row says about one app and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Cell {
    /// One rule without conditions.
    Plain { verdict: Verdict, rule: RuleIdx },
    /// Terms from this index of [`Row::terms`] up to the one marked `last`.
    Terms { first: u32 },
}

/// One conditional entry of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Term {
    when: When,
    verdict: Verdict,
    rule: RuleIdx,
    last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct OutCell {
    app: AppIdx,
    cell: Cell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct InCell {
    app: AppIdx,
    protocol: Protocol,
    first: u16,
    last: u16,
    cell: Cell,
}

/// The rule that a row found, with its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) verdict: Verdict,
    pub(crate) rule: RuleIdx,
}

impl Hit {
    /// Of two findings the one whose rule is read first: a rule's index is its place in the order.
    pub(crate) fn earlier(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if b.rule < a.rule { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

/// The cells of one class. Only apps that some rule of the class names have cells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    /// By app.
    out: Vec<OutCell>,
    /// By app, protocol and port; ranges do not overlap.
    inward: Vec<InCell>,
    terms: Vec<Term>,
}

impl Row {
    /// The row of a class to which the rules `indices` (rising) speak. An index without a line is skipped.
    pub(crate) fn build(lines: &[RuleLine], indices: &[RuleIdx]) -> Self {
        let mut mine: Vec<(AppIdx, RuleIdx, &RuleLine)> =
            indices.iter().filter_map(|&i| lines.get(i.0 as usize).map(|line| (line.app, i, line))).collect();
        mine.sort_by_key(|&(app, rule, _)| (app, rule));
        let mut row = Self::default();
        for of_app in mine.chunk_by(|a, b| a.0 == b.0) {
            row.add_out(of_app);
            row.add_in(of_app);
        }
        row
    }

    fn add_out(&mut self, of_app: &[(AppIdx, RuleIdx, &RuleLine)]) {
        let lines = of_app.iter().filter(|(_, _, l)| l.to.is_none()).map(|&(_, i, l)| (i, l));
        if let (Some(cell), Some(&(app, ..))) = (self.cell(lines), of_app.first()) {
            self.out.push(OutCell { app, cell });
        }
    }

    /// Cuts the port space at every border that a rule names, so that each piece has one list of rules.
    fn add_in(&mut self, of_app: &[(AppIdx, RuleIdx, &RuleLine)]) {
        let Some(&(app, ..)) = of_app.first() else { return };
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Icmp] {
            let mut borders: Vec<u32> = of_app
                .iter()
                .flat_map(|(_, _, l)| l.to.iter().flatten())
                .filter(|s| s.protocol == protocol)
                .flat_map(|s| [u32::from(s.ports.first()), u32::from(s.ports.last()) + 1])
                .collect();
            borders.sort_unstable();
            borders.dedup();
            for pair in borders.windows(2) {
                let &[from, to] = pair else { continue };
                let (Ok(first), Ok(last)) = (u16::try_from(from), u16::try_from(to - 1)) else { continue };
                let covers = |l: &RuleLine| {
                    l.to.iter().flatten().any(|s| s.protocol == protocol && s.ports.contains(first))
                };
                let lines = of_app.iter().filter(|(_, _, l)| covers(l)).map(|&(_, i, l)| (i, l));
                if let Some(cell) = self.cell(lines) {
                    self.push_in(InCell { app, protocol, first, last, cell });
                }
            }
        }
    }

    /// Appends a piece, or widens the last one where it says the same and touches.
    fn push_in(&mut self, new: InCell) {
        if let Some(old) = self.inward.last_mut()
            && (old.app, old.protocol, old.cell) == (new.app, new.protocol, new.cell)
            && old.last.checked_add(1) == Some(new.first)
        {
            old.last = new.last;
            return;
        }
        self.inward.push(new);
    }

    /// The cell of rules in their order: read until the first one without conditions.
    fn cell<'a>(&mut self, lines: impl Iterator<Item = (RuleIdx, &'a RuleLine)>) -> Option<Cell> {
        let mut terms = Vec::new();
        for (rule, line) in lines {
            let last = line.when == When::ALWAYS;
            terms.push(Term { when: line.when, verdict: line.verdict, rule, last });
            if last {
                break;
            }
        }
        if let [Term { verdict, rule, last: true, .. }] = terms.as_slice() {
            return Some(Cell::Plain { verdict: *verdict, rule: *rule });
        }
        terms.last_mut()?.last = true;
        let first = u32::try_from(self.terms.len()).ok()?;
        self.terms.append(&mut terms);
        Some(Cell::Terms { first })
    }

    /// What the row says when the UE opens towards `app`.
    pub(crate) fn outward(&self, app: AppIdx, facts: Facts) -> Option<Hit> {
        let at = self.out.binary_search_by_key(&app, |c| c.app).ok()?;
        self.out.get(at).and_then(|c| self.hit(c.cell, facts))
    }

    /// What the row says when `app` opens towards a port of the UE.
    pub(crate) fn inward(&self, app: AppIdx, protocol: Protocol, port: u16, facts: Facts) -> Option<Hit> {
        let after = self.inward.partition_point(|c| (c.app, c.protocol, c.first) <= (app, protocol, port));
        let c = self.inward.get(after.checked_sub(1)?)?;
        let covers = c.app == app && c.protocol == protocol && port <= c.last;
        if covers { self.hit(c.cell, facts) } else { None }
    }

    fn hit(&self, cell: Cell, facts: Facts) -> Option<Hit> {
        match cell {
            Cell::Plain { verdict, rule } => Some(Hit { verdict, rule }),
            Cell::Terms { first } => {
                let word = facts.word();
                for t in self.terms.get(first as usize..)? {
                    if word & t.when.mask == t.when.wanted {
                        return Some(Hit { verdict: t.verdict, rule: t.rule });
                    }
                    if t.last {
                        break;
                    }
                }
                None
            }
        }
    }

    /// Octets on the heap.
    pub(crate) fn heap(&self) -> usize {
        self.out.len() * size_of::<OutCell>()
            + self.inward.len() * size_of::<InCell>()
            + self.terms.len() * size_of::<Term>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Ports;

    fn line(app: u32, verdict: Verdict, to: Option<&[&str]>, when: When) -> RuleLine {
        let to = to.map(|t| t.iter().map(|s| s.parse().unwrap()).collect());
        RuleLine { name: "r".parse().unwrap(), app: AppIdx(app), to, verdict, when }
    }

    fn all(lines: &[RuleLine]) -> Row {
        let indices: Vec<_> = (0..lines.len() as u32).map(RuleIdx).collect();
        Row::build(lines, &indices)
    }

    #[test]
    fn the_first_rule_without_conditions_ends_a_cell() {
        let lines = [
            line(3, Verdict::Deny, None, When::ALWAYS),
            line(3, Verdict::Allow, None, When::ALWAYS),
            line(1, Verdict::Reject, None, When::ALWAYS),
        ];
        let row = all(&lines);
        assert_eq!(
            row.outward(AppIdx(3), Facts::NONE),
            Some(Hit { verdict: Verdict::Deny, rule: RuleIdx(0) })
        );
        assert_eq!(row.outward(AppIdx(1), Facts::NONE).unwrap().verdict, Verdict::Reject);
        assert_eq!(row.outward(AppIdx(2), Facts::NONE), None);
        assert!(row.terms.is_empty());
    }

    #[test]
    fn a_condition_is_read_from_both_words() {
        let compliant = When { mask: 1, wanted: 1 };
        let at_night = When { mask: 1 << 64, wanted: 1 << 64 };
        let lines = [
            line(0, Verdict::Deny, None, at_night),
            line(0, Verdict::Allow, None, compliant),
            line(7, Verdict::Allow, None, compliant),
            line(0, Verdict::Reject, None, When::ALWAYS),
        ];
        let row = all(&lines);
        let at = |sim, global| row.outward(AppIdx(0), Facts { sim, global }).unwrap();
        assert_eq!(at(0, 0), Hit { verdict: Verdict::Reject, rule: RuleIdx(3) });
        assert_eq!(at(1, 0), Hit { verdict: Verdict::Allow, rule: RuleIdx(1) });
        assert_eq!(at(1, 1), Hit { verdict: Verdict::Deny, rule: RuleIdx(0) });
        assert_eq!(row.outward(AppIdx(7), Facts::NONE), None);
        assert!(row.outward(AppIdx(7), Facts { sim: 1, global: 0 }).is_some());
    }

    #[test]
    fn port_ranges_of_several_rules_are_cut_into_pieces() {
        let lines = [
            line(0, Verdict::Allow, Some(&["tcp/500-600"]), When::ALWAYS),
            line(0, Verdict::Deny, Some(&["tcp", "icmp"]), When::ALWAYS),
            line(0, Verdict::Allow, Some(&["udp/65535"]), When::ALWAYS),
        ];
        let row = all(&lines);
        let at = |p, port| row.inward(AppIdx(0), p, port, Facts::NONE).map(|h| h.rule.0);
        assert_eq!(at(Protocol::Tcp, 0), Some(1));
        assert_eq!(at(Protocol::Tcp, 499), Some(1));
        assert_eq!(at(Protocol::Tcp, 500), Some(0));
        assert_eq!(at(Protocol::Tcp, 600), Some(0));
        assert_eq!(at(Protocol::Tcp, 601), Some(1));
        assert_eq!(at(Protocol::Tcp, u16::MAX), Some(1));
        assert_eq!(at(Protocol::Udp, 65534), None);
        assert_eq!(at(Protocol::Udp, 65535), Some(2));
        assert_eq!(at(Protocol::Icmp, 0), Some(1));
        assert_eq!(row.inward(AppIdx(1), Protocol::Tcp, 500, Facts::NONE), None);
        assert_eq!(row.inward.len(), 5);
    }

    #[test]
    fn pieces_that_say_the_same_are_joined() {
        let lines = [line(0, Verdict::Allow, Some(&["tcp/1-9", "tcp/5-20", "tcp/21"]), When::ALWAYS)];
        let row = all(&lines);
        assert_eq!(row.inward.len(), 1);
        assert!(Ports::try_from((row.inward[0].first, row.inward[0].last)).unwrap().contains(21));
    }

    #[test]
    fn a_cell_is_small() {
        assert_eq!(size_of::<Cell>(), 8);
        assert_eq!(size_of::<OutCell>(), 12);
    }
}
