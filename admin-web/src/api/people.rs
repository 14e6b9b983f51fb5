//! People: who uses SIMs.

use crate::{
    api::{
        List,
        directory::{self, Listed, Search, directory_handlers},
        documents::Kept,
    },
    check::{Check, Kind, Time, rfc3339},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Params, PathOf},
    rights::{DirectoryCapability, Limited, ReadCapability},
    state::AppState,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::StoreError;
use types::{Imsi, Name, Person};
use utoipa::ToSchema;

/// Somebody who uses SIMs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Person)]
pub(crate) struct PersonBody {
    /// 1-63 of a-z, 0-9 and inner - _ .
    #[schema(example = "tanaka")]
    id: String,
    /// Full name.
    name: String,
    /// Mail address.
    mail: Option<String>,
    /// Employee number; no two people have the same.
    employee: Option<String>,
    /// Id in another system, such as an identity provider; no two people have the same.
    external: Option<String>,
    /// When the person leaves (RFC 3339).
    ends_at: Option<String>,
}

impl Listed for Person {
    type Body = PersonBody;
    const PATH: &'static str = "/api/v1/people";
    const CHANGED_WITHIN: bool = true;

    fn read(b: PersonBody, check: &mut Check) -> Option<Self> {
        let id = check.parse("/id", &b.id, Kind::Name);
        check.filled("/name", &b.name, 200);
        for (pointer, text) in [("/mail", &b.mail), ("/employee", &b.employee), ("/external", &b.external)] {
            if let Some(text) = text {
                check.filled(pointer, text, 200);
            }
        }
        if b.mail.as_ref().is_some_and(|m| !is_mail(m)) {
            check.add(
                "/mail",
                say!("it is not a mail address", "メールアドレスではありません"),
                Some(say!("write it as hanako@example.com", "hanako@example.com のように書いてください")),
            );
        }
        let ends_at: Option<Option<Time>> = check.maybe("/ends_at", b.ends_at.as_deref(), Kind::Time);
        Some(Self {
            id: id?,
            name: b.name,
            mail: b.mail,
            employee: b.employee,
            external: b.external,
            ends_at: ends_at?.map(|t| t.0),
        })
    }

    fn body(self) -> PersonBody {
        PersonBody {
            id: self.id.to_string(),
            name: self.name,
            mail: self.mail,
            employee: self.employee,
            external: self.external,
            ends_at: self.ends_at.map(rfc3339),
        }
    }

    fn owner(&self) -> Option<&Name> {
        None
    }

    async fn sims(s: &AppState, id: &Name) -> Result<Vec<Imsi>, StoreError> {
        s.store.sims_of_person(id).await
    }

    fn touched(id: &Name) -> store::FactsOf {
        store::FactsOf::People(vec![id.clone()])
    }

    fn among(linked: &store::Linked) -> &BTreeSet<Name> {
        &linked.people
    }
}

/// Enough to catch a slip of the hand; whether it is somebody's, only a mail can tell.
fn is_mail(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace)
}

directory_handlers!(Person, PersonBody, "people", "/api/v1/people", "/api/v1/people/{id}");
