//! Lists and searches (RFC 7644 §3.4), and what of a resource is shown.

use super::{
    Client, Params,
    answer::{Answer, Error, say},
    filter::{Filter, Path as Attribute},
    kind_of,
    schema::{KINDS, Kind},
    sent,
};
use crate::state::AppState;
use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderName, StatusCode, header},
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use store::{ScimAsk, ScimKind, ScimRow};

/// Most resources of one answer.
pub(super) const PAGE: u64 = 200;
/// Rows read at once where a filter looks at each.
const CHUNK: u64 = 500;

/// What of a resource is wanted (§3.9).
#[derive(Default)]
pub(super) struct Asked {
    only: Vec<Attribute>,
    not: Vec<Attribute>,
}

/// Which resources are wanted, and from where on.
struct Wanted {
    filter: Option<Filter>,
    skip: u64,
    count: u64,
    asked: Asked,
}

impl Asked {
    /// As the parameters of a query say.
    pub(super) fn of(q: &HashMap<String, String>) -> Self {
        let names = |key: &str| q.get(key).map(|t| paths(t.split(','))).unwrap_or_default();
        Self { only: names("attributes"), not: names("excludedAttributes") }
    }

    /// True where somebody looks at it.
    fn shows(&self, attr: &str) -> bool {
        let is = |p: &Attribute| p.attr.eq_ignore_ascii_case(attr);
        (self.only.is_empty() || self.only.iter().any(is))
            && !self.not.iter().any(|p| is(p) && p.sub.is_none())
    }

    fn project(&self, whole: Value) -> Value {
        const ALWAYS: [&str; 3] = ["schemas", "id", "meta"];
        let Value::Object(mut whole) = whole else { return whole };
        if !self.only.is_empty() {
            let mut seen = Map::new();
            for p in &self.only {
                p.copy(&whole, &mut seen);
            }
            for name in ALWAYS {
                if let Some(v) = whole.get(name) {
                    seen.insert(name.to_owned(), v.clone());
                }
            }
            whole = seen;
        }
        for p in self
            .not
            .iter()
            .filter(|p| p.urn.is_some() || !ALWAYS.iter().any(|a| a.eq_ignore_ascii_case(&p.attr)))
        {
            p.cut(&mut whole);
        }
        Value::Object(whole)
    }
}

/// What cannot be read is not there to be shown.
fn paths<'t>(names: impl Iterator<Item = &'t str>) -> Vec<Attribute> {
    names.filter_map(|n| Attribute::read(n.trim()).ok()).collect()
}

impl Wanted {
    fn of(q: &HashMap<String, String>) -> Result<Self, Error> {
        let number = |key: &str| match q.get(key).map(|t| t.trim().parse::<i64>()) {
            None => Ok(None),
            Some(Ok(n)) => Ok(Some(n)),
            Some(Err(_)) => Err(Error::invalid("invalidValue", format!("{key} is a number"))),
        };
        Self::new(q.get("filter").map(String::as_str), number("startIndex")?, number("count")?, Asked::of(q))
    }

    /// Of the body of a search (§3.4.3).
    fn of_body(body: &Map<String, Value>) -> Result<Self, Error> {
        let find = |name: &str| body.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let names = |key: &str| {
            let all = find(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            paths(all.iter().filter_map(Value::as_str))
        };
        let number = |key: &str| match find(key) {
            None | Some(Value::Null) => Ok(None),
            Some(v) => match v.as_i64() {
                Some(n) => Ok(Some(n)),
                None => Err(Error::invalid("invalidValue", format!("{key} is a number"))),
            },
        };
        let asked = Asked { only: names("attributes"), not: names("excludedAttributes") };
        let filter = find("filter").and_then(Value::as_str);
        Self::new(filter, number("startIndex")?, number("count")?, asked)
    }

    fn new(
        filter: Option<&str>,
        start: Option<i64>,
        count: Option<i64>,
        asked: Asked,
    ) -> Result<Self, Error> {
        let filter = filter.filter(|f| !f.trim().is_empty()).map(Filter::read).transpose();
        let filter = filter.map_err(|_| Error::invalid("invalidFilter", "the filter cannot be read"))?;
        // §3.4.2.4: less than 1 is 1, and a negative count is 0.
        let skip = u64::try_from(start.unwrap_or(1).saturating_sub(1)).unwrap_or(0);
        let count = u64::try_from(count.unwrap_or(PAGE as i64)).unwrap_or(0).min(PAGE);
        Ok(Self { filter, skip, count, asked })
    }

    /// What the store itself can look for.
    fn ask(&self, kind: &Kind) -> Option<ScimAsk<'_>> {
        let Some(filter) = &self.filter else { return Some(ScimAsk::All) };
        let key = match kind.is {
            ScimKind::User => "userName",
            ScimKind::Group => "displayName",
        };
        filter.only_eq(key).map(ScimAsk::Key).or_else(|| filter.only_eq("externalId").map(ScimAsk::External))
    }
}

fn etag(version: u64) -> String {
    format!("W/\"{version}\"")
}

/// The attributes of a row, with a group's members where they are wanted.
pub(super) async fn attributes(
    s: &AppState,
    client: &Client,
    kind: &Kind,
    row: &ScimRow,
    members: bool,
) -> Result<Map<String, Value>, Error> {
    let mut body: Map<String, Value> = serde_json::from_str(&row.body).unwrap_or_default();
    if kind.is == ScimKind::Group && members {
        let root = client.root();
        let all = s.store.scim_members(&row.id).await?;
        let shown = all.iter().map(|m| {
            let (is, id) = (m.kind.as_str(), &m.id);
            json!({ "value": id, "type": is, "$ref": format!("{root}/{is}s/{id}") })
        });
        super::schema::put(&mut body, "members", Value::Array(shown.collect()));
    }
    Ok(body)
}

/// A resource as the client sees it.
async fn shown(
    s: &AppState,
    client: &Client,
    kind: &Kind,
    row: &ScimRow,
    members: bool,
) -> Result<Value, Error> {
    let mut body = attributes(s, client, kind, row, members).await?;
    let schemas = kind.schemas(&body);
    body.insert("schemas".to_owned(), schemas);
    body.insert("id".to_owned(), json!(row.id));
    let time = crate::check::rfc3339;
    body.insert(
        "meta".to_owned(),
        json!({ "resourceType": kind.is.as_str(), "created": time(row.created), "lastModified": time(row.changed),
                "location": location(client, kind, row), "version": etag(row.version) }),
    );
    Ok(Value::Object(body))
}

fn location(client: &Client, kind: &Kind, row: &ScimRow) -> String {
    format!("{}{}/{}", client.root(), kind.endpoint, row.id)
}

/// One resource, in the answer to a request that names it.
pub(super) async fn answered(
    s: &AppState,
    client: &Client,
    status: StatusCode,
    kind: &Kind,
    row: &ScimRow,
    asked: &Asked,
) -> Answer {
    let whole = shown(s, client, kind, row, asked.shows("members")).await?;
    let mut r = say(status, &asked.project(whole));
    let head: [(HeaderName, String); 2] =
        [(header::ETAG, etag(row.version)), (header::LOCATION, location(client, kind, row))];
    for (name, value) in head {
        if let Ok(v) = value.parse() {
            r.headers_mut().insert(name, v);
        }
    }
    Ok(r)
}

/// Those that fit: how many there are, and those of the page.
async fn find(
    s: &AppState,
    client: &Client,
    kind: &Kind,
    w: &Wanted,
    skip: u64,
    count: u64,
) -> Result<(u64, Vec<Value>), Error> {
    let (source, see) = (&client.source.name, w.asked.shows("members"));
    let mut page = Vec::new();
    if let Some(ask) = w.ask(kind) {
        let (rows, total) = s.store.scim_page(source, kind.is, ask, skip, count).await?;
        for row in &rows {
            page.push(w.asked.project(shown(s, client, kind, row, see).await?));
        }
        return Ok((total, page));
    }
    let Some(filter) = &w.filter else { return Ok((0, page)) };
    let see = see || filter.mentions("members");
    let (mut total, mut read) = (0, 0);
    loop {
        let (rows, _) = s.store.scim_page(source, kind.is, ScimAsk::All, read, CHUNK).await?;
        for row in &rows {
            let whole = shown(s, client, kind, row, see).await?;
            if !filter.fits(&whole) {
                continue;
            }
            if total >= skip && (page.len() as u64) < count {
                page.push(w.asked.project(whole));
            }
            total += 1;
        }
        read += CHUNK;
        if (rows.len() as u64) < CHUNK {
            return Ok((total, page));
        }
    }
}

/// A list over these kinds, one behind the other.
async fn listed(s: &AppState, client: &Client, kinds: &[Kind], w: &Wanted) -> Answer {
    let (mut total, mut page) = (0, Vec::new());
    for kind in kinds {
        let skip = w.skip.saturating_sub(total);
        let (n, found) = find(s, client, kind, w, skip, w.count - page.len() as u64).await?;
        total += n;
        page.extend(found);
    }
    Ok(say(
        StatusCode::OK,
        &json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": total,
                 "startIndex": w.skip + 1, "itemsPerPage": page.len(), "Resources": page }),
    ))
}

pub(super) async fn list(
    client: Client,
    State(s): State<AppState>,
    Path((_, kind)): Path<(String, String)>,
    Query(q): Params,
) -> Answer {
    let answer = async { listed(&s, &client, &[kind_of(&kind)?], &Wanted::of(&q)?).await };
    client.noted(&s, answer.await).await
}

pub(super) async fn search(
    client: Client,
    State(s): State<AppState>,
    Path((_, kind)): Path<(String, String)>,
    body: Body,
) -> Answer {
    let answer =
        async { listed(&s, &client, &[kind_of(&kind)?], &Wanted::of_body(&sent(body).await?)?).await };
    client.noted(&s, answer.await).await
}

pub(super) async fn search_all(client: Client, State(s): State<AppState>, body: Body) -> Answer {
    let answer = async { listed(&s, &client, &KINDS, &Wanted::of_body(&sent(body).await?)?).await };
    client.noted(&s, answer.await).await
}
