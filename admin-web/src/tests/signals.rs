//! What sources tell: posture by hand, in bulk and by a signed webhook; security events pushed and asked for.

use super::{Answer, IMSI, World, sim_body};
use crate::{
    Fetch, FetchError, HttpRequest, HttpResponse,
    signals::{
        poll,
        set::tests::{ISSUER, US, claims, header, keys, signed},
    },
    state::now,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::{Arc, Mutex};
use store::FactsOf;
use types::{Imsi, Name};

fn name(s: &str) -> Name {
    s.parse().unwrap()
}

fn seconds() -> i64 {
    now().0 / 1000
}

/// Tanaka's laptop with the SIM in it.
async fn office() -> World {
    let w = World::with_site().await;
    let tanaka = json!({ "id": "tanaka", "name": "田中", "mail": "Tanaka@example.jp", "external": "00u1" });
    w.post("/api/v1/people", tanaka).await.is(201);
    w.post("/api/v1/people", json!({ "id": "suzuki", "name": "鈴木", "mail": "suzuki@example.jp" }))
        .await
        .is(201);
    let laptop = json!({ "id": "pc-1", "kind": "laptop", "serial": "C02XL0", "owner": "tanaka" });
    w.post("/api/v1/devices", laptop).await.is(201);
    let mut sim = sim_body();
    (sim["person"], sim["device_id"]) = (json!("tanaka"), json!("pc-1"));
    w.post("/api/v1/sims", sim).await.is(201);
    w.control.facts.lock().unwrap().clear();
    w
}

fn told(w: &World) -> Vec<FactsOf> {
    std::mem::take(&mut *w.control.facts.lock().unwrap())
}

#[tokio::test]
async fn posture_is_told_by_hand_and_shown_with_source_and_age() {
    let w = office().await;
    let before = w.get("/api/v1/posture/pc-1").await.is(200);
    assert_eq!((before.header("etag"), &before.body["facts"]), ("\"0\"", &json!([])));
    let body = json!({ "os": { "name": "windows", "version": "10.0.22631" }, "disk_encryption": true,
                       "jailbroken": true, "observed_at": "2026-01-01T00:00:00Z" });
    let put = w.call("PUT", "/api/v1/posture/pc-1").if_match("\"0\"").json(body.clone()).send().await.is(200);
    let facts = put.body["facts"].as_array().unwrap();
    let row = |n: usize| {
        (facts[n]["check"].as_str().unwrap(), &facts[n]["good"], facts[n]["source"].as_str().unwrap())
    };
    assert_eq!(row(0), ("os-version", &Value::Null, "api"));
    assert_eq!(row(1), ("disk-encryption", &json!(true), "api"));
    assert_eq!(row(2), ("jailbreak", &json!(false), "api"), "that it is jailbroken is not good");
    assert!(facts.iter().all(|f| f["age_s"].as_i64().unwrap() > 0 && f["at"] == "2026-01-01T00:00:00Z"));
    assert_eq!(told(&w), [FactsOf::Devices(vec![name("pc-1")])]);
    let again = w.call("PUT", "/api/v1/posture/pc-1").if_match("\"0\"").json(body).send().await;
    assert_eq!(again.status, 412, "somebody else told meanwhile");
    let older = json!({ "disk_encryption": false, "observed_at": "2025-01-01T00:00:00Z" });
    let put = w.call("PUT", "/api/v1/posture/pc-1").if_match("*").json(older).send().await.is(200);
    assert_eq!(put.body["facts"][1]["good"], json!(true), "what is older changes nothing");
}

#[tokio::test]
async fn what_is_wrong_in_a_report_is_named() {
    let w = office().await;
    for (body, pointers) in [
        (json!({}), vec![""]),
        (json!({ "os": { "name": "dos", "version": "6" } }), vec!["/os/name"]),
        (json!({ "os": { "name": "linux", "version": "6.x" } }), vec!["/os/version"]),
        (json!({ "firewall": true, "observed_at": "2999-01-01T00:00:00Z" }), vec!["/observed_at"]),
        (json!({ "firewall": true, "fierwall": true }), vec!["/fierwall"]),
    ] {
        let r = w.call("PUT", "/api/v1/posture/pc-1").if_match("*").json(body.clone()).send().await.is(422);
        assert_eq!(r.pointers(), pointers, "{body}");
    }
    let nobody = w.call("PUT", "/api/v1/posture/pc-9").if_match("*").json(json!({ "firewall": true }));
    nobody.send().await.is(404);
    assert_eq!(told(&w), []);
}

#[tokio::test]
async fn many_are_told_at_once_and_strangers_are_named() {
    let w = office().await;
    let one = |d: &str| json!({ "device": d, "posture": { "antivirus": true } });
    let r = w.post("/api/v1/posture", json!({ "reports": [one("pc-1"), one("pc-9")] })).await.is(200);
    assert_eq!(r.body, json!({ "taken": 1, "unknown": ["pc-9"] }));
    assert_eq!(told(&w), [FactsOf::Devices(vec![name("pc-1")])]);
    let bad = json!({ "reports": [one("pc-1"), { "device": "PC 1", "posture": {} }] });
    let r = w.post("/api/v1/posture", bad).await.is(422);
    assert_eq!(r.pointers(), ["/reports/1/device", "/reports/1/posture"]);
    let many: Vec<Value> = (0..1001).map(|_| one("pc-1")).collect();
    w.post("/api/v1/posture", json!({ "reports": many })).await.is(422);
}

#[tokio::test]
async fn a_group_says_what_it_asks_and_a_site_its_time_zone() {
    let w = World::with_site().await;
    let asked = json!({ "must": ["disk-encryption", "os-version"], "should": ["screen-lock"],
                        "os": { "windows": "10.0.22631" }, "max_age_s": 3600, "when_silent": "remediation" });
    let body = json!({ "name": "eng", "department": "開発部", "role": "engineer", "contractor": true,
                       "ends_at": "2027-03-31T15:00:00Z", "posture": asked });
    let made = w.post("/api/v1/groups", body).await.is(201);
    let sorted = json!({ "must": ["os-version", "disk-encryption"], "should": ["screen-lock"],
                         "os": { "windows": "10.0.22631" }, "max_age_s": 3600, "when_silent": "remediation" });
    assert_eq!((&made.body["posture"], &made.body["contractor"]), (&sorted, &json!(true)));
    assert_eq!(made.body["ends_at"], "2027-03-31T15:00:00Z");
    for (posture, at) in [
        (json!({ "must": ["disk"] }), "/posture/must/0"),
        (json!({ "must": ["firewall"], "should": ["firewall"] }), "/posture/should"),
        (json!({ "must": ["os-version"] }), "/posture/os"),
        (json!({ "os": { "linux": "6" } }), "/posture/os"),
        (json!({ "must": ["os-version"], "os": { "dos": "6" } }), "/posture/os/dos"),
        (json!({ "must": ["firewall"], "max_age_s": 59 }), "/posture/max_age_s"),
        (json!({ "when_silent": "open" }), "/posture/when_silent"),
    ] {
        let r = w.post("/api/v1/groups", json!({ "name": "x", "posture": posture })).await.is(422);
        assert!(r.pointers().contains(&at), "{posture}: {:?}", r.pointers());
    }
    let site = json!({ "id": "osaka", "name": "大阪", "time_zone": "Asia/Tokyo" });
    assert_eq!(w.post("/api/v1/sites", site).await.is(201).body["time_zone"], "Asia/Tokyo");
    let nowhere = json!({ "id": "x", "name": "x", "time_zone": "Asia/Edo" });
    assert_eq!(w.post("/api/v1/sites", nowhere).await.is(422).pointers(), ["/time_zone"]);
}

#[tokio::test]
async fn a_sim_is_at_home_at_sites_that_somebody_names() {
    let w = office().await;
    w.post("/api/v1/sites", json!({ "id": "osaka", "name": "大阪" })).await.is(201);
    told(&w);
    let path = format!("/api/v1/sims/{IMSI}/usual-sites");
    let before = w.get(&path).await.is(200);
    let tag = before.header("etag").to_owned();
    assert_eq!(before.body, json!({ "sites": [] }));
    let put = w.call("PUT", &path).if_match(&tag).json(json!({ "sites": ["osaka"] })).send().await.is(200);
    assert_eq!(put.body, json!({ "sites": ["osaka"] }));
    assert_eq!(told(&w), [FactsOf::Sims(vec![IMSI.parse().unwrap()])]);
    let stale = w.call("PUT", &path).if_match(&tag).json(json!({ "sites": [] })).send().await;
    assert_eq!(stale.status, 412);
    let r = w.call("PUT", &path).if_match("*").json(json!({ "sites": ["kobe"] })).send().await.is(422);
    assert_eq!(r.pointers(), ["/sites"]);
    let facts = w.get(&format!("/api/v1/sims/{IMSI}/facts")).await.is(200);
    assert_eq!(
        (&facts.body["facts"][0]["value"], &facts.body["facts"][0]["words"]),
        (&json!("compliant"), &json!("compliant"))
    );
    let ja =
        w.call("GET", &format!("/api/v1/sims/{IMSI}/facts")).header("accept-language", "ja").send().await;
    assert_eq!(ja.body["facts"][0]["words"], "準拠");
    w.get("/api/v1/sims/001010000000099/facts").await.is(404);
}

/// A webhook that tells of posture; its secret.
async fn webhook(w: &World) -> String {
    let made =
        w.post("/api/v1/posture/sources", json!({ "name": "mdm", "kind": "webhook", "silent_after_s": 600 }));
    let made = made.await.is(201);
    assert_eq!(made.body["address"], "/signals/mdm/posture");
    made.body["secret"].as_str().unwrap().to_owned()
}

fn mac(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    format!("v1={}", types::hex(&mac.finalize().into_bytes()))
}

async fn hook(w: &World, at: i64, nonce: &str, signature: &str, body: &str) -> Answer {
    let call = w.bare("POST", "/signals/mdm/posture").header("x-sekisho-timestamp", &at.to_string());
    call.header("x-sekisho-nonce", nonce)
        .header("x-sekisho-signature", signature)
        .raw(body.to_owned())
        .page()
        .await
}

#[tokio::test]
async fn a_signed_webhook_tells_of_devices_once() {
    let w = office().await;
    let secret = webhook(&w).await;
    let body = r#"{"reports":[{"device":"pc-1","posture":{"managed":true}}]}"#;
    let (at, nonce) = (seconds(), "0123456789abcdef");
    let good = mac(&secret, &format!("{at}.{nonce}.{body}"));
    assert_eq!(hook(&w, at, nonce, &good, body).await.is(200).body, json!({ "taken": 1, "unknown": [] }));
    assert_eq!(told(&w), [FactsOf::Devices(vec![name("pc-1")])]);
    let refused = [
        hook(&w, at, nonce, &good, body).await,
        hook(&w, at, "0123456789abcdeg", &good, body).await,
        hook(&w, at, nonce, &good, &body.replace("true", "false")).await,
        hook(&w, at - 301, nonce, &mac(&secret, &format!("{}.{nonce}.{body}", at - 301)), body).await,
        hook(&w, at, nonce, &mac("guess", &format!("{at}.{nonce}.{body}")), body).await,
        w.bare("POST", "/signals/mdm/posture").raw(body).page().await,
        w.bare("POST", "/signals/none/posture").raw(body).page().await,
    ];
    let details: Vec<_> = refused.iter().map(|r| (r.status, r.body["detail"].clone())).collect();
    assert!(details.iter().all(|d| d.0 == 401 && *d == details[0]), "nobody learns why: {details:?}");
    assert_eq!(told(&w), []);
    let shown = w.get("/api/v1/posture/sources").await.is(200).body["items"][0].clone();
    assert_eq!(
        (&shown["accepted"], &shown["refused"], &shown["silent"]),
        (&json!(1), &json!(6), &json!(false))
    );
    assert!(shown["age_s"].as_i64().is_some_and(|a| a < 60), "{shown}");
    assert!(!shown.to_string().contains(&secret) && shown.get("secret").is_none(), "{shown}");
    // Another secret: the old one counts no longer.
    let other = w.post("/api/v1/posture/sources/mdm/secret", json!(null)).await.is(200);
    let other = other.body["secret"].as_str().unwrap().to_owned();
    let text = format!("{at}.another-nonce-00.{body}");
    assert_eq!(hook(&w, at, "another-nonce-00", &mac(&secret, &text), body).await.status, 401);
    hook(&w, at, "another-nonce-00", &mac(&other, &text), body).await.is(200);
    // What is signed may still be nonsense.
    for (nonce, body) in
        [("nonsense-0000001", "{"), ("nonsense-0000002", r#"{"reports":[{"device":"pc-1"}]}"#)]
    {
        let r = hook(&w, at, nonce, &mac(&other, &format!("{at}.{nonce}.{body}")), body).await;
        assert!([400, 422].contains(&r.status), "{}", r.text);
    }
}

fn transmitter(more: Value) -> Value {
    let mut ssf = json!({ "issuer": ISSUER, "audience": US, "jwks": keys(1, "k1"),
                          "assured_by": ["nist-aal2"], "assured_for_s": 3600 });
    ssf.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "name": "idp", "kind": "ssf", "ssf": ssf })
}

fn event(jti: &str, subject: Value, kind: &str, more: Value) -> Value {
    let mut c = claims(seconds());
    c["jti"] = json!(jti);
    c["sub_id"] = subject;
    let family = if kind == "verification" || kind == "stream-updated" { "ssf" } else { "caep" };
    let mut events = serde_json::Map::new();
    events.insert(format!("https://schemas.openid.net/secevent/{family}/event-type/{kind}"), more);
    c["events"] = Value::Object(events);
    c
}

async fn push(w: &World, token: &str) -> Answer {
    let call = w.bare("POST", "/signals/idp/events").header("content-type", "application/secevent+jwt");
    call.raw(token.to_owned()).page().await
}

async fn tell(w: &World, c: &Value) -> Answer {
    push(w, &signed(&header(), c, 1)).await
}

fn tanaka() -> Value {
    json!({ "format": "email", "email": "tanaka@example.jp" })
}

async fn assured(w: &World) -> bool {
    let imsi: Imsi = IMSI.parse().unwrap();
    w.store.fact_rows(&FactsOf::Sims(vec![imsi])).await.unwrap()[0].assurance.is_some()
}

#[tokio::test]
async fn a_proof_comes_by_an_event_and_goes_by_another() {
    let w = office().await;
    w.post("/api/v1/posture/sources", transmitter(json!({}))).await.is(201);
    let rise =
        json!({ "namespace": "NIST-AAL", "current_level": "nist-aal2", "change_direction": "increase" });
    let level = |jti: &str, more: Value| event(jti, tanaka(), "assurance-level-change", more);
    let imsi = || vec![FactsOf::Sims(vec![IMSI.parse().unwrap()])];
    assert_eq!(tell(&w, &level("1", rise.clone())).await.is(202).text, "");
    assert!(assured(&w).await);
    assert_eq!(told(&w), imsi());
    for (jti, kind, more) in [
        ("2", "session-revoked", json!({})),
        ("3", "credential-change", json!({ "credential_type": "fido2-roaming", "change_type": "revoke" })),
        (
            "4",
            "assurance-level-change",
            json!({ "current_level": "nist-aal1", "change_direction": "decrease" }),
        ),
        (
            "5",
            "assurance-level-change",
            json!({ "current_level": "nist-aal1", "change_direction": "increase" }),
        ),
    ] {
        tell(&w, &level(&format!("up-{jti}"), rise.clone())).await.is(202);
        assert!(assured(&w).await, "{kind}");
        tell(&w, &event(jti, tanaka(), kind, more)).await.is(202);
        assert!(!assured(&w).await, "{kind}");
    }
    tell(&w, &level("6", rise.clone())).await.is(202);
    let added = json!({ "credential_type": "fido2-roaming", "change_type": "create" });
    tell(&w, &event("7", tanaka(), "credential-change", added)).await.is(202);
    assert!(assured(&w).await, "that a credential was added takes nothing away");
    let other = json!({ "format": "email", "email": "suzuki@example.jp" });
    tell(&w, &event("8", other, "session-revoked", json!({}))).await.is(202);
    assert!(assured(&w).await, "it is somebody else's session");
    let old = json!({ "current_level": "nist-aal2", "change_direction": "increase", "event_timestamp": seconds() - 4000 });
    tell(&w, &level("9", old)).await.is(202);
    assert!(!assured(&w).await, "a proof of which the time is over is none");
}

#[tokio::test]
async fn whoever_is_meant_is_found_by_what_they_are_known_as() {
    let w = office().await;
    w.post("/api/v1/posture/sources", transmitter(json!({}))).await.is(201);
    for (n, subject) in [
        json!({ "format": "email", "email": "tanaka@example.jp" }),
        json!({ "format": "account", "uri": "acct:tanaka@example.jp" }),
        json!({ "format": "iss_sub", "iss": ISSUER, "sub": "00u1" }),
        json!({ "format": "opaque", "id": "tanaka" }),
        json!({ "format": "aliases", "identifiers": [{ "format": "opaque", "id": "?" }, tanaka()] }),
        json!({ "format": "complex", "user": { "format": "opaque", "id": "00u1" }, "tenant": { "format": "opaque", "id": "t" } }),
        json!({ "user": tanaka() }),
    ]
    .into_iter()
    .enumerate()
    {
        tell(&w, &event(&format!("s{n}"), subject.clone(), "session-revoked", json!({}))).await.is(202);
        assert_eq!(told(&w).len(), 1, "{subject}");
    }
    for (n, subject) in [
        json!({ "format": "email", "email": "tanaka" }),
        json!({ "format": "email", "email": "anaka@example.jp" }),
        json!({ "format": "opaque", "id": "" }),
        json!({ "format": "opaque", "id": "%" }),
        json!({ "format": "phone_number", "phone_number": "+81312345678" }),
        json!({}),
    ]
    .into_iter()
    .enumerate()
    {
        tell(&w, &event(&format!("n{n}"), subject.clone(), "session-revoked", json!({}))).await.is(202);
        assert_eq!(told(&w), [], "{subject}");
    }
}

#[tokio::test]
async fn compliance_and_risk_are_of_the_device_or_the_person() {
    let w = office().await;
    w.post("/api/v1/posture/sources", transmitter(json!({}))).await.is(201);
    let laptop = json!({ "device": { "format": "opaque", "id": "C02XL0" }, "user": tanaka() });
    let bad = json!({ "previous_status": "compliant", "current_status": "not-compliant" });
    tell(&w, &event("1", laptop.clone(), "device-compliance-change", bad)).await.is(202);
    let known = w.get("/api/v1/posture/pc-1").await.is(200).body["facts"][0].clone();
    assert_eq!(
        (&known["check"], &known["good"], &known["source"]),
        (&json!("managed"), &json!(false), &json!("idp"))
    );
    assert_eq!(told(&w), [FactsOf::Devices(vec![name("pc-1")])]);
    let row = async || {
        let imsi: Imsi = IMSI.parse().unwrap();
        let row = w.store.fact_rows(&FactsOf::Sims(vec![imsi])).await.unwrap().remove(0);
        (row.person_risk.map(|r| r.level.to_string()), row.device_risk.map(|r| r.level.to_string()))
    };
    let high = json!({ "principal": "USER", "current_level": "HIGH" });
    tell(&w, &event("2", laptop.clone(), "risk-level-change", high)).await.is(202);
    assert_eq!(row().await, (Some("high".to_owned()), None));
    let low = json!({ "principal": "DEVICE", "current_level": "MEDIUM" });
    tell(&w, &event("3", laptop.clone(), "risk-level-change", low)).await.is(202);
    assert_eq!(row().await, (Some("high".to_owned()), Some("medium".to_owned())));
    let older = json!({ "principal": "USER", "current_level": "LOW", "event_timestamp": seconds() - 60 });
    tell(&w, &event("4", laptop, "risk-level-change", older)).await.is(202);
    assert_eq!(row().await.0.as_deref(), Some("high"), "what is older changes nothing");
}

#[tokio::test]
async fn what_is_not_right_is_refused_by_its_code_counted_and_does_nothing() {
    let w = office().await;
    w.post("/api/v1/posture/sources", transmitter(json!({}))).await.is(201);
    let good = event("1", tanaka(), "session-revoked", json!({}));
    let with = |field: &str, v: Value| {
        let mut c = good.clone();
        c[field] = v;
        signed(&header(), &c, 1)
    };
    let none = {
        let token = signed(&json!({ "alg": "none", "typ": "secevent+jwt" }), &good, 1);
        format!("{}.", token.rsplit_once('.').unwrap().0)
    };
    let unknown = json!({ "alg": "EdDSA", "typ": "secevent+jwt", "kid": "k9" });
    let refused = [
        ("authentication_failed", signed(&header(), &good, 2)),
        ("authentication_failed", none),
        ("invalid_key", signed(&unknown, &good, 1)),
        ("invalid_issuer", with("iss", json!("https://evil.example"))),
        ("invalid_audience", with("aud", json!("https://other.example"))),
        ("invalid_request", with("iat", json!(seconds() - 100_000))),
        ("invalid_request", with("exp", json!(seconds() - 10))),
        ("invalid_request", "garbage".to_owned()),
    ];
    for (code, token) in &refused {
        let r = push(&w, token).await.is(400);
        assert_eq!((&r.body["err"], r.header("content-type")), (&json!(code), "application/json"));
        assert!(r.body["description"].as_str().is_some_and(|d| !d.is_empty()));
    }
    assert_eq!(told(&w), []);
    let token = signed(&header(), &good, 1);
    let kind = w.bare("POST", "/signals/idp/events").header("content-type", "application/jwt");
    kind.raw(token.clone()).page().await.is(400);
    push(&w, &token).await.is(202);
    assert_eq!(told(&w).len(), 1);
    assert_eq!(push(&w, &token).await.is(400).body["err"], "invalid_request", "once");
    assert_eq!(told(&w), []);
    let shown = w.get("/api/v1/posture/sources/idp").await.is(200);
    assert_eq!((&shown.body["accepted"], &shown.body["refused"]), (&json!(1), &json!(refused.len() + 2)));
    let metrics = w.get("/metrics").await.is(200).text;
    for line in [
        "sekisho_signals_accepted_total 1",
        "sekisho_signals_refused_total{why=\"signature\"} 1",
        "sekisho_signals_refused_total{why=\"algorithm\"} 1",
        "sekisho_signals_refused_total{why=\"replayed\"} 1",
        "sekisho_signals_refused_total{why=\"expired\"} 2",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    // The memory of what was taken is in the store: another life of this program refuses it too.
    let state = crate::AppState::new(w.control.clone(), w.store.clone(), w.flows.clone()).await.unwrap();
    let app = crate::router(state.sealing_with(types::Key256::new([7; 32])));
    let second = World { app, ..w };
    assert_eq!(push(&second, &token).await.is(400).body["err"], "invalid_request");
}

#[tokio::test]
async fn a_stream_is_verified_and_says_how_it_is() {
    let w = office().await;
    w.post("/api/v1/posture/sources", transmitter(json!({}))).await.is(201);
    let stream = json!({ "format": "opaque", "id": "stream-1" });
    tell(&w, &event("v", stream.clone(), "verification", json!({ "state": "abc" }))).await.is(202);
    let shown = w.get("/api/v1/posture/sources/idp").await.is(200);
    assert!(shown.body["last_success"].is_string() && shown.body["stream"].is_null());
    tell(&w, &event("u", stream, "stream-updated", json!({ "status": "paused" }))).await.is(202);
    assert_eq!(w.get("/api/v1/posture/sources/idp").await.body["stream"], "paused");
    assert_eq!(told(&w), []);
}

#[tokio::test]
async fn sources_are_checked_kept_in_versions_and_audited() {
    let w = World::with_site().await;
    for (body, at) in [
        (json!({ "name": "api", "kind": "webhook" }), "/name"),
        (json!({ "name": "x", "kind": "fax" }), "/kind"),
        (json!({ "name": "x", "kind": "ssf" }), "/ssf"),
        (json!({ "name": "x", "kind": "webhook", "silent_after_s": 5 }), "/silent_after_s"),
        (json!({ "name": "x", "kind": "webhook", "poll_token": "t" }), "/poll_token"),
        (transmitter(json!({ "jwks": null })), "/ssf/jwks"),
        (transmitter(json!({ "jwks": { "keys": [] } })), "/ssf/jwks"),
        (transmitter(json!({ "jwks_uri": "https://idp.example.jp/keys" })), "/ssf/jwks"),
        (transmitter(json!({ "poll_url": "http://idp.example.jp/poll" })), "/ssf/poll_url"),
        (transmitter(json!({ "poll_url": "file:///etc/passwd" })), "/ssf/poll_url"),
        (transmitter(json!({ "issuer": "" })), "/ssf/issuer"),
    ] {
        let r = w.post("/api/v1/posture/sources", body.clone()).await.is(422);
        assert!(r.pointers().contains(&at), "{body}: {:?}", r.pointers());
    }
    let made = w.post("/api/v1/posture/sources", transmitter(json!({}))).await.is(201);
    assert_eq!((made.header("etag"), &made.body["secret"]), ("\"1\"", &Value::Null));
    w.post("/api/v1/posture/sources", transmitter(json!({}))).await.is(409);
    let mut other = transmitter(json!({ "audience": "https://new.example.jp" }));
    let path = "/api/v1/posture/sources/idp";
    let put = w.call("PUT", path).if_match("\"1\"").json(other.clone()).send().await.is(200);
    assert_eq!(put.body["ssf"]["audience"], "https://new.example.jp");
    assert_eq!(w.call("PUT", path).if_match("\"1\"").json(other.clone()).send().await.status, 412);
    other["name"] = json!("another");
    assert_eq!(w.call("PUT", path).if_match("*").json(other).send().await.is(422).pointers(), ["/name"]);
    w.post("/api/v1/posture/sources/idp/secret", json!(null)).await.is(409);
    w.call("DELETE", path).if_match("\"2\"").send().await.is(204);
    w.get(path).await.is(404);
}

/// A transmitter that is asked; it notes what it was told.
struct Pretended {
    answers: Mutex<Vec<Value>>,
    heard: Mutex<Vec<(String, Value)>>,
}

impl Fetch for Arc<Pretended> {
    fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let mut answer = HttpResponse::new(Vec::new());
        if request.uri().path() == "/keys" {
            *answer.body_mut() = serde_json::to_vec(&keys(1, "k1")).unwrap();
            return Ok(answer);
        }
        let who = request.headers().get("authorization").map_or("", |v| v.to_str().unwrap()).to_owned();
        self.heard.lock().unwrap().push((who, serde_json::from_slice(request.body()).unwrap()));
        match self.answers.lock().unwrap().pop() {
            Some(v) => *answer.body_mut() = v.to_string().into_bytes(),
            None => return Err(FetchError("it is gone".to_owned())),
        }
        Ok(answer)
    }
}

#[tokio::test]
async fn a_transmitter_is_asked_and_hears_what_was_taken_and_what_not() {
    let w = office().await;
    let good = signed(&header(), &event("a", tanaka(), "session-revoked", json!({})), 1);
    let forged = signed(&header(), &event("b", tanaka(), "session-revoked", json!({})), 2);
    let answers =
        vec![json!({ "sets": {} }), json!({ "sets": { "a": good, "b": forged }, "moreAvailable": false })];
    let idp = Arc::new(Pretended { answers: Mutex::new(answers), heard: Mutex::default() });
    let state = w.state.clone().fetching_signals_by(Box::new(idp.clone()));
    let more = json!({ "jwks": null, "jwks_uri": "https://idp.example.jp/keys", "poll_url": "https://idp.example.jp/poll" });
    let mut source = transmitter(more);
    source["poll_token"] = json!("the token");
    let made = w.post("/api/v1/posture/sources", source).await.is(201);
    assert_eq!((&made.body["address"], &made.body["secret"]), (&Value::Null, &Value::Null));
    assert!(!made.text.contains("the token"));
    poll::round(&state).await;
    assert_eq!(told(&w).len(), 1, "the one that was not forged");
    let heard = std::mem::take(&mut *idp.heard.lock().unwrap());
    assert!(heard.iter().all(|(who, _)| who == "Bearer the token"));
    assert_eq!(heard[0].1, json!({ "maxEvents": 50, "returnImmediately": true }));
    assert_eq!((&heard[1].1["ack"], &heard[1].1["maxEvents"]), (&json!(["a"]), &json!(0)));
    assert_eq!(heard[1].1["setErrs"]["b"]["err"], "authentication_failed");
    // It did not hear that and sends the first again; then it is gone.
    *idp.answers.lock().unwrap() = vec![json!({ "sets": {} }), json!({ "sets": { "a": good } })];
    poll::round(&state).await;
    assert_eq!(told(&w), []);
    let heard = std::mem::take(&mut *idp.heard.lock().unwrap());
    assert_eq!(heard[1].1["ack"], json!(["a"]), "what was taken before is acknowledged");
    poll::round(&state).await;
    let shown = w.store.signal_source(&name("idp")).await.unwrap();
    let health = state.signals.with_pending(&shown);
    assert_eq!(health.error.as_deref(), Some("it does not answer: it is gone"));
    // Pushing to a stream that is asked is refused.
    assert_eq!(push(&w, &good).await.is(400).body["err"], "access_denied");
}
