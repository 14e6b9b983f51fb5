//! What the rooms above ask one another about a subscriber: admission, addresses, sessions.

use crate::{Dnn, FgmmCause, Imsi, PduSessionId, Seid, Snssai, Suci, Supi, Teid, UeIp, Utc};
use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How a subscriber names itself when it asks for authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// Concealed, as the UE sent it.
    Suci(Suci),
    /// Already known from an earlier registration.
    Supi(Supi),
}

/// What an admitted subscriber may have (from UDM to AMF and SMF).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Who.
    pub supi: Supi,
    /// Allowed slices; the first is the default one.
    pub slices: Vec<Snssai>,
    /// Allowed data networks; the first is the default one. Never empty.
    pub dnns: Vec<Dnn>,
    /// Aggregate maximum bit rate, uplink, bit/s.
    pub ambr_ul_bps: u64,
    /// Aggregate maximum bit rate, downlink, bit/s.
    pub ambr_dl_bps: u64,
}

/// A refusal, as the UE is told and as the timeline says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// 5GMM cause to the UE.
    pub cause: FgmmCause,
    /// T3346 back-off in seconds, where the cause has one.
    pub backoff_s: Option<u32>,
    /// Why, in our words.
    pub reason: RefusalReason,
}

/// Why a SIM was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalReason {
    /// No SIM with this identity.
    UnknownSim,
    /// The SUCI could not be opened.
    SuciUnreadable,
    /// The SIM is in stock.
    Stock,
    /// The SIM is suspended.
    Suspended,
    /// The SIM is banned: lost.
    Lost,
    /// The SIM is banned: stolen.
    Stolen,
    /// The SIM is retired.
    Retired,
    /// The device is not the one bound to the SIM.
    DeviceMismatch,
    /// The device does not name itself, and must.
    NoDevice,
    /// The device is black on the company's list, or banned.
    EquipmentBlack,
    /// Re-synchronisation failed its check or came too often.
    Resync,
    /// The answer to the challenge was wrong.
    WrongResponse,
    /// No slice, data network or algorithm in common.
    NothingInCommon,
    /// Not from the PLMN or tracking area that we serve.
    NotServedHere,
    /// Too much to do at the moment.
    Overload,
    /// A part that must answer first (store, gateway) does not.
    Unavailable,
    /// The identity came in clear (null scheme), and the network has keys to conceal it with.
    SuciInClear,
    /// The SUCI names a key of the home network that there is not, or one of another profile.
    SuciKeyUnknown,
    /// The SUCI names a key of the home network that is accepted no longer.
    SuciKeyRefused,
}

/// An address given for one session, with what the UE is told beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAddress {
    /// The UE's address.
    pub ip: UeIp,
    /// Its IPv6 prefix, where the data network has one for it.
    pub prefix: Option<Ipv6Net>,
    /// Resolvers for (e)PCO.
    pub dns: Vec<IpAddr>,
    /// IPv4 link MTU for (e)PCO, octets.
    pub mtu: u16,
}

/// Why no address was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressRefusal {
    /// No such data network.
    UnknownDnn,
    /// The pool has no free address.
    PoolExhausted,
    /// The lease could not be made durable.
    Unavailable,
}

/// A session as the gateway holds it: what `control` finds when it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaySession {
    /// The control plane's SEID.
    pub cp_seid: Seid,
    /// The user plane's SEID.
    pub up_seid: Seid,
    /// Whose.
    pub supi: Supi,
    /// Which PDU session of theirs.
    pub pdu_session_id: PduSessionId,
    /// Data network.
    pub dnn: Dnn,
    /// The UE's address.
    pub ip: UeIp,
    /// Its IPv6 prefix, where it has one.
    pub prefix: Option<Ipv6Net>,
    /// Our uplink tunnel endpoint.
    pub teid: Teid,
    /// The radio's end, while there: address and TEID of the downlink tunnel.
    pub radio: Option<(IpAddr, Teid)>,
}

/// A session that a foreign SMF steers, as the gateway has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignSession {
    /// Our SEID.
    pub up_seid: Seid,
    /// The SMF.
    pub smf: IpAddr,
    /// Whose.
    pub imsi: Imsi,
    /// Data network.
    pub dnn: Dnn,
    /// Slice, where the SMF said one (5G).
    pub snssai: Option<Snssai>,
    /// The UE's address.
    pub ip: UeIp,
    /// Its IPv6 prefix, where it has one.
    pub prefix: Option<Ipv6Net>,
    /// True while its packets have a tunnel to go into; false while its UE is idle.
    pub connected: bool,
    /// Its maximum bit rates by PFCP, bit/s, where it has any: uplink, downlink.
    pub rates: Option<(u64, u64)>,
    /// Since when.
    pub since: Utc,
}

/// What a foreign SMF asks for: may this SIM have a session there, and with which address?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignAsk {
    /// Of the question.
    pub id: u64,
    /// The SMF.
    pub smf: IpAddr,
    /// Whose it is said to be.
    pub imsi: Imsi,
    /// Data network.
    pub dnn: Dnn,
    /// The address that the SMF names; none where we are to choose.
    pub ip: Option<UeIp>,
    /// The prefix that it names.
    pub prefix: Option<Ipv6Net>,
}

/// The addresses of a foreign session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignGrant {
    /// The UE's address.
    pub ip: UeIp,
    /// Its IPv6 prefix; without one it carries no IPv6, whatever the SMF named.
    pub prefix: Option<Ipv6Net>,
}

/// Why a SIM may not have a foreign session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForeignRefusal {
    /// There is no such SIM.
    UnknownSim,
    /// It is banned, suspended, in stock or retired.
    NotLiving,
    /// No admitted peer of the mobile core says that it is attached, or has this session.
    NotAttached,
    /// It may not have this data network, or there is none of this name.
    WrongNetwork,
    /// The address is not the one that the ledger has for it, nor of the SMF's own range.
    WrongAddress,
    /// There is no address for it, or the ledger cannot be written.
    NoAddress,
    /// Whoever decides is not there.
    Unavailable,
}

/// What becomes of a foreign SMF's association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmfState {
    /// It was never heard of.
    Never,
    /// It is there.
    Up,
    /// It does not answer heartbeats: what it steers goes on, and it gets nothing new.
    Silent,
    /// It started anew: its sessions have ended.
    Restarted,
    /// It took its leave.
    Released,
}

/// What became of a foreign SMF's sessions when it or we started anew (TS 23.527 §4), since our start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoration {
    /// Its Recovery Time Stamp: when it started, in seconds since 1900.
    pub recovery: Option<u32>,
    /// How often it has started anew.
    pub restarts: u64,
    /// Sessions that have ended by that.
    pub ended: u64,
    /// Sessions to which it gave back the endpoints that they had before our start.
    pub restored: u64,
}

impl Restoration {
    /// When it started.
    pub fn started(&self) -> Option<Utc> {
        /// From 1900 to 1970 (RFC 5905 §6), seconds.
        const NTP: i64 = 2_208_988_800;
        self.recovery.map(|s| Utc((i64::from(s) - NTP) * 1000))
    }
}
