//! New keys and new names for UEs that are registered and go on: what both sides hold, also where one of them fails.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::UeState;
use lab::ue::{Input, UeEvent};
use types::*;
use wire::ngap::{Cause, RadioCause};

const LAPTOP: usize = 0;
const FACTORY_PLC: usize = 1;
const DAY_MS: u64 = 86_400_000;

pub fn counters(w: &World) -> access::nr::Counters {
    w.control.as_ref().unwrap().amf.counters().clone()
}

/// A laptop that was connected for a day, and has something to say.
fn a_day_later() -> (World, Packet) {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 2);
    let laptop = w.attach(LAPTOP);
    w.attach(FACTORY_PLC);
    let packet = Packet::new(What::Syn, laptop, 40_000, FILES, 443);
    assert_eq!(w.send(LAPTOP, packet), Fate::Answered);
    w.pass_ms(DAY_MS);
    (w, packet)
}

/// The UE says something that needs keys.
pub fn speak(w: &mut World) {
    w.ask_session(LAPTOP, 1);
    w.run();
}

/// Both sides of the radio have the same key, and NAS is understood both ways.
pub fn agree(w: &mut World) {
    let phone = &w.phones[LAPTOP];
    let at_radio = w.radios[phone.cell].gnb.key(phone.key).map(|k| *k.0.expose());
    assert_eq!(at_radio, phone.ue.kgnb().map(|k| *k.expose()));
    w.news_of(LAPTOP);
    speak(w);
    assert!(w.news_of(LAPTOP).iter().any(|e| matches!(e, UeEvent::SessionUp(_))));
}

#[test]
fn keys_that_are_a_day_old_are_renewed_and_nothing_else_changes() {
    let (mut w, packet) = a_day_later();
    let before = w.phones[LAPTOP].ue.kgnb().unwrap();
    let guti = w.phones[LAPTOP].ue.guti();
    speak(&mut w);
    assert_eq!(counters(&w).rekeyed, 1);
    assert_ne!(w.phones[LAPTOP].ue.kgnb().unwrap().expose(), before.expose());
    agree(&mut w);
    assert_eq!((w.phones[LAPTOP].ue.guti(), counters(&w).rekeyed), (guti, 1), "once, and the same name");
    let packet = Packet { src: w.phones[LAPTOP].address().unwrap(), ..packet };
    assert_eq!(w.send(LAPTOP, packet), Fate::Answered);
    // The next radio and the next day go on from the new keys.
    assert!(w.hand_over(LAPTOP, 1));
    w.run();
    assert_eq!(w.view(LAPTOP).unwrap().gnb.as_deref(), Some("gnb-1"));
    w.go_idle(LAPTOP);
    w.run();
    w.tell(LAPTOP, Input::Service);
    w.run();
    assert_eq!(w.view(LAPTOP).unwrap().state, UeState::Connected);
    w.pass_ms(DAY_MS);
    speak(&mut w);
    assert_eq!(counters(&w).rekeyed, 2);
    // The other UE had nothing to say, and kept its own.
    assert_eq!(w.view(FACTORY_PLC).unwrap().state, UeState::Connected);
    w.assert_tidy();
}

#[test]
fn whatever_fails_in_the_middle_leaves_the_old_keys_or_sends_the_ue_away() {
    // The UE does not hear the challenge, or the command: asked five times, then later.
    for deaf in ["AuthenticationRequest", "SecurityModeCommand"] {
        let (mut w, _) = a_day_later();
        w.phones[LAPTOP].ue.lies().ignore = vec![deaf];
        speak(&mut w);
        w.pass_ms(31_000);
        let refused = counters(&w).refused.get("keys-not-renewed").copied();
        assert_eq!((counters(&w).rekeyed, refused), (0, Some(1)), "{deaf}");
        w.phones[LAPTOP].ue.lies().ignore.clear();
        agree(&mut w);
        assert_eq!(counters(&w).rekeyed, 0, "not before the pause is over");
        w.pass_ms(600_000);
        speak(&mut w);
        assert_eq!(counters(&w).rekeyed, 1);
        agree(&mut w);
    }
    // It refuses the command: the same at once.
    let (mut w, _) = a_day_later();
    w.phones[LAPTOP].ue.lies().refuse_security_mode = true;
    speak(&mut w);
    w.phones[LAPTOP].ue.lies().refuse_security_mode = false;
    assert_eq!(counters(&w).refused.get("keys-not-renewed"), Some(&1));
    agree(&mut w);
    // The radio refuses the key: the UE comes back with the new ones.
    let (mut w, _) = a_day_later();
    w.radios[0].gnb.lies().refuse_contexts = Some(Cause::RadioNetwork(RadioCause::UNSPECIFIED));
    speak(&mut w);
    assert_eq!((counters(&w).rekeyed, w.view(LAPTOP).unwrap().state), (1, UeState::Idle));
    w.radios[0].gnb.lies().refuse_contexts = None;
    w.tell(LAPTOP, Input::Service);
    w.run();
    agree(&mut w);
    // A wrong answer: the card is not the one that it was. It has to begin from its SUCI.
    let (mut w, _) = a_day_later();
    w.phones[LAPTOP].ue.lies().wrong_res = true;
    speak(&mut w);
    assert_eq!(counters(&w).refused.get("new-proof-failed"), Some(&1));
    assert!(w.view(LAPTOP).is_none_or(|v| v.state != UeState::Connected || v.sessions.is_empty()));
    w.phones[LAPTOP].ue.lies().wrong_res = false;
    w.pass_ms(120_000);
    w.attach(LAPTOP);
    agree(&mut w);
    w.assert_tidy();
}

/// At every step of it: the UE's radio is lost, or its SIM is banned.
#[test]
fn a_lost_radio_or_a_ban_at_every_step() {
    let (mut w, _) = a_day_later();
    let before = w.steps;
    speak(&mut w);
    let steps = w.steps - before;
    assert!(steps > 20 && counters(&w).rekeyed == 1);
    for at in (0..=steps).step_by(3) {
        let (mut w, _) = a_day_later();
        w.at(at, |w| {
            w.radio_down(0);
            w.radio_up(0);
        });
        speak(&mut w);
        w.pass_ms(60_000);
        w.tell(LAPTOP, Input::Service);
        w.run();
        let back = w.view(LAPTOP).is_some_and(|v| v.state == UeState::Connected);
        // A Security Mode Complete that was lost leaves each side with other keys: the UE is asked to prove itself.
        if !back || !w.phones[LAPTOP].ue.is_connected() {
            w.power_cycle(LAPTOP);
            w.attach(LAPTOP);
        }
        agree(&mut w);
        w.assert_tidy();
        let (mut w, packet) = a_day_later();
        w.at(at, |w| w.ban(LAPTOP, SimState::Stolen));
        speak(&mut w);
        w.pass_ms(60_000);
        assert_eq!(w.view(LAPTOP), None, "at {at}");
        assert!(!matches!(w.send(LAPTOP, packet), Fate::Answered | Fate::Arrived));
    }
}

#[test]
fn who_was_paged_gets_a_new_name_and_the_old_one_is_nobodys() {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 1);
    let plc = w.attach(FACTORY_PLC);
    let wake = |w: &mut World, n: u16| {
        w.go_idle(FACTORY_PLC);
        w.run();
        let before = w.phones[FACTORY_PLC].ue.guti().unwrap();
        assert_eq!(w.knock(Packet::new(What::Syn, SCADA, n, plc, 502)), Fate::Waits);
        w.run();
        (before, w.phones[FACTORY_PLC].ue.guti().unwrap())
    };
    let (old, new) = wake(&mut w, 1);
    assert_ne!(old, new);
    assert_eq!(w.view(FACTORY_PLC).unwrap().guti, Some(new));
    // It does not hear of it: asked five times, and both names find it.
    w.phones[FACTORY_PLC].ue.lies().ignore = vec!["ConfigurationUpdateCommand"];
    let (kept, same) = wake(&mut w, 2);
    assert_eq!(kept, same);
    w.pass_ms(31_000);
    assert_eq!(counters(&w).refused.get("no-configuration-complete"), Some(&1));
    w.go_idle(FACTORY_PLC);
    w.run();
    assert_eq!(w.knock(Packet::new(What::Syn, SCADA, 3, plc, 502)), Fate::Waits);
    w.phones[FACTORY_PLC].ue.lies().ignore.clear();
    w.pass_ms(10_000);
    assert_eq!(w.phones[FACTORY_PLC].got.len(), 3);
    assert_eq!(w.view(FACTORY_PLC).unwrap().guti, w.phones[FACTORY_PLC].ue.guti());
    w.assert_tidy();
}
