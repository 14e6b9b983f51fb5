//! The timers of a UE (TS 24.501 §10.2, §10.3).

use std::collections::BTreeMap;
use types::Mono;

/// A timer that may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Registration, 15 s.
    T3510,
    /// Service request, 15 s.
    T3517,
    /// Deregistration, 15 s.
    T3521,
    /// T3580, T3581, T3582: a 5GSM transaction, 16 s.
    Session(u8),
}

impl Timer {
    fn ms(self) -> u64 {
        match self {
            Self::T3510 | Self::T3517 | Self::T3521 => 15_000,
            Self::Session(_) => 16_000,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Timers(BTreeMap<Timer, Mono>);

impl Timers {
    pub(super) fn start(&mut self, t: Timer, now: Mono) {
        self.0.insert(t, now.plus_ms(t.ms()));
    }

    pub(super) fn stop(&mut self, t: Timer) {
        self.0.remove(&t);
    }

    pub(super) fn next(&self) -> Option<Mono> {
        self.0.values().min().copied()
    }

    /// Takes out one that ran off.
    pub(super) fn expired(&mut self, now: Mono) -> Option<Timer> {
        let t = self.0.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at).map(|(t, _)| *t)?;
        self.0.remove(&t);
        Some(t)
    }
}
