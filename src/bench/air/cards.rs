//! The SIMs: what both sides know of them, and what the MME's side has seen of their vectors.

use anyhow::{Context, Result, ensure};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use sim_auth::{Aka as _, eps::kasme, milenage::Milenage};
use std::collections::HashSet;
use types::{Autn, Imsi, K, Opc, Plmn, Rand, Sqn};
use wire::diameter::EutranVector;

/// Keys of one SIM.
pub(super) struct Card {
    pub k: K,
    pub opc: Opc,
}

impl Card {
    pub fn milenage(&self) -> Milenage {
        Milenage::new(&self.k, &self.opc)
    }
}

/// Keys of all SIMs, drawn from a seed.
pub(super) struct Cards {
    keys: Vec<[u8; 32]>,
    /// Every other one counts SEQ up in place of reading the clock.
    mixed: bool,
}

impl Cards {
    pub fn draw(sims: u32, mixed: bool, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut one = || {
            let mut k = [0; 32];
            rng.fill_bytes(&mut k);
            k
        };
        Self { keys: (0..sims).map(|_| one()).collect(), mixed }
    }

    /// How many.
    pub fn len(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    pub fn imsi(n: u32) -> Result<Imsi> {
        Ok(digits(n).parse()?)
    }

    pub fn card(&self, n: u32) -> Result<Card> {
        let (k, opc) = self.keys.get(n as usize).context("a SIM")?.split_at(16);
        Ok(Card { k: K::new(k.try_into()?), opc: Opc::new(opc.try_into()?) })
    }

    /// Whether its SEQ is counted.
    pub fn counts(&self, n: u32) -> bool {
        self.mixed && n % 2 == 1
    }
}

/// IMSI of the n-th.
pub(super) fn digits(n: u32) -> String {
    format!("00101{n:010}")
}

/// Every (SIM, SEQ, IND) that came in a vector.
#[derive(Default)]
pub(super) struct Seen {
    all: HashSet<(u32, Sqn)>,
    /// What came twice.
    pub twice: Vec<String>,
}

impl Seen {
    /// How many different ones.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Opens the vector with the SIM's own keys, as its card and the MME's KASME would have it, and notes its SQN.
    ///
    /// # Errors
    /// What in it is wrong. An SQN that came before is none of that: it is noted.
    pub fn note(&mut self, cards: &Cards, n: u32, v: &EutranVector, plmn: Plmn) -> Result<()> {
        let autn = Autn(v.autn);
        let opened = cards.card(n)?.milenage().open_autn(&Rand(v.rand), &autn);
        let opened = opened.map_err(|_| anyhow::anyhow!("MAC-A of a vector of {} is wrong", digits(n)))?;
        ensure!(v.xres == opened.res.expose().as_slice(), "XRES of a vector of {} is wrong", digits(n));
        let key = kasme(&opened.ck, &opened.ik, plmn, &autn);
        ensure!(v.kasme == *key.expose(), "KASME of a vector of {} is wrong", digits(n));
        ensure!(opened.amf[0] & 0x80 != 0, "the separation bit of a vector of {} is 0", digits(n));
        if !self.all.insert((n, opened.sqn)) {
            // Ordinary cards: five bits of IND.
            let (seq, ind) = (opened.sqn.seq(5), u64::from(opened.sqn.to_octets()[5] & 0x1f));
            self.twice.push(format!("{} SEQ {seq} IND {ind} came twice", digits(n)));
        }
        Ok(())
    }
}
