//! Whether the database answers and takes changes, and what that means (DESIGN §5): attaches go on from memory for ten
//! minutes and are then refused with a back-off, which `hss` counts; bans go on for ever. Beside it the snapshot that a
//! ban after a restart lives on.

use super::{Control, Done, bans::Restriction, snapshot::Snapshot};
use crate::keys;
use access::nr;
use admin_web::{PartStatus, Said, say};
use gateway::time::now;
use std::path::PathBuf;
use store::{Store, StoreError};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};
use types::{Event, FgmmCause, Happening, Imsi, Mono, Refusal, RefusalReason, SimState};

/// T3346 where there is no directory at all, seconds.
const BACKOFF_S: u32 = 300;
/// How often a database that is not well is asked again, milliseconds.
const ASK_AGAIN_MS: u64 = 1_000;
/// A disk that is found full again so soon after it was is the same full disk, milliseconds: it is told once.
const SAME_FULL_MS: u64 = 600_000;

/// A snapshot reads every SIM: after one that took a second, this many seconds belong to others.
const BETWEEN_SNAPSHOTS: u64 = 20;

/// How the database is.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Since when it does not answer.
    down: Option<Mono>,
    /// Since when its disk is full.
    full: Option<Mono>,
    /// When somebody was told of that.
    told_full: Option<Mono>,
    /// A question is on its way.
    asking: bool,
    /// When it is asked again.
    next_ask: Mono,
    /// The newest change that the snapshot holds.
    change: Option<u64>,
    /// No snapshot is taken before.
    next_snapshot: Mono,
}

impl Health {
    fn is_well(&self) -> bool {
        self.down.is_none() && self.full.is_none()
    }
}

/// The database's answer to whether it is there, with what changed.
pub(crate) struct Pulse {
    result: Result<Option<Taken>, StoreError>,
    /// A change was tried as well, and taken.
    probed: bool,
}

/// A snapshot, and how long it took to read, nanoseconds.
struct Taken {
    snapshot: Box<Snapshot>,
    took_ns: u64,
}

/// Tells the loop what the store's writer finds out about the database, whoever writes.
pub(super) async fn watch_writes(
    mut fault: watch::Receiver<Option<StoreError>>,
    done: mpsc::UnboundedSender<Done>,
) {
    while fault.changed().await.is_ok() {
        let found = fault.borrow_and_update().clone();
        if done.send(Done::Written(found)).is_err() {
            return;
        }
    }
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
        if matches!(state, SimState::Ready | SimState::Active) {
            self.restore_at_mme(imsi);
            self.restore_at_smfs(imsi);
        }
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

    /// The database fails, or takes changes again.
    pub(super) fn database_said(&mut self, e: Option<&StoreError>) {
        let at = now().mono;
        match e {
            Some(StoreError::Full) => self.database_is_full(at),
            Some(StoreError::Unavailable(_) | StoreError::Damaged { .. }) => {
                if self.health.down.is_none() {
                    warn!("the database does not answer; attaches go on from memory for ten minutes");
                    self.health.down = Some(at);
                }
            }
            None => {
                if !self.health.is_well() {
                    info!("the database answers again");
                }
                (self.health.down, self.health.full) = (None, None);
            }
            Some(_) => {}
        }
        self.hss.handle(hss::Input::StoreIs { well: self.health.is_well() }, now());
    }

    /// Told once, however often it is found out.
    fn database_is_full(&mut self, at: Mono) {
        if self.health.full.is_some() {
            return;
        }
        self.health.full = Some(at);
        let again = self.health.told_full.is_some_and(|t| at < t.plus_ms(SAME_FULL_MS));
        if !again {
            error!("the disk of the database is full; bans go on in the journal");
            self.health.told_full = Some(at);
            let what = Happening::DiskFull { place: "database".to_owned() };
            self.happened(Event { at: now().utc, imsi: None, what });
        }
    }

    /// SQN ceilings are written ahead while the database is well.
    pub(super) fn write_ahead(&mut self) {
        if !self.reduced && self.health.is_well() {
            self.hss.handle(hss::Input::WriteAhead, now());
        }
    }

    /// When [`Control::health_timeout`] wants to be called.
    pub(super) fn health_poll_timeout(&self) -> Option<Mono> {
        let waits = (self.reduced || !self.health.is_well()) && !self.health.asking;
        waits.then_some(self.health.next_ask)
    }

    /// A database that is not well is asked more often than one that is.
    pub(super) fn health_timeout(&mut self, now: types::Now) {
        if self.health_poll_timeout().is_some_and(|t| t <= now.mono) {
            self.ping_database();
        }
    }

    /// Asks the database whether it is there, and reads anew what the snapshot holds if something changed.
    pub(super) fn ping_database(&mut self) {
        if std::mem::replace(&mut self.health.asking, true) {
            return;
        }
        self.health.next_ask = now().mono.plus_ms(ASK_AGAIN_MS);
        let (store, done, known) = (self.store.clone(), self.done.clone(), self.health.change);
        let due = now().mono >= self.health.next_snapshot;
        let (config, reduced) = (self.config.clone(), self.reduced);
        // What can be read can be written too, as far as is known; after a failure it is tried.
        let probe = !self.health.is_well();
        tokio::spawn(async move {
            if reduced {
                if let Ok(store) = Store::open(&config.store_url()).await
                    && super::boot::is_ours(&store).await
                {
                    store.close().await;
                    drop(done.send(Done::DatabaseBack));
                }
                let e = StoreError::Unavailable("it could not be opened at start".to_owned());
                drop(done.send(Done::Pulse(Pulse { result: Err(e), probed: false })));
                return;
            }
            let mut result = pulse(&store, &config, known, due).await;
            if probe && result.is_ok() {
                result = store.probe().await.and(result);
            }
            let probed = probe && result.is_ok();
            drop(done.send(Done::Pulse(Pulse { result, probed })));
        });
    }

    /// It has answered, or not.
    pub(super) fn pulse(&mut self, p: Pulse) {
        self.health.asking = false;
        match p.result {
            Ok(taken) => {
                if p.probed {
                    self.database_said(None);
                }
                if let Some(Taken { snapshot: s, took_ns }) = taken {
                    self.health.change = Some(s.change);
                    self.health.next_snapshot = Mono(now().mono.0 + took_ns * BETWEEN_SNAPSHOTS);
                    self.reaches.set(s.reach_sets());
                    self.scopes = s.scopes;
                }
            }
            Err(e) => self.database_said(Some(&e)),
        }
    }

    /// A refusal for every attach, where the directory could not be read at start.
    pub(super) fn refusal_without_directory(&self) -> Option<Refusal> {
        self.reduced.then_some(Refusal {
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
    pub(super) fn database_status(&self) -> PartStatus {
        let (up, detail) = if self.reduced {
            let text = say!(
                "it could not be opened: bans and status only, from the sealed snapshot; attaches are refused",
                "開けませんでした。封印されたスナップショットで停止と状態表示だけを行い、接続は拒否します"
            );
            (false, text)
        } else if let Some(since) = self.health.down.or(self.health.full) {
            let s = now().mono.0.saturating_sub(since.0) / 1_000_000_000;
            let attaches = match self.hss.refuses_without_store(now()) {
                true => say!("refused", "拒否"),
                false => say!("from memory", "記憶している内容で継続"),
            };
            let what = match self.health.down.is_some() {
                true => say!("it does not answer for {s} s", "{s} 秒間応答していません"),
                false => say!("its disk is full for {s} s", "ディスクが一杯になって {s} 秒たちます"),
            };
            let text = Said {
                en: format!("{}: bans work, attaches are {}, changes are refused", what.en, attaches.en),
                ja: format!("{}。停止はできます。接続は{}、変更は拒否します", what.ja, attaches.ja),
            };
            (false, text)
        } else {
            let kind = self.store.kind();
            (true, say!("{kind}", "{kind}"))
        };
        PartStatus { name: "store", up, detail }
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
    due: bool,
) -> Result<Option<Taken>, StoreError> {
    if known == Some(store.change_counter().await?) || !due {
        return Ok(None);
    }
    let began = now().mono;
    let snapshot = Box::new(Snapshot::take(store, now().utc, config.revocation.second_person).await?);
    let (copy, file, key) = (snapshot.clone(), snapshot_file(config), config.key_file());
    let written = tokio::task::spawn_blocking(move || copy.write(&keys::key_file(&key, false)?, &file)).await;
    if let Err(e) = written.map_err(anyhow::Error::from).and_then(|r| r) {
        warn!("the snapshot of bans could not be written, a restart without a database cannot ban: {e:#}");
    }
    Ok(Some(Taken { snapshot, took_ns: now().mono.0.saturating_sub(began.0) }))
}
