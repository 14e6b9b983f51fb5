//! Sources that have been silent for longer than they may be: told once, and again when they are back and silent anew.

use crate::control::{Control, Done};
use std::collections::BTreeSet;
use store::{SourceRow, StoreError};
use types::{Mono, Name, Now, Utc};

/// How often they are looked at.
const LOOK_MS: u64 = 30_000;

/// Who is silent.
#[derive(Default)]
pub(super) struct Silence {
    told: BTreeSet<Name>,
    next_look: Option<Mono>,
}

impl Silence {
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.next_look
    }

    /// Who is silent since the last look, with for how many minutes; whoever has spoken may be told of again.
    pub fn look(&mut self, sources: &[SourceRow], now: Utc) -> Vec<(Name, i64)> {
        let mut fresh = Vec::new();
        let mut silent = BTreeSet::new();
        for row in sources {
            let v = &row.source;
            let Some(most) = v.value.silent_after_s else { continue };
            let age = now.0 - row.health.last_ok.unwrap_or(v.created).max(v.changed).0;
            if age <= i64::from(most) * 1000 {
                continue;
            }
            let name = v.value.name.clone();
            if !self.told.contains(&name) {
                fresh.push((name.clone(), age / 60_000));
            }
            silent.insert(name);
        }
        self.told = silent;
        fresh
    }
}

impl Control {
    /// Looks at the sources, now and then.
    pub(super) fn look_for_silence(&mut self, now: Now) {
        if self.facts.sources.next_look.is_some_and(|at| at > now.mono) {
            return;
        }
        self.facts.sources.next_look = Some(now.mono.plus_ms(LOOK_MS));
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move { drop(done.send(Done::Sources(store.signal_sources().await))) });
    }

    pub(in crate::control) fn sources_read(&mut self, sources: Result<Vec<SourceRow>, StoreError>) {
        // A database that does not answer is told of elsewhere.
        let Ok(sources) = sources else { return };
        for (name, minutes) in self.facts.sources.look(&sources, gateway::time::now().utc) {
            self.alarm(None, format!("the source {name} has told nothing for {minutes} minutes"));
        }
    }
}
