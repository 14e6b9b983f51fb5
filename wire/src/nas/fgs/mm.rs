//! The 5GMM messages that we speak (TS 24.501 §8.2), plain.

use super::{
    IdentityType, MobileIdentity, NgKsi, RejectedSnssai, RequestedDnn, STmsi, SessionSet, Timer,
    UeSecurityCapability,
};
use crate::nas::security::{Nea, Nia};
use std::fmt;
use types::{Autn, Auts, FgGuti, FgmmCause, PduSessionId, Pei, Rand, Res, Snssai, Tai};

/// One plain 5GMM message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FgmmMessage {
    /// UE → network.
    RegistrationRequest(RegistrationRequest),
    /// Network → UE.
    RegistrationAccept(RegistrationAccept),
    /// UE → network.
    RegistrationComplete,
    /// Network → UE.
    RegistrationReject(RegistrationReject),
    /// UE → network: the UE leaves.
    DeregistrationRequestUeOriginating(DeregistrationRequestUeOriginating),
    /// Network → UE: it may go.
    DeregistrationAcceptUeOriginating,
    /// Network → UE: the UE must leave.
    DeregistrationRequestUeTerminated(DeregistrationRequestUeTerminated),
    /// UE → network: it goes.
    DeregistrationAcceptUeTerminated,
    /// UE → network.
    ServiceRequest(ServiceRequest),
    /// Network → UE.
    ServiceAccept(ServiceAccept),
    /// Network → UE.
    ServiceReject(ServiceReject),
    /// Network → UE.
    ConfigurationUpdateCommand(ConfigurationUpdateCommand),
    /// UE → network.
    ConfigurationUpdateComplete,
    /// Network → UE.
    AuthenticationRequest(AuthenticationRequest),
    /// UE → network.
    AuthenticationResponse(AuthenticationResponse),
    /// Network → UE.
    AuthenticationReject(Option<EapMessage>),
    /// Network → UE: the result of an EAP method where no Security Mode Command follows.
    AuthenticationResult(AuthenticationResult),
    /// UE → network.
    AuthenticationFailure(AuthenticationFailure),
    /// Network → UE.
    IdentityRequest(IdentityType),
    /// UE → network.
    IdentityResponse(MobileIdentity),
    /// Network → UE.
    SecurityModeCommand(SecurityModeCommand),
    /// UE → network.
    SecurityModeComplete(SecurityModeComplete),
    /// UE → network.
    SecurityModeReject(FgmmCause),
    /// UE → network: a message of another layer.
    UlNasTransport(UlNasTransport),
    /// Network → UE: a message of another layer.
    DlNasTransport(DlNasTransport),
    /// Either way.
    FgmmStatus(FgmmCause),
}

impl FgmmMessage {
    /// The spec's name of the message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RegistrationRequest(_) => "RegistrationRequest",
            Self::RegistrationAccept(_) => "RegistrationAccept",
            Self::RegistrationComplete => "RegistrationComplete",
            Self::RegistrationReject(_) => "RegistrationReject",
            Self::DeregistrationRequestUeOriginating(_) => "DeregistrationRequest (UE originating)",
            Self::DeregistrationAcceptUeOriginating => "DeregistrationAccept (UE originating)",
            Self::DeregistrationRequestUeTerminated(_) => "DeregistrationRequest (UE terminated)",
            Self::DeregistrationAcceptUeTerminated => "DeregistrationAccept (UE terminated)",
            Self::ServiceRequest(_) => "ServiceRequest",
            Self::ServiceAccept(_) => "ServiceAccept",
            Self::ServiceReject(_) => "ServiceReject",
            Self::ConfigurationUpdateCommand(_) => "ConfigurationUpdateCommand",
            Self::ConfigurationUpdateComplete => "ConfigurationUpdateComplete",
            Self::AuthenticationRequest(_) => "AuthenticationRequest",
            Self::AuthenticationResponse(_) => "AuthenticationResponse",
            Self::AuthenticationReject(_) => "AuthenticationReject",
            Self::AuthenticationResult(_) => "AuthenticationResult",
            Self::AuthenticationFailure(_) => "AuthenticationFailure",
            Self::IdentityRequest(_) => "IdentityRequest",
            Self::IdentityResponse(_) => "IdentityResponse",
            Self::SecurityModeCommand(_) => "SecurityModeCommand",
            Self::SecurityModeComplete(_) => "SecurityModeComplete",
            Self::SecurityModeReject(_) => "SecurityModeReject",
            Self::UlNasTransport(_) => "ULNASTransport",
            Self::DlNasTransport(_) => "DLNASTransport",
            Self::FgmmStatus(_) => "5GMMStatus",
        }
    }

    /// True for what the network may act upon though it is not integrity protected, before security is up
    /// (§4.4.4.3). Everything else without a valid MAC is dropped.
    pub fn allowed_unprotected_uplink(&self) -> bool {
        match self {
            Self::RegistrationRequest(_)
            | Self::AuthenticationResponse(_)
            | Self::AuthenticationFailure(_)
            | Self::SecurityModeReject(_)
            | Self::DeregistrationRequestUeOriginating(_)
            | Self::DeregistrationAcceptUeTerminated => true,
            // §4.4.4.3: the requested identity must be the SUCI.
            Self::IdentityResponse(id) => matches!(id, MobileIdentity::Suci(_)),
            // A Service Request without protection is only answered by a reject (#9), which the caller does.
            Self::ServiceRequest(_) => true,
            _ => false,
        }
    }
}

/// 5GS registration type (§9.11.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationType {
    /// First registration.
    Initial,
    /// The UE moved or changed.
    MobilityUpdating,
    /// T3512 ran out.
    PeriodicUpdating,
    /// Emergency only.
    Emergency,
    /// Another value as received, 0 or 5–7.
    Other(u8),
}

/// REGISTRATION REQUEST (§8.2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRequest {
    /// What kind.
    pub kind: RegistrationType,
    /// The UE has more to send: keep the connection (follow-on request pending).
    pub follow_on: bool,
    /// Which key set the UE still has.
    pub ngksi: NgKsi,
    /// Who.
    pub identity: MobileIdentity,
    /// 5GMM capability, as sent (1–13 octets).
    pub capability: Option<Vec<u8>>,
    /// Algorithms of the UE.
    pub security_capability: Option<UeSecurityCapability>,
    /// Slices asked for; up to 8.
    pub requested_nssai: Vec<Snssai>,
    /// Where the UE was registered last.
    pub last_tai: Option<Tai>,
    /// Sessions that have data waiting in the UE.
    pub uplink_data_status: Option<SessionSet>,
    /// Sessions that the UE holds.
    pub pdu_session_status: Option<SessionSet>,
    /// The whole message in protected form (§4.4.6), as octets.
    pub nas_container: Option<Vec<u8>>,
}

/// REGISTRATION ACCEPT (§8.2.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistrationAccept {
    /// The new temporary identity.
    pub guti: Option<FgGuti>,
    /// Where the UE may move without telling; up to 16, of one PLMN or several.
    pub tai_list: Vec<Tai>,
    /// Slices allowed; up to 8.
    pub allowed_nssai: Vec<Snssai>,
    /// Slices refused.
    pub rejected_nssai: Vec<RejectedSnssai>,
    /// Slices configured for this PLMN; up to 16.
    pub configured_nssai: Vec<Snssai>,
    /// 5GS network feature support, as sent (1–4 octets, §9.11.3.5).
    pub features: Option<Vec<u8>>,
    /// Sessions that the network holds.
    pub pdu_session_status: Option<SessionSet>,
    /// Sessions whose user plane could not be brought back.
    pub reactivation_result: Option<SessionSet>,
    /// T3512, periodic registration.
    pub t3512: Option<Timer>,
    /// T3502, back-off after repeated failure.
    pub t3502: Option<Timer>,
}

/// REGISTRATION REJECT (§8.2.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationReject {
    /// Why.
    pub cause: FgmmCause,
    /// T3346, back-off with cause #22.
    pub t3346: Option<Timer>,
    /// T3502.
    pub t3502: Option<Timer>,
    /// EAP-Failure, where an EAP method was under way.
    pub eap: Option<EapMessage>,
}

impl RegistrationReject {
    /// A reject with a cause and nothing else.
    pub fn new(cause: FgmmCause) -> Self {
        Self { cause, t3346: None, t3502: None, eap: None }
    }
}

/// DEREGISTRATION REQUEST, UE originating (§8.2.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeregistrationRequestUeOriginating {
    /// The UE switches off: no answer is wanted.
    pub switch_off: bool,
    /// Access type, 1 = 3GPP, 2 = non-3GPP, 3 = both.
    pub access: u8,
    /// Which key set.
    pub ngksi: NgKsi,
    /// Who.
    pub identity: MobileIdentity,
}

/// DEREGISTRATION REQUEST, UE terminated (§8.2.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeregistrationRequestUeTerminated {
    /// The UE shall register again.
    pub reregister: bool,
    /// Access type, 1 = 3GPP, 2 = non-3GPP, 3 = both.
    pub access: u8,
    /// Why.
    pub cause: Option<FgmmCause>,
    /// T3346, back-off with cause #22.
    pub t3346: Option<Timer>,
}

/// Service type (§9.11.3.50): a number of four bits; values that are not named survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceType(pub u8);

impl ServiceType {
    /// Signalling.
    pub const SIGNALLING: Self = Self(0);
    /// Data.
    pub const DATA: Self = Self(1);
    /// Answer to paging.
    pub const MOBILE_TERMINATED: Self = Self(2);
    /// Emergency services.
    pub const EMERGENCY: Self = Self(3);
    /// Emergency services by falling back to another access.
    pub const EMERGENCY_FALLBACK: Self = Self(4);

    /// True for either kind of emergency.
    pub fn is_emergency(self) -> bool {
        self == Self::EMERGENCY || self == Self::EMERGENCY_FALLBACK
    }
}

/// SERVICE REQUEST (§8.2.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRequest {
    /// Which key set.
    pub ngksi: NgKsi,
    /// What for.
    pub service_type: ServiceType,
    /// Who.
    pub s_tmsi: STmsi,
    /// Sessions that have data waiting in the UE.
    pub uplink_data_status: Option<SessionSet>,
    /// Sessions that the UE holds.
    pub pdu_session_status: Option<SessionSet>,
    /// The whole message in protected form (§4.4.6), as octets.
    pub nas_container: Option<Vec<u8>>,
}

/// SERVICE ACCEPT (§8.2.17).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceAccept {
    /// Sessions that the network holds.
    pub pdu_session_status: Option<SessionSet>,
    /// Sessions whose user plane could not be brought back.
    pub reactivation_result: Option<SessionSet>,
}

/// SERVICE REJECT (§8.2.18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceReject {
    /// Why.
    pub cause: FgmmCause,
    /// Sessions that the network holds.
    pub pdu_session_status: Option<SessionSet>,
    /// T3346, back-off with cause #22.
    pub t3346: Option<Timer>,
}

impl ServiceReject {
    /// A reject with a cause and nothing else.
    pub fn new(cause: FgmmCause) -> Self {
        Self { cause, pdu_session_status: None, t3346: None }
    }
}

/// Universal time and local time zone (§9.11.3.53): UTC, of the years 2000 to 2099, and how far the zone is from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkTime {
    /// Year behind 2000, month, day, hour, minute, second.
    pub utc: [u8; 6],
    /// Quarters of an hour east of Greenwich, summer time included, −79 to 79.
    pub quarters: i8,
}

/// CONFIGURATION UPDATE COMMAND (§8.2.19).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigurationUpdateCommand {
    /// An answer is wanted.
    pub acknowledge: bool,
    /// The UE shall register again.
    pub registration_requested: bool,
    /// The new temporary identity.
    pub guti: Option<FgGuti>,
    /// Registration area.
    pub tai_list: Vec<Tai>,
    /// Slices allowed.
    pub allowed_nssai: Vec<Snssai>,
    /// Slices configured.
    pub configured_nssai: Vec<Snssai>,
    /// The network's name, as its UEs show it (TS 24.008 §10.5.3.5a).
    pub full_name: Option<String>,
    /// The same where there is little room.
    pub short_name: Option<String>,
    /// What time it is, and by which clocks the UE lives (TS 24.008 §10.5.3.9).
    pub time: Option<NetworkTime>,
    /// Hours that summer time puts into the zone's offset, 0 to 2 (TS 24.008 §10.5.3.12).
    pub daylight_saving: Option<u8>,
}

/// EAP message (§9.11.2.2): one EAP packet as it is, to be read by [`crate::eap`]. `Debug` shows its length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct EapMessage(pub Vec<u8>);

impl fmt::Debug for EapMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EapMessage({} octets)", self.0.len())
    }
}

/// AUTHENTICATION REQUEST (§8.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationRequest {
    /// The key set that this makes.
    pub ngksi: NgKsi,
    /// ABBA, two octets of zero so far (TS 33.501 §A.7.1).
    pub abba: Vec<u8>,
    /// What is asked.
    pub challenge: AuthenticationChallenge,
}

/// The challenge of an Authentication Request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticationChallenge {
    /// 5G AKA.
    FgAka {
        /// The challenge.
        rand: Rand,
        /// Its token.
        autn: Autn,
    },
    /// An EAP-Request.
    Eap(EapMessage),
}

/// AUTHENTICATION RESULT (§8.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationResult {
    /// The key set that it is about.
    pub ngksi: NgKsi,
    /// EAP-Success or EAP-Failure.
    pub eap: EapMessage,
    /// ABBA.
    pub abba: Option<Vec<u8>>,
}

/// AUTHENTICATION RESPONSE (§8.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationResponse {
    /// RES*, 16 octets; `None` where the UE sent none.
    pub res_star: Option<Res>,
    /// An EAP-Response.
    pub eap: Option<EapMessage>,
}

impl AuthenticationResponse {
    /// Of 5G AKA.
    pub fn of(res_star: Option<Res>) -> Self {
        Self { res_star, eap: None }
    }
}

/// AUTHENTICATION FAILURE (§8.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationFailure {
    /// Why.
    pub cause: FgmmCause,
    /// The re-synchronisation token with cause #21.
    pub auts: Option<Auts>,
}

/// SECURITY MODE COMMAND (§8.2.25).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityModeCommand {
    /// Integrity algorithm chosen.
    pub integrity: Nia,
    /// Ciphering algorithm chosen.
    pub ciphering: Nea,
    /// Key set that becomes current.
    pub ngksi: NgKsi,
    /// What the UE said it can, given back to it exactly.
    pub replayed_capability: UeSecurityCapability,
    /// The UE shall tell its IMEISV.
    pub imeisv_requested: bool,
    /// The UE shall send the whole initial message again (RINMR, §9.11.3.12).
    pub retransmit_initial: bool,
    /// ABBA.
    pub abba: Option<Vec<u8>>,
    /// EAP-Success, where an EAP method made the keys.
    pub eap: Option<EapMessage>,
}

/// SECURITY MODE COMPLETE (§8.2.26).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecurityModeComplete {
    /// The device.
    pub pei: Option<Pei>,
    /// The whole initial message, as plain octets.
    pub nas_container: Option<Vec<u8>>,
}

/// Payload container type (§9.11.3.40): a number of four bits; values that are not named survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerType(pub u8);

impl ContainerType {
    /// N1 SM information: one 5GSM message.
    pub const N1_SM: Self = Self(1);
    /// SMS.
    pub const SMS: Self = Self(2);
    /// LTE positioning.
    pub const LPP: Self = Self(3);
    /// Several payloads.
    pub const MULTIPLE: Self = Self(15);
}

/// Request type (§9.11.3.47): a number of three bits; values that are not named survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestType(pub u8);

impl RequestType {
    /// A new session.
    pub const INITIAL: Self = Self(1);
    /// A session moved from another access.
    pub const EXISTING: Self = Self(2);
    /// A new session for emergency.
    pub const INITIAL_EMERGENCY: Self = Self(3);
    /// An emergency session moved from another access.
    pub const EXISTING_EMERGENCY: Self = Self(4);
    /// Modification.
    pub const MODIFICATION: Self = Self(5);
}

/// UL NAS TRANSPORT (§8.2.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UlNasTransport {
    /// What the payload is.
    pub kind: ContainerType,
    /// The payload.
    pub payload: Vec<u8>,
    /// Which session it is about.
    pub session: Option<PduSessionId>,
    /// What is asked.
    pub request: Option<RequestType>,
    /// In which slice.
    pub slice: Option<Snssai>,
    /// Into which data network.
    pub dnn: Option<RequestedDnn>,
}

/// DL NAS TRANSPORT (§8.2.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DlNasTransport {
    /// What the payload is.
    pub kind: ContainerType,
    /// The payload.
    pub payload: Vec<u8>,
    /// Which session it is about.
    pub session: Option<PduSessionId>,
    /// Why the payload comes back to the UE.
    pub cause: Option<FgmmCause>,
    /// Back-off timer.
    pub backoff: Option<Timer>,
}
