//! The looking: at the API and the receiver while Sekisho lives, at its files while it is dead.

use super::fleet::{File, Fleet, Known};
use crate::backup::{self, RecoverySecret};
use anyhow::{Context, Result};
use gateway::journal::{Journal, copies};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    path::Path,
    time::Duration,
};
use store::{AuditVerdict, Store};

/// A banned SIM: who, its address, and since when.
type Banned = (String, Option<Ipv4Addr>, u64);

/// What the API says and what the receiver saw. Nobody acts meanwhile.
pub(super) async fn at_the_living(fleet: &Fleet) -> Result<()> {
    let _quiet = fleet.quiet().await;
    let banned = acknowledged(fleet);
    let mut states = states(fleet).await?;
    for _ in 0..5 {
        if fleet.files().iter().all(|f| f.is_whole(there(&states, f))) {
            break;
        }
        // One whose answer nobody waited for may still be under way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        states = self::states(fleet).await?;
    }
    for (imsi, ..) in &banned {
        let state = states.get(imsi).map_or("unknown", String::as_str);
        if !matches!(state, "lost" | "stolen") {
            fleet.count("bans_lost", 1);
            fleet.find(format!("{imsi}: its ban was acknowledged, and it is {state}"));
        }
    }
    look_at_imports(fleet, &states);
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

/// Every SIM's state, by the API.
async fn states(fleet: &Fleet) -> Result<BTreeMap<String, String>> {
    let sims = fleet.demo().call(|api| Ok(Value::from(api.list("sims")?).into())).await?;
    let text = |s: &Value, k| s.get(k).and_then(Value::as_str).map(str::to_owned);
    let all = sims.as_array().into_iter().flatten();
    Ok(all.filter_map(|s| Some((text(s, "imsi")?, text(s, "state")?))).collect())
}

/// How many SIMs of a file there are.
fn there(states: &BTreeMap<String, String>, f: &File) -> usize {
    states.keys().filter(|i| i.starts_with(&f.prefix)).count()
}

/// A file of SIMs is there as a whole or not at all; a start carries on what was begun before anybody reads a SIM.
fn look_at_imports(fleet: &Fleet, states: &BTreeMap<String, String>) {
    for f in fleet.files() {
        let there = there(states, &f);
        if f.is_whole(there) {
            continue;
        }
        let what = if there == 0 { "imports_lost" } else { "imports_in_part" };
        fleet.count(what, 1);
        fleet.find(format!("{there} of {} SIMs {}… are there", f.sims, f.prefix));
    }
}

/// Every backup that is there opens whole, and those that were answered are there. Control is dead.
pub(super) async fn at_the_backups(fleet: &Fleet, secret: &RecoverySecret) -> Result<()> {
    /// Each costs a whole restore.
    const DRILLS: usize = 6;
    let dir = fleet.demo().config()?.paths.data.join("backups");
    let all = fs::read_dir(&dir).into_iter().flatten().flatten();
    let names = all.map(|e| e.file_name().to_string_lossy().into_owned());
    // What begins with a dot was being made when the last kill came, and goes with the next start.
    let there: BTreeSet<String> = names.filter(|n| !n.starts_with('.')).collect();
    for lost in fleet.backups().into_iter().filter(|n| !there.contains(n)) {
        fleet.count("backups_lost", 1);
        fleet.find(format!("the backup {lost} was answered and is not there"));
    }
    if there.is_empty() {
        fleet.find("no backup could be made, with nobody killed meanwhile".to_owned());
    }
    for name in there.iter().rev().take(DRILLS) {
        let file = dir.join(name);
        if let Err(e) = backup::drill(&backup::Restore { file: &file, secret, journals: &[] }).await {
            fleet.count("backups_torn", 1);
            fleet.find(format!("the backup {name} does not open: {e:#}"));
        }
        fleet.count("backups_drilled", 1);
    }
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
    let (mut left, replay) = Journal::open(&copy, [0; 16]).context("the journal of the dead gateway")?;
    for config in &config.gateway_config().journal_copies {
        let Some(from) = config.directory.as_ref().map(|d| d.join(copies::FILE)).filter(|f| f.exists())
        else {
            continue;
        };
        let to = place.join("copy");
        fs::copy(&from, &to).with_context(|| from.display().to_string())?;
        let (copied, _) = Journal::open(&to, [0; 16]).context("the copy of the journal")?;
        if !left.has(&copied.head())? {
            fleet.count("copies_ahead", 1);
            fleet.find(format!("the copy has {} records, the journal has not", copied.head().records));
        }
    }
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
