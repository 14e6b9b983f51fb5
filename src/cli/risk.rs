//! `sekisho risk …`

use super::print::Printer;
use crate::client::Client;
use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// `risk`
#[derive(Debug, Subcommand)]
pub enum Risk {
    /// How risk is weighed: weights, levels, night, and what each level comes to.
    Show,
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
        Risk::Set { file, if_version } => {
            out.thing(&api.put("risk-profile", &read(file)?, &expected(*if_version))?.body)
        }
    }
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
