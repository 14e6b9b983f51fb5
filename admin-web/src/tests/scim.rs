//! A provisioning client keeps people and groups (RFC 7643, RFC 7644), and SIMs follow.

use super::{Answer, IMSI, World, sim_body};
use serde_json::{Value, json};
use store::FactsOf;
use types::{Person, Proof, Utc};

const USERS: &str = "/signals/entra/scim/v2/Users";
const GROUPS: &str = "/signals/entra/scim/v2/Groups";

/// A source `entra` whose group SG-Eng means our group `eng`, and a token that may do this and nothing else.
async fn office() -> (World, String) {
    let w = World::with_site().await;
    w.post("/api/v1/groups", json!({ "name": "eng" })).await.is(201);
    let source =
        json!({ "name": "entra", "kind": "scim", "silent_after_s": 86400, "groups": { "SG-Eng": "eng" } });
    let made = w.post("/api/v1/posture/sources", source).await.is(201);
    assert_eq!(
        (&made.body["address"], &made.body["secret"]),
        (&json!("/signals/entra/scim/v2"), &Value::Null)
    );
    let token = w.token_with(&["scim"]).await;
    (w, token)
}

/// Asks as the client does.
async fn ask(w: &World, token: &str, method: &str, path: &str, body: Value) -> Answer {
    let call = w.bare(method, path).token(token);
    let call = if body.is_null() {
        call
    } else {
        call.header("content-type", "application/scim+json").raw(body.to_string())
    };
    if path.ends_with("/.search") { call.page().await } else { call.send().await }
}

fn tanaka() -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "externalId": "00u1",
            "userName": "tanaka@example.jp", "name": { "givenName": "Hanako", "familyName": "Tanaka" },
            "emails": [{ "value": "tanaka@example.jp", "type": "work", "primary": true }], "active": true })
}

async fn person(w: &World, id: &str) -> Person {
    w.store.entity::<Person>(&id.parse().unwrap()).await.unwrap().value
}

#[tokio::test]
async fn a_user_is_a_person_from_the_first_day_to_the_last() {
    let (w, t) = office().await;
    let made = ask(&w, &t, "POST", USERS, tanaka()).await.is(201);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let at = format!("{USERS}/{id}");
    assert_eq!((made.header("location"), made.header("etag")), (at.as_str(), "W/\"1\""));
    assert_eq!(made.header("content-type"), "application/scim+json");
    assert_eq!(
        (&made.body["meta"]["version"], &made.body["meta"]["location"]),
        (&json!("W/\"1\""), &json!(at))
    );
    let p = person(&w, "tanaka").await;
    assert_eq!((p.name.as_str(), p.mail.as_deref()), ("Hanako Tanaka", Some("tanaka@example.jp")));
    assert_eq!((p.external.as_deref(), p.ends_at), (Some("00u1"), None));

    let mut sim = sim_body();
    sim["person"] = json!("tanaka");
    w.post("/api/v1/sims", sim).await.is(201);
    let imsi: types::Imsi = IMSI.parse().unwrap();
    let by = store::Change::by_system("test", Utc(1));
    let proof =
        Proof { until: Utc(i64::MAX), level: "mfa".into(), source: "idp".parse().unwrap(), at: Utc(1) };
    w.store.set_assurance(vec![imsi], Some(proof), &by).await.unwrap();
    w.control.facts.lock().unwrap().clear();

    // As Entra ID says it.
    let off = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                      "Operations": [{ "op": "Replace", "path": "active", "value": "False" }] });
    assert_eq!(ask(&w, &t, "PATCH", &at, off).await.is(200).body["active"], false);
    assert!(person(&w, "tanaka").await.ends_at.is_some_and(|at| at.0 > 1), "who is not active has left");
    let facts = w.store.fact_rows(&FactsOf::Sims(vec![imsi])).await.unwrap();
    assert_eq!(facts[0].assurance, None, "nothing that they proved counts");
    let told = std::mem::take(&mut *w.control.facts.lock().unwrap());
    assert_eq!(told, [FactsOf::People(vec!["tanaka".parse().unwrap()])], "and it is judged at once");

    let on = json!({ "Operations": [{ "op": "replace", "value": { "active": true } }] });
    ask(&w, &t, "PATCH", &at, on).await.is(200);
    assert_eq!(person(&w, "tanaka").await.ends_at, None);
    ask(&w, &t, "DELETE", &at, Value::Null).await.is(204);
    assert!(
        person(&w, "tanaka").await.ends_at.is_some(),
        "who is deleted has left, and records still name them"
    );
    ask(&w, &t, "GET", &at, Value::Null).await.is(404);
    // The same user again is the same person, who stays ended until somebody says otherwise.
    ask(&w, &t, "POST", USERS, tanaka()).await.is(201);
    assert!(person(&w, "tanaka").await.ends_at.is_some());
}

#[tokio::test]
async fn who_was_ended_by_hand_is_not_brought_back_by_just_any_word() {
    let (w, t) = office().await;
    let made = ask(&w, &t, "POST", USERS, tanaka()).await.is(201);
    let at = format!("{USERS}/{}", made.body["id"].as_str().unwrap());
    let gone = json!({ "id": "tanaka", "name": "Hanako Tanaka", "ends_at": "2026-01-01T00:00:00Z" });
    w.call("PUT", "/api/v1/people/tanaka").if_match("*").json(gone).send().await.is(200);
    let title = json!({ "Operations": [{ "op": "add", "path": "title", "value": "Lead" }] });
    ask(&w, &t, "PATCH", &at, title).await.is(200);
    let mut whole = tanaka();
    whole["title"] = json!("Lead");
    ask(&w, &t, "PUT", &at, whole).await.is(200);
    assert!(person(&w, "tanaka").await.ends_at.is_some());
    let linked = w.call("DELETE", "/api/v1/people/tanaka").if_match("*").send().await.is(409);
    assert!(linked.body["linked"][0].as_str().unwrap().starts_with("scim-user:"), "{}", linked.text);
}

#[tokio::test]
async fn people_who_are_there_already_are_found_and_two_of_a_name_are_none() {
    let (w, t) = office().await;
    w.post("/api/v1/people", json!({ "id": "hanako", "name": "花子", "mail": "Tanaka@Example.jp" }))
        .await
        .is(201);
    ask(&w, &t, "POST", USERS, tanaka()).await.is(201);
    assert_eq!(person(&w, "hanako").await.external.as_deref(), Some("00u1"));
    let again = ask(&w, &t, "POST", USERS, tanaka()).await.is(409);
    assert_eq!((&again.body["scimType"], &again.body["status"]), (&json!("uniqueness"), &json!("409")));
    for id in ["s1", "s2"] {
        w.post("/api/v1/people", json!({ "id": id, "name": id, "mail": "s@example.jp" })).await.is(201);
    }
    ask(&w, &t, "POST", USERS, json!({ "userName": "s@example.jp" })).await.is(201);
    assert_eq!(person(&w, "s").await.mail.as_deref(), Some("s@example.jp"));
    assert!(person(&w, "s1").await.external.is_none());
}

#[tokio::test]
async fn sims_follow_the_groups_of_their_people() {
    let (w, t) = office().await;
    let user = ask(&w, &t, "POST", USERS, tanaka()).await.is(201).body["id"].as_str().unwrap().to_owned();
    let mut sim = sim_body();
    (sim["person"], sim["groups"]) = (json!("tanaka"), json!(["staff"]));
    w.post("/api/v1/sims", sim).await.is(201);
    let groups = async || w.get(&format!("/api/v1/sims/{IMSI}")).await.is(200).body["groups"].clone();
    let body = json!({ "displayName": "sg-eng", "externalId": "g1", "members": [{ "value": user }] });
    let made = ask(&w, &t, "POST", GROUPS, body).await.is(201);
    let at = format!("{GROUPS}/{}", made.body["id"].as_str().unwrap());
    assert_eq!(
        made.body["members"][0],
        json!({ "value": user, "type": "User", "$ref": format!("{USERS}/{user}") })
    );
    assert_eq!(groups().await, json!(["eng", "staff"]), "in the group that is meant, and in its own");
    let off = json!({ "Operations": [{ "op": "Remove", "path": "members", "value": [{ "value": user }] }] });
    ask(&w, &t, "PATCH", &at, off).await.is(200);
    assert_eq!(groups().await, json!(["staff"]));
    let on = json!({ "Operations": [{ "op": "Add", "path": "members", "value": [{ "value": user }] }] });
    ask(&w, &t, "PATCH", &at, on.clone()).await.is(200);
    // A group by another name means nothing here.
    let name = |n: &str| json!({ "Operations": [{ "op": "replace", "value": { "displayName": n } }] });
    ask(&w, &t, "PATCH", &at, name("SG-Sales")).await.is(200);
    assert_eq!(groups().await, json!(["staff"]));
    ask(&w, &t, "PATCH", &at, name("SG-Eng")).await.is(200);
    assert_eq!(groups().await, json!(["eng", "staff"]));
    // What somebody changes elsewhere follows soon.
    let hand = json!({ "groups": ["staff"] });
    w.call("PATCH", &format!("/api/v1/sims/{IMSI}")).if_match("*").json(hand).send().await.is(200);
    crate::signals::scim::follow(&w.state).await;
    assert_eq!(groups().await, json!(["eng", "staff"]));
    ask(&w, &t, "DELETE", &at, Value::Null).await.is(204);
    assert_eq!(groups().await, json!(["staff"]));
}

#[tokio::test]
async fn lists_are_found_by_filter_and_read_page_by_page() {
    let (w, t) = office().await;
    for n in 0..7 {
        let body = json!({ "userName": format!("u{n}@example.jp"), "externalId": format!("e{n}"), "title": "x",
                           "active": n != 3 });
        ask(&w, &t, "POST", USERS, body).await.is(201);
    }
    let list = async |query: &str| {
        let r = ask(&w, &t, "GET", &format!("{USERS}?{query}"), Value::Null).await.is(200);
        let all = r.body["Resources"].as_array().unwrap().clone();
        let names = all.iter().map(|v| v["userName"].as_str().unwrap_or("-").replace("@example.jp", ""));
        (r.body["totalResults"].as_u64().unwrap(), names.collect::<Vec<_>>().join(" "))
    };
    let found = |n: u64, names: &str| (n, names.to_owned());
    assert_eq!(list("filter=userName%20eq%20%22U5@EXAMPLE.jp%22").await, found(1, "u5"));
    assert_eq!(list("filter=externalId%20eq%20%22e2%22").await, found(1, "u2"));
    assert_eq!(list("filter=active%20eq%20%22False%22").await, found(1, "u3"));
    assert_eq!(list("startIndex=3&count=2").await, found(7, "u2 u3"));
    assert_eq!(list("startIndex=-9&count=-1").await, found(7, ""));
    assert_eq!(list("filter=title%20pr&startIndex=6").await, found(7, "u5 u6"));
    assert_eq!(list("count=1&excludedAttributes=userName").await, found(7, "-"));
    let some =
        ask(&w, &t, "GET", &format!("{USERS}?count=1&attributes=externalId,emails.value"), Value::Null).await;
    let mut keys: Vec<&String> = some.body["Resources"][0].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["externalId", "id", "meta", "schemas"]);
    for bad in ["filter=userName", "filter=((", "count=x", "startIndex=1.5"] {
        let r = ask(&w, &t, "GET", &format!("{USERS}?{bad}"), Value::Null).await.is(400);
        let kind = if bad.starts_with("filter") { "invalidFilter" } else { "invalidValue" };
        assert_eq!(r.body["scimType"], kind, "{bad}");
    }
    ask(&w, &t, "POST", GROUPS, json!({ "displayName": "SG-Eng" })).await.is(201);
    let body = json!({ "filter": "meta.resourceType pr", "startIndex": 7, "count": 5 });
    let all = ask(&w, &t, "POST", "/signals/entra/scim/v2/.search", body).await.is(200);
    assert_eq!((&all.body["totalResults"], all.body["Resources"].as_array().unwrap().len()), (&json!(8), 2));
}

#[tokio::test]
async fn what_was_seen_is_what_is_changed() {
    let (w, t) = office().await;
    let made = ask(&w, &t, "POST", USERS, tanaka()).await.is(201);
    let at = format!("{USERS}/{}", made.body["id"].as_str().unwrap());
    let title = |n: u32| {
        json!({ "Operations": [{ "op": "add", "path": "title", "value": n.to_string() }] }).to_string()
    };
    let change =
        async |tag: &str, n: u32| w.bare("PATCH", &at).token(&t).if_match(tag).raw(title(n)).page().await;
    assert_eq!(change("W/\"1\"", 1).await.is(200).header("etag"), "W/\"2\"");
    for stale in ["W/\"1\"", "\"1\"", "rubbish", "W/\"x\""] {
        assert_eq!(change(stale, 2).await.is(412).body["status"], "412", "{stale}");
    }
    change("*", 3).await.is(200);
    let same = w.bare("GET", &at).token(&t).header("if-none-match", "W/\"3\"").page().await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    let gone = w.bare("DELETE", &at).token(&t).if_match("W/\"1\"").page().await;
    assert_eq!(gone.status, 412);
}

#[tokio::test]
async fn who_may_not_is_refused_in_the_form_of_the_protocol() {
    let (w, t) = office().await;
    let reader = w.token_with(&["read", "directory"]).await;
    for (token, status) in [(Some(&reader), 403), (None, 401)] {
        let call = w.bare("GET", USERS);
        let call = if let Some(token) = token { call.token(token) } else { call };
        let r = call.page().await.is(status);
        assert_eq!(r.body["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
    }
    let path = "/api/v1/people";
    assert_eq!(w.bare("GET", path).token(&t).page().await.status, 403, "its scope is for this alone");
    // A source of another kind, none at all, a kind that there is not.
    w.post("/api/v1/posture/sources", json!({ "name": "mdm", "kind": "webhook" })).await.is(201);
    for path in ["/signals/mdm/scim/v2/Users", "/signals/no/scim/v2/Users", "/signals/entra/scim/v2/Things"] {
        assert_eq!(ask(&w, &t, "GET", path, Value::Null).await.is(404).body["status"], "404", "{path}");
    }
    for (body, kind) in [
        (json!([1]), "invalidSyntax"),
        (json!({ "userName": 5 }), "invalidValue"),
        (json!({ "displayName": "no name" }), "invalidValue"),
        (json!({ "userName": "x".repeat(1001) }), "invalidValue"),
    ] {
        assert_eq!(ask(&w, &t, "POST", USERS, body.clone()).await.is(400).body["scimType"], kind, "{body}");
    }
    let stranger =
        json!({ "displayName": "g", "members": [{ "value": "00000000-0000-0000-0000-000000000000" }] });
    assert_eq!(ask(&w, &t, "POST", GROUPS, stranger).await.is(400).body["scimType"], "invalidValue");
    let large = format!("{{\"userName\":\"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(w.bare("POST", USERS).token(&t).raw(large).page().await.status, 413);
    // All of that stands beside the source, as of any other.
    let source = w.get("/api/v1/posture/sources/entra").await.is(200);
    assert!(source.body["refused"].as_u64().unwrap() >= 6, "{}", source.text);
    assert!(source.body["error"].as_str().is_some() && source.body["age_s"].is_number(), "{}", source.text);
    assert_eq!(
        w.store
            .scim_page(&"entra".parse().unwrap(), store::ScimKind::User, store::ScimAsk::All, 0, 9)
            .await
            .unwrap()
            .1,
        0
    );
}

#[tokio::test]
async fn a_browser_that_is_made_to_ask_changes_nothing() {
    let (w, _) = office().await;
    let cookie = format!("sekisho_session={}", w.owner);
    let r = w.bare("POST", USERS).header("cookie", &cookie).raw(tanaka().to_string()).page().await;
    assert_eq!(r.status, 401, "{}", r.text);
}

#[tokio::test]
async fn a_source_says_which_of_our_groups_its_groups_mean() {
    let (w, _) = office().await;
    let source = |groups: Value| json!({ "name": "okta", "kind": "scim", "groups": groups });
    for (groups, at) in [
        (json!({ "A": "nobody" }), "/groups/A"),
        (json!({ "A": "eng", "a": "staff" }), "/groups/a"),
        (json!({ "A/B": "No!" }), "/groups/A~1B"),
    ] {
        let r = w.post("/api/v1/posture/sources", source(groups.clone())).await.is(422);
        assert_eq!(r.pointers(), [at], "{groups}");
    }
    let other = json!({ "name": "mdm", "kind": "webhook", "groups": { "A": "eng" } });
    assert_eq!(w.post("/api/v1/posture/sources", other).await.is(422).pointers(), ["/groups"]);
}
