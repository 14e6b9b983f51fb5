//! S6a: an MME asks who a SIM is, and is told when it may serve it no longer (TS 29.272 §5.2).
//!
//! A face of the [`Hss`](crate::Hss): a request becomes a question to it, its answer the command's answer. What it keeps of
//! its own is who serves which SIM, and which withdrawals are on their way.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the verbs |
//! | `requests` | what MMEs ask, step by step to its answer |
//! | `withdraw` | Cancel-Location: a ban, a device that is refused |
//! | `moved` | Cancel-Location to the MME before this one |
//! | `update` | Insert- and Delete-Subscriber-Data, Reset: what an MME was told is not so any more |
//! | `profile` | the subscription as an MME reads it, and results |
//!
//! **A ban.** No vector leaves for a banned SIM, and Update-Location is refused. The MME that serves it gets
//! Cancel-Location; that it *acknowledges* says nothing of what it does. So the withdrawal stays until it is *effective*
//! (Purge, or whoever sees the session end says so), and is sent again when the MME is back, at every sign of life of the
//! SIM there, and every half minute that it was not acknowledged.
//!
//! **A device.** What is withdrawn because of a device that an MME told of is durable by itself, because nothing else says so
//! after a start; it is over when the SIM registers with a device that is allowed.
//!
//! Of a Notify only a new device is read.

mod moved;
mod profile;
mod requests;
mod served;
#[cfg(test)]
mod tests;
mod update;
mod withdraw;

pub(crate) use requests::device;
pub use update::{Told, Unsupported, Version};

use crate::io as core;
use serde::{Deserialize, Serialize};
use sim_auth::EpsVector;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use types::{Dnn, Imsi, MmeUpdate, Mono, Now, Plmn, Refusal, Subscription, Withdrawal};
use wire::diameter::{CancellationType, Identity, Message};

/// Most questions to the core at a time; more are refused as too many.
const UNDER_WAY: usize = 8_192;

/// What an MME is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mme {
    /// Its Origin-Host.
    pub host: Identity,
    /// Its Origin-Realm.
    pub realm: Identity,
    /// Its number among serving nodes, from 1.
    pub node: u64,
    /// Networks that it may ask for.
    pub plmns: Vec<Plmn>,
    /// Leading digits of the IMSIs that it may ask for; all, where there are none.
    pub imsis: Vec<String>,
    /// Most vectors in one answer. One, unless there is a reason: a hoard outlives a ban.
    pub vectors: u32,
}

impl Mme {
    pub(crate) fn may_ask_for(&self, imsi: &str) -> bool {
        self.imsis.is_empty() || self.imsis.iter().any(|prefix| imsi.starts_with(prefix))
    }
}

/// What belongs to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S6aConfig {
    /// Our Origin-Host.
    pub host: Identity,
    /// Our Origin-Realm.
    pub realm: Identity,
    /// Who may ask.
    pub mmes: Vec<Mme>,
}

/// An address that a SIM has in a data network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The data network.
    pub dnn: Dnn,
    /// IPv4, IPv6 or both.
    pub own: Vec<IpAddr>,
}

/// Who serves a SIM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Which SIM.
    pub imsi: Imsi,
    /// The MME's Origin-Host; `None` where nobody does any more.
    pub mme: Option<String>,
    /// What the MME knows of it, where that is known.
    pub told: Option<Told>,
}

/// A Cancel-Location that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Of which SIM.
    pub imsi: Imsi,
    /// Which MME is to let go.
    pub mme: Identity,
    /// Why.
    pub why: Why,
}

/// Why an MME is to let go of a SIM, where nothing else that is durable says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Another one serves it.
    Moved,
    /// The device that it told of is refused.
    Device,
}

/// Facts for the face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// What is durable, at the start.
    Load {
        /// Who serves whom.
        serving: Vec<Serving>,
        /// What they do not understand.
        unsupported: Vec<Unsupported>,
        /// What they have not let go of.
        due: Vec<Due>,
    },
    /// A peer asks something of S6a.
    Request {
        /// The peers' number for it.
        id: u64,
        /// Who asks.
        peer: Identity,
        /// What.
        message: Message,
    },
    /// What the core says to a question of ours.
    Vector {
        /// Our number.
        txn: u64,
        /// The vector.
        vector: EpsVector,
    },
    /// As above.
    Refused {
        /// Our number.
        txn: u64,
        /// Why.
        refusal: Refusal,
    },
    /// As above.
    Located {
        /// Our number.
        txn: u64,
        /// With what.
        subscription: Subscription,
    },
    /// The addresses of a SIM are leased, and that is durable; `None` where they could not be.
    Leased {
        /// Our number.
        txn: u64,
        /// One for each data network.
        addresses: Option<Vec<Addresses>>,
    },
    /// The end of an [`Output::Persist`].
    Persisted {
        /// Our number.
        txn: u64,
        /// True once it is durable.
        ok: bool,
    },
    /// A SIM has changed, and that is durable: this is what it may have.
    Subscribed(Subscription),
    /// This SIM may not be served any more.
    Withdraw {
        /// Which.
        imsi: Imsi,
    },
    /// It may be served again: nothing is withdrawn from it any more.
    Restore {
        /// Which.
        imsi: Imsi,
    },
    /// Its session is seen to be gone.
    Gone {
        /// Which SIM's.
        imsi: Imsi,
    },
    /// A peer is there.
    Up {
        /// Who.
        peer: Identity,
        /// As which.
        version: Version,
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
    /// A question for the core: [`EpsAuthInfo`](core::Input::EpsAuthInfo) or [`Locate`](core::Input::Locate). Numbers in it
    /// are ours.
    Core(core::Input),
    /// Lease the addresses of this SIM in these data networks. Answered by [`Input::Leased`].
    Lease {
        /// Our number.
        txn: u64,
        /// Whose.
        imsi: Imsi,
        /// Where.
        dnns: Vec<Dnn>,
    },
    /// Make this durable. Answered by [`Input::Persisted`]. In the same transaction, that the MME before is to let go, and that
    /// this one is not.
    Persist {
        /// Our number.
        txn: u64,
        /// What.
        serving: Serving,
    },
    /// Make durable what an MME knows of a SIM. Nobody waits for it.
    Told {
        /// Of which SIM.
        imsi: Imsi,
        /// Which MME.
        mme: Identity,
        /// What.
        told: Told,
    },
    /// Make durable that an MME does not understand a command. Nobody waits for it.
    NotUnderstood(Unsupported),
    /// Make durable that an MME is to let go of a SIM because of its device. Nobody waits for it.
    Due {
        /// Of which SIM.
        imsi: Imsi,
        /// Which MME.
        mme: Identity,
    },
    /// Forget that an MME is to let go of a SIM.
    NotDue {
        /// Of which SIM.
        imsi: Imsi,
        /// Which MME.
        mme: Identity,
    },
    /// Forget what this MME did not understand as somebody else than it is.
    MayUnderstand {
        /// Which MME.
        mme: Identity,
        /// As which it is here.
        now: Version,
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
    /// Something was asked for a SIM and refused.
    Attempt {
        /// Which SIM; it need not exist.
        imsi: Imsi,
        /// By whom.
        mme: Identity,
        /// Why it was refused.
        refusal: Refusal,
    },
    /// How far it is that an MME knows of a change.
    Updated {
        /// Of which SIM.
        imsi: Imsi,
        /// Which MME.
        mme: Identity,
        /// How far.
        how: MmeUpdate,
    },
    /// How far it is that an MME asks anew about all that it serves.
    ResetAt {
        /// Which MME.
        mme: Identity,
        /// How far.
        how: MmeUpdate,
    },
    /// How far a withdrawal is.
    Withdrawn {
        /// From which SIM.
        imsi: Imsi,
        /// At whom.
        mme: Identity,
        /// How far.
        how: Withdrawal,
    },
}

/// A request on its way to its answer.
enum Pending {
    Vectors {
        ask: Ask,
        plmn: Plmn,
        got: Vec<EpsVector>,
        wanted: u32,
    },
    Location {
        ask: Ask,
        skip: bool,
    },
    Lease {
        ask: Ask,
        subscription: Subscription,
    },
    Registration {
        ask: Ask,
        answer: Message,
        told: Option<update::Told>,
    },
    Purge {
        ask: Ask,
        answer: Message,
    },
    /// A device that was told of without a question.
    Device {
        imsi: Imsi,
        mme: Identity,
    },
    /// A Cancel-Location.
    Cancel {
        imsi: Imsi,
        mme: Identity,
        why: CancellationType,
    },
    /// Addresses of a SIM that has changed.
    UpdateLease {
        imsi: Imsi,
    },
    /// An Insert-Subscriber-Data.
    Insert {
        imsi: Imsi,
        mme: Identity,
        told: update::Told,
    },
    /// A Delete-Subscriber-Data.
    Delete {
        mme: Identity,
    },
    /// A Reset.
    Reset {
        mme: Identity,
    },
}

/// Who asked, and of whom.
#[derive(Clone)]
struct Ask {
    id: u64,
    mme: Identity,
    session: String,
    imsi: Imsi,
    command: u32,
}

/// The face.
pub struct S6a {
    config: S6aConfig,
    serving: served::Served,
    withdrawals: BTreeMap<Imsi, withdraw::Pending>,
    due: withdraw::Queue,
    moved: moved::Moved,
    updates: update::Updates,
    pending: BTreeMap<u64, Pending>,
    last: u64,
    sessions: u64,
    outputs: VecDeque<Output>,
}

impl S6a {
    /// Nobody is served yet. `now` makes the Session-Ids of this start unlike those of the last (RFC 6733 §8.8).
    pub fn new(config: S6aConfig, now: Now) -> Self {
        Self {
            config,
            serving: served::Served::default(),
            withdrawals: BTreeMap::new(),
            due: withdraw::Queue::new(),
            moved: moved::Moved::default(),
            updates: update::Updates::default(),
            pending: BTreeMap::new(),
            last: 0,
            sessions: now.utc.0.unsigned_abs() << 20,
            outputs: VecDeque::new(),
        }
    }

    /// Who serves this SIM.
    pub fn serving(&self, imsi: Imsi) -> Option<&Identity> {
        self.serving.by(imsi)
    }

    /// What the MME that serves this SIM knows of it.
    pub fn told(&self, imsi: Imsi) -> Option<&Told> {
        self.updates.told(imsi)
    }

    /// How many SIMs this MME serves.
    pub fn served_at(&self, mme: &Identity) -> usize {
        self.serving.at(mme)
    }

    /// How many SIMs this MME is to let go of: those that are withdrawn from it, and those that another one serves.
    pub fn due_at(&self, mme: &Identity) -> usize {
        self.withdrawals.values().filter(|w| w.mme == *mme).count() + self.moved.due_at(mme)
    }

    /// The next wish, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`S6a::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let withdrawal = self.due.front().map(|(at, _)| *at);
        [withdrawal, self.moved.poll_timeout(), self.updates.poll_timeout()].into_iter().flatten().min()
    }

    /// Withdrawals and updates that are due again.
    pub fn handle_timeout(&mut self, now: Now) {
        self.updates_due(now);
        self.withdrawals_due(now);
        self.moved_due(now);
    }

    /// Takes a fact in.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Load { serving, unsupported, due } => {
                let told = serving.iter().filter_map(|s| Some((s.imsi, s.told.clone()?))).collect();
                let of = |s: Serving| Some((s.imsi, Identity::new(&s.mme?)?));
                self.serving = serving.into_iter().filter_map(of).collect();
                self.updates.loaded(self.serving.mmes().cloned(), told, unsupported);
                let moved = due.iter().filter(|d| d.why == Why::Moved);
                self.moved.loaded(moved.map(|d| (d.imsi, d.mme.clone())));
                due.into_iter().filter(|d| d.why == Why::Device).for_each(|d| self.withdrawn(d.imsi, d.mme));
            }
            Input::Request { id, peer, message } => self.request(id, &peer, message, now),
            Input::Vector { txn, vector } => self.vector(txn, vector),
            Input::Refused { txn, refusal } => self.refused(txn, refusal, now),
            Input::Located { txn, subscription } => self.located(txn, subscription),
            Input::Leased { txn, addresses } => self.leased(txn, addresses, now),
            Input::Persisted { txn, ok } => self.persisted(txn, ok, now),
            Input::Subscribed(subscription) => self.subscribed(subscription),
            Input::Withdraw { imsi } => self.withdraw(imsi, withdraw::Because::Barred, now),
            Input::Restore { imsi } => self.restore(imsi),
            Input::Gone { imsi } => self.effective(imsi),
            Input::Up { peer, version } => {
                self.up(&peer, now);
                self.moved_up(&peer, now);
                self.updates_up(&peer, version);
            }
            Input::Answered { txn, message } => self.answered(txn, message.as_ref(), now),
        }
    }

    /// The answer to a question of ours to an MME, or that there is none.
    fn answered(&mut self, txn: u64, message: Option<&Message>, now: Now) {
        match self.pending.remove(&txn) {
            Some(Pending::Cancel { imsi, mme, why: CancellationType::MmeUpdate }) => {
                self.let_go_answered(txn, (imsi, mme), message, now)
            }
            Some(Pending::Cancel { imsi, mme, .. }) => self.cancel_answered(txn, (imsi, mme), message, now),
            Some(Pending::Insert { imsi, mme, told }) => self.inserted(txn, (imsi, mme, told), message, now),
            Some(Pending::Delete { mme }) => self.deleted(mme, message),
            Some(Pending::Reset { mme }) => self.was_reset(mme, message),
            _ => {}
        }
    }

    /// A Session-Id for a question to this MME, and its realm; `None` where it is not listed any more.
    fn session_with(&mut self, mme: &Identity) -> Option<(String, Identity)> {
        let realm = self.config.mmes.iter().find(|m| m.host == *mme)?.realm.clone();
        self.sessions += 1;
        let (high, low) = (self.sessions >> 32, self.sessions & 0xffff_ffff);
        Some((format!("{};{high};{low};s6a", self.config.host), realm))
    }

    fn number(&mut self, p: Pending) -> u64 {
        self.last += 1;
        self.pending.insert(self.last, p);
        self.last
    }
}
