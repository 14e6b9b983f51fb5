//! `sekisho risk …`

use super::print::Printer;
use crate::client::Client;
use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;
use std::path::{Path, PathBuf};
use types::Imsi;

/// `risk`
#[derive(Debug, Subcommand)]
pub enum Risk {
    /// How risk is weighed: weights, levels, night, and what each level comes to.
    Show,
    /// What a file would change: the rules that hang on it, and how the policy's tests come out with it.
    Plan {
        /// The file.
        file: PathBuf,
        /// What the risk of this SIM comes to, in place of that.
        #[arg(long)]
        sim: Option<Imsi>,
    },
    /// Say how risk is weighed, from a TOML or JSON file; what is left out is as shipped, so an empty file is that.
    Set {
        /// The file.
        file: PathBuf,
        /// Only if this version is stored.
        #[arg(long)]
        if_version: Option<u64>,
    },
}

/// Does what `risk` says.
pub fn act(v: &Risk, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Risk::Show => out.thing(&api.get("risk-profile")?.body),
        Risk::Plan { file, sim } => {
            let path = sim.map_or_else(|| "risk-profile/plan".to_owned(), |imsi| format!("sims/{imsi}/risk"));
            out.thing(&api.post(&path, &profile(file)?)?.body)
        }
        Risk::Set { file, if_version } => {
            out.thing(&api.put("risk-profile", &profile(file)?, &expected(*if_version))?.body)
        }
    }
}

/// A profile without what only an answer says: one that was shown can be sent back.
fn profile(file: &Path) -> Result<Value> {
    let mut profile = read(file)?;
    if let Some(fields) = profile.as_object_mut() {
        for only in ["shipped", "version"] {
            fields.remove(only);
        }
    }
    Ok(profile)
}

/// What `If-Match` says: this version, or any.
pub(super) fn expected(version: Option<u64>) -> String {
    version.map_or_else(|| "*".to_owned(), |v| format!("\"{v}\""))
}

/// A file in TOML or JSON.
pub(super) fn read(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()));
    }
    let table: toml::Table =
        toml::from_str(&text).with_context(|| format!("{} is not TOML", file.display()))?;
    serde_json::to_value(table).with_context(|| format!("{} says what JSON cannot", file.display()))
}
