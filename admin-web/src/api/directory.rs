//! What people, devices and sites have in common: made, changed and deleted by id and version, listed, and linked to
//! SIMs.
//!
//! They have no groups and no site of their own: who is limited sees those that a SIM within the limits is linked to,
//! changes those all of whose SIMs lie within, and makes and deletes none.

use crate::{
    api::{
        List,
        documents::{Kept, stamped},
    },
    check::Check,
    problem::{FieldError, Problem, say},
    request::{IfMatch, page_limit},
    rights::{DirectoryCapability, Limited, Reach, ReadCapability, outside},
    state::{AppState, now},
};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Clash, Entity, Named as _, SimLinks, StoreError, Versioned};
use types::{Device, Imsi, Name, Person, Site};
use utoipa::IntoParams;

/// A page of those that are kept: reads on until it is full or the list is at its end.
macro_rules! filtered {
    ($limit:expr, $cursor:expr, |$after:ident| $read:expr, $keep:expr, $key:expr) => {{
        let (limit, mut cursor) = ($limit as usize, $cursor);
        let mut items = Vec::new();
        loop {
            let $after: Option<&str> = cursor.as_deref();
            let page = $read.await?;
            items.extend(page.items.into_iter().filter($keep));
            cursor = page.next;
            if items.len() > limit || cursor.is_none() {
                break;
            }
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map($key);
        store::Page { items, next }
    }};
}
pub(crate) use filtered;

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Search {
    /// Only those that hold this in their id, name, number or description.
    pub(crate) q: Option<String>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    pub(crate) limit: Option<u32>,
}

/// A kind of thing that SIMs are linked to.
pub(crate) trait Listed: Entity {
    /// Its form in requests and answers.
    type Body: Serialize + Send;
    /// The collection's path.
    const PATH: &'static str;
    /// True where who is limited may change one whose SIMs all lie within.
    const CHANGED_WITHIN: bool;
    /// Reads a body; every finding goes to `check`.
    fn read(body: Self::Body, check: &mut Check) -> Option<Self>;
    /// The body of a stored thing.
    fn body(self) -> Self::Body;
    /// The person that it names.
    fn owner(&self) -> Option<&Name>;
    /// Its SIMs.
    async fn sims(s: &AppState, id: &Name) -> Result<Vec<Imsi>, StoreError>;
    /// The SIMs of which something else is known once it has changed.
    fn touched(id: &Name) -> store::FactsOf;
    /// Those of its kind that SIMs are linked to.
    fn among(linked: &store::Linked) -> &BTreeSet<Name>;
}

pub(crate) async fn list<T: Listed>(
    s: &AppState,
    right: &Limited<ReadCapability>,
    q: Search,
) -> Result<Json<List<Kept<T::Body>>>, Problem> {
    let limit = page_limit(q.limit)?;
    let text = q.q.as_deref().filter(|t| !t.is_empty());
    let Some(seen) = seen::<T>(s, right.reach()).await? else {
        let page = s.store.entities::<T>(text, q.cursor.as_deref(), limit).await?;
        return Ok(List::of(page, kept));
    };
    let page = filtered!(
        limit,
        q.cursor,
        |after| s.store.entities::<T>(text, after, CHUNK),
        |v: &Versioned<T>| seen.contains(v.value.id()),
        |v: &Versioned<T>| v.value.id().to_string()
    );
    Ok(List::of(page, kept))
}

pub(crate) async fn get<T: Listed>(
    s: &AppState,
    right: &Limited<ReadCapability>,
    id: &Name,
) -> Result<Response, Problem> {
    if seen::<T>(s, right.reach()).await?.is_some_and(|seen| !seen.contains(id)) {
        return Err(outside());
    }
    Ok(answer(StatusCode::OK, s.store.entity::<T>(id).await.map_err(|e| explained::<T>(id, e))?))
}

pub(crate) async fn create<T: Listed>(
    s: &AppState,
    right: &DirectoryCapability,
    body: T::Body,
) -> Result<Response, Problem> {
    let value = checked::<T>(s, body).await?;
    let id = value.id().clone();
    let made = s.store.create_entity(value, &right.caller().change("", now())).await;
    let mut r = answer(StatusCode::CREATED, made.map_err(|e| explained::<T>(&id, e))?);
    tell_facts(s, T::touched(&id)).await;
    if let Ok(v) = HeaderValue::from_str(&format!("{}/{id}", T::PATH)) {
        r.headers_mut().insert(header::LOCATION, v);
    }
    Ok(r)
}

pub(crate) async fn replace<T: Listed>(
    s: &AppState,
    right: Limited<DirectoryCapability>,
    id: Name,
    expect: IfMatch,
    body: T::Body,
) -> Result<Response, Problem> {
    let value = checked::<T>(s, body).await?;
    if *value.id() != id {
        return Err(Problem::field(
            "/id",
            say!("the path names {id}", "パスの ID は {id} です"),
            Some(say!(
                "an id is not changed: make a new one and delete the old one",
                "ID は変更できません。新しく作成して古いものを削除してください"
            )),
        ));
    }
    whole_of::<T>(s, right.reach(), &value).await?;
    let change = right.caller().change("", now());
    let made = s.store.replace_entity(value, expect.0, &change).await.map_err(|e| explained::<T>(&id, e))?;
    tell_facts(s, T::touched(&id)).await;
    Ok(answer(StatusCode::OK, made))
}

pub(crate) async fn delete<T: Listed>(
    s: &AppState,
    right: &DirectoryCapability,
    id: Name,
    expect: IfMatch,
) -> Result<StatusCode, Problem> {
    let change = right.caller().change("", now());
    match s.store.delete_entity::<T>(id.clone(), expect.0, &change).await {
        Err(StoreError::Conflict { what: Clash::Reference }) => Err(in_use::<T>(s, &id).await?),
        r => r.map(|()| StatusCode::NO_CONTENT).map_err(|e| explained::<T>(&id, e)),
    }
}

/// What is known of SIMs is other than before. Should the running system not answer, it is stored all the same.
pub(crate) async fn tell_facts(s: &AppState, of: store::FactsOf) {
    if let Err(e) = s.control.facts_stored(of).await {
        tracing::error!("what is known of SIMs is stored but not judged by yet: {e}");
    }
}

/// Refuses the deletion of something that is linked, and names what it is linked to.
async fn in_use<T: Listed>(s: &AppState, id: &Name) -> Result<Problem, Problem> {
    const NAMED: u32 = 20;
    let linked = s.store.linked_to::<T>(id, NAMED).await?;
    let words = linked.join(", ");
    Ok(Problem::new(409, "in-use", say!("It is still in use", "まだ使われています"))
        .detail(say!("linked to {words}", "リンク元: {words}"))
        .fix(say!("take the links away first", "先にリンクを外してください"))
        .with("linked", serde_json::json!(linked)))
}

/// The ids that who is limited sees; `None` where nothing is limited.
async fn seen<T: Listed>(s: &AppState, reach: &Reach) -> Result<Option<BTreeSet<Name>>, Problem> {
    let Reach::Within(limits) = reach else { return Ok(None) };
    let sims = s.store.sims_within(limits).await?;
    let linked = s.store.linked(&sims).await?;
    let mut seen = T::among(&linked).clone();
    if T::KIND == Site::KIND {
        seen.extend(limits.iter().flat_map(|w| w.sites.iter().cloned()));
    }
    Ok(Some(seen))
}

/// Refuses where who is limited would change something that other SIMs hang on.
async fn whole_of<T: Listed>(s: &AppState, reach: &Reach, value: &T) -> Result<(), Problem> {
    let Reach::Within(limits) = reach else { return Ok(()) };
    if !T::CHANGED_WITHIN {
        return Err(outside());
    }
    let within = s.store.sims_within(limits).await?;
    let sims = T::sims(s, value.id()).await?;
    let whole = !sims.is_empty() && sims.iter().all(|i| within.contains(i));
    // Nor may it be given to somebody outside: a ban of a person takes what is the person's along.
    let linked = s.store.linked(&within).await?;
    if whole && value.owner().is_none_or(|o| linked.people.contains(o)) { Ok(()) } else { Err(outside()) }
}

/// Rows read at once where most of them may be left out.
pub(crate) const CHUNK: u32 = 1000;

async fn checked<T: Listed>(s: &AppState, body: T::Body) -> Result<T, Problem> {
    let mut check = Check::default();
    let value = T::read(body, &mut check);
    let value = check.finish(value)?;
    let mut check = Check::default();
    there::<Person>(s, &mut check, "/owner", value.owner()).await?;
    check.done()?;
    Ok(value)
}

/// Checks that what a SIM is linked to is there.
pub(crate) async fn check_links(s: &AppState, links: &SimLinks) -> Result<(), Problem> {
    let mut check = Check::default();
    there::<Device>(s, &mut check, "/device_id", links.device.as_ref()).await?;
    there::<Person>(s, &mut check, "/person", links.person.as_ref()).await?;
    there::<Site>(s, &mut check, "/site", links.site.as_ref()).await?;
    check.done()
}

async fn there<T: Entity>(
    s: &AppState,
    check: &mut Check,
    pointer: &str,
    id: Option<&Name>,
) -> Result<(), Problem> {
    let Some(id) = id else { return Ok(()) };
    match s.store.entity::<T>(id).await {
        Ok(_) => {}
        Err(StoreError::NotFound) => {
            let kind = T::KIND;
            check.add(
                pointer,
                say!("there is no {kind} {id}", "{id} は登録されていません"),
                Some(say!(
                    "make it first, or name one that exists",
                    "先に作成するか、既存のものを指定してください"
                )),
            );
        }
        Err(e) => return Err(e.into()),
    }
    Ok(())
}

fn explained<T: Entity>(id: &Name, e: StoreError) -> Problem {
    let kind = T::KIND;
    match e {
        StoreError::NotFound => {
            Problem::not_found(say!("there is no {kind} {id}", "{id} は登録されていません"))
        }
        StoreError::Conflict { what: Clash::Name } => {
            Problem::new(409, "conflict", say!("It clashes with what is there", "既存のデータと重複します"))
                .fields(vec![FieldError {
                    pointer: "/id".to_owned(),
                    detail: say!("there is one with this id", "同じ ID のものがあります"),
                    fix: Some(say!(
                        "choose another id, or change the one that is there",
                        "別の ID にするか、既存のものを変更してください"
                    )),
                }])
        }
        e => e.into(),
    }
}

fn kept<T: Listed>(v: Versioned<T>) -> Kept<T::Body> {
    Kept::of(v.value.body(), v.version, v.created, v.changed)
}

fn answer<T: Listed>(status: StatusCode, v: Versioned<T>) -> Response {
    stamped(status, v.version, kept(v))
}

/// The five handlers of one kind.
macro_rules! directory_handlers {
    ($t:ty, $body:ident, $tag:tt, $collection:tt, $one:tt) => {
        /// Lists them by id. Who is limited sees those that SIMs within the limits are linked to.
        #[utoipa::path(get, path = $collection, tag = $tag, params(Search), security(("token" = ["read"])),
            responses((status = 200, body = List<Kept<$body>>)))]
        pub(crate) async fn list(
            right: Limited<ReadCapability>,
            State(s): State<AppState>,
            Params(q): Params<Search>,
        ) -> Result<axum::Json<List<Kept<$body>>>, Problem> {
            directory::list::<$t>(&s, &right, q).await
        }

        /// Makes one.
        #[utoipa::path(post, path = $collection, tag = $tag, params(IdempotencyKey), request_body = $body,
            security(("token" = ["directory"])), responses((status = 201, body = Kept<$body>)))]
        pub(crate) async fn create(
            right: DirectoryCapability,
            State(s): State<AppState>,
            Body(body): Body<$body>,
        ) -> Result<Response, Problem> {
            directory::create::<$t>(&s, &right, body).await
        }

        /// Reads one.
        #[utoipa::path(get, path = $one, tag = $tag, params(("id" = String, Path)),
            security(("token" = ["read"])), responses((status = 200, body = Kept<$body>)))]
        pub(crate) async fn get(
            right: Limited<ReadCapability>,
            State(s): State<AppState>,
            PathOf(id): PathOf<Name>,
        ) -> Result<Response, Problem> {
            directory::get::<$t>(&s, &right, &id).await
        }

        /// Replaces one.
        #[utoipa::path(put, path = $one, tag = $tag, params(("id" = String, Path), IfMatchHeader), request_body = $body,
            security(("token" = ["directory"])), responses((status = 200, body = Kept<$body>)))]
        pub(crate) async fn replace(
            right: Limited<DirectoryCapability>,
            State(s): State<AppState>,
            PathOf(id): PathOf<Name>,
            expect: IfMatch,
            Body(body): Body<$body>,
        ) -> Result<Response, Problem> {
            directory::replace::<$t>(&s, right, id, expect, body).await
        }

        /// Deletes one that nothing is linked to. If something is, the problem names it.
        #[utoipa::path(delete, path = $one, tag = $tag, params(("id" = String, Path), IfMatchHeader),
            security(("token" = ["directory"])), responses((status = 204, description = "Deleted")))]
        pub(crate) async fn delete(
            right: DirectoryCapability,
            State(s): State<AppState>,
            PathOf(id): PathOf<Name>,
            expect: IfMatch,
        ) -> Result<StatusCode, Problem> {
            directory::delete::<$t>(&s, &right, id, expect).await
        }
    };
}
pub(crate) use directory_handlers;
