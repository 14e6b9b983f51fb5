//! The union with the gateway's journal, and the end of what may not live.
//!
//! What may live: states of SIMs, bans, leases, subscriptions, restrictions, the heads of journal and database. What
//! lives: UE contexts, sessions, leases, the gateway's sets. They are compared at start, at every meeting with the
//! gateway and every few seconds; what is found is counted by kind, and only ever removed.

use super::{
    cut::{Cut, CutReply},
    receipt::journal_place,
    restrict::What,
    store::{Kind, StateWrite},
};
use crate::control::{Control, sims::sim_ended_by};
use admin_web::{
    Asker, Metric, MetricKind, PartStatus, Receipt, ReceiptKind, Said, ScopeKind, StoredAt, say,
};
use gateway::{
    link::{CutReceipt, GatewayHello, GatewayStatus, JournalHead, Revoked, ToGateway},
    time::now,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use store::{Change, RevocationRow, RevocationWrite, StateChange};
use tracing::{info, warn};
use types::{Event, Happening, Imsi, SimState, Supi};

/// SIMs looked at in one round, besides the banned ones: 100 000 in about a minute and a half.
const ROUND: usize = 5_000;

/// Where the reconciler is, and what it found.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Rounds done.
    rounds: u64,
    /// Whole passes over all that lives.
    passes: u64,
    /// What was removed, by kind.
    removed: BTreeMap<&'static str, u64>,
    /// Last UE looked at.
    ue: Option<Imsi>,
    /// Last receipt asked about.
    pub traced: Option<Imsi>,
}

/// What the gateway says of itself to the reconciler.
pub(crate) struct Swept;

impl Control {
    /// One round of the reconciler.
    pub(in crate::control) fn sweep_round(&mut self) {
        self.bans.counts.rounds += 1;
        self.sweep();
        if !self.reduced {
            self.sweep_ues();
            self.sweep_leases();
            let found = self.sweep_foreign();
            self.removed("foreign-session", found);
        }
        self.ask_gateway_sets();
        self.retry_unsaved();
        self.flush_soon();
        self.trace_some();
        self.save_head();
        self.ping_database();
        self.write_ahead();
    }

    /// Ends whatever of a banned SIM is there all the same, because a part was away when the SIM was banned: a session
    /// that was found in the gateway, say. It only ever removes.
    pub(in crate::control) fn sweep(&mut self) {
        let live: HashSet<Imsi> = self.amf.supis().map(Supi::imsi).collect();
        let banned: Vec<(Imsi, SimState)> = self.banned().filter(|(i, _)| live.contains(i)).collect();
        let mut found = 0;
        for (imsi, state) in banned {
            found += u64::from(self.lives(imsi));
            self.end_sim(imsi, state);
        }
        self.removed("ue", found);
    }

    /// True where something of a SIM is there that is not ending already.
    fn lives(&self, imsi: Imsi) -> bool {
        use access::nr::{SessionPhase, UeState};
        self.amf.ue(Supi(imsi)).is_some_and(|u| {
            u.guti.is_some() && u.state != UeState::Deregistering
                || u.sessions.iter().any(|s| s.phase != SessionPhase::Releasing)
        })
    }

    /// UEs of SIMs that are gone, suspended, retired or back in stock; some in each round.
    fn sweep_ues(&mut self) {
        let after = self.bans.counts.ue;
        let mut all: Vec<Imsi> = self.amf.supis().map(Supi::imsi).filter(|i| Some(*i) > after).collect();
        all.sort_unstable();
        let whole = all.len() <= ROUND;
        all.truncate(ROUND);
        self.bans.counts.ue = if whole { None } else { all.last().copied() };
        self.bans.counts.passes += u64::from(whole);
        let mut found = 0;
        for imsi in all {
            let state = self.state_of(imsi).unwrap_or(SimState::Retired);
            if sim_ended_by(state).is_some() && self.lives(imsi) {
                warn!(%imsi, "{imsi} lives and may not ({state}): ended");
                self.end_sim(imsi, state);
                found += 1;
            }
        }
        self.removed("ue", found);
    }

    /// Leases of SIMs that are retired or gone: their addresses rest.
    fn sweep_leases(&mut self) {
        let dead: Vec<Imsi> = self
            .addresses
            .holders()
            .filter(|i| self.hss.state(*i).is_none_or(|s| s == SimState::Retired))
            .take(ROUND)
            .collect();
        let found = dead.len() as u64;
        for imsi in dead {
            self.release_all(imsi);
        }
        self.removed("lease", found);
    }

    fn removed(&mut self, kind: &'static str, count: u64) {
        if count == 0 {
            return;
        }
        *self.bans.counts.removed.entry(kind).or_default() += count;
        let what = Happening::ReconcilerRemoved { kind: kind.to_owned(), count };
        self.happened(Event { at: now().utc, imsi: None, what });
    }

    fn ask_gateway_sets(&mut self) {
        if self.gateway.is_some() {
            let id = self.number();
            self.asked.insert(id, crate::control::status::Asked::Sweep(Swept));
            self.to_gateway(ToGateway::Status { id });
        }
    }

    /// The gateway's sets beside ours: what it lacks is put in.
    pub(in crate::control) fn sweep_gateway(&mut self, s: &GatewayStatus) {
        self.bans.saw_head(s.journal.records, s.journal.hash);
        for c in &s.copies {
            if let Some(h) = c.head {
                self.copied(&c.place, h.records);
            }
        }
        let in_flight = !self.bans.cuts.is_empty() || !self.bans.uncuts.is_empty();
        let ours = self.banned().count() as u64;
        if !in_flight && s.revoked < ours {
            warn!("the gateway cuts {} SIMs, {ours} are banned: all are sent again", s.revoked);
            self.removed("cut", ours - s.revoked);
            self.send_union();
        }
        let count = |f: fn(&What) -> bool| self.restrictions.iter().filter(|w| f(w)).count() as u64;
        let quarantined = count(|w| matches!(w, What::Sim(_)));
        let panicked = count(|w| matches!(w, What::Group(_)));
        let devices = count(|w| matches!(w, What::Device(_)));
        let has_panicked = s.panicked.len() as u64;
        if self.bans.restricts.is_empty()
            && (s.quarantined < quarantined || has_panicked < panicked || s.cut_devices < devices)
        {
            self.removed("quarantine", quarantined.saturating_sub(s.quarantined));
            self.removed("panic", panicked.saturating_sub(has_panicked));
            self.removed("device", devices.saturating_sub(s.cut_devices));
            // Which ones it lacks is not said; what is there already is put on once more.
            self.unite_restrictions(&BTreeSet::new());
        }
    }

    fn save_head(&mut self) {
        let Some((records, hash)) = self.head_to_write() else { return };
        self.bans.stored_head = JournalHead { records, hash };
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(e) = store.set_journal_head(records, hash).await {
                warn!("the head of the journal could not be written to the database: {e}");
            }
        });
    }

    /// The gateway is back: the union of its revoked set and ours is enforced on both sides. Who is behind is named.
    pub(in crate::control) fn unite_revocations(&mut self, hello: &GatewayHello) {
        let known = self.bans.stored_head;
        if known.records > hello.journal.records {
            warn!("the gateway's journal has {} records, {} are known", hello.journal.records, known.records);
            let what = Happening::JournalBehind { known: known.records, has: hello.journal.records };
            self.happened(Event { at: now().utc, imsi: None, what });
        }
        self.to_gateway(ToGateway::KnownHead { head: known });
        let theirs: BTreeMap<Imsi, SimState> = hello.revoked.iter().map(|r| (r.imsi, r.state)).collect();
        let ours: Vec<(Imsi, SimState)> = self.banned().collect();
        for (imsi, state) in ours {
            if !theirs.contains_key(&imsi) {
                info!(%imsi, "the database says that {imsi} is banned, the journal does not: cut");
                self.recut(imsi, state);
            }
        }
        let mut lacked = 0;
        for r in &hello.revoked {
            lacked += u64::from(self.learn_revoked(r));
        }
        if lacked > 0 {
            let (known, has) = (known.records, hello.journal.records);
            warn!("the database lacked {lacked} bans that the journal has: recorded");
            let what = Happening::DatabaseBehind { known, has, bans: lacked };
            self.happened(Event { at: now().utc, imsi: None, what });
        }
        self.bans.saw_head(hello.journal.records, hello.journal.hash);
        let theirs = hello
            .quarantined
            .iter()
            .map(|i| What::Sim(*i))
            .chain(hello.panicked.iter().cloned().map(What::Group))
            .chain(hello.cut_devices.iter().cloned().map(What::Device))
            .collect();
        self.unite_restrictions(&theirs);
    }

    /// Sends all bans again, where the gateway may have one fewer than it should.
    pub(super) fn resend_union(&mut self) {
        if self.gateway.is_some() {
            self.send_union();
        }
    }

    /// Cuts a SIM that is banned in the database already.
    pub(super) fn recut(&mut self, imsi: Imsi, state: SimState) {
        let asker = Asker {
            actor: "reconciler".to_owned(),
            reason: "banned in the database".to_owned(),
            ..Asker::default()
        };
        let mut cut = Cut::new(ScopeKind::Sim, imsi.to_string(), state, asker, CutReply::None);
        (cut.sims, cut.record) = (vec![(imsi, Some(state))], false);
        self.cut(cut);
    }

    /// A cut that was confirmed after its asker had been answered.
    pub(super) fn learn_late_cut(&mut self, r: &CutReceipt) {
        let stored = r.journal.as_ref().ok().copied();
        if let Some(s) = &stored {
            self.recorded(r.imsi, s);
        }
        let reason = "cut at the gateway".to_owned();
        let (imsi, state, at) = (r.imsi, r.state, r.cut_at);
        self.learn_revoked(&Revoked { imsi, state, actor: "gateway".to_owned(), reason, at, stored });
    }

    /// A cut that the gateway's journal has. True if the database does not know it.
    pub(in crate::control) fn learn_revoked(&mut self, r: &Revoked) -> bool {
        let (imsi, state) = (r.imsi, r.state);
        let Some(before) = self.state_of(imsi) else { return false };
        if before.is_banned() || !state.is_banned() {
            return false;
        }
        info!(%imsi, "the journal says that {imsi} is banned, the database does not: recorded");
        self.set_state(imsi, state);
        let name = super::new_id(r.at);
        let mut receipt = Receipt::new(ReceiptKind::Ban, name.clone(), imsi, state, r.at);
        receipt.before = Some(before);
        receipt.actor.clone_from(&r.actor);
        receipt.reason.clone_from(&r.reason);
        receipt.stored.extend(r.stored.as_ref().map(journal_place));
        receipt.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
        let change = Change { reason: r.reason.clone(), ..Change::by_system(&r.actor, r.at) };
        let mut write = RevocationWrite::new(StateChange::Ban, change);
        write.record = Some(learnt_row(name, r));
        write.states = vec![(imsi, state)];
        let receipts = vec![receipt];
        let closed = self.open_receipts(&receipts);
        let id = self.number();
        let w = StateWrite { id, write, receipts, closed, outcome: None, claim: None, retry: false };
        self.store_revocation(w, Kind::Learnt(imsi, before, state));
        self.end_sim(imsi, state);
        true
    }

    /// The reconciler as a part of the system.
    pub(in crate::control) fn reconciler_status(&self) -> PartStatus {
        let c = &self.bans.counts;
        let removed: Vec<String> = c.removed.iter().map(|(k, n)| format!("{n} {k}")).collect();
        let removed = match removed.is_empty() {
            true => say!("nothing", "なし"),
            false => Said { en: removed.join(", "), ja: removed.join("、") },
        };
        let (rounds, passes, waits) = (c.rounds, c.passes, self.bans.unsaved.len());
        let mut detail = Said {
            en: format!("{rounds} rounds, {passes} whole passes, removed: {}", removed.en),
            ja: format!("巡回 {rounds} 回、全件の確認 {passes} 回、取り除いたもの: {}", removed.ja),
        };
        if waits > 0 {
            detail.en += &format!("; {waits} changes wait for the database");
            detail.ja += &format!("。変更 {waits} 件がデータベースを待っています");
        }
        PartStatus { name: "reconciler", up: waits == 0, detail }
    }

    /// The heads of journal and database, as a part of the system.
    pub(in crate::control) fn heads_status(&self) -> PartStatus {
        let (seen, stored) = (self.bans.head.records, self.bans.stored_head.records);
        let has = self.gateway.as_ref().map(|g| g.hello.journal.records.max(seen));
        let (up, detail) = match has {
            Some(has) if has < stored => {
                let detail = say!(
                    "the journal is behind: it has {has} records, the database knows {stored}",
                    "ジャーナルが遅れています: ジャーナルは {has} 件、データベースが知るのは {stored} 件"
                );
                (false, detail)
            }
            _ => {
                let detail = say!(
                    "the journal has {seen} records, the database knows {stored}",
                    "ジャーナルは {seen} 件、データベースが知るのは {stored} 件"
                );
                (true, detail)
            }
        };
        PartStatus { name: "revocations", up, detail }
    }

    /// What the reconciler did, for `/metrics`.
    pub(in crate::control) fn reconciler_metrics(&self) -> Vec<Metric> {
        let c = &self.bans.counts;
        let counter = |name, help, labels, value: u64| Metric {
            name,
            help,
            kind: MetricKind::Counter,
            labels,
            value: value as f64,
        };
        let mut all =
            vec![counter("sekisho_reconciler_rounds_total", "Rounds of the reconciler", vec![], c.rounds)];
        for kind in ["ue", "lease", "cut", "quarantine", "panic", "device"] {
            let labels = vec![("kind", kind.to_owned())];
            let n = c.removed.get(kind).copied().unwrap_or_default();
            all.push(counter("sekisho_reconciler_removed_total", "What the reconciler ended", labels, n));
        }
        all
    }
}

fn learnt_row(id: String, r: &Revoked) -> RevocationRow {
    RevocationRow {
        id,
        at: r.at,
        kind: "ban".to_owned(),
        scope: "sim".to_owned(),
        value: r.imsi.to_string(),
        state: Some(r.state),
        actor: r.actor.clone(),
        reason: r.reason.clone(),
        ticket: String::new(),
        request_id: String::new(),
        origin: "gateway".to_owned(),
        sims: 1,
        detail: "{}".to_owned(),
    }
}
