//! Whose a SIM is: people, devices and sites, as `store` keeps them and the API carries them.
//!
//! Each is named by an id that people choose; what links a SIM to them stands at the SIM.

use crate::{Name, Pei, Tac, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Somebody who uses SIMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Its id, for example `tanaka`.
    pub id: Name,
    /// Full name.
    pub name: String,
    /// Mail address.
    #[serde(default)]
    pub mail: Option<String>,
    /// Employee number; no two people have the same.
    #[serde(default)]
    pub employee: Option<String>,
    /// Id in another system, such as an identity provider; no two people have the same.
    #[serde(default)]
    pub external: Option<String>,
    /// When the person leaves; from then on their SIMs have no reason to live.
    #[serde(default)]
    pub ends_at: Option<Utc>,
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A laptop with a modem.
    Laptop,
    /// A telephone.
    Phone,
    /// A tablet.
    Tablet,
    /// A router with a network behind it.
    Router,
    /// A programmable logic controller.
    Plc,
    /// A camera.
    Camera,
    /// A sensor or meter.
    Sensor,
    /// A car, a cart, a robot.
    Vehicle,
    /// Anything else.
    Other,
}

/// A device that a SIM is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its id, for example an inventory number.
    pub id: Name,
    /// Words for people.
    #[serde(default)]
    pub label: String,
    /// What it is.
    pub kind: DeviceKind,
    /// IMEI or IMEISV; no two devices have the same first 14 digits.
    #[serde(default)]
    pub imei: Option<Pei>,
    /// The maker's serial number.
    #[serde(default)]
    pub serial: Option<String>,
    /// Whose it is.
    #[serde(default)]
    pub owner: Option<Name>,
}

/// A place with its radios.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its id, for example `osaka-plant`.
    pub id: Name,
    /// Full name.
    pub name: String,
    /// Words for people.
    #[serde(default)]
    pub description: String,
    /// Tracking areas that lie in it.
    #[serde(default)]
    pub tacs: BTreeSet<Tac>,
    /// NR cell identities (36 bits) that stand in it.
    #[serde(default)]
    pub cells: BTreeSet<u64>,
    /// Its time zone, as IANA names it; none: the network's own.
    #[serde(default)]
    pub time_zone: Option<String>,
}
