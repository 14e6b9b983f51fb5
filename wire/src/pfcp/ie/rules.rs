//! What becomes of packets, at which rate; and of a request: its cause, and the rule that it failed for.

use super::Ie;
use crate::pfcp::{Fault, PfcpError, reader::Reader};

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
