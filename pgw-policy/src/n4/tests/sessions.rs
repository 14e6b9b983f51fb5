//! The life of a session: made, told apart, with the addresses that it has and what lies behind it, ended.

use super::*;

#[test]
fn a_session_lives_from_establishment_to_deletion() {
    let mut w = World::new();
    let (seid, teid) = w.made(Peer::Local, session(5, LAPTOP));
    let listed = w.n4.sessions();
    let [g] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((g.cp_seid, g.up_seid, g.supi), (Seid(0x105), Seid(seid), Supi(imsi(5))));
    assert_eq!((g.teid.value(), g.ip.to_string().as_str(), g.dnn.as_str()), (teid, LAPTOP, "corp"));
    assert_eq!(w.modify(Peer::Local, seid, tunnel_to(0x77, None)).cause, Cause::Accepted);
    assert_eq!(w.in_shards(), 1);
    let answer = w.ask_pdu(Peer::Local, Some(seid), SessionDeletionRequest::default().into()).unwrap();
    assert_eq!(answer.seid, Some(0x105));
    assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
    assert_eq!(w.delete(Peer::Local, seid), Cause::SessionContextNotFound);
    assert_eq!(w.modify(Peer::Local, seid, tunnel_to(0x77, None)).cause, Cause::SessionContextNotFound);
}

#[test]
fn an_answer_leaves_when_every_shard_has_confirmed() {
    let mut w = World::new();
    w.held = Some(vec![]);
    let request = Pdu { seid: Some(0), sequence: 900, message: session(5, LAPTOP).into() }.encode();
    assert_eq!(w.raw(Peer::Local, &request), None);
    // It comes again: nothing is done twice.
    assert_eq!(w.raw(Peer::Local, &request), None);
    // A control plane that restarts at this moment hears of it.
    assert_eq!(w.n4.sessions().len(), 1);
    let held = w.held.take().unwrap();
    assert_eq!(held.len(), 3, "Insert, and the owner to both shards");
    for (i, (token, shard, command)) in held.into_iter().enumerate() {
        assert!(w.sent.is_empty(), "{i}");
        let reply = w.shards[usize::from(shard.0)].command(command, w.now);
        w.n4.confirmed(token, reply, w.now);
        w.pump();
    }
    let first = w.sent[0].1.clone();
    assert_eq!(w.n4.sessions().len(), 1);
    // And again: the same answer.
    assert_eq!(w.raw(Peer::Local, &request), Some(first));
    assert_eq!(w.in_shards(), 1);
}

#[test]
fn the_captured_core_gets_its_session() {
    let mut w = World::bare();
    let lines = include_str!("../../../../fixtures/pfcp/n4.hex");
    let bytes =
        |l: &str| (0..l.len() / 2).map(|i| u8::from_str_radix(&l[2 * i..2 * i + 2], 16).unwrap()).collect();
    let all: Vec<Vec<u8>> = lines.lines().filter(|l| !l.starts_with('#')).map(bytes).collect();
    let of = |kind: u8| all.iter().find(|d| d[1] == kind).unwrap();
    assert!(matches!(w.raw(FOREIGN, of(5)).unwrap().message, Message::AssociationSetupResponse(_)));
    let answer = w.raw(FOREIGN, of(50)).unwrap();
    assert_eq!((answer.seid, answer.sequence), (Some(0xea), 3));
    let Message::SessionEstablishmentResponse(m) = answer.message else { panic!() };
    assert_eq!((m.cause, m.offending_ie), (Cause::Accepted, None));
    let teid = |i: usize| match m.created_pdrs[i].local_f_teid {
        Some(FTeid::Given { teid, .. }) => teid,
        _ => panic!(),
    };
    let ids: Vec<_> = m.created_pdrs.iter().map(|p| p.pdr_id.0).collect();
    assert_eq!(ids, [2, 3, 4]);
    // Equal CHOOSE IDs, equal TEIDs.
    assert!(teid(0) == teid(2) && teid(0) != teid(1));
    let seid = Seid(m.up_f_seid.unwrap().seid);
    let e = &w.n4.sessions[&seid];
    assert_eq!(
        (e.identity.supi.to_string().as_str(), e.identity.ue.to_string().as_str()),
        ("imsi-999700000000001", "10.45.0.2")
    );
    let paths = e.rules.paths(e.identity.ue);
    let open = |t: u32| paths.uplink.iter().find(|(x, _)| x.value() == t).unwrap().1;
    assert!(open(teid(0)).takes(Some(1)) && !open(teid(0)).takes(Some(2)) && !open(teid(0)).takes(None));
    assert_eq!(open(teid(1)), crate::session::Uplink::DROP);
    // Its QER is named by the PDRs of QoS flow 1, and by the one that leads to the UE.
    let kbps = 1_000_000;
    let flow_1 = Uplink { qfis: 1 << 1, without_qfi: false };
    let in_order = paths.uplink.iter().map(|(t, _)| if t.value() == teid(0) { flow_1 } else { Uplink::DROP });
    let expected = [RateOf::Up(in_order.collect()), RateOf::Down].map(|of| Rate { qer: 1, kbps, of });
    assert_eq!(paths.rates, expected);
    // The modification that brings the gNB's tunnel, with our SEID in place of the other core's.
    let mut modification = of(52).clone();
    modification[4..12].copy_from_slice(&seid.0.to_be_bytes());
    let Message::SessionModificationResponse(m) = w.raw(FOREIGN, &modification).unwrap().message else {
        panic!()
    };
    assert_eq!(m.cause, Cause::Accepted);
    let e = &w.n4.sessions[&seid];
    assert!(matches!(
        e.rules.paths(e.identity.ue).downlink,
        crate::session::Downlink::Forward { qfi: Some(1), .. }
    ));
}

/// Where N3 is IPv6: tunnel endpoints are, radios are, and of two addresses the one that can be reached is taken.
#[test]
fn n3_may_be_ipv6() {
    let mut w = World::new();
    let us: IpAddr = "fd00::1".parse().unwrap();
    w.n4.config.n3 = us;
    let radio: std::net::Ipv6Addr = "fd00::2".parse().unwrap();
    let by = |to: OuterHeaderCreation| {
        let mut m = session(1, LAPTOP);
        m.create_pdrs[0].pdi.local_f_teid = Some(FTeid::Choose { v4: false, v6: true, choose_id: None });
        outer(&mut m, to);
        m
    };
    let both = OuterHeaderCreation {
        description: OuterHeaderCreation::GTPU_V4 | OuterHeaderCreation::GTPU_V6,
        v4: Some(GNB),
        ..OuterHeaderCreation::gtpu(9, radio.into())
    };
    for to in [OuterHeaderCreation::gtpu(9, radio.into()), both] {
        let m = w.establish(Peer::Local, by(to));
        assert_eq!(m.cause, Cause::Accepted);
        let Some(FTeid::Given { teid, v4: None, v6 }) = m.created_pdrs[0].local_f_teid else {
            panic!("{m:?}")
        };
        assert_eq!(v6.map(IpAddr::from), Some(us), "{teid}");
        let peers: Vec<_> = w.n4.by_tunnel.keys().map(|(peer, _)| *peer).collect();
        assert_eq!(peers, [IpAddr::V6(radio)]);
    }
    for bad in
        [GNB.to_ipv6_mapped(), "::".parse().unwrap(), "::1".parse().unwrap(), "ff02::1".parse().unwrap()]
    {
        let m = w.establish(Peer::Local, by(OuterHeaderCreation::gtpu(9, bad.into())));
        assert_eq!(m.cause, Cause::RuleFailure, "{bad}");
    }
    assert_eq!(w.establish(Peer::Local, by(OuterHeaderCreation::gtpu_v4(9, GNB))).cause, Cause::RuleFailure);
}

/// What lies behind a SIM is carried by its session of that data network, whoever made the session and whenever the route
/// came; a session that takes over takes the route, too.
#[test]
fn networks_behind_a_sim_follow_its_session() {
    let mut w = World::new();
    let route = |n: u8, prefix: &str| types::FramedRoute {
        imsi: imsi(n),
        dnn: "corp".parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    };
    let mut batch = crate::batch::Batch::new(crate::batch::BatchSize::default());
    let mut sent = |w: &mut World, teid: u32, from: &str| {
        let packet = crate::inner::make::tcp(from, 1, FILES, 443, crate::inner::SYN);
        let datagram = wire::gtpu::encode_uplink(teid, 1, &packet).unwrap();
        batch.clear();
        assert!(batch.push(crate::batch::Origin::N3 { from: (GNB, 2152).into() }, &datagram));
        let at = usize::from(shard_of(Teid::new(teid).unwrap(), 2).0);
        w.shards[at].on_batch(&mut batch, w.now);
        batch.outputs().len()
    };
    let (lan, host) = ("192.168.10.0/24", "192.168.10.7");
    w.n4.set_routes(vec![route(5, lan)]);
    w.pump();
    let (_, five) = w.made(Peer::Local, session(5, LAPTOP));
    let (_, seven) = w.made(Peer::Local, session(7, PLC));
    assert_eq!((sent(&mut w, five, host), sent(&mut w, seven, host)), (1, 0));
    // It moves to the other SIM while both live.
    w.n4.set_routes(vec![route(7, lan)]);
    w.pump();
    assert_eq!((sent(&mut w, five, host), sent(&mut w, seven, host)), (0, 1));
    // Another session of the same SIM in the same data network takes it over; in another one it does not.
    let (_, second) = w.made(Peer::Local, session(7, "10.20.0.9"));
    assert_eq!((sent(&mut w, seven, host), sent(&mut w, second, host)), (0, 1));
    let mut elsewhere = session(7, "10.20.0.10");
    elsewhere.apn_dnn = Some(ApnDnn("iot".parse().unwrap()));
    let (_, third) = w.made(Peer::Local, elsewhere);
    assert_eq!((sent(&mut w, second, host), sent(&mut w, third, host)), (1, 0));
    w.n4.set_routes(Vec::new());
    w.pump();
    assert_eq!(sent(&mut w, second, host), 0);
}

/// A session's IPv6 prefix: one of 64 bits, nobody else's, the same in all that is said of it.
#[test]
fn a_session_may_have_a_prefix_of_its_own() {
    let mut w = World::new();
    let with = |n: u8, ue: &str, prefix: &str, len: Option<u8>| {
        let mut m = session(n, ue);
        for a in m.create_pdrs.iter_mut().flat_map(|p| &mut p.pdi.ue_ip_addresses) {
            (a.v6, a.v6_length) = (Some(prefix.parse().unwrap()), len);
        }
        m
    };
    let (seid, _) = w.made(Peer::Local, with(5, LAPTOP, "fd00:20:0:5::", None));
    assert_eq!(
        w.n4.sessions.get(&Seid(seid)).unwrap().identity.prefix,
        Some("fd00:20:0:5::/64".parse().unwrap())
    );
    let refused = |w: &mut World, m| {
        let m = w.establish(Peer::Local, m);
        assert_eq!((m.cause, m.offending_ie.map(|o| o.0)), (Cause::RuleFailure, Some(93)));
    };
    refused(&mut w, with(7, PLC, "fd00:20:0:5::1", Some(64)));
    refused(&mut w, with(7, PLC, "fd00:20:0:7::", Some(48)));
    refused(&mut w, with(7, PLC, "fe80::", None));
    let mut two = with(7, PLC, "fd00:20:0:7::", None);
    two.create_pdrs[1].pdi.ue_ip_addresses[0].v6 = Some("fd00:20:0:8::".parse().unwrap());
    refused(&mut w, two);
    // It is free with its session; the SIM's new session takes its old one's place with it.
    w.made(Peer::Local, with(5, LAPTOP, "fd00:20:0:5::", None));
    assert_eq!(w.n4.by_prefix.len(), 1);
    let seid = w.n4.by_prefix.values().next().unwrap().0;
    assert_eq!(w.delete(Peer::Local, seid), Cause::Accepted);
    assert!(w.n4.by_prefix.is_empty());
    w.made(Peer::Local, with(7, PLC, "fd00:20:0:5::", Some(64)));
}
