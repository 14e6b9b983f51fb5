//! Sekisho: the rooms plugged together. Every socket and timer of `control` is opened in here; the packets' own are the
//! gateway's.

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
#[cfg(feature = "lab")]
pub mod demo;
pub mod doctor;
pub mod first_run;
pub mod init;
pub mod io;
pub mod keys;
pub mod lang;
pub mod log;
pub mod provider;
pub mod service;
pub mod signing;
pub mod supervisor;
