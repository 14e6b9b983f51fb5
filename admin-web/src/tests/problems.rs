//! What is said when something is wrong: where, what, what to do, in the caller's language.

use super::{IMSI, World, sim_body};
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_problem_speaks_the_callers_language() {
    let w = World::with_site().await;
    let mut body = sim_body();
    body["imsi"] = json!("12x");
    let send = async |accept: &str| {
        let call = w.call("POST", "/api/v1/sims").header("accept-language", accept);
        call.json(body.clone()).send().await.is(422)
    };
    for english in ["en", "fr", "en-GB,ja;q=0.8", "*"] {
        let r = send(english).await;
        assert_eq!(
            (r.header("content-language"), r.header("content-type")),
            ("en", "application/problem+json")
        );
        assert_eq!(r.body["title"], "The request is not valid");
    }
    for japanese in ["ja", "ja-JP,en;q=0.5", "en;q=0.3, ja;q=0.4"] {
        let r = send(japanese).await;
        assert_eq!(r.header("content-language"), "ja");
        assert_eq!(r.body["title"], "リクエストの内容に誤りがあります");
        assert!(r.body["errors"][0]["fix"].as_str().unwrap().contains("6〜15 桁"));
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_described_is_refused_at_its_field() {
    let w = World::with_site().await;
    let with = |change: serde_json::Value| {
        let mut b = sim_body();
        b.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        b
    };
    let refused = async |b: serde_json::Value| w.post("/api/v1/sims", b).await.is(422);
    // A list is no object, also where nothing in it would be needed.
    for path in ["/api/v1/policies/plan", "/api/v1/policies/rollback"] {
        w.post(path, json!([null, null])).await.is(422);
    }
    let r = refused(with(json!({ "colour": "red" }))).await;
    assert_eq!(r.pointers(), ["/colour"]);
    assert!(r.text.contains("there is no field colour"), "{}", r.text);
    assert_eq!(refused(with(json!({ "dnns": "corp" }))).await.pointers(), ["/dnns"]);
    assert_eq!(refused(with(json!({ "dnns": [7] }))).await.pointers(), ["/dnns/0"]);
    assert_eq!(refused(with(json!({ "sqn": { "ind": 5 } }))).await.pointers(), ["/sqn/ind"]);
    assert_eq!(refused(json!({ "imsi": IMSI })).await.pointers(), ["/k"]);
    assert_eq!(refused(json!([])).await.status, 422);

    let raw = async |text: &str| {
        let call = w.call("POST", "/api/v1/sims").header("content-type", "application/json");
        call.raw(text.to_owned()).send().await
    };
    let r = raw("{\n  \"imsi\": }").await.is(400);
    assert!(r.text.contains("line 2"), "{}", r.text);
    raw("{} {}").await.is(422);
    raw("").await.is(400);
    let twice = format!("{{\"imsi\": \"{IMSI}\", \"imsi\": \"{IMSI}\"}}");
    assert_eq!(raw(&twice).await.is(422).pointers(), ["/imsi"]);
    raw(&format!("\"{}\"", "x".repeat(2 << 20))).await.is(413);
    w.call("POST", "/api/v1/sims").raw(sim_body().to_string()).send().await.is(415);
}

#[tokio::test]
async fn a_query_that_is_not_as_described_is_refused_at_its_parameter() {
    let w = World::new().await;
    let refused = async |path: &str| w.get(path).await.is(422);
    assert_eq!(refused("/api/v1/sims?sate=lost").await.pointers(), ["?sate"]);
    assert_eq!(refused("/api/v1/sims?state=dead").await.pointers(), ["?state"]);
    assert_eq!(refused("/api/v1/sims?limit=0").await.pointers(), ["?limit"]);
    assert_eq!(refused("/api/v1/sims?limit=1001").await.pointers(), ["?limit"]);
    assert_eq!(refused("/api/v1/sims?limit=x").await.pointers(), ["?limit"]);
    assert_eq!(refused("/api/v1/audit?cursor=x").await.pointers(), ["?cursor"]);
    assert_eq!(refused("/api/v1/flows?from=yesterday&address=x").await.pointers(), ["?address", "?from"]);
    assert_eq!(refused("/api/v1/flows?cursor=x").await.pointers(), ["?cursor"]);
    assert_eq!(refused("/api/v1/flows?verdict=maybe").await.pointers(), ["?verdict"]);
    assert_eq!(refused("/api/v1/revocations?kind=bann").await.pointers(), ["?kind"]);
    assert_eq!(refused("/api/v1/unban-requests?state=gone").await.pointers(), ["?state"]);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_ours_are_problems_too() {
    let w = World::new().await;
    let r = w.get("/api/v2/sims").await.is(404);
    assert_eq!(r.body["type"], "urn:sekisho:problem:no-such-path");
    let r = w.call("DELETE", "/api/v1/sims").send().await.is(405);
    assert_eq!(r.header("content-type"), "application/problem+json");
    assert!(r.header("allow").contains("GET"), "{:?}", r.headers);
}

#[tokio::test]
async fn a_request_has_an_id_everywhere() {
    let w = World::with_site().await;
    let call = w.call("POST", "/api/v1/groups").header("x-request-id", "ticket-4711");
    let r = call.json(json!({ "name": "plc" })).send().await.is(201);
    assert_eq!(r.header("x-request-id"), "ticket-4711");
    let audit = w.get("/api/v1/audit?object=group:plc").await;
    assert_eq!(audit.body["items"][0]["request_id"], "ticket-4711");
    let r = w.call("GET", "/api/nowhere").header("x-request-id", "a b").send().await.is(404);
    let id = r.header("x-request-id");
    assert_eq!(id.len(), 16, "a strange id is replaced: {id}");
    assert_eq!(r.body["request_id"], id);
    assert_eq!(r.header("x-content-type-options"), "nosniff");
    assert_eq!(r.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_defect_ends_its_own_request_alone() {
    let w = World::new().await;
    w.control.panics.store(true, Ordering::Relaxed);
    let r = w.get("/api/v1/system").await.is(500);
    assert_eq!(r.body["type"], "urn:sekisho:problem:internal");
    assert!(!r.text.contains("a defect"), "the inside stays inside");
    w.get("/api/v1/sims").await.is(200);
}
