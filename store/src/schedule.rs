//! Changes of state that are to happen later: planned suspensions, resumptions and retirements, and end dates.
//!
//! A schedule is run once: its row and the change of state are written in one transaction, so that a kill between the
//! two cannot be. What cannot be done when it is due is dropped, and the row says why. A ban is never taken back here.

use crate::{
    Page, Store,
    audit::Change,
    db::{Rec, Tx, args},
    error::StoreError,
    sims::object,
};
use std::{fmt, str::FromStr};
use types::{Imsi, SimState, TransitionError, Utc};

/// What a schedule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleKind {
    /// A change that somebody planned.
    Planned,
    /// The end of a contract: suspended from then on. A SIM has at most one that waits.
    EndDate,
}

/// How a schedule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleState {
    /// Its time has not come.
    Waiting,
    /// The change was made.
    Done,
    /// The change could not be made when it was due.
    Dropped,
    /// Somebody took it back, or set another end date in its place.
    Cancelled,
}

macro_rules! words {
    ($t:ty, $what:literal, $($v:ident = $w:literal),*) => {
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$v => $w),* })
            }
        }
        impl FromStr for $t {
            type Err = &'static str;
            fn from_str(s: &str) -> Result<Self, &'static str> {
                match s { $($w => Ok(Self::$v),)* _ => Err($what) }
            }
        }
    };
}
words!(ScheduleKind, "a schedule is planned or end-date", Planned = "planned", EndDate = "end-date");
words!(
    ScheduleState,
    "a schedule's state is one of waiting, done, dropped, cancelled",
    Waiting = "waiting",
    Done = "done",
    Dropped = "dropped",
    Cancelled = "cancelled"
);

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Its number.
    pub id: u64,
    /// Whose.
    pub imsi: Imsi,
    /// What it is for.
    pub kind: ScheduleKind,
    /// When it is due.
    pub at: Utc,
    /// `Suspended`, `Active` (a resumption) or `Retired`.
    pub to: SimState,
    /// Who planned it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Number of the ticket that asked for it; may be empty.
    pub ticket: String,
    /// When it was planned.
    pub created: Utc,
    /// How it is.
    pub state: ScheduleState,
    /// When it was done, dropped or cancelled.
    pub ended: Option<Utc>,
    /// Why it was dropped: `banned`, `retired`, `not-suspended`, `already` or `not-allowed`.
    pub outcome: Option<String>,
}

/// Which schedules to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleFilter {
    /// Only this SIM's.
    pub imsi: Option<Imsi>,
    /// Only those in this state.
    pub state: Option<ScheduleState>,
    /// Only those of this kind.
    pub kind: Option<ScheduleKind>,
}

/// What became of a schedule that was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanSchedule {
    /// The schedule as it is now.
    pub row: ScheduleRow,
    /// State of the SIM before, where it was changed.
    pub from: Option<SimState>,
}

impl ScheduleRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: r.uint("id")?,
            imsi: r.parse("imsi")?,
            kind: r.parse("kind")?,
            at: r.utc("at")?,
            to: r.parse("to_state")?,
            actor: r.text("actor")?,
            reason: r.text("reason")?,
            ticket: r.text("ticket")?,
            created: r.utc("created")?,
            state: r.parse("state")?,
            ended: r.maybe_int("ended")?.map(Utc),
            outcome: r.maybe_text("outcome")?,
        })
    }

    fn for_audit(&self) -> serde_json::Value {
        serde_json::json!({
            "schedule": self.id, "kind": self.kind.to_string(), "at": self.at, "to": self.to,
            "state": self.state.to_string(), "ticket": self.ticket, "outcome": self.outcome,
        })
    }

    /// Whether it can be done to a SIM in this state; else the word for why not.
    fn fits(&self, from: SimState) -> Result<(), &'static str> {
        match (from, self.to) {
            (a, b) if a == b => Err("already"),
            (SimState::Retired, _) => Err("retired"),
            // A retirement lets nothing live again; everything else leaves a ban alone.
            (_, SimState::Retired) => Ok(()),
            (a, _) if a.is_banned() => Err("banned"),
            (SimState::Suspended, SimState::Active) => Ok(()),
            (_, SimState::Active) => Err("not-suspended"),
            (a, b) => a.change_to(b).map(drop).map_err(|_| "not-allowed"),
        }
    }
}

impl Tx {
    async fn schedule(&mut self, id: u64) -> Result<ScheduleRow, StoreError> {
        ScheduleRow::read(&self.one("SELECT * FROM schedules WHERE id = $1", args![id]).await?)
    }

    async fn plan(
        &mut self,
        imsi: Imsi,
        kind: ScheduleKind,
        at: Utc,
        to: SimState,
        change: &Change,
    ) -> Result<ScheduleRow, StoreError> {
        let from = self.one("SELECT state FROM sims WHERE imsi = $1", args![imsi]).await?.parse("state")?;
        if from == SimState::Retired {
            return Err(TransitionError { from, to }.into());
        }
        let id = self.count_up("schedules", 1).await?;
        let sql =
            "INSERT INTO schedules (id, imsi, kind, at, to_state, actor, reason, ticket, created, state)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting')";
        let a = args![
            id,
            imsi,
            kind.to_string(),
            at,
            to,
            &change.actor,
            &change.reason,
            &change.ticket,
            change.at
        ];
        self.exec(sql, a).await?;
        let row = self.schedule(id).await?;
        self.record(change, "schedule.create", object(imsi), None, Some(row.for_audit())).await?;
        Ok(row)
    }

    async fn end_schedule(
        &mut self,
        old: &ScheduleRow,
        state: ScheduleState,
        outcome: Option<&str>,
        action: &'static str,
        change: &Change,
    ) -> Result<ScheduleRow, StoreError> {
        let sql = "UPDATE schedules SET state = $2, ended = $3, outcome = $4 WHERE id = $1";
        let a = args![old.id, state.to_string(), change.at, outcome.map(ToOwned::to_owned)];
        self.exec(sql, a).await?;
        let row = self.schedule(old.id).await?;
        let (before, after) = (old.for_audit(), row.for_audit());
        self.record(change, action, object(row.imsi), Some(before), Some(after)).await?;
        Ok(row)
    }
}

impl Store {
    /// Plans a change of state. A retired SIM has nothing before it.
    pub async fn add_schedule(
        &self,
        imsi: Imsi,
        at: Utc,
        to: SimState,
        change: &Change,
    ) -> Result<ScheduleRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move { tx.plan(imsi, ScheduleKind::Planned, at, to, &change).await })
        })
        .await
    }

    /// Sets the day from which a SIM is suspended, in place of the one that waits; `None` takes it away.
    pub async fn set_end_date(
        &self,
        imsi: Imsi,
        at: Option<Utc>,
        change: &Change,
    ) -> Result<Option<ScheduleRow>, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                tx.one("SELECT imsi FROM sims WHERE imsi = $1", args![imsi]).await?;
                let sql =
                    "SELECT * FROM schedules WHERE imsi = $1 AND kind = 'end-date' AND state = 'waiting'";
                for r in tx.rows(sql, args![imsi]).await? {
                    let old = ScheduleRow::read(&r)?;
                    let (to, action) = (ScheduleState::Cancelled, "schedule.cancel");
                    tx.end_schedule(&old, to, None, action, &change).await?;
                }
                match at {
                    Some(at) => {
                        let to = SimState::Suspended;
                        tx.plan(imsi, ScheduleKind::EndDate, at, to, &change).await.map(Some)
                    }
                    None => Ok(None),
                }
            })
        })
        .await
    }

    /// Takes a schedule back. One that is no longer waiting is [`StoreError::NotFound`].
    pub async fn cancel_schedule(&self, id: u64, change: &Change) -> Result<ScheduleRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.schedule(id).await?;
                if old.state != ScheduleState::Waiting {
                    return Err(StoreError::NotFound);
                }
                tx.end_schedule(&old, ScheduleState::Cancelled, None, "schedule.cancel", &change).await
            })
        })
        .await
    }

    /// One schedule.
    pub async fn schedule(&self, id: u64) -> Result<ScheduleRow, StoreError> {
        let r = self.db.maybe("SELECT * FROM schedules WHERE id = $1", args![id]).await?;
        ScheduleRow::read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Schedules by their number, behind `after`.
    pub async fn schedules(
        &self,
        filter: &ScheduleFilter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Page<ScheduleRow>, StoreError> {
        let sql = "SELECT * FROM schedules WHERE id > $1 AND (CAST($2 AS TEXT) IS NULL OR imsi = $2)
                   AND (CAST($3 AS TEXT) IS NULL OR state = $3) AND (CAST($4 AS TEXT) IS NULL OR kind = $4)
                   ORDER BY id LIMIT $5";
        let a = args![
            after.unwrap_or(0),
            filter.imsi.map(|i| i.to_string()),
            filter.state.map(|s| s.to_string()),
            filter.kind.map(|k| k.to_string()),
            limit + 1
        ];
        let rows = self.db.rows(sql, a).await?;
        let items = rows.iter().map(ScheduleRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |s| s.id.to_string()))
    }

    /// Time and number of every schedule that waits, in the order in which they are to be run.
    pub async fn waiting_schedules(&self) -> Result<Vec<(Utc, u64)>, StoreError> {
        let sql = "SELECT at, id FROM schedules WHERE state = 'waiting' ORDER BY at, id";
        self.db.rows(sql, vec![]).await?.iter().map(|r| Ok((r.utc("at")?, r.uint("id")?))).collect()
    }

    /// Runs a schedule that is due: changes the SIM's state, or drops the schedule and says why. `None` where it waits
    /// no longer, or is not due at `now` (its time was moved, or the clock was).
    pub async fn run_schedule(&self, id: u64, now: Utc) -> Result<Option<RanSchedule>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let Some(r) = tx.maybe("SELECT * FROM schedules WHERE id = $1", args![id]).await? else {
                    return Ok(None);
                };
                let old = ScheduleRow::read(&r)?;
                if old.state != ScheduleState::Waiting || old.at > now {
                    return Ok(None);
                }
                let sim = tx.sim(old.imsi).await?;
                let change = Change {
                    reason: old.reason.clone(),
                    ticket: old.ticket.clone(),
                    ..Change::by_system(&format!("scheduled by {}", old.actor), now)
                };
                let ran = match old.fits(sim.state) {
                    Ok(()) => {
                        tx.set_state(old.imsi, sim.state, old.to, &change).await?;
                        let done = ScheduleState::Done;
                        let row = tx.end_schedule(&old, done, None, "schedule.done", &change).await?;
                        RanSchedule { row, from: Some(sim.state) }
                    }
                    Err(why) => {
                        let dropped = ScheduleState::Dropped;
                        let row = tx.end_schedule(&old, dropped, Some(why), "schedule.drop", &change).await?;
                        RanSchedule { row, from: None }
                    }
                };
                Ok(Some(ran))
            })
        })
        .await
    }
}
