//! `sekisho ban --local`: straight to the gateway's socket, for the hour when control is dead.

use crate::{config::Config, lang::Lang};
use anyhow::{Result, bail};
use gateway::link::{Stored, local::cut};
use std::process::ExitCode;
use types::{Imsi, SimState};

/// Whom to cut.
#[derive(Debug, Clone)]
pub struct LocalBan {
    /// Which SIMs.
    imsi: Vec<Imsi>,
    /// Devices by their IMEI (14 digits, or 15 or 16 of which the first 14 count).
    device: Vec<String>,
    /// lost or stolen.
    state: SimState,
    /// Why.
    reason: String,
}

impl LocalBan {
    /// From the words of `sekisho ban --local`.
    pub fn new(imsi: Vec<Imsi>, device: Vec<String>, state: SimState, reason: &str) -> Self {
        Self { imsi, device, state, reason: reason.to_owned() }
    }
}

/// Cuts at the gateway of this machine and prints what was done.
///
/// # Errors
/// Where the gateway is not there or does not answer, or the words are wrong.
pub fn ban(config: &Config, what: &LocalBan, lang: Lang) -> Result<ExitCode> {
    if !what.state.is_banned() {
        bail!("{}", lang.of("a ban is to lost or stolen", "停止後の状態は lost か stolen です"));
    }
    let actor = format!(
        "local {}",
        std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default()
    );
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let socket = config.gateway_socket();
    let done = rt.block_on(cut(&socket, &what.imsi, &what.device, what.state, &actor, &what.reason))?;
    let mut stored = true;
    for r in &done.sims {
        let (imsi, some, all, us) = (r.imsi, r.shards_confirmed, r.shards, r.cut_us);
        println!(
            "{}",
            match lang {
                Lang::En => format!("{imsi} is cut: {some} of {all} shards, after {us} µs"),
                Lang::Ja => format!("{imsi} を遮断しました: シャード {some}/{all}、{us} µs"),
            }
        );
        stored &= tell(&r.journal, lang);
        let last = r.journal.as_ref().map_or(0, |s| s.record);
        for copy in &r.copies {
            let (place, has) = (&copy.place, copy.head.map_or(0, |h| h.records));
            println!(
                "{}",
                match (lang, has >= last) {
                    (Lang::En, true) => format!("  the copy {place} has it"),
                    (Lang::Ja, true) => format!("  複製 {place} にも記録済みです"),
                    (Lang::En, false) => format!("  the copy {place} is {} records behind", last - has),
                    (Lang::Ja, false) => format!("  複製 {place} は {} 件遅れています", last - has),
                }
            );
        }
    }
    for (device, journal) in &done.devices {
        println!(
            "{}",
            match lang {
                Lang::En => format!("device {device} is cut: control ends its sessions and refuses it"),
                Lang::Ja => format!(
                    "端末 {device} を遮断しました: control がセッションを終了し、以後の登録を拒否します"
                ),
            }
        );
        stored &= tell(journal, lang);
    }
    Ok(if stored { ExitCode::SUCCESS } else { ExitCode::from(super::UNAVAILABLE) })
}

fn tell(journal: &Result<Stored, String>, lang: Lang) -> bool {
    let n = journal.as_ref().map_or(0, |s| s.record);
    println!(
        "{}",
        match (journal, lang) {
            (Ok(_), Lang::En) =>
                format!("  journal record {n}; control puts it into the database when it is back"),
            (Ok(_), Lang::Ja) =>
                format!("  ジャーナル記録 {n}。control の復帰後にデータベースへ反映されます"),
            (Err(why), Lang::En) => format!("  NOT RECORDED: {why}; it holds until the gateway restarts"),
            (Err(why), Lang::Ja) => {
                format!("  記録できませんでした: {why}。ゲートウェイが再起動するまでの間だけ有効です")
            }
        }
    );
    journal.is_ok()
}
