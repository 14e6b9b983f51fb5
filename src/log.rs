//! Logs go to standard error, in English, one event a line. INFO: an operator would care.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts the log of this process; a second call changes nothing.
pub fn start(log: &Log) {
    let filter = log.filter.as_deref().unwrap_or("info");
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let b = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // A log that cannot be written (its disk is full) is lost; told on standard error, it would be a panic.
        .log_internal_errors(false);
    let started = match log.format {
        LogFormat::Text => b.try_init(),
        LogFormat::Json => b.json().try_init(),
    };
    drop(started);
}
