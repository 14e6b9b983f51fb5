//! Its PFCP half (N4, Sxb): the information elements that an open core's SMF sends, over a real UDP socket. It waits
//! where a test waits; every datagram of both directions is kept, so that another decoder can judge them.

mod changes;

pub use changes::{Bearer, bearer, idle, query, to_radio, without_bearer};

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use types::{Dnn, Imsi, Snssai};
use wire::pfcp::*;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// Which core it plays: they send other rules for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// A PGW-C: the tunnel's other end is known from the start, no QoS flow.
    Epc,
    /// An SMF: the radio's end comes by a modification, QoS flow 1, usage reported every 100 MiB.
    FiveG,
}

/// A session as it is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which core.
    pub core: Core,
    /// Whose; none sends no User ID.
    pub imsi: Option<Imsi>,
    /// Data network.
    pub dnn: Dnn,
    /// The UE's address; none leaves it to the user plane.
    pub ip: Option<Ipv4Addr>,
    /// The UE's IPv6 address.
    pub ip6: Option<Ipv6Addr>,
    /// The other end of the downlink tunnel (EPC).
    pub radio: Option<(Ipv4Addr, u32)>,
    /// Endpoints that it has from before a restart of the user plane: the UE's, and that of the control plane.
    pub restores: Option<(u32, u32)>,
    /// Usage is reported at this volume.
    pub threshold: Option<u64>,
    /// The control plane's SEID.
    pub seid: u64,
}

/// A session that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The user plane's SEID.
    pub seid: u64,
    /// Its endpoint for packets of the UE.
    pub teid: u32,
    /// Its endpoint for packets of the control plane.
    pub cp_teid: u32,
    /// The UE's address, where it was left to the user plane.
    pub ip: Option<Ipv4Addr>,
}

/// See the module.
#[derive(Debug)]
pub struct Smf {
    socket: UdpSocket,
    at: Ipv4Addr,
    upf: SocketAddr,
    /// Recovery Time Stamp: a new one is a restart.
    pub recovery: u32,
    /// It answers heartbeats.
    pub answers: bool,
    /// The Recovery Time Stamp of the user plane, as it said it last.
    pub upf_recovery: Option<u32>,
    sequence: u32,
    reports: VecDeque<Pdu>,
    /// Every datagram: true where it is ours.
    pub seen: Vec<(bool, Vec<u8>)>,
}

fn fteid(at: Ipv4Addr, given: Option<u32>, choose_id: Option<u8>) -> FTeid {
    match given {
        Some(teid) => FTeid::at(teid, at.into()),
        None => FTeid::Choose { v4: true, v6: true, choose_id },
    }
}

impl Smf {
    /// Opens its socket.
    ///
    /// # Errors
    /// Where the address is not there.
    pub fn open(at: Ipv4Addr, upf: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((at, PORT))?;
        Ok(Self {
            socket,
            at,
            upf,
            recovery: 0xe000_0001,
            answers: true,
            upf_recovery: None,
            sequence: 0,
            reports: VecDeque::new(),
            seen: Vec::new(),
        })
    }

    /// Sends these octets.
    ///
    /// # Errors
    /// Of the socket.
    pub fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.socket.send_to(&bytes, self.upf)?;
        self.seen.push((true, bytes));
        Ok(())
    }

    /// The next datagram; heartbeats are answered on the way, reports are kept.
    fn receive(&mut self, until: Instant) -> io::Result<Option<Pdu>> {
        let mut buffer = [0; 4096];
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(left))?;
        let n = match self.socket.recv_from(&mut buffer) {
            Ok((n, _)) => n,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        let bytes = buffer.get(..n).unwrap_or_default().to_vec();
        let pdu = Pdu::parse(&bytes).map_err(io::Error::other)?;
        self.seen.push((false, bytes));
        match &pdu.message {
            Message::HeartbeatRequest(m) => {
                self.upf_recovery = Some(m.recovery.0);
                if self.answers {
                    let recovery = RecoveryTimeStamp(self.recovery);
                    let message = HeartbeatResponse { recovery, others: Vec::new() }.into();
                    self.send(Pdu { seid: None, sequence: pdu.sequence, message }.encode())?;
                }
            }
            Message::HeartbeatResponse(m) => self.upf_recovery = Some(m.recovery.0),
            Message::SessionReportRequest(_) => self.reports.push_back(pdu.clone()),
            _ => {}
        }
        Ok(Some(pdu))
    }

    /// Does what comes, for so long.
    ///
    /// # Errors
    /// Of the socket, or of the decoder.
    pub fn serve(&mut self, time: Duration) -> io::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.receive(until)?;
        }
        Ok(())
    }

    /// Asks, and waits for the answer; `None`: there is none.
    ///
    /// # Errors
    /// Of the socket, or of the decoder.
    pub fn ask(&mut self, seid: Option<u64>, message: impl Into<Message>) -> io::Result<Option<Message>> {
        self.ask_within(seid, message, PATIENCE)
    }

    /// The same with another patience.
    ///
    /// # Errors
    /// As [`Smf::ask`].
    pub fn ask_within(
        &mut self,
        seid: Option<u64>,
        message: impl Into<Message>,
        patience: Duration,
    ) -> io::Result<Option<Message>> {
        self.sequence += 1;
        let sequence = self.sequence;
        let message = message.into();
        let kind = message.kind();
        self.send(Pdu { seid, sequence, message }.encode())?;
        self.answer_to(kind, sequence, patience)
    }

    /// Waits for an answer of this kind of request.
    ///
    /// # Errors
    /// As [`Smf::ask`].
    pub fn answer_to(&mut self, kind: u8, sequence: u32, patience: Duration) -> io::Result<Option<Message>> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            let Some(pdu) = self.receive(until)? else { continue };
            if pdu.sequence == sequence && pdu.message.kind() == kind + 1 {
                return Ok(Some(pdu.message));
            }
        }
        Ok(None)
    }

    /// Sets up the association; the cause of the answer.
    ///
    /// # Errors
    /// As [`Smf::ask`].
    pub fn associate(&mut self) -> io::Result<Option<AssociationSetupResponse>> {
        let request = AssociationSetupRequest {
            node_id: NodeId::V4(self.at),
            recovery: RecoveryTimeStamp(self.recovery),
            cp_features: Some(CpFunctionFeatures(vec![0])),
            ..Default::default()
        };
        match self.ask(None, request)? {
            Some(Message::AssociationSetupResponse(m)) => {
                self.upf_recovery = Some(m.recovery.0);
                Ok(Some(m))
            }
            _ => Ok(None),
        }
    }

    /// Asks for a session.
    ///
    /// # Errors
    /// As [`Smf::ask`].
    pub fn establish(&mut self, wish: &Wish) -> io::Result<Option<SessionEstablishmentResponse>> {
        let request = self.establishment(wish);
        match self.ask(Some(0), request)? {
            Some(Message::SessionEstablishmentResponse(m)) => Ok(Some(m)),
            _ => Ok(None),
        }
    }

    /// Asks for a session and reads what it got; the cause where it was refused.
    ///
    /// # Errors
    /// As [`Smf::ask`], and where nothing comes, or an answer that lacks what it must have.
    pub fn made(&mut self, wish: &Wish) -> io::Result<Result<Made, Cause>> {
        let missing = || io::Error::other("an answer without what it must have");
        let m = self.establish(wish)?.ok_or_else(|| io::Error::other("no answer"))?;
        if !m.cause.is_accepted() {
            return Ok(Err(m.cause));
        }
        let created = |id: u16| m.created_pdrs.iter().find(|p| p.pdr_id == PdrId(id));
        let teid = |id: u16, before: Option<u32>| match created(id).and_then(|p| p.local_f_teid) {
            Some(FTeid::Given { teid, .. }) => Some(teid),
            _ => before,
        };
        let before = wish.restores.unzip();
        Ok(Ok(Made {
            seid: m.up_f_seid.ok_or_else(missing)?.seid,
            teid: teid(2, before.0).ok_or_else(missing)?,
            cp_teid: teid(3, before.1).ok_or_else(missing)?,
            ip: created(2).and_then(|p| p.ue_ip_addresses.first()).and_then(|a| a.v4),
        }))
    }

    /// The request for a session.
    pub fn establishment(&self, wish: &Wish) -> SessionEstablishmentRequest {
        let upf = match self.upf.ip() {
            std::net::IpAddr::V4(a) => a,
            std::net::IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        establishment(self.at, upf, wish)
    }

    /// Changes a session; the cause of the answer.
    ///
    /// # Errors
    /// As [`Smf::ask`].
    pub fn modify(
        &mut self,
        seid: u64,
        request: SessionModificationRequest,
    ) -> io::Result<Option<SessionModificationResponse>> {
        match self.ask(Some(seid), request)? {
            Some(Message::SessionModificationResponse(m)) => Ok(Some(m)),
            _ => Ok(None),
        }
    }

    /// Deletes a session.
    ///
    /// # Errors
    /// As [`Smf::ask`].
    pub fn delete(&mut self, seid: u64) -> io::Result<Option<SessionDeletionResponse>> {
        match self.ask(Some(seid), SessionDeletionRequest::default())? {
            Some(Message::SessionDeletionResponse(m)) => Ok(Some(m)),
            _ => Ok(None),
        }
    }

    /// The next report of the user plane, answered with this cause; `None`: none came.
    ///
    /// # Errors
    /// As [`Smf::ask`].
    pub fn report(
        &mut self,
        seid: u64,
        cause: Cause,
        within: Duration,
    ) -> io::Result<Option<SessionReportRequest>> {
        let until = Instant::now() + within;
        while self.reports.is_empty() && Instant::now() < until {
            self.receive(until)?;
        }
        let Some(Pdu { sequence, message: Message::SessionReportRequest(m), .. }) = self.reports.pop_front()
        else {
            return Ok(None);
        };
        let message = SessionReportResponse { cause, ..SessionReportResponse::default() }.into();
        self.send(Pdu { seid: Some(seid), sequence, message }.encode())?;
        Ok(Some(m))
    }
}

/// The request of an SMF at `smf` to a user plane at `upf`.
pub fn establishment(smf: Ipv4Addr, upf: Ipv4Addr, wish: &Wish) -> SessionEstablishmentRequest {
    let five_g = wish.core == Core::FiveG;
    let address = |destination| {
        let choose_v4 = wish.ip.is_none();
        vec![UeIpAddress { destination, v4: wish.ip, v6: wish.ip6, choose_v4, ..UeIpAddress::default() }]
    };
    let instance = || Some(NetworkInstance(labels(wish.dnn.as_str())));
    let urr = || if five_g || wish.threshold.is_some() { vec![UrrId(1)] } else { Vec::new() };
    let (ue_teid, cp_teid) = wish.restores.unzip();
    let down = CreatePdr {
        pdr_id: PdrId(1),
        precedence: Some(Precedence(65_535)),
        pdi: Pdi {
            source_interface: SourceInterface(1),
            network_instance: instance(),
            ue_ip_addresses: address(true),
            source_interface_type: Some(InterfaceType(17)),
            ..Pdi::default()
        },
        far_id: Some(FarId(1)),
        urr_ids: urr(),
        qer_ids: vec![QerId(1)],
        ..CreatePdr::default()
    };
    let up = CreatePdr {
        pdr_id: PdrId(2),
        precedence: Some(Precedence(65_535)),
        pdi: Pdi {
            source_interface: SourceInterface(0),
            local_f_teid: Some(fteid(upf, ue_teid, Some(5))),
            network_instance: instance(),
            ue_ip_addresses: if five_g { Vec::new() } else { address(false) },
            qfis: if five_g { vec![Qfi(1)] } else { Vec::new() },
            source_interface_type: Some(InterfaceType(11)),
            ..Pdi::default()
        },
        outer_header_removal: Some(OuterHeaderRemoval(6)),
        far_id: Some(FarId(2)),
        urr_ids: if wish.threshold.is_some() { urr() } else { Vec::new() },
        qer_ids: vec![QerId(1)],
        ..CreatePdr::default()
    };
    let from_cp = CreatePdr {
        pdr_id: PdrId(3),
        precedence: Some(Precedence(255)),
        pdi: Pdi {
            source_interface: SourceInterface(3),
            local_f_teid: Some(fteid(upf, cp_teid, None)),
            ..Pdi::default()
        },
        outer_header_removal: Some(OuterHeaderRemoval(6)),
        far_id: Some(FarId(1)),
        ..CreatePdr::default()
    };
    let solicitations = CreatePdr {
        pdr_id: PdrId(4),
        precedence: Some(Precedence(255)),
        pdi: Pdi {
            source_interface: SourceInterface(0),
            local_f_teid: Some(fteid(upf, ue_teid, Some(5))),
            network_instance: instance(),
            sdf_filters: vec![flow("permit out 58 from ff02::2/128 to assigned")],
            source_interface_type: Some(InterfaceType(11)),
            ..Pdi::default()
        },
        outer_header_removal: Some(OuterHeaderRemoval(6)),
        far_id: Some(FarId(3)),
        ..CreatePdr::default()
    };
    SessionEstablishmentRequest {
        node_id: NodeId::V4(smf),
        cp_f_seid: FSeid::at(wish.seid, smf.into()),
        create_pdrs: vec![down, up, from_cp, solicitations],
        create_fars: vec![towards_radio(wish, instance()), to_network(instance()), to_cp(smf)],
        create_urrs: urr().into_iter().map(|id| usage(id, wish.threshold)).collect(),
        create_qers: vec![CreateQer {
            qer_id: QerId(1),
            gate_status: GateStatus(0),
            mbr: Some(Mbr { uplink: 1_000_000, downlink: 1_000_000 }),
            qfi: five_g.then_some(Qfi(1)),
            ..CreateQer::default()
        }],
        pdn_type: Some(PdnType(if wish.ip6.is_some() { 3 } else { 1 })),
        user_id: wish.imsi.map(|imsi| UserId { imsi: Some(imsi), ..UserId::default() }),
        apn_dnn: Some(ApnDnn(wish.dnn.clone())),
        s_nssai: five_g.then_some(SNssai(Snssai { sst: 1, sd: None })),
        flags: wish.restores.map(|_| SeReqFlags(1)),
        // It says nothing but its number.
        create_bar: Some(CreateBar { bar_id: BarId(1), ..CreateBar::default() }),
        ..SessionEstablishmentRequest::default()
    }
}

fn towards_radio(wish: &Wish, network_instance: Option<NetworkInstance>) -> CreateFar {
    let to = |(radio, teid): (Ipv4Addr, u32)| ForwardingParameters {
        destination_interface: DestinationInterface(0),
        network_instance,
        outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(teid, radio)),
        destination_interface_type: Some(InterfaceType(11)),
        ..ForwardingParameters::default()
    };
    let action = if wish.radio.is_some() { ApplyAction::FORW } else { WAIT };
    CreateFar {
        far_id: FarId(1),
        apply_action: ApplyAction::of(action),
        forwarding_parameters: wish.radio.map(to),
        bar_id: wish.radio.is_none().then_some(BarId(1)),
        ..CreateFar::default()
    }
}

fn to_cp(smf: Ipv4Addr) -> CreateFar {
    CreateFar {
        far_id: FarId(3),
        apply_action: ApplyAction::of(ApplyAction::FORW),
        forwarding_parameters: Some(ForwardingParameters {
            destination_interface: DestinationInterface(3),
            outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(1, smf)),
            ..ForwardingParameters::default()
        }),
        ..CreateFar::default()
    }
}

/// Apply Action of an idle UE: buffer, and say so.
const WAIT: u8 = ApplyAction::BUFF | ApplyAction::NOCP;

fn to_network(network_instance: Option<NetworkInstance>) -> CreateFar {
    CreateFar {
        far_id: FarId(2),
        apply_action: ApplyAction::of(ApplyAction::FORW),
        forwarding_parameters: Some(ForwardingParameters {
            destination_interface: DestinationInterface(1),
            network_instance,
            destination_interface_type: Some(InterfaceType(17)),
            ..ForwardingParameters::default()
        }),
        ..CreateFar::default()
    }
}

fn usage(urr_id: UrrId, threshold: Option<u64>) -> CreateUrr {
    let total = Some(threshold.unwrap_or(100 << 20));
    CreateUrr {
        urr_id,
        method: MeasurementMethod(2),
        triggers: ReportingTriggers::of(ReportingTriggers::VOLTH),
        volume_threshold: Some(VolumeThreshold { total, uplink: None, downlink: None }),
        ..CreateUrr::default()
    }
}

fn labels(dnn: &str) -> Vec<u8> {
    let label = |l: &str| [&[l.len() as u8], l.as_bytes()].concat();
    dnn.split('.').flat_map(label).collect()
}

/// An SDF filter with a flow description (TS 29.244 §8.2.5).
fn flow(description: &str) -> SdfFilter {
    SdfFilter { flow: description.parse().ok(), ..SdfFilter::default() }
}
