//! `sekisho posture …`

use super::print::{Columns, Printer};
use crate::client::{Client, encoded};
use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;
use std::path::PathBuf;

/// `posture`
#[derive(Debug, Subcommand)]
pub enum Posture {
    /// What is known of a device's health, each fact with its source and age.
    Show {
        /// Id of the device.
        device: String,
    },
    /// Tell how devices are, from a file: `{"reports": [{"device": ID, "posture": {…}}]}`.
    Report {
        /// The file.
        file: PathBuf,
    },
    /// Sources of facts, each with its last success and age.
    Sources,
    /// Make or change a source from a file, as the API takes it; the secret of a new webhook is printed once.
    Source {
        /// The file.
        file: PathBuf,
        /// Change the source of this name in place of making one.
        #[arg(long)]
        replace: Option<String>,
    },
    /// Give a webhook another secret; it is printed once.
    Secret {
        /// Name of the source.
        name: String,
    },
    /// Delete a source.
    Remove {
        /// Name of the source.
        name: String,
    },
}

/// Does what `posture` says.
pub fn act(v: &Posture, api: &Client, out: &Printer) -> Result<()> {
    let one = |name: &str| format!("posture/sources/{}", encoded(name));
    match v {
        Posture::Show { device } => {
            let body = api.get(&format!("posture/{}", encoded(device)))?.body;
            let facts = body["facts"].as_array().map(Vec::as_slice).unwrap_or_default();
            out.list(facts, Columns(&["check", "good", "os", "source", "at", "age_s"]))
        }
        Posture::Report { file } => out.thing(&api.post("posture", &read(file)?)?.body),
        Posture::Sources => {
            const COLUMNS: &[&str] = &[
                "name",
                "kind",
                "last_success",
                "age_s",
                "silent",
                "accepted",
                "refused",
                "error",
                "address",
            ];
            out.list(&api.list("posture/sources?")?, Columns(COLUMNS))
        }
        Posture::Source { file, replace: None } => {
            out.thing(&api.post("posture/sources", &read(file)?)?.body)
        }
        Posture::Source { file, replace: Some(name) } => {
            out.thing(&api.put(&one(name), &read(file)?, "*")?.body)
        }
        Posture::Secret { name } => {
            out.thing(&api.post(&format!("{}/secret", one(name)), &Value::Null)?.body)
        }
        Posture::Remove { name } => api.delete(&one(name), Some("*")).map(drop),
    }
}

fn read(file: &std::path::Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}
