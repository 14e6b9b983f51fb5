//! The record of one flow, allowed or denied (decision D16).

use crate::{Direction, Imsi, Name, Reason, ServerName, Utc, Verdict};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What one SIM's flow was and how it was judged. Written when it ends, and for a denied one when the
/// denial is first seen and then aggregated per interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// First packet.
    pub start: Utc,
    /// Last packet.
    pub end: Utc,
    /// The SIM.
    pub imsi: Imsi,
    /// Who opened it.
    pub direction: Direction,
    /// The UE's address.
    pub ue: IpAddr,
    /// The UE's port; 0 where the protocol has none.
    pub ue_port: u16,
    /// The other end.
    pub peer: IpAddr,
    /// The other end's port; 0 where the protocol has none.
    pub peer_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// App, where one covers the peer.
    pub app: Option<Name>,
    /// Rule that decided, where one did.
    pub rule: Option<Name>,
    /// What was decided.
    pub verdict: Verdict,
    /// Why it was denied, or why an allowed one ended.
    pub reason: Reason,
    /// Policy generation that judged it last.
    pub generation: u64,
    /// Packets from the UE.
    pub packets_up: u64,
    /// Octets of inner IP from the UE.
    pub bytes_up: u64,
    /// Packets to the UE.
    pub packets_down: u64,
    /// Octets of inner IP to the UE.
    pub bytes_down: u64,
    /// The server that its ClientHello named, where the app has names.
    pub name: Option<ServerName>,
    /// A rule that is only watched, and that would have refused it where it was allowed, or allowed it where it was refused.
    pub would: Option<Name>,
}
