//! Planned changes of a SIM's state: a suspension at night, the end of a contract.
//!
//! The [`Agenda`] holds the time and number of every schedule that waits. It is read at start, so what fell due while
//! nobody ran is due at once, in its order. Time comes from outside; the wall clock may step, so it is looked at again
//! at least every [`LOOK_MS`], whatever the monotonic clock promised. The change itself is one transaction of the store,
//! which runs a schedule once and never takes a ban back; the SIM's sessions end as with any other change of state.

use super::{Control, Done};
use std::collections::BTreeSet;
use store::{RanSchedule, Store, StoreError};
use tokio::sync::mpsc;
use tracing::error;
use types::{Event, Happening, Mono, Now, Utc};

/// How often the wall clock is looked at while something waits.
const LOOK_MS: u64 = 10_000;

/// What waits, by its time.
#[derive(Default)]
pub(crate) struct Agenda {
    waiting: BTreeSet<(Utc, u64)>,
    /// Handed to the runner and not finished.
    running: BTreeSet<u64>,
    next_look: Option<Mono>,
}

impl Agenda {
    /// What the store says waits. What is being run stays out.
    pub fn load(&mut self, all: Vec<(Utc, u64)>, now: Now) {
        self.waiting = all.into_iter().filter(|(_, id)| !self.running.contains(id)).collect();
        self.next_look = Some(now.mono);
    }

    /// Takes out what is due, in its order.
    pub fn due(&mut self, now: Now) -> Vec<u64> {
        let mut due = Vec::new();
        while let Some((at, id)) = self.waiting.first().copied().filter(|(at, _)| *at <= now.utc) {
            self.waiting.remove(&(at, id));
            self.running.insert(id);
            due.push(id);
        }
        self.next_look = self.waiting.first().map(|(at, _)| {
            let ms = u64::try_from(at.0.saturating_sub(now.utc.0)).unwrap_or(0);
            now.mono.plus_ms(ms.min(LOOK_MS))
        });
        due
    }

    /// One that was handed out is finished.
    pub fn finished(&mut self, id: u64) {
        self.running.remove(&id);
    }

    /// It could not be run: everything is to be read again a little later.
    pub fn look_later(&mut self, now: Now) {
        self.next_look = Some(now.mono.plus_ms(LOOK_MS));
    }

    /// When [`Agenda::due`] wants to be asked.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.next_look
    }
}

/// A schedule that was run, or could not be.
pub(crate) struct Ran {
    id: u64,
    result: Result<Option<RanSchedule>, StoreError>,
}

/// The one task that runs schedules, one after the other in the order in which they fell due.
pub(crate) struct Runner(mpsc::UnboundedSender<(u64, Utc)>);

impl Runner {
    /// Starts it.
    pub fn start(store: Store, done: mpsc::UnboundedSender<Done>) -> Self {
        let (tx, mut rx) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some((id, at)) = rx.recv().await {
                let result = store.run_schedule(id, at).await;
                drop(done.send(Done::Scheduled(Ran { id, result })));
            }
        });
        Self(tx)
    }
}

impl Control {
    /// Schedules changed in the store, or nothing is known of them yet.
    pub(super) fn read_agenda(&self) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move { drop(done.send(Done::Agenda(store.waiting_schedules().await))) });
    }

    pub(super) fn agenda_read(&mut self, all: Result<Vec<(Utc, u64)>, StoreError>) {
        match all {
            Ok(all) => self.agenda.load(all, gateway::time::now()),
            Err(e) => {
                error!("schedules cannot be read and are tried again: {e}");
                self.agenda_unread = true;
                self.agenda.look_later(gateway::time::now());
            }
        }
    }

    pub(super) fn schedules_timeout(&mut self, now: Now) {
        if self.agenda.poll_timeout().is_none_or(|at| at > now.mono) {
            return;
        }
        if std::mem::take(&mut self.agenda_unread) {
            self.agenda.look_later(now);
            return self.read_agenda();
        }
        for id in self.agenda.due(now) {
            _ = self.due.0.send((id, now.utc));
        }
    }

    /// A schedule was run: the SIM's sessions follow its state.
    pub(super) fn schedule_ran(&mut self, r: Ran) {
        self.agenda.finished(r.id);
        let now = gateway::time::now();
        let ran = match r.result {
            Ok(Some(ran)) => ran,
            Ok(None) => return,
            Err(e) => {
                error!(schedule = r.id, "schedule {} could not be run and is tried again: {e}", r.id);
                self.agenda_unread = true;
                return self.agenda.look_later(now);
            }
        };
        let row = ran.row;
        let actor = format!("scheduled by {}", row.actor);
        let what = match ran.from {
            Some(from) => Happening::SimState { from, to: row.to, actor, reason: row.reason },
            None => Happening::ScheduleDropped {
                to: row.to,
                actor: row.actor,
                why: row.outcome.unwrap_or_default(),
            },
        };
        self.happened(Event { at: now.utc, imsi: Some(row.imsi), what });
        if ran.from.is_some() {
            self.reread_sim(row.imsi, None);
        }
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
