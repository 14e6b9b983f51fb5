//! NAS of 5GS (TS 24.501): plain 5GMM and 5GSM messages as our own structs, both directions.
//!
//! [`FgmmMessage`] is mobility management (registration, authentication, service, transport),
//! [`FgsmMessage`] is session management and travels inside a NAS transport message. Protection is the
//! business of [`super::security`]: what comes in here is plain.
//!
//! # Safety
//! A message above [`super::MAX_NAS`] octets is refused before it is parsed. Every list is bounded by its
//! IE's length. Nothing indexes, unwraps or panics.
//!
//! # Ownership
//! Messages own their octets. The message tables come from `oxirush-nas`, whose types do not leave this
//! module; the contents of the IEs are read and written here.
//!
//! # Round trip
//! `decode(&encode(m)?)? == m` for every message that encodes. Optional IEs that these structs do not have
//! are read over. An optional IE with a syntax error counts as absent (§7.7.1).
//!
//! # Order of elements
//! As in the tables of §8; an optional IE out of order or repeated is ignored (§7.6.2, §7.6.3).
//!
//! # Errors
//! [`NasError`] says what is wrong and, by [`NasError::fgmm_cause`], what a 5GMM STATUS would tell.
//! An unknown IE that demands comprehension makes the message invalid (§7.5.1).

mod epco;
mod identity;
mod ie;
mod mm;
mod mm_codec;
mod qos;
mod sm;
mod sm_codec;

pub use epco::{Container as EpcoContainer, Epco};
pub use identity::{IdentityType, MobileIdentity, STmsi};
pub use ie::{NgKsi, PduSessionType, RejectedSnssai, RequestedDnn, SessionSet, Timer, UeSecurityCapability};
pub use mm::*;
pub use qos::{Direction as FilterDirection, PacketFilter, QosFlow, QosRule, RuleOperation, SessionAmbr};
pub use sm::*;

use types::{FgmmCause, FgsmCause};

/// What is wrong with a received NAS message, or why one of ours has no form on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NasError {
    /// Ends inside its header: to be ignored in silence (§7.2.1).
    #[error("a NAS message that ends inside its header")]
    TooShort,
    /// Above [`super::MAX_NAS`] octets.
    #[error("a NAS message of {0} octets is too long")]
    TooLong(usize),
    /// The first octet names another protocol: to be ignored (§9.2).
    #[error("unknown extended protocol discriminator {0:#04x}")]
    UnknownDiscriminator(u8),
    /// A security header where a plain message is expected, or a reserved one.
    #[error("security header type {0} where a plain message belongs")]
    Protected(u8),
    /// A message type that does not exist or that we do not have (§7.4).
    #[error("message type {0:#04x} does not exist or is not implemented")]
    UnknownMessageType(u8),
    /// The same for 5GSM, with what the answer needs.
    #[error("5GSM message type {message_type:#04x} does not exist or is not implemented")]
    UnknownSessionMessageType {
        /// PDU session identity as received.
        session: u8,
        /// Procedure transaction identity as received.
        pti: u8,
        /// The type.
        message_type: u8,
    },
    /// PDU session identity 0 or above 15 in a 5GSM message (§7.3.2).
    #[error("PDU session identity {session} does not exist (PTI {pti})")]
    InvalidPduSessionIdentity {
        /// As received.
        session: u8,
        /// Procedure transaction identity as received.
        pti: u8,
        /// The type.
        message_type: u8,
    },
    /// PTI 255 (§7.3.1): reserved.
    #[error("the reserved procedure transaction identity")]
    ReservedPti,
    /// A mandatory IE is missing, cut or wrong (§7.5.1), or an unknown IE demands comprehension.
    #[error("mandatory information of message {message_type:#04x} is invalid: {ie}")]
    InvalidMandatory {
        /// The message.
        message_type: u8,
        /// The IE, as the spec or the codec names it.
        ie: &'static str,
    },
    /// An IE that this message needs under its conditions is missing (§7.7.2).
    #[error("message {message_type:#04x} lacks {ie}")]
    Conditional {
        /// The message.
        message_type: u8,
        /// The IE.
        ie: &'static str,
    },
    /// A value of ours that the wire has no form for.
    #[error("{ie} cannot be encoded")]
    Encode {
        /// The IE or message.
        ie: &'static str,
    },
}

impl NasError {
    /// The 5GMM cause that the peer is told; `None` where silence is the answer.
    pub fn fgmm_cause(&self) -> Option<FgmmCause> {
        match self {
            Self::TooShort | Self::TooLong(_) | Self::UnknownDiscriminator(_) | Self::Protected(_) => None,
            Self::UnknownMessageType(_) | Self::UnknownSessionMessageType { .. } => {
                Some(FgmmCause::MessageTypeNonExistent)
            }
            Self::InvalidMandatory { .. } => Some(FgmmCause::InvalidMandatoryInformation),
            Self::Conditional { .. } => Some(FgmmCause::ConditionalIeError),
            Self::InvalidPduSessionIdentity { .. } | Self::ReservedPti | Self::Encode { .. } => {
                Some(FgmmCause::ProtocolErrorUnspecified)
            }
        }
    }

    /// The 5GSM cause that the peer is told; `None` where silence is the answer.
    pub fn fgsm_cause(&self) -> Option<FgsmCause> {
        match self {
            Self::TooShort
            | Self::TooLong(_)
            | Self::UnknownDiscriminator(_)
            | Self::Protected(_)
            | Self::ReservedPti => None,
            Self::UnknownMessageType(_) | Self::UnknownSessionMessageType { .. } => {
                Some(FgsmCause::MessageTypeNonExistent)
            }
            Self::InvalidPduSessionIdentity { .. } => Some(FgsmCause::InvalidPduSessionIdentity),
            Self::InvalidMandatory { .. } => Some(FgsmCause::InvalidMandatoryInformation),
            Self::Conditional { .. } | Self::Encode { .. } => Some(FgsmCause::ProtocolErrorUnspecified),
        }
    }
}

impl FgmmMessage {
    /// Reads a plain 5GMM message.
    pub fn decode(octets: &[u8]) -> Result<Self, NasError> {
        mm_codec::decode(octets)
    }

    /// Writes it, plain.
    pub fn encode(&self) -> Result<Vec<u8>, NasError> {
        mm_codec::encode(self)
    }
}

impl FgsmMessage {
    /// Reads a 5GSM message (the payload of a NAS transport message of container type 1).
    pub fn decode(octets: &[u8]) -> Result<Self, NasError> {
        sm_codec::decode(octets)
    }

    /// Writes it.
    pub fn encode(&self) -> Result<Vec<u8>, NasError> {
        sm_codec::encode(self)
    }
}

#[cfg(test)]
mod tests;
