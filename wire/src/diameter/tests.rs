//! Captured messages, round trips, and messages that lie.

use super::{dictionary, *};
use crate::pfcp::tests::unhex;
use proptest::prelude::*;

/// One EPC attach: MME and SMF (freeDiameter) with an outside HSS and PCRF.
fn captured() -> Vec<Vec<u8>> {
    let text = include_str!("../../../fixtures/diameter/captured.hex");
    text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(unhex).collect()
}

fn set_length(m: &mut [u8]) {
    let n = (m.len() as u32).to_be_bytes();
    m[1..4].copy_from_slice(&n[1..]);
}

/// The captured request of this command.
fn request(command: u32) -> Vec<u8> {
    let is = |m: &Vec<u8>| header(m).is_ok_and(|h| h.request && h.command == command);
    captured().into_iter().find(is).unwrap()
}

fn avp(code: u32, vendor: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut out = code.to_be_bytes().to_vec();
    let head = if vendor == 0 { 8 } else { 12 };
    out.extend_from_slice(&(((flags as u32) << 24) | (head + data.len()) as u32).to_be_bytes());
    if vendor != 0 {
        out.extend_from_slice(&vendor.to_be_bytes());
    }
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// The AVPs of a message or group, each whole.
fn avps_of(body: &[u8]) -> Vec<Vec<u8>> {
    let (mut all, mut rest) = (Vec::new(), body);
    while rest.len() >= 8 {
        let n = u32::from_be_bytes([0, rest[5], rest[6], rest[7]]) as usize;
        let (one, tail) = rest.split_at(n.next_multiple_of(4));
        all.push(one.to_vec());
        rest = tail;
    }
    all
}

fn with(message: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let mut m = message.to_vec();
    more.iter().for_each(|a| m.extend_from_slice(a));
    set_length(&mut m);
    m
}

fn put_together(head: &[u8], avps: &[Vec<u8>]) -> Vec<u8> {
    with(&head[..HEADER], avps)
}

fn host() -> Identity {
    Identity::new("hss.example").unwrap()
}

fn realm() -> Identity {
    Identity::new("example").unwrap()
}

#[test]
fn captured_messages_survive_reading_and_writing() {
    let all = captured();
    assert_eq!(all.len(), 15);
    for m in all {
        assert_eq!(length(*m.first_chunk().unwrap()).unwrap(), m.len());
        let pdu = Pdu::parse(&m).unwrap();
        assert!(!matches!(pdu.message, Message::OtherAnswer { .. }), "{pdu:?}");
        let again = pdu.encode();
        assert_eq!(Pdu::parse(&again).unwrap(), pdu);
        assert_eq!(header(&again).unwrap(), header(&m).unwrap());
    }
}

#[test]
fn an_attach_says_what_it_said() {
    let all: Vec<Message> = captured().iter().map(|m| Pdu::parse(m).unwrap().message).collect();
    let Message::CapabilitiesExchangeRequest(cer) = &all[2] else { panic!("{:?}", all[2]) };
    assert_eq!(cer.origin_host.as_str(), "mme.localdomain");
    assert!(cer.applications().contains(&application::S6A), "{cer:?}");
    let Message::AuthenticationInformationRequest(air) = &all[4] else { panic!("{:?}", all[4]) };
    assert_eq!(air.visited_plmn, [0x99, 0xf9, 0x07]);
    assert_eq!(air.eutran.as_ref().unwrap().number, Some(1));
    assert!(air.user_name.starts_with("99970"), "{air:?}");
    let Message::AuthenticationInformationAnswer(aia) = &all[5] else { panic!("{:?}", all[5]) };
    assert!(aia.is_success());
    assert_eq!(aia.vectors.as_ref().unwrap().eutran.len(), 1);
    let Message::UpdateLocationRequest(ulr) = &all[6] else { panic!("{:?}", all[6]) };
    assert_eq!((ulr.rat_type, ulr.flags), (1004, ulr::S6A | ulr::INITIAL_ATTACH));
    assert_eq!(ulr.terminal.as_ref().unwrap().imei.as_ref().unwrap().len(), 14);
    let Message::UpdateLocationAnswer(ula) = &all[7] else { panic!("{:?}", all[7]) };
    let apns = &ula.subscription.as_ref().unwrap().profile.as_ref().unwrap().apns;
    assert!(apns.iter().any(|a| a.name == "internet"), "{apns:?}");
    let Message::CreditControlRequest(ccr) = &all[8] else { panic!("{:?}", all[8]) };
    assert_eq!((ccr.kind, ccr.number, ccr.ip_can), (RequestType::Initial, 0, Some(IP_CAN_EPS)));
    assert!(ccr.subscriptions.iter().any(|s| s.kind == SubscriptionKind::Imsi && s.data == air.user_name));
    let Message::CreditControlRequest(end) = &all[10] else { panic!("{:?}", all[10]) };
    assert_eq!((end.kind, end.session_id == ccr.session_id), (RequestType::Termination, true));
    let Message::DisconnectPeerRequest(dpr) = &all[12] else { panic!("{:?}", all[12]) };
    assert_eq!(dpr.cause, Disconnect::Rebooting);
}

#[test]
fn each_mandatory_avp_is_missed_by_its_name_and_with_an_example() {
    for (command, mandatory) in [
        (257, &[264, 296, 266, 269][..]),
        (318, &[263, 277, 264, 296, 283, 1, 1407]),
        (316, &[263, 277, 264, 296, 283, 1, 1032, 1405, 1407]),
        (272, &[263, 258, 264, 296, 283, 416, 415]),
        (282, &[264, 296, 273]),
    ] {
        let m = request(command);
        let all = avps_of(&m[HEADER..]);
        for code in mandatory {
            let rest: Vec<_> = all.iter().filter(|a| a[..4] != u32::to_be_bytes(*code)).cloned().collect();
            assert_eq!(rest.len() + 1, all.len(), "{code} stands once in {command}");
            let e = Pdu::parse(&put_together(&m, &rest)).unwrap_err();
            assert_eq!((e.result, e.avp.unwrap().0), (result::MISSING_AVP, *code), "{e}");
            let answer = Pdu::parse(&e.answer(&host(), &realm()).unwrap());
            let text = format!("{answer:?}");
            // What such an answer lacks of the command's own AVPs it may lack.
            assert!(answer.is_ok(), "{command} without {code}: {text}");
            assert!(text.contains(&format!("Raw {{ code: {code},")), "{text}");
            // Twice is once too often.
            let one = all.iter().find(|a| a[..4] == u32::to_be_bytes(*code)).unwrap().clone();
            let e = Pdu::parse(&with(&m, &[one])).unwrap_err();
            assert_eq!((e.result, e.avp.unwrap().0), (result::AVP_OCCURS_TOO_MANY_TIMES, *code));
        }
    }
}

#[test]
fn each_length_of_each_avp_that_is_a_lie_is_refused_or_read() {
    for m in captured() {
        let ok = Pdu::parse(&m).unwrap();
        let mut at = HEADER;
        for one in avps_of(&m[HEADER..]) {
            for lie in [0, 1, 7, 8, 11, 12, one.len() + 1, one.len() + 4, 0xffff, 0xff_ffff] {
                let mut bad = m.clone();
                bad[at + 5..at + 8].copy_from_slice(&(lie as u32).to_be_bytes()[1..]);
                match Pdu::parse(&bad) {
                    Ok(read) => assert_eq!(read.header(), ok.header()),
                    Err(e) => assert!(
                        (3000..6000).contains(&e.result) && e.offset <= m.len() && e.header.is_some(),
                        "{e:?}"
                    ),
                }
            }
            at += one.len();
        }
    }
}

#[test]
fn fixed_lengths_are_held() {
    let m = request(318);
    let all = avps_of(&m[HEADER..]);
    let others = |code: u32| all.iter().filter(|a| a[..4] != code.to_be_bytes()).cloned().collect::<Vec<_>>();
    // Visited-PLMN-Id of other than three octets (it goes into the key derivation).
    for n in [0, 1, 2, 4, 5, 64, 4000] {
        let mut avps = others(1407);
        avps.push(avp(1407, TGPP, 0xc0, &vec![0x99; n]));
        let e = Pdu::parse(&put_together(&m, &avps)).unwrap_err();
        assert_eq!((e.result, e.avp), (result::INVALID_AVP_LENGTH, Some((1407, TGPP))), "{n} octets");
    }
    // Re-Synchronization-Info of other than thirty.
    for n in [0, 1, 14, 16, 29, 31, 60, 4000] {
        let mut avps = others(1408);
        avps.push(avp(1408, TGPP, 0xc0, &avp(1411, TGPP, 0xc0, &vec![1; n])));
        let e = Pdu::parse(&put_together(&m, &avps)).unwrap_err();
        assert_eq!((e.result, e.avp), (result::INVALID_AVP_LENGTH, Some((1411, TGPP))), "{n} octets");
        assert_eq!(
            e.session.as_deref(),
            Some(&*String::from_utf8_lossy(&all[0][8..8 + e.session.as_ref().unwrap().len()]))
        );
    }
    for empty in [1, 263, 264, 283] {
        let mut avps = others(empty);
        avps.push(avp(empty, 0, 0x40, &[]));
        let e = Pdu::parse(&put_together(&m, &avps)).unwrap_err();
        assert_eq!((e.result, e.avp), (result::INVALID_AVP_VALUE, Some((empty, 0))), "empty {empty}");
    }
}

#[test]
fn what_is_mandatory_and_unknown_is_refused_in_a_request_and_passed_over_in_an_answer() {
    let m = request(316);
    for (code, vendor) in [(9999, TGPP), (9999, 0), (264, 4711), (1407, 0)] {
        let e = Pdu::parse(&with(&m, &[avp(code, vendor, if vendor == 0 { 0x40 } else { 0xc0 }, b"what")]))
            .unwrap_err();
        assert_eq!((e.result, e.avp), (result::AVP_UNSUPPORTED, Some((code, vendor))));
        assert_eq!(e.failed.as_ref().unwrap().data, b"what");
        let optional = avp(code, vendor, if vendor == 0 { 0 } else { 0x80 }, b"what");
        assert_eq!(Pdu::parse(&with(&m, &[optional])).unwrap(), Pdu::parse(&m).unwrap());
    }
    let answer =
        captured().into_iter().find(|m| header(m).is_ok_and(|h| !h.request && h.command == 316)).unwrap();
    assert!(Pdu::parse(&with(&answer, &[avp(9999, TGPP, 0xc0, b"new")])).is_ok());
    for flags in [0x01, 0x10, 0x1f] {
        let e = Pdu::parse(&with(&m, &[avp(9999, 0, flags, &[])])).unwrap_err();
        assert_eq!(e.result, result::INVALID_AVP_BITS);
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let m = request(318);
    let changed = |at: usize, to: u8| {
        let mut m = m.clone();
        m[at] = to;
        Pdu::parse(&m).unwrap_err()
    };
    assert_eq!(changed(0, 2).result, result::UNSUPPORTED_VERSION);
    for n in [HEADER, m.len() - 4, m.len() - 1, m.len() + 1, m.len() + 4, MAX] {
        let mut m = m.clone();
        m[1..4].copy_from_slice(&(n as u32).to_be_bytes()[1..]);
        assert_eq!(Pdu::parse(&m).unwrap_err().result, result::INVALID_MESSAGE_LENGTH, "{n}");
    }
    assert_eq!(changed(4, 0xe0).result, result::INVALID_HDR_BITS, "a request that is an error");
    assert_eq!(changed(4, 0x10).result, result::INVALID_HDR_BITS, "an answer that is repeated");
    assert_eq!(changed(7, 99).result, result::COMMAND_UNSUPPORTED);
    assert_eq!(changed(11, 0xff).result, result::APPLICATION_UNSUPPORTED);
    let told = Pdu::parse(&changed(7, 99).answer(&host(), &realm()).unwrap()).unwrap();
    let Message::Refusal { refusal, command: 0x163, .. } = &told.message else { panic!("{told:?}") };
    assert_eq!(refusal.result_code, result::COMMAND_UNSUPPORTED);
    assert!(told.header().error && refusal.session_id.is_some());
    for n in 0..m.len() {
        let e = Pdu::parse(&m[..n]).unwrap_err();
        assert_eq!(e.result, result::INVALID_MESSAGE_LENGTH, "{n} octets");
    }
    for first in [[1, 0, 0, 0], [1, 0, 0, 16], [1, 0, 0, 21], [1, 1, 0, 4], [1, 0xff, 0xff, 0xfc]] {
        assert_eq!(length(first).unwrap_err().result, result::INVALID_MESSAGE_LENGTH, "{first:?}");
    }
    // An answer that cannot be read gets no answer.
    let answer =
        captured().into_iter().find(|m| header(m).is_ok_and(|h| !h.request && h.command == 272)).unwrap();
    let e = Pdu::parse(&put_together(&answer, &avps_of(&answer[HEADER..])[1..])).unwrap_err();
    assert_eq!((e.result, e.answer(&host(), &realm())), (result::MISSING_AVP, None));
}

#[test]
fn the_error_flag_stays_what_it_was_whatever_the_result() {
    let answer =
        captured().into_iter().find(|m| header(m).is_ok_and(|h| !h.request && h.command == 316)).unwrap();
    let mut m = answer.clone();
    m[4] |= 0x20;
    let pdu = Pdu::parse(&m).unwrap();
    assert!(matches!(pdu.message, Message::Refusal { error: true, command: 316, .. }), "{pdu:?}");
    assert_eq!(Pdu::parse(&pdu.encode()).unwrap(), pdu);
}

#[test]
fn an_answer_that_says_why_not_may_lack_avps_and_not_halves_of_them() {
    let answer =
        captured().into_iter().find(|m| header(m).is_ok_and(|h| !h.request && h.command == 316)).unwrap();
    let told = |code: u32| move |a: &Vec<u8>| a[..4] == code.to_be_bytes();
    let mut avps = avps_of(&answer[HEADER..]);
    avps.retain(|a| !told(268)(a) && !told(263)(a));
    avps.push(avp(268, 0, 0x40, &result::UNABLE_TO_COMPLY.to_be_bytes()));
    let lacks = Pdu::parse(&put_together(&answer, &avps)).unwrap();
    assert!(matches!(lacks.message, Message::Refusal { error: false, command: 316, .. }), "{lacks:?}");
    assert_eq!(Pdu::parse(&lacks.encode()).unwrap(), lacks);
    // The same of a success is no answer at all, and neither is half of a group.
    avps.pop();
    let success = with(&put_together(&answer, &avps), &[avp(268, 0, 0x40, &result::SUCCESS.to_be_bytes())]);
    assert_eq!(Pdu::parse(&success).unwrap_err().result, result::MISSING_AVP);
    let half = avp(297, 0, 0x40, &avp(266, 0, 0x40, &TGPP.to_be_bytes()));
    let error = Pdu::parse(&with(&put_together(&answer, &avps), &[half])).unwrap_err();
    assert_eq!((error.result, error.avp), (result::MISSING_AVP, Some((298, 0))), "{error}");
}

#[test]
fn relays_see_their_marks_again() {
    let m = request(318);
    let mark =
        |n: u8| avp(284, 0, 0x40, &[avp(280, 0, 0x40, b"relay.example"), avp(33, 0, 0x40, &[n])].concat());
    let pdu = Pdu::parse(&with(&m, &[mark(1), mark(2)])).unwrap();
    assert_eq!(pdu.proxies.len(), 2);
    let answer = pdu.answer(DeviceWatchdogAnswer {
        result_code: result::SUCCESS,
        origin_host: host(),
        origin_realm: realm(),
        error_message: None,
        failed_avp: None,
        origin_state: None,
    });
    let again = Pdu::parse(&answer.encode()).unwrap();
    assert_eq!((&again.proxies, again.end_to_end), (&pdu.proxies, pdu.end_to_end));
}

#[test]
fn a_name_is_the_same_in_capitals_and_no_other_thing_is_a_name() {
    assert_eq!(Identity::new("MME.Example"), Identity::new("mme.example"));
    for bad in ["", "a b", "mme\0", "ｍｍｅ", "a\n", &"a".repeat(256)] {
        assert_eq!(Identity::new(bad), None, "{bad:?}");
    }
}

#[test]
fn no_number_has_two_names() {
    let mut seen = std::collections::BTreeMap::new();
    for (code, vendor, name) in dictionary::ALL.iter().chain(dictionary::PASSED) {
        assert_eq!(seen.insert((code, vendor), name), None, "{name}");
    }
}

proptest! {
    #[test]
    fn nothing_panics_and_what_is_read_is_written_and_read_again(
        which in 0usize..15,
        changes in proptest::collection::vec((0usize..700, any::<u8>()), 0..6),
        cut in 0usize..700,
    ) {
        let mut m = captured()[which].clone();
        for (at, to) in changes {
            let n = m.len();
            m[at % n] = to;
        }
        if cut < m.len() && cut.is_multiple_of(4) && cut >= HEADER {
            m.truncate(cut);
            set_length(&mut m);
        }
        if let Ok(pdu) = Pdu::parse(&m) {
            prop_assert_eq!(Pdu::parse(&pdu.encode()).unwrap(), pdu);
        }
    }
}
