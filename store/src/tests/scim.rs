//! People and groups of a provisioning client.

use super::{T0, by, on_both, sim, site};
use crate::{
    Clash, ScimAsk, ScimKind, ScimLife, ScimPerson, ScimPut, ScimRow, SimLinks, SimRow, Store, StoreError,
};
use std::collections::BTreeSet;
use types::{Group, Imsi, Name, Person, SignalSource, SourceKind};

fn name(s: &str) -> Name {
    s.parse().unwrap()
}

fn row(id: &str, kind: ScimKind, key: &str) -> ScimRow {
    ScimRow {
        id: id.to_owned(),
        source: name("idp"),
        kind,
        key: key.to_owned(),
        external: Some(format!("x-{id}")),
        person: None,
        body: "{}".to_owned(),
        version: 1,
        created: T0,
        changed: T0,
    }
}

fn user(id: &str) -> ScimPut {
    let person = ScimPerson {
        id: name(id),
        name: id.to_owned(),
        mail: None,
        employee: None,
        external: Some(format!("x-{id}")),
        life: ScimLife::Same,
    };
    let row = ScimRow { person: Some(name(id)), ..row(id, ScimKind::User, id) };
    ScimPut { row, members: None, person: Some(person) }
}

fn group(id: &str, key: &str, members: &[&str]) -> ScimPut {
    let members = members.iter().map(|m| (*m).to_owned()).collect();
    ScimPut { row: row(id, ScimKind::Group, key), members: Some(members), person: None }
}

/// The SIM of tanaka; a source whose SG-Eng means eng.
async fn office(store: &Store) -> Imsi {
    site(store).await;
    store.create(Group::new(name("eng"), ""), None, &by("a")).await.unwrap();
    let source = SignalSource {
        name: name("idp"),
        label: String::new(),
        kind: SourceKind::Scim,
        silent_after_s: None,
        ssf: None,
        groups: [("SG-Eng".to_owned(), name("eng"))].into(),
    };
    store.create_source(source, None, &by("a")).await.unwrap();
    store.create_scim(user("tanaka"), &by("a")).await.unwrap();
    let links = SimLinks { person: Some(name("tanaka")), ..SimLinks::default() };
    let sim = SimRow { links, groups: [name("staff")].into(), ..sim(1) };
    store.create_sim(sim, &by("a")).await.unwrap().imsi
}

async fn groups(store: &Store, imsi: Imsi) -> BTreeSet<Name> {
    store.sim(imsi).await.unwrap().groups
}

on_both!(sims_follow_their_people_in_the_transaction_of_the_group, |store| {
    let imsi = office(&store).await;
    let before = store.policy_generation().await.unwrap();
    let done = store.create_scim(group("g", "sg-eng", &["tanaka"]), &by("a")).await.unwrap();
    assert_eq!((done.moved, done.row.version), (vec![imsi], 1));
    assert_eq!(groups(&store, imsi).await, [name("eng"), name("staff")].into());
    assert_eq!(store.policy_generation().await.unwrap(), before + 1);
    let again = store.replace_scim(group("g", "sg-eng", &["tanaka"]), Some(1), &by("a")).await.unwrap();
    assert_eq!((again.moved, again.row.version), (vec![], 2), "nothing moves twice");
    let stale = store.replace_scim(group("g", "sg-eng", &[]), Some(1), &by("a")).await;
    assert_eq!(stale.unwrap_err(), StoreError::VersionMismatch { current: 2 });
    assert_eq!(store.follow_scim(&name("idp"), &by("a")).await.unwrap(), []);
    let gone = store.delete_scim(user("tanaka").row, None, &by("a")).await.unwrap();
    assert_eq!(gone, [imsi], "whoever is no user any longer is in no group of theirs");
    assert_eq!(groups(&store, imsi).await, [name("staff")].into());
    assert_eq!(store.scim_members("g").await.unwrap(), []);
    assert_eq!(store.entity::<Person>(&name("tanaka")).await.unwrap().value.ends_at, Some(T0));
});

on_both!(what_is_not_the_clients_own_is_no_member_and_no_key_is_there_twice, |store| {
    office(&store).await;
    for members in [&["nobody"][..], &["g"]] {
        let refused = store.create_scim(group("g", "sg-eng", members), &by("a")).await.unwrap_err();
        assert_eq!(refused, StoreError::Conflict { what: Clash::Reference }, "{members:?}");
    }
    let mut twice = user("tanaka-2");
    twice.row.key = "tanaka".to_owned();
    let refused = store.create_scim(twice, &by("a")).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict { what: Clash::Name });
    assert_eq!(
        store.entity::<Person>(&name("tanaka-2")).await.unwrap_err(),
        StoreError::NotFound,
        "nothing is half done"
    );
    store.create_scim(user("suzuki"), &by("a")).await.unwrap();
    let page = async |ask, skip, limit| {
        let (rows, n) = store.scim_page(&name("idp"), ScimKind::User, ask, skip, limit).await.unwrap();
        (rows.into_iter().map(|r| r.id).collect::<Vec<_>>().join(" "), n)
    };
    assert_eq!(page(ScimAsk::All, 0, 1).await, ("suzuki".to_owned(), 2));
    assert_eq!(page(ScimAsk::All, 1, 9).await, ("tanaka".to_owned(), 2));
    assert_eq!(page(ScimAsk::Key("TANAKA"), 0, 9).await, ("tanaka".to_owned(), 1));
    assert_eq!(page(ScimAsk::External("x-suzuki"), 0, 9).await, ("suzuki".to_owned(), 1));
    let other = store.scim_row(&name("other"), ScimKind::User, "tanaka").await;
    assert_eq!(other.unwrap_err(), StoreError::NotFound, "another source does not see it");
});
