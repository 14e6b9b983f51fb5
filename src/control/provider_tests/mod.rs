//! Signing in by an identity provider, from end to end: a browser, the API's own pages, the real connection to a
//! provider on loopback, the store. Every way to be refused leaves no session and one row in the audit.

mod idp;
mod step_up;
mod tokens;
mod transmitter;

use super::{ControlHandle, events::EventWriter};
use crate::{
    audit::checkpoints::Checkpoints,
    config::Config,
    delivery::{
        Deliveries, Pace,
        spool::{self, Spool},
    },
    provider::{self, Http, believed},
    signing::Signer,
};
use admin_web::{AppState, Cost, Provider, Scope, new_token};
use gateway::time::utc;
use idp::{Idp, Mood, Sign, seconds};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{AuditRow, Change, FlowLog, FlowLogConfig, Store, TokenRow};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use ureq::http::Method;

/// The API over a store of its own, and a provider.
struct World {
    idp: Idp,
    store: Store,
    /// Where the console is.
    at: String,
    /// A token with every scope.
    owner: String,
    config: Arc<Config>,
    handle: ControlHandle,
    task: JoinHandle<()>,
    dir: tempfile::TempDir,
}

/// What a browser got.
struct Page {
    status: u16,
    headers: ureq::http::HeaderMap,
    text: String,
}

/// A browser: cookies, and no redirect that is not seen.
struct Browser {
    agent: ureq::Agent,
    cookies: BTreeMap<String, String>,
    lang: &'static str,
}

const GRANTS: &str = "[[oidc.grant]]\ngroup = \"net\"\nrole = \"soc\"\n\
                      [[oidc.grant]]\ngroup = \"osaka\"\nrole = \"helpdesk\"\ngroups = [\"staff\"]\nsites = [\"osaka\"]\n";

fn config(idp: &Idp, at: &str, dir: &tempfile::TempDir, more: &str, grants: &str) -> Arc<Config> {
    let secret = dir.path().join("oidc.secret");
    std::fs::write(&secret, format!("{}\n", idp::SECRET)).expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("closed");
    let text = format!(
        "[network]\nplmn = \"001-01\"\ntacs = [7]\nslices = [\"1\"]\n[n2]\naddress = \"127.0.0.1\"\n\
         [n3]\naddress = \"192.0.2.1\"\n[paths]\ndata = \"{0}\"\n\
         [oidc]\nname = \"Corp\"\nissuer = \"{1}\"\nclient_id = \"{2}\"\nbase_url = \"{at}\"\n\
         client_secret_file = \"{0}/oidc.secret\"\n{more}\n{grants}",
        dir.path().display(),
        idp.issuer,
        idp::CLIENT,
    );
    Arc::new(Config::parse(&text, std::iter::empty()).expect("a configuration"))
}

impl World {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With more keys in `[oidc]`.
    async fn with(more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let idp = Idp::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = format!("http://{}", listener.local_addr().expect("an address"));
        let config = config(&idp, &at, &dir, more, GRANTS);
        let store = Store::open("sqlite::memory:").await.expect("a store");
        let flows = FlowLog::open(FlowLogConfig::new(dir.path().join("flows"))).await.expect("flows");
        let signer = Signer::open(dir.path(), true).expect("a key");
        let spool = Spool::open(&dir.path().join(spool::NAME), spool::MOST).expect("a spool");
        let (checkpoints, _) =
            Checkpoints::start(store.clone(), signer.clone(), dir.path().join("checkpoints"), |_| {});
        let handle = ControlHandle {
            // Nobody listens: signing in asks the running system nothing.
            tx: mpsc::channel(1).0,
            events: EventWriter::start(store.clone(), spool),
            checkpoints,
            deliveries: Deliveries::start(&[], "test", &signer, &store, Pace::default(), |_| {}),
            store: store.clone(),
            flows,
            config: config.clone(),
            second_person: false,
        };
        let (secret, row) =
            new_token(gateway::sys::random().expect("randomness"), "owner", Scope::ALL, None, "init", utc());
        store.create_token(row, &Change::by_system("init", utc())).await.expect("stored");
        let provider = provider::start(&config, &store).await;
        let task = serve(&handle, listener, provider).await;
        Self { idp, store, at, owner: secret.expose().to_owned(), config, handle, task, dir }
    }

    /// Ends this node and starts another one over the same store.
    async fn restart(&mut self, provider: Option<Provider>) {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
        let listener = TcpListener::bind(self.at.trim_start_matches("http://")).await.expect("the same port");
        self.task = serve(&self.handle, listener, provider).await;
    }

    /// A whole sign-in of this browser; what the way back answers.
    async fn sign_in(&self, b: &mut Browser) -> Page {
        let back = self.at_provider(b).await;
        b.get(&back).await
    }

    /// The way out and through the provider; where it leads back to.
    async fn at_provider(&self, b: &mut Browser) -> String {
        let out = b.get(&format!("{}/sign-in/provider?next=%2Fsims%3Fstate%3Dlost", self.at)).await;
        assert_eq!(out.status, 303, "{}", out.text);
        let there = Browser::new().get(&out.header("location")).await;
        assert_eq!(there.status, 302, "{}", there.text);
        there.header("location")
    }

    /// The API's answer to who has this token; an empty one is none.
    async fn api(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let mut b = Browser::new();
        let name = body.as_ref().and_then(|b| b["name"].as_str()).unwrap_or_default();
        let mut head = vec![("idempotency-key", format!("{path}{name}{token}"))];
        if !token.is_empty() {
            head.push(("authorization", format!("Bearer {token}")));
        }
        let r = b.send(method, &format!("{}{path}", self.at), &head, body).await;
        (r.status, serde_json::from_str(&r.text).unwrap_or(Value::Null))
    }

    async fn rows(&self, action: &str) -> Vec<AuditRow> {
        let all = self.store.audit(None, None, 500).await.expect("read").items;
        all.into_iter().filter(|r| r.action == action).collect()
    }

    async fn refusals(&self) -> Vec<String> {
        let rows = self.rows("operator.sign-in-refused").await;
        rows.into_iter().rev().map(|r| format!("{} {}", r.object, r.reason)).collect()
    }

    async fn sessions(&self) -> Vec<TokenRow> {
        let all = self.store.tokens().await.expect("read");
        all.into_iter().filter(|t| t.by_provider.is_some()).collect()
    }

    /// A local operator, and whether he gets in.
    async fn local_sign_in_works(&self) -> bool {
        let body = json!({ "name": "taro", "display": "Taro", "grants": [{ "roles": ["viewer"] }] });
        let (status, made) = self.api(Method::POST, "/api/v1/operators", &self.owner, Some(body)).await;
        assert_eq!(status, 201, "{made}");
        let body = json!({ "name": "taro", "password": made["password"] });
        self.api(Method::POST, "/api/v1/sign-in", "", Some(body)).await.0 == 200
    }
}

async fn serve(handle: &ControlHandle, listener: TcpListener, provider: Option<Provider>) -> JoinHandle<()> {
    let mut state = AppState::new(Arc::new(handle.clone()), handle.store.clone(), handle.flows.clone())
        .await
        .expect("the tokens")
        .sealing_with(types::Key256::new([7; 32]))
        .password_cost(Cost { memory_kib: 64, passes: 1 });
    if let Some(p) = provider {
        state = state.signing_in_by(p);
    }
    let app = admin_web::router(state).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await.expect("served") })
}

impl Browser {
    fn new() -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .proxy(None)
            .build()
            .new_agent();
        Self { agent, cookies: BTreeMap::new(), lang: "en" }
    }

    async fn get(&mut self, url: &str) -> Page {
        self.send(Method::GET, url, &[], None).await
    }

    async fn send(
        &mut self,
        method: Method,
        url: &str,
        head: &[(&str, String)],
        body: Option<Value>,
    ) -> Page {
        let mut head = head.to_vec();
        if body.is_some() {
            head.push(("content-type", "application/json".to_owned()));
        }
        self.say(method, url, &head, body.map(|b| b.to_string())).await
    }

    /// The same with a body of any kind.
    async fn say(
        &mut self,
        method: Method,
        url: &str,
        head: &[(&str, String)],
        body: Option<String>,
    ) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let mut r =
            ureq::http::Request::builder().method(method).uri(url).header("accept-language", self.lang);
        if !cookies.is_empty() {
            r = r.header("cookie", cookies.join("; "));
        }
        if !head.iter().any(|(n, _)| *n == "authorization") {
            r = r.header("accept", "text/html");
        }
        for (name, value) in head {
            r = r.header(*name, value);
        }
        let agent = self.agent.clone();
        let answer = match body {
            None => {
                let r = r.body(()).expect("a request");
                tokio::task::spawn_blocking(move || agent.run(r)).await
            }
            Some(b) => {
                let r = r.body(b).expect("a request");
                tokio::task::spawn_blocking(move || agent.run(r)).await
            }
        };
        let mut answer = answer.expect("no panic").expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        for set in answer.headers().get_all("set-cookie") {
            let set = set.to_str().expect("plain");
            let (pair, rest) = set.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            assert!(
                rest.contains("HttpOnly") && rest.contains("Secure") && rest.contains("SameSite="),
                "{set}"
            );
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Page { status: answer.status().as_u16(), headers: answer.headers().clone(), text }
    }

    /// The session's token, where there is a session.
    fn session(&self) -> Option<String> {
        self.cookies.get("sekisho_session").cloned()
    }
}

impl Page {
    fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|v| v.to_str().expect("plain").to_owned()).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_signs_in_by_the_provider_with_the_rights_of_his_groups() {
    let w = World::new().await;
    let mut b = Browser::new();
    let page = b.get(&format!("{}/sign-in?next=/sims%3Fstate=lost", w.at)).await;
    assert!(page.text.contains("Sign in by Corp") && !page.text.contains("<script"), "{}", page.text);
    assert!(page.text.contains("href=\"/sign-in/provider?next=%2Fsims%3Fstate%3Dlost\""), "{}", page.text);
    b.lang = "ja";
    assert!(b.get(&format!("{}/sign-in", w.at)).await.text.contains("Corp でサインイン"));

    let done = w.sign_in(&mut b).await;
    assert_eq!((done.status, done.header("location").as_str()), (303, "/sims?state=lost"), "{}", done.text);
    assert_eq!(b.cookies.keys().collect::<Vec<_>>(), ["sekisho_session"], "what it began with is gone");
    let session = done.headers.get_all("set-cookie").iter().next().expect("the session");
    assert!(session.to_str().expect("plain").contains("SameSite=Strict"));

    let token = b.session().expect("a session");
    let (_, me) = w.api(Method::GET, "/api/v1/me", &token, None).await;
    assert_eq!((&me["provider"], &me["subject"]), (&json!("Corp"), &json!("248289761001")), "{me}");
    assert_eq!((&me["label"], &me["operator"]), (&json!("hanako@corp.example"), &Value::Null));
    let soc = json!({ "roles": ["soc"], "scopes": [], "groups": [], "sites": [] });
    let desk = json!({ "roles": ["helpdesk"], "scopes": [], "groups": ["staff"], "sites": ["osaka"] });
    assert_eq!(me["grants"], json!([desk, soc]));
    assert_eq!(w.api(Method::GET, "/api/v1/audit", &token, None).await.0, 200, "as soc");
    assert_eq!(w.api(Method::GET, "/api/v1/operators", &token, None).await.0, 403);

    // He is listed, to himself and to who looks after tokens, and in the audit by a name that stays his.
    let (_, own) = w.api(Method::GET, "/api/v1/me/sign-ins", &token, None).await;
    assert_eq!((&own[0]["provider"], &own[0]["current"]), (&json!("Corp"), &json!(true)));
    let (_, all) = w.api(Method::GET, "/api/v1/tokens?limit=10", &w.owner, None).await;
    let his = all["items"].as_array().expect("items").iter().find(|t| t["provider"] == "Corp").expect("his");
    assert_eq!((&his["subject"], &his["roles"]), (&json!("248289761001"), &json!(["helpdesk", "soc"])));
    let rows = w.rows("operator.sign-in").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].actor, "hanako@corp.example (provider:248289761001)");
    assert_eq!((rows[0].object.as_str(), rows[0].origin.as_str()), ("provider:248289761001", "127.0.0.1"));

    // It has no password here, and can be ended.
    let page = b.get(&format!("{}/password", w.at)).await;
    assert!(page.status == 403 && !page.text.contains("<form"), "{}", page.text);
    let id = own[0]["id"].as_str().expect("an id");
    assert_eq!(w.api(Method::DELETE, &format!("/api/v1/me/sign-ins/{id}"), &token, None).await.0, 204);
    assert_eq!(w.api(Method::GET, "/api/v1/me", &token, None).await.0, 401);
    assert_eq!(w.refusals().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_door_is_where_it_says_and_one_that_says_nothing_right_is_where_it_is_known_to_be() {
    let w = World::new().await;
    let look = async || {
        let config = w.config.clone();
        let seen =
            tokio::task::spawn_blocking(move || super::provider_app::look(&config)).await.expect("looked");
        let (doors, addresses) = seen.told();
        (doors.iter().map(|(host, _)| host.clone()).collect::<Vec<_>>(), addresses)
    };
    assert_eq!(look().await, (vec!["127.0.0.1".to_owned()], vec!["127.0.0.1".parse().expect("an address")]));
    w.idp.says().door = Some("http://localhost:7/authorize".to_owned());
    assert_eq!(look().await.0, ["127.0.0.1", "localhost"]);
    w.idp.says().door = Some("no address at all".to_owned());
    assert_eq!(look().await.0, [""; 0]);
    w.idp.says().mood = Mood::Garbage;
    assert_eq!(look().await, (vec![], vec!["127.0.0.1".parse().expect("an address")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_work_without_a_restart_and_bad_tokens_do_not_fetch_them_again_and_again() {
    let w = World::new().await;
    assert_eq!(w.sign_in(&mut Browser::new()).await.status, 303);
    assert_eq!((w.idp.asked("discovery"), w.idp.asked("jwks")), (1, 1));
    {
        let mut says = w.idp.says();
        (says.keys, says.sign, says.kid) = (vec![("second", Sign::Ec)], Sign::Ec, "second");
    }
    for _ in 0..2 {
        assert_eq!(w.sign_in(&mut Browser::new()).await.status, 303);
    }
    assert_eq!((w.idp.asked("discovery"), w.idp.asked("jwks")), (1, 2), "asked once for the new one");
    w.idp.says().kid = "third";
    for _ in 0..5 {
        let mut b = Browser::new();
        let page = w.sign_in(&mut b).await;
        assert!(page.status == 401 && page.text.contains("a key that is unknown"), "{}", page.text);
        assert_eq!(b.session(), None);
    }
    assert_eq!(w.idp.asked("jwks"), 2, "not for each of them");
    assert_eq!(w.refusals().await, vec!["provider:? refused: the ID token names a key that is unknown"; 5]);
}

/// What the provider says, and why it is not taken.
type Lie = (&'static str, fn(&mut idp::Says));

/// A true token under another header, or saying something else behind its signature.
fn spoilt(s: &idp::Says, head: Option<Value>, sub: &str) -> Value {
    let claims = |sub: &str| json!({ "iss": s.issuer, "aud": idp::CLIENT, "sub": sub, "iat": seconds(), "exp": seconds() + 300 });
    let token = idp::signed_as("JWT", Sign::Rsa, "first", &claims("248289761001"));
    let parts: Vec<&str> = token.split('.').collect();
    let head = head.map_or_else(|| parts[0].to_owned(), |h| idp::part(&h));
    json!(format!("{head}.{}.{}", idp::part(&claims(sub)), parts[2]))
}

const LIES: &[Lie] = &[
    ("not signed by a method that is taken", |s| s.sign = Sign::None),
    ("not signed by a method that is taken", |s| s.sign = Sign::SharedSecret),
    ("not signed by a method that is taken", |s| s.sign = Sign::PublicKeyAsSecret),
    ("no ID token that can be read", |s| {
        s.token = Some(spoilt(s, Some(json!({ "alg": "None" })), "248289761001"))
    }),
    ("no ID token that can be read", |s| {
        s.token = Some(spoilt(s, Some(json!({ "alg": "NONE" })), "248289761001"))
    }),
    ("signature is not right", |s| s.sign = Sign::Damaged),
    ("signature is not right", |s| {
        s.token = Some(spoilt(s, Some(json!({ "alg": "RS256", "kid": "first" })), "248289761001"))
    }),
    ("signature is not right", |s| s.token = Some(spoilt(s, None, "somebody-else"))),
    ("a key that is unknown", |s| s.kid = "nobody's"),
    ("a key that is unknown", |s| s.kid = "FIRST"),
    ("a key that is unknown", |s| s.sign = Sign::Ec),
    ("for another audience", |s| s.claims = json!({ "aud": "another" })),
    ("for another audience", |s| s.claims = json!({ "aud": [idp::CLIENT, "another"] })),
    ("for another audience", |s| s.claims = json!({ "aud": [] })),
    ("of another issuer", |s| s.claims = json!({ "iss": "https://idp.example" })),
    ("has run out", |s| s.claims = json!({ "exp": seconds() - 90 })),
    ("has run out", |s| s.claims = json!({ "exp": seconds() - 86_400, "iat": seconds() - 90_000 })),
    ("has run out", |s| s.claims = json!({ "exp": 0 })),
    ("does not count yet", |s| s.claims = json!({ "nbf": seconds() + 90 })),
    ("does not count yet", |s| s.claims = json!({ "iat": seconds() + 90 })),
    ("not made for this sign-in (nonce)", |s| s.claims = json!({ "nonce": "another" })),
    ("not made for this sign-in (nonce)", |s| s.claims = json!({ "nonce": null })),
    ("not made for this sign-in (nonce)", |s| s.claims = json!({ "nonce": "" })),
    ("no ID token that can be read", |s| s.claims = json!({ "sub": "" })),
    ("no ID token that can be read", |s| s.token = Some(Value::Null)),
    ("no ID token that can be read", |s| s.token = Some(json!("a.b.c"))),
    ("none of your groups has a role here", |s| s.claims = json!({ "groups": null })),
    ("none of your groups has a role here", |s| s.claims = json!({ "groups": ["everybody"] })),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lie_about_a_person_is_taken() {
    let w = World::new().await;
    for (n, (why, lie)) in LIES.iter().enumerate() {
        {
            let mut says = w.idp.says();
            (says.sign, says.kid, says.claims, says.token) = (Sign::Rsa, "first", json!({}), None);
            lie(&mut says);
        }
        let mut b = Browser::new();
        let page = w.sign_in(&mut b).await;
        assert!((401..404).contains(&page.status) && page.text.contains(why), "{n} {why}: {}", page.text);
        assert!(page.text.contains("role=alert") && page.text.contains("href=\"/sign-in\""), "{}", page.text);
        assert_eq!((b.session(), b.cookies.len()), (None, 0), "{n} {why}");
        let refusals = w.refusals().await;
        assert_eq!(refusals.len(), n + 1, "one row each: {refusals:?}");
        assert!(refusals[n].contains(why), "{n}: {refusals:?}");
    }
    assert_eq!(w.sessions().await, []);
    let last = w.refusals().await.pop().expect("a row");
    assert!(last.starts_with("provider:248289761001 "), "who was refused is named: {last}");
    // A clock that is a little off is none.
    w.idp.says().claims = json!({ "iat": seconds() + 30, "nbf": seconds() + 30, "exp": seconds() - 30 });
    assert_eq!(w.sign_in(&mut Browser::new()).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_belongs_to_the_browser_that_began_it_and_counts_once() {
    let w = World::new().await;
    let refused = async |b: &mut Browser, url: &str, why: &str| {
        let before = w.refusals().await.len();
        let page = b.get(url).await;
        assert!((400..404).contains(&page.status) && page.text.contains(why), "{why}: {}", page.text);
        assert_eq!(b.session(), None, "{why}");
        let rows = w.refusals().await;
        assert_eq!(rows.len(), before + 1, "{why}: {rows:?}");
        assert!(rows[before].contains(why), "{rows:?}");
    };
    // Somebody else's link: the browser began nothing, or something else, or brings what nobody sealed.
    let theirs = w.at_provider(&mut Browser::new()).await;
    refused(&mut Browser::new(), &theirs, "this browser did not begin this sign-in").await;
    let mut b = Browser::new();
    w.at_provider(&mut b).await;
    refused(&mut b, &theirs, "the state is not the one").await;
    let mut b = Browser::new();
    b.cookies.insert("sekisho_begun".to_owned(), "AAAA".repeat(40));
    refused(&mut b, &theirs, "this browser did not begin this sign-in").await;

    // The way back once more, with the cookie that it was gone with.
    let mut b = Browser::new();
    let back = w.at_provider(&mut b).await;
    let kept = b.cookies.clone();
    assert_eq!(b.get(&back).await.status, 303);
    let mut again = Browser { cookies: kept, ..Browser::new() };
    refused(&mut again, &back, "came back before").await;

    // A code of another sign-in in this browser's own way back: the provider holds it against PKCE's verifier.
    let theirs = w.at_provider(&mut Browser::new()).await;
    let code =
        |url: &str| url.split("code=").nth(1).and_then(|c| c.split('&').next()).expect("a code").to_owned();
    let mut b = Browser::new();
    let own = w.at_provider(&mut b).await;
    refused(&mut b, &own.replace(&code(&own), &code(&theirs)), "did not take the code (invalid_grant)").await;

    // The provider says no; another one answers in its place; nothing at all comes back.
    for (more, why) in [
        ("error=access_denied", "the provider refused it (access_denied)"),
        ("error=%3Cb%3E", "the provider refused it (b)"),
        ("code=x&iss=https%3A%2F%2Fidp.example", "of another issuer"),
        ("code=", "no ID token that can be read"),
    ] {
        let mut b = Browser::new();
        let back = w.at_provider(&mut b).await;
        let (to, state) =
            (back.split('?').next().expect("a path"), back.split("state=").nth(1).expect("a state"));
        refused(&mut b, &format!("{to}?state={state}&{more}"), why).await;
    }
    assert_eq!(w.sessions().await.len(), 1);

    // A link on another site begins nothing; a path of another site is not gone to.
    let mut b = Browser::new();
    let head = [("sec-fetch-site", "cross-site".to_owned())];
    let page = b.send(Method::GET, &format!("{}/sign-in/provider", w.at), &head, None).await;
    assert_eq!((page.header("location").as_str(), b.cookies.len()), ("/sign-in", 0));
    for evil in ["//evil.example", "https:%2F%2Fevil.example", "%2F%5Cevil.example", &"%2Fx".repeat(1000)] {
        let out = b.get(&format!("{}/sign-in/provider?next={evil}", w.at)).await;
        let back = Browser::new().get(&out.header("location")).await.header("location");
        assert_eq!(b.get(&back).await.header("location"), "/", "{evil}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_ends_nothing_and_local_operators_get_in() {
    let w = World::new().await;
    let mut live = Browser::new();
    w.sign_in(&mut live).await;
    let mut b = Browser::new();
    let back = w.at_provider(&mut b).await;
    w.idp.stop().await;
    let page = b.get(&back).await;
    assert!(page.status == 503 && page.text.contains("does not answer"), "{}", page.text);
    assert!(
        page.text.contains("local operators sign in") && page.text.contains("href=\"/sign-in\""),
        "{}",
        page.text
    );
    assert_eq!(b.session(), None);
    assert_eq!(w.refusals().await.len(), 1);
    // It is left alone for a moment: neither it nor the audit is flooded.
    let mut b = Browser::new();
    let out = b.get(&format!("{}/sign-in/provider", w.at)).await;
    let to = format!("{}/sign-in/provider/callback?code=x&state=", w.at);
    let state = out
        .header("location")
        .split("state=")
        .nth(1)
        .and_then(|s| s.split('&').next())
        .expect("a state")
        .to_owned();
    assert_eq!(b.get(&format!("{to}{state}")).await.status, 503);
    assert_eq!(w.refusals().await.len(), 1);
    // Who is in stays in; who has a password gets in; the page is there.
    let token = live.session().expect("a session");
    assert_eq!(w.api(Method::GET, "/api/v1/sims", &token, None).await.0, 200);
    assert!(w.local_sign_in_works().await);
    assert!(b.get(&format!("{}/sign-in", w.at)).await.text.contains("name=\"password\""));

    // The same where it was never reached, in the reader's language.
    let w = World::new().await;
    w.idp.stop().await;
    let mut b = Browser { lang: "ja", ..Browser::new() };
    let page = b.get(&format!("{}/sign-in/provider", w.at)).await;
    assert!(page.status == 503 && page.text.contains("正しい応答がありません"), "{}", page.text);
    assert_eq!(b.cookies.len(), 0);
    assert_eq!(w.refusals().await.len(), 1);
    assert!(w.local_sign_in_works().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_says_too_much_or_never_ends_wastes_seconds_and_nothing_else() {
    const PATIENCE: Duration = Duration::from_secs(1);
    for mood in [Mood::Garbage, Mood::Slow] {
        let mut w = World::new().await;
        let oidc = w.config.oidc.as_ref().expect("configured");
        let http = Http::new(oidc, PATIENCE).expect("a client");
        let secret = zeroize::Zeroizing::new(idp::SECRET.to_owned());
        let impatient = Provider::new(believed(oidc, Some(secret)), Box::new(http)).expect("a provider");
        w.restart(Some(impatient)).await;
        w.idp.says().mood = mood;
        let since = Instant::now();
        let page = Browser::new().get(&format!("{}/sign-in/provider", w.at)).await;
        assert!(page.status == 503 && page.text.contains("does not answer"), "{mood:?}: {}", page.text);
        assert!(since.elapsed() < PATIENCE * 5, "{mood:?}: {:?}", since.elapsed());
        assert_eq!(w.refusals().await.len(), 1);
        assert!(w.local_sign_in_works().await);
    }
    // The token endpoint, too.
    let w = World::new().await;
    let mut b = Browser::new();
    let back = w.at_provider(&mut b).await;
    w.idp.says().mood = Mood::Garbage;
    assert_eq!(b.get(&back).await.status, 503);
    assert_eq!((b.session(), w.sessions().await.len(), w.refusals().await.len()), (None, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_configuration_gave_ends_where_it_gives_something_else() {
    let mut w = World::new().await;
    let (mut a, mut b) = (Browser::new(), Browser::new());
    w.sign_in(&mut a).await;
    let token = a.session().expect("a session");
    // The same configuration: he stays in.
    let same = provider::start(&w.config, &w.store).await;
    w.restart(same).await;
    assert_eq!(w.api(Method::GET, "/api/v1/me", &token, None).await.0, 200);
    // Without the provider no such token counts, even where the database could not be told.
    w.restart(None).await;
    assert_eq!(w.api(Method::GET, "/api/v1/me", &token, None).await.0, 401);
    assert_eq!(b.get(&format!("{}/sign-in/provider", w.at)).await.header("location"), "/sign-in");
    assert!(!b.get(&format!("{}/sign-in", w.at)).await.text.contains("/sign-in/provider"));
    assert!(w.sessions().await[0].revoked.is_none());
    // The group gives less: he is out, and comes back with less.
    let less = "[[oidc.grant]]\ngroup = \"net\"\nrole = \"viewer\"\n";
    let other = config(&w.idp, &w.at, &w.dir, "", less);
    let provider = provider::start(&other, &w.store).await;
    w.restart(provider).await;
    assert_eq!(w.api(Method::GET, "/api/v1/me", &token, None).await.0, 401);
    let ended = w.rows("token.revoke").await;
    assert_eq!(
        (ended.len(), ended[0].reason.as_str()),
        (1, "the configuration of the identity provider changed")
    );
    w.sign_in(&mut b).await;
    let token = b.session().expect("a session");
    assert_eq!(w.api(Method::GET, "/api/v1/audit", &token, None).await.0, 403);
    assert_eq!(w.api(Method::GET, "/api/v1/sims", &token, None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_second_factor_is_asked_for_the_provider_must_say_that_there_was_one() {
    let w = World::with("amr = [\"mfa\"]\nacr = [\"gold\"]\nsession_minutes = 5").await;
    for (claims, in_) in [
        (json!({}), false),
        (json!({ "amr": ["pwd"], "acr": "gold" }), false),
        (json!({ "amr": ["pwd", "mfa"], "acr": "silver" }), false),
        (json!({ "amr": ["pwd", "mfa"], "acr": "gold" }), true),
    ] {
        w.idp.says().claims = claims.clone();
        let mut b = Browser::new();
        let out = b.get(&format!("{}/sign-in/provider", w.at)).await;
        assert!(out.header("location").contains("acr_values=gold"), "{}", out.header("location"));
        let page = w.sign_in(&mut b).await;
        assert_eq!((page.status == 303, b.session().is_some()), (in_, in_), "{claims}: {}", page.text);
    }
    let his = w.sessions().await;
    assert_eq!(his.len(), 1);
    assert_eq!(his[0].expires.map(|e| e.0 - his[0].created.0), Some(300_000));
    assert!(w.refusals().await.iter().all(|r| r.contains("(acr, amr)")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tries_and_tries_waits_and_takes_nobodys_password_away() {
    let w = World::new().await;
    let to = format!("{}/sign-in/provider/callback?code=x&state=y", w.at);
    let mut b = Browser::new();
    for _ in 0..30 {
        assert_eq!(b.get(&to).await.status, 400);
    }
    for path in ["/sign-in/provider/callback?code=x&state=y", "/sign-in/provider"] {
        let page = b.get(&format!("{}{path}", w.at)).await;
        assert!(page.status == 429 && page.text.contains("waits"), "{path}: {}", page.text);
    }
    assert_eq!(w.refusals().await.len(), 30, "who waits writes nothing more");
    assert!(w.local_sign_in_works().await);
}
