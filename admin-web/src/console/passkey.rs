//! Signing in by a passkey: a page with the one script that this needs, from ourselves. Reached by another name than the
//! one that passkeys are bound to, it says why it cannot be done there.

use super::{
    page::Page,
    provider::encoded,
    session,
    sign_in::{go, let_in},
};
use crate::{
    api::{admit_by_passkey, must_wait, named_passkey},
    passkeys::For,
    problem::{Problem, say},
    rights::Asking,
    state::{AppState, now},
};
use axum::{
    Extension, Form,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::Value;

/// The page.
pub(super) const PAGE: &str = "/sign-in/passkey";
/// Its script.
pub(super) const SCRIPT: &str = "/sign-in/passkey.js";

/// Where to go behind it.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Given {
    state: String,
    credential: String,
    #[serde(default)]
    next: String,
}

/// The way to the page, to go to a path of ours behind it.
pub(super) fn way(next: &str) -> String {
    format!("{PAGE}?next={}", encoded(next))
}

/// `GET /sign-in/passkey.js`.
pub(super) async fn script() -> Response {
    let mut r = include_str!("passkey.js").into_response();
    r.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    r
}

/// `GET /sign-in/passkey`.
pub(super) async fn show(
    State(s): State<AppState>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    page(&s, &headers, &asked.next, None)
}

fn page(s: &AppState, headers: &HeaderMap, next: &str, wrong: Option<&Problem>) -> Result<Response, Problem> {
    let Some(passkeys) = &s.passkeys else { return Ok(go("/sign-in")) };
    let mut page = Page::new(headers, say!("Sign in by passkey", "パスキーでサインイン"));
    if let Some(p) = wrong {
        page = page.wrong(p);
    }
    let host = passkeys.host();
    let here = headers.get(header::HOST).and_then(|v| v.to_str().ok()).map(without_port);
    if here != Some(host) {
        return Ok(page
            .say(&say!(
                "Passkeys are bound to the name {host}. This page was reached by another name or by an IP address, so the browser would refuse. Open it at {host}, or sign in with name and password.",
                "パスキーはホスト名 {host} に紐付いています。このページは別の名前または IP アドレスで開かれているため、ブラウザーが拒否します。{host} で開くか、名前とパスワードでサインインしてください。"
            ))
            .link("/sign-in", &say!("With name and password", "名前とパスワードでサインイン"))
            .done());
    }
    let asked = passkeys.sign_in(s)?;
    Ok(page
        .say(&say!(
            "Your device asks for a fingerprint, a face or a PIN: that takes the place of password and code.",
            "指紋・顔・PIN などによる端末の本人確認で、パスワードと認証コードの代わりになります。"
        ))
        .asking(
            PAGE,
            &asked.options.to_string(),
            &[("state", &asked.state), ("next", next), ("credential", "")],
            &say!(
                "This browser did not get a passkey from the device. Try again, or sign in with name and password.",
                "端末からパスキーを取得できませんでした。再試行するか、名前とパスワードでサインインしてください。"
            ),
            &say!("Use a passkey", "パスキーを使う"),
            SCRIPT,
        )
        .link("/sign-in", &say!("With name and password", "名前とパスワードでサインイン"))
        .done())
}

/// A Host header's name.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// `POST /sign-in/passkey`.
pub(super) async fn submit(
    State(s): State<AppState>,
    Extension(asking): Extension<Asking>,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Result<Response, Problem> {
    session::form_is_ours(&headers)?;
    let Some(passkeys) = &s.passkeys else { return Ok(go("/sign-in")) };
    let answer: Value = serde_json::from_str(&given.credential).unwrap_or_default();
    let row = named_passkey(&s, &answer).await?;
    // Without a name there is one for all of them: what is guessed at is not a name.
    let who = row.as_ref().map_or("a passkey", |r| r.operator.as_str()).to_owned();
    if let Some(ms) = s.guard.wait(&who, asking.peer, now()) {
        return page(&s, &headers, &given.next, Some(&must_wait(ms)));
    }
    let challenge = passkeys.taken(&s, For::SigningIn, &given.state).await?;
    let proven = challenge.zip(row).and_then(|(c, row)| {
        let credential = passkeys.proven(&c, &answer, &row.credential)?;
        Some(store::PasskeyRow { credential, ..row })
    });
    match admit_by_passkey(&s, &asking, &who, proven).await {
        Ok(made) => Ok(let_in(&made, &given.next)),
        Err(p) => page(&s, &headers, &given.next, Some(&p)),
    }
}
