//! What an MME has been told of a SIM has changed (Insert- and Delete-Subscriber-Data, §5.2.2), or may have (Reset, §5.2.4.1).
//!
//! A profile is told whole, as the answer to Update-Location has it: the MME puts it in the place of the one that it has
//! (§5.2.2.1.2, All-APN-Configurations-Included). A data network that is gone is withdrawn by name of its context
//! before that, because an MME may end its connections for the one and not for the other. Who was to be told and was not, is
//! told again when the MME is back. What an MME has been told is durable, so after a start whatever differs from it is due. Each MME
//! that serves somebody is then told to ask anew, too, by a Reset.
//!
//! An MME need not understand any of the three. That it does not is final and durable, for this MME and this command, until
//! it is another one (another product, or one that has started anew): what has changed then waits for the SIM's next
//! Update-Location.

use super::{Addresses, Output, Pending, S6a, profile, profile::request};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use types::{Imsi, MmeUpdate, Mono, Now, Subscription};
use wire::diameter::{
    DeleteSubscriberDataRequest, Experimental, Identity, InsertSubscriberDataRequest, Message,
    NO_STATE_MAINTAINED, ResetRequest, dsr, result,
};

/// Questions under way at a time: an import changes many SIMs at once, and no connection takes that many.
const UNDER_WAY: usize = 64;
/// How long one that was not answered waits until it is asked again.
const AGAIN_MS: u64 = 30_000;

const INSERT: u32 = 319;
const DELETE: u32 = 320;
const RESET: u32 = 322;

/// What an MME knows of a SIM by us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Uplink, downlink.
    ambr: (u64, u64),
    /// Its data networks in the order of their contexts, which count from 1.
    own: Vec<Addresses>,
}

/// Which MME it is that bears a name: another product, or one that has started anew, may know more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// Its Origin-State-Id.
    pub state: Option<u32>,
    /// Its Product-Name and Firmware-Revision.
    pub product: String,
}

/// A command that an MME does not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// Which MME.
    pub mme: Identity,
    /// Which command.
    pub command: u32,
    /// As which it said so.
    pub by: Version,
}

impl Told {
    /// What it is told by this profile.
    pub fn new(s: &Subscription, own: &[Addresses]) -> Self {
        Self { ambr: (s.ambr_ul_bps, s.ambr_dl_bps), own: own.to_vec() }
    }

    /// Contexts of the data networks that are not in `new`. The default one is withdrawn by nothing but another profile
    /// (§5.2.2.2.2).
    fn gone(&self, new: &Self) -> Vec<u32> {
        let there = |a: &Addresses| new.own.iter().any(|n| n.dnn == a.dnn);
        (1..).zip(&self.own).skip(1).filter(|(_, a)| !there(a)).map(|(context, _)| context).collect()
    }
}

/// A SIM of which an MME is to be told.
struct Update {
    mme: Identity,
    subscription: Subscription,
    step: Step,
    /// It stands in the timeline that the MME is told.
    noted: bool,
}

/// How far that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Its registration is not durable yet.
    ExpectRegistration,
    /// Its turn comes.
    Queued,
    /// This question is under way: for its addresses, or to the MME.
    ExpectAnswer(u64),
    /// The MME did not answer.
    Again,
    /// The MME did not want to: until it is back.
    Declined,
}

/// All of them.
#[derive(Default)]
pub(super) struct Updates {
    told: BTreeMap<Imsi, Told>,
    due: BTreeMap<Imsi, Update>,
    queue: VecDeque<Imsi>,
    under_way: usize,
    /// In the order of time.
    again: VecDeque<(Mono, Imsi)>,
    /// MMEs that are to be told to ask anew.
    resets: BTreeSet<Identity>,
    /// What an MME has said that it does not understand, and as which.
    unsupported: BTreeMap<(Identity, u32), Version>,
    versions: BTreeMap<Identity, Version>,
}

impl Updates {
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.again.front().map(|(at, _)| *at)
    }

    /// These MMEs served somebody when we were last seen, were told this, and do not understand that.
    pub fn loaded(
        &mut self,
        mmes: impl Iterator<Item = Identity>,
        told: BTreeMap<Imsi, Told>,
        unsupported: Vec<Unsupported>,
    ) {
        self.resets = mmes.collect();
        self.told = told;
        self.unsupported = unsupported.into_iter().map(|u| ((u.mme, u.command), u.by)).collect();
    }

    /// What the MME that serves this SIM knows of it.
    pub fn told(&self, imsi: Imsi) -> Option<&Told> {
        self.told.get(&imsi)
    }

    /// The MME does not serve this SIM any more, or may not: it has been told nothing.
    pub fn forget(&mut self, imsi: Imsi) {
        self.told.remove(&imsi);
        self.due.remove(&imsi);
    }

    fn understands(&self, mme: &Identity, command: u32) -> bool {
        !self.unsupported.contains_key(&(mme.clone(), command))
    }
}

impl S6a {
    /// The SIM may have something else from here on. Whether that is news for its MME is seen when its addresses are known.
    pub(super) fn subscribed(&mut self, subscription: Subscription) {
        let imsi = subscription.supi.imsi();
        if self.withdrawals.contains_key(&imsi) {
            return;
        }
        let (mme, step) = match (self.asking(imsi), self.serving.by(imsi)) {
            // What is on its way to the MME at this moment may be what it was before.
            (Some(mme), _) => (mme, Step::ExpectRegistration),
            (None, Some(mme)) => (mme.clone(), Step::Queued),
            (None, None) => return,
        };
        if !self.updates.understands(&mme, INSERT) {
            return;
        }
        self.updates.due.insert(imsi, Update { mme, subscription, step, noted: false });
        self.queue(imsi);
    }

    /// The MME that asks for its profile at this moment.
    fn asking(&self, imsi: Imsi) -> Option<Identity> {
        self.pending.values().find_map(|p| match p {
            Pending::Location { ask, .. }
            | Pending::Lease { ask, .. }
            | Pending::Registration { ask, .. }
                if ask.imsi == imsi =>
            {
                Some(ask.mme.clone())
            }
            _ => None,
        })
    }

    /// An MME serves the SIM, and has its profile if one was given.
    pub(super) fn registered(&mut self, imsi: Imsi, mme: &Identity, told: Option<Told>, moved: bool) {
        match told {
            Some(told) => drop(self.updates.told.insert(imsi, told)),
            // It said that it has the profile. Whether it has ours of today only the one that we told would know.
            None if moved => drop(self.updates.told.remove(&imsi)),
            None => {}
        }
        if let Some(u) = self.updates.due.get_mut(&imsi) {
            u.mme = mme.clone();
            u.step = Step::Queued;
            self.queue(imsi);
        }
    }

    /// It does not: what waited for that is nothing any more.
    pub(super) fn not_registered(&mut self, imsi: Imsi) {
        if self.updates.due.get(&imsi).is_some_and(|u| u.step == Step::ExpectRegistration) {
            match self.serving.by(imsi).cloned() {
                Some(before) => self.registered(imsi, &before, None, false),
                None => drop(self.updates.due.remove(&imsi)),
            }
        }
    }

    fn queue(&mut self, imsi: Imsi) {
        self.updates.queue.push_back(imsi);
        self.go_on();
    }

    fn go_on(&mut self) {
        while self.updates.under_way < UNDER_WAY
            && let Some(imsi) = self.updates.queue.pop_front()
        {
            let due = self.updates.due.get(&imsi).filter(|u| u.step == Step::Queued);
            let Some(dnns) = due.map(|u| u.subscription.dnns.clone()) else { continue };
            let txn = self.number(Pending::UpdateLease { imsi });
            self.expect(imsi, txn);
            self.outputs.push_back(Output::Lease { txn, imsi, dnns });
        }
    }

    fn expect(&mut self, imsi: Imsi, txn: u64) {
        if let Some(u) = self.updates.due.get_mut(&imsi) {
            u.step = Step::ExpectAnswer(txn);
            self.updates.under_way += 1;
        }
    }

    /// Its update, if this was the question that it waits for.
    fn answered_for(&mut self, imsi: Imsi, txn: u64) -> Option<&mut Update> {
        self.updates.under_way = self.updates.under_way.saturating_sub(1);
        self.updates.due.get_mut(&imsi).filter(|u| u.step == Step::ExpectAnswer(txn))
    }

    pub(super) fn update_leased(
        &mut self,
        txn: u64,
        imsi: Imsi,
        addresses: Option<Vec<Addresses>>,
        now: Now,
    ) {
        let Some(u) = self.answered_for(imsi, txn) else { return self.go_on() };
        let (mme, subscription, noted) = (u.mme.clone(), u.subscription.clone(), u.noted);
        let Some(own) = addresses else {
            self.later(imsi, now);
            return self.go_on();
        };
        let new = Told::new(&subscription, &own);
        let before = self.updates.told.get(&imsi);
        if before == Some(&new) {
            self.updates.due.remove(&imsi);
            return self.go_on();
        }
        let gone = before.map(|b| b.gone(&new)).unwrap_or_default();
        if !noted {
            self.outputs.push_back(Output::Updated { imsi, mme: mme.clone(), how: MmeUpdate::Sent });
        }
        if !gone.is_empty() && self.updates.understands(&mme, DELETE) {
            self.delete(imsi, &mme, gone);
        }
        let data = profile::subscription(&subscription, &own);
        let message = request!(self, InsertSubscriberDataRequest, &mme, {
            user_name: imsi.to_string(),
            subscription: data,
            flags: None,
        });
        let Some(message) = message else {
            self.updates.due.remove(&imsi);
            return self.go_on();
        };
        let txn = self.number(Pending::Insert { imsi, mme: mme.clone(), told: new });
        if let Some(u) = self.updates.due.get_mut(&imsi) {
            u.noted = true;
        }
        self.expect(imsi, txn);
        self.outputs.push_back(Output::Ask { txn, peer: mme, message });
    }

    fn delete(&mut self, imsi: Imsi, mme: &Identity, gone: Vec<u32>) {
        let message = request!(self, DeleteSubscriberDataRequest, mme, {
            user_name: imsi.to_string(),
            flags: dsr::PDN_CONTEXTS,
            contexts: gone,
        });
        let Some(message) = message else { return };
        let txn = self.number(Pending::Delete { mme: mme.clone() });
        self.outputs.push_back(Output::Ask { txn, peer: mme.clone(), message });
    }

    pub(super) fn inserted(
        &mut self,
        txn: u64,
        (imsi, mme, told): (Imsi, Identity, Told),
        answer: Option<&Message>,
        now: Now,
    ) {
        let said = Said::of(answer);
        if said == Said::NotUnderstood {
            self.not_understood(&mme, INSERT);
        }
        let its = self.answered_for(imsi, txn).is_some_and(|u| u.mme == mme);
        if !its {
            return self.go_on();
        }
        let how = match said {
            Said::Nothing => {
                self.later(imsi, now);
                return self.go_on();
            }
            Said::Yes => {
                self.outputs.push_back(Output::Told { imsi, mme: mme.clone(), told: told.clone() });
                self.updates.told.insert(imsi, told);
                self.updates.due.remove(&imsi);
                MmeUpdate::Taken
            }
            Said::NotUnderstood => {
                self.updates.due.retain(|_, u| u.mme != mme);
                MmeUpdate::Unsupported
            }
            // The SIM is not there any more, so there is nobody to be told of.
            Said::Unknown => {
                self.updates.forget(imsi);
                MmeUpdate::Declined
            }
            Said::No => {
                if let Some(u) = self.updates.due.get_mut(&imsi) {
                    u.step = Step::Declined;
                }
                MmeUpdate::Declined
            }
        };
        self.outputs.push_back(Output::Updated { imsi, mme, how });
        self.go_on();
    }

    /// Whatever it says, the profile that follows says the same.
    pub(super) fn deleted(&mut self, mme: Identity, answer: Option<&Message>) {
        if Said::of(answer) == Said::NotUnderstood {
            self.not_understood(&mme, DELETE);
        }
    }

    fn not_understood(&mut self, mme: &Identity, command: u32) {
        let by = self.updates.versions.get(mme).cloned().unwrap_or_default();
        self.updates.unsupported.insert((mme.clone(), command), by.clone());
        self.outputs.push_back(Output::NotUnderstood(Unsupported { mme: mme.clone(), command, by }));
    }

    /// What it did not understand as somebody else it may understand now.
    fn versioned(&mut self, peer: &Identity, version: Version) {
        let before = self.updates.unsupported.len();
        self.updates.unsupported.retain(|(mme, _), by| mme != peer || *by == version);
        if self.updates.unsupported.len() < before {
            self.outputs.push_back(Output::MayUnderstand { mme: peer.clone(), now: version.clone() });
        }
        self.updates.versions.insert(peer.clone(), version);
    }

    fn later(&mut self, imsi: Imsi, now: Now) {
        if let Some(u) = self.updates.due.get_mut(&imsi) {
            u.step = Step::Again;
            self.updates.again.push_back((now.mono.plus_ms(AGAIN_MS), imsi));
        }
    }

    pub(super) fn updates_due(&mut self, now: Now) {
        while self.updates.poll_timeout().is_some_and(|at| at <= now.mono)
            && let Some((_, imsi)) = self.updates.again.pop_front()
        {
            if let Some(u) = self.updates.due.get_mut(&imsi).filter(|u| u.step == Step::Again) {
                u.step = Step::Queued;
                self.queue(imsi);
            }
        }
    }

    /// An MME is back: it is told what it did not take, and to ask anew if we have been away.
    pub(super) fn updates_up(&mut self, peer: &Identity, version: Version) {
        self.versioned(peer, version);
        if self.updates.resets.remove(peer) && self.updates.understands(peer, RESET) {
            self.reset(peer);
        }
        let waits = |u: &Update| u.mme == *peer && matches!(u.step, Step::Again | Step::Declined);
        let its: Vec<Imsi> = self.updates.due.iter().filter(|(_, u)| waits(u)).map(|(i, _)| *i).collect();
        for imsi in its {
            if let Some(u) = self.updates.due.get_mut(&imsi) {
                u.step = Step::Queued;
            }
            self.queue(imsi);
        }
    }

    fn reset(&mut self, mme: &Identity) {
        let message = request!(self, ResetRequest, mme, { users: Vec::new(), });
        let Some(message) = message else { return };
        let txn = self.number(Pending::Reset { mme: mme.clone() });
        self.outputs.push_back(Output::ResetAt { mme: mme.clone(), how: MmeUpdate::Sent });
        self.outputs.push_back(Output::Ask { txn, peer: mme.clone(), message });
    }

    pub(super) fn was_reset(&mut self, mme: Identity, answer: Option<&Message>) {
        let how = match Said::of(answer) {
            // It is told when it is back.
            Said::Nothing => {
                self.updates.resets.insert(mme);
                return;
            }
            Said::Yes => MmeUpdate::Taken,
            Said::NotUnderstood => {
                self.not_understood(&mme, RESET);
                MmeUpdate::Unsupported
            }
            Said::Unknown | Said::No => MmeUpdate::Declined,
        };
        self.outputs.push_back(Output::ResetAt { mme, how });
    }
}

/// What an answer comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Yes,
    No,
    /// The SIM is not served there.
    Unknown,
    /// There is no such command or AVP, and will be none.
    NotUnderstood,
    Nothing,
}

impl Said {
    pub fn of(answer: Option<&Message>) -> Self {
        let of = |base: Option<u32>, e: &Option<Experimental>| match (base, e.as_ref().map(|e| e.code)) {
            (Some(result::SUCCESS | result::LIMITED_SUCCESS), _) => Self::Yes,
            (
                Some(result::COMMAND_UNSUPPORTED | result::APPLICATION_UNSUPPORTED | result::AVP_UNSUPPORTED),
                _,
            ) => Self::NotUnderstood,
            (_, Some(result::USER_UNKNOWN)) => Self::Unknown,
            _ => Self::No,
        };
        match answer {
            None => Self::Nothing,
            Some(Message::InsertSubscriberDataAnswer(a)) => of(a.result_code, &a.experimental),
            Some(Message::CancelLocationAnswer(a)) => of(a.result_code, &a.experimental),
            Some(Message::DeleteSubscriberDataAnswer(a)) => of(a.result_code, &a.experimental),
            Some(Message::ResetAnswer(a)) => of(a.result_code, &a.experimental),
            Some(Message::Refusal { refusal, .. }) => of(Some(refusal.result_code), &None),
            Some(_) => Self::No,
        }
    }
}
