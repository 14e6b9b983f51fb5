//! Figures for people.

use super::*;

/// Figures for people: `cargo test -p pgw-policy --lib --release figures -- --ignored --nocapture`.
#[test]
#[ignore = "measures; says nothing true or false"]
fn figures() {
    use std::hint::black_box;
    let measure = |sessions: u32, flows_each: u16, kbps: Option<u64>| {
        let config =
            ShardConfig { id: ShardId(0), shards: 1, n3: OURS.parse().unwrap(), limits: Limits::default() };
        let mut shard = Shard::new(config, [7; 32]);
        let now = Now { mono: Mono(1_000_000_000), utc: Utc(1_700_000_000_000) };
        shard.command(compiled(1, &[]), now);
        shard.command(ShardCommand::Radios(vec!["172.16.0.0/24".parse().unwrap()]), now);
        shard.command(ShardCommand::OwnAddresses(vec![OURS.parse().unwrap()]), now);
        let ue = |n: u32| Ipv4Addr::from(0x0a14_0000 + n);
        let mut teids = Vec::new();
        let mut chance = ChaCha12Rng::from_seed([1; 32]);
        for n in 0..sessions {
            let mut s = spec(5, LAPTOP);
            let ways = kbps.map(|kbps| [RateOf::AllUp, RateOf::Down].map(|of| Rate { qer: 1, kbps, of }));
            s.paths.rates = ways.into_iter().flatten().collect();
            s.seid = Seid(u64::from(n) + 1);
            s.imsi = format!("99970{n:010}").parse().unwrap();
            s.ue = UeIp(ue(n));
            let reply = loop {
                s.paths.uplink[0].0 = Teid::new(chance.next_u32() & 0x0fff_ffff).unwrap();
                match shard.command(ShardCommand::Insert(s.clone()), now) {
                    ShardReply::Inserted { .. } => break s.paths.uplink[0].0,
                    _ => continue,
                }
            };
            shard.command(ShardCommand::UeOwner { ue: UeIp(ue(n)), shard: Some(ShardId(0)) }, now);
            teids.push(reply);
        }
        let mut batch = Batch::new(BatchSize::default());
        let mut up = Vec::new();
        let mut down = Vec::new();
        for _ in 0..64_000 {
            let n = chance.next_u32() % sessions;
            let port = 1000 + (chance.next_u32() % u32::from(flows_each)) as u16;
            let name = ue(n).to_string();
            let inner = udp(&name, port, FILES, 53, &[0; 36]);
            up.push(gtpu::encode_uplink(teids[n as usize].value(), 1, &inner).unwrap());
            down.push(udp(FILES, 53, &name, port, &[0; 36]));
        }
        let mut per = |packets: &[Vec<u8>], origin: Origin, passes: usize| {
            let mut best = f64::MAX;
            for _ in 0..passes {
                let mut spent = std::time::Duration::ZERO;
                for part in packets.chunks(64) {
                    batch.clear();
                    for p in part {
                        assert!(batch.push(origin, p));
                    }
                    #[allow(clippy::disallowed_methods)]
                    let start = std::time::Instant::now();
                    shard.on_batch(&mut batch, now);
                    spent += start.elapsed();
                    assert_eq!(black_box(batch.outputs()).len(), part.len());
                }
                best = best.min(spent.as_nanos() as f64 / packets.len() as f64);
            }
            best
        };
        let n3 = Origin::N3 { from: gnb() };
        let opening = per(&up, n3, 1);
        let uplink = per(&up, n3, 5);
        let downlink = per(&down, Origin::N6 { handed: false }, 5);
        println!(
            "{sessions} sessions, rate {kbps:?}: first pass {opening:.0} ns, uplink {uplink:.0} ns, downlink {downlink:.0} ns a packet"
        );
    };
    println!(
        "session {} octets, flow {} octets",
        size_of::<Option<Session>>(),
        size_of::<Option<crate::flow::Flow>>()
    );
    for kbps in [None, Some(10_000_000)] {
        for (sessions, flows_each) in [(10, 100), (1_000, 10), (60_000, 4), (100_000, 4)] {
            measure(sessions, flows_each, kbps);
        }
    }
}
