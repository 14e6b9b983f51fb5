//! Milenage (TS 35.206): the authentication and key functions f1, f1\*, f2 … f5, f5\* on AES-128.
//!
//! ```text
//! TEMP = E_K(RAND ⊕ OPc)                     IN1 = SQN ‖ AMF ‖ SQN ‖ AMF
//! OUT1 = E_K(TEMP ⊕ rot(IN1 ⊕ OPc, 64)) ⊕ OPc          f1 ‖ f1*
//! OUT2 = E_K(rot(TEMP ⊕ OPc,  0) ⊕ 1)   ⊕ OPc          f5 (first 48 bits), f2 (last 64)
//! OUT3 = E_K(rot(TEMP ⊕ OPc, 32) ⊕ 2)   ⊕ OPc          f3
//! OUT4 = E_K(rot(TEMP ⊕ OPc, 64) ⊕ 4)   ⊕ OPc          f4
//! OUT5 = E_K(rot(TEMP ⊕ OPc, 96) ⊕ 8)   ⊕ OPc          f5*
//! ```
//!
//! The rotations and constants are the recommended ones of §4.1. A block is held as a 128-bit number,
//! so a rotation is one instruction.

use aes::{
    Aes128Enc, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use types::{K, Opc, Rand, Sqn};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// K's key schedule and OPc: everything that is computed once per SIM. Zeroed on drop.
pub struct Milenage {
    aes: Aes128Enc,
    opc: Secret128,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Secret128(u128);

/// What f2 … f5 give for one challenge, of whichever algorithm set. Zeroed on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct F2345 {
    /// f2: RES.
    pub res: [u8; 8],
    /// f3: CK.
    pub ck: [u8; 16],
    /// f4: IK.
    pub ik: [u8; 16],
    /// f5: AK.
    pub ak: [u8; 6],
}

/// OPc from K and the operator's OP (TS 35.206 §4.1).
pub fn opc(k: &K, op: &[u8; 16]) -> Opc {
    let mut block = Block::from(*op);
    Aes128Enc::new(k.expose().into()).encrypt_block(&mut block);
    let made = Opc::new((u128::from_be_bytes(block.into()) ^ u128::from_be_bytes(*op)).to_be_bytes());
    block.zeroize();
    made
}

impl Milenage {
    /// Expands K once; every function below uses that schedule.
    pub fn new(k: &K, opc: &Opc) -> Self {
        Self { aes: Aes128Enc::new(k.expose().into()), opc: Secret128(u128::from_be_bytes(*opc.expose())) }
    }

    /// f1: MAC-A.
    pub fn f1(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        let [o1] = self.out([self.in1(self.temp(rand), sqn, amf)]);
        high_64(o1)
    }

    /// f1\*: MAC-S.
    pub fn f1_star(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        let [o1] = self.out([self.in1(self.temp(rand), sqn, amf)]);
        low_64(o1)
    }

    /// f2, f3, f4 and f5.
    pub fn f2345(&self, rand: &Rand) -> F2345 {
        let t = self.temp(rand);
        let [o2, o3, o4] = self.out([self.in2(t), self.in3(t), self.in4(t)]);
        F2345::from_out(o2, o3, o4)
    }

    /// f5\*: AK of a re-synchronisation.
    pub fn f5_star(&self, rand: &Rand) -> [u8; 6] {
        let [o5] = self.out([self.in5(self.temp(rand))]);
        high_48(o5)
    }

    /// f1 together with f2 … f5: what a vector needs, its last four blocks in one pass.
    pub fn f12345(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> ([u8; 8], F2345) {
        let t = self.temp(rand);
        let [o1, o2, o3, o4] = self.out([self.in1(t, sqn, amf), self.in2(t), self.in3(t), self.in4(t)]);
        (high_64(o1), F2345::from_out(o2, o3, o4))
    }

    fn temp(&self, Rand(rand): &Rand) -> u128 {
        let mut block = Block::from((u128::from_be_bytes(*rand) ^ self.opc.0).to_be_bytes());
        self.aes.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }

    fn in1(&self, temp: u128, sqn: Sqn, amf: [u8; 2]) -> u128 {
        let half = u128::from(sqn.value() << 16 | u64::from(u16::from_be_bytes(amf)));
        temp ^ ((half << 64 | half) ^ self.opc.0).rotate_left(64)
    }

    fn in2(&self, temp: u128) -> u128 {
        (temp ^ self.opc.0) ^ 1
    }

    fn in3(&self, temp: u128) -> u128 {
        (temp ^ self.opc.0).rotate_left(32) ^ 2
    }

    fn in4(&self, temp: u128) -> u128 {
        (temp ^ self.opc.0).rotate_left(64) ^ 4
    }

    fn in5(&self, temp: u128) -> u128 {
        (temp ^ self.opc.0).rotate_left(96) ^ 8
    }

    /// E_K(input) ⊕ OPc for several inputs, which the processor's AES unit works on side by side.
    fn out<const N: usize>(&self, inputs: [u128; N]) -> [u128; N] {
        let mut blocks = inputs.map(|b| Block::from(b.to_be_bytes()));
        self.aes.encrypt_blocks(&mut blocks);
        blocks.map(|b| u128::from_be_bytes(b.into()) ^ self.opc.0)
    }
}

impl F2345 {
    fn from_out(o2: u128, o3: u128, o4: u128) -> Self {
        Self { res: low_64(o2), ck: o3.to_be_bytes(), ik: o4.to_be_bytes(), ak: high_48(o2) }
    }
}

fn high_64(b: u128) -> [u8; 8] {
    ((b >> 64) as u64).to_be_bytes()
}

fn low_64(b: u128) -> [u8; 8] {
    (b as u64).to_be_bytes()
}

fn high_48(b: u128) -> [u8; 6] {
    let [_, _, r @ ..] = ((b >> 80) as u64).to_be_bytes();
    r
}
