//! What else belongs to the classes behind the rows R115 to R127 of docs/hostile.md: every AVP of every request of an MME
//! spoilt, and numbers that come twice, with a SIM of another MME beside.

use super::*;
use crate::spoilt::each_avp_spoilt;
use wire::diameter::Pdu;

const MINE: &str = "mme1.example";

fn answers(out: &[Output]) -> Vec<&Message> {
    out.iter()
        .filter_map(|o| if let Output::Answer { message, .. } = o { Some(message) } else { None })
        .collect()
}

#[test]
fn each_avp_of_each_request_spoilt_in_each_way_gets_one_answer_and_hurts_nobody() {
    let mut w = World::new(SimState::Active);
    w.attach("mme2.example", 2);
    let told = format!("{:?}", w.s6a.told(imsi(2)));
    let mut tried = [0; 2];
    let requests: [Message; 4] =
        [air(MINE, 1).into(), ulr(MINE, 1).into(), nor(MINE, 1).into(), pur(MINE, 1).into()];
    for octets in requests.map(|m| Pdu::request(m, 7, 9).encode()) {
        for m in each_avp_spoilt(&octets) {
            match Pdu::parse(&m) {
                Err(e) => {
                    let told =
                        e.answer(&name("hss.example"), &name("example")).expect("a request is answered");
                    let told = Pdu::parse(&told).unwrap();
                    assert_eq!((told.hop_by_hop, told.end_to_end), (7, 9));
                    tried[0] += 1;
                }
                Ok(pdu) => {
                    let out = w.ask(MINE, pdu.message);
                    assert_eq!(answers(&out).len(), 1, "{out:?}");
                    if let Message::AuthenticationInformationAnswer(a) = answers(&out)[0] {
                        assert!(a.vectors.as_ref().is_none_or(|v| v.eutran.len() == 1));
                    }
                    assert!(out.iter().all(|o| !matches!(o, Output::Ask { .. })), "nobody is asked: {out:?}");
                    tried[1] += 1;
                }
            }
            assert_eq!(w.s6a.serving(imsi(2)), Some(&name("mme2.example")));
            assert!(w.s6a.pending.is_empty());
        }
    }
    assert_eq!(format!("{:?}", w.s6a.told(imsi(2))), told);
    assert_eq!((w.s6a.served_at(&name("mme2.example")), w.s6a.due_at(&name("mme2.example"))), (1, 0));
    assert!(tried.iter().all(|n| *n > 200), "refused, and asked: {tried:?}");
    // The SIM that all this was about is served as any other.
    assert_eq!(w.result(MINE, ulr(MINE, 1)), YES);
}

/// R123: a Session-Id is a name of one dialogue between two; the same one of another peer, or for another SIM, is another one.
#[test]
fn the_same_session_id_of_two_mmes_and_for_two_sims_confuses_nobody() {
    let mut w = World::new(SimState::Active);
    let same =
        |peer: &str, n| UpdateLocationRequest { session_id: "one;and;the;same".to_owned(), ..ulr(peer, n) };
    for (peer, n) in [(MINE, 1), ("mme2.example", 2), (MINE, 3), (MINE, 1)] {
        assert_eq!(w.result(peer, same(peer, n)), YES);
    }
    let by = [1, 2, 3].map(|n| w.s6a.serving(imsi(n)).map(|m| m.as_str().to_owned()));
    assert_eq!(by, [Some(MINE), Some("mme2.example"), Some(MINE)].map(|m| m.map(str::to_owned)));
    // A purge in that name is of the SIM that it names, and by whom that is served.
    let purge = PurgeUeRequest { session_id: "one;and;the;same".to_owned(), ..pur(MINE, 2) };
    w.result(MINE, purge);
    assert_eq!(w.s6a.serving(imsi(2)), Some(&name("mme2.example")));
}
