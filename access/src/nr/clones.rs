//! Clones: two holders of one subscriber's secret, found by what only two can do (DESIGN: SIM and device).
//!
//! **By the old context.** A UE that has taken a new security context into use has deleted the one before. A message
//! under the old one, with a count never used, may still be honest: it was long on its way, or the card was put back
//! into a phone that had kept it. It is proof once the holder of the new context, who must be another one, answers a
//! question that was asked after it: the first is excluded by a time of grace, the second by the answer.
//!
//! **By a probe.** A card that has accepted a challenge refuses the same one with synch failure, and says under MAC-S
//! that it has accepted at least that SQN. Who accepts it, or says less, is another card. A probe costs one round of
//! messages and is sent on suspicion alone.
//!
//! Suspicion (registrations by turns, faster than anybody moves; a sequence that went back; an old tunnel that goes on
//! being used) is told, and proves nothing. What is kept lives in memory, for a bounded time and number; a restart forgets it.

use super::amf::Asked;
use super::security::SecurityContext;
use super::ue::Ue;
use super::{Amf, Output};
use sim_auth::FgVector;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use types::{
    Auts, CloneProof, CloneSuspicion, DevicePattern, FgTmsi, Happening, Mono, Pei, Rand, Sighting, Sqn, Supi,
    Teid,
};
use wire::nas::fgs::{FgmmMessage, IdentityType, MobileIdentity};
use wire::ngap::AmfUeNgapId;

/// A message under an old context may have been so long on its way.
const GRACE_MS: u64 = 60_000;
/// How long an old context is kept, and how many.
const KEPT_MS: u64 = 6 * 3_600_000;
const KEPT: usize = 20_000;
/// How long the holder of the new context may take to answer.
const ANSWER_MS: u64 = 10_000;
/// Four authenticated registrations by turns in two places within this time: nobody moves so fast.
const PLACES_MS: u64 = 30_000;
/// And in two devices: a card is not changed three times so fast.
const DEVICES_MS: u64 = 45_000;
/// How long a suspect is probed, and how often one is told.
const SUSPECT_MS: u64 = 3_600_000;
/// Registrations that are remembered of a SIM.
const SEEN: usize = 4;

/// What is remembered of the SIMs that have authenticated here.
#[derive(Default)]
pub(super) struct Clones {
    watches: BTreeMap<Supi, Box<Watch>>,
    past: BTreeMap<Supi, Past>,
    by_tmsi: BTreeMap<FgTmsi, Supi>,
    /// Old contexts in the order in which they were replaced.
    order: VecDeque<(Mono, Supi)>,
}

/// What is remembered of a SIM.
#[derive(Default)]
struct Watch {
    /// The last challenge that it answered rightly.
    accepted: Option<FgVector>,
    seen: VecDeque<(Mono, Sighting)>,
    suspect_until: Option<Mono>,
    check: Option<Check>,
}

/// A context that was replaced.
struct Past {
    security: SecurityContext,
    tmsis: Vec<FgTmsi>,
    /// Tunnels of then: the gateway's endpoint, and the radio that it was for.
    tunnels: Vec<(Teid, IpAddr)>,
    at: Mono,
    before: Sighting,
}

/// An old context was used, and the holder of the new one is asked.
struct Check {
    until: Mono,
    proof: CloneProof,
    seen: Sighting,
    before: Sighting,
}

/// What `hss` reads out of an AUTS beside the challenge that the SIM had accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AutsJudgement {
    /// SQN of the challenge that was accepted.
    pub accepted: Sqn,
    /// The highest one that the card says it accepted.
    pub sqn_ms: Sqn,
    /// True where the card says less than what was accepted.
    pub behind: bool,
}

impl Clones {
    /// An answered challenge.
    pub(super) fn accepted(&mut self, supi: Supi, vector: FgVector, most: usize) {
        if self.watches.len() < most || self.watches.contains_key(&supi) {
            self.watches.entry(supi).or_default().accepted = Some(vector);
        }
    }

    /// The challenge to probe this SIM with, where it is suspect.
    pub(super) fn probe(&self, supi: Supi, now: Mono) -> Option<FgVector> {
        let w = self.watches.get(&supi)?;
        w.suspect_until.filter(|until| *until > now)?;
        w.accepted.clone()
    }

    /// The challenge that this SIM accepted last.
    pub(super) fn last_accepted(&self, supi: Supi) -> Option<&FgVector> {
        self.watches.get(&supi)?.accepted.as_ref()
    }

    /// It was a challenge of other keys.
    pub(super) fn forget_accepted(&mut self, supi: Supi) {
        if let Some(w) = self.watches.get_mut(&supi) {
            w.accepted = None;
        }
    }

    /// True where a context under this temporary identity is kept.
    pub(super) fn has(&self, tmsi: FgTmsi) -> bool {
        self.by_tmsi.contains_key(&tmsi)
    }

    /// Old contexts, SIMs watched: for tests of bounds.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.past.len(), self.watches.len())
    }

    fn replaced(&mut self, supi: Supi, past: Past) {
        self.forget_past(supi);
        while self.order.len() >= KEPT
            || self.order.front().is_some_and(|(at, _)| past.at.ms_since(*at) > KEPT_MS)
        {
            let Some((at, old)) = self.order.pop_front() else { break };
            if self.past.get(&old).is_some_and(|p| p.at == at) {
                self.forget_past(old);
            }
        }
        self.order.push_back((past.at, supi));
        self.by_tmsi.extend(past.tmsis.iter().map(|t| (*t, supi)));
        self.past.insert(supi, past);
    }

    fn forget_past(&mut self, supi: Supi) {
        for tmsi in self.past.remove(&supi).into_iter().flat_map(|p| p.tmsis) {
            if self.by_tmsi.get(&tmsi) == Some(&supi) {
                self.by_tmsi.remove(&tmsi);
            }
        }
    }
}

impl Amf {
    /// Where somebody on this connection is, in which device.
    fn sighting(&self, id: AmfUeNgapId, pei: Option<Pei>) -> Option<Sighting> {
        let c = self.registry.conn(id)?;
        let (gnb, device) = (self.gnb_name(c.assoc), pei.map(DevicePattern::from));
        Some(Sighting { at: self.now.utc, gnb, tai: c.tai, cell: c.cell, device })
    }

    /// The tunnels of a UE's sessions, as long as their radio is there.
    pub(super) fn tunnels_of(&self, supi: Supi) -> Vec<(Teid, IpAddr)> {
        let sessions = self.registry.ue(supi).into_iter().flat_map(|ue| ue.sessions.values());
        let ends = sessions.filter_map(|s| Some((s.up?.teid, s.radio?)));
        ends.flat_map(|(teid, r)| [Some(r.address), r.also.map(IpAddr::from)].map(|a| a.map(|a| (teid, a))))
            .flatten()
            .collect()
    }

    /// A UE of ours has taken a new security context into use at `id`; `before` is what it was until then, with the
    /// tunnels that it had.
    pub(super) fn note_new_context(
        &mut self,
        supi: Supi,
        id: AmfUeNgapId,
        pei: Option<Pei>,
        before: Option<(Ue, Vec<(Teid, IpAddr)>)>,
    ) {
        let Some(here) = self.sighting(id, pei) else { return };
        let now = self.now.mono;
        if let Some((ue, tunnels)) = before {
            let last = self.clones.watches.get(&supi).and_then(|w| w.seen.back());
            let gnb = last.map(|(_, s)| s.gnb.clone()).unwrap_or_default();
            let at = last.map_or(self.now.utc, |(_, s)| s.at);
            let device = ue.pei.map(DevicePattern::from);
            let before = Sighting { at, gnb, tai: ue.tai, cell: ue.cell, device };
            let tmsis = std::iter::once(ue.guti).chain(ue.old_guti).map(|g| g.tmsi).collect();
            self.clones.replaced(supi, Past { security: ue.security, tmsis, tunnels, at: now, before });
        }
        let Some(w) = self.clones.watches.get_mut(&supi) else { return };
        w.check = None;
        if w.seen.len() == SEEN {
            w.seen.pop_front();
        }
        // Most SIMs are seen once: no room is taken ahead.
        w.seen.reserve_exact(1);
        w.seen.push_back((now, here.clone()));
        let why = by_turns(&w.seen);
        let last = w.seen.iter().rev().nth(1).map(|(_, s)| s.clone());
        if let (Some(why), Some(before)) = (why, last) {
            self.suspect(supi, why, here, before);
        }
    }

    /// Suspicion: told once in a while, and probed from now on.
    fn suspect(&mut self, supi: Supi, why: CloneSuspicion, seen: Sighting, before: Sighting) {
        let now = self.now.mono;
        let Some(w) = self.clones.watches.get_mut(&supi) else { return };
        let known = w.suspect_until.is_some_and(|until| until > now);
        w.suspect_until = Some(now.plus_ms(SUSPECT_MS));
        if !known {
            self.event(Some(supi.imsi()), Happening::CloneSuspected { why, seen, before });
        }
    }

    /// An initial message that proved nothing under a current context: was it made under one that was replaced?
    pub(super) fn note_old_context(&mut self, id: AmfUeNgapId, identity: &MobileIdentity, nas: &[u8]) {
        let Some(tmsi) = self.our_tmsi(identity) else { return };
        let Some(supi) = self.clones.by_tmsi.get(&tmsi).copied() else { return };
        let now = self.now.mono;
        let Some(past) = self.clones.past.get_mut(&supi) else { return };
        let last = past.security.last_ul_count();
        let Ok(verified) = past.security.unprotect(nas) else { return };
        let age = now.ms_since(past.at);
        let (ksi, before) = (past.security.ksi(), past.before.clone());
        if age > KEPT_MS {
            return self.clones.forget_past(supi);
        }
        if age < GRACE_MS {
            return self.refused("late-old-context");
        }
        self.refused("old-context");
        let Some(seen) = self.sighting(id, None) else { return };
        // Who uses the new one must answer from another connection, or it is one phone with its card put back.
        let there = self.registry.ue(supi).filter(|ue| ue.is_registered()).and_then(|ue| ue.conn);
        let Some(there) = there.filter(|c| *c != id) else { return };
        let before = self.sighting(there, self.registry.ue(supi).and_then(|ue| ue.pei)).unwrap_or(before);
        let proof = CloneProof::OldContext { ksi, count: verified.count, last };
        let Some(w) = self.clones.watches.get_mut(&supi) else { return };
        w.check = Some(Check { until: now.plus_ms(ANSWER_MS), proof, seen, before });
        self.send_to_ue(supi, &FgmmMessage::IdentityRequest(IdentityType::Imeisv));
    }

    /// The gateway saw a packet from a radio in a tunnel of that radio that has ended. Suspicion, where the SIM came up
    /// anew at another radio meanwhile: behind the old one is somebody who still has its bearer. No proof: that the
    /// bearer is protected, the radio alone knows, and a tunnel's packet proves nothing of itself (ADR 21).
    pub(super) fn on_ended_tunnel_used(&mut self, supi: Supi, teid: Teid, radio: IpAddr) {
        let now = self.now.mono;
        let Some(past) = self.clones.past.get(&supi) else { return self.refused("ended-tunnel") };
        let late = (GRACE_MS..=KEPT_MS).contains(&now.ms_since(past.at));
        if !late || !past.tunnels.contains(&(teid, radio)) {
            return self.refused("ended-tunnel");
        }
        let seen = Sighting { at: self.now.utc, ..past.before.clone() };
        let last = self.clones.watches.get(&supi).and_then(|w| w.seen.back()).map(|(_, s)| s.clone());
        let there = self.registry.ue(supi).filter(|ue| ue.is_registered());
        let here = there.and_then(|ue| self.sighting(ue.conn?, ue.pei)).or(last.filter(|_| there.is_some()));
        match here.filter(|h| h.gnb != seen.gnb) {
            Some(before) => self.suspect(supi, CloneSuspicion::OldTunnel, seen, before),
            // It is gone, or has come back to where it was.
            None => self.refused("ended-tunnel"),
        }
    }

    /// A UE answered, under its current context, what it was asked.
    pub(super) fn on_identity_of_ue(&mut self, supi: Supi) {
        let now = self.now.mono;
        let check = self.clones.watches.get_mut(&supi).and_then(|w| w.check.take());
        match check.filter(|c| c.until >= now) {
            Some(Check { proof, seen, before, .. }) => {
                self.event(Some(supi.imsi()), Happening::CloneFound { proof, seen, before });
            }
            None => self.refused("nas-out-of-place"),
        }
    }

    /// A challenge that the SIM had accepted was accepted once more, on this connection.
    pub(super) fn on_probe_accepted(&mut self, id: AmfUeNgapId, supi: Supi) {
        let Some(seen) = self.sighting(id, None) else { return };
        self.found(supi, CloneProof::ProbeAccepted, seen);
    }

    fn found(&mut self, supi: Supi, proof: CloneProof, seen: Sighting) {
        let before = self.clones.watches.get(&supi).and_then(|w| w.seen.back()).map(|(_, s)| s.clone());
        let before = before.unwrap_or_else(|| seen.clone());
        self.event(Some(supi.imsi()), Happening::CloneFound { proof, seen, before });
    }

    /// Asks `hss` what this AUTS says beside what the SIM had accepted.
    pub(super) fn judge_auts(&mut self, id: AmfUeNgapId, supi: Supi, rand: Rand, auts: Auts, probe: bool) {
        let Some(accepted) = self.clones.last_accepted(supi).map(|v| (v.rand, v.autn)) else { return };
        let Some(seen) = self.sighting(id, None) else { return };
        let txn = self.ask(Asked::Judged { supi, probe, seen: Box::new(seen) });
        self.out.push_back(Output::JudgeAuts { txn, supi, accepted, rand, auts });
    }

    /// `hss` has said. An AUTS without a right MAC-S is nobody's word.
    pub(super) fn on_auts_judged(
        &mut self,
        supi: Supi,
        probe: bool,
        seen: Sighting,
        result: Option<AutsJudgement>,
    ) {
        let Some(AutsJudgement { accepted, sqn_ms, behind: true }) = result else { return };
        if probe {
            return self.found(supi, CloneProof::ProbeBehind { sqn: accepted, sqn_ms }, seen);
        }
        let before = self.clones.watches.get(&supi).and_then(|w| w.seen.back()).map(|(_, s)| s.clone());
        let before = before.unwrap_or_else(|| seen.clone());
        self.suspect(supi, CloneSuspicion::SequenceWentBack, seen, before);
    }

    /// The temporary identity, where it is one that we gave.
    fn our_tmsi(&self, identity: &MobileIdentity) -> Option<FgTmsi> {
        let amf = self.config.amf;
        match identity {
            MobileIdentity::Guti(g) if g.plmn == self.config.plmn && g.amf == amf => Some(g.tmsi),
            MobileIdentity::STmsi(t) if t.set == amf.set && t.pointer == amf.pointer => Some(t.tmsi),
            _ => None,
        }
    }
}

/// Whether the last four registrations were by turns in two places or devices, faster than anybody moves.
fn by_turns(seen: &VecDeque<(Mono, Sighting)>) -> Option<CloneSuspicion> {
    let all: Vec<&(Mono, Sighting)> = seen.iter().collect();
    let [(from, a), (_, b), (_, c), (to, d)] = all.as_slice() else { return None };
    let took = to.ms_since(*from);
    let place = |s: &Sighting| (s.gnb.clone(), s.cell);
    let places = place(a) == place(c) && place(b) == place(d) && place(a) != place(b);
    if took <= PLACES_MS && places {
        return Some(CloneSuspicion::AlternatingPlaces);
    }
    let devices = a.device == c.device && b.device == d.device && a.device != b.device;
    (took <= DEVICES_MS && devices && a.device.is_some() && b.device.is_some())
        .then_some(CloneSuspicion::AlternatingDevices)
}
