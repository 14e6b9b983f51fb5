//! The looking: at the API and the receiver while Sekisho lives, at its files while it is dead.

use super::fleet::{Fleet, Known};
use crate::gateway::journal::Journal;
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    path::Path,
};
use store::{AuditVerdict, Store};

/// A banned SIM: who, its address, and since when.
type Banned = (String, Option<Ipv4Addr>, u64);

/// What the API says and what the receiver saw. Nobody acts meanwhile.
pub(super) async fn at_the_living(fleet: &Fleet) -> Result<()> {
    let _quiet = fleet.quiet().await;
    let banned = acknowledged(fleet);
    let sims = fleet.demo().call(|api| Ok(Value::from(api.list("sims")?).into())).await?;
    let states: BTreeMap<&str, &str> = sims
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| Some((s.get("imsi")?.as_str()?, s.get("state")?.as_str()?)))
        .collect();
    for (imsi, ..) in &banned {
        let state = states.get(imsi.as_str()).copied().unwrap_or("unknown");
        if !matches!(state, "lost" | "stolen") {
            fleet.count("bans_lost", 1);
            fleet.find(format!("{imsi}: its ban was acknowledged, and it is {state}"));
        }
    }
    fleet.look_at_packets(&banned).await;
    let sessions = fleet.demo().call(|api| Ok(Value::from(api.list("sessions")?).into())).await?;
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for s in sessions.as_array().into_iter().flatten() {
        let text = |k: &str| s.get(k).and_then(Value::as_str);
        let (Some(imsi), Some(ip)) = (text("imsi"), text("ip")) else { continue };
        if let Some(other) = owners.insert(ip, imsi).filter(|o| *o != imsi) {
            fleet.count("addresses_shared", 1);
            fleet.find(format!("{ip} is in sessions of {other} and {imsi}"));
        }
    }
    fleet.count("looks", 1);
    Ok(())
}

/// What the dead processes left on the disk, read from copies, so that the next start finds it as it was.
pub(super) async fn at_the_dead(fleet: &Fleet, scratch: &Path) -> Result<()> {
    let banned = acknowledged(fleet);
    let config = fleet.demo().config()?;
    let place = scratch.join("dead");
    drop(fs::remove_dir_all(&place));
    fs::create_dir(&place)?;
    let journal = config.gateway_config().journal;
    let copy = place.join("journal");
    fs::copy(&journal, &copy).with_context(|| journal.display().to_string())?;
    let (_, replay) = Journal::open(&copy, [0; 16]).context("the journal of the dead gateway")?;
    let url = config.store_url();
    let database = Path::new(url.trim_start_matches("sqlite:").trim_start_matches("//"));
    let copy = place.join("sekisho.db");
    for end in ["", "-wal"] {
        let from = format!("{}{end}", database.display());
        if Path::new(&from).exists() {
            fs::copy(&from, format!("{}{end}", copy.display())).with_context(|| from.clone())?;
        }
    }
    let store = Store::open(&format!("sqlite:{}", copy.display())).await.context("the dead's database")?;
    let stored: BTreeSet<String> = store
        .all_sims()
        .await?
        .into_iter()
        .filter(|s| s.state.is_banned())
        .map(|s| s.imsi.to_string())
        .collect();
    for (imsi, ..) in &banned {
        let in_journal = replay.state.revoked.keys().any(|i| i.to_string() == *imsi);
        if !in_journal && !stored.contains(imsi) {
            fleet.count("bans_lost", 1);
            fleet.find(format!("{imsi}: its acknowledged ban is neither in the journal nor in the database"));
        }
    }
    if let AuditVerdict::Broken { .. } = store.audit_verify().await? {
        fleet.count("audit_breaks", 1);
        fleet.find("the audit chain is broken".to_owned());
    }
    let mut owners = BTreeMap::new();
    for l in store.open_leases().await? {
        if let Some(other) = owners.insert((l.dnn.clone(), l.ip), l.imsi).filter(|o| *o != l.imsi) {
            fleet.count("addresses_shared", 1);
            fleet.find(format!("{} is leased to {other} and to {}", l.ip, l.imsi));
        }
    }
    store.close().await;
    fleet.count("looks_at_files", 1);
    Ok(())
}

/// The SIMs whose ban was acknowledged and that nobody acts on at this moment.
fn acknowledged(fleet: &Fleet) -> Vec<Banned> {
    let sims = fleet.sims().iter().filter_map(|s| s.try_lock().ok());
    sims.filter_map(|s| match s.known {
        Known::Banned { since_ns } => Some((s.imsi.clone(), s.ip, since_ns)),
        Known::Free | Known::Unsure => None,
    })
    .collect()
}
