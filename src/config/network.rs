//! `[network]`: what the radio broadcasts and the UEs are told.

use serde::Deserialize;
use types::{AmfId, AuthenticationMethod, Plmn, Snssai, Tac};

/// `[network]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// AMF name told to gNBs.
    #[serde(default = "default_name")]
    pub name: String,
    /// What UEs show as the network's name.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Whose clocks phones are told, an IANA time zone such as `Asia/Tokyo`; without it they are told no time.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// PLMN, `MCC-MNC`.
    pub plmn: Plmn,
    /// AMF region, set and pointer (TS 23.003 §2.10.1).
    #[serde(default = "default_amf")]
    pub amf: AmfId,
    /// Tracking areas served.
    pub tacs: Vec<Tac>,
    /// Slices served, `SST` or `SST-SD`.
    pub slices: Vec<Snssai>,
    /// Relative AMF capacity told to gNBs: the weight by which they choose between AMFs of a set (TS 38.413 §9.3.1.32).
    #[serde(default = "default_relative_capacity")]
    pub relative_capacity: u8,
    /// NAS integrity algorithms by preference.
    #[serde(default = "default_integrity")]
    pub integrity: Vec<Integrity>,
    /// NAS ciphering algorithms by preference. `NEA0` (no ciphering) only where it is written here.
    #[serde(default = "default_ciphering")]
    pub ciphering: Vec<Ciphering>,
    /// How old the keys of a UE that stays connected may become before it is authenticated anew, seconds; 0: as old as it
    /// likes.
    #[serde(default = "default_key_life_s")]
    pub key_life_s: u32,
    /// T3512: how often an idle UE says that it is there, seconds (TS 24.501 §5.3.7).
    #[serde(default = "default_t3512_s")]
    pub t3512_s: u32,
    /// A SIM that tells its identity in clear (SUCI of the null scheme) is refused while there is a home network key.
    #[serde(default)]
    pub refuse_null_scheme: bool,
    /// How SIMs prove themselves: `5g-aka` or `eap-aka-prime` (TS 33.501 §6.1.3). Every 5G device has both.
    #[serde(default)]
    pub authentication: AuthenticationMethod,
}

/// NAS integrity algorithm (TS 33.501 §5.11.1.2). Null integrity cannot be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Integrity {
    /// 128-NIA1, SNOW 3G.
    #[serde(rename = "NIA1")]
    Nia1,
    /// 128-NIA2, AES.
    #[serde(rename = "NIA2")]
    Nia2,
    /// 128-NIA3, ZUC.
    #[serde(rename = "NIA3")]
    Nia3,
}

/// NAS ciphering algorithm (TS 33.501 §5.11.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Ciphering {
    /// No ciphering: for captures and tests.
    #[serde(rename = "NEA0")]
    Nea0,
    /// 128-NEA1, SNOW 3G.
    #[serde(rename = "NEA1")]
    Nea1,
    /// 128-NEA2, AES.
    #[serde(rename = "NEA2")]
    Nea2,
    /// 128-NEA3, ZUC.
    #[serde(rename = "NEA3")]
    Nea3,
}

fn default_name() -> String {
    "sekisho".to_owned()
}
fn default_relative_capacity() -> u8 {
    255
}
fn default_amf() -> AmfId {
    AmfId { region: 1, set: 1, pointer: 0 }
}
fn default_integrity() -> Vec<Integrity> {
    vec![Integrity::Nia2]
}
fn default_ciphering() -> Vec<Ciphering> {
    vec![Ciphering::Nea2]
}
fn default_key_life_s() -> u32 {
    86_400
}
fn default_t3512_s() -> u32 {
    3_600
}
