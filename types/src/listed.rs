//! What an entry of the company's equipment list names: devices, models, ranges of models, each perhaps in one software
//! version alone (TS 23.003 §6.2: TAC, SNR, SVN).

use crate::digits::{DigitError, Digits, serde_as_text};
use crate::{DevicePattern, PatternError, Pei};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// One device (`35609204079299`), one model (`35609204`) or a range of models (`35609204-35609299`, both ends in it). With a
/// software version behind it (`35609204:01`), only in that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EquipmentPattern {
    devices: Devices,
    version: Option<Digits>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Devices {
    One(DevicePattern),
    Models(Digits, Digits),
}

/// Why a text is no entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EquipmentPatternError {
    /// It names no device, model or range.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// An end of the range is no TAC.
    #[error("a range is two TACs of 8 digits: {0}")]
    Tac(DigitError),
    /// The second end of the range is not above the first.
    #[error("the second TAC of a range is above the first")]
    Order,
    /// The software version is none.
    #[error("a software version has two digits: {0}")]
    Version(DigitError),
}

impl EquipmentPattern {
    /// Whether the list's entry is about this device, in the software version that it names.
    pub fn covers(self, pei: Pei) -> bool {
        self.names(pei.into()) && self.version.is_none_or(|v| version(pei) == Some(v))
    }

    /// Whether it is about this device in any software version.
    pub fn covers_any_version(self, device: DevicePattern) -> bool {
        self.version.is_none() && self.names(device)
    }

    fn names(self, device: DevicePattern) -> bool {
        match self.devices {
            Devices::One(one) => one.covers(device),
            Devices::Models(from, to) => (from..=to).contains(&device.model().digits()),
        }
    }

    /// How many models it is about, and whether in any version: of two entries about one device the lesser one counts. A
    /// device by itself is less than its model.
    pub fn width(self) -> (u64, bool) {
        let devices = match self.devices {
            Devices::One(one) => u64::from(one.is_model()),
            Devices::Models(from, to) => to.value() - from.value() + 1,
        };
        (devices, self.version.is_none())
    }

    /// The entries that would name this device by itself or by its model, the narrowest first. Ranges are none of them.
    pub fn of(pei: Pei) -> impl Iterator<Item = Self> {
        let (device, version) = (DevicePattern::from(pei), version(pei));
        let both = move |one| [version, None].map(|version| Self { devices: Devices::One(one), version });
        [device, device.model()].into_iter().flat_map(both)
    }

    /// True for a range of models.
    pub fn is_range(self) -> bool {
        matches!(self.devices, Devices::Models(..))
    }
}

/// The last two digits of an IMEISV; an IMEI has none.
fn version(pei: Pei) -> Option<Digits> {
    match pei {
        Pei::Imei(_) => None,
        Pei::Imeisv(i) => Digits::parse("SVN", i.to_string().get(14..)?, 2, 2).ok(),
    }
}

impl From<DevicePattern> for EquipmentPattern {
    fn from(one: DevicePattern) -> Self {
        Self { devices: Devices::One(one), version: None }
    }
}

impl fmt::Display for EquipmentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.devices {
            Devices::One(one) => one.fmt(f),
            Devices::Models(from, to) => write!(f, "{from}-{to}"),
        }?;
        self.version.map_or(Ok(()), |v| write!(f, ":{v}"))
    }
}

impl FromStr for EquipmentPattern {
    type Err = EquipmentPatternError;
    fn from_str(s: &str) -> Result<Self, EquipmentPatternError> {
        let (devices, version) = match s.split_once(':') {
            Some((devices, v)) => {
                (devices, Some(Digits::parse("SVN", v, 2, 2).map_err(EquipmentPatternError::Version)?))
            }
            None => (s, None),
        };
        let tac = |s: &str| Digits::parse("TAC", s, 8, 8).map_err(EquipmentPatternError::Tac);
        let devices = match devices.split_once('-') {
            Some((from, to)) => match (tac(from)?, tac(to)?) {
                (from, to) if from < to => Devices::Models(from, to),
                _ => return Err(EquipmentPatternError::Order),
            },
            None => Devices::One(devices.parse()?),
        };
        Ok(Self { devices, version })
    }
}
serde_as_text!(EquipmentPattern);

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(s: &str) -> EquipmentPattern {
        s.parse().unwrap_or_else(|e| panic!("{s}: {e}"))
    }

    fn pei(s: &str) -> Pei {
        match s.len() {
            16 => Pei::Imeisv(s.parse().expect("an IMEISV")),
            _ => Pei::Imei(s.parse().expect("an IMEI")),
        }
    }

    #[test]
    fn an_entry_is_written_as_it_is_read() {
        for s in ["35609204", "35609204079299", "35609204-35609299", "35609204:01", "35609204-35609299:99"] {
            assert_eq!(pattern(s).to_string(), s);
            assert_eq!(
                serde_json::from_str::<EquipmentPattern>(&format!("\"{s}\"")).expect("read"),
                pattern(s)
            );
        }
        assert_eq!(pattern("3560920407929901").to_string(), "35609204079299", "an IMEISV names its device");
        for s in [
            "",
            "3560920",
            "35609204:",
            "35609204:1",
            "35609204:001",
            "35609204:0x",
            "35609204-",
            "-35609204",
            "35609204-35609204",
            "35609299-35609204",
            "35609204-356092",
            "35609204079299-35609299",
            "35609204-35609299-1",
            "35609204:01:02",
            "３５６０９２０４",
        ] {
            assert!(s.parse::<EquipmentPattern>().is_err(), "{s}");
        }
    }

    #[test]
    fn an_entry_covers_what_it_names_and_the_narrowest_counts() {
        let one = pei("3560920407929901");
        for s in [
            "35609204079299",
            "35609204079299:01",
            "35609204",
            "35609204:01",
            "35609204-35609205",
            "35609203-35609204:01",
            "00000000-99999999",
        ] {
            assert!(pattern(s).covers(one), "{s}");
        }
        for s in [
            "35609204079299:02",
            "35609204:00",
            "35609205",
            "35609205-35609299",
            "35609100-35609203",
            "35609204079298",
        ] {
            assert!(!pattern(s).covers(one), "{s}");
        }
        // An IMEI says no version.
        let plain = pei("356092040792993");
        assert!(pattern("35609204").covers(plain) && !pattern("35609204:01").covers(plain));
        let mut all = [
            "00000000-99999999",
            "35609204",
            "35609204-35609205",
            "35609204:01",
            "35609204079299",
            "35609204079299:01",
        ]
        .map(pattern);
        all.sort_by_key(|p| p.width());
        let order = [
            "35609204079299:01",
            "35609204079299",
            "35609204:01",
            "35609204",
            "35609204-35609205",
            "00000000-99999999",
        ];
        assert_eq!(all, order.map(pattern));
        assert_eq!(EquipmentPattern::of(one).collect::<Vec<_>>(), order.map(pattern)[..4]);
        assert_eq!(EquipmentPattern::of(plain).filter(|p| p.covers(plain)).count(), 4);
    }
}
