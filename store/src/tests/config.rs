//! Data networks, apps, groups and rules.

use super::{by, conflict, imsi, on_both, sim, site};
use crate::{Clash, StoreError, Versioned};
use types::{App, DataNetwork, Group, Rule, RuleDirection, Subject, Verdict};

fn app(name: &str) -> App {
    App {
        name: name.parse().unwrap(),
        label: "Wiki".to_owned(),
        prefixes: vec!["10.10.1.5/32".parse().unwrap()],
        services: vec!["tcp/443".parse().unwrap()],
    }
}

fn rule(name: &str, order: i64, subject: &str, app: &str) -> Rule {
    Rule {
        name: name.parse().unwrap(),
        order,
        subject: subject.parse().unwrap(),
        app: app.parse().unwrap(),
        direction: RuleDirection::In { to: vec!["tcp/502".parse().unwrap()] },
        verdict: Verdict::Allow,
    }
}

on_both!(a_policy_is_read_back_whole_and_in_order, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    store.create(app("wiki"), None, &by("alice")).await.unwrap();
    let rules = [
        rule("b-first", 10, "group:staff", "wiki"),
        rule("z-second", 20, "any", "wiki"),
        rule("a-third", 30, &format!("sim:{}", imsi(1)), "wiki"),
    ];
    for r in rules.iter().rev() {
        store.create(r.clone(), None, &by("alice")).await.unwrap();
    }
    let source = store.policy_source().await.unwrap();
    assert_eq!(source.rules, rules);
    assert_eq!(source.apps, [app("wiki")]);
    assert_eq!(source.data_networks.len(), 2);
    assert_eq!(source.groups.len(), 2);
    assert_eq!(source.generation, 8, "four of the site, one app, three rules");
    assert_eq!(store.policy_generation().await.unwrap(), 8);
});

on_both!(a_thing_is_made_changed_and_deleted_by_its_version, |store| {
    site(&store).await;
    let made: Versioned<App> = store.create(app("wiki"), None, &by("alice")).await.unwrap();
    assert_eq!(made.version, 1);
    assert_eq!(conflict(store.create(app("wiki"), None, &by("bob")).await), Clash::Name);
    let better = App { label: "The wiki".to_owned(), ..app("wiki") };
    let changed = store.replace(better.clone(), Some(1), None, &by("bob")).await.unwrap();
    assert_eq!((changed.version, &changed.value), (2, &better));
    assert_eq!(store.get::<App>("wiki").await.unwrap(), changed);
    let late = store.replace(app("wiki"), Some(1), None, &by("carol")).await;
    assert_eq!(late, Err(StoreError::VersionMismatch { current: 2 }));
    assert_eq!(store.replace(app("none"), None, None, &by("bob")).await, Err(StoreError::NotFound));
    store.delete::<App>("wiki".to_owned(), Some(2), None, &by("bob")).await.unwrap();
    assert_eq!(store.get::<App>("wiki").await, Err(StoreError::NotFound));
});

on_both!(what_is_in_use_is_not_deleted, |store| {
    site(&store).await;
    let mut plc = sim(1);
    plc.groups = ["plc".parse().unwrap()].into();
    store.create_sim(plc, &by("alice")).await.unwrap();
    store.create(app("wiki"), None, &by("alice")).await.unwrap();
    store.create(rule("staff-wiki", 1, "group:staff", "wiki"), None, &by("alice")).await.unwrap();
    let generation = store.policy_generation().await.unwrap();

    let busy = |r| assert_eq!(conflict(r), Clash::Reference);
    busy(store.delete::<App>("wiki".to_owned(), None, None, &by("bob")).await);
    busy(store.delete::<Group>("staff".to_owned(), None, None, &by("bob")).await);
    busy(store.delete::<Group>("plc".to_owned(), None, None, &by("bob")).await);
    busy(store.delete::<DataNetwork>("corp".to_owned(), None, None, &by("bob")).await);
    let r = store.create(rule("r", 2, "any", "ghost"), None, &by("bob")).await;
    assert_eq!(conflict(r), Clash::Reference);
    assert_eq!(store.policy_generation().await.unwrap(), generation, "nothing happened");

    store.delete::<Rule>("staff-wiki".to_owned(), None, None, &by("bob")).await.unwrap();
    store.delete::<App>("wiki".to_owned(), None, None, &by("bob")).await.unwrap();
    store.delete::<DataNetwork>("factory".to_owned(), None, None, &by("bob")).await.unwrap();
});

on_both!(a_draft_that_was_checked_against_an_older_policy_is_not_stored, |store| {
    site(&store).await;
    let seen = store.policy_generation().await.unwrap();
    store.create(app("wiki"), Some(seen), &by("alice")).await.unwrap();
    let late = store.create(app("mail"), Some(seen), &by("bob")).await;
    assert_eq!(late, Err(StoreError::PolicyMoved { current: seen + 1 }));
    store.create(app("mail"), Some(seen + 1), &by("bob")).await.unwrap();
    let page = store.list::<App>(None, 1).await.unwrap();
    assert_eq!((page.items[0].value.name.as_str(), page.next.as_deref()), ("mail", Some("mail")));
    let page = store.list::<App>(page.next.as_deref(), 1).await.unwrap();
    assert_eq!((page.items[0].value.name.as_str(), page.next), ("wiki", None));
});

on_both!(a_rule_may_change_its_subject, |store| {
    site(&store).await;
    store.create(app("wiki"), None, &by("alice")).await.unwrap();
    store.create(rule("r", 1, "group:staff", "wiki"), None, &by("alice")).await.unwrap();
    store.replace(rule("r", 5, "any", "wiki"), Some(1), None, &by("alice")).await.unwrap();
    assert_eq!(store.get::<Rule>("r").await.unwrap().value.subject, Subject::Any);
    store.delete::<Group>("staff".to_owned(), None, None, &by("alice")).await.unwrap();
});
