//! The hot functions one by one: `cargo bench -p pgw-policy`. Figures for whoever changes one of them; what is promised
//! is measured by `sekisho bench path` and `sekisho bench policy`.

use divan::{Bencher, black_box, counter::ItemsCount};
use pgw_policy::{
    Change, Compiled, Policy,
    batch::{Batch, BatchSize, Origin, ShardId},
    command::{ShardCommand, ShardReply},
    compile, decide,
    session::{Downlink, Paths, SessionSpec, Tunnel, Uplink},
    shard::{Limits, Shard, ShardConfig},
    stream::{Heard, Stream},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};
use types::{Direction, Imsi, Mono, Now, Rule, Seid, Teid, UeGroups, UeIp, Utc};
use wire::gtpu;

const GROUPS: u32 = 300;
const APPS: u32 = 2_000;
const RULES: u32 = 10_000;
const SIMS: u32 = 100_000;
/// Packets in one batch.
const PACKETS: u32 = 64;

fn main() {
    divan::main();
}

/// A number that looks like chance.
fn mix(n: u32) -> u32 {
    n.wrapping_mul(0x9e37_79b9).rotate_left(15).wrapping_mul(0x85eb_ca6b) >> 7
}

fn imsi(n: u32) -> Imsi {
    format!("99970{n:010}").parse().unwrap()
}

fn app_at(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0ac8_0000 + n)
}

fn rule(n: u32) -> Rule {
    serde_json::from_value(serde_json::json!({
        "name": format!("r{n}"), "order": n, "subject": format!("group:g{}", mix(n) % GROUPS),
        "app": format!("a{}", mix(n + RULES) % APPS), "direction": "out", "verdict": "allow",
    }))
    .unwrap()
}

fn ue(n: u32) -> UeGroups {
    let set = mix(n) % 3_000;
    let groups = (0..5).map(|k| format!("g{}", mix(set * 5 + k) % GROUPS).parse().unwrap()).collect();
    UeGroups { imsi: imsi(n), groups, device: None, person: None }
}

fn company() -> Policy {
    let apps: Vec<_> = (0..APPS)
        .map(|n| {
            let at = format!("{}/32", app_at(n));
            serde_json::json!({ "name": format!("a{n}"), "prefixes": [at], "services": ["tcp/443"] })
        })
        .collect();
    let groups: Vec<_> = (0..GROUPS).map(|n| serde_json::json!({ "name": format!("g{n}") })).collect();
    let mut policy: Policy =
        serde_json::from_value(serde_json::json!({ "generation": 1, "apps": apps, "groups": groups }))
            .unwrap();
    policy.rules = (0..RULES).map(rule).collect();
    policy.ues = (0..SIMS).map(ue).collect();
    policy
}

#[divan::bench(sample_count = 10)]
fn compile_the_whole(b: Bencher<'_, '_>) {
    let policy = company();
    b.bench(|| compile(black_box(&policy)));
}

fn with_change(b: Bencher<'_, '_>, change: impl Fn(u32) -> Change) {
    let compiled = compile(&company()).unwrap();
    let mut n = 0;
    b.with_inputs(|| {
        n += 1;
        [change(n)]
    })
    .bench_local_values(|change| compiled.with(&change, 2));
}

#[divan::bench(sample_count = 50)]
fn edit_a_rule(b: Bencher<'_, '_>) {
    with_change(b, |n| Change::Rule(Rule { order: 3, ..rule(mix(n) % RULES) }));
}

#[divan::bench(sample_count = 50)]
fn move_a_sim(b: Bencher<'_, '_>) {
    with_change(b, |n| Change::Ue(UeGroups { imsi: imsi(mix(n) % SIMS), ..ue(n) }));
}

#[divan::bench]
fn decide_at_random(b: Bencher<'_, '_>) {
    let compiled: Compiled = compile(&company()).unwrap();
    let asked: Vec<_> = (0..1 << 14)
        .map(|n| (compiled.class_of(imsi(mix(n) % SIMS)), IpAddr::from(app_at(mix(n + SIMS) % APPS))))
        .collect();
    b.counter(ItemsCount::new(asked.len())).bench(|| {
        for (class, peer) in &asked {
            black_box(decide(&compiled, *class, Direction::Out, *peer, 6, 443));
        }
    });
}

const RADIO: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 2);
const FILES: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
const NOW: Now = Now { mono: Mono(1_000_000_000), utc: Utc(1_700_000_000_000) };

fn ue_at(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a80_0000 + n)
}

fn teid(n: u32) -> Teid {
    Teid::new(n << 10 | 0x155).unwrap()
}

/// A shard with so many sessions, each of which may reach the files; `names`: and a portal, by its name alone.
fn shard(sessions: u32, names: bool) -> Shard {
    let mut policy: Policy = serde_json::from_value(serde_json::json!({
        "generation": 1, "data_networks": [{ "dnn": "corp", "pool": "10.128.0.0/9" }],
        "apps": [
            { "name": "files", "prefixes": [format!("{FILES}/32")], "services": ["udp/53"] },
            { "name": "portal", "prefixes": [format!("{FILES}/32")], "services": ["tcp/443"] },
        ],
        "rules": [
            { "name": "r", "order": 1, "subject": "any", "app": "files", "direction": "out", "verdict": "allow" },
            { "name": "p", "order": 2, "subject": "any", "app": "portal", "direction": "out", "verdict": "allow" },
        ],
    }))
    .unwrap();
    if names {
        policy.apps[1].names = vec!["portal.example.jp".parse().unwrap()];
    }
    let n3 = Ipv4Addr::new(172, 16, 0, 1).into();
    let mut shard =
        Shard::new(ShardConfig { id: ShardId(0), shards: 1, n3, limits: Limits::default() }, [7; 32]);
    shard.command(ShardCommand::Policy(Arc::new(compile(&policy).unwrap())), NOW);
    shard.command(ShardCommand::Radios(vec![IpAddr::from(RADIO).into()]), NOW);
    for n in 0..sessions {
        let tunnel = Tunnel { peer: RADIO.into(), teid: teid(n) };
        let downlink = Downlink::Forward { tunnel, qfi: Some(1) };
        let paths = Paths {
            uplink: vec![(teid(n), Uplink::FORWARD)],
            downlink,
            rates: vec![],
            qfis: 1 << 1,
            waiting: None,
            measures: Vec::new(),
            steps: None,
        };
        let ue = UeIp(ue_at(n));
        let spec = Box::new(SessionSpec {
            seid: Seid(u64::from(n) + 1),
            imsi: imsi(n),
            ue,
            routes: Vec::new(),
            prefix: None,
            paths,
        });
        let made = shard.command(ShardCommand::Insert(spec), NOW);
        assert!(matches!(made, ShardReply::Inserted { .. }));
        shard.command(ShardCommand::UeOwner { ue, shard: Some(ShardId(0)) }, NOW);
    }
    shard
}

/// UDP with 36 octets; its checksums are left out.
fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut p = vec![0x45, 0, 0, 64, 0, 0, 0x40, 0, 64, 17, 0, 0];
    p.extend(from.0.octets());
    p.extend(to.0.octets());
    p.extend(from.1.to_be_bytes());
    p.extend(to.1.to_be_bytes());
    p.extend([0, 44, 0, 0]);
    p.resize(64, 0);
    p
}

/// Batches of packets of sessions all over the table, of flows that are there.
fn judge(
    b: Bencher<'_, '_>,
    mut shard: Shard,
    sessions: u32,
    origin: Origin,
    packet: impl Fn(u32) -> Vec<u8>,
) {
    let mut batch = Batch::new(BatchSize::default());
    let mut run = |shard: &mut Shard, origin, packets: &[Vec<u8>]| {
        batch.clear();
        packets.iter().for_each(|p| assert!(batch.push(origin, p)));
        shard.on_batch(&mut batch, NOW);
        assert_eq!(batch.outputs().len(), packets.len());
    };
    let of: Vec<u32> = (0..64 * PACKETS).map(|n| mix(n) % sessions).collect();
    let opening: Vec<_> = of.iter().map(|n| uplink(*n)).collect();
    for packets in opening.chunks(PACKETS as usize) {
        run(&mut shard, Origin::N3 { from: SocketAddr::from((RADIO, gtpu::PORT)) }, packets);
    }
    let all: Vec<_> = of.iter().map(|n| packet(*n)).collect();
    let mut batches = all.chunks(PACKETS as usize).cycle();
    b.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        if let Some(packets) = batches.next() {
            run(&mut shard, origin, packets);
        }
    });
}

fn uplink(n: u32) -> Vec<u8> {
    gtpu::encode_uplink(teid(n).value(), 1, &udp((ue_at(n), 4_000), (FILES, 53))).unwrap()
}

fn from_radio() -> Origin {
    Origin::N3 { from: SocketAddr::from((RADIO, gtpu::PORT)) }
}

#[divan::bench(args = [1_000, 100_000])]
fn judge_uplink(b: Bencher<'_, '_>, sessions: u32) {
    judge(b, shard(sessions, false), sessions, from_radio(), uplink);
}

/// The same flows, which nobody reads, while another app has names.
#[divan::bench(args = [1_000, 100_000])]
fn judge_uplink_beside_names(b: Bencher<'_, '_>, sessions: u32) {
    judge(b, shard(sessions, true), sessions, from_radio(), uplink);
}

#[divan::bench(args = [1_000, 100_000])]
fn judge_downlink(b: Bencher<'_, '_>, sessions: u32) {
    let origin = Origin::N6 { handed: false };
    judge(b, shard(sessions, false), sessions, origin, |n| udp((FILES, 53), (ue_at(n), 4_000)));
}

/// A ClientHello of 517 octets, as browsers pad it, in segments of so many octets.
#[divan::bench(args = [1, 100, 1_400])]
fn read_a_hello(b: Bencher<'_, '_>, of: usize) {
    let vector = |octets: usize, content: &[u8]| {
        let len = (content.len() as u32).to_be_bytes();
        [&len[4 - octets..], content].concat()
    };
    let name = vector(2, &vector(2, &[&[0][..], &vector(2, b"portal.example.jp")].concat()));
    let padding = vector(2, &[0; 435]);
    let extensions = vector(2, &[&[0, 0][..], &name, &[0, 21], &padding].concat());
    let body = [&[3, 3][..], &[7; 32], &[0], &vector(2, &[0x13, 1]), &[1, 0], &extensions].concat();
    let all = [&[22, 3, 1][..], &vector(2, &[&[1][..], &vector(3, &body)].concat())].concat();
    assert_eq!(all.len(), 517);
    b.counter(ItemsCount::new(1u32)).bench_local(|| {
        let mut stream = Stream::new(7);
        let mut heard = Heard::More;
        for (n, part) in all.chunks(of).enumerate() {
            heard = stream.push(7 + (n * of) as u32, black_box(part), false).unwrap();
        }
        assert!(matches!(heard, Heard::Whole(..)));
    });
}
