//! The store fails, the card is out of step, the proof is wrong: each ends at its own transaction.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::UeState;
use lab::ue::{Input, State, UeEvent};
use sim_auth::Usim;
use types::*;

const LAPTOP: usize = 0;

fn rejected(w: &mut World) -> (FgmmCause, bool, Option<u32>) {
    let news = w.news_of(LAPTOP);
    let reject = news.iter().find_map(|e| match e {
        UeEvent::Rejected { cause, protected, backoff_s } => Some((*cause, *protected, *backoff_s)),
        _ => None,
    });
    reject.unwrap_or_else(|| panic!("no reject in {news:?}"))
}

fn register(w: &mut World) {
    w.tell(LAPTOP, Input::Register);
    w.run();
}

fn works(w: &mut World) {
    let a = match w.phones[LAPTOP].address() {
        Some(a) => a,
        None => w.attach(LAPTOP),
    };
    assert_eq!(w.send(LAPTOP, Packet::new(What::Syn, a, 40_000, FILES, 443)), Fate::Answered);
    w.assert_tidy();
}

#[test]
fn a_lease_that_cannot_be_written_refuses_the_session_and_keeps_the_registration() {
    let mut w = World::site();
    register(&mut w);
    w.store.fail_leases = true;
    w.ask_session(LAPTOP, 1);
    w.run();
    let refused = UeEvent::SessionRejected {
        id: 1.try_into().unwrap(),
        cause: Some(FgsmCause::InsufficientResources),
        not_forwarded: None,
    };
    assert_eq!(w.news_of(LAPTOP).last(), Some(&refused));
    assert_eq!(w.view(LAPTOP).map(|v| (v.state, v.sessions.len())), Some((UeState::Connected, 0)));
    assert_eq!((w.store.leases.len(), w.ctl().ledger.leases().count(), w.gw().n4.session_count()), (0, 0, 0));
    w.assert_tidy();
    w.store.fail_leases = false;
    works(&mut w);
    assert_eq!((w.store.leases.len(), w.ctl().ledger.leases().count()), (1, 1));
}

#[test]
fn a_lease_that_is_written_too_late_is_given_back_to_nobody_else() {
    let mut w = World::site();
    register(&mut w);
    w.store.held = true;
    w.ask_session(LAPTOP, 1);
    w.run();
    assert!(w.phones[LAPTOP].address().is_none(), "no address before it is durable");
    assert_eq!(w.gw().n4.session_count(), 0);
    w.pass_ms(12_000);
    w.store.held = false;
    w.run();
    w.pass_ms(60_000);
    // The UE asked again by its own timer, or it gave up; either way both sides agree.
    w.assert_tidy();
    works(&mut w);
    assert_eq!(w.phones[LAPTOP].address(), Some([10, 20, 0, 2].into()));
}

#[test]
fn a_ceiling_that_cannot_be_written_refuses_with_back_off_and_works_again_later() {
    let mut w = World::site();
    w.store.fail_sims = true;
    register(&mut w);
    // Not authenticated, so the refusal is unprotected, and no card is burnt by it.
    let (cause, protected, _) = rejected(&mut w);
    assert_eq!((cause, protected), (FgmmCause::Congestion, false));
    assert_eq!(w.phones[LAPTOP].ue.state(), State::Deregistered);
    assert_eq!(w.store.sims[&imsi(LAPTOP)].sqn_state.ceiling, 0);
    let claimed = |h: &Happening| {
        matches!(
            h,
            Happening::RegistrationRefused { authenticated: false, reason: RefusalReason::Unavailable, .. }
        )
    };
    let refusals = w.events.iter().filter(|e| claimed(&e.what)).count();
    assert_eq!(refusals, 1, "a claim, not a proof");
    w.pass_ms(10_000);
    w.assert_tidy();
    w.store.fail_sims = false;
    register(&mut w);
    works(&mut w);
}

/// DESIGN §5, database unreadable: ten minutes from memory, then refused; what lives goes on.
#[test]
fn who_attached_before_is_let_in_for_ten_minutes_without_a_store_and_then_refused() {
    const COLLEAGUE: usize = 1;
    let mut w = World::new(&[Role::Laptop, Role::Laptop], 1);
    let colleague = w.attach(COLLEAGUE);
    let address = w.attach(LAPTOP);
    // Hours later, with nobody but the ceilings being written ahead.
    for _ in 0..8 {
        w.pass_ms(1_800_000);
        w.write_ahead();
    }
    w.store_is(false);
    w.power_cycle(LAPTOP);
    assert_eq!(w.attach(LAPTOP), address, "its lease is there");
    w.pass_ms(599_000);
    w.power_cycle(LAPTOP);
    assert_eq!(w.attach(LAPTOP), address);
    w.pass_ms(2_000);
    w.power_cycle(LAPTOP);
    w.news_of(LAPTOP);
    register(&mut w);
    // The back-off of five minutes stands in the message; without integrity the UE chooses its own.
    let (cause, protected, _) = rejected(&mut w);
    assert_eq!((cause, protected), (FgmmCause::Congestion, false));
    assert_eq!(w.send(COLLEAGUE, Packet::new(What::Syn, colleague, 40_000, FILES, 443)), Fate::Answered);
    w.store_is(true);
    w.power_cycle(LAPTOP);
    register(&mut w);
    works(&mut w);
}

#[test]
fn a_store_that_is_silent_refuses_with_back_off_too() {
    let mut w = World::site();
    w.store.held = true;
    register(&mut w);
    assert!(w.news_of(LAPTOP).is_empty(), "no vector before its ceiling is durable");
    w.pass_ms(6_000);
    let (cause, protected, _) = rejected(&mut w);
    assert_eq!((cause, protected), (FgmmCause::Congestion, false));
    w.store.held = false;
    w.run();
    w.pass_ms(10_000);
    register(&mut w);
    works(&mut w);
}

#[test]
fn a_card_that_is_ahead_brings_us_into_step() {
    let mut w = World::site();
    let (k, opc) = keys(LAPTOP);
    let ahead = Sqn::from_seq_ind(5_000_000, 0, 5).unwrap();
    *w.phones[LAPTOP].ue.card() = Usim::new(&k, &opc).with_sqn(ahead);
    register(&mut w);
    let news = w.news_of(LAPTOP);
    assert_eq!(news.iter().filter(|e| **e == UeEvent::ChallengeRefused(FgmmCause::SynchFailure)).count(), 1);
    assert!(matches!(news.last(), Some(UeEvent::Registered { .. })), "{news:?}");
    // The moved offset is durable, and so is the count.
    let s = w.store.sims[&imsi(LAPTOP)].sqn_state;
    assert_eq!(s.resyncs, 1);
    assert!(s.ceiling > 5_000_000);
    assert!(w.phones[LAPTOP].ue.card().sqn_ms().seq(5) > 5_000_000);
    works(&mut w);
    // Next time there is nothing to say about it.
    w.power_cycle(LAPTOP);
    register(&mut w);
    assert!(!w.news_of(LAPTOP).contains(&UeEvent::ChallengeRefused(FgmmCause::SynchFailure)));
    // And a control that was restarted knows it from the store.
    w.control_dies();
    w.pass_ms(1_000);
    w.control_starts();
    w.radio_down(0);
    w.radio_up(0);
    w.run();
    w.power_cycle(LAPTOP);
    register(&mut w);
    let news = w.news_of(LAPTOP);
    assert!(!news.contains(&UeEvent::ChallengeRefused(FgmmCause::SynchFailure)), "{news:?}");
    works(&mut w);
}

#[test]
fn a_network_with_the_wrong_key_is_not_believed() {
    let mut w = World::site();
    let (_, opc) = keys(LAPTOP);
    *w.phones[LAPTOP].ue.card() = Usim::new(&K::new([9; 16]), &opc);
    register(&mut w);
    let news = w.news_of(LAPTOP);
    assert!(news.contains(&UeEvent::ChallengeRefused(FgmmCause::MacFailure)), "{news:?}");
    assert_eq!(w.view(LAPTOP), None);
    w.pass_ms(100_000);
    w.assert_tidy();
    let (k, opc) = keys(LAPTOP);
    *w.phones[LAPTOP].ue.card() = Usim::new(&k, &opc);
    w.power_cycle(LAPTOP);
    register(&mut w);
    works(&mut w);
}

#[test]
fn a_wrong_answer_to_the_challenge_is_rejected_and_touches_nobody() {
    let mut w = World::site();
    // A UE with another card claims the laptop's identity while the laptop is registered.
    let a = w.attach(LAPTOP);
    w.phones[1].ue.lies().claim_identity = Some(wire::nas::fgs::MobileIdentity::Suci(Suci {
        home: plmn(),
        routing_indicator: "0".into(),
        scheme: SuciScheme::Null,
        key_id: 0,
        output: imsi(LAPTOP).msin(2).into_bytes(),
    }));
    w.tell(1, Input::Register);
    w.run();
    w.pass_ms(100_000);
    // Its card refuses the laptop's challenge; asked who it is, it says so, and is let in as itself alone.
    assert!(w.news_of(1).contains(&UeEvent::ChallengeRefused(FgmmCause::MacFailure)));
    assert_eq!(w.view(1).map(|v| v.state), Some(UeState::Connected));
    assert_eq!(w.happened(LAPTOP, |h| matches!(h, Happening::Registered { .. })), 1);
    assert_eq!(w.send(LAPTOP, Packet::new(What::Syn, a, 40_000, FILES, 443)), Fate::Answered);
    // The laptop itself answers wrongly when it comes anew: rejected; then rightly.
    w.tell(LAPTOP, Input::Deregister { switch_off: true });
    w.run();
    w.power_cycle(LAPTOP);
    w.phones[LAPTOP].ue.lies().wrong_res = true;
    w.news_of(LAPTOP);
    register(&mut w);
    let news = w.news_of(LAPTOP);
    assert!(news.contains(&UeEvent::AuthenticationRejected), "{news:?}");
    assert_eq!(w.view(LAPTOP), None);
    let wrong = |h: &Happening| {
        matches!(
            h,
            Happening::RegistrationRefused { authenticated: false, reason: RefusalReason::WrongResponse, .. }
        )
    };
    assert!(w.events.iter().filter(|e| wrong(&e.what)).count() >= 1);
    w.pass_ms(100_000);
    w.assert_tidy();
    w.phones[LAPTOP].ue.lies().wrong_res = false;
    w.power_cycle(LAPTOP);
    register(&mut w);
    works(&mut w);
}
