//! PDU sessions: what is asked, what is given, who ends them; the gateway's and our own restarts.

use crate::world::*;
use access::nr::*;
use types::*;
use wire::nas::fgs::*;
use wire::ngap::{Ambr, Message, transfer};

fn psi(n: u8) -> PduSessionId {
    n.try_into().unwrap()
}

fn world() -> World {
    let mut w = World::new(1);
    w.attach(0, A);
    w
}

fn rejected(w: &World) -> Option<FgsmCause> {
    w.ues[0].session_messages.iter().rev().find_map(|m| match &m.body {
        FgsmBody::EstablishmentReject(r) => Some(r.cause),
        _ => None,
    })
}

fn bounced(w: &World) -> Option<FgmmCause> {
    w.ues[0].heard.iter().rev().find_map(|m| match m {
        FgmmMessage::DlNasTransport(m) => m.cause,
        _ => None,
    })
}

/// A Service Request for its first session.
fn comes_back_with_data(w: &mut World) {
    let g = w.ues[0].guti.unwrap();
    let m = FgmmMessage::ServiceRequest(ServiceRequest {
        ngksi: w.ues[0].ksi,
        service_type: ServiceType::DATA,
        s_tmsi: wire::nas::fgs::STmsi { set: g.amf.set, pointer: g.amf.pointer, tmsi: g.tmsi },
        uplink_data_status: Some([psi(1)].into_iter().collect()),
        pdu_session_status: None,
        nas_container: None,
    });
    let nas = w.ues[0].initial(&m);
    w.arrive(0, A, nas);
    w.run();
}

fn still_registered(w: &World) {
    assert_eq!(w.state(0), Some(UeState::Connected));
    w.assert_tidy(1);
}

#[test]
fn ipv4v6_gets_ipv4_with_its_cause_and_the_rest_is_rejected() {
    let mut w = world();
    let nas = w.ues[0].establish(1, 1, Some("corp"), PduSessionType::IPV4V6);
    w.say(0, nas);
    w.run();
    let FgsmBody::EstablishmentAccept(a) = &w.ues[0].session_messages[0].body else { panic!() };
    assert_eq!(a.session_type, PduSessionType::IPV4);
    assert_eq!(a.cause, Some(FgsmCause::PduSessionTypeIpv4OnlyAllowed));
    for (kind, cause) in [
        (PduSessionType::IPV6, FgsmCause::PduSessionTypeIpv4OnlyAllowed),
        (PduSessionType::ETHERNET, FgsmCause::UnknownPduSessionType),
        (PduSessionType::UNSTRUCTURED, FgsmCause::UnknownPduSessionType),
    ] {
        let nas = w.ues[0].establish(2, 9, Some("factory"), kind);
        w.say(0, nas);
        w.run();
        assert_eq!(rejected(&w), Some(cause));
        assert_eq!(w.phases(0), [SessionPhase::Active]);
    }
    still_registered(&w);
}

/// Where the data network has IPv6 prefixes, a UE gets what it asks for (TS 24.501 §6.4.1.3), and the gateway hears of it.
#[test]
fn a_data_network_with_prefixes_gives_ipv6_and_both() {
    for (kind, v4, v6) in [
        (PduSessionType::IPV6, false, true),
        (PduSessionType::IPV4V6, true, true),
        (PduSessionType::IPV4, true, false),
    ] {
        let mut w = world();
        let prefix = "fd00:20:0:2::/64".parse().unwrap();
        w.prefix = Some(prefix);
        let nas = w.ues[0].establish(1, 1, Some("corp"), kind);
        w.say(0, nas);
        w.run();
        let FgsmBody::EstablishmentAccept(a) = &w.ues[0].session_messages[0].body else { panic!() };
        assert_eq!((a.session_type, a.cause), (kind, None));
        assert_eq!((a.address.is_some(), a.interface.is_some()), (v4, v6));
        assert_eq!(w.gateway_sessions()[0].prefix, v6.then_some(prefix));
        still_registered(&w);
    }
}

#[test]
fn no_dnn_means_the_default_one() {
    let mut w = world();
    let nas = w.ues[0].establish(1, 1, None, PduSessionType::IPV4);
    w.say(0, nas);
    w.run();
    assert_eq!(w.view(0).unwrap().sessions[0].dnn.as_str(), "corp");
}

#[test]
fn an_unknown_dnn_comes_back_and_the_registration_lives() {
    let mut w = world();
    w.connect(0, 1, "internet");
    assert_eq!(bounced(&w), Some(FgmmCause::DnnNotSupportedInSlice));
    let said = |h: &Happening| matches!(h, Happening::SessionRefused { dnn: Some(d), .. } if d.as_str() == "internet");
    assert_eq!(w.happened(said), 1);
    // The pool does not know it either, though the subscription names it.
    w.refuse_address = Some(AddressRefusal::UnknownDnn);
    w.connect(0, 1, "factory");
    assert_eq!(rejected(&w), Some(FgsmCause::MissingOrUnknownDnn));
    w.refuse_address = Some(AddressRefusal::PoolExhausted);
    w.connect(0, 1, "factory");
    assert_eq!(rejected(&w), Some(FgsmCause::InsufficientResources));
    still_registered(&w);
}

#[test]
fn emergency_and_odd_requests_are_refused() {
    let mut w = world();
    for request in [RequestType::INITIAL_EMERGENCY, RequestType::EXISTING_EMERGENCY, RequestType(7)] {
        w.ues[0].heard.clear();
        let nas = w.ues[0].establish_as(1, 1, Some("corp"), PduSessionType::IPV4, Some(request));
        w.say(0, nas);
        w.run();
        assert_eq!(bounced(&w), Some(FgmmCause::PayloadNotForwarded));
    }
    let nas = w.ues[0].establish_as(3, 1, Some("corp"), PduSessionType::IPV4, Some(RequestType::EXISTING));
    w.say(0, nas);
    w.run();
    assert_eq!(rejected(&w), Some(FgsmCause::PduSessionDoesNotExist));
    let nas = w.ues[0].session_message(5, 4, FgsmBody::ModificationRequest(ModificationRequest::default()));
    w.say(0, nas);
    w.run();
    assert_eq!(
        w.ues[0].session_messages.last().map(|m| m.body.clone()),
        Some(FgsmBody::ModificationReject(FgsmCause::InvalidPduSessionIdentity))
    );
    still_registered(&w);
}

#[test]
fn a_session_identity_used_again_replaces_the_old_session() {
    let mut w = world();
    w.connect(0, 1, "corp");
    let first = w.view(0).unwrap().sessions[0].teid;
    let nas = w.ues[0].establish(1, 77, Some("corp"), PduSessionType::IPV4);
    w.say(0, nas);
    w.run();
    let s = &w.view(0).unwrap().sessions[0];
    assert!(s.phase == SessionPhase::Active && s.teid != first);
    assert_eq!(w.gateway.sessions.len(), 1);
    still_registered(&w);
}

#[test]
fn one_address_per_data_network_a_second_session_takes_it() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.connect(0, 2, "corp");
    let ids: Vec<_> = w.view(0).unwrap().sessions.iter().map(|s| (s.id, s.phase)).collect();
    assert_eq!(ids, [(psi(2), SessionPhase::Active)]);
    assert_eq!(w.ues[0].sessions.keys().collect::<Vec<_>>(), [&2], "the UE was told that the first is over");
    still_registered(&w);
}

#[test]
fn sessions_of_a_ue_are_bounded() {
    let mut c = config();
    c.limits.sessions_per_ue = 1;
    let mut w = World::with_config(1, c);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.connect(0, 2, "factory");
    assert_eq!(bounced(&w), Some(FgmmCause(65)));
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    still_registered(&w);
}

#[test]
fn the_ue_ends_a_session() {
    let mut w = world();
    w.connect(0, 1, "corp");
    let nas = w.ues[0].session_message(1, 8, FgsmBody::ReleaseRequest { cause: None });
    w.say(0, nas);
    w.run();
    let last = w.ues[0].session_messages.last().unwrap();
    assert_eq!(last.pti, 8);
    assert!(matches!(last.body, FgsmBody::ReleaseCommand { cause: FgsmCause::RegularDeactivation, .. }));
    assert_eq!(w.phases(0), []);
    assert!(w.gateway.sessions.is_empty());
    // One that does not exist.
    let nas = w.ues[0].session_message(4, 9, FgsmBody::ReleaseRequest { cause: None });
    w.say(0, nas);
    w.run();
    let last = w.ues[0].session_messages.last().unwrap();
    assert_eq!(last.body, FgsmBody::ReleaseReject(FgsmCause::InvalidPduSessionIdentity));
    still_registered(&w);
}

#[test]
fn the_network_ends_a_session_and_does_not_wait_for_the_ue() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.ues[0].habits.keeps_sessions = true;
    w.input(Input::EndSession { supi: supi(0), id: psi(1) });
    assert!(w.gateway.sessions.is_empty() && w.leases.is_empty());
    assert_eq!(w.phases(0), [SessionPhase::Releasing]);
    w.pass_ms(81_000);
    assert_eq!(w.ues[0].session_messages.len(), 1 + 5);
    assert_eq!(w.phases(0), []);
    still_registered(&w);
    // Of an idle UE it ends without a word.
    w.connect(0, 2, "factory");
    w.go_idle(0);
    w.input(Input::EndSession { supi: supi(0), id: psi(2) });
    assert_eq!(w.phases(0), []);
    w.assert_tidy(0);
}

#[test]
fn a_gnb_without_resources_fails_the_session_not_the_ue() {
    let mut w = world();
    w.gnb_fails_resources = true;
    w.connect(0, 1, "corp");
    assert_eq!(rejected(&w), Some(FgsmCause::InsufficientResources));
    assert!(w.gateway.sessions.is_empty());
    still_registered(&w);
    w.gnb_fails_resources = false;
    w.connect(0, 1, "corp");
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    // One that was up stays, without radio.
    w.go_idle(0);
    w.gnb_fails_resources = true;
    let mut r = w.ues[0].registration(RegistrationType::MobilityUpdating);
    let one: SessionSet = [psi(1)].into_iter().collect();
    (r.pdu_session_status, r.uplink_data_status) = (Some(one), Some(one));
    let nas = w.ues[0].initial(&FgmmMessage::RegistrationRequest(r));
    w.arrive(0, A, nas);
    w.run();
    assert_eq!(w.phases(0), [SessionPhase::Idle]);
    still_registered(&w);
}

#[test]
fn a_silent_gnb_and_a_silent_pool() {
    let mut w = world();
    w.gnb_silent = true;
    w.connect(0, 1, "corp");
    w.pass_ms(11_000);
    assert_eq!(rejected(&w), Some(FgsmCause::InsufficientResources));
    w.gnb_silent = false;
    w.ues[0].session_messages.clear();
    w.pool_silent = true;
    w.connect(0, 1, "corp");
    w.pass_ms(11_000);
    assert_eq!(rejected(&w), Some(FgsmCause::InsufficientResources));
    assert_eq!(w.phases(0), []);
}

#[test]
fn an_address_that_comes_too_late_is_given_back() {
    let mut w = world();
    w.pool_silent = true;
    let nas = w.ues[0].establish(1, 1, Some("corp"), PduSessionType::IPV4);
    w.say(0, nas);
    w.run();
    w.pass_ms(11_000);
    // The pool wakes up.
    let dnn: Dnn = "corp".parse().unwrap();
    w.leases.insert((supi(0), dnn), (psi(1), "10.20.0.2".parse().unwrap()));
    let late =
        SessionAddress { ip: UeIp("10.20.0.2".parse().unwrap()), prefix: None, dns: vec![], mtu: 1358 };
    w.input(Input::Address { txn: TxnId(3), result: Ok(late) });
    still_registered(&w);
}

#[test]
fn a_gateway_that_refuses_or_is_silent_or_away() {
    let mut w = world();
    w.gateway.refuses = true;
    w.connect(0, 1, "corp");
    assert_eq!(rejected(&w), Some(FgsmCause::NetworkFailure));
    w.gateway.refuses = false;
    w.gateway.silent = true;
    w.ues[0].session_messages.clear();
    let before = w.gateway.requests;
    w.connect(0, 1, "corp");
    w.pass_ms(13_000);
    assert_eq!(w.gateway.requests - before, 4, "N1 = 3 retransmissions");
    assert_eq!(rejected(&w), Some(FgsmCause::NetworkFailure));
    w.gateway.silent = false;
    w.input(Input::N4Down);
    w.ues[0].session_messages.clear();
    w.connect(0, 1, "corp");
    assert_eq!(rejected(&w), Some(FgsmCause::InsufficientResources));
    still_registered(&w);
    w.gateway_up();
    w.run();
    w.connect(0, 1, "corp");
    assert_eq!(w.phases(0), [SessionPhase::Active]);
}

#[test]
fn who_was_refused_by_the_gateway_waits_before_it_asks_again() {
    let backoff = |w: &World| {
        w.ues[0].session_messages.iter().rev().find_map(|m| match &m.body {
            FgsmBody::EstablishmentReject(r) => Some((r.cause, r.backoff)),
            FgsmBody::ReleaseCommand { cause, backoff } => Some((*cause, *backoff)),
            _ => None,
        })
    };
    let ten_seconds = Some(Timer::Seconds(10));
    let mut w = world();
    w.gateway.refuses = true;
    w.connect(0, 1, "corp");
    assert_eq!(backoff(&w), Some((FgsmCause::NetworkFailure, ten_seconds)));
    w.gateway.refuses = false;
    // Made, but not turned to this radio: the UE has its accept by then.
    w.gateway.refuses_changes = true;
    w.connect(0, 1, "corp");
    assert_eq!(backoff(&w), Some((FgsmCause::InsufficientResources, ten_seconds)));
    assert_eq!((w.phases(0), w.gateway.sessions.len()), (vec![], 0));
    // One that was up is asked for again at once.
    w.gateway.refuses_changes = false;
    w.connect(0, 1, "corp");
    w.go_idle(0);
    w.gateway.refuses_changes = true;
    comes_back_with_data(&mut w);
    assert_eq!(backoff(&w), Some((FgsmCause::ReactivationRequested, None)));
    still_registered(&w);
}

#[test]
fn a_gateway_that_was_restarted_gets_its_sessions_with_their_tunnels() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.connect(0, 2, "factory");
    w.go_idle(0);
    let mut r = w.ues[0].registration(RegistrationType::MobilityUpdating);
    let both: SessionSet = [psi(1), psi(2)].into_iter().collect();
    let one: SessionSet = [psi(1)].into_iter().collect();
    (r.pdu_session_status, r.uplink_data_status) = (Some(both), Some(one));
    let nas = w.ues[0].initial(&FgmmMessage::RegistrationRequest(r));
    w.arrive(0, A, nas);
    w.run();
    let shape = |w: &World| {
        let mut v: Vec<_> = w.gateway.sessions.values().map(|h| (h.id, h.ip, h.teid, h.downlink)).collect();
        v.sort();
        v
    };
    let before = shape(&w);
    assert_eq!(before.iter().filter(|s| s.3.is_some()).count(), 1);
    w.input(Input::N4Down);
    w.gateway.sessions.clear();
    w.input(Input::N4Up { recovery: 2, sessions: vec![] });
    assert_eq!(shape(&w), before);
    assert!(w.gateway.sessions.values().all(|h| !h.chosen), "F-TEIDs were given, not chosen");
    assert_eq!(w.happened(|h| *h == Happening::Gateway { up: true }), 2);
    w.assert_tidy(1);
}

#[test]
fn what_ended_while_the_gateway_was_away_ends_there_too() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.input(Input::N4Down);
    w.input(Input::Ban { supi: supi(0), cause: FgmmCause::IllegalUe });
    assert_eq!(w.gateway.sessions.len(), 1, "it could not be told");
    w.gateway_up();
    w.run();
    assert!(w.gateway.sessions.is_empty());
    w.assert_tidy(0);
}

/// The control process is killed and comes back: the gateway goes on.
fn restarted(w: &mut World, config: AmfConfig) {
    w.amf = Amf::new(config, w.now, [8; 32]);
    w.places.iter_mut().for_each(|p| *p = None);
    w.gnb_up(A, 1);
    w.gateway_up();
    w.run();
}

#[test]
fn after_a_restart_sessions_are_adopted_and_a_new_registration_replaces_them() {
    let mut w = world();
    w.connect(0, 1, "corp");
    restarted(&mut w, config());
    assert_eq!(w.gateway.sessions.len(), 1, "no packet is lost");
    assert_eq!(w.phases(0), [SessionPhase::Adopted]);
    assert_eq!(w.view(0).unwrap().guti, None);
    // The UE asks for service with an identity that nobody knows, and then registers anew.
    let g = w.ues[0].guti.unwrap();
    let m = FgmmMessage::ServiceRequest(ServiceRequest {
        ngksi: w.ues[0].ksi,
        service_type: ServiceType::DATA,
        s_tmsi: wire::nas::fgs::STmsi { set: g.amf.set, pointer: g.amf.pointer, tmsi: g.tmsi },
        uplink_data_status: None,
        pdu_session_status: None,
        nas_container: None,
    });
    let nas = w.ues[0].initial(&m);
    w.arrive(0, A, nas);
    w.run();
    assert_eq!(
        w.ues[0].heard.last(),
        Some(&FgmmMessage::ServiceReject(ServiceReject::new(FgmmCause::UeIdentityCannotBeDerived)))
    );
    assert_eq!(w.gateway.sessions.len(), 1);
    w.ues[0].forget();
    w.attach(0, A);
    w.connect(0, 1, "corp");
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    still_registered(&w);
}

#[test]
fn an_adopted_session_is_made_anew_with_both_ends_when_the_gateway_restarts_before_its_ue_speaks() {
    let mut c = config();
    c.n3_address = Some("10.0.0.100".parse().unwrap());
    let mut w = world();
    w.connect(0, 1, "corp");
    restarted(&mut w, c);
    let before = w.gateway.sessions.values().next().unwrap();
    let (teid, downlink) = (before.teid, before.downlink);
    assert!(downlink.is_some());
    // The gateway dies and comes back empty.
    w.input(Input::N4Down);
    w.gateway.sessions.clear();
    w.input(Input::N4Up { recovery: 2, sessions: vec![] });
    assert_eq!(w.phases(0), [SessionPhase::Adopted]);
    let held = w.gateway.sessions.values().next().expect("it is made anew");
    assert_eq!((held.teid, held.downlink), (teid, downlink));
    assert!(!held.chosen);
    // It is ended by its new name.
    w.input(Input::EndSession { supi: supi(0), id: psi(1) });
    assert!(w.gateway.sessions.is_empty());
}

#[test]
fn after_a_restart_a_ue_that_still_holds_its_session_keeps_it() {
    let mut c = config();
    c.n3_address = Some("10.0.0.100".parse().unwrap());
    let mut w = world();
    w.connect(0, 1, "corp");
    let before = w.gateway.sessions.values().next().unwrap().teid;
    restarted(&mut w, c);
    let mut r = w.ues[0].registration(RegistrationType::MobilityUpdating);
    let one: SessionSet = [psi(1)].into_iter().collect();
    (r.pdu_session_status, r.uplink_data_status) = (Some(one), Some(one));
    w.ues[0].request = Some(r.clone());
    let nas = w.ues[0].initial(&FgmmMessage::RegistrationRequest(r));
    w.ues[0].context = None;
    w.arrive(0, A, nas);
    w.run();
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    let held = w.gateway.sessions.values().next().unwrap();
    assert!(held.teid == before && held.downlink.is_some());
    still_registered(&w);
}

#[test]
fn an_adopted_session_ends_by_a_ban_by_hand_and_by_time() {
    for how in 0..3 {
        let mut w = world();
        w.connect(0, 1, "corp");
        restarted(&mut w, config());
        match how {
            0 => w.input(Input::Ban { supi: supi(0), cause: FgmmCause::IllegalUe }),
            1 => w.input(Input::EndSession { supi: supi(0), id: psi(1) }),
            _ => w.pass_ms(3_840_000 + 240_000),
        }
        assert!(w.gateway.sessions.is_empty());
        assert_eq!(w.view(0), None);
        w.assert_tidy(0);
    }
}

#[test]
fn the_gateway_says_that_the_gnb_has_forgotten_its_tunnel() {
    use wire::pfcp;
    let mut w = world();
    w.connect(0, 1, "corp");
    let cp = w.gateway.sessions.values().next().unwrap().cp_seid;
    let report = pfcp::SessionReportRequest {
        report_type: pfcp::ReportType(4),
        error_indication_report: Some(pfcp::ErrorIndicationReport {
            remote_f_teid: pfcp::FTeid::Given { teid: 1, v4: Some([10, 0, 0, 1].into()), v6: None },
            others: vec![],
        }),
        ..Default::default()
    };
    let pdu = pfcp::Pdu { seid: Some(cp), sequence: 5, message: report.into() };
    w.input(Input::N4(pdu.encode()));
    assert_eq!(w.phases(0), [SessionPhase::Idle]);
    assert_eq!(w.gateway.sessions.values().next().unwrap().downlink, None);
}

#[test]
fn a_heartbeat_is_answered() {
    use wire::pfcp;
    let mut w = world();
    let heartbeat = pfcp::HeartbeatRequest { recovery: pfcp::RecoveryTimeStamp(1), others: vec![] };
    let pdu = pfcp::Pdu { seid: None, sequence: 0x77, message: heartbeat.into() };
    w.amf.handle(Input::N4(pdu.encode()), w.now);
    let Some(Output::N4(bytes)) = w.amf.poll_output() else { panic!() };
    let answer = pfcp::Pdu::parse(&bytes).unwrap();
    assert_eq!(answer.sequence, 0x77);
    let pfcp::Message::HeartbeatResponse(m) = answer.message else { panic!() };
    // 2027-01-15T08:00:00Z, when this world began, in seconds since 1900.
    assert_eq!(m.recovery.0, (1_800_000_000i64 + 2_208_988_800) as u32);
}

#[test]
fn garbage_from_the_gateway_changes_nothing() {
    let mut w = world();
    w.connect(0, 1, "corp");
    for bytes in [
        vec![],
        vec![0x20],
        vec![0x20, 1, 0, 4, 0, 0, 1, 0],
        vec![0x21, 51, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 0],
    ] {
        w.input(Input::N4(bytes));
    }
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    still_registered(&w);
}

#[test]
fn resources_for_the_ue_go_with_its_accept() {
    let mut w = world();
    w.connect(0, 1, "corp");
    let setups: Vec<_> = w
        .sent
        .iter()
        .filter_map(|(_, m)| match m {
            Message::PduSessionResourceSetupRequest(m) => Some(m),
            _ => None,
        })
        .collect();
    assert_eq!(setups.len(), 1);
    assert!(setups[0].sessions[0].nas.is_some());
    assert_eq!(setups[0].ue_ambr.map(|a| (a.dl_bps, a.ul_bps)), Some((200_000_000, 100_000_000)));
}

#[test]
fn a_gateway_that_is_back_before_its_absence_was_noticed() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.gateway.silent = true;
    w.connect(0, 2, "factory");
    w.gateway.silent = false;
    w.gateway_up();
    w.run();
    assert_eq!(rejected(&w), Some(FgsmCause::NetworkFailure));
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    still_registered(&w);
}

#[test]
fn an_initial_registration_while_connected_ends_the_sessions_at_the_gnb_too() {
    let mut w = world();
    w.connect(0, 1, "corp");
    let nas = w.ues[0].register(RegistrationType::Initial);
    w.say(0, nas);
    w.run();
    assert_eq!(w.phases(0), []);
    assert!(w.sent.iter().any(|(_, m)| matches!(m, Message::PduSessionResourceReleaseCommand(_))));
    still_registered(&w);
}

/// TS 24.501 §6.3.3.5: what the UE asks of a session that the network ends meets nothing, and the end goes on.
#[test]
fn both_sides_end_or_change_a_session_at_once() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.ues[0].habits.keeps_sessions = true;
    w.input(Input::EndSession { supi: supi(0), id: psi(1) });
    let before = w.ues[0].session_messages.len();
    for body in [
        FgsmBody::ReleaseRequest { cause: None },
        FgsmBody::ModificationRequest(ModificationRequest::default()),
    ] {
        let nas = w.ues[0].session_message(1, 9, body);
        w.say(0, nas);
        w.run();
    }
    assert_eq!((w.refused("session-is-ending"), w.ues[0].session_messages.len()), (2, before));
    w.pass_ms(16_000);
    let last = w.ues[0].session_messages.last().unwrap();
    assert!(matches!(last.body, FgsmBody::ReleaseCommand { .. }) && last.pti == 0);
    w.ues[0].habits.keeps_sessions = false;
    w.pass_ms(16_000);
    assert_eq!(w.phases(0), []);
    // It asks twice in one transaction (T3582): it gets the same answer twice, and one end.
    w.connect(0, 1, "corp");
    w.ues[0].habits.keeps_sessions = true;
    for _ in 0..2 {
        let nas = w.ues[0].session_message(1, 9, FgsmBody::ReleaseRequest { cause: None });
        w.say(0, nas);
        w.run();
    }
    let commands = w.ues[0].session_messages.iter().rev().take(2);
    assert!(
        commands
            .map(|m| (m.pti, m.body.clone()))
            .all(|(pti, b)| { pti == 9 && matches!(b, FgsmBody::ReleaseCommand { .. }) })
    );
    assert_eq!(w.happened(|h| matches!(h, Happening::SessionDown { .. })), 2);
    still_registered(&w);
}

/// What the UE was told of a session's rates, last.
fn told_rates(w: &World) -> Option<SessionAmbr> {
    w.ues[0].session_messages.iter().rev().find_map(|m| match &m.body {
        FgsmBody::ModificationCommand(c) => c.ambr,
        _ => None,
    })
}

fn rates(ul_bps: u64, dl_bps: u64) -> Input {
    let subscription = Subscription { ambr_ul_bps: ul_bps, ambr_dl_bps: dl_bps, ..subscription(supi(0)) };
    Input::Subscribed(subscription)
}

#[test]
fn new_rates_are_in_force_at_once_and_told_to_gnb_and_ue() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.sent.clear();
    w.input(rates(3_000_000, 4_000_000));
    assert_eq!(w.gateway.sessions.values().map(|h| h.rates).collect::<Vec<_>>(), [Some((3_000, 4_000))]);
    assert_eq!(told_rates(&w), Some(SessionAmbr { dl_bps: 4_000_000, ul_bps: 3_000_000 }));
    let of_gnb = w.sent.iter().find_map(|(_, m)| match m {
        Message::PduSessionResourceModifyRequest(m) => Some(m.sessions[0].transfer.clone()),
        _ => None,
    });
    let told = transfer::ModifyRequest::decode(&of_gnb.unwrap()).unwrap().ambr;
    assert_eq!(told, Some(Ambr { dl_bps: 4_000_000, ul_bps: 3_000_000 }));
    let of_ue = w.sent.iter().find_map(|(_, m)| match m {
        Message::UeContextModificationRequest(m) => m.ue_ambr,
        _ => None,
    });
    assert_eq!(of_ue, Some(Ambr { dl_bps: 4_000_000, ul_bps: 3_000_000 }));
    // The same once more is no change.
    w.sent.clear();
    w.input(rates(3_000_000, 4_000_000));
    assert_eq!(w.sent, []);
    still_registered(&w);
    w.assert_tidy(1);
}

#[test]
fn an_idle_ue_learns_its_new_rates_when_it_is_back() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.go_idle(0);
    w.input(rates(3_000_000, 4_000_000));
    assert_eq!(w.gateway.sessions.values().map(|h| h.rates).collect::<Vec<_>>(), [Some((3_000, 4_000))]);
    assert_eq!(told_rates(&w), None);
    comes_back_with_data(&mut w);
    assert_eq!(told_rates(&w), Some(SessionAmbr { dl_bps: 4_000_000, ul_bps: 3_000_000 }));
    still_registered(&w);
    w.assert_tidy(1);
}

#[test]
fn a_ue_that_does_not_confirm_its_rates_hears_them_five_times_and_keeps_its_session() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.ues[0].habits.keeps_rates = true;
    w.input(rates(3_000_000, 4_000_000));
    // Twice in a row: what is under way is finished first.
    w.input(rates(5_000_000, 6_000_000));
    w.pass_ms(90_000);
    let heard = w.ues[0]
        .session_messages
        .iter()
        .filter(|m| matches!(m.body, FgsmBody::ModificationCommand(_)))
        .count();
    assert_eq!((heard, w.refused("no-modification-complete")), (5, 1));
    assert_eq!(w.gateway.sessions.values().map(|h| h.rates).collect::<Vec<_>>(), [Some((5_000, 6_000))]);
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    w.assert_tidy(1);
}

#[test]
fn a_network_that_is_taken_from_a_sim_ends_there_and_the_others_stay() {
    let mut w = world();
    w.connect(0, 1, "corp");
    w.connect(0, 2, "factory");
    let mut less = subscription(supi(0));
    less.dnns.retain(|d| d.as_str() == "corp");
    w.input(Input::Subscribed(less));
    let names: Vec<String> = w.gateway.sessions.values().map(|h| h.dnn.to_string()).collect();
    assert_eq!((names, w.ues[0].sessions.len()), (vec!["corp".to_owned()], 1));
    still_registered(&w);
    w.assert_tidy(1);
}

#[test]
fn a_change_that_a_ue_asks_for_is_answered() {
    let mut w = world();
    w.connect(0, 1, "corp");
    // Its options, once more.
    let request = ModificationRequest { epco: Some(Epco::ordinary_request()), ..Default::default() };
    let nas = w.ues[0].session_message(1, 7, FgsmBody::ModificationRequest(request));
    w.say(0, nas);
    w.run();
    let last = w.ues[0].session_messages.last().unwrap();
    let FgsmBody::ModificationCommand(c) = &last.body else { panic!("{last:?}") };
    assert_eq!((last.pti, c.ambr, c.epco.as_ref().map(|e| e.dns().len())), (7, None, Some(1)));
    // Another flow, and one that cannot be read.
    let request = ModificationRequest { flows: vec![QosFlow::create(3, 7)], ..Default::default() };
    let nas = w.ues[0].session_message(1, 8, FgsmBody::ModificationRequest(request));
    w.say(0, nas);
    w.run();
    assert_eq!(
        w.ues[0].session_messages.last().map(|m| (m.pti, m.body.clone())),
        Some((8, FgsmBody::ModificationReject(FgsmCause::ServiceOptionNotSupported)))
    );
    let bad = FgmmMessage::UlNasTransport(UlNasTransport {
        kind: ContainerType::N1_SM,
        payload: vec![0x2e, 1, 9, 0xc9, 0x7a, 0, 4, 1, 0, 200, 0x31],
        session: Some(psi(1)),
        request: None,
        slice: None,
        dnn: None,
    });
    let nas = w.ues[0].protect(&bad);
    w.say(0, nas);
    w.run();
    assert_eq!(
        w.ues[0].session_messages.last().map(|m| (m.pti, m.body.clone())),
        Some((9, FgsmBody::ModificationReject(FgsmCause::InvalidMandatoryInformation)))
    );
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    still_registered(&w);
    w.assert_tidy(1);
}
