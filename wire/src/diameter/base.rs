//! The base protocol's own messages (RFC 6733 §5), and groups that all applications use.

use super::avp::{Avp, Octets, Value, View, avps, each, enumerated, field, finish, keep, slot};
use super::dictionary::{self, *};
use super::{DiameterError, Header, Raw, result};

/// Auth-Session-State: the server keeps nothing of the session (§8.11). All of S6a and S13 is so.
pub const NO_STATE_MAINTAINED: u32 = 1;

/// Inband-Security-Id: no TLS is asked for inside the connection (§6.10).
pub const NO_INBAND_SECURITY: u32 = 0;

enumerated! {
    /// Disconnect-Cause (§5.4.3).
    Disconnect {
        /// Will be back.
        Rebooting = 0,
        /// Has too much to do.
        Busy = 1,
        /// Sees no use in the connection.
        DoNotWantToTalkToYou = 2,
    }
}

avps! {
    /// Vendor-Specific-Application-Id (§6.11).
    VendorApplication {
        /// Whose application.
        vendor_id: one VendorId,
        /// Its number, for authentication or authorization.
        auth: opt AuthApplicationId,
        /// Its number, for accounting.
        acct: opt AcctApplicationId,
    }

    /// Experimental-Result (§7.6): a result that the application's own specification numbers.
    Experimental {
        /// Whose numbers.
        vendor: one VendorId,
        /// Which of them.
        code: one ExperimentalResultCode,
    }

    /// Capabilities-Exchange-Request (§5.3.1).
    CapabilitiesExchangeRequest {
        /// Who sends it.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// Its addresses.
        addresses: many HostIpAddress,
        /// Whose program.
        vendor_id: one VendorId,
        /// Which program; any text.
        product: one ProductName,
        /// Changes when it has lost its state.
        origin_state: opt OriginStateId,
        /// Vendors whose AVPs it knows.
        vendors: many SupportedVendorId,
        /// Applications.
        auth: many AuthApplicationId,
        /// TLS inside the connection?
        inband_security: many InbandSecurityId,
        /// Accounting applications.
        acct: many AcctApplicationId,
        /// Applications of a vendor.
        vendor_applications: many VendorSpecificApplicationId,
        /// Which version.
        firmware: opt FirmwareRevision,
    }

    /// Capabilities-Exchange-Answer (§5.3.2).
    CapabilitiesExchangeAnswer {
        /// Whether it may stay.
        result_code: one ResultCode,
        /// Who sends it.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// Its addresses.
        addresses: many HostIpAddress,
        /// Whose program.
        vendor_id: one VendorId,
        /// Which program; any text.
        product: one ProductName,
        /// Changes when it has lost its state.
        origin_state: opt OriginStateId,
        /// In words.
        error_message: opt ErrorMessage,
        /// What was wrong.
        failed_avp: opt FailedAvp,
        /// Vendors whose AVPs it knows.
        vendors: many SupportedVendorId,
        /// Applications.
        auth: many AuthApplicationId,
        /// TLS inside the connection?
        inband_security: many InbandSecurityId,
        /// Accounting applications.
        acct: many AcctApplicationId,
        /// Applications of a vendor.
        vendor_applications: many VendorSpecificApplicationId,
        /// Which version.
        firmware: opt FirmwareRevision,
    }

    /// Device-Watchdog-Request (§5.5.1).
    DeviceWatchdogRequest {
        /// Who sends it.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// Changes when it has lost its state.
        origin_state: opt OriginStateId,
    }

    /// Device-Watchdog-Answer (§5.5.2).
    DeviceWatchdogAnswer {
        /// Well?
        result_code: one ResultCode,
        /// Who sends it.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// In words.
        error_message: opt ErrorMessage,
        /// What was wrong.
        failed_avp: opt FailedAvp,
        /// Changes when it has lost its state.
        origin_state: opt OriginStateId,
    }

    /// Disconnect-Peer-Request (§5.4.1).
    DisconnectPeerRequest {
        /// Who sends it.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// Why.
        cause: one DisconnectCause,
    }

    /// Disconnect-Peer-Answer (§5.4.2).
    DisconnectPeerAnswer {
        /// Well?
        result_code: one ResultCode,
        /// Who sends it.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// In words.
        error_message: opt ErrorMessage,
        /// What was wrong.
        failed_avp: opt FailedAvp,
    }

    /// An answer that only says why not (§7.2): to a request that was not understood, or one that a relay could not deliver.
    Refusal {
        /// The request's session.
        session_id: opt SessionId,
        /// Who refuses.
        origin_host: one OriginHost,
        /// Of which realm.
        origin_realm: one OriginRealm,
        /// Why.
        result_code: one ResultCode,
        /// In words.
        error_message: opt ErrorMessage,
        /// What was wrong.
        failed_avp: opt FailedAvp,
    }
}

impl Refusal {
    /// True for a class of results that is no refusal at all (§7.1.1, §7.1.2).
    pub(crate) fn is_success(&self) -> bool {
        self.result_code / 1000 <= 2
    }

    /// The answer to the request of this header, that came by these relays.
    pub fn encode(&self, request: &Header, proxies: &[Raw]) -> Vec<u8> {
        let header = Header { error: result::is_protocol_error(self.result_code), ..request.answer() };
        super::encode(&header, |out| {
            self.write_avps(out);
            for p in proxies {
                p.write(out);
            }
        })
    }
}

impl CapabilitiesExchangeRequest {
    /// Applications that are named, alone or as a vendor's.
    pub fn applications(&self) -> Vec<u32> {
        let of_vendors = self.vendor_applications.iter().filter_map(|v| v.auth.or(v.acct));
        self.auth.iter().chain(&self.acct).copied().chain(of_vendors).collect()
    }
}
