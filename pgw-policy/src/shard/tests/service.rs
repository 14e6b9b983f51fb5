//! Our own page inside the closed network: who reaches it, and who is sent there.

use super::*;
use crate::inner::PSH;
use crate::inner6::make::{tcp6, udp6};
use crate::service::Service;

const PAGE: &str = "10.99.0.1";
const PAGE6: &str = "fd00:99::1";
const UE6: &str = "fd00:20:0:5::9";
const FILES6: &str = "2001:db8::10";

/// The page is there, files want a proof, and the laptop has IPv6 as well.
fn world() -> World {
    let mut w = World::new();
    let mut p = policy(2, &[]);
    p.apps[0].services.push("tcp/80".parse().unwrap());
    p.apps[0].prefixes.push(format!("{FILES6}/128").parse().unwrap());
    p.rules[0].verdict = Verdict::StepUp;
    w.tell(ShardCommand::Policy(Arc::new(compile(&p).unwrap())));
    w.end(5);
    let prefix: ipnet::Ipv6Net = "fd00:20:0:5::/64".parse().unwrap();
    w.tell(ShardCommand::Insert(Box::new(SessionSpec { prefix: Some(prefix), ..*spec(5, LAPTOP) })));
    w.tell(ShardCommand::RouteOwner { prefix: prefix.into(), shard: ShardId(0), on: true });
    let service = Service {
        v4: Some(PAGE.parse().unwrap()),
        v6: Some(PAGE6.parse().unwrap()),
        tcp: vec![80, 443],
        udp: vec![53],
        url: "https://check.example".to_owned(),
    };
    w.tell(ShardCommand::Service(Some(Arc::new(service))));
    // It asks for its prefix.
    w.up(5, &super::six::solicitation());
    w.down(&udp(FILES, 1, "10.20.0.99", 1, b""));
    w.records();
    w
}

/// What our page sends.
fn from_page(w: &mut World, packet: &[u8]) -> Vec<Out> {
    w.run(Origin::Service { handed: false }, packet)
}

#[test]
fn a_ue_reaches_the_page_whatever_the_rules_say_and_nothing_else_of_it() {
    let mut w = world();
    for restricted in [false, true] {
        w.tell(ShardCommand::Quarantine { imsi: imsi(5), on: restricted });
        for (n, port) in [(0, 80), (1, 443)] {
            let from = 40_000 + n + 10 * u16::from(restricted);
            let syn = tcp(LAPTOP, from, PAGE, port, SYN);
            assert_eq!(w.up(5, &syn), [Out::Service(syn.clone())]);
            let answer = tcp(PAGE, port, LAPTOP, from, SYN | ACK);
            assert_eq!(from_page(&mut w, &answer), [Out::N3(gnb(), 0x9005, answer.clone())]);
            let six = tcp6(UE6, from, PAGE6, port, SYN);
            assert_eq!(w.up(5, &six), [Out::Service(six.clone())]);
            let answer = tcp6(PAGE6, port, UE6, from, SYN | ACK);
            assert_eq!(from_page(&mut w, &answer).len(), 1);
        }
        let asks = udp(LAPTOP, 9, PAGE, 53, b"?");
        assert_eq!(w.up(5, &asks), [Out::Service(asks.clone())]);
        let ping = ping(LAPTOP, PAGE, true, 7);
        assert_eq!(w.up(5, &ping), [Out::Service(ping.clone())]);
    }
    // A reset for what is closed there: D14 and R77.
    for port in [22, 8805, 2152, 8443] {
        let before = w.dropped(Reason::OwnAddress);
        assert!(matches!(&w.up(5, &tcp(LAPTOP, 1, PAGE, port, SYN))[..], [Out::N3(..)]), "{port}");
        assert!(matches!(&w.up(5, &udp(LAPTOP, 1, PAGE, port, b""))[..], [Out::N3(..)]), "{port}");
        assert_eq!(w.dropped(Reason::OwnAddress), before + 2);
    }
    assert!(matches!(&w.up(5, &ip(LAPTOP, PAGE, 47, 0, 1, &[0; 8]))[..], [Out::N3(..)]));
    // A ban stands above it, and so does a policy that is not there yet.
    w.tell(ShardCommand::Close { on: true });
    w.up_dropped(5, &tcp(LAPTOP, 50_000, PAGE, 443, SYN), Reason::StalePolicy);
    w.tell(ShardCommand::Close { on: false });
    w.cut(5);
    w.up_dropped(5, &tcp(LAPTOP, 40_000, PAGE, 80, ACK), Reason::Banned);
}

#[test]
fn the_page_speaks_to_whoever_asked_it_and_for_nobody_else() {
    let mut w = world();
    let before = w.dropped(Reason::NoFlow);
    assert_eq!(from_page(&mut w, &tcp(PAGE, 443, LAPTOP, 40_000, SYN)), []);
    assert_eq!(from_page(&mut w, &udp(PAGE, 53, LAPTOP, 9, b"")), []);
    assert_eq!(from_page(&mut w, &tcp6(PAGE6, 443, UE6, 40_000, SYN)), []);
    assert_eq!(w.dropped(Reason::NoFlow), before + 3);
    // The flow is there, and its answer comes from the page alone: not from the network, not in another's name.
    w.up(5, &tcp(LAPTOP, 40_000, PAGE, 443, SYN));
    w.up(5, &tcp6(UE6, 40_000, PAGE6, 443, SYN));
    w.down_dropped(&tcp(PAGE, 443, LAPTOP, 40_000, SYN | ACK), Reason::SpoofedSource);
    w.down_dropped(&tcp6(PAGE6, 443, UE6, 40_000, SYN | ACK), Reason::SpoofedSource);
    let before = w.dropped(Reason::SpoofedSource);
    for other in [FILES, SCADA, PLC, "10.99.0.2"] {
        assert_eq!(from_page(&mut w, &tcp(other, 443, LAPTOP, 40_000, SYN | ACK)), []);
    }
    assert_eq!(from_page(&mut w, &udp6(FILES6, 53, UE6, 9, b"")), []);
    assert_eq!(w.dropped(Reason::SpoofedSource), before + 5);
    // Nobody else is there.
    let before = w.dropped(Reason::UnknownUe);
    assert_eq!(from_page(&mut w, &tcp(PAGE, 443, "192.168.1.1", 1, SYN)), []);
    assert_eq!(w.dropped(Reason::UnknownUe), before + 1);
    // Where it is no longer, its address is as any other.
    w.tell(ShardCommand::Service(None));
    w.up_dropped(5, &tcp(LAPTOP, 40_001, PAGE, 443, SYN), Reason::UnknownApp);
}

/// Sequence number, acknowledgement, flags and octets of the one segment that the UE gets; its checksum is looked at.
fn told(out: &[Out], ends: (&str, &str)) -> (u32, u32, u8, Vec<u8>) {
    let [Out::N3(_, _, p)] = out else { panic!("{out:?}") };
    let (from, to): (std::net::IpAddr, std::net::IpAddr) = (ends.0.parse().unwrap(), ends.1.parse().unwrap());
    let (header, pseudo) = match (from, to) {
        (std::net::IpAddr::V4(f), std::net::IpAddr::V4(t)) => {
            assert_eq!(checksum(&[&p[..20]]), 0);
            assert_eq!((&p[12..16], &p[16..20]), (&f.octets()[..], &t.octets()[..]));
            (20, [&f.octets()[..], &t.octets()].concat())
        }
        (std::net::IpAddr::V6(f), std::net::IpAddr::V6(t)) => {
            assert_eq!((&p[8..24], &p[24..40]), (&f.octets()[..], &t.octets()[..]));
            (40, [&f.octets()[..], &t.octets()].concat())
        }
        _ => panic!(),
    };
    let t = &p[header..];
    let length = [0, 6, (t.len() >> 8) as u8, t.len() as u8];
    assert_eq!(checksum(&[&pseudo, &length, t]), 0, "the checksum of TCP");
    let word = |at: usize| u32::from_be_bytes(t[at..at + 4].try_into().unwrap());
    (word(4), word(8), t[13], t[20..].to_vec())
}

/// A segment of the UE's.
fn segment(six: bool, (seq, ack): (u32, u32), flags: u8, data: &[u8]) -> Vec<u8> {
    let mut t = [40_000u16.to_be_bytes(), 80u16.to_be_bytes()].concat();
    t.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
    t.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    t.extend_from_slice(data);
    if six { crate::inner6::make::ip6(UE6, FILES6, 6, &t) } else { ip(LAPTOP, FILES, 6, 0x4000, 1, &t) }
}

#[test]
fn a_plain_web_request_that_waits_for_a_proof_is_sent_to_the_page() {
    for six in [false, true] {
        let mut w = world();
        let ends = if six { (FILES6, UE6) } else { (FILES, LAPTOP) };
        let mut say = |at, flags, data: &[u8]| w.up(5, &segment(six, at, flags, data));
        let (begin, ack, flags, _) = told(&say((100, 0), SYN, b""), ends);
        assert_eq!((ack, flags), (101, SYN | ACK));
        let first = begin.wrapping_add(1);
        assert_eq!(say((101, first), ACK, b""), [], "its acknowledgement needs no answer");
        let asks = b"GET /secret HTTP/1.1\r\nHost: files\r\n\r\n";
        let next = 101 + asks.len() as u32;
        for _ in 0..2 {
            let (seq, ack, flags, page) = told(&say((101, first), PSH | ACK, asks), ends);
            assert_eq!((seq, ack, flags), (first, next, PSH | FIN | ACK));
            let page = String::from_utf8(page).unwrap();
            assert!(page.starts_with("HTTP/1.1 303 "), "{page}");
            assert!(page.contains("\r\nLocation: https://check.example/?app=files\r\n"), "{page}");
            assert!(page.ends_with("\r\n\r\n") && !page.contains("secret"), "{page}");
            let end = first.wrapping_add(page.len() as u32 + 1);
            assert_eq!(say((next, end), ACK, b""), []);
            let (seq, ack, flags, _) = told(&say((next, end), FIN | ACK, b""), ends);
            assert_eq!((seq, ack, flags), (end, next + 1, ACK));
        }
        // Who asks nothing is let go; who guesses is reset; a reset gets nothing.
        assert_eq!(told(&say((101, first), FIN | ACK, b""), ends).2, FIN | ACK);
        for guess in [first.wrapping_sub(1), first.wrapping_add(5), 0] {
            let (seq, _, flags, page) = told(&say((101, guess), PSH | ACK, asks), ends);
            assert_eq!((seq, flags, page.len()), (guess, RST, 0));
        }
        assert_eq!(say((101, first), RST | ACK, b""), []);
        assert_eq!(say((101, first), SYN | FIN, b"x").len(), 1);
        assert_eq!(say((101, first), 0, b""), []);
        // No flow was made of any of it.
        assert_eq!(w.shard.flows.len(), 0);
        let r: Vec<_> = w.records().iter().map(|r| (r.verdict, r.reason)).collect();
        let of_the_reset = (Verdict::Deny, Reason::NoFlow);
        assert_eq!(r, [(Verdict::Reject, Reason::StepUpNeeded), of_the_reset]);
    }
}

#[test]
fn everything_else_that_waits_for_a_proof_is_reset() {
    let mut w = world();
    let (_, _, flags, _) = told(&w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)), (FILES, LAPTOP));
    assert_eq!(flags, RST | ACK);
    assert!(matches!(&w.up(5, &udp(LAPTOP, 1, FILES, 53, b""))[..], [Out::N3(_, _, p)] if p[9] == 1));
    // Without a page a plain web request is reset as well.
    w.tell(ShardCommand::Service(None));
    let (_, _, flags, _) = told(&w.up(5, &tcp(LAPTOP, 1, FILES, 80, SYN)), (FILES, LAPTOP));
    assert_eq!(flags, RST | ACK);
    // What another rule refuses is not sent to the page.
    let mut w = world();
    let mut p = policy(3, &[]);
    p.apps[1].services.push("tcp/80".parse().unwrap());
    w.tell(ShardCommand::Policy(Arc::new(compile(&p).unwrap())));
    let (_, _, flags, _) = told(&w.up(5, &tcp(LAPTOP, 1, SECRET, 80, SYN)), (SECRET, LAPTOP));
    assert_eq!(flags, RST | ACK);
}

/// Answers are limited, and nothing is kept of a flood.
#[test]
fn a_flood_of_web_requests_gets_so_many_answers_and_leaves_nothing() {
    let mut w = World::with(Limits { answers_per_second: 10, ..Limits::default() });
    let mut p = policy(2, &[]);
    p.apps[0].services.push("tcp/80".parse().unwrap());
    p.rules[0].verdict = Verdict::StepUp;
    w.tell(ShardCommand::Policy(Arc::new(compile(&p).unwrap())));
    let service =
        Service { v4: Some(PAGE.parse().unwrap()), url: "https://c".to_owned(), ..Service::default() };
    w.tell(ShardCommand::Service(Some(Arc::new(service))));
    let answered =
        (1000..3000u16).filter(|port| !w.up(5, &tcp(LAPTOP, *port, FILES, 80, SYN)).is_empty()).count();
    assert_eq!(answered, 10);
    assert_eq!((w.shard.flows.len(), w.shard.counters().answers_limited), (0, 1990));
}

/// A proof stands for the proof that a rule asks for, and for nothing else: where the rules say nothing it opens nothing.
#[test]
fn a_proof_opens_what_waits_for_one_and_nothing_that_no_rule_names() {
    use types::{ActiveGrant, SimFacts};
    let mut w = world();
    let until = Utc(w.now.utc.0 + 60_000);
    let of = |app: &str, proof| ActiveGrant {
        id: "p".to_owned(),
        app: app.parse().unwrap(),
        from: Utc(0),
        until,
        proof,
    };
    let learn = |w: &mut World, grants: Vec<ActiveGrant>| {
        let facts = Arc::new(SimFacts { grants, ..SimFacts::default() });
        w.tell(ShardCommand::Facts { imsi: imsi(5), facts });
    };
    let to_scada = tcp(LAPTOP, 1, SCADA, 443, SYN);
    let mut p = policy(3, &[]);
    p.apps[2].services.push("tcp/443".parse().unwrap());
    p.rules[0].verdict = Verdict::StepUp;
    w.tell(ShardCommand::Policy(Arc::new(compile(&p).unwrap())));
    learn(&mut w, vec![of("files", true), of("scada", true)]);
    assert!(matches!(w.up(5, &tcp(LAPTOP, 7, FILES, 443, SYN))[..], [Out::N6(_)]));
    w.up_dropped(5, &to_scada, Reason::NoRule);
    // The rule goes, and what was proved for it opens nothing any more.
    w.tell(compiled(4, &["files"]));
    w.up_dropped(5, &tcp(LAPTOP, 7, FILES, 443, ACK), Reason::NoRule);
    w.tell(ShardCommand::Policy(Arc::new(compile(&Policy { generation: 5, ..p }).unwrap())));
    learn(&mut w, vec![of("scada", false)]);
    assert!(matches!(w.up(5, &to_scada)[..], [Out::N6(_)]), "a grant does");
}
