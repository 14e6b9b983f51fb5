//! `sekisho sim route …`

use super::print::{Columns, Printer};
use crate::client::Client;
use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::{Value, json};

/// `sim route`
#[derive(Debug, Subcommand)]
pub enum Route {
    /// List the networks behind a SIM.
    List {
        /// Which.
        imsi: String,
    },
    /// Put a network behind a SIM: its session carries it from now on.
    Add {
        /// Which.
        imsi: String,
        /// The network, for example 192.168.10.0/24.
        prefix: String,
        /// The data network whose session carries it.
        #[arg(long)]
        dnn: String,
    },
    /// Take a network away from behind a SIM; its flows end.
    Remove {
        /// Which.
        imsi: String,
        /// The network.
        prefix: String,
    },
}

/// What a verb does to a SIM's networks.
type Edit<'a> = &'a dyn Fn(&mut Vec<Value>);

/// Does what `sim route` says.
pub fn act(v: &Route, api: &Client, out: &Printer) -> Result<()> {
    let path = |imsi: &str| format!("sims/{imsi}/routes");
    let (imsi, change): (_, Edit<'_>) = match v {
        Route::List { imsi } => {
            let routes = routes(&api.get(&path(imsi))?.body);
            return out.list(&routes, Columns(&["prefix", "dnn", "since"]));
        }
        Route::Add { imsi, prefix, dnn } => {
            (imsi, &move |all| all.push(json!({ "dnn": dnn, "prefix": prefix })))
        }
        Route::Remove { imsi, prefix } => (imsi, &move |all| all.retain(|r| r["prefix"] != **prefix)),
    };
    let now = api.get(&path(imsi))?.body;
    let mut all: Vec<Value> =
        routes(&now).iter().map(|r| json!({ "dnn": r["dnn"], "prefix": r["prefix"] })).collect();
    change(&mut all);
    // The very list that was read: nobody's change between is lost.
    let version = now["version"].as_u64().context("the answer names no version")?;
    let put = api.put(&path(imsi), &json!({ "routes": all }), &format!("\"{version}\""))?;
    out.list(&routes(&put.body), Columns(&["prefix", "dnn", "since"]))
}

fn routes(body: &Value) -> Vec<Value> {
    body["routes"].as_array().cloned().unwrap_or_default()
}
