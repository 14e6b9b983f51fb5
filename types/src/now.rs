//! Time as it comes in: integers, never a clock.

use serde::{Deserialize, Serialize};

/// Monotonic time in nanoseconds since an arbitrary start of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Mono(pub u64);

impl Mono {
    /// This instant plus `ms` milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// Milliseconds from `earlier` to this instant; 0 if `earlier` is later.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }
}

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z; it may step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Utc(pub i64);

/// Both times, read once by whoever owns the socket or timer, and handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    /// Monotonic nanoseconds: for timers.
    pub mono: Mono,
    /// Wall-clock milliseconds: for records, schedules and the SQN clock.
    pub utc: Utc,
}

impl Now {
    /// This instant moved forward by `ms` milliseconds on both clocks.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self { mono: self.mono.plus_ms(ms), utc: Utc(self.utc.0.saturating_add(ms as i64)) }
    }
}
