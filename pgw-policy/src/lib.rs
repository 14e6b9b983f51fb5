//! Decides and enforces each flow: the rule language and its compiler, `decide`, `explain`; sessions, PFCP and
//! the flow table; the user plane as a pure core.
//!
//! Every verdict comes from [`decide()`]. [`compile()`] makes rows of a [`Policy`], [`explain()`] walks its rules and is
//! held against the rows. [`n4::N4`] is the PFCP node, [`shard::Shard`] the packet walk of one thread. Nothing here
//! opens a socket, reads a clock or draws a random number.

mod act;
pub mod analyse;
pub mod book;
mod change;
pub mod clock;
mod compile;
mod decide;
mod explain;
mod lines;
mod locate;
pub mod moves;
mod names;
mod nearest;
mod number;
mod paged;
pub mod plain;
pub mod plan;
mod policy;
pub mod posture;
mod predicate;
mod provider_app;
mod reach;
mod reading;
mod restrict;
pub mod risk;
mod row;
mod session_policy;
mod shared;
mod snapshot;
mod ues;
mod validate;

pub use change::{Change, Touched};
pub use compile::{AppIdx, ClassId, Compiled, RuleIdx, compile};
pub use decide::{Asker, Decision, Ruling, awaiting_proof, decide, decide_for};
pub use explain::{
    Considered, Explanation, OtherGeneration, Outcome, Question, Terms, checked_explain, checked_explain_for,
    explain, explain_for,
};
pub use nearest::{Failed, Nearest};
pub use policy::Policy;
pub use predicate::Known;
pub use provider_app::{PROVIDER_APP, ProviderApp};
pub use reach::{Access, Sample};
pub use reading::{Asked, Reading, Truth};
pub use restrict::{Panicked, Standing};
pub use risk::{Assessment, RiskOutcome, RiskProfile};
pub use service::Service;
pub use snapshot::SnapshotError;
pub use validate::{Item, PolicyError, Problem, validate, validate_change};
pub mod batch;
pub mod command;
pub mod counters;
mod flow;
mod hash;
pub mod inner;
mod inner6;
pub mod n4;
pub mod record;
pub mod replay;
mod service;
pub mod session;
pub mod shard;
mod sixes;
pub mod stream;
pub mod text;
