//! Before any rule: addresses that are ours, sources that are not the sender's, radios that are not admitted, datagrams and
//! fragments that are none.

use super::*;

/// D14 and R77: our own addresses and special ones, before any rule, in any wrapping.
#[test]
fn nothing_of_ours_is_reached() {
    let mut w = World::new();
    // R77: PFCP, GTP-C, Diameter, NGAP, an admin port, the TUN address; as UDP, TCP and ping.
    for port in [8805, 2123, 3868, 38412, 2152, 8443] {
        w.up_dropped(5, &udp(LAPTOP, 1, OURS, port, b"\x20\x05"), Reason::OwnAddress);
        w.up_dropped(5, &tcp(LAPTOP, 1, "192.168.1.1", port, SYN), Reason::OwnAddress);
    }
    w.up_dropped(5, &ping(LAPTOP, OURS, true, 1), Reason::OwnAddress);
    // GTP in GTP: an inner packet to our GTP-U address with another packet inside.
    let nested = gtpu::encode_uplink(teid(7).value(), 1, &udp(PLC, 1, FILES, 53, b"")).unwrap();
    w.up_dropped(5, &udp(LAPTOP, 2152, OURS, 2152, &nested), Reason::OwnAddress);
    // First and later fragments.
    let u = udp_payload(1, 8805, &[0; 32]);
    w.up_dropped(5, &ip(LAPTOP, OURS, 17, 0x2000, 9, &u), Reason::OwnAddress);
    w.up_dropped(5, &ip(LAPTOP, OURS, 17, 5, 9, &u), Reason::OwnAddress);
    for special in
        ["127.0.0.1", "169.254.1.1", "224.0.0.1", "239.1.1.1", "255.255.255.255", "0.0.0.0", "240.0.0.1"]
    {
        w.up_dropped(5, &udp(LAPTOP, 1, special, 8805, b""), Reason::SpecialAddress);
    }
    // An address that becomes ours ends the flows to it.
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.tell(ShardCommand::OwnAddresses(vec![FILES.parse().unwrap()]));
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::OwnAddress);
    let r = w.records();
    assert!(r.iter().any(|r| r.verdict == Verdict::Allow && r.reason == Reason::OwnAddress));
}

#[test]
fn spoofed_sources_are_dropped_on_both_sides() {
    let mut w = World::new();
    for claimed in [PLC, FILES, "10.20.0.6"] {
        w.up_dropped(5, &tcp(claimed, 1, FILES, 443, SYN), Reason::SpoofedSource);
    }
    // From N6 with a UE's address; with a special one.
    w.down_dropped(&tcp(LAPTOP, 1, PLC, 80, SYN), Reason::SpoofedSource);
    w.down_dropped(&udp("127.0.0.1", 1, LAPTOP, 80, b""), Reason::SpecialAddress);
    w.down_dropped(&udp("224.0.0.5", 1, LAPTOP, 80, b""), Reason::SpecialAddress);
}

/// R79, R81, R83: chains, versions, stumps; the others' traffic goes on.
#[test]
fn malformed_datagrams_are_counted_and_change_nothing() {
    let mut w = World::new();
    let good = gtpu::encode_uplink(teid(5).value(), 1, &tcp(LAPTOP, 1, FILES, 443, SYN)).unwrap();
    for (at, value) in
        [(0, 0x14), (0, 0x24), (3, 1), (12, 0), (12, 255), (15, 0x85), (15, 0xff), (13, 0x00), (13, 0x20)]
    {
        let mut d = good.clone();
        d[at] = value;
        assert_eq!(
            w.datagram_from(GNB, &d).iter().filter(|o| matches!(o, Out::N6(_) | Out::N3(..))).count(),
            0
        );
    }
    assert_eq!(w.dropped(Reason::MalformedGtpu), 9);
    for v in [0x05, 0x55, 0xf5] {
        w.up_dropped(5, &[&[v], &tcp(LAPTOP, 1, FILES, 443, SYN)[1..]].concat(), Reason::MalformedInner);
    }
    for stump in [&[][..], &[0x45], &[0x45, 0, 0, 20]] {
        w.up_dropped(5, stump, Reason::MalformedInner);
    }
    let mut six = [0; 40];
    for next in [0, 59, 17] {
        (six[0], six[6]) = (0x60, next);
        w.up_dropped(5, &six, Reason::WrongIpVersion);
    }
    assert_eq!(w.datagram_from(GNB, &good).len(), 1);
}

/// R85: the right TEID from the wrong outer peer; the wrong TEID from the right one.
#[test]
fn only_admitted_radios_are_heard() {
    let mut w = World::new();
    let good = gtpu::encode_uplink(teid(5).value(), 1, &tcp(LAPTOP, 1, FILES, 443, SYN)).unwrap();
    for from in ["172.16.0.3:2152", "10.20.0.5:2152", "[2001:db8::1]:2152"] {
        assert_eq!(w.datagram_from(from, &good), []);
    }
    assert_eq!(w.dropped(Reason::UnknownPeer), 3);
    // An unknown TEID: a stranger learns nothing, a radio is told. A wrong generation tag is unknown, too.
    for t in [teid(5).value() ^ 1, teid(5).value() ^ (1 << 30), 0, 0xffff_ffff] {
        let d = gtpu::encode_uplink(t, 1, &tcp(LAPTOP, 1, FILES, 443, SYN)).unwrap();
        assert_eq!(w.datagram_from("172.16.0.3:2152", &d), []);
        let out = w.datagram_from("172.16.0.2:9999", &d);
        let [Out::Message(peer, m)] = out.as_slice() else { panic!("{out:?}") };
        let p = gtpu::Packet::parse(m).unwrap();
        assert_eq!((*peer, p.error_indication().unwrap()), (gnb(), (t, OURS.parse().unwrap())));
    }
    assert_eq!(w.dropped(Reason::UnknownTeid), 8);
    let mut echo = [0; gtpu::SMALL_MESSAGE];
    let n = gtpu::encode_echo_request(&mut echo, 77);
    assert_eq!(w.datagram_from("172.16.0.3:2152", &echo[..n]), []);
    let out = w.datagram_from("172.16.0.2:4444", &echo[..n]);
    assert!(matches!(out.as_slice(), [Out::Message(p, m)] if p.port() == 4444 && m[9] == 77), "{out:?}");
}

/// R85 again: of two admitted radios only the one that serves the UE counts, where that is asked for.
#[test]
fn a_ue_is_heard_through_its_own_radio() {
    let other = "172.16.0.3:2152";
    let packet = || tcp(LAPTOP, 1, FILES, 443, SYN);
    let datagram = gtpu::encode_uplink(teid(5).value(), 1, &packet()).unwrap();
    for peer_grace_ms in [None, Some(500)] {
        let mut w = World::with(Limits { peer_grace_ms, ..Limits::default() });
        w.tell(ShardCommand::Radios(vec!["172.16.0.0/24".parse().unwrap()]));
        let bound = peer_grace_ms.is_some();
        assert_eq!(w.datagram_from(other, &datagram).len(), usize::from(!bound));
        assert_eq!(w.dropped(Reason::WrongPeer), u64::from(bound));
        assert_eq!(w.datagram_from(GNB, &datagram), [Out::N6(packet())]);
        // Handover: the new radio at once, the former one for a while.
        let mut s = spec(5, LAPTOP);
        let tunnel = Tunnel { peer: "172.16.0.3".parse().unwrap(), teid: Teid::new(1).unwrap() };
        s.paths.downlink = Downlink::Forward { tunnel, qfi: Some(1) };
        w.tell(ShardCommand::Update { spec: s.clone(), end_marker: false });
        // What does not move the session gives nobody more time.
        w.now = w.now.plus_ms(499);
        w.tell(ShardCommand::Update { spec: s.clone(), end_marker: false });
        let heard =
            |w: &mut World, from| w.datagram_from(from, &datagram).iter().any(|o| matches!(o, Out::N6(_)));
        assert!(heard(&mut w, other) && heard(&mut w, GNB));
        w.now = w.now.plus_ms(1);
        assert!(heard(&mut w, other));
        assert_eq!(heard(&mut w, GNB), !bound);
        // An idle UE comes back through any admitted radio, its first packet maybe before its tunnel.
        s.paths.downlink = Downlink::NoTunnel;
        w.tell(ShardCommand::Update { spec: s, end_marker: false });
        assert!(heard(&mut w, other) && heard(&mut w, GNB) && !heard(&mut w, "172.17.0.3:2152"));
        w.tell(ShardCommand::Update { spec: spec(5, LAPTOP), end_marker: false });
        w.now = w.now.plus_ms(500);
        assert!(heard(&mut w, GNB));
        assert_eq!(heard(&mut w, other), !bound);
    }
}

/// R87: path messages from strangers for a live tunnel.
#[test]
fn strangers_cannot_tear_a_path_down() {
    let mut w = World::new();
    let mut b = [0; gtpu::SMALL_MESSAGE];
    let indication = gtpu::encode_error_indication(&mut b, 0x9005, OURS.parse().unwrap());
    assert_eq!(w.datagram_from("172.16.0.66:2152", &b[..indication]), []);
    assert_eq!((w.shard.poll_event(), w.dropped(Reason::UnknownPeer)), (None, 1));
    // The session's own radio: said to the control plane, with the outer source, whatever the message names.
    w.datagram_from(GNB, &b[..indication]);
    let event =
        ShardEvent::ErrorIndication { peer: "172.16.0.2".parse().unwrap(), teid: Teid::new(0x9005).unwrap() };
    assert_eq!(w.shard.poll_event(), Some(event));
    let marker = gtpu::encode_end_marker(&mut b, teid(5).value());
    for from in ["172.16.0.66:2152", GNB] {
        assert_eq!(w.datagram_from(from, &b[..marker]), []);
    }
    let supported = gtpu::encode_supported_extension_headers(&mut b, 1);
    for from in ["172.16.0.66:2152", GNB] {
        assert_eq!(w.datagram_from(from, &b[..supported]), []);
    }
    assert_eq!(w.dropped(Reason::UnknownPeer), 3);
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)).len(), 1);
    // Indications are limited, and waiting events are bounded.
    let indication = gtpu::encode_error_indication(&mut b, 0x9005, OURS.parse().unwrap());
    for _ in 0..3000 {
        w.datagram_from(GNB, &b[..indication]);
    }
    assert!(std::iter::from_fn(|| w.shard.poll_event()).count() <= 1024);
}

/// R89: tiny first, overlapping, and late first fragments.
#[test]
fn fragments_follow_their_first() {
    let mut w = World::new();
    let first = ip(LAPTOP, FILES, 17, 0x2000, 77, &udp_payload(5, 53, &[1; 32])[..40]);
    let second = |begin: u16, more: u16, id| ip(LAPTOP, FILES, 17, more | (begin / 8), id, &[2; 16]);
    let mut long = first.clone();
    long[24..26].copy_from_slice(&80u16.to_be_bytes());
    // Late first: what comes before it is refused.
    w.up_dropped(5, &second(40, 0, 77), Reason::Fragment);
    assert_eq!(w.up(5, &long).len(), 1);
    // Overlapping the first, wholly and in part; a second first; another packet's.
    w.up_dropped(5, &second(8, 0x2000, 77), Reason::Fragment);
    w.up_dropped(5, &second(32, 0x2000, 77), Reason::Fragment);
    w.up_dropped(5, &long, Reason::Fragment);
    w.up_dropped(5, &second(40, 0, 78), Reason::Fragment);
    // In order: passes; again: refused; the last one ends it.
    assert_eq!(w.up(5, &second(40, 0x2000, 77)).len(), 1);
    w.up_dropped(5, &second(40, 0x2000, 77), Reason::Fragment);
    assert_eq!(w.up(5, &second(56, 0, 77)).len(), 1);
    w.up_dropped(5, &second(72, 0, 77), Reason::Fragment);
    // Tiny first fragments: no ports, no passage.
    for n in [8, 16] {
        w.up_dropped(
            5,
            &ip(LAPTOP, FILES, 6, 0x2000, 80, &tcp_payload(1, 443, SYN, b"")[..n]),
            Reason::Fragment,
        );
    }
    // Fragments of a denied packet: none passes.
    w.up_dropped(5, &ip(LAPTOP, FILES, 17, 0x2000, 90, &udp_payload(5, 99, &[0; 32])), Reason::UnknownApp);
    w.up_dropped(5, &second(40, 0, 90), Reason::Fragment);
    // After the lifetime a straggler comes too late.
    let mut late = long.clone();
    late[4..6].copy_from_slice(&99u16.to_be_bytes());
    assert_eq!(w.up(5, &late).len(), 1);
    w.wait(5_000);
    w.up_dropped(5, &second(40, 0, 99), Reason::Fragment);
}

#[test]
fn fragmented_packets_under_way_are_bounded() {
    let mut w = World::with(Limits { fragments: 3, ..Limits::default() });
    let first = |id| ip(LAPTOP, FILES, 17, 0x2000, id, &udp_payload(5, 53, &[1; 32]));
    for id in 1..=3 {
        assert_eq!(w.up(5, &first(id)).len(), 1);
    }
    w.up_dropped(5, &first(4), Reason::Fragment);
    // Whole packets are none of them, and time makes room.
    assert_eq!(w.up(5, &udp(LAPTOP, 5, FILES, 53, b"")).len(), 1);
    w.wait(5_000);
    assert_eq!(w.up(5, &first(4)).len(), 1);
}
