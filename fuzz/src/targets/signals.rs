//! What other systems tell: filters, paths and changes of SCIM clients, and tokens of security events.

use super::Answer;
use crate::corpus;
use admin_web::fuzzing::{Transmitter, scim_changes, scim_filter, scim_path};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use types::Utc;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const FILTERS: [&str; 8] = [
    r#"userName eq "tanaka@example.jp""#,
    r#"emails[type eq "work" and not (value ew ".jp")] or userName sw "t" and active eq true"#,
    r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department ne null"#,
    r#"name.familyName co "\u3042\ud83d\ude00 あ" and meta.lastModified gt "2026""#,
    r#"not (title pr) and (active eq false or emails pr)"#,
    r#"members[value eq "]"].display"#,
    "emails[primary eq true].value",
    "((((((((((userName pr))))))))))",
];

static USER: LazyLock<Value> = LazyLock::new(|| {
    json!({ "userName": "Tanaka@example.jp", "externalId": "Ab1", "active": true, "title": "",
            "name": { "givenName": "Hanako", "familyName": "Tanaka" },
            "emails": [{ "value": "t@example.jp", "type": "work", "primary": true },
                       { "value": "h@home.example", "type": "home" }],
            ENTERPRISE: { "department": "Sales" }, "meta": { "lastModified": "2026-05-01T00:00:00Z" } })
});

/// Filters and paths of each form.
pub fn filter_seeds() -> Vec<Vec<u8>> {
    let own = FILTERS.iter().map(|f| f.as_bytes().to_vec());
    own.chain(corpus::load("scim-filter", "none")).collect()
}

/// A filter finds somebody, or its opposite does.
pub fn filter(input: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(input) else { return Answer::Refused("refused: no text".to_owned()) };
    let path = scim_path(text);
    match scim_filter(text, &USER) {
        None if path => Answer::read("a path"),
        None => Answer::Refused("refused".to_owned()),
        Some(fits) => match scim_filter(&format!("not ({text})"), &USER) {
            // The longest and the deepest ones have no room for it.
            None if text.len() > 1900 || text.matches(['(', '[']).count() >= 15 => Answer::read("a filter"),
            Some(other) if other != fits => {
                Answer::read(if fits { "one that fits" } else { "one that does not" })
            }
            other => Answer::Broken(format!("{text:?} is {fits}, and its opposite {other:?}")),
        },
    }
}

/// Changes as clients send them.
pub fn change_seeds() -> Vec<Vec<u8>> {
    let department = format!("{ENTERPRISE}:department");
    let all = json!([
        { "op": "Replace", "path": "active", "value": "False" },
        { "op": "Add", "value": { "name.givenName": "Hana", "displayName": "花", department: "HR" } },
        { "op": "replace", "path": "emails[type eq \"other\"].value", "value": "o@example.jp" },
        { "op": "remove", "path": "name.givenName" },
        { "op": "add", "path": "emails", "value": [{ "value": "m@example.jp", "primary": true }] },
        { "op": "replace", "value": { "id": "x", "schemas": [], "active": false } },
    ]);
    let each = all.as_array().into_iter().flatten().map(|o| json!({ "Operations": [o] }));
    let whole = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": all });
    let own = each.chain([whole]).map(|v| v.to_string().into_bytes());
    own.chain(corpus::load("scim-changes", "none")).collect()
}

/// Whatever a change makes of a user, they have a name and at most one main address, and it can be changed again.
pub fn changes(input: &[u8]) -> Answer {
    let (Some(user), Ok(request)) = (USER.as_object(), serde_json::from_slice::<Map<String, Value>>(input))
    else {
        return Answer::Lived("refused: no JSON".to_owned());
    };
    let Some(after) = scim_changes(user, &request) else { return Answer::Lived("refused".to_owned()) };
    let is_named = after.get("userName").and_then(Value::as_str).is_some_and(|n| !n.trim().is_empty());
    let mails = after.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let main = mails.iter().filter(|m| m["primary"] == true).count();
    let off = json!({ "Operations": [{ "op": "replace", "path": "active", "value": false }] });
    let again = off.as_object().and_then(|off| scim_changes(&after, off));
    if !is_named || main > 1 || again.is_none_or(|a| a["active"] != false) {
        return Answer::Broken(format!("{request:?} made {after:?}"));
    }
    Answer::read(if after == *user { "no change" } else { "a change" })
}

/// Tokens that another implementation signed.
static TOKENS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../fixtures/ssf/tokens.json")).unwrap_or_default()
});
static TRANSMITTER: LazyLock<Option<Transmitter>> = LazyLock::new(|| {
    Transmitter::new("https://idp.example.jp", "https://sekisho.example.jp", &TOKENS["jwks"].to_string())
});

fn tokens(kind: &str) -> impl Iterator<Item = &'static str> {
    TOKENS[kind].as_object().into_iter().flatten().filter_map(|(_, t)| t.as_str())
}

/// True ones, forged ones, and one that is not signed.
pub fn set_seeds() -> Vec<Vec<u8>> {
    let none = "eyJhbGciOiJub25lIiwidHlwIjoic2VjZXZlbnQrand0In0.e30.";
    let own = tokens("tokens").chain(tokens("forged")).chain([none]).map(|t| t.as_bytes().to_vec());
    own.chain(corpus::load("set", "none")).collect()
}

/// Nothing is taken but what the transmitter signed.
pub fn set(input: &[u8]) -> Answer {
    let Some(transmitter) = &*TRANSMITTER else { return Answer::Broken("there are no keys".to_owned()) };
    let Ok(text) = std::str::from_utf8(input) else { return Answer::Refused("refused: no text".to_owned()) };
    let signed = |t: &str| t.rsplit_once('.').map(|(signed, _)| signed.to_owned());
    match transmitter.judge(text, Utc(1_800_000_000_000)) {
        Err(why) => Answer::Refused(format!("refused: {why}")),
        Ok(_) if tokens("tokens").any(|t| signed(t) == signed(text)) => Answer::read("a token"),
        Ok(jti) => Answer::Broken(format!("{jti} was taken of {text}")),
    }
}
