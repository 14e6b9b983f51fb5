//! Cancel-Location (§5.2.1.2): what is taken from an MME, and whether it has let go.

use super::{Output, Pending as Question, S6a, profile::request};
use std::collections::VecDeque;
use types::{Imsi, Mono, Now, Withdrawal};
use wire::diameter::{
    CancelLocationRequest, CancellationType, Identity, Message, NO_STATE_MAINTAINED, clr, result,
};

/// How long a withdrawal that was not acknowledged waits until it is sent again.
const AGAIN_MS: u64 = 30_000;

/// Why a SIM is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// It may not be served at all, which its state says after a start as well.
    Barred,
    /// Its device is refused.
    Device,
    /// Its device was refused, and it comes with one that is allowed: over as soon as that is durable.
    FormerDevice,
    /// Its device is refused, and it is barred as well.
    BarredAndDevice,
}

impl Because {
    fn and(self, more: Self) -> Self {
        match (self, more) {
            (Self::Barred, Self::Barred) => Self::Barred,
            (Self::Device | Self::FormerDevice, Self::Device) => Self::Device,
            _ => Self::BarredAndDevice,
        }
    }

    fn is_device(self) -> bool {
        self != Self::Barred
    }

    fn is_barred(self) -> bool {
        matches!(self, Self::Barred | Self::BarredAndDevice)
    }
}

/// A withdrawal that is not effective yet.
pub(super) struct Pending {
    /// At whom.
    pub mme: Identity,
    because: Because,
    /// The question that is under way. There is one at a time: of a whole site's SIMs each waits for its turn.
    asked: Option<u64>,
    /// The SIM has shown itself there since.
    lives: bool,
    /// When it is sent again without a reason; `None` once it was acknowledged, and while it is under way.
    again: Option<Mono>,
}

/// Withdrawals that are due again, in the order of time. One that is not due any more may stand in it.
pub(super) type Queue = VecDeque<(Mono, Imsi)>;

impl S6a {
    pub(super) fn withdraw(&mut self, imsi: Imsi, because: Because, now: Now) {
        // One that is being registered at this moment is found when that is durable.
        let Some(mme) = self.serving.by(imsi).cloned().or_else(|| self.registering(imsi)) else { return };
        let before = self.withdrawals.get_mut(&imsi);
        let because = before.as_ref().map_or(because, |w| w.because.and(because));
        if because.is_device() {
            self.outputs.push_back(Output::Due { imsi, mme: mme.clone() });
        }
        if let Some(w) = before.filter(|w| w.mme == mme && w.asked.is_some()) {
            w.because = because;
            return;
        }
        self.withdrawals.insert(imsi, Pending { mme, because, asked: None, lives: false, again: None });
        self.updates.forget(imsi);
        self.cancel_again(imsi, now);
    }

    /// It was withdrawn when we were last seen: it is said when the MME is there.
    pub(super) fn withdrawn(&mut self, imsi: Imsi, mme: Identity) {
        let w = Pending { mme, because: Because::Device, asked: None, lives: false, again: None };
        self.withdrawals.insert(imsi, w);
    }

    /// The SIM may live. That says nothing of its device.
    pub(super) fn restore(&mut self, imsi: Imsi) {
        match self.withdrawals.get_mut(&imsi) {
            Some(w) if w.because == Because::BarredAndDevice => w.because = Because::Device,
            Some(w) if w.because == Because::Barred => drop(self.withdrawals.remove(&imsi)),
            _ => {}
        }
    }

    /// The device that the SIM comes with is allowed.
    pub(super) fn device_allowed(&mut self, imsi: Imsi) {
        if let Some(w) = self.withdrawals.get_mut(&imsi).filter(|w| w.because == Because::Device) {
            w.because = Because::FormerDevice;
        }
    }

    /// This MME serves the SIM, which is durable. What was withdrawn while that was on its way is withdrawn from it, too.
    pub(super) fn withdrawn_while_registering(&mut self, imsi: Imsi, mme: Identity, now: Now) {
        let Some(w) = self.withdrawals.get_mut(&imsi) else { return };
        if w.because == Because::FormerDevice {
            // The MME that had the refused device has been told already, or is told now that it serves the SIM no longer.
            self.withdrawals.remove(&imsi);
            return;
        }
        w.mme = mme;
        if w.because.is_device() {
            self.outputs.push_back(Output::Due { imsi, mme: w.mme.clone() });
        }
        self.updates.forget(imsi);
        self.cancel_again(imsi, now);
    }

    fn registering(&self, imsi: Imsi) -> Option<Identity> {
        self.pending.values().find_map(|p| match p {
            Question::Registration { ask, .. } if ask.imsi == imsi => Some(ask.mme.clone()),
            _ => None,
        })
    }

    /// Whatever a barred SIM does there shows that the MME still serves it. One whose device is refused may come with another.
    pub(super) fn sign_of_life(&mut self, imsi: Imsi, peer: &Identity, command: u32, now: Now) {
        const PURGE: u32 = 321;
        let of = |w: &&mut Pending| command != PURGE && w.mme == *peer && w.because.is_barred();
        let Some(w) = self.withdrawals.get_mut(&imsi).filter(of) else { return };
        match w.asked {
            // Nobody knows which of the two the MME heard first.
            Some(_) => w.lives = true,
            None => self.cancel_again(imsi, now),
        }
    }

    /// What was withdrawn from a peer is said to it again when it is back.
    pub(super) fn up(&mut self, peer: &Identity, now: Now) {
        let its: Vec<Imsi> =
            self.withdrawals.iter().filter(|(_, w)| w.mme == *peer).map(|(i, _)| *i).collect();
        for imsi in its {
            self.cancel_again(imsi, now);
        }
    }

    /// Those whose time has come.
    pub(super) fn withdrawals_due(&mut self, now: Now) {
        while self.due.front().is_some_and(|(at, _)| *at <= now.mono)
            && let Some((at, imsi)) = self.due.pop_front()
        {
            if self.withdrawals.get(&imsi).is_some_and(|w| w.again == Some(at)) {
                self.cancel_again(imsi, now);
            }
        }
    }

    pub(super) fn cancel_again(&mut self, imsi: Imsi, now: Now) {
        let Some(w) = self.withdrawals.get(&imsi) else { return };
        let mme = w.mme.clone();
        let asked = self.cancel(imsi, &mme, CancellationType::SubscriptionWithdrawal);
        if let Some(w) = self.withdrawals.get_mut(&imsi) {
            (w.asked, w.lives, w.again) = (asked, false, None);
        }
        match asked {
            Some(_) => {
                self.outputs.push_back(Output::Withdrawn { imsi, mme, how: Withdrawal::Sent });
            }
            // It is not listed any more; it may be again.
            None => self.cancel_later(imsi, now),
        }
    }

    fn cancel_later(&mut self, imsi: Imsi, now: Now) {
        if let Some(w) = self.withdrawals.get_mut(&imsi) {
            let at = now.mono.plus_ms(AGAIN_MS);
            (w.asked, w.again) = (None, Some(at));
            self.due.push_back((at, imsi));
        }
    }

    /// Asks it; the question's number.
    pub(super) fn cancel(&mut self, imsi: Imsi, mme: &Identity, why: CancellationType) -> Option<u64> {
        let message = request!(self, CancelLocationRequest, mme, {
            user_name: imsi.to_string(),
            cancellation: why,
            flags: Some(clr::S6A),
        })?;
        let txn = self.number(Question::Cancel { imsi, mme: mme.clone(), why });
        self.outputs.push_back(Output::Ask { txn, peer: mme.clone(), message });
        Some(txn)
    }

    pub(super) fn cancel_answered(
        &mut self,
        txn: u64,
        (imsi, mme): (Imsi, Identity),
        message: Option<&Message>,
        now: Now,
    ) {
        // Only the last question counts: what was asked by a connection that is gone has been asked once more.
        let Some(w) = self.withdrawals.get_mut(&imsi).filter(|w| w.asked == Some(txn)) else { return };
        let how = match message {
            // It stays due, and is sent again.
            None => return self.cancel_later(imsi, now),
            Some(Message::CancelLocationAnswer(a)) if a.is_success() => Withdrawal::Acknowledged,
            // §5.2.1.2.2: the MME does not know the SIM (any more), so there is nothing to take.
            Some(Message::CancelLocationAnswer(a))
                if a.experimental.as_ref().is_some_and(|e| e.code == result::USER_UNKNOWN) =>
            {
                Withdrawal::Acknowledged
            }
            Some(_) => Withdrawal::Declined,
        };
        let lives = std::mem::take(&mut w.lives);
        w.asked = None;
        self.outputs.push_back(Output::Withdrawn { imsi, mme, how });
        match how {
            _ if lives => self.cancel_again(imsi, now),
            Withdrawal::Acknowledged => {}
            _ => self.cancel_later(imsi, now),
        }
    }

    pub(super) fn effective(&mut self, imsi: Imsi) {
        if let Some(w) = self.withdrawals.remove(&imsi) {
            if w.because.is_device() {
                self.outputs.push_back(Output::NotDue { imsi, mme: w.mme.clone() });
            }
            self.outputs.push_back(Output::Withdrawn { imsi, mme: w.mme, how: Withdrawal::Effective });
        }
    }
}
