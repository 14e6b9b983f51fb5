//! 5GMM messages between our structs and the message tables of the codec below.

use super::ie::{
    nssai, nssai_octets, rejected_nssai, rejected_nssai_octets, snssai, snssai_octets, tai, tai_list,
    tai_list_octets, tai_octets,
};
use super::mm::*;
use super::{
    IdentityType, MobileIdentity, NasError, NgKsi, RequestedDnn, SessionSet, Timer, UeSecurityCapability,
};
use crate::nas::MAX_NAS;
use crate::nas::security::{Nea, Nia};
use ox::{Nas5gmmMessage as Gmm, Nas5gsMessage};
use oxirush_nas::common::NasError as OxError;
use oxirush_nas::nas_5gs as ox;
use types::{Autn, Auts, FgGuti, FgmmCause, PduSessionId, Rand, Res, Snssai};

/// Extended protocol discriminator of 5GMM (TS 24.007 §11.2.3.1.1A).
const EPD: u8 = 0x7e;

/// The message types that we have (§9.7): what the codec knows beyond them is not implemented here.
const OURS: [u8; 26] = [
    0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x4c, 0x4d, 0x4e, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f, 0x64, 0x67, 0x68,
];

/// The header is judged here, because silence and status differ by it; the tables are left to the codec.
pub(super) fn decode(octets: &[u8]) -> Result<FgmmMessage, NasError> {
    if octets.len() > MAX_NAS {
        return Err(NasError::TooLong(octets.len()));
    }
    let message_type = match octets {
        [EPD, header, ..] if header & 15 != 0 => return Err(NasError::Protected(header & 15)),
        [EPD, _, t, ..] => *t,
        [EPD, ..] | [] => return Err(NasError::TooShort),
        [other, ..] => return Err(NasError::UnknownDiscriminator(*other)),
    };
    if !OURS.contains(&message_type) {
        return Err(NasError::UnknownMessageType(message_type));
    }
    match Nas5gsMessage::decode(octets) {
        Ok(Nas5gsMessage::Gmm(_, m)) => {
            if m.unknown_ies().iter().any(|u| u.is_comprehension_required()) {
                return Err(NasError::InvalidMandatory { message_type, ie: "unknown IE" });
            }
            from_ox(m, message_type)
        }
        Ok(_) => Err(NasError::UnknownMessageType(message_type)),
        Err(e) => Err(error(e, message_type)),
    }
}

/// The codec's complaint in our words.
pub(super) fn error(e: OxError, message_type: u8) -> NasError {
    match e {
        OxError::MessageTooShort => NasError::TooShort,
        OxError::UnknownMessageType(t) => NasError::UnknownMessageType(t),
        OxError::UnknownProtocolDiscriminator(d) => NasError::UnknownDiscriminator(d),
        OxError::UnknownSessionMessageType { identity, pti, message_type } => {
            NasError::UnknownSessionMessageType { session: identity, pti, message_type }
        }
        OxError::ReservedPduSessionIdentity { identity, pti, message_type } => {
            NasError::InvalidPduSessionIdentity { session: identity, pti, message_type }
        }
        OxError::UnknownIeCutShort { .. } => {
            NasError::InvalidMandatory { message_type, ie: "unknown IE, cut short" }
        }
        _ => NasError::InvalidMandatory { message_type, ie: "a mandatory IE" },
    }
}

fn from_ox(m: Gmm, message_type: u8) -> Result<FgmmMessage, NasError> {
    let bad = |ie| NasError::InvalidMandatory { message_type, ie };
    let lacks = |ie| NasError::Conditional { message_type, ie };
    let identity = |i: &ox::NasFGsMobileIdentity| {
        MobileIdentity::from_octets(&i.value).ok_or(bad("5GS mobile identity"))
    };
    let set = |o: &[u8]| SessionSet::from_octets(o);
    Ok(match m {
        Gmm::RegistrationRequest(m) => FgmmMessage::RegistrationRequest(RegistrationRequest {
            kind: match m.fgs_registration_type.value & 7 {
                1 => RegistrationType::Initial,
                2 => RegistrationType::MobilityUpdating,
                3 => RegistrationType::PeriodicUpdating,
                4 => RegistrationType::Emergency,
                o => RegistrationType::Other(o),
            },
            follow_on: m.fgs_registration_type.value & 8 != 0,
            ngksi: NgKsi::from_bits(m.ngksi.value),
            identity: identity(&m.fgs_mobile_identity)?,
            capability: m.fgmm_capability.map(|c| c.value.into_vec()),
            security_capability: m.ue_security_capability.and_then(|c| UeSecurityCapability::new(&c.value)),
            requested_nssai: m.requested_nssai.and_then(|n| nssai(&n.value, 8)).unwrap_or_default(),
            last_tai: m.last_visited_registered_tai.and_then(|t| tai(&t.value)),
            uplink_data_status: m.uplink_data_status.and_then(|s| set(&s.value)),
            pdu_session_status: m.pdu_session_status.and_then(|s| set(&s.value)),
            nas_container: m.nas_message_container.map(|c| c.value.into_vec()),
        }),
        Gmm::RegistrationAccept(m) => FgmmMessage::RegistrationAccept(RegistrationAccept {
            guti: m.fg_guti.and_then(|g| guti(&g.value)),
            tai_list: m.tai_list.and_then(|t| tai_list(&t.value)).unwrap_or_default(),
            allowed_nssai: m.allowed_nssai.and_then(|n| nssai(&n.value, 8)).unwrap_or_default(),
            rejected_nssai: m.rejected_nssai.and_then(|n| rejected_nssai(&n.value)).unwrap_or_default(),
            configured_nssai: m.configured_nssai.and_then(|n| nssai(&n.value, 16)).unwrap_or_default(),
            features: m.fgs_network_feature_support.map(|f| f.value.into_vec()),
            pdu_session_status: m.pdu_session_status.and_then(|s| set(&s.value)),
            reactivation_result: m.pdu_session_reactivation_result.and_then(|s| set(&s.value)),
            t3512: m.t3512_value.and_then(|t| timer_3(&t.value)),
            t3502: m.t3502_value.and_then(|t| timer_2(&t.value)),
        }),
        Gmm::RegistrationComplete(_) => FgmmMessage::RegistrationComplete,
        Gmm::RegistrationReject(m) => FgmmMessage::RegistrationReject(RegistrationReject {
            cause: FgmmCause(m.fgmm_cause.value),
            t3346: m.t3346_value.and_then(|t| timer_2(&t.value)),
            t3502: m.t3502_value.and_then(|t| timer_2(&t.value)),
            eap: eap(m.eap_message),
        }),
        Gmm::DeregistrationRequestUeOriginating(m) => {
            FgmmMessage::DeregistrationRequestUeOriginating(DeregistrationRequestUeOriginating {
                switch_off: m.de_registration_type.value & 8 != 0,
                access: m.de_registration_type.value & 3,
                ngksi: NgKsi::from_bits(m.ngksi.value),
                identity: identity(&m.fgs_mobile_identity)?,
            })
        }
        Gmm::DeregistrationAcceptUeOriginating(_) => FgmmMessage::DeregistrationAcceptUeOriginating,
        Gmm::DeregistrationRequestUeTerminated(m) => {
            FgmmMessage::DeregistrationRequestUeTerminated(DeregistrationRequestUeTerminated {
                reregister: m.de_registration_type.value & 4 != 0,
                access: m.de_registration_type.value & 3,
                cause: m.fgmm_cause.map(|c| FgmmCause(c.value)),
                t3346: m.t3346_value.and_then(|t| timer_2(&t.value)),
            })
        }
        Gmm::DeregistrationAcceptUeTerminated(_) => FgmmMessage::DeregistrationAcceptUeTerminated,
        Gmm::ServiceRequest(m) => FgmmMessage::ServiceRequest(ServiceRequest {
            ngksi: NgKsi::from_bits(m.ngksi.value),
            service_type: ServiceType(m.service_type.value & 15),
            s_tmsi: match identity(&m.fg_s_tmsi)? {
                MobileIdentity::STmsi(t) => t,
                _ => return Err(bad("5G-S-TMSI")),
            },
            uplink_data_status: m.uplink_data_status.and_then(|s| set(&s.value)),
            pdu_session_status: m.pdu_session_status.and_then(|s| set(&s.value)),
            nas_container: m.nas_message_container.map(|c| c.value.into_vec()),
        }),
        Gmm::ServiceAccept(m) => FgmmMessage::ServiceAccept(ServiceAccept {
            pdu_session_status: m.pdu_session_status.and_then(|s| set(&s.value)),
            reactivation_result: m.pdu_session_reactivation_result.and_then(|s| set(&s.value)),
        }),
        Gmm::ServiceReject(m) => FgmmMessage::ServiceReject(ServiceReject {
            cause: FgmmCause(m.fgmm_cause.value),
            pdu_session_status: m.pdu_session_status.and_then(|s| set(&s.value)),
            t3346: m.t3346_value.and_then(|t| timer_2(&t.value)),
        }),
        Gmm::ConfigurationUpdateCommand(m) => {
            let indication = m.configuration_update_indication.map_or(0, |i| i.value);
            FgmmMessage::ConfigurationUpdateCommand(ConfigurationUpdateCommand {
                acknowledge: indication & 1 != 0,
                registration_requested: indication & 2 != 0,
                guti: m.fg_guti.and_then(|g| guti(&g.value)),
                tai_list: m.tai_list.and_then(|t| tai_list(&t.value)).unwrap_or_default(),
                allowed_nssai: m.allowed_nssai.and_then(|n| nssai(&n.value, 8)).unwrap_or_default(),
                configured_nssai: m.configured_nssai.and_then(|n| nssai(&n.value, 16)).unwrap_or_default(),
                full_name: m.full_name_for_network.and_then(|n| n.name()),
                short_name: m.short_name_for_network.and_then(|n| n.name()),
                time: m.universal_time_and_local_time_zone.filter(|t| t.is_well_formed()).map(|t| {
                    NetworkTime {
                        utc: [t.year(), t.month(), t.day(), t.hour(), t.minute(), t.second()],
                        quarters: t.timezone_quarter_hours(),
                    }
                }),
                daylight_saving: m.network_daylight_saving_time.and_then(|d| d.value.first().map(|o| o & 3)),
            })
        }
        Gmm::ConfigurationUpdateComplete(_) => FgmmMessage::ConfigurationUpdateComplete,
        Gmm::AuthenticationRequest(m) => FgmmMessage::AuthenticationRequest(AuthenticationRequest {
            ngksi: NgKsi::from_bits(m.ngksi.value),
            abba: m.abba.value.into_vec(),
            challenge: match m.eap_message {
                Some(eap) => AuthenticationChallenge::Eap(EapMessage(eap.value.into_vec())),
                None => AuthenticationChallenge::FgAka {
                    rand: Rand(
                        array(m.authentication_parameter_rand.map(|r| r.value.into_vec()))
                            .ok_or(lacks("RAND"))?,
                    ),
                    autn: Autn(
                        array(m.authentication_parameter_autn.map(|a| a.value.into_vec()))
                            .ok_or(lacks("AUTN"))?,
                    ),
                },
            },
        }),
        Gmm::AuthenticationResponse(m) => FgmmMessage::AuthenticationResponse(AuthenticationResponse {
            res_star: m.authentication_response_parameter.map(|p| Res(p.value.into_vec())),
            eap: eap(m.eap_message),
        }),
        Gmm::AuthenticationReject(m) => FgmmMessage::AuthenticationReject(eap(m.eap_message)),
        Gmm::AuthenticationResult(m) => FgmmMessage::AuthenticationResult(AuthenticationResult {
            ngksi: NgKsi::from_bits(m.ngksi.value),
            eap: EapMessage(m.eap_message.value.into_vec()),
            abba: m.abba.map(|a| a.value.into_vec()),
        }),
        Gmm::AuthenticationFailure(m) => FgmmMessage::AuthenticationFailure(AuthenticationFailure {
            cause: FgmmCause(m.fgmm_cause.value),
            auts: array(m.authentication_failure_parameter.map(|p| p.value.into_vec())).map(Auts),
        }),
        Gmm::IdentityRequest(m) => {
            FgmmMessage::IdentityRequest(IdentityType::from_bits(m.identity_type.value))
        }
        Gmm::IdentityResponse(m) => FgmmMessage::IdentityResponse(identity(&m.mobile_identity)?),
        Gmm::SecurityModeCommand(m) => {
            let algorithms = m.selected_nas_security_algorithms.value;
            FgmmMessage::SecurityModeCommand(SecurityModeCommand {
                integrity: Nia::from_code(algorithms & 15).ok_or(bad("NAS security algorithms"))?,
                ciphering: Nea::from_code(algorithms >> 4).ok_or(bad("NAS security algorithms"))?,
                ngksi: NgKsi::from_bits(m.ngksi.value),
                replayed_capability: UeSecurityCapability::new(&m.replayed_ue_security_capabilities.value)
                    .ok_or(bad("replayed UE security capabilities"))?,
                imeisv_requested: m.imeisv_request.is_some_and(|r| r.value & 7 == 1),
                retransmit_initial: m
                    .additional_5g_security_information
                    .is_some_and(|a| a.value.first().is_some_and(|o| o & 2 != 0)),
                abba: m.abba.map(|a| a.value.into_vec()),
                eap: eap(m.eap_message),
            })
        }
        Gmm::SecurityModeComplete(m) => {
            let device = |i: Option<ox::NasFGsMobileIdentity>| {
                i.and_then(|i| MobileIdentity::from_octets(&i.value)).and_then(|i| i.pei())
            };
            let (imeisv, other) = (device(m.imeisv), device(m.non_imeisv_pei));
            FgmmMessage::SecurityModeComplete(SecurityModeComplete {
                pei: imeisv.or(other),
                nas_container: m.nas_message_container.map(|c| c.value.into_vec()),
            })
        }
        Gmm::SecurityModeReject(m) => FgmmMessage::SecurityModeReject(FgmmCause(m.fgmm_cause.value)),
        Gmm::UlNasTransport(m) => FgmmMessage::UlNasTransport(UlNasTransport {
            kind: ContainerType(m.payload_container_type.value & 15),
            payload: m.payload_container.value.into_vec(),
            session: m.pdu_session_id.and_then(|i| PduSessionId::try_from(i.value).ok()),
            request: m.request_type.map(|r| RequestType(r.value & 7)),
            slice: m.s_nssai.and_then(|s| snssai(&s.value)),
            dnn: m.dnn.and_then(|d| RequestedDnn::from_octets(&d.value)),
        }),
        Gmm::DlNasTransport(m) => FgmmMessage::DlNasTransport(DlNasTransport {
            kind: ContainerType(m.payload_container_type.value & 15),
            payload: m.payload_container.value.into_vec(),
            session: m.pdu_session_id.and_then(|i| PduSessionId::try_from(i.value).ok()),
            cause: m.fgmm_cause.map(|c| FgmmCause(c.value)),
            backoff: m.back_off_timer_value.and_then(|t| timer_3(&t.value)),
        }),
        Gmm::FiveGmmStatus(m) => FgmmMessage::FgmmStatus(FgmmCause(m.fgmm_cause.value)),
        _ => return Err(NasError::UnknownMessageType(message_type)),
    })
}

fn array<const N: usize>(o: Option<Vec<u8>>) -> Option<[u8; N]> {
    o.and_then(|o| o.try_into().ok())
}

fn eap(m: Option<ox::NasEapMessage>) -> Option<EapMessage> {
    m.map(|m| EapMessage(m.value.into_vec()))
}

fn guti(o: &[u8]) -> Option<FgGuti> {
    match MobileIdentity::from_octets(o)? {
        MobileIdentity::Guti(g) => Some(g),
        _ => None,
    }
}

pub(super) fn timer_2(o: &[u8]) -> Option<Timer> {
    o.first().map(|o| Timer::from_timer_2(*o))
}

pub(super) fn timer_3(o: &[u8]) -> Option<Timer> {
    o.first().map(|o| Timer::from_timer_3(*o))
}

pub(super) fn encode(m: &FgmmMessage) -> Result<Vec<u8>, NasError> {
    let wrong = |_| NasError::Encode { ie: m.name() };
    let octets = Nas5gsMessage::new_5gmm(to_ox(m)?).encode().map_err(wrong)?;
    if octets.len() > MAX_NAS { Err(NasError::TooLong(octets.len())) } else { Ok(octets) }
}

fn identity_ie(i: &MobileIdentity) -> Result<ox::NasFGsMobileIdentity, NasError> {
    i.to_octets().map(ox::NasFGsMobileIdentity::new)
}

fn guti_ie(g: &Option<FgGuti>) -> Result<Option<ox::NasFGsMobileIdentity>, NasError> {
    g.as_ref().map(|g| identity_ie(&MobileIdentity::Guti(*g))).transpose()
}

fn nssai_ie(list: &[Snssai], max: usize) -> Result<Option<ox::NasNssai>, NasError> {
    if list.is_empty() { Ok(None) } else { nssai_octets(list, max).map(|o| Some(ox::NasNssai::new(o))) }
}

fn status_ie(s: Option<SessionSet>) -> Option<ox::NasPduSessionStatus> {
    s.map(|s| ox::NasPduSessionStatus::new(s.to_octets()))
}

fn timer_2_ie(t: Option<Timer>) -> Option<ox::NasGprsTimer2> {
    t.map(|t| ox::NasGprsTimer2::new([t.to_timer_2()]))
}

fn eap_ie(m: &Option<EapMessage>) -> Option<ox::NasEapMessage> {
    m.as_ref().map(|m| ox::NasEapMessage::new(m.0.clone()))
}

fn time_ie(t: NetworkTime) -> Result<ox::NasTimeZoneAndTime, NasError> {
    let wrong = NasError::Encode { ie: "universal time and local time zone" };
    let [year, month, day, hour, minute, second] = t.utc;
    let ie = ox::NasTimeZoneAndTime::new([0; 7])
        .with_year(year)
        .with_month(month)
        .with_day(day)
        .with_hour(hour)
        .with_minute(minute)
        .with_second(second)
        .with_timezone_quarter_hours(t.quarters);
    ie.ok().filter(|ie| ie.is_well_formed() && year < 100).ok_or(wrong)
}

fn cause_ie(c: FgmmCause) -> ox::NasFGmmCause {
    ox::NasFGmmCause::new(c.0)
}

fn to_ox(m: &FgmmMessage) -> Result<Gmm, NasError> {
    Ok(match m {
        FgmmMessage::RegistrationRequest(m) => {
            let kind = match m.kind {
                RegistrationType::Initial => 1,
                RegistrationType::MobilityUpdating => 2,
                RegistrationType::PeriodicUpdating => 3,
                RegistrationType::Emergency => 4,
                RegistrationType::Other(o) => o & 7,
            };
            let mut o = ox::NasRegistrationRequest::new(
                ox::NasFGsRegistrationType::new(u8::from(m.follow_on) << 3 | kind),
                ox::NasKeySetIdentifier::new(m.ngksi.bits()),
                identity_ie(&m.identity)?,
            );
            o.fgmm_capability = m.capability.clone().map(ox::NasFGmmCapability::new);
            o.ue_security_capability =
                m.security_capability.as_ref().map(|c| ox::NasUeSecurityCapability::new(c.octets()));
            o.requested_nssai = nssai_ie(&m.requested_nssai, 8)?;
            o.last_visited_registered_tai =
                m.last_tai.as_ref().map(|t| ox::NasFGsTrackingAreaIdentity::new(tai_octets(t)));
            o.uplink_data_status = m.uplink_data_status.map(|s| ox::NasUplinkDataStatus::new(s.to_octets()));
            o.pdu_session_status = status_ie(m.pdu_session_status);
            o.nas_message_container = m.nas_container.clone().map(ox::NasMessageContainer::new);
            o.into()
        }
        FgmmMessage::RegistrationAccept(m) => {
            // §9.11.3.6: 3GPP access, no SMS over NAS, not for emergency.
            let mut o = ox::NasRegistrationAccept::new(ox::NasFGsRegistrationResult::new([1]));
            o.fg_guti = guti_ie(&m.guti)?;
            o.tai_list = tai_list_ie(&m.tai_list)?;
            o.allowed_nssai = nssai_ie(&m.allowed_nssai, 8)?;
            if !m.rejected_nssai.is_empty() {
                o.rejected_nssai = Some(ox::NasRejectedNssai::new(rejected_nssai_octets(&m.rejected_nssai)?));
            }
            o.configured_nssai = nssai_ie(&m.configured_nssai, 16)?;
            o.fgs_network_feature_support = m.features.clone().map(ox::NasFGsNetworkFeatureSupport::new);
            o.pdu_session_status = status_ie(m.pdu_session_status);
            o.pdu_session_reactivation_result =
                m.reactivation_result.map(|s| ox::NasPduSessionReactivationResult::new(s.to_octets()));
            o.t3512_value = m.t3512.map(|t| ox::NasT3512Value::new([t.to_timer_3()]));
            o.t3502_value = timer_2_ie(m.t3502);
            o.into()
        }
        FgmmMessage::RegistrationComplete => ox::NasRegistrationComplete::new().into(),
        FgmmMessage::RegistrationReject(m) => {
            let mut o = ox::NasRegistrationReject::new(cause_ie(m.cause));
            o.t3346_value = timer_2_ie(m.t3346);
            o.t3502_value = timer_2_ie(m.t3502);
            o.eap_message = eap_ie(&m.eap);
            o.into()
        }
        FgmmMessage::DeregistrationRequestUeOriginating(m) => ox::NasDeregistrationRequestUeOriginating::new(
            ox::NasDeRegistrationType::new(u8::from(m.switch_off) << 3 | m.access & 3),
            ox::NasKeySetIdentifier::new(m.ngksi.bits()),
            identity_ie(&m.identity)?,
        )
        .into(),
        FgmmMessage::DeregistrationAcceptUeOriginating => {
            ox::NasDeregistrationAcceptUeOriginating::new().into()
        }
        FgmmMessage::DeregistrationRequestUeTerminated(m) => {
            let kind = u8::from(m.reregister) << 2 | m.access & 3;
            let mut o = ox::NasDeregistrationRequestUeTerminated::new(ox::NasDeRegistrationType::new(kind));
            o.fgmm_cause = m.cause.map(cause_ie);
            o.t3346_value = timer_2_ie(m.t3346);
            o.into()
        }
        FgmmMessage::DeregistrationAcceptUeTerminated => {
            ox::NasDeregistrationAcceptUeTerminated::new().into()
        }
        FgmmMessage::ServiceRequest(m) => {
            let mut o = ox::NasServiceRequest::new(
                ox::NasKeySetIdentifier::new(m.ngksi.bits()),
                ox::NasServiceType::new(m.service_type.0 & 15),
                identity_ie(&MobileIdentity::STmsi(m.s_tmsi))?,
            );
            o.uplink_data_status = m.uplink_data_status.map(|s| ox::NasUplinkDataStatus::new(s.to_octets()));
            o.pdu_session_status = status_ie(m.pdu_session_status);
            o.nas_message_container = m.nas_container.clone().map(ox::NasMessageContainer::new);
            o.into()
        }
        FgmmMessage::ServiceAccept(m) => {
            let mut o = ox::NasServiceAccept::new();
            o.pdu_session_status = status_ie(m.pdu_session_status);
            o.pdu_session_reactivation_result =
                m.reactivation_result.map(|s| ox::NasPduSessionReactivationResult::new(s.to_octets()));
            o.into()
        }
        FgmmMessage::ServiceReject(m) => {
            let mut o = ox::NasServiceReject::new(cause_ie(m.cause));
            o.pdu_session_status = status_ie(m.pdu_session_status);
            o.t3346_value = timer_2_ie(m.t3346);
            o.into()
        }
        FgmmMessage::ConfigurationUpdateCommand(m) => {
            let mut o = ox::NasConfigurationUpdateCommand::new();
            let indication = u8::from(m.registration_requested) << 1 | u8::from(m.acknowledge);
            if indication != 0 {
                o.configuration_update_indication =
                    Some(ox::NasConfigurationUpdateIndication::new(indication));
            }
            o.fg_guti = guti_ie(&m.guti)?;
            o.tai_list = tai_list_ie(&m.tai_list)?;
            o.allowed_nssai = nssai_ie(&m.allowed_nssai, 8)?;
            o.configured_nssai = nssai_ie(&m.configured_nssai, 16)?;
            o.full_name_for_network = m.full_name.as_deref().map(|n| ox::NasNetworkName::from_name(n, false));
            o.short_name_for_network =
                m.short_name.as_deref().map(|n| ox::NasNetworkName::from_name(n, false));
            o.universal_time_and_local_time_zone = m.time.map(time_ie).transpose()?;
            o.network_daylight_saving_time =
                m.daylight_saving.map(|hours| ox::NasDaylightSavingTime::new([hours & 3]));
            o.into()
        }
        FgmmMessage::ConfigurationUpdateComplete => ox::NasConfigurationUpdateComplete::new().into(),
        FgmmMessage::AuthenticationRequest(m) => {
            let mut o = ox::NasAuthenticationRequest::new(
                ox::NasKeySetIdentifier::new(m.ngksi.bits()),
                ox::NasAbba::new(m.abba.clone()),
            );
            match &m.challenge {
                AuthenticationChallenge::FgAka { rand, autn } => {
                    o.authentication_parameter_rand = Some(ox::NasAuthenticationParameterRand::new(rand.0));
                    o.authentication_parameter_autn = Some(ox::NasAuthenticationParameterAutn::new(autn.0));
                }
                AuthenticationChallenge::Eap(EapMessage(packet)) => {
                    o.eap_message = Some(ox::NasEapMessage::new(packet.clone()));
                }
            }
            o.into()
        }
        FgmmMessage::AuthenticationResponse(m) => {
            let mut o = ox::NasAuthenticationResponse::new();
            o.authentication_response_parameter =
                m.res_star.as_ref().map(|r| ox::NasAuthenticationResponseParameter::new(r.0.clone()));
            o.eap_message = eap_ie(&m.eap);
            o.into()
        }
        FgmmMessage::AuthenticationReject(eap) => {
            let mut o = ox::NasAuthenticationReject::new();
            o.eap_message = eap_ie(eap);
            o.into()
        }
        FgmmMessage::AuthenticationResult(m) => {
            let mut o = ox::NasAuthenticationResult::new(
                ox::NasKeySetIdentifier::new(m.ngksi.bits()),
                ox::NasEapMessage::new(m.eap.0.clone()),
            );
            o.abba = m.abba.clone().map(ox::NasAbba::new);
            o.into()
        }
        FgmmMessage::AuthenticationFailure(m) => {
            let mut o = ox::NasAuthenticationFailure::new(cause_ie(m.cause));
            o.authentication_failure_parameter =
                m.auts.map(|a| ox::NasAuthenticationFailureParameter::new(a.0));
            o.into()
        }
        FgmmMessage::IdentityRequest(kind) => {
            ox::NasIdentityRequest::new(ox::NasFGsIdentityType::new(kind.bits())).into()
        }
        FgmmMessage::IdentityResponse(i) => ox::NasIdentityResponse::new(identity_ie(i)?).into(),
        FgmmMessage::SecurityModeCommand(m) => {
            let mut o = ox::NasSecurityModeCommand::new(
                ox::NasSecurityAlgorithms::new(m.ciphering.code() << 4 | m.integrity.code()),
                ox::NasKeySetIdentifier::new(m.ngksi.bits()),
                ox::NasUeSecurityCapability::new(m.replayed_capability.octets()),
            );
            o.imeisv_request = m.imeisv_requested.then(|| ox::NasImeisvRequest::new(1));
            if m.retransmit_initial {
                o.additional_5g_security_information = Some(ox::NasAdditional5gSecurityInformation::new([2]));
            }
            o.abba = m.abba.clone().map(ox::NasAbba::new);
            o.eap_message = eap_ie(&m.eap);
            o.into()
        }
        FgmmMessage::SecurityModeComplete(m) => {
            let mut o = ox::NasSecurityModeComplete::new();
            match m.pei {
                Some(types::Pei::Imeisv(i)) => o.imeisv = Some(identity_ie(&MobileIdentity::Imeisv(i))?),
                Some(types::Pei::Imei(i)) => o.non_imeisv_pei = Some(identity_ie(&MobileIdentity::Imei(i))?),
                None => {}
            }
            o.nas_message_container = m.nas_container.clone().map(ox::NasMessageContainer::new);
            o.into()
        }
        FgmmMessage::SecurityModeReject(c) => ox::NasSecurityModeReject::new(cause_ie(*c)).into(),
        FgmmMessage::UlNasTransport(m) => {
            let mut o = ox::NasUlNasTransport::new(
                ox::NasPayloadContainerType::new(m.kind.0 & 15),
                ox::NasPayloadContainer::new(m.payload.clone()),
            );
            o.pdu_session_id = m.session.map(|i| ox::NasPduSessionIdentity2::new(i.into()));
            o.request_type = m.request.map(|r| ox::NasRequestType::new(r.0 & 7));
            o.s_nssai = m.slice.as_ref().map(|s| ox::NasSNssai::new(snssai_octets(s)));
            o.dnn = m.dnn.as_ref().map(|d| ox::NasDnn::new(d.to_octets()));
            o.into()
        }
        FgmmMessage::DlNasTransport(m) => {
            let mut o = ox::NasDlNasTransport::new(
                ox::NasPayloadContainerType::new(m.kind.0 & 15),
                ox::NasPayloadContainer::new(m.payload.clone()),
            );
            o.pdu_session_id = m.session.map(|i| ox::NasPduSessionIdentity2::new(i.into()));
            o.fgmm_cause = m.cause.map(cause_ie);
            o.back_off_timer_value = m.backoff.map(|t| ox::NasGprsTimer3::new([t.to_timer_3()]));
            o.into()
        }
        FgmmMessage::FgmmStatus(c) => ox::NasFGmmStatus::new(cause_ie(*c)).into(),
    })
}

fn tai_list_ie(list: &[types::Tai]) -> Result<Option<ox::NasFGsTrackingAreaIdentityList>, NasError> {
    if list.is_empty() {
        return Ok(None);
    }
    tai_list_octets(list).map(|o| Some(ox::NasFGsTrackingAreaIdentityList::new(o)))
}
