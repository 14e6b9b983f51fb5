//! A simulated SMF of an open core, with its PGW-C half.

pub mod pfcp;
