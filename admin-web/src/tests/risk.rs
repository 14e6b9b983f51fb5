//! How risk is weighed: read, replaced whole, refused whole.

use super::{World, sim_body};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/risk-profile";

#[tokio::test]
async fn the_profile_is_the_shipped_one_until_somebody_says_otherwise() {
    let w = World::with_site().await;
    let shipped = w.get(PATH).await.is(200);
    assert_eq!((shipped.header("etag"), &shipped.body["shipped"]), ("\"0\"", &json!(true)));
    assert_eq!(
        shipped.body["weights"],
        json!({ "not_compliant": 30, "not_assured": 25, "unusual_place": 20, "night": 15 })
    );
    assert_eq!(shipped.body["levels"], json!({ "medium": 20, "high": 40, "critical": 60 }));
    let before = w.store.policy_generation().await.unwrap();
    let body = json!({ "weights": { "night": 40 }, "zone": "Asia/Tokyo",
                       "outcomes": { "low": { "public": "allow", "internal": "allow", "confidential": "step-up" } } });
    let put = w.call("PUT", PATH).if_match("\"0\"").json(body.clone()).send().await.is(200);
    assert_eq!(
        (put.header("etag"), &put.body["shipped"], &put.body["weights"]["night"]),
        ("\"1\"", &json!(false), &json!(40))
    );
    assert_eq!(put.body["weights"]["not_assured"], 25, "what is left out is as shipped");
    assert_eq!(put.body["outcomes"]["low"]["confidential"], "step-up");
    assert_eq!(w.store.policy_generation().await.unwrap(), before + 1, "it is part of the policy");
    let read = w.get(PATH).await.is(200);
    assert_eq!((&read.body["zone"], read.header("etag")), (&json!("Asia/Tokyo"), "\"1\""));
    assert_eq!(w.call("PUT", PATH).if_match("\"0\"").json(body).send().await.status, 412);
    // What is read can be put back as it is, but for what only an answer says.
    let mut same = read.body.clone();
    for only in ["shipped", "version"] {
        same.as_object_mut().unwrap().remove(only);
    }
    w.call("PUT", PATH).if_match("\"1\"").json(same).send().await.is(200);
    let back = w.call("PUT", PATH).if_match("*").json(json!({})).send().await.is(200);
    assert_eq!(back.body["shipped"], true);
}

#[tokio::test]
async fn a_profile_that_is_wrong_is_refused_whole_with_each_field() {
    let w = World::with_site().await;
    let row = |o: &str| json!({ "public": o, "internal": o, "confidential": o });
    for (body, pointers) in [
        (json!({ "levels": { "medium": 50 } }), vec!["/levels/medium"]),
        (
            json!({ "levels": { "high": 70 }, "weights": { "night": 1001 } }),
            vec!["/weights/night", "/levels/high"],
        ),
        (json!({ "levels": { "medium": 0 } }), vec!["/levels/medium"]),
        (json!({ "night_hours": "22-6" }), vec!["/night_hours"]),
        (json!({ "zone": "Asia/Edo" }), vec!["/zone"]),
        (
            json!({ "outcomes": { "critical": row("allow") } }),
            vec![
                "/outcomes/critical/public",
                "/outcomes/critical/internal",
                "/outcomes/critical/confidential",
            ],
        ),
        (
            json!({ "outcomes": { "low": { "public": "deny", "internal": "allow", "confidential": "allow" } } }),
            vec!["/outcomes/low/internal", "/outcomes/medium/public"],
        ),
        (json!({ "nigth_hours": "22:00-06:00" }), vec!["/nigth_hours"]),
        (json!({ "weights": { "night": -1 } }), vec!["/weights/night"]),
        (json!({ "outcomes": { "low": row("open") } }), vec!["/outcomes/low/confidential"]),
    ] {
        let r = w.call("PUT", PATH).if_match("*").json(body.clone()).send().await.is(422);
        assert_eq!(r.pointers(), pointers, "{body}");
        assert!(
            r.body["errors"][0]["fix"].is_string() || r.body["errors"][0]["detail"].is_string(),
            "{}",
            r.text
        );
    }
    assert_eq!(w.get(PATH).await.is(200).body["version"], 0, "nothing of it was stored");
}

#[tokio::test]
async fn tests_of_the_policy_hold_the_profile_too() {
    let w = World::with_site().await;
    w.post("/api/v1/apps", json!({ "name": "wiki", "prefixes": ["10.10.1.0/24"], "services": ["tcp/443"] }))
        .await
        .is(201);
    let policy = w.get("/api/v1/policies/text").await.is(200);
    let text = format!(
        "{}\n{}",
        policy.body["text"].as_str().unwrap(),
        r#"
[[rules]]
name = "by-risk"
order = 10
subject = "any"
app = "wiki"
direction = "out"
verdict = "risk"

[[tests]]
name = "healthy-by-day"
expect = "allow"
groups = ["staff"]
app = "wiki"
service = "tcp/443"
at = 2027-06-01T03:00:00Z
facts = { posture = "compliant", usual = true, zone = "Asia/Tokyo", assured = true }
"#
    );
    w.post("/api/v1/policies/apply", json!({ "text": text })).await.is(200);
    let deny = json!({ "public": "deny", "internal": "deny", "confidential": "deny" });
    let all = json!({ "outcomes": { "low": deny, "medium": deny, "high": deny, "critical": deny } });
    let r = w.call("PUT", PATH).if_match("*").json(all).send().await.is(422);
    assert_eq!(r.body["type"], "urn:sekisho:problem:tests-failed", "{}", r.text);
    assert_eq!(w.get(PATH).await.is(200).body["version"], 0);
    let none: Value = json!({ "weights": { "night": 0 } });
    w.call("PUT", PATH).if_match("*").json(none).send().await.is(200);
}

/// A profile that is not in force: what hangs on it, how the tests come out, and what it makes of a SIM. Nothing is stored.
#[tokio::test]
async fn a_profile_is_tried_before_it_is_in_force() {
    let w = World::with_site().await;
    let plan = |body: Value| w.post("/api/v1/risk-profile/plan", body);
    let shipped = plan(json!({})).await.is(200).body;
    assert_eq!((&shipped["unchanged"], &shipped["rules"]), (&json!(true), &json!([])));
    w.post("/api/v1/apps", json!({ "name": "wiki", "prefixes": ["10.10.1.0/24"], "services": ["tcp/443"] }))
        .await
        .is(201);
    let text = w.get("/api/v1/policies/text").await.is(200).body["text"].as_str().unwrap().to_owned();
    let rule = |name: &str, order: u32, more: &str| {
        format!(
            "[[rules]]\nname = \"{name}\"\norder = {order}\nsubject = \"any\"\napp = \"wiki\"\ndirection = \"out\"\n{more}\n"
        )
    };
    let rules = [
        rule("quiet", 10, "verdict = \"allow\"\nrisk_at_most = \"low\""),
        rule("by-risk", 11, "verdict = \"risk\""),
        rule("last", 12, "verdict = \"deny\""),
    ]
    .concat();
    let test = "[[tests]]\nname = \"healthy\"\nexpect = \"allow\"\ngroups = [\"staff\"]\napp = \"wiki\"\nservice = \"tcp/443\"\n\
                at = 2027-06-01T03:00:00Z\nfacts = { posture = \"compliant\", site = \"tokyo\", usual = true, zone = \"Asia/Tokyo\", assured = false }\n";
    w.post("/api/v1/policies/apply", json!({ "text": format!("{text}\n{rules}{test}") })).await.is(200);
    // No proof is 25: medium, and internal is allowed with a record; by 45 it is high, and step-up.
    let draft = json!({ "weights": { "not_assured": 45 } });
    let said = plan(draft.clone()).await.is(200).body;
    assert_eq!((&said["unchanged"], &said["rules"]), (&json!(false), &json!(["quiet", "by-risk"])));
    assert_eq!((&said["tests"]["passed"], &said["tests"]["failed"]), (&json!(0), &json!(1)), "{said}");
    assert_eq!(plan(json!({ "weights": { "night": 0 } })).await.is(200).body["tests"]["passed"], 1);

    w.post("/api/v1/sims", sim_body()).await.is(201);
    let path = format!("/api/v1/sims/{}/risk", super::IMSI);
    let sim = w.post(&path, draft).await.is(200).body;
    // Of the SIM only its posture is known: what is not known counts.
    assert_eq!((&sim["stored"]["risk"]["score"], &sim["draft"]["risk"]["score"]), (&json!(90), &json!(110)));
    assert_eq!(
        sim["stored"]["risk"]["factors"][0],
        json!({ "factor": "not-compliant", "weight": 30, "known": true })
    );
    assert_eq!((&sim["stored"]["public"], &sim["stored"]["internal"]), (&json!("step-up"), &json!("deny")));
    let open = json!({ "weights": { "not_compliant": 0, "not_assured": 0, "unusual_place": 0, "night": 0 } });
    let sim = w.post(&path, open).await.is(200).body;
    assert_eq!(
        (&sim["draft"]["risk"]["level"], &sim["draft"]["confidential"]),
        (&json!("low"), &json!("allow-logged"))
    );
    assert_eq!(w.get(PATH).await.is(200).body["version"], 0, "nothing of it was stored");
}

/// Whom it would move, by what is known of each: counted, some named, in both languages; nothing where that is not at hand.
#[tokio::test]
async fn a_plan_of_risk_counts_whom_it_moves() {
    let w = World::with_site().await;
    w.post("/api/v1/apps", json!({ "name": "wiki", "prefixes": ["10.10.1.0/24"], "services": ["tcp/443"] }))
        .await
        .is(201);
    let rule = json!({ "name": "by-risk", "order": 1, "subject": "any", "app": "wiki", "direction": "out", "verdict": "risk" });
    w.post("/api/v1/rules", rule).await.is(201);
    // Healthy, at home, in a place where it is day; every second one has proved themselves.
    let facts = |n: usize| types::SimFacts {
        posture: Some(types::Posture {
            value: types::Compliance::Compliant,
            since: types::Utc(0),
            until: None,
            source: "mdm".parse().unwrap(),
        }),
        assurance: Some(types::Assurance {
            until: types::Utc(if n.is_multiple_of(2) { i64::MAX } else { 0 }),
            since: types::Utc(0),
            source: "idp".parse().unwrap(),
        }),
        place: Some(types::SiteSeen {
            site: None,
            usual: true,
            zone: Some("Asia/Tokyo".to_owned()),
            since: types::Utc(0),
            source: "network".parse().unwrap(),
        }),
        ..types::SimFacts::default()
    };
    let imsi = |n: usize| format!("00101{n:010}").parse::<types::Imsi>().unwrap();
    let all = (0..20).map(|n| (imsi(n), std::sync::Arc::new(facts(n)))).collect();
    *w.control.everything.lock().unwrap() = Some(all);
    // No proof is medium as shipped, whatever the hour (25, or 40 by night: so night weighs nothing in both).
    let quiet = json!({ "weights": { "night": 0 } });
    w.call("PUT", PATH).if_match("*").json(quiet).send().await.is(200);
    let draft = json!({ "weights": { "night": 0, "not_assured": 60 } });
    let said = w.post("/api/v1/risk-profile/plan", draft.clone()).await.is(200).body;
    let moves = &said["moves"];
    assert_eq!((&moves["sims"], &moves["moved"], &moves["apps_left"]), (&json!(20), &json!(10), &json!(0)));
    let named: Vec<String> = [1, 3, 5, 7, 9].map(|n| imsi(n).to_string()).into();
    assert_eq!(
        moves["levels"],
        json!([{ "words": format!("medium → critical: 10 SIMs ({}, …)", named.join(", ")), "was": "medium",
                 "is": "critical", "sims": 10, "examples": named }])
    );
    let app = &moves["apps"][0];
    assert_eq!(
        (&app["app"], &app["direction"], &app["was"], &app["is"], &app["sims"]),
        (&json!("wiki"), &json!("out"), &json!("open"), &json!("closed"), &json!(10))
    );
    assert!(app["words"].as_str().unwrap().starts_with("wiki closes, was open: 10 SIMs (00101"), "{app}");
    assert_eq!(moves["apps"].as_array().unwrap().len(), 1);
    let ja = w.call("POST", "/api/v1/risk-profile/plan").header("accept-language", "ja").json(draft.clone());
    let ja = ja.send().await.is(200).body;
    assert!(ja["moves"]["levels"][0]["words"].as_str().unwrap().starts_with("中 → 重大: SIM 10 枚"), "{ja}");
    assert!(ja["moves"]["apps"][0]["words"].as_str().unwrap().starts_with("wiki: 遮断されます"), "{ja}");
    // The same moves nobody; and where it is still being read, that is said.
    let same = w.post("/api/v1/risk-profile/plan", json!({ "weights": { "night": 0 } })).await.is(200).body;
    assert_eq!((&same["moves"]["moved"], &same["moves"]["apps"]), (&json!(0), &json!([])));
    // Beside everybody else's requests, and in a moment.
    let all = (0..100_000).map(|n| (imsi(n), std::sync::Arc::new(facts(n)))).collect();
    *w.control.everything.lock().unwrap() = Some(all);
    let began = std::time::Instant::now();
    let many = w.post("/api/v1/risk-profile/plan", draft.clone()).await.is(200).body;
    assert_eq!((&many["moves"]["sims"], &many["moves"]["moved"]), (&json!(100_000), &json!(50_000)));
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    *w.control.everything.lock().unwrap() = None;
    let unread = w.post("/api/v1/risk-profile/plan", draft).await.is(200).body;
    assert_eq!((&unread["moves"], &unread["rules"]), (&Value::Null, &json!(["by-risk"])));
}

#[tokio::test]
async fn a_profile_that_is_wrong_is_not_tried_and_neither_is_a_sim_that_is_not_there() {
    let w = World::with_site().await;
    let bad = json!({ "levels": { "medium": 50 } });
    for path in ["/api/v1/risk-profile/plan".to_owned(), format!("/api/v1/sims/{}/risk", super::IMSI)] {
        assert_eq!(w.post(&path, bad.clone()).await.is(422).pointers(), ["/levels/medium"], "{path}");
    }
    w.post("/api/v1/sims/001010000099999/risk", json!({})).await.is(404);
}
