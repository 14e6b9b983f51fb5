//! Captured messages, round trips, and messages that lie.

use super::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;

pub(crate) fn unhex(line: &str) -> Vec<u8> {
    (0..line.len() / 2).map(|i| u8::from_str_radix(&line[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn lines(text: &str) -> Vec<Vec<u8>> {
    text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(unhex).collect()
}

fn captured() -> Vec<Vec<u8>> {
    let mut all = lines(include_str!("../../../fixtures/pfcp/n4.hex"));
    all.extend(lines(include_str!("../../../fixtures/pfcp/sx.hex")));
    all
}

/// Makes the header's length that of the datagram.
fn fix_length(d: &mut [u8]) {
    if d.len() >= 4 {
        let n = ((d.len() - 4) as u16).to_be_bytes();
        d[2..4].copy_from_slice(&n);
    }
}

pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut d = vec![0x20 | u8::from(is_about_a_session(kind)), kind, 0, 0];
    if is_about_a_session(kind) {
        d.extend_from_slice(&[0; 8]);
    }
    d.extend_from_slice(&[0, 0, 9, 0]);
    d.extend_from_slice(body);
    fix_length(&mut d);
    d
}

pub(super) fn ie(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = kind.to_be_bytes().to_vec();
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out
}

#[test]
fn captured_messages_survive_reading_and_writing() {
    let all = captured();
    assert_eq!(all.len(), 34);
    for d in all {
        let pdu = Pdu::parse(&d).unwrap();
        assert!(!matches!(pdu.message, Message::Other { .. }), "{pdu:?}");
        let again = pdu.encode();
        assert_eq!(Pdu::parse(&again).unwrap(), pdu);
        assert_eq!(again.len(), d.len(), "{pdu:?}");
    }
}

#[test]
fn the_captured_5g_session_says_what_the_core_meant() {
    let establishment = captured().iter().map(|d| Pdu::parse(d).unwrap()).find_map(|p| match p.message {
        Message::SessionEstablishmentRequest(m) => Some(m),
        _ => None,
    });
    let m = establishment.unwrap();
    assert_eq!(m.node_id, NodeId::V4(Ipv4Addr::new(127, 0, 0, 4)));
    assert_eq!(m.user_id.unwrap().imsi, Some("999700000000001".parse().unwrap()));
    assert_eq!(m.apn_dnn, Some(ApnDnn("internet".parse().unwrap())));
    assert_eq!(m.s_nssai, Some(SNssai("1".parse().unwrap())));
    assert_eq!(m.create_pdrs.len(), 4);
    let uplink = &m.create_pdrs[1];
    assert_eq!(uplink.pdi.local_f_teid, Some(FTeid::Choose { v4: true, v6: true, choose_id: Some(5) }));
    assert_eq!(uplink.pdi.source_interface_type, Some(InterfaceType(11)));
    assert_eq!(m.create_pdrs[0].pdi.ue_ip_addresses[0].v4, Some(Ipv4Addr::new(10, 45, 0, 2)));
    assert!(m.create_pdrs[0].pdi.ue_ip_addresses[0].destination);
    assert_eq!(m.create_pdrs[3].pdi.sdf_filters.len(), 1);
    assert_eq!(m.create_qers[0].mbr, Some(Mbr { uplink: 1_000_000, downlink: 1_000_000 }));
    assert_eq!(m.create_fars[0].apply_action, ApplyAction { first: 0x0c, second: Some(0) });
}

#[test]
fn an_independent_encoders_defaults_are_read() {
    let all = lines(include_str!("../../../fixtures/pfcp/encoder.hex"));
    // Its empty elements are too short for what they are; that is said, and where.
    let e = Pdu::parse(&all[0]).unwrap_err();
    assert!(e.header.is_some() && e.ie.is_some() && e.cause().is_some(), "{e:?}");
}

#[test]
fn every_cut_is_an_error_or_a_whole_message() {
    for d in captured() {
        for cut in 0..d.len() {
            // R111: header length longer than the datagram.
            assert!(Pdu::parse(&d[..cut]).is_err());
            let mut short = d[..cut].to_vec();
            fix_length(&mut short);
            if let Ok(p) = Pdu::parse(&short) {
                assert_eq!(Pdu::parse(&p.encode()).as_ref(), Ok(&p));
            }
        }
        // R111: shorter than the datagram.
        for more in [1, 4, 40] {
            let mut long = d.clone();
            long.resize(d.len() + more, 0);
            assert!(matches!(Pdu::parse(&long).unwrap_err().fault, Fault::Header(_)));
        }
    }
}

/// R67: a number in fewer octets than it has; R91: a time stamp of no length, or none.
#[test]
fn numbers_that_are_too_narrow_are_refused() {
    for value in [&[][..], &[1], &[1, 2, 3]] {
        let e = Pdu::parse(&message(1, &ie(96, value))).unwrap_err();
        assert_eq!((e.fault, e.ie), (Fault::Length, Some(96)));
    }
    let e = Pdu::parse(&message(1, &[])).unwrap_err();
    assert_eq!((e.fault, e.ie, e.cause()), (Fault::Missing, Some(96), Some(Cause::MandatoryIeMissing)));
    assert_eq!(e.header.unwrap().sequence, 9);
    let widths: [(u16, usize); 8] =
        [(56, 2), (29, 4), (20, 1), (108, 4), (81, 4), (109, 4), (21, 1), (93, 1)];
    for (kind, width) in widths {
        for n in 0..width {
            let pdi = |extra: &[u8]| ie(2, &[&ie(20, &[0])[..], extra].concat());
            let inside = ie(kind, &vec![1; n]);
            let body = if matches!(kind, 20 | 21 | 93) {
                ie(1, &[ie(56, &[0, 1]), ie(29, &[0; 4]), pdi(&inside)].concat())
            } else {
                ie(1, &[ie(56, &[0, 1]), ie(29, &[0; 4]), pdi(&[]), inside].concat())
            };
            let node = [ie(60, &[0, 1, 2, 3, 4]), ie(57, &[2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4])].concat();
            let e = Pdu::parse(&message(50, &[node, body].concat())).unwrap_err();
            assert_eq!((e.fault, e.ie), (Fault::Length, Some(kind)), "{kind} in {n} octets");
        }
    }
    // 40-bit rates, one octet short; thresholds and triggers of a URR that are cut (R101).
    let qer = ie(7, &[ie(109, &[0, 0, 0, 1]), ie(25, &[0]), ie(26, &[0; 9])].concat());
    assert_eq!(Pdu::parse(&message(52, &qer)).unwrap_err().ie, Some(26));
    for (cut, inside) in [
        (31, ie(31, &[1])),
        (31, ie(31, &[7, 0, 0])),
        (37, ie(37, &[2])),
        (62, ie(62, &[])),
        (32, ie(32, &[0; 3])),
    ] {
        let urr = ie(6, &[ie(81, &[0, 0, 0xff, 0xff]), inside].concat());
        let e = Pdu::parse(&message(52, &urr)).unwrap_err();
        assert_eq!((e.fault, e.ie), (Fault::Length, Some(cut)));
    }
}

/// R93: a child that is longer than its parent; R95: an element that reaches out of the message.
#[test]
fn nothing_reaches_out_of_what_holds_it() {
    let time = ie(96, &[0; 4]);
    let mut node = ie(60, &[0, 1, 2, 3, 4]);
    node[3] = 200;
    let e = Pdu::parse(&message(5, &[time.clone(), node].concat())).unwrap_err();
    assert_eq!((e.fault, e.ie), (Fault::Length, Some(60)));
    for lie in [5u8, 8, 255] {
        let mut far = ie(3, &[ie(44, &[2]), ie(108, &[0, 0, 0, 1])].concat());
        far[12] = lie;
        let body = [far, ie(108, &[0; 4])].concat();
        let e = Pdu::parse(&message(52, &body)).unwrap_err();
        assert_eq!((e.fault, e.ie), (Fault::Length, Some(108)));
    }
    // No time stamp at all.
    let e = Pdu::parse(&message(5, &ie(60, &[0, 1, 2, 3, 4]))).unwrap_err();
    assert_eq!((e.fault, e.ie), (Fault::Missing, Some(96)));
    // A header cut inside an element.
    for tail in [&[0][..], &[0, 96], &[0, 96, 0]] {
        let e = Pdu::parse(&message(1, &[&time[..], tail].concat())).unwrap_err();
        assert_eq!(e.fault, Fault::Length);
    }
}

/// R99: Outer Header Creation of length 0, 3, and with an address cut short.
#[test]
fn outer_headers_that_are_cut_are_refused() {
    let far = |ohc: &[u8]| {
        let parameters = ie(4, &[ie(42, &[0]), ie(84, ohc)].concat());
        ie(3, &[ie(108, &[0, 0, 0, 1]), ie(44, &[2]), parameters].concat())
    };
    let v6 = [&[2, 0, 0, 0, 0, 1][..], &[0xfd; 12]].concat();
    for ohc in [&[][..], &[1], &[1, 0, 0], &[1, 0, 0, 0, 0, 1, 10, 0, 0], &v6, &[0, 0, 1, 2]] {
        let e = Pdu::parse(&message(52, &far(ohc))).unwrap_err();
        assert_eq!(e.ie, Some(84), "{ohc:?}");
    }
    assert!(Pdu::parse(&message(52, &far(&[1, 0, 0, 0, 0, 1, 10, 0, 0, 1]))).is_ok());
}

#[test]
fn headers_that_do_not_fit_are_refused() {
    let beat = message(1, &ie(96, &[0; 4]));
    for (flags, fault) in [(0x40, Fault::Version), (0x00, Fault::Version), (0xe0, Fault::Version)] {
        let mut d = beat.clone();
        d[0] = flags;
        assert_eq!(Pdu::parse(&d).unwrap_err().fault, fault);
        assert_eq!(version_not_supported(&d), [0x20, 11, 0, 4, 0, 0, 9, 0]);
    }
    for flags in [0x21, 0x24] {
        let mut d = beat.clone();
        d[0] = flags;
        assert!(matches!(Pdu::parse(&d).unwrap_err().fault, Fault::Header(_)));
    }
    let mut d = message(54, &[]);
    d[0] = 0x20;
    assert!(matches!(Pdu::parse(&d).unwrap_err().fault, Fault::Header(_)));
}

#[test]
fn vendors_elements_are_told_apart_by_the_vendor() {
    let node = [ie(60, &[0, 1, 2, 3, 4]), ie(57, &[2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4])].concat();
    let parse = |value: &[u8]| match Pdu::parse(&message(50, &[node.clone(), ie(0x8001, value)].concat())) {
        Ok(Pdu { message: Message::SessionEstablishmentRequest(m), .. }) => Ok(m),
        Ok(_) => panic!(),
        Err(e) => Err(e),
    };
    assert_eq!(parse(&[0x7e, 0xd9, 5]).unwrap().pdu_session, Some(PduSession(5.try_into().unwrap())));
    let other = parse(&[0x01, 0x02, 5]).unwrap();
    assert_eq!((other.pdu_session, other.others[0].kind), (None, 0x8001));
    for bad in [&[][..], &[0x7e], &[0x7e, 0xd9], &[0x7e, 0xd9, 0], &[0x7e, 0xd9, 16]] {
        assert_eq!(parse(bad).unwrap_err().ie, Some(0x8001));
    }
}

#[test]
fn identities_with_bad_digits_are_refused() {
    let node = [ie(60, &[0, 1, 2, 3, 4]), ie(57, &[2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4])].concat();
    let imsis: [&[u8]; 6] = [
        &[1, 0],
        &[1, 8, 0x99],
        &[1, 2, 0x99, 0x09],
        &[1, 8, 0x99, 0x09, 0xf7, 0, 0, 0, 0, 0xf1],
        &[1, 8, 0x99, 0x0a, 0x07, 0, 0, 0, 0, 0xf1],
        &[1, 9, 0x99, 0x09, 0x07, 0, 0, 0, 0, 0x11, 0x11],
    ];
    for imsi in imsis {
        let e = Pdu::parse(&message(50, &[node.clone(), ie(141, imsi)].concat())).unwrap_err();
        assert_eq!(e.ie, Some(141), "{imsi:?}");
    }
}

prop_compose! {
    fn address()(a: u32) -> Ipv4Addr { a.into() }
}

prop_compose! {
    fn pdi()(
        side in 0u8..16, teid: u32, v4 in address(), choose in prop::option::of(prop::option::of(any::<u8>())),
        name in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), destination: bool,
        ue in prop::option::of(address()), sdf in prop::collection::vec((any::<u32>(), any::<u16>()), 0..3),
        qfis in prop::collection::vec(0u8..64, 0..3), kind in prop::option::of(0u8..64),
    ) -> Pdi {
        Pdi {
            source_interface: SourceInterface(side),
            local_f_teid: Some(match choose {
                Some(choose_id) => FTeid::Choose { v4: true, v6: destination, choose_id },
                None => FTeid::Given { teid, v4: Some(v4), v6: destination.then(|| v4.to_ipv6_mapped()) },
            }),
            network_instance: name.map(NetworkInstance),
            ue_ip_addresses: ue.map(|a| UeIpAddress {
                destination, v4: Some(a), v6: destination.then(|| a.to_ipv6_mapped()),
                v6_length: destination.then_some(64), ..UeIpAddress::default()
            }).into_iter().collect(),
            sdf_filters: sdf.into_iter().map(|(id, port)| SdfFilter {
                flow: format!("permit out 17 from any {port} to assigned").parse().ok(),
                id: Some(id),
                ..SdfFilter::default()
            }).collect(),
            qfis: qfis.into_iter().map(Qfi).collect(),
            source_interface_type: kind.map(InterfaceType),
            ..Pdi::default()
        }
    }
}

prop_compose! {
    fn establishment()(
        node in address(), seid: u64, id: u16, n: u32, pdis in prop::collection::vec(pdi(), 0..4),
        action: u8, second in prop::option::of(any::<u8>()), ohc in prop::option::of((any::<u32>(), address())),
        up in 0u64..1 << 40, down in 0u64..1 << 40, imsi in "[0-9]{6,15}", imei in prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
        dnn in "[a-z]{1,10}(\\.[a-z0-9]{1,9}){0,3}", slice in prop::option::of(any::<[u8; 3]>()), session in 1u8..16,
        other in prop::collection::vec(any::<u8>(), 0..20),
    ) -> SessionEstablishmentRequest {
        SessionEstablishmentRequest {
            node_id: NodeId::V4(node),
            cp_f_seid: FSeid { seid, v4: Some(node), v6: None },
            create_pdrs: pdis.into_iter().map(|pdi| CreatePdr {
                pdr_id: PdrId(id), precedence: Some(Precedence(n)), pdi,
                outer_header_removal: Some(OuterHeaderRemoval(6)), far_id: Some(FarId(n)),
                qer_ids: vec![QerId(n), QerId(1)], ..CreatePdr::default()
            }).collect(),
            create_fars: vec![CreateFar {
                far_id: FarId(n), apply_action: ApplyAction { first: action, second },
                forwarding_parameters: Some(ForwardingParameters {
                    destination_interface: DestinationInterface(1),
                    outer_header_creation: ohc.map(|(t, a)| OuterHeaderCreation::gtpu_v4(t, a)),
                    ..ForwardingParameters::default()
                }),
                ..CreateFar::default()
            }],
            create_qers: vec![CreateQer { qer_id: QerId(n), mbr: Some(Mbr { uplink: up, downlink: down }), ..CreateQer::default() }],
            create_urrs: vec![CreateUrr {
                urr_id: UrrId(n),
                volume_threshold: Some(VolumeThreshold { total: Some(n.into()), uplink: None, downlink: Some(1) }),
                others: vec![RawIe { kind: 148, value: other.clone() }],
                ..Default::default()
            }],
            user_id: Some(UserId { imsi: Some(imsi.parse().unwrap()), imei, ..UserId::default() }),
            apn_dnn: Some(ApnDnn(dnn.parse().unwrap())),
            s_nssai: slice.filter(|s| *s != [0xff; 3]).map(|sd| SNssai(types::Snssai { sst: 1, sd: Some(sd) })),
            pdu_session: Some(PduSession(session.try_into().unwrap())),
            others: vec![RawIe { kind: 300, value: other }],
            ..SessionEstablishmentRequest::default()
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(m in establishment(), seid: u64, sequence in 0u32..1 << 24) {
        let pdu = Pdu { seid: Some(seid), sequence, message: m.into() };
        prop_assert_eq!(Pdu::parse(&pdu.encode()), Ok(pdu));
    }

    #[test]
    fn changed_messages_never_panic(which in 0usize..34, at: prop::sample::Index, value: u8, cut: prop::sample::Index, fix: bool) {
        let mut d = captured().swap_remove(which);
        let i = at.index(d.len());
        d[i] = value;
        d.truncate(cut.index(d.len() * 4).max(i + 1));
        if fix { fix_length(&mut d); }
        if let Ok(p) = Pdu::parse(&d) {
            prop_assert_eq!(Pdu::parse(&p.encode()), Ok(p));
        }
    }

    #[test]
    fn any_elements_never_panic(kind in prop::sample::select(vec![1u8, 5, 6, 50, 51, 52, 53, 54, 56, 57]), body in prop::collection::vec((0u16..180, prop::collection::vec(any::<u8>(), 0..40)), 0..12)) {
        let body: Vec<u8> = body.iter().flat_map(|(k, v)| ie(*k, v)).collect();
        let _ = Pdu::parse(&message(kind, &body));
    }
}
