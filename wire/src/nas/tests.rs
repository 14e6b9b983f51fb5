//! NAS security on a captured registration, whose keys are derived again from the published test key, and
//! against a liar on the air interface.

use super::fgs::{
    AuthenticationChallenge, FgmmMessage, FgsmBody, FgsmMessage, MobileIdentity, NgKsi, PduSessionType,
    RequestedDnn,
};
use super::security::{Direction, HeaderType, NasContext, Nea, Nia, Pdu, SecurityError, open};
use crate::ngap::{self, Message};
use oxirush_security as ox;
use types::{FgmmCause, Key128, Plmn};

const CAPTURED: &str = include_str!("../../../fixtures/ngap/captured.tsv");

fn hex(s: &str) -> Vec<u8> {
    (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect()
}

/// The NAS messages of the captured registration, in order, with their direction.
fn captured() -> Vec<(Direction, Vec<u8>)> {
    let mut list = Vec::new();
    for line in CAPTURED.lines() {
        let up = line.starts_with("up");
        match ngap::decode(&hex(line.split('\t').nth(2).unwrap())).unwrap() {
            Message::InitialUeMessage(m) => list.push((Direction::Uplink, m.nas)),
            Message::UplinkNasTransport(m) => list.push((Direction::Uplink, m.nas)),
            Message::DownlinkNasTransport(m) => list.push((Direction::Downlink, m.nas)),
            Message::InitialContextSetupRequest(m) => list.extend(m.nas.map(|n| (Direction::Downlink, n))),
            Message::PduSessionResourceSetupRequest(m) => {
                list.extend(m.sessions.into_iter().filter_map(|s| s.nas).map(|n| (Direction::Downlink, n)));
            }
            _ => assert!(up || !line.is_empty()),
        }
    }
    list
}

/// KAMF of the capture: the key that UERANSIM and Open5GS publish, the challenge that was sent.
fn kamf() -> ox::nas_5gs::KAmf {
    let k = ox::milenage::K::from_slice(&hex("465b5ce8b199b49faa5f0a2ee238a6bc")).unwrap();
    let opc = ox::milenage::Opc::from_slice(&hex("e8ed289deba952e4283b54e88e6183ca")).unwrap();
    let FgmmMessage::AuthenticationRequest(challenge) = FgmmMessage::decode(&captured()[1].1).unwrap() else {
        panic!()
    };
    assert_eq!((challenge.ngksi, challenge.abba.as_slice()), (NgKsi::Native(0), &[0, 0][..]));
    let AuthenticationChallenge::FgAka { rand, autn } = challenge.challenge else { panic!("another method") };
    let rand = ox::Rand::from_slice(&rand.0).unwrap();
    let autn = ox::Autn::from_slice(&autn.0).unwrap();
    let usim = ox::milenage::Milenage::new(&k, &opc).check_autn(&rand, &autn).unwrap();
    let name = Plmn::new("999", "70").unwrap().serving_network_name();
    let FgmmMessage::AuthenticationResponse(answer) = FgmmMessage::decode(&captured()[2].1).unwrap() else {
        panic!()
    };
    assert!(answer.res_star.unwrap().matches(usim.res_star(name.as_bytes()).unwrap().as_octets()));
    let kausf = ox::nas_5gs::derive_kausf(usim.ck(), usim.ik(), name.as_bytes(), &autn).unwrap();
    let kseaf = ox::nas_5gs::derive_kseaf(&kausf, name.as_bytes()).unwrap();
    let supi: ox::nas_5gs::Supi<'_> = "imsi-999700000000001".parse().unwrap();
    ox::nas_5gs::derive_kamf(&kseaf, &supi, &[0, 0]).unwrap()
}

fn context(nia: Nia, nea: Nea) -> NasContext {
    NasContext::new(Key128::new([0x11; 16]), Key128::new([0x22; 16]), nia, nea)
}

#[test]
fn a_captured_registration_is_verified_from_the_first_to_the_last_message() {
    let kamf = kamf();
    let kint = ox::nas_5gs::derive_knas_int(&kamf, ox::IntegrityAlgorithm::NIA2);
    let mut either =
        NasContext::new(Key128::new(*kint.as_octets()), Key128::new([0; 16]), Nia::Nia2, Nea::Nea0);
    let mut names = Vec::new();
    let mut kgnb_count = None;
    for (direction, octets) in captured() {
        let plain = match open(&octets).unwrap() {
            Pdu::Plain(p) => p.to_vec(),
            Pdu::Protected { .. } => {
                let v = either.unprotect(&octets, direction).unwrap();
                if v.header == HeaderType::CipheredNewContext {
                    kgnb_count = Some(v.count);
                }
                v.plain
            }
        };
        let message = FgmmMessage::decode(&plain).unwrap();
        names.push(message.name());
        assert_eq!(FgmmMessage::decode(&message.encode().unwrap()).unwrap(), message);
    }
    assert_eq!(
        names,
        [
            "RegistrationRequest",
            "AuthenticationRequest",
            "AuthenticationResponse",
            "SecurityModeCommand",
            "SecurityModeComplete",
            "RegistrationAccept",
            "RegistrationComplete",
            "ULNASTransport",
            "ConfigurationUpdateCommand",
            "DLNASTransport",
        ]
    );
    // KgNB in the Initial Context Setup Request is that of the Security Mode Complete's count.
    let count = ox::NasCount::new(kgnb_count.unwrap()).unwrap();
    let kgnb = ox::nas_5gs::derive_kgnb(&kamf, count);
    let setup = CAPTURED.lines().nth(7).unwrap().split('\t').nth(2).unwrap();
    let Message::InitialContextSetupRequest(setup) = ngap::decode(&hex(setup)).unwrap() else { panic!() };
    assert_eq!(setup.key.0.expose(), kgnb.as_octets());
}

#[test]
fn what_the_captured_messages_say() {
    let all = captured();
    let decode = |i: usize| {
        let octets: &[u8] = &all[i].1;
        FgmmMessage::decode(match open(octets).unwrap() {
            Pdu::Plain(p) => p,
            Pdu::Protected { payload, .. } => payload,
        })
        .unwrap()
    };
    let FgmmMessage::RegistrationRequest(first) = decode(0) else { panic!() };
    let MobileIdentity::Suci(suci) = &first.identity else { panic!() };
    assert_eq!(suci.null_scheme_supi().unwrap().to_string(), "imsi-999700000000001");
    let capability = first.security_capability.unwrap();
    assert!([Nia::Nia1, Nia::Nia2, Nia::Nia3].iter().all(|a| capability.has_nia(*a)));

    let FgmmMessage::SecurityModeCommand(smc) = decode(3) else { panic!() };
    assert_eq!((smc.integrity, smc.ciphering, smc.imeisv_requested), (Nia::Nia2, Nea::Nea0, true));
    assert_eq!(smc.replayed_capability, capability);
    let FgmmMessage::SecurityModeComplete(complete) = decode(4) else { panic!() };
    assert_eq!(complete.pei.unwrap().to_string(), "imeisv-4370816125816151");
    let inner = FgmmMessage::decode(&complete.nas_container.unwrap()).unwrap();
    let FgmmMessage::RegistrationRequest(whole) = inner else { panic!() };
    assert_eq!(whole.identity, first.identity);

    let FgmmMessage::RegistrationAccept(accept) = decode(5) else { panic!() };
    assert_eq!(accept.allowed_nssai.len(), 1);
    assert_eq!(accept.tai_list.len(), 1);
    assert_eq!(accept.guti.unwrap().amf.region, 2);

    let FgmmMessage::UlNasTransport(up) = decode(7) else { panic!() };
    assert_eq!(up.dnn, Some(RequestedDnn::Name("internet".parse().unwrap())));
    let request = FgsmMessage::decode(&up.payload).unwrap();
    let FgsmBody::EstablishmentRequest(request) = request.body else { panic!() };
    assert_eq!(request.session_type, Some(PduSessionType::IPV4));
    assert!(request.epco.unwrap().asks(super::fgs::Epco::DNS_IPV4));

    let FgmmMessage::DlNasTransport(down) = decode(9) else { panic!() };
    let accept = FgsmMessage::decode(&down.payload).unwrap();
    let FgsmBody::EstablishmentAccept(accept) = accept.body else { panic!() };
    assert_eq!(accept.address.unwrap().to_string(), "10.45.0.2");
    assert_eq!((accept.rules.len(), accept.rules[0].qfi, accept.flows[0].five_qi), (1, Some(1), Some(9)));
    assert_eq!((accept.ambr.dl_bps, accept.ambr.ul_bps), (1_000_000_000, 1_000_000_000));
    assert_eq!(accept.epco.unwrap().dns().len(), 2);
}

#[test]
fn both_sides_agree_with_every_algorithm() {
    for nia in [Nia::Nia1, Nia::Nia2, Nia::Nia3] {
        for nea in [Nea::Nea0, Nea::Nea1, Nea::Nea2, Nea::Nea3] {
            let (mut ue, mut amf) = (context(nia, nea), context(nia, nea));
            for n in 0..600u32 {
                let plain = FgmmMessage::FgmmStatus(FgmmCause((n % 200) as u8)).encode().unwrap();
                let header = if n % 2 == 0 { HeaderType::Ciphered } else { HeaderType::Integrity };
                let sent = ue.protect(&plain, header, Direction::Uplink).unwrap();
                let got = amf.unprotect(&sent, Direction::Uplink).unwrap();
                assert_eq!((got.plain, got.header, got.count), (plain, header, n));
            }
        }
    }
}

#[test]
fn ciphering_hides_and_integrity_does_not() {
    let plain = FgmmMessage::RegistrationComplete.encode().unwrap();
    let mut c = context(Nia::Nia2, Nea::Nea2);
    let hidden = c.protect(&plain, HeaderType::Ciphered, Direction::Downlink).unwrap();
    let shown = c.protect(&plain, HeaderType::Integrity, Direction::Downlink).unwrap();
    assert_ne!(&hidden[7..], plain.as_slice());
    assert_eq!(&shown[7..], plain.as_slice());
    assert!(!format!("{c:?}").contains("17"), "no key octet in Debug: {c:?}");
}

#[test]
fn a_replay_a_flipped_bit_and_the_other_direction_are_refused() {
    let (mut ue, mut amf) = (context(Nia::Nia2, Nea::Nea2), context(Nia::Nia2, Nea::Nea2));
    let plain = FgmmMessage::RegistrationComplete.encode().unwrap();
    let first = ue.protect(&plain, HeaderType::Ciphered, Direction::Uplink).unwrap();
    let second = ue.protect(&plain, HeaderType::Ciphered, Direction::Uplink).unwrap();
    let third = ue.protect(&plain, HeaderType::Ciphered, Direction::Uplink).unwrap();
    // The radio lost the second message.
    amf.unprotect(&first, Direction::Uplink).unwrap();
    assert_eq!(amf.unprotect(&third, Direction::Uplink).unwrap().count, 2);
    for replay in [&first, &second, &third] {
        assert_eq!(amf.unprotect(replay, Direction::Uplink), Err(SecurityError::WrongMac));
    }
    let fourth = ue.protect(&plain, HeaderType::Ciphered, Direction::Uplink).unwrap();
    for at in 1..fourth.len() {
        for bit in 0..8 {
            let mut forged = fourth.clone();
            forged[at] ^= 1 << bit;
            // The header type is not under the code (TS 24.501 §4.4.3.3): "ciphered" and "ciphered with new
            // context" verify alike. The caller judges which type it may be.
            if at == 1 {
                let _ = amf.clone().unprotect(&forged, Direction::Uplink);
                continue;
            }
            assert!(amf.unprotect(&forged, Direction::Uplink).is_err(), "octet {at} bit {bit}");
        }
    }
    assert!(amf.unprotect(&fourth, Direction::Downlink).is_err(), "reflected");
    assert_eq!(amf.next_count(Direction::Uplink), 3, "nothing of this moved the count");
    amf.unprotect(&fourth, Direction::Uplink).unwrap();
}

#[test]
fn the_sequence_number_wraps_and_the_count_does_not() {
    let new = || context(Nia::Nia2, Nea::Nea2).with_counts(250, 0);
    let (mut ue, mut amf) = (new(), new());
    let plain = FgmmMessage::RegistrationComplete.encode().unwrap();
    for n in 250..530u32 {
        let sent = ue.protect(&plain, HeaderType::Ciphered, Direction::Uplink).unwrap();
        // Every third message is lost.
        if n % 3 != 0 {
            assert_eq!(amf.unprotect(&sent, Direction::Uplink).unwrap().count, n);
        }
    }
}

#[test]
fn a_count_is_never_used_twice() {
    let last = (1 << 24) - 1;
    let mut ue = context(Nia::Nia2, Nea::Nea2).with_counts(last, last);
    let mut amf = ue.clone();
    let plain = FgmmMessage::RegistrationComplete.encode().unwrap();
    let sent = ue.protect(&plain, HeaderType::Ciphered, Direction::Uplink).unwrap();
    assert_eq!(
        ue.protect(&plain, HeaderType::Ciphered, Direction::Uplink),
        Err(SecurityError::CountExhausted)
    );
    assert_eq!(amf.unprotect(&sent, Direction::Uplink).unwrap().count, last);
    assert_eq!(amf.unprotect(&sent, Direction::Uplink), Err(SecurityError::CountExhausted));
    assert_eq!(amf.next_count(Direction::Uplink), 1 << 24);
}

/// R27, R45: a protected message of every short length, with and without a context that would accept it.
#[test]
fn r27_r45_short_messages() {
    let mut c = context(Nia::Nia2, Nea::Nea2);
    for header in 0..=15u8 {
        for n in 0..10usize {
            let mut octets = vec![0x7e, header, 1, 2, 3, 4, 0, 0x7e, 0, 0x43];
            octets.truncate(n);
            let opened = open(&octets);
            if n < 2 || (header != 0 && header < 5 && n < 8) {
                assert_eq!(opened, Err(SecurityError::TooShort), "type {header}, {n} octets");
            }
            assert!(c.unprotect(&octets, Direction::Uplink).is_err());
            let _ = FgmmMessage::decode(&octets);
        }
    }
    assert_eq!(open(&[0x07, 0x41]), Err(SecurityError::UnknownDiscriminator(7)));
    assert_eq!(open(&vec![0x7e; super::MAX_NAS + 1]), Err(SecurityError::TooLong(super::MAX_NAS + 1)));
    assert!(c.protect(&vec![0; super::MAX_NAS], HeaderType::Integrity, Direction::Uplink).is_err());
    assert!(c.protect(&[], HeaderType::Integrity, Direction::Uplink).is_err());
    assert_eq!(c.next_count(Direction::Uplink), 0);
}

#[test]
fn the_container_of_an_initial_message_is_ciphered_with_its_count() {
    let (ue, amf) = (context(Nia::Nia2, Nea::Nea2), context(Nia::Nia2, Nea::Nea2));
    let mut value = b"the whole message".to_vec();
    ue.cipher_container(7, Direction::Uplink, &mut value);
    assert_ne!(value, b"the whole message");
    amf.cipher_container(7, Direction::Uplink, &mut value);
    assert_eq!(value, b"the whole message");
}

#[test]
fn algorithms_have_names_and_numbers() {
    for code in 0..4 {
        let (nia, nea) = (Nia::from_code(code).unwrap(), Nea::from_code(code).unwrap());
        assert_eq!((nia.code(), nea.code()), (code, code));
        assert_eq!((nia.to_string().parse(), nea.to_string().parse()), (Ok(nia), Ok(nea)));
    }
    assert!(Nia::from_code(4).is_none() && "nea4".parse::<Nea>().is_err());
}
