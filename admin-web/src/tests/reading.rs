//! Sessions, flows, timeline, system and metrics.

use super::{IMSI, World, sim_body};
use serde_json::json;
use std::sync::atomic::Ordering;
use types::{Direction, Event, FlowRecord, Happening, Reason, Utc, Verdict};

#[tokio::test]
async fn sessions_are_listed_in_pages_and_ended() {
    let w = World::new().await;
    let first = w.get("/api/v1/sessions?limit=2").await.is(200);
    let ids = |a: &super::Answer| -> Vec<String> {
        a.body["items"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&first), ["001010000000001-1", "001010000000002-1"]);
    let rest =
        w.get(&format!("/api/v1/sessions?cursor={}", first.body["next"].as_str().unwrap())).await.is(200);
    let last = ["001010000000003-1", "001010000000004-00000000c0ffee04"].map(str::to_owned);
    assert_eq!((ids(&rest), &rest.body["next"]), (last.to_vec(), &json!(null)));
    // One that a foreign SMF steers: with who that is, its SEID and its rates.
    let foreign = w.get("/api/v1/sessions?kind=foreign").await.is(200);
    assert_eq!(ids(&foreign), last[1..]);
    let s = &foreign.body["items"][0];
    assert_eq!(
        (&s["kind"], &s["smf"], &s["seid"], &s["pdu_session_id"]),
        (&json!("foreign"), &json!("core-smf"), &json!("00000000c0ffee04"), &json!(null))
    );
    assert_eq!(
        (&s["prefix"], &s["uplink_bps"], &s["downlink_bps"]),
        (&json!("2001:db8:45:7::/64"), &json!(50_000_000), &json!(100_000_000))
    );
    assert_eq!(ids(&w.get("/api/v1/sessions?kind=own").await).len(), 3);
    w.get("/api/v1/sessions?kind=theirs").await.is(422);
    assert_eq!(ids(&w.get("/api/v1/sessions?dnn=factory").await), ["001010000000003-1"]);
    assert_eq!(ids(&w.get(&format!("/api/v1/sessions?imsi={IMSI}")).await), ["001010000000001-1"]);
    assert_eq!(
        (&first.body["items"][0]["tai"], &first.body["items"][0]["cell"]),
        (&json!("001-01-000001"), &json!("000000010"))
    );

    w.call("DELETE", "/api/v1/sessions/001010000000001-1").send().await.is(204);
    w.call("DELETE", "/api/v1/sessions/001010000000001-2").send().await.is(404);
    w.call("DELETE", "/api/v1/sessions/001010000000001-16").send().await.is(404);
    // One that a foreign SMF steers, by the name that it has in the list of those.
    w.call("DELETE", "/api/v1/sessions/001010000000001-0000000000c0ffee").send().await.is(204);
    w.call("DELETE", "/api/v1/sessions/001010000000001-0000000000000001").send().await.is(404);
    w.call("DELETE", "/api/v1/sessions/001010000000001-00000000000000000001").send().await.is(404);
    let asked = [
        "end_session {} 1",
        "end_session {} 2",
        "end_session {} 0000000000c0ffee",
        "end_session {} 0000000000000001",
    ];
    assert_eq!(w.control.was_asked(), asked.map(|what| what.replace("{}", IMSI)));
    assert_eq!(w.get("/api/v1/audit").await.body["items"][0]["action"], "session.end");
    w.control.gateway_down.store(true, Ordering::Relaxed);
    let r = w.get("/api/v1/sessions").await.is(503);
    assert_eq!(r.header("retry-after"), "5");
}

#[tokio::test]
async fn flows_say_who_reached_what_by_which_rule() {
    let w = World::new().await;
    let flow = |n: u8, verdict| FlowRecord {
        start: Utc(1_800_000_000_000 + i64::from(n) * 1000),
        end: Utc(1_800_000_000_500 + i64::from(n) * 1000),
        imsi: format!("00101000000000{}", n % 2 + 1).parse().unwrap(),
        direction: Direction::Out,
        ue: "10.20.0.1".parse().unwrap(),
        ue_port: 40_000,
        peer: format!("10.10.1.{n}").parse().unwrap(),
        peer_port: 443,
        protocol: 6,
        app: Some("wiki".parse().unwrap()),
        rule: Some("staff-wiki".parse().unwrap()),
        verdict,
        reason: if verdict == Verdict::Allow { Reason::Closed } else { Reason::RuleDeny },
        generation: 3,
        packets_up: 1,
        bytes_up: 2,
        packets_down: 3,
        bytes_down: 4,
        name: Some("wiki.example.jp".parse().unwrap()),
        would: None,
    };
    let all = (0..10).map(|n| flow(n, if n == 4 { Verdict::Deny } else { Verdict::Allow })).collect();
    w.flows.append(all, Utc(1_800_000_000_000)).await.unwrap();

    let page = w.get(&format!("/api/v1/flows?imsi={IMSI}&limit=3")).await.is(200);
    let peers = |a: &super::Answer| -> Vec<String> {
        a.body["items"].as_array().unwrap().iter().map(|f| f["peer"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(peers(&page), ["10.10.1.8", "10.10.1.6", "10.10.1.4"]);
    let next = page.body["next"].as_str().unwrap();
    let rest = w.get(&format!("/api/v1/flows?imsi={IMSI}&limit=3&cursor={next}")).await.is(200);
    assert_eq!(
        (peers(&rest), &rest.body["next"]),
        (vec!["10.10.1.2".to_owned(), "10.10.1.0".to_owned()], &json!(null))
    );
    let denied = w.get("/api/v1/flows?verdict=deny").await.is(200);
    assert_eq!((&denied.body["items"][0]["reason"], peers(&denied).len()), (&json!("rule-deny"), 1));
    let from = w.get("/api/v1/flows?from=2027-01-15T08:00:09Z").await.is(200);
    assert_eq!(peers(&from), ["10.10.1.9"]);
    assert_eq!(from.body["items"][0]["start"], "2027-01-15T08:00:09Z");
    assert_eq!(peers(&w.get("/api/v1/flows?address=10.10.1.7").await), ["10.10.1.7"]);
}

#[tokio::test]
async fn a_sims_timeline_is_newest_first() {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    for n in 1..=3 {
        let what = Happening::Alarm { text: format!("no. {n}") };
        w.store
            .append_events(vec![Event { at: Utc(n), imsi: Some(IMSI.parse().unwrap()), what }])
            .await
            .unwrap();
    }
    let page = w.get(&format!("/api/v1/sims/{IMSI}/timeline?limit=2")).await.is(200);
    let details: Vec<_> =
        page.body["items"].as_array().unwrap().iter().map(|e| e["detail"]["text"].clone()).collect();
    assert_eq!(details, ["no. 3", "no. 2"]);
    let next = page.body["next"].as_str().unwrap();
    let rest = w.get(&format!("/api/v1/sims/{IMSI}/timeline?cursor={next}")).await.is(200);
    assert_eq!(rest.body["items"][0]["id"], 1);
}

#[tokio::test]
async fn the_system_says_what_is_up_and_metrics_name_no_sim() {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    let s = w.get("/api/v1/system").await.is(200);
    assert_eq!(
        (&s.body["ready"], &s.body["transport"], &s.body["database"]),
        (&json!(true), &json!("udp"), &json!("sqlite"))
    );
    assert_eq!((&s.body["policy_generation"], &s.body["gnbs"][0]["name"]), (&json!(3), &json!("gnb-1")));
    let p = &s.body["peers"][0];
    assert_eq!(
        (&p["name"], &p["state"], &p["origin_state"]),
        (&json!("core-smf"), &json!("up"), &json!(null))
    );
    let counts = ["restarts", "holds", "ended", "restored", "due"].map(|n| p[n].as_u64());
    assert_eq!(counts, [1, 3, 2, 4, 0].map(Some));
    assert!(p["started"].is_string());
    let a = &s.body["apps"][0];
    assert_eq!(
        (&a["name"], &a["state"], &a["why"]),
        (&json!("wiki"), &json!("down"), &json!("it answers with 503"))
    );

    let m = w.get("/metrics").await.is(200);
    assert!(m.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(m.text.contains("sekisho_packets_dropped_total{reason=\"banned\"} 12\n"), "{}", m.text);
    assert!(m.text.contains("sekisho_sims{state=\"ready\"} 1\n"));
    assert!(
        m.text
            .contains("sekisho_api_requests_total{method=\"POST\",route=\"/api/v1/sims\",class=\"200\"} 1\n")
    );
    assert!(!m.text.contains(IMSI));

    w.control.gateway_down.store(true, Ordering::Relaxed);
    let r = w.bare("GET", "/readyz").send().await.is(503);
    assert_eq!(r.body["down"], json!(["gateway"]));
    assert_eq!(w.get("/api/v1/system").await.is(200).body["ready"], false);
    w.bare("GET", "/healthz").send().await.is(200);
}
