//! Guards sign-in against guessing: after some failures an operator's name waits, but only from the address that they
//! came from, so that nobody can lock an owner out from elsewhere.
//!
//! An address as a whole waits too, after more failures, whatever names it tried. The names need not exist: what is
//! counted tells nothing about who does. IPv6 addresses count by their /64, which one host may own whole.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};
use types::Utc;

/// Failures of one name from one address before it waits.
const PER_NAME: u32 = 5;
/// Failures from one address, whatever the name, before it waits.
const PER_ADDRESS: u32 = 30;
/// The first wait, milliseconds; each further failure doubles it.
const FIRST_WAIT: i64 = 60_000;
/// The longest wait.
const LONGEST_WAIT: i64 = 15 * 60_000;
/// Failures are forgotten after so long without one.
const FORGET: i64 = 60 * 60_000;
/// Most entries.
const ENTRIES: usize = 20_000;

/// Who failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Name(String, Option<IpAddr>),
    Address(Option<IpAddr>),
    /// Sign-ins by the provider, counted by themselves: they take nobody's password away.
    Provider(Option<IpAddr>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    last: Utc,
    until: Utc,
}

/// The failures of the last hour.
#[derive(Default)]
pub(crate) struct Guard(Mutex<HashMap<Key, Failures>>);

impl Guard {
    /// How long, in milliseconds, this name must still wait from here; `None` where it need not.
    pub(crate) fn wait(&self, name: &str, peer: Option<IpAddr>, now: Utc) -> Option<i64> {
        self.longest(&keys(name, peer), now)
    }

    /// As [`Guard::wait`], for who comes by the provider, of whom no name is known before.
    pub(crate) fn wait_at_provider(&self, peer: Option<IpAddr>, now: Utc) -> Option<i64> {
        self.longest(&[Key::Provider(whole(peer))], now)
    }

    /// Notes that a sign-in by the provider was refused.
    pub(crate) fn failed_at_provider(&self, peer: Option<IpAddr>, now: Utc) {
        self.count([Key::Provider(whole(peer))], now);
    }

    fn longest(&self, keys: &[Key], now: Utc) -> Option<i64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |k: &Key| all.get(k).map(|f| f.until.0 - now.0).filter(|ms| *ms > 0);
        keys.iter().filter_map(left).max()
    }

    /// Notes a failure; true where it makes the name wait.
    pub(crate) fn failed(&self, name: &str, peer: Option<IpAddr>, now: Utc) -> bool {
        self.count(keys(name, peer), now)
    }

    fn count<const N: usize>(&self, keys: [Key; N], now: Utc) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Some more come. Where there is no room, those that wait stay longest.
        if all.len() + N > ENTRIES {
            all.retain(|_, f| now.0 - f.last.0 < FORGET);
        }
        if all.len() + N > ENTRIES {
            all.retain(|_, f| f.until.0 > now.0);
        }
        if all.len() + N > ENTRIES {
            all.clear();
        }
        let mut waits = false;
        for key in keys {
            let most = if matches!(key, Key::Name(..)) { PER_NAME } else { PER_ADDRESS };
            let f = all.entry(key).or_default();
            if now.0 - f.last.0 >= FORGET {
                *f = Failures::default();
            }
            f.count = f.count.saturating_add(1);
            f.last = now;
            if f.count >= most {
                let doubled = FIRST_WAIT << (f.count - most).min(10);
                f.until = Utc(now.0 + doubled.min(LONGEST_WAIT));
                waits = true;
            }
        }
        waits
    }

    /// Forgets the failures of a name that signed in. Those of its address stay: who guesses at other names must not
    /// clear them with a name of his own.
    pub(crate) fn succeeded(&self, name: &str, peer: Option<IpAddr>) {
        let [of_name, _] = keys(name, peer);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&of_name);
    }
}

/// What counts as one address.
fn whole(peer: Option<IpAddr>) -> Option<IpAddr> {
    peer.map(|ip| match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    })
}

fn keys(name: &str, peer: Option<IpAddr>) -> [Key; 2] {
    let peer = whole(peer);
    // A name that is longer than any is still one entry, and no large one.
    [Key::Name(name.chars().take(64).collect(), peer), Key::Address(peer)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(s: &str) -> Option<IpAddr> {
        Some(s.parse().unwrap())
    }

    const NOW: Utc = Utc(1_800_000_000_000);

    #[test]
    fn a_name_waits_where_it_failed_and_nowhere_else() {
        let g = Guard::default();
        for n in 1..=5 {
            assert_eq!(g.wait("owner", ip("10.0.0.1"), NOW), None);
            assert_eq!(g.failed("owner", ip("10.0.0.1"), NOW), n == 5);
        }
        assert_eq!(g.wait("owner", ip("10.0.0.1"), NOW), Some(60_000));
        assert_eq!(g.wait("owner", ip("10.0.0.2"), NOW), None, "from elsewhere the owner gets in");
        assert_eq!(g.wait("other", ip("10.0.0.1"), NOW), None, "a colleague behind the same address too");
        assert_eq!(g.wait("owner", ip("10.0.0.1"), Utc(NOW.0 + 60_000)), None);
        g.failed("owner", ip("10.0.0.1"), Utc(NOW.0 + 60_000));
        assert_eq!(g.wait("owner", ip("10.0.0.1"), Utc(NOW.0 + 60_000)), Some(120_000), "twice as long");
        for _ in 0..20 {
            g.failed("owner", ip("10.0.0.1"), NOW);
        }
        assert_eq!(g.wait("owner", ip("10.0.0.1"), NOW), Some(LONGEST_WAIT));
        g.succeeded("owner", ip("10.0.0.1"));
        assert_eq!(g.wait("owner", ip("10.0.0.1"), NOW), None);
    }

    #[test]
    fn an_address_that_tries_many_names_waits_whole() {
        let g = Guard::default();
        for n in 0..30 {
            g.failed(&format!("name-{n}"), ip("10.0.0.1"), NOW);
        }
        g.succeeded("name-1", ip("10.0.0.1"));
        assert_eq!(g.wait("never-tried", ip("10.0.0.1"), NOW), Some(60_000));
        assert_eq!(g.wait("never-tried", ip("10.0.0.2"), NOW), None);
        for n in 0..30 {
            g.failed("x", ip(&format!("2001:db8:0:1::{n:x}")), NOW);
        }
        assert!(g.wait("y", ip("2001:db8:0:1:ffff::1"), NOW).is_some(), "one host may own a /64");
        assert_eq!(g.wait("y", ip("2001:db8:0:2::1"), NOW), None);
    }

    #[test]
    fn the_provider_makes_nobody_wait_who_has_a_password() {
        let g = Guard::default();
        for n in 0..30 {
            assert_eq!(g.wait_at_provider(ip("10.0.0.1"), NOW), None, "{n}");
            g.failed_at_provider(ip("10.0.0.1"), NOW);
        }
        assert_eq!(g.wait_at_provider(ip("10.0.0.1"), NOW), Some(60_000));
        assert_eq!(g.wait_at_provider(ip("10.0.0.2"), NOW), None);
        assert_eq!(g.wait("owner", ip("10.0.0.1"), NOW), None);
    }

    #[test]
    fn failures_are_forgotten_and_bounded() {
        let g = Guard::default();
        for _ in 0..4 {
            g.failed("owner", ip("10.0.0.1"), NOW);
        }
        let later = Utc(NOW.0 + FORGET);
        assert!(!g.failed("owner", ip("10.0.0.1"), later), "four an hour ago are none");
        for n in 0..ENTRIES as u32 + 100 {
            g.failed("x", Some(std::net::Ipv4Addr::from(n).into()), later);
        }
        assert!(g.0.lock().unwrap().len() <= ENTRIES);
    }
}
