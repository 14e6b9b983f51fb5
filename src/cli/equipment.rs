//! `sekisho equipment …` and `sekisho sim binding …`

use super::{
    equipment_list,
    print::{Columns, Printer},
    remove,
};
use crate::{client::Client, lang::Lang};
use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;

/// `equipment`
#[derive(Debug, Subcommand)]
pub enum Equipment {
    /// List them.
    List {
        /// Only white, grey or black ones.
        #[arg(long)]
        colour: Option<String>,
        /// Only those whose digits or label contain this.
        #[arg(long)]
        text: Option<String>,
    },
    /// Put one on the list, or change its colour.
    Add {
        /// 14 digits of a device (its IMEI of 15 or IMEISV of 16 does too), the 8-digit TAC of a model, or two of them for a
        /// range (35693800-35693899); with :SV behind it, only in that software version (35693803:01).
        pattern: String,
        /// white, grey (allowed and told) or black (refused).
        #[arg(long)]
        colour: String,
        /// Words for people.
        #[arg(long, default_value = "")]
        label: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Put all of a CSV file on the list, or nothing: columns pattern, colour and label; at most 5 000 lines.
    Import {
        /// The file.
        file: PathBuf,
        /// Why they have their colours.
        #[arg(long)]
        reason: String,
    },
    /// Take one off the list.
    Remove {
        /// Which.
        pattern: String,
    },
}

/// `sim binding`, `group binding`
#[derive(Debug, Subcommand)]
pub enum Binding {
    /// Show what holds, where it comes from, and the device that was learnt.
    Show {
        /// IMSI, or group:NAME.
        whose: String,
    },
    /// Say what the device must be.
    Set {
        /// IMSI, or group:NAME.
        whose: String,
        /// none, observe, learn, model, listed or exact.
        mode: String,
        /// Devices (exact) or models (model).
        #[arg(long)]
        allow: Vec<String>,
        /// Where the device does not name itself: allow, quarantine or refuse.
        #[arg(long)]
        when_missing: Option<String>,
        /// Where a clone is proved: alert, or quarantine (and alert).
        #[arg(long)]
        on_clone: Option<String>,
    },
    /// Take the own binding away: that of the groups holds, or the default.
    Remove {
        /// IMSI, or group:NAME.
        whose: String,
    },
    /// Forget the device that was learnt: the next one is.
    Reset {
        /// IMSI.
        imsi: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// Does what `equipment` says.
pub fn act(v: &Equipment, api: &Client, out: &Printer, lang: Lang) -> Result<()> {
    match v {
        Equipment::List { colour, text } => {
            let filters = [("colour", colour), ("q", text)];
            let query: Vec<String> =
                filters.iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={v}"))).collect();
            let columns = Columns(&["pattern", "colour", "label", "reason", "changed"]);
            out.list(&api.list(&format!("equipment?{}", query.join("&")))?, columns)
        }
        Equipment::Add { pattern, colour, label, reason } => {
            let body = json!({ "colour": colour, "label": label, "reason": reason });
            out.thing(&api.put(&format!("equipment/{pattern}"), &body, "*")?.body)
        }
        Equipment::Import { file, reason } => equipment_list::import(file, reason, api, out, lang),
        Equipment::Remove { pattern } => remove(api, &format!("equipment/{pattern}")),
    }
}

/// Does what `sim binding` says.
pub fn bind(v: &Binding, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Binding::Show { whose } => out.thing(&api.get(&path(whose))?.body),
        Binding::Set { whose, mode, allow, when_missing, on_clone } => {
            let mut body = json!({ "mode": mode, "allowed": allow });
            if let Some(b) = body.as_object_mut() {
                for (k, v) in [("when_missing", when_missing), ("on_clone", on_clone)] {
                    if let Some(v) = v {
                        b.insert(k.to_owned(), json!(v));
                    }
                }
            }
            out.thing(&api.put(&path(whose), &body, "*")?.body)
        }
        Binding::Remove { whose } => remove(api, &path(whose)),
        Binding::Reset { imsi, reason } => {
            out.thing(&api.post(&format!("sims/{imsi}/binding/reset"), &json!({ "reason": reason }))?.body)
        }
    }
}

fn path(whose: &str) -> String {
    match whose.strip_prefix("group:") {
        Some(name) => format!("groups/{name}/binding"),
        None => format!("sims/{whose}/binding"),
    }
}
