//! Who owns which UE address, and since when (decision D8).
//!
//! One [`Ledger`] holds the pools of all data networks. An address has one owner at any instant; a lease is
//! sticky per SIM and data network, so that it outlives the session; a released address rests before
//! another SIM gets it; a static reservation takes its address out of the pool; a network behind a SIM (framed
//! route) shares no address with a pool, another SIM's network or us. The question "who was
//! 10.20.3.4 at 14:03?" has one answer.
//!
//! The ledger keeps nothing durable itself: each change comes back as a [`Lease`] for the caller to write
//! before anybody is told. It reads no clock.

mod error;
mod lease;
mod ledger;
mod pool;
mod routes;

pub use error::{LoadError, PoolError, Refused, ReservationError, RouteRefused};
pub use lease::{Assign, Lease};
pub use ledger::Ledger;
pub use pool::{PoolSpec, Usage};
