//! Imports of many SIMs: staged, switched, put in force, taken back.
//!
//! ```text
//! reading ──► (nothing written, or) commit ──► applying ──► done ──► undoing ──► undone
//!    │                                             │
//!    └► failed: nothing was written                └► unwinding ──► failed: everything is as it was
//! ```
//!
//! What a file wants is staged in pieces beside the tables, keys sealed. The commit is one small transaction: job,
//! audit and policy generation. From then on the import happens, whatever dies: pieces go over one transaction each,
//! each with its own way back, and a start carries on where the last one stopped, before anybody reads a SIM. Other
//! writers wait for one piece at most. Should a piece clash with what somebody else wrote meanwhile, all is unwound.
//!
//! A state is never changed against a ban: it is looked at in the transaction that would change it.

mod apply;
mod undo;

use crate::{
    Store,
    audit::Change,
    db::{Tx, args, json_text},
    directory::SimLinks,
    error::StoreError,
    jobs::{JobRow, JobState},
    sims::{SimEdit, SimRow, SqnRow, add_parts_of},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::Ipv4Addr,
};
use types::{Dnn, Iccid, Imsi, Name, SimState, Snssai, Utc};

/// Kind of the job.
pub(crate) const KIND: &str = "sim-import";

/// What one line of a file wants.
pub enum ImportRow {
    /// A SIM that is not there yet.
    New(Box<SimRow>),
    /// A SIM that is there and differs.
    Changed(Box<ImportEdit>),
}

/// What is to change in a SIM.
pub struct ImportEdit {
    /// Which.
    pub imsi: Imsi,
    /// Its fields.
    pub edit: SimEdit,
    /// Its state; only between `stock`, `ready` and `active`, and passed over where it has another one by then.
    pub state: Option<SimState>,
    /// New sealed keys with their fingerprint, and the sequence numbers that begin with them.
    pub keys: Option<NewSimKeys>,
}

/// Keys that take the place of those that a SIM has.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewSimKeys {
    /// Sealed K and OPc.
    pub sealed: Vec<u8>,
    /// Keyed fingerprint of K.
    pub fingerprint: Vec<u8>,
    /// Sequence number state.
    pub sqn: SqnRow,
}

impl ImportRow {
    /// How much of a transaction's time it takes, in new SIMs.
    pub fn weight(&self) -> usize {
        match self {
            Self::New(_) => 1,
            Self::Changed(_) => 8,
        }
    }
}

/// A row as it is staged.
#[derive(Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "rows are read in pieces of some hundred and dropped; a box would cost more"
)]
pub(crate) enum Staged {
    New(Box<StagedSim>),
    Changed { imsi: Imsi, edit: SimEdit, state: Option<SimState>, keys: Option<NewSimKeys> },
}

/// [`SimRow`] without what the transaction sets.
#[derive(Serialize, Deserialize)]
pub(crate) struct StagedSim {
    imsi: Imsi,
    iccid: Option<Iccid>,
    label: String,
    state: SimState,
    sealed: Option<Vec<u8>>,
    fingerprint: Option<Vec<u8>>,
    algorithm: String,
    sqn: SqnRow,
    dnns: Vec<Dnn>,
    slices: Vec<Snssai>,
    static_ips: BTreeMap<Dnn, Ipv4Addr>,
    groups: BTreeSet<Name>,
    ambr_ul_bps: u64,
    ambr_dl_bps: u64,
    device: Option<String>,
    /// Linked device, person and site.
    links: (Option<Name>, Option<Name>, Option<Name>),
}

/// What an undo needs of a row that was put in force.
#[derive(Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "rows are read in pieces of some hundred and dropped; a box would cost more"
)]
pub(crate) enum Applied {
    New { imsi: Imsi, state: SimState, ceiling: u64, offset: i64 },
    Changed { imsi: Imsi, before: SimEdit, after: SimEdit, state: Option<(SimState, SimState)>, keys: bool },
}

impl Applied {
    fn imsi(&self) -> Imsi {
        match self {
            Self::New { imsi, .. } | Self::Changed { imsi, .. } => *imsi,
        }
    }
}

/// Identities that a piece of a file names.
#[derive(Default)]
pub struct ImportNames {
    /// SIMs.
    pub imsis: Vec<Imsi>,
    /// Cards.
    pub iccids: Vec<Iccid>,
    /// Fingerprints of Ks.
    pub keys: Vec<Vec<u8>>,
    /// Static addresses.
    pub ips: Vec<Ipv4Addr>,
    /// Devices, by their ids.
    pub devices: BTreeSet<Name>,
    /// People, by their ids.
    pub people: BTreeSet<Name>,
    /// Sites, by their ids.
    pub sites: BTreeSet<Name>,
}

/// What the store has of the identities that a file names: who holds each.
#[derive(Default)]
pub struct ImportFacts {
    /// SIMs by IMSI.
    pub sims: HashMap<Imsi, SimRow>,
    /// Owners of cards.
    pub iccids: HashMap<Iccid, Imsi>,
    /// Owners of Ks, by their fingerprints.
    pub keys: HashMap<Vec<u8>, Imsi>,
    /// Owners of static addresses.
    pub addresses: HashMap<(Dnn, Ipv4Addr), Imsi>,
    /// Those of the devices, people and sites that were asked for which are there.
    pub devices: BTreeSet<Name>,
    /// See `devices`.
    pub people: BTreeSet<Name>,
    /// See `devices`.
    pub sites: BTreeSet<Name>,
}

/// Octets of a value; our own plain structs always serialise.
pub(crate) fn octets<T: Serialize>(v: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_allocvec(v).map_err(|_| StoreError::Damaged { what: "import row" })
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(b: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(b).map_err(|_| StoreError::Damaged { what: "import row" })
}

impl From<StagedSim> for SimRow {
    fn from(s: StagedSim) -> Self {
        let (device, person, site) = s.links;
        Self {
            imsi: s.imsi,
            iccid: s.iccid,
            label: s.label,
            state: s.state,
            sealed: s.sealed,
            fingerprint: s.fingerprint,
            algorithm: s.algorithm,
            sqn: s.sqn,
            dnns: s.dnns,
            slices: s.slices,
            static_ips: s.static_ips,
            groups: s.groups,
            ambr_ul_bps: s.ambr_ul_bps,
            ambr_dl_bps: s.ambr_dl_bps,
            device: s.device,
            links: SimLinks { device, person, site },
            version: 1,
            created: Utc::default(),
            changed: Utc::default(),
            last_seen: None,
        }
    }
}

impl From<ImportRow> for Staged {
    fn from(r: ImportRow) -> Self {
        match r {
            ImportRow::New(s) => Self::New(Box::new(StagedSim {
                imsi: s.imsi,
                iccid: s.iccid,
                label: s.label,
                state: s.state,
                sealed: s.sealed,
                fingerprint: s.fingerprint,
                algorithm: s.algorithm,
                sqn: s.sqn,
                dnns: s.dnns,
                slices: s.slices,
                static_ips: s.static_ips,
                groups: s.groups,
                ambr_ul_bps: s.ambr_ul_bps,
                ambr_dl_bps: s.ambr_dl_bps,
                device: s.device,
                links: (s.links.device, s.links.person, s.links.site),
            })),
            ImportRow::Changed(c) => {
                Self::Changed { imsi: c.imsi, edit: c.edit, state: c.state, keys: c.keys }
            }
        }
    }
}

impl Store {
    /// What the store has of these identities, as of one moment.
    pub async fn import_facts(&self, names: &ImportNames) -> Result<ImportFacts, StoreError> {
        let mut tx = self.db.snapshot().await?;
        let mut facts = ImportFacts::default();
        for s in sims_of(&mut tx, &names.imsis).await? {
            facts.sims.insert(s.imsi, s);
        }
        let keys = names.iccids.iter().map(|i| i.to_string().into()).collect();
        for r in tx.rows_in("SELECT iccid, imsi FROM sims WHERE iccid IN", keys).await? {
            facts.iccids.insert(r.parse("iccid")?, r.parse("imsi")?);
        }
        let keys = names.keys.iter().map(Into::into).collect();
        for r in tx.rows_in("SELECT fingerprint, imsi FROM sims WHERE fingerprint IN", keys).await? {
            facts.keys.insert(r.blob("fingerprint")?, r.parse("imsi")?);
        }
        let keys = names.ips.iter().map(|i| i.to_string().into()).collect();
        for r in tx.rows_in("SELECT dnn, ip, imsi FROM sim_addresses WHERE ip IN", keys).await? {
            facts.addresses.insert((r.parse("dnn")?, r.parse("ip")?), r.parse("imsi")?);
        }
        for (head, asked, found) in [
            ("SELECT id FROM devices WHERE id IN", &names.devices, &mut facts.devices),
            ("SELECT id FROM people WHERE id IN", &names.people, &mut facts.people),
            ("SELECT id FROM sites WHERE id IN", &names.sites, &mut facts.sites),
        ] {
            for r in tx.rows_in(head, asked.iter().map(Into::into).collect()).await? {
                found.insert(r.parse("id")?);
            }
        }
        Ok(facts)
    }

    /// SIMs of these identities; those that are not there are left out.
    pub async fn sims_of(&self, imsis: &[Imsi]) -> Result<Vec<SimRow>, StoreError> {
        sims_of(&mut self.db.snapshot().await?, imsis).await
    }

    /// Notes an import that begins.
    pub async fn begin_import(&self, change: &Change) -> Result<JobRow, StoreError> {
        self.begin_job(KIND, "reading", None, change).await
    }

    /// Stages pieces of an import; `seq` is the number of the first one. Nothing of them is in force.
    pub async fn stage_import(
        &self,
        job: u64,
        seq: u64,
        pieces: Vec<Vec<ImportRow>>,
    ) -> Result<(), StoreError> {
        let mut bodies = Vec::with_capacity(pieces.len());
        for rows in pieces {
            let staged: Vec<Staged> = rows.into_iter().map(Staged::from).collect();
            bodies.push(octets(&staged)?);
        }
        self.write(move |tx| {
            Box::pin(async move {
                for (seq, body) in (seq..).zip(bodies) {
                    let sql =
                        "INSERT INTO import_chunks (job, seq, step, body) VALUES ($1, $2, 'staged', $3)";
                    tx.exec(sql, args![job, seq, body]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The switch: from here on the import happens. False where another import is being put in force or taken back:
    /// then this one waits. `result` is what the job will say, and is audited.
    pub async fn commit_import(
        &self,
        job: u64,
        total: u64,
        result: Value,
        change: &Change,
    ) -> Result<bool, StoreError> {
        let change = change.clone();
        crash::point("import.before-switch");
        let switched = self
            .write(move |tx| {
                Box::pin(async move {
                    if tx.import_is_under_way(job).await? {
                        return Ok(false);
                    }
                    let sql = "UPDATE jobs SET phase = 'applying', done = 0, total = $2, result = $3
                           WHERE id = $1 AND state = 'running' AND phase = 'reading'";
                    if tx.exec(sql, args![job, total, json_text(&result)]).await? == 0 {
                        return Err(StoreError::NotFound);
                    }
                    tx.record(&change, "import.commit", format!("job:{job}"), None, Some(result)).await?;
                    Ok(true)
                })
            })
            .await;
        crash::point("import.switched");
        switched
    }

    /// Begins to take an import back. Only one that was put in force can be.
    pub async fn begin_undo(&self, job: u64, change: &Change) -> Result<bool, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let row = tx.job(job).await?;
                let sql = "SELECT seq FROM import_chunks WHERE job = $1 AND step = 'applied' LIMIT 1";
                let undoable = row.kind == KIND
                    && row.state == JobState::Done
                    && tx.maybe(sql, args![job]).await?.is_some();
                if !undoable {
                    return Err(StoreError::NotFound);
                }
                if tx.import_is_under_way(job).await? {
                    return Ok(false);
                }
                let sql = "UPDATE jobs SET state = 'running', phase = 'undoing', done = 0, ended = NULL
                           WHERE id = $1";
                tx.exec(sql, args![job]).await?;
                tx.record(&change, "import.undo", format!("job:{job}"), row.result, None).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Carries an import on to its end: puts what is staged in force, or takes back what is. Each piece is a transaction
    /// of its own; an error leaves it where it is, to be carried on later.
    pub async fn carry_on_import(&self, job: u64, at: Utc) -> Result<JobRow, StoreError> {
        loop {
            let row = self.job(job).await?;
            let change = Change {
                reason: row.reason.clone(),
                ticket: row.ticket.clone(),
                ..Change::by_system(&row.actor, at)
            };
            match (row.state, row.phase.as_str()) {
                (JobState::Running, "applying") => match self.apply_next(job, &change).await {
                    Ok(true) => crash::point("import.piece"),
                    Ok(false) => return self.finish_apply(row, at).await,
                    Err(StoreError::Conflict { what }) => self.unwind(row, what).await?,
                    Err(e) => return Err(e),
                },
                (JobState::Running, "unwinding") => {
                    while self.undo_next(job, &change).await? {}
                    self.drop_staged(job).await?;
                    let result = self.job(job).await?.result.unwrap_or_default();
                    return self.end_job(job, JobState::Failed, result, at).await;
                }
                (JobState::Running, "undoing") => {
                    while self.undo_next(job, &change).await? {}
                    // Each piece added to the result what became of it.
                    return self.finish_undo(self.job(job).await?, at).await;
                }
                _ => return Ok(row),
            }
        }
    }

    /// Imports that a process that is gone has left in the middle of being put in force or taken back.
    pub async fn imports_under_way(&self) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT id FROM jobs WHERE kind = 'sim-import' AND state = 'running'
                   AND phase IN ('applying', 'unwinding', 'undoing') ORDER BY id";
        self.db.rows(sql, vec![]).await?.iter().map(|r| r.uint("id")).collect()
    }

    /// Drops everything staged that never came to its commit: keys, sealed, that belong to no SIM.
    pub async fn drop_orphaned_imports(&self) -> Result<(), StoreError> {
        let sql = "SELECT DISTINCT job FROM import_chunks WHERE step = 'staged'
                   AND job NOT IN (SELECT id FROM jobs WHERE state = 'running')";
        for r in self.db.rows(sql, vec![]).await? {
            self.drop_staged(r.uint("job")?).await?;
        }
        Ok(())
    }

    /// Drops what is staged of a job.
    pub async fn drop_staged(&self, job: u64) -> Result<(), StoreError> {
        loop {
            let gone = self
                .write(move |tx| {
                    Box::pin(async move {
                        let sql = "DELETE FROM import_chunks WHERE job = $1 AND step = 'staged' AND seq IN
                                   (SELECT seq FROM import_chunks WHERE job = $1 AND step = 'staged'
                                    ORDER BY seq LIMIT 8)";
                        tx.exec(sql, args![job]).await
                    })
                })
                .await?;
            if gone == 0 {
                return Ok(());
            }
        }
    }

    /// The SIMs of the piece of an import behind number `after`, with that piece's number.
    pub async fn imported_sims(
        &self,
        job: u64,
        after: Option<u64>,
    ) -> Result<Option<(u64, Vec<Imsi>)>, StoreError> {
        let sql = "SELECT seq, body FROM import_chunks WHERE job = $1 AND seq > $2 AND step <> 'staged'
                   ORDER BY seq LIMIT 1";
        let after = after.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1);
        let Some(r) = self.db.maybe(sql, args![job, after]).await? else { return Ok(None) };
        let rows: Vec<Applied> = read(&r.blob("body")?)?;
        Ok(Some((r.uint("seq")?, rows.iter().map(Applied::imsi).collect())))
    }

    async fn unwind(&self, row: JobRow, what: crate::Clash) -> Result<(), StoreError> {
        let mut result = row.result.unwrap_or_else(|| json!({}));
        result["error"] = json!("clash");
        result["clash"] = json!(what.to_string());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE jobs SET phase = 'unwinding', result = $2 WHERE id = $1";
                tx.exec(sql, args![row.id, json_text(&result)]).await.map(|_| ())
            })
        })
        .await
    }

    async fn finish_apply(&self, row: JobRow, at: Utc) -> Result<JobRow, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.next_generation(None).await?;
                tx.end_job(row.id, JobState::Done, &row.result.unwrap_or_default(), at).await?;
                tx.job(row.id).await
            })
        })
        .await
    }

    async fn finish_undo(&self, row: JobRow, at: Utc) -> Result<JobRow, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.next_generation(None).await?;
                tx.end_job(row.id, JobState::Undone, &row.result.unwrap_or_default(), at).await?;
                tx.job(row.id).await
            })
        })
        .await
    }
}

impl Tx {
    /// True while another import is being put in force or taken back.
    async fn import_is_under_way(&mut self, but: u64) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM jobs WHERE kind = 'sim-import' AND state = 'running' AND id <> $1
                   AND phase IN ('applying', 'unwinding', 'undoing') LIMIT 1";
        Ok(self.maybe(sql, args![but]).await?.is_some())
    }
}

async fn sims_of(tx: &mut Tx, imsis: &[Imsi]) -> Result<Vec<SimRow>, StoreError> {
    let keys = imsis.iter().map(Into::into).collect();
    let found = tx.rows_in("SELECT * FROM sims WHERE imsi IN", keys).await?;
    let mut sims = found.iter().map(SimRow::read).collect::<Result<Vec<_>, _>>()?;
    sims.sort_unstable_by_key(|s| s.imsi);
    sims.dedup_by_key(|s| s.imsi);
    add_parts_of(tx, &mut sims).await?;
    Ok(sims)
}
