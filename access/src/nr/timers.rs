//! The timers of the core: at most one per key, ordered by when they are due.
//!
//! Numbers are those of TS 24.501 §10.2. The core never sleeps: it says when it wants to be called
//! (`poll_timeout`) and what is due then.

use super::AssocId;
use std::collections::{BTreeMap, BTreeSet};
use types::{Mono, PduSessionId, Supi};
use wire::ngap::AmfUeNgapId;

/// T3550 (registration accept), T3560 (authentication, security mode), T3570 (identity), T3522
/// (deregistration), T3555 (configuration update): 6 s (TS 24.501 Table 10.2.2).
pub(super) const NAS_RETRANSMIT_MS: u64 = 6_000;
/// T3592 (PDU session release command), T3591 (PDU session modification command): 16 s (TS 24.501 Table 10.3.2).
pub(super) const T3592_MS: u64 = 16_000;
pub(super) const T3591_MS: u64 = 16_000;
/// A procedure is aborted on the fifth expiry: four retransmissions (TS 24.501 §5.4.1.3.7 and its likes).
pub(super) const NAS_RETRANSMISSIONS: u8 = 4;
/// How long a UE keeps its keys after they could not be renewed.
pub(super) const REKEY_PAUSE_MS: u64 = 600_000;
/// How long a gNB may take to answer a UE-associated NGAP request.
pub(super) const NGAP_GUARD_MS: u64 = 10_000;
/// How long `hss` or the address pool may take.
pub(super) const INNER_GUARD_MS: u64 = 10_000;
/// How long an association may stay without a successful NG Setup.
pub(super) const NG_SETUP_GUARD_MS: u64 = 60_000;
/// An unauthenticated attempt as a whole: longer than the retransmissions of one procedure.
pub(super) const ATTEMPT_GUARD_MS: u64 = 90_000;
/// A silent UE that was banned keeps its radio context no longer than this.
pub(super) const BAN_GRACE_MS: u64 = 2_000;
/// The mobile reachable timer runs this much longer than T3512 (TS 24.501 §5.3.7).
pub(super) const MOBILE_REACHABLE_EXTRA_MS: u64 = 240_000;
/// The implicit deregistration timer behind it; its length is the network's choice (TS 24.501 §5.3.7).
pub(super) const IMPLICIT_DEREGISTRATION_MS: u64 = 240_000;
/// T3513 (paging); its length is the network's choice (TS 24.501 Table 10.2.2). Longer than the longest paging cycle of
/// 2.56 s.
pub(super) const T3513_MS: u64 = 4_000;
/// A UE that did not answer its paging is left alone for so long.
pub(super) const PAGING_PAUSE_MS: u64 = 30_000;
/// T1 of PFCP: time to the next retransmission (TS 29.244 §6.4).
pub(super) const N4_T1_MS: u64 = 3_000;
/// N1 of PFCP: retransmissions before a request has failed (TS 29.244 §6.4).
pub(super) const N4_N1: u8 = 3;

/// What a timer belongs to. The owner may be gone when it fires; then it is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// An association has not completed NG Setup.
    GnbSetup(AssocId),
    /// NG Reset of ours was sent.
    GnbReset(AssocId),
    /// AMF Configuration Update was sent, or is to be sent again.
    GnbUpdate(AssocId),
    /// The running NAS procedure of an attempt: T3570, T3560, or the wait for `hss`.
    Attempt(AmfUeNgapId),
    /// The attempt as a whole.
    AttemptGuard(AmfUeNgapId),
    /// Initial Context Setup was sent.
    ContextSetup(AmfUeNgapId),
    /// The gateway switches the sessions of a UE that has come from another gNB.
    PathSwitch(AmfUeNgapId),
    /// UE Context Release Command was sent.
    ContextRelease(AmfUeNgapId),
    /// The registered UE's own mobility management procedure: T3550, T3522 or the wait for `Located`.
    Mm(Supi),
    /// A handover by way of us: the gNB's answer, then the UE's arrival.
    Handover(Supi),
    /// New keys under way: T3560, or the wait for `hss`.
    Rekey(Supi),
    /// T3555 (configuration update).
    Configuration(Supi),
    /// UE Context Modification was sent.
    ContextModification(AmfUeNgapId),
    /// The mobile reachable timer.
    Reachable(Supi),
    /// The implicit deregistration timer.
    Implicit(Supi),
    /// T3513, or the pause behind a paging that failed.
    Paging(Supi),
    /// A PDU session's procedure: address, gNB's resources, T3592.
    Session(Supi, PduSessionId),
    /// T3591: a PDU session is being changed.
    Modification(Supi, PduSessionId),
    /// A PFCP request, by its sequence number.
    N4(u32),
}

/// The set of running timers.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<TimerKey, Mono>,
    order: BTreeSet<(Mono, TimerKey)>,
}

impl Timers {
    /// Starts or restarts `key`.
    pub(super) fn set(&mut self, key: TimerKey, at: Mono) {
        self.stop(key);
        self.due.insert(key, at);
        self.order.insert((at, key));
    }

    /// Stops `key`, running or not.
    pub(super) fn stop(&mut self, key: TimerKey) {
        if let Some(at) = self.due.remove(&key) {
            self.order.remove(&(at, key));
        }
    }

    /// True while `key` runs.
    pub(super) fn is_running(&self, key: TimerKey) -> bool {
        self.due.contains_key(&key)
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the next one that is due at `now`.
    pub(super) fn pop(&mut self, now: Mono) -> Option<TimerKey> {
        let (at, key) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.stop(key);
        Some(key)
    }

    /// How many run.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_timer_fires_once_and_in_order() {
        let mut t = Timers::default();
        t.set(TimerKey::N4(1), Mono(10));
        t.set(TimerKey::N4(2), Mono(20));
        t.set(TimerKey::N4(1), Mono(30));
        assert_eq!(t.next(), Some(Mono(20)));
        assert_eq!(t.pop(Mono(19)), None);
        assert_eq!(t.pop(Mono(40)), Some(TimerKey::N4(2)));
        assert_eq!(t.pop(Mono(40)), Some(TimerKey::N4(1)));
        assert_eq!(t.pop(Mono(40)), None);
        assert_eq!(t.len(), 0);
    }
}
