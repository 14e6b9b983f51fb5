//! The task that reads what is new in the audit, signs it, and pays what bans owe.
//!
//! Nothing is signed unread: a row that does not fit the chain is an alert, not a signature.

use super::file;
use crate::signing::{Purpose, Signer};
use admin_web::AuditStanding;
use anyhow::{Result, bail};
use gateway::time::now;
use std::{path::PathBuf, time::Duration};
use store::{AuditChain, AuditCheckpoint, AuditFault, AuditRow, AuditVerdict, Store};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tracing::{info, warn};
use types::{Event, Happening, Mono, Utc};

/// Signed at the latest after so many rows.
pub const ROWS: u64 = 100;
/// Signed at the latest so long after a row.
pub const EVERY: Duration = Duration::from_secs(300);
/// How often it is looked whether there is something to sign or to pay.
const LOOK: Duration = Duration::from_secs(2);
/// How often the whole audit is read.
const WHOLE: Duration = Duration::from_secs(24 * 3600);

/// Asks for a checkpoint now; the answer says whether the newest row is signed.
type Ask = oneshot::Sender<bool>;

/// The way to the task.
#[derive(Clone)]
pub struct Checkpoints {
    asks: mpsc::Sender<Ask>,
    standing: watch::Receiver<Option<AuditStanding>>,
}

impl Checkpoints {
    /// Starts the task. It ends, with a last checkpoint, when every handle is gone.
    pub fn start(
        store: Store,
        signer: Signer,
        file: PathBuf,
        tell: impl Fn(Event) + Send + Sync + 'static,
    ) -> (Self, JoinHandle<()>) {
        let (tx, rx) = mpsc::channel(16);
        let keeper = Keeper::new(store, signer, file, Box::new(tell));
        let standing = keeper.standing.subscribe();
        (Self { asks: tx, standing }, tokio::spawn(keeper.run(rx)))
    }

    /// Signs what is new; true where the newest row is signed then.
    pub async fn now(&self) -> bool {
        let (tx, rx) = oneshot::channel();
        self.asks.send(tx).await.is_ok() && rx.await.unwrap_or(false)
    }

    /// What the last reading found; `None` before the whole audit was read once.
    pub fn standing(&self) -> Option<AuditStanding> {
        *self.standing.borrow()
    }
}

/// What the task holds.
struct Keeper {
    store: Store,
    signer: Signer,
    file: PathBuf,
    tell: Box<dyn Fn(Event) + Send + Sync>,
    chain: AuditChain,
    signed: u64,
    /// Since when there is a row that is not signed.
    waiting: Option<Mono>,
    /// What the file could not take yet.
    unwritten: Vec<AuditCheckpoint>,
    /// When everything was read last.
    whole_at: Option<(Mono, Utc)>,
    /// The first row that did not fit, since then.
    broken: Option<u64>,
    standing: watch::Sender<Option<AuditStanding>>,
}

impl Keeper {
    fn new(store: Store, signer: Signer, file: PathBuf, tell: Box<dyn Fn(Event) + Send + Sync>) -> Self {
        Self {
            store,
            signer,
            file,
            tell,
            chain: AuditChain::default(),
            signed: 0,
            waiting: None,
            unwritten: Vec::new(),
            whole_at: None,
            broken: None,
            standing: watch::Sender::new(None),
        }
    }

    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let ask = tokio::select! {
                a = asked.recv() => match a {
                    Some(a) => Some(a),
                    None => break,
                },
                _ = look.tick() => None,
            };
            let force = ask.is_some();
            let done = self.look(force).await;
            if let Err(e) = &done {
                warn!("the audit could not be read or signed: {e:#}");
            }
            if let Some(a) = ask {
                let _ = a.send(done.is_ok() && self.signed == self.chain.seq());
            }
        }
        if let Err(e) = self.look(true).await {
            warn!("the last checkpoint of the audit could not be made: {e:#}");
        }
    }

    /// Pays, reads what is new, signs where it is time.
    async fn look(&mut self, force: bool) -> Result<()> {
        let paid = self.store.pay_audit().await?;
        if paid > 0 {
            info!(paid, "{paid} audit rows of bans are written after all");
        }
        let (mono, utc) = (now().mono, now().utc);
        if self.whole_at.is_none_or(|(t, _)| t.plus_ms(WHOLE.as_millis() as u64) <= mono) {
            self.whole().await?;
            self.whole_at = Some((mono, utc));
        }
        self.read_on().await?;
        self.standing.send_replace(self.whole_at.map(|(_, whole)| AuditStanding {
            whole,
            checked: utc,
            rows: self.chain.seq(),
            broken: self.broken,
        }));
        let unsigned = self.chain.seq() - self.signed;
        if unsigned == 0 {
            self.waiting = None;
        } else {
            let since = *self.waiting.get_or_insert(mono);
            let late = since.plus_ms(EVERY.as_millis() as u64) <= mono;
            if force || late || unsigned >= ROWS {
                self.sign().await?;
            }
        }
        self.write_file()
    }

    /// Reads everything against everything that was signed, and begins behind it.
    async fn whole(&mut self) -> Result<()> {
        let known = super::verify::Known::gather(&self.store, &self.file, &[self.signer.public()]).await?;
        self.broken = None;
        let report = self.store.audit_examine(AuditChain::new(known.right.clone()), |_, _| {}).await?;
        if let AuditVerdict::Broken { seq, fault } = &report.verdict {
            self.broken(*seq, fault);
        }
        for mark in &report.clock_back {
            info!(seq = mark.seq, back_ms = mark.back_ms, "the audit tells of a clock that was turned back");
        }
        self.signed = known.right.iter().map(|c| c.seq).max().unwrap_or(0);
        self.begin_at_newest().await
    }

    /// Goes on behind the newest row: a break further up stays where it is and is told of by every whole reading.
    async fn begin_at_newest(&mut self) -> Result<()> {
        let newest = self.store.audit(None, None, 1).await?.items.pop();
        self.chain = newest.as_ref().map_or_else(AuditChain::default, AuditChain::behind);
        self.signed = self.signed.min(self.chain.seq());
        Ok(())
    }

    async fn read_on(&mut self) -> Result<()> {
        loop {
            let rows: Vec<AuditRow> = self.store.audit_after(self.chain.seq(), 1000).await?;
            for row in &rows {
                if let Err(fault) = self.chain.take(row) {
                    self.broken(self.chain.seq() + 1, &fault);
                    return self.begin_at_newest().await;
                }
            }
            if rows.len() < 1000 {
                return Ok(());
            }
        }
    }

    async fn sign(&mut self) -> Result<()> {
        let (seq, hash, at) = (self.chain.seq(), self.chain.hash().to_vec(), now().utc);
        let signature = self.signer.sign(Purpose::Audit, &AuditCheckpoint::text(seq, &hash, at));
        let c = AuditCheckpoint { seq, hash, at, public_key: self.signer.public(), signature };
        // The file first: it is what a database that was turned back is held against.
        crash::point("checkpoint.signed");
        self.unwritten.push(c.clone());
        self.write_file()?;
        crash::point("checkpoint.in-file");
        self.store.add_audit_checkpoint(c).await?;
        crash::point("checkpoint.stored");
        (self.signed, self.waiting) = (seq, None);
        Ok(())
    }

    fn write_file(&mut self) -> Result<()> {
        while let Some(c) = self.unwritten.first() {
            file::append(&self.file, c)?;
            self.unwritten.remove(0);
        }
        if self.signed > self.chain.seq() {
            bail!("more was signed than there is");
        }
        Ok(())
    }

    fn broken(&mut self, seq: u64, fault: &AuditFault) {
        self.broken.get_or_insert(seq);
        (self.tell)(Event {
            at: now().utc,
            imsi: None,
            what: Happening::AuditBroken { seq, why: fault.to_string() },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use store::Change;
    use types::Utc;

    struct World {
        store: Store,
        told: Arc<Mutex<Vec<Event>>>,
        dir: tempfile::TempDir,
    }

    impl World {
        async fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let url = format!("sqlite:{}", dir.path().join("s.db").display());
            Self { store: Store::open(&url).await.expect("opened"), told: Arc::default(), dir }
        }

        fn keeper(&self) -> Keeper {
            let told = self.told.clone();
            let tell = move |e| told.lock().expect("whole").push(e);
            let signer = Signer::from_seed([7; 32]);
            Keeper::new(self.store.clone(), signer, self.dir.path().join("audit.checkpoints"), Box::new(tell))
        }

        async fn notes(&self, n: u32) {
            for i in 0..n {
                let change = Change::by_system("init", Utc(i64::from(i)));
                self.store.audit_note(&change, "token.use", format!("x:{i}"), None).await.expect("written");
            }
        }

        async fn signed(&self) -> Vec<u64> {
            let all = self.store.audit_checkpoints().await.expect("read");
            let lines = file::read(&self.dir.path().join("audit.checkpoints")).expect("read");
            assert_eq!(lines.checkpoints, all, "the file says what the table says");
            all.iter().map(|c| c.seq).collect()
        }
    }

    #[tokio::test]
    async fn a_checkpoint_comes_after_a_hundred_rows_when_asked_and_at_the_end() {
        let w = World::new().await;
        let mut k = w.keeper();
        w.notes(99).await;
        k.look(false).await.expect("looked");
        // The newest row is where reading begins; what was there before the start is signed like what comes.
        assert_eq!(w.signed().await, Vec::<u64>::new());
        w.notes(1).await;
        k.look(false).await.expect("looked");
        assert_eq!(w.signed().await, [100]);
        w.notes(1).await;
        k.look(true).await.expect("looked");
        k.look(true).await.expect("looked");
        assert_eq!(w.signed().await, [100, 101], "nothing new, nothing signed");
        w.notes(1).await;
        let (handle, task) = Checkpoints::start(
            w.store.clone(),
            Signer::from_seed([7; 32]),
            w.dir.path().join("audit.checkpoints"),
            |_| {},
        );
        assert!(handle.now().await);
        let standing = handle.standing().expect("read");
        assert_eq!((standing.rows, standing.broken), (102, None));
        w.notes(1).await;
        drop(handle);
        task.await.expect("ended");
        assert_eq!(w.signed().await, [100, 101, 102, 103]);
        assert_eq!(*w.told.lock().expect("whole"), []);
    }

    #[tokio::test]
    async fn an_old_database_beside_a_newer_file_is_an_alert_at_the_start() {
        let w = World::new().await;
        w.notes(5).await;
        w.keeper().look(true).await.expect("looked");
        w.notes(5).await;
        w.keeper().look(true).await.expect("looked");
        let old = World::new().await;
        old.notes(5).await;
        let mut k = w.keeper();
        k.store = old.store.clone();
        k.look(false).await.expect("looked");
        assert_eq!(k.standing.borrow().map(|s| s.broken), Some(Some(5)));
        let told = w.told.lock().expect("whole").clone();
        let Some(Event { what: Happening::AuditBroken { seq, .. }, .. }) = told.first() else {
            panic!("an alert was expected, not {told:?}");
        };
        assert_eq!(*seq, 5, "row 5 of another database has another hash");
    }
}
