//! Alerts: one about one thing, repeats counted, a worse one opens it again, and news of it leaves.

use super::{T0, by, conflict, imsi, on_both};
use crate::{AlertFilter, AlertRow, Clash, NewAlert, OutboxKind, Store, StoreError};
use types::{AlertKind, AlertState, Severity, Utc};

fn reuse(n: u32, severity: Severity, after_s: i64) -> NewAlert {
    NewAlert {
        at: Utc(T0.0 + after_s * 1000),
        kind: AlertKind::BannedReuse,
        severity,
        imsi: Some(imsi(n)),
        subject: imsi(n).to_string(),
        what: serde_json::json!({ "cell": after_s }),
    }
}

async fn raise(store: &Store, a: NewAlert) -> AlertRow {
    let subject = a.subject.clone();
    store.append_events_and_alerts(vec![], vec![a]).await.unwrap();
    let all = store.alerts(&AlertFilter::default(), None, 100).await.unwrap().items;
    all.into_iter().find(|r| r.subject == subject).unwrap()
}

/// What left about alerts, as (state, count).
async fn told(store: &Store) -> Vec<(String, u64)> {
    let rows = store.outbox(0, 1000).await.unwrap();
    let alerts = rows.iter().filter(|r| r.kind == OutboxKind::Alert);
    let of = |v: serde_json::Value| (v["state"].as_str().unwrap().to_owned(), v["count"].as_u64().unwrap());
    alerts.map(|r| of(serde_json::from_str(&r.payload).unwrap())).collect()
}

on_both!(the_same_again_is_counted_and_wakes_nobody_twice, |store| {
    for s in 0..20 {
        raise(&store, reuse(1, Severity::Warning, s)).await;
    }
    let row = raise(&store, reuse(2, Severity::Warning, 30)).await;
    assert_eq!((row.id, row.count), (2, 1), "another SIM is another alert");
    let row = store.alert(1).await.unwrap();
    assert_eq!((row.count, row.at, row.last), (20, T0, Utc(T0.0 + 19_000)));
    assert_eq!(row.what["cell"], 19, "what happened last");
    let counts: Vec<u64> = told(&store).await.into_iter().map(|(_, n)| n).collect();
    assert_eq!(counts, [1, 2, 4, 8, 16, 1]);
});

on_both!(an_alert_is_acknowledged_closed_and_raised_anew, |store| {
    raise(&store, reuse(1, Severity::Warning, 0)).await;
    let acked = store.answer_alert(1, AlertState::Acknowledged, &by("soc")).await.unwrap();
    assert_eq!((acked.state, acked.by.as_str()), (AlertState::Acknowledged, "soc"));
    assert_eq!(conflict(store.answer_alert(1, AlertState::Acknowledged, &by("soc")).await), Clash::Other);
    assert_eq!(store.answer_alert(9, AlertState::Closed, &by("soc")).await, Err(StoreError::NotFound));

    let again = raise(&store, reuse(1, Severity::Warning, 1)).await;
    assert_eq!((again.state, again.count), (AlertState::Acknowledged, 2), "somebody has it");
    let worse = raise(&store, reuse(1, Severity::Critical, 2)).await;
    assert_eq!((worse.state, worse.severity, worse.by.as_str()), (AlertState::Open, Severity::Critical, ""));
    let milder = raise(&store, reuse(1, Severity::Info, 3)).await;
    assert_eq!(milder.severity, Severity::Critical, "a mild repeat makes it no milder");

    store.answer_alert(1, AlertState::Closed, &by("soc")).await.unwrap();
    assert_eq!(conflict(store.answer_alert(1, AlertState::Open, &by("soc")).await), Clash::Other);
    raise(&store, reuse(1, Severity::Warning, 4)).await;
    let closed = AlertFilter { state: Some(AlertState::Closed), ..AlertFilter::default() };
    assert_eq!(store.alerts(&closed, None, 10).await.unwrap().items.len(), 1);
    assert_eq!(store.alert(2).await.unwrap().state, AlertState::Open, "a new one");
    assert_eq!(store.count_alerts().await.unwrap(), [(AlertState::Open, Severity::Warning, 1)]);

    let actions: Vec<_> = store.audit(Some("alert:1".to_owned()), None, 10).await.unwrap().items;
    let actions: Vec<_> = actions.iter().map(|r| (r.action.as_str(), r.reason.as_str())).collect();
    assert_eq!(actions, [("alert.close", "because"), ("alert.acknowledge", "because")]);
});

on_both!(alerts_are_listed_in_pages_and_narrowed, |store| {
    for n in 1..=5 {
        raise(&store, reuse(n, if n == 3 { Severity::Critical } else { Severity::Warning }, 0)).await;
    }
    let list = async |f: AlertFilter, before| store.alerts(&f, before, 2).await.unwrap();
    let first = list(AlertFilter::default(), None).await;
    assert_eq!(first.items.iter().map(|r| r.id).collect::<Vec<_>>(), [5, 4]);
    let next = list(AlertFilter::default(), first.next.map(|n| n.parse().unwrap())).await;
    assert_eq!(next.items.iter().map(|r| r.id).collect::<Vec<_>>(), [3, 2]);
    let only =
        |f: AlertFilter| async move { list(f, None).await.items.iter().map(|r| r.id).collect::<Vec<_>>() };
    assert_eq!(only(AlertFilter { severity: Some(Severity::Critical), ..Default::default() }).await, [3]);
    assert_eq!(only(AlertFilter { imsi: Some(imsi(4)), ..Default::default() }).await, [4]);
    assert_eq!(
        only(AlertFilter { kind: Some(AlertKind::Alarm), ..Default::default() }).await,
        Vec::<u64>::new()
    );
});
