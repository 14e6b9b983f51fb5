//! The ban, in every state; deregistration by the network.

use crate::world::*;
use access::nr::*;
use types::*;
use wire::nas::fgs::*;

fn ban(u: usize) -> Input {
    Input::Ban { supi: supi(u), cause: FgmmCause::IllegalUe }
}

/// Nothing of the SIM is up: no session in the gateway, no lease, no registered UE.
fn assert_nothing_is_up(w: &World, u: usize, when: &str) {
    let who = supi(u);
    assert!(w.gateway.sessions.values().all(|h| h.supi != who), "{when}: a session");
    assert!(w.leases.keys().all(|(s, _)| *s != who), "{when}: a lease");
    assert!(
        !matches!(
            w.state(u),
            Some(UeState::Connected | UeState::Idle | UeState::Accepted | UeState::Admitting)
        ),
        "{when}: {:?}",
        w.state(u)
    );
}

#[test]
fn a_ban_at_every_output_of_an_attach() {
    let journey = |w: &mut World| {
        w.attach(0, A);
        if w.ues[0].registered {
            w.connect(0, 1, "corp");
        }
        if w.ues[0].registered {
            w.connect(0, 2, "factory");
        }
    };
    let mut w = World::new(2);
    w.attach(1, A);
    w.connect(1, 1, "corp");
    let before = w.outputs;
    journey(&mut w);
    assert_eq!(w.gateway.sessions.len(), 3);
    let outputs = w.outputs - before;
    assert!(outputs > 14, "the journey has {outputs} outputs");
    // `hss` may still say yes (its answer was on the way), or may know of the ban.
    for hss_knows in [false, true] {
        for at in 1..=outputs {
            let when = format!("ban at output {at} of {outputs}, hss knows: {hss_knows}");
            let mut w = World::new(2);
            w.attach(1, A);
            w.connect(1, 1, "corp");
            if hss_knows {
                w.sims.get_mut(&supi(0)).unwrap().verdict =
                    Err(refusal(FgmmCause::IllegalUe, RefusalReason::Lost, None));
            }
            w.interrupt = Some((w.outputs + at, ban(0)));
            journey(&mut w);
            if w.interrupt.take().is_some() {
                // It was refused before it came so far.
                assert!(hss_knows);
            }
            assert_nothing_is_up(&w, 0, &when);
            w.pass_ms(120_000);
            assert_nothing_is_up(&w, 0, &when);
            assert_eq!(w.state(0), None, "{when}");
            // The other UE has not noticed.
            assert_eq!(
                (w.state(1), w.phases(1)),
                (Some(UeState::Connected), vec![SessionPhase::Active]),
                "{when}"
            );
            w.assert_tidy(1);
        }
    }
}

#[test]
fn a_ban_of_a_connected_ue_cuts_first_and_tells_then() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.input(ban(0));
    assert_nothing_is_up(&w, 0, "at once");
    let FgmmMessage::DeregistrationRequestUeTerminated(m) = w.ues[0].heard.last().unwrap() else { panic!() };
    assert_eq!((m.cause, m.reregister), (Some(FgmmCause::IllegalUe), false));
    assert_eq!(w.ues[0].protected.last(), Some(&true));
    assert_eq!(w.happened(|h| *h == Happening::Deregistered { by_network: true, confirmed: true }), 1);
    w.assert_tidy(0);
    // It comes back: proved, secured, then refused.
    w.sims.get_mut(&supi(0)).unwrap().verdict = Err(refusal(FgmmCause::IllegalUe, RefusalReason::Lost, None));
    w.attach(0, A);
    assert!(
        matches!(w.ues[0].heard.last(), Some(FgmmMessage::RegistrationReject(r)) if r.cause == FgmmCause::IllegalUe)
    );
    assert_eq!(w.ues[0].protected.last(), Some(&true));
    w.assert_tidy(0);
}

#[test]
fn nothing_waits_for_a_ue_that_does_not_answer() {
    for (ue_silent, gnb_silent) in [(true, false), (false, true), (true, true)] {
        let mut w = World::new(1);
        w.attach(0, A);
        w.connect(0, 1, "corp");
        w.ues[0].habits.ignores_deregistration = ue_silent;
        w.gnb_silent = gnb_silent;
        w.input(ban(0));
        assert_nothing_is_up(&w, 0, "at once");
        w.pass_ms(2_000 + 10_000 + 1);
        assert_eq!(w.state(0), None);
        let confirmed = !ue_silent;
        assert_eq!(w.happened(|h| *h == Happening::Deregistered { by_network: true, confirmed }), 1);
        w.assert_tidy(0);
    }
}

#[test]
fn an_idle_ue_is_banned_without_a_word() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.go_idle(0);
    w.input(ban(0));
    assert_eq!(w.state(0), None);
    w.assert_tidy(0);
    // Its temporary identity is nobody's now: it must say who it is.
    w.sims.get_mut(&supi(0)).unwrap().verdict = Err(refusal(FgmmCause::IllegalUe, RefusalReason::Lost, None));
    w.ues[0].heard.clear();
    w.attach(0, A);
    let names: Vec<_> = w.ues[0].heard.iter().map(FgmmMessage::name).collect();
    assert_eq!(
        names,
        ["IdentityRequest", "AuthenticationRequest", "SecurityModeCommand", "RegistrationReject"]
    );
    w.assert_tidy(0);
}

#[test]
fn a_banned_ue_that_goes_on_talking_is_not_heard() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.ues[0].habits.ignores_deregistration = true;
    w.input(ban(0));
    let before = w.gateway.requests;
    w.connect(0, 1, "corp");
    w.connect(0, 2, "factory");
    assert_eq!(w.refused("nas-while-deregistering"), 2);
    assert_eq!(w.gateway.requests, before);
    w.pass_ms(3_000);
    w.assert_tidy(0);
}

#[test]
fn deregistration_by_the_network_is_repeated_four_times() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.ues[0].habits.ignores_deregistration = true;
    w.input(Input::Deregister { supi: supi(0), cause: None, reregister: true });
    assert!(w.gateway.sessions.is_empty());
    w.pass_ms(31_000);
    let asked = w.ues[0]
        .heard
        .iter()
        .filter(|m| matches!(m, FgmmMessage::DeregistrationRequestUeTerminated(m) if m.reregister))
        .count();
    assert_eq!(asked, 5);
    assert_eq!(w.state(0), None);
    assert_eq!(w.happened(|h| *h == Happening::Deregistered { by_network: true, confirmed: false }), 1);
    w.assert_tidy(0);
}

#[test]
fn both_sides_deregister_at_once() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.ues[0].habits.ignores_deregistration = true;
    w.input(Input::Deregister { supi: supi(0), cause: None, reregister: false });
    let identity = MobileIdentity::Guti(w.ues[0].guti.unwrap());
    let ngksi = w.ues[0].ksi;
    let nas = w.ues[0].protect(&FgmmMessage::DeregistrationRequestUeOriginating(
        DeregistrationRequestUeOriginating { switch_off: true, access: 1, ngksi, identity },
    ));
    w.say(0, nas);
    w.run();
    assert_eq!(w.state(0), None);
    w.assert_tidy(0);
}

#[test]
fn a_suspended_sim_is_told_to_wait() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.input(Input::Ban { supi: supi(0), cause: FgmmCause::Congestion });
    let FgmmMessage::DeregistrationRequestUeTerminated(m) = w.ues[0].heard.last().unwrap() else { panic!() };
    assert_eq!((m.cause, m.t3346), (Some(FgmmCause::Congestion), Some(Timer::Seconds(600))));
    w.assert_tidy(0);
}

#[test]
fn two_bans_and_a_ban_of_nobody() {
    let mut w = World::new(1);
    w.input(Input::Ban { supi: supi(7), cause: FgmmCause::IllegalUe });
    w.attach(0, A);
    w.ues[0].habits.ignores_deregistration = true;
    w.input(ban(0));
    w.input(ban(0));
    w.pass_ms(3_000);
    assert_eq!(w.state(0), None);
    w.assert_tidy(0);
}

#[test]
fn a_ban_at_every_output_of_a_return_and_a_release() {
    let journey = |w: &mut World| {
        w.go_idle(0);
        let id = PduSessionId::try_from(1).unwrap();
        let one: SessionSet = [id].into_iter().collect();
        let mut r = w.ues[0].registration(RegistrationType::MobilityUpdating);
        (r.pdu_session_status, r.uplink_data_status) = (Some(one), Some(one));
        let nas = w.ues[0].initial(&FgmmMessage::RegistrationRequest(r));
        w.arrive(0, A, nas);
        w.run();
        if w.ues[0].registered {
            w.connect(0, 2, "factory");
        }
        if w.ues[0].registered {
            let nas = w.ues[0].session_message(1, 8, FgsmBody::ReleaseRequest { cause: None });
            w.say(0, nas);
            w.run();
        }
    };
    let scene = || {
        let mut w = World::new(1);
        w.attach(0, A);
        w.connect(0, 1, "corp");
        w
    };
    let mut w = scene();
    let before = w.outputs;
    journey(&mut w);
    let outputs = w.outputs - before;
    for hss_knows in [false, true] {
        for at in 1..=outputs {
            let when = format!("ban at output {at} of {outputs}, hss knows: {hss_knows}");
            let mut w = scene();
            if hss_knows {
                w.sims.get_mut(&supi(0)).unwrap().verdict =
                    Err(refusal(FgmmCause::IllegalUe, RefusalReason::Lost, None));
            }
            w.interrupt = Some((w.outputs + at, ban(0)));
            journey(&mut w);
            // With a ban that comes while it is away, it is unknown and must prove itself: `hss` decides.
            if !hss_knows && w.ues[0].registered && w.state(0).is_some() {
                assert!(
                    w.ues[0].heard.iter().any(|m| matches!(m, FgmmMessage::IdentityRequest(_))),
                    "{when}"
                );
                continue;
            }
            assert_nothing_is_up(&w, 0, &when);
            w.pass_ms(120_000);
            assert_eq!(w.state(0), None, "{when}");
            w.assert_tidy(0);
        }
    }
}

#[test]
fn who_is_sent_away_and_begins_anew_has_gone_and_is_judged_anew() {
    // On its own connection, and on another one.
    for elsewhere in [false, true] {
        let mut w = World::new(1);
        w.attach(0, A);
        w.connect(0, 1, "corp");
        w.ues[0].habits.ignores_deregistration = true;
        w.input(ban(0));
        assert_eq!(w.state(0), Some(UeState::Deregistering));
        let barred = refusal(FgmmCause::IllegalUe, RefusalReason::Lost, None);
        w.sims.get_mut(&supi(0)).unwrap().verdict = Err(barred);
        let nas = w.ues[0].register(wire::nas::fgs::RegistrationType::Initial);
        if elsewhere {
            w.arrive(0, A, nas);
        } else {
            w.say(0, nas);
        }
        w.run();
        let Some(FgmmMessage::RegistrationReject(r)) = w.ues[0].heard.last() else {
            panic!("{:?}", w.ues[0].heard)
        };
        assert_eq!((r.cause, w.ues[0].protected.last()), (FgmmCause::IllegalUe, Some(&true)));
        let gone = |h: &Happening| matches!(h, Happening::Deregistered { by_network: true, confirmed: true });
        assert_eq!(w.happened(gone), 1, "told once, elsewhere {elsewhere}");
        assert_nothing_is_up(&w, 0, "it came back");
        w.pass_ms(60_000);
        assert_eq!((w.state(0), w.happened(gone)), (None, 1));
        w.assert_tidy(0);
    }
}
