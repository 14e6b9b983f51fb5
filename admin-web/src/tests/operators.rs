//! Operators: sign-in with password and code, guessing, and who may change whom.

use super::{Answer, World};
use crate::{state::now, totp};
use serde_json::{Value, json};

fn owner() -> Value {
    json!([{ "roles": ["owner"] }])
}

/// A refusal without the request's id.
fn said(r: &Answer) -> Value {
    let mut body = r.body.clone();
    body.as_object_mut().unwrap().remove("request_id");
    body
}

#[tokio::test]
async fn an_operator_signs_in_acts_under_his_name_and_signs_out() {
    let w = World::with_site().await;
    let password = w.operator_of_his_own("hanako", json!([{ "roles": ["provisioner"] }])).await;
    let r = w.sign_in("10.0.0.1", json!({ "name": "hanako", "password": password })).await.is(200);
    let token = r.body["token"].as_str().unwrap().to_owned();
    assert_eq!(r.body["idle_minutes"], 30);
    let made = w.call("POST", "/api/v1/people").token(&token).from("10.0.0.1");
    made.json(json!({ "id": "a", "name": "A" })).send().await.is(201);
    let audit = w.get("/api/v1/audit?object=person:a").await.is(200);
    assert_eq!(audit.body["items"][0]["actor"], "operator:hanako");
    w.call("GET", "/api/v1/operators").token(&token).send().await.is(403);
    let me = w.call("GET", "/api/v1/me").token(&token).send().await.is(200);
    assert_eq!((&me.body["operator"], &me.body["second_factor"]), (&json!("hanako"), &json!(false)));
    assert!(me.body["scopes"].as_array().unwrap().contains(&json!("provision")));
    let sign_ins = w.get("/api/v1/audit?object=operator:hanako").await.is(200);
    assert_eq!(sign_ins.body["items"][0]["action"], "operator.sign-in");

    w.call("POST", "/api/v1/sign-out").token(&token).send().await.is(204);
    w.call("GET", "/api/v1/sims").token(&token).send().await.is(401);
    w.post("/api/v1/sign-out", Value::Null).await.is(403);

    let everything =
        [w.get("/api/v1/operators").await.text, w.get("/api/v1/audit?limit=1000").await.text].concat();
    assert!(!everything.contains(&password) && !everything.contains("$argon2"), "the password is nowhere");
}

#[tokio::test]
async fn every_refusal_says_the_same_after_the_same_work() {
    let w = World::new().await;
    let password = w.operator("hanako", owner()).await;
    let off = w.operator("taro", owner()).await;
    let disable = w.call("PATCH", "/api/v1/operators/taro").if_match("*").json(json!({ "disabled": true }));
    disable.send().await.is(200);
    // The stand-in that unknown names are held against is made once.
    w.sign_in("10.9.9.9", json!({ "name": "first", "password": "x" })).await.is(401);
    let mut answers = Vec::new();
    for (name, password) in [
        ("hanako", "wrong"),
        ("nobody", password.as_str()),
        ("not a name", "x"),
        ("taro", off.as_str()),
        ("taro", "wrong"),
    ] {
        let before = w.state.passwords.checks();
        let r = w.sign_in("10.0.0.1", json!({ "name": name, "password": password })).await.is(401);
        assert_eq!(w.state.passwords.checks() - before, 1, "{name}: one check of a password");
        answers.push(said(&r));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // A name that cannot be one may be a password in the wrong field.
    let audit = w.get("/api/v1/audit?limit=1000").await.text;
    assert!(
        audit.contains("operator:nobody") && audit.contains("operator:?") && !audit.contains("not a name")
    );
}

#[tokio::test]
async fn guessing_locks_out_the_guesser_and_not_the_owner() {
    let w = World::new().await;
    let password = w.operator("hanako", owner()).await;
    let right = json!({ "name": "hanako", "password": password });
    for _ in 0..5 {
        w.sign_in("10.0.0.66", json!({ "name": "hanako", "password": "guess" })).await.is(401);
    }
    let before = w.state.passwords.checks();
    let r = w.sign_in("10.0.0.66", right.clone()).await.is(429);
    assert_eq!(w.state.passwords.checks(), before, "no work is done for him");
    let seconds: u64 = r.header("retry-after").parse().unwrap();
    assert!((55..=60).contains(&seconds), "{seconds}");
    w.sign_in("10.0.0.7", right).await.is(200);
    // Names that are not there wait just the same.
    for _ in 0..5 {
        w.sign_in("10.0.0.66", json!({ "name": "ghost", "password": "guess" })).await.is(401);
    }
    let ghost = w.sign_in("10.0.0.66", json!({ "name": "ghost", "password": "guess" })).await.is(429);
    assert_eq!(ghost.body["title"], r.body["title"]);
    let audit = w.get("/api/v1/audit?object=operator:hanako&limit=1000").await.is(200);
    let refused =
        audit.body["items"].as_array().unwrap().iter().filter(|i| i["action"] == "operator.sign-in-refused");
    assert_eq!(refused.count(), 5);
}

#[tokio::test]
async fn a_second_factor_is_shown_once_proven_and_each_code_taken_once() {
    let w = World::new().await;
    let password = w.operator_of_his_own("hanako", owner()).await;
    let sign_in = async |code: Option<String>| {
        w.sign_in("10.0.0.1", json!({ "name": "hanako", "password": password, "code": code })).await
    };
    let token = sign_in(None).await.is(200).body["token"].as_str().unwrap().to_owned();
    let put = async |body: Value| {
        w.call("PUT", "/api/v1/me/second-factor").token(&token).if_match("*").json(body).send().await
    };
    assert_eq!(put(json!({ "password": "wrong" })).await.is(422).pointers(), ["/password"]);
    assert_eq!(
        put(json!({ "password": password, "code": "123456" })).await.is(422).pointers(),
        ["/code"],
        "nothing was shown"
    );
    let shown = put(json!({ "password": password })).await.is(200);
    assert_eq!(shown.body["set_up"], false);
    let text = shown.body["secret"].as_str().unwrap();
    assert!(shown.body["uri"].as_str().unwrap().contains(text));
    let octets = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap();
    let secret = totp::Secret::new(octets.try_into().unwrap());
    let here = totp::step(now());
    w.sign_in("10.0.0.1", json!({ "name": "hanako", "password": password })).await.is(200);
    assert_eq!(put(json!({ "password": password, "code": "000000" })).await.is(422).pointers(), ["/code"]);
    put(json!({ "password": password, "code": secret.code(here) })).await.is(200);

    let codes = [
        None,
        Some(String::new()),
        Some("000000".to_owned()),
        Some(secret.code(here)),
        Some(secret.code(here + 9)),
    ];
    for code in codes.into_iter().take(4) {
        sign_in(code.clone()).await.is(401);
    }
    let next = Some(secret.code(here + 1));
    let token = sign_in(next.clone()).await.is(200).body["token"].as_str().unwrap().to_owned();
    sign_in(next).await.is(401);
    let me = w.call("GET", "/api/v1/me").token(&token).send().await.is(200);
    assert_eq!(me.body["second_factor"], true);

    // Nothing but the two answers that it was meant for holds the secret, and the store holds it sealed.
    let row = w.store.operator(&"hanako".parse().unwrap()).await.unwrap();
    assert!(
        !row.totp
            .clone()
            .unwrap()
            .windows(4)
            .any(|b| b == &data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap()[..4])
    );
    for path in ["/api/v1/audit?limit=1000", "/api/v1/operators"] {
        assert!(!w.get(path).await.text.contains(text));
    }
    // Lost with the telephone: somebody who may takes it away.
    let take =
        w.call("PATCH", "/api/v1/operators/hanako").if_match("*").json(json!({ "second_factor": false }));
    take.send().await.is(200);
    w.call("GET", "/api/v1/me").token(&token).send().await.is(401);
    w.sign_in("10.0.0.2", json!({ "name": "hanako", "password": password })).await.is(200);
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_it_and_ends_every_sign_in() {
    let w = World::new().await;
    let password = w.operator("hanako", owner()).await;
    let sign_in = async |p: &str| w.sign_in("10.0.0.1", json!({ "name": "hanako", "password": p })).await;
    let (one, two) = (sign_in(&password).await.is(200), sign_in(&password).await.is(200));
    let token = |r: &Answer| r.body["token"].as_str().unwrap().to_owned();
    let put = async |body: Value| {
        w.call("PUT", "/api/v1/me/password").token(&token(&one)).if_match("*").json(body).send().await
    };
    let new = "a sentence that nobody guesses";
    assert_eq!(put(json!({ "old": "wrong", "new": new })).await.is(422).pointers(), ["/old"]);
    assert_eq!(put(json!({ "old": password, "new": "short" })).await.is(422).pointers(), ["/new"]);
    put(json!({ "old": password, "new": new })).await.is(204);
    for t in [token(&one), token(&two)] {
        w.call("GET", "/api/v1/me").token(&t).send().await.is(401);
    }
    sign_in(&password).await.is(401);
    sign_in(new).await.is(200);
    w.call("PUT", "/api/v1/me/password")
        .if_match("*")
        .json(json!({ "old": "x", "new": new }))
        .send()
        .await
        .is(403);
}

#[tokio::test]
async fn nobody_raises_himself_and_one_owner_always_stays() {
    let w = World::with_site().await;
    w.post("/api/v1/sites", json!({ "id": "osaka", "name": "Osaka" })).await.is(201);
    let hanako = w.signed_in("hanako", owner()).await;
    let clerk = w.signed_in("clerk", json!([{ "scopes": ["operators", "read"] }])).await;
    let patch = async |by: &str, who: &str, body: Value| {
        w.call("PATCH", &format!("/api/v1/operators/{who}")).token(by).if_match("*").json(body).send().await
    };
    let r = patch(&clerk, "clerk", json!({ "grants": [{ "roles": ["owner"] }] })).await.is(422);
    assert_eq!(r.pointers(), ["/grants/0/roles"]);
    patch(&clerk, "hanako", json!({ "new_password": true })).await.is(403);
    patch(&clerk, "hanako", json!({ "disabled": true })).await.is(403);
    let make = json!({ "name": "puppet", "display": "P", "grants": [{ "roles": ["soc"] }] });
    assert_eq!(
        w.call("POST", "/api/v1/operators").token(&clerk).json(make).send().await.is(422).pointers(),
        ["/grants/0/roles"]
    );
    let small =
        json!({ "name": "small", "display": "S", "grants": [{ "roles": ["viewer"], "sites": ["osaka"] }] });
    w.call("POST", "/api/v1/operators").token(&clerk).json(small).send().await.is(201);
    assert_eq!(
        patch(&clerk, "clerk", json!({ "second_factor": true })).await.is(422).pointers(),
        ["/second_factor"]
    );

    let last = patch(&hanako, "hanako", json!({ "disabled": true })).await.is(409);
    assert_eq!(last.body["type"], "urn:sekisho:problem:last-owner");
    patch(&hanako, "hanako", json!({ "grants": [{ "roles": ["viewer"] }] })).await.is(409);
    let only_osaka = json!([{ "roles": ["owner"], "sites": ["osaka"] }]);
    patch(&hanako, "hanako", json!({ "grants": only_osaka })).await.is(409);
    w.operator("taro", owner()).await;
    patch(&hanako, "hanako", json!({ "grants": [{ "roles": ["viewer"] }] })).await.is(200);
    w.call("GET", "/api/v1/me").token(&hanako).send().await.is(401);
    let reset = patch(&w.owner, "hanako", json!({ "new_password": true })).await.is(200);
    let password = reset.body["password"].as_str().unwrap();
    let r = w.sign_in("10.0.0.1", json!({ "name": "hanako", "password": password })).await.is(200);
    assert_eq!(r.body["password_must_change"], true, "whoever reset it has seen it");
}

#[tokio::test]
async fn a_password_that_was_made_for_somebody_opens_nothing_but_the_choice_of_his_own() {
    let w = World::new().await;
    let made = w.operator("hanako", owner()).await;
    assert_eq!(made.len(), 23);
    let r = w.sign_in("10.0.0.1", json!({ "name": "hanako", "password": made })).await.is(200);
    assert_eq!(r.body["password_must_change"], true);
    let token = r.body["token"].as_str().unwrap().to_owned();
    let me = w.call("GET", "/api/v1/me").token(&token).send().await.is(200);
    assert_eq!((&me.body["password_must_change"], &me.body["scopes"]), (&json!(true), &json!([])));
    for path in ["/api/v1/sims", "/api/v1/operators", "/api/v1/audit"] {
        w.call("GET", path).token(&token).send().await.is(403);
    }
    let put = async |body: Value| {
        w.call("PUT", "/api/v1/me/password").token(&token).if_match("*").json(body).send().await
    };
    assert_eq!(put(json!({ "old": made, "new": made })).await.is(422).pointers(), ["/new"]);
    let own = "a sentence that nobody guesses";
    put(json!({ "old": made, "new": own })).await.is(204);
    let r = w.sign_in("10.0.0.1", json!({ "name": "hanako", "password": own })).await.is(200);
    assert_eq!(r.body["password_must_change"], false);
    let token = r.body["token"].as_str().unwrap();
    w.call("GET", "/api/v1/operators").token(token).send().await.is(200);
}
