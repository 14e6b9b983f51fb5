//! A relay that damages messages: what a faulty link does, or somebody who sits in it, behind SCTP's checksum.
//!
//! A pure core: it says what arrives of a message. Who owns it carries messages from one side to the other, here
//! between the simulated radio and its AMF. The seed decides everything, so that a run can be had again.

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

/// Octets that are changed, or added, at most.
const AT_ONCE: u32 = 8;

/// What was done to how many messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Passed as they were.
    pub whole: u64,
    /// One bit turned over.
    pub flipped: u64,
    /// A few octets in a row written over.
    pub overwritten: u64,
    /// Cut short.
    pub cut: u64,
    /// Lengthened by a few octets, somewhere.
    pub lengthened: u64,
    /// Passed twice.
    pub twice: u64,
    /// Lost.
    pub lost: u64,
}

impl Tally {
    /// Messages that did not pass as they were.
    pub fn damaged(&self) -> u64 {
        self.flipped + self.overwritten + self.cut + self.lengthened + self.twice + self.lost
    }
}

/// The relay.
pub struct Relay {
    chance: ChaCha20Rng,
    per_mille: u16,
    tally: Tally,
}

impl Relay {
    /// Damages so many of a thousand messages.
    pub fn new(per_mille: u16, seed: u64) -> Self {
        Self { chance: ChaCha20Rng::seed_from_u64(seed), per_mille, tally: Tally::default() }
    }

    /// What it has done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What arrives of a message: what goes on to the other side, in this order.
    pub fn pass(&mut self, mut message: Vec<u8>) -> Vec<Vec<u8>> {
        if self.below(1_000) >= u32::from(self.per_mille) {
            self.tally.whole += 1;
            return vec![message];
        }
        let at = self.below(message.len().try_into().unwrap_or(u32::MAX)) as usize;
        let count = 1 + self.below(AT_ONCE) as usize;
        let done = match self.below(6) {
            0 => {
                let bit = 1 << self.below(8);
                message.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= bit);
                &mut self.tally.flipped
            }
            1 => {
                self.chance.fill_bytes(message.get_mut(at..).map_or(&mut [], |m| {
                    let end = count.min(m.len());
                    m.get_mut(..end).unwrap_or_default()
                }));
                &mut self.tally.overwritten
            }
            2 => {
                message.truncate(at);
                &mut self.tally.cut
            }
            3 => {
                let mut more = vec![0; count];
                self.chance.fill_bytes(&mut more);
                message.splice(at..at, more);
                &mut self.tally.lengthened
            }
            4 => {
                self.tally.twice += 1;
                return vec![message.clone(), message];
            }
            _ => {
                self.tally.lost += 1;
                return Vec::new();
            }
        };
        *done += 1;
        // An empty message cannot be sent; SCTP has none.
        if message.is_empty() { Vec::new() } else { vec![message] }
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: u32) -> u32 {
        self.chance.next_u32().checked_rem(end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_damaged_as_was_said_each_in_every_way_and_a_seed_does_the_same_again() {
        let run = || {
            let mut relay = Relay::new(10, 7);
            let mut seen = Vec::new();
            for n in 0..100_000u32 {
                let message = n.to_be_bytes().repeat(1 + n as usize % 20);
                let out = relay.pass(message.clone());
                if out != [message] {
                    seen.push((n, out));
                }
            }
            (relay.tally(), seen)
        };
        let (tally, seen) = run();
        assert_eq!(tally.whole + tally.damaged(), 100_000);
        assert!((900..1_100).contains(&tally.damaged()), "{tally:?}");
        let each = [tally.flipped, tally.overwritten, tally.cut, tally.lengthened, tally.twice, tally.lost];
        assert!(each.iter().all(|n| *n > 100), "{tally:?}");
        // Octets that are written over by the same ones are few.
        assert!(tally.damaged() - seen.len() as u64 <= 5, "{} of {tally:?}", seen.len());
        assert!(run() == (tally, seen));
        let mut relay = Relay::new(0, 7);
        assert!((0..1_000u32).all(|n| relay.pass(vec![n as u8]) == [[n as u8]]));
        let mut relay = Relay::new(1_000, 7);
        for _ in 0..1_000 {
            assert!(relay.pass(Vec::new()).iter().all(|m| m.len() <= 8));
        }
    }
}
