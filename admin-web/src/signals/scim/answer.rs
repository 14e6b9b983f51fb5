//! Answers and errors in the form of RFC 7644.

use super::{patch::Refused, schema};
use crate::console::Made;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use store::{Clash, StoreError};

/// An error of RFC 7644 §3.12.
#[derive(Debug)]
pub(in crate::signals) struct Error {
    pub(super) status: StatusCode,
    kind: Option<&'static str>,
    pub(super) detail: String,
}

pub(super) type Answer = Result<Response, Error>;

impl Error {
    pub(super) fn new(status: StatusCode, kind: Option<&'static str>, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into() }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, None, "there is nothing here")
    }

    pub(super) fn invalid(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Some(kind), detail)
    }

    pub(super) fn stale() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, None, "it is of another version than If-Match says")
    }

    pub(super) fn is_stale(&self) -> bool {
        self.status == StatusCode::PRECONDITION_FAILED
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, None, "the body is too large")
    }

    pub(super) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, None, "it cannot be stored now")
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": self.status.as_u16().to_string(), "detail": self.detail,
        });
        if let (Some(kind), Some(o)) = (self.kind, body.as_object_mut()) {
            o.insert("scimType".to_owned(), json!(kind));
        }
        say(self.status, &body)
    }
}

impl From<StoreError> for Error {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::NotFound => Self::not_found(),
            StoreError::VersionMismatch { .. } => Self::stale(),
            StoreError::Conflict { what: Clash::Reference } => {
                Self::invalid("invalidValue", "a member is not one of this client's users and groups")
            }
            StoreError::Conflict { what } => {
                let detail = format!("another one has the same {what}");
                Self::new(StatusCode::CONFLICT, Some("uniqueness"), detail)
            }
            _ => Self::unavailable(),
        }
    }
}

impl From<schema::Wrong> for Error {
    fn from(w: schema::Wrong) -> Self {
        Self::invalid("invalidValue", w.0)
    }
}

impl From<Refused> for Error {
    fn from(r: Refused) -> Self {
        match r {
            Refused::Path(why) => Self::invalid("invalidPath", why),
            Refused::Value(why) => Self::invalid("invalidValue", why),
            Refused::NoTarget(why) => Self::invalid("noTarget", why),
        }
    }
}

/// An answer in its media type.
pub(super) fn say(status: StatusCode, body: &Value) -> Response {
    let head = [(header::CONTENT_TYPE, "application/scim+json")];
    let mut r = (status, head, body.to_string()).into_response();
    r.extensions_mut().insert(Made);
    r
}
