//! The AVPs that we know: number, M flag, type. Those of RFC 6733 and its like have no vendor, the others are 3GPP's.

use super::avp::{Address, Avp, Failed, Identity, Value};
use super::{TGPP, base::*, gx::*, s6a::*};

type Text = String;
type Blob = Vec<u8>;

macro_rules! dictionary {
    ($($vendor:ident { $($name:ident = $code:literal $m:ident $t:ty, $text:literal;)* })*) => {
        $($(
            #[doc = concat!($text, " (", stringify!($code), ")")]
            pub enum $name {}
            impl Avp for $name {
                const CODE: u32 = $code;
                const VENDOR: u32 = $vendor;
                const MANDATORY: bool = $m;
                type Value = $t;
            }
        )*)*

        /// The name of an AVP by its code and vendor, as its specification writes it.
        pub fn name(code: u32, vendor: u32) -> Option<&'static str> {
            match (code, vendor) {
                $($(($code, $vendor) => Some($text),)*)*
                _ => PASSED.iter().find(|(c, v, _)| (*c, *v) == (code, vendor)).map(|(.., name)| *name),
            }
        }

        /// Fewest octets of its data; 0 for what we do not know.
        pub(crate) fn least(code: u32, vendor: u32) -> usize {
            match (code, vendor) {
                $($(($code, $vendor) => <$t as Value>::LEAST,)*)*
                _ => 0,
            }
        }

        /// Every AVP: code, vendor, name.
        #[cfg(test)]
        pub(crate) const ALL: &[(u32, u32, &str)] = &[$($(($code, $vendor, $text),)*)*];
    };
}

const IETF: u32 = 0;
/// The M flag is set.
const M: bool = true;
/// It is not.
const O: bool = false;

dictionary! {
    // RFC 6733 §4.5, RFC 7155, RFC 8506.
    IETF {
        UserName = 1 M Text, "User-Name";
        FramedIpAddress = 8 M [u8; 4], "Framed-IP-Address";
        CalledStationId = 30 M Text, "Called-Station-Id";
        FramedIpv6Prefix = 97 M Blob, "Framed-IPv6-Prefix";
        HostIpAddress = 257 M Address, "Host-IP-Address";
        AuthApplicationId = 258 M u32, "Auth-Application-Id";
        AcctApplicationId = 259 M u32, "Acct-Application-Id";
        VendorSpecificApplicationId = 260 M VendorApplication, "Vendor-Specific-Application-Id";
        SessionId = 263 M Text, "Session-Id";
        OriginHost = 264 M Identity, "Origin-Host";
        SupportedVendorId = 265 M u32, "Supported-Vendor-Id";
        VendorId = 266 M u32, "Vendor-Id";
        FirmwareRevision = 267 O u32, "Firmware-Revision";
        ResultCode = 268 M u32, "Result-Code";
        ProductName = 269 O Blob, "Product-Name";
        DisconnectCause = 273 M Disconnect, "Disconnect-Cause";
        AuthSessionState = 277 M u32, "Auth-Session-State";
        OriginStateId = 278 M u32, "Origin-State-Id";
        FailedAvp = 279 M Failed, "Failed-AVP";
        ErrorMessage = 281 O Text, "Error-Message";
        RouteRecord = 282 M Identity, "Route-Record";
        DestinationRealm = 283 M Identity, "Destination-Realm";
        ProxyInfo = 284 M Blob, "Proxy-Info";
        ReAuthRequestType = 285 M u32, "Re-Auth-Request-Type";
        DestinationHost = 293 M Identity, "Destination-Host";
        TerminationCause = 295 M u32, "Termination-Cause";
        OriginRealm = 296 M Identity, "Origin-Realm";
        ExperimentalResult = 297 M Experimental, "Experimental-Result";
        ExperimentalResultCode = 298 M u32, "Experimental-Result-Code";
        InbandSecurityId = 299 M u32, "Inband-Security-Id";
        CcRequestNumber = 415 M u32, "CC-Request-Number";
        CcRequestType = 416 M RequestType, "CC-Request-Type";
        SubscriptionIdAvp = 443 M SubscriptionId, "Subscription-Id";
        SubscriptionIdData = 444 M Text, "Subscription-Id-Data";
        SubscriptionIdType = 450 M SubscriptionKind, "Subscription-Id-Type";
        UserEquipmentInfo = 458 O Equipment, "User-Equipment-Info";
        UserEquipmentInfoType = 459 O u32, "User-Equipment-Info-Type";
        UserEquipmentInfoValue = 460 O Blob, "User-Equipment-Info-Value";
        ServiceSelection = 493 M Text, "Service-Selection";
    }
    // TS 29.272 §7.3, TS 29.212 §5.3, TS 29.214, TS 29.061, TS 29.229, TS 29.329.
    TGPP {
        UserLocationInfo = 22 O Blob, "3GPP-User-Location-Info";
        FlowDescription = 507 M Text, "Flow-Description";
        FlowStatusAvp = 511 M FlowStatus, "Flow-Status";
        MaxRequestedBandwidthDl = 515 M u32, "Max-Requested-Bandwidth-DL";
        MaxRequestedBandwidthUl = 516 M u32, "Max-Requested-Bandwidth-UL";
        SupportedFeatures = 628 O Features, "Supported-Features";
        FeatureListId = 629 O u32, "Feature-List-ID";
        FeatureList = 630 O u32, "Feature-List";
        Msisdn = 701 M Blob, "MSISDN";
        ServedPartyIpAddress = 848 M Address, "Served-Party-IP-Address";
        ChargingRuleInstall = 1001 M RuleInstall, "Charging-Rule-Install";
        ChargingRuleRemove = 1002 M RuleRemove, "Charging-Rule-Remove";
        ChargingRuleDefinition = 1003 M RuleDefinition, "Charging-Rule-Definition";
        ChargingRuleName = 1005 M Blob, "Charging-Rule-Name";
        EventTrigger = 1006 M u32, "Event-Trigger";
        Precedence = 1010 M u32, "Precedence";
        TosTrafficClass = 1014 M [u8; 2], "ToS-Traffic-Class";
        QosInformation = 1016 M Qos, "QoS-Information";
        ChargingRuleReport = 1018 M RuleReport, "Charging-Rule-Report";
        PccRuleStatus = 1019 M u32, "PCC-Rule-Status";
        NetworkRequestSupport = 1024 M u32, "Network-Request-Support";
        GuaranteedBitrateDl = 1025 M u32, "Guaranteed-Bitrate-DL";
        GuaranteedBitrateUl = 1026 M u32, "Guaranteed-Bitrate-UL";
        IpCanType = 1027 M u32, "IP-CAN-Type";
        QosClassIdentifier = 1028 M u32, "QoS-Class-Identifier";
        BearerControlMode = 1023 M u32, "Bearer-Control-Mode";
        RuleFailureCode = 1031 M u32, "Rule-Failure-Code";
        RatType = 1032 M u32, "RAT-Type";
        AllocationRetentionPriority = 1034 M Arp, "Allocation-Retention-Priority";
        ApnAggregateMaxBitrateDl = 1040 M u32, "APN-Aggregate-Max-Bitrate-DL";
        ApnAggregateMaxBitrateUl = 1041 M u32, "APN-Aggregate-Max-Bitrate-UL";
        SessionReleaseCause = 1045 M u32, "Session-Release-Cause";
        PriorityLevel = 1046 M u32, "Priority-Level";
        PreemptionCapability = 1047 M u32, "Pre-emption-Capability";
        PreemptionVulnerability = 1048 M u32, "Pre-emption-Vulnerability";
        DefaultEpsBearerQos = 1049 M BearerQos, "Default-EPS-Bearer-QoS";
        FlowInformation = 1058 M Flow, "Flow-Information";
        FlowDirection = 1080 M u32, "Flow-Direction";
        SubscriptionDataAvp = 1400 M SubscriptionData, "Subscription-Data";
        TerminalInformationAvp = 1401 M TerminalInformation, "Terminal-Information";
        Imei = 1402 M Text, "IMEI";
        SoftwareVersion = 1403 M Text, "Software-Version";
        UlrFlags = 1405 M u32, "ULR-Flags";
        UlaFlags = 1406 M u32, "ULA-Flags";
        VisitedPlmnId = 1407 M [u8; 3], "Visited-PLMN-Id";
        RequestedEutranAuthenticationInfo = 1408 M RequestedVectors, "Requested-EUTRAN-Authentication-Info";
        NumberOfRequestedVectors = 1410 M u32, "Number-Of-Requested-Vectors";
        ReSynchronizationInfo = 1411 M [u8; 30], "Re-Synchronization-Info";
        ImmediateResponsePreferred = 1412 M u32, "Immediate-Response-Preferred";
        AuthenticationInfo = 1413 M Vectors, "Authentication-Info";
        EUtranVector = 1414 M EutranVector, "E-UTRAN-Vector";
        NetworkAccessMode = 1417 M u32, "Network-Access-Mode";
        ItemNumber = 1419 M u32, "Item-Number";
        CancellationTypeAvp = 1420 M CancellationType, "Cancellation-Type";
        DsrFlags = 1421 M u32, "DSR-Flags";
        DsaFlags = 1422 M u32, "DSA-Flags";
        ContextIdentifier = 1423 M u32, "Context-Identifier";
        SubscriberStatus = 1424 M u32, "Subscriber-Status";
        AccessRestrictionData = 1426 M u32, "Access-Restriction-Data";
        AllApnConfigurationsIncluded = 1428 M u32, "All-APN-Configurations-Included-Indicator";
        ApnConfigurationProfile = 1429 M ApnProfile, "APN-Configuration-Profile";
        ApnConfiguration = 1430 M Apn, "APN-Configuration";
        EpsSubscribedQosProfile = 1431 M BearerQos, "EPS-Subscribed-QoS-Profile";
        AlertReason = 1434 M u32, "Alert-Reason";
        Ambr = 1435 M AggregateRate, "AMBR";
        EquipmentStatusAvp = 1445 M EquipmentStatus, "Equipment-Status";
        PurFlags = 1635 O u32, "PUR-Flags";
        Rand = 1447 M [u8; 16], "RAND";
        Xres = 1448 M Blob, "XRES";
        Autn = 1449 M [u8; 16], "AUTN";
        Kasme = 1450 M [u8; 32], "KASME";
        PuaFlags = 1442 M u32, "PUA-Flags";
        NorFlags = 1443 M u32, "NOR-Flags";
        IdaFlags = 1441 M u32, "IDA-Flags";
        PdnType = 1456 M u32, "PDN-Type";
        IdrFlags = 1490 M u32, "IDR-Flags";
        ImsVoiceOverPs = 1492 O u32, "IMS-Voice-Over-PS-Sessions-Supported";
        LastUeActivityTime = 1494 O u32, "Last-UE-Activity-Time";
        EpsUserState = 1495 O Blob, "EPS-User-State";
        EpsLocationInformation = 1496 O Blob, "EPS-Location-Information";
        UeSrvccCapability = 1615 O u32, "UE-SRVCC-Capability";
        SubscribedPeriodicTimer = 1619 O u32, "Subscribed-Periodic-RAU-TAU-Timer";
        ClrFlags = 1638 O u32, "CLR-Flags";
        SmsRegisterRequest = 1648 O u32, "SMS-Register-Request";
        UserId = 1444 O Text, "User-Id";
    }
}

/// AVPs that peers send, mandatory or not, and nothing here depends on.
pub(crate) const PASSED: &[(u32, u32, &str)] = &[
    (25, IETF, "Class"),
    (33, IETF, "Proxy-State"),
    (55, IETF, "Event-Timestamp"),
    (280, IETF, "Proxy-Host"),
    (294, IETF, "Error-Reporting-Host"),
    (18, TGPP, "3GPP-SGSN-MCC-MNC"),
    (23, TGPP, "3GPP-MS-TimeZone"),
    (501, TGPP, "Access-Network-Charging-Address"),
    (1000, TGPP, "Bearer-Usage"),
    (1008, TGPP, "Offline"),
    (1009, TGPP, "Online"),
    (1022, TGPP, "Access-Network-Charging-Identifier-Gx"),
    (1050, TGPP, "AN-GW-Address"),
    (1409, TGPP, "Requested-UTRAN-GERAN-Authentication-Info"),
    (1425, TGPP, "Operator-Determined-Barring"),
    (1471, TGPP, "3GPP2-MEID"),
    (1493, TGPP, "Homogeneous-Support-of-IMS-Voice-Over-PS-Sessions"),
    (1612, TGPP, "Active-APN"),
    (1614, TGPP, "Error-Diagnostic"),
    (1637, TGPP, "Equivalent-PLMN-List"),
    (1645, TGPP, "MME-Number-for-MT-SMS"),
    (1670, TGPP, "Reset-ID"),
];

pub(crate) fn knows(code: u32, vendor: u32) -> bool {
    name(code, vendor).is_some()
}

/// The name of an AVP, or its numbers.
pub(crate) fn called(code: u32, vendor: u32) -> String {
    match (name(code, vendor), vendor) {
        (Some(name), _) => format!("{name} ({code})"),
        (None, 0) => format!("AVP {code}"),
        (None, vendor) => format!("AVP {code} of vendor {vendor}"),
    }
}
