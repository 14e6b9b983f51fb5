//! The person's way to the provider and back, and what a proof opens.
//!
//! What belongs to one way lies sealed in a cookie of the browser that began it, for ten minutes, with the SIM and the app
//! that it was begun for; the state counts once. The provider must vouch for the person whose the SIM is, and say that
//! they proved themselves as it is asked for; then a grant opens this app for this SIM in place of the proof that a
//! rule asks for, and opens nothing else.

use super::{StepUp, Who, Words, standing, words};
use crate::{
    check::rfc3339,
    console::{
        page::Page,
        provider::{Returned, begin_anew, code_of, may_try, sealed, unsealed},
    },
    control::Suspicion,
    problem::{Problem, say},
    provider::{Begun, Person as Vouched, Refusal, plain},
    state::{AppState, now},
};
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use store::Change;
use types::{Grant, Grantee, Imsi, Name, Person, Reason, SimState, Utc};

/// The way out.
pub(super) const OUT: &str = "/prove";
/// The cookie of a way that was begun; by its name bound to this host and to TLS (RFC 6265bis §4.1.3.2).
const COOKIE: &str = "__Host-sekisho_prove";
/// What its content is sealed for.
const PURPOSE: &str = "a proof for a SIM";
/// It counts for so long, milliseconds.
const COUNTS: i64 = 600_000;

/// What the cookie holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    state: String,
    nonce: String,
    verifier: String,
    imsi: Imsi,
    app: Name,
    at: Utc,
}

/// `GET /prove?app=…`: out to the provider.
pub(super) async fn out(
    s: &AppState,
    who: &Who,
    app: Option<Name>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (Some(step_up), Some(app)) = (&s.step_up, app) else { return go("/", None) };
    let there = format!("/?app={app}");
    // Nobody is sent away for what is open, or would stay closed.
    if standing(s, who.imsi, &app).await?.reason != Reason::StepUpNeeded {
        return go(&there, None);
    }
    let at = now();
    may_try(s, Some(who.from), at)?;
    if let Err(refusal) = may_prove(who, at) {
        return refused(s, step_up, who, headers, refusal).await;
    }
    let begun = begin_anew()?;
    let url = match step_up.provider.door(&begun, at).await {
        Ok(url) => url,
        Err(refusal) => return refused(s, step_up, who, headers, refusal).await,
    };
    let Begun { state, nonce, verifier } = begun;
    let kept = Kept { state, nonce, verifier, imsi: who.imsi, app, at };
    go(&url, Some(set(Some(&sealed(s, PURPOSE, &kept)?))?))
}

/// Back from the provider.
pub(super) async fn back(
    s: &AppState,
    who: &Who,
    words: Words,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let Some(step_up) = &s.step_up else { return go("/", None) };
    let at = now();
    may_try(s, Some(who.from), at)?;
    let mut r = match come_back(s, step_up, who, words, headers, at).await {
        Ok(Ok(app)) => go(&format!("/?app={app}"), None)?,
        Ok(Err(refusal)) => refused(s, step_up, who, headers, refusal).await?,
        Err(problem) => return Err(problem),
    };
    r.headers_mut().append(header::SET_COOKIE, set(None)?);
    Ok(r)
}

/// The app that is open now.
async fn come_back(
    s: &AppState,
    step_up: &StepUp,
    who: &Who,
    words: Words,
    headers: &HeaderMap,
    at: Utc,
) -> Result<Result<Name, Refusal>, Problem> {
    let Some(kept) = kept(s, headers, at)? else { return Ok(Err(Refusal::NotBegun)) };
    // The browser may have come to another SIM meanwhile, or another browser have its cookie.
    if kept.imsi != who.imsi {
        return Ok(Err(Refusal::OtherBrowser));
    }
    let Words { code, state, error, iss, .. } = words;
    let said = Returned { code, state, error, iss };
    let begun = Begun { state: kept.state, nonce: kept.nonce, verifier: kept.verifier };
    let code = match code_of(s, &step_up.provider, &begun, said, Utc(at.0 - COUNTS), at).await? {
        Ok(code) => code,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let person = match may_prove(who, at) {
        Ok(person) => person,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let vouched = match step_up.provider.vouch(code, begun, at).await {
        Ok(vouched) => vouched,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if !is(person, &vouched, &step_up.claim) {
        return Ok(Err(Refusal::OtherPerson));
    }
    // Policy and SIM may have changed while somebody was away.
    if standing(s, who.imsi, &kept.app).await?.reason == Reason::StepUpNeeded {
        open(s, step_up, who.imsi, person, &kept.app, &vouched, at).await?;
    }
    step_up.count("proved");
    Ok(Ok(kept.app))
}

/// The person whose the SIM is, where both may be used.
fn may_prove(who: &Who, at: Utc) -> Result<&Person, Refusal> {
    let lives = matches!(who.row.state, SimState::Ready | SimState::Active);
    let person = who.person.as_ref().filter(|p| lives && p.ends_at.is_none_or(|end| at < end));
    person.ok_or(Refusal::NoPerson)
}

/// True where the provider speaks of this person.
fn is(person: &Person, vouched: &Vouched, claim: &str) -> bool {
    let said = |claim: &str| vouched.claims.get(claim).and_then(serde_json::Value::as_str);
    match claim {
        "email" => match (&person.mail, &vouched.email) {
            // An address that somebody only claims to have is none.
            (Some(own), Some((said, verified))) => *verified && own.eq_ignore_ascii_case(said),
            _ => false,
        },
        "sub" => person.external.as_deref() == Some(&vouched.subject),
        other => person.external.is_some() && person.external.as_deref() == said(other),
    }
}

/// Grants the app to the SIM, as a proof.
async fn open(
    s: &AppState,
    step_up: &StepUp,
    imsi: Imsi,
    person: &Person,
    app: &Name,
    vouched: &Vouched,
    at: Utc,
) -> Result<(), Problem> {
    let by = format!("provider {}", step_up.provider.name());
    let how = vouched.acr.iter().chain(&vouched.amr).map(|w| plain(w, 40)).collect::<Vec<_>>().join(" ");
    let until = Utc(at.0 + step_up.counts_ms);
    let grant = Grant {
        id: crate::api::new_id(at),
        to: Grantee::Sim(imsi),
        app: app.clone(),
        reason: format!("proved at {} as {} ({how})", step_up.provider.name(), plain(&vouched.label, 80)),
        requester: format!("person:{}", person.id),
        approver: Some(by.clone()),
        from: at,
        until,
        revoked: None,
        prover: Some(person.id.clone()),
    };
    let change = Change { reason: grant.reason.clone(), ..Change::by_system(&by, at) };
    s.store.create_grant(grant, &change).await?;
    tracing::info!(%imsi, %app, "{} proved themselves for {imsi}: {app} is open until {}", person.id, rfc3339(until));
    if let Err(e) = s.control.policy_changed().await {
        tracing::info!("the proof is stored: {e}");
    }
    Ok(())
}

/// Says why, to the audit, the counters and the person; what was tried counts against the address that it came from.
async fn refused(
    s: &AppState,
    step_up: &StepUp,
    who: &Who,
    headers: &HeaderMap,
    refusal: Refusal,
) -> Result<Response, Problem> {
    let at = now();
    step_up.count(refusal.word());
    if !refusal.is_the_providers() {
        s.guard.failed_at_provider(Some(who.from), at);
    }
    if refusal.is_of_the_person() {
        s.control.suspect(Suspicion::ProofFailed(who.imsi));
    }
    let why = refusal.why().en;
    tracing::warn!(imsi = %who.imsi, "a proof for {} was refused: {why}", who.imsi);
    if refusal.is_told() {
        let by = format!("provider {}", step_up.provider.name());
        let change = Change {
            reason: format!("refused: {why}"),
            origin: who.from.to_string(),
            ..Change::by_system(&by, at)
        };
        s.store.audit_note(&change, "proof.refused", format!("sim:{}", who.imsi), None).await?;
    }
    let title = say!("It was not proved that it is you", "本人確認ができませんでした");
    let problem = refusal.problem(step_up.provider.name());
    let page = Page::new(headers, title).wrong(&problem).link("/", &words::back());
    Ok(page.done())
}

/// What this browser began with; `None` where there is nothing that counts.
fn kept(s: &AppState, headers: &HeaderMap, at: Utc) -> Result<Option<Kept>, Problem> {
    let kept = unsealed::<Kept>(s, headers, COOKIE, PURPOSE)?;
    Ok(kept.filter(|k| (0..COUNTS).contains(&(at.0 - k.at.0))))
}

/// The header that gives a browser this cookie; `None` takes it away.
fn set(value: Option<&str>) -> Result<HeaderValue, Problem> {
    let (value, age) = value.map_or(("", 0), |v| (v, COUNTS / 1000));
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; Secure; SameSite=Lax");
    HeaderValue::from_str(&text).map_err(|_| Problem::internal())
}

fn go(to: &str, cookie: Option<HeaderValue>) -> Result<Response, Problem> {
    let mut r = StatusCode::SEE_OTHER.into_response();
    let to = HeaderValue::from_str(to).map_err(|_| Problem::internal())?;
    r.headers_mut().insert(header::LOCATION, to);
    r.headers_mut().extend(cookie.map(|c| (header::SET_COOKIE, c)));
    Ok(r)
}
