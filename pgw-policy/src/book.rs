//! What is known of every SIM, and when it comes to something else by itself: a posture that grows stale, a proof or a
//! grant that ends, the night that begins. Whoever holds it asks what is due, by a timer, and tells the shards.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::compile::Compiled;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Imsi, SimFacts, Utc};

/// See the module.
#[derive(Debug, Default)]
pub struct Book {
    of: BTreeMap<Imsi, (Arc<SimFacts>, Option<Utc>)>,
    due: BTreeSet<(Utc, Imsi)>,
    /// The latest moment that was asked about.
    read: Option<Utc>,
}

impl Book {
    /// What is known of a SIM; nothing, if nobody said.
    pub fn of(&self, imsi: Imsi) -> Arc<SimFacts> {
        self.of.get(&imsi).map(|(facts, _)| Arc::clone(facts)).unwrap_or_default()
    }

    /// How many SIMs something is known of.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// True where nothing is known of anybody.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// What is known of a SIM from here on. False where that is what was known.
    pub fn learn(&mut self, imsi: Imsi, facts: SimFacts, policy: &Compiled, at: Utc) -> bool {
        if self.of.get(&imsi).is_some_and(|(old, _)| **old == facts) {
            return false;
        }
        self.put(imsi, Arc::new(facts), policy, at);
        true
    }

    fn put(&mut self, imsi: Imsi, facts: Arc<SimFacts>, policy: &Compiled, at: Utc) {
        let next = policy.next_change(&facts, at);
        if let Some((_, Some(before))) = self.of.insert(imsi, (facts, next)) {
            self.due.remove(&(before, imsi));
        }
        self.due.extend(next.map(|next| (next, imsi)));
    }

    /// Another policy asks about other things.
    pub fn judge_by(&mut self, policy: &Compiled, at: Utc) {
        self.due.clear();
        for (imsi, (facts, next)) in &mut self.of {
            *next = policy.next_change(facts, at);
            self.due.extend(next.map(|next| (next, *imsi)));
        }
    }

    /// When something is due next.
    pub fn next(&self) -> Option<Utc> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The SIMs whose facts come to something else now; each is named once. Where the clock was put back: all of them.
    pub fn due(&mut self, policy: &Compiled, at: Utc) -> Vec<Imsi> {
        let was_put_back = self.read.is_some_and(|read| at < read);
        self.read = Some(at);
        if was_put_back {
            self.judge_by(policy, at);
            return self.of.keys().copied().collect();
        }
        let mut all = Vec::new();
        while let Some(&(when, imsi)) = self.due.first().filter(|(when, _)| *when <= at) {
            self.due.remove(&(when, imsi));
            let facts = self.of(imsi);
            self.put(imsi, facts, policy, at);
            all.push(imsi);
        }
        all
    }
}
