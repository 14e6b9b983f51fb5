//! 5GS NAS: round trips, an independent encoder, and bad input.

use super::*;
use crate::nas::security::{Nea, Nia};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use types::{
    AmfId, Autn, Auts, FgGuti, FgTmsi, FgmmCause, FgsmCause, PduSessionId, Pei, Plmn, Rand, Res, Snssai,
    Suci, SuciScheme, Tac, Tai,
};

const PYCRATE: &str = include_str!("../../../../fixtures/nas/pycrate.tsv");

fn hex(s: &str) -> Vec<u8> {
    (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect()
}

fn plmn() -> Plmn {
    Plmn::new("001", "01").unwrap()
}

fn id(v: u8) -> PduSessionId {
    PduSessionId::try_from(v).unwrap()
}

fn tai(p: Plmn, t: u32) -> Tai {
    Tai { plmn: p, tac: Tac::try_from(t).unwrap() }
}

fn guti() -> FgGuti {
    FgGuti { plmn: plmn(), amf: AmfId { region: 0xca, set: 1023, pointer: 63 }, tmsi: FgTmsi(0xdead_beef) }
}

fn suci(msin: &str) -> MobileIdentity {
    MobileIdentity::Suci(Suci {
        home: plmn(),
        routing_indicator: "0".into(),
        scheme: SuciScheme::Null,
        key_id: 0,
        output: msin.into(),
    })
}

fn set(ids: &[u8]) -> SessionSet {
    ids.iter().map(|i| id(*i)).collect()
}

fn registration(identity: MobileIdentity) -> RegistrationRequest {
    RegistrationRequest {
        kind: RegistrationType::Initial,
        follow_on: true,
        ngksi: NgKsi::NoKey,
        identity,
        capability: Some(vec![3]),
        security_capability: Some(UeSecurityCapability::of(&[Nea::Nea0, Nea::Nea2], &[Nia::Nia2])),
        requested_nssai: vec![Snssai { sst: 1, sd: None }, Snssai { sst: 2, sd: Some([0, 0, 9]) }],
        last_tai: Some(tai(plmn(), 7)),
        uplink_data_status: Some(set(&[1])),
        pdu_session_status: Some(set(&[1, 15])),
        nas_container: Some(vec![0x7e, 0, 0x41]),
    }
}

fn samples() -> Vec<FgmmMessage> {
    use FgmmMessage as M;
    let snssai = Snssai { sst: 1, sd: Some([0, 0, 1]) };
    let other = Plmn::new("310", "410").unwrap();
    vec![
        M::RegistrationRequest(registration(suci("0000000001"))),
        M::RegistrationRequest(RegistrationRequest {
            kind: RegistrationType::PeriodicUpdating,
            follow_on: false,
            ngksi: NgKsi::Native(3),
            capability: None,
            security_capability: None,
            requested_nssai: vec![],
            last_tai: None,
            uplink_data_status: None,
            pdu_session_status: None,
            nas_container: None,
            ..registration(MobileIdentity::Guti(guti()))
        }),
        M::RegistrationAccept(RegistrationAccept {
            guti: Some(guti()),
            tai_list: vec![tai(plmn(), 1), tai(plmn(), 0xff_ffff), tai(other, 5)],
            allowed_nssai: vec![snssai],
            rejected_nssai: vec![RejectedSnssai { slice: snssai, cause: 1 }],
            configured_nssai: vec![snssai; 16],
            features: Some(vec![1, 0]),
            pdu_session_status: Some(set(&[5])),
            reactivation_result: Some(SessionSet::default()),
            t3512: Some(Timer::Seconds(3_600)),
            t3502: Some(Timer::Deactivated),
        }),
        M::RegistrationAccept(RegistrationAccept::default()),
        M::RegistrationComplete,
        M::RegistrationReject(RegistrationReject {
            cause: FgmmCause::Congestion,
            t3346: Some(Timer::Seconds(600)),
            t3502: None,
            eap: Some(EapMessage(vec![4, 7, 0, 4])),
        }),
        M::DeregistrationRequestUeOriginating(DeregistrationRequestUeOriginating {
            switch_off: true,
            access: 1,
            ngksi: NgKsi::Native(6),
            identity: MobileIdentity::Guti(guti()),
        }),
        M::DeregistrationAcceptUeOriginating,
        M::DeregistrationRequestUeTerminated(DeregistrationRequestUeTerminated {
            reregister: true,
            access: 1,
            cause: Some(FgmmCause::IllegalUe),
            t3346: Some(Timer::Seconds(60)),
        }),
        M::DeregistrationAcceptUeTerminated,
        M::ServiceRequest(ServiceRequest {
            ngksi: NgKsi::Native(0),
            service_type: ServiceType::DATA,
            s_tmsi: STmsi { set: 1, pointer: 2, tmsi: FgTmsi(3) },
            uplink_data_status: Some(set(&[1])),
            pdu_session_status: Some(set(&[1, 2])),
            nas_container: Some(vec![9; 300]),
        }),
        M::ServiceAccept(ServiceAccept {
            pdu_session_status: Some(set(&[1])),
            reactivation_result: Some(set(&[2])),
        }),
        M::ServiceReject(ServiceReject {
            cause: FgmmCause::UeIdentityCannotBeDerived,
            pdu_session_status: Some(set(&[])),
            t3346: Some(Timer::Seconds(2)),
        }),
        M::ConfigurationUpdateCommand(ConfigurationUpdateCommand {
            acknowledge: true,
            registration_requested: true,
            guti: Some(guti()),
            tai_list: vec![tai(plmn(), 2)],
            allowed_nssai: vec![snssai],
            configured_nssai: vec![snssai],
            full_name: Some("Sekisho Works".into()),
            short_name: Some("関所".into()),
            time: Some(NetworkTime { utc: [26, 11, 23, 0, 59, 8], quarters: -13 }),
            daylight_saving: Some(1),
        }),
        M::ConfigurationUpdateComplete,
        M::AuthenticationRequest(AuthenticationRequest {
            ngksi: NgKsi::Native(1),
            abba: vec![0, 0],
            challenge: AuthenticationChallenge::FgAka { rand: Rand([1; 16]), autn: Autn([2; 16]) },
        }),
        M::AuthenticationRequest(AuthenticationRequest {
            ngksi: NgKsi::Native(2),
            abba: vec![0, 0],
            challenge: AuthenticationChallenge::Eap(EapMessage(vec![1, 7, 0, 8, 50, 1, 0, 0])),
        }),
        M::AuthenticationResponse(AuthenticationResponse {
            res_star: None,
            eap: Some(EapMessage(vec![2, 7, 0, 8, 50, 2, 0, 0])),
        }),
        M::AuthenticationReject(Some(EapMessage(vec![4, 7, 0, 4]))),
        M::AuthenticationResult(AuthenticationResult {
            ngksi: NgKsi::Native(2),
            eap: EapMessage(vec![3, 7, 0, 4]),
            abba: Some(vec![0, 0]),
        }),
        M::AuthenticationResponse(AuthenticationResponse::of(Some(Res(vec![3; 16])))),
        M::AuthenticationResponse(AuthenticationResponse::of(None)),
        M::AuthenticationReject(None),
        M::AuthenticationFailure(AuthenticationFailure {
            cause: FgmmCause::SynchFailure,
            auts: Some(Auts([4; 14])),
        }),
        M::AuthenticationFailure(AuthenticationFailure { cause: FgmmCause::MacFailure, auts: None }),
        M::IdentityRequest(IdentityType::Imeisv),
        M::IdentityResponse(suci("123456789")),
        M::IdentityResponse(MobileIdentity::Imei("490154203237518".parse().unwrap())),
        M::IdentityResponse(MobileIdentity::Imeisv("4370816125816151".parse().unwrap())),
        M::IdentityResponse(MobileIdentity::STmsi(STmsi { set: 0, pointer: 0, tmsi: FgTmsi(1) })),
        M::SecurityModeCommand(SecurityModeCommand {
            integrity: Nia::Nia2,
            ciphering: Nea::Nea1,
            ngksi: NgKsi::Native(0),
            replayed_capability: UeSecurityCapability::new(&[0xf0, 0xf0, 0, 0]).unwrap(),
            imeisv_requested: true,
            retransmit_initial: true,
            abba: Some(vec![0, 0]),
            eap: Some(EapMessage(vec![3, 7, 0, 4])),
        }),
        M::SecurityModeComplete(SecurityModeComplete {
            pei: Some(Pei::Imeisv("4370816125816151".parse().unwrap())),
            nas_container: Some(vec![0x7e, 0, 0x41, 0x79]),
        }),
        M::SecurityModeComplete(SecurityModeComplete {
            pei: Some(Pei::Imei("490154203237518".parse().unwrap())),
            nas_container: None,
        }),
        M::SecurityModeReject(FgmmCause::UeSecurityCapabilitiesMismatch),
        M::UlNasTransport(UlNasTransport {
            kind: ContainerType::N1_SM,
            payload: vec![0x2e, 1, 1, 0xc1, 0xff, 0xff],
            session: Some(id(1)),
            request: Some(RequestType::INITIAL),
            slice: Some(snssai),
            dnn: Some(RequestedDnn::Name("factory.example".parse().unwrap())),
        }),
        M::UlNasTransport(UlNasTransport {
            kind: ContainerType::SMS,
            payload: vec![1],
            session: None,
            request: None,
            slice: None,
            dnn: Some(RequestedDnn::Unknown(b"\x03a b".to_vec())),
        }),
        M::DlNasTransport(DlNasTransport {
            kind: ContainerType::N1_SM,
            payload: vec![0; 500],
            session: Some(id(15)),
            cause: Some(FgmmCause::PayloadNotForwarded),
            backoff: Some(Timer::Seconds(36_000)),
        }),
        M::FgmmStatus(FgmmCause::MessageTypeNonExistent),
    ]
}

fn accept() -> EstablishmentAccept {
    EstablishmentAccept {
        session_type: PduSessionType::IPV4,
        ssc_mode: 1,
        rules: vec![QosRule::match_all(1, 255, 1)],
        ambr: SessionAmbr { dl_bps: 100_000_000, ul_bps: 50_000_000 },
        cause: Some(FgsmCause::PduSessionTypeIpv4OnlyAllowed),
        address: Some(Ipv4Addr::new(10, 20, 3, 4)),
        interface: None,
        slice: Some(Snssai { sst: 1, sd: None }),
        flows: vec![QosFlow::create(1, 9)],
        epco: Epco::answer(&Epco::ordinary_request(), &[IpAddr::from([10, 20, 0, 1])], 1_400),
        dnn: Some("corp".parse().unwrap()),
    }
}

fn session_samples() -> Vec<FgsmMessage> {
    let request = EstablishmentRequest {
        max_integrity_rate: [0xff, 0xff],
        session_type: Some(PduSessionType::IPV4V6),
        ssc_mode: Some(1),
        epco: Some(Epco::ordinary_request()),
    };
    let cause = FgsmCause::RegularDeactivation;
    [
        FgsmBody::EstablishmentRequest(request),
        FgsmBody::EstablishmentAccept(accept()),
        FgsmBody::EstablishmentAccept(EstablishmentAccept {
            interface: Some([0, 0, 0, 0, 0, 0, 0, 2]),
            ..accept()
        }),
        FgsmBody::EstablishmentAccept(EstablishmentAccept {
            address: None,
            interface: Some([1, 2, 3, 4, 5, 6, 7, 8]),
            ..accept()
        }),
        FgsmBody::EstablishmentReject(EstablishmentReject {
            cause: FgsmCause::MissingOrUnknownDnn,
            backoff: Some(Timer::Seconds(60)),
        }),
        FgsmBody::ModificationRequest(ModificationRequest::default()),
        FgsmBody::ModificationRequest(ModificationRequest {
            cause: Some(cause),
            rules: vec![QosRule::match_all(2, 7, 3)],
            flows: vec![QosFlow::create(3, 7)],
            epco: Some(Epco::ordinary_request()),
        }),
        FgsmBody::ModificationCommand(ModificationCommand::default()),
        FgsmBody::ModificationCommand(ModificationCommand {
            ambr: Some(SessionAmbr { dl_bps: 64_000, ul_bps: 32_000 }),
            epco: Some(Epco::ordinary_request()),
        }),
        FgsmBody::ModificationComplete,
        FgsmBody::ModificationCommandReject(FgsmCause::InvalidPduSessionIdentity),
        FgsmBody::ModificationReject(FgsmCause::ServiceOptionNotSupported),
        FgsmBody::ReleaseRequest { cause: Some(cause) },
        FgsmBody::ReleaseReject(FgsmCause::PtiAlreadyInUse),
        FgsmBody::ReleaseCommand { cause, backoff: None },
        FgsmBody::ReleaseComplete { cause: None },
        FgsmBody::Status(FgsmCause::InvalidPduSessionIdentity),
    ]
    .map(|body| FgsmMessage { session: id(5), pti: 17, body })
    .into()
}

#[test]
fn each_message_survives_the_round_trip() {
    for m in samples() {
        let octets = m.encode().unwrap();
        assert_eq!(FgmmMessage::decode(&octets).unwrap(), m, "{octets:02x?}");
    }
    for m in session_samples() {
        let octets = m.encode().unwrap();
        assert_eq!(FgsmMessage::decode(&octets).unwrap(), m, "{octets:02x?}");
    }
}

#[test]
fn an_independent_encoder_writes_the_same() {
    use FgmmMessage as M;
    let ours = [
        M::RegistrationReject(RegistrationReject::new(FgmmCause::Congestion)),
        M::AuthenticationReject(None),
        M::ConfigurationUpdateCommand(ConfigurationUpdateCommand::default()),
    ];
    for (line, m) in PYCRATE.lines().zip(ours) {
        let theirs = hex(line.split('\t').nth(1).unwrap());
        assert_eq!(m.encode().unwrap(), theirs);
        assert_eq!(FgmmMessage::decode(&theirs).unwrap(), m);
    }
    // A Registration Request of the same encoder, SUCI of the null scheme with MSIN 0000000001.
    let theirs = hex("7e004179000d0100f1100000000000000010022e08a020000000000000");
    let M::RegistrationRequest(m) = M::decode(&theirs).unwrap() else { panic!() };
    let MobileIdentity::Suci(s) = &m.identity else { panic!() };
    assert_eq!(s.null_scheme_supi().unwrap().to_string(), "imsi-001010000000120");
    assert_eq!(M::RegistrationRequest(m).encode().unwrap(), theirs);
}

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

#[test]
fn every_identity_has_one_form() {
    let long = Suci {
        home: Plmn::new("310", "410").unwrap(),
        routing_indicator: "1234".into(),
        scheme: SuciScheme::ProfileA,
        key_id: 27,
        output: vec![9; 45],
    };
    for i in [
        suci("1"),
        suci("12"),
        suci("123456789"),
        suci("1234567890"),
        MobileIdentity::Suci(long.clone()),
        MobileIdentity::Suci(Suci { scheme: SuciScheme::ProfileB, output: vec![9; 46], ..long }),
        MobileIdentity::Guti(guti()),
        MobileIdentity::None,
    ] {
        let octets = i.to_octets().unwrap();
        assert_eq!(MobileIdentity::from_octets(&octets), Some(i));
    }
    for wrong in [suci(""), suci("12345678901"), suci("12x")] {
        assert!(wrong.to_octets().is_err());
    }
    let bad = FgGuti { amf: AmfId { region: 0, set: 1024, pointer: 0 }, ..guti() };
    assert!(MobileIdentity::Guti(bad).to_octets().is_err());
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

#[test]
fn options_are_answered_as_asked() {
    let dns = ["10.0.0.53", "10.0.1.53", "2001:db8::53"].map(|a| a.parse::<IpAddr>().unwrap());
    let answer = Epco::answer(&Epco::ordinary_request(), &dns, 1_400).unwrap();
    assert_eq!((answer.dns(), answer.mtu()), (dns.to_vec(), Some(1_400)));
    let only_v6 = Epco { containers: vec![EpcoContainer { id: Epco::DNS_IPV6, content: vec![] }] };
    assert_eq!(Epco::answer(&only_v6, &dns, 1_400).unwrap().dns(), [dns[2]]);
    assert_eq!(Epco::answer(&Epco::default(), &dns, 1_400), None);
    let only_mtu = Epco { containers: vec![EpcoContainer { id: Epco::IPV4_LINK_MTU, content: vec![] }] };
    let answer = Epco::answer(&only_mtu, &dns, 1_300).unwrap();
    assert_eq!((answer.dns(), answer.mtu()), (vec![], Some(1_300)));
    // The old way, IPCP Configure-Request for both servers: answered by Configure-Nak.
    let ipcp =
        |content: &str| Epco { containers: vec![EpcoContainer { id: Epco::IPCP, content: hex(content) }] };
    let asked = ipcp("01070010810600000000830600000000");
    let nak = Epco::answer(&asked, &dns, 1_400).unwrap();
    assert_eq!(nak.containers[0].content, hex("0307001081060a00003583060a000135"));
    for odd in
        ["", "01", "010700", "01070003", "0107ffff81", "010700068100", "01070010810600000000830600000001ff"]
    {
        let _ = Epco::answer(&ipcp(odd), &dns, 1_400);
    }
    assert_eq!(Epco::answer(&ipcp("02070010810600000000830600000000"), &dns, 1_400), None);
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
fn timers_round_up_to_what_the_wire_has() {
    let t2 = |s| Timer::from_timer_2(Timer::Seconds(s).to_timer_2());
    let t3 = |s| Timer::from_timer_3(Timer::Seconds(s).to_timer_3());
    for s in 0..40_000 {
        let (Timer::Seconds(a), Timer::Seconds(b)) = (t2(s), t3(s)) else { panic!() };
        assert!(a >= s.min(31 * 360) && b >= s, "{s}: {a}, {b}");
    }
    assert_eq!(
        (t2(60), t2(61), t2(600), t2(3_600)),
        (Timer::Seconds(60), Timer::Seconds(62), Timer::Seconds(600), Timer::Seconds(3_600))
    );
    assert_eq!(
        (t3(3_240), t3(7_200), t3(4_000_000)),
        (Timer::Seconds(3_600), Timer::Seconds(7_200), Timer::Seconds(4_608_000))
    );
    assert_eq!(Timer::from_timer_2(Timer::Deactivated.to_timer_2()), Timer::Deactivated);
    assert_eq!(Timer::from_timer_3(0xff), Timer::Deactivated);
}

#[test]
fn the_gnb_is_told_the_algorithms_shifted_by_one() {
    let c = UeSecurityCapability::of(&[Nea::Nea0, Nea::Nea1, Nea::Nea2], &[Nia::Nia0, Nia::Nia2, Nia::Nia3]);
    assert_eq!(c.octets(), [0xe0, 0xb0]);
    let n = c.for_ngap();
    assert_eq!((n.nea, n.nia, n.eea, n.eia), (0xc000, 0x6000, 0, 0));
    assert!(c.has_nea(Nea::Nea0) && !c.has_nea(Nea::Nea3) && c.has_nia(Nia::Nia3) && !c.has_nia(Nia::Nia1));
    assert!(UeSecurityCapability::new(&[0xf0]).is_none() && UeSecurityCapability::new(&[0; 9]).is_none());
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_suci_of_the_null_scheme(msin in "[0-9]{1,10}", routing in "[0-9]{1,4}", mcc in "[0-9]{3}", mnc in "[0-9]{2,3}") {
        let too_long = mcc.len() + mnc.len() + msin.len() > 15;
        let i = MobileIdentity::Suci(Suci {
            home: Plmn::new(&mcc, &mnc).unwrap(),
            routing_indicator: routing,
            scheme: SuciScheme::Null,
            key_id: 0,
            output: msin.into_bytes(),
        });
        let m = FgmmMessage::IdentityResponse(i);
        match m.encode() {
            Ok(octets) => prop_assert_eq!(FgmmMessage::decode(&octets).unwrap(), m),
            // An IMSI has 15 digits at most.
            Err(_) => prop_assert!(too_long),
        }
    }

    #[test]
    fn any_bit_rate_is_at_least_what_was_meant(dl in 0u64..4_000_000_000_000, ul in 0u64..4_000_000_000_000) {
        let wire = SessionAmbr { dl_bps: dl, ul_bps: ul }.to_octets();
        let back = SessionAmbr::from_octets(&wire).unwrap();
        prop_assert!(back.dl_bps >= dl && back.ul_bps >= ul);
        prop_assert!(back.dl_bps <= dl + dl / 10_000 + 1_000);
        prop_assert_eq!(back.to_octets(), SessionAmbr::from_octets(&back.to_octets()).unwrap().to_octets());
    }

    #[test]
    fn any_slices_and_areas(
        slices in proptest::collection::vec((any::<u8>(), proptest::option::of([0u8..255, 0..255, 0..255])), 0..=8),
        tacs in proptest::collection::vec(0u32..=0xff_ffff, 0..=16),
    ) {
        let m = FgmmMessage::RegistrationAccept(RegistrationAccept {
            allowed_nssai: slices.into_iter().map(|(sst, sd)| Snssai { sst, sd }).collect(),
            tai_list: tacs.into_iter().map(|t| tai(plmn(), t)).collect(),
            ..RegistrationAccept::default()
        });
        prop_assert_eq!(FgmmMessage::decode(&m.encode().unwrap()).unwrap(), m);
    }

    #[test]
    fn octets_of_no_meaning(mut octets in proptest::collection::vec(any::<u8>(), 0..200), t in any::<u8>()) {
        let _ = FgmmMessage::decode(&octets);
        let _ = FgsmMessage::decode(&octets);
        // And with a header that is right.
        octets.splice(0..0, [0x7e, 0, t]);
        let _ = FgmmMessage::decode(&octets);
        octets.splice(0..2, [0x2e, 1, 1]);
        let _ = FgsmMessage::decode(&octets);
        let _ = Epco::from_octets(&octets);
        let _ = super::qos::rules(&octets);
        let _ = super::qos::flows(&octets);
        let _ = super::ie::tai_list(&octets);
        let _ = MobileIdentity::from_octets(&octets);
    }
}

/// TS 23.040 §9.2.3.11 and TS 24.008 §10.5.3.9: digits with the nibbles swapped, the zone's sign in bit 4 of the first digit.
#[test]
fn the_time_is_told_in_the_digits_of_short_messages() {
    let told = |time| {
        let m = ConfigurationUpdateCommand { time: Some(time), ..Default::default() };
        FgmmMessage::ConfigurationUpdateCommand(m).encode()
    };
    let tokyo = NetworkTime { utc: [26, 11, 23, 4, 5, 59], quarters: 36 };
    assert_eq!(told(tokyo).unwrap()[3..], [0x47, 0x62, 0x11, 0x32, 0x40, 0x50, 0x95, 0x63]);
    let new_york = NetworkTime { utc: [99, 1, 31, 23, 0, 0], quarters: -20 };
    assert_eq!(told(new_york).unwrap()[3..], [0x47, 0x99, 0x10, 0x13, 0x32, 0, 0, 0x0a]);
    for wrong in [[26, 0, 1, 0, 0, 0], [26, 13, 1, 0, 0, 0], [26, 1, 1, 24, 0, 0], [100, 1, 1, 0, 0, 0]] {
        assert!(told(NetworkTime { utc: wrong, quarters: 0 }).is_err(), "{wrong:?}");
    }
    assert!(told(NetworkTime { quarters: 80, ..tokyo }).is_err());
    // What is no time is passed over, as if it were not there.
    let mut octets = told(tokyo).unwrap();
    octets[5] = 0xff;
    let Ok(FgmmMessage::ConfigurationUpdateCommand(m)) = FgmmMessage::decode(&octets) else { panic!() };
    assert_eq!(m.time, None);
}
