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
//!
//! | file | what |
//! | --- | --- |
//! | `cut` | an operator bans a SIM, and the gateway confirms |
//! | `uncut` | the way back |
//! | `store` | changes of state on their way into the database |
//! | `receipt` | what the operator is answered |
//! | `sweep` | the union with the journal, and what may not live ends |

mod cut;
mod receipt;
mod store;
mod sweep;
mod uncut;

pub(crate) use receipt::Ready;
pub(crate) use store::{StateQueue, Stored};

use super::Control;
use admin_web::{BanError, ControlError, Receipt};
use cut::Cut;
use std::collections::BTreeMap;
use store::Storing;
use tokio::sync::oneshot;
use types::{Imsi, Mono};
use uncut::Uncut;

/// How long the gateway may take before the operator is told that it has not confirmed.
const CONFIRM_MS: u64 = 3_000;
/// How often what lives is compared with what may.
const SWEEP_MS: u64 = 5_000;

/// The way back to the operator.
type Reply = oneshot::Sender<Result<Receipt, BanError>>;

/// Bans and unbans on their way, by the number of their request to the gateway.
#[derive(Default)]
pub(crate) struct Bans {
    cuts: BTreeMap<u64, Cut>,
    uncuts: BTreeMap<u64, Uncut>,
    storing: BTreeMap<u64, Storing>,
    next_sweep: Mono,
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
}
