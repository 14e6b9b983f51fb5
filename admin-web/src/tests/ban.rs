//! The ban as SOC sees it: a receipt, or a plain word about what holds and what does not.

use super::{IMSI, World, sim_body};
use serde_json::json;
use std::sync::atomic::Ordering;

fn path(rest: &str) -> String {
    format!("/api/v1/sims/{IMSI}{rest}")
}

async fn world() -> World {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    w.control.was_asked();
    w
}

#[tokio::test]
async fn a_ban_answers_with_a_receipt() {
    let w = world().await;
    let soc = w.token_with(&["ban"]).await;
    let call = w.call("POST", &path("/ban")).token(&soc);
    let r = call.json(json!({ "state": "stolen", "reason": "taken from a car" })).send().await.is(200);
    assert_eq!(r.body["imsi"], IMSI);
    assert_eq!((&r.body["before"], &r.body["state"]), (&json!("ready"), &json!("stolen")));
    assert_eq!(r.body["cut"], json!({ "at": "2027-01-15T08:00:00.123Z", "us": 180, "shards": 2 }));
    assert_eq!(r.body["stored"][0], json!({ "place": "journal", "record": 7, "hash": "ab" }));
    assert_eq!(r.body["stored"][1]["place"], "database");
    assert_eq!(r.body["dropped_since"], 12);
    assert_eq!(r.body["pending"][0], "the UE has not confirmed its deregistration");
    let asked = w.control.was_asked();
    assert!(asked[0].starts_with(&format!("ban {IMSI} stolen by test (")), "{asked:?}");
    assert!(asked[0].ends_with("taken from a car"));

    // Banning again is no error; the way back is another right.
    let call = w.call("POST", &path("/ban")).token(&soc);
    call.json(json!({ "state": "stolen", "reason": "once more" })).send().await.is(200);
    let call = w.call("POST", &path("/unban")).token(&soc);
    call.json(json!({ "reason": "found" })).send().await.is(403);
    let back = w.post(&path("/unban"), json!({ "reason": "found under the seat" })).await.is(200);
    assert_eq!(back.body["state"], "active");
    w.post(&path("/unban"), json!({ "reason": "again" })).await.is(409);
}

#[tokio::test]
async fn a_ban_says_what_is_wrong_with_its_request() {
    let w = world().await;
    let r = w.post(&path("/ban"), json!({ "state": "suspended", "reason": "" })).await.is(422);
    assert_eq!(r.pointers(), ["/reason", "/state"]);
    let r = w.post(&path("/ban"), json!({ "state": "lost" })).await.is(422);
    assert_eq!(r.pointers(), ["/reason"]);
    w.post("/api/v1/sims/001019999999999/ban", json!({ "state": "lost", "reason": "x" })).await.is(404);
    w.post(&path("/state"), json!({ "state": "retired", "reason": "old" })).await.is(200);
    w.post(&path("/ban"), json!({ "state": "lost", "reason": "x" })).await.is(409);
    // A banned SIM does not come back by an ordinary change.
    assert_eq!(w.control.was_asked().iter().filter(|a| a.starts_with("ban")).count(), 2);
}

#[tokio::test]
async fn a_banned_sim_comes_back_by_unban_alone() {
    let w = world().await;
    w.post(&path("/ban"), json!({ "state": "lost", "reason": "x" })).await.is(200);
    let r = w.post(&path("/state"), json!({ "state": "active", "reason": "please" })).await.is(409);
    assert!(r.body["fix"].as_str().unwrap().contains("/unban"), "{}", r.text);
}

#[tokio::test]
async fn a_ban_works_while_the_database_does_not() {
    let w = world().await;
    let soc = w.token_with(&["ban"]).await;
    w.store.close().await;
    w.get("/api/v1/sims").await.is(503);
    let call = w.call("POST", &path("/ban")).token(&soc);
    let r = call.json(json!({ "state": "lost", "reason": "x" })).send().await.is(200);
    assert_eq!(r.body["stored"], json!([{ "place": "journal", "record": 7, "hash": "ab" }]));
    assert_eq!(r.body["before"], json!(null));
    assert!(r.body["pending"].as_array().unwrap().contains(&json!("not in the database yet")));
    // What is not a ban needs the database.
    w.post(&path("/unban"), json!({ "reason": "x" })).await.is(503);
}

#[tokio::test]
async fn a_ban_that_could_be_stored_nowhere_says_so_and_can_be_repeated() {
    let w = world().await;
    w.control.stores_nothing.store(true, Ordering::Relaxed);
    let send = async || {
        let call = w.call("POST", &path("/ban")).header("idempotency-key", "taxi");
        call.json(json!({ "state": "lost", "reason": "x" })).send().await
    };
    let r = send().await.is(503);
    assert_eq!(r.body["type"], "urn:sekisho:problem:cut-not-stored");
    assert_eq!(r.body["receipt"]["cut"]["shards"], 2);
    assert!(r.body["fix"].as_str().unwrap().contains("again"));
    w.control.stores_nothing.store(false, Ordering::Relaxed);
    send().await.is(200);
}
