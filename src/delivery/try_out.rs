//! `sekisho delivery test`, and what `doctor` looks at: without a running system.

use super::{Destination, item::Item};
use crate::{config::Config, lang::Lang, signing::Signer};
use anyhow::{Context, Result};
use gateway::time::utc;
use std::process::ExitCode;

/// Opens every destination of the configuration. Its signing key must be there already.
pub fn open_all(config: &Config) -> Result<Vec<Destination>> {
    if config.delivery.is_empty() {
        return Ok(Vec::new());
    }
    let signer = Signer::open(&config.paths.data, false)
        .context("the signing key; it is made at the first `sekisho run`")?;
    config
        .delivery
        .iter()
        .map(|d| {
            let opened = Destination::open(d, &config.network.name, &signer);
            opened.with_context(|| format!("delivery {}", d.name))
        })
        .collect()
}

/// Sends a test item to each destination, or to the one that is named.
///
/// # Errors
/// Where the configuration names none, or one cannot be opened.
pub fn run(config: &Config, name: Option<&str>, lang: Lang) -> Result<ExitCode> {
    let mut all = open_all(config)?;
    all.retain(|d| name.is_none_or(|n| d.name() == n));
    anyhow::ensure!(!all.is_empty(), "no [[delivery]] of that name is configured");
    let mut good = true;
    for d in &all {
        match d.send(&[Item::test(utc())]) {
            Ok(()) => {
                println!("{}: {}", d.name(), lang.of("it took a test item", "テスト項目を受け取りました"))
            }
            Err(e) => {
                good = false;
                println!("{}: {}: {e}", d.name(), lang.of("FAILED", "失敗"));
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
