//! Keys of EAP-AKA' (RFC 9048; TS 33.501 §6.1.3.1, Annex A.3, Annex F).
//!
//! ```text
//! CK ‖ IK ─0x20, network name─► CK' ‖ IK'
//! IK' ‖ CK' ─PRF', "EAP-AKA'" ‖ identity─► K_encr ‖ K_aut ‖ K_re ‖ MSK ‖ EMSK
//! the first half of EMSK is KAUSF ─0x6C─► KSEAF and on as in 5G AKA
//! ```
//!
//! The messages are in `wire::eap`; here their octets come in whole, to be signed or checked with K_aut.
//! Not done: fast re-authentication, pseudonyms and the identity exchange. 5GS has none of them (Annex F).

use crate::aka::{Aka, Challenge, Xres, separated};
use crate::fgs::{self, Expected, FgVector};
use crate::kdf::{KdfKey, high_128, low_128};
use subtle::ConstantTimeEq;
use types::{Autn, Key128, Key256, Rand, Sqn, Supi};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The one key derivation function that there is (RFC 9048 §3.2): AT_KDF.
pub const KDF: u16 = 1;

/// What PRF' makes of CK' and IK' (RFC 9048 §3.3). Zeroed on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EapKeys {
    k_encr: [u8; 16],
    k_aut: [u8; 32],
    k_re: [u8; 32],
    msk: [u8; 64],
    emsk: [u8; 64],
}

impl EapKeys {
    /// From CK', IK' and the identity (§3.3).
    pub fn new(ck_prime: &Key128, ik_prime: &Key128, identity: &str) -> Self {
        let key = KdfKey::from_ck_ik(ik_prime.expose(), ck_prime.expose());
        let mut keys = Self { k_encr: [0; 16], k_aut: [0; 32], k_re: [0; 32], msk: [0; 64], emsk: [0; 64] };
        let mut block = [0u8; 32];
        let mut made = 0u8;
        let parts: [&mut [u8]; 5] =
            [&mut keys.k_encr, &mut keys.k_aut, &mut keys.k_re, &mut keys.msk, &mut keys.emsk];
        let mut fill = block.len();
        for octet in parts.into_iter().flatten() {
            // §3.4.1: T1 = HMAC(K, S ‖ 1), Tn = HMAC(K, Tn-1 ‖ S ‖ n).
            if fill == block.len() {
                let before: &[u8] = if made == 0 { &[] } else { &block };
                made += 1;
                block = key.mac(&[before, b"EAP-AKA'", identity.as_bytes(), &[made]]);
                fill = 0;
            }
            *octet = block.get(fill).copied().unwrap_or_default();
            fill += 1;
        }
        block.zeroize();
        keys
    }

    /// K_encr, for AT_ENCR_DATA.
    pub fn k_encr(&self) -> Key128 {
        Key128::new(self.k_encr)
    }

    /// K_aut, for AT_MAC.
    pub fn k_aut(&self) -> Key256 {
        Key256::new(self.k_aut)
    }

    /// K_re, for fast re-authentication.
    pub fn k_re(&self) -> Key256 {
        Key256::new(self.k_re)
    }

    /// The master session key.
    pub fn msk(&self) -> &[u8; 64] {
        &self.msk
    }

    /// The extended master session key.
    pub fn emsk(&self) -> &[u8; 64] {
        &self.emsk
    }

    /// KAUSF: the most significant half of EMSK (TS 33.501 §6.1.3.1).
    pub fn kausf(&self) -> Key256 {
        self.emsk.first_chunk::<32>().map_or_else(|| Key256::new([0; 32]), |head| Key256::new(*head))
    }
}

/// CK' and IK' (TS 33.501 Annex A.3, TS 33.402 Annex A.2).
pub fn primed(ck: &Key128, ik: &Key128, network: &str, Autn(autn): &Autn) -> (Key128, Key128) {
    let (sqn_xor_ak, _) = autn.split_at(6);
    let mut both =
        KdfKey::from_ck_ik(ck.expose(), ik.expose()).derive(0x20, &[network.as_bytes(), sqn_xor_ak]);
    let keys = (Key128::new(high_128(&both)), Key128::new(low_128(&both)));
    both.zeroize();
    keys
}

/// The keys of one challenge in 5GS. The identity is the IMSI, whatever the UE called itself (TS 33.501 Annex F.3).
pub fn eap_keys(ck: &Key128, ik: &Key128, snn: &str, autn: &Autn, supi: Supi) -> EapKeys {
    let (ck_prime, ik_prime) = primed(ck, ik, snn, autn);
    EapKeys::new(&ck_prime, &ik_prime, &supi.imsi().to_string())
}

/// AT_MAC of `packet`, whose own code is written as zeros in it (RFC 9048 §3.4.2: HMAC-SHA-256-128).
pub fn at_mac(k_aut: &Key256, packet: &[u8]) -> [u8; 16] {
    high_128(&KdfKey::new(k_aut.expose()).mac(&[packet]))
}

/// What proves a UE that answers by EAP-AKA'.
#[derive(Clone, PartialEq, Eq)]
pub struct EapProof {
    xres: Xres,
    k_aut: Key256,
}

impl EapProof {
    /// AT_MAC of a packet of ours.
    pub fn sign(&self, packet: &[u8]) -> [u8; 16] {
        at_mac(&self.k_aut, packet)
    }

    /// AT_MAC of a packet of the UE's, in constant time.
    pub fn verifies(&self, packet: &[u8], mac: &[u8; 16]) -> bool {
        self.sign(packet).ct_eq(mac).into()
    }

    /// What RES must be.
    pub fn xres(&self) -> &[u8] {
        self.xres.expose()
    }
}

/// The vector of one challenge by EAP-AKA', from K to KSEAF (TS 33.501 §6.1.3.1). The separation bit of `amf` is set
/// whatever was given.
pub fn eap_vector_of(card: &impl Aka, rand: Rand, sqn: Sqn, amf: [u8; 2], snn: &str, supi: Supi) -> FgVector {
    let c = Challenge::new(card, &rand, sqn, separated(amf));
    let keys = eap_keys(&c.ck, &c.ik, snn, &c.autn, supi);
    let proof = EapProof { xres: c.res, k_aut: keys.k_aut() };
    let kseaf = fgs::kseaf(&keys.kausf(), snn);
    FgVector { rand, autn: c.autn, expected: Expected::Eap(Box::new(proof)), kseaf }
}
