//! Somebody unproved who was challenged by EAP-AKA'.

use super::scenes::*;
use super::*;
use crate::eap::signed;
use sim_auth::EapAnswer;
use types::*;
use wire::eap::{AkaPrime, Eap, EapBody, Subtype};
use wire::nas::fgs::*;

const ROWS: [&str; 11] = [
    "AKA'-Challenge, right",
    "AKA'-Challenge, wrong",
    "AKA'-Synchronization-Failure",
    "AKA'-Authentication-Reject",
    "AKA'-Client-Error",
    "AKA'-Notification",
    "an EAP packet that cannot be read",
    "an EAP-Response to another request",
    "an EAP-Request or a result",
    "RES\\* of 5G AKA",
    "AuthenticationFailure, ngKSI",
];

/// Challenged; the request's identifier, the right answer and its key.
fn challenged() -> (World, u8, AkaPrime, Key256) {
    let mut w = world();
    w.sims.get_mut(&w.ues[UE].supi).unwrap().eap = true;
    registers_until(&mut w, |w| conn_is(w, ConnStanding::Challenged));
    let packet = w.ues[UE].heard.iter().rev().find_map(|m| match m {
        FgmmMessage::AuthenticationRequest(AuthenticationRequest {
            challenge: AuthenticationChallenge::Eap(EapMessage(p)),
            ..
        }) => Eap::decode(p).ok(),
        _ => None,
    });
    let Some(Eap { identifier, body: EapBody::Request(asked) }) = packet else { panic!("an EAP-Request") };
    let (rand, autn, supi) = (asked.rand.unwrap(), asked.autn.unwrap(), w.ues[UE].supi);
    let EapAnswer::Success { res, keys } = w.card(UE).authenticate_eap(&rand, &autn, crate::ue::SNN, supi)
    else {
        panic!("the card accepts")
    };
    let right = AkaPrime { res: Some(Res(res.expose().to_vec())), ..AkaPrime::of(Subtype::CHALLENGE) };
    (w, identifier, right, keys.k_aut())
}

fn said(what: &str, identifier: u8, right: AkaPrime, k_aut: &Key256) -> Vec<FgmmMessage> {
    let of = |body| Eap { identifier, body }.encode().unwrap();
    let plain = |m| of(EapBody::Response(m));
    let packets = match what {
        "AKA'-Challenge, right" => vec![signed(identifier, right, k_aut)],
        "AKA'-Challenge, wrong" => vec![
            plain(right.clone()),
            signed(identifier, right.clone(), &Key256::new([0; 32])),
            signed(identifier, AkaPrime { res: None, ..right.clone() }, k_aut),
            signed(identifier, AkaPrime { kdf: vec![2], ..right }, k_aut),
        ],
        "AKA'-Synchronization-Failure" => vec![plain(AkaPrime {
            auts: Some(Auts([7; 14])),
            ..AkaPrime::of(Subtype::SYNCHRONIZATION_FAILURE)
        })],
        "AKA'-Authentication-Reject" => vec![plain(AkaPrime::of(Subtype::AUTHENTICATION_REJECT))],
        "AKA'-Client-Error" => {
            vec![plain(AkaPrime { client_error: Some(0), ..AkaPrime::of(Subtype::CLIENT_ERROR) })]
        }
        "AKA'-Notification" => vec![signed(identifier, AkaPrime::of(Subtype::NOTIFICATION), k_aut)],
        "an EAP packet that cannot be read" => vec![
            vec![2, identifier, 0, 6, 3, 13],
            vec![2, identifier, 0, 8, 23, 1, 0, 0],
            vec![2, identifier, 0, 12, 50, 1, 0, 0, 3, 0, 0, 0],
        ],
        "an EAP-Response to another request" => vec![signed(identifier ^ 1, right, k_aut)],
        "an EAP-Request or a result" => {
            vec![of(EapBody::Request(right)), of(EapBody::Success), of(EapBody::Failure)]
        }
        "RES\\* of 5G AKA" => {
            return vec![FgmmMessage::AuthenticationResponse(AuthenticationResponse::of(right.res))];
        }
        "AuthenticationFailure, ngKSI" => {
            let m = AuthenticationFailure { cause: FgmmCause::NgKsiAlreadyInUse, auts: None };
            return vec![FgmmMessage::AuthenticationFailure(m)];
        }
        other => panic!("{other}"),
    };
    packets.into_iter().map(crate::ue::eap_answer).collect()
}

#[test]
fn somebody_challenged_by_eap() {
    let states = [ConnStanding::Challenged];
    let rows = ROWS.into_iter().map(|what| {
        row(what, &states, ConnStanding::word, |_| {
            let (_, identifier, right, k_aut) = challenged();
            super::mm::one_answer(said(what, identifier, right, &k_aut).len(), what, |n| {
                let (mut w, identifier, right, k_aut) = challenged();
                let of = conn_of(&w, UE);
                let nas = said(what, identifier, right, &k_aut).swap_remove(n).encode().unwrap();
                let standing = move |w: &World| super::mm::attempt_word(w, of);
                Some(what_comes(&mut w, &standing, |w| super::mm::say(w, of.unwrap(), nas)))
            })
        })
    });
    Table { name: "eap", rows: rows.collect() }.hold();
}
