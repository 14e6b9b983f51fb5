//! `sekisho journal`: the revocation journal, offline. It holds no secret: IMSIs, who banned them and why.

use crate::{config::Config, lang::Lang};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use gateway::{journal::offline, time::utc};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};
use types::{Utc, hex};

/// `journal`
#[derive(Debug, Clone, Subcommand)]
pub enum Journal {
    /// Print its records, oldest first; also while a gateway runs.
    Show {
        /// A journal or a copy of one; this node's where not given.
        file: Option<PathBuf>,
    },
    /// Check the chain from its first record to its last.
    Verify {
        /// A journal or a copy of one; this node's where not given.
        file: Option<PathBuf>,
        /// Hash that its last record, or one of its records, must have (hexadecimal): of a receipt, say.
        #[arg(long)]
        has: Option<String>,
    },
    /// Bring a copy back in the place of this node's journal, whose gateway does not run. No ban is lost by it: what the
    /// journal before still says counts as well.
    Restore {
        /// The directory of the copy.
        #[arg(long)]
        from: PathBuf,
    },
}

/// Carries one of them out.
///
/// # Errors
/// What is wrong with the journal, and what to do.
pub fn run(verb: &Journal, config: impl Fn() -> Result<Config>, lang: Lang) -> Result<ExitCode> {
    match verb {
        Journal::Show { file } => show(&place(file.as_deref(), config)?, lang),
        Journal::Verify { file, has } => verify(&place(file.as_deref(), config)?, has.as_deref(), lang),
        Journal::Restore { from } => restore(from, &config()?.journal(), lang),
    }
}

fn place(file: Option<&Path>, config: impl Fn() -> Result<Config>) -> Result<PathBuf> {
    Ok(match file {
        Some(f) if f.is_dir() => f.join(offline::FILE),
        Some(f) => f.to_owned(),
        None => config()?.journal(),
    })
}

fn show(file: &Path, lang: Lang) -> Result<ExitCode> {
    let seen = offline::inspect(file).with_context(|| file.display().to_string())?;
    for (stored, entry) in &seen.records {
        let hash = hex(stored.hash.get(..8).unwrap_or_default());
        let (n, at, what) = (stored.record, time(entry.at), &entry.what);
        println!("{n}\t{at}\t{what}\t{}\t{}\t{hash}", entry.actor, entry.reason);
    }
    if let Some(what) = seen.unfinished {
        let end = lang.of("behind them: an unfinished record", "末尾に書きかけの記録があります");
        println!("{end} ({what})");
    }
    Ok(ExitCode::SUCCESS)
}

fn time(at: Utc) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0);
    at.map_or_else(|_| "-".to_owned(), |t| t.to_string())
}

fn verify(file: &Path, has: Option<&str>, lang: Lang) -> Result<ExitCode> {
    let seen = offline::inspect(file).with_context(|| file.display().to_string())?;
    let (n, hash) = (seen.head.records, hex(&seen.head.hash));
    if let Some(wanted) = has
        && !seen.records.iter().any(|(stored, _)| hex(&stored.hash) == wanted.to_ascii_lowercase())
    {
        bail!(
            "{}",
            match lang {
                Lang::En =>
                    format!("none of its {n} records has this hash: the journal is older, or another one"),
                Lang::Ja => format!("{n} 件の記録にこのハッシュはありません: 古いか、別のジャーナルです"),
            }
        );
    }
    let s = &seen.state;
    let (cut, quarantined) = (s.revoked.len(), s.quarantined.len());
    let (devices, groups) = (s.devices.len(), s.panicked.len());
    println!(
        "{}",
        match lang {
            Lang::En => format!(
                "whole: {n} records, the last one {hash}\n{cut} SIMs and {devices} devices are cut, {quarantined} SIMs in \
             quarantine, {groups} groups in panic"
            ),
            Lang::Ja => format!(
                "正常です: 記録 {n} 件、最後のハッシュ {hash}\n遮断中の SIM {cut}、端末 {devices}、隔離中の SIM {quarantined}、\
             非常停止中のグループ {groups}"
            ),
        }
    );
    Ok(ExitCode::SUCCESS)
}

fn restore(from: &Path, journal: &Path, lang: Lang) -> Result<ExitCode> {
    let done = offline::restore(&from.join(offline::FILE), journal, utc())
        .with_context(|| format!("{} → {}", from.display(), journal.display()))?;
    let (copied, kept, saved, n) = (done.copied, done.kept, done.saved, done.head.records);
    println!(
        "{}",
        match lang {
            Lang::En => format!(
                "{copied} records of the copy, {kept} that followed them here, {saved} restrictions saved from behind the \
             damage: {n} records"
            ),
            Lang::Ja => format!(
                "複製から {copied} 件、その続きを {kept} 件引き継ぎ、破損箇所より後ろの制限を {saved} 件救済しました: 計 {n} 件"
            ),
        }
    );
    if let Some(before) = &done.before {
        println!("{}: {}", lang.of("the journal before", "以前のジャーナル"), before.display());
    }
    Ok(ExitCode::SUCCESS)
}
