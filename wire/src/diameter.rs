//! Diameter: how an MME or SMF asks who a SIM is (RFC 6733; S6a and S13 of TS 29.272, Gx of TS 29.212).
//!
//! # Safety
//! No indexing, no panic. Groups are nested as deep as their types are, so no input makes it recurse.
//! # Ownership
//! Messages own their contents.
//! # Round trip
//! What [`Pdu::encode`] writes, [`Pdu::parse`] reads as the same value. Optional AVPs that have no type here are left out.
//! # Order of AVPs
//! Any order is read, as most commands allow (RFC 6733 §3.2); written in the order of the fields, Session-Id first.
//! # Errors
//! [`DiameterError`] says what, in which AVP, at which octet, with the Result-Code and the Failed-AVP that the peer is told
//! (§7).

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod avp;
mod base;
mod dictionary;
mod gx;
mod location;
mod message;
mod s6a;
#[cfg(test)]
mod tests;

pub use avp::{Address, Failed, Identity, Raw};
pub use base::*;
pub use dictionary::name;
pub use gx::*;
pub use location::{UserLocation, user_location};
pub use message::{Message, Route};
pub use s6a::*;

use avp::Octets;
use thiserror::Error;

/// TCP and SCTP port of Diameter (RFC 6733 §11.4).
pub const PORT: u16 = 3868;

/// Number of 3GPP among vendors.
pub const TGPP: u32 = 10415;

/// The longest message that is read. The largest that S6a knows, a profile of fifty data networks, has a sixth of it.
pub const MAX: usize = 64 << 10;

/// Application numbers: the base protocol's own, and those that 3GPP was given.
pub mod application {
    /// Diameter common messages: CER, DWR, DPR.
    pub const BASE: u32 = 0;
    /// S6a and S6d: MME and HSS (TS 29.272 §7.1.8).
    pub const S6A: u32 = 16_777_251;
    /// S13: MME and EIR (TS 29.272 §7.1.9).
    pub const S13: u32 = 16_777_252;
    /// Gx: PCEF and PCRF (TS 29.212 §5.1).
    pub const GX: u32 = 16_777_238;
    /// A relay, which speaks all of them (RFC 6733 §2.4).
    pub const RELAY: u32 = 0xffff_ffff;
}

/// Values of Result-Code (RFC 6733 §7.1) and Experimental-Result-Code (TS 29.272 §7.4, TS 29.212 §5.5).
pub mod result {
    /// Done.
    pub const SUCCESS: u32 = 2001;
    /// Done for now; there is more to come.
    pub const LIMITED_SUCCESS: u32 = 2002;
    /// No such command.
    pub const COMMAND_UNSUPPORTED: u32 = 3001;
    /// Nobody here answers to that host or realm.
    pub const UNABLE_TO_DELIVER: u32 = 3002;
    /// Too much to do; ask again later, or another.
    pub const TOO_BUSY: u32 = 3004;
    /// No such application.
    pub const APPLICATION_UNSUPPORTED: u32 = 3007;
    /// Flags in the header that do not go together.
    pub const INVALID_HDR_BITS: u32 = 3008;
    /// Flags of an AVP that do not go together.
    pub const INVALID_AVP_BITS: u32 = 3009;
    /// We have no list entry for this peer.
    pub const UNKNOWN_PEER: u32 = 3010;
    /// Gx and S6a: vectors cannot be had now; ask again (TS 29.272 §7.4.4.1).
    pub const AUTHENTICATION_DATA_UNAVAILABLE: u32 = 4181;
    /// A mandatory AVP that we do not know.
    pub const AVP_UNSUPPORTED: u32 = 5001;
    /// No such session, or S6a's unknown user where it is experimental.
    pub const UNKNOWN_SESSION_ID: u32 = 5002;
    /// Not allowed.
    pub const AUTHORIZATION_REJECTED: u32 = 5003;
    /// A value that the AVP may not have.
    pub const INVALID_AVP_VALUE: u32 = 5004;
    /// An AVP is missing.
    pub const MISSING_AVP: u32 = 5005;
    /// An AVP stands too often.
    pub const AVP_OCCURS_TOO_MANY_TIMES: u32 = 5009;
    /// Nothing in common.
    pub const NO_COMMON_APPLICATION: u32 = 5010;
    /// Another version than 1.
    pub const UNSUPPORTED_VERSION: u32 = 5011;
    /// Something of ours failed.
    pub const UNABLE_TO_COMPLY: u32 = 5012;
    /// The length of an AVP is wrong.
    pub const INVALID_AVP_LENGTH: u32 = 5014;
    /// The length of the message is wrong.
    pub const INVALID_MESSAGE_LENGTH: u32 = 5015;
    /// No security mechanism in common.
    pub const NO_COMMON_SECURITY: u32 = 5017;
    /// Experimental, S6a: no such IMSI (TS 29.272 §7.4.3.1).
    pub const USER_UNKNOWN: u32 = 5001;
    /// Experimental, S6a: not allowed in this network.
    pub const ROAMING_NOT_ALLOWED: u32 = 5004;
    /// Experimental, S6a: has no EPS subscription.
    pub const UNKNOWN_EPS_SUBSCRIPTION: u32 = 5420;
    /// Experimental, S6a: not by this radio technology.
    pub const RAT_NOT_ALLOWED: u32 = 5421;
    /// Experimental, S13: no such equipment.
    pub const EQUIPMENT_UNKNOWN: u32 = 5422;
    /// Experimental, S6a: somebody else serves it.
    pub const UNKNOWN_SERVING_NODE: u32 = 5423;

    /// True for protocol errors, whose answers carry the E flag (RFC 6733 §7.1.3).
    pub const fn is_protocol_error(code: u32) -> bool {
        code / 1000 == 3
    }
}

/// The header of a message (RFC 6733 §3).
///
/// ```text
///  0 | version (1) | length of the whole message, 3 octets        |
///  4 | R P E T - - - - | command code, 3 octets                   |
///  8 | application                                                |
/// 12 | hop-by-hop identifier: the answer has the request's        |
/// 16 | end-to-end identifier: a repeated request has the first's  |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// A request, not an answer.
    pub request: bool,
    /// May be sent on by a relay.
    pub proxiable: bool,
    /// An answer with a protocol error: it need not have the command's AVPs.
    pub error: bool,
    /// May have been sent before.
    pub retransmitted: bool,
    /// Command code, 24 bits.
    pub command: u32,
    /// Application.
    pub application: u32,
    /// Matches an answer with its request on one connection.
    pub hop_by_hop: u32,
    /// With Origin-Host, tells a repeated request from a new one.
    pub end_to_end: u32,
}

/// Octets of a header.
pub const HEADER: usize = 20;

const REQUEST: u8 = 0x80;
const PROXIABLE: u8 = 0x40;
const ERROR: u8 = 0x20;
const RETRANSMITTED: u8 = 0x10;

impl Header {
    /// The header of an answer to this request (§6.2).
    #[must_use]
    pub fn answer(&self) -> Self {
        Self { request: false, error: false, retransmitted: false, ..*self }
    }

    fn flags(&self) -> u8 {
        let all = [
            (self.request, REQUEST),
            (self.proxiable, PROXIABLE),
            (self.error, ERROR),
            (self.retransmitted, RETRANSMITTED),
        ];
        all.into_iter().filter(|(on, _)| *on).fold(0, |sum, (_, bit)| sum | bit)
    }
}

/// Why a message was not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Diameter: {what} in {} at octet {offset}", .avp.map_or("the header".to_owned(), |(code, vendor)| dictionary::called(code, vendor)))]
pub struct DiameterError {
    /// What the peer is told ([`result`]).
    pub result: u32,
    /// What is wrong.
    pub what: &'static str,
    /// In which AVP: code and vendor.
    pub avp: Option<(u32, u32)>,
    /// Where, from the start of the message.
    pub offset: usize,
    /// What the answer shows as Failed-AVP (§7.5).
    pub failed: Option<Box<Raw>>,
    /// The message's header, if that could be read: what an answer needs.
    pub header: Option<Header>,
    /// Its Session-Id, if that could be read.
    pub session: Option<String>,
}

/// One message with its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// May be sent on by a relay.
    pub proxiable: bool,
    /// May have been sent before.
    pub retransmitted: bool,
    /// See [`Header::hop_by_hop`].
    pub hop_by_hop: u32,
    /// See [`Header::end_to_end`].
    pub end_to_end: u32,
    /// Which relays it came by, as they want to see it again in the answer (Proxy-Info, §6.7.2).
    pub proxies: Vec<Raw>,
    /// What it says.
    pub message: Message,
}

/// Length of the message that begins with these octets, of which a stream gives four first.
///
/// # Errors
/// Of a peer that sends these nothing more can be understood on this connection.
pub fn length(first: [u8; 4]) -> Result<usize, DiameterError> {
    let [version, a, b, c] = first;
    let n = u32::from_be_bytes([0, a, b, c]) as usize;
    let wrong = |result, what| Err(DiameterError::header(result, what, 0, None));
    match () {
        () if version != 1 => wrong(result::UNSUPPORTED_VERSION, "another version than 1"),
        () if n < HEADER => wrong(result::INVALID_MESSAGE_LENGTH, "shorter than a header"),
        () if !n.is_multiple_of(4) => wrong(result::INVALID_MESSAGE_LENGTH, "length no multiple of four"),
        () if n > MAX => wrong(result::INVALID_MESSAGE_LENGTH, "longer than any message that we know"),
        () => Ok(n),
    }
}

impl DiameterError {
    fn header(result: u32, what: &'static str, offset: usize, header: Option<Header>) -> Self {
        Self { result, what, avp: None, offset, failed: None, header, session: None }
    }

    /// The answer that tells the sender of a request what was wrong with it; `None` where there is nobody to answer, or
    /// where it was an answer: those get none (§6.2).
    pub fn answer(&self, origin_host: &Identity, origin_realm: &Identity) -> Option<Vec<u8>> {
        let header = self.header.filter(|h| h.request)?;
        let failed = self.failed.clone();
        let answer = Refusal {
            session_id: self.session.clone(),
            result_code: self.result,
            origin_host: origin_host.clone(),
            origin_realm: origin_realm.clone(),
            error_message: Some(format!("{self}")),
            failed_avp: failed.map(|f| Failed(vec![*f])),
        };
        Some(answer.encode(&header, &[]))
    }
}

impl Pdu {
    /// Reads one message, whole.
    ///
    /// # Errors
    /// [`DiameterError`], with the answer to give.
    pub fn parse(octets: &[u8]) -> Result<Self, DiameterError> {
        let (header, body) = parse_header(octets)?;
        let body = Octets { rest: body, at: HEADER, strict: header.request, outermost: true };
        let with =
            |e: DiameterError| DiameterError { header: Some(header), session: avp::session_of(body), ..e };
        let proxies = avp::proxies_of(body).map_err(with)?;
        let message = Message::read(&header, body).map_err(with)?;
        Ok(Self {
            proxiable: header.proxiable,
            retransmitted: header.retransmitted,
            hop_by_hop: header.hop_by_hop,
            end_to_end: header.end_to_end,
            proxies,
            message,
        })
    }

    /// The message's header.
    pub fn header(&self) -> Header {
        let (application, command, request) = self.message.kind();
        Header {
            request,
            proxiable: self.proxiable,
            error: self.message.is_protocol_error(),
            retransmitted: self.retransmitted,
            command,
            application,
            hop_by_hop: self.hop_by_hop,
            end_to_end: self.end_to_end,
        }
    }

    /// A request of ours; requests of an application may be relayed, those of the base protocol may not.
    pub fn request(message: impl Into<Message>, hop_by_hop: u32, end_to_end: u32) -> Self {
        let message = message.into();
        let proxiable = message.kind().0 != application::BASE;
        Self { proxiable, retransmitted: false, hop_by_hop, end_to_end, proxies: Vec::new(), message }
    }

    /// The answer to this request: same identifiers, same relays.
    #[must_use]
    pub fn answer(&self, message: impl Into<Message>) -> Self {
        Self {
            proxiable: self.proxiable,
            retransmitted: false,
            hop_by_hop: self.hop_by_hop,
            end_to_end: self.end_to_end,
            proxies: self.proxies.clone(),
            message: message.into(),
        }
    }

    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.header(), |out| {
            self.message.write(out);
            for p in &self.proxies {
                p.write(out);
            }
        })
    }
}

fn encode(header: &Header, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let [_, c1, c2, c3] = header.command.to_be_bytes();
    out.extend_from_slice(&[1, 0, 0, 0, header.flags(), c1, c2, c3]);
    for word in [header.application, header.hop_by_hop, header.end_to_end] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    body(&mut out);
    avp::set_length(&mut out, 0, 1);
    out
}

fn parse_header(octets: &[u8]) -> Result<(Header, &[u8]), DiameterError> {
    let cut = || DiameterError::header(result::INVALID_MESSAGE_LENGTH, "cut short", octets.len(), None);
    let (first, _) = octets.split_first_chunk::<4>().ok_or_else(cut)?;
    let n = length(*first)?;
    let (head, body) = octets.split_first_chunk::<HEADER>().ok_or_else(cut)?;
    let &[_, _, _, _, flags, c1, c2, c3, a1, a2, a3, a4, h1, h2, h3, h4, e1, e2, e3, e4] = head;
    let header = Header {
        request: flags & REQUEST != 0,
        proxiable: flags & PROXIABLE != 0,
        error: flags & ERROR != 0,
        retransmitted: flags & RETRANSMITTED != 0,
        command: u32::from_be_bytes([0, c1, c2, c3]),
        application: u32::from_be_bytes([a1, a2, a3, a4]),
        hop_by_hop: u32::from_be_bytes([h1, h2, h3, h4]),
        end_to_end: u32::from_be_bytes([e1, e2, e3, e4]),
    };
    let wrong = |result, what, at| Err(DiameterError::header(result, what, at, Some(header)));
    if n != octets.len() {
        return wrong(result::INVALID_MESSAGE_LENGTH, "length is not that of the message", 1);
    }
    // §3: a request is no error, and only a request is repeated. The other four bits are ignored.
    if (header.request && header.error) || (!header.request && header.retransmitted) {
        return wrong(result::INVALID_HDR_BITS, "flags that do not go together", 4);
    }
    Ok((header, body))
}

/// A view of what stands in front, for who only wants to look.
pub fn header(octets: &[u8]) -> Result<Header, DiameterError> {
    parse_header(octets).map(|(h, _)| h)
}
