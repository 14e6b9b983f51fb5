//! `Idempotency-Key`: a request that is sent twice takes effect once and gets the same answer twice.
//!
//! Which routes need it is read from the OpenAPI document: those that declare the header. Only an answer of success
//! is kept; a refused request did nothing and may be sent again, corrected. The key belongs to the token.

use crate::{
    problem::{Problem, say},
    request::{limit_of, read_body},
    rights::Caller,
    state::{AppState, now},
};
use axum::{
    body::{Body, Bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{Claim, Kept, KeptAnswer};

/// Routes whose body is a file of any length.
const STREAMED: [&str; 1] = ["/api/v1/imports"];

/// Methods and paths that need a key.
pub(crate) type Routes = Arc<BTreeSet<(String, String)>>;

/// What is kept instead of the answer's own body: the answer that makes a token must not be kept with it.
#[derive(Debug, Clone)]
pub(crate) struct KeepInstead(pub(crate) Vec<u8>);

/// A request's key on its way to what the request does, which keeps it with the answer in its own transaction: a
/// ban is not made to wait for a transaction of its key's own, before it and behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldClaim {
    /// Whose key.
    pub actor: String,
    /// The key.
    pub key: String,
    /// Digest of the request.
    pub fingerprint: Vec<u8>,
}

/// Said by a handler in its answer: the answer is kept already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerKept;

/// Keys whose requests are under way in this process.
pub(crate) type UnderWay = Arc<Mutex<HashSet<(String, String)>>>;

/// Takes the key out again, however the request ends.
struct Held(UnderWay, (String, String));

impl Held {
    fn take(all: &UnderWay, actor: &str, key: &str) -> Option<Self> {
        let name = (actor.to_owned(), key.to_owned());
        let new = all.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        new.then(|| Self(Arc::clone(all), name))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// How long a cut waits for the database to say whether its key was used. Cutting twice is cutting once.
const LOOK: Duration = Duration::from_millis(200);

/// Routes that cut: they work without the database, so their effect keeps the key, or nothing does.
fn keeps_its_key(route: &str) -> bool {
    ["/ban", "/panic", "/quarantine"].iter().any(|end| route.ends_with(end)) || route == "/api/v1/revocations"
}

/// As [`once`], but the key is kept by what the request does. Without a database it goes on without.
async fn once_by_effect(
    state: AppState,
    claim: HeldClaim,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let _held = Held::take(&state.under_way, &claim.actor, &claim.key).ok_or_else(still_open)?;
    let seen = state.store.claim_seen(&claim.actor, &claim.key, &claim.fingerprint);
    match tokio::time::timeout(LOOK, seen).await {
        Ok(Ok(Claim::New)) => {}
        Ok(Ok(Claim::Done(kept))) => return Ok(replay(kept)),
        Ok(Ok(Claim::Other)) => return Err(other_request()),
        Ok(Ok(Claim::Open)) => return Err(still_open()),
        Ok(Err(e)) => {
            tracing::warn!("a cut goes on without its idempotency key, which cannot be looked up: {e}")
        }
        Err(_) => tracing::warn!("a cut goes on without its idempotency key: the database is slow"),
    }
    request.extensions_mut().insert(claim.clone());
    let response = next.run(request).await;
    if !response.status().is_success() || response.extensions().get::<AnswerKept>().is_some() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let octets: Bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Problem::internal())?;
    let answer = Kept { status: parts.status.as_u16(), body: octets.to_vec(), etag: None };
    let HeldClaim { actor, key, fingerprint } = claim;
    let keep = state.store.keep_whole(KeptAnswer { actor, key, fingerprint, answer }, now());
    if !matches!(tokio::time::timeout(LOOK, keep).await, Ok(Ok(()))) {
        tracing::warn!("the answer of a cut could not be kept for its idempotency key");
    }
    Ok(Response::from_parts(parts, Body::from(octets)))
}

/// The layer.
pub(crate) async fn layer(
    State((state, routes)): State<(AppState, Routes)>,
    req: Request,
    next: Next,
) -> Response {
    let route = req.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned()).unwrap_or_default();
    let caller = req.extensions().get::<Caller>().cloned();
    let (Some(caller), true) = (caller, routes.contains(&(req.method().to_string(), route.clone()))) else {
        // Without a caller the handler refuses it.
        return next.run(req).await;
    };
    once(state, &route, caller, req, next).await.unwrap_or_else(|p| p.into_response())
}

async fn once(
    state: AppState,
    route: &str,
    caller: Caller,
    req: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key_of(&req)?;
    let (parts, body) = req.into_parts();
    // A file that is read as it comes in is not held here: its key stands for it, with what is asked about it.
    let (octets, body) = if STREAMED.contains(&route) {
        let asked = parts.uri.query().unwrap_or_default().as_bytes().to_vec();
        (Bytes::from(asked), Some(body))
    } else {
        (read_body(body, limit_of(parts.uri.path())).await?, None)
    };
    let mut digest = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &octets] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let fingerprint = digest.finalize().to_vec();
    let actor = caller.token.clone().unwrap_or_default();
    let request = Request::from_parts(parts, body.unwrap_or_else(|| Body::from(octets)));

    if keeps_its_key(route) {
        return once_by_effect(state, HeldClaim { actor, key, fingerprint }, request, next).await;
    }
    match state.store.claim(actor.clone(), key.clone(), fingerprint, now()).await {
        Ok(Claim::New) => {}
        Ok(Claim::Done(kept)) => return Ok(replay(kept)),
        Ok(Claim::Other) => return Err(other_request()),
        Ok(Claim::Open) => return Err(still_open()),
        Err(e) => return Err(e.into()),
    }
    let response = next.run(request).await;
    keep(&state, actor, key, response).await
}

fn key_of(req: &Request) -> Result<String, Problem> {
    let given = req.headers().get("idempotency-key").and_then(|v| v.to_str().ok()).map(str::trim);
    match given {
        Some(k) if (1..=128).contains(&k.len()) => Ok(k.to_owned()),
        _ => Err(Problem::new(400, "idempotency-key", say!("Idempotency-Key is needed", "Idempotency-Key が必要です"))
            .detail(say!(
                "with it a request that is sent twice, because an answer was lost, takes effect once",
                "応答が失われて再送しても、処理は一度だけ行われます"
            ))
            .fix(say!(
                "send the header Idempotency-Key with 1 to 128 characters that are new for each intended effect, such as a UUID",
                "操作ごとに新しい 1〜128 文字の値 (UUID など) をヘッダー Idempotency-Key に指定してください"
            ))),
    }
}

fn other_request() -> Problem {
    Problem::new(
        422,
        "idempotency-key-used",
        say!("This key was used for another request", "このキーは別のリクエストで使用済みです"),
    )
    .fix(say!("choose a new Idempotency-Key", "新しい Idempotency-Key を指定してください"))
}

fn still_open() -> Problem {
    Problem::new(
        409,
        "in-progress",
        say!("The first request has no answer yet", "最初のリクエストがまだ完了していません"),
    )
    .detail(say!(
        "it is under way, or it was interrupted and its outcome is not known",
        "処理中か、中断されて結果が不明です"
    ))
    .fix(say!(
        "wait and send it again; if that does not help, look at the thing itself and use a new key",
        "しばらく待って再送してください。解決しない場合は対象の状態を確認し、新しいキーを使ってください"
    ))
}

async fn keep(state: &AppState, actor: String, key: String, response: Response) -> Result<Response, Problem> {
    let status = response.status();
    if !status.is_success() {
        if let Err(e) = state.store.unclaim(actor, key).await {
            tracing::warn!("an idempotency key could not be given back: {e}");
        }
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let octets: Bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Problem::internal())?;
    let instead = parts.extensions.remove::<KeepInstead>();
    let kept = Kept {
        status: status.as_u16(),
        body: instead.map_or_else(|| octets.to_vec(), |k| k.0),
        etag: parts.headers.get(header::ETAG).and_then(|v| v.to_str().ok()).map(str::to_owned),
    };
    if let Err(e) = state.store.keep_answer(actor, key, kept).await {
        // The effect is there; only a repetition will not know its answer.
        tracing::warn!("an answer could not be kept for its idempotency key: {e}");
    }
    Ok(Response::from_parts(parts, Body::from(octets)))
}

fn replay(kept: Kept) -> Response {
    let mut r = Response::new(Body::from(kept.body));
    *r.status_mut() = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let h = r.headers_mut();
    h.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    h.insert("idempotency-replayed", HeaderValue::from_static("true"));
    if let Some(v) = kept.etag.and_then(|t| HeaderValue::from_str(&t).ok()) {
        h.insert(header::ETAG, v);
    }
    r
}
