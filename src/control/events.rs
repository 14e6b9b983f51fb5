//! The timeline: events are stored first, so that each has its number, and then told to whoever listens.

use store::{EventRow, Store};
use tokio::sync::{broadcast, mpsc};
use tracing::{error, info, warn};
use types::{Event, Happening};

/// How many events a slow listener may be behind before it is told of a gap.
const BEHIND: usize = 4096;

/// How many events are stored in one transaction.
const BATCH: usize = 512;

/// The way into the timeline, and out of it as it grows.
#[derive(Clone)]
pub struct EventWriter {
    tx: mpsc::UnboundedSender<Event>,
    told: broadcast::Sender<EventRow>,
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
                match store.append_events(std::mem::take(&mut batch)).await {
                    // Nobody listening is no error.
                    Ok(rows) => rows.into_iter().for_each(|r| drop(out.send(r))),
                    Err(e) => error!("events could not be stored: {e}"),
                }
            }
        });
        Self { tx, told }
    }

    /// Appends an event.
    pub fn push(&self, e: Event) {
        log(&e);
        drop(self.tx.send(e));
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
        Happening::DiskFull { part } => error!(part, "the disk of the {part} is full"),
        Happening::ReconcilerRemoved { kind, count } => {
            warn!(kind, count, "the reconciler ended {count} of {kind} that may not live")
        }
        Happening::Alarm { .. } => {}
    }
}
