//! Whom another way of weighing risk moves, as people and scripts read it.

use crate::{
    api::rules::DirectionWord,
    check::rfc3339,
    problem::{Lang, Said, say},
};
use pgw_policy::moves::{Crowd, Door, Moves};
use serde::Serialize;
use types::{Direction, Imsi, Name, RiskLevel, Utc};
use utoipa::ToSchema;

/// Most rows about apps.
const MOST: usize = 200;

/// Whom another profile moves, by what is known of the SIMs that may live, at one moment. A quarantine and a panic stand
/// above it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RiskMoves)]
pub(crate) struct MovesView {
    /// At which moment.
    at: String,
    /// How many SIMs were looked at.
    sims: u64,
    /// How many of them come to another level.
    moved: u64,
    /// From which level to which.
    levels: Vec<LevelMove>,
    /// What opens, asks for a proof or closes for whom: the most SIMs first, at most 200.
    apps: Vec<AppMove>,
    /// How many more there are, and apps that were not looked at because there are too many.
    apps_left: u64,
}

/// SIMs whose risk comes to another level.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RiskLevelMove)]
pub(crate) struct LevelMove {
    /// In words.
    words: String,
    #[schema(example = "low")]
    was: &'static str,
    #[schema(example = "high")]
    is: &'static str,
    sims: u64,
    /// The first of them, at most 5.
    examples: Vec<String>,
}

/// SIMs to which an app is open, closed, or behind a proof, and was not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RiskAppMove)]
pub(crate) struct AppMove {
    /// In words.
    words: String,
    app: String,
    direction: DirectionWord,
    was: DoorWord,
    is: DoorWord,
    sims: u64,
    /// The first of them, at most 5.
    examples: Vec<String>,
}

/// What an app comes to.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RiskDoor)]
pub(crate) enum DoorWord {
    /// It is refused.
    Closed,
    /// The person proves themselves first.
    StepUp,
    /// It is let through.
    Open,
}

impl From<Door> for DoorWord {
    fn from(d: Door) -> Self {
        match d {
            Door::Closed => Self::Closed,
            Door::Proof => Self::StepUp,
            Door::Open => Self::Open,
        }
    }
}

/// A level in words.
pub fn level(l: RiskLevel) -> Said {
    match l {
        RiskLevel::Low => say!("low", "低"),
        RiskLevel::Medium => say!("medium", "中"),
        RiskLevel::High => say!("high", "高"),
        RiskLevel::Critical => say!("critical", "重大"),
    }
}

fn before(d: Door) -> Said {
    match d {
        Door::Closed => say!("closed", "遮断"),
        Door::Proof => say!("behind a proof", "本人確認後に許可"),
        Door::Open => say!("open", "許可"),
    }
}

/// How many, and some of them.
fn crowd(c: &Crowd) -> Said {
    let n = c.sims;
    let (sims, all) = (if n == 1 { "SIM" } else { "SIMs" }, named(&c.examples).join(", "));
    let more = if n > c.examples.len() as u64 { ", …" } else { "" };
    say!("{n} {sims} ({all}{more})", "SIM {n} 枚 ({all}{more})")
}

fn named(all: &[Imsi]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

impl LevelMove {
    fn of(was: RiskLevel, is: RiskLevel, c: &Crowd, lang: Lang) -> Self {
        let (from, to, who) = (level(was), level(is), crowd(c));
        let words = Said {
            en: format!("{} → {}: {}", from.en, to.en, who.en),
            ja: format!("{} → {}: {}", from.ja, to.ja, who.ja),
        };
        Self {
            words: words.text(lang).to_owned(),
            was: was.as_str(),
            is: is.as_str(),
            sims: c.sims,
            examples: named(&c.examples),
        }
    }
}

impl AppMove {
    fn of((app, direction, was, is): &(Name, Direction, Door, Door), c: &Crowd, lang: Lang) -> Self {
        let (then, who) = (before(*was), crowd(c));
        let (en, ja) = match is {
            Door::Open => ("opens", "許可になります"),
            Door::Proof => ("asks for a proof", "本人確認が必要になります"),
            Door::Closed => ("closes", "遮断されます"),
        };
        let (way_en, way_ja) = match direction {
            Direction::Out => ("", ""),
            Direction::In => (" (from the app to the SIM)", " (アプリから SIM へ)"),
        };
        let words = Said {
            en: format!("{app}{way_en} {en}, was {}: {}", then.en, who.en),
            ja: format!("{app}{way_ja}: {ja} (変更前: {}) {}", then.ja, who.ja),
        };
        Self {
            words: words.text(lang).to_owned(),
            app: app.to_string(),
            direction: (*direction).into(),
            was: (*was).into(),
            is: (*is).into(),
            sims: c.sims,
            examples: named(&c.examples),
        }
    }
}

impl MovesView {
    pub(super) fn of(found: &Moves, at: Utc, lang: Lang) -> Self {
        let levels: Vec<_> =
            found.levels.iter().map(|((was, is), c)| LevelMove::of(*was, *is, c, lang)).collect();
        let mut rows: Vec<_> = found.apps.iter().collect();
        rows.sort_by_key(|(_, c)| std::cmp::Reverse(c.sims));
        let left = rows.len().saturating_sub(MOST) + found.left;
        Self {
            at: rfc3339(at),
            sims: found.looked_at,
            moved: levels.iter().map(|l| l.sims).sum(),
            levels,
            apps: rows.into_iter().take(MOST).map(|(what, c)| AppMove::of(what, c, lang)).collect(),
            apps_left: left as u64,
        }
    }
}
