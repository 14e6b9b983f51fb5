//! Grants: who answers, who has them, and that they are nobody else's.

use super::{by, imsi, on_both, sim, site};
use crate::{Change, Clash, PolicyNews, SimEdit, Store, StoreError};
use types::{App, Grant, Grantee, Name, Person, Rule, Utc};

fn at(n: i64) -> Change {
    Change { at: Utc(n), ..by("sato") }
}

fn person() -> Person {
    serde_json::from_value(serde_json::json!({ "id": "tanaka", "name": "Tanaka" })).unwrap()
}

fn of(person: Option<&str>) -> SimEdit {
    SimEdit { person: Some(person.map(|p| p.parse().unwrap())), ..SimEdit::default() }
}

fn grant(id: &str, to: &str, approver: Option<&str>) -> Grant {
    Grant {
        id: id.to_owned(),
        to: to.parse().unwrap(),
        app: "wiki".parse().unwrap(),
        reason: "an outage".to_owned(),
        requester: "sato".to_owned(),
        approver: approver.map(str::to_owned),
        from: Utc(100),
        until: Utc(200),
        revoked: None,
        prover: None,
    }
}

fn wiki() -> App {
    let body = serde_json::json!({ "name": "wiki", "prefixes": ["10.1.0.1/32"], "services": ["tcp/443"] });
    serde_json::from_value(body).unwrap()
}

async fn ids(store: &Store, at: i64) -> Vec<(u64, String)> {
    let all = store.active_grants(Utc(at)).await.unwrap();
    all.into_iter().map(|(i, g)| (i.to_string()[13..].parse().unwrap(), g.id)).collect()
}

on_both!(a_grant_counts_from_its_approval_to_its_end_for_whom_it_was_made, |store| {
    site(&store).await;
    store.create(wiki(), None, &at(1)).await.unwrap();
    store.create_entity(person(), &at(1)).await.unwrap();
    for n in [1, 2] {
        store.create_sim(sim(n), &at(2)).await.unwrap();
    }
    let to = format!("sim:{}", imsi(1));
    store.create_grant(grant("a", &to, None), &at(10)).await.unwrap();
    store.create_grant(grant("b", "person:tanaka", Some("sato")), &at(10)).await.unwrap();
    assert_eq!(ids(&store, 50).await, []);
    store.change_sim(imsi(2), None, None, of(Some("tanaka")), &at(11)).await.unwrap();
    store.approve_grant("a".to_owned(), "suzuki".to_owned(), &at(12)).await.unwrap();
    let both = vec![(1, "a".to_owned()), (2, "b".to_owned())];
    assert_eq!(ids(&store, 50).await, both);
    assert_eq!(ids(&store, 200).await, []);
    let again = store.approve_grant("a".to_owned(), "x".to_owned(), &at(13)).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    store.revoke_grant("a".to_owned(), "suzuki".to_owned(), &at(14)).await.unwrap();
    assert_eq!(ids(&store, 50).await, both[1..]);
    // Another app of that name is another app.
    store.delete::<App>("wiki".to_owned(), None, None, &at(15)).await.unwrap();
    store.create(wiki(), None, &at(16)).await.unwrap();
    assert_eq!(ids(&store, 50).await, []);
    let all = store.grants(None, None, 10).await.unwrap().items;
    assert_eq!(all.iter().map(|g| g.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(store.grants(Some(Utc(50)), None, 10).await.unwrap().items.len(), 1);
    assert_eq!(all[1].to, Grantee::Sim(imsi(1)));
});

on_both!(a_proof_counts_as_long_as_the_sim_is_that_persons_and_nobody_takes_the_word_back, |store| {
    site(&store).await;
    store.create(wiki(), None, &at(1)).await.unwrap();
    store.create_entity(person(), &at(1)).await.unwrap();
    let mut other = person();
    other.id = "sato".parse().unwrap();
    store.create_entity(other, &at(1)).await.unwrap();
    store.create_sim(sim(1), &at(2)).await.unwrap();
    store.change_sim(imsi(1), None, None, of(Some("tanaka")), &at(3)).await.unwrap();
    let to = format!("sim:{}", imsi(1));
    let proof = |id| Grant { prover: Some("tanaka".parse().unwrap()), ..grant(id, &to, Some("provider")) };
    store.create_grant(proof("a"), &at(10)).await.unwrap();
    store.create_grant(grant("b", &to, Some("sato")), &at(10)).await.unwrap();
    let all = store.active_grants(Utc(50)).await.unwrap();
    assert_eq!(
        all.iter().map(|(_, g)| (g.id.as_str(), g.proof)).collect::<Vec<_>>(),
        [("a", true), ("b", false)]
    );
    let (first, both) = (vec![(1, "b".to_owned())], vec![(1, "a".to_owned()), (1, "b".to_owned())]);
    // Somebody else's, nobody's, and theirs again.
    for (whose, left) in [(Some("sato"), &first), (None, &first), (Some("tanaka"), &both)] {
        store.change_sim(imsi(1), None, None, of(whose), &at(11)).await.unwrap();
        assert_eq!(ids(&store, 50).await, *left, "{whose:?}");
    }
    // The provider says that whoever used the SIM is not proved any longer; what was granted stays.
    store.set_assurance(vec![imsi(1)], None, &at(20)).await.unwrap();
    assert_eq!(ids(&store, 50).await, first);
    assert_eq!(store.grant("a").await.unwrap().revoked, Some(Utc(20)));
});

on_both!(a_rule_that_names_a_person_brings_their_sims_into_the_policy, |store| {
    site(&store).await;
    store.create(wiki(), None, &at(1)).await.unwrap();
    store.create_entity(person(), &at(1)).await.unwrap();
    store.create_sim(sim(1), &at(2)).await.unwrap();
    store.change_sim(imsi(1), None, None, of(Some("tanaka")), &at(3)).await.unwrap();
    assert_eq!(store.policy_source().await.unwrap().ues, []);
    let rule: Rule =
        serde_json::from_value(serde_json::json!({ "name": "r", "order": 1, "subject": "person:tanaka",
        "app": "wiki", "direction": "out", "verdict": "allow" }))
        .unwrap();
    store.create(rule, None, &at(4)).await.unwrap();
    let source = store.policy_source().await.unwrap();
    let persons =
        |s: &crate::PolicySource| -> Vec<Option<Name>> { s.ues.iter().map(|u| u.person.clone()).collect() };
    assert_eq!(persons(&source), [Some("tanaka".parse().unwrap())]);
    // Who leaves is a change of the policy; who is named cannot be deleted.
    store.change_sim(imsi(1), None, None, of(None), &at(5)).await.unwrap();
    let PolicyNews::Changes { ues, .. } = store.policy_news(source.generation).await.unwrap() else {
        panic!()
    };
    assert_eq!((ues.len(), ues[0].imsi, &ues[0].person), (1, imsi(1), &None));
    let gone = store.delete_entity::<Person>("tanaka".parse().unwrap(), None, &at(6)).await;
    assert!(matches!(gone, Err(StoreError::Conflict { what: Clash::Reference })), "{gone:?}");
});

on_both!(a_grant_to_nobody_or_for_nothing_is_refused, |store| {
    store.create(wiki(), None, &at(1)).await.unwrap();
    for to in ["person:nobody", "sim:999709999999999"] {
        let refused = store.create_grant(grant("a", to, None), &at(2)).await.unwrap_err();
        assert!(matches!(refused, StoreError::Conflict { what: Clash::Reference }), "{refused}");
    }
});
