//! What people and other systems press and see: the JSON API with its event stream.
//!
//! A handler is `check right → call the room that knows → answer`. Configuration is read and written in `store`;
//! the running system is asked through [`Control`], which the binary makes. Listening and TLS are the binary's.
//!
//! Every route, from its first day: RFC 9457 problems in English and Japanese, cursors, `If-Match` or
//! `Idempotency-Key` where it changes something, a right as a value, and its place in the OpenAPI document, which
//! is made from this code and held equal to `openapi.json` by a test.

mod control;
mod metrics;
mod problem;
mod rights;
mod state;
mod token;

pub use control::{
    Answer, BanError, BanRequest, Control, ControlError, GnbView, Metric, MetricKind, NewKeys, OperatorKey,
    PartStatus, Receipt, Sealed, SessionView, Status, StoredAt, UnbanRequest,
};
pub use problem::{FieldError, Lang, Problem, Said};
pub use rights::{
    AuditCapability, BanCapability, Caller, PolicyCapability, ProvisionCapability, ReadCapability, Scope,
    SessionCapability, TokenCapability, UnbanCapability,
};
pub use state::AppState;
pub use token::{TokenSecret, new_token};

/// The API.
pub fn router(state: AppState) -> axum::Router {
    axum::Router::new().with_state(state)
}
