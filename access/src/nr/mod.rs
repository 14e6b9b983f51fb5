//! The control plane of a stand-alone 5G core: AMF with its session management part (TS 23.501 §6.2.1,
//! §6.2.2; TS 38.413 N2, TS 24.501 N1, TS 29.244 N4).
//!
//! One pure core, [`Amf`], with five verbs: facts come in as [`Input`], wishes go out as [`Output`], time
//! comes as `types::Now`, chance from a seed. It opens no socket, reads no clock and asks nobody directly:
//! vectors and admission come from `hss`, addresses from the ledger, tunnels from the gateway, each by an
//! output and an input that carry the same [`TxnId`].
//!
//! What holds everywhere in here:
//! - an identifier on N2 is looked up together with the association that it came on, never alone;
//! - a message is read and judged whole before anything changes;
//! - what is not authenticated never touches a registered UE: an attempt lives on its own connection
//!   until the UE has proved itself and runs the new security context;
//! - a ban works in each state at once and waits for nobody.
//!
//! It does not do: SMS, emergency service, more than one PLMN.

mod amf;
mod authentication;
mod challenge;
mod clones;
mod config;
mod configuration;
mod deregistration;
mod gnb;
mod handover;
mod ngap_in;
mod overload;
mod paging;
mod path_switch;
mod registration;
mod rekey;
mod release;
mod security;
mod security_mode;
mod service;
mod serving;
mod session;
mod standing;
mod timers;
mod ue;
mod uplink;
mod view;

pub use amf::Amf;
pub use clones::AutsJudgement;
pub use config::{AmfConfig, Limits};
pub use serving::Serving;
pub use session::Establishment;
pub use standing::{ConnStanding, GnbStanding, SessionStanding, UeStanding};
pub use view::{Counters, GnbView, SessionPhase, SessionView, UeState, UeView};

use serde::{Deserialize, Serialize};
use sim_auth::FgVector;
use std::net::IpAddr;
use types::{
    AddressRefusal, Autn, Auts, Dnn, Event, FgmmCause, GatewaySession, Identity, PduSessionId, Pei, Plmn,
    Rand, Refusal, SessionAddress, Subscription, Supi, Tai, Teid,
};

/// One SCTP association, numbered by whoever owns the socket; a number is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AssocId(pub u64);

/// A question to another room and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TxnId(pub u64);

/// A fact that comes in. What serialises of a vector is what goes over the air; its keys do not.
#[derive(Debug, Clone, Serialize)]
pub enum Input {
    /// An admitted radio's association is up. Whoever owns the socket has checked the address.
    AssocUp {
        /// The association.
        assoc: AssocId,
        /// N2 address of the gNB.
        peer: IpAddr,
    },
    /// An association is gone, for whatever reason.
    AssocDown {
        /// The association.
        assoc: AssocId,
    },
    /// One NGAP message (SCTP payload protocol identifier 60).
    Ngap {
        /// The association.
        assoc: AssocId,
        /// SCTP stream.
        stream: u16,
        /// The whole message.
        bytes: Vec<u8>,
    },
    /// Answer to [`Output::NeedVector`]: whose vector it is (a concealed identity has been opened), and it.
    Vector {
        /// The question.
        txn: TxnId,
        /// The vector, or why there is none.
        result: Result<(Supi, FgVector), Refusal>,
    },
    /// Answer to [`Output::Locate`].
    Located {
        /// The question.
        txn: TxnId,
        /// What the SIM may have, or why it may not live.
        result: Result<Subscription, Refusal>,
    },
    /// Answer to [`Output::JudgeAuts`]; none where MAC-S is wrong or the SIM unknown.
    AutsJudged {
        /// The question.
        txn: TxnId,
        /// What it says.
        result: Option<AutsJudgement>,
    },
    /// Answer to [`Output::NeedAddress`]. The lease is durable.
    Address {
        /// The question.
        txn: TxnId,
        /// The address, or why there is none.
        result: Result<SessionAddress, AddressRefusal>,
    },
    /// One PFCP message from the gateway.
    N4(Vec<u8>),
    /// The link to the gateway is up: the association is set up, then sessions are adopted, deleted or
    /// re-established.
    N4Up {
        /// Recovery time stamp of the gateway.
        recovery: u32,
        /// What it holds.
        sessions: Vec<GatewaySession>,
    },
    /// The link to the gateway is down.
    N4Down,
    /// The SIM is banned or suspended: whatever it has ends at once. The gateway has cut it already.
    Ban {
        /// Who.
        supi: Supi,
        /// What the UE is told.
        cause: FgmmCause,
    },
    /// Deregister a UE by the network (TS 24.501 §5.5.2.3).
    Deregister {
        /// Who.
        supi: Supi,
        /// What the UE is told, if anything.
        cause: Option<FgmmCause>,
        /// True where it should register again.
        reregister: bool,
    },
    /// What a SIM may have has changed: its live sessions follow (TS 24.501 §6.3.2).
    Subscribed(Subscription),
    /// End one PDU session by the network.
    EndSession {
        /// Whose.
        supi: Supi,
        /// Which.
        id: PduSessionId,
    },
    /// What the network says of itself has changed.
    Serve(Serving),
    /// A radio sends into a tunnel of its own that ended a minute ago or more.
    EndedTunnelUsed {
        /// Whose session it was.
        supi: Supi,
        /// The gateway's endpoint.
        teid: Teid,
        /// The radio's N3 address.
        radio: IpAddr,
    },
}

/// A wish that goes out. It does not serialise, and of [`Output::Send`] it shows the length alone, because an
/// Initial Context Setup Request carries KgNB in clear.
#[derive(Clone, PartialEq, Eq)]
pub enum Output {
    /// Send one NGAP message.
    Send {
        /// On which association.
        assoc: AssocId,
        /// On which SCTP stream.
        stream: u16,
        /// The whole message.
        bytes: Vec<u8>,
    },
    /// Close an association.
    Close {
        /// Which.
        assoc: AssocId,
        /// Why, in words for the log.
        why: String,
    },
    /// Ask `hss` for an authentication vector.
    NeedVector {
        /// The question's number.
        txn: TxnId,
        /// Whose.
        identity: Identity,
        /// For which serving network.
        serving: Plmn,
        /// The card said that it is out of step: RAND of that challenge, and AUTS.
        resync: Option<(Rand, Auts)>,
    },
    /// Ask `hss` what an AUTS says beside the challenge that the SIM had accepted.
    JudgeAuts {
        /// The question's number.
        txn: TxnId,
        /// Whose.
        supi: Supi,
        /// The challenge that it had accepted.
        accepted: (Rand, Autn),
        /// RAND of the challenge that it refused.
        rand: Rand,
        /// What it said to that.
        auts: Auts,
    },
    /// Ask `hss` whether this SIM in this device may live here, and with what.
    Locate {
        /// The question's number.
        txn: TxnId,
        /// Who, authenticated.
        supi: Supi,
        /// The device, under integrity.
        pei: Option<Pei>,
        /// Tracking area.
        tai: Tai,
        /// NR cell identity, 36 bits.
        cell: u64,
    },
    /// Ask for an address, made durable before the answer.
    NeedAddress {
        /// The question's number.
        txn: TxnId,
        /// Whose.
        supi: Supi,
        /// Data network.
        dnn: Dnn,
        /// For which session.
        id: PduSessionId,
    },
    /// A session is over: its address may rest.
    ReleaseAddress {
        /// Whose.
        supi: Supi,
        /// Data network.
        dnn: Dnn,
        /// Which session.
        id: PduSessionId,
    },
    /// One PFCP message for the gateway.
    N4(Vec<u8>),
    /// Something happened that an operator would care about.
    Event(Event),
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Send { assoc, stream, bytes } => f
                .debug_struct("Send")
                .field("assoc", assoc)
                .field("stream", stream)
                .field("octets", &bytes.len())
                .finish(),
            Self::Close { assoc, why } => {
                f.debug_struct("Close").field("assoc", assoc).field("why", why).finish()
            }
            Self::NeedVector { txn, identity, serving, resync } => f
                .debug_struct("NeedVector")
                .field("txn", txn)
                .field("identity", identity)
                .field("serving", serving)
                .field("resync", resync)
                .finish(),
            Self::JudgeAuts { txn, supi, .. } => {
                f.debug_struct("JudgeAuts").field("txn", txn).field("supi", supi).finish_non_exhaustive()
            }
            Self::Locate { txn, supi, pei, tai, cell } => f
                .debug_struct("Locate")
                .field("txn", txn)
                .field("supi", supi)
                .field("pei", pei)
                .field("tai", tai)
                .field("cell", cell)
                .finish(),
            Self::NeedAddress { txn, supi, dnn, id } => f
                .debug_struct("NeedAddress")
                .field("txn", txn)
                .field("supi", supi)
                .field("dnn", dnn)
                .field("id", id)
                .finish(),
            Self::ReleaseAddress { supi, dnn, id } => f
                .debug_struct("ReleaseAddress")
                .field("supi", supi)
                .field("dnn", dnn)
                .field("id", id)
                .finish(),
            Self::N4(bytes) => f.debug_tuple("N4").field(bytes).finish(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}
