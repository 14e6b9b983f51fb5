//! Security events that a transmitter pushes (RFC 8935), and how one is taken however it came.

use super::{
    Stream, events, note, own_words,
    set::{self, LONGEST, OLDEST, Refused, Set},
};
use crate::{
    FetchError,
    problem::Problem,
    request::PathOf,
    state::{AppState, now},
};
use axum::{
    Json,
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use openidconnect::{HttpRequest, core::CoreJsonWebKeySet};
use serde_json::json;
use std::sync::Arc;
use store::StoreError;
use types::{Name, SignalSource, SsfStream, Utc};

/// Keys are read anew after so long, milliseconds.
const FRESH: i64 = 3_600_000;
/// Because of a key that is not known they are read at most so often, milliseconds.
const KEYS_APART: i64 = 15_000;

/// What became of a token.
pub(super) enum Taken {
    /// It had its effect, or asks for none here.
    Done,
    /// It is refused.
    Refused(Refused),
    /// It could not be taken now; it may come again.
    Later,
}

/// A transmitter pushes an event.
pub(super) async fn take(
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let source = match s.store.signal_source(&name).await {
        Ok(row) => row.source.value,
        Err(StoreError::NotFound) => {
            note(&s, None, Err(("unknown-source", ""))).await;
            return Ok(says("access_denied", "there is no stream here"));
        }
        Err(e) => return Err(e.into()),
    };
    let Some(stream) = source.ssf.clone().filter(|t| t.poll_url.is_none()) else {
        note(&s, None, Err(("unknown-source", ""))).await;
        return Ok(says("access_denied", "there is no stream here"));
    };
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let octets = to_bytes(body, LONGEST).await.ok();
    let token = octets.as_deref().and_then(|o| std::str::from_utf8(o).ok()).map(str::trim);
    let taken = match token.filter(|_| essence == "application/secevent+jwt") {
        Some(token) => one(&s, &source, &stream, token, now()).await?,
        None => {
            let r = Refused::Malformed;
            note(&s, Some(&name), Err((r.word(), r.words()))).await;
            Taken::Refused(r)
        }
    };
    Ok(match taken {
        Taken::Done => StatusCode::ACCEPTED.into_response(),
        Taken::Refused(r) => says(r.code(), r.words()),
        Taken::Later => Problem::unavailable(crate::problem::say!(
            "the transmitter's keys could not be read",
            "送信元の公開鍵を取得できませんでした"
        ))
        .into_response(),
    })
}

/// RFC 8935 §2.4.
fn says(err: &str, description: &str) -> Response {
    let body = Json(json!({ "err": err, "description": description }));
    own_words((StatusCode::BAD_REQUEST, [(header::CONTENT_LANGUAGE, "en")], body).into_response())
}

/// Takes one token of a source: judged, had its effect, remembered. What it has done is the same if it is done twice, so a
/// token whose effect may not have become durable is not remembered and may come again.
pub(super) async fn one(
    s: &AppState,
    source: &SignalSource,
    stream: &SsfStream,
    token: &str,
    now: Utc,
) -> Result<Taken, Problem> {
    let judged = match keys_of(s, &source.name, stream, now, false).await {
        Err(_) => None,
        Ok(keys) => Some(match set::judge(token, stream, &keys, now) {
            // The transmitter may have new keys.
            Err(Refused::UnknownKey | Refused::Signature) if may_ask_again(s, &source.name, now) => {
                let keys = keys_of(s, &source.name, stream, now, true).await.unwrap_or(keys);
                set::judge(token, stream, &keys, now)
            }
            other => other,
        }),
    };
    let refused = match judged {
        None => {
            note(s, Some(&source.name), Err(("no-keys", "the transmitter's keys could not be read"))).await;
            return Ok(Taken::Later);
        }
        Some(Ok(set)) => match finish(s, source, stream, &set, now).await? {
            Ok(()) => {
                note(s, Some(&source.name), Ok(())).await;
                return Ok(Taken::Done);
            }
            Err(r) => r,
        },
        Some(Err(r)) => r,
    };
    tracing::info!(source = %source.name, why = refused.word(), "{} of {} is refused", refused.words(), source.name);
    note(s, Some(&source.name), Err((refused.word(), refused.words()))).await;
    Ok(Taken::Refused(refused))
}

async fn finish(
    s: &AppState,
    source: &SignalSource,
    stream: &SsfStream,
    set: &Set,
    now: Utc,
) -> Result<Result<(), Refused>, Problem> {
    if s.store.was_taken(&source.name, &set.jti).await? {
        return Ok(Err(Refused::Replayed));
    }
    events::apply(s, source, stream, set, now).await?;
    let until = Utc(set.iat.0 + OLDEST + 1000);
    let first = s.store.take_word_once(&source.name, &set.jti, until, now).await?;
    Ok(if first { Ok(()) } else { Err(Refused::Replayed) })
}

fn may_ask_again(s: &AppState, name: &Name, now: Utc) -> bool {
    s.signals.lock().keys.get(name).is_some_and(|(_, at)| (now.0 - at.0).abs() >= KEYS_APART)
}

/// The keys of a transmitter: those that are written down, else what it says, read seldom.
async fn keys_of(
    s: &AppState,
    name: &Name,
    stream: &SsfStream,
    now: Utc,
    anew: bool,
) -> Result<Arc<CoreJsonWebKeySet>, FetchError> {
    if let Some(keys) = Stream::written_keys(stream) {
        return Ok(Arc::new(keys));
    }
    let kept = s.signals.lock().keys.get(name).cloned();
    if let Some((keys, at)) = kept
        && !anew
        && (now.0 - at.0).abs() < FRESH
    {
        return Ok(keys);
    }
    let uri = stream.jwks_uri.clone().ok_or_else(|| FetchError("it has no keys".to_owned()))?;
    let request = axum::http::Request::builder()
        .uri(uri)
        .header(header::ACCEPT, "application/json")
        .body(Vec::new())
        .map_err(|e| FetchError(e.to_string()))?;
    let answer = ask(s, request).await?;
    let text = std::str::from_utf8(answer.body()).unwrap_or_default();
    let keys = Arc::new(Stream::check_keys(text).map_err(FetchError)?);
    s.signals.lock().keys.insert(name.clone(), (Arc::clone(&keys), now));
    Ok(keys)
}

/// Asks somebody, on a thread that may wait.
pub(super) async fn ask(
    s: &AppState,
    request: HttpRequest,
) -> Result<openidconnect::HttpResponse, FetchError> {
    let signals = Arc::clone(&s.signals);
    let asked = tokio::task::spawn_blocking(move || match &signals.fetch {
        Some(fetch) => fetch.fetch(request),
        None => Err(FetchError("nobody is asked from here".to_owned())),
    });
    let answer = asked.await.unwrap_or_else(|e| Err(FetchError(e.to_string())))?;
    if answer.status().is_success() {
        Ok(answer)
    } else {
        Err(FetchError(format!("it answers {}", answer.status())))
    }
}
