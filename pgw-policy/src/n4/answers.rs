//! What was answered, so that a request that comes again gets the same answer and changes nothing (§6.4), and
//! how a refusal is said.

use super::rules::Refusal;
use super::{Asked, N4, N4Output, Peer};
use std::collections::{BTreeMap, VecDeque};
use types::{Mono, Seid};
use wire::pfcp::{self, Cause, FailedRuleId, Fault, Message, OffendingIe, Pdu, PfcpError};

/// Longer than any peer repeats a request (T1 × N1 is a few seconds).
const KEPT_MS: u64 = 30_000;

/// Answers that are kept for each peer, and octets of them and their requests; the oldest goes first. No peer's requests
/// take the place of another's.
pub(super) const KEPT: usize = 8_192;
pub(super) const KEPT_OCTETS: usize = 8 << 20;

struct Kept {
    since: Mono,
    request: Vec<u8>,
    answer: Option<Vec<u8>>,
}

impl Kept {
    fn octets(&self) -> usize {
        self.request.len() + self.answer.as_ref().map_or(0, Vec::len)
    }
}

/// Requests of the last seconds, of peers that are listed.
#[derive(Default)]
pub(super) struct Answers(BTreeMap<Peer, OfPeer>);

#[derive(Default)]
struct OfPeer {
    kept: BTreeMap<Asked, Kept>,
    /// In the order of their coming; what was forgotten meanwhile, or came anew, is still in it.
    order: VecDeque<(Mono, Asked)>,
    octets: usize,
}

/// Whether a request was seen before.
pub(super) enum Known {
    New,
    UnderWay,
    Answered(Vec<u8>),
}

impl Answers {
    /// Takes note of a request. The octets count, too: a peer that started anew begins its numbers anew.
    pub(super) fn known(&mut self, asked: Asked, request: &[u8], now: Mono) -> Known {
        let of = self.0.entry(asked.peer).or_default();
        of.make_room(request.len(), now);
        match of.kept.get(&asked) {
            Some(k) if k.request == request => match &k.answer {
                Some(bytes) => Known::Answered(bytes.clone()),
                None => Known::UnderWay,
            },
            _ => {
                of.forget(asked);
                of.octets += request.len();
                of.order.push_back((now, asked));
                of.kept.insert(asked, Kept { since: now, request: request.to_vec(), answer: None });
                Known::New
            }
        }
    }

    pub(super) fn forget(&mut self, asked: Asked) {
        if let Some(of) = self.0.get_mut(&asked.peer) {
            of.forget(asked);
        }
    }

    fn answered(&mut self, asked: Asked, bytes: &[u8]) {
        let Some(of) = self.0.get_mut(&asked.peer) else { return };
        if let Some(k) = of.kept.get_mut(&asked) {
            of.octets -= k.octets();
            k.answer = Some(bytes.to_vec());
            of.octets += k.octets();
        }
    }

    /// How many are kept for a peer, and how many octets they have.
    #[cfg(test)]
    pub(super) fn weight(&self, peer: Peer) -> (usize, usize) {
        self.0.get(&peer).map_or((0, 0), |of| (of.kept.len(), of.octets))
    }
}

impl OfPeer {
    fn make_room(&mut self, octets: usize, now: Mono) {
        while let Some(&(since, oldest)) = self.order.front() {
            let room = self.order.len() < KEPT && self.octets + octets <= KEPT_OCTETS;
            if room && now.ms_since(since) < KEPT_MS {
                break;
            }
            self.order.pop_front();
            if self.kept.get(&oldest).is_some_and(|k| k.since == since) {
                self.forget(oldest);
            }
        }
    }

    fn forget(&mut self, asked: Asked) {
        if let Some(k) = self.kept.remove(&asked) {
            self.octets -= k.octets();
        }
    }
}

impl N4 {
    /// Sends the answer to a request.
    pub(super) fn reply(&mut self, asked: Asked, seid: Option<u64>, message: Message) {
        let bytes = Pdu { seid, sequence: asked.sequence, message }.encode();
        self.answers.answered(asked, &bytes);
        self.out.push_back(N4Output::Send { peer: asked.peer, port: asked.port, bytes });
    }

    /// A datagram that could not be read: answered where the protocol has an answer.
    pub(super) fn refuse_unread(&mut self, peer: Peer, port: u16, bytes: &[u8], e: PfcpError) {
        if e.fault == Fault::Version {
            let bytes = pfcp::version_not_supported(bytes);
            return self.out.push_back(N4Output::Send { peer, port, bytes });
        }
        let (Some(header), Some(cause)) = (e.header, e.cause()) else { return };
        let asked = Asked { peer, port, sequence: header.sequence, kind: header.kind };
        let refusal = Refusal { cause, offending: e.ie, rule: None };
        let seid = Seid(header.seid.unwrap_or(0));
        match header.kind {
            5 => {
                let message = pfcp::AssociationSetupResponse {
                    node_id: self.config.node.into(),
                    cause,
                    recovery: pfcp::RecoveryTimeStamp(self.recovery),
                    ..Default::default()
                };
                self.reply(asked, None, message.into());
            }
            // The control plane's SEID stands in what could not be read.
            50 => self.refuse_establishment(asked, 0, refusal),
            52 => self.refuse_modification(asked, seid, refusal),
            54 => self.refuse_deletion(asked, seid, refusal),
            _ => {}
        }
    }

    pub(super) fn establishment_refused(&self, _cp: u64, r: Refusal) -> Message {
        pfcp::SessionEstablishmentResponse {
            node_id: self.config.node.into(),
            cause: r.cause,
            offending_ie: r.offending.map(OffendingIe),
            failed_rule_id: r.rule.filter(|_| r.cause == Cause::RuleFailure),
            ..Default::default()
        }
        .into()
    }

    pub(super) fn refuse_establishment(&mut self, asked: Asked, cp: u64, r: Refusal) {
        let message = self.establishment_refused(cp, r);
        self.reply(asked, Some(cp), message);
    }

    /// The SEID in an answer about a session that the peer does not have is 0 (§7.2.2.4.2).
    fn cp_seid(&self, asked: Asked, seid: Seid) -> u64 {
        self.sessions.get(&seid).filter(|e| e.peer == asked.peer).map_or(0, |e| e.cp.seid)
    }

    pub(super) fn refuse_modification(&mut self, asked: Asked, seid: Seid, r: Refusal) {
        let cp = self.cp_seid(asked, seid);
        let failed: Option<FailedRuleId> = r.rule.filter(|_| r.cause == Cause::RuleFailure);
        let message = pfcp::SessionModificationResponse {
            cause: if cp == 0 && r.cause != Cause::InvalidLength {
                Cause::SessionContextNotFound
            } else {
                r.cause
            },
            offending_ie: r.offending.map(OffendingIe),
            failed_rule_id: failed,
            ..Default::default()
        };
        self.reply(asked, Some(cp), message.into());
    }

    pub(super) fn refuse_deletion(&mut self, asked: Asked, seid: Seid, r: Refusal) {
        let cp = self.cp_seid(asked, seid);
        let message = pfcp::SessionDeletionResponse {
            cause: r.cause,
            offending_ie: r.offending.map(OffendingIe),
            ..Default::default()
        };
        self.reply(asked, Some(cp), message.into());
    }
}
