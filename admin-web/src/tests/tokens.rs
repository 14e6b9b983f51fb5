//! Tokens: shown once, kept by hash, ended by time or by hand.

use super::World;
use crate::{AppState, Scope, new_token, router, state::now};
use serde_json::json;
use types::Utc;

#[tokio::test]
async fn a_token_is_shown_once() {
    let w = World::new().await;
    let body =
        json!({ "label": "SOC playbook", "scopes": ["read", "ban"], "expires": "2099-01-01T00:00:00Z" });
    let send = async || {
        w.call("POST", "/api/v1/tokens").header("idempotency-key", "t").json(body.clone()).send().await
    };
    let made = send().await.is(201);
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("sekisho_") && secret.len() == 72, "{secret}");
    let again = send().await.is(201);
    assert_eq!((&again.body["secret"], &again.body["id"]), (&json!(null), &made.body["id"]));
    let list = w.get("/api/v1/tokens").await.is(200);
    assert_eq!(list.body["items"].as_array().unwrap().len(), 2);
    for text in [&list.text, &w.get("/api/v1/audit").await.text] {
        assert!(!text.contains(&secret[8..]), "the secret is nowhere else");
    }
    w.call("GET", "/api/v1/sims").token(&secret).send().await.is(200);
    w.call("GET", "/api/v1/tokens").token(&secret).send().await.is(403);
}

#[tokio::test]
async fn a_revoked_or_expired_token_counts_no_more() {
    let w = World::new().await;
    let made = w.post("/api/v1/tokens", json!({ "label": "x", "scopes": ["read"] })).await.is(201);
    let (id, secret) = (made.body["id"].as_str().unwrap(), made.body["secret"].as_str().unwrap());
    w.call("GET", "/api/v1/sims").token(secret).send().await.is(200);
    w.call("DELETE", &format!("/api/v1/tokens/{id}")).send().await.is(204);
    w.call("GET", "/api/v1/sims").token(secret).send().await.is(401);
    w.call("DELETE", &format!("/api/v1/tokens/{id}")).send().await.is(409);
    w.call("DELETE", "/api/v1/tokens/none").send().await.is(404);

    let (secret, row) = new_token([9; 32], "old", Scope::ALL, Some(Utc(now().0 - 1)), "init", now());
    w.store.create_token(row, &store::Change::by_system("init", now())).await.unwrap();
    let state = AppState::new(w.control.clone(), w.store.clone(), w.flows.clone()).await.unwrap();
    let w = World { app: router(state), ..w };
    w.call("GET", "/api/v1/sims").token(secret.expose()).send().await.is(401);
}

#[tokio::test]
async fn nobody_gives_a_right_that_he_has_not() {
    let w = World::new().await;
    let clerk = w.token_with(&["tokens", "read"]).await;
    let make = async |body: serde_json::Value| {
        w.call("POST", "/api/v1/tokens").token(&clerk).json(body).send().await
    };
    let r = make(json!({ "label": "mine", "scopes": ["read", "unban"] })).await.is(422);
    assert_eq!(r.pointers(), ["/scopes/1"]);
    let r =
        make(json!({ "label": " ", "scopes": ["root"], "expires": "2001-01-01T00:00:00Z" })).await.is(422);
    assert_eq!(r.pointers(), ["/label", "/scopes/0", "/expires"]);
    make(json!({ "label": "mine", "scopes": ["read"] })).await.is(201);
}

#[tokio::test]
async fn the_scheme_is_bearer_and_nothing_else() {
    let w = World::new().await;
    for value in
        [w.owner.clone(), format!("Basic {}", w.owner), "Bearer".to_owned(), format!("Bearer x{}", w.owner)]
    {
        w.call("GET", "/api/v1/sims").header("authorization", &value).send().await.is(401);
    }
    w.call("GET", "/api/v1/sims")
        .header("authorization", &format!("bearer {}", w.owner))
        .send()
        .await
        .is(200);
}
