//! `sekisho home-key …`: the home network's keys for concealed identities. A private key is never an argument.

use super::{
    patch,
    print::{Columns, Printer},
    remove,
};
use crate::{client::Client, keys};
use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

/// `home-key`
#[derive(Debug, Subcommand)]
pub enum HomeKey {
    /// List them with the public keys that are written onto SIMs.
    List,
    /// Make a pair, or take one in that SIMs have already.
    Add {
        /// a (X25519) or b (secp256r1).
        #[arg(long)]
        profile: String,
        /// What SIMs name it by, 1-254; the lowest free one if not given.
        #[arg(long)]
        id: Option<u8>,
        /// File of mode 0600 with the 64 hexadecimal digits of an existing private key.
        #[arg(long)]
        private_key_file: Option<PathBuf>,
    },
    /// Refuse one, from a date or from now on.
    Retire {
        /// Which.
        id: u8,
        /// A time like 2027-01-31T09:00:00Z, until which SIMs that have it are let in.
        #[arg(long)]
        from: Option<String>,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Accept one again, without a date.
    Accept {
        /// Which.
        id: u8,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Destroy one. SIMs that conceal with it cannot come until they have another.
    Remove {
        /// Which.
        id: u8,
    },
}

/// Does what `home-key` says.
pub fn act(v: &HomeKey, api: &Client, out: &Printer) -> Result<()> {
    match v {
        HomeKey::List => {
            let columns = Columns(&["id", "profile", "public_key", "accepted_until", "created"]);
            out.list(&api.list("home-network-keys")?, columns)
        }
        HomeKey::Add { profile, id, private_key_file } => {
            let mut body = json!({ "profile": profile });
            if let Some(id) = id {
                body["id"] = json!(id);
            }
            if let Some(file) = private_key_file {
                let text = keys::secret_file(file, 64)?;
                let text = std::str::from_utf8(&text).context("the private key is not in hexadecimal")?;
                body["private_key"] = json!(text);
            }
            out.thing(&api.post("home-network-keys", &body)?.body)
        }
        HomeKey::Retire { id, from, reason } => {
            let now = || gateway::time::rfc3339(gateway::time::now().utc);
            accept(api, out, *id, json!(from.clone().unwrap_or_else(now)), reason)
        }
        HomeKey::Accept { id, reason } => accept(api, out, *id, Value::Null, reason),
        HomeKey::Remove { id } => remove(api, &format!("home-network-keys/{id}")),
    }
}

fn accept(api: &Client, out: &Printer, id: u8, until: Value, reason: &str) -> Result<()> {
    let body = json!({ "accepted_until": until, "reason": reason });
    out.thing(&patch(api, &format!("home-network-keys/{id}"), &body)?.body)
}
