//! What PFCP says of a session's packets: tunnels, gates, buffering, rates.

use super::*;

#[test]
fn packets_pass_by_what_pfcp_says() {
    let mut w = World::new();
    let (seid, teid) = w.made(Peer::Local, session(5, LAPTOP));
    let at = usize::from(shard_of(Teid::new(teid).unwrap(), 2).0);
    let mut batch = crate::batch::Batch::new(crate::batch::BatchSize::default());
    let mut run = |w: &mut World, origin, bytes: &[u8]| {
        batch.clear();
        assert!(batch.push(origin, bytes));
        w.shards[at].on_batch(&mut batch, w.now);
        batch.outputs().iter().map(|o| batch.bytes(o.piece).to_vec()).collect::<Vec<_>>()
    };
    let syn = crate::inner::make::tcp(LAPTOP, 1, FILES, 443, crate::inner::SYN);
    let up = crate::batch::Origin::N3 { from: (GNB, 2152).into() };
    let datagram = wire::gtpu::encode_uplink(teid, 1, &syn).unwrap();
    assert_eq!(run(&mut w, up, &datagram), std::slice::from_ref(&syn));
    let answer = crate::inner::make::tcp(FILES, 443, LAPTOP, 1, crate::inner::ACK);
    let down = crate::batch::Origin::N6 { handed: false };
    // No tunnel yet: the control plane hears of the packet that waits.
    assert!(run(&mut w, down, &answer).is_empty());
    let event = w.shards[at].poll_event().unwrap();
    w.sent.clear();
    w.n4.event(event, w.now);
    w.pump();
    let (Peer::Local, Pdu { seid: Some(0x105), message: Message::SessionReportRequest(r), .. }) = &w.sent[0]
    else {
        panic!()
    };
    assert_eq!(r.downlink_data_report.as_ref().unwrap().pdr_ids, [PdrId(2)]);
    w.modify(Peer::Local, seid, tunnel_to(0x77, None));
    let out = run(&mut w, down, &answer);
    let p = wire::gtpu::Packet::parse(&out[0]).unwrap();
    assert_eq!((p.teid, p.payload, p.pdu_session.unwrap().qfi), (0x77, &answer[..], 1));
    // A handover: the old end gets its End Marker.
    w.modify(Peer::Local, seid, tunnel_to(0x78, Some(SmReqFlags(2))));
    let out = run(&mut w, down, &answer);
    assert_eq!((out[0][1], out[0][7], out[1][7]), (254, 0x77, 0x78));
    // The radio gives the endpoint to another session: this one has it no more, until it is told anew.
    let (other, _) = w.made(Peer::Local, session(7, PLC));
    w.modify(Peer::Local, other, tunnel_to(0x78, None));
    assert!(run(&mut w, down, &answer).is_empty());
    w.modify(Peer::Local, seid, tunnel_to(0x78, None));
    assert_eq!(run(&mut w, down, &answer)[0][7], 0x78);
    // The radio gave it up; a stranger's word for it counts nothing.
    let gone =
        |peer: Ipv4Addr| ShardEvent::ErrorIndication { peer: peer.into(), teid: Teid::new(0x78).unwrap() };
    w.sent.clear();
    w.n4.event(gone(Ipv4Addr::new(172, 16, 0, 66)), w.now);
    w.pump();
    assert!(w.sent.is_empty());
    w.n4.event(gone(GNB), w.now);
    w.pump();
    assert!(
        matches!(&w.sent[0].1.message, Message::SessionReportRequest(r) if r.error_indication_report.is_some())
    );
    assert!(run(&mut w, down, &answer).is_empty());
    // R105: answers to reports, for a session that is there or not, change nothing.
    w.delete(Peer::Local, seid);
    let before = w.weight();
    for s in [seid, 0, 77] {
        let m = SessionReportResponse { cause: Cause::Accepted, ..Default::default() };
        assert_eq!(w.ask(Peer::Local, Some(s), m.into()), None);
    }
    assert_eq!(w.weight(), before);
}

#[test]
fn an_idle_ue_gets_no_packets_and_its_tunnel_back() {
    let mut w = World::new();
    let (seid, _) = w.made(Peer::Local, session(5, LAPTOP));
    w.modify(Peer::Local, seid, tunnel_to(0x77, None));
    let paths = |w: &World| w.n4.sessions[&Seid(seid)].rules.paths(UeIp(LAPTOP.parse().unwrap()));
    let active = paths(&w);
    let only = |action| SessionModificationRequest {
        update_fars: vec![UpdateFar {
            far_id: FarId(2),
            apply_action: Some(ApplyAction::of(action)),
            ..Default::default()
        }],
        ..Default::default()
    };
    w.modify(Peer::Local, seid, only(ApplyAction::BUFF | ApplyAction::NOCP));
    assert_eq!(paths(&w).downlink, crate::session::Downlink::Wait);
    w.modify(Peer::Local, seid, only(ApplyAction::FORW));
    assert_eq!(paths(&w), active);
    // Of several the one that lets least through.
    w.modify(Peer::Local, seid, only(ApplyAction::FORW | ApplyAction::BUFF));
    assert_eq!(paths(&w).downlink, crate::session::Downlink::Wait);
    for all in [ApplyAction::FORW | ApplyAction::DROP, ApplyAction::BUFF | ApplyAction::DROP] {
        w.modify(Peer::Local, seid, only(all));
        assert_eq!(paths(&w).downlink, crate::session::Downlink::NoTunnel);
    }
    w.modify(Peer::Local, seid, only(ApplyAction::FORW));
    // A closed gate closes what it says.
    let gate = |g| SessionModificationRequest {
        update_qers: vec![UpdateQer {
            qer_id: QerId(1),
            gate_status: Some(GateStatus(g)),
            ..Default::default()
        }],
        ..Default::default()
    };
    w.modify(Peer::Local, seid, gate(0b0100));
    assert_eq!(paths(&w).uplink[0].1, crate::session::Uplink::DROP);
    w.modify(Peer::Local, seid, gate(0b0001));
    assert_eq!(
        (paths(&w).uplink[0].1, paths(&w).downlink),
        (crate::session::Uplink::FORWARD, crate::session::Downlink::Drop)
    );
}

#[test]
fn a_qers_rate_is_that_of_all_packets_of_the_pdrs_that_name_it() {
    let mut w = World::new();
    let mbr = |uplink, downlink| Some(Mbr { uplink, downlink });
    let mut m = session(5, LAPTOP);
    m.create_qers[0].mbr = mbr(100, 200);
    m.create_qers.push(CreateQer { qer_id: QerId(2), mbr: mbr(7, 8), ..Default::default() });
    let (seid, _) = w.made(Peer::Local, m);
    let rates = |w: &World| {
        let e = &w.n4.sessions[&Seid(seid)];
        e.rules.paths(e.identity.ue).rates
    };
    let rate = |kbps, of| Rate { qer: 1, kbps, of };
    assert_eq!(rates(&w), [rate(100, RateOf::AllUp), rate(200, RateOf::Down)]);
    let change = UpdateQer { qer_id: QerId(1), mbr: mbr(300, 400), ..Default::default() };
    w.modify(
        Peer::Local,
        seid,
        SessionModificationRequest { update_qers: vec![change], ..Default::default() },
    );
    assert_eq!(rates(&w), [rate(300, RateOf::AllUp), rate(400, RateOf::Down)]);
    // Both QERs for the uplink: both count.
    let qer_ids = vec![QerId(1), QerId(2)];
    let both = UpdatePdr { pdr_id: PdrId(1), qer_ids, ..Default::default() };
    w.modify(Peer::Local, seid, SessionModificationRequest { update_pdrs: vec![both], ..Default::default() });
    let second = Rate { qer: 2, kbps: 7, of: RateOf::AllUp };
    assert_eq!(rates(&w), [rate(300, RateOf::AllUp), rate(400, RateOf::Down), second]);
}
