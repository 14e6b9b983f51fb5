//! Whether the database answers, and what that means (DESIGN §5): attaches go on from memory for ten minutes and are
//! then refused with a back-off; bans go on for ever. Beside it the snapshot that a ban after a restart lives on.

use super::{Control, Done, bans::Restriction, snapshot::Snapshot};
use crate::{keys, time::now};
use access::nr;
use std::path::PathBuf;
use store::{Store, StoreError};
use tracing::{error, info, warn};
use types::{Event, FgmmCause, Happening, Imsi, Mono, Refusal, RefusalReason, SimState};

/// How long attaches go on without a database.
const FROM_MEMORY_MS: u64 = 600_000;
/// T3346 for who is refused after that, seconds.
const BACKOFF_S: u32 = 300;

/// How the database is.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Since when it does not answer.
    down: Option<Mono>,
    /// It was said that its disk is full.
    full: bool,
    /// A question is on its way.
    asking: bool,
    /// The newest change that the snapshot holds.
    change: Option<u64>,
}

/// The database's answer to whether it is there, with what changed.
pub(crate) struct Pulse {
    result: Result<Option<Box<Snapshot>>, StoreError>,
}

/// Where the snapshot is kept.
pub(crate) fn snapshot_file(config: &crate::config::Config) -> PathBuf {
    config.journal().with_file_name("ban-snapshot.sealed")
}

impl Control {
    /// State of a SIM: of the directory; without a database, as it was last known.
    pub(super) fn state_of(&self, imsi: Imsi) -> Option<SimState> {
        self.hss.state(imsi).or_else(|| self.remembered.get(&imsi).copied())
    }

    /// Gives a SIM a state, here and now.
    pub(super) fn set_state(&mut self, imsi: Imsi, state: SimState) {
        self.hss.handle(hss::Input::SetState { imsi, state }, now());
        if let Some(s) = self.remembered.get_mut(&imsi) {
            *s = state;
        }
    }

    /// Every banned SIM. One whose unban is on its way is left to that: the journal has its ban until it has the unban,
    /// and an unban that the database does not take is followed by a cut.
    pub(super) fn banned(&self) -> impl Iterator<Item = (Imsi, SimState)> {
        let remembered = self.remembered.iter().map(|(i, s)| (*i, *s)).filter(|(_, s)| s.is_banned());
        self.hss.banned().chain(remembered).filter(|(imsi, _)| !self.bans.is_unbanning(*imsi))
    }

    /// A write or a read ended.
    pub(super) fn database_said(&mut self, e: Option<&StoreError>) {
        match e {
            Some(StoreError::Full) => {
                if !std::mem::replace(&mut self.health.full, true) {
                    error!("the disk of the database is full; bans go on in the journal");
                    let what = Happening::DiskFull { place: "database".to_owned() };
                    self.happened(Event { at: now().utc, imsi: None, what });
                }
            }
            Some(StoreError::Unavailable(_) | StoreError::Damaged { .. }) => {
                if self.health.down.is_none() {
                    warn!("the database does not answer; attaches go on from memory for ten minutes");
                    self.health.down = Some(now().mono);
                }
            }
            None => {
                if self.health.down.take().is_some() {
                    info!("the database answers again");
                }
                self.health.full = false;
            }
            Some(_) => {}
        }
    }

    /// Asks the database whether it is there, and reads anew what the snapshot holds if something changed.
    pub(super) fn ping_database(&mut self) {
        if std::mem::replace(&mut self.health.asking, true) {
            return;
        }
        let (store, done, known) = (self.store.clone(), self.done.clone(), self.health.change);
        let (config, reduced) = (self.config.clone(), self.reduced);
        tokio::spawn(async move {
            if reduced {
                if let Ok(store) = Store::open(&config.store_url()).await
                    && super::boot::is_ours(&store).await
                {
                    store.close().await;
                    drop(done.send(Done::DatabaseBack));
                }
                let e = StoreError::Unavailable("it could not be opened at start".to_owned());
                drop(done.send(Done::Pulse(Pulse { result: Err(e) })));
                return;
            }
            let result = pulse(&store, &config, known).await;
            drop(done.send(Done::Pulse(Pulse { result })));
        });
    }

    /// It has answered, or not.
    pub(super) fn pulse(&mut self, p: Pulse) {
        self.health.asking = false;
        match p.result {
            Ok(snapshot) => {
                // A write that found the disk full says so until a write goes through.
                if !self.health.full {
                    self.database_said(None);
                }
                if let Some(s) = snapshot {
                    self.health.change = Some(s.change);
                    self.scopes = s.scopes;
                }
            }
            Err(e) => self.database_said(Some(&e)),
        }
    }

    /// A refusal for an attach, where the database has been away for too long.
    pub(super) fn refusal_without_database(&self) -> Option<Refusal> {
        let late = |t: Mono| now().mono >= t.plus_ms(FROM_MEMORY_MS);
        let refuse = self.reduced || self.health.down.is_some_and(late);
        refuse.then_some(Refusal {
            cause: FgmmCause::Congestion,
            backoff_s: Some(BACKOFF_S),
            reason: RefusalReason::Unavailable,
        })
    }

    /// Refuses an attach.
    pub(super) fn refuse_vector(&mut self, txn: nr::TxnId, refusal: Refusal) {
        self.amf.handle(nr::Input::Vector { txn, result: Err(refusal) }, now());
    }

    /// The database as a part of the system.
    pub(super) fn database_status(&self) -> admin_web::PartStatus {
        let (up, detail) = if self.reduced {
            let text = "it could not be opened: bans and status only, from the sealed snapshot; attaches are refused";
            (false, text.to_owned())
        } else if let Some(since) = self.health.down {
            let s = now().mono.0.saturating_sub(since.0) / 1_000_000_000;
            let attaches = if self.refusal_without_database().is_some() { "refused" } else { "from memory" };
            (false, format!("it does not answer for {s} s: bans work, attaches are {attaches}, changes wait"))
        } else if self.health.full {
            (false, "its disk is full: bans work, changes are refused".to_owned())
        } else {
            (true, self.store.kind().to_owned())
        };
        admin_web::PartStatus { name: "store", up, detail }
    }

    /// A device is banned by its IMEI, or no longer.
    pub(super) fn device_banned(&mut self, what: &Restriction, on: bool) {
        if let Restriction::Device(device) = what {
            if let Ok(device) = device.parse() {
                self.hss.handle(hss::Input::BanDevice { device, banned: on }, now());
            }
            info!(device, on, "device {device} is {}", if on { "banned" } else { "no longer banned" });
        }
    }
}

async fn pulse(
    store: &Store,
    config: &crate::config::Config,
    known: Option<u64>,
) -> Result<Option<Box<Snapshot>>, StoreError> {
    if known == Some(store.change_counter().await?) {
        return Ok(None);
    }
    let snapshot = Box::new(Snapshot::take(store, now().utc, config.revocation.second_person).await?);
    let (copy, file, key) = (snapshot.clone(), snapshot_file(config), config.key_file());
    let written = tokio::task::spawn_blocking(move || copy.write(&keys::key_file(&key, false)?, &file)).await;
    if let Err(e) = written.map_err(anyhow::Error::from).and_then(|r| r) {
        warn!("the snapshot of bans could not be written, a restart without a database cannot ban: {e:#}");
    }
    Ok(Some(snapshot))
}
