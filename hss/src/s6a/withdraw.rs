//! Cancel-Location (§5.2.1.2): what is taken from an MME, and whether it has let go.

use super::{Output, Pending as Question, S6a, profile::request};
use types::{Imsi, Mono, Now, Withdrawal};
use wire::diameter::{
    CancelLocationRequest, CancellationType, Identity, Message, NO_STATE_MAINTAINED, clr, result,
};

/// How long a withdrawal that was not acknowledged waits until it is sent again.
const AGAIN_MS: u64 = 30_000;

/// A withdrawal that is not effective yet.
pub(super) struct Pending {
    /// At whom.
    pub mme: Identity,
    /// When it is sent again without a reason; `None` once it was acknowledged.
    pub again: Option<Mono>,
}

impl S6a {
    pub(super) fn withdraw(&mut self, imsi: Imsi, now: Now) {
        // One that is being registered at this moment is found when that is durable.
        let Some(mme) = self.serving.get(&imsi).cloned().or_else(|| self.registering(imsi)) else { return };
        self.withdrawals.insert(imsi, Pending { mme, again: None });
        self.updates.forget(imsi);
        self.cancel_again(imsi, now);
    }

    fn registering(&self, imsi: Imsi) -> Option<Identity> {
        self.pending.values().find_map(|p| match p {
            Question::Registration { ask, .. } if ask.imsi == imsi => Some(ask.mme.clone()),
            _ => None,
        })
    }

    /// Whatever a withdrawn SIM does there shows that the MME still serves it.
    pub(super) fn sign_of_life(&mut self, imsi: Imsi, peer: &Identity, command: u32, now: Now) {
        const PURGE: u32 = 321;
        if command != PURGE && self.withdrawals.get(&imsi).is_some_and(|w| w.mme == *peer) {
            self.cancel_again(imsi, now);
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

    pub(super) fn cancel_again(&mut self, imsi: Imsi, now: Now) {
        let Some(w) = self.withdrawals.get_mut(&imsi) else { return };
        w.again = Some(now.mono.plus_ms(AGAIN_MS));
        let mme = w.mme.clone();
        self.cancel(imsi, &mme, CancellationType::SubscriptionWithdrawal);
        self.outputs.push_back(Output::Withdrawn { imsi, mme, how: Withdrawal::Sent });
    }

    pub(super) fn cancel(&mut self, imsi: Imsi, mme: &Identity, why: CancellationType) {
        let message = request!(self, CancelLocationRequest, mme, {
            user_name: imsi.to_string(),
            cancellation: why,
            flags: Some(clr::S6A),
        });
        let Some(message) = message else { return };
        let txn = self.number(Question::Cancel { imsi, mme: mme.clone(), why });
        self.outputs.push_back(Output::Ask { txn, peer: mme.clone(), message });
    }

    pub(super) fn cancel_answered(
        &mut self,
        (imsi, mme, why): (Imsi, Identity, CancellationType),
        message: Option<&Message>,
        now: Now,
    ) {
        if why != CancellationType::SubscriptionWithdrawal {
            return;
        }
        let Some(w) = self.withdrawals.get_mut(&imsi).filter(|w| w.mme == mme) else { return };
        let how = match message {
            // It stays due, and is sent again.
            None => return,
            Some(Message::CancelLocationAnswer(a)) if a.is_success() => {
                w.again = None;
                Withdrawal::Acknowledged
            }
            // §5.2.1.2.2: the MME does not know the SIM (any more), so there is nothing to take.
            Some(Message::CancelLocationAnswer(a))
                if a.experimental.as_ref().is_some_and(|e| e.code == result::USER_UNKNOWN) =>
            {
                w.again = None;
                Withdrawal::Acknowledged
            }
            Some(_) => {
                w.again = Some(now.mono.plus_ms(AGAIN_MS));
                Withdrawal::Declined
            }
        };
        self.outputs.push_back(Output::Withdrawn { imsi, mme, how });
    }

    pub(super) fn effective(&mut self, imsi: Imsi) {
        if let Some(w) = self.withdrawals.remove(&imsi) {
            self.outputs.push_back(Output::Withdrawn { imsi, mme: w.mme, how: Withdrawal::Effective });
        }
    }
}
