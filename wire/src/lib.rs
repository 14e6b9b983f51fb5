//! Bytes to messages and back, and nothing else: no state, no socket, no clock.
//!
//! Each protocol is a room of its own with our own structs; the libraries below do not show.

pub mod diameter;
pub mod dns;
pub mod eap;
pub mod gtpu;
pub mod http;
pub mod nas;
pub mod ngap;
pub mod pfcp;
pub mod tls;
