//! What a shard is told between its batches, and what it answers.
//!
//! Commands reach a shard in order, through one ring. The answer to a command means that it holds
//! for every packet of every batch after it; the thread sends the answer only after the outputs of
//! earlier batches are written.

use crate::batch::ShardId;
use crate::change::Touched;
use crate::compile::Compiled;
use crate::counters::Counters;
use crate::service::Service;
use crate::session::{Counted, SessionSpec};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use types::{Imsi, Name, Reason, Seid, ServerName, SimFacts, Teid, UeIp, Utc};

/// A command for a shard.
#[derive(Debug, Clone)]
pub enum ShardCommand {
    /// A new session, for the shard that owns its TEIDs. The revoked set is read after the session
    /// stands in the table: for a banned SIM it is born dropped.
    Insert(Box<SessionSpec>),
    /// New paths of a session. A banned SIM stays dropped.
    Update {
        /// The session with its new paths.
        spec: Box<SessionSpec>,
        /// True if the old downlink tunnel gets an End Marker (TS 29.281 §7.3.2).
        end_marker: bool,
    },
    /// The session is gone; its flows end.
    Remove {
        /// Which.
        seid: Seid,
    },
    /// From here on no packet of this SIM passes, whatever its sessions and rules say. For all shards.
    Cut {
        /// Whose.
        imsi: Imsi,
    },
    /// The SIM leaves the revoked set. For all shards.
    Uncut {
        /// Whose.
        imsi: Imsi,
    },
    /// The SIM is in quarantine, or no longer. Live flows that this denies end before the answer; a session made
    /// later is born in quarantine. For all shards.
    Quarantine {
        /// Whose.
        imsi: Imsi,
        /// False: no longer.
        on: bool,
    },
    /// The group is in panic, or no longer. Live flows that this denies end before the answer. For all shards.
    Panic {
        /// Which group.
        group: Name,
        /// False: no longer.
        on: bool,
    },
    /// A new policy. Live flows that it denies end before the answer. For all shards.
    Policy(Arc<Compiled>),
    /// A policy that was made of the one in force by [`Compiled::with`]: only whom it touches is looked at. Live flows
    /// that it denies end before the answer. For all shards.
    PolicyChange {
        /// The new policy.
        policy: Arc<Compiled>,
        /// Whom the change touches.
        touched: Arc<Touched>,
        /// Why flows end that it denies.
        reason: Reason,
    },
    /// What is known of the SIM, as of now. Live flows that are not allowed by it end before the answer. It is forgotten
    /// with the SIM's last session; the next one brings it again ([`SessionSpec::facts`]). For the shards that have its
    /// sessions; others pass it over.
    Facts {
        /// Whose.
        imsi: Imsi,
        /// What.
        facts: Arc<SimFacts>,
    },
    /// While bans may be missing, no policy opens anything, and what is open ends (`stale-policy`). Bans are not in
    /// the policy, so no generation of it could say that they are all there. For all shards.
    Close {
        /// False: the policy decides again.
        on: bool,
    },
    /// All addresses of this machine (decision D14). For all shards.
    OwnAddresses(Vec<IpAddr>),
    /// Where our own page and resolver are inside the closed network; `None`: nowhere. For all shards.
    Service(Option<Arc<Service>>),
    /// Prefixes of the admitted radios' N3 addresses. For all shards.
    Radios(Vec<IpNet>),
    /// Which shard has this UE address; `None`: nobody has it. For all shards.
    UeOwner {
        /// The UE's address.
        ue: UeIp,
        /// Its shard.
        shard: Option<ShardId>,
    },
    /// Which shard has the session that a network lies behind, or has no longer. For all shards.
    RouteOwner {
        /// The network.
        prefix: IpNet,
        /// The shard.
        shard: ShardId,
        /// False: it has it no longer.
        on: bool,
    },
    /// Tell what the session's URRs have counted so far. Answered by [`ShardReply::Usage`].
    Usage {
        /// Which.
        seid: Seid,
    },
    /// Tell the names that the SIM has looked up. For the shards that have its sessions; others know none.
    Names {
        /// Whose.
        imsi: Imsi,
    },
    /// Tell the counters.
    Status,
}

/// The answer to a [`ShardCommand`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardReply {
    /// It holds.
    Done,
    /// The session stands.
    Inserted {
        /// True if its SIM is in the revoked set: it carries nothing.
        born_dropped: bool,
    },
    /// The session was not taken.
    Refused(ShardRefusal),
    /// The cut holds in this shard.
    Cut(CutReport),
    /// The counters.
    Status(Box<ShardStatus>),
    /// The names that the SIM has looked up, as far as they hold and this shard knows.
    Names(Vec<LearnedName>),
    /// What the session's URRs have counted; in the answer to [`ShardCommand::Remove`]: in all.
    Usage(Counted),
}

/// An address that a resolver has given a SIM for a name that it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedName {
    /// The name.
    pub name: ServerName,
    /// The address.
    pub address: IpAddr,
    /// The resolver that said so.
    pub resolver: IpAddr,
    /// When.
    pub since: Utc,
    /// How long it still holds, milliseconds.
    pub left_ms: u64,
}

/// Why a shard did not take a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardRefusal {
    /// It has as many sessions as it may have.
    Full,
    /// A TEID or the UE address is already in use there, or belongs to another shard.
    InUse,
    /// It has no such session.
    Unknown,
}

/// What a cut met in one shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CutReport {
    /// Sessions whose drop bit is set.
    pub sessions: u32,
    /// When the SIM's last packet was let through here.
    pub last_packet: Option<Utc>,
    /// Packets of this SIM that were dropped here since it was first cut.
    pub dropped: u64,
}

/// How a shard is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    /// Its counters.
    pub counters: Counters,
    /// Sessions.
    pub sessions: usize,
    /// Flows.
    pub flows: usize,
    /// SIMs in the revoked set.
    pub revoked: usize,
    /// Generation of its policy; `None` before the first one.
    pub policy: Option<u64>,
}

/// Something that a shard saw and that the control plane should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardEvent {
    /// An admitted radio says that it does not know a TEID of its own that we send to
    /// (TS 29.281 §7.3.1). Whether a session has such a tunnel, [`crate::n4::N4`] knows.
    ErrorIndication {
        /// The radio.
        peer: IpAddr,
        /// Its TEID, that it does not know.
        teid: Teid,
    },
    /// A downlink packet waits for a UE that has no tunnel; said once until the path is back.
    DownlinkData {
        /// Our SEID.
        seid: Seid,
        /// The PDR that the packet belongs to, where some of the session have filters.
        pdr: Option<u16>,
    },
    /// A radio sends into a tunnel of its own that ended a minute ago or more; said at most every ten seconds for one
    /// tunnel. The packet is dropped as any other for an endpoint that nobody has.
    EndedTunnelUsed {
        /// Whose session it was.
        imsi: Imsi,
        /// Our endpoint, which nobody has.
        teid: Teid,
        /// The radio.
        radio: IpAddr,
    },
}
