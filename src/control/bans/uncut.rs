//! The way back from a ban: the journal first, then the database, then the gateway and the directory.

use super::{
    CONFIRM_MS, Reply,
    cut::change_of,
    new_id, no_gateway,
    receipt::{Open, journal_place, last_version},
    store::{Kind, StateWrite},
};
use crate::control::Control;
use admin_web::{BanError, ControlError, Receipt, ReceiptCut, ReceiptKind, Stamp, StoredAt, UnbanRequest};
use gateway::{
    link::{Stored as Recorded, ToGateway},
    time::now,
};
use store::{RevocationRow, RevocationWrite, StateChange};
use types::{Mono, SimState, Utc};

/// An uncut that the gateway has not confirmed, or the database.
pub(super) struct Uncut {
    pub request: UnbanRequest,
    pub reply: Reply,
    pub before: SimState,
    pub at: Utc,
    pub deadline: Mono,
    /// The ban's receipt, which ends with it.
    pub closes: Option<Open>,
}

impl Control {
    /// An operator takes a ban back.
    pub(in crate::control) fn unban(&mut self, request: UnbanRequest, reply: Reply) {
        let before = match self.state_of(request.imsi) {
            None => return drop(reply.send(Err(BanError::NotFound))),
            Some(b) => b,
        };
        let not_allowed = types::TransitionError { from: before, to: request.state };
        if !before.is_banned() || before.change_to(request.state).is_err() || request.state.is_banned() {
            return drop(reply.send(Err(BanError::NotAllowed(not_allowed))));
        }
        // A ban that is not through yet is ahead: whoever takes it back has to see it first.
        let on_its_way = self.bans.cuts.values().any(|c| c.covers(request.imsi))
            || self.bans.uncuts.values().any(|u| u.request.imsi == request.imsi);
        if on_its_way {
            let why = format!("a ban or an unban of {} is not through yet", request.imsi);
            return drop(reply.send(Err(ControlError::Denied(why).into())));
        }
        if self.gateway.is_none() {
            let e = no_gateway("it keeps the journal of bans, and an unban must be in it");
            return drop(reply.send(Err(e.into())));
        }
        let now = now();
        let id = self.number();
        self.to_gateway(ToGateway::Uncut {
            id,
            imsi: request.imsi,
            actor: request.asker.actor.clone(),
            reason: request.asker.reason.clone(),
            at: now.utc,
        });
        let deadline = now.mono.plus_ms(CONFIRM_MS);
        self.bans.uncuts.insert(id, Uncut { request, reply, before, at: now.utc, deadline, closes: None });
    }

    /// The gateway has recorded an unban, or refused it.
    pub(in crate::control) fn uncut_done(&mut self, id: u64, result: Result<Recorded, String>) {
        let Some(mut u) = self.bans.uncuts.remove(&id) else {
            // Its asker was told that it failed, so it has to be so: deny wins.
            return self.resend_union();
        };
        let recorded = match result {
            Ok(r) => r,
            Err(why) => return drop(u.reply.send(Err(no_gateway(&why).into()))),
        };
        self.bans.saw_head(recorded.record, recorded.hash);
        let imsi = u.request.imsi;
        // A ban that came between the request and this answer wins: it is in the journal behind us or on its way.
        if self.bans.cuts.values().any(|c| c.covers(imsi)) {
            let why = format!("a ban of {imsi} came meanwhile");
            return drop(u.reply.send(Err(ControlError::Denied(why).into())));
        }
        crash::point("unban.recorded");
        let name = new_id(u.at);
        let asker = &u.request.asker;
        let mut receipt = Receipt::new(ReceiptKind::Unban, name.clone(), imsi, u.request.state, u.at);
        receipt.before = Some(u.before);
        receipt.actor.clone_from(&asker.actor);
        receipt.reason.clone_from(&asker.reason);
        receipt.ticket.clone_from(&asker.ticket);
        let shards = self.gateway.as_ref().map_or(0, |g| g.hello.shards);
        receipt.cut = ReceiptCut { at: Stamp(u.at), us: 0, shards, of: shards };
        receipt.stored = vec![
            journal_place(&recorded),
            StoredAt { place: "database".to_owned(), record: None, hash: None },
        ];
        let mut write = RevocationWrite::new(StateChange::Unban, change_of(asker, u.at));
        write.record = Some(RevocationRow {
            id: name,
            at: u.at,
            kind: "unban".to_owned(),
            scope: "sim".to_owned(),
            value: imsi.to_string(),
            state: Some(u.request.state),
            actor: asker.actor.clone(),
            reason: asker.reason.clone(),
            ticket: asker.ticket.clone(),
            request_id: asker.request_id.clone(),
            origin: asker.origin.clone(),
            sims: 1,
            detail: "{}".to_owned(),
        });
        write.states = vec![(imsi, u.request.state)];
        write.head = self.head_to_write();
        write.approves.clone_from(&u.request.approves);
        // The unban's own receipt is whole with its answer; nothing is added to it later.
        let mut closed = Vec::new();
        if let Some(open) = self.bans.open.remove(&imsi) {
            closed.push(last_version(Open::of(open.receipt.clone())));
            u.closes = Some(open);
        }
        let claim = asker.claim.clone();
        let w = StateWrite { id, write, receipts: vec![receipt], closed, outcome: None, claim, retry: false };
        self.store_revocation(w, Kind::Unban(Box::new(u)));
    }
}
