//! What holds for every route, tried on every route that the document lists (decision D9).

use super::World;
use crate::{Scope, openapi};
use serde_json::Value;
use std::collections::BTreeSet;

/// A route of the document.
pub(super) struct Route {
    pub(super) method: String,
    pub(super) path: String,
    operation: Value,
}

impl Route {
    fn header(&self, name: &str) -> bool {
        self.parameters().any(|p| p["name"] == name && p["in"] == "header")
    }

    fn query(&self, name: &str) -> bool {
        self.parameters().any(|p| p["name"] == name && p["in"] == "query")
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.operation["parameters"].as_array().into_iter().flatten()
    }

    /// The scope; `None` where no token is needed, or any will do.
    pub(super) fn scope(&self) -> Option<Scope> {
        let scopes = self.scopes()?;
        assert!(scopes.len() <= 1, "{self}: one right for one route");
        Some(scopes.first()?.as_str().unwrap().parse().unwrap())
    }

    fn scopes(&self) -> Option<&Vec<Value>> {
        self.operation["security"].as_array()?.first()?["token"].as_array()
    }

    /// True where any token will do: it concerns nobody but the caller.
    pub(super) fn is_own(&self) -> bool {
        self.scopes().is_some_and(Vec::is_empty)
    }

    pub(super) fn changes_something(&self) -> bool {
        // A sign-in is no change of anything that has a version, and a key for it would keep a digest of the password.
        let tries = [
            "/api/v1/policies/test",
            "/api/v1/policies/explain",
            "/api/v1/policies/plan",
            "/api/v1/policies/replay",
            "/api/v1/risk-profile/plan",
            "/api/v1/sims/{imsi}/risk",
            "/api/v1/sign-in",
            "/api/v1/me/passkeys/challenge",
        ];
        self.method != "GET" && !tries.contains(&self.path.as_str())
    }

    /// The path with something in each place.
    pub(super) fn filled(&self) -> String {
        self.path
            .replace("{imsi}", super::IMSI)
            .replace("/sessions/{id}", "/sessions/001010000000001-1")
            .replace("/alerts/{id}", "/alerts/1")
            .replace("/home-network-keys/{id}", "/home-network-keys/1")
            .replace("{id}", "x")
            .replace("{pattern}", "35693803")
            .replace("{name}", "x")
            .replace("{dnn}", "x")
            .replace("{device}", "x")
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

pub(super) fn all_routes() -> Vec<Route> {
    let doc = document();
    let mut routes = Vec::new();
    for (path, item) in doc["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                let method = method.to_ascii_uppercase();
                routes.push(Route { method, path: path.clone(), operation: operation.clone() });
            }
        }
    }
    assert!(routes.len() >= 40, "{} routes", routes.len());
    routes
}

/// Regenerate with `UPDATE_OPENAPI=1 cargo test -p admin-web openapi`.
#[test]
fn the_committed_openapi_document_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let made = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == made,
        "openapi.json is not that of the code; run: UPDATE_OPENAPI=1 cargo test -p admin-web openapi"
    );
    assert!(document()["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[test]
fn every_route_has_words_an_id_of_its_own_and_a_problem() {
    let mut ids = BTreeSet::new();
    for r in all_routes() {
        let id = r.operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{r}: {id} is there twice");
        assert!(r.operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{r} says what it does");
        let problem =
            &r.operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
        assert_eq!(problem, "#/components/schemas/Problem", "{r}");
    }
}

#[test]
fn what_changes_something_carries_a_version_or_a_key() {
    for r in all_routes() {
        let (version, key) = (r.header("If-Match"), r.header("Idempotency-Key"));
        assert_eq!(u8::from(version) + u8::from(key), u8::from(r.changes_something()), "{r}");
        match r.method.as_str() {
            "PUT" | "PATCH" => assert!(version, "{r} changes something that has a version"),
            "POST" if r.changes_something() => assert!(key, "{r}"),
            _ => {}
        }
    }
}

#[test]
fn every_list_has_cursor_and_limit() {
    for r in all_routes() {
        let schema =
            r.operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].as_str();
        if schema.is_some_and(|s| s.contains("/List_")) {
            assert!(r.query("cursor") && r.query("limit"), "{r}");
        }
    }
}

/// Fields that no answer has, whatever it is of: keys of SIMs, of the vault, of signing, and what passwords are kept as.
const NEVER: [&str; 15] = [
    "k",
    "ki",
    "op",
    "opc",
    "sealed",
    "fingerprint",
    "hash_of_token",
    "password_hash",
    "new_password",
    "private_key",
    "suci_key",
    "kek",
    "totp",
    "client_secret",
    "poll_token",
];

/// Fields that are answered once, when what they hold is made, and where.
const AT_ITS_MAKING: [(&str, &[&str]); 4] = [
    ("password", &["POST /api/v1/operators", "PATCH /api/v1/operators/{name}"]),
    (
        "secret",
        &[
            "POST /api/v1/tokens",
            "PUT /api/v1/me/second-factor",
            "POST /api/v1/posture/sources",
            "POST /api/v1/posture/sources/{name}/secret",
        ],
    ),
    ("uri", &["PUT /api/v1/me/second-factor"]),
    ("token", &["POST /api/v1/sign-in"]),
];

#[test]
fn no_answer_has_a_field_for_a_key() {
    let doc = document();
    let mut made = BTreeSet::new();
    for r in all_routes() {
        for (status, response) in r.operation["responses"].as_object().unwrap() {
            for content in response["content"].as_object().into_iter().flatten() {
                let mut seen = BTreeSet::new();
                let mut fields = BTreeSet::new();
                collect(&doc, &content.1["schema"], &mut seen, &mut fields);
                for key in NEVER {
                    assert!(!fields.contains(key), "{r}: the answer {status} has a field {key}");
                }
                for (field, places) in AT_ITS_MAKING.iter().filter(|(f, _)| fields.contains(*f)) {
                    assert!(
                        places.contains(&r.to_string().as_str()),
                        "{r}: the answer {status} has a field {field}"
                    );
                    made.insert(*field);
                }
            }
        }
    }
    assert_eq!(
        made.len(),
        AT_ITS_MAKING.len(),
        "each is answered somewhere, or this looks at nothing: {made:?}"
    );
}

/// Every field name below a schema, through its references.
fn collect(doc: &Value, schema: &Value, seen: &mut BTreeSet<String>, fields: &mut BTreeSet<String>) {
    match schema {
        Value::Object(o) => {
            if let Some(Value::String(r)) = o.get("$ref")
                && seen.insert(r.clone())
            {
                let name = r.trim_start_matches("#/components/schemas/");
                let target = &doc["components"]["schemas"][name];
                assert!(!target.is_null(), "{r} is not in the document");
                collect(doc, target, seen, fields);
            }
            if let Some(Value::Object(p)) = o.get("properties") {
                fields.extend(p.keys().cloned());
            }
            o.values().for_each(|v| collect(doc, v, seen, fields));
        }
        Value::Array(a) => a.iter().for_each(|v| collect(doc, v, seen, fields)),
        _ => {}
    }
}

#[tokio::test]
async fn nothing_but_health_and_the_document_answers_without_a_token() {
    let w = World::new().await;
    let public = ["/healthz", "/readyz", "/api/openapi.json"];
    for r in all_routes() {
        let answer = w.bare(&r.method, &r.filled()).json(Value::Null).send().await;
        if r.path == "/api/v1/sign-in" {
            assert_eq!((r.scopes(), answer.status), (None, 422), "{r}");
            continue;
        }
        if public.contains(&r.path.as_str()) {
            assert_eq!((r.scope(), answer.status), (None, 200), "{r}");
            continue;
        }
        assert!(r.scope().is_some() || r.is_own(), "{r} needs a right");
        assert_eq!(answer.status, 401, "{r}: {}", answer.text);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{r}");
        let forged = w.bare(&r.method, &r.filled()).token("sekisho_00").send().await;
        assert_eq!(forged.status, 401, "{r}");
    }
}

#[tokio::test]
async fn each_right_opens_its_own_routes_and_no_other() {
    let w = World::new().await;
    for scope in Scope::ALL {
        let token = w.token_with(&[scope.as_str()]).await;
        for r in all_routes() {
            let Some(needed) = r.scope() else { continue };
            if r.path == "/api/v1/events" && needed == *scope {
                // It would go on for ever; its right is tried with its stories.
                continue;
            }
            let answer = w
                .bare(&r.method, &r.filled())
                .token(&token)
                .header("idempotency-key", &format!("{scope} {r}"))
                .if_match("*")
                .json(Value::Null)
                .send()
                .await;
            if needed == *scope {
                assert!(![401, 403].contains(&answer.status), "{r} with {scope}: {}", answer.text);
            } else {
                assert_eq!(answer.status, 403, "{r} with {scope}: {}", answer.text);
                assert!(answer.text.contains(needed.as_str()), "{r} names the scope: {}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn a_change_without_its_precondition_is_refused_before_anything_happens() {
    let w = World::new().await;
    let operator = w.signed_in("hanako", serde_json::json!([{ "roles": ["owner"] }])).await;
    for r in all_routes().into_iter().filter(Route::changes_something) {
        let token = if r.is_own() { &operator } else { &w.owner };
        let answer = w.bare(&r.method, &r.filled()).token(token).json(Value::Null).send().await;
        let (status, word) = if r.header("If-Match") { (428, "ETag") } else { (400, "Idempotency-Key") };
        assert_eq!(answer.status, status, "{r}: {}", answer.text);
        assert!(answer.body["fix"].as_str().unwrap().contains(word), "{r}: {}", answer.text);
    }
    assert_eq!(w.control.was_asked(), Vec::<String>::new());
}
