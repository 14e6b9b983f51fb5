//! TUAK (TS 35.231): the authentication and key functions f1, f1\*, f2 … f5, f5\* on Keccak-f\[1600\].
//!
//! ```text
//! octets of the state   0 TOPc or TOP (32) ‖ 32 INSTANCE ‖ 33 "TUAK1.0" ‖ 40 RAND (16) ‖ 56 AMF (2) ‖ 58 SQN (6)
//!                       64 K (32, or 16 and zeros) ‖ 96 padding: 1f, zeros, 80 at 135 ‖ zeros
//! INSTANCE, high bit first   f1* or f5* · f2…f5, f5* · length of MAC or RES (3) · CK 256 · IK 256 · K 256
//! out                   0 TOPc, MAC, RES ‖ 32 CK ‖ 64 IK ‖ 96 AK
//! ```
//!
//! Each field stands with its last octet first (§6.1, §7). Which lengths of MAC, RES, CK and IK a card has is the
//! operator's choice; in 5GS and EPS a MAC has 64 bits and CK and IK have 128, and our RES has 64.

use crate::aka::Aka;
use crate::milenage::F2345;
use keccak::Keccak;
use std::num::NonZeroU8;
use types::{K, Key256, Rand, Sqn};
use zeroize::{Zeroize, Zeroizing};

const NAME: &[u8; 7] = b"TUAK1.0";

/// K of a TUAK card.
#[derive(Clone, PartialEq, Eq)]
pub enum TuakK {
    /// 128 bits.
    Short(K),
    /// 256 bits.
    Long(Key256),
}

impl TuakK {
    /// Its octets, 16 or 32.
    pub fn expose(&self) -> &[u8] {
        match self {
            Self::Short(k) => k.expose(),
            Self::Long(k) => k.expose(),
        }
    }
}

/// What a TUAK card is made with: K, TOPc, and how often Keccak runs.
#[derive(Clone, PartialEq, Eq)]
pub struct TuakKeys {
    /// K.
    pub k: TuakK,
    /// TOPc, the operator value bound to K.
    pub topc: Key256,
    /// Times that the permutation is applied; 1 unless the operator chose more.
    pub iterations: NonZeroU8,
}

impl TuakKeys {
    /// With TOPc computed of K and the operator's TOP (§6.1).
    pub fn with_top(k: TuakK, top: &Key256, iterations: NonZeroU8) -> Self {
        let keys = Self { k, topc: top.clone(), iterations };
        let out = keys.permuted(0, &[0; 16], [0; 6], [0; 2]);
        let topc = Zeroizing::new(taken::<32>(&out, 0));
        Self { topc: Key256::new(*topc), ..keys }
    }

    /// f1: MAC-A, of 8, 16 or 32 octets.
    pub fn f1<const MAC: usize>(&self, Rand(rand): &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; MAC] {
        taken(&self.permuted(length(MAC), rand, sqn.to_octets(), amf), 0)
    }

    /// f1\*: MAC-S, of 8, 16 or 32 octets.
    pub fn f1_star<const MAC: usize>(&self, Rand(rand): &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; MAC] {
        taken(&self.permuted(0x80 | length(MAC), rand, sqn.to_octets(), amf), 0)
    }

    /// f2 (4, 8, 16 or 32 octets), f3, f4 (16 or 32 each) and f5.
    pub fn f2345<const RES: usize, const CK: usize, const IK: usize>(
        &self,
        Rand(rand): &Rand,
    ) -> ([u8; RES], [u8; CK], [u8; IK], [u8; 6]) {
        let long = |octets, bit| if octets == 32 { bit } else { 0 };
        let instance = 0x40 | length(RES) | long(CK, 4) | long(IK, 2);
        let out = self.permuted(instance, rand, [0; 6], [0; 2]);
        (taken(&out, 0), taken(&out, 32), taken(&out, 64), taken(&out, 96))
    }

    /// f5\*: AK of a re-synchronisation.
    pub fn f5_star(&self, Rand(rand): &Rand) -> [u8; 6] {
        taken(&self.permuted(0xc0, rand, [0; 6], [0; 2]), 96)
    }

    fn permuted(&self, instance: u8, rand: &[u8; 16], sqn: [u8; 6], amf: [u8; 2]) -> Zeroizing<[u8; 200]> {
        let k = self.k.expose();
        let instance = instance | u8::from(k.len() == 32);
        let mut octets = Zeroizing::new([0u8; 200]);
        let mut at = octets.iter_mut();
        let mut put = |field: &[u8]| field.iter().rev().zip(&mut at).for_each(|(from, to)| *to = *from);
        put(self.topc.expose());
        put(&[instance]);
        put(NAME);
        put(rand);
        put(&amf);
        put(&sqn);
        put(k);
        for (n, padding) in [(96, 0x1f), (135, 0x80)] {
            octets.get_mut(n).into_iter().for_each(|o: &mut u8| *o = padding);
        }
        let mut state = [0u64; 25];
        for (lane, o) in state.iter_mut().zip(octets.as_chunks::<8>().0) {
            *lane = u64::from_le_bytes(*o);
        }
        Keccak::new().with_f1600(|f| (0..self.iterations.get()).for_each(|_| f(&mut state)));
        for (lane, o) in state.iter().zip(octets.as_chunks_mut::<8>().0) {
            *o = lane.to_le_bytes();
        }
        state.zeroize();
        octets
    }
}

/// Its place in INSTANCE: 8, 16, 32 octets set one bit each, 4 octets none.
fn length(octets: usize) -> u8 {
    match octets {
        8 => 0x08,
        16 => 0x10,
        32 => 0x20,
        _ => 0,
    }
}

fn taken<const N: usize>(out: &[u8; 200], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.iter_mut().rev().zip(out.iter().skip(at)).for_each(|(to, from)| *to = *from);
    field
}

impl Aka for TuakKeys {
    fn f1(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        self.f1::<8>(rand, sqn, amf)
    }

    fn f1_star(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        self.f1_star::<8>(rand, sqn, amf)
    }

    fn f2345(&self, rand: &Rand) -> F2345 {
        let (res, ck, ik, ak) = self.f2345::<8, 16, 16>(rand);
        F2345 { res, ck, ik, ak }
    }

    fn f5_star(&self, rand: &Rand) -> [u8; 6] {
        self.f5_star(rand)
    }
}
