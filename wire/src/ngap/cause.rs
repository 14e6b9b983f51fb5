//! Cause (TS 38.413 §9.3.1.2): one of five groups, each a number with the names of the spec.

use oxirush_ngap::ngap as ox;
use std::fmt;

macro_rules! causes {
    ($(#[$doc:meta])* $name:ident of $ox:ident { $($id:ident = $v:literal, $variant:ident, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub u8);

        impl $name {
            $(#[doc = $text] pub const $id: Self = Self($v);)*

            /// The spec's words for this value.
            pub fn text(self) -> &'static str {
                match self.0 { $($v => $text,)* _ => "unknown cause" }
            }

            pub(super) fn from_ox(c: &ox::$ox) -> Option<Self> {
                Some(Self(match c { $(ox::$ox::$variant => $v,)* #[allow(unreachable_patterns)] _ => return None }))
            }

            pub(super) fn to_ox(self) -> Option<ox::$ox> {
                Some(match self.0 { $($v => ox::$ox::$variant,)* _ => return None })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "#{} {}", self.0, self.text())
            }
        }
    };
}

/// Why something is asked, refused or released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Radio network layer.
    RadioNetwork(RadioCause),
    /// Transport layer.
    Transport(TransportCause),
    /// NAS.
    Nas(NasCause),
    /// Protocol.
    Protocol(ProtocolCause),
    /// Anything else.
    Misc(MiscCause),
}

impl Cause {
    /// What stands for a cause that the peer left out or that we do not know.
    pub const UNSPECIFIED: Self = Self::Misc(MiscCause::UNSPECIFIED);
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RadioNetwork(c) => write!(f, "radio network {c:?}"),
            Self::Transport(c) => write!(f, "transport {c:?}"),
            Self::Nas(c) => write!(f, "NAS {c:?}"),
            Self::Protocol(c) => write!(f, "protocol {c:?}"),
            Self::Misc(c) => write!(f, "misc {c:?}"),
        }
    }
}

causes!(
    /// Radio network layer cause.
    RadioCause of CauseRadioNetwork {
        UNSPECIFIED = 0, unspecified, "unspecified";
        TXNRELOCOVERALL_EXPIRY = 1, txnrelocoverall_expiry, "txnrelocoverall expiry";
        SUCCESSFUL_HANDOVER = 2, successful_handover, "successful handover";
        RELEASE_DUE_TO_NGRAN_GENERATED_REASON = 3, release_due_to_ngran_generated_reason, "release due to ngran generated reason";
        RELEASE_DUE_TO_5GC_GENERATED_REASON = 4, release_due_to_5gc_generated_reason, "release due to 5gc generated reason";
        HANDOVER_CANCELLED = 5, handover_cancelled, "handover cancelled";
        PARTIAL_HANDOVER = 6, partial_handover, "partial handover";
        HO_FAILURE_IN_TARGET_5GC_NGRAN_NODE_OR_TARGET_SYSTEM = 7, ho_failure_in_target_5GC_ngran_node_or_target_system, "ho failure in target 5GC ngran node or target system";
        HO_TARGET_NOT_ALLOWED = 8, ho_target_not_allowed, "ho target not allowed";
        TNGRELOCOVERALL_EXPIRY = 9, tngrelocoverall_expiry, "tngrelocoverall expiry";
        TNGRELOCPREP_EXPIRY = 10, tngrelocprep_expiry, "tngrelocprep expiry";
        CELL_NOT_AVAILABLE = 11, cell_not_available, "cell not available";
        UNKNOWN_TARGET_ID = 12, unknown_targetID, "unknown targetID";
        NO_RADIO_RESOURCES_AVAILABLE_IN_TARGET_CELL = 13, no_radio_resources_available_in_target_cell, "no radio resources available in target cell";
        UNKNOWN_LOCAL_UE_NGAP_ID = 14, unknown_local_UE_NGAP_ID, "unknown local UE NGAP ID";
        INCONSISTENT_REMOTE_UE_NGAP_ID = 15, inconsistent_remote_UE_NGAP_ID, "inconsistent remote UE NGAP ID";
        HANDOVER_DESIRABLE_FOR_RADIO_REASON = 16, handover_desirable_for_radio_reason, "handover desirable for radio reason";
        TIME_CRITICAL_HANDOVER = 17, time_critical_handover, "time critical handover";
        RESOURCE_OPTIMISATION_HANDOVER = 18, resource_optimisation_handover, "resource optimisation handover";
        REDUCE_LOAD_IN_SERVING_CELL = 19, reduce_load_in_serving_cell, "reduce load in serving cell";
        USER_INACTIVITY = 20, user_inactivity, "user inactivity";
        RADIO_CONNECTION_WITH_UE_LOST = 21, radio_connection_with_ue_lost, "radio connection with ue lost";
        RADIO_RESOURCES_NOT_AVAILABLE = 22, radio_resources_not_available, "radio resources not available";
        INVALID_QOS_COMBINATION = 23, invalid_qos_combination, "invalid qos combination";
        FAILURE_IN_RADIO_INTERFACE_PROCEDURE = 24, failure_in_radio_interface_procedure, "failure in radio interface procedure";
        INTERACTION_WITH_OTHER_PROCEDURE = 25, interaction_with_other_procedure, "interaction with other procedure";
        UNKNOWN_PDU_SESSION_ID = 26, unknown_PDU_session_ID, "unknown PDU session ID";
        UNKNOWN_QOS_FLOW_ID = 27, unkown_qos_flow_ID, "unknown qos flow ID";
        MULTIPLE_PDU_SESSION_ID_INSTANCES = 28, multiple_PDU_session_ID_instances, "multiple PDU session ID instances";
        MULTIPLE_QOS_FLOW_ID_INSTANCES = 29, multiple_qos_flow_ID_instances, "multiple qos flow ID instances";
        ENCRYPTION_AND_OR_INTEGRITY_PROTECTION_ALGORITHMS_NOT_SUPPORTED = 30, encryption_and_or_integrity_protection_algorithms_not_supported, "encryption and or integrity protection algorithms not supported";
        NG_INTRA_SYSTEM_HANDOVER_TRIGGERED = 31, ng_intra_system_handover_triggered, "ng intra system handover triggered";
        NG_INTER_SYSTEM_HANDOVER_TRIGGERED = 32, ng_inter_system_handover_triggered, "ng inter system handover triggered";
        XN_HANDOVER_TRIGGERED = 33, xn_handover_triggered, "xn handover triggered";
        NOT_SUPPORTED_5QI_VALUE = 34, not_supported_5QI_value, "not supported 5QI value";
        UE_CONTEXT_TRANSFER = 35, ue_context_transfer, "ue context transfer";
        IMS_VOICE_EPS_FALLBACK_OR_RAT_FALLBACK_TRIGGERED = 36, ims_voice_eps_fallback_or_rat_fallback_triggered, "ims voice eps fallback or rat fallback triggered";
        UP_INTEGRITY_PROTECTION_NOT_POSSIBLE = 37, up_integrity_protection_not_possible, "up integrity protection not possible";
        UP_CONFIDENTIALITY_PROTECTION_NOT_POSSIBLE = 38, up_confidentiality_protection_not_possible, "up confidentiality protection not possible";
        SLICE_NOT_SUPPORTED = 39, slice_not_supported, "slice not supported";
        UE_IN_RRC_INACTIVE_STATE_NOT_REACHABLE = 40, ue_in_rrc_inactive_state_not_reachable, "ue in rrc inactive state not reachable";
        REDIRECTION = 41, redirection, "redirection";
        RESOURCES_NOT_AVAILABLE_FOR_THE_SLICE = 42, resources_not_available_for_the_slice, "resources not available for the slice";
        UE_MAX_INTEGRITY_PROTECTED_DATA_RATE_REASON = 43, ue_max_integrity_protected_data_rate_reason, "ue max integrity protected data rate reason";
        RELEASE_DUE_TO_CN_DETECTED_MOBILITY = 44, release_due_to_cn_detected_mobility, "release due to cn detected mobility";
        N26_INTERFACE_NOT_AVAILABLE = 45, n26_interface_not_available, "n26 interface not available";
        RELEASE_DUE_TO_PRE_EMPTION = 46, release_due_to_pre_emption, "release due to pre emption";
        MULTIPLE_LOCATION_REPORTING_REFERENCE_ID_INSTANCES = 47, multiple_location_reporting_reference_ID_instances, "multiple location reporting reference ID instances";
        RSN_NOT_AVAILABLE_FOR_THE_UP = 48, rsn_not_available_for_the_up, "rsn not available for the up";
        NPN_ACCESS_DENIED = 49, npn_access_denied, "npn access denied";
        CAG_ONLY_ACCESS_DENIED = 50, cag_only_access_denied, "cag only access denied";
        INSUFFICIENT_UE_CAPABILITIES = 51, insufficient_ue_capabilities, "insufficient ue capabilities";
        REDCAP_UE_NOT_SUPPORTED = 52, redcap_ue_not_supported, "redcap ue not supported";
        UNKNOWN_MBS_SESSION_ID = 53, unknown_MBS_Session_ID, "unknown MBS Session ID";
        INDICATED_MBS_SESSION_AREA_INFORMATION_NOT_SERVED_BY_THE_GNB = 54, indicated_MBS_session_area_information_not_served_by_the_gNB, "indicated MBS session area information not served by the gNB";
        INCONSISTENT_SLICE_INFO_FOR_THE_SESSION = 55, inconsistent_slice_info_for_the_session, "inconsistent slice info for the session";
        MISALIGNED_ASSOCIATION_FOR_MULTICAST_UNICAST = 56, misaligned_association_for_multicast_unicast, "misaligned association for multicast unicast";
        EREDCAP_UE_NOT_SUPPORTED = 57, eredcap_ue_not_supported, "eredcap ue not supported";
        TWO_RX_XR_UE_NOT_SUPPORTED = 58, two_rx_xr_ue_not_supported, "two rx xr ue not supported";
        AERIAL_UE_FLIGHT_INFORMATION_REPORTING_INITIATION_FAILURE = 59, aerial_ue_flight_information_reporting_initiation_failure, "aerial ue flight information reporting initiation failure";
        UNKNOWN_RAN_AIOT_DEVICE_NGAP_ID = 60, unknown_RAN_AIoT_Device_NGAP_ID, "unknown RAN AIoT Device NGAP ID";
        REQUESTED_AIOT_SERVICE_AREA_INFORMATION_NOT_SERVED_BY_THE_GNB = 61, requested_AIoT_service_area_information_not_served_by_the_gNB, "requested AIoT service area information not served by the gNB";
        UNKNOWN_AIOT_SESSION = 62, unknown_AIoT_session, "unknown AIoT session";
        AIOT_DEVICE_NOT_REACHABLE = 63, aiot_device_not_reachable, "aiot device not reachable";
        MULTIPLE_AIOT_SESSION_ID_INSTANCES = 64, multiple_AIoT_session_ID_instances, "multiple AIoT session ID instances";
    }
);

causes!(
    /// Transport layer cause.
    TransportCause of CauseTransport {
        TRANSPORT_RESOURCE_UNAVAILABLE = 0, transport_resource_unavailable, "transport resource unavailable";
        UNSPECIFIED = 1, unspecified, "unspecified";
    }
);

causes!(
    /// NAS cause.
    NasCause of CauseNas {
        NORMAL_RELEASE = 0, normal_release, "normal release";
        AUTHENTICATION_FAILURE = 1, authentication_failure, "authentication failure";
        DEREGISTER = 2, deregister, "deregister";
        UNSPECIFIED = 3, unspecified, "unspecified";
        UE_NOT_IN_PLMN_SERVING_AREA = 4, uE_not_in_PLMN_serving_area, "UE not in PLMN serving area";
        MOBILE_IAB_NOT_AUTHORIZED = 5, mobile_IAB_not_authorized, "mobile IAB not authorized";
        IAB_NOT_AUTHORIZED = 6, iAB_not_authorized, "iAB not authorized";
        NO_AIOT_NAS_RESPONSE = 7, no_aiot_NAS_response, "no aiot NAS response";
    }
);

causes!(
    /// Protocol cause.
    ProtocolCause of CauseProtocol {
        TRANSFER_SYNTAX_ERROR = 0, transfer_syntax_error, "transfer syntax error";
        ABSTRACT_SYNTAX_ERROR_REJECT = 1, abstract_syntax_error_reject, "abstract syntax error reject";
        ABSTRACT_SYNTAX_ERROR_IGNORE_AND_NOTIFY = 2, abstract_syntax_error_ignore_and_notify, "abstract syntax error ignore and notify";
        MESSAGE_NOT_COMPATIBLE_WITH_RECEIVER_STATE = 3, message_not_compatible_with_receiver_state, "message not compatible with receiver state";
        SEMANTIC_ERROR = 4, semantic_error, "semantic error";
        ABSTRACT_SYNTAX_ERROR_FALSELY_CONSTRUCTED = 5, abstract_syntax_error_falsely_constructed_message, "abstract syntax error falsely constructed message";
        UNSPECIFIED = 6, unspecified, "unspecified";
    }
);

causes!(
    /// Miscellaneous cause.
    MiscCause of CauseMisc {
        CONTROL_PROCESSING_OVERLOAD = 0, control_processing_overload, "control processing overload";
        NOT_ENOUGH_USER_PLANE_PROCESSING_RESOURCES = 1, not_enough_user_plane_processing_resources, "not enough user plane processing resources";
        HARDWARE_FAILURE = 2, hardware_failure, "hardware failure";
        OM_INTERVENTION = 3, om_intervention, "om intervention";
        UNKNOWN_PLMN_OR_SNPN = 4, unknown_PLMN_or_SNPN, "unknown PLMN or SNPN";
        UNSPECIFIED = 5, unspecified, "unspecified";
    }
);
