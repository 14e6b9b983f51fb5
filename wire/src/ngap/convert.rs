//! Values between our types and those of the codec below. `Option` on reading: `None` is "not understood".

use super::*;
use oxirush_ngap::ngap as ox;
use oxirush_ngap::{BitString, Bits};
use types::{AmfId, FgTmsi, Key256, PduSessionId, Plmn, Snssai, Tac, Tai};

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

pub(super) fn tai(t: &ox::TAI) -> Option<Tai> {
    Some(Tai { plmn: plmn(&t.plmn_identity)?, tac: tac(&t.tac)? })
}

pub(super) fn tai_ox(t: Tai) -> ox::TAI {
    ox::TAI::new(plmn_octets(t.plmn), tac_octets(t.tac), None)
}

pub(super) fn location(l: &ox::UserLocationInformation<'_>) -> Option<UserLocation> {
    let ox::UserLocationInformation::userLocationInformationNR(nr) = l else { return None };
    Some(UserLocation {
        cell: NrCgi { plmn: plmn(&nr.nr_cgi.plmn_identity)?, cell: nr.nr_cgi.nr_cell_identity.0.value() },
        tai: tai(&nr.tai)?,
        time_stamp: nr.time_stamp.as_ref().map(|t| t.0),
    })
}

pub(super) fn location_ox(l: &UserLocation) -> Result<ox::UserLocationInformation<'static>, EncodeError> {
    if l.cell.cell >> 36 != 0 {
        return Err(unfit("NR Cell Identity", "above 36 bits"));
    }
    let cell = ox::NRCGI::new(plmn_octets(l.cell.plmn), ox::NRCellIdentity(Bits::low(l.cell.cell, 36)), None);
    Ok(ox::UserLocationInformation::userLocationInformationNR(ox::UserLocationInformationNR::new(
        cell,
        tai_ox(l.tai),
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
