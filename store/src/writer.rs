//! The one writer: many changes, one commit.
//!
//! A commit costs an fsync, whatever is in it. While one commit is under way the next changes queue up; they
//! then run in one transaction, each under a savepoint of its own, so that a refused one takes nothing along.
//! Nobody is answered before the commit is durable. A caller that goes away does not stop its change.

use crate::{
    Store,
    db::{Db, Tx, args},
    error::StoreError,
};
use futures_util::FutureExt as _;
use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc};
use tokio::sync::{mpsc, oneshot, watch};

/// A change under way.
pub(crate) type Work<'t, R> = Pin<Box<dyn Future<Output = Result<R, StoreError>> + Send + 't>>;

/// How a change ended inside the transaction, and how its caller is told once the commit is known.
struct Ran {
    ok: bool,
    /// The database itself failed.
    fault: Option<StoreError>,
    tell: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// A queued change. It gets the transaction, or the reason why there is none.
type Job = Box<
    dyn for<'t> FnOnce(Result<&'t mut Tx, StoreError>) -> Pin<Box<dyn Future<Output = Ran> + Send + 't>>
        + Send,
>;

/// Most changes in one commit.
const BATCH: usize = 256;
/// Most changes that may wait; more make their callers wait.
const QUEUE: usize = 4096;
/// The row that is written to find out whether rows can be written, and its size: more than an ordinary change needs,
/// so that no disk is called good that has room for nothing else.
const PROBE: &str = "probe";
const PROBE_SIZE: usize = 64 << 10;

/// The way in to the writer task, and how its last commit went.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    fault: watch::Receiver<Option<StoreError>>,
}

impl Writer {
    pub(crate) fn start(db: Arc<Db>) -> Self {
        let (jobs, wanted) = mpsc::channel(QUEUE);
        let (told, fault) = watch::channel(None);
        tokio::spawn(run(db, wanted, told));
        Self { jobs, fault }
    }
}

impl Store {
    /// Why the database does not take changes: [`StoreError::Full`] or [`StoreError::Unavailable`]; `None` once it has
    /// taken one. Whoever writes finds it out, and all who watch know it.
    pub fn write_fault(&self) -> watch::Receiver<Option<StoreError>> {
        self.writer.fault.clone()
    }

    /// Writes something of the size of a change and takes it out again: does the database take changes?
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            Box::pin(async move {
                tx.exec(
                    "INSERT INTO meta (key, value) VALUES ($1, $2)",
                    args![PROBE, "-".repeat(PROBE_SIZE)],
                )
                .await?;
                tx.exec("DELETE FROM meta WHERE key = $1", args![PROBE]).await.map(|_| ())
            })
        })
        .await
    }

    /// Runs `work` in the next transaction and returns once that is durable.
    pub(crate) async fn write<R, F>(&self, work: F) -> Result<R, StoreError>
    where
        R: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, R> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            Box::pin(async move {
                let result = match tx {
                    Ok(tx) => whole(tx, work).await,
                    Err(e) => Err(e),
                };
                let ok = result.is_ok();
                let fault = result.as_ref().err().filter(|e| is_of_the_database(e)).cloned();
                let tell = move |commit: Result<(), StoreError>| {
                    let _ = answer.send(result.and_then(|r| commit.map(|()| r)));
                };
                Ran { ok, fault, tell: Box::new(tell) }
            })
        });
        let gone = || StoreError::Unavailable("the writer is gone".to_owned());
        self.writer.jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Nothing of a change waits when it is done, so that what fails of it is its own failure; alone, the commit's failure is.
async fn whole<R, F>(tx: &mut Tx, work: F) -> Result<R, StoreError>
where
    F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, R>,
{
    let result = match work(tx).await {
        Ok(r) if tx.alone => Ok(r),
        Ok(r) => tx.flush().await.map(|()| r),
        Err(e) => Err(e),
    };
    if result.is_err() {
        tx.forget();
    }
    result
}

fn is_of_the_database(e: &StoreError) -> bool {
    matches!(e, StoreError::Full | StoreError::Unavailable(_) | StoreError::Damaged { .. })
}

async fn run(db: Arc<Db>, mut jobs: mpsc::Receiver<Job>, told: watch::Sender<Option<StoreError>>) {
    let mut batch = Vec::new();
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let jobs = std::mem::take(&mut batch);
        // Should a job panic, its callers hear "the writer is gone" and the writer lives.
        if AssertUnwindSafe(commit(&db, jobs, &told)).catch_unwind().await.is_err() {
            tracing::error!("a batch of changes was lost: one of them panicked");
        }
    }
}

async fn commit(db: &Db, jobs: Vec<Job>, told: &watch::Sender<Option<StoreError>>) {
    let mut ran = Vec::with_capacity(jobs.len());
    let outcome = run_all(db, jobs, &mut ran).await;
    let failed = outcome.as_ref().err().filter(|e| is_of_the_database(e));
    if let Some(e) = failed {
        tracing::error!(changes = ran.len(), "changes could not be stored: {e}");
    }
    let fault = failed.cloned().or_else(|| ran.iter().find_map(|r| r.fault.clone()));
    // A change that was refused for a reason of its own says nothing about the disk.
    if fault.is_some() || outcome.is_ok() && ran.iter().any(|r| r.ok) {
        told.send_if_modified(|known| std::mem::replace(known, fault.clone()) != fault);
    }
    for r in ran {
        (r.tell)(outcome.clone());
    }
}

async fn run_all(db: &Db, jobs: Vec<Job>, ran: &mut Vec<Ran>) -> Result<(), StoreError> {
    let mut tx = match db.begin().await {
        Ok(tx) => tx,
        Err(e) => {
            for job in jobs {
                ran.push(job(Err(e.clone())).await);
            }
            return Err(e);
        }
    };
    let alone = jobs.len() == 1;
    tx.alone = alone;
    let mut broken: Option<StoreError> = None;
    for job in jobs {
        if let Some(e) = &broken {
            ran.push(job(Err(e.clone())).await);
            continue;
        }
        match step(&mut tx, job, alone).await {
            Ok(r) => ran.push(r),
            Err((r, e)) => {
                ran.push(r);
                broken = Some(e);
            }
        }
    }
    match broken {
        Some(e) => Err(e),
        // A lone change that was refused leaves nothing to commit: dropping the transaction rolls it back.
        None if alone && ran.iter().all(|r| !r.ok) => Ok(()),
        None => {
            crash::point("store.before-commit");
            tx.commit().await?;
            crash::point("store.committed");
            Ok(())
        }
    }
}

/// One change under its savepoint. The error is the transaction's own: then nothing of the batch stands.
async fn step(tx: &mut Tx, job: Job, alone: bool) -> Result<Ran, (Ran, StoreError)> {
    if alone {
        return Ok(job(Ok(tx)).await);
    }
    if let Err(e) = tx.exec("SAVEPOINT one_change", vec![]).await {
        return Err((job(Err(e.clone())).await, e));
    }
    let ran = job(Ok(tx)).await;
    let end: &[&'static str] = if ran.ok {
        &["RELEASE SAVEPOINT one_change"]
    } else {
        &["ROLLBACK TO SAVEPOINT one_change", "RELEASE SAVEPOINT one_change"]
    };
    for sql in end {
        if let Err(e) = tx.exec(sql, vec![]).await {
            return Err((ran, e));
        }
    }
    Ok(ran)
}
