//! What is known of SIMs beside their rules: one place that finds it out, from the store and from what the network sees,
//! and tells who judges by it on each change. Nothing here happens per packet.
//!
//! Rows are read by one task, in the order in which they were asked for, so that what was read later is newer. What was
//! found is kept for the SIMs of which anything is known; a registration or a handover changes place and radio without a
//! question to the store. What runs out by itself (a report that grows old, a contract) is looked at when it does.

mod found;
mod sources;
#[cfg(test)]
mod tests;
mod views;

use super::{Control, Done, alert_rules::NOT_COMPLIANT};
use admin_web::ControlError;
use found::{Around, Asked, Due, Found, Seat};
use gateway::time::now;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};
use store::{Change, FactRow, FactsOf, StateChange, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tracing::error;
use types::{
    AlertRule, Compliance, Event, Happening, Imsi, Mono, Name, Now, Radio, RuleResponse, SimFacts, SimState,
    Site, Supi, Utc,
};
use wire::diameter::UserLocation;

/// How often the wall clock is looked at while something is due.
const LOOK_MS: u64 = 10_000;
/// SIMs of one piece.
const PIECE: usize = 500;
/// A device that was learned is in the store a moment later.
const SOON_MS: i64 = 1_000;
/// Why a SIM is in quarantine of whose device nobody tells any longer.
pub(super) const SILENT: &str = "nobody tells of its device any longer, and its group says remediation";

type Reply = oneshot::Sender<Result<(), ControlError>>;

/// What is known, and what of it is due.
#[derive(Default)]
pub(super) struct Facts {
    sites: Vec<Site>,
    groups: HashMap<Name, Asked>,
    sims: HashMap<Imsi, Kept>,
    due: BTreeSet<Due>,
    next_look: Option<Mono>,
    sources: sources::Silence,
    /// Where SMFs see SIMs that they have sessions of.
    at_smfs: HashMap<Imsi, SeenAt>,
    start: Start,
}

/// Where an SMF sees a SIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenAt {
    pub place: UserLocation,
    /// Since when it is in this area.
    pub since: Utc,
}

/// How far the first reading of everything is. Until it is done nobody is told anything: a gateway that went on without
/// us would take what is not read yet for unknown, and end what may live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Start {
    #[default]
    Done,
    Reading,
    /// It is tried again.
    Failed,
}

/// What is kept of a SIM.
#[derive(Default)]
struct Kept {
    /// Shared with whoever looks at all of them at once.
    facts: Arc<SimFacts>,
    /// Where it is at home.
    usual: BTreeSet<Name>,
    /// Whose it is.
    person: Option<Name>,
    due: Option<Utc>,
}

/// The one task that reads.
pub(super) struct Reader(mpsc::UnboundedSender<(FactsOf, Option<Reply>)>);

/// What was read, or a piece of it.
pub(crate) struct Read {
    rows: Result<Vec<FactRow>, StoreError>,
    /// Before the first piece of everything: the sites, and which SIMs there are.
    whole: Option<(Vec<Site>, HashSet<Imsi>)>,
    /// True for the end of everything.
    end: bool,
    reply: Option<Reply>,
}

impl Reader {
    /// Starts it.
    pub fn start(store: Store, done: mpsc::UnboundedSender<Done>) -> Self {
        let (tx, mut rx) = mpsc::unbounded_channel::<(FactsOf, Option<Reply>)>();
        tokio::spawn(async move {
            while let Some((of, reply)) = rx.recv().await {
                read(&store, &of, reply, &done).await;
            }
        });
        Self(tx)
    }
}

/// In pieces, so that a ban does not wait behind the facts of a hundred thousand SIMs.
async fn read(store: &Store, of: &FactsOf, reply: Option<Reply>, done: &mpsc::UnboundedSender<Done>) {
    let tell =
        |rows, whole, end, reply| drop(done.send(Done::Facts(Box::new(Read { rows, whole, end, reply }))));
    let all = *of == FactsOf::All;
    let rows = match store.fact_rows(of).await {
        Ok(rows) => rows,
        Err(e) => return tell(Err(e), None, all, reply),
    };
    if all {
        let there = rows.iter().map(|row| row.imsi).collect();
        match sites(store).await {
            Ok(sites) => tell(Ok(Vec::new()), Some((sites, there)), false, None),
            Err(e) => return tell(Err(e), None, true, reply),
        }
    }
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        tell(Ok(rows.by_ref().take(PIECE).collect()), None, false, None);
    }
    tell(Ok(Vec::new()), None, all, reply);
}

async fn sites(store: &Store) -> Result<Vec<Site>, StoreError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.entities::<Site>(None, after.as_deref(), 1000).await?;
        all.extend(page.items.into_iter().map(|v| v.value));
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// True where the device is known not to be as its group asks.
fn lacks(facts: &SimFacts) -> bool {
    facts.posture.as_ref().is_some_and(|p| p.value == Compliance::NotCompliant)
}

impl Facts {
    /// With where SIMs were seen before we stopped.
    pub fn new(at_smfs: HashMap<Imsi, SeenAt>) -> Self {
        Self { at_smfs, ..Self::default() }
    }

    /// True until everything was read for the first time.
    pub fn is_starting(&self) -> bool {
        self.start != Start::Done
    }

    /// What is known of a SIM.
    pub fn of(&self, imsi: Imsi) -> Option<&SimFacts> {
        self.sims.get(&imsi).map(|k| &*k.facts)
    }

    /// The SIMs of which something is known.
    pub fn known(&self) -> impl Iterator<Item = Imsi> {
        let empty = SimFacts::default();
        self.sims.iter().filter(move |(_, k)| *k.facts != empty).map(|(imsi, _)| *imsi)
    }

    /// What is known of every SIM, whatever that is.
    pub fn all(&self) -> impl Iterator<Item = (Imsi, &Arc<SimFacts>)> {
        self.sims.iter().map(|(imsi, k)| (*imsi, &k.facts))
    }

    /// Whose it is.
    pub fn person_of(&self, imsi: Imsi) -> Option<&Name> {
        self.sims.get(&imsi)?.person.as_ref()
    }

    /// The SIMs of a person.
    pub fn sims_of(&self, person: &Name) -> Vec<Imsi> {
        let theirs = self.sims.iter().filter(|(_, k)| k.person.as_ref() == Some(person));
        theirs.map(|(imsi, _)| *imsi).collect()
    }

    /// The SIMs whose device is not as its group asks.
    pub fn not_compliant(&self) -> impl Iterator<Item = Imsi> {
        self.sims.iter().filter(|(_, k)| lacks(&k.facts)).map(|(imsi, _)| *imsi)
    }

    fn set_due(&mut self, imsi: Imsi, due: Option<Utc>) {
        let Some(kept) = self.sims.get_mut(&imsi) else { return };
        let old = std::mem::replace(&mut kept.due, due);
        if let Some(at) = old {
            self.due.remove(&(at, imsi));
        }
        if let Some(at) = due {
            self.due.insert((at, imsi));
        }
    }

    fn forget(&mut self, imsi: Imsi) {
        if let Some(Kept { due: Some(at), .. }) = self.sims.remove(&imsi) {
            self.due.remove(&(at, imsi));
        }
    }

    /// Keeps what was found; true where it is other than before.
    fn keep(&mut self, row: &FactRow, found: &Found) -> bool {
        let imsi = row.imsi;
        let kept = self.sims.entry(imsi).or_default();
        kept.person.clone_from(&row.person);
        let changed = *kept.facts != found.facts;
        if changed {
            kept.facts = Arc::new(found.facts.clone());
        }
        kept.usual.clone_from(&found.usual);
        self.set_due(imsi, found.next);
        changed
    }

    /// Takes out what is due.
    fn take_due(&mut self, now: Now) -> Vec<Imsi> {
        let mut all = Vec::new();
        while let Some((at, imsi)) = self.due.first().copied().filter(|(at, _)| *at <= now.utc) {
            self.due.remove(&(at, imsi));
            if let Some(kept) = self.sims.get_mut(&imsi) {
                kept.due = None;
            }
            all.push(imsi);
        }
        all
    }

    /// When [`Control::facts_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.next_look
    }
}

impl Control {
    /// Something that is known of SIMs changed in the store, or nothing is known of them yet.
    pub(super) fn reread_facts(&self, of: FactsOf, reply: Option<Reply>) {
        if of != FactsOf::Sims(Vec::new()) {
            _ = self.fact_reader.0.send((of, reply));
        }
    }

    /// Everything is read for the first time.
    pub(super) fn learn_facts(&mut self) {
        self.facts.start = Start::Reading;
        self.reread_facts(FactsOf::All, None);
    }

    /// It was read: what is other than before is told.
    pub(super) fn facts_read(&mut self, r: Read) {
        let rows = match r.rows {
            Ok(rows) => rows,
            Err(e) => {
                error!("what is known of SIMs cannot be read; what was known before goes on: {e}");
                // Without a database nobody is told anything: the gateway goes on with what it knows.
                if r.end && self.facts.is_starting() && !self.reduced {
                    self.facts.start = Start::Failed;
                    self.look_at_facts(now());
                }
                let why = ControlError::Unavailable { part: "store", why: e.to_string() };
                return drop(r.reply.map(|reply| reply.send(Err(why))));
            }
        };
        if let Some((sites, there)) = r.whole {
            self.facts.sites = sites;
            self.facts.groups = Asked::of(&self.policy.source().groups);
            let gone: Vec<Imsi> = self.facts.sims.keys().filter(|i| !there.contains(i)).copied().collect();
            gone.into_iter().for_each(|imsi| self.facts.forget(imsi));
        }
        for row in &rows {
            self.judge_row(row);
        }
        if r.end && self.facts.is_starting() {
            self.facts.start = Start::Done;
            self.publish_facts();
        }
        drop(r.reply.map(|reply| reply.send(Ok(()))));
        self.look_at_facts(now());
    }

    /// Where our own radios see it; else where an SMF does that has a session of it.
    fn seat(&self, imsi: Imsi) -> Seat {
        let ue = self.amf.ue(Supi(imsi));
        let seat = ue.map_or_else(Seat::default, |u| Seat {
            tai: u.tai,
            cell: u.cell,
            radio: u.tai.map(|_| Radio::Nr),
            pei: u.pei,
            since: None,
        });
        match self.facts.at_smfs.get(&imsi).filter(|_| seat.tai.is_none()) {
            None => seat,
            // Sites name cells of NR; one of LTE may have the same number and stand elsewhere.
            Some(SeenAt { place, since }) => Seat {
                tai: Some(place.tai),
                cell: None,
                radio: Some(Radio::Eutra),
                since: Some(*since),
                ..seat
            },
        }
    }

    /// An SMF that has a session of this SIM says where it is. What is to be kept of that, where it is news.
    pub(super) fn seen_by_smf(&mut self, imsi: Imsi, place: UserLocation) -> Option<SeenAt> {
        let before = self.facts.at_smfs.get(&imsi).copied();
        let stays = before.filter(|b| b.place.tai == place.tai);
        let seen = SeenAt { place, since: stays.map_or_else(|| now().utc, |b| b.since) };
        if before == Some(seen) {
            return None;
        }
        self.facts.at_smfs.insert(imsi, seen);
        self.seat_changed(imsi);
        Some(seen)
    }

    /// Where an SMF saw it last.
    pub(super) fn place_at_smf(&self, imsi: Imsi) -> Option<SeenAt> {
        self.facts.at_smfs.get(&imsi).copied()
    }

    /// No SMF has a session of it any more.
    pub(super) fn seen_no_more(&mut self, imsi: Imsi) {
        if self.facts.at_smfs.remove(&imsi).is_some() {
            self.seat_changed(imsi);
        }
    }

    fn around(&self, now: Utc) -> Around<'_> {
        Around { groups: &self.facts.groups, sites: &self.facts.sites, now }
    }

    fn judge_row(&mut self, row: &FactRow) {
        let now = now().utc;
        let lacked = self.facts.of(row.imsi).is_some_and(lacks);
        let found = self.around(now).find(row, &self.seat(row.imsi), self.facts.of(row.imsi));
        if self.facts.keep(row, &found) {
            self.facts_found(row.imsi);
            self.hold_place_against_proof(row.imsi);
        }
        if found.ended && matches!(row.state, SimState::Ready | SimState::Active) {
            self.suspend_ended(row.imsi, row.state);
        }
        let lacks = lacks(&found.facts);
        if found.judgement.remediate {
            self.quarantine_by_binding(row.imsi, SILENT);
        } else if !lacks || self.watch.response(AlertRule::NotCompliant) != RuleResponse::Act {
            self.release_from(row.imsi, &[SILENT, NOT_COMPLIANT]);
        }
        if lacks && !lacked {
            self.lacks_compliance(row.imsi);
        }
    }

    /// What is known of a SIM is other than before: whoever judges its packets is told.
    fn facts_found(&mut self, imsi: Imsi) {
        tracing::debug!(%imsi, "what is known of SIM {imsi} has changed");
        self.tell_facts([imsi]);
    }

    /// Its person has left, or a contract has ended: no reason to live. Who wants it to live moves the date first.
    fn suspend_ended(&self, imsi: Imsi, from: SimState) {
        let why = "its person has left, or the contract of one of its groups is over";
        self.suspend(imsi, from, "end of a contract", why);
    }

    /// The system suspends a SIM by itself.
    pub(super) fn suspend(&self, imsi: Imsi, from: SimState, by: &'static str, why: &'static str) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let mut change = Change::by_system(by, now().utc);
            why.clone_into(&mut change.reason);
            let to = SimState::Suspended;
            let result = store.change_sim_state(imsi, to, StateChange::Ordinary, &change).await;
            drop(done.send(Done::Ended(Ended { imsi, from, change, result: result.map(drop) })));
        });
    }

    /// It was suspended by the system: its sessions follow its state.
    pub(super) fn facts_ended(&mut self, e: Ended) {
        if let Err(why) = e.result {
            let by = e.change.actor;
            return self.alarm(Some(e.imsi), format!("a SIM could not be suspended ({by}): {why}"));
        }
        let Change { actor, reason, .. } = e.change;
        let what = Happening::SimState { from: e.from, to: SimState::Suspended, actor, reason };
        self.happened(Event { at: now().utc, imsi: Some(e.imsi), what });
        self.reread_sim(e.imsi, None);
    }

    /// The network saw a SIM somewhere, or in another device.
    pub(super) fn facts_note(&mut self, e: &Event) {
        let Some(imsi) = e.imsi else { return };
        match &e.what {
            Happening::Registered { .. } | Happening::Moved { .. } | Happening::Deregistered { .. } => {
                self.seat_changed(imsi);
            }
            Happening::DeviceLearned { .. } | Happening::DeviceChanged { .. } => {
                self.facts.sims.entry(imsi).or_default();
                self.facts.set_due(imsi, Some(Utc(e.at.0 + SOON_MS)));
                self.look_at_facts(now());
            }
            _ => {}
        }
    }

    /// Place and radio are those of this moment; everything else is as it was read.
    fn seat_changed(&mut self, imsi: Imsi) {
        let now = now().utc;
        let before = self.facts.sims.get(&imsi);
        let (none, home) = (SimFacts::default(), BTreeSet::new());
        let old = before.map_or(&none, |k| &*k.facts);
        let usual = before.map_or(&home, |k| &k.usual);
        let seat = self.seat(imsi);
        let seen = self.around(now).seen(&seat, None, usual, Some(old));
        let facts = SimFacts {
            place: seen.place,
            radio: seen.radio,
            model: seen.model.or_else(|| old.model.clone()),
            ..old.clone()
        };
        if facts != *old {
            self.facts.sims.entry(imsi).or_default().facts = Arc::new(facts);
            self.facts_found(imsi);
            self.hold_place_against_proof(imsi);
        }
    }

    fn look_at_facts(&mut self, now: Now) {
        let next = self.facts.due.first().map(|(at, _)| {
            let ms = u64::try_from(at.0.saturating_sub(now.utc.0)).unwrap_or(0);
            now.mono.plus_ms(ms.min(LOOK_MS))
        });
        let sources = self.facts.sources.poll_timeout().unwrap_or(now.mono.plus_ms(LOOK_MS));
        let again = (self.facts.start == Start::Failed).then(|| now.mono.plus_ms(LOOK_MS));
        self.facts.next_look = next.into_iter().chain([sources]).chain(again).min();
    }

    pub(super) fn facts_timeout(&mut self, now: Now) {
        if self.facts.poll_timeout().is_none_or(|at| at > now.mono) {
            return;
        }
        if self.facts.start == Start::Failed {
            self.learn_facts();
        }
        let due = self.facts.take_due(now);
        if !due.is_empty() {
            self.reread_facts(FactsOf::Sims(due), None);
        }
        self.look_for_silence(now);
        self.look_at_facts(now);
    }
}

/// The system suspended a SIM, or could not.
pub(crate) struct Ended {
    imsi: Imsi,
    from: SimState,
    change: Change,
    result: Result<(), StoreError>,
}
