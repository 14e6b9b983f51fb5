//! People, devices and sites, and the SIMs that are linked to them.

use super::{IMSI, World, sim_body};
use serde_json::{Value, json};

async fn company(w: &World) {
    let tanaka =
        json!({ "id": "tanaka", "name": "田中 花子", "mail": "hanako@example.com", "employee": "E-100" });
    w.post("/api/v1/people", tanaka).await.is(201);
    let pc = json!({ "id": "pc-1", "kind": "laptop", "imei": "490154203237518", "owner": "tanaka" });
    w.post("/api/v1/devices", pc).await.is(201);
    let osaka = json!({ "id": "osaka", "name": "大阪工場", "tacs": [1], "cells": ["10"] });
    w.post("/api/v1/sites", osaka).await.is(201);
}

#[tokio::test]
async fn people_devices_and_sites_are_made_read_changed_and_listed() {
    let w = World::with_site().await;
    company(&w).await;
    let read = w.get("/api/v1/people/tanaka").await.is(200);
    assert_eq!((read.header("etag"), &read.body["name"]), ("\"1\"", &json!("田中 花子")));
    let device = w.get("/api/v1/devices/pc-1").await.is(200);
    assert_eq!((&device.body["imei"], &device.body["kind"]), (&json!("490154203237518"), &json!("laptop")));
    let site = w.get("/api/v1/sites/osaka").await.is(200);
    assert_eq!((&site.body["tacs"], &site.body["cells"]), (&json!([1]), &json!(["000000010"])));

    let change = json!({ "id": "tanaka", "name": "鈴木 花子", "ends_at": "2027-03-31T15:00:00Z" });
    let put = |tag: &str| w.call("PUT", "/api/v1/people/tanaka").if_match(tag).json(change.clone());
    let changed = put("\"1\"").send().await.is(200);
    assert_eq!(
        (changed.header("etag"), &changed.body["mail"]),
        ("\"2\"", &Value::Null),
        "a PUT replaces it whole"
    );
    put("\"1\"").send().await.is(412);
    // A version is said as the ETag was: in quotes.
    put("2").send().await.is(412);
    let list = w.get("/api/v1/people?q=%E9%88%B4%E6%9C%A8&limit=1").await.is(200);
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(w.get("/api/v1/people?q=nobody").await.is(200).body["items"], json!([]));
    w.get("/api/v1/people/nobody").await.is(404);
    let audit = w.get("/api/v1/audit?object=person:tanaka").await.is(200);
    assert_eq!(audit.body["items"][0]["before"]["name"], "田中 花子");
    assert_eq!(audit.body["items"][0]["after"]["name"], "鈴木 花子");
}

#[tokio::test]
async fn what_is_wrong_is_named_field_by_field() {
    let w = World::with_site().await;
    company(&w).await;
    let cases = [
        (
            "people",
            json!({ "id": "A b", "name": " ", "mail": "no", "ends_at": "soon" }),
            vec!["/id", "/name", "/mail", "/ends_at"],
        ),
        (
            "devices",
            json!({ "id": "d", "kind": "laptop", "imei": "490154203237517", "serial": " " }),
            vec!["/serial", "/imei"],
        ),
        ("devices", json!({ "id": "d", "kind": "laptop", "owner": "X" }), vec!["/owner"]),
        ("devices", json!({ "id": "D d", "kind": "laptop" }), vec!["/id"]),
        ("devices", json!({ "id": "d", "kind": "laptop", "owner": "ghost" }), vec!["/owner"]),
        ("devices", json!({ "id": "d", "kind": "toaster" }), vec!["/kind"]),
        (
            "sites",
            json!({ "id": "s", "name": "S", "tacs": [16777216], "cells": ["x", "1000000000"] }),
            vec!["/tacs/0", "/cells/0", "/cells/1"],
        ),
    ];
    for (kind, body, pointers) in cases {
        let r = w.post(&format!("/api/v1/{kind}"), body.clone()).await.is(422);
        assert_eq!(r.pointers(), pointers, "{body}: {}", r.text);
    }
    let twin = |id: &str, more: Value| {
        let mut body = json!({ "id": id, "name": "Twin", "kind": "laptop" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let mut same = twin("tanaka", json!({}));
    same.as_object_mut().unwrap().remove("kind");
    assert_eq!(w.post("/api/v1/people", same.clone()).await.is(409).pointers(), ["/id"]);
    same["id"] = json!("twin");
    same["employee"] = json!("E-100");
    assert_eq!(w.post("/api/v1/people", same).await.is(409).pointers(), ["/employee"]);
    let mut pc = twin("pc-2", json!({ "imei": "4901542032375199" }));
    pc.as_object_mut().unwrap().remove("name");
    assert_eq!(w.post("/api/v1/devices", pc).await.is(409).pointers(), ["/imei"]);
    let r = w
        .call("PUT", "/api/v1/sites/osaka")
        .if_match("*")
        .json(json!({ "id": "kobe", "name": "Kobe" }))
        .send()
        .await;
    assert_eq!(r.is(422).pointers(), ["/id"]);
}

#[tokio::test]
async fn a_sim_is_linked_found_by_its_links_and_holds_what_it_is_linked_to() {
    let w = World::with_site().await;
    company(&w).await;
    let mut body = sim_body();
    body["device_id"] = json!("pc-1");
    body["site"] = json!("osaka");
    let made = w.post("/api/v1/sims", body).await.is(201);
    assert_eq!((&made.body["device_id"], &made.body["person"]), (&json!("pc-1"), &Value::Null));
    for (query, found) in [
        ("device=pc-1", 1),
        ("person=tanaka", 1),
        ("site=osaka&device=pc-1", 1),
        ("person=nobody", 0),
        ("site=osaka&person=nobody", 0),
    ] {
        let list = w.get(&format!("/api/v1/sims?{query}")).await.is(200);
        assert_eq!(list.body["items"].as_array().unwrap().len(), found, "{query}");
    }
    for (path, linked) in [
        ("devices/pc-1", vec![format!("sim:{IMSI}")]),
        ("sites/osaka", vec![format!("sim:{IMSI}")]),
        ("people/tanaka", vec!["device:pc-1".to_owned()]),
    ] {
        let r = w.call("DELETE", &format!("/api/v1/{path}")).if_match("*").send().await.is(409);
        assert_eq!(r.body["linked"], json!(linked), "{}", r.text);
        assert!(r.body["detail"].as_str().unwrap().contains(&linked[0]));
    }
    let patch = async |body: Value| {
        w.call("PATCH", &format!("/api/v1/sims/{IMSI}")).if_match("*").json(body).send().await
    };
    let r = patch(json!({ "person": "ghost", "site": "ghost" })).await.is(422);
    assert_eq!(r.pointers(), ["/person", "/site"]);
    let r = patch(json!({ "device_id": null, "person": "tanaka", "site": null })).await.is(200);
    assert_eq!(
        (&r.body["device_id"], &r.body["person"], &r.body["site"]),
        (&Value::Null, &json!("tanaka"), &Value::Null)
    );
    w.call("DELETE", "/api/v1/devices/pc-1").if_match("*").send().await.is(204);
    w.call("DELETE", "/api/v1/sites/osaka").if_match("*").send().await.is(204);
}
