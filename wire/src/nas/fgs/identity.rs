//! 5GS mobile identity (TS 24.501 §9.11.3.4).
//!
//! ```text
//! SUCI, IMSI type        5G-GUTI                 5G-S-TMSI           IMEI, IMEISV
//! 0  0|supi fmt|0|001    1111|0|010              1111|0|100          digit1|odd|type
//! 1  MCC2    MCC1        MCC2    MCC1            set id (high 8)     digit3|digit2
//! 2  MNC3    MCC3        MNC3    MCC3            set(2)|pointer(6)   ...
//! 3  MNC2    MNC1        MNC2    MNC1            TMSI (4)
//! 4  routing 2, 1        region
//! 5  routing 4, 3        set id (high 8)
//! 6  0|scheme            set(2)|pointer(6)
//! 7  key id              TMSI (4)
//! 8  scheme output
//! ```

use super::NasError;
use types::{AmfId, FgGuti, FgTmsi, Imei, Imeisv, Pei, Plmn, Suci, SuciScheme, msin_from_bcd, msin_to_bcd};

/// 5G-S-TMSI: how a UE names itself inside one AMF set.
pub use crate::ngap::STmsi;

/// What an Identity Request asks for (§9.11.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityType {
    /// SUCI.
    Suci,
    /// 5G-GUTI.
    Guti,
    /// IMEI.
    Imei,
    /// 5G-S-TMSI.
    STmsi,
    /// IMEISV.
    Imeisv,
    /// Another value as received.
    Other(u8),
}

impl IdentityType {
    pub(super) fn from_bits(v: u8) -> Self {
        match v & 7 {
            1 => Self::Suci,
            2 => Self::Guti,
            3 => Self::Imei,
            4 => Self::STmsi,
            5 => Self::Imeisv,
            o => Self::Other(o),
        }
    }

    pub(super) fn bits(self) -> u8 {
        match self {
            Self::Suci => 1,
            Self::Guti => 2,
            Self::Imei => 3,
            Self::STmsi => 4,
            Self::Imeisv => 5,
            Self::Other(o) => o & 7,
        }
    }
}

/// Who, or which device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MobileIdentity {
    /// No identity.
    None,
    /// Concealed permanent identity of the IMSI type.
    Suci(Suci),
    /// Temporary identity.
    Guti(FgGuti),
    /// Short temporary identity.
    STmsi(STmsi),
    /// Device.
    Imei(Imei),
    /// Device with software version.
    Imeisv(Imeisv),
    /// A form that exists and that we do not read: a SUCI of another type (NAI, GCI, GLI), a MAC address, an
    /// EUI-64. The octets as received.
    Other(Vec<u8>),
}

/// Longest scheme output of a SUCI of the IMSI type: profile B with 5 octets of MSIN and its 8 of MAC.
const MAX_SCHEME_OUTPUT: usize = 46;

impl MobileIdentity {
    /// The device, where this names one.
    pub fn pei(&self) -> Option<Pei> {
        match self {
            Self::Imei(i) => Some(Pei::Imei(*i)),
            Self::Imeisv(i) => Some(Pei::Imeisv(*i)),
            _ => None,
        }
    }

    /// Reads the content of the IE; `None` where it breaks its own syntax.
    pub(super) fn from_octets(octets: &[u8]) -> Option<Self> {
        let (first, rest) = octets.split_first()?;
        match first & 7 {
            0 => Some(Self::None),
            1 => suci(*first, rest, octets),
            2 => {
                let [p1, p2, p3, region, s1, s2, t1, t2, t3, t4] = *<&[u8; 10]>::try_from(rest).ok()?;
                let (set, pointer) = set_and_pointer(s1, s2);
                Some(Self::Guti(FgGuti {
                    plmn: Plmn::from_octets([p1, p2, p3])?,
                    amf: AmfId { region, set, pointer },
                    tmsi: FgTmsi(u32::from_be_bytes([t1, t2, t3, t4])),
                }))
            }
            3 => Some(Self::Imei(device(*first, rest, 15)?.parse().ok()?)),
            4 => {
                let [s1, s2, t1, t2, t3, t4] = *<&[u8; 6]>::try_from(rest).ok()?;
                let (set, pointer) = set_and_pointer(s1, s2);
                Some(Self::STmsi(STmsi { set, pointer, tmsi: FgTmsi(u32::from_be_bytes([t1, t2, t3, t4])) }))
            }
            5 => Some(Self::Imeisv(device(*first, rest, 16)?.parse().ok()?)),
            _ => Some(Self::Other(octets.to_vec())),
        }
    }

    /// Writes the content of the IE.
    pub(super) fn to_octets(&self) -> Result<Vec<u8>, NasError> {
        const WRONG: NasError = NasError::Encode { ie: "5GS mobile identity" };
        Ok(match self {
            Self::None => vec![0],
            Self::Suci(s) => {
                let mut o = vec![1];
                o.extend(s.home.to_octets());
                o.extend(routing_octets(&s.routing_indicator).ok_or(WRONG)?);
                o.push(match s.scheme {
                    SuciScheme::Null => 0,
                    SuciScheme::ProfileA => 1,
                    SuciScheme::ProfileB => 2,
                });
                o.push(s.key_id);
                match s.scheme {
                    SuciScheme::Null => {
                        if s.output.is_empty() || s.output.len() > 12 - usize::from(s.home.mnc_len()) {
                            return Err(WRONG);
                        }
                        o.extend(msin_to_bcd(&s.output).ok_or(WRONG)?);
                    }
                    _ if s.output.len() > MAX_SCHEME_OUTPUT || s.output.is_empty() => return Err(WRONG),
                    _ => o.extend(&s.output),
                }
                o
            }
            Self::Guti(g) => {
                let mut o = vec![0xf2];
                o.extend(g.plmn.to_octets());
                o.push(g.amf.region);
                o.extend(pack_set(g.amf.set, g.amf.pointer).ok_or(WRONG)?);
                o.extend(g.tmsi.0.to_be_bytes());
                o
            }
            Self::STmsi(t) => {
                let mut o = vec![0xf4];
                o.extend(pack_set(t.set, t.pointer).ok_or(WRONG)?);
                o.extend(t.tmsi.0.to_be_bytes());
                o
            }
            Self::Imei(i) => device_octets(3, &i.to_string()),
            Self::Imeisv(i) => device_octets(5, &i.to_string()),
            Self::Other(o) => o.clone(),
        })
    }
}

fn set_and_pointer(a: u8, b: u8) -> (u16, u8) {
    (u16::from(a) << 2 | u16::from(b >> 6), b & 0x3f)
}

fn pack_set(set: u16, pointer: u8) -> Option<[u8; 2]> {
    (set < 1024 && pointer < 64).then_some([(set >> 2) as u8, ((set & 3) as u8) << 6 | pointer])
}

/// SUPI format 0 is the IMSI; the others are forms that exist and that we do not read.
fn suci(first: u8, rest: &[u8], whole: &[u8]) -> Option<MobileIdentity> {
    if first >> 4 & 7 != 0 {
        return Some(MobileIdentity::Other(whole.to_vec()));
    }
    let (head, output) = rest.split_first_chunk::<7>()?;
    let [p1, p2, p3, r1, r2, scheme, key_id] = *head;
    let home = Plmn::from_octets([p1, p2, p3])?;
    let routing_indicator = routing(r1, r2)?;
    let (scheme, output) = match scheme & 15 {
        0 => (SuciScheme::Null, msin(output, home.mnc_len())?),
        // TS 33.501 Annex C.3.4: ephemeral key, one to five octets of MSIN, eight of MAC.
        1 if (41..=45).contains(&output.len()) => (SuciScheme::ProfileA, output.to_vec()),
        2 if (42..=46).contains(&output.len()) => (SuciScheme::ProfileB, output.to_vec()),
        // 3–11 are reserved; 12–15 are an operator's own, and ours has none.
        _ => return None,
    };
    Some(MobileIdentity::Suci(Suci { home, routing_indicator, scheme, key_id, output }))
}

/// One to four digits, filled with F behind the last.
fn routing(a: u8, b: u8) -> Option<String> {
    let nibbles = [a & 15, a >> 4, b & 15, b >> 4];
    let digits: String = nibbles.iter().take_while(|n| **n < 10).map(|n| char::from(b'0' + n)).collect();
    let filled = nibbles.iter().skip(digits.len()).all(|n| *n == 15);
    (!digits.is_empty() && filled).then_some(digits)
}

fn routing_octets(s: &str) -> Option<[u8; 2]> {
    let mut n = [15u8; 4];
    if s.is_empty() || s.len() > 4 {
        return None;
    }
    for (slot, b) in n.iter_mut().zip(s.bytes()) {
        *slot = b.is_ascii_digit().then(|| b - b'0')?;
    }
    let [a, b, c, d] = n;
    Some([b << 4 | a, d << 4 | c])
}

/// The MSIN of the null scheme: not more than an IMSI of 15 digits leaves (TS 23.003 §2.2).
fn msin(octets: &[u8], mnc_len: u8) -> Option<Vec<u8>> {
    msin_from_bcd(octets).filter(|digits| digits.len() <= 12 - usize::from(mnc_len))
}

/// The digits of an IMEI (15, odd) or IMEISV (16, even, filled with F).
fn device(first: u8, rest: &[u8], digits: usize) -> Option<String> {
    if rest.len() != digits / 2 || (first & 8 != 0) != (digits % 2 == 1) {
        return None;
    }
    let mut nibbles = vec![first >> 4];
    nibbles.extend(rest.iter().flat_map(|o| [o & 15, o >> 4]));
    if digits.is_multiple_of(2) && nibbles.pop() != Some(15) {
        return None;
    }
    nibbles.iter().map(|n| (*n < 10).then(|| char::from(b'0' + n))).collect()
}

fn device_octets(kind: u8, digits: &str) -> Vec<u8> {
    let odd = digits.len() % 2 == 1;
    let mut n: Vec<u8> = digits.bytes().map(|b| b & 15).collect();
    if !odd {
        n.push(15);
    }
    let mut it = n.into_iter();
    let mut o = vec![it.next().unwrap_or(15) << 4 | u8::from(odd) << 3 | kind];
    while let (Some(a), Some(b)) = (it.next(), it.next()) {
        o.push(b << 4 | a);
    }
    o
}
