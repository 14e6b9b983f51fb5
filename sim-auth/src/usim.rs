//! A simulated USIM, for the lab and for tests: it checks as ordinary cards do.
//!
//! SQN is SEQ ‖ IND with five bits of IND; an array of 32 holds, per IND, the highest SEQ accepted
//! (TS 33.102 Annex C.1.1, C.2.1). A SEQ is accepted if it is higher than its array element and at most
//! Δ = 2^28 above the highest of the array (Annex C.2.2). The age limit L is not used.

use crate::aka::{Aka, Xres};
use crate::card::Card;
use crate::eap::{self, EapKeys};
use crate::fgs;
use crate::milenage::Milenage;
use std::collections::BTreeMap;
use types::{Autn, Auts, K, Key128, Key256, Opc, Rand, Sqn, Supi};

/// Bits of IND on the card.
pub const IND_BITS: u8 = 5;
/// The largest jump of SEQ that the card takes (Annex C.2.1).
pub const DELTA: u64 = 1 << 28;

/// A card: its keys and its array of SEQ.
pub struct Usim {
    card: Card,
    seq: [u64; 32],
    challenges: BTreeMap<Sqn, Rand>,
    seen: Seen,
}

/// What a card has seen since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Challenges with a right MAC-A, repetitions included.
    pub challenges: u64,
    /// Different challenges (another RAND) with an SQN that was seen before: a home network must never send one.
    pub reused: u64,
}

/// What the card says to a challenge.
pub enum UsimAnswer {
    /// MAC-A and SQN are right.
    Success {
        /// RES.
        res: Xres,
        /// CK.
        ck: Key128,
        /// IK.
        ik: Key128,
        /// AMF of the AUTN; the ME looks at its separation bit.
        amf: [u8; 2],
        /// SQN of the AUTN.
        sqn: Sqn,
    },
    /// MAC-A is wrong.
    MacFailure,
    /// SQN is out of range.
    SynchFailure(Auts),
}

/// What a 5GS UE says to a challenge: card and ME together (TS 33.501 §6.1.3.2).
pub enum FgAnswer {
    /// RES\* and the anchor key.
    Success {
        /// RES\*.
        res_star: Key128,
        /// KSEAF.
        kseaf: Key256,
    },
    /// 5GMM cause #20.
    MacFailure,
    /// 5GMM cause #21.
    SynchFailure(Auts),
    /// 5GMM cause #26: the separation bit is 0.
    Non5gAuthenticationUnacceptable,
}

/// What a 5GS UE says to a challenge by EAP-AKA': card and ME together (TS 33.501 §6.1.3.1, RFC 9048 §3).
pub enum EapAnswer {
    /// RES and the keys, with which AT_MAC of the challenge is still to be checked.
    Success {
        /// RES.
        res: Xres,
        /// The keys of this challenge.
        keys: Box<EapKeys>,
    },
    /// AKA'-Authentication-Reject: MAC-A is wrong.
    AuthenticationReject,
    /// AKA'-Synchronization-Failure.
    SynchFailure(Auts),
    /// 5GMM cause #26: the separation bit is 0.
    Non5gAuthenticationUnacceptable,
}

impl Usim {
    /// A fresh card with Milenage.
    pub fn new(k: &K, opc: &Opc) -> Self {
        Self::of(Card::Milenage(Milenage::new(k, opc)))
    }

    /// A fresh card.
    pub fn of(card: Card) -> Self {
        Self { card, seq: [0; 32], challenges: BTreeMap::new(), seen: Seen::default() }
    }

    /// A card that has accepted `sqn` before.
    #[must_use]
    pub fn with_sqn(mut self, sqn: Sqn) -> Self {
        if let Some(slot) = self.seq.get_mut(sqn.ind(IND_BITS) as usize) {
            *slot = sqn.seq(IND_BITS);
        }
        self
    }

    /// SQN_MS: the highest SQN accepted.
    pub fn sqn_ms(&self) -> Sqn {
        let highest = self.seq.iter().enumerate().max_by_key(|(_, seq)| **seq);
        highest
            .and_then(|(ind, seq)| Sqn::from_seq_ind(*seq, ind as u64, IND_BITS))
            .unwrap_or(Sqn::from_octets([0; 6]))
    }

    /// What it has seen, accepted or not.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Answers a challenge, and remembers its SQN if it is accepted.
    pub fn authenticate(&mut self, rand: &Rand, autn: &Autn) -> UsimAnswer {
        let Ok(o) = self.card.open_autn(rand, autn) else {
            return UsimAnswer::MacFailure;
        };
        self.seen.challenges += 1;
        if self.challenges.insert(o.sqn, *rand).is_some_and(|before| before != *rand) {
            self.seen.reused += 1;
        }
        let (seq, highest) = (o.sqn.seq(IND_BITS), self.sqn_ms().seq(IND_BITS));
        match self.seq.get_mut(o.sqn.ind(IND_BITS) as usize) {
            Some(slot) if seq > *slot && seq.saturating_sub(highest) <= DELTA => {
                *slot = seq;
                UsimAnswer::Success { res: o.res, ck: o.ck, ik: o.ik, amf: o.amf, sqn: o.sqn }
            }
            _ => UsimAnswer::SynchFailure(self.card.auts(rand, self.sqn_ms())),
        }
    }

    /// As the UE answers in 5GS, in the serving network named `snn`.
    pub fn authenticate_5g(&mut self, rand: &Rand, autn: &Autn, snn: &str) -> FgAnswer {
        match self.authenticate(rand, autn) {
            UsimAnswer::MacFailure => FgAnswer::MacFailure,
            UsimAnswer::SynchFailure(auts) => FgAnswer::SynchFailure(auts),
            UsimAnswer::Success { amf: [first, _], .. } if first & 0x80 == 0 => {
                FgAnswer::Non5gAuthenticationUnacceptable
            }
            UsimAnswer::Success { res, ck, ik, .. } => FgAnswer::Success {
                res_star: fgs::res_star(&ck, &ik, snn, rand, res.expose()),
                kseaf: fgs::kseaf(&fgs::kausf(&ck, &ik, snn, autn), snn),
            },
        }
    }

    /// As the UE answers EAP-AKA' in 5GS, in the serving network named `snn`.
    pub fn authenticate_eap(&mut self, rand: &Rand, autn: &Autn, snn: &str, supi: Supi) -> EapAnswer {
        match self.authenticate(rand, autn) {
            UsimAnswer::MacFailure => EapAnswer::AuthenticationReject,
            UsimAnswer::SynchFailure(auts) => EapAnswer::SynchFailure(auts),
            UsimAnswer::Success { amf: [first, _], .. } if first & 0x80 == 0 => {
                EapAnswer::Non5gAuthenticationUnacceptable
            }
            UsimAnswer::Success { res, ck, ik, .. } => {
                EapAnswer::Success { res, keys: Box::new(eap::eap_keys(&ck, &ik, snn, autn, supi)) }
            }
        }
    }
}
