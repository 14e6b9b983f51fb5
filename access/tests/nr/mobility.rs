//! UEs that go over to another gNB.

use crate::world::*;
use access::nr::*;
use std::net::Ipv4Addr;
use types::*;
use wire::ngap::transfer::{PathNotSwitched, PathSwitch, Tunnel};
use wire::ngap::*;

/// Address of gNB B on N3.
const OF_B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Two gNBs; UE 0 is at A with sessions 1 and 2.
fn at_a() -> World {
    let mut w = World::new(1);
    w.gnb_up(B, 2);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.connect(0, 2, "factory");
    w
}

fn session(id: u8, teid: u32) -> SessionTransfer {
    let downlink = Tunnel::new(OF_B, Teid::new(teid).unwrap());
    let transfer = PathSwitch { downlink, flows: vec![1] }.encode().unwrap();
    SessionTransfer { id: id.try_into().unwrap(), transfer }
}

/// What `assoc` says when UE 0 has come over with these sessions.
fn request(w: &World, ran: u32, sessions: Vec<SessionTransfer>) -> PathSwitchRequest {
    PathSwitchRequest {
        ran_ue_id: RanUeNgapId(ran),
        source_amf_ue_id: w.places[0].as_ref().unwrap().amf.unwrap(),
        location: Some(location()),
        security_capabilities: Some(w.ues[0].capability.for_ngap()),
        sessions,
        failed: vec![],
    }
}

fn come_over(w: &mut World, assoc: AssocId, ran: u32, sessions: Vec<SessionTransfer>) {
    let m = request(w, ran, sessions);
    let place = Place { assoc, ran: m.ran_ue_id, amf: Some(m.source_amf_ue_id), context: true };
    w.places[0] = Some(place);
    w.gnb_says(assoc, Message::PathSwitchRequest(m));
    w.run();
}

fn acknowledged(w: &World, assoc: AssocId) -> PathSwitchRequestAcknowledge {
    match w.last(assoc) {
        Message::PathSwitchRequestAcknowledge(m) => m.clone(),
        other => panic!("{other:?}"),
    }
}

fn ids(list: &[SessionTransfer]) -> Vec<u8> {
    list.iter().map(|s| u8::from(s.id)).collect()
}

fn downlinks(w: &World) -> Vec<Option<(u32, Ipv4Addr)>> {
    w.gateway.sessions.values().map(|h| h.downlink).collect()
}

fn kgnb(w: &World) -> Key256 {
    let of = |m: &Message| match m {
        Message::InitialContextSetupRequest(m) => Some(m.key.0.clone()),
        _ => None,
    };
    w.sent.iter().rev().find_map(|(_, m)| of(m)).unwrap()
}

#[test]
fn a_ue_goes_over_with_its_sessions_and_each_radio_has_keys_of_its_own() {
    let mut w = at_a();
    let (kgnb, kamf) = (kgnb(&w), w.ues[0].kamf.clone().unwrap());
    come_over(&mut w, B, 77, vec![session(1, 0xb1), session(2, 0xb2)]);
    let m = acknowledged(&w, B);
    assert_eq!((ids(&m.switched), ids(&m.released)), (vec![1, 2], vec![]));
    assert_eq!(
        (m.ran_ue_id, m.security_capabilities, m.allowed_nssai),
        (RanUeNgapId(77), None, vec![snssai()])
    );
    let nh = |n: usize| (0..n).fold(kgnb.clone(), |k, _| sim_auth::fgs::nh(&kamf, &k));
    assert_eq!(m.next_hop, NextHop { ncc: 2, nh: SecurityKey(nh(2)) });
    assert_eq!(downlinks(&w), [Some((0xb1, OF_B)), Some((0xb2, OF_B))]);
    assert_eq!(w.gateway.end_markers, 2);
    let view = w.view(0).unwrap();
    assert_eq!((view.state, view.gnb.as_deref()), (UeState::Connected, Some("gnb-2")));
    assert_eq!(w.phases(0), [SessionPhase::Active; 2]);
    let went = |h: &Happening| matches!(h, Happening::Moved { from, to, .. } if (from.as_str(), to.as_str()) == ("gnb-1", "gnb-2"));
    assert_eq!(w.happened(went), 1);

    // The gNB that it left may not speak of it any more.
    let amf_ue_id = m.amf_ue_id;
    let old = UeContextReleaseRequest {
        amf_ue_id,
        ran_ue_id: RanUeNgapId(1),
        sessions: vec![],
        cause: Cause::RadioNetwork(RadioCause::USER_INACTIVITY),
    };
    w.gnb_says(A, Message::UeContextReleaseRequest(old));
    w.run();
    assert!(matches!(w.last(A), Message::ErrorIndication(_)));
    assert_eq!(w.state(0), Some(UeState::Connected));

    // And back again: the chain goes on.
    come_over(&mut w, A, 78, vec![session(1, 0xa1), session(2, 0xa2)]);
    assert_eq!(acknowledged(&w, A).next_hop, NextHop { ncc: 3, nh: SecurityKey(nh(3)) });
    for n in 4..=9u8 {
        come_over(
            &mut w,
            if n % 2 == 0 { B } else { A },
            u32::from(n),
            vec![session(1, 0xc0), session(2, 0xc1)],
        );
    }
    assert_eq!(acknowledged(&w, A).next_hop, NextHop { ncc: 1, nh: SecurityKey(nh(9)) });

    // NAS goes on with the counts that it had.
    let nas = w.ues[0].deregister();
    w.say(0, nas);
    w.run();
    assert_eq!(w.view(0), None);
    w.assert_tidy(0);
}

#[test]
fn a_session_without_resources_there_stays_without_radio() {
    let mut w = at_a();
    let broken = SessionTransfer { id: 2.try_into().unwrap(), transfer: vec![0xff] };
    come_over(&mut w, B, 77, vec![session(1, 0xb1), broken]);
    let m = acknowledged(&w, B);
    assert_eq!((ids(&m.switched), ids(&m.released)), (vec![1], vec![2]));
    assert!(PathNotSwitched::decode(&m.released[0].transfer).is_ok());
    assert_eq!(downlinks(&w), [Some((0xb1, OF_B)), None]);
    assert_eq!(w.phases(0), [SessionPhase::Active, SessionPhase::Idle]);

    // One of which nothing is said at all.
    let mut w = at_a();
    come_over(&mut w, B, 77, vec![session(2, 0xb2)]);
    assert_eq!(downlinks(&w), [None, Some((0xb2, OF_B))]);
    assert_eq!(w.phases(0), [SessionPhase::Idle, SessionPhase::Active]);
    w.assert_tidy(1);
}

#[test]
fn a_request_that_is_not_in_order_is_refused_and_changes_nothing() {
    let mut w = at_a();
    let good = request(&w, 77, vec![session(1, 0xb1), session(2, 0xb2)]);
    let elsewhere =
        UserLocation { tai: Tai { tac: Tac::try_from(9).unwrap(), ..location().tai }, ..location() };
    let with = |f: &dyn Fn(&mut PathSwitchRequest)| {
        let mut m = good.clone();
        f(&mut m);
        m
    };
    let other_flow = PathSwitch { downlink: Tunnel::new(OF_B, Teid::new(5).unwrap()), flows: vec![9] };
    let unknown = AmfUeNgapId::new(good.source_amf_ue_id.value() + 1).unwrap();
    let cases = [
        with(&|m| m.source_amf_ue_id = unknown),
        with(&|m| m.location = None),
        with(&|m| m.location = Some(elsewhere)),
        with(&|m| m.sessions.push(session(1, 0xb3))),
        with(&|m| m.failed = vec![session(2, 1), session(3, 1)]),
        with(&|m| m.sessions = vec![session(7, 0xb7)]),
        with(&|m| m.sessions[0].transfer.clear()),
        with(&|m| {
            m.sessions = vec![SessionTransfer { transfer: other_flow.encode().unwrap(), ..session(1, 1) }]
        }),
    ];
    let (before, view) = (downlinks(&w), w.view(0));
    for (n, m) in cases.into_iter().enumerate() {
        let m = if n == 6 { PathSwitchRequest { sessions: m.sessions[..1].to_vec(), ..m } } else { m };
        let asked = (m.source_amf_ue_id, ids(&m.sessions));
        w.gnb_says(B, Message::PathSwitchRequest(m));
        w.run();
        let Message::PathSwitchRequestFailure(f) = w.last(B) else { panic!("{n}: {:?}", w.last(B)) };
        assert_eq!((f.amf_ue_id, ids(&f.released)), asked, "case {n}");
        assert_eq!((downlinks(&w), w.view(0)), (before.clone(), view.clone()), "case {n}");
        assert_eq!(w.refused("path-switch"), n as u64 + 1);
    }
    assert_eq!(w.happened(|h| matches!(h, Happening::Moved { .. })), 0);

    // Of a UE that has no radio at the moment, and of one that nobody has authenticated.
    w.go_idle(0);
    w.gnb_says(B, Message::PathSwitchRequest(good.clone()));
    w.run();
    assert!(matches!(w.last(B), Message::PathSwitchRequestFailure(_)));
    w.assert_tidy(0);
}

#[test]
fn other_algorithms_than_the_ues_are_put_right() {
    let mut w = at_a();
    let mut m = request(&w, 77, vec![session(1, 0xb1), session(2, 0xb2)]);
    m.security_capabilities = Some(SecurityCapabilities { nea: 0, nia: 0, eea: 0, eia: 0 });
    w.gnb_says(B, Message::PathSwitchRequest(m));
    w.run();
    assert_eq!(acknowledged(&w, B).security_capabilities, Some(w.ues[0].capability.for_ngap()));
    assert_eq!(w.refused("security-capabilities-differ"), 1);
}

#[test]
fn a_gateway_that_is_silent_holds_the_answer_back_but_not_for_ever() {
    let silent = || {
        let mut w = at_a();
        w.gateway.silent = true;
        come_over(&mut w, B, 77, vec![session(1, 0xb1), session(2, 0xb2)]);
        w.pass_ms(4_000);
        assert!(!matches!(w.last(B), Message::PathSwitchRequestAcknowledge(_)));
        w
    };
    let mut w = silent();
    w.gateway.silent = false;
    w.pass_ms(4_000);
    assert_eq!(ids(&acknowledged(&w, B).switched), [1, 2]);
    assert_eq!(downlinks(&w), [Some((0xb1, OF_B)), Some((0xb2, OF_B))]);
    w.assert_tidy(1);

    let mut w = silent();
    w.pass_ms(6_000);
    assert_eq!(ids(&acknowledged(&w, B).switched), [1, 2]);
    assert_eq!(w.view(0).unwrap().gnb.as_deref(), Some("gnb-2"));
}

#[test]
fn a_ban_or_a_lost_gnb_in_the_middle_leaves_nothing_half_done() {
    for ban in [true, false] {
        let mut w = at_a();
        w.gateway.silent = true;
        come_over(&mut w, B, 77, vec![session(1, 0xb1), session(2, 0xb2)]);
        w.gateway.silent = false;
        let end = match ban {
            true => Input::Ban { supi: w.ues[0].supi, cause: FgmmCause::IllegalUe },
            false => Input::AssocDown { assoc: B },
        };
        w.input(end);
        w.pass_ms(40_000);
        assert!(w.sent.iter().all(|(_, m)| !matches!(m, Message::PathSwitchRequestAcknowledge(_))));
        assert_eq!(w.state(0), if ban { None } else { Some(UeState::Idle) });
        assert!(downlinks(&w).iter().all(Option::is_none), "{:?}", downlinks(&w));
        w.assert_tidy(0);
    }
}

#[test]
fn a_name_that_the_gnb_had_given_to_somebody_else_is_the_newcomers() {
    let mut w = World::new(2);
    w.gnb_up(B, 2);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.attach(1, B);
    let taken = w.places[1].as_ref().unwrap().ran;
    come_over(&mut w, B, taken.0, vec![session(1, 0xb1)]);
    assert_eq!((w.state(0), w.state(1)), (Some(UeState::Connected), Some(UeState::Idle)));
    assert_eq!(ids(&acknowledged(&w, B).switched), [1]);
    w.assert_tidy(1);
}

#[test]
fn keys_that_its_radio_was_being_told_are_told_to_the_radio_to_which_the_ue_went() {
    let mut c = config();
    c.key_life_s = 60;
    let mut w = World::with_config(1, c);
    w.gnb_up(B, 2);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.pass_ms(60_001);
    let status = wire::nas::fgs::FgmmMessage::FgmmStatus(FgmmCause::ProtocolErrorUnspecified);
    let nas = w.ues[0].protect(&status);
    w.say(0, nas);
    w.run();
    let told = |w: &World| {
        let key = |(assoc, m): &(AssocId, Message)| match m {
            Message::UeContextModificationRequest(m) => Some((*assoc, m.key.clone())),
            _ => None,
        };
        w.sent.iter().filter_map(key).collect::<Vec<_>>()
    };
    let first = told(&w);
    assert_eq!((first.len(), first[0].0), (1, A));
    come_over(&mut w, B, 70, vec![session(1, 0x7000)]);
    let then = told(&w);
    assert_eq!((then.len(), then[1].0), (2, B));
    assert_eq!(then[1].1, first[0].1, "the same keys");
    // The gNB that it left is silent about them, and nothing hangs on that.
    let (amf_ue_id, ran_ue_id) = (w.places[0].as_ref().unwrap().amf.unwrap(), RanUeNgapId(70));
    let done = UeContextModificationResponse { amf_ue_id, ran_ue_id };
    w.gnb_says(B, Message::UeContextModificationResponse(done));
    w.run();
    w.pass_ms(30_000);
    assert_eq!(w.state(0), Some(UeState::Connected));
    w.assert_tidy(1);
}

#[test]
fn the_cell_of_a_connected_ue_is_known_without_its_saying_anything() {
    let mut w = at_a();
    let asked = |w: &World, at: AssocId| {
        let wanted = Some(LocationEvent::CellChange);
        let is = |m: &Message| matches!(m, Message::LocationReportingControl(c) if c.event == wanted);
        w.sent.iter().filter(|(assoc, m)| *assoc == at && is(m)).count()
    };
    assert_eq!((asked(&w, A), w.view(0).unwrap().cell), (1, Some(0x10)));
    let report = |w: &World, cell: u64, tac: u32| {
        let mut here = location();
        (here.cell.cell, here.tai.tac) = (cell, tac.try_into().unwrap());
        let p = w.places[0].as_ref().unwrap();
        Message::LocationReport(LocationReport {
            amf_ue_id: p.amf.unwrap(),
            ran_ue_id: p.ran,
            location: Some(here),
            event: Some(LocationEvent::CellChange),
        })
    };
    let m = report(&w, 0x11, 7);
    w.gnb_says(A, m);
    w.run();
    assert_eq!(w.view(0).unwrap().cell, Some(0x11));
    // Nobody else says where it is, and an area that the gNB does not serve is none.
    let m = report(&w, 0x66, 7);
    w.gnb_says(B, m);
    let m = report(&w, 0x67, 9);
    w.gnb_says(A, m);
    w.run();
    assert_eq!((w.view(0).unwrap().cell, w.refused("location-not-served")), (Some(0x11), 1));
    // What it says itself brings its cell along. Over Xn the gNBs hand on what was asked (TS 38.423 §9.2.3.8).
    let nas = w.ues[0].protect(&wire::nas::fgs::FgmmMessage::FgmmStatus(FgmmCause::ProtocolErrorUnspecified));
    w.say(0, nas);
    w.run();
    assert_eq!(w.view(0).unwrap().cell, Some(0x10));
    come_over(&mut w, B, 70, vec![session(1, 0x7000), session(2, 0x7001)]);
    assert_eq!((asked(&w, A), asked(&w, B)), (1, 0));
}
