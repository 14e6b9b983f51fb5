//! NAS: what a UE and the core say to each other. 5GS in [`fgs`] (TS 24.501), its protection in [`security`].
//!
//! Timers, states and answers belong to `access` and to the simulated UE of `lab`; both use these types.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod fgs;
pub mod security;

/// Largest NAS message that is read or written, in octets (as [`crate::ngap::MAX_NAS_PDU`]).
pub const MAX_NAS: usize = crate::ngap::MAX_NAS_PDU;

#[cfg(test)]
mod tests;
