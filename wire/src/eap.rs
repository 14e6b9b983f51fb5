//! EAP-AKA' as 5GS carries it in NAS (RFC 3748 §4, RFC 4187 §8 to §10, RFC 9048 §3; TS 33.501 Annex F).
//!
//! ```text
//! packet:    code | identifier | length (2) | type 50 | subtype | reserved (2) | attributes
//! attribute: type | length in words of 4 octets, these two included | value
//! ```
//!
//! # Safety
//! No length is trusted; nothing is indexed. An attribute twice (but AT_KDF), one of a wrong size, and an unknown one that may not be
//! skipped are refused: two readers could understand them differently.
//!
//! # Ownership
//! Copies what it reads. The keys are elsewhere: [`Eap::encode_signed`] has AT_MAC made, [`covered`] says what it was made of.
//!
//! # Round trip
//! What is read is written as the same, but for unknown attributes that may be skipped (they are dropped), reserved octets
//! and the order. AT_MAC comes last.
//!
//! # Order of elements
//! Attributes may come in any order.
//!
//! # Errors
//! [`EapError`] says which attribute, at which octet.
//!
//! Not here: other EAP types, identity, re-authentication and encrypted attributes, which 5GS does not use.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic))]

use thiserror::Error;
use types::{Autn, Auts, Rand, Res};

/// EAP type of EAP-AKA'.
pub const AKA_PRIME: u8 = 50;
/// Longest packet: what the NAS element holds (TS 24.501 §9.11.2.2).
pub const MOST: usize = 1_500;

/// Octets in front of the attributes.
const HEAD: usize = 8;
/// From this type on an attribute that is not understood may be skipped (RFC 4187 §8.1).
const SKIPPABLE: u8 = 128;

const AT_RAND: u8 = 1;
const AT_AUTN: u8 = 2;
const AT_RES: u8 = 3;
const AT_AUTS: u8 = 4;
const AT_MAC: u8 = 11;
const AT_NOTIFICATION: u8 = 12;
const AT_CLIENT_ERROR_CODE: u8 = 22;
const AT_KDF_INPUT: u8 = 23;
const AT_KDF: u8 = 24;
const AT_CHECKCODE: u8 = 134;
const AT_RESULT_IND: u8 = 135;

/// One EAP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eap {
    /// Ties an answer to its request.
    pub identifier: u8,
    /// What it is.
    pub body: EapBody,
}

/// What an EAP packet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EapBody {
    /// From the network.
    Request(AkaPrime),
    /// From the UE.
    Response(AkaPrime),
    /// From the network: it is over, and well.
    Success,
    /// From the network: it is over.
    Failure,
}

/// Subtype of EAP-AKA' (RFC 4187 §11): values that are not named survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subtype(pub u8);

impl Subtype {
    /// AKA'-Challenge.
    pub const CHALLENGE: Self = Self(1);
    /// AKA'-Authentication-Reject: MAC-A of AUTN is wrong.
    pub const AUTHENTICATION_REJECT: Self = Self(2);
    /// AKA'-Synchronization-Failure.
    pub const SYNCHRONIZATION_FAILURE: Self = Self(4);
    /// AKA'-Notification.
    pub const NOTIFICATION: Self = Self(12);
    /// AKA'-Client-Error.
    pub const CLIENT_ERROR: Self = Self(14);
}

/// One EAP-AKA' message: its subtype, and the attributes that came with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AkaPrime {
    /// Which message.
    pub subtype: Subtype,
    /// AT_RAND.
    pub rand: Option<Rand>,
    /// AT_AUTN.
    pub autn: Option<Autn>,
    /// AT_RES, of whole octets.
    pub res: Option<Res>,
    /// AT_AUTS.
    pub auts: Option<Auts>,
    /// AT_KDF, in the order of preference.
    pub kdf: Vec<u16>,
    /// AT_KDF_INPUT: the network's name.
    pub kdf_input: Option<Vec<u8>>,
    /// AT_CHECKCODE: none or 32 octets.
    pub checkcode: Option<Vec<u8>>,
    /// AT_RESULT_IND: a protected result is wanted, or will be.
    pub result_ind: bool,
    /// AT_NOTIFICATION.
    pub notification: Option<u16>,
    /// AT_CLIENT_ERROR_CODE.
    pub client_error: Option<u16>,
    /// AT_MAC.
    pub mac: Option<[u8; 16]>,
}

impl AkaPrime {
    /// A message without an attribute.
    pub fn of(subtype: Subtype) -> Self {
        Self { subtype, ..Self::default() }
    }
}

/// Why a packet was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EapError {
    /// Shorter than it says, or than any is.
    #[error("EAP packet cut short")]
    TooShort,
    /// Longer than NAS carries.
    #[error("EAP packet of {0} octets")]
    TooLong(usize),
    /// No code of RFC 3748, or a result with something in it.
    #[error("EAP code {0} is none, or has what it cannot have")]
    Code(u8),
    /// Another method.
    #[error("EAP type {0} is not EAP-AKA'")]
    Type(u8),
    /// Wrong size, or a value that cannot be.
    #[error("attribute {kind} at octet {offset} is wrong")]
    Attribute {
        /// Its type.
        kind: u8,
        /// Where it begins.
        offset: usize,
    },
    /// There more than once.
    #[error("attribute {0} twice")]
    Twice(u8),
    /// Not known, and not to be skipped.
    #[error("attribute {0} is not known and may not be skipped")]
    Unknown(u8),
}

impl EapError {
    /// The packet's identifier may be believed: only what it carries is wrong.
    pub fn is_of_method(&self) -> bool {
        matches!(self, Self::Attribute { .. } | Self::Twice(_) | Self::Unknown(_) | Self::Type(_))
    }
}

impl Eap {
    /// EAP-Success or EAP-Failure, four octets (RFC 3748 §4.2).
    pub fn result(identifier: u8, success: bool) -> Self {
        Self { identifier, body: if success { EapBody::Success } else { EapBody::Failure } }
    }

    /// Reads a packet; what stands behind its length is padding (RFC 3748 §4.1).
    ///
    /// # Errors
    /// [`EapError`].
    pub fn decode(octets: &[u8]) -> Result<Self, EapError> {
        let packet = packet(octets)?;
        let (code, identifier) = match packet {
            [code, identifier, ..] => (*code, *identifier),
            _ => return Err(EapError::TooShort),
        };
        let body = match (code, packet.len()) {
            (1, _) => EapBody::Request(aka_prime(packet)?),
            (2, _) => EapBody::Response(aka_prime(packet)?),
            (3, 4) => EapBody::Success,
            (4, 4) => EapBody::Failure,
            _ => return Err(EapError::Code(code)),
        };
        Ok(Self { identifier, body })
    }

    /// Writes it, with AT_MAC as it stands.
    ///
    /// # Errors
    /// [`EapError`] where an attribute is too long for its length field, or the packet for NAS.
    pub fn encode(&self) -> Result<Vec<u8>, EapError> {
        let (code, message) = match &self.body {
            EapBody::Request(m) => (1, Some(m)),
            EapBody::Response(m) => (2, Some(m)),
            EapBody::Success => (3, None),
            EapBody::Failure => (4, None),
        };
        let mut out = vec![code, self.identifier, 0, 0];
        if let Some(m) = message {
            out.extend_from_slice(&[AKA_PRIME, m.subtype.0, 0, 0]);
            write_attributes(&mut out, m)?;
        }
        let length = u16::try_from(out.len()).ok().filter(|n| usize::from(*n) <= MOST);
        let length = length.ok_or(EapError::TooLong(out.len()))?;
        if let [_, _, l0, l1, ..] = out.as_mut_slice() {
            [*l0, *l1] = length.to_be_bytes();
        }
        Ok(out)
    }

    /// Writes it with the AT_MAC that `sign` makes of the packet, in which the code is zeros (RFC 9048 §3.4.2).
    ///
    /// # Errors
    /// As [`Eap::encode`].
    pub fn encode_signed(mut self, sign: impl FnOnce(&[u8]) -> [u8; 16]) -> Result<Vec<u8>, EapError> {
        if let EapBody::Request(m) | EapBody::Response(m) = &mut self.body {
            m.mac = Some([0; 16]);
        }
        let mut out = self.encode()?;
        let mac = sign(&out);
        // AT_MAC is the last attribute.
        if matches!(self.body, EapBody::Request(_) | EapBody::Response(_))
            && let Some(last) = out.last_chunk_mut::<16>()
        {
            *last = mac;
        }
        Ok(out)
    }
}

/// What AT_MAC covers of a packet as it was received: all of it, with the code as zeros. None where it has no AT_MAC or
/// cannot be read.
pub fn covered(octets: &[u8]) -> Option<Vec<u8>> {
    let mut all = packet(octets).ok()?.to_vec();
    let mut attributes = Attributes::of(&all);
    let at = loop {
        let (kind, offset, _) = attributes.next()?.ok()?;
        if kind == AT_MAC {
            break offset;
        }
    };
    all.get_mut(at + 4..at + 20)?.fill(0);
    Some(all)
}

/// The octets that belong to the packet.
fn packet(octets: &[u8]) -> Result<&[u8], EapError> {
    let [_, _, l0, l1, ..] = octets else { return Err(EapError::TooShort) };
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    if length > MOST {
        return Err(EapError::TooLong(length));
    }
    octets.get(..length).filter(|p| p.len() >= 4).ok_or(EapError::TooShort)
}

/// The attributes of a packet: type, where it begins, what stands behind its length.
struct Attributes<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Attributes<'a> {
    fn of(packet: &'a [u8]) -> Self {
        Self { rest: packet.get(HEAD..).unwrap_or_default(), at: HEAD }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u8, usize, &'a [u8]), EapError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, offset) = (*self.rest.first()?, self.at);
        let words = self.rest.get(1).copied().map_or(0, usize::from);
        let (head, rest) = match self.rest.split_at_checked(words * 4) {
            Some((head, rest)) if words > 0 => (head, rest),
            _ => {
                self.rest = &[];
                return Some(Err(EapError::Attribute { kind, offset }));
            }
        };
        (self.rest, self.at) = (rest, offset + words * 4);
        Some(Ok((kind, offset, head.get(2..).unwrap_or_default())))
    }
}

fn aka_prime(packet: &[u8]) -> Result<AkaPrime, EapError> {
    let subtype = match packet {
        [_, _, _, _, AKA_PRIME, subtype, _, _, ..] => Subtype(*subtype),
        [_, _, _, _, AKA_PRIME, ..] | [_, _, _, _] | [] => return Err(EapError::TooShort),
        [_, _, _, _, kind, ..] => return Err(EapError::Type(*kind)),
        _ => return Err(EapError::TooShort),
    };
    let mut m = AkaPrime::of(subtype);
    for attribute in Attributes::of(packet) {
        let (kind, offset, value) = attribute?;
        let wrong = EapError::Attribute { kind, offset };
        let again = match kind {
            AT_RAND => m.rand.replace(Rand(behind_reserved(value).ok_or(wrong)?)).is_some(),
            AT_AUTN => m.autn.replace(Autn(behind_reserved(value).ok_or(wrong)?)).is_some(),
            AT_RES => m.res.replace(res(value).ok_or(wrong)?).is_some(),
            AT_AUTS => m.auts.replace(Auts(value.try_into().map_err(|_| wrong)?)).is_some(),
            AT_MAC => m.mac.replace(behind_reserved(value).ok_or(wrong)?).is_some(),
            AT_NOTIFICATION => m.notification.replace(number(value).ok_or(wrong)?).is_some(),
            AT_CLIENT_ERROR_CODE => m.client_error.replace(number(value).ok_or(wrong)?).is_some(),
            AT_KDF_INPUT => m.kdf_input.replace(counted(value).ok_or(wrong)?.to_vec()).is_some(),
            AT_CHECKCODE => m.checkcode.replace(checkcode(value).ok_or(wrong)?.to_vec()).is_some(),
            AT_RESULT_IND => {
                number(value).ok_or(wrong)?;
                std::mem::replace(&mut m.result_ind, true)
            }
            // Once for each function that is offered, and the chosen one once more in front (RFC 9048 §3.2).
            AT_KDF => {
                m.kdf.push(number(value).ok_or(wrong)?);
                false
            }
            SKIPPABLE.. => false,
            _ => return Err(EapError::Unknown(kind)),
        };
        if again {
            return Err(EapError::Twice(kind));
        }
    }
    Ok(m)
}

/// Two reserved octets and a value of a known size.
fn behind_reserved<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.get(2..)?.try_into().ok()
}

fn number(value: &[u8]) -> Option<u16> {
    value.try_into().ok().map(u16::from_be_bytes)
}

/// A value behind its length in octets, padded with zeros to whole words.
fn counted(value: &[u8]) -> Option<&[u8]> {
    let (length, rest) = value.split_first_chunk::<2>()?;
    let (value, padding) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    (padding.len() < 4 && padding.iter().all(|o| *o == 0)).then_some(value)
}

/// 32 to 128 bits behind their number (RFC 4187 §10.8); in 3GPP whole octets.
fn res(value: &[u8]) -> Option<Res> {
    let (bits, rest) = value.split_first_chunk::<2>()?;
    let bits = u16::from_be_bytes(*bits);
    if !(32..=128).contains(&bits) || !bits.is_multiple_of(8) {
        return None;
    }
    let (res, padding) = rest.split_at_checked(usize::from(bits / 8))?;
    (padding.len() < 4 && padding.iter().all(|o| *o == 0)).then(|| Res(res.to_vec()))
}

fn checkcode(value: &[u8]) -> Option<&[u8]> {
    value.get(2..).filter(|c| c.is_empty() || c.len() == 32)
}

fn write_attributes(out: &mut Vec<u8>, m: &AkaPrime) -> Result<(), EapError> {
    let reserved = [0u8; 2];
    let put = |out: &mut Vec<u8>, kind: u8, head: [u8; 2], value: &[u8]| {
        let (offset, octets) = (out.len(), (4 + value.len()).next_multiple_of(4));
        let words = u8::try_from(octets / 4).map_err(|_| EapError::Attribute { kind, offset })?;
        out.extend_from_slice(&[kind, words]);
        out.extend_from_slice(&head);
        out.extend_from_slice(value);
        out.resize(offset + octets, 0);
        Ok(())
    };
    if let Some(Rand(rand)) = &m.rand {
        put(out, AT_RAND, reserved, rand)?;
    }
    if let Some(Autn(autn)) = &m.autn {
        put(out, AT_AUTN, reserved, autn)?;
    }
    if let Some(Res(res)) = &m.res {
        let bits = u16::try_from(res.len() * 8).unwrap_or(u16::MAX);
        put(out, AT_RES, bits.to_be_bytes(), res)?;
    }
    if let Some(Auts([a, b, rest @ ..])) = &m.auts {
        put(out, AT_AUTS, [*a, *b], rest)?;
    }
    for kdf in &m.kdf {
        put(out, AT_KDF, kdf.to_be_bytes(), &[])?;
    }
    if let Some(name) = &m.kdf_input {
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        put(out, AT_KDF_INPUT, length.to_be_bytes(), name)?;
    }
    if let Some(code) = m.notification {
        put(out, AT_NOTIFICATION, code.to_be_bytes(), &[])?;
    }
    if let Some(code) = m.client_error {
        put(out, AT_CLIENT_ERROR_CODE, code.to_be_bytes(), &[])?;
    }
    if let Some(checkcode) = &m.checkcode {
        put(out, AT_CHECKCODE, reserved, checkcode)?;
    }
    if m.result_ind {
        put(out, AT_RESULT_IND, reserved, &[])?;
    }
    if let Some(mac) = &m.mac {
        put(out, AT_MAC, reserved, mac)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
