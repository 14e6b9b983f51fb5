//! `sekisho ban|unban|quarantine|panic|calm|revocation …`

use super::print::{Columns, Printer};
use crate::{
    client::Client,
    lang::Lang,
    signing::{Purpose, verify},
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Whom a ban is for: one of these.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Whom {
    /// SIMs; more than one with --local only.
    #[arg(value_name = "IMSI")]
    pub sim: Vec<String>,
    /// One SIM.
    #[arg(long, value_name = "IMSI")]
    pub imsi: Option<String>,
    /// A device, whatever SIM is in it.
    #[arg(long)]
    pub imei: Option<String>,
    /// A device of the directory: its SIMs and its IMEI.
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// A person's SIMs.
    #[arg(long, value_name = "ID")]
    pub person: Option<String>,
    /// A group's SIMs.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// A site's SIMs.
    #[arg(long, value_name = "ID")]
    pub site: Option<String>,
}

impl Whom {
    /// As the gateway's own socket takes it: SIMs by their IMSI, devices by their IMEI.
    ///
    /// # Errors
    /// For a person, group or site: the gateway knows none.
    pub fn local(&self, state: &str, reason: &str) -> Result<super::LocalBan> {
        let state = state.parse().map_err(anyhow::Error::msg)?;
        match self.scope() {
            ("sim", _) if !self.sim.is_empty() => {
                let all: Result<Vec<types::Imsi>, _> = self.sim.iter().map(|s| s.parse()).collect();
                Ok(super::LocalBan::new(all?, Vec::new(), state, reason))
            }
            ("sim", imsi) => Ok(super::LocalBan::new(vec![imsi.parse()?], Vec::new(), state, reason)),
            ("imei" | "device", d) => Ok(super::LocalBan::new(Vec::new(), vec![d.to_owned()], state, reason)),
            _ => bail!("with --local SIMs and devices are cut: the gateway knows no people, groups or sites"),
        }
    }

    fn scope(&self) -> (&'static str, &str) {
        if let Some(one) = self.sim.first() {
            return ("sim", one);
        }
        let all = [
            ("sim", &self.imsi),
            ("imei", &self.imei),
            ("device", &self.device),
            ("person", &self.person),
            ("group", &self.group),
            ("site", &self.site),
        ];
        all.into_iter().find_map(|(k, v)| Some((k, v.as_deref()?))).unwrap_or(("sim", ""))
    }
}

/// Why, and whether for real.
#[derive(Debug, Clone, Args)]
pub struct Why {
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// Ticket it belongs to.
    #[arg(long, default_value = "")]
    pub ticket: String,
    /// Do nothing; say what would be touched.
    #[arg(long)]
    pub dry_run: bool,
}

impl Why {
    fn body(&self) -> Value {
        json!({ "reason": self.reason, "ticket": self.ticket, "dry_run": self.dry_run })
    }
}

/// `revocation`
#[derive(Debug, Subcommand)]
pub enum Revocation {
    /// List bans, unbans and restrictions, newest first.
    List {
        /// Only those that cover this SIM.
        #[arg(long, value_name = "IMSI")]
        sim: Option<String>,
        /// Only of this kind: ban, unban, quarantine, release, panic, calm.
        #[arg(long)]
        kind: Option<String>,
    },
    /// Show one with its receipts in their newest versions.
    Show {
        /// Its id.
        id: String,
    },
    /// Check the signature of a receipt in a file, offline.
    Verify {
        /// File with a receipt, or with what `revocation show -o json` printed.
        file: PathBuf,
        /// Public key of the node: its signing.pub, or 64 hexadecimal digits.
        #[arg(long)]
        key: String,
    },
    /// List unbans that wait for a second person.
    Requests,
    /// Agree to an unban that somebody else asked for.
    Approve {
        /// The request's id.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Refuse an unban that somebody asked for.
    Refuse {
        /// The request's id.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

pub(super) fn ban(whom: &Whom, state: &str, why: &Why, api: &Client, out: &Printer) -> Result<()> {
    if whom.sim.len() > 1 {
        bail!("one ban names one thing; with --local it may be several SIMs");
    }
    let (scope, value) = whom.scope();
    let mut body = why.body();
    if let Some(b) = body.as_object_mut() {
        b.insert("scope".to_owned(), json!(scope));
        b.insert("value".to_owned(), json!(value));
        b.insert("state".to_owned(), json!(state));
    }
    out.thing(&api.post("revocations", &body)?.body)
}

pub(super) fn unban(imsi: &str, state: &str, why: &Why, api: &Client, out: &Printer) -> Result<()> {
    if why.dry_run {
        bail!("an unban ends no session, so there is nothing to try");
    }
    let body = json!({ "state": state, "reason": why.reason, "ticket": why.ticket });
    out.thing(&api.post(&format!("sims/{imsi}/unban"), &body)?.body)
}

pub(super) fn unban_device(imei: &str, why: &Why, api: &Client, out: &Printer) -> Result<()> {
    if why.dry_run {
        bail!("an unban ends no session, so there is nothing to try");
    }
    let body = json!({ "reason": why.reason, "ticket": why.ticket });
    out.thing(&api.post(&format!("equipment/{imei}/unban"), &body)?.body)
}

pub(super) fn quarantine(imsi: &str, release: bool, why: &Why, api: &Client, out: &Printer) -> Result<()> {
    let path = if release { "quarantine/release" } else { "quarantine" };
    out.thing(&api.post(&format!("sims/{imsi}/{path}"), &why.body())?.body)
}

pub(super) fn panic(group: &str, on: bool, why: &Why, api: &Client, out: &Printer) -> Result<()> {
    let verb = if on { "panic" } else { "calm" };
    out.thing(&api.post(&format!("groups/{group}/{verb}"), &why.body())?.body)
}

pub(super) fn act(v: &Revocation, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Revocation::List { sim, kind } => {
            let filters = [("imsi", sim), ("kind", kind)];
            let query: Vec<String> =
                filters.iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={v}"))).collect();
            let columns =
                Columns(&["id", "at", "kind", "scope", "value", "state", "sims", "actor", "reason"]);
            out.list(&api.list(&format!("revocations?{}", query.join("&")))?, columns)
        }
        Revocation::Show { id } => out.thing(&api.get(&format!("revocations/{id}"))?.body),
        Revocation::Requests => {
            let columns = Columns(&["id", "imsi", "device", "to", "asked_by", "reason", "expires", "state"]);
            out.list(&api.list("unban-requests?state=open")?, columns)
        }
        Revocation::Approve { id, reason } => {
            let body = json!({ "reason": reason });
            out.thing(&api.post(&format!("unban-requests/{id}/approve"), &body)?.body)
        }
        Revocation::Refuse { id, reason } => {
            let body = json!({ "reason": reason });
            out.thing(&api.post(&format!("unban-requests/{id}/refuse"), &body)?.body)
        }
        Revocation::Verify { .. } => bail!("it is checked without the API"),
    }
}

/// Checks each receipt of a file with the public key alone. Says what holds; fails where one does not.
pub(super) fn verify_file(file: &Path, key: &str, lang: Lang) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let value: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let public = match types::unhex(key) {
        Some(k) if k.len() == 32 => key.to_owned(),
        _ => std::fs::read_to_string(key).with_context(|| format!("the public key {key}"))?.trim().to_owned(),
    };
    let receipts = receipts_of(&value);
    if receipts.is_empty() {
        bail!("{} holds no receipt", file.display());
    }
    let mut wrong = 0;
    for r in &receipts {
        let word = |k: &str| r.get(k).and_then(Value::as_str).unwrap_or_default().to_owned();
        let version = r.get("version").and_then(Value::as_u64).unwrap_or_default();
        let good = is_signed(r, &public);
        wrong += u32::from(!good);
        let verdict = if good {
            lang.of("the signature holds", "署名は正しい")
        } else {
            lang.of("THE SIGNATURE DOES NOT HOLD", "署名が正しくありません")
        };
        println!("{} {} {} v{version}: {verdict}", word("kind"), word("imsi"), word("id"));
    }
    if wrong > 0 {
        bail!(
            "{wrong} {}",
            lang.of(
                "receipts were changed, or signed by another key",
                "件の受領証が改変されているか、別の鍵で署名されています"
            )
        );
    }
    Ok(())
}

/// Whether a receipt is signed by the owner of `public`.
fn is_signed(receipt: &Value, public: &str) -> bool {
    let signature = receipt.get("signature").and_then(Value::as_str).unwrap_or_default();
    verify(public, Purpose::Receipt, &admin_web::signed_text(receipt), signature)
}

/// The receipts in a document: itself, a list of them, or those of a revocation.
fn receipts_of(v: &Value) -> Vec<Value> {
    match v {
        Value::Array(a) => a.iter().flat_map(receipts_of).collect(),
        Value::Object(o) if o.contains_key("signature") => vec![v.clone()],
        Value::Object(o) => {
            ["receipts", "items", "receipt"].iter().filter_map(|k| o.get(*k)).flat_map(receipts_of).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::Signer;
    use admin_web::{PendingCode, Receipt, ReceiptKind};
    use types::{SimState, Utc};

    fn receipt(signer: &Signer) -> Value {
        let imsi = "001010000000001".parse().expect("an IMSI");
        let mut r = Receipt::new(ReceiptKind::Ban, "id".to_owned(), imsi, SimState::Stolen, Utc(1));
        r.wait_for(PendingCode::NoCopy, None);
        r.sign(Utc(2), signer.public(), |t| signer.sign(Purpose::Receipt, t));
        serde_json::to_value(&r).expect("JSON")
    }

    /// Every place where a value stands.
    fn paths(v: &Value, at: String, all: &mut Vec<String>) {
        match v {
            Value::Object(o) => o.iter().for_each(|(k, v)| paths(v, format!("{at}/{k}"), all)),
            Value::Array(a) => a.iter().enumerate().for_each(|(n, v)| paths(v, format!("{at}/{n}"), all)),
            _ => all.push(at),
        }
    }

    #[test]
    fn a_receipt_is_believed_by_its_public_key_alone_and_no_changed_field_passes() {
        let signer = Signer::from_seed([3; 32]);
        let good = receipt(&signer);
        assert!(is_signed(&good, &signer.public()));
        assert!(!is_signed(&good, &Signer::from_seed([4; 32]).public()));
        let mut all = Vec::new();
        paths(&good, String::new(), &mut all);
        assert!(all.len() > 20, "{all:?}");
        for at in all {
            let mut bad = good.clone();
            let v = bad.pointer_mut(&at).expect("there");
            *v = match v {
                Value::String(s) => json!(format!("{s}x")),
                Value::Number(n) => json!(n.as_u64().unwrap_or_default() + 1),
                _ => json!("x"),
            };
            assert!(!is_signed(&bad, &signer.public()), "{at} was changed");
        }
        let mut more = good.clone();
        more.as_object_mut().expect("an object").insert("extra".to_owned(), json!(1));
        assert!(!is_signed(&more, &signer.public()));
    }

    #[test]
    fn a_file_is_checked_whole() {
        let signer = Signer::from_seed([3; 32]);
        let dir = tempfile::tempdir().expect("a directory");
        let (file, key) = (dir.path().join("r.json"), dir.path().join("signing.pub"));
        std::fs::write(&key, format!("{}\n", signer.public())).expect("written");
        let shown = json!({ "id": "x", "receipts": [receipt(&signer), receipt(&signer)] });
        std::fs::write(&file, shown.to_string()).expect("written");
        let key = key.to_str().expect("a path");
        verify_file(&file, key, Lang::En).expect("both hold");
        verify_file(&file, &signer.public(), Lang::Ja).expect("both hold");
        let bad = shown.to_string().replacen("stolen", "active", 1);
        std::fs::write(&file, bad).expect("written");
        assert!(verify_file(&file, key, Lang::En).is_err());
        std::fs::write(&file, "{}").expect("written");
        assert!(verify_file(&file, key, Lang::En).is_err(), "nothing is not a proof");
    }
}
