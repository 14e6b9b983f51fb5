//! `sekisho sim …`

use super::{
    patch,
    print::{Columns, Printer},
};
use crate::client::Client;
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// `sim`
#[derive(Debug, Subcommand)]
pub enum Sim {
    /// Add one. Its keys come from a file, never from an argument.
    Add {
        /// 6-15 digits.
        imsi: String,
        /// File with lines `k = HEX` and `opc = HEX` (or `op = HEX`).
        #[arg(long)]
        key_file: PathBuf,
        /// Data networks; the first is the default one.
        #[arg(long, required = true)]
        dnn: Vec<String>,
        /// Groups.
        #[arg(long)]
        group: Vec<String>,
        /// Static address, as DNN=ADDRESS.
        #[arg(long = "static")]
        static_ip: Vec<String>,
        /// Words for people.
        #[arg(long, default_value = "")]
        label: String,
        /// stock, ready or active.
        #[arg(long)]
        state: Option<String>,
    },
    /// List them.
    List {
        /// Only those in this state.
        #[arg(long)]
        state: Option<String>,
        /// Only members of this group.
        #[arg(long)]
        group: Option<String>,
        /// Only those whose IMSI, ICCID or label contains this.
        #[arg(long)]
        text: Option<String>,
    },
    /// Show one.
    Show {
        /// Which.
        imsi: String,
    },
    /// Which device it may live in; also of a group's SIMs.
    #[command(subcommand)]
    Binding(super::equipment::Binding),
    /// What happened to one, newest first.
    Timeline {
        /// Which.
        imsi: String,
    },
    /// Put it into these groups and no others.
    Groups {
        /// Which.
        imsi: String,
        /// The groups.
        group: Vec<String>,
    },
    /// Pause one; it is refused with a back-off until it is resumed.
    Suspend {
        /// Which.
        imsi: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Number of the ticket that asked for it.
        #[arg(long)]
        ticket: Option<String>,
    },
    /// Let one live again after a pause.
    Resume {
        /// Which.
        imsi: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Number of the ticket that asked for it.
        #[arg(long)]
        ticket: Option<String>,
    },
    /// End one for ever; its key is destroyed.
    Retire {
        /// Which.
        imsi: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Number of the ticket that asked for it.
        #[arg(long)]
        ticket: Option<String>,
    },
    /// Cut a lost or stolen one now; the answer is a receipt.
    Ban {
        /// Which.
        imsi: String,
        /// lost or stolen.
        #[arg(long, default_value = "lost")]
        state: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Number of the ticket that asked for it.
        #[arg(long)]
        ticket: Option<String>,
    },
    /// Take a ban back.
    Unban {
        /// Which.
        imsi: String,
        /// active, suspended or stock.
        #[arg(long, default_value = "active")]
        state: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Number of the ticket that asked for it.
        #[arg(long)]
        ticket: Option<String>,
    },
}

pub(super) fn act(v: &Sim, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Sim::Add { imsi, key_file, dnn, group, static_ip, label, state } => {
            let mut body = json!({ "imsi": imsi, "label": label, "dnns": dnn, "groups": group });
            let b = body.as_object_mut().context("a body")?;
            b.insert("static_ips".to_owned(), statics(static_ip)?);
            if let Some(s) = state {
                b.insert("state".to_owned(), json!(s));
            }
            read_keys(key_file, b)?;
            out.thing(&api.post("sims", &body)?.body)
        }
        Sim::List { state, group, text } => {
            let filters = [("state", state), ("group", group), ("q", text)];
            let query: Vec<String> =
                filters.iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={v}"))).collect();
            let columns = Columns(&["imsi", "label", "state", "groups", "dnns", "static_ips"]);
            out.list(&api.list(&format!("sims?{}", query.join("&")))?, columns)
        }
        Sim::Show { imsi } => out.thing(&api.get(&format!("sims/{imsi}"))?.body),
        Sim::Binding(v) => super::equipment::bind(v, api, out),
        Sim::Timeline { imsi } => {
            out.list(&api.list(&format!("sims/{imsi}/timeline"))?, Columns(&["at", "title", "detail"]))
        }
        Sim::Groups { imsi, group } => {
            out.thing(&patch(api, &format!("sims/{imsi}"), &json!({ "groups": group }))?.body)
        }
        Sim::Suspend { imsi, reason, ticket } => {
            state(api, out, imsi, "suspended", reason, ticket.as_deref())
        }
        Sim::Resume { imsi, reason, ticket } => state(api, out, imsi, "active", reason, ticket.as_deref()),
        Sim::Retire { imsi, reason, ticket } => state(api, out, imsi, "retired", reason, ticket.as_deref()),
        Sim::Ban { imsi, state, reason, ticket } => {
            let body = json!({ "state": state, "reason": reason, "ticket": ticket });
            out.thing(&api.post(&format!("sims/{imsi}/ban"), &body)?.body)
        }
        Sim::Unban { imsi, state, reason, ticket } => {
            let body = json!({ "state": state, "reason": reason, "ticket": ticket });
            out.thing(&api.post(&format!("sims/{imsi}/unban"), &body)?.body)
        }
    }
}

fn state(
    api: &Client,
    out: &Printer,
    imsi: &str,
    to: &str,
    reason: &str,
    ticket: Option<&str>,
) -> Result<()> {
    let body = json!({ "state": to, "reason": reason, "ticket": ticket });
    out.thing(&api.post(&format!("sims/{imsi}/state"), &body)?.body)
}

fn statics(pairs: &[String]) -> Result<Value> {
    let mut all = Map::new();
    for p in pairs {
        let (dnn, ip) = p.split_once('=').with_context(|| format!("{p}: write DNN=ADDRESS"))?;
        all.insert(dnn.to_owned(), json!(ip));
    }
    Ok(Value::Object(all))
}

/// Reads `k`, `opc` and `op` lines into the body. An error names the line, never its content.
fn read_keys(file: &Path, body: &mut Map<String, Value>) -> Result<()> {
    let text = Zeroizing::new(
        std::fs::read_to_string(file).with_context(|| format!("the key file {}", file.display()))?,
    );
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=').map(|(k, v)| (k.trim(), v.trim().trim_matches('"'))) {
            Some((k @ ("k" | "opc" | "op"), v)) => drop(body.insert(k.to_owned(), json!(v))),
            _ => bail!("{}:{}: a line is `k = HEX`, `opc = HEX` or `op = HEX`", file.display(), n + 1),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_a_file_and_a_wrong_line_is_named_without_its_content() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("sim.key");
        std::fs::write(&file, "# card 1\nk = 00112233445566778899aabbccddeeff\nopc=\"ff\"\n")
            .expect("written");
        let mut body = Map::new();
        read_keys(&file, &mut body).expect("read");
        assert_eq!(body.get("opc"), Some(&json!("ff")));
        std::fs::write(&file, "k = 00\nsecret 0011\n").expect("written");
        let e = read_keys(&file, &mut body).expect_err("refused").to_string();
        assert!(e.contains(":2:") && !e.contains("0011"), "{e}");
    }
}
