//! What happened, in a form that the timeline, the event stream and the alerts share.

use crate::{Dnn, FgmmCause, FgsmCause, Imsi, PduSessionId, Pei, RefusalReason, SimState, Tai, UeIp, Utc};
use serde::{Deserialize, Serialize};

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
    /// The disk of the database or the journal is full.
    DiskFull {
        /// `database` or `journal`.
        part: String,
    },
    /// The reconciler ended what may not live.
    ReconcilerRemoved {
        /// What it was: `ue`, `session`, `lease`, `cut`, `quarantine`, `panic`.
        kind: String,
        /// How many.
        count: u64,
    },
    /// Something that somebody should look at.
    Alarm {
        /// In plain words.
        text: String,
    },
}
