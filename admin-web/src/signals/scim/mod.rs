//! People and groups as a provisioning client keeps them: SCIM 2.0 (RFC 7643, RFC 7644), with what Entra ID does otherwise.
//!
//! | file | what |
//! | --- | --- |
//! | `schema` | which attributes there are, and how a request's become them |
//! | `filter` | filters and paths |
//! | `patch` | changes |
//! | `query` | lists, searches and what of a resource is shown |
//! | `person` | what a user says of a person of the directory |
//! | `about` | what a client can ask of the service itself |
//! | `answer` | answers and errors |
//!
//! A client shows a token with the scope `scim`, and speaks to a source of kind `scim` that somebody made. A user is a
//! person of the directory: made, renamed and ended with it, in one transaction. A user who is not active, or is deleted,
//! is a person who has left, so their SIMs are suspended and no proof of theirs counts. Bulk, sorting and passwords are
//! not there, and ServiceProviderConfig says so.

mod about;
mod answer;
pub(crate) mod filter;
pub(super) mod fuzzing;
pub(crate) mod patch;
mod person;
mod query;
pub(crate) mod schema;
#[cfg(test)]
mod tests;

use super::note;
use crate::{
    api::{directory::tell_facts, documents::put_in_force, sims::tell_of},
    console::session::ByCookie,
    request::{BODY_LIMIT, read_body},
    rights::ScimCapability,
    state::{AppState, now, random},
};
use answer::{Answer, Error};
use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Path, Query, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::IntoResponse as _,
    routing::{get, post},
};
use query::{Asked, answered};
use schema::{KINDS, Kind};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use store::{Change, FactsOf, ScimDone, ScimKind, ScimPut, ScimRow, StoreError};
use types::{Imsi, Name, Person, SignalSource, SourceKind};

/// Parameters of a query.
type Params = Query<HashMap<String, String>>;

/// So often a change is tried where others change the same resource.
const TRIES: u32 = 5;

/// The addresses of provisioning clients.
pub(super) fn routes() -> Router<AppState> {
    let at = |path: &str| format!("/signals/{{source}}/scim/v2{path}");
    Router::new()
        .route(&at("/ServiceProviderConfig"), get(about::config))
        .route(&at("/ResourceTypes"), get(about::types))
        .route(&at("/ResourceTypes/{id}"), get(about::one_type))
        .route(&at("/Schemas"), get(about::schemas))
        .route(&at("/Schemas/{id}"), get(about::one_schema))
        .route(&at("/.search"), post(query::search_all))
        .route(&at("/{kind}/.search"), post(query::search))
        .route(&at("/{kind}"), get(query::list).post(create))
        .route(&at("/{kind}/{id}"), get(read).put(write).patch(write).delete(delete))
}

/// A provisioning client that may speak for this source.
pub(super) struct Client {
    right: ScimCapability,
    source: SignalSource,
}

impl FromRequestParts<AppState> for Client {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, s: &AppState) -> Result<Self, Error> {
        // A browser sends its cookie whoever asks it to: only a token that is shown counts here.
        if parts.extensions.get::<ByCookie>().is_some() {
            return Err(Error::new(StatusCode::UNAUTHORIZED, None, "a bearer token is needed"));
        }
        let right = ScimCapability::from_request_parts(parts, s).await.map_err(|p| {
            let status = StatusCode::from_u16(p.status()).unwrap_or(StatusCode::FORBIDDEN);
            Error::new(status, None, "a token with the scope scim, and without limits, is needed")
        })?;
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, s).await;
        let name = path.ok().and_then(|Path(all)| all.get("source").cloned()).unwrap_or_default();
        let name: Name = name.parse().map_err(|_| Error::not_found())?;
        let source = s.store.signal_source(&name).await?.source.value;
        if source.kind != SourceKind::Scim {
            return Err(Error::not_found());
        }
        Ok(Self { right, source })
    }
}

impl Client {
    /// Where its resources are.
    fn root(&self) -> String {
        format!("/signals/{}/scim/v2", self.source.name)
    }

    fn change(&self) -> Change {
        self.right.caller().change(&format!("told by the signal source {}", self.source.name), now())
    }

    /// Notes how it went, for the counters and for people. That something is not there is an answer like another.
    async fn noted(&self, s: &AppState, answer: Answer) -> Answer {
        let how = match &answer {
            Ok(_) => Ok(()),
            Err(e) if e.status == StatusCode::NOT_FOUND => Ok(()),
            Err(e) => Err(("scim", e.detail.as_str())),
        };
        note(s, Some(&self.source.name), how).await;
        answer
    }
}

fn kind_of(path: &str) -> Result<Kind, Error> {
    KINDS.into_iter().find(|k| k.endpoint.trim_start_matches('/') == path).ok_or_else(Error::not_found)
}

/// A precondition of §3.14.
enum Expect {
    Any,
    Version(u64),
}

impl Expect {
    fn read(headers: &HeaderMap) -> Result<Self, Error> {
        let Some(value) = headers.get(header::IF_MATCH) else { return Ok(Self::Any) };
        match value.to_str().map(str::trim) {
            Ok("*") => Ok(Self::Any),
            Ok(tag) => version(tag).map(Self::Version).ok_or_else(Error::stale),
            Err(_) => Err(Error::stale()),
        }
    }

    fn version(&self) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Version(v) => Some(*v),
        }
    }
}

/// The version that an entity tag of ours names.
fn version(tag: &str) -> Option<u64> {
    tag.trim_start_matches("W/").strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// The object of a request.
async fn sent(body: Body) -> Result<Map<String, Value>, Error> {
    let octets = read_body(body, BODY_LIMIT).await.map_err(|_| Error::too_large())?;
    match serde_json::from_slice(&octets) {
        Ok(Value::Object(o)) => Ok(o),
        Ok(_) => Err(Error::invalid("invalidSyntax", "the body is no JSON object")),
        Err(_) => Err(Error::invalid("invalidSyntax", "the body is not JSON")),
    }
}

/// Whom a group's attribute names; it is kept beside the attributes.
fn take_members(kind: &Kind, body: &mut Map<String, Value>) -> Result<Option<BTreeSet<String>>, Error> {
    if kind.is != ScimKind::Group {
        return Ok(None);
    }
    let all = body.remove("members");
    let all = all.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let id = |v: &Value| {
        let id = v.get("value").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| Error::invalid("invalidValue", "a member has its id in value"))
    };
    all.iter().map(id).collect::<Result<_, _>>().map(Some)
}

async fn read(
    client: Client,
    State(s): State<AppState>,
    Path((_, kind, id)): Path<(String, String, String)>,
    Query(q): Params,
    headers: HeaderMap,
) -> Answer {
    let answer = async {
        let kind = kind_of(&kind)?;
        let row = s.store.scim_row(&client.source.name, kind.is, &id).await?;
        let seen = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).and_then(version);
        if seen == Some(row.version) {
            return Ok(StatusCode::NOT_MODIFIED.into_response());
        }
        answered(&s, &client, StatusCode::OK, &kind, &row, &Asked::of(&q)).await
    };
    client.noted(&s, answer.await).await
}

async fn create(
    client: Client,
    State(s): State<AppState>,
    Path((_, kind)): Path<(String, String)>,
    Query(q): Params,
    body: Body,
) -> Answer {
    let answer = async {
        let kind = kind_of(&kind)?;
        let mut body = kind.read(&sent(body).await?)?;
        let members = take_members(&kind, &mut body)?;
        let person = match kind.is {
            ScimKind::User => Some(person::of_new(&s, &body).await?),
            ScimKind::Group => None,
        };
        let at = now();
        let said = Said::of(&kind, body);
        let row = ScimRow {
            id: uuid()?,
            source: client.source.name.clone(),
            kind: kind.is,
            key: said.key,
            external: said.external,
            person: person.as_ref().map(|p| p.id.clone()),
            body: said.body,
            version: 1,
            created: at,
            changed: at,
        };
        let done = s.store.create_scim(ScimPut { row, members, person }, &client.change()).await?;
        tell(&s, &done).await;
        answered(&s, &client, StatusCode::CREATED, &kind, &done.row, &Asked::of(&q)).await
    };
    client.noted(&s, answer.await).await
}

/// What of a row its attributes say.
struct Said {
    key: String,
    external: Option<String>,
    body: String,
}

impl Said {
    fn of(kind: &Kind, body: Map<String, Value>) -> Self {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let key = match kind.is {
            ScimKind::User => text("userName"),
            ScimKind::Group => text("displayName"),
        };
        Self {
            key: key.to_lowercase(),
            external: Some(text("externalId").to_owned()).filter(|t| !t.is_empty()),
            body: Value::Object(body).to_string(),
        }
    }
}

/// Replaces a resource, or changes parts of it (PATCH).
async fn write(
    client: Client,
    State(s): State<AppState>,
    Path((_, kind, id)): Path<(String, String, String)>,
    Query(q): Params,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let (kind, expect) = (kind_of(&kind)?, Expect::read(&headers)?);
        let sent = sent(body).await?;
        for _ in 0..TRIES {
            let row = s.store.scim_row(&client.source.name, kind.is, &id).await?;
            let body = if method == Method::PATCH {
                patch::apply(&kind, &query::attributes(&s, &client, &kind, &row, true).await?, &sent)?
            } else {
                kind.read(&sent)?
            };
            match stored(&s, &client, &kind, row, body, &expect, &q).await {
                // Where the client names no version, what others changed meanwhile is changed with it.
                Err(e) if e.is_stale() && expect.version().is_none() => {}
                done => return done,
            }
        }
        Err(Error::unavailable())
    };
    client.noted(&s, answer.await).await
}

async fn stored(
    s: &AppState,
    client: &Client,
    kind: &Kind,
    row: ScimRow,
    mut body: Map<String, Value>,
    expect: &Expect,
    q: &HashMap<String, String>,
) -> Answer {
    // What was read is what is changed, whether the client says so or not.
    let expect = expect.version().unwrap_or(row.version);
    let members = take_members(kind, &mut body)?;
    let person = row.person.clone().map(|id| person::of(id, &body, person::was_active(&row.body)));
    let said = Said::of(kind, body);
    let row = ScimRow { key: said.key, external: said.external, body: said.body, ..row };
    let put = ScimPut { row, members, person };
    let done = s.store.replace_scim(put, Some(expect), &client.change()).await?;
    tell(s, &done).await;
    answered(s, client, StatusCode::OK, kind, &done.row, &Asked::of(q)).await
}

async fn delete(
    client: Client,
    State(s): State<AppState>,
    Path((_, kind, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Answer {
    let answer = async {
        let (kind, expect) = (kind_of(&kind)?, Expect::read(&headers)?);
        let row = s.store.scim_row(&client.source.name, kind.is, &id).await?;
        let moved = s.store.delete_scim(row.clone(), expect.version(), &client.change()).await?;
        tell(&s, &ScimDone { row, moved }).await;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    client.noted(&s, answer.await).await
}

/// What follows is in force before the client is answered.
async fn tell(s: &AppState, done: &ScimDone) {
    tell_moved(s, &done.moved).await;
    let Some(id) = done.row.person.clone() else { return };
    let ends_at = s.store.entity::<Person>(&id).await.ok().and_then(|p| p.value.ends_at);
    tell_facts(s, FactsOf::People(vec![id])).await;
    if ends_at.is_some_and(|at| at <= now()) {
        // What was proved app by app is over as well.
        put_in_force(s).await;
    }
}

async fn tell_moved(s: &AppState, moved: &[Imsi]) {
    for imsi in moved {
        tell_of(s, *imsi).await;
    }
    if !moved.is_empty() {
        put_in_force(s).await;
    }
}

/// Puts the SIMs of every source's people into the groups that it says, where something changed elsewhere.
pub(crate) async fn follow(s: &AppState) {
    let Ok(all) = s.store.signal_sources().await else { return };
    for source in all.into_iter().map(|r| r.source.value).filter(|v| !v.groups.is_empty()) {
        follow_one(s, &source.name).await;
    }
}

/// As [`follow`], of one source.
pub(crate) async fn follow_one(s: &AppState, source: &Name) {
    let change = Change::by_system(&format!("signal source {source}"), now());
    match s.store.follow_scim(source, &change).await {
        Ok(moved) => tell_moved(s, &moved).await,
        Err(StoreError::NotFound) => {}
        Err(e) => tracing::warn!(%source, "groups of people of {source} could not be followed: {e}"),
    }
}

fn uuid() -> Result<String, Error> {
    let octets = random::<16>().map_err(|_| Error::unavailable())?;
    let hex = types::hex(&octets);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    Ok(parts.iter().filter_map(|(a, b)| hex.get(*a..*b)).collect::<Vec<_>>().join("-"))
}
