//! `sekisho core-peer …`

use super::print::{Columns, Printer};
use crate::client::Client;
use anyhow::Result;
use clap::Subcommand;
use serde_json::Value;

/// `core-peer`
#[derive(Debug, Subcommand)]
pub enum CorePeer {
    /// List the MMEs and SMFs of another core: whether each is there, what it has, and what became of that when it or we
    /// started anew.
    List,
}

const COLUMNS: Columns = Columns(&[
    "face",
    "name",
    "state",
    "started",
    "origin_state",
    "restarts",
    "holds",
    "ended",
    "restored",
    "due",
]);

pub(super) fn act(v: &CorePeer, api: &Client, out: &Printer) -> Result<()> {
    let CorePeer::List = v;
    let system = api.get("system")?.body;
    let all = system.get("peers").and_then(Value::as_array).cloned().unwrap_or_default();
    out.list(&all, COLUMNS)
}
