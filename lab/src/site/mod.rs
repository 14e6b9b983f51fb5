//! The simulated site: hosts in network namespaces of their own, joined by virtual Ethernet.
//!
//! A host is a child process that entered a fresh namespace before it had a second thread, and does there what it
//! is told over its standard input, one JSON object a line: configure an interface, serve a page, open a
//! connection. So every program of the site speaks through the real TCP/IP of Linux. [`World`] starts hosts and
//! lays the cables; [`agent`] is what runs inside one.

pub mod agent;
pub mod apps;
mod arrival;
pub mod net;
pub mod pipe;
pub mod world;

pub use agent::{Ask, Outcome, Source};
pub use pipe::Asked;
pub use world::{Host, Launch, World};
