//! Identifiers and small values of NGAP (TS 38.413 §9.3.1, §9.3.3), with their ranges.

use std::fmt;
use types::{AmfId, FgTmsi, Key256, Plmn, Snssai, Tac, Tai};

/// AMF UE NGAP ID (§9.3.3.1): names a UE at the AMF; 40 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AmfUeNgapId(u64);

impl AmfUeNgapId {
    /// The largest value, 2^40 − 1.
    pub const MAX: u64 = (1 << 40) - 1;

    /// From a number; `None` above 40 bits.
    pub fn new(v: u64) -> Option<Self> {
        (v <= Self::MAX).then_some(Self(v))
    }

    /// As a number.
    pub fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for AmfUeNgapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "amf-ue-{}", self.0)
    }
}

impl fmt::Display for AmfUeNgapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// RAN UE NGAP ID (§9.3.3.2): names a UE at its gNB; 32 bits, unique per association only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RanUeNgapId(pub u32);

impl fmt::Debug for RanUeNgapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ran-ue-{}", self.0)
    }
}

impl fmt::Display for RanUeNgapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// UE NGAP IDs (§9.3.3.3): how UE Context Release Command names the UE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UeIds {
    /// Both identifiers.
    Pair(AmfUeNgapId, RanUeNgapId),
    /// The AMF's alone, where the gNB's is not known.
    Amf(AmfUeNgapId),
}

/// GUAMI (§9.3.3.3): an AMF of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guami {
    /// PLMN of the AMF.
    pub plmn: Plmn,
    /// Region, set and pointer.
    pub amf: AmfId,
}

/// 5G-S-TMSI (§9.3.3.20): how a UE that comes back names itself towards the radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct STmsi {
    /// AMF set, 0–1023.
    pub set: u16,
    /// AMF pointer, 0–63.
    pub pointer: u8,
    /// 5G-TMSI.
    pub tmsi: FgTmsi,
}

/// Global gNB ID (§9.3.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GlobalGnbId {
    /// PLMN of the gNB.
    pub plmn: Plmn,
    /// Its number, right aligned.
    pub id: u32,
    /// How many bits the number has, 22–32.
    pub bits: u8,
}

/// Global RAN Node ID (§9.3.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RanNodeId {
    /// A gNB.
    Gnb(GlobalGnbId),
    /// An ng-eNB, N3IWF or another kind, which we do not serve. Cannot be encoded.
    Other,
}

/// A PLMN that a tracking area broadcasts, with its slices (§9.2.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedPlmn {
    /// The PLMN.
    pub plmn: Plmn,
    /// Slices that it supports there.
    pub slices: Vec<Snssai>,
}

/// A tracking area that a gNB serves (§9.2.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedTa {
    /// The area.
    pub tac: Tac,
    /// PLMNs broadcast there; 1–12.
    pub plmns: Vec<SupportedPlmn>,
}

/// NR CGI (§9.3.1.7): a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NrCgi {
    /// PLMN of the cell.
    pub plmn: Plmn,
    /// NR cell identity, 36 bits.
    pub cell: u64,
}

/// User Location Information, NR (§9.3.1.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserLocation {
    /// The cell.
    pub cell: NrCgi,
    /// The tracking area.
    pub tai: Tai,
    /// When the location was taken: the first 32 bits of an NTP time stamp, as sent.
    pub time_stamp: Option<[u8; 4]>,
}

/// Aggregate maximum bit rate, bit/s (§9.3.1.58, §9.3.1.102).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambr {
    /// Downlink.
    pub dl_bps: u64,
    /// Uplink.
    pub ul_bps: u64,
}

/// UE Security Capabilities (§9.3.1.86): bit maps of algorithms, the first bit is algorithm 1 (algorithm 0
/// has no bit, unlike in NAS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityCapabilities {
    /// NR encryption: bit 15 = 128-NEA1.
    pub nea: u16,
    /// NR integrity: bit 15 = 128-NIA1.
    pub nia: u16,
    /// E-UTRA encryption: bit 15 = 128-EEA1.
    pub eea: u16,
    /// E-UTRA integrity: bit 15 = 128-EIA1.
    pub eia: u16,
}

/// KgNB on its way to the gNB (§9.3.1.87). Never printed, compared in constant time.
#[derive(Clone, PartialEq, Eq)]
pub struct SecurityKey(pub Key256);

impl fmt::Debug for SecurityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecurityKey(..)")
    }
}
