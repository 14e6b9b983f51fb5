//! Small IEs of 5GS NAS: key set, algorithms of the UE, slices, tracking areas, data network, session
//! status, timers. Reading is strict and returns `None` on a syntax error.

use super::NasError;
use crate::nas::security::{Nea, Nia};
use std::fmt;
use types::{Dnn, PduSessionId, Plmn, Snssai, Tac, Tai};

/// NAS key set identifier (§9.11.3.32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NgKsi {
    /// A key set made by an authentication in 5GS, 0–6.
    Native(u8),
    /// A key set mapped from EPS, 0–6.
    Mapped(u8),
    /// The UE has no key.
    NoKey,
}

impl NgKsi {
    pub(super) fn from_bits(v: u8) -> Self {
        match (v & 7, v & 8 != 0) {
            (7, _) => Self::NoKey,
            (n, false) => Self::Native(n),
            (n, true) => Self::Mapped(n),
        }
    }

    pub(super) fn bits(self) -> u8 {
        match self {
            Self::Native(n) => n & 7,
            Self::Mapped(n) => 8 | n & 7,
            Self::NoKey => 7,
        }
    }
}

/// PDU session type (§9.11.4.11): a number of three bits; values that are not named survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduSessionType(pub u8);

impl PduSessionType {
    /// IPv4.
    pub const IPV4: Self = Self(1);
    /// IPv6.
    pub const IPV6: Self = Self(2);
    /// Both.
    pub const IPV4V6: Self = Self(3);
    /// Unstructured.
    pub const UNSTRUCTURED: Self = Self(4);
    /// Ethernet.
    pub const ETHERNET: Self = Self(5);
}

/// UE security capability (§9.11.3.54): the octets as the UE sent them, 2–8, so that they can be given back
/// unchanged in the Security Mode Command.
///
/// ```text
/// 0  5G-EA0 5G-EA1 ... 5G-EA7
/// 1  5G-IA0 5G-IA1 ... 5G-IA7
/// 2  EEA0 ... EEA7            (optional)
/// 3  EIA0 ... EIA7            (optional)
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UeSecurityCapability(Vec<u8>);

impl UeSecurityCapability {
    /// Takes the octets; `None` unless there are 2 to 8.
    pub fn new(octets: &[u8]) -> Option<Self> {
        (2..=8).contains(&octets.len()).then(|| Self(octets.to_vec()))
    }

    /// A capability with exactly these algorithms.
    pub fn of(ciphering: &[Nea], integrity: &[Nia]) -> Self {
        let ea = ciphering.iter().fold(0, |m, a| m | 0x80 >> a.code());
        let ia = integrity.iter().fold(0, |m, a| m | 0x80 >> a.code());
        Self(vec![ea, ia])
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// True if the UE can cipher with `a`.
    pub fn has_nea(&self, a: Nea) -> bool {
        self.0.first().is_some_and(|o| o & 0x80 >> a.code() != 0)
    }

    /// True if the UE can protect integrity with `a`.
    pub fn has_nia(&self, a: Nia) -> bool {
        self.0.get(1).is_some_and(|o| o & 0x80 >> a.code() != 0)
    }

    /// The same algorithms as the gNB is told them (TS 38.413 §9.3.1.86): algorithm 0 has no bit there.
    pub fn for_ngap(&self) -> crate::ngap::SecurityCapabilities {
        let map = |i: usize| self.0.get(i).map_or(0, |o| u16::from(*o) << 9);
        crate::ngap::SecurityCapabilities { nea: map(0), nia: map(1), eea: map(2), eia: map(3) }
    }
}

impl fmt::Debug for UeSecurityCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UeSecurityCapability({:02x?})", self.0)
    }
}

/// A slice that the network refuses, with the 4-bit cause of §9.11.3.46.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectedSnssai {
    /// The slice.
    pub slice: Snssai,
    /// 0 not available in the PLMN, 1 not available in the registration area, 2 authorisation failed.
    pub cause: u8,
}

/// The data network that a UE asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedDnn {
    /// A name that can be one of ours.
    Name(Dnn),
    /// Octets that are no name by our rules, as received: certainly not one of ours, and not the same as no
    /// name at all, which would mean the default one.
    Unknown(Vec<u8>),
}

impl RequestedDnn {
    /// Reads the labels (TS 23.003 §9.1); at most 100 octets.
    pub(super) fn from_octets(octets: &[u8]) -> Option<Self> {
        if octets.is_empty() || octets.len() > 100 {
            return None;
        }
        let text = labels(octets).and_then(|t| t.parse().ok());
        Some(text.map_or_else(|| Self::Unknown(octets.to_vec()), Self::Name))
    }

    pub(super) fn to_octets(&self) -> Vec<u8> {
        match self {
            Self::Name(d) => dnn_octets(d),
            Self::Unknown(o) => o.clone(),
        }
    }
}

fn labels(mut o: &[u8]) -> Option<String> {
    let mut text = String::new();
    while let Some((n, rest)) = o.split_first() {
        let (label, after) = rest.split_at_checked(usize::from(*n))?;
        if !text.is_empty() {
            text.push('.');
        }
        // A dot inside a label would make two labels of one.
        if label.contains(&b'.') {
            return None;
        }
        text.push_str(std::str::from_utf8(label).ok()?);
        o = after;
    }
    Some(text)
}

/// A data network name as labels, each with its length in front (TS 23.003 §9.1).
pub(super) fn dnn_octets(d: &Dnn) -> Vec<u8> {
    let mut o = Vec::with_capacity(d.as_str().len() + 1);
    for label in d.as_str().split('.') {
        o.push(label.len().min(63) as u8);
        o.extend(label.bytes().take(63));
    }
    o
}

/// A set of PDU session identities 1–15, as in PDU session status and its like (§9.11.3.44).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionSet(u16);

impl SessionSet {
    /// True if `id` is in the set.
    pub fn contains(self, id: PduSessionId) -> bool {
        self.0 >> u8::from(id) & 1 == 1
    }

    /// Puts `id` in.
    pub fn insert(&mut self, id: PduSessionId) {
        self.0 |= 1 << u8::from(id);
    }

    /// Takes `id` out.
    pub fn remove(&mut self, id: PduSessionId) {
        self.0 &= !(1 << u8::from(id));
    }

    /// What is in either.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The identities, ascending.
    pub fn iter(self) -> impl Iterator<Item = PduSessionId> {
        (1..=15u8).filter_map(|n| PduSessionId::try_from(n).ok()).filter(move |id| self.contains(*id))
    }

    /// Octets behind the second are spare and are read over; PSI 0 is spare too.
    pub(super) fn from_octets(o: &[u8]) -> Option<Self> {
        let ([low, high], _) = o.split_first_chunk::<2>()?;
        Some(Self(u16::from_le_bytes([*low, *high]) & 0xfffe))
    }

    pub(super) fn to_octets(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }
}

impl FromIterator<PduSessionId> for SessionSet {
    fn from_iter<I: IntoIterator<Item = PduSessionId>>(ids: I) -> Self {
        ids.into_iter().fold(Self::default(), |mut s, id| {
            s.insert(id);
            s
        })
    }
}

impl fmt::Debug for SessionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(u8::from)).finish()
    }
}

/// The value of a GPRS timer (TS 24.008 §10.5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// So many seconds. Written as the next longer value that the wire has: the unit is 2 s at its finest.
    Seconds(u32),
    /// The timer does not run.
    Deactivated,
}

/// Units of GPRS timer and GPRS timer 2 (§10.5.7.3, §10.5.7.4): code, seconds.
const TIMER_2: [(u8, u32); 3] = [(0, 2), (1, 60), (2, 360)];
/// Units of GPRS timer 3 (§10.5.7.4a): code, seconds.
const TIMER_3: [(u8, u32); 7] = [(3, 2), (4, 30), (5, 60), (0, 600), (1, 3_600), (2, 36_000), (6, 1_152_000)];

impl Timer {
    pub(super) fn from_timer_2(o: u8) -> Self {
        match o >> 5 {
            7 => Self::Deactivated,
            // Other values shall be read as multiples of one minute.
            u => Self::Seconds(
                u32::from(o & 31) * TIMER_2.iter().find(|(c, _)| *c == u).map_or(60, |(_, s)| *s),
            ),
        }
    }

    pub(super) fn to_timer_2(self) -> u8 {
        self.pack(&TIMER_2)
    }

    pub(super) fn from_timer_3(o: u8) -> Self {
        match o >> 5 {
            7 => Self::Deactivated,
            u => Self::Seconds(
                u32::from(o & 31) * TIMER_3.iter().find(|(c, _)| *c == u).map_or(3_600, |(_, s)| *s),
            ),
        }
    }

    pub(super) fn to_timer_3(self) -> u8 {
        self.pack(&TIMER_3)
    }

    fn pack(self, units: &[(u8, u32)]) -> u8 {
        let Self::Seconds(s) = self else { return 0xe0 };
        // Exact in the finest unit that fits, else exact in any, else rounded up.
        let exact = units.iter().find(|(_, u)| s % u == 0 && s / u <= 31);
        let up = || units.iter().find(|(_, u)| s.div_ceil(*u) <= 31);
        match exact.or_else(up).or(units.last()) {
            Some((code, unit)) => code << 5 | s.div_ceil(*unit).min(31) as u8,
            None => 0xe0,
        }
    }
}

/// One S-NSSAI value (§9.11.2.8). Mapped home values are read over: we are not a visited network.
pub(super) fn snssai(o: &[u8]) -> Option<Snssai> {
    let (sst, sd) = match o {
        [sst] | [sst, _] => (*sst, None),
        [sst, a, b, c] | [sst, a, b, c, _] | [sst, a, b, c, _, _, _, _] => (*sst, Some([*a, *b, *c])),
        _ => return None,
    };
    Some(Snssai { sst, sd: sd.filter(|d| *d != [0xff; 3]) })
}

pub(super) fn snssai_octets(s: &Snssai) -> Vec<u8> {
    let mut o = vec![s.sst];
    o.extend(s.sd.iter().flatten());
    o
}

/// NSSAI (§9.11.3.37): S-NSSAIs with their lengths, at most `max`.
pub(super) fn nssai(mut o: &[u8], max: usize) -> Option<Vec<Snssai>> {
    let mut list = Vec::new();
    while let Some((n, rest)) = o.split_first() {
        let (value, after) = rest.split_at_checked(usize::from(*n))?;
        if list.len() == max {
            return None;
        }
        list.push(snssai(value)?);
        o = after;
    }
    Some(list)
}

pub(super) fn nssai_octets(list: &[Snssai], max: usize) -> Result<Vec<u8>, NasError> {
    if list.len() > max {
        return Err(NasError::Encode { ie: "NSSAI" });
    }
    let mut o = Vec::new();
    for s in list {
        let v = snssai_octets(s);
        o.push(v.len() as u8);
        o.extend(v);
    }
    Ok(o)
}

/// Rejected NSSAI (§9.11.3.46).
pub(super) fn rejected_nssai(mut o: &[u8]) -> Option<Vec<RejectedSnssai>> {
    let mut list = Vec::new();
    while let Some((head, rest)) = o.split_first() {
        let (value, after) = rest.split_at_checked(usize::from(head >> 4))?;
        list.push(RejectedSnssai { slice: snssai(value)?, cause: head & 15 });
        o = after;
    }
    Some(list)
}

pub(super) fn rejected_nssai_octets(list: &[RejectedSnssai]) -> Result<Vec<u8>, NasError> {
    if list.len() > 8 {
        return Err(NasError::Encode { ie: "rejected NSSAI" });
    }
    let mut o = Vec::new();
    for r in list {
        let v = snssai_octets(&r.slice);
        o.push((v.len() as u8) << 4 | r.cause & 15);
        o.extend(v);
    }
    Ok(o)
}

/// One TAI (§9.11.3.8): PLMN and TAC, six octets.
pub(super) fn tai(o: &[u8]) -> Option<Tai> {
    let [a, b, c, t1, t2, t3] = *<&[u8; 6]>::try_from(o).ok()?;
    Some(Tai { plmn: Plmn::from_octets([a, b, c])?, tac: tac([t1, t2, t3])? })
}

pub(super) fn tai_octets(t: &Tai) -> Vec<u8> {
    let mut o = t.plmn.to_octets().to_vec();
    o.extend(tac_octets(t.tac));
    o
}

fn tac([a, b, c]: [u8; 3]) -> Option<Tac> {
    Tac::try_from(u32::from_be_bytes([0, a, b, c])).ok()
}

fn tac_octets(t: Tac) -> [u8; 3] {
    let [_, a, b, c] = u32::from(t).to_be_bytes();
    [a, b, c]
}

/// Most TAIs in a list (§9.11.3.9).
const MAX_TAIS: usize = 16;

/// 5GS tracking area identity list (§9.11.3.9), all three forms of partial list.
pub(super) fn tai_list(mut o: &[u8]) -> Option<Vec<Tai>> {
    let mut list = Vec::new();
    while let Some((head, rest)) = o.split_first() {
        let n = usize::from(head & 31) + 1;
        if list.len() + n > MAX_TAIS {
            return None;
        }
        o = match head >> 5 & 3 {
            0 => {
                let (plmn, rest) = rest.split_first_chunk::<3>()?;
                let (tacs, after) = rest.split_at_checked(3 * n)?;
                let plmn = Plmn::from_octets(*plmn)?;
                for t in tacs.as_chunks::<3>().0 {
                    list.push(Tai { plmn, tac: tac(*t)? });
                }
                after
            }
            1 => {
                let (plmn, rest) = rest.split_first_chunk::<3>()?;
                let ([a, b, c], after) = rest.split_first_chunk::<3>()?;
                let plmn = Plmn::from_octets(*plmn)?;
                let first = u32::from_be_bytes([0, *a, *b, *c]);
                for i in 0..n as u32 {
                    list.push(Tai { plmn, tac: Tac::try_from(first + i).ok()? });
                }
                after
            }
            2 => {
                let (tais, after) = rest.split_at_checked(6 * n)?;
                for t in tais.as_chunks::<6>().0 {
                    list.push(tai(t)?);
                }
                after
            }
            _ => return None,
        };
    }
    Some(list)
}

/// Writes one partial list of type 0 per run of equal PLMNs.
pub(super) fn tai_list_octets(list: &[Tai]) -> Result<Vec<u8>, NasError> {
    if list.len() > MAX_TAIS {
        return Err(NasError::Encode { ie: "TAI list" });
    }
    let mut o = Vec::new();
    for run in list.chunk_by(|a, b| a.plmn == b.plmn) {
        o.push((run.len() - 1) as u8);
        o.extend(run.iter().take(1).flat_map(|t| t.plmn.to_octets()));
        o.extend(run.iter().flat_map(|t| tac_octets(t.tac)));
    }
    Ok(o)
}
