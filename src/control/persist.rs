//! The one queue of writes that `hss` waits for: in its order, many of them in one transaction.

use super::Done;
use hss::Persist;
use store::{DeviceSeen, SqnCeiling, Store};
use tokio::{sync::mpsc, task::JoinHandle};
use tracing::error;
use types::Utc;

/// How many writes go into one transaction.
const BATCH: usize = 1024;
/// How many of them the loop is told at once.
const TOLD: usize = 32;

/// The queue.
pub struct Queue {
    tx: Option<mpsc::UnboundedSender<(u64, Persist, Utc)>>,
    task: Option<JoinHandle<()>>,
}

impl Queue {
    /// Starts the task that writes.
    pub fn start(store: Store, done: mpsc::UnboundedSender<Done>) -> Self {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while rx.recv_many(&mut batch, BATCH).await > 0 {
                write(&store, &done, std::mem::take(&mut batch)).await;
            }
        });
        Self { tx: Some(tx), task: Some(task) }
    }

    /// Asks for one write.
    pub fn push(&self, id: u64, write: Persist, at: Utc) {
        if let Some(tx) = &self.tx {
            drop(tx.send((id, write, at)));
        }
    }

    /// Waits until all is written.
    pub async fn close(&mut self) {
        self.tx = None;
        if let Some(t) = self.task.take() {
            drop(t.await);
        }
    }
}

async fn write(store: &Store, done: &mpsc::UnboundedSender<Done>, batch: Vec<(u64, Persist, Utc)>) {
    let (mut ceilings, mut activated) = (Vec::new(), Vec::new());
    let (mut ceiling_ids, mut activated_ids) = (Vec::new(), Vec::new());
    let (mut seen, mut seen_ids) = (Vec::new(), Vec::new());
    let mut horizons = Vec::new();
    let mut at = Utc::default();
    for (id, w, asked) in batch {
        at = asked;
        match w {
            Persist::SqnHorizon { horizon } => horizons.push((id, horizon)),
            Persist::SqnCeiling { imsi, state } => {
                ceiling_ids.push(id);
                ceilings.push(SqnCeiling {
                    imsi,
                    ceiling: state.ceiling,
                    offset: state.offset,
                    resyncs: state.resyncs,
                });
            }
            Persist::Activated { imsi } => {
                activated_ids.push(id);
                activated.push(imsi);
            }
            Persist::Learned { imsi, device, replace } => {
                seen_ids.push(id);
                seen.push(DeviceSeen { imsi, device, replace });
            }
        }
    }
    for (id, horizon) in horizons {
        crash::point("sqn.before-horizon");
        let left_out = crash::sabotaged("sqn-horizon-stored");
        let written = if left_out { Ok(()) } else { store.raise_sqn_horizon(horizon).await };
        crash::point("sqn.horizon");
        tell(done, vec![id], written);
    }
    if !ceilings.is_empty() {
        crash::point("sqn.before-ceiling");
        let left_out = crash::sabotaged("sqn-stored");
        let written = if left_out { Ok(()) } else { store.write_sqn_ceilings(ceilings).await };
        crash::point("sqn.ceiling");
        tell(done, ceiling_ids, written);
    }
    if !activated.is_empty() {
        tell(done, activated_ids, store.activate_sims(activated, at).await);
    }
    if !seen.is_empty() {
        match store.learn_devices(seen.clone(), at).await {
            Ok(bound) => {
                for ((id, seen), ok) in seen_ids.into_iter().zip(seen).zip(bound) {
                    drop(done.send(Done::Persisted { ids: vec![id], ok }));
                    if !ok {
                        drop(done.send(Done::NotLearned { imsi: seen.imsi }));
                    }
                }
            }
            Err(e) => tell(done, seen_ids, Err(e)),
        }
    }
}

fn tell(done: &mpsc::UnboundedSender<Done>, ids: Vec<u64>, result: Result<(), store::StoreError>) {
    if let Err(e) = &result {
        error!("a write that an attach waits for failed: {e}");
    }
    // What waits for them is done in one go, and a ban waits for one piece of it at most.
    for ids in ids.chunks(TOLD) {
        drop(done.send(Done::Persisted { ids: ids.to_vec(), ok: result.is_ok() }));
    }
}
