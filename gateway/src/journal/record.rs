//! One record of the journal: 256 octets, drawn in the parent module.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use crate::link::{Revoked, Stored};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use types::{Imsi, Name, SimState, Utc};

/// Octets of a record.
pub(crate) const RECORD: usize = 256;

/// A record as it is on the disk.
pub(crate) type Raw = [u8; RECORD];

const MAGIC: &[u8; 4] = b"SKRJ";
const VERSION: u8 = 1;
const KIND_HEADER: u8 = 0;
const KIND_CUT: u8 = 1;
const KIND_UNCUT: u8 = 2;
const KIND_CUT_DEVICE: u8 = 3;
const KIND_UNCUT_DEVICE: u8 = 4;
const KIND_QUARANTINE: u8 = 5;
const KIND_RELEASE: u8 = 6;
const KIND_PANIC: u8 = 7;
const KIND_CALM: u8 = 8;
const HASHED: usize = 224;

/// What stands in both subject fields of a record about a group, whose name is too long for them.
const GROUP: &str = "GROUP";
/// Where the name of a group is: in the place of the longer part of the reason.
const GROUP_AT: usize = 104;
const GROUP_MAX: usize = 63;
const REASON_AT: usize = 104;
const REASON_MAX: usize = 87;
const SHORT_REASON_AT: usize = 168;
const SHORT_REASON_MAX: usize = 23;

/// A device: the first 14 digits of its IMEI, without check digit or software version (TS 23.003 §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device([u8; 14]);

impl FromStr for Device {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match <[u8; 14]>::try_from(s.as_bytes()) {
            Ok(d) if d.iter().all(u8::is_ascii_digit) => Ok(Self(d)),
            _ => Err("a device is named by the first 14 digits of its IMEI"),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&d| write!(f, "{}", d as char))
    }
}

/// What a record says, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The SIM is cut, for this state.
    Cut(Imsi, SimState),
    /// The SIM is no longer cut.
    Uncut(Imsi),
    /// The device is cut, whatever SIM is in it.
    CutDevice(Device),
    /// The device is no longer cut.
    UncutDevice(Device),
    /// The SIM is in quarantine, or no longer.
    Quarantine(Imsi, bool),
    /// The group is in panic, or no longer.
    Panic(Name, bool),
}

impl What {
    /// True for what takes rights away.
    pub fn restricts(&self) -> bool {
        !matches!(
            self,
            Self::Uncut(_) | Self::UncutDevice(_) | Self::Quarantine(_, false) | Self::Panic(_, false)
        )
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(imsi, state) => write!(f, "cut {imsi} ({state})"),
            Self::Uncut(imsi) => write!(f, "uncut {imsi}"),
            Self::CutDevice(d) => write!(f, "cut device {d}"),
            Self::UncutDevice(d) => write!(f, "uncut device {d}"),
            Self::Quarantine(imsi, true) => write!(f, "quarantine {imsi}"),
            Self::Quarantine(imsi, false) => write!(f, "release {imsi}"),
            Self::Panic(group, true) => write!(f, "panic {group}"),
            Self::Panic(group, false) => write!(f, "calm {group}"),
        }
    }
}

/// A record's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What, of whom.
    pub what: What,
    /// When it was asked for.
    pub at: Utc,
    /// Who asked; what does not fit 31 octets is left out.
    pub actor: String,
    /// Why; what does not fit 87 octets (23 for a group) is left out.
    pub reason: String,
}

impl Entry {
    /// The entry as one of the revoked set, if it is a cut.
    pub fn revoked(&self, stored: Option<Stored>) -> Option<Revoked> {
        let What::Cut(imsi, state) = self.what else { return None };
        let (actor, reason) = (self.actor.clone(), self.reason.clone());
        Some(Revoked { imsi, state, actor, reason, at: self.at, stored })
    }
}

/// Which records were written together: none of them is acknowledged before all are on the disk. Also covers what
/// was in their place before, so that a reader knows how far an unfinished write may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) first: u64,
    pub(super) count: u32,
}

impl Batch {
    pub(super) fn covers(&self, record: u64) -> bool {
        record >= self.first && record - self.first < u64::from(self.count)
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

pub(super) fn encode(entry: &Entry, sequence: u64, before: &[u8; 32], batch: Batch) -> Raw {
    let (kind, state, subject) = match &entry.what {
        What::Cut(imsi, state) => (KIND_CUT, state_number(*state), imsi.to_string()),
        What::Uncut(imsi) => (KIND_UNCUT, 0, imsi.to_string()),
        What::CutDevice(d) => (KIND_CUT_DEVICE, 0, d.to_string()),
        What::UncutDevice(d) => (KIND_UNCUT_DEVICE, 0, d.to_string()),
        What::Quarantine(imsi, true) => (KIND_QUARANTINE, 0, imsi.to_string()),
        What::Quarantine(imsi, false) => (KIND_RELEASE, 0, imsi.to_string()),
        What::Panic(_, true) => (KIND_PANIC, 0, GROUP.to_owned()),
        What::Panic(_, false) => (KIND_CALM, 0, GROUP.to_owned()),
    };
    let mut raw = [0; RECORD];
    put(&mut raw, 0, MAGIC);
    put(&mut raw, 4, &[VERSION, kind, state]);
    put(&mut raw, 8, &sequence.to_be_bytes());
    put(&mut raw, 16, &entry.at.0.to_be_bytes());
    put(&mut raw, 24, subject.as_bytes());
    put(&mut raw, 40, before);
    put_text(&mut raw, 72, 31, &entry.actor);
    if let What::Panic(group, _) = &entry.what {
        put_text(&mut raw, GROUP_AT, GROUP_MAX, group.as_str());
        put_text(&mut raw, SHORT_REASON_AT, SHORT_REASON_MAX, &entry.reason);
        put(&mut raw, 220, &name_check(group.as_str()));
    } else {
        put_text(&mut raw, REASON_AT, REASON_MAX, &entry.reason);
    }
    put(&mut raw, 192, subject.as_bytes());
    put(&mut raw, 208, &batch.first.to_be_bytes());
    put(&mut raw, 216, &batch.count.to_be_bytes());
    seal(&mut raw);
    raw
}

/// Reads a record that follows the one with the number `sequence - 1` and the hash `before`.
pub(super) fn decode(raw: &Raw, sequence: u64, before: &[u8; 32]) -> Result<(Entry, Stored), &'static str> {
    check_frame(raw)?;
    if number(raw) != sequence {
        return Err("its number is not the next one");
    }
    if &at::<32>(raw, 40) != before {
        return Err("it does not follow the record before it");
    }
    Ok((content(raw)?, Stored { record: sequence, hash: hash_of(raw) }))
}

/// What an undamaged record says, wherever it stands. `None` if it is damaged.
pub(super) fn alone(raw: &Raw) -> Option<(Entry, Batch)> {
    check_frame(raw).ok()?;
    let count = u32::from_be_bytes(at(raw, 216));
    let batch = match count {
        // Written before there were batches.
        0 => Batch { first: number(raw), count: 1 },
        count => Batch { first: u64::from_be_bytes(at(raw, 208)), count },
    };
    Some((content(raw).ok()?, batch))
}

fn content(raw: &Raw) -> Result<Entry, &'static str> {
    let [kind, state] = at(raw, 5);
    let sim = || imsi_at(raw, 24).ok_or("its IMSI is none");
    let device = || subject(raw, 24).and_then(|s| s.parse().ok()).ok_or("its device is none");
    let group = || group_of(raw).ok_or("its group is none");
    let what = match kind {
        KIND_CUT => What::Cut(sim()?, state_of(state).ok_or("its state is unknown")?),
        KIND_UNCUT => What::Uncut(sim()?),
        KIND_CUT_DEVICE => What::CutDevice(device()?),
        KIND_UNCUT_DEVICE => What::UncutDevice(device()?),
        KIND_QUARANTINE => What::Quarantine(sim()?, true),
        KIND_RELEASE => What::Quarantine(sim()?, false),
        KIND_PANIC => What::Panic(group()?, true),
        KIND_CALM => What::Panic(group()?, false),
        _ => return Err("its kind is unknown"),
    };
    let (reason_at, reason_max) = match what {
        What::Panic(..) => (SHORT_REASON_AT, SHORT_REASON_MAX),
        _ => (REASON_AT, REASON_MAX),
    };
    Ok(Entry { what, at: time(raw), actor: text(raw, 72, 31), reason: text(raw, reason_at, reason_max) })
}

/// True for a place that was never written.
pub(super) fn is_empty(raw: &Raw) -> bool {
    raw.iter().all(|&b| b == 0)
}

/// The record's own hash.
pub(crate) fn hash_of(raw: &Raw) -> [u8; 32] {
    at(raw, HASHED)
}

/// The record's time.
pub(super) fn time(raw: &Raw) -> Utc {
    Utc(i64::from_be_bytes(at(raw, 16)))
}

fn number(raw: &Raw) -> u64 {
    u64::from_be_bytes(at(raw, 8))
}

/// What a damaged record may have meant, at its worst (deny wins): its kind may be what is damaged, so whoever
/// stands in it is cut. Nothing where its subject was never written.
///
/// # Errors
/// Where something is written and cannot be read: then nobody can tell whom it restricts.
pub(super) fn meant(raw: &Raw) -> Result<Vec<What>, &'static str> {
    let both = [subject(raw, 24), subject(raw, 192)];
    if both.contains(&Some(GROUP)) {
        return match group_of(raw) {
            Some(group) => Ok(vec![What::Panic(group, true)]),
            // Never written to its end, so never acknowledged.
            None if hash_of(raw) == [0; 32] => Ok(Vec::new()),
            None => Err("it is among the last ones, and the group that it names cannot be read"),
        };
    }
    let mut found = Vec::new();
    for text in both.iter().flatten() {
        found.extend(text.parse().ok().map(|imsi| What::Cut(imsi, SimState::Lost)));
        found.extend(text.parse().ok().map(What::CutDevice));
    }
    found.dedup();
    if found.is_empty() && both != [Some(""), Some("")] {
        return Err("it is among the last ones, and the IMSI that it bans cannot be read");
    }
    Ok(found)
}

/// A subject field; `None` where it is no text with zeros behind it.
fn subject(raw: &Raw, offset: usize) -> Option<&str> {
    let field = raw.get(offset..offset + 16)?;
    let len = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    let (text, padding) = field.split_at(len);
    if padding.iter().any(|&b| b != 0) {
        return None;
    }
    std::str::from_utf8(text).ok()
}

fn imsi_at(raw: &Raw, offset: usize) -> Option<Imsi> {
    subject(raw, offset)?.parse().ok()
}

fn group_of(raw: &Raw) -> Option<Name> {
    let name = text(raw, GROUP_AT, GROUP_MAX);
    if at::<4>(raw, 220) != name_check(&name) {
        return None;
    }
    name.parse().ok()
}

fn name_check(name: &str) -> [u8; 4] {
    Sha256::digest(name.as_bytes()).first_chunk().copied().unwrap_or_default()
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
