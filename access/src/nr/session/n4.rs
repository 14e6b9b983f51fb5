//! N4 towards our own gateway (TS 29.244): association, sessions, retransmission, reports.

use super::super::timers::{N4_N1, N4_T1_MS, TimerKey};
use super::super::{Amf, Output};
use super::rules::endpoint;
use super::{State, UpEnd};
use std::collections::{BTreeMap, BTreeSet};
use types::{FgsmCause, GatewaySession, Happening, Now, PduSessionId, Seid, Supi, Teid};
use wire::pfcp::{
    AssociationSetupRequest, Cause, HeartbeatResponse, Message, NodeId, Pdu, RecoveryTimeStamp,
    SessionDeletionRequest, SessionModificationRequest, SessionReportResponse, SessionRetention, UpdateFar,
};

/// Seconds from 1900 to 1970 (RFC 5905).
const NTP_OFFSET_S: i64 = 2_208_988_800;
/// Sequence numbers have 24 bits (§7.2.2.3).
const SEQUENCE_MASK: u32 = 0xff_ffff;

/// The session management function's side of N4.
pub(in crate::nr) struct Smf {
    link: Link,
    recovery: u32,
    next_seid: u64,
    next_seq: u32,
    requests: BTreeMap<u32, Request>,
    /// Sessions that are over for us and may not be over for the gateway.
    buried: BTreeSet<Seid>,
    /// Sessions that were found in the gateway and that nobody has claimed.
    pub(super) adopted: BTreeMap<(Supi, PduSessionId), GatewaySession>,
    /// Whose session has which name of ours.
    owners: BTreeMap<Seid, (Supi, PduSessionId)>,
}

/// State of the association.
enum Link {
    /// No gateway.
    Down,
    /// Association Setup Request is out; this is what the gateway holds.
    ExpectAssociation(Vec<GatewaySession>),
    /// Sessions can be made.
    Up,
}

/// A request that is not answered yet.
struct Request {
    bytes: Vec<u8>,
    left: u8,
    what: Purpose,
}

/// What a request is for. `seid` is our end: a session with the same identity may be another one by the time
/// of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Association,
    Establish { supi: Supi, id: PduSessionId, seid: Seid },
    Restore { supi: Supi, id: PduSessionId, seid: Seid },
    Forward { supi: Supi, id: PduSessionId, seid: Seid },
    Idle { seid: Seid },
    Rates { seid: Seid },
    Delete { seid: Seid },
}

impl Purpose {
    /// The session that it changes, by our end, and whether it is its rates (or its downlink).
    fn changes(&self) -> Option<(Seid, bool)> {
        match self {
            Self::Forward { seid, .. } | Self::Idle { seid } => Some((*seid, false)),
            Self::Rates { seid } => Some((*seid, true)),
            Self::Association | Self::Establish { .. } | Self::Restore { .. } | Self::Delete { .. } => None,
        }
    }
}

impl Smf {
    /// An SMF without a gateway.
    pub(in crate::nr) fn new(first_seid: u64, first_seq: u32, now: Now) -> Self {
        let recovery = (now.utc.0.div_euclid(1_000) + NTP_OFFSET_S) as u32;
        Self {
            link: Link::Down,
            recovery,
            // The upper half is left free, so that it never wraps.
            next_seid: first_seid >> 1,
            next_seq: first_seq & SEQUENCE_MASK,
            requests: BTreeMap::new(),
            buried: BTreeSet::new(),
            adopted: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// True where sessions can be made.
    pub(in crate::nr) fn is_up(&self) -> bool {
        matches!(self.link, Link::Up)
    }

    /// Requests in flight.
    pub(in crate::nr) fn in_flight(&self) -> usize {
        self.requests.len()
    }

    /// A name for a new session.
    pub(super) fn next_seid(&mut self) -> Seid {
        self.next_seid += 1;
        Seid(self.next_seid)
    }

    /// A name of ours is this session's.
    pub(super) fn own(&mut self, seid: Seid, supi: Supi, id: PduSessionId) {
        self.owners.insert(seid, (supi, id));
    }

    /// A name of ours is nobody's.
    pub(super) fn disown(&mut self, seid: Seid) {
        self.owners.remove(&seid);
    }

    /// A session is over for us; if the gateway shows it again it is deleted there.
    pub(super) fn bury(&mut self, seid: Seid) {
        self.buried.insert(seid);
    }

    /// True where we ended it.
    pub(super) fn is_buried(&self, seid: Seid) -> bool {
        self.buried.contains(&seid)
    }

    /// The gateway has shown all that it holds: what it did not show is over there too.
    pub(super) fn keep_buried_that_are_being_deleted(&mut self) {
        let deleting: BTreeSet<Seid> = self
            .requests
            .values()
            .filter_map(|r| match r.what {
                Purpose::Delete { seid } => Some(seid),
                _ => None,
            })
            .collect();
        self.buried.retain(|s| deleting.contains(s));
    }

    /// Sessions of a SIM that were found in the gateway and that nobody has claimed.
    pub(in crate::nr) fn adopted_of(&self, supi: Supi) -> impl Iterator<Item = &GatewaySession> {
        let span = PduSessionId::try_from(1).ok().zip(PduSessionId::try_from(15).ok());
        let of = move |(first, last)| self.adopted.range((supi, first)..=(supi, last));
        span.into_iter().flat_map(of).map(|(_, g)| g)
    }

    /// Whose sessions were found in the gateway and are claimed by nobody.
    pub(in crate::nr) fn adopted_supis(&self) -> impl Iterator<Item = Supi> {
        self.adopted.keys().map(|(supi, _)| *supi)
    }
}

impl Amf {
    // ---- requests

    pub(super) fn n4_request(&mut self, seid: Option<Seid>, message: Message, what: Purpose) {
        let sequence = self.smf.next_seq;
        self.smf.next_seq = (sequence + 1) & SEQUENCE_MASK;
        let bytes = Pdu { seid: seid.map(|s| s.0), sequence, message }.encode();
        self.smf.requests.insert(sequence, Request { bytes: bytes.clone(), left: N4_N1, what });
        self.start(TimerKey::N4(sequence), N4_T1_MS);
        self.out.push_back(Output::N4(bytes));
    }

    /// Makes a session in the gateway. Its downlink drops until the gNB's tunnel is known.
    pub(super) fn n4_establish(&mut self, supi: Supi, id: PduSessionId) {
        let Some(seid) = self.session(supi, id).map(|s| s.seid) else { return };
        if !self.smf.is_up() || self.smf.requests.len() >= self.config.limits.n4_requests {
            return self.fail_session(supi, id, FgsmCause::InsufficientResources);
        }
        if let Some(request) = self.establishment(supi, id) {
            self.n4_request(Some(Seid(0)), request.into(), Purpose::Establish { supi, id, seid });
        }
    }

    /// Changes the downlink. Without a gateway nothing is sent: when it is back it is told all anew.
    pub(super) fn n4_modify(&mut self, up: Seid, far: UpdateFar, what: Purpose) {
        let request = SessionModificationRequest { update_fars: vec![far], ..Default::default() };
        self.n4_change(up, request, what);
    }

    /// Changes a session. What was asked before of the same kind and not answered is forgotten: repeated later it would undo
    /// this one.
    pub(super) fn n4_change(&mut self, up: Seid, request: SessionModificationRequest, what: Purpose) {
        if !self.smf.is_up() {
            return;
        }
        let (timers, changed) = (&mut self.timers, what.changes());
        let older = |r: &Request| changed.is_some() && r.what.changes() == changed;
        for (sequence, _) in self.smf.requests.extract_if(.., |_, r| older(r)) {
            timers.stop(TimerKey::N4(sequence));
        }
        self.n4_request(Some(up), request.into(), what);
    }

    /// Deletes a session in the gateway.
    pub(super) fn n4_delete(&mut self, seid: Seid, up: Seid) {
        self.smf.bury(seid);
        if self.smf.is_up() {
            let request = SessionDeletionRequest::default();
            self.n4_request(Some(up), request.into(), Purpose::Delete { seid });
        }
    }

    // ---- what the gateway says

    /// One PFCP message of the gateway.
    pub(in crate::nr) fn on_n4(&mut self, bytes: &[u8]) {
        let pdu = match Pdu::parse(bytes) {
            Ok(pdu) => pdu,
            Err(_) => return self.refused("malformed-n4"),
        };
        let (sequence, seid) = (pdu.sequence, pdu.seid.map(Seid));
        match pdu.message {
            Message::HeartbeatRequest(_) => {
                let recovery = RecoveryTimeStamp(self.smf.recovery);
                let answer = HeartbeatResponse { recovery, others: Vec::new() };
                self.n4_answer(None, sequence, answer.into());
            }
            Message::SessionReportRequest(m) => {
                let (gone, waits) = (m.error_indication_report.is_some(), m.downlink_data_report.is_some());
                self.on_report(seid, sequence, gone, waits);
            }
            Message::AssociationSetupResponse(m) => {
                if let Some(Purpose::Association) = self.n4_answered(sequence, |p| *p == Purpose::Association)
                {
                    self.on_association(m.cause);
                }
            }
            Message::SessionEstablishmentResponse(m) => {
                let is = |p: &Purpose| matches!(p, Purpose::Establish { .. } | Purpose::Restore { .. });
                let up = m.up_f_seid.map(|f| Seid(f.seid));
                match self.n4_answered(sequence, is) {
                    Some(Purpose::Establish { supi, id, seid: own }) => {
                        let made =
                            if m.cause.is_accepted() { up.zip(endpoint(&m.created_pdrs)) } else { None };
                        self.on_establishment_response(supi, id, own, up, made);
                    }
                    Some(Purpose::Restore { supi, id, seid: own }) => {
                        let up = up.filter(|_| m.cause.is_accepted());
                        self.on_restored(supi, id, own, up);
                    }
                    _ => {}
                }
            }
            Message::SessionModificationResponse(m) => {
                let is = |p: &Purpose| p.changes().is_some();
                match self.n4_answered(sequence, is) {
                    Some(Purpose::Forward { supi, id, seid: own }) => {
                        self.on_forward_response(supi, id, own, m.cause.is_accepted());
                    }
                    Some(Purpose::Rates { .. }) if !m.cause.is_accepted() => self.refused("n4-rates"),
                    _ => {}
                }
            }
            Message::SessionDeletionResponse(m) => {
                let is = |p: &Purpose| matches!(p, Purpose::Delete { .. });
                if let Some(Purpose::Delete { seid }) = self.n4_answered(sequence, is) {
                    // "Not found" is as good as deleted.
                    if m.cause.is_accepted() || m.cause == Cause::SessionContextNotFound {
                        self.smf.buried.remove(&seid);
                    } else {
                        self.refused("n4-deletion");
                    }
                }
            }
            _ => self.refused("n4-out-of-place"),
        }
    }

    /// A report of the gateway (§7.5.8). That the gNB does not know its tunnel any more takes the radio from
    /// the session; that a packet waits brings it back.
    fn on_report(&mut self, seid: Option<Seid>, sequence: u32, tunnel_is_gone: bool, data_waits: bool) {
        let found = seid.and_then(|seid| self.smf.owners.get(&seid)).copied().and_then(|(supi, id)| {
            let up = self.session(supi, id)?.up?;
            Some((supi, id, up.seid))
        });
        let cause = if found.is_some() { Cause::Accepted } else { Cause::SessionContextNotFound };
        let up = found.map_or(Seid(0), |(_, _, up)| up);
        let answer = SessionReportResponse { cause, ..SessionReportResponse::default() };
        self.n4_answer(Some(up), sequence, answer.into());
        let Some((supi, id, _)) = found else { return };
        if tunnel_is_gone && self.session(supi, id).is_some_and(|s| matches!(s.state, State::Active)) {
            self.refused("tunnel-gone");
            self.session_idle(supi, id);
        }
        if data_waits {
            self.on_downlink_data(supi, id);
        }
    }

    fn n4_answer(&mut self, seid: Option<Seid>, sequence: u32, message: Message) {
        let bytes = Pdu { seid: seid.map(|s| s.0), sequence, message }.encode();
        self.out.push_back(Output::N4(bytes));
    }

    /// Takes the request that this answers, if it is of the right kind.
    fn n4_answered(&mut self, sequence: u32, is: impl Fn(&Purpose) -> bool) -> Option<Purpose> {
        if !self.smf.requests.get(&sequence).is_some_and(|r| is(&r.what)) {
            self.refused("n4-unasked-answer");
            return None;
        }
        self.timers.stop(TimerKey::N4(sequence));
        self.smf.requests.remove(&sequence).map(|r| r.what)
    }

    /// True while the session of this identity is still the one that the request was for.
    pub(super) fn is_current(&self, supi: Supi, id: PduSessionId, seid: Seid) -> bool {
        self.session(supi, id).is_some_and(|s| s.seid == seid)
    }

    fn on_establishment_response(
        &mut self,
        supi: Supi,
        id: PduSessionId,
        seid: Seid,
        up: Option<Seid>,
        made: Option<(Seid, (Teid, std::net::IpAddr))>,
    ) {
        let waits = self.is_current(supi, id, seid)
            && self.session(supi, id).is_some_and(|s| matches!(s.state, State::ExpectN4Established));
        match (waits, made, up) {
            (true, Some((up, (teid, n3))), _) => {
                self.on_n4_established(supi, id, UpEnd { seid: up, teid, n3 });
            }
            (true, None, up) => {
                self.refused("n4-establishment");
                self.fail_session(supi, id, FgsmCause::NetworkFailure);
                if let Some(up) = up {
                    self.n4_delete(seid, up);
                }
            }
            // It ended while the gateway was making it.
            (false, _, Some(up)) => self.n4_delete(seid, up),
            (false, _, None) => {
                self.smf.buried.remove(&seid);
            }
        }
    }

    fn on_forward_response(&mut self, supi: Supi, id: PduSessionId, seid: Seid, accepted: bool) {
        if !self.is_current(supi, id, seid) {
            return;
        }
        match (self.session(supi, id).map(|s| &s.state), accepted) {
            (Some(State::ExpectN4Forwarding), true) => self.on_n4_forwarding(supi, id),
            (Some(State::ExpectN4Forwarding | State::Active), false) => {
                self.refused("n4-modification");
                self.lose_session(supi, id);
            }
            _ => {}
        }
        self.session_switched(supi, id, accepted);
    }

    /// T1 of a request ran out.
    pub(in crate::nr) fn on_n4_timeout(&mut self, sequence: u32) {
        let Some(request) = self.smf.requests.get_mut(&sequence) else { return };
        if request.left > 0 || request.what == Purpose::Association {
            request.left = request.left.saturating_sub(1);
            let bytes = request.bytes.clone();
            self.start(TimerKey::N4(sequence), N4_T1_MS);
            return self.out.push_back(Output::N4(bytes));
        }
        if let Some(request) = self.smf.requests.remove(&sequence) {
            self.refused("n4-silent");
            self.n4_failed(request.what);
        }
    }

    /// A request will get no answer.
    fn n4_failed(&mut self, what: Purpose) {
        match what {
            Purpose::Association | Purpose::Idle { .. } | Purpose::Rates { .. } => {}
            // It stays buried: the gateway may hold it.
            Purpose::Delete { seid } => self.smf.bury(seid),
            Purpose::Establish { supi, id, seid } => {
                self.smf.bury(seid);
                if self.is_current(supi, id, seid) {
                    self.fail_session(supi, id, FgsmCause::NetworkFailure);
                }
            }
            Purpose::Restore { supi, id, seid } | Purpose::Forward { supi, id, seid } => {
                if matches!(what, Purpose::Restore { .. }) && self.on_readopted((supi, id), seid, None) {
                    return;
                }
                if self.is_current(supi, id, seid) {
                    self.lose_session(supi, id);
                    self.session_switched(supi, id, false);
                }
            }
        }
    }

    // ---- the link

    /// The gateway is there: the association is set up, then both sides' sessions are compared.
    pub(in crate::nr) fn on_n4_up(&mut self, sessions: Vec<GatewaySession>) {
        // It may have come back before anybody noticed that it was gone.
        self.on_n4_down();
        self.smf.link = Link::ExpectAssociation(sessions);
        let request = AssociationSetupRequest {
            node_id: NodeId::V4(self.config.cp_address),
            recovery: RecoveryTimeStamp(self.smf.recovery),
            // What we do not know any more is adopted, not lost.
            session_retention: Some(SessionRetention(Vec::new())),
            ..AssociationSetupRequest::default()
        };
        self.n4_request(None, request.into(), Purpose::Association);
    }

    /// The gateway is gone.
    pub(in crate::nr) fn on_n4_down(&mut self) {
        let was_up = self.smf.is_up();
        self.smf.link = Link::Down;
        for what in self.n4_forget_requests() {
            // What was to be opened or restored is told anew when the gateway is back; what was to be made is
            // refused.
            if matches!(what, Purpose::Establish { .. } | Purpose::Delete { .. }) {
                self.n4_failed(what);
            }
        }
        if was_up {
            self.event(None, Happening::Gateway { up: false });
        }
    }

    fn n4_forget_requests(&mut self) -> Vec<Purpose> {
        let requests = std::mem::take(&mut self.smf.requests);
        for sequence in requests.keys() {
            self.timers.stop(TimerKey::N4(*sequence));
        }
        requests.into_values().map(|r| r.what).collect()
    }

    fn on_association(&mut self, cause: Cause) {
        let Link::ExpectAssociation(held) = std::mem::replace(&mut self.smf.link, Link::Down) else { return };
        if !cause.is_accepted() {
            self.refused("n4-association");
            let text = format!("the gateway refused the PFCP association with cause {}", cause.0);
            return self.event(None, Happening::Alarm { text });
        }
        self.smf.link = Link::Up;
        self.event(None, Happening::Gateway { up: true });
        self.reconcile(held);
    }
}
