//! Whether a security event token is what it says it is (RFC 8417, as OpenID Shared Signals 1.0 narrows it).
//!
//! Pure: the token, what we believe of its transmitter, its keys and the time come in. A token that could be an ID token
//! (it has `exp`, `sub` or no type of its own) is none, so that neither can stand for the other.

use data_encoding::BASE64URL_NOPAD;
use openidconnect::{
    JsonWebKey as _, JsonWebKeyAlgorithm, JsonWebKeyUse as _,
    core::{CoreJsonWebKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm},
};
use serde_json::{Map, Value};
use types::{SsfStream, Utc};

/// The longest token, octets.
pub(crate) const LONGEST: usize = 64 << 10;
/// The longest header, octets: it is read before anybody is known, so it may cost little.
const HEADER: usize = 4096;
/// How far the transmitter's clock may be ahead of ours, milliseconds.
const AHEAD: i64 = 60_000;
/// How old an event may be, milliseconds: for so long its `jti` is remembered.
pub(super) const OLDEST: i64 = 24 * 3_600_000;
/// Most events in one token, and the longest `jti`.
const EVENTS: usize = 16;
const JTI: usize = 255;

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no token of this kind.
    Malformed,
    /// It is not signed, or by a method that nobody else could check.
    Algorithm,
    /// The transmitter has no such key.
    UnknownKey,
    /// The signature is not of that key.
    Signature,
    /// It is another transmitter's.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It is older than a day, or said itself that it counts no longer.
    Expired,
    /// It is of the future.
    NotYet,
    /// It was taken before.
    Replayed,
}

impl Refused {
    /// The word of the counter.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown-key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not-yet-valid",
            Self::Replayed => "replayed",
        }
    }

    /// The code of RFC 8935 §2.4.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Malformed | Self::Expired | Self::NotYet | Self::Replayed => "invalid_request",
            Self::UnknownKey => "invalid_key",
            Self::Algorithm | Self::Signature => "authentication_failed",
            Self::Issuer => "invalid_issuer",
            Self::Audience => "invalid_audience",
        }
    }

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Malformed => "an event is not a security event token",
            Self::Algorithm => "an event is not signed by a method with a public key",
            Self::UnknownKey => "an event is signed by a key that the transmitter does not have",
            Self::Signature => "the signature of an event is not that of its key",
            Self::Issuer => "an event is of another issuer",
            Self::Audience => "an event is for another audience",
            Self::Expired => "an event is older than a day",
            Self::NotYet => "an event is of the future",
            Self::Replayed => "an event came twice",
        }
    }
}

/// A token that is what it says it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Set {
    /// Its id: no other token of the transmitter has it.
    pub(crate) jti: String,
    /// When it was made.
    pub(crate) iat: Utc,
    /// Whom it is about, where it says so for all its events.
    pub(crate) sub_id: Option<Value>,
    /// Its events by their types.
    pub(crate) events: Map<String, Value>,
}

/// Judges a token. Of one that cannot be read nothing is believed, not even who sent it.
pub(crate) fn judge(
    token: &str,
    stream: &SsfStream,
    keys: &CoreJsonWebKeySet,
    now: Utc,
) -> Result<Set, Refused> {
    if token.len() > LONGEST {
        return Err(Refused::Malformed);
    }
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refused::Malformed);
    };
    if head.len() > HEADER {
        return Err(Refused::Malformed);
    }
    let header = object(head)?;
    let signed = token.get(..head.len() + 1 + body.len()).ok_or(Refused::Malformed)?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| Refused::Malformed)?;
    check_signature(&header, signed.as_bytes(), &signature, keys)?;
    claims(object(body)?, stream, now)
}

fn object(part: &str) -> Result<Map<String, Value>, Refused> {
    let octets = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Refused::Malformed)?;
    serde_json::from_slice(&octets).map_err(|_| Refused::Malformed)
}

fn check_signature(
    header: &Map<String, Value>,
    signed: &[u8],
    signature: &[u8],
    keys: &CoreJsonWebKeySet,
) -> Result<(), Refused> {
    let alg = header.get("alg").cloned().ok_or(Refused::Malformed)?;
    let alg: CoreJwsSigningAlgorithm = serde_json::from_value(alg).map_err(|_| Refused::Algorithm)?;
    if !crate::provider::METHODS.contains(&alg) {
        return Err(Refused::Algorithm);
    }
    // RFC 7515 §4.1.11: an extension that must be understood is not.
    if header.contains_key("crit") {
        return Err(Refused::Malformed);
    }
    // RFC 8417 §2.3.
    let typed = header.get("typ").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    if typed.strip_prefix("application/").unwrap_or(&typed) != "secevent+jwt" {
        return Err(Refused::Malformed);
    }
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.as_str()),
        Some(_) => return Err(Refused::Malformed),
    };
    let fits = |k: &&CoreJsonWebKey| {
        let named = kid.is_none() || k.key_id().map(|id| id.as_str()) == kid;
        let for_signing = k.key_use().is_none_or(|u| u.allows_signature());
        let of_method = match k.signing_alg() {
            JsonWebKeyAlgorithm::Algorithm(a) => *a == alg,
            JsonWebKeyAlgorithm::Unspecified => true,
            JsonWebKeyAlgorithm::Unsupported => false,
        };
        named && for_signing && of_method
    };
    let mut found = keys.keys().iter().filter(fits).peekable();
    if found.peek().is_none() {
        return Err(Refused::UnknownKey);
    }
    // A token that names no key may be of any; there are few.
    if found.any(|k| k.verify_signature(&alg, signed, signature).is_ok()) {
        Ok(())
    } else {
        Err(Refused::Signature)
    }
}

fn claims(mut c: Map<String, Value>, stream: &SsfStream, now: Utc) -> Result<Set, Refused> {
    if c.get("iss").and_then(Value::as_str) != Some(stream.issuer.as_str()) {
        return Err(Refused::Issuer);
    }
    let ours = |v: &Value| v.as_str() == Some(stream.audience.as_str());
    let for_us = match c.get("aud") {
        Some(Value::Array(all)) => all.iter().any(ours),
        Some(one) => ours(one),
        None => false,
    };
    if !for_us {
        return Err(Refused::Audience);
    }
    let iat = seconds(c.get("iat"))?;
    if let Some(exp) = c.get("exp") {
        // SSF 1.0 §4.1.7: there is no exp. One that is over says at least what is wrong.
        let over = seconds(Some(exp))? <= now;
        return Err(if over { Refused::Expired } else { Refused::Malformed });
    }
    if c.contains_key("sub") || c.contains_key("nonce") {
        return Err(Refused::Malformed);
    }
    if iat.0 > now.0 + AHEAD {
        return Err(Refused::NotYet);
    }
    if iat.0 <= now.0 - OLDEST {
        return Err(Refused::Expired);
    }
    let jti = match c.get("jti") {
        Some(Value::String(jti)) if (1..=JTI).contains(&jti.len()) && !jti.contains(char::is_control) => {
            jti.clone()
        }
        _ => return Err(Refused::Malformed),
    };
    let sub_id = match c.remove("sub_id") {
        Some(v @ Value::Object(_)) => Some(v),
        Some(_) => return Err(Refused::Malformed),
        None => None,
    };
    match c.remove("events") {
        Some(Value::Object(events))
            if (1..=EVENTS).contains(&events.len()) && events.values().all(Value::is_object) =>
        {
            Ok(Set { jti, iat, sub_id, events })
        }
        _ => Err(Refused::Malformed),
    }
}

fn seconds(v: Option<&Value>) -> Result<Utc, Refused> {
    let s = v.and_then(Value::as_f64).filter(|s| (0.0..1e12).contains(s)).ok_or(Refused::Malformed)?;
    Ok(Utc((s * 1000.0) as i64))
}

#[cfg(test)]
#[path = "set_tests.rs"]
pub(crate) mod tests;
