//! Everything that touches a socket toward the radio network, and toward a foreign core.

pub mod diameter;
pub mod sctp;
