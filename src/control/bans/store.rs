//! Changes of state on their way into the database, and what its answer means.

use super::{Reply, cut::Cut};
use crate::{
    control::{Control, Done},
    time::now,
};
use admin_web::{BanError, ControlError, Receipt, StoredAt};
use store::{Change, StateChange, Store, StoreError};
use tokio::sync::mpsc;
use tracing::error;
use types::{Event, Happening, Imsi, SimState};

/// A change that the database has not confirmed.
pub(super) struct Storing {
    pub imsi: Imsi,
    pub to: SimState,
    pub before: Option<SimState>,
    pub actor: String,
    pub reason: String,
    pub reply: Option<Reply>,
    pub ban: bool,
    pub receipt: Receipt,
}

/// A change of state on its way into the database.
struct StateWrite {
    id: u64,
    imsi: Imsi,
    to: SimState,
    kind: StateChange,
    change: Change,
}

/// Changes of state go into the database in the order in which they were decided: a ban never passes the unban
/// before it, nor the other way round.
pub(crate) struct StateQueue(mpsc::UnboundedSender<StateWrite>);

impl StateQueue {
    /// Starts the task that writes.
    pub fn start(store: Store, done: mpsc::UnboundedSender<Done>) -> Self {
        let (tx, mut rx) = mpsc::unbounded_channel::<StateWrite>();
        tokio::spawn(async move {
            while let Some(w) = rx.recv().await {
                let result = store.change_sim_state(w.imsi, w.to, w.kind, &w.change).await.map(|_| ());
                drop(done.send(Done::Stored(Stored { id: w.id, result })));
            }
        });
        Self(tx)
    }

    fn push(&self, w: StateWrite) {
        drop(self.0.send(w));
    }
}

/// The database's answer.
pub(crate) struct Stored {
    id: u64,
    result: Result<(), StoreError>,
}

impl Control {
    pub(super) fn store_ban(&mut self, id: u64, cut: Cut, receipt: Receipt) {
        let Cut { request, reply, before, at, .. } = cut;
        if before == Some(request.state) {
            // It was in this state already, so there is nothing to change in the database; its record is there, or
            // on its way by the request before.
            let mut receipt = receipt;
            if self.bans.storing.values().any(|w| w.imsi == request.imsi && w.ban) {
                receipt
                    .pending
                    .push("an earlier request is still writing this ban to the database".to_owned());
            } else {
                receipt.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
            }
            return self.answer(reply, receipt);
        }
        let change = Change {
            actor: request.actor.clone(),
            at,
            reason: request.reason.clone(),
            request_id: request.request_id.clone(),
            origin: String::new(),
            ticket: request.ticket.clone(),
        };
        let (imsi, to) = (request.imsi, request.state);
        self.bans.storing.insert(
            id,
            Storing {
                imsi,
                to,
                before,
                actor: request.actor,
                reason: request.reason,
                reply,
                ban: true,
                receipt,
            },
        );
        self.store_state(id, imsi, to, StateChange::Ban, change);
    }

    pub(super) fn store_state(&self, id: u64, imsi: Imsi, to: SimState, kind: StateChange, change: Change) {
        self.states.push(StateWrite { id, imsi, to, kind, change });
    }

    /// The database has answered.
    pub(in crate::control) fn ban_stored(&mut self, s: Stored) {
        let Some(mut w) = self.bans.storing.remove(&s.id) else { return };
        match s.result {
            Ok(()) => {
                w.receipt.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
                self.happened(Event {
                    at: now().utc,
                    imsi: Some(w.imsi),
                    what: Happening::SimState {
                        from: w.before.unwrap_or(w.to),
                        to: w.to,
                        actor: w.actor,
                        reason: w.reason,
                    },
                });
                // A ban that came while the unban was being written holds.
                if !w.ban && !self.bans.is_banned_after(s.id, w.imsi) {
                    self.hss.handle(hss::Input::SetState { imsi: w.imsi, state: w.to }, now());
                }
            }
            Err(e) if w.ban => {
                error!(imsi = %w.imsi, "the ban of {} is not in the database: {e}", w.imsi);
                w.receipt.pending.push(format!("the database could not be written: {e}"));
            }
            Err(e) => {
                // The SIM stays banned in the database, so the gateway has to cut it again: deny wins.
                error!(imsi = %w.imsi, "the unban of {} is not in the database: {e}", w.imsi);
                self.recut(w.imsi, w.before.unwrap_or(SimState::Lost));
                let why = e.to_string();
                let e = BanError::Control(ControlError::Unavailable { part: "store", why });
                if let Some(reply) = w.reply {
                    drop(reply.send(Err(e)));
                }
                return;
            }
        }
        self.answer(w.reply, w.receipt);
    }
}
