//! Associations (TS 29.244 §6.2.6), and whether the other end lives: heartbeats both ways (§6.2.2), restarts by the
//! Recovery Time Stamp (TS 23.007 §19A).
//!
//! Of a foreign control plane that does not answer, the sessions go on and it gets no new one: what carries packets
//! was allowed when it was there, our own rules judge on, and a ban needs no SMF. One that started anew, and does not
//! say that it kept its sessions, has none any more.

use super::change::Done;
use super::requests::About;
use super::{Asked, N4, Peer, UP_FEATURES};
use std::net::IpAddr;
use types::{Mono, Now, Restoration, Seid, SmfState};
use wire::pfcp::{self, Cause, NodeId};

/// A peer that has set up an association.
pub(super) struct Association {
    pub(super) node: NodeId,
    pub(super) recovery: u32,
    /// It does not answer.
    pub(super) silent: bool,
    /// When it is asked next whether it lives.
    next: Mono,
}

/// A foreign SMF of the list, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its address.
    pub smf: IpAddr,
    /// Its association.
    pub state: SmfState,
    /// Sessions that it steers.
    pub sessions: usize,
    /// What became of them when it, or we, started anew.
    pub restoration: Restoration,
}

impl N4 {
    pub(super) fn on_heartbeat(&mut self, asked: Asked, recovery: u32, now: Now) {
        self.seen(asked.peer, recovery, now);
        let recovery = pfcp::RecoveryTimeStamp(self.recovery);
        self.reply(asked, None, pfcp::HeartbeatResponse { recovery, others: Vec::new() }.into());
    }

    /// A sign of life with a Recovery Time Stamp. One without an association says nothing. False where it is none: TS 23.007
    /// §19A discards a smaller time stamp than the one that is known, which was overtaken on its way.
    pub(super) fn seen(&mut self, peer: Peer, recovery: u32, now: Now) -> bool {
        let Peer::Udp(smf) = peer else { return true };
        let next = now.mono.plus_ms(self.timing.heartbeat_ms);
        let Some(a) = self.associations.get_mut(&peer) else { return true };
        if is_before(recovery, a.recovery) {
            return false;
        }
        if a.recovery != recovery {
            self.associations.remove(&peer);
            let gone = self.sessions_of(peer);
            self.recovered(peer, recovery, gone.len());
            self.drop_sessions(&gone, Done::Nothing { rest: Vec::new() }, now);
            self.forget_asked(peer);
            self.tell_state(smf, SmfState::Restarted, now);
            return true;
        }
        a.next = next;
        if std::mem::take(&mut a.silent) {
            self.tell_state(smf, SmfState::Up, now);
        }
        true
    }

    /// It has not answered a heartbeat, however often it was repeated.
    pub(super) fn fell_silent(&mut self, peer: Peer, now: Now) {
        let Some(a) = self.associations.get_mut(&peer) else { return };
        if !std::mem::replace(&mut a.silent, true)
            && let Peer::Udp(smf) = peer
        {
            self.tell_state(smf, SmfState::Silent, now);
        }
    }

    /// Asks those that are due.
    pub(super) fn heartbeats(&mut self, now: Now) {
        let due = |(p, a): (&Peer, &Association)| (*p != Peer::Local && a.next <= now.mono).then_some(*p);
        let due: Vec<Peer> = self.associations.iter().filter_map(due).collect();
        for peer in due {
            let next = now.mono.plus_ms(self.timing.heartbeat_ms);
            if let Some(a) = self.associations.get_mut(&peer) {
                a.next = next;
            }
            let recovery = pfcp::RecoveryTimeStamp(self.recovery);
            let message = pfcp::HeartbeatRequest { recovery, others: Vec::new() };
            self.request(peer, None, message.into(), About::Heartbeat, now);
        }
    }

    pub(super) fn next_heartbeat(&self) -> Option<Mono> {
        self.associations.iter().filter(|(p, _)| **p != Peer::Local).map(|(_, a)| a.next).min()
    }

    pub(super) fn on_association(&mut self, asked: Asked, m: &pfcp::AssociationSetupRequest, now: Now) {
        let fresh =
            Association { node: m.node_id.clone(), recovery: m.recovery.0, silent: false, next: now.mono };
        let old = self.associations.insert(asked.peer, fresh);
        let was_up = old.as_ref().is_some_and(|o| !o.silent);
        // A smaller time stamp is one, too: whoever asks for an association begins anew, whatever its clock says.
        let restarted = old.is_none_or(|o| o.recovery != m.recovery.0);
        // A foreign control plane that started anew knows nothing of its sessions (§6.2.6.2.2), unless it
        // says that it kept them. Ours adopts them.
        let gone: Vec<Seid> = if restarted && asked.peer != Peer::Local && m.session_retention.is_none() {
            self.sessions_of(asked.peer)
        } else {
            Vec::new()
        };
        self.recovered(asked.peer, m.recovery.0, gone.len());
        if let Peer::Udp(smf) = asked.peer
            && (restarted || !was_up)
        {
            self.tell_state(smf, SmfState::Up, now);
        }
        let response = pfcp::AssociationSetupResponse {
            node_id: self.config.node.into(),
            cause: Cause::Accepted,
            recovery: pfcp::RecoveryTimeStamp(self.recovery),
            up_features: Some(pfcp::UpFunctionFeatures(UP_FEATURES.to_vec())),
            ..Default::default()
        };
        self.drop_sessions(&gone, Done::Answer { asked, seid: None, message: response.into() }, now);
    }

    pub(super) fn on_release(&mut self, asked: Asked, m: &pfcp::AssociationReleaseRequest, now: Now) {
        let known = self.associations.get(&asked.peer).is_some_and(|a| a.node == m.node_id);
        let gone = if known { self.sessions_of(asked.peer) } else { Vec::new() };
        if known {
            self.associations.remove(&asked.peer);
            self.forget_asked(asked.peer);
            if let Peer::Udp(smf) = asked.peer {
                self.tell_state(smf, SmfState::Released, now);
            }
        }
        let response = pfcp::AssociationReleaseResponse {
            node_id: self.config.node.into(),
            cause: if known { Cause::Accepted } else { Cause::NoAssociation },
            others: Vec::new(),
        };
        self.drop_sessions(&gone, Done::Answer { asked, seid: None, message: response.into() }, now);
    }

    /// The foreign SMFs of the list.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let one = |&smf: &IpAddr| {
            let state = match self.associations.get(&Peer::Udp(smf)) {
                None => SmfState::Never,
                Some(a) if a.silent => SmfState::Silent,
                Some(_) => SmfState::Up,
            };
            let sessions = self.sessions_of(Peer::Udp(smf)).len();
            let restoration = self.restorations.get(&smf).copied().unwrap_or_default();
            PeerStatus { smf, state, sessions, restoration }
        };
        self.config.peers.iter().map(one).collect()
    }

    /// A peer has said when it started, and this many of its sessions ended by that.
    fn recovered(&mut self, peer: Peer, recovery: u32, ended: usize) {
        let Peer::Udp(smf) = peer else { return };
        let r = self.restorations.entry(smf).or_default();
        let before = r.recovery.replace(recovery);
        r.restarts += u64::from(before.is_some_and(|b| b != recovery));
        r.ended += ended as u64;
    }

    /// A session has its endpoints of before our start back.
    pub(super) fn restored(&mut self, peer: Peer) {
        if let Peer::Udp(smf) = peer {
            self.restorations.entry(smf).or_default().restored += 1;
        }
    }
}

/// True for the smaller one of two time stamps, which begin anew in 2036 (RFC 5905 §6).
fn is_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) > u32::MAX / 2
}
