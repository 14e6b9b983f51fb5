//! Grants: who may make them, who answers for them, and how they end; and rules with conditions.

use super::{IMSI, World, sim_body};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

async fn world() -> World {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    let wiki = json!({ "name": "wiki", "prefixes": ["10.10.1.5/32"], "services": ["tcp/443"],
                       "sensitivity": "confidential", "health": "http/8080/healthz" });
    let made = w.post("/api/v1/apps", wiki).await.is(201);
    assert_eq!(
        (&made.body["sensitivity"], &made.body["health"]),
        (&json!("confidential"), &json!("http/8080/healthz"))
    );
    w.control.was_asked();
    w
}

fn grant(until: &str) -> Value {
    json!({ "to": format!("sim:{IMSI}"), "app": "wiki", "reason": "an outage", "until": until })
}

fn in_an_hour() -> String {
    crate::check::rfc3339(types::Utc(crate::state::now().0 + 3_600_000))
}

#[tokio::test]
async fn a_grant_is_made_told_and_taken_back() {
    let w = world().await;
    let made = w.post("/api/v1/grants", grant(&in_an_hour())).await.is(201);
    assert_eq!((&made.body["state"], &made.body["approver"]), (&json!("active"), &made.body["requester"]));
    assert_eq!(w.control.was_asked(), ["policy_changed"]);
    let revoke = format!("/api/v1/grants/{}/revoke", made.body["id"].as_str().unwrap());
    w.post(&revoke, json!({ "reason": " " })).await.is(422);
    let gone = w.post(&revoke, json!({ "reason": "it is over" })).await.is(200);
    assert_eq!(gone.body["state"], "revoked");
    w.post(&revoke, json!({ "reason": "again" })).await.is(409);
    w.post("/api/v1/grants/none/revoke", json!({ "reason": "x" })).await.is(404);
    assert_eq!(w.get("/api/v1/grants").await.is(200).body["items"], json!([]));
    assert_eq!(w.get("/api/v1/grants?all=true").await.is(200).body["items"][0]["state"], "revoked");
}

#[tokio::test]
async fn a_grant_waits_for_a_second_person_where_one_is_needed() {
    let w = world().await;
    w.control.second_person.store(true, Ordering::Relaxed);
    let asked = w.post("/api/v1/grants", grant(&in_an_hour())).await.is(202);
    assert_eq!((&asked.body["state"], &asked.body["approver"]), (&json!("waiting"), &Value::Null));
    let approve = format!("/api/v1/grants/{}/approve", asked.body["id"].as_str().unwrap());
    let r = w.post(&approve, json!({ "reason": "me" })).await.is(403);
    assert_eq!(r.body["type"], "urn:sekisho:problem:same-person");
    let author = w.token_with(&["policy"]).await;
    w.call("POST", &approve).token(&author).json(json!({ "reason": "yes" })).send().await.is(403);
    let second = w.token_with(&["approve"]).await;
    let r = w.call("POST", &approve).token(&second).json(json!({ "reason": "seen" })).send().await.is(200);
    assert_eq!(r.body["state"], "active");
    w.call("POST", &approve).token(&second).json(json!({ "reason": "again" })).send().await.is(409);
}

#[tokio::test]
async fn a_grant_that_cannot_be_is_refused() {
    let w = world().await;
    for (field, value, at) in [
        ("until", json!("2001-01-01T00:00:00Z"), "/until"),
        ("until", json!("2999-01-01T00:00:00Z"), "/until"),
        ("until", json!("soon"), "/until"),
        ("app", json!("Wiki!"), "/app"),
        ("reason", json!(""), "/reason"),
    ] {
        let mut body = grant(&in_an_hour());
        body[field] = value;
        assert_eq!(w.post("/api/v1/grants", body).await.is(422).pointers(), [at]);
    }
    let mut nobody = grant(&in_an_hour());
    nobody["to"] = json!("person:nobody");
    w.post("/api/v1/grants", nobody).await.is(409);
}

#[tokio::test]
async fn conditions_are_kept_as_they_were_given_and_impossible_ones_are_refused() {
    let w = world().await;
    let mut rule = json!({ "name": "r", "order": 1, "subject": "any", "app": "wiki", "direction": "out",
        "verdict": "step-up", "posture": "compliant", "sites": ["osaka"], "radio": "nr", "risk_at_most": "medium",
        "models": ["35693803"], "monitor_until": "2999-01-01T00:00:00Z" });
    let made = w.post("/api/v1/rules", rule.clone()).await.is(201);
    for (key, value) in rule.as_object().unwrap() {
        assert_eq!(&made.body[key], value, "{key}");
    }
    rule["not_sites"] = json!(["osaka"]);
    assert_eq!(w.post("/api/v1/rules", rule.clone()).await.is(422).pointers(), ["/not_sites"]);
    rule["posture"] = json!("fine");
    w.post("/api/v1/rules", rule).await.is(422);
    // Nothing is known of the SIM: what is asked for is told, and that nobody knows it.
    let question = json!({ "question": { "imsi": IMSI, "app": "wiki", "service": "tcp/443" } });
    let why = w.post("/api/v1/policies/explain", question).await.is(200);
    assert_eq!((&why.body["verdict"], &why.body["reason"]), (&json!("deny"), &json!("no-rule")));
    let read = &why.body["considered"][0];
    assert_eq!((&read["outcome"], &read["conditions"][0]["holds"]), (&json!("watched"), &json!("unknown")));
    let failed: Vec<&str> =
        why.body["nearest"]["failed"].as_array().unwrap().iter().filter_map(|f| f["what"].as_str()).collect();
    assert!(
        failed.contains(&"monitored") && failed.contains(&"condition") && failed.contains(&"proof"),
        "{failed:?}"
    );
}
