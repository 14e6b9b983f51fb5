//! Keys of EPS (TS 33.401 §6.1, §6.2, Annex A).
//!
//! ```text
//! CK ‖ IK ─0x10─► KASME ─0x15─► KNASint, KNASenc
//!                   ├────0x11─► KeNB
//!                   └────0x12─► NH
//! ```

use crate::aka::{Aka, Challenge, Xres, separated};
use crate::kdf::{KdfKey, low_128};
use crate::milenage::Milenage;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::fmt;
use types::{Autn, K, Key128, Key256, Opc, Plmn, Rand, Sqn};
use zeroize::Zeroize;

/// An E-UTRAN authentication vector. `Debug` shows RAND and AUTN alone; serialised, they are its handle.
#[derive(Clone, PartialEq, Eq)]
pub struct EpsVector {
    /// The challenge.
    pub rand: Rand,
    /// Its proof.
    pub autn: Autn,
    /// What RES must be.
    pub xres: Xres,
    /// The key of the access security management entity.
    pub kasme: Key256,
}

impl fmt::Debug for EpsVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EpsVector")
            .field("rand", &self.rand)
            .field("autn", &self.autn)
            .finish_non_exhaustive()
    }
}

impl Serialize for EpsVector {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut t = s.serialize_struct("EpsVector", 2)?;
        t.serialize_field("rand", &self.rand)?;
        t.serialize_field("autn", &self.autn)?;
        t.end()
    }
}

/// The vector of one challenge for `serving`. The separation bit of `amf` is set whatever was given.
pub fn eps_vector(k: &K, opc: &Opc, rand: Rand, sqn: Sqn, amf: [u8; 2], serving: Plmn) -> EpsVector {
    eps_vector_of(&Milenage::new(k, opc), rand, sqn, amf, serving)
}

/// As [`eps_vector`], for a card of either algorithm set.
pub fn eps_vector_of(card: &impl Aka, rand: Rand, sqn: Sqn, amf: [u8; 2], serving: Plmn) -> EpsVector {
    let c = Challenge::new(card, &rand, sqn, separated(amf));
    EpsVector { rand, autn: c.autn, kasme: kasme(&c.ck, &c.ik, serving, &c.autn), xres: c.res }
}

/// KASME (Annex A.2).
pub fn kasme(ck: &Key128, ik: &Key128, serving: Plmn, Autn(autn): &Autn) -> Key256 {
    let (sqn_xor_ak, _) = autn.split_at(6);
    KdfKey::from_ck_ik(ck.expose(), ik.expose()).derive_key(0x10, &[&serving.to_octets(), sqn_xor_ak])
}

/// KeNB (Annex A.3) at the uplink NAS COUNT `ul_count`.
pub fn kenb(kasme: &Key256, ul_count: u32) -> Key256 {
    KdfKey::new(kasme.expose()).derive_key(0x11, &[&ul_count.to_be_bytes()])
}

/// The next hop (Annex A.4); `sync` is KeNB for the first one, then the NH before.
pub fn nh(kasme: &Key256, sync: &Key256) -> Key256 {
    KdfKey::new(kasme.expose()).derive_key(0x12, &[sync.expose()])
}

/// KNASenc for 128-EEA`algorithm` (Annex A.7, distinguisher 1).
pub fn knas_enc(kasme: &Key256, algorithm: u8) -> Key128 {
    algorithm_key(kasme, 1, algorithm)
}

/// KNASint for 128-EIA`algorithm` (Annex A.7, distinguisher 2).
pub fn knas_int(kasme: &Key256, algorithm: u8) -> Key128 {
    algorithm_key(kasme, 2, algorithm)
}

fn algorithm_key(key: &Key256, distinguisher: u8, algorithm: u8) -> Key128 {
    let mut b = KdfKey::new(key.expose()).derive(0x15, &[&[distinguisher], &[algorithm]]);
    let made = Key128::new(low_128(&b));
    b.zeroize();
    made
}
