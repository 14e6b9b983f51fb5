//! Keeps TCP from sending what does not fit: the maximum segment size that a SYN offers is lowered to what the
//! session's MTU has room for (RFC 9293 §3.7.1), with the checksum mended by the difference (RFC 1624).

/// The IPv4 and the TCP header without options, octets: what the offer leaves out (RFC 6691 §2).
const HEADERS: u16 = 40;

/// Lowers the offer of the SYN in `packet`, whose headers in front of TCP have `header` octets; true if it was too high. Of
/// IPv6 `mtu` is given without the 20 octets that its header has more.
pub(super) fn clamp(packet: &mut [u8], header: usize, mtu: u16) -> bool {
    lower(packet.get_mut(header..).unwrap_or_default(), mtu.saturating_sub(HEADERS)).is_some()
}

/// What the sender of this packet offers to take in one segment.
pub(super) fn offer_of(packet: &[u8], header: usize) -> Option<u16> {
    let segment = packet.get(header..)?;
    let end = usize::from(*segment.get(12)? >> 4) * 4;
    let at = 20 + offer(segment.get(20..end)?)?;
    Some(u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?))
}

/// Takes the offer of several paths (RFC 8684 §3.1) out of a SYN: octets that come by another path would not be where they
/// are looked for. Both ends then go on as if the other did not know of it.
pub(super) fn single_path(packet: &mut [u8], header: usize) {
    const MULTIPATH: u8 = 30;
    let segment = packet.get_mut(header..).unwrap_or_default();
    let end = segment.get(12).map_or(0, |o| usize::from(*o >> 4) * 4);
    while let Some((at, len)) = segment.get(20..end).and_then(|options| option(options, MULTIPATH)) {
        for at in 20 + at..20 + at + len {
            set(segment, at, NOTHING);
        }
    }
}

/// Puts an octet in, and mends the checksum by what changed.
fn set(segment: &mut [u8], at: usize, new: u8) {
    let Some(old) = segment.get_mut(at).map(|octet| std::mem::replace(octet, new)) else { return };
    let shift = if at.is_multiple_of(2) { 8 } else { 0 };
    mend(segment, u16::from(old) << shift, u16::from(new) << shift);
}

/// Mends the checksum of a segment in which a word became another one (RFC 1624 §3).
fn mend(segment: &mut [u8], was: u16, is: u16) {
    let Some(&[high, low]) = segment.get(16..18).and_then(|s| s.first_chunk::<2>()) else { return };
    let mut sum = u32::from(!u16::from_be_bytes([high, low])) + u32::from(!was) + u32::from(is);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    if let Some(place) = segment.get_mut(16..18) {
        place.copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
}

fn lower(segment: &mut [u8], most: u16) -> Option<()> {
    let end = usize::from(*segment.get(12)? >> 4) * 4;
    let at = 20 + offer(segment.get(20..end)?)?;
    let old = u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?);
    if old <= most {
        return None;
    }
    // At an odd place the octets stand the other way round in the sum.
    let (was, is) = if at % 2 == 0 { (old, most) } else { (old.swap_bytes(), most.swap_bytes()) };
    segment.get_mut(at..at + 2)?.copy_from_slice(&most.to_be_bytes());
    mend(segment, was, is);
    Some(())
}

/// Where in the options the offer stands.
fn offer(options: &[u8]) -> Option<usize> {
    const MAXIMUM_SEGMENT_SIZE: u8 = 2;
    option(options, MAXIMUM_SEGMENT_SIZE).filter(|(_, len)| *len == 4).map(|(at, _)| at + 2)
}

/// An option that does nothing.
const NOTHING: u8 = 1;

/// Where the first option of a kind stands, and how many octets it takes.
fn option(options: &[u8], kind: u8) -> Option<(usize, usize)> {
    const END: u8 = 0;
    let mut at = 0;
    loop {
        match *options.get(at)? {
            END => return None,
            NOTHING => at += 1,
            found => {
                let len = usize::from(*options.get(at + 1).filter(|l| **l >= 2)?);
                if found == kind {
                    return options.get(at..at + len).map(|_| (at, len));
                }
                at += len;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inner::make::ip;
    use crate::inner::{SYN, TCP};
    use proptest::prelude::*;

    /// The checksum of the segment with its pseudo header, by another way than the product's: octet by octet.
    fn verifies(packet: &[u8]) -> bool {
        let segment = &packet[20..];
        let pseudo = [&packet[12..20], &[0, TCP], &(segment.len() as u16).to_be_bytes()].concat();
        let mut sum = 0u32;
        for (n, octet) in pseudo.iter().chain(segment).enumerate() {
            sum += u32::from(*octet) * if n % 2 == 0 { 256 } else { 1 };
        }
        sum.is_multiple_of(0xffff)
    }

    fn syn(options: &[u8], data: &[u8]) -> Vec<u8> {
        let mut t = vec![0x9c, 0x40, 1, 0xbb, 0, 0, 0, 7, 0, 0, 0, 0];
        t.push(((5 + options.len() / 4) as u8) << 4);
        t.extend_from_slice(&[SYN, 0xff, 0xff, 0, 0, 0, 0]);
        t.extend_from_slice(options);
        t.extend_from_slice(data);
        let mut packet = ip("10.0.0.1", "10.9.9.9", TCP, 0x4000, 1, &t);
        let pseudo = [&packet[12..20], &[0, TCP][..], &(t.len() as u16).to_be_bytes()].concat();
        let sum = crate::inner::checksum(&[&pseudo, &packet[20..]]);
        packet[36..38].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    proptest! {
        #[test]
        fn an_offer_that_is_too_high_is_lowered_and_the_checksum_holds(
            padding in 0usize..8, mss: u16, mtu in 68u16..9_000, data in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let [a, b] = mss.to_be_bytes();
            let mut options = vec![1; padding];
            options.extend_from_slice(&[2, 4, a, b]);
            options.resize(options.len().next_multiple_of(4), 0);
            let before = syn(&options, &data);
            prop_assert!(verifies(&before));
            let mut after = before.clone();
            let lowered = clamp(&mut after, 20, mtu);
            prop_assert!(verifies(&after));
            prop_assert_eq!(lowered, mss > mtu - 40);
            let at = 40 + padding + 2;
            prop_assert_eq!(u16::from_be_bytes([after[at], after[at + 1]]), mss.min(mtu - 40));
            // Nothing but the offer and the checksum.
            after[at..at + 2].copy_from_slice(&[a, b]);
            after[36..38].copy_from_slice(&before[36..38]);
            prop_assert_eq!(after, before);
        }

        #[test]
        fn any_options_are_walked_without_a_panic(mut p in prop::collection::vec(any::<u8>(), 0..90), mtu: u16, header in 0usize..64) {
            let before = p.len();
            clamp(&mut p, header, mtu);
            prop_assert_eq!(p.len(), before);
        }
    }

    #[test]
    fn without_an_offer_nothing_changes() {
        for options in [&[][..], &[1, 1, 1, 1], &[3, 3, 7, 0], &[2, 3, 0xff, 0xff], &[2, 0, 0xff, 0xff]] {
            let mut p = syn(options, b"");
            assert!(!clamp(&mut p, 20, 1400), "{options:?}");
            assert_eq!(p, syn(options, b""));
        }
    }
}
