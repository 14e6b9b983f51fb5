//! A request that is sent twice takes effect once.

use super::{IMSI, World, sim_body};
use serde_json::json;

#[tokio::test]
async fn the_second_answer_is_the_first() {
    let w = World::with_site().await;
    let send =
        async || w.call("POST", "/api/v1/sims").header("idempotency-key", "k1").json(sim_body()).send().await;
    let first = send().await.is(201);
    let second = send().await.is(201);
    assert_eq!((&second.body, second.header("etag")), (&first.body, first.header("etag")));
    assert_eq!((first.header("idempotency-replayed"), second.header("idempotency-replayed")), ("", "true"));
    assert_eq!(w.control.was_asked().iter().filter(|a| a.starts_with("seal")).count(), 1);

    // The same key with another body, or on another path, is another request.
    let mut other = sim_body();
    other["label"] = json!("other");
    let r = w.call("POST", "/api/v1/sims").header("idempotency-key", "k1").json(other).send().await.is(422);
    assert_eq!(r.body["type"], "urn:sekisho:problem:idempotency-key-used");
    let call = w.call("POST", &format!("/api/v1/sims/{IMSI}/ban")).header("idempotency-key", "k1");
    call.json(json!({ "state": "lost", "reason": "x" })).send().await.is(422);
    // Another token's key is its own.
    let token = w.token_with(&["provision"]).await;
    let call = w.call("POST", "/api/v1/sims").token(&token).header("idempotency-key", "k1");
    call.json(sim_body()).send().await.is(409);
}

#[tokio::test]
async fn a_refused_request_may_be_corrected_under_its_key() {
    let w = World::with_site().await;
    let mut bad = sim_body();
    bad["imsi"] = json!("1");
    let send = async |b| w.call("POST", "/api/v1/sims").header("idempotency-key", "k2").json(b).send().await;
    send(bad).await.is(422);
    send(sim_body()).await.is(201);
}

#[tokio::test]
async fn ten_at_once_are_one() {
    let w = World::with_site().await;
    let calls = (0..10)
        .map(|_| w.call("POST", "/api/v1/sims").header("idempotency-key", "k3").json(sim_body()).send());
    let answers = futures_util::future::join_all(calls).await;
    let made =
        answers.iter().filter(|a| a.status == 201 && a.header("idempotency-replayed").is_empty()).count();
    assert_eq!(made, 1);
    assert!(answers.iter().all(|a| a.status == 201 || a.status == 409), "{answers:?}");
    assert_eq!(w.control.was_asked().iter().filter(|a| a.starts_with("seal")).count(), 1);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let w = World::with_site().await;
    for key in ["", &"x".repeat(129)] {
        w.call("POST", "/api/v1/sims").header("idempotency-key", key).json(sim_body()).send().await.is(400);
    }
}
