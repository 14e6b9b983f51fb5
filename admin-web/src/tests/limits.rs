//! Rights that are limited to groups and sites, and tokens that are limited to addresses.

use super::{IMSI, World, sim_body};
use crate::{new_token, state::now};
use serde_json::{Value, json};
use store::Within;
use types::Utc;

const OTHER: &str = "001010000000002";

/// SIM 1 in `staff` at Osaka, linked to Tanaka; SIM 2 in `plc` at Kobe, linked to Sato.
async fn company() -> World {
    let w = World::with_site().await;
    w.post("/api/v1/groups", json!({ "name": "plc" })).await.is(201);
    for id in ["tanaka", "sato", "nobody"] {
        w.post("/api/v1/people", json!({ "id": id, "name": id })).await.is(201);
    }
    for id in ["osaka", "kobe"] {
        w.post("/api/v1/sites", json!({ "id": id, "name": id })).await.is(201);
    }
    for (imsi, k, group, site, person) in [
        (IMSI, "465b5ce8b199b49faa5f0a2ee238a6bc", "staff", "osaka", "tanaka"),
        (OTHER, "465b5ce8b199b49faa5f0a2ee238a6bd", "plc", "kobe", "sato"),
    ] {
        let mut body = sim_body();
        body["imsi"] = json!(imsi);
        body["k"] = json!(k);
        body["groups"] = json!([group]);
        body["site"] = json!(site);
        body["person"] = json!(person);
        w.post("/api/v1/sims", body).await.is(201);
    }
    w
}

async fn limited(w: &World, limits: Value) -> String {
    let mut body = json!({ "label": "limited", "roles": ["owner"] });
    body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    w.token_of(body).await
}

#[tokio::test]
async fn who_is_limited_sees_and_touches_only_what_lies_within() {
    let w = company().await;
    for limits in [
        json!({ "groups": ["staff"] }),
        json!({ "sites": ["osaka"] }),
        json!({ "groups": ["staff"], "sites": ["osaka", "kobe"] }),
    ] {
        let t = limited(&w, limits.clone()).await;
        let get = async |path: &str| w.call("GET", path).token(&t).send().await;
        let ids = |v: &Value, field: &str| -> Vec<String> {
            v["items"].as_array().unwrap().iter().map(|i| i[field].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(&get("/api/v1/sims").await.is(200).body, "imsi"), [IMSI], "{limits}");
        assert_eq!(ids(&get("/api/v1/sims?limit=1&q=laptop").await.is(200).body, "imsi"), [IMSI]);
        assert_eq!(ids(&get("/api/v1/sims?group=plc").await.is(200).body, "imsi"), [""; 0]);
        assert_eq!(ids(&get("/api/v1/sessions").await.is(200).body, "imsi"), [IMSI]);
        assert_eq!(ids(&get("/api/v1/people").await.is(200).body, "id"), ["tanaka"]);
        get(&format!("/api/v1/sims/{IMSI}")).await.is(200);
        // One that is there and one that is not look the same.
        let outside = get(&format!("/api/v1/sims/{OTHER}")).await.is(403);
        let nowhere = get("/api/v1/sims/001019999999999").await.is(403);
        assert_eq!(outside.body["detail"], nowhere.body["detail"]);
        get(&format!("/api/v1/sims/{OTHER}/timeline")).await.is(403);
        get("/api/v1/people/tanaka").await.is(200);
        get("/api/v1/people/sato").await.is(403);
        get("/api/v1/rules").await.is(403);
        get("/api/v1/groups").await.is(200);
        get("/api/v1/events").await.is(403);
        get("/api/v1/audit").await.is(403);
        get("/api/v1/tokens").await.is(403);
        get(&format!("/api/v1/decisions?imsi={OTHER}&address=10.10.1.5&service=tcp/443")).await.is(403);
        get(&format!("/api/v1/decisions?imsi={IMSI}&address=10.10.1.5&service=tcp/443")).await.is(200);
        w.control.was_asked();

        let post = async |path: String, body: Value| w.call("POST", &path).token(&t).json(body).send().await;
        let lost = json!({ "state": "lost", "reason": "left in a train" });
        post(format!("/api/v1/sims/{OTHER}/ban"), lost.clone()).await.is(403);
        post(format!("/api/v1/sims/{OTHER}/unban"), json!({ "reason": "found" })).await.is(403);
        post(format!("/api/v1/sims/{OTHER}/state"), json!({ "state": "suspended", "reason": "x" }))
            .await
            .is(403);
        w.call("DELETE", &format!("/api/v1/sessions/{OTHER}-1")).token(&t).send().await.is(403);
        post("/api/v1/people".to_owned(), json!({ "id": "mine", "name": "Mine" })).await.is(403);
        post("/api/v1/apps".to_owned(), json!({ "name": "a", "prefixes": ["10.10.1.5/32"] })).await.is(403);
        assert_eq!(w.control.was_asked(), Vec::<String>::new(), "nothing happened to the other");
        post(format!("/api/v1/sims/{IMSI}/ban"), lost).await.is(200);
        post(format!("/api/v1/sims/{IMSI}/unban"), json!({ "reason": "found" })).await.is(200);
        w.call("DELETE", &format!("/api/v1/sessions/{IMSI}-1")).token(&t).send().await.is(204);
    }
}

#[tokio::test]
async fn nobody_moves_a_sim_across_his_limits() {
    let w = company().await;
    let t = limited(&w, json!({ "groups": ["staff"] })).await;
    let patch = async |imsi: &str, body: Value| {
        w.call("PATCH", &format!("/api/v1/sims/{imsi}"))
            .token(&t)
            .if_match("*")
            .json(body)
            .send()
            .await
            .status
    };
    assert_eq!(patch(IMSI, json!({ "label": "mine" })).await, 200);
    assert_eq!(patch(IMSI, json!({ "groups": ["staff", "plc"] })).await, 403, "into a group of others");
    assert_eq!(patch(IMSI, json!({ "groups": [] })).await, 403, "out of one's own sight");
    assert_eq!(patch(OTHER, json!({ "groups": ["staff"] })).await, 403, "another's SIM to oneself");
    assert_eq!(patch(OTHER, json!({ "label": "mine" })).await, 403);
    let make = async |imsi: &str, k: &str, groups: Value| {
        let mut body = sim_body();
        (body["imsi"], body["k"], body["groups"]) = (json!(imsi), json!(k), groups);
        w.call("POST", "/api/v1/sims").token(&t).json(body).send().await.status
    };
    assert_eq!(make("001010000000003", "465b5ce8b199b49faa5f0a2ee238a6be", json!(["plc"])).await, 403);
    assert_eq!(make("001010000000003", "465b5ce8b199b49faa5f0a2ee238a6be", json!([])).await, 403);
    assert_eq!(make("001010000000003", "465b5ce8b199b49faa5f0a2ee238a6be", json!(["staff"])).await, 201);

    let osaka = limited(&w, json!({ "sites": ["osaka"] })).await;
    let move_it = async |body: Value| {
        w.call("PATCH", &format!("/api/v1/sims/{IMSI}"))
            .token(&osaka)
            .if_match("*")
            .json(body)
            .send()
            .await
            .status
    };
    assert_eq!(move_it(json!({ "site": "kobe" })).await, 403);
    assert_eq!(move_it(json!({ "site": null })).await, 403);
    let tanaka = |owner: &str| json!({ "id": "tanaka", "name": owner });
    let put = async |id: &str, body: Value| {
        w.call("PUT", &format!("/api/v1/people/{id}"))
            .token(&osaka)
            .if_match("*")
            .json(body)
            .send()
            .await
            .status
    };
    assert_eq!(put("tanaka", tanaka("Tanaka")).await, 200);
    assert_eq!(put("sato", json!({ "id": "sato", "name": "Mine" })).await, 403);
    assert_eq!(
        put("nobody", json!({ "id": "nobody", "name": "Mine" })).await,
        403,
        "whom no SIM of mine is linked to"
    );
}

#[tokio::test]
async fn who_is_limited_to_a_group_writes_rules_about_that_group() {
    let w = company().await;
    w.post("/api/v1/apps", json!({ "name": "wiki", "prefixes": ["10.10.1.5/32"], "services": ["tcp/443"] }))
        .await
        .is(201);
    let t = limited(&w, json!({ "groups": ["staff"] })).await;
    let rule = |name: &str, subject: &str| json!({ "name": name, "order": 1, "subject": subject, "app": "wiki", "direction": "out", "verdict": "allow" });
    let make = async |name: &str, subject: &str| {
        w.call("POST", "/api/v1/rules").token(&t).json(rule(name, subject)).send().await.status
    };
    assert_eq!(make("r1", "group:staff").await, 201);
    assert_eq!(make("r2", "group:plc").await, 403);
    assert_eq!(make("r3", "any").await, 403);
    w.post("/api/v1/rules", rule("theirs", "group:plc")).await.is(201);
    let put = async |name: &str, subject: &str| {
        let call = w.call("PUT", &format!("/api/v1/rules/{name}")).token(&t).if_match("*");
        call.json(rule(name, subject)).send().await.status
    };
    assert_eq!(put("r1", "any").await, 403);
    assert_eq!(put("theirs", "group:staff").await, 403, "another's rule made one's own");
    assert_eq!(put("r1", "group:staff").await, 200);
    let delete = async |name: &str| {
        w.call("DELETE", &format!("/api/v1/rules/{name}")).token(&t).if_match("*").send().await.status
    };
    assert_eq!((delete("theirs").await, delete("ghost").await, delete("r1").await), (403, 403, 204));
}

#[tokio::test]
async fn a_limited_right_is_given_on_only_within_its_limits() {
    let w = company().await;
    let chief = w.signed_in("chief", json!([{ "roles": ["owner"] }])).await;
    let make = async |body: Value| w.call("POST", "/api/v1/tokens").token(&chief).json(body).send().await;
    make(json!({ "label": "x", "roles": ["soc"], "sites": ["osaka"] })).await.is(201);
    let r = make(json!({ "label": "x", "roles": ["soc", "king"], "sites": ["ghost"] })).await.is(422);
    assert_eq!(r.pointers(), ["/roles/1"]);
    let r = make(json!({ "label": "x", "roles": ["soc"], "groups": ["ghost"], "sites": ["ghost"] }))
        .await
        .is(422);
    assert_eq!(r.pointers(), ["/groups", "/sites"]);
    assert_eq!(make(json!({ "label": "x" })).await.is(422).pointers(), ["/roles"]);
    // Two grants: everything at Osaka, and making tokens everywhere.
    let grants = json!([{ "roles": ["owner"], "sites": ["osaka"] }, { "scopes": ["tokens", "read"] }]);
    let some = w.signed_in("some", grants).await;
    let make = async |body: Value| w.call("POST", "/api/v1/tokens").token(&some).json(body).send().await;
    make(json!({ "label": "x", "scopes": ["ban"], "sites": ["osaka"] })).await.is(201);
    make(json!({ "label": "x", "scopes": ["read"] })).await.is(201);
    assert_eq!(
        make(json!({ "label": "x", "scopes": ["read", "ban"] })).await.is(422).pointers(),
        ["/scopes/1"]
    );
    assert_eq!(
        make(json!({ "label": "x", "scopes": ["ban"], "sites": ["osaka", "kobe"] })).await.is(422).pointers(),
        ["/scopes/0"]
    );
    // Each grant by its own limits: the bans of the one are not everywhere because the reading of the other is.
    let ban = async |imsi: &str| {
        let call = w.call("POST", &format!("/api/v1/sims/{imsi}/ban")).token(&some);
        call.json(json!({ "state": "lost", "reason": "x" })).send().await.status
    };
    assert_eq!((ban(IMSI).await, ban(OTHER).await), (200, 403));
    w.call("GET", &format!("/api/v1/sims/{OTHER}")).token(&some).send().await.is(200);
}

#[tokio::test]
async fn a_limited_ban_works_while_the_database_does_not_answer() {
    let w = company().await;
    let t = limited(&w, json!({ "sites": ["osaka"] })).await;
    let within = Within { sites: ["osaka".parse().unwrap()].into(), ..Within::default() };
    let reach = crate::Reach::Within(vec![within]);
    // Read behind the request that made the token.
    while w.state.reaches.contains(&reach, IMSI.parse().unwrap()).is_none() {
        tokio::task::yield_now().await;
    }
    w.store.close().await;
    let ban = async |imsi: &str| {
        let call = w.call("POST", &format!("/api/v1/sims/{imsi}/ban")).token(&t);
        call.json(json!({ "state": "lost", "reason": "x" })).send().await
    };
    ban(OTHER).await.is(403);
    w.control.was_asked();
    ban(IMSI).await.is(200);
    assert_eq!(w.control.was_asked().len(), 1);
}

#[tokio::test]
async fn a_token_counts_only_from_its_addresses_and_the_audit_says_from_where() {
    let w = World::new().await;
    let t = w
        .token_of(
            json!({ "label": "script", "roles": ["owner"], "addresses": ["10.1.2.0/16", "2001:db8::/32"] }),
        )
        .await;
    let from = async |ip: &str| w.call("GET", "/api/v1/sims").token(&t).from(ip).send().await.status;
    for (ip, status) in [
        ("10.1.255.7", 200),
        ("::ffff:10.1.0.1", 200),
        ("2001:db8::7", 200),
        ("10.2.0.1", 401),
        ("127.0.0.1", 401),
        ("2001:db9::1", 401),
    ] {
        assert_eq!(from(ip).await, status, "{ip}");
    }
    assert_eq!(
        w.call("GET", "/api/v1/sims").token(&t).send().await.status,
        401,
        "by no network is from no prefix"
    );
    let listed = w.get("/api/v1/tokens").await.is(200);
    assert!(listed.text.contains("10.1.0.0/16"), "in the canonical form: {}", listed.text);
    let bad = json!({ "label": "x", "roles": ["viewer"], "addresses": ["10.1.2.3"] });
    assert_eq!(w.post("/api/v1/tokens", bad).await.is(422).pointers(), ["/addresses/0"]);

    let make = |id: &str| json!({ "id": id, "name": "x" });
    w.call("POST", "/api/v1/people").token(&t).from("10.1.9.9").json(make("a")).send().await.is(201);
    w.post("/api/v1/people", make("b")).await.is(201);
    let who = w.call("GET", "/api/v1/me").token(&t).from("10.1.9.9").send().await.is(200);
    assert_eq!((&who.body["origin"], &who.body["operator"]), (&json!("10.1.9.9"), &Value::Null));
}

#[tokio::test]
async fn a_token_that_was_idle_for_too_long_counts_no_more() {
    let w = World::new().await;
    let ago = |minutes: i64| Utc(now().0 - minutes * 60_000);
    for (n, made, used, idle, status) in [
        (1, 10, None, Some(5), 401),
        (2, 10, None, Some(15), 200),
        (3, 100, Some(10), Some(15), 200),
        (4, 100, Some(20), Some(15), 401),
        (5, 100, None, None, 200),
    ] {
        let (secret, mut row) = new_token([n; 32], "x", crate::Scope::ALL, None, "x", ago(made));
        row.idle_ms = idle.map(|m: i64| m * 60_000);
        let id = row.id.clone();
        w.store.create_token(row, &store::Change::by_system("x", now())).await.unwrap();
        if let Some(m) = used {
            w.store.tokens_used(vec![(id, ago(m))]).await.unwrap();
        }
        w.state.tokens.read(&w.store, now()).await.unwrap();
        let r = w.call("GET", "/api/v1/sims").token(secret.expose()).send().await;
        assert_eq!(r.status, status, "token {n}");
    }
}
