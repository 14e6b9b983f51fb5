//! EAP-AKA' between AMF and UE (TS 24.501 §5.4.1.2, TS 33.501 §6.1.3.1): what it proves, and what it does not.

use crate::attach::heard;
use crate::ue::SNN;
use crate::world::*;
use access::nr::*;
use sim_auth::EapAnswer;
use types::*;
use wire::eap::{self, AkaPrime, Eap, EapBody, Subtype};
use wire::nas::fgs::*;

/// One UE whose vectors are for EAP-AKA'.
fn world() -> World {
    let mut w = World::new(1);
    w.sims.get_mut(&supi(0)).unwrap().eap = true;
    w
}

/// The EAP packet of the last message that has one.
fn last_packet(w: &World) -> Option<Eap> {
    let packet = w.ues[0].heard.iter().rev().find_map(|m| match m {
        FgmmMessage::AuthenticationRequest(AuthenticationRequest {
            challenge: AuthenticationChallenge::Eap(p),
            ..
        }) => Some(p.clone()),
        FgmmMessage::SecurityModeCommand(m) => m.eap.clone(),
        FgmmMessage::AuthenticationReject(p) => p.clone(),
        FgmmMessage::RegistrationReject(m) => m.eap.clone(),
        _ => None,
    })?;
    Some(Eap::decode(&packet.0).expect("a packet that can be read"))
}

#[test]
fn a_sim_proves_itself_and_is_told_of_its_success_under_its_new_keys() {
    let mut w = world();
    w.attach(0, A);
    assert_eq!(heard(&w, 0), ["AuthenticationRequest", "SecurityModeCommand", "RegistrationAccept"]);
    let FgmmMessage::SecurityModeCommand(m) = &w.ues[0].heard[1] else { panic!() };
    assert_eq!(w.ues[0].protected, [false, true, true]);
    let NgKsi::Native(ksi) = m.ngksi else { panic!() };
    assert_eq!(last_packet(&w), Some(Eap::result(ksi, true)));
    assert_eq!(w.state(0), Some(UeState::Connected));
    w.assert_tidy(1);
}

#[test]
fn a_card_that_is_ahead_is_met_by_one_resynchronisation() {
    let mut w = world();
    let sqn = Sqn::from_seq_ind(10_000, 1, 5).unwrap();
    w.ues[0].usim = w.card(0).with_sqn(sqn);
    w.attach(0, A);
    let twice =
        ["AuthenticationRequest", "AuthenticationRequest", "SecurityModeCommand", "RegistrationAccept"];
    assert_eq!(heard(&w, 0), twice);
    let identifiers: Vec<u8> = w.ues[0]
        .heard
        .iter()
        .filter_map(|m| match m {
            FgmmMessage::AuthenticationRequest(AuthenticationRequest {
                challenge: AuthenticationChallenge::Eap(p),
                ..
            }) => Some(Eap::decode(&p.0).unwrap().identifier),
            _ => None,
        })
        .collect();
    assert_ne!(identifiers[0], identifiers[1], "each request has its own identifier (RFC 3748 §4.1)");
    w.assert_tidy(1);
}

#[test]
fn a_challenge_of_other_keys_asks_for_the_identity_once_and_ends_in_failure() {
    let mut w = world();
    w.sims.get_mut(&supi(0)).unwrap().wrong_key = true;
    w.attach(0, A);
    assert_eq!(
        heard(&w, 0),
        ["AuthenticationRequest", "IdentityRequest", "AuthenticationRequest", "AuthenticationReject"]
    );
    assert_eq!(last_packet(&w).unwrap().body, EapBody::Failure);
    w.assert_tidy(0);
}

#[test]
fn an_end_in_the_middle_carries_the_failure_too() {
    let mut w = world();
    let nas = w.ues[0].register(RegistrationType::Initial);
    w.ues[0].habits.silent = true;
    w.arrive(0, A, nas);
    w.run();
    let Some(Eap { identifier, .. }) = last_packet(&w) else { panic!("challenged") };
    // MAC-S is nobody's: `hss` refuses.
    w.say(0, synch_failure(identifier, Auts([7; 14])));
    w.run();
    assert_eq!(heard(&w, 0), ["AuthenticationRequest", "RegistrationReject"]);
    assert_eq!(last_packet(&w), Some(Eap::result(identifier, false)));
    w.assert_tidy(0);
}

fn answered(eap: &Eap) -> Vec<u8> {
    crate::ue::eap_answer(eap.encode().unwrap()).encode().unwrap()
}

fn synch_failure(identifier: u8, auts: Auts) -> Vec<u8> {
    let m = AkaPrime { auts: Some(auts), ..AkaPrime::of(Subtype::SYNCHRONIZATION_FAILURE) };
    answered(&Eap { identifier, body: EapBody::Response(m) })
}

/// Somebody has been challenged; what the right answer would be, and the key that signs it.
fn challenged() -> (World, u8, AkaPrime, Key256) {
    let mut w = world();
    let nas = w.ues[0].register(RegistrationType::Initial);
    w.ues[0].habits.silent = true;
    w.arrive(0, A, nas);
    w.run();
    let Some(Eap { identifier, body: EapBody::Request(asked) }) = last_packet(&w) else { panic!() };
    let (rand, autn) = (asked.rand.unwrap(), asked.autn.unwrap());
    let EapAnswer::Success { res, keys } = w.card(0).authenticate_eap(&rand, &autn, SNN, supi(0)) else {
        panic!("the card accepts")
    };
    w.ues[0].offered_ksi = NgKsi::Native(identifier);
    w.ues[0].kseaf = Some(sim_auth::fgs::kseaf(&keys.kausf(), SNN));
    let right = AkaPrime { res: Some(Res(res.expose().to_vec())), ..AkaPrime::of(Subtype::CHALLENGE) };
    (w, identifier, right, keys.k_aut())
}

pub fn signed(identifier: u8, m: AkaPrime, k_aut: &Key256) -> Vec<u8> {
    let response = Eap { identifier, body: EapBody::Response(m) };
    response.encode_signed(|covered| sim_auth::eap::at_mac(k_aut, covered)).unwrap()
}

#[test]
fn hostile_no_answer_but_the_right_one_opens_the_door() {
    type Spoil = fn(u8, AkaPrime, &Key256) -> Vec<u8>;
    let none = Key256::new([0; 32]);
    let wrong: [(&str, Spoil); 15] = [
        ("AT_MAC of another key", |i, m, _| signed(i, m, &Key256::new([0; 32]))),
        ("no AT_MAC", |i, m, _| Eap { identifier: i, body: EapBody::Response(m) }.encode().unwrap()),
        ("AT_MAC of zeros", |i, m, _| signed(i, AkaPrime { mac: Some([0; 16]), ..m }, &Key256::new([1; 32]))),
        ("no AT_RES", |i, m, k| signed(i, AkaPrime { res: None, ..m }, k)),
        ("AT_RES cut short", |i, m, k| {
            let Res(res) = m.res.clone().unwrap();
            signed(i, AkaPrime { res: Some(Res(res[..4].to_vec())), ..m }, k)
        }),
        ("another AT_RES", |i, m, k| signed(i, AkaPrime { res: Some(Res(vec![0; 8])), ..m }, k)),
        ("a function that was not offered", |i, m, k| signed(i, AkaPrime { kdf: vec![2], ..m }, k)),
        ("a choice among what was not offered", |i, m, k| signed(i, AkaPrime { kdf: vec![1, 2], ..m }, k)),
        ("an AT_CHECKCODE of messages that there were not", |i, m, k| {
            signed(i, AkaPrime { checkcode: Some(vec![0; 32]), ..m }, k)
        }),
        ("a client error", |i, _, _| {
            let m = AkaPrime { client_error: Some(0), ..AkaPrime::of(Subtype::CLIENT_ERROR) };
            Eap { identifier: i, body: EapBody::Response(m) }.encode().unwrap()
        }),
        ("the right values under another subtype", |i, m, k| {
            signed(i, AkaPrime { subtype: Subtype::NOTIFICATION, ..m }, k)
        }),
        ("synchronisation failure without AT_AUTS", |i, _, k| {
            signed(i, AkaPrime::of(Subtype::SYNCHRONIZATION_FAILURE), k)
        }),
        ("EAP-AKA without the prime", |i, m, k| {
            let mut p = signed(i, m, k);
            p[4] = 23;
            p
        }),
        ("a Nak", |i, _, _| vec![2, i, 0, 6, 3, 13]),
        ("a packet cut short", |i, m, k| {
            let mut p = signed(i, m, k);
            p.truncate(20);
            p
        }),
    ];
    for (what, spoil) in wrong {
        let (mut w, identifier, right, k_aut) = challenged();
        let packet = spoil(identifier, right, &k_aut);
        w.say(0, crate::ue::eap_answer(packet).encode().unwrap());
        w.run();
        assert_eq!(heard(&w, 0), ["AuthenticationRequest", "AuthenticationReject"], "{what}");
        assert_eq!(last_packet(&w), Some(Eap::result(identifier, false)), "{what}");
        w.assert_tidy(0);
    }
    // RES* where EAP was asked for, and EAP where RES* was.
    let (mut w, _, right, _) = challenged();
    let m = AuthenticationResponse::of(right.res.clone());
    w.say(0, FgmmMessage::AuthenticationResponse(m).encode().unwrap());
    w.run();
    assert_eq!(heard(&w, 0), ["AuthenticationRequest", "AuthenticationReject"]);
    let mut w = World::new(1);
    let nas = w.ues[0].register(RegistrationType::Initial);
    w.ues[0].habits.silent = true;
    w.arrive(0, A, nas);
    w.run();
    w.say(0, crate::ue::eap_answer(signed(0, right, &none)).encode().unwrap());
    w.run();
    assert_eq!(w.ues[0].heard.last(), Some(&FgmmMessage::AuthenticationReject(None)));
    w.assert_tidy(0);
}

#[test]
fn hostile_what_is_no_answer_to_this_request_is_as_if_it_had_not_come() {
    let (mut w, identifier, right, k_aut) = challenged();
    let other = signed(identifier.wrapping_add(1), right.clone(), &k_aut);
    let request = Eap { identifier, body: EapBody::Request(right.clone()) };
    let request = request.encode_signed(|c| sim_auth::eap::at_mac(&k_aut, c)).unwrap();
    let results = [true, false].map(|success| Eap::result(identifier, success).encode().unwrap());
    for packet in [other, request].into_iter().chain(results) {
        w.say(0, crate::ue::eap_answer(packet).encode().unwrap());
        w.run();
        assert_eq!(heard(&w, 0), ["AuthenticationRequest"]);
    }
    assert_eq!(w.amf.counters().refused.get("eap-out-of-place"), Some(&4));
    // What is behind the packet's length, what may be skipped and what says the same as was offered does not matter.
    let m = AkaPrime { kdf: vec![1], checkcode: Some(vec![]), result_ind: true, ..right };
    let mut packet = signed(identifier, m, &k_aut);
    assert!(eap::covered(&packet).is_some());
    packet.extend([1, 2, 3]);
    w.say(0, crate::ue::eap_answer(packet).encode().unwrap());
    w.run();
    assert_eq!(heard(&w, 0)[1], "SecurityModeCommand");
}

#[test]
fn keys_that_are_old_are_renewed_by_the_same_method() {
    let mut c = config();
    c.key_life_s = 60;
    let mut w = World::with_config(1, c);
    w.sims.get_mut(&supi(0)).unwrap().eap = true;
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.pass_ms(61_000);
    let status = FgmmMessage::FgmmStatus(FgmmCause::ProtocolErrorUnspecified);
    let nas = w.ues[0].protect(&status);
    w.say(0, nas);
    w.run();
    assert_eq!(w.amf.counters().rekeyed, 1);
    assert_eq!(heard(&w, 0).last(), Some(&"SecurityModeCommand"));
    assert_eq!(last_packet(&w).unwrap().body, EapBody::Success);
    assert_eq!(w.state(0), Some(UeState::Connected));
}
