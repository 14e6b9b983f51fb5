//! Authentication and key agreement (TS 33.102 §6.3): AUTN and AUTS, made and checked.
//!
//! ```text
//! AUTN = SQN ⊕ AK (6) ‖ AMF (2) ‖ MAC-A (8)      AUTS = SQN_MS ⊕ AK* (6) ‖ MAC-S (8)
//! ```
//!
//! Which SQN is fresh is the business of [`crate::sqn`] (network) and [`crate::usim`] (card).

use crate::milenage::{F2345, Milenage};
use std::fmt;
use subtle::ConstantTimeEq;
use thiserror::Error;
use types::{Autn, Auts, Key128, Rand, Sqn};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// AMF of an ordinary challenge: the separation bit alone (TS 33.102 Annex H).
pub const AMF: [u8; 2] = [0x80, 0x00];

/// AMF within MAC-S (TS 33.102 §6.3.3).
const AMF_RESYNC: [u8; 2] = [0, 0];

/// MAC-A of an AUTN, or MAC-S of an AUTS, is not what K and OPc give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the message authentication code is wrong")]
pub struct MacFailure;

/// XRES, or a card's RES: 64 bits of f2. Zeroed on drop; equality is in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Xres(pub(crate) [u8; 8]);

impl Xres {
    /// The octets.
    pub fn expose(&self) -> &[u8; 8] {
        &self.0
    }
}

impl PartialEq for Xres {
    fn eq(&self, o: &Self) -> bool {
        self.0.ct_eq(&o.0).into()
    }
}
impl Eq for Xres {}

impl fmt::Debug for Xres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Xres(..)")
    }
}

/// What a USIM learns from an AUTN whose MAC-A is right. Whether SQN is fresh is not said here.
pub struct AutnOpened {
    /// The SQN inside.
    pub sqn: Sqn,
    /// The AMF; its first bit is the separation bit.
    pub amf: [u8; 2],
    /// RES.
    pub res: Xres,
    /// CK.
    pub ck: Key128,
    /// IK.
    pub ik: Key128,
}

/// `amf` with the separation bit set: EPS and 5GS accept no other (TS 33.401 §6.1.1, TS 33.501 §6.1.3.2).
pub fn separated([first, second]: [u8; 2]) -> [u8; 2] {
    [first | 0x80, second]
}

/// One challenge of the home network: AUTN and what the USIM will give for it.
pub(crate) struct Challenge {
    pub autn: Autn,
    pub res: Xres,
    pub ck: Key128,
    pub ik: Key128,
}

impl Challenge {
    /// The AUTN of `rand`, `sqn` and `amf`, with RES, CK and IK.
    pub(crate) fn new(card: &impl Aka, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> Self {
        let (mac_a, f) = card.f12345(rand, sqn, amf);
        let [s0, s1, s2, s3, s4, s5] = conceal(sqn, &f.ak).to_octets();
        let ([a0, a1], [m0, m1, m2, m3, m4, m5, m6, m7]) = (amf, mac_a);
        Self {
            autn: Autn([s0, s1, s2, s3, s4, s5, a0, a1, m0, m1, m2, m3, m4, m5, m6, m7]),
            res: Xres(f.res),
            ck: Key128::new(f.ck),
            ik: Key128::new(f.ik),
        }
    }
}

/// The functions of an algorithm set with a card's keys, and what both sides of AKA do with them.
pub trait Aka {
    /// f1: MAC-A.
    fn f1(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8];

    /// f1\*: MAC-S.
    fn f1_star(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8];

    /// f2, f3, f4 and f5.
    fn f2345(&self, rand: &Rand) -> F2345;

    /// f5\*: AK of a re-synchronisation.
    fn f5_star(&self, rand: &Rand) -> [u8; 6];

    /// f1 together with f2 … f5: what a vector needs.
    fn f12345(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> ([u8; 8], F2345) {
        (self.f1(rand, sqn, amf), self.f2345(rand))
    }

    /// Checks an AUTN as the USIM does (TS 33.102 §6.3.3): AK reveals SQN, and MAC-A is compared in
    /// constant time.
    ///
    /// # Errors
    /// [`MacFailure`] where MAC-A is not that of these keys.
    fn open_autn(&self, rand: &Rand, Autn(autn): &Autn) -> Result<AutnOpened, MacFailure> {
        let [s0, s1, s2, s3, s4, s5, a0, a1, mac @ ..] = *autn;
        let f = self.f2345(rand);
        let sqn = conceal(Sqn::from_octets([s0, s1, s2, s3, s4, s5]), &f.ak);
        let amf = [a0, a1];
        if bool::from(self.f1(rand, sqn, amf).ct_eq(&mac)) {
            Ok(AutnOpened { sqn, amf, res: Xres(f.res), ck: Key128::new(f.ck), ik: Key128::new(f.ik) })
        } else {
            Err(MacFailure)
        }
    }

    /// The AUTS by which a USIM tells the highest SQN that it has accepted.
    fn auts(&self, rand: &Rand, sqn_ms: Sqn) -> Auts {
        let [s0, s1, s2, s3, s4, s5] = conceal(sqn_ms, &self.f5_star(rand)).to_octets();
        let [m0, m1, m2, m3, m4, m5, m6, m7] = self.f1_star(rand, sqn_ms, AMF_RESYNC);
        Auts([s0, s1, s2, s3, s4, s5, m0, m1, m2, m3, m4, m5, m6, m7])
    }

    /// SQN_MS out of an AUTS that answers `rand` (TS 33.102 §6.3.5), MAC-S compared in constant time.
    ///
    /// # Errors
    /// [`MacFailure`] where MAC-S is wrong: such an AUTS says nothing and changes nothing.
    fn open_auts(&self, rand: &Rand, Auts(auts): &Auts) -> Result<Sqn, MacFailure> {
        let [s0, s1, s2, s3, s4, s5, mac @ ..] = *auts;
        let sqn_ms = conceal(Sqn::from_octets([s0, s1, s2, s3, s4, s5]), &self.f5_star(rand));
        if bool::from(self.f1_star(rand, sqn_ms, AMF_RESYNC).ct_eq(&mac)) {
            Ok(sqn_ms)
        } else {
            Err(MacFailure)
        }
    }
}

impl Aka for Milenage {
    fn f1(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        self.f1(rand, sqn, amf)
    }

    fn f1_star(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        self.f1_star(rand, sqn, amf)
    }

    fn f2345(&self, rand: &Rand) -> F2345 {
        self.f2345(rand)
    }

    fn f5_star(&self, rand: &Rand) -> [u8; 6] {
        self.f5_star(rand)
    }

    fn f12345(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> ([u8; 8], F2345) {
        self.f12345(rand, sqn, amf)
    }
}

/// SQN ⊕ AK, both ways.
fn conceal(sqn: Sqn, ak: &[u8; 6]) -> Sqn {
    let mut b = sqn.to_octets();
    for (s, a) in b.iter_mut().zip(ak) {
        *s ^= a;
    }
    Sqn::from_octets(b)
}
