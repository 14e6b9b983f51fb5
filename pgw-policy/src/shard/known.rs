//! What is known of each SIM that has sessions here, as the word that its rules are read with.

use super::Shard;
use crate::command::ShardReply;
use crate::predicate::Known;
use std::sync::Arc;
use types::{Imsi, Now, Reason, SimFacts};

impl Shard {
    /// Facts of a SIM, or the same ones at a moment at which they come to something else. What has lost its rule ends.
    pub(super) fn learn(&mut self, imsi: Imsi, facts: Arc<SimFacts>, now: Now) -> ShardReply {
        let Some(&at) = self.by_imsi.get(&imsi) else { return ShardReply::Done };
        let known = self.policy.as_ref().map_or_else(Known::default, |p| p.known(&facts, now.utc));
        let Some(sim) = self.sim_mut(at) else { return ShardReply::Done };
        sim.facts = facts;
        if sim.known == known {
            return ShardReply::Done;
        }
        sim.known = known;
        for session in sim.sessions.clone() {
            self.rejudge_session(session, Reason::FactsChanged);
        }
        ShardReply::Done
    }

    /// By another policy the same facts are another word.
    pub(super) fn know_all(&mut self, now: Now) {
        let Some(policy) = self.policy.clone() else { return };
        for sim in self.sims.iter_mut().flatten() {
            sim.known = policy.known(&sim.facts, now.utc);
        }
    }
}
