//! What it changes in a session: the radio's end, idle and back, usage, dedicated bearers.

use super::{WAIT, flow};
use std::net::Ipv4Addr;
use wire::pfcp::*;

/// The modification that brings the radio's end.
pub fn to_radio(radio: Ipv4Addr, teid: u32) -> SessionModificationRequest {
    let far = UpdateFar {
        far_id: FarId(1),
        apply_action: Some(ApplyAction::of(ApplyAction::FORW)),
        forwarding_parameters: Some(UpdateForwardingParameters {
            destination_interface: Some(DestinationInterface(0)),
            outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(teid, radio)),
            destination_interface_type: Some(InterfaceType(11)),
            ..UpdateForwardingParameters::default()
        }),
        ..UpdateFar::default()
    };
    SessionModificationRequest { update_fars: vec![far], ..SessionModificationRequest::default() }
}

/// The modification of an idle UE.
pub fn idle() -> SessionModificationRequest {
    let apply_action = Some(ApplyAction::of(WAIT));
    let far = UpdateFar { far_id: FarId(1), apply_action, ..UpdateFar::default() };
    SessionModificationRequest { update_fars: vec![far], ..SessionModificationRequest::default() }
}

/// The modification that asks for URR 1.
pub fn query() -> SessionModificationRequest {
    let query_urrs = vec![QueryUrr { urr_id: UrrId(1), others: Vec::new() }];
    SessionModificationRequest { query_urrs, ..SessionModificationRequest::default() }
}

/// A dedicated bearer of an EPC.
#[derive(Debug, Clone, Copy)]
pub struct Bearer<'a> {
    /// The UE's address.
    pub ip: Ipv4Addr,
    /// What it is for.
    pub flows: &'a [&'a str],
    /// The other end of its downlink tunnel; none as long as it is being set up.
    pub radio: Option<(Ipv4Addr, u32)>,
    /// Usage is reported at this volume.
    pub threshold: u64,
}

/// The modification that adds it: PDR 5 towards the UE, PDR 6 from it by an endpoint of its own, FARs 5 and 6, QER 2,
/// URR 2.
pub fn bearer(bearer: &Bearer<'_>) -> SessionModificationRequest {
    let pdr = |id: u16, source, local_f_teid| CreatePdr {
        pdr_id: PdrId(id),
        precedence: Some(Precedence(100)),
        pdi: Pdi {
            source_interface: SourceInterface(source),
            local_f_teid,
            ue_ip_addresses: vec![UeIpAddress {
                destination: source == 1,
                v4: Some(bearer.ip),
                ..UeIpAddress::default()
            }],
            sdf_filters: bearer.flows.iter().map(|f| flow(f)).collect(),
            source_interface_type: Some(InterfaceType(if source == 1 { 17 } else { 11 })),
            ..Pdi::default()
        },
        outer_header_removal: (source == 0).then_some(OuterHeaderRemoval(6)),
        far_id: Some(FarId(u32::from(id))),
        urr_ids: vec![UrrId(2)],
        qer_ids: vec![QerId(2)],
        ..CreatePdr::default()
    };
    let towards = |id, to, outer_header_creation, kind| CreateFar {
        far_id: FarId(id),
        apply_action: ApplyAction::of(ApplyAction::FORW),
        forwarding_parameters: Some(ForwardingParameters {
            destination_interface: DestinationInterface(to),
            outer_header_creation,
            destination_interface_type: Some(InterfaceType(kind)),
            ..ForwardingParameters::default()
        }),
        ..CreateFar::default()
    };
    let outer = bearer.radio.map(|(radio, teid)| OuterHeaderCreation::gtpu_v4(teid, radio));
    let mut down = towards(5, 0, outer, 11);
    if bearer.radio.is_none() {
        (down.apply_action, down.forwarding_parameters) = (ApplyAction::of(WAIT), None);
    }
    SessionModificationRequest {
        create_pdrs: vec![
            pdr(5, 1, None),
            pdr(6, 0, Some(FTeid::Choose { v4: true, v6: true, choose_id: None })),
        ],
        create_fars: vec![down, towards(6, 1, None, 17)],
        create_urrs: vec![super::usage(UrrId(2), Some(bearer.threshold))],
        create_qers: vec![CreateQer {
            qer_id: QerId(2),
            gate_status: GateStatus(0),
            mbr: Some(Mbr { uplink: 10_000, downlink: 10_000 }),
            gbr: Some(Gbr { uplink: 1_000, downlink: 1_000 }),
            ..CreateQer::default()
        }],
        ..SessionModificationRequest::default()
    }
}

/// The modification that takes it away.
pub fn without_bearer() -> SessionModificationRequest {
    let pdr = |id| RemovePdr { pdr_id: PdrId(id), ..RemovePdr::default() };
    let far = |id| RemoveFar { far_id: FarId(id), ..RemoveFar::default() };
    SessionModificationRequest {
        remove_pdrs: vec![pdr(5), pdr(6)],
        remove_fars: vec![far(5), far(6)],
        remove_urrs: vec![RemoveUrr { urr_id: UrrId(2), ..RemoveUrr::default() }],
        remove_qers: vec![RemoveQer { qer_id: QerId(2), ..RemoveQer::default() }],
        ..SessionModificationRequest::default()
    }
}
