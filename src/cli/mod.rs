//! The verbs that are clients of the API (decision D9). Each is one call that any script could make.
//!
//! Where the API is and who we are come from `--api`/`SEKISHO_API` and `SEKISHO_TOKEN`/`--token-file`: a token is never
//! an argument. Exit codes: 0 done, 1 failed, 2 wrong words, 3 refused by the API, 4 not available, 5 means nothing here.

mod alerts;
mod audit;
pub mod backups;
mod compat;
mod core_peers;
mod delivery;
mod directory;
mod equipment;
mod equipment_list;
mod explain;
mod find;
mod grants;
mod home_keys;
mod import;
mod journal;
pub(crate) mod local;
mod operators;
mod policy;
mod posture;
mod print;
mod replay;
mod revocations;
mod risk;
mod routes;
mod sims;

use crate::{
    client::{Client, Good, Refused, encoded},
    lang::Lang,
};
use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use print::{Columns, Printer};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

pub use audit::{Audit, verify as audit_verify};
pub use core_peers::CorePeer;
pub use delivery::Delivery;
pub use journal::{Journal, run as journal};
pub use local::{LocalBan, ban as ban_local};

/// Refused by the API: the request was wrong, or the token may not.
pub const REFUSED: u8 = 3;
/// The API (or a part behind it) does not answer.
pub const UNAVAILABLE: u8 = 4;
/// The words are right where they come from, and can mean nothing here.
pub const MEANS_NOTHING: u8 = 5;
/// Wrong words, of which the parser could not know.
const WRONG_WORDS: u8 = 2;

/// Where the API is, and how answers are printed.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// Address of the API.
    #[arg(long, global = true, env = "SEKISHO_API", default_value = "http://127.0.0.1:8443")]
    pub api: String,
    /// File that holds the token; without it SEKISHO_TOKEN is read.
    #[arg(long, global = true, env = "SEKISHO_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificate (PEM) to trust where the API's is self-signed.
    #[arg(long, global = true, env = "SEKISHO_CA")]
    pub ca: Option<PathBuf>,
    /// How lists and things are printed.
    #[arg(short, long, global = true, value_enum, default_value_t = Form::Table)]
    pub output: Form,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    Table,
    /// The API's own words.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Verbs that are clients of the API.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// SIMs: add, import, list, show, suspend, resume, schedule, ban, unban, retire.
    #[command(subcommand)]
    Sim(sims::Sim),
    /// The company's own list of devices: white, grey, black.
    #[command(subcommand)]
    Equipment(equipment::Equipment),
    /// Keys of the home network, for SIMs that conceal their identity: list, add, retire, accept, remove.
    #[command(subcommand)]
    HomeKey(home_keys::HomeKey),
    /// Data networks.
    #[command(subcommand)]
    DataNetwork(DataNetwork),
    /// Company applications.
    #[command(subcommand)]
    App(App),
    /// Groups of SIMs.
    #[command(subcommand)]
    Group(Group),
    /// Rules: who may open what.
    #[command(subcommand)]
    Rule(Rule),
    /// The policy: as a file (show, check, plan, apply, test), its history, and why it says what it says.
    #[command(subcommand)]
    Policy(Policy),
    /// Live sessions.
    #[command(subcommand)]
    Session(Session),
    /// Recorded flows, newest first: what a SIM reached, who reached an app or an address.
    Flows {
        /// Only this SIM's.
        #[arg(long)]
        sim: Option<String>,
        /// Only those with this address at either end.
        #[arg(long)]
        address: Option<String>,
        /// Only those with this verdict: allow, deny or reject.
        #[arg(long)]
        verdict: Option<String>,
        /// Only those of this app.
        #[arg(long)]
        app: Option<String>,
        /// Only those that ended at or after this time, such as 2027-03-31T14:00:00Z.
        #[arg(long)]
        from: Option<String>,
        /// Only those that began before this time.
        #[arg(long)]
        to: Option<String>,
    },
    /// Alerts: what somebody has to look at.
    #[command(subcommand)]
    Alert(alerts::Alert),
    /// What was changed, by whom, and whether its record holds.
    Audit {
        /// Without one: list.
        #[command(subcommand)]
        verb: Option<Audit>,
    },
    /// MMEs and SMFs of another core.
    #[command(subcommand)]
    CorePeer(CorePeer),
    /// Where audit and alerts are sent to.
    #[command(subcommand)]
    Delivery(Delivery),
    /// People who use SIMs.
    #[command(subcommand)]
    Person(directory::Person),
    /// Devices that SIMs are in.
    #[command(subcommand)]
    Device(directory::Device),
    /// Sites with their radios.
    #[command(subcommand)]
    Site(directory::Site),
    /// How devices are, and who tells it.
    #[command(subcommand)]
    Posture(posture::Posture),
    /// API tokens.
    #[command(subcommand)]
    Token(operators::Token),
    /// Operators: people who sign in here.
    #[command(subcommand)]
    Operator(operators::Operator),
    /// Roles, and what each may do.
    Roles,
    /// Who I am, and what I may do.
    Whoami,
    /// Find SIMs by anything: owner, label, number, IMSI, ICCID, IMEI, address.
    Search {
        /// Two characters or more.
        text: String,
    },
    /// Counts of what is there, what runs and what is open.
    Overview,
    /// The last events that the security desk wants to see, newest first.
    Events {
        /// How many; at most 1000.
        #[arg(long, default_value_t = 50)]
        last: u32,
    },
    /// The address ledger: which SIM had which address, from when to when.
    Address(find::Address),
    /// What `doctor` says of the machine that the API runs on.
    Findings,
    /// One's own sign-ins.
    #[command(subcommand)]
    SignIns(find::SignIns),
    /// One's own passkeys; a browser registers them.
    #[command(subcommand)]
    Passkeys(find::Passkeys),
    /// Sign in as an operator.
    SignIn(operators::SignIn),
    /// Sign out.
    SignOut,
    /// Change my own password.
    Password(operators::Password),
    /// Set up my own second factor.
    SecondFactor(operators::SecondFactor),
    /// Ban a SIM, a device, or everything that a person, group or site has: cut now, recorded, answered.
    Ban {
        /// Straight to the gateway's own socket on this machine, without control and without the API: one SIM.
        #[arg(long)]
        local: bool,
        /// Whom.
        #[command(flatten)]
        whom: revocations::Whom,
        /// lost or stolen.
        #[arg(long, default_value = "lost")]
        state: String,
        /// Why.
        #[command(flatten)]
        why: revocations::Why,
    },
    /// Take the ban of a SIM or a device back; where a second person is needed, ask for it.
    Unban {
        /// Which SIM.
        #[arg(required_unless_present = "imei", conflicts_with = "imei")]
        imsi: Option<String>,
        /// Which device, banned by its IMEI.
        #[arg(long)]
        imei: Option<String>,
        /// What the SIM is to be: active, suspended or stock.
        #[arg(long, default_value = "active", conflicts_with = "imei")]
        state: String,
        /// Why.
        #[command(flatten)]
        why: revocations::Why,
    },
    /// Leave a SIM only the remediation apps of its groups.
    Quarantine {
        /// Which SIM.
        imsi: String,
        /// Take it out again.
        #[arg(long)]
        release: bool,
        /// Why.
        #[command(flatten)]
        why: revocations::Why,
    },
    /// Leave a group only its emergency apps.
    Panic {
        /// Which group.
        group: String,
        /// Why.
        #[command(flatten)]
        why: revocations::Why,
    },
    /// End the panic of a group.
    Calm {
        /// Which group.
        group: String,
        /// Why.
        #[command(flatten)]
        why: revocations::Why,
    },
    /// Bans, unbans and restrictions with their signed receipts.
    #[command(subcommand)]
    Revocation(revocations::Revocation),
    /// Access to one app for a time, with a reason and somebody who answers for it.
    #[command(subcommand)]
    Grant(grants::Grant),
    /// How risk is weighed.
    #[command(subcommand)]
    Risk(risk::Risk),
    /// How the system is.
    System,
    /// The commands of another system, for scripts that call them.
    #[command(subcommand)]
    Compat(compat::Compat),
}

/// `data-network`
#[derive(Debug, Subcommand)]
pub enum DataNetwork {
    /// Add one.
    Add {
        /// Its name, as the UE asks for it.
        dnn: String,
        /// Prefix that UE addresses come from.
        #[arg(long)]
        pool: String,
        /// Prefix that UEs' IPv6 prefixes come from; without it sessions are IPv4 alone.
        #[arg(long)]
        pool6: Option<String>,
        /// Resolvers told to the UE.
        #[arg(long)]
        dns: Vec<String>,
        /// MTU told to the UE, octets.
        #[arg(long)]
        mtu: Option<u16>,
    },
    /// List them.
    List,
    /// Remove one.
    Remove {
        /// Its name.
        dnn: String,
    },
}

/// `app`
#[derive(Debug, Subcommand)]
pub enum App {
    /// Add one.
    Add {
        /// Its name.
        name: String,
        /// Where it is.
        #[arg(long, required = true)]
        prefix: Vec<String>,
        /// What it offers: tcp/443, udp/5000-5010, icmp.
        #[arg(long)]
        service: Vec<String>,
        /// What its servers are called: wiki.example.jp, *.example.jp. Only flows to one of them pass.
        #[arg(long = "server-name")]
        names: Vec<String>,
        /// How that is seen: tls (the ClientHello names it) or dns (the SIM has looked it up).
        #[arg(long, default_value = "tls")]
        names_from: String,
        /// DSCP that its packets get, 0-63.
        #[arg(long)]
        dscp: Option<u8>,
        /// QoS flow for its packets to the UE, 1-63, where the session has it.
        #[arg(long)]
        qfi: Option<u8>,
        /// How it is found out that it works: tcp/PORT, http/PORT/PATH.
        #[arg(long)]
        health: Option<String>,
        /// Words for people.
        #[arg(long, default_value = "")]
        label: String,
    },
    /// List them.
    List,
    /// Whether those that have a probe work: asked every half minute from where control runs.
    Health,
    /// Remove one.
    Remove {
        /// Its name.
        name: String,
    },
}

/// `group`
#[derive(Debug, Subcommand)]
pub enum Group {
    /// Add one.
    Add {
        /// Its name.
        name: String,
        /// Words for people.
        #[arg(long, default_value = "")]
        label: String,
    },
    /// List them.
    List,
    /// Remove one.
    Remove {
        /// Its name.
        name: String,
    },
}

/// `rule`
#[derive(Debug, Subcommand)]
pub enum Rule {
    /// Add one.
    Add(Box<NewRule>),
    /// List them in their order.
    List,
    /// Remove one.
    Remove {
        /// Its name.
        name: String,
    },
}

/// `rule add`
#[derive(Debug, clap::Args)]
pub struct NewRule {
    /// Its name.
    pub name: String,
    /// Place in the order; lower is read first.
    #[arg(long, default_value_t = 100)]
    pub order: i64,
    /// any, group:NAME, sim:IMSI, device:ID or person:ID.
    #[arg(long)]
    pub subject: String,
    /// Which app.
    #[arg(long)]
    pub app: String,
    /// allow, deny, reject, step-up, quarantine or risk.
    #[arg(long)]
    pub verdict: String,
    /// The app opens towards these services of the UE (an `in` rule).
    #[arg(long = "in-to")]
    pub in_to: Vec<String>,
    /// Most bits a second from the UE, for each SIM.
    #[arg(long)]
    pub rate_ul_bps: Option<u64>,
    /// Most bits a second to the UE, for each SIM.
    #[arg(long)]
    pub rate_dl_bps: Option<u64>,
    /// Which allowed flows are written down: all, counters, or 1/N.
    #[arg(long)]
    pub record: Option<String>,
    /// In force in these hours only, such as "mon-fri 08:00-18:00 Asia/Tokyo".
    #[arg(long)]
    pub hours: Option<String>,
    /// In force before this moment only, such as 2027-03-31T15:00:00Z.
    #[arg(long)]
    pub until: Option<String>,
    /// Only where the device is as its group asks, or is not: compliant or not_compliant.
    #[arg(long)]
    pub posture: Option<String>,
    /// Only at one of these sites.
    #[arg(long = "site")]
    pub sites: Vec<String>,
    /// Only at none of these sites.
    #[arg(long = "not-site")]
    pub not_sites: Vec<String>,
    /// Only by this radio: nr or eutra.
    #[arg(long)]
    pub radio: Option<String>,
    /// Only where the person has proved themselves (true), or has not (false).
    #[arg(long)]
    pub assured: Option<bool>,
    /// Only where the risk is low, medium, high or critical, or lower.
    #[arg(long)]
    pub risk_at_most: Option<String>,
    /// Only where the risk is low, medium, high or critical, or higher.
    #[arg(long)]
    pub risk_at_least: Option<String>,
    /// Only in devices of these models: the first eight digits of the IMEI.
    #[arg(long = "model")]
    pub models: Vec<String>,
    /// Decide nothing before this moment, and write down what it would have said.
    #[arg(long)]
    pub monitor_until: Option<String>,
}

impl NewRule {
    /// As the API takes it.
    fn body(&self) -> Value {
        let direction = if self.in_to.is_empty() { "out" } else { "in" };
        json!({
            "name": self.name, "order": self.order, "subject": self.subject, "app": self.app,
            "direction": direction, "verdict": self.verdict, "to": self.in_to,
            "rate_ul_bps": self.rate_ul_bps, "rate_dl_bps": self.rate_dl_bps, "record": self.record,
            "hours": self.hours, "until": self.until, "posture": self.posture, "sites": self.sites,
            "not_sites": self.not_sites, "radio": self.radio, "assured": self.assured,
            "risk_at_most": self.risk_at_most, "risk_at_least": self.risk_at_least,
            "models": self.models, "monitor_until": self.monitor_until,
        })
    }
}

/// `policy`
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// The policy as a file.
    #[command(flatten)]
    Text(policy::Text),
    /// Why a SIM may or may not reach something.
    Explain(explain::Explain),
}

/// `session`
#[derive(Debug, Subcommand)]
pub enum Session {
    /// List them.
    List,
    /// List those that another core's SMF steers.
    Foreign,
    /// End one; the UE may come back.
    End {
        /// Whose.
        imsi: String,
        /// Which PDU session, 1-15; of one that another core's SMF steers, the part of its ID behind the IMSI.
        id: String,
    },
}

/// Does what the words say. Failures are printed with what to do about them.
pub fn run(verb: &Verb, remote: &Remote, lang: Lang) -> ExitCode {
    let offline = |v: &Verb| match v {
        Verb::Revocation(revocations::Revocation::Verify { file, key }) => {
            Some(revocations::verify_file(file, key, lang))
        }
        Verb::Policy(Policy::Text(v)) => policy::offline(v, lang),
        _ => None,
    };
    if let Verb::Compat(v) = verb {
        // Before a token is asked for: help, and words that are wrong, need none.
        return ended(v.read(lang).and_then(|work| match work {
            Some(work) => {
                connect(verb, remote, lang).and_then(|api| work.act(&api, &Printer::new(remote.output)))
            }
            None => Ok(()),
        }));
    }
    let online = || {
        connect(verb, remote, lang)
            .and_then(|api| act(verb, &api, &Printer::new(remote.output), remote, lang))
    };
    ended(offline(verb).unwrap_or_else(online))
}

/// Calls the API for a verb that stands outside of [`Verb`].
fn calling(remote: &Remote, lang: Lang, call: impl FnOnce(&Client, &Printer) -> Result<()>) -> ExitCode {
    // Any verb but the sign-in: they all need a token.
    ended(connect(&Verb::System, remote, lang).and_then(|api| call(&api, &Printer::new(remote.output))))
}

/// What a call came to, as an exit code.
fn ended(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("sekisho: {e:#}");
            ExitCode::from(match e.downcast_ref::<Refused>() {
                Some(r) if r.status < 500 => REFUSED,
                Some(_) => UNAVAILABLE,
                None if e.downcast_ref::<ureq::Error>().is_some() => UNAVAILABLE,
                None if e.is::<compat::MeansNothing>() => MEANS_NOTHING,
                None if e.is::<compat::WrongWords>() => WRONG_WORDS,
                None => 1,
            })
        }
    }
}

fn connect(verb: &Verb, remote: &Remote, lang: Lang) -> Result<Client> {
    let token = match &remote.token_file {
        // Whoever signs in has no token yet.
        _ if matches!(verb, Verb::SignIn(_)) => String::new(),
        Some(f) => std::fs::read_to_string(f).with_context(|| format!("the token file {}", f.display()))?,
        None => std::env::var("SEKISHO_TOKEN")
            .context("no token: put it into SEKISHO_TOKEN, or into a file named by --token-file")?,
    };
    let ca = remote.ca.as_ref().map(std::fs::read).transpose().context("the certificate named by --ca")?;
    Client::new(&remote.api, token.trim(), lang.tag(), ca.as_deref())
}

fn act(verb: &Verb, api: &Client, out: &Printer, remote: &Remote, lang: Lang) -> Result<()> {
    match verb {
        Verb::Sim(v) => sims::act(v, api, out, lang),
        Verb::DataNetwork(v) => match v {
            DataNetwork::Add { dnn, pool, pool6, dns, mtu } => {
                let mut body = json!({ "dnn": dnn, "pool": pool, "pool6": pool6, "dns": dns });
                if let (Some(m), Some(b)) = (mtu, body.as_object_mut()) {
                    b.insert("mtu".to_owned(), json!(m));
                }
                out.thing(&api.post("data-networks", &body)?.body)
            }
            DataNetwork::List => {
                out.list(&api.list("data-networks")?, Columns(&["dnn", "pool", "pool6", "dns", "mtu"]))
            }
            DataNetwork::Remove { dnn } => remove(api, &format!("data-networks/{dnn}")),
        },
        Verb::App(v) => match v {
            App::Add { name, prefix, service, names, names_from, dscp, qfi, health, label } => {
                let body = json!({
                    "name": name, "label": label, "prefixes": prefix, "services": service, "names": names,
                    "names_from": names_from, "dscp": dscp, "qfi": qfi, "health": health,
                });
                out.thing(&api.post("apps", &body)?.body)
            }
            App::List => {
                let columns = Columns(&["name", "prefixes", "services", "names", "dscp", "qfi", "label"]);
                out.list(&api.list("apps")?, columns)?;
                beside_apps(api, lang)
            }
            App::Health => {
                let system = api.get("system")?.body;
                let all = system.get("apps").and_then(Value::as_array).cloned().unwrap_or_default();
                out.list(&all, Columns(&["name", "state", "probe", "address", "since", "asked", "why"]))
            }
            App::Remove { name } => remove(api, &format!("apps/{name}")),
        },
        Verb::Group(v) => match v {
            Group::Add { name, label } => {
                out.thing(&api.post("groups", &json!({ "name": name, "label": label }))?.body)
            }
            Group::List => out.list(&api.list("groups")?, Columns(&["name", "label"])),
            Group::Remove { name } => remove(api, &format!("groups/{name}")),
        },
        Verb::Rule(v) => rule(v, api, out),
        Verb::Policy(v) => match v {
            Policy::Text(v) => policy::act(v, api, out, matches!(remote.output, Form::Json), lang),
            Policy::Explain(v) => explain::act(v, api, out, matches!(remote.output, Form::Json), lang),
        },
        Verb::Session(v) => match v {
            Session::List => {
                let columns = Columns(&[
                    "imsi",
                    "id",
                    "kind",
                    "dnn",
                    "ip",
                    "connected",
                    "gnb",
                    "smf",
                    "since",
                    "banned",
                ]);
                out.list(&api.list("sessions")?, columns)
            }
            Session::Foreign => {
                let columns = Columns(&[
                    "imsi",
                    "seid",
                    "smf",
                    "dnn",
                    "ip",
                    "prefix",
                    "slice",
                    "connected",
                    "uplink_bps",
                    "downlink_bps",
                    "since",
                    "banned",
                ]);
                out.list(&api.list("sessions?kind=foreign")?, columns)
            }
            Session::End { imsi, id } => {
                api.delete(&format!("sessions/{}-{}", encoded(imsi), encoded(id)), None).map(drop)
            }
        },
        Verb::Flows { sim, address, verdict, app, from, to } => {
            let filters = [
                ("imsi", sim),
                ("address", address),
                ("verdict", verdict),
                ("app", app),
                ("from", from),
                ("to", to),
            ];
            let given = |(k, v): &(&str, &Option<String>)| v.as_ref().map(|v| format!("{k}={}", encoded(v)));
            let query: Vec<String> = filters.iter().filter_map(given).collect();
            let columns = Columns(&[
                "start",
                "imsi",
                "direction",
                "ue",
                "peer",
                "peer_port",
                "app",
                "rule",
                "verdict",
                "reason",
                "name",
            ]);
            out.list(&api.list(&format!("flows?{}", query.join("&")))?, columns)
        }
        Verb::Equipment(v) => equipment::act(v, api, out, lang),
        Verb::HomeKey(v) => home_keys::act(v, api, out),
        Verb::Alert(v) => alerts::act(v, api, out),
        Verb::Audit { verb } => audit::act(verb.as_ref(), api, out),
        Verb::CorePeer(v) => core_peers::act(v, api, out),
        Verb::Delivery(v) => delivery::act(v, api, out),
        Verb::Token(v) => operators::token(v, api, out),
        Verb::Person(v) => directory::person(v, api, out),
        Verb::Device(v) => directory::device(v, api, out),
        Verb::Site(v) => directory::site(v, api, out),
        Verb::Posture(v) => posture::act(v, api, out),
        Verb::Operator(v) => operators::operator(v, api, out),
        Verb::Roles => operators::roles(api, out),
        Verb::Whoami => out.thing(&api.get("me")?.body),
        Verb::Search { text } => find::search(text, api, out),
        Verb::Overview => out.thing(&api.get("overview")?.body),
        Verb::Events { last } => {
            let page = api.get(&format!("events/security?limit={last}"))?.body;
            let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            out.list(&items, Columns(&["at", "imsi", "kind", "title"]))
        }
        Verb::Address(v) => find::address(v, api, out),
        Verb::Findings => find::findings(api, out),
        Verb::SignIns(v) => find::sign_ins(v, api, out),
        Verb::Passkeys(v) => find::passkeys(v, api, out),
        Verb::SignIn(v) => operators::sign_in(v, remote, lang),
        Verb::SignOut => operators::sign_out(api),
        Verb::Password(v) => operators::password(v, api, lang),
        Verb::SecondFactor(v) => operators::second_factor(v, api, out, lang),
        Verb::Ban { whom, state, why, .. } => revocations::ban(whom, state, why, api, out),
        Verb::Unban { imsi, imei, state, why } => match (imsi, imei) {
            (Some(imsi), _) => revocations::unban(imsi, state, why, api, out),
            (None, Some(imei)) => revocations::unban_device(imei, why, api, out),
            (None, None) => anyhow::bail!("name a SIM or, by --imei, a device"),
        },
        Verb::Quarantine { imsi, release, why } => revocations::quarantine(imsi, *release, why, api, out),
        Verb::Panic { group, why } => revocations::panic(group, true, why, api, out),
        Verb::Calm { group, why } => revocations::panic(group, false, why, api, out),
        Verb::Revocation(v) => revocations::act(v, api, out),
        Verb::Grant(v) => grants::act(v, api, out),
        Verb::Risk(v) => risk::act(v, api, out, matches!(remote.output, Form::Table), lang),
        Verb::System => out.thing(&api.get("system")?.body),
        Verb::Compat(v) => v.read(lang)?.map_or(Ok(()), |work| work.act(api, out)),
    }
}

fn rule(v: &Rule, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Rule::Add(new) => out.thing(&api.post("rules", &new.body())?.body),
        Rule::List => {
            let columns = Columns(&[
                "order",
                "name",
                "subject",
                "app",
                "direction",
                "to",
                "verdict",
                "rate_ul_bps",
                "rate_dl_bps",
                "record",
                "hours",
                "until",
                "monitor_until",
            ]);
            out.list(&api.list("rules")?, columns)
        }
        Rule::Remove { name } => remove(api, &format!("rules/{name}")),
    }
}

/// Reads the thing's version and removes exactly that.
/// Names apps that nobody made, to people: what the list holds can be changed.
fn beside_apps(api: &Client, lang: Lang) -> Result<()> {
    let system = api.get("system")?.body;
    let words = |a: &Value, field: &str| {
        let all = a[field].as_array().into_iter().flatten();
        all.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    for a in system["built_in_apps"].as_array().into_iter().flatten() {
        let (name, names) = (a["name"].as_str().unwrap_or_default(), words(a, "names"));
        let (at, services) = (words(a, "prefixes"), words(a, "services"));
        eprintln!(
            "{}",
            match lang {
                Lang::En => format!(
                    "beside them: {name} ({names} {at} {services}), which everybody reaches before they have proved anything"
                ),
                Lang::Ja => format!(
                    "このほか: {name} ({names} {at} {services}) には、本人確認の前でも誰でも到達できます"
                ),
            }
        );
    }
    Ok(())
}

fn remove(api: &Client, path: &str) -> Result<()> {
    let Good { etag, .. } = api.get(path)?;
    api.delete(path, etag.as_deref()).map(drop)
}

/// Reads the thing's version and changes exactly that.
fn patch(api: &Client, path: &str, body: &Value) -> Result<Good> {
    let Good { etag, .. } = api.get(path)?;
    api.patch(path, body, etag.as_deref().unwrap_or("*"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser};

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        verb: Verb,
    }

    #[test]
    fn the_words_do_not_clash() {
        Words::command().debug_assert();
    }

    /// Everything that calls the API, as the binary's own words have it.
    #[derive(Debug, Parser)]
    struct Calls {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        verb: Call,
    }

    #[derive(Debug, Subcommand)]
    enum Call {
        #[command(subcommand)]
        Backup(backups::Backup),
        #[command(subcommand)]
        Restore(backups::Restore),
        #[command(flatten)]
        Api(Verb),
    }

    /// The words of a line as a POSIX shell takes it, with single quotes and escaped ones.
    fn words(line: &str) -> Vec<String> {
        let (mut all, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\'' => (quoted, any) = (!quoted, true),
                '\\' if !quoted => word.extend(chars.next()),
                ' ' if !quoted => {
                    if any || !word.is_empty() {
                        all.push(std::mem::take(&mut word));
                    }
                    any = false;
                }
                c => word.push(c),
            }
        }
        all.push(word);
        all
    }

    /// The console shows each call that it makes as a command; its own test writes one of each kind to this file.
    #[test]
    fn every_line_that_the_console_shows_is_taken() {
        assert_eq!(words(r"a 'it'\''s' ''"), ["a", "it's", ""]);
        let lines = include_str!("../../admin-web/ui/src/api/cli.lines.txt");
        assert!(lines.lines().count() > 80);
        for line in lines.lines() {
            Calls::try_parse_from(words(line)).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    #[test]
    fn rights_and_links_are_read_as_they_are_said() {
        for said in [
            "sekisho operator add hanako --display Hanako --role soc --role auditor --limit-site osaka",
            "sekisho operator change hanako --new-password",
            "sekisho token create x --role viewer --scope ban --limit-group plc --address 10.0.0.0/8 --expires 2027-01-01T00:00:00Z",
            "sekisho device add pc-1 --kind laptop --imei 490154203237518 --owner tanaka",
            "sekisho person change tanaka --name Tanaka --clear ends-at --clear mail",
            "sekisho site add osaka --name Osaka --tac 1 --tac 2 --cell 10",
            "sekisho sim link 001010000000001 --device pc-1 --site osaka",
            "sekisho sim list --person tanaka --site osaka",
            "sekisho search Tanaka",
            "sekisho address 10.20.3.4 --at 2027-01-01T00:00:00Z",
            "sekisho sim bulk --group staff --expect 3 --state suspended --add-group parked --reason inventory --dry-run",
            "sekisho sim bulk 001010000000001 001010000000002 --expect 2 --site osaka --reason move",
            "sekisho sign-ins end 0011",
            "sekisho sign-in hanako --password-file p --save t",
            "sekisho second-factor --confirm",
            "sekisho policy show",
            "sekisho policy show --generation 7",
            "sekisho policy check policy.toml",
            "sekisho policy plan policy.toml",
            "sekisho policy apply policy.toml --if-generation 7 --reason audit",
            "sekisho policy test",
            "sekisho policy test policy.toml",
            "sekisho policy analyse",
            "sekisho policy history --last 5",
            "sekisho policy replay draft.toml --last 24h",
            "sekisho policy replay --draft draft.toml --from 2027-01-01T00:00:00Z",
            "sekisho policy rollback",
            "sekisho policy rollback 12 --reason wrong",
        ] {
            Words::try_parse_from(said.split(' ')).unwrap_or_else(|e| panic!("{said}: {e}"));
        }
        // A password is never an argument.
        assert!(Words::try_parse_from("sekisho sign-in hanako --password x".split(' ')).is_err());
    }
}
