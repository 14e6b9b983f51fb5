//! Findings one by one, and all of them held against `explain`.

use super::*;
use crate::explain;
use proptest::prelude::*;
use serde_json::json;
use types::{Compliance, Group, Posture};

fn app(name: &str, prefixes: &[&str], services: &[&str]) -> App {
    serde_json::from_value(json!({ "name": name, "prefixes": prefixes, "services": services })).unwrap()
}

fn rule(name: &str, order: i64, subject: &str, app: &str, verdict: &str) -> Rule {
    serde_json::from_value(json!({
        "name": name, "order": order, "subject": subject, "app": app, "direction": "out", "verdict": verdict
    }))
    .unwrap()
}

fn inward(name: &str, order: i64, subject: &str, to: &[&str], verdict: &str) -> Rule {
    serde_json::from_value(json!({
        "name": name, "order": order, "subject": subject, "app": "scada", "direction": "in", "to": to,
        "verdict": verdict
    }))
    .unwrap()
}

fn imsi(n: usize) -> Imsi {
    format!("0010100000{n:05}").parse().unwrap()
}

fn policy(rules: Vec<Rule>, members: &[&[&str]]) -> Policy {
    let group = |n: &str| Group::new(n.parse().unwrap(), "");
    Policy {
        apps: vec![
            app("wiki", &["10.1.0.0/16"], &["tcp/443", "udp/443"]),
            app("crm", &["10.1.2.0/24"], &["tcp/443"]),
            app("scada", &["10.1.2.0/24"], &[]),
        ],
        groups: ["a", "b", "c"].map(group).to_vec(),
        rules,
        ues: members
            .iter()
            .enumerate()
            .map(|(n, g)| UeGroups {
                imsi: imsi(n),
                groups: g.iter().map(|g| g.parse().unwrap()).collect(),
                device: None,
                person: None,
            })
            .collect(),
        ..Policy::default()
    }
}

fn compliant(rule: Rule) -> Rule {
    let conditions =
        types::Conditions { posture: Some(Compliance::Compliant), ..types::Conditions::default() };
    Rule { conditions, ..rule }
}

/// Kind, rule and the other one of each finding about rules.
fn found(policy: &Policy) -> Vec<(Kind, String, Option<String>)> {
    let rules = |f: &Finding| match &f.of {
        Of::Rule(n) => Some((f.kind, n.to_string(), f.by.as_ref().map(ToString::to_string))),
        _ => None,
    };
    analyse(policy, Utc(0)).unwrap().iter().filter_map(rules).collect()
}

fn said(kind: Kind, rule: &str, by: &str) -> (Kind, String, Option<String>) {
    (kind, rule.to_owned(), Some(by.to_owned()))
}

#[test]
fn a_rule_that_an_earlier_one_hides_is_shadowed_or_redundant() {
    let all = policy(
        vec![
            rule("no", 1, "any", "wiki", "deny"),
            rule("staff", 2, "group:a", "wiki", "allow"),
            rule("again", 3, "group:b", "wiki", "deny"),
        ],
        &[&["a"], &["b"]],
    );
    let expected = [said(Kind::Shadowed, "staff", "no"), said(Kind::Redundant, "again", "no")];
    assert_eq!(found(&all), expected);
    let finding = analyse(&all, Utc(0)).unwrap().remove(0);
    let shown = finding.shown.unwrap();
    assert_eq!((shown.ue.imsi, shown.exists), (imsi(0), true));
    assert_eq!(explain(&all, &shown.question()).rule, Some("no".parse().unwrap()));
}

#[test]
fn several_rules_hide_one_together_by_the_ports_that_they_name() {
    let rules = |second: &str| {
        vec![
            inward("low", 1, "any", &["tcp/1-100"], "deny"),
            inward("high", 2, "any", &[second], "deny"),
            inward("all", 3, "group:a", &["tcp/50-150"], "allow"),
        ]
    };
    assert_eq!(found(&policy(rules("tcp/101-200"), &[&["a"]])), [said(Kind::Shadowed, "all", "high")]);
    assert_eq!(found(&policy(rules("tcp/102-200"), &[&["a"]])), []);
}

#[test]
fn a_rule_before_one_that_says_the_same_of_all_is_redundant() {
    let rules = vec![rule("a", 1, "group:a", "wiki", "allow"), rule("all", 5, "any", "wiki", "allow")];
    assert_eq!(found(&policy(rules.clone(), &[&["a"]])), [said(Kind::Redundant, "a", "all")]);
    // One between them may speak of the same SIM.
    let between = [rules, vec![rule("b", 3, "group:b", "wiki", "deny")]].concat();
    assert_eq!(found(&policy(between, &[&["a"], &["b"]])), []);
}

#[test]
fn a_rule_that_denies_where_its_condition_is_not_known_is_not_redundant() {
    for (verdict, said) in [
        ("step-up", vec![]),
        ("risk", vec![]),
        ("allow", vec![said(Kind::Redundant, "a", "all")]),
        ("deny", vec![said(Kind::Redundant, "a", "all")]),
    ] {
        let rules = |first: Rule| vec![first, rule("all", 5, "any", "wiki", verdict)];
        let a = || rule("a", 1, "group:a", "wiki", verdict);
        assert_eq!(found(&policy(rules(compliant(a())), &[&["a"]])), said, "{verdict}");
        assert_eq!(found(&policy(rules(a()), &[&["a"]])).len(), 1, "{verdict}");
    }
    // Where it is not known, the one that allows says nothing and the one behind it denies; the other way about it is hidden.
    let two = |verdicts: [&str; 2]| {
        let of = |name: &str, order, verdict| compliant(rule(name, order, "any", "wiki", verdict));
        found(&policy(vec![of("a", 1, verdicts[0]), of("b", 2, verdicts[1])], &[&["a"]]))
    };
    assert_eq!(two(["allow", "step-up"]), []);
    assert_eq!(two(["step-up", "allow"]), [said(Kind::Shadowed, "b", "a")]);
}

#[test]
fn rules_of_one_order_that_differ_are_told_with_a_sim_of_both() {
    let rules = vec![rule("x", 1, "group:a", "wiki", "deny"), rule("y", 1, "group:b", "wiki", "allow")];
    let all = policy(rules.clone(), &[&["a"], &["b"], &["a", "b"]]);
    assert_eq!(found(&all), [said(Kind::Contradictory, "y", "x")]);
    let shown = analyse(&all, Utc(0)).unwrap().remove(0).shown.unwrap();
    assert_eq!((shown.ue.imsi, shown.decides), (imsi(2), Some("x".parse().unwrap())));
    let apart = policy(rules, &[&["a"], &["b"]]);
    assert!(!analyse(&apart, Utc(0)).unwrap().remove(0).shown.unwrap().exists);
}

#[test]
fn what_speaks_of_nobody_or_of_nothing_is_unused() {
    let mut over = rule("over", 2, "group:a", "crm", "allow");
    over.when.until = Some(Utc(10));
    let mut all = policy(vec![rule("empty", 1, "group:c", "crm", "allow"), over], &[&["a"]]);
    all.apps.push(app("hidden", &["10.9.0.0/24"], &["tcp/80"]));
    all.apps.push(app("host", &["10.9.0.0/25", "10.9.0.128/25"], &["tcp/443"]));
    all.rules.push(rule("to-hidden", 9, "any", "hidden", "allow"));
    let found: Vec<(Of, Option<Unused>)> =
        analyse(&all, Utc(10)).unwrap().into_iter().map(|f| (f.of, f.unused)).collect();
    let name = |n: &str| n.parse().unwrap();
    for (of, why) in [
        (Of::Rule(name("empty")), Unused::NobodyThere),
        (Of::Rule(name("over")), Unused::Over),
        (Of::App(name("wiki")), Unused::NoRule),
        (Of::App(name("host")), Unused::NoRule),
        (Of::Group(name("b")), Unused::NobodyThere),
    ] {
        assert!(found.contains(&(of.clone(), Some(why))), "{of:?} {why:?}: {found:?}");
    }
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let subject = prop_oneof![
        Just("any".to_owned()),
        "[abc]".prop_map(|g| format!("group:{g}")),
        (0..4_usize).prop_map(|n| format!("sim:{}", imsi(n)))
    ];
    let verdict = prop_oneof![Just("allow"), Just("deny"), Just("reject"), Just("step-up"), Just("risk")];
    let app = prop_oneof![Just("wiki"), Just("crm")];
    let port = prop_oneof![Just("tcp/1-9"), Just("tcp/5"), Just("tcp/10-20"), Just("tcp"), Just("udp/5")];
    let (hours, asks) = (proptest::bool::weighted(0.2), proptest::bool::weighted(0.2));
    (0..4_i64, subject, app, verdict, proptest::option::weighted(0.4, port), hours, asks).prop_map(
        |(order, subject, app, verdict, port, hours, asks)| {
            let r = match port {
                // What opens from the other side is asked for no proof.
                Some(to) => {
                    let plain = if matches!(verdict, "step-up" | "risk") { "deny" } else { verdict };
                    inward("r", order, &subject, &[to], plain)
                }
                None => rule("r", order, &subject, app, verdict),
            };
            let mut r = if asks { compliant(r) } else { r };
            r.when.hours = hours.then(|| "daily 08:00-18:00 UTC".parse().unwrap());
            r
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// What a finding says is what the rules do.
    #[test]
    fn every_finding_is_true(
        rules in proptest::collection::vec(any_rule(), 1..9),
        groups in proptest::collection::vec(proptest::collection::btree_set("[abc]", 0..3), 4),
        flows in proptest::collection::vec((0..4_usize, any::<bool>(), any::<bool>(), 0..22_u16, any::<bool>()), 40),
    ) {
        let mut rules = rules;
        for (n, r) in rules.iter_mut().enumerate() {
            r.name = format!("r{n}").parse().unwrap();
        }
        let mut all = policy(rules, &[]);
        all.ues = groups
            .iter()
            .enumerate()
            .map(|(n, g)| UeGroups { imsi: imsi(n), groups: g.iter().map(|g| g.parse().unwrap()).collect(), device: None, person: None })
            .collect();
        let questions: Vec<Question> = flows
            .iter()
            .map(|(n, inward, low, port, tcp)| Question {
                imsi: imsi(*n),
                direction: if *inward { Direction::In } else { Direction::Out },
                peer: if *low { [10, 1, 0, 9].into() } else { [10, 1, 2, 9].into() },
                protocol: if *tcp { 6 } else { 17 },
                port: if *inward { *port } else { 443 },
            })
            .collect();
        let off = crate::clock::off(&all.rules, Utc(0));
        let posture = |value| types::SimFacts {
            posture: Some(Posture { value, source: "mdm".parse().unwrap(), since: Utc(0), until: None }),
            ..types::SimFacts::default()
        };
        let known = [types::SimFacts::default(), posture(Compliance::Compliant), posture(Compliance::NotCompliant)];
        let by = |p: &Policy, q: &Question, night: bool, facts: &types::SimFacts| {
            let off = if night { off.clone() } else { BTreeSet::new() };
            crate::explain_for(p, q, &crate::Standing { off, facts: facts.clone(), ..Default::default() })
        };
        let is_asked = all.rules.iter().any(|r| !r.conditions.is_empty());
        for finding in analyse(&all, Utc(0)).unwrap() {
            if let Some(shown) = finding.shown.as_ref().filter(|_| !is_asked) {
                let mut with = all.clone();
                if !shown.exists {
                    with.ues.retain(|u| u.imsi != shown.ue.imsi);
                    with.ues.push(shown.ue.clone());
                }
                prop_assert_eq!(&explain(&with, &shown.question()).rule, &shown.decides, "{:?}", &finding);
            }
            let Of::Rule(name) = &finding.of else { continue };
            let mut without = all.clone();
            without.rules.retain(|r| r.name != *name);
            let asked = questions.iter().flat_map(|q| [(q, false), (q, true)]);
            for ((q, night), facts) in asked.flat_map(|q| known.iter().map(move |facts| (q, facts))) {
                let (story, other) = (by(&all, q, night, facts), by(&without, q, night, facts));
                match finding.kind {
                    Kind::Shadowed | Kind::Unused => prop_assert_ne!(story.rule.as_ref(), Some(name)),
                    Kind::Redundant => prop_assert_eq!(story.verdict, other.verdict, "{:?}", &finding),
                    Kind::Contradictory => {}
                }
            }
            if finding.kind == Kind::Contradictory {
                prop_assert_eq!(&finding.shown.unwrap().decides, &finding.by);
            }
        }
    }
}
