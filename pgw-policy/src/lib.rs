//! pgw-policy

mod compile;
mod decide;
mod explain;
mod locate;
mod policy;
mod row;
mod shared;
mod snapshot;
mod validate;

pub use compile::{AppIdx, ClassId, Compiled, RuleIdx, compile};
pub use decide::{Decision, decide, decide_with};
pub use explain::{Considered, Explanation, OtherGeneration, Outcome, Question, checked_explain, explain};
pub use policy::Policy;
pub use row::Facts;
pub use snapshot::SnapshotError;
pub use validate::{Item, PolicyError, Problem, validate};
pub mod batch;
pub mod command;
pub mod counters;
pub mod n4;
pub mod session;
pub mod shard;
mod flow;
mod hash;
pub mod inner;
pub mod record;
