//! Identities that may not leave: each is replaced by a name that tells nothing and stays the same, so that whoever
//! reads the stream still sees that two lines are of one SIM. Only this node can make the name of an identity.

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use types::hex;

/// Fields whose whole value is an identity.
const FIELDS: [&str; 7] = ["imsi", "supi", "imei", "imeisv", "pei", "iccid", "device"];
/// What stands before an identity in texts of ours.
const PREFIXES: [&str; 3] = ["sim:", "device:", "imsi-"];

/// Makes names of identities.
pub struct Hide(Hmac<Sha256>);

impl Hide {
    /// With a key of this node.
    pub fn new(key: [u8; 32]) -> Self {
        Self(crate::signing::keyed(&key))
    }

    /// The name of an identity.
    fn name(&self, digits: &str) -> String {
        let full: Option<[u8; 32]> =
            self.0.clone().chain_update(digits).finalize().into_bytes().as_slice().try_into().ok();
        let short = full.as_ref().and_then(|d| d.get(..6)).map(hex).unwrap_or_default();
        format!("p-{short}")
    }

    /// Every identity in a value.
    pub fn all(&self, v: &mut Value) {
        match v {
            Value::String(s) => *s = self.text(s),
            Value::Array(a) => a.iter_mut().for_each(|v| self.all(v)),
            Value::Object(o) => {
                for (k, v) in o.iter_mut() {
                    match v {
                        Value::String(s) if FIELDS.contains(&k.as_str()) && !s.is_empty() => {
                            *s = self.name(digits_of(s))
                        }
                        v => self.all(v),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Every identity in a text: whatever stands behind `sim:` and the like, and every run of 14 to 20 digits that
    /// stands alone (IMSI, IMEI, IMEISV, ICCID).
    fn text(&self, s: &str) -> String {
        let mut out = String::with_capacity(s.len());
        let mut rest = s;
        let mut before = None;
        while let Some(c) = rest.chars().next() {
            let n = rest.bytes().take_while(u8::is_ascii_digit).count();
            if n == 0 {
                out.push(c);
                before = Some(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
                continue;
            }
            let (digits, behind) = rest.split_at(n);
            let alone = !before.is_some_and(char::is_alphanumeric)
                && !behind.chars().next().is_some_and(char::is_alphanumeric);
            let named = PREFIXES.iter().any(|p| out.ends_with(p)) && n >= 6;
            if named || alone && (14..=20).contains(&n) {
                out.push_str(&self.name(digits));
            } else {
                out.push_str(digits);
            }
            before = digits.chars().next_back();
            rest = behind;
        }
        out
    }
}

/// `imsi-001…` and `001…` are one identity.
fn digits_of(s: &str) -> &str {
    let digits = s.trim_start_matches(|c: char| !c.is_ascii_digit());
    if digits.is_empty() { s } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_identity_leaves_and_one_sim_keeps_one_name() {
        let hide = Hide::new([7; 32]);
        let mut v = json!({
            "object": "sim:001010000000001", "imsi": "001010000000001", "short": "sim:00101123",
            "after": { "device": "35693803564380", "label": "Laptop 1", "reason": "IMEI 356938035643809, taxi" },
            "hash": "a001010000000001b", "at": 1_800_000_000_123i64, "time": "2027-01-15T08:00:00.123Z",
        });
        hide.all(&mut v);
        let text = v.to_string();
        for id in ["001010000000001\"", "35693803564380", "00101123"] {
            assert!(!text.contains(id), "{id} is in {text}");
        }
        assert_eq!(v["object"], format!("sim:{}", v["imsi"].as_str().expect("a text")));
        assert_eq!(v["after"]["label"], "Laptop 1");
        assert_eq!(v["hash"], "a001010000000001b", "a run inside a word is no identity");
        assert_eq!(
            (&v["at"], &v["time"]),
            (&json!(1_800_000_000_123i64), &json!("2027-01-15T08:00:00.123Z"))
        );
        let mut other = json!({ "imsi": "001010000000001" });
        Hide::new([8; 32]).all(&mut other);
        assert_ne!(other["imsi"], v["imsi"], "another node's names are others");
    }
}
