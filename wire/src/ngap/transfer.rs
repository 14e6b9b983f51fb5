//! The transfers that the AMF carries between SMF and gNB as octets (TS 38.413 §9.3.4).
//!
//! Each has `decode` and `encode` of its own: a transfer that cannot be read fails its session, not the
//! message that carried it.

mod convert;

use super::{Ambr, Cause, EncodeError};
use std::net::{IpAddr, Ipv6Addr};
use types::Teid;

/// Largest transfer that is read, in octets.
pub const MAX_TRANSFER: usize = 4_096;

/// Why a transfer was refused. The gNB is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// Above [`MAX_TRANSFER`] octets.
    #[error("a transfer of {0} octets is too long")]
    TooLong(usize),
    /// The octets do not decode.
    #[error("the transfer is not the one that belongs here")]
    Syntax,
    /// An IE that must be there is not, or is not understood.
    #[error("the transfer lacks {0}")]
    Missing(&'static str),
    /// The tunnel has no IP address, or TEID 0.
    #[error("the tunnel has no usable endpoint")]
    Tunnel,
}

/// A GTP-U tunnel endpoint: UP Transport Layer Information (§9.3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// Address. Where the peer gives IPv4 and IPv6 (TS 38.414 §5.1), the IPv4 one.
    pub address: IpAddr,
    /// Its IPv6 address, where it gives both.
    pub also: Option<Ipv6Addr>,
    /// TEID.
    pub teid: Teid,
}

impl Tunnel {
    /// With one address.
    pub fn new(address: impl Into<IpAddr>, teid: Teid) -> Self {
        Self { address: address.into(), also: None, teid }
    }
}

/// Allocation and Retention Priority (§9.3.1.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// Priority, 1 (highest) to 15.
    pub priority: u8,
    /// May push others out.
    pub may_preempt: bool,
    /// May be pushed out.
    pub preemptable: bool,
}

/// One QoS flow to set up, with a standardised 5QI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QosFlowSetup {
    /// QoS flow identifier, 0–63.
    pub qfi: u8,
    /// 5QI.
    pub five_qi: u8,
    /// Allocation and retention priority.
    pub arp: Arp,
}

/// PDU session type (§9.3.1.52).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionType {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Both.
    Ipv4v6,
    /// Ethernet.
    Ethernet,
    /// Unstructured.
    Unstructured,
}

/// PDU Session Resource Setup Request Transfer (§9.3.4.1): SMF → gNB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupRequest {
    /// Bit rates of the session.
    pub ambr: Option<Ambr>,
    /// Where the gNB sends uplink packets.
    pub uplink: Tunnel,
    /// Type.
    pub session_type: SessionType,
    /// Flows; 1–64.
    pub flows: Vec<QosFlowSetup>,
}

/// PDU Session Resource Setup Response Transfer (§9.3.4.2): gNB → SMF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupResponse {
    /// Where downlink packets go.
    pub downlink: Tunnel,
    /// Flows that it carries; 1–64.
    pub flows: Vec<u8>,
    /// Flows that were not set up, with their causes.
    pub failed: Vec<(u8, Cause)>,
}

/// PDU Session Resource Setup Unsuccessful Transfer (§9.3.4.16): gNB → SMF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetupUnsuccessful {
    /// Why.
    pub cause: Cause,
}

/// PDU Session Resource Modify Request Transfer (§9.3.4.3): SMF → gNB, as far as we change anything of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModifyRequest {
    /// Bit rates of the session, where they are others.
    pub ambr: Option<Ambr>,
}

/// PDU Session Resource Modify Response Transfer (§9.3.4.4): gNB → SMF. Nothing is in it that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModifyResponse;

/// PDU Session Resource Release Command Transfer (§9.3.4.12): SMF → gNB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseCommand {
    /// Why.
    pub cause: Cause,
}

/// PDU Session Resource Release Response Transfer (§9.3.4.21): gNB → SMF. Nothing is in it that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseResponse;

/// Path Switch Request Transfer (§9.3.4.8): gNB → SMF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSwitch {
    /// Where downlink packets go from now on.
    pub downlink: Tunnel,
    /// Flows that it carries; 1–64.
    pub flows: Vec<u8>,
}

/// Path Switch Request Acknowledge Transfer (§9.3.4.9): SMF → gNB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathSwitched {
    /// Where uplink packets go, where that has changed.
    pub uplink: Option<Tunnel>,
}

/// Path Switch Request Unsuccessful Transfer (§9.3.4.20): SMF → gNB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathNotSwitched {
    /// Why.
    pub cause: Cause,
}

/// Handover Command Transfer (§9.3.4.10): SMF → gNB. Packets are not forwarded from radio to radio, so it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandoverCommandTransfer;

/// Handover Preparation Unsuccessful Transfer (§9.3.4.18): SMF → gNB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotPrepared {
    /// Why.
    pub cause: Cause,
}

/// Handover Request Acknowledge Transfer (§9.3.4.11): gNB → SMF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Where downlink packets go once the UE is there.
    pub downlink: Tunnel,
    /// Flows that it carries; 1–64.
    pub flows: Vec<u8>,
}

/// Handover Resource Allocation Unsuccessful Transfer (§9.3.4.19): gNB → SMF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAdmitted {
    /// Why.
    pub cause: Cause,
}

macro_rules! codec {
    ($t:ident, $decode:ident, $encode:ident) => {
        impl $t {
            /// Reads the transfer.
            pub fn decode(octets: &[u8]) -> Result<Self, TransferError> {
                if octets.len() > MAX_TRANSFER {
                    return Err(TransferError::TooLong(octets.len()));
                }
                convert::$decode(octets)
            }

            /// Writes the transfer.
            pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
                convert::$encode(self)
            }
        }
    };
}

codec!(SetupRequest, setup_request, setup_request_octets);
codec!(SetupResponse, setup_response, setup_response_octets);
codec!(SetupUnsuccessful, setup_unsuccessful, setup_unsuccessful_octets);
codec!(ModifyRequest, modify_request, modify_request_octets);
codec!(ModifyResponse, modify_response, modify_response_octets);
codec!(ReleaseCommand, release_command, release_command_octets);
codec!(ReleaseResponse, release_response, release_response_octets);
codec!(PathSwitch, path_switch, path_switch_octets);
codec!(PathSwitched, path_switched, path_switched_octets);
codec!(HandoverCommandTransfer, handover_command, handover_command_octets);
codec!(NotPrepared, not_prepared, not_prepared_octets);
codec!(Admitted, admitted, admitted_octets);
codec!(NotAdmitted, not_admitted, not_admitted_octets);
codec!(PathNotSwitched, path_not_switched, path_not_switched_octets);
