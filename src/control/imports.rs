//! What an import changed, given to the directory in pieces: a ban, which is a command, never waits behind more than one
//! of them.

use super::{Control, Done};
use admin_web::ControlError;
use std::collections::{BTreeMap, BTreeSet};
use store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use types::{Bound, Event, Imsi};

/// A piece of what an import changed.
pub(crate) struct Piece {
    /// SIMs as they are stored now, with what they are bound to.
    sims: Vec<(store::SimRow, Bound)>,
    /// SIMs that are gone again.
    gone: Vec<Imsi>,
}

/// All pieces were given, or the store does not answer.
pub(crate) struct Learnt {
    result: Result<(), StoreError>,
    event: Option<Event>,
    reply: oneshot::Sender<Result<(), ControlError>>,
}

impl Control {
    /// Reads what job `job` changed and gives it to the directory.
    pub(super) fn learn_import(
        &self,
        job: u64,
        event: Option<Event>,
        reply: oneshot::Sender<Result<(), ControlError>>,
    ) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let result = read(&store, job, &done).await;
            drop(done.send(Done::ImportLearnt(Learnt { result, event, reply })));
        });
    }

    /// Another piece.
    pub(super) fn import_piece(&mut self, p: Piece) {
        for (row, bound) in p.sims {
            if let Err(e) = self.take_sim(&row, bound) {
                self.alarm(Some(row.imsi), format!("an imported SIM is not in use: {e:#}"));
            }
        }
        for imsi in p.gone {
            self.forget_sim(imsi);
        }
    }

    /// The last piece was given.
    pub(super) fn import_learnt(&mut self, l: Learnt) {
        if let Some(e) = l.event {
            self.happened(e);
        }
        self.reread_facts(store::FactsOf::All, None);
        let answer = l.result.map_err(|e| ControlError::Unavailable { part: "store", why: e.to_string() });
        drop(l.reply.send(answer));
    }
}

async fn read(store: &Store, job: u64, done: &mpsc::UnboundedSender<Done>) -> Result<(), StoreError> {
    // Once for all of them: most SIMs have no binding at all.
    let bindings: BTreeMap<Imsi, Bound> = store.all_bindings().await?.into_iter().collect();
    let mut after = None;
    while let Some((seq, imsis)) = store.imported_sims(job, after).await? {
        let rows = store.sims_of(&imsis).await?;
        let there: BTreeSet<Imsi> = rows.iter().map(|r| r.imsi).collect();
        let gone = imsis.into_iter().filter(|i| !there.contains(i)).collect();
        let bound = |imsi| bindings.get(&imsi).cloned().unwrap_or_default();
        let sims = rows
            .into_iter()
            .map(|row| {
                let b = bound(row.imsi);
                (row, b)
            })
            .collect();
        drop(done.send(Done::Imported(Piece { sims, gone })));
        after = Some(seq);
    }
    Ok(())
}
