//! The lease: an interval of ownership.

use serde::{Deserialize, Serialize};
use types::{Dnn, Imsi, UeIp, Utc};

/// One SIM owned one address in one data network from `start` up to, not including, `end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The owner.
    pub imsi: Imsi,
    /// The data network.
    pub dnn: Dnn,
    /// The address.
    pub ip: UeIp,
    /// First instant of ownership.
    pub start: Utc,
    /// First instant after it; `None` while it lasts.
    pub end: Option<Utc>,
}

impl Lease {
    /// True where `at` lies inside.
    pub fn covers(&self, at: Utc) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }

    /// The same lease, ended. A clock that stepped back does not make it end before it began.
    pub(crate) fn ended(self, now: Utc) -> Self {
        Self { end: Some(now.max(self.start)), ..self }
    }
}

/// What [`crate::Ledger::assign`] found or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assign {
    /// The SIM has this lease already: nothing to write.
    Existing(Lease),
    /// A lease that must be durable before the UE hears of it. Where that fails, call
    /// [`crate::Ledger::undo`].
    New {
        /// The lease that begins.
        lease: Lease,
        /// The SIM's old lease that ended for it, because a reservation names another address. Sessions on
        /// the old address must end.
        ended: Option<Lease>,
    },
}

impl Assign {
    /// The lease that holds now.
    pub fn lease(&self) -> &Lease {
        match self {
            Self::Existing(lease) | Self::New { lease, .. } => lease,
        }
    }
}
