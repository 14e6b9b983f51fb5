//! Causes that a UE is told (TS 24.501 §9.11.3.2 and §9.11.4.2). Unknown values survive.

use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($(#[$doc:meta])* $name:ident { $($(#[$d:meta])* $id:ident = $v:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u8);

        #[allow(non_upper_case_globals)]
        impl $name {
            $($(#[$d])* #[doc = $text] pub const $id: Self = Self($v);)*

            /// The spec's words for this value.
            pub fn text(self) -> &'static str {
                match self.0 { $($v => $text,)* _ => "unknown cause" }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "#{} {}", self.0, self.text())
            }
        }
    };
}

causes!(
    /// 5GMM cause.
    FgmmCause {
        IllegalUe = 3, "illegal UE";
        PeiNotAccepted = 5, "PEI not accepted";
        IllegalMe = 6, "illegal ME";
        FgsServicesNotAllowed = 7, "5GS services not allowed";
        UeIdentityCannotBeDerived = 9, "UE identity cannot be derived by the network";
        ImplicitlyDeregistered = 10, "implicitly de-registered";
        PlmnNotAllowed = 11, "PLMN not allowed";
        TrackingAreaNotAllowed = 12, "tracking area not allowed";
        MacFailure = 20, "MAC failure";
        SynchFailure = 21, "synch failure";
        Congestion = 22, "congestion";
        UeSecurityCapabilitiesMismatch = 23, "UE security capabilities mismatch";
        SecurityModeRejected = 24, "security mode rejected, unspecified";
        Non5gAuthenticationUnacceptable = 26, "non-5G authentication unacceptable";
        NoNetworkSlicesAvailable = 62, "no network slices available";
        NgKsiAlreadyInUse = 71, "ngKSI already in use";
        PayloadNotForwarded = 90, "payload was not forwarded";
        DnnNotSupportedInSlice = 91, "DNN not supported or not subscribed in the slice";
        SemanticallyIncorrect = 95, "semantically incorrect message";
        InvalidMandatoryInformation = 96, "invalid mandatory information";
        MessageTypeNonExistent = 97, "message type non-existent or not implemented";
        MessageTypeNotCompatible = 98, "message type not compatible with the protocol state";
        ConditionalIeError = 100, "conditional IE error";
        ProtocolErrorUnspecified = 111, "protocol error, unspecified";
    }
);

causes!(
    /// 5GSM cause.
    FgsmCause {
        InsufficientResources = 26, "insufficient resources";
        MissingOrUnknownDnn = 27, "missing or unknown DNN";
        UnknownPduSessionType = 28, "unknown PDU session type";
        AuthenticationFailed = 29, "user authentication or authorization failed";
        RequestRejectedUnspecified = 31, "request rejected, unspecified";
        ServiceOptionNotSupported = 32, "service option not supported";
        RequestedServiceOptionNotSubscribed = 33, "requested service option not subscribed";
        PtiAlreadyInUse = 35, "PTI already in use";
        RegularDeactivation = 36, "regular deactivation";
        NetworkFailure = 38, "network failure";
        ReactivationRequested = 39, "reactivation requested";
        InvalidPduSessionIdentity = 43, "invalid PDU session identity";
        PtiMismatch = 47, "PTI mismatch";
        PduSessionTypeIpv4OnlyAllowed = 50, "PDU session type IPv4 only allowed";
        PduSessionTypeIpv6OnlyAllowed = 51, "PDU session type IPv6 only allowed";
        PduSessionDoesNotExist = 54, "PDU session does not exist";
        SscModeNotSupported = 68, "not supported SSC mode";
        MissingOrUnknownDnnInSlice = 70, "missing or unknown DNN in a slice";
        InvalidPtiValue = 81, "invalid PTI value";
        SemanticallyIncorrect = 95, "semantically incorrect message";
        InvalidMandatoryInformation = 96, "invalid mandatory information";
        MessageTypeNonExistent = 97, "message type non-existent or not implemented";
        MessageTypeNotCompatible = 98, "message type not compatible with the protocol state";
        ProtocolErrorUnspecified = 111, "protocol error, unspecified";
    }
);
