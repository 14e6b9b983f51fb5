//! `sekisho bench kills`: kill -9 of both processes of a site under traffic, and what of it anybody notices.
//!
//! Operators ban and unban, UEs attach, and all of them send, whatever the network says. Meanwhile control, the
//! gateway, both, or both with their supervisor are killed: at random, and at every named point of the write path
//! ([`crash::POINTS`]). What was answered before a kill must hold behind it:
//!
//! - an acknowledged ban is there: in the API, and in what the dead processes left on the disk;
//! - no packet that a banned SIM sent after the answer reaches the app, ever again (the radio writes the instant of
//!   sending into each packet, so nothing that was under way is mistaken);
//! - no card sees one SQN in two challenges;
//! - no address gets a second owner, and none that a UE was told is lost;
//! - the audit chain is whole;
//! - an import is there as a whole or not at all, and one that was answered is there;
//! - the copy of the journal knows nothing that the journal does not;
//! - a backup is whole (a drill opens it) or not there, and one that was answered is there.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the kills, one after the other |
//! | `fleet` | the SIMs, what is done with them, what was acknowledged |
//! | `look` | the looking: at the API, at the receiver, at the files of the dead |

mod fleet;
mod look;

use crate::{
    backup::{self, RecoverySecret},
    demo::{
        Options, namespace,
        ran::{RanAnswer, RanAsk},
        site::{INTRANET, SiteAsk},
        story::{Demo, at},
        words::Teller,
    },
    lang::Lang,
};
use anyhow::{Context, Result, bail, ensure};
use fleet::Fleet;
use lab::site::Ask;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddrV4,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

/// Packets a second, all SIMs together.
const RATE: u32 = 4_000;
/// Where they go.
const PORT: u16 = 9000;
/// Operators and subscribers who act at the same time.
const WORKERS: usize = 4;
/// The supervisor's pauses grow with each death of a part; it is killed, too, before they get long.
const DEATHS: u32 = 3;
/// How long a named point may take until somebody passes it.
const PASSING: Duration = Duration::from_secs(15);

/// How a process is to die.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// At any moment.
    Part(&'static str),
    /// At this point.
    Point(&'static str),
}

/// Kills `kills` times, prints what was found, and with `json` one object as the last line. `sabotage` is one of
/// [`crash::PROMISES`], to be broken: then what is found is a loss.
pub fn run(
    kills: u32,
    seed: Option<u64>,
    sabotage: Option<&str>,
    json: bool,
    lang: Lang,
) -> Result<ExitCode> {
    ensure!(kills > 0, "at least one kill");
    namespace::check()?;
    let seed = match seed {
        Some(s) => s,
        None => u64::from(u32::from_be_bytes(gateway::sys::random()?)),
    };
    eprintln!("seed {seed}: the same choices again by --seed {seed}");
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(story(kills, seed, sabotage, json, lang))
}

async fn story(kills: u32, seed: u64, sabotage: Option<&str>, json: bool, lang: Lang) -> Result<ExitCode> {
    let began = Instant::now();
    let aim = tempfile::Builder::new().prefix("sekisho-kills-").tempdir()?;
    let aim_at = aim.path().join("crash");
    let mut options = Options::of_a_bench(lang);
    options.env = vec![("SEKISHO_CRASH_AT".to_owned(), format!("@{}", aim_at.display()))];
    options.env.extend(sabotage.map(|promise| ("SEKISHO_SABOTAGE".to_owned(), promise.to_owned())));
    let copy = aim.path().join("copy");
    fs::create_dir(&copy)?;
    options.journal_copy = Some(copy);
    let demo = Demo::set_up(&options, Teller::new(lang, true)).await?;
    let secret = RecoverySecret::parse(&backup::make_key(&demo.config()?.paths.data)?)?;
    let fleet = Arc::new(Fleet::gather(demo, seed).await?);
    let workers: Vec<_> = (0..WORKERS).map(|w| tokio::spawn(fleet.clone().work(w, WORKERS))).collect();
    let mut killer = Killer {
        fleet: fleet.clone(),
        rng: fastrand::Rng::with_seed(seed),
        aim_at,
        scratch: aim.path().to_owned(),
        secret,
        deaths: 0,
        done: BTreeMap::new(),
    };
    let ended = killer.kill_all(kills, began).await;
    fleet.stop();
    for w in workers {
        w.await?;
    }
    if let Err(e) = ended {
        fleet.demo().print_log();
        return Err(e.context(format!("seed {seed}")));
    }
    killer.last_look().await?;
    let found = fleet.found();
    let by: BTreeMap<&str, u32> = killer.done.clone();
    let all: u32 = by.values().sum();
    println!("{all} kills in {:.0} s, seed {seed}", began.elapsed().as_secs_f64());
    for (what, n) in &found.counts {
        println!("  {what:<40} {n:>8}");
    }
    for words in &found.words {
        println!("  FOUND: {words}");
    }
    let held = found.held();
    if !held {
        fleet.demo().print_log();
    }
    if json {
        let mut o = json!({
            "kills": all, "seed": seed, "seconds": began.elapsed().as_secs(), "by": by, "held": held,
            "found": found.words,
        });
        if let Some(o) = o.as_object_mut() {
            o.extend(found.counts.iter().map(|(k, v)| ((*k).to_owned(), json!(v))));
        }
        println!("{o}");
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Killer {
    fleet: Arc<Fleet>,
    rng: fastrand::Rng,
    aim_at: PathBuf,
    scratch: PathBuf,
    /// Opens the backups.
    secret: RecoverySecret,
    /// Of parts, since the supervisor was started.
    deaths: u32,
    done: BTreeMap<&'static str, u32>,
}

impl Killer {
    async fn kill_all(&mut self, kills: u32, began: Instant) -> Result<()> {
        let mut points: Vec<&str> = crash::POINTS.to_vec();
        self.rng.shuffle(&mut points);
        let mut last_word = Instant::now();
        for n in 0..kills {
            let kill = self.choose(&mut points, kills - n);
            self.fleet
                .demo()
                .ended()
                .await?
                .map_or(Ok(()), |how| bail!("`sekisho run` ended by itself: {how}"))?;
            match kill {
                Kill::Part(part) => self.kill(part).await.with_context(|| format!("kill {n}, {part}"))?,
                Kill::Point(p) => self.kill_at(p).await.with_context(|| format!("kill {n}, at {p}"))?,
            }
            let name = match kill {
                Kill::Part(p) | Kill::Point(p) => p,
            };
            *self.done.entry(name).or_default() += 1;
            self.come_back().await.with_context(|| format!("behind kill {n} ({name})"))?;
            look::at_the_living(&self.fleet).await?;
            if last_word.elapsed() > Duration::from_secs(20) {
                last_word = Instant::now();
                eprintln!("{:6.0} s: {} kills of {kills}", began.elapsed().as_secs_f64(), n + 1);
            }
        }
        Ok(())
    }

    /// Each named point once as soon as may be, the rest as chance wants it.
    fn choose(&mut self, points: &mut Vec<&'static str>, left: u32) -> Kill {
        if self.deaths >= DEATHS {
            return Kill::Part("all");
        }
        let must = points.len() as u32 * 3 / 2 >= left;
        if (must || self.rng.u8(..2) == 0)
            && let Some(p) = points.pop()
        {
            return Kill::Point(p);
        }
        match self.rng.u8(..10) {
            0..3 => Kill::Part("gateway"),
            3..5 => Kill::Part("control"),
            5..6 => Kill::Part("both"),
            6..7 => Kill::Part("all"),
            _ => Kill::Point(crash::POINTS[self.rng.usize(..crash::POINTS.len())]),
        }
    }

    async fn kill(&mut self, part: &'static str) -> Result<()> {
        tokio::time::sleep(Duration::from_micros(self.rng.u64(..100_000))).await;
        self.deaths += 1;
        self.fleet.demo().done(SiteAsk::Kill { part: part.to_owned() }).await?;
        if part == "all" {
            self.deaths = 0;
            look::at_the_dead(&self.fleet, &self.scratch).await?;
            self.fleet.demo().start().await?;
        }
        Ok(())
    }

    /// Aims, has somebody pass the point, and waits until it has hit.
    async fn kill_at(&mut self, point: &'static str) -> Result<()> {
        write_whole(&self.aim_at, point)?;
        self.deaths += 1;
        let deadline = Instant::now() + PASSING;
        while self.aim_at.exists() {
            ensure!(Instant::now() < deadline, "nobody passed {point} for {} s", PASSING.as_secs());
            let passing = self.fleet.pass(point);
            tokio::select! {
                () = passing => {}
                () = tokio::time::sleep(Duration::from_secs(3)) => {}
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn come_back(&self) -> Result<()> {
        self.fleet.demo().wait_until_ready().await?;
        self.fleet.demo().ran(RanAsk::Reconnect).await
    }

    /// What is left to see when nobody acts any more.
    async fn last_look(&mut self) -> Result<()> {
        // What the radio still sends for banned SIMs arrives now, or never.
        tokio::time::sleep(Duration::from_millis(300)).await;
        look::at_the_living(&self.fleet).await?;
        // At least one that nobody interrupts.
        self.fleet.back_up().await;
        match self.fleet.demo().radio(RanAsk::Cards).await? {
            RanAnswer::Cards { challenges, reused } => {
                self.fleet.count("challenges", challenges);
                self.fleet.count("sqn_reused", reused.len() as u64);
                for imsi in reused {
                    self.fleet.find(format!("an SQN was used twice for {imsi}"));
                }
            }
            other => bail!("unexpected answer {other:?}"),
        }
        self.fleet.demo().done(SiteAsk::Kill { part: "all".to_owned() }).await?;
        look::at_the_dead(&self.fleet, &self.scratch).await?;
        look::at_the_backups(&self.fleet, &self.secret).await
    }
}

/// So that no process reads half of it.
fn write_whole(file: &Path, text: &str) -> Result<()> {
    let draft = file.with_extension("new");
    fs::write(&draft, text)?;
    Ok(fs::rename(draft, file)?)
}

/// The traffic of the site, and who counts it.
async fn traffic(demo: &Demo) -> Result<()> {
    demo.put_policy().await?;
    demo.connect_gnb().await?;
    demo.done(SiteAsk::Host { name: "corp".to_owned(), ask: Ask::CountUdp { at: at(INTRANET, PORT) } })
        .await?;
    demo.ran(RanAsk::Flood { to: SocketAddrV4::new(INTRANET, PORT), per_second: RATE }).await
}
