//! Keys of the home network: made, taken in, retired; a private one comes out nowhere.

use super::World;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/home-network-keys";
/// TS 33.501 Annex C.4.3 and C.4.4.
const PRIVATE_A: &str = "c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d";
const PUBLIC_A: &str = "5a8d38864820197c3394b92613b20b91633cbd897119273bf8e4a6f4eec0a650";
const PRIVATE_B: &str = "F1AB1074477EBCC7F554EA1C5FC368B1616730155E0041AC447D6301975FECDA";
const PUBLIC_B: &str = "0272da71976234ce833a6907425867b82e074d44ef907dfb4b3e21c1c2256ebcd1";

#[tokio::test]
async fn a_key_that_sims_have_is_taken_in_and_only_its_public_half_comes_out() {
    let w = World::new().await;
    for (id, profile, private, public) in [(27, "a", PRIVATE_A, PUBLIC_A), (3, "b", PRIVATE_B, PUBLIC_B)] {
        let body = json!({ "id": id, "profile": profile, "private_key": private });
        let made = w.post(PATH, body).await.is(201);
        assert_eq!(made.body["public_key"], public);
        assert_eq!(made.body["accepted_until"], Value::Null);
        assert_eq!(w.get(&format!("{PATH}/{id}")).await.is(200).body, made.body);
    }
    assert_eq!(w.control.was_asked(), ["home_keys_changed", "home_keys_changed"]);
    let all = w.get(PATH).await.is(200).body.to_string();
    let audit = w.get("/api/v1/audit?object=home-network-key:27").await.is(200).body.to_string();
    assert!(audit.contains("home-network-key.create") && audit.contains(PUBLIC_A), "{audit}");
    for private in [PRIVATE_A, PRIVATE_B] {
        for said in [&all, &audit] {
            assert!(!said.to_lowercase().contains(&private.to_lowercase()), "{said}");
        }
    }
    // What is stored opens for this id and profile alone.
    let row = w.store.home_keys().await.unwrap().into_iter().find(|k| k.id == 27).unwrap();
    let vault = crate::Control::vault(&*w.control).await.unwrap();
    let sealed = hss::SealedHomeKey::from_bytes(&row.sealed).unwrap();
    let opened = vault.open_home_key(&sealed, 27, types::SuciProfile::A).ok().unwrap();
    assert!(opened == types::Key256::from_hex(PRIVATE_A).unwrap());
    assert!(vault.open_home_key(&sealed, 3, types::SuciProfile::A).is_err());
}

#[tokio::test]
async fn new_ones_differ_and_take_the_lowest_free_ids() {
    let w = World::new().await;
    let mut seen = Vec::new();
    for (n, profile) in ["a", "b", "a"].iter().enumerate() {
        let made = w.post(PATH, json!({ "profile": profile })).await.is(201).body;
        assert_eq!(made["id"], json!(n + 1));
        let public = made["public_key"].as_str().unwrap().to_owned();
        assert_eq!(public.len(), if *profile == "a" { 64 } else { 66 });
        assert!(!seen.contains(&public));
        seen.push(public);
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_and_never_repeated() {
    let w = World::new().await;
    w.post(PATH, json!({ "profile": "a", "id": 1 })).await.is(201);
    let zero = "0".repeat(64);
    let cut = &PRIVATE_A[..63];
    for (body, pointers) in [
        (json!({ "profile": "a", "id": 0 }), vec!["/id"]),
        (json!({ "profile": "a", "id": 255 }), vec!["/id"]),
        (json!({ "profile": "a", "id": 1 }), vec!["/id"]),
        (json!({ "profile": "c" }), vec!["/profile"]),
        (json!({ "profile": "b", "private_key": zero }), vec!["/private_key"]),
        (json!({ "profile": "a", "private_key": cut }), vec!["/private_key"]),
        (json!({ "profile": "a", "id": 1, "private_key": cut }), vec!["/id", "/private_key"]),
    ] {
        let r = w.post(PATH, body).await.is(422);
        assert_eq!(r.pointers(), pointers);
        assert!(!r.body.to_string().contains(&cut[..16]), "{}", r.body);
    }
    w.get(&format!("{PATH}/9")).await.is(404);
}

#[tokio::test]
async fn one_is_retired_from_a_date_accepted_again_and_destroyed() {
    let w = World::new().await;
    let made = w.post(PATH, json!({ "profile": "a" })).await.is(201);
    let path = format!("{PATH}/1");
    let to = |until: Value| json!({ "accepted_until": until, "reason": "new SIMs have key 2" });
    let patch = |v: &'static str, body: Value| w.call("PATCH", &path).if_match(v).json(body).send();
    let retired = patch("\"1\"", to(json!("2031-01-31T09:00:00Z"))).await.is(200).body;
    assert_eq!(retired["accepted_until"], "2031-01-31T09:00:00Z");
    assert_eq!((&retired["public_key"], &retired["version"]), (&made.body["public_key"], &json!(2)));
    patch("\"1\"", to(Value::Null)).await.is(412);
    assert_eq!(patch("\"2\"", to(json!("tomorrow"))).await.is(422).pointers(), ["/accepted_until"]);
    assert_eq!(patch("\"2\"", to(Value::Null)).await.is(200).body["accepted_until"], Value::Null);
    w.call("DELETE", &path).if_match("\"3\"").send().await.is(204);
    w.get(&path).await.is(404);
    assert_eq!(w.store.home_keys().await.unwrap(), []);
}
