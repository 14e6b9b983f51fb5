//! `sekisho grant …`

use super::print::{Columns, Printer};
use crate::client::Client;
use anyhow::{Result, bail};
use clap::Subcommand;
use serde_json::json;

/// `grant`
#[derive(Debug, Subcommand)]
pub enum Grant {
    /// List grants that are not over, the newest first.
    List {
        /// Those that are over or taken back, too.
        #[arg(long)]
        all: bool,
    },
    /// Grant access to an app for a time. Where a second person is asked for, it waits for their yes.
    Add {
        /// To this SIM.
        #[arg(long, value_name = "IMSI", conflicts_with = "person")]
        sim: Option<String>,
        /// To all SIMs of this person.
        #[arg(long, value_name = "ID")]
        person: Option<String>,
        /// Which app.
        #[arg(long)]
        app: String,
        /// What for.
        #[arg(long)]
        reason: String,
        /// Up to when, such as 2027-03-31T15:00:00Z; at most 31 days.
        #[arg(long)]
        until: String,
        /// From when; at once if not given.
        #[arg(long)]
        from: Option<String>,
    },
    /// Answer for a grant that somebody else asked for.
    Approve {
        /// The grant's id.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Take a grant back; what it opened ends at once.
    Revoke {
        /// The grant's id.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// Does what `grant` says.
pub fn act(v: &Grant, api: &Client, out: &Printer) -> Result<()> {
    let decide = |id: &str, verb: &str, reason: &str| {
        out.thing(&api.post(&format!("grants/{id}/{verb}"), &json!({ "reason": reason }))?.body)
    };
    match v {
        Grant::List { all } => {
            let columns =
                Columns(&["id", "to", "app", "from", "until", "state", "requester", "approver", "reason"]);
            out.list(&api.list(&format!("grants?all={all}"))?, columns)
        }
        Grant::Add { sim, person, app, reason, until, from } => {
            let to = match (sim, person) {
                (Some(imsi), None) => format!("sim:{imsi}"),
                (None, Some(id)) => format!("person:{id}"),
                _ => bail!("name the SIM by --sim or the person by --person"),
            };
            let body = json!({ "to": to, "app": app, "reason": reason, "until": until, "from": from });
            out.thing(&api.post("grants", &body)?.body)
        }
        Grant::Approve { id, reason } => decide(id, "approve", reason),
        Grant::Revoke { id, reason } => decide(id, "revoke", reason),
    }
}
