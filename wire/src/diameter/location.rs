//! 3GPP-User-Location-Info (TS 29.061 §16.4.7.2): where an SMF says that a UE is.
//!
//! ```text
//! type 128: TAI            type 130: TAI | ECGI
//! TAI:  PLMN (3) | TAC (2)                 (TS 29.274 §8.21.4)
//! ECGI: PLMN (3) | spare (4 bits) | ECI (28 bits)   (§8.21.5)
//! ```
//!
//! Other types (cells of 2G and 3G, an eNB alone, a cell without its area) say nothing here.

use types::{Plmn, Tac, Tai};

const TAI: u8 = 128;
const TAI_AND_ECGI: u8 = 130;
/// Bits of an E-UTRA cell identity.
const ECI: u32 = 0x0fff_ffff;

/// Where a UE is, by LTE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserLocation {
    /// The tracking area.
    pub tai: Tai,
    /// The cell (28 bits).
    pub cell: Option<u32>,
}

/// Reads the octets of the AVP; `None` for what names no tracking area of LTE, or is not as long as it says.
pub fn user_location(octets: &[u8]) -> Option<UserLocation> {
    let (kind, rest) = octets.split_first()?;
    let (area, rest) = rest.split_first_chunk::<5>()?;
    let &[p1, p2, p3, t1, t2] = area;
    let tac = Tac::try_from(u32::from(u16::from_be_bytes([t1, t2]))).ok()?;
    let tai = Tai { plmn: Plmn::from_octets([p1, p2, p3])?, tac };
    let cell = match (*kind, rest) {
        (TAI, []) => None,
        (TAI_AND_ECGI, &[p1, p2, p3, c1, c2, c3, c4]) => {
            Plmn::from_octets([p1, p2, p3])?;
            Some(u32::from_be_bytes([c1, c2, c3, c4]) & ECI)
        }
        _ => return None,
    };
    Some(UserLocation { tai, cell })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: [u8; 13] = [130, 0x00, 0xf1, 0x10, 0x12, 0x34, 0x00, 0xf1, 0x10, 0xf1, 0x02, 0x03, 0x04];

    #[test]
    fn an_area_and_its_cell_are_read_and_nothing_else() {
        let both = user_location(&BOTH).unwrap();
        assert_eq!((both.tai.to_string().as_str(), both.cell), ("001-01-001234", Some(0x0102_0304)));
        let area = [&[128][..], &BOTH[1..6]].concat();
        assert_eq!(user_location(&area).unwrap(), UserLocation { cell: None, ..both });
        for n in 0..BOTH.len() {
            assert_eq!(user_location(&BOTH[..n]), None, "{n}");
        }
        let longer = [&BOTH[..], &[0]].concat();
        let no_digits = [&[128, 0x0a][..], &BOTH[2..6]].concat();
        for bad in [longer, no_digits, [&area[..], &[0]].concat()] {
            assert_eq!(user_location(&bad), None, "{bad:?}");
        }
        // CGI, SAI, RAI, ECGI alone, those with an eNB, those of 5GS.
        for kind in [0, 1, 2, 129, 131, 132, 133, 134, 135, 136, 137, 255] {
            let other = [&[kind][..], &BOTH[1..]].concat();
            assert_eq!(user_location(&other), None, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_not(octets in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Some(l) = user_location(&octets) {
                prop_assert!(l.cell.is_none_or(|c| c <= ECI) && u32::from(l.tai.tac) <= 0xffff);
            }
        }
    }
}
