//! Restoring, offline, and the drill of it.

use super::{
    Manifest, RecoverySecret, Refusal,
    archive::{self, DATABASE, JOURNAL, KEK},
    make::{Draft, sync_directory},
    seal::Opener,
};
use crate::{
    config::Config,
    control::{addresses::REST_MS, boot, home_keys},
    keys,
    lang::Lang,
};
use anyhow::{Context, Result};
use gateway::{
    journal::{Disk, Journal},
    link::{JournalHead, Revoked},
    time::{now, rfc3339},
};
use hss::{SealedDataKey, SealedKeys, SqnState, Vault};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use store::{AuditVerdict, Change, Hold, Marks, SqnCeiling, StateChange, Store};
use types::{Imsi, Utc, hex};

/// What a restore needs.
pub struct Restore<'a> {
    /// The backup.
    pub file: &'a Path,
    /// Opens it.
    pub secret: &'a RecoverySecret,
    /// Journals that may be newer than the backup's: the machine's own, or copies.
    pub journals: &'a [PathBuf],
}

/// What a restore did.
#[derive(Debug, Clone)]
pub struct Report {
    /// The backup.
    pub manifest: Manifest,
    /// Records of the journal that was taken.
    pub journal_records: u64,
    /// Where it came from; `None` is the backup itself.
    pub journal_from: Option<PathBuf>,
    /// True where every SIM is held.
    pub held: bool,
    /// SIMs whose sealed key was opened.
    pub keys_opened: u64,
    /// SIMs that the newer journal bans and the backup did not.
    pub bans_applied: Vec<Imsi>,
    /// Rows of the audit, whose chain holds.
    pub audit_rows: u64,
    /// Until when no address gets a new owner.
    pub rest_until: Utc,
}

/// Restores into `into`, which must not be there or be empty. It is there whole when this returns, or untouched.
///
/// # Errors
/// A [`Refusal`], or what the disk says.
pub async fn restore(what: &Restore<'_>, into: &Path) -> Result<Report> {
    let into = std::path::absolute(into)?;
    match fs::read_dir(&into).map(|mut d| d.next().is_some()) {
        Ok(false) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        _ => return Err(Refusal::NotEmpty(into.display().to_string()).into()),
    }
    let (parent, name) = (into.parent(), into.file_name());
    let (parent, name) = parent.zip(name).context("the target has no name")?;
    let chosen = examine(what)?;
    let draft = Draft(parent.join(format!(".{}.{}", name.display(), hex(&gateway::sys::random::<4>()?))));
    let report = unpack(what, chosen, &draft.0).await?;
    // A directory takes the place of an empty one, whole or not at all.
    fs::rename(&draft.0, &into).with_context(|| format!("putting {} in place", into.display()))?;
    sync_directory(parent)?;
    Ok(report)
}

/// Restores into a directory of its own, looks at everything, and leaves nothing.
///
/// # Errors
/// As [`restore`].
pub async fn drill(what: &Restore<'_>) -> Result<Report> {
    let draft =
        Draft(std::env::temp_dir().join(format!("sekisho-drill-{}", hex(&gateway::sys::random::<8>()?))));
    unpack(what, examine(what)?, &draft.0).await
}

/// A journal, and what it says.
pub(super) struct Scanned {
    pub octets: Vec<u8>,
    pub head: JournalHead,
    pub revoked: Vec<Revoked>,
}

/// Reads a journal and checks its chain.
pub(super) fn scan_journal(file: &Path) -> Result<Scanned> {
    let octets = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    scan(octets)
}

fn scan(octets: Vec<u8>) -> Result<Scanned> {
    let (journal, replay) = Journal::start(Memory(octets.clone()))?;
    let head = journal.head();
    Ok(Scanned { octets, head, revoked: replay.state.revoked.into_values().collect() })
}

/// What was written of a journal: the rest of the file is zeros.
fn written(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    octets.get(..end).unwrap_or_default()
}

/// A journal's disk that is a copy in memory.
struct Memory(Vec<u8>);

impl Disk for Memory {
    fn octets(&mut self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&mut self, offset: u64) -> io::Result<[u8; 256]> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let record = self.0.get(at..).and_then(|rest| rest.first_chunk());
        record.copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let to = self.0.get_mut(at..at + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        to.copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn grow(&mut self, octets: u64) -> io::Result<()> {
        let more = usize::try_from(octets).map_err(io::Error::other)?;
        self.0.resize(self.0.len() + more, 0);
        Ok(())
    }
}

/// The journal that a restore takes.
struct Chosen {
    journal: Scanned,
    from: Option<PathBuf>,
    /// One was given that goes on from the backup's, or is the very same.
    known_newest: bool,
}

/// Reads the whole backup and every journal, and writes nothing.
fn examine(what: &Restore<'_>) -> Result<Chosen> {
    let kept = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let place = |file: &archive::FilePart| -> io::Result<Box<dyn Write>> {
        if file.name == JOURNAL {
            return Ok(Box::new(Kept(kept.clone())));
        }
        Ok(Box::new(io::sink()))
    };
    let manifest = open(what, place)?;
    let own = scan(kept.take()).map_err(|e| Refusal::Inconsistent(format!("its journal: {e:#}")))?;
    if (own.head.records, hex(&own.head.hash)) != (manifest.journal.records, manifest.journal.hash) {
        return Err(Refusal::Inconsistent("its journal is not the one of the manifest".into()).into());
    }
    choose(own, what.journals)
}

struct Kept(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The newest of the backup's journal and those that were given, all of which must be one chain.
fn choose(own: Scanned, given: &[PathBuf]) -> Result<Chosen> {
    let records = own.head.records;
    let mut best = Chosen { journal: own, from: None, known_newest: false };
    for path in given {
        let refused = |why: String| Refusal::Journal(format!("{}: {why}", path.display()));
        let other = scan_journal(path).map_err(|e| refused(format!("{e:#}")))?;
        let (mine, theirs) = (written(&best.journal.octets), written(&other.octets));
        if !mine.starts_with(theirs) && !theirs.starts_with(mine) {
            return Err(refused(
                "it is another journal than the backup's, or parts ways with it; bans of one of them would be lost"
                    .into(),
            )
            .into());
        }
        best.known_newest |= other.head.records >= records;
        if other.head.records > best.journal.head.records {
            (best.journal, best.from) = (other, Some(path.clone()));
        }
    }
    Ok(best)
}

fn open(
    what: &Restore<'_>,
    place: impl FnMut(&archive::FilePart) -> io::Result<Box<dyn Write>>,
) -> Result<Manifest> {
    let file = File::open(what.file).with_context(|| format!("opening {}", what.file.display()))?;
    let opened = Opener::begin(BufReader::new(file), what.secret).map_err(anyhow::Error::from);
    opened.and_then(|mut from| archive::read(&mut from, place)).map_err(plain)
}

/// A refusal out of the stream as itself, not as an error of input and output.
fn plain(e: anyhow::Error) -> anyhow::Error {
    match e.downcast::<io::Error>() {
        Ok(e) => match e.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>()) {
            Some(refusal) => refusal.clone().into(),
            None if e.kind() == io::ErrorKind::UnexpectedEof => Refusal::CutShort.into(),
            None => e.into(),
        },
        Err(e) => e,
    }
}

/// Writes everything into `dir` and marks it.
async fn unpack(what: &Restore<'_>, chosen: Chosen, dir: &Path) -> Result<Report> {
    fs::DirBuilder::new().mode(0o700).create(dir)?;
    let place = |file: &archive::FilePart| -> io::Result<Box<dyn Write>> {
        let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.join(&file.name))?;
        Ok(Box::new(out))
    };
    let manifest = open(what, place)?;
    let mut journal = OpenOptions::new().write(true).truncate(true).open(dir.join(JOURNAL))?;
    journal.write_all(&chosen.journal.octets)?;
    journal.sync_all()?;
    if !chosen.known_newest {
        // For `doctor`, which does not open the database.
        fs::write(dir.join(HELD), format!("restored from the backup of {}\n", rfc3339(manifest.at)))?;
    }
    // The recovery key stays the same: the next backup is sealed to it as well.
    let public = what.secret.public();
    fs::write(dir.join("recovery.pub"), format!("{}\n", hex(&public.0)))?;
    let at = now().utc;
    let mut report = Report {
        journal_records: chosen.journal.head.records,
        journal_from: chosen.from,
        held: !chosen.known_newest,
        keys_opened: 0,
        bans_applied: Vec::new(),
        audit_rows: 0,
        rest_until: Utc(at.0.saturating_add(REST_MS as i64)),
        manifest,
    };
    if dir.join(DATABASE).exists() {
        let store = Store::open(&format!("sqlite:{}", dir.join(DATABASE).display())).await?;
        let done = mark(&store, dir, &chosen.journal.revoked, &mut report, at).await;
        store.close().await;
        done?;
    } else {
        // The database comes from elsewhere: control marks it at its first start, before anything else.
        let rest =
            Rest { manifest: report.manifest.clone(), held: report.held, rest_until: report.rest_until };
        fs::write(dir.join(REST), serde_json::to_vec(&rest)?)?;
    }
    for entry in fs::read_dir(dir)? {
        File::open(entry?.path())?.sync_all()?;
    }
    sync_directory(dir)?;
    Ok(report)
}

/// The file that says for `doctor` that every SIM is held; the database's own entry is what counts.
pub const HELD: &str = "HELD";

/// What is left to do where the database is not in the backup.
const REST: &str = "restored.json";

#[derive(Serialize, Deserialize)]
struct Rest {
    manifest: Manifest,
    held: bool,
    rest_until: Utc,
}

/// Marks a database that was put back by its own tools, where a restore has left that to do.
///
/// # Errors
/// Where the journal, the keys and the database do not fit together: then nothing may start on them.
pub async fn finish(config: &Config, store: &Store) -> Result<()> {
    let file = config.paths.data.join(REST);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let rest: Rest = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
    let journal = scan_journal(&config.journal())?;
    let mut report = Report {
        manifest: rest.manifest,
        journal_records: journal.head.records,
        journal_from: None,
        held: rest.held,
        keys_opened: 0,
        bans_applied: Vec::new(),
        audit_rows: 0,
        rest_until: rest.rest_until,
    };
    mark(store, &config.paths.data, &journal.revoked, &mut report, now().utc).await?;
    fs::remove_file(&file)?;
    sync_directory(&config.paths.data)
}

/// Looks at the database and writes into it what an old backup cannot know.
async fn mark(store: &Store, dir: &Path, revoked: &[Revoked], report: &mut Report, at: Utc) -> Result<()> {
    report.audit_rows = match store.audit_verify().await? {
        AuditVerdict::Whole { rows } => rows,
        AuditVerdict::Broken { seq, .. } => {
            return Err(Refusal::Inconsistent(format!("the audit is broken at row {seq}")).into());
        }
    };
    let sims = store.all_sims().await?;
    if report.manifest.store == "sqlite" && sims.len() as u64 != report.manifest.sims {
        let why = format!("{} SIMs instead of {}", sims.len(), report.manifest.sims);
        return Err(Refusal::Inconsistent(why).into());
    }
    let vault = vault(store, &dir.join(KEK)).await?;
    let mut sqn = Vec::new();
    for sim in &sims {
        let Some(sealed) = &sim.sealed else { continue };
        let opened = SealedKeys::from_bytes(sealed).and_then(|s| vault.open(&s, sim.imsi));
        opened.map_err(|e| Refusal::Inconsistent(format!("the key of SIM {}: {e}", sim.imsi)))?;
        report.keys_opened += 1;
        let state = SqnState { offset: sim.sqn.offset, ceiling: sim.sqn.ceiling, resyncs: sim.sqn.resyncs };
        let ahead = state.after_restore(at);
        sqn.push(SqnCeiling {
            imsi: sim.imsi,
            ceiling: ahead.ceiling,
            offset: ahead.offset,
            resyncs: ahead.resyncs,
        });
    }
    for key in home_keys::read(store).await? {
        let opened = vault.open_home_key(&key.sealed, key.id, key.profile);
        opened.map_err(|e| Refusal::Inconsistent(format!("home network key {}: {e}", key.id)))?;
        report.keys_opened += 1;
    }
    let change = |reason: &str| Change { reason: reason.to_owned(), ..Change::by_system("restore", at) };
    for ban in revoked {
        let known = sims.iter().find(|s| s.imsi == ban.imsi);
        if known.is_some_and(|s| !s.state.is_banned()) {
            let why = change(&format!("in the revocation journal: {}", ban.reason));
            let banned = store.change_sim_state(ban.imsi, ban.state, StateChange::Ban, &why).await;
            // A state that does not allow it (retired) lets nobody live either; the journal cuts it in any case.
            if banned.is_ok() {
                report.bans_applied.push(ban.imsi);
            }
        }
    }
    let hold = report.held.then(|| Hold {
        since: at,
        backup: report.manifest.at,
        reason: "restored without a revocation journal that is known to be the newest: bans may be missing"
            .into(),
    });
    let note = serde_json::json!({
        "backup": rfc3339(report.manifest.at), "journal_records": report.journal_records, "held": report.held,
        "bans_applied": report.bans_applied.len(), "sims": sims.len(), "rest_until": rfc3339(report.rest_until),
    });
    let marks = Marks { hold, rest_until: report.rest_until, sqn, note };
    store.mark_restored(marks, &change("restored from a backup")).await?;
    Ok(())
}

async fn vault(store: &Store, key: &Path) -> Result<Vault> {
    let wrong = || Refusal::Inconsistent("the key file does not open this database".to_owned());
    let stored = store.meta(boot::DATA_KEY).await?.ok_or_else(wrong)?;
    let sealed = types::unhex(&stored).and_then(|b| SealedDataKey::from_bytes(&b).ok()).ok_or_else(wrong)?;
    let kek = keys::key_file(key, false)?;
    Ok(Vault::new(&kek, boot::KEK_ID, Some(&sealed), gateway::sys::random()?).map_err(|_| wrong())?)
}

impl Report {
    /// What was done, for people.
    pub fn words(&self, lang: Lang) -> String {
        let m = &self.manifest;
        let from = match &self.journal_from {
            Some(path) => path.display().to_string(),
            None => lang.of("the backup itself", "バックアップ内のもの").to_owned(),
        };
        let (records, bans, keys, rows) =
            (self.journal_records, self.bans_applied.len(), self.keys_opened, self.audit_rows);
        let mut text = match lang {
            Lang::En => format!(
                "Backup of {} (version {}): {} SIMs, {keys} sealed keys opened, {rows} audit rows in an unbroken chain.\n\
                 Revocation journal: {records} records, from {from}; {bans} bans in it were not in the backup and are \
                 applied.\n\
                 SQN: every SIM jumps ahead of all that can have been used since.\n\
                 Addresses: until {} none gets a new owner; a SIM keeps the one it had.\n",
                rfc3339(m.at),
                m.version,
                m.sims,
                rfc3339(self.rest_until)
            ),
            Lang::Ja => format!(
                "{} のバックアップ (バージョン {}): SIM {} 枚、封印された鍵 {keys} 個を開封確認、監査 {rows} 行の連鎖は正常です。\n\
                 失効ジャーナル: {records} 件、出所は{from}。バックアップにない失効 {bans} 件を適用しました。\n\
                 SQN: すべての SIM を、使用された可能性のある値より先へ進めました。\n\
                 アドレス: {} まで新しい SIM への割り当てを止めます。SIM は以前のアドレスを使い続けます。\n",
                rfc3339(m.at),
                m.version,
                m.sims,
                rfc3339(self.rest_until)
            ),
        };
        if m.store != "sqlite" {
            text.push_str(lang.of(
                "The database is not in this backup: put it back from pg_dump before the first start.\n",
                "データベースはこのバックアップに含まれていません。起動前に pg_dump から復元してください。\n",
            ));
        }
        text.push_str(if self.held {
            lang.of(
                "EVERY SIM IS HELD: no newer journal was given, so bans since the backup may be missing. Start it, look \
                 at the banned SIMs, then: sekisho restore confirm\n",
                "すべての SIM を保留しています: より新しいジャーナルがないため、バックアップ以降の失効が欠けている可能性があります。起動後に失効一覧を確認し、sekisho restore confirm を実行してください。\n",
            )
        } else {
            lang.of(
                "No SIM is held: the journal that was given is taken for the newest.\n",
                "SIM の保留はありません: 指定されたジャーナルを最新とみなしました。\n",
            )
        });
        text
    }
}
