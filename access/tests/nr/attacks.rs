//! What somebody without keys tries against a UE that has some. Each is told once here as a story, where it is not one of
//! `hostile.rs` already; `docs/states.md`, tables *false* and *first*, has every message in every state.
//!
//! | attack | told by |
//! | --- | --- |
//! | a forged goodbye | `hostile::r51_a_deregistration_that_is_not_the_victims` |
//! | the victim's 5G-GUTI, in a request | `hostile::r55_a_wrong_response_in_the_name_of_a_guti`, [`the_victims_identity_in_a_service_request`] |
//! | a replay | [`what_the_victim_said_before_said_once_more`] |
//! | null security | `hostile::r53_a_claim_to_be_the_victim_with_null_security` |
//! | bidding down | `hostile::r47_the_container_of_security_mode_complete`, `ciphering::who_is_bid_down_is_not_let_in` of the stories |
//! | silence after the identity was asked | [`silence_after_an_identity_request_in_the_victims_name`] |
//! | a forged Authentication Failure or Reject | [`a_forged_failure_while_the_victim_is_challenged`] |
//! | a forged Security Mode Reject | [`a_forged_security_mode_reject_while_the_victim_takes_new_keys`] |
//! | a forged 5GMM STATUS | [`a_forged_status_in_each_state_of_the_victim`] |
//! | the Identity Response of another | [`an_identity_response_that_names_the_victim`] |

use crate::hostile::{scene, untouched};
use crate::table::scenes;
use crate::world::*;
use access::nr::*;
use types::*;
use wire::nas::fgs::*;
use wire::nas::security::{Direction, HeaderType};
use wire::ngap::{Message, RanUeNgapId};

/// Integrity protection that nobody can verify, around a message.
fn forged(m: &FgmmMessage) -> Vec<u8> {
    let mut nas = vec![0x7e, 1, 0xde, 0xad, 0xbe, 0xef, 9];
    nas.extend(m.encode().unwrap());
    nas
}

fn plain(m: &FgmmMessage) -> Vec<u8> {
    m.encode().unwrap()
}

#[test]
fn the_victims_identity_in_a_service_request() {
    for (n, idle) in [(0, false), (1, true), (2, true)] {
        let mut w = scene();
        if idle {
            w.go_idle(0);
        }
        let g = w.ues[0].guti.unwrap();
        let all: SessionSet = (1..=15).map(|n| PduSessionId::try_from(n).unwrap()).collect();
        let m = FgmmMessage::ServiceRequest(ServiceRequest {
            ngksi: w.ues[0].ksi,
            service_type: [ServiceType::DATA, ServiceType::MOBILE_TERMINATED, ServiceType::SIGNALLING][n],
            s_tmsi: STmsi { set: g.amf.set, pointer: g.amf.pointer, tmsi: g.tmsi },
            uplink_data_status: Some(all),
            // It says that the victim holds no session any more.
            pdu_session_status: Some(SessionSet::default()),
            nas_container: None,
        });
        let before = w.view(0);
        w.initial(B, RanUeNgapId(900), if n == 2 { forged(&m) } else { plain(&m) });
        w.run();
        assert_eq!(w.view(0), before);
        let told = w.sent.iter().rev().find_map(|(a, m)| match m {
            Message::DownlinkNasTransport(d) if *a == B => FgmmMessage::decode(&d.nas).ok(),
            _ => None,
        });
        let reject = FgmmMessage::ServiceReject(ServiceReject::new(FgmmCause::UeIdentityCannotBeDerived));
        assert_eq!(told, Some(reject));
        if !idle {
            untouched(&mut w, "a service request in its name");
        }
        w.assert_tidy(usize::from(!idle));
    }
}

#[test]
fn what_the_victim_said_before_said_once_more() {
    // Everything that it says in a day is kept by somebody on the air, and said again: where it was said, and elsewhere.
    let mut w = World::new(2);
    w.gnb_up(B, 2);
    w.attach(0, A);
    let mut said = Vec::new();
    let mut says = |w: &mut World, nas: Vec<u8>| {
        said.push(nas.clone());
        w.say(0, nas);
        w.run();
    };
    let nas = w.ues[0].establish(1, 1, Some("corp"), PduSessionType::IPV4);
    says(&mut w, nas);
    let nas = w.ues[0].establish(2, 2, Some("factory"), PduSessionType::IPV4);
    says(&mut w, nas);
    let nas = w.ues[0].session_message(2, 3, FgsmBody::ReleaseRequest { cause: None });
    says(&mut w, nas);
    let nas = w.ues[0].register(RegistrationType::MobilityUpdating);
    says(&mut w, nas);
    w.connect(0, 2, "factory");
    let before = (w.view(0), w.gateway.sessions.clone());
    for (n, nas) in said.iter().enumerate() {
        w.say(0, nas.clone());
        w.run();
        w.initial(B, RanUeNgapId(1_000 + n as u32), nas.clone());
        w.run();
        w.pass_ms(100_000);
        assert_eq!((w.view(0), w.gateway.sessions.clone()), before, "message {n}");
    }
    w.assert_tidy(1);
}

#[test]
fn silence_after_an_identity_request_in_the_victims_name() {
    // A wrong answer to the victim's challenge, in its name, makes us ask who it is; then nothing is said any more.
    let mut w = scene();
    let mut r = w.ues[0].registration(RegistrationType::Initial);
    r.ngksi = NgKsi::NoKey;
    w.ues[2].habits.silent = true;
    w.arrive(2, B, FgmmMessage::RegistrationRequest(r).encode().unwrap());
    w.run();
    let wrong = AuthenticationResponse::of(Some(Res(vec![0; 16])));
    w.say(2, plain(&FgmmMessage::AuthenticationResponse(wrong)));
    w.run();
    assert_eq!(w.ues[2].heard.last(), Some(&FgmmMessage::IdentityRequest(IdentityType::Suci)));
    w.pass_ms(100_000);
    let asked = w.ues[2].heard.iter().filter(|m| matches!(m, FgmmMessage::IdentityRequest(_))).count();
    assert_eq!(asked, 5, "T3570, four times more");
    untouched(&mut w, "silence");
    w.assert_tidy(1);
}

/// A message of the attacker's own, on the victim's connection, in the middle of new keys: they come all the same.
fn keys_come_all_the_same(state: UeStanding, m: &FgmmMessage) {
    for nas in [plain(m), forged(m)] {
        let mut w = scenes::ue(state);
        let before = w.view(scenes::UE);
        w.say(scenes::UE, nas);
        w.run();
        assert_eq!(w.amf.ue_standing(supi(scenes::UE)), Some(state), "{}", m.name());
        assert_eq!(w.view(scenes::UE), before);
        // T3560: it is asked once more, and answers.
        if state == UeStanding::KeysSecuring {
            let ue = &mut w.ues[scenes::UE];
            std::mem::swap(&mut ue.context, &mut ue.before);
        }
        let done = w.amf.counters().rekeyed;
        w.pass_ms(7_000);
        assert_eq!(w.amf.counters().rekeyed, done + 1, "{}", m.name());
        assert_eq!(w.state(scenes::UE), Some(UeState::Connected));
    }
}

#[test]
fn a_forged_failure_while_the_victim_is_challenged() {
    for cause in [FgmmCause::MacFailure, FgmmCause::SynchFailure, FgmmCause::NgKsiAlreadyInUse] {
        let auts = (cause == FgmmCause::SynchFailure).then_some(Auts([1; 14]));
        let m = FgmmMessage::AuthenticationFailure(AuthenticationFailure { cause, auts });
        keys_come_all_the_same(UeStanding::KeysChallenged, &m);
    }
    keys_come_all_the_same(UeStanding::KeysChallenged, &FgmmMessage::AuthenticationReject(None));
    let wrong = AuthenticationResponse::of(Some(Res(vec![7; 16])));
    keys_come_all_the_same(UeStanding::KeysChallenged, &FgmmMessage::AuthenticationResponse(wrong));
}

#[test]
fn a_forged_security_mode_reject_while_the_victim_takes_new_keys() {
    for cause in [FgmmCause::UeSecurityCapabilitiesMismatch, FgmmCause::SecurityModeRejected] {
        keys_come_all_the_same(UeStanding::KeysSecuring, &FgmmMessage::SecurityModeReject(cause));
    }
}

#[test]
fn a_forged_status_in_each_state_of_the_victim() {
    for state in UeStanding::ALL.iter().copied() {
        for cause in [FgmmCause::MessageTypeNonExistent, FgmmCause(0), FgmmCause::ImplicitlyDeregistered] {
            let mut w = scenes::ue(state);
            let before = w.view(scenes::UE);
            let m = FgmmMessage::FgmmStatus(cause);
            w.say(scenes::UE, plain(&m));
            w.say(scenes::UE, forged(&m));
            w.initial(B, RanUeNgapId(950), plain(&m));
            w.run();
            assert_eq!((w.view(scenes::UE), w.amf.ue_standing(supi(scenes::UE))), (before, Some(state)));
        }
    }
}

#[test]
fn an_identity_response_that_names_the_victim() {
    // An attacker is asked who it is and says that it is the victim: the victim's SIM is challenged, and the attacker has no
    // answer. Then on the victim's own connection, in clear, and under the attacker's keys.
    let mut w = scene();
    w.ues[2].guti = Some(scenes::unknown_guti());
    let nas = w.ues[2].register(RegistrationType::Initial);
    w.ues[2].habits.silent = true;
    w.arrive(2, B, nas);
    w.run();
    assert_eq!(w.ues[2].heard.last(), Some(&FgmmMessage::IdentityRequest(IdentityType::Suci)));
    let victim = FgmmMessage::IdentityResponse(w.ues[0].suci());
    w.say(2, plain(&victim));
    w.run();
    assert!(matches!(w.ues[2].heard.last(), Some(FgmmMessage::AuthenticationRequest(_))));
    w.attach(1, A);
    let attacker = FgmmMessage::IdentityResponse(w.ues[1].suci());
    w.say(0, plain(&attacker));
    let context = w.ues[1].context.as_mut().unwrap();
    let nas = context.protect(&plain(&attacker), HeaderType::Ciphered, Direction::Uplink).unwrap();
    w.say(0, nas);
    w.run();
    w.pass_ms(100_000);
    assert_eq!(w.state(1), Some(UeState::Connected));
    untouched(&mut w, "an identity response");
    w.assert_tidy(2);
}
