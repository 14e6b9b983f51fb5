//! Data networks, apps, groups and rules: changed only where the whole stays sound.

use super::{IMSI, World, sim_body};
use pgw_policy::command::LearnedName;
use serde_json::json;
use std::sync::atomic::Ordering;

fn wiki() -> serde_json::Value {
    json!({ "name": "wiki", "label": "Wiki", "prefixes": ["10.10.1.5/32"], "services": ["tcp/443"] })
}

fn rule() -> serde_json::Value {
    json!({ "name": "staff-wiki", "order": 10, "subject": "group:staff", "app": "wiki", "direction": "out",
            "to": [], "verdict": "allow" })
}

#[tokio::test]
async fn a_thing_is_made_read_replaced_and_deleted() {
    let w = World::with_site().await;
    w.control.was_asked();
    let made = w.post("/api/v1/apps", wiki()).await.is(201);
    assert_eq!(made.header("location"), "/api/v1/apps/wiki");
    assert_eq!(w.control.was_asked(), ["policy_changed"]);
    let read = w.get("/api/v1/apps/wiki").await.is(200);
    assert_eq!(read.body, made.body);
    assert_eq!((&read.body["prefixes"], &read.body["version"]), (&json!(["10.10.1.5/32"]), &json!(1)));
    let mut better = wiki();
    better["services"] = json!(["tcp/443", "tcp/8000-8080"]);
    let call = w.call("PUT", "/api/v1/apps/wiki").if_match(read.header("etag"));
    let put = call.json(better.clone()).send().await.is(200);
    assert_eq!(put.header("etag"), "\"2\"");
    w.call("PUT", "/api/v1/apps/wiki").if_match("\"1\"").json(better.clone()).send().await.is(412);
    better["name"] = json!("other");
    let r = w.call("PUT", "/api/v1/apps/wiki").if_match("*").json(better).send().await.is(422);
    assert_eq!(r.pointers(), ["/name"]);
    w.call("DELETE", "/api/v1/apps/wiki").if_match("\"2\"").send().await.is(204);
    w.get("/api/v1/apps/wiki").await.is(404);
    let actions = w.get("/api/v1/audit?object=app:wiki").await.is(200);
    let actions: Vec<_> =
        actions.body["items"].as_array().unwrap().iter().map(|a| a["action"].clone()).collect();
    assert_eq!(actions, ["app.delete", "app.change", "app.create"]);
}

#[tokio::test]
async fn host_bits_overlaps_and_strange_services_are_refused_with_the_fix() {
    let w = World::with_site().await;
    let dn = async |dnn: &str, pool: &str| {
        w.post("/api/v1/data-networks", json!({ "dnn": dnn, "pool": pool })).await
    };
    let r = dn("lab", "10.40.0.1/24").await.is(422);
    assert_eq!(r.pointers(), ["/pool"]);
    assert!(r.body["errors"][0]["fix"].as_str().unwrap().contains("10.40.0.0/24"), "{}", r.text);
    let r = dn("lab", "10.20.128.0/17").await.is(422);
    assert!(r.text.contains("data network corp"), "{}", r.text);
    assert_eq!(dn("lab", "10.40.0.0").await.is(422).pointers(), ["/pool"]);
    assert_eq!(dn("la b", "10.40.0.0/24").await.is(422).pointers(), ["/dnn"]);
    let r = dn("corp", "10.40.0.0/24").await.is(409);
    assert_eq!(r.pointers(), ["/dnn"]);

    let app = async |change: serde_json::Value| {
        let mut a = wiki();
        a.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        w.post("/api/v1/apps", a).await.is(422)
    };
    assert_eq!(app(json!({ "prefixes": ["10.10.1.5/24"] })).await.pointers(), ["/prefixes"]);
    assert_eq!(app(json!({ "prefixes": ["10.10.1.5/32", "x"] })).await.pointers(), ["/prefixes/1"]);
    assert_eq!(app(json!({ "prefixes": [] })).await.pointers(), ["/prefixes"]);
    assert_eq!(app(json!({ "prefixes": ["127.0.0.1/32"] })).await.pointers(), ["/prefixes"]);
    assert_eq!(app(json!({ "services": ["icmp/8"] })).await.pointers(), ["/services/0"]);
    assert_eq!(app(json!({ "services": ["tcp/443-80"] })).await.pointers(), ["/services/0"]);
    assert_eq!(app(json!({ "name": "Wiki!" })).await.pointers(), ["/name"]);
}

#[tokio::test]
async fn a_rule_names_what_there_is_and_what_it_names_stays() {
    let w = World::with_site().await;
    assert_eq!(w.post("/api/v1/rules", rule()).await.is(422).pointers(), ["/app"]);
    w.post("/api/v1/apps", wiki()).await.is(201);
    let with = |change: serde_json::Value| {
        let mut r = rule();
        r.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        r
    };
    let refused = async |change| w.post("/api/v1/rules", with(change)).await.is(422);
    assert_eq!(refused(json!({ "subject": "group:ghosts" })).await.pointers(), ["/subject"]);
    assert_eq!(refused(json!({ "subject": "everyone" })).await.pointers(), ["/subject"]);
    assert_eq!(refused(json!({ "to": ["tcp/502"] })).await.pointers(), ["/to"]);
    assert_eq!(refused(json!({ "direction": "in" })).await.pointers(), ["/to"]);
    assert_eq!(refused(json!({ "direction": "sideways" })).await.pointers(), ["/direction"]);
    assert_eq!(refused(json!({ "verdict": "perhaps" })).await.pointers(), ["/verdict"]);
    w.post("/api/v1/rules", with(json!({ "subject": "sim:001010000000009" }))).await.is(409);
    w.post("/api/v1/rules", rule()).await.is(201);

    for path in ["/api/v1/apps/wiki", "/api/v1/groups/staff"] {
        let r = w.call("DELETE", path).if_match("*").send().await.is(409);
        assert!(r.text.contains("rule staff-wiki"), "{}", r.text);
    }
    w.call("DELETE", "/api/v1/rules/staff-wiki").if_match("*").send().await.is(204);
    w.call("DELETE", "/api/v1/apps/wiki").if_match("*").send().await.is(204);
}

#[tokio::test]
async fn an_app_may_have_names_which_are_told_with_the_verdict() {
    let w = World::with_site().await;
    let named = |names: serde_json::Value| {
        let mut app = wiki();
        app["names"] = names;
        app
    };
    let refused =
        w.post("/api/v1/apps", named(json!(["wiki.example.jp", "Wiki.jp", "日本.jp"]))).await.is(422);
    assert_eq!(refused.pointers(), ["/names/1", "/names/2"]);
    let twice = w.post("/api/v1/apps", named(json!(["a.jp", "a.jp"]))).await.is(422);
    assert_eq!(twice.pointers(), ["/names"]);
    let names = json!(["*.example.jp", "wiki.example.jp"]);
    let made = w.post("/api/v1/apps", named(names.clone())).await.is(201);
    assert_eq!(made.body["names"], names);
    let mut any = rule();
    any["subject"] = json!("any");
    w.post("/api/v1/rules", any).await.is(201);
    // Names say whom UEs reach, not who opens towards them.
    let mut inward = rule();
    let change = json!({ "name": "inward", "direction": "in", "to": ["tcp/22"] });
    inward.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    assert_eq!(w.post("/api/v1/rules", inward).await.is(422).pointers(), ["/app"]);
    w.post("/api/v1/sims", sim_body()).await.is(201);
    let ask = json!({ "question": { "imsi": IMSI, "app": "wiki", "service": "tcp/443" } });
    let why = w.post("/api/v1/policies/explain", ask).await.is(200).body;
    assert_eq!((&why["verdict"], &why["reason"]), (&json!("inspect"), &json!("rule")));
    assert_eq!(why["names"], json!(["wiki.example.jp", "*.example.jp"]));
    assert_eq!((&why["names_from"], &why["looked_up"]), (&json!("tls"), &json!(null)));
}

#[tokio::test]
async fn the_way_to_the_provider_judges_like_an_app_and_stands_in_no_list_that_can_be_changed() {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    *w.control.provider.lock().unwrap() = Some(pgw_policy::ProviderApp {
        names: vec!["idp.example".parse().unwrap()],
        ports: vec![443],
        said: Vec::new(),
        found: ["10.9.0.7".parse().unwrap()].into(),
    });
    let system = w.get("/api/v1/system").await.is(200).body;
    let app = &system["built_in_apps"][0];
    assert_eq!((&app["name"], &app["prefixes"]), (&json!("identity-provider"), &json!(["10.9.0.7/32"])));
    assert_eq!(w.get("/api/v1/apps").await.is(200).body["items"], json!([]));
    let text = w.get("/api/v1/policies/text").await.is(200).body;
    assert_eq!(text["policy"]["apps"], json!([]), "a file holds what people said");

    // By name and by address, in force, by a draft and in the tests of a file.
    for by in ["app=identity-provider", "address=10.9.0.7"] {
        let why = w.get(&format!("/api/v1/decisions?imsi={IMSI}&{by}&service=tcp/443")).await.is(200).body;
        assert_eq!((&why["verdict"], &why["app"]), (&json!("inspect"), &json!("identity-provider")), "{by}");
    }
    let ask = json!({ "question": { "imsi": IMSI, "address": "10.9.0.7", "service": "tcp/443" } });
    assert_eq!(w.post("/api/v1/policies/explain", ask).await.is(200).body["verdict"], "inspect");
    let plan = w.post("/api/v1/policies/plan", json!({})).await.is(200).body;
    assert_eq!((&plan["unchanged"], &plan["access_total"]), (&json!(true), &json!(0)), "{plan}");
    let flow = json!({
        "start": "2026-11-02T09:00:00Z", "end": "2026-11-02T09:00:01Z", "imsi": IMSI, "direction": "out",
        "ue": "10.20.0.9", "ue_port": 40000, "peer": "10.9.0.7", "peer_port": 443, "protocol": 6,
        "app": "identity-provider", "rule": "identity-provider", "verdict": "allow", "reason": "rule",
        "generation": 1, "packets_up": 1, "bytes_up": 40, "packets_down": 0, "bytes_down": 0, "name": "idp.example",
    });
    let replayed = w.post("/api/v1/policies/replay", json!({ "flows": [flow] })).await.is(200).body;
    assert_eq!((&replayed["records"], &replayed["newly_denied"]), (&json!(1), &json!(0)), "{replayed}");

    // Somebody's own stands in its place.
    let own = json!({ "name": "identity-provider", "prefixes": ["10.9.0.0/24"], "services": ["tcp/443"] });
    w.post("/api/v1/apps", own).await.is(201);
    let why =
        w.get(&format!("/api/v1/decisions?imsi={IMSI}&address=10.9.0.7&service=tcp/443")).await.is(200).body;
    assert_eq!(why["verdict"], "deny");
}

#[tokio::test]
async fn names_may_come_from_look_ups_and_what_the_sim_has_looked_up_is_told() {
    let w = World::with_site().await;
    let app = |more: serde_json::Value| {
        let mut app = wiki();
        app.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        app
    };
    let wrong = [json!({ "names": ["a.jp"], "names_from": "guess" }), json!({ "names_from": "dns" })];
    for more in wrong {
        assert_eq!(w.post("/api/v1/apps", app(more)).await.is(422).pointers(), ["/names_from"]);
    }
    let made =
        w.post("/api/v1/apps", app(json!({ "names": ["*.example.jp"], "names_from": "dns" }))).await.is(201);
    assert_eq!(made.body["names_from"], "dns");
    let mut any = rule();
    any["subject"] = json!("any");
    w.post("/api/v1/rules", any).await.is(201);
    w.post("/api/v1/sims", sim_body()).await.is(201);
    let learned = |name: &str| LearnedName {
        name: name.parse().unwrap(),
        address: "10.10.1.5".parse().unwrap(),
        resolver: "10.10.1.53".parse().unwrap(),
        since: types::Utc(1_700_000_000_000),
        left_ms: 90_500,
    };
    *w.control.looked_up.lock().unwrap() = vec![learned("wiki.example.jp"), learned("other.jp")];
    let ask = format!("/api/v1/decisions?imsi={IMSI}&app=wiki&service=tcp/443");
    let why = w.get(&ask).await.is(200).body;
    assert_eq!((&why["verdict"], &why["names_from"]), (&json!("inspect"), &json!("dns")));
    let told = json!([{ "name": "wiki.example.jp", "address": "10.10.1.5", "resolver": "10.10.1.53",
                        "since": "2023-11-14T22:13:20Z", "left_s": 90 }]);
    assert_eq!(why["looked_up"], told);
}

#[tokio::test]
async fn a_rule_may_carry_a_rate_and_a_choice_of_records_and_an_app_its_marks() {
    let w = World::with_site().await;
    let with = |mut to: serde_json::Value, change: serde_json::Value| {
        to.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        to
    };
    let refused = async |path, body| w.post(path, body).await.is(422);
    let marked = |dscp, qfi| with(wiki(), json!({ "dscp": dscp, "qfi": qfi }));
    assert_eq!(refused("/api/v1/apps", marked(64, 0)).await.pointers(), ["/dscp", "/qfi"]);
    let made = w.post("/api/v1/apps", marked(46, 5)).await.is(201);
    assert_eq!((&made.body["dscp"], &made.body["qfi"]), (&json!(46), &json!(5)));

    let rules = "/api/v1/rules";
    let plain = w.post(rules, with(rule(), json!({ "name": "plain" }))).await.is(201);
    assert_eq!((&plain.body["rate_ul_bps"], &plain.body["record"]), (&json!(null), &json!("all")));
    assert_eq!(refused(rules, with(rule(), json!({ "record": "1/0" }))).await.pointers(), ["/record"]);
    assert_eq!(
        refused(rules, with(rule(), json!({ "rate_ul_bps": 999 }))).await.pointers(),
        ["/rate_ul_bps"]
    );
    let denied = json!({ "verdict": "deny", "rate_dl_bps": 5_000, "record": "counters" });
    assert_eq!(refused(rules, with(rule(), denied)).await.pointers(), ["/rate_dl_bps", "/record"]);
    let terms = json!({ "rate_ul_bps": 1_000_000, "rate_dl_bps": 8_000_000, "record": "1/100" });
    let made = w.post(rules, with(rule(), with(terms.clone(), json!({ "order": 1 })))).await.is(201);
    for (field, value) in terms.as_object().unwrap() {
        assert_eq!(&made.body[field], value);
    }
    w.post("/api/v1/sims", sim_body()).await.is(201);
    w.call("PATCH", &format!("/api/v1/sims/{IMSI}"))
        .if_match("*")
        .json(json!({ "groups": ["staff"] }))
        .send()
        .await
        .is(200);
    let question = json!({ "question": { "imsi": IMSI, "app": "wiki", "service": "tcp/443" } });
    let why = w.post("/api/v1/policies/explain", question).await.is(200).body;
    assert_eq!((&why["rule"], &why["record"]), (&json!("staff-wiki"), &json!("1/100")), "{why}");
    assert_eq!((&why["rate_dl_bps"], &why["dscp"], &why["qfi"]), (&json!(8_000_000), &json!(46), &json!(5)));
}

#[tokio::test]
async fn a_rule_is_in_force_in_its_hours_and_until_its_end() {
    let w = World::with_site().await;
    w.post("/api/v1/apps", wiki()).await.is(201);
    let with = |change: serde_json::Value| {
        let mut r = rule();
        r.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        r.as_object_mut().unwrap().insert("subject".to_owned(), json!("any"));
        r
    };
    let refused = async |change| w.post("/api/v1/rules", with(change)).await.is(422);
    assert_eq!(refused(json!({ "hours": "mon-fri 08:00-18:00" })).await.pointers(), ["/hours"]);
    let r = refused(json!({ "hours": "mon-fri 08:00-18:00 Asia/Edo", "until": "soon" })).await;
    assert_eq!(r.pointers(), ["/hours", "/until"]);
    let hours = json!({ "hours": "daily 00:00-24:00 Asia/Tokyo", "until": "2020-01-01T00:00:00Z" });
    let made = w.post("/api/v1/rules", with(hours)).await.is(201);
    assert_eq!(
        (&made.body["hours"], &made.body["until"]),
        (&json!("daily 00:00-24:00 Asia/Tokyo"), &json!("2020-01-01T00:00:00Z"))
    );
    w.post("/api/v1/sims", sim_body()).await.is(201);
    let question = json!({ "question": { "imsi": IMSI, "app": "wiki", "service": "tcp/443" } });
    let why = w.post("/api/v1/policies/explain", question.clone()).await.is(200).body;
    assert_eq!((&why["verdict"], &why["reason"]), (&json!("deny"), &json!("no-rule")));
    assert_eq!(why["considered"][0]["outcome"], "other-time");

    let open = with(json!({ "until": "2090-01-01T00:00:00Z" }));
    w.call("PUT", "/api/v1/rules/staff-wiki").if_match("*").json(open).send().await.is(200);
    let at = |at: &str| format!("/api/v1/decisions?imsi={IMSI}&app=wiki&service=tcp/443&at={at}");
    for (moment, verdict) in [("2089-12-31T23:59:59Z", "allow"), ("2090-01-01T00:00:00Z", "deny")] {
        assert_eq!(w.get(&at(moment)).await.is(200).body["verdict"], verdict, "{moment}");
    }
    let why = w.post("/api/v1/policies/explain", question).await.is(200).body;
    assert_eq!(why["verdict"], "allow");
}

#[tokio::test]
async fn a_data_network_with_sims_is_not_deleted() {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    w.call("DELETE", "/api/v1/data-networks/corp").if_match("*").send().await.is(409);
    w.call("DELETE", "/api/v1/data-networks/factory").if_match("*").send().await.is(204);
}

#[tokio::test]
async fn twenty_authors_at_once_lose_nothing() {
    let w = World::with_site().await;
    let start = w.store.policy_generation().await.unwrap();
    let calls = (0..20).map(|n| {
        let prefix = format!("10.10.2.{n}/32");
        w.post(
            "/api/v1/apps",
            json!({ "name": format!("app{n}"), "prefixes": [prefix], "services": ["tcp/80"] }),
        )
    });
    let answers = futures_util::future::join_all(calls).await;
    let made = answers.iter().filter(|a| a.status == 201).count() as u64;
    assert!(answers.iter().all(|a| a.status == 201 || a.text.contains("problem:busy")), "{answers:?}");
    assert_eq!(w.store.policy_generation().await.unwrap(), start + made);
    assert_eq!(w.store.policy_source().await.unwrap().apps.len() as u64, made);
}

#[tokio::test]
async fn what_is_stored_and_what_is_in_force_are_told_apart() {
    let w = World::with_site().await;
    w.control.gateway_down.store(true, Ordering::Relaxed);
    w.post("/api/v1/apps", wiki()).await.is(201);
    let p = w.get("/api/v1/policies").await.is(200);
    assert_eq!((&p.body["generation"], &p.body["enforced_generation"]), (&json!(4), &json!(1)));
    assert_eq!(p.body["apps"][0]["name"], "wiki");
}

#[tokio::test]
async fn a_policy_is_tried_before_it_is_stored() {
    let w = World::with_site().await;
    w.post("/api/v1/apps", wiki()).await.is(201);
    let mut sim = sim_body();
    sim["groups"] = json!(["staff"]);
    w.post("/api/v1/sims", sim).await.is(201);
    let case = |expect: &str| json!({ "question": { "imsi": IMSI, "app": "wiki", "service": "tcp/443" }, "expect": expect });
    let r = w.post("/api/v1/policies/test", json!({ "cases": [case("deny"), case("allow")] })).await.is(200);
    assert_eq!((&r.body["passed"], &r.body["failed"]), (&json!(1), &json!(1)));
    assert_eq!(r.body["results"][0]["explanation"]["reason"], "no-rule");

    let draft = json!({ "rules": [rule()] });
    let r =
        w.post("/api/v1/policies/test", json!({ "cases": [case("allow")], "draft": draft })).await.is(200);
    assert_eq!(r.body["failed"], 0);
    assert_eq!(r.body["results"][0]["explanation"]["rule"], "staff-wiki");
    assert_eq!(w.get("/api/v1/rules").await.body["items"], json!([]), "nothing was stored");

    let bad = json!({ "rules": [json!({ "name": "r", "order": 1, "subject": "any", "app": "ghost", "direction": "out",
                                        "verdict": "allow" })] });
    let r = w
        .post("/api/v1/policies/explain", json!({ "question": case("deny")["question"], "draft": bad }))
        .await;
    assert!(r.is(422).text.contains("no app ghost"));
    let question = json!({ "imsi": IMSI, "address": "10.10.1.5", "service": "tcp/443-444" });
    let r = w.post("/api/v1/policies/explain", json!({ "question": question })).await.is(422);
    assert_eq!(r.pointers(), ["/question/service"]);
    let question = json!({ "imsi": IMSI, "service": "tcp/443" });
    let r = w.post("/api/v1/policies/explain", json!({ "question": question })).await.is(422);
    assert_eq!(r.pointers(), ["/question/address"]);
}

#[tokio::test]
async fn a_decision_in_force_is_explained() {
    let w = World::with_site().await;
    w.post("/api/v1/apps", wiki()).await.is(201);
    w.post("/api/v1/rules", rule()).await.is(201);
    let mut sim = sim_body();
    sim["groups"] = json!(["staff"]);
    w.post("/api/v1/sims", sim).await.is(201);
    let ask = async |rest: &str| w.get(&format!("/api/v1/decisions?imsi={IMSI}&{rest}")).await;
    let r = ask("app=wiki&service=tcp/443").await.is(200);
    assert_eq!((&r.body["verdict"], &r.body["rule"]), (&json!("allow"), &json!("staff-wiki")));
    let r = ask("address=10.10.1.5&service=tcp/22").await.is(200);
    assert_eq!((&r.body["verdict"], &r.body["reason"]), (&json!("deny"), &json!("unknown-app")));
    let r = ask("address=10.10.1.5&service=tcp/443&direction=in").await.is(200);
    assert_eq!(r.body["reason"], "no-rule");
    assert_eq!(ask("app=ghost&service=tcp/443").await.is(422).pointers(), ["?app"]);
    assert_eq!(ask("app=wiki").await.is(422).pointers(), ["?service"]);
}

#[tokio::test]
async fn why_is_answered_for_another_moment_too() {
    let w = World::with_site().await;
    let mut body = sim_body();
    body["groups"] = json!(["staff"]);
    w.post("/api/v1/sims", body).await.is(201);
    w.post("/api/v1/apps", wiki()).await.is(201);
    w.post("/api/v1/rules", rule()).await.is(201);
    let ask = |at: &str| format!("/api/v1/decisions?imsi={IMSI}&app=wiki&service=tcp/443{at}");
    let now = w.get(&ask("")).await.is(200).body;
    assert_eq!(
        (&now["verdict"], &now["sim_state"], &now["at"]),
        (&json!("allow"), &json!("ready"), &json!(null))
    );
    // The moment lies between two changes whose times the audit has.
    let seen = w.get("/api/v1/audit?object=rule:staff-wiki").await.is(200);
    let at = seen.body["items"][0]["at"].as_str().unwrap().to_owned();
    let past: jiff::Timestamp = at.parse().unwrap();
    while jiff::Timestamp::now() <= past {
        tokio::task::yield_now().await;
    }
    let r = w.get("/api/v1/rules/staff-wiki").await.is(200);
    let mut other = rule();
    other["verdict"] = json!("deny");
    w.call("PUT", "/api/v1/rules/staff-wiki").if_match(r.header("etag")).json(other).send().await.is(200);
    assert_eq!(w.get(&ask("")).await.is(200).body["verdict"], "deny");
    let then = w.get(&ask(&format!("&at={at}"))).await.is(200).body;
    assert_eq!((&then["verdict"], &then["rule"]), (&json!("allow"), &json!("staff-wiki")));
    assert_eq!((&then["at"], &then["generation"]), (&json!(at), &json!(null)));
    assert_eq!(then["considered"][0]["outcome"], "matched");
    // What is to come: the policy of now, and the state that is planned.
    let plan = json!({ "at": "2099-01-01T00:00:00Z", "action": "suspend", "reason": "end of project" });
    w.post(&format!("/api/v1/sims/{IMSI}/schedule"), plan).await.is(201);
    let soon = |at: &str| ask(&format!("&at={at}"));
    assert_eq!(w.get(&soon("2098-12-31T23:59:59Z")).await.is(200).body["sim_state"], "ready");
    assert_eq!(w.get(&soon("2099-01-01T00:00:00Z")).await.is(200).body["sim_state"], "suspended");
    // Before it was made, and what is no time.
    assert_eq!(w.get(&soon("2001-01-01T00:00:00Z")).await.is(422).pointers(), ["?at"]);
    assert_eq!(w.get(&soon("yesterday")).await.is(422).pointers(), ["?at"]);
}
