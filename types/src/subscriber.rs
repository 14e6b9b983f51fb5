//! Who a subscriber is: IMSI, SUPI, SUCI, ICCID (TS 23.003 §2.2, §2.2A, §2.2B; ITU-T E.118).

use crate::digits::{DigitError, Digits, luhn, serde_as_text};
use crate::plmn::Plmn;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// International mobile subscriber identity, 6–15 digits: MCC, MNC and MSIN (TS 23.003 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imsi(Digits);

impl Imsi {
    /// True if MCC and MNC of this IMSI are those of `plmn`.
    pub fn is_in(self, plmn: Plmn) -> bool {
        self.to_string().starts_with(&format!("{}{}", plmn.mcc(), plmn.mnc()))
    }

    /// The IMSI of subscriber `msin` in `plmn`.
    pub fn from_parts(plmn: Plmn, msin: &str) -> Result<Self, DigitError> {
        format!("{}{}{}", plmn.mcc(), plmn.mnc(), msin).parse()
    }

    /// The digits from the left, as numbers 0–9.
    pub fn digits(self) -> impl Iterator<Item = u8> {
        self.0.iter()
    }

    /// The whole in one number, in the order of IMSIs: for tables with very many.
    pub fn packed(self) -> u64 {
        self.0.value() << 4 | self.0.len() as u64
    }

    /// The MSIN: the digits behind MCC and an MNC of `mnc_len` digits.
    pub fn msin(self, mnc_len: u8) -> String {
        self.to_string().chars().skip(3 + usize::from(mnc_len)).collect()
    }
}

impl fmt::Display for Imsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Imsi {
    type Err = DigitError;
    fn from_str(s: &str) -> Result<Self, DigitError> {
        Digits::parse("IMSI", s, 6, 15).map(Self)
    }
}
serde_as_text!(Imsi);

/// Subscription permanent identifier (TS 23.003 §2.2A). Only the IMSI type is supported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Supi(pub Imsi);

impl Supi {
    /// The IMSI inside.
    pub fn imsi(self) -> Imsi {
        self.0
    }
}

impl fmt::Display for Supi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "imsi-{}", self.0)
    }
}

impl FromStr for Supi {
    type Err = DigitError;
    fn from_str(s: &str) -> Result<Self, DigitError> {
        s.strip_prefix("imsi-").unwrap_or(s).parse().map(Self)
    }
}
serde_as_text!(Supi);

/// Integrated circuit card identifier: 18–20 characters printed on the card, Luhn-checked at 19 and 20.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iccid(String);

impl fmt::Display for Iccid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Iccid {
    type Err = DigitError;
    fn from_str(s: &str) -> Result<Self, DigitError> {
        let what = "ICCID";
        if let Some(at) = s.chars().position(|c| !c.is_ascii_digit()) {
            return Err(DigitError::NotADigit { what, at });
        }
        if !(18..=20).contains(&s.len()) {
            return Err(DigitError::Length { what, min: 18, max: 20, got: s.len() });
        }
        let d: Vec<u8> = s.bytes().map(|b| b - b'0').collect();
        if let ([body @ .., check], true) = (d.as_slice(), s.len() > 18) {
            let expected = luhn(body.iter().copied());
            if expected != *check {
                return Err(DigitError::CheckDigit { what, expected });
            }
        }
        Ok(Self(s.to_owned()))
    }
}
serde_as_text!(Iccid);

/// How the MSIN is concealed in a SUCI (TS 23.003 §2.2B, TS 33.501 Annex C).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SuciScheme {
    /// Scheme 0: the MSIN in clear.
    Null,
    /// Scheme 1: ECIES with Curve25519.
    ProfileA,
    /// Scheme 2: ECIES with secp256r1.
    ProfileB,
}

words! {
    /// How a key pair of the home network conceals (TS 33.501 Annex C.3.4).
    SuciProfile, "a profile" {
        /// Scheme 1: X25519.
        A = "a",
        /// Scheme 2: secp256r1.
        B = "b",
    }
}

impl SuciScheme {
    /// The profile, of the schemes that conceal.
    pub fn profile(self) -> Option<SuciProfile> {
        match self {
            Self::Null => None,
            Self::ProfileA => Some(SuciProfile::A),
            Self::ProfileB => Some(SuciProfile::B),
        }
    }
}

impl From<SuciProfile> for SuciScheme {
    fn from(p: SuciProfile) -> Self {
        match p {
            SuciProfile::A => Self::ProfileA,
            SuciProfile::B => Self::ProfileB,
        }
    }
}

/// An MSIN's digits as BCD, the first one in the low half of its octet, an F behind an odd last one
/// (TS 24.501 §9.11.3.4); `None` for anything but ASCII digits.
pub fn msin_to_bcd(digits: &[u8]) -> Option<Vec<u8>> {
    let half = |b: &u8| b.is_ascii_digit().then_some(b & 15);
    digits
        .chunks(2)
        .map(|pair| match pair {
            [a, b] => Some(half(b)? << 4 | half(a)?),
            [a] => Some(0xf0 | half(a)?),
            _ => None,
        })
        .collect()
}

/// The digits of an MSIN in BCD; `None` where it has none, more than 10, or something that is none.
pub fn msin_from_bcd(octets: &[u8]) -> Option<Vec<u8>> {
    if octets.is_empty() || octets.len() > 5 {
        return None;
    }
    let mut digits = Vec::with_capacity(10);
    for (i, o) in octets.iter().enumerate() {
        let (low, high) = (o & 15, o >> 4);
        let last = i + 1 == octets.len();
        if low > 9 || (high > 9 && !(high == 15 && last)) {
            return None;
        }
        digits.push(b'0' + low);
        if high < 10 {
            digits.push(b'0' + high);
        }
    }
    Some(digits)
}

/// Subscription concealed identifier of the IMSI type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Suci {
    /// Home network.
    pub home: Plmn,
    /// Routing indicator, 1–4 digits as sent (TS 23.003 §2.2B).
    pub routing_indicator: String,
    /// Protection scheme.
    pub scheme: SuciScheme,
    /// Home network public key identifier; 0 for the null scheme.
    pub key_id: u8,
    /// Scheme output: for [`SuciScheme::Null`] the MSIN's digits as ASCII, else the ECIES octets.
    pub output: Vec<u8>,
}

impl Suci {
    /// The SUPI, where the scheme is null and the MSIN is made of digits.
    pub fn null_scheme_supi(&self) -> Option<Supi> {
        if self.scheme != SuciScheme::Null {
            return None;
        }
        let msin = std::str::from_utf8(&self.output).ok()?;
        Imsi::from_parts(self.home, msin).ok().map(Supi)
    }
}
