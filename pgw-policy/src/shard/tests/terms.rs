//! What a rule asks for beside letting through: a rate, a mark, records.

use super::*;

/// `files` with a rate, a choice of records and a mark.
fn with_terms(generation: u64, dl_bps: Option<u64>, record: &str) -> ShardCommand {
    let mut p = policy(generation, &[]);
    p.rules[0].rate.dl_bps = dl_bps;
    p.rules[0].record = record.parse().unwrap();
    p.apps[0].dscp = Some(types::Dscp::try_from(46).unwrap());
    p.apps[0].qfi = Some(types::Qfi::try_from(9).unwrap());
    ShardCommand::Policy(Arc::new(compile(&p).unwrap()))
}

#[test]
fn a_rules_rate_holds_for_all_flows_of_a_sim_together_and_for_each_sim_by_itself() {
    let mut w = World::new();
    // 65 536 octets at once, then 1 000 000 a second.
    w.tell(with_terms(2, Some(8_000_000), "all"));
    let word = [0; 1_000];
    let down = |ue: &str, port| udp(FILES, 53, ue, port, &word);
    for port in [1, 2] {
        w.up(5, &udp(LAPTOP, port, FILES, 53, b"?"));
    }
    w.up(7, &udp(PLC, 1, FILES, 53, b"?"));
    // A tenth of a second's worth: 100 000 octets, 97 packets of 1 028.
    let passed = |w: &mut World, ue, port| (0..200).filter(|_| !w.down(&down(ue, port)).is_empty()).count();
    assert_eq!(passed(&mut w, LAPTOP, 1), 97);
    assert_eq!(passed(&mut w, LAPTOP, 2), 0, "the other flow has nothing left");
    assert!(w.dropped(Reason::RateExceeded) >= 300);
    let r = w.records().into_iter().find(|r| r.reason == Reason::RateExceeded).unwrap();
    assert_eq!((r.imsi, r.rule.as_ref().unwrap().as_str()), (imsi(5), "files"));
    assert_eq!(passed(&mut w, PLC, 1), 97, "another SIM has its own");
    assert_eq!(w.up(5, &udp(LAPTOP, 1, FILES, 53, b"?")).len(), 1, "the other way has no rate");
    w.now = w.now.plus_ms(10);
    assert_eq!(passed(&mut w, LAPTOP, 2), 10, "10 000 octets more, and what was left over");
    // The same rule in another policy goes on with what it had; another rate holds at once.
    w.tell(with_terms(3, Some(8_000_000), "all"));
    assert_eq!(passed(&mut w, LAPTOP, 1), 0);
    w.tell(with_terms(4, None, "all"));
    assert_eq!(passed(&mut w, LAPTOP, 1), 200);
    assert!(w.shard.rule_meters.len() <= 2);
    w.wait(1_000);
    assert_eq!(w.shard.rule_meters.len(), 0);
}

#[test]
fn an_apps_packets_are_marked_both_ways() {
    let mut w = World::new();
    w.tell(with_terms(2, None, "all"));
    let mut marked = tcp(LAPTOP, 40_000, FILES, 443, SYN);
    let plain = marked.clone();
    mark::set_dscp(&mut marked, types::Dscp::try_from(46).unwrap());
    assert_eq!((marked[1] >> 2, checksum(&[&marked[..20]])), (46, 0));
    assert_eq!(w.up(5, &plain), [Out::N6(marked)]);
    let answer = tcp(FILES, 443, LAPTOP, 40_000, SYN | ACK);
    let of = |w: &mut World| {
        let out = w.down(&answer);
        let [Out::N3(_, _, inner)] = out.as_slice() else { panic!("{out:?}") };
        assert_eq!((inner[1] >> 2, checksum(&[&inner[..20]])), (46, 0));
        let sent = w.batch.outputs()[0].piece;
        gtpu::Packet::parse(w.batch.bytes(sent)).unwrap().pdu_session.unwrap().qfi
    };
    assert_eq!(of(&mut w), 1, "the session has no QoS flow 9");
    let mut with_nine = spec(5, LAPTOP);
    with_nine.paths.qfis |= 1 << 9;
    w.tell(ShardCommand::Update { spec: with_nine, end_marker: false });
    assert_eq!(of(&mut w), 9);
    // Another app's packets stay as they are.
    let syn = tcp(SCADA, 50_000, PLC, 502, SYN);
    assert_eq!(w.down(&syn), [Out::N3(gnb(), 0x9007, syn.clone())]);
}

#[test]
fn a_rule_says_which_of_its_flows_are_written_down_and_denials_always_are() {
    let mut w = World::new();
    w.tell(with_terms(2, None, "counters"));
    let open = |w: &mut World, ports: std::ops::Range<u16>| {
        for port in ports {
            assert_eq!(w.up(5, &udp(LAPTOP, port, FILES, 53, b"?")).len(), 1);
        }
    };
    open(&mut w, 1..11);
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 22, SYN), Reason::UnknownApp);
    w.wait(60_000);
    assert_eq!(w.records().iter().filter(|r| r.verdict == Verdict::Allow).count(), 0);
    assert_eq!(w.shard.counters().records_left_out, 10);
    // What somebody ends is written down whatever the rule says.
    open(&mut w, 1..11);
    w.records();
    w.tell(compiled(3, &["files"]));
    assert_eq!(w.records().iter().filter(|r| r.reason == Reason::PolicyChanged).count(), 10);
    w.tell(with_terms(4, None, "1/4"));
    open(&mut w, 1..2_001);
    w.wait(60_000);
    let kept = w.records().iter().filter(|r| r.verdict == Verdict::Allow).count();
    assert!((400..600).contains(&kept), "{kept} of 2000");
    assert_eq!(w.shard.counters().records_left_out, 10 + 2_000 - kept as u64);
}
