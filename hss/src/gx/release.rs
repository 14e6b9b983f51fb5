//! Re-Auth with a release cause (§4.5.9): what is taken from an SMF, and whether it has let go.

use super::{Gx, Output, Pending, Session, SessionKey, Write};
use std::collections::VecDeque;
use types::{Dnn, Imsi, Mono, Now, Subscription, Withdrawal};
use wire::diameter::{
    AUTHORIZE_ONLY, Identity, Message, RELEASE_SUBSCRIPTION, RELEASE_UNSPECIFIED, ReAuthRequest, application,
    result,
};

/// How long a release that was not acknowledged waits until it is sent again.
const AGAIN_MS: u64 = 30_000;

/// A session that is to end and is not seen to have ended.
pub(super) struct Release {
    why: Why,
    /// The user plane has seen the session go; the SMF's own word for it may still come.
    effective: bool,
    /// Its SMF says that it ends.
    acknowledged: bool,
    /// The question that is under way. There is one at a time: of a whole site's SIMs each waits for its turn.
    asked: Option<u64>,
    /// The SIM has shown itself there since.
    lives: bool,
    /// When it is sent again without a reason; `None` once it was acknowledged, and while it is under way.
    again: Option<Mono>,
}

/// Releases that are due again, in the order of time. One that is not due any more may stand in it.
pub(super) type Due = VecDeque<(Mono, SessionKey)>;

/// Why a session is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its SIM may not be served any more.
    Withdrawn,
    /// Its data network is the SIM's no longer.
    NotSubscribed,
    /// The SIM has another one, or another SIM has its address.
    Replaced,
}

impl Release {
    pub fn is_withdrawal(&self) -> bool {
        self.why != Why::Replaced
    }

    pub fn is_effective(&self) -> bool {
        self.effective
    }

    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged
    }
}

impl Gx {
    pub(super) fn withdraw(&mut self, imsi: Imsi, now: Now) {
        self.bar(|s| s.imsi == imsi);
        for key in self.keys_of(imsi) {
            let under_way = |r: &Release| r.why == Why::Withdrawn && r.asked.is_some();
            if !self.releases.get(&key).is_some_and(under_way) {
                self.release(&key, Why::Withdrawn, now);
            }
        }
    }

    fn keys_of(&self, imsi: Imsi) -> Vec<SessionKey> {
        self.sessions.of(imsi).map(Session::key).collect()
    }

    /// What was withdrawn may go on; what was replaced may not.
    pub(super) fn restore(&mut self, imsi: Imsi) {
        for key in self.keys_of(imsi) {
            if self.releases.get(&key).is_some_and(|r| r.why == Why::Withdrawn) {
                self.releases.remove(&key);
            }
        }
    }

    /// Sessions in data networks that are not the SIM's any longer end.
    pub(super) fn subscribed(&mut self, s: &Subscription, now: Now) {
        let elsewhere = |session: &Session| session.imsi == s.supi.imsi() && !s.dnns.contains(&session.dnn);
        self.bar(elsewhere);
        let its = self.sessions.of(s.supi.imsi()).filter(|session| elsewhere(session)).map(Session::key);
        let ends = |key: &SessionKey| self.releases.get(key).is_some_and(Release::is_withdrawal);
        let keys: Vec<SessionKey> = its.filter(|key| !ends(key)).collect();
        for key in keys {
            self.release(&key, Why::NotSubscribed, now);
        }
    }

    /// This session is to end, unless that is so already.
    pub(super) fn replace(&mut self, key: &SessionKey, now: Now) {
        if !self.releases.contains_key(key) {
            self.release(key, Why::Replaced, now);
        }
    }

    fn release(&mut self, key: &SessionKey, why: Why, now: Now) {
        let new =
            Release { why, effective: false, acknowledged: false, asked: None, lives: false, again: None };
        self.releases.insert(key.clone(), new);
        self.release_again(key, now);
    }

    /// Whatever a withdrawn SIM does at an SMF shows that the SMF still has it.
    pub(super) fn sign_of_life(&mut self, imsi: Imsi, smf: &Identity, now: Now) {
        for key in self.keys_of(imsi).into_iter().filter(|k| k.smf == *smf) {
            self.still_lives(&key, now);
        }
    }

    /// The SMF still has this session; if it is being released, it is told so once more.
    pub(super) fn still_lives(&mut self, key: &SessionKey, now: Now) {
        match self.releases.get_mut(key) {
            // Nobody knows which of the two the SMF heard first.
            Some(r) if r.asked.is_some() => r.lives = true,
            _ => self.release_again(key, now),
        }
    }

    /// Those whose time has come.
    pub(super) fn releases_due(&mut self, now: Now) {
        while self.due.front().is_some_and(|(at, _)| *at <= now.mono)
            && let Some((at, key)) = self.due.pop_front()
        {
            if self.releases.get(&key).is_some_and(|r| r.again == Some(at)) {
                self.release_again(&key, now);
            }
        }
    }

    fn release_later(&mut self, key: &SessionKey, now: Now) {
        if let Some(r) = self.releases.get_mut(key) {
            let at = now.mono.plus_ms(AGAIN_MS);
            (r.asked, r.again) = (None, Some(at));
            self.due.push_back((at, key.clone()));
        }
    }

    pub(super) fn up(&mut self, peer: Identity, state: Option<u32>, now: Now) {
        let its: Vec<Session> = self.sessions.all().filter(|s| s.smf == peer).cloned().collect();
        self.states.insert(peer, state);
        for s in its {
            let key = s.key();
            // What it had before it restarted it has no more (RFC 6733 §8.16).
            if s.state.zip(state).is_some_and(|(then, now)| then < now) {
                *self.lost.entry(key.smf.clone()).or_default() += 1;
                self.gone(&key);
            } else {
                self.release_again(&key, now);
            }
        }
    }

    /// Sends a release, if this session is being released.
    pub(super) fn release_again(&mut self, key: &SessionKey, now: Now) {
        let (Some(r), Some(s)) = (self.releases.get(key), self.sessions.get(key).cloned()) else { return };
        if r.effective {
            return;
        }
        let why = r.why;
        let realm = self.config.smfs.iter().find(|e| e.host == key.smf).map(|e| e.realm.clone());
        // One whose SMF is in the list no more: nobody can be asked.
        let Some(destination_realm) = realm else { return self.release_later(key, now) };
        let message = ReAuthRequest {
            session_id: s.id.clone(),
            auth_application: application::GX,
            origin_host: self.config.host.clone(),
            origin_realm: self.config.realm.clone(),
            destination_realm,
            destination_host: s.smf.clone(),
            kind: AUTHORIZE_ONLY,
            release: Some(match why {
                Why::Withdrawn | Why::NotSubscribed => RELEASE_SUBSCRIPTION,
                Why::Replaced => RELEASE_UNSPECIFIED,
            }),
            origin_state: None,
            triggers: Vec::new(),
            remove: Vec::new(),
            install: Vec::new(),
            default_qos: None,
            qos: Vec::new(),
        };
        let txn = self.number(Pending::Release(key.clone()));
        if let Some(r) = self.releases.get_mut(key) {
            (r.acknowledged, r.asked, r.lives, r.again) = (false, Some(txn), false, None);
        }
        self.outputs.push_back(Output::Ask { txn, peer: s.smf.clone(), message: message.into() });
        self.tell(&s, why, Withdrawal::Sent);
    }

    pub(super) fn answered(&mut self, txn: u64, message: Option<&Message>, now: Now) {
        let Some(Pending::Release(key)) = self.pending.remove(&txn) else { return };
        let (Some(r), Some(s)) = (self.releases.get_mut(&key), self.sessions.get(&key).cloned()) else {
            return;
        };
        // It is gone already, whatever its SMF says. Only the last question counts: what was asked by a connection that is
        // gone has been asked once more.
        if r.effective || r.asked != Some(txn) {
            return;
        }
        let code = match message {
            // It stays due, and is sent again.
            None => return self.release_later(&key, now),
            Some(Message::ReAuthAnswer(a)) => a.result_code.or(a.experimental.as_ref().map(|e| e.code)),
            Some(Message::Refusal { refusal, .. }) => Some(refusal.result_code),
            Some(_) => None,
        };
        let why = r.why;
        let how = match (code, why) {
            // Nobody has it any more, and nothing of a ban hangs on its word.
            (Some(result::UNKNOWN_SESSION_ID), Why::Replaced | Why::NotSubscribed) => return self.gone(&key),
            // RFC 6733 §8.3.2: the rest of what belongs to the release follows by the session's termination.
            (Some(result::SUCCESS | result::LIMITED_SUCCESS | result::UNKNOWN_SESSION_ID), _) => {
                Withdrawal::Acknowledged
            }
            _ => Withdrawal::Declined,
        };
        let lives = std::mem::take(&mut r.lives);
        (r.asked, r.acknowledged) = (None, how == Withdrawal::Acknowledged);
        self.tell(&s, why, how);
        match how {
            _ if lives => self.release_again(&key, now),
            Withdrawal::Acknowledged => {}
            _ => self.release_later(&key, now),
        }
    }

    fn tell(&mut self, s: &Session, why: Why, how: Withdrawal) {
        if why != Why::Replaced {
            let Session { imsi, smf, dnn, .. } = s.clone();
            self.outputs.push_back(Output::Withdrawn { imsi, smf, dnn, how });
        }
    }

    /// It carries nothing any more. It stays withdrawn: whatever its SMF asks for it is refused until it ends.
    pub(super) fn seen_gone(&mut self, imsi: Imsi, dnn: &Dnn) {
        for s in self.sessions.of(imsi).filter(|s| s.dnn == *dnn).cloned().collect::<Vec<_>>() {
            let Some(r) = self.releases.get_mut(&s.key()).filter(|r| !r.effective) else { continue };
            (r.effective, r.acknowledged, r.asked, r.again) = (true, true, None, None);
            let why = r.why;
            self.tell(&s, why, Withdrawal::Effective);
        }
    }

    /// A session that is over without a word of its SMF about it.
    fn gone(&mut self, key: &SessionKey) {
        self.persist(Write::End(key.clone()), Pending::End(None));
        self.over(key);
    }

    /// A session is over, and so is what was to release it.
    pub(super) fn over(&mut self, key: &SessionKey) {
        let Some(session) = self.sessions.remove(key) else { return };
        self.outputs.push_back(Output::Ended(session.clone()));
        if let Some(r) = self.releases.remove(key).filter(|r| !r.effective) {
            self.tell(&session, r.why, Withdrawal::Effective);
        }
    }
}
