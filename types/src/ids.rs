//! Handles of sessions, tunnels and named things.

use crate::digits::serde_as_text;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, net::Ipv4Addr, num::NonZeroU32, str::FromStr};
use thiserror::Error;

/// Tunnel endpoint identifier of GTP-U (TS 29.281 §5.1); never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Teid(pub NonZeroU32);

impl Teid {
    /// From a number; `None` for 0, which signalling messages use.
    pub fn new(v: u32) -> Option<Self> {
        NonZeroU32::new(v).map(Self)
    }

    /// As a number.
    pub fn value(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Debug for Teid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Display for Teid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// Session endpoint identifier of PFCP (TS 29.244 §7.2.2.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seid(pub u64);

/// Sixteen hexadecimal digits.
impl fmt::Display for Seid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// PDU session identity, 1–15 (TS 24.007 §11.2.3.1b; 0 means unassigned).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct PduSessionId(u8);

impl TryFrom<u8> for PduSessionId {
    type Error = &'static str;
    fn try_from(v: u8) -> Result<Self, &'static str> {
        if (1..=15).contains(&v) { Ok(Self(v)) } else { Err("a PDU session identity is 1 to 15") }
    }
}

impl From<PduSessionId> for u8 {
    fn from(v: PduSessionId) -> u8 {
        v.0
    }
}

/// The address that a UE got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UeIp(pub Ipv4Addr);

impl From<UeIp> for IpAddr {
    fn from(v: UeIp) -> IpAddr {
        IpAddr::V4(v.0)
    }
}

impl fmt::Display for UeIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Name of an app, group, rule or other thing that people name: `[a-z0-9]` and inner `-`, `_`, `.`; 1–63 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a name has 1-63 of a-z, 0-9 and inner '-', '_' or '.'; it begins and ends with a letter or digit")]
pub struct NameError;

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        let b = s.as_bytes();
        let edge = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let inner = |c: &u8| edge(Some(c)) || matches!(c, b'-' | b'_' | b'.');
        if b.len() > 63 || !edge(b.first()) || !edge(b.last()) || !b.iter().all(inner) {
            return Err(NameError);
        }
        Ok(Self(s.into()))
    }
}
serde_as_text!(Name);
