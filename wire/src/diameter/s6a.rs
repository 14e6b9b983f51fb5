//! S6a between MME and HSS, S13 between MME and EIR (TS 29.272).

use super::avp::{Avp, Octets, Value, View, avps, each, enumerated, field, finish, keep, slot};
use super::dictionary::{self, *};
use super::{DiameterError, Experimental, TGPP, result};

/// ULR-Flags (§7.3.7).
pub mod ulr {
    /// S6a, not S6d.
    pub const S6A: u32 = 1 << 1;
    /// The MME has the subscription already.
    pub const SKIP_SUBSCRIBER_DATA: u32 = 1 << 2;
    /// The UE attaches: nobody else serves it any more.
    pub const INITIAL_ATTACH: u32 = 1 << 5;
}

/// ULA-Flags (§7.3.8): MME and SGSN are served as two areas.
pub const SEPARATION: u32 = 1;

/// CLR-Flags (§7.3.152).
pub mod clr {
    /// S6a or S6d.
    pub const S6A: u32 = 1;
    /// The UE is to attach anew.
    pub const REATTACH: u32 = 1 << 1;
}

/// DSR-Flags (§7.3.25).
pub mod dsr {
    /// These data networks, by their contexts.
    pub const PDN_CONTEXTS: u32 = 1 << 3;
}

/// IDR-Flags (§7.3.103).
pub mod idr {
    /// Where is it?
    pub const EPS_LOCATION: u32 = 1 << 4;
    /// Is it connected?
    pub const EPS_USER_STATE: u32 = 1 << 3;
}

enumerated! {
    /// Cancellation-Type (§7.3.24).
    CancellationType {
        /// Another MME serves it now.
        MmeUpdate = 0,
        /// Another SGSN serves it now.
        SgsnUpdate = 1,
        /// It may not be served any more.
        SubscriptionWithdrawal = 2,
        /// Another system serves it now.
        UpdateProcedureIwf = 3,
        /// It has attached anew.
        InitialAttach = 4,
    }

    /// Equipment-Status (§7.3.51).
    EquipmentStatus {
        /// Whitelisted.
        White = 0,
        /// Blacklisted.
        Black = 1,
        /// To be watched.
        Grey = 2,
    }
}

avps! {
    /// Supported-Features (TS 29.229 §6.3.29).
    Features {
        /// Whose features.
        vendor: one VendorId,
        /// Which list.
        list: one FeatureListId,
        /// One bit each.
        features: one FeatureList,
    }

    /// Terminal-Information (§7.3.3).
    TerminalInformation {
        /// 14 digits, or 15 with the check digit.
        imei: opt Imei,
        /// 2 digits.
        software_version: opt SoftwareVersion,
    }

    /// Requested-EUTRAN-Authentication-Info (§7.3.11).
    RequestedVectors {
        /// How many.
        number: opt NumberOfRequestedVectors,
        /// Is one needed at once?
        immediate: opt ImmediateResponsePreferred,
        /// RAND and AUTS of a card whose SQN is elsewhere.
        resynchronization: opt ReSynchronizationInfo,
    }

    /// E-UTRAN-Vector (§7.3.18).
    EutranVector {
        /// Which of several.
        item: opt ItemNumber,
        /// The challenge.
        rand: one Rand,
        /// 4 to 16 octets.
        xres: one Xres,
        /// The network's proof.
        autn: one Autn,
        /// The key that the MME goes on with.
        kasme: one Kasme,
    }

    /// Authentication-Info (§7.3.17).
    Vectors {
        /// For E-UTRAN.
        eutran: many EUtranVector,
    }

    /// AMBR (§7.3.41), bits a second.
    AggregateRate {
        /// From the UE.
        ul: one MaxRequestedBandwidthUl,
        /// To the UE.
        dl: one MaxRequestedBandwidthDl,
    }

    /// Allocation-Retention-Priority (TS 29.212 §5.3.32).
    Arp {
        /// 1 (first) to 15.
        priority: one PriorityLevel,
        /// 0: may take resources from others.
        may_preempt: opt PreemptionCapability,
        /// 0: may lose them to others.
        preemptable: opt PreemptionVulnerability,
    }

    /// EPS-Subscribed-QoS-Profile (§7.3.37), and Default-EPS-Bearer-QoS (TS 29.212 §5.3.48), which has the same parts.
    BearerQos {
        /// QCI.
        qci: opt QosClassIdentifier,
        /// ARP.
        arp: opt AllocationRetentionPriority,
    }

    /// APN-Configuration (§7.3.35).
    Apn {
        /// Its number in the profile.
        context: one ContextIdentifier,
        /// Addresses that are the UE's own: one of IPv4, one of IPv6, at most.
        addresses: many ServedPartyIpAddress,
        /// 0 IPv4, 1 IPv6, 2 both, 3 either (§7.3.62).
        pdn_type: one PdnType,
        /// Its name; `*` is any.
        name: one ServiceSelection,
        /// Of the default bearer.
        qos: opt EpsSubscribedQosProfile,
        /// For all its bearers together.
        ambr: opt Ambr,
    }

    /// APN-Configuration-Profile (§7.3.34).
    ApnProfile {
        /// The number of the default one.
        context: one ContextIdentifier,
        /// 0: these are all.
        all_included: one AllApnConfigurationsIncluded,
        /// The data networks.
        apns: many ApnConfiguration,
    }

    /// Subscription-Data (§7.3.2).
    SubscriptionData {
        /// 0 granted, 1 barred by the operator (§7.3.29).
        status: opt SubscriberStatus,
        /// TBCD digits.
        msisdn: opt Msisdn,
        /// 0 packets and calls, 2 packets only (§7.3.21).
        access_mode: opt NetworkAccessMode,
        /// One bit for each kind of radio that it may not use (§7.3.31).
        access_restriction: opt AccessRestrictionData,
        /// For all data networks together.
        ambr: opt Ambr,
        /// The data networks.
        profile: opt ApnConfigurationProfile,
        /// Seconds (§7.3.134).
        periodic_timer: opt SubscribedPeriodicTimer,
    }
}

/// Requests of S6a and S13: what all of them have, and what each has of its own. `opt` or `one` says whether it goes to a
/// host by name.
macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident, $host:ident { $($rest:tt)* })*) => { $(
        avps! {
            $(#[$doc])*
            $name {
                /// Of this one exchange.
                session_id: one SessionId,
                /// The application.
                application: opt VendorSpecificApplicationId,
                /// [`NO_STATE_MAINTAINED`](super::NO_STATE_MAINTAINED).
                auth_session_state: one AuthSessionState,
                /// Who asks.
                origin_host: one OriginHost,
                /// Of which realm.
                origin_realm: one OriginRealm,
                /// Who is asked.
                destination_host: $host DestinationHost,
                /// Of which realm.
                destination_realm: one DestinationRealm,
                /// What the sender's release can do.
                features: many SupportedFeatures,
                /// Relays that it came by.
                route: many RouteRecord,
                $($rest)*
            }
        }
    )* };
}

/// Answers of S6a and S13.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident { $($rest:tt)* })*) => { $(
        avps! {
            $(#[$doc])*
            $name {
                /// The request's.
                session_id: one SessionId,
                /// The application.
                application: opt VendorSpecificApplicationId,
                /// Result of the base protocol; or `experimental`.
                result_code: opt ResultCode,
                /// Result of 3GPP.
                experimental: opt ExperimentalResult,
                /// [`NO_STATE_MAINTAINED`](super::NO_STATE_MAINTAINED).
                auth_session_state: opt AuthSessionState,
                /// Who answers.
                origin_host: one OriginHost,
                /// Of which realm.
                origin_realm: one OriginRealm,
                /// What the sender's release can do.
                features: many SupportedFeatures,
                /// In words.
                error_message: opt ErrorMessage,
                /// What was wrong.
                failed_avp: opt FailedAvp,
                $($rest)*
            }
        }

        impl $name {
            /// True if it was done.
            pub fn is_success(&self) -> bool {
                self.result_code == Some(result::SUCCESS)
            }
        }
    )* };
}

requests! {
    /// Update-Location-Request (§7.2.3).
    UpdateLocationRequest, opt {
        /// The IMSI.
        user_name: one UserName,
        /// The device.
        terminal: opt TerminalInformationAvp,
        /// Kind of radio: 1004 is E-UTRAN.
        rat_type: one RatType,
        /// See [`ulr`].
        flags: one UlrFlags,
        /// Handover of calls?
        srvcc: opt UeSrvccCapability,
        /// The MME's network.
        visited_plmn: one VisitedPlmnId,
        /// Short messages by the MME?
        sms_register: opt SmsRegisterRequest,
    }

    /// Authentication-Information-Request (§7.2.5).
    AuthenticationInformationRequest, opt {
        /// The IMSI.
        user_name: one UserName,
        /// How many vectors for E-UTRAN.
        eutran: opt RequestedEutranAuthenticationInfo,
        /// The MME's network, which KASME is bound to.
        visited_plmn: one VisitedPlmnId,
    }

    /// Purge-UE-Request (§7.2.13).
    PurgeUeRequest, opt {
        /// The IMSI.
        user_name: one UserName,
        /// Purged by MME or SGSN.
        flags: opt PurFlags,
    }

    /// Notify-Request (§7.2.17).
    NotifyRequest, opt {
        /// The IMSI.
        user_name: one UserName,
        /// The device, where it has changed.
        terminal: opt TerminalInformationAvp,
        /// See §7.3.49.
        flags: opt NorFlags,
        /// The UE is reachable.
        alert: opt AlertReason,
    }

    /// Cancel-Location-Request (§7.2.7).
    CancelLocationRequest, one {
        /// The IMSI.
        user_name: one UserName,
        /// Why.
        cancellation: one CancellationTypeAvp,
        /// See [`clr`].
        flags: opt ClrFlags,
    }

    /// Insert-Subscriber-Data-Request (§7.2.9).
    InsertSubscriberDataRequest, one {
        /// The IMSI.
        user_name: one UserName,
        /// What has changed.
        subscription: one SubscriptionDataAvp,
        /// See [`idr`].
        flags: opt IdrFlags,
    }

    /// Delete-Subscriber-Data-Request (§7.2.11).
    DeleteSubscriberDataRequest, one {
        /// The IMSI.
        user_name: one UserName,
        /// What is withdrawn (§7.3.25).
        flags: one DsrFlags,
        /// Of which data network.
        contexts: many ContextIdentifier,
    }

    /// Reset-Request (§7.2.15).
    ResetRequest, one {
        /// Leading digits of IMSIs that it is about; of all, where there is none.
        users: many UserId,
    }

    /// ME-Identity-Check-Request (S13, §7.2.19).
    MeIdentityCheckRequest, opt {
        /// The device.
        terminal: one TerminalInformationAvp,
        /// The IMSI that uses it.
        user_name: opt UserName,
    }
}

answers! {
    /// Update-Location-Answer (§7.2.4).
    UpdateLocationAnswer {
        /// See [`SEPARATION`].
        flags: opt UlaFlags,
        /// What the SIM may.
        subscription: opt SubscriptionDataAvp,
    }

    /// Authentication-Information-Answer (§7.2.6).
    AuthenticationInformationAnswer {
        /// The vectors.
        vectors: opt AuthenticationInfo,
    }

    /// Purge-UE-Answer (§7.2.14).
    PurgeUeAnswer {
        /// 1: its temporary identity is not to be used again (§7.3.48).
        flags: opt PuaFlags,
    }

    /// Notify-Answer (§7.2.18).
    NotifyAnswer {}

    /// Cancel-Location-Answer (§7.2.8).
    CancelLocationAnswer {}

    /// Insert-Subscriber-Data-Answer (§7.2.10).
    InsertSubscriberDataAnswer {
        /// Calls over packets?
        ims_voice: opt ImsVoiceOverPs,
        /// When it was heard last, seconds since 1900.
        last_activity: opt LastUeActivityTime,
        /// Which of what was asked is in the answer.
        flags: opt IdaFlags,
        /// Connected or not, as it came.
        user_state: opt EpsUserState,
        /// Where it is, as it came.
        location: opt EpsLocationInformation,
    }

    /// Delete-Subscriber-Data-Answer (§7.2.12).
    DeleteSubscriberDataAnswer {
        /// See §7.3.26.
        flags: opt DsaFlags,
    }

    /// Reset-Answer (§7.2.16).
    ResetAnswer {}

    /// ME-Identity-Check-Answer (S13, §7.2.20).
    MeIdentityCheckAnswer {
        /// On which list it is.
        status: opt EquipmentStatusAvp,
    }
}

impl Experimental {
    /// A result that 3GPP numbers.
    pub fn tgpp(code: u32) -> Self {
        Self { vendor: TGPP, code }
    }
}
