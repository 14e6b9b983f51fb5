//! What else belongs to the classes behind the rows R115 and R123 of docs/hostile.md: messages of the base protocol with each
//! AVP spoilt, numbers that lie, storms; beside a peer that must not notice.

use super::*;
use crate::spoilt::each_avp_spoilt;

/// A peer that is there, by connection 1.
fn scene() -> World {
    let mut w = World::new();
    w.come(1, "mme.example", Some(1));
    w
}

/// It is, and is heard.
fn nobody_noticed(w: &mut World) {
    assert_eq!(w.peers.up().map(Identity::as_str).collect::<Vec<_>>(), ["mme.example"]);
    assert_eq!((w.peers.connections.len(), w.peers.states.len()), (1, 2));
    let out = w.say(1, air("mme.example", "the victim's"));
    let [id] = out.requests()[..] else { panic!("{out:?}") };
    let out = w.give(Input::Answer { id, message: aia("the victim's").into() });
    assert_eq!(out.sent(1).len(), 1);
}

fn refusals(out: &Out) -> u64 {
    out.0.iter().filter(|o| matches!(o, Output::Refused { .. })).count() as u64
}

fn dpr() -> DisconnectPeerRequest {
    DisconnectPeerRequest {
        origin_host: name("tls.example"),
        origin_realm: name("example"),
        cause: Disconnect::Busy,
    }
}

#[test]
fn each_avp_of_a_message_of_the_base_protocol_spoilt_in_each_way_ends_its_own_connection_at_most() {
    let mut w = scene();
    w.connect(2, "10.0.0.1", Some("tls.example"));
    assert_eq!(w.say(2, cer("tls.example", Some(1))).cea(2), result::SUCCESS);
    w.give(Input::Lost { connection: 2 });
    let mut tried = 0;
    let messages: [Message; 3] = [cer("tls.example", Some(1)).into(), dwr().into(), dpr().into()];
    for (first, message) in messages.into_iter().enumerate() {
        for octets in each_avp_spoilt(&Pdu::request(message, 7, 9).encode()) {
            tried += 1;
            let id = 10 + tried;
            w.connect(id, "10.0.0.1", Some("tls.example"));
            if first > 0 {
                w.say(id, cer("tls.example", Some(1)));
            }
            let out = w.receive(id, octets);
            // One answer to one request, and nothing that is for anybody else.
            let answers = out.sent(id);
            assert_eq!(answers.len(), 1, "{out:?}");
            assert!(answers.iter().all(|a| (a.hop_by_hop, a.end_to_end) == (7, 9)));
            assert!(out.sent(1).is_empty() && !out.closed(1) && out.requests().is_empty(), "{out:?}");
            w.give(Input::Lost { connection: id });
        }
    }
    assert!(tried > 500, "{tried}");
    nobody_noticed(&mut w);
}

/// R123: an answer that is spoilt is the answer or none, and never two.
#[test]
fn each_avp_of_an_answer_spoilt_in_each_way_is_taken_once_or_not_at_all() {
    let mut w = scene();
    let mut seen = [0; 2];
    let whole = Pdu::request(clr("hss;1"), 1, 1).answer(cla("hss;1")).encode();
    for (txn, mut octets) in (10..).zip(each_avp_spoilt(&whole)) {
        w.connect(txn, "10.0.0.1", Some("tls.example"));
        w.say(txn, cer("tls.example", Some(1)));
        let asked = w.give(Input::Ask { txn, peer: name("tls.example"), message: clr("hss;1").into() });
        octets[12..16].copy_from_slice(&asked.sent(txn)[0].hop_by_hop.to_be_bytes());
        let of = |out: &Out| {
            let ends = |o: &&Output| matches!(o, Output::Answered { txn: t, .. } | Output::Unanswered { txn: t } if *t == txn);
            out.0.iter().filter(ends).count()
        };
        let heard = [octets.clone(), octets].map(|octets| w.receive(txn, octets));
        let told: usize = heard.iter().map(of).sum();
        assert!(told <= 1 && heard.iter().all(|out| out.sent(txn).is_empty() && out.sent(1).is_empty()));
        // What was not answered is known not to be when its connection ends.
        let end = w.give(Input::Lost { connection: txn });
        assert_eq!(told + of(&end), 1);
        seen[told] += 1;
    }
    assert!(seen.iter().all(|n| *n > 20), "not taken, and taken: {seen:?}");
    nobody_noticed(&mut w);
}

#[test]
fn identifiers_may_be_any_and_those_of_another_peer_are_another_peers() {
    let mut w = scene();
    w.connect(2, "10.0.0.1", Some("tls.example"));
    w.say(2, cer("tls.example", Some(1)));
    // The same identifiers and the same Session-Id of two peers, and of one of them again and again, are each a request.
    for number in [0, u32::MAX, 7, 7] {
        for (connection, host) in [(1, "mme.example"), (2, "tls.example")] {
            let pdu = Pdu::request(air(host, "one and the same"), number, number);
            let out = w.receive(connection, pdu.encode());
            let [id] = out.requests()[..] else { panic!("{out:?}") };
            let out = w.give(Input::Answer { id, message: aia("one and the same").into() });
            let answers = out.sent(connection);
            let [answer] = &answers[..] else { panic!("{out:?}") };
            assert_eq!((answer.hop_by_hop, answer.end_to_end), (number, number));
            // An answer to it once more, and one to a request that was never given, go nowhere.
            for id in [id, id + 100, 0] {
                assert!(w.give(Input::Answer { id, message: aia("one and the same").into() }).0.is_empty());
            }
        }
    }
    // Said to be repeated, it gets the answer of its own peer.
    let mut again = Pdu::request(air("tls.example", "one and the same"), 8, 7);
    again.retransmitted = true;
    let out = w.receive(2, again.encode());
    assert!(out.requests().is_empty() && out.sent(2).len() == 1);
    w.give(Input::Lost { connection: 2 });
    nobody_noticed(&mut w);
}

/// Storms of one peer: watchdogs, farewells, names of others, connections that say nothing. Each costs what it costs itself.
#[test]
fn storms_of_one_peer_leave_nothing_behind() {
    let mut w = scene();
    w.connect(2, "10.0.0.1", Some("tls.example"));
    w.say(2, cer("tls.example", Some(1)));
    let watchdog = DeviceWatchdogRequest { origin_host: name("tls.example"), ..dwr() };
    for _ in 0..10_000 {
        assert_eq!(w.say(2, watchdog.clone()).0.len(), 1);
    }
    // A CER again and again is answered, and opens nothing.
    for state in 0..1_000 {
        assert_eq!(w.say(2, cer("tls.example", Some(state))).cea(2), result::SUCCESS);
    }
    let mut told = 0;
    for n in 0..1_000 {
        let out = w.say(2, air("mme.example", &format!("of another {n}")));
        assert_eq!((out.refusal(2), out.requests().len()), (result::UNKNOWN_PEER, 0));
        told += refusals(&out);
    }
    assert_eq!(told, heard::IN_A_ROW);
    assert!(w.peers.asked.is_empty());
    w.say(2, dpr());
    w.give(Input::Lost { connection: 2 });
    // It comes and goes; who connects and says nothing is not many.
    for id in 100..2_100 {
        w.connect(id, "10.0.0.1", Some("tls.example"));
        w.say(id, cer("tls.example", Some(id as u32)));
        w.say(id, dpr());
        w.give(Input::Lost { connection: id });
    }
    // A stranger with a name for each try is refused each time, and told of now and then.
    w.pass(1_000);
    let told: u64 = (3_000..4_000)
        .map(|id| {
            w.connect(id, "10.0.0.67", None);
            let out = w.say(id, cer(&format!("s{id}.example"), None));
            assert!(out.closed(id));
            refusals(&out)
        })
        .sum();
    assert_eq!(told, heard::IN_A_ROW);
    let mut closed = 0;
    for id in 5_000..5_200 {
        closed += usize::from(w.connect(id, "10.0.0.66", None).closed(id));
    }
    assert_eq!(closed, 200 - STRANGERS);
    for id in 5_000..5_200 {
        w.give(Input::Lost { connection: id });
    }
    nobody_noticed(&mut w);
}
