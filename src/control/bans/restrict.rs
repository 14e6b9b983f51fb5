//! Quarantine of a SIM, panic of a group, the ban of a device by its IMEI: in the gateway's journal and in the
//! database, and put back from the union of both at start.

use super::{
    CONFIRM_MS,
    cut::change_of,
    new_id, no_gateway,
    receipt::journal_place,
    store::{Kind, StateWrite},
};
use crate::{
    control::Control,
    link::{Stored as Recorded, ToGateway},
    time::now,
};
use admin_web::{
    Asker, BanError, ControlError, Pending, PendingCode, RestrictOutcome, RestrictRequest, Restricted,
    ScopeOutcome, StoredAt,
};
use std::collections::BTreeSet;
use store::{RestrictionRow, RevocationRow, RevocationWrite, StateChange, StoreError};
use tokio::sync::oneshot;
use tracing::{info, warn};
use types::{FgmmCause, Imsi, Mono, Name, SimState, Supi, Utc};

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
    state: Option<SimState>,
    reply: RestrictReply,
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
            state: None,
            reply,
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
            detail: serde_json::json!({ "stored": self.stored, "shards": self.shards }).to_string(),
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
                if !self.policy.source().groups.iter().any(|g| g.name == name) {
                    return drop(reply.send(Err(ControlError::NotFound)));
                }
                let members = self.policy.source().ues.iter().filter(|u| u.groups.contains(&name)).count();
                (What::Group(name), members as u64)
            }
        };
        let mut r = Restrict::new(what, request.on, request.asker, RestrictReply::One(reply));
        r.sims = sims;
        self.send_restriction(r);
    }

    /// An operator bans a device: whatever SIM is in it is refused, and what lives in it now ends.
    pub(super) fn ban_device(
        &mut self,
        device: String,
        in_it: Vec<Imsi>,
        state: SimState,
        asker: Asker,
        reply: oneshot::Sender<Result<ScopeOutcome, BanError>>,
    ) {
        let mut r = Restrict::new(What::Device(device), true, asker, RestrictReply::Device(reply));
        (r.sims, r.state) = (in_it.len() as u64, Some(state));
        self.send_restriction(r);
        for imsi in in_it {
            let input = access::nr::Input::Ban { supi: Supi(imsi), cause: FgmmCause::IllegalMe };
            self.amf.handle(input, now());
        }
    }

    /// The device of a ban by scope.
    pub(super) fn cut_device(&mut self, device: String, on: bool, asker: Asker) {
        self.send_restriction(Restrict::new(What::Device(device), on, asker, RestrictReply::None));
    }

    fn send_restriction(&mut self, r: Restrict) {
        if r.on {
            // From now on, whatever the gateway and the database say: deny wins.
            self.know_restriction(&r.what, true);
        }
        if self.gateway.is_none() {
            if !r.on {
                return r
                    .refuse(no_gateway("it keeps the journal, and the end of a restriction must be in it"));
            }
            let mut r = r;
            r.pending.push(Pending::new(PendingCode::GatewayDown, None));
            return self.store_restriction(r);
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
        match result {
            Ok(s) => {
                self.bans.saw_head(s.record, s.hash);
                r.stored.push(journal_place(&s));
            }
            // What takes a restriction away needs its record.
            Err(why) if !r.on => return r.refuse(no_gateway(&why)),
            Err(why) => r.pending.push(Pending::new(PendingCode::JournalFailed, Some(why))),
        }
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
                if !r.on {
                    self.know_restriction(&r.what, false);
                }
                self.revoked(&r.row());
                r.answer();
            }
            Err(e) => {
                r.stored.retain(|s| s.place != "database");
                r.pending.push(Pending::new(PendingCode::DatabaseFailed, Some(e.to_string())));
                if r.stored.is_empty() {
                    r.refuse(ControlError::Unavailable { part: "store", why: e.to_string() });
                } else {
                    if !r.on {
                        self.know_restriction(&r.what, false);
                    }
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
        let asker = |reason: &str| Asker {
            actor: "reconciler".to_owned(),
            reason: reason.to_owned(),
            ..Asker::default()
        };
        for what in ours.difference(theirs) {
            info!("{} of {} is put back at the gateway", what.kind(), what.value());
            let asker = asker("restricted in the database");
            let mut r = Restrict::new(what.clone(), true, asker, RestrictReply::None);
            r.record = false;
            self.send_restriction(r);
        }
        for what in theirs.difference(&ours) {
            info!("{} of {} is in the journal and not in the database: recorded", what.kind(), what.value());
            self.know_restriction(what, true);
            let asker = asker("restricted at the gateway");
            self.store_restriction(Restrict::new(what.clone(), true, asker, RestrictReply::None));
        }
    }
}
