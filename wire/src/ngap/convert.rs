//! Values between our types and those of the codec below. `Option` on reading: `None` is "not understood".

use super::transfer::{
    Arp, PathNotSwitched, PathSwitch, PathSwitched, QosFlowSetup, ReleaseCommand, ReleaseResponse,
    SessionType, SetupRequest, SetupResponse, SetupUnsuccessful, TransferError, Tunnel,
};
use super::*;
use oxirush_ngap::ngap as ox;
use oxirush_ngap::{BitString, Bits, extract_ngap_ies};
use std::net::{IpAddr, Ipv6Addr};
use types::{AmfId, FgTmsi, Key256, PduSessionId, Plmn, Snssai, Tac, Tai, Teid};

/// An encoding error of the part `what`.
pub(super) fn wrong(what: &'static str) -> impl Fn(oxirush_ngap::Error) -> EncodeError {
    move |e| EncodeError { what, why: e.to_string() }
}

pub(super) fn unfit(what: &'static str, why: &str) -> EncodeError {
    EncodeError { what, why: why.to_owned() }
}

/// PLMN Identity (§9.3.3.5): the digits in reading order, the filler before a two-digit MNC. For a
/// three-digit MNC this is not the order of NAS.
pub(super) fn plmn_octets(p: Plmn) -> ox::PLMNIdentity {
    let [a, b, c] = p.to_octets();
    ox::PLMNIdentity(if p.mnc_len() == 2 {
        [a, b, c]
    } else {
        let (m1, m2, m3) = (c & 15, c >> 4, b >> 4);
        [a, m1 << 4 | b & 15, m3 << 4 | m2]
    })
}

pub(super) fn plmn(p: &ox::PLMNIdentity) -> Option<Plmn> {
    let [a, b, c] = p.0;
    if b >> 4 == 15 {
        return Plmn::from_octets([a, b, c]);
    }
    let (m1, m2, m3) = (b >> 4, c & 15, c >> 4);
    Plmn::from_octets([a, m3 << 4 | b & 15, m2 << 4 | m1])
}

pub(super) fn tac(t: &ox::TAC) -> Option<Tac> {
    let [a, b, c] = t.0;
    Tac::try_from(u32::from_be_bytes([0, a, b, c])).ok()
}

pub(super) fn tac_octets(t: Tac) -> ox::TAC {
    let [_, a, b, c] = u32::from(t).to_be_bytes();
    ox::TAC([a, b, c])
}

pub(super) fn snssai(s: &ox::SNSSAI) -> Snssai {
    let [sst] = s.sst.0;
    Snssai { sst, sd: s.sd.as_ref().map(|d| d.0).filter(|d| *d != [0xff; 3]) }
}

pub(super) fn snssai_ox(s: &Snssai) -> ox::SNSSAI {
    ox::SNSSAI::new(ox::SST([s.sst]), s.sd.map(ox::SD), None)
}

fn slices(l: &ox::SliceSupportList) -> Vec<Snssai> {
    l.0.iter().map(|i| snssai(&i.s_nssai)).collect()
}

fn slices_ox(l: &[Snssai]) -> ox::SliceSupportList {
    ox::SliceSupportList(l.iter().map(|s| ox::SliceSupportItem::new(snssai_ox(s), None)).collect())
}

pub(super) fn cause(c: &ox::Cause) -> Option<Cause> {
    Some(match c {
        ox::Cause::radioNetwork(c) => Cause::RadioNetwork(RadioCause::from_ox(c)?),
        ox::Cause::transport(c) => Cause::Transport(TransportCause::from_ox(c)?),
        ox::Cause::nas(c) => Cause::Nas(NasCause::from_ox(c)?),
        ox::Cause::protocol(c) => Cause::Protocol(ProtocolCause::from_ox(c)?),
        ox::Cause::misc(c) => Cause::Misc(MiscCause::from_ox(c)?),
        _ => return None,
    })
}

pub(super) fn cause_ox(c: Cause) -> Result<ox::Cause, EncodeError> {
    match c {
        Cause::RadioNetwork(c) => c.to_ox().map(ox::Cause::radioNetwork),
        Cause::Transport(c) => c.to_ox().map(ox::Cause::transport),
        Cause::Nas(c) => c.to_ox().map(ox::Cause::nas),
        Cause::Protocol(c) => c.to_ox().map(ox::Cause::protocol),
        Cause::Misc(c) => c.to_ox().map(ox::Cause::misc),
    }
    .ok_or(unfit("Cause", "a value that the spec does not have"))
}

pub(super) fn ran_node(n: &ox::GlobalRANNodeID) -> Option<RanNodeId> {
    let ox::GlobalRANNodeID::globalGNB_ID(g) = n else { return Some(RanNodeId::Other) };
    let ox::GNBID::gNB_ID(bits) = &g.gnb_id else { return None };
    let id = u32::try_from(bits.value()).ok()?;
    let bits = u8::try_from(bits.len()).ok()?;
    Some(RanNodeId::Gnb(GlobalGnbId { plmn: plmn(&g.plmn_identity)?, id, bits }))
}

pub(super) fn ran_node_ox(n: &RanNodeId) -> Result<ox::GlobalRANNodeID, EncodeError> {
    let RanNodeId::Gnb(g) = n else {
        return Err(unfit("Global RAN Node ID", "only a gNB has one here"));
    };
    let id = oxirush_ngap::helpers::global_gnb_id(plmn_octets(g.plmn), g.id, g.bits.into());
    id.map(ox::GlobalRANNodeID::globalGNB_ID).map_err(wrong("Global gNB ID"))
}

pub(super) fn supported_tas(l: &ox::SupportedTAList) -> Option<Vec<SupportedTa>> {
    l.0.iter()
        .map(|ta| {
            let plmns = ta.broadcast_plmn_list.0.iter().map(|p| {
                Some(SupportedPlmn {
                    plmn: plmn(&p.plmn_identity)?,
                    slices: slices(&p.tai_slice_support_list),
                })
            });
            Some(SupportedTa { tac: tac(&ta.tac)?, plmns: plmns.collect::<Option<_>>()? })
        })
        .collect()
}

pub(super) fn supported_tas_ox(l: &[SupportedTa]) -> ox::SupportedTAList {
    let item = |ta: &SupportedTa| {
        let plmns = ta
            .plmns
            .iter()
            .map(|p| ox::BroadcastPLMNItem::new(plmn_octets(p.plmn), slices_ox(&p.slices), None))
            .collect();
        ox::SupportedTAItem::new(tac_octets(ta.tac), ox::BroadcastPLMNList(plmns), None)
    };
    ox::SupportedTAList(l.iter().map(item).collect())
}

pub(super) fn plmn_support(l: &ox::PLMNSupportList) -> Option<Vec<SupportedPlmn>> {
    let item = |p: &ox::PLMNSupportItem| {
        Some(SupportedPlmn { plmn: plmn(&p.plmn_identity)?, slices: slices(&p.slice_support_list) })
    };
    l.0.iter().map(item).collect()
}

pub(super) fn plmn_support_ox(l: &[SupportedPlmn]) -> ox::PLMNSupportList {
    let item = |p: &SupportedPlmn| ox::PLMNSupportItem::new(plmn_octets(p.plmn), slices_ox(&p.slices), None);
    ox::PLMNSupportList(l.iter().map(item).collect())
}

pub(super) fn guami(g: &ox::GUAMI) -> Option<Guami> {
    let amf = AmfId {
        region: u8::try_from(g.amf_region_id.0.value()).ok()?,
        set: u16::try_from(g.amf_set_id.0.value()).ok()?,
        pointer: u8::try_from(g.amf_pointer.0.value()).ok()?,
    };
    Some(Guami { plmn: plmn(&g.plmn_identity)?, amf })
}

pub(super) fn guami_ox(g: &Guami) -> Result<ox::GUAMI, EncodeError> {
    oxirush_ngap::helpers::guami(plmn_octets(g.plmn), g.amf.region, g.amf.set, g.amf.pointer)
        .map_err(wrong("GUAMI"))
}

pub(super) fn guamis(l: &ox::ServedGUAMIList<'_>) -> Option<Vec<Guami>> {
    l.0.iter().map(|i| guami(&i.guami)).collect()
}

pub(super) fn guamis_ox(l: &[Guami]) -> Result<ox::ServedGUAMIList<'static>, EncodeError> {
    let items = l.iter().map(|g| Ok(ox::ServedGUAMIItem::new(guami_ox(g)?, None, None)));
    Ok(ox::ServedGUAMIList(items.collect::<Result<_, EncodeError>>()?))
}

pub(super) fn s_tmsi(t: &ox::FiveGSTMSI) -> Option<STmsi> {
    Some(STmsi {
        set: u16::try_from(t.amf_set_id.0.value()).ok()?,
        pointer: u8::try_from(t.amf_pointer.0.value()).ok()?,
        tmsi: FgTmsi(u32::from_be_bytes(t.five_g_tmsi.0)),
    })
}

pub(super) fn s_tmsi_ox(t: &STmsi) -> Result<ox::FiveGSTMSI, EncodeError> {
    if t.set > 1023 || t.pointer > 63 {
        return Err(unfit("5G-S-TMSI", "AMF set or pointer out of range"));
    }
    Ok(ox::FiveGSTMSI::new(
        ox::AMFSetID(Bits::low(t.set.into(), 10)),
        ox::AMFPointer(Bits::low(t.pointer.into(), 6)),
        ox::FiveGTMSI(t.tmsi.0.to_be_bytes()),
        None,
    ))
}

pub(super) fn location(l: &ox::UserLocationInformation<'_>) -> Option<UserLocation> {
    let ox::UserLocationInformation::userLocationInformationNR(nr) = l else { return None };
    Some(UserLocation {
        cell: NrCgi { plmn: plmn(&nr.nr_cgi.plmn_identity)?, cell: nr.nr_cgi.nr_cell_identity.0.value() },
        tai: Tai { plmn: plmn(&nr.tai.plmn_identity)?, tac: tac(&nr.tai.tac)? },
        time_stamp: nr.time_stamp.as_ref().map(|t| t.0),
    })
}

pub(super) fn location_ox(l: &UserLocation) -> Result<ox::UserLocationInformation<'static>, EncodeError> {
    if l.cell.cell >> 36 != 0 {
        return Err(unfit("NR Cell Identity", "above 36 bits"));
    }
    let cell = ox::NRCGI::new(plmn_octets(l.cell.plmn), ox::NRCellIdentity(Bits::low(l.cell.cell, 36)), None);
    let tai = ox::TAI::new(plmn_octets(l.tai.plmn), tac_octets(l.tai.tac), None);
    Ok(ox::UserLocationInformation::userLocationInformationNR(ox::UserLocationInformationNR::new(
        cell,
        tai,
        l.time_stamp.map(ox::TimeStamp),
        None,
    )))
}

pub(super) fn security_capabilities(c: &ox::UESecurityCapabilities<'_>) -> SecurityCapabilities {
    let map = |b: &BitString<'_>| match b.as_octets() {
        [a, b, ..] => u16::from_be_bytes([*a, *b]),
        _ => 0,
    };
    SecurityCapabilities {
        nea: map(&c.nr_encryption_algorithms.0),
        nia: map(&c.nr_integrity_protection_algorithms.0),
        eea: map(&c.eutra_encryption_algorithms.0),
        eia: map(&c.eutra_integrity_protection_algorithms.0),
    }
}

pub(super) fn security_capabilities_ox(c: &SecurityCapabilities) -> ox::UESecurityCapabilities<'static> {
    let map = |v: u16| BitString::from(v.to_be_bytes());
    ox::UESecurityCapabilities::new(
        ox::NRencryptionAlgorithms(map(c.nea)),
        ox::NRintegrityProtectionAlgorithms(map(c.nia)),
        ox::EUTRAencryptionAlgorithms(map(c.eea)),
        ox::EUTRAintegrityProtectionAlgorithms(map(c.eia)),
        None,
    )
}

pub(super) fn security_key(k: &ox::SecurityKey<'_>) -> Option<SecurityKey> {
    <[u8; 32]>::try_from(k.0.as_octets()).ok().map(|k| SecurityKey(Key256::new(k)))
}

pub(super) fn criticality(c: ox::Criticality) -> Criticality {
    match c {
        ox::Criticality::reject => Criticality::Reject,
        ox::Criticality::ignore => Criticality::Ignore,
        ox::Criticality::notify => Criticality::Notify,
    }
}

fn criticality_ox(c: Criticality) -> ox::Criticality {
    match c {
        Criticality::Reject => ox::Criticality::reject,
        Criticality::Ignore => ox::Criticality::ignore,
        Criticality::Notify => ox::Criticality::notify,
    }
}

pub(super) fn diagnostics(d: &ox::CriticalityDiagnostics) -> Option<CriticalityDiagnostics> {
    let ie = |i: &ox::CriticalityDiagnosticsIEItem| {
        Some(IeDiagnostic {
            criticality: criticality(i.ie_criticality),
            id: i.ie_id.0,
            error: match i.type_of_error {
                ox::TypeOfError::not_understood => TypeOfError::NotUnderstood,
                ox::TypeOfError::missing => TypeOfError::Missing,
                #[allow(unreachable_patterns)]
                _ => return None,
            },
        })
    };
    let ies = d.ies_criticality_diagnostics.as_ref();
    Some(CriticalityDiagnostics {
        procedure: d.procedure_code.as_ref().map(|p| p.0),
        triggering: d.triggering_message.map(|t| match t {
            ox::TriggeringMessage::initiating_message => Direction::Initiating,
            ox::TriggeringMessage::successful_outcome => Direction::Successful,
            ox::TriggeringMessage::unsuccessful_outcome => Direction::Unsuccessful,
        }),
        criticality: d.procedure_criticality.map(criticality),
        ies: ies.map_or(Some(Vec::new()), |l| l.0.iter().map(ie).collect())?,
    })
}

pub(super) fn diagnostics_ox(d: &CriticalityDiagnostics) -> ox::CriticalityDiagnostics {
    let ie = |i: &IeDiagnostic| {
        let error = match i.error {
            TypeOfError::NotUnderstood => ox::TypeOfError::not_understood,
            TypeOfError::Missing => ox::TypeOfError::missing,
        };
        ox::CriticalityDiagnosticsIEItem::new(
            criticality_ox(i.criticality),
            ox::ProtocolIEID(i.id),
            error,
            None,
        )
    };
    let ies: Vec<_> = d.ies.iter().take(256).map(ie).collect();
    ox::CriticalityDiagnostics::new(
        d.procedure.map(ox::ProcedureCode),
        d.triggering.map(|t| match t {
            Direction::Initiating => ox::TriggeringMessage::initiating_message,
            Direction::Successful => ox::TriggeringMessage::successful_outcome,
            Direction::Unsuccessful => ox::TriggeringMessage::unsuccessful_outcome,
        }),
        d.criticality.map(criticality_ox),
        (!ies.is_empty()).then_some(ox::CriticalityDiagnosticsIEList(ies)),
        None,
    )
}

pub(super) fn connections(l: &ox::UEAssociatedLogicalNGConnectionList) -> Option<Vec<UeConnection>> {
    let item = |i: &ox::UEAssociatedLogicalNGConnectionItem| {
        Some(UeConnection {
            amf_ue_id: match &i.amf_ue_ngap_id {
                Some(id) => Some(AmfUeNgapId::new(id.0)?),
                None => None,
            },
            ran_ue_id: i.ran_ue_ngap_id.as_ref().map(|id| RanUeNgapId(id.0)),
        })
    };
    l.0.iter().map(item).collect()
}

pub(super) fn connections_ox(l: &[UeConnection]) -> ox::UEAssociatedLogicalNGConnectionList {
    let item = |c: &UeConnection| {
        ox::UEAssociatedLogicalNGConnectionItem::new(
            c.amf_ue_id.map(|id| ox::AMFUENGAPID(id.value())),
            c.ran_ue_id.map(|id| ox::RANUENGAPID(id.0)),
            None,
        )
    };
    ox::UEAssociatedLogicalNGConnectionList(l.iter().map(item).collect())
}

pub(super) fn session_id(id: &ox::PDUSessionID) -> Option<PduSessionId> {
    PduSessionId::try_from(id.0).ok()
}

pub(super) fn session_id_ox(id: PduSessionId) -> ox::PDUSessionID {
    ox::PDUSessionID(id.into())
}

// Transfers (§9.3.4).

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
