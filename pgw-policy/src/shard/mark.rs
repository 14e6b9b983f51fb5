//! The mark of an app on the packets of its flows: DSCP in the inner header (RFC 2474 §3, RFC 8200 §7).

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use types::Dscp;

/// Puts the code point into the header of an IP packet; the two bits of congestion notification stay. The checksum of an
/// IPv4 header is mended by what changed (RFC 1624 §3), so that one that was wrong stays wrong.
pub(super) fn set_dscp(packet: &mut [u8], dscp: Dscp) {
    match packet {
        [first, tos, _, _, _, _, _, _, _, _, sum_high, sum_low, ..] if *first >> 4 == 4 => {
            let old = u16::from_be_bytes([*first, *tos]);
            *tos = dscp.value() << 2 | *tos & 3;
            let new = u16::from_be_bytes([*first, *tos]);
            let sum =
                u32::from(!u16::from_be_bytes([*sum_high, *sum_low])) + u32::from(!old) + u32::from(new);
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
            [*sum_high, *sum_low] = sum.to_be_bytes();
        }
        [first, second, ..] if *first >> 4 == 6 => {
            // Version, traffic class (DSCP and two bits), flow label.
            *first = 6 << 4 | dscp.value() >> 2;
            *second = (dscp.value() & 3) << 6 | *second & 0x3f;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inner::{checksum, make::udp};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_checksum_stays_as_right_or_wrong_as_it_was(dscp in 0u8..64, tos: u8, wrong: u16) {
            let mut p = udp("10.20.0.5", 7, "10.1.0.9", 9, b"word");
            p[1] = tos;
            p[10..12].fill(0);
            let right = checksum(&[&p[..20]]);
            p[10..12].copy_from_slice(&(right ^ wrong).to_be_bytes());
            let before = p.clone();
            set_dscp(&mut p, Dscp::try_from(dscp).unwrap());
            prop_assert_eq!((p[1] >> 2, p[1] & 3), (dscp, tos & 3));
            prop_assert_eq!(checksum(&[&p[..20]]) == 0, checksum(&[&before[..20]]) == 0);
            prop_assert_eq!((&p[2..10], &p[12..]), (&before[2..10], &before[12..]));
        }
    }

    #[test]
    fn an_ipv6_header_keeps_its_label_and_congestion_bits() {
        let mut p = [0x6f, 0xbc, 0xde, 0xf0, 1, 2, 3, 4];
        set_dscp(&mut p, Dscp::try_from(0b101110).unwrap());
        assert_eq!(p, [0x6b, 0xbc, 0xde, 0xf0, 1, 2, 3, 4]);
        let mut short = [0x45, 0];
        set_dscp(&mut short, Dscp::try_from(46).unwrap());
        assert_eq!(short, [0x45, 0]);
    }
}
