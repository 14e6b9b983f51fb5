//! What a security event says of whom, and what follows (CAEP 1.0; subjects RFC 9493).
//!
//! | event | what follows |
//! | --- | --- |
//! | session-revoked | who used these SIMs is not proved any longer |
//! | credential-change | the same, unless a credential was added |
//! | assurance-level-change | proved for a while, where the level is one of those of the source; else not any longer |
//! | device-compliance-change | the fact `managed` of the device |
//! | risk-level-change | the risk of the person or the device |
//! | verification, stream-updated | the stream lives; its state |
//!
//! An event about somebody whom we do not know does nothing. What is not known of events is ignored.

use super::set::Set;
use crate::{control::Suspicion, problem::Problem, state::AppState};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use store::{Change, FactsOf, RiskRow, StoreError};
use types::{
    Device, Imsi, Name, Person, PostureCheck, PostureReport, Proof, RiskLevel, SignalSource, SsfStream, Utc,
};

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const SSF: &str = "https://schemas.openid.net/secevent/ssf/event-type/";
/// How many of the directory are looked at for one name.
const LOOKED_AT: u32 = 50;

/// Whom an event is about, as far as we know them.
#[derive(Default)]
struct Subjects {
    people: BTreeSet<Name>,
    devices: BTreeSet<Name>,
}

/// A word by which somebody is known.
enum Known {
    Mail(String),
    Id(String),
}

/// Does what an event says.
pub(super) async fn apply(
    s: &AppState,
    source: &SignalSource,
    stream: &SsfStream,
    set: &Set,
    now: Utc,
) -> Result<(), Problem> {
    let empty = Value::Null;
    for (uri, event) in &set.events {
        let Some(event) = event.as_object() else { continue };
        if let Some(what) = uri.strip_prefix(SSF) {
            if what == "stream-updated" {
                let status = text(event, "status").unwrap_or_default();
                if let Some(known) = ["enabled", "paused", "disabled"].into_iter().find(|k| *k == status) {
                    s.signals.lock().streams.insert(source.name.clone(), known.to_owned());
                }
            }
            continue;
        }
        let Some(what) = uri.strip_prefix(CAEP) else { continue };
        // Before SSF 1.0 the subject stood in the event.
        let subject = set.sub_id.as_ref().or_else(|| event.get("subject")).unwrap_or(&empty);
        let subjects = subjects(s, subject).await?;
        // CAEP 1.0 §2: when it happened; where it does not say so, when it was told.
        let at = event.get("event_timestamp").and_then(Value::as_f64).filter(|t| (0.0..1e12).contains(t));
        let at = Utc(at.map_or(set.iat.0, |t| (t * 1000.0) as i64).min(now.0));
        let heard = Heard { s, source, stream, set, what, event, at, now };
        heard.act(subjects).await?;
    }
    Ok(())
}

/// One event.
struct Heard<'a> {
    s: &'a AppState,
    source: &'a SignalSource,
    stream: &'a SsfStream,
    set: &'a Set,
    what: &'a str,
    event: &'a Map<String, Value>,
    at: Utc,
    now: Utc,
}

impl Heard<'_> {
    async fn act(&self, who: Subjects) -> Result<(), Problem> {
        match self.what {
            "session-revoked" => self.prove(&who, None).await,
            "credential-change" if text(self.event, "change_type") == Some("create") => Ok(()),
            "credential-change" => self.prove(&who, None).await,
            "assurance-level-change" => self.prove(&who, self.proof()).await,
            "device-compliance-change" => self.compliance(&who).await,
            "risk-level-change" => self.risk(&who).await,
            _ => Ok(()),
        }
    }

    /// The proof that a rise of the level of assurance is, where the level is one of those that count.
    fn proof(&self) -> Option<Proof> {
        let level = text(self.event, "current_level")?;
        let fell = text(self.event, "change_direction") == Some("decrease");
        if fell || !self.stream.assured_by.contains(level) || self.stream.assured_for_s == 0 {
            return None;
        }
        let until = Utc(self.at.0 + i64::from(self.stream.assured_for_s) * 1000);
        let source = self.source.name.clone();
        (until > self.now).then(|| Proof { until, level: level.to_owned(), source, at: self.at })
    }

    async fn prove(&self, who: &Subjects, proof: Option<Proof>) -> Result<(), Problem> {
        let sims = sims(self.s, who).await?;
        if sims.is_empty() {
            return Ok(());
        }
        let ends = proof.is_none();
        if text(self.event, "change_direction") == Some("decrease") {
            sims.iter().for_each(|imsi| self.s.control.suspect(Suspicion::ProofFailed(*imsi)));
        }
        self.s.store.set_assurance(sims.clone(), proof, &self.change()).await?;
        if ends {
            // What was proved app by app is over as well.
            self.s.control.policy_changed().await?;
        }
        self.tell(FactsOf::Sims(sims)).await
    }

    async fn compliance(&self, who: &Subjects) -> Result<(), Problem> {
        let good = match text(self.event, "current_status") {
            Some("compliant") => true,
            Some("not-compliant") => false,
            _ => return Ok(()),
        };
        let report = |d: &Name| {
            let checks = [(PostureCheck::Managed, good)].into();
            (d.clone(), PostureReport { at: self.at, os: None, checks })
        };
        let reports: Vec<_> = who.devices.iter().map(report).collect();
        if reports.is_empty() {
            return Ok(());
        }
        self.s.store.report_posture(reports, &self.source.name, None, &self.change()).await?;
        self.tell(FactsOf::Devices(who.devices.iter().cloned().collect())).await
    }

    async fn risk(&self, who: &Subjects) -> Result<(), Problem> {
        let level = text(self.event, "current_level").unwrap_or_default().to_ascii_lowercase();
        // CAEP 1.0 §3.8.1 has three levels; a fourth is none of them.
        let level = level.parse().ok().filter(|l| *l != RiskLevel::Critical);
        let Some(level) = level else { return Ok(()) };
        let principal = text(self.event, "principal").unwrap_or_default().to_ascii_uppercase();
        let row = || RiskRow { level, source: self.source.name.clone(), at: self.at };
        if principal != "DEVICE" {
            for id in &who.people {
                self.s.store.set_signal_risk("person", id, row()).await?;
            }
            self.tell(FactsOf::People(who.people.iter().cloned().collect())).await?;
        }
        if principal != "USER" {
            for id in &who.devices {
                self.s.store.set_signal_risk("device", id, row()).await?;
            }
            self.tell(FactsOf::Devices(who.devices.iter().cloned().collect())).await?;
        }
        Ok(())
    }

    /// Whoever acts here is the source; the audit has the event's id where it has that of a request.
    fn change(&self) -> Change {
        let mut c = Change::by_system(&format!("signal source {}", self.source.name), self.now);
        self.what.clone_into(&mut c.reason);
        c.request_id.clone_from(&self.set.jti);
        c
    }

    async fn tell(&self, of: FactsOf) -> Result<(), Problem> {
        self.s.control.facts_stored(of).await.map_err(Problem::from)
    }
}

fn text<'a>(o: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    o.get(field).and_then(Value::as_str)
}

async fn sims(s: &AppState, who: &Subjects) -> Result<Vec<Imsi>, StoreError> {
    let mut all = BTreeSet::new();
    for p in &who.people {
        all.extend(s.store.sims_of_person(p).await?);
    }
    for d in &who.devices {
        all.extend(s.store.sims_of_device(d).await?);
    }
    Ok(all.into_iter().collect())
}

async fn subjects(s: &AppState, subject: &Value) -> Result<Subjects, StoreError> {
    let mut who = Subjects::default();
    let Some(o) = subject.as_object() else { return Ok(who) };
    let simple = text(o, "format").is_some_and(|f| f != "complex");
    let whole = std::slice::from_ref(subject);
    let part = |name: &str| o.get(name).map(std::slice::from_ref).unwrap_or_default();
    let (users, devices) = if simple { (whole, whole) } else { (part("user"), part("device")) };
    for known in users.iter().flat_map(known_as) {
        people(s, &known, &mut who.people).await?;
    }
    for known in devices.iter().flat_map(known_as) {
        if let Known::Id(id) = known {
            machines(s, &id, &mut who.devices).await?;
        }
    }
    Ok(who)
}

/// RFC 9493 §3.2: the words of a simple subject.
fn known_as(subject: &Value) -> Vec<Known> {
    let Some(o) = subject.as_object() else { return Vec::new() };
    let id = |f: &str| text(o, f).map(|t| Known::Id(t.to_owned()));
    let found = match text(o, "format").unwrap_or_default() {
        "email" => text(o, "email").map(|m| Known::Mail(m.to_owned())),
        "account" => text(o, "uri").and_then(|u| u.strip_prefix("acct:")).map(|m| Known::Mail(m.to_owned())),
        "iss_sub" => id("sub"),
        "opaque" => id("id"),
        "aliases" => {
            let all = o.get("identifiers").and_then(Value::as_array);
            // §3.2.8: they are not nested.
            let plain = |v: &&Value| v.get("format").and_then(Value::as_str) != Some("aliases");
            return all.into_iter().flatten().take(16).filter(plain).flat_map(known_as).collect();
        }
        _ => None,
    };
    found.into_iter().collect()
}

async fn people(s: &AppState, known: &Known, found: &mut BTreeSet<Name>) -> Result<(), StoreError> {
    let (Known::Mail(word) | Known::Id(word)) = known;
    if word.is_empty() || word.len() > 320 {
        return Ok(());
    }
    let is = |p: &Person| match known {
        Known::Mail(m) => p.mail.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(m)),
        Known::Id(id) => p.external.as_ref() == Some(id) || p.id.as_str() == id,
    };
    let page = s.store.entities::<Person>(Some(word), None, LOOKED_AT).await?;
    found.extend(page.items.into_iter().map(|v| v.value).filter(is).map(|p| p.id));
    Ok(())
}

async fn machines(s: &AppState, id: &str, found: &mut BTreeSet<Name>) -> Result<(), StoreError> {
    if id.is_empty() || id.len() > 320 {
        return Ok(());
    }
    let is = |d: &Device| {
        let imei = d.imei.map(|i| i.to_string());
        d.id.as_str() == id || d.serial.as_deref() == Some(id) || imei.as_deref() == Some(id)
    };
    let page = s.store.entities::<Device>(Some(id), None, LOOKED_AT).await?;
    found.extend(page.items.into_iter().map(|v| v.value).filter(is).map(|d| d.id));
    Ok(())
}
