//! `sekisho person|device|site …`

use super::{
    print::{Columns, Printer},
    remove,
};
use crate::client::{Client, Good};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

/// What is said of a person; what is left out stays as it is.
#[derive(Debug, Args)]
pub struct PersonWords {
    /// Full name.
    #[arg(long)]
    name: Option<String>,
    /// Mail address.
    #[arg(long)]
    mail: Option<String>,
    /// Employee number.
    #[arg(long)]
    employee: Option<String>,
    /// Id in another system.
    #[arg(long)]
    external: Option<String>,
    /// When the person leaves, such as 2027-03-31T15:00:00Z.
    #[arg(long)]
    ends_at: Option<String>,
}

/// What is said of a device; what is left out stays as it is.
#[derive(Debug, Args)]
pub struct DeviceWords {
    /// Words for people.
    #[arg(long)]
    label: Option<String>,
    /// laptop, phone, tablet, router, plc, camera, sensor, vehicle or other.
    #[arg(long)]
    kind: Option<String>,
    /// IMEI (15 digits) or IMEISV (16 digits).
    #[arg(long)]
    imei: Option<String>,
    /// The maker's serial number.
    #[arg(long)]
    serial: Option<String>,
    /// Id of the person whose it is.
    #[arg(long)]
    owner: Option<String>,
}

/// What is said of a site; what is left out stays as it is.
#[derive(Debug, Args)]
pub struct SiteWords {
    /// Full name.
    #[arg(long)]
    name: Option<String>,
    /// Words for people.
    #[arg(long)]
    description: Option<String>,
    /// Tracking area codes that lie in it.
    #[arg(long)]
    tac: Vec<u32>,
    /// NR cell identities that stand in it, in hexadecimal.
    #[arg(long)]
    cell: Vec<String>,
    /// Time zone by its IANA name; the network's own if not given.
    #[arg(long)]
    time_zone: Option<String>,
}

macro_rules! verbs {
    ($(#[$d:meta])* $name:ident, $words:ident) => {
        $(#[$d])*
        #[derive(Debug, Subcommand)]
        pub enum $name {
            /// Add one.
            Add {
                /// Its id: 1-63 of a-z, 0-9 and inner - _ .
                id: String,
                #[command(flatten)]
                words: $words,
            },
            /// List them.
            List {
                /// Only those that hold this somewhere.
                #[arg(long)]
                text: Option<String>,
            },
            /// Show one.
            Show {
                /// Which.
                id: String,
            },
            /// Change what is said of one.
            Change {
                /// Which.
                id: String,
                #[command(flatten)]
                words: $words,
                /// Empties these fields.
                #[arg(long)]
                clear: Vec<String>,
            },
            /// Remove one that no SIM is linked to.
            Remove {
                /// Which.
                id: String,
            },
        }

        impl $name {
            fn verb(&self) -> Verb<'_> {
                match self {
                    Self::Add { id, words } => Verb::Add(id, words.body()),
                    Self::List { text } => Verb::List(text.as_deref()),
                    Self::Show { id } => Verb::Show(id),
                    Self::Change { id, words, clear } => Verb::Change(id, words.body(), clear),
                    Self::Remove { id } => Verb::Remove(id),
                }
            }
        }
    };
}

verbs!(
    /// `person`
    Person,
    PersonWords
);
verbs!(
    /// `device`
    Device,
    DeviceWords
);
verbs!(
    /// `site`
    Site,
    SiteWords
);

/// The five verbs that the three kinds have in common.
enum Verb<'a> {
    Add(&'a str, Map<String, Value>),
    List(Option<&'a str>),
    Show(&'a str),
    Change(&'a str, Map<String, Value>, &'a [String]),
    Remove(&'a str),
}

/// Those that were said.
fn said(all: [(&str, Option<Value>); 5]) -> Map<String, Value> {
    all.into_iter().filter_map(|(k, v)| v.map(|v| (k.to_owned(), v))).collect()
}

impl PersonWords {
    fn body(&self) -> Map<String, Value> {
        let text = |t: &Option<String>| t.as_ref().map(|t| json!(t));
        said([
            ("name", text(&self.name)),
            ("mail", text(&self.mail)),
            ("employee", text(&self.employee)),
            ("external", text(&self.external)),
            ("ends_at", text(&self.ends_at)),
        ])
    }
}

impl DeviceWords {
    fn body(&self) -> Map<String, Value> {
        let text = |t: &Option<String>| t.as_ref().map(|t| json!(t));
        said([
            ("label", text(&self.label)),
            ("kind", text(&self.kind)),
            ("imei", text(&self.imei)),
            ("serial", text(&self.serial)),
            ("owner", text(&self.owner)),
        ])
    }
}

impl SiteWords {
    fn body(&self) -> Map<String, Value> {
        said([
            ("name", self.name.as_ref().map(|t| json!(t))),
            ("description", self.description.as_ref().map(|t| json!(t))),
            ("tacs", (!self.tac.is_empty()).then(|| json!(self.tac))),
            ("cells", (!self.cell.is_empty()).then(|| json!(self.cell))),
            ("time_zone", self.time_zone.as_ref().map(|t| json!(t))),
        ])
    }
}

pub(super) fn person(v: &Person, api: &Client, out: &Printer) -> Result<()> {
    act(&v.verb(), "people", Columns(&["id", "name", "mail", "employee", "ends_at"]), api, out)
}

pub(super) fn device(v: &Device, api: &Client, out: &Printer) -> Result<()> {
    let mut verb = v.verb();
    if let Verb::Add(_, body) = &mut verb {
        body.entry("kind").or_insert(json!("other"));
    }
    act(&verb, "devices", Columns(&["id", "label", "kind", "imei", "serial", "owner"]), api, out)
}

pub(super) fn site(v: &Site, api: &Client, out: &Printer) -> Result<()> {
    act(&v.verb(), "sites", Columns(&["id", "name", "tacs", "cells", "description"]), api, out)
}

fn act(verb: &Verb<'_>, path: &str, columns: Columns, api: &Client, out: &Printer) -> Result<()> {
    match verb {
        Verb::Add(id, body) => {
            let mut body = body.clone();
            body.insert("id".to_owned(), json!(id));
            out.thing(&api.post(path, &Value::Object(body))?.body)
        }
        Verb::List(text) => {
            let query = text.map(|t| format!("?q={t}")).unwrap_or_default();
            out.list(&api.list(&format!("{path}{query}"))?, columns)
        }
        Verb::Show(id) => out.thing(&api.get(&format!("{path}/{id}"))?.body),
        Verb::Change(id, words, clear) => {
            let path = format!("{path}/{id}");
            let Good { body, etag } = api.get(&path)?;
            let body = changed(body, words, clear)?;
            out.thing(&api.put(&path, &body, etag.as_deref().unwrap_or("*"))?.body)
        }
        Verb::Remove(id) => remove(api, &format!("{path}/{id}")),
    }
}

/// The thing as it was read, with some words changed and some taken away: what is to be sent back.
fn changed(read: Value, words: &Map<String, Value>, clear: &[String]) -> Result<Value> {
    let Value::Object(mut body) = read else { return Err(anyhow::anyhow!("the API answered no object")) };
    for stamp in ["version", "created", "changed"] {
        body.remove(stamp);
    }
    for field in clear {
        let field = field.replace('-', "_");
        body.remove(&field).with_context(|| format!("there is no field {field} to clear"))?;
    }
    body.extend(words.clone());
    Ok(Value::Object(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_sends_back_what_was_read_but_for_what_was_said() {
        let read = json!({ "id": "pc-1", "kind": "laptop", "serial": "X1", "owner": "tanaka", "version": 3, "created": "a", "changed": "b" });
        let words = said([("kind", Some(json!("tablet"))), ("", None), ("", None), ("", None), ("", None)]);
        let body = changed(read.clone(), &words, &["owner".to_owned()]).expect("a body");
        assert_eq!(body, json!({ "id": "pc-1", "kind": "tablet", "serial": "X1" }));
        assert!(
            changed(read, &words, &["owners".to_owned()]).is_err(),
            "a slip of the hand is not passed over"
        );
    }
}
