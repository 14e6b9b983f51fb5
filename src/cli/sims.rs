//! `sekisho sim …`

use super::{
    import, patch,
    print::{Columns, Printer},
};
use crate::{
    client::{Client, encoded},
    lang::Lang,
};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::{Map, Value, json};
use std::{
    io::BufRead,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// `sim`
#[derive(Debug, Subcommand)]
pub enum Sim {
    /// Add one. Its keys come from a file, never from an argument.
    Add {
        /// 6-15 digits.
        imsi: String,
        /// File with lines `k = HEX` and `opc = HEX` (or `op = HEX`); of a TUAK card `algorithm = tuak`, `k`, `topc` (or
        /// `top`), and `iterations` where it is not 1.
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
    /// Change state, groups or site of many. Each is changed by itself and answered for.
    Bulk(super::find::Bulk),
    /// Make and change many from a CSV or JSON file; `import undo JOB` takes an import back.
    Import(import::Import),
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
        /// Only those linked to this device.
        #[arg(long)]
        device: Option<String>,
        /// Only those linked to this person, or in a device that the person owns.
        #[arg(long)]
        person: Option<String>,
        /// Only those linked to this site.
        #[arg(long)]
        site: Option<String>,
        /// By imsi, label, iccid, state, changed or last_seen; with - before it the greatest first (--sort=-changed).
        #[arg(long, allow_hyphen_values = true)]
        sort: Option<String>,
    },
    /// Every change of one's state, newest first.
    History {
        /// Which.
        imsi: String,
    },
    /// Devices that one was in, the last one first.
    Devices {
        /// Which.
        imsi: String,
    },
    /// Show one.
    Show {
        /// Which.
        imsi: String,
    },
    /// What is known of one beside its rules: posture, place, radio, assurance, risk, each with its source and age.
    Facts {
        /// Which.
        imsi: String,
    },
    /// Record that somebody has proved that it is they who use one, for a while: as a proof at the page or the provider.
    Assure {
        /// Which.
        imsi: String,
        /// Until when, a day from now at most, such as 2027-01-31T18:00:00+09:00.
        #[arg(long)]
        until: String,
        /// How they have proved it.
        #[arg(long)]
        reason: String,
    },
    /// Take back every proof for one, whoever it is from.
    Unassure {
        /// Which.
        imsi: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Say where one is at home beside its own site: at any other place it is not usual.
    UsualSites {
        /// Which.
        imsi: String,
        /// Ids of the sites; none: its own alone.
        site: Vec<String>,
    },
    /// Which device it may live in; also of a group's SIMs.
    #[command(subcommand)]
    Binding(super::equipment::Binding),
    /// The networks behind one.
    #[command(subcommand)]
    Route(super::routes::Route),
    /// What happened to one, newest first.
    Timeline {
        /// Which.
        imsi: String,
    },
    /// Say whose it is: the device that it is in, its person, its site. An empty text takes a link away.
    Link {
        /// Which.
        imsi: String,
        /// Id of the device.
        #[arg(long)]
        device: Option<String>,
        /// Id of the person.
        #[arg(long)]
        person: Option<String>,
        /// Id of the site.
        #[arg(long)]
        site: Option<String>,
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
    /// End one for ever; its key is destroyed. Asks for the last four digits first.
    Retire {
        /// Which.
        imsi: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Number of the ticket that asked for it.
        #[arg(long)]
        ticket: Option<String>,
    },
    /// Plan a suspension, a resumption or a retirement; without --at list what is planned.
    Schedule {
        /// Which.
        imsi: String,
        /// suspend, resume or retire.
        #[arg(requires = "at")]
        action: Option<String>,
        /// When, like 2027-01-31T09:00:00Z or 2027-01-31T18:00:00+09:00.
        #[arg(long, requires = "reason")]
        at: Option<String>,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
        /// Number of the ticket that asked for it.
        #[arg(long)]
        ticket: Option<String>,
    },
    /// Take a planned change back.
    Unschedule {
        /// Number of the schedule.
        id: u64,
    },
    /// Set the day from which one is suspended (the end of a contract), or take it away by `none`.
    EndDate {
        /// Which.
        imsi: String,
        /// A time like 2027-03-31T15:00:00Z, or none.
        at: String,
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

pub(super) fn act(v: &Sim, api: &Client, out: &Printer, lang: Lang) -> Result<()> {
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
        Sim::Bulk(v) => super::find::bulk(v, api, out),
        Sim::Import(i) => import::act(i, api, out, lang),
        Sim::List { state, group, text, device, person, site, sort } => {
            let links = [("device", device), ("person", person), ("site", site), ("sort", sort)];
            let filters = [("state", state), ("group", group), ("q", text)].into_iter().chain(links);
            let query: Vec<String> =
                filters.filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={}", encoded(v)))).collect();
            let columns = Columns(&[
                "imsi",
                "label",
                "state",
                "groups",
                "device_id",
                "person",
                "site",
                "dnns",
                "static_ips",
                "last_seen",
            ]);
            out.list(&api.list(&format!("sims?{}", query.join("&")))?, columns)
        }
        Sim::History { imsi } => {
            let columns = Columns(&["at", "from", "to", "actor", "reason", "ticket"]);
            out.list(&api.list(&format!("sims/{imsi}/history"))?, columns)
        }
        Sim::Devices { imsi } => {
            let columns = Columns(&["device", "first", "last", "times", "refused", "device_id", "colour"]);
            out.list(&api.list(&format!("sims/{imsi}/devices"))?, columns)
        }
        Sim::Show { imsi } => out.thing(&api.get(&format!("sims/{imsi}"))?.body),
        Sim::Facts { imsi } => {
            let columns = Columns(&["fact", "value", "words", "source", "since", "age_s", "until"]);
            let body = api.get(&format!("sims/{imsi}/facts"))?.body;
            out.list(body["facts"].as_array().map(Vec::as_slice).unwrap_or_default(), columns)
        }
        Sim::Assure { imsi, until, reason } => {
            let body = json!({ "until": until, "reason": reason });
            out.thing(&api.post(&format!("sims/{imsi}/assurance"), &body)?.body)
        }
        Sim::Unassure { imsi, reason } => {
            let path = format!("sims/{imsi}/assurance/withdraw");
            out.thing(&api.post(&path, &json!({ "reason": reason }))?.body)
        }
        Sim::UsualSites { imsi, site } => {
            let path = format!("sims/{imsi}/usual-sites");
            out.thing(&api.put(&path, &json!({ "sites": site }), "*")?.body)
        }
        Sim::Binding(v) => super::equipment::bind(v, api, out),
        Sim::Route(v) => super::routes::act(v, api, out),
        Sim::Timeline { imsi } => {
            out.list(&api.list(&format!("sims/{imsi}/timeline"))?, Columns(&["at", "title", "detail"]))
        }
        Sim::Link { imsi, device, person, site } => {
            let links = [("device_id", device), ("person", person), ("site", site)];
            let said = links.into_iter().filter_map(|(k, v)| v.as_ref().map(|v| (k, v)));
            let value = |v: &String| if v.is_empty() { Value::Null } else { json!(v) };
            let body: Map<String, Value> = said.map(|(k, v)| (k.to_owned(), value(v))).collect();
            out.thing(&patch(api, &format!("sims/{imsi}"), &Value::Object(body))?.body)
        }
        Sim::Groups { imsi, group } => {
            out.thing(&patch(api, &format!("sims/{imsi}"), &json!({ "groups": group }))?.body)
        }
        Sim::Suspend { imsi, reason, ticket } => {
            state(api, out, imsi, "suspended", reason, ticket.as_deref())
        }
        Sim::Resume { imsi, reason, ticket } => state(api, out, imsi, "active", reason, ticket.as_deref()),
        Sim::Schedule { imsi, action: Some(action), at, reason, ticket } => {
            let body = json!({ "at": at, "action": action, "reason": reason, "ticket": ticket });
            out.thing(&api.post(&format!("sims/{imsi}/schedule"), &body)?.body)
        }
        Sim::Schedule { imsi, .. } => {
            let columns = Columns(&["id", "kind", "at", "action", "state", "outcome", "actor", "reason"]);
            out.list(&api.list(&format!("sims/{imsi}/schedule"))?, columns)
        }
        Sim::Unschedule { id } => api.delete(&format!("schedules/{id}"), None).map(drop),
        Sim::EndDate { imsi, at, reason, ticket } => {
            let at = (at != "none").then_some(at);
            let body = json!({ "at": at, "reason": reason, "ticket": ticket });
            out.thing(&api.post(&format!("sims/{imsi}/end-date"), &body)?.body)
        }
        Sim::Retire { imsi, yes, .. } if !yes && !confirmed(imsi, lang, &mut std::io::stdin().lock())? => {
            bail!(
                "{}",
                lang.of("not confirmed: nothing was done", "確認できなかったため、何も行いませんでした")
            )
        }
        Sim::Retire { imsi, reason, ticket, .. } => {
            state(api, out, imsi, "retired", reason, ticket.as_deref())
        }
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

/// Asks for the last four digits: a retirement destroys the key and cannot be taken back.
fn confirmed(imsi: &str, lang: Lang, answers: &mut impl BufRead) -> Result<bool> {
    let last = imsi.get(imsi.len().saturating_sub(4)..).unwrap_or(imsi);
    eprintln!(
        "{}",
        lang.of(
            "This destroys the key of SIM {} for ever. Type the last four digits of its IMSI:",
            "SIM {} の鍵を完全に破棄します (元に戻せません)。IMSI の下 4 桁を入力してください:"
        )
        .replace("{}", imsi)
    );
    let mut line = String::new();
    answers.read_line(&mut line)?;
    Ok(line.trim() == last)
}

fn statics(pairs: &[String]) -> Result<Value> {
    let mut all = Map::new();
    for p in pairs {
        let (dnn, ip) = p.split_once('=').with_context(|| format!("{p}: write DNN=ADDRESS"))?;
        all.insert(dnn.to_owned(), json!(ip));
    }
    Ok(Value::Object(all))
}

/// Reads the lines of keys and what belongs to them into the body. An error names the line, never its content.
fn read_keys(file: &Path, body: &mut Map<String, Value>) -> Result<()> {
    let text = Zeroizing::new(
        std::fs::read_to_string(file).with_context(|| format!("the key file {}", file.display()))?,
    );
    keys_of(&text, &file.display().to_string(), body)
}

/// The same of a text that came from there.
pub(super) fn keys_of(text: &str, from: &str, body: &mut Map<String, Value>) -> Result<()> {
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=').map(|(k, v)| (k.trim(), v.trim().trim_matches('"'))) {
            Some((k @ ("k" | "opc" | "op" | "topc" | "top" | "algorithm"), v)) => {
                drop(body.insert(k.to_owned(), json!(v)));
            }
            Some((k @ "iterations", v)) => {
                let v: u8 = v.parse().with_context(|| format!("{from}:{}: give 1-255", n + 1))?;
                body.insert(k.to_owned(), json!(v));
            }
            _ => bail!(
                "{from}:{}: a line is `NAME = HEX` with k, opc, op, topc or top, or `algorithm = tuak`, or `iterations = 1`",
                n + 1
            ),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retirement_wants_the_last_four_digits() {
        for (typed, yes) in [("0001\n", true), ("0002\n", false), ("\n", false), ("", false)] {
            let answer = confirmed("001010000000001", Lang::En, &mut typed.as_bytes()).expect("read");
            assert_eq!(answer, yes, "{typed:?}");
        }
    }

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
