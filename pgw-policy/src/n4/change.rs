//! Changes under way: commands that the shards have not confirmed, and what follows when they have.

use super::rules::{Refusal, ie};
use super::{Asked, N4, N4Output, Token};
use crate::batch::ShardId;
use crate::command::{ShardCommand, ShardRefusal, ShardReply};
use types::{Now, Seid, Teid};
use wire::pfcp::{self, Cause, CreatedPdr, FSeid, FTeid, Message, PdrId};

/// What follows a change.
pub(super) enum Done {
    /// A session was made.
    Established { asked: Asked, seid: Seid, created: Vec<(u16, Teid)> },
    /// A session was changed.
    Modified { asked: Asked, seid: Seid, created: Vec<(u16, Teid)>, rest: Vec<Teid> },
    /// A session is gone.
    Deleted { asked: Asked, cp: u64, message: Message, rest: Vec<Teid> },
    /// The answer does not depend on the outcome.
    Answer { asked: Asked, seid: Option<u64>, message: Message },
    /// Nobody asked.
    Nothing { rest: Vec<Teid> },
}

/// See the module.
pub(super) struct Change {
    left: usize,
    refused: Option<ShardRefusal>,
    born_dropped: bool,
    done: Done,
}

impl N4 {
    /// Sends the commands; without any, what follows happens at once.
    pub(super) fn start(&mut self, commands: Vec<(ShardId, ShardCommand)>, done: Done) {
        let token = Token(self.next_token);
        self.next_token += 1;
        let change = Change { left: commands.len(), refused: None, born_dropped: false, done };
        if commands.is_empty() {
            return self.finish(change, Now::default());
        }
        self.changes.insert(token, change);
        for (shard, command) in commands {
            self.out.push_back(N4Output::Command { token, shard, command });
        }
    }

    /// Takes a shard's answer.
    pub fn confirmed(&mut self, token: Token, reply: ShardReply, now: Now) {
        let Some(change) = self.changes.get_mut(&token) else { return };
        match reply {
            ShardReply::Refused(r) => change.refused = Some(r),
            ShardReply::Inserted { born_dropped } => change.born_dropped |= born_dropped,
            ShardReply::Done | ShardReply::Cut(_) | ShardReply::Status(_) => {}
        }
        change.left = change.left.saturating_sub(1);
        if change.left == 0
            && let Some(change) = self.changes.remove(&token)
        {
            self.finish(change, now);
        }
    }

    fn finish(&mut self, change: Change, now: Now) {
        match change.done {
            Done::Established { asked, seid, created } => {
                let refusal = match (change.refused, change.born_dropped) {
                    (Some(_), _) => Some(Refusal::of(Cause::NoResources)),
                    // The SIM was banned in between: what was made is taken back.
                    (None, true) => Some(Refusal::element(Cause::Rejected, ie::USER_ID)),
                    (None, false) => None,
                };
                match refusal {
                    None => self.established(asked, seid, &created),
                    Some(r) => self.take_back(asked, seid, r, now),
                }
            }
            Done::Modified { asked, seid, created, rest } => {
                rest.into_iter().for_each(|t| self.teids.release(t, now.mono));
                let cp = self.sessions.get(&seid).map_or(0, |e| e.cp.seid);
                let message = pfcp::SessionModificationResponse {
                    cause: if change.refused.is_some() { Cause::SystemFailure } else { Cause::Accepted },
                    created_pdrs: self.created(&created),
                    ..Default::default()
                };
                self.reply(asked, Some(cp), message.into());
            }
            Done::Deleted { asked, cp, message, rest } => {
                rest.into_iter().for_each(|t| self.teids.release(t, now.mono));
                self.reply(asked, Some(cp), message);
            }
            Done::Answer { asked, seid, message } => self.reply(asked, seid, message),
            Done::Nothing { rest } => rest.into_iter().for_each(|t| self.teids.release(t, now.mono)),
        }
    }

    fn created(&self, created: &[(u16, Teid)]) -> Vec<CreatedPdr> {
        let one = |&(pdr, teid): &(u16, Teid)| CreatedPdr {
            pdr_id: PdrId(pdr),
            local_f_teid: Some(FTeid::at(teid.value(), self.config.n3)),
            others: Vec::new(),
        };
        created.iter().map(one).collect()
    }

    fn established(&mut self, asked: Asked, seid: Seid, created: &[(u16, Teid)]) {
        let Some(e) = self.sessions.get_mut(&seid) else {
            // It was replaced or dropped before it was confirmed.
            return self.refuse_establishment(asked, 0, Refusal::of(Cause::Rejected));
        };
        e.ready = true;
        let cp = e.cp.seid;
        let message = pfcp::SessionEstablishmentResponse {
            node_id: self.config.node.into(),
            cause: Cause::Accepted,
            up_f_seid: Some(FSeid::at(seid.0, self.config.node)),
            created_pdrs: self.created(created),
            ..Default::default()
        };
        self.reply(asked, Some(cp), message.into());
    }

    fn take_back(&mut self, asked: Asked, seid: Seid, r: Refusal, _now: Now) {
        let Some(gone) = self.forget(seid) else {
            return self.refuse_establishment(asked, 0, r);
        };
        let commands = self.removal(seid, &gone);
        let message = self.establishment_refused(gone.cp.seid, r);
        let rest = gone.teids().into_iter().collect();
        self.start(commands, Done::Deleted { asked, cp: gone.cp.seid, message, rest });
    }
}
