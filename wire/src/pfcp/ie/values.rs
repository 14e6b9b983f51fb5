//! Elements that are one number, or octets that are kept as they came.

use super::Ie;
use crate::pfcp::{PfcpError, reader::Reader};

/// Numbers. At least as many octets as the number has; a newer release may add more behind.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($int:ident: $read:ident, mask $mask:literal) = $type:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub $int);

            impl Ie for $name {
                const TYPE: u16 = $type;
                fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
                    Ok(Self(r.$read()? & $mask))
                }
                fn write(&self, out: &mut Vec<u8>) {
                    out.extend_from_slice(&self.0.to_be_bytes());
                }
            }
        )*
    };
}

numbers! {
    /// PDR ID (§8.2.36).
    PdrId(u16: u16, mask 0xffff) = 56;
    /// FAR ID (§8.2.74).
    FarId(u32: u32, mask 0xffff_ffff) = 108;
    /// QER ID (§8.2.75).
    QerId(u32: u32, mask 0xffff_ffff) = 109;
    /// URR ID (§8.2.54).
    UrrId(u32: u32, mask 0xffff_ffff) = 81;
    /// Precedence (§8.2.11): lower is read first.
    Precedence(u32: u32, mask 0xffff_ffff) = 29;
    /// BAR ID (§8.2.57).
    BarId(u8: u8, mask 0xff) = 88;
    /// Downlink Data Notification Delay (§8.2.28), in steps of 50 ms.
    NotificationDelay(u8: u8, mask 0xff) = 46;
    /// Suggested Buffering Packets Count (§8.2.100).
    SuggestedPackets(u8: u8, mask 0xff) = 140;
    /// DL Buffering Duration (§8.2.29): bits 8–6 the unit, 5–1 how many.
    DlBufferingDuration(u8: u8, mask 0xff) = 47;
    /// Source Interface (§8.2.2).
    SourceInterface(u8: u8, mask 0x0f) = 20;
    /// Destination Interface (§8.2.24).
    DestinationInterface(u8: u8, mask 0x0f) = 42;
    /// 3GPP Interface Type (§8.2.118).
    InterfaceType(u8: u8, mask 0x3f) = 160;
    /// Outer Header Removal (§8.2.64).
    OuterHeaderRemoval(u8: u8, mask 0xff) = 95;
    /// Gate Status (§8.2.7): bits 4–3 uplink, 2–1 downlink; 0 is open.
    GateStatus(u8: u8, mask 0x0f) = 25;
    /// QER Correlation ID (§8.2.10).
    QerCorrelationId(u32: u32, mask 0xffff_ffff) = 28;
    /// QoS flow identifier (§8.2.89).
    Qfi(u8: u8, mask 0x3f) = 124;
    /// PDN Type (§8.2.79): 1 IPv4, 2 IPv6, 3 IPv4v6, 4 non-IP, 5 Ethernet.
    PdnType(u8: u8, mask 0x07) = 113;
    /// Recovery Time Stamp (§8.2.65): seconds since 1900 (NTP).
    RecoveryTimeStamp(u32: u32, mask 0xffff_ffff) = 96;
    /// Offending IE (§8.2.22).
    OffendingIe(u16: u16, mask 0xffff) = 40;
    /// Report Type (§8.2.21): bit 1 downlink data, 2 usage, 3 error indication.
    ReportType(u8: u8, mask 0xff) = 39;
    /// PFCPSMReq-Flags (§8.2.31): bit 2 (SNDEM) asks for End Markers.
    SmReqFlags(u8: u8, mask 0xff) = 49;
    /// PFCPSEReq-Flags (§8.2.142): bit 1 (RESTI) says that the session was there before the user plane started anew.
    SeReqFlags(u8: u8, mask 0xff) = 186;
    /// Measurement Method (§8.2.40): bit 1 duration, 2 volume, 3 event.
    MeasurementMethod(u8: u8, mask 0xff) = 62;
    /// Time Threshold (§8.2.14), seconds.
    TimeThreshold(u32: u32, mask 0xffff_ffff) = 32;
    /// Time Quota (§8.2.51), seconds.
    TimeQuota(u32: u32, mask 0xffff_ffff) = 74;
    /// Measurement Period (§8.2.42), seconds.
    MeasurementPeriod(u32: u32, mask 0xffff_ffff) = 64;
    /// UR-SEQN (§8.2.71): number of a usage report of its URR.
    UrSeqn(u32: u32, mask 0xffff_ffff) = 104;
    /// Duration Measurement (§8.2.45), seconds.
    DurationMeasurement(u32: u32, mask 0xffff_ffff) = 67;
    /// Start Time (§8.2.52), seconds since 1900.
    StartTime(u32: u32, mask 0xffff_ffff) = 75;
    /// End Time (§8.2.53), seconds since 1900.
    EndTime(u32: u32, mask 0xffff_ffff) = 76;
}

impl DlBufferingDuration {
    /// Milliseconds; `None`: without an end.
    pub fn ms(self) -> Option<u64> {
        let seconds = match self.0 >> 5 {
            0 => 2,
            2 => 600,
            3 => 3_600,
            4 => 36_000,
            7 => return None,
            // 1, and what is not defined yet.
            _ => 60,
        };
        Some(seconds * 1_000 * u64::from(self.0 & 0x1f))
    }
}

/// DL Buffering Suggested Packet Count (§8.2.30): one octet, or two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DlBufferingPackets(pub u16);

impl Ie for DlBufferingPackets {
    const TYPE: u16 = 48;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let first = r.u8()?;
        let second = if r.is_empty() { None } else { Some(r.u8()?) };
        Ok(Self(second.map_or(u16::from(first), |second| u16::from_be_bytes([first, second]))))
    }
    fn write(&self, out: &mut Vec<u8>) {
        match u8::try_from(self.0) {
            Ok(one) => out.push(one),
            Err(_) => out.extend_from_slice(&self.0.to_be_bytes()),
        }
    }
}

/// Octets that are kept without being read.
macro_rules! octets {
    ($($(#[$doc:meta])* $name:ident = $type:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, PartialEq, Eq)]
            pub struct $name(pub Vec<u8>);

            impl Ie for $name {
                const TYPE: u16 = $type;
                fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
                    Ok(Self(r.rest().to_vec()))
                }
                fn write(&self, out: &mut Vec<u8>) {
                    out.extend_from_slice(&self.0);
                }
            }
        )*
    };
}

octets! {
    /// Network Instance (§8.2.4): a name, as labels or as plain text.
    NetworkInstance = 22;
    /// Application ID (§8.2.6), raw.
    ApplicationId = 24;
    /// UP Function Features (§8.2.25), octets 5 and up.
    UpFunctionFeatures = 43;
    /// CP Function Features (§8.2.58), octets 5 and up.
    CpFunctionFeatures = 89;
    /// Session Retention Information (§7.4.4.1): the CP kept its sessions over a restart.
    SessionRetention = 183;
}
