//! Pages of SIMs in any order that people sort by, each order with an index of its own, so that the first page of
//! 100 000 SIMs reads no more rows than it shows.
//!
//! A cursor holds the sort key and the IMSI of the last row: rows that are changed in between neither shift a page nor
//! show twice, unless their own key moved.

use super::{SimFilter, SimRow, add_parts_of, containing};
use crate::{Page, Store, db::Arg, error::StoreError};
use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};
use types::{Imsi, Name};

/// What SIMs can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SimKey {
    /// IMSI.
    #[default]
    Imsi,
    /// Label, great and small letters alike.
    Label,
    /// ICCID; SIMs without one first.
    Iccid,
    /// State, by its English word.
    State,
    /// When it was last changed.
    Changed,
    /// When it last proved itself; SIMs that never did first.
    LastSeen,
}

/// An order of SIMs; what is equal stands by IMSI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SimOrder {
    /// By what.
    pub by: SimKey,
    /// True for the greatest first.
    pub down: bool,
}

impl SimKey {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Imsi, Self::Label, Self::Iccid, Self::State, Self::Changed, Self::LastSeen];

    fn word(self) -> &'static str {
        match self {
            Self::Imsi => "imsi",
            Self::Label => "label",
            Self::Iccid => "iccid",
            Self::State => "state",
            Self::Changed => "changed",
            Self::LastSeen => "last_seen",
        }
    }

    /// What the rows are ordered by before their IMSI, as the index has it; and the cursor's value for it.
    fn terms(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Imsi => None,
            Self::Label => Some(("LOWER(s.label)", "LOWER($)")),
            Self::Iccid => Some(("COALESCE(s.iccid, '')", "$")),
            Self::State => Some(("s.state", "$")),
            Self::Changed => Some(("s.changed", "$")),
            Self::LastSeen => Some(("s.seen", "$")),
        }
    }

    fn value(self, sim: &SimRow) -> Arg {
        match self {
            Self::Imsi => Arg::from(sim.imsi),
            Self::Label => Arg::from(&sim.label),
            Self::Iccid => Arg::from(sim.iccid.as_ref().map(ToString::to_string).unwrap_or_default()),
            Self::State => Arg::from(sim.state),
            Self::Changed => Arg::from(sim.changed),
            Self::LastSeen => Arg::from(sim.last_seen.unwrap_or_default()),
        }
    }
}

impl fmt::Display for SimOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.down { "-" } else { "" }, self.by.word())
    }
}

impl FromStr for SimOrder {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (down, word) = s.strip_prefix('-').map_or((false, s), |w| (true, w));
        let by = SimKey::ALL.into_iter().find(|k| k.word() == word);
        by.map(|by| Self { by, down }).ok_or("not a column that SIMs are sorted by")
    }
}

impl SimOrder {
    /// The cursor behind `sim`: the next page begins after it.
    pub fn cursor(self, sim: &SimRow) -> String {
        if self == Self::default() {
            return sim.imsi.to_string();
        }
        let value = match self.by.value(sim) {
            Arg::Int(n) => format!("i{}", n.unwrap_or_default()),
            Arg::Text(t) => format!("t{}", types::hex(t.unwrap_or_default().as_bytes())),
            Arg::Blob(_) => String::new(),
        };
        format!("{self}.{}.{value}", sim.imsi)
    }

    /// True for a cursor of this order, and false for one of another.
    pub fn knows(self, cursor: &str) -> bool {
        self.read(cursor).is_some()
    }

    /// IMSI and value of the sort key in a cursor.
    fn read(self, cursor: &str) -> Option<(Imsi, Arg)> {
        if self == Self::default() {
            let imsi: Imsi = cursor.parse().ok()?;
            return Some((imsi, Arg::from(imsi)));
        }
        let rest = cursor.strip_prefix(&self.to_string())?.strip_prefix('.')?;
        let (imsi, value) = rest.split_once('.')?;
        let is_number = matches!(self.by, SimKey::Changed | SimKey::LastSeen);
        let value = match (value.strip_prefix('i'), value.strip_prefix('t')) {
            (Some(n), _) if is_number => Arg::from(n.parse::<i64>().ok()?),
            (_, Some(hex)) if !is_number => Arg::from(String::from_utf8(types::unhex(hex)?).ok()?),
            _ => return None,
        };
        Some((imsi.parse().ok()?, value))
    }
}

/// Which statement a page is read by: what is filtered by, in which order, and whether it is the first page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    /// In the order of [`CONDITIONS`].
    given: [bool; CONDITIONS.len()],
    order: SimOrder,
    first: bool,
}

/// What a filter asks of a SIM; `$` is its argument. Only what is asked stands in the statement, so that the database can
/// choose the index that helps most.
const CONDITIONS: [&str; 6] = [
    "s.state = $",
    "s.imsi IN (SELECT imsi FROM sim_groups WHERE grp = $)",
    "(s.imsi LIKE $ ESCAPE '!' OR s.iccid LIKE $ ESCAPE '!' OR LOWER(s.label) LIKE LOWER($) ESCAPE '!')",
    "s.imsi IN (SELECT imsi FROM sim_links WHERE device = $)",
    "s.imsi IN (SELECT imsi FROM sim_links WHERE person = $
        UNION SELECT k.imsi FROM sim_links k JOIN devices d ON d.id = k.device WHERE d.owner = $
        UNION SELECT b.imsi FROM sims b JOIN devices d ON d.imei = b.device WHERE d.owner = $)",
    "s.imsi IN (SELECT imsi FROM sim_links WHERE site = $)",
];

impl Shape {
    /// The statement. Each text is made once and kept.
    fn text(self) -> &'static str {
        static TEXTS: Mutex<BTreeMap<Shape, &'static str>> = Mutex::new(BTreeMap::new());
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        texts.entry(self).or_insert_with(|| Box::leak(self.written().into_boxed_str()))
    }

    fn written(self) -> String {
        let (sign, word) = if self.order.down { ("<", "DESC") } else { (">", "ASC") };
        let mut n = 0;
        let mut next = || {
            n += 1;
            format!("${n}")
        };
        let mut which: Vec<String> = Vec::new();
        for (condition, _) in CONDITIONS.iter().zip(self.given).filter(|(_, given)| *given) {
            which.push(condition.replace('$', &next()));
        }
        let terms = self.order.by.terms();
        if !self.first {
            let imsi = next();
            which.push(match terms {
                None => format!("s.imsi {sign} {imsi}"),
                Some((key, value)) => {
                    let value = value.replace('$', &next());
                    // The first half is what an index is searched by.
                    format!("{key} {sign}= {value} AND ({key}, s.imsi) {sign} ({value}, {imsi})")
                }
            });
        }
        let which = if which.is_empty() { String::new() } else { format!(" WHERE {}", which.join(" AND ")) };
        let limit = next();
        let by = terms.map_or(String::new(), |(key, _)| format!("{key} {word}, "));
        format!("SELECT * FROM sims s{which} ORDER BY {by}s.imsi {word} LIMIT {limit}")
    }
}

impl Store {
    /// SIMs in the filter's order, behind `after`, a cursor of that order; [`StoreError::NotFound`] for another's.
    pub async fn sims(
        &self,
        filter: &SimFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<SimRow>, StoreError> {
        let order = filter.order;
        let text = |n: &Option<Name>| n.as_ref().map(ToString::to_string);
        let given = [
            filter.state.map(|s| s.to_string()),
            text(&filter.group),
            filter.text.as_deref().map(containing),
            text(&filter.device),
            text(&filter.person),
            text(&filter.site),
        ];
        let shape = Shape { given: given.each_ref().map(Option::is_some), order, first: after.is_none() };
        let mut a: Vec<Arg> = given.into_iter().flatten().map(Arg::from).collect();
        if let Some(cursor) = after {
            let (imsi, value) = order.read(cursor).ok_or(StoreError::NotFound)?;
            a.push(Arg::from(imsi));
            if order.by.terms().is_some() {
                a.push(value);
            }
        }
        a.push(Arg::from(limit + 1));
        let mut tx = self.db.snapshot().await?;
        let rows = tx.rows(shape.text(), a).await?;
        let mut items = rows.iter().map(SimRow::read).collect::<Result<Vec<_>, _>>()?;
        add_parts_of(&mut tx, &mut items).await?;
        Ok(Page::cut(items, limit, |s| order.cursor(s)))
    }

    /// How SQLite would read the first page and a later one, in its own words: what a test looks at.
    #[cfg(test)]
    pub(crate) async fn plan_of_sims(&self, order: SimOrder) -> Vec<String> {
        let mut plans = Vec::new();
        for first in [true, false] {
            let shape = Shape { given: Default::default(), order, first };
            let sql: &'static str =
                Box::leak(format!("EXPLAIN QUERY PLAN {}", shape.written()).into_boxed_str());
            let rows = self.db.rows(sql, vec![]).await.expect("a plan");
            plans.extend(rows.iter().map(|r| r.text("detail").expect("its words")));
        }
        plans
    }
}
