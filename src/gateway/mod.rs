//! The gateway process (being wired).
pub mod journal;
