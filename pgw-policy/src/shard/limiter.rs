//! A token bucket for answers of ours.

use types::Mono;

/// Lets `rate` things a second through, at most `rate` at once.
pub(super) struct Limiter {
    rate: u64,
    tokens: u64,
    last: Mono,
}

impl Limiter {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate: u64::from(rate), tokens: u64::from(rate), last: Mono(0) }
    }

    pub(super) fn take(&mut self, now: Mono) -> bool {
        let earned = now.ms_since(self.last).saturating_mul(self.rate) / 1000;
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(self.rate);
            self.last = now;
        }
        let ok = self.tokens > 0;
        self.tokens -= u64::from(ok);
        ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_rate_passes() {
        let mut l = Limiter::new(10);
        let at = |ms| Mono(0).plus_ms(ms);
        assert_eq!((0..100).filter(|_| l.take(at(1))).count(), 10);
        assert!(!l.take(at(99)));
        assert!(l.take(at(201)) && l.take(at(201)) && !l.take(at(201)));
        assert_eq!((0..100).filter(|_| l.take(at(100_000))).count(), 10);
    }
}
