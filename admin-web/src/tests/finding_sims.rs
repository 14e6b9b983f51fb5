//! What the console asks on its first screens: counts, a search by anything, one change to many SIMs, the address ledger,
//! what the machine lacks.

use super::{World, sim_body};
use serde_json::{Value, json};

async fn sim(w: &World, n: u32, more: Value) {
    let mut body = sim_body();
    body["imsi"] = json!(format!("00101{n:010}"));
    body["k"] = json!(format!("{n:032x}"));
    for (k, v) in more.as_object().unwrap() {
        body[k] = v.clone();
    }
    w.post("/api/v1/sims", body).await.is(201);
}

/// Three SIMs: of Tanaka's laptop, of a PLC, of nobody.
async fn world() -> World {
    let w = World::with_site().await;
    w.post("/api/v1/sites", json!({ "id": "osaka", "name": "Osaka" })).await.is(201);
    w.post("/api/v1/people", json!({ "id": "tanaka", "name": "田中 花子", "employee": "E-0042" }))
        .await
        .is(201);
    let laptop = json!({ "id": "pc-7", "label": "ThinkPad", "kind": "laptop", "imei": "356938035643809",
        "serial": "PF-1234", "owner": "tanaka" });
    w.post("/api/v1/devices", laptop).await.is(201);
    sim(&w, 1, json!({ "label": "Laptop 1", "device_id": "pc-7", "iccid": "8981100000000000101" })).await;
    sim(&w, 2, json!({ "label": "ＰＬＣ２号", "groups": ["staff"], "device": "86012345678901" })).await;
    sim(&w, 3, json!({ "label": "Spare", "site": "osaka" })).await;
    w
}

#[tokio::test]
async fn a_sim_is_found_by_anything_that_is_known_of_it() {
    let w = world().await;
    let ip = "10.20.0.9".parse().unwrap();
    w.store
        .open_lease("001010000000003".parse().unwrap(), "corp".parse().unwrap(), ip, types::Utc(5))
        .await
        .unwrap();
    for (q, imsi, matched) in [
        ("0000000001", 1, "imsi"),
        ("00101-0000%20000001", 1, "imsi"),
        ("８９８１１", 1, "iccid"),
        ("laptop", 1, "label"),
        ("thinkpad", 1, "device"),
        ("pf-1234", 1, "device"),
        ("35-693803-564380-9", 1, "device"),
        ("田中", 1, "person"),
        ("e-0042", 1, "person"),
        ("860123456789012", 2, "imei"),
        ("ＰＬＣ", 2, "label"),
        ("10.20.0.9", 3, "address"),
    ] {
        let q: String = q.chars().map(|c| if c.is_ascii() { c.to_string() } else { encoded(c) }).collect();
        let r = w.get(&format!("/api/v1/search?q={q}")).await.is(200);
        let items = r.body["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{q}: {}", r.text);
        assert_eq!(items[0]["imsi"], format!("00101{imsi:010}"), "{q}");
        assert!(items[0]["matched"].as_array().unwrap().contains(&json!(matched)), "{q}: {}", r.text);
    }
    let hit = w.get("/api/v1/search?q=laptop").await.is(200).body["items"][0].clone();
    assert_eq!((&hit["person"]["name"], &hit["device"]["id"]), (&json!("田中 花子"), &json!("pc-7")));
    let two = w.get("/api/v1/search?q=00101&limit=2").await.is(200);
    assert_eq!((two.body["items"].as_array().unwrap().len(), &two.body["more"]), (2, &json!(true)));
    assert_eq!(w.get("/api/v1/search?q=%20x%20").await.is(422).pointers(), ["?q"]);
    assert_eq!(w.get("/api/v1/search?q=xx&limit=51").await.is(422).pointers(), ["?limit"]);
    // Who is limited finds his own alone.
    let osaka = w.token_of(json!({ "label": "o", "scopes": ["read"], "sites": ["osaka"] })).await;
    let r = w.call("GET", "/api/v1/search?q=00101").token(&osaka).send().await.is(200);
    assert_eq!(r.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(r.body["items"][0]["imsi"], "001010000000003");
}

fn encoded(c: char) -> String {
    let mut octets = [0; 4];
    c.encode_utf8(&mut octets).bytes().map(|b| format!("%{b:02X}")).collect()
}

#[tokio::test]
async fn the_ledger_says_who_had_an_address_when() {
    let w = world().await;
    let ip = "10.20.0.9".parse().unwrap();
    let (one, two) = ("001010000000001".parse().unwrap(), "001010000000002".parse().unwrap());
    w.store.open_lease(one, "corp".parse().unwrap(), ip, types::Utc(1_000)).await.unwrap();
    w.store.close_lease(one, "corp".parse().unwrap(), types::Utc(5_000)).await.unwrap();
    w.store.open_lease(two, "corp".parse().unwrap(), ip, types::Utc(9_000)).await.unwrap();
    let imsis = |r: &super::Answer| -> Vec<String> {
        r.body["items"].as_array().unwrap().iter().map(|i| i["imsi"].as_str().unwrap().to_owned()).collect()
    };
    let all = w.get("/api/v1/addresses?address=10.20.0.9").await.is(200);
    assert_eq!(imsis(&all), ["001010000000002", "001010000000001"], "newest first");
    assert_eq!(all.body["items"][0]["end"], Value::Null);
    let then = w.get("/api/v1/addresses?address=10.20.0.9&at=1970-01-01T00:00:03Z").await.is(200);
    assert_eq!(imsis(&then), ["001010000000001"]);
    let between = w.get("/api/v1/addresses?address=10.20.0.9&at=1970-01-01T00:00:07Z").await.is(200);
    assert_eq!(imsis(&between), Vec::<String>::new());
    let page = w.get("/api/v1/addresses?limit=1").await.is(200);
    let next = page.body["next"].as_str().unwrap();
    let rest = w.get(&format!("/api/v1/addresses?limit=1&cursor={next}")).await.is(200);
    assert_eq!((imsis(&rest), &rest.body["next"]), (vec!["001010000000001".to_owned()], &Value::Null));
    assert_eq!(w.get("/api/v1/addresses?address=x&at=y").await.is(422).pointers(), ["?address", "?at"]);
    let osaka = w.token_of(json!({ "label": "o", "scopes": ["read"], "sites": ["osaka"] })).await;
    let as_osaka = async |path: &str| w.call("GET", path).token(&osaka).send().await.status;
    assert_eq!(as_osaka("/api/v1/addresses").await, 403);
    assert_eq!(as_osaka("/api/v1/addresses?imsi=001010000000001").await, 403);
    assert_eq!(as_osaka("/api/v1/addresses?imsi=001010000000003").await, 200);
}

#[tokio::test]
async fn one_change_to_many_sims_names_each_and_does_nothing_where_the_number_is_another() {
    let w = world().await;
    w.post("/api/v1/groups", json!({ "name": "field" })).await.is(201);
    let bulk = async |body: Value| w.post("/api/v1/sims/bulk", body).await;
    let groups =
        async |n: u32| w.get(&format!("/api/v1/sims/00101{n:010}")).await.is(200).body["groups"].clone();
    let all = json!({ "q": "00101" });

    let r =
        bulk(json!({ "filter": all, "expect": 2, "reason": "move", "groups_add": ["field"] })).await.is(409);
    assert_eq!((&r.body["type"], &r.body["matched"]), (&json!("urn:sekisho:problem:count"), &json!(3)));
    assert_eq!(groups(1).await, json!([]));
    let dry = w
        .call("POST", "/api/v1/sims/bulk")
        .header("idempotency-key", "dry")
        .json(json!({
        "filter": all, "expect": 3, "dry_run": true, "reason": "move", "groups_add": ["field"] }))
        .page()
        .await
        .is(200);
    assert_eq!((&dry.body["matched"], &dry.body["results"]), (&json!(3), &json!([])));
    assert_eq!(groups(1).await, json!([]));

    let body = json!({ "filter": all, "expect": 3, "reason": "move", "groups_add": ["field"], "groups_remove": ["staff"], "site": "osaka" });
    let r = bulk(body).await.is(200);
    assert_eq!((&r.body["done"], &r.body["failed"]), (&json!(3), &json!(0)), "{}", r.text);
    assert_eq!((groups(1).await, groups(2).await), (json!(["field"]), json!(["field"])));
    let audit = w.get("/api/v1/audit?object=sim:001010000000002").await.is(200);
    assert_eq!(audit.body["items"][0]["reason"], "move");

    // One that cannot be is named with its reason; the others are changed.
    let imsis = ["001010000000001", "001010000000002", "001010000000009"];
    let body = json!({ "imsis": imsis, "expect": 3, "reason": "fleet is parked", "state": "suspended" });
    let r = bulk(body).await.is(200);
    assert_eq!((&r.body["done"], &r.body["failed"]), (&json!(2), &json!(1)), "{}", r.text);
    let last = &r.body["results"][2];
    assert_eq!(
        (&last["imsi"], &last["ok"], &last["problem"]["status"]),
        (&json!(imsis[2]), &json!(false), &json!(404))
    );
    assert_eq!(w.get("/api/v1/sims/001010000000002").await.body["state"], "suspended");

    for (body, pointer) in [
        (json!({ "expect": 1, "reason": "x", "state": "active" }), "/imsis"),
        (json!({ "imsis": imsis, "filter": {}, "expect": 3, "reason": "x", "state": "active" }), "/imsis"),
        (json!({ "imsis": ["1"], "expect": 1, "reason": "x", "state": "active" }), "/imsis/0"),
        (json!({ "imsis": imsis, "expect": 3, "reason": "x" }), "/state"),
        (json!({ "imsis": imsis, "expect": 3, "reason": "x", "state": "lost" }), "/state"),
        (json!({ "imsis": imsis, "expect": 3, "reason": "", "state": "active" }), "/reason"),
        (
            json!({ "filter": { "state": "x" }, "expect": 3, "reason": "x", "state": "active" }),
            "/filter/state",
        ),
    ] {
        assert_eq!(bulk(body.clone()).await.is(422).pointers(), [pointer], "{body}");
    }
    // Who is limited changes his own alone, and finds no other.
    w.call("PATCH", "/api/v1/sims/001010000000001")
        .if_match("*")
        .json(json!({ "site": null }))
        .send()
        .await
        .is(200);
    let osaka = w.token_of(json!({ "label": "o", "scopes": ["provision"], "sites": ["osaka"] })).await;
    let as_osaka =
        async |body: Value| w.call("POST", "/api/v1/sims/bulk").token(&osaka).json(body).send().await;
    let r = as_osaka(json!({ "filter": {}, "expect": 2, "reason": "x", "state": "active" })).await.is(200);
    assert_eq!(r.body["done"], 2, "{}", r.text);
    let r = w.call("POST", "/api/v1/sims/bulk").token(&osaka);
    let r = r
        .json(json!({ "imsis": [imsis[0]], "expect": 1, "reason": "x", "state": "active" }))
        .page()
        .await
        .is(200);
    assert_eq!((&r.body["failed"], &r.body["results"][0]["problem"]["status"]), (&json!(1), &json!(403)));
}

#[tokio::test]
async fn the_first_screen_counts_what_is_there() {
    let w = world().await;
    let o = w.get("/api/v1/overview").await.is(200).body;
    assert_eq!(o["sims"], json!({ "total": 3, "states": [{ "state": "ready", "count": 3 }] }));
    assert_eq!((&o["ready"], &o["parts_down"], &o["gnbs"]), (&json!(true), &json!([]), &json!(1)));
}

#[tokio::test]
async fn the_health_screen_shows_what_the_doctor_says_in_the_readers_language() {
    let w = World::new().await;
    let ja = w.call("GET", "/api/v1/system/findings").header("accept-language", "ja").send().await.is(200);
    let en = w.get("/api/v1/system/findings").await.is(200);
    let (ja, en) = (&ja.body["items"][0], &en.body["items"][0]);
    assert_eq!(
        (&ja["code"], &ja["state"], &ja["command"]),
        (&json!("key-mode"), &json!("bad"), &json!("chmod 600 /k"))
    );
    assert_eq!((&en["what"], &ja["what"]), (&json!("key file"), &json!("鍵ファイル")));
}

#[tokio::test]
async fn an_operator_sees_and_ends_his_own_sign_ins() {
    let w = World::new().await;
    let one = w.signed_in("hanako", json!([{ "roles": ["owner"] }])).await;
    let taro = w.signed_in("taro", json!([{ "roles": ["viewer"] }])).await;
    let list = async |t: &str| w.call("GET", "/api/v1/me/sign-ins").token(t).send().await.is(200).body;
    let mine = list(&one).await;
    let [only] = mine.as_array().unwrap().as_slice() else { panic!("{mine}") };
    assert_eq!(only["current"], true);
    let path = format!("/api/v1/me/sign-ins/{}", only["id"].as_str().unwrap());
    w.call("DELETE", &path).token(&taro).send().await.is(404);
    w.call("GET", "/api/v1/me/sign-ins").send().await.is(403);
    w.call("DELETE", &path).token(&one).send().await.is(204);
    w.call("GET", "/api/v1/me").token(&one).send().await.is(401);
}

#[tokio::test]
async fn sims_are_sorted_by_the_server_and_a_cursor_belongs_to_its_order() {
    let w = world().await;
    let imsis = |r: &super::Answer| -> Vec<u64> {
        let items = r.body["items"].as_array().unwrap();
        items.iter().map(|i| i["imsi"].as_str().unwrap()[5..].parse().unwrap()).collect()
    };
    let first = w.get("/api/v1/sims?sort=-label&limit=2").await.is(200);
    assert_eq!(imsis(&first), [2, 3], "by label, the last first");
    assert_eq!(first.body["items"][0]["last_seen"], json!(null));
    let next = first.body["next"].as_str().unwrap();
    assert_eq!(imsis(&w.get(&format!("/api/v1/sims?sort=-label&limit=2&cursor={next}")).await.is(200)), [1]);
    assert_eq!(
        w.get(&format!("/api/v1/sims?sort=label&cursor={next}")).await.is(422).pointers(),
        ["?cursor"]
    );
    assert_eq!(w.get(&format!("/api/v1/sims?cursor={next}")).await.is(422).pointers(), ["?cursor"]);
    assert_eq!(w.get("/api/v1/sims?sort=key").await.is(422).pointers(), ["?sort"]);
    // Who is limited gets his own in the same order.
    let staff = w.token_of(json!({ "label": "s", "scopes": ["read"], "groups": ["staff"] })).await;
    let r = w.call("GET", "/api/v1/sims?sort=-changed&limit=1").token(&staff).send().await.is(200);
    assert_eq!((imsis(&r), &r.body["next"]), (vec![2], &json!(null)));
}

#[tokio::test]
async fn the_devices_that_a_sim_was_in_are_listed() {
    let w = world().await;
    let came = |n: u32, imei: &str| types::Event {
        at: types::Utc(1_800_000_000_000),
        imsi: Some(format!("00101{n:010}").parse().unwrap()),
        what: types::Happening::DeviceMismatch {
            mode: types::BindingMode::Exact,
            expected: vec![],
            seen: Some(imei.parse().unwrap()),
        },
    };
    w.store.append_events(vec![came(1, "35693803564380"), came(1, "86012345678901")]).await.unwrap();
    let black = json!({ "colour": "black", "reason": "stolen lot" });
    w.call("PUT", "/api/v1/equipment/86012345").if_match("*").json(black).send().await;
    let r = w.get("/api/v1/sims/001010000000001/devices").await.is(200);
    let known: Vec<_> =
        r.body["items"].as_array().unwrap().iter().map(|d| (&d["device_id"], &d["colour"])).collect();
    assert_eq!(known, [(&json!("pc-7"), &json!(null)), (&json!(null), &json!("black"))]);
    assert!(r.body["items"][0]["refused"].is_string());
    let first = w.get("/api/v1/sims/001010000000001/devices?limit=1").await.is(200);
    let next = first.body["next"].as_str().unwrap();
    let rest = w.get(&format!("/api/v1/sims/001010000000001/devices?cursor={next}")).await.is(200);
    assert_eq!(
        (&rest.body["items"][0]["device"], &rest.body["next"]),
        (&json!("86012345678901"), &json!(null))
    );
    w.get("/api/v1/sims/001019999999999/devices").await.is(404);
}
