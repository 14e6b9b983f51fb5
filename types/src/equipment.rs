//! The device: IMEI, IMEISV and the PEI that carries either (TS 23.003 §6.2, §6.4).

use crate::digits::{DigitError, Digits, luhn, serde_as_text};
use std::{fmt, str::FromStr};

/// International mobile equipment identity: 14 digits and their Luhn check digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imei(Digits);

impl fmt::Display for Imei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Imei {
    type Err = DigitError;
    fn from_str(s: &str) -> Result<Self, DigitError> {
        let d = Digits::parse("IMEI", s, 15, 15)?;
        let all: Vec<u8> = d.iter().collect();
        if let [body @ .., check] = all.as_slice() {
            let expected = luhn(body.iter().copied());
            // A device may send 0 in the check digit's place (TS 23.003 §6.2.1: "spare digit").
            if *check != expected && *check != 0 {
                return Err(DigitError::CheckDigit { what: "IMEI", expected });
            }
        }
        Ok(Self(d))
    }
}
serde_as_text!(Imei);

impl Imei {
    pub(crate) fn digits(self) -> Digits {
        self.0
    }
}

/// IMEI with software version: 16 digits, no check digit (TS 23.003 §6.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imeisv(Digits);

impl fmt::Display for Imeisv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Imeisv {
    type Err = DigitError;
    fn from_str(s: &str) -> Result<Self, DigitError> {
        Digits::parse("IMEISV", s, 16, 16).map(Self)
    }
}
serde_as_text!(Imeisv);

impl Imeisv {
    pub(crate) fn digits(self) -> Digits {
        self.0
    }
}

/// Permanent equipment identifier (TS 23.003 §6.4): `imei-…` or `imeisv-…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pei {
    /// An IMEI.
    Imei(Imei),
    /// An IMEISV.
    Imeisv(Imeisv),
}

impl Pei {
    /// The 14 digits (TAC and SNR) that name the device whatever form it used.
    pub fn device(self) -> String {
        let s = match self {
            Self::Imei(i) => i.to_string(),
            Self::Imeisv(i) => i.to_string(),
        };
        s.chars().take(14).collect()
    }
}

impl fmt::Display for Pei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imei(i) => write!(f, "imei-{i}"),
            Self::Imeisv(i) => write!(f, "imeisv-{i}"),
        }
    }
}

impl FromStr for Pei {
    type Err = DigitError;
    fn from_str(s: &str) -> Result<Self, DigitError> {
        match s.split_once('-') {
            Some(("imei", d)) => d.parse().map(Self::Imei),
            Some(("imeisv", d)) => d.parse().map(Self::Imeisv),
            _ if s.len() == 16 => s.parse().map(Self::Imeisv),
            _ => s.parse().map(Self::Imei),
        }
    }
}
serde_as_text!(Pei);
