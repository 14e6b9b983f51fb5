//! Security events that a transmitter is asked for (RFC 8936), over real sockets: what is taken, what is acknowledged and
//! what is told of, and what a transmitter that does not do its part can bring about.

use super::{
    idp::{Sign, jwk, seconds, signed_as},
    step_up::{imsi, world},
    *,
};
use crate::control::api::Command;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};
use store::FactsOf;

/// As which a transmitter knows us.
pub(super) const US: &str = "https://sekisho.example.jp";
const TOKEN: &str = "the token of the stream";

/// How a transmitter answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Right,
    Unauthorised,
    Broken,
    /// Elsewhere, with the token.
    Redirects,
    /// An answer that begins and does not end.
    Slow,
    Huge,
    Garbage,
    /// What it sends is not what it is called.
    OtherKinds,
}

/// What it has to tell, and what it was told.
struct Says {
    mood: Mood,
    /// By `jti`, until it hears of them.
    waiting: BTreeMap<String, String>,
    acknowledged: Vec<String>,
    refused: BTreeMap<String, Value>,
    /// Answers that it gives as if it had not heard what came with the question.
    deaf: u32,
    polls: u32,
    keys_read: u32,
    elsewhere: u32,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Transmitter {
    pub at: String,
    says: Arc<Mutex<Says>>,
}

fn answer(status: StatusCode, body: impl Into<Body>) -> Response {
    let r = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    r.body(body.into()).expect("an answer")
}

impl Transmitter {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = format!("http://{}", listener.local_addr().expect("an address"));
        let says = Says {
            mood: Mood::Right,
            waiting: BTreeMap::new(),
            acknowledged: Vec::new(),
            refused: BTreeMap::new(),
            deaf: 0,
            polls: 0,
            keys_read: 0,
            elsewhere: 0,
        };
        let t = Self { at, says: Arc::new(Mutex::new(says)) };
        let app = Router::new()
            .route("/jwks", get(keys))
            .route("/poll", post(poll))
            .route("/elsewhere", post(elsewhere).get(elsewhere))
            .with_state(t.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.expect("served") });
        t
    }

    fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().expect("no panic before")
    }

    /// An event about hanako, signed so.
    fn event(&self, jti: &str, kind: &str, more: Value, sign: Sign) {
        let mut events = serde_json::Map::new();
        events.insert(format!("https://schemas.openid.net/secevent/caep/event-type/{kind}"), more);
        let claims = json!({
            "iss": self.at, "aud": US, "iat": seconds(), "jti": jti,
            "sub_id": { "format": "iss_sub", "iss": self.at, "sub": "248289761001" }, "events": events,
        });
        let token = signed_as("secevent+jwt", sign, "k", &claims);
        self.says().waiting.insert(jti.to_owned(), token);
    }

    fn proved(&self, jti: &str) {
        let level = json!({ "current_level": "aal2", "change_direction": "increase" });
        self.event(jti, "assurance-level-change", level, Sign::Ec);
    }

    fn revoked(&self, jti: &str) {
        self.event(jti, "session-revoked", json!({}), Sign::Ec);
    }
}

async fn keys(State(t): State<Transmitter>) -> Response {
    t.says().keys_read += 1;
    answer(StatusCode::OK, json!({ "keys": [jwk("k", Sign::Ec)] }).to_string())
}

async fn elsewhere(State(t): State<Transmitter>) -> Response {
    t.says().elsewhere += 1;
    answer(StatusCode::OK, json!({ "sets": {} }).to_string())
}

async fn poll(State(t): State<Transmitter>, headers: HeaderMap, body: String) -> Response {
    let mut says = t.says();
    says.polls += 1;
    let shown = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    if shown != Some(&format!("Bearer {TOKEN}")) || says.mood == Mood::Unauthorised {
        return answer(StatusCode::UNAUTHORIZED, "");
    }
    let asked: Value = serde_json::from_str(&body).expect("a question is JSON");
    assert_eq!(asked["returnImmediately"], true);
    match says.mood {
        Mood::Right | Mood::Unauthorised => {}
        Mood::Broken => return answer(StatusCode::INTERNAL_SERVER_ERROR, "{\"sets\":{}}"),
        Mood::Redirects => {
            let r = Response::builder().status(307).header(header::LOCATION, format!("{}/elsewhere", t.at));
            return r.body(Body::empty()).expect("an answer");
        }
        Mood::Slow => {
            let drip = futures_util::stream::unfold((), async |()| {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Ok::<_, std::io::Error>(" "), ()))
            });
            return answer(StatusCode::OK, Body::from_stream(drip));
        }
        Mood::Huge => {
            let all: BTreeMap<String, String> =
                (0..300).map(|n| (n.to_string(), "x".repeat(1_000))).collect();
            return answer(StatusCode::OK, json!({ "sets": all }).to_string());
        }
        Mood::Garbage => return answer(StatusCode::OK, "<html>Sign in</html>"),
        Mood::OtherKinds => return answer(StatusCode::OK, json!({ "sets": { "a": 1 } }).to_string()),
    }
    if says.deaf > 0 {
        says.deaf -= 1;
    } else {
        for id in asked["ack"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            says.waiting.remove(id);
            says.acknowledged.push(id.to_owned());
        }
        for (id, why) in asked["setErrs"].as_object().into_iter().flatten() {
            says.waiting.remove(id);
            says.refused.insert(id.clone(), why.clone());
        }
    }
    let most = asked["maxEvents"].as_u64().expect("how many") as usize;
    let sets: BTreeMap<_, _> = says.waiting.iter().take(most).collect();
    let more = says.waiting.len() > sets.len();
    answer(StatusCode::OK, json!({ "sets": sets, "moreAvailable": more }).to_string())
}

/// Serves a node that fetches signals, in place of the one before.
async fn live(w: &mut World) -> AppState {
    let http = Http::new(w.config.oidc.as_ref().expect("a provider"), Duration::from_millis(600));
    let handle = w.handle.clone();
    let state = AppState::new(Arc::new(handle.clone()), handle.store.clone(), handle.flows.clone())
        .await
        .expect("the tokens")
        .sealing_with(types::Key256::new([7; 32]))
        .fetching_signals_by(Box::new(http.expect("a client")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    w.at = format!("http://{}", listener.local_addr().expect("an address"));
    let app = admin_web::router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    w.task.abort();
    w.task = tokio::spawn(async move { axum::serve(listener, app).await.expect("served") });
    state
}

/// A node that asks this transmitter.
pub(super) struct Asking {
    pub w: World,
    pub t: Transmitter,
    state: AppState,
}

impl Asking {
    pub async fn new() -> Self {
        let (mut w, t) = (world().await, Transmitter::start().await);
        let (tx, mut rx) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Some(c) = rx.recv().await {
                match c {
                    Command::FactsStored { reply, .. } => drop(reply.send(Ok(()))),
                    Command::PolicyChanged { reply } => drop(reply.send(Ok(1))),
                    _ => panic!("an event asks for something else"),
                }
            }
        });
        w.handle.tx = tx;
        let state = live(&mut w).await;
        let ssf = json!({
            "issuer": t.at, "audience": US, "jwks_uri": format!("{}/jwks", t.at),
            "poll_url": format!("{}/poll", t.at), "assured_by": ["aal2"], "assured_for_s": 3600,
        });
        let source = json!({ "name": "idp", "kind": "ssf", "ssf": ssf, "poll_token": TOKEN });
        let path = "/api/v1/posture/sources";
        let (status, said) = w.api(Method::POST, path, &w.owner, Some(source)).await;
        assert_eq!(status, 201, "{said}");
        Self { w, t, state }
    }

    /// The node starts again over the same store.
    pub async fn restarts(&mut self) {
        self.state = live(&mut self.w).await;
    }

    async fn round(&self) {
        admin_web::ask_transmitters(&self.state).await;
    }

    pub async fn is_proved(&self) -> bool {
        let rows = self.w.store.fact_rows(&FactsOf::Sims(vec![imsi()])).await.expect("read");
        rows[0].assurance.is_some()
    }

    /// What the source's screen shows.
    async fn shown(&self) -> Value {
        self.w.api(Method::GET, "/api/v1/posture/sources/idp", &self.w.owner, None).await.1
    }
}

#[tokio::test]
async fn everything_that_waits_is_taken_acknowledged_and_told_of() {
    let a = Asking::new().await;
    (0..120).for_each(|n| a.t.proved(&format!("up-{n:03}")));
    for (jti, sign) in [("x-none", Sign::None), ("x-secret", Sign::SharedSecret), ("x-other", Sign::Rsa)] {
        a.t.event(jti, "session-revoked", json!({}), sign);
    }
    a.round().await;
    assert!(a.is_proved().await, "no forged event took it away");
    let (acknowledged, refused, polls) = {
        let says = a.t.says();
        assert!(says.waiting.is_empty(), "{:?}", says.waiting.keys());
        (says.acknowledged.len(), says.refused.clone(), says.polls)
    };
    // 50, 50 and 23, each with what was taken before, and one that only acknowledges.
    assert_eq!((acknowledged, polls), (120, 4));
    let errors: Vec<_> = refused.iter().map(|(id, why)| (id.as_str(), why["err"].clone())).collect();
    let said = |id, err: &str| (id, json!(err));
    assert_eq!(
        errors,
        [
            said("x-none", "authentication_failed"),
            said("x-other", "authentication_failed"),
            said("x-secret", "authentication_failed")
        ]
    );
    a.t.revoked("down");
    a.round().await;
    assert!(!a.is_proved().await);
    assert_eq!(a.t.says().keys_read, 1, "keys are read seldom");
}

#[tokio::test]
async fn a_transmitter_that_did_not_hear_us_sends_again_and_nothing_happens_twice() {
    let a = Asking::new().await;
    a.t.revoked("1");
    a.t.says().deaf = 2;
    a.round().await;
    assert_eq!(a.t.says().waiting.len(), 1, "it did not hear that it was taken");
    let rows = a.w.rows("sim.assurance").await.len();
    a.round().await;
    {
        let says = a.t.says();
        assert!(says.waiting.is_empty() && says.refused.is_empty());
        assert_eq!(says.acknowledged, ["1"]);
    }
    assert_eq!(a.w.rows("sim.assurance").await.len(), rows);
}

#[tokio::test]
async fn a_transmitter_that_does_not_do_its_part_brings_nothing_about() {
    let a = Asking::new().await;
    a.t.proved("up");
    a.round().await;
    assert!(a.is_proved().await);
    a.t.revoked("down");
    for (mood, error) in [
        (Mood::Unauthorised, "401"),
        (Mood::Broken, "500"),
        (Mood::Redirects, "307"),
        (Mood::Slow, "timeout"),
        (Mood::Huge, "limit"),
        (Mood::Garbage, "cannot be read"),
        (Mood::OtherKinds, "cannot be read"),
    ] {
        a.t.says().mood = mood;
        let (begun, polls) = (Instant::now(), a.t.says().polls);
        a.round().await;
        assert!(begun.elapsed() < Duration::from_secs(8), "{mood:?}");
        assert_eq!(a.t.says().polls, polls + 1, "{mood:?}: it is asked once a round");
        let shown = a.shown().await;
        let said = shown["error"].as_str().unwrap_or_default().to_owned();
        assert!(said.starts_with("it does not answer") && said.contains(error), "{mood:?}: {shown}");
        assert!(!said.contains(TOKEN));
        assert!(a.is_proved().await, "{mood:?}");
        assert_eq!(a.t.says().waiting.len(), 1, "{mood:?}: nothing is acknowledged");
    }
    assert_eq!(a.t.says().elsewhere, 0, "nobody follows it elsewhere");
    a.t.says().mood = Mood::Right;
    a.round().await;
    assert!(!a.is_proved().await && a.t.says().waiting.is_empty());
}
