//! What would a draft have said of flows that were recorded? By the compiled rows that judge packets, at the moment of
//! each flow.
//!
//! A recorded flow that was allowed and would not be is *newly denied*; one that the rules denied and that would pass is
//! *newly allowed*. What a ban, a quarantine or a panic denied is none of the rules' affair and is only counted.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{
    clock,
    compile::{ClassId, Compiled},
    decide::{Asker, Decision, Ruling, decide, decide_for},
    predicate::Known,
};
use std::collections::BTreeMap;
use types::{Direction, FlowRecord, Imsi, Name, Reason, Utc, Verdict};

/// Most kinds of difference that are told one by one; behind that they are only counted.
const MOST: usize = 10_000;

/// Flows that differ in nothing that matters here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// True where the draft would allow what was denied; false where it would deny what was allowed.
    pub allowed: bool,
    /// The SIM.
    pub imsi: Imsi,
    /// The app, as the draft knows it, else as it was recorded.
    pub app: Option<Name>,
    /// Who opened.
    pub direction: Direction,
    /// IP protocol number.
    pub protocol: u8,
    /// Port of the side that was opened towards.
    pub port: u16,
}

/// How often, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How many flows.
    pub flows: u64,
    /// The first that came.
    pub first: FlowRecord,
    /// The draft's rule for it, where it has one.
    pub rule: Option<Name>,
}

/// Counts of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records that were looked at.
    pub records: u64,
    /// Allowed then, denied by the draft.
    pub newly_denied: u64,
    /// Denied by the rules then, allowed by the draft.
    pub newly_allowed: u64,
    /// It hangs on what was not recorded: a name in the TLS handshake, or what was known of the SIM.
    pub unsure: u64,
    /// Denied by something other than rules.
    pub not_by_rules: u64,
    /// Kinds of difference that are in the counts and not in the list.
    pub untold: u64,
}

/// A draft at work on recorded flows, in whatever order they come; they come in that of time mostly.
pub struct Replay {
    /// The rows at this moment.
    now: Compiled,
    /// From and until when the hours are those of `now`.
    holds: (Utc, Utc),
    counts: Counts,
    found: BTreeMap<Kind, Found>,
}

impl Replay {
    /// A replay against these rows.
    pub fn new(draft: Compiled) -> Self {
        // Nothing lies in an empty span: the first record sets the hours.
        Self { now: draft, holds: (Utc(0), Utc(0)), counts: Counts::default(), found: BTreeMap::new() }
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What was found.
    pub fn found(self) -> (Counts, BTreeMap<Kind, Found>) {
        (self.counts, self.found)
    }

    /// Looks at one record.
    pub fn feed(&mut self, r: &FlowRecord) {
        self.counts.records += 1;
        let was = r.verdict == Verdict::Allow;
        if !was && !is_by_rules(r.reason) {
            self.counts.not_by_rules += 1;
            return;
        }
        if !(self.holds.0 <= r.start && r.start < self.holds.1) {
            self.set_hours(r.start);
        }
        let port = match r.direction {
            Direction::Out => r.peer_port,
            Direction::In => r.ue_port,
        };
        let class = self.now.class_of(r.imsi);
        let d = decide(&self.now, class, r.direction, r.peer, r.protocol, port);
        let is = match self.passes(&d, r) {
            Some(is) if is || !self.hangs_on_facts(class, r, port) => is,
            _ => {
                self.counts.unsure += 1;
                return;
            }
        };
        if is != was {
            self.differs(r, &d, is, port);
        }
    }

    /// True for a flow that does not pass while nothing is known of its SIM and may where something is: what was known at
    /// the time was not recorded.
    fn hangs_on_facts(&self, class: ClassId, r: &FlowRecord, port: u16) -> bool {
        let known = Known::most_open();
        let open = Asker::new(class, &known);
        if self.now.predicates().is_empty() {
            return false;
        }
        let verdict = decide_for(&self.now, &open, r.direction, r.peer, r.protocol, port).verdict;
        matches!(verdict, Ruling::Allow | Ruling::Inspect)
    }

    /// Whether it passes; `None` where that hangs on a name that nobody wrote down.
    fn passes(&self, d: &Decision, r: &FlowRecord) -> Option<bool> {
        match (d.verdict, &r.name) {
            (Ruling::Allow, _) => Some(true),
            (Ruling::Inspect, Some(name)) => Some(self.now.lists(d.app, name)),
            (Ruling::Inspect, None) => None,
            _ => Some(false),
        }
    }

    fn differs(&mut self, r: &FlowRecord, d: &Decision, is: bool, port: u16) {
        if is {
            self.counts.newly_allowed += 1;
        } else {
            self.counts.newly_denied += 1;
        }
        let app = d.app.and_then(|a| self.now.app_name(a)).or(r.app.as_ref()).cloned();
        let kind =
            Kind { allowed: is, imsi: r.imsi, app, direction: r.direction, protocol: r.protocol, port };
        if let Some(found) = self.found.get_mut(&kind) {
            found.flows += 1;
        } else if self.found.len() < MOST {
            let rule = d.rule.and_then(|r| self.now.rule_name(r)).cloned();
            self.found.insert(kind, Found { flows: 1, first: r.clone(), rule });
        } else {
            self.counts.untold += 1;
        }
    }

    fn set_hours(&mut self, at: Utc) {
        let clocks = self.now.clocks();
        let end = clocks.iter().filter_map(|w| clock::next(w, at)).min().unwrap_or(Utc(i64::MAX));
        let word = clock::word(clocks, at);
        self.now = self.now.with_clocks(word).0;
        self.holds = (at, end);
    }
}

/// True where the rules of the time, or that there was none, denied it.
fn is_by_rules(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Rule
            | Reason::NoRule
            | Reason::RuleDeny
            | Reason::RuleReject
            | Reason::UnknownApp
            | Reason::UeToUe
            | Reason::NamesNeedTls
            | Reason::StepUpNeeded
            | Reason::RuleQuarantine
            | Reason::RiskTooHigh
            | Reason::FactUnknown
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Policy, Question, compile, explain_for};
    use proptest::prelude::*;
    use types::{App, Rule, UeGroups};

    fn policy(rules: &[serde_json::Value]) -> Policy {
        let app = |name: &str, prefix: &str| -> App {
            serde_json::from_value(
                serde_json::json!({ "name": name, "prefixes": [prefix], "services": ["tcp/443", "tcp/80"] }),
            )
            .unwrap()
        };
        let rules: Vec<Rule> = rules.iter().map(|r| serde_json::from_value(r.clone()).unwrap()).collect();
        let ue = |n: u64| UeGroups {
            imsi: imsi(n),
            groups: [types::Name::clone(&"staff".parse().unwrap())].into(),
            device: None,
            person: None,
        };
        Policy {
            apps: vec![app("wiki", "10.1.0.0/16"), app("crm", "10.1.2.0/24")],
            groups: vec![types::Group::new("staff".parse().unwrap(), "")],
            rules,
            ues: (0..2).map(ue).collect(),
            ..Policy::default()
        }
    }

    fn imsi(n: u64) -> Imsi {
        format!("0010100000{n:05}").parse().unwrap()
    }

    fn rule(subject: &str, app: &str, verdict: &str, hours: Option<&str>) -> serde_json::Value {
        serde_json::json!({ "name": format!("{app}-{verdict}"), "order": 1, "subject": subject, "app": app,
                            "direction": "out", "verdict": verdict, "hours": hours })
    }

    fn record(n: u64, start: i64, peer: [u8; 4], port: u16, verdict: Verdict, reason: Reason) -> FlowRecord {
        serde_json::from_value(serde_json::json!({
            "start": start, "end": start, "imsi": imsi(n), "direction": "out", "ue": "10.20.0.9", "ue_port": 40000,
            "peer": std::net::IpAddr::from(peer), "peer_port": port, "protocol": 6, "app": null, "rule": null,
            "verdict": verdict, "reason": reason, "generation": 1, "packets_up": 1, "bytes_up": 40,
            "packets_down": 0, "bytes_down": 0, "name": null, "would": null,
        }))
        .unwrap()
    }

    #[test]
    fn what_a_draft_would_say_otherwise_is_counted_with_its_first_flow() {
        let draft = policy(&[rule("group:staff", "crm", "allow", None)]);
        let mut replay = Replay::new(compile(&draft).unwrap());
        for start in [5, 9] {
            replay.feed(&record(0, start, [10, 1, 9, 9], 443, Verdict::Allow, Reason::Rule));
        }
        replay.feed(&record(1, 7, [10, 1, 2, 9], 443, Verdict::Deny, Reason::NoRule));
        replay.feed(&record(1, 8, [10, 1, 2, 9], 443, Verdict::Deny, Reason::Banned));
        replay.feed(&record(1, 8, [10, 1, 2, 9], 443, Verdict::Allow, Reason::Rule));
        let (counts, found) = replay.found();
        let expected =
            Counts { records: 5, newly_denied: 2, newly_allowed: 1, not_by_rules: 1, ..Counts::default() };
        assert_eq!(counts, expected);
        let said: Vec<_> = found
            .iter()
            .map(|(k, f)| (k.allowed, k.imsi, k.app.as_ref().unwrap().as_str(), f.flows, f.first.start.0))
            .collect();
        assert_eq!(said, [(false, imsi(0), "wiki", 2, 5), (true, imsi(1), "crm", 1, 7)]);
    }

    #[test]
    fn what_hangs_on_facts_is_not_called_denied() {
        let mut well = rule("any", "wiki", "allow", None);
        well["posture"] = "compliant".into();
        let mut lost = rule("any", "crm", "deny", None);
        lost["sites"] = serde_json::json!(["osaka"]);
        let mut rest = rule("any", "crm", "allow", None);
        rest["order"] = 2.into();
        let mut replay = Replay::new(compile(&policy(&[well, lost, rest])).unwrap());
        replay.feed(&record(0, 5, [10, 1, 9, 9], 443, Verdict::Allow, Reason::Rule));
        replay.feed(&record(0, 5, [10, 1, 2, 9], 443, Verdict::Allow, Reason::Rule));
        replay.feed(&record(0, 5, [10, 9, 2, 9], 443, Verdict::Allow, Reason::Rule));
        let c = replay.counts();
        assert_eq!((c.records, c.unsure, c.newly_denied), (3, 2, 1));
    }

    #[test]
    fn each_flow_is_judged_by_the_hours_of_its_own_moment() {
        let draft = policy(&[rule("any", "wiki", "allow", Some("daily 08:00-18:00 UTC"))]);
        let mut replay = Replay::new(compile(&draft).unwrap());
        let hour = 3_600_000;
        for at in [7, 8, 17, 18, 33, 9] {
            replay.feed(&record(0, at * hour, [10, 1, 9, 9], 443, Verdict::Allow, Reason::Rule));
        }
        let (counts, _) = replay.found();
        assert_eq!((counts.records, counts.newly_denied), (6, 2));
    }

    proptest! {
        /// The rule-by-rule walk of each flow says the same.
        #[test]
        fn a_replay_is_what_a_walk_of_the_rules_says(
            verdicts in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 1..5),
            flows in proptest::collection::vec((0..3_u64, 0..100_000_000_i64, any::<bool>(), 0..4_u8), 1..40),
        ) {
            let rules: Vec<_> = verdicts
                .iter()
                .enumerate()
                .map(|(n, (any, crm, night))| {
                    let mut r = rule(
                        if *any { "any" } else { "group:staff" },
                        if *crm { "crm" } else { "wiki" },
                        if n % 2 == 0 { "allow" } else { "deny" },
                        night.then_some("daily 22:00-06:00 Asia/Tokyo"),
                    );
                    r["name"] = format!("r{n}").into();
                    r
                })
                .collect();
            let draft = policy(&rules);
            let mut replay = Replay::new(compile(&draft).unwrap());
            let (mut denied, mut allowed) = (0, 0);
            for (n, start, was, octet) in flows {
                let (verdict, reason) =
                    if was { (Verdict::Allow, Reason::Rule) } else { (Verdict::Deny, Reason::NoRule) };
                let r = record(n, start, [10, 1, octet, 9], 443, verdict, reason);
                replay.feed(&r);
                let q = Question { imsi: r.imsi, direction: r.direction, peer: r.peer, protocol: 6, port: 443 };
                let off = clock::off(&draft.rules, r.start);
                let story = explain_for(&draft, &q, &crate::Standing { off, ..Default::default() });
                match (was, story.verdict == Ruling::Allow) {
                    (true, false) => denied += 1,
                    (false, true) => allowed += 1,
                    _ => {}
                }
            }
            let c = replay.counts();
            prop_assert_eq!((c.newly_denied, c.newly_allowed), (denied, allowed));
        }
    }
}
