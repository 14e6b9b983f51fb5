//! Clones: two holders of one subscriber's secret. What proves one, what only makes one suspect.

use crate::{DevicePattern, Sqn, Tai, Utc};
use serde::{Deserialize, Serialize};

/// Where and when a SIM was seen, and in which device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Utc,
    /// At which gNB.
    pub gnb: String,
    /// Tracking area.
    pub tai: Tai,
    /// NR cell identity, 36 bits.
    pub cell: u64,
    /// In which device, where it said so.
    pub device: Option<DevicePattern>,
}

/// What only two holders of one secret can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloneProof {
    /// A message under a security context that its holder had replaced, made after the replacement: right code, and a
    /// NAS COUNT that the holder had never used.
    OldContext {
        /// Number of the key set.
        ksi: u8,
        /// NAS COUNT of the message.
        count: u32,
        /// The last one used before the replacement.
        last: u32,
    },
    /// A challenge whose SQN the SIM had accepted before was accepted once more.
    ProbeAccepted,
    /// The card says under MAC-S that it never accepted an SQN that the SIM had accepted.
    ProbeBehind {
        /// The SQN that had been accepted.
        sqn: Sqn,
        /// The highest one that the card says it accepted.
        sqn_ms: Sqn,
    },
}

/// What makes one suspect a clone and proves none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloneSuspicion {
    /// It registers anew by turns in two places, faster than anybody moves.
    AlternatingPlaces,
    /// It registers anew by turns in two devices, faster than anybody moves a card.
    AlternatingDevices,
    /// The card said under MAC-S, without being probed, that it is behind what the SIM had accepted.
    SequenceWentBack,
    /// The radio that it was at before goes on sending into the tunnel of then, a minute and more after the SIM came up
    /// anew elsewhere.
    OldTunnel,
}
