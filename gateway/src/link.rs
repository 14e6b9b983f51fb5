//! The link between `control` and `gateway`: what the two processes say to each other over a UNIX socket.
//!
//! Session handling is PFCP inside [`ToGateway::N4`]/[`FromGateway::N4`] (decision D4); policy snapshots,
//! revocations and flow records have messages of their own. A connection begins with a greeting of eight
//! octets in each direction (magic and version), then come frames: length (u32, big endian) and postcard.
//! Both ends check by `SO_PEERCRED` that the other runs as the same user or as root.
//!
//! The gateway's end is synchronous ([`frame::Decoder`] and [`frame::encode`] inside its poll loop), the
//! control end asynchronous ([`connect`]).

pub mod frame;
pub mod local;
pub mod page;
mod peer;

use ipnet::IpNet;
use pgw_policy::counters::Counters;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use types::{
    FlowRecord, ForeignAsk, ForeignGrant, ForeignRefusal, ForeignSession, FramedRoute, GatewaySession, Imsi,
    Mono, Name, Restoration, Seid, SimState, SmfState, Teid, Utc,
};

use page::{PageAnswer, PageAsk};
use pgw_policy::command::LearnedName;

pub use frame::LinkError;
pub use peer::check_peer;

/// Who opens a connection to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The `control` process. A newer one replaces an older one.
    Control {
        /// Drawn at the start of the process; names it in the log.
        control_id: u64,
    },
    /// A command on this machine (`sekisho ban --local`, `doctor`): may cut and ask, nothing else.
    Local,
}

/// From `control` (or a local command) to `gateway`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGateway {
    /// First frame of a connection.
    Hello {
        /// Who it is.
        role: Role,
    },
    /// One PFCP message.
    N4(Vec<u8>),
    /// A compiled policy; judged by from the next packet on. Answered by [`FromGateway::PolicyDone`].
    Policy {
        /// Its generation, greater than that of any earlier one.
        generation: u64,
        /// `pgw_policy::Compiled` in postcard.
        compiled: Vec<u8>,
    },
    /// A change of the policy in force; judged by from the next packet on. Answered by [`FromGateway::PolicyDone`], or by
    /// [`FromGateway::PolicyWanted`] where another policy is in force than the one that it is a change of.
    PolicyChange {
        /// Generation of the policy that it is a change of.
        base: u64,
        /// Generation of what it makes of it.
        generation: u64,
        /// What is different.
        changes: Vec<pgw_policy::Change>,
    },
    /// What is known of these SIMs, in place of what was known of them; of others it stays. Live flows that are not allowed
    /// by it end. Kept until it is told anew, whether they have sessions or not; a gateway that has just started knows
    /// nothing of any SIM. Not answered.
    Facts(Vec<(Imsi, types::SimFacts)>),
    /// Cut a SIM. Answered by [`FromGateway::CutDone`].
    Cut {
        /// Of this request; comes back in the answer.
        id: u64,
        /// Whom.
        imsi: Imsi,
        /// `Lost` or `Stolen` (a reconciler also cuts `Suspended`, `Stock`, `Retired`).
        state: SimState,
        /// Who asked.
        actor: String,
        /// Why, in their words.
        reason: String,
        /// When they asked.
        at: Utc,
    },
    /// Cut many SIMs at once: one round through the shards, one write and one flush of the journal for all of
    /// them. Answered by [`FromGateway::CutAllDone`].
    CutAll {
        /// Of this request; comes back in the answer.
        id: u64,
        /// Whom.
        imsis: Vec<Imsi>,
        /// `Lost` or `Stolen`.
        state: SimState,
        /// Who asked.
        actor: String,
        /// Why, in their words.
        reason: String,
        /// When they asked.
        at: Utc,
    },
    /// Cut a device (or no longer), by its IMEI. The packet path knows SIMs only; the journal keeps the ban, so that
    /// no lost database loses it. Answered by [`FromGateway::RestrictDone`].
    CutImei {
        /// Of this request; comes back in the answer.
        id: u64,
        /// The IMEI's first 14 digits (without the check digit).
        device: String,
        /// False: the device is no longer cut.
        on: bool,
        /// Who asked.
        actor: String,
        /// Why, in their words.
        reason: String,
        /// When they asked.
        at: Utc,
    },
    /// Quarantine a SIM: it reaches the remediation apps of its groups and nothing else. Answered by
    /// [`FromGateway::RestrictDone`].
    Quarantine {
        /// Of this request; comes back in the answer.
        id: u64,
        /// Whom.
        imsi: Imsi,
        /// False: out of quarantine.
        on: bool,
        /// Who asked.
        actor: String,
        /// Why, in their words.
        reason: String,
        /// When they asked.
        at: Utc,
    },
    /// Panic of a group: its SIMs reach its emergency apps and nothing else. Answered by
    /// [`FromGateway::RestrictDone`].
    Panic {
        /// Of this request; comes back in the answer.
        id: u64,
        /// Which group.
        group: Name,
        /// False: the panic is over.
        on: bool,
        /// Who asked.
        actor: String,
        /// Why, in their words.
        reason: String,
        /// When they asked.
        at: Utc,
    },
    /// The last journal head that `control` knows; with 0 records: none. After its start the gateway allows nothing new
    /// until it has heard this or [`ToGateway::Union`]. Where its journal is older than the head, or another one, that
    /// stays so (and what is open ends) until [`ToGateway::Union`] is done: [`FromGateway::NeedUnion`] says so. Not
    /// answered otherwise.
    KnownHead {
        /// The head.
        head: JournalHead,
    },
    /// All bans of the database. What the journal does not have is cut and recorded; what only the journal has stays
    /// (deny wins). Answered by [`FromGateway::UnionDone`].
    Union {
        /// Of this request; comes back in the answer.
        id: u64,
        /// The bans.
        revoked: Vec<Revoked>,
    },
    /// Take a SIM out of the revoked set. Answered by [`FromGateway::UncutDone`].
    Uncut {
        /// Of this request; comes back in the answer.
        id: u64,
        /// Whom.
        imsi: Imsi,
        /// Who asked.
        actor: String,
        /// Why, in their words.
        reason: String,
        /// When they asked.
        at: Utc,
    },
    /// Ask for the gateway's state. Answered by [`FromGateway::Status`].
    Status {
        /// Of this request; comes back in the answer.
        id: u64,
    },
    /// The networks behind SIMs, all of them; earlier ones lie behind nobody any more. Kept until they are told anew. Not
    /// answered.
    Routes(Vec<FramedRoute>),
    /// The answer to [`FromGateway::ForeignAsk`]: the session's addresses, or why there is none.
    ForeignAnswer {
        /// Of the question.
        id: u64,
        /// The addresses that it has.
        answer: Result<ForeignGrant, ForeignRefusal>,
    },
    /// These foreign sessions may not live any longer. Each that ends is told by [`FromGateway::Foreign`].
    EndForeign {
        /// Our SEIDs.
        seids: Vec<Seid>,
    },
    /// The answer to [`FromGateway::Page`].
    PageAnswer {
        /// Of the question.
        id: u64,
        /// What the browser gets.
        answer: PageAnswer,
    },
    /// The data networks' UE prefixes, and the networks behind SIMs: all of them are routed to the TUN, earlier ones no longer. Not answered.
    UePrefixes(Vec<IpNet>),
    /// Ask what the path did with one SIM's packets. Answered by [`FromGateway::Trace`].
    Trace {
        /// Of this request; comes back in the answer.
        id: u64,
        /// Whose.
        imsi: Imsi,
    },
    /// Ask what a SIM has looked up. Answered by [`FromGateway::Names`].
    Names {
        /// Of this request; comes back in the answer.
        id: u64,
        /// Whose.
        imsi: Imsi,
    },
}

/// From `gateway` to `control` (or a local command).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromGateway {
    /// First frame of a connection.
    Hello(Box<GatewayHello>),
    /// One PFCP message.
    N4(Vec<u8>),
    /// A policy is in force in every shard, or was refused and the old one stays.
    PolicyDone {
        /// Its generation.
        generation: u64,
        /// Why it was refused.
        result: Result<(), String>,
    },
    /// A [`ToGateway::PolicyChange`] does not fit what is in force: the whole policy is wanted.
    PolicyWanted {
        /// Generation of the policy in force.
        has: u64,
    },
    /// A cut is in force (and, if the receipt says so, recorded).
    CutDone {
        /// Of the request.
        id: u64,
        /// What was done, measured.
        receipt: CutReceipt,
    },
    /// A [`ToGateway::CutAll`] is in force; one receipt for each SIM, in the order of the request.
    CutAllDone {
        /// Of the request.
        id: u64,
        /// What was done, measured; the times are those of the whole batch.
        receipts: Vec<CutReceipt>,
    },
    /// A quarantine, a panic or the cut of a device is in force (or over) and recorded, or why not: what switches a
    /// restriction on is in force either way until a restart, what switches it off is not without its record.
    RestrictDone {
        /// Of the request.
        id: u64,
        /// Where it is recorded, or why it is not.
        result: Result<Stored, String>,
        /// Shards that confirmed; for the cut of a device: those that have ended every session whose end was ordered
        /// before it.
        shards: u32,
    },
    /// The union with the database is in force and recorded, or why not (then the path stays as it was).
    UnionDone {
        /// Of the request.
        id: u64,
        /// The journal's head after it.
        result: Result<JournalHead, String>,
    },
    /// The journal is older than [`ToGateway::KnownHead`], or another one: [`ToGateway::Union`] is wanted, and nothing
    /// new is allowed before.
    NeedUnion {
        /// What is wrong, in words.
        why: String,
    },
    /// How a copy of the journal stands has changed: it fails, or it works again.
    CopyChanged(CopyStatus),
    /// A copy of the journal has everything up to here.
    CopyDone {
        /// Which copy, as the configuration names it.
        place: String,
        /// Its head.
        head: JournalHead,
    },
    /// A local command on the gateway's machine cut a device by its IMEI; `control` is told, too.
    LocalCutImei {
        /// The IMEI's first 14 digits.
        device: String,
        /// Who asked.
        actor: String,
        /// Why, in their words.
        reason: String,
        /// When.
        at: Utc,
        /// Where it is recorded, or why it is not.
        stored: Result<Stored, String>,
    },
    /// A local command on the gateway's machine cut a SIM; `control` is told, too.
    LocalCut {
        /// Whom, by whom and why.
        revoked: Revoked,
        /// What was done, measured.
        receipt: CutReceipt,
    },
    /// A cut whose receipt said *not stored* is stored after all.
    Recorded {
        /// Whom.
        imsi: Imsi,
        /// Where.
        stored: Stored,
    },
    /// An uncut is recorded and in force, or was refused and the SIM stays cut.
    UncutDone {
        /// Of the request.
        id: u64,
        /// Record number and hash of the journal, or why not.
        result: Result<Stored, String>,
    },
    /// A UE asks for our own page inside the closed network. Answered by [`ToGateway::PageAnswer`].
    Page {
        /// Comes back in the answer.
        id: u64,
        /// What it asks.
        ask: PageAsk,
    },
    /// Records of flows, oldest first.
    Flows {
        /// The records.
        records: Vec<FlowRecord>,
        /// How many were lost before these, because nobody took them.
        lost: u64,
    },
    /// Answer to [`ToGateway::Status`].
    Status {
        /// Of the request.
        id: u64,
        /// The state.
        status: Box<GatewayStatus>,
    },
    /// Answer to [`ToGateway::Trace`].
    Trace {
        /// Of the request.
        id: u64,
        /// What the path did.
        trace: SimTrace,
    },
    /// Answer to [`ToGateway::Names`].
    Names {
        /// Of the request.
        id: u64,
        /// What holds at this moment.
        names: Vec<LearnedName>,
    },
    /// A foreign SMF wants a session for this SIM: may it have it? Answered by [`ToGateway::ForeignAnswer`]; asked again
    /// after a new hello.
    ForeignAsk(ForeignAsk),
    /// A foreign session is there, or gone.
    Foreign {
        /// Which.
        session: ForeignSession,
        /// False: gone.
        up: bool,
    },
    /// What became of a foreign SMF's association.
    Smf {
        /// Which.
        smf: IpAddr,
        /// What.
        state: SmfState,
    },
    /// Something that somebody should look at, in plain words.
    Alarm(String),
    /// A radio sends into a tunnel of its own that ended a minute ago or more; said at most every ten seconds for one
    /// tunnel.
    EndedTunnelUsed {
        /// Whose session it was.
        imsi: Imsi,
        /// Our endpoint, which nobody has.
        teid: Teid,
        /// The radio's N3 address.
        radio: IpAddr,
    },
}

/// What the gateway says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayHello {
    /// Drawn at the start of the process.
    pub gateway_id: u64,
    /// PFCP recovery time stamp: seconds since 1900 (TS 29.244 §8.2.65). A new one means: no session is left.
    pub recovery: u32,
    /// The sessions that it holds.
    pub sessions: Vec<GatewaySession>,
    /// Its revoked set.
    pub revoked: Vec<Revoked>,
    /// Head of the revocation journal.
    pub journal: JournalHead,
    /// Generation of the policy in force; 0 if none came yet (then every new flow is denied).
    pub policy_generation: u64,
    /// How many shards it has.
    pub shards: u32,
    /// SIMs in quarantine.
    pub quarantined: Vec<Imsi>,
    /// Groups in panic.
    pub panicked: Vec<Name>,
    /// Devices that are cut: the first 14 digits of their IMEI.
    pub cut_devices: Vec<String>,
    /// The journal's copies off this machine; empty if none is configured.
    pub copies: Vec<CopyStatus>,
    /// Sessions that foreign SMFs steer.
    pub foreign: Vec<ForeignSession>,
    /// The foreign SMFs of the list.
    pub smfs: Vec<SmfStatus>,
}

/// A foreign SMF of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmfStatus {
    /// Its address.
    pub smf: IpAddr,
    /// Its association.
    pub state: SmfState,
    /// Sessions that it steers.
    pub sessions: u64,
    /// What became of them when it, or we, started anew.
    pub restoration: Restoration,
}

/// How one copy of the journal stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CopyStatus {
    /// Which, as the configuration names it: a directory or a URL.
    pub place: String,
    /// The last record that it has acknowledged; `None` if it has not answered since the start.
    pub head: Option<JournalHead>,
    /// Why it is behind, in words; `None` while it works.
    pub error: Option<String>,
}

/// One SIM of the revoked set, as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Whom.
    pub imsi: Imsi,
    /// State that it was cut for.
    pub state: SimState,
    /// Who asked.
    pub actor: String,
    /// Why, in their words (cut short where the journal's record had no room).
    pub reason: String,
    /// When.
    pub at: Utc,
    /// Where it is recorded; `None` if it was cut but could not be stored.
    pub stored: Option<Stored>,
}

/// The last record of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JournalHead {
    /// How many records there are; also the number of the last one. 0: the journal is empty.
    pub records: u64,
    /// Hash of the last record; zeros if the journal is empty.
    pub hash: [u8; 32],
}

/// A record that is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Record number, from 1.
    pub record: u64,
    /// Its hash, which covers all records before it.
    pub hash: [u8; 32],
}

/// What a cut did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutReceipt {
    /// Whom.
    pub imsi: Imsi,
    /// State that it was cut for.
    pub state: SimState,
    /// When the last shard had confirmed.
    pub cut_at: Utc,
    /// The same on the machine's monotonic clock: no write of a packet of this SIM began after it.
    pub cut_mono: Mono,
    /// From the request's arrival to the last shard's confirmation, microseconds.
    pub cut_us: u64,
    /// From there to the record on the disk, microseconds.
    pub store_us: u64,
    /// How many shards confirmed.
    pub shards_confirmed: u32,
    /// How many shards there are.
    pub shards: u32,
    /// How many of its sessions are cut.
    pub sessions: u32,
    /// When the last packet of this SIM was let through, either way.
    pub last_packet: Option<Utc>,
    /// Packets of this SIM dropped since it was first cut.
    pub dropped: u64,
    /// Where it is recorded, or why it is not (the cut stays either way, until a restart).
    pub journal: Result<Stored, String>,
    /// The journal's copies at this moment; one whose head is at least the record's number has it.
    pub copies: Vec<CopyStatus>,
}

/// What the path did with one SIM's packets since it was cut; all zero for a SIM that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SimTrace {
    /// True if it is in the revoked set.
    pub revoked: bool,
    /// Its sessions that are cut.
    pub sessions: u32,
    /// Packets dropped because it is banned.
    pub dropped: u64,
    /// When the last one was let through.
    pub last_packet: Option<Utc>,
}

/// The gateway's state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GatewayStatus {
    /// SIMs in the revoked set.
    pub revoked: u64,
    /// SIMs in it whose cut is not on the disk.
    pub unstored: u64,
    /// Generation of the policy in force; 0 if none came yet.
    pub policy_generation: u64,
    /// Head of the journal.
    pub journal: JournalHead,
    /// Records that fit into the journal without more disk space.
    pub journal_room: u64,
    /// Flow records lost because nobody took them.
    pub flow_records_lost: u64,
    /// Where the journal is short of room and cannot grow: why.
    pub journal_low: Option<String>,
    /// The journal's copies; empty if none is configured.
    pub copies: Vec<CopyStatus>,
    /// SIMs in quarantine.
    pub quarantined: u64,
    /// Groups in panic.
    pub panicked: Vec<Name>,
    /// Devices that are cut by their IMEI.
    pub cut_devices: u64,
    /// Why the path denies everything new, where it does.
    pub denied: Option<String>,
    /// This machine's own addresses: UE traffic never reaches them.
    pub own_addresses: Vec<IpAddr>,
    /// The foreign SMFs of the list.
    pub smfs: Vec<SmfStatus>,
    /// PFCP datagrams of foreign SMFs.
    pub pfcp_received: u64,
    /// Datagrams to the PFCP port from anybody else.
    pub pfcp_refused: u64,
    /// Per shard; one that did not answer in time is left out.
    pub shards: Vec<ShardStatus>,
}

/// One shard since its start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShardStatus {
    /// Which, from 0.
    pub shard: u8,
    /// Sessions.
    pub sessions: u64,
    /// Live flows.
    pub flows: u64,
    /// SIMs in its revoked set.
    pub revoked: u64,
    /// Generation of its policy; 0 before the first one.
    pub policy_generation: u64,
    /// What it let through and what it dropped, by reason.
    pub counters: Counters,
    /// What its sockets did.
    pub io: IoCounters,
}

/// What the sockets of a shard did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IoCounters {
    /// Datagrams received on N3.
    pub n3_received: u64,
    /// Packets received on N6.
    pub n6_received: u64,
    /// Datagrams sent on N3.
    pub n3_sent: u64,
    /// Packets sent on N6.
    pub n6_sent: u64,
    /// Packets that the kernel did not take.
    pub send_failed: u64,
    /// Packets dropped because another shard's ring was full (`overload`).
    pub overload: u64,
    /// Flow records lost because the main thread did not take them.
    pub records_lost: u64,
    /// Batches given up because the code panicked in them.
    pub panics: u64,
}

/// Opens the link as `control` does (or a local command): connects, greets, says [`ToGateway::Hello`] and
/// waits for the gateway's.
///
/// # Errors
/// [`LinkError::Io`] where nobody listens or the other end goes away, [`LinkError::Stranger`] where it runs
/// as another user, [`LinkError::Version`] where it is another release, [`LinkError::Unexpected`] where its
/// first frame is no hello.
pub async fn connect(path: &Path, role: Role) -> Result<(LinkSender, LinkReceiver, GatewayHello), LinkError> {
    let mut stream = UnixStream::connect(path).await?;
    check_peer(&stream)?;
    stream.write_all(&frame::GREETING).await?;
    let mut greeting = [0; frame::GREETING.len()];
    stream.read_exact(&mut greeting).await?;
    frame::check_greeting(&greeting)?;
    let (read, write) = stream.into_split();
    let mut sender = LinkSender { write };
    let mut receiver = LinkReceiver { read, decoder: frame::Decoder::new(), buf: vec![0; 16 * 1024] };
    sender.send(&ToGateway::Hello { role }).await?;
    match receiver.recv().await? {
        FromGateway::Hello(hello) => Ok((sender, receiver, *hello)),
        _ => Err(LinkError::Unexpected("the gateway's first frame is not its hello")),
    }
}

/// The control end's way out.
#[derive(Debug)]
pub struct LinkSender {
    write: OwnedWriteHalf,
}

impl LinkSender {
    /// Sends one message.
    ///
    /// # Errors
    /// [`LinkError::TooLong`] (nothing is sent), [`LinkError::Io`] where the gateway is gone.
    pub async fn send(&mut self, message: &ToGateway) -> Result<(), LinkError> {
        let mut bytes = Vec::new();
        frame::encode(message, &mut bytes)?;
        self.write.write_all(&bytes).await?;
        Ok(())
    }
}

/// The control end's way in.
#[derive(Debug)]
pub struct LinkReceiver {
    read: OwnedReadHalf,
    decoder: frame::Decoder,
    buf: Vec<u8>,
}

impl LinkReceiver {
    /// The next message. Safe to cancel: what was read so far is kept.
    ///
    /// # Errors
    /// [`LinkError::Closed`] where the gateway is gone; any other error means that the link cannot be used
    /// any longer.
    pub async fn recv(&mut self) -> Result<FromGateway, LinkError> {
        loop {
            if let Some(message) = self.decoder.message()? {
                return Ok(message);
            }
            let n = self.read.read(&mut self.buf).await?;
            if n == 0 {
                return Err(LinkError::Closed);
            }
            self.decoder.push(self.buf.get(..n).unwrap_or_default());
        }
    }
}
