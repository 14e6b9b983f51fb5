//! A card's algorithm set with its keys: what home network and USIM compute the same of.

use crate::aka::Aka;
use crate::milenage::{F2345, Milenage};
use crate::tuak::TuakKeys;
use types::{K, Opc, Rand, Sqn};

/// Keys of a card, by its algorithm set.
#[derive(Clone, PartialEq, Eq)]
pub enum CardKeys {
    /// TS 35.206.
    Milenage {
        /// K.
        k: K,
        /// OPc.
        opc: Opc,
    },
    /// TS 35.231.
    Tuak(TuakKeys),
}

impl CardKeys {
    /// Made ready for computation.
    pub fn card(&self) -> Card {
        match self {
            Self::Milenage { k, opc } => Card::Milenage(Milenage::new(k, opc)),
            Self::Tuak(keys) => Card::Tuak(keys.clone()),
        }
    }
}

/// An algorithm set ready for computation.
pub enum Card {
    /// TS 35.206.
    Milenage(Milenage),
    /// TS 35.231.
    Tuak(TuakKeys),
}

impl Card {
    fn functions(&self) -> &dyn Aka {
        match self {
            Self::Milenage(m) => m,
            Self::Tuak(t) => t,
        }
    }
}

impl Aka for Card {
    fn f1(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        self.functions().f1(rand, sqn, amf)
    }

    fn f1_star(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        self.functions().f1_star(rand, sqn, amf)
    }

    fn f2345(&self, rand: &Rand) -> F2345 {
        self.functions().f2345(rand)
    }

    fn f5_star(&self, rand: &Rand) -> [u8; 6] {
        self.functions().f5_star(rand)
    }

    fn f12345(&self, rand: &Rand, sqn: Sqn, amf: [u8; 2]) -> ([u8; 8], F2345) {
        self.functions().f12345(rand, sqn, amf)
    }
}
