//! Keys of 5GS (TS 33.501 §6.1.3.2, §6.2, Annex A).
//!
//! ```text
//! CK ‖ IK ─0x6A─► KAUSF ─0x6C─► KSEAF ─0x6D─► KAMF ─0x69─► KNASint, KNASenc
//!    └─────0x6B─► RES*, XRES*                  ├────0x6E─► KgNB
//!                                              └────0x6F─► NH
//! ```
//!
//! The serving network name comes in as text, see `types::Plmn::serving_network_name`.

use crate::aka::{Aka, Challenge, separated};
use crate::eap::EapProof;
use crate::kdf::{KdfKey, low_128, sha256};
use crate::milenage::Milenage;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::fmt;
use types::{Autn, K, Key128, Key256, Opc, Rand, Sqn, Supi};
use zeroize::Zeroize;

/// ABBA of the only version of the features that it stands for (TS 33.501 Annex A.7.1).
pub const ABBA: [u8; 2] = [0, 0];

/// A 5G home environment authentication vector, already taken to the serving network's KSEAF.
///
/// `Debug` shows RAND and AUTN alone; serialised, RAND and AUTN are the handle of the rest.
#[derive(Clone, PartialEq, Eq)]
pub struct FgVector {
    /// The challenge.
    pub rand: Rand,
    /// Its proof.
    pub autn: Autn,
    /// What proves the UE.
    pub expected: Expected,
    /// The anchor key.
    pub kseaf: Key256,
}

/// The right answer to a challenge, by the method that it is made for.
#[derive(Clone, PartialEq, Eq)]
pub enum Expected {
    /// 5G AKA (TS 33.501 §6.1.3.2): RES\*.
    ResStar(Key128),
    /// EAP-AKA' (§6.1.3.1): RES, under AT_MAC.
    Eap(Box<EapProof>),
}

impl FgVector {
    /// XRES\*, where the method is 5G AKA.
    pub fn xres_star(&self) -> Option<&Key128> {
        match &self.expected {
            Expected::ResStar(xres_star) => Some(xres_star),
            Expected::Eap(_) => None,
        }
    }

    /// HXRES\*, by which a SEAF that does not hold XRES\* judges RES\*.
    pub fn hxres_star(&self) -> Option<[u8; 16]> {
        Some(hres_star(&self.rand, self.xres_star()?.expose()))
    }
}

impl fmt::Debug for FgVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FgVector").field("rand", &self.rand).field("autn", &self.autn).finish_non_exhaustive()
    }
}

impl Serialize for FgVector {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut t = s.serialize_struct("FgVector", 2)?;
        t.serialize_field("rand", &self.rand)?;
        t.serialize_field("autn", &self.autn)?;
        t.end()
    }
}

/// The vector of one challenge for a Milenage card, from K to KSEAF. The separation bit of `amf` is set whatever
/// was given.
pub fn fg_vector(k: &K, opc: &Opc, rand: Rand, sqn: Sqn, amf: [u8; 2], snn: &str) -> FgVector {
    fg_vector_of(&Milenage::new(k, opc), rand, sqn, amf, snn)
}

/// As [`fg_vector`], for a card of any algorithm set.
pub fn fg_vector_of(card: &impl Aka, rand: Rand, sqn: Sqn, amf: [u8; 2], snn: &str) -> FgVector {
    let c = Challenge::new(card, &rand, sqn, separated(amf));
    // RES* and KAUSF have the same key: its hash states are made once.
    let ck_ik = KdfKey::from_ck_ik(c.ck.expose(), c.ik.expose());
    let xres_star = res_star_with(&ck_ik, snn, &rand, c.res.expose());
    let kausf = kausf_with(&ck_ik, snn, &c.autn);
    FgVector { rand, autn: c.autn, expected: Expected::ResStar(xres_star), kseaf: kseaf(&kausf, snn) }
}

/// KAUSF of 5G AKA (Annex A.2).
pub fn kausf(ck: &Key128, ik: &Key128, snn: &str, autn: &Autn) -> Key256 {
    kausf_with(&KdfKey::from_ck_ik(ck.expose(), ik.expose()), snn, autn)
}

fn kausf_with(ck_ik: &KdfKey, snn: &str, Autn(autn): &Autn) -> Key256 {
    let (sqn_xor_ak, _) = autn.split_at(6);
    ck_ik.derive_key(0x6A, &[snn.as_bytes(), sqn_xor_ak])
}

/// RES\* or XRES\* (Annex A.4) of RES or XRES.
pub fn res_star(ck: &Key128, ik: &Key128, snn: &str, rand: &Rand, res: &[u8]) -> Key128 {
    res_star_with(&KdfKey::from_ck_ik(ck.expose(), ik.expose()), snn, rand, res)
}

fn res_star_with(ck_ik: &KdfKey, snn: &str, Rand(rand): &Rand, res: &[u8]) -> Key128 {
    let mut b = ck_ik.derive(0x6B, &[snn.as_bytes(), rand, res]);
    let key = Key128::new(low_128(&b));
    b.zeroize();
    key
}

/// HRES\* or HXRES\* (Annex A.5).
pub fn hres_star(Rand(rand): &Rand, res_star: &[u8; 16]) -> [u8; 16] {
    low_128(&sha256(&[rand, res_star]))
}

/// KSEAF (Annex A.6).
pub fn kseaf(kausf: &Key256, snn: &str) -> Key256 {
    KdfKey::new(kausf.expose()).derive_key(0x6C, &[snn.as_bytes()])
}

/// KAMF (Annex A.7). P0 is the IMSI's digits as text.
pub fn kamf(kseaf: &Key256, supi: Supi, abba: &[u8]) -> Key256 {
    KdfKey::new(kseaf.expose()).derive_key(0x6D, &[supi.imsi().to_string().as_bytes(), abba])
}

/// KNASenc for 128-NEA`algorithm` (Annex A.8, distinguisher 1).
pub fn knas_enc(kamf: &Key256, algorithm: u8) -> Key128 {
    algorithm_key(kamf, 1, algorithm)
}

/// KNASint for 128-NIA`algorithm` (Annex A.8, distinguisher 2).
pub fn knas_int(kamf: &Key256, algorithm: u8) -> Key128 {
    algorithm_key(kamf, 2, algorithm)
}

fn algorithm_key(key: &Key256, distinguisher: u8, algorithm: u8) -> Key128 {
    let mut b = KdfKey::new(key.expose()).derive(0x69, &[&[distinguisher], &[algorithm]]);
    let made = Key128::new(low_128(&b));
    b.zeroize();
    made
}

/// KgNB of 3GPP access (Annex A.9) at the uplink NAS COUNT `ul_count`.
pub fn kgnb(kamf: &Key256, ul_count: u32) -> Key256 {
    const ACCESS_3GPP: u8 = 1;
    KdfKey::new(kamf.expose()).derive_key(0x6E, &[&ul_count.to_be_bytes(), &[ACCESS_3GPP]])
}

/// The next hop (Annex A.10); `sync` is KgNB for the first one, then the NH before.
pub fn nh(kamf: &Key256, sync: &Key256) -> Key256 {
    KdfKey::new(kamf.expose()).derive_key(0x6F, &[sync.expose()])
}
