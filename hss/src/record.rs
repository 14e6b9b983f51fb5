//! A SIM as the directory holds it.

use crate::vault::{SealedKeys, VaultError};
use serde::{Deserialize, Serialize};
use sim_auth::{CardKeys, IndSplitError, SqnProfile, SqnState};
use thiserror::Error;
use types::{Imsi, SimState, Subscription};

/// The algorithm set that the card runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// TS 35.206.
    Milenage,
    /// TS 35.231.
    Tuak,
}

impl Algorithm {
    /// That of a card with these keys.
    pub fn of(keys: &CardKeys) -> Self {
        match keys {
            CardKeys::Milenage { .. } => Self::Milenage,
            CardKeys::Tuak(_) => Self::Tuak,
        }
    }

    /// Its word in SQL and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Milenage => "milenage",
            Self::Tuak => "tuak",
        }
    }
}

impl std::str::FromStr for Algorithm {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = [Self::Milenage, Self::Tuak].into_iter().find(|a| a.as_str() == s);
        found.ok_or("an algorithm is milenage or tuak")
    }
}

/// One SIM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimRecord {
    /// Who.
    pub imsi: Imsi,
    /// K with OPc or TOPc, sealed for this IMSI.
    pub sealed: SealedKeys,
    /// What the card computes.
    pub algorithm: Algorithm,
    /// How the card checks SQN.
    pub sqn_profile: SqnProfile,
    /// What of its SQN is durable at this node.
    pub sqn_state: SqnState,
    /// Where it is in its life.
    pub state: SimState,
    /// What it may have once admitted; its `supi` is that of `imsi`.
    pub subscription: Subscription,
}

/// Why a record cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Its keys do not open.
    #[error("the sealed keys of this SIM do not open: {0}")]
    Keys(#[from] VaultError),
    /// Its IND has no room for the nodes.
    #[error(transparent)]
    IndSplit(#[from] IndSplitError),
    /// Its keys are those of another algorithm set.
    #[error("the sealed keys of this SIM are not those of its algorithm")]
    Algorithm,
    /// Its subscription names another SIM.
    #[error("the subscription of this SIM names another SUPI")]
    Supi,
    /// It has no data network.
    #[error("a SIM has at least one data network")]
    NoDataNetwork,
}
