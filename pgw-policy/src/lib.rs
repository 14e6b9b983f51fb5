//! Decides and enforces each flow: the rule language and its compiler, `decide`, `explain`; sessions, PFCP and
//! the flow table; the user plane as a pure core.
//!
//! Every verdict comes from [`decide()`]. [`compile()`] makes rows of a [`Policy`], [`explain()`] walks its rules and is
//! held against the rows. [`n4::N4`] is the PFCP node, [`shard::Shard`] the packet walk of one thread. Nothing here
//! opens a socket, reads a clock or draws a random number.

pub mod analyse;
mod change;
pub mod clock;
mod compile;
mod decide;
mod explain;
mod lines;
mod locate;
mod names;
mod paged;
pub mod plan;
mod policy;
mod reach;
mod restrict;
mod row;
mod session_policy;
mod shared;
mod snapshot;
mod ues;
mod validate;

pub use change::{Change, Touched};
pub use compile::{AppIdx, ClassId, Compiled, RuleIdx, compile};
pub use decide::{Decision, Ruling, decide, decide_restricted};
pub use explain::{
    Considered, Explanation, OtherGeneration, Outcome, Question, Terms, checked_explain, checked_explain_for,
    explain, explain_for,
};
pub use policy::Policy;
pub use reach::{Access, Sample};
pub use restrict::{Panicked, Standing};
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
pub mod session;
pub mod shard;
mod sixes;
pub mod stream;
pub mod text;
