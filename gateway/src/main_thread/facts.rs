//! What is known of the SIMs: told by `control`, kept here, and read again by a timer when it comes to something else,
//! `control` or not. The shards that have a SIM's sessions hold its word.

use super::MainThread;
use crate::shard_thread::{Order, Ticket};
use crate::time;
use pgw_policy::command::ShardCommand;
use types::{Imsi, SimFacts};

impl MainThread {
    /// `control` says what is known.
    pub(super) fn take_facts(&mut self, all: Vec<(Imsi, SimFacts)>) {
        let now = time::utc();
        for (imsi, facts) in all {
            if self.book.learn(imsi, facts, &self.policy, now) {
                self.tell_facts(imsi);
            }
        }
        self.wake_for_facts();
    }

    /// What has run out, or begun.
    pub(super) fn turn_facts(&mut self) {
        for imsi in self.book.due(&self.policy, time::utc()) {
            self.tell_facts(imsi);
        }
    }

    /// Another policy may ask about other things, such as whether it is night. Its shards read their facts anew by
    /// themselves.
    pub(super) fn read_facts_anew(&mut self) {
        self.book.judge_by(&self.policy, time::utc());
        self.wake_for_facts();
    }

    /// The next round is not later than what is due next.
    pub(super) fn wake_for_facts(&mut self) {
        let (Some(due), now) = (self.book.next(), time::now()) else { return };
        let left = u64::try_from(due.0 - now.utc.0).unwrap_or(0);
        self.next_round = self.next_round.min(now.mono.plus_ms(left));
    }

    fn tell_facts(&mut self, imsi: Imsi) {
        for shard in self.n4.shards_of(imsi) {
            let command = ShardCommand::Facts { imsi, facts: self.book.of(imsi) };
            let ticket = Ticket::Main(self.shards.ticket());
            self.shards.order(shard, Order { ticket, command });
        }
    }
}
