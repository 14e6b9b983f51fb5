//! The timeline: events are stored first, so that each has its number, and then told to whoever listens.

use super::alerts;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use store::{EventRow, Store};
use tokio::sync::{broadcast, mpsc};
use tracing::{error, info, warn};
use types::{AlertKind, Event, Happening};

/// How many events a slow listener may be behind before it is told of a gap.
const BEHIND: usize = 4096;

/// How many events are stored in one transaction.
const BATCH: usize = 512;

/// The way into the timeline, and out of it as it grows.
#[derive(Clone)]
pub struct EventWriter {
    tx: mpsc::UnboundedSender<Event>,
    told: broadcast::Sender<EventRow>,
    raised: Arc<Mutex<BTreeMap<AlertKind, u64>>>,
}

impl EventWriter {
    /// Starts the one task that appends.
    pub fn start(store: Store) -> Self {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let (told, _) = broadcast::channel(BEHIND);
        let out = told.clone();
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while rx.recv_many(&mut batch, BATCH).await > 0 {
                let events = std::mem::take(&mut batch);
                let raised = events.iter().filter_map(alerts::of).collect();
                match store.append_events_and_alerts(events, raised).await {
                    // Nobody listening is no error.
                    Ok(rows) => rows.into_iter().for_each(|r| drop(out.send(r))),
                    Err(e) => error!("events could not be stored: {e}"),
                }
            }
        });
        Self { tx, told, raised: Arc::default() }
    }

    /// Appends an event.
    pub fn push(&self, e: Event) {
        log(&e);
        if let Some(a) = alerts::of(&e) {
            let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
            *raised.entry(a.kind).or_default() += 1;
        }
        drop(self.tx.send(e));
    }

    /// How often each kind of alert was raised since the start, repeats too.
    pub fn raised(&self) -> BTreeMap<AlertKind, u64> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is appended from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<EventRow> {
        self.told.subscribe()
    }
}

/// One line in the log, with the key facts in the words.
fn log(e: &Event) {
    let imsi = e.imsi.map(|i| i.to_string()).unwrap_or_default();
    match &e.what {
        Happening::Registered { gnb, tai, .. } => {
            info!(imsi, gnb, "{imsi} registered at {gnb}, TAC {}", u32::from(tai.tac))
        }
        Happening::RegistrationRefused { authenticated, cause, reason, gnb, .. } => {
            let how = if *authenticated { "authenticated" } else { "claimed" };
            info!(
                imsi,
                gnb,
                cause = cause.0,
                "registration of {imsi} ({how}) refused at {gnb}: {cause}, {reason:?}"
            );
        }
        Happening::Deregistered { by_network, .. } => info!(imsi, by_network, "{imsi} deregistered"),
        Happening::SessionUp { id, dnn, ip } => {
            info!(imsi, %ip, "session {} of {imsi} to {dnn} is up: {ip}", u8::from(*id))
        }
        Happening::SessionDown { id, dnn, ip } => {
            info!(imsi, %ip, "session {} of {imsi} to {dnn} ended", u8::from(*id))
        }
        Happening::SessionRefused { id, cause, .. } => {
            info!(imsi, cause = cause.0, "session {} of {imsi} refused: {cause}", u8::from(*id))
        }
        Happening::GnbUp { name, address } => {
            info!(gnb = name, address, "gNB {name} is set up from {address}")
        }
        Happening::GnbRefused { address, why } => info!(address, "gNB at {address} refused: {why}"),
        Happening::GnbDown { name } => info!(gnb = name, "gNB {name} is gone"),
        Happening::SimState { from, to, actor, .. } => {
            info!(imsi, actor, "{imsi} was {from} and is {to}, by {actor}")
        }
        Happening::ScheduleDropped { to, actor, why } => {
            info!(imsi, actor, "{imsi} does not become {to} as {actor} planned: {why}")
        }
        Happening::SimsImported { job, actor, new, changed } => {
            info!(job, actor, new, changed, "import {job}: {new} SIMs are new, {changed} changed, by {actor}")
        }
        Happening::SimsImportUndone { job, actor, removed, restored, kept } => info!(
            job,
            actor,
            removed,
            restored,
            kept,
            "import {job} undone by {actor}: {removed} SIMs gone, {restored} restored, {kept} kept"
        ),
        Happening::DeviceMismatch { mode, expected, seen } => {
            let seen =
                seen.map_or_else(|| "a device that does not name itself".to_owned(), |d| d.to_string());
            info!(imsi, seen, "{imsi} is bound ({mode}) to {expected:?} and was in {seen}");
        }
        Happening::EquipmentBlack { device, by } => {
            info!(imsi, %device, "{imsi} was in {device}, which is black by the entry {by}");
        }
        Happening::EquipmentGrey { device, by } => {
            info!(imsi, %device, "{imsi} is in {device}, which is grey by the entry {by}");
        }
        Happening::DeviceLearned { device, bound } => {
            info!(imsi, %device, bound, "{imsi} was used for the first time, in {device}");
        }
        Happening::DeviceChanged { from, to } => {
            info!(imsi, %from, %to, "{imsi} was in {from} and is in {to}");
        }
        Happening::CloneFound { proof, seen, before } => {
            warn!(
                imsi,
                gnb = seen.gnb,
                "a clone of {imsi} is proved: {proof:?}, at {} and {}",
                seen.gnb,
                before.gnb
            );
        }
        Happening::CloneSuspected { why, seen, before } => {
            info!(
                imsi,
                gnb = seen.gnb,
                "a clone of {imsi} is possible: {why:?}, at {} and {}",
                seen.gnb,
                before.gnb
            );
        }
        Happening::PolicyPublished { generation } => info!(generation, "policy {generation} is enforced"),
        Happening::Gateway { up } => info!(up, "gateway is {}", if *up { "there" } else { "gone" }),
        Happening::PolicyDisagreement { peer } => {
            error!(imsi, %peer, "rules and rows disagree about {imsi} and {peer}: denied")
        }
        Happening::AuditBroken { seq, why } => error!(seq, "the audit is broken at row {seq}: {why}"),
        Happening::EventsLost { count, .. } => {
            warn!(count, "{count} events could not be kept and are lost")
        }
        Happening::DiskFull { place } => error!(place, "the disk is full: {place} cannot be written"),
        Happening::Alarm { .. } => {}
    }
}
