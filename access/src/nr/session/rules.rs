//! What the gateway is told of a session (TS 29.244 §5.2): one uplink PDR with its tunnel endpoint, one downlink
//! PDR with the UE's address, a FAR for each, one QER.

use super::super::Amf;
use super::establish::QFI;
use super::n4::Purpose;
use std::net::IpAddr;
use types::{Dnn, GatewaySession, PduSessionId, Seid, Snssai, Supi, Teid, UeIp};
use wire::ngap::transfer::Tunnel;
use wire::pfcp::{
    ApnDnn, ApplyAction, CreateFar, CreatePdr, CreateQer, CreatedPdr, DestinationInterface, FSeid, FTeid,
    FarId, ForwardingParameters, GateStatus, InterfaceType, Mbr, NodeId, OuterHeaderCreation,
    OuterHeaderRemoval, Pdi, PdnType, PdrId, PduSession, Precedence, QerId, Qfi, SNssai,
    SessionEstablishmentRequest, SmReqFlags, SourceInterface, UeIpAddress, UpdateFar,
    UpdateForwardingParameters, UserId,
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

/// What a session is made of.
struct Made {
    supi: Supi,
    id: PduSessionId,
    seid: Seid,
    ip: UeIp,
    dnn: Dnn,
    slice: Option<Snssai>,
    /// The tunnel endpoint that it had, with its address.
    teid: Option<(Teid, IpAddr)>,
    radio: Option<Tunnel>,
    /// Uplink and downlink, bits per second.
    ambr: Option<(u64, u64)>,
}

impl Amf {
    /// The request that makes a session, or makes it anew with the tunnel endpoint that it had.
    pub(super) fn establishment(&self, supi: Supi, id: PduSessionId) -> Option<SessionEstablishmentRequest> {
        let ue = self.registry.ue(supi)?;
        let (s, sub) = (ue.sessions.get(&id)?, ue.subscription.as_ref()?);
        Some(self.request(Made {
            supi,
            id,
            seid: s.seid,
            ip: s.address.as_ref()?.ip,
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
        Some(self.request(Made {
            supi: g.supi,
            id: g.pdu_session_id,
            seid: g.cp_seid,
            ip: g.ip,
            dnn: g.dnn.clone(),
            slice: None,
            teid: Some((g.teid, n3)),
            radio: g.radio.map(|(address, teid)| Tunnel::new(address, teid)),
            ambr: None,
        }))
    }

    fn request(&self, s: Made) -> SessionEstablishmentRequest {
        let ip = s.ip;
        let of_n3 = s.teid.map(|(_, n3)| n3).or(self.config.n3_address);
        let v6 = of_n3.is_some_and(|a| a.is_ipv6());
        let f_teid = match s.teid {
            Some((teid, n3)) => FTeid::at(teid.value(), n3),
            None => FTeid::Choose { v4: !v6, v6, choose_id: None },
        };
        let ue_ip = |destination| UeIpAddress { destination, v4: Some(ip.0), ..UeIpAddress::default() };
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
        let kbps = |bps: u64| bps.div_ceil(1_000);
        let qer = CreateQer {
            qer_id: QER,
            gate_status: GateStatus(0),
            mbr: s.ambr.map(|(up, down)| Mbr { uplink: kbps(up), downlink: kbps(down) }),
            qfi: Some(Qfi(QFI)),
            ..CreateQer::default()
        };
        let cp = self.config.cp_address;
        SessionEstablishmentRequest {
            node_id: NodeId::V4(cp),
            cp_f_seid: FSeid { seid: s.seid.0, v4: Some(cp), v6: None },
            create_pdrs: vec![uplink, downlink],
            create_fars: vec![to_network, to_ue],
            create_qers: vec![qer],
            pdn_type: Some(PdnType(1)),
            user_id: Some(UserId { imsi: Some(s.supi.imsi()), ..UserId::default() }),
            apn_dnn: Some(ApnDnn(s.dnn)),
            s_nssai: s.slice.map(SNssai),
            pdu_session: Some(PduSession(s.id)),
            ..SessionEstablishmentRequest::default()
        }
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

    /// Closes the downlink: the UE has no radio.
    pub(super) fn n4_idle(&mut self, supi: Supi, id: PduSessionId) {
        let Some((seid, up)) = self.session(supi, id).and_then(|s| Some((s.seid, s.up?))) else { return };
        let far = UpdateFar {
            far_id: DOWNLINK_FAR,
            apply_action: Some(ApplyAction::of(ApplyAction::DROP)),
            ..UpdateFar::default()
        };
        self.n4_modify(up.seid, far, Purpose::Idle { seid });
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
