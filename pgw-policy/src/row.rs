//! Rows and cells: what a class may do, per app and direction (decision D3).
//!
//! A cell is a verdict with its rule, or a short ordered list of rules whose conditions are bits of one word, and hours.
//!  What rules ask about a SIM is in [`crate::predicate`].

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use serde::{Deserialize, Serialize};
use types::{Imsi, Protocol, Recording, Rule, RuleDirection, RuleRate};

use crate::act::Act;
use crate::compile::{AppIdx, GroupIdx, RuleIdx};
use crate::lines::Lines;

/// What is known at this moment, as numbered predicates: a word of the SIM, and a word of the network that says which
/// hours it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts<'a> {
    /// Posture, site, assurance, risk level of this SIM.
    pub(crate) sim: u64,
    /// One bit for each of [`Compiled::clocks`](crate::Compiled::clocks); one that is missing is not set.
    pub(crate) clocks: &'a [u64],
}

impl Facts<'_> {
    pub(crate) fn is_on(self, clock: u32) -> bool {
        self.clocks.get((clock / 64) as usize).is_some_and(|word| word >> (clock % 64) & 1 != 0)
    }
}

/// The conditions of a rule over [`Facts`]: they hold where `sim & mask == wanted` and the clock is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(crate) struct When {
    pub(crate) mask: u64,
    pub(crate) wanted: u64,
    pub(crate) clock: Option<u32>,
}

impl When {
    /// Holds whatever the facts are.
    pub(crate) const ALWAYS: Self = Self { mask: 0, wanted: 0, clock: None };

    /// Where this bit is set, too.
    #[must_use]
    pub(crate) fn with(self, bit: u64) -> Self {
        Self { mask: self.mask | bit, wanted: self.wanted | bit, ..self }
    }

    /// Where this bit is not set.
    #[must_use]
    pub(crate) fn without(self, bit: u64) -> Self {
        Self { mask: self.mask | bit, wanted: self.wanted & !bit, ..self }
    }

    fn holds(self, facts: Facts<'_>) -> bool {
        facts.sim & self.mask == self.wanted && self.clock.is_none_or(|clock| facts.is_on(clock))
    }
}

/// A rule as the rows cite it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuleLine {
    pub(crate) name: types::Name,
    pub(crate) app: AppIdx,
    /// `None`: direction `out`. `Some`: direction `in`, towards these services of the UE.
    pub(crate) to: Option<Vec<types::Service>>,
    /// What it does, and where; the first that holds counts. The hours stand in each.
    pub(crate) acts: Vec<(When, Act)>,
    /// When it is in force.
    pub(crate) clock: Option<u32>,
    /// It decides nothing, and is only found.
    pub(crate) watched: bool,
    /// See [`Rule::order`].
    pub(crate) order: i64,
    /// Of whom it speaks.
    pub(crate) who: Who,
    pub(crate) rate: RuleRate,
    pub(crate) record: Recording,
}

/// Of whom a rule speaks, as the compiled policy numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Who {
    Everyone,
    Group(GroupIdx),
    Sim(Imsi),
}

impl RuleLine {
    /// The line of `rule`, which names the app at `app`, speaks of `who`, is in force by `clock` and does `acts`.
    pub(crate) fn new(
        rule: &Rule,
        app: AppIdx,
        who: Who,
        clock: Option<u32>,
        mut acts: Vec<(When, Act)>,
    ) -> Self {
        acts.iter_mut().for_each(|(when, _)| when.clock = clock);
        let to = match &rule.direction {
            RuleDirection::Out => None,
            RuleDirection::In { to } => Some(to.clone()),
        };
        let (name, order, watched) = (rule.name.clone(), rule.order, rule.is_monitored());
        let (rate, record) = (rule.rate, rule.record);
        Self { name, app, to, acts, clock, watched, order, who, rate, record }
    }

    /// True where no rule behind it is read.
    fn is_end(&self) -> bool {
        !self.watched && self.acts.iter().any(|(when, _)| *when == When::ALWAYS)
    }
}

/// What a row says about one app and direction, in four octets: there are many.
///
/// The three highest bits are a verdict, and the others its rule, which has no conditions; or [`Cell::ONE`], and the others
/// a rule that is the only one here; or [`Cell::LIST`], and the others an index of [`Row::lists`], from which on stand
/// rules in their order, up to the one with the bit [`LAST`]. What rules with conditions do stands with the rules and not
/// here: [`Lines::does`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cell(u32);

/// The last rule of a list.
const LAST: u32 = 1 << 31;

/// What a cell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Always(Act, RuleIdx),
    One(RuleIdx),
    List(u32),
}

impl Cell {
    const ONE: u32 = 3;
    const LIST: u32 = 4;
    /// How many bits are left below: far more than there can be rules.
    const BITS: u32 = 29;

    /// `None` for what is too rare to have a place here.
    fn plain(act: Act, rule: RuleIdx) -> Option<Self> {
        let kind = match act {
            Act::Allow => 0,
            Act::Deny => 1,
            Act::Reject => 2,
            Act::AllowLogged | Act::StepUp | Act::Quarantine | Act::DenyRisk | Act::DenyUnknown => {
                return None;
            }
        };
        Some(Self(kind << Self::BITS | rule.0))
    }

    fn read(self) -> Said {
        let low = self.0 & ((1 << Self::BITS) - 1);
        match self.0 >> Self::BITS {
            0 => Said::Always(Act::Allow, RuleIdx(low)),
            1 => Said::Always(Act::Deny, RuleIdx(low)),
            2 => Said::Always(Act::Reject, RuleIdx(low)),
            Self::ONE => Said::One(RuleIdx(low)),
            _ => Said::List(low),
        }
    }
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

/// The rule that a row found, with what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) act: Act,
    pub(crate) rule: RuleIdx,
}

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// The rule that decides.
    pub(crate) hit: Option<Hit>,
    /// The first watched rule that would have decided instead.
    pub(crate) watched: Option<Hit>,
}

impl Found {
    /// What the next rule says; true where it decides.
    fn add(&mut self, rule: RuleIdx, facts: Facts<'_>, lines: &Lines) -> bool {
        let (acts, watched) = lines.does(rule);
        let Some((_, act)) = acts.iter().find(|(when, _)| when.holds(facts)) else { return false };
        let hit = Hit { act: *act, rule };
        if watched {
            self.watched.get_or_insert(hit);
        } else {
            self.hit = Some(hit);
        }
        !watched
    }
}

/// The cells of one class. Only apps that some rule of the class names have cells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    /// By app.
    out: Vec<OutCell>,
    /// By app, protocol and port; ranges do not overlap.
    inward: Vec<InCell>,
    /// Rules of cells that have several.
    lists: Vec<u32>,
}

impl Row {
    /// The row of a class to which these rules speak, in the order in which they are read.
    pub(crate) fn build<'a>(in_order: impl Iterator<Item = (RuleIdx, &'a RuleLine)>) -> Self {
        let mut mine: Vec<(AppIdx, RuleIdx, &RuleLine)> =
            in_order.map(|(i, line)| (line.app, i, line)).collect();
        // Stable: those of one app stay in their order.
        mine.sort_by_key(|&(app, ..)| app);
        let mut row = Self::default();
        for of_app in mine.chunk_by(|a, b| a.0 == b.0) {
            row.add_out(of_app);
            row.add_in(of_app);
        }
        row.out.shrink_to_fit();
        row.inward.shrink_to_fit();
        row.lists.shrink_to_fit();
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
        if of_app.iter().all(|(_, _, l)| l.to.is_none()) {
            return;
        }
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
        let mut lines = lines.peekable();
        let (rule, line) = lines.next()?;
        if let (&[(When::ALWAYS, act)], false) = (line.acts.as_slice(), line.watched)
            && let Some(cell) = Cell::plain(act, rule)
        {
            return Some(cell);
        }
        if line.is_end() || lines.peek().is_none() {
            return Some(Cell(Cell::ONE << Cell::BITS | rule.0));
        }
        let first = u32::try_from(self.lists.len()).ok()?;
        for (rule, line) in std::iter::once((rule, line)).chain(lines) {
            self.lists.push(rule.0);
            if line.is_end() {
                break;
            }
        }
        *self.lists.last_mut()? |= LAST;
        Some(Cell(Cell::LIST << Cell::BITS | first))
    }

    /// What the row says when the UE opens towards `app`; `lines` are those that it was built of.
    pub(crate) fn outward(&self, app: AppIdx, facts: Facts<'_>, lines: &Lines) -> Found {
        let at = self.out.binary_search_by_key(&app, |c| c.app).ok();
        at.and_then(|at| self.out.get(at)).map_or_else(Found::default, |c| self.find(c.cell, facts, lines))
    }

    /// What the row says when `app` opens towards a port of the UE.
    pub(crate) fn inward(
        &self,
        app: AppIdx,
        (protocol, port): (Protocol, u16),
        facts: Facts<'_>,
        lines: &Lines,
    ) -> Found {
        let after = self.inward.partition_point(|c| (c.app, c.protocol, c.first) <= (app, protocol, port));
        let piece = after.checked_sub(1).and_then(|at| self.inward.get(at));
        let covers = |c: &&InCell| c.app == app && c.protocol == protocol && port <= c.last;
        piece.filter(covers).map_or_else(Found::default, |c| self.find(c.cell, facts, lines))
    }

    fn find(&self, cell: Cell, facts: Facts<'_>, lines: &Lines) -> Found {
        let first = match cell.read() {
            Said::Always(act, rule) => return Found { hit: Some(Hit { act, rule }), watched: None },
            Said::One(rule) => {
                let mut found = Found::default();
                found.add(rule, facts, lines);
                return found;
            }
            Said::List(first) => first,
        };
        let mut found = Found::default();
        for entry in self.lists.get(first as usize..).unwrap_or_default() {
            if found.add(RuleIdx(entry & !LAST), facts, lines) || entry & LAST != 0 {
                break;
            }
        }
        found
    }

    /// Octets on the heap.
    pub(crate) fn heap(&self) -> usize {
        self.out.len() * size_of::<OutCell>()
            + self.inward.len() * size_of::<InCell>()
            + self.lists.len() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Ports;

    const NONE: Facts<'static> = Facts { sim: 0, clocks: &[] };

    fn line(app: u32, act: Act, to: Option<&[&str]>, when: When) -> RuleLine {
        let to = to.map(|t| t.iter().map(|s| s.parse().unwrap()).collect());
        let name = "r".parse().unwrap();
        RuleLine {
            name,
            app: AppIdx(app),
            to,
            acts: vec![(when, act)],
            clock: when.clock,
            watched: false,
            order: 0,
            who: Who::Everyone,
            rate: RuleRate::default(),
            record: Recording::All,
        }
    }

    /// A row, and the rules that it is of.
    struct All(Row, Lines);

    impl All {
        fn outward(&self, app: AppIdx, facts: Facts<'_>) -> Found {
            self.0.outward(app, facts, &self.1)
        }

        fn inward(&self, app: AppIdx, protocol: Protocol, port: u16, facts: Facts<'_>) -> Found {
            self.0.inward(app, (protocol, port), facts, &self.1)
        }
    }

    fn all(lines: &[RuleLine]) -> All {
        All(Row::build((0..).map(RuleIdx).zip(lines)), Lines::new(lines.to_vec(), 0))
    }

    #[test]
    fn the_first_rule_without_conditions_ends_a_cell() {
        let lines = [
            line(3, Act::Deny, None, When::ALWAYS),
            line(3, Act::Allow, None, When::ALWAYS),
            line(1, Act::Reject, None, When::ALWAYS),
        ];
        let row = all(&lines);
        assert_eq!(row.outward(AppIdx(3), NONE).hit, Some(Hit { act: Act::Deny, rule: RuleIdx(0) }));
        assert_eq!(row.outward(AppIdx(1), NONE).hit.unwrap().act, Act::Reject);
        assert_eq!(row.outward(AppIdx(2), NONE).hit, None);
        assert!(row.0.lists.is_empty());
    }

    #[test]
    fn a_condition_is_read_from_both_words() {
        let compliant = When { mask: 1, wanted: 1, clock: None };
        let at_night = When { mask: 0, wanted: 0, clock: Some(64) };
        let lines = [
            line(0, Act::Deny, None, at_night),
            line(0, Act::Allow, None, compliant),
            line(7, Act::Allow, None, compliant),
            line(0, Act::Reject, None, When::ALWAYS),
        ];
        let row = all(&lines);
        let at = |sim, night| row.outward(AppIdx(0), Facts { sim, clocks: &[0, night] }).hit.unwrap();
        assert_eq!(at(0, 0), Hit { act: Act::Reject, rule: RuleIdx(3) });
        assert_eq!(at(1, 0), Hit { act: Act::Allow, rule: RuleIdx(1) });
        assert_eq!(at(1, 1), Hit { act: Act::Deny, rule: RuleIdx(0) });
        assert_eq!(row.outward(AppIdx(7), NONE).hit, None);
        assert!(row.outward(AppIdx(7), Facts { sim: 1, clocks: &[] }).hit.is_some());
    }

    #[test]
    fn a_watched_rule_is_found_and_decides_nothing() {
        let watched = |act, when| RuleLine { watched: true, ..line(0, act, None, when) };
        let lines = [
            watched(Act::Deny, When::ALWAYS.with(1)),
            watched(Act::Reject, When::ALWAYS),
            line(0, Act::Allow, None, When::ALWAYS),
        ];
        let row = all(&lines);
        let at = |sim| row.outward(AppIdx(0), Facts { sim, clocks: &[] });
        assert_eq!(at(1).hit, Some(Hit { act: Act::Allow, rule: RuleIdx(2) }));
        assert_eq!(at(1).watched, Some(Hit { act: Act::Deny, rule: RuleIdx(0) }));
        assert_eq!(at(0).watched, Some(Hit { act: Act::Reject, rule: RuleIdx(1) }));
        let alone = all(&lines[1..2]);
        assert_eq!(alone.outward(AppIdx(0), NONE).hit, None);
    }

    #[test]
    fn port_ranges_of_several_rules_are_cut_into_pieces() {
        let lines = [
            line(0, Act::Allow, Some(&["tcp/500-600"]), When::ALWAYS),
            line(0, Act::Deny, Some(&["tcp", "icmp"]), When::ALWAYS),
            line(0, Act::Allow, Some(&["udp/65535"]), When::ALWAYS),
        ];
        let row = all(&lines);
        let at = |p, port| row.inward(AppIdx(0), p, port, NONE).hit.map(|h| h.rule.0);
        assert_eq!(at(Protocol::Tcp, 0), Some(1));
        assert_eq!(at(Protocol::Tcp, 499), Some(1));
        assert_eq!(at(Protocol::Tcp, 500), Some(0));
        assert_eq!(at(Protocol::Tcp, 600), Some(0));
        assert_eq!(at(Protocol::Tcp, 601), Some(1));
        assert_eq!(at(Protocol::Tcp, u16::MAX), Some(1));
        assert_eq!(at(Protocol::Udp, 65534), None);
        assert_eq!(at(Protocol::Udp, 65535), Some(2));
        assert_eq!(at(Protocol::Icmp, 0), Some(1));
        assert_eq!(row.inward(AppIdx(1), Protocol::Tcp, 500, NONE).hit, None);
        assert_eq!(row.0.inward.len(), 5);
    }

    #[test]
    fn pieces_that_say_the_same_are_joined() {
        let lines = [line(0, Act::Allow, Some(&["tcp/1-9", "tcp/5-20", "tcp/21"]), When::ALWAYS)];
        let row = all(&lines);
        assert_eq!(row.0.inward.len(), 1);
        assert!(Ports::try_from((row.0.inward[0].first, row.0.inward[0].last)).unwrap().contains(21));
    }

    #[test]
    fn a_cell_is_small() {
        assert_eq!((size_of::<OutCell>(), size_of::<InCell>()), (8, 16));
    }
}
