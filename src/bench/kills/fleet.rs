//! The SIMs of the kill harness: what is done with them, and what was acknowledged.

use crate::{
    client::Refused,
    demo::{
        ran::{RanAnswer, RanAsk},
        site::SiteAsk,
        story::Demo,
    },
};
use anyhow::{Result, bail};
use gateway::time;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex as Plain, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex, RwLock};

/// SIMs that are banned and unbanned again and again.
const SIMS: u64 = 16;
/// How long an attach may take, milliseconds.
const ATTACH_MS: u64 = 1_500;

/// What is known of a SIM by what was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Not banned.
    Free,
    /// Banned, and the answer came at this instant of CLOCK_MONOTONIC.
    Banned {
        /// Nanoseconds.
        since_ns: u64,
    },
    /// A change was asked for and not answered: either may be true.
    Unsure,
}

/// A SIM and its UE.
pub(super) struct Sim {
    pub imsi: String,
    pub ip: Option<Ipv4Addr>,
    pub known: Known,
    ban_as: &'static str,
}

/// What was counted, and what must not be.
#[derive(Default, Clone)]
pub(super) struct Found {
    pub counts: BTreeMap<&'static str, u64>,
    pub words: Vec<String>,
}

impl Found {
    /// True while nothing was found that must not be.
    pub fn held(&self) -> bool {
        self.words.is_empty()
    }
}

/// The counts that must stay 0; shown also where they do.
const ZEROES: [&str; 12] = [
    "bans_lost",
    "unbans_undone",
    "packets_of_banned",
    "attached_while_banned",
    "sqn_reused",
    "addresses_shared",
    "audit_breaks",
    "imports_in_part",
    "imports_lost",
    "copies_ahead",
    "backups_torn",
    "backups_lost",
];
/// The first imports are long enough to be put in force in two pieces; later ones are one SIM, because every look
/// lists all SIMs.
const LONG_IMPORTS: usize = 3;
const LONG: usize = 210;
/// How long a control that is ready has for the horizon of SQN, before another start is tried.
const HORIZON_WITHIN: Duration = Duration::from_secs(1);

/// A file of SIMs that was given to be imported.
#[derive(Clone)]
pub(super) struct File {
    /// What the IMSIs in it begin with, and no others.
    pub prefix: String,
    /// How many there are.
    pub sims: usize,
    /// Its import was answered.
    pub answered: bool,
}

impl File {
    /// Whether so many of its SIMs may be there.
    pub fn is_whole(&self, there: usize) -> bool {
        there == self.sims || there == 0 && !self.answered
    }
}

/// Everything that acts and is acted upon.
pub(super) struct Fleet {
    demo: Demo,
    sims: Vec<Mutex<Sim>>,
    seed: u64,
    /// Held for writing while somebody looks: nobody acts meanwhile.
    pause: RwLock<()>,
    found: Plain<Found>,
    owners: Plain<BTreeMap<Ipv4Addr, String>>,
    files: Plain<Vec<File>>,
    backups: Plain<Vec<String>>,
    next: AtomicU64,
    over: AtomicBool,
}

impl Fleet {
    /// Provisions and attaches the SIMs, and starts the traffic.
    pub async fn gather(demo: Demo, seed: u64) -> Result<Self> {
        super::traffic(&demo).await?;
        let counts = ZEROES.iter().map(|z| (*z, 0)).collect();
        let mut fleet = Self {
            demo,
            sims: Vec::new(),
            seed,
            pause: RwLock::new(()),
            found: Plain::new(Found { counts, words: Vec::new() }),
            owners: Plain::default(),
            files: Plain::default(),
            backups: Plain::default(),
            next: AtomicU64::new(1_000),
            over: AtomicBool::new(false),
        };
        for n in 0..SIMS {
            let Some(imsi) = fleet.provision(false).await? else { bail!("a SIM could not be provisioned") };
            let ban_as = if n % 2 == 0 { "lost" } else { "stolen" };
            let mut sim = Sim { imsi, ip: None, known: Known::Free, ban_as };
            fleet.attach(&mut sim).await;
            if sim.ip.is_none() {
                bail!("{} does not attach", sim.imsi);
            }
            fleet.sims.push(Mutex::new(sim));
        }
        Ok(fleet)
    }

    pub fn demo(&self) -> &Demo {
        &self.demo
    }

    pub fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn sims(&self) -> &[Mutex<Sim>] {
        &self.sims
    }

    /// Nobody acts while this is held.
    pub async fn quiet(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.pause.write().await
    }

    pub fn count(&self, what: &'static str, n: u64) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner).counts.entry(what).or_default() += n;
    }

    /// Something that must not be.
    pub fn find(&self, words: String) {
        eprintln!("FOUND: {words}");
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.words.len() < 50 {
            found.words.push(words);
        }
    }

    fn find_one(&self, what: &'static str, words: String) {
        self.count(what, 1);
        self.find(words);
    }

    pub fn found(&self) -> Found {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One of those who act: they share the SIMs among them.
    pub async fn work(self: Arc<Self>, who: usize, of: usize) {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ (who as u64 + 1));
        while !self.over.load(Ordering::Relaxed) {
            let go = self.pause.read().await;
            let mine: Vec<&Mutex<Sim>> = self.sims.iter().skip(who).step_by(of).collect();
            if let Some(sim) = mine.get(rng.usize(..mine.len().max(1))) {
                let mut sim = sim.lock().await;
                match (sim.known, rng.u8(..10)) {
                    (Known::Unsure, _) | (Known::Free, 0..6) => self.ban(&mut sim).await,
                    (Known::Free, _) => self.attach(&mut sim).await,
                    (Known::Banned { .. }, 0..6) => self.unban(&mut sim).await,
                    (Known::Banned { .. }, _) => self.attach(&mut sim).await,
                }
            }
            drop(go);
            tokio::time::sleep(Duration::from_millis(rng.u64(..10))).await;
        }
    }

    /// Does what makes a process pass this point.
    pub async fn pass(&self, point: &str) {
        match point.split_once('.').map_or(point, |p| p.0) {
            "sqn" if point.ends_with("horizon") => {
                // Control raises it when it starts, about when it is ready; one that may not have come so far is left alone.
                if self.demo.wait_until_ready().await.is_ok() {
                    tokio::time::sleep(HORIZON_WITHIN).await;
                    drop(self.demo.done(SiteAsk::Kill { part: "control".to_owned() }).await);
                }
                return;
            }
            what @ ("lease" | "sqn") => {
                if let Ok(Some(imsi)) = self.provision(what == "sqn").await {
                    let mut sim = Sim { imsi, ip: None, known: Known::Free, ban_as: "lost" };
                    self.attach(&mut sim).await;
                }
                return;
            }
            "checkpoint" => return self.export().await,
            "import" => return self.import().await,
            "backup" => return self.back_up().await,
            _ => {}
        }
        for sim in &self.sims {
            let Ok(mut sim) = sim.try_lock() else { continue };
            match (sim.known, point) {
                (Known::Banned { .. }, _) => return self.unban(&mut sim).await,
                (_, "unban.recorded") => {
                    self.ban(&mut sim).await;
                    return self.unban(&mut sim).await;
                }
                _ => return self.ban(&mut sim).await,
            }
        }
    }

    /// An export of the audit begins with a signed checkpoint; the rest of it is not read.
    async fn export(&self) {
        let begun = self.demo.call(|api| api.stream("audit/export").map(|_| Value::Null.into())).await;
        self.count("exports", u64::from(begun.is_ok()));
    }

    async fn import(&self) {
        let (n, sims) = {
            let files = self.files();
            (files.len(), if files.len() < LONG_IMPORTS { LONG } else { 1 })
        };
        let file = File { prefix: format!("001017{n:05}"), sims, answered: false };
        let mut text = "imsi,k,opc,state,groups,dnns\n".to_owned();
        for i in 0..sims {
            let (Ok(k), Ok(opc)) = (gateway::sys::random::<16>(), gateway::sys::random::<16>()) else {
                return;
            };
            let (k, opc) = (types::hex(&k), types::hex(&opc));
            text += &format!("{}{i:04},{k},{opc},ready,office,corp\n", file.prefix);
        }
        self.files.lock().unwrap_or_else(PoisonError::into_inner).push(file);
        let answer = self.demo.call(move |api| {
            let path = "imports?mode=all-or-nothing&reason=kills";
            api.upload(path, "text/csv", &mut text.as_bytes()).map(Into::into)
        });
        match answer.await {
            Ok(job) if job["state"] == "failed" => self.find(format!("an import was refused: {job}")),
            Ok(_) => {
                self.count("imports", 1);
                if let Some(f) = self.files.lock().unwrap_or_else(PoisonError::into_inner).get_mut(n) {
                    f.answered = true;
                }
            }
            Err(_) => self.count("unanswered", 1),
        }
    }

    /// Makes a backup.
    pub async fn back_up(&self) {
        let name = format!("kills-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let body = json!({ "name": name });
        match self.post("backups".to_owned(), body).await {
            Ok(_) => {
                self.count("backups", 1);
                self.backups.lock().unwrap_or_else(PoisonError::into_inner).push(name);
            }
            Err(_) => self.count("unanswered", 1),
        }
    }

    /// The files that were given to be imported.
    pub fn files(&self) -> Vec<File> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The backups that were answered.
    pub fn backups(&self) -> Vec<String> {
        self.backups.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A SIM more, in the core and in a UE; `None` where the core did not answer.
    /// A SIM that nobody had, and its UE. SEQ of one that counts needs a ceiling of its own.
    async fn provision(&self, counts: bool) -> Result<Option<String>> {
        let imsi = format!("00101{:010}", self.next.fetch_add(1, Ordering::Relaxed));
        let (k, opc) =
            (types::hex(&gateway::sys::random::<16>()?), types::hex(&gateway::sys::random::<16>()?));
        let body = json!({
            "imsi": imsi, "k": k, "opc": opc, "dnns": ["corp"], "groups": ["office"], "state": "ready",
            "sqn": { "counter": counts },
        });
        if self.post("sims".to_owned(), body).await.is_err() {
            return Ok(None);
        }
        let (name, imsi_of_ue) = (imsi.clone(), imsi.parse()?);
        self.demo.ran(RanAsk::Ue { name, imsi: imsi_of_ue, k, opc, dnn: "corp".parse()? }).await?;
        Ok(Some(imsi))
    }

    async fn ban(&self, sim: &mut Sim) {
        let body = json!({ "state": sim.ban_as, "reason": "kills" });
        let was = std::mem::replace(&mut sim.known, Known::Unsure);
        match self.post(format!("sims/{}/ban", sim.imsi), body).await {
            Ok(_) => {
                self.count("bans", 1);
                sim.known = Known::Banned { since_ns: time::mono().0 };
            }
            Err(e) => self.judge_refusal("ban", sim, was, &e),
        }
    }

    async fn unban(&self, sim: &mut Sim) {
        let Known::Banned { since_ns } = sim.known else { return };
        self.look_at_packets(&[(sim.imsi.clone(), sim.ip, since_ns)]).await;
        let was = std::mem::replace(&mut sim.known, Known::Unsure);
        let body = json!({ "state": "active", "reason": "kills" });
        match self.post(format!("sims/{}/unban", sim.imsi), body).await {
            Ok(_) => {
                self.count("unbans", 1);
                sim.known = Known::Free;
                self.attach(sim).await;
            }
            Err(e) => self.judge_refusal("unban", sim, was, &e),
        }
    }

    /// Not answered is not done. A conflict with what was acknowledged before is a loss.
    fn judge_refusal(&self, what: &'static str, sim: &Sim, was: Known, e: &anyhow::Error) {
        self.count("unanswered", 1);
        let Some(refused) = e.downcast_ref::<Refused>() else { return };
        match (refused.status, was) {
            // What was killed in the middle is still being put right, and deny wins until it is.
            (409, _) if refused.kind() == "denied" => {}
            (409, Known::Banned { .. }) => {
                self.find_one("bans_lost", format!("{}: its acknowledged ban is gone: {e}", sim.imsi));
            }
            (500 | 503, _) => {}
            _ => self.find(format!("a {what} of {} was refused: {e}", sim.imsi)),
        }
    }

    /// Switches the UE off and on and tries to attach.
    pub async fn attach(&self, sim: &mut Sim) {
        let cycle = RanAsk::PowerCycle { ue: sim.imsi.clone() };
        let try_it = RanAsk::TryBare { ue: sim.imsi.clone(), within_ms: ATTACH_MS };
        if let Err(e) = self.demo.ran(cycle).await {
            return self.find(format!("the radio does not obey: {e:#}"));
        }
        match self.demo.radio(try_it).await {
            Ok(RanAnswer::Attached { ip, .. }) => {
                self.count("attaches", 1);
                if matches!(sim.known, Known::Banned { .. }) {
                    self.find_one("attached_while_banned", format!("{} is banned and attached", sim.imsi));
                }
                self.owns(sim, ip);
            }
            Ok(RanAnswer::Refused { cause: 3, protected: true, .. }) => {
                self.count("refusals_of_banned", 1);
                if sim.known == Known::Free {
                    let words = format!("{} is unbanned, and refused as banned", sim.imsi);
                    self.find_one("unbans_undone", words);
                }
            }
            // The core was away, or the cell: a UE tries again.
            Ok(_) | Err(_) => self.count("attaches_without_answer", 1),
        }
    }

    /// A UE was told its address: it has no other owner, and the UE had no other before.
    fn owns(&self, sim: &mut Sim, ip: Ipv4Addr) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = owners.entry(ip).or_insert_with(|| sim.imsi.clone()).clone();
        drop(owners);
        if owner != sim.imsi {
            self.find_one("addresses_shared", format!("{ip} was given to {owner} and to {}", sim.imsi));
        }
        if let Some(before) = sim.ip.replace(ip).filter(|b| *b != ip) {
            self.find(format!("{} had {before} and got {ip}: its lease is lost", sim.imsi));
        }
    }

    /// Banned SIMs, where they are and since when: nothing that they sent since then may have arrived.
    pub async fn look_at_packets(&self, banned: &[(String, Option<Ipv4Addr>, u64)]) {
        use lab::site::{Ask, Outcome};
        let asked = self.demo.host("corp", Ask::Sources).await;
        let Ok(Outcome::Sources(sources)) = asked else {
            return self.find(format!("the receiver does not answer: {asked:?}"));
        };
        for (imsi, ip, since_ns) in banned {
            let Some(ip) = ip else { continue };
            let late =
                sources.iter().find(|s| s.source == std::net::IpAddr::V4(*ip) && s.sent_ns > *since_ns);
            if let Some(s) = late {
                let ms = (s.sent_ns - since_ns) / 1_000_000;
                let words =
                    format!("a packet that {imsi} ({ip}) sent {ms} ms after its ban was answered arrived");
                self.find_one("packets_of_banned", words);
            }
        }
        self.count("looks_at_packets", banned.len() as u64);
    }

    async fn post(&self, path: String, body: Value) -> Result<Value> {
        self.demo.call(move |api| api.post(&path, &body).map(Into::into)).await
    }
}
