//! SIMs that prove themselves by EAP-AKA' (TS 33.501 §6.1.3.1): everything else is as with 5G AKA, because the keys
//! behind KSEAF are.

use crate::field::Fate;
use crate::keys::{agree, counters, speak};
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::UeState;
use lab::ue::{Input, UeEvent};
use types::*;

const LAPTOP: usize = 0;
const DAY_MS: u64 = 86_400_000;

/// The site, whose control was started with the other method.
fn site() -> World {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 2);
    w.authentication = AuthenticationMethod::EapAkaPrime;
    w.control_dies();
    for radio in 0..2 {
        w.radio_down(radio);
    }
    w.control_starts();
    for radio in 0..2 {
        w.radio_up(radio);
    }
    w.run();
    w
}

fn comes_anew(w: &mut World) {
    w.power_cycle(LAPTOP);
    w.tell(LAPTOP, Input::Register);
    w.run();
}

fn state(w: &World) -> Option<UeState> {
    w.view(LAPTOP).map(|v| v.state)
}

#[test]
fn a_laptop_comes_works_moves_renews_its_keys_and_leaves() {
    let mut w = site();
    w.tap = Some(Vec::new());
    let address = w.attach(LAPTOP);
    // It is this method that is spoken: an EAP-Request for a challenge of EAP-AKA' goes down, type 50, subtype 1.
    let eap = |t: &[u8]| t.windows(6).any(|o| o[0] == 1 && o[2] == 0 && o[4] == 50 && o[5] == 1);
    let tap = w.tap.take().unwrap();
    assert_eq!(tap.iter().filter(|t| t.octets.get(2) == Some(&0x56) && eap(&t.octets)).count(), 1);
    let packet = Packet::new(What::Syn, address, 40_000, FILES, 443);
    assert_eq!(w.send(LAPTOP, packet), Fate::Answered);
    assert!(w.hand_over(LAPTOP, 1));
    w.run();
    w.pass_ms(DAY_MS);
    speak(&mut w);
    assert_eq!(counters(&w).rekeyed, 1);
    agree(&mut w);
    w.go_idle(LAPTOP);
    w.run();
    w.tell(LAPTOP, Input::Service);
    w.run();
    assert_eq!(state(&w), Some(UeState::Connected));
    w.tell(LAPTOP, Input::Deregister { switch_off: false });
    w.run();
    assert_eq!(state(&w), None);
    w.pass_ms(100_000);
    w.assert_tidy();
}

#[test]
fn a_card_that_is_ahead_and_one_that_answers_wrongly() {
    let mut w = site();
    // It was used elsewhere: one resynchronisation, and it is in.
    let ahead = Sqn::from_seq_ind(w.phones[LAPTOP].ue.card().sqn_ms().seq(5) + 5_000, 0, 5).unwrap();
    let (k, opc) = keys(LAPTOP);
    *w.phones[LAPTOP].ue.card() = sim_auth::Usim::new(&k, &opc).with_sqn(ahead);
    comes_anew(&mut w);
    assert!(w.news_of(LAPTOP).contains(&UeEvent::ChallengeRefused(FgmmCause::SynchFailure)));
    assert_eq!(state(&w), Some(UeState::Connected));
    w.tell(LAPTOP, Input::Deregister { switch_off: true });
    w.run();
    // A wrong RES under a right AT_MAC: EAP-Failure with the reject, and nothing stays.
    w.phones[LAPTOP].ue.lies().wrong_res = true;
    comes_anew(&mut w);
    assert!(w.news_of(LAPTOP).contains(&UeEvent::AuthenticationRejected));
    assert_eq!(state(&w), None);
    w.phones[LAPTOP].ue.lies().wrong_res = false;
    // A card of other keys says AKA'-Authentication-Reject: asked who it is, once more, and then rejected.
    *w.phones[LAPTOP].ue.card() = sim_auth::Usim::new(&K::new([7; 16]), &opc);
    comes_anew(&mut w);
    assert!(w.news_of(LAPTOP).contains(&UeEvent::ChallengeRefused(FgmmCause::MacFailure)));
    assert_eq!(state(&w), None);
    w.pass_ms(100_000);
    w.assert_tidy();
}

#[test]
fn a_network_that_calls_itself_by_another_name_gets_no_answer_that_proves_anything() {
    use wire::eap::{AkaPrime, Eap, EapBody, Subtype};
    use wire::nas::fgs::*;
    // Bidding down and a false serving network: AT_KDF and AT_KDF_INPUT that are not those that it knows, and a challenge that
    // was changed on its way.
    let (k, opc) = keys(LAPTOP);
    let card = sim_auth::Milenage::new(&k, &opc);
    let snn = plmn().serving_network_name();
    let v = |seq| {
        let sqn = Sqn::from_seq_ind(seq, 0, 5).unwrap();
        sim_auth::eap_vector_of(&card, Rand([seq as u8; 16]), sqn, [0x80, 0], &snn, Supi(imsi(LAPTOP)))
    };
    let says = |vector: &sim_auth::FgVector, kdf, name: &str, spoil: bool| {
        let sim_auth::Expected::Eap(proof) = &vector.expected else { panic!("another method") };
        let m = AkaPrime {
            rand: Some(vector.rand),
            autn: Some(vector.autn),
            kdf,
            kdf_input: Some(name.as_bytes().to_vec()),
            ..AkaPrime::of(Subtype::CHALLENGE)
        };
        let request = Eap { identifier: 3, body: EapBody::Request(m) };
        let mut packet = request.encode_signed(|c| proof.sign(c)).unwrap();
        if spoil && let Some(last) = packet.last_mut() {
            *last ^= 1;
        }
        let m = AuthenticationRequest {
            ngksi: NgKsi::Native(3),
            abba: vec![0, 0],
            challenge: AuthenticationChallenge::Eap(EapMessage(packet)),
        };
        FgmmMessage::AuthenticationRequest(m).encode().unwrap()
    };
    let cases = [
        (says(&v(1), vec![2], &snn, false), Subtype::CLIENT_ERROR),
        (says(&v(2), vec![], &snn, false), Subtype::CLIENT_ERROR),
        (says(&v(3), vec![1], "5G:mnc001.mcc440.3gppnetwork.org", false), Subtype::CLIENT_ERROR),
        (says(&v(4), vec![1], &snn, true), Subtype::CLIENT_ERROR),
        (says(&v(5), vec![1], &snn, false), Subtype::CHALLENGE),
    ];
    for (nas, subtype) in cases {
        let mut w = World::new(&[Role::Laptop], 1);
        let now = w.now;
        let ue = &mut w.phones[LAPTOP].ue;
        ue.handle(Input::Register, now);
        while ue.poll_output().is_some() {}
        ue.handle(Input::Nas(nas), now);
        let Some(lab::ue::Output::Nas { octets, .. }) = ue.poll_output() else { panic!("an answer") };
        let Ok(FgmmMessage::AuthenticationResponse(m)) = FgmmMessage::decode(&octets) else { panic!() };
        let Ok(Eap { identifier: 3, body: EapBody::Response(answer) }) = Eap::decode(&m.eap.unwrap().0)
        else {
            panic!("an EAP-Response to it")
        };
        assert_eq!(answer.subtype, subtype);
        assert_eq!(answer.res.is_some(), subtype == Subtype::CHALLENGE);
    }
}

#[test]
fn a_ban_cuts_and_refuses_as_ever() {
    let mut w = site();
    w.attach(LAPTOP);
    w.ban(LAPTOP, SimState::Stolen);
    w.run();
    w.pass_ms(100_000);
    w.phones[LAPTOP].ue.lies().ignore_bars = true;
    w.news_of(LAPTOP);
    comes_anew(&mut w);
    let news = w.news_of(LAPTOP);
    let refused =
        |e: &UeEvent| matches!(e, UeEvent::Rejected { cause: FgmmCause::IllegalUe, protected: true, .. });
    assert!(news.iter().any(refused), "{news:?}");
}
