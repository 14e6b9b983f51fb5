//! The API as its callers see it, over a store of its own and a running system that is pretended.

mod alert_rules;
mod alerts;
mod assurance;
mod audit;
mod backups;
mod ban;
mod browser;
mod contract;
mod directory;
mod equipment;
mod events;
mod fake;
mod finding_sims;
mod grants;
mod home_keys;
mod idempotency;
mod limits;
mod matrix;
mod operators;
#[cfg(feature = "passkeys")]
mod passkeys;
mod policy;
mod policy_text;
mod problems;
mod reading;
mod risk;
mod routes;
mod schedules;
mod scim;
mod signals;
mod sims;
mod tokens;
mod watch;

use crate::{AppState, Cost, Scope, new_token, router, state::now};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use fake::Fake;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use store::{FlowLog, FlowLogConfig, Store};
use tower::ServiceExt as _;

pub(crate) const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
pub(crate) const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";
pub(crate) const IMSI: &str = "001010000000001";

/// The API with everything behind it.
pub(crate) struct World {
    pub(crate) app: Router,
    pub(crate) store: Store,
    pub(crate) flows: FlowLog,
    pub(crate) control: Arc<Fake>,
    pub(crate) state: AppState,
    /// The link of the first operator.
    pub(crate) first_run: crate::FirstRun,
    /// A token with every scope.
    pub(crate) owner: String,
    _dir: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The pointers of the fields that a problem names.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let all = self.body["errors"].as_array();
        all.into_iter().flatten().map(|e| e["pointer"].as_str().unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

/// A request that is being put together.
pub(crate) struct Call<'w> {
    world: &'w World,
    builder: axum::http::request::Builder,
    body: Body,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite::memory:").await.unwrap();
        let flows = FlowLog::open(FlowLogConfig::new(dir.path())).await.unwrap();
        let control = Arc::new(Fake::new(store.clone()));
        let owner = token(&store, "owner", Scope::ALL).await;
        let first_run = crate::FirstRun::at(dir.path().join("first-run"));
        let mut state = AppState::new(control.clone(), store.clone(), flows.clone())
            .await
            .unwrap()
            .sealing_with(types::Key256::new([7; 32]))
            .password_cost(Cost { memory_kib: 64, passes: 1 })
            .first_run(first_run.clone());
        // Whatever was built on this machine, the stories have a console of their own.
        state.console = Arc::new(crate::Console::pretended(&browser::FILES, "abc"));
        Self { app: router(state.clone()), store, flows, control, state, first_run, owner, _dir: dir }
    }

    /// Data networks `corp` and `factory`, group `staff`.
    pub(crate) async fn with_site() -> Self {
        let w = Self::new().await;
        for (dnn, pool) in [("corp", "10.20.0.0/16"), ("factory", "10.30.0.0/24")] {
            w.post("/api/v1/data-networks", json!({ "dnn": dnn, "pool": pool })).await.is(201);
        }
        w.post("/api/v1/groups", json!({ "name": "staff" })).await.is(201);
        w
    }

    /// A request of the owner's; `POST` and `DELETE` carry a key of their own.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call<'_> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let call = self.bare(method, path).header("authorization", &format!("Bearer {}", self.owner));
        if matches!(method, "POST" | "DELETE") {
            call.header("idempotency-key", &format!("key-{n}"))
        } else {
            call
        }
    }

    /// A request with nothing in its head.
    pub(crate) fn bare(&self, method: &str, path: &str) -> Call<'_> {
        Call { world: self, builder: Request::builder().method(method).uri(path), body: Body::empty() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path).json(body).send().await
    }

    /// A token with these scopes. The running API reads it a few seconds later; `send` need not wait, because it is
    /// made through the API.
    pub(crate) async fn token_with(&self, scopes: &[&str]) -> String {
        let made = self.post("/api/v1/tokens", json!({ "label": "test", "scopes": scopes })).await.is(201);
        made.body["secret"].as_str().unwrap().to_owned()
    }

    /// A token made of this body.
    pub(crate) async fn token_of(&self, body: Value) -> String {
        let made = self.post("/api/v1/tokens", body).await.is(201);
        made.body["secret"].as_str().unwrap().to_owned()
    }

    /// An operator with these grants; the password that was made for him.
    pub(crate) async fn operator(&self, name: &str, grants: Value) -> String {
        let body = json!({ "name": name, "display": format!("Operator {name}"), "grants": grants });
        let made = self.post("/api/v1/operators", body).await.is(201);
        made.body["password"].as_str().unwrap().to_owned()
    }

    /// Signs in from an address.
    pub(crate) async fn sign_in(&self, from: &str, body: Value) -> Answer {
        self.bare("POST", "/api/v1/sign-in").from(from).json(body).send().await
    }

    /// An operator with these grants, and the password that he chose.
    pub(crate) async fn operator_of_his_own(&self, name: &str, grants: Value) -> String {
        let made = self.operator(name, grants).await;
        let r = self.sign_in("10.0.0.1", json!({ "name": name, "password": made })).await.is(200);
        assert_eq!(r.body["password_must_change"], json!(true));
        let (token, own) = (r.body["token"].as_str().unwrap(), format!("{made}-own"));
        let put = self.bare("PUT", "/api/v1/me/password").token(token).from("10.0.0.1").if_match("*");
        put.json(json!({ "old": made, "new": own })).send().await.is(204);
        own
    }

    /// An operator who signed in.
    pub(crate) async fn signed_in(&self, name: &str, grants: Value) -> String {
        let password = self.operator_of_his_own(name, grants).await;
        let r = self.sign_in("10.0.0.1", json!({ "name": name, "password": password })).await.is(200);
        r.body["token"].as_str().unwrap().to_owned()
    }
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        // In place of one that is there.
        if let Some(h) = self.builder.headers_mut() {
            h.insert(
                axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                axum::http::HeaderValue::from_str(value).unwrap(),
            );
        }
        self
    }

    /// As if it came from this address.
    pub(crate) fn from(mut self, ip: &str) -> Self {
        let peer = std::net::SocketAddr::new(ip.parse().unwrap(), 40_000);
        self.builder = self.builder.extension(axum::extract::ConnectInfo(peer));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn if_match(self, tag: &str) -> Self {
        self.header("if-match", tag)
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").raw(body.to_string())
    }

    pub(crate) fn raw(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn stream(self) -> axum::response::Response {
        self.world.app.clone().oneshot(self.builder.body(self.body).unwrap()).await.unwrap()
    }

    /// Sends it. A change that is answered with success must stand in the audit under the request's id, whichever
    /// story makes it.
    pub(crate) async fn send(self) -> Answer {
        let world = self.world;
        let method = self.builder.method_ref().cloned().unwrap_or_default();
        let path = self.builder.uri_ref().map(|u| u.path().to_owned()).unwrap_or_default();
        let answer = self.receive().await;
        let replayed = answer.headers.contains_key("idempotency-replayed");
        if method != "GET" && (200..300).contains(&answer.status) && !replayed {
            audit::must_hold(world, &format!("{method} {path}"), &answer).await;
        }
        answer
    }

    /// Sends it as a browser does: what a page changes stands in the audit by the page's own story.
    pub(crate) async fn page(self) -> Answer {
        self.receive().await
    }

    async fn receive(self) -> Answer {
        let r = self.stream().await;
        let (parts, body) = r.into_parts();
        let octets = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(octets.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body, text }
    }
}

/// Stores a token and returns its text.
pub(crate) async fn token(store: &Store, label: &str, scopes: &[Scope]) -> String {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).unwrap();
    let (secret, row) = new_token(random, label, scopes, None, "init", now());
    let change = store::Change::by_system("init", now());
    store.create_token(row, &change).await.unwrap();
    secret.expose().to_owned()
}

/// A SIM that is right in every part.
pub(crate) fn sim_body() -> Value {
    json!({ "imsi": IMSI, "label": "Laptop 1", "k": K, "opc": OPC, "dnns": ["corp"] })
}

#[tokio::test]
async fn health_needs_no_token() {
    let w = World::new().await;
    let alive = w.bare("GET", "/healthz").send().await.is(200);
    assert_eq!(alive.text, "ok\n");
    assert_eq!(StatusCode::OK.as_u16(), w.bare("GET", "/readyz").send().await.status);
}
