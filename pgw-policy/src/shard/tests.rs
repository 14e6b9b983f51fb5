//! Stories of the packet walk: what passes, what is dropped and why, and which counters say so.

use super::*;
use crate::batch::{BatchSize, Output};
use crate::command::{CutReport, ShardCommand, ShardReply};
use crate::compile::compile;
use crate::inner::make::*;
use crate::inner::{ACK, FIN, RST, SYN, checksum};
use crate::policy::Policy;
use crate::session::{Paths, Rate, RateOf, SessionSpec, Tunnel};
use proptest::prelude::*;
use std::net::SocketAddr;
use types::{App, DataNetwork, Direction, Mono, Rule, RuleDirection, Subject, UeIp, Verdict};
use wire::gtpu;

mod capacity;
mod facts;
mod hostile;
mod inspect;
mod lookups;
mod routes;
mod service;
mod six;
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

use crate::inner::{Inner, Transport};

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

#[test]
fn a_cut_sim_carries_nothing_whatever_it_has() {
    let mut w = World::new();
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    let at = w.now.utc;
    w.now = w.now.plus_ms(700);
    let report = w.cut(5);
    assert_eq!(report, CutReport { sessions: 1, last_packet: Some(at), dropped: 0 });
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::Banned);
    w.down_dropped(&tcp(FILES, 443, LAPTOP, 1, ACK), Reason::Banned);
    // Whatever is wrong with the packet, and wherever it comes from.
    w.up_dropped(5, b"", Reason::Banned);
    // The flow's record ends with the ban, and what was tried after it is written down.
    w.wait(1);
    let r = w.records();
    assert!(r.iter().any(|r| r.verdict == Verdict::Allow && r.reason == Reason::Banned && r.end == at));
    assert!(r.iter().any(|r| r.verdict == Verdict::Deny && r.reason == Reason::Banned && r.packets_up == 1));
    // Another cut says what happened since; the others are untouched.
    assert_eq!(w.cut(5), CutReport { sessions: 1, last_packet: Some(at), dropped: 3 });
    assert_eq!(w.down(&tcp(SCADA, 1, PLC, 502, SYN)).len(), 1);
    // PFCP cannot clear the bit; policy cannot; a new session is born with it.
    w.tell(ShardCommand::Update { spec: spec(5, LAPTOP), end_marker: true });
    w.tell(compiled(2, &[]));
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::Banned);
    w.end(5);
    assert_eq!(w.tell(ShardCommand::Insert(spec(5, LAPTOP))), ShardReply::Inserted { born_dropped: true });
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::Banned);
    // What the session before let through is not forgotten.
    assert_eq!(w.cut(5).last_packet, Some(at));
    // Unban: the rules count again.
    w.tell(ShardCommand::Uncut { imsi: imsi(5) });
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)).len(), 1);
}

#[test]
fn a_ban_before_the_first_session_holds() {
    let mut w = World::new();
    w.end(5);
    assert_eq!(w.cut(5), CutReport { sessions: 0, last_packet: None, dropped: 0 });
    assert_eq!(w.tell(ShardCommand::Insert(spec(5, LAPTOP))), ShardReply::Inserted { born_dropped: true });
    w.tell(ShardCommand::Uncut { imsi: imsi(5) });
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)).len(), 1);
    let ShardReply::Status(s) = w.tell(ShardCommand::Status) else { panic!() };
    assert_eq!((s.sessions, s.flows, s.revoked, s.policy), (2, 1, 0, Some(1)));
}

#[test]
fn a_new_policy_ends_what_it_denies_at_once_and_keeps_the_rest() {
    let mut w = World::new();
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.down(&tcp(SCADA, 1, PLC, 502, SYN));
    w.tell(compiled(2, &["files"]));
    let r = w.records();
    let [r] = r.as_slice() else { panic!("{r:?}") };
    assert_eq!(
        (r.reason, r.generation, r.rule.as_ref().unwrap().as_str()),
        (Reason::PolicyChanged, 1, "files")
    );
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::NoRule);
    w.down_dropped(&tcp(FILES, 443, LAPTOP, 1, ACK), Reason::NoFlow);
    assert_eq!(w.up(7, &tcp(PLC, 502, SCADA, 1, ACK)).len(), 1);
    w.end(7);
    let r = w.records();
    let ended = r.iter().find(|r| r.reason == Reason::SessionEnded).unwrap();
    assert_eq!((ended.generation, ended.rule.as_ref().unwrap().as_str()), (2, "scada-reads"));
}

#[test]
fn a_change_of_the_policy_ends_what_it_denies_and_leaves_the_rest_alone() {
    use crate::change::Change;
    let mut w = World::new();
    let mut source = policy(1, &[]);
    let mut policy = compile(&source).unwrap();
    let mut change = |w: &mut World, change: Change| {
        let (next, touched) = policy.with(std::slice::from_ref(&change), policy.generation() + 1).unwrap();
        source.apply(&[change], next.generation());
        policy = next;
        let (policy, touched) = (Arc::new(policy.clone()), Arc::new(touched));
        assert_eq!(
            w.tell(ShardCommand::PolicyChange { policy, touched, reason: Reason::PolicyChanged }),
            ShardReply::Done
        );
        source.clone()
    };
    let allow = |name: &str, order, subject| Rule {
        name: name.parse().unwrap(),
        order,
        subject,
        app: "files".parse().unwrap(),
        direction: RuleDirection::Out,
        verdict: Verdict::Allow,
        rate: Default::default(),
        record: Default::default(),
        when: Default::default(),
        conditions: Default::default(),
        monitor_until: None,
    };
    // Files for the PLC by a rule of its own, whoever else may.
    change(&mut w, Change::Rule(allow("plc-files", 0, Subject::Sim(imsi(7)))));
    for (n, ue) in [(5, LAPTOP), (7, PLC)] {
        assert_eq!(w.up(n, &tcp(ue, 1, FILES, 443, SYN)).len(), 1);
    }
    change(&mut w, Change::NoRule("files".parse().unwrap()));
    let ended = w.records();
    let [r] = ended.as_slice() else { panic!("{ended:?}") };
    // It is named though it is gone.
    assert_eq!(
        (r.imsi, r.reason, r.rule.as_ref().unwrap().as_str()),
        (imsi(5), Reason::PolicyChanged, "files")
    );
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::NoRule);
    assert_eq!(w.up(7, &tcp(PLC, 1, FILES, 443, ACK)).len(), 1);
    // Another rule takes the flow over.
    change(&mut w, Change::Rule(allow("files-again", 0, Subject::Any)));
    let source = change(&mut w, Change::NoRule("plc-files".parse().unwrap()));
    assert_eq!(w.up(7, &tcp(PLC, 1, FILES, 443, ACK)).len(), 1);
    assert_eq!(w.up(5, &tcp(LAPTOP, 2, FILES, 443, SYN)).len(), 1);
    // The whole of the same source changes nothing.
    w.records();
    w.tell(ShardCommand::Policy(Arc::new(compile(&source).unwrap())));
    assert!(w.records().iter().all(|r| r.reason != Reason::PolicyChanged));
    assert_eq!(w.up(7, &tcp(PLC, 1, FILES, 443, ACK)).len(), 1);
}

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

#[test]
fn a_flow_ends_with_the_hours_of_its_rule_and_says_so() {
    let mut w = World::new();
    let mut p = policy(2, &[]);
    p.rules[0].when.until = Some(Utc(7));
    let off = compile(&p).unwrap();
    let (on, touched) = off.with_clocks(vec![1]);
    assert!(touched.touches_classes() && touched.touches(ClassId::NO_GROUPS));
    w.tell(ShardCommand::Policy(Arc::new(on.clone())));
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)).len(), 1);
    w.down(&tcp(SCADA, 1, PLC, 502, SYN));
    w.records();
    let (policy, touched) = on.with_clocks(vec![0]);
    let (policy, touched) = (Arc::new(policy), Arc::new(touched));
    w.tell(ShardCommand::PolicyChange { policy, touched, reason: Reason::OutOfHours });
    let ended = w.records();
    let [r] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!((r.imsi, r.reason, r.rule.as_ref().unwrap().as_str()), (imsi(5), Reason::OutOfHours, "files"));
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::NoRule);
    assert_eq!(w.up(7, &tcp(PLC, 502, SCADA, 1, ACK)).len(), 1);
    // Nothing was flipped: nobody is touched.
    assert_eq!(on.with_clocks(vec![1]).1, crate::change::Touched::default());
}

#[test]
fn a_sim_that_leaves_its_group_loses_what_the_group_may() {
    use crate::change::Change;
    let mut w = World::new();
    let ShardCommand::Policy(policy) = with_groups(2) else { panic!() };
    w.tell(ShardCommand::Policy(Arc::clone(&policy)));
    w.tell(ShardCommand::Panic { group: "laptops".parse().unwrap(), on: true });
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::GroupInPanic);
    let ue = types::UeGroups {
        imsi: imsi(5),
        groups: ["plcs".parse().unwrap()].into(),
        device: None,
        person: None,
    };
    let (next, touched) = policy.with(&[Change::Ue(ue)], 3).unwrap();
    w.tell(ShardCommand::PolicyChange {
        policy: Arc::new(next),
        touched: Arc::new(touched),
        reason: Reason::PolicyChanged,
    });
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)).len(), 1, "its new group is not in panic");
}

#[test]
fn while_bans_may_be_missing_nothing_opens_and_nothing_goes_on() {
    let mut w = World::new();
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.tell(ShardCommand::Close { on: true });
    w.up_dropped(5, &tcp(LAPTOP, 2, FILES, 443, SYN), Reason::StalePolicy);
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::StalePolicy);
    w.down_dropped(&tcp(SCADA, 1, PLC, 502, SYN), Reason::StalePolicy);
    assert_eq!(w.records().first().map(|r| r.reason), Some(Reason::StalePolicy));
    // No policy changes that, however new it is.
    w.tell(compiled(u64::MAX, &[]));
    w.up_dropped(5, &tcp(LAPTOP, 2, FILES, 443, SYN), Reason::StalePolicy);
    w.tell(ShardCommand::Close { on: false });
    assert_eq!(w.up(5, &tcp(LAPTOP, 2, FILES, 443, SYN)).len(), 1);
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

#[test]
fn a_sim_in_quarantine_reaches_its_remediation_app_and_nothing_else() {
    let mut w = World::new();
    w.tell(with_groups(2));
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.up(5, &tcp(LAPTOP, 2, PLC, 80, SYN));
    w.down(&tcp(SCADA, 1, PLC, 502, SYN));
    w.records();
    let quarantine = |n: u8, on| ShardCommand::Quarantine { imsi: imsi(n), on };
    for n in [5, 7] {
        assert_eq!(w.tell(quarantine(n, true)), ShardReply::Done);
    }
    // The flow to the remediation app goes on, the others ended at once and say why.
    let ended: Vec<_> = w.records().iter().map(|r| (r.reason, r.peer_port)).collect();
    assert!(ended.iter().all(|(reason, _)| *reason == Reason::Quarantined), "{ended:?}");
    assert!(ended.len() >= 2, "{ended:?}");
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, ACK)).len(), 1);
    assert_eq!(w.up(5, &tcp(LAPTOP, 3, FILES, 443, SYN)).len(), 1);
    w.up_dropped(5, &tcp(LAPTOP, 2, PLC, 80, SYN), Reason::Quarantined);
    w.up_dropped(5, &tcp(LAPTOP, 4, SECRET, 443, SYN), Reason::Quarantined);
    // A group without remediation apps leaves nothing, either way.
    w.up_dropped(7, &tcp(PLC, 1, FILES, 443, SYN), Reason::Quarantined);
    w.down_dropped(&tcp(SCADA, 1, PLC, 502, SYN), Reason::Quarantined);
    // A policy does not end it, nor does a new session; another session is born in it.
    w.tell(with_groups(3));
    w.end(7);
    assert_eq!(w.tell(ShardCommand::Insert(spec(7, PLC))), ShardReply::Inserted { born_dropped: false });
    w.up_dropped(7, &tcp(PLC, 1, FILES, 443, SYN), Reason::Quarantined);
    w.tell(quarantine(7, false));
    assert_eq!(w.up(7, &tcp(PLC, 1, FILES, 443, SYN)).len(), 1);
    w.up_dropped(5, &tcp(LAPTOP, 2, PLC, 80, SYN), Reason::Quarantined);
}

#[test]
fn a_group_in_panic_keeps_its_emergency_apps_and_other_groups_keep_everything() {
    let mut w = World::new();
    w.tell(with_groups(2));
    let panic = |g: &str, on| ShardCommand::Panic { group: g.parse().unwrap(), on };
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.down(&tcp(SCADA, 1, PLC, 502, SYN));
    w.tell(panic("laptops", true));
    w.tell(panic("nobody", true));
    assert!(w.records().iter().any(|r| r.reason == Reason::GroupInPanic));
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::GroupInPanic);
    // An emergency app is left to the rules, and these reject it.
    assert_ne!(w.up(5, &tcp(LAPTOP, 4, SECRET, 443, SYN)), []);
    assert_eq!(w.up(7, &tcp(PLC, 502, SCADA, 1, ACK)).len(), 1);
    // Both at once: what neither bars.
    w.tell(ShardCommand::Quarantine { imsi: imsi(5), on: true });
    w.up_dropped(5, &tcp(LAPTOP, 5, SECRET, 443, SYN), Reason::Quarantined);
    w.up_dropped(5, &tcp(LAPTOP, 5, FILES, 443, SYN), Reason::GroupInPanic);
    w.tell(ShardCommand::Quarantine { imsi: imsi(5), on: false });
    // A policy in which the group has another number.
    w.tell(compiled(3, &[]));
    assert_eq!(w.up(5, &tcp(LAPTOP, 6, FILES, 443, SYN)).len(), 1, "it is in no group there");
    w.tell(with_groups(4));
    w.up_dropped(5, &tcp(LAPTOP, 6, FILES, 443, ACK), Reason::GroupInPanic);
    w.tell(panic("laptops", false));
    assert_eq!(w.up(5, &tcp(LAPTOP, 7, FILES, 443, SYN)).len(), 1);
}

#[test]
fn a_quarantine_before_the_first_policy_and_session_holds() {
    let mut w = World::new();
    w.end(5);
    w.tell(ShardCommand::Quarantine { imsi: imsi(5), on: true });
    w.tell(ShardCommand::Insert(spec(5, LAPTOP)));
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::Quarantined);
    // A ban is above it, and its end leaves the quarantine.
    w.cut(5);
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::Banned);
    w.tell(ShardCommand::Uncut { imsi: imsi(5) });
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::Quarantined);
}

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

/// One gNB is one UDP 5-tuple: segments of one GRO buffer belong to different shards.
/// What docs/performance.md promises.
#[test]
fn a_session_is_small() {
    assert!(size_of::<Option<Session>>() <= 256, "{}", size_of::<Option<Session>>());
}

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

// ---- A reference walk beside the real one.

#[derive(Debug, Clone)]
enum Step {
    Up { n: u8, src: &'static str, dst: &'static str, sport: u16, dport: u16, kind: u8, stranger: bool },
    Down { src: &'static str, dst: &'static str, sport: u16, dport: u16, kind: u8 },
    Cut(u8),
    Uncut(u8),
    Policy(bool),
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let host = || prop::sample::select(vec![LAPTOP, PLC, FILES, SCADA, SECRET, OURS, "224.0.0.1", "8.8.8.8"]);
    let sim = || prop::sample::select(vec![5u8, 7]);
    let port = || prop::sample::select(vec![53u16, 80, 443, 502]);
    prop_oneof![
        6 => (sim(), any::<bool>(), host(), host(), port(), port(), 0u8..3, prop::bool::weighted(0.1)).prop_map(
            |(n, honest, src, dst, sport, dport, kind, stranger)| {
                let src = if honest { if n == 5 { LAPTOP } else { PLC } } else { src };
                Step::Up { n, src, dst, sport, dport, kind, stranger }
            }),
        4 => (host(), host(), port(), port(), 0u8..3)
            .prop_map(|(src, dst, sport, dport, kind)| Step::Down { src, dst, sport, dport, kind }),
        1 => sim().prop_map(Step::Cut),
        1 => sim().prop_map(Step::Uncut),
        1 => any::<bool>().prop_map(Step::Policy),
        1 => Just(Step::Wait),
    ]
}

/// The rules of [`policy`] in plain words, with a set of live flows.
#[derive(Default)]
struct Reference {
    cut: std::collections::BTreeSet<u8>,
    /// (UE, peer, UE port, peer port, protocol, UE opened)
    flows: std::collections::BTreeMap<(&'static str, &'static str, u16, u16, u8), bool>,
    without_files: bool,
}

impl Reference {
    fn out(&self, n: u8, dst: &str, dport: u16, kind: u8) -> bool {
        match (dst, kind) {
            (FILES, 0) => dport == 443 && !self.without_files,
            (FILES, 1) => dport == 53 && !self.without_files,
            (FILES, 2) => !self.without_files,
            (PLC, 0) => n == 5 && (dport == 80),
            _ => false,
        }
    }

    fn in_(&self, n: u8, src: &str, dport: u16, kind: u8) -> bool {
        n == 7 && kind == 0 && ((src == SCADA && dport == 502) || (src == LAPTOP && dport == 80))
    }

    /// The receiving side of a packet for a UE.
    fn deliver(&mut self, src: &'static str, dst: &'static str, sport: u16, dport: u16, kind: u8) -> bool {
        let n = if dst == LAPTOP { 5 } else { 7 };
        if self.cut.contains(&n) {
            return false;
        }
        let key = if kind == 2 { (dst, src, 0, 0, 2 + 8) } else { (dst, src, dport, sport, kind) };
        if self.flows.contains_key(&key) {
            return true;
        }
        let ok = self.in_(n, src, dport, kind);
        if ok {
            self.flows.insert(key, false);
        }
        ok
    }

    #[allow(clippy::too_many_arguments)]
    fn up(
        &mut self,
        n: u8,
        src: &'static str,
        dst: &'static str,
        sport: u16,
        dport: u16,
        kind: u8,
        stranger: bool,
    ) -> bool {
        let own = if n == 5 { LAPTOP } else { PLC };
        if self.cut.contains(&n) || stranger || src != own || dst == own || [OURS, "224.0.0.1"].contains(&dst)
        {
            return false;
        }
        let key = if kind == 2 { (src, dst, 1, 8, 2) } else { (src, dst, sport, dport, kind) };
        if !self.flows.contains_key(&key) {
            if !self.out(n, dst, dport, kind) {
                return false;
            }
            self.flows.insert(key, true);
        }
        if dst == LAPTOP || dst == PLC { self.deliver(src, dst, sport, dport, kind) } else { true }
    }

    fn down(&mut self, src: &'static str, dst: &'static str, sport: u16, dport: u16, kind: u8) -> bool {
        let ue = dst == LAPTOP || dst == PLC;
        ue && ![LAPTOP, PLC, "224.0.0.1"].contains(&src) && self.deliver(src, dst, sport, dport, kind)
    }
}

fn packet(src: &str, dst: &str, sport: u16, dport: u16, kind: u8) -> Vec<u8> {
    match kind {
        0 => tcp(src, sport, dst, dport, SYN),
        1 => udp(src, sport, dst, dport, b"data"),
        _ => ping(src, dst, true, 1),
    }
}

proptest! {
    #[test]
    fn the_walk_says_what_the_reference_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut w = World::new();
        let mut r = Reference::default();
        let mut generation = 1;
        for s in steps {
            match s {
                Step::Up { n, src, dst, sport, dport, kind, stranger } => {
                    let d = gtpu::encode_uplink(teid(n).value(), 1, &packet(src, dst, sport, dport, kind)).unwrap();
                    let out = w.datagram_from(if stranger { "172.16.9.9:2152" } else { GNB }, &d);
                    let inner = packet(src, dst, sport, dport, kind);
                    let passed = out.iter().any(|o| matches!(o, Out::N6(p) | Out::N3(_, _, p) if *p == inner));
                    prop_assert_eq!(passed, r.up(n, src, dst, sport, dport, kind, stranger));
                }
                Step::Down { src, dst, sport, dport, kind } => {
                    let inner = packet(src, dst, sport, dport, kind);
                    let passed = w.down(&inner).iter().any(|o| matches!(o, Out::N3(_, _, p) if *p == inner));
                    prop_assert_eq!(passed, r.down(src, dst, sport, dport, kind));
                }
                Step::Cut(n) => { w.cut(n); r.cut.insert(n); }
                Step::Uncut(n) => { w.tell(ShardCommand::Uncut { imsi: imsi(n) }); r.cut.remove(&n); }
                Step::Policy(without_files) => {
                    generation += 1;
                    w.tell(compiled(generation, if without_files { &["files"] } else { &[] }));
                    r.without_files = without_files;
                    if without_files {
                        r.flows.retain(|k, _| k.1 != FILES);
                    }
                }
                Step::Wait => {
                    w.wait(7_440_000);
                    r.flows.clear();
                }
            }
        }
    }

    /// Whatever comes in: no panic, and what goes to N6 is from a session's own address.
    #[test]
    fn anything_may_come(packets in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80), 0usize..80, any::<u8>()), 0..40)) {
        let mut w = World::new();
        for (uplink, noise, at, value) in packets {
            let mut inner = tcp(LAPTOP, 1, FILES, 443, SYN);
            if at % 3 == 0 { inner = noise; } else if let Some(b) = inner.get_mut(at) { *b = value; }
            let out = if uplink { w.up(5, &inner) } else {
                let raw = gtpu::encode_uplink(teid(5).value(), 1, &inner).unwrap();
                let mut raw = raw;
                if let Some(b) = raw.get_mut(at) { *b = value; }
                let mut out = w.datagram_from(GNB, &raw);
                out.extend(w.down(&inner));
                out
            };
            for o in out {
                if let Out::N6(p) = o {
                    prop_assert_eq!(&p[12..16], &[10, 20, 0, 5]);
                }
            }
        }
    }
}

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
