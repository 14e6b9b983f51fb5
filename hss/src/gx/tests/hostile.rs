//! What else belongs to the classes behind the rows R115 to R127 of docs/hostile.md, as far as Gx has their like: every AVP of
//! every request of an SMF spoilt, and Session-Ids that come twice, with a session of another SMF beside.

use super::*;
use crate::spoilt::each_avp_spoilt;

fn own(kind: RequestType, n: u32) -> CreditControlRequest {
    CreditControlRequest { ipv4: Some([10, 45, 0, n as u8]), ..ccr(OWN, kind, n) }
}

#[test]
fn each_avp_of_each_request_spoilt_in_each_way_gets_one_answer_and_hurts_nobody() {
    let mut w = World::new();
    assert_eq!(w.result(SMF, initial(2)), result::SUCCESS);
    let victim = |w: &World| w.gx.sessions().find(|s| s.imsi == imsi(2)).cloned();
    let theirs = victim(&w);
    let mut tried = [0; 2];
    for kind in [RequestType::Initial, RequestType::Update, RequestType::Termination] {
        let device = Equipment { kind: 0, value: b"3560920407929901".to_vec() };
        let request = CreditControlRequest { equipment: Some(device), ..own(kind, 3) };
        for m in each_avp_spoilt(&Pdu::request(request, 7, 9).encode()) {
            if kind != RequestType::Initial && w.gx.held_at(&name(OWN)) == 0 {
                assert_eq!(w.result(OWN, own(RequestType::Initial, 3)), result::SUCCESS);
            }
            match Pdu::parse(&m) {
                Err(e) => {
                    let told =
                        e.answer(&name("pcrf.example"), &name("example")).expect("a request is answered");
                    let told = Pdu::parse(&told).unwrap();
                    assert_eq!((told.hop_by_hop, told.end_to_end), (7, 9));
                    tried[0] += 1;
                }
                Ok(pdu) => {
                    let out = w.ask(OWN, pdu.message);
                    let answers = out.iter().filter(|o| matches!(o, Output::Answer { .. })).count();
                    assert_eq!(answers, 1, "{out:?}");
                    let smf1 = |o: &Output| matches!(o, Output::Ask { peer, .. } if *peer == name(SMF));
                    assert!(!out.iter().any(smf1), "{out:?}");
                    tried[1] += 1;
                }
            }
            assert!(w.gx.pending.is_empty() && victim(&w) == theirs);
            if kind == RequestType::Initial {
                // Whatever began, under whatever name, ends.
                let begun: Vec<String> =
                    w.gx.sessions().filter(|s| s.smf == name(OWN)).map(|s| s.id.clone()).collect();
                for session_id in begun {
                    let end = CreditControlRequest { session_id, ..own(RequestType::Termination, 3) };
                    assert_eq!(w.result(OWN, end), result::SUCCESS);
                }
            }
        }
    }
    assert!(tried.iter().all(|n| *n > 500), "refused, and asked: {tried:?}");
    assert!(w.gx.len() <= 2);
    assert_eq!(w.result(SMF, update(2)), result::SUCCESS);
}

#[test]
fn the_same_session_id_of_two_smfs_is_two_sessions() {
    let mut w = World::new();
    let same =
        |m: CreditControlRequest| CreditControlRequest { session_id: "one;and;the;same".to_owned(), ..m };
    assert_eq!(w.result(SMF, same(initial(2))), result::SUCCESS);
    assert_eq!(w.result(OWN, same(own(RequestType::Initial, 3))), result::SUCCESS);
    assert_eq!(w.gx.len(), 2);
    // For another SIM it is taken; what one of them ends lives on at the other.
    assert_ne!(w.result(OWN, same(own(RequestType::Initial, 4))), result::SUCCESS);
    assert_eq!(w.result(OWN, same(own(RequestType::Termination, 3))), result::SUCCESS);
    assert_eq!(w.result(OWN, same(own(RequestType::Update, 3))), result::UNKNOWN_SESSION_ID);
    assert_eq!(w.result(OWN, same(own(RequestType::Termination, 3))), result::UNKNOWN_SESSION_ID);
    assert_eq!(w.result(SMF, same(update(2))), result::SUCCESS);
    assert_eq!(w.gx.sessions().map(|s| s.imsi).collect::<Vec<_>>(), [imsi(2)]);
}

/// Numbers of requests that come again, run backwards or jump: what they ask has its effect as often as it is asked.
#[test]
fn numbers_of_requests_that_jump_and_ends_that_come_twice_change_nothing_else() {
    let mut w = World::new();
    assert_eq!(w.result(SMF, initial(2)), result::SUCCESS);
    for number in [0, u32::MAX, 7, 7, 1] {
        let m = CreditControlRequest { number, ..update(2) };
        let out = w.ask(SMF, m);
        let a = cca(&out);
        assert_eq!((a.number, a.result_code), (Some(number), Some(result::SUCCESS)));
    }
    // Its beginning once more is the same session.
    assert_eq!((w.result(SMF, initial(2)), w.gx.len()), (result::SUCCESS, 1));
    assert_eq!(w.result(SMF, termination(2)), result::SUCCESS);
    for m in [termination(2), update(2)] {
        assert_eq!(w.result(SMF, m), result::UNKNOWN_SESSION_ID);
    }
    assert!(w.gx.is_empty());
}

/// Two SIMs in one request: whichever of them is read first, it is nobody's.
#[test]
fn a_request_that_names_two_sims_is_of_none() {
    let mut w = World::new();
    assert_eq!(w.result(SMF, initial(2)), result::SUCCESS);
    let of = |n: &str| SubscriptionId { kind: SubscriptionKind::Imsi, data: n.to_owned() };
    let (mine, theirs) = (imsi(3).to_string(), imsi(2).to_string());
    for named in [[&mine, &theirs], [&theirs, &mine], [&mine, &"nobody".to_owned()]] {
        let subscriptions: Vec<_> = named.iter().map(|n| of(n)).collect();
        let m = CreditControlRequest { subscriptions: subscriptions.clone(), ..own(RequestType::Initial, 3) };
        assert_eq!((w.result(OWN, m), w.gx.len()), (INITIAL_PARAMETERS, 1));
        let m = CreditControlRequest { subscriptions, ..update(2) };
        assert_eq!(w.result(SMF, m), result::INVALID_AVP_VALUE);
    }
    // Twice the same is one.
    let subscriptions = vec![of(&mine); 2];
    let m = CreditControlRequest { subscriptions, ..own(RequestType::Initial, 3) };
    assert_eq!((w.result(OWN, m), w.gx.len()), (result::SUCCESS, 2));
}
