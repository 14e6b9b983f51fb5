//! Backups and the hold: who may, what is named, what is on record.

use super::World;
use serde_json::json;
use store::{Change, Hold, Marks};
use types::Utc;

#[tokio::test]
async fn a_backup_is_named_and_on_record() {
    let w = World::new().await;
    for name in ["", ".hidden", "../etc/passwd", "a b", &"x".repeat(101)] {
        let refused = w.post("/api/v1/backups", json!({ "name": name })).await.is(422);
        assert_eq!(refused.body["errors"][0]["pointer"], "/name", "{}", refused.text);
    }
    assert_eq!(w.control.was_asked(), Vec::<String>::new());
    let made = w.post("/api/v1/backups", json!({ "name": "monday.skbackup" })).await.is(201);
    assert_eq!(made.body["file"], "/backups/monday.skbackup");
    assert_eq!(w.control.was_asked(), ["backup monday.skbackup"]);
    assert!(w.get("/api/v1/audit").await.text.contains("system.backup"));
    let refused = w.post("/api/v1/backups", json!({ "name": "taken" })).await.is(409);
    assert!(refused.body["fix"].as_str().is_some_and(|f| f.contains("another name")), "{}", refused.text);
    let first = w.get("/api/v1/backups?limit=1").await.is(200).body;
    assert_eq!(
        (&first["items"][0]["name"], &first["next"]),
        (&json!("tuesday.skbackup"), &json!("tuesday.skbackup"))
    );
    let rest = w.get("/api/v1/backups?cursor=tuesday.skbackup").await.is(200).body;
    assert_eq!((&rest["items"][0]["octets"], &rest["next"]), (&json!(7), &json!(null)));
    assert_eq!(w.get("/api/v1/backups?cursor=gone").await.is(422).pointers(), ["?cursor"]);
}

#[tokio::test]
async fn a_hold_is_lifted_by_who_knows_the_list() {
    let w = World::new().await;
    let confirm = async |token: &str, banned: u64, key: &str| {
        w.call("POST", "/api/v1/system/hold/confirm")
            .token(token)
            .header("idempotency-key", key)
            .json(json!({ "banned": banned, "reason": "compared with the paper list" }))
            .send()
            .await
    };
    let owner = w.token_with(&["unban", "backup"]).await;
    confirm(&owner, 0, "1").await.is(409);
    let hold = Hold { since: Utc(2_000), backup: Utc(1_000), reason: "bans may be missing".to_owned() };
    let marks =
        Marks { hold: Some(hold), rest_until: Utc(3_000), sqn: vec![], note: serde_json::Value::Null };
    w.store.mark_restored(marks, &Change::by_system("restore", Utc(2_000))).await.unwrap();
    let seen = w.get("/api/v1/system/hold").await.is(200);
    assert_eq!((&seen.body["held"], &seen.body["banned"]), (&json!(true), &json!(0)));

    let soc = w.token_with(&["unban"]).await;
    confirm(&soc, 0, "2").await.is(403);
    let wrong = confirm(&owner, 7, "3").await.is(409);
    assert!(wrong.text.contains("0 SIMs are banned"), "{}", wrong.text);
    assert!(w.store.hold().await.unwrap().is_some(), "still held");
    w.control.was_asked();
    confirm(&owner, 0, "4").await.is(200);
    assert_eq!(w.control.was_asked(), ["hold_lifted"]);
    assert_eq!(w.store.hold().await.unwrap(), None);
    assert!(w.get("/api/v1/audit").await.text.contains("compared with the paper list"));
}
