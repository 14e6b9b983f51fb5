//! The loop of one destination, and what the outbox keeps.

use super::{
    Destination,
    item::{BATCH, BATCH_OCTETS, Item, wanted},
};
use crate::{config::Delivery, signing::Signer};
use admin_web::DeliveryStatus;
use gateway::time::utc;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{DeliveryRow, OutboxRow, Store, StoreError};
use tokio::time::sleep;
use tracing::{info, warn};
use types::{Event, Happening, Utc};

/// How fast things go.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How often the outbox is looked into.
    pub look: Duration,
    /// The first pause after a failure; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// After so long without success somebody is told.
    pub alert: Duration,
    /// Most rows that the outbox keeps for a destination that is away.
    pub most: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look: Duration::from_millis(300),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
            alert: Duration::from_secs(600),
            most: 200_000,
        }
    }
}

/// How the destinations are, for whoever asks.
type Board = Arc<Mutex<BTreeMap<String, DeliveryStatus>>>;

/// Every destination, at work.
#[derive(Clone, Default)]
pub struct Deliveries(Board);

impl Deliveries {
    /// Starts a task for each destination, and one that keeps the outbox in bounds. A destination that cannot be opened
    /// is an alarm and stands in the list with its error.
    pub fn start(
        configs: &[Delivery],
        node: &str,
        signer: &Signer,
        store: &Store,
        pace: Pace,
        tell: impl Fn(Event) + Send + Sync + 'static,
    ) -> Self {
        let board: Board = Arc::default();
        let tell = Arc::new(tell);
        for c in configs {
            let name = c.name.to_string();
            let mut status =
                DeliveryStatus { name: name.clone(), kind: c.kind.as_str(), ..DeliveryStatus::default() };
            match Destination::open(c, node, signer) {
                Ok(d) => {
                    lock(&board).insert(name, status);
                    let (destination, store) = (Arc::new(d), store.clone());
                    let (board, tell) = (board.clone(), tell.clone());
                    tokio::spawn(Runner { destination, store, pace, board, tell }.run());
                }
                Err(e) => {
                    let (why, since) = (format!("{e:#}"), utc());
                    (status.error, status.failing_since) = (Some(why.clone()), Some(since));
                    lock(&board).insert(name.clone(), status);
                    let what = Happening::DeliveryFailing { destination: name, why, since };
                    tell(Event { at: since, imsi: None, what });
                }
            }
        }
        let names = configs.iter().map(|c| c.name.to_string()).collect();
        tokio::spawn(keep_in_bounds(store.clone(), names, pace));
        Self(board)
    }

    /// How each destination is.
    pub fn status(&self) -> Vec<DeliveryStatus> {
        lock(&self.0).values().cloned().collect()
    }
}

fn lock(board: &Board) -> std::sync::MutexGuard<'_, BTreeMap<String, DeliveryStatus>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One destination at work.
struct Runner<T> {
    destination: Arc<Destination>,
    store: Store,
    pace: Pace,
    board: Board,
    tell: Arc<T>,
}

/// How a round went.
enum Round {
    /// There was nothing to send.
    Idle,
    /// Something was sent, or passed over: there may be more.
    Moved,
}

impl<T: Fn(Event) + Send + Sync + 'static> Runner<T> {
    async fn run(self) {
        let mut at = self.begin().await;
        let (mut failures, mut since, mut told) = (0u32, None::<Utc>, false);
        loop {
            match self.round(&mut at).await {
                Ok(round) => {
                    if failures > 0 {
                        info!(destination = self.name(), "{} takes what is sent again", self.name());
                    }
                    (failures, since, told) = (0, None, false);
                    self.note(&at, None);
                    if let Round::Idle = round {
                        sleep(self.pace.look).await;
                    }
                }
                Err(why) => {
                    let first = *since.get_or_insert(utc());
                    failures = failures.saturating_add(1);
                    self.failed(&at, failures, first, &why);
                    if !told && utc().0 - first.0 >= self.pace.alert.as_millis() as i64 {
                        told = true;
                        self.alert(first, &why);
                    }
                    sleep(self.pause(failures)).await;
                }
            }
        }
    }

    fn name(&self) -> &str {
        self.destination.name()
    }

    /// Where it was; a destination that is new begins with what comes from now on.
    async fn begin(&self) -> DeliveryRow {
        loop {
            let found = match self.store.delivery(self.name()).await {
                Ok(Some(row)) => return row,
                Ok(None) => self.store.last_outbox().await,
                Err(e) => Err(e),
            };
            match found {
                Ok(seq) => {
                    let row = DeliveryRow { name: self.name().to_owned(), seq, items: 0, lost: 0, at: utc() };
                    match self.store.delivered(row.clone()).await {
                        Ok(()) => return row,
                        Err(e) => self.not_readable(&e),
                    }
                }
                Err(e) => self.not_readable(&e),
            }
            sleep(self.pace.first_pause).await;
        }
    }

    fn not_readable(&self, e: &StoreError) {
        if let Some(s) = lock(&self.board).get_mut(self.name()) {
            s.error = Some(format!("the outbox cannot be read: {e}"));
        }
    }

    async fn round(&self, at: &mut DeliveryRow) -> Result<Round, String> {
        let of_store = |e: StoreError| format!("the outbox cannot be read: {e}");
        let rows = self.store.outbox(at.seq, BATCH as u32).await.map_err(of_store)?;
        let Some(first) = rows.first() else { return Ok(Round::Idle) };
        let mut items = Vec::new();
        let lost = first.seq - at.seq - 1;
        if lost > 0 {
            items.push(Item::gap(at.seq + 1, first.seq - 1, utc()));
        }
        let (taken, last) = batch(&rows);
        items.extend(taken.iter().filter(|r| wanted(&self.destination.config.what, r.kind)).map(Item::of));
        let sent = items.len() as u64;
        if sent > 0 {
            let to = self.destination.clone();
            let done = tokio::task::spawn_blocking(move || to.send(&items)).await;
            done.map_err(|e| e.to_string())?.map_err(|e| e.0)?;
        }
        (at.seq, at.items, at.lost, at.at) = (last, at.items + sent, at.lost + lost, utc());
        if let Err(e) = self.store.delivered(at.clone()).await {
            // It goes on from memory; after a restart some of it goes out twice.
            warn!(destination = self.name(), "how far {} is could not be written: {e}", self.name());
        }
        Ok(Round::Moved)
    }

    fn note(&self, at: &DeliveryRow, error: Option<(&str, Utc)>) {
        if let Some(s) = lock(&self.board).get_mut(self.name()) {
            (s.seq, s.items, s.lost) = (at.seq, at.items, at.lost);
            match error {
                None => (s.error, s.failing_since, s.last_ok) = (None, None, Some(utc())),
                Some((why, since)) => {
                    (s.error, s.failing_since) = (Some(why.to_owned()), Some(since));
                }
            }
        }
    }

    fn failed(&self, at: &DeliveryRow, failures: u32, since: Utc, why: &str) {
        let name = self.name();
        self.note(at, Some((why, since)));
        if failures.is_power_of_two() {
            warn!(destination = name, failures, "nothing is delivered to {name} ({failures} tries): {why}");
        }
    }

    fn alert(&self, since: Utc, why: &str) {
        let (destination, why) = (self.name().to_owned(), why.to_owned());
        let what = Happening::DeliveryFailing { destination, why, since };
        (self.tell)(Event { at: utc(), imsi: None, what });
    }

    /// Doubled with each failure, and anywhere in its upper half, so that many nodes do not come at once.
    fn pause(&self, failures: u32) -> Duration {
        let doubled = self.pace.first_pause.saturating_mul(1 << (failures - 1).min(16));
        let full = doubled.min(self.pace.longest_pause);
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// The rows that go out together, and the number of the last of them.
fn batch(rows: &[OutboxRow]) -> (&[OutboxRow], u64) {
    let mut octets = 0;
    let fits = rows.iter().take_while(|r| {
        let first = octets == 0;
        octets += r.payload.len().max(1);
        first || octets <= BATCH_OCTETS
    });
    let taken = rows.get(..fits.count()).unwrap_or_default();
    (taken, taken.last().map_or(0, |r| r.seq))
}

/// Takes out of the outbox what every destination has, and what is too much.
async fn keep_in_bounds(store: Store, names: Vec<String>, pace: Pace) {
    loop {
        sleep(pace.look * 20).await;
        if let Err(e) = prune(&store, &names, pace.most).await {
            warn!("the outbox could not be pruned: {e}");
        }
    }
}

/// One round of that; how many rows went.
pub(super) async fn prune(store: &Store, names: &[String], most: u64) -> Result<u64, StoreError> {
    let last = store.last_outbox().await?;
    let mut all_have = last;
    for name in names {
        // One that has not begun yet gets nothing taken away.
        all_have = all_have.min(store.delivery(name).await?.map_or(0, |d| d.seq));
    }
    let until = all_have.max(last.saturating_sub(most));
    if until == 0 || store.oldest_outbox().await?.is_none_or(|first| first > until) {
        return Ok(0);
    }
    store.outbox_delivered(until).await
}
