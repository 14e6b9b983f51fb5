//! Sekisho: the rooms plugged together. Every socket, timer and clock of the product is opened in here.

pub mod audit;
pub mod backup;
#[cfg(feature = "lab")]
pub mod bench;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod dashboard;
pub mod delivery;
pub use store::crash;
#[cfg(feature = "lab")]
pub mod demo;
pub mod doctor;
pub mod first_run;
pub mod gateway;
pub mod init;
pub mod io;
pub mod keys;
pub mod lang;
pub mod link;
pub mod log;
pub mod netns;
pub mod signing;
pub mod supervisor;
pub mod time;
