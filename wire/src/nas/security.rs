//! Protection of NAS messages (TS 24.501 §4.4, TS 33.501 §6.4): counts, integrity, ciphering.
//!
//! ```text
//! 0     7e
//! 1     0:4 | security header type:4
//! 2..6  message authentication code
//! 6     sequence number (low 8 bits of the NAS COUNT)
//! 7..   the plain message, ciphered for header types 2 and 4
//! ```
//!
//! A [`NasContext`] is one side's view of one key set. The same type serves the AMF and the simulated UE: who
//! sends names the direction. Keys come in as arguments; which message may pass unprotected is decided in
//! `access`, not here.
//!
//! # Safety
//! The code is compared in constant time. A count is used once: sending moves it on, receiving accepts only
//! higher ones (§4.4.3.2), and at 2^24 the context is spent. Keys are zeroed on drop and never printed.
//!
//! # Errors
//! [`SecurityError`]. A replayed or reordered message looks like one with a wrong code, because its count is
//! taken for a later one.

use super::MAX_NAS;
use oxirush_security as ox;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use types::Key128;

macro_rules! algorithms {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $($v:ident = $code:literal, $text:literal, $d:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = $d] #[serde(rename = $text)] $v,)*
        }

        impl $name {
            /// The number of the algorithm, 0–3 (TS 24.501 §9.11.3.34; also algorithm identity of TS 33.501 §A.8).
            pub fn code(self) -> u8 {
                match self { $(Self::$v => $code,)* }
            }

            /// From its number; `None` above 3.
            pub fn from_code(v: u8) -> Option<Self> {
                match v { $($code => Some(Self::$v),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$v => $text,)* })
            }
        }

        impl FromStr for $name {
            type Err = &'static str;
            fn from_str(s: &str) -> Result<Self, &'static str> {
                match s { $($text => Ok(Self::$v),)* _ => Err(concat!("an algorithm is ", $prefix, "0 to ", $prefix, "3")) }
            }
        }
    };
}

algorithms!(
    /// Integrity algorithm of NAS.
    Nia, "nia",
    Nia0 = 0, "nia0", "None: for emergency only, which we do not serve.";
    Nia1 = 1, "nia1", "SNOW 3G.";
    Nia2 = 2, "nia2", "AES-CMAC.";
    Nia3 = 3, "nia3", "ZUC.";
);

algorithms!(
    /// Ciphering algorithm of NAS.
    Nea, "nea",
    Nea0 = 0, "nea0", "None.";
    Nea1 = 1, "nea1", "SNOW 3G.";
    Nea2 = 2, "nea2", "AES-CTR.";
    Nea3 = 3, "nea3", "ZUC.";
);

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The UE.
    Uplink,
    /// The network.
    Downlink,
}

/// Security header type of a protected message (§9.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderType {
    /// Integrity protected.
    Integrity,
    /// Integrity protected and ciphered.
    Ciphered,
    /// Integrity protected with a new context: Security Mode Command.
    IntegrityNewContext,
    /// Integrity protected and ciphered with a new context: Security Mode Complete.
    CipheredNewContext,
}

impl HeaderType {
    fn code(self) -> u8 {
        match self {
            Self::Integrity => 1,
            Self::Ciphered => 2,
            Self::IntegrityNewContext => 3,
            Self::CipheredNewContext => 4,
        }
    }

    /// True if the message behind the header is ciphered.
    pub fn ciphers(self) -> bool {
        matches!(self, Self::Ciphered | Self::CipheredNewContext)
    }
}

/// Why a message was not protected, or is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// Ends inside its header or right behind it.
    #[error("a protected NAS message that ends inside its header")]
    TooShort,
    /// Above [`MAX_NAS`] octets.
    #[error("a NAS message of {0} octets is too long")]
    TooLong(usize),
    /// Not 5GMM.
    #[error("unknown extended protocol discriminator {0:#04x}")]
    UnknownDiscriminator(u8),
    /// A security header type that is reserved.
    #[error("reserved security header type {0}")]
    ReservedHeaderType(u8),
    /// A plain message where a protected one is wanted.
    #[error("a plain NAS message where a protected one is wanted")]
    Plain,
    /// The code does not match: forged, replayed, or of another context.
    #[error("the message authentication code does not match")]
    WrongMac,
    /// The counts of this direction are used up; a new key set is needed (§4.4.3.5).
    #[error("the NAS counts of this direction are used up")]
    CountExhausted,
}

/// A received NAS PDU, taken apart and not yet believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pdu<'a> {
    /// A plain message: all of it.
    Plain(&'a [u8]),
    /// A protected one.
    Protected {
        /// How.
        header: HeaderType,
        /// The code.
        mac: [u8; 4],
        /// Low 8 bits of the count.
        sequence: u8,
        /// The message, ciphered where `header` says so; otherwise it can be looked at unverified, for the
        /// few messages that §4.4.4.3 lets through.
        payload: &'a [u8],
    },
}

/// Takes a NAS PDU apart.
pub fn open(octets: &[u8]) -> Result<Pdu<'_>, SecurityError> {
    if octets.len() > MAX_NAS {
        return Err(SecurityError::TooLong(octets.len()));
    }
    let (epd, rest) = octets.split_first().ok_or(SecurityError::TooShort)?;
    if *epd != 0x7e {
        return Err(SecurityError::UnknownDiscriminator(*epd));
    }
    let (kind, rest) = rest.split_first().ok_or(SecurityError::TooShort)?;
    let header = match kind & 15 {
        0 => return Ok(Pdu::Plain(octets)),
        1 => HeaderType::Integrity,
        2 => HeaderType::Ciphered,
        3 => HeaderType::IntegrityNewContext,
        4 => HeaderType::CipheredNewContext,
        o => return Err(SecurityError::ReservedHeaderType(o)),
    };
    match rest {
        [a, b, c, d, sequence, payload @ ..] if !payload.is_empty() => {
            Ok(Pdu::Protected { header, mac: [*a, *b, *c, *d], sequence: *sequence, payload })
        }
        _ => Err(SecurityError::TooShort),
    }
}

/// A message that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The plain message.
    pub plain: Vec<u8>,
    /// How it was protected.
    pub header: HeaderType,
    /// NAS COUNT that it was verified with; KgNB is derived from that of the uplink (TS 33.501 §A.9).
    pub count: u32,
}

/// One side of a 5G NAS security context over 3GPP access.
#[derive(Clone)]
pub struct NasContext {
    integrity_key: Key128,
    ciphering_key: Key128,
    integrity: Nia,
    ciphering: Nea,
    uplink: Count,
    downlink: Count,
}

/// The next NAS COUNT of a direction, 24 bits; 2^24 means that all are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count(u32);

const EXHAUSTED: u32 = 1 << 24;

impl Count {
    fn to_send(self) -> Result<u32, SecurityError> {
        if self.0 < EXHAUSTED { Ok(self.0) } else { Err(SecurityError::CountExhausted) }
    }

    /// The count that a received sequence number stands for: the lowest one not yet used (§4.4.3.1).
    fn estimate(self, sequence: u8) -> Result<u32, SecurityError> {
        let base = self.to_send()?;
        let same = base & !0xff | u32::from(sequence);
        let count = if same < base { same + 256 } else { same };
        if count < EXHAUSTED { Ok(count) } else { Err(SecurityError::CountExhausted) }
    }
}

impl fmt::Debug for NasContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NasContext")
            .field("integrity", &self.integrity)
            .field("ciphering", &self.ciphering)
            .field("uplink", &self.uplink.0)
            .field("downlink", &self.downlink.0)
            .finish_non_exhaustive()
    }
}

impl NasContext {
    /// A context of fresh keys: both counts are zero. Making it twice of the same keys would use counts
    /// twice.
    pub fn new(integrity_key: Key128, ciphering_key: Key128, integrity: Nia, ciphering: Nea) -> Self {
        Self { integrity_key, ciphering_key, integrity, ciphering, uplink: Count(0), downlink: Count(0) }
    }

    /// The same context with its next counts set, for one that was kept elsewhere. Values above 2^24 mean
    /// that all are used.
    #[must_use]
    pub fn with_counts(mut self, uplink: u32, downlink: u32) -> Self {
        self.uplink = Count(uplink.min(EXHAUSTED));
        self.downlink = Count(downlink.min(EXHAUSTED));
        self
    }

    /// Integrity algorithm.
    pub fn integrity(&self) -> Nia {
        self.integrity
    }

    /// Ciphering algorithm.
    pub fn ciphering(&self) -> Nea {
        self.ciphering
    }

    /// The next count of a direction; 2^24 if all are used.
    pub fn next_count(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Uplink => self.uplink.0,
            Direction::Downlink => self.downlink.0,
        }
    }

    /// Protects a plain message and moves the count on.
    pub fn protect(
        &mut self,
        plain: &[u8],
        header: HeaderType,
        direction: Direction,
    ) -> Result<Vec<u8>, SecurityError> {
        let count = self.count(direction).to_send()?;
        if plain.is_empty() {
            return Err(SecurityError::TooShort);
        }
        if plain.len() > MAX_NAS - 7 {
            return Err(SecurityError::TooLong(plain.len()));
        }
        let mut body = Vec::with_capacity(plain.len() + 1);
        body.push((count & 0xff) as u8);
        body.extend(plain);
        if header.ciphers()
            && let Some((_, message)) = body.split_first_mut()
        {
            self.cipher(count, direction, message);
        }
        let mut out = Vec::with_capacity(body.len() + 6);
        out.extend([0x7e, header.code()]);
        out.extend(self.mac(count, direction, &body));
        out.extend(body);
        self.advance(direction, count);
        Ok(out)
    }

    /// Verifies and deciphers a protected message. The count moves on only if the code matches.
    pub fn unprotect(&mut self, octets: &[u8], direction: Direction) -> Result<Verified, SecurityError> {
        let Pdu::Protected { header, mac, sequence, payload } = open(octets)? else {
            return Err(SecurityError::Plain);
        };
        let count = self.count(direction).estimate(sequence)?;
        let body = octets.get(6..).unwrap_or_default();
        let expected = self.mac(count, direction, body);
        if !ox::constant_time_eq(&expected, &mac) {
            return Err(SecurityError::WrongMac);
        }
        self.advance(direction, count);
        let mut plain = payload.to_vec();
        if header.ciphers() {
            self.cipher(count, direction, &mut plain);
        }
        Ok(Verified { plain, header, count })
    }

    /// Ciphers or deciphers (the same operation) the value of a NAS message container, which in an initial
    /// message is ciphered on its own with the count of that message (§4.4.6).
    pub fn cipher_container(&self, count: u32, direction: Direction, value: &mut [u8]) {
        self.cipher(count, direction, value);
    }

    fn count(&self, direction: Direction) -> Count {
        match direction {
            Direction::Uplink => self.uplink,
            Direction::Downlink => self.downlink,
        }
    }

    fn advance(&mut self, direction: Direction, used: u32) {
        match direction {
            Direction::Uplink => self.uplink = Count(used + 1),
            Direction::Downlink => self.downlink = Count(used + 1),
        }
    }

    fn mac(&self, count: u32, direction: Direction, body: &[u8]) -> [u8; 4] {
        let algorithm = match self.integrity {
            Nia::Nia0 => ox::IntegrityAlgorithm::NIA0,
            Nia::Nia1 => ox::IntegrityAlgorithm::NIA1,
            Nia::Nia2 => ox::IntegrityAlgorithm::NIA2,
            Nia::Nia3 => ox::IntegrityAlgorithm::NIA3,
        };
        let key = ox::nas_5gs::KNasInt::new(self.integrity_key.expose());
        let bearer = ox::nas_5gs::NasConnection::ThreeGpp;
        ox::nia_mac(&key, count, bearer.into(), direction.into(), body, algorithm).to_be_bytes()
    }

    fn cipher(&self, count: u32, direction: Direction, data: &mut [u8]) {
        let algorithm = match self.ciphering {
            Nea::Nea0 => return,
            Nea::Nea1 => ox::CipheringAlgorithm::NEA1,
            Nea::Nea2 => ox::CipheringAlgorithm::NEA2,
            Nea::Nea3 => ox::CipheringAlgorithm::NEA3,
        };
        let key = ox::nas_5gs::KNasEnc::new(self.ciphering_key.expose());
        let bearer = ox::nas_5gs::NasConnection::ThreeGpp;
        ox::nea_cipher(&key, count, bearer.into(), direction.into(), data, algorithm);
    }
}

impl From<Direction> for ox::Direction {
    fn from(d: Direction) -> Self {
        match d {
            Direction::Uplink => Self::Uplink,
            Direction::Downlink => Self::Downlink,
        }
    }
}
