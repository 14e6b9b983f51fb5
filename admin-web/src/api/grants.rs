//! Grants: access to one app for a time, with a reason and somebody who answers for it.

use crate::{
    api::List,
    check::{Check, Kind, Time, rfc3339},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, Params, PathOf, page_limit},
    rights::{ApproveCapability, PolicyCapability, ReadCapability, same_person},
    state::{AppState, now},
};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse, response::Response};
use serde::{Deserialize, Serialize};
use store::{Clash, StoreError};
use types::{Grant, Grantee, Name, Utc};
use utoipa::{IntoParams, ToSchema};

/// The longest that a grant may last, milliseconds: 31 days. What is needed for longer is a rule.
const LONGEST_MS: i64 = 31 * 86_400_000;

/// A grant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppGrant)]
pub(crate) struct GrantView {
    id: String,
    /// sim:IMSI or person:ID.
    to: String,
    app: String,
    reason: String,
    requester: String,
    /// Who answers for it; null while nobody does: then it grants nothing.
    approver: Option<String>,
    from: String,
    until: String,
    /// When it was taken back.
    revoked: Option<String>,
    /// waiting (for an approver), planned, active, revoked or over.
    state: String,
}

impl From<Grant> for GrantView {
    fn from(g: Grant) -> Self {
        let at = now();
        let state = match &g {
            g if g.revoked.is_some() => "revoked",
            g if g.until <= at => "over",
            g if g.approver.is_none() => "waiting",
            g if g.from > at => "planned",
            _ => "active",
        };
        Self {
            id: g.id,
            to: g.to.to_string(),
            app: g.app.to_string(),
            reason: g.reason,
            requester: g.requester,
            approver: g.approver,
            from: rfc3339(g.from),
            until: rfc3339(g.until),
            revoked: g.revoked.map(rfc3339),
            state: state.to_owned(),
        }
    }
}

/// A grant that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrant {
    /// To whom: sim:IMSI or person:ID.
    #[schema(value_type = String, example = "person:tanaka")]
    to: Grantee,
    /// Which app.
    #[schema(example = "wiki")]
    app: String,
    /// What for.
    reason: String,
    /// From when (RFC 3339); at once if not given.
    from: Option<String>,
    /// Up to when (RFC 3339), at most 31 days from its beginning.
    #[schema(example = "2027-03-31T15:00:00Z")]
    until: String,
}

/// Which grants.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GrantQuery {
    /// Those that are over or taken back, too.
    all: Option<bool>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantWords {
    reason: String,
}

/// Lists grants, the newest first.
#[utoipa::path(get, path = "/api/v1/grants", tag = "grants", params(GrantQuery),
    security(("token" = ["read"])), responses((status = 200, body = List<GrantView>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(q): Params<GrantQuery>,
) -> Result<Json<List<GrantView>>, Problem> {
    let at = (q.all != Some(true)).then(now);
    let page = s.store.grants(at, q.cursor.as_deref(), page_limit(q.limit)?).await?;
    Ok(List::of(page, GrantView::from))
}

/// Grants access to an app for a time. Where a second person is asked for, it waits for their yes and is answered by 202.
#[utoipa::path(post, path = "/api/v1/grants", tag = "grants", params(IdempotencyKey), request_body = NewGrant,
    security(("token" = ["policy"])),
    responses((status = 201, body = GrantView), (status = 202, body = GrantView)))]
pub(crate) async fn create(
    right: PolicyCapability,
    State(s): State<AppState>,
    Body(body): Body<NewGrant>,
) -> Result<Response, Problem> {
    let at = now();
    let mut check = Check::default();
    check.reason(&body.reason);
    let app: Option<Name> = check.parse("/app", &body.app, Kind::Name);
    let from: Option<Option<Time>> = check.maybe("/from", body.from.as_deref(), Kind::Time);
    let until: Option<Time> = check.parse("/until", &body.until, Kind::Time);
    let span = from.zip(until).map(|(from, until)| (from.map_or(at, |t| t.0), until.0));
    if let Some((from, until)) = span {
        times(&mut check, at, from, until);
    }
    let (app, (from, until)) = check.finish(app.zip(span))?;
    let actor = right.caller().actor();
    let waits = s.control.second_person();
    let grant = Grant {
        id: super::unbans::new_id(at),
        to: body.to,
        app,
        reason: body.reason,
        requester: actor.clone(),
        approver: (!waits).then_some(actor),
        from,
        until,
        revoked: None,
    };
    s.store.create_grant(grant.clone(), &right.caller().change(&grant.reason, at)).await.map_err(
        |e| match e {
            StoreError::Conflict { what: Clash::Reference } => Problem::new(
                409,
                "unknown-reference",
                say!("There is no such SIM, person or app", "該当する SIM・利用者・アプリがありません"),
            )
            .fix(say!("name ones that exist", "登録済みのものを指定してください")),
            e => e.into(),
        },
    )?;
    tell(&s).await;
    let status = if waits { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    Ok((status, Json(GrantView::from(grant))).into_response())
}

fn times(check: &mut Check, at: Utc, from: Utc, until: Utc) {
    if until <= from || until <= at {
        check.add(
            "/until",
            say!("the grant would be over before it begins", "終了が開始より前、または過去です"),
            Some(say!("give a later end", "より後の終了時刻を指定してください")),
        );
    } else if until.0.saturating_sub(from.0) > LONGEST_MS {
        check.add(
            "/until",
            say!("a grant lasts at most 31 days", "期間は最長 31 日です"),
            Some(say!("give an earlier end, or write a rule", "終了を早めるか、ルールを作成してください")),
        );
    }
}

/// Control reads the grants again. Should the gateway be away it is told when it is back.
async fn tell(s: &AppState) {
    if let Err(e) = s.control.policy_changed().await {
        tracing::info!("the grants are stored: {e}");
    }
}

/// Answers for a grant that somebody else asked for.
#[utoipa::path(post, path = "/api/v1/grants/{id}/approve", tag = "grants",
    params(("id" = String, Path), IdempotencyKey), request_body = GrantWords,
    security(("token" = ["approve"])), responses((status = 200, body = GrantView)))]
pub(crate) async fn approve(
    right: ApproveCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
    Body(body): Body<GrantWords>,
) -> Result<Json<GrantView>, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.done()?;
    let asked = s.store.grant(&id).await.map_err(missing)?;
    let by = right.caller().actor();
    if same_person(&asked.requester, &by) {
        return Err(super::unbans::same_person_problem());
    }
    let change = right.caller().change(&body.reason, now());
    let grant = s.store.approve_grant(id, by, &change).await.map_err(missing)?;
    tell(&s).await;
    Ok(Json(grant.into()))
}

/// Takes a grant back; what it opened ends at once.
#[utoipa::path(post, path = "/api/v1/grants/{id}/revoke", tag = "grants",
    params(("id" = String, Path), IdempotencyKey), request_body = GrantWords,
    security(("token" = ["policy"])), responses((status = 200, body = GrantView)))]
pub(crate) async fn revoke(
    right: PolicyCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
    Body(body): Body<GrantWords>,
) -> Result<Json<GrantView>, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.done()?;
    let change = right.caller().change(&body.reason, now());
    let grant = s.store.revoke_grant(id, right.caller().actor(), &change).await.map_err(missing)?;
    tell(&s).await;
    Ok(Json(grant.into()))
}

fn missing(e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => {
            Problem::not_found(say!("there is no such grant", "該当する期限付き許可がありません"))
        }
        StoreError::Conflict { .. } => Problem::new(
            409,
            "decided",
            say!("It is decided or over already", "既に判断済みか終了しています"),
        )
        .fix(say!("ask for a new grant", "必要なら新しく申請してください")),
        e => e.into(),
    }
}
