//! PFCP: how a control plane steers a user plane (TS 29.244; N4, Sxb).
//!
//! # Safety
//! No indexing, no panic. Groups are nested as deep as their types are, so no input makes it recurse.
//! # Ownership
//! Messages own their contents.
//! # Round trip
//! What [`Pdu::encode`] writes, [`Pdu::parse`] reads as the same value. Elements that have no type here
//! survive as [`RawIe`]; octets that a newer release added behind a known element's own are left out.
//! # Order of elements
//! Any order is read. Where an element stands twice and may stand once, the first counts
//! (§7.6.4.6). Written in the order of the fields, unknown ones last.
//! # Errors
//! [`PfcpError`] says what, in which element, at which octet; [`PfcpError::cause`] is what the peer is told.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod group;
mod ie;
mod message;
mod reader;
mod sdf;
#[cfg(test)]
pub(crate) mod tests;

pub use group::*;
pub use ie::*;
pub use message::*;
use reader::Reader;
pub use sdf::*;

use thiserror::Error;

/// UDP port of PFCP.
pub const PORT: u16 = 8805;

/// The header of a message (§7.2.2).
///
/// ```text
///      8     7     6     5     4     3     2     1
/// 1 | version (1)     |  spare    | FO  | MP  |  S  |
/// 2 | message type                                  |
/// 3 | length of what follows octet 4                |  2 octets
/// 5 | SEID, if S                                    |  8 octets
///   | sequence number                               |  3 octets
///   | message priority and spare                    |  1 octet
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Message type.
    pub kind: u8,
    /// SEID of the receiver, in messages about a session.
    pub seid: Option<u64>,
    /// Sequence number, 24 bits.
    pub sequence: u32,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The header; nothing can be answered.
    Header(&'static str),
    /// Another version (§7.2.2.1: answered by Version Not Supported Response).
    Version,
    /// An element or a field is shorter than it must be, or reaches outside of what holds it.
    Length,
    /// A mandatory element is missing.
    Missing,
    /// An element has a value that it may not have.
    Incorrect(&'static str),
}

/// Why a message was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("PFCP: {fault:?} in element {ie:?} at octet {offset}")]
pub struct PfcpError {
    /// What is wrong.
    pub fault: Fault,
    /// In which element.
    pub ie: Option<u16>,
    /// Where, from the start of the message.
    pub offset: usize,
    /// The message's header, if that could be read: what an answer needs.
    pub header: Option<Header>,
}

impl PfcpError {
    /// What the peer is told (§8.2.1); `None` where the message has no answer with a cause.
    pub fn cause(&self) -> Option<Cause> {
        match self.fault {
            Fault::Header(_) | Fault::Version => None,
            Fault::Length => Some(Cause::InvalidLength),
            Fault::Missing => Some(Cause::MandatoryIeMissing),
            Fault::Incorrect(_) => Some(Cause::MandatoryIeIncorrect),
        }
    }
}

/// One PFCP message with its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// SEID of the receiver; given for messages about a session, absent for the others.
    pub seid: Option<u64>,
    /// Sequence number, 24 bits.
    pub sequence: u32,
    /// What it says.
    pub message: Message,
}

impl Pdu {
    /// Reads a datagram, which holds exactly one message.
    pub fn parse(datagram: &[u8]) -> Result<Self, PfcpError> {
        let (header, body) = parse_header(datagram)?;
        let mut reader = Reader::new(body, datagram.len() - body.len());
        let message =
            Message::read(header.kind, &mut reader).map_err(|e| PfcpError { header: Some(header), ..e })?;
        Ok(Self { seid: header.seid, sequence: header.sequence, message })
    }

    /// Writes the message. The S flag follows `seid`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0x20 | u8::from(self.seid.is_some()), self.message.kind(), 0, 0];
        if let Some(seid) = self.seid {
            out.extend_from_slice(&seid.to_be_bytes());
        }
        out.extend_from_slice(&(self.sequence << 8).to_be_bytes());
        self.message.write(&mut out);
        let [a, b] = u16::try_from(out.len() - 4).unwrap_or(u16::MAX).to_be_bytes();
        if let Some(length) = out.get_mut(2..4) {
            length.copy_from_slice(&[a, b]);
        }
        out
    }
}

fn parse_header(datagram: &[u8]) -> Result<(Header, &[u8]), PfcpError> {
    let fault = |fault, offset| PfcpError { fault, ie: None, offset, header: None };
    let cut = || fault(Fault::Header("cut short"), datagram.len());
    let (&[flags, kind, l1, l2], rest) = datagram.split_first_chunk::<4>().ok_or_else(cut)?;
    if flags >> 5 != 1 {
        return Err(fault(Fault::Version, 0));
    }
    if flags & 0x04 != 0 {
        return Err(fault(Fault::Header("several messages in one datagram"), 0));
    }
    if usize::from(u16::from_be_bytes([l1, l2])) != rest.len() {
        return Err(fault(Fault::Header("length is not that of the datagram"), 2));
    }
    let (seid, rest) = if flags & 1 != 0 {
        let (seid, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        (Some(u64::from_be_bytes(*seid)), rest)
    } else {
        (None, rest)
    };
    let (&[s1, s2, s3, _priority], rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    if seid.is_some() != is_about_a_session(kind) {
        return Err(fault(Fault::Header("S flag does not fit the message type"), 0));
    }
    Ok((Header { kind, seid, sequence: u32::from_be_bytes([0, s1, s2, s3]) }, rest))
}

/// A Version Not Supported Response (§7.4.1) to a datagram of another version.
pub fn version_not_supported(datagram: &[u8]) -> Vec<u8> {
    // The sequence number stands where it does in ours (§7.2.2.1).
    let at = if datagram.first().is_some_and(|f| f & 1 != 0) { 12 } else { 4 };
    let s = datagram.get(at..at + 3).unwrap_or(&[0, 0, 0]);
    let mut out = vec![0x20, 11, 0, 4];
    out.extend_from_slice(s);
    out.push(0);
    out
}
