//! Local operators: made, listed, changed, disabled; and what the roles are.
//!
//! Nobody changes an operator who may do more than he himself: else a password set anew would be a way up.

use crate::{
    api::{List, documents::stamped},
    check::{Check, rfc3339},
    idempotency::KeepInstead,
    layers::refresh_tokens,
    password,
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Paging, Params, PathOf, page_limit},
    rights::{Caller, Limited, OperatorCapability, ReadCapability},
    roles::{Role, only_own, read_grant},
    state::{AppState, now, random},
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use serde::{Deserialize, Serialize};
use store::{Grant, OperatorEdit, OperatorRow, StoreError};
use types::{Name, Utc};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// Rights within limits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Grant)]
pub(crate) struct GrantBody {
    /// Roles; GET /api/v1/roles lists them.
    #[serde(default)]
    #[schema(example = json!(["helpdesk"]))]
    roles: Vec<String>,
    /// Scopes beside those of the roles.
    #[serde(default)]
    scopes: Vec<String>,
    /// Only for SIMs in one of these groups; empty is every SIM.
    #[serde(default)]
    groups: Vec<String>,
    /// Only for SIMs at one of these sites; empty is every SIM.
    #[serde(default)]
    sites: Vec<String>,
}

impl From<Grant> for GrantBody {
    fn from(g: Grant) -> Self {
        Self {
            roles: g.roles.into_iter().collect(),
            scopes: g.scopes.into_iter().collect(),
            groups: g.groups.iter().map(ToString::to_string).collect(),
            sites: g.sites.iter().map(ToString::to_string).collect(),
        }
    }
}

/// An operator to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOperator {
    /// The name that he signs in with: 1-63 of a-z, 0-9 and inner - _ .
    #[schema(example = "hanako")]
    name: String,
    /// Full name.
    display: String,
    /// What he may do; nothing that his maker may not.
    #[schema(min_items = 1)]
    grants: Vec<GrantBody>,
}

/// What of an operator is to be changed; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperatorChange {
    /// Full name.
    display: Option<String>,
    /// What he may do. His sign-ins end.
    #[schema(min_items = 1)]
    grants: Option<Vec<GrantBody>>,
    /// True refuses him and ends his sign-ins.
    disabled: Option<bool>,
    /// False takes his second factor away, where he lost it. True is not possible here: he sets it up himself.
    second_factor: Option<bool>,
    /// True gives him a new password, which is shown in this one answer and good for choosing his own alone. His
    /// sign-ins end.
    #[serde(default)]
    new_password: bool,
}

/// An operator.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operator {
    name: String,
    display: String,
    grants: Vec<GrantBody>,
    /// True where a code is asked for beside the password.
    second_factor: bool,
    /// Since when he is refused; null where he is not.
    disabled: Option<String>,
    last_sign_in: Option<String>,
    /// True while his password is one that was made for him: it is good for choosing his own alone.
    password_must_change: bool,
    version: u64,
    created: String,
    changed: String,
}

/// An operator, and the password that was made for him.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeOperator {
    #[serde(flatten)]
    operator: Operator,
    /// Shown in this one answer and kept nowhere; null where none was made, or where the request is repeated.
    password: Option<String>,
}

impl From<OperatorRow> for Operator {
    fn from(r: OperatorRow) -> Self {
        Self {
            name: r.name.to_string(),
            display: r.display,
            grants: r.grants.into_iter().map(GrantBody::from).collect(),
            second_factor: r.totp.is_some(),
            disabled: r.disabled.map(rfc3339),
            last_sign_in: r.signed_in.map(rfc3339),
            password_must_change: r.must_change,
            version: r.version,
            created: rfc3339(r.created),
            changed: rfc3339(r.changed),
        }
    }
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Role)]
pub(crate) struct RoleView {
    name: &'static str,
    /// What it is for, in English.
    en: String,
    /// What it is for, in Japanese.
    ja: String,
    /// What it may do.
    scopes: Vec<&'static str>,
}

/// Lists the roles with what they may do.
#[utoipa::path(get, path = "/api/v1/roles", tag = "operators", security(("token" = ["read"])),
    responses((status = 200, body = Vec<RoleView>)))]
pub(crate) async fn roles(_: Limited<ReadCapability>) -> Json<Vec<RoleView>> {
    let view = |r: Role| {
        let said = r.sentence();
        let scopes = r.scopes().iter().map(|s| s.as_str()).collect();
        RoleView { name: r.as_str(), en: said.en, ja: said.ja, scopes }
    };
    Json(Role::all().map(view).collect())
}

/// Lists operators by name.
#[utoipa::path(get, path = "/api/v1/operators", tag = "operators", params(Paging),
    security(("token" = ["operators"])), responses((status = 200, body = List<Operator>)))]
pub(crate) async fn list(
    _: OperatorCapability,
    State(s): State<AppState>,
    Params(p): Params<Paging>,
) -> Result<Json<List<Operator>>, Problem> {
    let page = s.store.operators(p.cursor.as_deref(), page_limit(p.limit)?).await?;
    Ok(List::of(page, Operator::from))
}

/// Reads an operator.
#[utoipa::path(get, path = "/api/v1/operators/{name}", tag = "operators", params(("name" = String, Path)),
    security(("token" = ["operators"])), responses((status = 200, body = Operator)))]
pub(crate) async fn get(
    _: OperatorCapability,
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
) -> Result<Response, Problem> {
    let row = operator(&s, &name).await?;
    Ok(stamped(StatusCode::OK, row.version, Operator::from(row)))
}

/// Makes an operator. The password is made too and shown in this answer and never again; all that he can do with it is to
/// choose his own.
#[utoipa::path(post, path = "/api/v1/operators", tag = "operators", params(IdempotencyKey), request_body = NewOperator,
    security(("token" = ["operators"])), responses((status = 201, body = MadeOperator)))]
pub(crate) async fn create(
    right: OperatorCapability,
    State(s): State<AppState>,
    Body(body): Body<NewOperator>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    let name: Option<Name> = check.parse("/name", &body.name, crate::check::Kind::Name);
    check.filled("/display", &body.display, 200);
    let grants = grants(&s, &mut check, right.caller(), &body.grants).await?;
    let (name, grants) = check.finish(name.zip(grants))?;
    let password = password::made(random()?);
    let hash = s.passwords.hash(password.clone()).await?;
    let row = OperatorRow {
        name: name.clone(),
        display: body.display,
        grants,
        password: hash,
        must_change: true,
        totp: None,
        totp_pending: None,
        totp_step: 0,
        disabled: None,
        signed_in: None,
        version: 0,
        created: Utc(0),
        changed: Utc(0),
    };
    let made = s.store.create_operator(row, &right.caller().change("", now())).await?;
    let mut r = shown(StatusCode::CREATED, made, Some(password))?;
    if let Ok(v) = format!("/api/v1/operators/{name}").parse() {
        r.headers_mut().insert(header::LOCATION, v);
    }
    Ok(r)
}

/// Changes an operator: his name, what he may do, whether he may sign in; gives him a new password, or takes a second
/// factor away that he lost. There is always one owner left.
#[utoipa::path(patch, path = "/api/v1/operators/{name}", tag = "operators",
    params(("name" = String, Path), IfMatchHeader), request_body = OperatorChange,
    security(("token" = ["operators"])), responses((status = 200, body = MadeOperator)))]
pub(crate) async fn change(
    right: OperatorCapability,
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
    expect: IfMatch,
    Body(body): Body<OperatorChange>,
) -> Result<Response, Problem> {
    let old = operator(&s, &name).await?;
    not_above(right.caller(), &old)?;
    let mut check = Check::default();
    if let Some(display) = &body.display {
        check.filled("/display", display, 200);
    }
    let grants = match &body.grants {
        Some(g) => grants(&s, &mut check, right.caller(), g).await?.map(Some),
        None => Some(None),
    };
    if body.second_factor == Some(true) {
        check.add(
            "/second_factor",
            say!("an operator sets it up himself", "二要素認証は本人が設定します"),
            Some(say!("PUT /api/v1/me/second-factor", "PUT /api/v1/me/second-factor を使ってください")),
        );
    }
    let grants = check.finish(grants)?;
    let password = if body.new_password { Some(password::made(random()?)) } else { None };
    let hash = match &password {
        Some(p) => Some(s.passwords.hash(p.clone()).await?),
        None => None,
    };
    let edit = OperatorEdit {
        display: body.display,
        grants,
        disabled: body.disabled,
        must_change: hash.is_some(),
        password: hash,
        totp_none: body.second_factor == Some(false),
        ..OperatorEdit::default()
    };
    // Of the very row that was looked at: in between somebody might have given him more.
    let expect = expect.0.or(Some(old.version));
    let made = write(&s, name, expect, edit, right.caller()).await?;
    shown(StatusCode::OK, made, password)
}

/// Stores a change, and lets the tokens that it ended count no more.
pub(crate) async fn write(
    s: &AppState,
    name: Name,
    expect: Option<u64>,
    edit: OperatorEdit,
    caller: &Caller,
) -> Result<OperatorRow, Problem> {
    let change = caller.change("", now());
    let made = s.store.change_operator(name, expect, edit, Role::Owner.as_str(), &change).await?;
    refresh_tokens(s).await;
    Ok(made)
}

pub(crate) async fn operator(s: &AppState, name: &Name) -> Result<OperatorRow, Problem> {
    s.store.operator(name).await.map_err(|e| match e {
        StoreError::NotFound => {
            Problem::not_found(say!("there is no operator {name}", "オペレーター {name} はいません"))
        }
        e => e.into(),
    })
}

/// Refuses where the operator may do what the caller may not.
fn not_above(caller: &Caller, other: &OperatorRow) -> Result<(), Problem> {
    match other.grants.iter().find_map(|g| caller.lacks(g)) {
        None => Ok(()),
        Some(scope) => Err(Problem::new(
            403,
            "above-you",
            say!("This operator may do more than you", "このオペレーターの権限はあなたの権限を超えています"),
        )
        .detail(say!("you do not have the scope {scope}", "あなたはスコープ {scope} を持っていません"))
        .fix(say!("ask an owner", "owner に依頼してください"))),
    }
}

async fn grants(
    s: &AppState,
    check: &mut Check,
    giver: &Caller,
    bodies: &[GrantBody],
) -> Result<Option<Vec<Grant>>, Problem> {
    if bodies.is_empty() {
        check.add(
            "/grants",
            say!("an operator has at least one grant", "オペレーターには権限が 1 つ以上必要です"),
            Some(say!("give a role, for example viewer", "ロール (例: viewer) を指定してください")),
        );
        return Ok(None);
    }
    let mut all = Some(Vec::new());
    for (i, b) in bodies.iter().enumerate() {
        let at = format!("/grants/{i}");
        match read_grant(check, &at, &b.roles, &b.scopes, &b.groups, &b.sites) {
            Some(grant) => {
                only_own(check, &at, &b.scopes, giver, &grant);
                check_limits(s, check, &at, &grant).await?;
                if let Some(all) = &mut all {
                    all.push(grant);
                }
            }
            None => all = None,
        }
    }
    Ok(all)
}

/// Finds groups and sites that are not there.
pub(crate) async fn check_limits(
    s: &AppState,
    check: &mut Check,
    at: &str,
    grant: &Grant,
) -> Result<(), Problem> {
    let fix = || {
        Some(say!("make it first, or name one that exists", "先に作成するか、既存のものを指定してください"))
    };
    for group in &grant.groups {
        match s.store.get::<types::Group>(group.as_str()).await {
            Ok(_) => {}
            Err(StoreError::NotFound) => check.add(
                format!("{at}/groups"),
                say!("there is no group {group}", "グループ {group} はありません"),
                fix(),
            ),
            Err(e) => return Err(e.into()),
        }
    }
    for site in &grant.sites {
        match s.store.entity::<types::Site>(site).await {
            Ok(_) => {}
            Err(StoreError::NotFound) => check.add(
                format!("{at}/sites"),
                say!("there is no site {site}", "拠点 {site} はありません"),
                fix(),
            ),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn shown(
    status: StatusCode,
    row: OperatorRow,
    password: Option<Zeroizing<String>>,
) -> Result<Response, Problem> {
    let version = row.version;
    let view = |password| MadeOperator { operator: Operator::from(row.clone()), password };
    let kept = serde_json::to_vec(&view(None)).map_err(|_| Problem::internal())?;
    let mut r = stamped(status, version, view(password.map(|p| p.as_str().to_owned())));
    r.extensions_mut().insert(KeepInstead(kept));
    Ok(r)
}
