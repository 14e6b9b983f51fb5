//! What alert rules have seen, and which of them fire. Pure: it is told what happened and when, and says what fires.
//!
//! A rule speaks of one subject once in its time, so that a storm is one alert. What is kept of a SIM, an operator or a
//! token goes when it is too old to matter.

use pgw_policy::clock;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use types::{AlertRule, AlertRules, FlowRecord, Imsi, Name, Reason, RuleResponse, Utc, Verdict, When};

/// Milliseconds of a minute.
const MINUTE: i64 = 60_000;
/// A piece of the hour in which octets are counted, milliseconds.
const PIECE: i64 = 5 * MINUTE;
/// Pieces of an hour.
const PIECES: usize = 12;
/// A rule without a time of its own speaks of the same subject again after so long.
const HOUR: i64 = 60 * MINUTE;
/// A night is spoken of once.
const NIGHT: i64 = 12 * HOUR;
/// How often what is old is dropped.
const SWEEP: i64 = 10 * MINUTE;
/// A flow is held against so many borders of the night at most: it then lasts longer than any night.
const BORDERS: usize = 8;

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::control) enum Subject {
    Sim(Imsi),
    Person(Name),
    Operator(Name),
    Token(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sim(imsi) => write!(f, "sim:{imsi}"),
            Self::Person(id) => write!(f, "person:{id}"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Token(id) => write!(f, "token:{id}"),
        }
    }
}

/// A rule that fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct Fired {
    pub rule: AlertRule,
    pub response: RuleResponse,
    pub subject: Subject,
    /// Octets or attempts, where it counts any.
    pub count: u64,
}

/// What is to be known about a flow beside its record.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct Around<'a> {
    /// Its app is confidential.
    pub confidential: bool,
    /// The clocks that count for the SIM.
    pub zone: Option<&'a str>,
    /// The SIM belongs to somebody.
    pub has_person: bool,
}

/// Octets of the last hour, in pieces.
#[derive(Debug, Default)]
struct Volume {
    /// Number of the newest piece since 1970.
    newest: i64,
    pieces: [u64; PIECES],
}

impl Volume {
    /// Moves on to the piece of this moment; what is older than an hour falls out.
    fn move_to(&mut self, piece: i64) {
        let ahead = piece.saturating_sub(self.newest);
        if ahead <= 0 {
            return;
        }
        let steps = usize::try_from(ahead).unwrap_or(PIECES).min(PIECES);
        self.pieces.rotate_right(steps);
        self.pieces.iter_mut().take(steps).for_each(|p| *p = 0);
        self.newest = piece;
    }

    /// Adds a flow's octets to the pieces in which it lasted, to each by its share.
    fn add(&mut self, r: &FlowRecord, now: Utc) {
        self.move_to(now.0.div_euclid(PIECE));
        let octets = r.bytes_up.saturating_add(r.bytes_down);
        // A flow of one packet lasts for a moment, too.
        let (start, end) = (r.start.0, r.end.0.min(now.0).max(r.start.0.saturating_add(1)));
        let lasted = u128::from(end.abs_diff(start).max(1));
        for (back, piece) in (0i64..).zip(self.pieces.iter_mut()) {
            let from = (self.newest - back).saturating_mul(PIECE);
            let (first, last) = (start.max(from), end.min(from.saturating_add(PIECE)));
            if first < last {
                let part = u128::from(octets) * u128::from(last.abs_diff(first)) / lasted;
                *piece = piece.saturating_add(u64::try_from(part).unwrap_or(u64::MAX));
            }
        }
    }

    fn sum(&self) -> u64 {
        self.pieces.iter().fold(0, |all, p| all.saturating_add(*p))
    }
}

/// Attempts since the first that counts.
#[derive(Debug, Clone, Copy)]
struct Attempts {
    since: Utc,
    times: u64,
}

/// See the module.
#[derive(Debug)]
pub(in crate::control) struct Watch {
    rules: AlertRules,
    /// When a rule last spoke of somebody.
    spoken: BTreeMap<(AlertRule, Subject), Utc>,
    /// When a proof last failed for a SIM.
    failed: HashMap<Imsi, Utc>,
    volumes: HashMap<Imsi, Volume>,
    attempts: HashMap<Subject, Attempts>,
    /// The night by the clocks of each zone.
    nights: HashMap<String, Option<When>>,
    swept: Utc,
}

impl Default for Watch {
    fn default() -> Self {
        Self::new(AlertRules::off())
    }
}

impl Watch {
    /// Nothing has been seen yet.
    pub fn new(rules: AlertRules) -> Self {
        Self {
            rules,
            spoken: BTreeMap::new(),
            failed: HashMap::new(),
            volumes: HashMap::new(),
            attempts: HashMap::new(),
            nights: HashMap::new(),
            swept: Utc(0),
        }
    }

    /// Other rules from here on; what was seen stays seen.
    pub fn set(&mut self, rules: AlertRules) {
        self.rules = rules;
        self.nights.clear();
    }

    /// What is done where this rule fires.
    pub fn response(&self, rule: AlertRule) -> RuleResponse {
        self.rules.response(rule)
    }

    /// The clocks where a SIM's site has none: the rule's own, else these.
    pub fn zone(&self, network: Option<&str>) -> Option<String> {
        self.rules.night_access.zone.as_deref().or(network).map(str::to_owned)
    }

    /// For how long a rule does not speak of the same subject again.
    fn quiet(&self, rule: AlertRule) -> i64 {
        match rule {
            AlertRule::UnusualPlace => i64::from(self.rules.unusual_place.within_minutes) * MINUTE,
            AlertRule::Escalation => i64::from(self.rules.privilege_escalation.within_minutes) * MINUTE,
            AlertRule::NotCompliant | AlertRule::MuchData => HOUR,
            AlertRule::NightAccess => NIGHT,
        }
    }

    fn is_quiet(&self, rule: AlertRule, subject: &Subject, now: Utc) -> bool {
        let last = self.spoken.get(&(rule, subject.clone()));
        last.is_some_and(|at| now.0.saturating_sub(at.0) < self.quiet(rule))
    }

    fn fire(&mut self, rule: AlertRule, subject: Subject, count: u64, now: Utc) -> Option<Fired> {
        let response = self.response(rule);
        if response == RuleResponse::Off || self.is_quiet(rule, &subject, now) {
            return None;
        }
        self.spoken.insert((rule, subject.clone()), now);
        Some(Fired { rule, response, subject, count })
    }

    /// A proof failed for a SIM. Whether its place is unusual is asked with [`Watch::unusual`].
    pub fn proof_failed(&mut self, imsi: Imsi, now: Utc) {
        self.sweep(now);
        self.failed.insert(imsi, now);
    }

    /// A SIM is where it usually is not: with a proof that failed a short while ago that is too much. `person` is whose
    /// it is.
    pub fn unusual(&mut self, imsi: Imsi, person: Option<&Name>, now: Utc) -> Option<Fired> {
        let within = self.quiet(AlertRule::UnusualPlace);
        let lately = self.failed.get(&imsi).is_some_and(|at| now.0.saturating_sub(at.0) < within);
        if !lately {
            return None;
        }
        let subject = person.map_or(Subject::Sim(imsi), |p| Subject::Person(p.clone()));
        self.fire(AlertRule::UnusualPlace, subject, 0, now)
    }

    /// A SIM's device is not as its group asks any longer.
    pub fn not_compliant(&mut self, imsi: Imsi, now: Utc) -> Option<Fired> {
        self.sweep(now);
        self.fire(AlertRule::NotCompliant, Subject::Sim(imsi), 0, now)
    }

    /// Somebody asked for a change that they have no right to.
    pub fn no_right(&mut self, who: Subject, now: Utc) -> Option<Fired> {
        let most = self.rules.privilege_escalation.requests;
        self.attempt(who, most, now)
    }

    fn attempt(&mut self, who: Subject, most: u16, now: Utc) -> Option<Fired> {
        if self.response(AlertRule::Escalation) == RuleResponse::Off {
            return None;
        }
        self.sweep(now);
        let within = self.quiet(AlertRule::Escalation);
        let a = self.attempts.entry(who.clone()).or_insert(Attempts { since: now, times: 0 });
        if now.0.saturating_sub(a.since.0) >= within {
            *a = Attempts { since: now, times: 0 };
        }
        a.times += 1;
        let times = a.times;
        if times < u64::from(most) {
            return None;
        }
        self.attempts.remove(&who);
        self.fire(AlertRule::Escalation, who, times, now)
    }

    /// A flow of a SIM ended, or was refused.
    pub fn flow(&mut self, r: &FlowRecord, around: Around<'_>, now: Utc) -> Vec<Fired> {
        self.sweep(now);
        let mut fired = Vec::new();
        if r.verdict == Verdict::Allow {
            fired.extend(self.data(r, now));
            fired.extend(self.night(r.imsi, (r.start, r.end), around, now));
        } else if around.confidential
            && matches!(r.reason, Reason::NoRule | Reason::RuleDeny | Reason::RuleReject)
        {
            // Who is only to prove themselves, or is kept apart already, is not where they must not be.
            let most = self.rules.privilege_escalation.flows;
            fired.extend(self.attempt(Subject::Sim(r.imsi), most, now));
        }
        fired
    }

    fn data(&mut self, r: &FlowRecord, now: Utc) -> Option<Fired> {
        if self.response(AlertRule::MuchData) == RuleResponse::Off {
            return None;
        }
        let volume = self.volumes.entry(r.imsi).or_default();
        volume.add(r, now);
        let sum = volume.sum();
        if sum <= self.rules.much_data.octets {
            return None;
        }
        self.fire(AlertRule::MuchData, Subject::Sim(r.imsi), sum, now)
    }

    /// A SIM was at work from then to then.
    pub fn night(
        &mut self,
        imsi: Imsi,
        (start, end): (Utc, Utc),
        around: Around<'_>,
        now: Utc,
    ) -> Option<Fired> {
        let (rule, subject) = (AlertRule::NightAccess, Subject::Sim(imsi));
        let asked = around.has_person || self.rules.night_access.machines;
        if !asked || self.response(rule) == RuleResponse::Off || self.is_quiet(rule, &subject, now) {
            return None;
        }
        let zone = around.zone?;
        let hours = &self.rules.night_access.hours;
        if !self.nights.contains_key(zone) {
            let when = format!("daily {hours} {zone}").parse().ok();
            let when = when.map(|h| When { hours: Some(h), until: None });
            self.nights.insert(zone.to_owned(), when);
        }
        let night = self.nights.get(zone)?.as_ref()?;
        if !touches(night, start, end) {
            return None;
        }
        self.fire(rule, subject, 0, now)
    }

    /// Drops what is too old to matter.
    fn sweep(&mut self, now: Utc) {
        if now.0.abs_diff(self.swept.0) < SWEEP.unsigned_abs() {
            return;
        }
        self.swept = now;
        let age = |at: Utc| now.0.saturating_sub(at.0);
        let quiet: BTreeMap<AlertRule, i64> = AlertRule::ALL.iter().map(|r| (*r, self.quiet(*r))).collect();
        let of = |rule: AlertRule| quiet.get(&rule).copied().unwrap_or(0);
        self.spoken.retain(|(rule, _), at| age(*at) < of(*rule));
        self.failed.retain(|_, at| age(*at) < of(AlertRule::UnusualPlace));
        self.attempts.retain(|_, a| age(a.since) < of(AlertRule::Escalation));
        let oldest = now.0.div_euclid(PIECE) - PIECES as i64;
        self.volumes.retain(|_, v| v.newest > oldest);
    }

    /// How many things are kept, of all kinds.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.spoken.len() + self.failed.len() + self.attempts.len() + self.volumes.len()
    }
}

/// True where it holds at some moment from `start` to `end`.
fn touches(when: &When, start: Utc, end: Utc) -> bool {
    let mut at = start;
    for _ in 0..BORDERS {
        if clock::holds(when, at) == Some(true) {
            return true;
        }
        match clock::next(when, at) {
            Some(border) if border <= end => at = border,
            _ => return false,
        }
    }
    false
}
