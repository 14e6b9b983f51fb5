//! Peers that come, go, restart, lie and fall silent; the clock is moved by hand.

mod hostile;

use super::*;
use types::Utc;
use wire::diameter::{
    Address, AuthenticationInformationAnswer, AuthenticationInformationRequest, CancelLocationAnswer,
    CancelLocationRequest, CancellationType, CapabilitiesExchangeRequest, NO_STATE_MAINTAINED, TGPP,
    VendorApplication,
};

fn name(s: &str) -> Identity {
    Identity::new(s).unwrap()
}

fn entry(host: &str) -> Entry {
    Entry {
        host: name(host),
        realm: name("example"),
        addresses: vec!["10.0.0.1".parse().unwrap()],
        certificate: false,
        applications: BTreeSet::from([application::S6A]),
    }
}

use wire::diameter::application;

struct World {
    peers: Peers,
    now: Now,
    number: u32,
}

/// What came out, in order.
#[derive(Debug, Default)]
struct Out(Vec<Output>);

impl Out {
    fn sent(&self, connection: u64) -> Vec<Pdu> {
        let of = |o: &Output| match o {
            Output::Send { connection: c, octets } if *c == connection => Some(Pdu::parse(octets).unwrap()),
            _ => None,
        };
        self.0.iter().filter_map(of).collect()
    }

    fn closed(&self, connection: u64) -> bool {
        self.0.contains(&Output::Close { connection })
    }

    fn cea(&self, connection: u64) -> u32 {
        match &self.sent(connection).first().expect("a CEA").message {
            Message::CapabilitiesExchangeAnswer(a) => a.result_code,
            m => panic!("{m:?}"),
        }
    }

    fn refusal(&self, connection: u64) -> u32 {
        match &self.sent(connection).first().expect("an answer").message {
            Message::Refusal { refusal, .. } => refusal.result_code,
            m => panic!("{m:?}"),
        }
    }

    fn requests(&self) -> Vec<u64> {
        let of = |o: &Output| if let Output::Request { id, .. } = o { Some(*id) } else { None };
        self.0.iter().filter_map(of).collect()
    }
}

impl World {
    fn new() -> Self {
        let config = PeersConfig {
            host: name("hss.example"),
            realm: name("example"),
            addresses: vec!["10.0.0.9".parse().unwrap()],
            origin_state: 7,
            peers: vec![
                entry("mme.example"),
                Entry { certificate: true, addresses: vec![], ..entry("tls.example") },
            ],
            watchdog_ms: 30_000,
            answer_ms: 10_000,
        };
        let now = Now { mono: Mono(1), utc: Utc(1_700_000_000_000) };
        Self { peers: Peers::new(config, now, [7; 32]), now, number: 100 }
    }

    fn give(&mut self, input: Input) -> Out {
        self.peers.handle(input, self.now);
        self.out()
    }

    fn out(&mut self) -> Out {
        Out(std::iter::from_fn(|| self.peers.poll_output()).collect())
    }

    /// Moves on, from timer to timer.
    fn pass(&mut self, ms: u64) -> Out {
        let end = self.now.mono.plus_ms(ms);
        let mut all = Out::default();
        while let Some(due) = self.peers.poll_timeout().filter(|d| *d <= end) {
            assert!(due.0 > 0);
            self.now.mono = self.now.mono.max(due);
            self.peers.handle_timeout(self.now);
            all.0.extend(self.out().0);
            assert!(
                self.peers.poll_timeout().is_none_or(|d| d > self.now.mono),
                "a timer that has fired is gone"
            );
        }
        self.now.mono = end;
        all
    }

    fn connect(&mut self, connection: u64, from: &str, certified: Option<&str>) -> Out {
        let certified = certified.map(|n| vec![name(n)]);
        self.give(Input::Connected {
            connection,
            from: Transport { address: from.parse().unwrap(), certified },
        })
    }

    fn receive(&mut self, connection: u64, octets: Vec<u8>) -> Out {
        self.give(Input::Received { connection, octets })
    }

    fn say(&mut self, connection: u64, message: impl Into<Message>) -> Out {
        self.number += 1;
        let pdu = Pdu::request(message, self.number, self.number);
        self.receive(connection, pdu.encode())
    }

    /// A peer of this name, there.
    fn come(&mut self, connection: u64, host: &str, state: Option<u32>) -> Out {
        self.connect(connection, "10.0.0.1", None);
        self.say(connection, cer(host, state))
    }
}

fn cla(session: &str) -> CancelLocationAnswer {
    CancelLocationAnswer {
        session_id: session.to_owned(),
        application: None,
        result_code: Some(result::SUCCESS),
        experimental: None,
        auth_session_state: None,
        origin_host: name("mme.example"),
        origin_realm: name("example"),
        features: vec![],
        error_message: None,
        failed_avp: None,
    }
}

fn cer(host: &str, origin_state: Option<u32>) -> CapabilitiesExchangeRequest {
    CapabilitiesExchangeRequest {
        origin_host: name(host),
        origin_realm: name("example"),
        addresses: vec![Address::Ip("127.0.0.1".parse().unwrap())],
        vendor_id: 0,
        product: b"freeDiameter".to_vec(),
        origin_state,
        vendors: vec![TGPP],
        auth: vec![],
        inband_security: vec![0],
        acct: vec![],
        vendor_applications: vec![VendorApplication {
            vendor_id: TGPP,
            auth: Some(application::S6A),
            acct: None,
        }],
        firmware: None,
    }
}

fn air(host: &str, session: &str) -> AuthenticationInformationRequest {
    AuthenticationInformationRequest {
        session_id: session.to_owned(),
        application: None,
        auth_session_state: NO_STATE_MAINTAINED,
        origin_host: name(host),
        origin_realm: name("example"),
        destination_host: None,
        destination_realm: name("example"),
        features: vec![],
        route: vec![],
        user_name: "001010000000001".to_owned(),
        eutran: None,
        visited_plmn: [0, 0xf1, 0x10],
    }
}

fn aia(session: &str) -> AuthenticationInformationAnswer {
    AuthenticationInformationAnswer {
        session_id: session.to_owned(),
        application: None,
        result_code: Some(result::SUCCESS),
        experimental: None,
        auth_session_state: Some(NO_STATE_MAINTAINED),
        origin_host: name("hss.example"),
        origin_realm: name("example"),
        features: vec![],
        error_message: None,
        failed_avp: None,
        vectors: None,
    }
}

fn clr(session: &str) -> CancelLocationRequest {
    CancelLocationRequest {
        session_id: session.to_owned(),
        application: None,
        auth_session_state: NO_STATE_MAINTAINED,
        origin_host: name("hss.example"),
        origin_realm: name("example"),
        destination_host: name("mme.example"),
        destination_realm: name("example"),
        features: vec![],
        route: vec![],
        user_name: "001010000000001".to_owned(),
        cancellation: CancellationType::SubscriptionWithdrawal,
        flags: None,
    }
}

fn dwr() -> DeviceWatchdogRequest {
    DeviceWatchdogRequest {
        origin_host: name("mme.example"),
        origin_realm: name("example"),
        origin_state: None,
    }
}

#[test]
fn a_peer_comes_asks_is_answered_and_goes() {
    let mut w = World::new();
    let out = w.come(1, "MME.example", Some(1));
    assert_eq!(out.cea(1), result::SUCCESS);
    assert!(
        matches!(&out.0[1], Output::Up { restarted: false, applications, .. } if applications.len() == 1),
        "{out:?}"
    );
    let out = w.say(1, air("mme.example", "a;1"));
    let id = out.requests()[0];
    let out = w.give(Input::Answer { id, message: aia("a;1").into() });
    let answer = &out.sent(1)[0];
    assert_eq!((answer.hop_by_hop, answer.end_to_end), (w.number, w.number));
    assert!(w.give(Input::Answer { id, message: aia("a;1").into() }).0.is_empty(), "answered once");
    let bye = DisconnectPeerRequest {
        origin_host: name("mme.example"),
        origin_realm: name("example"),
        cause: Disconnect::Rebooting,
    };
    let out = w.say(1, bye);
    assert!(matches!(out.sent(1)[0].message, Message::DisconnectPeerAnswer(_)));
    assert!(matches!(out.0[1], Output::Down { why: Gone::Disconnected(Disconnect::Rebooting), .. }));
    assert!(!out.closed(1) && w.pass(FAREWELL_MS).closed(1), "who does not close is closed");
    assert_eq!((w.peers.up().count(), w.peers.poll_timeout()), (0, None));
}

#[test]
fn who_is_not_in_the_list_or_not_that_one_is_refused_and_told_of() {
    for (host, from, certified, why) in [
        ("other.example", "10.0.0.1", None, Impostor::Unknown),
        ("mme.example", "10.0.0.2", None, Impostor::NotThatOne),
        ("mme.example", "::ffff:10.0.0.2", None, Impostor::NotThatOne),
        ("tls.example", "10.0.0.1", None, Impostor::NotThatOne),
        ("tls.example", "10.0.0.1", Some("mme.example"), Impostor::NotThatOne),
    ] {
        let mut w = World::new();
        w.connect(1, from, certified);
        let out = w.say(1, cer(host, None));
        assert_eq!(out.cea(1), result::UNKNOWN_PEER);
        assert!(out.closed(1));
        assert!(out.0.iter().any(|o| matches!(o, Output::Refused { why: w, .. } if *w == why)), "{out:?}");
        assert!(w.say(1, air(host, "a;1")).0.is_empty(), "nothing more is heard of it");
    }
    let mut w = World::new();
    w.connect(1, "192.0.2.1", Some("tls.example"));
    assert_eq!(w.say(1, cer("tls.example", None)).cea(1), result::SUCCESS);
}

#[test]
fn without_a_common_application_or_with_inband_tls_nobody_stays() {
    for (change, code) in [
        (
            Box::new(|c: &mut CapabilitiesExchangeRequest| c.vendor_applications.clear())
                as Box<dyn Fn(&mut _)>,
            result::NO_COMMON_APPLICATION,
        ),
        (
            Box::new(|c: &mut CapabilitiesExchangeRequest| {
                c.vendor_applications[0].auth = Some(application::GX)
            }),
            result::NO_COMMON_APPLICATION,
        ),
        (
            Box::new(|c: &mut CapabilitiesExchangeRequest| c.inband_security = vec![1]),
            result::NO_COMMON_SECURITY,
        ),
    ] {
        let mut w = World::new();
        w.connect(1, "10.0.0.1", None);
        let mut c = cer("mme.example", None);
        change(&mut c);
        let out = w.say(1, c);
        assert_eq!((out.cea(1), out.closed(1), w.peers.up().count()), (code, true, 0));
    }
}

#[test]
fn nothing_is_heard_before_a_cer_and_no_stranger_stays_for_long() {
    let mut w = World::new();
    w.connect(1, "10.0.0.1", None);
    assert!(w.say(1, air("mme.example", "a;1")).closed(1));
    w.connect(2, "10.0.0.1", None);
    assert!(w.receive(2, b"GET / HTTP/1.1\r\n\r\n".to_vec()).closed(2));
    w.connect(3, "10.0.0.1", None);
    assert!(!w.pass(CER_MS - 1).closed(3) && w.pass(1).closed(3));
    for n in 0..STRANGERS as u64 {
        assert!(!w.connect(100 + n, "10.0.0.1", None).closed(100 + n));
    }
    assert!(w.connect(999, "10.0.0.1", None).closed(999), "one too many");
}

#[test]
fn a_silent_peer_is_asked_twice_and_then_closed_and_what_was_asked_of_it_has_no_answer() {
    let mut w = World::new();
    w.come(1, "mme.example", None);
    let out = w.give(Input::Ask { txn: 5, peer: name("mme.example"), message: clr("h;1").into() });
    assert!(matches!(out.sent(1)[0].message, Message::CancelLocationRequest(_)));
    let out = w.pass(10_000);
    assert!(out.0.contains(&Output::Unanswered { txn: 5 }), "{out:?}");
    let out = w.pass(100_000);
    let questions =
        out.sent(1).iter().filter(|p| matches!(p.message, Message::DeviceWatchdogRequest(_))).count();
    assert_eq!((questions, out.closed(1)), (2, true));
    assert!(out.0.iter().any(|o| matches!(o, Output::Down { why: Gone::Silent, .. })));
    // One that answers, and one that only says something else, stay.
    w.come(2, "mme.example", None);
    for _ in 0..20 {
        let out = w.pass(32_000);
        assert!(!out.closed(2), "{out:?}");
        assert!(!w.say(2, dwr()).sent(2).is_empty());
    }
}

#[test]
fn a_peer_that_has_restarted_takes_its_place_at_once_and_another_one_does_not() {
    let mut w = World::new();
    w.come(1, "mme.example", Some(1));
    let out = w.come(2, "mme.example", Some(2));
    assert!(out.closed(1) && out.cea(2) == result::SUCCESS);
    assert!(out.0.iter().any(|o| matches!(o, Output::Up { restarted: true, .. })));
    // Same state: the old one is asked. It lives.
    let out = w.come(3, "mme.example", Some(2));
    assert!(matches!(out.sent(2)[0].message, Message::DeviceWatchdogRequest(_)) && out.sent(3).is_empty());
    assert_eq!(w.come(4, "mme.example", Some(2)).cea(4), ELECTION_LOST, "one at a time");
    let out = w.say(2, dwr());
    assert!(out.closed(3) && !out.closed(2) && out.cea(3) == ELECTION_LOST);
    // It does not.
    w.come(5, "mme.example", Some(2));
    let out = w.pass(CONTEST_MS);
    assert!(out.closed(2) && out.cea(5) == result::SUCCESS, "{out:?}");
    // Its connection breaks while it is asked.
    w.come(6, "mme.example", Some(2));
    assert_eq!(w.give(Input::Lost { connection: 5 }).cea(6), result::SUCCESS);
    // The newcomer goes away itself; the next one may try.
    w.come(7, "mme.example", Some(2));
    assert!(w.give(Input::Lost { connection: 7 }).0.is_empty());
    assert!(w.come(8, "mme.example", Some(2)).sent(8).is_empty());
    assert_eq!(w.peers.up().count(), 1);
    let seen = w.peers.listed().find(|(name, _)| name.as_str() == "mme.example").and_then(|(_, seen)| seen);
    assert_eq!(seen, Some((Some(2), 1)), "its state, and that it started anew once");
}

#[test]
fn requests_in_anothers_name_for_somebody_else_or_not_agreed_on_are_refused() {
    let mut w = World::new();
    w.come(1, "mme.example", None);
    let out = w.say(1, air("tls.example", "a;1"));
    assert_eq!(out.refusal(1), result::UNKNOWN_PEER);
    assert!(out.0.iter().any(|o| matches!(o, Output::Refused { why: Impostor::InAnothersName, .. })));
    let out = w.say(
        1,
        AuthenticationInformationRequest { destination_realm: name("far"), ..air("mme.example", "a;2") },
    );
    assert_eq!(out.refusal(1), REALM_NOT_SERVED);
    let elsewhere = Some(name("hss2.example"));
    let out = w.say(
        1,
        AuthenticationInformationRequest { destination_host: elsewhere, ..air("mme.example", "a;3") },
    );
    assert_eq!(out.refusal(1), result::UNABLE_TO_DELIVER);
    let mut unread = Pdu::request(air("mme.example", "a;4"), 1, 1).encode();
    unread[7] = 0xff;
    assert_eq!(w.receive(1, unread).refusal(1), result::COMMAND_UNSUPPORTED);
    assert!(w.say(1, cer("tls.example", None)).closed(1), "another name in the middle");
}

#[test]
fn too_many_at_once_are_told_so_and_the_others_are_answered() {
    let mut w = World::new();
    w.come(1, "mme.example", None);
    let mut ids = Vec::new();
    for n in 0..UNDER_WAY {
        ids.extend(w.say(1, air("mme.example", &format!("a;{n}"))).requests());
    }
    assert_eq!(ids.len(), UNDER_WAY);
    assert_eq!(w.say(1, air("mme.example", "b")).refusal(1), result::TOO_BUSY);
    for id in ids {
        assert_eq!(w.give(Input::Answer { id, message: aia("a").into() }).sent(1).len(), 1);
    }
    assert_eq!(w.say(1, air("mme.example", "c")).requests().len(), 1);
}

#[test]
fn a_request_that_comes_again_has_its_effect_once() {
    let mut w = World::new();
    w.come(1, "mme.example", Some(1));
    let first = Pdu::request(air("mme.example", "a;1"), 1, 77);
    let id = w.receive(1, first.encode()).requests()[0];
    // Under way, by another connection: the answer goes there.
    w.come(2, "mme.example", Some(2));
    let again = Pdu { hop_by_hop: 9, retransmitted: true, ..first.clone() };
    assert!(w.receive(2, again.encode()).0.is_empty());
    let out = w.give(Input::Answer { id, message: aia("a;1").into() });
    assert_eq!(out.sent(2)[0].hop_by_hop, 9);
    // Answered: the same answer, with its own number.
    let third = Pdu { hop_by_hop: 10, ..again };
    let out = w.receive(2, third.encode());
    assert_eq!((out.sent(2)[0].hop_by_hop, out.requests().len()), (10, 0));
    // Without the flag it is another one.
    assert_eq!(w.receive(2, first.encode()).requests().len(), 1);
}

#[test]
fn only_the_answer_to_what_was_asked_counts() {
    let mut w = World::new();
    w.come(1, "mme.example", None);
    let asked = w
        .give(Input::Ask { txn: 5, peer: name("mme.example"), message: clr("h;1").into() })
        .sent(1)
        .remove(0);
    let unknown = Pdu { hop_by_hop: asked.hop_by_hop ^ 1, ..asked.answer(cla("h;1")) };
    assert!(w.receive(1, unknown.encode()).0.is_empty());
    assert!(w.receive(1, asked.answer(cla("h;2")).encode()).0.is_empty(), "of another session");
    assert!(w.receive(1, asked.answer(aia("h;1")).encode()).0.is_empty(), "to another command");
    let out = w.receive(1, asked.answer(cla("h;1")).encode());
    assert!(matches!(out.0[0], Output::Answered { txn: 5, .. }));
    assert!(w.receive(1, asked.answer(cla("h;1")).encode()).0.is_empty(), "twice");
    // Who is not there is not asked.
    let out = w.give(Input::Ask { txn: 6, peer: name("tls.example"), message: clr("h;2").into() });
    assert_eq!(out.0, vec![Output::Unanswered { txn: 6 }]);
}

#[test]
fn many_are_asked_in_turns_and_each_is_answered_or_known_not_to_be() {
    const ALL: u64 = 5_000;
    const AT_ONCE: usize = 256;
    let mut w = World::new();
    w.come(1, "mme.example", None);
    let ask =
        |txn: u64| Input::Ask { txn, peer: name("mme.example"), message: clr(&format!("h;{txn}")).into() };
    let mut sent: VecDeque<Pdu> = (0..ALL).flat_map(|txn| w.give(ask(txn)).sent(1)).collect();
    assert_eq!(sent.len(), AT_ONCE, "no connection is given more than it takes");
    // Each answer makes room for one.
    let (mut answered, mut given_up) = (Vec::new(), Vec::new());
    let mut note = |out: &Out| {
        for o in &out.0 {
            match o {
                Output::Answered { txn, .. } => answered.push(*txn),
                Output::Unanswered { txn } => given_up.push(*txn),
                _ => {}
            }
        }
    };
    for _ in 0..3_000 {
        let asked = sent.pop_front().expect("the next one");
        let session = asked.message.route().expect("a route").session_id.to_owned();
        let out = w.receive(1, asked.answer(cla(&session)).encode());
        note(&out);
        sent.extend(out.sent(1));
        assert_eq!(sent.len(), AT_ONCE);
    }
    // No answer: the time of each runs from when it was sent, and the next ones go out.
    let out = w.pass(10_000);
    note(&out);
    assert_eq!(out.sent(1).len(), AT_ONCE);
    // The connection is lost: so is what waits, and whoever asked knows.
    note(&w.give(Input::Lost { connection: 1 }));
    assert_eq!(answered, (0..3_000).collect::<Vec<_>>());
    assert_eq!(given_up, (3_000..ALL).collect::<Vec<_>>());
    // More than wait at most: known at once.
    w.come(2, "mme.example", None);
    let refused =
        (0..20_000).filter(|txn| !w.give(ask(*txn)).0.iter().all(|o| matches!(o, Output::Send { .. })));
    assert_eq!(refused.count(), 20_000 - AT_ONCE - 16_384);
}

#[test]
fn a_farewell_tells_everybody() {
    let mut w = World::new();
    w.come(1, "mme.example", None);
    let out = w.give(Input::Farewell);
    let dpr = &out.sent(1)[0];
    assert!(matches!(dpr.message, Message::DisconnectPeerRequest(_)));
    assert!(w.say(1, air("mme.example", "late")).0.is_empty());
    let dpa = DisconnectPeerAnswer {
        result_code: result::SUCCESS,
        origin_host: name("mme.example"),
        origin_realm: name("example"),
        error_message: None,
        failed_avp: None,
    };
    assert!(w.receive(1, dpr.answer(dpa).encode()).closed(1));
}
