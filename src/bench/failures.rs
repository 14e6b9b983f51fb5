//! `sekisho bench failures`: the table of what holds when something is down, cell by cell, on a real site.
//!
//! Each row brings its failure about (the disk by `faulty-disk`, a process by a signal), each column is tried as a user
//! would see it: a UE attaches, a UE that is attached goes on, it opens something new, an operator bans, an
//! administrator changes something. What cannot be brought about on a site is proved elsewhere and listed in
//! `docs/failure-table.md`.

use crate::{
    backup::{self, RecoverySecret},
    client::{Client, Refused},
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
use gateway::time;
use lab::site::{Ask, Outcome};
use serde_json::{Value, json};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

/// Where the flood goes.
const PORT: u16 = 9000;
/// Packets a second.
const RATE: u32 = 2_000;
/// The UE with a host of its own, which opens new flows.
const LAPTOP: &str = "laptop";
/// A group of two SIMs of its own, which is banned whole and within which a token is limited.
const LORRIES: &str = "lorries";
/// The SIMs of that group.
const LORRY_SIMS: usize = 2;
/// Attached SIMs, one or two for each cell.
const SPARE: usize = 16;
/// Changes after which a log of writes that may not grow must be full.
const FITTING: usize = 600;

/// One cell and what was seen in it.
#[derive(serde::Serialize)]
struct Cell {
    row: &'static str,
    column: &'static str,
    holds: bool,
    seen: String,
}

/// Goes through the table; with `json` one object is the last line.
pub fn run(json: bool, lang: Lang) -> Result<ExitCode> {
    namespace::check()?;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(table(json, lang))
}

async fn table(json: bool, lang: Lang) -> Result<ExitCode> {
    let own = tempfile::Builder::new().prefix("sekisho-failures-").tempdir()?;
    let fault = own.path().join("fault");
    let mut options = Options::of_a_bench(lang);
    options.env = super::disk::environment(&fault)?;
    let demo = Demo::set_up(&options, Teller::new(lang, true)).await?;
    let mut t = Table {
        demo,
        fault,
        own: own.path().to_owned(),
        cells: Vec::new(),
        next: 0,
        spare: Vec::new(),
        lorries: Vec::new(),
        limited: None,
    };
    let began = Instant::now();
    let gone_through = t.all().await;
    let held = gone_through.is_ok() && t.cells.iter().all(|c| c.holds) && !t.cells.is_empty();
    for c in &t.cells {
        println!("{} {:<28} {:<14} {}", if c.holds { "✓" } else { "✗" }, c.row, c.column, c.seen);
    }
    if !held {
        t.demo.print_log();
    }
    gone_through?;
    if json {
        let bad: Vec<String> =
            t.cells.iter().filter(|c| !c.holds).map(|c| format!("{}/{}", c.row, c.column)).collect();
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{}",
            json!({ "seconds": seconds, "cells": t.cells, "tried": t.cells.len(), "broken": bad, "held": held })
        );
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Table {
    demo: Demo,
    fault: PathBuf,
    own: PathBuf,
    cells: Vec<Cell>,
    next: u32,
    /// Attached SIMs that nothing was done to: one is used up by each ban.
    spare: Vec<(String, Ipv4Addr)>,
    /// The SIMs of [`LORRIES`].
    lorries: Vec<String>,
    /// The API, by a token that may ban within [`LORRIES`] alone.
    limited: Option<Client>,
}

impl Table {
    async fn all(&mut self) -> Result<()> {
        self.site().await?;
        self.database_unreadable().await?;
        self.disk_full().await?;
        self.audit_cannot_be_written().await?;
        self.stored_nowhere().await?;
        self.gateway_restarts().await?;
        self.control_down().await?;
        self.restart_without_database().await?;
        self.journal_and_database_disagree().await?;
        self.policy_does_not_compile().await?;
        self.restore_without_a_journal().await
    }

    fn cell(&mut self, row: &'static str, column: &'static str, holds: bool, seen: impl Into<String>) {
        let seen = seen.into();
        eprintln!("{} {row} / {column}: {seen}", if holds { "holds" } else { "BROKEN" });
        self.cells.push(Cell { row, column, holds, seen });
    }

    async fn site(&mut self) -> Result<()> {
        let d = &self.demo;
        d.put_policy().await?;
        d.connect_gnb().await?;
        d.done(host("corp", Ask::CountUdp { at: at(INTRANET, PORT) })).await?;
        d.done(host("corp", Ask::ServeHttp { at: at(INTRANET, 80), bytes: 100 })).await?;
        let imsi = self.provision(LAPTOP, &["office"]).await?;
        self.demo.done(SiteAsk::Attach { ue: LAPTOP.to_owned() }).await.with_context(|| imsi)?;
        self.made("groups", json!({ "name": LORRIES, "label": "x" })).await?;
        for n in 0..SPARE + LORRY_SIMS {
            let name = format!("spare-{}", self.next);
            let groups: &[&str] = if n < SPARE { &["office"] } else { &["office", LORRIES] };
            let imsi = self.provision(&name, groups).await?;
            match self.demo.radio(RanAsk::AttachBare { ue: name }).await? {
                RanAnswer::Attached { .. } if n >= SPARE => self.lorries.push(imsi),
                RanAnswer::Attached { ip, .. } => self.spare.push((imsi, ip)),
                other => bail!("{imsi} does not attach: {other:?}"),
            }
        }
        let token = json!({ "label": "lorries", "scopes": ["read", "ban"], "groups": [LORRIES] });
        let token = self.made("tokens", token).await?;
        let secret = token.get("secret").and_then(Value::as_str).context("a token without its secret")?;
        self.limited = Some(self.demo.client(secret)?);
        self.demo.ran(RanAsk::Flood { to: SocketAddrV4::new(INTRANET, PORT), per_second: RATE }).await?;
        ensure!(self.new_flow().await?, "the site does not work before anything is down");
        Ok(())
    }

    /// Makes something, which must be made.
    async fn made(&self, path: &'static str, body: Value) -> Result<Value> {
        self.demo.call(move |api| api.post(path, &body).map(Into::into)).await.context(path)
    }

    async fn provision(&mut self, name: &str, groups: &[&str]) -> Result<String> {
        self.next += 1;
        let imsi = format!("00101{:010}", 3000 + self.next);
        self.demo.sim(name, &imsi, groups).await?;
        Ok(imsi)
    }

    fn spare(&mut self) -> Result<(String, Ipv4Addr)> {
        self.spare.pop().context("no SIM is left for this cell")
    }

    fn fail(&self, words: &str) -> Result<()> {
        Ok(fs::write(&self.fault, words)?)
    }

    /// The disk is good again, and Sekisho, too.
    async fn mend(&self) -> Result<()> {
        drop(fs::remove_file(&self.fault));
        self.demo.wait_until_ready().await
    }

    // ---- what is tried

    /// A UE that attached before switches off and on again: what it needs is in memory.
    async fn attach(&self, imsi: &str) -> Result<RanAnswer> {
        let name = self.name_of(imsi);
        self.demo.ran(RanAsk::PowerCycle { ue: name.clone() }).await?;
        Ok(self
            .demo
            .radio(RanAsk::TryBare { ue: name, within_ms: 4_000 })
            .await
            .unwrap_or(RanAnswer::Silence))
    }

    fn name_of(&self, imsi: &str) -> String {
        let n: u32 = imsi.get(5..).and_then(|n| n.parse().ok()).unwrap_or_default();
        // The number before its own, as `site` has named it.
        format!("spare-{}", n.saturating_sub(3001))
    }

    /// True if the laptop opens a connection and reads a page.
    async fn new_flow(&self) -> Result<bool> {
        let ask = Ask::Fetch { from: at(INTRANET, 80), within_ms: 3_000 };
        Ok(matches!(self.demo.host(LAPTOP, ask).await?, Outcome::Fetched { status: 200, .. }))
    }

    /// How many packets of this address arrive in a third of a second.
    async fn packets_of(&self, ip: Ipv4Addr) -> Result<u64> {
        let before = self.counted(ip).await?;
        tokio::time::sleep(Duration::from_millis(333)).await;
        Ok(self.counted(ip).await? - before)
    }

    async fn counted(&self, ip: Ipv4Addr) -> Result<u64> {
        match self.demo.host("corp", Ask::CountedFrom { source: ip.into(), since_ns: 0 }).await? {
            Outcome::Datagrams { all, .. } => Ok(all),
            other => bail!("unexpected outcome {other:?}"),
        }
    }

    async fn sent_after(&self, ip: Ipv4Addr, ns: u64) -> Result<bool> {
        match self.demo.host("corp", Ask::Sources).await? {
            Outcome::Sources(s) => {
                Ok(s.iter().any(|s| s.source == std::net::IpAddr::V4(ip) && s.sent_ns > ns))
            }
            other => bail!("unexpected outcome {other:?}"),
        }
    }

    /// Posts; the status (200 for good) and the body or the words of the refusal.
    async fn post(&self, path: String, body: Value) -> (u16, Value) {
        status_of(self.demo.call(move |api| api.post(&path, &body).map(Into::into)).await)
    }

    /// As [`Self::post`], by the limited token.
    async fn post_limited(&self, path: String, body: Value) -> Result<(u16, Value)> {
        let api = self.limited.clone().context("there is no limited token")?;
        let answer = tokio::task::spawn_blocking(move || api.post(&path, &body).map(|g| g.body)).await?;
        Ok(status_of(answer))
    }

    /// Alerts of a kind, waited for until there is one or five seconds have passed: how many, and what they count.
    async fn alerts(&self, kind: &'static str) -> Result<(usize, u64)> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let path = format!("alerts?kind={kind}");
            let all = self.demo.call(move |api| Ok(Value::from(api.list(&path)?).into())).await?;
            let all = all.as_array().cloned().unwrap_or_default();
            if !all.is_empty() || Instant::now() > deadline {
                let counted = all.iter().filter_map(|a| a.get("count").and_then(Value::as_u64)).sum();
                return Ok((all.len(), counted));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn columns_of_a_disk(&mut self, row: &'static str) -> Result<()> {
        let (attacher, _) = self.spare()?;
        let (_, lives) = self.spare.first().cloned().context("no SIM is left")?;
        let answer = self.attach(&attacher).await?;
        let attached = matches!(answer, RanAnswer::Attached { .. });
        self.cell(row, "new attach", attached, format!("{answer:?}"));
        if let RanAnswer::Attached { ip, .. } = answer {
            self.spare.insert(0, (attacher, ip));
        }
        let packets = self.packets_of(lives).await?;
        self.cell(row, "live sessions", packets > 0, format!("{packets} packets of a live session"));
        let open = self.new_flow().await?;
        self.cell(row, "new flows", open, if open { "a page was read" } else { "no page" });
        self.ban(row, 200).await
    }

    /// An operator bans an attached SIM that sends.
    async fn ban(&mut self, row: &'static str, status: u16) -> Result<()> {
        let (imsi, ip) = self.spare()?;
        let (got, said) =
            self.post(format!("sims/{imsi}/ban"), json!({ "state": "stolen", "reason": row })).await;
        let answered = time::mono().0;
        tokio::time::sleep(Duration::from_millis(400)).await;
        let late = self.sent_after(ip, answered).await?;
        let places = said.get("stored").map_or_else(|| said.to_string(), Value::to_string);
        let holds = got == status && !late;
        self.cell(row, "bans", holds, format!("{got}, packets after it: {}, {places}", u8::from(late)));
        Ok(())
    }

    async fn change(&mut self, row: &'static str, status: u16) -> Result<()> {
        let name = format!("group-{}", self.cells.len());
        let (got, said) = self.post("groups".to_owned(), json!({ "name": name, "label": "x" })).await;
        let words = said.as_str().map(ToOwned::to_owned).unwrap_or_default();
        self.cell(row, "admin change", got == status, format!("{got} {words}"));
        Ok(())
    }

    /// Changes fit into the log of writes as it is, until one does not: that one is refused.
    async fn change_that_does_not_fit(&mut self, row: &'static str) -> Result<()> {
        let label = "x".repeat(60);
        for n in 0..FITTING {
            let body = json!({ "name": format!("fits-{n}"), "label": label });
            let (got, said) = self.post("groups".to_owned(), body).await;
            if got != 200 {
                let words = said.as_str().map(ToOwned::to_owned).unwrap_or_default();
                let seen = format!("{got} {words} (after {n} that fitted into the log of writes)");
                self.cell(row, "admin change", got == 507, seen);
                return Ok(());
            }
        }
        self.cell(row, "admin change", false, format!("{FITTING} changes were taken by a disk that is full"));
        Ok(())
    }

    // ---- the rows

    async fn database_unreadable(&mut self) -> Result<()> {
        const ROW: &str = "database unreadable";
        self.fail("gone@0+ sekisho.db")?;
        self.columns_of_a_disk(ROW).await?;
        self.change(ROW, 503).await?;
        self.mend().await
    }

    async fn disk_full(&mut self) -> Result<()> {
        const ROW: &str = "disk full";
        self.fail("enospc@0+")?;
        self.columns_of_a_disk(ROW).await?;
        self.change_that_does_not_fit(ROW).await?;
        self.mend().await?;
        let (alerts, counted) = self.alerts("disk-full").await?;
        let seen = format!("{alerts} alert, raised {counted} times");
        self.cell(ROW, "one alert", (alerts, counted) == (1, 1), seen);
        Ok(())
    }

    /// Both processes start, and the database cannot be opened: bans by the sealed snapshot.
    async fn restart_without_database(&mut self) -> Result<()> {
        const ROW: &str = "database unreadable at start";
        self.snapshot_of_now().await?;
        self.kill_all().await?;
        self.fail("gone@0+ sekisho.db")?;
        self.demo.start().await?;
        self.answers().await?;
        self.demo.ran(RanAsk::Reconnect).await?;
        let (attacher, _) = self.spare.first().cloned().context("no SIM is left")?;
        let answer = self.attach(&attacher).await?;
        let refused = matches!(answer, RanAnswer::Refused { cause: 22, .. });
        self.cell(ROW, "new attach", refused, format!("{answer:?}"));
        let [first, ..] = self.lorries.as_slice() else { bail!("there are no lorries") };
        let one = json!({ "state": "lost", "reason": "limited" });
        let (inside, _) = self.post_limited(format!("sims/{first}/ban"), one.clone()).await?;
        let (outside, _) = self.post_limited(format!("sims/{attacher}/ban"), one).await?;
        let seen = format!("by a limited token: {inside} inside its group, {outside} outside");
        self.cell(ROW, "bans, limited", (inside, outside) == (200, 403), seen);
        let all = json!({ "scope": "group", "value": LORRIES, "state": "stolen", "reason": "both stolen" });
        let (status, answer) = self.post("revocations".to_owned(), all).await;
        self.cell(
            ROW,
            "bans",
            status == 200,
            format!("{status}, {}", answer.get("stored").unwrap_or(&answer)),
        );
        let why = json!({ "reason": "a lorry is lost" });
        let (panic, _) = self.post(format!("groups/{LORRIES}/panic"), why.clone()).await;
        let (nobody, _) = self.post("groups/nobody/panic".to_owned(), why).await;
        let seen = format!("{panic} for a group with SIMs, {nobody} for one that nobody knows");
        self.cell(ROW, "panic", (panic, nobody) == (200, 404), seen);
        self.change(ROW, 503).await?;
        self.mend().await?;
        self.demo.ran(RanAsk::Reconnect).await?;
        self.taught(ROW, answer.get("id").and_then(Value::as_str).unwrap_or_default()).await
    }

    /// The database that is back knows of the ban what its asker was told.
    async fn taught(&mut self, row: &'static str, id: &str) -> Result<()> {
        let (of, audit) = (format!("revocations/{id}"), format!("audit?object=revocation:{id}"));
        let known = self
            .demo
            .call(move |api| {
                let known = api.get(&of)?.body;
                Ok(json!({ "known": known, "audit": api.list(&audit)?.len() }).into())
            })
            .await
            .unwrap_or_else(|e| json!(format!("{e:#}")));
        let text = |at: &str| known.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let receipts = known.pointer("/known/receipts").and_then(Value::as_array).map_or(0, Vec::len);
        let rows = known.pointer("/audit").and_then(Value::as_u64).unwrap_or_default();
        let (scope, value, reason) = (text("/known/scope"), text("/known/value"), text("/known/reason"));
        let holds = (scope.as_str(), value.as_str(), reason.as_str()) == ("group", LORRIES, "both stolen")
            && !text("/known/actor").is_empty()
            && (receipts, rows) == (LORRY_SIMS, 1);
        let seen = if scope.is_empty() {
            known.to_string()
        } else {
            format!(
                "{scope}:{value}, {reason:?} by {}, {receipts} receipts, {rows} audit row",
                text("/known/actor")
            )
        };
        self.cell(row, "bans, afterwards", holds, seen);
        Ok(())
    }

    /// Waits until the sealed snapshot knows everything that was put in.
    async fn snapshot_of_now(&self) -> Result<()> {
        let file = self.demo.config()?.journal().with_file_name("ban-snapshot.sealed");
        let begun = std::time::SystemTime::now();
        self.made("groups", json!({ "name": "newest", "label": "x" })).await?;
        let deadline = Instant::now() + Duration::from_secs(15);
        while !fs::metadata(&file).and_then(|m| m.modified()).is_ok_and(|t| t > begun) {
            ensure!(Instant::now() < deadline, "no snapshot of bans is written");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Waits until the API answers, with a database or without.
    async fn answers(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let up = |s: &Value| {
            let parts = s.get("parts").and_then(Value::as_array).into_iter().flatten();
            parts.filter(|p| p["name"] == "gateway").any(|p| p["up"] == true)
        };
        loop {
            let status = self.demo.call(|api| api.get("system").map(Into::into)).await;
            if status.as_ref().is_ok_and(up) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it does not come up: {status:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Last: a backup comes back without any journal, as on a new machine.
    async fn restore_without_a_journal(&mut self) -> Result<()> {
        const ROW: &str = "restore without a journal";
        let data = self.demo.config()?.paths.data;
        let secret = RecoverySecret::parse(&backup::make_key(&data)?)?;
        let made = self.made("backups", json!({ "name": "failures.skbackup" })).await?;
        let file = self.own.join("failures.skbackup");
        fs::copy(made.get("file").and_then(Value::as_str).context("a backup without a file")?, &file)?;
        self.kill_all().await?;
        fs::rename(&data, self.own.join("lost")).context("losing the data directory")?;
        let report =
            backup::restore(&backup::Restore { file: &file, secret: &secret, journals: &[] }, &data).await?;
        self.demo.start().await?;
        self.answers().await?;
        self.demo.ran(RanAsk::Reconnect).await?;
        let (held, _) = self.spare()?;
        let answer = self.attach(&held).await?;
        let refused = matches!(answer, RanAnswer::Refused { .. });
        self.cell(ROW, "new attach", report.held && refused, format!("every SIM is held: {answer:?}"));
        self.ban(ROW, 200).await?;
        let body = json!({ "banned": report.manifest.banned + 1, "reason": "looked at" });
        let (status, said) = self.post("system/hold/confirm".to_owned(), body).await;
        self.demo.wait_until_ready().await?;
        let answer = self.attach(&held).await?;
        let lives = status == 200 && matches!(answer, RanAnswer::Attached { .. });
        self.cell(ROW, "after an owner confirmed", lives, format!("{status} {said}, {answer:?}"));
        Ok(())
    }

    async fn audit_cannot_be_written(&mut self) -> Result<()> {
        const ROW: &str = "audit cannot be written";
        // It can be read, so nothing but the writing is in the way.
        self.fail("eio@0+ sekisho.db")?;
        self.ban(ROW, 200).await?;
        self.change(ROW, 503).await?;
        self.mend().await
    }

    async fn stored_nowhere(&mut self) -> Result<()> {
        const ROW: &str = "cut, stored nowhere";
        self.fail("eio@0+")?;
        self.ban(ROW, 503).await?;
        self.mend().await
    }

    async fn control_down(&mut self) -> Result<()> {
        const ROW: &str = "control down";
        // A stopped process answers nobody, and its supervisor does not start another.
        self.demo.done(SiteAsk::Signal { part: "control".to_owned(), signal: libc::SIGSTOP }).await?;
        let (attacher, _) = self.spare()?;
        let answer = self.attach(&attacher).await?;
        let holds = !matches!(answer, RanAnswer::Attached { .. });
        self.cell(ROW, "new attach", holds, format!("{answer:?}"));
        let (imsi, ip) = self.spare()?;
        let packets = self.packets_of(ip).await?;
        self.cell(ROW, "live sessions", packets > 0, format!("{packets} packets of a live session"));
        let open = self.new_flow().await?;
        self.cell(ROW, "new flows", open, if open { "a page was read" } else { "no page" });
        let ended = Command::new(std::env::current_exe()?)
            .arg("--config")
            .arg(self.demo.dir().join("sekisho.toml"))
            .args(["ban", "--local", "--reason", "control is down", &imsi])
            .output()?;
        let answered = time::mono().0;
        tokio::time::sleep(Duration::from_millis(400)).await;
        let late = self.sent_after(ip, answered).await?;
        let said = String::from_utf8_lossy(&ended.stdout).trim().replace('\n', " ");
        self.cell(ROW, "bans", ended.status.success() && !late, format!("ban --local: {said}"));
        self.demo.done(SiteAsk::Signal { part: "control".to_owned(), signal: libc::SIGCONT }).await?;
        self.demo.wait_until_ready().await?;
        // Control has learnt of it.
        let state = self.state_in_time(&imsi).await?;
        self.cell(ROW, "bans, afterwards", matches!(state.as_str(), "lost" | "stolen"), state);
        self.demo.ran(RanAsk::Reconnect).await
    }

    /// The state of a SIM as the API says it, waited for until it is a banned one or five seconds have passed.
    async fn state_in_time(&self, imsi: &str) -> Result<String> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let path = format!("sims/{imsi}");
            let sim = self.demo.call(move |api| api.get(&path).map(Into::into)).await?;
            let state = sim.get("state").and_then(Value::as_str).unwrap_or_default().to_owned();
            if matches!(state.as_str(), "lost" | "stolen") || Instant::now() > deadline {
                return Ok(state);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn gateway_restarts(&mut self) -> Result<()> {
        const ROW: &str = "gateway restarts";
        let (imsi, ip) = self.spare()?;
        let (status, _) =
            self.post(format!("sims/{imsi}/ban"), json!({ "state": "lost", "reason": ROW })).await;
        ensure!(status == 200, "the ban before the restart");
        let answered = time::mono().0;
        self.demo.done(SiteAsk::Kill { part: "gateway".to_owned() }).await?;
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut open = false;
        while !open && Instant::now() < deadline {
            open = self.new_flow().await?;
        }
        self.cell(ROW, "live sessions", open, "its session carries again");
        let late = self.sent_after(ip, answered).await?;
        self.cell(
            ROW,
            "bans",
            !late,
            format!("packets of a banned SIM since its answer: {}", u8::from(late)),
        );
        self.demo.wait_until_ready().await?;
        let (attacher, _) = self.spare()?;
        let answer = self.attach(&attacher).await?;
        self.cell(ROW, "new attach", matches!(answer, RanAnswer::Attached { .. }), format!("{answer:?}"));
        Ok(())
    }

    /// First the journal is lost, then the database is an older one.
    async fn journal_and_database_disagree(&mut self) -> Result<()> {
        const ROW: &str = "journal and database disagree";
        let config = self.demo.config()?;
        let database = config.paths.data.join("sekisho.db");
        let old = self.own.join("old.db");
        self.kill_all().await?;
        copy_database(&database, &old)?;
        self.start().await?;
        let (imsi, _) = self.spare()?;
        let (status, _) =
            self.post(format!("sims/{imsi}/ban"), json!({ "state": "lost", "reason": ROW })).await;
        ensure!(status == 200, "the ban before the loss");
        self.kill_all().await?;
        copy_database(&old, &database)?;
        self.start().await?;
        let state = self.state_in_time(&imsi).await?;
        let answer = self.attach(&imsi).await?;
        let refused = matches!(answer, RanAnswer::Refused { cause: 3, protected: true, .. });
        let holds = refused && matches!(state.as_str(), "lost" | "stolen");
        self.cell(ROW, "new attach", holds, format!("an older database: {state}, {answer:?}"));
        let (behind, _) = self.alerts("database-behind").await?;
        self.cell(ROW, "who is behind", behind == 1, format!("{behind} alert: the database"));
        self.kill_all().await?;
        fs::remove_file(config.journal()).context("the journal")?;
        self.start().await?;
        let answer = self.attach(&imsi).await?;
        let refused = matches!(answer, RanAnswer::Refused { cause: 3, protected: true, .. });
        self.cell(ROW, "new attach, no journal", refused, format!("{answer:?}"));
        let (behind, _) = self.alerts("journal-behind").await?;
        self.cell(ROW, "who is behind", behind == 1, format!("{behind} alert: the journal"));
        let again = self.spare.last().map(|s| s.0.clone()).context("no SIM is left")?;
        let answer = self.attach(&again).await?;
        ensure!(matches!(answer, RanAnswer::Attached { .. }), "{again} does not attach again: {answer:?}");
        self.ban(ROW, 200).await
    }

    async fn kill_all(&self) -> Result<()> {
        self.demo.done(SiteAsk::Kill { part: "all".to_owned() }).await
    }

    async fn start(&self) -> Result<()> {
        self.demo.start().await?;
        self.demo.wait_until_ready().await?;
        self.demo.ran(RanAsk::Reconnect).await
    }

    async fn policy_does_not_compile(&mut self) -> Result<()> {
        const ROW: &str = "policy does not compile";
        let rule = json!({
            "name": "nowhere", "order": 5, "subject": "group:office", "app": "no-such-app", "direction": "out",
            "verdict": "allow",
        });
        let (status, said) = self.post("rules".to_owned(), rule).await;
        let words = said.as_str().map(ToOwned::to_owned).unwrap_or_default();
        self.cell(ROW, "admin change", (400..500).contains(&status), format!("{status} {words}"));
        // All sessions went with both processes; the laptop comes again before it is judged.
        self.demo.ran(RanAsk::PowerCycle { ue: LAPTOP.to_owned() }).await?;
        match self.demo.radio(RanAsk::TryBare { ue: LAPTOP.to_owned(), within_ms: 4_000 }).await? {
            RanAnswer::Attached { ip, .. } => {
                let packets = self.packets_of(ip).await?;
                self.cell(ROW, "new flows", packets > 0, format!("{packets} packets by the old policy"));
            }
            other => self.cell(ROW, "new flows", false, format!("{other:?}")),
        }
        Ok(())
    }
}

/// The status (200 for good) and the body or the words of the refusal.
fn status_of(answer: Result<Value>) -> (u16, Value) {
    match answer {
        Ok(good) => (200, good),
        Err(e) => match e.downcast_ref::<Refused>() {
            Some(r) => (r.status, json!(format!("{e:#}").replace('\n', " "))),
            None => (0, json!(format!("{e:#}"))),
        },
    }
}

fn host(name: &str, ask: Ask) -> SiteAsk {
    SiteAsk::Host { name: name.to_owned(), ask }
}

/// The database with its log of writes, and nothing of what was in the other place.
fn copy_database(from: &Path, to: &Path) -> Result<()> {
    for end in ["", "-wal", "-shm"] {
        let (from, to) = (format!("{}{end}", from.display()), format!("{}{end}", to.display()));
        drop(fs::remove_file(&to));
        if end != "-shm" && Path::new(&from).exists() {
            fs::copy(&from, &to).with_context(|| from.clone())?;
        }
    }
    Ok(())
}
