//! Passkeys at the API and at the door, as far as no authenticator is needed; the rest is judged in a browser (ui/e2e).

use super::{Answer, World};
use serde_json::{Value, json};

async fn world() -> World {
    let mut w = World::new().await;
    w.state = w.state.clone().passkeys_at("sekisho.example");
    w.app = crate::router(w.state.clone());
    w
}

async fn page(w: &World, host: &str) -> Answer {
    w.bare("GET", "/sign-in/passkey?next=/sims")
        .header("host", host)
        .header("accept", "text/html")
        .page()
        .await
}

#[tokio::test]
async fn where_no_host_name_is_configured_there_are_none_and_it_is_said() {
    let w = World::new().await;
    let token = w.signed_in("hanako", json!([{ "roles": ["owner"] }])).await;
    let me = w.call("GET", "/api/v1/me/passkeys").token(&token).send().await.is(200);
    assert_eq!(me.body, json!({ "host": null, "items": [] }));
    let body = json!({ "password": "x" });
    let r = w.call("POST", "/api/v1/me/passkeys/challenge").token(&token).json(body).send().await.is(409);
    assert!(r.body["fix"].as_str().unwrap().contains("api.host"), "{}", r.text);
    assert_eq!(page(&w, "sekisho.example").await.is(303).header("location"), "/sign-in");
    let door = w.bare("GET", "/sign-in").page().await.is(200);
    assert!(!door.text.contains("passkey"), "{}", door.text);
    for address in ["10.0.0.5", "::1", "sekisho example", ""] {
        assert!(World::new().await.state.passkeys_at(address).passkeys.is_none(), "{address}");
    }
}

#[tokio::test]
async fn the_page_has_one_script_of_ours_and_says_why_it_cannot_be_done_by_an_address() {
    let w = world().await;
    let door = w.bare("GET", "/sign-in?next=/sims").page().await;
    assert!(!door.text.contains("<script"), "{}", door.text);
    let r = page(&w, "sekisho.example:8443").await.is(200);
    assert!(r.text.contains("<script src=\"/sign-in/passkey.js\"></script>"), "{}", r.text);
    assert!(r.text.contains("&quot;userVerification&quot;:&quot;required&quot;"), "{}", r.text);
    let policy = r.header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let script = w.bare("GET", "/sign-in/passkey.js").page().await.is(200);
    assert!(script.header("content-type").starts_with("text/javascript"));
    for host in ["10.0.0.5:8443", "[::1]:8443", "other.example"] {
        let r = page(&w, host).await.is(200);
        assert!(
            r.text.contains("bound to the name sekisho.example") && !r.text.contains("<script"),
            "{}",
            r.text
        );
    }
}

#[tokio::test]
async fn what_proves_nothing_lets_nobody_in_and_registers_nothing() {
    let w = world().await;
    let password = w.operator_of_his_own("hanako", json!([{ "roles": ["owner"] }])).await;
    let signed = w.sign_in("10.0.0.1", json!({ "name": "hanako", "password": password })).await.is(200);
    let token = signed.body["token"].as_str().unwrap().to_owned();
    let post = async |path: &str, key: &str, body: Value| {
        let call = w.call("POST", path).token(&token).from("10.0.0.1").header("idempotency-key", key);
        call.json(body).receive().await
    };
    let wrong =
        post("/api/v1/me/passkeys/challenge", "1", json!({ "password": "a guess of his" })).await.is(422);
    assert_eq!(wrong.pointers(), ["/password"]);
    let asked = post("/api/v1/me/passkeys/challenge", "2", json!({ "password": password })).await.is(200);
    let options = &asked.body["options"];
    assert_eq!(
        (&options["rp"]["id"], &options["user"]["name"]),
        (&json!("sekisho.example"), &json!("hanako"))
    );
    let selection = &options["authenticatorSelection"];
    assert_eq!(
        (&selection["residentKey"], &selection["userVerification"]),
        (&json!("required"), &json!("required"))
    );
    let state = asked.body["state"].clone();
    let new =
        |state: &Value, name: &str| json!({ "name": name, "state": state, "credential": { "id": "AAAA" } });
    let register = async |key: &str, body: Value| post("/api/v1/me/passkeys", key, body).await.is(422);
    assert_eq!(register("3", new(&state, "")).await.pointers(), ["/name"]);
    assert_eq!(register("4", new(&json!("AAAA"), "Laptop")).await.pointers(), ["/state"]);
    assert_eq!(register("5", new(&state, "Laptop")).await.pointers(), ["/credential"]);
    assert_eq!(register("6", new(&state, "Laptop")).await.pointers(), ["/state"], "it counts once");
    let list = w.call("GET", "/api/v1/me/passkeys").token(&token).send().await.is(200);
    assert_eq!(list.body, json!({ "host": "sekisho.example", "items": [] }));
    w.call("DELETE", "/api/v1/me/passkeys/AAAA").token(&token).send().await.is(404);

    // At the door: a stranger's credential; and one that is known, with an answer that proves nothing.
    let row = store::PasskeyRow {
        id: "AAAA".to_owned(),
        operator: "hanako".parse().unwrap(),
        name: "Laptop".to_owned(),
        credential: "{}".to_owned(),
        created: types::Utc(0),
        last_used: None,
    };
    w.store.add_passkey(row, &store::Change::by_system("test", types::Utc(0))).await.unwrap();
    for (id, object) in [("BBBB", "operator:?"), ("AAAA", "operator:hanako")] {
        let shown = page(&w, "sekisho.example").await;
        let state = shown.text.split("name=\"state\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let body = format!("state={state}&credential=%7B%22id%22%3A%22{id}%22%7D&next=%2F");
        let call = w.bare("POST", "/sign-in/passkey").from("10.0.0.1").header("host", "sekisho.example");
        let call =
            call.header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
        let forged = call.header("sec-fetch-site", "cross-site").raw(body.clone()).page().await;
        assert_eq!(forged.status, 403, "{}", forged.text);
        let call = w.bare("POST", "/sign-in/passkey").from("10.0.0.1").header("host", "sekisho.example");
        let call =
            call.header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
        let r = call.header("sec-fetch-site", "same-origin").raw(body).page().await.is(401);
        assert_eq!(r.header("set-cookie"), "");
        assert!(r.text.contains("not known here"), "{}", r.text);
        let audit =
            w.get(&format!("/api/v1/audit?action=operator.sign-in-refused&object={object}")).await.is(200);
        assert!(!audit.body["items"].as_array().unwrap().is_empty(), "{id}: {}", audit.text);
    }
}
