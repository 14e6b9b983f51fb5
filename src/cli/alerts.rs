//! `sekisho alert …`

use super::print::{Columns, Printer};
use crate::client::Client;
use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;

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
    /// The rules that raise alerts and act: what they look for, and what is done.
    Rules,
    /// Say what raises alerts, from a TOML or JSON file; what is left out is as shipped, so an empty file is that.
    SetRules {
        /// The file.
        file: PathBuf,
        /// Only if this version is stored.
        #[arg(long)]
        if_version: Option<u64>,
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
        Alert::Rules => out.thing(&api.get("alert-rules")?.body),
        Alert::SetRules { file, if_version } => {
            let expect = super::risk::expected(*if_version);
            out.thing(&api.put("alert-rules", &super::risk::read(file)?, &expect)?.body)
        }
        Alert::Close { id, reason } => {
            out.thing(&api.post(&format!("alerts/{id}/close"), &json!({ "reason": reason }))?.body)
        }
    }
}
