//! Security event tokens that are not what they say, by the socket to which a transmitter pushes: forged, replayed, expired,
//! for others, unsigned, of unknown keys; each in three ways, refused, counted and without any effect (docs/hostile.md,
//! "Policy files and tokens"). ID tokens are in `no_lie_about_a_person_is_taken`.

use super::{
    idp::{Sign, part, seconds, signed_as},
    transmitter::{Asking, US},
    *,
};

/// The claims of an event about hanako, with these over them; null takes one away.
fn claims(a: &Asking, jti: &str, kind: &str, over: Value) -> Value {
    let mut events = serde_json::Map::new();
    let more = match kind {
        "session-revoked" => json!({}),
        _ => json!({ "current_level": "aal2", "change_direction": "increase" }),
    };
    events.insert(format!("https://schemas.openid.net/secevent/caep/event-type/{kind}"), more);
    let mut all = json!({
        "iss": a.t.at, "aud": US, "iat": seconds(), "jti": jti,
        "sub_id": { "format": "iss_sub", "iss": a.t.at, "sub": "248289761001" }, "events": events,
    });
    for (name, value) in over.as_object().expect("an object") {
        all[name] = value.clone();
    }
    all.as_object_mut().expect("an object").retain(|_, v| !v.is_null());
    all
}

fn signed(claims: &Value) -> String {
    signed_as("secevent+jwt", Sign::Ec, "k", claims)
}

/// The same with another header, whatever that does to its signature.
fn headed(token: &str, head: &Value) -> String {
    let (_, rest) = token.split_once('.').expect("three parts");
    format!("{}.{rest}", part(head))
}

/// What a transmitter hears that pushes this.
async fn push(a: &Asking, token: &str) -> (u16, Value) {
    let head = [("content-type", "application/secevent+jwt".to_owned())];
    let url = format!("{}/signals/push/events", a.w.at);
    let page = Browser::new().say(Method::POST, &url, &head, Some(token.to_owned())).await;
    (page.status, serde_json::from_str(&page.text).unwrap_or(Value::Null))
}

/// How many were taken, and how many refused.
async fn counted(a: &Asking) -> (u64, u64) {
    let shown = a.w.api(Method::GET, "/api/v1/posture/sources/push", &a.w.owner, None).await.1;
    let of = |field: &str| shown[field].as_u64().unwrap_or_else(|| panic!("{shown}"));
    (of("accepted"), of("refused"))
}

async fn office() -> Asking {
    let a = Asking::new().await;
    let ssf = json!({
        "issuer": a.t.at, "audience": US, "jwks_uri": format!("{}/jwks", a.t.at),
        "assured_by": ["aal2"], "assured_for_s": 3600,
    });
    let source = json!({ "name": "push", "kind": "ssf", "ssf": ssf });
    // Beside the stream that is asked for.
    let (status, said) = a.w.api(Method::POST, "/api/v1/posture/sources", &a.w.owner, Some(source)).await;
    assert_eq!(status, 201, "{said}");
    a
}

#[tokio::test]
async fn no_event_that_is_not_what_it_says_is_taken() {
    let a = office().await;
    let proof = signed(&claims(&a, "proof", "assurance-level-change", json!({})));
    assert_eq!(push(&a, &proof).await.0, 202);
    assert!(a.is_proved().await);
    let event = |n: &str, over: Value| claims(&a, n, "session-revoked", over);
    let good = signed(&event("good", json!({})));
    let (text, signature) = good.rsplit_once('.').expect("three parts");
    let head = text.split_once('.').expect("two parts").0;
    let alg = |alg: &str| headed(&good, &json!({ "alg": alg, "kid": "k", "typ": "secevent+jwt" }));
    let kid = |kid: &str| signed_as("secevent+jwt", Sign::Ec, kid, &event("kid", json!({})));
    let mut bit = signature.to_owned().into_bytes();
    bit[10] = if bit[10] == b'A' { b'B' } else { b'A' };
    let unsigned = |a: &str| format!("{}.", alg(a).rsplit_once('.').expect("three parts").0);
    let refused: [(&str, [String; 3]); 5] = [
        // Forged: by another key of that name, with one bit of the signature turned, said otherwise behind the signature.
        (
            "authentication_failed",
            [
                signed_as("secevent+jwt", Sign::Rsa, "k", &event("rsa", json!({}))),
                format!("{text}.{}", String::from_utf8(bit).expect("text")),
                format!("{head}.{}.{signature}", part(&event("other", json!({})))),
            ],
        ),
        // Expired.
        (
            "invalid_request",
            [json!({ "iat": seconds() - 90_000 }), json!({ "iat": 0 }), json!({ "exp": seconds() - 1 })]
                .map(|over| signed(&event("old", over))),
        ),
        // For others.
        (
            "invalid_audience",
            [json!({ "aud": "https://other.example" }), json!({ "aud": [] }), json!({ "aud": null })]
                .map(|over| signed(&event("aud", over))),
        ),
        // Unsigned, in three spellings; with the signature of another algorithm left on and taken off.
        ("authentication_failed", [unsigned("none"), unsigned("NONE"), alg("none")]),
        // Of keys that nobody knows.
        ("invalid_key", [kid("k9"), kid("K"), kid("../k")]),
    ];
    let mut n = 0;
    for (code, tokens) in &refused {
        for token in tokens {
            let (status, said) = push(&a, token).await;
            assert_eq!((status, &said["err"]), (400, &json!(code)), "{code} {n}: {said}");
            n += 1;
            assert_eq!(counted(&a).await, (1, n), "counted, each");
            assert!(a.is_proved().await, "{code} {n}: it has done nothing");
        }
    }

    // Replayed: at once, after others, and to another life of this node; what is taken is taken once.
    assert_eq!(push(&a, &good).await.0, 202);
    assert!(!a.is_proved().await);
    let again = signed(&claims(&a, "again", "assurance-level-change", json!({})));
    assert_eq!(push(&a, &again).await.0, 202);
    assert!(a.is_proved().await);
    for token in [&good, &again, &proof] {
        let (status, said) = push(&a, token).await;
        assert_eq!((status, &said["err"]), (400, &json!("invalid_request")), "{said}");
    }
    let mut a = a;
    a.restarts().await;
    assert_eq!(push(&a, &good).await.0, 400);
    assert!(a.is_proved().await, "no word that was taken back comes again");
    let bearer = [("authorization", format!("Bearer {}", a.w.owner))];
    let metrics = Browser::new().send(Method::GET, &format!("{}/metrics", a.w.at), &bearer, None).await.text;
    assert!(metrics.contains("sekisho_signals_refused_total{why=\"replayed\"} 1"), "{metrics}");
}
