//! Registration: the straight road, and each way off it.

use crate::ue::plmn;
use crate::world::*;
use access::nr::*;
use types::*;
use wire::nas::fgs::*;
use wire::nas::security::{Nea, Nia};
use wire::ngap::{self, Message};

fn registered(w: &World) -> usize {
    w.happened(|h| matches!(h, Happening::Registered { .. }))
}

fn reject_cause(w: &World, u: usize) -> Option<FgmmCause> {
    w.ues[u].heard.iter().rev().find_map(|m| match m {
        FgmmMessage::RegistrationReject(r) => Some(r.cause),
        _ => None,
    })
}

pub fn heard(w: &World, u: usize) -> Vec<&'static str> {
    w.ues[u].heard.iter().map(FgmmMessage::name).collect()
}

#[test]
fn a_sim_attaches_gets_its_address_and_leaves() {
    let mut w = World::new(1);
    w.attach(0, A);
    assert_eq!(
        heard(&w, 0),
        ["AuthenticationRequest", "SecurityModeCommand", "RegistrationAccept"],
        "the straight road"
    );
    assert_eq!(w.ues[0].protected, [false, true, true]);
    assert_eq!(w.state(0), Some(UeState::Connected));
    assert_eq!(registered(&w), 1);
    let view = w.view(0).unwrap();
    assert_eq!(view.pei, Some(w.ues[0].imeisv));
    assert_eq!(view.guti, w.ues[0].guti);
    assert_eq!((view.gnb.as_deref(), view.cell), (Some("gnb-1"), Some(0x10)));
    let FgmmMessage::RegistrationAccept(accept) = &w.ues[0].heard[2] else { panic!() };
    assert_eq!(accept.allowed_nssai, [snssai()]);
    assert_eq!(accept.configured_nssai, [snssai()]);
    assert_eq!(accept.tai_list, [Tai { plmn: plmn(), tac: tac() }]);
    assert_eq!(accept.t3512, Some(Timer::Seconds(3_600)));

    w.connect(0, 1, "corp");
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    let held = w.gateway.sessions.values().next().unwrap().clone();
    assert_eq!(w.ues[0].sessions[&1], held.ip);
    assert!(held.downlink.is_some() && held.chosen);
    let FgsmBody::EstablishmentAccept(a) = &w.ues[0].session_messages[0].body else { panic!() };
    let epco = a.epco.as_ref().unwrap();
    assert_eq!((epco.dns(), epco.mtu()), (vec!["10.0.0.53".parse().unwrap()], Some(1358)));
    assert_eq!((a.session_type, a.cause, a.ssc_mode), (PduSessionType::IPV4, None, 1));
    assert_eq!(a.ambr, SessionAmbr { dl_bps: 200_000_000, ul_bps: 100_000_000 });
    w.assert_tidy(1);

    let nas = w.ues[0].deregister();
    w.say(0, nas);
    w.run();
    assert_eq!(heard(&w, 0).last(), Some(&"DeregistrationAccept (UE originating)"));
    assert_eq!(w.state(0), None);
    assert!(w.gateway.sessions.is_empty() && w.leases.is_empty());
    assert_eq!(w.happened(|h| *h == Happening::Deregistered { by_network: false, confirmed: true }), 1);
    assert_eq!(w.happened(|h| matches!(h, Happening::SessionDown { .. })), 1);
    w.assert_tidy(0);
}

#[test]
fn the_keys_of_the_radio_are_those_of_the_ue() {
    let mut w = World::new(1);
    w.attach(0, A);
    let keys: Vec<_> = w
        .sent
        .iter()
        .filter_map(|(_, m)| match m {
            Message::InitialContextSetupRequest(m) => Some(m.key.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 1);
    w.go_idle(0);
    let nas = w.ues[0].register(RegistrationType::PeriodicUpdating);
    w.arrive(0, A, nas);
    w.run();
    let Some((_, Message::InitialContextSetupRequest(m))) =
        w.sent.iter().rev().find(|(_, m)| matches!(m, Message::InitialContextSetupRequest(_)))
    else {
        panic!()
    };
    assert!(m.key != keys[0], "a new connection has a new KgNB");
}

#[test]
fn what_the_radio_of_a_ue_can_do_is_told_to_its_next_gnb() {
    let mut w = World::new(1);
    w.attach(0, A);
    let indicate = |w: &mut World, octets: usize| {
        let place = w.places[0].as_ref().unwrap();
        let m = wire::ngap::UeRadioCapabilityInfoIndication {
            amf_ue_id: place.amf.unwrap(),
            ran_ue_id: place.ran,
            radio_capability: Some(vec![0x5a; octets]),
        };
        let assoc = place.assoc;
        w.gnb_says(assoc, Message::UeRadioCapabilityInfoIndication(m));
        w.run();
    };
    let told = |w: &mut World, kind| {
        w.go_idle(0);
        let nas = w.ues[0].register(kind);
        w.arrive(0, A, nas);
        w.run();
        w.sent.iter().rev().find_map(|(_, m)| match m {
            Message::InitialContextSetupRequest(m) => Some(m.radio_capability.as_ref().map(Vec::len)),
            _ => None,
        })
    };
    indicate(&mut w, 300);
    assert_eq!(told(&mut w, RegistrationType::PeriodicUpdating), Some(Some(300)));
    indicate(&mut w, 20_000);
    assert_eq!(w.refused("radio-capability"), 1);
    assert_eq!(told(&mut w, RegistrationType::PeriodicUpdating), Some(Some(300)));
    assert_eq!(told(&mut w, RegistrationType::MobilityUpdating), Some(None));
}

#[test]
fn fifty_ues_on_three_gnbs() {
    let mut w = World::new(50);
    w.gnb_up(B, 2);
    w.gnb_up(AssocId(3), 3);
    w.run();
    // All at once: their messages lie between one another.
    for u in 0..50 {
        let nas = w.ues[u].register(RegistrationType::Initial);
        w.arrive(u, AssocId(1 + u as u64 % 3), nas);
    }
    w.run();
    for u in 0..50 {
        let nas = w.ues[u].establish(1, 1, Some("corp"), PduSessionType::IPV4);
        w.say(u, nas);
        let nas = w.ues[u].establish(2, 2, Some("factory"), PduSessionType::IPV4);
        w.say(u, nas);
    }
    w.run();
    assert_eq!(w.gateway.sessions.len(), 100);
    assert!((0..50).all(|u| w.phases(u) == [SessionPhase::Active; 2]));
    assert_eq!(w.amf.gnbs().map(|g| g.ues).collect::<Vec<_>>(), [17, 17, 16]);
    w.assert_tidy(50);
    // One gNB fails: its UEs are idle, nobody else notices.
    w.input(Input::AssocDown { assoc: B });
    let idle = (0..50).filter(|u| w.state(*u) == Some(UeState::Idle)).count();
    assert_eq!(idle, 17);
    let open = w.gateway.sessions.values().filter(|h| h.downlink.is_some()).count();
    assert_eq!((w.gateway.sessions.len(), open), (100, 66));
}

#[test]
fn refusals_of_hss_come_under_integrity_with_their_cause() {
    for (cause, reason, backoff) in [
        (FgmmCause::IllegalUe, RefusalReason::Stolen, None),
        (FgmmCause::Congestion, RefusalReason::Suspended, Some(600)),
        (FgmmCause::IllegalMe, RefusalReason::DeviceMismatch, None),
    ] {
        let mut w = World::new(1);
        w.sims.get_mut(&supi(0)).unwrap().verdict = Err(refusal(cause, reason, backoff));
        w.attach(0, A);
        let FgmmMessage::RegistrationReject(r) = w.ues[0].heard.last().unwrap() else { panic!() };
        assert_eq!(r.cause, cause);
        assert_eq!(r.t3346, backoff.map(Timer::Seconds));
        assert_eq!(w.ues[0].protected.last(), Some(&true));
        assert_eq!(w.state(0), None);
        let said = |h: &Happening| {
            matches!(h, Happening::RegistrationRefused { authenticated: true, cause: c, reason: r, tai: Some(_), .. }
                if *c == cause && *r == reason)
        };
        assert_eq!(w.happened(said), 1);
        w.assert_tidy(0);
    }
}

#[test]
fn an_unknown_sim_is_refused_as_a_claim() {
    let mut w = World::new(1);
    w.sims.get_mut(&supi(0)).unwrap().unknown = true;
    w.attach(0, A);
    assert_eq!(reject_cause(&w, 0), Some(FgmmCause::IllegalUe));
    assert_eq!(w.ues[0].protected, [false]);
    assert_eq!(w.happened(|h| matches!(h, Happening::RegistrationRefused { authenticated: false, .. })), 1);
    w.assert_tidy(0);
}

#[test]
fn a_wrong_response_is_rejected_and_recorded_as_a_claim() {
    let mut w = World::new(1);
    w.ues[0].habits.wrong_res = true;
    w.attach(0, A);
    assert_eq!(heard(&w, 0), ["AuthenticationRequest", "AuthenticationReject"]);
    let said = |h: &Happening| {
        matches!(
            h,
            Happening::RegistrationRefused { authenticated: false, reason: RefusalReason::WrongResponse, .. }
        )
    };
    assert_eq!(w.happened(said), 1);
    w.assert_tidy(0);
}

#[test]
fn one_mac_failure_asks_for_the_identity_and_tries_once_more() {
    let mut w = World::new(1);
    w.ues[0].habits.mac_failures = 1;
    w.attach(0, A);
    assert_eq!(
        heard(&w, 0),
        [
            "AuthenticationRequest",
            "IdentityRequest",
            "AuthenticationRequest",
            "SecurityModeCommand",
            "RegistrationAccept"
        ]
    );
    let mut w = World::new(1);
    w.sims.get_mut(&supi(0)).unwrap().wrong_key = true;
    w.attach(0, A);
    assert_eq!(
        heard(&w, 0),
        ["AuthenticationRequest", "IdentityRequest", "AuthenticationRequest", "AuthenticationReject"]
    );
    w.assert_tidy(0);
}

#[test]
fn a_card_that_is_ahead_is_met_by_one_resynchronisation() {
    let mut w = World::new(1);
    let sqn = Sqn::from_seq_ind(10_000, 1, 5).unwrap();
    let usim =
        std::mem::replace(&mut w.ues[0].usim, sim_auth::Usim::new(&K::new([0; 16]), &Opc::new([0; 16])));
    w.ues[0].usim = usim.with_sqn(sqn);
    w.attach(0, A);
    assert_eq!(
        heard(&w, 0),
        ["AuthenticationRequest", "AuthenticationRequest", "SecurityModeCommand", "RegistrationAccept"]
    );
    assert_eq!(w.state(0), Some(UeState::Connected));
}

#[test]
fn a_key_set_number_in_use_is_replaced_by_another() {
    let mut w = World::new(1);
    w.ues[0].habits.ksi_in_use = 1;
    w.attach(0, A);
    let offered: Vec<NgKsi> = w.ues[0]
        .heard
        .iter()
        .filter_map(|m| match m {
            FgmmMessage::AuthenticationRequest(m) => Some(m.ngksi),
            _ => None,
        })
        .collect();
    assert_eq!(offered.len(), 2);
    assert_ne!(offered[0], offered[1]);
    assert_eq!(w.state(0), Some(UeState::Connected));
}

#[test]
fn algorithms_are_the_networks_first_choice_that_the_ue_has() {
    for (ue_nea, ue_nia, want) in [
        (vec![Nea::Nea0, Nea::Nea1, Nea::Nea2], vec![Nia::Nia1, Nia::Nia2], Some((Nia::Nia2, Nea::Nea2))),
        (vec![Nea::Nea0, Nea::Nea1], vec![Nia::Nia0, Nia::Nia1], Some((Nia::Nia1, Nea::Nea1))),
        (vec![Nea::Nea3], vec![Nia::Nia3], Some((Nia::Nia3, Nea::Nea3))),
        (vec![Nea::Nea0], vec![Nia::Nia2], None),
    ] {
        let mut w = World::new(1);
        w.ues[0].capability = UeSecurityCapability::of(&ue_nea, &ue_nia);
        w.attach(0, A);
        let got = w.ues[0].heard.iter().find_map(|m| match m {
            FgmmMessage::SecurityModeCommand(m) => Some((m.integrity, m.ciphering)),
            _ => None,
        });
        assert_eq!(got, want);
        if want.is_none() {
            assert_eq!(reject_cause(&w, 0), Some(FgmmCause::UeSecurityCapabilitiesMismatch));
            w.assert_tidy(0);
        }
    }
}

#[test]
fn null_ciphering_only_where_it_is_configured() {
    let mut c = config();
    c.ciphering = vec![Nea::Nea0];
    let mut w = World::with_config(1, c);
    w.attach(0, A);
    assert_eq!(w.ues[0].context.as_ref().unwrap().ciphering(), Nea::Nea0);
    w.connect(0, 1, "corp");
    assert_eq!(w.phases(0), [SessionPhase::Active]);
}

#[test]
fn a_registered_ue_comes_back_with_its_guti_and_without_a_challenge() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    let first = w.ues[0].guti;
    w.go_idle(0);
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Idle), vec![SessionPhase::Idle]));
    assert_eq!(w.gateway.sessions.values().next().unwrap().downlink, None);
    w.ues[0].heard.clear();
    // A mobility update that still holds its session and has data for it.
    let mut r = w.ues[0].registration(RegistrationType::MobilityUpdating);
    let one: SessionSet = [PduSessionId::try_from(1).unwrap()].into_iter().collect();
    (r.pdu_session_status, r.uplink_data_status) = (Some(one), Some(one));
    let nas = w.ues[0].initial(&FgmmMessage::RegistrationRequest(r));
    w.arrive(0, A, nas);
    w.run();
    assert_eq!(heard(&w, 0), ["RegistrationAccept"]);
    assert_ne!(w.ues[0].guti, first, "a new temporary identity each time");
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Connected), vec![SessionPhase::Active]));
    assert!(w.gateway.sessions.values().next().unwrap().downlink.is_some());
    // An initial one has no session any more.
    w.go_idle(0);
    w.attach(0, A);
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Connected), vec![]));
    w.assert_tidy(1);
}

#[test]
fn the_protected_copy_of_an_initial_message_is_the_one_that_counts() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.go_idle(0);
    let mut inner = w.ues[0].registration(RegistrationType::MobilityUpdating);
    inner.requested_nssai = vec![snssai(), Snssai { sst: 9, sd: None }];
    let mut outer = w.ues[0].registration(RegistrationType::MobilityUpdating);
    let context = w.ues[0].context.as_mut().unwrap();
    let mut container = FgmmMessage::RegistrationRequest(inner).encode().unwrap();
    let count = context.next_count(wire::nas::security::Direction::Uplink);
    context.cipher_container(count, wire::nas::security::Direction::Uplink, &mut container);
    outer.nas_container = Some(container);
    let nas = w.ues[0].initial(&FgmmMessage::RegistrationRequest(outer));
    w.arrive(0, A, nas);
    w.run();
    let Some(FgmmMessage::RegistrationAccept(a)) =
        w.ues[0].heard.iter().rev().find(|m| matches!(m, FgmmMessage::RegistrationAccept(_)))
    else {
        panic!()
    };
    assert_eq!(a.rejected_nssai, [RejectedSnssai { slice: Snssai { sst: 9, sd: None }, cause: 0 }]);
}

#[test]
fn an_unknown_guti_is_asked_for_its_identity() {
    let mut w = World::new(1);
    w.ues[0].guti = Some(FgGuti {
        plmn: plmn(),
        amf: AmfId { region: 1, set: 1, pointer: 0 },
        tmsi: FgTmsi(0xdead_beef),
    });
    w.attach(0, A);
    assert_eq!(heard(&w, 0).first(), Some(&"IdentityRequest"));
    assert_eq!(w.state(0), Some(UeState::Connected));
    w.assert_tidy(1);
}

#[test]
fn no_slice_in_common_is_refused_under_integrity() {
    let mut w = World::new(1);
    let mut s = subscription(supi(0));
    s.slices = vec![Snssai { sst: 5, sd: Some([1, 2, 3]) }];
    w.sims.get_mut(&supi(0)).unwrap().verdict = Ok(s);
    w.attach(0, A);
    assert_eq!(reject_cause(&w, 0), Some(FgmmCause::NoNetworkSlicesAvailable));
    assert_eq!(w.ues[0].protected.last(), Some(&true));
    w.assert_tidy(0);
}

#[test]
fn a_tracking_area_that_is_not_ours_and_an_emergency_are_refused() {
    let mut w = World::new(1);
    let nas = w.ues[0].register(RegistrationType::Initial);
    let ran = wire::ngap::RanUeNgapId(77);
    w.places[0] = Some(Place { assoc: A, ran, amf: None, context: false });
    let mut here = location();
    here.tai.tac = Tac::try_from(99).unwrap();
    let m = ngap::InitialUeMessage {
        ran_ue_id: ran,
        nas,
        location: here,
        rrc_cause: None,
        s_tmsi: None,
        context_requested: false,
    };
    w.gnb_says(A, Message::InitialUeMessage(m));
    w.run();
    assert_eq!(reject_cause(&w, 0), Some(FgmmCause::TrackingAreaNotAllowed));
    let nas = w.ues[0].register(RegistrationType::Emergency);
    w.arrive(0, A, nas);
    w.run();
    assert_eq!(reject_cause(&w, 0), Some(FgmmCause::PeiNotAccepted));
    w.assert_tidy(0);
}

#[test]
fn a_silent_ue_is_asked_five_times_and_then_forgotten() {
    let mut w = World::new(1);
    w.ues[0].habits.silent = true;
    w.attach(0, A);
    w.pass_ms(29_000);
    assert_eq!(heard(&w, 0), ["AuthenticationRequest"; 5]);
    w.pass_ms(2_000);
    assert_eq!(w.ues[0].heard.len(), 5);
    w.assert_tidy(0);
    assert_eq!(w.refused("silent-ue"), 1);
}

#[test]
fn an_accept_that_is_never_confirmed_is_repeated_and_then_taken_as_good() {
    let mut w = World::new(1);
    w.ues[0].habits.no_complete = true;
    w.attach(0, A);
    assert_eq!(w.state(0), Some(UeState::Accepted));
    w.pass_ms(31_000);
    assert_eq!(heard(&w, 0).iter().filter(|n| **n == "RegistrationAccept").count(), 5);
    assert_eq!((w.state(0), registered(&w)), (Some(UeState::Connected), 1));
}

#[test]
fn a_silent_hss_gives_a_back_off_and_nothing_is_kept() {
    let mut w = World::new(1);
    w.hss_silent = true;
    w.attach(0, A);
    w.pass_ms(11_000);
    assert_eq!(reject_cause(&w, 0), Some(FgmmCause::Congestion));
    w.assert_tidy(0);
}

#[test]
fn a_service_request_brings_the_user_plane_back() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.go_idle(0);
    let one: SessionSet = [PduSessionId::try_from(1).unwrap()].into_iter().collect();
    service_request(&mut w, Some(one), Some(one));
    assert_eq!(heard(&w, 0).last(), Some(&"ServiceAccept"));
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Connected), vec![SessionPhase::Active]));
    assert_eq!(w.happened(|h| matches!(h, Happening::SessionUp { .. })), 1, "it was up before");
    // The UE says that it has lost the session: it ends.
    w.go_idle(0);
    service_request(&mut w, Some(SessionSet::default()), None);
    assert_eq!(w.phases(0), []);
    w.assert_tidy(1);
}

fn service_request(w: &mut World, status: Option<SessionSet>, data: Option<SessionSet>) {
    let g = w.ues[0].guti.unwrap();
    let m = FgmmMessage::ServiceRequest(ServiceRequest {
        ngksi: w.ues[0].ksi,
        service_type: ServiceType::DATA,
        s_tmsi: wire::nas::fgs::STmsi { set: g.amf.set, pointer: g.amf.pointer, tmsi: g.tmsi },
        uplink_data_status: data,
        pdu_session_status: status,
        nas_container: None,
    });
    let nas = w.ues[0].initial(&m);
    w.arrive(0, A, nas);
    w.run();
}

#[test]
fn an_idle_ue_that_is_never_heard_again_is_deregistered() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.go_idle(0);
    // T3512 and four minutes, the implicit deregistration timer behind them.
    w.pass_ms(3_840_000 + 240_000 - 1_000);
    assert_eq!(w.state(0), Some(UeState::Idle));
    w.pass_ms(2_000);
    assert_eq!(w.state(0), None);
    assert!(w.gateway.sessions.is_empty());
    w.assert_tidy(0);
}

#[test]
fn pending_attempts_are_bounded_and_the_oldest_goes() {
    let mut c = config();
    c.limits.pending = 3;
    let mut w = World::with_config(5, c);
    for u in 0..5 {
        w.ues[u].habits.silent = true;
        // Those that are there stand still when the last two come.
        w.pass_ms(if u < 3 { 0 } else { 5_000 });
        w.attach(u, A);
    }
    assert_eq!(w.refused("pending-attempts"), 2);
    assert!(w.places[0].is_none() && w.places[1].is_none() && w.places[4].is_some());
    w.assert_tidy(3);
}

#[test]
fn a_ue_that_lost_everything_registers_anew_and_replaces_itself() {
    let mut w = World::new(1);
    w.gnb_up(B, 2);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    // Its radio link died without a word; it comes back at the other gNB with nothing but its card.
    w.ues[0].forget();
    w.attach(0, B);
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Connected), vec![]));
    assert_eq!(w.view(0).unwrap().gnb.as_deref(), Some("gnb-2"));
    assert_eq!(w.amf.gnbs().map(|g| g.ues).collect::<Vec<_>>(), [0, 1]);
    w.connect(0, 1, "corp");
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    w.assert_tidy(1);
}

#[test]
fn a_periodic_update_without_more_to_say_is_let_go() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.go_idle(0);
    w.events.clear();
    let mut r = w.ues[0].registration(RegistrationType::PeriodicUpdating);
    (r.follow_on, r.security_capability) = (false, None);
    let nas = w.ues[0].initial(&FgmmMessage::RegistrationRequest(r));
    w.arrive(0, A, nas);
    w.run();
    assert_eq!(w.state(0), Some(UeState::Idle));
    assert_eq!(registered(&w), 0, "not news");
    w.assert_tidy(0);
}

#[test]
fn a_second_synch_failure_is_the_end() {
    let mut w = World::new(1);
    let fail = |w: &mut World| {
        let failure = AuthenticationFailure { cause: FgmmCause::SynchFailure, auts: Some(Auts([0; 14])) };
        w.say(0, FgmmMessage::AuthenticationFailure(failure).encode().unwrap());
        w.run();
    };
    w.ues[0].habits.silent = true;
    w.attach(0, A);
    fail(&mut w);
    // The token is forged: `hss` refuses.
    assert_eq!(reject_cause(&w, 0), Some(FgmmCause::SynchFailure));
    assert_eq!(w.happened(|h| matches!(h, Happening::RegistrationRefused { authenticated: false, .. })), 1);
    w.assert_tidy(0);
}

#[test]
fn another_request_in_the_middle_begins_anew_and_the_same_one_does_not() {
    let mut w = World::new(1);
    w.ues[0].habits.silent = true;
    w.attach(0, A);
    let again = w.ues[0].registration(RegistrationType::Initial);
    w.say(0, FgmmMessage::RegistrationRequest(again.clone()).encode().unwrap());
    w.run();
    assert_eq!((heard(&w, 0).len(), w.refused("repeated-request")), (1, 1));
    let other = RegistrationRequest { follow_on: false, ..again };
    w.ues[0].habits.silent = false;
    w.ues[0].request = Some(other.clone());
    w.say(0, FgmmMessage::RegistrationRequest(other).encode().unwrap());
    w.run();
    assert_eq!(w.state(0), Some(UeState::Connected));
}

#[test]
fn a_lost_radio_in_each_state_of_an_attach_leaves_nothing_half_done() {
    let mut w = World::new(1);
    let before = w.outputs;
    w.attach(0, A);
    w.connect(0, 1, "corp");
    let outputs = w.outputs - before;
    for at in 1..=outputs {
        let mut w = World::new(1);
        w.interrupt = Some((w.outputs + at, Input::AssocDown { assoc: A }));
        w.attach(0, A);
        w.connect(0, 1, "corp");
        assert!(matches!(w.state(0), None | Some(UeState::Idle)), "at {at}: {:?}", w.state(0));
        assert!(w.phases(0).iter().all(|p| *p == SessionPhase::Idle), "at {at}");
        w.assert_tidy(0);
        // It comes back, with or without the identity that it may have got.
        w.gnb_up(A, 1);
        w.run();
        w.attach(0, A);
        w.connect(0, 1, "corp");
        assert_eq!(
            (w.state(0), w.phases(0)),
            (Some(UeState::Connected), vec![SessionPhase::Active]),
            "at {at}"
        );
        w.assert_tidy(1);
    }
}

#[test]
fn an_attach_storm_gets_back_offs_and_those_who_are_in_are_served() {
    let mut c = config();
    c.limits.pending = 8;
    let mut w = World::with_config(40, c);
    w.gnb_up(B, 2);
    w.run();
    // Two who were there before; one of them is idle.
    w.attach(38, B);
    w.attach(39, B);
    w.connect(39, 1, "corp");
    w.go_idle(39);
    // The power is back: all others at once, before anybody is answered.
    for u in 0..38 {
        let nas = w.ues[u].register(RegistrationType::Initial);
        w.arrive(u, A, nas);
    }
    let storm: Vec<_> = std::mem::take(&mut w.inbox).into();
    for input in storm {
        w.amf.handle(input, w.now);
    }
    // In the middle of it: a deregistration, a service request and a ban have their own way.
    let starts = |w: &World| w.sent.iter().filter(|(_, m)| matches!(m, Message::OverloadStart(_))).count();
    let leave = w.ues[38].deregister();
    w.say(38, leave);
    w.input(Input::Ban { supi: supi(39), cause: FgmmCause::IllegalUe });
    assert_eq!(starts(&w), 2, "each radio is told once");
    assert!(w.sent.iter().any(|(_, m)| matches!(m, Message::OverloadStop)), "and when it is over");
    assert_eq!((w.state(38), w.state(39)), (None, None));
    let (mut served, mut told) = (0, Vec::new());
    for u in 0..38 {
        match (w.state(u), w.ues[u].heard.last()) {
            (Some(UeState::Connected), _) => served += 1,
            (None, Some(FgmmMessage::RegistrationReject(r))) => {
                assert_eq!(r.cause, FgmmCause::Congestion);
                let Some(Timer::Seconds(s)) = r.t3346 else { panic!("a back-off") };
                told.push(s);
            }
            other => panic!("{u}: {other:?}"),
        }
    }
    assert_eq!((served, told.len()), (8, 30));
    told.sort_unstable();
    assert!(told.iter().all(|s| (30..=62).contains(s)) && told.first() != told.last(), "{told:?}");
    // After their back-off all come in, a few at a time.
    for u in 0..38 {
        if w.state(u).is_none() {
            w.attach(u, A);
        }
    }
    assert_eq!(w.amf.ues().count(), 38);
    w.assert_tidy(38);
}

#[test]
fn who_holds_the_room_by_silence_loses_it_to_others() {
    let mut c = config();
    c.limits.pending = 4;
    let mut w = World::with_config(8, c);
    w.gnb_up(B, 2);
    w.run();
    // One at B, three at A that say nothing after their first word.
    for (u, gnb) in [(0, B), (1, A), (2, A), (3, A)] {
        w.ues[u].habits.silent = true;
        w.attach(u, gnb);
    }
    w.attach(4, B);
    assert_eq!(reject_cause(&w, 4), Some(FgmmCause::Congestion));
    w.pass_ms(5_000);
    w.attach(5, B);
    assert_eq!((w.state(5), w.refused("pending-attempts")), (Some(UeState::Connected), 1));
    assert!(w.places[0].is_some() && w.places[1].is_none(), "one of the gNB that has most of them went");
}

#[test]
fn who_was_never_admitted_is_not_registered_by_asking_twice() {
    // Its keys are right, and `hss` has not said whether it may live: it asks again, and its radio goes.
    let mut w = World::new(1);
    let nas = w.ues[0].register(RegistrationType::Initial);
    w.arrive(0, A, nas);
    w.run_until(|w| w.state(0) == Some(UeState::Admitting));
    w.inbox.clear();
    let nas = w.ues[0].register(RegistrationType::MobilityUpdating);
    w.say(0, nas);
    w.run_until(|w| w.inbox.is_empty() || w.inbox.iter().all(|i| matches!(i, Input::Located { .. })));
    w.inbox.clear();
    w.go_idle(0);
    assert_eq!(w.state(0), None);
    w.assert_tidy(0);
}

#[test]
fn the_same_request_again_begins_nothing_and_is_accepted_once_more() {
    let mut w = World::new(1);
    w.ues[0].habits.no_complete = true;
    w.attach(0, A);
    let (guti, located) = (w.view(0).unwrap().guti, w.located.len());
    for n in 1..=3 {
        let again = FgmmMessage::RegistrationRequest(w.ues[0].request.clone().unwrap());
        let nas = w.ues[0].protect(&again);
        w.say(0, nas);
        w.run();
        let accepts = heard(&w, 0).iter().filter(|m| **m == "RegistrationAccept").count();
        assert_eq!((accepts, w.refused("repeated-request")), (1 + n, n as u64));
    }
    assert_eq!((w.view(0).unwrap().guti, w.located.len()), (guti, located));
    let complete = w.ues[0].protect(&FgmmMessage::RegistrationComplete);
    w.say(0, complete);
    w.run();
    assert_eq!(w.state(0), Some(UeState::Connected));
    w.assert_tidy(1);
}

#[test]
fn an_emergency_registration_of_a_ue_that_has_keys_is_refused_as_well() {
    let mut w = World::new(1);
    w.attach(0, A);
    let nas = w.ues[0].register(RegistrationType::Emergency);
    w.say(0, nas);
    w.run();
    assert_eq!((reject_cause(&w, 0), w.state(0)), (Some(FgmmCause::PeiNotAccepted), None));
    assert_eq!(w.ues[0].protected.last(), Some(&true));
    w.assert_tidy(0);
}

#[test]
fn who_has_registered_is_told_the_networks_name_and_is_not_told_it_every_hour() {
    let mut c = config();
    c.display_name = Some("関所".to_owned());
    let mut w = World::with_config(1, c);
    w.attach(0, A);
    let told = |w: &World| {
        let names = |m: &FgmmMessage| match m {
            FgmmMessage::ConfigurationUpdateCommand(c) => Some((c.acknowledge, c.full_name.clone())),
            _ => None,
        };
        w.ues[0].heard.iter().filter_map(names).collect::<Vec<_>>()
    };
    let once = [(false, Some("関所".to_owned()))];
    assert_eq!(told(&w), once);
    assert_eq!(w.ues[0].protected.last(), Some(&true));
    w.go_idle(0);
    let nas = w.ues[0].register(RegistrationType::PeriodicUpdating);
    w.arrive(0, A, nas);
    w.run();
    assert_eq!(told(&w), once);
    w.assert_tidy(1);
}

#[test]
fn who_has_registered_is_told_the_time_by_the_networks_clocks() {
    for (zone, ms, time, summer) in [
        ("Asia/Tokyo", 1_795_392_000_000, NetworkTime { utc: [26, 11, 23, 0, 0, 0], quarters: 36 }, 0),
        (
            "America/New_York",
            1_783_000_008_000,
            NetworkTime { utc: [26, 7, 2, 13, 46, 48], quarters: -16 },
            1,
        ),
        ("Asia/Kathmandu", 1_795_392_000_000, NetworkTime { utc: [26, 11, 23, 0, 0, 0], quarters: 23 }, 0),
    ] {
        let mut c = config();
        c.time_zone = Some(jiff::tz::TimeZone::get(zone).unwrap());
        let mut w = World::with_config(1, c);
        w.now.utc = Utc(ms);
        w.attach(0, A);
        let Some(FgmmMessage::ConfigurationUpdateCommand(m)) = w.ues[0].heard.last() else {
            panic!("{zone}")
        };
        assert_eq!((m.time, m.daylight_saving), (Some(time), Some(summer)), "{zone}");
        assert_eq!((m.acknowledge, m.full_name.clone()), (false, None));
        assert_eq!(w.ues[0].protected.last(), Some(&true));
        w.assert_tidy(1);
    }
}
