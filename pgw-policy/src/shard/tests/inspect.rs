//! Stories of apps with names: the beginning of a stream is held, read, and decides.

use super::*;
use crate::inner::{PSH, URG};
use crate::stream::segment::Segment;
use crate::stream::tests::{hello, server_hello};

const WIKI: &str = "192.168.1.40";
const NAME: &str = "wiki.example.jp";
/// Where the client's and the server's streams begin.
const C: u32 = u32::MAX - 50;
const S: u32 = 7_000;
const PORT: u16 = 40_000;

fn named(generation: u64, names: &[&str]) -> Policy {
    let mut p = policy(generation, &[]);
    let (mut app, mut rule) = (p.apps[0].clone(), p.rules[0].clone());
    app.name = "wiki".parse().unwrap();
    app.prefixes = vec![format!("{WIKI}/32").parse().unwrap()];
    app.services = ["tcp/443", "udp/443", "icmp"].iter().map(|s| s.parse().unwrap()).collect();
    app.names = names.iter().map(|n| n.parse().unwrap()).collect();
    (rule.name, rule.app) = ("wiki".parse().unwrap(), app.name.clone());
    p.apps.push(app);
    p.rules.push(rule);
    p
}

fn world_with(limits: Limits) -> World {
    let mut w = World::with(limits);
    adopt(&mut w, 2, &[NAME, "*.apps.example.jp"]);
    w
}

fn world() -> World {
    world_with(Limits::default())
}

fn adopt(w: &mut World, generation: u64, names: &[&str]) {
    w.tell(ShardCommand::Policy(Arc::new(compile(&named(generation, names)).unwrap())));
}

fn segment(up: bool, port: u16, seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let (src, sp, dst, dp) = if up { (LAPTOP, port, WIKI, 443) } else { (WIKI, 443, LAPTOP, port) };
    let mut t = tcp_payload(sp, dp, flags, data);
    t[4..8].copy_from_slice(&seq.to_be_bytes());
    t[8..12].copy_from_slice(&ack.to_be_bytes());
    ip(src, dst, 6, 0x4000, 1, &t)
}

fn client(seq: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    segment(true, PORT, C.wrapping_add(seq), S + 1, flags, data)
}

fn server(seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    segment(false, PORT, S + seq, C.wrapping_add(ack), flags, data)
}

/// The client and the server shake hands; both are let.
fn connect(w: &mut World) {
    assert_eq!(w.up(5, &client(0, SYN, b"")).len(), 1);
    assert_eq!(w.down(&server(0, 1, SYN | ACK, b"")).len(), 1);
    assert_eq!(w.up(5, &client(1, ACK, b"")).len(), 1);
}

/// The client's octets among what came out, as the server puts them together.
fn stream_of(out: &[Out]) -> Vec<u8> {
    stream_from(1, out)
}

/// The same, from this octet on.
fn stream_from(seq: u32, out: &[Out]) -> Vec<u8> {
    let mut next = C.wrapping_add(seq);
    let mut stream = Vec::new();
    for o in out {
        let Out::N6(p) = o else { panic!("{o:?}") };
        let s = Segment::parse(&p[20..]).unwrap();
        assert_eq!((s.seq, s.flags, s.ack), (next, PSH | ACK, S + 1));
        assert_eq!(checksum(&[&p[..20]]), 0);
        let pseudo = [&p[12..20], &[0, 6][..], &((p.len() - 20) as u16).to_be_bytes()].concat();
        assert_eq!(checksum(&[&pseudo, &p[20..]]), 0);
        next = next.wrapping_add(s.payload.len() as u32);
        stream.extend_from_slice(s.payload);
    }
    stream
}

/// Sends the client's stream in pieces of this size; what comes out at the end.
fn speak(w: &mut World, all: &[u8], of: usize) -> Vec<Out> {
    let mut at = 1;
    for piece in all.chunks(of) {
        let out = w.up(5, &client(at, PSH | ACK, piece));
        at += piece.len() as u32;
        if !out.is_empty() {
            assert_eq!(at as usize, all.len() + 1, "before the last piece nothing goes on");
            return out;
        }
    }
    Vec::new()
}

/// Both sides are reset, by segments that both take.
fn assert_reset(w: &World, out: &[Out], at: u32) {
    let [Out::N3(_, _, to_ue), Out::N6(to_server)] = out else { panic!("{out:?}") };
    let ue = Segment::parse(&to_ue[20..]).unwrap();
    assert_eq!((ue.flags & RST, ue.seq), (RST, S + 1));
    let server = Segment::parse(&to_server[20..]).unwrap();
    assert_eq!((server.flags, server.seq), (RST | ACK, C.wrapping_add(at)));
    let flows = w.shard.flows.len();
    assert_eq!((flows, w.shard.inspections_held()), (0, (0, 0)));
}

#[test]
fn the_right_name_passes_whatever_it_is_cut_into() {
    let all = hello(NAME, 100, b"");
    for of in [1, 2, 7, 100, 5_000] {
        let mut w = world();
        connect(&mut w);
        let out = speak(&mut w, &all, of);
        assert_eq!(stream_of(&out), all, "{of}");
        // Nothing is sent in more or larger packets than TCP would: the server said nothing of what it takes.
        assert_eq!(out.len(), all.len().div_ceil(536));
        // The server confirms: from here on the flow costs nothing, and passes both ways as any.
        let end = 1 + all.len() as u32;
        assert_eq!(w.down(&server(1, end, ACK, b"hello")).len(), 1);
        assert_eq!(w.shard.inspections_held(), (0, 0));
        for n in 0..100 {
            let bulk = client(end + n * 1000, ACK, &[7; 1000]);
            assert_eq!(w.up(5, &bulk), [Out::N6(bulk)]);
        }
        assert_eq!(w.shard.counters().names_read, 1);
        w.end(5);
        let r = w.records();
        let [r] = r.as_slice() else { panic!("{r:?}") };
        let name = r.name.as_ref().map(|n| n.as_str());
        assert_eq!((r.verdict, r.reason, name), (Verdict::Allow, Reason::SessionEnded, Some(NAME)));
        assert_eq!(r.packets_up, 2 + all.len().div_ceil(of) as u64 + 100);
    }
}

#[test]
fn segments_out_of_order_twice_and_overlapping_pass_as_one_stream() {
    let all = hello("files.apps.example.jp", 999, b"");
    let mut w = world();
    connect(&mut w);
    let piece = |from: usize, to: usize| client(1 + from as u32, ACK, &all[from..to]);
    for (from, to) in [(200, all.len()), (50, 120), (50, 120), (0, 10), (100, 210), (5, 12)] {
        assert_eq!(w.up(5, &piece(from, to)), [], "{from}..{to}");
    }
    assert_eq!(stream_of(&w.up(5, &piece(10, 60))), all);
    // The client did not hear of it and sends again; so it may, but only the same.
    assert_eq!(w.up(5, &piece(0, 200)).len(), 1);
    let mut other = piece(0, 200);
    other[150] ^= 1;
    w.up_dropped(5, &other, Reason::NotInspected);
    // Once the server has confirmed and answered, it takes nothing else in that place.
    w.down(&server(1, 1 + all.len() as u32, ACK, b""));
    w.up_dropped(5, &other, Reason::NotInspected);
    w.down(&server(1, 1 + all.len() as u32, ACK, b"hello"));
    assert_eq!(w.up(5, &other).len(), 1);
}

/// RFC 8446 §4.1.4: a server may ask for another hello, once; it names the same server.
#[test]
fn a_second_hello_is_read_as_the_first_was() {
    let (first, asked) = (hello(NAME, 999, b""), server_hello(true, 999));
    let end = 1 + first.len() as u32;
    let second = |name| [&[20, 3, 3, 0, 1, 1][..], &hello(name, 100, b"")].concat();
    let retried = || {
        let mut w = world();
        connect(&mut w);
        assert_eq!(speak(&mut w, &first, 5_000).len(), 1);
        // A second hello before it was asked for waits, and is forgotten.
        assert_eq!(w.up(5, &client(end, ACK, &second("evil.example.jp"))), []);
        assert_eq!(w.down(&server(1, end, ACK, &asked[..20])).len(), 1);
        assert_eq!(w.up(5, &client(end, ACK, &second("evil.example.jp"))), []);
        assert_eq!(w.down(&server(21, end, ACK, &asked[20..])).len(), 1);
        w
    };
    let (mut w, all) = (retried(), second(NAME));
    assert_eq!(w.up(5, &client(end, ACK, &all[..50])), []);
    assert_eq!(w.down(&server(1 + asked.len() as u32, end, ACK, &[20, 3, 3, 0, 1, 1])).len(), 1);
    let out = w.up(5, &client(end + 50, ACK, &all[50..]));
    assert_eq!(stream_from(end, &out), all);
    let mut other = client(end, ACK, &all);
    *other.last_mut().unwrap() ^= 1;
    w.up_dropped(5, &other, Reason::NotInspected);
    let behind = end + all.len() as u32;
    assert_eq!(w.up(5, &client(behind, ACK, b"finished")).len(), 1);
    assert_eq!(w.down(&server(90, behind, ACK, b"hello")).len(), 1);
    assert_eq!((w.shard.inspections_held(), w.shard.counters().names_read), ((0, 0), 1));

    // One of the app's other servers is not the one that was named.
    for (name, reason) in [
        ("evil.example.jp", Reason::OtherServerName),
        ("files.apps.example.jp", Reason::OtherServerName),
        ("", Reason::NoServerName),
    ] {
        let mut w = retried();
        let out = w.up(5, &client(end, ACK, &second(name)));
        assert_reset(&w, &out, end);
        assert_eq!(w.dropped(reason), 1, "{name}");
        assert_eq!(w.records()[0].verdict, Verdict::Reject);
    }
    let mut w = retried();
    let out = w.up(5, &client(end, ACK, b"SSH-2.0-x"));
    assert_reset(&w, &out, end);
}

#[test]
fn early_data_waits_for_the_servers_answer_and_a_lost_hello_goes_again() {
    let (first, early) = (hello(NAME, 999, b""), [23, 3, 3, 0, 4, 1, 2, 3, 4]);
    let (end, both) = (1 + first.len() as u32, [&first[..], &early].concat());
    let mut w = world();
    connect(&mut w);
    assert_eq!(stream_of(&w.up(5, &client(1, ACK, &both))), first);
    assert_eq!(w.up(5, &client(end, ACK, &early)), []);
    assert_eq!(stream_of(&w.up(5, &client(1, ACK, &both))), first, "it may have been lost");
    assert_eq!(w.down(&server(1, end, ACK, &server_hello(false, 999))).len(), 1);
    assert_eq!(w.up(5, &client(end, ACK, &early)).len(), 1);
    assert_eq!(w.shard.inspections_held(), (0, 0));
}

#[test]
fn what_does_not_name_one_of_the_apps_servers_is_reset_on_both_sides() {
    let evil = hello("evil.example.jp", 999, b"");
    let cases: [(&[u8], Reason, Option<&str>); 4] = [
        (&evil, Reason::OtherServerName, Some("evil.example.jp")),
        (&hello("", 999, b""), Reason::NoServerName, None),
        (b"GET / HTTP/1.1\r\nHost: wiki.example.jp\r\n\r\n", Reason::NotTls, None),
        (&hello("wiki.example.jp", 999, &[22, 3, 1, 0])[..7], Reason::NotTls, None),
    ];
    for (octets, reason, name) in cases {
        let mut w = world();
        connect(&mut w);
        let before = w.dropped(reason);
        // The last case is a hello that the client ends in its middle.
        let flags = if octets.len() == 7 { FIN | ACK } else { ACK };
        let out = w.up(5, &client(1, flags, octets));
        assert_reset(&w, &out, 1);
        assert_eq!(w.dropped(reason), before + 1);
        let r = w.records();
        let [r] = r.as_slice() else { panic!("{r:?}") };
        let seen = r.name.as_ref().map(|n| n.as_str());
        assert_eq!((r.verdict, r.reason, seen), (Verdict::Reject, reason, name));
        assert_eq!(r.app.as_ref().unwrap().as_str(), "wiki");
        // What comes behind it meets no flow, and is told so.
        let again = w.up(5, &client(1, ACK, octets));
        assert!(matches!(&again[..], [Out::N3(..)]), "{again:?}");
        assert_eq!(w.dropped(Reason::NotInspected), 1);
    }
}

#[test]
fn before_the_decision_no_octet_goes_either_way() {
    let mut w = world();
    // A first packet with octets (TCP fast open), or that is none.
    w.up_dropped(5, &client(0, SYN, b"hello"), Reason::NotInspected);
    assert_eq!(w.up(5, &client(0, ACK, b"")).len(), 1, "a reset for the UE");
    assert_eq!(w.up(5, &client(0, SYN | ACK, b"")).len(), 1, "the same");
    assert_eq!(w.shard.flows.len(), 0);
    // Octets before the server has answered, and a server that would answer with some.
    assert_eq!(w.up(5, &client(0, SYN, b"")).len(), 1);
    assert_eq!(w.up(5, &client(0, SYN, b"")).len(), 1, "sent again");
    w.up_dropped(5, &client(1, ACK, b"x"), Reason::NotInspected);
    w.up_dropped(5, &client(0, SYN, b"x"), Reason::NotInspected);
    assert_eq!(w.down(&server(0, 1, SYN | ACK, b"")).len(), 1);
    for (flags, octets) in [(RST, &b"x"[..]), (SYN | ACK, b""), (URG | ACK, b"x"), (SYN, b"x")] {
        w.up_dropped(5, &client(1, flags, octets), Reason::NotInspected);
    }
    w.up_dropped(5, &icmp_error(LAPTOP, WIKI, &server(0, 1, ACK, b"")), Reason::NotInspected);
    w.down_dropped(&segment(false, PORT, 1, 0, SYN, b""), Reason::NotInspected);
    // An answer that begins the stream elsewhere counts as long as nothing was said, and not afterwards.
    assert_eq!(w.down(&server(0, 90, SYN | ACK, b"")).len(), 1);
    assert_eq!(w.down(&server(0, 1, SYN | ACK, b"")).len(), 1);
    assert_eq!(w.up(5, &client(1, ACK, &hello(NAME, 999, b"")[..50])), []);
    w.down_dropped(&server(0, 90, SYN | ACK, b""), Reason::NotInspected);
    assert_eq!(w.down(&server(0, 1, SYN | ACK, b"")).len(), 1);
    assert_eq!(w.up(5, &client(51, ACK, &hello(NAME, 999, b"")[50..])).len(), 1);
    // A server that speaks first speaks no TLS.
    let mut w = world();
    connect(&mut w);
    let out = w.down(&server(1, 1, ACK, b"220 mail.example.jp ESMTP"));
    assert_reset(&w, &out, 1);
    assert_eq!(w.records()[0].reason, Reason::NotTls);
}

#[test]
fn the_next_connection_of_the_same_ports_is_read_anew() {
    let all = hello(NAME, 999, b"");
    let mut w = world();
    connect(&mut w);
    assert_eq!(speak(&mut w, &all, 5_000).len(), 1);
    w.down(&server(1, 1 + all.len() as u32, ACK, b""));
    // The old one was never closed as far as we saw.
    connect(&mut w);
    let out = w.up(5, &client(1, ACK, b"SSH-2.0-x\r\n"));
    assert_reset(&w, &out, 1);
    let reasons: Vec<Reason> = w.records().iter().map(|r| r.reason).collect();
    assert_eq!(reasons, [Reason::Closed, Reason::NotTls]);
}

#[test]
fn a_stream_that_takes_too_long_is_ended_and_rooms_are_bounded() {
    let mut w = world();
    connect(&mut w);
    assert_eq!(w.up(5, &client(1, ACK, &[22])), []);
    w.now = w.now.plus_ms(29_000);
    w.wait(0);
    assert_eq!(w.shard.flows.len(), 1);
    w.now = w.now.plus_ms(1_000);
    w.batch.clear();
    w.shard.on_tick(&mut w.batch, w.now);
    assert_eq!(w.batch.outputs().len(), 2, "a reset to both");
    assert_eq!((w.shard.flows.len(), w.dropped(Reason::InspectTimeout)), (0, 1));

    // Of one SIM, and octets of all.
    let mut w = world_with(Limits { streams_per_sim: 2, stream_octets: 3_000, ..Limits::default() });
    for port in 1..=2 {
        assert_eq!(w.up(5, &segment(true, port, 0, 0, SYN, b"")).len(), 1);
    }
    assert_eq!(w.up(5, &segment(true, 3, 0, 0, SYN, b"")).len(), 1, "a reset");
    assert_eq!(w.dropped(Reason::InspectFull), 1);
    w.down(&segment(false, 1, 0, 1, SYN | ACK, b""));
    let long = [&[22, 3, 1, 0x3f, 0, 1, 0, 0x3e, 0][..], &[0; 1_300]].concat();
    assert_eq!(w.up(5, &segment(true, 1, 1, 1, ACK, &long)), []);
    assert_eq!(w.up(5, &segment(true, 1, 1 + 1_309, 1, ACK, &[0; 1_300])), []);
    assert_eq!(w.up(5, &segment(true, 1, 1 + 2_609, 1, ACK, &[0; 1_300])).len(), 2);
    assert_eq!((w.dropped(Reason::InspectFull), w.shard.inspections_held().0), (2, 1));
    w.end(5);
    assert_eq!(w.shard.inspections_held(), (0, 0));
    let unread = w.records().into_iter().find(|r| r.reason == Reason::SessionEnded).unwrap();
    assert_eq!(unread.verdict, Verdict::Deny, "of what was never read nothing was allowed");
}

#[test]
fn a_cut_empties_what_is_held_before_it_is_answered() {
    let all = hello(NAME, 999, b"");
    let mut w = world();
    connect(&mut w);
    assert_eq!(w.up(5, &client(1, ACK, &all[..100])), []);
    assert!(w.shard.inspections_held().1 > 0);
    w.cut(5);
    assert_eq!(w.shard.inspections_held(), (0, 0));
    w.up_dropped(5, &client(101, ACK, &all[100..]), Reason::Banned);
    w.tell(ShardCommand::Uncut { imsi: imsi(5) });
    // A reset to the UE, nothing to the server.
    assert!(matches!(&w.up(5, &client(101, ACK, &all[100..]))[..], [Out::N3(..)]));
}

#[test]
fn a_new_policy_asks_again_for_the_name() {
    let all = hello(NAME, 999, b"");
    let mut w = world();
    connect(&mut w);
    speak(&mut w, &all, 5_000);
    adopt(&mut w, 3, &["*.example.jp"]);
    assert_eq!(w.shard.flows.len(), 1, "still one of them");
    adopt(&mut w, 4, &["other.example.jp"]);
    assert_eq!(w.shard.flows.len(), 0);
    assert_eq!(w.records()[0].reason, Reason::PolicyChanged);
    // A flow that nobody read does not become one that was.
    adopt(&mut w, 5, &[]);
    connect(&mut w);
    adopt(&mut w, 6, &[NAME]);
    assert_eq!(w.shard.flows.len(), 0);
    // And where names fall away, what is held comes again by TCP.
    connect(&mut w);
    assert_eq!(w.up(5, &client(1, ACK, &all[..100])), []);
    adopt(&mut w, 7, &[]);
    assert_eq!(w.up(5, &client(1, ACK, &all[..100])).len(), 1);
    assert_eq!(w.shard.inspections_held(), (0, 0));
}

#[test]
fn quic_and_ping_are_told_apart_from_no_rule() {
    let mut w = world();
    w.up_dropped(5, &udp(LAPTOP, 9, WIKI, 443, b"quic"), Reason::NamesNeedTls);
    w.up_dropped(5, &ping(LAPTOP, WIKI, true, 1), Reason::NamesNeedTls);
    let r = w.records();
    assert_eq!((r[0].reason, r[0].rule.as_ref().unwrap().as_str()), (Reason::NamesNeedTls, "wiki"));
}

#[test]
fn several_paths_are_not_offered() {
    let mut w = world();
    let options = [2, 4, 5, 0xb4, 30, 12, 1, 0x81, 1, 2, 3, 4, 5, 6, 7, 8];
    let mut t = tcp_payload(PORT, 443, SYN, &options);
    t[12] = 0x90;
    let mut syn = ip(LAPTOP, WIKI, 6, 0x4000, 1, &t);
    let pseudo = [&syn[12..20], &[0, 6][..], &(t.len() as u16).to_be_bytes()].concat();
    let sum = checksum(&[&pseudo, &syn[20..]]);
    syn[36..38].copy_from_slice(&sum.to_be_bytes());
    let out = w.up(5, &syn);
    let [Out::N6(p)] = &out[..] else { panic!("{out:?}") };
    // The offer of a segment size is lowered as ever, the other is gone, and the checksum holds.
    assert_eq!((&p[40..42], &p[44..56]), (&[2, 4][..], &[1; 12][..]));
    assert_eq!(checksum(&[&pseudo, &p[20..]]), 0);
    // To an app without names it goes as it came.
    let mut plain = syn.clone();
    plain[16..20].copy_from_slice(&FILES.parse::<Ipv4Addr>().unwrap().octets());
    let out = w.up(5, &plain);
    let [Out::N6(p)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(p[44], 30);
}
