//! What MMEs ask, step by step to its answer (§5.2.1, §5.2.3, §5.2.5).

use super::profile::{self, SUCCESS, results};
use super::update::Told;
use super::withdraw::Because;
use super::{Addresses, Ask, Mme, Output, Pending, S6a, Serving, UNDER_WAY};
use crate::io as core;
use sim_auth::EpsVector;
use types::{Auts, Imeisv, Imsi, Now, Pei, Plmn, Rand, Refusal, Subscription, Supi};
use wire::diameter::{
    AuthenticationInformationRequest, Experimental, Identity, Message, NotifyRequest, PurgeUeRequest,
    SubscriptionData, TerminalInformation, UpdateLocationRequest, result, ulr,
};

impl S6a {
    pub(super) fn request(&mut self, id: u64, peer: &Identity, message: Message, now: Now) {
        let Some(mme) = self.config.mmes.iter().find(|m| m.host == *peer).cloned() else {
            return self.not_for_us(id, &message, result::UNKNOWN_PEER);
        };
        let (session, user, command) = match &message {
            Message::AuthenticationInformationRequest(m) => (&m.session_id, &m.user_name, message.kind().1),
            Message::UpdateLocationRequest(m) => (&m.session_id, &m.user_name, message.kind().1),
            Message::PurgeUeRequest(m) => (&m.session_id, &m.user_name, message.kind().1),
            Message::NotifyRequest(m) => (&m.session_id, &m.user_name, message.kind().1),
            // What an HSS asks, an MME does not.
            _ => return self.not_for_us(id, &message, result::COMMAND_UNSUPPORTED),
        };
        let known = user.parse::<Imsi>().ok().filter(|_| mme.may_ask_for(user));
        let session = session.clone();
        let Some(imsi) = known else {
            let results = (None, Some(Experimental::tgpp(result::USER_UNKNOWN)));
            return self.reply(id, command, &session, results);
        };
        let ask = Ask { id, mme: mme.host.clone(), session, imsi, command };
        if self.pending.len() >= UNDER_WAY {
            return self.answer_with(&ask, (Some(result::TOO_BUSY), None));
        }
        match message {
            Message::AuthenticationInformationRequest(m) => self.vectors(ask, &mme, &m),
            Message::UpdateLocationRequest(m) => self.locate(ask, &mme, &m),
            Message::PurgeUeRequest(m) => self.purge(ask, &m),
            Message::NotifyRequest(m) => self.notify(ask, &m),
            _ => {}
        }
        self.sign_of_life(imsi, peer, command, now);
    }

    fn vectors(&mut self, ask: Ask, mme: &Mme, m: &AuthenticationInformationRequest) {
        let Some(plmn) = self.network(&ask, mme, m.visited_plmn) else { return };
        let Some(wanted) = &m.eutran else {
            // Only vectors for UTRAN are asked for, which this network has not.
            return self
                .answer_with(&ask, (None, Some(Experimental::tgpp(result::UNKNOWN_EPS_SUBSCRIPTION))));
        };
        let resync = wanted.resynchronization.map(|both| {
            let (rand, auts) = both.split_at(16);
            let mut parts = ([0; 16], [0; 14]);
            parts.0.copy_from_slice(rand);
            parts.1.copy_from_slice(auts);
            (Rand(parts.0), Auts(parts.1))
        });
        let wanted = wanted.number.unwrap_or(1).clamp(1, mme.vectors.max(1));
        let (imsi, node) = (ask.imsi, mme.node);
        let txn = self.number(Pending::Vectors { ask, plmn, got: Vec::new(), wanted });
        self.outputs.push_back(Output::Core(core::Input::EpsAuthInfo {
            txn,
            imsi,
            serving: plmn,
            node,
            resync,
        }));
    }

    pub(super) fn vector(&mut self, txn: u64, vector: EpsVector) {
        let Some(Pending::Vectors { ask, plmn, mut got, wanted }) = self.pending.remove(&txn) else { return };
        got.push(vector);
        if (got.len() as u64) < u64::from(wanted) {
            let node = self.config.mmes.iter().find(|m| m.host == ask.mme).map_or(1, |m| m.node);
            let imsi = ask.imsi;
            let txn = self.number(Pending::Vectors { ask, plmn, got, wanted });
            let input = core::Input::EpsAuthInfo { txn, imsi, serving: plmn, node, resync: None };
            return self.outputs.push_back(Output::Core(input));
        }
        let message = self.aia(&ask.session, SUCCESS, Some(&got));
        self.outputs.push_back(Output::Answer { id: ask.id, message });
    }

    /// The network that the MME asks for, if it is one of its own. Answered otherwise.
    fn network(&mut self, ask: &Ask, mme: &Mme, octets: [u8; 3]) -> Option<Plmn> {
        let plmn = Plmn::from_octets(octets).filter(|p| mme.plmns.contains(p));
        if plmn.is_none() {
            self.answer_with(ask, (None, Some(Experimental::tgpp(result::ROAMING_NOT_ALLOWED))));
        }
        plmn
    }

    fn locate(&mut self, ask: Ask, mme: &Mme, m: &UpdateLocationRequest) {
        if self.network(&ask, mme, m.visited_plmn).is_none() {
            return;
        }
        if m.flags & ulr::S6A == 0 || !profile::EUTRAN.contains(&m.rat_type) {
            return self.answer_with(&ask, (None, Some(Experimental::tgpp(result::RAT_NOT_ALLOWED))));
        }
        let (supi, pei) = (Supi(ask.imsi), m.terminal.as_ref().and_then(device));
        let skip = m.flags & ulr::SKIP_SUBSCRIBER_DATA != 0;
        let txn = self.number(Pending::Location { ask, skip });
        self.outputs.push_back(Output::Core(core::Input::Locate { txn, supi, pei }));
    }

    pub(super) fn located(&mut self, txn: u64, subscription: Subscription) {
        match self.pending.remove(&txn) {
            Some(Pending::Location { ask, skip: true }) => {
                self.device_allowed(ask.imsi);
                self.register(ask, None);
            }
            Some(Pending::Location { ask, skip: false }) => {
                self.device_allowed(ask.imsi);
                let (imsi, dnns) = (ask.imsi, subscription.dnns.clone());
                let txn = self.number(Pending::Lease { ask, subscription });
                self.outputs.push_back(Output::Lease { txn, imsi, dnns });
            }
            // A device that was told of, and is allowed.
            _ => {}
        }
    }

    pub(super) fn leased(&mut self, txn: u64, addresses: Option<Vec<Addresses>>, now: Now) {
        let (ask, subscription) = match self.pending.remove(&txn) {
            Some(Pending::Lease { ask, subscription }) => (ask, subscription),
            Some(Pending::UpdateLease { imsi }) => return self.update_leased(txn, imsi, addresses, now),
            _ => return,
        };
        match addresses {
            Some(own) => {
                let data = profile::subscription(&subscription, &own);
                self.register(ask, Some((data, Told::new(&subscription, &own))));
            }
            None => {
                self.answer_with(&ask, (Some(result::UNABLE_TO_COMPLY), None));
                self.not_registered(ask.imsi);
            }
        }
    }

    /// Who serves the SIM is durable before the MME may serve it: a ban must find it, whatever happens to us.
    fn register(&mut self, ask: Ask, profile: Option<(SubscriptionData, Told)>) {
        let (data, told) = profile.unzip();
        let answer = self.ula(&ask.session, SUCCESS, data);
        // Who says that it has the profile has the one that we told, or another HSS.
        let known = || self.told(ask.imsi).filter(|_| self.serving.by(ask.imsi) == Some(&ask.mme)).cloned();
        let knows = told.clone().or_else(known);
        let serving = Serving { imsi: ask.imsi, mme: Some(ask.mme.to_string()), told: knows };
        let txn = self.number(Pending::Registration { ask, answer, told });
        self.outputs.push_back(Output::Persist { txn, serving });
    }

    fn purge(&mut self, ask: Ask, _: &PurgeUeRequest) {
        let here = self.serving.by(ask.imsi) == Some(&ask.mme);
        // §5.2.1.3: who does not serve it any more is told so by not freezing its temporary identity.
        let answer = self.pua(&ask.session, SUCCESS, here);
        if !here {
            self.has_let_go(ask.imsi, &ask.mme);
            return self.outputs.push_back(Output::Answer { id: ask.id, message: answer });
        }
        let serving = Serving { imsi: ask.imsi, mme: None, told: None };
        let txn = self.number(Pending::Purge { ask, answer });
        self.outputs.push_back(Output::Persist { txn, serving });
    }

    fn notify(&mut self, ask: Ask, m: &NotifyRequest) {
        if self.serving.by(ask.imsi) != Some(&ask.mme) {
            return self.answer_with(&ask, (None, Some(Experimental::tgpp(result::UNKNOWN_SERVING_NODE))));
        }
        self.answer_with(&ask, SUCCESS);
        if let Some(pei) = m.terminal.as_ref().and_then(device) {
            let supi = Supi(ask.imsi);
            let txn = self.number(Pending::Device { imsi: ask.imsi, mme: ask.mme });
            self.outputs.push_back(Output::Core(core::Input::Locate { txn, supi, pei: Some(pei) }));
        }
    }

    pub(super) fn persisted(&mut self, txn: u64, ok: bool, now: Now) {
        match self.pending.remove(&txn) {
            Some(Pending::Registration { ask, .. } | Pending::Purge { ask, .. }) if !ok => {
                self.answer_with(&ask, (Some(result::UNABLE_TO_COMPLY), None));
                self.not_registered(ask.imsi);
            }
            Some(Pending::Registration { ask, answer, told }) => {
                let before = self.serving.put(ask.imsi, ask.mme.clone());
                self.outputs.push_back(Output::Answer { id: ask.id, message: answer });
                self.registered(ask.imsi, &ask.mme, told, before.as_ref() != Some(&ask.mme));
                if let Some(before) = before.filter(|b| *b != ask.mme) {
                    self.let_go(ask.imsi, before, now);
                }
                self.moved.moot(ask.imsi, &ask.mme);
                self.withdrawn_while_registering(ask.imsi, ask.mme, now);
            }
            Some(Pending::Purge { ask, answer }) => {
                self.serving.remove(ask.imsi);
                self.updates.forget(ask.imsi);
                self.outputs.push_back(Output::Answer { id: ask.id, message: answer });
                self.effective(ask.imsi);
            }
            _ => {}
        }
    }

    pub(super) fn refused(&mut self, txn: u64, refusal: Refusal, now: Now) {
        match self.pending.remove(&txn) {
            Some(Pending::Vectors { ask, .. } | Pending::Location { ask, .. }) => {
                self.answer_with(&ask, results(&refusal));
                self.not_registered(ask.imsi);
                self.outputs.push_back(Output::Attempt { imsi: ask.imsi, mme: ask.mme, refusal });
            }
            Some(Pending::Device { imsi, mme }) => {
                self.outputs.push_back(Output::Attempt { imsi, mme, refusal });
                self.withdraw(imsi, Because::Device, now);
            }
            _ => {}
        }
    }
}

/// The device as an MME tells of it: 14 digits and the software version, or 15.
pub(crate) fn device(t: &TerminalInformation) -> Option<Pei> {
    let imei = t.imei.as_deref()?;
    match (imei.len(), t.software_version.as_deref()) {
        (14 | 15, Some(sv)) => format!("{}{sv}", imei.get(..14)?).parse::<Imeisv>().ok().map(Pei::Imeisv),
        (15, None) => imei.parse().ok().map(Pei::Imei),
        // Without its check digit: the place of the digit is spare (TS 23.003 §6.2.1).
        (14, None) => format!("{imei}0").parse().ok().map(Pei::Imei),
        _ => None,
    }
}
