//! Cancel-Location of type 0 (§5.2.1.2): another MME serves the SIM, and the one before is to let go.
//!
//! It is due from the transaction that makes the new MME durable, so a start finds it again. It is over when the one before
//! answers, or says by itself that it has let go (Purge) or serves the SIM again (Update-Location). One that does not want to is
//! asked again when it is back.

use super::{Output, S6a, update::Said};
use std::collections::{BTreeMap, VecDeque};
use types::{Imsi, Mono, Now};
use wire::diameter::{CancellationType, Identity, Message};

/// How long one that was not answered waits until it is asked again.
const AGAIN_MS: u64 = 30_000;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// This question is under way.
    ExpectAnswer(u64),
    /// Nobody answered.
    Again(Mono),
    /// Until the MME is back.
    Wait,
}

/// MMEs that are to let go of a SIM.
#[derive(Default)]
pub(super) struct Moved {
    due: BTreeMap<(Imsi, Identity), Step>,
    /// In the order of time. One that is not due any more may stand in it.
    again: VecDeque<(Mono, Imsi, Identity)>,
}

impl Moved {
    /// These were due when we were last seen.
    pub fn loaded(&mut self, due: impl Iterator<Item = (Imsi, Identity)>) {
        self.due.extend(due.map(|both| (both, Step::Wait)));
    }

    pub fn poll_timeout(&self) -> Option<Mono> {
        self.again.front().map(|(at, ..)| *at)
    }

    /// How many of this MME's are due.
    pub fn due_at(&self, mme: &Identity) -> usize {
        self.due.keys().filter(|(_, m)| m == mme).count()
    }

    /// The MME serves the SIM again, which is durable: it keeps it.
    pub fn moot(&mut self, imsi: Imsi, mme: &Identity) {
        self.due.remove(&(imsi, mme.clone()));
    }
}

impl S6a {
    /// Another MME serves the SIM, and that is durable: this one is told.
    pub(super) fn let_go(&mut self, imsi: Imsi, mme: Identity, now: Now) {
        let step = match self.cancel(imsi, &mme, CancellationType::MmeUpdate) {
            Some(txn) => Step::ExpectAnswer(txn),
            // It is not listed any more; it may be again.
            None => self.let_go_later(imsi, &mme, now),
        };
        self.moved.due.insert((imsi, mme), step);
    }

    fn let_go_later(&mut self, imsi: Imsi, mme: &Identity, now: Now) -> Step {
        let at = now.mono.plus_ms(AGAIN_MS);
        self.moved.again.push_back((at, imsi, mme.clone()));
        Step::Again(at)
    }

    /// An MME says that it has let go, answered or not.
    pub(super) fn has_let_go(&mut self, imsi: Imsi, mme: &Identity) {
        if self.moved.due.remove(&(imsi, mme.clone())).is_some() {
            self.outputs.push_back(Output::NotDue { imsi, mme: mme.clone() });
        }
    }

    pub(super) fn let_go_answered(
        &mut self,
        txn: u64,
        (imsi, mme): (Imsi, Identity),
        message: Option<&Message>,
        now: Now,
    ) {
        // Only the last question counts: what was asked by a connection that is gone has been asked once more.
        let at = (imsi, mme);
        if self.moved.due.get(&at) != Some(&Step::ExpectAnswer(txn)) {
            return;
        }
        let step = match Said::of(message) {
            Said::Nothing => self.let_go_later(imsi, &at.1, now),
            Said::No => Step::Wait,
            // Whoever does not know the SIM has nothing to let go of; whoever does not know the command never will.
            Said::Yes | Said::Unknown | Said::NotUnderstood => return self.has_let_go(imsi, &at.1),
        };
        self.moved.due.insert(at, step);
    }

    /// An MME is back: it is told what it was not, or did not want to hear.
    pub(super) fn moved_up(&mut self, peer: &Identity, now: Now) {
        let its: Vec<Imsi> = self.moved.due.keys().filter(|(_, m)| m == peer).map(|(i, _)| *i).collect();
        for imsi in its {
            self.let_go(imsi, peer.clone(), now);
        }
    }

    /// Those whose time has come.
    pub(super) fn moved_due(&mut self, now: Now) {
        while self.moved.poll_timeout().is_some_and(|at| at <= now.mono)
            && let Some((at, imsi, mme)) = self.moved.again.pop_front()
        {
            if self.moved.due.get(&(imsi, mme.clone())) == Some(&Step::Again(at)) {
                self.let_go(imsi, mme, now);
            }
        }
    }
}
