//! Receipts that live on: what happens to a banned SIM is added, and each version is signed and stored.

use super::{FLUSH_MS, store::ReceiptsWritten};
use crate::control::Control;
use admin_web::{Attempt, Deregistration, EndedSession, PendingCode, Receipt, Stamp, StoredAt};
use gateway::{
    link::{SimTrace, Stored as Recorded, ToGateway},
    time::now,
};
use std::collections::BTreeSet;
use types::{Event, Happening, Imsi, Mono, RefusalReason, Seid, Tai, Withdrawal};

/// How many receipts are written at once: a ban waits in the store's queue for one such piece at most.
const FLUSH_MOST: usize = 8;
/// The pause to the next piece where more wait, milliseconds.
const NEXT_PIECE_MS: u64 = 50;
/// How many banned SIMs the gateway is asked about in one round.
const TRACE_MOST: usize = 64;
/// Alerts of one kind about one banned SIM come at most so often, milliseconds; the first comes at once.
const ALERT_MS: u64 = 10_000;

/// A receipt that lives on.
pub(super) struct Open {
    pub receipt: Receipt,
    /// It changed since it was written.
    pub dirty: bool,
    /// Its first version is in the database.
    pub saved: bool,
    /// A version is on its way.
    writing: bool,
    /// When somebody was last told that the SIM came, authenticated or claimed.
    told: [Option<Mono>; 2],
}

impl Open {
    pub(super) fn of(receipt: Receipt) -> Self {
        Self { receipt, dirty: false, saved: true, writing: false, told: [None; 2] }
    }

    /// True while a version is on its way into the database, or is about to be.
    #[cfg(all(test, feature = "lab"))]
    pub(super) fn is_writing(&self) -> bool {
        self.writing || self.dirty
    }
}

impl Control {
    /// These receipts live on from now. Those that they take the place of end; they are returned.
    pub(super) fn open_receipts(&mut self, receipts: &[Receipt]) -> Vec<Receipt> {
        let mut ended = Vec::new();
        for r in receipts {
            if let Some(old) = self.bans.open.insert(r.imsi, Open::of(r.clone())) {
                ended.push(last_version(old));
            }
        }
        ended
    }

    /// A cut was repeated: what it says of journal and copies belongs to the receipt that is there.
    pub(super) fn add_to_receipt(&mut self, r: &Receipt) {
        let Some(open) = self.bans.open.get_mut(&r.imsi) else { return };
        for s in &r.stored {
            if !open.receipt.stored.iter().any(|o| o.place == s.place) {
                open.receipt.stored.push(s.clone());
                open.dirty = true;
            }
        }
        let gone = [PendingCode::GatewayDown, PendingCode::GatewaySilent, PendingCode::JournalFailed];
        for code in gone {
            if !r.pending.iter().any(|p| p.code == code) {
                open.dirty |= open.receipt.waits_no_more(code);
            }
        }
        if open.receipt.cut.shards < r.cut.shards {
            open.receipt.cut = r.cut.clone();
            open.dirty = true;
        }
        self.flush_soon();
    }

    /// A cut whose receipt said *not stored* is in the journal after all.
    pub(in crate::control) fn recorded(&mut self, imsi: Imsi, s: &Recorded) {
        self.bans.saw_head(s.record, s.hash);
        if let Some(open) = self.bans.open.get_mut(&imsi) {
            open.receipt.waits_no_more(PendingCode::JournalFailed);
            open.receipt.stored.push(journal_place(s));
            open.dirty = true;
            self.flush_soon();
        }
    }

    /// A copy of the journal has everything up to here.
    pub(in crate::control) fn copied(&mut self, place: &str, records: u64) {
        for open in self.bans.open.values_mut() {
            let waits = |p: &admin_web::Pending| {
                p.code == PendingCode::CopyBehind && p.detail.as_deref() == Some(place)
            };
            let Some(record) =
                open.receipt.stored.iter().find(|s| s.place == "journal").and_then(|s| s.record)
            else {
                continue;
            };
            if record <= records && open.receipt.pending.iter().any(waits) {
                open.receipt.pending.retain(|p| !waits(p));
                let at = StoredAt { place: place.to_owned(), record: Some(record), hash: None };
                open.receipt.stored.push(at);
                open.dirty = true;
            }
        }
        self.flush_soon();
    }

    /// Something happened to a SIM: if it is banned, its receipt says so, and whoever watches is told.
    pub(in crate::control) fn note_in_receipt(&mut self, e: &Event) {
        let Some(imsi) = e.imsi else { return };
        if let Happening::RegistrationRefused { authenticated, cause, tai, cell, gnb, reason } = &e.what {
            if self.state_of(imsi).is_some_and(types::SimState::is_banned) {
                let came = Attempt {
                    at: Stamp(e.at),
                    authenticated: *authenticated,
                    cause: *cause,
                    gnb: gnb.clone(),
                    tai: tai.map(|t| t.to_string()),
                    cell: *cell,
                };
                // A refusal that says lost or stolen is an alert by itself; one that does not is told here.
                let told = matches!(reason, RefusalReason::Lost | RefusalReason::Stolen);
                self.banned_came(imsi, came, *tai, told);
            }
            return;
        }
        let (acknowledged, over) = self.smfs_let_go(imsi);
        let Some(open) = self.bans.open.get_mut(&imsi) else { return };
        let r = &mut open.receipt;
        match &e.what {
            Happening::Deregistered { confirmed, .. } if r.deregistration == Deregistration::Pending => {
                r.deregistration =
                    if *confirmed { Deregistration::Confirmed } else { Deregistration::Unconfirmed };
                if *confirmed {
                    r.waits_no_more(PendingCode::DeregistrationUnconfirmed);
                }
            }
            Happening::SessionDown { id, .. } => {
                r.session_is_over(e.at, |s| s.id == Some(*id));
            }
            Happening::Withdrawn { how: Withdrawal::Acknowledged, .. } => {
                r.waits_no_more(PendingCode::MmeUnacknowledged);
            }
            Happening::Withdrawn { how: Withdrawal::Effective, .. } => {
                r.waits_no_more(PendingCode::MmeUnacknowledged);
                r.waits_no_more(PendingCode::MmeNotEffective);
            }
            Happening::SessionWithdrawn { .. } => {
                if acknowledged {
                    r.waits_no_more(PendingCode::SmfUnacknowledged);
                }
                if over {
                    r.waits_no_more(PendingCode::SmfNotEffective);
                }
            }
            _ => return,
        }
        open.dirty = true;
        self.flush_soon();
    }

    /// This session of a banned SIM, which a foreign SMF steered, is gone from the gateway.
    pub(in crate::control) fn foreign_over(&mut self, imsi: Imsi, seid: Seid) {
        let (at, name) = (now().utc, seid.to_string());
        let Some(open) = self.bans.open.get_mut(&imsi) else { return };
        if open.receipt.session_is_over(at, |s| s.seid.as_deref() == Some(&name)) {
            open.dirty = true;
            self.flush_soon();
        }
    }

    /// Only these sessions of foreign SMFs live in the gateway; what receipts say of others is over.
    pub(in crate::control) fn foreign_found(&mut self, live: &BTreeSet<Seid>) {
        let at = now().utc;
        let live: BTreeSet<String> = live.iter().map(ToString::to_string).collect();
        for open in self.bans.open.values_mut() {
            let over = |s: &EndedSession| s.seid.as_ref().is_some_and(|seid| !live.contains(seid));
            open.dirty |= open.receipt.session_is_over(at, over);
        }
        self.flush_soon();
    }

    fn banned_came(&mut self, imsi: Imsi, came: Attempt, tai: Option<Tai>, told: bool) {
        let Some(open) = self.bans.open.get_mut(&imsi) else { return };
        open.receipt.attempt(came.clone());
        open.dirty = true;
        let attempts = open.receipt.attempts.authenticated + open.receipt.attempts.claimed;
        let now = now().mono;
        let quiet = open.told.get_mut(usize::from(came.authenticated)).is_none_or(|last| {
            let quiet = last.is_some_and(|t| now < t.plus_ms(ALERT_MS));
            if !quiet {
                *last = Some(now);
            }
            quiet
        });
        self.flush_soon();
        if !told && !quiet {
            let Attempt { at, authenticated, cause, gnb, cell, .. } = came;
            let what =
                Happening::BannedReuse { authenticated, device: None, cause, tai, cell, gnb, attempts };
            self.happened(Event { at: at.0, imsi: Some(imsi), what });
        }
    }

    /// What the path did with a banned SIM's packets.
    pub(in crate::control) fn traced(&mut self, imsi: Imsi, t: SimTrace) {
        let Some(open) = self.bans.open.get_mut(&imsi).filter(|_| t.revoked) else { return };
        let r = &mut open.receipt;
        let last = t.last_packet.map(Stamp).max(r.last_packet);
        if t.dropped > r.dropped_since || last != r.last_packet {
            (r.dropped_since, r.last_packet) = (r.dropped_since.max(t.dropped), last);
            open.dirty = true;
            self.flush_soon();
        }
    }

    /// Asks the gateway about the banned SIMs, some in each round.
    pub(super) fn trace_some(&mut self) {
        if self.gateway.is_none() {
            return;
        }
        let after = self.bans.counts.traced;
        let mut next: Vec<Imsi> = match after {
            Some(imsi) => self.bans.open.range((std::ops::Bound::Excluded(imsi), std::ops::Bound::Unbounded)),
            None => self.bans.open.range(..),
        }
        .map(|(i, _)| *i)
        .take(TRACE_MOST)
        .collect();
        if next.is_empty() && after.is_some() {
            next = self.bans.open.keys().copied().take(TRACE_MOST).collect();
        }
        self.bans.counts.traced = next.last().copied();
        for imsi in next {
            let id = self.number();
            self.asked.insert(id, crate::control::status::Asked::Dropped(imsi));
            self.to_gateway(ToGateway::Trace { id, imsi });
        }
    }

    pub(super) fn flush_soon(&mut self) {
        if self.bans.next_flush.is_none() {
            self.bans.next_flush = Some(now().mono.plus_ms(FLUSH_MS));
        }
    }

    /// Writes what changed. What is not in the database at all is left to its own write.
    pub(super) fn flush_receipts(&mut self) {
        self.bans.next_flush = None;
        let changed = self.bans.open.values_mut().filter(|o| o.dirty && o.saved && !o.writing);
        let mut out = Vec::new();
        for open in changed.take(FLUSH_MOST) {
            open.receipt.version += 1;
            (open.dirty, open.writing) = (false, true);
            out.push(open.receipt.clone());
        }
        if out.len() == FLUSH_MOST {
            self.bans.next_flush = Some(now().mono.plus_ms(NEXT_PIECE_MS));
        }
        if !out.is_empty() {
            self.store_receipts(out);
        }
    }

    /// The database has answered about later versions.
    pub(in crate::control) fn receipts_written(&mut self, w: ReceiptsWritten) {
        for (imsi, id, _) in w.written {
            if let Some(open) = self.bans.open.get_mut(&imsi).filter(|o| o.receipt.id == id) {
                open.writing = false;
                open.dirty |= !w.ok;
            }
        }
        // A database that fails is asked again by the sweep, not in a hurry.
        if w.ok && self.bans.open.values().any(|o| o.dirty) {
            self.flush_soon();
        }
    }
}

/// A receipt to which nothing more is added.
pub(super) fn last_version(open: Open) -> Receipt {
    let mut r = open.receipt;
    r.version += 1;
    r
}

pub(super) fn journal_place(r: &Recorded) -> StoredAt {
    let hash = types::hex(&r.hash);
    StoredAt { place: "journal".to_owned(), record: Some(r.record), hash: Some(hash) }
}
