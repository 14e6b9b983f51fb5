//! What the gateway is told of a session (TS 29.244 §5.2): one uplink PDR with its tunnel endpoint, one downlink
//! PDR with the UE's address, a FAR for each, one QER.

use super::super::Amf;
use super::super::ue::Reach;
use super::establish::QFI;
use super::n4::Purpose;
use ipnet::Ipv6Net;
use std::net::{IpAddr, Ipv4Addr};
use types::{Dnn, GatewaySession, PduSessionId, Seid, Snssai, Supi, Teid, UeIp};
use wire::ngap::transfer::Tunnel;
use wire::pfcp::{
    ApnDnn, ApplyAction, CreateFar, CreatePdr, CreateQer, CreatedPdr, DestinationInterface, FSeid, FTeid,
    FarId, ForwardingParameters, GateStatus, InterfaceType, Mbr, NodeId, OuterHeaderCreation,
    OuterHeaderRemoval, Pdi, PdnType, PdrId, PduSession, Precedence, QerId, Qfi, SNssai,
    SessionEstablishmentRequest, SessionModificationRequest, SmReqFlags, SourceInterface, UeIpAddress,
    UpdateFar, UpdateForwardingParameters, UpdateQer, UserId,
};

const UPLINK_PDR: PdrId = PdrId(1);
const DOWNLINK_PDR: PdrId = PdrId(2);
const UPLINK_FAR: FarId = FarId(1);
const DOWNLINK_FAR: FarId = FarId(2);
const QER: QerId = QerId(1);
/// Interface values (TS 29.244 §8.2.2) and 3GPP interface types (§8.2.118: N3 3GPP access, N6).
const ACCESS: u8 = 0;
const CORE: u8 = 1;
const N3: InterfaceType = InterfaceType(11);
const N6: InterfaceType = InterfaceType(17);
/// Outer Header Removal: GTP-U/UDP/IPv4 and GTP-U/UDP/IPv6 (§8.2.64).
const GTPU_UDP_IPV4: OuterHeaderRemoval = OuterHeaderRemoval(0);
const GTPU_UDP_IPV6: OuterHeaderRemoval = OuterHeaderRemoval(1);

/// PFCPSMReq-Flags: SNDEM (§8.2.31).
const SEND_END_MARKERS: SmReqFlags = SmReqFlags(0x02);

/// What a session is made of, as its establishment says it to the gateway.
#[derive(Debug, Clone)]
pub struct Establishment {
    /// Node ID and F-SEID address of the control plane.
    pub cp: Ipv4Addr,
    /// The gateway's N3 address, where it is known: the family of the tunnel endpoint that it chooses.
    pub n3: Option<IpAddr>,
    /// Whose session.
    pub supi: Supi,
    /// Which of the UE's sessions.
    pub id: PduSessionId,
    /// The control plane's end.
    pub seid: Seid,
    /// The UE's address.
    pub ip: UeIp,
    /// Its IPv6 prefix, of 64 bits.
    pub prefix: Option<Ipv6Net>,
    /// Data network.
    pub dnn: Dnn,
    /// Slice.
    pub slice: Option<Snssai>,
    /// The tunnel endpoint that it has, with its address; the gateway chooses where there is none.
    pub teid: Option<(Teid, IpAddr)>,
    /// The radio's end of the tunnel; without one the downlink drops.
    pub radio: Option<Tunnel>,
    /// Session AMBR, uplink and downlink, bits per second.
    pub ambr: Option<(u64, u64)>,
}

impl Amf {
    /// The request that makes a session, or makes it anew with the tunnel endpoint that it had.
    pub(super) fn establishment(&self, supi: Supi, id: PduSessionId) -> Option<SessionEstablishmentRequest> {
        let ue = self.registry.ue(supi)?;
        let (s, sub) = (ue.sessions.get(&id)?, ue.subscription.as_ref()?);
        Some(SessionEstablishmentRequest::from(Establishment {
            cp: self.config.cp_address,
            n3: self.config.n3_address,
            supi,
            id,
            seid: s.seid,
            ip: s.address.as_ref()?.ip,
            prefix: s.prefix(),
            dnn: s.dnn.clone(),
            slice: Some(s.slice),
            teid: s.up.map(|up| (up.teid, up.n3)),
            radio: s.radio,
            ambr: Some((sub.ambr_ul_bps, sub.ambr_dl_bps)),
        }))
    }

    /// The request that makes a session anew which we only know from the gateway. Its slice and its AMBR are those of
    /// the subscription, which is not known before its UE speaks.
    pub(super) fn reestablishment(&self, g: &GatewaySession) -> Option<SessionEstablishmentRequest> {
        let n3 = self.config.n3_address?;
        Some(SessionEstablishmentRequest::from(Establishment {
            cp: self.config.cp_address,
            n3: Some(n3),
            supi: g.supi,
            id: g.pdu_session_id,
            seid: g.cp_seid,
            ip: g.ip,
            prefix: g.prefix,
            dnn: g.dnn.clone(),
            slice: None,
            teid: Some((g.teid, n3)),
            radio: g.radio.map(|(address, teid)| Tunnel::new(address, teid)),
            ambr: None,
        }))
    }

    /// Opens the downlink towards the gNB.
    pub(super) fn n4_forward(&mut self, supi: Supi, id: PduSessionId) {
        self.n4_to_radio(supi, id, None);
    }

    /// Turns the downlink to another gNB, with End Markers behind what went to the old one (TS 23.501 §5.8.2.9).
    pub(in crate::nr) fn n4_switch(&mut self, supi: Supi, id: PduSessionId) {
        self.n4_to_radio(supi, id, Some(SEND_END_MARKERS));
    }

    fn n4_to_radio(&mut self, supi: Supi, id: PduSessionId, flags: Option<SmReqFlags>) {
        let Some((seid, up, tunnel)) = self.session(supi, id).and_then(|s| Some((s.seid, s.up?, s.radio?)))
        else {
            return;
        };
        let far = UpdateFar {
            far_id: DOWNLINK_FAR,
            apply_action: Some(ApplyAction::of(ApplyAction::FORW)),
            forwarding_parameters: Some(UpdateForwardingParameters {
                destination_interface: Some(DestinationInterface(ACCESS)),
                outer_header_creation: Some(towards(&tunnel)),
                destination_interface_type: Some(N3),
                flags,
                ..UpdateForwardingParameters::default()
            }),
            ..UpdateFar::default()
        };
        self.n4_modify(up.seid, far, Purpose::Forward { supi, id, seid });
    }

    /// The UE has no radio: packets for it wait and are reported, or are dropped where it is not to be called.
    pub(in crate::nr) fn n4_idle(&mut self, supi: Supi, id: PduSessionId) {
        let Some((seid, up)) = self.session(supi, id).and_then(|s| Some((s.seid, s.up?))) else { return };
        let action = match self.registry.ue(supi).map(|ue| ue.reach) {
            Some(Reach::Listens | Reach::Paged { .. }) => ApplyAction::BUFF | ApplyAction::NOCP,
            Some(Reach::LeftAlone | Reach::Gone) | None => ApplyAction::DROP,
        };
        let far = UpdateFar {
            far_id: DOWNLINK_FAR,
            apply_action: Some(ApplyAction::of(action)),
            ..UpdateFar::default()
        };
        self.n4_modify(up.seid, far, Purpose::Idle { seid });
    }
}

impl Amf {
    /// The rates of a session as the subscription has them.
    pub(super) fn n4_rates(&mut self, supi: Supi, id: PduSessionId) {
        let rates = self.rates(supi);
        let Some((seid, up)) = self.session(supi, id).and_then(|s| Some((s.seid, s.up?))) else { return };
        let Some(rates) = rates else { return };
        let qer = UpdateQer { qer_id: QER, mbr: Some(mbr(rates)), ..UpdateQer::default() };
        let request = SessionModificationRequest { update_qers: vec![qer], ..Default::default() };
        self.n4_change(up.seid, request, Purpose::Rates { seid });
    }
}

/// Rates of bits per second, uplink and downlink, in the kilobits of PFCP.
fn mbr((up, down): (u64, u64)) -> Mbr {
    Mbr { uplink: up.div_ceil(1_000), downlink: down.div_ceil(1_000) }
}

impl From<Establishment> for SessionEstablishmentRequest {
    fn from(s: Establishment) -> Self {
        let (cp, ip) = (s.cp, s.ip);
        let of_n3 = s.teid.map(|(_, n3)| n3).or(s.n3);
        let v6 = of_n3.is_some_and(|a| a.is_ipv6());
        let f_teid = match s.teid {
            Some((teid, n3)) => FTeid::at(teid.value(), n3),
            None => FTeid::Choose { v4: !v6, v6, choose_id: None },
        };
        // A session of IPv6 alone has its address, too: it is what the session is known by.
        let v6_of_ue = s.prefix.map(|p| p.network());
        let ue_ip =
            |destination| UeIpAddress { destination, v4: Some(ip.0), v6: v6_of_ue, ..UeIpAddress::default() };
        let uplink = CreatePdr {
            pdr_id: UPLINK_PDR,
            precedence: Some(Precedence(255)),
            pdi: Pdi {
                source_interface: SourceInterface(ACCESS),
                local_f_teid: Some(f_teid),
                ue_ip_addresses: vec![ue_ip(false)],
                source_interface_type: Some(N3),
                ..Pdi::default()
            },
            outer_header_removal: Some(if v6 { GTPU_UDP_IPV6 } else { GTPU_UDP_IPV4 }),
            far_id: Some(UPLINK_FAR),
            qer_ids: vec![QER],
            ..CreatePdr::default()
        };
        let downlink = CreatePdr {
            pdr_id: DOWNLINK_PDR,
            precedence: Some(Precedence(255)),
            pdi: Pdi {
                source_interface: SourceInterface(CORE),
                ue_ip_addresses: vec![ue_ip(true)],
                source_interface_type: Some(N6),
                ..Pdi::default()
            },
            far_id: Some(DOWNLINK_FAR),
            qer_ids: vec![QER],
            ..CreatePdr::default()
        };
        let to_network = CreateFar {
            far_id: UPLINK_FAR,
            apply_action: ApplyAction::of(ApplyAction::FORW),
            forwarding_parameters: Some(ForwardingParameters {
                destination_interface: DestinationInterface(CORE),
                destination_interface_type: Some(N6),
                ..ForwardingParameters::default()
            }),
            ..CreateFar::default()
        };
        let to_ue = match s.radio {
            Some(tunnel) => CreateFar {
                far_id: DOWNLINK_FAR,
                apply_action: ApplyAction::of(ApplyAction::FORW),
                forwarding_parameters: Some(ForwardingParameters {
                    destination_interface: DestinationInterface(ACCESS),
                    outer_header_creation: Some(towards(&tunnel)),
                    destination_interface_type: Some(N3),
                    ..ForwardingParameters::default()
                }),
                ..CreateFar::default()
            },
            None => CreateFar {
                far_id: DOWNLINK_FAR,
                apply_action: ApplyAction::of(ApplyAction::DROP),
                ..CreateFar::default()
            },
        };
        let qer = CreateQer {
            qer_id: QER,
            gate_status: GateStatus(0),
            mbr: s.ambr.map(mbr),
            qfi: Some(Qfi(QFI)),
            ..CreateQer::default()
        };
        Self {
            node_id: NodeId::V4(cp),
            cp_f_seid: FSeid { seid: s.seid.0, v4: Some(cp), v6: None },
            create_pdrs: vec![uplink, downlink],
            create_fars: vec![to_network, to_ue],
            create_qers: vec![qer],
            pdn_type: Some(PdnType(if s.prefix.is_some() { 3 } else { 1 })),
            user_id: Some(UserId { imsi: Some(s.supi.imsi()), ..UserId::default() }),
            apn_dnn: Some(ApnDnn(s.dnn)),
            s_nssai: s.slice.map(SNssai),
            pdu_session: Some(PduSession(s.id)),
            ..Self::default()
        }
    }
}

/// To the radio's end; where it has an address of each family, the gateway takes that of its own.
fn towards(radio: &Tunnel) -> OuterHeaderCreation {
    let to = OuterHeaderCreation::gtpu(radio.teid.value(), radio.address);
    match radio.also {
        Some(v6) => OuterHeaderCreation {
            description: to.description | OuterHeaderCreation::GTPU_V6,
            v6: Some(v6),
            ..to
        },
        None => to,
    }
}

/// The tunnel endpoint that the gateway chose for the uplink.
pub(super) fn endpoint(created: &[CreatedPdr]) -> Option<(Teid, IpAddr)> {
    let pdr = created.iter().find(|c| c.pdr_id == UPLINK_PDR)?;
    match pdr.local_f_teid? {
        FTeid::Given { teid, v4, v6 } => {
            Some((Teid::new(teid)?, v4.map(IpAddr::from).or(v6.map(IpAddr::from))?))
        }
        FTeid::Choose { .. } => None,
    }
}
