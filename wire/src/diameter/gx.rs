//! Gx between PCEF (in the SMF) and PCRF (TS 29.212; TS 29.214 for flows; RFC 8506 for credit control).

use super::avp::{Avp, Octets, Value, View, avps, each, enumerated, field, finish, keep, slot};
use super::dictionary::{self, *};
use super::{DiameterError, result};

/// IP-CAN-Type of EPS (§5.3.27).
pub const IP_CAN_EPS: u32 = 5;

/// Event-Trigger of a session's end by the operator's word: none (§5.3.7).
pub const NO_EVENT_TRIGGERS: u32 = 14;

/// Session-Release-Cause (§5.3.44): unspecified.
pub const RELEASE_UNSPECIFIED: u32 = 0;

/// Session-Release-Cause: the subscription is not what it was.
pub const RELEASE_SUBSCRIPTION: u32 = 1;

/// Re-Auth-Request-Type (RFC 6733 §8.12): authorize only.
pub const AUTHORIZE_ONLY: u32 = 0;

enumerated! {
    /// CC-Request-Type (RFC 8506 §8.3).
    RequestType {
        /// A session begins.
        Initial = 1,
        /// Something has changed.
        Update = 2,
        /// It has ended.
        Termination = 3,
        /// Not about a session.
        Event = 4,
    }

    /// Subscription-Id-Type (RFC 8506 §8.47).
    SubscriptionKind {
        /// MSISDN.
        E164 = 0,
        /// IMSI.
        Imsi = 1,
        /// SIP address.
        SipUri = 2,
        /// Network access identifier.
        Nai = 3,
        /// Something else.
        Private = 4,
    }

    /// Flow-Status (TS 29.214 §5.3.11).
    FlowStatus {
        /// Open from the UE alone.
        EnabledUplink = 0,
        /// Open to the UE alone.
        EnabledDownlink = 1,
        /// Open.
        Enabled = 2,
        /// Closed.
        Disabled = 3,
        /// To be taken away.
        Removed = 4,
    }
}

avps! {
    /// Subscription-Id (RFC 8506 §8.46).
    SubscriptionId {
        /// Of which kind.
        kind: one SubscriptionIdType,
        /// What.
        data: one SubscriptionIdData,
    }

    /// User-Equipment-Info (RFC 8506 §8.49).
    Equipment {
        /// 0: IMEISV.
        kind: one UserEquipmentInfoType,
        /// As 8 octets of digits or as text.
        value: one UserEquipmentInfoValue,
    }

    /// QoS-Information (§5.3.16), bits a second.
    Qos {
        /// QCI.
        qci: opt QosClassIdentifier,
        /// Most from the UE.
        max_ul: opt MaxRequestedBandwidthUl,
        /// Most to the UE.
        max_dl: opt MaxRequestedBandwidthDl,
        /// At least from the UE.
        guaranteed_ul: opt GuaranteedBitrateUl,
        /// At least to the UE.
        guaranteed_dl: opt GuaranteedBitrateDl,
        /// ARP.
        arp: opt AllocationRetentionPriority,
        /// Most from the UE to the data network, all bearers together.
        apn_ul: opt ApnAggregateMaxBitrateUl,
        /// Most to the UE.
        apn_dl: opt ApnAggregateMaxBitrateDl,
    }

    /// Flow-Information (§5.3.53).
    Flow {
        /// An IPFilterRule (RFC 6733 §4.3.1): `permit out …`.
        description: opt FlowDescription,
        /// Type of service and its mask.
        tos: opt TosTrafficClass,
        /// 0 unspecified, 1 downlink, 2 uplink, 3 both (§5.3.65).
        direction: opt FlowDirection,
    }

    /// Charging-Rule-Definition (§5.3.4).
    RuleDefinition {
        /// Its name.
        name: one ChargingRuleName,
        /// What it matches.
        flows: many FlowInformation,
        /// Open?
        status: opt FlowStatusAvp,
        /// Its bearer and rates.
        qos: opt QosInformation,
        /// The least is read first.
        precedence: opt Precedence,
    }

    /// Charging-Rule-Install (§5.3.2).
    RuleInstall {
        /// Rules.
        definitions: many ChargingRuleDefinition,
        /// Names of rules that the PCEF has.
        names: many ChargingRuleName,
    }

    /// Charging-Rule-Remove (§5.3.3).
    RuleRemove {
        /// Names of rules.
        names: many ChargingRuleName,
    }

    /// Charging-Rule-Report (§5.3.18).
    RuleReport {
        /// Names of rules.
        names: many ChargingRuleName,
        /// 0 active, 1 inactive, 2 temporarily inactive (§5.3.19).
        status: opt PccRuleStatus,
        /// Why (§5.3.38).
        failure: opt RuleFailureCode,
    }

    /// CC-Request of Gx (§5.6.2).
    CreditControlRequest {
        /// Of the session.
        session_id: one SessionId,
        /// [`GX`](super::application::GX).
        auth_application: one AuthApplicationId,
        /// Who asks.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// Which realm is asked.
        destination_realm: one DestinationRealm,
        /// Beginning, change or end.
        kind: one CcRequestType,
        /// Counts up from 0 in a session.
        number: one CcRequestNumber,
        /// Who is asked.
        destination_host: opt DestinationHost,
        /// Changes when the sender has lost its state.
        origin_state: opt OriginStateId,
        /// Whose session: IMSI, MSISDN.
        subscriptions: many SubscriptionIdAvp,
        /// What the sender's release can do.
        features: many SupportedFeatures,
        /// May the network begin bearers?
        network_request: opt NetworkRequestSupport,
        /// The UE's IPv4 address.
        ipv4: opt FramedIpAddress,
        /// The UE's prefix: a zero octet, the length, the octets of the prefix (RFC 3162 §2.3).
        ipv6: opt FramedIpv6Prefix,
        /// Kind of access: [`IP_CAN_EPS`].
        ip_can: opt IpCanType,
        /// Kind of radio.
        rat_type: opt RatType,
        /// Why a session ended (RFC 6733 §8.15).
        termination: opt TerminationCause,
        /// The device.
        equipment: opt UserEquipmentInfo,
        /// Rates that are asked for.
        qos: opt QosInformation,
        /// The default bearer that is asked for.
        default_qos: opt DefaultEpsBearerQos,
        /// The data network.
        called_station: opt CalledStationId,
        /// Where the UE is, as it came (TS 29.061 §16.4.7.2).
        location: opt UserLocationInfo,
        /// What has happened (§5.3.7).
        triggers: many EventTrigger,
        /// What became of rules.
        reports: many ChargingRuleReport,
        /// Relays that it came by.
        route: many RouteRecord,
    }

    /// CC-Answer of Gx (§5.6.3).
    CreditControlAnswer {
        /// The request's.
        session_id: one SessionId,
        /// [`GX`](super::application::GX).
        auth_application: opt AuthApplicationId,
        /// Who answers.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// Result of the base protocol; or `experimental`.
        result_code: opt ResultCode,
        /// Result of 3GPP.
        experimental: opt ExperimentalResult,
        /// The request's.
        kind: opt CcRequestType,
        /// The request's.
        number: opt CcRequestNumber,
        /// What the sender's release can do.
        features: many SupportedFeatures,
        /// 0: only the UE begins bearers (§5.3.23).
        bearer_control: opt BearerControlMode,
        /// What the PCEF is to tell.
        triggers: many EventTrigger,
        /// Changes when the sender has lost its state.
        origin_state: opt OriginStateId,
        /// Rules that go.
        remove: many ChargingRuleRemove,
        /// Rules that come.
        install: many ChargingRuleInstall,
        /// Rates of the session.
        qos: many QosInformation,
        /// The default bearer.
        default_qos: opt DefaultEpsBearerQos,
        /// In words.
        error_message: opt ErrorMessage,
        /// What was wrong.
        failed_avp: opt FailedAvp,
    }

    /// Re-Auth-Request of Gx (§5.6.4).
    ReAuthRequest {
        /// Of the session.
        session_id: one SessionId,
        /// [`GX`](super::application::GX).
        auth_application: one AuthApplicationId,
        /// Who sends it.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// To which realm.
        destination_realm: one DestinationRealm,
        /// To whom.
        destination_host: one DestinationHost,
        /// [`AUTHORIZE_ONLY`].
        kind: one ReAuthRequestType,
        /// The session is to end, and why.
        release: opt SessionReleaseCause,
        /// Changes when the sender has lost its state.
        origin_state: opt OriginStateId,
        /// What the PCEF is to tell.
        triggers: many EventTrigger,
        /// Rules that go.
        remove: many ChargingRuleRemove,
        /// Rules that come.
        install: many ChargingRuleInstall,
        /// The default bearer.
        default_qos: opt DefaultEpsBearerQos,
        /// Rates of the session.
        qos: many QosInformation,
    }

    /// Re-Auth-Answer of Gx (§5.6.5).
    ReAuthAnswer {
        /// The request's.
        session_id: one SessionId,
        /// Who answers.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// Result of the base protocol; or `experimental`.
        result_code: opt ResultCode,
        /// Result of 3GPP.
        experimental: opt ExperimentalResult,
        /// Changes when the sender has lost its state.
        origin_state: opt OriginStateId,
        /// What became of rules.
        reports: many ChargingRuleReport,
        /// In words.
        error_message: opt ErrorMessage,
        /// What was wrong.
        failed_avp: opt FailedAvp,
    }
}
