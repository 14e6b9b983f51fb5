//! Planned changes of state as callers see them.

use super::{IMSI, World, sim_body};
use serde_json::json;

fn in_a_year() -> String {
    let ms = crate::state::now().0 + 365 * 86_400_000;
    crate::check::rfc3339(types::Utc(ms))
}

async fn world() -> (World, String) {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    w.control.was_asked();
    (w, format!("/api/v1/sims/{IMSI}/schedule"))
}

#[tokio::test]
async fn a_schedule_is_planned_listed_and_taken_back() {
    let (w, path) = world().await;
    let body = json!({ "at": in_a_year(), "action": "suspend", "reason": "leave", "ticket": "HR-7" });
    let made = w.post(&path, body).await.is(201);
    assert_eq!((&made.body["state"], &made.body["ticket"]), (&json!("waiting"), &json!("HR-7")));
    assert_eq!(w.control.was_asked(), ["schedules_changed"], "the running system reads it");
    let id = made.body["id"].as_u64().unwrap();
    assert_eq!(w.get(&path).await.is(200).body["items"][0], made.body);

    let gone = w.call("DELETE", &format!("/api/v1/schedules/{id}")).send().await.is(200);
    assert_eq!(gone.body["state"], "cancelled");
    w.call("DELETE", &format!("/api/v1/schedules/{id}")).send().await.is(404);
    assert_eq!(w.get("/api/v1/schedules?state=waiting").await.body["items"], json!([]));
    assert_eq!(w.get(&format!("/api/v1/schedules/{id}")).await.body["state"], "cancelled");
}

#[tokio::test]
async fn what_cannot_be_planned_is_refused_with_its_field() {
    let (w, path) = world().await;
    let wrong = json!({ "at": "2001-01-01T00:00:00Z", "action": "unban", "reason": " " });
    assert_eq!(w.post(&path, wrong).await.is(422).pointers(), ["/reason", "/at", "/action"]);
    let body = json!({ "at": in_a_year(), "action": "resume", "reason": "back" });
    w.post("/api/v1/sims/001019999999999/schedule", body.clone()).await.is(404);
    let retire = json!({ "state": "retired", "reason": "broken" });
    w.post(&format!("/api/v1/sims/{IMSI}/state"), retire).await.is(200);
    w.post(&path, body).await.is(409);
}

#[tokio::test]
async fn an_end_date_is_set_moved_and_taken_away() {
    let (w, path) = world().await;
    let end = format!("/api/v1/sims/{IMSI}/end-date");
    let at = in_a_year();
    w.post(&end, json!({ "at": "2090-01-01T00:00:00Z", "reason": "contract" })).await.is(200);
    let set = w.post(&end, json!({ "at": at, "reason": "shorter" })).await.is(200);
    assert_eq!(set.body["ends_at"], json!(at));
    let waiting = w.get("/api/v1/schedules?state=waiting&kind=end-date").await.is(200);
    assert_eq!(waiting.body["items"].as_array().unwrap().len(), 1, "a SIM has one end date");
    let none = w.post(&end, json!({ "at": null, "reason": "employed" })).await.is(200);
    assert_eq!(none.body["ends_at"], json!(null));
    let states: Vec<_> =
        w.get(&path).await.body["items"].as_array().unwrap().iter().map(|s| s["state"].clone()).collect();
    assert_eq!(states, ["cancelled", "cancelled"]);
}

#[tokio::test]
async fn who_is_limited_plans_sees_and_takes_back_what_is_planned_within() {
    let w = World::with_site().await;
    let mut body = sim_body();
    body["groups"] = json!(["staff"]);
    w.post("/api/v1/sims", body).await.is(201);
    let path = format!("/api/v1/sims/{IMSI}/schedule");
    let planned = json!({ "at": in_a_year(), "action": "suspend", "reason": "leave" });
    let id = w.post(&path, planned).await.is(201).body["id"].as_u64().unwrap();
    let limited = async |group: &str| {
        w.token_of(json!({ "label": group, "roles": ["owner"], "groups": [group] })).await
    };
    let one = format!("/api/v1/schedules/{id}");
    w.post("/api/v1/groups", json!({ "name": "plc" })).await.is(201);
    let t = limited("plc").await;
    for (method, path) in [("GET", &path), ("GET", &one), ("DELETE", &one)] {
        w.call(method, path).token(&t).send().await.is(403);
    }
    // One that lies outside and one that is not there look the same.
    w.call("GET", "/api/v1/schedules/999").token(&t).send().await.is(403);
    let t = limited("staff").await;
    assert_eq!(w.call("GET", &path).token(&t).send().await.is(200).body["items"][0]["id"], id);
    w.call("GET", &one).token(&t).send().await.is(200);
    let gone = w.call("DELETE", &one).token(&t).send().await.is(200);
    assert_eq!(gone.body["state"], "cancelled");
}
