//! Quarantine of a SIM, panic of a group, the ban of a device by its IMEI: in the gateway's journal and in the
//! database, and put back from the union of both at start.
//!
//! What restricts is in force at once; what lifts is in force with its record in the journal and in the database. Of
//! two operators at once deny wins: what lifts is refused while its opposite is on its way, before it or behind it.

use super::{
    CONFIRM_MS,
    cut::change_of,
    new_id, no_gateway,
    receipt::journal_place,
    store::{Kind, StateWrite},
};
use crate::control::{Control, Done};
use admin_web::{
    Asker, BanError, ControlError, DeviceUnban, Pending, PendingCode, RestrictOutcome, RestrictRequest,
    Restricted, ScopeKind, ScopeOutcome, StoredAt,
};
use gateway::{
    link::{Stored as Recorded, ToGateway},
    time::now,
};
use std::collections::BTreeSet;
use store::{RestrictionRow, RevocationRow, RevocationWrite, StateChange, StoreError};
use tokio::sync::oneshot;
use tracing::{info, warn};
use types::{CloneProof, Imsi, Mono, Name, SimState, Utc};

/// Who is written down for what the system does by itself, because an operator had said so beforehand.
const SYSTEM: &str = "system";

/// What is restricted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Sim(Imsi),
    Group(Name),
    /// 14 digits of an IMEI.
    Device(String),
}

impl What {
    /// From a row of the database.
    pub(crate) fn of(row: &RestrictionRow) -> Option<Self> {
        match row.kind.as_str() {
            "quarantine" => row.value.parse().ok().map(Self::Sim),
            "panic" => row.value.parse().ok().map(Self::Group),
            "device" => Some(Self::Device(row.value.clone())),
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Sim(_) => "quarantine",
            Self::Group(_) => "panic",
            Self::Device(_) => "device",
        }
    }

    fn value(&self) -> String {
        match self {
            Self::Sim(i) => i.to_string(),
            Self::Group(n) => n.to_string(),
            Self::Device(d) => d.clone(),
        }
    }
}

enum RestrictReply {
    None,
    One(oneshot::Sender<Result<RestrictOutcome, ControlError>>),
    Device(oneshot::Sender<Result<ScopeOutcome, BanError>>),
}

/// A restriction that the gateway has not confirmed, or the database.
pub(super) struct Restrict {
    id: String,
    what: What,
    on: bool,
    asker: Asker,
    at: Utc,
    pub deadline: Mono,
    sims: u64,
    /// Live sessions that it ends.
    sessions: u64,
    state: Option<SimState>,
    reply: RestrictReply,
    /// The request for an unban that it carries out, and who agreed to it.
    approves: Option<(String, String)>,
    /// False where the database has it already.
    record: bool,
    stored: Vec<StoredAt>,
    shards: u32,
    pending: Vec<Pending>,
}

impl Restrict {
    fn new(what: What, on: bool, asker: Asker, reply: RestrictReply) -> Self {
        let now = now();
        Self {
            id: new_id(now.utc),
            what,
            on,
            asker,
            at: now.utc,
            deadline: now.mono.plus_ms(CONFIRM_MS),
            sims: 0,
            sessions: 0,
            state: None,
            reply,
            approves: None,
            record: true,
            stored: Vec::new(),
            shards: 0,
            pending: Vec::new(),
        }
    }

    fn kind(&self) -> &'static str {
        match (&self.what, self.on) {
            (What::Sim(_), true) => "quarantine",
            (What::Sim(_), false) => "release",
            (What::Group(_), true) => "panic",
            (What::Group(_), false) => "calm",
            (What::Device(_), true) => "ban",
            (What::Device(_), false) => "unban",
        }
    }

    fn scope(&self) -> &'static str {
        match self.what {
            What::Sim(_) => "sim",
            What::Group(_) => "group",
            What::Device(_) => "imei",
        }
    }

    fn message(&self, id: u64) -> ToGateway {
        let (on, at) = (self.on, self.at);
        let (actor, reason) = (self.asker.actor.clone(), self.asker.reason.clone());
        match &self.what {
            What::Sim(imsi) => ToGateway::Quarantine { id, imsi: *imsi, on, actor, reason, at },
            What::Group(group) => ToGateway::Panic { id, group: group.clone(), on, actor, reason, at },
            What::Device(device) => ToGateway::CutImei { id, device: device.clone(), on, actor, reason, at },
        }
    }

    fn row(&self) -> RevocationRow {
        RevocationRow {
            id: self.id.clone(),
            at: self.at,
            kind: self.kind().to_owned(),
            scope: self.scope().to_owned(),
            value: self.what.value(),
            state: self.state,
            actor: self.asker.actor.clone(),
            reason: self.asker.reason.clone(),
            ticket: self.asker.ticket.clone(),
            request_id: self.asker.request_id.clone(),
            origin: self.asker.origin.clone(),
            sims: self.sims,
            detail: serde_json::json!({
                "stored": self.stored, "shards": self.shards, "sessions": self.sessions
            })
            .to_string(),
        }
    }

    fn outcome(&self) -> RestrictOutcome {
        RestrictOutcome {
            id: self.id.clone(),
            kind: self.kind().to_owned(),
            value: self.what.value(),
            sims: self.sims,
            shards: self.shards,
            stored: self.stored.clone(),
            pending: self.pending.clone(),
        }
    }

    /// What the journal says of it.
    fn note_record(&mut self, control: &mut Control, result: Result<Recorded, String>) {
        match result {
            Ok(s) => {
                control.bans.saw_head(s.record, s.hash);
                self.stored.push(journal_place(&s));
            }
            Err(why) => self.pending.push(Pending::new(PendingCode::JournalFailed, Some(why))),
        }
    }

    fn answer(self) {
        let outcome = self.outcome();
        match self.reply {
            RestrictReply::None => {}
            RestrictReply::One(reply) => drop(reply.send(Ok(outcome))),
            RestrictReply::Device(reply) => {
                let value = self.what.value();
                drop(reply.send(Ok(ScopeOutcome {
                    id: self.id,
                    scope: "imei".to_owned(),
                    device: Some(value.clone()),
                    value,
                    state: self.state.map(|s| s.to_string()).unwrap_or_default(),
                    sims: self.sims,
                    sessions: self.sessions,
                    cut_us: 0,
                    stored: self.stored,
                    failed: Vec::new(),
                    pending: self.pending,
                    kept: false,
                })));
            }
        }
    }

    fn refuse(self, e: ControlError) {
        match self.reply {
            RestrictReply::None => warn!("{} of {} was not done: {e}", self.kind(), self.what.value()),
            RestrictReply::One(reply) => drop(reply.send(Err(e))),
            RestrictReply::Device(reply) => drop(reply.send(Err(e.into()))),
        }
    }
}

impl Control {
    /// An operator restricts a SIM or a group, or no longer.
    pub(in crate::control) fn restrict(
        &mut self,
        request: RestrictRequest,
        reply: oneshot::Sender<Result<RestrictOutcome, ControlError>>,
    ) {
        let (what, sims) = match request.what {
            Restricted::Quarantine(imsi) => match self.state_of(imsi) {
                None => return drop(reply.send(Err(ControlError::NotFound))),
                Some(_) => (What::Sim(imsi), 1),
            },
            Restricted::Panic(name) => {
                let Some(members) = self.members_of(&name) else {
                    return drop(reply.send(Err(ControlError::NotFound)));
                };
                (What::Group(name), members)
            }
        };
        let mut r = Restrict::new(what, request.on, request.asker, RestrictReply::One(reply));
        r.sims = sims;
        self.send_restriction(r);
    }

    /// SIMs of a group; `None` if there is no such group. Without a directory a group is what has SIMs by the snapshot.
    fn members_of(&self, group: &Name) -> Option<u64> {
        if self.reduced {
            let sims = self.scopes.find(ScopeKind::Group, group.as_str()).sims.len();
            return (sims > 0).then_some(sims as u64);
        }
        let source = self.policy.source();
        let known = source.groups.iter().any(|g| g.name == *group);
        known.then(|| source.ues.iter().filter(|u| u.groups.contains(group)).count() as u64)
    }

    /// Puts a SIM in quarantine because its binding says so. False where it is there already.
    pub(in crate::control) fn quarantine_by_binding(&mut self, imsi: Imsi, reason: &str) -> bool {
        let what = What::Sim(imsi);
        if self.restrictions.contains(&what) && !self.is_lifting(&what) {
            return false;
        }
        let asker = Asker { actor: SYSTEM.to_owned(), reason: reason.to_owned(), ..Asker::default() };
        let mut r = Restrict::new(what, true, asker, RestrictReply::None);
        r.sims = 1;
        self.send_restriction(r);
        true
    }

    /// Takes a SIM out of the quarantine that the system put it in for one of these reasons; one that somebody else has put
    /// it in stays.
    pub(in crate::control) fn release_from(&self, imsi: Imsi, reasons: &'static [&'static str]) {
        let what = What::Sim(imsi);
        if !self.restrictions.contains(&what) || self.is_lifting(&what) {
            return;
        }
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let of = |r: &RestrictionRow| What::of(r).as_ref() == Some(&what) && r.actor == SYSTEM;
            let Ok(all) = store.restrictions().await else { return };
            let why = all.into_iter().find(of).map(|r| r.reason);
            if let Some(reason) = reasons.iter().copied().find(|r| why.as_deref() == Some(r)) {
                drop(done.send(Done::Release { imsi, reason }));
            }
        });
    }

    /// It was the system's own.
    pub(in crate::control) fn release(&mut self, imsi: Imsi, reason: &'static str) {
        let reason = format!("it holds no longer: {reason}");
        let asker = Asker { actor: SYSTEM.to_owned(), reason, ..Asker::default() };
        let mut r = Restrict::new(What::Sim(imsi), false, asker, RestrictReply::None);
        r.sims = 1;
        self.send_restriction(r);
    }

    /// An operator bans a device: whatever SIM is in it is refused, and what lives in it now ends.
    pub(super) fn ban_device(
        &mut self,
        device: String,
        state: SimState,
        asker: Asker,
        reply: oneshot::Sender<Result<ScopeOutcome, BanError>>,
    ) {
        let mut r = Restrict::new(What::Device(device), true, asker, RestrictReply::Device(reply));
        r.state = Some(state);
        self.send_restriction(r);
    }

    /// The device of a ban by scope.
    pub(super) fn cut_device(&mut self, device: String, asker: Asker) {
        self.send_restriction(Restrict::new(What::Device(device), true, asker, RestrictReply::None));
    }

    /// An operator takes the ban of a device back.
    pub(in crate::control) fn unban_device(
        &mut self,
        request: DeviceUnban,
        reply: oneshot::Sender<Result<RestrictOutcome, ControlError>>,
    ) {
        let what = What::Device(request.device.to_string());
        if !self.restrictions.contains(&what) {
            return drop(reply.send(Err(ControlError::NotFound)));
        }
        let mut r = Restrict::new(what, false, request.asker, RestrictReply::One(reply));
        r.approves = request.approves;
        self.send_restriction(r);
    }

    /// A command on the gateway's machine has banned a device.
    pub(in crate::control) fn learn_device(
        &mut self,
        device: String,
        asker: Asker,
        at: Utc,
        stored: Result<Recorded, String>,
    ) {
        let what = What::Device(device);
        let known = self.restrictions.contains(&what) && !self.is_lifting(&what);
        let mut r = Restrict::new(what, true, asker, RestrictReply::None);
        r.at = at;
        r.shards = self.gateway.as_ref().map_or(0, |g| g.hello.shards);
        r.note_record(self, stored);
        // One that is banned already may have got a SIM in it that nobody has judged yet.
        self.put_in_force(&mut r);
        if !known {
            self.store_restriction(r);
        }
    }

    /// True while the end of this restriction is on its way to the journal or into the database.
    fn is_lifting(&self, what: &What) -> bool {
        self.is_on_its_way(what, false)
    }

    fn is_on_its_way(&self, what: &What, on: bool) -> bool {
        let restricts = self.bans.restricts.values();
        let storing = self.bans.storing.values().filter_map(super::store::Storing::restriction);
        restricts.chain(storing).any(|r| r.on == on && r.what == *what)
    }

    /// It holds from now on, whatever gateway and database say, and what may not live with it ends.
    fn put_in_force(&mut self, r: &mut Restrict) {
        self.know_restriction(&r.what, true);
        if let What::Device(device) = &r.what {
            let inside = |u: &access::nr::UeView| u.pei.is_some_and(|p| p.device() == *device);
            let living: Vec<_> = self.amf.ues().filter(inside).collect();
            r.sims = living.len() as u64;
            r.sessions = living.iter().map(|u| self.own_sessions(u).len() as u64).sum();
            self.judge_living(None);
            // The orders that end their sessions go ahead of the device's own on the link, and the gateway confirms
            // that one when its shards have carried out the others.
            self.drain();
        }
    }

    fn send_restriction(&mut self, mut r: Restrict) {
        if r.on {
            self.put_in_force(&mut r);
        } else if self.is_on_its_way(&r.what, true) {
            return r.refuse(ControlError::Denied("it is being put on at this moment".to_owned()));
        }
        if self.gateway.is_none() {
            if !r.on {
                return r
                    .refuse(no_gateway("it keeps the journal, and the end of a restriction must be in it"));
            }
            r.pending.push(Pending::new(PendingCode::GatewayDown, None));
            return if r.record { self.store_restriction(r) } else { r.answer() };
        }
        let id = self.number();
        self.to_gateway(r.message(id));
        self.bans.restricts.insert(id, r);
    }

    /// The gateway has restricted, or has not.
    pub(in crate::control) fn restrict_done(
        &mut self,
        id: u64,
        result: Result<Recorded, String>,
        shards: u32,
    ) {
        let Some(mut r) = self.bans.restricts.remove(&id) else { return };
        r.shards = shards;
        if !r.on {
            if let Err(why) = result {
                // What takes a restriction away needs its record.
                return r.refuse(no_gateway(&why));
            }
            // The one that came behind it wins; it stands behind it in the journal, too.
            if self.is_on_its_way(&r.what, true) {
                return r.refuse(ControlError::Denied("it was put on once more meanwhile".to_owned()));
            }
        }
        r.note_record(self, result);
        if r.record {
            self.store_restriction(r);
        } else {
            r.answer();
        }
    }

    fn store_restriction(&mut self, mut r: Restrict) {
        r.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
        let mut write = RevocationWrite::new(StateChange::Ban, change_of(&r.asker, r.at));
        write.record = Some(r.row());
        write.head = self.head_to_write();
        let row = RestrictionRow {
            kind: r.what.kind().to_owned(),
            value: r.what.value(),
            at: r.at,
            actor: r.asker.actor.clone(),
            reason: r.asker.reason.clone(),
            revocation: r.id.clone(),
        };
        write.restriction = Some((row, r.on));
        write.approves.clone_from(&r.approves);
        let id = self.number();
        let (receipts, closed) = (Vec::new(), Vec::new());
        let w = StateWrite { id, write, receipts, closed, outcome: None, claim: None, retry: false };
        self.store_revocation(w, Kind::Restrict(Box::new(r)));
    }

    /// The database has answered about a restriction.
    pub(super) fn restriction_stored(
        &mut self,
        mut r: Restrict,
        result: Result<(), StoreError>,
        w: StateWrite,
    ) {
        match result {
            Ok(()) => {
                // One that was put on while the end of it was being written holds.
                if !r.on && !self.is_on_its_way(&r.what, true) {
                    self.know_restriction(&r.what, false);
                }
                self.revoked(&r.row());
                r.answer();
            }
            // It stays in the database, so the gateway has to know it again: deny wins, and nothing is given back
            // without its audit row.
            Err(e) if !r.on => {
                let (kind, value) = (r.kind(), r.what.value());
                warn!("{kind} of {value} is not in the database, so it is not done: {e}");
                self.put_back(&r.what);
                r.refuse(match e {
                    StoreError::Conflict { .. } => {
                        ControlError::Denied("the request of it is no longer open".to_owned())
                    }
                    e => ControlError::Unavailable { part: "store", why: e.to_string() },
                });
            }
            Err(e) => {
                r.stored.retain(|s| s.place != "database");
                r.pending.push(Pending::new(PendingCode::DatabaseFailed, Some(e.to_string())));
                if r.stored.is_empty() {
                    r.refuse(ControlError::Unavailable { part: "store", why: e.to_string() });
                } else {
                    r.answer();
                }
                self.bans.unsaved.insert(w.id, w);
            }
        }
    }

    /// Memory, the directory and what `explain` reads.
    fn know_restriction(&mut self, what: &What, on: bool) {
        if on {
            self.restrictions.insert(what.clone());
        } else {
            self.restrictions.remove(what);
        }
        self.device_banned(what, on);
        let Some(g) = &mut self.gateway else { return };
        fn set<T: PartialEq + Clone>(all: &mut Vec<T>, v: &T, on: bool) {
            all.retain(|x| x != v);
            if on {
                all.push(v.clone());
            }
        }
        match what {
            What::Sim(imsi) => set(&mut g.hello.quarantined, imsi, on),
            What::Group(name) => set(&mut g.hello.panicked, name, on),
            What::Device(d) => set(&mut g.hello.cut_devices, d, on),
        }
    }

    /// At start: the directory learns which devices are banned.
    pub(in crate::control) fn ban_devices_again(&mut self) {
        for what in self.restrictions.clone() {
            self.device_banned(&what, true);
        }
    }

    /// The gateway is here: what the database has and the journal lacks is put on, and the other way round.
    pub(super) fn unite_restrictions(&mut self, theirs: &BTreeSet<What>) {
        let ours = self.restrictions.clone();
        for what in ours.difference(theirs) {
            info!("{} of {} is put back at the gateway", what.kind(), what.value());
            self.put_back(what);
        }
        for what in theirs.difference(&ours) {
            info!("{} of {} is in the journal and not in the database: recorded", what.kind(), what.value());
            let asker = reconciler("restricted at the gateway");
            let mut r = Restrict::new(what.clone(), true, asker, RestrictReply::None);
            self.put_in_force(&mut r);
            self.store_restriction(r);
        }
    }

    /// Tells the gateway once more what the database has.
    fn put_back(&mut self, what: &What) {
        let asker = reconciler("restricted in the database");
        let mut r = Restrict::new(what.clone(), true, asker, RestrictReply::None);
        r.record = false;
        self.send_restriction(r);
    }
}

fn reconciler(reason: &str) -> Asker {
    Asker { actor: "reconciler".to_owned(), reason: reason.to_owned(), ..Asker::default() }
}

/// Why a SIM of which a clone was found is in quarantine.
pub(in crate::control) fn clone_reason(proof: &CloneProof) -> &'static str {
    match proof {
        CloneProof::OldContext { .. } => {
            "a clone was found: an old security context is in use beside the new one"
        }
        CloneProof::ProbeAccepted | CloneProof::ProbeBehind { .. } => {
            "a clone was found: a card did not know the last challenge that the SIM had accepted"
        }
    }
}
