//! Which device a SIM may live in: the company's own equipment list and the binding of a SIM.
//!
//! A device is named by the 14 digits of TAC and SNR, whatever form of identity it used; a model by its 8-digit
//! type allocation code (TS 23.003 §6.2).

use crate::digits::{DigitError, Digits, serde_as_text};
use crate::{EquipmentPattern, Imei, Imeisv, Utc};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Why a text names neither a device nor a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It holds other characters, or its check digit is wrong.
    #[error(transparent)]
    Digits(#[from] DigitError),
    /// It has another length.
    #[error(
        "a device is named by 14 digits (TAC and SNR), its IMEI of 15 or its IMEISV of 16; a model by its 8-digit TAC"
    )]
    Length,
}

/// One device (14 digits) or one model (8 digits). An IMEI or IMEISV is read as its device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevicePattern(Digits);

impl DevicePattern {
    /// True for a TAC.
    pub fn is_model(self) -> bool {
        self.0.len() == 8
    }

    /// True where `device`, by its 14 digits, is this device or of this model.
    pub fn covers(self, device: Self) -> bool {
        self == device || self.is_model() && !device.is_model() && device.model() == self
    }

    pub(crate) fn digits(self) -> Digits {
        self.0
    }

    /// The model of a device; a model itself.
    #[must_use]
    pub fn model(self) -> Self {
        Self(self.0.first(8))
    }
}

impl fmt::Display for DevicePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DevicePattern {
    type Err = PatternError;
    fn from_str(s: &str) -> Result<Self, PatternError> {
        match s.chars().count() {
            8 | 14 => Ok(Self(Digits::parse("device", s, 8, 14)?)),
            15 => Ok(Self(Digits::parse("device", &s.parse::<Imei>()?.to_string(), 15, 15)?.first(14))),
            16 => Ok(Self(Digits::parse("device", &s.parse::<Imeisv>()?.to_string(), 16, 16)?.first(14))),
            _ => Err(PatternError::Length),
        }
    }
}
serde_as_text!(DevicePattern);

impl From<crate::Pei> for DevicePattern {
    fn from(pei: crate::Pei) -> Self {
        Self(match pei {
            crate::Pei::Imei(i) => i.digits().first(14),
            crate::Pei::Imeisv(i) => i.digits().first(14),
        })
    }
}

words! {
    /// How the company's own list colours a device (TS 22.016 §3.3 has the same three).
    Colour, "a colour" {
        /// Known and allowed.
        White = "white",
        /// Allowed, and told.
        Grey = "grey",
        /// Refused.
        Black = "black",
    }
}

words! {
    /// How a SIM is bound to its device, from the loosest to the strictest.
    BindingMode, "a binding" {
        /// Not at all.
        None = "none",
        /// Any device; a change of it is told.
        Observe = "observe",
        /// The first device that it is used in, from then on.
        Learn = "learn",
        /// Devices of the models named.
        Model = "model",
        /// Devices that are white on the company's list.
        Listed = "listed",
        /// The devices named.
        Exact = "exact",
    }
}

words! {
    /// What happens to a SIM whose device does not name itself, from the loosest to the strictest.
    WhenMissing, "what to do without an IMEI" {
        /// It is served.
        Allow = "allow",
        /// It is served, and nothing but the remediation app is reachable.
        Quarantine = "quarantine",
        /// It is refused.
        Refuse = "refuse",
    }
}

words! {
    /// What happens to a SIM of which a clone was found.
    OnClone, "what to do with a clone" {
        /// It is told.
        Alert = "alert",
        /// It is told, and nothing but the remediation app is reachable.
        Quarantine = "quarantine",
    }
}

/// What a SIM's device must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// How it is bound.
    pub mode: BindingMode,
    /// Devices (`exact`) or models (`model`) that it may live in; empty for the other modes.
    pub allowed: Vec<DevicePattern>,
    /// What happens where the device does not name itself.
    pub when_missing: WhenMissing,
    /// What happens where a clone was found.
    pub on_clone: OnClone,
}

impl Default for Binding {
    /// Of a SIM of which nobody has said anything: observed.
    fn default() -> Self {
        Self {
            mode: BindingMode::Observe,
            allowed: Vec::new(),
            when_missing: WhenMissing::Allow,
            on_clone: OnClone::Alert,
        }
    }
}

impl Binding {
    /// Bound to this one device: what `device` of a SIM stands for.
    pub fn exactly(device: DevicePattern) -> Self {
        Self {
            mode: BindingMode::Exact,
            allowed: vec![device],
            when_missing: WhenMissing::Refuse,
            on_clone: OnClone::Alert,
        }
    }
}

/// The device that a SIM was used in, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// Its 14 digits.
    pub device: DevicePattern,
    /// When it was first seen with this SIM.
    pub at: Utc,
}

/// The binding that holds for a SIM, with what was learnt.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bound {
    /// What holds.
    pub binding: Binding,
    /// The device that it was used in.
    pub learned: Option<DevicePattern>,
}

/// What lists and binding say to a SIM in a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BindingDecision {
    /// It is the right one, or any is right.
    Fits,
    /// The SIM has not been seen in a device yet: this one is to be remembered.
    First,
    /// Any is right; it is another one than before.
    Changed {
        /// The one before.
        from: DevicePattern,
    },
    /// The device does not name itself.
    Missing(WhenMissing),
    /// It is not one that the SIM may live in.
    Mismatch {
        /// Those that it may live in; empty where the company's list says which.
        expected: Vec<DevicePattern>,
    },
    /// It is black on the company's list, or banned.
    Black {
        /// The entry that says so.
        by: EquipmentPattern,
    },
}
