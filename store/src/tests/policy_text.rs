//! A policy stored as a whole, and had back.

use super::{by, conflict, imsi, on_both, sim, site};
use crate::{Applied, Clash, PolicySet, SimEdit, StoreError};
use types::{App, Group, PolicyExtras, PolicyTest, Rule};

fn app(name: &str, prefix: &str) -> App {
    serde_json::from_value(serde_json::json!({ "name": name, "prefixes": [prefix], "services": ["tcp/443"] }))
        .unwrap()
}

fn rule(name: &str, subject: &str, app: &str) -> Rule {
    let body = serde_json::json!({ "name": name, "order": 1, "subject": subject, "app": app, "direction": "out",
                                   "verdict": "allow" });
    serde_json::from_value(body).unwrap()
}

fn extras(test: &str) -> PolicyExtras {
    let test = serde_json::json!({ "name": test, "expect": "allow", "app": "wiki", "service": "tcp/443" });
    let test: PolicyTest = serde_json::from_value(test).unwrap();
    PolicyExtras { tests: vec![test], ..PolicyExtras::default() }
}

fn group(name: &str) -> Group {
    Group::new(name.parse().unwrap(), "")
}

on_both!(a_policy_is_stored_whole_as_one_generation_and_twice_as_none, |store| {
    site(&store).await;
    let before = store.policy_generation().await.unwrap();
    let was = PolicySet::from(store.policy_source().await.unwrap());
    let first = PolicySet {
        apps: vec![app("crm", "10.1.2.0/24"), app("wiki", "10.1.1.0/24")],
        groups: [was.groups.clone(), vec![group("sales")]].concat(),
        rules: vec![rule("a", "group:sales", "wiki"), rule("b", "any", "crm")],
        extras: extras("wiki-is-there"),
    };
    let done = store.apply_policy(first.clone(), Some(before), &by("alice")).await.unwrap();
    let said =
        Applied { generation: before + 1, created: 5, changed: 0, deleted: 0, extras: true, risk: false };
    assert_eq!(done, said);
    let mut stored = PolicySet::from(store.policy_source().await.unwrap());
    stored.groups.sort_by_key(|g| first.groups.iter().position(|o| o.name == g.name));
    assert_eq!(stored, first);
    let again = store.apply_policy(first.clone(), Some(before + 1), &by("alice")).await.unwrap();
    assert!(again.is_nothing() && again.generation == before + 1, "{again:?}");
    let late = store.apply_policy(was.clone(), Some(before), &by("bob")).await;
    assert_eq!(late, Err(StoreError::PolicyMoved { current: before + 1 }));

    // A rule that a person edits is a generation as well.
    store.replace(rule("a", "any", "wiki"), None, None, &by("bob")).await.unwrap();
    let second = PolicySet {
        apps: vec![app("wiki", "10.1.9.0/24")],
        rules: vec![rule("c", "group:sales", "wiki")],
        ..first.clone()
    };
    let done = store.apply_policy(second.clone(), None, &by("carol")).await.unwrap();
    assert_eq!((done.created, done.changed, done.deleted, done.extras), (1, 1, 3, false));

    let steps = store.policy_history(None, 10).await.unwrap().items;
    let said: Vec<_> = steps.iter().map(|s| (s.actor.as_str(), s.action.as_str())).take(3).collect();
    assert_eq!(said, [("carol", "policy.apply"), ("bob", "rule.change"), ("alice", "policy.apply")]);
    assert_eq!(steps[0].object, format!("policy:{}", before + 3));

    let then = store.policy_at(before + 1).await.unwrap();
    assert_eq!((&then.rules, &then.extras), (&first.rules, &first.extras));
    let edited = store.policy_at(before + 2).await.unwrap();
    assert_eq!(edited.rules, [rule("a", "any", "wiki"), rule("b", "any", "crm")]);
    assert_eq!(store.policy_at(0).await.unwrap(), PolicySet::default());
    assert_eq!(store.policy_at(before + 4).await, Err(StoreError::NotFound));

    let back = store.roll_policy_back(before + 1, (then, None), None, &by("dave")).await.unwrap();
    assert_eq!((back.generation, back.created, back.changed, back.deleted), (before + 4, 3, 1, 1));
    let now = store.policy_source().await.unwrap();
    assert_eq!((now.rules, now.apps), (first.rules, first.apps));
});

on_both!(how_risk_was_weighed_comes_back_with_the_policy, |store| {
    site(&store).await;
    let set = async |night: u16| {
        store.set_risk_profile(format!("{{\"night\":{night}}}"), None, None, &by("soc")).await.unwrap();
        store.policy_generation().await.unwrap()
    };
    let shipped = store.policy_generation().await.unwrap();
    let (first, second) = (set(10).await, set(20).await);
    let of = |night: u16| Some(format!("{{\"night\":{night}}}"));
    let was = async |g: u64| store.risk_at(g).await.unwrap();
    assert_eq!([was(shipped).await, was(first).await, was(second).await], [None, of(10), of(20)]);
    assert_eq!(store.risk_at(second + 1).await, Err(StoreError::NotFound));
    let back = async |to: u64| {
        let then = (store.policy_at(to).await.unwrap(), store.risk_at(to).await.unwrap());
        store.roll_policy_back(to, then, None, &by("soc")).await.unwrap()
    };
    let done = back(first).await;
    assert_eq!((done.risk, done.changed, done.generation), (true, 0, second + 1));
    assert_eq!(store.risk_profile().await.unwrap().body, of(10));
    // To what was shipped: nothing is said of it, and its version goes on.
    back(shipped).await;
    let row = store.risk_profile().await.unwrap();
    assert_eq!((row.body.as_deref(), row.version), (Some("{}"), 4));
    assert!(back(shipped).await.is_nothing());
    assert_eq!([was(second).await, was(second + 1).await], [of(20), of(10)]);
});

on_both!(a_policy_that_cannot_be_stored_leaves_nothing_behind, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    let edit = SimEdit { groups: Some(["staff".parse().unwrap()].into()), ..SimEdit::default() };
    store.change_sim(imsi(1), None, None, edit, &by("alice")).await.unwrap();
    let before = store.policy_source().await.unwrap();
    // Its SIM is in a group that the policy has no more.
    let set = PolicySet { apps: vec![app("wiki", "10.1.1.0/24")], ..PolicySet::default() };
    assert_eq!(conflict(store.apply_policy(set, None, &by("bob")).await), Clash::Reference);
    // A SIM that there is not.
    let mut set = PolicySet::from(before.clone());
    set.apps.push(app("wiki", "10.1.1.0/24"));
    set.rules = vec![rule("r", &format!("sim:{}", imsi(9)), "wiki")];
    assert_eq!(conflict(store.apply_policy(set, None, &by("bob")).await), Clash::Reference);
    assert_eq!(store.policy_source().await.unwrap(), before);
});
