//! Changes under way: commands that the shards have not confirmed, and what follows when they have.

use super::rules::{Refusal, ie};
use super::usage::Meter;
use super::{Asked, Entry, N4, N4Output, Token};
use crate::batch::ShardId;
use crate::command::{ShardCommand, ShardRefusal, ShardReply};
use crate::session::{Counted, Rules, Urr, Usage};
use types::{Now, Seid, Teid};
use wire::pfcp::{self, Cause, CreatedPdr, FSeid, FTeid, Message, PdrId, UeIpAddress, UsageReportTrigger};

/// What follows a change.
pub(super) enum Done {
    /// A session was made.
    Established { asked: Asked, seid: Seid, created: Vec<(u16, Teid)> },
    /// A session was changed.
    Modified { asked: Asked, seid: Seid, created: Vec<(u16, Teid)>, rest: Vec<Teid>, measured: Box<Measured> },
    /// A session is gone, as was asked.
    Deleted { asked: Asked, gone: Box<Entry> },
    /// A session that was refused after all is gone.
    TakenBack { asked: Asked, cp: u64, message: Message, rest: Vec<Teid> },
    /// A session's usage was looked at.
    Looked { seid: Seid },
    /// The answer does not depend on the outcome.
    Answer { asked: Asked, seid: Option<u64>, message: Message },
    /// Nobody asked.
    Nothing { rest: Vec<Teid> },
}

/// What a modification has to report.
pub(super) struct Measured {
    /// The rules before it.
    pub(super) old: Rules,
    /// URRs that it asks about.
    pub(super) asked: Vec<u32>,
}

/// See the module.
pub(super) struct Change {
    left: usize,
    refused: Option<ShardRefusal>,
    born_dropped: bool,
    used: Counted,
    done: Done,
}

impl N4 {
    /// Sends the commands; without any, what follows happens at once.
    pub(super) fn start(&mut self, commands: Vec<(ShardId, ShardCommand)>, done: Done) {
        let token = Token(self.next_token);
        self.next_token += 1;
        let change = Change {
            left: commands.len(),
            refused: None,
            born_dropped: false,
            used: Counted::default(),
            done,
        };
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
            ShardReply::Usage(used) => change.used = used,
            ShardReply::Done | ShardReply::Cut(_) | ShardReply::Status(_) | ShardReply::Names(_) => {}
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
                    None => self.established(asked, seid, &created, now),
                    Some(r) => self.take_back(asked, seid, r, now),
                }
            }
            Done::Modified { asked, seid, created, rest, measured } => {
                rest.into_iter().for_each(|t| self.teids.release(t, now.mono));
                let reports = self.reports_of_modification(seid, &change.used, &measured, now);
                let cp = self.sessions.get(&seid).map_or(0, |e| e.cp.seid);
                let message = pfcp::SessionModificationResponse {
                    cause: if change.refused.is_some() { Cause::SystemFailure } else { Cause::Accepted },
                    created_pdrs: self.created(&created, None),
                    usage_reports: reports.into_iter().map(Into::into).collect(),
                    ..Default::default()
                };
                self.watch(seid);
                self.tell_changed(seid, &measured.old);
                self.reply(asked, Some(cp), message.into());
            }
            Done::Deleted { asked, mut gone } => {
                gone.teids().into_iter().for_each(|t| self.teids.release(t, now.mono));
                let ended = |_: u32, _: &Urr, _: &Meter, _: Usage| Some(UsageReportTrigger::TERMR);
                let reports = gone.reports(&change.used, now, ended);
                let message = pfcp::SessionDeletionResponse {
                    cause: Cause::Accepted,
                    usage_reports: reports.into_iter().map(Into::into).collect(),
                    ..Default::default()
                };
                self.reply(asked, Some(gone.cp.seid), message.into());
            }
            Done::TakenBack { asked, cp, message, rest } => {
                rest.into_iter().for_each(|t| self.teids.release(t, now.mono));
                self.reply(asked, Some(cp), message);
            }
            Done::Looked { seid } => {
                if change.refused.is_none() {
                    self.looked(seid, &change.used, now);
                }
            }
            Done::Answer { asked, seid, message } => self.reply(asked, seid, message),
            Done::Nothing { rest } => rest.into_iter().for_each(|t| self.teids.release(t, now.mono)),
        }
    }

    /// URRs that were asked about, and those that are gone.
    fn reports_of_modification(
        &mut self,
        seid: Seid,
        used: &Counted,
        measured: &Measured,
        now: Now,
    ) -> Vec<pfcp::UsageReport> {
        let Some(e) = self.sessions.get_mut(&seid) else { return Vec::new() };
        let rules = std::mem::replace(&mut e.rules, measured.old.clone());
        let reports = e.reports(used, now, |id, _, _, _| {
            let stays = rules.urrs.contains_key(&id);
            let asked = measured.asked.contains(&id).then_some(UsageReportTrigger::IMMER);
            if stays { asked } else { Some(UsageReportTrigger::TERMR) }
        });
        e.rules = rules;
        e.align_meters(used, now);
        reports
    }

    fn created(&self, created: &[(u16, Teid)], addresses: Option<Vec<UeIpAddress>>) -> Vec<CreatedPdr> {
        let one = |&(pdr, teid): &(u16, Teid)| CreatedPdr {
            pdr_id: PdrId(pdr),
            local_f_teid: Some(FTeid::at(teid.value(), self.config.n3)),
            ue_ip_addresses: addresses.clone().unwrap_or_default(),
            others: Vec::new(),
        };
        created.iter().map(one).collect()
    }

    fn established(&mut self, asked: Asked, seid: Seid, created: &[(u16, Teid)], now: Now) {
        let Some(e) = self.sessions.get_mut(&seid) else {
            // It was replaced or dropped before it was confirmed.
            return self.refuse_establishment(asked, 0, Refusal::of(Cause::Rejected));
        };
        e.ready = true;
        e.align_meters(&Counted::default(), now);
        let (cp, told, addresses) = (e.cp.seid, e.foreign(seid), e.told_addresses());
        let message = pfcp::SessionEstablishmentResponse {
            node_id: self.config.node.into(),
            cause: Cause::Accepted,
            up_f_seid: Some(FSeid::at(seid.0, self.config.node)),
            created_pdrs: self.created(created, addresses),
            ..Default::default()
        };
        self.tell_foreign(told, true);
        self.watch(seid);
        self.reply(asked, Some(cp), message.into());
    }

    fn take_back(&mut self, asked: Asked, seid: Seid, r: Refusal, _now: Now) {
        let Some(gone) = self.forget(seid) else {
            return self.refuse_establishment(asked, 0, r);
        };
        let commands = self.removal(seid, &gone);
        let message = self.establishment_refused(gone.cp.seid, r);
        let rest = gone.teids().into_iter().collect();
        self.start(commands, Done::TakenBack { asked, cp: gone.cp.seid, message, rest });
    }
}
