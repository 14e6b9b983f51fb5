//! `sekisho delivery …`

use super::print::{Columns, Printer};
use crate::client::Client;
use anyhow::Result;
use clap::Subcommand;
use serde_json::Value;

/// `delivery`
#[derive(Debug, Subcommand)]
pub enum Delivery {
    /// List the destinations of audit and alerts, and how each is.
    List,
    /// Send a test item to each destination of the configuration. Needs no running system.
    Test {
        /// Only to this one.
        name: Option<String>,
    },
}

pub(super) fn act(v: &Delivery, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Delivery::List => {
            let system = api.get("system")?.body;
            let all = system.get("deliveries").and_then(Value::as_array).cloned().unwrap_or_default();
            let columns = Columns(&[
                "name",
                "kind",
                "up",
                "behind",
                "items",
                "lost",
                "last_ok",
                "failing_since",
                "error",
            ]);
            out.list(&all, columns)
        }
        Delivery::Test { .. } => anyhow::bail!("test asks no API"),
    }
}
