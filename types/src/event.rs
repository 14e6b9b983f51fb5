//! What happened, in a form that the timeline, the event stream and the alerts share.

use crate::{AlertRule, ForeignRefusal, RuleResponse, SmfState};
use crate::{
    BindingMode, CloneProof, CloneSuspicion, DevicePattern, Dnn, EquipmentPattern, FgmmCause, FgsmCause,
    Imsi, PduSessionId, Pei, RefusalReason, Sighting, SimState, Tai, UeIp, Utc,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One thing that happened to a SIM, a radio or the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Utc,
    /// Whose, where it is about a SIM.
    pub imsi: Option<Imsi>,
    /// What.
    pub what: Happening,
}

/// How far it is that a foreign node lets a SIM go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withdrawal {
    /// It was told.
    Sent,
    /// It has said yes. What it does is another thing.
    Acknowledged,
    /// It has said no, or did not understand.
    Declined,
    /// The SIM's session is gone, or the node has forgotten the SIM.
    Effective,
}

/// How far it is that an MME knows what has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MmeUpdate {
    /// It was told.
    Sent,
    /// It has taken it.
    Taken,
    /// It has said no.
    Declined,
    /// It does not understand this, and is not told so any more.
    Unsupported,
}

/// The kinds of things that happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// A gNB is connected and set up.
    GnbUp {
        /// Its name, as it said it.
        name: String,
        /// Its N2 address.
        address: String,
    },
    /// A gNB was refused at NG Setup.
    GnbRefused {
        /// Its N2 address.
        address: String,
        /// Why.
        why: String,
    },
    /// A gNB is gone.
    GnbDown {
        /// Its name.
        name: String,
    },
    /// A UE registered.
    Registered {
        /// Its device, where reported.
        pei: Option<Pei>,
        /// Where.
        tai: Tai,
        /// NR cell identity, 36 bits.
        cell: u64,
        /// Which gNB.
        gnb: String,
    },
    /// A registration was refused.
    RegistrationRefused {
        /// True if the SIM had proved itself; false if the IMSI is only a claim.
        authenticated: bool,
        /// What the UE was told.
        cause: FgmmCause,
        /// Why.
        reason: RefusalReason,
        /// Where, if known.
        tai: Option<Tai>,
        /// NR cell identity, if known.
        cell: Option<u64>,
        /// Which gNB.
        gnb: String,
    },
    /// A UE is deregistered.
    Deregistered {
        /// True if the network did it.
        by_network: bool,
        /// True once the UE (or its radio) confirmed it.
        confirmed: bool,
    },
    /// A registered UE went over to another gNB, with its sessions.
    Moved {
        /// Name of the gNB that it left.
        from: String,
        /// Name of the gNB where it is.
        to: String,
        /// Where.
        tai: Tai,
        /// NR cell identity, 36 bits.
        cell: u64,
    },
    /// A PDU session is up: traffic may pass as the rules say.
    SessionUp {
        /// Which of the UE's sessions.
        id: PduSessionId,
        /// Data network.
        dnn: Dnn,
        /// Address.
        ip: UeIp,
    },
    /// A PDU session was refused.
    SessionRefused {
        /// Which of the UE's sessions.
        id: PduSessionId,
        /// Data network asked for, as far as it could be read.
        dnn: Option<Dnn>,
        /// What the UE was told.
        cause: FgsmCause,
    },
    /// A PDU session ended.
    SessionDown {
        /// Which of the UE's sessions.
        id: PduSessionId,
        /// Data network.
        dnn: Dnn,
        /// Address it had.
        ip: UeIp,
    },
    /// A SIM's state changed.
    SimState {
        /// State before.
        from: SimState,
        /// State after.
        to: SimState,
        /// Who did it.
        actor: String,
        /// Why, in their words.
        reason: String,
    },
    /// A planned change of a SIM's state was due and could not be made.
    ScheduleDropped {
        /// State that was planned.
        to: SimState,
        /// Who planned it.
        actor: String,
        /// Why: `banned`, `retired`, `not-suspended`, `already` or `not-allowed`.
        why: String,
    },
    /// An import of SIMs was put in force.
    SimsImported {
        /// Number of its job.
        job: u64,
        /// Who did it.
        actor: String,
        /// SIMs that are new.
        new: u64,
        /// SIMs that were changed.
        changed: u64,
    },
    /// An import of SIMs was taken back.
    SimsImportUndone {
        /// Number of its job.
        job: u64,
        /// Who did it.
        actor: String,
        /// SIMs that are gone again.
        removed: u64,
        /// SIMs whose fields are as they were.
        restored: u64,
        /// SIMs that could not be taken back.
        kept: u64,
    },
    /// A SIM is in a device that is not its own, or that does not name itself; the refusal (or the quarantine) that
    /// follows is told beside it.
    DeviceMismatch {
        /// How it is bound.
        mode: BindingMode,
        /// Devices or models that it may live in; empty where the company's list says which.
        expected: Vec<DevicePattern>,
        /// The device that it was in; none where the device did not name itself.
        seen: Option<DevicePattern>,
    },
    /// A SIM was refused because its device is black on the company's list, or banned.
    EquipmentBlack {
        /// The device.
        device: DevicePattern,
        /// The entry that says so: the device or its model.
        by: EquipmentPattern,
    },
    /// A SIM is served in a device that is grey on the company's list.
    EquipmentGrey {
        /// The device.
        device: DevicePattern,
        /// The entry that says so: the device or its model.
        by: EquipmentPattern,
    },
    /// A SIM was used for the first time, and the device is remembered.
    DeviceLearned {
        /// The device.
        device: DevicePattern,
        /// True where the SIM is bound to it from now on.
        bound: bool,
    },
    /// A SIM is served in another device than before.
    DeviceChanged {
        /// The one before.
        from: DevicePattern,
        /// The one that it is in.
        to: DevicePattern,
    },
    /// A second holder of this SIM's secret is proved.
    CloneFound {
        /// What proves it.
        proof: CloneProof,
        /// Where the message came from that proves it.
        seen: Sighting,
        /// Where the SIM had been before it.
        before: Sighting,
    },
    /// A second holder of this SIM's secret is possible, and not proved.
    CloneSuspected {
        /// What makes one think so.
        why: CloneSuspicion,
        /// Where the message came from.
        seen: Sighting,
        /// Where the SIM had been before it.
        before: Sighting,
    },
    /// A new policy is enforced.
    PolicyPublished {
        /// Its generation.
        generation: u64,
    },
    /// The gateway or its link changed.
    Gateway {
        /// True if it is there.
        up: bool,
    },
    /// A banned SIM, or its IMSI, or a banned device came.
    BannedReuse {
        /// True if the SIM had proved itself; false if the IMSI is only a claim.
        authenticated: bool,
        /// The banned device's 14 digits, where it is the device that is banned.
        device: Option<String>,
        /// What the UE was told.
        cause: FgmmCause,
        /// Where, if known.
        tai: Option<Tai>,
        /// NR cell identity, if known.
        cell: Option<u64>,
        /// Which gNB.
        gnb: String,
        /// Attempts since the ban, this one among them.
        attempts: u64,
    },
    /// A ban was taken, or taken back.
    Revoked {
        /// Its record.
        revocation: String,
        /// `ban`, `unban`, `quarantine`, `release`, `panic` or `calm`.
        kind: String,
        /// What of: `sim:IMSI`, `group:NAME`, ….
        scope: String,
        /// How many SIMs.
        sims: u64,
        /// Who did it.
        actor: String,
        /// Why, in their words.
        reason: String,
    },
    /// The gateway's journal is behind the head that the database knows.
    JournalBehind {
        /// Records that the database knows of.
        known: u64,
        /// Records that the journal has.
        has: u64,
    },
    /// The database is behind the gateway's journal: it lacked bans.
    DatabaseBehind {
        /// Records that the database knew of.
        known: u64,
        /// Records that the journal has.
        has: u64,
        /// Bans that it lacked.
        bans: u64,
    },
    /// The reconciler ended what may not live.
    ReconcilerRemoved {
        /// What it was: `ue`, `session`, `lease`, `cut`, `quarantine`, `panic`, `device`.
        kind: String,
        /// How many.
        count: u64,
    },
    /// Rules and compiled rows disagree about a flow of a SIM; it is denied.
    PolicyDisagreement {
        /// The other end.
        peer: IpAddr,
    },
    /// The audit is not as it was written.
    AuditBroken {
        /// The first row that is wrong or missing.
        seq: u64,
        /// What is wrong, in plain words.
        why: String,
    },
    /// Events could not be kept, and some were lost.
    EventsLost {
        /// How many.
        count: u64,
        /// When the first of them happened.
        since: Utc,
        /// When the last of them happened.
        until: Utc,
    },
    /// What must leave this machine does not arrive.
    DeliveryFailing {
        /// Name of the destination.
        destination: String,
        /// What it last failed with.
        why: String,
        /// Since when.
        since: Utc,
    },
    /// A disk is full: what must be kept cannot be written.
    DiskFull {
        /// What could not be written: `database`, `journal`, `flow records`, ….
        place: String,
    },
    /// An MME is there, by S6a.
    MmeUp {
        /// Its Origin-Host.
        name: String,
    },
    /// An MME is gone.
    MmeDown {
        /// Its Origin-Host.
        name: String,
        /// Why, in plain words.
        why: String,
    },
    /// Somebody who wanted to be an MME was refused.
    MmeRefused {
        /// Who they said they are.
        claimed: String,
        /// From where.
        address: String,
        /// Why, in plain words.
        why: String,
    },
    /// What became of a foreign SMF's PFCP association.
    Smf {
        /// Its name in the configuration.
        name: String,
        /// What.
        state: SmfState,
    },
    /// A session that a foreign SMF steers is up.
    ForeignUp {
        /// The SMF's name.
        smf: String,
        /// Data network.
        dnn: Dnn,
        /// The UE's address.
        ip: UeIp,
    },
    /// It has ended.
    ForeignDown {
        /// The SMF's name.
        smf: String,
        /// Data network.
        dnn: Dnn,
        /// The UE's address.
        ip: UeIp,
    },
    /// A foreign SMF wanted a session for a SIM and was refused.
    ForeignRefused {
        /// The SMF's name.
        smf: String,
        /// Data network.
        dnn: Dnn,
        /// Why.
        why: ForeignRefusal,
    },
    /// An MME serves a SIM from now on.
    MmeServes {
        /// Its Origin-Host.
        mme: String,
    },
    /// An MME has forgotten a SIM.
    MmePurged {
        /// Its Origin-Host.
        mme: String,
    },
    /// An MME is told that what a SIM may have has changed.
    MmeUpdated {
        /// Its Origin-Host.
        mme: String,
        /// How far that is.
        how: MmeUpdate,
    },
    /// An MME is told to ask anew about all SIMs that it serves: we may have lost what it was to be told.
    MmeReset {
        /// Its Origin-Host.
        mme: String,
        /// How far that is.
        how: MmeUpdate,
    },
    /// An MME asked for a SIM and was refused.
    MmeDenied {
        /// Its Origin-Host.
        mme: String,
        /// Why.
        reason: RefusalReason,
    },
    /// A SIM is being taken from the MME that serves it.
    Withdrawn {
        /// Its Origin-Host.
        mme: String,
        /// How far it is.
        how: Withdrawal,
    },
    /// An SMF is there, by Gx.
    SmfUp {
        /// Its Origin-Host.
        name: String,
    },
    /// An SMF is gone.
    SmfDown {
        /// Its Origin-Host.
        name: String,
        /// Why, in plain words.
        why: String,
    },
    /// Somebody who wanted to be an SMF was refused.
    SmfRefused {
        /// Who they said they are.
        claimed: String,
        /// From where.
        address: String,
        /// Why, in plain words.
        why: String,
    },
    /// An SMF has begun a session of a SIM, with our leave.
    SmfSessionUp {
        /// Its Origin-Host.
        smf: String,
        /// The data network.
        dnn: Dnn,
        /// The UE's address and prefix.
        address: String,
    },
    /// An SMF has ended a session of a SIM.
    SmfSessionDown {
        /// Its Origin-Host.
        smf: String,
        /// The data network.
        dnn: Dnn,
    },
    /// An SMF asked for a session of a SIM and was refused.
    SmfDenied {
        /// Its Origin-Host.
        smf: String,
        /// The data network.
        dnn: Dnn,
        /// Why.
        reason: RefusalReason,
    },
    /// An SMF gave a SIM an address that is not the SIM's; it was refused.
    SmfWrongAddress {
        /// Its Origin-Host.
        smf: String,
        /// The data network.
        dnn: Dnn,
        /// What the SMF gave.
        given: String,
        /// What the SIM has in our ledger; empty where it has nothing.
        ours: String,
    },
    /// A session of a SIM is being taken from the SMF that has it.
    SessionWithdrawn {
        /// Its Origin-Host.
        smf: String,
        /// The data network.
        dnn: Dnn,
        /// How far it is.
        how: Withdrawal,
    },
    /// An alert rule fired.
    RuleFired {
        /// Which.
        rule: AlertRule,
        /// What is done.
        response: RuleResponse,
        /// Whom it is about: `sim:IMSI`, `person:ID`, `operator:NAME` or `token:ID`.
        subject: String,
        /// How many octets, or attempts, where it is about that; else 0.
        count: u64,
    },
    /// Something that somebody should look at.
    Alarm {
        /// In plain words.
        text: String,
    },
}

impl Happening {
    /// True for what the security desk wants to see before anything else.
    pub fn is_security(&self) -> bool {
        matches!(
            self,
            Self::GnbRefused { .. }
                | Self::RegistrationRefused { .. }
                | Self::MmeRefused { .. }
                | Self::MmeDenied { .. }
                | Self::ForeignRefused { .. }
                | Self::SmfRefused { .. }
                | Self::SmfDenied { .. }
                | Self::SmfWrongAddress { .. }
                | Self::DeviceMismatch { .. }
                | Self::EquipmentBlack { .. }
                | Self::EquipmentGrey { .. }
                | Self::CloneFound { .. }
                | Self::CloneSuspected { .. }
                | Self::BannedReuse { .. }
                | Self::Revoked { .. }
                | Self::PolicyDisagreement { .. }
                | Self::AuditBroken { .. }
                | Self::RuleFired { .. }
                | Self::Alarm { .. }
        )
    }
}
