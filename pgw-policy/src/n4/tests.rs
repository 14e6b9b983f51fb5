//! Stories of N4 with real shards behind it, and control planes that lie. Here is the scene that all of them share.

mod bar;
mod chance;
mod foreign;
mod hostile;
mod paths;
mod peers;
mod refused;
mod sdf;
mod sessions;

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

fn outer(m: &mut SessionEstablishmentRequest, o: OuterHeaderCreation) {
    m.create_fars[1].forwarding_parameters = Some(ForwardingParameters {
        destination_interface: DestinationInterface(0),
        outer_header_creation: Some(o),
        ..Default::default()
    });
}
