//! Changes on their way into the database, and what its answer means. Receipts are signed on that way, off the loop.

use super::{
    CONFIRM_MS,
    cut::{Cut, CutReply},
    pending::{PendingFile, ended},
    restrict::Restrict,
    uncut::Uncut,
};
use crate::{
    control::{Control, Done},
    signing::{Purpose, Signer},
};
use admin_web::{
    BanError, ControlError, HeldClaim, PendingCode, Receipt, ReceiptKind, ScopeOutcome, StoredAt,
};
use futures_util::future::join_all;
use gateway::time::now;
use std::collections::BTreeMap;
use store::{Kept, KeptAnswer, ReceiptRow, RevocationWrite, Store, StoreError};
use tokio::sync::mpsc;
use tracing::error;
use types::{Event, Happening, Imsi, Mono, SimState, Utc};

/// How many changes are handed to the store together: it commits them as one.
const BATCH: usize = 32;

/// A change that the database has not confirmed.
pub(super) struct Storing {
    kind: Kind,
    /// A first, unsaved copy of the receipts, to answer with where the database takes too long.
    receipts: Vec<Receipt>,
    outcome: Option<ScopeOutcome>,
    deadline: Option<Mono>,
}

/// What is being stored.
pub(super) enum Kind {
    Ban(Box<Cut>),
    Unban(Box<Uncut>),
    Restrict(Box<Restrict>),
    /// A ban that only the journal knew; whose, and its state before.
    Learnt(Imsi, SimState, SimState),
}

impl Storing {
    /// Until when the operator waits.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.deadline
    }

    pub(super) fn bans(&self, imsi: Imsi) -> bool {
        match &self.kind {
            Kind::Ban(c) => c.covers(imsi),
            Kind::Learnt(i, ..) => *i == imsi,
            Kind::Unban(_) | Kind::Restrict(_) => false,
        }
    }

    /// The restriction, or the end of one, that this is.
    pub(super) fn restriction(&self) -> Option<&Restrict> {
        match &self.kind {
            Kind::Restrict(r) => Some(r),
            _ => None,
        }
    }

    /// The state that an unban on its way gives this SIM.
    pub(super) fn unbans(&self, imsi: Imsi) -> Option<SimState> {
        match &self.kind {
            Kind::Unban(u) if u.request.imsi == imsi => Some(u.request.state),
            _ => None,
        }
    }

    /// The database takes long. The journal holds the ban, so the operator is answered without it. Gives whom to tell.
    pub(super) fn answer_before_the_database(&mut self, signer: Option<&Signer>) -> Vec<(Imsi, SimState)> {
        self.deadline = None;
        let Kind::Ban(cut) = &mut self.kind else { return Vec::new() };
        let untold = if std::mem::replace(&mut cut.told, true) { Vec::new() } else { cut.whom() };
        let Some(mut r) = self.receipts.first().cloned() else { return untold };
        r.stored.retain(|s| s.place != "database");
        r.wait_for(PendingCode::DatabaseUnderWay, None);
        if let Some(s) = signer {
            sign(s, &mut r);
        }
        let nowhere = r.stored.is_empty();
        match std::mem::replace(&mut cut.reply, CutReply::None) {
            CutReply::None => {}
            CutReply::One(reply) if nowhere => drop(reply.send(Err(BanError::CutNotStored(Box::new(r))))),
            CutReply::Scope(reply) if nowhere => drop(reply.send(Err(BanError::CutNotStored(Box::new(r))))),
            CutReply::One(reply) => drop(reply.send(Ok(r))),
            CutReply::Scope(reply) => {
                if let Some(mut o) = self.outcome.take() {
                    o.stored = r.stored;
                    o.pending.push(admin_web::Pending::new(PendingCode::DatabaseUnderWay, None));
                    drop(reply.send(Ok(o)));
                }
            }
        }
        untold
    }
}

/// A change on its way into the database.
pub(crate) struct StateWrite {
    pub id: u64,
    pub write: RevocationWrite,
    /// Signed on the way.
    pub receipts: Vec<Receipt>,
    /// Receipts that end with it.
    pub closed: Vec<Receipt>,
    /// The answer, where it is not the receipt.
    pub outcome: Option<ScopeOutcome>,
    pub claim: Option<HeldClaim>,
    /// True where it failed before.
    pub retry: bool,
}

/// Changes of state go into the database in the order in which they were decided: a ban never passes the unban
/// before it, nor the other way round. Later versions of receipts have a queue of their own, so that no ban waits for
/// their signatures; the store keeps the newest version, whichever comes first.
pub(crate) struct StateQueue {
    writes: mpsc::UnboundedSender<StateWrite>,
    receipts: mpsc::UnboundedSender<Vec<Receipt>>,
}

impl StateQueue {
    /// Starts the tasks that sign and write. What the database does not take is kept in `pending`.
    pub fn start(
        store: Store,
        signer: Signer,
        pending: PendingFile,
        done: mpsc::UnboundedSender<Done>,
    ) -> Self {
        let (writes, mut wanted) = mpsc::unbounded_channel::<StateWrite>();
        let (receipts, mut later) = mpsc::unbounded_channel::<Vec<Receipt>>();
        let (store_too, signer_too, done_too) = (store.clone(), signer.clone(), done.clone());
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            let mut pending = Some(pending);
            while wanted.recv_many(&mut batch, BATCH).await > 0 {
                // Polled in this order, so they stand in the store's queue in this order.
                let all = std::mem::take(&mut batch).into_iter().map(|w| write(&store, &signer, w));
                let all = join_all(all).await;
                pending = note(pending, &all).await;
                all.into_iter().for_each(|s| drop(done.send(Done::Stored(Box::new(s)))));
            }
        });
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while later.recv_many(&mut batch, BATCH).await > 0 {
                update(&store_too, &signer_too, &done_too, batch.drain(..).flatten().collect()).await;
            }
        });
        Self { writes, receipts }
    }

    fn push(&self, w: StateWrite) {
        drop(self.writes.send(w));
    }
}

/// What failed is on the disk before anybody is answered, on a thread that may block: its disk may fail, too.
async fn note(pending: Option<PendingFile>, all: &[Stored]) -> Option<PendingFile> {
    let mut pending = pending?;
    let ends: BTreeMap<_, _> = all.iter().map(|s| (s.write.id, ended(&s.write, &s.result))).collect();
    if pending.is_idle(&ends) {
        return Some(pending);
    }
    let noted = tokio::task::spawn_blocking(move || {
        pending.note(&ends);
        pending
    });
    noted.await.inspect_err(|e| error!("bans that wait for the database are kept in memory alone: {e}")).ok()
}

async fn write(store: &Store, signer: &Signer, mut w: StateWrite) -> Stored {
    w.write.receipts = w.receipts.iter_mut().map(|r| row(signer, r, None)).collect();
    w.write.receipts.extend(w.closed.iter_mut().map(|r| row(signer, r, Some(now().utc))));
    w.write.kept = kept(&w);
    // A database that is known to fail is not tried for each ban: whoever waits is answered by the journal, and what is
    // put back is tried with each round of the reconciler.
    let fault = store.write_fault().borrow().clone().filter(|_| may_wait(&w));
    let result = match fault {
        Some(e) => Err(e),
        None => store.write_revocation(w.write.clone()).await,
    };
    if result.is_err() {
        for r in &mut w.receipts {
            r.stored.retain(|s| s.place != "database");
            r.wait_for(PendingCode::DatabaseFailed, None);
            sign(signer, r);
        }
    }
    Stored { result, write: w }
}

/// A ban that the journal may hold until the database is well again.
fn may_wait(w: &StateWrite) -> bool {
    w.write.kind == store::StateChange::Ban && !w.retry
}

async fn update(
    store: &Store,
    signer: &Signer,
    done: &mpsc::UnboundedSender<Done>,
    mut receipts: Vec<Receipt>,
) {
    let rows = receipts.iter_mut().map(|r| row(signer, r, None)).collect();
    crash::point("receipt.before-update");
    let ok = store.update_receipts(rows).await.is_ok();
    crash::point("receipt.updated");
    let written = receipts.into_iter().map(|r| (r.imsi, r.id, r.version)).collect();
    drop(done.send(Done::Receipts(ReceiptsWritten { written, ok })));
}

fn sign(signer: &Signer, r: &mut Receipt) {
    r.sign(now().utc, signer.public(), |text| signer.sign(Purpose::Receipt, text));
}

/// Signs a receipt; its row.
pub(super) fn row(signer: &Signer, r: &mut Receipt, closed: Option<Utc>) -> ReceiptRow {
    sign(signer, r);
    // An unban's receipt is whole with its answer.
    let closed = closed.or((r.kind == ReceiptKind::Unban).then_some(r.made_at.0));
    let codes = r.pending.iter().filter_map(|p| serde_json::to_value(p.code).ok());
    let codes: Vec<String> = codes.filter_map(|v| v.as_str().map(str::to_owned)).collect();
    ReceiptRow {
        revocation: r.id.clone(),
        imsi: r.imsi,
        version: r.version,
        body: serde_json::to_string(r).unwrap_or_default(),
        signature: r.signature.clone(),
        pending: codes.join(" "),
        closed,
    }
}

/// The answer as it will be given, for the request's key.
fn kept(w: &StateWrite) -> Option<KeptAnswer> {
    let claim = w.claim.clone()?;
    let body = match (&w.outcome, w.receipts.first()) {
        (Some(o), _) => serde_json::to_vec(o),
        (None, Some(r)) => serde_json::to_vec(r),
        (None, None) => return None,
    };
    let answer = Kept { status: 200, body: body.ok()?, etag: None };
    Some(KeptAnswer { actor: claim.actor, key: claim.key, fingerprint: claim.fingerprint, answer })
}

/// The database's answer to a change.
pub(crate) struct Stored {
    result: Result<(), StoreError>,
    write: StateWrite,
}

/// The database's answer to later versions of receipts: whose, of which revocation, which version.
pub(crate) struct ReceiptsWritten {
    pub(super) written: Vec<(Imsi, String, u64)>,
    pub(super) ok: bool,
}

/// The answer of a ban whose write has ended.
fn answer(reply: CutReply, in_database: bool, w: &mut StateWrite) {
    let kept = in_database && w.write.kept.is_some();
    match reply {
        CutReply::None => {}
        CutReply::One(reply) => {
            let Some(mut r) = w.receipts.first().cloned() else { return };
            r.kept = kept;
            let stored = !r.stored.is_empty();
            drop(reply.send(if stored { Ok(r) } else { Err(BanError::CutNotStored(Box::new(r))) }));
        }
        CutReply::Scope(reply) => {
            let Some(mut o) = w.outcome.take() else { return };
            o.kept = kept;
            if !in_database {
                o.stored.retain(|s| s.place != "database");
                o.pending.push(admin_web::Pending::new(PendingCode::DatabaseFailed, None));
            }
            let nowhere = w.receipts.first().filter(|r| r.stored.is_empty()).cloned();
            drop(reply.send(match nowhere {
                Some(r) => Err(BanError::CutNotStored(Box::new(r))),
                None => Ok(o),
            }));
        }
    }
}

impl Control {
    /// Sends a change on its way.
    pub(super) fn store_revocation(&mut self, w: StateWrite, kind: Kind) {
        let deadline = Some(now().mono.plus_ms(CONFIRM_MS));
        let (receipts, outcome) = (w.receipts.clone(), w.outcome.clone());
        self.bans.storing.insert(w.id, Storing { kind, receipts, outcome, deadline });
        self.states.push(w);
    }

    pub(super) fn store_receipts(&self, receipts: Vec<Receipt>) {
        drop(self.states.receipts.send(receipts));
    }

    /// What the database did not take is tried again: all of it, or one alone while it is known to take nothing, so that
    /// no new ban waits behind hundreds that fail.
    pub(super) fn retry_unsaved(&mut self) {
        let mut all = std::mem::take(&mut self.bans.unsaved);
        if self.store.write_fault().borrow().is_some()
            && let Some(second) = all.keys().nth(1).copied()
        {
            self.bans.unsaved = all.split_off(&second);
        }
        for (_, mut w) in all {
            w.retry = true;
            for r in &mut w.receipts {
                r.waits_no_more(PendingCode::DatabaseFailed);
                r.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
            }
            self.states.push(w);
        }
    }

    /// The database has answered.
    pub(in crate::control) fn ban_stored(&mut self, s: Stored) {
        let Stored { result, write: w } = s;
        if result.is_ok()
            && let Some((records, hash)) = w.write.head
        {
            self.bans.stored_head = gateway::link::JournalHead { records, hash };
        }
        if w.retry {
            return self.stored_late(result, w);
        }
        let Some(storing) = self.bans.storing.remove(&w.id) else { return };
        match (storing.kind, result) {
            (Kind::Ban(cut), result) => self.ban_is_stored(*cut, result, w),
            (Kind::Unban(u), Ok(())) => self.unban_is_stored(*u, w),
            (Kind::Unban(u), Err(e)) => self.unban_not_stored(*u, e),
            (Kind::Restrict(r), result) => self.restriction_stored(*r, result, w),
            (Kind::Learnt(imsi, from, to), Ok(())) => self.state_changed(imsi, from, to, &w.write.change),
            (Kind::Learnt(imsi, ..), Err(e)) => {
                error!(%imsi, "the ban of {imsi}, which the journal has, is not in the database: {e}");
                self.not_saved(w);
            }
        }
    }

    /// Whoever asked is answered first, then the UEs are told: what they cause to be written waits behind the answer.
    fn ban_is_stored(&mut self, mut cut: Cut, result: Result<(), StoreError>, mut w: StateWrite) {
        crash::point("ban.answer");
        answer(std::mem::replace(&mut cut.reply, CutReply::None), result.is_ok(), &mut w);
        self.tell(&mut cut);
        match result {
            Ok(()) => {
                for (imsi, before) in &cut.sims {
                    if *before != Some(cut.state) {
                        self.state_changed(*imsi, before.unwrap_or(cut.state), cut.state, &w.write.change);
                    }
                }
                self.revoked(&cut.row());
            }
            Err(e) => {
                let (n, scope, value) = (cut.sims.len(), cut.scope, &cut.value);
                error!("the ban of {scope} {value} ({n} SIMs) is not in the database: {e}");
                self.not_saved(w);
            }
        }
    }

    fn unban_is_stored(&mut self, u: Uncut, w: StateWrite) {
        let (imsi, to) = (u.request.imsi, u.request.state);
        self.state_changed(imsi, u.before, to, &w.write.change);
        if let Some(r) = &w.write.record {
            self.revoked(r);
        }
        // A ban that came while the unban was being written holds.
        if !self.bans.is_banned_after(w.id, imsi) {
            self.set_state(imsi, to);
        }
        if let Some(r) = w.receipts.into_iter().next() {
            drop(u.reply.send(Ok(r)));
        }
    }

    fn unban_not_stored(&mut self, u: Uncut, e: StoreError) {
        // The SIM stays banned in the database, so the gateway has to cut it again: deny wins.
        let imsi = u.request.imsi;
        error!(%imsi, "the unban of {imsi} is not in the database: {e}");
        if let Some(open) = u.closes {
            self.bans.open.entry(imsi).or_insert(open);
        }
        self.recut(imsi, u.before);
        let e = match e {
            StoreError::Transition(t) => BanError::NotAllowed(t),
            e => BanError::Control(ControlError::Unavailable { part: "store", why: e.to_string() }),
        };
        drop(u.reply.send(Err(e)));
    }

    /// It stays in memory, is said in the receipts, and is tried again.
    fn not_saved(&mut self, w: StateWrite) {
        for r in &w.receipts {
            if let Some(open) = self.bans.open.get_mut(&r.imsi).filter(|o| o.receipt.id == r.id) {
                open.receipt.stored.retain(|s| s.place != "database");
                open.receipt.wait_for(PendingCode::DatabaseFailed, None);
                open.saved = false;
            }
        }
        self.bans.unsaved.insert(w.id, w);
    }

    fn stored_late(&mut self, result: Result<(), StoreError>, w: StateWrite) {
        if result.is_err() {
            return self.not_saved(w);
        }
        for r in &w.receipts {
            if let Some(open) = self.bans.open.get_mut(&r.imsi).filter(|o| o.receipt.id == r.id) {
                open.receipt.waits_no_more(PendingCode::DatabaseFailed);
                open.receipt.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
                open.saved = true;
                open.dirty = true;
            }
        }
        for (imsi, to) in &w.write.states {
            self.state_changed(*imsi, *to, *to, &w.write.change);
        }
        self.retry_unsaved();
        self.flush_soon();
    }

    fn state_changed(&mut self, imsi: Imsi, from: SimState, to: SimState, change: &store::Change) {
        let (actor, reason) = (change.actor.clone(), change.reason.clone());
        let what = Happening::SimState { from, to, actor, reason };
        self.happened(Event { at: now().utc, imsi: Some(imsi), what });
    }

    pub(super) fn revoked(&mut self, r: &store::RevocationRow) {
        let imsi = (r.scope == "sim").then(|| r.value.parse().ok()).flatten();
        let what = Happening::Revoked {
            revocation: r.id.clone(),
            kind: r.kind.clone(),
            scope: format!("{}:{}", r.scope, r.value),
            sims: r.sims,
            actor: r.actor.clone(),
            reason: r.reason.clone(),
        };
        self.happened(Event { at: now().utc, imsi, what });
    }
}
