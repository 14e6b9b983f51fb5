//! Everything that touches a socket toward the radio network.

pub mod sctp;
