//! A company's SIMs under another profile, counted by hand and against the packet path's own decision.

use super::*;
use crate::decide::{Asker, decide_for};
use crate::risk::RiskOutcome;
use types::{
    ActiveGrant, App, Assurance, Compliance, Group, Posture, RiskSignal, Sensitivity, SiteSeen, UeGroups,
};

/// Noon in Tokyo.
const NOON: Utc = Utc(1_795_143_600_000);

fn name(s: &str) -> Name {
    s.parse().unwrap()
}

fn imsi(n: usize) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

/// What is bad of SIM `n` by its lowest bits: the device, no proof, the place.
fn facts(n: usize) -> SimFacts {
    let value = if n & 1 == 0 { Compliance::Compliant } else { Compliance::NotCompliant };
    SimFacts {
        posture: Some(Posture { value, since: Utc(0), until: None, source: name("mdm") }),
        assurance: Some(Assurance {
            until: Utc(if n & 2 == 0 { i64::MAX } else { 0 }),
            since: Utc(0),
            source: name("oidc"),
        }),
        place: Some(SiteSeen {
            site: Some(name("tokyo")),
            usual: n & 4 == 0,
            zone: Some("Asia/Tokyo".to_owned()),
            since: Utc(0),
            source: name("network"),
        }),
        ..SimFacts::default()
    }
}

fn sims(n: usize) -> Vec<(Imsi, Arc<SimFacts>)> {
    (0..n).map(|n| (imsi(n), Arc::new(facts(n)))).collect()
}

fn app(n: usize, sensitivity: Sensitivity) -> App {
    App {
        name: name(&format!("app-{n}")),
        label: String::new(),
        prefixes: vec![format!("192.168.{}.{}/32", n / 200, n % 200 + 1).parse().unwrap()],
        services: vec!["tcp/443".parse().unwrap()],
        names: Vec::new(),
        names_from: Default::default(),
        dscp: None,
        qfi: None,
        sensitivity,
        health: None,
    }
}

fn rule(n: &str, order: i64, subject: &str, app: usize, direction: RuleDirection, verdict: Verdict) -> Rule {
    Rule {
        name: name(n),
        order,
        subject: subject.parse().unwrap(),
        app: name(&format!("app-{app}")),
        direction,
        verdict,
        rate: Default::default(),
        record: Default::default(),
        when: Default::default(),
        conditions: Default::default(),
        monitor_until: None,
    }
}

/// Staff (every second eight SIMs) by risk to an internal and a confidential app; who is quiet to a third; and the fourth is
/// nobody's matter.
fn policy(sims: usize) -> Policy {
    let by_risk = |n, app| rule(n, 1, "group:staff", app, RuleDirection::Out, Verdict::Risk);
    let mut quiet = rule("quiet", 1, "any", 2, RuleDirection::Out, Verdict::Allow);
    quiet.conditions.risk_at_most = Some(RiskLevel::Low);
    let to = vec!["tcp/502".parse().unwrap(), "tcp/22".parse().unwrap()];
    let mut inward = rule("reads", 1, "group:staff", 2, RuleDirection::In { to }, Verdict::Allow);
    inward.conditions.risk_at_most = Some(RiskLevel::Medium);
    let plain = rule("plain", 1, "any", 3, RuleDirection::Out, Verdict::Allow);
    let ue = |n: usize| UeGroups {
        imsi: imsi(n),
        groups: if n & 8 == 0 { [name("staff")].into() } else { Default::default() },
        device: None,
        person: None,
    };
    use Sensitivity::{Confidential, Internal, Public};
    Policy {
        generation: 1,
        apps: vec![app(0, Internal), app(1, Confidential), app(2, Public), app(3, Public)],
        groups: vec![Group::new(name("staff"), "")],
        rules: vec![by_risk("internal", 0), by_risk("confidential", 1), quiet, inward, plain],
        ues: (0..sims).map(ue).collect(),
        ..Policy::default()
    }
}

/// No proof weighs 45 in place of 25.
fn strict() -> RiskProfile {
    RiskProfile { not_assured: 45, ..RiskProfile::default() }
}

#[test]
fn sims_are_counted_by_level_and_by_what_opens_and_closes_for_them() {
    let all = sims(16);
    let found = moves(&policy(16), &strict(), &all, NOON).unwrap();
    assert_eq!((found.looked_at, found.left), (16, 0));
    use RiskLevel::{Critical, High, Medium};
    // Without a proof, at noon: 25, 55, 45, 75 become 45, 75, 65, 95; staff and others alike.
    let levels: Vec<_> = found.levels.iter().map(|(k, c)| (*k, c.sims)).collect();
    assert_eq!(levels, [((Medium, High), 2), ((High, Critical), 4)]);
    assert_eq!(found.levels[&(Medium, High)].examples, [imsi(2), imsi(10)]);
    let apps: Vec<_> =
        found.apps.iter().map(|((a, d, was, is), c)| (a.as_str(), *d, *was, *is, c.sims)).collect();
    use Door::{Closed, Open, Proof};
    assert_eq!(
        apps,
        [
            ("app-0", Direction::Out, Proof, Closed, 2),
            ("app-0", Direction::Out, Open, Proof, 1),
            ("app-1", Direction::Out, Proof, Closed, 1),
            ("app-2", Direction::In, Open, Closed, 1),
        ]
    );
    // The same profile moves nobody; the way back opens what this closes.
    let same = moves(&policy(16), &RiskProfile::default(), &all, NOON).unwrap();
    assert_eq!((same.levels.len(), same.apps.len()), (0, 0));
    let back = Policy { risk: strict(), ..policy(16) };
    let back = moves(&back, &RiskProfile::default(), &all, NOON).unwrap();
    let turned =
        |m: &Moves| m.apps.iter().map(|((a, d, x, y), c)| ((a.clone(), *d, *y, *x), c.sims)).collect();
    let found: BTreeMap<_, _> = turned(&found);
    assert_eq!(found, back.apps.iter().map(|(k, c)| (k.clone(), c.sims)).collect());
}

#[test]
fn few_are_named_and_all_are_counted() {
    let found = moves(&policy(160), &strict(), &sims(160), NOON).unwrap();
    assert_eq!(found.levels.values().map(|c| c.sims).sum::<u64>(), 60);
    for crowd in found.levels.values().chain(found.apps.values()) {
        assert!(crowd.sims > EXAMPLES as u64 && crowd.examples.len() == EXAMPLES, "{crowd:?}");
    }
}

/// Grants, words of others, unknown things, and hours: each SIM as the packet path decides about it.
#[test]
fn every_count_is_that_of_the_packet_paths_own_decisions() {
    let mut policy = policy(64);
    let mut hours = rule("by-day", 0, "any", 0, RuleDirection::Out, Verdict::Allow);
    hours.when.hours = Some("daily 09:00-11:00 Asia/Tokyo".parse().unwrap());
    policy.rules.push(hours);
    policy.rules.push(rule("asks", 9, "any", 2, RuleDirection::Out, Verdict::StepUp));
    let mut all = sims(64);
    for (n, (_, facts)) in all.iter_mut().enumerate() {
        let f = Arc::make_mut(facts);
        match n >> 4 {
            1 => f.posture = None,
            2 => {
                let source = name("idp");
                f.risk = Some(RiskSignal { value: RiskLevel::High, since: Utc(0), until: None, source });
            }
            3 => {
                let (from, until) = (Utc(0), Utc(i64::MAX));
                let grant =
                    |proof, app| ActiveGrant { id: "g".to_owned(), app: name(app), from, until, proof };
                f.grants = vec![grant(true, "app-0"), grant(false, "app-2")];
            }
            _ => {}
        }
    }
    let drafts = [
        strict(),
        RiskProfile { not_compliant: 0, unusual_place: 90, ..RiskProfile::default() },
        RiskProfile { outcomes: [[RiskOutcome::Deny; 3]; 4], ..RiskProfile::default() },
        RiskProfile { medium: 1, high: 2, critical: 3, ..RiskProfile::default() },
    ];
    for draft in drafts {
        let found = moves(&policy, &draft, &all, NOON).unwrap();
        let new = Policy { risk: draft.clone(), ..policy.clone() };
        let [then, now] = [&policy, &new].map(|p| at_moment(&compile(p).unwrap(), NOON));
        let decided = |c: &Compiled, imsi, facts: &SimFacts, app: usize, direction, port| {
            let known = c.known(facts, NOON);
            let asker = Asker::new(c.class_of(imsi), &known);
            let peer = [192, 168, 0, app as u8 + 1].into();
            Door::from(decide_for(c, &asker, direction, peer, 6, port))
        };
        let mut apps: BTreeMap<_, u64> = BTreeMap::new();
        let mut levels: BTreeMap<_, u64> = BTreeMap::new();
        for (imsi, facts) in &all {
            let of = |p: &RiskProfile| p.assess(facts, NOON).level;
            *levels.entry((of(&policy.risk), of(&draft))).or_default() += 1;
            for (app, direction, port) in [
                (0, Direction::Out, 443),
                (1, Direction::Out, 443),
                (2, Direction::Out, 443),
                (2, Direction::In, 22),
            ] {
                let was = decided(&then, *imsi, facts, app, direction, port);
                let is = decided(&now, *imsi, facts, app, direction, port);
                *apps.entry((name(&format!("app-{app}")), direction, was, is)).or_default() += 1;
            }
        }
        apps.retain(|(_, _, was, is), _| was != is);
        levels.retain(|(was, is), _| was != is);
        assert_eq!(found.apps.iter().map(|(k, c)| (k.clone(), c.sims)).collect::<BTreeMap<_, _>>(), apps);
        assert_eq!(found.levels.iter().map(|(k, c)| (*k, c.sims)).collect::<BTreeMap<_, _>>(), levels);
    }
}

#[test]
fn a_hundred_thousand_sims_are_a_few_kinds() {
    let found = moves(&policy(100_000), &strict(), &sims(100_000), NOON).unwrap();
    assert_eq!((found.looked_at, found.left), (100_000, 0));
    assert_eq!(found.levels.values().map(|c| c.sims).sum::<u64>(), 37_500);
    assert_eq!(found.apps.len(), 4);
}
