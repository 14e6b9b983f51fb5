//! One ceiling for all SIMs whose SEQ follows the clock.
//!
//! SEQ of such a SIM is clock + offset, or little more. So that no SEQ of any of them lies above *tick + offset* can be
//! written ahead for all of them in one number, the *horizon*: a vector of a SIM that nobody ever asked about needs no write
//! of its own, and a site that comes back after a power cut waits for none. A SIM that has outrun the horizon, and a
//! SIM that counts ([`SqnMode::Counter`](crate::SqnMode)), writes its own ceiling as ever.
//!
//! | what | what saves us |
//! | --- | --- |
//! | crash, kill −9 | a start goes on above the horizon that is stored, for every SIM |
//! | the horizon cannot be written | each SIM's own ceiling |
//! | the clock had been far ahead, and was put right | the horizon is [astray](SqnHorizon::is_astray): it is folded into the ceilings ([`SqnState::folded`](crate::SqnState)), which the cards' AUTS then move one by one; a new horizon begins at the clock |
//! | start after start | each adds 64 ticks at most where the clock has not come up |

use crate::sqn::{LEAD, RESERVE};
use serde::{Deserialize, Serialize};

/// The horizon, in ticks of [`TICK_MS`](crate::sqn::TICK_MS) since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqnHorizon {
    start: i64,
    durable: i64,
}

/// Where nothing was written ahead: no SIM has a SEQ below it.
const NONE: i64 = i64::MIN;

impl SqnHorizon {
    /// Goes on from what is durable; `None` where there never was one.
    pub fn load(stored: Option<i64>) -> Self {
        let tick = stored.unwrap_or(NONE);
        Self { start: tick, durable: tick }
    }

    /// True of a stored horizon that the clock will not reach soon: the clock was put back since it was written. It would hold
    /// every SIM far ahead, again after each start, whatever its card proves.
    pub fn is_astray(stored: i64, clock: i64) -> bool {
        stored.saturating_sub(clock) > ticks(2 * LEAD)
    }

    /// The one that was stored when we started: what may have left in an earlier life lies below it.
    pub fn at_start(&self) -> i64 {
        self.start
    }

    /// The one that is durable now: what may leave lies below it.
    pub fn durable(&self) -> i64 {
        self.durable
    }

    /// The one to write now, if that is worth a write: an hour above the clock, and some above where the SIMs went on at
    /// our start.
    pub fn renewal(&self, clock: i64) -> Option<i64> {
        let next = self.start.max(clock);
        let wanted = clock.saturating_add(ticks(LEAD)).max(self.start.saturating_add(ticks(RESERVE)));
        let room = |horizon: i64| horizon.saturating_sub(next).max(0);
        (room(self.durable) < room(wanted) / 4 * 3).then_some(wanted)
    }

    /// `horizon` is durable. It never sinks.
    pub fn persisted(&mut self, horizon: i64) {
        self.durable = self.durable.max(horizon);
    }
}

fn ticks(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
