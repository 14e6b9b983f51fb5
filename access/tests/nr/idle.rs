//! Stories of idle UEs: what a report of the gateway leads to, state by state.

use crate::world::*;
use access::nr::*;
use types::*;
use wire::nas::fgs::*;
use wire::ngap::Message;
use wire::pfcp;

/// Two gNBs, a UE with two sessions, idle.
fn idle() -> World {
    let mut w = World::new(1);
    w.gnb_up(B, 2);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.connect(0, 2, "factory");
    w.go_idle(0);
    w
}

/// A packet waits for this session.
fn data_waits(w: &mut World, id: u8) {
    let held = w.gateway.sessions.values().find(|h| u8::from(h.id) == id).expect("a session");
    let report = pfcp::SessionReportRequest {
        report_type: pfcp::ReportType(1),
        downlink_data_report: Some(pfcp::DownlinkDataReport {
            pdr_ids: vec![pfcp::PdrId(2)],
            others: vec![],
        }),
        ..Default::default()
    };
    let pdu = pfcp::Pdu { seid: Some(held.cp_seid), sequence: 5, message: report.into() };
    w.input(Input::N4(pdu.encode()));
}

/// Whom each Paging named, and where it went.
fn pages(w: &World) -> Vec<(AssocId, FgTmsi)> {
    let page = |(assoc, m): &(AssocId, Message)| match m {
        Message::Paging(p) => Some((*assoc, p.s_tmsi.tmsi)),
        _ => None,
    };
    w.sent.iter().filter_map(page).collect()
}

fn service(w: &mut World, service_type: ServiceType, data: Option<SessionSet>) {
    let g = w.ues[0].guti.unwrap();
    let m = FgmmMessage::ServiceRequest(ServiceRequest {
        ngksi: w.ues[0].ksi,
        service_type,
        s_tmsi: STmsi { set: g.amf.set, pointer: g.amf.pointer, tmsi: g.tmsi },
        uplink_data_status: data,
        pdu_session_status: None,
        nas_container: None,
    });
    let nas = w.ues[0].initial(&m);
    w.arrive(0, A, nas);
    w.run();
}

const ACTIVE: SessionPhase = SessionPhase::Active;
const IDLE: SessionPhase = SessionPhase::Idle;

#[test]
fn a_ue_is_called_at_every_gnb_of_its_area_and_gets_the_user_plane_that_is_wanted() {
    let mut w = idle();
    assert!(w.gateway.sessions.values().all(|h| h.waits), "packets wait while the UE is idle");
    let tmsi = w.ues[0].guti.unwrap().tmsi;
    data_waits(&mut w, 2);
    assert_eq!(pages(&w), [(A, tmsi), (B, tmsi)]);
    // A second packet, of either session, calls nobody twice.
    data_waits(&mut w, 2);
    data_waits(&mut w, 1);
    assert_eq!(pages(&w).len(), 2);
    w.pass_ms(4_000);
    assert_eq!(pages(&w).len(), 4);
    service(&mut w, ServiceType::MOBILE_TERMINATED, None);
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Connected), vec![ACTIVE, ACTIVE]));
    w.pass_ms(60_000);
    assert_eq!(pages(&w).len(), 4, "it has come");
    // One session is wanted: one gets its radio.
    w.go_idle(0);
    data_waits(&mut w, 2);
    service(&mut w, ServiceType::MOBILE_TERMINATED, None);
    assert_eq!(w.phases(0), [IDLE, ACTIVE]);
    // The UE is connected: the other one follows without a call, and so does one that the gNB had failed to give.
    let before = pages(&w).len();
    w.gnb_fails_resources = true;
    data_waits(&mut w, 1);
    assert_eq!(w.phases(0), [IDLE, ACTIVE]);
    w.gnb_fails_resources = false;
    data_waits(&mut w, 1);
    assert_eq!((w.phases(0), pages(&w).len()), (vec![ACTIVE, ACTIVE], before));
    w.assert_tidy(1);
}

#[test]
fn each_reason_to_come_brings_what_waits_and_an_emergency_brings_nothing() {
    let one: SessionSet = [PduSessionId::try_from(1).unwrap()].into_iter().collect();
    for (service_type, data, phases) in [
        (ServiceType::SIGNALLING, None, [IDLE, ACTIVE]),
        (ServiceType::DATA, Some(one), [ACTIVE, ACTIVE]),
        (ServiceType::MOBILE_TERMINATED, None, [IDLE, ACTIVE]),
        // High priority and what is not known count as signalling or data.
        (ServiceType(5), Some(one), [ACTIVE, ACTIVE]),
        (ServiceType(7), None, [IDLE, ACTIVE]),
        (ServiceType::EMERGENCY, Some(one), [IDLE, IDLE]),
        (ServiceType::EMERGENCY_FALLBACK, Some(one), [IDLE, IDLE]),
    ] {
        let mut w = idle();
        data_waits(&mut w, 2);
        service(&mut w, service_type, data);
        assert_eq!(w.phases(0), phases, "{service_type:?}");
        let refused = matches!(
            w.ues[0].heard.last(),
            Some(FgmmMessage::ServiceReject(r)) if r.cause == FgmmCause::FgsServicesNotAllowed
        );
        assert_eq!(refused, service_type.is_emergency());
    }
}

#[test]
fn of_two_identities_that_it_may_have_both_are_called() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.go_idle(0);
    let old = w.ues[0].guti.unwrap().tmsi;
    // Its update is accepted, and the radio is lost before anybody knows whether it has the new identity.
    w.ues[0].habits.no_complete = true;
    let nas = w.ues[0].register(RegistrationType::MobilityUpdating);
    w.arrive(0, A, nas);
    w.run();
    let new = w.view(0).unwrap().guti.unwrap().tmsi;
    w.go_idle(0);
    assert_ne!(old, new);
    data_waits(&mut w, 1);
    w.pass_ms(20_000);
    let named: Vec<_> = pages(&w).into_iter().map(|(_, t)| t).collect();
    assert_eq!(named, [old, new, old]);
    assert_eq!(w.refused("paging-failed"), 1);
    assert!(w.gateway.sessions.values().all(|h| !h.waits), "nothing waits for who does not come");
    w.pass_ms(30_000);
    assert!(w.gateway.sessions.values().all(|h| h.waits));
    w.assert_tidy(0);
}

#[test]
fn a_periodic_update_that_meets_a_packet_is_not_let_go() {
    let mut w = idle();
    data_waits(&mut w, 1);
    let mut r = w.ues[0].registration(RegistrationType::PeriodicUpdating);
    (r.follow_on, r.security_capability) = (false, None);
    let nas = w.ues[0].initial(&FgmmMessage::RegistrationRequest(r));
    w.arrive(0, A, nas);
    w.run();
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Connected), vec![ACTIVE, IDLE]));
    // Its packets come while it is about to be let go.
    w.go_idle(0);
    let mut r = w.ues[0].registration(RegistrationType::PeriodicUpdating);
    (r.follow_on, r.security_capability) = (false, None);
    w.ues[0].habits.no_complete = true;
    let nas = w.ues[0].initial(&FgmmMessage::RegistrationRequest(r));
    w.arrive(0, A, nas);
    w.run();
    data_waits(&mut w, 2);
    let complete = w.ues[0].protect(&FgmmMessage::RegistrationComplete);
    w.say(0, complete);
    w.run();
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Connected), vec![IDLE, ACTIVE]));
    w.assert_tidy(1);
}

#[test]
fn who_was_silent_for_too_long_is_not_called_and_comes_back_whole() {
    let mut w = idle();
    w.pass_ms(3_840_000);
    assert!(w.gateway.sessions.values().all(|h| !h.waits));
    data_waits(&mut w, 1);
    assert_eq!(pages(&w), []);
    // It had only lost its way: nothing of it is gone, and it can be called again.
    service(&mut w, ServiceType::SIGNALLING, None);
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Connected), vec![IDLE, IDLE]));
    assert!(w.gateway.sessions.values().all(|h| h.waits));
    w.pass_ms(240_000);
    assert_eq!(w.state(0), Some(UeState::Connected));
    w.go_idle(0);
    data_waits(&mut w, 1);
    assert_eq!(pages(&w).len(), 2);
    w.assert_tidy(0);
}

#[test]
fn reports_of_what_is_gone_or_busy_change_nothing() {
    let mut w = idle();
    let stale = w.gateway.sessions.values().next().unwrap().clone();
    service(&mut w, ServiceType::DATA, Some([1, 2].map(|n| n.try_into().unwrap()).into_iter().collect()));
    data_waits(&mut w, 1);
    assert_eq!((w.refused("data-for-a-busy-session"), pages(&w)), (1, vec![]));
    w.input(Input::EndSession { supi: supi(0), id: stale.id });
    let report = pfcp::SessionReportRequest {
        report_type: pfcp::ReportType(1),
        downlink_data_report: Some(pfcp::DownlinkDataReport::default()),
        ..Default::default()
    };
    let pdu = pfcp::Pdu { seid: Some(stale.cp_seid), sequence: 6, message: report.into() };
    w.input(Input::N4(pdu.encode()));
    assert_eq!((w.phases(0), pages(&w)), (vec![ACTIVE], vec![]));
    w.assert_tidy(1);
}
