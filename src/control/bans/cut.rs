//! An operator bans: the directory refuses the SIM, the gateway cuts it, the database is told, sessions end.

use super::{CONFIRM_MS, Reply, new_id, receipt::journal_place, store::StateWrite};
use crate::control::Control;
use admin_web::{
    Asker, BanError, BanRequest, Deregistration, PendingCode, Receipt, ReceiptCut, ReceiptKind, ScopeFailure,
    ScopeKind, ScopeOutcome, Stamp, StoredAt,
};
use gateway::{
    link::{CutReceipt, JournalHead, ToGateway},
    time::now,
};
use store::{RevocationRow, RevocationWrite, StateChange};
use tokio::sync::oneshot;
use types::{Imsi, Mono, SimState, Utc};

/// Whom to answer.
pub(super) enum CutReply {
    /// Nobody asked.
    None,
    /// Of a ban of one SIM.
    One(Reply),
    /// Of a ban of a scope.
    Scope(oneshot::Sender<Result<ScopeOutcome, BanError>>),
}

/// A cut that the gateway has not confirmed.
pub(super) struct Cut {
    /// The revocation.
    pub id: String,
    pub scope: ScopeKind,
    pub value: String,
    pub state: SimState,
    pub asker: Asker,
    /// Whom, with the state before.
    pub sims: Vec<(Imsi, Option<SimState>)>,
    /// What of the scope is not cut.
    pub failed: Vec<ScopeFailure>,
    /// The device that is banned with it.
    pub device: Option<String>,
    pub reply: CutReply,
    pub at: Utc,
    pub deadline: Mono,
    /// False for a cut that only repeats what the database has.
    pub record: bool,
    /// True once its UEs have been told.
    pub told: bool,
}

impl Cut {
    pub(super) fn new(
        scope: ScopeKind,
        value: String,
        state: SimState,
        asker: Asker,
        reply: CutReply,
    ) -> Self {
        let now = now();
        Self {
            id: new_id(now.utc),
            scope,
            value,
            state,
            asker,
            sims: Vec::new(),
            failed: Vec::new(),
            device: None,
            reply,
            at: now.utc,
            deadline: now.mono.plus_ms(CONFIRM_MS),
            record: true,
            told: false,
        }
    }

    pub(super) fn covers(&self, imsi: Imsi) -> bool {
        self.sims.iter().any(|(i, _)| *i == imsi)
    }

    /// Whom, and to which state.
    pub(super) fn whom(&self) -> Vec<(Imsi, SimState)> {
        self.sims.iter().map(|(imsi, _)| (*imsi, self.state)).collect()
    }

    /// The record of it.
    pub(super) fn row(&self) -> RevocationRow {
        let a = &self.asker;
        RevocationRow {
            id: self.id.clone(),
            at: self.at,
            kind: "ban".to_owned(),
            scope: self.scope.to_string(),
            value: self.value.clone(),
            state: Some(self.state),
            actor: a.actor.clone(),
            reason: a.reason.clone(),
            ticket: a.ticket.clone(),
            request_id: a.request_id.clone(),
            origin: a.origin.clone(),
            sims: self.sims.len() as u64,
            detail: serde_json::json!({ "device": self.device, "failed": self.failed }).to_string(),
        }
    }

    /// Who, when and why, for the audit.
    pub(super) fn change(&self) -> store::Change {
        change_of(&self.asker, self.at)
    }

    fn receipt(&self, imsi: Imsi, before: Option<SimState>) -> Receipt {
        let mut r = Receipt::new(ReceiptKind::Ban, self.id.clone(), imsi, self.state, self.at);
        r.before = before;
        r.scope = format!("{}:{}", self.scope, self.value);
        r.actor.clone_from(&self.asker.actor);
        r.reason.clone_from(&self.asker.reason);
        r.ticket.clone_from(&self.asker.ticket);
        r
    }
}

/// Who asked, for the audit.
pub(super) fn change_of(a: &Asker, at: Utc) -> store::Change {
    store::Change {
        actor: a.actor.clone(),
        at,
        reason: a.reason.clone(),
        request_id: a.request_id.clone(),
        origin: a.origin.clone(),
        ticket: a.ticket.clone(),
    }
}

impl Control {
    /// An operator bans a SIM.
    pub(in crate::control) fn ban(&mut self, request: BanRequest, reply: Reply) {
        crash::point("ban.asked");
        let before = match self.may_ban(request.imsi, request.state) {
            Ok(before) => before,
            Err(e) => return drop(reply.send(Err(e))),
        };
        let value = request.imsi.to_string();
        let mut cut = Cut::new(ScopeKind::Sim, value, request.state, request.asker, CutReply::One(reply));
        cut.sims = vec![(request.imsi, before)];
        self.cut(cut);
    }

    /// The state before, where the table of states allows the ban.
    pub(super) fn may_ban(&self, imsi: Imsi, state: SimState) -> Result<Option<SimState>, BanError> {
        // An unban that is on its way into the database is ahead of this ban there.
        let unbanned = self.bans.storing.values().find_map(|w| w.unbans(imsi));
        match unbanned.or(self.state_of(imsi)) {
            None => Err(BanError::NotFound),
            // A second ban of the same kind is repeated and answered anew: whoever asks wants to be sure.
            Some(b) if b == state => Ok(Some(b)),
            Some(b) => b.change_to(state).map(|_| Some(b)).map_err(BanError::NotAllowed),
        }
    }

    pub(super) fn cut(&mut self, cut: Cut) {
        for (imsi, _) in &cut.sims {
            self.set_state(*imsi, cut.state);
        }
        let id = self.number();
        let (state, at) = (cut.state, cut.at);
        let (actor, reason) = (cut.asker.actor.clone(), cut.asker.reason.clone());
        let message = match cut.sims.as_slice() {
            [(imsi, _)] => ToGateway::Cut { id, imsi: *imsi, state, actor, reason, at },
            all => {
                let imsis = all.iter().map(|(i, _)| *i).collect();
                ToGateway::CutAll { id, imsis, state, actor, reason, at }
            }
        };
        self.bans.cuts.insert(id, cut);
        if self.gateway.is_some() {
            self.to_gateway(message);
        } else {
            self.cut_without_gateway(id, PendingCode::GatewayDown);
        }
    }

    /// The gateway has cut.
    pub(in crate::control) fn cut_done(&mut self, id: u64, receipts: Vec<CutReceipt>) {
        let Some(cut) = self.bans.cuts.remove(&id) else {
            return receipts.iter().for_each(|r| self.learn_late_cut(r));
        };
        let mut made = Vec::with_capacity(receipts.len());
        let mut cut_us = 0;
        for g in &receipts {
            if let Ok(s) = &g.journal {
                self.bans.saw_head(s.record, s.hash);
            }
            let before = cut.sims.iter().find(|(i, _)| *i == g.imsi).and_then(|(_, b)| *b);
            let mut r = cut.receipt(g.imsi, before);
            r.cut =
                ReceiptCut { at: Stamp(g.cut_at), us: g.cut_us, shards: g.shards_confirmed, of: g.shards };
            r.last_packet = g.last_packet.map(Stamp);
            r.dropped_since = g.dropped;
            match &g.journal {
                Ok(s) => {
                    r.stored.push(journal_place(s));
                    copies(&mut r, s.record, &g.copies);
                }
                Err(why) => r.wait_for(PendingCode::JournalFailed, Some(why.clone())),
            }
            if g.shards_confirmed < g.shards {
                let detail = format!("{} / {}", g.shards_confirmed, g.shards);
                r.wait_for(PendingCode::ShardsUnconfirmed, Some(detail));
            }
            cut_us = cut_us.max(g.cut_us);
            made.push(r);
        }
        self.record_cut(id, cut, made, cut_us);
    }

    pub(super) fn cut_without_gateway(&mut self, id: u64, why: PendingCode) {
        let Some(cut) = self.bans.cuts.remove(&id) else { return };
        let receipt = |(imsi, before): &(Imsi, Option<SimState>)| {
            let mut r = cut.receipt(*imsi, *before);
            r.wait_for(why, None);
            r
        };
        let made = cut.sims.iter().map(receipt).collect();
        self.record_cut(id, cut, made, 0);
    }

    /// The record goes to the database; once that is answered, the UEs are told.
    fn record_cut(&mut self, id: u64, mut cut: Cut, mut receipts: Vec<Receipt>, cut_us: u64) {
        if !cut.record {
            receipts.iter().for_each(|r| self.add_to_receipt(r));
            self.tell(&mut cut);
            return;
        }
        for r in &mut receipts {
            self.add_sessions(r);
            // Read by nobody unless the transaction that carries it stands.
            r.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
        }
        let mut write = RevocationWrite::new(StateChange::Ban, cut.change());
        write.record = Some(cut.row());
        // A state that is there already is passed over by the store.
        write.states = cut.sims.iter().map(|(imsi, _)| (*imsi, cut.state)).collect();
        write.head = self.head_to_write();
        let closed = self.open_receipts(&receipts);
        let outcome = matches!(cut.reply, CutReply::Scope(_)).then(|| outcome(&cut, &receipts, cut_us));
        let claim = cut.asker.claim.clone();
        let w = StateWrite { id, write, receipts, closed, outcome, claim, retry: false };
        self.store_revocation(w, super::store::Kind::Ban(Box::new(cut)));
    }

    /// Releases the sessions and deregisters the UEs, once. Their packets are stopped already.
    pub(super) fn tell(&mut self, cut: &mut Cut) {
        if !std::mem::replace(&mut cut.told, true) {
            cut.whom().into_iter().for_each(|(imsi, state)| self.end_sim(imsi, state));
        }
    }

    /// The sessions that are being released, and whether the UE is there to be told.
    fn add_sessions(&self, r: &mut Receipt) {
        if let Some(mme) = self.served_by(r.imsi) {
            r.wait_for(PendingCode::MmeUnacknowledged, Some(mme.clone()));
            r.wait_for(PendingCode::MmeNotEffective, Some(mme));
        }
        for smf in self.session_holders(r.imsi) {
            r.wait_for(PendingCode::SmfUnacknowledged, Some(smf.clone()));
            r.wait_for(PendingCode::SmfNotEffective, Some(smf));
        }
        r.sessions = self.ending_sessions(r.imsi);
        if !r.sessions.is_empty() {
            r.wait_for(PendingCode::SessionRelease, None);
        }
        if self.amf.ue(types::Supi(r.imsi)).is_some_and(|ue| ue.guti.is_some()) {
            r.deregistration = Deregistration::Pending;
            r.wait_for(PendingCode::DeregistrationUnconfirmed, None);
        }
    }

    /// The journal's head, where it is news to the database.
    pub(super) fn head_to_write(&self) -> Option<(u64, [u8; 32])> {
        let JournalHead { records, hash } = self.bans.head;
        (records > self.bans.stored_head.records).then_some((records, hash))
    }
}

/// Which copies have the journal's record.
pub(super) fn copies(r: &mut Receipt, record: u64, copies: &[gateway::link::CopyStatus]) {
    if copies.is_empty() {
        r.wait_for(PendingCode::NoCopy, None);
    }
    for c in copies {
        if c.head.is_some_and(|h| h.records >= record) {
            r.stored.push(StoredAt { place: c.place.clone(), record: Some(record), hash: None });
        } else {
            r.wait_for(PendingCode::CopyBehind, Some(c.place.clone()));
        }
    }
}

fn outcome(cut: &Cut, receipts: &[Receipt], cut_us: u64) -> ScopeOutcome {
    let first = receipts.first();
    // What is said of each SIM's own stands in its receipt.
    let whole = |c: PendingCode| {
        !matches!(
            c,
            PendingCode::DeregistrationUnconfirmed
                | PendingCode::SessionRelease
                | PendingCode::MmeUnacknowledged
                | PendingCode::MmeNotEffective
                | PendingCode::SmfUnacknowledged
                | PendingCode::SmfNotEffective
        )
    };
    ScopeOutcome {
        id: cut.id.clone(),
        scope: cut.scope.to_string(),
        value: cut.value.clone(),
        state: cut.state.to_string(),
        sims: cut.sims.len() as u64,
        sessions: receipts.iter().map(|r| r.sessions.len() as u64).sum(),
        device: cut.device.clone(),
        cut_us,
        stored: first.map(|r| r.stored.clone()).unwrap_or_default(),
        failed: cut.failed.clone(),
        pending: first
            .map(|r| r.pending.iter().filter(|p| whole(p.code)).cloned().collect())
            .unwrap_or_default(),
        kept: false,
    }
}
