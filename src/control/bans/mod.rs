//! The ban: cut, record, answer, tell (DESIGN §3).
//!
//! 1. `hss` and `access` refuse the SIM from this moment on.
//! 2. The gateway cuts it in every shard and appends to its journal; its receipt comes back.
//! 3. The database gets state, history, audit, outbox, the record, the receipt and the request's kept answer in one
//!    transaction.
//! 4. Session release and deregistration go out; nobody waits for the UE.
//! 5. The operator is answered with what was stored and enforced where, and what is pending. The receipt lives on.
//!
//! Where the gateway is not there, no packet passes; the ban is stored in the database and given to the gateway
//! before anything else when it is back. Where the database fails, the journal holds the ban, it is tried again, and
//! the two are united at the next connection. Deny wins everywhere.
//!
//! | file | what |
//! | --- | --- |
//! | `cut` | an operator bans, and the gateway confirms |
//! | `scope` | what a person, device, group or site covers, and the ban of all of it |
//! | `uncut` | the way back |
//! | `restrict` | quarantine, panic, devices by their IMEI |
//! | `store` | changes on their way into the database, and receipts signed on that way |
//! | `pending` | what the database did not take, on the disk until it does |
//! | `receipt` | what the operator is answered, and what is added to it |
//! | `sweep` | the union with the journal, and what may not live ends |

mod cut;
mod pending;
mod receipt;
mod restrict;
mod scope;
mod store;
mod sweep;
#[cfg(all(test, feature = "lab"))]
mod tests;
mod uncut;

pub(crate) use pending::PendingFile;
pub(crate) use restrict::What as Restriction;
pub(super) use restrict::clone_reason;
pub(crate) use scope::{Expanded, ScopeIndex};
pub(crate) use store::{ReceiptsWritten, StateQueue, Stored};
pub(crate) use sweep::Swept;

use super::Control;
use crate::signing::Signer;
use ::store::ReceiptRow;
use admin_web::{BanError, ControlError, PendingCode, Receipt};
use cut::Cut;
use gateway::link::JournalHead;
use receipt::Open;
use restrict::Restrict;
use std::collections::BTreeMap;
use store::{StateWrite, Storing};
use tokio::sync::oneshot;
use tracing::warn;
use types::{Imsi, Mono, Utc};
use uncut::Uncut;

/// How long the gateway (and then the database) may take before the operator is told that it has not confirmed.
const CONFIRM_MS: u64 = 3_000;
/// How often what lives is compared with what may, and what could not be stored is tried again.
const SWEEP_MS: u64 = 5_000;
/// How often receipts that changed are written.
const FLUSH_MS: u64 = 500;

/// The way back to the operator.
type Reply = oneshot::Sender<Result<Receipt, BanError>>;

/// Bans and unbans on their way, by the number of their request to the gateway, and the receipts that live on.
#[derive(Default)]
pub(crate) struct Bans {
    cuts: BTreeMap<u64, Cut>,
    uncuts: BTreeMap<u64, Uncut>,
    storing: BTreeMap<u64, Storing>,
    restricts: BTreeMap<u64, Restrict>,
    /// What the database did not take; tried again.
    unsaved: BTreeMap<u64, StateWrite>,
    open: BTreeMap<Imsi, Open>,
    /// Head of the journal as far as it is known.
    head: JournalHead,
    /// Head of the journal as the database has it.
    stored_head: JournalHead,
    counts: sweep::Counts,
    next_sweep: Mono,
    next_flush: Option<Mono>,
    signer: Option<Signer>,
}

impl Bans {
    /// True while an unban of this SIM is on its way to the journal or into the database.
    pub(super) fn is_unbanning(&self, imsi: Imsi) -> bool {
        self.uncuts.values().any(|u| u.request.imsi == imsi)
            || self.storing.values().any(|w| w.unbans(imsi).is_some())
    }

    /// With the receipts that go on being written, and the head of the journal that was last seen.
    pub(crate) fn new(open: Vec<ReceiptRow>, head: Option<(u64, [u8; 32])>, signer: Signer) -> Self {
        let mut this = Self { signer: Some(signer), ..Self::default() };
        for row in open {
            match serde_json::from_str::<Receipt>(&row.body) {
                Ok(r) => drop(this.open.insert(row.imsi, Open::of(r))),
                Err(e) => warn!(imsi = %row.imsi, "the receipt {} cannot be read: {e}", row.revocation),
            }
        }
        if let Some((records, hash)) = head {
            (this.head, this.stored_head) = (JournalHead { records, hash }, JournalHead { records, hash });
        }
        this
    }

    /// When [`Control::bans_timeout`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let cuts = self.cuts.values().map(|c| c.deadline);
        let uncuts = self.uncuts.values().map(|u| u.deadline);
        let storing = self.storing.values().filter_map(Storing::deadline);
        let restricts = self.restricts.values().map(|r| r.deadline);
        let waits = cuts.chain(uncuts).chain(storing).chain(restricts);
        waits.chain(std::iter::once(self.next_sweep)).chain(self.next_flush).min()
    }

    /// True while a ban of this SIM that was asked for after request `id` is on its way to the gateway or into the
    /// database.
    fn is_banned_after(&self, id: u64, imsi: Imsi) -> bool {
        self.cuts.iter().any(|(n, c)| *n > id && c.covers(imsi))
            || self.storing.iter().any(|(n, w)| *n > id && w.bans(imsi))
    }

    /// True while the database has something of it to write.
    #[cfg(all(test, feature = "lab"))]
    pub(super) fn is_writing(&self) -> bool {
        self.next_flush.is_some() || !self.storing.is_empty() || self.open.values().any(Open::is_writing)
    }

    /// Takes note of the journal's head, which only rises.
    fn saw_head(&mut self, records: u64, hash: [u8; 32]) {
        if records > self.head.records {
            self.head = JournalHead { records, hash };
        }
    }
}

/// A name for a revocation; sorts by time.
fn new_id(at: Utc) -> String {
    let tail = gateway::sys::random::<4>().unwrap_or_else(|_| (at.0 as u32).to_be_bytes());
    format!("{:012x}{}", at.0.max(0), types::hex(&tail))
}

impl Control {
    /// The gateway or the database takes too long: whoever waits is told so. What changed is written.
    pub(super) fn bans_timeout(&mut self, now: types::Now) {
        if self.bans.next_sweep <= now.mono {
            self.bans.next_sweep = now.mono.plus_ms(SWEEP_MS);
            self.sweep_round();
        }
        if self.bans.next_flush.is_some_and(|t| t <= now.mono) {
            self.flush_receipts();
        }
        let late = |d: Mono| d <= now.mono;
        let cuts: Vec<u64> =
            self.bans.cuts.iter().filter(|(_, c)| late(c.deadline)).map(|(id, _)| *id).collect();
        for id in cuts {
            self.cut_without_gateway(id, PendingCode::GatewaySilent);
        }
        let uncuts: Vec<u64> =
            self.bans.uncuts.iter().filter(|(_, u)| late(u.deadline)).map(|(id, _)| *id).collect();
        for id in uncuts {
            if let Some(u) = self.bans.uncuts.remove(&id) {
                drop(u.reply.send(Err(no_gateway("it has not confirmed").into())));
            }
        }
        let storing = self.bans.storing.values_mut().filter(|w| w.deadline().is_some_and(late));
        let signer = self.bans.signer.as_ref();
        let untold: Vec<_> = storing.flat_map(|w| w.answer_before_the_database(signer)).collect();
        for (imsi, state) in untold {
            self.end_sim(imsi, state);
        }
        let restricts: Vec<u64> =
            self.bans.restricts.iter().filter(|(_, r)| late(r.deadline)).map(|(id, _)| *id).collect();
        for id in restricts {
            self.restrict_done(id, Err("it has not confirmed".to_owned()), 0);
        }
    }

    /// The link broke: cuts go on with the database alone, the rest is answered.
    pub(super) fn gateway_lost(&mut self) {
        for id in self.bans.cuts.keys().copied().collect::<Vec<_>>() {
            self.cut_without_gateway(id, PendingCode::GatewayDown);
        }
        for (_, u) in std::mem::take(&mut self.bans.uncuts) {
            drop(u.reply.send(Err(no_gateway("it went down").into())));
        }
        for id in self.bans.restricts.keys().copied().collect::<Vec<_>>() {
            self.restrict_done(id, Err("it went down".to_owned()), 0);
        }
        self.answer_without_gateway();
    }
}

fn no_gateway(why: &str) -> ControlError {
    ControlError::Unavailable { part: "gateway", why: why.to_owned() }
}
