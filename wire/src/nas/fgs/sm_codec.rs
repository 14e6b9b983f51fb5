//! 5GSM messages between our structs and the message tables of the codec below.

use super::ie::{dnn_octets, snssai, snssai_octets};
use super::mm_codec::{error, timer_3};
use super::qos::{flows, flows_octets, rules, rules_octets};
use super::{
    Epco, EstablishmentAccept, EstablishmentReject, EstablishmentRequest, FgsmBody, FgsmMessage,
    ModificationCommand, ModificationRequest, NasError, PduSessionType, RequestedDnn, SessionAmbr, Timer,
};
use crate::nas::MAX_NAS;
use ox::{Nas5gsMessage, Nas5gsmMessage as Gsm};
use oxirush_nas::nas_5gs as ox;
use std::net::Ipv4Addr;
use types::{FgsmCause, PduSessionId};

/// Extended protocol discriminator of 5GSM (TS 24.007 §11.2.3.1.1A).
const EPD: u8 = 0x2e;

/// The message types that we have (§9.7): what the codec knows beyond them is not implemented here.
const OURS: [u8; 13] = [0xc1, 0xc2, 0xc3, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xd1, 0xd2, 0xd3, 0xd4, 0xd6];

pub(super) fn decode(octets: &[u8]) -> Result<FgsmMessage, NasError> {
    if octets.len() > MAX_NAS {
        return Err(NasError::TooLong(octets.len()));
    }
    let (session, pti, message_type) = match octets {
        [EPD, session, pti, t, ..] => (*session, *pti, *t),
        [EPD, ..] | [] => return Err(NasError::TooShort),
        [other, ..] => return Err(NasError::UnknownDiscriminator(*other)),
    };
    if pti == 255 {
        return Err(NasError::ReservedPti);
    }
    // The type is judged first: an unknown one is answered whatever its session.
    let unknown = NasError::UnknownSessionMessageType { session, pti, message_type };
    if !OURS.contains(&message_type) {
        return Err(unknown);
    }
    match Nas5gsMessage::decode(octets) {
        Ok(Nas5gsMessage::Gsm(_, m)) => {
            if m.unknown_ies().iter().any(|u| u.is_comprehension_required()) {
                return Err(NasError::InvalidMandatory { message_type, ie: "unknown IE" });
            }
            let body = from_ox(m, message_type)?.ok_or(unknown)?;
            let session = PduSessionId::try_from(session)
                .map_err(|_| NasError::InvalidPduSessionIdentity { session, pti, message_type })?;
            Ok(FgsmMessage { session, pti, body })
        }
        Ok(_) => Err(unknown),
        Err(e) => Err(error(e, message_type)),
    }
}

fn from_ox(m: Gsm, message_type: u8) -> Result<Option<FgsmBody>, NasError> {
    let bad = |ie| NasError::InvalidMandatory { message_type, ie };
    let cause = |c: ox::NasFGsmCause| FgsmCause(c.value);
    let epco =
        |e: Option<ox::NasExtendedProtocolConfigurationOptions>| e.and_then(|e| Epco::from_octets(&e.value));
    Ok(Some(match m {
        Gsm::PduSessionEstablishmentRequest(m) => FgsmBody::EstablishmentRequest(EstablishmentRequest {
            max_integrity_rate: m.integrity_protection_maximum_data_rate.value.to_be_bytes(),
            session_type: m.pdu_session_type.map(|t| PduSessionType(t.value & 7)),
            ssc_mode: m.ssc_mode.map(|s| s.value & 7),
            epco: epco(m.extended_protocol_configuration_options),
        }),
        Gsm::PduSessionEstablishmentAccept(m) => FgsmBody::EstablishmentAccept(EstablishmentAccept {
            session_type: PduSessionType(m.selected_pdu_session_type.value & 7),
            ssc_mode: m.selected_ssc_mode.value & 7,
            rules: rules(&m.authorized_qos_rules.value).ok_or(bad("authorized QoS rules"))?,
            ambr: SessionAmbr::from_octets(&m.session_ambr.value).ok_or(bad("session AMBR"))?,
            cause: m.fgsm_cause.map(cause),
            address: m.pdu_address.as_ref().and_then(|a| ipv4(&a.value)),
            interface: m.pdu_address.as_ref().and_then(|a| interface(&a.value)),
            slice: m.s_nssai.and_then(|s| snssai(&s.value)),
            flows: m.authorized_qos_flow_descriptions.and_then(|f| flows(&f.value)).unwrap_or_default(),
            epco: epco(m.extended_protocol_configuration_options),
            dnn: match m.dnn.and_then(|d| RequestedDnn::from_octets(&d.value)) {
                Some(RequestedDnn::Name(d)) => Some(d),
                _ => None,
            },
        }),
        Gsm::PduSessionEstablishmentReject(m) => FgsmBody::EstablishmentReject(EstablishmentReject {
            cause: cause(m.fgsm_cause),
            backoff: m.back_off_timer_value.and_then(|t| timer_3(&t.value)),
        }),
        Gsm::PduSessionModificationRequest(m) => {
            let asked = |o: Option<Vec<u8>>| o.unwrap_or_default();
            FgsmBody::ModificationRequest(ModificationRequest {
                cause: m.fgsm_cause.map(cause),
                // What is asked for and cannot be read cannot be answered by silence about it.
                rules: rules(&asked(m.requested_qos_rules.map(|r| r.value.into_vec())))
                    .ok_or(bad("requested QoS rules"))?,
                flows: flows(&asked(m.requested_qos_flow_descriptions.map(|f| f.value.into_vec())))
                    .ok_or(bad("requested QoS flow descriptions"))?,
                epco: epco(m.extended_protocol_configuration_options),
            })
        }
        Gsm::PduSessionModificationCommand(m) => FgsmBody::ModificationCommand(ModificationCommand {
            ambr: m.session_ambr.and_then(|a| SessionAmbr::from_octets(&a.value)),
            epco: epco(m.extended_protocol_configuration_options),
        }),
        Gsm::PduSessionModificationComplete(_) => FgsmBody::ModificationComplete,
        Gsm::PduSessionModificationCommandReject(m) => {
            FgsmBody::ModificationCommandReject(cause(m.fgsm_cause))
        }
        Gsm::PduSessionModificationReject(m) => FgsmBody::ModificationReject(cause(m.fgsm_cause)),
        Gsm::PduSessionReleaseRequest(m) => FgsmBody::ReleaseRequest { cause: m.fgsm_cause.map(cause) },
        Gsm::PduSessionReleaseReject(m) => FgsmBody::ReleaseReject(cause(m.fgsm_cause)),
        Gsm::PduSessionReleaseCommand(m) => FgsmBody::ReleaseCommand {
            cause: cause(m.fgsm_cause),
            backoff: m.back_off_timer_value.and_then(|t| timer_3(&t.value)),
        },
        Gsm::PduSessionReleaseComplete(m) => FgsmBody::ReleaseComplete { cause: m.fgsm_cause.map(cause) },
        Gsm::FiveGsmStatus(m) => FgsmBody::Status(cause(m.fgsm_cause)),
        _ => return Ok(None),
    }))
}

/// The IPv4 address of a PDU address (§9.11.4.10): alone (type 1), or behind an interface identifier (type 3).
fn ipv4(o: &[u8]) -> Option<Ipv4Addr> {
    match o {
        [kind, a, b, c, d] if kind & 7 == 1 => Some(Ipv4Addr::new(*a, *b, *c, *d)),
        [kind, _, _, _, _, _, _, _, _, a, b, c, d, ..] if kind & 7 == 3 => {
            Some(Ipv4Addr::new(*a, *b, *c, *d))
        }
        _ => None,
    }
}

/// The interface identifier of a PDU address: type 2 or 3. What may follow it is not read.
fn interface(o: &[u8]) -> Option<[u8; 8]> {
    let (kind, rest) = o.split_first()?;
    matches!(kind & 7, 2 | 3).then_some(())?;
    rest.first_chunk::<8>().copied()
}

/// The PDU address of what there is.
fn pdu_address(v4: Option<Ipv4Addr>, interface: Option<[u8; 8]>) -> Option<Vec<u8>> {
    let kind = u8::from(v4.is_some()) | u8::from(interface.is_some()) << 1;
    let v4 = v4.map(|a| a.octets());
    let octets = interface.iter().flatten().chain(v4.iter().flatten()).copied();
    (kind != 0).then(|| std::iter::once(kind).chain(octets).collect())
}

pub(super) fn encode(m: &FgsmMessage) -> Result<Vec<u8>, NasError> {
    let wrong = |_| NasError::Encode { ie: m.body.name() };
    if m.pti == 255 {
        return Err(NasError::ReservedPti);
    }
    let octets = Nas5gsMessage::new_5gsm(to_ox(&m.body)?, m.session.into(), m.pti).encode().map_err(wrong)?;
    if octets.len() > MAX_NAS { Err(NasError::TooLong(octets.len())) } else { Ok(octets) }
}

fn epco_ie(e: &Option<Epco>) -> Result<Option<ox::NasExtendedProtocolConfigurationOptions>, NasError> {
    let ie = |e: &Epco| e.to_octets().map(ox::NasExtendedProtocolConfigurationOptions::new);
    e.as_ref().map(ie).transpose()
}

fn to_ox(body: &FgsmBody) -> Result<Gsm, NasError> {
    let cause = |c: FgsmCause| ox::NasFGsmCause::new(c.0);
    let backoff = |t: Option<Timer>| t.map(|t| ox::NasGprsTimer3::new([t.to_timer_3()]));
    Ok(match body {
        FgsmBody::EstablishmentRequest(m) => {
            let mut o = ox::NasPduSessionEstablishmentRequest::new(
                ox::NasIntegrityProtectionMaximumDataRate::new(u16::from_be_bytes(m.max_integrity_rate)),
            );
            o.pdu_session_type = m.session_type.map(|t| ox::NasPduSessionType::new(t.0 & 7));
            o.ssc_mode = m.ssc_mode.map(|s| ox::NasSscMode::new(s & 7));
            o.extended_protocol_configuration_options = epco_ie(&m.epco)?;
            o.into()
        }
        FgsmBody::EstablishmentAccept(m) => {
            if m.rules.is_empty() {
                return Err(NasError::Encode { ie: "authorized QoS rules" });
            }
            let mut o = ox::NasPduSessionEstablishmentAccept::new(
                ox::NasPduSessionType::new(m.session_type.0 & 7),
                ox::NasSscMode::new(m.ssc_mode & 7),
                ox::NasQosRules::new(rules_octets(&m.rules)?),
                ox::NasSessionAmbr::new(m.ambr.to_octets()),
            );
            o.fgsm_cause = m.cause.map(cause);
            o.pdu_address = pdu_address(m.address, m.interface).map(ox::NasPduAddress::new);
            o.s_nssai = m.slice.as_ref().map(|s| ox::NasSNssai::new(snssai_octets(s)));
            if !m.flows.is_empty() {
                o.authorized_qos_flow_descriptions =
                    Some(ox::NasQosFlowDescriptions::new(flows_octets(&m.flows)?));
            }
            o.extended_protocol_configuration_options = epco_ie(&m.epco)?;
            o.dnn = m.dnn.as_ref().map(|d| ox::NasDnn::new(dnn_octets(d)));
            o.into()
        }
        FgsmBody::EstablishmentReject(m) => {
            let mut o = ox::NasPduSessionEstablishmentReject::new(cause(m.cause));
            o.back_off_timer_value = backoff(m.backoff);
            o.into()
        }
        FgsmBody::ModificationRequest(m) => {
            let mut o = ox::NasPduSessionModificationRequest::new();
            o.fgsm_cause = m.cause.map(cause);
            if !m.rules.is_empty() {
                o.requested_qos_rules = Some(ox::NasQosRules::new(rules_octets(&m.rules)?));
            }
            if !m.flows.is_empty() {
                o.requested_qos_flow_descriptions =
                    Some(ox::NasQosFlowDescriptions::new(flows_octets(&m.flows)?));
            }
            o.extended_protocol_configuration_options = epco_ie(&m.epco)?;
            o.into()
        }
        FgsmBody::ModificationCommand(m) => {
            let mut o = ox::NasPduSessionModificationCommand::new();
            o.session_ambr = m.ambr.map(|a| ox::NasSessionAmbr::new(a.to_octets()));
            o.extended_protocol_configuration_options = epco_ie(&m.epco)?;
            o.into()
        }
        FgsmBody::ModificationComplete => ox::NasPduSessionModificationComplete::new().into(),
        FgsmBody::ModificationCommandReject(c) => {
            ox::NasPduSessionModificationCommandReject::new(cause(*c)).into()
        }
        FgsmBody::ModificationReject(c) => ox::NasPduSessionModificationReject::new(cause(*c)).into(),
        FgsmBody::ReleaseRequest { cause: c } => {
            let mut o = ox::NasPduSessionReleaseRequest::new();
            o.fgsm_cause = c.map(cause);
            o.into()
        }
        FgsmBody::ReleaseReject(c) => ox::NasPduSessionReleaseReject::new(cause(*c)).into(),
        FgsmBody::ReleaseCommand { cause: c, backoff: b } => {
            let mut o = ox::NasPduSessionReleaseCommand::new(cause(*c));
            o.back_off_timer_value = backoff(*b);
            o.into()
        }
        FgsmBody::ReleaseComplete { cause: c } => {
            let mut o = ox::NasPduSessionReleaseComplete::new();
            o.fgsm_cause = c.map(cause);
            o.into()
        }
        FgsmBody::Status(c) => ox::NasFGsmStatus::new(cause(*c)).into(),
    })
}
