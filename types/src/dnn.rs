//! Data network name (TS 23.003 §9.1, §9A): labels of letters, digits and hyphens, case folded.

use crate::digits::serde_as_text;
use std::{fmt, str::FromStr};
use thiserror::Error;

/// A data network name such as `corp` or `factory.example`; held in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dnn(Box<str>);

/// Why a DNN was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a data network name has labels of 1-63 letters, digits or inner hyphens, 100 octets in all")]
pub struct DnnError;

impl Dnn {
    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Dnn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Dnn {
    type Err = DnnError;
    fn from_str(s: &str) -> Result<Self, DnnError> {
        let label_ok = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if s.len() > 99 || !s.split('.').all(label_ok) {
            return Err(DnnError);
        }
        Ok(Self(s.to_ascii_lowercase().into()))
    }
}
serde_as_text!(Dnn);
