//! Messages that have broken, or taken over, open cores. Each in several variants: the process lives, the
//! others are untouched, nobody else's state changes, the answer is right.

use crate::octets::Parts;
use crate::ue::plmn;
use crate::world::*;
use access::nr::*;
use proptest::prelude::*;
use types::*;
use wire::nas::fgs::*;
use wire::nas::security::{Nea, Nia};
use wire::ngap::{self, *};

/// UE 0 is the victim, registered on gNB A with a session; UE 1 is an attacker; gNB B is there as well.
pub fn scene() -> World {
    let mut w = World::new(3);
    w.gnb_up(B, 2);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.sent.clear();
    w.events.clear();
    w
}

/// The victim has noticed nothing: it is registered under the same identity, its traffic flows to its gNB.
pub fn untouched(w: &mut World, what: &str) {
    assert_eq!((w.state(0), w.phases(0)), (Some(UeState::Connected), vec![SessionPhase::Active]), "{what}");
    assert_eq!(w.view(0).unwrap().guti, w.ues[0].guti, "{what}");
    let held = w.gateway.sessions.values().find(|h| h.supi == supi(0)).expect(what);
    assert_eq!(held.downlink, Some((0x5001, [10, 0, 0, 1].into())), "{what}");
    // Its context still verifies: it can open a session.
    w.connect(0, 9, "factory");
    assert!(w.ues[0].sessions.contains_key(&9), "{what}: the victim is still served");
}

pub fn ids(w: &World, u: usize) -> (AmfUeNgapId, RanUeNgapId) {
    let p = w.places[u].as_ref().unwrap();
    (p.amf.unwrap(), p.ran)
}

pub fn last_error(w: &World, assoc: AssocId) -> Option<Cause> {
    match &w.sent.iter().rev().find(|(a, _)| *a == assoc)?.1 {
        Message::ErrorIndication(e) => e.cause,
        _ => None,
    }
}

#[test]
fn r09_each_element_of_each_message_removed_in_turn() {
    let w = scene();
    let (amf_ue_id, ran_ue_id) = ids(&w, 0);
    let id = PduSessionId::try_from(1).unwrap();
    let setup = vec![SessionTransfer { id, transfer: tunnel(0x6666, [6, 6, 6, 6]) }];
    let cause = Cause::UNSPECIFIED;
    let nas = vec![0x7e, 0, 0x41, 1, 0];
    let connection = UeConnection { amf_ue_id: Some(amf_ue_id), ran_ue_id: Some(ran_ue_id) };
    let messages = [
        Message::NgSetupRequest(setup_request(1)),
        Message::InitialUeMessage(InitialUeMessage {
            ran_ue_id,
            nas: nas.clone(),
            location: location(),
            rrc_cause: Some(RrcEstablishmentCause::MoData),
            s_tmsi: None,
            context_requested: true,
        }),
        Message::UplinkNasTransport(UplinkNasTransport {
            amf_ue_id,
            ran_ue_id,
            nas,
            location: Some(location()),
        }),
        Message::InitialContextSetupResponse(InitialContextSetupResponse {
            amf_ue_id,
            ran_ue_id,
            setup: setup.clone(),
            failed: vec![],
        }),
        Message::InitialContextSetupFailure(InitialContextSetupFailure {
            amf_ue_id,
            ran_ue_id,
            failed: vec![],
            cause,
        }),
        Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
            amf_ue_id,
            ran_ue_id,
            setup: setup.clone(),
            failed: vec![],
        }),
        Message::PduSessionResourceReleaseResponse(PduSessionResourceReleaseResponse {
            amf_ue_id,
            ran_ue_id,
            released: setup,
            location: None,
        }),
        Message::UeContextReleaseRequest(UeContextReleaseRequest {
            amf_ue_id,
            ran_ue_id,
            sessions: vec![],
            cause,
        }),
        Message::UeContextReleaseComplete(UeContextReleaseComplete {
            amf_ue_id,
            ran_ue_id,
            location: None,
            sessions: vec![],
        }),
        Message::NgReset(NgReset { cause, reset: ResetType::Part(vec![connection]) }),
    ];
    let mut refused = 0;
    for message in &messages {
        let parts = Parts::of(&ngap::encode(message).unwrap());
        for which in 0..parts.elements.len() {
            let cut = parts.with(|e| drop(e.remove(which)));
            let Err(e) = ngap::decode(&cut) else { continue };
            refused += 1;
            let what = format!("{} without element {which}", message.name());
            let mut w = scene();
            w.raw(A, cut);
            w.run();
            let answered = match w.sent.last().map(|(_, m)| m) {
                Some(Message::ErrorIndication(i)) => i.cause == Some(e.cause()),
                Some(Message::NgSetupFailure(f)) => f.cause == e.cause(),
                // §10.3.5: an answer that lacks something is dealt with here, without a word.
                None => !e.wants_answer(),
                _ => false,
            };
            assert!(answered, "{what}: {:?}", w.sent);
            assert_eq!(w.refused("malformed-ngap"), 1, "{what}");
            untouched(&mut w, &what);
        }
        assert!(!parts.elements.is_empty(), "{} has elements", message.name());
    }
    assert!(refused >= 18, "{refused} messages lacked something mandatory");
}

#[test]
fn r13_an_amf_ue_ngap_id_beyond_40_bits() {
    let w = scene();
    let (amf_ue_id, ran_ue_id) = ids(&w, 0);
    let m = UplinkNasTransport { amf_ue_id, ran_ue_id, nas: vec![0x7e, 0, 0x43], location: None };
    let bytes = ngap::encode(&Message::UplinkNasTransport(m)).unwrap();
    let parts = Parts::of(&bytes);
    for value in [
        vec![0x80, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0xa0, 1, 0, 0, 0, 0, 0],
        vec![0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0x00],
        vec![],
    ] {
        let cut = parts.with(|e| e[0].value = value.clone());
        let mut w = scene();
        w.raw(A, cut);
        w.run();
        assert!(last_error(&w, A).is_some(), "{value:02x?}");
        untouched(&mut w, &format!("{value:02x?}"));
    }
}

#[test]
fn r17_resources_from_a_gnb_that_does_not_serve_the_ue() {
    let id = PduSessionId::try_from(1).unwrap();
    let evil = || vec![SessionTransfer { id, transfer: tunnel(0x6666, [6, 6, 6, 6]) }];
    let response = |amf_ue_id, ran_ue_id| {
        Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
            amf_ue_id,
            ran_ue_id,
            setup: evil(),
            failed: vec![],
        })
    };
    // From B: both identifiers right, or B's own name of it, or as a context set-up.
    for variant in 0..4 {
        let mut w = scene();
        let (amf, ran) = ids(&w, 0);
        let m = match variant {
            0 => response(amf, ran),
            1 => response(amf, RanUeNgapId(9_999)),
            2 => Message::InitialContextSetupResponse(InitialContextSetupResponse {
                amf_ue_id: amf,
                ran_ue_id: ran,
                setup: evil(),
                failed: vec![],
            }),
            _ => Message::UeContextReleaseRequest(UeContextReleaseRequest {
                amf_ue_id: amf,
                ran_ue_id: ran,
                sessions: vec![id],
                cause: Cause::UNSPECIFIED,
            }),
        };
        w.gnb_says(B, m);
        w.run();
        assert_eq!(
            last_error(&w, B),
            Some(Cause::RadioNetwork(RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID)),
            "variant {variant}"
        );
        untouched(&mut w, &format!("variant {variant}"));
    }
    // From A itself, unasked, and with another name of the UE.
    let mut w = scene();
    let (amf, ran) = ids(&w, 0);
    w.gnb_says(A, response(amf, ran));
    w.gnb_says(A, response(amf, RanUeNgapId(ran.0 + 1)));
    w.run();
    assert_eq!(last_error(&w, A), Some(Cause::RadioNetwork(RadioCause::INCONSISTENT_REMOTE_UE_NGAP_ID)));
    untouched(&mut w, "unasked");
    // While the session waits for its resources, B is faster than A.
    let mut w = scene();
    w.attach(1, A);
    w.gnb_silent = true;
    w.connect(1, 1, "corp");
    let (amf, ran) = ids(&w, 1);
    w.gnb_says(B, response(amf, ran));
    w.run();
    assert_eq!(w.phases(1), [SessionPhase::Establishing]);
    assert!(w.gateway.sessions.values().all(|h| h.downlink.is_none_or(|d| d.0 != 0x6666)));
    // A's answer with a transfer that is garbage, cut, or of another kind.
    for transfer in [vec![], vec![0xff; 3], transfer::ReleaseResponse.encode().unwrap()] {
        let mut w = scene();
        w.attach(1, A);
        w.gnb_silent = true;
        w.connect(1, 1, "corp");
        let (amf_ue_id, ran_ue_id) = ids(&w, 1);
        let setup = vec![SessionTransfer { id, transfer }];
        w.gnb_says(
            A,
            Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
                amf_ue_id,
                ran_ue_id,
                setup,
                failed: vec![],
            }),
        );
        w.run();
        assert_eq!(w.phases(1), []);
        assert_eq!(w.gateway.sessions.len(), 1);
        w.gnb_silent = false;
        untouched(&mut w, "garbage transfer");
    }
}

#[test]
fn r21_an_initial_message_that_is_bad_further_on() {
    let victim = |w: &mut World| {
        let mut r = w.ues[0].registration(RegistrationType::Initial);
        r.ngksi = NgKsi::Native(0);
        FgmmMessage::RegistrationRequest(r).encode().unwrap()
    };
    for variant in 0..3 {
        let mut w = scene();
        let nas = victim(&mut w);
        let m = InitialUeMessage {
            ran_ue_id: RanUeNgapId(500),
            nas,
            location: location(),
            rrc_cause: Some(RrcEstablishmentCause::MoData),
            s_tmsi: None,
            context_requested: true,
        };
        let bytes = ngap::encode(&Message::InitialUeMessage(m)).unwrap();
        let bad = Parts::of(&bytes).with(|e| match variant {
            // The location is garbage; is cut; comes twice.
            0 => e[2].value[1..].fill(0xff),
            1 => e[2].value.truncate(1),
            _ => e.push(e[2].clone()),
        });
        w.raw(A, bad);
        w.run();
        assert!(last_error(&w, A).is_some(), "variant {variant}: {:?}", w.sent);
        untouched(&mut w, &format!("variant {variant}"));
        w.assert_tidy(1);
    }
}

#[test]
fn r27_nas_of_no_length_to_speak_of() {
    let scraps: Vec<Vec<u8>> = vec![
        vec![],
        vec![0x7e],
        vec![0x7e, 0],
        vec![0x7e, 0, 0x41],
        vec![0x7e, 2],
        vec![0x7e, 2, 1, 2, 3, 4],
        vec![0x7e, 2, 1, 2, 3, 4, 5],
        vec![0x7e, 4, 0, 0, 0, 0, 0, 0],
        vec![0x2e, 1, 1, 0xc1],
        vec![0x7e, 0x0f, 0, 0, 0, 0, 0, 0x7e, 0, 0x41],
        vec![0xff; 40],
    ];
    for nas in scraps {
        let mut w = scene();
        // From nobody, in the middle of an attempt, and on the victim's own connection.
        w.initial(B, RanUeNgapId(600), nas.clone());
        w.run();
        w.ues[1].habits.silent = true;
        w.attach(1, A);
        w.say(1, nas.clone());
        w.say(0, nas.clone());
        w.run();
        w.pass_ms(100_000);
        untouched(&mut w, &format!("{nas:02x?}"));
        assert_eq!(w.state(1), None);
        w.assert_tidy(1);
    }
}

#[test]
fn r31_mobile_identities_of_every_length() {
    // SUCI, GUTI, S-TMSI, IMEI, none, reserved; filled with zeros, ones and digits.
    for first in [0x01u8, 0xf2, 0xf4, 0x0b, 0x00, 0x07, 0x11] {
        for len in 0..=13usize {
            for fill in [0x00u8, 0xff, 0x21] {
                let mut identity = vec![fill; len];
                if let Some(f) = identity.first_mut() {
                    *f = first;
                }
                let mut nas = vec![0x7e, 0, 0x41, 0x79];
                nas.extend((identity.len() as u16).to_be_bytes());
                nas.extend(&identity);
                nas.extend([0x2e, 2, 0xe0, 0xe0]);
                let mut w = World::new(1);
                w.sims.get_mut(&supi(0)).unwrap().unknown = true;
                w.hss_silent = true;
                w.sent.clear();
                w.initial(A, RanUeNgapId(3), nas);
                w.run();
                w.pass_ms(100_000);
                // It was asked, refused or let go: in each case the gNB is told to release it in the end.
                assert!(matches!(w.last(A), Message::UeContextReleaseCommand(_)));
                w.assert_tidy(0);
            }
        }
    }
}

#[test]
fn r47_the_container_of_security_mode_complete() {
    for variant in 0..3 {
        let mut w = scene();
        match variant {
            0 => w.ues[1].habits.wrong_container = true,
            1 => w.ues[1].habits.bids_down = true,
            _ => {}
        }
        let nas = w.ues[1].register(RegistrationType::Initial);
        if variant == 2 {
            // The protected copy asks for an emergency registration.
            let mut r = w.ues[1].registration(RegistrationType::Emergency);
            r.follow_on = false;
            w.ues[1].request = Some(r);
        }
        w.arrive(1, A, nas);
        w.run();
        let Some(FgmmMessage::RegistrationReject(r)) = w.ues[1].heard.last() else {
            panic!("variant {variant}: {:?}", w.ues[1].heard)
        };
        let want = [
            FgmmCause::MessageTypeNotCompatible,
            FgmmCause::UeSecurityCapabilitiesMismatch,
            FgmmCause::PeiNotAccepted,
        ];
        assert_eq!(r.cause, want[variant]);
        assert_eq!(w.ues[1].protected.last(), Some(&true));
        assert_eq!(w.state(1), None);
        untouched(&mut w, &format!("variant {variant}"));
        w.assert_tidy(1);
    }
}

#[test]
fn r49_an_identity_response_that_nobody_asked_for() {
    for variant in 0..3 {
        let mut w = scene();
        let response = FgmmMessage::IdentityResponse(w.ues[0].suci()).encode().unwrap();
        match variant {
            0 => w.initial(A, RanUeNgapId(700), response),
            1 => w.say(0, response),
            _ => {
                w.ues[1].habits.silent = true;
                w.attach(1, A);
                w.say(1, response);
            }
        }
        w.run();
        let asked = w
            .sent
            .iter()
            .filter(|(_, m)| {
                matches!(m, Message::DownlinkNasTransport(m)
                if matches!(FgmmMessage::decode(&m.nas), Ok(FgmmMessage::AuthenticationRequest(_))))
            })
            .count();
        assert_eq!(asked, usize::from(variant == 2), "variant {variant}: no challenge for the victim");
        untouched(&mut w, &format!("variant {variant}"));
    }
}

fn deregistration(w: &World, identity: MobileIdentity) -> FgmmMessage {
    FgmmMessage::DeregistrationRequestUeOriginating(DeregistrationRequestUeOriginating {
        switch_off: true,
        access: 1,
        ngksi: w.ues[0].ksi,
        identity,
    })
}

#[test]
fn r51_a_deregistration_that_is_not_the_victims() {
    for variant in 0..6 {
        let mut w = scene();
        let guti = MobileIdentity::Guti(w.ues[0].guti.unwrap());
        let plain = deregistration(&w, guti).encode().unwrap();
        let by_suci = deregistration(&w, w.ues[0].suci()).encode().unwrap();
        let forged = |inner: &[u8], header: u8| {
            let mut v = vec![0x7e, header, 1, 2, 3, 4, 9];
            v.extend(inner);
            v
        };
        match variant {
            0 => w.initial(A, RanUeNgapId(800), plain),
            1 => w.initial(B, RanUeNgapId(800), forged(&plain, 1)),
            2 => w.say(0, plain),
            3 => w.say(0, forged(&plain, 2)),
            4 => w.initial(A, RanUeNgapId(800), by_suci),
            _ => {
                // A true message of the victim, once more.
                let nas = w.ues[0].session_message(
                    1,
                    3,
                    FgsmBody::ModificationRequest(ModificationRequest::default()),
                );
                w.say(0, nas.clone());
                w.run();
                let before = w.ues[0].session_messages.len();
                w.say(0, nas.clone());
                w.initial(B, RanUeNgapId(801), nas);
                w.run();
                assert_eq!(w.ues[0].session_messages.len(), before, "a replay is not answered");
            }
        }
        w.run();
        untouched(&mut w, &format!("variant {variant}"));
        w.assert_tidy(1);
    }
}

#[test]
fn r53_a_claim_to_be_the_victim_with_null_security() {
    for variant in 0..5 {
        let mut w = scene();
        let (nea, nia): (&[Nea], &[Nia]) = match variant {
            0 | 2 => (&[Nea::Nea0], &[Nia::Nia0]),
            1 => (&[Nea::Nea2], &[Nia::Nia0]),
            _ => (&[Nea::Nea0, Nea::Nea2], &[Nia::Nia0, Nia::Nia2]),
        };
        let mut r = w.ues[0].registration(RegistrationType::Initial);
        r.identity =
            if variant == 2 { MobileIdentity::Guti(w.ues[0].guti.unwrap()) } else { w.ues[0].suci() };
        r.security_capability = Some(UeSecurityCapability::of(nea, nia));
        if variant == 4 {
            r.security_capability = None;
        }
        r.ngksi = NgKsi::NoKey;
        let nas = FgmmMessage::RegistrationRequest(r).encode().unwrap();
        // The attacker stands in UE 2's place, so that the victim's own place is not touched.
        w.ues[2].habits.silent = true;
        w.arrive(2, B, nas);
        w.run();
        match (variant, w.ues[2].heard.last()) {
            (0..=2, Some(FgmmMessage::RegistrationReject(r))) => {
                assert_eq!(r.cause, FgmmCause::UeSecurityCapabilitiesMismatch);
            }
            (3, Some(FgmmMessage::AuthenticationRequest(_))) => w.pass_ms(100_000),
            (4, Some(FgmmMessage::RegistrationReject(r))) => {
                assert_eq!(r.cause, FgmmCause::InvalidMandatoryInformation);
            }
            (_, other) => panic!("variant {variant}: {other:?}"),
        }
        untouched(&mut w, &format!("variant {variant}"));
        w.assert_tidy(1);
    }
}

#[test]
fn r55_a_wrong_response_in_the_name_of_a_guti() {
    for variant in 0..4 {
        let mut w = scene();
        let mut r = w.ues[0].registration(RegistrationType::Initial);
        r.ngksi = NgKsi::NoKey;
        let nas = FgmmMessage::RegistrationRequest(r).encode().unwrap();
        w.ues[2].habits.silent = true;
        w.arrive(2, B, nas);
        w.run();
        assert!(matches!(w.ues[2].heard.last(), Some(FgmmMessage::AuthenticationRequest(_))));
        let answer = match variant {
            0 | 3 => FgmmMessage::AuthenticationResponse(AuthenticationResponse::of(Some(Res(vec![0; 16])))),
            1 => FgmmMessage::AuthenticationResponse(AuthenticationResponse::of(None)),
            _ => FgmmMessage::AuthenticationFailure(AuthenticationFailure {
                cause: FgmmCause::MacFailure,
                auts: None,
            }),
        };
        w.say(2, answer.encode().unwrap());
        w.run();
        assert_eq!(
            w.ues[2].heard.last(),
            Some(&FgmmMessage::IdentityRequest(IdentityType::Suci)),
            "variant {variant}: who are you, before a refusal"
        );
        if variant == 3 {
            // It says who it really is, and then it may.
            w.ues[2].habits.silent = false;
            w.ues[2].request = Some(w.ues[2].registration(RegistrationType::Initial));
            let who = FgmmMessage::IdentityResponse(w.ues[2].suci()).encode().unwrap();
            w.say(2, who);
            w.run();
            assert!(matches!(w.ues[2].heard.last(), Some(m) if m.name() != "AuthenticationReject"));
        } else {
            // It names the victim again and is wrong again.
            w.say(2, FgmmMessage::IdentityResponse(w.ues[0].suci()).encode().unwrap());
            w.run();
            let wrong =
                FgmmMessage::AuthenticationResponse(AuthenticationResponse::of(Some(Res(vec![1; 16]))));
            w.say(2, wrong.encode().unwrap());
            w.run();
            assert_eq!(w.ues[2].heard.last(), Some(&FgmmMessage::AuthenticationReject(None)));
        }
        w.pass_ms(100_000);
        untouched(&mut w, &format!("variant {variant}"));
    }
}

#[test]
fn a_flood_of_attempts_in_the_victims_name_leaves_it_alone() {
    let mut c = config();
    c.limits.pending = 16;
    let mut w = World::with_config(3, c);
    w.gnb_up(B, 2);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    let suci = w.ues[0].suci();
    for n in 0..500u32 {
        let mut r = w.ues[0].registration(RegistrationType::Initial);
        (r.identity, r.ngksi) = (suci.clone(), NgKsi::NoKey);
        let nas = FgmmMessage::RegistrationRequest(r).encode().unwrap();
        w.initial(B, RanUeNgapId(10_000 + n), nas);
        w.run();
        let [conns, timers, questions, _] = w.amf.held();
        assert!(conns < 1_024 && timers < 2_048 && questions < 64, "{conns} {timers} {questions}");
    }
    assert!(w.happened(|h| matches!(h, Happening::RegistrationRefused { .. })) <= 50);
    w.pass_ms(200_000);
    untouched(&mut w, "flood");
    w.assert_tidy(1);
}

#[test]
fn late_answers_for_what_is_gone() {
    let mut w = scene();
    let (amf_ue_id, ran_ue_id) = ids(&w, 0);
    w.input(Input::Ban { supi: supi(0), cause: FgmmCause::IllegalUe });
    let id = PduSessionId::try_from(1).unwrap();
    w.gnb_says(
        A,
        Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
            amf_ue_id,
            ran_ue_id,
            setup: vec![SessionTransfer { id, transfer: tunnel(1, [6, 6, 6, 6]) }],
            failed: vec![],
        }),
    );
    w.run();
    for txn in 0..20 {
        let r = refusal(FgmmCause::IllegalUe, RefusalReason::Lost, None);
        w.input(Input::Located { txn: TxnId(txn), result: Ok(subscription(supi(0))) });
        w.input(Input::Vector { txn: TxnId(txn), result: Err(r) });
        w.input(Input::Address { txn: TxnId(txn), result: Err(AddressRefusal::Unavailable) });
    }
    assert_eq!(w.state(0), None);
    assert!(w.gateway.sessions.is_empty());
    w.assert_tidy(0);
}

/// Real traffic of a UE, as octets of NGAP from its gNB.
fn traffic() -> Vec<Vec<u8>> {
    let mut w = World::new(1);
    let nas = w.ues[0].register(RegistrationType::Initial);
    w.arrive(0, A, nas);
    let mut seen = vec![];
    let mut collect = |w: &mut World| {
        while let Some(input) = w.inbox.pop_front() {
            if let Input::Ngap { bytes, .. } = &input {
                seen.push(bytes.clone());
            }
            w.amf.handle(input, w.now);
            let rest = std::mem::take(&mut w.inbox);
            // Outputs are worked off without inputs in between.
            w.run_outputs();
            w.inbox.extend(rest);
        }
    };
    collect(&mut w);
    let nas = w.ues[0].establish(1, 1, Some("corp"), PduSessionType::IPV4);
    w.say(0, nas);
    collect(&mut w);
    assert_eq!(w.phases(0), [SessionPhase::Active]);
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn octets_at_random(
        ngap in proptest::collection::vec(any::<u8>(), 0..200),
        nas in proptest::collection::vec(any::<u8>(), 0..60),
        n4 in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut w = scene();
        w.raw(B, ngap);
        w.initial(B, RanUeNgapId(900), nas.clone());
        w.say(0, nas.clone());
        w.ues[1].habits.silent = true;
        w.attach(1, B);
        w.say(1, nas);
        w.inbox.push_back(Input::N4(n4));
        w.run();
        w.pass_ms(60_000);
        untouched(&mut w, "octets at random");
    }

    #[test]
    fn true_messages_with_wrong_octets(which in 0usize..8, flips in proptest::collection::vec((0usize..400, any::<u8>()), 1..6)) {
        thread_local! { static TRAFFIC: Vec<Vec<u8>> = traffic(); }
        let mut bytes = TRAFFIC.with(|t| t[which % t.len()].clone());
        for (at, v) in flips {
            let n = bytes.len();
            bytes[at % n] ^= v;
        }
        let mut w = scene();
        w.raw(B, bytes);
        w.run();
        w.pass_ms(60_000);
        untouched(&mut w, "wrong octets");
    }
}

#[test]
fn a_plmn_of_ours_is_what_the_stories_use() {
    assert_eq!(plmn().serving_network_name(), crate::ue::SNN);
}

#[test]
fn null_integrity_is_never_chosen_even_where_it_is_configured() {
    for (has, chosen) in [(vec![Nia::Nia0], None), (vec![Nia::Nia0, Nia::Nia2], Some(Nia::Nia2))] {
        let mut c = config();
        c.integrity = vec![Nia::Nia0, Nia::Nia2];
        let mut w = World::with_config(1, c);
        w.ues[0].capability = UeSecurityCapability::of(&[Nea::Nea2], &has);
        w.attach(0, A);
        let got = w.ues[0].context.as_ref().map(|c| c.integrity());
        assert_eq!(got, chosen);
        w.assert_tidy(usize::from(chosen.is_some()));
    }
}

#[test]
fn a_5gsm_message_about_another_session_than_its_envelope() {
    let mut w = scene();
    let id = PduSessionId::try_from(1).unwrap();
    let payload = FgsmMessage { session: id, pti: 5, body: FgsmBody::ReleaseRequest { cause: None } };
    let other = PduSessionId::try_from(2).unwrap();
    for session in [Some(other), None] {
        let m = FgmmMessage::UlNasTransport(UlNasTransport {
            kind: ContainerType::N1_SM,
            payload: payload.encode().unwrap(),
            session,
            request: None,
            slice: None,
            dnn: None,
        });
        let nas = w.ues[0].protect(&m);
        w.say(0, nas);
        w.run();
    }
    assert_eq!((w.refused("session-identities-differ"), w.refused("payload-of-no-session")), (1, 1));
    untouched(&mut w, "another session");
}
