//! Stories of what a session has room for: its rates, its MTU, the segments that TCP offers.

use super::*;

/// 8 kbit/s each way: 1 000 octets a second, and a bucket of 65 536.
fn slow() -> Box<SessionSpec> {
    let mut s = spec(5, LAPTOP);
    s.paths.rates =
        [RateOf::AllUp, RateOf::Down].into_iter().map(|of| Rate { qer: 1, kbps: 8, of }).collect();
    s
}

fn big(src: &str, sp: u16, dst: &str, dp: u16, len: usize, flags: u16) -> Vec<u8> {
    ip(src, dst, 17, flags, 1, &udp_payload(sp, dp, &vec![0; len - 28]))
}

#[test]
fn what_is_above_the_rate_is_dropped_counted_and_written_down() {
    let mut w = World::new();
    w.tell(ShardCommand::Update { spec: slow(), end_marker: false });
    let up = big(LAPTOP, 9, FILES, 53, 1_024, 0);
    for _ in 0..64 {
        assert_eq!(w.up(5, &up).len(), 1);
    }
    w.up_dropped(5, &up, Reason::RateExceeded);
    // What the policy denies costs nothing, and is denied by the policy.
    w.up_dropped(5, &big(LAPTOP, 9, FILES, 54, 1_024, 0), Reason::UnknownApp);
    // The other direction and the other SIM have rates of their own, or none.
    assert_eq!(w.down(&udp(FILES, 53, LAPTOP, 9, b"x")).len(), 1);
    assert_eq!(w.up(7, &big(PLC, 9, FILES, 53, 1_024, 0)).len(), 1);
    let r = w.records();
    let of = |reason| r.iter().filter(|r| r.reason == reason).collect::<Vec<_>>();
    let [limited] = of(Reason::RateExceeded)[..] else { panic!("{r:?}") };
    let names = (limited.app.as_ref().unwrap().as_str(), limited.rule.as_ref().unwrap().as_str());
    assert_eq!((limited.verdict, names, limited.packets_up), (Verdict::Deny, ("files", "files"), 1));
    w.now = w.now.plus_ms(1_024);
    assert_eq!(w.up(5, &up).len(), 1, "a kilobyte more has been earned");
    w.up_dropped(5, &up, Reason::RateExceeded);
    // The flow counts what passed.
    w.end(5);
    let r = w.records();
    let ended = r.iter().find(|r| r.reason == Reason::SessionEnded).unwrap();
    assert_eq!((ended.packets_up, ended.bytes_up), (65, 65 * 1_024));
    // The new session begins with a full bucket.
    w.tell(ShardCommand::Insert(slow()));
    assert_eq!(w.up(5, &up).len(), 1);
}

#[test]
fn a_flow_whose_first_packet_has_no_room_is_not_opened() {
    let mut w = World::new();
    let mut none = slow();
    none.paths.rates.iter_mut().for_each(|r| r.kbps = 0);
    w.tell(ShardCommand::Update { spec: none, end_marker: false });
    for port in 1..100 {
        w.up_dropped(5, &udp(LAPTOP, port, FILES, 53, b""), Reason::RateExceeded);
    }
    let ShardReply::Status(s) = w.tell(ShardCommand::Status) else { panic!() };
    assert_eq!(s.flows, 0);
    w.wait(60_000);
    assert!(w.records().iter().all(|r| r.verdict == Verdict::Deny));
    // Nothing of them counts against the SIM.
    w.tell(ShardCommand::Update { spec: spec(5, LAPTOP), end_marker: false });
    assert_eq!(w.up(5, &udp(LAPTOP, 1, FILES, 53, b"")).len(), 1);
    assert_eq!(w.shard.sim(w.shard.by_imsi[&imsi(5)]).unwrap().flows, 1);
}

/// A ban stands above every rate: nothing is charged and nothing is told for it.
#[test]
fn a_banned_sim_is_banned_and_not_slow() {
    let mut w = World::new();
    w.tell(ShardCommand::Update { spec: slow(), end_marker: false });
    w.cut(5);
    let up = big(LAPTOP, 9, FILES, 53, 1_024, 0);
    for _ in 0..100 {
        w.up_dropped(5, &up, Reason::Banned);
    }
    w.tell(ShardCommand::Uncut { imsi: imsi(5) });
    assert_eq!(w.up(5, &up).len(), 1);
}

#[test]
fn a_packet_that_does_not_fit_is_answered_with_the_mtu() {
    let mut w = World::new();
    w.up(5, &udp(LAPTOP, 9, FILES, 53, b"question"));
    let whole = 0x4000;
    let fits = big(FILES, 53, LAPTOP, 9, 1_400, whole);
    assert_eq!(w.down(&fits), [Out::N3(gnb(), 0x9005, fits.clone())]);
    let too_big = big(FILES, 53, LAPTOP, 9, 1_401, whole);
    let before = w.dropped(Reason::TooBig);
    let out = w.down(&too_big);
    let [Out::N6(icmp)] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(w.dropped(Reason::TooBig), before + 1);
    // RFC 1191 §4: type 3, code 4, and in the last two octets the MTU of the next hop.
    assert_eq!(
        icmp[20..28].to_vec(),
        [&[3, 4, icmp[22], icmp[23], 0, 0], &1_400u16.to_be_bytes()[..]].concat()
    );
    assert_eq!((checksum(&[&icmp[..20]]), checksum(&[&icmp[20..]])), (0, 0));
    assert_eq!(icmp[28..56], too_big[..28]);
    let told = Inner::parse(icmp).unwrap();
    assert_eq!((told.src, told.dst), (LAPTOP.parse().unwrap(), FILES.parse().unwrap()));
    // What may be cut into pieces goes on as it is; what the policy denies is not answered at all.
    assert_eq!(w.down(&big(FILES, 53, LAPTOP, 9, 1_401, 0)).len(), 1);
    w.down_dropped(&big(FILES, 53, LAPTOP, 10, 1_401, whole), Reason::NoFlow);
    assert_eq!(w.shard.counters().too_big_told, 1);
}

#[test]
fn answers_to_what_does_not_fit_are_limited() {
    let mut w = World::with(Limits { answers_per_second: 10, ..Limits::default() });
    w.up(5, &udp(LAPTOP, 9, FILES, 53, b"question"));
    let too_big = big(FILES, 53, LAPTOP, 9, 1_401, 0x4000);
    let told: usize = (0..100).map(|_| w.down(&too_big).len()).sum();
    let c = w.shard.counters();
    assert_eq!((told, c.too_big_told, c.answers_limited), (10, 10, 90));
}

/// The data network may promise more than N3 has room for: 44 octets are the tunnel's, 64 where N3 is IPv6.
#[test]
fn the_smaller_of_n3_and_the_data_network_counts() {
    let by_ipv6 = "fd00::1".parse().unwrap();
    let ours = OURS.parse().unwrap();
    let cases = [
        (ours, 1_500, 1_400),
        (ours, 1_444, 1_400),
        (ours, 1_443, 1_399),
        (ours, 1_300, 1_256),
        (by_ipv6, 1_464, 1_400),
        (by_ipv6, 1_463, 1_399),
    ];
    for (n3, n3_mtu, room) in cases {
        let mut w = World::with(Limits { n3_mtu, ..Limits::default() });
        w.shard.n3 = n3;
        w.tell(compiled(2, &[]));
        w.up(5, &udp(LAPTOP, 9, FILES, 53, b"question"));
        let of = |len| big(FILES, 53, LAPTOP, 9, len, 0x4000);
        assert!(matches!(w.down(&of(room)).as_slice(), [Out::N3(..)]), "{n3_mtu}");
        let out = w.down(&of(room + 1));
        let [Out::N6(icmp)] = out.as_slice() else { panic!("{out:?}") };
        assert_eq!(usize::from(u16::from_be_bytes([icmp[26], icmp[27]])), room);
    }
}

/// A policy with another MTU holds for the sessions that are there.
#[test]
fn a_new_mtu_holds_at_once() {
    let mut w = World::new();
    w.up(5, &udp(LAPTOP, 9, FILES, 53, b"question"));
    let mut p = policy(2, &[]);
    p.data_networks[0].mtu = 1_300;
    w.tell(ShardCommand::Policy(Arc::new(compile(&p).unwrap())));
    assert!(matches!(w.down(&big(FILES, 53, LAPTOP, 9, 1_301, 0x4000)).as_slice(), [Out::N6(_)]));
    assert!(matches!(w.down(&big(FILES, 53, LAPTOP, 9, 1_300, 0x4000)).as_slice(), [Out::N3(..)]));
}

#[test]
fn a_syn_offers_no_more_than_fits_whichever_way_it_goes() {
    let mut w = World::new();
    let with_offer = |src, sp, dst, dp, flags, mss: u16| {
        let [a, b] = mss.to_be_bytes();
        let mut t = tcp_payload(sp, dp, flags, &[2, 4, a, b]);
        t[12] = 0x60;
        ip(src, dst, 6, 0x4000, 1, &t)
    };
    let offered = |p: &[u8]| u16::from_be_bytes([p[42], p[43]]);
    let out = w.up(5, &with_offer(LAPTOP, 9, FILES, 443, SYN, 1_460));
    let [Out::N6(syn)] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(offered(syn), 1_360);
    let out = w.down(&with_offer(FILES, 443, LAPTOP, 9, SYN | ACK, 8_960));
    let [Out::N3(_, _, syn)] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(offered(syn), 1_360);
    let small = with_offer(LAPTOP, 10, FILES, 443, SYN, 1_200);
    assert_eq!(w.up(5, &small), [Out::N6(small)]);
    // Only a SYN makes an offer.
    let ack = with_offer(LAPTOP, 9, FILES, 443, ACK, 1_460);
    assert_eq!(w.up(5, &ack), [Out::N6(ack)]);
    assert_eq!(w.shard.counters().mss_lowered, 2);
    // Between two UEs as well.
    let out = w.up(5, &with_offer(LAPTOP, 11, PLC, 80, SYN, 1_460));
    let [Out::N3(_, 0x9007, syn)] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(offered(syn), 1_360);
}
