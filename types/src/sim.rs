//! The life of a SIM (decision D6).

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// State of a SIM. A ban is a change to `Lost` or `Stolen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SimState {
    /// Known, in a drawer; may not attach.
    Stock,
    /// Given to somebody, not yet used; the first attach makes it active.
    Ready,
    /// In use.
    Active,
    /// Paused by the company; comes back by `resume`.
    Suspended,
    /// Banned: reported lost.
    Lost,
    /// Banned: reported stolen.
    Stolen,
    /// At its end; its key is destroyed.
    Retired,
}

/// A change of state that the table of D6 does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a SIM that is {from} cannot become {to}")]
pub struct TransitionError {
    /// State that it is in.
    pub from: SimState,
    /// State that was asked for.
    pub to: SimState,
}

impl SimState {
    /// All states, in the order of a SIM's life.
    pub const ALL: [Self; 7] =
        [Self::Stock, Self::Ready, Self::Active, Self::Suspended, Self::Lost, Self::Stolen, Self::Retired];

    /// True where the SIM may attach.
    pub fn may_attach(self) -> bool {
        matches!(self, Self::Ready | Self::Active)
    }

    /// True where the SIM is banned, i.e. the gateway must drop all its packets by its own set.
    pub fn is_banned(self) -> bool {
        matches!(self, Self::Lost | Self::Stolen)
    }

    /// The change to `to`, where the table allows it.
    pub fn change_to(self, to: Self) -> Result<Self, TransitionError> {
        use SimState::*;
        let ok = match (self, to) {
            (Retired, _) => false,
            (a, b) if a == b => false,
            // Whatever may still be found in somebody's hands may be banned or retired at any time.
            (_, Lost | Stolen | Retired) => true,
            (Stock, Ready | Active) | (Ready, Active | Stock | Suspended) => true,
            (Active, Suspended | Stock) | (Suspended, Active | Stock) => true,
            // An unban puts it back where it can be used, or back into the drawer.
            (Lost | Stolen, Active | Suspended | Stock) => true,
            _ => false,
        };
        if ok { Ok(to) } else { Err(TransitionError { from: self, to }) }
    }
}

impl fmt::Display for SimState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stock => "stock",
            Self::Ready => "ready",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Lost => "lost",
            Self::Stolen => "stolen",
            Self::Retired => "retired",
        })
    }
}

impl FromStr for SimState {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        Self::ALL
            .into_iter()
            .find(|v| v.to_string() == s)
            .ok_or("a SIM's state is one of stock, ready, active, suspended, lost, stolen, retired")
    }
}
