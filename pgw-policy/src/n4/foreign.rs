//! Sessions that a foreign SMF steers. It is not believed who a SIM is: before such a session is made, whoever knows
//! the SIMs is asked whether this one may live, is attached, and which address it has; without that answer there is no
//! session. What may not live any longer is ended here, whatever the SMF says.

use super::change::Done;
use super::rules::{Refusal, ie};
use super::{Asked, Entry, N4, N4Output, Peer};
use crate::session::Rules;
use types::{ForeignAsk, ForeignGrant, ForeignRefusal, ForeignSession, Mono, Now, Seid};
use wire::pfcp::{Cause, Message, Pdu, SessionEstablishmentRequest, UeIpAddress};

/// How long an answer may take: an SMF repeats its request for longer than this.
const PATIENCE_MS: u64 = 6_000;

/// Most sessions of one SMF that wait for it, and octets of their requests.
pub(super) const MOST: usize = 4_096;
pub(super) const MOST_OCTETS: usize = 8 << 20;

/// A session that waits for the answer.
pub(super) struct Pending {
    asked: Asked,
    /// As octets: what was read of them may be many times as large.
    request: Vec<u8>,
    ask: ForeignAsk,
    until: Mono,
}

impl N4 {
    /// Asks about a session whose request was found right.
    pub(super) fn ask_about(
        &mut self,
        asked: Asked,
        message: &SessionEstablishmentRequest,
        ask: ForeignAsk,
        now: Now,
    ) -> Result<(), Refusal> {
        let message = message.clone().into();
        let request = Pdu { seid: Some(0), sequence: asked.sequence, message }.encode();
        let same = self.pending.values().filter(|p| p.asked.peer == asked.peer);
        let (n, octets) = same.fold((1, request.len()), |(n, all), p| (n + 1, all + p.request.len()));
        if n > MOST || octets > MOST_OCTETS {
            return Err(Refusal::of(Cause::NoResources));
        }
        self.next_ask += 1;
        let ask = ForeignAsk { id: self.next_ask, ..ask };
        let until = now.mono.plus_ms(PATIENCE_MS);
        let pending = Pending { asked, request, ask: ask.clone(), until };
        self.pending.insert(ask.id, pending);
        self.out.push_back(N4Output::Ask(ask));
        Ok(())
    }

    /// What was asked and not answered: for whoever decides, and was away.
    pub fn asked_about(&self) -> Vec<ForeignAsk> {
        self.pending.values().map(|p| p.ask.clone()).collect()
    }

    /// The answer. The request is judged anew: much may have changed meanwhile.
    pub fn answered(&mut self, id: u64, answer: Result<ForeignGrant, ForeignRefusal>, now: Now) {
        let Some(p) = self.pending.remove(&id) else { return };
        let Ok(Pdu { message: Message::SessionEstablishmentRequest(m), .. }) = Pdu::parse(&p.request) else {
            return self.refuse_establishment(p.asked, 0, Refusal::of(Cause::SystemFailure));
        };
        let made = match answer {
            Ok(grant) => self.establish(p.asked, &m, Some(grant), now),
            Err(why) => Err(refusal(why)),
        };
        if let Err(r) = made {
            self.refuse_establishment(p.asked, m.cp_f_seid.seid, r);
        }
    }

    pub(super) fn next_patience(&self) -> Option<Mono> {
        self.pending.values().map(|p| p.until).min()
    }

    /// Nobody answers: no session.
    pub(super) fn give_up_asking(&mut self, now: Now) {
        let late: Vec<u64> =
            self.pending.iter().filter(|(_, p)| p.until <= now.mono).map(|(id, _)| *id).collect();
        for id in late {
            self.answered(id, Err(ForeignRefusal::Unavailable), now);
        }
    }

    /// A peer that is gone waits for nothing.
    pub(super) fn forget_asked(&mut self, peer: Peer) {
        self.pending.retain(|_, p| p.asked.peer != peer);
        self.requests.remove(&peer);
    }

    /// These may not live any longer. Only what a foreign SMF steers is ended here.
    pub fn end_foreign(&mut self, seids: &[Seid], now: Now) {
        let foreign = |s: &&Seid| self.sessions.get(s).is_some_and(|e| e.peer != Peer::Local);
        let gone: Vec<Seid> = seids.iter().filter(foreign).copied().collect();
        self.drop_sessions(&gone, Done::Nothing { rest: Vec::new() }, now);
    }

    /// All sessions that foreign SMFs steer.
    pub fn foreign_sessions(&self) -> Vec<ForeignSession> {
        self.sessions.iter().filter_map(|(seid, e)| e.foreign(*seid)).collect()
    }

    /// Tells of a foreign session that is seen otherwise than by its rules of before.
    pub(super) fn tell_changed(&mut self, seid: Seid, before: &Rules) {
        let Some(e) = self.sessions.get(&seid) else { return };
        let seen = |r: &Rules| (r.is_connected(e.identity.ue), r.default_rates(e.identity.ue));
        if seen(before) != seen(&e.rules) {
            self.tell_foreign(e.foreign(seid), true);
        }
    }

    /// Tells of a foreign session that is there now, or gone.
    pub(super) fn tell_foreign(&mut self, session: Option<ForeignSession>, up: bool) {
        self.out.extend(session.map(|session| N4Output::Foreign { session, up }));
    }
}

impl Entry {
    pub(super) fn foreign(&self, seid: Seid) -> Option<ForeignSession> {
        let Peer::Udp(smf) = self.peer else { return None };
        let id = &self.identity;
        Some(ForeignSession {
            up_seid: seid,
            smf,
            imsi: id.supi.imsi(),
            dnn: id.dnn.clone().filter(|_| self.ready)?,
            snssai: id.snssai,
            ip: id.ue,
            prefix: id.prefix,
            connected: self.rules.is_connected(id.ue),
            rates: self.rules.default_rates(id.ue),
            since: self.since,
        })
    }

    /// The addresses, where they were left to us.
    pub(super) fn told_addresses(&self) -> Option<Vec<UeIpAddress>> {
        let (v4, v6) = (Some(self.identity.ue.0), self.identity.prefix.map(|p| p.network()));
        let v6_length = v6.map(|_| 64);
        self.chose_address.then(|| vec![UeIpAddress { v4, v6, v6_length, ..UeIpAddress::default() }])
    }
}

fn refusal(why: ForeignRefusal) -> Refusal {
    match why {
        ForeignRefusal::UnknownSim | ForeignRefusal::NotLiving | ForeignRefusal::NotAttached => {
            Refusal::element(Cause::Rejected, ie::USER_ID)
        }
        ForeignRefusal::WrongNetwork => Refusal::element(Cause::Rejected, ie::APN_DNN),
        ForeignRefusal::WrongAddress => Refusal::element(Cause::RuleFailure, ie::UE_IP_ADDRESS),
        ForeignRefusal::NoAddress | ForeignRefusal::Unavailable => Refusal::of(Cause::NoResources),
    }
}
