//! Stories about the policy, and the property that everything hangs on: rows and rules agree. Here is the site that they are
//! told of.

mod chance;
mod changes;
mod dice;
mod rules;
mod unsound;

use pgw_policy::{
    Change, ClassId, Compiled, Item, Outcome, Policy, Problem, Question, Ruling, Standing, checked_explain,
    checked_explain_for, compile, decide, decide_for, explain, explain_for, plain::Plain, validate,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::net::IpAddr;
use types::{
    ActiveGrant, App, Assurance, Compliance, Conditions, DataNetwork, Direction, Group, Imsi, Model, Name,
    Posture, Radio, RadioSeen, Reason, RiskLevel, RiskSignal, Rule, RuleDirection, SimFacts, SiteSeen,
    UeGroups, Utc, Verdict,
};

fn name(s: &str) -> Name {
    s.parse().unwrap()
}

fn imsi(n: u32) -> Imsi {
    format!("99970{n:010}").parse().unwrap()
}

fn app(n: &str, prefixes: &[&str], services: &[&str]) -> App {
    App {
        name: name(n),
        label: String::new(),
        prefixes: prefixes.iter().map(|p| p.parse().unwrap()).collect(),
        services: services.iter().map(|s| s.parse().unwrap()).collect(),
        names: Vec::new(),
        names_from: Default::default(),
        dscp: None,
        qfi: None,
        sensitivity: Default::default(),
        health: None,
    }
}

fn group(n: &str) -> Group {
    Group::new(name(n), "")
}

fn rule(n: &str, order: i64, subject: &str, app: &str, to: &[&str], verdict: Verdict) -> Rule {
    let direction = match to {
        [] => RuleDirection::Out,
        to => RuleDirection::In { to: to.iter().map(|s| s.parse().unwrap()).collect() },
    };
    Rule {
        name: name(n),
        order,
        subject: subject.parse().unwrap(),
        app: name(app),
        direction,
        verdict,
        rate: Default::default(),
        record: Default::default(),
        when: Default::default(),
        conditions: Default::default(),
        monitor_until: None,
    }
}

fn ue(n: u32, groups: &[&str]) -> UeGroups {
    UeGroups { imsi: imsi(n), groups: groups.iter().map(|g| name(g)).collect(), device: None, person: None }
}

fn network(dnn: &str, pool: &str) -> DataNetwork {
    DataNetwork {
        dnn: dnn.parse().unwrap(),
        pool: pool.parse().unwrap(),
        pool6: None,
        dns: Vec::new(),
        mtu: 1400,
    }
}

/// A laptop (1), a PLC (2), a SIM without groups (3), and the site that they live in.
fn site() -> Policy {
    Policy {
        generation: 7,
        data_networks: vec![network("corp", "10.20.0.0/16")],
        apps: vec![
            app("intranet", &["10.0.0.0/8"], &["tcp/443", "tcp/80", "icmp"]),
            app("hr-db", &["10.1.0.5/32"], &["tcp/5432"]),
            app("scada", &["10.1.0.9/32"], &[]),
            app("historian", &["10.1.0.9/32"], &["tcp/443"]),
            app("plcs", &["10.20.7.0/24"], &["tcp/502"]),
        ],
        groups: vec![group("plc"), group("laptops"), group("hr")],
        rules: vec![
            rule("no-hr-for-sim-1", 5, "sim:999700000000001", "hr-db", &[], Verdict::Reject),
            rule("hr", 10, "group:hr", "hr-db", &[], Verdict::Allow),
            rule("web", 20, "any", "intranet", &[], Verdict::Allow),
            rule("not-the-plcs", 15, "group:plc", "intranet", &[], Verdict::Deny),
            rule("poll", 30, "group:plc", "scada", &["tcp/502", "icmp"], Verdict::Allow),
            rule("service-port", 30, "group:plc", "historian", &["tcp/500-510"], Verdict::Deny),
            rule("talk-to-plcs", 40, "group:laptops", "plcs", &[], Verdict::Allow),
        ],
        ues: vec![ue(1, &["laptops", "hr"]), ue(2, &["plc"]), ue(4, &["hr", "laptops"])],
        risk: Default::default(),
    }
}

fn out(n: u32, peer: &str, protocol: u8, port: u16) -> Question {
    Question { imsi: imsi(n), direction: Direction::Out, peer: peer.parse().unwrap(), protocol, port }
}

fn inward(n: u32, peer: &str, protocol: u8, port: u16) -> Question {
    Question { direction: Direction::In, ..out(n, peer, protocol, port) }
}

/// Verdict, reason, rule and app of the rows; panics where the rules say otherwise.
fn ask(policy: &Policy, q: Question) -> (Ruling, Reason, Option<String>, Option<String>) {
    let compiled = compile(policy).unwrap();
    let story = checked_explain(policy, &compiled, &q).unwrap();
    assert_ne!(story.reason, Reason::Disagreement, "{q:?}");
    let d = decide(&compiled, compiled.class_of(q.imsi), q.direction, q.peer, q.protocol, q.port);
    let text = |n: Option<&Name>| n.map(Name::to_string);
    let rule = d.rule.and_then(|r| compiled.rule_name(r));
    let app = d.app.and_then(|a| compiled.app_name(a));
    assert_eq!((d.verdict, d.reason), (story.verdict, story.reason));
    (d.verdict, d.reason, text(rule), text(app))
}

fn some(s: &str) -> Option<String> {
    Some(s.to_owned())
}

/// Changes the sound policy, and says which findings it must give.
fn refused(change: impl FnOnce(&mut Policy)) -> Vec<(Item, &'static str, String)> {
    let mut p = site();
    change(&mut p);
    let errors = validate(&p).unwrap_err();
    assert_eq!(compile(&p).unwrap_err(), errors);
    errors.into_iter().map(|e| (e.item, e.field, e.problem.to_string())).collect()
}
