//! Messages that are cut, and rules that do not hold: refused, with the cause and the IE, and nothing stays of them.

use super::*;

/// R91, R93: heartbeats and associations that are cut; nothing half stays.
#[test]
fn cut_node_messages_leave_no_half_association() {
    let mut w = World::bare();
    let bare = |kind: u8, body: &[u8]| {
        let mut d = vec![0x20, kind, 0, 4 + body.len() as u8, 0, 0, 1, 0];
        d.extend_from_slice(body);
        d
    };
    for body in [&[][..], &[0, 96, 0, 0], &[0, 96, 0, 2, 1, 1], &[0, 96, 0, 9, 1, 1, 1, 1]] {
        assert_eq!(w.raw(FOREIGN, &bare(1, body)), None);
    }
    let node = [0, 60, 0, 5, 0, 10, 0, 0, 4];
    for (tail, cause) in [
        (&[][..], Cause::MandatoryIeMissing),
        (&[0, 96, 0, 0], Cause::InvalidLength),
        (&[0, 96, 0, 200, 1, 1, 1, 1], Cause::InvalidLength),
    ] {
        let answer = w.raw(FOREIGN, &bare(5, &[&node[..], tail].concat())).unwrap();
        assert!(matches!(answer.message, Message::AssociationSetupResponse(m) if m.cause == cause));
        assert!(w.n4.associations.is_empty());
    }
    // R95: Node IDs without an end from one peer are one association: by IPv4, IPv6 and name.
    for i in 0..300_000u32 {
        let node_id = match i % 3 {
            0 => NodeId::V4(i.into()),
            1 => NodeId::V6(u128::from(i).into()),
            _ => NodeId::Fqdn([&[7][..], format!("s{i:06}").as_bytes()].concat()),
        };
        let m = AssociationSetupRequest { node_id, ..Default::default() };
        assert!(w.ask(FOREIGN, None, m.into()).is_some());
        w.states.clear();
        w.sent.clear();
    }
    assert_eq!((w.n4.associations.len(), w.n4.restorations.len()), (1, 1));
    assert_eq!(w.n4.answers.weight(FOREIGN).0, answers::KEPT);
    // Requests as large as they can be, in the same half minute.
    for n in 0..1_000u32 {
        let body =
            [&node[..], &[0, 96, 0, 4, 1, 1, 1, 1], &[0xff, 0xf0, 0xea, 0x60], &[0; 60_000][..]].concat();
        let len = (body.len() as u16 + 4).to_be_bytes();
        let sequence = (n << 8).to_be_bytes();
        w.raw(FOREIGN, &[&[0x20, 5][..], &len, &sequence, &body].concat()).expect("an answer");
        w.states.clear();
        w.sent.clear();
    }
    let (kept, octets) = w.n4.answers.weight(FOREIGN);
    assert!(kept < 300 && octets <= answers::KEPT_OCTETS, "{kept}, {octets}");
    assert_eq!(w.n4.associations.len(), 1);
}

/// R95: endless sessions; R97, R99, R101, R103, R107: rules that do not hold. Nothing stays of any of them.
#[test]
fn refused_sessions_leave_nothing() {
    let mut w = World::new();
    let (live, _) = w.made(Peer::Local, session(7, PLC));
    w.modify(Peer::Local, live, tunnel_to(7, None));
    let before = w.weight();
    type Change = fn(&mut SessionEstablishmentRequest);
    let cases: [(Change, Cause, u16); 23] = [
        (|m| m.create_pdrs[0].far_id = None, Cause::ConditionalIeMissing, 108),
        (|m| m.create_pdrs[1].far_id = None, Cause::ConditionalIeMissing, 108),
        (|m| m.create_pdrs[0].far_id = Some(FarId(9)), Cause::RuleFailure, 108),
        (|m| m.create_pdrs[0].qer_ids = vec![QerId(9)], Cause::RuleFailure, 109),
        (|m| m.create_pdrs[0].urr_ids = vec![UrrId(65_535)], Cause::RuleFailure, 81),
        (|m| m.create_pdrs[1].pdr_id = PdrId(1), Cause::RuleFailure, 56),
        (|m| m.create_fars[1].far_id = FarId(1), Cause::RuleFailure, 108),
        (|m| m.create_pdrs[0].precedence = None, Cause::MandatoryIeMissing, 29),
        (|m| m.create_pdrs[0].pdi.source_interface = SourceInterface(9), Cause::MandatoryIeIncorrect, 20),
        (
            |m| {
                m.create_fars[0].forwarding_parameters.as_mut().unwrap().destination_interface =
                    DestinationInterface(9)
            },
            Cause::MandatoryIeIncorrect,
            42,
        ),
        (
            |m| {
                m.create_fars[1].forwarding_parameters = Some(ForwardingParameters {
                    destination_interface: DestinationInterface(0x0f),
                    ..Default::default()
                })
            },
            Cause::MandatoryIeIncorrect,
            42,
        ),
        (|m| m.create_fars[0].forwarding_parameters = None, Cause::ConditionalIeMissing, 4),
        (|m| outer(m, OuterHeaderCreation::gtpu_v4(0, GNB)), Cause::RuleFailure, 84),
        (|m| outer(m, OuterHeaderCreation::gtpu_v4(1, Ipv4Addr::LOCALHOST)), Cause::RuleFailure, 84),
        // Our N3 is IPv4: nothing can be sent to an IPv6 address.
        (|m| outer(m, OuterHeaderCreation::gtpu(1, "fd00::2".parse().unwrap())), Cause::RuleFailure, 84),
        (
            |m| {
                outer(
                    m,
                    OuterHeaderCreation {
                        description: 0x0400,
                        v4: Some(GNB),
                        port: Some(8805),
                        ..Default::default()
                    },
                )
            },
            Cause::RuleFailure,
            84,
        ),
        (
            |m| {
                m.create_pdrs[0].pdi.local_f_teid =
                    Some(FTeid::Choose { v4: false, v6: true, choose_id: None })
            },
            Cause::InvalidFteidAllocation,
            21,
        ),
        (
            |m| m.create_pdrs[0].pdi.local_f_teid = Some(FTeid::Given { teid: 0, v4: Some(N3), v6: None }),
            Cause::InvalidFteidAllocation,
            21,
        ),
        (|m| m.create_pdrs[0].pdi.ue_ip_addresses = ue_address("10.20.0.99", false), Cause::RuleFailure, 93),
        (|m| m.create_pdrs[0].pdi.ue_ip_addresses.push(ue_address(PLC, false)[0]), Cause::RuleFailure, 93),
        (|m| m.create_pdrs.iter_mut().for_each(|p| p.pdi.ue_ip_addresses.clear()), Cause::RuleFailure, 93),
        (
            |m| m.create_pdrs.iter_mut().for_each(|p| p.pdi.ue_ip_addresses = ue_address("224.0.0.1", true)),
            Cause::RuleFailure,
            93,
        ),
        (
            |m| m.create_pdrs.iter_mut().for_each(|p| p.pdi.ue_ip_addresses[0].choose_v4 = true),
            Cause::RuleFailure,
            93,
        ),
    ];
    for (i, (change, cause, offending)) in cases.into_iter().enumerate() {
        for n in [5, 6, 8] {
            let mut m = session(n, &format!("10.20.0.{n}"));
            change(&mut m);
            let m = w.establish(Peer::Local, m);
            assert_eq!((m.cause, m.offending_ie), (cause, Some(OffendingIe(offending))), "case {i}");
            assert_eq!(w.weight(), before, "case {i}");
        }
    }
    // Too many rules.
    for n in [65u16, 300, 600] {
        let mut m = session(5, LAPTOP);
        m.create_pdrs = (0..n).map(|i| CreatePdr { pdr_id: PdrId(i), ..m.create_pdrs[0].clone() }).collect();
        assert_eq!(w.establish(Peer::Local, m).cause, Cause::NoResources);
        assert_eq!(w.weight(), before);
    }
    // The same in modifications: the live session stays as it was.
    let bad: [fn(&mut SessionModificationRequest); 5] = [
        |m| m.update_fars[0].far_id = FarId(77),
        |m| m.remove_fars = vec![RemoveFar { far_id: FarId(1), ..Default::default() }],
        |m| m.remove_pdrs = vec![RemovePdr { pdr_id: PdrId(9), ..Default::default() }],
        |m| m.update_qers = vec![UpdateQer { qer_id: QerId(9), ..Default::default() }],
        |m| {
            let p = m.update_fars[0].forwarding_parameters.as_mut().unwrap();
            p.destination_interface = Some(DestinationInterface(9));
        },
    ];
    let rules = w.n4.sessions[&Seid(live)].rules.clone();
    for change in bad {
        for _ in 0..3 {
            let mut m = tunnel_to(0x99, None);
            change(&mut m);
            let r = w.modify(Peer::Local, live, m);
            assert!(!r.cause.is_accepted());
            assert_eq!(w.n4.sessions[&Seid(live)].rules, rules);
        }
    }
    assert_eq!(w.weight(), before);
    // Endless sessions: of one SIM, then of many.
    let accepted = |w: &mut World, n: u8, i: u8| {
        w.establish(Peer::Local, session(n, &format!("10.20.1.{i}"))).cause.is_accepted()
    };
    assert_eq!((0..40).filter(|i| accepted(&mut w, 30, *i)).count(), 15);
    assert_eq!((0..99).filter(|i| accepted(&mut w, *i, 100 + *i)).count(), 50 - 16);
    assert!(w.n4.session_count() == 50 && w.in_shards() == 50);
}

/// R99: twice in a row; R111 and garbage: silence or a refusal, and everything as before.
#[test]
fn cut_session_messages_are_refused_and_change_nothing() {
    let mut w = World::new();
    let (live, _) = w.made(Peer::Local, session(7, PLC));
    let before = w.weight();
    let good = Pdu { seid: Some(live), sequence: 70_000, message: tunnel_to(5, None).into() }.encode();
    for cut in 1..good.len() {
        // Without mending the length: not even a message (R111).
        assert_eq!(w.raw(Peer::Local, &good[..cut]), None);
        assert_eq!(w.raw(Peer::Local, &[&good[..], &vec![0; cut]].concat()), None);
        let mut d = good[..cut].to_vec();
        if cut > 16 {
            d[2..4].copy_from_slice(&((cut - 4) as u16).to_be_bytes());
            d[12..15].copy_from_slice(&[2, (cut >> 8) as u8, cut as u8]);
            let answers = [w.raw(Peer::Local, &d).unwrap(), w.raw(Peer::Local, &d).unwrap()];
            assert_eq!(answers[0], answers[1]);
            assert_eq!(answers[0].seid, Some(0x107));
            assert!(
                matches!(&answers[0].message, Message::SessionModificationResponse(m) if !m.cause.is_accepted())
            );
        }
    }
    assert_eq!(w.weight(), before);
    let version = w.raw(Peer::Local, &[0x40, 50, 0, 4, 0, 0, 9, 0]).unwrap();
    assert_eq!((version.message.kind(), version.sequence), (11, 9));
}
