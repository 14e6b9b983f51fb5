//! Where SMFs see SIMs, kept with their sessions: a restart of ours must not make unknown what is known, or it would end
//! live sessions of SIMs whose rules ask for a place.
//!
//! Written behind what is judged by, the newest of each SIM, all that wait together; what the store does not take is
//! tried again until it does. What was said in the moment before a kill may be lost: then the place is that of before.

use crate::{config::Config, control::facts::SeenAt};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};
use store::{GxPlace, GxSessionRow, Store};
use tokio::sync::mpsc;
use tracing::warn;
use types::{Imsi, Radio};
use wire::diameter::UserLocation;

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(1);

/// The way to the one task that writes them.
pub(in crate::control) struct Places(mpsc::UnboundedSender<(Imsi, GxPlace)>);

impl Places {
    /// Starts it.
    pub fn start(store: Store) -> Self {
        let (tx, rx) = mpsc::unbounded_channel();
        tokio::spawn(write(store, rx));
        Self(tx)
    }

    /// A SIM is here from now on.
    pub fn keep(&self, imsi: Imsi, seen: SeenAt) {
        let SeenAt { place: UserLocation { tai, cell }, since } = seen;
        _ = self.0.send((imsi, GxPlace { tai, cell, radio: Radio::Eutra, since }));
    }
}

async fn write(store: Store, mut rx: mpsc::UnboundedReceiver<(Imsi, GxPlace)>) {
    let mut waiting = BTreeMap::new();
    while let Some(first) = rx.recv().await {
        waiting.extend([first]);
        while !waiting.is_empty() {
            while let Ok(next) = rx.try_recv() {
                waiting.extend([next]);
            }
            match store.set_gx_places(waiting.iter().map(|(i, p)| (*i, *p)).collect()).await {
                Ok(()) => waiting.clear(),
                Err(e) => {
                    warn!("where {} SIMs are could not be written: {e}", waiting.len());
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Where SIMs were seen before we stopped, by the SMFs that we have: the newest of each.
pub(in crate::control) fn known(config: &Config, rows: &[GxSessionRow]) -> HashMap<Imsi, SeenAt> {
    let smfs: BTreeSet<String> =
        config.gx.iter().flat_map(|c| c.smfs()).map(|s| s.host.to_string()).collect();
    let mut all: HashMap<Imsi, SeenAt> = HashMap::new();
    for r in rows.iter().filter(|r| smfs.contains(&r.smf)) {
        // Gx says where a SIM is by LTE alone.
        let Some(p) = r.place.filter(|p| p.radio == Radio::Eutra) else { continue };
        let seen = SeenAt { place: UserLocation { tai: p.tai, cell: p.cell }, since: p.since };
        let newest = all.entry(r.imsi).or_insert(seen);
        if newest.since < seen.since {
            *newest = seen;
        }
    }
    all
}
