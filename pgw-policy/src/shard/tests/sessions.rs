//! Sessions and the shards that own them: what is theirs, how much of it, and what is left when they end.

use super::*;

#[test]
fn a_sim_has_so_many_flows_and_no_more() {
    let mut w = World::with(Limits { flows_per_sim: 10, ..Limits::default() });
    for port in 0..10 {
        assert_eq!(w.up(5, &udp(LAPTOP, port, FILES, 53, b"")).len(), 1);
    }
    w.up_dropped(5, &udp(LAPTOP, 10, FILES, 53, b""), Reason::FlowTableFull);
    assert_eq!(w.down(&tcp(SCADA, 1, PLC, 502, SYN)).len(), 1);
    // Silence makes room.
    w.wait(60_000);
    assert_eq!(w.records().iter().filter(|r| r.reason == Reason::Idle).count(), 11);
    assert_eq!(w.up(5, &udp(LAPTOP, 10, FILES, 53, b"")).len(), 1);
}

#[test]
fn the_sessions_own_rules_come_before_the_policy() {
    let mut w = World::new();
    let mut s = spec(5, LAPTOP);
    s.paths.uplink[0].1 = Uplink { qfis: 1 << 1, without_qfi: false };
    s.paths.downlink = Downlink::NoTunnel;
    w.tell(ShardCommand::Update { spec: s, end_marker: true });
    // The old tunnel gets its End Marker before anything else.
    w.batch.clear();
    w.shard.on_tick(&mut w.batch, w.now);
    let sent = w.batch.outputs();
    assert_eq!(sent.len(), 1);
    assert_eq!(w.batch.bytes(sent[0].piece), [0x30, 254, 0, 0, 0, 0, 0x90, 5]);
    let syn = tcp(LAPTOP, 1, FILES, 443, SYN);
    assert_eq!(w.up(5, &syn).len(), 1);
    for qfi in [0, 2, 63] {
        let d = gtpu::encode_uplink(teid(5).value(), qfi, &syn).unwrap();
        assert_eq!(w.datagram_from(GNB, &d), []);
    }
    assert_eq!(w.dropped(Reason::NotForwarded), 3);
    // No tunnel: said once, until there is one again.
    let answer = tcp(FILES, 443, LAPTOP, 1, SYN | ACK);
    w.down_dropped(&answer, Reason::NoTunnel);
    w.down_dropped(&answer, Reason::NoTunnel);
    assert_eq!(w.shard.poll_event(), Some(ShardEvent::DownlinkData { seid: Seid(5), pdr: None }));
    assert_eq!(w.shard.poll_event(), None);
    w.tell(ShardCommand::Update { spec: spec(5, LAPTOP), end_marker: false });
    assert_eq!(w.down(&answer).len(), 1);
}

#[test]
fn an_ended_session_leaves_nothing() {
    let mut w = World::new();
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.end(5);
    w.tell(ShardCommand::UeOwner { ue: UeIp(LAPTOP.parse().unwrap()), shard: None });
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, ACK)).len(), 1, "an Error Indication");
    assert_eq!(w.dropped(Reason::UnknownTeid), 1);
    w.down_dropped(&tcp(FILES, 443, LAPTOP, 1, ACK), Reason::UnknownUe);
    assert!(matches!(w.tell(ShardCommand::Remove { seid: Seid(5) }), ShardReply::Refused(_)));
    let ShardReply::Status(s) = w.tell(ShardCommand::Status) else { panic!() };
    assert_eq!((s.sessions, s.flows), (1, 0));
    // Not twice the same address or TEID, and no foreign one.
    let mut twice = spec(9, PLC);
    assert!(matches!(w.tell(ShardCommand::Insert(twice.clone())), ShardReply::Refused(_)));
    twice.ue = UeIp("10.20.0.9".parse().unwrap());
    twice.paths.uplink[0].0 = teid(7);
    assert!(matches!(w.tell(ShardCommand::Insert(twice)), ShardReply::Refused(_)));
}

/// What docs/performance.md promises.
#[test]
fn a_session_is_small() {
    assert!(size_of::<Option<Session>>() <= 256, "{}", size_of::<Option<Session>>());
}

/// One gNB is one UDP 5-tuple: segments of one GRO buffer belong to different shards.
#[test]
fn segments_of_one_buffer_go_to_the_shards_of_their_teids() {
    let mut shards: Vec<Shard> = (0..4)
        .map(|id| {
            let config = ShardConfig {
                id: ShardId(id),
                shards: 4,
                n3: OURS.parse().unwrap(),
                limits: Limits::default(),
            };
            let mut s = Shard::new(config, [id; 32]);
            let now = Now::default();
            s.command(compiled(1, &[]), now);
            s.command(ShardCommand::Radios(vec!["172.16.0.0/24".parse().unwrap()]), now);
            for n in 0..4 {
                let ue = UeIp([10, 20, 0, n].into());
                s.command(ShardCommand::UeOwner { ue, shard: Some(ShardId(n)) }, now);
            }
            let mut mine = spec(id, &format!("10.20.0.{id}"));
            mine.paths.uplink[0].0 = Teid::new(u32::from(id) << 28 | 0x123_4567).unwrap();
            assert_eq!(
                s.command(ShardCommand::Insert(mine), now),
                ShardReply::Inserted { born_dropped: false }
            );
            s
        })
        .collect();
    let packet = |n: u8| {
        let inner = udp(&format!("10.20.0.{n}"), 9, FILES, 53, &[n; 20]);
        gtpu::encode_uplink(u32::from(n) << 28 | 0x123_4567, 1, &inner).unwrap()
    };
    let order = [3, 0, 1, 0, 2, 3, 1];
    let gro: Vec<u8> = order.iter().flat_map(|n| packet(*n)).collect();
    let mut batch = Batch::new(BatchSize::default());
    batch.spaces(2048).next().unwrap()[..gro.len()].copy_from_slice(&gro);
    batch.received(0, 2048, Origin::N3 { from: gnb() }, gro.len(), packet(0).len());
    batch.seal(1, 2048);
    shards[0].on_batch(&mut batch, Now::default());
    let mut passed = vec![];
    for o in batch.outputs() {
        match o.to {
            To::N6 => passed.push(0),
            To::Shard { shard, origin } => {
                let mut b = Batch::new(BatchSize { received: 4096, made: 256, packets: 8 });
                assert!(b.push(origin, batch.bytes(o.piece)));
                shards[usize::from(shard.0)].on_batch(&mut b, Now::default());
                assert!(matches!(b.outputs(), [Output { to: To::N6, .. }]));
                passed.push(shard.0);
            }
            To::N3 { .. } | To::Service => panic!(),
        }
    }
    assert_eq!(passed, order);
    // UE to UE over two shards: judged on the first's side, handed over, judged on the other's.
    let mut b = Batch::new(BatchSize { received: 4096, made: 256, packets: 8 });
    let mut spec0 = spec(5, "10.20.0.0");
    spec0.paths.uplink[0].0 = Teid::new(0x0abc_def0).unwrap();
    spec0.ue = UeIp(LAPTOP.parse().unwrap());
    let mut spec3 = spec(7, PLC);
    spec3.paths.uplink[0].0 = Teid::new(0x3abc_def0).unwrap();
    for (at, s) in [(0, spec0), (3, spec3)] {
        let owner = ShardCommand::UeOwner { ue: s.ue, shard: Some(ShardId(at as u8)) };
        for shard in &mut shards {
            shard.command(owner.clone(), Now::default());
        }
        let reply = shards[at].command(ShardCommand::Insert(s), Now::default());
        assert_eq!(reply, ShardReply::Inserted { born_dropped: false });
    }
    let syn = tcp(LAPTOP, 9, PLC, 80, SYN);
    let d = gtpu::encode_uplink(0x0abc_def0, 1, &syn).unwrap();
    assert!(b.push(Origin::N3 { from: gnb() }, &d));
    shards[0].on_batch(&mut b, Now::default());
    let [Output { to: To::Shard { shard: ShardId(3), origin }, piece }] = *b.outputs() else { panic!() };
    assert_eq!((origin, b.bytes(piece)), (Origin::Hairpin { from: imsi(5) }, &syn[..]));
    // Between the two shards its SIM is cut: it ends there, though this shard has no session of it.
    for (cut, passes) in [(false, 1), (true, 0)] {
        if cut {
            shards[3].command(ShardCommand::Cut { imsi: imsi(5) }, Now::default());
        }
        b.clear();
        assert!(b.push(origin, &syn));
        shards[3].on_batch(&mut b, Now::default());
        assert_eq!(b.outputs().len(), passes);
    }
    // Downlink: whichever queue it came from, its UE's shard sends it; handed over once, never back.
    let answer = udp(FILES, 53, "10.20.0.2", 9, b"a");
    let mut b = Batch::new(BatchSize { received: 4096, made: 256, packets: 8 });
    assert!(b.push(Origin::N6 { handed: false }, &answer));
    shards[1].on_batch(&mut b, Now::default());
    let [Output { to: To::Shard { shard: ShardId(2), origin: Origin::N6 { handed: true } }, .. }] =
        b.outputs()
    else {
        panic!("{:?}", b.outputs())
    };
    b.clear();
    assert!(b.push(Origin::N6 { handed: true }, &answer));
    shards[2].on_batch(&mut b, Now::default());
    assert!(matches!(b.outputs(), [Output { to: To::N3 { .. }, .. }]));
    b.clear();
    assert!(b.push(Origin::N6 { handed: true }, &answer));
    shards[3].on_batch(&mut b, Now::default());
    assert!(b.outputs().is_empty());
}
