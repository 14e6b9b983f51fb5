//! The door to the running system: what handlers ask of `control`, and what it answers.
//!
//! `src` makes the one real [`Control`]: it sends a command to the task that owns the cores and awaits the reply.
//! Configuration does not go through here; handlers read and write it in `store` and then say what changed.

use crate::{
    idempotency::HeldClaim,
    problem::Said,
    receipt::{Pending, Receipt, StoredAt},
    rights::{BackupCapability, BanCapability, QuarantineCapability, SessionCapability, UnbanCapability},
};
use ipnet::Ipv6Net;
use pgw_policy::ProviderApp;
use serde::Serialize;
use std::{future::Future, net::IpAddr, pin::Pin};
use store::EventRow;
use thiserror::Error;
use tokio::sync::broadcast;
use types::{
    DevicePattern, Dnn, Imsi, K, Key128, Name, Opc, PduSessionId, Seid, SimState, Snssai, Tai,
    TransitionError, UeIp, Utc,
};
use utoipa::ToSchema;

/// An answer that is on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why the running system did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ControlError {
    /// There is no such SIM, session or radio.
    #[error("not found")]
    NotFound,
    /// A part that must answer (named) does not.
    #[error("{part} does not answer: {why}")]
    Unavailable {
        /// `gateway`, `store`, `control`.
        part: &'static str,
        /// In plain words.
        why: String,
    },
    /// Somebody else takes away at the same moment what this would give back: deny wins.
    #[error("not done, deny wins: {0}")]
    Denied(String),
    /// The policy that is stored does not compile; the old one stays in force.
    #[error("the policy is refused: {0}")]
    PolicyRefused(String),
}

/// The operator value that comes with K.
pub enum OperatorKey {
    /// OP: OPc is computed from it and K.
    Op(Key128),
    /// OPc itself.
    Opc(Opc),
}

/// A SIM's keys as they came in.
pub enum NewKeys {
    /// Of a Milenage card.
    Milenage {
        /// K.
        k: K,
        /// OP or OPc.
        operator: OperatorKey,
    },
    /// Of a TUAK card; TOPc is computed already where TOP was given.
    Tuak(hss::TuakKeys),
}

/// A SIM's keys as they are stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Sealed K and OPc or TOPc.
    pub keys: Vec<u8>,
    /// Keyed fingerprint of K.
    pub fingerprint: Vec<u8>,
}

/// Who asks for a revocation, why, and in which request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asker {
    /// Who.
    pub actor: String,
    /// Why, in their words.
    pub reason: String,
    /// Their ticket; may be empty.
    pub ticket: String,
    /// In which request; may be empty.
    pub request_id: String,
    /// From where; may be empty.
    pub origin: String,
    /// The request's idempotency key, to be kept with what the request does.
    pub claim: Option<HeldClaim>,
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanRequest {
    /// Whom.
    pub imsi: Imsi,
    /// `Lost` or `Stolen`.
    pub state: SimState,
    /// Who asks.
    pub asker: Asker,
}

/// The way back from a ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnbanRequest {
    /// Whom.
    pub imsi: Imsi,
    /// `Active`, `Suspended` or `Stock`.
    pub state: SimState,
    /// Who asks; their reason is never empty.
    pub asker: Asker,
    /// The request that a second person has agreed to, and who that was.
    pub approves: Option<(String, String)>,
}

/// What a revocation is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    /// One SIM, by its IMSI.
    Sim,
    /// A device, by its IMEI: whatever SIM is in it is refused.
    Imei,
    /// A device of the directory: its SIMs and its IMEI.
    Device,
    /// A person's SIMs.
    Person,
    /// A group's SIMs.
    Group,
    /// A site's SIMs.
    Site,
}

impl ScopeKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Sim, Self::Imei, Self::Device, Self::Person, Self::Group, Self::Site];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Imei => "imei",
            Self::Device => "device",
            Self::Person => "person",
            Self::Group => "group",
            Self::Site => "site",
        }
    }
}

impl std::fmt::Display for ScopeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ScopeKind {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|k| k.as_str() == s);
        found.ok_or("a scope is one of sim, imei, device, person, group, site")
    }
}

/// A ban of everything that a scope covers at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeBan {
    /// What kind.
    pub scope: ScopeKind,
    /// Which one: IMSI, 14 digits of an IMEI, or a name.
    pub value: String,
    /// `Lost` or `Stolen`.
    pub state: SimState,
    /// Who asks.
    pub asker: Asker,
}

/// A SIM that a revocation would cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedSim {
    /// Which.
    pub imsi: Imsi,
    /// Its state.
    pub state: SimState,
    /// Its live sessions, which would end (or be restricted).
    pub sessions: Vec<SessionView>,
}

/// What a ban of a scope did; each SIM has a receipt of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ScopeBanned)]
pub struct ScopeOutcome {
    /// The revocation.
    pub id: String,
    /// sim, imei, device, person, group or site.
    pub scope: String,
    /// Which one.
    pub value: String,
    /// lost or stolen.
    pub state: String,
    /// How many SIMs are cut; of an IMEI: how many live in it and are sent away.
    pub sims: u64,
    /// How many live sessions end with it.
    pub sessions: u64,
    /// The device that is banned with it, 14 digits.
    pub device: Option<String>,
    /// From the command to the last shard's confirmation, microseconds.
    pub cut_us: u64,
    /// Where all of it is recorded.
    pub stored: Vec<StoredAt>,
    /// What could not be done, SIM by SIM.
    pub failed: Vec<ScopeFailure>,
    /// What is pending for the whole.
    pub pending: Vec<Pending>,
    /// True where the answer was kept with the ban.
    #[serde(skip)]
    #[schema(ignore)]
    pub kept: bool,
}

/// Something of a scope that was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ScopeFailure {
    /// Whose.
    pub imsi: String,
    /// Why, in words.
    pub why: String,
}

/// What is to be restricted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restricted {
    /// A SIM: only the remediation apps of its groups.
    Quarantine(Imsi),
    /// A group: only its emergency apps.
    Panic(Name),
}

/// A restriction that goes on or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestrictRequest {
    /// Of what.
    pub what: Restricted,
    /// On or off.
    pub on: bool,
    /// Who asks.
    pub asker: Asker,
}

/// The way back from the ban of a device by its IMEI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceUnban {
    /// Which, by its 14 digits.
    pub device: DevicePattern,
    /// Who asks; their reason is never empty.
    pub asker: Asker,
    /// The request that a second person has agreed to, and who that was.
    pub approves: Option<(String, String)>,
}

/// What a restriction, or the end of one, did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Restricted)]
pub struct RestrictOutcome {
    /// The revocation.
    pub id: String,
    /// quarantine, release, panic, calm, or unban (of a device).
    pub kind: String,
    /// The SIM, the group, or the device's 14 digits.
    pub value: String,
    /// How many SIMs it touches.
    pub sims: u64,
    /// Shards that confirmed.
    pub shards: u32,
    /// Where it is recorded.
    pub stored: Vec<StoredAt>,
    /// What is pending.
    pub pending: Vec<Pending>,
}

/// Why a ban was not answered with a plain receipt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BanError {
    /// No such SIM.
    #[error("there is no such SIM")]
    NotFound,
    /// The table of states does not allow it (an unban of a SIM that is not banned, a ban of a retired one).
    #[error(transparent)]
    NotAllowed(#[from] TransitionError),
    /// It is cut, but stored nowhere: it holds until the gateway restarts (DESIGN §5).
    #[error("cut, not stored")]
    CutNotStored(Box<Receipt>),
    /// Nothing was done.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Which of a SIM's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionKey {
    /// One of our own SMF's, by its PDU session identity.
    Own(PduSessionId),
    /// One that another core's SMF steers in our gateway by PFCP, by the gateway's SEID.
    Foreign(Seid),
}

/// A live session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Whose.
    pub imsi: Imsi,
    /// Which of the SIM's.
    pub key: SessionKey,
    /// The foreign SMF that steers it; none for one of ours.
    pub smf: Option<String>,
    /// Data network.
    pub dnn: Dnn,
    /// Slice, where it is known.
    pub slice: Option<Snssai>,
    /// The UE's address.
    pub ip: UeIp,
    /// Its IPv6 prefix, where it has one.
    pub prefix: Option<Ipv6Net>,
    /// Its maximum bit rates where it has any, bit/s: uplink, downlink.
    pub rates: Option<(u64, u64)>,
    /// True while the UE has a radio connection for it; false while it is idle.
    pub connected: bool,
    /// Which gNB, while connected.
    pub gnb: Option<String>,
    /// Where the UE was last seen.
    pub tai: Option<Tai>,
    /// NR cell identity.
    pub cell: Option<u64>,
    /// Since when.
    pub since: Utc,
    /// True where the gateway drops everything of it.
    pub banned: bool,
}

/// What is known of SIMs, shared with whoever knows it.
pub type EveryFact = Vec<(Imsi, std::sync::Arc<types::SimFacts>)>;

/// One thing that is known of a SIM, or that is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactView {
    /// `device`, `posture`, `place`, `radio`, `model`, `person`, `assurance`, `risk`.
    pub fact: &'static str,
    /// Its stable word; `None` where it is not known.
    pub value: Option<String>,
    /// The same for people, and what there is to say of it.
    pub words: Said,
    /// Who says so.
    pub source: Option<Name>,
    /// Since when.
    pub since: Option<Utc>,
    /// From when on it counts no longer.
    pub until: Option<Utc>,
}

/// A radio that is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GnbView {
    /// Its name.
    pub name: String,
    /// Its N2 address.
    pub address: IpAddr,
    /// Tracking areas, in their text form.
    pub tacs: Vec<String>,
    /// UEs connected through it.
    pub ues: u64,
    /// Since when.
    pub since: Utc,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupMade {
    /// Where it lies, on the server's machine.
    pub file: String,
    /// Octets.
    pub octets: u64,
    /// The database is as it was then.
    pub at: Utc,
    /// SIMs in it; 0 where the database is not in it.
    pub sims: u64,
    /// How many of them are banned.
    pub banned: u64,
    /// Records of the revocation journal in it.
    pub journal_records: u64,
}

/// A backup that lies on the server's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    /// Its name.
    pub name: String,
    /// Octets.
    pub octets: u64,
    /// When it was written.
    pub at: Utc,
}

/// Why a backup was not made. Nothing was left behind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BackupError {
    /// There is nothing to seal it to.
    #[error("this node has no recovery key")]
    NoRecoveryKey,
    /// A file of that name is there.
    #[error("there is a backup of that name")]
    NameTaken,
    /// The disk or the database.
    #[error("{0}")]
    Failed(String),
}

/// A part of the system and whether it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartStatus {
    /// `gateway`, `store`, `n2`, `n3`, `n6`, `journal`, `keys`, ….
    pub name: &'static str,
    /// Whether it works.
    pub up: bool,
    /// In plain words: what is wrong, or a detail.
    pub detail: Said,
}

/// A node of another core that speaks to us, and what became of what it had when it or we started anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// `s6a`, `gx` or `n4`.
    pub face: &'static str,
    /// Its name.
    pub name: String,
    /// `never`, `up`, `away`, `silent`.
    pub state: &'static str,
    /// When it started, as its Recovery Time Stamp says.
    pub started: Option<Utc>,
    /// Its Origin-State-Id.
    pub origin_state: Option<u32>,
    /// How often it has started anew since our start.
    pub restarts: u64,
    /// SIMs that it serves, or sessions that it has.
    pub holds: u64,
    /// Sessions that have ended because it started anew.
    pub ended: u64,
    /// Sessions that it gave back after our start, with their endpoints.
    pub restored: u64,
    /// SIMs that it is to let go of and has not.
    pub due: u64,
}

/// An app that has a probe, and what that says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppView {
    /// Its name.
    pub name: String,
    /// What it is asked.
    pub probe: String,
    /// Where; `None` where none of its prefixes is one address that may be asked.
    pub address: Option<IpAddr>,
    /// `up`, `down`, `unknown`, `not-asked`.
    pub state: &'static str,
    /// Since when it is up or down.
    pub since: Option<Utc>,
    /// When it was last asked.
    pub asked: Option<Utc>,
    /// What was wrong the last time.
    pub why: Option<Said>,
}

/// How the system is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// When `control` started.
    pub started: Utc,
    /// Every part.
    pub parts: Vec<PartStatus>,
    /// The SCTP transport in use: `udp`, `raw`, `kernel`.
    pub transport: String,
    /// Policy generation that the gateway enforces; `None` while it is not known.
    pub enforced_generation: Option<u64>,
    /// Radios.
    pub gnbs: Vec<GnbView>,
    /// MMEs and SMFs of another core.
    pub peers: Vec<PeerView>,
    /// Apps that have a probe.
    pub apps: Vec<AppView>,
    /// Apps that nobody made.
    pub built_in: Vec<types::App>,
    /// UEs that are registered.
    pub ues: u64,
    /// Sessions that are live.
    pub sessions: u64,
    /// SIMs in the gateway's revoked set.
    pub revoked: u64,
    /// The newest record of the revocation journal.
    pub journal_record: Option<u64>,
}

/// How a destination of audit and alerts is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// Its name.
    pub name: String,
    /// `webhook` or `syslog`.
    pub kind: &'static str,
    /// Number of the last row of the outbox that it has.
    pub seq: u64,
    /// How many items it took.
    pub items: u64,
    /// How many were gone before it could take them.
    pub lost: u64,
    /// When it last had everything, or took something.
    pub last_ok: Option<Utc>,
    /// Since when it takes nothing.
    pub failing_since: Option<Utc>,
    /// What it last failed with.
    pub error: Option<String>,
}

/// Whether a metric rises only, or goes up and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Rises only.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One number for `/metrics`. A label never holds an IMSI; one that looks like it is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Name, with `sekisho_` before it and its unit behind it.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// Labels.
    pub labels: Vec<(&'static str, String)>,
    /// Value.
    pub value: f64,
}

/// What a reading of the audit found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditStanding {
    /// When every row was last read against everything that was signed.
    pub whole: Utc,
    /// When what came since was last read.
    pub checked: Utc,
    /// Number of the newest row that was read.
    pub rows: u64,
    /// The first row that does not fit.
    pub broken: Option<u64>,
}

/// Something that alert rules count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// It was not proved that the person uses this SIM, though somebody tried; or the proof has lost its worth.
    ProofFailed(Imsi),
    /// Somebody asked for a change that they have no right to.
    NoRight {
        /// The operator, where it is one who signed in.
        operator: Option<Name>,
        /// Their token.
        token: String,
    },
}

/// What handlers may ask of the running system.
pub trait Control: Send + Sync + 'static {
    /// Seals the keys of a new SIM.
    fn seal(&self, imsi: Imsi, keys: NewKeys) -> Answer<'_, Result<Sealed, ControlError>>;

    /// The stored row of this SIM changed (made, edited, other state): read it again, and end what its state or
    /// subscription no longer allows.
    fn sim_changed(&self, imsi: Imsi) -> Answer<'_, Result<(), ControlError>>;

    /// Addresses of this system that its configuration names: none of them lies behind a SIM.
    fn own_addresses(&self) -> Vec<IpAddr>;

    /// The equipment list or a group's default binding changed in the store: read both again, and send away who is in a
    /// device that is not allowed any longer.
    fn equipment_changed(&self) -> Answer<'_, Result<(), ControlError>>;

    /// What is known of these SIMs beside their rules changed in the store: read it again and judge by it.
    fn facts_stored(&self, of: store::FactsOf) -> Answer<'_, Result<(), ControlError>>;

    /// What is known of a SIM at this moment, fact by fact.
    fn facts(&self, imsi: Imsi) -> Answer<'_, Result<Vec<FactView>, ControlError>>;

    /// The same as it is judged by: nothing of a SIM of which nothing is known.
    fn known(&self, imsi: Imsi) -> Answer<'_, Result<types::SimFacts, ControlError>>;

    /// The same of every SIM that may live, at one moment.
    fn known_of_all(&self) -> Answer<'_, Result<EveryFact, ControlError>>;

    /// Apps that are closed to a SIM until its person has proved themselves.
    fn awaiting_proof(&self, imsi: Imsi) -> Answer<'_, Result<Vec<Name>, ControlError>>;

    /// Where the identity provider is, which is an app beside those that people made; `None` where there is no way to it to
    /// be kept open.
    fn provider_app(&self) -> Answer<'_, Option<ProviderApp>>;

    /// Something that alert rules count. Nobody waits for it.
    fn suspect(&self, what: Suspicion);

    /// The alert rules changed in the store: read them again and go by them.
    fn alert_rules_changed(&self) -> Answer<'_, Result<(), ControlError>>;

    /// The home network's keys changed in the store: read them again.
    fn home_keys_changed(&self) -> Answer<'_, Result<(), ControlError>>;

    /// The device that a SIM was used in was forgotten in the store.
    fn device_forgotten(&self, imsi: Imsi) -> Answer<'_, Result<(), ControlError>>;

    /// A data network, app, group, rule or a SIM's groups changed in the store: read the policy again, compile it,
    /// give it to the gateway. The generation that is enforced then.
    fn policy_changed(&self) -> Answer<'_, Result<u64, ControlError>>;

    /// Bans: cut, journal, then state with audit and outbox in one transaction, then the answer. The rest
    /// (release, deregistration) is told of in [`Receipt::pending`].
    fn ban<'a>(
        &'a self,
        right: &'a BanCapability,
        request: BanRequest,
    ) -> Answer<'a, Result<Receipt, BanError>>;

    /// Takes a ban back: journal, then the store, then the gateway.
    fn unban<'a>(
        &'a self,
        right: &'a UnbanCapability,
        request: UnbanRequest,
    ) -> Answer<'a, Result<Receipt, BanError>>;

    /// The SIMs that a revocation of this scope would cover now, with their live sessions.
    fn affected(&self, scope: ScopeKind, value: String)
    -> Answer<'_, Result<Vec<AffectedSim>, ControlError>>;

    /// Bans everything that a scope covers: one cut for all, a receipt for each.
    fn ban_scope<'a>(
        &'a self,
        right: &'a BanCapability,
        request: ScopeBan,
    ) -> Answer<'a, Result<ScopeOutcome, BanError>>;

    /// Puts a SIM in quarantine or a group in panic, or takes it out again.
    fn restrict<'a>(
        &'a self,
        right: &'a QuarantineCapability,
        request: RestrictRequest,
    ) -> Answer<'a, Result<RestrictOutcome, ControlError>>;

    /// Takes the ban of a device by its IMEI back: journal, then the store, then the directory.
    fn unban_device<'a>(
        &'a self,
        right: &'a UnbanCapability,
        request: DeviceUnban,
    ) -> Answer<'a, Result<RestrictOutcome, ControlError>>;

    /// True where an unban needs a second person.
    fn second_person(&self) -> bool;

    /// A vault of this store, to seal the keys of many SIMs beside the running system.
    fn vault(&self) -> Answer<'_, Result<hss::Vault, ControlError>>;

    /// An import (or its undo) changed the SIMs of this job: read them again, in pieces, and then tell `event`.
    fn sims_imported(&self, job: u64, event: Option<types::Event>) -> Answer<'_, Result<(), ControlError>>;

    /// Schedules were added or taken away in the store: read them again.
    fn schedules_changed(&self) -> Answer<'_, ()>;

    /// Live sessions, our own SMF's and those that foreign ones steer, by IMSI and key.
    fn sessions(&self) -> Answer<'_, Result<Vec<SessionView>, ControlError>>;

    /// Ends a session: one of ours with a cause, and the UE may come back; of a foreign one its SMF learns it when it next
    /// speaks of it.
    fn end_session<'a>(
        &'a self,
        right: &'a SessionCapability,
        imsi: Imsi,
        key: SessionKey,
    ) -> Answer<'a, Result<(), ControlError>>;

    /// Explains a verdict by the rules and the rows that are enforced, by the hours of this moment; now if none is given.
    /// Where they disagree it denies, with `Reason::Disagreement`, and raises an alarm.
    fn explain(
        &self,
        question: pgw_policy::Question,
        at: Option<Utc>,
    ) -> Answer<'_, Result<pgw_policy::Explanation, ControlError>>;

    /// The names that a SIM has looked up, as the packet path knows them at this moment.
    fn looked_up(
        &self,
        imsi: Imsi,
    ) -> Answer<'_, Result<Vec<pgw_policy::command::LearnedName>, ControlError>>;

    /// Makes a backup of that name in the data directory of this machine.
    fn backup<'a>(
        &'a self,
        right: &'a BackupCapability,
        name: String,
    ) -> Answer<'a, Result<BackupMade, BackupError>>;

    /// The backups in the data directory of this machine, newest first.
    fn backups<'a>(
        &'a self,
        right: &'a BackupCapability,
    ) -> Answer<'a, Result<Vec<BackupFile>, ControlError>>;

    /// The hold of all SIMs was lifted in the store: read them again.
    fn hold_lifted(&self) -> Answer<'_, Result<(), ControlError>>;

    /// How the system is. Answers even where parts do not.
    fn status(&self) -> Answer<'_, Status>;

    /// Numbers for `/metrics`.
    fn metrics(&self) -> Answer<'_, Vec<Metric>>;

    /// How each destination of audit and alerts is.
    fn deliveries(&self) -> Vec<DeliveryStatus> {
        Vec::new()
    }

    /// What `sekisho doctor` says of this machine.
    fn findings(&self) -> Answer<'_, Vec<MachineFinding>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// What the last reading of the audit found; `None` before the whole of it was read once.
    fn audit_standing(&self) -> Option<AuditStanding>;

    /// Signs what is new in the audit; true where its newest row is signed then.
    fn sign_audit(&self) -> Answer<'_, bool>;

    /// Events from now on. Each was appended to the store before it is sent, and carries its number there.
    fn events(&self) -> broadcast::Receiver<EventRow>;
}

/// One thing of this machine that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineFinding {
    /// A stable word for it.
    pub code: &'static str,
    /// What was looked at.
    pub what: Said,
    /// How it is.
    pub state: FindingState,
    /// What was seen.
    pub seen: Said,
    /// The command that mends it, as it is typed.
    pub command: Option<String>,
    /// What to do, in words.
    pub fix: Option<Said>,
}

/// How a thing of this machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingState {
    /// Right.
    Good,
    /// It works, but somebody should know.
    Note,
    /// It does not work.
    Bad,
}

impl FindingState {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

impl Status {
    /// True where every part works.
    pub fn ready(&self) -> bool {
        self.parts.iter().all(|p| p.up)
    }
}
