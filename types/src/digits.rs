//! Strings of decimal digits of a bounded length: the stuff IMSI, IMEI and ICCID are made of.

use thiserror::Error;

/// Why a string of digits was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DigitError {
    /// The number of digits is outside what the identity allows.
    #[error("{what} has {min} to {max} digits, this has {got}")]
    Length {
        /// The identity, as the spec names it.
        what: &'static str,
        /// Fewest digits allowed.
        min: usize,
        /// Most digits allowed.
        max: usize,
        /// Digits (or characters) found.
        got: usize,
    },
    /// A character that is not a decimal digit, with its zero-based position.
    #[error("{what} holds only digits 0-9; character {at} is not one")]
    NotADigit {
        /// The identity, as the spec names it.
        what: &'static str,
        /// Zero-based position of the offending character.
        at: usize,
    },
    /// The last digit does not match the Luhn check of the others.
    #[error("the check digit of this {what} should be {expected}")]
    CheckDigit {
        /// The identity, as the spec names it.
        what: &'static str,
        /// The digit that would be right.
        expected: u8,
    },
}

/// Up to 20 decimal digits, kept with their leading zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digits {
    value: u64,
    len: u8,
}

impl Digits {
    /// Parses ASCII digits. `max` must not exceed 19, so that the value fits 64 bits.
    pub(crate) fn parse(what: &'static str, s: &str, min: usize, max: usize) -> Result<Self, DigitError> {
        let got = s.chars().count();
        if let Some(at) = s.chars().position(|c| !c.is_ascii_digit()) {
            return Err(DigitError::NotADigit { what, at });
        }
        if got < min || got > max {
            return Err(DigitError::Length { what, min, max, got });
        }
        let value = s.bytes().fold(0u64, |v, b| v.wrapping_mul(10).wrapping_add(u64::from(b - b'0')));
        Ok(Self { value, len: got as u8 })
    }

    /// The digits as a number; leading zeros are lost.
    pub(crate) fn value(self) -> u64 {
        self.value
    }

    /// How many digits there are.
    pub(crate) fn len(self) -> usize {
        usize::from(self.len)
    }

    /// The first `n` digits; all of them where there are not so many.
    pub(crate) fn first(self, n: u8) -> Self {
        let len = self.len.min(n);
        Self { value: self.value / 10u64.pow(u32::from(self.len - len)), len }
    }

    /// The digits from the left, as numbers 0–9.
    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..self.len).rev().map(move |p| ((self.value / 10u64.pow(u32::from(p))) % 10) as u8)
    }
}

impl std::fmt::Display for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:0width$}", self.value, width = self.len())
    }
}

/// The Luhn check digit (ITU-T E.118 for ICCID, TS 23.003 Annex B for IMEI) of `digits`.
pub(crate) fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> u8 {
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(d) * if i % 2 == 0 { 2 } else { 1 };
            d / 10 + d % 10
        })
        .sum();
    ((10 - sum % 10) % 10) as u8
}

/// Serde through the canonical text form, for types with `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($t:ty) => {
        impl serde::Serialize for $t {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $t {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let s = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                s.parse().map_err(serde::de::Error::custom)
            }
        }
        impl std::fmt::Debug for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}
pub(crate) use serde_as_text;
