//! What the rules let through and what they do not: flows, denials, rejects, what belongs to a flow.

use super::*;

#[test]
fn an_allowed_flow_passes_both_ways_and_leaves_one_record() {
    let mut w = World::new();
    let syn = tcp(LAPTOP, 40_000, FILES, 443, SYN);
    assert_eq!(w.up(5, &syn), [Out::N6(syn.clone())]);
    let answer = tcp(FILES, 443, LAPTOP, 40_000, SYN | ACK);
    assert_eq!(w.down(&answer), [Out::N3(gnb(), 0x9005, answer.clone())]);
    // The downlink header carries the QoS flow.
    assert_eq!(w.up(5, &syn).len(), 1);
    assert_eq!(w.records(), []);
    w.now = w.now.plus_ms(5_000);
    w.up(5, &tcp(LAPTOP, 40_000, FILES, 443, FIN | ACK));
    w.down(&tcp(FILES, 443, LAPTOP, 40_000, FIN | ACK));
    w.wait(10_000);
    let r = w.records();
    let [r] = r.as_slice() else { panic!("{r:?}") };
    assert_eq!(
        (r.imsi, r.direction, r.verdict, r.reason),
        (imsi(5), Direction::Out, Verdict::Allow, Reason::Closed)
    );
    assert_eq!((r.ue_port, r.peer_port, r.protocol, r.generation), (40_000, 443, 6, 1));
    assert_eq!((r.app.as_ref().unwrap().as_str(), r.rule.as_ref().unwrap().as_str()), ("files", "files"));
    assert_eq!((r.packets_up, r.bytes_up, r.packets_down, r.bytes_down), (3, 120, 2, 80));
    assert_eq!(r.end.0 - r.start.0, 5_000);
    let c = w.shard.counters();
    assert_eq!((c.uplink_packets, c.uplink_bytes, c.downlink_packets, c.downlink_bytes), (3, 120, 2, 80));
}

#[test]
fn what_no_rule_names_is_denied_and_written_down() {
    let mut w = World::new();
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 22, SYN), Reason::UnknownApp);
    w.up_dropped(5, &tcp(LAPTOP, 1, "8.8.8.8", 443, SYN), Reason::UnknownApp);
    w.up_dropped(5, &ip(LAPTOP, FILES, 47, 0, 1, &[0; 8]), Reason::UnknownApp);
    // From outside: nobody opened, no rule says that they may.
    w.down_dropped(&tcp(FILES, 443, LAPTOP, 40_000, SYN), Reason::NoFlow);
    w.down_dropped(&tcp(SCADA, 1, LAPTOP, 502, SYN), Reason::NoFlow);
    w.down_dropped(&udp(FILES, 53, "10.20.0.99", 1, b""), Reason::UnknownUe);
    // A scan over ports is one denial per port; repetitions are gathered.
    for _ in 0..9 {
        w.up(5, &tcp(LAPTOP, 1, FILES, 22, SYN));
    }
    assert_eq!(w.records().len(), 5);
    w.wait(10_000);
    let r = w.records();
    let [r] = r.as_slice() else { panic!("{r:?}") };
    assert_eq!((r.verdict, r.reason, r.packets_up, r.peer_port), (Verdict::Deny, Reason::UnknownApp, 9, 22));
}

#[test]
fn one_sims_denials_do_not_crowd_out_anothers() {
    let mut w = World::new();
    for port in 1000..3000 {
        w.up(5, &udp(LAPTOP, 1, FILES, port, b""));
    }
    w.up(7, &udp(PLC, 1, FILES, 99, b""));
    let r = w.records();
    assert_eq!(r.iter().filter(|r| r.imsi == imsi(5)).count(), 256);
    assert_eq!(r.iter().filter(|r| r.imsi == imsi(7)).count(), 1);
    w.wait(1);
    assert_eq!(w.shard.counters().records_lost, 2000 - 256);
}

#[test]
fn scada_reads_the_plc_by_an_in_rule_and_nothing_else() {
    let mut w = World::new();
    let syn = tcp(SCADA, 50_000, PLC, 502, SYN);
    assert_eq!(w.down(&syn), [Out::N3(gnb(), 0x9007, syn.clone())]);
    let answer = tcp(PLC, 502, SCADA, 50_000, SYN | ACK);
    assert_eq!(w.up(7, &answer), [Out::N6(answer.clone())]);
    w.down_dropped(&tcp(SCADA, 50_000, PLC, 22, SYN), Reason::NoFlow);
    w.down_dropped(&tcp(FILES, 50_000, PLC, 502, SYN), Reason::NoFlow);
    // The PLC may answer, not open.
    w.up_dropped(7, &tcp(PLC, 502, SCADA, 50_001, SYN), Reason::UnknownApp);
}

#[test]
fn a_reject_is_answered_and_a_deny_is_not() {
    let mut w = World::new();
    let out = w.up(5, &tcp(LAPTOP, 40_000, SECRET, 443, SYN));
    let [Out::N3(peer, t, rst)] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!((*peer, *t, w.dropped(Reason::RuleReject)), (gnb(), 0x9005, 1));
    let i = Inner::parse(rst).unwrap();
    assert_eq!(i.transport, Transport::Tcp { src: 443, dst: 40_000, flags: RST | ACK });
    assert_eq!((i.src, i.dst), (SECRET.parse().unwrap(), LAPTOP.parse().unwrap()));
    // Acknowledges the SYN (sequence number 1), so that the UE believes it.
    assert_eq!(rst[28..32], [0, 0, 0, 2]);
    assert_eq!(checksum(&[&rst[..20]]), 0);
    assert_eq!(checksum(&[&rst[12..20], &[0, 6, 0, 20], &rst[20..]]), 0);
    // A reset is not answered with a reset.
    w.up_dropped(5, &tcp(LAPTOP, 40_000, SECRET, 443, RST), Reason::NoFlow);
    let out = w.up(5, &udp(LAPTOP, 9, SECRET, 53, b"query"));
    let [Out::N3(_, _, icmp)] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!((icmp[20], icmp[21], checksum(&[&icmp[20..]])), (3, 13, 0));
    // From N6 the answer goes to N6.
    let out = w.down(&tcp(SCADA, 5, PLC, 80, SYN));
    assert!(matches!(out.as_slice(), [Out::N6(p)] if p[33] == RST | ACK));
    assert_eq!(w.shard.counters().rejects, 3);
    let r = w.records();
    assert!(
        r.iter()
            .any(|r| r.rule.as_ref().is_some_and(|n| n.as_str() == "no-secret")
                && r.verdict == Verdict::Reject)
    );
}

#[test]
fn answers_of_ours_are_limited() {
    let mut w = World::with(Limits { answers_per_second: 10, ..Limits::default() });
    let mut echo = [0; gtpu::SMALL_MESSAGE];
    let n = gtpu::encode_echo_request(&mut echo, 7);
    let mut answered = 0;
    for port in 0..100 {
        answered += w.datagram_from(GNB, &echo[..n]).len();
        w.up(5, &tcp(LAPTOP, port, SECRET, 443, SYN));
        w.datagram_from(GNB, &gtpu::encode_uplink(0x0fff_0000 + u32::from(port), 1, b"x").unwrap());
    }
    let c = w.shard.counters();
    assert_eq!(
        (answered, c.echoes, c.rejects, c.error_indications, c.answers_limited),
        (10, 10, 10, 10, 270)
    );
}

#[test]
fn pings_errors_and_resets_follow_their_flow() {
    let mut w = World::new();
    let ask = ping(LAPTOP, FILES, true, 9);
    assert_eq!(w.up(5, &ask).len(), 1);
    assert_eq!(w.down(&ping(FILES, LAPTOP, false, 9)).len(), 1);
    w.down_dropped(&ping(FILES, LAPTOP, false, 10), Reason::NoFlow);
    // The other side may not ask back under the same identifier.
    w.down_dropped(&ping(FILES, LAPTOP, true, 9), Reason::NoFlow);
    // An unasked answer opens nothing.
    w.up_dropped(5, &ping(LAPTOP, FILES, false, 11), Reason::NoFlow);
    let q = udp(LAPTOP, 4000, FILES, 53, b"q");
    w.up(5, &q);
    // Any router may say that this flow's packet did not arrive, but not that another's did not.
    assert_eq!(w.down(&icmp_error("192.168.1.254", LAPTOP, &q)).len(), 1);
    assert_eq!(w.down(&icmp_error("192.168.1.254", LAPTOP, &ask)).len(), 1);
    w.down_dropped(&icmp_error("192.168.1.254", LAPTOP, &udp(LAPTOP, 4001, FILES, 53, b"q")), Reason::NoFlow);
    w.down_dropped(&icmp_error("192.168.1.254", LAPTOP, &udp(PLC, 4000, FILES, 53, b"q")), Reason::NoFlow);
    let answer = udp(FILES, 53, LAPTOP, 4000, b"a");
    assert_eq!(w.up(5, &icmp_error(LAPTOP, FILES, &answer)).len(), 1);
    w.up_dropped(5, &icmp_error(LAPTOP, SECRET, &answer), Reason::NoFlow);
    // A redirect steers others: never.
    let mut redirect = icmp_error("192.168.1.254", LAPTOP, &q);
    redirect[20] = 5;
    w.down_dropped(&redirect, Reason::NoFlow);
}

#[test]
fn two_ues_talk_only_if_both_sides_allow() {
    let mut w = World::new();
    let syn = tcp(LAPTOP, 40_000, PLC, 80, SYN);
    assert_eq!(w.up(5, &syn), [Out::N3(gnb(), 0x9007, syn.clone())]);
    let answer = tcp(PLC, 80, LAPTOP, 40_000, SYN | ACK);
    assert_eq!(w.up(7, &answer), [Out::N3(gnb(), 0x9005, answer.clone())]);
    assert_eq!(w.shard.counters().ue_to_ue_packets, 2);
    // The laptop's rule names the port, the PLC's does not: its side denies.
    w.up_dropped(5, &tcp(LAPTOP, 40_000, PLC, 81, SYN), Reason::UeToUe);
    // The PLC's service, but no rule on the laptop's side (another port), or none at all.
    w.up_dropped(5, &tcp(LAPTOP, 40_000, PLC, 502, SYN), Reason::UeToUe);
    w.up_dropped(7, &tcp(PLC, 40_000, LAPTOP, 80, SYN), Reason::UeToUe);
    w.up_dropped(5, &tcp(LAPTOP, 1, LAPTOP, 80, SYN), Reason::UeToUe);
    // A ban of either ends it; also for a packet that is on its way between shards.
    w.cut(5);
    w.up_dropped(7, &answer, Reason::Banned);
    assert_eq!(w.run(Origin::Hairpin { from: imsi(5) }, &syn), []);
    assert_eq!(w.dropped(Reason::Banned), 2);
    assert_eq!(w.cut(5).dropped, 2);
}
