//! Alerts over the API: read in both languages, acknowledged, closed.

use super::{IMSI, World};
use serde_json::{Value, json};
use store::NewAlert;
use types::{AlertKind, FgmmCause, Happening, RefusalReason, Severity, Utc};

async fn reuse(w: &World) {
    let what = Happening::RegistrationRefused {
        authenticated: true,
        cause: FgmmCause::IllegalUe,
        reason: RefusalReason::Stolen,
        tai: None,
        cell: Some(7),
        gnb: "gnb-1".to_owned(),
    };
    let alert = NewAlert {
        at: Utc(1_800_000_000_000),
        kind: AlertKind::BannedReuse,
        severity: Severity::Critical,
        imsi: Some(IMSI.parse().unwrap()),
        subject: IMSI.to_owned(),
        what: serde_json::to_value(&what).unwrap(),
    };
    w.store.append_events_and_alerts(vec![], vec![alert]).await.unwrap();
}

#[tokio::test]
async fn an_alert_says_what_and_what_to_do_in_both_languages() {
    let w = World::new().await;
    reuse(&w).await;
    reuse(&w).await;
    let list = w.get("/api/v1/alerts?severity=critical&kind=banned-reuse&state=open").await.is(200);
    let a = &list.body["items"][0];
    assert_eq!((&a["id"], &a["count"], &a["imsi"]), (&json!(1), &json!(2), &json!(IMSI)));
    assert_eq!(a["title"], "A banned SIM tried to come back");
    assert!(a["text"].as_str().unwrap().contains("banned as stolen"), "{a}");
    assert_eq!(a["what"]["registration-refused"]["cell"], 7);
    let ja = w.call("GET", "/api/v1/alerts/1").header("accept-language", "ja").send().await.is(200);
    assert_eq!(ja.body["title"], "停止中の SIM が再接続を試みました");
    assert!(ja.body["text"].as_str().unwrap().contains("盗難"), "{}", ja.text);
    assert_eq!(w.get("/api/v1/alerts?state=closed").await.is(200).body["items"], json!([]));
    for (query, field) in [("state=gone", "?state"), ("kind=root", "?kind"), ("imsi=1x", "?imsi")] {
        let r = w.get(&format!("/api/v1/alerts?{query}")).await.is(422);
        assert_eq!(r.pointers(), [field], "{}", r.text);
        assert!(r.body["errors"][0]["fix"].is_string(), "{}", r.text);
    }
    w.get("/api/v1/alerts/2").await.is(404);
}

#[tokio::test]
async fn an_alert_is_acknowledged_and_closed_with_a_reason_that_the_audit_keeps() {
    let w = World::new().await;
    reuse(&w).await;
    let acked = w.post("/api/v1/alerts/1/acknowledge", json!({ "reason": "on it" })).await.is(200);
    assert_eq!((&acked.body["state"], &acked.body["reason"]), (&json!("acknowledged"), &json!("on it")));
    assert!(acked.body["by"].as_str().unwrap().starts_with("owner"), "{}", acked.text);
    w.post("/api/v1/alerts/1/acknowledge", json!({})).await.is(409);
    assert_eq!(
        w.post("/api/v1/alerts/1/close", json!({ "reason": " " })).await.is(422).pointers(),
        ["/reason"]
    );
    w.post("/api/v1/alerts/1/close", json!({ "reason": "card destroyed" })).await.is(200);
    let rows = w.get("/api/v1/audit?object=alert:1&action=alert.").await.is(200);
    let rows = rows.body["items"].as_array().unwrap();
    let pair = |r: &Value| (r["action"].clone(), r["reason"].clone(), r["before"]["state"].clone());
    assert_eq!(
        rows.iter().map(pair).collect::<Vec<_>>(),
        [
            (json!("alert.close"), json!("card destroyed"), json!("acknowledged")),
            (json!("alert.acknowledge"), json!("on it"), json!("open"))
        ]
    );
    let m = w.get("/metrics").await.is(200);
    assert!(!m.text.contains("sekisho_alerts{"), "closed ones are not counted");
    reuse(&w).await;
    let m = w.get("/metrics").await.is(200);
    assert!(m.text.contains("sekisho_alerts{state=\"open\",severity=\"critical\"} 1\n"), "{}", m.text);
}

#[tokio::test]
async fn the_timeline_has_titles_in_the_language_of_the_request() {
    let w = World::with_site().await;
    w.post("/api/v1/sims", super::sim_body()).await.is(201);
    let what = Happening::Registered {
        pei: None,
        tai: types::Tai {
            plmn: types::Plmn::new("001", "01").unwrap(),
            tac: types::Tac::try_from(1).unwrap(),
        },
        cell: 1,
        gnb: "gnb-1".to_owned(),
    };
    let e = types::Event { at: Utc(1), imsi: Some(IMSI.parse().unwrap()), what };
    w.store.append_events(vec![e]).await.unwrap();
    let path = format!("/api/v1/sims/{IMSI}/timeline");
    assert_eq!(w.get(&path).await.body["items"][0]["title"], "registered at gnb-1");
    let ja = w.call("GET", &path).header("accept-language", "ja").send().await;
    assert_eq!(ja.body["items"][0]["title"], "gnb-1 で在圏登録しました");
}
