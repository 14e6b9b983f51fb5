//! Sign-in and sign-out of local operators, and what somebody who signed in does for himself: sign-ins, password, second
//! factor. Who came by the provider has neither of the last two here.
//!
//! A refusal tells nothing: an unknown name, a wrong password, a wrong or used code and a disabled operator get the
//! same answer after the same work. Passwords never pass the idempotency layer, which keeps a digest of a body.

use crate::{
    api::{
        documents::stamped,
        operators::{GrantBody, operator, write},
        sim_bodies::Secret,
    },
    check::{Check, rfc3339},
    console::session::{self, ByCookie},
    layers::refresh_tokens,
    password::weakness,
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, PathOf},
    rights::{Asking, Caller, SignedIn, Who},
    state::{AppState, now, random},
    token::new_token,
    totp,
};
use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Change, Grant, OperatorEdit, OperatorRow, PasskeyRow, StoreError, TokenRow};
use types::{Name, Utc};
use utoipa::ToSchema;

/// A sign-in ends when it was not used for so long, milliseconds.
pub(crate) const IDLE: i64 = 30 * 60_000;
/// It ends after so long whatever was done, milliseconds.
pub(crate) const WHOLE: i64 = 12 * 3_600_000;

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    pub(crate) name: String,
    #[schema(value_type = String, write_only)]
    pub(crate) password: Secret,
    /// The code of the second factor, where one is set up.
    #[schema(value_type = Option<String>, write_only)]
    pub(crate) code: Option<Secret>,
}

/// A sign-in that was let in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub(crate) struct SignedInView {
    /// The bearer token for the requests that follow.
    pub(crate) token: String,
    /// It ends at this time whatever is done.
    expires: String,
    /// It ends before that when it was not used for so long.
    idle_minutes: i64,
    /// True where the password is one that was made for him: this token is good for PUT /api/v1/me/password alone.
    pub(crate) password_must_change: bool,
}

/// Signs an operator in. The answer holds a token that is bound to him and ends by itself.
#[utoipa::path(post, path = "/api/v1/sign-in", tag = "operators", request_body = SignIn,
    responses((status = 200, body = SignedInView)))]
pub(crate) async fn sign_in(
    State(s): State<AppState>,
    Extension(asking): Extension<Asking>,
    Body(body): Body<SignIn>,
) -> Result<Response, Problem> {
    Ok(Json(admit(&s, &asking, body).await?).into_response())
}

/// A sign-in, whichever way it came.
pub(crate) async fn admit(s: &AppState, asking: &Asking, body: SignIn) -> Result<SignedInView, Problem> {
    let now = now();
    if let Some(ms) = s.guard.wait(&body.name, asking.peer, now) {
        return Err(wait(ms));
    }
    let name: Option<Name> = body.name.parse().ok();
    let row = match &name {
        Some(n) => match s.store.operator(n).await {
            Ok(row) => Some(row),
            Err(StoreError::NotFound) => None,
            Err(e) => return Err(e.into()),
        },
        None => None,
    };
    match proven(s, row, &body, asking, now).await? {
        Some(view) => {
            s.guard.succeeded(&body.name, asking.peer);
            Ok(view)
        }
        None => {
            let waits = s.guard.failed(&body.name, asking.peer, now);
            note_refusal(s, name.as_ref(), asking, waits, now).await?;
            Err(refused())
        }
    }
}

/// The token, where name, password and code are right. Every way to `None` does the same work.
async fn proven(
    s: &AppState,
    row: Option<OperatorRow>,
    body: &SignIn,
    asking: &Asking,
    now: Utc,
) -> Result<Option<SignedInView>, Problem> {
    let hash = row.as_ref().map(|r| r.password.clone());
    let right = s.passwords.check(body.password.copied(), hash).await?;
    let Some(row) = row.filter(|r| right && r.disabled.is_none()) else { return Ok(None) };
    let step = match &row.totp {
        None => None,
        Some(sealed) => {
            let secret = open(s, &row, sealed)?;
            let code = body.code.as_ref().map(Secret::copied);
            match code.and_then(|c| secret.accepts(&c, row.totp_step, now)) {
                Some(step) => Some(step),
                None => return Ok(None),
            }
        }
    };
    let (name, seen) = (row.name.clone(), row.version);
    let (view, token, change) = admitted(row, asking, now)?;
    match s.store.sign_in(name, seen, step, token, &change).await {
        // The code was used, or the operator was changed, while the password was checked.
        Err(StoreError::NotFound) => return Ok(None),
        r => r?,
    }
    refresh_tokens(s).await;
    Ok(Some(view))
}

/// The token of an operator who proved who he is, and what is said of it.
fn admitted(
    row: OperatorRow,
    asking: &Asking,
    now: Utc,
) -> Result<(SignedInView, TokenRow, Change), Problem> {
    let expires = Utc(now.0 + WHOLE);
    let actor = format!("operator:{}", row.name);
    let (secret, mut token) = new_token(random()?, &row.display, &[], Some(expires), &actor, now);
    let must_change = row.must_change;
    // Who has a password that somebody else set may choose his own, and nothing else.
    token.grants = if must_change { Vec::new() } else { row.grants };
    token.operator = Some(row.name.to_string());
    token.idle_ms = Some(IDLE);
    let change = Change {
        actor,
        at: now,
        request_id: asking.request_id.clone(),
        origin: asking.origin(),
        ..Change::by_system("", now)
    };
    let view = SignedInView {
        token: secret.expose().to_owned(),
        expires: rfc3339(expires),
        idle_minutes: IDLE / 60_000,
        password_must_change: must_change,
    };
    Ok((view, token, change))
}

/// A sign-in by a passkey that proved itself; `None` did not. `who` is whom it was tried for.
pub(crate) async fn admit_by_passkey(
    s: &AppState,
    asking: &Asking,
    who: &str,
    proven: Option<PasskeyRow>,
) -> Result<SignedInView, Problem> {
    let now = now();
    if let Some(passkey) = proven {
        let row = operator(s, &passkey.operator).await?;
        if row.disabled.is_none() {
            let seen = row.version;
            let (view, token, change) = admitted(row, asking, now)?;
            match s.store.sign_in_by_passkey(passkey, seen, token, &change).await {
                Ok(()) => {
                    s.guard.succeeded(who, asking.peer);
                    refresh_tokens(s).await;
                    return Ok(view);
                }
                Err(StoreError::NotFound) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    let waits = s.guard.failed(who, asking.peer, now);
    note_refusal(s, who.parse().ok().as_ref(), asking, waits, now).await?;
    Err(Problem::new(401, "sign-in-refused", say!("Sign-in refused", "サインインできません"))
        .detail(say!(
            "this passkey is not known here, did not check that it is you, or its operator may not sign in",
            "このパスキーは登録されていないか、本人確認が行われていないか、サインインが許可されていません"
        ))
        .fix(say!(
            "try again, or sign in with name and password",
            "再試行するか、名前とパスワードでサインインしてください"
        )))
}

/// A refusal goes into the audit. Something that cannot be a name is not repeated there: it may be a password that
/// slipped into the wrong field.
async fn note_refusal(
    s: &AppState,
    name: Option<&Name>,
    asking: &Asking,
    waits: bool,
    now: Utc,
) -> Result<(), Problem> {
    let change = Change {
        reason: if waits {
            "refused; this name must wait from here".to_owned()
        } else {
            "refused".to_owned()
        },
        request_id: asking.request_id.clone(),
        origin: asking.origin(),
        ..Change::by_system("sign-in", now)
    };
    let object = name.map_or_else(|| "operator:?".to_owned(), |n| format!("operator:{n}"));
    tracing::warn!(origin = %change.origin, "a sign-in was refused from {}", change.origin);
    s.store.audit_note(&change, "operator.sign-in-refused", object, None).await.map_err(Problem::from)
}

fn refused() -> Problem {
    Problem::new(401, "sign-in-refused", say!("Sign-in refused", "サインインできません"))
        .detail(say!(
            "name, password or code is not right, or this operator may not sign in",
            "名前・パスワード・コードのいずれかが正しくないか、サインインが許可されていません"
        ))
        .fix(say!(
            "with a second factor send its current code; each code is taken once",
            "二要素認証を設定している場合は現在のコードも送ってください。コードは一度しか使えません"
        ))
}

pub(crate) fn wait(ms: i64) -> Problem {
    let seconds = (ms + 999) / 1000;
    Problem::new(429, "sign-in-wait", say!("Too many failures", "失敗回数が多すぎます"))
        .detail(say!(
            "sign-in from this address waits {seconds} s",
            "このアドレスからのサインインは {seconds} 秒待ってください"
        ))
        .fix(say!("wait, then try again", "時間をおいて再試行してください"))
        .with("retry_after", serde_json::json!(seconds))
}

fn open(s: &AppState, row: &OperatorRow, sealed: &[u8]) -> Result<totp::Secret, Problem> {
    totp::Secret::open(sealed, key(s)?, row.name.as_str()).ok_or_else(|| {
        tracing::error!(operator = %row.name, "the second factor of {} does not open with this node's key", row.name);
        Problem::internal()
    })
}

fn key(s: &AppState) -> Result<&types::Key256, Problem> {
    s.secrets.as_deref().ok_or_else(|| {
        tracing::error!("there is no key that seals second factors");
        Problem::internal()
    })
}

/// Signs out: the token counts no more from this answer on.
#[utoipa::path(post, path = "/api/v1/sign-out", tag = "operators", params(IdempotencyKey),
    security(("token" = [])), responses((status = 204, description = "Signed out")))]
pub(crate) async fn sign_out(
    right: SignedIn,
    State(s): State<AppState>,
    by_cookie: Option<Extension<ByCookie>>,
) -> Result<Response, Problem> {
    let caller = right.caller();
    let token = caller.token.clone().unwrap_or_default();
    match s.store.revoke_token(token, &caller.change("sign-out", now())).await {
        Err(StoreError::Conflict { .. }) => {}
        r => r?,
    }
    refresh_tokens(&s).await;
    let mut r = StatusCode::NO_CONTENT.into_response();
    if let Some(v) = by_cookie.and_then(|_| session::set(None)) {
        r.headers_mut().insert(header::SET_COOKIE, v);
    }
    Ok(r)
}

/// Who asks, and what he may do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The operator; null for a token of a script.
    operator: Option<String>,
    /// The token's label, or the operator's full name.
    label: String,
    /// The identity provider that one signed in by; null for a password and for a token of a script.
    provider: Option<String>,
    /// Who one is there.
    subject: Option<String>,
    /// Every scope, within whatever limits.
    scopes: Vec<&'static str>,
    /// Of an operator: what he was given; of who came by a provider: what his groups gave him.
    grants: Vec<GrantBody>,
    /// Of an operator: true where a code is asked for beside the password.
    second_factor: Option<bool>,
    /// True while his password is one that was made for him: nothing is open before PUT /api/v1/me/password.
    password_must_change: bool,
    /// Where the request came from.
    origin: String,
    /// When this token ends whatever is done; null where it does not.
    expires: Option<String>,
    /// Of an operator: the ETag is this number in quotes.
    version: Option<u64>,
}

/// Who I am, and what I may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "operators", security(("token" = [])),
    responses((status = 200, body = Me)))]
pub(crate) async fn me(who: Who, State(s): State<AppState>) -> Result<Response, Problem> {
    let caller = who.caller();
    let row = match own_name(caller) {
        Some(n) => Some(operator(&s, &n).await?),
        None => None,
    };
    let by_groups = || s.tokens.row(caller.token.as_deref()?).map(|t| t.grants);
    let grants = match (&row, &caller.by_provider) {
        (Some(row), _) => row.grants.clone(),
        (None, Some(_)) => by_groups().unwrap_or_default(),
        (None, None) => Vec::new(),
    };
    Ok(view(caller, row, grants))
}

fn view(caller: &Caller, row: Option<OperatorRow>, grants: Vec<Grant>) -> Response {
    let scopes: BTreeSet<&str> =
        crate::Scope::ALL.iter().filter(|s| caller.has(**s)).map(|s| s.as_str()).collect();
    let version = row.as_ref().map(|r| r.version);
    let must_change = row.as_ref().is_some_and(|r| r.must_change);
    let me = Me {
        operator: caller.operator.clone(),
        label: caller.label.clone(),
        provider: caller.by_provider.as_ref().map(|b| b.provider.clone()),
        subject: caller.by_provider.as_ref().map(|b| b.subject.clone()),
        scopes: scopes.into_iter().collect(),
        second_factor: row.as_ref().map(|r| r.totp.is_some()),
        grants: grants.into_iter().map(GrantBody::from).collect(),
        origin: caller.origin.clone(),
        expires: caller.expires.map(rfc3339),
        password_must_change: must_change,
        version,
    };
    match version {
        Some(v) => stamped(StatusCode::OK, v, me),
        None => Json(me).into_response(),
    }
}

/// A sign-in of one's own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnSignIn {
    id: String,
    created: String,
    /// To the minute; null before the first request.
    last_used: Option<String>,
    expires: Option<String>,
    /// The identity provider that it came by; null for a password.
    provider: Option<String>,
    /// Who one is there.
    subject: Option<String>,
    /// True for the one that asks.
    current: bool,
}

/// One's own sign-ins that count now, newest first.
#[utoipa::path(get, path = "/api/v1/me/sign-ins", tag = "operators", security(("token" = [])),
    responses((status = 200, body = Vec<OwnSignIn>)))]
pub(crate) async fn own_sign_ins(
    right: SignedIn,
    State(s): State<AppState>,
) -> Result<Json<Vec<OwnSignIn>>, Problem> {
    let caller = right.caller();
    let mut rows = s.store.tokens().await?;
    let now = now();
    rows.retain(|t| is_own(caller, t) && t.revoked.is_none() && t.expires.is_none_or(|e| now < e));
    rows.sort_by_key(|t| std::cmp::Reverse(t.created));
    let view = |t: store::TokenRow| OwnSignIn {
        current: Some(&t.id) == caller.token.as_ref(),
        provider: t.by_provider.as_ref().map(|b| b.provider.clone()),
        subject: t.by_provider.map(|b| b.subject),
        id: t.id,
        created: rfc3339(t.created),
        last_used: t.last_used.map(rfc3339),
        expires: t.expires.map(rfc3339),
    };
    Ok(Json(rows.into_iter().map(view).collect()))
}

/// Ends a sign-in of one's own, such as that of a lost telephone.
#[utoipa::path(delete, path = "/api/v1/me/sign-ins/{id}", tag = "operators",
    params(("id" = String, Path), IdempotencyKey), security(("token" = [])),
    responses((status = 204, description = "Ended")))]
pub(crate) async fn end_own_sign_in(
    right: SignedIn,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
) -> Result<StatusCode, Problem> {
    let caller = right.caller();
    let rows = s.store.tokens().await?;
    if !rows.iter().any(|t| t.id == id && is_own(caller, t)) {
        return Err(Problem::not_found(say!("you have no sign-in {id}", "サインイン {id} はありません")));
    }
    match s.store.revoke_token(id, &caller.change("ended by its operator", now())).await {
        Err(StoreError::Conflict { .. }) => {}
        r => r?,
    }
    refresh_tokens(&s).await;
    Ok(StatusCode::NO_CONTENT)
}

/// True for a sign-in of the caller's own.
fn is_own(caller: &Caller, t: &TokenRow) -> bool {
    match (&caller.operator, &caller.by_provider, &t.by_provider) {
        (Some(operator), ..) => t.operator.as_ref() == Some(operator),
        (None, Some(me), Some(by)) => (&me.issuer, &me.subject) == (&by.issuer, &by.subject),
        _ => false,
    }
}

pub(super) fn own_name(caller: &Caller) -> Option<Name> {
    caller.operator.as_deref().and_then(|o| o.parse().ok())
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    #[schema(value_type = String, write_only)]
    old: Secret,
    /// 12-128 characters.
    #[schema(value_type = String, write_only, min_length = 12, max_length = 128)]
    new: Secret,
}

/// Changes one's own password. Every sign-in of one's own ends, this one too.
#[utoipa::path(put, path = "/api/v1/me/password", tag = "operators", params(IfMatchHeader),
    request_body = PasswordChange, security(("token" = [])),
    responses((status = 204, description = "Changed; sign in again")))]
pub(crate) async fn password(
    right: SignedIn,
    State(s): State<AppState>,
    expect: IfMatch,
    Body(body): Body<PasswordChange>,
) -> Result<StatusCode, Problem> {
    change_password(&s, right.caller(), expect.0, &body.old, &body.new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// As [`password`], whichever way it came. `expect` is the version that the caller saw.
pub(crate) async fn change_password(
    s: &AppState,
    caller: &Caller,
    expect: Option<u64>,
    old: &Secret,
    new: &Secret,
) -> Result<(), Problem> {
    let row = confirmed(s, caller, old, "/old").await?;
    let new = new.copied();
    if *new == *old.copied() {
        return Err(Problem::field(
            "/new",
            say!("it is the one that you have", "現在のパスワードと同じです"),
            Some(say!("choose another one", "別のパスワードにしてください")),
        ));
    }
    if let Some(why) = weakness(&new, row.name.as_str()) {
        return Err(Problem::field(
            "/new",
            why,
            Some(say!("choose a longer one, such as a sentence", "文章のような長いものにしてください")),
        ));
    }
    let hash = s.passwords.hash(new).await?;
    let edit = OperatorEdit { password: Some(hash), ..OperatorEdit::default() };
    write(s, row.name, expect.or(Some(row.version)), edit, caller).await?;
    Ok(())
}

/// A second factor to be set up or proven.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecondFactor {
    /// One's own password.
    #[schema(value_type = String, write_only)]
    password: Secret,
    /// A code of the secret that was shown: with it the factor is set up. Without it a new secret is shown.
    #[schema(value_type = Option<String>, write_only)]
    code: Option<Secret>,
}

/// A second factor, or the secret that is to be proven.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecondFactorView {
    /// True where it is set up.
    set_up: bool,
    /// The secret in base32, for typing. Shown in this one answer.
    secret: Option<String>,
    /// The same as an otpauth URI, for a QR code.
    uri: Option<String>,
}

/// Sets up one's own second factor, in two steps: without a code it shows a new secret; with a code of that secret it
/// is asked for at every sign-in from then on, and every sign-in of one's own ends.
#[utoipa::path(put, path = "/api/v1/me/second-factor", tag = "operators", params(IfMatchHeader),
    request_body = SecondFactor, security(("token" = [])),
    responses((status = 200, body = SecondFactorView)))]
pub(crate) async fn second_factor(
    right: SignedIn,
    State(s): State<AppState>,
    expect: IfMatch,
    Body(body): Body<SecondFactor>,
) -> Result<Response, Problem> {
    let row = confirmed(&s, right.caller(), &body.password, "/password").await?;
    let expect = expect.0.or(Some(row.version));
    let Some(code) = &body.code else {
        let secret = totp::Secret::new(random()?);
        let sealed = secret.seal(key(&s)?, row.name.as_str(), random()?).ok_or_else(Problem::internal)?;
        let edit = OperatorEdit { totp_pending: Some(sealed), ..OperatorEdit::default() };
        let made = write(&s, row.name, expect, edit, right.caller()).await?;
        let view = SecondFactorView {
            set_up: made.totp.is_some(),
            secret: Some(secret.base32().as_str().to_owned()),
            uri: Some(secret.uri(made.name.as_str()).as_str().to_owned()),
        };
        return Ok(stamped(StatusCode::OK, made.version, view));
    };
    let pending = row.totp_pending.as_ref().map(|p| open(&s, &row, p)).transpose()?;
    let Some(step) = pending.and_then(|p| p.accepts(&code.copied(), 0, now())) else {
        return Err(Problem::field(
            "/code",
            say!(
                "it is not a code of the secret that was shown",
                "表示されたシークレットのコードではありません"
            ),
            Some(say!(
                "send the request without a code first, put the secret into an authenticator app, and see that both clocks are right",
                "先に code なしで送信してシークレットを認証アプリに登録し、両方の時計が正しいことを確認してください"
            )),
        ));
    };
    let edit = OperatorEdit { totp_proven: Some(step), ..OperatorEdit::default() };
    let made = write(&s, row.name, expect, edit, right.caller()).await?;
    let view = SecondFactorView { set_up: made.totp.is_some(), secret: None, uri: None };
    Ok(stamped(StatusCode::OK, made.version, view))
}

/// Who came by the provider has no password here.
pub(crate) fn no_password() -> Problem {
    Problem::new(403, "no-password", say!("There is no password here", "ここにはパスワードがありません"))
        .detail(say!(
            "you signed in by the identity provider; password and second factor are there",
            "ID プロバイダーでサインインしています。パスワードと二要素認証はプロバイダー側にあります"
        ))
        .fix(say!("change them at the provider", "プロバイダー側で変更してください"))
}

/// The caller's own row, where he knows his password. Guesses count as those of a sign-in.
pub(super) async fn confirmed(
    s: &AppState,
    caller: &Caller,
    password: &Secret,
    pointer: &str,
) -> Result<OperatorRow, Problem> {
    let name = own_name(caller).ok_or_else(no_password)?;
    let peer = caller.origin.parse().ok();
    let now = now();
    if let Some(ms) = s.guard.wait(name.as_str(), peer, now) {
        return Err(wait(ms));
    }
    let row = operator(s, &name).await?;
    if s.passwords.check(password.copied(), Some(row.password.clone())).await? {
        return Ok(row);
    }
    let waits = s.guard.failed(name.as_str(), peer, now);
    let asking = Asking { request_id: caller.request_id.clone(), peer };
    note_refusal(s, Some(&name), &asking, waits, now).await?;
    let mut check = Check::default();
    check.add(
        pointer,
        say!("it is not your password", "現在のパスワードと一致しません"),
        Some(say!(
            "give the password that you signed in with",
            "サインインに使ったパスワードを指定してください"
        )),
    );
    Err(check.done().err().unwrap_or_else(Problem::internal))
}
