//! The way back from a ban: the journal first, then the database, then the gateway and the directory.

use super::{CONFIRM_MS, Reply, receipt::journal_place, store::Storing};
use crate::{
    control::Control,
    link::{Stored as Recorded, ToGateway},
    time::now,
};
use admin_web::{BanError, ControlError, Receipt, UnbanRequest};
use store::{Change, StateChange};
use types::{Mono, SimState, Utc};

/// An uncut that the gateway has not confirmed.
pub(super) struct Uncut {
    pub request: UnbanRequest,
    pub reply: Reply,
    pub before: SimState,
    pub at: Utc,
    pub deadline: Mono,
}

impl Control {
    /// An operator takes a ban back.
    pub(in crate::control) fn unban(&mut self, request: UnbanRequest, reply: Reply) {
        let before = match self.hss.state(request.imsi) {
            None => return drop(reply.send(Err(BanError::NotFound))),
            Some(b) => b,
        };
        let not_allowed = types::TransitionError { from: before, to: request.state };
        if !before.is_banned() || before.change_to(request.state).is_err() || request.state.is_banned() {
            return drop(reply.send(Err(BanError::NotAllowed(not_allowed))));
        }
        if self.gateway.is_none() {
            let why = "it keeps the journal of bans, and an unban must be in it".to_owned();
            return drop(reply.send(Err(ControlError::Unavailable { part: "gateway", why }.into())));
        }
        let now = now();
        let id = self.number();
        self.to_gateway(ToGateway::Uncut {
            id,
            imsi: request.imsi,
            actor: request.actor.clone(),
            reason: request.reason.clone(),
            at: now.utc,
        });
        let deadline = now.mono.plus_ms(CONFIRM_MS);
        self.bans.uncuts.insert(id, Uncut { request, reply, before, at: now.utc, deadline });
    }

    /// The gateway has recorded an unban, or refused it.
    pub(in crate::control) fn uncut_done(&mut self, id: u64, result: Result<Recorded, String>) {
        let Some(u) = self.bans.uncuts.remove(&id) else { return };
        let recorded = match result {
            Ok(r) => r,
            Err(why) => {
                let e = ControlError::Unavailable { part: "gateway", why };
                return drop(u.reply.send(Err(e.into())));
            }
        };
        // A ban that came between the request and this answer wins: it is in the journal behind us or on its way.
        let banned_again = self.bans.cuts.values().any(|c| c.request.imsi == u.request.imsi);
        if banned_again {
            let e = types::TransitionError { from: u.before, to: u.request.state };
            return drop(u.reply.send(Err(BanError::NotAllowed(e))));
        }
        let receipt = Receipt {
            imsi: u.request.imsi,
            state: u.request.state,
            before: Some(u.before),
            cut_at: u.at,
            cut_us: 0,
            shards: self.gateway.as_ref().map_or(0, |g| g.hello.shards),
            stored: vec![journal_place(&recorded)],
            last_packet: None,
            dropped_since: 0,
            sessions: Vec::new(),
            pending: Vec::new(),
        };
        let change = Change {
            actor: u.request.actor.clone(),
            at: u.at,
            reason: u.request.reason.clone(),
            request_id: u.request.request_id,
            origin: String::new(),
            ticket: u.request.ticket,
        };
        let (imsi, to) = (u.request.imsi, u.request.state);
        self.bans.storing.insert(
            id,
            Storing {
                imsi,
                to,
                before: Some(u.before),
                actor: u.request.actor,
                reason: u.request.reason,
                reply: Some(u.reply),
                ban: false,
                receipt,
            },
        );
        self.store_state(id, imsi, to, StateChange::Unban, change);
    }
}
