//! What a rule asks to be known of a SIM before it speaks: posture, place, radio, assurance, risk, model.

use crate::Name;
use crate::digits::{DigitError, Digits, serde_as_text};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

words! {
    /// Whether a device is as its group asks.
    Compliance, "a posture" {
        /// It is.
        Compliant = "compliant",
        /// It is not.
        NotCompliant = "not_compliant",
    }
}

words! {
    /// A radio technology.
    Radio, "a radio" {
        /// 5G (TS 38.300).
        Nr = "nr",
        /// LTE (TS 36.300).
        Eutra = "eutra",
    }
}

words! {
    /// How much risk a SIM is at a moment, from the least to the most.
    RiskLevel, "a risk level" {
        /// Below every threshold.
        Low = "low",
        /// Something is unusual.
        Medium = "medium",
        /// Several things are.
        High = "high",
        /// Nearly everything is.
        Critical = "critical",
    }
}

words! {
    /// How much the contents of an app matter.
    Sensitivity, "a sensitivity" {
        /// Anybody may know them.
        Public = "public",
        /// For those who work here.
        Internal = "internal",
        /// For those who need them.
        Confidential = "confidential",
    }
}

impl Default for Sensitivity {
    /// What nobody has thought about is for those who work here.
    fn default() -> Self {
        Self::Internal
    }
}

words! {
    /// How it is seen that a flow is to one of an app's names.
    NamesFrom, "a source of names" {
        /// By the ClientHello: it is reached by TLS over TCP only, and only by a client that names one of them.
        Tls = "tls",
        /// By look-ups: whatever is spoken, only at addresses that a listed resolver has given the SIM for one of them.
        Dns = "dns",
    }
}

impl Default for NamesFrom {
    /// What the client says for each connection is nearer to what it does than what it once asked for.
    fn default() -> Self {
        Self::Tls
    }
}

/// A device's model: the 8-digit type allocation code of its IMEI (TS 23.003 §6.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceModel(Digits);

impl fmt::Display for DeviceModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DeviceModel {
    type Err = DigitError;
    fn from_str(s: &str) -> Result<Self, DigitError> {
        Digits::parse("type allocation code", s, 8, 8).map(Self)
    }
}
serde_as_text!(DeviceModel);

impl From<crate::Pei> for DeviceModel {
    fn from(pei: crate::Pei) -> Self {
        Self(match pei {
            crate::Pei::Imei(i) => i.digits().first(8),
            crate::Pei::Imeisv(i) => i.digits().first(8),
        })
    }
}

/// The conditions of a rule; all that are given must hold. What is not known never opens: an unknown fact fails the
/// condition of a rule that lets through, and does not save from one that refuses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conditions {
    /// The device is as its group asks, or is not.
    pub posture: Option<Compliance>,
    /// The SIM is at one of these sites; anywhere, if there are none.
    pub sites: BTreeSet<Name>,
    /// The SIM is at none of these sites.
    pub not_sites: BTreeSet<Name>,
    /// By which radio it is there.
    pub radio: Option<Radio>,
    /// The person has proved themselves for this SIM and that still counts, or not.
    pub assured: Option<bool>,
    /// The risk is this or lower.
    pub risk_at_most: Option<RiskLevel>,
    /// The risk is this or higher.
    pub risk_at_least: Option<RiskLevel>,
    /// The device is of one of these models; any, if there are none.
    pub models: BTreeSet<DeviceModel>,
}

impl Conditions {
    /// True where nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Why they can never hold together, where that is so.
    pub fn contradiction(&self) -> Option<&'static str> {
        if !self.sites.is_empty() && self.sites.is_subset(&self.not_sites) {
            return Some(
                "every site of `sites` stands in `not_sites`, so this can never hold; remove it from one",
            );
        }
        if self.risk_at_least.is_some_and(|least| self.risk_at_most.is_some_and(|most| least > most)) {
            return Some("`risk_at_least` is above `risk_at_most`, so this can never hold; change one");
        }
        None
    }
}
