//! One record of the journal: 256 octets, drawn in the parent module.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use crate::link::{Revoked, Stored};
use sha2::{Digest, Sha256};
use types::{Imsi, SimState, Utc};

/// Octets of a record.
pub(super) const RECORD: usize = 256;

/// A record as it is on the disk.
pub(super) type Raw = [u8; RECORD];

const MAGIC: &[u8; 4] = b"SKRJ";
const VERSION: u8 = 1;
const KIND_HEADER: u8 = 0;
const KIND_CUT: u8 = 1;
const KIND_UNCUT: u8 = 2;
const HASHED: usize = 224;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The SIM is cut, for this state.
    Cut(SimState),
    /// The SIM is no longer cut.
    Uncut,
}

/// A record's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What.
    pub kind: Kind,
    /// Whom.
    pub imsi: Imsi,
    /// When it was asked for.
    pub at: Utc,
    /// Who asked; what does not fit 31 octets is left out.
    pub actor: String,
    /// Why; what does not fit 87 octets is left out.
    pub reason: String,
}

impl Entry {
    /// The entry as one of the revoked set.
    pub fn revoked(&self, stored: Option<Stored>) -> Revoked {
        let state = match self.kind {
            Kind::Cut(state) => state,
            Kind::Uncut => SimState::Lost,
        };
        Revoked {
            imsi: self.imsi,
            state,
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            at: self.at,
            stored,
        }
    }
}

/// The header of a new journal.
pub(super) fn header(id: [u8; 16]) -> Raw {
    let mut raw = [0; RECORD];
    put(&mut raw, 0, MAGIC);
    put(&mut raw, 4, &[VERSION, KIND_HEADER]);
    put(&mut raw, 8, &id);
    seal(&mut raw);
    raw
}

pub(super) fn check_header(raw: &Raw) -> Result<(), &'static str> {
    check_frame(raw)?;
    if at::<1>(raw, 5) == [KIND_HEADER] { Ok(()) } else { Err("its first record is no header") }
}

pub(super) fn encode(entry: &Entry, sequence: u64, before: &[u8; 32]) -> Raw {
    let (kind, state) = match entry.kind {
        Kind::Cut(state) => (KIND_CUT, state_number(state)),
        Kind::Uncut => (KIND_UNCUT, 0),
    };
    let mut raw = [0; RECORD];
    let imsi = entry.imsi.to_string();
    put(&mut raw, 0, MAGIC);
    put(&mut raw, 4, &[VERSION, kind, state]);
    put(&mut raw, 8, &sequence.to_be_bytes());
    put(&mut raw, 16, &entry.at.0.to_be_bytes());
    put(&mut raw, 24, imsi.as_bytes());
    put(&mut raw, 40, before);
    put_text(&mut raw, 72, 31, &entry.actor);
    put_text(&mut raw, 104, 87, &entry.reason);
    put(&mut raw, 192, imsi.as_bytes());
    seal(&mut raw);
    raw
}

pub(super) fn decode(raw: &Raw, sequence: u64, before: &[u8; 32]) -> Result<(Entry, Stored), &'static str> {
    check_frame(raw)?;
    if u64::from_be_bytes(at(raw, 8)) != sequence {
        return Err("its number is not the next one");
    }
    if &at::<32>(raw, 40) != before {
        return Err("it does not follow the record before it");
    }
    let [kind, state] = at(raw, 5);
    let kind = match kind {
        KIND_CUT => Kind::Cut(state_of(state).ok_or("its state is unknown")?),
        KIND_UNCUT => Kind::Uncut,
        _ => return Err("its kind is unknown"),
    };
    let imsi = imsi_at(raw, 24).ok().flatten().ok_or("its IMSI is none")?;
    let entry = Entry { kind, imsi, at: time(raw), actor: text(raw, 72, 31), reason: text(raw, 104, 87) };
    Ok((entry, Stored { record: sequence, hash: hash_of(raw) }))
}

/// True for a place that was never written.
pub(super) fn is_empty(raw: &Raw) -> bool {
    raw.iter().all(|&b| b == 0)
}

/// The record's own hash.
pub(super) fn hash_of(raw: &Raw) -> [u8; 32] {
    at(raw, HASHED)
}

/// The record's time.
pub(super) fn time(raw: &Raw) -> Utc {
    Utc(i64::from_be_bytes(at(raw, 16)))
}

/// The SIMs that a torn record may have meant: what its two IMSI fields say. None where both were never
/// written.
///
/// # Errors
/// Where something is written and neither field can be read: then nobody can tell whom it bans.
pub(super) fn imsis(raw: &Raw) -> Result<Vec<Imsi>, &'static str> {
    let (a, b) = (imsi_at(raw, 24), imsi_at(raw, 192));
    let mut found: Vec<Imsi> = [a.ok().flatten(), b.ok().flatten()].into_iter().flatten().collect();
    found.dedup();
    if found.is_empty() && (a.is_err() || b.is_err()) {
        return Err("it is the last one, and the IMSI that it bans cannot be read");
    }
    Ok(found)
}

fn imsi_at(raw: &Raw, offset: usize) -> Result<Option<Imsi>, ()> {
    let field = at::<16>(raw, offset);
    let len = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    let (digits, padding) = field.split_at(len);
    if padding.iter().any(|&b| b != 0) {
        return Err(());
    }
    if digits.is_empty() {
        return Ok(None);
    }
    std::str::from_utf8(digits).map_err(drop)?.parse().map(Some).map_err(drop)
}

fn check_frame(raw: &Raw) -> Result<(), &'static str> {
    if &at::<4>(raw, 0) != MAGIC {
        return Err("its magic is another one");
    }
    let mut sealed = *raw;
    seal(&mut sealed);
    if sealed != *raw {
        return Err("its hash does not match its content");
    }
    if at::<1>(raw, 4) != [VERSION] {
        return Err("its version is unknown");
    }
    Ok(())
}

fn seal(raw: &mut Raw) {
    let hash = Sha256::digest(raw.get(..HASHED).unwrap_or_default());
    put(raw, HASHED, &hash);
}

fn state_number(state: SimState) -> u8 {
    SimState::ALL.iter().position(|&s| s == state).map_or(0, |p| p as u8 + 1)
}

fn state_of(number: u8) -> Option<SimState> {
    SimState::ALL.get(usize::from(number).checked_sub(1)?).copied()
}

fn put(raw: &mut Raw, offset: usize, bytes: &[u8]) {
    if let Some(place) = raw.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn at<const N: usize>(raw: &Raw, offset: usize) -> [u8; N] {
    raw.get(offset..).and_then(|r| r.first_chunk()).copied().unwrap_or([0; N])
}

/// A length octet and as many whole characters as fit `max` octets.
fn put_text(raw: &mut Raw, offset: usize, max: usize, text: &str) {
    let len = text.floor_char_boundary(max);
    put(raw, offset, &[len as u8]);
    put(raw, offset + 1, text.get(..len).unwrap_or_default().as_bytes());
}

fn text(raw: &Raw, offset: usize, max: usize) -> String {
    let len = usize::from(at::<1>(raw, offset)[0]).min(max);
    String::from_utf8_lossy(raw.get(offset + 1..offset + 1 + len).unwrap_or_default()).into_owned()
}
