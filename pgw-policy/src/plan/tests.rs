//! Plans: the words' numbers, and that nothing changes that a plan does not name.

use super::*;
use crate::explain::{Question, explain};
use serde_json::json;
use types::UeGroups;

fn app(name: &str, prefixes: &[&str], services: &[&str]) -> App {
    serde_json::from_value(json!({ "name": name, "prefixes": prefixes, "services": services })).unwrap()
}

fn rule(name: &str, subject: &str, app: &str, verdict: &str) -> Rule {
    serde_json::from_value(json!({
        "name": name, "order": 1, "subject": subject, "app": app, "direction": "out", "verdict": verdict
    }))
    .unwrap()
}

fn imsi(n: usize) -> Imsi {
    format!("0010100000{n:05}").parse().unwrap()
}

/// Twelve laptops, three PLCs.
fn base() -> Policy {
    let group = |n: &str| types::Group::new(n.parse().unwrap(), "");
    let ue = |n: usize| UeGroups {
        imsi: imsi(n),
        groups: [if n < 12 { "laptops" } else { "plcs" }.parse().unwrap()].into(),
        device: None,
        person: None,
    };
    Policy {
        apps: vec![
            app("hr-db", &["10.1.1.5/32", "10.1.1.6/32"], &["tcp/443"]),
            app("wiki", &["10.1.2.0/24"], &["tcp/443"]),
        ],
        groups: ["laptops", "plcs"].map(group).to_vec(),
        rules: vec![rule("wiki", "any", "wiki", "allow")],
        ues: (0..15).map(ue).collect(),
        ..Policy::default()
    }
}

/// App, before, after, SIMs.
fn said(plan: &Plan) -> Vec<(String, Access, Access, u64)> {
    plan.access.iter().map(|c| (c.app.to_string(), c.was, c.is, c.count())).collect()
}

#[test]
fn twelve_laptops_may_reach_the_database() {
    let old = base();
    let mut new = old.clone();
    new.rules.push(rule("hr", "group:laptops", "hr-db", "allow"));
    let p = plan(&old, &new, 0).unwrap();
    assert_eq!(said(&p), [("hr-db".to_owned(), Access::Never, Access::Always, 12)]);
    let change = &p.access[0];
    let laptops: BTreeSet<Name> = ["laptops".parse().unwrap()].into();
    assert_eq!(change.sims, BTreeMap::from([(laptops, 12)]));
    assert_eq!(
        (change.service.to_string().as_str(), change.rule.as_ref().unwrap().as_str()),
        ("tcp/443", "hr")
    );
    assert_eq!(p.rules.created, ["hr".parse().unwrap()]);
    assert!(p.losing.is_empty());

    let back = plan(&new, &old, 0).unwrap();
    assert_eq!(said(&back), [("hr-db".to_owned(), Access::Always, Access::Never, 12)]);
    assert_eq!(back.losing, (0..12).map(imsi).collect());
    assert!(plan(&new, &new, 7).unwrap().access.is_empty());
}

#[test]
fn hours_make_it_sometimes_and_other_hours_are_a_change() {
    let old = base();
    let mut by_day = old.clone();
    by_day.rules[0].when.hours = Some("daily 08:00-18:00 UTC".parse().unwrap());
    // Five SIMs are in no group.
    let p = plan(&old, &by_day, 5).unwrap();
    assert_eq!(said(&p), [("wiki".to_owned(), Access::Always, Access::Sometimes, 20)]);
    let mut longer = by_day.clone();
    longer.rules[0].when.hours = Some("daily 07:00-18:00 UTC".parse().unwrap());
    assert_eq!(
        said(&plan(&by_day, &longer, 5).unwrap()),
        [("wiki".to_owned(), Access::Sometimes, Access::Sometimes, 20)]
    );
    let mut renamed = by_day.clone();
    renamed.rules[0].name = "by-day".parse().unwrap();
    assert!(plan(&by_day, &renamed, 5).unwrap().access.is_empty());
}

#[test]
fn an_app_that_is_moved_or_cut_out_of_another_shows() {
    let old = base();
    let mut new = old.clone();
    new.apps.push(app("secret", &["10.1.2.7/32"], &["tcp/443"]));
    let p = plan(&old, &new, 0).unwrap();
    assert_eq!(said(&p), [("secret".to_owned(), Access::Always, Access::Never, 15)]);
    let q = Question {
        imsi: imsi(0),
        direction: Direction::Out,
        peer: p.access[0].flow.peer,
        protocol: 6,
        port: 443,
    };
    assert_eq!((explain(&old, &q).rule.is_some(), explain(&new, &q).rule), (true, None));
}
