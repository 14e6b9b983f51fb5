//! The gateway, as it answers, and the copies of the revocation journal.

use super::{Finding, bad, good, note};
use crate::{
    cli::local,
    config::Config,
    gateway::journal::{copies::CopyConfig, offline},
    link::GatewayStatus,
};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let socket = config.gateway_socket();
    let status = local::status(&socket);
    let mut found = vec![match &status {
        Some(s) => answers(s),
        None => note("gateway", format!("its socket {} does not answer", socket.display()), "sekisho run"),
    }];
    if let Some(why) = status.as_ref().and_then(|s| s.journal_low.clone()) {
        found.push(bad("journal room", why, "make room on the disk of the data directory"));
    }
    let copies = &config.gateway.journal_copies;
    if copies.is_empty() {
        found.push(note(
            "journal copy",
            "the revocation journal has no copy off this machine",
            "a ban survives a crash of this machine, not its loss: name a place in gateway.journal_copies",
        ));
    }
    found.extend(copies.iter().map(|c| copy(c, status.as_deref(), &config.journal())));
    found
}

fn answers(s: &GatewayStatus) -> Finding {
    match &s.denied {
        Some(why) => {
            bad("gateway", format!("it allows nothing new: {why}"), "see what it says of the journal")
        }
        None => good("gateway", format!("it answers; {} SIMs are cut", s.revoked)),
    }
}

fn copy(config: &CopyConfig, status: Option<&GatewayStatus>, journal: &Path) -> Finding {
    let place = config.place();
    if let Some(directory) = &config.directory {
        let device = |p: &Path| fs::metadata(p).map(|m| m.dev());
        match (device(directory), journal.parent().map(device)) {
            (Err(e), _) => {
                return bad("journal copy", format!("{place}: {e}"), "mount it, or correct the path");
            }
            (Ok(there), Some(Ok(here))) if there == here => {
                return note(
                    "journal copy",
                    format!("{place} is on the journal's own disk"),
                    "name another disk",
                );
            }
            _ => {}
        }
    }
    let known =
        status.and_then(|s| s.copies.iter().find(|c| c.place == place).map(|c| (s.journal.records, c)));
    let (ours, theirs, error) = match known {
        Some((ours, c)) => (ours, c.head.map(|h| h.records), c.error.clone()),
        // No gateway runs: a directory can be looked at all the same.
        None => {
            let head = |p: &Path| offline::inspect(p).map(|i| i.head.records);
            let theirs = config.directory.as_ref().map(|d| head(&d.join(offline::FILE)));
            let error = theirs.as_ref().and_then(|t| t.as_ref().err().map(ToString::to_string));
            (head(journal).unwrap_or(0), theirs.and_then(Result::ok), error)
        }
    };
    let fix = "see what the gateway's log says of it";
    match (error, theirs) {
        (Some(why), _) => bad("journal copy", format!("{place}: {why}"), fix),
        (None, Some(n)) if n >= ours => good("journal copy", format!("{place} has all {n} records")),
        (None, Some(n)) => note("journal copy", format!("{place} is {} records behind", ours - n), fix),
        (None, None) => note("journal copy", format!("{place} has not answered yet"), fix),
    }
}
