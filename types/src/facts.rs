//! What is known of one SIM, each with where it comes from and since when. What is missing is not known.

use crate::{ActiveGrant, Compliance, DeviceModel, Name, Radio, RiskLevel, Utc};
use serde::{Deserialize, Serialize};

/// Whether its device is as its group asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posture {
    /// Whether it is.
    pub value: Compliance,
    /// When it was found so.
    pub since: Utc,
    /// From this moment on it is not known any longer; `None`: until something else is said.
    pub until: Option<Utc>,
    /// Who says so.
    pub source: Name,
}

/// Where it is, as the network saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSeen {
    /// The site; `None`: a place that belongs to no site.
    pub site: Option<Name>,
    /// True where the SIM is usually there.
    pub usual: bool,
    /// Time zone of the site, as IANA names it.
    pub zone: Option<String>,
    /// Since when it was seen there.
    pub since: Utc,
    /// Who says so.
    pub source: Name,
}

/// By which radio it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadioSeen {
    /// The technology.
    pub value: Radio,
    /// Since when.
    pub since: Utc,
    /// Who says so.
    pub source: Name,
}

/// The model of the device that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The model.
    pub value: DeviceModel,
    /// Since when.
    pub since: Utc,
    /// Who says so.
    pub source: Name,
}

/// Until when it counts that the person has proved themselves for this SIM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assurance {
    /// Until then; a moment of the past says that they have not, or no longer.
    pub until: Utc,
    /// When they did.
    pub since: Utc,
    /// Who says so.
    pub source: Name,
}

/// Somebody else's word that the risk is at least this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskSignal {
    /// How high it is at least.
    pub value: RiskLevel,
    /// Since when.
    pub since: Utc,
    /// From this moment on it counts no longer; `None`: until something else is said.
    pub until: Option<Utc>,
    /// Who says so.
    pub source: Name,
}

/// Everything that is known of one SIM beside what the policy itself says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SimFacts {
    /// Whether its device is as its group asks.
    pub posture: Option<Posture>,
    /// Where it is.
    pub place: Option<SiteSeen>,
    /// By which radio.
    pub radio: Option<RadioSeen>,
    /// Which model of device.
    pub model: Option<Model>,
    /// Whether its person has proved themselves for it.
    pub assurance: Option<Assurance>,
    /// What others say of its risk.
    pub risk: Option<RiskSignal>,
    /// What it was granted for a time. Control fills this in; whoever finds out facts leaves it empty.
    pub grants: Vec<ActiveGrant>,
}
