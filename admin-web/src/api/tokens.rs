//! API tokens: made (and shown once), listed, revoked.

use crate::{
    api::{List, operators::check_limits},
    check::{Check, Kind, Time, rfc3339},
    idempotency::KeepInstead,
    layers::refresh_tokens,
    problem::{Problem, say},
    request::{Body, IdempotencyKey, Paging, Params, PathOf, page_limit},
    rights::TokenCapability,
    roles::{only_own, read_grant},
    state::{AppState, now, random},
    token::new_token,
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Clash, Grant, StoreError, TokenRow};
use types::Name;
use utoipa::ToSchema;

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// Who or what will use it: the actor in the audit.
    #[schema(example = "SOC playbook")]
    label: String,
    /// What it may do: scopes, such as read, ban, provision. None that its maker has not.
    #[serde(default)]
    scopes: Vec<String>,
    /// Roles; GET /api/v1/roles lists them. None that its maker has not.
    #[serde(default)]
    roles: Vec<String>,
    /// Only for SIMs in one of these groups; empty is every SIM.
    #[serde(default)]
    groups: Vec<String>,
    /// Only for SIMs at one of these sites; empty is every SIM.
    #[serde(default)]
    sites: Vec<String>,
    /// Prefixes that it may be used from; empty is everywhere.
    #[serde(default)]
    #[schema(example = json!(["10.1.0.0/16"]))]
    addresses: Vec<String>,
    /// When it ends (RFC 3339); never if not given.
    expires: Option<String>,
}

/// A token without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    id: String,
    label: String,
    /// Scopes beside those of the roles.
    scopes: Vec<String>,
    roles: Vec<String>,
    /// Only for SIMs in one of these groups; empty is every SIM.
    groups: Vec<String>,
    /// Only for SIMs at one of these sites; empty is every SIM.
    sites: Vec<String>,
    /// Prefixes that it may be used from; empty is everywhere.
    addresses: Vec<String>,
    /// The operator who signed in with it; his grants may be more than one, each with limits of its own.
    operator: Option<String>,
    /// The identity provider that somebody signed in by with it.
    provider: Option<String>,
    /// Who he is there.
    subject: Option<String>,
    created: String,
    created_by: String,
    expires: Option<String>,
    /// To the minute.
    last_used: Option<String>,
    revoked: Option<String>,
    /// Since when it rests: an alert rule has put it aside, and it does not count until somebody resumes it.
    suspended: Option<String>,
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeToken {
    #[serde(flatten)]
    token: Token,
    /// The token itself: shown in this one answer and kept nowhere. Null where the request is repeated.
    secret: Option<String>,
}

impl From<TokenRow> for Token {
    fn from(r: TokenRow) -> Self {
        let all = |of: fn(&Grant) -> Vec<String>| -> Vec<String> {
            r.grants.iter().flat_map(of).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let text = |names: &BTreeSet<Name>| names.iter().map(ToString::to_string).collect();
        let mut scopes = r.scopes.clone();
        scopes.extend(all(|g| g.scopes.iter().cloned().collect()));
        Self {
            roles: all(|g| g.roles.iter().cloned().collect()),
            groups: match r.grants.as_slice() {
                [one] => text(&one.groups),
                _ => Vec::new(),
            },
            sites: match r.grants.as_slice() {
                [one] => text(&one.sites),
                _ => Vec::new(),
            },
            addresses: r.addresses.clone(),
            operator: r.operator.clone(),
            provider: r.by_provider.as_ref().map(|b| b.provider.clone()),
            subject: r.by_provider.as_ref().map(|b| b.subject.clone()),
            id: r.id,
            label: r.label,
            scopes,
            created: rfc3339(r.created),
            created_by: r.created_by,
            expires: r.expires.map(rfc3339),
            last_used: r.last_used.map(rfc3339),
            revoked: r.revoked.map(rfc3339),
            suspended: r.suspended.map(rfc3339),
        }
    }
}

/// Lists tokens by id, the revoked too.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(Paging), security(("token" = ["tokens"])),
    responses((status = 200, body = List<Token>)))]
pub(crate) async fn list(
    _: TokenCapability,
    State(s): State<AppState>,
    Params(p): Params<Paging>,
) -> Result<Json<List<Token>>, Problem> {
    let limit = page_limit(p.limit)? as usize;
    let mut rows = s.store.tokens().await?;
    rows.retain(|r| p.cursor.as_ref().is_none_or(|c| r.id > *c));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|r| r.id.clone());
    Ok(Json(List { items: rows.into_iter().map(Token::from).collect(), next }))
}

/// Makes a token. It is shown in this answer and never again.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", params(IdempotencyKey), request_body = NewToken,
    security(("token" = ["tokens"])), responses((status = 201, body = MadeToken)))]
pub(crate) async fn create(
    right: TokenCapability,
    State(s): State<AppState>,
    Body(body): Body<NewToken>,
) -> Result<Response, Problem> {
    let caller = right.caller();
    let now = now();
    let mut check = Check::default();
    check.label("/label", &body.label, 100);
    if body.label.trim().is_empty() {
        check.add(
            "/label",
            say!("a token has a label", "トークンにはラベルが必要です"),
            Some(say!("say who or what will use it", "利用者または用途を書いてください")),
        );
    }
    let grant = read_grant(&mut check, "", &body.roles, &body.scopes, &body.groups, &body.sites);
    if let Some(grant) = &grant {
        only_own(&mut check, "", &body.scopes, caller, grant);
        check_limits(&s, &mut check, "", grant).await?;
    }
    let addresses: Option<Vec<IpNet>> = check.each("/addresses", &body.addresses, Kind::Prefix);
    let expires: Option<Option<Time>> = check.maybe("/expires", body.expires.as_deref(), Kind::Time);
    if expires.flatten().is_some_and(|t| t.0 <= now) {
        check.add(
            "/expires",
            say!("that time is past", "過去の時刻です"),
            Some(say!("give a time to come", "将来の時刻を指定してください")),
        );
    }
    let ((grant, addresses), expires) = check.finish(grant.zip(addresses).zip(expires))?;

    let (secret, mut row) =
        new_token(random()?, &body.label, &[], expires.map(|t| t.0), &caller.actor(), now);
    row.grants = vec![grant];
    // In the canonical form: the bits behind the prefix are zero.
    row.addresses = addresses.iter().map(|a| a.trunc().to_string()).collect();
    s.store.create_token(row.clone(), &caller.change("", now)).await?;
    refresh_tokens(&s).await;

    let view = |secret| MadeToken { token: row.clone().into(), secret };
    let kept = serde_json::to_vec(&view(None)).map_err(|_| Problem::internal())?;
    let mut r = (StatusCode::CREATED, Json(view(Some(secret.expose().to_owned())))).into_response();
    r.extensions_mut().insert(KeepInstead(kept));
    Ok(r)
}

/// Revokes a token; it counts no more from this answer on.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", params(("id" = String, Path), IdempotencyKey),
    security(("token" = ["tokens"])), responses((status = 204, description = "Revoked")))]
pub(crate) async fn revoke(
    right: TokenCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
) -> Result<StatusCode, Problem> {
    match s.store.revoke_token(id, &right.caller().change("", now())).await {
        Err(StoreError::Conflict { what: Clash::Other }) => {
            return Err(Problem::new(409, "revoked", say!("It is revoked already", "既に失効しています")));
        }
        r => r?,
    }
    refresh_tokens(&s).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a token count again that an alert rule has put aside.
#[utoipa::path(post, path = "/api/v1/tokens/{id}/resume", tag = "tokens", params(("id" = String, Path), IdempotencyKey),
    security(("token" = ["tokens"])), responses((status = 204, description = "It counts again")))]
pub(crate) async fn resume(
    right: TokenCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
) -> Result<StatusCode, Problem> {
    match s.store.suspend_token(id, false, &right.caller().change("", now())).await {
        Err(StoreError::Conflict { what: Clash::Other }) => {
            let what =
                say!("It is not suspended, or is revoked", "一時停止されていないか、既に失効しています");
            return Err(Problem::new(409, "not-suspended", what));
        }
        r => r?,
    }
    refresh_tokens(&s).await;
    Ok(StatusCode::NO_CONTENT)
}
