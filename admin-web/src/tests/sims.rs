//! SIMs, from the card's delivery to its end.

use super::{IMSI, K, OPC, World, sim_body};
use serde_json::json;

fn path(rest: &str) -> String {
    format!("/api/v1/sims/{IMSI}{rest}")
}

#[tokio::test]
async fn a_sim_is_made_read_changed_and_listed_and_its_keys_are_nowhere() {
    let w = World::with_site().await;
    let mut body = sim_body();
    body["static_ips"] = json!({ "corp": "10.20.3.4" });
    body["groups"] = json!(["staff"]);
    let made = w.post("/api/v1/sims", body).await.is(201);
    assert_eq!(made.header("location"), path(""));
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!(made.body["state"], "ready");
    assert_eq!(made.body["has_key"], true);
    let asked = w.control.was_asked();
    let about = [format!("seal {IMSI} opc"), format!("sim_changed {IMSI}"), "policy_changed".to_owned()];
    assert_eq!(asked[asked.len() - 3..], about);

    let read = w.get(&path("")).await.is(200);
    assert_eq!(read.body, made.body);
    let changed = w
        .call("PATCH", &path(""))
        .if_match(read.header("etag"))
        .json(json!({ "label": "Press 7", "groups": [], "device": "35693803564380" }))
        .send()
        .await
        .is(200);
    assert_eq!((changed.header("etag"), &changed.body["label"]), ("\"2\"", &json!("Press 7")));
    assert_eq!(changed.body["static_ips"]["corp"], "10.20.3.4", "what is left out stays");
    let unbound =
        w.call("PATCH", &path("")).if_match("*").json(json!({ "device": null })).send().await.is(200);
    assert_eq!(unbound.body["device"], json!(null));
    let late =
        w.call("PATCH", &path("")).if_match("\"1\"").json(json!({ "label": "x" })).send().await.is(412);
    assert!(late.body["fix"].as_str().unwrap().contains("ETag"));

    let list = w.get("/api/v1/sims?group=staff").await.is(200);
    assert_eq!(list.body["items"], json!([]));
    let list = w.get("/api/v1/sims?q=press&state=ready&limit=1").await.is(200);
    assert_eq!(list.body["items"][0]["imsi"], IMSI);
    assert_eq!(list.body["next"], json!(null));

    let everything =
        [made.text, read.text, changed.text, list.text, w.get("/api/v1/audit").await.text].concat();
    for secret in [K, OPC] {
        assert!(!everything.to_lowercase().contains(secret));
    }
}

#[tokio::test]
async fn everything_wrong_with_a_new_sim_is_named_at_once() {
    let w = World::with_site().await;
    let bad = json!({
        "imsi": "00101abc", "iccid": "8981100000000000001", "k": "123", "opc": OPC, "op": OPC,
        "state": "lost", "dnns": ["corp", "-bad-"], "slices": ["300"], "static_ips": { "corp": "10.20.3.400" },
        "groups": ["Not A Name"], "ambr_ul_bps": 0, "device": "123", "label": "two\nlines"
    });
    let r = w.post("/api/v1/sims", bad).await.is(422);
    let expected = [
        "/label",
        "/imsi",
        "/iccid",
        "/k",
        "/op",
        "/state",
        "/dnns/1",
        "/slices/0",
        "/static_ips/corp",
        "/groups/0",
        "/ambr_ul_bps",
        "/device",
    ];
    assert_eq!(r.pointers(), expected);
    for e in r.body["errors"].as_array().unwrap() {
        assert!(e["fix"].as_str().is_some_and(|f| !f.is_empty()), "each says what to do: {e}");
    }
    assert!(r.text.contains("character 5 is not one"), "{}", r.text);
    assert!(!r.text.contains(OPC), "no key is repeated");
    assert_eq!(w.get("/api/v1/sims").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_key_never_comes_back_in_an_error_of_its_kind() {
    let w = World::with_site().await;
    for k in [json!(123_456_789_012_345_678_u64), json!([K]), json!({ "x": K }), json!(format!("{K}00"))] {
        let mut body = sim_body();
        body["k"] = k.clone();
        let r = w.post("/api/v1/sims", body).await.is(422);
        assert!(r.pointers()[0].starts_with("/k"), "{k}: {}", r.text);
        assert!(!r.text.contains(K) && !r.text.contains("123456789012345678"), "{k}: {}", r.text);
    }
}

#[tokio::test]
async fn what_another_sim_has_is_refused_at_its_field() {
    let w = World::with_site().await;
    let mut first = sim_body();
    first["iccid"] = json!("8981100000000000002");
    first["static_ips"] = json!({ "corp": "10.20.3.4" });
    w.post("/api/v1/sims", first.clone()).await.is(201);

    let second = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut b = sim_body();
        b["imsi"] = json!("001010000000002");
        b["k"] = json!("00112233445566778899aabbccddeeff");
        change(&mut b);
        b
    };
    let cases = [
        ("/imsi", second(&|b| b["imsi"] = json!(IMSI))),
        ("/k", second(&|b| b["k"] = json!(K.to_uppercase()))),
        ("/iccid", second(&|b| b["iccid"] = first["iccid"].clone())),
        ("/static_ips", second(&|b| b["static_ips"] = first["static_ips"].clone())),
    ];
    for (pointer, body) in cases {
        let r = w.post("/api/v1/sims", body).await.is(409);
        assert_eq!(r.pointers(), [pointer]);
        assert!(r.body["errors"][0]["fix"].is_string());
    }
    w.post("/api/v1/sims", second(&|_| ())).await.is(201);
}

#[tokio::test]
async fn names_and_addresses_must_be_there() {
    let w = World::with_site().await;
    let try_with = async |change: serde_json::Value| {
        let mut b = sim_body();
        b.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        w.post("/api/v1/sims", b).await.is(422)
    };
    assert_eq!(try_with(json!({ "dnns": ["corp", "moon"] })).await.pointers(), ["/dnns/1"]);
    assert_eq!(try_with(json!({ "dnns": [] })).await.pointers(), ["/dnns"]);
    assert_eq!(try_with(json!({ "dnns": ["corp", "corp"] })).await.pointers(), ["/dnns"]);
    assert_eq!(try_with(json!({ "groups": ["ghosts"] })).await.pointers(), ["/groups"]);
    assert_eq!(
        try_with(json!({ "static_ips": { "factory": "10.30.0.9" } })).await.pointers(),
        ["/static_ips/factory"]
    );
    for ip in ["10.21.0.1", "10.20.0.0", "10.20.0.1", "10.20.255.255"] {
        let r = try_with(json!({ "static_ips": { "corp": ip } })).await;
        assert_eq!(r.pointers(), ["/static_ips/corp"], "{ip}");
        assert!(r.text.contains("10.20.0.0/16"), "{}", r.text);
    }
    assert_eq!(try_with(json!({ "sqn": { "ind_bits": 40 } })).await.pointers(), ["/sqn"]);
    assert_eq!(
        w.control.was_asked().iter().filter(|a| a.starts_with("seal")).count(),
        0,
        "nothing was sealed"
    );
}

#[tokio::test]
async fn op_instead_of_opc_and_a_card_that_was_in_use() {
    let w = World::with_site().await;
    let body = json!({ "imsi": IMSI, "k": K, "op": OPC, "dnns": ["corp"], "sqn": { "exported_seq": 5000 } });
    w.post("/api/v1/sims", body).await.is(201);
    assert!(w.control.was_asked().contains(&format!("seal {IMSI} op")));
    let row = w.store.sim(IMSI.parse().unwrap()).await.unwrap();
    assert!(row.sqn.ceiling > 5000, "it starts above what its former owner gave out");
}

#[tokio::test]
async fn a_sim_is_suspended_resumed_and_retired_with_a_reason() {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    w.control.was_asked();
    let state = async |to: &str| w.post(&path("/state"), json!({ "state": to, "reason": "holiday" })).await;
    assert_eq!(state("suspended").await.is(200).body["state"], "suspended");
    assert_eq!(w.control.was_asked(), [format!("sim_changed {IMSI}")]);
    assert_eq!(state("active").await.is(200).body["state"], "active");
    let r = state("ready").await.is(409);
    assert!(r.text.contains("active cannot become ready"), "{}", r.text);
    assert_eq!(state("lost").await.is(422).pointers(), ["/state"]);
    let retired = state("retired").await.is(200);
    assert_eq!((&retired.body["state"], &retired.body["has_key"]), (&json!("retired"), &json!(false)));
    let r = w.post(&path("/state"), json!({ "state": "stock", "reason": " " })).await.is(422);
    assert_eq!(r.pointers(), ["/reason"]);
    let audit = w.get(&format!("/api/v1/audit?object=sim:{IMSI}")).await.is(200);
    assert_eq!(audit.body["items"][0]["reason"], "holiday");
    assert_eq!(audit.body["items"][0]["after"]["state"], "retired");
    assert!(audit.body["items"][0]["actor"].as_str().unwrap().starts_with("owner ("));
}

#[tokio::test]
async fn a_sim_that_is_not_there_is_not_found() {
    let w = World::with_site().await;
    for p in [path(""), path("/timeline")] {
        let r = w.get(&p).await.is(404);
        assert!(r.text.contains(IMSI));
    }
    w.get("/api/v1/sims/12").await.is(404);
    w.post(&path("/state"), json!({ "state": "stock", "reason": "x" })).await.is(404);
    w.call("PATCH", &path("")).if_match("*").json(json!({})).send().await.is(404);
}

/// The keys of a TUAK card: K of 128 or 256 bits with TOPc or TOP; each algorithm takes its own fields alone.
#[tokio::test]
async fn a_tuak_sim_is_made_of_its_own_fields() {
    let w = World::with_site().await;
    let (k, long, opc) = ("31".repeat(16), "31".repeat(32), "32".repeat(16));
    let body = |imsi: &str, more: serde_json::Value| {
        let mut b = json!({ "imsi": imsi, "algorithm": "tuak", "dnns": ["corp"] });
        b.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        b
    };
    w.control.was_asked();
    for (imsi, more) in [
        ("001010000000811", json!({ "k": k, "topc": long })),
        ("001010000000812", json!({ "k": "41".repeat(32), "top": long, "iterations": 2 })),
    ] {
        let made = w.post("/api/v1/sims", body(imsi, more)).await.is(201);
        assert_eq!(made.body["algorithm"], "tuak");
        assert_eq!(w.control.was_asked()[0], format!("seal {imsi} tuak"));
        assert_eq!(w.store.sim(imsi.parse().unwrap()).await.unwrap().algorithm, "tuak");
    }
    let imsi = "001010000000813";
    for (more, pointers) in [
        (json!({ "k": k, "opc": opc, "topc": long }), vec!["/opc"]),
        (json!({ "k": k }), vec!["/topc"]),
        (json!({ "k": k, "topc": long, "top": long }), vec!["/topc"]),
        (json!({ "k": "31", "topc": opc }), vec!["/k", "/topc"]),
        (json!({ "k": k, "topc": long, "iterations": 0 }), vec!["/iterations"]),
        (json!({ "k": k, "opc": opc, "algorithm": "milenage", "iterations": 1 }), vec!["/iterations"]),
        (json!({ "k": k, "opc": opc, "algorithm": "comp128" }), vec!["/algorithm"]),
        (json!({ "k": long, "opc": opc, "algorithm": "milenage" }), vec!["/k"]),
    ] {
        let r = w.post("/api/v1/sims", body(imsi, more)).await.is(422);
        assert_eq!(r.pointers(), pointers);
        assert!(!r.body.to_string().contains(&k), "{}", r.body);
    }
}
