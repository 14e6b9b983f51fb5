//! CC-Requests, step by step to their answers (§4.5.1, §4.5.6, §4.5.7).

use super::profile::{self, INITIAL_PARAMETERS, UeAddresses};
use super::{Ask, Gx, Output, Pending, Session, SessionKey, Smf, UNDER_WAY, Write};
use crate::diameter;
use ipnet::IpNet;
use types::{
    AddressRefusal, Dnn, Imsi, Now, Pei, Refusal, RefusalReason, SessionAddress, SessionPolicy, Subscription,
};
use wire::diameter::{
    CreditControlRequest, Identity, Message, RequestType, SubscriptionKind, TGPP, UserLocation, result,
    user_location,
};

/// Most sessions of one SIM, those that are being released among them: an EPS UE has 11 bearers (TS 24.007 §11.2.3.1.5).
const OF_A_SIM: usize = 11;
/// The longest Session-Id that is kept.
const SESSION_ID: usize = 255;

/// What of a request its answer repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub kind: RequestType,
    pub number: u32,
    /// Features of the SMF (TS 29.212 §5.4.1), where it names any.
    pub features: Option<u32>,
}

impl Asked {
    fn of(m: &CreditControlRequest) -> Self {
        let features = m.features.iter().find(|f| (f.vendor, f.list) == (TGPP, 1)).map(|f| f.features);
        Self { kind: m.kind, number: m.number, features }
    }
}

/// The SIM that a request names; one that names two names none.
fn imsi_of(m: &CreditControlRequest) -> Option<Imsi> {
    let mut named = imsis_of(m);
    let imsi = named.next()??;
    named.all(|other| other == Some(imsi)).then_some(imsi)
}

fn imsis_of(m: &CreditControlRequest) -> impl Iterator<Item = Option<Imsi>> {
    m.subscriptions.iter().filter(|s| s.kind == SubscriptionKind::Imsi).map(|s| s.data.parse().ok())
}

/// Where the SMF says that the UE is. What says nothing of LTE is passed over: it is no reason to refuse a session.
fn place_of(m: &CreditControlRequest) -> Option<UserLocation> {
    user_location(m.location.as_deref()?)
}

impl Gx {
    pub(super) fn request(&mut self, id: u64, peer: &Identity, message: Message, now: Now) {
        let smf = self.config.smfs.iter().find(|s| s.host == *peer).cloned();
        let (smf, m) = match (smf, &message) {
            (Some(smf), Message::CreditControlRequest(m)) => (smf, m),
            (None, _) => return self.not_for_us(id, &message, result::UNKNOWN_PEER),
            // What a PCRF asks, an SMF does not.
            _ => return self.not_for_us(id, &message, result::COMMAND_UNSUPPORTED),
        };
        match m.kind {
            RequestType::Initial => self.begin(id, &smf, m, now),
            RequestType::Update => self.update(id, &smf.host, m, now),
            RequestType::Termination => self.end(id, &smf.host, m),
            // §4.5: Gx has sessions only.
            RequestType::Event | RequestType::Other(_) => {
                self.reply(id, &m.session_id, &Asked::of(m), result::INVALID_AVP_VALUE);
            }
        }
    }

    fn not_for_us(&mut self, id: u64, message: &Message, result_code: u32) {
        let c = &self.config;
        let message = diameter::refusal(&c.host, &c.realm, message, result_code);
        self.outputs.push_back(Output::Answer { id, message });
    }

    /// What an SMF wants to begin, if it says all that is needed.
    fn wanted(&self, smf: &Smf, m: &CreditControlRequest) -> Result<(Session, Option<Pei>), u32> {
        let imsi = imsi_of(m).ok_or(INITIAL_PARAMETERS)?;
        if !smf.may_ask_for(&imsi.to_string()) {
            return Err(result::AUTHORIZATION_REJECTED);
        }
        let dnn =
            m.called_station.as_deref().and_then(|s| s.parse::<Dnn>().ok()).ok_or(INITIAL_PARAMETERS)?;
        let addresses = UeAddresses::read(m).map_err(|()| result::INVALID_AVP_VALUE)?;
        // §4.5.1: it may come later where the UE asks for it by DHCP. Not here: nothing passes without an owner.
        if addresses.is_none() {
            return Err(INITIAL_PARAMETERS);
        }
        if m.session_id.len() > SESSION_ID {
            return Err(result::INVALID_AVP_VALUE);
        }
        let state = self.states.get(&smf.host).copied().flatten();
        let session =
            Session { smf: smf.host.clone(), id: m.session_id.clone(), imsi, dnn, addresses, state };
        Ok((session, m.equipment.as_ref().and_then(profile::device)))
    }

    fn begin(&mut self, id: u64, smf: &Smf, m: &CreditControlRequest, now: Now) {
        let asked = Asked::of(m);
        let (session, pei) = match self.wanted(smf, m) {
            Ok(wanted) => wanted,
            Err(code) => return self.reply(id, &m.session_id, &asked, code),
        };
        let (key, imsi) = (session.key(), session.imsi);
        // A Session-Id is one session for ever (RFC 6733 §8.8); the same one once more is an answer that was lost.
        if self.sessions.get(&key).is_some_and(|s| !s.is_like(&session)) {
            return self.reply(id, &m.session_id, &asked, result::UNABLE_TO_COMPLY);
        }
        let others = self.sessions.of(imsi).filter(|s| s.key() != key).count();
        let busy = self.beginning().any(|a| a.session.key() == key);
        if busy || others >= OF_A_SIM || self.pending.len() >= UNDER_WAY {
            let request = Message::from(m.clone());
            return self.not_for_us(id, &request, result::TOO_BUSY);
        }
        self.sign_of_life(imsi, &smf.host, now);
        let ask = Ask { id, request: asked, session, place: place_of(m), barred: false };
        let txn = self.number(Pending::Location(ask));
        self.outputs.push_back(Output::Locate { txn, imsi, pei });
    }

    /// What is on its way to become a session.
    fn beginning(&self) -> impl Iterator<Item = &Ask> {
        self.pending.values().filter_map(|p| match p {
            Pending::Location(a)
            | Pending::Addresses(a, _)
            | Pending::Policy(a, _)
            | Pending::Begin(a, _) => Some(a),
            Pending::End(_) | Pending::Release(_) => None,
        })
    }

    /// Whatever of this is on its way to become a session will not.
    pub(super) fn bar(&mut self, which: impl Fn(&Session) -> bool) {
        for p in self.pending.values_mut() {
            if let Pending::Location(a)
            | Pending::Addresses(a, _)
            | Pending::Policy(a, _)
            | Pending::Begin(a, _) = p
            {
                a.barred |= which(&a.session);
            }
        }
    }

    pub(super) fn refused(&mut self, txn: u64, refusal: &Refusal) {
        if let Some(Pending::Location(ask)) = self.pending.remove(&txn) {
            self.deny(&ask, refusal.reason);
        }
    }

    fn deny(&mut self, ask: &Ask, reason: RefusalReason) {
        self.answer_with(ask, result::AUTHORIZATION_REJECTED);
        let Session { imsi, smf, dnn, .. } = ask.session.clone();
        self.outputs.push_back(Output::Denied { imsi, smf, dnn, reason });
    }

    pub(super) fn located(&mut self, txn: u64, subscription: Subscription) {
        let Some(Pending::Location(ask)) = self.pending.remove(&txn) else { return };
        let s = &ask.session;
        if !subscription.dnns.contains(&s.dnn) {
            return self.deny(&ask, RefusalReason::NothingInCommon);
        }
        let (foreign, ours) = s.addresses.split(self.ranges(&s.smf));
        let (imsi, dnn) = (s.imsi, s.dnn.clone());
        let txn = self.number(Pending::Addresses(ask, subscription));
        let (lease, foreign) = (!ours.is_none(), foreign.nets().collect());
        self.outputs.push_back(Output::Addresses { txn, imsi, dnn, lease, foreign });
    }

    fn entry(&self, smf: &Identity) -> Option<&Smf> {
        self.config.smfs.iter().find(|s| s.host == *smf)
    }

    fn ranges(&self, smf: &Identity) -> &[IpNet] {
        self.entry(smf).map_or(&[], |s| &s.assigns)
    }

    pub(super) fn addressed(
        &mut self,
        txn: u64,
        lease: Option<Result<SessionAddress, AddressRefusal>>,
        disjoint: bool,
        now: Now,
    ) {
        let Some(Pending::Addresses(ask, subscription)) = self.pending.remove(&txn) else { return };
        let leased = match lease {
            None => UeAddresses::default(),
            Some(Ok(lease)) => UeAddresses::of(&lease),
            // No pool of that name: then no address of it is this SIM's.
            Some(Err(AddressRefusal::UnknownDnn)) => UeAddresses::default(),
            Some(Err(_)) => return self.answer_with(&ask, result::UNABLE_TO_COMPLY),
        };
        let s = &ask.session;
        let (_, ours) = s.addresses.split(self.ranges(&s.smf));
        if !disjoint || !ours.is_within(&leased) {
            return self.wrong_address(&ask.session.clone(), ask.id, &ask.request, leased);
        }
        if let Some(other) = self.sessions.other_holder(s.imsi, &s.addresses).cloned() {
            self.wrong_address(&ask.session.clone(), ask.id, &ask.request, leased);
            // If its SMF has forgotten it, that is known by the next time.
            if other.smf == ask.session.smf {
                self.replace(&other.key(), now);
            }
            return;
        }
        if self.entry(&s.smf).is_some_and(|smf| smf.rules) {
            let imsi = s.imsi;
            let txn = self.number(Pending::Policy(ask, subscription));
            return self.outputs.push_back(Output::Policy { txn, imsi, most: profile::FLOWS });
        }
        self.write(ask, &subscription, None);
    }

    fn wrong_address(&mut self, s: &Session, id: u64, asked: &Asked, ours: UeAddresses) {
        self.reply(id, &s.id, asked, result::AUTHORIZATION_REJECTED);
        let Session { imsi, smf, dnn, addresses: given, .. } = s.clone();
        self.outputs.push_back(Output::WrongAddress { imsi, smf, dnn, given, ours });
    }

    pub(super) fn ruled(&mut self, txn: u64, policy: Option<&SessionPolicy>) {
        if let Some(Pending::Policy(ask, subscription)) = self.pending.remove(&txn) {
            self.write(ask, &subscription, policy);
        }
    }

    /// A session is durable before the SMF may carry it: a ban must find it, whatever happens to us.
    fn write(&mut self, ask: Ask, subscription: &Subscription, policy: Option<&SessionPolicy>) {
        let answer = Box::new(self.grant(&ask, subscription, policy));
        let session = ask.session.clone();
        self.persist(Write::Begin(session), Pending::Begin(ask, answer));
    }

    pub(super) fn persisted(&mut self, txn: u64, ok: bool, now: Now) {
        match self.pending.remove(&txn) {
            Some(Pending::Begin(ask, _)) if !ok => self.answer_with(&ask, result::UNABLE_TO_COMPLY),
            // It was banned, or ended, while this was on its way to the disk.
            Some(Pending::Begin(ask, _)) if ask.barred => {
                if self.sessions.get(&ask.session.key()).is_none() {
                    self.persist(Write::End(ask.session.key()), Pending::End(None));
                }
                self.answer_with(&ask, result::AUTHORIZATION_REJECTED);
            }
            Some(Pending::Begin(ask, answer)) => self.began(ask, *answer, now),
            Some(Pending::End(Some(ask))) => {
                self.answer_with(&ask, if ok { result::SUCCESS } else { result::UNABLE_TO_COMPLY });
            }
            _ => {}
        }
    }

    fn began(&mut self, ask: Ask, message: Message, now: Now) {
        let Ask { id, session, place, .. } = ask;
        let imsi = session.imsi;
        // A SIM has one session in a data network; the one before is over, or its SMF has lost its end.
        let before = |s: &&Session| s.dnn == session.dnn && s.key() != session.key();
        let before: Vec<SessionKey> =
            self.sessions.of(session.imsi).filter(before).map(Session::key).collect();
        let again = self.sessions.put(session.clone()).is_some();
        self.outputs.push_back(Output::Answer { id, message });
        if !again {
            self.outputs.push_back(Output::Began(session));
        }
        self.outputs.extend(place.map(|place| Output::Seen { imsi, place }));
        before.iter().for_each(|key| self.replace(key, now));
    }

    fn update(&mut self, id: u64, smf: &Identity, m: &CreditControlRequest, now: Now) {
        let asked = Asked::of(m);
        let key = SessionKey { smf: smf.clone(), id: m.session_id.clone() };
        let Some(session) = self.sessions.get(&key).cloned() else {
            return self.reply(id, &m.session_id, &asked, result::UNKNOWN_SESSION_ID);
        };
        if self.releases.get(&key).is_some_and(|r| r.is_withdrawal()) {
            self.reply(id, &m.session_id, &asked, result::AUTHORIZATION_REJECTED);
            return self.still_lives(&key, now);
        }
        let somebody_else = imsis_of(m).any(|imsi| imsi != Some(session.imsi));
        match UeAddresses::read(m) {
            Ok(given) if !given.is_within(&session.addresses) => {
                let claimed = Session { addresses: given, ..session.clone() };
                self.wrong_address(&claimed, id, &asked, session.addresses);
            }
            Ok(_) if !somebody_else => {
                self.reply(id, &m.session_id, &asked, result::SUCCESS);
                let imsi = session.imsi;
                self.outputs.extend(place_of(m).map(|place| Output::Seen { imsi, place }));
            }
            _ => self.reply(id, &m.session_id, &asked, result::INVALID_AVP_VALUE),
        }
    }

    fn end(&mut self, id: u64, smf: &Identity, m: &CreditControlRequest) {
        let asked = Asked::of(m);
        let key = SessionKey { smf: smf.clone(), id: m.session_id.clone() };
        self.bar(|s| s.key() == key);
        let Some(session) = self.sessions.get(&key).cloned() else {
            return self.reply(id, &m.session_id, &asked, result::UNKNOWN_SESSION_ID);
        };
        let ask = Ask { id, request: asked, session, place: None, barred: false };
        self.persist(Write::End(key.clone()), Pending::End(Some(ask)));
        self.over(&key);
    }
}
