//! Speaks to radios and UEs: the control plane of a stand-alone core.
//!
//! [`nr`] is the AMF of 5G with its session management part. Nothing here opens a socket, reads a clock or
//! draws a random number.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod nr;
