//! Identities concealed for the home network's keys (TS 33.501 §6.12): nobody at the radio learns who comes; keys
//! change while SIMs live; what does not open is refused and told.

use crate::site::*;
use crate::world::World;
use access::nr::UeState;
use lab::ue::{Conceal, Input, UeEvent};
use types::*;
use wire::nas::fgs::{FgmmMessage, MobileIdentity, RegistrationRequest};
use wire::nas::security::{Pdu, open};

const LAPTOP: usize = 0;

/// The laptop comes. Returns the identity in its first message.
fn comes(w: &mut World) -> MobileIdentity {
    w.power_cycle(LAPTOP);
    w.tap = Some(Vec::new());
    w.tell(LAPTOP, Input::Register);
    w.run();
    let tap = w.tap.take().unwrap();
    // Neither as it stands on the card nor in BCD does its number pass the radio.
    let digits = imsi(LAPTOP).msin(2).into_bytes();
    let bcd = msin_to_bcd(&digits).unwrap();
    for t in &tap {
        for number in [&digits, &bcd] {
            assert!(!t.octets.windows(number.len()).any(|w| w == number), "its number is on the air");
        }
    }
    let Ok(Pdu::Plain(first)) = open(&tap[0].octets) else { panic!("{tap:?}") };
    let Ok(FgmmMessage::RegistrationRequest(RegistrationRequest { identity, .. })) =
        FgmmMessage::decode(first)
    else {
        panic!("{tap:?}")
    };
    identity
}

fn conceals(w: &mut World, profile: SuciProfile, key_id: u8, key: &[u8]) {
    w.phones[LAPTOP].ue.conceal(Some(Conceal { profile, key_id, key: key.to_vec() }));
}

fn is_in(w: &World) -> bool {
    w.view(LAPTOP).map(|v| v.state) == Some(UeState::Connected)
}

fn refused(w: &mut World) -> Vec<(FgmmCause, RefusalReason)> {
    let told = std::mem::take(&mut w.events);
    let refused = told.into_iter().filter_map(|e| match e.what {
        // Who it is cannot be said: it is in no SIM's timeline, but in the radio's.
        Happening::RegistrationRefused { authenticated: false, cause, reason, .. } if e.imsi.is_none() => {
            Some((cause, reason))
        }
        _ => None,
    });
    refused.collect()
}

#[test]
fn a_laptop_attaches_under_each_profile_and_is_never_named() {
    for (id, profile) in [(1, SuciProfile::A), (254, SuciProfile::B)] {
        let mut w = World::site();
        let key = w.home_key(id, profile, None);
        conceals(&mut w, profile, id, &key);
        let mut seen = Vec::new();
        for _ in 0..2 {
            let MobileIdentity::Suci(suci) = comes(&mut w) else { panic!("a SUCI") };
            assert_eq!((suci.scheme.profile(), suci.key_id), (Some(profile), id));
            assert!(is_in(&w), "{profile}");
            seen.push(suci.output);
        }
        assert_ne!(seen[0], seen[1], "two visits cannot be told to be of one SIM");
        assert_eq!(w.happened(LAPTOP, |h| matches!(h, Happening::Registered { .. })), 2);
        w.attach(LAPTOP);
        // An unknown temporary identity is asked for; the answer is concealed too.
        let (guti, lies) = (w.phones[LAPTOP].ue.guti().unwrap(), w.phones[LAPTOP].ue.lies());
        lies.claim_identity = Some(MobileIdentity::Guti(FgGuti { tmsi: FgTmsi(!guti.tmsi.0), ..guti }));
        comes(&mut w);
        assert!(is_in(&w), "{profile}, asked");
        w.pass_ms(100_000);
        w.assert_tidy();
    }
}

#[test]
fn a_key_is_replaced_while_sims_that_have_the_old_one_come_on() {
    let mut w = World::site();
    let until = Utc(w.now.utc.0 + 3_600_000);
    let old = w.home_key(1, SuciProfile::A, Some(until));
    let new = w.home_key(2, SuciProfile::B, None);
    for (id, profile, key) in [(1, SuciProfile::A, &old), (2, SuciProfile::B, &new)] {
        conceals(&mut w, profile, id, key);
        comes(&mut w);
        assert!(is_in(&w), "key {id}");
    }
    w.tell(LAPTOP, Input::Deregister { switch_off: true });
    w.run();
    w.pass_ms(3_600_000);
    // Control starts anew: the keys are still there, and the date of the old one has come.
    w.control_dies();
    w.radio_down(0);
    w.control_starts();
    w.radio_up(0);
    w.run();
    conceals(&mut w, SuciProfile::A, 1, &old);
    w.events.clear();
    comes(&mut w);
    assert!(!is_in(&w));
    assert_eq!(refused(&mut w), [(FgmmCause::IllegalUe, RefusalReason::SuciKeyRefused)]);
    conceals(&mut w, SuciProfile::B, 2, &new);
    comes(&mut w);
    assert!(is_in(&w));
}

#[test]
fn what_does_not_open_is_refused_and_told_and_touches_nobody() {
    let mut w = World::site();
    let key = w.home_key(1, SuciProfile::A, None);
    let other = w.home_key(2, SuciProfile::A, None);
    let cases = [
        // Concealed for another key than the one it names; for an id of nobody; for an id of the other profile.
        (SuciProfile::A, 1, &other, RefusalReason::SuciUnreadable),
        (SuciProfile::A, 3, &key, RefusalReason::SuciKeyUnknown),
    ];
    for (profile, id, key, reason) in cases {
        conceals(&mut w, profile, id, key);
        w.events.clear();
        comes(&mut w);
        assert!(!is_in(&w));
        let news = w.news_of(LAPTOP);
        let rejected = |e: &UeEvent| {
            matches!(e, UeEvent::Rejected { cause: FgmmCause::IllegalUe, protected: false, .. })
        };
        assert!(news.iter().any(rejected), "{news:?}");
        assert_eq!(refused(&mut w), [(FgmmCause::IllegalUe, reason)]);
    }
    conceals(&mut w, SuciProfile::A, 1, &key);
    comes(&mut w);
    assert!(is_in(&w));
    w.pass_ms(100_000);
    w.assert_tidy();
}
