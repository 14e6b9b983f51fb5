//! `sekisho alert …`

use super::print::{Columns, Printer};
use crate::client::Client;
use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

/// `alert`
#[derive(Debug, Subcommand)]
pub enum Alert {
    /// List them, newest first.
    List {
        /// Only open, acknowledged or closed ones.
        #[arg(long)]
        state: Option<String>,
        /// Only of this kind, for example banned-reuse.
        #[arg(long)]
        kind: Option<String>,
        /// Only info, warning or critical ones.
        #[arg(long)]
        severity: Option<String>,
        /// Only about this SIM.
        #[arg(long)]
        sim: Option<String>,
    },
    /// Show one, with what to do about it.
    Show {
        /// Which.
        id: u64,
    },
    /// Say that you look at one.
    Ack {
        /// Which.
        id: u64,
        /// Why, or who looks at it.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Close one with what came of it.
    Close {
        /// Which.
        id: u64,
        /// What came of it.
        #[arg(long)]
        reason: String,
    },
}

pub(super) fn act(v: &Alert, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Alert::List { state, kind, severity, sim } => {
            let filters = [("state", state), ("kind", kind), ("severity", severity), ("imsi", sim)];
            let query: Vec<String> =
                filters.iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={v}"))).collect();
            let columns = Columns(&["id", "last", "severity", "state", "title", "imsi", "count", "text"]);
            out.list(&api.list(&format!("alerts?{}", query.join("&")))?, columns)
        }
        Alert::Show { id } => out.thing(&api.get(&format!("alerts/{id}"))?.body),
        Alert::Ack { id, reason } => {
            out.thing(&api.post(&format!("alerts/{id}/acknowledge"), &json!({ "reason": reason }))?.body)
        }
        Alert::Close { id, reason } => {
            out.thing(&api.post(&format!("alerts/{id}/close"), &json!({ "reason": reason }))?.body)
        }
    }
}
