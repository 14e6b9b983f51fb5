//! Rules that are only watched: counted, in force at their date or told of once. The clock is moved by hand.

use super::{IMSI, World};
use crate::{state::now, watch};
use serde_json::{Value, json};
use store::AlertFilter;
use types::{FlowRecord, Utc};

const DAY: i64 = 86_400_000;

/// A rule that would deny the wiki, watched for a week from now.
async fn watched() -> (World, Utc) {
    let w = World::with_site().await;
    w.post("/api/v1/apps", json!({ "name": "wiki", "prefixes": ["10.10.1.0/24"], "services": ["tcp/443"] }))
        .await
        .is(201);
    let until = Utc(now().0 / 1000 * 1000 + 7 * DAY);
    w.post("/api/v1/rules", rule(until)).await.is(201);
    (w, until)
}

fn rule(until: Utc) -> Value {
    json!({ "name": "no-wiki", "order": 5, "subject": "any", "app": "wiki", "direction": "out", "verdict": "deny",
            "monitor_until": crate::check::rfc3339(until) })
}

/// A flow of a moment ago that the rule would have judged otherwise.
fn flow(at: Utc, verdict: &str) -> FlowRecord {
    serde_json::from_value(json!({
        "start": at, "end": at, "imsi": IMSI, "direction": "out", "ue": "10.20.0.9", "ue_port": 40000,
        "peer": "10.10.1.5", "peer_port": 443, "protocol": 6, "app": "wiki", "rule": null, "verdict": verdict,
        "reason": "rule", "generation": 1, "packets_up": 1, "bytes_up": 40, "packets_down": 0, "bytes_down": 0,
        "name": null, "would": "no-wiki",
    }))
    .unwrap()
}

async fn is_watched(w: &World) -> bool {
    let r = w.get("/api/v1/rules/no-wiki").await.is(200);
    !r.body["monitor_until"].is_null()
}

#[tokio::test]
async fn a_rule_that_would_have_denied_nothing_comes_into_force_at_its_date() {
    let (w, until) = watched().await;
    // What would have been allowed does not hold it up; nor what the rule said before it was as it is.
    w.flows.append(vec![flow(now(), "deny"), flow(Utc(1), "allow")], now()).await.unwrap();
    watch::round(&w.state, Utc(until.0 - 1)).await;
    assert!(is_watched(&w).await, "not a moment before");
    let list = w.get("/api/v1/policies/monitored").await.is(200);
    let item = &list.body["items"][0];
    assert_eq!(
        (&item["would_deny"], &item["would_allow"], &item["complete"]),
        (&json!(0), &json!(1), &json!(true))
    );
    let before = w.store.policy_generation().await.unwrap();
    watch::round(&w.state, until).await;
    assert!(!is_watched(&w).await);
    assert_eq!(w.store.policy_generation().await.unwrap(), before + 1);
    let filter = store::AuditFilter { actor: Some("monitor mode".to_owned()), ..Default::default() };
    let audit = w.store.audit_list(&filter, None, 10).await.unwrap().items;
    assert_eq!((audit.len(), audit[0].action.as_str()), (1, "rule.change"), "{audit:?}");
    watch::round(&w.state, Utc(until.0 + DAY)).await;
    assert_eq!(w.store.policy_generation().await.unwrap(), before + 1, "once");
    assert_eq!(w.get("/api/v1/policies/monitored").await.is(200).body["items"], json!([]));
}

#[tokio::test]
async fn a_rule_that_would_have_denied_something_is_watched_on_and_told_of_once() {
    let (w, until) = watched().await;
    w.flows.append(vec![flow(now(), "allow"), flow(now(), "allow")], now()).await.unwrap();
    for at in [until.0 - 1, until.0, until.0 + 15_000, until.0 + DAY] {
        watch::round(&w.state, Utc(at)).await;
    }
    assert!(is_watched(&w).await);
    let alerts = w.store.alerts(&AlertFilter::default(), None, 10).await.unwrap().items;
    assert_eq!((alerts.len(), alerts[0].count), (1, 1), "{alerts:?}");
    assert!(
        alerts[0].what["alarm"]["text"].as_str().unwrap().contains("2 flows of 1 SIMs"),
        "{:?}",
        alerts[0].what
    );
    let list = w.get("/api/v1/policies/monitored").await.is(200);
    let line = json!({ "imsi": IMSI, "app": "wiki", "would_deny": 2, "would_allow": 0 });
    assert_eq!((&list.body["items"][0]["by"], &list.body["items"][0]["sims"]), (&json!([line]), &json!(1)));
    let hours = list.body["items"][0]["by_hour"].as_array().unwrap();
    let denied: u64 = hours.iter().map(|h| h["would_deny"].as_u64().unwrap()).sum();
    assert_eq!(denied, 2, "{hours:?}");
    assert!(hours.iter().all(|h| h["at"].as_str().unwrap().ends_with(":00:00Z")), "{hours:?}");
    // Another date: counted anew from there on, and another word where it comes to that.
    let later = Utc(until.0 + 30 * DAY);
    w.call("PUT", "/api/v1/rules/no-wiki").if_match("*").json(rule(later)).send().await.is(200);
    watch::round(&w.state, Utc(later.0 - 1)).await;
    assert_eq!(w.get("/api/v1/policies/monitored").await.is(200).body["items"][0]["would_deny"], 0);
    watch::round(&w.state, later).await;
    assert!(!is_watched(&w).await);
}

/// Hours of a week, the newest: the counts themselves forget nothing.
#[tokio::test]
async fn hours_are_told_of_a_week() {
    let (w, _) = watched().await;
    let from = now().0;
    let all = (0..200).map(|n| flow(Utc(from + n * 3_600_000), "allow")).collect();
    w.flows.append(all, now()).await.unwrap();
    watch::round(&w.state, now()).await;
    let list = w.get("/api/v1/policies/monitored").await.is(200);
    let hours = list.body["items"][0]["by_hour"].as_array().unwrap();
    assert_eq!((hours.len(), &list.body["items"][0]["would_deny"]), (168, &json!(200)));
    assert!(hours.windows(2).all(|h| h[0]["at"].as_str() < h[1]["at"].as_str()));
}

#[tokio::test]
async fn a_rule_whose_coming_into_force_a_test_forbids_stays_and_somebody_is_told() {
    let (w, until) = watched().await;
    let policy = w.get("/api/v1/policies/text").await.is(200);
    let text = format!(
        "{}\n{}",
        policy.body["text"].as_str().unwrap(),
        "[[rules]]\nname = \"wiki\"\norder = 10\nsubject = \"any\"\napp = \"wiki\"\ndirection = \"out\"\nverdict = \"allow\"\n\
         [[tests]]\nname = \"all-have-the-wiki\"\nexpect = \"allow\"\ngroups = [\"staff\"]\napp = \"wiki\"\nservice = \"tcp/443\"\n"
    );
    w.post("/api/v1/policies/apply", json!({ "text": text })).await.is(200);
    for _ in 0..2 {
        watch::round(&w.state, until).await;
    }
    assert!(is_watched(&w).await);
    let alerts = w.store.alerts(&AlertFilter::default(), None, 10).await.unwrap().items;
    assert_eq!((alerts.len(), alerts[0].count), (1, 1));
    let text = alerts[0].what["alarm"]["text"].as_str().unwrap();
    assert!(text.contains("cannot come into force") && text.contains("all-have-the-wiki"), "{text}");
}

#[tokio::test]
async fn flows_that_somebody_has_in_a_file_are_tried_too() {
    let (w, _) = watched().await;
    let one = |verdict: &str, reason: &str| {
        json!({ "start": "2027-01-01T00:00:00Z", "imsi": IMSI, "direction": "out", "peer": "10.10.1.5",
                "peer_port": 443, "protocol": 6, "verdict": verdict, "reason": reason, "bytes_up": 12 })
    };
    let flows = json!([one("allow", "rule"), one("deny", "no-rule"), one("deny", "banned")]);
    let r = w.post("/api/v1/policies/replay", json!({ "flows": flows })).await.is(200);
    assert_eq!(
        (&r.body["records"], &r.body["newly_denied"], &r.body["not_by_rules"]),
        (&json!(3), &json!(1), &json!(1))
    );
    for (bad, at) in [
        (json!([one("allow", "rule"), one("open", "rule")]), "/flows/1/verdict"),
        (json!([{ "start": "yesterday" }]), "/flows/0/start"),
    ] {
        let r = w.post("/api/v1/policies/replay", json!({ "flows": bad })).await.is(422);
        assert_eq!(r.pointers(), [at], "{}", r.text);
    }
}
