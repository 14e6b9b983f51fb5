//! DNS messages (RFC 1035 §4), as far as a name's addresses are asked for and answered: one question of type A or AAAA,
//! and what an answer to it says.
//!
//! ```text
//! header:   id (2) | QR opcode(4) AA TC RD | RA Z AD CD rcode(4) | questions (2) | answers (2) | authority (2) | more (2)
//! question: name | type (2) | class (2)
//! record:   name | type (2) | class (2) | TTL (4) | length (2) | data
//! name:     length (1) label … 0, or from some label on a pointer 11…… (2) to where the rest stands (§4.1.4)
//! ```
//!
//! # Safety
//! No length and no count is trusted; nothing is indexed. A pointer leads only to before the name that it is part of, so
//! that each one is shorter than the last and none makes a loop. An answer has at most [`MOST_RECORDS`] records, and is
//! followed over at most [`MOST_ALIASES`] aliases. Names that are none of hosts (other octets than letters, digits, `-` and
//! `_`) are refused.
//!
//! # Ownership
//! Borrows the octets, hands out names and addresses of its own.
//!
//! # Round trip
//! [`reply`] writes the answer of a resolver that knows one name; [`answer`] reads it as it was meant.
//!
//! A question that was read keeps the case of its letters, so that an answer can be held against it letter by letter
//! (draft-vixie-dnsext-dns0x20): `wiki.example.jp` and `wIKi.example.jp` are not the same question.
//!
//! # Order of elements
//! Records may come in any order. Those behind the answers (authority, additional) are not read.
//!
//! # Errors
//! [`NoDns`]: this is no such question or answer. Nothing is guessed of the rest.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic))]

use std::net::IpAddr;
use thiserror::Error;
use types::ServerName;

/// The port of resolvers.
pub const PORT: u16 = 53;
/// Records of an answer that are read; one with more is refused.
pub const MOST_RECORDS: usize = 64;
/// Aliases (CNAME) from the name that was asked for to the one that has addresses.
pub const MOST_ALIASES: usize = 8;

/// Octets of a name, with its lengths and the 0 at its end (RFC 1035 §2.3.4).
const NAME_OCTETS: usize = 255;
const CNAME: u16 = 5;
const IN: u16 = 1;
const RESPONSE: u16 = 1 << 15;
const OPCODE: u16 = 0b1111 << 11;
const TRUNCATED: u16 = 1 << 9;
const RCODE: u16 = 0b1111;
const AUTHORITATIVE: u16 = 1 << 10;
const RECURSION: u16 = 1 << 8;
const REFUSED: u16 = 5;
/// Octets of the header: where the question's name begins.
const HEADER: usize = 12;
/// What we answer holds so long, seconds.
const LASTS: u32 = 60;

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Of IPv4.
    A,
    /// Of IPv6 (RFC 3596).
    Aaaa,
}

impl Kind {
    fn of(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::A),
            28 => Some(Self::Aaaa),
            _ => None,
        }
    }

    fn address(self, data: &[u8]) -> Option<IpAddr> {
        match self {
            Self::A => Some(<[u8; 4]>::try_from(data).ok()?.into()),
            Self::Aaaa => Some(<[u8; 16]>::try_from(data).ok()?.into()),
        }
    }
}

/// A question, as it was asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The number by which the answer is known.
    pub id: u16,
    /// What is asked for, in the case in which it was written.
    spelled: Box<str>,
    /// Which addresses.
    pub kind: Kind,
}

impl Question {
    /// The name; `None` for one that no server has, such as the root.
    pub fn name(&self) -> Option<ServerName> {
        ServerName::from_wire(self.spelled.as_bytes())
    }
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The question, as the answer repeats it.
    pub question: Question,
    /// The addresses, each once, sorted; none where there are none, or no such name.
    pub addresses: Vec<IpAddr>,
    /// Seconds for which that holds: the shortest time of any record on the way. 0 where it says nothing.
    pub ttl: u32,
}

/// This is no question or answer of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoDns {
    /// It ends too early.
    #[error("the message ends in its {0}")]
    Short(&'static str),
    /// A question where an answer should be, several questions, another operation, type or class.
    #[error("not a plain question for addresses, or its answer: {0}")]
    Other(&'static str),
    /// It was cut off, and is asked for again over TCP.
    #[error("the answer is cut off")]
    Truncated,
    /// A name that is too long, is none of a host, or points to where it may not.
    #[error("malformed name at octet {0}")]
    Name(usize),
    /// More than is read of one.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// An alias twice, or in a circle, or an address of another length than it has.
    #[error("contradictory or malformed {0}")]
    Records(&'static str),
}

/// Reads a question.
pub fn question(message: &[u8]) -> Result<Question, NoDns> {
    let mut r = Reader { message, at: 0 };
    let head = Head::read(&mut r)?;
    if head.flags & RESPONSE != 0 || head.answers != 0 {
        return Err(NoDns::Other("an answer"));
    }
    r.question(&head)
}

/// Reads an answer.
pub fn answer(message: &[u8]) -> Result<Answer, NoDns> {
    let mut r = Reader { message, at: 0 };
    let head = Head::read(&mut r)?;
    if head.flags & RESPONSE == 0 {
        return Err(NoDns::Other("a question"));
    }
    if head.flags & TRUNCATED != 0 {
        return Err(NoDns::Truncated);
    }
    let question = r.question(&head)?;
    if head.flags & RCODE != 0 {
        return Ok(Answer { question, addresses: Vec::new(), ttl: 0 });
    }
    if usize::from(head.answers) > MOST_RECORDS {
        return Err(NoDns::TooMany("records"));
    }
    let records = (0..head.answers).map(|_| r.record()).collect::<Result<Vec<_>, _>>()?;
    follow(question, &records)
}

/// The answer of a resolver that knows this one name and nothing else: its addresses, for a minute. Of another name, class or
/// operation it is refused. `None` for what is no question: an answer to that could be answered again.
///
/// It is longer than the question by one record of each address at most, and goes to whoever asked.
pub fn reply(message: &[u8], name: &ServerName, addresses: &[IpAddr]) -> Option<Vec<u8>> {
    let mut r = Reader { message, at: 0 };
    let head = Head::numbers(&mut r).ok()?;
    if head.flags & RESPONSE != 0 || head.questions != 1 {
        return None;
    }
    let asked = r.name().ok()?;
    let (kind, class) = (r.number("question").ok()?, r.number("question").ok()?);
    let question = message.get(HEADER..r.at)?;
    let known = head.flags & OPCODE == 0
        && class == IN
        && head.answers == 0
        && ServerName::from_wire(asked.as_bytes()).as_ref() == Some(name);
    let kind = Kind::of(kind).filter(|_| known);
    let given: Vec<&IpAddr> =
        addresses.iter().filter(|a| kind.is_some_and(|k| a.is_ipv4() == (k == Kind::A))).collect();
    let (code, authority) = if known { (0, AUTHORITATIVE) } else { (REFUSED, 0) };
    let flags = RESPONSE | authority | head.flags & (OPCODE | RECURSION) | code;
    let counts = [head.id, flags, 1, u16::try_from(given.len()).ok()?, 0, 0];
    let mut out: Vec<u8> = counts.iter().flat_map(|n| n.to_be_bytes()).collect();
    out.extend_from_slice(question);
    for address in given {
        let octets = match address {
            IpAddr::V4(a) => a.octets().to_vec(),
            IpAddr::V6(a) => a.octets().to_vec(),
        };
        // The name is the question's (a pointer to it), the class is IN.
        out.extend_from_slice(&[0xc0, HEADER as u8, 0, if address.is_ipv4() { 1 } else { 28 }, 0, 1]);
        out.extend_from_slice(&LASTS.to_be_bytes());
        out.extend_from_slice(&(octets.len() as u16).to_be_bytes());
        out.extend_from_slice(&octets);
    }
    Some(out)
}

/// From the name that was asked for, over its aliases, to the addresses.
fn follow(question: Question, records: &[Record]) -> Result<Answer, NoDns> {
    let (mut name, mut ttl) = (question.spelled.to_ascii_lowercase(), u32::MAX);
    for step in 0.. {
        let of_name = |r: &&Record| r.owner == name;
        let mut aliases = records.iter().filter(of_name).filter_map(|r| Some((r.alias.as_ref()?, r.ttl)));
        let Some((alias, lasts)) = aliases.next() else { break };
        // RFC 2181 §10.1: a name has one alias, and then nothing else.
        if aliases.next().is_some() || records.iter().filter(of_name).any(|r| r.address.is_some()) {
            return Err(NoDns::Records("alias"));
        }
        if step == MOST_ALIASES {
            return Err(NoDns::TooMany("aliases"));
        }
        (name, ttl) = (alias.clone(), ttl.min(lasts));
    }
    let is_asked_for = |a: &IpAddr| a.is_ipv4() == (question.kind == Kind::A);
    let mut addresses = Vec::new();
    for record in records.iter().filter(|r| r.owner == name) {
        if let Some(address) = record.address.filter(is_asked_for) {
            addresses.push(address);
            ttl = ttl.min(record.ttl);
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    let ttl = if addresses.is_empty() { 0 } else { ttl };
    Ok(Answer { question, addresses, ttl })
}

/// What of a header counts.
struct Head {
    id: u16,
    flags: u16,
    questions: u16,
    answers: u16,
}

impl Head {
    fn numbers(r: &mut Reader<'_>) -> Result<Self, NoDns> {
        let mut number = || r.number("header");
        let head = Self { id: number()?, flags: number()?, questions: number()?, answers: number()? };
        number()?;
        number()?;
        Ok(head)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, NoDns> {
        let head = Self::numbers(r)?;
        if head.flags & OPCODE != 0 {
            return Err(NoDns::Other("another operation"));
        }
        if head.questions != 1 {
            return Err(NoDns::Other("not one question"));
        }
        Ok(head)
    }
}

/// A record, as far as it matters.
struct Record {
    /// In small letters.
    owner: String,
    ttl: u32,
    /// In small letters.
    alias: Option<String>,
    address: Option<IpAddr>,
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], NoDns> {
        let taken = self.message.get(self.at..).and_then(|rest| rest.get(..n)).ok_or(NoDns::Short(field))?;
        self.at += n;
        Ok(taken)
    }

    fn number(&mut self, field: &'static str) -> Result<u16, NoDns> {
        Ok(self.take(2, field)?.iter().fold(0, |n, o| n << 8 | u16::from(*o)))
    }

    fn question(&mut self, head: &Head) -> Result<Question, NoDns> {
        let spelled = self.name()?.into_boxed_str();
        let (kind, class) = (self.number("question")?, self.number("question")?);
        match Kind::of(kind).filter(|_| class == IN) {
            Some(kind) => Ok(Question { id: head.id, spelled, kind }),
            None => Err(NoDns::Other("another type or class")),
        }
    }

    fn record(&mut self) -> Result<Record, NoDns> {
        const FIELD: &str = "record";
        let owner = self.name()?.to_ascii_lowercase();
        let (kind, class) = (self.number(FIELD)?, self.number(FIELD)?);
        let ttl = u32::from(self.number(FIELD)?) << 16 | u32::from(self.number(FIELD)?);
        // RFC 2181 §8: with the highest bit it is none.
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        let len = usize::from(self.number(FIELD)?);
        let begin = self.at;
        let data = self.take(len, FIELD)?;
        let mut record = Record { owner, ttl, alias: None, address: None };
        if class != IN {
            return Ok(record);
        }
        if kind == CNAME {
            let mut inner = Reader { message: self.message, at: begin };
            record.alias = Some(inner.name()?.to_ascii_lowercase());
            if inner.at != self.at {
                return Err(NoDns::Records("alias"));
            }
        } else if let Some(kind) = Kind::of(kind) {
            record.address = Some(kind.address(data).ok_or(NoDns::Records("address"))?);
        }
        Ok(record)
    }

    /// A name, in the case in which it is written; the root is the empty one.
    fn name(&mut self) -> Result<String, NoDns> {
        let mut name = String::new();
        // Where the name began, or the part that a pointer led to: the next pointer leads to before it.
        let (mut part, mut at, mut end) = (self.at, self.at, None);
        loop {
            let bad = NoDns::Name(at);
            let len = *self.message.get(at).ok_or(NoDns::Short("name"))?;
            at += 1;
            match len {
                0 => break,
                1..=63 => {
                    let label = self.message.get(at..at + usize::from(len)).ok_or(NoDns::Short("name"))?;
                    let is_of_host = |o: &u8| o.is_ascii_alphanumeric() || matches!(o, b'-' | b'_');
                    if !label.iter().all(is_of_host) || name.len() + label.len() + 3 > NAME_OCTETS {
                        return Err(bad);
                    }
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(label.iter().map(|o| char::from(*o)));
                    at += label.len();
                }
                192.. => {
                    let low = *self.message.get(at).ok_or(NoDns::Short("name"))?;
                    let to = usize::from(len & 0x3f) << 8 | usize::from(low);
                    end.get_or_insert(at + 1);
                    if to >= part {
                        return Err(bad);
                    }
                    (part, at) = (to, to);
                }
                _ => return Err(bad),
            }
        }
        self.at = end.unwrap_or(at);
        Ok(name)
    }
}

#[cfg(test)]
mod tests;
