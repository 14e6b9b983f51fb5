//! Gx: an SMF (PGW-C) asks what a session may, and is told when it is to end (TS 29.212 §4.5).
//!
//! A face of the [`Hss`](crate::Hss): whether the SIM may live is asked there, its address of the ledger, its rules of the
//! policy. What it keeps of its own is which sessions live, each durable before the SMF may carry it.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the verbs |
//! | `requests` | CC-Requests, step by step to their answers |
//! | `sessions` | the sessions that live, by SMF, SIM and address |
//! | `release` | Re-Auth with a release cause: a ban, a session that another has replaced |
//! | `profile` | addresses, bearer and rules as an SMF reads them, and the answers' common parts |
//!
//! **An address** must be the SIM's lease of the data network. Where an SMF assigns on its own, its entry names the range;
//! what lies inside must lie in no pool of ours, and has one holder at a time. Everything else is refused and told.
//!
//! **A ban.** No session begins for a SIM that may not live. One that lives is released by Re-Auth-Request; that the SMF
//! *acknowledges* says nothing of what it does. So the release stays until the session is *effectively* gone (its
//! CC-Request of termination, or the SMF has lost all its sessions, or the user plane has seen it go), and is sent again when the SMF is back, at every
//! sign of life of the SIM there, and every half minute that it was not acknowledged. A data network that is taken from a
//! SIM is withdrawn in the same way.
//!
//! Rules are no narrower than what may pass; what does pass is judged on our own path. Of an update only the address is
//! looked at: bearers that an SMF makes on its own change nothing here.

mod profile;
mod release;
mod requests;
mod sessions;
#[cfg(test)]
mod tests;

pub use profile::UeAddresses;
pub use sessions::{Session, SessionKey};

use ipnet::IpNet;
use release::Release;
use sessions::Sessions;
use std::collections::{BTreeMap, VecDeque};
use types::{
    AddressRefusal, Dnn, Imsi, Mono, Now, Pei, Refusal, RefusalReason, SessionAddress, SessionPolicy,
    Subscription, Withdrawal,
};
use wire::diameter::{Identity, Message, UserLocation};

/// Most requests that wait for something at a time; more are refused as too many.
const UNDER_WAY: usize = 8_192;

/// What an SMF is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smf {
    /// Its Origin-Host.
    pub host: Identity,
    /// Its Origin-Realm.
    pub realm: Identity,
    /// Leading digits of the IMSIs that it may ask for; all, where there are none.
    pub imsis: Vec<String>,
    /// Ranges from which it assigns on its own, disjoint from our pools.
    pub assigns: Vec<IpNet>,
    /// True where it is told what the SIM may reach, as a rule of its own.
    pub rules: bool,
}

impl Smf {
    fn may_ask_for(&self, imsi: &str) -> bool {
        self.imsis.is_empty() || self.imsis.iter().any(|prefix| imsi.starts_with(prefix))
    }
}

/// What belongs to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GxConfig {
    /// Our Origin-Host.
    pub host: Identity,
    /// Our Origin-Realm.
    pub realm: Identity,
    /// Who may ask.
    pub smfs: Vec<Smf>,
}

/// Facts for the face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Which sessions live, from the store, at the start.
    Load(Vec<Session>),
    /// A peer asks something of Gx.
    Request {
        /// The peers' number for it.
        id: u64,
        /// Who asks.
        peer: Identity,
        /// What.
        message: Message,
    },
    /// The SIM may not be served.
    Refused {
        /// Our number.
        txn: u64,
        /// Why.
        refusal: Refusal,
    },
    /// The SIM may be served.
    Located {
        /// Our number.
        txn: u64,
        /// With what.
        subscription: Subscription,
    },
    /// The answer to an [`Output::Addresses`].
    Addresses {
        /// Our number.
        txn: u64,
        /// The lease, where it was asked for.
        lease: Option<Result<SessionAddress, AddressRefusal>>,
        /// Whether what the SMF assigns on its own lies in no pool of ours.
        disjoint: bool,
    },
    /// The answer to an [`Output::Policy`]; `None` where it is more than a rule can say.
    Policy {
        /// Our number.
        txn: u64,
        /// What the SIM may reach.
        policy: Option<SessionPolicy>,
    },
    /// The end of an [`Output::Persist`].
    Persisted {
        /// Our number.
        txn: u64,
        /// True once it is durable.
        ok: bool,
    },
    /// This SIM may not be served any more.
    Withdraw {
        /// Which.
        imsi: Imsi,
    },
    /// It may be served again: its sessions may go on.
    Restore {
        /// Which.
        imsi: Imsi,
    },
    /// The user plane has seen the session of this SIM in this data network go.
    Gone {
        /// Whose.
        imsi: Imsi,
        /// Where.
        dnn: Dnn,
    },
    /// What a SIM may have from now on: its sessions elsewhere end.
    Subscribed(Subscription),
    /// A peer is there.
    Up {
        /// Who.
        peer: Identity,
        /// Its Origin-State-Id: what it had at a smaller one is lost to it (RFC 6733 §8.16).
        state: Option<u32>,
    },
    /// The answer to an [`Output::Ask`]; `None` where there is none.
    Answered {
        /// Our number.
        txn: u64,
        /// What it says.
        message: Option<Message>,
    },
}

/// Wishes of the face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// May this SIM be served? Answered by [`Input::Located`] or [`Input::Refused`].
    Locate {
        /// Our number.
        txn: u64,
        /// Which.
        imsi: Imsi,
        /// In which device, where the SMF says so.
        pei: Option<Pei>,
    },
    /// What does the ledger say of addresses? Answered by [`Input::Addresses`].
    Addresses {
        /// Our number.
        txn: u64,
        /// Whose.
        imsi: Imsi,
        /// Where.
        dnn: Dnn,
        /// True where its lease is needed.
        lease: bool,
        /// What the SMF has assigned on its own.
        foreign: Vec<IpNet>,
    },
    /// What may this SIM reach, in so many flows at most? Answered by [`Input::Policy`].
    Policy {
        /// Our number.
        txn: u64,
        /// Which.
        imsi: Imsi,
        /// How many.
        most: usize,
    },
    /// Make this durable. Answered by [`Input::Persisted`].
    Persist {
        /// Our number.
        txn: u64,
        /// What.
        write: Write,
    },
    /// Answer a request.
    Answer {
        /// The peers' number for it.
        id: u64,
        /// What.
        message: Message,
    },
    /// Ask a peer. Answered by [`Input::Answered`].
    Ask {
        /// Our number.
        txn: u64,
        /// Whom.
        peer: Identity,
        /// What.
        message: Message,
    },
    /// A session has begun.
    Began(Session),
    /// A session is over.
    Ended(Session),
    /// An SMF that has a session of this SIM says where it is.
    Seen {
        /// Whose.
        imsi: Imsi,
        /// Where.
        place: UserLocation,
    },
    /// A session was refused for what the SIM is.
    Denied {
        /// Which SIM; it need not exist.
        imsi: Imsi,
        /// By whom it was asked for.
        smf: Identity,
        /// Where.
        dnn: Dnn,
        /// Why.
        reason: RefusalReason,
    },
    /// A session was refused for its address.
    WrongAddress {
        /// Whose.
        imsi: Imsi,
        /// By whom it was asked for.
        smf: Identity,
        /// Where.
        dnn: Dnn,
        /// What the SMF gave.
        given: UeAddresses,
        /// What the SIM has.
        ours: UeAddresses,
    },
    /// How far the withdrawal of a session is.
    Withdrawn {
        /// Whose.
        imsi: Imsi,
        /// At whom.
        smf: Identity,
        /// Where.
        dnn: Dnn,
        /// How far.
        how: Withdrawal,
    },
}

/// What is to be durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// This session lives; one of the same key is the same one.
    Begin(Session),
    /// It does not live any more.
    End(SessionKey),
}

/// A request on its way to its answer.
enum Pending {
    Location(Ask),
    Addresses(Ask, Subscription),
    Policy(Ask, Subscription),
    Begin(Ask, Box<Message>),
    /// A session that is over: its row goes. With a request that is answered then.
    End(Option<Ask>),
    /// A Re-Auth-Request.
    Release(SessionKey),
}

/// What was asked.
#[derive(Clone)]
struct Ask {
    id: u64,
    request: requests::Asked,
    session: Session,
    /// Where its SMF says that the UE is.
    place: Option<UserLocation>,
    /// The SIM may not be served any more, or the session is over already: whatever comes, it does not begin.
    barred: bool,
}

/// The face.
pub struct Gx {
    config: GxConfig,
    sessions: Sessions,
    releases: BTreeMap<SessionKey, Release>,
    due: release::Due,
    /// The Origin-State-Id of each peer that is or was there.
    states: BTreeMap<Identity, Option<u32>>,
    /// How many sessions each peer has lost by starting anew.
    lost: BTreeMap<Identity, u64>,
    pending: BTreeMap<u64, Pending>,
    last: u64,
    outputs: VecDeque<Output>,
}

impl Gx {
    /// No session lives yet.
    pub fn new(config: GxConfig) -> Self {
        Self {
            config,
            sessions: Sessions::default(),
            releases: BTreeMap::new(),
            due: release::Due::new(),
            states: BTreeMap::new(),
            lost: BTreeMap::new(),
            pending: BTreeMap::new(),
            last: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Every session that lives.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.all()
    }

    /// How many live at this SMF.
    pub fn held_at(&self, smf: &Identity) -> usize {
        self.sessions.at(smf)
    }

    /// How many this SMF has lost by starting anew, since our start.
    pub fn lost_at(&self, smf: &Identity) -> u64 {
        self.lost.get(smf).copied().unwrap_or_default()
    }

    /// How many live.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// True where none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sessions of a SIM.
    pub fn sessions_of(&self, imsi: Imsi) -> impl Iterator<Item = &Session> {
        self.sessions.of(imsi)
    }

    /// True where every SMF has acknowledged that it lets this SIM go.
    pub fn is_acknowledged(&self, imsi: Imsi) -> bool {
        let acknowledged = |s: &Session| self.releases.get(&s.key()).is_some_and(Release::is_acknowledged);
        self.sessions.of(imsi).all(acknowledged)
    }

    /// True where no session of this SIM is left but those that were seen to be gone.
    pub fn is_let_go(&self, imsi: Imsi) -> bool {
        let gone = |s: &Session| self.releases.get(&s.key()).is_some_and(Release::is_effective);
        self.sessions.of(imsi).all(gone)
    }

    /// The next wish, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Gx::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.due.front().map(|(at, _)| *at)
    }

    /// Releases that are due again.
    pub fn handle_timeout(&mut self, now: Now) {
        self.releases_due(now);
    }

    /// Takes a fact in.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Load(all) => all.into_iter().for_each(|s| drop(self.sessions.put(s))),
            Input::Request { id, peer, message } => self.request(id, &peer, message, now),
            Input::Refused { txn, refusal } => self.refused(txn, &refusal),
            Input::Located { txn, subscription } => self.located(txn, subscription),
            Input::Addresses { txn, lease, disjoint } => self.addressed(txn, lease, disjoint, now),
            Input::Policy { txn, policy } => self.ruled(txn, policy.as_ref()),
            Input::Persisted { txn, ok } => self.persisted(txn, ok, now),
            Input::Withdraw { imsi } => self.withdraw(imsi, now),
            Input::Restore { imsi } => self.restore(imsi),
            Input::Gone { imsi, dnn } => self.seen_gone(imsi, &dnn),
            Input::Subscribed(subscription) => self.subscribed(&subscription, now),
            Input::Up { peer, state } => self.up(peer, state, now),
            Input::Answered { txn, message } => self.answered(txn, message.as_ref(), now),
        }
    }

    fn number(&mut self, p: Pending) -> u64 {
        self.last += 1;
        self.pending.insert(self.last, p);
        self.last
    }

    fn persist(&mut self, write: Write, p: Pending) {
        let txn = self.number(p);
        self.outputs.push_back(Output::Persist { txn, write });
    }
}
