//! Where facts come from that others know: posture agents and device management by a signed webhook, identity systems by
//! OpenID Shared Signals, people and their groups by SCIM.

use crate::{Name, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

words! {
    /// How a source speaks to us.
    SourceKind, "a kind of source" {
        /// Posture by a webhook that it signs with a secret that both know.
        Webhook = "webhook",
        /// Security events (RFC 8417) by OpenID Shared Signals.
        Ssf = "ssf",
        /// People and groups by SCIM 2.0 (RFC 7644).
        Scim = "scim",
    }
}

/// A transmitter of security events, and what we believe of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsfStream {
    /// Its issuer: `iss` of each event.
    pub issuer: String,
    /// Who we are there: `aud` of each event names it.
    pub audience: String,
    /// Its keys, where they are written down here (RFC 7517).
    #[serde(default)]
    pub jwks: Option<String>,
    /// Where its keys are, where they are not.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Where its events are asked for (RFC 8936); without it they are pushed (RFC 8935).
    #[serde(default)]
    pub poll_url: Option<String>,
    /// Levels of assurance that count as proved.
    #[serde(default)]
    pub assured_by: BTreeSet<String>,
    /// For how long such a proof holds, seconds.
    #[serde(default)]
    pub assured_for_s: u32,
}

/// A source of facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalSource {
    /// Its name: part of its address, and the word beside what it tells.
    pub name: Name,
    /// Words for people.
    #[serde(default)]
    pub label: String,
    /// How it speaks.
    pub kind: SourceKind,
    /// After so many seconds without a word somebody is told; none: never.
    #[serde(default)]
    pub silent_after_s: Option<u32>,
    /// The transmitter, of a source of kind `ssf`.
    #[serde(default)]
    pub ssf: Option<SsfStream>,
    /// Which of our groups a group of a source of kind `scim` means, by its `displayName`: the SIMs of its people are in it.
    #[serde(default)]
    pub groups: BTreeMap<String, Name>,
}

/// A proof that a person is the one who uses a SIM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Until when it holds.
    pub until: Utc,
    /// How it was proved, such as `mfa` or `nist-aal2`.
    pub level: String,
    /// Who says so.
    pub source: Name,
    /// When it was proved.
    pub at: Utc,
}
