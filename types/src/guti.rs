//! The temporary identity of a 5GS subscriber (TS 23.003 §2.10).

use crate::plmn::Plmn;
use serde::{Deserialize, Serialize};
use std::fmt;

/// AMF identifier: region (8 bits), set (10 bits), pointer (6 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AmfId {
    /// AMF region id.
    pub region: u8,
    /// AMF set id, 0–1023.
    pub set: u16,
    /// AMF pointer, 0–63.
    pub pointer: u8,
}

/// 5G-TMSI: 32 bits that name a subscriber within one AMF.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FgTmsi(pub u32);

impl fmt::Debug for FgTmsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// 5G-GUTI: PLMN, AMF and 5G-TMSI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FgGuti {
    /// PLMN of the AMF.
    pub plmn: Plmn,
    /// The AMF.
    pub amf: AmfId,
    /// The subscriber within it.
    pub tmsi: FgTmsi,
}
