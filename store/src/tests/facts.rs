//! Facts of SIMs, and the sources that tell them.

use super::{T0, by, imsi, on_both, sim, site};
use crate::{Change, Clash, FactsOf, RiskRow, SimLinks, SourceHealth, StoreError};
use std::collections::BTreeSet;
use types::{
    Device, Name, Person, PostureCheck, PostureReport, Proof, RiskLevel, SignalSource, Site, SourceKind, Utc,
};

fn name(s: &str) -> Name {
    s.parse().unwrap()
}

fn of<T: serde::de::DeserializeOwned>(v: serde_json::Value) -> T {
    serde_json::from_value(v).unwrap()
}

fn told(good: bool, at: i64) -> PostureReport {
    PostureReport { at: Utc(at), os: None, checks: [(PostureCheck::Managed, good)].into() }
}

/// Tanaka, who owns pc-1, with SIM 1 in it; SIM 2 is nobody's.
async fn office(store: &crate::Store) {
    site(store).await;
    let who: Person = of(serde_json::json!({ "id": "tanaka", "name": "Tanaka", "ends_at": 5 }));
    store.create_entity(who, &by("a")).await.unwrap();
    let pc =
        serde_json::json!({ "id": "pc-1", "kind": "laptop", "imei": "3554641100000101", "owner": "tanaka" });
    store.create_entity(of::<Device>(pc), &by("a")).await.unwrap();
    for id in ["osaka", "kobe"] {
        store.create_entity(of::<Site>(serde_json::json!({ "id": id, "name": id })), &by("a")).await.unwrap();
    }
    let mut one = sim(1);
    one.groups = [name("staff"), name("plc")].into();
    one.links = SimLinks { device: Some(name("pc-1")), person: None, site: Some(name("osaka")) };
    store.create_sim(one, &by("a")).await.unwrap();
    store.create_sim(sim(2), &by("a")).await.unwrap();
}

on_both!(what_is_known_of_a_sim_is_read_together, |store| {
    office(&store).await;
    let both = vec![(name("pc-1"), told(true, 7)), (name("pc-9"), told(true, 7))];
    let known = store.report_posture(both, &name("mdm"), None, &by("a")).await;
    assert_eq!(known, Ok(vec![true, false]));
    store.set_usual_sites(imsi(1), [name("kobe")].into(), None, &by("a")).await.unwrap();
    let proof = Proof { until: Utc(99), level: "aal2".to_owned(), source: name("idp"), at: Utc(8) };
    store.set_assurance(vec![imsi(1), imsi(9)], Some(proof.clone()), &by("idp")).await.unwrap();
    let risk = |level, at| RiskRow { level, source: name("idp"), at: Utc(at) };
    store.set_signal_risk("person", &name("tanaka"), risk(RiskLevel::High, 9)).await.unwrap();
    store.set_signal_risk("person", &name("tanaka"), risk(RiskLevel::Low, 8)).await.unwrap();
    let all = store.fact_rows(&FactsOf::All).await.unwrap();
    assert_eq!(all.iter().map(|f| f.imsi).collect::<Vec<_>>(), [imsi(1), imsi(2)]);
    let f = &all[0];
    let device = f.linked.clone().unwrap();
    assert_eq!((device.id, device.imei.as_deref()), (name("pc-1"), Some("35546411000001")));
    assert!(device.posture.unwrap().checks[&PostureCheck::Managed].value);
    assert_eq!((f.person.clone(), f.person_ends), (Some(name("tanaka")), Some(Utc(5))), "the device's owner");
    assert_eq!((f.site.clone(), &f.usual_sites), (Some(name("osaka")), &BTreeSet::from([name("kobe")])));
    assert_eq!(f.groups, [name("plc"), name("staff")].into());
    assert_eq!(
        (f.assurance.clone(), f.person_risk.clone().map(|r| r.level)),
        (Some(proof), Some(RiskLevel::High))
    );
    for of in [
        FactsOf::Sims(vec![imsi(1)]),
        FactsOf::People(vec![name("tanaka")]),
        FactsOf::Devices(vec![name("pc-1")]),
    ] {
        assert_eq!(store.fact_rows(&of).await.unwrap(), all[..1], "{of:?}");
    }
    assert_eq!((all[1].linked.clone(), all[1].person.clone(), all[1].assurance.clone()), (None, None, None));
    store.set_assurance(vec![imsi(1)], None, &by("idp")).await.unwrap();
    let f = store.fact_rows(&FactsOf::Sims(vec![imsi(1)])).await.unwrap().remove(0);
    assert_eq!(f.assurance, None);
    assert_eq!(store.linked_to::<Site>(&name("kobe"), 9).await.unwrap(), [format!("sim:{}", imsi(1))]);
    let kobe = store.delete_entity::<Site>(name("kobe"), None, &by("a")).await;
    assert_eq!(kobe, Err(StoreError::Conflict { what: Clash::Reference }));
    assert!(matches!(
        store.set_usual_sites(imsi(1), [name("kyoto")].into(), None, &by("a")).await,
        Err(StoreError::Conflict { .. })
    ));
});

on_both!(a_report_by_hand_is_audited_and_held_against_its_version, |store| {
    office(&store).await;
    let tell = |good, at, expect, by: Change| {
        let store = store.clone();
        async move { store.report_posture(vec![(name("pc-1"), told(good, at))], &name("api"), expect, &by).await }
    };
    assert_eq!(tell(true, 7, Some(0), by("a")).await, Ok(vec![true]));
    assert_eq!(tell(true, 8, Some(0), by("a")).await, Err(StoreError::VersionMismatch { current: 1 }));
    let quiet = Change { request_id: String::new(), ..by("mdm") };
    assert_eq!(tell(false, 9, None, quiet).await, Ok(vec![true]));
    assert_eq!(tell(true, 3, None, by("a")).await, Ok(vec![true]), "older: nothing is other than before");
    let row = store.posture(&name("pc-1")).await.unwrap();
    assert_eq!((row.version, row.posture.newest()), (2, Some(Utc(9))));
    assert_eq!(store.posture(&name("pc-9")).await, Err(StoreError::NotFound));
    let rows = store.audit(Some("device:pc-1".to_owned()), None, 20).await.unwrap().items;
    assert_eq!(rows.iter().filter(|r| r.action == "posture.report").count(), 2, "a webhook's are not");
});

on_both!(a_source_keeps_its_secret_its_health_and_what_was_taken_of_it, |store| {
    let mdm = SignalSource {
        name: name("mdm"),
        label: String::new(),
        kind: SourceKind::Webhook,
        silent_after_s: Some(60),
        ssf: None,
        groups: Default::default(),
    };
    store.create_source(mdm.clone(), Some(vec![1, 2]), &by("a")).await.unwrap();
    let twice = store.create_source(mdm.clone(), None, &by("a")).await;
    assert_eq!(twice, Err(StoreError::Conflict { what: Clash::Name }));
    assert_eq!(store.source_secret(&name("mdm")).await, Ok(Some(vec![1, 2])));
    store.set_source_secret(&name("mdm"), vec![3], &by("a")).await.unwrap();
    let changed = SignalSource { label: "MDM".to_owned(), ..mdm };
    assert_eq!(store.replace_source(changed, Some(1), &by("a")).await.unwrap().version, 2);
    assert_eq!(store.source_secret(&name("mdm")).await, Ok(Some(vec![3])), "it stays");

    let good = SourceHealth { last_ok: Some(T0), accepted: 2, ..SourceHealth::default() };
    let bad = SourceHealth {
        last_bad: Some(Utc(T0.0 + 1)),
        error: Some("late".to_owned()),
        refused: 3,
        ..SourceHealth::default()
    };
    for did in [good.clone(), bad, good] {
        store.source_did(&name("mdm"), did).await.unwrap();
    }
    let h = store.signal_source(&name("mdm")).await.unwrap().health;
    assert_eq!((h.accepted, h.refused, h.last_ok, h.error.as_deref()), (4, 3, Some(T0), Some("late")));
    store.source_did(&name("none"), SourceHealth::default()).await.unwrap();

    let take = |word: &'static str, now: i64| {
        let store = store.clone();
        async move { store.take_word_once(&name("mdm"), word, Utc(100), Utc(now)).await }
    };
    assert_eq!((take("a", 1).await, take("a", 2).await, take("b", 3).await), (Ok(true), Ok(false), Ok(true)));
    assert_eq!(store.was_taken(&name("mdm"), "a").await, Ok(true));
    assert_eq!(take("a", 100).await, Ok(true), "its time is over, and it would be refused for that");
    let audit = store.audit(Some("signal-source:mdm".to_owned()), None, 20).await.unwrap().items;
    let all = format!("{audit:?}");
    assert!(audit.iter().any(|r| r.action == "signal-source.secret") && !all.contains("[3]"), "{all}");
    store.delete_source(&name("mdm"), None, &by("a")).await.unwrap();
    assert_eq!(store.source_secret(&name("mdm")).await, Ok(None));
    assert_eq!(store.was_taken(&name("mdm"), "a").await, Ok(false));
});
