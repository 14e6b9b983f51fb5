//! The gateway: one shard with a live session behind its PFCP node, and packets and PFCP of chance.
//!
//! An input is a row of records: two bits of kind, fourteen bits of length, octets.
//!
//! | kind | octets |
//! | --- | --- |
//! | 0 | a datagram from the radio; the session's TEID is put in |
//! | 1 | a datagram from the radio as it stands |
//! | 2 | an inner packet from N6 |
//! | 3 | PFCP from our own control plane; the session's SEID is put in where there is one |
//!
//! What must hold whatever comes: N6 sees only packets of the UE's own address towards apps that its rules
//! name; the radio sees only packets for that UE; of an app with names its server hears nothing that does not begin with a
//! ClientHello for it; and behind a cut nothing passes, either way, ever.

use super::Answer;
use crate::corpus;
use pgw_policy::{
    Compiled, Policy,
    batch::{Batch, BatchSize, Origin, ShardId, To},
    command::ShardCommand,
    compile,
    n4::{N4, N4Config, N4Output, Peer},
    record::RecordLimits,
    shard::{Limits, Shard, ShardConfig},
    stream::{Heard, Stream, segment::Segment},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock},
};
use types::{App, DataNetwork, Imsi, Now, Rule, RuleDirection, Subject, Verdict};
use wire::{
    gtpu,
    pfcp::{self, FTeid, Message, Pdu},
};

const UE: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 5);
const FILES: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
const SCADA: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
const SECRET: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 30);
const PORTAL: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 40);
const NAME: &str = "portal.example.jp";
const OURS: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
const RADIO: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 2);
const SMF: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const TUNNEL: u32 = 0x77;

const MOST_OUTPUTS: usize = 4_096;

static POLICY: LazyLock<Option<Arc<Compiled>>> = LazyLock::new(|| Some(Arc::new(compile(&policy()?).ok()?)));

/// Files: open. Secret: rejected. SCADA opens towards tcp/502 of the UE. Portal: by its name. Nothing else.
fn policy() -> Option<Policy> {
    let app = |name: &str, at: Ipv4Addr, services: &[&str]| {
        Some(App {
            name: name.parse().ok()?,
            label: String::new(),
            prefixes: vec![IpAddr::V4(at).into()],
            services: services.iter().filter_map(|s| s.parse().ok()).collect(),
            names: Vec::new(),
            names_from: Default::default(),
            dscp: None,
            qfi: None,
            sensitivity: Default::default(),
            health: None,
        })
    };
    let rule = |name: &str, direction, verdict| {
        Some(Rule {
            name: name.parse().ok()?,
            order: 1,
            subject: Subject::Any,
            app: name.parse().ok()?,
            direction,
            verdict,
            rate: Default::default(),
            record: Default::default(),
            when: Default::default(),
            conditions: Default::default(),
            monitor_until: None,
        })
    };
    let mut portal = app("portal", PORTAL, &["tcp/443"])?;
    portal.names = vec![NAME.parse().ok()?];
    let to = RuleDirection::In { to: vec!["tcp/502".parse().ok()?] };
    Some(Policy {
        generation: 1,
        data_networks: vec![DataNetwork {
            dnn: "corp".parse().ok()?,
            pool: "10.20.0.0/16".parse().ok()?,
            pool6: None,
            dns: Vec::new(),
            mtu: 1400,
        }],
        apps: vec![
            app("files", FILES, &["tcp/443", "udp/53", "icmp"])?,
            app("secret", SECRET, &["tcp/443", "udp/53"])?,
            app("scada", SCADA, &[])?,
            portal,
        ],
        rules: vec![
            rule("files", RuleDirection::Out, Verdict::Allow)?,
            rule("secret", RuleDirection::Out, Verdict::Reject)?,
            rule("scada", to, Verdict::Allow)?,
            rule("portal", RuleDirection::Out, Verdict::Allow)?,
        ],
        ..Policy::default()
    })
}

fn imsi() -> Option<Imsi> {
    "999700000000005".parse().ok()
}

fn checksum(octets: &[u8]) -> [u8; 2] {
    let word = |p: &[u8]| u32::from(u16::from_be_bytes([*p.first().unwrap_or(&0), *p.get(1).unwrap_or(&0)]));
    let mut sum: u32 = octets.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// An IPv4 packet; `fragment` is the flags and offset field.
fn ip(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut head = vec![0x45, 0];
    head.extend(((20 + payload.len()) as u16).to_be_bytes());
    head.extend([0x12, 0x34]);
    head.extend(fragment.to_be_bytes());
    head.extend([64, protocol, 0, 0]);
    head.extend(from.octets());
    head.extend(to.octets());
    let sum = checksum(&head);
    head.splice(10..12, sum);
    [head.as_slice(), payload].concat()
}

fn tcp(from_port: u16, to_port: u16, flags: u8) -> Vec<u8> {
    let mut t = [from_port.to_be_bytes(), to_port.to_be_bytes()].concat();
    t.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    t
}

/// The same at these numbers, with octets.
fn said(ports: (u16, u16), flags: u8, (seq, ack): (u32, u32), octets: &[u8]) -> Vec<u8> {
    let mut t = tcp(ports.0, ports.1, flags);
    t.splice(4..12, [seq.to_be_bytes(), ack.to_be_bytes()].concat());
    [t.as_slice(), octets].concat()
}

/// A ClientHello for this server, in one record.
fn hello(name: &str) -> Vec<u8> {
    let vector = |content: &[u8]| [&(content.len() as u16).to_be_bytes()[..], content].concat();
    let list = vector(&vector(&[&[0][..], &vector(name.as_bytes())].concat()));
    let extensions = vector(&[&[0, 0][..], &list].concat());
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat();
    [&[22, 3, 1][..], &vector(&[&[1, 0][..], &vector(&body)].concat())].concat()
}

fn udp(from_port: u16, to_port: u16) -> Vec<u8> {
    let mut u = [from_port.to_be_bytes(), to_port.to_be_bytes()].concat();
    u.extend([0, 12, 0, 0, 1, 2, 3, 4]);
    u
}

fn record(kind: u8, octets: &[u8]) -> Vec<u8> {
    let len = octets.len().min(0x3fff);
    let head = u16::from(kind) << 14 | len as u16;
    [head.to_be_bytes().as_slice(), octets.get(..len).unwrap_or_default()].concat()
}

fn up(inner: &[u8]) -> Vec<u8> {
    record(0, &gtpu::encode_uplink(1, 1, inner).unwrap_or_default())
}

/// What was kept, and what was thought of.
pub fn seeds() -> Vec<Vec<u8>> {
    [corpus::load("gateway", "none"), stories()].concat()
}

/// Conversations that pass, first, and things that must not.
fn stories() -> Vec<Vec<u8>> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const MORE: u16 = 0x2000;
    let echo = [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
    let mut seeds = vec![
        [
            up(&ip(UE, FILES, 6, 0, &tcp(1000, 443, SYN))),
            record(2, &ip(FILES, UE, 6, 0, &tcp(443, 1000, SYN | ACK))),
            up(&ip(UE, FILES, 6, 0, &tcp(1000, 443, ACK))),
            up(&ip(UE, SECRET, 6, 0, &tcp(1000, 443, SYN))),
        ]
        .concat(),
        [
            up(&ip(UE, FILES, 17, 0, &udp(2000, 53))),
            record(2, &ip(FILES, UE, 17, 0, &udp(53, 2000))),
            record(
                2,
                &ip(
                    Ipv4Addr::new(192, 168, 9, 9),
                    UE,
                    1,
                    0,
                    &[&[3, 4, 0, 0, 0, 0, 5, 0], ip(UE, FILES, 17, 0, &udp(2000, 53)).as_slice()].concat(),
                ),
            ),
        ]
        .concat(),
        [up(&ip(UE, FILES, 1, 0, &echo)), record(2, &ip(FILES, UE, 1, 0, &[0, 0, 0xff, 0xfd, 0, 1, 0, 1]))]
            .concat(),
        [
            record(2, &ip(SCADA, UE, 6, 0, &tcp(3000, 502, SYN))),
            up(&ip(UE, SCADA, 6, 0, &tcp(502, 3000, SYN | ACK))),
            record(2, &ip(SCADA, UE, 6, 0, &tcp(3000, 80, SYN))),
        ]
        .concat(),
        [
            up(&ip(UE, FILES, 17, MORE, &[udp(2000, 53), vec![0; 4]].concat())),
            up(&ip(UE, FILES, 17, 2, &[9; 16])),
            record(2, &ip(FILES, UE, 17, MORE, &[udp(53, 2000), vec![0; 4]].concat())),
            record(2, &ip(FILES, UE, 17, 2, &[9; 16])),
        ]
        .concat(),
    ];
    for name in [NAME, "evil.example.jp"] {
        let hello = hello(name);
        let (first, second) = hello.split_at(30);
        let from_ue = |flags, seq, octets: &[u8]| {
            up(&ip(UE, PORTAL, 6, 0x4000, &said((1000, 443), flags, (seq, 901), octets)))
        };
        let to_ue = |flags, seq, octets: &[u8]| {
            record(2, &ip(PORTAL, UE, 6, 0x4000, &said((443, 1000), flags, (seq, 101), octets)))
        };
        seeds.push(
            [
                from_ue(SYN, 100, &[]),
                to_ue(SYN | ACK, 900, &[]),
                from_ue(ACK, 101, first),
                from_ue(ACK, 131, second),
                to_ue(ACK, 901, &[21, 3, 3, 0, 2, 1, 0]),
                from_ue(ACK, 101 + hello.len() as u32, b"more"),
            ]
            .concat(),
        );
    }
    let nested = gtpu::encode_uplink(1, 1, &ip(UE, FILES, 6, 0, &tcp(1, 443, SYN))).unwrap_or_default();
    for to in [OURS, Ipv4Addr::LOCALHOST, Ipv4Addr::new(224, 0, 0, 1), Ipv4Addr::BROADCAST, UE] {
        seeds.push(up(&ip(UE, to, 17, 0, &[[8, 104, 8, 104, 0, 60, 0, 0].as_slice(), &nested].concat())));
    }
    seeds.push(up(&ip(Ipv4Addr::new(10, 20, 0, 6), FILES, 6, 0, &tcp(1000, 443, SYN))));
    seeds.extend(corpus::load("none", "gtpu").iter().map(|m| record(1, m)));
    seeds.extend(corpus::load("none", "pfcp").iter().map(|m| record(3, m)));
    for flow in [0usize, 1] {
        let asked =
            Pdu { seid: Some(1), sequence: 77, message: pfcp::SessionDeletionRequest::default().into() };
        let then = seeds.get(flow).cloned().unwrap_or_default();
        seeds.push([then.clone(), record(3, &asked.encode()), then.clone()].concat());
        let asked = Pdu { seid: Some(1), sequence: 78, message: tunnel(TUNNEL + 1).into() };
        seeds.push([then.clone(), record(3, &asked.encode()), then].concat());
    }
    seeds
}

fn establishment() -> Option<pfcp::SessionEstablishmentRequest> {
    use pfcp::*;
    let ue = |destination| vec![UeIpAddress { destination, v4: Some(UE), ..Default::default() }];
    let uplink = CreatePdr {
        pdr_id: PdrId(1),
        precedence: Some(Precedence(255)),
        pdi: Pdi {
            source_interface: SourceInterface(0),
            local_f_teid: Some(FTeid::Choose { v4: true, v6: false, choose_id: None }),
            ue_ip_addresses: ue(false),
            ..Default::default()
        },
        outer_header_removal: Some(OuterHeaderRemoval(0)),
        far_id: Some(FarId(1)),
        ..Default::default()
    };
    let downlink = CreatePdr {
        pdr_id: PdrId(2),
        precedence: Some(Precedence(255)),
        pdi: Pdi { source_interface: SourceInterface(1), ue_ip_addresses: ue(true), ..Default::default() },
        far_id: Some(FarId(2)),
        ..Default::default()
    };
    let to_network = CreateFar {
        far_id: FarId(1),
        apply_action: ApplyAction::of(ApplyAction::FORW),
        forwarding_parameters: Some(ForwardingParameters {
            destination_interface: DestinationInterface(1),
            ..Default::default()
        }),
        ..Default::default()
    };
    let to_ue = CreateFar {
        far_id: FarId(2),
        apply_action: ApplyAction::of(ApplyAction::BUFF | ApplyAction::NOCP),
        ..Default::default()
    };
    Some(SessionEstablishmentRequest {
        node_id: NodeId::V4(SMF),
        cp_f_seid: FSeid { seid: 0x105, v4: Some(SMF), v6: None },
        create_pdrs: vec![uplink, downlink],
        create_fars: vec![to_network, to_ue],
        user_id: Some(UserId { imsi: imsi(), ..Default::default() }),
        apn_dnn: Some(ApnDnn("corp".parse().ok()?)),
        pdu_session: Some(PduSession(1.try_into().ok()?)),
        ..Default::default()
    })
}

fn tunnel(teid: u32) -> pfcp::SessionModificationRequest {
    use pfcp::*;
    SessionModificationRequest {
        update_fars: vec![UpdateFar {
            far_id: FarId(2),
            apply_action: Some(ApplyAction::of(ApplyAction::FORW)),
            forwarding_parameters: Some(UpdateForwardingParameters {
                destination_interface: Some(DestinationInterface(0)),
                outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(teid, RADIO)),
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

struct Site {
    n4: N4,
    shard: Shard,
    batch: Batch,
    now: Now,
    seid: u64,
    teid: u32,
    /// The SIM is cut: nothing may pass.
    cut: bool,
    passed: [u32; 2],
    outputs: usize,
    /// What the portal's server has of each client's stream, by its port; `None` once it has read a hello.
    heard: BTreeMap<u16, Option<Stream>>,
}

/// Runs the records, cuts the SIM, and runs them twice more.
pub fn run(input: &[u8]) -> Answer {
    let Some(mut site) = Site::new() else { return Answer::Broken("no session comes up".to_owned()) };
    let mut result = site.records(input);
    let story = site.story();
    if let Some(imsi) = imsi() {
        site.cut = true;
        site.n4.revoke(imsi, true);
        site.shard.command(ShardCommand::Cut { imsi }, site.now);
    }
    for _ in 0..2 {
        result = result.and_then(|()| site.records(input));
    }
    match result {
        Ok(()) => Answer::Lived(story),
        Err(what) => Answer::Broken(what),
    }
}

impl Site {
    fn new() -> Option<Self> {
        let policy = POLICY.as_ref()?;
        let now = Now::default().plus_ms(1_000_000);
        let config = N4Config {
            node: OURS.into(),
            n3: OURS.into(),
            peers: Vec::new(),
            radios: Vec::new(),
            shards: 1,
            max_sessions: 8,
        };
        let limits = Limits {
            sessions: 8,
            flows: 64,
            flows_per_sim: 16,
            fragments: 8,
            events: 16,
            records: RecordLimits { queue: 64, denied: 64, denied_per_sim: 16, interval_ms: 1_000 },
            ..Limits::default()
        };
        let shard = ShardConfig { id: ShardId(0), shards: 1, n3: OURS.into(), limits };
        let mut site = Self {
            n4: N4::new(config, now, [3; 32]),
            shard: Shard::new(shard, [4; 32]),
            batch: Batch::new(BatchSize { received: 80 << 10, made: 80 << 10, packets: 16 }),
            now,
            seid: 0,
            teid: 0,
            cut: false,
            passed: [0; 2],
            outputs: 0,
            heard: BTreeMap::new(),
        };
        site.shard.command(ShardCommand::Policy(Arc::clone(policy)), now);
        site.shard.command(ShardCommand::Radios(vec![IpAddr::V4(RADIO).into()]), now);
        site.shard.command(ShardCommand::OwnAddresses(vec![OURS.into()]), now);
        let hello = pfcp::AssociationSetupRequest {
            node_id: pfcp::NodeId::V4(SMF),
            recovery: pfcp::RecoveryTimeStamp(1),
            ..Default::default()
        };
        site.ask(None, hello.into());
        let Some(Message::SessionEstablishmentResponse(made)) = site.ask(Some(0), establishment()?.into())
        else {
            return None;
        };
        site.seid = made.up_f_seid?.seid;
        site.teid = match made.created_pdrs.first()?.local_f_teid? {
            FTeid::Given { teid, .. } => teid,
            FTeid::Choose { .. } => return None,
        };
        site.ask(Some(site.seid), tunnel(TUNNEL).into());
        Some(site)
    }

    fn ask(&mut self, seid: Option<u64>, message: Message) -> Option<Message> {
        let sequence = 0x10_0000 + self.outputs as u32;
        self.pfcp(&Pdu { seid, sequence, message }.encode()).ok()?.map(|p| p.message)
    }

    /// Gives PFCP to the node, and its commands to the shard; returns the last answer.
    fn pfcp(&mut self, octets: &[u8]) -> Result<Option<Pdu>, String> {
        self.n4.handle(Peer::Local, octets, self.now);
        let mut answer = None;
        while let Some(output) = self.n4.poll_output() {
            self.outputs += 1;
            if self.outputs > MOST_OUTPUTS {
                return Err("the node talks without an end".to_owned());
            }
            match output {
                N4Output::Send { bytes, .. } => match Pdu::parse(&bytes) {
                    Ok(pdu) => answer = Some(pdu),
                    Err(e) => return Err(format!("the node's own message cannot be read: {e}")),
                },
                N4Output::Command { token, command, .. } => {
                    let reply = self.shard.command(command, self.now);
                    self.n4.confirmed(token, reply, self.now);
                }
                o @ (N4Output::Ask(_) | N4Output::Foreign { .. } | N4Output::Smf { .. }) => {
                    return Err(format!("without a foreign SMF: {o:?}"));
                }
            }
        }
        Ok(answer)
    }

    fn records(&mut self, mut rest: &[u8]) -> Result<(), String> {
        for _ in 0..64 {
            let Some((head, body)) = rest.split_first_chunk::<2>() else { break };
            let head = u16::from_be_bytes(*head);
            let (octets, behind) = body.split_at(usize::from(head & 0x3fff).min(body.len()));
            rest = behind;
            self.now = self.now.plus_ms(10);
            self.record(head >> 14, octets)?;
        }
        self.batch.clear();
        self.shard.on_tick(&mut self.batch, self.now.plus_ms(100));
        self.look()?;
        while self.shard.poll_record().is_some() {}
        Ok(())
    }

    fn record(&mut self, kind: u16, octets: &[u8]) -> Result<(), String> {
        let radio = Origin::N3 { from: SocketAddr::new(RADIO.into(), gtpu::PORT) };
        let mut octets = octets.to_vec();
        let origin = match kind {
            0 => {
                if let Some(teid) = octets.get_mut(4..8) {
                    teid.copy_from_slice(&self.teid.to_be_bytes());
                }
                radio
            }
            1 => radio,
            2 => Origin::N6 { handed: false },
            _ => {
                if octets.first().is_some_and(|f| f & 1 != 0)
                    && let Some(seid) = octets.get_mut(4..12)
                    && seid.iter().any(|b| *b != 0)
                {
                    seid.copy_from_slice(&self.seid.to_be_bytes());
                }
                return self.pfcp(&octets).map(|_| ());
            }
        };
        self.batch.clear();
        if self.batch.push(origin, &octets) {
            self.shard.on_batch(&mut self.batch, self.now);
        }
        self.look()?;
        while let Some(event) = self.shard.poll_event() {
            self.n4.event(event, self.now);
        }
        self.pfcp(&[]).map(|_| ())
    }

    /// Judges everything that would be sent.
    fn look(&mut self) -> Result<(), String> {
        for output in self.batch.outputs() {
            let bytes = self.batch.bytes(output.piece);
            match output.to {
                To::Service => return Err("there is no page, and something goes to it".to_owned()),
                To::N6 => {
                    self.passed[0] += 1;
                    let (from, to) = ends(bytes).ok_or("N6 gets something that is not IPv4")?;
                    if self.cut {
                        return Err(format!("a packet to {to} passes behind the cut"));
                    }
                    if from != UE {
                        return Err(format!("N6 gets a packet of {from}, not of the UE"));
                    }
                    if to == PORTAL {
                        at_portal(&mut self.heard, bytes)?;
                    } else if to != FILES && to != SCADA {
                        return Err(format!("N6 gets a packet to {to}, which no rule allows"));
                    }
                }
                To::N3 { .. } => {
                    let packet = gtpu::Packet::parse(bytes).map_err(|e| format!("our own GTP-U: {e}"))?;
                    if packet.kind != gtpu::MessageType::GPdu {
                        continue;
                    }
                    self.passed[1] += 1;
                    let (_, to) = ends(packet.payload).ok_or("the radio gets something that is not IPv4")?;
                    if self.cut {
                        return Err("a packet to the UE passes behind the cut".to_owned());
                    }
                    if to != UE {
                        return Err(format!("the radio gets a packet for {to}"));
                    }
                }
                To::Shard { .. } => return Err("there is no other shard".to_owned()),
            }
        }
        Ok(())
    }

    fn story(&self) -> String {
        let drops: Vec<&str> = self.shard.counters().drops().map(|(r, _)| r.as_str()).collect();
        format!("lived: up {} down {}, {drops:?}", self.passed[0].min(3), self.passed[1].min(3))
    }
}

/// The portal's server gets a packet: what it hears first of a connection is a ClientHello for it.
fn at_portal(heard: &mut BTreeMap<u16, Option<Stream>>, packet: &[u8]) -> Result<(), String> {
    const SYN: u8 = 2;
    let Some((port, s)) = segment(packet) else { return Ok(()) };
    if s.flags & SYN != 0 {
        heard.remove(&port);
    }
    if s.payload.is_empty() {
        return Ok(());
    }
    // What is let through comes in order.
    let stream = heard.entry(port).or_insert_with(|| Some(Stream::new(s.seq)));
    let Some(beginning) = stream else { return Ok(()) };
    match beginning.push(s.seq, s.payload, false) {
        Ok(Heard::More) => Ok(()),
        Ok(Heard::Whole(hello, _)) if hello.server_name.as_ref().is_some_and(|n| n.as_str() == NAME) => {
            *stream = None;
            Ok(())
        }
        other => Err(format!("the portal hears something else: {other:?}")),
    }
}

/// The TCP segment of an IPv4 packet, with its source port.
fn segment(packet: &[u8]) -> Option<(u16, Segment<'_>)> {
    let octets = packet.get(usize::from(packet.first()? & 15) * 4..).filter(|_| packet.get(9) == Some(&6))?;
    Some((u16::from_be_bytes(*octets.first_chunk::<2>()?), Segment::parse(octets)?))
}

/// Source and destination of an IPv4 packet.
fn ends(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if packet.first()? >> 4 != 4 {
        return None;
    }
    let at = |from: usize| packet.get(from..from + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((Ipv4Addr::from_bits(at(12)?), Ipv4Addr::from_bits(at(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(seed: usize) -> String {
        match run(&stories()[seed]) {
            Answer::Lived(story) => story,
            Answer::Broken(what) => panic!("{what}"),
            _ => panic!("another kind of answer"),
        }
    }

    #[test]
    fn the_allowed_conversations_pass_before_the_cut() {
        // Own answers count as down: the reset for what is rejected.
        assert!(story(0).starts_with("lived: up 2 down 2"), "{}", story(0));
        assert!(story(1).starts_with("lived: up 1 down 2"), "{}", story(1));
        assert!(story(2).starts_with("lived: up 1 down 1"), "{}", story(2));
        assert!(story(3).starts_with("lived: up 1 down 1"), "{}", story(3));
        // Of the right name the SYN, the hello and what is behind it; of the other the SYN, and a reset to each side, once more to the UE.
        assert!(story(5).starts_with("lived: up 3 down 2"), "{}", story(5));
        assert!(story(6).starts_with("lived: up 2 down 3"), "{}", story(6));
    }

    #[test]
    fn another_beginning_at_the_portal_would_be_seen() {
        let packet =
            |flags, octets: &[u8]| ip(UE, PORTAL, 6, 0, &said((1000, 443), flags, (101, 901), octets));
        let mut heard = BTreeMap::new();
        assert_eq!(at_portal(&mut heard, &packet(16, &hello(NAME))), Ok(()));
        assert_eq!(at_portal(&mut heard, &packet(16, b"anything")), Ok(()));
        assert_eq!(at_portal(&mut heard, &packet(2, &[])), Ok(()));
        assert!(at_portal(&mut heard, &packet(16, &hello("evil.example.jp"))).is_err());
    }

    #[test]
    fn a_packet_behind_a_cut_would_be_seen() {
        let mut site = Site::new().unwrap();
        site.cut = true;
        assert!(site.records(&stories()[0]).unwrap_err().contains("behind the cut"));
    }
}
