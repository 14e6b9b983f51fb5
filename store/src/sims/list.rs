//! Pages of SIMs in any order that people sort by, each order with an index of its own, so that the first page of
//! 100 000 SIMs reads no more rows than it shows.
//!
//! A cursor holds the sort key and the IMSI of the last row: rows that are changed in between neither shift a page nor
//! show twice, unless their own key moved.

use super::{SimFilter, SimRow, add_parts_of, containing};
use crate::{
    Page, Store,
    db::{Arg, args},
    error::StoreError,
};
use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};
use types::Imsi;

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
            Self::Label => Some(("LOWER(s.label)", "LOWER($9)")),
            Self::Iccid => Some(("COALESCE(s.iccid, '')", "$9")),
            Self::State => Some(("s.state", "$9")),
            Self::Changed => Some(("s.changed", "$9")),
            Self::LastSeen => Some(("s.seen", "$9")),
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

    /// The statement of a page: the first one, or one behind a cursor. Each text is made once and kept.
    fn text(self, first: bool) -> &'static str {
        static TEXTS: Mutex<BTreeMap<(SimOrder, bool), &'static str>> = Mutex::new(BTreeMap::new());
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        texts.entry((self, first)).or_insert_with(|| {
            let (sign, word) = if self.down { ("<", "DESC") } else { (">", "ASC") };
            let (after, order) = match self.by.terms() {
                None => (format!("s.imsi {sign} $8"), format!("s.imsi {word}")),
                Some((key, value)) => (
                    // The first half is what an index is searched by.
                    format!("{key} {sign}= {value} AND ({key}, s.imsi) {sign} ({value}, $8)"),
                    format!("{key} {word}, s.imsi {word}"),
                ),
            };
            let after = if first { String::new() } else { format!(" AND {after}") };
            Box::leak(format!("{FILTERED}{after} ORDER BY {order} LIMIT $4").into_boxed_str())
        })
    }
}

const FILTERED: &str = "SELECT * FROM sims s WHERE (CAST($1 AS TEXT) IS NULL OR s.state = $1)
    AND (CAST($2 AS TEXT) IS NULL OR EXISTS
         (SELECT 1 FROM sim_groups g WHERE g.imsi = s.imsi AND g.grp = $2))
    AND (CAST($3 AS TEXT) IS NULL OR s.imsi LIKE $3 ESCAPE '!' OR s.iccid LIKE $3 ESCAPE '!'
         OR LOWER(s.label) LIKE LOWER($3) ESCAPE '!')
    AND (CAST($5 AS TEXT) IS NULL AND CAST($7 AS TEXT) IS NULL OR EXISTS
         (SELECT 1 FROM sim_links l WHERE l.imsi = s.imsi
          AND (CAST($5 AS TEXT) IS NULL OR l.device = $5)
          AND (CAST($7 AS TEXT) IS NULL OR l.site = $7)))
    AND (CAST($6 AS TEXT) IS NULL OR s.imsi IN
         (SELECT imsi FROM sim_links WHERE person = $6
          UNION SELECT k.imsi FROM sim_links k JOIN devices d ON d.id = k.device WHERE d.owner = $6
          UNION SELECT b.imsi FROM sims b JOIN devices d ON d.imei = b.device WHERE d.owner = $6))";

impl Store {
    /// SIMs in the filter's order, behind `after`, a cursor of that order; [`StoreError::NotFound`] for another's.
    pub async fn sims(
        &self,
        filter: &SimFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<SimRow>, StoreError> {
        let order = filter.order;
        let mut a = args![
            filter.state.map(|s| s.to_string()),
            filter.group.as_ref().map(ToString::to_string),
            filter.text.as_deref().map(containing),
            limit + 1,
            filter.device.as_ref().map(ToString::to_string),
            filter.person.as_ref().map(ToString::to_string),
            filter.site.as_ref().map(ToString::to_string)
        ];
        if let Some(cursor) = after {
            let (imsi, value) = order.read(cursor).ok_or(StoreError::NotFound)?;
            a.push(Arg::from(imsi));
            if order.by.terms().is_some() {
                a.push(value);
            }
        }
        let mut tx = self.db.snapshot().await?;
        let rows = tx.rows(order.text(after.is_none()), a).await?;
        let mut items = rows.iter().map(SimRow::read).collect::<Result<Vec<_>, _>>()?;
        add_parts_of(&mut tx, &mut items).await?;
        Ok(Page::cut(items, limit, |s| order.cursor(s)))
    }

    /// How SQLite would read the first page and a later one, in its own words: what a test looks at.
    #[cfg(test)]
    pub(crate) async fn plan_of_sims(&self, order: SimOrder) -> Vec<String> {
        let mut plans = Vec::new();
        for first in [true, false] {
            let sql: &'static str =
                Box::leak(format!("EXPLAIN QUERY PLAN {}", order.text(first)).into_boxed_str());
            let rows = self.db.rows(sql, vec![]).await.expect("a plan");
            plans.extend(rows.iter().map(|r| r.text("detail").expect("its words")));
        }
        plans
    }
}
