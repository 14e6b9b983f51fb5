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
    assert_eq!(r.body["cut"], json!({ "at": "2027-01-15T08:00:00.123Z", "us": 180, "shards": 2, "of": 2 }));
    assert_eq!(r.body["stored"][0], json!({ "place": "journal", "record": 7, "hash": "ab" }));
    assert_eq!(r.body["stored"][1]["place"], "database");
    assert_eq!(r.body["dropped_since"], 12);
    let pending = &r.body["pending"][0];
    assert_eq!(pending["code"], "deregistration-unconfirmed");
    assert_eq!(pending["en"], "the UE has not confirmed its deregistration");
    assert!(pending["ja"].as_str().unwrap().contains("登録解除"));
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
    let pending = r.body["pending"].as_array().unwrap();
    assert!(pending.iter().any(|p| p["code"] == "database-failed"), "{}", r.text);
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

#[tokio::test]
async fn the_key_of_a_ban_is_kept_with_the_ban_and_answers_again() {
    let w = world().await;
    let send = async |reason: &str| {
        let call = w.call("POST", &path("/ban")).header("idempotency-key", "taxi");
        call.json(json!({ "state": "lost", "reason": reason })).send().await
    };
    let first = send("x").await.is(200);
    let again = send("x").await.is(200);
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &first.body));
    assert_eq!(w.control.was_asked().len(), 1, "the second one is answered without a ban");
    send("y").await.is(422);
    // A ban of a scope keeps its key, too, though its effect did not carry it.
    let body = json!({ "scope": "group", "value": "staff", "state": "lost", "reason": "x" });
    for replayed in ["", "true"] {
        let call = w.call("POST", "/api/v1/revocations").header("idempotency-key", "bus");
        let r = call.json(body.clone()).send().await.is(200);
        assert_eq!(r.header("idempotency-replayed"), replayed);
    }
}

#[tokio::test]
async fn a_scope_is_tried_dry_before_it_is_banned() {
    let w = world().await;
    let body = |dry: bool| json!({ "scope": "person", "value": "tanaka", "state": "stolen", "reason": "left", "dry_run": dry });
    let r = w.post("/api/v1/revocations", body(true)).await.is(200);
    assert_eq!(
        (&r.body["dry_run"], &r.body["sims"], &r.body["sessions"]),
        (&json!(true), &json!(4), &json!(4))
    );
    assert_eq!(r.body["affected"][0]["sessions"][0]["ip"], "10.20.0.3");
    let foreign = &r.body["affected"][3]["sessions"][0];
    assert_eq!((&foreign["kind"], &foreign["smf"]), (&json!("foreign"), &json!("core-smf")));
    assert_eq!(foreign["id"], "001010000000004-00000000c0ffee04");
    assert_eq!(w.control.was_asked(), Vec::<String>::new());
    let r = w.post("/api/v1/revocations", body(false)).await.is(200);
    assert_eq!((&r.body["scope"], &r.body["sims"]), (&json!("person"), &json!(3)));
    assert!(w.control.was_asked()[0].starts_with("ban person tanaka stolen by owner"));
    let wrong = json!({ "scope": "planet", "value": "", "state": "active", "reason": "" });
    let r = w.post("/api/v1/revocations", wrong).await.is(422);
    assert_eq!(r.pointers(), ["/reason", "/scope", "/state"]);
    let wrong = json!({ "scope": "imei", "value": "35", "state": "lost", "reason": "x" });
    assert_eq!(w.post("/api/v1/revocations", wrong).await.is(422).pointers(), ["/value"]);
    let none = json!({ "scope": "site", "value": "nobody", "state": "lost", "reason": "x" });
    w.post("/api/v1/revocations", none).await.is(404);
}

#[tokio::test]
async fn an_unban_waits_for_a_second_person_where_one_is_needed() {
    let w = world().await;
    w.control.second_person.store(true, Ordering::Relaxed);
    w.post(&path("/unban"), json!({ "reason": "found" })).await.is(409);
    w.post(&path("/ban"), json!({ "state": "lost", "reason": "x" })).await.is(200);
    let asked = w.post(&path("/unban"), json!({ "reason": "found", "ticket": "T-1" })).await.is(202);
    assert_eq!((&asked.body["state"], &asked.body["ticket"]), (&json!("open"), &json!("T-1")));
    w.post(&path("/unban"), json!({ "reason": "again" })).await.is(409);
    let id = asked.body["id"].as_str().unwrap();
    let approve = format!("/api/v1/unban-requests/{id}/approve");
    // Not by the one who asked, and not by anybody without the right.
    let r = w.post(&approve, json!({ "reason": "me" })).await.is(403);
    assert_eq!(r.body["type"], "urn:sekisho:problem:same-person");
    let other = w.token_with(&["unban"]).await;
    w.call("POST", &approve).token(&other).json(json!({ "reason": "yes" })).send().await.is(403);
    assert_eq!(w.get(&path("")).await.is(200).body["state"], "lost");
    let second = w.token_with(&["approve"]).await;
    let r = w.call("POST", &approve).token(&second).json(json!({ "reason": "seen it" })).send().await.is(200);
    assert_eq!((&r.body["kind"], &r.body["state"]), (&json!("unban"), &json!("active")));
    let list = w.get("/api/v1/unban-requests?state=approved").await.is(200);
    assert_eq!(list.body["items"][0]["words"], json!(""));
    // It is used up.
    let r = w.call("POST", &approve).token(&second).json(json!({ "reason": "again" })).send().await;
    r.is(409);

    w.post(&path("/ban"), json!({ "state": "lost", "reason": "x" })).await.is(200);
    let asked = w.post(&path("/unban"), json!({ "reason": "found" })).await.is(202);
    let refuse = format!("/api/v1/unban-requests/{}/refuse", asked.body["id"].as_str().unwrap());
    let r = w.call("POST", &refuse).token(&second).json(json!({ "reason": "no" })).send().await.is(200);
    assert_eq!((&r.body["state"], &r.body["words"]), (&json!("refused"), &json!("no")));
    assert_eq!(w.get(&path("")).await.is(200).body["state"], "lost");
}
