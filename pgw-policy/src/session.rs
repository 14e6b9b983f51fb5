//! A session as PFCP describes it (`Pdr Far Qer Urr`, TS 29.244 §5.2), and what a shard needs of it.
//!
//! [`Rules`] is what the control plane wrote, [`Rules::paths`] is the one place where it becomes
//! what the packet path reads: [`Paths`]. Rules of the company (apps, groups, verdicts) and the ban
//! are not here; they stand above (decision D4).

mod filter;
mod paths;

pub use filter::{Filter, Seen};
pub use paths::{DownStep, Downlink, Measure, Paths, Rate, RateOf, Steps, UpStep, Uplink};

use ipnet::{IpNet, Ipv6Net};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use types::{Dnn, Imsi, PduSessionId, Seid, Snssai, Supi, Teid, UeIp};

/// Which side a packet of a PDR comes from, or a FAR sends to (TS 29.244 §8.2.2, §8.2.24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Towards the UE.
    Access,
    /// Towards the data network.
    Core,
    /// Towards the data network, SGi-LAN or N6-LAN.
    SgiLan,
    /// The control plane.
    CpFunction,
}

/// Packet detection rule (TS 29.244 §5.2.1A).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdr {
    /// Lower is read first.
    pub precedence: u32,
    /// Source interface.
    pub source: Side,
    /// Our tunnel endpoint, for packets that arrive by GTP-U.
    pub teid: Option<Teid>,
    /// The UE's address in the PDI.
    pub ue: Option<UeIp>,
    /// The UE's IPv6 prefix in the PDI.
    pub prefix: Option<Ipv6Net>,
    /// Flow filters of the PDI: a packet that one of them meets is meant. None: all packets are.
    pub filters: Arc<[Filter]>,
    /// True if the PDI names an application, which this user plane does not know; then the rule never matches, so it can
    /// never let more through than its writer meant.
    pub unknown: bool,
    /// QoS flows in the PDI, one bit each; 0: all.
    pub qfis: u64,
    /// True if the outer header is to be removed.
    pub removes_outer_header: bool,
    /// Its FAR.
    pub far: u32,
    /// Its QERs.
    pub qers: Vec<u32>,
    /// Its URRs.
    pub urrs: Vec<u32>,
}

impl Pdr {
    /// True if no packet is its own that comes so far as to be asked.
    pub(crate) fn meets_nothing(&self) -> bool {
        let of_nobody = !self.filters.is_empty() && self.filters.iter().all(Filter::meets_nothing);
        self.unknown || of_nobody
    }
}

/// A radio's tunnel endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel {
    /// Its address.
    pub peer: IpAddr,
    /// Its TEID.
    pub teid: Teid,
}

/// Forwarding action rule (TS 29.244 §5.2.1A). Everything that is not plainly `FORW` carries nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Far {
    /// True if Apply Action has FORW and neither DROP nor BUFF.
    pub forwards: bool,
    /// True if Apply Action has BUFF and not DROP: packets wait.
    pub buffers: bool,
    /// True if Apply Action has NOCP: the control plane wants to hear of the first packet that waits.
    pub notifies: bool,
    /// Destination interface, where forwarding parameters are given.
    pub to: Option<Side>,
    /// Outer header creation towards a radio.
    pub tunnel: Option<Tunnel>,
    /// The BAR that says how its packets are buffered.
    pub bar: Option<u8>,
}

/// Buffering action rule (TS 29.244 §5.2.4). What it says is less than the shard's own limits, or does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bar {
    /// Its ID.
    pub id: u8,
    /// So many packets are worth keeping; none: as many as there is room for.
    pub packets: Option<u16>,
    /// The control plane wants to hear of the first one so much later, milliseconds.
    pub delay_ms: u64,
}

/// QoS enforcement rule (TS 29.244 §5.2.1A).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qer {
    /// False: the uplink gate is closed.
    pub uplink_open: bool,
    /// False: the downlink gate is closed.
    pub downlink_open: bool,
    /// Maximum bit rate (uplink, downlink), kbit/s.
    pub mbr_kbps: Option<(u64, u64)>,
    /// QoS flow that downlink packets are marked with.
    pub qfi: Option<u8>,
}

/// Usage reporting rule (TS 29.244 §5.2.2). It counts the inner octets of the packets of the PDRs that name it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Urr {
    /// True if volume is measured.
    pub volume: bool,
    /// True if time is.
    pub time: bool,
    /// When it is reported (Reporting Triggers, octets 5 and 6).
    pub triggers: u16,
    /// Reported every so many seconds.
    pub period: Option<u32>,
    /// Reported at this volume.
    pub volume_threshold: Volume,
    /// Used up at this volume.
    pub volume_quota: Volume,
    /// Reported after so many seconds.
    pub time_threshold: Option<u32>,
    /// Used up after so many seconds.
    pub time_quota: Option<u32>,
    /// True once a quota is used up: its PDRs forward nothing until the control plane gives a new one.
    pub exhausted: bool,
}

impl Urr {
    /// True if it says nothing by itself: it is reported when it is asked for, and at its end.
    pub fn is_passive(&self) -> bool {
        let by_itself = 0x0700;
        let quota = self.volume_quota != Volume::default() || self.time_quota.is_some();
        self.triggers & by_itself == 0 && !quota
    }
}

/// Volumes of a threshold or a quota, octets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Both ways.
    pub total: Option<u64>,
    /// From the UE.
    pub uplink: Option<u64>,
    /// To the UE.
    pub downlink: Option<u64>,
}

/// Inner octets that a URR has seen pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// From the UE.
    pub uplink: u64,
    /// To the UE.
    pub downlink: u64,
}

/// What each URR of a session has seen since it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted(pub BTreeMap<u32, Usage>);

impl Counted {
    /// What this URR has seen.
    pub fn by(&self, urr: u32) -> Usage {
        self.0.get(&urr).copied().unwrap_or_default()
    }
}

impl Volume {
    /// True if `used` has reached one of them.
    pub fn is_reached(&self, used: Usage) -> bool {
        let reached = |most: Option<u64>, used| most.is_some_and(|most| used >= most);
        reached(self.total, used.uplink.saturating_add(used.downlink))
            || reached(self.uplink, used.uplink)
            || reached(self.downlink, used.downlink)
    }
}

/// Everything that the control plane wrote for one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// By PDR ID.
    pub pdrs: BTreeMap<u16, Pdr>,
    /// By FAR ID.
    pub fars: BTreeMap<u32, Far>,
    /// By QER ID.
    pub qers: BTreeMap<u32, Qer>,
    /// By URR ID.
    pub urrs: BTreeMap<u32, Urr>,
    /// A session has one at most.
    pub bar: Option<Bar>,
}

/// Whose session it is, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub supi: Supi,
    /// The address of the UE.
    pub ue: UeIp,
    /// Its IPv6 prefix, where it has one.
    pub prefix: Option<Ipv6Net>,
    /// Data network.
    pub dnn: Option<Dnn>,
    /// Slice.
    pub snssai: Option<Snssai>,
    /// Which PDU session of theirs; our own control plane says it.
    pub pdu_session_id: Option<PduSessionId>,
}

/// A session as a shard gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSpec {
    /// Our SEID.
    pub seid: Seid,
    /// Whose.
    pub imsi: Imsi,
    /// The UE's address.
    pub ue: UeIp,
    /// The networks behind it (framed routes).
    pub routes: Vec<IpNet>,
    /// Its IPv6 prefix, where it has one: 64 bits, of which the UE makes its addresses.
    pub prefix: Option<Ipv6Net>,
    /// The paths.
    pub paths: Paths,
}
