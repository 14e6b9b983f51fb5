//! Alert rules: read, replaced whole, refused whole; and what is counted of requests.

use super::World;
use crate::control::Suspicion;
use serde_json::json;

const PATH: &str = "/api/v1/alert-rules";

#[tokio::test]
async fn the_rules_are_the_shipped_ones_until_somebody_says_otherwise() {
    let w = World::new().await;
    let shipped = w.get(PATH).await.is(200);
    assert_eq!((shipped.header("etag"), &shipped.body["shipped"]), ("\"0\"", &json!(true)));
    let response = |rule: &str| shipped.body[rule]["response"].clone();
    assert_eq!(
        ["unusual_place", "not_compliant", "much_data", "privilege_escalation", "night_access"].map(response),
        ["act", "act", "notify", "act", "log"].map(|r| json!(r))
    );
    let body = json!({ "not_compliant": { "response": "notify" }, "night_access": { "zone": "Asia/Tokyo" } });
    let put = w.call("PUT", PATH).if_match("\"0\"").json(body.clone()).send().await.is(200);
    assert_eq!((put.header("etag"), &put.body["shipped"]), ("\"1\"", &json!(false)));
    assert_eq!(put.body["not_compliant"]["response"], "notify");
    assert_eq!(put.body["night_access"]["hours"], "02:00-05:00", "what is left out is as shipped");
    assert!(w.control.was_asked().contains(&"alert_rules_changed".to_owned()), "in force with the answer");
    assert_eq!(w.call("PUT", PATH).if_match("\"0\"").json(body).send().await.status, 412);
    let back = w.call("PUT", PATH).if_match("*").json(json!({})).send().await.is(200);
    assert_eq!(back.body["shipped"], true);
    let audit = w.store.audit(None, None, 10).await.unwrap().items;
    assert_eq!(audit.iter().filter(|a| a.action == "alert-rules.change").count(), 2);
}

#[tokio::test]
async fn rules_that_are_wrong_are_refused_whole_with_each_field() {
    let w = World::new().await;
    for (body, pointers) in [
        (json!({ "much_data": { "response": "act" } }), vec!["/much_data/response"]),
        (json!({ "night_access": { "response": "act" } }), vec!["/night_access/response"]),
        (json!({ "much_data": { "octets": 10 } }), vec!["/much_data/octets"]),
        (
            json!({ "privilege_escalation": { "requests": 0, "within_minutes": 1441 } }),
            vec!["/privilege_escalation/requests", "/privilege_escalation/within_minutes"],
        ),
        (
            json!({ "night_access": { "hours": "2-5", "zone": "Asia/Edo" } }),
            vec!["/night_access/zone", "/night_access/hours"],
        ),
        (json!({ "unusual_place": { "response": "ban" } }), vec!["/unusual_place/response"]),
        (json!({ "unusual_places": {} }), vec!["/unusual_places"]),
    ] {
        let r = w.call("PUT", PATH).if_match("*").json(body.clone()).send().await.is(422);
        assert_eq!(r.pointers(), pointers, "{body}");
    }
    assert_eq!(w.get(PATH).await.is(200).body["version"], 0, "nothing of it was stored");
}

#[tokio::test]
async fn a_change_without_a_right_is_counted_and_a_reading_is_not() {
    let w = World::new().await;
    let script = w.token_with(&["read"]).await;
    let viewer = w.signed_in("hanako", json!([{ "roles": ["viewer"] }])).await;
    let suspected = || std::mem::take(&mut *w.control.suspected.lock().unwrap());
    suspected();
    w.call("GET", "/api/v1/tokens").token(&script).send().await.is(403);
    w.call("GET", "/api/v1/sims").token(&script).send().await.is(200);
    w.call("GET", "/api/v1/sims").token("sekisho_nobody").send().await.is(401);
    assert_eq!(suspected(), []);
    let ask = async |token: &str| {
        let body = json!({ "reason": "mine" });
        w.call("POST", "/api/v1/alerts/1/close").token(token).json(body).send().await.is(403);
    };
    ask(&script).await;
    let found = suspected();
    assert!(
        matches!(&found[..], [Suspicion::NoRight { operator: None, token }] if !token.is_empty()),
        "{found:?}"
    );
    ask(&viewer).await;
    let found = suspected();
    let of = |s: &Suspicion| match s {
        Suspicion::NoRight { operator, .. } => operator.as_ref().map(ToString::to_string),
        Suspicion::ProofFailed(_) => None,
    };
    assert_eq!(found.iter().map(of).collect::<Vec<_>>(), [Some("hanako".to_owned())]);
}

#[tokio::test]
async fn a_token_that_was_put_aside_counts_again_when_somebody_says_so() {
    let w = World::new().await;
    let secret = w.token_with(&["read"]).await;
    let list = w.get("/api/v1/tokens").await.is(200);
    let tokens = list.body["items"].as_array().unwrap();
    let mine = tokens.iter().find(|t| t["scopes"] == json!(["read"])).unwrap();
    let id = mine["id"].as_str().unwrap().to_owned();
    let resume = format!("/api/v1/tokens/{id}/resume");
    w.post(&resume, json!({})).await.is(409);
    let by = store::Change::by_system("alert rule privilege-escalation", types::Utc(1));
    w.store.suspend_token(id, true, &by).await.unwrap();
    // As every few seconds.
    w.state.tokens.read(&w.store, types::Utc(1)).await.unwrap();
    w.call("GET", "/api/v1/sims").token(&secret).send().await.is(401);
    w.post(&resume, json!({})).await.is(204);
    w.call("GET", "/api/v1/sims").token(&secret).send().await.is(200);
}
