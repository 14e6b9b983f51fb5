//! Bans and restrictions that the database has not taken, in a sealed file beside the journal: the journal keeps who is
//! cut, this keeps of which revocation, by whom, why and with which receipt. The next start that has a database writes
//! them into it as they were asked for.
//!
//! The file is a magic and frames: length (u32, big endian), then what is sealed. Each is on the disk before the answer
//! that says "not in the database". The file goes when nothing waits any longer; what is written twice changes nothing.
//! Where it cannot be written (the disk is full) the ban stands all the same, and its scope is lost only if `control`
//! ends before the database is back: the journal then teaches the database the ban of each SIM.

use super::store::{StateWrite, row};
use crate::{control::sealed::Sealer, signing::Signer};
use admin_web::{PendingCode, Receipt, StoredAt};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use store::{Change, RestrictionRow, RevocationRow, RevocationWrite, StateChange, Store, StoreError};
use tracing::{error, info, warn};
use types::{Imsi, Key256, SimState};

/// Begins the file and is covered by each tag.
const MAGIC: &[u8; 8] = b"SKBANPD1";
/// Its name, beside the journal.
const NAME: &str = "ban-pending.sealed";

/// What the database has not taken, in the form of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    record: Option<RevocationRow>,
    states: Vec<(Imsi, SimState)>,
    change: Change,
    restriction: Option<(RestrictionRow, bool)>,
    head: Option<(u64, [u8; 32])>,
    receipts: Vec<Receipt>,
    closed: Vec<Receipt>,
}

impl Waiting {
    fn of(w: &StateWrite) -> Self {
        Self {
            record: w.write.record.clone(),
            states: w.write.states.clone(),
            change: w.write.change.clone(),
            restriction: w.write.restriction.clone(),
            head: w.write.head,
            receipts: w.receipts.clone(),
            closed: w.closed.clone(),
        }
    }

    /// The states that its SIMs have since.
    pub(crate) fn states(&self) -> &[(Imsi, SimState)] {
        &self.states
    }

    /// The restriction that is on or off since.
    pub(crate) fn restriction(&self) -> Option<&(RestrictionRow, bool)> {
        self.restriction.as_ref()
    }

    fn write(mut self, signer: &Signer) -> RevocationWrite {
        for r in &mut self.receipts {
            r.waits_no_more(PendingCode::DatabaseFailed);
            r.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
        }
        let mut w = RevocationWrite::new(StateChange::Ban, self.change);
        (w.record, w.states, w.restriction, w.head) = (self.record, self.states, self.restriction, self.head);
        w.receipts = self.receipts.iter_mut().map(|r| row(signer, r, None)).collect();
        w.receipts.extend(self.closed.iter_mut().map(|r| row(signer, r, Some(w.change.at))));
        w
    }
}

/// The file, and what of this process waits in it.
pub(crate) struct PendingFile {
    path: PathBuf,
    sealer: Sealer,
    /// Numbers of the writes that wait.
    waits: BTreeSet<u64>,
    /// What an earlier process left here is not in the database yet, so the file stays.
    keep: bool,
}

impl PendingFile {
    /// Where `journal` is. With `keep` what is there already stays.
    pub(crate) fn new(journal: &Path, kek: &Key256, keep: bool) -> Self {
        let path = journal.with_file_name(NAME);
        Self { path, sealer: Sealer::new(kek, "pending bans", MAGIC), waits: BTreeSet::new(), keep }
    }

    /// What earlier processes left.
    ///
    /// # Errors
    /// Where the file is there and cannot be read, or is of another key.
    pub(crate) fn read(&self) -> Result<Vec<Waiting>> {
        let bytes = match fs::read(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.with_context(|| self.path.display().to_string())?,
        };
        let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
            if bytes.len() < MAGIC.len() {
                return Ok(Vec::new());
            }
            bail!("{} does not hold bans that wait for the database", self.path.display());
        };
        let mut all = Vec::new();
        while !rest.is_empty() {
            let frame = rest.split_first_chunk::<4>();
            let frame = frame.and_then(|(n, rest)| rest.split_at_checked(u32::from_be_bytes(*n) as usize));
            let Some((sealed, behind)) = frame else {
                // A crash tore it: its asker was not answered. It is cut off, so that nothing hides behind it.
                warn!("the last frame of {} is cut short and does not count", self.path.display());
                OpenOptions::new()
                    .write(true)
                    .open(&self.path)?
                    .set_len((bytes.len() - rest.len()) as u64)?;
                break;
            };
            let body = self.sealer.open(sealed);
            let body = body.with_context(|| {
                format!("frame {} of {} does not open", all.len() + 1, self.path.display())
            })?;
            all.push(serde_json::from_slice(&body).context("bans that wait are of another version")?);
            rest = behind;
        }
        Ok(all)
    }

    /// What earlier processes left goes into the database, in its order, and the file goes.
    ///
    /// # Errors
    /// Where the database fails. What it refuses for another reason is told and left out: the journal holds the ban.
    pub(crate) async fn replay(&self, store: &Store, signer: &Signer) -> Result<(), StoreError> {
        let all = match self.read() {
            Ok(all) => all,
            Err(e) => {
                // The journal has who is cut; what else the file knew must not keep anybody from starting.
                error!("bans that waited for the database cannot be read, the journal tells of them: {e:#}");
                let aside = self.path.with_extension("unreadable");
                drop(fs::rename(&self.path, aside));
                return Ok(());
            }
        };
        for waiting in all {
            let id = waiting.record.as_ref().map(|r| r.id.clone()).unwrap_or_default();
            match store.write_revocation(waiting.write(signer)).await {
                Ok(()) => info!(id, "the revocation {id}, which waited for the database, is in it"),
                Err(e @ (StoreError::Unavailable(_) | StoreError::Full | StoreError::Damaged { .. })) => {
                    return Err(e);
                }
                Err(e) => {
                    error!(id, "the revocation {id}, which waited for the database, is refused by it: {e}")
                }
            }
        }
        self.remove();
        Ok(())
    }

    /// How writes ended: those that failed are put on the disk, those that went through are crossed out.
    pub(super) fn note(&mut self, ended: &BTreeMap<u64, Option<Waiting>>) {
        let mut frames = Vec::new();
        for (id, failed) in ended {
            match failed {
                Some(w) if self.waits.insert(*id) => match self.frame(w) {
                    Ok(f) => frames.extend(f),
                    Err(e) => error!("a ban that the database did not take cannot be kept for it: {e:#}"),
                },
                Some(_) => {}
                None => drop(self.waits.remove(id)),
            }
        }
        if !frames.is_empty()
            && let Err(e) = self.append(&frames)
        {
            error!(
                "bans that the database did not take cannot be kept for it on the disk, they wait in memory: {}: {e}",
                self.path.display()
            );
        }
        if self.waits.is_empty() && !self.keep {
            self.remove();
        }
    }

    /// True where these ends change nothing in the file.
    pub(super) fn is_idle(&self, ended: &BTreeMap<u64, Option<Waiting>>) -> bool {
        self.waits.is_empty() && ended.values().all(Option::is_none)
    }

    fn frame(&self, w: &Waiting) -> Result<Vec<u8>> {
        let sealed = self.sealer.seal(serde_json::to_vec(w)?)?;
        let length = u32::try_from(sealed.len()).context("too long")?;
        Ok([length.to_be_bytes().as_slice(), &sealed].concat())
    }

    fn append(&self, frames: &[u8]) -> io::Result<()> {
        let new = !self.path.exists();
        let mut f = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
        let whole = f.metadata()?.len();
        let written = (|| {
            if whole == 0 {
                f.write_all(MAGIC)?;
            }
            f.write_all(frames)?;
            f.sync_data()
        })();
        if written.is_err() {
            // What was torn would hide what comes behind it.
            f.set_len(whole)?;
        } else if new && let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        written
    }

    fn remove(&self) {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                warn!(
                    "{} cannot be removed; at the next start it is written once more: {e}",
                    self.path.display()
                );
            }
            _ => {}
        }
    }
}

/// What to keep of a write that ended so; `None` inside where it went through.
pub(super) fn ended(w: &StateWrite, result: &Result<(), StoreError>) -> Option<Waiting> {
    use StoreError::{Damaged, Full, Unavailable};
    // An unban that the database does not take is none.
    let kept =
        w.write.kind == StateChange::Ban && matches!(result, Err(Unavailable(_) | Full | Damaged { .. }));
    kept.then(|| Waiting::of(w))
}

#[cfg(test)]
mod tests {
    use super::*;
    use admin_web::ReceiptKind;
    use types::Utc;

    const IMSI: &str = "001010000000001";

    fn waiting(id: &str) -> Waiting {
        let imsi: Imsi = IMSI.parse().expect("an IMSI");
        let mut receipt = Receipt::new(ReceiptKind::Ban, id.to_owned(), imsi, SimState::Stolen, Utc(5));
        receipt.wait_for(PendingCode::DatabaseFailed, None);
        Waiting {
            record: Some(RevocationRow {
                id: id.to_owned(),
                at: Utc(5),
                kind: "ban".to_owned(),
                scope: "person".to_owned(),
                value: "tanaka".to_owned(),
                state: Some(SimState::Stolen),
                actor: "soc (1)".to_owned(),
                reason: "bag stolen".to_owned(),
                ticket: "T-1".to_owned(),
                request_id: "r".to_owned(),
                origin: "10.0.0.1".to_owned(),
                sims: 1,
                detail: "{}".to_owned(),
            }),
            states: vec![(imsi, SimState::Stolen)],
            change: Change { reason: "bag stolen".to_owned(), ..Change::by_system("soc (1)", Utc(5)) },
            restriction: None,
            head: None,
            receipts: vec![receipt],
            closed: Vec::new(),
        }
    }

    fn file(dir: &Path, keep: bool) -> PendingFile {
        PendingFile::new(&dir.join("revocations.journal"), &Key256::new([7; 32]), keep)
    }

    #[test]
    fn what_failed_is_on_the_disk_until_all_of_it_went_through() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut f = file(dir.path(), false);
        f.note(&[(1, Some(waiting("a"))), (2, Some(waiting("b")))].into());
        // Tried again and failed again: not written twice.
        f.note(&[(1, Some(waiting("a")))].into());
        assert_eq!(file(dir.path(), false).read().expect("read"), [waiting("a"), waiting("b")]);
        let bytes = fs::read(&f.path).expect("there");
        assert!(!bytes.windows(6).any(|w| w == b"tanaka"), "a stolen disk does not say who works here");
        f.note(&[(1, None)].into());
        assert_eq!(
            file(dir.path(), false).read().expect("read").len(),
            2,
            "what is written twice changes nothing"
        );
        f.note(&[(2, None)].into());
        assert!(!f.path.exists());
    }

    #[test]
    fn a_torn_frame_costs_itself_alone_and_a_turned_bit_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut f = file(dir.path(), true);
        f.note(&[(1, Some(waiting("a")))].into());
        let one = fs::read(&f.path).expect("there").len();
        f.note(&[(2, Some(waiting("b")))].into());
        let whole = fs::read(&f.path).expect("there");
        for cut in [1, 40, whole.len() - one - 1] {
            fs::write(&f.path, &whole[..whole.len() - cut]).expect("torn");
            assert_eq!(f.read().expect("read"), [waiting("a")]);
            f.append(&f.frame(&waiting("c")).expect("sealed")).expect("written");
            assert_eq!(f.read().expect("read"), [waiting("a"), waiting("c")], "found behind what was torn");
        }
        for at in [0, one - 1, one + 10] {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            fs::write(&f.path, bad).expect("written");
            assert!(f.read().is_err(), "octet {at}");
        }
    }

    #[tokio::test]
    async fn the_database_that_is_back_has_scope_receipt_actor_reason_and_audit() {
        let dir = tempfile::tempdir().expect("a directory");
        let store =
            Store::open(&format!("sqlite:{}", dir.path().join("s.db").display())).await.expect("opened");
        let signer = Signer::open(dir.path(), true).expect("a key");
        let mut f = file(dir.path(), true);
        f.note(&[(1, Some(waiting("a")))].into());
        for _ in 0..2 {
            // Twice: as after a crash between the database and the end of the file.
            let bytes = fs::read(&f.path).expect("there");
            f.replay(&store, &signer).await.expect("written");
            assert!(!f.path.exists());
            fs::write(&f.path, bytes).expect("written");
        }
        assert_eq!(Some(store.revocation("a").await.expect("there")), waiting("a").record);
        let receipts = store.receipts("a", None, 10).await.expect("read").items;
        assert_eq!(receipts.len(), 1);
        assert!(!receipts[0].body.contains("database-failed"), "{}", receipts[0].body);
        assert!(receipts[0].pending.is_empty() && !receipts[0].signature.is_empty());
        let said = store.audit(Some("revocation:a".to_owned()), None, 10).await.expect("read").items;
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!((said[0].actor.as_str(), said[0].reason.as_str()), ("soc (1)", "bag stolen"));
    }
}
