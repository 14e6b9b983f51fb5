//! 5GMM: what a UE says, in clear, under its keys and under others, in each state (TS 24.501 §4.4.4.3, §5, §7).

use super::scenes::*;
use super::*;
use types::*;
use wire::nas::fgs::*;
use wire::nas::security::{Direction, HeaderType, Nea, Nia};
use wire::ngap::{RanUeNgapId, UplinkNasTransport};

/// The rows: what a UE may say, and what it may not.
const SAID: [&str; 25] = [
    "RegistrationRequest, initial",
    "RegistrationRequest, mobility updating",
    "RegistrationRequest, periodic updating",
    "RegistrationRequest, emergency",
    "the same RegistrationRequest again",
    "RegistrationComplete",
    "ServiceRequest, data",
    "ServiceRequest, emergency",
    "DeregistrationRequest",
    "DeregistrationRequest, switch off",
    "DeregistrationAccept",
    "AuthenticationResponse, right",
    "AuthenticationResponse, wrong",
    "AuthenticationFailure, MAC",
    "AuthenticationFailure, synch",
    "AuthenticationFailure, ngKSI",
    "IdentityResponse, SUCI",
    "IdentityResponse, device",
    "SecurityModeComplete",
    "SecurityModeReject",
    "ConfigurationUpdateComplete",
    "ULNASTransport of no session",
    "5GMMStatus",
    "what only the network says",
    "a type that there is not",
];

/// Requests that lack what they must have, or end too soon.
const BROKEN: [&str; 6] = [
    "RegistrationRequest that is wrong",
    "ServiceRequest that is wrong",
    "another message that is wrong",
    "too short for a message",
    "a message of another protocol",
    "no message at all",
];

/// What each row stands for, plain. Where a row stands for several messages, all have one answer.
fn said(what: &str, w: &World) -> Vec<Vec<u8>> {
    let ue = &w.ues[UE];
    let register = |kind| FgmmMessage::RegistrationRequest(ue.registration(kind));
    let failure = |cause, auts| FgmmMessage::AuthenticationFailure(AuthenticationFailure { cause, auts });
    let leave = |switch_off| {
        let RegistrationRequest { ngksi, identity, .. } = ue.registration(RegistrationType::Initial);
        let m = DeregistrationRequestUeOriginating { switch_off, access: 1, ngksi, identity };
        FgmmMessage::DeregistrationRequestUeOriginating(m)
    };
    let response = |res| FgmmMessage::AuthenticationResponse(AuthenticationResponse::of(res));
    let messages = match what {
        "RegistrationRequest, initial" => vec![register(RegistrationType::Initial)],
        "RegistrationRequest, mobility updating" => vec![register(RegistrationType::MobilityUpdating)],
        "RegistrationRequest, periodic updating" => vec![register(RegistrationType::PeriodicUpdating)],
        "RegistrationRequest, emergency" => vec![register(RegistrationType::Emergency)],
        "the same RegistrationRequest again" => {
            vec![FgmmMessage::RegistrationRequest(ue.request.clone().unwrap())]
        }
        "RegistrationComplete" => vec![FgmmMessage::RegistrationComplete],
        "ServiceRequest, data" => vec![service_request(w, ServiceType::DATA, None)],
        "ServiceRequest, emergency" => vec![service_request(w, ServiceType::EMERGENCY, None)],
        "DeregistrationRequest" => vec![leave(false)],
        "DeregistrationRequest, switch off" => vec![leave(true)],
        "DeregistrationAccept" => vec![FgmmMessage::DeregistrationAcceptUeTerminated],
        "AuthenticationResponse, right" => return right_response(w).into_iter().collect(),
        "AuthenticationResponse, wrong" => vec![response(Some(Res(vec![0; 16]))), response(None)],
        "AuthenticationFailure, MAC" => {
            vec![
                failure(FgmmCause::MacFailure, None),
                failure(FgmmCause::Non5gAuthenticationUnacceptable, None),
            ]
        }
        "AuthenticationFailure, synch" => vec![failure(FgmmCause::SynchFailure, Some(Auts([0; 14])))],
        "AuthenticationFailure, ngKSI" => vec![failure(FgmmCause::NgKsiAlreadyInUse, None)],
        "IdentityResponse, SUCI" => vec![FgmmMessage::IdentityResponse(ue.suci())],
        "IdentityResponse, device" => match ue.imeisv {
            Pei::Imeisv(i) => vec![FgmmMessage::IdentityResponse(MobileIdentity::Imeisv(i))],
            Pei::Imei(i) => vec![FgmmMessage::IdentityResponse(MobileIdentity::Imei(i))],
        },
        "SecurityModeComplete" => vec![FgmmMessage::SecurityModeComplete(SecurityModeComplete {
            pei: Some(ue.imeisv),
            nas_container: ue.request.clone().map(|r| FgmmMessage::RegistrationRequest(r).encode().unwrap()),
        })],
        "SecurityModeReject" => {
            vec![FgmmMessage::SecurityModeReject(FgmmCause::UeSecurityCapabilitiesMismatch)]
        }
        "ConfigurationUpdateComplete" => vec![FgmmMessage::ConfigurationUpdateComplete],
        "ULNASTransport of no session" => [ContainerType::SMS, ContainerType::LPP, ContainerType::MULTIPLE]
            .map(|kind| {
                FgmmMessage::UlNasTransport(UlNasTransport {
                    kind,
                    payload: vec![1, 2],
                    session: None,
                    request: None,
                    slice: None,
                    dnn: None,
                })
            })
            .to_vec(),
        "5GMMStatus" => vec![FgmmMessage::FgmmStatus(FgmmCause::ProtocolErrorUnspecified)],
        "what only the network says" => of_the_network(w),
        "a type that there is not" => {
            return vec![vec![0x7e, 0, 0x7f], vec![0x7e, 0, 0x4f, 1], vec![0x7e, 0, 0x65]];
        }
        // A mobile identity of no octets; a 5G-S-TMSI that is none; a cause that is missing.
        "RegistrationRequest that is wrong" => {
            return vec![
                vec![0x7e, 0, 0x41, 0x79, 0, 0],
                vec![0x7e, 0, 0x41, 0x79],
                vec![0x7e, 0, 0x41, 0x79, 0, 9, 1],
            ];
        }
        "ServiceRequest that is wrong" => {
            return vec![vec![0x7e, 0, 0x4c, 0x10, 0, 1, 0xf4], vec![0x7e, 0, 0x4c]];
        }
        "another message that is wrong" => return vec![vec![0x7e, 0, 0x59], vec![0x7e, 0, 0x5c, 0, 9, 1]],
        "too short for a message" => return vec![vec![0x7e, 0]],
        "a message of another protocol" => return vec![vec![0x2e, 1, 1, 0xc1]],
        "no message at all" => return vec![vec![0x55]],
        other => panic!("{other}"),
    };
    messages.iter().map(|m| m.encode().unwrap()).collect()
}

/// The right answer to the challenge of this attempt, or of these new keys.
fn right_response(w: &World) -> Option<Vec<u8>> {
    let challenge = w.ues[UE].heard.iter().rev().find_map(|m| match m {
        FgmmMessage::AuthenticationRequest(m) => Some(m.clone()),
        _ => None,
    })?;
    let mut card = w.card(UE);
    let AuthenticationChallenge::FgAka { rand, autn } = challenge.challenge else { return None };
    match card.authenticate_5g(&rand, &autn, crate::ue::SNN) {
        sim_auth::FgAnswer::Success { res_star, .. } => {
            let m = AuthenticationResponse::of(Some(Res(res_star.expose().to_vec())));
            FgmmMessage::AuthenticationResponse(m).encode().ok()
        }
        _ => None,
    }
}

/// Who says a message. A new one finds its place here first, and then among the rows.
fn of_the_network(w: &World) -> Vec<FgmmMessage> {
    let heard = w.ues.iter().flat_map(|ue| &ue.heard).filter(|m| match m {
        FgmmMessage::RegistrationAccept(_)
        | FgmmMessage::RegistrationReject(_)
        | FgmmMessage::DeregistrationAcceptUeOriginating
        | FgmmMessage::DeregistrationRequestUeTerminated(_)
        | FgmmMessage::ServiceAccept(_)
        | FgmmMessage::ServiceReject(_)
        | FgmmMessage::ConfigurationUpdateCommand(_)
        | FgmmMessage::AuthenticationRequest(_)
        | FgmmMessage::AuthenticationReject(_)
        | FgmmMessage::AuthenticationResult(_)
        | FgmmMessage::IdentityRequest(_)
        | FgmmMessage::SecurityModeCommand(_)
        | FgmmMessage::DlNasTransport(_) => true,
        FgmmMessage::RegistrationRequest(_)
        | FgmmMessage::RegistrationComplete
        | FgmmMessage::DeregistrationRequestUeOriginating(_)
        | FgmmMessage::DeregistrationAcceptUeTerminated
        | FgmmMessage::ServiceRequest(_)
        | FgmmMessage::ConfigurationUpdateComplete
        | FgmmMessage::AuthenticationResponse(_)
        | FgmmMessage::AuthenticationFailure(_)
        | FgmmMessage::IdentityResponse(_)
        | FgmmMessage::SecurityModeComplete(_)
        | FgmmMessage::SecurityModeReject(_)
        | FgmmMessage::UlNasTransport(_)
        | FgmmMessage::FgmmStatus(_) => false,
    });
    let mut all: Vec<FgmmMessage> = heard.cloned().collect();
    all.extend([
        FgmmMessage::RegistrationReject(RegistrationReject::new(FgmmCause::IllegalUe)),
        FgmmMessage::DeregistrationAcceptUeOriginating,
        FgmmMessage::DeregistrationRequestUeTerminated(DeregistrationRequestUeTerminated {
            reregister: false,
            access: 1,
            cause: None,
            t3346: None,
        }),
        FgmmMessage::ServiceAccept(ServiceAccept::default()),
        FgmmMessage::ServiceReject(ServiceReject::new(FgmmCause::IllegalUe)),
        FgmmMessage::ConfigurationUpdateCommand(ConfigurationUpdateCommand::default()),
        FgmmMessage::AuthenticationReject(None),
        FgmmMessage::IdentityRequest(IdentityType::Suci),
    ]);
    all
}

/// The cell of a row that stands for several messages: each is tried in a scene of its own, and all have one answer.
pub(super) fn one_answer(
    messages: usize,
    what: &str,
    try_one: impl Fn(usize) -> Option<String>,
) -> Option<String> {
    let mut answers: Vec<String> = (0..messages).filter_map(try_one).collect();
    answers.sort();
    answers.dedup();
    assert!(answers.len() <= 1, "{what}: {answers:?}");
    answers.pop()
}

/// Integrity protection that nobody could verify, around something that can be read.
fn unverified(plain: &[u8]) -> Vec<u8> {
    let mut nas = vec![0x7e, 1, 1, 2, 3, 4, 0];
    nas.extend(plain);
    nas
}

pub(super) fn say(w: &mut World, of: (AssocId, AmfUeNgapId), nas: Vec<u8>) {
    let ran_ue_id = w.places[UE].as_ref().unwrap().ran;
    let m = UplinkNasTransport { amf_ue_id: of.1, ran_ue_id, nas, location: Some(location()) };
    let bytes = ngap::encode(&Message::UplinkNasTransport(m)).unwrap();
    input(w, Input::Ngap { assoc: of.0, stream: 1, bytes });
}

use wire::ngap::AmfUeNgapId;

const ATTEMPT: [ConnStanding; 5] = [
    ConnStanding::Identity,
    ConnStanding::Vector,
    ConnStanding::Challenged,
    ConnStanding::Securing,
    ConnStanding::Device,
];

/// Where the attempt stands, and what became of whom it was.
pub(super) fn attempt_word(w: &World, of: Option<(AssocId, AmfUeNgapId)>) -> String {
    match ue_word(w).as_str() {
        "gone" => conn_word(w, of),
        ue => ue.to_owned(),
    }
}

#[test]
fn somebody_unproved() {
    let mut rows: Vec<Row> = Vec::new();
    for what in SAID.into_iter().chain(BROKEN) {
        rows.push(row(what, &ATTEMPT, ConnStanding::word, |state| {
            let n = said(what, &attempt(state)).len();
            one_answer(2 * n, what, |i| {
                let mut w = attempt(state);
                let of = conn_of(&w, UE);
                let plain = said(what, &w).swap_remove(i / 2);
                // Protection that does not verify is as none.
                let nas = if i % 2 == 0 || plain.len() < 5 { plain } else { unverified(&plain) };
                Some(what_comes(&mut w, &|w| attempt_word(w, of), |w| say(w, of.unwrap(), nas)))
            })
        }));
    }
    type Act = fn(&mut World, (AssocId, AmfUeNgapId));
    let events: [(&str, Act); 5] = [
        ("T3560 or T3570, or the vector does not come", |w, _| timer(w)),
        ("the same for the fifth time", |w, of| {
            for _ in 0..5 {
                if w.amf.conn_standing(of.0, of.1) == Some(ConnStanding::Leaving) || ue_word(w) != "gone" {
                    break;
                }
                timer(w);
            }
        }),
        ("the SIM is banned", |w, _| input(w, Input::Ban { supi: supi(UE), cause: FgmmCause::IllegalUe })),
        ("the operator deregisters the SIM", |w, _| {
            input(w, Input::Deregister { supi: supi(UE), cause: None, reregister: false });
        }),
        ("the gNB's association is lost", |w, _| {
            // The UE beside is on it as well; it is not what this row is about.
            let (amf, ran) = ids(w);
            let connection = wire::ngap::UeConnection { amf_ue_id: Some(amf), ran_ue_id: Some(ran) };
            let reset = wire::ngap::ResetType::Part(vec![connection]);
            let m = wire::ngap::NgReset { cause: wire::ngap::Cause::UNSPECIFIED, reset };
            let bytes = ngap::encode(&Message::NgReset(m)).unwrap();
            input(w, Input::Ngap { assoc: A, stream: 1, bytes });
        }),
    ];
    for (what, act) in events {
        rows.push(row(what, &ATTEMPT, ConnStanding::word, |state| {
            let mut w = attempt(state);
            let of = conn_of(&w, UE).unwrap();
            Some(what_comes(&mut w, &|w| attempt_word(w, Some(of)), |w| act(w, of)))
        }));
    }
    Table { name: "unproved", rows }.hold();
}

/// Under the new keys of an attempt.
#[test]
fn somebody_with_keys_that_are_not_in_use_yet() {
    let states = [ConnStanding::Securing, ConnStanding::Device];
    let rows = SAID.into_iter().chain(BROKEN).map(|what| {
        row(what, &states, ConnStanding::word, |state| {
            one_answer(said(what, &attempt(state)).len(), what, |i| {
                let mut w = attempt(state);
                let of = conn_of(&w, UE).unwrap();
                let plain = said(what, &w).swap_remove(i);
                let header = HeaderType::CipheredNewContext;
                let nas = w.ues[UE].context.as_mut().unwrap().protect(&plain, header, Direction::Uplink);
                let nas = nas.unwrap();
                Some(what_comes(&mut w, &|w| attempt_word(w, Some(of)), |w| say(w, of, nas)))
            })
        })
    });
    Table { name: "new-keys", rows: rows.collect() }.hold();
}

/// A connected UE, verified.
#[test]
fn a_ue_of_ours() {
    let connected: Vec<UeStanding> =
        UeStanding::ALL.iter().copied().filter(|s| conn_of(&ue(*s), UE).is_some()).collect();
    let idle = UeStanding::ALL.iter().filter(|s| !connected.contains(s)).count();
    assert_eq!((connected.len(), idle), (9, 4), "a state has its table");
    let mut rows: Vec<Row> = Vec::new();
    for what in SAID.into_iter().chain(BROKEN) {
        rows.push(row(what, &connected, UeStanding::word, |state| {
            one_answer(said(what, &ue(state)).len(), what, |i| {
                let mut w = ue(state);
                let of = conn_of(&w, UE).unwrap();
                let plain = said(what, &w).swap_remove(i);
                let ue = &mut w.ues[UE];
                // What takes new keys into use comes under them.
                let keys = match (what, state) {
                    ("SecurityModeComplete", UeStanding::KeysSecuring) => &mut ue.before,
                    _ => &mut ue.context,
                };
                let nas = keys.as_mut().unwrap().protect(&plain, HeaderType::Ciphered, Direction::Uplink);
                Some(what_comes(&mut w, &ue_word, |w| say(w, of, nas.unwrap())))
            })
        }));
    }
    Table { name: "verified", rows }.hold();
}

/// What happens to a UE beside what it says.
#[test]
fn what_happens_to_a_ue_of_ours() {
    type Act = fn(&mut World);
    let events: [(&str, Act); 8] = [
        ("the next timer", timer),
        ("the next timers, until it is another state", |w| {
            let before = ue_word(w);
            for _ in 0..6 {
                if ue_word(w) != before {
                    break;
                }
                timer(w);
            }
        }),
        ("admission is refused", |w| {
            // The world answers as `hss` would, to whatever question is open.
            let r = refusal(FgmmCause::IllegalMe, RefusalReason::DeviceMismatch, None);
            for n in 0..40 {
                input(w, Input::Located { txn: TxnId(n), result: Err(r.clone()) });
            }
        }),
        ("its vector is refused", |w| {
            let r = refusal(FgmmCause::IllegalUe, RefusalReason::UnknownSim, None);
            for n in 0..40 {
                input(w, Input::Vector { txn: TxnId(n), result: Err(r.clone()) });
            }
        }),
        ("the SIM is banned", |w| input(w, Input::Ban { supi: supi(UE), cause: FgmmCause::IllegalUe })),
        ("the operator deregisters it", |w| {
            input(w, Input::Deregister { supi: supi(UE), cause: None, reregister: true });
        }),
        ("a packet waits for it", |w| report(w, FIRST, false)),
        ("its gNB has lost it", |w| {
            let Some(p) = &w.places[UE] else { return };
            let m = wire::ngap::UeContextReleaseRequest {
                amf_ue_id: p.amf.unwrap(),
                ran_ue_id: p.ran,
                sessions: vec![],
                cause: wire::ngap::Cause::UNSPECIFIED,
            };
            let bytes = ngap::encode(&Message::UeContextReleaseRequest(m)).unwrap();
            input(w, Input::Ngap { assoc: A, stream: 1, bytes });
        }),
    ];
    let rows = events.into_iter().map(|(what, act)| {
        row(what, UeStanding::ALL, UeStanding::word, |state| {
            let mut w = ue(state);
            Some(what_comes(&mut w, &ue_word, act))
        })
    });
    Table { name: "events", rows: rows.collect() }.hold();
}

/// The rows of what is not the UE's, or not its own any more.
const FALSE: [&str; 6] = [
    "in clear",
    "integrity protected, the MAC is none",
    "ciphered, the MAC is none",
    "under another UE's keys",
    "said before, once more",
    "with null integrity",
];

fn falsified(how: &str, plain: &[u8], w: &mut World) -> Vec<u8> {
    let around = |header: u8| {
        let mut nas = vec![0x7e, header, 0, 0, 0, 0, 200];
        nas.extend(plain);
        nas
    };
    match how {
        "in clear" => plain.to_vec(),
        "integrity protected, the MAC is none" => around(1),
        "ciphered, the MAC is none" => around(2),
        "under another UE's keys" => {
            let keys = w.ues[BESIDE].context.as_mut().unwrap();
            keys.protect(plain, HeaderType::Ciphered, Direction::Uplink).unwrap()
        }
        "said before, once more" => {
            // At the count of the first message under these keys, which was used then.
            let mut past = w.ues[UE].context.clone().unwrap().with_counts(0, 0);
            past.protect(plain, HeaderType::Ciphered, Direction::Uplink).unwrap()
        }
        "with null integrity" => {
            let keys = |n: u8| Key128::new([n; 16]);
            let mut null = wire::nas::security::NasContext::new(keys(0), keys(0), Nia::Nia0, Nea::Nea0)
                .with_counts(250, 0);
            null.protect(plain, HeaderType::Ciphered, Direction::Uplink).unwrap()
        }
        other => panic!("{other}"),
    }
}

/// Everything that can be said, in each of these ways, on a UE's own connection: nothing comes of it.
#[test]
fn what_is_not_a_ues_of_ours() {
    let rows = FALSE.into_iter().map(|how| {
        let states: Vec<UeStanding> =
            UeStanding::ALL.iter().copied().filter(|s| conn_of(&ue(*s), UE).is_some()).collect();
        row(how, &states, UeStanding::word, |state| {
            // Nothing changes, so one scene is enough for all of them.
            let mut w = ue(state);
            let of = conn_of(&w, UE).unwrap();
            let before = w.view(UE);
            let mut answers: Vec<String> = Vec::new();
            for what in SAID {
                for plain in said(what, &w) {
                    let nas = falsified(how, &plain, &mut w);
                    answers.push(what_comes(&mut w, &ue_word, |w| say(w, of, nas)));
                }
            }
            assert_eq!(w.view(UE), before, "{how}: nothing of the UE changes");
            answers.sort();
            answers.dedup();
            assert_eq!(answers.len(), 1, "{how}, {state:?}: {answers:?}");
            answers.pop()
        })
    });
    Table { name: "false", rows: rows.collect() }.hold();
}

/// The first message of a new connection that names a UE of ours: under its keys, or not.
#[test]
fn the_first_message_of_a_connection() {
    let first = [
        "RegistrationRequest, initial",
        "RegistrationRequest, mobility updating",
        "RegistrationRequest, periodic updating",
        "ServiceRequest, data",
        "ServiceRequest, emergency",
        "DeregistrationRequest",
        "DeregistrationRequest, switch off",
        "5GMMStatus",
        "IdentityResponse, SUCI",
        "what only the network says",
        "a type that there is not",
        "RegistrationRequest that is wrong",
        "ServiceRequest that is wrong",
        "too short for a message",
        "a message of another protocol",
        "no message at all",
    ];
    // On it: whose it becomes is seen in the UE's own state; what it was, in the connection's.
    let tried = |state: UeStanding, nas: &dyn Fn(&mut World) -> Vec<Vec<u8>>, what: &str, unchanged: bool| {
        let n = nas(&mut ue(state)).len();
        one_answer(n, what, |i| {
            let mut w = ue(state);
            let before = w.view(UE);
            let nas = nas(&mut w).swap_remove(i);
            let m = Message::InitialUeMessage(wire::ngap::InitialUeMessage {
                ran_ue_id: RanUeNgapId(999),
                nas,
                location: location(),
                rrc_cause: None,
                s_tmsi: None,
                context_requested: true,
            });
            let bytes = ngap::encode(&m).unwrap();
            let act = |w: &mut World| input(w, Input::Ngap { assoc: A, stream: 1, bytes });
            let cell = what_comes(&mut w, &ue_word, act);
            if unchanged {
                assert_eq!(w.view(UE), before, "{what}, {state:?}: nothing of the UE changes");
            }
            Some(cell)
        })
    };
    let mut rows: Vec<Row> = Vec::new();
    for what in first {
        let verified = |w: &mut World| {
            let plain = said(what, w);
            let context = w.ues[UE].context.as_mut().unwrap();
            let protect =
                |p: &Vec<u8>| context.clone().protect(p, HeaderType::Integrity, Direction::Uplink).unwrap();
            plain.iter().map(protect).collect::<Vec<_>>()
        };
        rows.push(row(what, UeStanding::ALL, UeStanding::word, |s| tried(s, &verified, what, false)));
    }
    for what in first {
        let unproved = |w: &mut World| {
            let plain = said(what, w);
            let mut all = plain.clone();
            all.extend(plain.iter().filter(|p| p.len() > 2).map(|p| unverified(p)));
            all
        };
        let name = format!("{what}: unproved");
        rows.push(row(&name, UeStanding::ALL, UeStanding::word, |s| tried(s, &unproved, what, true)));
    }
    let ciphered = |w: &mut World| {
        let plain = said("5GMMStatus", w).swap_remove(0);
        let context = w.ues[UE].context.as_mut().unwrap();
        vec![context.protect(&plain, HeaderType::Ciphered, Direction::Uplink).unwrap()]
    };
    rows.push(row("anything ciphered", UeStanding::ALL, UeStanding::word, |s| {
        tried(s, &ciphered, "ciphered", true)
    }));
    Table { name: "first", rows }.hold();
}
