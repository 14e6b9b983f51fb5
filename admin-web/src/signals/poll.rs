//! Security events that a transmitter is asked for (RFC 8936).
//!
//! What was taken is acknowledged with the next question, and what was refused is told with its reason; a transmitter that
//! does not hear it sends the same again, which is refused as a replay and then acknowledged.

use super::{
    note, open_secret,
    push::{self, Taken},
    set::Refused,
};
use crate::{
    FetchError,
    state::{AppState, now},
};
use axum::http::{HeaderValue, Method, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};
use types::{Name, SignalSource, SsfStream};

/// How long a round rests.
const REST: Duration = Duration::from_secs(15);
/// Most events in one answer.
const AT_ONCE: usize = 50;
/// Most questions of one round, where there are always more.
const QUESTIONS: usize = 20;

/// What a transmitter answers (RFC 8936 §2.5).
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    sets: BTreeMap<String, String>,
    #[serde(default, rename = "moreAvailable")]
    more: bool,
}

/// What we tell with the next question (§2.4).
#[derive(Default)]
struct Told {
    ack: Vec<String>,
    errors: Map<String, Value>,
}

/// Groups of people follow their directory every so many rounds.
const FOLLOWED: u32 = 4;

/// What is done again and again: transmitters that are to be asked are asked, watched rules are counted and come into force
/// at their date, SIMs are put into the groups that directories say.
pub async fn keep_polling(s: AppState) {
    for n in 0_u32.. {
        tokio::time::sleep(REST).await;
        round(&s).await;
        crate::watch::round(&s, now()).await;
        if n.is_multiple_of(FOLLOWED) {
            super::scim::follow(&s).await;
        }
    }
}

/// Asks each transmitter once.
pub async fn round(s: &AppState) {
    let Ok(all) = s.store.signal_sources().await else { return };
    for source in all.into_iter().map(|r| r.source.value) {
        let Some(stream) = source.ssf.clone().filter(|t| t.poll_url.is_some()) else { continue };
        if let Err(e) = drain(s, &source, &stream).await {
            let words = format!("it does not answer: {}", crate::provider::plain(&e.0, 200));
            tracing::warn!(source = %source.name, "the transmitter {} cannot be asked: {e}", source.name);
            note(s, Some(&source.name), Err(("no-answer", &words))).await;
        }
    }
}

async fn drain(s: &AppState, source: &SignalSource, stream: &SsfStream) -> Result<(), FetchError> {
    let mut told = Told::default();
    for _ in 0..QUESTIONS {
        let answer = question(s, &source.name, stream, &told, AT_ONCE).await?;
        told = Told::default();
        let none = answer.sets.is_empty();
        for (id, token) in answer.sets.into_iter().take(AT_ONCE) {
            let taken = push::one(s, source, stream, &token, now()).await;
            match taken.map_err(|_| FetchError("what it sent could not be stored".to_owned()))? {
                Taken::Done | Taken::Refused(Refused::Replayed) => told.ack.push(id),
                Taken::Refused(r) => {
                    let why = json!({ "err": r.code(), "description": r.words() });
                    told.errors.insert(id, why);
                }
                Taken::Later => {}
            }
        }
        if none {
            // It was heard, and has nothing to say: the stream lives.
            note(s, Some(&source.name), Ok(())).await;
        }
        if !answer.more {
            break;
        }
    }
    if told.ack.is_empty() && told.errors.is_empty() {
        return Ok(());
    }
    // §2.4: a question that asks for nothing acknowledges.
    question(s, &source.name, stream, &told, 0).await.map(drop)
}

async fn question(
    s: &AppState,
    name: &Name,
    stream: &SsfStream,
    told: &Told,
    most: usize,
) -> Result<Answer, FetchError> {
    let mut body = json!({ "maxEvents": most, "returnImmediately": true });
    if let Some(o) = body.as_object_mut() {
        if !told.ack.is_empty() {
            o.insert("ack".to_owned(), json!(told.ack));
        }
        if !told.errors.is_empty() {
            o.insert("setErrs".to_owned(), json!(told.errors));
        }
    }
    let mut request = axum::http::Request::builder()
        .method(Method::POST)
        .uri(stream.poll_url.as_deref().unwrap_or_default())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json");
    let secret = open_secret(s, name).await.map_err(|_| FetchError("its token cannot be read".to_owned()))?;
    if let Some(secret) = secret {
        let text = zeroize::Zeroizing::new([b"Bearer ".as_slice(), &secret].concat());
        let mut value = HeaderValue::from_bytes(&text).map_err(|e| FetchError(e.to_string()))?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request.body(body.to_string().into_bytes()).map_err(|e| FetchError(e.to_string()))?;
    let answer = push::ask(s, request).await?;
    if answer.body().is_empty() {
        return Ok(Answer { sets: BTreeMap::new(), more: false });
    }
    serde_json::from_slice(answer.body()).map_err(|_| FetchError("its answer cannot be read".to_owned()))
}
