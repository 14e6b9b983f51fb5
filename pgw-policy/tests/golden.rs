//! The policies that the field uses as examples, and what they say: by the rows and by the rules.

use pgw_policy::{
    Failed, Policy, Question, Reading, Ruling, Standing, Truth, checked_explain_for, clock, compile, text,
};
use serde_json::{Value, json};
use types::{
    ActiveGrant, Assurance, Compliance, Direction, Imsi, Name, Posture, Reason, SimFacts, SiteSeen, Utc,
};

const LAPTOP: &str = "999700000000001";
const CONTRACTORS: &str = "999700000000002";
const ADMINS: &str = "999700000000003";

/// 2026-11-20, a Friday, at this hour in Tokyo.
fn tokyo(hour: i64) -> Utc {
    Utc(1_795_143_600_000 + (hour - 12) * 3_600_000)
}

fn name(s: &str) -> Name {
    s.parse().unwrap()
}

fn rule(name: &str, order: i64, subject: &str, app: &str, verdict: &str, more: Value) -> Value {
    let mut r = json!({ "name": name, "order": order, "subject": subject, "app": app, "direction": "out", "verdict": verdict });
    let fields = more.as_object().cloned().unwrap_or_default();
    r.as_object_mut().unwrap().extend(fields);
    r
}

/// The company: a test tool, a design database, the office's intranet, an admin API and a payroll that goes by risk.
fn company() -> Policy {
    let app = |name: &str, ip: &str, sensitivity: &str| json!({ "name": name, "prefixes": [format!("{ip}/32")], "services": ["tcp/443"], "sensitivity": sensitivity });
    let policy = json!({
        "generation": 1,
        "apps": [
            app("test-tool", "10.1.0.1", "internal"),
            app("design-db", "10.1.0.2", "confidential"),
            app("intranet", "10.1.0.3", "internal"),
            app("admin-api", "10.1.0.4", "confidential"),
            app("payroll", "10.1.0.5", "internal"),
        ],
        "groups": [{ "name": "staff" }, { "name": "contractors" }, { "name": "admins" }],
        "rules": [
            // A contractor's engineer reaches the test tool and not the design database.
            rule("contractors-test", 10, "group:contractors", "test-tool", "allow", json!({ "until": tokyo(18) })),
            rule("contractors-not-design", 11, "group:contractors", "design-db", "deny", json!({})),
            // Office allowed, and a foreign place at night denied.
            rule("abroad-at-night", 20, "any", "intranet", "deny",
                 json!({ "not_sites": ["tokyo", "osaka"], "hours": "daily 22:00-06:00 Asia/Tokyo" })),
            rule("office", 21, "group:staff", "intranet", "allow", json!({ "sites": ["tokyo", "osaka"] })),
            rule("abroad", 22, "group:staff", "intranet", "step-up", json!({ "not_sites": ["tokyo", "osaka"] })),
            // Business hours and a compliant device and this app.
            rule("design", 30, "group:staff", "design-db", "allow",
                 json!({ "posture": "compliant", "hours": "mon-fri 08:00-18:00 Asia/Tokyo" })),
            // The admin API is for admins.
            rule("admins", 40, "group:admins", "admin-api", "allow", json!({ "assured": true })),
            rule("payroll", 50, "group:staff", "payroll", "risk", json!({})),
        ],
        "ues": [
            { "imsi": LAPTOP, "groups": ["staff"] },
            { "imsi": CONTRACTORS, "groups": ["contractors"] },
            { "imsi": ADMINS, "groups": ["admins", "staff"] },
        ],
    });
    serde_json::from_value(policy).unwrap()
}

fn at(site: Option<&str>, usual: bool, zone: &str) -> Option<SiteSeen> {
    let (site, zone) = (site.map(name), Some(zone.to_owned()));
    Some(SiteSeen { site, usual, zone, since: Utc(0), source: name("ngap") })
}

fn posture(value: Compliance) -> Option<Posture> {
    Some(Posture { value, since: Utc(0), until: None, source: name("mdm") })
}

fn proof(until: Utc) -> Option<Assurance> {
    Some(Assurance { until, since: Utc(0), source: name("oidc") })
}

fn asked(sim: &str, app: u8, facts: &SimFacts, at: Utc) -> pgw_policy::Explanation {
    let p = company();
    let imsi: Imsi = sim.parse().unwrap();
    let q =
        Question { imsi, direction: Direction::Out, peer: [10, 1, 0, app].into(), protocol: 6, port: 443 };
    let compiled = compile(&p).unwrap();
    let (compiled, _) = compiled.with_clocks(clock::word(compiled.clocks(), at));
    let standing =
        Standing { facts: facts.clone(), at, off: clock::off(&p.rules, at), ..Standing::default() };
    let story = checked_explain_for(&p, &compiled, &q, &standing).unwrap();
    assert_ne!(story.reason, Reason::Disagreement);
    story
}

fn said(sim: &str, app: u8, facts: &SimFacts, at: Utc) -> (Ruling, Reason) {
    let story = asked(sim, app, facts, at);
    (story.verdict, story.reason)
}

const ALLOWED: (Ruling, Reason) = (Ruling::Allow, Reason::Rule);
const DENIED: (Ruling, Reason) = (Ruling::Deny, Reason::RuleDeny);
const NO_RULE: (Ruling, Reason) = (Ruling::Deny, Reason::NoRule);

#[test]
fn a_contractors_engineer_reaches_the_test_tool_and_not_the_design_database() {
    let nothing = SimFacts::default();
    assert_eq!(said(CONTRACTORS, 1, &nothing, tokyo(17)), ALLOWED);
    assert_eq!(said(CONTRACTORS, 1, &nothing, tokyo(18)), NO_RULE);
    assert_eq!(said(CONTRACTORS, 2, &nothing, tokyo(17)), DENIED);
    // No grant opens what a rule refuses; one opens what nobody speaks of.
    let grant = |app| ActiveGrant {
        id: "g1".to_owned(),
        app: name(app),
        from: tokyo(9),
        until: tokyo(12),
        proof: false,
    };
    let granted = SimFacts { grants: vec![grant("design-db"), grant("intranet")], ..SimFacts::default() };
    assert_eq!(said(CONTRACTORS, 2, &granted, tokyo(10)), DENIED);
    assert_eq!(asked(CONTRACTORS, 3, &granted, tokyo(10)).grant.as_deref(), Some("g1"));
    assert_eq!(said(CONTRACTORS, 3, &granted, tokyo(12)), NO_RULE);
}

#[test]
fn the_office_is_allowed_and_a_foreign_place_at_night_is_denied() {
    let office = SimFacts { place: at(Some("tokyo"), true, "Asia/Tokyo"), ..SimFacts::default() };
    let abroad = SimFacts { place: at(Some("berlin"), false, "Europe/Berlin"), ..SimFacts::default() };
    let field = SimFacts { place: at(None, false, "Asia/Tokyo"), ..SimFacts::default() };
    let step_up = (Ruling::Reject, Reason::StepUpNeeded);
    for hour in [3, 12, 23] {
        assert_eq!(said(LAPTOP, 3, &office, tokyo(hour)), ALLOWED, "{hour}");
    }
    for facts in [&abroad, &field] {
        assert_eq!(said(LAPTOP, 3, facts, tokyo(12)), step_up);
        assert_eq!(said(LAPTOP, 3, facts, tokyo(23)), DENIED);
        let proved = SimFacts { assurance: proof(tokyo(13)), ..facts.clone() };
        assert_eq!(said(LAPTOP, 3, &proved, tokyo(12)), ALLOWED);
        assert_eq!(said(LAPTOP, 3, &proved, tokyo(13)), step_up);
        assert_eq!(said(LAPTOP, 3, &proved, tokyo(23)), DENIED);
    }
    // Where nobody knows where it is: at night it counts as abroad, and by day it cannot be said what counts.
    assert_eq!(said(LAPTOP, 3, &SimFacts::default(), tokyo(23)), DENIED);
    assert_eq!(said(LAPTOP, 3, &SimFacts::default(), tokyo(12)), (Ruling::Deny, Reason::FactUnknown));
}

#[test]
fn business_hours_and_a_compliant_device_and_this_app() {
    let compliant = SimFacts { posture: posture(Compliance::Compliant), ..SimFacts::default() };
    let not = SimFacts { posture: posture(Compliance::NotCompliant), ..SimFacts::default() };
    for (hour, expected) in [(7, NO_RULE), (8, ALLOWED), (17, ALLOWED), (18, NO_RULE)] {
        assert_eq!(said(LAPTOP, 2, &compliant, tokyo(hour)), expected, "{hour}");
    }
    assert_eq!(said(LAPTOP, 2, &compliant, tokyo(12 + 24)), NO_RULE, "a Saturday");
    assert_eq!(said(LAPTOP, 2, &not, tokyo(12)), NO_RULE);
    assert_eq!(said(LAPTOP, 2, &SimFacts::default(), tokyo(12)), NO_RULE);
    assert_eq!(said(LAPTOP, 4, &compliant, tokyo(12)), NO_RULE);
    // Why, and what would do.
    let story = asked(LAPTOP, 2, &not, tokyo(12));
    let nearest = story.nearest.unwrap();
    assert_eq!(nearest.rule.as_str(), "design");
    let [Failed::Condition(Reading { wanted, value, holds, source, .. })] = nearest.failed.as_slice() else {
        panic!("{:?}", nearest.failed)
    };
    assert_eq!((wanted.as_str(), value.as_deref(), *holds), ("compliant", Some("not_compliant"), Truth::No));
    assert_eq!(source.as_ref().map(Name::as_str), Some("mdm"));
    let late = asked(LAPTOP, 2, &not, tokyo(20)).nearest.unwrap();
    assert!(late.failed.len() == 2 && late.failed.contains(&Failed::Time), "{late:?}");
}

#[test]
fn the_admin_api_is_for_admins_who_have_proved_themselves() {
    let proved = SimFacts { assurance: proof(tokyo(13)), ..SimFacts::default() };
    assert_eq!(said(ADMINS, 4, &proved, tokyo(12)), ALLOWED);
    assert_eq!(said(ADMINS, 4, &proved, tokyo(13)), NO_RULE);
    assert_eq!(said(ADMINS, 4, &SimFacts::default(), tokyo(12)), NO_RULE);
    assert_eq!(said(LAPTOP, 4, &proved, tokyo(12)), NO_RULE);
    let nearest = asked(LAPTOP, 4, &proved, tokyo(12)).nearest.unwrap();
    assert_eq!(nearest.failed, [Failed::Subject("group:admins".parse().unwrap())]);
}

#[test]
fn by_risk_the_night_is_that_of_the_sims_site() {
    let facts = |zone| SimFacts {
        posture: posture(Compliance::Compliant),
        place: at(Some("berlin"), false, zone),
        assurance: proof(tokyo(13)),
        ..SimFacts::default()
    };
    // Noon in Tokyo is four in the morning in Berlin: 20 + 15 is medium either way, and logged.
    let story = asked(LAPTOP, 5, &facts("Europe/Berlin"), tokyo(12));
    let risk = story.risk.clone().unwrap();
    assert_eq!((story.verdict, risk.score, risk.level.as_str()), (Ruling::Allow, 35, "medium"));
    assert!(story.terms.unwrap().logged);
    assert_eq!(asked(LAPTOP, 5, &facts("Asia/Tokyo"), tokyo(12)).risk.unwrap().score, 20);
    // Without the proof it is high, and the proof is asked for; with a device that is not as it should be, it is too much.
    assert_eq!(said(LAPTOP, 5, &facts("Asia/Tokyo"), tokyo(13)), (Ruling::Reject, Reason::StepUpNeeded));
    let mut worst = facts("Europe/Berlin");
    worst.posture = posture(Compliance::NotCompliant);
    assert_eq!(said(LAPTOP, 5, &worst, tokyo(12)), (Ruling::Deny, Reason::RiskTooHigh));
    assert_eq!(said(LAPTOP, 5, &SimFacts::default(), tokyo(12)), (Ruling::Deny, Reason::RiskTooHigh));
}

/// The same four as files that an administrator would write, with their tests.
const FILES: [(&str, &str); 4] = [
    ("contractor", include_str!("../../fixtures/policies/contractor.toml")),
    ("office", include_str!("../../fixtures/policies/office.toml")),
    ("business-hours", include_str!("../../fixtures/policies/business-hours.toml")),
    ("admin-api", include_str!("../../fixtures/policies/admin-api.toml")),
];

fn of_file(text: &str) -> (Policy, Vec<types::PolicyTest>) {
    let parsed = text::parse(text).unwrap();
    let rules = parsed.rules();
    let text::PolicyText { apps, groups, extras, .. } = parsed.text;
    (Policy { generation: 1, apps, groups, rules, ..Policy::default() }, extras.tests)
}

fn failed(policy: &Policy, tests: &[types::PolicyTest]) -> Vec<String> {
    let all = text::run(policy, tests).unwrap();
    assert_eq!(all.len(), tests.len());
    all.into_iter().filter(|r| !r.passed).map(|r| r.name.to_string()).collect()
}

#[test]
fn the_examples_are_files_whose_tests_hold_and_find_each_rule_that_is_turned_round_or_gone() {
    for (name, text) in FILES {
        let (policy, tests) = of_file(text);
        assert!(tests.len() >= 4, "{name}");
        assert_eq!(failed(&policy, &tests), [""; 0], "{name}");
        for nth in 0..policy.rules.len() {
            let rule = &policy.rules[nth].name;
            // It is there to be hidden by the one before it.
            if rule.as_str() == "staff-everything" {
                continue;
            }
            let mut turned = policy.clone();
            let verdict = &mut turned.rules[nth].verdict;
            *verdict = if verdict.may_open() { types::Verdict::Deny } else { types::Verdict::Allow };
            assert_ne!(failed(&turned, &tests), [""; 0], "{name}: {rule} turned round");
            let mut gone = policy.clone();
            gone.rules.remove(nth);
            assert_ne!(failed(&gone, &tests), [""; 0], "{name}: without {rule}");
        }
        // What a file says, the written form of it says, too.
        let parsed = text::parse(text).unwrap();
        assert_eq!(text::parse(&text::write(&parsed.text)).unwrap(), parsed, "{name}");
    }
}

/// Rules may ask about as many different things as a SIM's word has bits; one more is refused with its name.
#[test]
fn more_conditions_than_a_word_has_bits_are_refused() {
    let mut p = company();
    let office = p.rules.iter().find(|r| r.name.as_str() == "office").unwrap().clone();
    for n in 0..64 {
        let mut rule = office.clone();
        rule.name = name(&format!("site-{n:02}"));
        rule.conditions.sites = [name(&format!("s{n}"))].into();
        p.rules.push(rule);
    }
    let found = compile(&p).unwrap_err();
    assert!(found[0].to_string().contains("more than 64 different things"), "{}", found[0]);
}
