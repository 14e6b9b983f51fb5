use super::*;
use proptest::prelude::*;

fn challenge() -> Eap {
    let m = AkaPrime {
        rand: Some(Rand([1; 16])),
        autn: Some(Autn([2; 16])),
        kdf: vec![1],
        kdf_input: Some(b"5G:mnc070.mcc999.3gppnetwork.org".to_vec()),
        mac: Some([9; 16]),
        ..AkaPrime::of(Subtype::CHALLENGE)
    };
    Eap { identifier: 7, body: EapBody::Request(m) }
}

fn answer() -> Eap {
    let m = AkaPrime {
        res: Some(Res(vec![5; 8])),
        checkcode: Some(Vec::new()),
        result_ind: true,
        mac: Some([9; 16]),
        ..AkaPrime::of(Subtype::CHALLENGE)
    };
    Eap { identifier: 7, body: EapBody::Response(m) }
}

fn reads(eap: &Eap) -> Result<Eap, EapError> {
    Eap::decode(&eap.encode().unwrap())
}

/// The attributes of a packet, each with its head.
fn pieces(octets: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &octets[HEAD..];
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (one, behind) = rest.split_at(usize::from(rest[1]) * 4);
        out.push(one.to_vec());
        rest = behind;
    }
    out
}

/// A packet of these attributes, with a right length.
fn of(head: &[u8], pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut all = [&head[..HEAD], &pieces.concat()].concat();
    let length = all.len() as u16;
    all[2..4].copy_from_slice(&length.to_be_bytes());
    all
}

#[test]
fn each_message_survives_the_round_trip() {
    let client_error = AkaPrime { client_error: Some(0), ..AkaPrime::of(Subtype::CLIENT_ERROR) };
    let synch = AkaPrime {
        auts: Some(Auts([4; 14])),
        kdf: vec![2, 1],
        ..AkaPrime::of(Subtype::SYNCHRONIZATION_FAILURE)
    };
    let told =
        AkaPrime { notification: Some(32_768), mac: Some([1; 16]), ..AkaPrime::of(Subtype::NOTIFICATION) };
    for eap in [
        challenge(),
        answer(),
        Eap { identifier: 0, body: EapBody::Response(client_error) },
        Eap { identifier: 255, body: EapBody::Response(synch) },
        Eap { identifier: 1, body: EapBody::Response(AkaPrime::of(Subtype::AUTHENTICATION_REJECT)) },
        Eap { identifier: 2, body: EapBody::Request(told) },
        Eap::result(3, true),
        Eap::result(4, false),
    ] {
        assert_eq!(reads(&eap), Ok(eap));
    }
}

/// RFC 4187 §10, RFC 9048 §3.1 and §3.2, octet by octet.
#[test]
fn the_octets_are_those_of_the_specification() {
    let octets = challenge().encode().unwrap();
    let mut expected = vec![1, 7, 0, 0, 50, 1, 0, 0];
    expected.extend([&[1, 5, 0, 0][..], &[1; 16]].concat());
    expected.extend([&[2, 5, 0, 0][..], &[2; 16]].concat());
    expected.extend([24, 1, 0, 1]);
    expected.extend([&[23, 9, 0, 32][..], b"5G:mnc070.mcc999.3gppnetwork.org"].concat());
    expected.extend([&[11, 5, 0, 0][..], &[9; 16]].concat());
    expected[3] = expected.len() as u8;
    assert_eq!(octets, expected);
    let octets = answer().encode().unwrap();
    assert_eq!(octets[8..20], [3, 3, 0, 64, 5, 5, 5, 5, 5, 5, 5, 5]);
    assert_eq!(octets[20..28], [134, 1, 0, 0, 135, 1, 0, 0]);
    assert_eq!(Eap::result(9, false).encode().unwrap(), [4, 9, 0, 4]);
}

#[test]
fn the_code_covers_all_but_itself() {
    let mut seen = Vec::new();
    let octets = challenge()
        .encode_signed(|packet| {
            seen = packet.to_vec();
            [0xab; 16]
        })
        .unwrap();
    assert_eq!(octets[octets.len() - 16..], [0xab; 16]);
    assert_eq!(covered(&octets).unwrap(), seen);
    // Padding behind the packet's length is not of it; an attribute behind AT_MAC and one that is skipped are.
    assert_eq!(covered(&[&octets[..], &[1, 2, 3]].concat()).unwrap(), seen);
    let mut parts = pieces(&octets);
    parts.extend([vec![135, 1, 0, 0], vec![200, 2, 0, 0, 1, 2, 3, 4]]);
    let more = of(&octets, &parts);
    let all = covered(&more).unwrap();
    assert_eq!(all.len(), more.len());
    let differ: Vec<usize> = (0..all.len()).filter(|n| all[*n] != more[*n]).collect();
    assert_eq!(differ, (seen.len() - 16..seen.len()).collect::<Vec<_>>());
    assert_eq!(covered(&Eap::result(1, true).encode().unwrap()), None);
    assert_eq!(Eap::result(1, true).encode_signed(|_| [1; 16]).unwrap(), [3, 1, 0, 4]);
}

#[test]
fn an_attribute_twice_is_refused_and_one_that_may_be_skipped_is_not_missed() {
    for eap in [challenge(), answer()] {
        let octets = eap.encode().unwrap();
        let parts = pieces(&octets);
        for n in 0..parts.len() {
            let twice = of(&octets, &[&parts[..], &parts[n..=n]].concat());
            match parts[n][0] {
                AT_KDF => assert!(Eap::decode(&twice).is_ok()),
                kind => assert_eq!(Eap::decode(&twice), Err(EapError::Twice(kind))),
            }
            let mut reversed = parts.clone();
            reversed.rotate_left(n);
            assert_eq!(Eap::decode(&of(&octets, &reversed)), Ok(eap.clone()), "any order");
        }
        for (kind, outcome) in
            [(200, Ok(eap.clone())), (136, Ok(eap.clone())), (13, Err(EapError::Unknown(13)))]
        {
            let more = of(&octets, &[&parts[..], &[vec![kind, 1, 0, 0]]].concat());
            assert_eq!(Eap::decode(&more), outcome);
        }
    }
}

#[test]
fn sizes_that_lie_are_refused() {
    for eap in [challenge(), answer()] {
        let octets = eap.encode().unwrap();
        let parts = pieces(&octets);
        for n in 0..parts.len() {
            let kind = parts[n][0];
            for words in [0u8, 255, parts[n][1] + 1] {
                let mut wrong = parts.clone();
                wrong[n][1] = words;
                assert!(Eap::decode(&of(&octets, &wrong)).is_err(), "{kind} of {words} words");
            }
            // A word longer than it is, in a packet that has room for it.
            let mut longer = parts.clone();
            longer[n][1] += 1;
            longer[n].extend([0; 4]);
            let read = Eap::decode(&of(&octets, &longer));
            assert!(matches!(read, Err(EapError::Attribute { kind: k, .. }) if k == kind), "{kind}");
        }
    }
    for bits in [0u16, 24, 31, 33, 136, 65_535] {
        let mut octets = answer().encode().unwrap();
        octets[10..12].copy_from_slice(&bits.to_be_bytes());
        assert!(Eap::decode(&octets).is_err(), "{bits} bits of RES");
    }
    let long = AkaPrime { kdf_input: Some(vec![b'x'; 1_100]), ..AkaPrime::default() };
    assert!(Eap { identifier: 0, body: EapBody::Request(long) }.encode().is_err());
    assert_eq!(Eap::decode(&[1, 0, 0xff, 0xff, 50]), Err(EapError::TooLong(65_535)));
    assert_eq!(Eap::decode(&[3, 0, 0, 5, 0]), Err(EapError::Code(3)));
    assert_eq!(Eap::decode(&[5, 0, 0, 4]), Err(EapError::Code(5)));
    assert_eq!(Eap::decode(&[2, 0, 0, 8, 23, 1, 0, 0]), Err(EapError::Type(23)), "EAP-AKA without the prime");
    assert_eq!(Eap::decode(&[2, 0, 0, 6, 3, 50]), Err(EapError::Type(3)), "a Nak");
    assert_eq!(Eap::decode(&[2, 0, 0, 7, 50, 1, 0]), Err(EapError::TooShort));
}

#[test]
fn whatever_is_cut_is_refused() {
    for octets in [challenge().encode().unwrap(), answer().encode().unwrap()] {
        for n in 0..octets.len() {
            assert_eq!(Eap::decode(&octets[..n]), Err(EapError::TooShort), "{n}");
            // And where its length says so.
            let mut short = octets[..n].to_vec();
            if n >= 4 {
                short[2..4].copy_from_slice(&(n as u16).to_be_bytes());
                let whole = Eap::decode(&short);
                assert!(whole.is_err() || n >= HEAD && pieces(&short).concat().len() == n - HEAD, "{n}");
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_the_same(noise in prop::collection::vec(any::<u8>(), 0..120), at in 0usize..140, octet: u8) {
        let mut octets = [&answer().encode().unwrap()[..HEAD], &noise].concat();
        let length = octets.len() as u16;
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        let mut changed = challenge().encode().unwrap();
        if let Some(o) = changed.get_mut(at) {
            *o = octet;
        }
        for octets in [octets, changed, noise] {
            if let Ok(eap) = Eap::decode(&octets) {
                prop_assert_eq!(reads(&eap), Ok(eap));
            }
            let _ = covered(&octets);
        }
    }
}
