//! Stories of the packet walk: what passes, what is dropped and why, and which counters say so. Here is the scene that all
//! of them share: one shard, a laptop, a PLC, and a policy.

use super::*;
use crate::batch::{BatchSize, Output};
use crate::command::{CutReport, ShardCommand, ShardReply};
use crate::compile::compile;
use crate::inner::make::*;
use crate::inner::{ACK, FIN, Inner, RST, SYN, Transport, checksum};
use crate::policy::Policy;
use crate::session::{Paths, Rate, RateOf, SessionSpec, Tunnel};
use proptest::prelude::*;
use std::net::SocketAddr;
use types::{App, DataNetwork, Direction, Mono, Rule, RuleDirection, Subject, UeIp, Verdict};
use wire::gtpu;

mod bans;
mod borders;
mod capacity;
mod changes;
mod facts;
mod figures;
mod hostile;
mod inspect;
mod lookups;
mod reference;
mod routes;
mod service;
mod sessions;
mod six;
mod terms;
mod verdicts;
mod waiting;

pub(crate) const LAPTOP: &str = "10.20.0.5";
pub(crate) const PLC: &str = "10.20.0.7";
pub(crate) const FILES: &str = "192.168.1.10";
pub(crate) const SCADA: &str = "192.168.1.20";
pub(crate) const SECRET: &str = "192.168.1.30";
const GNB: &str = "172.16.0.2:2152";
const OURS: &str = "172.16.0.1";

pub(crate) fn imsi(n: u8) -> Imsi {
    format!("9997000000000{n:02}").parse().unwrap()
}

/// Files: open to all. Secret: rejected. SCADA opens towards tcp/502 of SIM 7. The laptop (SIM 5) may open
/// towards the PLC's tcp/80, and the PLC lets it.
pub(crate) fn policy(generation: u64, without: &[&str]) -> Policy {
    let app = |name: &str, prefix: &str, services: &[&str]| App {
        name: name.parse().unwrap(),
        label: String::new(),
        prefixes: vec![format!("{prefix}/32").parse().unwrap()],
        services: services.iter().map(|s| s.parse().unwrap()).collect(),
        names: Vec::new(),
        names_from: Default::default(),
        dscp: None,
        qfi: None,
        sensitivity: Default::default(),
        health: None,
    };
    let rule = |name: &str, order, subject, app: &str, direction, verdict| Rule {
        name: name.parse().unwrap(),
        order,
        subject,
        app: app.parse().unwrap(),
        direction,
        verdict,
        rate: Default::default(),
        record: Default::default(),
        when: Default::default(),
        conditions: Default::default(),
        monitor_until: None,
    };
    let to = |s: &str| RuleDirection::In { to: vec![s.parse().unwrap()] };
    let rules = vec![
        rule("files", 1, Subject::Any, "files", RuleDirection::Out, Verdict::Allow),
        rule("no-secret", 2, Subject::Any, "secret", RuleDirection::Out, Verdict::Reject),
        rule("scada-reads", 3, Subject::Sim(imsi(7)), "scada", to("tcp/502"), Verdict::Allow),
        rule("no-scada-web", 4, Subject::Sim(imsi(7)), "scada", to("tcp/80"), Verdict::Reject),
        rule("laptop-to-plc", 5, Subject::Sim(imsi(5)), "plc-web", RuleDirection::Out, Verdict::Allow),
        rule("plc-lets-laptop", 6, Subject::Sim(imsi(7)), "laptops", to("tcp/80"), Verdict::Allow),
    ];
    Policy {
        generation,
        data_networks: vec![DataNetwork {
            dnn: "corp".parse().unwrap(),
            pool: "10.20.0.0/16".parse().unwrap(),
            pool6: None,
            dns: ["10.20.0.53", "2001:db8::53", "2001:db8::5353"].map(|r| r.parse().unwrap()).into(),
            mtu: 1400,
        }],
        apps: vec![
            app("files", FILES, &["tcp/443", "udp/53", "icmp"]),
            app("secret", SECRET, &["tcp/443", "udp/53"]),
            app("scada", SCADA, &[]),
            app("plc-web", PLC, &["tcp/80", "tcp/81"]),
            app("laptops", LAPTOP, &[]),
        ],
        groups: vec![],
        rules: rules.into_iter().filter(|r| !without.contains(&r.name.as_str())).collect(),
        ues: vec![],
        risk: Default::default(),
    }
}

pub(crate) fn compiled(generation: u64, without: &[&str]) -> ShardCommand {
    ShardCommand::Policy(Arc::new(compile(&policy(generation, without)).unwrap()))
}

/// The laptop's group may be put in panic (nothing but `secret` is left, and the rules reject that) and has `files` as
/// its remediation app; the PLC's group has neither.
fn with_groups(generation: u64) -> ShardCommand {
    let name = |s: &str| s.parse::<Name>().unwrap();
    let mut p = policy(generation, &[]);
    p.groups = vec![
        types::Group {
            emergency_apps: vec![name("secret")],
            remediation_apps: vec![name("files")],
            ..types::Group::new(name("laptops"), "")
        },
        types::Group::new(name("plcs"), ""),
    ];
    p.ues = [(5, "laptops"), (7, "plcs")]
        .map(|(n, g)| types::UeGroups { imsi: imsi(n), groups: [name(g)].into(), device: None, person: None })
        .into();
    ShardCommand::Policy(Arc::new(compile(&p).unwrap()))
}

fn teid(n: u8) -> Teid {
    Teid::new(0x0012_3400 + u32::from(n) * 0x0001_0000 + 0x155).unwrap()
}

fn spec(n: u8, ue: &str) -> Box<SessionSpec> {
    let tunnel =
        Tunnel { peer: "172.16.0.2".parse().unwrap(), teid: Teid::new(0x9000 + u32::from(n)).unwrap() };
    Box::new(SessionSpec {
        seid: Seid(u64::from(n)),
        imsi: imsi(n),
        ue: UeIp(ue.parse().unwrap()),
        routes: Vec::new(),
        prefix: None,
        paths: Paths {
            uplink: vec![(teid(n), Uplink::FORWARD)],
            downlink: Downlink::Forward { tunnel, qfi: Some(1) },
            rates: Vec::new(),
            qfis: 1 << 1,
            waiting: None,
            measures: Vec::new(),
            steps: None,
        },
        facts: Default::default(),
    })
}

/// One shard with the laptop (SIM 5) and the PLC (SIM 7).
struct World {
    shard: Shard,
    batch: Batch,
    now: Now,
}

/// What came out of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    N6(Vec<u8>),
    Service(Vec<u8>),
    /// TEID and inner packet, or the whole message where it is no G-PDU.
    N3(SocketAddr, u32, Vec<u8>),
    Message(SocketAddr, Vec<u8>),
    Handed(ShardId),
}

impl World {
    fn with(limits: Limits) -> Self {
        let config = ShardConfig { id: ShardId(0), shards: 1, n3: OURS.parse().unwrap(), limits };
        let now = Now { mono: Mono(1_000_000_000), utc: Utc(1_700_000_000_000) };
        let size = BatchSize { received: 1 << 20, made: 1 << 16, packets: 256 };
        let mut w = Self { shard: Shard::new(config, [7; 32]), batch: Batch::new(size), now };
        w.tell(compiled(1, &[]));
        w.tell(ShardCommand::Radios(vec!["172.16.0.2/32".parse().unwrap()]));
        w.tell(ShardCommand::OwnAddresses(vec![OURS.parse().unwrap(), "192.168.1.1".parse().unwrap()]));
        for (n, ue) in [(5, LAPTOP), (7, PLC)] {
            assert_eq!(
                w.tell(ShardCommand::Insert(spec(n, ue))),
                ShardReply::Inserted { born_dropped: false }
            );
            w.tell(ShardCommand::UeOwner { ue: UeIp(ue.parse().unwrap()), shard: Some(ShardId(0)) });
        }
        w
    }

    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn tell(&mut self, command: ShardCommand) -> ShardReply {
        self.shard.command(command, self.now)
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.batch.clear();
        for _ in 0..20 {
            self.shard.on_tick(&mut self.batch, self.now);
        }
    }

    fn run(&mut self, origin: Origin, bytes: &[u8]) -> Vec<Out> {
        self.batch.clear();
        assert!(self.batch.push(origin, bytes));
        self.shard.on_batch(&mut self.batch, self.now);
        let batch = &self.batch;
        let one = |o: &Output| {
            let bytes = batch.bytes(o.piece).to_vec();
            match o.to {
                To::N6 => Out::N6(bytes),
                To::Service => Out::Service(bytes),
                To::Shard { shard, .. } => Out::Handed(shard),
                To::N3 { peer } => match gtpu::Packet::parse(&bytes).unwrap() {
                    p if p.kind == gtpu::MessageType::GPdu => Out::N3(peer, p.teid, p.payload.to_vec()),
                    _ => Out::Message(peer, bytes),
                },
            }
        };
        batch.outputs().iter().map(one).collect()
    }

    fn datagram_from(&mut self, from: &str, bytes: &[u8]) -> Vec<Out> {
        self.run(Origin::N3 { from: from.parse().unwrap() }, bytes)
    }

    /// An uplink packet of SIM `n`, in its own tunnel.
    fn up(&mut self, n: u8, inner: &[u8]) -> Vec<Out> {
        let d = gtpu::encode_uplink(teid(n).value(), 1, inner).unwrap();
        self.datagram_from(GNB, &d)
    }

    fn down(&mut self, inner: &[u8]) -> Vec<Out> {
        self.run(Origin::N6 { handed: false }, inner)
    }

    fn dropped(&self, reason: Reason) -> u64 {
        self.shard.counters().dropped(reason)
    }

    /// Runs one uplink packet that must be dropped for this reason and no other.
    fn up_dropped(&mut self, n: u8, inner: &[u8], reason: Reason) {
        let (before, all) = (self.dropped(reason), self.shard.counters().dropped_in_all());
        assert_eq!(self.up(n, inner), [], "{reason}");
        let drops: Vec<_> = self.shard.counters().drops().collect();
        assert_eq!(
            (self.dropped(reason), self.shard.counters().dropped_in_all()),
            (before + 1, all + 1),
            "{drops:?}"
        );
    }

    fn down_dropped(&mut self, inner: &[u8], reason: Reason) {
        let before = self.dropped(reason);
        assert_eq!(self.down(inner), [], "{reason}");
        assert_eq!(
            self.dropped(reason),
            before + 1,
            "{:?}",
            self.shard.counters().drops().collect::<Vec<_>>()
        );
    }

    fn records(&mut self) -> Vec<FlowRecord> {
        std::iter::from_fn(|| self.shard.poll_record()).collect()
    }

    fn cut(&mut self, n: u8) -> CutReport {
        match self.tell(ShardCommand::Cut { imsi: imsi(n) }) {
            ShardReply::Cut(r) => r,
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, n: u8) {
        let ended = self.tell(ShardCommand::Remove { seid: Seid(u64::from(n)) });
        assert!(matches!(ended, ShardReply::Usage(_)), "{ended:?}");
    }
}

fn gnb() -> SocketAddr {
    GNB.parse().unwrap()
}
