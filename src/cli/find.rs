//! `sekisho search|overview|address|findings|sign-ins` and `sim bulk`.

use super::{
    print::{Columns, Printer},
    revocations::Why,
};
use crate::client::{Client, encoded};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

/// `address`
#[derive(Debug, Args)]
pub struct Address {
    /// Only of this address.
    address: Option<String>,
    /// Only of this SIM.
    #[arg(long)]
    sim: Option<String>,
    /// Only what held at this time, such as 2027-03-31T14:03:00Z.
    #[arg(long)]
    at: Option<String>,
}

/// `sign-ins`
#[derive(Debug, Subcommand)]
pub enum SignIns {
    /// Those that count now.
    List,
    /// End one, such as that of a lost telephone.
    End {
        /// Its id.
        id: String,
    },
}

/// `sim bulk`
#[derive(Debug, Args)]
pub struct Bulk {
    /// These SIMs; without them those that the filters find.
    imsi: Vec<String>,
    /// How many SIMs are meant: where it are not so many, nothing is changed.
    #[arg(long)]
    expect: u64,
    /// Filter: only those in this state.
    #[arg(long)]
    with_state: Option<String>,
    /// Filter: only members of this group.
    #[arg(long)]
    group: Option<String>,
    /// Filter: only those whose IMSI, ICCID or label contains this.
    #[arg(long)]
    text: Option<String>,
    /// Filter: only those linked to this site.
    #[arg(long)]
    at_site: Option<String>,
    /// The new state: ready, active, suspended, stock or retired.
    #[arg(long)]
    state: Option<String>,
    /// Group to add.
    #[arg(long)]
    add_group: Vec<String>,
    /// Group to take away.
    #[arg(long)]
    remove_group: Vec<String>,
    /// The new site; an empty text takes it away.
    #[arg(long)]
    site: Option<String>,
    #[command(flatten)]
    why: Why,
}

pub(super) fn search(text: &str, api: &Client, out: &Printer) -> Result<()> {
    let body = api.get(&format!("search?limit=50&q={}", encoded(text)))?.body;
    let items = body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    out.list(&items, Columns(&["imsi", "label", "state", "person", "device", "iccid", "matched"]))
}

pub(super) fn address(v: &Address, api: &Client, out: &Printer) -> Result<()> {
    let filters = [("address", &v.address), ("imsi", &v.sim), ("at", &v.at)];
    let query: Vec<String> =
        filters.iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={}", encoded(v)))).collect();
    let columns = Columns(&["ip", "dnn", "imsi", "smf", "start", "end"]);
    out.list(&api.list(&format!("addresses?{}", query.join("&")))?, columns)
}

pub(super) fn findings(api: &Client, out: &Printer) -> Result<()> {
    let body = api.get("system/findings")?.body;
    let items = body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    out.list(&items, Columns(&["state", "what", "seen", "command"]))
}

/// `passkeys`
#[derive(Debug, Subcommand)]
pub enum Passkeys {
    /// List them, and the host name at which they work.
    List,
    /// Remove one.
    Remove {
        /// Its id.
        id: String,
    },
}

pub(super) fn passkeys(v: &Passkeys, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Passkeys::List => {
            let body = api.get("me/passkeys")?.body;
            let items = body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            out.list(&items, Columns(&["id", "name", "created", "last_used"]))
        }
        Passkeys::Remove { id } => api.delete(&format!("me/passkeys/{}", encoded(id)), None).map(drop),
    }
}

pub(super) fn sign_ins(v: &SignIns, api: &Client, out: &Printer) -> Result<()> {
    match v {
        SignIns::List => {
            let all = api.get("me/sign-ins")?.body;
            let all = all.as_array().cloned().unwrap_or_default();
            out.list(
                &all,
                Columns(&["id", "created", "last_used", "expires", "provider", "subject", "current"]),
            )
        }
        SignIns::End { id } => api.delete(&format!("me/sign-ins/{}", encoded(id)), None).map(drop),
    }
}

pub(super) fn bulk(v: &Bulk, api: &Client, out: &Printer) -> Result<()> {
    let done = api.post("sims/bulk", &body(v))?.body;
    let items = done.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
    if items.is_empty() {
        return out.thing(&done);
    }
    out.list(&items, Columns(&["imsi", "ok", "problem"]))
}

fn body(v: &Bulk) -> Value {
    let mut body = json!({
        "expect": v.expect, "reason": v.why.reason, "ticket": v.why.ticket, "dry_run": v.why.dry_run,
        "groups_add": v.add_group, "groups_remove": v.remove_group,
    });
    let Some(b) = body.as_object_mut() else { return body };
    if v.imsi.is_empty() {
        let filters = [("state", &v.with_state), ("group", &v.group), ("q", &v.text), ("site", &v.at_site)];
        let given = filters.into_iter().filter_map(|(k, t)| Some((k.to_owned(), json!(t.as_ref()?))));
        b.insert("filter".to_owned(), Value::Object(given.collect::<Map<_, _>>()));
    } else {
        b.insert("imsis".to_owned(), json!(v.imsi));
    }
    if let Some(s) = &v.state {
        b.insert("state".to_owned(), json!(s));
    }
    if let Some(s) = &v.site {
        b.insert("site".to_owned(), if s.is_empty() { Value::Null } else { json!(s) });
    }
    body
}
