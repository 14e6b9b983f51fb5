//! What a user says of a person of the directory.

use super::{answer::Error, schema::ENTERPRISE};
use crate::state::AppState;
use serde_json::{Map, Value};
use store::{Clash, ScimLife, ScimPerson, StoreError};
use types::{Name, Person};

/// People looked at who hold a text somewhere.
const LOOKED_AT: u32 = 50;

/// True where a stored user is active; `None` where nothing was said.
pub(super) fn was_active(body: &str) -> Option<bool> {
    serde_json::from_str::<Value>(body).ok()?.get("active")?.as_bool()
}

/// Of a user that is there: `was` says whether it was active.
pub(super) fn of(id: Name, body: &Map<String, Value>, was: Option<bool>) -> ScimPerson {
    let life = match (was, active(body)) {
        (_, Some(false)) => ScimLife::Ended,
        // Only a client that changes its mind brings somebody back: not every word about someone whom another has ended.
        (Some(false) | None, Some(true)) => ScimLife::Back,
        _ => ScimLife::Same,
    };
    said(id, body, life)
}

/// Of a user that is new: somebody who is in the directory already, by the client's id or by mail, or somebody new.
pub(super) async fn of_new(s: &AppState, body: &Map<String, Value>) -> Result<ScimPerson, Error> {
    let id = match known(s, body).await? {
        Some(id) => id,
        None => free_id(s, text(body.get("userName")).unwrap_or_default()).await?,
    };
    let life = if active(body) == Some(false) { ScimLife::Ended } else { ScimLife::Same };
    Ok(said(id, body, life))
}

fn active(body: &Map<String, Value>) -> Option<bool> {
    body.get("active").and_then(Value::as_bool)
}

fn text(v: Option<&Value>) -> Option<&str> {
    v.and_then(Value::as_str).map(str::trim).filter(|t| !t.is_empty())
}

fn said(id: Name, body: &Map<String, Value>, life: ScimLife) -> ScimPerson {
    let extension = body.get(ENTERPRISE).and_then(Value::as_object);
    ScimPerson {
        id,
        name: name(body).chars().take(200).collect(),
        mail: mail(body).map(str::to_owned),
        employee: text(extension.and_then(|o| o.get("employeeNumber"))).map(str::to_owned),
        external: external(body).map(str::to_owned),
        life,
    }
}

/// The client's id; where it has none, the name by which they sign in.
fn external(body: &Map<String, Value>) -> Option<&str> {
    text(body.get("externalId")).or_else(|| text(body.get("userName")))
}

fn name(body: &Map<String, Value>) -> String {
    let name = body.get("name").and_then(Value::as_object);
    let part = |n: &str| text(name.and_then(|o| o.get(n)));
    let whole = text(body.get("displayName")).or_else(|| part("formatted")).map(str::to_owned);
    let both = || {
        let both: Vec<&str> = [part("givenName"), part("familyName")].into_iter().flatten().collect();
        (!both.is_empty()).then(|| both.join(" "))
    };
    whole.or_else(both).unwrap_or_else(|| text(body.get("userName")).unwrap_or_default().to_owned())
}

/// The main mail address, else the first, else a userName that is one.
fn mail(body: &Map<String, Value>) -> Option<&str> {
    let all = body.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_main = |m: &&Value| m.get("primary").and_then(Value::as_bool) == Some(true);
    let main = all.iter().find(is_main).or_else(|| all.first());
    let said = text(main.and_then(|m| m.get("value"))).or_else(|| text(body.get("userName")));
    said.filter(|m| m.contains('@') && m.len() <= 320)
}

/// Somebody who is there already, and is nobody else's user.
async fn known(s: &AppState, body: &Map<String, Value>) -> Result<Option<Name>, Error> {
    let taken = || Error::from(StoreError::Conflict { what: Clash::External });
    if let Some(id) = external(body)
        && let [p] = found(s, id, |p| p.external.as_deref() == Some(id)).await?.as_slice()
    {
        return if s.store.is_scim_person(p).await? { Err(taken()) } else { Ok(Some(p.clone())) };
    }
    let Some(mail) = mail(body) else { return Ok(None) };
    let is = |p: &Person| {
        p.external.is_none() && p.mail.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(mail))
    };
    // Two people with one address are nobody in particular.
    match found(s, mail, is).await?.as_slice() {
        [p] if !s.store.is_scim_person(p).await? => Ok(Some(p.clone())),
        _ => Ok(None),
    }
}

async fn found(s: &AppState, word: &str, is: impl Fn(&Person) -> bool) -> Result<Vec<Name>, Error> {
    let page = s.store.entities::<Person>(Some(word), None, LOOKED_AT).await?;
    Ok(page.items.into_iter().map(|v| v.value).filter(is).map(|p| p.id).collect())
}

/// An id of the name before the @, with a number behind it where that is taken.
async fn free_id(s: &AppState, user_name: &str) -> Result<Name, Error> {
    let local = user_name.split('@').next().unwrap_or_default().to_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let all: String = local.chars().map(plain).take(50).collect();
    let all = all.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let base = if all.is_empty() { "user" } else { all };
    for n in 1..1000 {
        let text = if n == 1 { base.to_owned() } else { format!("{base}-{n}") };
        let id: Name = text.parse().map_err(|_| Error::invalid("invalidValue", "userName makes no id"))?;
        match s.store.entity::<Person>(&id).await {
            Err(StoreError::NotFound) => return Ok(id),
            Err(e) => return Err(e.into()),
            Ok(_) => {}
        }
    }
    Err(StoreError::Conflict { what: Clash::Name }.into())
}
