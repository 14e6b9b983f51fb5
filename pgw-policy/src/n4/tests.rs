//! Stories of N4 with real shards behind it, and control planes that lie.

mod bar;
mod foreign;
mod hostile;
mod sdf;

use super::*;
use crate::command::{ShardEvent, ShardReply};
use crate::session::{Rate, RateOf, Uplink, Usage};
use crate::shard::tests::{FILES, LAPTOP, PLC, compiled, imsi};
use crate::shard::{Limits, Shard, ShardConfig};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use types::{ForeignRefusal, Mono, Restoration};
use wire::pfcp::*;

const CP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const N3: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
const GNB: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 2);
const FOREIGN: Peer = Peer::Udp(IpAddr::V4(CP));

/// What is said about a foreign SIM.
type Word = fn(&ForeignAsk) -> Result<ForeignGrant, ForeignRefusal>;

struct World {
    n4: N4,
    shards: Vec<Shard>,
    now: Now,
    sequence: u32,
    /// Commands that wait, where the test plays the slow shard.
    held: Option<Vec<(Token, ShardId, ShardCommand)>>,
    sent: Vec<(Peer, Pdu)>,
    /// Who is asked about foreign SIMs.
    judge: Word,
    foreign: Vec<(ForeignSession, bool)>,
    states: Vec<SmfState>,
}

/// Lets everybody have what the SMF names.
fn as_named(ask: &ForeignAsk) -> Result<ForeignGrant, ForeignRefusal> {
    Ok(ForeignGrant { ip: ask.ip.ok_or(ForeignRefusal::NoAddress)?, prefix: ask.prefix })
}

fn start() -> Now {
    Now { mono: Mono(1_000_000_000), utc: types::Utc(1_700_000_000_000) }
}

impl World {
    fn bare() -> Self {
        let config = N4Config {
            node: NODE.into(),
            n3: N3.into(),
            peers: vec![IpAddr::V4(CP)],
            radios: vec!["0.0.0.0/0".parse().unwrap()],
            shards: 2,
            max_sessions: 50,
        };
        let shard = |id| {
            let config = ShardConfig { id: ShardId(id), shards: 2, n3: N3.into(), limits: Limits::default() };
            let mut s = Shard::new(config, [id; 32]);
            s.command(compiled(1, &[]), start());
            s.command(ShardCommand::Radios(vec!["172.16.0.0/24".parse().unwrap()]), start());
            s
        };
        let n4 = N4::new(config, start(), [3; 32]);
        Self {
            n4,
            shards: vec![shard(0), shard(1)],
            now: start(),
            sequence: 0,
            held: None,
            sent: vec![],
            judge: as_named,
            foreign: vec![],
            states: vec![],
        }
    }

    fn new() -> Self {
        let mut w = Self::bare();
        for peer in [Peer::Local, FOREIGN] {
            let answer = w.ask(peer, None, association(1, false));
            assert!(
                matches!(answer, Some(Message::AssociationSetupResponse(m)) if m.cause == Cause::Accepted)
            );
        }
        w
    }

    /// Carries commands to the shards and answers back until nothing is left to do.
    fn pump(&mut self) {
        while let Some(o) = self.n4.poll_output() {
            match o {
                N4Output::Send { peer, bytes, .. } => self.sent.push((peer, Pdu::parse(&bytes).unwrap())),
                N4Output::Ask(ask) => {
                    let answer = (self.judge)(&ask);
                    self.n4.answered(ask.id, answer, self.now);
                }
                N4Output::Foreign { session, up } => self.foreign.push((session, up)),
                N4Output::Smf { state, .. } => self.states.push(state),
                N4Output::Command { token, shard, command } => match &mut self.held {
                    Some(held) => held.push((token, shard, command)),
                    None => {
                        let reply = self.shards[usize::from(shard.0)].command(command, self.now);
                        self.n4.confirmed(token, reply, self.now);
                    }
                },
            }
        }
    }

    fn raw(&mut self, peer: Peer, bytes: &[u8]) -> Option<Pdu> {
        self.sent.clear();
        self.n4.handle(peer, bytes, self.now);
        self.pump();
        self.sent.iter().find(|(p, _)| *p == peer).map(|(_, pdu)| pdu.clone())
    }

    fn ask_pdu(&mut self, peer: Peer, seid: Option<u64>, message: Message) -> Option<Pdu> {
        self.sequence += 1;
        let sequence = self.sequence;
        let answer = self.raw(peer, &Pdu { seid, sequence, message }.encode());
        assert!(answer.as_ref().is_none_or(|a| a.sequence == sequence));
        answer
    }

    fn ask(&mut self, peer: Peer, seid: Option<u64>, message: Message) -> Option<Message> {
        self.ask_pdu(peer, seid, message).map(|p| p.message)
    }

    fn establish(&mut self, peer: Peer, m: SessionEstablishmentRequest) -> SessionEstablishmentResponse {
        match self.ask(peer, Some(0), m.into()) {
            Some(Message::SessionEstablishmentResponse(m)) => m,
            other => panic!("{other:?}"),
        }
    }

    /// Makes a session and returns our SEID and its TEID.
    fn made(&mut self, peer: Peer, m: SessionEstablishmentRequest) -> (u64, u32) {
        let m = self.establish(peer, m);
        assert_eq!((m.cause, m.offending_ie), (Cause::Accepted, None));
        let Some(FTeid::Given { teid, v4: Some(N3), .. }) = m.created_pdrs[0].local_f_teid else {
            panic!("{m:?}")
        };
        (m.up_f_seid.unwrap().seid, teid)
    }

    fn modify(
        &mut self,
        peer: Peer,
        seid: u64,
        m: SessionModificationRequest,
    ) -> SessionModificationResponse {
        match self.ask(peer, Some(seid), m.into()) {
            Some(Message::SessionModificationResponse(m)) => m,
            other => panic!("{other:?}"),
        }
    }

    fn delete(&mut self, peer: Peer, seid: u64) -> Cause {
        match self.ask(peer, Some(seid), SessionDeletionRequest::default().into()) {
            Some(Message::SessionDeletionResponse(m)) => m.cause,
            other => panic!("{other:?}"),
        }
    }

    /// Sessions that the shards have.
    fn in_shards(&mut self) -> usize {
        let now = self.now;
        let one = |s: &mut Shard| match s.command(ShardCommand::Status, now) {
            ShardReply::Status(s) => s.sessions,
            _ => panic!(),
        };
        self.shards.iter_mut().map(one).sum()
    }

    /// Everything that could leak, to be compared.
    fn weight(&mut self) -> (usize, usize, usize, usize, usize, usize) {
        let n = &self.n4;
        let sizes = (n.sessions.len(), n.by_ue.len(), n.by_supi.len(), n.by_tunnel.len(), n.changes.len());
        (sizes.0, sizes.1, sizes.2, sizes.3, sizes.4, self.in_shards())
    }
}

fn association(recovery: u32, retains: bool) -> Message {
    AssociationSetupRequest {
        node_id: NodeId::V4(CP),
        recovery: RecoveryTimeStamp(recovery),
        session_retention: retains.then(SessionRetention::default),
        ..Default::default()
    }
    .into()
}

fn ue_address(ue: &str, destination: bool) -> Vec<UeIpAddress> {
    vec![UeIpAddress { destination, v4: Some(ue.parse().unwrap()), ..Default::default() }]
}

/// As an SMF asks for it: uplink with a chosen tunnel endpoint, downlink without a tunnel yet.
fn session(n: u8, ue: &str) -> SessionEstablishmentRequest {
    let uplink = CreatePdr {
        pdr_id: PdrId(1),
        precedence: Some(Precedence(255)),
        pdi: Pdi {
            source_interface: SourceInterface(0),
            local_f_teid: Some(FTeid::Choose { v4: true, v6: false, choose_id: None }),
            ue_ip_addresses: ue_address(ue, false),
            ..Default::default()
        },
        outer_header_removal: Some(OuterHeaderRemoval(0)),
        far_id: Some(FarId(1)),
        qer_ids: vec![QerId(1)],
        ..Default::default()
    };
    let downlink = CreatePdr {
        pdr_id: PdrId(2),
        precedence: Some(Precedence(255)),
        pdi: Pdi {
            source_interface: SourceInterface(1),
            ue_ip_addresses: ue_address(ue, true),
            ..Default::default()
        },
        far_id: Some(FarId(2)),
        qer_ids: vec![QerId(1)],
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
    SessionEstablishmentRequest {
        node_id: NodeId::V4(CP),
        cp_f_seid: FSeid { seid: 0x100 + u64::from(n), v4: Some(CP), v6: None },
        create_pdrs: vec![uplink, downlink],
        create_fars: vec![to_network, to_ue],
        create_qers: vec![CreateQer { qer_id: QerId(1), qfi: Some(Qfi(1)), ..Default::default() }],
        user_id: Some(UserId { imsi: Some(imsi(n)), ..Default::default() }),
        apn_dnn: Some(ApnDnn("corp".parse().unwrap())),
        pdu_session: Some(PduSession(1.try_into().unwrap())),
        ..Default::default()
    }
}

fn tunnel_to(teid: u32, flags: Option<SmReqFlags>) -> SessionModificationRequest {
    SessionModificationRequest {
        update_fars: vec![UpdateFar {
            far_id: FarId(2),
            apply_action: Some(ApplyAction::of(ApplyAction::FORW)),
            forwarding_parameters: Some(UpdateForwardingParameters {
                destination_interface: Some(DestinationInterface(0)),
                outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(teid, GNB)),
                flags,
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn a_session_lives_from_establishment_to_deletion() {
    let mut w = World::new();
    let (seid, teid) = w.made(Peer::Local, session(5, LAPTOP));
    let listed = w.n4.sessions();
    let [g] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((g.cp_seid, g.up_seid, g.supi), (Seid(0x105), Seid(seid), Supi(imsi(5))));
    assert_eq!((g.teid.value(), g.ip.to_string().as_str(), g.dnn.as_str()), (teid, LAPTOP, "corp"));
    assert_eq!(w.modify(Peer::Local, seid, tunnel_to(0x77, None)).cause, Cause::Accepted);
    assert_eq!(w.in_shards(), 1);
    let answer = w.ask_pdu(Peer::Local, Some(seid), SessionDeletionRequest::default().into()).unwrap();
    assert_eq!(answer.seid, Some(0x105));
    assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
    assert_eq!(w.delete(Peer::Local, seid), Cause::SessionContextNotFound);
    assert_eq!(w.modify(Peer::Local, seid, tunnel_to(0x77, None)).cause, Cause::SessionContextNotFound);
}

#[test]
fn an_answer_leaves_when_every_shard_has_confirmed() {
    let mut w = World::new();
    w.held = Some(vec![]);
    let request = Pdu { seid: Some(0), sequence: 900, message: session(5, LAPTOP).into() }.encode();
    assert_eq!(w.raw(Peer::Local, &request), None);
    // It comes again: nothing is done twice.
    assert_eq!(w.raw(Peer::Local, &request), None);
    // A control plane that restarts at this moment hears of it.
    assert_eq!(w.n4.sessions().len(), 1);
    let held = w.held.take().unwrap();
    assert_eq!(held.len(), 3, "Insert, and the owner to both shards");
    for (i, (token, shard, command)) in held.into_iter().enumerate() {
        assert!(w.sent.is_empty(), "{i}");
        let reply = w.shards[usize::from(shard.0)].command(command, w.now);
        w.n4.confirmed(token, reply, w.now);
        w.pump();
    }
    let first = w.sent[0].1.clone();
    assert_eq!(w.n4.sessions().len(), 1);
    // And again: the same answer.
    assert_eq!(w.raw(Peer::Local, &request), Some(first));
    assert_eq!(w.in_shards(), 1);
}

#[test]
fn packets_pass_by_what_pfcp_says() {
    let mut w = World::new();
    let (seid, teid) = w.made(Peer::Local, session(5, LAPTOP));
    let at = usize::from(shard_of(Teid::new(teid).unwrap(), 2).0);
    let mut batch = crate::batch::Batch::new(crate::batch::BatchSize::default());
    let mut run = |w: &mut World, origin, bytes: &[u8]| {
        batch.clear();
        assert!(batch.push(origin, bytes));
        w.shards[at].on_batch(&mut batch, w.now);
        batch.outputs().iter().map(|o| batch.bytes(o.piece).to_vec()).collect::<Vec<_>>()
    };
    let syn = crate::inner::make::tcp(LAPTOP, 1, FILES, 443, crate::inner::SYN);
    let up = crate::batch::Origin::N3 { from: (GNB, 2152).into() };
    let datagram = wire::gtpu::encode_uplink(teid, 1, &syn).unwrap();
    assert_eq!(run(&mut w, up, &datagram), std::slice::from_ref(&syn));
    let answer = crate::inner::make::tcp(FILES, 443, LAPTOP, 1, crate::inner::ACK);
    let down = crate::batch::Origin::N6 { handed: false };
    // No tunnel yet: the control plane hears of the packet that waits.
    assert!(run(&mut w, down, &answer).is_empty());
    let event = w.shards[at].poll_event().unwrap();
    w.sent.clear();
    w.n4.event(event, w.now);
    w.pump();
    let (Peer::Local, Pdu { seid: Some(0x105), message: Message::SessionReportRequest(r), .. }) = &w.sent[0]
    else {
        panic!()
    };
    assert_eq!(r.downlink_data_report.as_ref().unwrap().pdr_ids, [PdrId(2)]);
    w.modify(Peer::Local, seid, tunnel_to(0x77, None));
    let out = run(&mut w, down, &answer);
    let p = wire::gtpu::Packet::parse(&out[0]).unwrap();
    assert_eq!((p.teid, p.payload, p.pdu_session.unwrap().qfi), (0x77, &answer[..], 1));
    // A handover: the old end gets its End Marker.
    w.modify(Peer::Local, seid, tunnel_to(0x78, Some(SmReqFlags(2))));
    let out = run(&mut w, down, &answer);
    assert_eq!((out[0][1], out[0][7], out[1][7]), (254, 0x77, 0x78));
    // The radio gives the endpoint to another session: this one has it no more, until it is told anew.
    let (other, _) = w.made(Peer::Local, session(7, PLC));
    w.modify(Peer::Local, other, tunnel_to(0x78, None));
    assert!(run(&mut w, down, &answer).is_empty());
    w.modify(Peer::Local, seid, tunnel_to(0x78, None));
    assert_eq!(run(&mut w, down, &answer)[0][7], 0x78);
    // The radio gave it up; a stranger's word for it counts nothing.
    let gone =
        |peer: Ipv4Addr| ShardEvent::ErrorIndication { peer: peer.into(), teid: Teid::new(0x78).unwrap() };
    w.sent.clear();
    w.n4.event(gone(Ipv4Addr::new(172, 16, 0, 66)), w.now);
    w.pump();
    assert!(w.sent.is_empty());
    w.n4.event(gone(GNB), w.now);
    w.pump();
    assert!(
        matches!(&w.sent[0].1.message, Message::SessionReportRequest(r) if r.error_indication_report.is_some())
    );
    assert!(run(&mut w, down, &answer).is_empty());
    // R105: answers to reports, for a session that is there or not, change nothing.
    w.delete(Peer::Local, seid);
    let before = w.weight();
    for s in [seid, 0, 77] {
        let m = SessionReportResponse { cause: Cause::Accepted, ..Default::default() };
        assert_eq!(w.ask(Peer::Local, Some(s), m.into()), None);
    }
    assert_eq!(w.weight(), before);
}

#[test]
fn the_captured_core_gets_its_session() {
    let mut w = World::bare();
    let lines = include_str!("../../../fixtures/pfcp/n4.hex");
    let bytes =
        |l: &str| (0..l.len() / 2).map(|i| u8::from_str_radix(&l[2 * i..2 * i + 2], 16).unwrap()).collect();
    let all: Vec<Vec<u8>> = lines.lines().filter(|l| !l.starts_with('#')).map(bytes).collect();
    let of = |kind: u8| all.iter().find(|d| d[1] == kind).unwrap();
    assert!(matches!(w.raw(FOREIGN, of(5)).unwrap().message, Message::AssociationSetupResponse(_)));
    let answer = w.raw(FOREIGN, of(50)).unwrap();
    assert_eq!((answer.seid, answer.sequence), (Some(0xea), 3));
    let Message::SessionEstablishmentResponse(m) = answer.message else { panic!() };
    assert_eq!((m.cause, m.offending_ie), (Cause::Accepted, None));
    let teid = |i: usize| match m.created_pdrs[i].local_f_teid {
        Some(FTeid::Given { teid, .. }) => teid,
        _ => panic!(),
    };
    let ids: Vec<_> = m.created_pdrs.iter().map(|p| p.pdr_id.0).collect();
    assert_eq!(ids, [2, 3, 4]);
    // Equal CHOOSE IDs, equal TEIDs.
    assert!(teid(0) == teid(2) && teid(0) != teid(1));
    let seid = Seid(m.up_f_seid.unwrap().seid);
    let e = &w.n4.sessions[&seid];
    assert_eq!(
        (e.identity.supi.to_string().as_str(), e.identity.ue.to_string().as_str()),
        ("imsi-999700000000001", "10.45.0.2")
    );
    let paths = e.rules.paths(e.identity.ue);
    let open = |t: u32| paths.uplink.iter().find(|(x, _)| x.value() == t).unwrap().1;
    assert!(open(teid(0)).takes(Some(1)) && !open(teid(0)).takes(Some(2)) && !open(teid(0)).takes(None));
    assert_eq!(open(teid(1)), crate::session::Uplink::DROP);
    // Its QER is named by the PDRs of QoS flow 1, and by the one that leads to the UE.
    let kbps = 1_000_000;
    let flow_1 = Uplink { qfis: 1 << 1, without_qfi: false };
    let in_order = paths.uplink.iter().map(|(t, _)| if t.value() == teid(0) { flow_1 } else { Uplink::DROP });
    let expected = [RateOf::Up(in_order.collect()), RateOf::Down].map(|of| Rate { qer: 1, kbps, of });
    assert_eq!(paths.rates, expected);
    // The modification that brings the gNB's tunnel, with our SEID in place of the other core's.
    let mut modification = of(52).clone();
    modification[4..12].copy_from_slice(&seid.0.to_be_bytes());
    let Message::SessionModificationResponse(m) = w.raw(FOREIGN, &modification).unwrap().message else {
        panic!()
    };
    assert_eq!(m.cause, Cause::Accepted);
    let e = &w.n4.sessions[&seid];
    assert!(matches!(
        e.rules.paths(e.identity.ue).downlink,
        crate::session::Downlink::Forward { qfi: Some(1), .. }
    ));
}

/// Decision D4, and the ban at PFCP.
#[test]
fn a_session_without_an_identified_or_with_a_banned_sim_is_not_made() {
    let mut w = World::new();
    for user_id in
        [None, Some(UserId::default()), Some(UserId { nai: Some(b"me@here".to_vec()), ..Default::default() })]
    {
        let m = w.establish(FOREIGN, SessionEstablishmentRequest { user_id, ..session(5, LAPTOP) });
        assert_eq!((m.cause, m.offending_ie), (Cause::ConditionalIeMissing, Some(OffendingIe(141))));
    }
    w.n4.revoke(imsi(5), true);
    assert_eq!(w.establish(Peer::Local, session(5, LAPTOP)).cause, Cause::Rejected);
    w.n4.revoke(imsi(5), false);
    // The shard knows of a ban that this node does not: what was made is taken back.
    for s in &mut w.shards {
        s.command(ShardCommand::Cut { imsi: imsi(5) }, w.now);
    }
    assert_eq!(w.establish(Peer::Local, session(5, LAPTOP)).cause, Cause::Rejected);
    assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
}

#[test]
fn sessions_belong_to_the_peer_that_made_them() {
    let mut w = World::new();
    let (seid, _) = w.made(Peer::Local, session(5, LAPTOP));
    assert_eq!(w.modify(FOREIGN, seid, tunnel_to(1, None)).cause, Cause::SessionContextNotFound);
    assert_eq!(w.delete(FOREIGN, seid), Cause::SessionContextNotFound);
    // R109: the address of a live session, from the same peer for another SIM, from another peer for the same.
    for (peer, n) in [(Peer::Local, 7), (FOREIGN, 7), (FOREIGN, 5)] {
        let m = w.establish(peer, session(n, LAPTOP));
        assert_eq!((m.cause, m.offending_ie), (Cause::RuleFailure, Some(OffendingIe(93))));
    }
    assert_eq!(w.n4.sessions()[0].up_seid, Seid(seid));
    // The same SIM replaces its own.
    let (again, _) = w.made(Peer::Local, session(5, LAPTOP));
    assert_ne!(again, seid);
    assert_eq!((w.in_shards(), w.n4.session_count()), (1, 1));
    assert_eq!(w.delete(Peer::Local, seid), Cause::SessionContextNotFound);
}

#[test]
fn associations_are_for_listed_peers_and_end_with_their_sessions() {
    let mut w = World::bare();
    // Without an association; from nobody we know.
    assert_eq!(w.establish(FOREIGN, session(5, LAPTOP)).cause, Cause::NoAssociation);
    let stranger = Peer::Udp("10.0.0.66".parse().unwrap());
    for m in [association(1, false), HeartbeatRequest::default().into()] {
        assert_eq!(w.ask(stranger, None, m), None);
    }
    w.ask(FOREIGN, None, association(1, false));
    // Another node's name in the same address's session.
    let node_id = NodeId::V4(Ipv4Addr::new(9, 9, 9, 9));
    let m = w.establish(FOREIGN, SessionEstablishmentRequest { node_id, ..session(5, LAPTOP) });
    assert_eq!(m.cause, Cause::NoAssociation);
    w.made(FOREIGN, session(5, LAPTOP));
    // The same again, and a restart that kept its sessions: they stay. A restart that did not: they go.
    for (recovery, retains, left) in [(1, false, 1), (2, true, 1), (3, false, 0)] {
        w.ask(FOREIGN, None, association(recovery, retains));
        assert_eq!(w.in_shards(), left, "{recovery}");
    }
    w.made(FOREIGN, session(5, LAPTOP));
    let release =
        |a: u8| AssociationReleaseRequest { node_id: NodeId::V4([10, 0, 0, a].into()), ..Default::default() };
    for (node, cause, left) in
        [(9, Cause::NoAssociation, 1), (4, Cause::Accepted, 0), (4, Cause::NoAssociation, 0)]
    {
        let answer = w.ask(FOREIGN, None, release(node).into());
        assert!(matches!(answer, Some(Message::AssociationReleaseResponse(m)) if m.cause == cause));
        assert_eq!(w.in_shards(), left);
    }
    assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
}

#[test]
fn our_own_control_plane_keeps_its_sessions_over_a_restart() {
    let mut w = World::new();
    let (seid, teid) = w.made(Peer::Local, session(5, LAPTOP));
    w.ask(Peer::Local, None, association(99, true));
    assert_eq!(w.n4.sessions()[0].up_seid, Seid(seid));
    // The gateway restarts: the old TEID is given explicitly, by our own control plane only.
    let mut fresh = World::new();
    let explicit = |n, ue: &str, teid, v4| {
        let mut m = session(n, ue);
        m.create_pdrs[0].pdi.local_f_teid = Some(FTeid::Given { teid, v4, v6: None });
        m
    };
    let m = fresh.establish(FOREIGN, explicit(5, LAPTOP, teid, Some(N3)));
    assert_eq!((m.cause, m.offending_ie), (Cause::InvalidFteidAllocation, Some(OffendingIe(21))));
    let m = fresh.establish(Peer::Local, explicit(5, LAPTOP, teid, Some(GNB)));
    assert_eq!(m.cause, Cause::InvalidFteidAllocation);
    let m = fresh.establish(Peer::Local, explicit(5, LAPTOP, teid, Some(N3)));
    assert_eq!((m.cause, m.created_pdrs.len()), (Cause::Accepted, 0));
    assert_eq!(fresh.n4.sessions()[0].teid.value(), teid);
    // Another session may not have it; the same SIM's next one may.
    assert_eq!(
        fresh.establish(Peer::Local, explicit(7, PLC, teid, Some(N3))).cause,
        Cause::InvalidFteidAllocation
    );
    assert_eq!(fresh.establish(Peer::Local, explicit(5, LAPTOP, teid, Some(N3))).cause, Cause::Accepted);
    assert_eq!((fresh.in_shards(), fresh.n4.session_count()), (1, 1));
}

/// R91, R93: heartbeats and associations that are cut; nothing half stays.
#[test]
fn cut_node_messages_leave_no_half_association() {
    let mut w = World::bare();
    let bare = |kind: u8, body: &[u8]| {
        let mut d = vec![0x20, kind, 0, 4 + body.len() as u8, 0, 0, 1, 0];
        d.extend_from_slice(body);
        d
    };
    for body in [&[][..], &[0, 96, 0, 0], &[0, 96, 0, 2, 1, 1], &[0, 96, 0, 9, 1, 1, 1, 1]] {
        assert_eq!(w.raw(FOREIGN, &bare(1, body)), None);
    }
    let node = [0, 60, 0, 5, 0, 10, 0, 0, 4];
    for (tail, cause) in [
        (&[][..], Cause::MandatoryIeMissing),
        (&[0, 96, 0, 0], Cause::InvalidLength),
        (&[0, 96, 0, 200, 1, 1, 1, 1], Cause::InvalidLength),
    ] {
        let answer = w.raw(FOREIGN, &bare(5, &[&node[..], tail].concat())).unwrap();
        assert!(matches!(answer.message, Message::AssociationSetupResponse(m) if m.cause == cause));
        assert!(w.n4.associations.is_empty());
    }
    // R95: Node IDs without an end from one peer are one association: by IPv4, IPv6 and name.
    for i in 0..300_000u32 {
        let node_id = match i % 3 {
            0 => NodeId::V4(i.into()),
            1 => NodeId::V6(u128::from(i).into()),
            _ => NodeId::Fqdn([&[7][..], format!("s{i:06}").as_bytes()].concat()),
        };
        let m = AssociationSetupRequest { node_id, ..Default::default() };
        assert!(w.ask(FOREIGN, None, m.into()).is_some());
        w.states.clear();
        w.sent.clear();
    }
    assert_eq!((w.n4.associations.len(), w.n4.restorations.len()), (1, 1));
    assert_eq!(w.n4.answers.weight(FOREIGN).0, answers::KEPT);
    // Requests as large as they can be, in the same half minute.
    for n in 0..1_000u32 {
        let body =
            [&node[..], &[0, 96, 0, 4, 1, 1, 1, 1], &[0xff, 0xf0, 0xea, 0x60], &[0; 60_000][..]].concat();
        let len = (body.len() as u16 + 4).to_be_bytes();
        let sequence = (n << 8).to_be_bytes();
        w.raw(FOREIGN, &[&[0x20, 5][..], &len, &sequence, &body].concat()).expect("an answer");
        w.states.clear();
        w.sent.clear();
    }
    let (kept, octets) = w.n4.answers.weight(FOREIGN);
    assert!(kept < 300 && octets <= answers::KEPT_OCTETS, "{kept}, {octets}");
    assert_eq!(w.n4.associations.len(), 1);
}

/// R95: endless sessions; R97, R99, R101, R103, R107: rules that do not hold. Nothing stays of any of them.
#[test]
fn refused_sessions_leave_nothing() {
    let mut w = World::new();
    let (live, _) = w.made(Peer::Local, session(7, PLC));
    w.modify(Peer::Local, live, tunnel_to(7, None));
    let before = w.weight();
    type Change = fn(&mut SessionEstablishmentRequest);
    let cases: [(Change, Cause, u16); 23] = [
        (|m| m.create_pdrs[0].far_id = None, Cause::ConditionalIeMissing, 108),
        (|m| m.create_pdrs[1].far_id = None, Cause::ConditionalIeMissing, 108),
        (|m| m.create_pdrs[0].far_id = Some(FarId(9)), Cause::RuleFailure, 108),
        (|m| m.create_pdrs[0].qer_ids = vec![QerId(9)], Cause::RuleFailure, 109),
        (|m| m.create_pdrs[0].urr_ids = vec![UrrId(65_535)], Cause::RuleFailure, 81),
        (|m| m.create_pdrs[1].pdr_id = PdrId(1), Cause::RuleFailure, 56),
        (|m| m.create_fars[1].far_id = FarId(1), Cause::RuleFailure, 108),
        (|m| m.create_pdrs[0].precedence = None, Cause::MandatoryIeMissing, 29),
        (|m| m.create_pdrs[0].pdi.source_interface = SourceInterface(9), Cause::MandatoryIeIncorrect, 20),
        (
            |m| {
                m.create_fars[0].forwarding_parameters.as_mut().unwrap().destination_interface =
                    DestinationInterface(9)
            },
            Cause::MandatoryIeIncorrect,
            42,
        ),
        (
            |m| {
                m.create_fars[1].forwarding_parameters = Some(ForwardingParameters {
                    destination_interface: DestinationInterface(0x0f),
                    ..Default::default()
                })
            },
            Cause::MandatoryIeIncorrect,
            42,
        ),
        (|m| m.create_fars[0].forwarding_parameters = None, Cause::ConditionalIeMissing, 4),
        (|m| outer(m, OuterHeaderCreation::gtpu_v4(0, GNB)), Cause::RuleFailure, 84),
        (|m| outer(m, OuterHeaderCreation::gtpu_v4(1, Ipv4Addr::LOCALHOST)), Cause::RuleFailure, 84),
        // Our N3 is IPv4: nothing can be sent to an IPv6 address.
        (|m| outer(m, OuterHeaderCreation::gtpu(1, "fd00::2".parse().unwrap())), Cause::RuleFailure, 84),
        (
            |m| {
                outer(
                    m,
                    OuterHeaderCreation {
                        description: 0x0400,
                        v4: Some(GNB),
                        port: Some(8805),
                        ..Default::default()
                    },
                )
            },
            Cause::RuleFailure,
            84,
        ),
        (
            |m| {
                m.create_pdrs[0].pdi.local_f_teid =
                    Some(FTeid::Choose { v4: false, v6: true, choose_id: None })
            },
            Cause::InvalidFteidAllocation,
            21,
        ),
        (
            |m| m.create_pdrs[0].pdi.local_f_teid = Some(FTeid::Given { teid: 0, v4: Some(N3), v6: None }),
            Cause::InvalidFteidAllocation,
            21,
        ),
        (|m| m.create_pdrs[0].pdi.ue_ip_addresses = ue_address("10.20.0.99", false), Cause::RuleFailure, 93),
        (|m| m.create_pdrs[0].pdi.ue_ip_addresses.push(ue_address(PLC, false)[0]), Cause::RuleFailure, 93),
        (|m| m.create_pdrs.iter_mut().for_each(|p| p.pdi.ue_ip_addresses.clear()), Cause::RuleFailure, 93),
        (
            |m| m.create_pdrs.iter_mut().for_each(|p| p.pdi.ue_ip_addresses = ue_address("224.0.0.1", true)),
            Cause::RuleFailure,
            93,
        ),
        (
            |m| m.create_pdrs.iter_mut().for_each(|p| p.pdi.ue_ip_addresses[0].choose_v4 = true),
            Cause::RuleFailure,
            93,
        ),
    ];
    for (i, (change, cause, offending)) in cases.into_iter().enumerate() {
        for n in [5, 6, 8] {
            let mut m = session(n, &format!("10.20.0.{n}"));
            change(&mut m);
            let m = w.establish(Peer::Local, m);
            assert_eq!((m.cause, m.offending_ie), (cause, Some(OffendingIe(offending))), "case {i}");
            assert_eq!(w.weight(), before, "case {i}");
        }
    }
    // Too many rules.
    for n in [65u16, 300, 600] {
        let mut m = session(5, LAPTOP);
        m.create_pdrs = (0..n).map(|i| CreatePdr { pdr_id: PdrId(i), ..m.create_pdrs[0].clone() }).collect();
        assert_eq!(w.establish(Peer::Local, m).cause, Cause::NoResources);
        assert_eq!(w.weight(), before);
    }
    // The same in modifications: the live session stays as it was.
    let bad: [fn(&mut SessionModificationRequest); 5] = [
        |m| m.update_fars[0].far_id = FarId(77),
        |m| m.remove_fars = vec![RemoveFar { far_id: FarId(1), ..Default::default() }],
        |m| m.remove_pdrs = vec![RemovePdr { pdr_id: PdrId(9), ..Default::default() }],
        |m| m.update_qers = vec![UpdateQer { qer_id: QerId(9), ..Default::default() }],
        |m| {
            let p = m.update_fars[0].forwarding_parameters.as_mut().unwrap();
            p.destination_interface = Some(DestinationInterface(9));
        },
    ];
    let rules = w.n4.sessions[&Seid(live)].rules.clone();
    for change in bad {
        for _ in 0..3 {
            let mut m = tunnel_to(0x99, None);
            change(&mut m);
            let r = w.modify(Peer::Local, live, m);
            assert!(!r.cause.is_accepted());
            assert_eq!(w.n4.sessions[&Seid(live)].rules, rules);
        }
    }
    assert_eq!(w.weight(), before);
    // Endless sessions: of one SIM, then of many.
    let accepted = |w: &mut World, n: u8, i: u8| {
        w.establish(Peer::Local, session(n, &format!("10.20.1.{i}"))).cause.is_accepted()
    };
    assert_eq!((0..40).filter(|i| accepted(&mut w, 30, *i)).count(), 15);
    assert_eq!((0..99).filter(|i| accepted(&mut w, *i, 100 + *i)).count(), 50 - 16);
    assert!(w.n4.session_count() == 50 && w.in_shards() == 50);
}

fn outer(m: &mut SessionEstablishmentRequest, o: OuterHeaderCreation) {
    m.create_fars[1].forwarding_parameters = Some(ForwardingParameters {
        destination_interface: DestinationInterface(0),
        outer_header_creation: Some(o),
        ..Default::default()
    });
}

/// R99: twice in a row; R111 and garbage: silence or a refusal, and everything as before.
#[test]
fn cut_session_messages_are_refused_and_change_nothing() {
    let mut w = World::new();
    let (live, _) = w.made(Peer::Local, session(7, PLC));
    let before = w.weight();
    let good = Pdu { seid: Some(live), sequence: 70_000, message: tunnel_to(5, None).into() }.encode();
    for cut in 1..good.len() {
        // Without mending the length: not even a message (R111).
        assert_eq!(w.raw(Peer::Local, &good[..cut]), None);
        assert_eq!(w.raw(Peer::Local, &[&good[..], &vec![0; cut]].concat()), None);
        let mut d = good[..cut].to_vec();
        if cut > 16 {
            d[2..4].copy_from_slice(&((cut - 4) as u16).to_be_bytes());
            d[12..15].copy_from_slice(&[2, (cut >> 8) as u8, cut as u8]);
            let answers = [w.raw(Peer::Local, &d).unwrap(), w.raw(Peer::Local, &d).unwrap()];
            assert_eq!(answers[0], answers[1]);
            assert_eq!(answers[0].seid, Some(0x107));
            assert!(
                matches!(&answers[0].message, Message::SessionModificationResponse(m) if !m.cause.is_accepted())
            );
        }
    }
    assert_eq!(w.weight(), before);
    let version = w.raw(Peer::Local, &[0x40, 50, 0, 4, 0, 0, 9, 0]).unwrap();
    assert_eq!((version.message.kind(), version.sequence), (11, 9));
}

#[test]
fn an_idle_ue_gets_no_packets_and_its_tunnel_back() {
    let mut w = World::new();
    let (seid, _) = w.made(Peer::Local, session(5, LAPTOP));
    w.modify(Peer::Local, seid, tunnel_to(0x77, None));
    let paths = |w: &World| w.n4.sessions[&Seid(seid)].rules.paths(UeIp(LAPTOP.parse().unwrap()));
    let active = paths(&w);
    let only = |action| SessionModificationRequest {
        update_fars: vec![UpdateFar {
            far_id: FarId(2),
            apply_action: Some(ApplyAction::of(action)),
            ..Default::default()
        }],
        ..Default::default()
    };
    w.modify(Peer::Local, seid, only(ApplyAction::BUFF | ApplyAction::NOCP));
    assert_eq!(paths(&w).downlink, crate::session::Downlink::Wait);
    w.modify(Peer::Local, seid, only(ApplyAction::FORW));
    assert_eq!(paths(&w), active);
    // Of several the one that lets least through.
    w.modify(Peer::Local, seid, only(ApplyAction::FORW | ApplyAction::BUFF));
    assert_eq!(paths(&w).downlink, crate::session::Downlink::Wait);
    for all in [ApplyAction::FORW | ApplyAction::DROP, ApplyAction::BUFF | ApplyAction::DROP] {
        w.modify(Peer::Local, seid, only(all));
        assert_eq!(paths(&w).downlink, crate::session::Downlink::NoTunnel);
    }
    w.modify(Peer::Local, seid, only(ApplyAction::FORW));
    // A closed gate closes what it says.
    let gate = |g| SessionModificationRequest {
        update_qers: vec![UpdateQer {
            qer_id: QerId(1),
            gate_status: Some(GateStatus(g)),
            ..Default::default()
        }],
        ..Default::default()
    };
    w.modify(Peer::Local, seid, gate(0b0100));
    assert_eq!(paths(&w).uplink[0].1, crate::session::Uplink::DROP);
    w.modify(Peer::Local, seid, gate(0b0001));
    assert_eq!(
        (paths(&w).uplink[0].1, paths(&w).downlink),
        (crate::session::Uplink::FORWARD, crate::session::Downlink::Drop)
    );
}

#[test]
fn a_qers_rate_is_that_of_all_packets_of_the_pdrs_that_name_it() {
    let mut w = World::new();
    let mbr = |uplink, downlink| Some(Mbr { uplink, downlink });
    let mut m = session(5, LAPTOP);
    m.create_qers[0].mbr = mbr(100, 200);
    m.create_qers.push(CreateQer { qer_id: QerId(2), mbr: mbr(7, 8), ..Default::default() });
    let (seid, _) = w.made(Peer::Local, m);
    let rates = |w: &World| {
        let e = &w.n4.sessions[&Seid(seid)];
        e.rules.paths(e.identity.ue).rates
    };
    let rate = |kbps, of| Rate { qer: 1, kbps, of };
    assert_eq!(rates(&w), [rate(100, RateOf::AllUp), rate(200, RateOf::Down)]);
    let change = UpdateQer { qer_id: QerId(1), mbr: mbr(300, 400), ..Default::default() };
    w.modify(
        Peer::Local,
        seid,
        SessionModificationRequest { update_qers: vec![change], ..Default::default() },
    );
    assert_eq!(rates(&w), [rate(300, RateOf::AllUp), rate(400, RateOf::Down)]);
    // Both QERs for the uplink: both count.
    let qer_ids = vec![QerId(1), QerId(2)];
    let both = UpdatePdr { pdr_id: PdrId(1), qer_ids, ..Default::default() };
    w.modify(Peer::Local, seid, SessionModificationRequest { update_pdrs: vec![both], ..Default::default() });
    let second = Rate { qer: 2, kbps: 7, of: RateOf::AllUp };
    assert_eq!(rates(&w), [rate(300, RateOf::AllUp), rate(400, RateOf::Down), second]);
}

/// Where N3 is IPv6: tunnel endpoints are, radios are, and of two addresses the one that can be reached is taken.
#[test]
fn n3_may_be_ipv6() {
    let mut w = World::new();
    let us: IpAddr = "fd00::1".parse().unwrap();
    w.n4.config.n3 = us;
    let radio: std::net::Ipv6Addr = "fd00::2".parse().unwrap();
    let by = |to: OuterHeaderCreation| {
        let mut m = session(1, LAPTOP);
        m.create_pdrs[0].pdi.local_f_teid = Some(FTeid::Choose { v4: false, v6: true, choose_id: None });
        outer(&mut m, to);
        m
    };
    let both = OuterHeaderCreation {
        description: OuterHeaderCreation::GTPU_V4 | OuterHeaderCreation::GTPU_V6,
        v4: Some(GNB),
        ..OuterHeaderCreation::gtpu(9, radio.into())
    };
    for to in [OuterHeaderCreation::gtpu(9, radio.into()), both] {
        let m = w.establish(Peer::Local, by(to));
        assert_eq!(m.cause, Cause::Accepted);
        let Some(FTeid::Given { teid, v4: None, v6 }) = m.created_pdrs[0].local_f_teid else {
            panic!("{m:?}")
        };
        assert_eq!(v6.map(IpAddr::from), Some(us), "{teid}");
        let peers: Vec<_> = w.n4.by_tunnel.keys().map(|(peer, _)| *peer).collect();
        assert_eq!(peers, [IpAddr::V6(radio)]);
    }
    for bad in
        [GNB.to_ipv6_mapped(), "::".parse().unwrap(), "::1".parse().unwrap(), "ff02::1".parse().unwrap()]
    {
        let m = w.establish(Peer::Local, by(OuterHeaderCreation::gtpu(9, bad.into())));
        assert_eq!(m.cause, Cause::RuleFailure, "{bad}");
    }
    assert_eq!(w.establish(Peer::Local, by(OuterHeaderCreation::gtpu_v4(9, GNB))).cause, Cause::RuleFailure);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Random orders of good and bad requests: the node and the shards never disagree, nothing leaks.
    #[test]
    fn node_and_shards_agree(steps in prop::collection::vec((0u8..6, 0u8..4, any::<bool>(), any::<u8>()), 1..60)) {
        let mut w = World::new();
        let mut live: Vec<(Peer, u64)> = vec![];
        for (what, n, local, x) in steps {
            let peer = if local { Peer::Local } else { FOREIGN };
            let pick = live.get(usize::from(n) % live.len().max(1)).copied().unwrap_or((peer, u64::from(x)));
            match what {
                0 | 1 => {
                    let m = w.establish(peer, session(n, &format!("10.20.0.{}", x % 4)));
                    if let Some(f) = m.up_f_seid { live.push((peer, f.seid)); }
                }
                2 => { w.modify(pick.0, pick.1, tunnel_to(u32::from(x), None)); }
                3 => { w.delete(pick.0, pick.1); }
                4 => { w.ask(peer, None, association(u32::from(x % 3), x > 128)); }
                _ => {
                    let imsi = imsi(n);
                    w.n4.revoke(imsi, x % 2 == 0);
                }
            }
            w.now = w.now.plus_ms(u64::from(x) * 100);
            let (sessions, ues, _, _, changes, in_shards) = w.weight();
            prop_assert_eq!((sessions, ues, changes), (in_shards, in_shards, 0));
        }
        w.ask(FOREIGN, None, association(1000, false));
        for s in w.n4.sessions_of(Peer::Local) {
            w.delete(Peer::Local, s.0);
        }
        prop_assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
    }

    #[test]
    fn anything_may_come(at in 0usize..300, value: u8, cut in 0usize..300, mend: bool) {
        let mut w = World::new();
        w.made(Peer::Local, session(7, PLC));
        let mut d = Pdu { seid: Some(0), sequence: 500, message: session(5, LAPTOP).into() }.encode();
        if let Some(b) = d.get_mut(at) { *b = value; }
        d.truncate(cut.max(20));
        if mend {
            let n = ((d.len() - 4) as u16).to_be_bytes();
            d[2..4].copy_from_slice(&n);
        }
        w.raw(FOREIGN, &d);
        w.raw(Peer::Local, &d);
        let (sessions, _, _, _, changes, in_shards) = w.weight();
        prop_assert!(sessions == in_shards && changes == 0 && sessions <= 2);
    }
}

/// What lies behind a SIM is carried by its session of that data network, whoever made the session and whenever the route
/// came; a session that takes over takes the route, too.
#[test]
fn networks_behind_a_sim_follow_its_session() {
    let mut w = World::new();
    let route = |n: u8, prefix: &str| types::FramedRoute {
        imsi: imsi(n),
        dnn: "corp".parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    };
    let mut batch = crate::batch::Batch::new(crate::batch::BatchSize::default());
    let mut sent = |w: &mut World, teid: u32, from: &str| {
        let packet = crate::inner::make::tcp(from, 1, FILES, 443, crate::inner::SYN);
        let datagram = wire::gtpu::encode_uplink(teid, 1, &packet).unwrap();
        batch.clear();
        assert!(batch.push(crate::batch::Origin::N3 { from: (GNB, 2152).into() }, &datagram));
        let at = usize::from(shard_of(Teid::new(teid).unwrap(), 2).0);
        w.shards[at].on_batch(&mut batch, w.now);
        batch.outputs().len()
    };
    let (lan, host) = ("192.168.10.0/24", "192.168.10.7");
    w.n4.set_routes(vec![route(5, lan)]);
    w.pump();
    let (_, five) = w.made(Peer::Local, session(5, LAPTOP));
    let (_, seven) = w.made(Peer::Local, session(7, PLC));
    assert_eq!((sent(&mut w, five, host), sent(&mut w, seven, host)), (1, 0));
    // It moves to the other SIM while both live.
    w.n4.set_routes(vec![route(7, lan)]);
    w.pump();
    assert_eq!((sent(&mut w, five, host), sent(&mut w, seven, host)), (0, 1));
    // Another session of the same SIM in the same data network takes it over; in another one it does not.
    let (_, second) = w.made(Peer::Local, session(7, "10.20.0.9"));
    assert_eq!((sent(&mut w, seven, host), sent(&mut w, second, host)), (0, 1));
    let mut elsewhere = session(7, "10.20.0.10");
    elsewhere.apn_dnn = Some(ApnDnn("iot".parse().unwrap()));
    let (_, third) = w.made(Peer::Local, elsewhere);
    assert_eq!((sent(&mut w, second, host), sent(&mut w, third, host)), (1, 0));
    w.n4.set_routes(Vec::new());
    w.pump();
    assert_eq!(sent(&mut w, second, host), 0);
}

/// A session's IPv6 prefix: one of 64 bits, nobody else's, the same in all that is said of it.
#[test]
fn a_session_may_have_a_prefix_of_its_own() {
    let mut w = World::new();
    let with = |n: u8, ue: &str, prefix: &str, len: Option<u8>| {
        let mut m = session(n, ue);
        for a in m.create_pdrs.iter_mut().flat_map(|p| &mut p.pdi.ue_ip_addresses) {
            (a.v6, a.v6_length) = (Some(prefix.parse().unwrap()), len);
        }
        m
    };
    let (seid, _) = w.made(Peer::Local, with(5, LAPTOP, "fd00:20:0:5::", None));
    assert_eq!(
        w.n4.sessions.get(&Seid(seid)).unwrap().identity.prefix,
        Some("fd00:20:0:5::/64".parse().unwrap())
    );
    let refused = |w: &mut World, m| {
        let m = w.establish(Peer::Local, m);
        assert_eq!((m.cause, m.offending_ie.map(|o| o.0)), (Cause::RuleFailure, Some(93)));
    };
    refused(&mut w, with(7, PLC, "fd00:20:0:5::1", Some(64)));
    refused(&mut w, with(7, PLC, "fd00:20:0:7::", Some(48)));
    refused(&mut w, with(7, PLC, "fe80::", None));
    let mut two = with(7, PLC, "fd00:20:0:7::", None);
    two.create_pdrs[1].pdi.ue_ip_addresses[0].v6 = Some("fd00:20:0:8::".parse().unwrap());
    refused(&mut w, two);
    // It is free with its session; the SIM's new session takes its old one's place with it.
    w.made(Peer::Local, with(5, LAPTOP, "fd00:20:0:5::", None));
    assert_eq!(w.n4.by_prefix.len(), 1);
    let seid = w.n4.by_prefix.values().next().unwrap().0;
    assert_eq!(w.delete(Peer::Local, seid), Cause::Accepted);
    assert!(w.n4.by_prefix.is_empty());
    w.made(Peer::Local, with(7, PLC, "fd00:20:0:5::", Some(64)));
}
