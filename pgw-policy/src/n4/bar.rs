//! Buffering action rules (TS 29.244 §5.2.4): how many packets are worth keeping for an idle UE, and when its control plane
//! wants to hear of the first.
//!
//! A BAR can only ask for less than there is: fewer packets, a later report. What is kept, how long, and what of it may
//! go in the end, is the shards' own.

use super::rules::{Draft, Refusal, ie};
use super::{Entry, N4};
use crate::command::ShardCommand;
use crate::n4::change::Done;
use crate::session::Bar;
use crate::shard::WAITING_MS;
use types::{Mono, Now, Seid};
use wire::pfcp::{
    Cause, CreateBar, FailedRuleId, NotificationDelay, SessionModificationRequest, SuggestedPackets,
    UpdateBarInReport,
};

/// A step of the notification delay, milliseconds (§8.2.28).
const STEP_MS: u64 = 50;

/// A downlink packet that its control plane is to hear of later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Later {
    at: Mono,
    pdr: Option<u16>,
}

pub(super) fn created(x: &CreateBar) -> Bar {
    let mut bar = Bar { id: x.bar_id.0, ..Bar::default() };
    change(&mut bar, x.delay, x.packets);
    bar
}

fn change(bar: &mut Bar, delay: Option<NotificationDelay>, packets: Option<SuggestedPackets>) {
    bar.delay_ms = delay.map_or(bar.delay_ms, |d| u64::from(d.0) * STEP_MS);
    bar.packets = packets.map(|p| p.0.into()).or(bar.packets);
}

impl Draft {
    pub(super) fn change_bar(&mut self, m: &SessionModificationRequest) -> Result<(), Refusal> {
        let failed = |id| Refusal::rule(FailedRuleId::Bar(id), Cause::RuleFailure, ie::BAR_ID);
        if let Some(x) = &m.remove_bar {
            let id = x.bar_id.0;
            self.rules.bar.take_if(|b| b.id == id).ok_or(failed(id))?;
        }
        if let Some(x) = &m.create_bar {
            // One for a session.
            if self.rules.bar.replace(created(x)).is_some() {
                return Err(failed(x.bar_id.0));
            }
        }
        if let Some(x) = &m.update_bar {
            let id = x.bar_id.0;
            let bar = self.rules.bar.as_mut().filter(|b| b.id == id).ok_or(failed(id))?;
            change(bar, x.delay, x.packets);
        }
        Ok(())
    }
}

impl Entry {
    /// When its control plane may hear of a packet that waits by this FAR; `None`: not before it has changed something.
    fn hears_at(&self, bar: Option<u8>, now: Now) -> Option<Mono> {
        let delay = self.rules.bar.filter(|b| Some(b.id) == bar).map_or(0, |b| b.delay_ms);
        let later = now.mono.plus_ms(delay);
        match self.quiet {
            Quiet::No => Some(later),
            Quiet::Until(until) => Some(later.max(until)),
            Quiet::Forever => None,
        }
    }
}

/// Whether the control plane said that its UE stays away for a while (DL Buffering Duration).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Quiet {
    #[default]
    No,
    Until(Mono),
    Forever,
}

impl N4 {
    /// A packet waits for its UE: it is reported at once, or when the BAR says.
    pub(super) fn report_data(&mut self, seid: Seid, pdr: Option<u16>, now: Now) {
        let Some(e) = self.sessions.get(&seid) else { return };
        let Some((_, far)) = e.met(pdr) else { return };
        match e.hears_at(far.bar, now) {
            Some(at) if at <= now.mono => self.report_data_now(seid, pdr, now),
            // It is gone by then; the next one is told of anew.
            Some(at) if at > now.mono.plus_ms(WAITING_MS) => {}
            // The first counts: the delay is that of the first packet.
            Some(at) => _ = self.later.entry(seid).or_insert(Later { at, pdr }),
            None => {}
        }
    }

    pub(super) fn next_later(&self) -> Option<Mono> {
        self.later.values().map(|l| l.at).min()
    }

    /// Reports what is due of UEs that are still away.
    pub(super) fn report_later(&mut self, now: Now) {
        let due: Vec<(Seid, Later)> =
            self.later.iter().filter(|(_, l)| l.at <= now.mono).map(|(s, l)| (*s, *l)).collect();
        for (seid, l) in due {
            self.later.remove(&seid);
            let met = self.sessions.get(&seid).and_then(|e| e.met(l.pdr));
            if met.is_some_and(|(_, far)| !far.forwards) {
                self.report_data_now(seid, l.pdr, now);
            }
        }
    }

    /// The answer to a report may change the BAR, and say how long the UE stays away.
    pub(super) fn on_bar_in_report(&mut self, seid: Seid, x: &UpdateBarInReport, now: Now) {
        let Some(e) = self.sessions.get_mut(&seid) else { return };
        let Some(bar) = e.rules.bar.as_mut().filter(|b| b.id == x.bar_id.0) else { return };
        change(bar, x.delay, x.packets);
        bar.packets = x.meanwhile.map(|p| p.0).or(bar.packets);
        if let Some(duration) = x.duration {
            e.quiet = duration.ms().map_or(Quiet::Forever, |ms| Quiet::Until(now.mono.plus_ms(ms)));
        }
        let update = ShardCommand::Update { spec: e.spec(seid), end_marker: false };
        let commands = vec![(e.shard, update)];
        self.start(commands, Done::Nothing { rest: Vec::new() });
    }
}
