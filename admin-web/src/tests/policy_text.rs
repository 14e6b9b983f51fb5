//! The policy as one text: shown, planned, applied, refused, and had back.

use super::{IMSI, World, sim_body};
use serde_json::{Value, json};

const FILE: &str = r#"
[[groups]]
name = "staff"
label = "Staff"

[[apps]]
name = "wiki"
prefixes = ["10.10.1.5/32"]
services = ["tcp/443"]

[[rules]]
name = "staff-wiki"
order = 10
subject = "group:staff"
app = "wiki"
direction = "out"
verdict = "allow"

[[templates]]
name = "reject"
parameters = ["group"]
[[templates.rules]]
name = "rest"
order = 900
subject = "group:${group}"
app = "wiki"
direction = "out"
verdict = "reject"
hours = "daily 00:00-24:00 UTC"

[[uses]]
name = "tail"
template = "reject"
with = { group = "staff" }

[[tests]]
name = "staff-have-the-wiki"
expect = "allow"
groups = ["staff"]
app = "wiki"
service = "tcp/443"
"#;

/// A site with one SIM of staff, and the file's groups beside those that are there.
async fn world() -> (World, String) {
    let w = World::with_site().await;
    let mut body = sim_body();
    body["groups"] = json!(["staff"]);
    w.post("/api/v1/sims", body).await.is(201);
    let there = w.get("/api/v1/policies/text").await.is(200).body["text"].as_str().unwrap().to_owned();
    let others = there.replace("[[groups]]\nname = \"staff\"\nlabel = \"Staff\"\n", "");
    w.control.was_asked();
    (w, format!("{FILE}\n{}", if others == there { String::new() } else { others }))
}

async fn generation(w: &World) -> u64 {
    w.get("/api/v1/policies").await.is(200).body["generation"].as_u64().unwrap()
}

#[tokio::test]
async fn a_file_is_planned_applied_once_and_shown_as_it_is() {
    let (w, file) = world().await;
    let before = generation(&w).await;
    let plan = w.post("/api/v1/policies/plan", json!({ "text": file })).await.is(200).body;
    assert_eq!(plan["access"][0]["words"], "1 SIM of staff may reach wiki tcp/443 (staff-wiki)", "{plan:#}");
    assert_eq!((&plan["access_total"], &plan["tests"]["passed"]), (&json!(1), &json!(1)));
    assert_eq!(plan["rules"]["new"], json!(["staff-wiki", "tail.rest"]));
    assert_eq!(plan["findings"][0]["of"], "rule:tail.rest");
    assert_eq!(plan["findings"][0]["kind"], "shadowed");
    assert_eq!((generation(&w).await, w.control.was_asked().len()), (before, 0), "a plan changes nothing");

    let applied =
        w.post("/api/v1/policies/apply", json!({ "text": file, "reason": "first" })).await.is(200).body;
    assert_eq!((&applied["generation"], &applied["new"]), (&json!(before + 1), &json!(3)));
    assert_eq!(w.control.was_asked(), ["policy_changed"]);
    let again = w.post("/api/v1/policies/apply", json!({ "text": file })).await.is(200).body;
    assert_eq!((&again["unchanged"], &again["generation"]), (&json!(true), &json!(before + 1)));
    assert_eq!(w.control.was_asked(), [""; 0]);

    // Both forms say the same.
    let shown = w.get("/api/v1/policies/text").await.is(200).body;
    for form in [json!({ "text": shown["text"] }), json!({ "policy": shown["policy"] })] {
        let same = w.post("/api/v1/policies/apply", form).await.is(200).body;
        assert_eq!(same["unchanged"], true, "{same}");
    }
    let rows = w.get("/api/v1/audit?action=policy.apply").await.is(200).body["items"].clone();
    let rows = rows.as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["reason"]), (1, &json!("first")));
    let found = w.get("/api/v1/policies/analysis").await.is(200).body;
    assert_eq!(found[0]["of"], "rule:tail.rest");
}

#[tokio::test]
async fn a_policy_whose_tests_fail_is_not_published_by_any_way() {
    let (w, file) = world().await;
    let bad = file.replace(
        "app = \"wiki\"\ndirection = \"out\"\nverdict = \"allow\"",
        "app = \"wiki\"\ndirection = \"out\"\nverdict = \"deny\"",
    );
    let plan = w.post("/api/v1/policies/plan", json!({ "text": bad })).await.is(200).body;
    assert_eq!(plan["tests"]["failed"], 1);
    let refused = w.post("/api/v1/policies/apply", json!({ "text": bad })).await.is(422);
    assert_eq!(refused.body["type"], "urn:sekisho:problem:tests-failed");
    w.post("/api/v1/policies/apply", json!({ "text": file })).await.is(200);
    let stored = generation(&w).await;
    w.control.was_asked();

    let rule = json!({ "name": "staff-wiki", "order": 10, "subject": "group:staff", "app": "wiki", "direction": "out",
                       "verdict": "deny" });
    let put = |body: Value| w.call("PUT", "/api/v1/rules/staff-wiki").if_match("*").json(body).send();
    let refused = put(rule.clone()).await.is(422);
    assert_eq!(refused.body["type"], "urn:sekisho:problem:tests-failed", "{}", refused.body);
    let early = json!({ "name": "a", "order": 1, "subject": "any", "app": "wiki", "direction": "out", "verdict": "deny" });
    w.post("/api/v1/rules", early).await.is(422);
    w.call("DELETE", "/api/v1/rules/staff-wiki").if_match("*").send().await.is(422);
    assert_eq!((generation(&w).await, w.control.was_asked().len()), (stored, 0));
    let mut fine = rule;
    fine["verdict"] = json!("allow");
    fine["order"] = json!(11);
    put(fine).await.is(200);

    // What a template makes is changed there.
    let r = w.call("DELETE", "/api/v1/rules/tail.rest").if_match("*").send().await.is(409);
    assert_eq!(r.body["type"], "urn:sekisho:problem:of-template");
}

#[tokio::test]
async fn a_generation_is_had_back_by_one_call() {
    let (w, file) = world().await;
    let first =
        w.post("/api/v1/policies/apply", json!({ "text": file })).await.is(200).body["generation"].as_u64();
    let other = file.replace("10.10.1.5/32", "10.10.1.6/32");
    w.post("/api/v1/policies/apply", json!({ "text": other, "if_generation": first })).await.is(200);
    let late =
        w.post("/api/v1/policies/apply", json!({ "text": file, "if_generation": first })).await.is(409);
    assert_eq!(late.body["type"], "urn:sekisho:problem:moved");
    w.control.was_asked();
    let back = w.post("/api/v1/policies/rollback", json!({ "reason": "it was wrong" })).await.is(200).body;
    assert_eq!((&back["changed"], back["generation"].as_u64()), (&json!(1), first.map(|g| g + 2)));
    assert_eq!(w.control.was_asked(), ["policy_changed"]);
    let app = w.get("/api/v1/apps/wiki").await.is(200).body;
    assert_eq!(app["prefixes"], json!(["10.10.1.5/32"]));
    let history = w.get("/api/v1/policies/history?limit=2").await.is(200).body;
    let actions: Vec<&str> =
        history["items"].as_array().unwrap().iter().map(|s| s["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["policy.rollback", "policy.apply"]);
    assert_eq!(history["items"][0]["reason"], "it was wrong");
    let next = history["next"].as_str().unwrap();
    let page = w.get(&format!("/api/v1/policies/history?cursor={next}")).await.is(200).body;
    assert_eq!(page["items"][0]["generation"].as_u64(), first);
    w.post("/api/v1/policies/rollback", json!({ "to": 9999 })).await.is(422);

    // How risk is weighed is part of it.
    let profile = json!({ "weights": { "night": 99 } });
    w.call("PUT", "/api/v1/risk-profile").if_match("*").json(profile).send().await.is(200);
    let back = w.post("/api/v1/policies/rollback", json!({})).await.is(200).body;
    assert_eq!((&back["risk_profile"], &back["changed"]), (&json!(true), &json!(0)));
    let risk = w.get("/api/v1/risk-profile").await.is(200).body;
    assert_eq!((&risk["shipped"], &risk["weights"]["night"]), (&json!(true), &json!(15)));

    // Each generation is shown as it was.
    let text = async |g: u64| {
        let shown = w.get(&format!("/api/v1/policies/text?generation={g}")).await.is(200).body;
        assert_eq!(shown["generation"], g);
        shown["text"].as_str().unwrap().to_owned()
    };
    let (first, now) = (first.unwrap(), w.get("/api/v1/policies/text").await.is(200).body);
    assert_eq!(text(first).await, text(first + 2).await);
    assert_eq!(text(first + 2).await, now["text"].as_str().unwrap());
    assert_eq!(text(first + 1).await, text(first).await.replace("10.10.1.5/32", "10.10.1.6/32"));
    let r = w.get("/api/v1/policies/text?generation=9999").await.is(422);
    assert_eq!(r.pointers(), ["?generation"]);
}

#[tokio::test]
async fn what_is_wrong_is_refused_whole_with_its_place() {
    let (w, file) = world().await;
    let before = generation(&w).await;
    let bad = file.replace("10.10.1.5/32", "10.10.1.5/24").replace("order = 10", "order = \"x\"");
    let r = w.post("/api/v1/policies/apply", json!({ "text": bad })).await.is(422);
    assert_eq!(r.pointers(), ["/text", "/text"]);
    let said = r.body["errors"][0]["detail"].as_str().unwrap();
    assert!(said.starts_with("line 8, column 13: app wiki, prefixes[0]: 10.10.1.5/24"), "{said}");
    assert_eq!(r.body["places"], json!([{ "line": 8, "column": 13 }, { "line": 13, "column": 9 }]));
    let model = json!({ "rules": [{ "name": "r", "order": 1, "subject": "any", "app": "ghost", "direction": "out", "verdict": "allow" }] });
    let r = w.post("/api/v1/policies/plan", json!({ "policy": model })).await.is(422);
    assert_eq!(r.pointers(), ["/policy/rules/0/app"]);
    for both in [json!({ "text": "", "policy": {} }), json!({})] {
        w.post("/api/v1/policies/apply", both).await.is(422);
    }
    // Its SIM would be in no group that there is, and a rule would speak of a SIM that there is not.
    let r = w.post("/api/v1/policies/apply", json!({ "text": "" })).await.is(422);
    assert!(
        r.body["errors"][0]["detail"].as_str().unwrap().starts_with("group staff is not in"),
        "{}",
        r.body
    );
    let ghost = file.replace("group:staff\"\napp", "sim:001019999999999\"\napp");
    let r = w.post("/api/v1/policies/apply", json!({ "text": ghost })).await.is(422);
    assert!(r.body["errors"][0]["detail"].as_str().unwrap().contains("no SIM 001019999999999"), "{}", r.body);
    let own = file
        .replace("group:staff\"\napp", &format!("sim:{IMSI}\"\napp"))
        .replace("groups = [\"staff\"]", &format!("sim = \"{IMSI}\""));
    w.post("/api/v1/policies/plan", json!({ "text": own })).await.is(200);
    assert_eq!(generation(&w).await, before);
    // Twelve thousand rules are more than other bodies may have.
    let mut large = file;
    for n in 0..12_000 {
        large += &format!(
            "[[rules]]\nname = \"r{n}\"\norder = {n}\nsubject = \"any\"\napp = \"wiki\"\ndirection = \"out\"\nverdict = \"allow\"\n"
        );
    }
    assert!(large.len() > 1 << 20);
    w.post("/api/v1/policies/plan", json!({ "text": large })).await.is(200);
}

#[tokio::test]
async fn recorded_flows_are_tried_against_a_draft() {
    let (w, file) = world().await;
    w.post("/api/v1/policies/apply", json!({ "text": file })).await.is(200);
    let at = crate::state::now();
    let record = |n: i64, verdict: &str, reason: &str| -> types::FlowRecord {
        serde_json::from_value(json!({
            "start": at.0 - 10_000 + n, "end": at.0 - 9_000 + n, "imsi": IMSI, "direction": "out",
            "ue": "10.20.0.9", "ue_port": 40_000, "peer": "10.10.1.5", "peer_port": 443, "protocol": 6,
            "app": "wiki", "rule": null, "verdict": verdict, "reason": reason, "generation": 1, "packets_up": 1,
            "bytes_up": 40, "packets_down": 0, "bytes_down": 0, "name": null, "would": null,
        }))
        .unwrap()
    };
    let flows = (0..3).map(|n| record(n, "allow", "rule")).chain([record(3, "deny", "banned")]).collect();
    w.state.flows.append(flows, at).await.unwrap();
    let draft = file
        .replace("verdict = \"allow\"", "verdict = \"deny\"")
        .replace("expect = \"allow\"", "expect = \"deny\"");
    let mut answer = w.post("/api/v1/policies/replay", json!({ "text": draft })).await.is(200).body;
    assert_eq!(
        [&answer["records"], &answer["newly_denied"], &answer["not_by_rules"]],
        [&json!(4), &json!(3), &json!(1)]
    );
    let kind = &answer["kinds"][0];
    assert_eq!(
        (&kind["imsi"], &kind["flows"], &kind["rule"]),
        (&json!(IMSI), &json!(3), &json!("staff-wiki"))
    );
    assert!(answer["next"].is_null() && answer["done"] == answer["total"], "{answer}");
    // The stored policy says what was said, and later than now there is nothing.
    answer = w.post("/api/v1/policies/replay", json!({})).await.is(200).body;
    assert_eq!((&answer["newly_denied"], &answer["records"]), (&json!(0), &json!(4)));
    let none = json!({ "from": "2999-01-01T00:00:00Z" });
    assert_eq!(w.post("/api/v1/policies/replay", none).await.is(200).body["records"], 0);
    let r = w.post("/api/v1/policies/replay", json!({ "cursor": "x", "from": "soon" })).await.is(422);
    assert_eq!(r.pointers(), ["/from", "/cursor"]);
}
