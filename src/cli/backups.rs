//! `sekisho backup …` and `sekisho restore …`. Making a backup and confirming the bans go through the API; the drill
//! and the restore are offline and need no running part.

use super::{Remote, calling, print::Columns};
use crate::{
    backup::{self, RecoverySecret, Refusal, Report},
    config::Config,
    lang::Lang,
};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use gateway::time::{now, rfc3339};
use serde_json::json;
use std::{
    fs,
    io::{BufRead, BufReader, IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};
use zeroize::Zeroizing;

/// `backup`
#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Make one, by the API: a sealed file in the data directory of the server's machine.
    Make {
        /// Name of the file; made of date and time if not given.
        name: Option<String>,
    },
    /// List those that lie in the data directory of the server's machine, by the API.
    List,
    /// Restore one into a temporary directory, look at everything, say what was found, and leave nothing.
    Drill {
        /// The backup.
        file: PathBuf,
        /// What it is opened and compared with.
        #[command(flatten)]
        with: With,
    },
    /// Make the recovery key of a node that has none. Its text is shown once.
    Key,
}

/// `restore`
#[derive(Debug, Subcommand)]
pub enum Restore {
    /// Restore one, offline, into a new data directory.
    Run {
        /// The backup.
        file: PathBuf,
        /// The data directory to make; what is there already is never touched.
        #[arg(long)]
        into: PathBuf,
        /// What it is opened and compared with.
        #[command(flatten)]
        with: With,
    },
    /// Confirm the list of bans after a restore, by the API: SIMs live again.
    Confirm {
        /// How many SIMs are banned by the list that you have looked at.
        #[arg(long)]
        banned: u64,
        /// Why you know that no ban is missing.
        #[arg(long)]
        reason: String,
    },
}

/// What opens a backup.
#[derive(Debug, Args)]
pub struct With {
    /// File that holds the recovery key's text; without it you are asked at the terminal.
    #[arg(long)]
    recovery_key: Option<PathBuf>,
    /// A revocation journal that may be newer than the backup's: the machine's own, or a copy. May be given again.
    #[arg(long)]
    journal: Vec<PathBuf>,
}

/// `sekisho backup …`
pub fn backup(verb: &Backup, config: &Path, remote: &Remote, lang: Lang) -> Result<ExitCode> {
    match verb {
        Backup::Make { name } => {
            let name = name.clone().unwrap_or_else(|| {
                let at: String = rfc3339(now().utc).chars().filter(char::is_ascii_alphanumeric).collect();
                format!("sekisho-{at}.skbackup")
            });
            Ok(calling(remote, lang, |api, out| {
                out.thing(&api.post("backups", &json!({ "name": name }))?.body)
            }))
        }
        Backup::List => Ok(calling(remote, lang, |api, out| {
            out.list(&api.list("backups")?, Columns(&["name", "octets", "at"]))
        })),
        Backup::Drill { file, with } => offline(file, with, lang, async |what| backup::drill(what).await),
        Backup::Key => {
            let config = Config::load(config, std::env::vars())?;
            show(&backup::make_key(&config.paths.data)?, lang);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// `sekisho restore …`
pub fn restore(verb: &Restore, remote: &Remote, lang: Lang) -> Result<ExitCode> {
    match verb {
        Restore::Run { file, into, with } => {
            offline(file, with, lang, async |what| backup::restore(what, into).await)
        }
        Restore::Confirm { banned, reason } => Ok(calling(remote, lang, |api, out| {
            let body = json!({ "banned": banned, "reason": reason });
            out.thing(&api.post("system/hold/confirm", &body)?.body)
        })),
    }
}

/// Shows the secret of a new recovery key, the only time.
pub fn show(text: &str, lang: Lang) {
    eprintln!(
        "{}",
        lang.of(
            "Recovery key: it alone opens this node's backups. It is shown once and kept nowhere; write it down now.",
            "回復キー: このノードのバックアップはこのキーでのみ開けます。一度だけ表示され、どこにも保存されません。今すぐ控えてください。",
        )
    );
    eprintln!("\n  {text}\n");
}

fn offline(
    file: &Path,
    with: &With,
    lang: Lang,
    act: impl AsyncFnOnce(&backup::Restore<'_>) -> Result<Report>,
) -> Result<ExitCode> {
    let done = ask_key(with, lang).and_then(|secret| {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let what = backup::Restore { file, secret: &secret, journals: &with.journal };
        rt.block_on(act(&what))
    });
    match done {
        Ok(report) => {
            print!("{}", report.words(lang));
            Ok(ExitCode::SUCCESS)
        }
        Err(e) => match e.downcast_ref::<Refusal>() {
            Some(refusal) => {
                let nothing = lang.of("Nothing was written.", "何も書き込んでいません。");
                eprintln!("sekisho: {}. {nothing}", refusal.words(lang));
                Ok(ExitCode::FAILURE)
            }
            None => Err(e),
        },
    }
}

/// The recovery key out of a file, or asked for without an echo.
fn ask_key(with: &With, lang: Lang) -> Result<RecoverySecret> {
    let mut text = Zeroizing::new(String::new());
    match &with.recovery_key {
        Some(file) => {
            *text = fs::read_to_string(file)
                .with_context(|| format!("the file of the recovery key, {}", file.display()))?;
        }
        None => {
            let stdin = std::io::stdin();
            anyhow::ensure!(
                stdin.is_terminal(),
                "{}",
                lang.of(
                    "no recovery key: name its file by --recovery-key, or come with a terminal",
                    "回復キーがありません。--recovery-key でファイルを指定するか、端末から実行してください",
                )
            );
            eprint!("{}", lang.of("Recovery key: ", "回復キー: "));
            std::io::stderr().flush()?;
            let echo = |on: &str| drop(Command::new("stty").arg(on).stdin(Stdio::inherit()).status());
            echo("-echo");
            let read = BufReader::new(stdin.lock()).read_line(&mut text);
            echo("echo");
            eprintln!();
            read?;
        }
    }
    Ok(RecoverySecret::parse(&text)?)
}
