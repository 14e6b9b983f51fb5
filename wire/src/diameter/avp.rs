//! AVPs: attribute-value pairs (RFC 6733 §4), and how structs are made of them.

use super::{DiameterError, dictionary, result};
use std::net::IpAddr;

const VENDOR: u8 = 0x80;
const MANDATORY: u8 = 0x40;
/// End-to-end encryption, which never came; ignored.
const PROTECTED: u8 = 0x20;

/// Most octets of an AVP that are sent back as Failed-AVP. Of a longer one there is the head.
const FAILED: usize = 256;

/// Octets of a message or of a group, and where they begin in the message.
#[derive(Clone, Copy)]
pub struct Octets<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) at: usize,
    /// True in a request: what is mandatory for the sender and unknown to us is refused. In an answer it is passed over, or
    /// a peer's newer release would take the answer from us.
    pub(crate) strict: bool,
    /// True of a message's own AVPs, false of a group's.
    pub(crate) outermost: bool,
}

/// One AVP, not read.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(crate) code: u32,
    /// 0 for those of the IETF.
    pub(crate) vendor: u32,
    pub(crate) mandatory: bool,
    pub(crate) data: &'a [u8],
    /// Where its data begin in the message.
    pub(crate) at: usize,
    strict: bool,
}

/// An AVP as it came, with its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Code.
    pub code: u32,
    /// Vendor; 0 for those of the IETF.
    pub vendor: u32,
    /// The M flag.
    pub mandatory: bool,
    /// Its data.
    pub data: Vec<u8>,
}

/// What Failed-AVP (279) holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed(
    /// The AVPs that were wrong, or examples of those that were missing.
    pub Vec<Raw>,
);

/// DiameterIdentity (§4.3.1): the name of a host or a realm. Names are equal whatever their case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(String);

/// What a message is told that lacks an AVP of its own; one that a group lacks is missed in other words.
pub(crate) const MISSING: &str = "missing";

/// Longest name.
const NAME: usize = 255;

impl Identity {
    /// A name of letters, digits, hyphens, underscores and dots; kept in lower case.
    pub fn new(name: &str) -> Option<Self> {
        let good = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
        (!name.is_empty() && name.len() <= NAME && name.bytes().all(good))
            .then(|| Self(name.to_ascii_lowercase()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Address (§4.3.1), of a family that we know or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// Of IPv4 or IPv6.
    Ip(IpAddr),
    /// Of another family (E.164, for one), which is not read.
    Other(u16),
}

impl<'a> Octets<'a> {
    fn cut(&self, code: u32, vendor: u32, data: Option<&[u8]>) -> DiameterError {
        // §7.5: the AVP's header with as many zero octets as its data must have at least.
        let least = dictionary::least(code, vendor);
        let data = data.filter(|d| d.len() <= FAILED).map_or_else(|| vec![0; least], <[u8]>::to_vec);
        DiameterError {
            result: result::INVALID_AVP_LENGTH,
            what: "a length that is not that of the AVP",
            avp: Some((code, vendor)),
            offset: self.at,
            failed: Some(Box::new(Raw { code, vendor, mandatory: true, data })),
            header: None,
            session: None,
        }
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        self.rest = tail;
        self.at += n;
        Some(head)
    }

    fn word(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk::<4>().map(|b| u32::from_be_bytes(*b))
    }

    /// The next AVP: code, flags, length, vendor, data, padding (§4.1). All of it lies inside what holds it.
    pub(crate) fn next(&mut self) -> Result<Option<View<'a>>, DiameterError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let begin = *self;
        let code = self.word().ok_or_else(|| begin.cut(0, 0, None))?;
        let [flags, a, b, c] = self.word().ok_or_else(|| begin.cut(code, 0, None))?.to_be_bytes();
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let vendor = match flags & VENDOR {
            0 => 0,
            _ => self.word().ok_or_else(|| begin.cut(code, 0, None))?,
        };
        let head = if flags & VENDOR == 0 { 8 } else { 12 };
        let at = self.at;
        let whole = length.checked_sub(head).and_then(|n| Some((n, self.take(n)?)));
        let (n, data) = whole.ok_or_else(|| begin.cut(code, vendor, None))?;
        self.take(n.next_multiple_of(4) - n).ok_or_else(|| begin.cut(code, vendor, Some(data)))?;
        let view = View { code, vendor, mandatory: flags & MANDATORY != 0, data, at, strict: self.strict };
        if flags & !(VENDOR | MANDATORY | PROTECTED) != 0 {
            return Err(view.error(result::INVALID_AVP_BITS, "flags that nobody knows"));
        }
        Ok(Some(view))
    }
}

impl<'a> View<'a> {
    pub(crate) fn is<A: Avp>(&self) -> bool {
        (self.code, self.vendor) == (A::CODE, A::VENDOR)
    }

    pub(crate) fn error(&self, result: u32, what: &'static str) -> DiameterError {
        DiameterError {
            result,
            what,
            avp: Some((self.code, self.vendor)),
            offset: self.at,
            failed: Some(Box::new(self.raw(FAILED))),
            header: None,
            session: None,
        }
    }

    pub(crate) fn invalid(&self, what: &'static str) -> DiameterError {
        self.error(result::INVALID_AVP_VALUE, what)
    }

    pub(crate) fn wrong_length(&self) -> DiameterError {
        self.error(result::INVALID_AVP_LENGTH, "a length that its type does not have")
    }

    /// A copy, of at most so many octets.
    pub(crate) fn raw(&self, most: usize) -> Raw {
        let data = self.data.get(..most).unwrap_or(self.data).to_vec();
        Raw { code: self.code, vendor: self.vendor, mandatory: self.mandatory, data }
    }

    pub(crate) fn group(&self) -> Octets<'a> {
        Octets { rest: self.data, at: self.at, strict: self.strict, outermost: false }
    }

    fn array<const N: usize>(&self) -> Result<[u8; N], DiameterError> {
        self.data.try_into().map_err(|_| self.wrong_length())
    }
}

impl Raw {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(out, self.code, self.vendor, self.mandatory, |out| out.extend_from_slice(&self.data));
    }
}

/// Sets the length (3 octets, at `field`) of what begins at `begin` and is written so far.
pub(crate) fn set_length(out: &mut [u8], begin: usize, field: usize) {
    let [_, a, b, c] = u32::try_from(out.len() - begin).unwrap_or(0).to_be_bytes();
    if let Some(f) = out.get_mut(field..field + 3) {
        f.copy_from_slice(&[a, b, c]);
    }
}

/// Writes one AVP around what `data` writes, and its padding.
pub(crate) fn put(
    out: &mut Vec<u8>,
    code: u32,
    vendor: u32,
    mandatory: bool,
    data: impl FnOnce(&mut Vec<u8>),
) {
    let begin = out.len();
    let flags = if vendor == 0 { 0 } else { VENDOR } | if mandatory { MANDATORY } else { 0 };
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&[flags, 0, 0, 0]);
    if vendor != 0 {
        out.extend_from_slice(&vendor.to_be_bytes());
    }
    data(out);
    set_length(out, begin, begin + 5);
    out.resize(begin + (out.len() - begin).next_multiple_of(4), 0);
}

/// Session-Id, wherever it stands; for the answer to something that could not be read.
pub(crate) fn session_of(mut body: Octets<'_>) -> Option<String> {
    while let Ok(Some(avp)) = body.next() {
        if avp.is::<dictionary::SessionId>() {
            return String::read(&avp).ok();
        }
    }
    None
}

/// The Proxy-Info of a message (§6.7.2), which its answer repeats.
pub(crate) fn proxies_of(mut body: Octets<'_>) -> Result<Vec<Raw>, DiameterError> {
    let mut all = Vec::new();
    while let Some(avp) = body.next()? {
        if avp.is::<dictionary::ProxyInfo>() {
            all.push(avp.raw(usize::MAX));
        }
    }
    Ok(all)
}

/// An AVP of the dictionary.
pub trait Avp {
    const CODE: u32;
    const VENDOR: u32;
    /// The M flag that we send.
    const MANDATORY: bool;
    type Value: Value;

    fn put(value: &Self::Value, out: &mut Vec<u8>) {
        put(out, Self::CODE, Self::VENDOR, Self::MANDATORY, |out| value.write(out));
    }

    fn missing(at: usize, of_message: bool) -> DiameterError {
        let data = vec![0; <Self::Value as Value>::LEAST];
        DiameterError {
            result: result::MISSING_AVP,
            what: if of_message { MISSING } else { "missing in its group" },
            avp: Some((Self::CODE, Self::VENDOR)),
            offset: at,
            failed: Some(Box::new(Raw {
                code: Self::CODE,
                vendor: Self::VENDOR,
                mandatory: Self::MANDATORY,
                data,
            })),
            header: None,
            session: None,
        }
    }
}

/// What an AVP holds.
pub trait Value: Sized {
    /// Fewest octets.
    const LEAST: usize;
    fn read(avp: &View<'_>) -> Result<Self, DiameterError>;
    fn write(&self, out: &mut Vec<u8>);
}

impl Value for u32 {
    const LEAST: usize = 4;
    fn read(avp: &View<'_>) -> Result<Self, DiameterError> {
        avp.array().map(Self::from_be_bytes)
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

/// UTF8String. Session-Id and User-Name are of this kind; nothing that has a name is empty.
impl Value for String {
    const LEAST: usize = 1;
    fn read(avp: &View<'_>) -> Result<Self, DiameterError> {
        match str::from_utf8(avp.data) {
            Ok("") => Err(avp.invalid("empty")),
            Ok(s) if s.chars().any(char::is_control) => Err(avp.invalid("control characters")),
            Ok(s) => Ok(s.to_owned()),
            Err(_) => Err(avp.invalid("not UTF-8")),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Value for Identity {
    const LEAST: usize = 1;
    fn read(avp: &View<'_>) -> Result<Self, DiameterError> {
        let name = str::from_utf8(avp.data).ok().and_then(Self::new);
        name.ok_or_else(|| avp.invalid("not the name of a host or realm"))
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl Value for Vec<u8> {
    const LEAST: usize = 0;
    fn read(avp: &View<'_>) -> Result<Self, DiameterError> {
        Ok(avp.data.to_vec())
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Value for [u8; N] {
    const LEAST: usize = N;
    fn read(avp: &View<'_>) -> Result<Self, DiameterError> {
        avp.array()
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Value for Address {
    const LEAST: usize = 2;
    fn read(avp: &View<'_>) -> Result<Self, DiameterError> {
        match *avp.data {
            [0, 1, a, b, c, d] => Ok(Self::Ip(IpAddr::from([a, b, c, d]))),
            [0, 2, ref v6 @ ..] => {
                let octets: [u8; 16] = v6.try_into().map_err(|_| avp.wrong_length())?;
                Ok(Self::Ip(IpAddr::from(octets)))
            }
            [0, 1, ..] | [] | [_] => Err(avp.wrong_length()),
            [a, b, ..] => Ok(Self::Other(u16::from_be_bytes([a, b]))),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ip(IpAddr::V4(a)) => {
                out.extend_from_slice(&[0, 1]);
                out.extend_from_slice(&a.octets());
            }
            Self::Ip(IpAddr::V6(a)) => {
                out.extend_from_slice(&[0, 2]);
                out.extend_from_slice(&a.octets());
            }
            Self::Other(family) => out.extend_from_slice(&family.to_be_bytes()),
        }
    }
}

impl Value for Failed {
    const LEAST: usize = 8;
    fn read(avp: &View<'_>) -> Result<Self, DiameterError> {
        let (mut group, mut all) = (avp.group(), Vec::new());
        while let Some(a) = group.next()? {
            all.push(a.raw(FAILED));
        }
        Ok(Self(all))
    }
    fn write(&self, out: &mut Vec<u8>) {
        for a in &self.0 {
            a.write(out);
        }
    }
}

macro_rules! field {
    (one $t:ident) => { <$t as Avp>::Value };
    (opt $t:ident) => { Option<<$t as Avp>::Value> };
    (many $t:ident) => { Vec<<$t as Avp>::Value> };
}
macro_rules! slot {
    (many $t:ident) => { Vec<<$t as Avp>::Value> };
    ($card:ident $t:ident) => { Option<<$t as Avp>::Value> };
}
macro_rules! keep {
    (many $slot:ident, $avp:ident, $value:expr) => {
        $slot.push($value)
    };
    ($card:ident $slot:ident, $avp:ident, $value:expr) => {
        match $slot {
            None => $slot = Some($value),
            Some(_) => return Err($avp.error(result::AVP_OCCURS_TOO_MANY_TIMES, "a second one")),
        }
    };
}
macro_rules! finish {
    (one $slot:ident, $t:ident, $in:expr) => {
        $slot.ok_or_else(|| <$t as Avp>::missing($in.at, $in.outermost))?
    };
    ($card:ident $slot:ident, $t:ident, $in:expr) => {
        $slot
    };
}
macro_rules! each {
    (one $e:expr) => {
        std::iter::once($e)
    };
    ($card:ident $e:expr) => {
        $e.iter()
    };
}

/// A struct of AVPs: `one` must be there, `opt` may, `many` may stand any number of times.
macro_rules! avps {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $card:ident $t:ident,)* })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: field!($card $t),)*
        }

        impl $name {
            pub(crate) fn read_avps(mut r: Octets<'_>) -> Result<Self, DiameterError> {
                $(let mut $field: slot!($card $t) = Default::default();)*
                while let Some(avp) = r.next()? {
                    match () {
                        $(() if avp.is::<$t>() => keep!($card $field, avp, <$t as Avp>::Value::read(&avp)?),)*
                        () if r.strict && avp.mandatory && !dictionary::knows(avp.code, avp.vendor) => {
                            return Err(avp.error(result::AVP_UNSUPPORTED, "mandatory and unknown"));
                        }
                        () => {}
                    }
                }
                Ok(Self { $($field: finish!($card $field, $t, r),)* })
            }

            pub(crate) fn write_avps(&self, out: &mut Vec<u8>) {
                $(for value in each!($card &self.$field) {
                    <$t as Avp>::put(value, out);
                })*
            }
        }

        impl Value for $name {
            const LEAST: usize = 0;
            fn read(avp: &View<'_>) -> Result<Self, DiameterError> {
                Self::read_avps(avp.group())
            }
            fn write(&self, out: &mut Vec<u8>) {
                self.write_avps(out);
            }
        }
    )* };
}

/// An AVP of type Enumerated: the values that we know, and the others as they are.
macro_rules! enumerated {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $value:ident = $n:literal,)* })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$vdoc])* $value,)*
            /// A value that is not in our list.
            Other(u32),
        }

        impl Value for $name {
            const LEAST: usize = 4;
            fn read(avp: &View<'_>) -> Result<Self, DiameterError> {
                Ok(match u32::read(avp)? {
                    $($n => Self::$value,)*
                    n => Self::Other(n),
                })
            }
            fn write(&self, out: &mut Vec<u8>) {
                let n: u32 = match self {
                    $(Self::$value => $n,)*
                    Self::Other(n) => *n,
                };
                n.write(out);
            }
        }
    )* };
}
pub(crate) use {avps, each, enumerated, field, finish, keep, slot};
