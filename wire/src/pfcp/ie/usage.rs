//! What is measured of a session and when it is told: triggers, volumes.

use super::Ie;
use crate::pfcp::{PfcpError, reader::Reader};

/// Reporting Triggers (§8.2.19): two octets in early releases, three in later ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportingTriggers {
    /// Octets 5 and 6: see the constants.
    pub first: u16,
    /// Octet 7, where given.
    pub third: Option<u8>,
}

impl ReportingTriggers {
    /// Every so often.
    pub const PERIO: u16 = 0x0100;
    /// At a volume.
    pub const VOLTH: u16 = 0x0200;
    /// After a time.
    pub const TIMTH: u16 = 0x0400;
    /// A volume is used up.
    pub const VOLQU: u16 = 0x0001;
    /// A time is used up.
    pub const TIMQU: u16 = 0x0002;

    /// Those with these bits, written in three octets.
    pub fn of(first: u16) -> Self {
        Self { first, third: Some(0) }
    }
}

impl Ie for ReportingTriggers {
    const TYPE: u16 = 37;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let first = r.u16()?;
        let third = if r.is_empty() { None } else { Some(r.u8()?) };
        Ok(Self { first, third })
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend(self.third);
    }
}

/// Usage Report Trigger (§8.2.41), octets 5 to 7.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageReportTrigger(pub [u8; 3]);

impl UsageReportTrigger {
    /// Every so often.
    pub const PERIO: Self = Self([0x01, 0, 0]);
    /// A volume was reached.
    pub const VOLTH: Self = Self([0x02, 0, 0]);
    /// A time was reached.
    pub const TIMTH: Self = Self([0x04, 0, 0]);
    /// It was asked for.
    pub const IMMER: Self = Self([0x80, 0, 0]);
    /// A volume is used up.
    pub const VOLQU: Self = Self([0, 0x01, 0]);
    /// A time is used up.
    pub const TIMQU: Self = Self([0, 0x02, 0]);
    /// The URR or its session is gone.
    pub const TERMR: Self = Self([0, 0x08, 0]);
}

impl Ie for UsageReportTrigger {
    const TYPE: u16 = 63;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        // Two octets in early releases.
        let [first, second] = r.array()?;
        let third = if r.is_empty() { 0 } else { r.u8()? };
        Ok(Self([first, second, third]))
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// Volumes: flags say which numbers follow, 64 bits each.
macro_rules! volumes {
    ($($(#[$doc:meta])* $name:ident = $type:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
            pub struct $name {
                /// Both ways, octets.
                pub total: Option<u64>,
                /// From the UE, octets.
                pub uplink: Option<u64>,
                /// To the UE, octets.
                pub downlink: Option<u64>,
            }

            impl Ie for $name {
                const TYPE: u16 = $type;
                fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
                    let flags = r.u8()?;
                    let mut volume = |bit| if flags & bit != 0 { r.u64().map(Some) } else { Ok(None) };
                    Ok(Self { total: volume(1)?, uplink: volume(2)?, downlink: volume(4)? })
                }
                fn write(&self, out: &mut Vec<u8>) {
                    let all = [self.total, self.uplink, self.downlink];
                    out.push(all.iter().enumerate().map(|(i, v)| u8::from(v.is_some()) << i).sum());
                    all.into_iter().flatten().for_each(|v| out.extend_from_slice(&v.to_be_bytes()));
                }
            }
        )*
    };
}

volumes! {
    /// Volume Threshold (§8.2.13).
    VolumeThreshold = 31;
    /// Volume Quota (§8.2.50).
    VolumeQuota = 73;
    /// Volume Measurement (§8.2.44); numbers of packets, where there, are left out.
    VolumeMeasurement = 66;
}
