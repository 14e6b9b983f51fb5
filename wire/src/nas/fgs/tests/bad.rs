//! Bad messages: headers, identities, IEs and lists that are cut, too long or not what they say; and what counts without
//! protection.

use super::*;

#[test]
fn nothing_that_is_cut_short_ends_the_process_or_reads_the_same() {
    for m in samples() {
        let octets = m.encode().unwrap();
        for n in 0..octets.len() {
            assert_ne!(FgmmMessage::decode(&octets[..n]).ok(), Some(m.clone()));
        }
        for n in 0..3 {
            assert_eq!(FgmmMessage::decode(&octets[..n]), Err(NasError::TooShort));
        }
    }
    for m in session_samples() {
        let octets = m.encode().unwrap();
        for n in 0..octets.len() {
            assert_ne!(FgsmMessage::decode(&octets[..n]).ok(), Some(m.clone()));
        }
        for n in 0..4 {
            assert_eq!(FgsmMessage::decode(&octets[..n]), Err(NasError::TooShort));
        }
    }
}

#[test]
fn every_octet_changed_ends_no_process() {
    let mm = samples().into_iter().map(|m| m.encode().unwrap());
    let sm = session_samples().into_iter().map(|m| m.encode().unwrap());
    for octets in mm.chain(sm) {
        for at in 0..octets.len() {
            for v in [0x00, 0x01, 0x0f, 0x7f, 0x80, 0xf0, 0xff, octets[at] ^ 1] {
                let mut odd = octets.clone();
                odd[at] = v;
                if let Ok(m) = FgmmMessage::decode(&odd) {
                    let _ = m.encode();
                }
                if let Ok(m) = FgsmMessage::decode(&odd) {
                    let _ = m.encode();
                }
            }
        }
    }
}

/// R27: empty, header only, wrong discriminator, reserved header type, unknown type.
#[test]
fn r27_headers() {
    let d = |o: &[u8]| FgmmMessage::decode(o).unwrap_err();
    assert_eq!(d(&[]), NasError::TooShort);
    assert_eq!(d(&[0x7e]), NasError::TooShort);
    assert_eq!(d(&[0x7e, 0]), NasError::TooShort);
    assert_eq!(d(&[0x2e, 0, 0]), NasError::UnknownDiscriminator(0x2e));
    assert_eq!(d(&[0x07, 0x41, 1]), NasError::UnknownDiscriminator(7));
    for header in 1..16 {
        assert_eq!(d(&[0x7e, header, 0x41]), NasError::Protected(header));
    }
    for message_type in [0x00, 0x40, 0x4f, 0x63, 0x70, 0xff] {
        assert_eq!(d(&[0x7e, 0, message_type]).fgmm_cause(), Some(FgmmCause::MessageTypeNonExistent));
    }
    // A header alone: the mandatory part is missing.
    for message_type in [0x41, 0x44, 0x4c, 0x5b, 0x5c, 0x67] {
        assert_eq!(d(&[0x7e, 0, message_type]).fgmm_cause(), Some(FgmmCause::InvalidMandatoryInformation));
    }
    assert_eq!(d(&vec![0x7e; crate::nas::MAX_NAS + 1]), NasError::TooLong(crate::nas::MAX_NAS + 1));
}

/// A Registration Request with these octets as its mobile identity.
fn with_identity(identity: &[u8]) -> Result<FgmmMessage, NasError> {
    let mut octets = hex("7e004179");
    octets.extend((identity.len() as u16).to_be_bytes());
    octets.extend(identity);
    octets.extend(hex("2e02f0f0"));
    FgmmMessage::decode(&octets)
}

/// R31: a mobile identity of each kind and each length from 0 to 13 (and beyond).
#[test]
fn r31_mobile_identity_lengths() {
    for kind in 0..=7u8 {
        for high in [0x00u8, 0x10, 0x20, 0x70, 0x90, 0xf0] {
            for n in 0..=20usize {
                for fill in [0x00u8, 0x11, 0x99, 0xff] {
                    let mut octets = vec![fill; n];
                    if let Some(first) = octets.first_mut() {
                        *first = high | kind;
                    }
                    if let Ok(FgmmMessage::RegistrationRequest(m)) = with_identity(&octets) {
                        // What was read can be written and is the same again. "No identity" has no place in
                        // a registration and is written shorter.
                        if m.identity == MobileIdentity::None {
                            continue;
                        }
                        let again = FgmmMessage::RegistrationRequest(m);
                        assert_eq!(FgmmMessage::decode(&again.encode().unwrap()).unwrap(), again);
                    }
                }
            }
        }
    }
    // The lengths that are right are the only ones for the fixed forms.
    for n in 0..=20usize {
        let mut octets = vec![0x11; n];
        octets.splice(0..n.min(1), [0xf2].into_iter().take(n.min(1)));
        assert_eq!(with_identity(&octets).is_ok(), n == 11, "5G-GUTI of {n} octets");
    }
    // A length that lies about what follows.
    for lie in [0u16, 1, 12, 14, 200, 0xffff] {
        let mut octets = hex("7e004179000d0100f110000000000000001002");
        octets[4..6].copy_from_slice(&lie.to_be_bytes());
        assert!(FgmmMessage::decode(&octets).is_err(), "length {lie}");
    }
}

/// R33: SUCI with digits that are none, a scheme that is none, a PLMN that is none, an MSIN too long.
#[test]
fn r33_suci() {
    let base = hex("0100f11000000000");
    let of = |change: &dyn Fn(&mut Vec<u8>), msin: &[u8]| {
        let mut o = base.clone();
        change(&mut o);
        o.extend(msin);
        with_identity(&o)
    };
    let keep = |_: &mut Vec<u8>| {};
    let good = of(&keep, &[0x00, 0x00, 0x00, 0x00, 0x10]).unwrap();
    let FgmmMessage::RegistrationRequest(m) = good else { panic!() };
    assert_eq!(
        m.identity,
        MobileIdentity::Suci(Suci {
            home: plmn(),
            routing_indicator: "0000".into(),
            scheme: SuciScheme::Null,
            key_id: 0,
            output: b"0000000001".to_vec(),
        })
    );
    let refused = |r: Result<FgmmMessage, NasError>, what: &str| {
        assert_eq!(r.unwrap_err().fgmm_cause(), Some(FgmmCause::InvalidMandatoryInformation), "{what}");
    };
    for digits in [[0xc0u8, 0, 0, 0, 0x10], [0x0c, 0, 0, 0, 0], [0, 0, 0xf0, 0, 0], [0, 0, 0, 0, 0xff]] {
        refused(of(&keep, &digits), "digits");
    }
    refused(of(&keep, &[]), "empty MSIN");
    refused(of(&keep, &[0x11; 6]), "MSIN of 12 digits");
    refused(of(&keep, &[0x11; 200]), "MSIN of 400 digits");
    for plmn in [[0xaau8, 0xf1, 0x10], [0x00, 0xfa, 0x10], [0xff, 0xff, 0xff]] {
        refused(of(&|o| o[1..4].copy_from_slice(&plmn), &[0x10]), "PLMN");
    }
    for routing in [[0xffu8, 0xff], [0x0f, 0x00], [0xa0, 0xff], [0xf0, 0x0f]] {
        refused(of(&|o| o[4..6].copy_from_slice(&routing), &[0x10]), "routing indicator");
    }
    // Schemes that are reserved or an operator's own are refused whatever follows; profiles A and B have a length.
    for scheme in 3..=15u8 {
        for output in [&[0x10][..], &[7; 41], &[7; 46]] {
            refused(of(&|o| o[6] = scheme, output), "scheme");
        }
    }
    for (scheme, right) in [(1u8, 41..=45usize), (2, 42..=46)] {
        for n in [0usize, 1, 32, 40, 41, 45, 46, 47, 255, 3_000] {
            let r = of(&|o| o[6..8].copy_from_slice(&[scheme, 1]), &vec![7; n]);
            assert_eq!(r.is_ok(), right.contains(&n), "scheme {scheme}, {n} octets");
        }
    }
}

/// R35: IEs that do not belong, oversized or cut, behind a good message.
#[test]
fn r35_emergency_number_list_and_other_strangers() {
    let good = FgmmMessage::RegistrationRequest(RegistrationRequest {
        nas_container: None,
        ..registration(suci("0000000001"))
    });
    let octets = good.encode().unwrap();
    let behind = |extra: &[u8]| {
        let mut o = octets.clone();
        o.extend(extra);
        FgmmMessage::decode(&o)
    };
    // Emergency number list (34), extended one (7A), of any length, whole and cut.
    let mut list = vec![0x34, 48];
    list.extend([7; 48]);
    assert_eq!(behind(&list).unwrap(), good);
    assert_eq!(behind(&[0x34, 255, 1, 2]).unwrap(), good);
    assert_eq!(behind(&[0x34, 0]).unwrap(), good);
    assert_eq!(behind(&[0x7a, 0xff, 0xff, 1]).unwrap(), good);
    let mut large = vec![0x7a, 0x1f, 0xff];
    large.extend([1; 0x1fff]);
    assert_eq!(behind(&large).unwrap(), good);
    // One that demands comprehension makes the message invalid.
    for stranger in [&[0x0f, 1, 1][..], &[0x05, 0], &[0x0f, 9, 1]] {
        assert_eq!(behind(stranger).unwrap_err().fgmm_cause(), Some(FgmmCause::InvalidMandatoryInformation));
    }
    // A known IE again: the first one counts.
    assert_eq!(behind(&[0x2e, 2, 0, 0]).unwrap(), good);
}

/// R41: containers longer than the IE, half a header, too many of them.
#[test]
fn r41_protocol_configuration_options() {
    for bad in [
        &[][..],
        &[0x00],
        &[0x81],
        &[0x80, 0x00],
        &[0x80, 0x00, 0x0d],
        &[0x80, 0x00, 0x0d, 0x04, 1, 2, 3],
        &[0x80, 0x00, 0x0d, 0x00, 0x00],
        &[0x80, 0x80, 0x21, 0xff, 1],
    ] {
        assert_eq!(Epco::from_octets(bad), None, "{bad:02x?}");
    }
    let mut many = vec![0x80];
    many.extend([0, 0x0d, 0].repeat(64));
    assert_eq!(Epco::from_octets(&many).unwrap().containers.len(), 64);
    many.extend([0, 0x0d, 0]);
    assert_eq!(Epco::from_octets(&many), None);
    // In its message the bad options count as absent; the request itself stands.
    let mut octets = hex("2e0101c1ffff91a17b0003800010");
    let m = FgsmMessage::decode(&octets).unwrap();
    let FgsmBody::EstablishmentRequest(r) = m.body else { panic!() };
    assert_eq!((r.session_type, r.epco), (Some(PduSessionType::IPV4), None));
    // The IE itself is longer than the message.
    octets[9] = 0xff;
    assert!(FgsmMessage::decode(&octets).is_ok());
}

/// R43: flow descriptions with more parameters than there are, and odd bit rates.
#[test]
fn r43_qos() {
    for bad in [
        &[1u8][..],
        &[1, 0x20],
        &[1, 0x20, 0x7f],
        &[1, 0x20, 0x41, 1],
        &[1, 0x20, 0x41, 1, 9, 9],
        &[1, 0x20, 0x41, 1, 2, 9, 9],
    ] {
        assert_eq!(super::qos::flows(bad), None, "{bad:02x?}");
    }
    // A bit rate with a unit that is none survives as it is.
    let odd = super::qos::flows(&[1, 0x20, 0x41, 2, 3, 0xff, 1, 1]).unwrap();
    assert_eq!(odd[0].others, [(2, vec![0xff, 1, 1])]);
    for bad in [
        &[1u8][..],
        &[1, 0],
        &[1, 0, 9, 0x31],
        &[1, 0, 1, 0x3f],
        &[1, 0, 2, 0x31, 0x31],
        &[1, 0, 1, 0],
        &[1, 0, 4, 0x31, 0x31, 9, 1],
        &[1, 0, 4, 0x20, 1, 2, 3],
    ] {
        assert_eq!(super::qos::rules(bad), None, "{bad:02x?}");
    }
    assert_eq!(super::qos::rules(&[1, 0, 1, 0x40].repeat(65)), None, "more rules than we read");
    let all = QosRule::match_all(1, 255, 9);
    let octets = super::qos::rules_octets(std::slice::from_ref(&all)).unwrap();
    assert_eq!(octets, hex("010006313101 01ff09".replace(' ', "").as_str()));
    assert_eq!(super::qos::rules(&octets), Some(vec![all]));
    assert_eq!(SessionAmbr::from_octets(&[1, 0, 1, 99, 0xff, 0xff]).unwrap().dl_bps, 1_000);
    assert_eq!(SessionAmbr::from_octets(&[0; 5]), None);
    for unit in 0..=255 {
        let _ = SessionAmbr::from_octets(&[unit, 0xff, 0xff, unit, 0, 0]).unwrap().to_octets();
    }
}

/// R47: the container of a Security Mode Complete may hold any message; it is told apart.
#[test]
fn r47_container_with_another_message() {
    let inner = samples().into_iter().find(|m| m.name() == "ServiceRequest").unwrap();
    let outer = FgmmMessage::SecurityModeComplete(SecurityModeComplete {
        pei: None,
        nas_container: Some(inner.encode().unwrap()),
    });
    let FgmmMessage::SecurityModeComplete(read) = FgmmMessage::decode(&outer.encode().unwrap()).unwrap()
    else {
        panic!()
    };
    let container = FgmmMessage::decode(&read.nas_container.unwrap()).unwrap();
    assert!(!matches!(container, FgmmMessage::RegistrationRequest(_)));
    // A container in a container in a container is just octets until someone asks.
    let mut nested = outer;
    for _ in 0..50 {
        nested = FgmmMessage::SecurityModeComplete(SecurityModeComplete {
            pei: None,
            nas_container: Some(nested.encode().unwrap()),
        });
    }
    assert_eq!(FgmmMessage::decode(&nested.encode().unwrap()).unwrap(), nested);
}

#[test]
fn session_messages_of_nobody() {
    let d = |o: &[u8]| FgsmMessage::decode(o).unwrap_err();
    for session in [0u8, 16, 255] {
        let e = d(&[0x2e, session, 1, 0xd6, 1]);
        assert_eq!(e.fgsm_cause(), Some(FgsmCause::InvalidPduSessionIdentity), "{session}: {e:?}");
    }
    assert_eq!(d(&[0x2e, 1, 255, 0xc1, 0xff, 0xff]), NasError::ReservedPti);
    for message_type in [0x00, 0xc5, 0xff, 0xd7] {
        assert_eq!(
            d(&[0x2e, 1, 1, message_type]).fgsm_cause(),
            Some(FgsmCause::MessageTypeNonExistent),
            "{message_type:#x}"
        );
    }
    assert_eq!(d(&[0x7e, 0, 0x41, 0]), NasError::UnknownDiscriminator(0x7e));
    // Mandatory parts missing.
    for message_type in [0xc1, 0xc2, 0xc3, 0xd3, 0xd6] {
        assert_eq!(d(&[0x2e, 1, 1, message_type]).fgsm_cause(), Some(FgsmCause::InvalidMandatoryInformation));
    }
}

#[test]
fn a_data_network_name_that_is_none_is_not_the_default() {
    for odd in [&b"\x05corp"[..], b"\x04c_rp", b"\x00", b"\x03a.b", b"\xff", &[1; 100]] {
        assert!(matches!(RequestedDnn::from_octets(odd), Some(RequestedDnn::Unknown(_))), "{odd:?}");
    }
    assert_eq!(RequestedDnn::from_octets(b"\x04CORP"), Some(RequestedDnn::Name("corp".parse().unwrap())));
    assert_eq!(RequestedDnn::from_octets(b""), None);
    assert_eq!(RequestedDnn::from_octets(&[1; 101]), None);
}

#[test]
fn lists_have_limits() {
    let one = Snssai { sst: 1, sd: None };
    let request = |n| {
        FgmmMessage::RegistrationRequest(RegistrationRequest {
            requested_nssai: vec![one; n],
            ..registration(suci("1"))
        })
    };
    assert!(request(8).encode().is_ok());
    assert!(request(9).encode().is_err());
    let accept = |n| {
        FgmmMessage::RegistrationAccept(RegistrationAccept {
            tai_list: vec![tai(plmn(), 1); n],
            ..RegistrationAccept::default()
        })
    };
    assert!(accept(16).encode().is_ok());
    assert!(accept(17).encode().is_err());
    // Consecutive areas and areas of several PLMNs, which others send.
    assert_eq!(
        super::ie::tai_list(&hex("2200f110000001")),
        Some(vec![tai(plmn(), 1), tai(plmn(), 2), tai(plmn(), 3)])
    );
    assert_eq!(
        super::ie::tai_list(&hex("4100f11000000113400100000200f110000005").as_slice()[..13]),
        Some(vec![tai(plmn(), 1), tai(Plmn::from_octets([0x13, 0x40, 0x01]).unwrap(), 2)])
    );
    for bad in ["22", "2200f110", "0100f110000001", "60", "2f00f110fffff8", "1f00f110000001"] {
        assert_eq!(super::ie::tai_list(&hex(bad)), None, "{bad}");
    }
    for bad in ["03010203", "00", "0201", "09010203040506070809"] {
        assert_eq!(super::ie::nssai(&hex(bad), 8), None, "{bad}");
    }
    let ten_thousand = FgmmMessage::UlNasTransport(UlNasTransport {
        kind: ContainerType::N1_SM,
        payload: vec![0; 10_000],
        session: None,
        request: None,
        slice: None,
        dnn: None,
    });
    assert!(matches!(ten_thousand.encode(), Err(NasError::TooLong(_))));
}

#[test]
fn what_may_come_without_protection_is_a_short_list() {
    let allowed: Vec<_> =
        samples().iter().filter(|m| m.allowed_unprotected_uplink()).map(|m| m.name()).collect();
    assert!(allowed.iter().all(|n| {
        [
            "RegistrationRequest",
            "DeregistrationRequest (UE originating)",
            "DeregistrationAccept (UE terminated)",
            "ServiceRequest",
            "AuthenticationResponse",
            "AuthenticationFailure",
            "IdentityResponse",
            "SecurityModeReject",
        ]
        .contains(n)
    }));
    assert_eq!(allowed.iter().filter(|n| **n == "IdentityResponse").count(), 1, "only the one with a SUCI");
}
