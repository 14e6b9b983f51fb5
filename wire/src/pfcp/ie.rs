//! Information elements that are not groups (§8.2), by their names in the spec.

use super::reader::{ENTERPRISE, Reader};
use super::{Fault, PfcpError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use types::{Dnn, Imsi, Snssai};

/// An element with a type of its own.
pub(crate) trait Ie: Sized {
    /// Its type number.
    const TYPE: u16;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError>;
    fn write(&self, out: &mut Vec<u8>);
}

/// An element as it came: not known, or kept without being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawIe {
    /// Type number; from 32 768 on it is a vendor's, and the value begins with the vendor's number.
    pub kind: u16,
    /// Its value.
    pub value: Vec<u8>,
}

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

/// Cause (§8.2.1). Unknown values survive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Cause(pub u8);

#[allow(non_upper_case_globals)]
impl Cause {
    /// Request accepted.
    pub const Accepted: Self = Self(1);
    /// Request rejected, reason not specified.
    pub const Rejected: Self = Self(64);
    /// Session context not found.
    pub const SessionContextNotFound: Self = Self(65);
    /// Mandatory IE missing.
    pub const MandatoryIeMissing: Self = Self(66);
    /// Conditional IE missing.
    pub const ConditionalIeMissing: Self = Self(67);
    /// Invalid length.
    pub const InvalidLength: Self = Self(68);
    /// Mandatory IE incorrect.
    pub const MandatoryIeIncorrect: Self = Self(69);
    /// Invalid F-TEID allocation option.
    pub const InvalidFteidAllocation: Self = Self(71);
    /// No established PFCP association.
    pub const NoAssociation: Self = Self(72);
    /// Rule creation or modification failure.
    pub const RuleFailure: Self = Self(73);
    /// No resources available.
    pub const NoResources: Self = Self(75);
    /// Service not supported.
    pub const ServiceNotSupported: Self = Self(76);
    /// System failure.
    pub const SystemFailure: Self = Self(77);

    /// True for "request accepted".
    pub fn is_accepted(self) -> bool {
        self == Self::Accepted
    }
}

impl Ie for Cause {
    const TYPE: u16 = 19;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let cause = r.u8()?;
        // Fixed length (Table 8.1.2-1).
        if r.is_empty() { Ok(Self(cause)) } else { Err(r.fault(Fault::Length)) }
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
}

/// Node ID (§8.2.38).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeId {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A name, as labels.
    Fqdn(Vec<u8>),
}

impl Default for NodeId {
    fn default() -> Self {
        Self::V4(Ipv4Addr::UNSPECIFIED)
    }
}

impl From<IpAddr> for NodeId {
    fn from(a: IpAddr) -> Self {
        match a {
            IpAddr::V4(a) => Self::V4(a),
            IpAddr::V6(a) => Self::V6(a),
        }
    }
}

/// The same as optional IPv4 and IPv6 address.
fn of_family(a: IpAddr) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    match a {
        IpAddr::V4(a) => (Some(a), None),
        IpAddr::V6(a) => (None, Some(a)),
    }
}

impl Ie for NodeId {
    const TYPE: u16 = 60;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        match r.u8()? & 0x0f {
            0 => r.array::<4>().map(|a| Self::V4(a.into())),
            1 => r.array::<16>().map(|a| Self::V6(a.into())),
            2 => {
                let name = r.rest();
                if name.is_empty() || name.len() > 255 {
                    return Err(r.fault(Fault::Length));
                }
                Ok(Self::Fqdn(name.to_vec()))
            }
            _ => Err(r.incorrect("type of the Node ID")),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(a) => {
                out.push(0);
                out.extend_from_slice(&a.octets());
            }
            Self::V6(a) => {
                out.push(1);
                out.extend_from_slice(&a.octets());
            }
            Self::Fqdn(name) => {
                out.push(2);
                out.extend_from_slice(name);
            }
        }
    }
}

/// Optional addresses behind flags; the order is v4, v6 in each element that has both.
fn read_addresses(
    r: &mut Reader<'_>,
    v4: bool,
    v6: bool,
) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>), PfcpError> {
    let v4 = if v4 { Some(r.array::<4>()?.into()) } else { None };
    let v6 = if v6 { Some(r.array::<16>()?.into()) } else { None };
    Ok((v4, v6))
}

fn write_addresses(out: &mut Vec<u8>, v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) {
    if let Some(a) = v4 {
        out.extend_from_slice(&a.octets());
    }
    if let Some(a) = v6 {
        out.extend_from_slice(&a.octets());
    }
}

/// F-SEID (§8.2.37): flags (bit 2 IPv4, bit 1 IPv6), SEID, addresses; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FSeid {
    /// The SEID.
    pub seid: u64,
    /// IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl FSeid {
    /// At one address.
    pub fn at(seid: u64, address: IpAddr) -> Self {
        let (v4, v6) = of_family(address);
        Self { seid, v4, v6 }
    }
}

impl Default for FSeid {
    fn default() -> Self {
        Self { seid: 0, v4: Some(Ipv4Addr::UNSPECIFIED), v6: None }
    }
}

impl Ie for FSeid {
    const TYPE: u16 = 57;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let flags = r.u8()?;
        let seid = r.u64()?;
        let (v4, v6) = read_addresses(r, flags & 2 != 0, flags & 1 != 0)?;
        if v4.is_none() && v6.is_none() {
            return Err(r.incorrect("F-SEID without an address"));
        }
        Ok(Self { seid, v4, v6 })
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.v4.is_some()) << 1 | u8::from(self.v6.is_some()));
        out.extend_from_slice(&self.seid.to_be_bytes());
        write_addresses(out, self.v4, self.v6);
    }
}

/// F-TEID (§8.2.3).
///
/// ```text
/// 5 | spare | CHID (8) | CH (4) | V6 (2) | V4 (1) |
/// 6 | TEID, addresses: if CH is 0; CHOOSE ID: if CHID is 1 |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FTeid {
    /// The user plane chooses.
    Choose {
        /// An IPv4 address is wanted.
        v4: bool,
        /// An IPv6 address is wanted.
        v6: bool,
        /// Equal numbers within a request get equal TEIDs.
        choose_id: Option<u8>,
    },
    /// It is this one.
    Given {
        /// The TEID.
        teid: u32,
        /// IPv4 address.
        v4: Option<Ipv4Addr>,
        /// IPv6 address.
        v6: Option<Ipv6Addr>,
    },
}

impl FTeid {
    /// At one address.
    pub fn at(teid: u32, address: IpAddr) -> Self {
        let (v4, v6) = of_family(address);
        Self::Given { teid, v4, v6 }
    }
}

impl Default for FTeid {
    fn default() -> Self {
        Self::Choose { v4: true, v6: false, choose_id: None }
    }
}

impl Ie for FTeid {
    const TYPE: u16 = 21;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let flags = r.u8()?;
        let (v4, v6) = (flags & 1 != 0, flags & 2 != 0);
        if !v4 && !v6 {
            return Err(r.incorrect("F-TEID without an address"));
        }
        if flags & 4 != 0 {
            let choose_id = if flags & 8 != 0 { Some(r.u8()?) } else { None };
            return Ok(Self::Choose { v4, v6, choose_id });
        }
        let teid = r.u32()?;
        let (v4, v6) = read_addresses(r, v4, v6)?;
        Ok(Self::Given { teid, v4, v6 })
    }
    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Choose { v4, v6, choose_id } => {
                out.push(4 | u8::from(v4) | u8::from(v6) << 1 | if choose_id.is_some() { 8 } else { 0 });
                out.extend(choose_id);
            }
            Self::Given { teid, v4, v6 } => {
                out.push(u8::from(v4.is_some()) | u8::from(v6.is_some()) << 1);
                out.extend_from_slice(&teid.to_be_bytes());
                write_addresses(out, v4, v6);
            }
        }
    }
}

/// UE IP Address (§8.2.62).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UeIpAddress {
    /// S/D flag: true where it is the destination (downlink).
    pub destination: bool,
    /// IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// IPv6 address or prefix.
    pub v6: Option<Ipv6Addr>,
    /// IPv6 prefix delegation bits.
    pub v6_delegation: Option<u8>,
    /// IPv6 prefix length.
    pub v6_length: Option<u8>,
    /// CHV4: the user plane is asked to choose an IPv4 address.
    pub choose_v4: bool,
    /// CHV6: the user plane is asked to choose an IPv6 prefix.
    pub choose_v6: bool,
}

impl Ie for UeIpAddress {
    const TYPE: u16 = 93;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let f = r.u8()?;
        let (v4, v6) = read_addresses(r, f & 0x02 != 0, f & 0x01 != 0)?;
        let v6_delegation = if f & 0x08 != 0 { Some(r.u8()?) } else { None };
        let v6_length = if f & 0x40 != 0 { Some(r.u8()?) } else { None };
        if v6_length.is_some_and(|l| l > 128) {
            return Err(r.incorrect("IPv6 prefix length"));
        }
        Ok(Self {
            destination: f & 0x04 != 0,
            v4,
            v6,
            v6_delegation,
            v6_length,
            choose_v4: f & 0x10 != 0,
            choose_v6: f & 0x20 != 0,
        })
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.v6.is_some())
                | u8::from(self.v4.is_some()) << 1
                | u8::from(self.destination) << 2
                | u8::from(self.v6_delegation.is_some()) << 3
                | u8::from(self.choose_v4) << 4
                | u8::from(self.choose_v6) << 5
                | u8::from(self.v6_length.is_some()) << 6,
        );
        write_addresses(out, self.v4, self.v6);
        out.extend(self.v6_delegation);
        out.extend(self.v6_length);
    }
}

/// Outer Header Creation (§8.2.56). Octet 5 of the description is its high octet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OuterHeaderCreation {
    /// Which headers, as bits.
    pub description: u16,
    /// TEID, for GTP-U.
    pub teid: Option<u32>,
    /// IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// UDP port, for plain UDP.
    pub port: Option<u16>,
    /// C-TAG.
    pub c_tag: Option<[u8; 3]>,
    /// S-TAG.
    pub s_tag: Option<[u8; 3]>,
}

impl OuterHeaderCreation {
    /// GTP-U, UDP, IPv4.
    pub const GTPU_V4: u16 = 0x0100;
    /// GTP-U, UDP, IPv6.
    pub const GTPU_V6: u16 = 0x0200;

    /// A GTP-U tunnel to an IPv4 or an IPv6 address.
    pub fn gtpu(teid: u32, address: IpAddr) -> Self {
        let (v4, v6) = of_family(address);
        let description = if v4.is_some() { Self::GTPU_V4 } else { Self::GTPU_V6 };
        Self { description, teid: Some(teid), v4, v6, ..Self::default() }
    }

    /// A GTP-U tunnel to an IPv4 address.
    pub fn gtpu_v4(teid: u32, address: Ipv4Addr) -> Self {
        Self { description: Self::GTPU_V4, teid: Some(teid), v4: Some(address), ..Self::default() }
    }
}

impl Ie for OuterHeaderCreation {
    const TYPE: u16 = 84;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let d = r.u16()?;
        let teid = if d & 0x0300 != 0 { Some(r.u32()?) } else { None };
        let (v4, v6) = read_addresses(r, d & 0x1500 != 0, d & 0x2a00 != 0)?;
        let port = if d & 0x0c00 != 0 { Some(r.u16()?) } else { None };
        let c_tag = if d & 0x4000 != 0 { Some(r.array()?) } else { None };
        let s_tag = if d & 0x8000 != 0 { Some(r.array()?) } else { None };
        if d & 0xff00 == 0 {
            return Err(r.incorrect("Outer Header Creation of nothing"));
        }
        Ok(Self { description: d, teid, v4, v6, port, c_tag, s_tag })
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.description.to_be_bytes());
        if let Some(t) = self.teid {
            out.extend_from_slice(&t.to_be_bytes());
        }
        write_addresses(out, self.v4, self.v6);
        if let Some(p) = self.port {
            out.extend_from_slice(&p.to_be_bytes());
        }
        out.extend(self.c_tag.into_iter().flatten());
        out.extend(self.s_tag.into_iter().flatten());
    }
}

/// Apply Action (§8.2.26): one octet in early releases, two in later ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApplyAction {
    /// Octet 5: see the constants.
    pub first: u8,
    /// Octet 6, where given.
    pub second: Option<u8>,
}

impl ApplyAction {
    /// Drop.
    pub const DROP: u8 = 0x01;
    /// Forward.
    pub const FORW: u8 = 0x02;
    /// Buffer.
    pub const BUFF: u8 = 0x04;
    /// Notify the control plane.
    pub const NOCP: u8 = 0x08;

    /// The action with these bits in octet 5, written in two octets.
    pub fn of(first: u8) -> Self {
        Self { first, second: Some(0) }
    }
}

impl Ie for ApplyAction {
    const TYPE: u16 = 44;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let first = r.u8()?;
        let second = if r.is_empty() { None } else { Some(r.u8()?) };
        Ok(Self { first, second })
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.first);
        out.extend(self.second);
    }
}

/// Bit rates of MBR and GBR (§8.2.8, §8.2.9): kbit/s, 40 bits each.
macro_rules! rates {
    ($($(#[$doc:meta])* $name:ident = $type:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
            pub struct $name {
                /// Uplink, kbit/s.
                pub uplink: u64,
                /// Downlink, kbit/s.
                pub downlink: u64,
            }

            impl Ie for $name {
                const TYPE: u16 = $type;
                fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
                    Ok(Self { uplink: r.u40()?, downlink: r.u40()? })
                }
                fn write(&self, out: &mut Vec<u8>) {
                    for rate in [self.uplink, self.downlink] {
                        let [_, _, _, bytes @ ..] = rate.min(0xff_ffff_ffff).to_be_bytes();
                        out.extend_from_slice(&bytes);
                    }
                }
            }
        )*
    };
}

rates! {
    /// Maximum bit rate.
    Mbr = 26;
    /// Guaranteed bit rate.
    Gbr = 27;
}

/// User ID (§8.2.101): each identity behind a length octet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserId {
    /// IMSI.
    pub imsi: Option<Imsi>,
    /// IMEI or IMEISV, TBCD.
    pub imei: Option<Vec<u8>>,
    /// MSISDN, TBCD.
    pub msisdn: Option<Vec<u8>>,
    /// Network access identifier.
    pub nai: Option<Vec<u8>>,
}

impl Ie for UserId {
    const TYPE: u16 = 141;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let flags = r.u8()?;
        let mut field = |bit: u8| -> Result<Option<Vec<u8>>, PfcpError> {
            if flags & bit == 0 {
                return Ok(None);
            }
            let n = r.u8()?;
            r.bytes(usize::from(n)).map(|b| Some(b.to_vec()))
        };
        let (imsi, imei, msisdn, nai) = (field(0x01)?, field(0x02)?, field(0x04)?, field(0x08)?);
        let imsi = match imsi {
            None => None,
            Some(b) => Some(imsi_from_tbcd(&b).ok_or_else(|| r.incorrect("IMSI of the User ID"))?),
        };
        Ok(Self { imsi, imei, msisdn, nai })
    }
    fn write(&self, out: &mut Vec<u8>) {
        let imsi = self.imsi.map(tbcd);
        let fields = [&imsi, &self.imei, &self.msisdn, &self.nai];
        out.push(fields.iter().enumerate().map(|(i, f)| u8::from(f.is_some()) << i).sum());
        for field in fields.into_iter().flatten() {
            out.push(field.len().min(255) as u8);
            out.extend(field.iter().take(255));
        }
    }
}

/// Digits, the first in the low half of the first octet, filled up with 1111 (TS 29.002 TBCD).
fn tbcd(imsi: Imsi) -> Vec<u8> {
    let digits: Vec<u8> = imsi.digits().collect();
    digits
        .chunks(2)
        .map(|pair| match *pair {
            [low, high] => high << 4 | low,
            [low, ..] => 0xf0 | low,
            [] => 0xff,
        })
        .collect()
}

fn imsi_from_tbcd(bytes: &[u8]) -> Option<Imsi> {
    let mut text = String::with_capacity(16);
    for (i, b) in bytes.iter().enumerate() {
        let last = i + 1 == bytes.len();
        text.push(char::from_digit(u32::from(b & 0x0f), 10)?);
        match b >> 4 {
            0x0f if last => {}
            high => text.push(char::from_digit(u32::from(high), 10)?),
        }
    }
    text.parse().ok()
}

/// APN/DNN (§8.2.117): labels, each behind its length (TS 23.003 §9.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApnDnn(pub Dnn);

impl Ie for ApnDnn {
    const TYPE: u16 = 159;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let mut name = String::new();
        while !r.is_empty() {
            let n = r.u8()?;
            let label = r.bytes(usize::from(n))?;
            let label = std::str::from_utf8(label).map_err(|_| r.incorrect("label of the DNN"))?;
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(label);
        }
        name.parse().map(Self).map_err(|_| r.incorrect("DNN"))
    }
    fn write(&self, out: &mut Vec<u8>) {
        for label in self.0.as_str().split('.') {
            out.push(label.len() as u8);
            out.extend_from_slice(label.as_bytes());
        }
    }
}

/// S-NSSAI (§8.2.176): SST and SD; ff ff ff means no SD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SNssai(pub Snssai);

impl Ie for SNssai {
    const TYPE: u16 = 257;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let [sst, sd @ ..] = r.array::<4>()?;
        Ok(Self(Snssai { sst, sd: (sd != [0xff; 3]).then_some(sd) }))
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0.sst);
        out.extend_from_slice(&self.0.sd.unwrap_or([0xff; 3]));
    }
}

/// Failed Rule ID (§8.2.80).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedRuleId {
    /// A PDR.
    Pdr(u16),
    /// A FAR.
    Far(u32),
    /// A QER.
    Qer(u32),
    /// A URR.
    Urr(u32),
    /// A BAR.
    Bar(u8),
}

impl Ie for FailedRuleId {
    const TYPE: u16 = 114;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        match r.u8()? & 0x1f {
            0 => r.u16().map(Self::Pdr),
            1 => r.u32().map(Self::Far),
            2 => r.u32().map(Self::Qer),
            3 => r.u32().map(Self::Urr),
            4 => r.u8().map(Self::Bar),
            _ => Err(r.incorrect("type of the Failed Rule ID")),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        let (kind, id) = match *self {
            Self::Pdr(id) => {
                out.push(0);
                return out.extend_from_slice(&id.to_be_bytes());
            }
            Self::Far(id) => (1, id),
            Self::Qer(id) => (2, id),
            Self::Urr(id) => (3, id),
            Self::Bar(id) => return out.extend_from_slice(&[4, id]),
        };
        out.push(kind);
        out.extend_from_slice(&id.to_be_bytes());
    }
}

/// Which PDU session of the UE it is: a vendor-specific element of ours (§8.1.1), between our own
/// control plane and our own gateway. Others skip it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduSession(pub types::PduSessionId);

impl Ie for PduSession {
    const TYPE: u16 = 0x8001;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        r.u16()?;
        let id = r.u8()?;
        id.try_into().map(Self).map_err(|_| r.incorrect("PDU session identity"))
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&ENTERPRISE.to_be_bytes());
        out.push(self.0.into());
    }
}
