//! What people and other systems press and see: the JSON API with its event stream, and the console that is its client.
//!
//! A handler is `check right → call the room that knows → answer`. Configuration is read and written in `store`;
//! the running system is asked through [`Control`], which the binary makes. Listening and TLS are the binary's.
//!
//! Every route, from its first day: RFC 9457 problems in English and Japanese, cursors, `If-Match` or
//! `Idempotency-Key` where it changes something, a right as a value, and its place in the OpenAPI document, which
//! is made from this code and held equal to `openapi.json` by a test.

mod api;
mod check;
mod console;
mod control;
mod document;
mod guard;
mod idempotency;
pub mod import;
mod layers;
mod metrics;
mod passkeys;
mod password;
pub mod policy_words;
mod problem;
mod provider;
mod receipt;
mod recorded;
mod request;
mod rights;
mod roles;
mod seal;
mod signals;
mod state;
pub mod step_up;
mod token;
mod totp;
mod watch;
pub mod words;

#[cfg(test)]
mod tests;

pub use api::risk::of as risk_profile_of;
pub use api::risk_moves::level as risk_level_said;
pub use console::{Console, FirstRun, LINK_HOURS, Standing};
pub use control::{
    AffectedSim, Answer, AppView, Asker, AuditStanding, BackupError, BackupFile, BackupMade, BanError,
    BanRequest, Control, ControlError, DeliveryStatus, DeviceUnban, EveryFact, FactView, FindingState,
    GnbView, MachineFinding, Metric, MetricKind, NewKeys, OperatorKey, PartStatus, PeerView, RestrictOutcome,
    RestrictRequest, Restricted, ScopeBan, ScopeFailure, ScopeKind, ScopeOutcome, Sealed, SessionKey,
    SessionView, Status, Suspicion, UnbanRequest,
};
pub use idempotency::HeldClaim;
pub use password::Cost;
pub use problem::{FieldError, Lang, Problem, Said};
pub use provider::{Fetch, FetchError, HttpRequest, HttpResponse, Provider, ProviderConfig, ProviderGrant};
pub use receipt::{
    Attempt, Attempts, Deregistration, EndedSession, Pending, PendingCode, Receipt, ReceiptCut, ReceiptKind,
    Stamp, StoredAt, signed_text,
};
pub use recorded::RecordedFlow;
pub use rights::{
    AlertCapability, ApproveCapability, AuditCapability, BackupCapability, BanCapability, Caller, Capability,
    DirectoryCapability, EquipmentCapability, Limited, OnSim, OperatorCapability, PolicyCapability,
    PostureCapability, ProvisionCapability, QuarantineCapability, Reach, Reaches, ReadCapability,
    ScimCapability, Scope, SessionCapability, SignalCapability, TokenCapability, UnbanCapability,
};
pub use roles::Role;
#[doc(hidden)]
pub use signals::fuzzing;
pub use signals::{ask_transmitters, keep_polling};
pub use state::AppState;
pub use store::Place;
pub use token::{TokenBook, TokenSecret, new_token};

use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi;

/// The API: what the binary serves.
pub fn router(state: AppState) -> axum::Router {
    let (routes, mut document) = api::routes().split_for_parts();
    let keyed = (state.clone(), api::need_a_key(&mut document));
    let routes = routes.merge(console::routes()).merge(signals::routes());
    // From the inside out: a request passes them in the opposite order.
    routes
        .layer(from_fn_with_state(keyed, idempotency::layer))
        .layer(from_fn_with_state(state.clone(), layers::caller))
        .layer(from_fn_with_state(state.clone(), layers::outer))
        .with_state(state)
}

/// The OpenAPI 3.1 document of [`router`].
pub fn openapi() -> OpenApi {
    let mut document = api::routes().split_for_parts().1;
    document::finish(&mut document);
    document
}
