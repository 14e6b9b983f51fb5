//! The only place with SQL: what must outlive the process, on SQLite or PostgreSQL.
//!
//! One concrete [`Store`]. The same statements run on both databases; columns are TEXT, BIGINT and
//! BLOB/BYTEA only. Every change takes a [`Change`] (who, when, why) and writes the change, its audit row
//! and its outbox row in one transaction. Writes go through one task that commits many of them together.
//!
//! Flow records do not live in SQL: [`FlowLog`] keeps them in append-only segment files.
//!
//! This room decides nothing: it neither knows what a policy means nor opens a key.

mod access_grants;
mod alert_rules;
mod alerts;
mod audit;
mod backup;
mod config;
mod db;
mod directory;
mod equipment;
mod error;
mod events;
mod facts;
mod flows;
mod foreign_leases;
mod gx_sessions;
mod home_keys;
mod horizon;
mod idempotency;
mod imports;
mod jobs;
mod kept;
#[cfg(any(test, feature = "lab"))]
pub mod lab;
mod leases;
mod many;
mod meta;
mod migrate;
mod operators;
mod outbox;
mod passkeys;
mod past;
mod policy_changes;
mod policy_text;
mod posture;
mod provider;
mod revocations;
mod risk;
mod routes;
mod schedule;
mod scim;
mod search;
mod serving;
mod sightings;
mod signals;
mod sims;
mod tokens;
mod unbans;
mod writer;

#[cfg(test)]
mod tests;

pub use alert_rules::AlertRulesRow;
pub use alerts::{AlertFilter, AlertRow, NewAlert};
pub use audit::{
    AuditChain, AuditCheckpoint, AuditFault, AuditFilter, AuditReport, AuditRow, AuditVerdict,
    CLOCK_TOLERANCE_MS, Change, ClockMark,
};
pub use backup::{Hold, Marks};
pub use config::{Document, PolicySource};
pub use directory::{Entity, Linked, Place, SimLinks, Within};
pub use equipment::{
    BindingRow, DeviceSeen, EquipmentEntry, EquipmentFilter, EquipmentRow, GroupBinding, Imported,
};
pub use error::{Clash, StoreError};
pub use events::EventRow;
pub use facts::{FactDevice, FactRow, FactsOf, RiskRow};
pub use flows::{FlowLog, FlowLogConfig, FlowPiece, FlowPlace, FlowQuery, FlowStats};
pub use foreign_leases::ForeignLease;
pub use gx_sessions::{GxPlace, GxSessionRow};
pub use home_keys::HomeKeyRow;
pub use idempotency::{Claim, Kept};
pub use imports::{ImportEdit, ImportFacts, ImportNames, ImportRow, NewSimKeys};
pub use jobs::{JobRow, JobState};
pub use kept::{Named, Versioned};
pub use leases::LeaseRow;
pub use operators::{OperatorEdit, OperatorRow};
pub use outbox::{DeliveryRow, OutboxKind, OutboxRow};
pub use passkeys::PasskeyRow;
pub use past::Past;
pub use policy_changes::PolicyNews;
pub use policy_text::{Applied, PolicySet, PolicyStep};
pub use posture::PostureRow;
pub use revocations::{
    KeptAnswer, ReceiptRow, RestrictionRow, RevocationFilter, RevocationRow, RevocationWrite,
};
pub use risk::ProfileRow;
pub use routes::{RouteRow, SimRoutes};
pub use schedule::{RanSchedule, ScheduleFilter, ScheduleKind, ScheduleRow, ScheduleState};
pub use scim::{ScimAsk, ScimDone, ScimKind, ScimLife, ScimMember, ScimPerson, ScimPut, ScimRow};
pub use search::{AddressLine, LeaseFilter, SimFound};
pub use serving::{CancellationRow, ServingRow, UnsupportedRow};
pub use sightings::Sighted;
pub use signals::{SourceHealth, SourceRow};
pub use sims::{
    SimEdit, SimFilter, SimHistoryRow, SimKey, SimOrder, SimRow, SqnCeiling, SqnRow, StateChange,
};
pub use tokens::{ByProvider, Grant, TokenRow};
pub use unbans::{UnbanOf, UnbanRequestRow};

use db::Db;
use std::sync::Arc;

/// One page of a list, and the cursor of the next page if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts rows that were asked for as `limit + 1` to a page; `key` names the last row kept.
    fn cut(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}

/// The store. Cheap to clone; all clones share the pools and the writer.
#[derive(Clone)]
pub struct Store {
    db: Arc<Db>,
    writer: writer::Writer,
}

impl Store {
    /// Opens (and, for SQLite, makes) the database at `url` and brings its tables up to date.
    ///
    /// `url` is `sqlite:PATH`, `sqlite::memory:` or `postgres://…`. A SQLite file is made with mode 0600.
    /// A database made by a newer version is refused: migrations go forward only.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let db = Arc::new(Db::open(url).await?);
        migrate::run(&db).await?;
        let writer = writer::Writer::start(Arc::clone(&db));
        Ok(Self { db, writer })
    }

    /// A store that has no database: every call gets [`StoreError::Unavailable`]. What a process holds that has to
    /// run without one.
    pub async fn absent() -> Result<Self, StoreError> {
        let db = Arc::new(Db::open("sqlite::memory:").await?);
        db.close().await;
        let writer = writer::Writer::start(Arc::clone(&db));
        Ok(Self { db, writer })
    }

    /// Opens a database only to read it, such as a copy that is to be verified: nothing is made, migrated or written.
    /// One that this version cannot read as it stands is refused.
    pub async fn open_to_read(url: &str) -> Result<Self, StoreError> {
        let db = Arc::new(Db::open_to_read(url).await?);
        migrate::must_be_done(&db).await?;
        let writer = writer::Writer::start(Arc::clone(&db));
        Ok(Self { db, writer })
    }

    /// Which database it is: `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        self.db.kind()
    }

    /// Reads one row: does the database answer?
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db.rows("SELECT value FROM counters WHERE name = 'ping'", vec![]).await.map(|_| ())
    }

    /// Waits for the writes that are queued and closes the pools. Later calls get [`StoreError::Unavailable`].
    pub async fn close(&self) {
        let _ = self.write(|_| Box::pin(async { Ok(()) })).await;
        self.db.close().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.kind())
    }
}
