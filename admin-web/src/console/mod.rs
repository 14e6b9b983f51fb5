//! The console in a browser: its files, and the pages before it that need no script (sign-in, first run, a forced change
//! of password, errors). A passkey alone needs one: a file of ours, on a page of its own.
//!
//! The console itself is a client of the API like any other. What is special to a browser is here and in
//! [`session`]: the token lies in a cookie that scripts cannot read, and a change by cookie must come from our own pages.
//! Every answer forbids what it does not need: scripts from elsewhere, inline scripts, frames, requests to any other
//! host.

mod files;
mod first_run;
pub(crate) mod page;
mod passkey;
mod password;
pub(crate) mod provider;
pub(crate) mod session;
mod sign_in;

pub use files::{Console, Standing};
pub use first_run::{FirstRun, LINK_HOURS};

pub(crate) use page::{Made, error};

use crate::{problem::Problem, provider::CALLBACK, state::AppState};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

/// The pages and the files, for what is no route of the API.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route(provider::OUT, get(provider::out))
        .route(CALLBACK, get(provider::back))
        .route(passkey::PAGE, get(passkey::show).post(passkey::submit))
        .route(passkey::SCRIPT, get(passkey::script))
        .route("/password", get(password::show).post(password::submit))
        .route("/first-run", get(first_run::show).post(first_run::submit))
        .fallback(anything_else)
}

/// A file of the console, or the console itself, which knows its own paths.
async fn anything_else(State(s): State<AppState>, req: Request) -> Response {
    let path = req.uri().path();
    if !matches!(*req.method(), Method::GET | Method::HEAD) || is_api(path) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match s.console.file(path, req.headers()) {
        Some(r) => r,
        None if path.starts_with("/assets/") => StatusCode::NOT_FOUND.into_response(),
        None => match nonce() {
            Ok(nonce) => {
                s.console.index(&nonce).unwrap_or_else(|| page::not_built(req.headers(), &s.console))
            }
            Err(p) => p.into_response(),
        },
    }
}

/// True for paths that programs read.
pub(crate) fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// True where a person looks at the answer in a browser.
pub(crate) fn is_for_a_person(path: &str, headers: &HeaderMap) -> bool {
    let html = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    !is_api(path) && html.is_some_and(|a| a.contains("text/html"))
}

/// A word for one answer, which its own styles carry and nobody else's.
fn nonce() -> Result<String, Problem> {
    Ok(types::hex(&crate::state::random::<16>()?))
}

/// What every answer to a browser says of itself.
pub(crate) fn guard(headers: &mut HeaderMap) {
    const SAID: [(&str, &str); 5] = [
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
    ];
    for (name, value) in SAID {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // What says nothing of its own needs nothing.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ));
}

fn policy(r: &mut Response, text: &str) {
    if let Ok(v) = HeaderValue::from_str(text) {
        r.headers_mut().insert(header::CONTENT_SECURITY_POLICY, v);
    }
}
