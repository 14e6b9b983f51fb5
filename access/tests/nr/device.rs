//! The device behind the SIM: asked for in the Security Mode Command, and once more by name.

use crate::world::{A, World};
use access::nr::UeState;
use types::{FgmmCause, Pei, RefusalReason};
use wire::nas::fgs::{FgmmMessage, IdentityType, MobileIdentity};

#[test]
fn a_device_that_hides_in_security_mode_complete_is_asked_by_name_under_protection() {
    let mut w = World::new(1);
    w.ues[0].habits.hides_device = true;
    w.attach(0, A);
    let asked = FgmmMessage::IdentityRequest(IdentityType::Imeisv);
    let at = w.ues[0].heard.iter().position(|m| *m == asked).expect("it was asked");
    assert!(w.ues[0].protected[at]);
    assert_eq!(w.state(0), Some(UeState::Connected));
    assert_eq!(w.located, [Some(w.ues[0].imeisv)], "known before it was admitted");
    w.assert_tidy(1);
}

#[test]
fn one_that_tells_is_not_asked_twice_and_one_that_has_none_is_admitted_without() {
    let mut w = World::new(2);
    w.attach(0, A);
    assert!(!w.ues[0].heard.contains(&FgmmMessage::IdentityRequest(IdentityType::Imeisv)));
    w.ues[1].habits.hides_device = true;
    w.ues[1].habits.has_no_device = true;
    w.attach(1, A);
    assert_eq!(w.located, [Some(w.ues[0].imeisv), None], "what that means is for policy");
    assert_eq!(w.state(1), Some(UeState::Connected));
}

#[test]
fn silence_about_the_device_ends_by_the_timer_and_a_clear_answer_does_not_count() {
    let mut w = World::new(1);
    w.ues[0].habits.hides_device = true;
    let nas = w.ues[0].register(wire::nas::fgs::RegistrationType::Initial);
    w.arrive(0, A, nas);
    // It goes silent when it is asked for its device.
    for _ in 0..200 {
        if w.ues[0].heard.iter().any(|m| matches!(m, FgmmMessage::SecurityModeCommand(_))) {
            w.ues[0].habits.silent = true;
        }
        w.run_outputs();
        let Some(input) = w.inbox.pop_front() else { break };
        w.amf.handle(input, w.now);
    }
    assert!(w.located.is_empty(), "it is not admitted before it has answered or its time is up");
    let Pei::Imeisv(other) = "imeisv-8601234500000101".parse().unwrap() else { panic!() };
    let forged = FgmmMessage::IdentityResponse(MobileIdentity::Imeisv(other)).encode().unwrap();
    w.say(0, forged);
    w.run();
    assert!(w.located.is_empty(), "in clear anybody can say it");
    w.pass_ms(40_000);
    assert_eq!(w.located, [None]);
    let asked = w.ues[0].heard.iter().filter(|m| matches!(m, FgmmMessage::IdentityRequest(_))).count();
    assert_eq!(asked, 5, "T3570: once and four times more");
}

#[test]
fn a_refusal_for_the_device_goes_out_under_integrity_with_cause_6() {
    let mut w = World::new(1);
    let supi = w.ues[0].supi;
    let no = crate::world::refusal(FgmmCause::IllegalMe, RefusalReason::DeviceMismatch, None);
    w.sims.get_mut(&supi).unwrap().verdict = Err(no);
    w.attach(0, A);
    let (last, protected) = (w.ues[0].heard.last().unwrap(), w.ues[0].protected.last().unwrap());
    assert!(
        matches!(last, FgmmMessage::RegistrationReject(r) if r.cause == FgmmCause::IllegalMe),
        "{last:?}"
    );
    assert!(protected);
    assert_eq!(w.state(0), None);
    w.assert_tidy(0);
}
