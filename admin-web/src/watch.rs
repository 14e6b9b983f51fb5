//! Rules that are only watched: what they would have said, counted out of the flow records, and what becomes of them at
//! their date. A rule that would have denied nothing comes into force by itself; any other is watched on, and somebody is
//! told once.
//!
//! Nothing is stored: the counts are those of the records, read on as they come and from the beginning after a start. No
//! rule comes into force before all of them are read.

use crate::{
    api::documents::{self, Write},
    state::AppState,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use store::{AlertFilter, Change, FlowPlace, NewAlert, StoreError, Versioned};
use types::{AlertKind, FlowRecord, Happening, Imsi, Name, Rule, Severity, Utc, Verdict};

/// So long records are read at once.
const STRETCH: Duration = Duration::from_secs(2);
/// Most SIMs with an app that are told one by one of a rule; behind that they are only counted.
const MOST: usize = 1_000;
/// Hours of which it is told how many flows there were.
const HOURS: usize = 7 * 24;
const HOUR_MS: i64 = 3_600_000;
/// Who changes a rule whose date has come.
const ACTOR: &str = "monitor mode";

/// What watched rules would have said.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    at: FlowPlace,
    /// True once everything was read that there was.
    whole: bool,
    /// The policy's generation that `rules` is of.
    generation: Option<u64>,
    rules: BTreeMap<Name, Count>,
}

/// One watched rule.
#[derive(Debug, Clone)]
pub(crate) struct Count {
    pub(crate) rule: Versioned<Rule>,
    /// Flows that were allowed and would not have been.
    pub(crate) denied: u64,
    /// Flows that were refused and would have been allowed.
    pub(crate) allowed: u64,
    pub(crate) first: Option<Utc>,
    pub(crate) last: Option<Utc>,
    /// Denied and allowed, by SIM and app.
    pub(crate) by: BTreeMap<(Imsi, Option<Name>), (u64, u64)>,
    /// The same by the hours in which they ended, the newest that there are.
    pub(crate) hours: BTreeMap<Utc, (u64, u64)>,
}

impl Count {
    fn of(rule: Versioned<Rule>) -> Self {
        Self {
            rule,
            denied: 0,
            allowed: 0,
            first: None,
            last: None,
            by: BTreeMap::new(),
            hours: BTreeMap::new(),
        }
    }

    fn add(&mut self, r: &FlowRecord) {
        // What was judged by the rule as it stood before is none of this one's.
        if r.end < self.rule.changed {
            return;
        }
        let (denied, allowed) = if r.verdict == Verdict::Allow { (1, 0) } else { (0, 1) };
        self.denied += denied;
        self.allowed += allowed;
        self.first = Some(self.first.map_or(r.start, |t| t.min(r.start)));
        self.last = Some(self.last.map_or(r.end, |t| t.max(r.end)));
        let n = self.hours.entry(Utc(r.end.0 - r.end.0.rem_euclid(HOUR_MS))).or_default();
        (n.0, n.1) = (n.0 + denied, n.1 + allowed);
        if self.hours.len() > HOURS {
            self.hours.pop_first();
        }
        let key = (r.imsi, r.app.clone());
        if self.by.len() < MOST || self.by.contains_key(&key) {
            let n = self.by.entry(key).or_default();
            (n.0, n.1) = (n.0 + denied, n.1 + allowed);
        }
    }

    /// Its date.
    pub(crate) fn until(&self) -> Option<Utc> {
        self.rule.value.monitor_until
    }
}

impl Seen {
    /// The rules as they are now: one that is other than before is counted anew.
    fn follow(&mut self, rules: Vec<Versioned<Rule>>, generation: u64) {
        let mut old = std::mem::take(&mut self.rules);
        for rule in rules {
            let name = rule.value.name.clone();
            let same = old.remove(&name).filter(|c| c.rule.version == rule.version);
            self.rules.insert(name, same.unwrap_or_else(|| Count::of(rule)));
        }
        self.generation = Some(generation);
    }

    /// True where a record names a rule that is not known.
    fn is_new(&self, records: &[FlowRecord]) -> bool {
        records.iter().filter_map(|r| r.would.as_ref()).any(|name| !self.rules.contains_key(name))
    }

    fn take(&mut self, records: &[FlowRecord], next: FlowPlace) {
        for r in records {
            if let Some(count) = r.would.as_ref().and_then(|name| self.rules.get_mut(name)) {
                count.add(r);
            }
        }
        self.at = next;
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts, and whether everything is in them.
    pub(crate) fn counts(&self) -> (Vec<Count>, bool) {
        let seen = self.lock();
        (seen.rules.values().cloned().collect(), seen.whole)
    }
}

/// Reads what is new, and does what is due.
pub(crate) async fn round(s: &AppState, now: Utc) {
    if let Err(e) = follow(s).await {
        return tracing::warn!("watched rules could not be looked at: {e}");
    }
    if let Err(e) = read(s).await {
        return tracing::warn!("flow records could not be read for watched rules: {e}");
    }
    let (counts, whole) = s.watch.counts();
    if !whole {
        return;
    }
    for count in counts.iter().filter(|c| c.until().is_some_and(|at| at <= now)) {
        if let Err(e) = ended(s, count, now).await {
            tracing::warn!(rule = %count.rule.value.name, "the watched rule {} stays: {e}", count.rule.value.name);
        }
    }
}

/// Which rules are watched.
pub(crate) async fn follow(s: &AppState) -> Result<(), StoreError> {
    let generation = s.store.policy_generation().await?;
    if s.watch.lock().generation == Some(generation) {
        return Ok(());
    }
    let (mut rules, mut after) = (Vec::new(), None);
    loop {
        let page = s.store.list::<Rule>(after.as_deref(), 1000).await?;
        rules.extend(page.items.into_iter().filter(|r| r.value.is_monitored()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    s.watch.lock().follow(rules, generation);
    Ok(())
}

async fn read(s: &AppState) -> Result<(), StoreError> {
    let (mut at, from) = {
        let seen = s.watch.lock();
        let Some(from) = seen.rules.values().map(|c| c.rule.changed).min() else { return Ok(()) };
        (seen.at, from)
    };
    let begun = Instant::now();
    while begun.elapsed() < STRETCH {
        let piece = s.flows.read_on(at, from, Utc(i64::MAX)).await?;
        let Some(next) = piece.next.filter(|next| *next != at) else {
            s.watch.lock().whole = true;
            return Ok(());
        };
        if s.watch.lock().is_new(&piece.records) {
            // A rule that was made while this was read.
            follow(s).await?;
        }
        s.watch.lock().take(&piece.records, next);
        at = next;
    }
    Ok(())
}

/// Its date has come.
async fn ended(s: &AppState, count: &Count, now: Utc) -> Result<(), StoreError> {
    let name = &count.rule.value.name;
    if count.denied > 0 {
        let (denied, sims) = (count.denied, count.sims());
        let text = format!(
            "rule {name} is watched on: {denied} flows of {sims} SIMs would have been denied \
             (sekisho policy monitored); change the rule, move its date, or take the date away"
        );
        return told_once(s, count, text, now).await;
    }
    let rule = Rule { monitor_until: None, ..count.rule.value.clone() };
    let change = Change {
        reason: "its date has come, and it would have denied nothing".to_owned(),
        ..Change::by_system(ACTOR, now)
    };
    match documents::write(s, Write::Replace(rule, Some(count.rule.version)), &change).await {
        Ok(_) => {
            tracing::info!(rule = %name, "the watched rule {name} is in force: it would have denied nothing");
            Ok(())
        }
        // Somebody changed it, or it cannot be stored now: the next round sees to it.
        Err(p) if p.status() == 412 || p.status() >= 500 => Ok(()),
        Err(p) => {
            let why = p.in_english();
            told_once(s, count, format!("rule {name} cannot come into force at its date: {why}"), now).await
        }
    }
}

/// Raises an alert about a rule and its date, where none has been before.
async fn told_once(s: &AppState, count: &Count, text: String, now: Utc) -> Result<(), StoreError> {
    let until = count.until().map(crate::check::rfc3339).unwrap_or_default();
    let subject = format!("rule {} watched until {until}", count.rule.value.name);
    let filter = AlertFilter { kind: Some(AlertKind::Alarm), ..AlertFilter::default() };
    if s.store.alerts(&filter, None, 1000).await?.items.iter().any(|a| a.subject == subject) {
        return Ok(());
    }
    let what = Happening::Alarm { text };
    let alert = NewAlert {
        at: now,
        kind: AlertKind::Alarm,
        severity: Severity::Warning,
        imsi: None,
        subject,
        what: serde_json::to_value(&what).unwrap_or_default(),
    };
    let event = types::Event { at: now, imsi: None, what };
    s.store.append_events_and_alerts(vec![event], vec![alert]).await.map(drop)
}

impl Count {
    /// How many SIMs it is about.
    pub(crate) fn sims(&self) -> usize {
        let mut sims: Vec<Imsi> =
            self.by.iter().filter(|(_, n)| n.0 > 0).map(|((imsi, _), _)| *imsi).collect();
        sims.dedup();
        sims.len()
    }
}
