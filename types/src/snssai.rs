//! Network slice (TS 23.003 §28.4).

use crate::digits::serde_as_text;
use std::{fmt, str::FromStr};

/// Slice/service type and, where given, the 24-bit slice differentiator. Text form `1` or `1-0000ff`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snssai {
    /// Slice/service type.
    pub sst: u8,
    /// Slice differentiator; `None` is the reserved value ff ff ff on the wire.
    pub sd: Option<[u8; 3]>,
}

impl fmt::Display for Snssai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sd {
            Some([a, b, c]) => write!(f, "{}-{a:02x}{b:02x}{c:02x}", self.sst),
            None => write!(f, "{}", self.sst),
        }
    }
}

impl FromStr for Snssai {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        const WHAT: &str = "a slice is SST 0-255, or SST-SD with SD as six hex digits, for example 1-0000ff";
        let (sst, sd) = match s.split_once('-') {
            Some((a, b)) => (a, Some(b)),
            None => (s, None),
        };
        let sst = sst.parse().map_err(|_| WHAT)?;
        let sd = match sd {
            Some(h) if h.len() == 6 && h.is_ascii() => {
                let v = u32::from_str_radix(h, 16).map_err(|_| WHAT)?;
                let [_, a, b, c] = v.to_be_bytes();
                Some([a, b, c])
            }
            Some(_) => return Err(WHAT),
            None => None,
        };
        Ok(Self { sst, sd })
    }
}
serde_as_text!(Snssai);
