//! One fact of a SIM whose flow is open: from the gateway's book, over the SIM's word, to the flow's end in its shard.

use super::{Size, ms};
use crate::bench::{
    Spread,
    company::{APPS, NOW, address, facts, imsi},
};
use anyhow::{Context, Result, ensure};
use pgw_policy::{
    Asker, Compiled,
    batch::{Batch, BatchSize, Origin, ShardId, To},
    book::Book,
    command::{ShardCommand, ShardReply},
    decide_for,
    session::{Downlink, Paths, SessionSpec, Tunnel, Uplink},
    shard::{Limits, Shard, ShardConfig},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};
use types::{Direction, Mono, Now, Seid, SimFacts, Teid, UeIp};
use wire::gtpu;

/// Sessions in the shard, each with a flow.
const SESSIONS: u32 = 1_000;
const RADIO: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 2);
const N3: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
const AT: Now = Now { mono: Mono(1_000_000_000), utc: NOW };

/// A SIM, what is known of it, and an app that it reaches by that and not if its device is not as it should be.
struct Seen {
    n: u32,
    facts: SimFacts,
    worse: SimFacts,
    app: Ipv4Addr,
}

/// Microseconds from what is said of a SIM to the end of its flow.
pub(super) fn facts_enforced(compiled: &Compiled, size: Size) -> Result<Spread> {
    let seen = seen(compiled, size)?;
    let compiled = Arc::new(compiled.clone());
    let (mut book, mut times) = (Book::default(), Vec::new());
    for n in 0..size.sims {
        book.learn(imsi(n)?, facts(n)?, &compiled, NOW);
    }
    let mut shard = shard(&compiled, &seen)?;
    for (at, s) in seen.iter().enumerate() {
        ensure!(passes(&mut shard, at as u32, s.app)?, "the flow of SIM {} is not open", s.n);
    }
    for (at, s) in seen.iter().enumerate() {
        let (imsi, worse) = (imsi(s.n)?, s.worse.clone());
        times.push(
            ms(|| {
                book.learn(imsi, worse, &compiled, NOW);
                shard.command(ShardCommand::Facts { imsi, facts: book.of(imsi) }, AT);
            }) * 1e3,
        );
        ensure!(!passes(&mut shard, at as u32, s.app)?, "the flow of SIM {} goes on", s.n);
    }
    Ok(Spread::of(times))
}

/// The first SIMs for which there is such an app.
fn seen(compiled: &Compiled, size: Size) -> Result<Vec<Seen>> {
    let mut all = Vec::new();
    for n in (0..size.sims).filter(|n| n.is_multiple_of(2)) {
        let (imsi, facts) = (imsi(n)?, facts(n)?);
        let mut worse = facts.clone();
        if let Some(p) = &mut worse.posture {
            p.value = types::Compliance::NotCompliant;
        }
        let class = compiled.class_of(imsi);
        let (better, worst) = (compiled.known(&facts, NOW), compiled.known(&worse, NOW));
        let opens = |app: &Ipv4Addr| {
            let open = |known| {
                decide_for(compiled, &Asker::new(class, known), Direction::Out, (*app).into(), 6, 443)
                    .allows()
            };
            open(&better) && !open(&worst)
        };
        if let Some(app) = (0..APPS).map(address).find(opens) {
            all.push(Seen { n, facts, worse, app });
        }
        if all.len() == SESSIONS as usize {
            return Ok(all);
        }
    }
    anyhow::bail!("{} SIMs have such an app, {SESSIONS} are asked for", all.len())
}

fn ue(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a80_0001 + n)
}

fn teid(n: u32) -> Result<Teid> {
    Teid::new(n << 10 | 0x155).context("a tunnel of no number")
}

fn shard(policy: &Arc<Compiled>, seen: &[Seen]) -> Result<Shard> {
    let config = ShardConfig { id: ShardId(0), shards: 1, n3: N3.into(), limits: Limits::default() };
    let mut shard = Shard::new(config, [7; 32]);
    shard.command(ShardCommand::Policy(Arc::clone(policy)), AT);
    shard.command(ShardCommand::Radios(vec![IpAddr::from(RADIO).into()]), AT);
    for (n, s) in seen.iter().enumerate() {
        let n = n as u32;
        let tunnel = Tunnel { peer: RADIO.into(), teid: teid(n)? };
        let paths = Paths {
            uplink: vec![(teid(n)?, Uplink::FORWARD)],
            downlink: Downlink::Forward { tunnel, qfi: Some(1) },
            rates: Vec::new(),
            qfis: 1 << 1,
            waiting: None,
            measures: Vec::new(),
            steps: None,
        };
        let spec = SessionSpec {
            seid: Seid(u64::from(n) + 1),
            imsi: imsi(s.n)?,
            ue: UeIp(ue(n)),
            routes: Vec::new(),
            prefix: None,
            paths,
            facts: Arc::new(s.facts.clone()),
        };
        let made = shard.command(ShardCommand::Insert(Box::new(spec)), AT);
        ensure!(matches!(made, ShardReply::Inserted { .. }), "no session: {made:?}");
        shard.command(ShardCommand::UeOwner { ue: UeIp(ue(n)), shard: Some(ShardId(0)) }, AT);
    }
    Ok(shard)
}

/// Sends the UE's SYN to the app, and looks whether it goes on to the network.
fn passes(shard: &mut Shard, n: u32, app: Ipv4Addr) -> Result<bool> {
    let packet = gtpu::encode_uplink(teid(n)?.value(), 1, &syn(ue(n), app)).context("a packet")?;
    let mut batch = Batch::new(BatchSize { received: 1 << 16, made: 1 << 16, packets: 16 });
    ensure!(
        batch.push(Origin::N3 { from: SocketAddr::from((RADIO, gtpu::PORT)) }, &packet),
        "a batch is full"
    );
    shard.on_batch(&mut batch, AT);
    Ok(batch.outputs().iter().any(|o| o.to == To::N6))
}

/// Without checksums: nobody reads them here.
fn syn(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut p = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    p.extend(from.octets());
    p.extend(to.octets());
    p.extend(4_000u16.to_be_bytes());
    p.extend(443u16.to_be_bytes());
    p.extend([0, 0, 0, 7, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    p
}
