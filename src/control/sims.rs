//! SIMs: from the store's row to the directory's record, and what a change of one means for those who live.

use super::{Control, Done};
use access::nr;
use admin_web::ControlError;
use anyhow::{Context, Result, bail};
use gateway::time::now;
use hss::{SealedKeys, SimRecord, SqnMode, SqnProfile, SqnState};
use store::{SimRoutes, SimRow, StoreError};
use tokio::sync::oneshot;
use types::{Bound, FgmmCause, FramedRoute, Imsi, SimState, Snssai, Subscription, Supi};

/// A SIM that was read again.
pub(crate) struct Reread {
    imsi: Imsi,
    row: Result<(SimRow, Bound), StoreError>,
    /// What lies behind it, where that was read.
    routes: Option<Vec<FramedRoute>>,
    reply: Option<oneshot::Sender<Result<(), ControlError>>>,
}

/// The record that the directory serves; `None` for a SIM whose key is destroyed. `slices` are the node's: a SIM
/// that names none may use them all.
pub(super) fn record_of(row: &SimRow, slices: &[Snssai]) -> Result<Option<SimRecord>> {
    let Some(sealed) = &row.sealed else { return Ok(None) };
    let algorithm = row.algorithm.parse().ok().with_context(|| {
        format!("SIM {} runs {}, which this version does not know", row.imsi, row.algorithm)
    })?;
    let mode = match row.sqn.mode.as_str() {
        "time" => SqnMode::Time,
        "counter" => SqnMode::Counter,
        other => bail!("SIM {} has the SQN mode {other}, which this version does not know", row.imsi),
    };
    Ok(Some(SimRecord {
        imsi: row.imsi,
        sealed: SealedKeys::from_bytes(sealed).with_context(|| format!("SIM {}", row.imsi))?,
        algorithm,
        sqn_profile: SqnProfile {
            ind_bits: row.sqn.ind_bits,
            node_bits: row.sqn.node_bits,
            delta: row.sqn.delta,
            mode,
            max_ahead: row.sqn.max_ahead,
        },
        sqn_state: SqnState { offset: row.sqn.offset, ceiling: row.sqn.ceiling, resyncs: row.sqn.resyncs },
        state: row.state,
        subscription: Subscription {
            supi: Supi(row.imsi),
            slices: if row.slices.is_empty() { slices.to_vec() } else { row.slices.clone() },
            dnns: row.dnns.clone(),
            ambr_ul_bps: row.ambr_ul_bps,
            ambr_dl_bps: row.ambr_dl_bps,
        },
    }))
}

/// What a SIM may do while every SIM is held: come back later. Bans stay what they are.
pub(super) fn held_back(state: SimState) -> SimState {
    match state {
        SimState::Ready | SimState::Active => SimState::Suspended,
        other => other,
    }
}

/// What a UE is told whose SIM is in this state; `None` where it may live (decision D6).
pub(super) fn sim_ended_by(state: SimState) -> Option<FgmmCause> {
    match state {
        SimState::Ready | SimState::Active => None,
        SimState::Stock | SimState::Suspended => Some(FgmmCause::Congestion),
        SimState::Lost | SimState::Stolen | SimState::Retired => Some(FgmmCause::IllegalUe),
    }
}

impl Control {
    /// A SIM changed in the store.
    pub(super) fn reread_sim(&self, imsi: Imsi, reply: Option<oneshot::Sender<Result<(), ControlError>>>) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let row = async { Ok((store.sim(imsi).await?, store.binding(imsi).await?.bound())) }.await;
            let of = |s: SimRoutes| s.routes.into_iter().map(|r| r.route).collect();
            let routes = store.sim_routes(imsi).await.map(of).ok();
            drop(done.send(Done::Sim(Box::new(Reread { imsi, row, routes, reply }))));
        });
    }

    /// It was read again: the directory, its reservations and its sessions follow.
    pub(super) fn sim_reread(&mut self, r: Reread) {
        if let Some(routes) = &r.routes {
            self.set_routes(r.imsi, routes);
        }
        let answer = match r.row {
            Ok((row, bound)) => self
                .take_sim(&row, bound)
                .map_err(|e| ControlError::Unavailable { part: "control", why: format!("{e:#}") }),
            Err(StoreError::NotFound) => {
                self.forget_sim(r.imsi);
                Ok(())
            }
            Err(e) => Err(ControlError::Unavailable { part: "store", why: e.to_string() }),
        };
        if let Some(reply) = r.reply {
            drop(reply.send(answer));
            // It may be another person's.
            self.reload_grants();
        }
    }

    /// The hold was lifted: every SIM is read again.
    pub(super) fn hold_lifted(&mut self, reply: oneshot::Sender<Result<(), ControlError>>) {
        self.hold = None;
        // For `doctor` alone; what counts is the database's entry, which is gone.
        drop(std::fs::remove_file(self.config.paths.data.join(crate::backup::HELD)));
        tracing::warn!("the hold after the restore is lifted: SIMs live again");
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let read = store.all_sims().await;
            let refused = |e: StoreError| ControlError::Unavailable { part: "store", why: e.to_string() };
            let rows = match read {
                Ok(rows) => rows,
                Err(e) => return drop(reply.send(Err(refused(e)))),
            };
            for sim in rows {
                let imsi = sim.imsi;
                let row = store.binding(imsi).await.map(|b| (sim, b.bound()));
                drop(done.send(Done::Sim(Box::new(Reread { imsi, row, routes: None, reply: None }))));
            }
            drop(reply.send(Ok(())));
        });
    }

    /// A SIM as the store has it: directory, reservations and whoever lives on it follow.
    pub(super) fn take_sim(&mut self, row: &SimRow, bound: Bound) -> Result<()> {
        self.put_sim(row, bound)?;
        self.judge_living(Some(row.imsi));
        Ok(())
    }

    /// As `take_sim`, without a look at whether its device still fits.
    pub(super) fn put_sim(&mut self, row: &SimRow, bound: Bound) -> Result<()> {
        let Some(record) = record_of(row, &self.config.network.slices)? else {
            self.forget_sim(row.imsi);
            return Ok(());
        };
        self.hss.check(&record).with_context(|| format!("SIM {}", row.imsi))?;
        let state = match self.hss.state(row.imsi) {
            // A ban on its way to the database is ahead of this row: deny wins.
            Some(banned) if banned.is_banned() && !row.state.is_banned() => banned,
            _ if self.hold.is_some() => held_back(row.state),
            _ => row.state,
        };
        // Who lives on it has what it may have from here on; a SIM that may not live any more ends below.
        self.amf.handle(nr::Input::Subscribed(record.subscription.clone()), now());
        self.subscribed_at_smfs(&record.subscription);
        let subscription = record.subscription.clone();
        self.hss.handle(hss::Input::Put(SimRecord { state, ..record }), now());
        self.hss.handle(hss::Input::Bind { imsi: row.imsi, bound }, now());
        self.set_reservations(row.imsi, &row.static_ips);
        if sim_ended_by(state).is_none() {
            // Behind its reservations, so that the MME hears of the address that it has now.
            self.subscribed_at_mme(subscription);
        }
        self.end_sim(row.imsi, state);
        Ok(())
    }

    /// Its key is destroyed, or it is gone: nobody may live on it.
    pub(super) fn forget_sim(&mut self, imsi: Imsi) {
        self.hss.handle(hss::Input::Remove { imsi }, now());
        self.end_sim(imsi, SimState::Retired);
        self.release_all(imsi);
    }
}
