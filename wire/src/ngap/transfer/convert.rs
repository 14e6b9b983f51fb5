//! Transfers ↔ the codec's types.

use super::{
    Admitted, Arp, HandoverCommandTransfer, ModifyRequest, ModifyResponse, NotAdmitted, NotPrepared,
    PathNotSwitched, PathSwitch, PathSwitched, QosFlowSetup, ReleaseCommand, ReleaseResponse, SessionType,
    SetupRequest, SetupResponse, SetupUnsuccessful, TransferError, Tunnel,
};
use crate::ngap::convert::{cause, cause_ox, wrong};
use crate::ngap::{Ambr, Cause, EncodeError};
use oxirush_ngap::ngap as ox;
use oxirush_ngap::{BitString, extract_ngap_ies};
use std::net::{IpAddr, Ipv6Addr};
use types::Teid;

fn tunnel(t: &ox::UPTransportLayerInformation<'_>) -> Result<Tunnel, TransferError> {
    let ox::UPTransportLayerInformation::gTPTunnel(g) = t else { return Err(TransferError::Tunnel) };
    // TS 38.414 §5.1: 32 bits are IPv4, 128 IPv6, 160 both with IPv4 in front.
    let bits = &g.transport_layer_address.0;
    let octets = bits.as_octets();
    let v4 = || octets.first_chunk::<4>().map(|a| IpAddr::from(*a));
    let v6 = || octets.last_chunk::<16>().map(|a| Ipv6Addr::from(*a));
    let (address, also) = match bits.len() {
        32 => (v4(), None),
        128 => (v6().map(IpAddr::from), None),
        160 => (v4(), v6()),
        _ => (None, None),
    };
    let address = address.ok_or(TransferError::Tunnel)?;
    let teid = Teid::new(u32::from_be_bytes(g.gtp_teid.0)).ok_or(TransferError::Tunnel)?;
    Ok(Tunnel { address, also, teid })
}

fn tunnel_ox(t: &Tunnel) -> ox::UPTransportLayerInformation<'static> {
    let address = match (t.address, t.also) {
        (IpAddr::V4(a), Some(b)) => {
            let mut both = [0; 20];
            both.iter_mut().zip(a.octets().into_iter().chain(b.octets())).for_each(|(to, octet)| *to = octet);
            BitString::from(both)
        }
        (IpAddr::V4(a), None) => BitString::from(a.octets()),
        (IpAddr::V6(a), _) => BitString::from(a.octets()),
    };
    ox::UPTransportLayerInformation::gTPTunnel(ox::GTPTunnel::new(
        ox::TransportLayerAddress(address),
        ox::GTPTEID(t.teid.value().to_be_bytes()),
        None,
    ))
}

fn qfi(q: &ox::QosFlowIdentifier) -> Result<u8, TransferError> {
    u8::try_from(q.0)
        .ok()
        .filter(|q| *q < 64)
        .ok_or(TransferError::Missing("a QoS flow identifier that we know"))
}

fn syntax(_: oxirush_ngap::Error) -> TransferError {
    TransferError::Syntax
}

pub(super) fn setup_request(octets: &[u8]) -> Result<SetupRequest, TransferError> {
    let t: ox::PDUSessionResourceSetupRequestTransfer<'_> = ox::decode_open_type(octets).map_err(syntax)?;
    let read = || -> Result<_, oxirush_ngap::Error> {
        extract_ngap_ies!(t, PDUSessionResourceSetupRequestTransfer,
            opt ambr: ox::PDUSessionAggregateMaximumBitRate = PDUSessionAggregateMaximumBitRate(a) => a,
            opt uplink: ox::UPTransportLayerInformation<'_> = UL_NGU_UP_TNLInformation(u) => u,
            opt kind: ox::PDUSessionType = PDUSessionType(k) => k,
            opt flows: ox::QosFlowSetupRequestList = QosFlowSetupRequestList(f) => f,
        );
        Ok((ambr, uplink, kind, flows))
    };
    let (ambr, uplink, kind, flows) = read().map_err(syntax)?;
    let kind = kind.ok_or(TransferError::Missing("PDU session type"))?;
    Ok(SetupRequest {
        ambr: ambr.map(|a| Ambr {
            dl_bps: a.pdu_session_aggregate_maximum_bit_rate_dl.0,
            ul_bps: a.pdu_session_aggregate_maximum_bit_rate_ul.0,
        }),
        uplink: tunnel(&uplink.ok_or(TransferError::Missing("UL NG-U UP TNL information"))?)?,
        session_type: match kind {
            ox::PDUSessionType::ipv4 => SessionType::Ipv4,
            ox::PDUSessionType::ipv6 => SessionType::Ipv6,
            ox::PDUSessionType::ipv4v6 => SessionType::Ipv4v6,
            ox::PDUSessionType::ethernet => SessionType::Ethernet,
            ox::PDUSessionType::unstructured => SessionType::Unstructured,
            #[allow(unreachable_patterns)]
            _ => return Err(TransferError::Missing("a PDU session type that we know")),
        },
        flows: flows
            .ok_or(TransferError::Missing("QoS flow setup request list"))?
            .0
            .iter()
            .map(flow)
            .collect::<Result<_, _>>()?,
    })
}

fn flow(f: &ox::QosFlowSetupRequestItem) -> Result<QosFlowSetup, TransferError> {
    let q = &f.qos_flow_level_qos_parameters;
    let ox::QosCharacteristics::nonDynamic5QI(five_qi) = &q.qos_characteristics else {
        return Err(TransferError::Missing("a standardised 5QI"));
    };
    let arp = &q.allocation_and_retention_priority;
    Ok(QosFlowSetup {
        qfi: qfi(&f.qos_flow_identifier)?,
        five_qi: u8::try_from(five_qi.five_qi.0).map_err(|_| TransferError::Missing("a 5QI below 256"))?,
        arp: Arp {
            priority: arp.priority_level_arp.0,
            may_preempt: matches!(
                arp.pre_emption_capability,
                ox::PreEmptionCapability::may_trigger_pre_emption
            ),
            preemptable: matches!(arp.pre_emption_vulnerability, ox::PreEmptionVulnerability::pre_emptable),
        },
    })
}

pub(super) fn setup_request_octets(t: &SetupRequest) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "PDU Session Resource Setup Request Transfer";
    use oxirush_ngap::build_ngap_ie;
    let flow = |f: &QosFlowSetup| {
        let characteristics = ox::QosCharacteristics::nonDynamic5QI(ox::NonDynamic5QIDescriptor::new(
            ox::FiveQI(f.five_qi.into()),
            None,
            None,
            None,
            None,
        ));
        let capability = if f.arp.may_preempt {
            ox::PreEmptionCapability::may_trigger_pre_emption
        } else {
            ox::PreEmptionCapability::shall_not_trigger_pre_emption
        };
        let vulnerability = if f.arp.preemptable {
            ox::PreEmptionVulnerability::pre_emptable
        } else {
            ox::PreEmptionVulnerability::not_pre_emptable
        };
        let arp = ox::AllocationAndRetentionPriority::new(
            ox::PriorityLevelARP(f.arp.priority),
            capability,
            vulnerability,
            None,
        );
        let parameters = ox::QosFlowLevelQosParameters::new(characteristics, arp, None, None, None, None);
        ox::QosFlowSetupRequestItem::new(ox::QosFlowIdentifier(f.qfi.into()), parameters, None, None)
    };
    let kind = match t.session_type {
        SessionType::Ipv4 => ox::PDUSessionType::ipv4,
        SessionType::Ipv6 => ox::PDUSessionType::ipv6,
        SessionType::Ipv4v6 => ox::PDUSessionType::ipv4v6,
        SessionType::Ethernet => ox::PDUSessionType::ethernet,
        SessionType::Unstructured => ox::PDUSessionType::unstructured,
    };
    let write = || -> Result<Vec<u8>, oxirush_ngap::Error> {
        let mut ies = Vec::new();
        if let Some(a) = &t.ambr {
            let ambr = ox::PDUSessionAggregateMaximumBitRate::new(
                ox::BitRate(a.dl_bps),
                ox::BitRate(a.ul_bps),
                None,
            );
            ies.push(build_ngap_ie!(PDUSessionResourceSetupRequestTransfer,
                REJECT PDUSessionAggregateMaximumBitRate(ambr))?);
        }
        ies.push(build_ngap_ie!(PDUSessionResourceSetupRequestTransfer,
            REJECT UL_NGU_UP_TNLInformation(tunnel_ox(&t.uplink)))?);
        ies.push(build_ngap_ie!(PDUSessionResourceSetupRequestTransfer, REJECT PDUSessionType(kind))?);
        let flows = ox::QosFlowSetupRequestList(t.flows.iter().map(flow).collect());
        ies.push(build_ngap_ie!(PDUSessionResourceSetupRequestTransfer,
            REJECT QosFlowSetupRequestList(flows))?);
        let transfer = ox::PDUSessionResourceSetupRequestTransfer::new(ox::ProtocolIEContainer(ies));
        Ok(ox::encode_open_type(&transfer)?.into_vec())
    };
    write().map_err(wrong(WHAT))
}

pub(super) fn setup_response(octets: &[u8]) -> Result<SetupResponse, TransferError> {
    let t: ox::PDUSessionResourceSetupResponseTransfer<'_> = ox::decode_open_type(octets).map_err(syntax)?;
    let flows = &t.dl_qos_flow_per_tnl_information.associated_qos_flow_list.0;
    let failed = t.qos_flow_failed_to_setup_list.iter().flat_map(|l| &l.0);
    Ok(SetupResponse {
        downlink: tunnel(&t.dl_qos_flow_per_tnl_information.up_transport_layer_information)?,
        flows: flows.iter().map(|f| qfi(&f.qos_flow_identifier)).collect::<Result<_, _>>()?,
        failed: failed
            .map(|f| Ok((qfi(&f.qos_flow_identifier)?, cause(&f.cause).unwrap_or(Cause::UNSPECIFIED))))
            .collect::<Result<_, TransferError>>()?,
    })
}

pub(super) fn setup_response_octets(t: &SetupResponse) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "PDU Session Resource Setup Response Transfer";
    let flow = |q: &u8| ox::AssociatedQosFlowItem::new(ox::QosFlowIdentifier((*q).into()), None, None);
    let flows = ox::AssociatedQosFlowList(t.flows.iter().map(flow).collect());
    let failed = t.failed.iter().map(|(q, c)| {
        Ok(ox::QosFlowWithCauseItem::new(ox::QosFlowIdentifier((*q).into()), cause_ox(*c)?, None))
    });
    let failed: Vec<_> = failed.collect::<Result<_, EncodeError>>()?;
    let transfer = ox::PDUSessionResourceSetupResponseTransfer::new(
        ox::QosFlowPerTNLInformation::new(tunnel_ox(&t.downlink), flows, None),
        None,
        None,
        (!failed.is_empty()).then_some(ox::QosFlowListWithCause(failed)),
        None,
    );
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn setup_unsuccessful(octets: &[u8]) -> Result<SetupUnsuccessful, TransferError> {
    let t: ox::PDUSessionResourceSetupUnsuccessfulTransfer = ox::decode_open_type(octets).map_err(syntax)?;
    Ok(SetupUnsuccessful { cause: cause(&t.cause).unwrap_or(Cause::UNSPECIFIED) })
}

pub(super) fn setup_unsuccessful_octets(t: &SetupUnsuccessful) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "PDU Session Resource Setup Unsuccessful Transfer";
    let transfer = ox::PDUSessionResourceSetupUnsuccessfulTransfer::new(cause_ox(t.cause)?, None, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn release_command(octets: &[u8]) -> Result<ReleaseCommand, TransferError> {
    let t: ox::PDUSessionResourceReleaseCommandTransfer = ox::decode_open_type(octets).map_err(syntax)?;
    Ok(ReleaseCommand { cause: cause(&t.cause).unwrap_or(Cause::UNSPECIFIED) })
}

pub(super) fn release_command_octets(t: &ReleaseCommand) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "PDU Session Resource Release Command Transfer";
    let transfer = ox::PDUSessionResourceReleaseCommandTransfer::new(cause_ox(t.cause)?, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn release_response(octets: &[u8]) -> Result<ReleaseResponse, TransferError> {
    let _: ox::PDUSessionResourceReleaseResponseTransfer = ox::decode_open_type(octets).map_err(syntax)?;
    Ok(ReleaseResponse)
}

pub(super) fn release_response_octets(_: &ReleaseResponse) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "PDU Session Resource Release Response Transfer";
    let transfer = ox::PDUSessionResourceReleaseResponseTransfer::new(None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn path_switch(octets: &[u8]) -> Result<PathSwitch, TransferError> {
    let t: ox::PathSwitchRequestTransfer<'_> = ox::decode_open_type(octets).map_err(syntax)?;
    let flows = t.qos_flow_accepted_list.0.iter().map(|f| qfi(&f.qos_flow_identifier));
    Ok(PathSwitch {
        downlink: tunnel(&t.dl_ngu_up_tnl_information)?,
        flows: flows.collect::<Result<_, _>>()?,
    })
}

pub(super) fn modify_request(octets: &[u8]) -> Result<ModifyRequest, TransferError> {
    let t: ox::PDUSessionResourceModifyRequestTransfer<'_> = ox::decode_open_type(octets).map_err(syntax)?;
    let read = || -> Result<_, oxirush_ngap::Error> {
        extract_ngap_ies!(t, PDUSessionResourceModifyRequestTransfer,
            opt ambr: ox::PDUSessionAggregateMaximumBitRate = PDUSessionAggregateMaximumBitRate(a) => a,
        );
        Ok(ambr)
    };
    let ambr = read().map_err(syntax)?.map(|a| Ambr {
        dl_bps: a.pdu_session_aggregate_maximum_bit_rate_dl.0,
        ul_bps: a.pdu_session_aggregate_maximum_bit_rate_ul.0,
    });
    Ok(ModifyRequest { ambr })
}

pub(super) fn modify_request_octets(t: &ModifyRequest) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "PDU Session Resource Modify Request Transfer";
    use oxirush_ngap::build_ngap_ie;
    let mut ies = Vec::new();
    if let Some(a) = &t.ambr {
        let ambr =
            ox::PDUSessionAggregateMaximumBitRate::new(ox::BitRate(a.dl_bps), ox::BitRate(a.ul_bps), None);
        let ie = build_ngap_ie!(
            PDUSessionResourceModifyRequestTransfer,
            REJECT PDUSessionAggregateMaximumBitRate(ambr)
        );
        ies.push(ie.map_err(wrong(WHAT))?);
    }
    let transfer = ox::PDUSessionResourceModifyRequestTransfer::new(ox::ProtocolIEContainer(ies));
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn modify_response(octets: &[u8]) -> Result<ModifyResponse, TransferError> {
    let _: ox::PDUSessionResourceModifyResponseTransfer<'_> = ox::decode_open_type(octets).map_err(syntax)?;
    Ok(ModifyResponse)
}

pub(super) fn modify_response_octets(_: &ModifyResponse) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "PDU Session Resource Modify Response Transfer";
    let transfer = ox::PDUSessionResourceModifyResponseTransfer::new(None, None, None, None, None, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn path_switch_octets(t: &PathSwitch) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "Path Switch Request Transfer";
    let flow = |q: &u8| ox::QosFlowAcceptedItem::new(ox::QosFlowIdentifier((*q).into()), None);
    let flows = ox::QosFlowAcceptedList(t.flows.iter().map(flow).collect());
    let transfer = ox::PathSwitchRequestTransfer::new(tunnel_ox(&t.downlink), None, None, flows, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn path_switched(octets: &[u8]) -> Result<PathSwitched, TransferError> {
    let t: ox::PathSwitchRequestAcknowledgeTransfer<'_> = ox::decode_open_type(octets).map_err(syntax)?;
    Ok(PathSwitched { uplink: t.ul_ngu_up_tnl_information.as_ref().map(tunnel).transpose()? })
}

pub(super) fn path_switched_octets(t: &PathSwitched) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "Path Switch Request Acknowledge Transfer";
    let uplink = t.uplink.as_ref().map(tunnel_ox);
    let transfer = ox::PathSwitchRequestAcknowledgeTransfer::new(uplink, None, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn path_not_switched(octets: &[u8]) -> Result<PathNotSwitched, TransferError> {
    let t: ox::PathSwitchRequestUnsuccessfulTransfer = ox::decode_open_type(octets).map_err(syntax)?;
    Ok(PathNotSwitched { cause: cause(&t.cause).unwrap_or(Cause::UNSPECIFIED) })
}

pub(super) fn path_not_switched_octets(t: &PathNotSwitched) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "Path Switch Request Unsuccessful Transfer";
    let transfer = ox::PathSwitchRequestUnsuccessfulTransfer::new(cause_ox(t.cause)?, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn handover_command(octets: &[u8]) -> Result<HandoverCommandTransfer, TransferError> {
    let _: ox::HandoverCommandTransfer<'_> = ox::decode_open_type(octets).map_err(syntax)?;
    Ok(HandoverCommandTransfer)
}

pub(super) fn handover_command_octets(_: &HandoverCommandTransfer) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "Handover Command Transfer";
    let transfer = ox::HandoverCommandTransfer::new(None, None, None, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn not_prepared(octets: &[u8]) -> Result<NotPrepared, TransferError> {
    let t: ox::HandoverPreparationUnsuccessfulTransfer = ox::decode_open_type(octets).map_err(syntax)?;
    Ok(NotPrepared { cause: cause(&t.cause).unwrap_or(Cause::UNSPECIFIED) })
}

pub(super) fn not_prepared_octets(t: &NotPrepared) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "Handover Preparation Unsuccessful Transfer";
    let transfer = ox::HandoverPreparationUnsuccessfulTransfer::new(cause_ox(t.cause)?, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn admitted(octets: &[u8]) -> Result<Admitted, TransferError> {
    let t: ox::HandoverRequestAcknowledgeTransfer<'_> = ox::decode_open_type(octets).map_err(syntax)?;
    let flows = t.qos_flow_setup_response_list.0.iter().map(|f| qfi(&f.qos_flow_identifier));
    Ok(Admitted { downlink: tunnel(&t.dl_ngu_up_tnl_information)?, flows: flows.collect::<Result<_, _>>()? })
}

pub(super) fn admitted_octets(t: &Admitted) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "Handover Request Acknowledge Transfer";
    let flow =
        |q: &u8| ox::QosFlowItemWithDataForwarding::new(ox::QosFlowIdentifier((*q).into()), None, None);
    let flows = ox::QosFlowListWithDataForwarding(t.flows.iter().map(flow).collect());
    let tunnel = tunnel_ox(&t.downlink);
    let transfer = ox::HandoverRequestAcknowledgeTransfer::new(tunnel, None, None, flows, None, None, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}

pub(super) fn not_admitted(octets: &[u8]) -> Result<NotAdmitted, TransferError> {
    let t: ox::HandoverResourceAllocationUnsuccessfulTransfer =
        ox::decode_open_type(octets).map_err(syntax)?;
    Ok(NotAdmitted { cause: cause(&t.cause).unwrap_or(Cause::UNSPECIFIED) })
}

pub(super) fn not_admitted_octets(t: &NotAdmitted) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "Handover Resource Allocation Unsuccessful Transfer";
    let transfer = ox::HandoverResourceAllocationUnsuccessfulTransfer::new(cause_ox(t.cause)?, None, None);
    Ok(ox::encode_open_type(&transfer).map_err(wrong(WHAT))?.into_vec())
}
