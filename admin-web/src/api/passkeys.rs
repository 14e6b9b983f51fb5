//! One's own passkeys: listed, registered in two steps, removed. Signing in by one is a page's: no script has one.

use crate::{
    api::{
        sign_in::{confirmed, own_name},
        sim_bodies::Secret,
    },
    check::{Check, rfc3339},
    passkeys::{For, Passkeys, id_of},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, PathOf},
    rights::SignedIn,
    state::{AppState, now},
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{PasskeyRow, StoreError};
use utoipa::ToSchema;

/// Most passkeys of one operator.
const MOST: usize = 20;

/// A passkey.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Passkey {
    id: String,
    /// What its owner calls it.
    name: String,
    created: String,
    last_used: Option<String>,
}

impl From<PasskeyRow> for Passkey {
    fn from(r: PasskeyRow) -> Self {
        Self { id: r.id, name: r.name, created: rfc3339(r.created), last_used: r.last_used.map(rfc3339) }
    }
}

/// One's own passkeys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasskeyList {
    /// The host name at which passkeys work: reached by another name or by an IP address, a browser refuses. Null where
    /// there are none here: `api.host` is not set, or this build has none.
    host: Option<String>,
    items: Vec<Passkey>,
}

/// Lists one's own passkeys.
#[utoipa::path(get, path = "/api/v1/me/passkeys", tag = "operators", security(("token" = [])),
    responses((status = 200, body = PasskeyList)))]
pub(crate) async fn list(right: SignedIn, State(s): State<AppState>) -> Result<Json<PasskeyList>, Problem> {
    let rows = match own_name(right.caller()) {
        Some(name) => s.store.passkeys(&name).await?,
        None => Vec::new(),
    };
    let host = s.passkeys.as_ref().map(|p| p.host().to_owned());
    Ok(Json(PasskeyList { host, items: rows.into_iter().map(Passkey::from).collect() }))
}

/// Who wants to register a passkey.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyWish {
    /// One's own password.
    #[schema(value_type = String, write_only)]
    password: Secret,
}

/// What a browser is asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasskeyAsked {
    /// Comes back with the credential, within five minutes.
    state: String,
    /// PublicKeyCredentialCreationOptions in JSON (Web Authentication Level 3).
    #[schema(value_type = Object)]
    options: Value,
}

/// The first step of registering a passkey: what to ask the browser for. Nothing is changed.
#[utoipa::path(post, path = "/api/v1/me/passkeys/challenge", tag = "operators", request_body = PasskeyWish,
    security(("token" = [])), responses((status = 200, body = PasskeyAsked)))]
pub(crate) async fn challenge(
    right: SignedIn,
    State(s): State<AppState>,
    Body(body): Body<PasskeyWish>,
) -> Result<Json<PasskeyAsked>, Problem> {
    let passkeys = there(&s)?;
    let row = confirmed(&s, right.caller(), &body.password, "/password").await?;
    if row.must_change {
        return Err(Problem::new(
            403,
            "password-first",
            say!("The password first", "先にパスワードを変更してください"),
        )
        .detail(say!(
            "your password is one that was made for you",
            "現在のパスワードは他の人が発行したものです"
        ))
        .fix(say!(
            "choose your own: PUT /api/v1/me/password",
            "PUT /api/v1/me/password で変更してください"
        )));
    }
    let known = s.store.passkeys(&row.name).await?;
    if known.len() >= MOST {
        return Err(Problem::new(
            409,
            "too-many-passkeys",
            say!("Too many passkeys", "パスキーが多すぎます"),
        )
        .detail(say!("you have {MOST} already", "既に {MOST} 個登録されています"))
        .fix(say!("remove one that you do not use", "使っていないものを削除してください")));
    }
    let asked = passkeys.register(&s, &row, &known)?;
    Ok(Json(PasskeyAsked { state: asked.state, options: asked.options }))
}

/// A passkey that a browser made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPasskey {
    /// What to call it.
    #[schema(example = "Laptop")]
    name: String,
    /// Of the first step.
    state: String,
    /// The PublicKeyCredential in JSON.
    #[schema(value_type = Object)]
    credential: Value,
}

/// The second step: registers a passkey. It lets its owner in instead of password and code.
#[utoipa::path(post, path = "/api/v1/me/passkeys", tag = "operators", params(IdempotencyKey),
    request_body = NewPasskey, security(("token" = [])), responses((status = 201, body = Passkey)))]
pub(crate) async fn register(
    right: SignedIn,
    State(s): State<AppState>,
    Body(body): Body<NewPasskey>,
) -> Result<(StatusCode, Json<Passkey>), Problem> {
    let passkeys = there(&s)?;
    let mut check = Check::default();
    check.filled("/name", &body.name, 60);
    check.done()?;
    let caller = right.caller();
    let name = own_name(caller).ok_or_else(super::no_password)?;
    let challenge = passkeys.taken(&s, For::Registering, &body.state).await?;
    let Some(challenge) = challenge.filter(|c| c.operator == name.as_str()) else {
        return Err(Problem::field(
            "/state",
            say!(
                "it is none of yours, older than five minutes, or was used",
                "あなたのものではないか、5 分を過ぎているか、使用済みです"
            ),
            Some(say!(
                "begin anew: POST /api/v1/me/passkeys/challenge",
                "POST /api/v1/me/passkeys/challenge からやり直してください"
            )),
        ));
    };
    let (id, credential) = passkeys.registered(&challenge, &body.credential)?;
    let row = PasskeyRow { id, operator: name, name: body.name, credential, created: now(), last_used: None };
    match s.store.add_passkey(row.clone(), &caller.change("", row.created)).await {
        Err(StoreError::Conflict { .. }) => {
            return Err(Problem::new(
                409,
                "passkey-there",
                say!("It is registered already", "既に登録されています"),
            ));
        }
        r => r?,
    }
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// Removes a passkey of one's own.
#[utoipa::path(delete, path = "/api/v1/me/passkeys/{id}", tag = "operators",
    params(("id" = String, Path), IdempotencyKey), security(("token" = [])),
    responses((status = 204, description = "Removed")))]
pub(crate) async fn remove(
    right: SignedIn,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
) -> Result<StatusCode, Problem> {
    let caller = right.caller();
    let none = || Problem::not_found(say!("you have no such passkey", "そのパスキーはありません"));
    let name = own_name(caller).ok_or_else(none)?;
    match s.store.remove_passkey(name, id, &caller.change("", now())).await {
        Err(StoreError::NotFound) => Err(none()),
        r => Ok(r.map(|()| StatusCode::NO_CONTENT)?),
    }
}

fn there(s: &AppState) -> Result<&Passkeys, Problem> {
    s.passkeys.as_deref().ok_or_else(|| {
        Problem::new(409, "no-passkeys", say!("There are no passkeys here", "パスキーは使用できません"))
            .detail(say!(
                "passkeys are bound to a host name, and the configuration names none, or this build has none",
                "パスキーはホスト名に紐付きますが、設定にホスト名がないか、このビルドには含まれていません"
            ))
            .fix(say!(
                "set api.host to the name by which browsers reach the console",
                "ブラウザーからコンソールに到達するホスト名を api.host に設定してください"
            ))
    })
}

/// The passkey that an answer names, with its operator.
pub(crate) async fn named(s: &AppState, answer: &Value) -> Result<Option<PasskeyRow>, Problem> {
    let Some(id) = id_of(answer) else { return Ok(None) };
    match s.store.passkey(id).await {
        Ok(row) => Ok(Some(row)),
        Err(StoreError::NotFound) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
