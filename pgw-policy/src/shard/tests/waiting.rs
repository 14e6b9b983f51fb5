//! Packets for an idle UE: they wait, go in order when it is back, and never outlive what allowed them.

use super::*;

fn downlink(n: u8, ue: &str, downlink: Downlink) -> ShardCommand {
    let mut spec = spec(n, ue);
    spec.paths.downlink = downlink;
    ShardCommand::Update { spec, end_marker: false }
}

/// The PLC (SIM 7) is idle.
fn idle(limits: Limits) -> World {
    let mut w = World::with(limits);
    w.tell(downlink(7, PLC, Downlink::Wait));
    w
}

fn asked(w: &mut World) -> Vec<ShardEvent> {
    std::iter::from_fn(|| w.shard.poll_event()).collect()
}

fn poll(port: u16) -> Vec<u8> {
    tcp(SCADA, port, PLC, 502, SYN)
}

const ASKED: ShardEvent = ShardEvent::DownlinkData { seid: Seid(7), pdr: None };

/// What goes out by itself with the next turn.
fn flush(w: &mut World) -> Vec<Vec<u8>> {
    w.batch.clear();
    w.shard.on_tick(&mut w.batch, w.now);
    let inner = |o: &Output| gtpu::Packet::parse(w.batch.bytes(o.piece)).unwrap().payload.to_vec();
    w.batch.outputs().iter().map(inner).collect()
}

#[test]
fn packets_wait_for_an_idle_ue_and_go_in_order_before_newer_ones() {
    let mut w = idle(Limits::default());
    for port in [1, 2, 3] {
        assert_eq!(w.down(&poll(port)), []);
    }
    // What no rule allows asks for nobody.
    w.down_dropped(&tcp(FILES, 1, PLC, 502, SYN), Reason::NoFlow);
    assert_eq!(asked(&mut w), [ASKED], "once");
    assert_eq!((w.shard.counters().waited, w.shard.counters().downlink_packets), (3, 0));
    w.tell(ShardCommand::Update { spec: spec(7, PLC), end_marker: false });
    let got = w.down(&poll(4));
    let want: Vec<_> = [1, 2, 3, 4].map(|p| Out::N3(gnb(), 0x9007, poll(p))).into();
    assert_eq!(got, want);
    assert_eq!(w.shard.counters().downlink_packets, 4);
    // Nothing is left of it, and idle again it is asked for again.
    w.tell(downlink(7, PLC, Downlink::Wait));
    w.down(&poll(5));
    assert_eq!((asked(&mut w), w.shard.waiting_octets), (vec![ASKED], poll(5).len()));
    w.tell(ShardCommand::Update { spec: spec(7, PLC), end_marker: false });
    assert_eq!(flush(&mut w), [poll(5)], "without any newer packet, too");
    assert_eq!(w.shard.waiting_octets, 0);
    // Each is counted once in its flow's record.
    w.end(7);
    assert!(w.records().iter().filter(|r| r.verdict == Verdict::Allow).all(|r| r.packets_down == 1));
}

#[test]
fn what_waits_is_bounded_in_number_octets_and_time() {
    let len = poll(1).len();
    let mut w = idle(Limits { waiting_packets: 2, waiting_octets: 3 * len, ..Limits::default() });
    w.tell(downlink(5, LAPTOP, Downlink::Wait));
    w.down(&poll(1));
    w.down(&poll(2));
    w.down_dropped(&poll(3), Reason::Overload);
    // Another UE has what is left of the room for all.
    w.tell(ShardCommand::Update { spec: spec(5, LAPTOP), end_marker: false });
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.tell(downlink(5, LAPTOP, Downlink::Wait));
    w.down(&tcp(FILES, 443, LAPTOP, 1, ACK));
    w.down_dropped(&tcp(FILES, 443, LAPTOP, 1, ACK), Reason::Overload);
    asked(&mut w);
    // Nobody comes: the packets are dropped and counted, and the next one asks anew.
    w.wait(19_999);
    assert_eq!(w.dropped(Reason::NoTunnel), 0);
    w.wait(1);
    assert_eq!((w.dropped(Reason::NoTunnel), w.shard.waiting_octets), (3, 0));
    w.down(&poll(3));
    assert_eq!(asked(&mut w), [ASKED]);
    // The control plane gives up: the same at once, and nothing waits any more.
    w.tell(downlink(7, PLC, Downlink::NoTunnel));
    assert_eq!((w.dropped(Reason::NoTunnel), w.shard.waiting_octets), (4, 0));
    w.down_dropped(&poll(4), Reason::NoTunnel);
    // A piece of a packet does not wait, but its UE is asked for.
    w.tell(downlink(7, PLC, Downlink::Wait));
    asked(&mut w);
    // Of a packet with more behind it: eight octets, or a multiple.
    let piece = ip(SCADA, PLC, 6, 0x2000, 9, &[&poll(9)[20..], &[0; 4]].concat());
    w.down_dropped(&piece, Reason::NoTunnel);
    assert_eq!(asked(&mut w), [ASKED]);
    w.end(7);
    assert_eq!(w.shard.waiting_octets, 0);
}

#[test]
fn a_ban_drops_what_waits_before_it_is_confirmed() {
    let mut w = idle(Limits::default());
    w.down(&poll(1));
    w.down(&poll(2));
    let report = w.cut(7);
    assert_eq!((report.sessions, report.dropped, w.shard.waiting_octets), (1, 2, 0));
    assert_eq!(w.dropped(Reason::Banned), 2);
    // From here on nothing waits, and nobody is asked for.
    asked(&mut w);
    w.down_dropped(&poll(3), Reason::Banned);
    assert_eq!((asked(&mut w), w.cut(7).dropped), (vec![], 3));
    // Not even if the UE comes back in the same moment.
    w.tell(ShardCommand::Update { spec: spec(7, PLC), end_marker: false });
    assert_eq!(flush(&mut w), Vec::<Vec<u8>>::new());
    w.tell(ShardCommand::Uncut { imsi: imsi(7) });
    assert_eq!(flush(&mut w), Vec::<Vec<u8>>::new());
    assert_eq!(w.down(&poll(4)).len(), 1);
}

#[test]
fn what_a_new_policy_or_a_quarantine_denies_does_not_go_when_the_ue_is_back() {
    for what in [compiled(2, &["scada-reads"]), ShardCommand::Quarantine { imsi: imsi(7), on: true }] {
        let mut w = idle(Limits::default());
        w.down(&poll(1));
        w.tell(what);
        w.tell(ShardCommand::Update { spec: spec(7, PLC), end_marker: false });
        assert_eq!(flush(&mut w), Vec::<Vec<u8>>::new());
        assert_eq!((w.shard.counters().downlink_packets, w.shard.waiting_octets), (0, 0));
    }
}

#[test]
fn another_ues_packet_waits_as_any_other() {
    let mut w = idle(Limits::default());
    let hello = tcp(LAPTOP, 1, PLC, 80, SYN);
    assert_eq!(w.up(5, &hello), []);
    assert_eq!((w.shard.counters().waited, w.shard.counters().ue_to_ue_packets), (1, 0));
    w.tell(ShardCommand::Update { spec: spec(7, PLC), end_marker: false });
    assert_eq!(flush(&mut w), [hello]);
    assert_eq!(w.shard.counters().ue_to_ue_packets, 1);
}

#[test]
fn more_than_a_batch_has_room_for_goes_with_the_next_one_and_stays_in_order() {
    let mut w = idle(Limits::default());
    let big = |n: u16| ip(SCADA, PLC, 6, 0, n, &[&poll(n)[20..], &[0; 1300]].concat());
    w.batch = Batch::new(BatchSize { received: 1 << 16, made: 4_000, packets: 16 });
    for n in 1..=5 {
        w.down(&big(n));
    }
    w.tell(ShardCommand::Update { spec: spec(7, PLC), end_marker: false });
    let mut got = flush(&mut w);
    assert_eq!(got.len(), 2);
    // A newer packet stands behind those that still wait.
    let sent = w.down(&big(6));
    got.extend(sent.into_iter().map(|o| match o {
        Out::N3(_, _, inner) => inner,
        other => panic!("{other:?}"),
    }));
    for _ in 0..3 {
        got.extend(flush(&mut w));
    }
    assert_eq!(got, (1..=6).map(big).collect::<Vec<_>>());
}
