//! The timeline: events are stored first, so that each has its number, and then told to whoever listens.

use super::alerts;
use crate::delivery::spool::Spool;
use gateway::time::now;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use store::{EventRow, Store, StoreError};
use tokio::sync::{broadcast, mpsc};
use tracing::{error, info, warn};
use types::{AlertKind, Event, Happening};

/// How many events a slow listener may be behind before it is told of a gap.
const BEHIND: usize = 4096;

/// How many events are stored in one transaction.
const BATCH: usize = 512;

/// What comes so soon after a transaction goes into the next one together: the disk is for bans first.
const GATHER: std::time::Duration = std::time::Duration::from_millis(20);

/// How often it is tried to store what waits.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// The way into the timeline, and out of it as it grows.
#[derive(Clone)]
pub struct EventWriter {
    tx: mpsc::UnboundedSender<Event>,
    told: broadcast::Sender<EventRow>,
    raised: Arc<Mutex<BTreeMap<AlertKind, u64>>>,
}

impl EventWriter {
    /// Starts the one task that appends. What the database does not take waits in the spool.
    pub fn start(store: Store, spool: Spool) -> Self {
        let (tx, rx) = mpsc::unbounded_channel();
        let (told, _) = broadcast::channel(BEHIND);
        let keeper = Keeper { store, spool: Some(spool), out: told.clone() };
        tokio::spawn(keeper.run(rx));
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

/// The task that appends.
struct Keeper {
    store: Store,
    /// Always there, but while it is lent to a thread that may block.
    spool: Option<Spool>,
    out: broadcast::Sender<EventRow>,
}

impl Keeper {
    async fn run(mut self, mut rx: mpsc::UnboundedReceiver<Event>) {
        let mut again = tokio::time::interval(AGAIN);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let waits = self.spool.as_ref().is_some_and(|s| !s.is_empty());
            tokio::select! {
                n = rx.recv_many(&mut batch, BATCH) => {
                    if n == 0 {
                        return;
                    }
                    let events = std::mem::take(&mut batch);
                    // What waits is older: it goes first, or everything waits.
                    if waits && !self.drain().await {
                        self.keep(events).await;
                    } else if let Err(e) = self.append(events.clone()).await {
                        self.not_stored(&e, events).await;
                    }
                    tokio::time::sleep(GATHER).await;
                }
                _ = again.tick(), if waits => drop(self.drain().await),
            }
        }
    }

    /// Into the database, with the alerts that they are; told to whoever listens.
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        let raised = events.iter().filter_map(alerts::of).collect();
        let rows = match self.store.append_events_and_alerts(events.clone(), raised).await {
            Err(e @ (StoreError::Unavailable(_) | StoreError::Full)) => return Err(e),
            Err(e) => {
                // Something about an alert; it would fail again for ever and hold up the timeline.
                error!("alerts could not be raised: {e}");
                self.store.append_events(events).await?
            }
            Ok(rows) => rows,
        };
        // Nobody listening is no error.
        rows.into_iter().for_each(|r| drop(self.out.send(r)));
        Ok(())
    }

    async fn not_stored(&mut self, e: &StoreError, events: Vec<Event>) {
        error!(events = events.len(), "events could not be stored and wait on the disk: {e}");
        self.keep(events).await;
    }

    async fn keep(&mut self, events: Vec<Event>) {
        self.with_spool(|s| s.push(events)).await;
    }

    /// What waits goes into the database; true where nothing waits any longer.
    async fn drain(&mut self) -> bool {
        while let Some(spool) = self.spool.as_ref().filter(|s| !s.is_empty()) {
            let (lost, mut events) = spool.oldest(BATCH);
            let n = events.len();
            if let Some(l) = &lost {
                let what = Happening::EventsLost { count: l.count, since: l.since, until: l.until };
                events.push(Event { at: now().utc, imsi: None, what });
            }
            if self.append(events).await.is_err() {
                return false;
            }
            if let Some(l) = &lost {
                let what = serde_json::json!({ "what": "events", "count": l.count, "since": l.since, "until": l.until });
                if let Err(e) = self.store.send_gap(now().utc, what).await {
                    error!("the count of lost events could not be sent out: {e}");
                }
            }
            info!(events = n, "{n} events that waited on the disk are stored");
            self.with_spool(move |s| s.taken(n)).await;
        }
        true
    }

    /// Does something with the spool on a thread that may block: its disk may be the one that fails.
    async fn with_spool(&mut self, act: impl FnOnce(&mut Spool) -> std::io::Result<()> + Send + 'static) {
        let Some(mut spool) = self.spool.take() else { return };
        let done = tokio::task::spawn_blocking(move || {
            let result = act(&mut spool);
            (spool, result)
        });
        match done.await {
            Ok((spool, result)) => {
                self.spool = Some(spool);
                if let Err(e) = result {
                    error!("events that wait could not be written to the disk, they stay in memory: {e}");
                }
            }
            Err(e) => error!("events that waited are lost: {e}"),
        }
    }
}

/// One line in the log, with the key facts in the words.
fn log(e: &Event) {
    let imsi = e.imsi.map(|i| i.to_string()).unwrap_or_default();
    match &e.what {
        Happening::Registered { gnb, tai, .. } => {
            info!(imsi, gnb, "{imsi} registered at {gnb}, TAC {}", u32::from(tai.tac))
        }
        Happening::Moved { from, to, tai, .. } => {
            info!(imsi, from, to, "{imsi} went over from {from} to {to}, TAC {}", u32::from(tai.tac));
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
        Happening::MmeUp { name } => info!(mme = name, "MME {name} is there"),
        Happening::MmeDown { name, why } => info!(mme = name, "MME {name} is gone: {why}"),
        Happening::MmeRefused { claimed, address, why } => {
            warn!(claimed, address, "{claimed} at {address} is refused as an MME: {why}");
        }
        Happening::Smf { name, state } => info!(smf = name, "SMF {name}: {state:?}"),
        Happening::ForeignUp { smf, dnn, ip } => {
            info!(imsi, smf, "a session of {imsi} in {dnn} is up with {ip}, steered by {smf}")
        }
        Happening::ForeignDown { smf, dnn, ip } => {
            info!(imsi, smf, "the session of {imsi} in {dnn} with {ip}, steered by {smf}, has ended")
        }
        Happening::ForeignRefused { smf, dnn, why } => {
            info!(imsi, smf, "{smf} does not get a session of {imsi} in {dnn}: {why:?}")
        }
        Happening::MmeServes { mme } => info!(imsi, mme, "{imsi} is served by {mme}"),
        Happening::MmePurged { mme } => info!(imsi, mme, "{mme} has forgotten {imsi}"),
        Happening::MmeUpdated { mme, how } => info!(imsi, mme, "{mme} and what {imsi} may have now: {how:?}"),
        Happening::MmeReset { mme, how } => info!(mme, "{mme} is to ask anew: {how:?}"),
        Happening::MmeDenied { mme, reason } => info!(imsi, mme, "{mme} is not served {imsi}: {reason:?}"),
        Happening::Withdrawn { mme, how } => info!(imsi, mme, "{imsi} is taken from {mme}: {how:?}"),
        Happening::SmfUp { name } => info!(smf = name, "SMF {name} is there"),
        Happening::SmfDown { name, why } => info!(smf = name, "SMF {name} is gone: {why}"),
        Happening::SmfRefused { claimed, address, why } => {
            warn!(claimed, address, "{claimed} at {address} is refused as an SMF: {why}");
        }
        Happening::SmfSessionUp { smf, dnn, address } => {
            info!(imsi, smf, address, "{imsi} has a session in {dnn} at {smf}")
        }
        Happening::SmfSessionDown { smf, dnn } => info!(imsi, smf, "{imsi} has no session in {dnn} at {smf}"),
        Happening::SmfDenied { smf, dnn, reason } => {
            info!(imsi, smf, "{smf} gets no session of {imsi} in {dnn}: {reason:?}")
        }
        Happening::SmfWrongAddress { smf, dnn, given, ours } => {
            warn!(imsi, smf, given, ours, "{smf} gave {imsi} an address in {dnn} that is not its own");
        }
        Happening::SessionWithdrawn { smf, dnn, how } => {
            info!(imsi, smf, "the session of {imsi} in {dnn} is taken from {smf}: {how:?}")
        }
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
        Happening::BannedReuse { authenticated, cause, gnb, attempts, device, .. } => {
            let how = if *authenticated { "authenticated" } else { "claimed" };
            let what = device.as_deref().unwrap_or("the SIM");
            warn!(
                imsi,
                gnb,
                cause = cause.0,
                attempts,
                "{imsi} is banned and came ({how}, {what}) at {gnb}: attempt {attempts}, refused with {cause}"
            );
        }
        Happening::Revoked { revocation, kind, scope, sims, actor, .. } => {
            info!(revocation, actor, "{kind} of {scope} by {actor}: {sims} SIMs")
        }
        Happening::JournalBehind { known, has } => {
            error!(
                known,
                has, "the journal of bans is behind: it has {has} records, the database knows {known}"
            )
        }
        Happening::DatabaseBehind { known, has, bans } => {
            warn!(known, has, bans, "the database was behind the journal of bans: it lacked {bans} bans")
        }
        Happening::ReconcilerRemoved { kind, count } => {
            warn!(kind, count, "the reconciler ended {count} of {kind} that may not live")
        }
        Happening::PolicyDisagreement { peer } => {
            error!(imsi, %peer, "rules and rows disagree about {imsi} and {peer}: denied")
        }
        Happening::AuditBroken { seq, why } => error!(seq, "the audit is broken at row {seq}: {why}"),
        Happening::EventsLost { count, .. } => {
            warn!(count, "{count} events could not be kept and are lost")
        }
        Happening::DeliveryFailing { destination, why, .. } => {
            error!(destination, "nothing arrives at {destination}: {why}")
        }
        Happening::DiskFull { place } => error!(place, "the disk is full: {place} cannot be written"),
        Happening::RuleFired { rule, response, subject, count } => {
            warn!(imsi, subject, count, "alert rule {rule}: {subject}, {response}");
        }
        Happening::Alarm { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::spool;
    use std::{path::Path, time::Duration};
    use store::AlertFilter;
    use types::{FgmmCause, RefusalReason, Utc};

    async fn store(dir: &Path) -> Store {
        Store::open(&format!("sqlite:{}", dir.join("s.db").display())).await.expect("opened")
    }

    fn reuse(n: i64) -> Event {
        let what = Happening::RegistrationRefused {
            authenticated: true,
            cause: FgmmCause::IllegalUe,
            reason: RefusalReason::Lost,
            tai: None,
            cell: Some(n as u64),
            gnb: "gnb-1".to_owned(),
        };
        Event { at: Utc(n), imsi: "001010000000001".parse().ok(), what }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_alert_that_the_database_cannot_take_waits_on_the_disk_and_is_raised_when_it_can() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(spool::NAME);
        let closed = store(dir.path()).await;
        closed.close().await;
        let opened = || Spool::open(&file, spool::MOST).expect("opened");
        let events = EventWriter::start(closed, opened());
        (1..=3).for_each(|n| events.push(reuse(n)));
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while opened().len() < 3 {
            assert!(std::time::Instant::now() < end, "they wait on the disk");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(events.raised().get(&AlertKind::BannedReuse), Some(&3));

        // As after a restart, with the database back.
        let store = store(dir.path()).await;
        let events = EventWriter::start(store.clone(), opened());
        let mut told = events.subscribe();
        events.push(reuse(4));
        for n in 1..=4 {
            let row = tokio::time::timeout(Duration::from_secs(10), told.recv()).await.expect("in time");
            assert_eq!(row.expect("told").event, reuse(n), "in their order");
        }
        let alerts = store.alerts(&AlertFilter::default(), None, 10).await.expect("read").items;
        assert_eq!((alerts.len(), alerts[0].count, alerts[0].at), (1, 4, Utc(1)));
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while !opened().is_empty() {
            assert!(std::time::Instant::now() < end, "nothing waits any longer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
