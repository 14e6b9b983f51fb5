//! Networks behind a SIM: whose they may be, and who is told.

use super::{IMSI, World, sim_body};
use serde_json::{Value, json};

fn path(imsi: &str) -> String {
    format!("/api/v1/sims/{imsi}/routes")
}

fn routes(all: &[&str]) -> Value {
    json!({ "routes": all.iter().map(|p| json!({ "dnn": "corp", "prefix": p })).collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_network_is_put_behind_a_sim_and_nobody_else_can_have_it() {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    let none = w.get(&path(IMSI)).await.is(200);
    assert_eq!((&none.body["routes"], none.header("etag")), (&json!([]), "\"1\""));
    let put = |imsi: &str, tag: &str, body: Value| w.call("PUT", &path(imsi)).if_match(tag).json(body).send();

    let made = put(IMSI, "\"1\"", routes(&["192.168.20.0/24", "192.168.10.0/24"])).await.is(200);
    assert_eq!(made.header("etag"), "\"2\"");
    assert_eq!(made.body["routes"][0]["prefix"], "192.168.10.0/24", "in the order of their addresses");
    assert_eq!(w.control.was_asked().last(), Some(&format!("sim_changed {IMSI}")));
    assert_eq!(w.get(&path(IMSI)).await.is(200).body, made.body);
    put(IMSI, "\"1\"", routes(&[])).await.is(412);

    let mut other = sim_body();
    (other["imsi"], other["k"]) = (json!("001010000000077"), json!("00112233445566778899aabbccddeeff"));
    w.post("/api/v1/sims", other).await.is(201);
    let second = |all: &[&str]| put("001010000000077", "*", routes(all));
    let taken = second(&["172.16.0.0/16", "192.168.10.128/25"]).await.is(422);
    assert_eq!(taken.pointers(), ["/routes/1/prefix"]);
    assert!(taken.text.contains(IMSI), "it says whose the other one is: {}", taken.text);
    // Of a pool, of ours, and what no network is.
    for bad in ["10.20.4.0/24", "192.0.2.0/24", "192.168.10.1/24", "224.0.0.0/8", "8.0.0.0/6", "abc"] {
        assert_eq!(second(&[bad]).await.is(422).pointers(), ["/routes/0/prefix"], "{bad}");
    }
    assert_eq!(second(&["172.16.0.0/16", "172.16.8.0/24"]).await.is(422).pointers(), ["/routes/1/prefix"]);
    let elsewhere = json!({ "routes": [{ "dnn": "nowhere", "prefix": "172.16.0.0/16" }] });
    assert_eq!(put("001010000000077", "*", elsewhere).await.is(422).pointers(), ["/routes/0/dnn"]);
    let many: Vec<String> = (0..33).map(|n| format!("172.16.{n}.0/24")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(second(&many).await.is(422).pointers(), ["/routes"]);
    put("001010000000078", "*", routes(&[])).await.is(404);

    // A pool cannot take the addresses either, and a data network that carries a route stays.
    let pool = json!({ "dnn": "new", "pool": "192.168.0.0/16" });
    assert_eq!(w.post("/api/v1/data-networks", pool).await.is(422).pointers(), ["/pool"]);

    // Who had an address behind the SIM, and which SIM it is.
    let who = w.get("/api/v1/addresses?address=192.168.10.77").await.is(200);
    assert_eq!(
        (&who.body["items"][0]["imsi"], &who.body["items"][0]["ip"]),
        (&json!(IMSI), &json!("192.168.10.0/24"))
    );
    let found = w.get("/api/v1/search?q=192.168.20.9").await.is(200);
    assert_eq!(found.body["items"][0]["imsi"], IMSI);
    let why = "/api/v1/decisions?service=tcp/443&address=10.50.0.1";
    assert_eq!(
        w.get(&format!("{why}&ue=192.168.20.9")).await.body,
        w.get(&format!("{why}&imsi={IMSI}")).await.is(200).body
    );
    assert_eq!(w.get(&format!("{why}&ue=192.168.99.9")).await.is(422).pointers(), ["?ue"]);
    assert_eq!(w.get(why).await.is(422).pointers(), ["?imsi"]);
    put(IMSI, "*", routes(&[])).await.is(200);
    second(&["192.168.10.128/25"]).await.is(200);
    let who = w.get("/api/v1/addresses?address=192.168.10.200").await.is(200);
    let whose: Vec<_> = who.body["items"].as_array().unwrap().iter().map(|l| l["imsi"].clone()).collect();
    assert_eq!(whose, [json!("001010000000077"), json!(IMSI)]);
}
