//! Sekisho: the rooms plugged together. Every socket, timer and clock of the product is opened in here.

pub mod gateway;
pub mod io;
pub mod link;
pub mod netns;
pub mod time;
pub mod config;
pub mod control;
pub mod init;
pub mod keys;
pub mod log;
pub mod supervisor;
pub mod client;
pub mod cli;
pub mod doctor;
pub mod lang;
