//! The network's own identity: PLMN, tracking area (TS 23.003 §2.2, §19.4.2.3, §28.6).

use crate::digits::{DigitError, serde_as_text};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Mobile country code and mobile network code; the MNC has two or three digits and `01` ≠ `001`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plmn {
    mcc: u16,
    mnc: u16,
    mnc_len: u8,
}

impl Plmn {
    /// From the texts of MCC (3 digits) and MNC (2–3 digits).
    pub fn new(mcc: &str, mnc: &str) -> Result<Self, DigitError> {
        let c = crate::digits::Digits::parse("MCC", mcc, 3, 3)?;
        let n = crate::digits::Digits::parse("MNC", mnc, 2, 3)?;
        Ok(Self { mcc: c.value() as u16, mnc: n.value() as u16, mnc_len: n.len() as u8 })
    }

    /// MCC with its three digits.
    pub fn mcc(self) -> String {
        format!("{:03}", self.mcc)
    }

    /// MNC with its two or three digits.
    pub fn mnc(self) -> String {
        format!("{:0w$}", self.mnc, w = usize::from(self.mnc_len))
    }

    /// Number of MNC digits, 2 or 3.
    pub fn mnc_len(self) -> u8 {
        self.mnc_len
    }

    /// The three octets of TS 24.501 §9.11.3.4 / TS 24.008 §10.5.1.13 (BCD, filler F for a two-digit MNC).
    pub fn to_octets(self) -> [u8; 3] {
        let d = |v: u16, p: u16| ((v / p) % 10) as u8;
        let (m1, m2, m3) = if self.mnc_len == 2 {
            (d(self.mnc, 10), d(self.mnc, 1), 0xf)
        } else {
            (d(self.mnc, 100), d(self.mnc, 10), d(self.mnc, 1))
        };
        [d(self.mcc, 10) << 4 | d(self.mcc, 100), m3 << 4 | d(self.mcc, 1), m2 << 4 | m1]
    }

    /// Reads the three octets; `None` where a nibble is not a digit.
    pub fn from_octets(o: [u8; 3]) -> Option<Self> {
        let [a, b, c] = o;
        let (c1, c2, c3, m3, m1, m2) = (a & 15, a >> 4, b & 15, b >> 4, c & 15, c >> 4);
        if [c1, c2, c3, m1, m2].iter().any(|d| *d > 9) || (m3 > 9 && m3 != 15) {
            return None;
        }
        let n = |d: u8| u16::from(d);
        let mcc = n(c1) * 100 + n(c2) * 10 + n(c3);
        let (mnc, mnc_len) =
            if m3 == 15 { (n(m1) * 10 + n(m2), 2) } else { (n(m1) * 100 + n(m2) * 10 + n(m3), 3) };
        Some(Self { mcc, mnc, mnc_len })
    }

    /// `5G:mncXXX.mccYYY.3gppnetwork.org`, the serving network name of TS 24.501 §9.12.1.
    pub fn serving_network_name(self) -> String {
        format!("5G:mnc{:03}.mcc{:03}.3gppnetwork.org", self.mnc, self.mcc)
    }
}

impl fmt::Display for Plmn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}-{:0w$}", self.mcc, self.mnc, w = usize::from(self.mnc_len))
    }
}

impl FromStr for Plmn {
    type Err = DigitError;
    /// Accepts `001-01`, `00101` and `001/01`.
    fn from_str(s: &str) -> Result<Self, DigitError> {
        let t: String = s.chars().filter(|c| !matches!(c, '-' | '/')).collect();
        match t.char_indices().nth(3) {
            Some((i, _)) => Self::new(&t[..i], &t[i..]),
            None => Err(DigitError::Length { what: "PLMN", min: 5, max: 6, got: t.chars().count() }),
        }
    }
}
serde_as_text!(Plmn);

/// Tracking area code: 24 bits in 5GS, 16 in EPS (TS 23.003 §28.6, §19.4.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Tac(u32);

impl TryFrom<u32> for Tac {
    type Error = DigitError;
    fn try_from(v: u32) -> Result<Self, DigitError> {
        if v > 0xff_ffff {
            return Err(DigitError::Length { what: "TAC (bits)", min: 0, max: 24, got: 32 });
        }
        Ok(Self(v))
    }
}

impl From<Tac> for u32 {
    fn from(t: Tac) -> u32 {
        t.0
    }
}

impl fmt::Display for Tac {
    /// As a decimal number, as configurations write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tracking area identity: PLMN and TAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tai {
    /// The PLMN that the cell broadcasts.
    pub plmn: Plmn,
    /// The tracking area within it.
    pub tac: Tac,
}

impl fmt::Display for Tai {
    /// `001-01-000001`: PLMN and the TAC in hexadecimal, as radios write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:06x}", self.plmn, self.tac.0)
    }
}
