//! Devices: the company's list, and what a SIM's device must be.

use super::{IMSI, World};
use serde_json::json;

#[tokio::test]
async fn an_entry_is_put_read_and_taken_off_and_the_running_system_hears_of_it() {
    let w = World::with_site().await;
    w.control.was_asked();
    let path = "/api/v1/equipment/35693803564380";
    let black = json!({ "colour": "black", "label": "Tanaka's phone", "reason": "stolen in Osaka" });
    let made = w.call("PUT", path).if_match("\"0\"").json(black.clone()).send().await.is(200);
    assert_eq!((&made.body["colour"], made.header("etag")), (&json!("black"), "\"1\""));
    assert_eq!(w.control.was_asked(), ["equipment_changed"]);
    w.call("PUT", path).if_match("\"0\"").json(black.clone()).send().await.is(412);
    // Its IMEI and its IMEISV name the same device.
    assert_eq!(w.get("/api/v1/equipment/356938035643809").await.is(200).body, made.body);
    assert_eq!(w.get("/api/v1/equipment/3569380356438001").await.is(200).body, made.body);
    w.get("/api/v1/equipment/356938035643800").await.is(200);
    w.get("/api/v1/equipment/356938035643801").await.is(404);

    let wrong = json!({ "colour": "pink", "label": "a\nb", "reason": "" });
    let r = w.call("PUT", path).if_match("*").json(wrong).send().await.is(422);
    assert_eq!(r.pointers(), ["/reason", "/label", "/colour"]);

    w.call("DELETE", path).if_match("\"1\"").send().await.is(204);
    w.get(path).await.is(404);
    let audit = w.get("/api/v1/audit?object=equipment:35693803564380").await.is(200);
    let actions: Vec<_> = audit.body["items"].as_array().unwrap().iter().map(|a| &a["action"]).collect();
    assert_eq!(actions, ["equipment.delete", "equipment.put"]);
}

#[tokio::test]
async fn an_import_is_whole_or_nothing_and_names_each_wrong_line() {
    let w = World::with_site().await;
    let lines = json!([
        { "pattern": "35693803", "colour": "white" },
        { "pattern": "356938", "colour": "white" },
        { "pattern": "356938035643801", "colour": "grey" },
        { "pattern": "86012345000001", "colour": "yellow" },
    ]);
    let body = json!({ "entries": lines, "reason": "bought" });
    let r = w.post("/api/v1/equipment/import", body).await.is(422);
    assert_eq!(r.pointers(), ["/entries/1/pattern", "/entries/2/pattern", "/entries/3/colour"]);
    assert_eq!(w.get("/api/v1/equipment").await.body["items"], json!([]));
    let lines = json!([
        { "pattern": "35693803", "colour": "white" }, { "pattern": "86012345000001", "colour": "grey" },
    ]);
    let body = json!({ "entries": lines, "reason": "bought" });
    let r = w.post("/api/v1/equipment/import", body.clone()).await.is(200);
    assert_eq!(r.body, json!({ "new": 2, "changed": 0, "same": 0 }));
    assert_eq!(w.post("/api/v1/equipment/import", body).await.body["same"], json!(2));
    let grey = w.get("/api/v1/equipment?colour=grey").await.is(200);
    assert_eq!(grey.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(w.get("/api/v1/equipment?colour=pink").await.is(422).pointers(), ["?colour"]);
}

#[tokio::test]
async fn ranges_of_models_and_software_versions_are_entries_like_any_other() {
    let w = World::with_site().await;
    let lines = json!([
        { "pattern": "35693800-35693899", "colour": "grey" },
        { "pattern": "35693803:07", "colour": "black" },
        { "pattern": "35693899-35693800", "colour": "grey" },
        { "pattern": "35693800-35693899:7", "colour": "grey" },
        { "pattern": "35693803564380-35693803564390", "colour": "grey" },
    ]);
    let r = w.post("/api/v1/equipment/import", json!({ "entries": lines, "reason": "bought" })).await.is(422);
    assert_eq!(r.pointers(), ["/entries/2/pattern", "/entries/3/pattern", "/entries/4/pattern"]);
    let few = json!({ "entries": [lines[0], lines[1]], "reason": "bought" });
    w.post("/api/v1/equipment/import", few).await.is(200);
    for pattern in ["35693800-35693899", "35693803:07", "35693800-35693899:07"] {
        let path = format!("/api/v1/equipment/{pattern}");
        let white = json!({ "colour": "white", "reason": "tried out" });
        let made = w.call("PUT", &path).if_match("*").json(white).send().await.is(200);
        assert_eq!((&made.body["pattern"], &w.get(&path).await.body), (&json!(pattern), &made.body));
    }
    let page = w.get("/api/v1/equipment?limit=1").await.is(200);
    let next = page.body["next"].as_str().expect("more");
    let rest = w.get(&format!("/api/v1/equipment?cursor={next}")).await.is(200);
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 2);
    w.call("DELETE", "/api/v1/equipment/35693803:07").if_match("*").send().await.is(204);
    w.get("/api/v1/equipment/35693803:07").await.is(404);
}

#[tokio::test]
async fn a_sim_is_bound_by_itself_or_by_its_group() {
    let w = World::with_site().await;
    let mut body = super::sim_body();
    body["groups"] = json!(["staff"]);
    w.post("/api/v1/sims", body).await.is(201);
    let path = format!("/api/v1/sims/{IMSI}/binding");
    let first = w.get(&path).await.is(200);
    assert_eq!(
        (&first.body["source"], &first.body["binding"]["mode"]),
        (&json!("default"), &json!("observe"))
    );

    let group = "/api/v1/groups/staff/binding";
    w.get(group).await.is(404);
    let learn = json!({ "mode": "learn" });
    let made = w.call("PUT", group).if_match("\"0\"").json(learn.clone()).send().await.is(200);
    assert_eq!(made.body["binding"]["when_missing"], json!("refuse"));
    w.call("PUT", "/api/v1/groups/ghosts/binding").if_match("*").json(learn).send().await.is(404);
    let of_group = w.get(&path).await.is(200);
    assert_eq!(of_group.body["source"], json!("group:staff"));

    for (body, pointers) in [
        (json!({ "mode": "exact" }), vec!["/allowed"]),
        (json!({ "mode": "exact", "allowed": ["35693803"] }), vec!["/allowed/0"]),
        (json!({ "mode": "model", "allowed": ["35693803564380"] }), vec!["/allowed/0"]),
        (json!({ "mode": "learn", "allowed": ["35693803564380"] }), vec!["/allowed/0"]),
        (json!({ "mode": "glue" }), vec!["/mode"]),
        (json!({ "mode": "learn", "when_missing": "pray" }), vec!["/when_missing"]),
        (json!({ "mode": "exact", "allowed": ["35693803564380", "3569"] }), vec!["/allowed/1"]),
    ] {
        let r = w.call("PUT", &path).if_match("*").json(body).send().await.is(422);
        assert_eq!(r.pointers(), pointers);
    }
    // What a binding does by itself: refuse, or leave the remediation apps.
    let words = json!({ "mode": "learn", "when_missing": "quarantine", "on_clone": "quarantine" });
    let made = w.call("PUT", group).if_match("*").json(words).send().await.is(200);
    let (missing, clone) = (&made.body["binding"]["when_missing"], &made.body["binding"]["on_clone"]);
    assert_eq!((missing, clone), (&json!("quarantine"), &json!("quarantine")));
    let of_group = w.get(&path).await.is(200);
    w.control.was_asked();
    let exact = json!({ "mode": "exact", "allowed": ["356938035643809"] });
    let call = w.call("PUT", &path).if_match(of_group.header("etag"));
    let bound = call.json(exact.clone()).send().await.is(200);
    assert_eq!(bound.body["binding"]["allowed"], json!(["35693803564380"]));
    assert_eq!(bound.body["source"], json!("sim"));
    assert_eq!(w.control.was_asked(), [format!("sim_changed {IMSI}")]);
    w.call("PUT", &path).if_match(of_group.header("etag")).json(exact).send().await.is(412);
    let sim = w.get(&format!("/api/v1/sims/{IMSI}")).await;
    assert_eq!(sim.body["device"], json!("35693803564380"), "the short form says the same");

    let reset = format!("{path}/reset");
    assert_eq!(w.post(&reset, json!({ "reason": "" })).await.is(422).pointers(), ["/reason"]);
    w.control.was_asked();
    w.post(&reset, json!({ "reason": "new phone" })).await.is(200);
    assert_eq!(w.control.was_asked(), [format!("device_forgotten {IMSI}")]);
    w.call("DELETE", &path).if_match("*").send().await.is(204);
    assert_eq!(w.get(&path).await.body["source"], json!("group:staff"));
    w.call("DELETE", group).if_match("\"2\"").send().await.is(204);
    assert_eq!(w.get(&path).await.body["source"], json!("default"));
}

/// The device is banned, as the running system would have written it down.
async fn banned(w: &World) -> String {
    let device = "35693803564380".to_owned();
    let row = store::RestrictionRow {
        kind: "device".to_owned(),
        value: device.clone(),
        at: types::Utc(1),
        actor: "soc".to_owned(),
        reason: "stolen".to_owned(),
        revocation: "0001".to_owned(),
    };
    let write = store::RevocationWrite {
        restriction: Some((row, true)),
        ..store::RevocationWrite::new(store::StateChange::Ban, store::Change::by_system("soc", types::Utc(1)))
    };
    w.store.write_revocation(write).await.unwrap();
    device
}

#[tokio::test]
async fn the_ban_of_a_device_is_taken_back_by_a_right_of_its_own_with_a_reason() {
    let w = World::with_site().await;
    let device = banned(&w).await;
    let path = format!("/api/v1/equipment/{device}/unban");
    let soc = w.token_with(&["ban"]).await;
    w.call("POST", &path).token(&soc).json(json!({ "reason": "found" })).send().await.is(403);
    assert_eq!(w.post(&path, json!({ "reason": "" })).await.is(422).pointers(), ["/reason"]);
    let model = "/api/v1/equipment/35693803/unban";
    w.post(model, json!({ "reason": "found" })).await.is(404);
    w.control.was_asked();
    let by_imei = "/api/v1/equipment/356938035643809/unban";
    let done = w.post(by_imei, json!({ "reason": "found", "ticket": "T-1" })).await.is(200);
    assert_eq!((&done.body["kind"], &done.body["value"]), (&json!("unban"), &json!(device)));
    let asked = w.control.was_asked();
    assert!(asked[0].starts_with(&format!("unban device {device} by ")), "{asked:?}");
    let none = w.post(&path, json!({ "reason": "again" })).await.is(404);
    assert!(none.body["fix"].as_str().unwrap().contains("black entry"), "{}", none.text);
}

#[tokio::test]
async fn where_a_second_person_is_needed_the_unban_of_a_device_waits_for_them() {
    let w = World::with_site().await;
    w.control.second_person.store(true, std::sync::atomic::Ordering::Relaxed);
    let path = "/api/v1/equipment/35693803564380/unban";
    w.post(path, json!({ "reason": "found" })).await.is(404);
    banned(&w).await;
    let asked = w.post(path, json!({ "reason": "found" })).await.is(202);
    assert_eq!((&asked.body["device"], &asked.body["imsi"]), (&json!("35693803564380"), &json!(null)));
    w.post(path, json!({ "reason": "again" })).await.is(409);
    let approve = format!("/api/v1/unban-requests/{}/approve", asked.body["id"].as_str().unwrap());
    w.post(&approve, json!({ "reason": "me" })).await.is(403);
    let second = w.token_with(&["approve"]).await;
    let done =
        w.call("POST", &approve).token(&second).json(json!({ "reason": "seen it" })).send().await.is(200);
    assert_eq!(done.body["kind"], json!("unban"));
    assert!(w.store.restrictions().await.unwrap().is_empty());
}
