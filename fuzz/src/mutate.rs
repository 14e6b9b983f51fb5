//! How an input is changed: the mistakes and tricks that message formats invite.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Longest input that is made, unless a message is blown up on purpose.
const LONG: usize = 8_192;

/// Longest input at all: a whole SCTP message or UDP datagram.
const LONGEST: usize = 65_535;

/// Values at the borders of ranges.
const BORDERS: [u8; 9] = [0, 1, 2, 0x0f, 0x10, 0x7f, 0x80, 0xfe, 0xff];

/// A repeatable source of changes.
pub struct Mutator(ChaCha8Rng);

impl Mutator {
    /// The same seed makes the same changes.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `n`; 0 for `n` = 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % (n.max(1) as u64)) as usize
    }

    /// A changed input, made of one of `corpus` or of nothing.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = match corpus.get(self.below(corpus.len())) {
            Some(seed) if self.below(64) > 0 => seed.clone(),
            _ => {
                let len = self.below(64);
                self.bytes(len)
            }
        };
        for _ in 0..=self.below(4) {
            self.change(&mut input, corpus);
        }
        input.truncate(LONGEST);
        input
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut b = vec![0; len];
        self.0.fill_bytes(&mut b);
        b
    }

    /// A range of up to `most` octets inside `len`.
    fn range(&mut self, len: usize, most: usize) -> std::ops::Range<usize> {
        let from = self.below(len + 1);
        let to = from + self.below((len - from).min(most) + 1);
        from..to
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let len = input.len();
        let at = self.below(len);
        match self.below(16) {
            0 | 1 => self.one(input, at, |b, r| b ^ (1 << (r % 8))),
            2 | 3 => {
                self.one(input, at, |_, r| BORDERS.get(r as usize % BORDERS.len()).copied().unwrap_or(0))
            }
            4 => self.one(input, at, |_, r| r),
            // Lengths that are one off are what decoders trip over.
            5 => self.one(input, at, |b, _| b.wrapping_add(1)),
            6 => self.one(input, at, |b, _| b.wrapping_sub(1)),
            7 => input.truncate(at),
            8 => {
                let range = self.range(len, 16);
                input.drain(range);
            }
            9 => {
                let n = 1 + self.below(8);
                let new = self.bytes(n);
                input.splice(at..at, new);
            }
            10 => {
                let range = self.range(len, 64);
                let copy = input.get(range).unwrap_or_default().to_vec();
                input.splice(at..at, copy);
            }
            11 => self.number(input, at),
            12 | 13 => self.graft(input, corpus),
            14 => {
                let range = self.range(len, 8);
                let fill = BORDERS.get(self.below(BORDERS.len())).copied().unwrap_or(0);
                input.get_mut(range).unwrap_or_default().fill(fill);
            }
            _ => self.blow_up(input),
        }
    }

    fn one(&mut self, input: &mut [u8], at: usize, new: impl Fn(u8, u8) -> u8) {
        let r = self.0.next_u32() as u8;
        if let Some(b) = input.get_mut(at) {
            *b = new(*b, r);
        }
    }

    /// A 16- or 32-bit number at the border of its range.
    fn number(&mut self, input: &mut [u8], at: usize) {
        let wide: [u32; 6] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, input.len() as u32];
        let n = wide.get(self.below(wide.len())).copied().unwrap_or(0).to_be_bytes();
        let n = if self.below(2) == 0 { n.get(2..) } else { n.get(..) }.unwrap_or_default();
        if let Some(to) = input.get_mut(at..at + n.len()) {
            to.copy_from_slice(n);
        }
    }

    /// A piece of another input in the place of a piece of this one.
    fn graft(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let Some(other) = corpus.get(self.below(corpus.len())) else { return };
        let from = self.range(other.len(), LONG);
        let to = self.range(input.len(), LONG);
        let piece = other.get(from).unwrap_or_default().to_vec();
        input.splice(to, piece);
        input.truncate(LONG);
    }

    /// A piece many times, seldom: long lists, deep nests, full datagrams.
    fn blow_up(&mut self, input: &mut Vec<u8>) {
        if self.below(8) > 0 {
            return;
        }
        let range = self.range(input.len(), 64);
        let piece = input.get(range.clone()).unwrap_or_default().to_vec();
        if piece.is_empty() {
            return;
        }
        let room = if self.below(4) == 0 { LONGEST } else { LONG }.saturating_sub(input.len());
        let times = self.below(room / piece.len() + 1);
        input.splice(range.end..range.end, piece.repeat(times));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let corpus = [vec![1, 2, 3, 4], vec![0xff; 40]];
        let (mut a, mut b) = (Mutator::new(5), Mutator::new(5));
        for _ in 0..5_000 {
            let input = a.next(&corpus);
            assert_eq!(input, b.next(&corpus));
            assert!(input.len() <= LONGEST);
        }
        assert!((0..100).any(|_| a.next(&[]).len() > 8), "something comes of nothing");
    }
}
