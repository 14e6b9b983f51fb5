//! What every request passes: an id, its caller, the guard against panics, and the last hand that writes problems
//! in the caller's language.

use crate::{
    console::{
        self,
        session::{self, ByCookie},
    },
    control::Suspicion,
    problem::{Lang, Problem},
    rights::{Asking, Caller},
    state::{AppState, now},
};
use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::net::{IpAddr, SocketAddr};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: the caller's own, if it is plain, else one of ours.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

impl RequestId {
    fn of(req: &Request) -> Self {
        let plain = |s: &&str| {
            (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let given = req.headers().get(&REQUEST_ID).and_then(|v| v.to_str().ok()).filter(plain);
        Self(given.map_or_else(random_id, str::to_owned))
    }
}

fn random_id() -> String {
    let mut b = [0u8; 8];
    // An id need not be secret; should the OS refuse randomness, the time tells requests apart.
    if getrandom::fill(&mut b).is_err() {
        b = now().0.to_be_bytes();
    }
    types::hex(&b)
}

/// The outermost layer: request id, panics, problems in the caller's language, counting.
pub(crate) async fn outer(State(state): State<AppState>, mut req: Request, next: Next) -> Response {
    let id = RequestId::of(&req);
    let lang = Lang::asked(req.headers());
    let api = console::is_api(req.uri().path());
    let person = console::is_for_a_person(req.uri().path(), req.headers()).then(|| req.headers().clone());
    let method = req.method().to_string();
    let path = req.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned());
    let route = path.unwrap_or_else(|| "none".to_owned());
    req.extensions_mut().insert(id.clone());

    // A task of its own: a panic ends this request and nothing else, and a caller that goes away in the middle does
    // not leave a change half done.
    let mut response = match tokio::spawn(next.run(req)).await {
        Ok(r) => r,
        Err(e) => {
            tracing::error!(request_id = %id.0, "request {} on {method} {route} ended in a panic: {e}", id.0);
            Problem::internal().into_response()
        }
    };
    let problem = response.extensions_mut().remove::<Problem>();
    if response.extensions().get::<console::Made>().is_some() {
        // A page says itself what is wrong.
    } else if let (Some(headers), true) = (&person, problem.is_some() || is_error(&response)) {
        let p = problem.unwrap_or_else(|| Problem::of_status(response.status()));
        response = console::error(headers, &p, &id.0);
    } else if let Some(p) = problem {
        let retry = response.headers().get(header::ALLOW).cloned();
        response = p.respond(lang, &id.0);
        if let Some(v) = retry {
            response.headers_mut().insert(header::ALLOW, v);
        }
    } else if is_error(&response) {
        // From the router itself: no such path, wrong method.
        let allow = response.headers().get(header::ALLOW).cloned();
        response = Problem::of_status(response.status()).respond(lang, &id.0);
        if let Some(v) = allow {
            response.headers_mut().insert(header::ALLOW, v);
        }
    }
    if let Ok(v) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, v);
    }
    // Nothing here is for a cache, and nothing is to be guessed to be something else.
    let h = response.headers_mut();
    // A stream of events says "no-cache" of its own accord, which still lets one be kept.
    if api || !h.contains_key(header::CACHE_CONTROL) {
        h.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    h.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    console::guard(h);
    state.requests.count(&method, &route, response.status().as_u16());
    response
}

fn is_error(r: &Response) -> bool {
    r.status().is_client_error() || r.status().is_server_error()
}

/// Finds the caller, by token or by a browser's cookie. A request without a token goes on without one; extractors of rights then refuse it.
pub(crate) async fn caller(State(state): State<AppState>, mut req: Request, next: Next) -> Response {
    let id = req.extensions().get::<RequestId>().map(|i| i.0.clone()).unwrap_or_default();
    let asking = Asking { request_id: id, peer: peer_of(&req) };
    req.extensions_mut().insert(asking.clone());
    let Some(given) = req.headers().get(header::AUTHORIZATION) else {
        if let Err(p) = by_cookie(&state, &mut req, &asking).await {
            return p.into_response();
        }
        return run(&state, req, next).await;
    };
    let now = now();
    if state.tokens.stale(now) {
        refresh_tokens(&state).await;
    }
    let secret = given.to_str().ok().and_then(|v| {
        let (scheme, secret) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    let Some(caller) = secret.and_then(|s| state.tokens.find(s, &asking, now)) else {
        return Problem::no_token().into_response();
    };
    tell_uses(&state);
    req.extensions_mut().insert(caller);
    run(&state, req, next).await
}

/// Runs the request. A change that its caller has no right to is counted; a reading is not, because a console also asks for
/// what it then does not show.
async fn run(state: &AppState, req: Request, next: Next) -> Response {
    let changes = !req.method().is_safe();
    let caller = req.extensions().get::<Caller>().filter(|_| changes).cloned();
    let response = next.run(req).await;
    let refused = response.extensions().get::<Problem>().is_some_and(Problem::is_for_want_of_rights);
    if let Some(Caller { token: Some(token), operator, .. }) = caller.filter(|_| refused) {
        let operator = operator.and_then(|o| o.parse().ok());
        state.control.suspect(Suspicion::NoRight { operator, token });
    }
    response
}

/// Finds the caller of a request without a token. A cookie that counts no more is as none: the page for signing in must
/// be seen by who has one.
async fn by_cookie(state: &AppState, req: &mut Request, asking: &Asking) -> Result<(), Problem> {
    let Some(secret) = session::token(req.headers()).map(str::to_owned) else { return Ok(()) };
    if state.tokens.stale(now()) {
        refresh_tokens(state).await;
    }
    let Some(caller) = state.tokens.find(&secret, asking, now()) else { return Ok(()) };
    if console::is_api(req.uri().path()) {
        session::must_be_ours(req.method(), req.headers())?;
    }
    tell_uses(state);
    req.extensions_mut().insert(caller);
    req.extensions_mut().insert(ByCookie);
    Ok(())
}

/// Writes when tokens were used, about once a minute. Nobody waits for it, and its loss is no loss.
fn tell_uses(state: &AppState) {
    let uses = state.tokens.uses_to_write(now());
    if !uses.is_empty() {
        let store = state.store.clone();
        tokio::spawn(async move { store.tokens_used(uses).await });
    }
}

/// The peer's address; `None` where the request came by no network.
pub(crate) fn peer_of(req: &Request) -> Option<IpAddr> {
    let info = req.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(info.0.ip().to_canonical())
}

/// Reads the tokens anew; where the database does not answer, those in memory go on.
pub(crate) async fn refresh_tokens(state: &AppState) {
    if let Err(e) = state.tokens.read(&state.store, now()).await {
        tracing::warn!("tokens could not be read anew, those in memory go on: {e}");
    }
    state.reaches.refresh(state, now());
}
