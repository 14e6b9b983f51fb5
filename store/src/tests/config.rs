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
        names: Vec::new(),
        names_from: Default::default(),
        dscp: None,
        qfi: None,
        sensitivity: Default::default(),
        health: None,
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
        rate: Default::default(),
        record: Default::default(),
        when: Default::default(),
        conditions: Default::default(),
        monitor_until: None,
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

on_both!(what_changed_is_told_thing_by_thing_and_more_is_the_whole, |store| {
    use crate::PolicyNews;
    site(&store).await;
    let generation = async || store.policy_generation().await.unwrap();
    store.create(app("wiki"), None, &by("alice")).await.unwrap();
    let start = generation().await;
    let news = async |since| store.policy_news(since).await.unwrap();
    assert_eq!(news(start).await, PolicyNews::Changes { generation: start, rules: vec![], ues: vec![] });
    assert_eq!(news(start - 1).await, PolicyNews::Whole, "an app is not told by itself");
    assert_eq!(news(start + 1).await, PolicyNews::Whole, "a generation that is not there");

    let kept = rule("kept", 1, "group:staff", "wiki");
    store.create(kept.clone(), None, &by("alice")).await.unwrap();
    store.create(rule("gone", 2, "any", "wiki"), None, &by("alice")).await.unwrap();
    store.delete::<Rule>("gone".to_owned(), None, None, &by("alice")).await.unwrap();
    let mut plc = sim(1);
    plc.groups = ["plc".parse().unwrap()].into();
    store.create_sim(plc.clone(), &by("alice")).await.unwrap();
    store.create_sim(sim(2), &by("alice")).await.unwrap();
    let edit = crate::SimEdit { groups: Some(["staff".parse().unwrap()].into()), ..Default::default() };
    store.change_sim(plc.imsi, None, None, edit.clone(), &by("alice")).await.unwrap();
    store.change_sim(plc.imsi, None, None, edit, &by("alice")).await.unwrap();
    let told = news(start).await;
    let ue = types::UeGroups {
        imsi: plc.imsi,
        groups: ["staff".parse().unwrap()].into(),
        device: None,
        person: None,
    };
    let rules = vec![("gone".parse().unwrap(), None), ("kept".parse().unwrap(), Some(kept.clone()))];
    assert_eq!(told, PolicyNews::Changes { generation: start + 5, rules, ues: vec![ue] });

    let draft = store.draft_with_rule(Some(kept)).await.unwrap();
    assert_eq!((draft.generation, draft.apps.len(), draft.groups.len()), (start + 5, 1, 1));
    let draft = store.draft_with_rule(Some(rule("new", 1, "any", "nowhere"))).await.unwrap();
    assert_eq!((draft.apps.len(), draft.groups.len(), draft.rules.len()), (0, 0, 1));
    for n in 0..260 {
        store.replace(rule("kept", n, "any", "wiki"), None, None, &by("alice")).await.unwrap();
    }
    let now = generation().await;
    assert!(matches!(news(now - 256).await, PolicyNews::Changes { .. }));
    assert_eq!(news(now - 257).await, PolicyNews::Whole);
});
