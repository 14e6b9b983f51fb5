//! Signing in by the identity provider, as a browser sees it: a way out to the provider, and the way back.
//!
//! What belongs to one sign-in (state, nonce, PKCE's verifier, where to go behind it) lies sealed in a cookie of the
//! browser that began it, for ten minutes; the state counts once, on every node of one store. So a link with somebody
//! else's code signs nobody in, and no list of begun sign-ins can be filled from outside.

use super::{
    page::Page,
    session,
    sign_in::{go, inside, signed_in},
};
use crate::{
    api::{IDLE, WHOLE},
    layers::refresh_tokens,
    problem::{Problem, cookie, say},
    provider::{Admitted, Begun, Person, Provider, Refusal, plain},
    rights::{Asking, Caller},
    seal,
    state::{AppState, now, random},
    token::new_token,
};
use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use std::{net::IpAddr, sync::Arc};
use store::Change;
use types::{Key256, Utc, hex};
use zeroize::Zeroizing;

/// The way out; the way back lies below it.
pub(crate) const OUT: &str = "/sign-in/provider";
/// The way out, to come back behind it to a path of ours.
pub(super) fn way_out(next: &str) -> String {
    format!("{OUT}?next={}", encoded(next))
}

/// As it stands in a query.
pub(super) fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric().then(|| char::from(b).to_string());
    text.bytes().map(|b| plain(b).unwrap_or_else(|| format!("%{b:02X}"))).collect()
}

/// The cookie of a sign-in that was begun.
const COOKIE: &str = "sekisho_begun";
/// What its content is sealed for.
const PURPOSE: &str = "sign-in by a provider";
/// It counts for so long, milliseconds.
const COUNTS: i64 = 600_000;
/// A longer path is not gone to.
const LONGEST_PATH: usize = 1024;

/// What the cookie holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    at: Utc,
}

/// Where to go behind it.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

/// What the provider sends back (OpenID Connect Core 1.0 §3.1.2.5 and §3.1.2.6, RFC 9207).
#[derive(Default, Deserialize)]
pub(crate) struct Returned {
    pub(crate) code: Option<String>,
    #[serde(default)]
    pub(crate) state: String,
    pub(crate) error: Option<String>,
    pub(crate) iss: Option<String>,
}

/// State, nonce and verifier of a way to the provider.
pub(crate) fn begin_anew() -> Result<Begun, Problem> {
    // RFC 7636 §4.1: a verifier has 43 to 128 characters.
    let word = || Ok::<_, Problem>(hex(&random::<32>()?));
    Ok(Begun { state: word()?, nonce: word()?, verifier: word()? })
}

/// The code that somebody came back with, held against what was begun. The state counts once; those from before `since`
/// are forgotten.
pub(crate) async fn code_of(
    s: &AppState,
    provider: &Provider,
    begun: &Begun,
    said: Returned,
    since: Utc,
    now: Utc,
) -> Result<Result<String, Refusal>, store::StoreError> {
    if digest(&begun.state) != digest(&said.state) {
        return Ok(Err(Refusal::OtherBrowser));
    }
    if !s.store.use_provider_state(digest(&begun.state), now, since).await? {
        return Ok(Err(Refusal::Used));
    }
    if said.iss.is_some_and(|iss| iss != provider.issuer()) {
        return Ok(Err(Refusal::Issuer));
    }
    Ok(match (said.error, said.code) {
        (Some(error), _) => Err(Refusal::Denied(plain(&error, 40))),
        (None, Some(code)) if !code.is_empty() => Ok(code),
        (None, _) => Err(Refusal::Malformed),
    })
}

/// Why nobody was let in.
enum Stop {
    Refused(Refusal, Option<Box<Person>>),
    Failed(Problem),
}

impl From<Problem> for Stop {
    fn from(p: Problem) -> Self {
        Self::Failed(p)
    }
}

impl From<store::StoreError> for Stop {
    fn from(e: store::StoreError) -> Self {
        Self::Failed(e.into())
    }
}

impl From<Refusal> for Stop {
    fn from(r: Refusal) -> Self {
        Self::Refused(r, None)
    }
}

/// `GET /sign-in/provider`: out to the provider.
pub(super) async fn out(
    State(s): State<AppState>,
    Extension(asking): Extension<Asking>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let Some(provider) = &s.provider else { return Ok(go("/sign-in")) };
    if session::is_foreign(&headers) {
        // Another site's link begins nothing: the person is shown where he is first.
        return Ok(go("/sign-in"));
    }
    let begun = begin(&s, provider, &asking, &asked.next).await;
    match begun {
        Ok((url, cookie)) => {
            let mut r = go(&url);
            r.headers_mut().insert(header::SET_COOKIE, cookie);
            Ok(r)
        }
        Err(stop) => stopped(&s, provider, &asking, &headers, stop).await,
    }
}

/// The provider's address for this sign-in, and the cookie of the browser that begins it.
async fn begin(
    s: &AppState,
    provider: &Arc<Provider>,
    asking: &Asking,
    next: &str,
) -> Result<(String, HeaderValue), Stop> {
    let now = now();
    may_try(s, asking.peer, now)?;
    let begun = begin_anew()?;
    let url = provider.door(&begun, now).await?;
    let next = if next.len() <= LONGEST_PATH { inside(next) } else { "/" };
    let kept = Kept {
        state: begun.state,
        nonce: begun.nonce,
        verifier: begun.verifier,
        next: next.to_owned(),
        at: now,
    };
    Ok((url, set(Some(&sealed(s, PURPOSE, &kept)?))?))
}

/// What a browser keeps while its owner is at the provider, sealed for one purpose.
pub(crate) fn sealed(s: &AppState, purpose: &str, kept: &impl Serialize) -> Result<String, Problem> {
    let text = serde_json::to_vec(kept).map(Zeroizing::new).map_err(|_| Problem::internal())?;
    let sealed = seal::seal(key(s)?, purpose, random()?, &text).ok_or_else(Problem::internal)?;
    Ok(BASE64URL_NOPAD.encode(&sealed))
}

/// The same, opened; `None` where this browser has nothing that was sealed for this purpose.
pub(crate) fn unsealed<T: DeserializeOwned>(
    s: &AppState,
    headers: &HeaderMap,
    name: &str,
    purpose: &str,
) -> Result<Option<T>, Problem> {
    let Some(text) = cookie(headers, name) else { return Ok(None) };
    let sealed = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default();
    Ok(seal::open(key(s)?, purpose, &sealed).and_then(|o| serde_json::from_slice(&o).ok()))
}

/// `GET /sign-in/provider/callback`: back from the provider.
pub(super) async fn back(
    State(s): State<AppState>,
    Extension(asking): Extension<Asking>,
    headers: HeaderMap,
    Query(said): Query<Returned>,
) -> Result<Response, Problem> {
    let Some(provider) = &s.provider else { return Ok(go("/sign-in")) };
    let done = come_back(&s, provider, &asking, &headers, said).await;
    let mut r = match done {
        Ok((token, next)) => signed_in(&token, &next),
        Err(stop) => stopped(&s, provider, &asking, &headers, stop).await?,
    };
    r.headers_mut().append(header::SET_COOKIE, set(None)?);
    Ok(r)
}

/// The token, and where to go.
async fn come_back(
    s: &AppState,
    provider: &Arc<Provider>,
    asking: &Asking,
    headers: &HeaderMap,
    said: Returned,
) -> Result<(String, String), Stop> {
    let now = now();
    may_try(s, asking.peer, now)?;
    let kept = kept(s, headers, now)?.ok_or(Refusal::NotBegun)?;
    let begun = Begun { state: kept.state, nonce: kept.nonce, verifier: kept.verifier };
    let code = code_of(s, provider, &begun, said, Utc(now.0 - COUNTS), now).await??;
    let admitted =
        provider.admit(code, begun, now).await.map_err(|(refusal, who)| Stop::Refused(refusal, who))?;
    let token = store_token(s, asking, provider, admitted, now).await?;
    Ok((token, kept.next))
}

/// Makes the token of somebody who is let in.
async fn store_token(
    s: &AppState,
    asking: &Asking,
    provider: &Provider,
    who: Admitted,
    now: Utc,
) -> Result<String, Stop> {
    let expires = Utc(now.0 + provider.session_ms().min(WHOLE));
    let (secret, mut token) = new_token(random()?, &who.label, &[], Some(expires), "", now);
    token.grants = who.grants;
    token.idle_ms = Some(IDLE);
    token.by_provider = Some(who.by);
    let actor = Caller::new(&token, Arc::default(), asking).actor();
    token.created_by.clone_from(&actor);
    let change = Change { actor, ..change(asking, "", now) };
    s.store.sign_in_by_provider(token, &change).await?;
    refresh_tokens(s).await;
    Ok(secret.expose().to_owned())
}

fn change(asking: &Asking, reason: &str, now: Utc) -> Change {
    Change {
        reason: reason.to_owned(),
        request_id: asking.request_id.clone(),
        origin: asking.origin(),
        ..Change::by_system("sign-in", now)
    }
}

/// Refused for a while, where this address has failed too often.
pub(crate) fn may_try(s: &AppState, peer: Option<IpAddr>, now: Utc) -> Result<(), Problem> {
    match s.guard.wait_at_provider(peer, now) {
        Some(ms) => Err(crate::api::must_wait(ms)),
        None => Ok(()),
    }
}

/// Says why, to the audit and to the person; what was tried counts against the address that it came from.
async fn stopped(
    s: &AppState,
    provider: &Provider,
    asking: &Asking,
    headers: &HeaderMap,
    stop: Stop,
) -> Result<Response, Problem> {
    let problem = match stop {
        Stop::Failed(p) => p,
        Stop::Refused(refusal, who) => {
            let now = now();
            if !refusal.is_the_providers() {
                s.guard.failed_at_provider(asking.peer, now);
            }
            if refusal.is_told() {
                let why = refusal.why().en;
                let change = change(asking, &format!("refused: {why}"), now);
                tracing::warn!(origin = %change.origin, "a sign-in by the provider was refused from {}: {why}", change.origin);
                let subject = who.as_ref().map_or("?", |p| p.subject.as_str());
                let detail = who
                    .as_ref()
                    .map(|p| serde_json::json!({ "label": p.label, "provider": provider.name() }));
                s.store
                    .audit_note(&change, "operator.sign-in-refused", format!("provider:{subject}"), detail)
                    .await?;
            }
            refusal.problem(provider.name())
        }
    };
    let title = say!("Sign in", "サインイン");
    Ok(Page::new(headers, title)
        .wrong(&problem)
        .link("/sign-in", &say!("To the sign-in page", "サインイン画面へ"))
        .done())
}

/// What this browser began with; `None` where there is nothing that counts.
fn kept(s: &AppState, headers: &HeaderMap, now: Utc) -> Result<Option<Kept>, Problem> {
    let kept = unsealed::<Kept>(s, headers, COOKIE, PURPOSE)?;
    Ok(kept.filter(|k| (0..COUNTS).contains(&(now.0 - k.at.0))))
}

/// The header that gives a browser this cookie; `None` takes it away. The way back is a link of another site's, so
/// `Strict` would keep it from us.
fn set(value: Option<&str>) -> Result<HeaderValue, Problem> {
    let (value, age) = value.map_or(("", 0), |v| (v, COUNTS / 1000));
    let text = format!("{COOKIE}={value}; Path={OUT}; Max-Age={age}; HttpOnly; Secure; SameSite=Lax");
    HeaderValue::from_str(&text).map_err(|_| Problem::internal())
}

fn key(s: &AppState) -> Result<&Key256, Problem> {
    s.secrets.as_deref().ok_or_else(Problem::internal)
}

fn digest(state: &str) -> String {
    let d: [u8; 32] = Sha256::digest(state.as_bytes()).into();
    hex(&d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::World;

    #[tokio::test]
    async fn what_a_browser_began_with_counts_ten_minutes_and_only_as_it_was_sealed() {
        let s = World::new().await.state;
        let at = Utc(1_800_000_000_000);
        let text = |n: &str| n.to_owned();
        let kept_at = Kept { state: text("s"), nonce: text("n"), verifier: text("v"), next: text("/"), at };
        let text = serde_json::to_vec(&kept_at).unwrap();
        let cookie_of = |purpose: &str| {
            let sealed = seal::seal(s.secrets.as_deref().unwrap(), purpose, [1; 12], &text).unwrap();
            let mut headers = HeaderMap::new();
            let value = format!("{COOKIE}={}", BASE64URL_NOPAD.encode(&sealed));
            headers.insert(header::COOKIE, HeaderValue::from_str(&value).unwrap());
            headers
        };
        let counts =
            |headers: &HeaderMap, ms: i64| kept(&s, headers, Utc(at.0 + ms)).ok().flatten().is_some();
        let ours = cookie_of(PURPOSE);
        assert!(counts(&ours, 0) && counts(&ours, COUNTS - 1));
        assert!(!counts(&ours, COUNTS) && !counts(&ours, -1));
        assert!(!counts(&cookie_of("hanako"), 0), "an operator's second factor is none");
        assert!(!counts(&HeaderMap::new(), 0));
        assert!(set(Some(&"A".repeat(3_500))).unwrap().len() < 4_096, "browsers keep so much");
    }
}
