//! Who changed what, when, why and from where.
//!
//! The audit table is a chain: each row's hash covers the row and the hash before it, so that a row that is
//! flipped, deleted or moved is found by reading. The outbox row of the same change is written beside it. Whoever can
//! write the whole database could compute a new chain: checkpoints, signed and kept elsewhere too, are against that.

mod chain;

pub use chain::{AuditChain, AuditCheckpoint, AuditFault, AuditRow, CLOCK_TOLERANCE_MS, ClockMark};

use crate::{
    Page, Store,
    db::{Tx, args, json_text},
    error::StoreError,
    outbox::OutboxKind,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::Utc;

/// Who makes a change, when, why, and in which request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Who: a token's label, `network`, `init`, ….
    pub actor: String,
    /// When.
    pub at: Utc,
    /// Why, in their words; may be empty.
    pub reason: String,
    /// Request id, so that a log line and an audit row find each other; may be empty.
    pub request_id: String,
    /// From where: the address of the one who asked; empty for a change that this machine makes by itself.
    pub origin: String,
    /// Number of the ticket that asked for it, in the company's own system; may be empty.
    pub ticket: String,
}

impl Change {
    /// A change that the system makes by itself, such as the first attach of a SIM.
    pub fn by_system(what: &str, at: Utc) -> Self {
        Self {
            actor: what.to_owned(),
            at,
            reason: String::new(),
            request_id: String::new(),
            origin: String::new(),
            ticket: String::new(),
        }
    }
}

/// What a row says, before it has its place in the chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Saying {
    at: Utc,
    actor: String,
    origin: String,
    action: String,
    object: String,
    before: Option<String>,
    after: Option<String>,
    reason: String,
    request_id: String,
}

impl Saying {
    pub(crate) fn new(
        change: &Change,
        action: &str,
        object: String,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Self {
        Self {
            at: change.at,
            actor: change.actor.clone(),
            origin: change.origin.clone(),
            action: action.to_owned(),
            object,
            before: before.map(|v| v.to_string()),
            after: after.map(|v| v.to_string()),
            reason: change.reason.clone(),
            request_id: change.request_id.clone(),
        }
    }
}

/// Which rows of the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only by this actor.
    pub actor: Option<String>,
    /// Only this action, or, where it ends with `.`, those that begin with it: `sim.`.
    pub action: Option<String>,
    /// Only of this thing.
    pub object: Option<String>,
    /// Only of this request.
    pub request_id: Option<String>,
    /// Only from this time on.
    pub from: Option<Utc>,
    /// Only before this time.
    pub until: Option<Utc>,
}

/// What reading the whole chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditVerdict {
    /// Every row is there and as it was written.
    Whole {
        /// Rows read.
        rows: u64,
    },
    /// The first row that is not what the chain says, or is missing.
    Broken {
        /// Its number.
        seq: u64,
        /// What is wrong with it.
        fault: AuditFault,
    },
}

/// What reading the whole audit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// The verdict.
    pub verdict: AuditVerdict,
    /// Steps back of the clock that rows tell of themselves.
    pub clock_back: Vec<ClockMark>,
    /// Rows that bans owe to the audit, because it could not be written with them.
    pub owed: u64,
}

/// The wall clock: when a row is written, whatever its change says of its own time.
pub(crate) fn clock() -> Utc {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Utc(since.map(|d| d.as_millis() as i64).unwrap_or(0))
}

impl Tx {
    /// Writes the audit row and the outbox row of a change. `action` is like `sim.create`.
    pub(crate) async fn record(
        &mut self,
        change: &Change,
        action: &'static str,
        object: String,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), StoreError> {
        self.append_audit(vec![Saying::new(change, action, object, before, after)], clock()).await
    }

    /// Rows of the audit for what is cut: where they cannot be written the cut is, and they are owed (DESIGN §5).
    pub(crate) async fn record_or_owe(&mut self, all: Vec<Saying>) -> Result<(), StoreError> {
        self.later("SAVEPOINT audit_row", vec![]).await?;
        let appended = match self.append_audit(all.clone(), clock()).await {
            Ok(()) => self.flush().await,
            e => e,
        };
        if let Err(e) = appended {
            tracing::error!("a ban goes on without its audit, which is written as soon as it can be: {e}");
            self.forget();
            self.exec("ROLLBACK TO SAVEPOINT audit_row", vec![]).await?;
            for saying in &all {
                let id = self.count_up("audit_owed", 1).await?;
                let sql = "INSERT INTO audit_owed (id, body) VALUES ($1, $2)";
                self.later(sql, args![id, json_text(saying)]).await?;
            }
        }
        self.later("RELEASE SAVEPOINT audit_row", vec![]).await
    }

    /// Writes rows of the audit, one behind the other, each with its row of the outbox.
    pub(crate) async fn append_audit(&mut self, all: Vec<Saying>, written: Utc) -> Result<(), StoreError> {
        let n = all.len() as u64;
        if n == 0 {
            return Ok(());
        }
        for counter in ["audit", "outbox"] {
            self.count_up_later(counter, n).await?;
        }
        let sql = "SELECT c.value AS audit_now, o.value AS outbox_now, a.* FROM counters c
                   JOIN counters o ON o.name = 'outbox' LEFT JOIN audit a ON a.seq = c.value - $1 WHERE c.name = 'audit'";
        let now = self.one(sql, args![n]).await?;
        let (audit, outbox) = (now.uint("audit_now")?, now.uint("outbox_now")?);
        let mut last = now.maybe_int("seq")?.map(|_| AuditRow::read(&now)).transpose()?;
        for (s, behind) in all.into_iter().zip((0..n).rev()) {
            let row = follow(last.as_ref(), audit - behind, s, written);
            self.insert_audit(&row).await?;
            self.insert_outbox(outbox - behind, row.at, OutboxKind::Audit, row.seq.to_string()).await?;
            last = Some(row);
        }
        Ok(())
    }

    async fn insert_audit(&mut self, row: &AuditRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO audit (seq, at, written, clock_back, actor, origin, action, object, before, after,
                   reason, request_id, form, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let values = args![
            row.seq,
            row.at,
            row.written,
            row.clock_back,
            &row.actor,
            &row.origin,
            &row.action,
            &row.object,
            row.before.clone(),
            row.after.clone(),
            &row.reason,
            &row.request_id,
            row.form,
            &row.hash
        ];
        self.later(sql, values).await
    }
}

/// The row number `seq` of the chain, behind `last`.
fn follow(last: Option<&AuditRow>, seq: u64, s: Saying, written: Utc) -> AuditRow {
    let before_it = last.map(|l| if l.form == 1 { l.at } else { l.written });
    let mut row = AuditRow {
        seq,
        at: s.at,
        written,
        clock_back: before_it.and_then(|w| AuditRow::step_back(written, w)),
        actor: s.actor,
        origin: s.origin,
        action: s.action,
        object: s.object,
        before: s.before,
        after: s.after,
        reason: s.reason,
        request_id: s.request_id,
        form: chain::FORM,
        hash: Vec::new(),
    };
    if let Some(back) = row.clock_back {
        tracing::warn!(
            seq,
            back,
            "the clock stands {back} ms behind the audit row before; row {seq} says so"
        );
    }
    let previous = last.map(|l| l.hash.as_slice()).unwrap_or_default();
    row.hash = row.chained(previous).unwrap_or_default();
    row
}

impl Store {
    /// Writes an audit row of its own: an operator's decision or a secret that was read, where no row changes.
    pub async fn audit_note(
        &self,
        change: &Change,
        action: &'static str,
        object: String,
        detail: Option<Value>,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| Box::pin(async move { tx.record(&change, action, object, None, detail).await }))
            .await
    }

    /// Writes the rows that bans owe to the audit, with the time of the ban and the time of now; how many.
    pub async fn pay_audit(&self) -> Result<u64, StoreError> {
        if self.db.maybe("SELECT id FROM audit_owed LIMIT 1", vec![]).await?.is_none() {
            return Ok(0);
        }
        self.write(move |tx| {
            Box::pin(async move {
                let rows = tx.rows("SELECT * FROM audit_owed ORDER BY id LIMIT 256", vec![]).await?;
                let owed = rows.iter().map(|r| r.json("body")).collect::<Result<Vec<_>, _>>()?;
                tx.append_audit(owed, clock()).await?;
                for r in &rows {
                    tx.exec("DELETE FROM audit_owed WHERE id = $1", args![r.uint("id")?]).await?;
                }
                Ok(rows.len() as u64)
            })
        })
        .await
    }

    /// The audit, newest first; `object` narrows it to one thing. The cursor is the number of the last row seen.
    pub async fn audit(
        &self,
        object: Option<String>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<AuditRow>, StoreError> {
        self.audit_list(&AuditFilter { object, ..AuditFilter::default() }, before, limit).await
    }

    /// The audit, newest first, narrowed. The cursor is the number of the last row seen.
    pub async fn audit_list(
        &self,
        f: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<AuditRow>, StoreError> {
        let sql = "SELECT * FROM audit WHERE seq < $1 AND (CAST($2 AS TEXT) IS NULL OR object = $2)
                   AND (CAST($3 AS TEXT) IS NULL OR actor = $3)
                   AND (CAST($4 AS TEXT) IS NULL OR action = $4)
                   AND (CAST($5 AS TEXT) IS NULL OR SUBSTR(action, 1, LENGTH($5)) = $5)
                   AND (CAST($6 AS TEXT) IS NULL OR request_id = $6)
                   AND at >= $7 AND at < $8
                   ORDER BY seq DESC LIMIT $9";
        let group = f.action.as_ref().is_some_and(|a| a.ends_with('.'));
        let (exact, start) = if group { (None, f.action.clone()) } else { (f.action.clone(), None) };
        let a = args![
            before.unwrap_or(i64::MAX as u64),
            f.object.clone(),
            f.actor.clone(),
            exact,
            start,
            f.request_id.clone(),
            f.from.unwrap_or(Utc(i64::MIN)),
            f.until.unwrap_or(Utc(i64::MAX)),
            limit + 1
        ];
        let rows = self.db.rows(sql, a).await?;
        let items = rows.iter().map(AuditRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |r| r.seq.to_string()))
    }

    /// Rows behind number `seq`, oldest first.
    pub async fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let sql = "SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
        self.db.rows(sql, args![seq, limit]).await?.iter().map(AuditRow::read).collect()
    }

    /// How many rows were ever written, by the counter of the same transactions.
    pub async fn audit_counted(&self) -> Result<u64, StoreError> {
        let r = self.db.maybe("SELECT value FROM counters WHERE name = 'audit'", vec![]).await?;
        r.map(|r| r.uint("value")).transpose().map(Option::unwrap_or_default)
    }

    /// Every checkpoint, oldest first.
    pub async fn audit_checkpoints(&self) -> Result<Vec<AuditCheckpoint>, StoreError> {
        let rows = self.db.rows("SELECT * FROM audit_checkpoints ORDER BY seq", vec![]).await?;
        rows.iter()
            .map(|r| {
                Ok(AuditCheckpoint {
                    seq: r.uint("seq")?,
                    hash: r.blob("hash")?,
                    at: r.utc("at")?,
                    public_key: r.text("public_key")?,
                    signature: r.text("signature")?,
                })
            })
            .collect()
    }

    /// Keeps a checkpoint and sends it out. A second one of the same row changes nothing.
    pub async fn add_audit_checkpoint(&self, c: AuditCheckpoint) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO audit_checkpoints (seq, hash, at, public_key, signature)
                           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (seq) DO NOTHING";
                let text = c.to_json().to_string();
                if tx.exec(sql, args![c.seq, c.hash, c.at, c.public_key, c.signature]).await? == 1 {
                    tx.send_out(c.at, OutboxKind::Checkpoint, text).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Reads the whole chain and says whether it holds. A tail that was cut off is found by the counter that
    /// is written in the same transaction.
    pub async fn audit_verify(&self) -> Result<AuditVerdict, StoreError> {
        Ok(self.audit_examine(AuditChain::default(), |_, _| {}).await?.verdict)
    }

    /// Reads the whole audit against `chain`, which knows the checkpoints. `progress` is told rows read and rows there.
    pub async fn audit_examine(
        &self,
        mut chain: AuditChain,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<AuditReport, StoreError> {
        const STEP: u32 = 1000;
        let mut tx = self.db.snapshot().await?;
        let counted = tx.maybe("SELECT value FROM counters WHERE name = 'audit'", vec![]).await?;
        let counted = counted.map(|r| r.uint("value")).transpose()?.unwrap_or(0);
        let owed = tx.one("SELECT COUNT(*) AS n FROM audit_owed", vec![]).await?.uint("n")?;
        let sql = "SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
        // Numbers below 1 are never given.
        let mut last = i64::MIN;
        let mut fault = None;
        'read: loop {
            let rows = match tx.rows(sql, args![last, STEP]).await {
                Ok(rows) => rows,
                // The counter could be read, so the database is there: it is its file that is damaged.
                Err(StoreError::Unavailable(why)) => {
                    fault = Some(AuditFault::Unreadable { why });
                    break;
                }
                Err(e) => return Err(e),
            };
            for r in &rows {
                last = r.int("seq")?;
                // A column that cannot be read as what it should be is a row that is not as it was written.
                let taken = match AuditRow::read(r) {
                    Ok(row) => chain.take(&row),
                    Err(_) if last > 0 && last as u64 > chain.seq() + 1 => Err(AuditFault::Missing),
                    Err(_) => Err(AuditFault::Changed),
                };
                if let Err(f) = taken {
                    fault = Some(f);
                    break 'read;
                }
            }
            progress(chain.seq(), counted);
            if rows.len() < STEP as usize {
                break;
            }
        }
        if fault == Some(AuditFault::Changed) {
            let rest = tx.rows(sql, args![chain.seq(), STEP]).await?;
            let rest: Vec<AuditRow> = rest.iter().filter_map(|r| AuditRow::read(r).ok()).collect();
            fault = Some(chain.diagnose(&rest));
        }
        let fault = fault.or(chain.finish(Some(counted)).err());
        let verdict = match fault {
            None => AuditVerdict::Whole { rows: chain.seq() },
            // More rows than were counted: the last of them is the foreign one.
            Some(AuditFault::Foreign) if chain.seq() > counted => {
                AuditVerdict::Broken { seq: counted + 1, fault: AuditFault::Foreign }
            }
            Some(fault) => AuditVerdict::Broken { seq: chain.seq() + 1, fault },
        };
        Ok(AuditReport { verdict, clock_back: chain.marks().to_vec(), owed })
    }
}

impl std::fmt::Display for AuditFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed => f.write_str("it is not as it was written"),
            Self::Missing => f.write_str("it is not there, though later rows are"),
            Self::Moved { to } => write!(f, "the row that belongs here stands at number {to}"),
            Self::Foreign => f.write_str("a row stands here that this system did not write"),
            Self::Cut { written } => write!(f, "the rows end here, though {written} were written"),
            Self::ClockUnmarked { back_ms } => {
                write!(f, "its time is {back_ms} ms before the row before, and it does not say so")
            }
            Self::NotAsSigned { signed } => write!(f, "a checkpoint of {} signed another hash", signed.0),
            Self::Unreadable { why } => write!(f, "it, or one behind it, cannot be read: {why}"),
            Self::UnknownForm => f.write_str("it is of a form that this version does not know"),
        }
    }
}
