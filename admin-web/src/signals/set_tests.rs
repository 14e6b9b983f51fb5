use super::*;
use openidconnect::{JsonWebKeyId, PrivateSigningKey as _, core::CoreEdDsaPrivateSigningKey};
use serde_json::json;

pub(crate) const ISSUER: &str = "https://idp.example.jp";
pub(crate) const US: &str = "https://sekisho.example.jp";
const NOW: Utc = Utc(1_800_000_000_000);

/// An Ed25519 key of this seed, in PKCS #8 (RFC 8410 §7).
pub(crate) fn key(seed: u8, kid: &str) -> CoreEdDsaPrivateSigningKey {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = [head.as_slice(), &[seed; 32]].concat();
    let text = data_encoding::BASE64.encode(&der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(kid.to_owned()))).unwrap()
}

pub(crate) fn keys(seed: u8, kid: &str) -> CoreJsonWebKeySet {
    CoreJsonWebKeySet::new(vec![key(seed, kid).as_verification_key()])
}

pub(crate) fn part(v: &Value) -> String {
    BASE64URL_NOPAD.encode(v.to_string().as_bytes())
}

/// A token of these parts, signed by the key of this seed.
pub(crate) fn signed(header: &Value, claims: &Value, seed: u8) -> String {
    let text = format!("{}.{}", part(header), part(claims));
    let signature = key(seed, "x").sign(&CoreJwsSigningAlgorithm::EdDsa, text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

pub(crate) fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "secevent+jwt", "kid": "k1" })
}

pub(crate) fn claims(iat: i64) -> Value {
    json!({
        "iss": ISSUER, "aud": [US], "iat": iat, "jti": "756E69717565",
        "sub_id": { "format": "email", "email": "tanaka@example.jp" },
        "events": { "https://schemas.openid.net/secevent/caep/event-type/session-revoked": { "event_timestamp": iat } },
    })
}

pub(crate) fn stream() -> SsfStream {
    SsfStream {
        issuer: ISSUER.to_owned(),
        audience: US.to_owned(),
        jwks: None,
        jwks_uri: None,
        poll_url: None,
        assured_by: Default::default(),
        assured_for_s: 0,
    }
}

fn with(mut v: Value, field: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(v.as_object_mut().unwrap().remove(field)),
        value => v[field] = value,
    }
    v
}

fn verdict(token: &str) -> Result<Set, Refused> {
    judge(token, &stream(), &keys(1, "k1"), NOW)
}

#[test]
fn a_token_of_the_transmitter_is_taken() {
    let set = verdict(&signed(&header(), &claims(NOW.0 / 1000), 1)).unwrap();
    assert_eq!((set.jti.as_str(), set.iat, set.events.len()), ("756E69717565", NOW, 1));
    let one = with(claims(NOW.0 / 1000), "aud", json!(US));
    assert!(verdict(&signed(&header(), &one, 1)).is_ok(), "one audience");
    let no_kid = with(header(), "kid", Value::Null);
    assert!(verdict(&signed(&no_kid, &claims(NOW.0 / 1000), 1)).is_ok(), "of any key that it has");
    let long = with(header(), "typ", json!("application/secevent+jwt"));
    assert!(verdict(&signed(&long, &claims(NOW.0 / 1000), 1)).is_ok());
}

#[test]
fn a_forged_token_is_refused_whichever_way_it_was_forged() {
    let good = signed(&header(), &claims(NOW.0 / 1000), 1);
    let (text, signature) = good.rsplit_once('.').unwrap();
    let body = text.split_once('.').unwrap().1;
    // alg=none, with and without a signature, in other letters.
    for alg in ["none", "None", "NONE", "nOnE"] {
        let head = part(&with(header(), "alg", json!(alg)));
        for tail in ["", signature] {
            assert_eq!(verdict(&format!("{head}.{body}.{tail}")), Err(Refused::Algorithm), "{alg}");
        }
    }
    // A shared secret that is the public key.
    for alg in ["HS256", "HS384", "HS512"] {
        let head = part(&with(header(), "alg", json!(alg)));
        assert_eq!(verdict(&format!("{head}.{body}.{signature}")), Err(Refused::Algorithm), "{alg}");
    }
    // Another's key of the same name; a key of another name; a method that is not the key's.
    assert_eq!(verdict(&signed(&header(), &claims(NOW.0 / 1000), 2)), Err(Refused::Signature));
    let other = with(header(), "kid", json!("k2"));
    assert_eq!(verdict(&signed(&other, &claims(NOW.0 / 1000), 1)), Err(Refused::UnknownKey));
    let rs = with(header(), "alg", json!("RS256"));
    assert!(matches!(
        verdict(&signed(&rs, &claims(NOW.0 / 1000), 1)),
        Err(Refused::Signature | Refused::UnknownKey)
    ));
    // A key of its own, brought along.
    let jwk = serde_json::to_value(key(2, "k1").as_verification_key()).unwrap();
    let own = with(header(), "jwk", jwk);
    assert_eq!(verdict(&signed(&own, &claims(NOW.0 / 1000), 2)), Err(Refused::Signature));
    // Altered behind the signature.
    let moved = part(&with(claims(NOW.0 / 1000), "jti", json!("other")));
    let head = text.split_once('.').unwrap().0;
    assert_eq!(verdict(&format!("{head}.{moved}.{signature}")), Err(Refused::Signature));
}

#[test]
fn a_token_for_others_or_of_another_time_is_refused() {
    let s = NOW.0 / 1000;
    let say = |field: &str, value: Value| verdict(&signed(&header(), &with(claims(s), field, value), 1));
    assert_eq!(say("iss", json!("https://evil.example")), Err(Refused::Issuer));
    assert_eq!(say("iss", Value::Null), Err(Refused::Issuer));
    assert_eq!(say("aud", json!(["https://other.example"])), Err(Refused::Audience));
    assert_eq!(say("aud", json!([])), Err(Refused::Audience));
    assert_eq!(say("aud", Value::Null), Err(Refused::Audience));
    assert_eq!(say("iat", json!(s - 86_400)), Err(Refused::Expired));
    assert_eq!(say("iat", json!(s + 61)), Err(Refused::NotYet));
    assert!(say("iat", json!(s - 86_399)).is_ok() && say("iat", json!(s + 60)).is_ok());
    assert_eq!(say("exp", json!(s - 1)), Err(Refused::Expired));
    assert_eq!(
        say("exp", json!(s + 3600)),
        Err(Refused::Malformed),
        "no event expires: this is some other token"
    );
}

#[test]
fn what_could_be_another_kind_of_token_is_none_of_ours() {
    let s = NOW.0 / 1000;
    let say = |field: &str, value: Value| verdict(&signed(&header(), &with(claims(s), field, value), 1));
    for (field, value) in [
        ("sub", json!("tanaka")),
        ("nonce", json!("n")),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!("a\nb")),
        ("jti", json!("x".repeat(256))),
        ("iat", Value::Null),
        ("iat", json!("now")),
        ("iat", json!(-1)),
        ("iat", json!(1e300)),
        ("events", Value::Null),
        ("events", json!({})),
        ("events", json!([])),
        ("events", json!({ "x": 1 })),
        ("sub_id", json!("tanaka")),
    ] {
        assert_eq!(say(field, value.clone()), Err(Refused::Malformed), "{field} {value}");
    }
    let many: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!({}))).collect();
    assert_eq!(say("events", Value::Object(many)), Err(Refused::Malformed));
    for (field, value) in [
        ("typ", Value::Null),
        ("typ", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("crit", json!(["b64"])),
        ("kid", json!(1)),
        ("x5c", json!(vec![0; 2000])),
    ] {
        let token = signed(&with(header(), field, value.clone()), &claims(s), 1);
        assert_eq!(verdict(&token), Err(Refused::Malformed), "{field} {value}");
    }
    for bad in ["", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.AA", &"A".repeat(LONGEST + 1)] {
        assert_eq!(verdict(bad), Err(Refused::Malformed), "{:.20}", bad);
    }
}

proptest::proptest! {
    #[test]
    fn nothing_is_taken_of_a_token_with_another_octet(at in 0usize..400, xor in 1u8..128) {
        let good = signed(&header(), &claims(NOW.0 / 1000), 1);
        let mut octets = good.clone().into_bytes();
        let at = at % octets.len();
        octets[at] ^= xor;
        if let Ok(bad) = String::from_utf8(octets) {
            // The last character of base64 has bits that mean nothing; they must be 0.
            proptest::prop_assert!(verdict(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_text_brings_it_down(text in "[A-Za-z0-9_.-]{0,200}") {
        proptest::prop_assert!(verdict(&text).is_err());
    }
}

/// Tokens that an independent implementation signed (PyJWT), by RSA and by P-256: taken; by other keys of the same names, and
/// changed in any octet of the signature: refused.
#[test]
fn tokens_of_others_by_rs256_and_es256_are_taken_and_forged_ones_refused() {
    let all: Value = serde_json::from_str(include_str!("../../../fixtures/ssf/tokens.json")).unwrap();
    let keys = super::super::Stream::check_keys(&all["jwks"].to_string()).unwrap();
    let verdict = |token: &str| judge(token, &stream(), &keys, NOW);
    for (name, token) in all["tokens"].as_object().unwrap() {
        let token = token.as_str().unwrap();
        assert_eq!(verdict(token).map(|s| s.jti), Ok("rfc8417-1".to_owned()), "{name}");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let octets = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        for at in (0..octets.len()).step_by(7) {
            let mut other = octets.clone();
            other[at] ^= 1;
            let other = format!("{signed}.{}", BASE64URL_NOPAD.encode(&other));
            assert_eq!(verdict(&other), Err(Refused::Signature), "{name}, octet {at}");
        }
    }
    for (name, token) in all["forged"].as_object().unwrap() {
        let refused = verdict(token.as_str().unwrap()).unwrap_err();
        assert!(matches!(refused, Refused::Signature | Refused::UnknownKey), "{name}: {refused:?}");
    }
}
