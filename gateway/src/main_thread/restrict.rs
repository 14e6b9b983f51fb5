//! What the link says about bans, quarantine and panic, and whether anything new is allowed at all.

use super::{MainThread, Waiting};
use crate::control_face::{ConnectionId, Heard};
use crate::journal::copies::CopyNews;
use crate::journal::{Entry, JournalError, What};
use crate::link::{CutReceipt, FromGateway, JournalHead, Revoked, Role, ToGateway};
use crate::revocation::CutRequest;
use crate::time;
use pgw_policy::command::ShardCommand;
use tracing::{info, warn};
use types::Mono;

impl MainThread {
    /// All cuts that were read together: one round through the shards, one flush of the disk.
    pub(super) fn cut(&mut self, cuts: Vec<(ConnectionId, Role, Mono, u64, CutRequest)>) {
        let Some(arrived) = cuts.iter().map(|c| c.2).min() else { return };
        let requests: Vec<_> = cuts.iter().map(|c| c.4.clone()).collect();
        let receipts = self.cut_now(requests, arrived);
        for ((from, role, _, id, _), receipt) in cuts.into_iter().zip(receipts) {
            self.answer(from, role == Role::Local, FromGateway::CutDone { id, receipt });
        }
        self.face.flush();
        self.run_n4();
    }

    pub(super) fn cut_now(&mut self, requests: Vec<CutRequest>, arrived: Mono) -> Vec<CutReceipt> {
        for request in &requests {
            // Before the shards: a session that PFCP would set up from here on is refused there, too.
            self.n4.revoke(request.imsi, true);
        }
        let receipts = self.revocations.cut(&requests, arrived, &mut self.shards);
        crash::point("ban.confirm");
        self.copies.moved(self.revocations.head());
        receipts
    }

    /// Answers a cut: at once, or when the copies have it, or when they had long enough.
    pub(super) fn answer(&mut self, to: ConnectionId, local: bool, message: FromGateway) {
        let record = match &message {
            FromGateway::CutDone { receipt, .. } => receipt.journal.as_ref().map_or(0, |s| s.record),
            FromGateway::CutAllDone { receipts, .. } => {
                receipts.iter().filter_map(|r| r.journal.as_ref().ok()).map(|s| s.record).max().unwrap_or(0)
            }
            _ => 0,
        };
        let waiting = Waiting { until: time::mono().plus_ms(self.copy_wait), record, to, local, message };
        if self.copy_wait == 0 || self.copies.all_have(record) {
            self.answer_now(waiting);
        } else {
            self.waiting.push_back(waiting);
        }
    }

    fn answer_now(&mut self, mut waiting: Waiting) {
        let copies = self.copies.status();
        let receipts: &mut [CutReceipt] = match &mut waiting.message {
            FromGateway::CutDone { receipt, .. } => std::slice::from_mut(receipt),
            FromGateway::CutAllDone { receipts, .. } => receipts,
            _ => &mut [],
        };
        for receipt in receipts {
            receipt.copies.clone_from(&copies);
            if waiting.local {
                self.tell_local_cut(receipt);
            }
        }
        self.face.say(waiting.to, &waiting.message);
    }

    /// What the copies' threads have to say, and the receipts that waited for them.
    pub(super) fn tend_copies(&mut self) {
        for news in self.copies.news() {
            match news {
                CopyNews::Done { place, head } => {
                    self.face.say_to_control(&FromGateway::CopyDone { place, head });
                }
                CopyNews::Changed(status) => {
                    let place = &status.place;
                    match &status.error {
                        Some(why) => warn!(place, "the journal's copy {place} is behind: {why}"),
                        None => info!(place, "the journal's copy {place} works"),
                    }
                    self.face.say_to_control(&FromGateway::CopyChanged(status));
                }
                CopyNews::Differs { place, how } => {
                    let why = JournalError::Copy { place, how }.to_string();
                    self.revocations.distrust(why.clone());
                    self.raise(why);
                    self.open_or_close();
                }
            }
        }
        let now = time::mono();
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.until <= now || self.copies.all_have(waiting.record) {
                self.answer_now(waiting);
            } else {
                self.waiting.push_back(waiting);
            }
        }
    }

    /// A command on this machine has cut: `control` is told, if it is there.
    fn tell_local_cut(&mut self, receipt: &CutReceipt) {
        if let Some(revoked) = self.revocations.set().get(&receipt.imsi) {
            let told = FromGateway::LocalCut { revoked: revoked.clone(), receipt: receipt.clone() };
            self.face.say_to_control(&told);
        }
    }

    /// Quarantine, panic, a device: on or off.
    pub(super) fn restrict(&mut self, said: Heard) {
        let (id, what, actor, reason, at) = match said.message {
            ToGateway::Quarantine { id, imsi, on, actor, reason, at } => {
                (id, Ok(What::Quarantine(imsi, on)), actor, reason, at)
            }
            ToGateway::Panic { id, group, on, actor, reason, at } => {
                (id, Ok(What::Panic(group, on)), actor, reason, at)
            }
            ToGateway::CutImei { id, device, on, actor, reason, at } => {
                let kind = if on { What::CutDevice } else { What::UncutDevice };
                (id, device.parse().map(kind), actor, reason, at)
            }
            _ => return,
        };
        let (result, shards) = match what {
            Ok(what) => {
                let device = match &what {
                    What::CutDevice(d) => Some(d.to_string()),
                    _ => None,
                };
                let entry = Entry { what, at, actor: actor.clone(), reason: reason.clone() };
                let (stored, shards) = self.revocations.restrict(entry, &mut self.shards);
                if let (Role::Local, Some(device)) = (said.role, device) {
                    let stored = stored.clone();
                    self.face.say_to_control(&FromGateway::LocalCutImei {
                        device,
                        actor,
                        reason,
                        at,
                        stored,
                    });
                }
                (stored, shards)
            }
            Err(why) => (Err(why.to_owned()), 0),
        };
        self.copies.moved(self.revocations.head());
        self.face.say(said.from, &FromGateway::RestrictDone { id, result, shards });
    }

    /// `control` says which head of the journal it knows.
    pub(super) fn compare(&mut self, known: &JournalHead) {
        if let Some(why) = self.revocations.compare(known) {
            self.face.say_to_control(&FromGateway::NeedUnion { why: why.clone() });
            self.raise(why);
        }
        self.open_or_close();
    }

    /// `control` sends the bans of the database.
    pub(super) fn unite(&mut self, from: ConnectionId, id: u64, all: &[Revoked]) {
        for r in all {
            self.n4.revoke(r.imsi, true);
        }
        let result = self.revocations.unite(all, &mut self.shards);
        self.copies.moved(self.revocations.head());
        self.open_or_close();
        self.face.say(from, &FromGateway::UnionDone { id, result });
        self.run_n4();
    }

    /// Nothing new is allowed while bans may be missing here, and what was open ends.
    pub(super) fn open_or_close(&mut self) {
        let closed = self.revocations.denied().is_some();
        if closed != self.closed {
            self.closed = closed;
            self.shards.order_all(&ShardCommand::Close { on: closed });
            match self.revocations.denied() {
                Some(why) => info!("nothing new is allowed: {why}"),
                None => info!("the revoked set is as new as what control knows: the policy decides"),
            }
        }
    }
}
