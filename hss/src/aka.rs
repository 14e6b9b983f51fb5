//! Vectors: the queue of a SIM, its SQN ceilings, re-synchronisation.
//!
//! A request waits in its SIM's queue until an SQN below a durable ceiling is there for it. At most one
//! SQN write of a SIM is on its way; while it is, others queue up behind it and are answered together.

use crate::admission::{backoff, refusal};
use crate::core::{Hss, Write};
use crate::io::Output;
use crate::record::SimRecord;
use rand_chacha::rand_core::Rng;
use sim_auth::{
    Aka, EpsVector, FgVector, Next, Resync, SqnGenerator, SqnState, aka, eap_vector_of, eps_vector_of,
    fg_vector_of,
};
use std::{collections::VecDeque, ops::Bound};
use types::{
    AuthenticationMethod, Auts, FgmmCause, Imsi, Mono, Now, Plmn, Rand, Refusal, RefusalReason, SimState,
    Sqn, Supi,
};

/// How long a request waits for the store.
const PATIENCE_MS: u64 = 5_000;
/// How many requests of one SIM may wait.
const QUEUE: usize = 8;
/// Back-off when the store does not answer or the queue is full, seconds.
const SHORT_BACKOFF_S: u32 = 10;
/// Re-synchronisations that a SIM may have at once, and the time in which one comes back.
const RESYNC_BURST: u32 = 5;
const RESYNC_REFILL_MS: u64 = 60_000;
/// How many SIMs are looked at in one round of writing ceilings ahead: a ban waits behind their one transaction at most.
const ROUND: usize = 500;
/// The serving-node part of IND of our own AMF (foreign ones get the others).
const OWN_AMF: u64 = 0;

/// A SIM and what is going on with it.
pub(crate) struct Sim {
    pub record: SimRecord,
    pub sqn: SqnGenerator,
    /// The SQN write on its way.
    pub writing: Option<u64>,
    pub queue: VecDeque<Waiting>,
    pub resyncs: Allowance,
    /// True while its first attach is being written.
    pub activating: bool,
}

/// Which vector is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    /// Of 5G, for our own AMF.
    Fg,
    /// Of EPS, for an MME of this network and number.
    Eps { serving: Plmn, node: u64 },
}

/// A vector.
enum Vector {
    Fg(FgVector),
    Eps(EpsVector),
}

/// A request for a vector.
pub(crate) struct Waiting {
    txn: u64,
    wanted: Wanted,
    deadline: Mono,
}

impl Sim {
    pub fn new(record: SimRecord, clock: i64, horizon: i64) -> Self {
        let sqn = SqnGenerator::load(record.sqn_profile, record.sqn_state, clock, horizon);
        Self {
            record,
            sqn,
            writing: None,
            queue: VecDeque::new(),
            resyncs: Allowance::default(),
            activating: false,
        }
    }

    /// The ceiling to write now, so that a vector asked for later does not wait for the store. A SIM that never attached
    /// has none: it needs the store for its lease anyway.
    fn ahead(&self, clock: i64, horizon: i64) -> Option<SqnState> {
        let wanted = self.record.state == SimState::Active && self.writing.is_none();
        wanted.then(|| self.sqn.renewal(clock, horizon)).flatten()
    }
}

/// A bucket of re-synchronisations.
#[derive(Default)]
pub(crate) struct Allowance {
    used: u32,
    since: Mono,
}

impl Allowance {
    fn take(&mut self, now: Mono) -> bool {
        let back = now.ms_since(self.since) / RESYNC_REFILL_MS;
        self.used = self.used.saturating_sub(u32::try_from(back).unwrap_or(u32::MAX));
        if self.used == 0 {
            self.since = now;
        } else {
            self.since = self.since.plus_ms(back * RESYNC_REFILL_MS);
        }
        let free = self.used < RESYNC_BURST;
        self.used += u32::from(free);
        free
    }
}

impl Hss {
    /// Takes the card's word for its SQN, if MAC-S proves that it is the card's.
    pub(crate) fn resync(&mut self, imsi: Imsi, rand: &Rand, auts: &Auts, now: Now) -> Result<(), Refusal> {
        let clock = self.clock.ticks(now);
        let Some(sim) = self.sims.get_mut(&imsi) else {
            return Err(refusal(FgmmCause::IllegalUe, RefusalReason::UnknownSim));
        };
        let Ok(keys) = self.vault.open(&sim.record.sealed, imsi) else {
            return Err(unavailable());
        };
        let Ok(sqn_ms) = keys.card().open_auts(rand, auts) else {
            return Err(refusal(FgmmCause::IllegalUe, RefusalReason::Resync));
        };
        // Counted only behind MAC-S, so that nobody else can use up a SIM's allowance.
        if !sim.resyncs.take(now.mono) {
            return Err(backoff(SHORT_BACKOFF_S * 6, RefusalReason::Resync));
        }
        match sim.sqn.resync(sqn_ms, clock) {
            // Where the state moved, the vector that follows finds that it must be written first.
            Resync::Moved(_) | Resync::Unchanged => Ok(()),
        }
    }

    /// SQN of a challenge that was accepted, SQN_MS of an AUTS, and whether the card is behind. It changes nothing.
    pub(crate) fn judge_auts(
        &self,
        imsi: Imsi,
        accepted: &Rand,
        autn: &types::Autn,
        rand: &Rand,
        auts: &Auts,
    ) -> Option<(Sqn, Sqn, bool)> {
        let record = &self.sims.get(&imsi)?.record;
        let card = self.vault.open(&record.sealed, imsi).ok()?.card();
        let sqn = card.open_autn(accepted, autn).ok()?.sqn;
        let sqn_ms = card.open_auts(rand, auts).ok()?;
        let seq = |s: Sqn| s.seq(record.sqn_profile.ind_bits);
        Some((sqn, sqn_ms, seq(sqn_ms) < seq(sqn)))
    }

    pub(crate) fn enqueue(&mut self, imsi: Imsi, txn: u64, wanted: Wanted, now: Now) {
        let deadline = now.mono.plus_ms(PATIENCE_MS);
        match self.sims.get_mut(&imsi) {
            Some(sim) if sim.queue.len() < QUEUE => sim.queue.push_back(Waiting { txn, wanted, deadline }),
            _ => {
                let refusal = backoff(SHORT_BACKOFF_S, RefusalReason::Overload);
                self.outputs.push_back(Output::AuthRefused { txn, refusal });
                return;
            }
        }
        self.serve(imsi, now);
        if self.sims.get(&imsi).is_some_and(|s| !s.queue.is_empty()) {
            self.deadlines.push_back((deadline, imsi));
        }
    }

    /// Answers what can be answered, and asks for the write that the rest waits for.
    fn serve(&mut self, imsi: Imsi, now: Now) {
        let (clock, horizon) = (self.clock.ticks(now), self.horizon.durable());
        loop {
            let Some(sim) = self.sims.get_mut(&imsi) else { return };
            let Some(wanted) = sim.queue.front().map(|w| w.wanted) else {
                let renewal = sim.sqn.renewal(clock, horizon).filter(|_| sim.writing.is_none());
                return self.write_sqn(imsi, renewal);
            };
            let serving = match wanted {
                Wanted::Fg => OWN_AMF,
                Wanted::Eps { node, .. } => node,
            };
            let ind = sim.record.sqn_profile.ind(self.config.node, serving);
            let answer = match sim.sqn.next(ind, clock, horizon) {
                Next::Persist(state) => {
                    let wish = sim.writing.is_none().then_some(state);
                    return self.write_sqn(imsi, wish);
                }
                Next::Ready(sqn) => self.vector(imsi, sqn, wanted),
                Next::Backoff { ticks } => {
                    let s = u32::try_from(ticks / 10 + 1).unwrap_or(u32::MAX);
                    Err(backoff(s, RefusalReason::Overload))
                }
                Next::Exhausted => Err(refusal(FgmmCause::IllegalUe, RefusalReason::Unavailable)),
            };
            self.answer(imsi, answer);
        }
    }

    /// Writes the horizon ahead, and then ceilings for the SIMs that it does not help, some in each round: those that
    /// attached before can authenticate while the store is away, whenever that was (DESIGN §5).
    pub(crate) fn write_ahead(&mut self, now: Now) {
        let clock = self.clock.ticks(now);
        if self.horizon_on_its_way {
            return;
        }
        if let Some(horizon) = self.horizon.renewal(clock) {
            self.horizon_on_its_way = true;
            self.persist(Write::Horizon { horizon });
            return;
        }
        let horizon = self.horizon.durable();
        let from = self.ahead.map_or(Bound::Unbounded, Bound::Excluded);
        let some: Vec<(Imsi, Option<SqnState>)> = self
            .sims
            .range((from, Bound::Unbounded))
            .take(ROUND)
            .map(|(imsi, sim)| (*imsi, sim.ahead(clock, horizon)))
            .collect();
        self.ahead = some.last().filter(|_| some.len() == ROUND).map(|(imsi, _)| *imsi);
        for (imsi, state) in some {
            self.write_sqn(imsi, state);
        }
    }

    fn write_sqn(&mut self, imsi: Imsi, state: Option<SqnState>) {
        if let Some(state) = state {
            let id = self.persist(Write::Sqn { imsi, state });
            if let Some(sim) = self.sims.get_mut(&imsi) {
                sim.writing = Some(id);
            }
        }
    }

    fn vector(&mut self, imsi: Imsi, sqn: Sqn, wanted: Wanted) -> Result<Vector, Refusal> {
        let record = self.sims.get(&imsi).map(|s| &s.record).ok_or_else(unavailable)?;
        let keys = self.vault.open(&record.sealed, imsi).map_err(|_| unavailable())?;
        let mut rand = [0u8; 16];
        self.rng.fill_bytes(&mut rand);
        let (card, rand) = (keys.card(), Rand(rand));
        Ok(match wanted {
            Wanted::Fg => Vector::Fg(match self.config.authentication {
                AuthenticationMethod::FgAka => fg_vector_of(&card, rand, sqn, aka::AMF, &self.snn),
                AuthenticationMethod::EapAkaPrime => {
                    eap_vector_of(&card, rand, sqn, aka::AMF, &self.snn, Supi(imsi))
                }
            }),
            Wanted::Eps { serving, .. } => Vector::Eps(eps_vector_of(&card, rand, sqn, aka::AMF, serving)),
        })
    }

    /// Answers the first in the queue.
    fn answer(&mut self, imsi: Imsi, answer: Result<Vector, Refusal>) {
        let Some(Waiting { txn, .. }) = self.sims.get_mut(&imsi).and_then(|s| s.queue.pop_front()) else {
            return;
        };
        self.outputs.push_back(match answer {
            Ok(Vector::Fg(vector)) => Output::Vector { txn, supi: Supi(imsi), vector },
            Ok(Vector::Eps(vector)) => Output::EpsVector { txn, vector },
            Err(refusal) => Output::AuthRefused { txn, refusal },
        });
    }

    pub(crate) fn sqn_persisted(&mut self, imsi: Imsi, state: SqnState, ok: bool, now: Now) {
        let Some(sim) = self.sims.get_mut(&imsi) else { return };
        sim.writing = None;
        if ok {
            sim.sqn.persisted(state);
            self.serve(imsi, now);
        } else {
            self.refuse_queue(imsi, &unavailable());
        }
    }

    /// Refuses the requests of `imsi` whose time is up at `at`.
    pub(crate) fn give_up(&mut self, imsi: Imsi, at: Mono) {
        let late = |sim: &Sim| sim.queue.front().is_some_and(|w| w.deadline <= at);
        while self.sims.get(&imsi).is_some_and(late) {
            self.answer(imsi, Err(unavailable()));
        }
    }

    pub(crate) fn refuse_queue(&mut self, imsi: Imsi, why: &Refusal) {
        while self.sims.get(&imsi).is_some_and(|s| !s.queue.is_empty()) {
            self.answer(imsi, Err(why.clone()));
        }
    }
}

/// The store does not answer: come back soon.
pub(crate) fn unavailable() -> Refusal {
    backoff(SHORT_BACKOFF_S, RefusalReason::Unavailable)
}
