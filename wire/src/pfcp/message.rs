//! Messages (§7.4, §7.5).

use super::PfcpError;
use super::group::*;
use super::ie::*;
use super::reader::Reader;
use crate::pfcp::group::{elements, field, finish, keep, slot};
use crate::pfcp::reader::put;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident = $type:literal,)*) => {
        /// What a message says.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Message {
            $($(#[$doc])* $name($name),)*
            /// A message that is not read here.
            Other {
                /// Its type.
                kind: u8,
                /// Its elements, not looked at.
                body: Vec<u8>,
            },
        }

        impl Message {
            /// Message type number (§7.3).
            pub fn kind(&self) -> u8 {
                match self {
                    $(Self::$name(_) => $type,)*
                    Self::Other { kind, .. } => *kind,
                }
            }

            pub(crate) fn read(kind: u8, r: &mut Reader<'_>) -> Result<Self, PfcpError> {
                match kind {
                    $($type => $name::read_elements(r).map(Self::$name),)*
                    _ => Ok(Self::Other { kind, body: r.rest().to_vec() }),
                }
            }

            pub(crate) fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(m) => m.write_elements(out),)*
                    Self::Other { body, .. } => out.extend_from_slice(body),
                }
            }
        }

        $(impl From<$name> for Message {
            fn from(m: $name) -> Self {
                Self::$name(m)
            }
        })*
    };
}

messages! {
    /// Heartbeat Request.
    HeartbeatRequest = 1,
    /// Heartbeat Response.
    HeartbeatResponse = 2,
    /// Association Setup Request.
    AssociationSetupRequest = 5,
    /// Association Setup Response.
    AssociationSetupResponse = 6,
    /// Association Release Request.
    AssociationReleaseRequest = 9,
    /// Association Release Response.
    AssociationReleaseResponse = 10,
    /// Session Establishment Request.
    SessionEstablishmentRequest = 50,
    /// Session Establishment Response.
    SessionEstablishmentResponse = 51,
    /// Session Modification Request.
    SessionModificationRequest = 52,
    /// Session Modification Response.
    SessionModificationResponse = 53,
    /// Session Deletion Request.
    SessionDeletionRequest = 54,
    /// Session Deletion Response.
    SessionDeletionResponse = 55,
    /// Session Report Request.
    SessionReportRequest = 56,
    /// Session Report Response.
    SessionReportResponse = 57,
}

/// True for message types whose header has a SEID (§7.3: 50 to 99).
pub fn is_about_a_session(kind: u8) -> bool {
    (50..100).contains(&kind)
}

elements! {
    /// Heartbeat Request (§7.4.2.1).
    #[derive(Default)]
    HeartbeatRequest {
        /// When the sender started.
        recovery: one RecoveryTimeStamp,
    }
}

elements! {
    /// Heartbeat Response (§7.4.2.2).
    #[derive(Default)]
    HeartbeatResponse {
        /// When the sender started.
        recovery: one RecoveryTimeStamp,
    }
}

elements! {
    /// Association Setup Request (§7.4.4.1).
    #[derive(Default)]
    AssociationSetupRequest {
        /// Who asks.
        node_id: one NodeId,
        /// When it started.
        recovery: one RecoveryTimeStamp,
        /// What a user plane can.
        up_features: opt UpFunctionFeatures,
        /// What a control plane can.
        cp_features: opt CpFunctionFeatures,
        /// The sender kept its sessions.
        session_retention: opt SessionRetention,
    }
}

elements! {
    /// Association Setup Response (§7.4.4.2).
    #[derive(Default)]
    AssociationSetupResponse {
        /// Who answers.
        node_id: one NodeId,
        /// Yes or why not.
        cause: one Cause,
        /// When it started.
        recovery: one RecoveryTimeStamp,
        /// What a user plane can.
        up_features: opt UpFunctionFeatures,
        /// What a control plane can.
        cp_features: opt CpFunctionFeatures,
    }
}

elements! {
    /// Association Release Request (§7.4.4.5).
    #[derive(Default)]
    AssociationReleaseRequest {
        /// Who asks.
        node_id: one NodeId,
    }
}

elements! {
    /// Association Release Response (§7.4.4.6).
    #[derive(Default)]
    AssociationReleaseResponse {
        /// Who answers.
        node_id: one NodeId,
        /// Yes or why not.
        cause: one Cause,
    }
}

elements! {
    /// Session Establishment Request (Table 7.5.2.1-1).
    #[derive(Default)]
    SessionEstablishmentRequest {
        /// Who asks.
        node_id: one NodeId,
        /// The control plane's end of the session.
        cp_f_seid: one FSeid,
        /// What is detected.
        create_pdrs: many CreatePdr,
        /// What is done.
        create_fars: many CreateFar,
        /// What is measured.
        create_urrs: many CreateUrr,
        /// Rates and gates.
        create_qers: many CreateQer,
        /// How packets are buffered; a session has one such rule at most.
        create_bar: opt CreateBar,
        /// Type of the session.
        pdn_type: opt PdnType,
        /// Whose it is.
        user_id: opt UserId,
        /// Data network.
        apn_dnn: opt ApnDnn,
        /// Slice.
        s_nssai: opt SNssai,
        /// PFCPSEReq-Flags.
        flags: opt SeReqFlags,
        /// Which PDU session of the UE (ours).
        pdu_session: opt PduSession,
    }
}

elements! {
    /// Session Establishment Response (Table 7.5.3.1-1).
    #[derive(Default)]
    SessionEstablishmentResponse {
        /// Who answers.
        node_id: one NodeId,
        /// Yes or why not.
        cause: one Cause,
        /// Which element was wrong.
        offending_ie: opt OffendingIe,
        /// The user plane's end of the session; given on success.
        up_f_seid: opt FSeid,
        /// Tunnel endpoints that were chosen.
        created_pdrs: many CreatedPdr,
        /// Which rule failed.
        failed_rule_id: opt FailedRuleId,
    }
}

elements! {
    /// Session Modification Request (Table 7.5.4.1-1).
    #[derive(Default)]
    SessionModificationRequest {
        /// A new end on the control plane's side.
        cp_f_seid: opt FSeid,
        /// PDRs that go.
        remove_pdrs: many RemovePdr,
        /// FARs that go.
        remove_fars: many RemoveFar,
        /// URRs that go.
        remove_urrs: many RemoveUrr,
        /// QERs that go.
        remove_qers: many RemoveQer,
        /// New PDRs.
        create_pdrs: many CreatePdr,
        /// New FARs.
        create_fars: many CreateFar,
        /// New URRs.
        create_urrs: many CreateUrr,
        /// New QERs.
        create_qers: many CreateQer,
        /// Changed PDRs.
        update_pdrs: many UpdatePdr,
        /// Changed FARs.
        update_fars: many UpdateFar,
        /// Changed URRs.
        update_urrs: many UpdateUrr,
        /// Changed QERs.
        update_qers: many UpdateQer,
        /// The BAR that goes.
        remove_bar: opt RemoveBar,
        /// A new BAR.
        create_bar: opt CreateBar,
        /// The changed BAR.
        update_bar: opt UpdateBar,
        /// PFCPSMReq-Flags.
        flags: opt SmReqFlags,
        /// URRs that are asked for.
        query_urrs: many QueryUrr,
    }
}

elements! {
    /// Session Modification Response (Table 7.5.5.1-1).
    #[derive(Default)]
    SessionModificationResponse {
        /// Yes or why not.
        cause: one Cause,
        /// Which element was wrong.
        offending_ie: opt OffendingIe,
        /// Tunnel endpoints that were chosen.
        created_pdrs: many CreatedPdr,
        /// Which rule failed.
        failed_rule_id: opt FailedRuleId,
        /// What was used.
        usage_reports: many UsageReportInModification,
    }
}

elements! {
    /// Session Deletion Request (§7.5.6): says all in its header.
    #[derive(Default)]
    SessionDeletionRequest {}
}

elements! {
    /// Session Deletion Response (Table 7.5.7.1-1).
    #[derive(Default)]
    SessionDeletionResponse {
        /// Yes or why not.
        cause: one Cause,
        /// Which element was wrong.
        offending_ie: opt OffendingIe,
        /// What was used.
        usage_reports: many UsageReportInDeletion,
    }
}

elements! {
    /// Session Report Request (Table 7.5.8.1-1).
    #[derive(Default)]
    SessionReportRequest {
        /// What is reported.
        report_type: one ReportType,
        /// A packet waits for the UE.
        downlink_data_report: opt DownlinkDataReport,
        /// A tunnel is gone.
        error_indication_report: opt ErrorIndicationReport,
        /// What was used.
        usage_reports: many UsageReportInReport,
    }
}

elements! {
    /// Session Report Response (Table 7.5.9.1-1).
    #[derive(Default)]
    SessionReportResponse {
        /// Yes or why not.
        cause: one Cause,
        /// Which element was wrong.
        offending_ie: opt OffendingIe,
        /// The changed BAR.
        update_bar: opt UpdateBarInReport,
    }
}
