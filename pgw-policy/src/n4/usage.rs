//! Usage reports (TS 29.244 §5.2.2): what the shards counted, by URR.
//!
//! The shards count inner octets that passed, for each URR and direction. A session whose URRs ask for reports by
//! themselves, or have quotas, is looked at about once a second, at most [`A_ROUND`] sessions in each round: a threshold
//! is reported with what was really used, which may be more by what passed in between, and a quota ends as much later.

use super::change::Done;
use super::requests::About;
use super::{Entry, N4, NTP_EPOCH};
use crate::command::ShardCommand;
use crate::session::{Counted, Urr, Usage};
use types::{Mono, Now, Seid};
use wire::pfcp::{self, ReportingTriggers, UsageReportInReport, UsageReportTrigger};

/// Milliseconds between two rounds.
const ROUND_MS: u64 = 1_000;
/// Sessions looked at in a round.
const A_ROUND: usize = 2_000;

/// Where one URR stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter {
    /// What was used before its last report.
    base: Usage,
    since: Now,
    /// The same for its quota.
    quota_base: Usage,
    quota_since: Mono,
    quota: (crate::session::Volume, Option<u32>),
    sequence: u32,
}

fn since(now: Usage, base: Usage) -> Usage {
    Usage {
        uplink: now.uplink.saturating_sub(base.uplink),
        downlink: now.downlink.saturating_sub(base.downlink),
    }
}

fn ntp(now: Now) -> u32 {
    (now.utc.0.div_euclid(1000).wrapping_add(NTP_EPOCH)) as u32
}

impl Meter {
    pub(super) fn new(urr: &Urr, base: Usage, now: Now) -> Self {
        let quota = (urr.volume_quota, urr.time_quota);
        Self { base, since: now, quota_base: base, quota_since: now.mono, quota, sequence: 0 }
    }

    fn seconds(&self, now: Now) -> u32 {
        (now.mono.ms_since(self.since.mono) / 1000) as u32
    }

    /// Why it is to be reported now; a quota before everything else.
    fn due(&self, urr: &Urr, used: Usage, now: Now) -> Option<UsageReportTrigger> {
        let has = |bit| urr.triggers & bit != 0;
        let (volume, seconds) = (since(used, self.base), self.seconds(now));
        let quota_seconds = (now.mono.ms_since(self.quota_since) / 1000) as u32;
        if !urr.exhausted && urr.volume_quota.is_reached(since(used, self.quota_base)) {
            Some(UsageReportTrigger::VOLQU)
        } else if !urr.exhausted && urr.time_quota.is_some_and(|q| quota_seconds >= q) {
            Some(UsageReportTrigger::TIMQU)
        } else if has(ReportingTriggers::VOLTH) && urr.volume_threshold.is_reached(volume) {
            Some(UsageReportTrigger::VOLTH)
        } else if has(ReportingTriggers::TIMTH) && urr.time_threshold.is_some_and(|t| seconds >= t.max(1)) {
            Some(UsageReportTrigger::TIMTH)
        } else if has(ReportingTriggers::PERIO) && urr.period.is_some_and(|p| seconds >= p.max(1)) {
            Some(UsageReportTrigger::PERIO)
        } else {
            None
        }
    }

    fn report(
        &mut self,
        (id, urr): (u32, &Urr),
        used: Usage,
        trigger: UsageReportTrigger,
        now: Now,
    ) -> pfcp::UsageReport {
        let volume = since(used, self.base);
        let report = pfcp::UsageReport {
            urr_id: pfcp::UrrId(id),
            ur_seqn: pfcp::UrSeqn(self.sequence),
            trigger,
            start: Some(pfcp::StartTime(ntp(self.since))),
            end: Some(pfcp::EndTime(ntp(now))),
            volume: urr.volume.then_some(pfcp::VolumeMeasurement {
                total: Some(volume.uplink + volume.downlink),
                uplink: Some(volume.uplink),
                downlink: Some(volume.downlink),
            }),
            duration: urr.time.then_some(pfcp::DurationMeasurement(self.seconds(now))),
            others: Vec::new(),
        };
        (self.base, self.since, self.sequence) = (used, now, self.sequence.wrapping_add(1));
        report
    }
}

impl Entry {
    /// True if somebody has to look at its usage from time to time.
    fn is_watched(&self) -> bool {
        self.ready && self.rules.urrs.values().any(|u| !u.is_passive())
    }

    /// URRs that are new begin here; those that are gone stop; a new quota counts from here.
    pub(super) fn align_meters(&mut self, used: &Counted, now: Now) {
        let rules = &self.rules;
        self.meters.retain(|id, _| rules.urrs.contains_key(id));
        for (id, urr) in &rules.urrs {
            let used = used.by(*id);
            let meter = self.meters.entry(*id).or_insert_with(|| Meter::new(urr, used, now));
            let quota = (urr.volume_quota, urr.time_quota);
            if meter.quota != quota {
                (meter.quota, meter.quota_base, meter.quota_since) = (quota, used, now.mono);
            }
        }
    }

    /// Reports of the URRs that `why` names.
    pub(super) fn reports(
        &mut self,
        used: &Counted,
        now: Now,
        why: impl Fn(u32, &Urr, &Meter, Usage) -> Option<UsageReportTrigger>,
    ) -> Vec<pfcp::UsageReport> {
        let mut all = Vec::new();
        for (id, urr) in &self.rules.urrs {
            let used = used.by(*id);
            let meter = self.meters.entry(*id).or_insert_with(|| Meter::new(urr, Usage::default(), now));
            if let Some(trigger) = why(*id, urr, meter, used) {
                all.push(meter.report((*id, urr), used, trigger, now));
            }
        }
        all
    }
}

impl N4 {
    pub(super) fn next_look(&self) -> Option<Mono> {
        self.watched.first().map(|_| self.next_look)
    }

    /// Notes whether a session is to be looked at.
    pub(super) fn watch(&mut self, seid: Seid) {
        if self.sessions.get(&seid).is_some_and(Entry::is_watched) {
            self.watched.insert(seid);
        } else {
            self.watched.remove(&seid);
        }
    }

    pub(super) fn look_at_usage(&mut self, now: Now) {
        if now.mono < self.next_look {
            return;
        }
        self.next_look = now.mono.plus_ms(ROUND_MS);
        let after = self.looked_at;
        let mut some: Vec<Seid> = self
            .watched
            .range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
            .copied()
            .take(A_ROUND)
            .collect();
        if some.len() < A_ROUND {
            let rest = A_ROUND - some.len();
            some.extend(self.watched.range(..=after).copied().take(rest));
        }
        self.looked_at = some.last().copied().unwrap_or(after);
        for seid in some {
            let Some(shard) = self.sessions.get(&seid).map(|e| e.shard) else { continue };
            self.start(vec![(shard, ShardCommand::Usage { seid })], Done::Looked { seid });
        }
    }

    /// What the shard counted so far: reported where it is time, and shut where it is used up.
    pub(super) fn looked(&mut self, seid: Seid, used: &Counted, now: Now) {
        let Some(e) = self.sessions.get_mut(&seid) else { return };
        let reports = e.reports(used, now, |_, urr, meter, used| meter.due(urr, used, now));
        if reports.is_empty() {
            return;
        }
        let over = [UsageReportTrigger::VOLQU, UsageReportTrigger::TIMQU];
        let mut shut = false;
        for r in reports.iter().filter(|r| over.contains(&r.trigger)) {
            if let Some(urr) = e.rules.urrs.get_mut(&r.urr_id.0) {
                (urr.exhausted, shut) = (true, true);
            }
        }
        let (peer, cp, shard) = (e.peer, e.cp.seid, e.shard);
        if shut {
            let command = ShardCommand::Update { spec: e.spec(seid), end_marker: false };
            self.start(vec![(shard, command)], Done::Nothing { rest: Vec::new() });
        }
        let message = pfcp::SessionReportRequest {
            report_type: pfcp::ReportType(0x02),
            usage_reports: reports.into_iter().map(UsageReportInReport::from).collect(),
            ..Default::default()
        };
        self.request(peer, Some(cp), message.into(), About::Report(seid), now);
    }
}
