//! The ban: cut, record, answer, tell (DESIGN §3).
//!
//! 1. `hss` and `access` refuse the SIM from this moment on.
//! 2. The gateway cuts it in every shard and appends to its journal; its receipt comes back.
//! 3. Session release and deregistration go out; nobody waits for the UE.
//! 4. The database gets state, history, audit and outbox in one transaction.
//! 5. The operator is answered with what was stored and enforced where, and what is pending.
//!
//! Where the gateway is not there, no packet passes; the ban is stored in the database and given to the gateway
//! before anything else when it is back. Where the database fails, the journal holds the ban, and the two are
//! united at the next connection. Deny wins everywhere.

use super::{Control, Done, api::Asked};
use crate::{
    crash,
    link::{CutReceipt, GatewayHello, Revoked, SimTrace, Stored as Recorded, ToGateway},
    time::now,
};
use access::nr::UeState;
use admin_web::{BanError, BanRequest, ControlError, Receipt, StoredAt, UnbanRequest};
use std::collections::BTreeMap;
use store::{Change, StateChange, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};
use types::{Event, Happening, Imsi, Mono, PduSessionId, SimState, Utc};

/// How long the gateway may take before the operator is told that it has not confirmed.
const CONFIRM_MS: u64 = 3_000;
/// How often what lives is compared with what may.
const SWEEP_MS: u64 = 5_000;

type Reply = oneshot::Sender<Result<Receipt, BanError>>;

/// Bans and unbans on their way, by the number of their request to the gateway.
#[derive(Default)]
pub(crate) struct Bans {
    cuts: BTreeMap<u64, Cut>,
    uncuts: BTreeMap<u64, Uncut>,
    storing: BTreeMap<u64, Storing>,
    next_sweep: Mono,
}

/// A cut that the gateway has not confirmed.
struct Cut {
    request: BanRequest,
    reply: Option<Reply>,
    before: Option<SimState>,
    at: Utc,
    deadline: Mono,
}

/// An uncut that the gateway has not confirmed.
struct Uncut {
    request: UnbanRequest,
    reply: Reply,
    before: SimState,
    at: Utc,
    deadline: Mono,
}

/// A change that the database has not confirmed.
struct Storing {
    imsi: Imsi,
    to: SimState,
    before: Option<SimState>,
    actor: String,
    reason: String,
    reply: Option<Reply>,
    ban: bool,
    receipt: Receipt,
}

/// A change of state on its way into the database.
struct StateWrite {
    id: u64,
    imsi: Imsi,
    to: SimState,
    kind: StateChange,
    change: Change,
}

/// Changes of state go into the database in the order in which they were decided: a ban never passes the unban
/// before it, nor the other way round.
pub(crate) struct StateQueue(mpsc::UnboundedSender<StateWrite>);

impl StateQueue {
    /// Starts the task that writes.
    pub fn start(store: Store, done: mpsc::UnboundedSender<Done>) -> Self {
        let (tx, mut rx) = mpsc::unbounded_channel::<StateWrite>();
        tokio::spawn(async move {
            while let Some(w) = rx.recv().await {
                let result = store.change_sim_state(w.imsi, w.to, w.kind, &w.change).await.map(|_| ());
                drop(done.send(Done::Stored(Stored { id: w.id, result })));
            }
        });
        Self(tx)
    }

    fn push(&self, w: StateWrite) {
        drop(self.0.send(w));
    }
}

/// The database's answer.
pub(crate) struct Stored {
    id: u64,
    result: Result<(), StoreError>,
}

/// A receipt that only waits for the count of packets dropped since the cut.
pub(crate) struct Ready {
    reply: Reply,
    receipt: Receipt,
    stored: bool,
}

impl Ready {
    /// Answers the operator.
    pub(crate) fn answer(mut self, trace: Option<SimTrace>) {
        if let Some(t) = trace {
            self.receipt.dropped_since = t.dropped;
            self.receipt.last_packet = self.receipt.last_packet.or(t.last_packet);
        }
        let answer =
            if self.stored { Ok(self.receipt) } else { Err(BanError::CutNotStored(Box::new(self.receipt))) };
        crash::point("ban.answer");
        drop(self.reply.send(answer));
    }
}

impl Bans {
    /// When [`Control::bans_timeout`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let cuts = self.cuts.values().map(|c| c.deadline);
        let uncuts = self.uncuts.values().map(|u| u.deadline);
        cuts.chain(uncuts).chain(std::iter::once(self.next_sweep)).min()
    }

    /// True while a ban of this SIM that was asked for after request `id` is on its way to the gateway or into the
    /// database.
    fn is_banned_after(&self, id: u64, imsi: Imsi) -> bool {
        self.cuts.iter().any(|(n, c)| *n > id && c.request.imsi == imsi)
            || self.storing.iter().any(|(n, w)| *n > id && w.imsi == imsi && w.ban)
    }
}

impl Control {
    /// An operator bans a SIM.
    pub(super) fn ban(&mut self, request: BanRequest, reply: Reply) {
        // An unban that is on its way into the database is ahead of this ban there.
        let unbanned = self.bans.storing.values().find(|w| w.imsi == request.imsi && !w.ban).map(|w| w.to);
        let before = unbanned.or(self.hss.state(request.imsi));
        match before {
            None => return drop(reply.send(Err(BanError::NotFound))),
            // A second ban of the same kind is repeated and answered anew: whoever asks wants to be sure.
            Some(b) if b == request.state => {}
            Some(b) => {
                if let Err(e) = b.change_to(request.state) {
                    return drop(reply.send(Err(BanError::NotAllowed(e))));
                }
            }
        }
        self.cut(request, before, Some(reply));
    }

    fn cut(&mut self, request: BanRequest, before: Option<SimState>, reply: Option<Reply>) {
        crash::point("ban.asked");
        let now = now();
        self.hss.handle(hss::Input::SetState { imsi: request.imsi, state: request.state }, now);
        let id = self.number();
        let (imsi, state) = (request.imsi, request.state);
        let (actor, reason) = (request.actor.clone(), request.reason.clone());
        let deadline = now.mono.plus_ms(CONFIRM_MS);
        self.bans.cuts.insert(id, Cut { request, reply, before, at: now.utc, deadline });
        if self.gateway.is_some() {
            self.to_gateway(ToGateway::Cut { id, imsi, state, actor, reason, at: now.utc });
        } else {
            self.cut_without_gateway(
                id,
                "the gateway is down: no packet passes, and it is cut before it forwards again",
            );
        }
    }

    /// The gateway has cut.
    pub(super) fn cut_done(&mut self, id: u64, receipt: CutReceipt) {
        let Some(cut) = self.bans.cuts.remove(&id) else {
            return self.learn_late_cut(&receipt);
        };
        let mut stored = Vec::new();
        let sessions = self.sessions_of(cut.request.imsi);
        let mut pending = self.tell(cut.request.imsi, cut.request.state);
        match &receipt.journal {
            Ok(r) => {
                stored.push(journal_place(r));
                pending.push("the revocation journal has no copy off this machine".to_owned());
            }
            Err(why) => pending.push(format!("the revocation journal could not be written: {why}")),
        }
        if receipt.shards_confirmed < receipt.shards {
            pending.push(format!("{} of {} shards confirmed", receipt.shards_confirmed, receipt.shards));
        }
        let answer = Receipt {
            imsi: receipt.imsi,
            state: cut.request.state,
            before: cut.before,
            cut_at: receipt.cut_at,
            cut_us: receipt.cut_us,
            shards: receipt.shards_confirmed,
            stored,
            last_packet: receipt.last_packet,
            dropped_since: 0,
            sessions,
            pending,
        };
        self.store_ban(id, cut, answer);
    }

    fn cut_without_gateway(&mut self, id: u64, why: &str) {
        let Some(cut) = self.bans.cuts.remove(&id) else { return };
        let sessions = self.sessions_of(cut.request.imsi);
        let mut pending = self.tell(cut.request.imsi, cut.request.state);
        pending.push(why.to_owned());
        let answer = Receipt {
            imsi: cut.request.imsi,
            state: cut.request.state,
            before: cut.before,
            cut_at: cut.at,
            cut_us: 0,
            shards: 0,
            stored: Vec::new(),
            last_packet: None,
            dropped_since: 0,
            sessions,
            pending,
        };
        self.store_ban(id, cut, answer);
    }

    /// Session release, deregistration: sent, not waited for. What is pending of it, in words.
    fn tell(&mut self, imsi: Imsi, state: SimState) -> Vec<String> {
        self.end_sim(imsi, state);
        let ends = |s: UeState| s == UeState::Deregistering;
        let told = self.amf.ues().any(|u| u.supi.imsi() == imsi && ends(u.state));
        if told { vec!["the UE has not confirmed its deregistration".to_owned()] } else { Vec::new() }
    }

    fn sessions_of(&self, imsi: Imsi) -> Vec<PduSessionId> {
        self.amf.ues().filter(|u| u.supi.imsi() == imsi).flat_map(|u| u.sessions).map(|s| s.id).collect()
    }

    fn store_ban(&mut self, id: u64, cut: Cut, receipt: Receipt) {
        let Cut { request, reply, before, at, .. } = cut;
        if before == Some(request.state) {
            // It was in this state already, so there is nothing to change in the database; its record is there, or
            // on its way by the request before.
            let mut receipt = receipt;
            if self.bans.storing.values().any(|w| w.imsi == request.imsi && w.ban) {
                receipt
                    .pending
                    .push("an earlier request is still writing this ban to the database".to_owned());
            } else {
                receipt.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
            }
            return self.answer(reply, receipt);
        }
        let change = Change {
            actor: request.actor.clone(),
            at,
            reason: request.reason.clone(),
            request_id: request.request_id.clone(),
            origin: String::new(),
        };
        let (imsi, to) = (request.imsi, request.state);
        self.bans.storing.insert(
            id,
            Storing {
                imsi,
                to,
                before,
                actor: request.actor,
                reason: request.reason,
                reply,
                ban: true,
                receipt,
            },
        );
        self.store_state(id, imsi, to, StateChange::Ban, change);
    }

    fn store_state(&self, id: u64, imsi: Imsi, to: SimState, kind: StateChange, change: Change) {
        self.states.push(StateWrite { id, imsi, to, kind, change });
    }

    /// The database has answered.
    pub(super) fn ban_stored(&mut self, s: Stored) {
        let Some(mut w) = self.bans.storing.remove(&s.id) else { return };
        match s.result {
            Ok(()) => {
                w.receipt.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
                self.happened(Event {
                    at: now().utc,
                    imsi: Some(w.imsi),
                    what: Happening::SimState {
                        from: w.before.unwrap_or(w.to),
                        to: w.to,
                        actor: w.actor,
                        reason: w.reason,
                    },
                });
                // A ban that came while the unban was being written holds.
                if !w.ban && !self.bans.is_banned_after(s.id, w.imsi) {
                    self.hss.handle(hss::Input::SetState { imsi: w.imsi, state: w.to }, now());
                }
            }
            Err(e) if w.ban => {
                error!(imsi = %w.imsi, "the ban of {} is not in the database: {e}", w.imsi);
                w.receipt.pending.push(format!("the database could not be written: {e}"));
            }
            Err(e) => {
                // The SIM stays banned in the database, so the gateway has to cut it again: deny wins.
                error!(imsi = %w.imsi, "the unban of {} is not in the database: {e}", w.imsi);
                self.recut(w.imsi, w.before.unwrap_or(SimState::Lost));
                let why = e.to_string();
                let e = BanError::Control(ControlError::Unavailable { part: "store", why });
                if let Some(reply) = w.reply {
                    drop(reply.send(Err(e)));
                }
                return;
            }
        }
        self.answer(w.reply, w.receipt);
    }

    fn answer(&mut self, reply: Option<Reply>, receipt: Receipt) {
        let Some(reply) = reply else { return };
        let ready = Ready { reply, stored: !receipt.stored.is_empty(), receipt };
        if self.gateway.is_none() {
            return ready.answer(None);
        }
        let id = self.number();
        let imsi = ready.receipt.imsi;
        self.asked.insert(id, Asked::Dropped(Box::new(ready)));
        self.to_gateway(ToGateway::Trace { id, imsi });
    }

    /// An operator takes a ban back.
    pub(super) fn unban(&mut self, request: UnbanRequest, reply: Reply) {
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
    pub(super) fn uncut_done(&mut self, id: u64, result: Result<Recorded, String>) {
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

    /// The gateway takes too long: whoever waits is told so.
    pub(super) fn bans_timeout(&mut self, now: types::Now) {
        if self.bans.next_sweep <= now.mono {
            self.bans.next_sweep = now.mono.plus_ms(SWEEP_MS);
            self.sweep();
        }
        let late = |d: Mono| d <= now.mono;
        let cuts: Vec<u64> =
            self.bans.cuts.iter().filter(|(_, c)| late(c.deadline)).map(|(id, _)| *id).collect();
        for id in cuts {
            self.cut_without_gateway(id, "the gateway has not confirmed the cut");
        }
        let uncuts: Vec<u64> =
            self.bans.uncuts.iter().filter(|(_, u)| late(u.deadline)).map(|(id, _)| *id).collect();
        for id in uncuts {
            if let Some(u) = self.bans.uncuts.remove(&id) {
                let e = ControlError::Unavailable { part: "gateway", why: "it has not confirmed".to_owned() };
                drop(u.reply.send(Err(e.into())));
            }
        }
    }

    /// The link broke: cuts go on with the database alone, the rest is answered.
    pub(super) fn gateway_lost(&mut self) {
        for id in self.bans.cuts.keys().copied().collect::<Vec<_>>() {
            self.cut_without_gateway(
                id,
                "the gateway went down before it confirmed: no packet passes, and it is cut before it forwards again",
            );
        }
        for (_, u) in std::mem::take(&mut self.bans.uncuts) {
            let e = ControlError::Unavailable { part: "gateway", why: "it went down".to_owned() };
            drop(u.reply.send(Err(e.into())));
        }
        self.answer_without_gateway();
    }

    /// The gateway is back: the union of its revoked set and ours is enforced on both sides.
    pub(super) fn unite_revocations(&mut self, hello: &GatewayHello) {
        let theirs: BTreeMap<Imsi, SimState> = hello.revoked.iter().map(|r| (r.imsi, r.state)).collect();
        let ours: Vec<(Imsi, SimState)> = self.hss.banned().collect();
        for (imsi, state) in ours {
            if !theirs.contains_key(&imsi) {
                info!(%imsi, "the database says that {imsi} is banned, the journal does not: cut");
                self.recut(imsi, state);
            }
        }
        for r in &hello.revoked {
            self.learn_revoked(r);
        }
    }

    /// Ends whatever of a banned SIM is there all the same, because a part was away when the SIM was banned: a session
    /// that was found in the gateway, say. It only ever removes.
    pub(super) fn sweep(&mut self) {
        let banned: Vec<(Imsi, SimState)> = self.hss.banned().collect();
        for (imsi, state) in banned {
            self.end_sim(imsi, state);
        }
    }

    /// Cuts a SIM that is banned in the database already.
    fn recut(&mut self, imsi: Imsi, state: SimState) {
        let request = BanRequest {
            imsi,
            state,
            reason: "banned in the database".to_owned(),
            actor: "reconciler".to_owned(),
            request_id: String::new(),
        };
        self.cut(request, Some(state), None);
    }

    /// A cut that was confirmed after its asker had been answered.
    fn learn_late_cut(&mut self, r: &CutReceipt) {
        self.learn(r.imsi, r.state, "gateway", "cut at the gateway", r.cut_at);
    }

    /// A cut that the gateway's journal has.
    pub(super) fn learn_revoked(&mut self, r: &Revoked) {
        self.learn(r.imsi, r.state, &r.actor, &r.reason, r.at);
    }

    /// The gateway has a ban that the database does not know.
    fn learn(&mut self, imsi: Imsi, state: SimState, actor: &str, reason: &str, at: Utc) {
        let Some(before) = self.hss.state(imsi) else { return };
        if before.is_banned() || !state.is_banned() {
            return;
        }
        info!(%imsi, "the journal says that {imsi} is banned, the database does not: recorded");
        self.hss.handle(hss::Input::SetState { imsi, state }, now());
        self.end_sim(imsi, state);
        let id = self.number();
        let receipt = Receipt {
            imsi,
            state,
            before: Some(before),
            cut_at: at,
            cut_us: 0,
            shards: 0,
            stored: Vec::new(),
            last_packet: None,
            dropped_since: 0,
            sessions: Vec::new(),
            pending: Vec::new(),
        };
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        let change = Change { reason: reason.clone(), ..Change::by_system(&actor, at) };
        self.bans.storing.insert(
            id,
            Storing { imsi, to: state, before: Some(before), actor, reason, reply: None, ban: true, receipt },
        );
        self.store_state(id, imsi, state, StateChange::Ban, change);
    }
}

fn journal_place(r: &Recorded) -> StoredAt {
    let hash = types::hex(&r.hash);
    StoredAt { place: "journal".to_owned(), record: Some(r.record), hash: Some(hash) }
}
