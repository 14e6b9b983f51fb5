//! `sekisho bench disk`: every call of a ban's write path fails once, in every way, and the power goes.
//!
//! The path as it is in the product: the gateway's revoked set with its journal, then the store with state, history,
//! audit and outbox, on a real directory through the real SQLite; between them and the kernel stands the library
//! `faulty-disk`. One run counts the calls. Then for each way of failing and each call there is a run of its own, from
//! the same files: it notes what was acknowledged, and ends; what was never flushed is taken away, as a power cut does;
//! and the files are opened as after a restart.
//!
//! What must hold: whoever was acknowledged as banned, and not asked back since, is banned by the journal or by the
//! database; or the journal refuses to be opened, so that no packet passes, and says what to do.
//!
//! This process has one thread, and each run is a fork of it.

use anyhow::{Context, Result, bail, ensure};
use gateway::{
    revocation::{CutRequest, Revocations},
    ring::{Os, Waker},
    shard_thread::Upward,
    shards::Shards,
    time,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::CString,
    fs,
    io::{Read, Write},
    os::unix::{ffi::OsStrExt, fs::FileExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};
use store::{Change, StateChange, Store};
use types::{Imsi, SimState};

/// The library's file, beside this binary.
const LIBRARY: &str = "libfaulty_disk.so";
/// Ways of failing once.
const WAYS: [&str; 7] = ["enospc", "eio", "short", "torn", "flip", "lost", "off"];
/// Set in the process that has the library.
const LOADED: &str = "SEKISHO_DISK_LOADED";

/// Runs all of it, prints a table, and with `json` one object as the last line. `every` leaves calls out: 1 is none.
/// `sabotage` is one of [`crash::PROMISES`], to be broken: then what is found is a loss.
pub fn run(every: u64, sabotage: Option<&str>, json: bool) -> Result<ExitCode> {
    ensure!(every > 0, "every call, or every n-th");
    let Some(library) = Library::loaded() else { return load(sabotage) };
    let began = Instant::now();
    let dir = tempfile::Builder::new().prefix("sekisho-disk-").tempdir()?;
    let place = Place {
        base: dir.path().join("base"),
        work: dir.path().join("work"),
        notes: dir.path().join("notes"),
    };
    for d in [&place.base, &place.notes] {
        fs::create_dir(d)?;
    }
    let made = in_a_fork(|| block_on(prepare(&place.base)))?;
    ensure!(made == Ended::Code(0), "the files to begin with could not be made: {made:?}");
    let calls = place.count(&library)?;
    let mut table = BTreeMap::new();
    let mut found = Vec::new();
    for way in WAYS {
        let mut sum = Sum::default();
        for n in (0..calls).step_by(usize::try_from(every)?) {
            place.one(&library, &format!("{way}@{n}"), &mut sum, &mut found)?;
        }
        table.insert(way, sum);
    }
    // Full, or broken, and it stays so.
    for way in ["enospc+", "eio+"] {
        let mut sum = Sum::default();
        for n in (0..calls).step_by(usize::try_from(every.max(4))?) {
            place.one(&library, &format!("{}@{n}+", way.trim_end_matches('+')), &mut sum, &mut found)?;
        }
        table.insert(way, sum);
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{calls} calls from the first ban to the last; {seconds:.0} s");
    println!("{:<10} {:>6} {:>8} {:>10} {:>10}", "way", "runs", "acked", "in force", "refused");
    for (way, s) in &table {
        println!("{way:<10} {:>6} {:>8} {:>10} {:>10}", s.runs, s.acknowledged, s.in_force, s.refused);
    }
    found.iter().for_each(|f| println!("FOUND: {f}"));
    let held = found.is_empty() && table.values().all(|s| s.runs > 0) && calls > 20;
    if json {
        let ways = serde_json::to_value(&table)?;
        println!(
            "{}",
            json!({ "calls": calls, "ways": ways, "found": found, "seconds": seconds, "held": held })
        );
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts this program again with the library.
fn load(sabotage: Option<&str>) -> Result<ExitCode> {
    ensure!(
        std::env::var_os(LOADED).is_none(),
        "the library was not loaded: is this binary statically linked?"
    );
    let exe = std::env::current_exe()?;
    let library = exe.with_file_name(LIBRARY);
    ensure!(library.exists(), "{} is missing: cargo build --workspace", library.display());
    let e = Command::new(exe)
        .args(std::env::args_os().skip(1))
        .env("LD_PRELOAD", library)
        .env(LOADED, "1")
        .envs(sabotage.map(|promise| ("SEKISHO_SABOTAGE", promise)))
        .exec();
    Err(e).context("starting again with the library")
}

/// The environment of `sekisho run` for a disk that fails as the file `fault` says at each moment.
pub(super) fn environment(fault: &Path) -> Result<Vec<(String, String)>> {
    let library = std::env::current_exe()?.with_file_name(LIBRARY);
    ensure!(library.exists(), "{} is missing: cargo build --workspace", library.display());
    Ok(vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("SEKISHO_DISK_UNDER".to_owned(), std::env::temp_dir().display().to_string()),
        ("SEKISHO_DISK_FAULT".to_owned(), format!("@{}", fault.display())),
    ])
}

/// What was seen of one way of failing.
#[derive(Default, serde::Serialize)]
struct Sum {
    runs: u64,
    acknowledged: u64,
    in_force: u64,
    refused: u64,
}

/// Where it happens.
struct Place {
    /// The files to begin with.
    base: PathBuf,
    /// A copy of them, which the disk fails under.
    work: PathBuf,
    /// What the runs noted, on a good disk.
    notes: PathBuf,
}

impl Place {
    fn fresh(&self) -> Result<()> {
        for d in [&self.work, &self.notes] {
            drop(fs::remove_dir_all(d));
            fs::create_dir(d)?;
        }
        for f in fs::read_dir(&self.base)? {
            let f = f?;
            fs::copy(f.path(), self.work.join(f.file_name()))?;
        }
        Ok(())
    }

    fn note(&self, name: &str) -> PathBuf {
        self.notes.join(name)
    }

    /// How many calls a run without a fault makes.
    fn count(&self, library: &Library) -> Result<u64> {
        self.fresh()?;
        let ended = in_a_fork(|| {
            library.arm(&self.work, "none", None)?;
            block_on(bans(&self.work, &self.note("acks")))?;
            Ok(fs::write(self.note("calls"), library.calls().to_string())?)
        })?;
        ensure!(ended == Ended::Code(0), "the run without a fault ended badly: {ended:?}");
        let acks = fs::read_to_string(self.note("acks"))?;
        ensure!(
            acks.lines().filter(|l| l.starts_with("banned")).count() == 5,
            "not all is acknowledged: {acks}"
        );
        Ok(fs::read_to_string(self.note("calls"))?.parse()?)
    }

    fn one(&self, library: &Library, fault: &str, sum: &mut Sum, found: &mut Vec<String>) -> Result<()> {
        self.fresh()?;
        let undo = self.note("undo");
        let ended = in_a_fork(|| {
            library.arm(&self.work, fault, Some(&undo))?;
            // What goes wrong is told by what was acknowledged.
            drop(block_on(bans(&self.work, &self.note("acks"))));
            Ok(())
        })?;
        if !matches!(ended, Ended::Code(0) | Ended::Killed) {
            found.push(format!("{fault}: the run ended by {ended:?}"));
        }
        cut_power(&undo)?;
        let looked = in_a_fork(|| block_on(look(&self.work, &self.note("acks"), &self.note("seen"))))?;
        let seen = fs::read_to_string(self.note("seen")).unwrap_or_default();
        sum.runs += 1;
        if looked != Ended::Code(0) {
            found.push(format!("{fault}: the look at it ended by {looked:?}: {seen}"));
            return Ok(());
        }
        for line in seen.lines() {
            match line.split_once(' ') {
                Some(("acknowledged", n)) => sum.acknowledged += n.parse::<u64>()?,
                Some(("in-force", n)) => sum.in_force += n.parse::<u64>()?,
                Some(("refused", why)) if why.len() > 20 => sum.refused += 1,
                _ => found.push(format!("{fault}: {line}")),
            }
        }
        Ok(())
    }
}

/// SIMs in the database and an empty journal.
async fn prepare(dir: &Path) -> Result<()> {
    let store = Store::open(&url(dir)).await?;
    for n in 1..=5 {
        store.create_sim(sim(n), &Change::by_system("bench", time::now().utc)).await?;
    }
    store.close().await;
    Revocations::open(&dir.join("journal"), [7; 16])?;
    Ok(())
}

/// Five bans, one of them after an unban of the same SIM. What is acknowledged is noted at once.
async fn bans(dir: &Path, acks: &Path) -> Result<()> {
    let mut notes = fs::OpenOptions::new().create(true).append(true).open(acks)?;
    let mut desk = Desk {
        // Each may be gone; a ban works with either.
        store: Store::open(&url(dir)).await.ok(),
        revocations: Revocations::open(&dir.join("journal"), [7; 16]).ok(),
        shards: no_shards()?,
    };
    for (n, ban) in [(1, true), (2, true), (1, false), (3, true), (1, true), (4, true)] {
        if ban {
            if desk.ban(imsi(n)?).await {
                writeln!(notes, "banned {}", imsi(n)?)?;
            }
        } else {
            writeln!(notes, "asked-back {}", imsi(n)?)?;
            desk.unban(imsi(n)?).await;
        }
    }
    if let Some(r) = &mut desk.revocations {
        r.tend();
    }
    Ok(())
}

/// The write path, as the two processes go it together.
struct Desk {
    store: Option<Store>,
    revocations: Option<Revocations>,
    shards: Shards<Os>,
}

impl Desk {
    /// True where it is acknowledged: it is stored in one place at least.
    async fn ban(&mut self, imsi: Imsi) -> bool {
        let (actor, reason) = ("soc".to_owned(), "disk".to_owned());
        let request = CutRequest { imsi, state: SimState::Lost, actor, reason, at: time::now().utc };
        let in_journal = match &mut self.revocations {
            Some(r) => r.cut(&[request], time::mono(), &mut self.shards).iter().all(|r| r.journal.is_ok()),
            None => false,
        };
        let change = Change::by_system("soc", time::now().utc);
        let in_store = match &self.store {
            Some(s) => s.change_sim_state(imsi, SimState::Lost, StateChange::Ban, &change).await.is_ok(),
            None => false,
        };
        in_journal || in_store
    }

    /// Recorded first; where the database does not take it, the SIM is cut again.
    async fn unban(&mut self, imsi: Imsi) {
        let at = time::now().utc;
        let Some(r) = &mut self.revocations else { return };
        if r.uncut(imsi, "owner".to_owned(), "found".to_owned(), at, &mut self.shards).is_err() {
            return;
        }
        let change = Change::by_system("owner", at);
        let done = match &self.store {
            Some(s) => s.change_sim_state(imsi, SimState::Active, StateChange::Unban, &change).await.is_ok(),
            None => false,
        };
        if !done {
            self.ban(imsi).await;
        }
    }
}

/// Opens everything as after a restart and compares it with what was acknowledged.
async fn look(dir: &Path, acks: &Path, seen: &Path) -> Result<()> {
    let mut must = BTreeSet::new();
    for line in fs::read_to_string(acks).unwrap_or_default().lines() {
        match line.split_once(' ') {
            Some(("banned", imsi)) => drop(must.insert(imsi.to_owned())),
            Some((_, imsi)) => drop(must.remove(imsi)),
            None => {}
        }
    }
    let mut out = format!("acknowledged {}\n", must.len());
    match Revocations::open(&dir.join("journal"), [8; 16]) {
        Err(e) => out += &format!("refused {}\n", e.to_string().replace('\n', " ")),
        Ok(r) => {
            let mut banned: BTreeSet<String> = r.set().keys().map(Imsi::to_string).collect();
            if let Ok(store) = Store::open(&url(dir)).await {
                let sims = store.all_sims().await.unwrap_or_default();
                banned.extend(sims.iter().filter(|s| s.state.is_banned()).map(|s| s.imsi.to_string()));
            }
            out += &format!("in-force {}\n", must.intersection(&banned).count());
            for lost in must.difference(&banned) {
                out += &format!("lost the acknowledged ban of {lost}\n");
            }
        }
    }
    Ok(fs::write(seen, out)?)
}

/// Takes away what was written and never flushed, newest first.
fn cut_power(undo: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    match fs::File::open(undo) {
        Ok(mut f) => drop(f.read_to_end(&mut bytes)?),
        Err(_) => return Ok(()),
    }
    let mut left = bytes.as_slice();
    let mut writes: BTreeMap<PathBuf, Vec<(i64, u64, Vec<u8>)>> = BTreeMap::new();
    while let Some((path, size, offset, old)) = next_undo(&mut left) {
        if size < 0 {
            writes.remove(&path);
        } else {
            writes.entry(path).or_default().push((size, offset, old));
        }
    }
    for (path, list) in writes {
        let Ok(f) = fs::OpenOptions::new().write(true).open(&path) else { continue };
        for (size, offset, old) in list.iter().rev() {
            f.write_all_at(old, *offset)?;
            f.set_len(u64::try_from(*size)?)?;
        }
    }
    Ok(())
}

/// One record of the undo file (see the library); `None` at its end.
fn next_undo(left: &mut &[u8]) -> Option<(PathBuf, i64, u64, Vec<u8>)> {
    fn take<'a>(left: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
        let (head, tail) = left.split_at_checked(n)?;
        *left = tail;
        Some(head)
    }
    let len = |left: &mut &[u8]| Some(u32::from_le_bytes(take(left, 4)?.try_into().ok()?) as usize);
    let n = len(left)?;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(take(left, n)?));
    let size = i64::from_le_bytes(take(left, 8)?.try_into().ok()?);
    let offset = u64::from_le_bytes(take(left, 8)?.try_into().ok()?);
    let n = len(left)?;
    Some((path, size, offset, take(left, n)?.to_vec()))
}

fn url(dir: &Path) -> String {
    format!("sqlite:{}", dir.join("sekisho.db").display())
}

fn imsi(n: u32) -> Result<Imsi> {
    Ok(format!("00101{n:010}").parse()?)
}

fn no_shards() -> Result<Shards<Os>> {
    let waker = Waker::new()?;
    Ok(Shards::new(Vec::new(), Upward::new(1, &waker), waker))
}

fn sim(n: u32) -> store::SimRow {
    let imsi = imsi(n).unwrap_or_else(|_| unreachable!("five and ten digits"));
    store::SimRow { state: SimState::Active, ..store::lab::sim(imsi) }
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// How a fork ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Code(i32),
    /// By SIGKILL: the power went.
    Killed,
    Signal(i32),
}

/// Runs `work` in a fork of this process and waits for its end.
#[allow(unsafe_code)]
fn in_a_fork(work: impl FnOnce() -> Result<()>) -> Result<Ended> {
    // SAFETY: this process has one thread, so the child has all that it had.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()).context("fork"),
        0 => {
            let code = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                Ok(Ok(())) => 0,
                Ok(Err(e)) => {
                    eprintln!("{e:#}");
                    1
                }
                Err(_) => 2,
            };
            // SAFETY: ends this process at once, without the destructors of its parent.
            unsafe { libc::_exit(code) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waitpid(2) writes the integer that it is given.
            if unsafe { libc::waitpid(child, &raw mut status, 0) } != child {
                bail!(std::io::Error::last_os_error());
            }
            Ok(if libc::WIFEXITED(status) {
                Ended::Code(libc::WEXITSTATUS(status))
            } else if libc::WTERMSIG(status) == libc::SIGKILL {
                Ended::Killed
            } else {
                Ended::Signal(libc::WTERMSIG(status))
            })
        }
    }
}

/// Arms a fault: under which directory, which fault, and where what was never flushed is kept.
type Arm = unsafe extern "C" fn(*const libc::c_char, *const libc::c_char, *const libc::c_char) -> libc::c_int;
/// Calls so far.
type Calls = extern "C" fn() -> u64;

/// The functions of `faulty-disk` that are meant to be called.
struct Library {
    arm: Arm,
    calls: Calls,
}

impl Library {
    /// `None` where it was not preloaded.
    #[allow(unsafe_code)]
    fn loaded() -> Option<Self> {
        // SAFETY: the names are constants that end; dlsym(3) only looks up.
        let find = |name: &std::ffi::CStr| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        let (arm, calls) = (find(c"faulty_disk_arm"), find(c"faulty_disk_calls"));
        if arm.is_null() || calls.is_null() {
            return None;
        }
        // SAFETY: the two symbols are functions of these types; nobody else exports these names.
        Some(unsafe {
            Self {
                arm: std::mem::transmute::<*mut libc::c_void, Arm>(arm),
                calls: std::mem::transmute::<*mut libc::c_void, Calls>(calls),
            }
        })
    }

    #[allow(unsafe_code)]
    fn arm(&self, under: &Path, fault: &str, undo: Option<&Path>) -> Result<()> {
        let (under, fault) = (CString::new(under.as_os_str().as_bytes())?, CString::new(fault)?);
        let undo = undo.map(|u| CString::new(u.as_os_str().as_bytes())).transpose()?;
        let undo = undo.as_ref().map_or(std::ptr::null(), |u| u.as_ptr());
        // SAFETY: three texts that end and live during the call, or null where that is allowed.
        let rc = unsafe { (self.arm)(under.as_ptr(), fault.as_ptr(), undo) };
        ensure!(rc == 0, "the library did not take {fault:?}");
        Ok(())
    }

    fn calls(&self) -> u64 {
        (self.calls)()
    }
}
